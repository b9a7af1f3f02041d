//! Rules that count processes: the list is sampled, and a count that stays out of bounds makes an event.

use crate::agent::delivery::outbox::{Event, Outbox};
use crate::directives::host::ProcessRule;
use crate::now::{Millis, Moment};

#[derive(Default)]
pub(in crate::agent) struct ProcessRules {
    rules: Vec<Box<ActiveRule>>,
    next_sample: Millis,
    /// When all is clear again if the samples stay good; nothing while it is clear.
    all_clear: Option<Millis>,
    last_sample_good: bool,
}

pub(in crate::agent) struct ActiveRule {
    rule: ProcessRule,
    identity: u64,
    /// Lines of the sample that is being taken.
    count: u64,
    /// Samples in a row that were out of bounds, since the last event.
    out_of_bounds: u32,
}

impl ProcessRules {
    const SAMPLE_INTERVAL: Millis = Millis::from_secs(20);
    const SHORTEST_SAMPLE_INTERVAL: Millis = Millis::from_secs(10);
    const SAMPLES_FOR_AN_EVENT: u32 = 2;
    const ALL_CLEAR_AFTER: Millis = Millis::from_secs(70);

    /// Takes out all rules, for new ones to be put in their place.
    pub(in crate::agent) fn take(&mut self, now: &Moment) -> Vec<Box<ActiveRule>> {
        if self.rules.is_empty() {
            self.next_sample = now.mono + Self::SAMPLE_INTERVAL;
        }
        std::mem::take(&mut self.rules)
    }

    /// One of the new rules. One that was there before keeps its state.
    pub(in crate::agent) fn add(&mut self, before: &mut Vec<Box<ActiveRule>>, identity: u64, rule: ProcessRule) {
        self.rules.push(match before.iter().position(|old| old.identity == identity) {
            Some(at) => before.swap_remove(at),
            None => Box::new(ActiveRule { rule, identity, count: 0, out_of_bounds: 0 }),
        });
    }

    /// Those were all.
    pub(in crate::agent) fn handle_replaced(&mut self) {
        if self.rules.is_empty() {
            self.all_clear = None;
        }
    }

    pub(in crate::agent) fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether a sample is due; asking begins it.
    pub(in crate::agent) fn begin_sample(&mut self, now: &Moment) -> bool {
        if self.rules.is_empty() || now.mono < self.next_sample {
            return false;
        }
        // A device that slept takes one sample, not all that it missed.
        self.next_sample = (self.next_sample + Self::SAMPLE_INTERVAL).max(now.mono + Self::SHORTEST_SAMPLE_INTERVAL);
        for rule in &mut self.rules {
            rule.count = 0;
        }
        true
    }

    /// One line of the process list.
    pub(in crate::agent) fn handle_line(&mut self, line: &str) {
        for rule in &mut self.rules {
            rule.count += u64::from(rule.rule.pattern.is_match(line));
        }
    }

    /// The process list was complete.
    pub(in crate::agent) fn end_sample(&mut self, now: &Moment, outbox: &mut Outbox) {
        self.last_sample_good = true;
        for rule in &mut self.rules {
            let ActiveRule { rule, count, out_of_bounds, .. } = &mut **rule;
            let good = (rule.min..=rule.max).contains(count);
            self.last_sample_good &= good;
            if good || rule.active.as_ref().is_some_and(|schedule| !schedule.is_active(now.local)) {
                *out_of_bounds = 0;
                continue;
            }
            *out_of_bounds += 1;
            if *out_of_bounds == Self::SAMPLES_FOR_AN_EVENT {
                *out_of_bounds = 0;
                self.all_clear = Some(now.mono + Self::ALL_CLEAR_AFTER);
                outbox.push(now, Event { tags: &rule.tags, file: None, text: &format!("{} [{count}]", rule.message) });
            }
        }
    }

    /// Says that all is clear when it is.
    pub(in crate::agent) fn handle_timeout(&mut self, now: &Moment, outbox: &mut Outbox) {
        if self.all_clear_at() <= now.mono {
            self.all_clear = None;
            outbox.push_system(now, "Process check: All clear");
        }
    }

    fn all_clear_at(&self) -> Millis {
        match self.all_clear {
            Some(at) if self.last_sample_good => at,
            _ => Millis::NEVER,
        }
    }

    /// When the next sample or the all-clear is due.
    pub(in crate::agent) fn next_deadline(&self) -> Millis {
        let sample = if self.rules.is_empty() { Millis::NEVER } else { self.next_sample };
        sample.min(self.all_clear_at())
    }
}
