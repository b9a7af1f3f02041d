//! Reads the lines of a host file into groups, and collects all that is wrong with them.

use super::alert::{command_alert, process_alert};
use super::command_line::CommandLine;
use super::condition::ConditionRule;
use super::group::Group;
use super::joining::Joining;
use super::log_alert::log_alert;
use super::log_reading;
use super::log_source::LogSource;
use super::patterns::Patterns;
use super::process_filter::ProcessFilter;
use super::rule::{AlertSubject, CommandRule, LogRule, ProcessRule, Rule};
use super::run::{GoodStatuses, Run};
use super::syntax::{keys_of, DIRECTIVES, OPENERS};
use super::units::units;
use crate::directives::arguments::Arguments;
use crate::directives::source::{directive, Fault, SourceLine};
use crate::pattern::{Pattern, Purpose};
use crate::schedule::Schedule;

/// Returns the groups without faults in the order of the lines, and all faults.
pub(super) fn parse<'a>(lines: impl IntoIterator<Item = SourceLine<'a>>, patterns: &mut Patterns) -> (Vec<Group<'a>>, Vec<Fault>) {
    let mut parser = Parser {
        patterns,
        groups: Vec::new(),
        faults: Vec::new(),
        open: OpenGroup::Nothing,
        early: Early::default(),
        active: None,
        last_alert: LastAlert::Elsewhere,
        faulty: false,
        is_any_read_specially: false,
    };
    for line in lines {
        parser.line(&line);
    }
    parser.close();
    parser.refuse_early();
    (parser.groups, parser.faults)
}

/// Whether a group is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OpenGroup {
    /// No group is open.
    Nothing,
    /// The first line of the group was wrong, so its other lines are not checked.
    Unknown,
    /// The last group is open.
    Group,
}

/// Which alert the line before ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LastAlert {
    /// None, or not the line before.
    Elsewhere,
    /// One with a fault, which is that of its group.
    Faulty,
    /// The last one of the last group.
    Good,
}

/// `match:` and `active:` in front of the opener of their group, as Python agents allow it.
#[derive(Default)]
struct Early<'a> {
    lines: Vec<SourceLine<'a>>,
    patterns: Vec<Pattern>,
    active: Option<Schedule>,
    /// Whether one of the lines has a fault, which is that of the group then.
    faulty: bool,
}

struct Parser<'a, 'p> {
    patterns: &'p mut Patterns,
    /// The open group is the last one. It is removed if it turns out to be wrong.
    groups: Vec<Group<'a>>,
    faults: Vec<Fault>,
    open: OpenGroup,
    early: Early<'a>,
    /// The last `active:`, until the alert that it belongs to.
    active: Option<Schedule>,
    /// The alert that a `cleared:` in the next line belongs to.
    last_alert: LastAlert,
    /// Whether the open group has a fault.
    faulty: bool,
    /// Whether a group says how its log is read.
    is_any_read_specially: bool,
}

impl<'a> Parser<'a, '_> {
    fn line(&mut self, line: &SourceLine<'a>) {
        let (last_alert, faulty) = (std::mem::replace(&mut self.last_alert, LastAlert::Elsewhere), self.faulty);
        let outcome = directive(line).and_then(|(name, argument)| {
            let outcome = match name {
                "cleared" => self.cleared(line, argument, last_alert),
                _ => self.directive(line, name, argument),
            };
            if name.starts_with("alert") {
                self.last_alert = if outcome.is_ok() && !faulty { LastAlert::Good } else { LastAlert::Faulty };
            }
            outcome.map_err(|reason| line.fault(reason))
        });
        if let Err(fault) = outcome {
            self.faults.push(fault);
            self.faulty = true;
            if self.open == OpenGroup::Nothing {
                self.open = OpenGroup::Unknown;
            }
        }
    }

    fn directive(&mut self, line: &SourceLine<'a>, name: &'a str, argument: &'a str) -> Result<(), String> {
        if OPENERS.contains(&name) {
            self.close();
            return self.open(line, name, argument);
        }
        if self.open == OpenGroup::Nothing && matches!(name, "match" | "active") {
            self.early.lines.push(*line);
            return self.early(name, argument).inspect_err(|_| self.early.faulty = true);
        }
        self.refuse_early_before(name);
        if let (OpenGroup::Group, Some(group)) = (self.open, self.groups.last_mut()) {
            group.lines.push(*line);
        }
        if !DIRECTIVES.contains(&name) {
            return Err(format!("{name}: unknown directive"));
        }
        match name {
            "match" | "ignore" | "join" | "starts" => self.pattern(name, argument),
            "active" => self.schedule(argument),
            "exclude" => self.exclude(argument),
            "encoding" | "strip" => self.reading(name, argument),
            "include" => Err("include: is only allowed in the host file itself".into()),
            // All others are alerts.
            _ => self.alert(Arguments::parse(name, argument, keys_of(name))),
        }
    }

    /// Begins a group, to which the early lines belong.
    fn open(&mut self, line: &SourceLine<'a>, name: &'a str, argument: &'a str) -> Result<(), String> {
        let mut rule = match self.opened_by(name, argument) {
            Ok(rule) => rule,
            Err(reason) => {
                self.early = Early::default();
                return Err(reason);
            }
        };
        let is_misplaced = match &mut rule {
            Rule::Log(rule) => {
                rule.patterns.append(&mut self.early.patterns);
                false
            }
            Rule::ProcessList(_) => !self.early.lines.is_empty(),
            _ => !self.early.patterns.is_empty(),
        };
        if is_misplaced {
            self.refuse_early();
            self.open = OpenGroup::Unknown;
            return Ok(());
        }
        let early = std::mem::take(&mut self.early);
        let mut lines = early.lines;
        lines.push(*line);
        self.groups.push(Group { lines, rule });
        (self.active, self.faulty) = (early.active, early.faulty);
        self.open = if name == "ps_command" { OpenGroup::Nothing } else { OpenGroup::Group };
        Ok(())
    }

    /// Takes a line in front of the opener of its group.
    fn early(&mut self, name: &str, argument: &str) -> Result<(), String> {
        if name == "match" {
            self.early.patterns.push(self.patterns.parse(argument, Purpose::Find)?);
            return Ok(());
        }
        let schedule = Schedule::parse(argument)?;
        if self.early.active.replace(schedule).is_some() {
            return Err("active: is given twice for one alert".into());
        }
        Ok(())
    }

    /// Early lines without a group that can have them are faults, unless they have one already.
    fn refuse_early(&mut self) {
        let early = std::mem::take(&mut self.early);
        if let Some(line) = early.lines.first().filter(|_| !early.faulty) {
            let is_match = line.text.starts_with("match");
            let reason = if is_match { misplaced("match") } else { "active: must be in a group, before its alert".into() };
            self.faults.push(line.fault(reason));
        }
    }

    /// An alert or another directive follows early lines. The fault is that of the alert.
    fn refuse_early_before(&mut self, name: &str) {
        if name.starts_with("alert") || name == "cleared" {
            self.early = Early::default();
        } else {
            self.refuse_early();
        }
    }

    /// The rule of a group that begins, still without alerts.
    fn opened_by(&mut self, name: &'a str, argument: &'a str) -> Result<Rule, String> {
        Ok(match name {
            "file" => Rule::Log(LogRule::follow(LogSource::parse(argument)?)),
            "journal" => Rule::Log(LogRule { units: units(argument)?, ..LogRule::follow(LogSource::Journal) }),
            "process" => {
                let (pattern, condition) = (self.patterns.parse(argument, Purpose::Find)?, ConditionRule::default());
                let (tags, message, every) = (String::new(), String::new(), ProcessRule::EVERY);
                let filter = ProcessFilter::default();
                Rule::Process(ProcessRule { pattern, tags, min: 0, max: 0, message, filter, every, condition, active: None })
            }
            "run" => {
                let mut arguments = Arguments::parse(name, argument, keys_of(name));
                let (command, extract) = (arguments.required("command"), arguments.optional("extract"));
                let ok = GoodStatuses::parse(&mut arguments);
                let run = CommandLine::parse_runnable(command).map(|command| Run::parse(command, &mut arguments));
                arguments.done()?;
                let extract = extract.map(|extract| self.patterns.parse(extract, Purpose::Capture)).transpose()?;
                let run = run?;
                Rule::Command(CommandRule { run, ok, extract, alerts: Vec::new() })
            }
            _ => Rule::ProcessList(CommandLine::parse(argument)?),
        })
    }

    /// The rule of the group that is open.
    fn rule(&mut self) -> Option<&mut Rule> {
        match self.open {
            OpenGroup::Group => self.groups.last_mut().map(|group| &mut group.rule),
            _ => None,
        }
    }

    fn pattern(&mut self, name: &str, argument: &str) -> Result<(), String> {
        if self.open == OpenGroup::Unknown {
            return Ok(());
        }
        let faulty = self.faulty;
        if !matches!(self.rule(), Some(Rule::Log(_))) {
            return Err(misplaced(name));
        }
        let pattern = self.patterns.parse(argument, Purpose::Find)?;
        let Some(Rule::Log(rule)) = self.rule() else { return Ok(()) };
        if name == "match" {
            rule.patterns.push(pattern);
        } else if rule.patterns.is_empty() && !faulty {
            return Err(format!("{name}: must come after a match:"));
        } else if name != "ignore" {
            if rule.log == LogSource::Journal {
                return Err(format!("{name}: has no meaning in a group that journal: opens: each entry is a line of its own"));
            }
            let joining = if name == "join" { Joining::Found(pattern) } else { Joining::NotFound(pattern) };
            if rule.joining.replace(joining).is_some() {
                return Err("join: and starts: stand once in a group, one of them".into());
            }
        } else {
            rule.ignores.push(pattern);
        }
        Ok(())
    }

    fn exclude(&mut self, argument: &str) -> Result<(), String> {
        let open = self.open;
        match self.rule() {
            None if open == OpenGroup::Unknown => {}
            Some(Rule::Log(LogRule { log: LogSource::Glob { excludes, .. }, .. })) => excludes.push(argument.into()),
            Some(Rule::Log(_)) => return Err("exclude: belongs to a file: with a wildcard".into()),
            _ => return Err(misplaced("exclude")),
        }
        Ok(())
    }

    /// Takes `encoding:` or `strip:`.
    fn reading(&mut self, name: &str, argument: &str) -> Result<(), String> {
        if self.open == OpenGroup::Unknown {
            return Ok(());
        }
        let group = self.groups.last_mut().filter(|_| self.open == OpenGroup::Group);
        let Some(Group { lines, rule: Rule::Log(rule) }) = group else { return Err(misplaced(name)) };
        if lines.iter().filter(|line| directive(line).is_ok_and(|(known, _)| known == name)).count() > 1 {
            return Err(format!("{name}: is given twice"));
        }
        self.is_any_read_specially = true;
        log_reading::set(rule, name, argument)
    }

    fn schedule(&mut self, argument: &str) -> Result<(), String> {
        let schedule = Schedule::parse(argument)?;
        if self.active.replace(schedule).is_some() {
            return Err("active: is given twice for one alert".into());
        }
        Ok(())
    }

    fn alert(&mut self, mut arguments: Arguments<'a>) -> Result<(), String> {
        let name = arguments.name;
        let of_command = matches!(name, "alert_if" | "alert_metric");
        if self.open == OpenGroup::Unknown {
            // Such an alert would have ended the group.
            if !of_command {
                self.abandon();
            }
            return Ok(());
        }
        let (active, faulty) = (&mut self.active, self.faulty);
        let mut lacks_match = false;
        match self.groups.last_mut().filter(|_| self.open == OpenGroup::Group).map(|group| &mut group.rule) {
            Some(Rule::Command(rule)) if of_command => {
                let alert = command_alert(&mut arguments, rule.extract.as_ref(), active.take());
                arguments.done()?;
                if let Some(alert) = alert {
                    if alert.subject == AlertSubject::Status && rule.ok == GoodStatuses::Success {
                        rule.ok = GoodStatuses::Any;
                    }
                    rule.alerts.push(alert);
                }
                return Ok(());
            }
            Some(Rule::Process(rule)) if name == "alert_running" => {
                rule.active = active.take();
                process_alert(&mut arguments, rule, self.patterns);
            }
            Some(Rule::Log(rule)) if !matches!(name, "alert_running" | "alert_metric") => {
                rule.active = active.take();
                lacks_match = rule.patterns.is_empty() && !faulty;
                log_alert(&mut arguments, rule, self.patterns);
            }
            _ => return Err(misplaced(name)),
        }
        let outcome = if lacks_match { Err(format!("{name}: needs a match: before it")) } else { arguments.done() };
        let outcome = outcome.and_then(|()| match self.is_any_read_specially && !faulty {
            true => log_reading::agree(&self.groups).map_err(|reason| format!("{name}: {reason}")),
            false => Ok(()),
        });
        if outcome.is_ok() {
            self.finish();
        } else {
            // The group is lost; another alert in it is not a second fault.
            self.groups.pop();
            self.open = OpenGroup::Unknown;
        }
        outcome
    }

    /// Takes the text for the end of the condition that the alert above stands for, whose group may have ended.
    fn cleared(&mut self, line: &SourceLine<'a>, text: &str, last_alert: LastAlert) -> Result<(), String> {
        self.refuse_early_before("cleared");
        match last_alert {
            LastAlert::Elsewhere => return Err("cleared: must follow its alert".into()),
            LastAlert::Faulty => return Ok(()),
            LastAlert::Good => {}
        }
        let Some(group) = self.groups.last_mut() else { return Ok(()) };
        group.lines.push(*line);
        if let Some(condition) = group.rule.last_condition() {
            condition.cleared = Some(text.into());
            return Ok(());
        }
        if self.open == OpenGroup::Nothing {
            self.groups.pop();
        }
        Err("cleared: belongs to alert_n:, alert_inactive:, alert_running: or alert_if:".into())
    }

    /// Ends the open group, if any. An incomplete group is a fault.
    fn close(&mut self) {
        let Some(group) = self.groups.last().filter(|_| self.open == OpenGroup::Group) else { return self.abandon() };
        let is_command = matches!(&group.rule, Rule::Command(_));
        let is_useless = matches!(&group.rule, Rule::Command(rule) if rule.extract.is_none() && rule.alerts.is_empty());
        if is_command && self.active.is_none() && (self.faulty || !is_useless) {
            return self.finish();
        }
        if is_command || !self.faulty {
            let is_opener = |line: &&SourceLine<'_>| directive(line).is_ok_and(|(name, _)| OPENERS.contains(&name));
            let fault = match self.active {
                Some(_) => group.lines.last().map(|line| line.fault("active: no alert follows it")),
                None if is_useless => group.lines.iter().find(is_opener).map(|line| line.fault("run: extract= is missing")),
                None => group.lines.iter().find(is_opener).map(|line| line.fault(no_alert(line))),
            };
            self.faults.extend(fault);
        }
        self.faulty = true;
        self.finish();
    }

    /// Ends the open group, and removes it if it has a fault.
    fn finish(&mut self) {
        if self.faulty {
            self.groups.pop();
        }
        self.abandon();
    }

    fn abandon(&mut self) {
        self.open = OpenGroup::Nothing;
        self.active = None;
        self.faulty = false;
    }
}

/// The fault of a directive in the wrong place.
fn misplaced(name: &str) -> String {
    let (opener, hint) = match name {
        "alert_running" => ("process", ""),
        "alert_if" => ("run: or file", ""),
        "alert_metric" => ("run", "; in that of a log it is alert_value:"),
        "encoding" => ("file", ", before its alert"),
        "strip" => ("file: or journal", ", before its alert"),
        _ => ("file", "; each alert needs its own file: and match:"),
    };
    format!("{name}: must be in a group that {opener}: opens{hint}")
}

fn no_alert(opener: &SourceLine<'_>) -> String {
    let name = opener.text.split_once(':').map_or("", |(name, _)| name);
    format!("{name}: no alert ends its group")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::decimal::Decimal;
    use crate::directives::source::Source;
    use std::time::Duration;

    fn parse(text: &str) -> (Vec<Group<'_>>, Vec<Fault>) {
        super::parse(Source { path: "nas1", text }.lines(), &mut Patterns::checked())
    }

    fn faults(text: &str) -> Vec<String> {
        parse(text).1.iter().map(ToString::to_string).collect()
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
            "match: a\nps_command: ps",
            "match: a\nprocess: x\nalert_running: tags=T min=1 max=2 message=m",
            "match: (\nfile: /a\nalert_all: tags=T",
            "active: never\nfile: /a\nmatch: a\nalert_all: tags=T",
            "active: 0;00:00-01:00\nactive: 0;00:00-01:00\nfile: /a\nmatch: a\nalert_all: tags=T",
            "match: a\nalert_all: tags=T",
            "process: [\nalert_running: tags=T min=1 max=2 message=m",
            "run: command=df extract=(a)\nalert_metric: tags=T match=1,a metric=2",
            "run: command=df extract=(a)\nalert_if: tags=T match=1,a message=m",
            "run: command=df extract=(a)\nalert_if: tags=T match=1,a upper_limit=1,inf message=m",
            "run: command=@what extract=(a)\nalert_metric: tags=T match=1,a metric=1",
            "run: command=df extract=(a)\nalert_metric: tags=T match=1,a metric=1\nactive: 0;00:00-01:00",
            "file: /a\nmatch: a\nalert_all: tags=T\ncleared: m",
            "file: /a\nmatch: a\nalert_n: tags=T threshold=x seconds=1 message=m\ncleared: m",
            "file: /a\nmatch: (\nalert_n: tags=T threshold=1 seconds=1 message=m\ncleared: m",
            "file: /a\nmatch: a\ncleared: m\nalert_n: tags=T threshold=1 seconds=1 message=m",
            "process: a\nalert_running: tags=T min=1 max=1 for=0 message=m\ncleared: m",
            "run: command=df extract=(a)\nalert_metric: tags=T match=1,a metric=1\ncleared: m",
        ] {
            let good = "file: /good\nmatch: a\nalert_all: tags=GOOD\n";
            let text = format!("{good}{bad}\n{good}");
            let (groups, faults) = parse(&text);
            assert_eq!(groups.len(), 2, "{bad}: {faults:?}");
            assert_eq!(faults.len(), 1, "{bad}: {faults:?}");
        }
    }

    #[test]
    fn cleared_belongs_to_the_alert_above_it() {
        let limit = |tags: &str| format!("alert_if: tags={tags} match=1,a upper_limit=1,9 until=7.5 for=3 repeat=0 message=m");
        let text = format!("run: command=df extract=(a)\n{}\ncleared: a = b\n{}\n", limit("A"), limit("B"));
        let (groups, faults) = parse(&text);
        let Rule::Command(rule) = &groups[0].rule else { panic!("{faults:?}") };
        let expected =
            ConditionRule { count: Some(3), until: Decimal::parse("7.5"), repeat: Some(Duration::ZERO), cleared: Some("a = b".into()) };
        assert_eq!(rule.alerts[0].condition, expected);
        assert_eq!(rule.alerts[1].condition, ConditionRule { cleared: None, ..expected });
        let text =
            "file: /a\nmatch: a\nalert_n: tags=T threshold=1 seconds=9 message=cleared: m\n\n# Over\n cleared:  over\nmatch: b\nfile: /b\n\
                    alert_inactive: tags=T seconds=1 repeat=60 message=m\n";
        let (groups, faults) = parse(text);
        let [Rule::Log(over), Rule::Log(other)] = [&groups[0].rule, &groups[1].rule] else { panic!("{faults:?}") };
        assert_eq!((over.condition.cleared.as_deref(), groups[0].lines.len()), (Some("over"), 4));
        assert_eq!(other.condition, ConditionRule { repeat: Some(Duration::from_secs(60)), ..ConditionRule::default() });
        assert_eq!(groups[1].lines.len(), 3);
    }

    #[test]
    fn faults_name_file_line_and_reason() {
        let limit = |limit: &str| format!("run: command=df extract=(a)\nalert_if: tags=T match=1,a {limit} message=m");
        for (text, fault) in [
            ("\nfoo: bar", "nas1:2: foo: unknown directive"),
            ("file: /a\nmatch: a(\nalert_all: tags=T", "nas1:2: pattern \"a(\": "),
            ("file: /a\nmatch: a\n\nfile: /b\nmatch: b\nalert_all: tags=T", "nas1:1: file: no alert ends its group"),
            ("file: /a\nalert_all: tags=T", "nas1:2: alert_all: needs a match: before it"),
            ("file: /a\nmatch: a\nalert_all: tags=T\nalert_n: tags=T", "nas1:4: alert_n: must be in a group that file: opens"),
            ("file: /a\nignore: a\nmatch: b\nalert_all: tags=T", "nas1:2: ignore: must come after a match:"),
            ("match: a", "nas1:1: match: must be in a group that file: opens"),
            ("match: a\n# no file\nrun: command=df extract=(a)", "nas1:1: match: must be in a group that file: opens"),
            ("active: 0;00:00-01:00\nfile: /a\nmatch: a", "nas1:3: active: no alert follows it"),
            ("active: 0;00:00-01:00", "nas1:1: active: must be in a group"),
            ("file: /a\nmatch: a\nalert_count: tags=T seconds=0", "nas1:3: alert_count: seconds= is a whole number of at least 1"),
            ("file: /a\nmatch: a\nalert_count: tags=T seconds=99999999999", "nas1:3: seconds= is at most"),
            ("ps_command: @df", "nas1:1: a built-in command such as @df"),
            (
                "run: command=df extract=(a)\nalert_if: tags=T match=a upper_limit=1,2 message=m",
                "nas1:2: alert_if: match= is GROUP,TEXT, or GROUP for any text, or status; got \"a\"",
            ),
            (
                "process: a\nalert_running: tags=T min=1 max=1 for=x message=m",
                "nas1:2: alert_running: for= is a whole number of at least 1",
            ),
            ("process: a\nalert_running: tags=T min=1 max=1 for=70000 message=m", "nas1:2: alert_running: for= is at most 65535"),
            ("process: a\nalert_running: tags=T min=1 max=1 repeat=-1 message=m", "nas1:2: alert_running: repeat= is a whole number"),
            ("process: a\nalert_running: tags=T min=1 max=1 repeat=99999999 message=m", "nas1:2: alert_running: repeat= is at most"),
            ("process: a\nalert_running: tags=T min=1 max=1 until=1 message=m", "nas1:2: alert_running: max= is a whole number"),
            ("file: /a\nmatch: a\nalert_all: tags=T repeat=1", "nas1:3: alert_all: tags= must have no spaces"),
            (&limit("upper_limit=1,2 until=x"), "nas1:2: alert_if: until= is a number, as the limit is; got \"x\""),
            (&limit("upper_limit=1,2 until=2.1"), "nas1:2: alert_if: until=2.1 is above the upper limit"),
            (&limit("lower_limit=1,2 until=1"), "nas1:2: alert_if: until=1 is below the lower limit"),
            ("cleared: m", "nas1:1: cleared: must follow its alert"),
            ("file: /a\nmatch: a\nalert_all: tags=T\ncleared: m", "nas1:4: cleared: belongs to alert_n:"),
            ("file: /a\nmatch: a\nalert_n: tags=T threshold=1 seconds=1 message=m\ncleared: m\ncleared: m", "nas1:5: cleared: must follow"),
        ] {
            let faults = faults(text);
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
            assert!(faults[0].starts_with(fault), "{text}: {faults:?}");
        }
    }

    #[test]
    fn what_python_agents_take_is_no_fault() {
        let log = "file: /l\nmatch: e\nalert_all: tags=A\n";
        for text in [
            "active: 1;00:00-23:59\nfile: /l\nmatch: e\nalert_all: tags=A\n",
            "active: 1;00:00-23:59\nrun: command=df extract=(.)\nalert_metric: tags=A match=1,x metric=1\n",
            "match: e\nfile: /l\nalert_all: tags=A\n",
            "match: e\nactive: 1;8:00-24:00\nfile: /l\nmatch: f\nalert_all: tags=A\n",
            "ps_command: ps ax\nps_command: ps -ef\nprocess: x\nalert_running: tags=A min=1 max=1 message=m\n",
            "process: x\nalert_running: tags=A min=5 max=1 message=m\n",
            "run: command=df extract=(.)\n",
        ] {
            for whole in [text.to_string(), format!("{log}{text}{log}")] {
                assert_eq!(faults(&whole), [""; 0], "{whole}");
                let (groups, _) = parse(&whole);
                assert_eq!(groups.iter().map(|group| group.lines.len()).sum::<usize>(), whole.lines().count(), "{whole}");
            }
        }
        let (groups, _) = parse("active: 1;00:00-23:59\nmatch: e\nfile: /l\nmatch: f\nalert_all: tags=A\n");
        let Rule::Log(rule) = &groups[0].rule else { panic!() };
        assert_eq!((rule.patterns.len(), rule.active.is_some()), (2, true));
    }

    #[test]
    fn all_faults_of_a_file_come_at_once() {
        let text = "file: /a\nmatch: (\nmatch: [\nalert_all: tags=A B\nprocess: x\nalert_running: tags=T\nbogus: 1\n";
        assert_eq!(parse(text).1.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 3, 4, 6, 7]);
    }
}
