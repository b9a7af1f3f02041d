//! Where the lines of a log come from: the argument of `file:`, or `journal:`.

use super::command_line::CommandLine;

/// Where the lines of a log come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogSource {
    /// The file at that path.
    Path(String),
    /// Every file that the wildcard matches and none of `excludes` does.
    Glob { pattern: String, excludes: Vec<String> },
    /// What a command prints.
    Command(CommandLine),
    /// The journal of systemd.
    Journal,
}

impl LogSource {
    /// The chain of the journal has the name that a file of this name would have.
    pub const JOURNAL_CHAIN: &'static str = "journal:";
    /// The command that reads the journal: a host that refuses commands has to allow it.
    pub const JOURNAL_COMMAND: &'static str = "journalctl";

    pub(super) fn parse(argument: &str) -> Result<Self, String> {
        if let Some(command) = argument.strip_prefix('|') {
            let command = command.trim();
            if command.is_empty() {
                return Err("file: a command is missing after |".into());
            }
            return CommandLine::parse(command).map(Self::Command);
        }
        if argument.contains(['*', '?', '[']) {
            return Ok(Self::Glob { pattern: argument.into(), excludes: Vec::new() });
        }
        Ok(Self::Path(argument.into()))
    }

    /// The file field of events. For a wildcard it is used only where no real path is known.
    pub fn field(&self) -> String {
        match self {
            Self::Path(path) | Self::Glob { pattern: path, .. } => path.clone(),
            Self::Command(command) => format!("|{}", command.as_str()),
            Self::Journal => "journal".into(),
        }
    }

    /// Tells it from all others.
    pub fn name(&self) -> String {
        let Self::Glob { pattern, excludes } = self else { return self.field() };
        excludes.iter().fold(pattern.clone(), |name, exclude| name + "\n" + exclude)
    }
}
