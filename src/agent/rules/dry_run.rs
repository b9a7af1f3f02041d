//! What the log rules of a host file would make of given lines: for the person who writes them.

use super::log::LogRules;
use crate::agent::delivery::Delivery;
use crate::agent::logs::{Lines, Logs};
use crate::agent::output::LogId;
use crate::directives::host::{ConditionRule, LogRule, LogSource};
use crate::now::Now;
use crate::random::Random;

/// All log rules of one file. Every line is given to each of them, as if all lines had been written within one block of time.
pub struct DryRun {
    logs: Logs,
    rules: LogRules,
    /// One file of each log.
    files: Vec<LogId>,
    delivery: Delivery,
    now: Now,
}

impl DryRun {
    /// The rules. Their `active:` and the terms of their conditions are ignored: the lines do not say when they were written.
    pub fn new(now: Now, host: &str, rules: impl IntoIterator<Item = LogRule>) -> Self {
        let rules: Vec<(u64, LogRule)> =
            (0..).zip(rules.into_iter().map(|rule| LogRule { active: None, condition: ConditionRule::default(), ..rule })).collect();
        let sources: Vec<LogSource> = rules.iter().map(|(_, rule)| rule.log.clone()).collect();
        let delivery = Delivery::new(now, host, 0, Random::new(0));
        let mut dry = Self { logs: Logs::default(), rules: LogRules::default(), files: Vec::new(), delivery, now };
        dry.logs.replace(&sources);
        dry.rules.replace(now, rules, &dry.logs);
        let ids: Vec<(LogId, LogSource)> = dry.logs.sources().map(|(id, source)| (id, source.clone())).collect();
        for (id, source) in ids {
            let file = match source {
                LogSource::Glob { pattern, .. } => dry.logs.handle_found(id, pattern, false),
                _ => Some(id),
            };
            dry.files.extend(file);
            file.iter().for_each(|file| dry.rules.add_file(id, *file));
        }
        dry
    }

    /// Takes whole lines. Only the last may lack its newline. Returns the events that they make, as the datagrams that would be sent.
    pub fn handle_lines(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        for id in &self.files {
            let Some(file) = self.logs.file_mut(*id) else { continue };
            let mut start = 0;
            while start < bytes.len() {
                self.rules.begin_turn();
                let lines = Lines { position: start as u64, place: None, bytes: &bytes[start..] };
                start += self.rules.handle_lines(self.now, file, lines, &mut self.delivery);
                // Lines that wait for others get no more.
                self.now.mono = self.rules.waits_until(file).unwrap_or(self.now.mono);
                events.extend(self.delivery.drain());
            }
        }
        events
    }

    /// Ends the block. Returns the events that this makes, and each rule with the number of lines that matched.
    pub fn finish(mut self) -> (Vec<Vec<u8>>, Vec<(LogRule, u64)>) {
        let mut events = Vec::new();
        self.rules.report_blocks(self.now, &self.logs, &mut self.delivery, |delivery| events.extend(delivery.drain()));
        (events, self.rules.matches().map(|(rule, matched)| (rule.clone(), matched)).collect())
    }
}
