//! Why a program ends with an error, and its exit status.

use crate::directives::Fault;
use crate::run::console;
use crate::sys::reason;
use std::io;
use std::net::SocketAddrV4;

/// Why a program cannot start or go on.
#[derive(Debug)]
pub enum Failure {
    /// The command line, or a file that it names, is wrong: exit status 2.
    Usage(String),
    /// All faults of the configuration: exit status 2.
    Configuration(Vec<Fault>),
    /// The operating system refused something: exit status 1.
    System(String),
    /// A command needs a running server, and none answers: exit status 3.
    NoServer(String),
    /// All was printed; the exit status says what was found.
    Printed(u8),
}

impl Failure {
    /// A system error; `attempt` says what was attempted.
    pub(super) fn system(attempt: &str, error: &io::Error) -> Self {
        Self::System(format!("{attempt}: {}", reason(error)))
    }

    /// The lines that say what is wrong.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::Configuration(faults) => faults.iter().map(Fault::to_string).collect(),
            Self::Usage(text) | Self::System(text) | Self::NoServer(text) => vec![text.clone()],
            Self::Printed(_) => Vec::new(),
        }
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
            Self::NoServer(text) => (text, 3),
            Self::Printed(status) => return *status,
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

/// Datagrams that could not be sent. An address that is not there fails for ever, and others now and then.
#[derive(Default)]
pub(super) struct SendFailures {
    /// Each address with the number of each of its errors.
    logged: Vec<(SocketAddrV4, Option<i32>)>,
}

impl SendFailures {
    /// Most addresses and reasons that are logged.
    const MOST: usize = 64;

    /// Notes a failure. Returns the line for the log, unless there was one for that address and that reason.
    pub(super) fn note(&mut self, to: SocketAddrV4, error: &io::Error) -> Option<String> {
        let failure = (to, error.raw_os_error());
        if self.logged.len() >= Self::MOST || self.logged.contains(&failure) {
            return None;
        }
        self.logged.push(failure);
        let more = if self.logged.len() == Self::MOST { "; further failures are not logged" } else { "" };
        Some(format!("cannot send to {to}: {}{more}", reason(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_reached_is_logged_once_for_each_reason() {
        let mut failures = SendFailures::default();
        let mut note = |address: u32, error: i32| {
            let to = SocketAddrV4::new((0x0a42_0000 + address).into(), 9001);
            failures.note(to, &io::Error::from_raw_os_error(error))
        };
        assert_eq!(note(255, libc::ENETUNREACH).unwrap(), "cannot send to 10.66.0.255:9001: Network is unreachable");
        assert!(note(1, libc::EPERM).is_some());
        for _ in 0..3 {
            assert_eq!((note(255, libc::ENETUNREACH), note(1, libc::EPERM)), (None, None));
        }
        assert!(note(1, libc::ENETUNREACH).is_some());
        let lines: Vec<String> = (2..1000).filter_map(|address| note(address, libc::EPERM)).collect();
        assert_eq!(lines.len(), SendFailures::MOST - 3);
        assert!(lines.last().unwrap().ends_with("; further failures are not logged"));
    }

    #[test]
    fn a_failure_that_lasts_is_returned_once() {
        let mut last = LastFailure::default();
        let outcomes = [None, Some("a"), Some("a"), Some("b"), None, Some("b")];
        let returned = outcomes.map(|outcome| last.update(outcome.map(String::from)).map(String::from));
        assert_eq!(returned.each_ref().map(Option::as_deref), [None, Some("a"), None, Some("b"), None, Some("b")]);
    }
}
