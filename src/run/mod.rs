//! The two programs: their command lines, their start and their loops. The loops feed the state machines and carry out their outputs.

pub mod agent;
mod atomic_file;
mod builtins;
mod console;
mod failure;
mod keys;
mod log;
mod options;
mod outgoing;
mod process_table;
pub mod server;

pub use failure::Failure;

use crate::sys::{crash, harden};
use std::process::ExitCode;

/// Runs the main function of a program with the arguments of this process. Prints its failure on standard error, and returns the exit
/// status.
pub fn start(program: &str, main: fn(&[String]) -> Result<(), Failure>) -> ExitCode {
    harden::at_start();
    crash::catch();
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match main(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(failure.report(program)),
    }
}
