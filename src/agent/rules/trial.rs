//! What a rule of a command or of processes would make of one run or sample: for the person who writes it. The `active:` and the terms
//! of the alerts are ignored.

use super::command::CommandRules;
use super::process::{ProcessRules, ProcessSource};
use crate::agent::delivery::Delivery;
use crate::agent::output::{TableEntry, TaskEnd};
use crate::directives::host::{CommandAlert, CommandRule, ConditionRule, ProcessRule, Run};
use crate::now::Now;
use crate::random::Random;

/// One run of a command, for one rule.
pub struct CommandTrial {
    now: Now,
    rules: CommandRules,
    run: Run,
    delivery: Delivery,
    events: Vec<Vec<u8>>,
}

/// One sample of the processes, for one rule.
pub struct ProcessTrial {
    now: Now,
    rules: ProcessRules,
    source: ProcessSource,
    delivery: Delivery,
}

impl CommandTrial {
    /// The run begins.
    pub fn new(now: Now, host: &str, rule: &CommandRule) -> Self {
        let alert = |alert: &CommandAlert| CommandAlert { active: None, condition: ConditionRule::default(), ..alert.clone() };
        let rule = CommandRule { alerts: rule.alerts.iter().map(alert).collect(), ..rule.clone() };
        let (mut rules, run) = (CommandRules::default(), rule.run.clone());
        rules.replace(now, vec![rule]);
        rules.begin_run(now);
        Self { now, rules, run, delivery: Delivery::new(now, host, 0, Random::new(0)), events: Vec::new() }
    }

    /// A line that the command has printed.
    pub fn handle_line(&mut self, line: &str) {
        self.rules.handle_line(self.now, &self.run, line, &mut self.delivery);
        self.events.extend(self.delivery.drain());
    }

    /// The run has ended. Returns the events, as the datagrams that would be sent, and whether the command has worked.
    pub fn finish(mut self, end: TaskEnd) -> (Vec<Vec<u8>>, Result<(), String>) {
        let (_, outcome) = self.rules.end_run(self.now, &self.run, end, &mut self.delivery);
        self.events.extend(self.delivery.drain());
        (self.events, outcome)
    }
}

impl ProcessTrial {
    /// The sample begins.
    pub fn new(now: Now, host: &str, rule: &ProcessRule) -> Self {
        let condition = ConditionRule { count: Some(1), ..ConditionRule::default() };
        let rule = ProcessRule { active: None, condition, ..rule.clone() };
        let source = if rule.filter.is_empty() { ProcessSource::Lines } else { ProcessSource::Table };
        let due = Now { mono: now.mono + rule.every, ..now };
        let mut rules = ProcessRules::default();
        rules.replace(now, vec![(0, rule)], true);
        rules.begin_sample(due, source);
        Self { now, rules, source, delivery: Delivery::new(now, host, 0, Random::new(0)) }
    }

    /// A line of the process list.
    pub fn handle_line(&mut self, line: &str) {
        self.rules.handle_line(line);
    }

    /// What the table of the system says.
    pub fn handle_table(&mut self, entry: &TableEntry<'_>) {
        self.rules.handle_table(entry);
    }

    /// The names of users that the rule asks for.
    pub fn users(&self) -> Vec<Box<str>> {
        self.rules.users()
    }

    /// The list is complete. Returns how many processes count, and the events, as the datagrams that would be sent.
    pub fn finish(mut self) -> (u64, Vec<Vec<u8>>) {
        self.rules.end_sample(self.now, self.source, &mut self.delivery);
        (self.rules.counts().sum(), self.delivery.drain().collect())
    }
}
