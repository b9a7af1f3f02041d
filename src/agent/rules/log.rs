//! Rules that follow logs: which lines match, and what becomes of them now or at the end of a block of time.
//! Lines come in as they were read; no file is read here.

use super::condition::{Condition, ConditionAlert, ConditionNames, Sample};
use super::file_count::FileCount;
use super::origin::Origins;
use super::search::{Searches, UnfinishedLine};
use crate::agent::delivery::{Delivery, Event, Origin};
use crate::agent::logs::{FollowedFile, Lines, Logs};
use crate::agent::output::LogId;
use crate::directives::host::{LogAlert, LogRule, LogSource};
use crate::hash::Fnv1a;
use crate::now::{earlier, Now};
use crate::pattern::{Pattern, Work};
use crate::wire::position::{Base36, BlockCount, ConditionKey, Position};
use crate::wire::{ChainId, Kind};
use std::rc::Rc;
use std::time::Duration;

/// All log rules in force, grouped by the log that they follow and ordered by its id. Every log is read once for all its rules.
#[derive(Default)]
pub(super) struct LogRules {
    groups: Vec<LogGroup>,
    /// What may still be searched in this turn.
    work: Work,
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
}

/// One rule, and what it counted in its present block of time.
struct LogCounter {
    rule: Rc<LogRule>,
    /// The index of its matcher.
    matcher: usize,
    identity: u64,
    /// Names the rule among those of its log, in positions. Never 0.
    id: u32,
    /// Names its conditions and its counts, together with the file of each.
    name: Fnv1a,
    /// That of a wildcard that matches no file.
    unmatched: Condition,
    /// Whether the alert's times include the present.
    is_active: bool,
    /// The length of its blocks, if it has blocks.
    block: Option<Duration>,
    /// When the present block ends.
    block_end: Duration,
    /// When it began, in seconds since 1970.
    block_start: u64,
    /// Whether a part of the present block lies outside the alert's times.
    is_block_touched: bool,
    /// What it counted in each of the log's files.
    files: Vec<FileCount>,
    /// Lines that matched since the rule took effect.
    matched: u64,
}

/// What a rule does with a line that matches.
enum MatchOutcome {
    /// It makes an event of it.
    Alert,
    /// It counts it.
    Count,
    /// The line was written outside of its times.
    Closed,
}

impl LogRules {
    /// How long the position of a log may stay unreported after a rule counted a line, and after one ignored a line outside of its times.
    const COUNT_REPORT: Duration = Duration::from_secs(4);
    const CLOSED_REPORT: Duration = Duration::from_secs(1);

    /// Replaces all rules, each given with its identity. A rule that was there before keeps what it counted.
    pub(super) fn replace(&mut self, now: Now, rules: Vec<(u64, LogRule)>, logs: &Logs) {
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
                    Some(at) => LogCounter { rule: Rc::new(rule.clone()), ..counters.swap_remove(at) },
                    None => LogCounter::new(now, *identity, rule.clone(), group.files.len()),
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
            for rule in &mut group.rules {
                rule.files.remove(at);
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
        let LogGroup { rules, order, matchers, is_stalled, unfinished, files, .. } = &mut groups[at];
        let Ok(index) = files.binary_search(&file.id()) else { return lines.bytes.len() };
        let mut searches = Searches::new(matchers.iter().map(|matcher| &**matcher), lines.bytes);
        let mut origins = Origins::new(file.chain());
        let (mut alerting, mut counting) = (Vec::new(), Vec::new());
        let (mut consumed, mut report_within, mut has_alerted) = (0, None, false);
        *is_stalled = false;
        while let Some(line) = searches.next_line(consumed, work) {
            if !delivery.has_room() {
                *is_stalled = true;
                consumed = line.start;
                break;
            }
            let position = lines.position + line.start as u64;
            if !searches.match_line(&line, (file.id(), position), unfinished, work) {
                *is_stalled = true;
                consumed = line.start;
                break;
            }
            let done = file.take_partial(&lines, line.start);
            let unit = lines.place.as_ref().and_then(|place| place.entry(line.start)).map(|entry| &*entry.unit);
            [&mut alerting, &mut counting].into_iter().for_each(Vec::clear);
            for at in &*order {
                let rule = &mut rules[*at];
                if !searches.is_match(rule.matcher) || unit.is_some_and(|unit| !rule.rule.is_of_unit(unit)) {
                    continue;
                }
                match rule.handle_match(index, position) {
                    MatchOutcome::Alert if rule.id > done => alerting.push(*at),
                    MatchOutcome::Alert => {}
                    MatchOutcome::Count => counting.push(*at),
                    MatchOutcome::Closed => report_within = Some(LogRules::CLOSED_REPORT),
                }
            }
            let mut before = done;
            for at in &alerting {
                let (rule, before_it) = (&rules[*at], || place(&lines, rules, index, line.start, before));
                let hash = Fnv1a::of_line(line.bytes);
                let origin = lines.place.as_ref().map(|place| origins.of(place, rule.id, line.start..line.end));
                let origin = origin.map(|(place, offset)| Origin { place, offset, line: Some(hash) });
                rule.push_event(now, file, origin, before_it, line.text(), delivery);
                before = rule.id;
            }
            counting.iter().for_each(|at| rules[*at].files[index].matched += 1);
            has_alerted |= !alerting.is_empty();
            report_within = report_within.or((!counting.is_empty()).then_some(LogRules::COUNT_REPORT));
            consumed = line.end;
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
                    if !is_touched {
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

impl LogGroup {
    fn new(log: LogId, source: &LogSource) -> Self {
        let files = if matches!(source, LogSource::Glob(_)) { Vec::new() } else { vec![log] };
        Self { log, rules: Vec::new(), order: Vec::new(), matchers: Vec::new(), files, is_stalled: false, unfinished: None }
    }

    /// Names rules by their patterns, their alert and their block, and those that are alike in these by their order too.
    fn name_rules(&mut self) {
        self.order.clear();
        let key = |rule: &LogCounter| (rule.matcher, std::mem::discriminant(&rule.rule.alert), rule.block, rule.rule.units.clone());
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
            };
            let block = rule.block.unwrap_or_default().as_secs();
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
        if let (LogAlert::Inactive { message, .. }, LogSource::Glob(pattern)) = (&rule.rule.alert, &rule.rule.log) {
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
        let close = |chain, path: &str, delivery: &mut Delivery| {
            let alert = condition_alert(&rule.rule, rule.condition_key(path), chain, path);
            alert.iter().for_each(|alert| alert.close(now, delivery));
        };
        for file in self.files.iter().filter_map(|file| logs.file(*file)) {
            close(file.chain(), file.path(), delivery);
        }
        close(ChainId::NO_FILE, &rule.rule.log.field(), delivery);
    }

    /// Gives rules that search for the same one matcher.
    fn share_matchers(&mut self) {
        self.matchers.clear();
        self.unfinished = None;
        for rule in &mut self.rules {
            let known = self.matchers.iter().position(|matcher| matcher.matches_like(&rule.rule));
            rule.matcher = known.unwrap_or(self.matchers.len());
            if known.is_none() {
                self.matchers.push(rule.rule.clone());
            }
        }
    }
}

impl LogCounter {
    fn new(now: Now, identity: u64, rule: LogRule, files: usize) -> Self {
        let is_active = rule.active.as_ref().is_none_or(|schedule| schedule.is_active(now.local));
        let block = match rule.alert {
            LogAlert::All { .. } => None,
            LogAlert::Threshold { block, .. } | LogAlert::Count { block } | LogAlert::Inactive { block, .. } => Some(block),
        };
        Self {
            identity,
            id: 0,
            name: Fnv1a::EMPTY,
            unmatched: Condition::default(),
            is_active,
            block,
            block_end: now.mono + block.unwrap_or_default(),
            block_start: now.unix,
            is_block_touched: !is_active,
            files: vec![FileCount::new(is_active); files],
            matched: 0,
            rule: Rc::new(rule),
            matcher: 0,
        }
    }

    /// A line at that position of the file of that index matches. Does not count it yet.
    fn handle_match(&mut self, file: usize, position: u64) -> MatchOutcome {
        self.matched += 1;
        match self.files[file].is_active_at(position) {
            false => MatchOutcome::Closed,
            true if self.block.is_none() => MatchOutcome::Alert,
            true => MatchOutcome::Count,
        }
    }

    /// Queues the event that the rule makes of a line. Before it the file is processed up to that place.
    fn push_event(
        &self,
        now: Now,
        file: &FollowedFile,
        origin: Option<Origin<'_>>,
        before: impl FnOnce() -> Option<Position>,
        line: &str,
        delivery: &mut Delivery,
    ) {
        let LogAlert::All { message } = &self.rule.alert else { return };
        let text = message.as_deref().unwrap_or(line.trim());
        let event = Event { tags: &self.rule.tags, file: Some(file.path()), text, kind: Kind::Line, condition: None };
        delivery.push_line(now, file.chain(), origin, before, event);
    }

    /// Returns whether the alert's times began or ended.
    fn update_schedule(&mut self, now: Now) -> bool {
        let Some(schedule) = &self.rule.active else { return false };
        let is_active = schedule.is_active(now.local);
        self.is_block_touched |= !is_active;
        std::mem::replace(&mut self.is_active, is_active) != is_active
    }

    /// When the alert's times next begin or end, by the clock as it runs now.
    fn next_edge(&self, now: Now) -> Option<Duration> {
        let minutes = self.rule.active.as_ref()?.minutes_to_edge(now.local)?;
        Some(now.mono + Duration::from_secs(60 * u64::from(minutes) - u64::from(now.second.min(59))))
    }

    fn block_end(&self) -> Option<Duration> {
        self.block.map(|_| self.block_end)
    }

    fn is_block_over(&self, now: Now) -> bool {
        self.block_end().is_some_and(|end| end <= now.mono)
    }

    /// Begins the block that the present belongs to, and returns what was counted in each file before. While a device slept, blocks may
    /// have passed that nobody saw.
    fn begin_block(&mut self, now: Now) -> Vec<u64> {
        let block = self.block.unwrap_or_default();
        let late = now.mono.saturating_sub(self.block_end).as_nanos().checked_rem(block.as_nanos()).unwrap_or(0);
        let late = Duration::from_nanos(u64::try_from(late).unwrap_or(0));
        (self.block_end, self.block_start) = (now.mono + block.saturating_sub(late), now.unix.saturating_sub(late.as_secs()));
        self.is_block_touched = !self.is_active;
        self.files.iter_mut().map(|file| std::mem::take(&mut file.matched)).collect()
    }

    /// Goes on with a block of an earlier run in which that was counted in a file. Returns whether the block is not over yet.
    fn restore(&mut self, now: Now, file: usize, start: u64, count: u64) -> bool {
        let elapsed = Duration::from_secs(now.unix.saturating_sub(start));
        let Some(left) = self.block.and_then(|block| block.checked_sub(elapsed)).filter(|left| !left.is_zero()) else { return false };
        (self.block_end, self.block_start) = (now.mono + left, start.min(now.unix));
        self.files[file].matched += count;
        true
    }

    /// Makes the event of a block that has ended, if it makes one: in the file of that index that was counted. The position, in which
    /// nothing of this block is counted any more, travels with the event: a restart finds both or neither. `start` is when the block began.
    fn report_count(&mut self, now: Now, index: usize, file: &FollowedFile, (start, count): (u64, u64), delivery: &mut Delivery) {
        let (chain, place) = (file.chain(), format!("{}.", Base36(self.name_in(file.path()).value())));
        let origin = (chain != ChainId::NO_FILE).then_some(Origin { place: &place, offset: start, line: None });
        let (is_found, message) = match &self.rule.alert {
            LogAlert::All { .. } => return,
            LogAlert::Count { .. } => {
                let (tags, file, text, kind) = (&*self.rule.tags, Some(file.path()), &*count.to_string(), Kind::Count);
                return delivery.push_of_log(now, chain, origin, Event { tags, file, text, kind, condition: None });
            }
            LogAlert::Threshold { threshold, message, .. } => (count > *threshold, message),
            LogAlert::Inactive { message, .. } => (count == 0, message),
        };
        let sample = if is_found { Sample::Holds } else { Sample::Clear };
        let alert = condition_alert(&self.rule, self.condition_key(file.path()), chain, file.path());
        if let Some(alert) = alert.map(|alert| ConditionAlert { origin, ..alert }) {
            self.files[index].condition.handle_sample(now, &alert, sample, message, delivery);
        }
    }

    /// What kind of condition the rule can open.
    fn condition_kind(&self) -> Option<Kind> {
        condition_kind(&self.rule)
    }

    fn name_conditions(&mut self, names: &mut ConditionNames) {
        if self.block.is_none() {
            return;
        }
        let LogRule { log, units, patterns, ignores, tags, .. } = &*self.rule;
        let kind = self.condition_kind().unwrap_or(Kind::Count);
        let source = log.field();
        let patterns = patterns.iter().map(Pattern::as_str).chain([""]).chain(ignores.iter().map(Pattern::as_str));
        self.name = names.name(kind, [&*source, tags].into_iter().chain(units.iter().map(String::as_str)).chain(patterns));
    }

    /// The key of its condition in the file at that path.
    fn condition_key(&self, path: &str) -> ConditionKey {
        ConditionKey::of(self.name_in(path).value())
    }

    /// Names its condition or its counts in the file at that path.
    fn name_in(&self, path: &str) -> Fnv1a {
        self.name.with(path.as_bytes())
    }
}

fn condition_kind(rule: &LogRule) -> Option<Kind> {
    match rule.alert {
        LogAlert::Threshold { .. } => Some(Kind::Threshold),
        LogAlert::Inactive { .. } => Some(Kind::Absence),
        LogAlert::All { .. } | LogAlert::Count { .. } => None,
    }
}

/// What a rule says of its condition in the log at that path, if it can open one.
fn condition_alert<'a>(rule: &'a LogRule, key: ConditionKey, chain: ChainId, path: &'a str) -> Option<ConditionAlert<'a>> {
    let LogRule { tags, condition: terms, .. } = rule;
    Some(ConditionAlert { key, chain, origin: None, kind: condition_kind(rule)?, tags, file: Some(path), terms, samples: 1 })
}

/// The position of a log once all of these lines up to one are processed, and the rules up to `done` have processed that one.
fn place(lines: &Lines<'_>, rules: &[LogCounter], file: usize, upto: usize, done: u32) -> Option<Position> {
    let place = lines.place.as_ref()?.within(lines.bytes, upto, done);
    Some(Position { counts: open_counts(rules, file), ..place })
}

/// What rules have counted in the file of that index in blocks that are not over.
fn open_counts(rules: &[LogCounter], file: usize) -> Vec<BlockCount> {
    let counted = rules.iter().filter(|rule| rule.block.is_some() && rule.files[file].matched > 0);
    let counts = counted.map(|rule| BlockCount { start: rule.block_start, rule: rule.id, count: rule.files[file].matched });
    counts.take(Position::MAX_COUNTS).collect()
}

#[cfg(test)]
mod tests;
