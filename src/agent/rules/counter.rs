//! One rule of a log: which of the lines that match become events, what it counts in its present block of time, and what that makes.
//! Searches no lines.

use super::by_value::{EndedBlock, ValueCounts};
use super::condition::{Condition, ConditionAlert, ConditionNames, Sample};
use super::file_count::FileCount;
use super::joined::JoinedLines;
use super::line_limit::{LimitedLine, LineConditions};
use super::matched_line::MatchedLine;
use super::repeated;
use crate::agent::delivery::{Delivery, Event, Origin};
use crate::agent::logs::{FollowedFile, Lines};
use crate::directives::host::{EventText, LineSubject, LogAlert, LogRule};
use crate::hash::Fnv1a;
use crate::now::Now;
use crate::pattern::{GroupName, Pattern, Work};
use crate::text::truncate;
use crate::wire::position::{Base36, BlockCount, ConditionKey, Position};
use crate::wire::{ChainId, Kind};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// One rule, and what it counted in its present block of time.
pub(super) struct LogCounter {
    pub(super) rule: Rc<LogRule>,
    /// The index of its matcher.
    pub(super) matcher: usize,
    pub(super) identity: u64,
    /// Names the rule among those of its log, in positions. Never 0.
    pub(super) id: u32,
    /// Names its conditions and its counts, together with the file of each.
    pub(super) name: Fnv1a,
    /// That of a wildcard that matches no file.
    pub(super) unmatched: Condition,
    /// Whether the alert's times include the present.
    pub(super) is_active: bool,
    /// The length of its blocks, if it has blocks.
    pub(super) block: Option<Duration>,
    /// When the present block ends.
    pub(super) block_end: Duration,
    /// When it began, in seconds since 1970.
    pub(super) block_start: u64,
    /// Whether a part of the present block lies outside the alert's times.
    pub(super) is_block_touched: bool,
    /// How many events it makes in a block at most, one for each line.
    pub(super) limit: Option<u64>,
    /// Whether its event may quote the last line that it counted.
    pub(super) keeps_line: bool,
    /// What it counted in each of the log's files.
    pub(super) files: Vec<FileCount>,
    /// What it counted for each value.
    pub(super) values: Option<Box<ValueCounts>>,
    /// The conditions of its lines.
    pub(super) lines: RefCell<LineConditions>,
    /// Lines that matched since the rule took effect.
    pub(super) matched: u64,
    /// Whether events of this agent were among them, which has been told.
    pub(super) has_own_events: Cell<bool>,
}

/// What a rule does with a line that matches.
pub(super) enum MatchOutcome {
    /// It makes an event of it.
    Alert,
    /// It counts it.
    Count,
    /// The line was written outside of its times.
    Closed,
}

impl LogCounter {
    pub(super) fn new(now: Now, identity: u64, rule: &Rc<LogRule>, files: usize) -> Self {
        let is_active = rule.active.as_ref().is_none_or(|schedule| schedule.is_active(now.local));
        let block = rule.alert.block();
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
            limit: rule.alert.limit(),
            keeps_line: rule.alert.by().is_none() && matches!(rule.alert.text(), Some(EventText::Template(_))),
            files: vec![FileCount::new(is_active); files],
            matched: 0,
            has_own_events: Cell::new(false),
            values: rule.alert.by().map(|_| Box::default()),
            lines: RefCell::default(),
            rule: rule.clone(),
            matcher: 0,
        }
    }

    /// A line at that position of the file of that index matches. Does not count it yet.
    pub(super) fn handle_match(&mut self, file: usize, position: u64) -> MatchOutcome {
        self.matched += 1;
        match self.files[file].is_active_at(position) {
            false => MatchOutcome::Closed,
            true if self.block.is_none() => MatchOutcome::Alert,
            true if self.limit.is_some_and(|limit| self.files[file].matched < limit) => MatchOutcome::Alert,
            true => MatchOutcome::Count,
        }
    }

    /// Queues the event that the rule makes of a line, if it makes one, which it returns. Before it the file is processed up to that place.
    pub(super) fn push_event(
        &self,
        now: Now,
        matched: &MatchedLine<'_, '_>,
        before: &dyn Fn() -> Option<Position>,
        work: &mut Work,
        delivery: &mut Delivery,
    ) -> bool {
        let MatchedLine { file, line, origin, block } = *matched;
        let rule = &self.rule;
        if matched.is_own_event(delivery.host()) {
            if !self.has_own_events.replace(true) {
                delivery.push(now, Event::system(&format!("{} has events of this host: they are not matched", file.path())));
            }
            return false;
        }
        let joined = rule.joining.as_ref().map(|joining| JoinedLines::of(joining, block, line, work).text());
        let (line, whole) = (line.text(), joined.as_deref().unwrap_or(line.text()));
        let (text, kind) = match &rule.alert {
            LogAlert::All { message: None, .. } => (whole.trim().into(), Kind::Line),
            LogAlert::All { message: Some(message), .. } => (message.expand(whole, rule.captures(line, work).as_ref()), Kind::Line),
            LogAlert::Value { group } => {
                let captures = rule.captures(line, work);
                (captures.as_ref().map_or("", |captures| group.text_in(captures)).into(), Kind::Metric)
            }
            _ => {
                let limited = LimitedLine { rule, name: self.name.with(file.path().as_bytes()), matched };
                return self.lines.borrow_mut().handle_line(now, &limited, before, work, delivery);
            }
        };
        let event = Event { tags: &rule.tags, file: Some(file.path()), text: &text, kind, condition: None };
        delivery.push_line(now, file.chain(), origin, before, event);
        true
    }

    /// An event was made of a line of the file of that index: it counts, if the events are limited.
    pub(super) fn count_event(&mut self, file: usize) {
        self.files[file].matched += u64::from(self.block.is_some());
    }

    /// Counts a line of the file of that index.
    pub(super) fn count(&mut self, index: usize, MatchedLine { file, line, .. }: &MatchedLine<'_, '_>, work: &mut Work) {
        let times = if self.limit.is_some() { 1 } else { repeated::times(line) };
        if let Some(values) = &mut self.values {
            values.add(file.id(), &self.rule, (line.text(), times), work);
        }
        let file = &mut self.files[index];
        file.matched = file.matched.saturating_add(times);
        if self.keeps_line {
            file.last_line.clear();
            file.last_line += truncate(line.text(), FileCount::MAX_LINE);
        }
    }

    /// Returns whether the alert's times began or ended.
    pub(super) fn update_schedule(&mut self, now: Now) -> bool {
        let Some(schedule) = &self.rule.active else { return false };
        let is_active = schedule.is_active(now.local);
        self.is_block_touched |= !is_active;
        std::mem::replace(&mut self.is_active, is_active) != is_active
    }

    /// When the alert's times next begin or end, by the clock as it runs now.
    pub(super) fn next_edge(&self, now: Now) -> Option<Duration> {
        let minutes = self.rule.active.as_ref()?.minutes_to_edge(now.local)?;
        Some(now.mono + Duration::from_secs(60 * u64::from(minutes) - u64::from(now.second.min(59))))
    }

    pub(super) fn block_end(&self) -> Option<Duration> {
        self.block.map(|_| self.block_end)
    }

    pub(super) fn is_block_over(&self, now: Now) -> bool {
        self.block_end().is_some_and(|end| end <= now.mono)
    }

    /// Begins the block that the present belongs to, and returns what was counted in each file before. While a device slept, blocks may
    /// have passed that nobody saw.
    pub(super) fn begin_block(&mut self, now: Now) -> Vec<u64> {
        let block = self.block.unwrap_or_default();
        let late = now.mono.saturating_sub(self.block_end).as_nanos().checked_rem(block.as_nanos()).unwrap_or(0);
        let late = Duration::from_nanos(u64::try_from(late).unwrap_or(0));
        (self.block_end, self.block_start) = (now.mono + block.saturating_sub(late), now.unix.saturating_sub(late.as_secs()));
        self.is_block_touched = !self.is_active;
        self.values.iter_mut().for_each(|values| values.begin_block());
        self.files.iter_mut().map(|file| std::mem::take(&mut file.matched)).collect()
    }

    /// Goes on with a block of an earlier run in which that was counted in a file. Returns whether the block is not over yet.
    pub(super) fn restore(&mut self, now: Now, file: usize, start: u64, count: u64) -> bool {
        let elapsed = Duration::from_secs(now.unix.saturating_sub(start));
        let Some(left) = self.block.and_then(|block| block.checked_sub(elapsed)).filter(|left| !left.is_zero()) else { return false };
        (self.block_end, self.block_start) = (now.mono + left, start.min(now.unix));
        let matched = &mut self.files[file].matched;
        *matched = matched.saturating_add(count);
        true
    }

    /// Makes the event of a block that has ended, if it makes one: in the file of that index that was counted. The position, in which
    /// nothing of this block is counted any more, travels with the event: a restart finds both or neither. `start` is when the block began.
    pub(super) fn report_count(
        &mut self,
        now: Now,
        index: usize,
        file: &FollowedFile,
        (start, count): (u64, u64),
        delivery: &mut Delivery,
    ) {
        if let Some(values) = &mut self.values {
            let name = self.name.with(file.path().as_bytes());
            return values.report(now, &EndedBlock { rule: &self.rule, file, name, start, count }, delivery);
        }
        let (chain, place) = (file.chain(), format!("{}.", Base36(self.name_in(file.path()).value())));
        let origin = (chain != ChainId::NO_FILE).then_some(Origin { place: &place, offset: start, line: None });
        let (is_found, message) = match &self.rule.alert {
            LogAlert::All { limit, .. } => {
                return self.report_more(now, file, origin, count.saturating_sub(limit.map_or(count, |limit| limit.events)), delivery);
            }
            LogAlert::Count { .. } => {
                let (tags, file, text, kind) = (&*self.rule.tags, Some(file.path()), &*count.to_string(), Kind::Count);
                return delivery.push_of_log(now, chain, origin, Event { tags, file, text, kind, condition: None });
            }
            LogAlert::Threshold { threshold, message, .. } => {
                let line = &*self.files[index].last_line;
                (count > *threshold, message.expand(line, self.rule.captures(line, &mut Work::turn()).as_ref()))
            }
            LogAlert::Inactive { message, .. } => (count == 0, message.into()),
            LogAlert::Value { .. } | LogAlert::Limit { .. } => return,
        };
        let (sample, message) = (if is_found { Sample::Holds } else { Sample::Clear }, message.into_owned());
        let alert = condition_alert(&self.rule, self.condition_key(file.path()), chain, file.path());
        if let Some(alert) = alert.map(|alert| ConditionAlert { origin, ..alert }) {
            self.files[index].condition.handle_sample(now, &alert, sample, &message, delivery);
        }
    }

    /// Tells how many more lines matched than the events that were allowed.
    fn report_more(&self, now: Now, file: &FollowedFile, origin: Option<Origin<'_>>, more: u64, delivery: &mut Delivery) {
        if more > 0 {
            let (seconds, plural) = (self.block.unwrap_or_default().as_secs(), if more == 1 { "" } else { "s" });
            let (tags, path, text) = (&*self.rule.tags, Some(file.path()), format!("{more} more line{plural} matched in {seconds} s"));
            let event = Event { tags, file: path, text: &text, kind: Kind::Line, condition: None };
            delivery.push_of_log(now, file.chain(), origin, event);
        }
    }

    /// What kind of condition the rule can open.
    pub(super) fn condition_kind(&self) -> Option<Kind> {
        condition_kind(&self.rule)
    }

    pub(super) fn name_conditions(&mut self, names: &mut ConditionNames) {
        if self.block.is_none() && self.condition_kind().is_none() {
            return;
        }
        let LogRule { log, units, patterns, ignores, tags, .. } = &*self.rule;
        let of_events = if self.rule.alert.limit().is_some() { Kind::Line } else { Kind::Count };
        let kind = self.condition_kind().unwrap_or(of_events);
        let source = log.field();
        let patterns = patterns.iter().map(Pattern::as_str).chain([""]).chain(ignores.iter().map(Pattern::as_str));
        let by = match &self.rule.alert {
            LogAlert::Limit { limit, .. } => limit.subject.as_ref().map(LineSubject::to_string),
            alert => alert.by().map(GroupName::to_string),
        };
        let units = units.iter().map(String::as_str);
        self.name = names.name(kind, &mut [&*source, tags].into_iter().chain(units).chain(patterns).chain(by.as_deref()));
    }

    /// The key of its condition in the file at that path, or of the family of those that it has there.
    pub(super) fn condition_key(&self, path: &str) -> ConditionKey {
        let name = self.name_in(path).value();
        if self.rule.alert.has_conditions_of_values() {
            ConditionKey::family(name)
        } else {
            ConditionKey::of(name)
        }
    }

    /// Ends its conditions in the file at that path.
    pub(super) fn close_conditions(&self, now: Now, chain: ChainId, path: &str, delivery: &mut Delivery) {
        let key = self.condition_key(path);
        let alert = |key| condition_alert(&self.rule, key, chain, path);
        if self.rule.alert.has_conditions_of_values() {
            let keys = delivery.open_conditions(key);
            keys.into_iter().filter_map(alert).for_each(|alert| alert.close_value(now, delivery));
        } else {
            alert(key).iter().for_each(|alert| alert.close(now, delivery));
        }
    }

    /// Names its condition or its counts in the file at that path.
    pub(super) fn name_in(&self, path: &str) -> Fnv1a {
        self.name.with(path.as_bytes())
    }
}

fn condition_kind(rule: &LogRule) -> Option<Kind> {
    match rule.alert {
        LogAlert::Threshold { .. } => Some(Kind::Threshold),
        LogAlert::Inactive { .. } => Some(Kind::Absence),
        LogAlert::Limit { .. } => Some(Kind::Limit),
        LogAlert::All { .. } | LogAlert::Count { .. } | LogAlert::Value { .. } => None,
    }
}

/// What a rule says of its condition in the log at that path, if it can open one.
pub(super) fn condition_alert<'a>(rule: &'a LogRule, key: ConditionKey, chain: ChainId, path: &'a str) -> Option<ConditionAlert<'a>> {
    let LogRule { tags, condition: terms, .. } = rule;
    Some(ConditionAlert { key, chain, origin: None, kind: condition_kind(rule)?, tags, file: Some(path), terms, samples: 1 })
}

/// The position of a log once all of these lines up to one are processed, and the rules up to `done` have processed that one.
pub(super) fn place(lines: &Lines<'_>, rules: &[LogCounter], file: usize, upto: usize, done: u32) -> Option<Position> {
    let place = lines.place.as_ref()?.within(lines.bytes, upto, done);
    Some(Position { counts: open_counts(rules, file), ..place })
}

/// What rules have counted in the file of that index in blocks that are not over.
pub(super) fn open_counts(rules: &[LogCounter], file: usize) -> Vec<BlockCount> {
    let counted = rules.iter().filter(|rule| rule.block.is_some() && rule.files[file].matched > 0);
    let counts = counted.map(|rule| BlockCount { start: rule.block_start, rule: rule.id, count: rule.files[file].matched });
    counts.take(Position::MAX_COUNTS).collect()
}
