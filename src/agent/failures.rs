//! What fails and has not been reported as working again: each failure and each recovery makes one event.

use crate::directives::host::Run;

#[derive(Default)]
pub(super) struct Failures {
    failing: Vec<FailingSource>,
}

/// Something that can fail and work again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FailingSource {
    /// A log, by the path that its events name.
    Log(String),
    /// The process list, by its command.
    ProcessList(String),
    /// The command of a `run:`. One that is run in several ways may fail in one of them.
    Run(Run),
    /// The file in which the agent keeps how far its logs are read, by its path.
    PositionsFile(String),
}

impl Failures {
    /// Notes whether a source works, or why not. Returns the text of the event if that is new.
    pub(super) fn handle_state(&mut self, source: FailingSource, state: Result<(), String>) -> Option<String> {
        let known = self.failing.iter().position(|failing| *failing == source);
        let text = match (&source, &state, known) {
            (FailingSource::Log(path), Err(reason), None) => format!("Cannot read {path}: {reason}"),
            (FailingSource::Log(path), Ok(()), Some(_)) => format!("Can read {path} again"),
            (FailingSource::ProcessList(name), _, _) => command(name, &state, known.is_some())?,
            (FailingSource::Run(run), _, _) => command(run.command.as_str(), &state, known.is_some())?,
            (FailingSource::PositionsFile(path), Err(reason), None) => format!("Cannot write {path}: {reason}"),
            (FailingSource::PositionsFile(path), Ok(()), Some(_)) => format!("Can write {path} again"),
            _ => return None,
        };
        match known {
            Some(at) => drop(self.failing.swap_remove(at)),
            None => self.failing.push(source),
        }
        Some(text)
    }

    /// Forgets sources that no rule needs any more.
    pub(super) fn retain(&mut self, is_needed: impl FnMut(&FailingSource) -> bool) {
        self.failing.retain(is_needed);
    }
}

/// The text of the event about a command, if there is news.
fn command(name: &str, state: &Result<(), String>, was_failing: bool) -> Option<String> {
    match (state, was_failing) {
        (Err(reason), false) => Some(format!("Command failed: {name}: {reason}")),
        (Ok(()), true) => Some(format!("Command works again: {name}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_and_each_recovery_is_reported_once() {
        let mut failures = Failures::default();
        let mut report = |state: Result<(), &str>| {
            failures.handle_state(FailingSource::ProcessList("df".into()), state.map_err(str::to_string)).unwrap_or_default()
        };
        assert_eq!(report(Ok(())), "");
        assert_eq!(report(Err("exit status 1")), "Command failed: df: exit status 1");
        assert_eq!(report(Err("exit status 2")), "");
        assert_eq!(report(Ok(())), "Command works again: df");
        assert_eq!(report(Ok(())), "");
    }

    #[test]
    fn a_source_that_no_rule_needs_does_not_fail() {
        let mut failures = Failures::default();
        let command = || FailingSource::ProcessList("df".into());
        failures.handle_state(command(), Err("x".into()));
        failures.retain(|_| false);
        assert_eq!(failures.handle_state(command(), Ok(())), None);
    }
}
