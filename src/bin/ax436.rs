//! The server of Project 436.

use project436::run;
use std::process::ExitCode;

fn main() -> ExitCode {
    run::start("ax436", run::server::main)
}
