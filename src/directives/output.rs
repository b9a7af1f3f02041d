//! The groups of the server file that begin with `output:`: which events a command gets, when, and in what form.

use super::arguments::Arguments;
use super::source::{Fault, SourceLine};
use crate::schedule::Schedule;
use crate::wire::{Kind, State};
use std::time::Duration;

/// One output: a command that gets events on its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Names the output in the log, in events and on the command line.
    pub name: String,
    /// The output gets events that one of these chooses; all events if there is none.
    pub selections: Vec<Selection>,
    /// The form of the events.
    pub format: Format,
    /// How many events the command gets at once, and how its end is judged.
    pub batch: Batch,
    /// How many events it gets in a period.
    pub limit: Option<Limit>,
    /// When it runs; always if there is none.
    pub active: Option<Schedule>,
    /// The program and its arguments. Never empty.
    pub command: Vec<String>,
}

/// One `select:`. All of its lists must match; an empty one always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Hosts, with wildcards.
    pub hosts: Vec<String>,
    /// Tags, with wildcards: the whole field or a part of it between commas.
    pub tags: Vec<String>,
    /// Kinds. An event without one matches none.
    pub kinds: Vec<Kind>,
    /// States. An event without one matches none.
    pub states: Vec<State>,
}

/// The form in which a command gets events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The lines of a classic stream.
    #[default]
    Classic,
    /// The lines of a stream in JSON.
    Json,
    /// For people.
    Text,
    /// The array that the API v2 of Alertmanager takes.
    Alertmanager,
    /// RFC 5424, octet-counted as in RFC 6587.
    Syslog,
}

/// What `batch:` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Most events of one run of the command.
    pub events: usize,
    /// How long events wait for others to come with them.
    pub wait: Duration,
    /// How long the command may run.
    pub timeout: Duration,
    /// The exit status by which the command gives up an event for ever.
    pub drop: Option<i32>,
}

/// What `limit:` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Most events in a period.
    pub events: u64,
    /// The length of a period in seconds.
    pub seconds: u64,
}

impl Default for Batch {
    fn default() -> Self {
        Self { events: 100, wait: Duration::ZERO, timeout: Duration::from_secs(30), drop: None }
    }
}

impl Format {
    const ALL: [(&str, Self); 5] = [
        ("classic", Self::Classic),
        ("json", Self::Json),
        ("text", Self::Text),
        ("alertmanager", Self::Alertmanager),
        ("syslog", Self::Syslog),
    ];

    fn parse(word: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == word);
        found.map(|(_, format)| *format).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            format!("format: expected one of {names}, got \"{word}\"")
        })
    }
}

impl Selection {
    fn parse(argument: &str) -> Result<Self, String> {
        let mut arguments = Arguments::parse("select", argument, &["states", "kinds", "tags", "hosts"]);
        let mut words = |key: &str| -> Vec<String> {
            let list = arguments.optional(key).unwrap_or_default();
            list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_string).collect()
        };
        let (states, kinds, tags, hosts) = (words("states"), words("kinds"), words("tags"), words("hosts"));
        arguments.done()?;
        let states = states.iter().map(|word| State::parse(word).ok_or_else(|| unknown("state", word, State::ALL.map(State::as_str))));
        let kinds = kinds.iter().map(|word| Kind::parse(word).ok_or_else(|| unknown("kind", word, Kind::ALL.map(Kind::as_str))));
        Ok(Self { hosts, tags, kinds: kinds.collect::<Result<_, _>>()?, states: states.collect::<Result<_, _>>()? })
    }
}

fn unknown<const N: usize>(what: &str, word: &str, known: [&str; N]) -> String {
    format!("select: there is no {what} \"{word}\"; there are {}", known.join(", "))
}

impl Batch {
    const MOST_EVENTS: u64 = 10_000;
    const MOST_SECONDS: u64 = 7 * 86_400;
    const LONGEST_RUN: u64 = 3600;

    fn parse(argument: &str) -> Result<Self, String> {
        let mut arguments = Arguments::parse("batch", argument, &["events", "seconds", "timeout", "drop"]);
        let default = Self::default();
        let mut number = |key: &str, least: u64, most: u64| -> Option<u64> {
            arguments.get(key)?;
            let number = arguments.number(key, least);
            if number > most {
                arguments.fail(format_args!("{key}= is at most {most}"));
            }
            Some(number)
        };
        let events = number("events", 1, Self::MOST_EVENTS).and_then(|events| usize::try_from(events).ok());
        let wait = number("seconds", 0, Self::MOST_SECONDS).map(Duration::from_secs);
        let timeout = number("timeout", 1, Self::LONGEST_RUN).map(Duration::from_secs);
        let drop = number("drop", 1, 255).and_then(|status| i32::try_from(status).ok());
        arguments.done()?;
        Ok(Self {
            events: events.unwrap_or(default.events),
            wait: wait.unwrap_or(default.wait),
            timeout: timeout.unwrap_or(default.timeout),
            drop,
        })
    }
}

impl Limit {
    fn parse(argument: &str) -> Result<Self, String> {
        let mut arguments = Arguments::parse("limit", argument, &["events", "seconds"]);
        let limit = Self { events: arguments.number("events", 1), seconds: arguments.number("seconds", 1) };
        arguments.done()?;
        Ok(limit)
    }
}

/// The directives of a group.
pub(super) const OPENER: &str = "output";
pub(super) const MEMBERS: [&str; 6] = ["select", "format", "batch", "limit", "active", "run"];

/// The groups of a file, while its lines are read.
#[derive(Default)]
pub(super) struct Outputs<'a> {
    groups: Vec<Draft<'a>>,
    faults: Vec<Fault>,
    /// Whether the next member belongs to the last group.
    open: bool,
}

struct Draft<'a> {
    opener: SourceLine<'a>,
    name: &'a str,
    members: Vec<(&'a str, &'a str, SourceLine<'a>)>,
}

impl<'a> Outputs<'a> {
    /// Takes a directive. Returns whether it is one of outputs.
    pub(super) fn take(&mut self, name: &'a str, argument: &'a str, line: SourceLine<'a>) -> bool {
        if name == OPENER {
            self.groups.push(Draft { opener: line, name: argument, members: Vec::new() });
            self.open = true;
            return true;
        }
        let is_member = MEMBERS.contains(&name);
        match self.groups.last_mut().filter(|_| self.open) {
            Some(group) if is_member => group.members.push((name, argument, line)),
            None if is_member => self.faults.push(line.fault(format!("{name}: belongs behind an {OPENER}:"))),
            _ => self.open = false,
        }
        is_member
    }

    /// The outputs without a fault, each with the line of its command, and the faults of all others.
    pub(super) fn finish(self) -> (Vec<(Output, usize)>, Vec<Fault>) {
        let (mut outputs, mut faults) = (Vec::new(), self.faults);
        let mut names = Vec::new();
        for group in self.groups {
            if names.contains(&group.name) {
                faults.push(group.opener.fault(format!("{OPENER}: there is another one of the name {}", group.name)));
                continue;
            }
            names.push(group.name);
            let line = group.members.iter().find(|(name, ..)| *name == "run").map_or(0, |(.., line)| line.number);
            match group.parse() {
                Ok(output) => outputs.push((output, line)),
                Err(found) => faults.extend(found),
            }
        }
        faults.sort_by_key(|fault| fault.line);
        (outputs, faults)
    }
}

impl Draft<'_> {
    fn parse(self) -> Result<Output, Vec<Fault>> {
        let mut faults = Vec::new();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.len() > 64 || !self.name.chars().all(is_plain) {
            faults.push(self.opener.fault(format!("{OPENER}: a name has up to 64 letters, digits and -_., got \"{}\"", self.name)));
        }
        let mut output = Output {
            name: self.name.into(),
            selections: Vec::new(),
            format: Format::default(),
            batch: Batch::default(),
            limit: None,
            active: None,
            command: Vec::new(),
        };
        for (at, (name, argument, line)) in self.members.iter().enumerate() {
            if *name != "select" && self.members[..at].iter().any(|(earlier, ..)| earlier == name) {
                faults.push(line.fault(format!("{name}: is given twice")));
                continue;
            }
            let outcome = match *name {
                "select" => Selection::parse(argument).map(|selection| output.selections.push(selection)),
                "format" => Format::parse(argument).map(|format| output.format = format),
                "batch" => Batch::parse(argument).map(|batch| output.batch = batch),
                "limit" => Limit::parse(argument).map(|limit| output.limit = Some(limit)),
                "active" => Schedule::parse(argument).map(|schedule| output.active = Some(schedule)),
                _ => {
                    output.command = argument.split_whitespace().map(str::to_string).collect();
                    Ok(())
                }
            };
            faults.extend(outcome.err().map(|reason| line.fault(reason)));
        }
        if !self.members.iter().any(|(name, ..)| *name == "run") {
            faults.push(self.opener.fault(format!("{OPENER}: run: is missing for {}", self.name)));
        }
        if faults.is_empty() {
            Ok(output)
        } else {
            Err(faults)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::source::{directive, Source};

    fn parse(text: &str) -> (Vec<Output>, Vec<String>) {
        let mut outputs = Outputs::default();
        for line in (Source { path: "c", text }).lines() {
            let (name, argument) = directive(&line).unwrap();
            outputs.take(name, argument, line);
        }
        let (outputs, faults) = outputs.finish();
        (outputs.into_iter().map(|(output, _)| output).collect(), faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_directive_of_a_group_is_read() {
        let text = "output: mail\nselect: tags=DISK,LOGIN hosts=nas*,web* states=opened,closed\nselect: kinds=system\nformat: text\n\
                    batch: events=7 seconds=30 timeout=5 drop=65\nlimit: events=20 seconds=3600\nactive: 12345;08:00-18:00\n\
                    run: msmtp  ops@example.org\nport: 1\noutput: least\nrun: cat\n";
        let (outputs, faults) = parse(text);
        assert_eq!(faults, [""; 0]);
        let mail = &outputs[0];
        let words = |list: &[String]| list.join(" ");
        assert_eq!((&*mail.name, mail.format, words(&mail.command)), ("mail", Format::Text, "msmtp ops@example.org".into()));
        let [first, second] = &mail.selections[..] else { panic!("{:?}", mail.selections) };
        assert_eq!((words(&first.tags), words(&first.hosts)), ("DISK LOGIN".into(), "nas* web*".into()));
        assert_eq!((&first.states[..], &second.kinds[..]), (&[State::Opened, State::Closed][..], &[Kind::System][..]));
        let batch = Batch { events: 7, wait: Duration::from_secs(30), timeout: Duration::from_secs(5), drop: Some(65) };
        assert_eq!((mail.batch, mail.limit), (batch, Some(Limit { events: 20, seconds: 3600 })));
        assert!(mail.active.is_some());
        let least = &outputs[1];
        assert_eq!((least.batch, least.format, &least.selections[..]), (Batch::default(), Format::Classic, &[][..]));
    }

    #[test]
    fn a_fault_has_its_line_and_the_other_outputs_stay() {
        let text = "select: hosts=a\noutput: a b\nrun: x\noutput: nothing\noutput: good\nrun: x\noutput: good\nrun: y\n\
                    output: bad\nselect: colour=red\nselect: kinds=noise\nselect: states=ajar\nformat: xml\nbatch: events=0\n\
                    batch: events=1\nlimit: events=1\nactive: never\nrun: x\nrun: y\nport: 1\nrun: z\n";
        let (outputs, faults) = parse(text);
        assert_eq!(outputs.iter().map(|output| &*output.name).collect::<Vec<_>>(), ["good"]);
        assert_eq!(outputs[0].command, ["x"]);
        let expected = [
            "c:1: select: belongs behind an output:",
            "c:2: output: a name has up to 64 letters, digits and -_., got \"a b\"",
            "c:4: output: run: is missing for nothing",
            "c:7: output: there is another one of the name good",
            "c:10: select: expected one of states= kinds= tags= hosts=, got \"colour=red\"",
            "c:11: select: there is no kind \"noise\"; there are line, threshold, absence, process, limit, count, metric, system",
            "c:12: select: there is no state \"ajar\"; there are opened, repeated, closed",
            "c:13: format: expected one of classic, json, text, alertmanager, syslog, got \"xml\"",
            "c:14: batch: events= is a whole number of at least 1, got \"0\"",
            "c:15: batch: is given twice",
            "c:16: limit: seconds= is missing",
            "c:17: active: expected DAYS;HH:MM-HH:MM, got \"never\"",
            "c:19: run: is given twice",
            "c:21: run: belongs behind an output:",
        ];
        assert_eq!(faults, expected);
    }
}
