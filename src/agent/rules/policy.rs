//! Which commands the owner of the device lets a server run, whatever key the server has. Runs nothing. Which files may be opened is
//! decided by [`crate::fs::access`].

use crate::directives::host::{LogSource, Rule};
use crate::pattern::Pattern;

/// The commands that a server may have run here.
#[derive(Clone, Debug, Default)]
pub enum Policy {
    /// All.
    #[default]
    Any,
    /// Only built-in commands, which start no process.
    None,
    /// Built-in commands, and commands with a line that one of these patterns matches as a whole.
    Matching(Vec<Pattern>),
}

impl Policy {
    /// Adds a pattern that has to match the whole line of a command.
    ///
    /// # Errors
    /// Why the pattern cannot be used.
    pub fn allow(&mut self, pattern: &str) -> Result<(), String> {
        // First by itself: an error names the pattern as it was written, and the pattern cannot end the group around it.
        Pattern::parse(pattern)?;
        let whole = Pattern::parse(&format!("^(?:{pattern})$"))?;
        match self {
            Self::Matching(patterns) => patterns.push(whole),
            _ => *self = Self::Matching(vec![whole]),
        }
        Ok(())
    }

    /// The directive of a rule that asks for a command that may not be run here.
    pub(super) fn refused(&self, rule: &Rule) -> Option<String> {
        let (what, command) = match rule {
            Rule::Command(rule) => ("run: command=", &rule.run.command),
            Rule::ProcessList(command) => ("ps_command: ", command),
            Rule::Log(rule) => match &rule.log {
                LogSource::Command(command) => ("file: |", command),
                LogSource::Journal => return (!self.permits(LogSource::JOURNAL_COMMAND)).then(|| rule.opener()),
                LogSource::Path(_) | LogSource::Glob { .. } => return None,
            },
            Rule::Process(_) => return None,
        };
        (command.builtin().is_none() && !self.permits(command.as_str())).then(|| format!("{what}{}", command.as_str()))
    }

    fn permits(&self, command: &str) -> bool {
        match self {
            Self::Any => true,
            Self::None => false,
            Self::Matching(patterns) => patterns.iter().any(|pattern| pattern.is_match(command)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::host::HostFile;
    use crate::directives::Source;

    fn refused(policy: &Policy, text: &str) -> Vec<String> {
        let file = HostFile::parse(Source { path: "h", text }.lines());
        assert!(file.faults.is_empty(), "{:?}", file.faults);
        file.groups.iter().filter_map(|group| policy.refused(&group.rule)).collect()
    }

    const FILE: &str = "file: |logread -f\nmatch: x\nalert_all: tags=A\nfile: /a\nmatch: x\nalert_all: tags=A\n\
        ps_command: ps  ax\nprocess: x\nalert_running: tags=A min=1 max=1 message=m\n\
        run: command=@df extract=(x)\nalert_metric: tags=A match=1,x metric=1\n\
        run: command=df -k extract=(x)\nalert_metric: tags=A match=1,x metric=1\n";

    #[test]
    fn without_a_policy_everything_may_be_run_and_with_none_only_what_starts_no_process() {
        assert_eq!(refused(&Policy::Any, FILE), [""; 0]);
        assert_eq!(refused(&Policy::None, FILE), ["file: |logread -f", "ps_command: ps ax", "run: command=df -k"]);
    }

    #[test]
    fn a_pattern_has_to_match_the_whole_line() {
        let mut policy = Policy::Any;
        policy.allow("df( -k)?").unwrap();
        policy.allow("ps|top").unwrap();
        let journal = "journal: ssh\nmatch: x\nalert_all: tags=A\n";
        assert_eq!(refused(&policy, &format!("{FILE}{journal}")), ["file: |logread -f", "ps_command: ps ax", "journal: ssh.service"]);
        assert_eq!((refused(&Policy::None, journal).len(), refused(&Policy::Any, journal).len()), (1, 0));
        policy.allow("journalctl").unwrap();
        assert_eq!(refused(&policy, journal), [""; 0]);
        let command = |line: &str| format!("run: command={line} extract=(x)\nalert_metric: tags=A match=1,x metric=1\n");
        for (line, permitted) in
            [("df", true), ("df -k", true), ("top", true), ("df -k -x", false), ("xdf", false), ("df -k;id", false), ("stop", false)]
        {
            assert_eq!(refused(&policy, &command(line)).is_empty(), permitted, "{line}");
        }
    }

    #[test]
    fn a_pattern_cannot_end_what_is_put_around_it() {
        for pattern in ["a)|(?:.*", "(", "a)(b", "[", "*"] {
            assert!(Policy::Any.allow(pattern).is_err(), "{pattern}");
        }
        assert!(Policy::Any.allow("(?x)a #").is_err());
    }
}
