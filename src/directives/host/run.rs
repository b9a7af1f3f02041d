//! How the command of a `run:` is run, and which of its ends are good.

use super::command_line::CommandLine;
use crate::directives::arguments::Arguments;
use crate::text::number;
use std::time::Duration;

/// A command, how often it is run, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What to run.
    pub command: CommandLine,
    /// The time from the start of one run to that of the next.
    pub every: Duration,
    /// A run that takes longer is ended, and has failed.
    pub timeout: Duration,
}

/// Which exit statuses of a command are good. An end by a signal or by the time limit never is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoodStatuses {
    /// 0.
    Success,
    /// These, as `ok=` lists them.
    Listed(Vec<u8>),
    /// All: an alert is about the exit status.
    Any,
}

impl Run {
    const EVERY: Duration = Duration::from_secs(60);
    /// The time limit of a command that says nothing else.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// Takes the keys in front of `command=`.
    pub(super) fn parse(command: CommandLine, arguments: &mut Arguments<'_>) -> Self {
        let every = arguments.seconds("every").unwrap_or(Self::EVERY);
        let timeout = arguments.seconds("timeout").unwrap_or(Self::TIMEOUT);
        Self { command, every, timeout }
    }

    /// The parts that version 1 agents do not know.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        let given = [(self.every != Self::EVERY, "every="), (self.timeout != Self::TIMEOUT, "timeout=")];
        given.into_iter().filter(|(is_given, _)| *is_given).map(|(_, name)| name)
    }
}

impl GoodStatuses {
    /// Takes `ok=`.
    pub(super) fn parse(arguments: &mut Arguments<'_>) -> Self {
        let Some(value) = arguments.optional("ok") else { return Self::Success };
        let status = |text: &str| number(text.trim(), 10).and_then(|status| u8::try_from(status).ok());
        match value.split(',').map(status).collect() {
            Some(listed) => Self::Listed(listed),
            None => {
                arguments.fail(format_args!("ok= lists exit statuses from 0 to 255, as in ok=0,1; got \"{value}\""));
                Self::Success
            }
        }
    }

    /// Whether that exit status is good.
    pub fn contains(&self, status: u8) -> bool {
        match self {
            Self::Success => status == 0,
            Self::Listed(listed) => listed.contains(&status),
            Self::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::host::{HostFile, Rule};
    use crate::directives::source::Source;

    fn parse(text: &str) -> HostFile<'_> {
        HostFile::parse(Source { path: "nas1", text }.lines())
    }

    #[test]
    fn what_stands_in_front_of_a_command_says_how_it_is_run_and_what_stands_in_it_does_not() {
        let run = |text: &str| {
            let HostFile { mut groups, faults } = parse(text);
            let Some(Rule::Command(rule)) = groups.pop().map(|group| group.rule) else { panic!("{faults:?}") };
            let Run { command, every, timeout } = rule.run;
            (command.as_str().to_string(), every.as_secs(), timeout.as_secs(), rule.ok)
        };
        let plain = "run: command=check every=5 ok=1 timeout=9 x extract=(a)";
        assert_eq!(run(plain), ("check every=5 ok=1 timeout=9 x".into(), 60, 30, GoodStatuses::Success));
        let given = "run: ok=0, 1 every=86400 timeout=1 command=check every=5 ok=1 extract=every=(a)";
        assert_eq!(run(given), ("check every=5 ok=1".into(), 86400, 1, GoodStatuses::Listed(vec![0, 1])));
        let groups = parse("process: a\nalert_running: tags=T min=1 max=1 every=7 message=every=9").groups;
        let Rule::Process(rule) = &groups[0].rule else { panic!() };
        assert_eq!((rule.every.as_secs(), &*rule.message), (7, "every=9"));
    }

    #[test]
    fn faults_name_file_line_and_reason() {
        for (text, fault) in [
            ("run: every=0 command=df extract=(a)", "nas1:1: run: every= is a whole number of at least 1, got \"0\""),
            ("run: timeout=86401 command=df extract=(a)", "nas1:1: run: timeout= is at most 86400, a day"),
            ("run: ok=0,256 command=df extract=(a)", "nas1:1: run: ok= lists exit statuses from 0 to 255, as in ok=0,1; got \"0,256\""),
            ("run: ok= command=df extract=(a)", "nas1:1: run: ok= is empty"),
            ("run: every=5 extract=(a)", "nas1:1: run: command= is missing"),
            ("process: a\nalert_running: tags=T min=1 max=1 every=x message=m", "nas1:2: alert_running: every= is a whole number"),
            ("run: command=df", "nas1:1: run: extract= is missing"),
            (
                "run: command=df\nalert_metric: tags=T match=1,a metric=1",
                "nas1:2: alert_metric: match= names group \"1\", but run: has no extract=",
            ),
            ("run: command=df extract=(a)\nalert_metric: tags=T match=1 metric=1", "nas1:2: alert_metric: match= is GROUP,TEXT here"),
            (
                "run: command=df extract=(a)\nalert_if: tags=T match=2 upper_limit=1,2 message=m",
                "nas1:2: alert_if: match= names group \"2\"",
            ),
            (
                "run: command=df extract=(a)\nalert_if: tags=T match=1,a upper_limit=status,2 message=m",
                "nas1:2: alert_if: upper_limit=status belongs to match=status",
            ),
            (
                "run: command=df extract=(a)\nalert_if: tags=T match=1,a upper_limit=1,2G until=1 message=m",
                "nas1:2: alert_if: until= is a size such as 1.5G, as the limit is; got \"1\"",
            ),
            (
                "run: command=df extract=(a)\nalert_if: tags=T match=1,a upper_limit=1,2X message=m",
                "nas1:2: alert_if: upper_limit= ends in a",
            ),
            ("run: command=df\nalert_if: tags=T match=status upper_limit=status,1% message=m", "nas1:2: alert_if: upper_limit= ends in a"),
            (
                "run: command=df\nalert_if: tags=T match=status upper_limit=1,2 message=m",
                "nas1:2: alert_if: match=status belongs to upper_limit=status, got \"1\"",
            ),
        ] {
            let faults: Vec<String> = parse(text).faults.iter().map(ToString::to_string).collect();
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
            assert!(faults[0].starts_with(fault), "{text}: {faults:?}");
        }
    }
}
