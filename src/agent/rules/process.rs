//! Rules that count processes: samples of the process list, and events for counts that stay out of bounds. Reads no process table.

use super::condition::{Condition, ConditionAlert, ConditionNames, Sample};
use crate::agent::delivery::{Delivery, Event};
use crate::directives::host::ProcessRule;
use crate::now::Now;
use crate::wire::position::ConditionKey;
use crate::wire::{ChainId, Kind};
use std::time::Duration;

#[derive(Default)]
pub(super) struct ProcessRules {
    rules: Vec<Counter>,
    /// One for each interval of the rules.
    samplings: Vec<Sampling>,
    /// When all is clear again if the samples stay good; `None` while it is clear.
    all_clear: Option<Duration>,
}

/// When the rules of one interval take their samples.
struct Sampling {
    every: Duration,
    next: Duration,
}

/// One rule and its counts.
pub(super) struct Counter {
    rule: ProcessRule,
    identity: u64,
    key: ConditionKey,
    /// Whether the sample that is being taken is one of this rule.
    is_sampled: bool,
    /// Matching lines of that sample.
    count: u64,
    is_last_sample_good: bool,
    condition: Condition,
}

impl ProcessRules {
    const SAMPLES_FOR_EVENT: u32 = 2;
    const ALL_CLEAR_AFTER: Duration = Duration::from_secs(70);

    /// Replaces all rules, each given with its identity. A rule that was there before keeps its counts.
    pub(super) fn replace(&mut self, now: Now, rules: Vec<(u64, ProcessRule)>) {
        let mut before = std::mem::take(&mut self.rules);
        self.samplings.retain(|sampling| rules.iter().any(|(_, rule)| rule.every == sampling.every));
        let mut names = ConditionNames::default();
        for (identity, rule) in rules {
            let (known, every) = (before.iter().position(|old| old.identity == identity), rule.every);
            if !self.samplings.iter().any(|sampling| sampling.every == every) {
                self.samplings.push(Sampling { every, next: now.mono + every });
            }
            let key = ConditionKey::of(names.name(Kind::Process, [rule.pattern.as_str(), &rule.tags]).value());
            // The patterns of the new rules are shared, so no old ones stay.
            self.rules.push(match known {
                Some(at) => Counter { rule, key, ..before.swap_remove(at) },
                None => {
                    Counter { rule, identity, key, is_sampled: false, count: 0, is_last_sample_good: true, condition: Condition::default() }
                }
            });
        }
        if self.rules.is_empty() {
            self.all_clear = None;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// The keys of all conditions that the rules can open.
    pub(super) fn condition_keys(&self) -> impl Iterator<Item = ConditionKey> + '_ {
        self.rules.iter().map(|rule| rule.key)
    }

    /// Whether a sample is due. If so, it begins with that.
    pub(super) fn begin_sample(&mut self, now: Now) -> bool {
        if self.next_sample().is_none_or(|next| now.mono < next) {
            return false;
        }
        for rule in &mut self.rules {
            (rule.is_sampled, rule.count) = (false, 0);
        }
        for sampling in self.samplings.iter_mut().filter(|sampling| sampling.next <= now.mono) {
            // A device that slept takes one sample, not all that it missed.
            sampling.next = (sampling.next + sampling.every).max(now.mono + sampling.every / 2);
            let rules = self.rules.iter_mut().filter(|rule| rule.rule.every == sampling.every);
            rules.for_each(|rule| rule.is_sampled = true);
        }
        true
    }

    /// One line of the process list. A line of a zombie or of an agent counts only where the pattern asks for these: a daemon that is
    /// dead does not run, and an agent that names it is not it.
    pub(super) fn handle_line(&mut self, line: &str) {
        let disguised = without_mark(line);
        for rule in self.rules.iter_mut().filter(|rule| rule.is_sampled) {
            let pattern = &rule.rule.pattern;
            let is_counted = pattern.is_match(line) && !disguised.as_ref().is_some_and(|line| pattern.is_match(line));
            rule.count += u64::from(is_counted);
        }
    }

    /// The process list is complete.
    pub(super) fn end_sample(&mut self, now: Now, delivery: &mut Delivery) {
        for Counter { rule, key, count, condition, is_last_sample_good, .. } in self.rules.iter_mut().filter(|rule| rule.is_sampled) {
            let is_good = (rule.min..=rule.max).contains(count);
            *is_last_sample_good = is_good;
            let is_active = rule.active.as_ref().is_none_or(|schedule| schedule.is_active(now.local));
            let sample = if is_good || !is_active { Sample::Clear } else { Sample::Holds };
            let alert = ConditionAlert {
                key: *key,
                chain: ChainId::NO_FILE,
                origin: None,
                kind: Kind::Process,
                tags: &rule.tags,
                file: None,
                terms: &rule.condition,
                samples: Self::SAMPLES_FOR_EVENT,
            };
            let is_told = condition.handle_sample(now, &alert, sample, &format!("{} [{count}]", rule.message), delivery);
            if is_told && sample == Sample::Holds {
                self.all_clear = Some(now.mono + Self::ALL_CLEAR_AFTER);
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
        self.all_clear.filter(|_| self.rules.iter().all(|rule| rule.is_last_sample_good))
    }

    /// When the next sample is due.
    pub(super) fn next_sample(&self) -> Option<Duration> {
        self.samplings.iter().map(|sampling| sampling.next).min()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.all_clear_at()
    }
}

/// The line of a zombie or of an agent without what marks it as such; `None` for all other lines.
fn without_mark(line: &str) -> Option<String> {
    const AGENT: &str = "aa436";
    if let Some(line) = line.trim_end().strip_suffix("<defunct>") {
        return Some(line.into());
    }
    // BusyBox's `ps` shows the state alone: `Z    [name]`.
    if let Some((before, name)) = line.trim_end().rsplit_once(" [").filter(|(_, name)| name.ends_with(']')) {
        let before = before.trim_end();
        let (rest, state) = before.rsplit_once(' ').unwrap_or(("", before));
        if state.starts_with('Z') && state.len() <= 4 {
            return Some([rest, " [", name].concat());
        }
    }
    let is_agent = line.contains(AGENT) && line.split_whitespace().any(|word| word.rsplit('/').next() == Some(AGENT));
    is_agent.then(|| line.replace(AGENT, ""))
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
    fn an_alert_tells_of_its_condition_by_its_terms() {
        let (mut processes, mut delivery) = (ProcessRules::default(), delivery());
        let mut made = Vec::new();
        let text = format!("{}cleared: Fine\n", ONE.replace("message", "for=3 repeat=0 message"));
        processes.replace(at(0), rules(&text));
        for (number, count) in (1..).zip([0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1]) {
            let now = at(number * 20);
            assert!(processes.begin_sample(now));
            (0..count).for_each(|_| processes.handle_line("x"));
            processes.end_sample(now, &mut delivery);
            made.push(events(&mut delivery).join(","));
        }
        assert_eq!(made, ["", "", "", "", "", "P M [0]", "", "", "", "P Fine", ""]);
        // Its times end at one minute past twelve.
        let (mut processes, text) =
            (ProcessRules::default(), text.replace("alert_", "active: 3;00:00-12:01\nalert_").replace("for=3", "for=1"));
        processes.replace(at(0), rules(&text));
        for (seconds, expected) in [(20, "P M [0]"), (60, ""), (100, ""), (120, "P Fine")] {
            if processes.begin_sample(at(seconds)) {
                processes.end_sample(at(seconds), &mut delivery);
            }
            assert_eq!(events(&mut delivery).join(","), expected, "{seconds}");
        }
    }

    #[test]
    fn a_zombie_and_an_agent_count_only_where_the_pattern_asks_for_them() {
        let count = |pattern: &str, line: &str| {
            let mut processes = ProcessRules::default();
            processes.replace(at(0), rules(&ONE.replace(": x", &format!(": {pattern}"))));
            assert!(processes.begin_sample(at(20)));
            processes.handle_line(line);
            processes.rules[0].count
        };
        for (pattern, line, counted) in [
            ("backupd", "  77 ?        Z      0:00 [backupd] <defunct>", 0),
            ("defunct", "  77 ?        Z      0:00 [backupd] <defunct>", 1),
            ("backupd", "   77 root         0 Z    [backupd]", 0),
            ("backupd", "   77 root         0 ZW   [backupd]", 0),
            (r"Z +\[", "   77 root         0 Z    [backupd]", 1),
            ("kworker", "   12 root         0 SW   [kworker/0:1]", 1),
            ("Zd", "/usr/sbin/Zd -l [x]", 1),
            ("backupd", "/opt/backupd/aa436 -n backupd1 4360", 0),
            ("backupd", "  91 ?  S  0:00 aa436 -p /run/aa436.pid -n backupd1 4360", 0),
            ("backupd", "timeout 9 /usr/bin/aa436 -n backupd1 4360", 0),
            ("aa436", "/usr/local/bin/aa436 -n nas1 -l /var/log/aa436.log 4360", 1),
            (r"^\S*aa436\b", "/usr/local/bin/aa436 4360", 1),
            ("aa436 -n nas1", "aa436 -n nas1 4360", 1),
            ("backupd", "/usr/sbin/backupd -c /etc/aa436.conf", 1),
        ] {
            assert_eq!(count(pattern, line), counted, "{pattern} in {line}");
        }
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
    fn rules_take_their_samples_at_their_own_intervals() {
        let mut processes = ProcessRules::default();
        processes.replace(at(0), rules(&format!("{ONE}{}", ONE.replace("tags=P", "tags=Q every=5"))));
        let mut found = Vec::new();
        for seconds in 0..=40 {
            found.extend(sample(&mut processes, seconds, &[]).into_iter().map(|event| (seconds, event)));
        }
        let (q, p) = ("Q M [0]".to_string(), "P M [0]".to_string());
        assert_eq!(found, [(10, q.clone()), (20, q.clone()), (30, q.clone()), (40, p), (40, q)]);
        // The slow rule is all clear only once its own sample is good.
        let clear: Vec<_> = (41..200).filter(|seconds| !sample(&mut processes, *seconds, &["x"]).is_empty()).collect();
        assert_eq!(clear, [110]);
    }

    #[test]
    fn a_device_that_slept_takes_one_sample() {
        let mut processes = ProcessRules::default();
        processes.replace(at(0), rules(ONE));
        assert!(processes.begin_sample(at(500)));
        assert_eq!(processes.next_sample(), Some(at(510).mono));
    }
}
