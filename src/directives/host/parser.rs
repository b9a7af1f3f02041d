//! Reads a host file: line by line into groups, with all that is wrong with them.

use super::{
    keys_of, CommandAlert, CommandAlertKind, CommandLine, CommandRule, Group, HostFile, LogAlert, LogRule, LogSource, Patterns,
    ProcessRule, Rule,
};
use crate::directives::arguments::Arguments;
use crate::directives::decimal::Decimal;
use crate::directives::{directive, Fault, SourceLine};
use crate::pattern::Pattern;
use crate::schedule::Schedule;
use std::time::Duration;

impl<'a> HostFile<'a> {
    /// Reads the lines of a host file whose includes are in place.
    pub fn parse(lines: impl IntoIterator<Item = SourceLine<'a>>) -> Self {
        Self::parse_knowing(lines, &mut Patterns::default())
    }

    /// The same, where many files are read that have patterns in common.
    pub fn parse_knowing(lines: impl IntoIterator<Item = SourceLine<'a>>, patterns: &mut Patterns) -> Self {
        let mut parser = Parser {
            patterns,
            file: HostFile::default(),
            open: Open::Nothing,
            lines: Vec::new(),
            active: None,
            faulty: false,
            has_process_list: false,
        };
        for line in lines {
            let outcome =
                directive(&line).and_then(|(name, argument)| parser.directive(&line, name, argument).map_err(|reason| line.fault(reason)));
            if let Err(fault) = outcome {
                parser.fail(fault);
            }
        }
        parser.close();
        parser.file
    }
}

/// What the directives so far have begun.
#[derive(Default)]
enum Open {
    /// No group.
    #[default]
    Nothing,
    /// A group whose first line was already wrong: its other lines are not judged.
    Unknown,
    Log {
        log: LogSource,
        patterns: Vec<Pattern>,
        ignores: Vec<Pattern>,
    },
    Process(Pattern),
    Command(CommandRule),
}

struct Parser<'a, 'p> {
    patterns: &'p mut Patterns,
    file: HostFile<'a>,
    open: Open,
    /// The lines of the group that is open.
    lines: Vec<SourceLine<'a>>,
    /// An `active:` that waits for its alert.
    active: Option<Schedule>,
    /// Whether the open group has had a fault.
    faulty: bool,
    has_process_list: bool,
}

impl<'a> Parser<'a, '_> {
    fn fail(&mut self, fault: Fault) {
        self.file.faults.push(fault);
        self.faulty = true;
        if matches!(self.open, Open::Nothing) {
            self.open = Open::Unknown;
        }
    }

    fn directive(&mut self, line: &SourceLine<'a>, name: &'a str, argument: &'a str) -> Result<(), String> {
        if matches!(name, "file" | "process" | "run" | "ps_command") {
            self.close();
            self.lines.push(*line);
            self.open = self.opened_by(name, argument)?;
            return Ok(());
        }
        self.lines.push(*line);
        match name {
            "match" | "ignore" => self.pattern(name, argument),
            "active" => self.schedule(argument),
            "alert_all" | "alert_n" | "alert_count" | "alert_inactive" => self.log_alert(name, argument),
            "alert_running" => self.process_alert(argument),
            "alert_if" | "alert_metric" => self.command_alert(name, argument),
            "include" => Err("include: stands in the host file itself, not in an include or a configuration in force".into()),
            _ => Err(format!("{name}: unknown directive")),
        }
    }

    fn opened_by(&mut self, name: &'a str, argument: &'a str) -> Result<Open, String> {
        match name {
            "file" => Ok(Open::Log { log: LogSource::parse(argument)?, patterns: Vec::new(), ignores: Vec::new() }),
            "process" => Ok(Open::Process(self.patterns.parse(argument)?)),
            "run" => {
                let mut arguments = Arguments::parse(name, argument, &["command", "extract"])?;
                let command = CommandLine::parse_runnable(arguments.required("command")?)?;
                let extract = self.patterns.parse(arguments.required("extract")?)?;
                Ok(Open::Command(CommandRule { command, extract, alerts: Vec::new() }))
            }
            _ => {
                if std::mem::replace(&mut self.has_process_list, true) {
                    return Err("ps_command: is given twice".into());
                }
                self.finish(Rule::ProcessList(CommandLine::parse(argument)?));
                Ok(Open::Nothing)
            }
        }
    }

    fn pattern(&mut self, name: &str, argument: &str) -> Result<(), String> {
        match &mut self.open {
            Open::Log { patterns, ignores, .. } => {
                let pattern = self.patterns.parse(argument)?;
                if name == "ignore" && patterns.is_empty() && !self.faulty {
                    return Err("ignore: stands after a match:".into());
                }
                if name == "match" { patterns } else { ignores }.push(pattern);
                Ok(())
            }
            Open::Unknown => Ok(()),
            _ => Err(format!("{name}: stands in a group that file: opened; each alert needs its own file: and match:")),
        }
    }

    fn schedule(&mut self, argument: &str) -> Result<(), String> {
        if matches!(self.open, Open::Nothing) {
            return Err("active: stands in a group, before its alert".into());
        }
        let schedule = Schedule::parse(argument)?;
        if self.active.replace(schedule).is_some() {
            return Err("active: is given twice for one alert".into());
        }
        Ok(())
    }

    fn log_alert(&mut self, name: &str, argument: &str) -> Result<(), String> {
        let (log, patterns, ignores) = match std::mem::take(&mut self.open) {
            Open::Log { log, patterns, ignores } => (log, patterns, ignores),
            Open::Unknown => {
                self.abandon();
                return Ok(());
            }
            other => {
                self.open = other;
                return Err(format!("{name}: stands in a group that file: opened; each alert needs its own file: and match:"));
            }
        };
        let active = self.active.take();
        let alert = log_alert(name, argument);
        if patterns.is_empty() && !self.faulty {
            self.open = Open::Unknown;
            return Err(format!("{name}: needs a match: before it"));
        }
        match alert {
            Ok((tags, alert)) => {
                self.finish(Rule::Log(LogRule { log, patterns, ignores, tags, alert, active }));
                Ok(())
            }
            // A second alert may follow in place of the wrong one, but the group is lost.
            Err(reason) => {
                self.open = Open::Unknown;
                Err(reason)
            }
        }
    }

    fn process_alert(&mut self, argument: &str) -> Result<(), String> {
        let pattern = match std::mem::take(&mut self.open) {
            Open::Process(pattern) => pattern,
            Open::Unknown => {
                self.abandon();
                return Ok(());
            }
            other => {
                self.open = other;
                return Err("alert_running: stands in a group that process: opened".into());
            }
        };
        let active = self.active.take();
        self.open = Open::Unknown;
        let mut arguments = Arguments::parse("alert_running", argument, &["tags", "min", "max", "message"])?;
        let (tags, min, max) = (arguments.tags()?, arguments.number("min", 0)?, arguments.number("max", 0)?);
        let message = arguments.required("message")?.to_string();
        if min > max {
            return Err(format!("alert_running: min={min} is above max={max}"));
        }
        self.finish(Rule::Process(ProcessRule { pattern, tags, min, max, message, active }));
        Ok(())
    }

    fn command_alert(&mut self, name: &str, argument: &str) -> Result<(), String> {
        let active = match &self.open {
            Open::Command(_) => self.active.take(),
            Open::Unknown => return Ok(()),
            _ => return Err(format!("{name}: stands in a group that run: opened")),
        };
        let Open::Command(rule) = &mut self.open else { return Ok(()) };
        rule.alerts.push(command_alert(name, argument, rule.extract.groups(), active)?);
        Ok(())
    }

    /// Ends the group that is open, if any; it must be complete.
    fn close(&mut self) {
        let opener = self.lines.first().copied();
        let complete = match std::mem::take(&mut self.open) {
            Open::Command(rule) if !rule.alerts.is_empty() => {
                if self.active.is_none() {
                    return self.finish(Rule::Command(rule));
                }
                false
            }
            Open::Nothing | Open::Unknown => true,
            Open::Log { .. } | Open::Process(_) | Open::Command(_) => self.faulty,
        };
        if let (false, Some(opener), Some(last)) = (complete, opener, self.lines.last()) {
            let reason = if self.active.is_some() { "active: no alert follows it".into() } else { no_alert(&opener) };
            let at = if self.active.is_some() { *last } else { opener };
            self.file.faults.push(at.fault(reason));
        }
        self.abandon();
    }

    /// Keeps the group that is open as this rule, unless it had a fault.
    fn finish(&mut self, rule: Rule) {
        let lines = std::mem::take(&mut self.lines);
        if !self.faulty {
            self.file.groups.push(Group { lines, rule });
        }
        self.abandon();
    }

    fn abandon(&mut self) {
        self.open = Open::Nothing;
        self.lines.clear();
        self.active = None;
        self.faulty = false;
    }
}

fn no_alert(opener: &SourceLine<'_>) -> String {
    let name = opener.text.split(':').next().unwrap_or_default();
    format!("{name}: no alert ends its group")
}

fn log_alert(name: &str, argument: &str) -> Result<(String, LogAlert), String> {
    let mut arguments = Arguments::parse(name, argument, keys_of(name).unwrap_or_default())?;
    let tags = arguments.tags()?;
    let mut block = || arguments.number("seconds", 1).and_then(block_of);
    let alert = match name {
        "alert_all" => LogAlert::All { message: arguments.optional("message")?.map(str::to_string) },
        "alert_n" => {
            let block = block()?;
            LogAlert::Threshold { block, threshold: arguments.number("threshold", 0)?, message: arguments.required("message")?.to_string() }
        }
        "alert_count" => LogAlert::Count { block: block()? },
        _ => LogAlert::Inactive { block: block()?, message: arguments.required("message")?.to_string() },
    };
    Ok((tags, alert))
}

fn block_of(seconds: u64) -> Result<Duration, String> {
    const LONGEST: u64 = 366 * 24 * 60 * 60;
    if seconds > LONGEST {
        return Err(format!("seconds= is at most {LONGEST}, a year, got {seconds}"));
    }
    Ok(Duration::from_secs(seconds))
}

fn command_alert(name: &str, argument: &str, groups: usize, active: Option<Schedule>) -> Result<CommandAlert, String> {
    let mut arguments = Arguments::parse(name, argument, keys_of(name).unwrap_or_default())?;
    let tags = arguments.tags()?;
    let (group, text) = group_and_value(name, "match", arguments.required("match")?, groups)?;
    let kind = if name == "alert_metric" {
        CommandAlertKind::Metric { group: group_number(name, "metric", arguments.required("metric")?, groups)? }
    } else {
        let mut limit = |key| -> Result<Option<(usize, Decimal)>, String> {
            let Some(value) = arguments.optional(key)? else { return Ok(None) };
            let (group, limit) = group_and_value(name, key, value, groups)?;
            let number = Decimal::parse(limit).ok_or_else(|| format!("{name}: {key}= ends in a number, got \"{limit}\""))?;
            Ok(Some((group, number)))
        };
        let (upper, lower) = (limit("upper_limit")?, limit("lower_limit")?);
        let message = arguments.required("message")?.to_string();
        match (upper, lower) {
            (Some((group, limit)), None) => CommandAlertKind::Above { group, limit, message },
            (None, Some((group, limit))) => CommandAlertKind::Below { group, limit, message },
            _ => return Err(format!("{name}: needs either upper_limit= or lower_limit=")),
        }
    };
    Ok(CommandAlert { tags, group, text: text.to_string(), kind, active })
}

/// Reads `G,VALUE`.
fn group_and_value<'a>(name: &str, key: &str, value: &'a str, groups: usize) -> Result<(usize, &'a str), String> {
    let (group, rest) = value.split_once(',').ok_or_else(|| format!("{name}: {key}= is GROUP,VALUE, got \"{value}\""))?;
    Ok((group_number(name, key, group, groups)?, rest.trim()))
}

fn group_number(name: &str, key: &str, value: &str, groups: usize) -> Result<usize, String> {
    let number = value.trim().parse().ok().filter(|n| (1..=groups).contains(n));
    number.ok_or_else(|| format!("{name}: {key}= names group \"{value}\", but extract= has {groups} (counted from 1)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::Source;

    fn parse(text: &str) -> HostFile<'_> {
        HostFile::parse(Source { path: "nas1", text }.lines())
    }

    fn faults(text: &str) -> Vec<String> {
        parse(text).faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_bad_group_leaves_the_others() {
        for bad in [
            "file: /a\nmatch: (\nalert_all: tags=T",
            "file: /a\nalert_all: tags=T",
            "file: /a\nmatch: a\nalert_all: message=no tags",
            "file: /a\nmatch: a\nactive: never\nalert_all: tags=T",
            "file: /a\nmatch: a",
            "file: |\nmatch: a\nalert_all: tags=T",
            "fiel: /a\nmatch: a\nalert_all: tags=T",
            "what is this",
            "match: a",
            "process: x\nalert_running: tags=T min=2 max=1 message=m",
            "process: [\nalert_running: tags=T min=1 max=2 message=m",
            "run: command=df extract=(a)\nalert_metric: tags=T match=1,a metric=2",
            "run: command=df extract=(a)\nalert_if: tags=T match=1,a message=m",
            "run: command=df extract=(a)\nalert_if: tags=T match=1,a upper_limit=1,inf message=m",
            "run: command=@what extract=(a)\nalert_metric: tags=T match=1,a metric=1",
            "run: command=df extract=(a)",
            "run: command=df extract=(a)\nalert_metric: tags=T match=1,a metric=1\nactive: 0;00:00-01:00",
        ] {
            let good = "file: /good\nmatch: a\nalert_all: tags=GOOD\n";
            let text = format!("{good}{bad}\n{good}");
            let file = parse(&text);
            assert_eq!(file.groups.len(), 2, "{bad}: {:?}", file.faults);
            assert_eq!(file.faults.len(), 1, "{bad}: {:?}", file.faults);
        }
    }

    #[test]
    fn faults_name_file_line_and_reason() {
        for (text, fault) in [
            ("\nfoo: bar", "nas1:2: foo: unknown directive"),
            ("file: /a\nmatch: a(\nalert_all: tags=T", "nas1:2: pattern \"a(\": "),
            ("file: /a\nmatch: a\n\nfile: /b\nmatch: b\nalert_all: tags=T", "nas1:1: file: no alert ends its group"),
            ("file: /a\nalert_all: tags=T", "nas1:2: alert_all: needs a match: before it"),
            ("file: /a\nmatch: a\nalert_all: tags=T\nalert_n: tags=T", "nas1:4: alert_n: stands in a group that file: opened"),
            ("file: /a\nignore: a\nmatch: b\nalert_all: tags=T", "nas1:2: ignore: stands after a match:"),
            ("ps_command: ps\nps_command: ps", "nas1:2: ps_command: is given twice"),
            ("active: 0;00:00-01:00", "nas1:1: active: stands in a group"),
            ("file: /a\nmatch: a\nalert_count: tags=T seconds=0", "nas1:3: alert_count: seconds= is a whole number of at least 1"),
            ("file: /a\nmatch: a\nalert_count: tags=T seconds=99999999999", "nas1:3: seconds= is at most"),
            ("ps_command: @df", "nas1:1: a built-in command such as @df"),
            ("run: command=df extract=(a)\nalert_if: tags=T match=a upper_limit=1,2 message=m", "nas1:2: alert_if: match= is GROUP,VALUE"),
        ] {
            let faults = faults(text);
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
            assert!(faults[0].starts_with(fault), "{text}: {faults:?}");
        }
    }

    #[test]
    fn all_faults_of_a_file_come_at_once() {
        let text = "file: /a\nmatch: (\nmatch: [\nalert_all: tags=A B\nprocess: x\nalert_running: tags=T\nbogus: 1\n";
        assert_eq!(parse(text).faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 3, 4, 6, 7]);
    }
}
