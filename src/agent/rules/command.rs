//! Rules that run commands: when each is due, and what the lines that it prints mean. Runs nothing itself.

use super::condition::{Condition, ConditionAlert, ConditionNames, Sample};
use super::extraction::Extraction;
use crate::agent::delivery::{Delivery, Event};
use crate::directives::decimal::Decimal;
use crate::directives::host::{CommandAlert, CommandAlertKind, CommandLine, CommandRule};
use crate::now::Now;
use crate::pattern::Work;
use crate::wire::position::ConditionKey;
use crate::wire::{ChainId, Kind};
use std::time::Duration;

/// All command rules in force. A command that several rules name is run once for all of them.
#[derive(Default)]
pub(super) struct CommandRules {
    commands: Vec<Command>,
}

struct Command {
    line: CommandLine,
    next_run: Duration,
    is_running: bool,
    rules: Vec<RunRule>,
}

/// One rule, and what is known of the output of its command.
struct RunRule {
    rule: CommandRule,
    extraction: Extraction,
    limits: Vec<Limit>,
}

/// The condition of an alert.
#[derive(Clone, Copy)]
struct Limit {
    key: ConditionKey,
    condition: Condition,
    /// What the present run has found, if the alert applied to one of its lines.
    sample: Option<Sample>,
}

impl CommandRules {
    const INTERVAL: Duration = Duration::from_secs(60);
    const SHORTEST_INTERVAL: Duration = Duration::from_secs(30);

    /// Replaces all rules. A command that was there before keeps the time of its next run, and a rule what is known of its output.
    pub(super) fn replace(&mut self, now: Now, rules: Vec<CommandRule>) {
        let mut before = Vec::new();
        for command in &mut self.commands {
            before.append(&mut command.rules);
        }
        let mut names = ConditionNames::default();
        for rule in rules {
            let at = self.index(&rule.command).unwrap_or(self.commands.len());
            if at == self.commands.len() {
                let line = rule.command.clone();
                self.commands.push(Command { line, next_run: now.mono, is_running: false, rules: Vec::new() });
            }
            let known = before.iter().position(|old: &RunRule| old.rule == rule);
            let known = known.map(|at| before.swap_remove(at)).map(|old| (old.extraction, old.limits));
            let (extraction, mut limits) = known.unwrap_or_default();
            for (at, alert) in rule.alerts.iter().enumerate() {
                let group = alert.group.to_string();
                let parts = [rule.command.as_str(), rule.extract.as_str(), &alert.tags, &group, &alert.text];
                let key = ConditionKey::of(names.name(Kind::Limit, parts).value());
                match limits.get_mut(at) {
                    Some(limit) => limit.key = key,
                    None => limits.push(Limit { key, condition: Condition::default(), sample: None }),
                }
            }
            self.commands[at].rules.push(RunRule { rule, extraction, limits });
        }
        self.commands.retain(|command| !command.rules.is_empty());
    }

    fn index(&self, line: &CommandLine) -> Option<usize> {
        self.commands.iter().position(|command| command.line == *line)
    }

    pub(super) fn len(&self) -> usize {
        self.commands.iter().map(|command| command.rules.len()).sum()
    }

    /// The keys of all conditions that the rules can open.
    pub(super) fn condition_keys(&self) -> impl Iterator<Item = ConditionKey> + '_ {
        self.commands.iter().flat_map(|command| &command.rules).flat_map(|rule| &rule.limits).map(|limit| limit.key)
    }

    /// Whether a rule names that command.
    pub(super) fn contains(&self, line: &CommandLine) -> bool {
        self.index(line).is_some()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.commands.iter().map(|command| command.line.as_str())
    }

    /// The next command that is due. It counts as running until [`Self::end_run`].
    pub(super) fn begin_run(&mut self, now: Now) -> Option<CommandLine> {
        let command = self.commands.iter_mut().find(|command| !command.is_running && command.next_run <= now.mono)?;
        command.is_running = true;
        for RunRule { extraction, limits, .. } in &mut command.rules {
            extraction.begin_run();
            limits.iter_mut().for_each(|limit| limit.sample = None);
        }
        // A device that slept runs a command once, not as often as it missed.
        command.next_run = (command.next_run + Self::INTERVAL).max(now.mono + Self::SHORTEST_INTERVAL);
        Some(command.line.clone())
    }

    /// One line that a command printed.
    pub(super) fn handle_line(&mut self, now: Now, line: &CommandLine, text: &str, delivery: &mut Delivery) {
        let Some(at) = self.index(line) else { return };
        for RunRule { rule, extraction, limits } in &mut self.commands[at].rules {
            let captures = rule.extract.captures(text, &mut Work::turn());
            extraction.handle_line(text, captures.is_some());
            let Some(captures) = captures else { continue };
            let group = |number| captures.get(number).map_or("", |group| group.as_str());
            for (index, alert) in rule.alerts.iter().enumerate().filter(|(_, alert)| group(alert.group) == alert.text) {
                let is_active = alert.active.as_ref().is_none_or(|schedule| schedule.is_active(now.local));
                match &alert.kind {
                    CommandAlertKind::Metric { group: of } if is_active => {
                        delivery.push(now, Event { tags: &alert.tags, file: None, text: group(*of), kind: Kind::Metric, condition: None });
                    }
                    CommandAlertKind::Metric { .. } => {}
                    CommandAlertKind::Above { group: of, message, .. } | CommandAlertKind::Below { group: of, message, .. } => {
                        let number = Decimal::parse(group(*of));
                        extraction.handle_number(index, *of, group(*of), number.is_some());
                        if let Some(number) = number {
                            let sample = match alert.passes(&number) {
                                Some(true) if is_active => Sample::Holds,
                                Some(false) if is_active => Sample::Lasts,
                                _ => Sample::Clear,
                            };
                            let text = message.expand(text, Some(&captures));
                            limits[index].handle_number(now, alert, sample, &text, delivery);
                        }
                    }
                }
            }
        }
    }

    /// A command has ended, successfully or not. Returns what is to be said of its output.
    pub(super) fn end_run(&mut self, now: Now, line: &CommandLine, is_success: bool, delivery: &mut Delivery) -> Vec<String> {
        let Some(at) = self.index(line) else { return Vec::new() };
        let command = &mut self.commands[at];
        command.is_running = false;
        let mut reports = Vec::new();
        for RunRule { rule, extraction, limits } in &mut command.rules {
            for (alert, limit) in rule.alerts.iter().zip(limits) {
                limit.end_run(now, alert, delivery);
            }
            reports.extend(extraction.end_run(rule, is_success));
        }
        reports
    }

    /// When the next command is due.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.commands.iter().filter(|command| !command.is_running).map(|command| command.next_run).min()
    }
}

impl Limit {
    /// The alert applies to a line of the present run, with a number that is such a sample. Each line that passes the limit makes an
    /// event, unless the terms say otherwise; what the others are is known at the end of the run.
    fn handle_number(&mut self, now: Now, alert: &CommandAlert, sample: Sample, message: &str, delivery: &mut Delivery) {
        let condition = self.alert(alert);
        match (self.sample, sample) {
            (Some(Sample::Holds), Sample::Holds) => condition.repeat(now, message, delivery),
            (_, Sample::Holds) => drop(self.condition.handle_sample(now, &condition, sample, message, delivery)),
            (Some(Sample::Holds | Sample::Lasts), _) => return,
            _ => {}
        }
        self.sample = Some(sample);
    }

    /// The run has ended.
    fn end_run(&mut self, now: Now, alert: &CommandAlert, delivery: &mut Delivery) {
        if let Some(sample) = self.sample.take().filter(|sample| *sample != Sample::Holds) {
            self.condition.handle_sample(now, &self.alert(alert), sample, "", delivery);
        }
    }

    fn alert<'a>(&self, alert: &'a CommandAlert) -> ConditionAlert<'a> {
        let CommandAlert { tags, condition, .. } = alert;
        let (chain, kind) = (ChainId::NO_FILE, Kind::Limit);
        ConditionAlert { key: self.key, chain, origin: None, kind, tags, file: None, terms: condition, samples: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::rules::bench::{at, delivery, events, host_file};
    use crate::directives::host::Rule;

    fn rules(text: &str) -> Vec<CommandRule> {
        let rules = host_file(text).into_iter().map(|(_, rule)| match rule {
            Rule::Command(rule) => rule,
            other => panic!("{other:?}"),
        });
        rules.collect()
    }

    const DISK: &str = "run: command=df extract=(\\S+) (\\S+)%\nalert_if: tags=D match=1,/ upper_limit=2,90 message=Full\n\
        alert_if: tags=E match=1,/ lower_limit=2,5 message=Empty\nalert_metric: tags=M match=1,/ metric=2\n";

    #[test]
    fn a_line_makes_the_events_whose_limits_it_passes() {
        let mut commands = CommandRules::default();
        commands.replace(at(0), rules(DISK));
        let command = commands.begin_run(at(0)).unwrap();
        for (line, found) in [
            ("/ 90%", vec!["M 90"]),
            ("/ 90.5%", vec!["D Full", "M 90.5"]),
            ("/ 4%", vec!["E Empty", "M 4"]),
            ("/home 99%", vec![]),
            ("/ many%", vec!["M many"]),
            ("nothing", vec![]),
        ] {
            let mut delivery = delivery();
            commands.handle_line(at(0), &command, line, &mut delivery);
            assert_eq!(events(&mut delivery), found, "{line}");
        }
    }

    /// What runs of a command make that print these lines, one run a minute; `;` stands between the lines of a run.
    fn events_of(text: &str, runs: &[&str]) -> Vec<String> {
        let (mut commands, mut delivery) = (CommandRules::default(), delivery());
        commands.replace(at(0), rules(text));
        let mut made = Vec::new();
        for (minute, lines) in (0..).zip(runs) {
            let now = at(minute * 60);
            let command = commands.begin_run(now).unwrap();
            lines.split(';').for_each(|line| commands.handle_line(now, &command, line, &mut delivery));
            commands.end_run(now, &command, true, &mut delivery);
            made.push(events(&mut delivery).join(","));
        }
        made
    }

    #[test]
    fn an_alert_tells_of_its_condition_by_its_terms() {
        let alert = |limit: &str, terms: &str| {
            format!("run: command=df extract=(\\S+) (\\S+)%\nalert_if: tags=D match=1,/ {limit}=2,90 {terms} message=Full\ncleared: Room\n")
        };
        let runs = ["/ 95%", "/ 96%;/ 97%", "/ 85%", "/home 99%", "/ 95%", "/ x%", "/ 80%", "/ 95%", "/ 10%"];
        for (terms, made) in [
            ("", ["D Full", "D Full,D Full", "D Room", "", "D Full", "", "D Room", "D Full", "D Room"]),
            ("until=80", ["D Full", "D Full,D Full", "", "", "D Full", "", "D Room", "D Full", "D Room"]),
            ("until=80 repeat=0", ["D Full", "", "", "", "", "", "D Room", "D Full", "D Room"]),
            ("until=80 repeat=120", ["D Full", "", "", "", "D Full", "", "D Room", "D Full", "D Room"]),
            ("for=2", ["", "D Full,D Full", "D Room", "", "", "", "", "", ""]),
        ] {
            assert_eq!(events_of(&alert("upper_limit", terms), &runs), made, "{terms}");
        }
        let runs = ["/ 89%;/ 99%", "/ 95%;/ 89%", "/ 95%;/ 91%", "/ 96%"];
        assert_eq!(events_of(&alert("lower_limit", "until=96"), &runs), ["D Full", "D Full", "", "D Room"]);
    }

    #[test]
    fn a_text_has_what_the_pattern_captured() {
        let text = "run: command=df extract=(?P<mount>\\S+) (\\S+)%\nalert_if: tags=D match=1,/ upper_limit=2,90 text={mount} has {2} % ({line})\n";
        assert_eq!(events_of(text, &["/ 95% ", "/ 1%"]), ["D / has 95 % (/ 95%)", ""]);
    }

    #[test]
    fn a_condition_outlives_an_edit_of_its_message_and_not_one_of_its_tags() {
        let (mut commands, mut delivery) = (CommandRules::default(), delivery());
        let text = format!("{}cleared: Room\n", DISK.split("alert_if: tags=E").next().unwrap().replace("message", "repeat=0 message"));
        let mut made = Vec::new();
        let edits = [
            text.clone(),
            text.replace("Full", "Fuller").replace("Room", "Space"),
            format!("{DISK}{text}"),
            text.replace("tags=D", "tags=X"),
        ];
        for (minute, text) in (0..).zip(edits) {
            let now = at(minute * 60);
            commands.replace(now, rules(&text));
            delivery.close_other_conditions(now, &commands.condition_keys().collect::<Vec<_>>());
            let command = commands.begin_run(now).unwrap();
            commands.handle_line(now, &command, "/ 95%", &mut delivery);
            commands.end_run(now, &command, true, &mut delivery);
            made.push(events(&mut delivery).join(","));
        }
        // The other group is a different rule of the same name: the first of them has the key.
        assert_eq!(made, ["D Full", "", "D Full,M 95,D Full", "D Room,X Full"]);
    }

    #[test]
    fn a_rule_that_stays_is_reported_once_and_one_that_changed_anew() {
        let mut commands = CommandRules::default();
        let mut reports = Vec::new();
        for run in 0..10 {
            let text = if run < 5 { DISK.to_string() } else { DISK.replace("tags=D", "tags=X") };
            commands.replace(at(run * 60), rules(&text));
            let command = commands.begin_run(at(run * 60)).unwrap();
            commands.handle_line(at(run * 60), &command, "/ 1.2G%", &mut delivery());
            reports.extend(commands.end_run(at(run * 60), &command, true, &mut delivery()).into_iter().map(|report| (run, report)));
        }
        let text = "Command output not usable: df: group 2 of extract=(\\S+) (\\S+)% is no number: \"1.2G\"";
        assert_eq!(reports, [(2, text.to_string()), (7, text.to_string())]);
    }

    #[test]
    fn a_command_runs_every_minute_not_while_it_runs_and_once_after_sleep() {
        let mut commands = CommandRules::default();
        commands.replace(at(0), rules(DISK));
        let command = commands.begin_run(at(0)).unwrap();
        assert_eq!((commands.begin_run(at(60)), commands.next_deadline()), (None, None));
        commands.end_run(at(60), &command, true, &mut delivery());
        assert_eq!(commands.next_deadline(), Some(at(60).mono));
        commands.replace(at(61), rules(&format!("{DISK}{DISK}")));
        assert!(commands.begin_run(at(600)).is_some());
        commands.end_run(at(60), &command, true, &mut delivery());
        assert_eq!(commands.next_deadline(), Some(at(630).mono));
        commands.replace(at(601), Vec::new());
        assert_eq!((commands.begin_run(at(999)), commands.len()), (None, 0));
    }
}
