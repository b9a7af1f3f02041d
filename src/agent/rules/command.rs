//! Rules that run commands: when each is due, and what the lines that it prints mean. Runs nothing itself.

use super::condition::{ConditionNames, Sample};
use super::extraction::Extraction;
use super::limits::{ConditionName, Limits};
use crate::agent::delivery::{Delivery, Event};
use crate::agent::output::TaskEnd;
use crate::directives::host::{AlertSubject, CommandAlert, CommandAlertKind, CommandRule, Run};
use crate::now::Now;
use crate::pattern::{Pattern, Work};
use crate::text::{truncate, MAX_EVENT_TEXT};
use crate::wire::position::ConditionKey;
use crate::wire::Kind;
use std::time::Duration;

/// All command rules in force. A command that several rules name is run once for all of them.
#[derive(Default)]
pub(super) struct CommandRules {
    commands: Vec<Command>,
    /// What may still be searched in this turn.
    work: Work,
}

struct Command {
    run: Run,
    next_run: Duration,
    is_running: bool,
    rules: Vec<RunRule>,
}

/// One rule, and what is known of the output of its command.
struct RunRule {
    rule: CommandRule,
    extraction: Extraction,
    /// One for each alert.
    limits: Vec<Limits>,
    /// The first line of the present run in which the pattern was found: alerts of the exit status may quote it.
    first_line: String,
}

impl CommandRules {
    /// Replaces all rules. A command that was there before keeps the time of its next run, and a rule what is known of its output.
    pub(super) fn replace(&mut self, now: Now, rules: Vec<CommandRule>) {
        let mut before = Vec::new();
        for command in &mut self.commands {
            before.append(&mut command.rules);
        }
        let mut names = ConditionNames::default();
        for rule in rules {
            let at = self.index(&rule.run).unwrap_or(self.commands.len());
            if at == self.commands.len() {
                let run = rule.run.clone();
                self.commands.push(Command { run, next_run: now.mono, is_running: false, rules: Vec::new() });
            }
            let known = before.iter().position(|old: &RunRule| old.rule == rule);
            let known = known.map(|at| before.swap_remove(at)).map(|old| (old.extraction, old.limits));
            let (extraction, mut limits) = known.unwrap_or_default();
            for (at, alert) in rule.alerts.iter().enumerate() {
                let name = condition_name(&mut names, &rule, alert);
                match limits.get_mut(at) {
                    Some(known) => known.rename(name),
                    None => limits.push(Limits::new(name)),
                }
            }
            self.commands[at].rules.push(RunRule { rule, extraction, limits, first_line: String::new() });
        }
        self.commands.retain(|command| !command.rules.is_empty());
    }

    /// Whether so much was searched that everything else is to have its turn.
    pub(super) fn is_turn_over(&self) -> bool {
        self.work.is_done()
    }

    /// Others had their turn.
    pub(super) fn begin_turn(&mut self) {
        self.work = Work::turn();
    }

    fn index(&self, run: &Run) -> Option<usize> {
        self.commands.iter().position(|command| command.run == *run)
    }

    pub(super) fn len(&self) -> usize {
        self.commands.iter().map(|command| command.rules.len()).sum()
    }

    /// The keys of all conditions that the rules can open, and of all families of these.
    pub(super) fn condition_keys(&self) -> impl Iterator<Item = ConditionKey> + '_ {
        self.commands.iter().flat_map(|command| &command.rules).flat_map(|rule| &rule.limits).map(Limits::key)
    }

    /// Whether a rule names that.
    pub(super) fn contains(&self, run: &Run) -> bool {
        self.index(run).is_some()
    }

    /// The next command that is due. It counts as running until [`Self::end_run`].
    pub(super) fn begin_run(&mut self, now: Now) -> Option<Run> {
        let command = self.commands.iter_mut().find(|command| !command.is_running && command.next_run <= now.mono)?;
        command.is_running = true;
        for RunRule { extraction, limits, first_line, .. } in &mut command.rules {
            extraction.begin_run();
            first_line.clear();
            limits.iter_mut().for_each(Limits::begin_run);
        }
        // A device that slept runs a command once, not as often as it missed.
        command.next_run = (command.next_run + command.run.every).max(now.mono + command.run.every / 2);
        Some(command.run.clone())
    }

    /// One line that a command printed.
    pub(super) fn handle_line(&mut self, now: Now, run: &Run, text: &str, delivery: &mut Delivery) {
        let Some(at) = self.index(run) else { return };
        for rule in &mut self.commands[at].rules {
            rule.handle_line(now, text, &mut self.work, delivery);
        }
    }

    /// A command has ended. Returns what is to be said of its output, and whether it has worked for all its rules, or why not.
    pub(super) fn end_run(&mut self, now: Now, run: &Run, end: TaskEnd, delivery: &mut Delivery) -> (Vec<String>, Result<(), String>) {
        let TaskEnd { status, outcome } = end;
        let Some(at) = self.index(run) else { return (Vec::new(), outcome) };
        let command = &mut self.commands[at];
        command.is_running = false;
        let (mut reports, mut works) = (Vec::new(), true);
        for rule in &mut command.rules {
            let is_good = status.map_or(outcome.is_ok(), |status| rule.rule.ok.contains(status));
            reports.extend(rule.end_run(now, status, is_good, delivery));
            works &= is_good;
        }
        let unexpected = || status.map_or_else(String::new, |status| format!("exit status {status}"));
        (reports, if works { Ok(()) } else { Err(outcome.err().unwrap_or_else(unexpected)) })
    }

    /// When the next command is due.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.commands.iter().filter(|command| !command.is_running).map(|command| command.next_run).min()
    }
}

/// What names the condition of an alert, or each of its conditions.
fn condition_name(names: &mut ConditionNames, rule: &CommandRule, alert: &CommandAlert) -> ConditionName {
    let extract = rule.extract.as_ref().map_or("", Pattern::as_str);
    let (group, text) = match &alert.subject {
        AlertSubject::Text(group, text) => (group.to_string(), &**text),
        AlertSubject::Each(group) => (format!("{group} each"), ""),
        AlertSubject::Status => ("status".into(), ""),
    };
    let parts = [rule.run.command.as_str(), extract, &alert.tags, &group, text];
    let hash = names.name(Kind::Limit, &mut parts.into_iter()).value();
    match alert.subject {
        AlertSubject::Each(_) => ConditionName::Each(ConditionKey::family(hash)),
        _ => ConditionName::One(ConditionKey::of(hash)),
    }
}

impl RunRule {
    /// One line of the present run.
    fn handle_line(&mut self, now: Now, text: &str, work: &mut Work, delivery: &mut Delivery) {
        let Self { rule, extraction, limits, first_line } = self;
        let captures = rule.extract.as_ref().map(|extract| extract.captures(text, work));
        // A pattern without groups has no captures.
        let is_found = || rule.extract.as_ref().is_some_and(|extract| extract.groups() == 0 && extract.is_match(text));
        if first_line.is_empty() && (!matches!(captures, Some(None)) || is_found()) {
            first_line.push_str(truncate(text, MAX_EVENT_TEXT));
        }
        let Some(captures) = captures else { return };
        extraction.handle_line(text, captures.is_some());
        let Some(captures) = captures else { return };
        let group = |number| captures.get(number).map_or("", |group| group.as_str());
        for (at, alert) in rule.alerts.iter().enumerate() {
            let value = match &alert.subject {
                AlertSubject::Text(number, text) if group(*number) == text => "",
                AlertSubject::Each(number) => group(*number),
                _ => continue,
            };
            let source = alert.kind.group();
            let said = alert.kind.text().map(|message| message.expand(text, Some(&captures))).unwrap_or_default();
            let outcome = handle_value(now, alert, &mut limits[at], (value, group(source), &said), delivery);
            match (outcome, &alert.subject) {
                (Outcome::Number(is_number), _) => extraction.handle_number(at, source, group(source), is_number),
                (Outcome::NoRoom, AlertSubject::Each(number)) => extraction.handle_crowd(*number, Limits::MAX_VALUES),
                _ => {}
            }
        }
    }

    /// The run has ended, with a good exit status or not. Returns what is to be said of its output.
    fn end_run(&mut self, now: Now, status: Option<u8>, is_good: bool, delivery: &mut Delivery) -> Option<String> {
        let Self { rule, extraction, limits, first_line } = self;
        // Cut output does not have all values.
        let is_complete = is_good && status.is_some() && extraction.is_found();
        for (alert, limits) in rule.alerts.iter().zip(limits) {
            if let (AlertSubject::Status, Some(status)) = (&alert.subject, status) {
                let captures = rule.extract.as_ref().and_then(|extract| extract.captures(first_line, &mut Work::turn()));
                let said = alert.kind.text().map(|message| message.expand(first_line, captures.as_ref())).unwrap_or_default();
                handle_value(now, alert, limits, ("", &status.to_string(), &said), delivery);
            }
            limits.end_run(now, alert, is_complete, delivery);
        }
        extraction.end_run(rule, is_good)
    }
}

/// What a value was good for.
enum Outcome {
    /// It is a metric.
    Metric,
    /// It is to be a number, and is one or not.
    Number(bool),
    /// There are too many values.
    NoRoom,
}

/// An alert applies to a value, of which there is that number, and that message if the number passes the limit.
fn handle_value(
    now: Now,
    alert: &CommandAlert,
    limits: &mut Limits,
    (value, text, message): (&str, &str, &str),
    delivery: &mut Delivery,
) -> Outcome {
    let is_active = alert.active.as_ref().is_none_or(|schedule| schedule.is_active(now.local));
    if let CommandAlertKind::Metric { .. } = &alert.kind {
        if is_active {
            delivery.push(now, Event { tags: &alert.tags, file: None, text, kind: Kind::Metric, condition: None });
        }
        return Outcome::Metric;
    }
    let Some(number) = alert.kind.measure().read(text) else { return Outcome::Number(false) };
    let sample = match alert.passes(&number) {
        Some(true) if is_active => Sample::Holds,
        Some(false) if is_active => Sample::Lasts,
        _ => Sample::Clear,
    };
    match limits.handle_number(now, alert, value, sample, message, delivery) {
        true => Outcome::Number(true),
        false => Outcome::NoRoom,
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
            let _ = commands.end_run(now, &command, Ok(()).into(), &mut delivery);
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
    fn an_exit_status_makes_events_as_a_number_does_and_is_no_failure() {
        let text = "run: command=check\nalert_if: tags=C match=status upper_limit=status,1 text=Critical: {line}\ncleared: Fine\n\
                    alert_metric: tags=M match=status metric=status\n";
        let (mut commands, mut delivery) = (CommandRules::default(), delivery());
        commands.replace(at(0), rules(text));
        let mut made = Vec::new();
        for (minute, status) in (0..).zip([Some(0), Some(2), None, Some(1), Some(3)]) {
            let run = commands.begin_run(at(minute * 60)).unwrap();
            commands.handle_line(at(minute * 60), &run, "CHECK: 3 of 3", &mut delivery);
            let outcome = if status == Some(0) { Ok(()) } else { Err("x".to_string()) };
            let (reports, outcome) = commands.end_run(at(minute * 60), &run, TaskEnd { status, outcome }, &mut delivery);
            assert_eq!((reports.len(), outcome.is_ok()), (0, status.is_some()), "{status:?}");
            made.push(events(&mut delivery).join(","));
        }
        assert_eq!(made, ["M 0", "C Critical: CHECK: 3 of 3,M 2", "", "C Fine,M 1", "C Critical: CHECK: 3 of 3,M 3"]);
    }

    #[test]
    fn the_text_about_an_exit_status_has_the_first_line_in_which_the_pattern_is_found() {
        let text = "run: command=check extract=^free: (\\d+)\nalert_if: tags=C match=status upper_limit=status,0 text={1} of {line}\n";
        let (mut commands, mut delivery) = (CommandRules::default(), delivery());
        commands.replace(at(0), rules(text));
        for (minute, lines, made) in [(0, &["x", "free: 7 MB", "free: 8 MB"][..], "C 7 of free: 7 MB"), (1, &["x"], "C  of")] {
            let run = commands.begin_run(at(minute * 60)).unwrap();
            lines.iter().for_each(|line| commands.handle_line(at(minute * 60), &run, line, &mut delivery));
            let end = TaskEnd { status: Some(1), outcome: Err("x".into()) };
            assert_eq!(commands.end_run(at(minute * 60), &run, end, &mut delivery), (Vec::new(), Ok(())));
            assert_eq!(events(&mut delivery).join(",").trim_end(), made);
        }
    }

    const MOUNTS: &str =
        "run: command=df extract=^(\\S+) (\\S+)%$\nalert_if: tags=D match=1 upper_limit=2,90 repeat=0 text=Full {1}\ncleared: Room\n";

    #[test]
    fn each_value_has_a_condition_which_ends_when_the_value_is_gone() {
        let runs = ["/ 95%;/home 96%;/b 1%", "/ 80%;/home 97%;/b 91%", "/home 1%", "nothing", "/b 99%;/ 99%;/b 1%", "/b 1%", "/b 1%;/ 1%"];
        let made = [
            "D Full /,D Full /home",
            "D Full /b,D Room [/]",
            "D Room [/b],D Room [/home]",
            "",
            "D Full /b,D Full /",
            "D Room [/],D Room [/b]",
            "",
        ];
        assert_eq!(events_of(MOUNTS, &runs), made);
        let runs = ["/ 95%;/b 95%", "/ 95%", "/ 95%;/b 95%", "/b 95%;/ 1%"];
        assert_eq!(events_of(&MOUNTS.replace("repeat=0", "for=2 repeat=0"), &runs), ["", "D Full /", "", "D Full /b,D Room [/]"]);
    }

    #[test]
    fn the_conditions_of_values_outlive_an_edit_of_the_text_and_not_one_of_the_tags() {
        let (mut commands, mut delivery) = (CommandRules::default(), delivery());
        let mut made = Vec::new();
        for (minute, text) in (0..).zip([MOUNTS.to_string(), MOUNTS.replace("Full", "Fuller"), MOUNTS.replace("tags=D", "tags=X")]) {
            let now = at(minute * 60);
            commands.replace(now, rules(&text));
            delivery.close_other_conditions(now, &commands.condition_keys().collect::<Vec<_>>());
            let run = commands.begin_run(now).unwrap();
            commands.handle_line(now, &run, "/ 95%", &mut delivery);
            let _ = commands.end_run(now, &run, Ok(()).into(), &mut delivery);
            made.push(events(&mut delivery).join(","));
        }
        assert_eq!(made, ["D Full /", "", "D Room [/],X Full /"]);
    }

    #[test]
    fn a_value_is_not_gone_while_its_command_fails_or_prints_nothing_of_use() {
        let (mut commands, mut delivery) = (CommandRules::default(), delivery());
        commands.replace(at(0), rules(MOUNTS));
        let mut run = |minute: u64, line: &str, end: TaskEnd| {
            let run = commands.begin_run(at(minute * 60)).unwrap();
            commands.handle_line(at(minute * 60), &run, line, &mut delivery);
            let _ = commands.end_run(at(minute * 60), &run, end, &mut delivery);
            events(&mut delivery).join(",")
        };
        assert_eq!(run(0, "/ 95%", Ok(()).into()), "D Full /");
        assert_eq!(run(1, "/b 1%", TaskEnd { status: Some(1), outcome: Err("exit status 1".into()) }), "");
        assert_eq!(run(2, "/b 1%", TaskEnd { status: None, outcome: Ok(()) }), "", "its output was cut");
        assert_eq!(run(3, "none", Ok(()).into()), "");
        assert_eq!(run(4, "/b 1%", Ok(()).into()), "D Room [/]");
    }

    #[test]
    fn values_beyond_the_limit_are_left_out_and_reported() {
        let (mut commands, mut delivery) = (CommandRules::default(), delivery());
        commands.replace(at(0), rules(&MOUNTS.replace("2,90", "2,900")));
        let mut reports = Vec::new();
        for minute in 0..4 {
            let run = commands.begin_run(at(minute * 60)).unwrap();
            for value in 0..=Limits::MAX_VALUES {
                commands.handle_line(at(minute * 60), &run, &format!("/{value} 5%"), &mut delivery);
            }
            reports.extend(commands.end_run(at(minute * 60), &run, Ok(()).into(), &mut delivery).0);
        }
        let reason = "group 1 of extract=^(\\S+) (\\S+)%$ has more than 1024 values: the others are left out";
        assert_eq!(reports, [format!("Command output not usable: df: {reason}")]);
    }

    #[test]
    fn a_limit_with_a_unit_compares_with_numbers_of_its_measure() {
        let text = "run: command=df extract=(\\S+) (\\S+) (\\S+)\nalert_if: tags=P match=1,/ upper_limit=3,90% until=80% message=Full\n\
                    alert_if: tags=S match=1,/ lower_limit=2,1.5G message=Small\n";
        let runs = ["/ 2G 91%", "/ 1500M 85%", "/ 1.6GB 80%", "/ 0 0", "/ 99 99", "/ 1536M 90%"];
        assert_eq!(events_of(text, &runs), ["P Full", "S Small", "S Small", "S Small", "", ""]);
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
            let _ = commands.end_run(now, &command, Ok(()).into(), &mut delivery);
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
            let (made, _) = commands.end_run(at(run * 60), &command, Ok(()).into(), &mut delivery());
            reports.extend(made.into_iter().map(|report| (run, report)));
        }
        let text = "Command output not usable: df: group 2 of extract=(\\S+) (\\S+)% is no number: \"1.2G\"";
        assert_eq!(reports, [(2, text.to_string()), (7, text.to_string())]);
    }

    #[test]
    fn a_command_runs_as_often_as_it_says_and_apart_from_one_that_says_otherwise() {
        let mut commands = CommandRules::default();
        commands.replace(at(0), rules(&format!("{DISK}{}", DISK.replace("run:", "run: every=5 timeout=2"))));
        let started = |commands: &mut CommandRules, seconds| -> Vec<u64> {
            let mut started = Vec::new();
            while let Some(run) = commands.begin_run(at(seconds)) {
                started.push(run.every.as_secs());
                assert_eq!(run.timeout.as_secs(), if run.every.as_secs() == 5 { 2 } else { 30 });
                let _ = commands.end_run(at(seconds), &run, Ok(()).into(), &mut delivery());
            }
            started
        };
        assert_eq!(started(&mut commands, 0), [60, 5]);
        for (seconds, expected) in [(4, &[][..]), (5, &[5]), (10, &[5]), (58, &[5]), (60, &[60]), (61, &[5]), (66, &[5])] {
            assert_eq!(started(&mut commands, seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_command_works_if_each_of_its_rules_finds_its_exit_status_good() {
        let end = |ok: &str, status: Option<u8>, outcome: Result<(), &str>| {
            let mut commands = CommandRules::default();
            commands.replace(at(0), rules(&format!("{}{}", DISK.replace("run:", "run: ok=0,1"), DISK.replace("run:", ok))));
            let run = commands.begin_run(at(0)).unwrap();
            let outcome = outcome.map_err(str::to_string);
            commands.end_run(at(0), &run, TaskEnd { status, outcome }, &mut delivery()).1
        };
        let one = Err("exit status 1: no");
        assert_eq!(end("run: ok=1, 2", Some(1), one), Ok(()));
        assert_eq!(end("run:", Some(1), one), one.map_err(str::to_string));
        assert_eq!(end("run: ok=1", Some(0), Ok(())), Err("exit status 0".into()));
        assert_eq!(end("run: ok=0,1,255", None, Err("ended by signal 9")), Err("ended by signal 9".into()));
        assert_eq!(end("run: ok=0", None, Ok(())), Ok(()), "its output was enough");
    }

    #[test]
    fn a_command_runs_every_minute_not_while_it_runs_and_once_after_sleep() {
        let mut commands = CommandRules::default();
        commands.replace(at(0), rules(DISK));
        let command = commands.begin_run(at(0)).unwrap();
        assert_eq!((commands.begin_run(at(60)), commands.next_deadline()), (None, None));
        let _ = commands.end_run(at(60), &command, Ok(()).into(), &mut delivery());
        assert_eq!(commands.next_deadline(), Some(at(60).mono));
        commands.replace(at(61), rules(&format!("{DISK}{DISK}")));
        assert!(commands.begin_run(at(600)).is_some());
        let _ = commands.end_run(at(60), &command, Ok(()).into(), &mut delivery());
        assert_eq!(commands.next_deadline(), Some(at(630).mono));
        commands.replace(at(601), Vec::new());
        assert_eq!((commands.begin_run(at(999)), commands.len()), (None, 0));
    }
}
