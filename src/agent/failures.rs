//! What fails and has not been reported as working again: each failure and each recovery makes one event.

#[derive(Default)]
pub(super) struct Failures {
    failing: Vec<FailingSource>,
}

/// Something that can fail and work again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FailingSource {
    /// A log, by the path that its events name.
    Log(String),
    /// A command, by its line.
    Command(String),
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
            (FailingSource::Command(name), Err(reason), None) => format!("Command failed: {name}: {reason}"),
            (FailingSource::Command(name), Ok(()), Some(_)) => format!("Command works again: {name}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_and_each_recovery_is_reported_once() {
        let mut failures = Failures::default();
        let mut report = |state: Result<(), &str>| {
            failures.handle_state(FailingSource::Command("df".into()), state.map_err(str::to_string)).unwrap_or_default()
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
        let command = || FailingSource::Command("df".into());
        failures.handle_state(command(), Err("x".into()));
        failures.retain(|_| false);
        assert_eq!(failures.handle_state(command(), Ok(())), None);
    }
}
