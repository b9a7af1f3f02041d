//! Start-up and the loop of each binary: the outside world is handed to the state machines here, and their outputs are carried out.

pub mod agent;
mod atomic_file;
mod getopts;
mod keys;
mod log;
mod options;
pub mod server;

use crate::directives::Fault;
use crate::sys::start::{print, Stream};

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

/// Runs a program and turns what comes of it into the exit status, with an error on standard error.
pub fn exit_code(program: &str, outcome: Result<(), Failure>) -> i32 {
    let (text, code) = match outcome {
        Ok(()) => return 0,
        Err(Failure::Configuration(faults)) => {
            // As editors and people know it from compilers: the line begins with the place.
            faults.iter().for_each(|fault| complain(&fault.to_string()));
            return 2;
        }
        Err(Failure::System(text)) => (text, 1),
        Err(Failure::Usage(text)) => (text, 2),
    };
    for line in text.lines() {
        complain(&format!("{program}: {line}"));
    }
    code
}

/// Writes a line to standard output, where a closed one is no error.
fn say(line: &str) {
    print(Stream::Output, line);
}

/// Writes a line to standard error.
fn complain(line: &str) {
    print(Stream::Error, line);
}
