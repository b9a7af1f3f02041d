//! Rules that count processes: samples of the process list, and events for counts that stay out of bounds. Reads no process table.

use crate::agent::delivery::{Delivery, Event};
use crate::directives::host::ProcessRule;
use crate::now::Now;
use std::time::Duration;

#[derive(Default)]
pub(super) struct ProcessRules {
    rules: Vec<Counter>,
    next_sample: Duration,
    /// When all is clear again if the samples stay good; `None` while it is clear.
    all_clear: Option<Duration>,
    is_last_sample_good: bool,
}

/// One rule and its counts.
pub(super) struct Counter {
    rule: ProcessRule,
    identity: u64,
    /// Matching lines of the sample that is being taken.
    count: u64,
    /// Samples in a row that were out of bounds, since the last event.
    out_of_bounds: u32,
}

impl ProcessRules {
    const SAMPLE_INTERVAL: Duration = Duration::from_secs(20);
    const SHORTEST_SAMPLE_INTERVAL: Duration = Duration::from_secs(10);
    const SAMPLES_FOR_EVENT: u32 = 2;
    const ALL_CLEAR_AFTER: Duration = Duration::from_secs(70);

    /// Replaces all rules, each given with its identity. A rule that was there before keeps its counts.
    pub(super) fn replace(&mut self, now: Now, rules: Vec<(u64, ProcessRule)>) {
        let mut before = std::mem::take(&mut self.rules);
        if before.is_empty() {
            self.next_sample = now.mono + Self::SAMPLE_INTERVAL;
        }
        for (identity, rule) in rules {
            let known = before.iter().position(|old| old.identity == identity);
            let new = || Counter { rule, identity, count: 0, out_of_bounds: 0 };
            self.rules.push(known.map_or_else(new, |at| before.swap_remove(at)));
        }
        if self.rules.is_empty() {
            self.all_clear = None;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether a sample is due. If so, it begins with that.
    pub(super) fn begin_sample(&mut self, now: Now) -> bool {
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
    pub(super) fn handle_line(&mut self, line: &str) {
        for rule in &mut self.rules {
            rule.count += u64::from(rule.rule.pattern.is_match(line));
        }
    }

    /// The process list is complete.
    pub(super) fn end_sample(&mut self, now: Now, delivery: &mut Delivery) {
        self.is_last_sample_good = true;
        for Counter { rule, count, out_of_bounds, .. } in &mut self.rules {
            let is_good = (rule.min..=rule.max).contains(count);
            self.is_last_sample_good &= is_good;
            if is_good || rule.active.as_ref().is_some_and(|schedule| !schedule.is_active(now.local)) {
                *out_of_bounds = 0;
                continue;
            }
            *out_of_bounds += 1;
            if *out_of_bounds == Self::SAMPLES_FOR_EVENT {
                *out_of_bounds = 0;
                self.all_clear = Some(now.mono + Self::ALL_CLEAR_AFTER);
                delivery.push(now, Event { tags: &rule.tags, file: None, text: &format!("{} [{count}]", rule.message) });
            }
        }
    }

    /// Reports when all is clear again.
    pub(super) fn handle_timeout(&mut self, now: Now, delivery: &mut Delivery) {
        if self.all_clear_at().is_some_and(|at| at <= now.mono) {
            self.all_clear = None;
            delivery.push(now, Event::system("Process check: All clear"));
        }
    }

    fn all_clear_at(&self) -> Option<Duration> {
        self.all_clear.filter(|_| self.is_last_sample_good)
    }

    /// When the next sample is due.
    pub(super) fn next_sample(&self) -> Option<Duration> {
        (!self.rules.is_empty()).then_some(self.next_sample)
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.all_clear_at()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::rules::bench::{at, delivery, events, host_file};
    use crate::directives::host::Rule;

    fn rules(text: &str) -> Vec<(u64, ProcessRule)> {
        let rules = host_file(text).into_iter().map(|(identity, rule)| match rule {
            Rule::Process(rule) => (identity, rule),
            other => panic!("{other:?}"),
        });
        rules.collect()
    }

    const ONE: &str = "process: x\nalert_running: tags=P min=1 max=1 message=M\n";

    /// Takes a sample of these lines if one is due. Returns the events.
    fn sample(rules: &mut ProcessRules, seconds: u64, lines: &[&str]) -> Vec<String> {
        let mut delivery = delivery();
        if rules.begin_sample(at(seconds)) {
            lines.iter().for_each(|line| rules.handle_line(line));
            rules.end_sample(at(seconds), &mut delivery);
        }
        rules.handle_timeout(at(seconds), &mut delivery);
        events(&mut delivery)
    }

    #[test]
    fn two_samples_in_a_row_out_of_bounds_make_an_event_and_all_clear_follows() {
        let mut processes = ProcessRules::default();
        processes.replace(at(0), rules(ONE));
        let mut found = Vec::new();
        for (seconds, lines) in [(10, 0), (20, 2), (40, 1), (60, 0), (80, 0), (100, 1), (140, 1), (150, 1), (160, 1)] {
            let lines = vec!["x"; lines];
            found.extend(sample(&mut processes, seconds, &lines).into_iter().map(|event| (seconds, event)));
        }
        assert_eq!(found, [(80, "P M [0]".to_string()), (150, "SYSTEM Process check: All clear".to_string())]);
    }

    #[test]
    fn a_rule_that_stays_keeps_its_count_of_bad_samples() {
        let mut processes = ProcessRules::default();
        processes.replace(at(0), rules(ONE));
        assert_eq!(sample(&mut processes, 20, &[]), [""; 0]);
        processes.replace(at(30), rules(&format!("{ONE}{}", ONE.replace("tags=P", "tags=Q"))));
        assert_eq!(sample(&mut processes, 40, &[]), ["P M [0]"]);
    }

    #[test]
    fn a_device_that_slept_takes_one_sample() {
        let mut processes = ProcessRules::default();
        processes.replace(at(0), rules(ONE));
        assert!(processes.begin_sample(at(500)));
        assert_eq!(processes.next_sample(), Some(at(510).mono));
    }
}
