//! Why a program ends with an error, and its exit status.

use crate::directives::Fault;
use crate::run::console;
use crate::sys::reason;
use std::fmt;
use std::io;

/// Why a program cannot start or go on.
#[derive(Debug)]
pub enum Failure {
    /// The command line, or a file that it names, is wrong: exit status 2.
    Usage(String),
    /// All faults of the configuration: exit status 2.
    Configuration(Vec<Fault>),
    /// The operating system refused something: exit status 1.
    System(String),
}

impl Failure {
    /// A system error; `attempt` says what was attempted.
    pub(super) fn system(attempt: impl fmt::Display, error: &io::Error) -> Self {
        Self::System(format!("{attempt}: {}", reason(error)))
    }

    /// Prints the failure on standard error. Returns the exit status.
    pub(super) fn report(&self, program: &str) -> u8 {
        let (text, status) = match self {
            Self::Configuration(faults) => {
                // As compilers do, each line begins with path and line number.
                faults.iter().for_each(|fault| console::print_error(&fault.to_string()));
                return 2;
            }
            Self::System(text) => (text, 1),
            Self::Usage(text) => (text, 2),
        };
        text.lines().for_each(|line| console::print_error(&format!("{program}: {line}")));
        status
    }
}

/// Suppresses the repeats of a failure that lasts.
#[derive(Default)]
pub(super) struct LastFailure(Option<String>);

impl LastFailure {
    /// Notes the outcome of an attempt. Returns the reason of a failure unless the attempt before failed for the same reason.
    pub(super) fn update(&mut self, failure: Option<String>) -> Option<&str> {
        let is_new = failure.is_some() && failure != self.0;
        self.0 = failure;
        self.0.as_deref().filter(|_| is_new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_lasts_is_returned_once() {
        let mut last = LastFailure::default();
        let outcomes = [None, Some("a"), Some("a"), Some("b"), None, Some("b")];
        let returned = outcomes.map(|outcome| last.update(outcome.map(String::from)).map(String::from));
        assert_eq!(returned.each_ref().map(Option::as_deref), [None, Some("a"), None, Some("b"), None, Some("b")]);
    }
}
