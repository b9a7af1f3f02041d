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
        }
    }
}
