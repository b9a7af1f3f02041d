//! Rules that follow logs: which lines match, and what becomes of them now or at the end of a block of time.
//! Lines come in as they were read; no file is read here.

use super::condition::{ConditionNames, Sample};
use super::counter::{condition_alert, open_counts, place, LogCounter, MatchOutcome};
use super::file_count::FileCount;
use super::joined::{JoinedLines, WaitingLines};
use super::log_text::LogText;
use super::matched_line::MatchedLine;
use super::origin::Origins;
use super::search::{FoundLine, Searches, UnfinishedLine};
use crate::agent::delivery::{Delivery, Origin};
use crate::agent::logs::{FollowedFile, Lines, Logs};
use crate::agent::output::LogId;
use crate::agent::place::Place;
use crate::directives::host::{Joining, LogAlert, LogRule, LogSource};
use crate::hash::Fnv1a;
use crate::now::{earlier, Now};
use crate::pattern::Work;
use crate::wire::position::{BlockCount, ConditionKey};
use crate::wire::ChainId;
use std::rc::Rc;
use std::time::Duration;

/// All log rules in force, grouped by the log that they follow and ordered by its id. Every log is read once for all its rules.
#[derive(Default)]
pub(super) struct LogRules {
    groups: Vec<LogGroup>,
    /// What may still be searched in this turn.
    work: Work,
}

/// The rules that match a line, by their indexes.
#[derive(Default)]
struct Matching {
    /// Those that make an event of it, in the order of their ids.
    alerting: Vec<usize>,
    /// Those that count it.
    counting: Vec<usize>,
}

/// The rules of one log.
struct LogGroup {
    log: LogId,
    rules: Vec<LogCounter>,
    /// The indexes of the rules, ordered by [`LogCounter::id`]: the order stays the same if the configuration is written in another.
    order: Vec<usize>,
    /// What the rules search for: each once, however many rules share it.
    matchers: Vec<Rc<LogRule>>,
    /// The log's files: one, or those that its wildcard found, ordered by id. Each rule counts them in this order.
    files: Vec<LogId>,
    /// Reading stands still because there is no room for more events, or the work of the turn is done.
    is_stalled: bool,
    unfinished: Option<Box<UnfinishedLine>>,
    /// Whether a rule joins lines, and those of each file that wait for others.
    has_joins: bool,
    waiting: WaitingLines,
    /// Whether escape sequences are removed from its lines.
    is_stripped: bool,
}

impl LogRules {
    /// How long the position of a log may stay unreported after a rule counted a line, and after one ignored a line outside of its times.
    const COUNT_REPORT: Duration = Duration::from_secs(4);
    const CLOSED_REPORT: Duration = Duration::from_secs(1);

    /// Replaces all rules, each given with its identity. A rule that was there before keeps what it counted.
    pub(super) fn replace(&mut self, now: Now, rules: &[(u64, Rc<LogRule>)], logs: &Logs) {
        let mut before = std::mem::take(&mut self.groups);
        let mut names = ConditionNames::default();
        for (log, source) in logs.sources() {
            let known = before.iter().position(|group| group.log == log);
            let mut group = known.map_or_else(|| LogGroup::new(log, source), |at| before.swap_remove(at));
            let mut counters = std::mem::take(&mut group.rules);
            for (identity, rule) in rules.iter().filter(|(_, rule)| rule.log == *source) {
                let known = counters.iter().position(|old| old.identity == *identity);
                // The patterns of the new rules are shared, so no old ones stay.
                let mut counter = match known {
                    Some(at) => LogCounter { rule: rule.clone(), ..counters.swap_remove(at) },
                    None => LogCounter::new(now, *identity, rule, group.files.len()),
                };
                counter.name_conditions(&mut names);
                group.rules.push(counter);
            }
            group.share_matchers();
            group.name_rules();
            self.groups.push(group);
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

    fn group(&mut self, log: LogId) -> Option<&mut LogGroup> {
        self.groups.binary_search_by_key(&log, |group| group.log).ok().map(|at| &mut self.groups[at])
    }

    /// How many rules there are.
    pub(super) fn len(&self) -> usize {
        self.groups.iter().map(|group| group.rules.len()).sum()
    }

    /// The keys of all conditions that the rules can open.
    pub(super) fn condition_keys(&self, logs: &Logs) -> Vec<ConditionKey> {
        let mut keys = Vec::new();
        for group in &self.groups {
            for rule in group.rules.iter().filter(|rule| rule.condition_kind().is_some()) {
                let files = group.files.iter().filter_map(|file| logs.file(*file));
                keys.extend(files.map(|file| rule.condition_key(file.path())));
                keys.push(rule.condition_key(&rule.rule.log.field()));
            }
        }
        keys
    }

    /// Each rule, and how many lines matched since it took effect.
    pub(super) fn matches(&self) -> impl Iterator<Item = (&LogRule, u64)> {
        self.groups.iter().flat_map(|group| &group.rules).map(|rule| (&*rule.rule, rule.matched))
    }

    /// A wildcard found a file.
    pub(super) fn add_file(&mut self, wildcard: LogId, file: LogId) {
        if let Some(group) = self.group(wildcard).filter(|group| group.files.last().is_none_or(|last| *last < file)) {
            group.files.push(file);
            for rule in &mut group.rules {
                rule.files.push(FileCount::new(rule.is_active));
            }
        }
    }

    /// A file that a wildcard found is gone.
    pub(super) fn remove_file(&mut self, wildcard: LogId, file: LogId) {
        let Some(group) = self.group(wildcard) else { return };
        if let Ok(at) = group.files.binary_search(&file) {
            group.files.remove(at);
            group.waiting.forget(file);
            for rule in &mut group.rules {
                rule.files.remove(at);
                rule.values.iter_mut().for_each(|values| values.forget(file));
            }
        }
    }

    /// A file ends at that position now.
    pub(super) fn handle_end(&mut self, file: &FollowedFile, position: u64) {
        let Some(group) = self.group(file.source()) else { return };
        let Ok(at) = group.files.binary_search(&file.id()) else { return };
        for rule in group.rules.iter_mut().filter(|rule| rule.rule.active.is_some()) {
            rule.files[at].handle_end(rule.is_active, position);
        }
    }

    /// Matches lines of a file until there is no room for more events, or the work of the turn is done. Returns how many bytes are
    /// processed.
    pub(super) fn handle_lines(&mut self, now: Now, file: &mut FollowedFile, lines: Lines<'_>, delivery: &mut Delivery) -> usize {
        let Self { groups, work } = self;
        let Ok(at) = groups.binary_search_by_key(&file.source(), |group| group.log) else { return lines.bytes.len() };
        let LogGroup { rules, order, matchers, is_stalled, unfinished, files, has_joins, waiting, is_stripped, .. } = &mut groups[at];
        let Ok(index) = files.binary_search(&file.id()) else { return lines.bytes.len() };
        let text = LogText::of(&lines, *is_stripped);
        let mut searches = Searches::new(matchers.iter().map(|matcher| &**matcher), text.text());
        let mut finder = text.finder();
        let mut origins = Origins::new(file.chain());
        let mut matching = Matching::default();
        let (mut searched, mut consumed, mut report_within, mut has_alerted) = (0, 0, None, false);
        *is_stalled = false;
        while let Some(line) = searches.next_line(searched, work) {
            let at = finder.place(line.start..line.end);
            let position = lines.position + at.start as u64;
            let is_stopped = !delivery.has_room()
                || !searches.match_line(&line, (file.id(), position), unfinished, work)
                || *has_joins && {
                    let are_joined = lines.bytes.len() - at.start > JoinedLines::MAX || are_joined(rules, &searches, &line, work);
                    waiting.holds(now.mono, file.id(), position, are_joined)
                };
            if is_stopped {
                (*is_stalled, consumed) = (true, at.start);
                break;
            }
            let done = file.take_partial(&lines, at.start);
            let place_of_line = lines.place.as_ref().map(|place| (place, at.start));
            if matching.find(&searches, rules, order, (index, position, done, place_of_line), (&line, work)) {
                report_within = Some(LogRules::CLOSED_REPORT);
            }
            let Matching { alerting, counting } = &matching;
            let mut before = done;
            for number in alerting {
                let (rule, before_it) = (&rules[*number], || place(&lines, rules, index, at.start, before));
                let hash = Fnv1a::of_line(text.line(line.bytes, &at));
                let origin = lines.place.as_ref().map(|place| origins.of(place, rule.id, at.clone()));
                let origin = origin.map(|(place, offset)| Origin { place, offset, line: Some(hash) });
                let matched = MatchedLine { file, line: &line, origin, block: text.text() };
                has_alerted |= rule.push_event(now, &matched, &before_it, work, delivery);
                before = rule.id;
                rules[*number].count_event(index);
            }
            let matched = MatchedLine { file, line: &line, origin: None, block: text.text() };
            counting.iter().for_each(|at| rules[*at].count(index, &matched, work));
            report_within = report_within.or((!counting.is_empty()).then_some(LogRules::COUNT_REPORT));
            (searched, consumed) = (line.end, at.end);
        }
        if !*is_stalled {
            consumed = lines.bytes.len();
        }
        if has_alerted {
            delivery.finish_lines(file.chain(), &place(&lines, rules, index, consumed, 0).unwrap_or_default());
        }
        report_within.iter().for_each(|within| delivery.hurry_report(file.chain(), now.mono + *within));
        consumed
    }

    /// Until when the next line of a file waits for others, if it does.
    pub(super) fn waits_until(&self, file: &FollowedFile) -> Option<Duration> {
        let at = self.groups.binary_search_by_key(&file.source(), |group| group.log).ok()?;
        self.groups[at].waiting.until(file.id())
    }

    /// What the rules have counted of a file in blocks that are not over, for a position of that file.
    pub(super) fn open_counts(&self, file: &FollowedFile) -> Vec<BlockCount> {
        let group = self.groups.iter().find(|group| group.log == file.source());
        let counts = group.and_then(|group| Some(open_counts(&group.rules, group.files.binary_search(&file.id()).ok()?)));
        counts.unwrap_or_default()
    }

    /// A file is read on from a position of an earlier run, in which the rules had counted that. Blocks that are over by now are reported.
    pub(super) fn restore(&mut self, now: Now, file: &FollowedFile, counts: &[BlockCount], delivery: &mut Delivery) {
        let Some(group) = self.group(file.source()) else { return };
        let Ok(index) = group.files.binary_search(&file.id()) else { return };
        let mut over = Vec::new();
        for BlockCount { start, rule, count } in counts {
            let Some(at) = group.rules.iter().position(|known| known.id == *rule && known.block.is_some()) else { continue };
            if !group.rules[at].restore(now, index, *start, *count) {
                over.push((at, (*start, *count)));
            }
        }
        delivery.handle_counts(file.chain(), open_counts(&group.rules, index));
        for (at, count) in over {
            group.rules[at].report_count(now, index, file, count, delivery);
        }
    }

    /// Ends blocks, and notices when the times of alerts begin or end. Returns whether one did: then the present end of every log
    /// is wanted by [`Self::handle_end`].
    pub(super) fn handle_timeout(&mut self, now: Now, logs: &Logs, delivery: &mut Delivery) -> bool {
        let mut edge = false;
        for group in &mut self.groups {
            // Without room nothing is read at all.
            let is_stalled = group.is_stalled || !delivery.has_room_for_block();
            for at in 0..group.rules.len() {
                let rule = &mut group.rules[at];
                if rule.update_schedule(now) {
                    edge = true;
                    group.close_conditions(now, at, logs, delivery);
                }
                let rule = &mut group.rules[at];
                if rule.is_block_over(now) {
                    let (is_touched, start) = (rule.is_block_touched, rule.block_start);
                    let counted = rule.begin_block(now);
                    group.forget_counts(&counted, logs, delivery);
                    // What was not told is told whatever the times are now.
                    if !is_touched || group.rules[at].rule.alert.limit().is_some() {
                        group.report_block(now, at, (start, &counted), is_stalled, logs, delivery);
                    }
                }
            }
        }
        if edge {
            delivery.hurry_reports(now);
        }
        edge
    }

    /// Ends the present blocks, and calls `after_each` behind the events of each rule.
    pub(super) fn report_blocks(&mut self, now: Now, logs: &Logs, delivery: &mut Delivery, mut after_each: impl FnMut(&mut Delivery)) {
        for group in &mut self.groups {
            for at in 0..group.rules.len() {
                let start = group.rules[at].block_start;
                let counted = group.rules[at].begin_block(now);
                group.report_block(now, at, (start, &counted), false, logs, delivery);
                after_each(delivery);
            }
        }
    }

    /// When the next block ends, or the next alert's times begin or end.
    pub(super) fn next_deadline(&self, now: Now) -> Option<Duration> {
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        rules.fold(None, |next, rule| earlier(earlier(next, rule.block_end()), rule.next_edge(now)))
    }
}

impl Matching {
    /// Finds the rules that match the line that was searched last, at that position of the file of that index, and have not made their event
    /// of it: their id is above the last one. Returns whether one ignores the line since it was written outside of its times.
    fn find(
        &mut self,
        searches: &Searches<'_>,
        rules: &mut [LogCounter],
        order: &[usize],
        (file, position, done, place): (usize, u64, u32, Option<(&Place<'_>, usize)>),
        (line, work): (&FoundLine<'_>, &mut Work),
    ) -> bool {
        let (mut is_closed, Self { alerting, counting }) = (false, self);
        alerting.clear();
        counting.clear();
        for at in order {
            let rule = &mut rules[*at];
            let has_unit = |(place, start): (&Place<'_>, usize)| place.entry(start).is_none_or(|entry| rule.rule.is_of_unit(&entry.unit));
            let continues = |joining: &Joining| joining.continues(line.text(), work);
            if !searches.is_match(rule.matcher)
                || !rule.rule.units.is_empty() && !place.is_none_or(has_unit)
                || rule.rule.joining.as_ref().is_some_and(continues)
            {
                continue;
            }
            match rule.handle_match(file, position) {
                MatchOutcome::Alert if rule.id > done => alerting.push(*at),
                MatchOutcome::Alert => {}
                MatchOutcome::Count => counting.push(*at),
                MatchOutcome::Closed => is_closed = true,
            }
        }
        is_closed
    }
}

/// Whether all lines are there that belong to the line that was searched last, for each rule that makes an event of them.
fn are_joined(rules: &[LogCounter], searches: &Searches<'_>, line: &FoundLine<'_>, work: &mut Work) -> bool {
    let alerting = rules.iter().filter(|rule| matches!(rule.rule.alert, LogAlert::All { .. }) && searches.is_match(rule.matcher));
    let mut joinings = alerting.filter_map(|rule| rule.rule.joining.as_ref());
    joinings.all(|joining| joining.continues(line.text(), work) || JoinedLines::of(joining, searches.block(), line, work).is_complete)
}

impl LogGroup {
    fn new(log: LogId, source: &LogSource) -> Self {
        let files = if matches!(source, LogSource::Glob { .. }) { Vec::new() } else { vec![log] };
        Self {
            log,
            rules: Vec::new(),
            order: Vec::new(),
            matchers: Vec::new(),
            files,
            is_stalled: false,
            unfinished: None,
            has_joins: false,
            waiting: WaitingLines::default(),
            is_stripped: false,
        }
    }

    /// Names rules by their patterns, their alert and their block, and those that are alike in these by their order too.
    fn name_rules(&mut self) {
        self.order.clear();
        let key = |rule: &LogCounter| {
            let LogRule { alert, units, .. } = &*rule.rule;
            (rule.matcher, std::mem::discriminant(alert), rule.block, alert.by().cloned(), units.clone())
        };
        for at in 0..self.rules.len() {
            let rule = &self.rules[at];
            let same = self.rules[..at].iter().filter(|other| key(other) == key(rule)).count() as u64;
            let mut hash = rule.rule.units.iter().fold(Fnv1a::EMPTY, |hash, unit| hash.with(unit.as_bytes()).with(b" "));
            let LogRule { patterns, ignores, .. } = &*self.matchers[rule.matcher];
            for (what, patterns) in [(b"match", patterns), (b"ignor", ignores)] {
                for pattern in patterns {
                    hash = hash.with(what).with(pattern.as_str().as_bytes()).with(b"\n");
                }
            }
            let kind: &[u8] = match rule.rule.alert {
                LogAlert::All { .. } => b"all",
                LogAlert::Threshold { .. } => b"n",
                LogAlert::Count { .. } => b"count",
                LogAlert::Inactive { .. } => b"inactive",
                LogAlert::Value { .. } => b"value",
                LogAlert::Limit { .. } => b"limit",
            };
            let block = rule.block.unwrap_or_default().as_secs();
            let hash = rule.rule.alert.by().map_or(hash, |by| hash.with(b"by").with(by.to_string().as_bytes()));
            let hash = hash.with(kind).with(&block.to_le_bytes()).with(&same.to_le_bytes());
            let id = u32::try_from(hash.value() >> 32).unwrap_or(1).clamp(1, u32::MAX - 1);
            self.rules[at].id = id;
            let place = self.order.partition_point(|other| self.rules[*other].id <= id);
            self.order.insert(place, at);
        }
    }

    /// Positions are without what was counted in a block that has ended: that in each file.
    fn forget_counts(&self, counted: &[u64], logs: &Logs, delivery: &mut Delivery) {
        for (index, file) in self.files.iter().enumerate().filter(|(index, _)| counted[*index] > 0) {
            if let Some(file) = logs.file(*file) {
                delivery.handle_counts(file.chain(), open_counts(&self.rules, index));
            }
        }
    }

    /// Reports a block that has ended, when it had begun, and what a rule counted in it in each file.
    fn report_block(
        &mut self,
        now: Now,
        at: usize,
        (start, counted): (u64, &[u64]),
        is_stalled: bool,
        logs: &Logs,
        delivery: &mut Delivery,
    ) {
        let rule = &mut self.rules[at];
        for (index, (count, file)) in counted.iter().zip(&self.files).enumerate() {
            // Among the lines that wait to be read may be one that matches.
            if let (LogAlert::Inactive { .. }, true) = (&rule.rule.alert, is_stalled) {
                continue;
            }
            if let Some(file) = logs.file(*file) {
                rule.report_count(now, index, file, (start, *count), delivery);
            }
        }
        if let (LogAlert::Inactive { message, .. }, LogSource::Glob { pattern, .. }) = (&rule.rule.alert, &rule.rule.log) {
            let alert = condition_alert(&rule.rule, rule.condition_key(pattern), ChainId::NO_FILE, pattern);
            let sample = if self.files.is_empty() { Sample::Holds } else { Sample::Clear };
            if let Some(alert) = alert {
                rule.unmatched.handle_sample(now, &alert, sample, message, delivery);
            }
        }
    }

    /// Ends the conditions of a rule if its times are over.
    fn close_conditions(&self, now: Now, at: usize, logs: &Logs, delivery: &mut Delivery) {
        let rule = &self.rules[at];
        if rule.is_active {
            return;
        }
        for file in self.files.iter().filter_map(|file| logs.file(*file)) {
            rule.close_conditions(now, file.chain(), file.path(), delivery);
        }
        rule.close_conditions(now, ChainId::NO_FILE, &rule.rule.log.field(), delivery);
    }

    /// Gives rules that search for the same one matcher.
    fn share_matchers(&mut self) {
        self.matchers.clear();
        self.unfinished = None;
        self.has_joins = self.rules.iter().any(|rule| rule.rule.joining.is_some());
        self.is_stripped = self.rules.iter().any(|rule| rule.rule.is_stripped);
        for rule in &mut self.rules {
            let known = self.matchers.iter().position(|matcher| matcher.matches_like(&rule.rule));
            rule.matcher = known.unwrap_or(self.matchers.len());
            if known.is_none() {
                self.matchers.push(rule.rule.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
