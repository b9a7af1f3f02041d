//! A host's file: groups of directives, each of which makes one rule.

mod parser;

use super::arguments::Arguments;
use super::decimal::Decimal;
use super::{directive, Fault, SourceLine};
use crate::hash::Fnv1a;
use crate::pattern::Pattern;
use crate::schedule::Schedule;
use crate::text::has_separator;
use std::time::Duration;

/// All directives of a host file.
pub const DIRECTIVES: [&str; 15] = [
    "include",
    "file",
    "match",
    "ignore",
    "alert_all",
    "alert_n",
    "alert_count",
    "alert_inactive",
    "ps_command",
    "process",
    "alert_running",
    "run",
    "alert_if",
    "alert_metric",
    "active",
];

/// What a host file says: its good groups, and everything that is wrong with the others.
#[derive(Debug, Default)]
pub struct HostFile<'a> {
    /// In the order of the file; a group with a fault is not among them.
    pub groups: Vec<Group<'a>>,
    /// In the order of the lines.
    pub faults: Vec<Fault>,
}

/// The lines of one group and the rule that they make.
#[derive(Debug)]
pub struct Group<'a> {
    /// As they stand in the file.
    pub lines: Vec<SourceLine<'a>>,
    /// What they mean.
    pub rule: Rule,
}

/// What one group asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// `file:` up to its alert.
    Log(LogRule),
    /// `ps_command:`, for all process rules.
    ProcessList(CommandLine),
    /// `process:` with its alert.
    Process(ProcessRule),
    /// `run:` with its alerts.
    Command(CommandRule),
}

/// Follows a log and makes events of the lines that match.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRule {
    /// Where the lines come from.
    pub log: LogSource,
    /// A line matches when any of these is found in it …
    pub patterns: Vec<Pattern>,
    /// … and none of these.
    pub ignores: Vec<Pattern>,
    /// The alert's `tags=`.
    pub tags: String,
    /// What is made of the lines that match.
    pub alert: LogAlert,
    /// When the alert is active; always without.
    pub active: Option<Schedule>,
}

/// Where the lines of a log come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogSource {
    /// The file at that path.
    Path(String),
    /// Every file that the pattern of a path matches.
    Glob(String),
    /// What a command prints.
    Command(CommandLine),
}

/// What is made of the lines that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogAlert {
    /// An event a line: the message, or the line itself.
    All { message: Option<String> },
    /// The message at the end of a block in which more than `threshold` lines matched.
    Threshold { threshold: u64, block: Duration, message: String },
    /// At the end of each block the number of lines that matched.
    Count { block: Duration },
    /// The message at the end of a block in which no line matched.
    Inactive { block: Duration, message: String },
}

/// Counts the lines of the process list that match.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessRule {
    /// Found in a line that counts.
    pub pattern: Pattern,
    /// The alert's `tags=`.
    pub tags: String,
    /// Fewest lines that are in order.
    pub min: u64,
    /// Most lines that are in order.
    pub max: u64,
    /// The event's text, which the count follows.
    pub message: String,
    /// When the alert is active; always without.
    pub active: Option<Schedule>,
}

/// Runs a command and looks at what it prints.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandRule {
    /// What to run.
    pub command: CommandLine,
    /// Searched for in each line; its groups are what the alerts speak of.
    pub extract: Pattern,
    /// In the order of the file.
    pub alerts: Vec<CommandAlert>,
}

/// One alert of a [`CommandRule`]. Group numbers are within the pattern's, counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandAlert {
    /// The alert's `tags=`.
    pub tags: String,
    /// The group that must equal `text`.
    pub group: usize,
    /// What that group must be.
    pub text: String,
    /// What is made of a line for which it is.
    pub kind: CommandAlertKind,
    /// When the alert is active; always without.
    pub active: Option<Schedule>,
}

/// What is made of a line for which an alert's group equals its text.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandAlertKind {
    /// The message when the number in the group is above the limit.
    Above { group: usize, limit: Decimal, message: String },
    /// The message when the number in the group is below the limit.
    Below { group: usize, limit: Decimal, message: String },
    /// The text of the group.
    Metric { group: usize },
}

/// A program with its arguments, split at white space: no shell reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommandLine(String);

/// A command that the agent answers itself, without a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// `@df`: mounted file systems.
    Df,
    /// `@load`: load averages.
    Load,
    /// `@mem`: memory and swap.
    Mem,
    /// `@uptime`: seconds since the system started.
    Uptime,
}

impl CommandLine {
    /// A command for a process of its own; its name must not begin with `@`.
    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('@') {
            return Err(format!("a built-in command such as {text} stands behind run: command= only"));
        }
        Ok(Self::spaced(text))
    }

    /// A command for `run:`, which may be built in.
    fn parse_runnable(text: &str) -> Result<Self, String> {
        let command = Self::spaced(text);
        if text.starts_with('@') && command.builtin().is_none() {
            return Err(format!("run: there is no built-in command {text}; there are @df @load @mem @uptime"));
        }
        Ok(command)
    }

    fn spaced(text: &str) -> Self {
        let mut command = String::new();
        for word in text.split_whitespace() {
            if !command.is_empty() {
                command.push(' ');
            }
            command.push_str(word);
        }
        Self(command)
    }

    /// The command with single spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The program, and after it the arguments. Never empty.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ')
    }

    /// Which of the built-in commands this is, if any.
    pub fn builtin(&self) -> Option<Builtin> {
        match self.as_str() {
            "@df" => Some(Builtin::Df),
            "@load" => Some(Builtin::Load),
            "@mem" => Some(Builtin::Mem),
            "@uptime" => Some(Builtin::Uptime),
            _ => None,
        }
    }
}

impl LogSource {
    fn parse(argument: &str) -> Result<Self, String> {
        if let Some(command) = argument.strip_prefix('|') {
            let command = command.trim();
            if command.is_empty() {
                return Err("file: a command is missing after |".into());
            }
            return CommandLine::parse(command).map(Self::Command);
        }
        if argument.contains(['*', '?', '[']) {
            return Ok(Self::Glob(argument.into()));
        }
        Ok(Self::Path(argument.into()))
    }
}

impl LogRule {
    /// Whether the rule's patterns are found in a line, and none of those that it ignores.
    pub fn matches(&self, line: &str) -> bool {
        self.patterns.iter().any(|p| p.is_match(line)) && !self.ignores.iter().any(|p| p.is_match(line))
    }

    /// Whether this rule and another match the same lines, as their patterns stand.
    pub fn matches_like(&self, other: &Self) -> bool {
        self.patterns == other.patterns && self.ignores == other.ignores
    }
}

impl LogSource {
    /// What an event's file field says; for a wildcard only where no real path is known.
    pub fn field(&self) -> String {
        match self {
            Self::Path(path) | Self::Glob(path) => path.clone(),
            Self::Command(command) => format!("|{}", command.as_str()),
        }
    }
}

impl Group<'_> {
    /// A fault of the whole group, at its first line.
    pub fn fault(&self, reason: impl Into<String>) -> Fault {
        let first = self.lines.first();
        Fault {
            path: first.map_or_else(String::new, |line| line.path.into()),
            line: first.map_or(0, |line| line.number),
            reason: reason.into(),
        }
    }

    /// A number that equal groups have, whatever file and line they stand in: what tells whether a rule changed.
    pub fn identity(&self) -> u64 {
        self.lines.iter().fold(Fnv1a::EMPTY, |hash, line| hash.with(line.text.as_bytes()).with(b"\n")).value()
    }

    /// The group as version 1 agents read it: arguments in their order.
    ///
    /// # Errors
    /// What in it such an agent does not know.
    pub fn classic_lines(&self) -> Result<Vec<String>, &'static str> {
        if self.lines.iter().any(|line| has_separator(line.text)) {
            return Err("a line with %% in it");
        }
        if let Some(extension) = self.rule.extension() {
            return Err(extension);
        }
        Ok(self.lines.iter().map(classic_line).collect())
    }
}

impl Rule {
    /// What version 1 agents do not know of this rule. That a process rule needs a `ps_command:` there is for the whole file to see.
    fn extension(&self) -> Option<&'static str> {
        match self {
            Self::Log(LogRule { log: LogSource::Command(_), .. }) => Some("file: |COMMAND"),
            Self::Log(LogRule { log: LogSource::Glob(_), .. }) => Some("file: with a wildcard"),
            Self::Log(rule) if !rule.ignores.is_empty() => Some("ignore:"),
            Self::Command(rule) if rule.command.builtin().is_some() => Some("a built-in command"),
            _ => None,
        }
    }
}

fn classic_line(line: &SourceLine<'_>) -> String {
    if let Ok((name, argument)) = directive(line) {
        let (keys, text) = (keys_of(name), line.text);
        if !keys.is_empty() {
            let arguments = Arguments::parse(name, argument, keys);
            let ordered = arguments.in_order(keys);
            return arguments.done().map_or(text.to_string(), |()| format!("{name}: {ordered}"));
        }
    }
    line.text.to_string()
}

/// The keys of a directive that has `key=value` arguments, in the order in which version 1 agents expect them; none for others.
fn keys_of(name: &str) -> &'static [&'static str] {
    match name {
        "alert_all" => &["tags", "message"],
        "alert_n" => &["tags", "threshold", "seconds", "message"],
        "alert_count" => &["tags", "seconds"],
        "alert_inactive" => &["tags", "seconds", "message"],
        "alert_running" => &["tags", "min", "max", "message"],
        "run" => &["command", "extract"],
        "alert_if" => &["tags", "match", "upper_limit", "lower_limit", "message"],
        "alert_metric" => &["tags", "match", "metric"],
        _ => &[],
    }
}

/// Patterns that were compiled lately, and why others were not: thousands of host files repeat the same few.
#[derive(Debug, Default)]
pub struct Patterns {
    known: Vec<(Box<str>, Result<Pattern, String>)>,
}

impl Patterns {
    /// Most patterns that are kept.
    const MAX: usize = 64;

    fn parse(&mut self, text: &str) -> Result<Pattern, String> {
        if let Some((_, known)) = self.known.iter().find(|(known, _)| **known == *text) {
            return known.clone();
        }
        if self.known.len() >= Self::MAX {
            self.known.clear();
        }
        let pattern = Pattern::parse(text);
        self.known.push((text.into(), pattern.clone()));
        pattern
    }
}

impl<'a> HostFile<'a> {
    /// The lines of the good groups. Of a file without a fault these are all lines.
    pub fn good_lines(&self) -> Vec<SourceLine<'a>> {
        self.groups.iter().flat_map(|group| group.lines.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::Source;

    fn parse(text: &str) -> HostFile<'_> {
        HostFile::parse(Source { path: "nas1", text }.lines())
    }

    const EVERYTHING: &str = "\
# A comment
file: /var/log/messages
match: error
match: fail(ed|ure)
ignore: harmless
active: 12345;08:00-18:00
alert_all: tags=LOG

file: /var/log/auth.log
match: authentication failure
alert_n: tags=AUTH threshold=3 seconds=60 message=Too many failures

file: /var/log/*.log
match: .
alert_count: tags=COUNT seconds=300

file: |logread -f
match: kernel
alert_inactive: tags=QUIET seconds=3600 message=Nothing for an hour

ps_command: ps ax
process: [s]shd
alert_running: tags=SSH min=1 max=5 message=sshd processes

run: command=df -k extract=^\\S+ +\\d+ +\\d+ +\\d+ +(\\d+)% (.+)$
active: 0123456;00:00-23:59
alert_if: tags=DISK match=2,/ upper_limit=1,90 message=Disk full
alert_metric: tags=DISKM match=2,/ metric=1

run: command=@load extract=^(load) (\\S+)
alert_if: tags=LOAD match=1,load lower_limit=2,0.5 message=Idle
";

    #[test]
    fn every_directive_makes_its_rule() {
        let file = parse(EVERYTHING);
        assert_eq!(file.faults, []);
        let rules: Vec<_> = file.groups.iter().map(|group| &group.rule).collect();
        let [Rule::Log(all), Rule::Log(threshold), Rule::Log(count), Rule::Log(inactive), Rule::ProcessList(list), Rule::Process(process), Rule::Command(df), Rule::Command(load)] =
            rules[..]
        else {
            panic!("{rules:?}")
        };
        assert_eq!((all.patterns.len(), all.ignores.len(), &*all.tags), (2, 1, "LOG"));
        assert_eq!(all.alert, LogAlert::All { message: None });
        assert!(all.active.is_some());
        assert_eq!(threshold.log, LogSource::Path("/var/log/auth.log".into()));
        assert_eq!(threshold.active, None);
        let message = "Too many failures".to_string();
        assert_eq!(threshold.alert, LogAlert::Threshold { threshold: 3, block: Duration::from_secs(60), message });
        assert_eq!(count.log, LogSource::Glob("/var/log/*.log".into()));
        assert_eq!(count.alert, LogAlert::Count { block: Duration::from_secs(300) });
        assert_eq!(inactive.log, LogSource::Command(CommandLine("logread -f".into())));
        assert_eq!(list.words().collect::<Vec<_>>(), ["ps", "ax"]);
        assert_eq!((process.min, process.max, &*process.message), (1, 5, "sshd processes"));
        assert_eq!(df.command.as_str(), "df -k");
        assert_eq!(df.extract.groups(), 2);
        let [full, metric] = &df.alerts[..] else { panic!() };
        assert_eq!((full.group, &*full.text), (2, "/"));
        assert_eq!(full.kind, CommandAlertKind::Above { group: 1, limit: Decimal::parse("90").unwrap(), message: "Disk full".into() });
        assert!(full.active.is_some() && metric.active.is_none());
        assert_eq!(metric.kind, CommandAlertKind::Metric { group: 1 });
        assert_eq!(load.command.builtin(), Some(Builtin::Load));
        assert_eq!(
            load.alerts[0].kind,
            CommandAlertKind::Below { group: 2, limit: Decimal::parse("0.5").unwrap(), message: "Idle".into() }
        );
    }

    #[test]
    fn the_good_lines_make_the_same_file_again() {
        let file = parse(EVERYTHING);
        assert_eq!(file.good_lines(), Source { path: "nas1", text: EVERYTHING }.lines().collect::<Vec<_>>());
        let again = HostFile::parse(file.good_lines());
        assert_eq!(again.groups.len(), file.groups.len());
        for (a, b) in again.groups.iter().zip(&file.groups) {
            assert_eq!((&a.rule, a.identity()), (&b.rule, b.identity()));
        }
    }

    #[test]
    fn patterns_that_are_known_make_the_same_rules_and_faults() {
        let bad = "file: /a\nmatch: a(\nalert_all: tags=T\n";
        let mut patterns = Patterns::default();
        for text in
            [EVERYTHING.to_string(), format!("{bad}{bad}{EVERYTHING}"), (0..200).map(|i| bad.replace("a(", &format!("{i}("))).collect()]
        {
            for _ in 0..2 {
                let known = HostFile::parse_knowing(Source { path: "nas1", text: &text }.lines(), &mut patterns);
                let rules = |file: &HostFile<'_>| file.groups.iter().map(|group| group.rule.clone()).collect::<Vec<_>>();
                assert_eq!((rules(&known), &known.faults), (rules(&parse(&text)), &parse(&text).faults));
                assert!(patterns.known.len() <= Patterns::MAX);
            }
        }
    }

    #[test]
    fn what_version_1_agents_do_not_know_is_named() {
        let file = parse(EVERYTHING);
        let reasons: Vec<_> = file.groups.iter().map(|group| group.classic_lines().err()).collect();
        assert_eq!(
            reasons,
            [Some("ignore:"), None, Some("file: with a wildcard"), Some("file: |COMMAND"), None, None, None, Some("a built-in command")]
        );
        let file = parse("file: /a\nmatch: 100%%\nalert_all: tags=T");
        assert_eq!(file.groups[0].classic_lines(), Err("a line with %% in it"));
    }

    #[test]
    fn arguments_reach_version_1_agents_in_their_order() {
        let file = parse("file: /a\n  match: b\nalert_n: threshold=2   seconds=5 tags=T message=two  words");
        assert_eq!(
            file.groups[0].classic_lines().unwrap(),
            ["file: /a", "match: b", "alert_n: tags=T threshold=2 seconds=5 message=two  words"]
        );
    }
}
