//! Rules that run commands: when each is due, and what its lines mean. The commands are run elsewhere.

use crate::agent::delivery::outbox::{Event, Outbox};
use crate::directives::decimal::Decimal;
use crate::directives::host::{CommandAlertKind, CommandLine, CommandRule};
use crate::now::{Millis, Moment};

/// All command rules in force. A command that several rules name is run once for all of them.
#[derive(Default)]
pub(in crate::agent) struct CommandRules {
    commands: Vec<Command>,
}

struct Command {
    line: CommandLine,
    next_run: Millis,
    running: bool,
    rules: Vec<CommandRule>,
}

impl CommandRules {
    const INTERVAL: Millis = Millis::from_secs(60);
    const SHORTEST_INTERVAL: Millis = Millis::from_secs(30);

    /// Begins to put new rules in the place of the present ones.
    pub(in crate::agent) fn forget_rules(&mut self) {
        for command in &mut self.commands {
            command.rules.clear();
        }
    }

    /// One of the new rules. A command that was there already is run when it was going to be.
    pub(in crate::agent) fn add(&mut self, now: &Moment, rule: CommandRule) {
        let at = self.index(&rule.command).unwrap_or(self.commands.len());
        if at == self.commands.len() {
            self.commands.push(Command { line: rule.command.clone(), next_run: now.mono, running: false, rules: Vec::new() });
        }
        self.commands[at].rules.push(rule);
    }

    /// Those were all.
    pub(in crate::agent) fn handle_replaced(&mut self) {
        self.commands.retain(|command| !command.rules.is_empty());
    }

    fn index(&self, line: &CommandLine) -> Option<usize> {
        self.commands.iter().position(|command| command.line == *line)
    }

    pub(in crate::agent) fn len(&self) -> usize {
        self.commands.iter().map(|command| command.rules.len()).sum()
    }

    pub(in crate::agent) fn contains(&self, line: &CommandLine) -> bool {
        self.index(line).is_some()
    }

    pub(in crate::agent) fn names(&self) -> impl Iterator<Item = &str> {
        self.commands.iter().map(|command| command.line.as_str())
    }

    /// The next command that is due; it counts as running until [`Self::end_run`].
    pub(in crate::agent) fn begin_run(&mut self, now: &Moment) -> Option<CommandLine> {
        let command = self.commands.iter_mut().find(|command| !command.running && command.next_run <= now.mono)?;
        command.running = true;
        // A device that slept runs a command once, not as often as it missed.
        command.next_run = (command.next_run + Self::INTERVAL).max(now.mono + Self::SHORTEST_INTERVAL);
        Some(command.line.clone())
    }

    /// One line that a command printed.
    pub(in crate::agent) fn handle_line(&self, now: &Moment, line: &CommandLine, text: &str, outbox: &mut Outbox) {
        let Some(at) = self.index(line) else { return };
        for rule in &self.commands[at].rules {
            let Some(captures) = rule.extract.captures(text) else { continue };
            for alert in &rule.alerts {
                let group = |number| captures.get(number).map_or("", |group| group.as_str());
                let active = alert.active.as_ref().is_none_or(|schedule| schedule.is_active(now.local));
                if !active || group(alert.group) != alert.text {
                    continue;
                }
                let text = match &alert.kind {
                    CommandAlertKind::Metric { group: of } => group(*of),
                    CommandAlertKind::Above { group: of, limit, message } if Decimal::parse(group(*of)).is_some_and(|n| n > *limit) => {
                        message
                    }
                    CommandAlertKind::Below { group: of, limit, message } if Decimal::parse(group(*of)).is_some_and(|n| n < *limit) => {
                        message
                    }
                    _ => continue,
                };
                outbox.push(now, Event { tags: &alert.tags, file: None, text });
            }
        }
    }

    /// A command has ended, however it did.
    pub(in crate::agent) fn end_run(&mut self, line: &CommandLine) {
        if let Some(at) = self.index(line) {
            self.commands[at].running = false;
        }
    }

    /// When the next command is due.
    pub(in crate::agent) fn next_deadline(&self) -> Millis {
        let mut next = Millis::NEVER;
        for command in &self.commands {
            if !command.running {
                next = next.min(command.next_run);
            }
        }
        next
    }
}
