//! Rules that run commands: when each is due, and what its lines mean. The commands are run elsewhere.

use super::outbox::{Event, Outbox};
use crate::directives::decimal::Decimal;
use crate::directives::host::{CommandAlert, CommandAlertKind, CommandLine, CommandRule};
use crate::now::Now;
use std::time::Duration;

/// All command rules in force. A command that several rules name is run once for all of them.
#[derive(Default)]
pub(super) struct CommandRules {
    commands: Vec<Command>,
}

struct Command {
    line: CommandLine,
    next_run: Duration,
    running: bool,
    rules: Vec<CommandRule>,
}

impl CommandRules {
    const INTERVAL: Duration = Duration::from_secs(60);

    /// Puts new rules in the place of the present ones. A command that was there already is run when it was going to be.
    pub(super) fn replace(&mut self, now: Now, rules: Vec<CommandRule>) {
        let mut old = std::mem::take(&mut self.commands);
        for rule in rules {
            if let Some(command) = self.commands.iter_mut().find(|command| command.line == rule.command) {
                command.rules.push(rule);
                continue;
            }
            let mut command = match old.iter().position(|old| old.line == rule.command) {
                Some(at) => old.swap_remove(at),
                None => Command { line: rule.command.clone(), next_run: now.mono, running: false, rules: Vec::new() },
            };
            command.rules = vec![rule];
            self.commands.push(command);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.commands.iter().map(|command| command.rules.len()).sum()
    }

    pub(super) fn contains(&self, line: &CommandLine) -> bool {
        self.commands.iter().any(|command| command.line == *line)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.commands.iter().map(|command| command.line.as_str())
    }

    /// The next command that is due; it counts as running until [`Self::end_run`].
    pub(super) fn begin_run(&mut self, now: Now) -> Option<CommandLine> {
        let command = self.commands.iter_mut().find(|command| !command.running && command.next_run <= now.mono)?;
        command.running = true;
        // A device that slept runs a command once, not as often as it missed.
        command.next_run = (command.next_run + Self::INTERVAL).max(now.mono + Self::INTERVAL / 2);
        Some(command.line.clone())
    }

    /// One line that a command printed.
    pub(super) fn handle_line(&self, now: Now, line: &CommandLine, text: &str, outbox: &mut Outbox) {
        for rule in self.commands.iter().filter(|command| command.line == *line).flat_map(|command| &command.rules) {
            let Some(captures) = rule.extract.captures(text) else { continue };
            let group = |number| captures.get(number).map_or("", |group| group.as_str());
            for alert in &rule.alerts {
                if let Some(text) = alert.event_text(now, group) {
                    outbox.push(now, Event { tags: &alert.tags, file: None, text });
                }
            }
        }
    }

    /// A command has ended, however it did.
    pub(super) fn end_run(&mut self, line: &CommandLine) {
        if let Some(command) = self.commands.iter_mut().find(|command| command.line == *line) {
            command.running = false;
        }
    }

    /// When the next command is due.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.commands.iter().filter(|command| !command.running).map(|command| command.next_run).min()
    }
}

impl CommandAlert {
    /// The text of the event that a line makes whose groups are given, if it makes one.
    fn event_text<'t>(&'t self, now: Now, group: impl Fn(usize) -> &'t str) -> Option<&'t str> {
        let active = self.active.as_ref().is_none_or(|schedule| schedule.is_active(now.local));
        if !active || group(self.group) != self.text {
            return None;
        }
        match &self.kind {
            CommandAlertKind::Above { group: of, limit, message } => Decimal::parse(group(*of)).filter(|n| n > limit).map(|_| &**message),
            CommandAlertKind::Below { group: of, limit, message } => Decimal::parse(group(*of)).filter(|n| n < limit).map(|_| &**message),
            CommandAlertKind::Metric { group: of } => Some(group(*of)),
        }
    }
}
