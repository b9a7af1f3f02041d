//! Rules that count processes: samples of the process list, and events for counts that stay out of bounds. Reads no process table.

use super::condition::{Condition, ConditionAlert, ConditionNames, Sample};
use crate::agent::delivery::{Delivery, Event};
use crate::agent::output::{Process, TableEntry};
use crate::directives::host::{ProcessFilter, ProcessRule};
use crate::now::Now;
use crate::pattern::{Pattern, Work};
use crate::text::number;
use crate::wire::position::ConditionKey;
use crate::wire::{ChainId, Kind};
use std::time::Duration;

#[derive(Default)]
pub(super) struct ProcessRules {
    rules: Vec<Counter>,
    /// One for each interval of the rules.
    samplings: Vec<Sampling>,
    /// What may still be searched in this turn.
    work: Work,
    /// Users that the rules name and that the system did not know when the last sample was taken; and in the present one.
    unknown_users: Vec<Box<str>>,
    found_unknown: Vec<Box<str>>,
    /// When all is clear again if the samples stay good; `None` while it is clear.
    all_clear: Option<Duration>,
}

/// Where samples come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessSource {
    /// The process list that the host file asks for: lines.
    Lines,
    /// The table of the system, which says whose the processes are.
    Table,
}

/// When the rules of one interval and source take their samples.
struct Sampling {
    source: ProcessSource,
    every: Duration,
    next: Duration,
}

/// One rule and its counts.
pub(super) struct Counter {
    rule: ProcessRule,
    source: ProcessSource,
    identity: u64,
    key: ConditionKey,
    /// Whether the sample that is being taken is one of this rule.
    is_sampled: bool,
    /// Matching lines of that sample.
    count: u64,
    /// With `parent=`: the parents of the matching processes, of which only some count …
    children: Vec<u32>,
    /// … namely these.
    parents: Vec<u32>,
    is_last_sample_good: bool,
    condition: Condition,
}

impl ProcessRules {
    const SAMPLES_FOR_EVENT: u32 = 2;
    const ALL_CLEAR_AFTER: Duration = Duration::from_secs(70);

    /// Replaces all rules, each given with its identity. A rule that was there before keeps its counts. `has_command`: a command prints
    /// the process list.
    pub(super) fn replace(&mut self, now: Now, rules: Vec<(u64, ProcessRule)>, has_command: bool) {
        let mut before = std::mem::take(&mut self.rules);
        // Where the table is needed anyway, and there is no other list, it serves all rules.
        let is_table_enough = !has_command && rules.iter().any(|(_, rule)| !rule.filter.is_empty());
        let source_of = |rule: &ProcessRule| match is_table_enough || !rule.filter.is_empty() {
            true => ProcessSource::Table,
            false => ProcessSource::Lines,
        };
        let is_needed = |sampling: &Sampling| {
            let mut needed = rules.iter().map(|(_, rule)| (source_of(rule), rule.every));
            needed.any(|needed| needed == (sampling.source, sampling.every))
        };
        self.samplings.retain(is_needed);
        let mut names = ConditionNames::default();
        for (identity, rule) in rules {
            let (known, source, every) = (before.iter().position(|old| old.identity == identity), source_of(&rule), rule.every);
            if !self.samplings.iter().any(|sampling| (sampling.source, sampling.every) == (source, every)) {
                self.samplings.push(Sampling { source, every, next: now.mono + every });
            }
            let filter = (!rule.filter.is_empty()).then(|| rule.filter.name());
            let parts = [rule.pattern.as_str(), &rule.tags];
            let key = ConditionKey::of(names.name(Kind::Process, &mut parts.into_iter().chain(filter.as_deref())).value());
            // The patterns of the new rules are shared, so no old ones stay.
            self.rules.push(match known {
                Some(at) => Counter { rule, source, key, ..before.swap_remove(at) },
                None => Counter::new(rule, source, identity, key),
            });
        }
        let named = |name: &str| self.rules.iter().any(|rule| rule.rule.filter.user_name() == Some(name));
        self.unknown_users.retain(|name| named(name));
        if self.rules.is_empty() {
            self.all_clear = None;
        }
    }

    /// Whether so much was searched that everything else is to have its turn.
    pub(super) fn is_turn_over(&self) -> bool {
        self.work.is_done()
    }

    /// Others had their turn.
    pub(super) fn begin_turn(&mut self) {
        self.work = Work::turn();
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// The keys of all conditions that the rules can open.
    pub(super) fn condition_keys(&self) -> impl Iterator<Item = ConditionKey> + '_ {
        self.rules.iter().map(|rule| rule.key)
    }

    /// Whether a sample of that source is due. If so, it begins with that.
    pub(super) fn begin_sample(&mut self, now: Now, source: ProcessSource) -> bool {
        if self.next_sample(source).is_none_or(|next| now.mono < next) {
            return false;
        }
        self.found_unknown.clear();
        for rule in self.rules.iter_mut().filter(|rule| rule.source == source) {
            (rule.is_sampled, rule.count) = (false, 0);
            (rule.children, rule.parents) = (Vec::new(), Vec::new());
        }
        for sampling in self.samplings.iter_mut().filter(|sampling| sampling.source == source && sampling.next <= now.mono) {
            // A device that slept takes one sample, not all that it missed.
            sampling.next = (sampling.next + sampling.every).max(now.mono + sampling.every / 2);
            let rules = self.rules.iter_mut().filter(|rule| (rule.source, rule.rule.every) == (source, sampling.every));
            rules.for_each(|rule| rule.is_sampled = true);
        }
        true
    }

    /// One line of the process list. A line of a zombie or of an agent counts only where the pattern asks for these: a daemon that is
    /// dead does not run, and an agent that names it is not it.
    pub(super) fn handle_line(&mut self, line: &str) {
        let disguised = without_mark(line);
        let rules = self.rules.iter_mut().filter(|rule| rule.is_sampled && rule.source == ProcessSource::Lines);
        for rule in rules {
            rule.count += u64::from(is_found(&rule.rule.pattern, line, disguised.as_deref(), &mut self.work));
        }
    }

    /// The names of users that the rules whose sample is being taken ask for.
    pub(super) fn users(&self) -> Vec<Box<str>> {
        let sampled = self.rules.iter().filter(|rule| rule.is_sampled && rule.source == ProcessSource::Table);
        sampled.filter_map(|rule| rule.rule.filter.user_name()).map(Into::into).collect()
    }

    /// What the table of the system says.
    pub(super) fn handle_table(&mut self, entry: &TableEntry<'_>) {
        match entry {
            TableEntry::Process(process) => self.handle_process(process),
            TableEntry::UnknownUser(name) => self.found_unknown.push((*name).into()),
        }
    }

    /// One process, which counts as its line does.
    fn handle_process(&mut self, process: &Process<'_>) {
        let disguised = without_mark(process.line);
        let is_found = |pattern: &Pattern| is_found(pattern, process.line, disguised.as_deref(), &mut Work::turn());
        for rule in self.sampled(ProcessSource::Table) {
            let ProcessFilter { user, parent, is_contained } = &rule.rule.filter;
            if parent.as_ref().is_some_and(is_found) {
                rule.parents.push(process.id);
            }
            let is_of_user = user.as_deref().is_none_or(|user| user == process.user_name || number(user, 10) == Some(process.user.into()));
            if !is_of_user || is_contained.is_some_and(|is| is != process.is_contained) || !is_found(&rule.rule.pattern) {
                continue;
            }
            match parent {
                // The parent may come later.
                Some(_) => rule.children.push(process.parent),
                None => rule.count += 1,
            }
        }
    }

    /// The rules whose sample is being taken from that source.
    fn sampled(&mut self, source: ProcessSource) -> impl Iterator<Item = &mut Counter> {
        self.rules.iter_mut().filter(move |rule| rule.is_sampled && rule.source == source)
    }

    /// The process list is complete.
    pub(super) fn end_sample(&mut self, now: Now, source: ProcessSource, delivery: &mut Delivery) {
        let mut all_clear = self.all_clear;
        for counter in self.sampled(source) {
            counter.count_children();
            let Counter { rule, key, count, condition, is_last_sample_good, .. } = counter;
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
                all_clear = Some(now.mono + Self::ALL_CLEAR_AFTER);
            }
        }
        self.all_clear = all_clear;
        if source == ProcessSource::Table {
            self.report_users(now, delivery);
        }
    }

    /// Tells once of each user that the rules name and that the system does not know: their processes would not be missed.
    fn report_users(&mut self, now: Now, delivery: &mut Delivery) {
        let asked = self.users();
        // Those of rules that were not sampled now stay as they are.
        self.unknown_users.retain(|name| !asked.contains(name) || self.found_unknown.contains(name));
        for name in std::mem::take(&mut self.found_unknown) {
            if !self.unknown_users.contains(&name) {
                delivery.push(now, Event::system(&format!("Unknown user: {name}: /etc/passwd has no number with this name first")));
                self.unknown_users.push(name);
            }
        }
    }

    /// How many processes each rule has counted in its last sample.
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> + '_ {
        self.rules.iter().map(|rule| rule.count)
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

    /// When the next sample of that source is due.
    pub(super) fn next_sample(&self, source: ProcessSource) -> Option<Duration> {
        self.samplings.iter().filter(|sampling| sampling.source == source).map(|sampling| sampling.next).min()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.all_clear_at()
    }
}

impl ProcessSource {
    pub(super) const ALL: [Self; 2] = [Self::Lines, Self::Table];
}

impl Counter {
    fn new(rule: ProcessRule, source: ProcessSource, identity: u64, key: ConditionKey) -> Self {
        let (children, parents, condition) = (Vec::new(), Vec::new(), Condition::default());
        Self { rule, source, identity, key, is_sampled: false, count: 0, children, parents, is_last_sample_good: true, condition }
    }

    /// Counts the processes whose parents are known now.
    fn count_children(&mut self) {
        self.parents.sort_unstable();
        let parents = std::mem::take(&mut self.parents);
        let children = std::mem::take(&mut self.children);
        self.count += children.iter().filter(|parent| parents.binary_search(parent).is_ok()).count() as u64;
    }
}

/// Whether a pattern is found in a line, and would not be found without what marks the line as that of a zombie or an agent.
fn is_found(pattern: &Pattern, line: &str, disguised: Option<&str>, work: &mut Work) -> bool {
    pattern.search(line, work) && !disguised.is_some_and(|line| pattern.search(line, work))
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
        if rules.begin_sample(at(seconds), ProcessSource::Lines) {
            lines.iter().for_each(|line| rules.handle_line(line));
            rules.end_sample(at(seconds), ProcessSource::Lines, &mut delivery);
        }
        rules.handle_timeout(at(seconds), &mut delivery);
        events(&mut delivery)
    }

    #[test]
    fn two_samples_in_a_row_out_of_bounds_make_an_event_and_all_clear_follows() {
        let mut processes = ProcessRules::default();
        processes.replace(at(0), rules(ONE), false);
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
        processes.replace(at(0), rules(&text), false);
        for (number, count) in (1..).zip([0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1]) {
            let now = at(number * 20);
            assert!(processes.begin_sample(now, ProcessSource::Lines));
            (0..count).for_each(|_| processes.handle_line("x"));
            processes.end_sample(now, ProcessSource::Lines, &mut delivery);
            made.push(events(&mut delivery).join(","));
        }
        assert_eq!(made, ["", "", "", "", "", "P M [0]", "", "", "", "P Fine", ""]);
        // Its times end at one minute past twelve.
        let (mut processes, text) =
            (ProcessRules::default(), text.replace("alert_", "active: 3;00:00-12:01\nalert_").replace("for=3", "for=1"));
        processes.replace(at(0), rules(&text), false);
        for (seconds, expected) in [(20, "P M [0]"), (60, ""), (100, ""), (120, "P Fine")] {
            if processes.begin_sample(at(seconds), ProcessSource::Lines) {
                processes.end_sample(at(seconds), ProcessSource::Lines, &mut delivery);
            }
            assert_eq!(events(&mut delivery).join(","), expected, "{seconds}");
        }
    }

    #[test]
    fn a_zombie_and_an_agent_count_only_where_the_pattern_asks_for_them() {
        let count = |pattern: &str, line: &str| {
            let mut processes = ProcessRules::default();
            processes.replace(at(0), rules(&ONE.replace(": x", &format!(": {pattern}"))), false);
            assert!(processes.begin_sample(at(20), ProcessSource::Lines));
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
        processes.replace(at(0), rules(ONE), false);
        assert_eq!(sample(&mut processes, 20, &[]), [""; 0]);
        processes.replace(at(30), rules(&format!("{ONE}{}", ONE.replace("tags=P", "tags=Q"))), false);
        assert_eq!(sample(&mut processes, 40, &[]), ["P M [0]"]);
    }

    #[test]
    fn rules_take_their_samples_at_their_own_intervals() {
        let mut processes = ProcessRules::default();
        processes.replace(at(0), rules(&format!("{ONE}{}", ONE.replace("tags=P", "tags=Q every=5"))), false);
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
    fn processes_count_by_their_user_their_parent_and_where_they_are() {
        let table = [
            // A parent may come after its child.
            (7, 5, (33, "www-data"), false, "x worker"),
            (5, 1, (0, "root"), false, "x master"),
            (6, 5, (33, "www-data"), false, "x worker"),
            (9, 8, (33, ""), true, "x worker"),
            (8, 1, (0, "root"), true, "x master"),
            (10, 7, (1000, "ann"), false, "x worker"),
            (11, 5, (0, "root"), false, "y"),
            (12, 1, (0, "root"), false, "aa436 -n x"),
            (13, 12, (0, "root"), false, "x worker"),
        ];
        for (terms, count) in [
            ("container=no", 5),
            ("container=yes", 2),
            ("user=www-data", 2),
            ("user=33", 3),
            ("user=nobody", 0),
            ("parent=^x master$", 3),
            ("parent=master container=no user=www-data", 2),
            ("parent=worker", 1),
            ("parent=aa436", 1),
            ("parent=-n x", 0),
        ] {
            let mut processes = ProcessRules::default();
            let text = ONE.replace("message", &format!("{terms} for=1 message"));
            processes.replace(at(0), rules(&text), true);
            assert!(!processes.begin_sample(at(20), ProcessSource::Lines) && processes.begin_sample(at(20), ProcessSource::Table));
            for (id, parent, (user, user_name), is_contained, line) in table {
                processes.handle_process(&Process { id, parent, user, user_name, is_contained, line });
            }
            let mut delivery = delivery();
            processes.end_sample(at(20), ProcessSource::Table, &mut delivery);
            let event = if count == 1 { Vec::new() } else { vec![format!("P M [{count}]")] };
            assert_eq!(events(&mut delivery), event, "{terms}");
        }
    }

    #[test]
    fn a_user_that_is_not_known_is_told_once_and_again_after_it_was_known() {
        let mut processes = ProcessRules::default();
        let rule = |terms: &str| ONE.replace("min=1", &format!("min=0 {terms}"));
        processes.replace(at(0), rules(&(rule("user=ann") + &rule("user=bob every=40") + &rule("user=33"))), false);
        let mut told = Vec::new();
        for (number, unknown) in (1..).zip([&["ann"][..], &["ann", "bob"], &["ann"], &["bob"], &["ann"], &["ann", "bob"]]) {
            assert!(processes.begin_sample(at(number * 20), ProcessSource::Table));
            let asked = processes.users();
            assert_eq!(asked, if number % 2 == 0 { ["ann", "bob"].map(Box::from).to_vec() } else { vec!["ann".into()] });
            for name in unknown {
                processes.handle_table(&TableEntry::UnknownUser(name));
            }
            let mut delivery = delivery();
            processes.end_sample(at(number * 20), ProcessSource::Table, &mut delivery);
            let events = events(&mut delivery).into_iter();
            told.push(events.map(|event| event.split(": ").nth(1).unwrap().to_string()).collect::<Vec<_>>().join(","));
        }
        assert_eq!(told, ["ann", "bob", "", "", "ann", ""]);
    }

    #[test]
    fn rules_with_and_without_a_filter_have_one_list_unless_a_command_prints_another() {
        let text = format!("{ONE}{}", ONE.replace("message", "user=root message"));
        for (has_command, sources) in [(true, [true, true]), (false, [false, true])] {
            let mut processes = ProcessRules::default();
            processes.replace(at(0), rules(&text), has_command);
            assert_eq!(ProcessSource::ALL.map(|source| processes.begin_sample(at(20), source)), sources);
            let process = Process { id: 5, parent: 1, user: 0, user_name: "root", is_contained: false, line: "x" };
            processes.handle_process(&process);
            processes.handle_line("x");
            assert_eq!(processes.rules.iter().map(|rule| rule.count).collect::<Vec<_>>(), [1, 1]);
        }
    }

    #[test]
    fn a_device_that_slept_takes_one_sample() {
        let mut processes = ProcessRules::default();
        processes.replace(at(0), rules(ONE), false);
        assert!(processes.begin_sample(at(500), ProcessSource::Lines));
        assert_eq!(processes.next_sample(ProcessSource::Lines), Some(at(510).mono));
    }
}
