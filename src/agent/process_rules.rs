//! Rules that count processes: the list is sampled, and a count that stays out of bounds makes an event.

use super::outbox::{Event, Outbox};
use super::SYSTEM;
use crate::directives::host::ProcessRule;
use crate::now::{earlier, Now};
use std::time::Duration;

#[derive(Default)]
pub(super) struct ProcessRules {
    rules: Vec<ActiveRule>,
    next_sample: Duration,
    /// When the last event was made, until all is clear again.
    last_event: Option<Duration>,
    last_sample_good: bool,
}

struct ActiveRule {
    rule: ProcessRule,
    identity: u64,
    /// Lines of the sample that is being taken.
    count: u64,
    /// Samples in a row that were out of bounds, since the last event.
    out_of_bounds: u32,
}

impl ProcessRules {
    const SAMPLE_INTERVAL: Duration = Duration::from_secs(20);
    const SAMPLES_FOR_AN_EVENT: u32 = 2;
    const ALL_CLEAR_AFTER: Duration = Duration::from_secs(70);

    /// Puts new rules in the place of the present ones. A rule that was there already keeps its state.
    pub(super) fn replace(&mut self, now: Now, rules: Vec<(u64, ProcessRule)>) {
        if self.rules.is_empty() {
            self.next_sample = now.mono + Self::SAMPLE_INTERVAL;
        }
        let mut old = std::mem::take(&mut self.rules);
        let kept_or_new = |(identity, rule)| match old.iter().position(|old| old.identity == identity) {
            Some(at) => old.swap_remove(at),
            None => ActiveRule { rule, identity, count: 0, out_of_bounds: 0 },
        };
        self.rules = rules.into_iter().map(kept_or_new).collect();
        if self.rules.is_empty() {
            self.last_event = None;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether a sample is due; asking begins it.
    pub(super) fn begin_sample(&mut self, now: Now) -> bool {
        if self.rules.is_empty() || now.mono < self.next_sample {
            return false;
        }
        // A device that slept takes one sample, not all that it missed.
        self.next_sample = (self.next_sample + Self::SAMPLE_INTERVAL).max(now.mono + Self::SAMPLE_INTERVAL / 2);
        self.rules.iter_mut().for_each(|rule| rule.count = 0);
        true
    }

    /// One line of the process list.
    pub(super) fn handle_line(&mut self, line: &str) {
        for rule in self.rules.iter_mut().filter(|rule| rule.rule.pattern.is_match(line)) {
            rule.count += 1;
        }
    }

    /// The process list was complete.
    pub(super) fn end_sample(&mut self, now: Now, outbox: &mut Outbox) {
        self.last_sample_good = true;
        for ActiveRule { rule, count, out_of_bounds, .. } in &mut self.rules {
            if (rule.min..=rule.max).contains(count) {
                *out_of_bounds = 0;
                continue;
            }
            self.last_sample_good = false;
            if rule.active.as_ref().is_some_and(|schedule| !schedule.is_active(now.local)) {
                *out_of_bounds = 0;
                continue;
            }
            *out_of_bounds += 1;
            if *out_of_bounds == Self::SAMPLES_FOR_AN_EVENT {
                *out_of_bounds = 0;
                self.last_event = Some(now.mono);
                outbox.push(now, Event { tags: &rule.tags, file: None, text: &format!("{} [{count}]", rule.message) });
            }
        }
    }

    /// Says that all is clear when it is.
    pub(super) fn handle_timeout(&mut self, now: Now, outbox: &mut Outbox) {
        if self.all_clear_at().is_some_and(|at| at <= now.mono) {
            self.last_event = None;
            outbox.push(now, Event { tags: SYSTEM, file: None, text: "Process check: All clear" });
        }
    }

    fn all_clear_at(&self) -> Option<Duration> {
        self.last_event.filter(|_| self.last_sample_good).map(|event| event + Self::ALL_CLEAR_AFTER)
    }

    /// When the next sample or the all-clear is due.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let sample = (!self.rules.is_empty()).then_some(self.next_sample);
        earlier(sample, self.all_clear_at())
    }
}
