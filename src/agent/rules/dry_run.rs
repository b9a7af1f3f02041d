//! What the log rules of a host file would make of given lines: for the person who writes them.

use super::log::{Block, LogRules};
use crate::agent::delivery::outbox::Outbox;
use crate::agent::logs::Link;
use crate::directives::host::{LogRule, LogSource};
use crate::now::{Moment, Now};
use crate::random::Random;

/// All log rules of one file, with every line given to each, as if all lines had been written within one block of time.
pub struct DryRun {
    rules: LogRules,
    outbox: Outbox,
    now: Moment,
}

impl DryRun {
    /// The rules, of which `active:` is left out: the lines do not say when they were written.
    pub fn new(now: Now, host: &str, rules: impl IntoIterator<Item = LogRule>) -> Self {
        let now = Moment::from(now);
        let mut dry = Self { rules: LogRules::default(), outbox: Outbox::new(&now, host, 0, Random::new(0)), now };
        for (identity, rule) in (0..).zip(rules) {
            dry.rules.add(&now, &mut Vec::new(), identity, LogRule { active: None, ..rule });
        }
        dry.rules.handle_replaced();
        for (log, source) in dry.rules.sources().iter().enumerate() {
            if let LogSource::Glob(pattern) = source {
                dry.rules.handle_found(log, pattern);
            }
        }
        dry
    }

    /// Takes whole lines, of which only the last may lack its newline. Returns the events that they make, as the datagrams that
    /// would be sent.
    pub fn handle_lines(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        for (log, source) in self.rules.sources().iter().enumerate() {
            let path = source.field();
            let mut start = 0;
            while start < bytes.len() {
                let block = Block { path: &path, position: 0, place: None, bytes: &bytes[start..] };
                start += self.rules.handle_lines(&self.now, log, block, &mut Link::default(), &mut self.outbox);
                events.extend(self.outbox.drain());
            }
        }
        events
    }

    /// Ends the block. Returns the events that this makes, and each rule with the number of lines that matched.
    pub fn finish(mut self) -> (Vec<Vec<u8>>, Vec<(LogRule, u64)>) {
        let mut events = Vec::new();
        self.rules.report_blocks(&self.now, &mut self.outbox, |outbox| events.extend(outbox.drain()));
        (events, self.rules.matches().map(|(rule, matched)| (rule.clone(), matched)).collect())
    }
}
