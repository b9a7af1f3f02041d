//! Rules that follow logs: which lines match, and what becomes of them now or at the end of a block of time.
//! Lines come in as they were read; no file is touched here.

use crate::agent::delivery::outbox::{Event, Outbox};
use crate::agent::logs::Link;
use crate::directives::host::{LogAlert, LogRule, LogSource};
use crate::hash::Fnv1a;
use crate::now::{Millis, Moment};
use crate::pattern::Candidates;
use crate::wire::position::{Place, Position};
use crate::wire::ChainId;
use memchr::{memchr, memrchr};
use std::rc::Rc;

/// All log rules in force, ordered by what they follow: every log is read once, whatever number of rules is on it.
#[derive(Default)]
pub(in crate::agent) struct LogRules {
    logs: Vec<Log>,
}

struct Log {
    source: LogSource,
    rules: Vec<Box<ActiveRule>>,
    /// Their places by their names: in an order that stays the same when the configuration is written in another.
    order: Vec<usize>,
    /// What the rules look for, each once however many rules share it.
    matchers: Vec<Rc<LogRule>>,
    /// Reading stands still because no more events find room.
    stalled: bool,
}

/// One rule, and where it stands in its present block.
pub(in crate::agent) struct ActiveRule {
    rule: Rc<LogRule>,
    /// Which of the log's matchers is this rule's.
    matcher: usize,
    identity: u64,
    /// Names the rule among those of its log, in positions within a line. Never 0.
    id: u32,
    /// Whether the alert's times include the present.
    active: bool,
    /// How long its blocks are; [`Millis::NEVER`] where it has none.
    block: Millis,
    block_start: Millis,
    /// Whether a part of the present block lies outside the alert's times.
    block_touched: bool,
    files: Vec<FollowedFile>,
    /// Which of them the lines are from that are being read.
    reading: usize,
    /// Lines that matched since the rule took effect.
    matched: u64,
}

/// What a rule keeps for each real file: one, but where a wildcard finds several.
struct FollowedFile {
    path: String,
    /// Lines that matched in the present block.
    matched: u64,
    /// Whether the lines that are being read were written within the alert's times …
    active: bool,
    /// … and the positions from which on that changes.
    edges: Vec<u64>,
}

/// A stretch of whole lines of one log.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The real path, or `|COMMAND`.
    pub path: &'a str,
    /// Bytes of this log that came before, through all its rotations.
    pub position: u64,
    /// Where in the log's files that is; a command's output has no such place.
    pub place: Option<Place<'a>>,
    /// The lines, of which only the last may lack its newline.
    pub bytes: &'a [u8],
}

impl LogRules {
    /// Takes out all rules, for new ones to be put in their place.
    pub(in crate::agent) fn take(&mut self) -> Vec<Box<ActiveRule>> {
        let mut rules = Vec::new();
        for log in &mut self.logs {
            rules.append(&mut log.rules);
        }
        self.logs.clear();
        rules
    }

    /// One of the new rules. One that was there before keeps its state.
    pub(in crate::agent) fn add(&mut self, now: &Moment, before: &mut Vec<Box<ActiveRule>>, identity: u64, rule: LogRule) {
        let log = self.log_of(&rule.log);
        log.rules.push(match before.iter().position(|old| old.identity == identity) {
            Some(at) => before.swap_remove(at),
            None => Box::new(ActiveRule::new(now, identity, rule)),
        });
    }

    /// Those were all.
    pub(in crate::agent) fn handle_replaced(&mut self) {
        for log in &mut self.logs {
            log.share_files();
            log.share_matchers();
            log.name_rules();
        }
    }

    fn log_of(&mut self, source: &LogSource) -> &mut Log {
        let at = self.number_of(source).unwrap_or(self.logs.len());
        if at == self.logs.len() {
            self.logs.push(Log { source: source.clone(), rules: Vec::new(), order: Vec::new(), matchers: Vec::new(), stalled: false });
        }
        &mut self.logs[at]
    }

    /// What that log follows.
    pub(in crate::agent) fn source(&self, log: usize) -> Option<&LogSource> {
        self.logs.get(log).map(|log| &log.source)
    }

    /// The number of the log that follows that.
    pub(in crate::agent) fn number_of(&self, source: &LogSource) -> Option<usize> {
        self.logs.iter().position(|log| log.source == *source)
    }

    /// What is followed; a log's place in this list is the number by which the other calls name it.
    pub(in crate::agent) fn sources(&self) -> Vec<LogSource> {
        self.logs.iter().map(|log| log.source.clone()).collect()
    }

    /// How many rules there are.
    pub(in crate::agent) fn len(&self) -> usize {
        self.logs.iter().map(|log| log.rules.len()).sum()
    }

    /// For each rule what it follows, its first pattern, and how many lines have matched.
    pub(in crate::agent) fn matches(&self) -> impl Iterator<Item = (&LogRule, u64)> {
        self.logs.iter().flat_map(|log| &log.rules).map(|rule| (&*rule.rule, rule.matched))
    }

    /// A wildcard found that file.
    pub(in crate::agent) fn handle_found(&mut self, log: usize, path: &str) {
        let Some(log) = self.logs.get_mut(log) else { return };
        for rule in &mut log.rules {
            rule.open(path);
        }
    }

    /// A file that a wildcard had found is gone and read to its end.
    pub(in crate::agent) fn handle_gone(&mut self, log: usize, path: &str) {
        let Some(log) = self.logs.get_mut(log) else { return };
        for rule in &mut log.rules {
            if let Some(at) = rule.index(path) {
                rule.files.remove(at);
            }
        }
    }

    /// A log ends at that position at the moment.
    pub(in crate::agent) fn handle_end(&mut self, log: usize, path: &str, position: u64) {
        let Some(log) = self.logs.get_mut(log) else { return };
        for rule in &mut log.rules {
            if rule.rule.active.is_some() {
                rule.handle_end(path, position);
            }
        }
    }

    /// Matches lines until there is no room for more events. Returns how many bytes of the block are done with.
    pub(in crate::agent) fn handle_lines(
        &mut self,
        now: &Moment,
        log: usize,
        block: Block<'_>,
        link: &mut Link,
        outbox: &mut Outbox,
    ) -> usize {
        let Some(log) = self.logs.get_mut(log) else { return block.bytes.len() };
        for rule in &mut log.rules {
            rule.reading = rule.index(block.path).unwrap_or(usize::MAX);
        }
        let Log { rules, order, matchers, stalled, .. } = log;
        let mut searches = Vec::new();
        for rule in matchers {
            searches.push(Search::new(rule, block.bytes));
        }
        let mut alerting = Vec::new();
        let mut consumed = 0;
        loop {
            let at = searches.iter_mut().fold(usize::MAX, |first, search| first.min(search.next_from(consumed)));
            if at == usize::MAX {
                *stalled = false;
                return block.bytes.len();
            }
            let (start, end, line) = line_around(block.bytes, at);
            *stalled = !outbox.has_room();
            if *stalled {
                return start;
            }
            let text = String::from_utf8_lossy(line);
            for search in &mut searches {
                search.matches = search.next < end && search.rule.matches(&text);
            }
            let done = take_done(link, &block, start);
            alerting.clear();
            for at in &*order {
                let rule = &mut rules[*at];
                if searches[rule.matcher].matches && rule.handle_match(block.position + start as u64) && rule.id > done {
                    alerting.push(*at);
                }
            }
            for (number, at) in (1..).zip(&alerting) {
                // Only with the last of its events the line is done with.
                let (upto, done) = if number == alerting.len() { (end, 0) } else { (start, rules[*at].id) };
                let position = block.place.map(|place| place.within(block.bytes, upto, done));
                rules[*at].push_event(now, link.chain, position.as_ref(), block.path, &text, outbox);
            }
            consumed = end;
        }
    }

    /// Ends blocks and notices the edges of the alerts' times. Returns whether there was such an edge: then the
    /// present ends of all logs must be told by [`Self::handle_end`].
    pub(in crate::agent) fn handle_timeout(&mut self, now: &Moment, outbox: &mut Outbox) -> bool {
        let mut edge = false;
        for log in &mut self.logs {
            // Without room nothing is read at all.
            let stalled = log.stalled || !outbox.has_room_for_a_block();
            for rule in &mut log.rules {
                edge |= rule.update_schedule(now);
                rule.end_block(now, stalled, &log.source, outbox);
            }
        }
        edge
    }

    /// Makes the events that the present blocks would make if they ended now, and tells after those of each rule.
    pub(in crate::agent) fn report_blocks(&self, now: &Moment, outbox: &mut Outbox, mut after_each: impl FnMut(&mut Outbox)) {
        for (log, rule) in self.logs.iter().flat_map(|log| log.rules.iter().map(move |rule| (log, rule))) {
            rule.report_block(now, false, &log.source, outbox);
            after_each(outbox);
        }
    }

    /// When the next block ends or the next alert's times begin or end.
    pub(in crate::agent) fn next_deadline(&self, now: &Moment) -> Millis {
        let mut next = Millis::NEVER;
        for log in &self.logs {
            for rule in &log.rules {
                next = next.min(rule.block_end()).min(rule.next_edge(now));
            }
        }
        next
    }
}

/// The last of the rules that have made their events of a line in an earlier run, which is half done; 0 for any other line.
fn take_done(link: &mut Link, block: &Block<'_>, start: usize) -> u32 {
    let (Some((offset, hash, done)), Some(place)) = (link.half_done, block.place) else { return 0 };
    if place.offset + start as u64 != offset || place.at(block.bytes, start).files[place.earlier.len()].hash != hash {
        return 0;
    }
    link.half_done = None;
    done
}

impl Log {
    /// A new rule on a wildcard that is followed already has the files that its neighbours have.
    #[inline(never)]
    fn share_files(&mut self) {
        let mut paths: Vec<String> = Vec::new();
        for file in self.rules.iter().flat_map(|rule| &rule.files) {
            if !paths.contains(&file.path) {
                paths.push(file.path.clone());
            }
        }
        for rule in &mut self.rules {
            paths.iter().for_each(|path| rule.open(path));
        }
    }

    /// Names rules by what they look for, and those that look for the same by their order too.
    #[inline(never)]
    fn name_rules(&mut self) {
        self.order.clear();
        for at in 0..self.rules.len() {
            let matcher = self.rules[at].matcher;
            let same = self.rules[..at].iter().filter(|other| other.matcher == matcher).count() as u64;
            let mut hash = Fnv1a::EMPTY;
            let LogRule { patterns, ignores, .. } = &*self.matchers[matcher];
            for (what, patterns) in [(b"match", patterns), (b"ignor", ignores)] {
                for pattern in patterns {
                    hash = hash.with(what).with(pattern.as_str().as_bytes()).with(b"\n");
                }
            }
            let id = u32::try_from(hash.with(&same.to_le_bytes()).value() >> 32).unwrap_or(1).max(1);
            self.rules[at].id = id;
            let place = self.order.partition_point(|other| self.rules[*other].id <= id);
            self.order.insert(place, at);
        }
    }

    /// Rules that look for the same share one matcher.
    #[inline(never)]
    fn share_matchers(&mut self) {
        self.matchers.clear();
        for rule in &mut self.rules {
            let known = self.matchers.iter().position(|matcher| matcher.matches_like(&rule.rule));
            rule.matcher = known.unwrap_or(self.matchers.len());
            if known.is_none() {
                self.matchers.push(rule.rule.clone());
            }
        }
    }
}

/// Looks through a block for the lines that one rule's patterns may match.
struct Search<'a> {
    rule: &'a LogRule,
    patterns: Vec<Candidates<'a>>,
    /// A byte of the next such line, as far as it was asked for; `usize::MAX` where there is none.
    next: usize,
    /// Whether the rule matches the line that is looked at.
    matches: bool,
}

impl<'a> Search<'a> {
    #[inline(never)]
    fn new(rule: &'a LogRule, block: &'a [u8]) -> Self {
        let mut patterns = Vec::new();
        for pattern in &rule.patterns {
            patterns.push(pattern.candidates(block));
        }
        Self { rule, patterns, next: 0, matches: false }
    }

    #[inline(never)]
    fn next_from(&mut self, from: usize) -> usize {
        if self.next != usize::MAX {
            self.next = self.patterns.iter_mut().fold(usize::MAX, |next, pattern| next.min(pattern.next_from(from).unwrap_or(usize::MAX)));
        }
        self.next
    }
}

/// The line that a byte is in: where it begins, where the next one does, and its bytes.
fn line_around(block: &[u8], at: usize) -> (usize, usize, &[u8]) {
    let start = memrchr(b'\n', &block[..at]).map_or(0, |newline| newline + 1);
    let end = memchr(b'\n', &block[at..]).map_or(block.len(), |newline| at + newline + 1);
    let line = &block[start..end];
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    (start, end, line.strip_suffix(b"\r").unwrap_or(line))
}

impl ActiveRule {
    #[inline(never)]
    fn new(now: &Moment, identity: u64, rule: LogRule) -> Self {
        let active = rule.active.as_ref().is_none_or(|schedule| schedule.is_active(now.local));
        let block = match rule.alert {
            LogAlert::All { .. } => Millis::NEVER,
            LogAlert::Threshold { block, .. } | LogAlert::Count { block } | LogAlert::Inactive { block, .. } => block.into(),
        };
        let mut new = Self {
            identity,
            id: 0,
            active,
            block,
            block_start: now.mono,
            block_touched: !active,
            files: Vec::new(),
            reading: 0,
            matched: 0,
            rule: Rc::new(rule),
            matcher: 0,
        };
        if !matches!(new.rule.log, LogSource::Glob(_)) {
            new.open(&new.rule.log.field());
        }
        new
    }

    fn index(&self, path: &str) -> Option<usize> {
        self.files.iter().position(|file| file.path == path)
    }

    fn open(&mut self, path: &str) {
        if self.index(path).is_none() {
            self.files.push(FollowedFile { path: path.to_string(), matched: 0, active: self.active, edges: Vec::new() });
        }
    }

    /// A file ends at that position while the alert's times begin or end, or some other's.
    fn handle_end(&mut self, path: &str, position: u64) {
        let Some(at) = self.index(path) else { return };
        let file = &mut self.files[at];
        let active_at_end = file.active ^ (file.edges.len() % 2 == 1);
        if active_at_end == self.active {
            return;
        }
        // Two edges with no line between them undo each other.
        if file.edges.last() == Some(&position) {
            file.edges.pop();
        } else {
            file.edges.push(position);
        }
    }

    /// A line at that position matches. Returns whether the rule makes an event of it now.
    fn handle_match(&mut self, position: u64) -> bool {
        let Some(file) = self.files.get_mut(self.reading) else { return false };
        while file.edges.first().is_some_and(|edge| *edge <= position) {
            file.edges.remove(0);
            file.active = !file.active;
        }
        self.matched += 1;
        file.matched += u64::from(file.active);
        file.active && matches!(self.rule.alert, LogAlert::All { .. })
    }

    /// Queues the event that the rule makes of a line. With it the log is read up to that position.
    fn push_event(&self, now: &Moment, chain: ChainId, position: Option<&Position>, path: &str, line: &str, outbox: &mut Outbox) {
        let LogAlert::All { message } = &self.rule.alert else { return };
        let text = message.as_deref().unwrap_or(line.trim());
        outbox.push_line(now, chain, position, Event { tags: &self.rule.tags, file: Some(path), text });
    }

    /// Returns whether the alert's times began or ended.
    fn update_schedule(&mut self, now: &Moment) -> bool {
        let Some(schedule) = &self.rule.active else { return false };
        let active = schedule.is_active(now.local);
        self.block_touched |= !active;
        std::mem::replace(&mut self.active, active) != active
    }

    /// When the alert's times next begin or end, by the clock as it runs now.
    fn next_edge(&self, now: &Moment) -> Millis {
        match self.rule.active.as_ref().and_then(|schedule| schedule.minutes_to_edge(now.local)) {
            Some(minutes) => now.mono + Millis::from_secs(60 * u64::from(minutes) - u64::from(now.second.min(59))),
            None => Millis::NEVER,
        }
    }

    fn block_end(&self) -> Millis {
        self.block_start + self.block
    }

    fn end_block(&mut self, now: &Moment, stalled: bool, source: &LogSource, outbox: &mut Outbox) {
        if now.mono < self.block_end() {
            return;
        }
        // Of blocks that passed unseen, while the device slept, only the present one counts.
        let present = (now.mono - self.block_start).count() % self.block.count();
        self.block_start = now.mono - Millis::new(present);
        if !self.block_touched {
            self.report_block(now, stalled, source, outbox);
        }
        for file in &mut self.files {
            file.matched = 0;
        }
        self.block_touched = !self.active;
    }

    #[inline(never)]
    fn report_block(&self, now: &Moment, stalled: bool, source: &LogSource, outbox: &mut Outbox) {
        let mut report = |path: &str, text: &str| outbox.push(now, Event { tags: &self.rule.tags, file: Some(path), text });
        for file in &self.files {
            let number;
            let text = match &self.rule.alert {
                LogAlert::Threshold { threshold, message, .. } if file.matched > *threshold => message,
                LogAlert::Count { .. } => {
                    number = file.matched.to_string();
                    &number
                }
                // Among the lines that wait to be read may be one that matches.
                LogAlert::Inactive { message, .. } if file.matched == 0 && !stalled => message,
                _ => continue,
            };
            report(&file.path, text);
        }
        if let (LogAlert::Inactive { message, .. }, LogSource::Glob(pattern), []) = (&self.rule.alert, source, &self.files[..]) {
            report(pattern, message);
        }
    }
}

#[cfg(test)]
mod tests;
