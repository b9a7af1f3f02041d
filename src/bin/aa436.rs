//! The agent of Project 436.

use project436::run;
use std::process::ExitCode;

fn main() -> ExitCode {
    run::start("aa436", run::agent::main)
}
