//! A host file that was valid before the present directives and terms makes the same rules. `same_rules/README.md` says how the rules
//! were written down.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the host files are files")]

use project436::directives::decimal::Decimal;
use project436::directives::host::{
    AlertSubject, CommandAlert, CommandAlertKind, CommandRule, ConditionRule, EventText, GoodStatuses, Group, HostFile, LogAlert, LogRule,
    LogSource, ProcessRule, Rule, Run,
};
use project436::directives::quantity::{Measure, Quantity};
use project436::directives::{expand, Source};
use project436::pattern::{Pattern, Work};
use project436::schedule::Schedule;
use std::cmp::Ordering;
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn file(kind: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/core/same_rules").join(kind).join(name)
}

fn text(kind: &str, name: &str) -> Option<String> {
    std::fs::read_to_string(file(kind, name)).ok()
}

/// The names of the host files.
fn names() -> Vec<String> {
    let names = std::fs::read_dir(file("hosts", "")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// What is written down of the rules of a host file: each group, and which of the sample lines it finds.
struct Written<'a> {
    text: String,
    lines: Vec<&'a str>,
}

impl Written<'_> {
    fn group(&mut self, group: &Group<'_>) {
        self.put("group", format!("{:016x}", group.identity()));
        match &group.rule {
            Rule::Log(rule) => self.log(rule),
            Rule::ProcessList(command) => self.put("list", command.as_str()),
            Rule::Process(rule) => self.process(rule),
            Rule::Command(rule) => self.command(rule),
        }
        match group.classic_lines() {
            Ok(lines) => lines.iter().for_each(|line| self.put("  python", line)),
            Err(reason) => self.put("  not for python", reason),
        }
    }

    fn put(&mut self, what: &str, value: impl AsRef<str>) {
        writeln!(self.text, "{what} {}", value.as_ref()).unwrap();
    }

    /// Everything that a rule of old can have. What it cannot have is written as it is, and makes a difference.
    fn log(&mut self, rule: &LogRule) {
        match &rule.log {
            LogSource::Path(path) => self.put("log path", path),
            LogSource::Glob { pattern, excludes } if excludes.is_empty() => self.put("log wildcard", pattern),
            LogSource::Command(command) => self.put("log command", command.as_str()),
            other => self.put("log", format!("{other:?}")),
        }
        rule.patterns.iter().for_each(|pattern| self.put("  match", pattern.as_str()));
        rule.ignores.iter().for_each(|pattern| self.put("  ignore", pattern.as_str()));
        if !rule.units.is_empty() || rule.joining.is_some() || !rule.captures.is_empty() {
            self.put("  new", format!("{:?} {:?} {:?}", rule.units, rule.joining, rule.captures));
        }
        self.put("  tags", &rule.tags);
        match &rule.alert {
            LogAlert::All { message: None, limit: None } => self.put("  all", ""),
            LogAlert::All { message: Some(EventText::Literal(message)), limit: None } => self.put("  all", message),
            LogAlert::Threshold { threshold, block, by: None, message: EventText::Literal(message) } => {
                self.put("  threshold", format!("{threshold} in {block:?}: {message}"));
            }
            LogAlert::Count { block, by: None } => self.put("  count", format!("{block:?}")),
            LogAlert::Inactive { block, message } => self.put("  inactive", format!("{block:?}: {message}")),
            other => self.put("  new", format!("{other:?}")),
        }
        self.terms(&rule.condition, rule.active.as_ref());
        self.found(|line| rule.matches(line, &mut 0, &mut Work::turn()) == Some(true));
    }

    fn process(&mut self, rule: &ProcessRule) {
        self.put("process", rule.pattern.as_str());
        self.put("  tags", &rule.tags);
        self.put("  running", format!("{} to {}: {}", rule.min, rule.max, rule.message));
        if !rule.filter.is_empty() || rule.every != ProcessRule::EVERY {
            self.put("  new", format!("{:?} {:?}", rule.filter, rule.every));
        }
        self.terms(&rule.condition, rule.active.as_ref());
        self.found(|line| rule.pattern.is_match(line));
    }

    fn command(&mut self, rule: &CommandRule) {
        self.put("command", rule.run.command.as_str());
        self.put("  built in", format!("{:?}", rule.run.command.builtin()));
        self.put("  extract", rule.extract.as_ref().map_or("", Pattern::as_str));
        if rule.run != Run::usual(rule.run.command.clone()) || rule.ok != GoodStatuses::Success {
            self.put("  new", format!("{:?} {:?}", rule.run, rule.ok));
        }
        for alert in &rule.alerts {
            self.put("  alert", &alert.tags);
            match &alert.subject {
                AlertSubject::Text(group, text) => self.put("  applies to", format!("{group}: {text}")),
                other => self.put("  new", format!("{other:?}")),
            }
            match &alert.kind {
                CommandAlertKind::Above { group, limit, message: EventText::Literal(message) } => {
                    self.limit("above", *group, limit, message)
                }
                CommandAlertKind::Below { group, limit, message: EventText::Literal(message) } => {
                    self.limit("below", *group, limit, message)
                }
                CommandAlertKind::Metric { group } => self.put("  metric", group.to_string()),
                other => self.put("  new", format!("{other:?}")),
            }
            self.terms(&alert.condition, alert.active.as_ref());
            self.found(|line| makes_event(rule, alert, line));
        }
    }

    fn limit(&mut self, side: &str, group: usize, limit: &Quantity, message: &str) {
        let number = match limit.measure {
            Measure::Number => format!("{:?}", limit.number),
            other => format!("{:?} {other:?}", limit.number),
        };
        self.put(&format!("  {side}"), format!("{group}: {number}: {message}"));
    }

    fn terms(&mut self, terms: &ConditionRule, active: Option<&Schedule>) {
        if *terms != ConditionRule::default() {
            let ConditionRule { count, until, repeat, cleared } = terms;
            self.put("  terms", format!("for {count:?} until {until:?} repeat {repeat:?} cleared {cleared:?}"));
        }
        active.iter().for_each(|active| self.put("  active", active.to_string()));
    }

    fn found(&mut self, finds: impl Fn(&str) -> bool) {
        let found: String = (1..).zip(&self.lines).filter(|(_, line)| finds(line)).map(|(number, _)| format!(" {number}")).collect();
        self.put("  lines", found.trim());
    }
}

/// Whether an alert of a command makes an event of a line.
fn makes_event(rule: &CommandRule, alert: &CommandAlert, line: &str) -> bool {
    let captures = rule.extract.as_ref().and_then(|extract| extract.captures(line, &mut Work::turn()));
    let text = |group| captures.as_ref().and_then(|captures| captures.get(group)).map_or("", |found| found.as_str());
    let compares =
        |group, limit: &Quantity, side| limit.measure.read(text(group)).is_some_and(|number: Decimal| number.cmp(&limit.number) == side);
    let applies = matches!(&alert.subject, AlertSubject::Text(group, wanted) if captures.is_some() && text(*group) == wanted);
    applies
        && match &alert.kind {
            CommandAlertKind::Above { group, limit, .. } => compares(*group, limit, Ordering::Greater),
            CommandAlertKind::Below { group, limit, .. } => compares(*group, limit, Ordering::Less),
            CommandAlertKind::Metric { .. } => true,
        }
}

#[test]
fn host_files_that_were_valid_make_the_rules_that_they_made() {
    let names = names();
    assert!(names.len() >= 12, "{names:?}");
    for name in names {
        let host = text("hosts", &name).unwrap();
        let includes: Vec<(String, String)> =
            ["linux_logs", "linux_processes", "linux_system", "half"].map(|name| (name.into(), text("includes", name).unwrap())).into();
        let include = |wanted: &str| includes.iter().find(|(name, _)| name == wanted).map(|(path, text)| Source { path, text });
        let expanded = expand(Source { path: &name, text: &host }, include);
        let file = HostFile::parse(expanded.lines.iter().copied());
        assert_eq!((expanded.faults, file.faults), (vec![], vec![]), "{name}");
        let lines = text("lines", &name).unwrap_or_default();
        let mut written = Written { text: String::new(), lines: lines.lines().collect() };
        file.groups.iter().for_each(|group| written.group(group));
        let expected = text("rules", &name).unwrap();
        for (at, (now, before)) in written.text.lines().zip(expected.lines()).enumerate() {
            assert_eq!(now, before, "{name}: line {} of rules/{name}", at + 1);
        }
        assert_eq!(written.text.lines().count(), expected.lines().count(), "{name}");
    }
}
