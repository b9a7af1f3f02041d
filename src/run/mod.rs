//! Start-up and the loop of each binary: the outside world is handed to the state machines here, and their outputs are carried out.

pub mod agent;
mod atomic_file;
mod keys;
mod log;
mod options;
pub mod server;

use crate::directives::Fault;
use crate::sys::{crash, harden};
use std::io::Write;
use std::process::ExitCode;

/// Why a program ends at its start or cannot go on.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong, or a file that it names: exit status 2.
    Usage(String),
    /// All that is wrong with the configuration: exit status 2.
    Configuration(Vec<Fault>),
    /// The system did not let it: exit status 1.
    System(String),
}

impl Failure {
    /// An error of the system, and what was attempted.
    fn system(attempt: impl std::fmt::Display, error: &std::io::Error) -> Self {
        Self::System(format!("{attempt}: {}", crate::sys::reason(error)))
    }
}

/// Runs the main function of a program with the arguments of this process. Prints its failure on standard error, and returns the exit
/// status.
pub fn start(program: &str, main: fn(&[String]) -> Result<(), Failure>) -> ExitCode {
    harden::at_start();
    crash::catch();
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let (text, code) = match main(&arguments) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Configuration(faults)) => {
            // As editors and people know it from compilers: the line begins with the place.
            faults.iter().for_each(|fault| complain(&fault.to_string()));
            return ExitCode::from(2);
        }
        Err(Failure::System(text)) => (text, 1),
        Err(Failure::Usage(text)) => (text, 2),
    };
    for line in text.lines() {
        complain(&format!("{program}: {line}"));
    }
    ExitCode::from(code)
}

/// Writes a line to standard output, where a closed one is no error.
fn say(line: &str) {
    let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
}

/// Writes a line to standard error.
fn complain(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
