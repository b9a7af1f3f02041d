//! What a host file says about the host as a whole. Only the server needs it: agents do not get these lines.

use crate::directives::source::{directive, Fault, SourceLine};
use crate::text::{is_host_name, number};
use std::time::Duration;

/// The directives about a host, which stand anywhere in its file or in an include.
pub const SETTINGS: [&str; 2] = ["inactive", "parent"];

/// The settings of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// When the silence of the host is reported.
    pub inactive: Inactive,
    /// The host that it hangs behind.
    pub parent: Option<Parent>,
}

/// How long a host may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inactive {
    /// For less than this time.
    After(Duration),
    /// For ever.
    Never,
}

/// What `parent:` names, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The name of the host.
    pub host: Box<str>,
    /// The file of the line.
    pub path: Box<str>,
    /// The line, counted from 1.
    pub line: usize,
}

impl Inactive {
    /// Agents give a sign of life every 60 seconds, and Python agents every 67.
    const SHORTEST: u64 = 120;
    /// A year.
    const LONGEST: u64 = 366 * 24 * 60 * 60;

    fn parse(argument: &str) -> Option<Self> {
        if argument == "never" {
            return Some(Self::Never);
        }
        let seconds = number(argument, 10).filter(|seconds| (Self::SHORTEST..=Self::LONGEST).contains(seconds))?;
        Some(Self::After(Duration::from_secs(seconds)))
    }
}

impl Default for Inactive {
    fn default() -> Self {
        Self::After(Duration::from_secs(180))
    }
}

impl Parent {
    /// Most hosts that hang behind each other.
    const MAX_DEPTH: usize = 64;

    /// Why a host cannot hang behind this one. `parent_of` returns the parent of a host, `Some(None)` if it has none, and `None` if there is
    /// no such host.
    pub fn fault<'h>(&self, host: &str, parent_of: impl Fn(&str) -> Option<Option<&'h str>>) -> Option<Fault> {
        let fault = |reason: String| Some(Fault { path: self.path.to_string(), line: self.line, reason: format!("parent: {reason}") });
        let mut at = &*self.host;
        for depth in 0..Self::MAX_DEPTH {
            if at == host {
                let way = if depth == 0 { String::new() } else { format!(", by way of {}", self.host) };
                return fault(format!("{host} would hang behind itself{way}"));
            }
            at = match parent_of(at) {
                None if depth == 0 => return fault(format!("there is no host file {at}")),
                None | Some(None) => return None,
                Some(Some(next)) => next,
            };
        }
        fault(format!("more than {} hosts hang behind each other", Self::MAX_DEPTH))
    }
}

impl HostSettings {
    /// Takes the settings out of the lines of a host file. Returns their faults too.
    pub fn take(lines: &mut Vec<SourceLine<'_>>) -> (Self, Vec<Fault>) {
        let (mut settings, mut faults, mut given) = (Self::default(), Vec::new(), [false; SETTINGS.len()]);
        lines.retain(|line| {
            let Ok((name, argument)) = directive(line) else { return true };
            let Some(at) = SETTINGS.iter().position(|setting| *setting == name) else { return true };
            if std::mem::replace(&mut given[at], true) {
                faults.push(line.fault(format!("{name}: is given twice for one host")));
            } else if let Err(reason) = settings.set(line, name, argument) {
                faults.push(line.fault(format!("{name}: {reason}, got \"{argument}\"")));
            }
            false
        });
        (settings, faults)
    }

    fn set(&mut self, line: &SourceLine<'_>, name: &str, argument: &str) -> Result<(), String> {
        if name == "inactive" {
            let expected = || format!("expected never, or {} to {} seconds", Inactive::SHORTEST, Inactive::LONGEST);
            self.inactive = Inactive::parse(argument).ok_or_else(expected)?;
        } else if is_host_name(argument) {
            self.parent = Some(Parent { host: argument.into(), path: line.path.into(), line: line.number });
        } else {
            return Err("expected the name of a host".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::source::Source;

    fn take(text: &str) -> (Vec<SourceLine<'_>>, HostSettings, Vec<String>) {
        let mut lines = Source { path: "h", text }.lines().collect();
        let (settings, faults) = HostSettings::take(&mut lines);
        (lines, settings, faults.iter().map(ToString::to_string).collect())
    }

    fn parent(host: &str) -> Parent {
        Parent { host: host.into(), path: "h".into(), line: 1 }
    }

    #[test]
    fn settings_stand_anywhere_and_leave_the_other_lines() {
        let (lines, settings, faults) = take("file: /a\nparent: router\nmatch: b\ninactive: 86400\nwhat is this\nalert_all: tags=T");
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 3, 5, 6]);
        assert_eq!(settings.inactive, Inactive::After(Duration::from_secs(86400)));
        assert_eq!((settings.parent, faults), (Some(Parent { line: 2, ..parent("router") }), vec![]));
        assert_eq!(take("inactive: never").1.inactive, Inactive::Never);
        assert_eq!(take("").1, HostSettings::default());
    }

    #[test]
    fn faults_name_file_line_and_reason_and_leave_the_default() {
        let (lines, settings, faults) = take("inactive: 119\nparent: a b\ninactive: never\nparent:");
        assert_eq!(
            faults,
            [
                "h:1: inactive: expected never, or 120 to 31622400 seconds, got \"119\"",
                "h:2: parent: expected the name of a host, got \"a b\"",
                "h:3: inactive: is given twice for one host",
            ]
        );
        assert_eq!((settings, lines.len()), (HostSettings::default(), 1), "the parser reports a line without an argument");
        for bad in ["-1", "1e3", "31622401", "Never", "180 s"] {
            assert_eq!(take(&format!("inactive: {bad}")).2.len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_parent_must_exist_and_lead_to_no_circle() {
        let parents =
            [("a", Some("b")), ("b", Some("c")), ("c", None), ("x", Some("y")), ("y", Some("x")), ("s", Some("s")), ("o", Some("x"))];
        let parent_of = |name: &str| parents.iter().find(|(host, _)| *host == name).map(|(_, parent)| *parent);
        let fault = |host: &str| {
            let parent = parent(parent_of(host)??);
            let fault = parent.fault(host, |name| parent_of(name));
            fault.map(|fault| fault.to_string())
        };
        assert_eq!(
            (fault("a"), fault("b"), fault("o")),
            (None, None, Some("h:1: parent: more than 64 hosts hang behind each other".into()))
        );
        assert_eq!(fault("x").unwrap(), "h:1: parent: x would hang behind itself, by way of y");
        assert_eq!(fault("s").unwrap(), "h:1: parent: s would hang behind itself");
        assert_eq!(parent("gone").fault("a", parent_of).unwrap().to_string(), "h:1: parent: there is no host file gone");
    }
}
