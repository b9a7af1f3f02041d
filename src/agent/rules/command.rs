//! Rules that run commands: when each is due, and what the lines that it prints mean. Runs nothing itself.

use super::extraction::Extraction;
use crate::agent::delivery::{Delivery, Event};
use crate::directives::decimal::Decimal;
use crate::directives::host::{CommandAlert, CommandAlertKind, CommandLine, CommandRule};
use crate::now::Now;
use crate::pattern::Work;
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
    rules: Vec<(CommandRule, Extraction)>,
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
        for rule in rules {
            let at = self.index(&rule.command).unwrap_or(self.commands.len());
            if at == self.commands.len() {
                let line = rule.command.clone();
                self.commands.push(Command { line, next_run: now.mono, is_running: false, rules: Vec::new() });
            }
            let known = before.iter().position(|(old, _)| *old == rule);
            let extraction = known.map_or_else(Extraction::default, |at| before.swap_remove(at).1);
            self.commands[at].rules.push((rule, extraction));
        }
        self.commands.retain(|command| !command.rules.is_empty());
    }

    fn index(&self, line: &CommandLine) -> Option<usize> {
        self.commands.iter().position(|command| command.line == *line)
    }

    pub(super) fn len(&self) -> usize {
        self.commands.iter().map(|command| command.rules.len()).sum()
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
        command.rules.iter_mut().for_each(|(_, extraction)| extraction.begin_run());
        // A device that slept runs a command once, not as often as it missed.
        command.next_run = (command.next_run + Self::INTERVAL).max(now.mono + Self::SHORTEST_INTERVAL);
        Some(command.line.clone())
    }

    /// One line that a command printed.
    pub(super) fn handle_line(&mut self, now: Now, line: &CommandLine, text: &str, delivery: &mut Delivery) {
        let Some(at) = self.index(line) else { return };
        for (rule, extraction) in &mut self.commands[at].rules {
            let captures = rule.extract.captures(text, &mut Work::turn());
            extraction.handle_line(text, captures.is_some());
            let Some(captures) = captures else { continue };
            let group = |number| captures.get(number).map_or("", |group| group.as_str());
            for (index, alert) in rule.alerts.iter().enumerate().filter(|(_, alert)| group(alert.group) == alert.text) {
                if let CommandAlertKind::Above { group: of, .. } | CommandAlertKind::Below { group: of, .. } = alert.kind {
                    extraction.handle_number(index, of, group(of), Decimal::parse(group(of)).is_some());
                }
                if let Some(text) = alert_text(now, alert, group) {
                    delivery.push(now, Event { tags: &alert.tags, file: None, text });
                }
            }
        }
    }

    /// A command has ended, successfully or not. Returns what is to be said of its output.
    pub(super) fn end_run(&mut self, line: &CommandLine, is_success: bool) -> Vec<String> {
        let Some(at) = self.index(line) else { return Vec::new() };
        let command = &mut self.commands[at];
        command.is_running = false;
        command.rules.iter_mut().filter_map(|(rule, extraction)| extraction.end_run(rule, is_success)).collect()
    }

    /// When the next command is due.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.commands.iter().filter(|command| !command.is_running).map(|command| command.next_run).min()
    }
}

/// The text of the event that an alert makes of a line that it applies to, if it makes one.
fn alert_text<'a>(now: Now, alert: &'a CommandAlert, group: impl Fn(usize) -> &'a str) -> Option<&'a str> {
    if alert.active.as_ref().is_some_and(|schedule| !schedule.is_active(now.local)) {
        return None;
    }
    let value = |of: usize| Decimal::parse(group(of));
    match &alert.kind {
        CommandAlertKind::Metric { group: of } => Some(group(*of)),
        CommandAlertKind::Above { group: of, limit, message } => value(*of).filter(|value| value > limit).map(|_| &**message),
        CommandAlertKind::Below { group: of, limit, message } => value(*of).filter(|value| value < limit).map(|_| &**message),
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

    #[test]
    fn a_rule_that_stays_is_reported_once_and_one_that_changed_anew() {
        let mut commands = CommandRules::default();
        let mut reports = Vec::new();
        for run in 0..10 {
            let text = if run < 5 { DISK.to_string() } else { DISK.replace("tags=D", "tags=X") };
            commands.replace(at(run * 60), rules(&text));
            let command = commands.begin_run(at(run * 60)).unwrap();
            commands.handle_line(at(run * 60), &command, "/ 1.2G%", &mut delivery());
            reports.extend(commands.end_run(&command, true).into_iter().map(|report| (run, report)));
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
        commands.end_run(&command, true);
        assert_eq!(commands.next_deadline(), Some(at(60).mono));
        commands.replace(at(61), rules(&format!("{DISK}{DISK}")));
        assert!(commands.begin_run(at(600)).is_some());
        commands.end_run(&command, true);
        assert_eq!(commands.next_deadline(), Some(at(630).mono));
        commands.replace(at(601), Vec::new());
        assert_eq!((commands.begin_run(at(999)), commands.len()), (None, 0));
    }
}
