//! Rules that follow logs: which lines match, and what becomes of them now or at the end of a block of time.
//! Lines come in as they were read; no file is touched here.

use super::following::Link;
use super::outbox::{Event, Outbox};
use crate::directives::host::{LogAlert, LogRule, LogSource};
use crate::hash::Fnv1a;
use crate::now::{earlier, Now};
use crate::pattern::Candidates;
use crate::position::Place;
use crate::schedule::Schedule;
use memchr::{memchr, memrchr};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// All log rules in force, ordered by what they follow: every log is read once, whatever number of rules is on it.
#[derive(Default)]
pub(super) struct LogRules {
    logs: Vec<Log>,
}

struct Log {
    source: LogSource,
    rules: Vec<ActiveRule>,
    /// What the rules look for, each once however many rules share it.
    matchers: Vec<Rc<LogRule>>,
    /// Reading stands still because no more events find room.
    stalled: bool,
}

/// One rule, and where it stands in its present block.
struct ActiveRule {
    rule: Rc<LogRule>,
    /// Which of the log's matchers is this rule's.
    matcher: usize,
    identity: u64,
    /// Names the rule among those of its log, in positions within a line. Never 0.
    id: u32,
    /// Whether the alert's times include the present.
    active: bool,
    block_start: Duration,
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
    /// … and from which position on that changes.
    edges: VecDeque<Edge>,
}

struct Edge {
    position: u64,
    active: bool,
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
    /// Puts new rules in the place of the present ones. A rule that was there already keeps its state.
    pub(super) fn replace(&mut self, now: Now, rules: Vec<(u64, LogRule)>) {
        let mut kept: Vec<ActiveRule> = std::mem::take(&mut self.logs).into_iter().flat_map(|log| log.rules).collect();
        for (identity, rule) in rules {
            let source = rule.log.clone();
            let active_rule = match kept.iter().position(|old| old.identity == identity) {
                Some(at) => kept.swap_remove(at),
                None => ActiveRule::new(now, identity, rule),
            };
            match self.logs.iter_mut().find(|log| log.source == source) {
                Some(log) => log.rules.push(active_rule),
                None => self.logs.push(Log { source, rules: vec![active_rule], matchers: Vec::new(), stalled: false }),
            }
        }
        // A new rule on a wildcard that is followed already has the files that its neighbours have.
        for log in &mut self.logs {
            let paths: Vec<String> = log.rules.iter().flat_map(|rule| &rule.files).map(|file| file.path.clone()).collect();
            log.rules.iter_mut().for_each(|rule| paths.iter().for_each(|path| rule.open(path)));
            log.share_matchers();
            log.name_rules();
        }
    }

    /// What that log follows.
    pub(super) fn source(&self, log: usize) -> Option<&LogSource> {
        self.logs.get(log).map(|log| &log.source)
    }

    /// The number of the log that follows that.
    pub(super) fn number_of(&self, source: &LogSource) -> Option<usize> {
        self.logs.iter().position(|log| log.source == *source)
    }

    /// What is followed; a log's place in this list is the number by which the other calls name it.
    pub(super) fn sources(&self) -> Vec<LogSource> {
        self.logs.iter().map(|log| log.source.clone()).collect()
    }

    /// How many rules there are.
    pub(super) fn len(&self) -> usize {
        self.logs.iter().map(|log| log.rules.len()).sum()
    }

    /// For each rule what it follows, its first pattern, and how many lines have matched.
    pub(super) fn matches(&self) -> impl Iterator<Item = (&LogRule, u64)> {
        self.logs.iter().flat_map(|log| &log.rules).map(|rule| (&*rule.rule, rule.matched))
    }

    /// A wildcard found that file.
    pub(super) fn handle_found(&mut self, log: usize, path: &str) {
        if let Some(log) = self.logs.get_mut(log) {
            log.rules.iter_mut().for_each(|rule| rule.open(path));
        }
    }

    /// A file that a wildcard had found is gone and read to its end.
    pub(super) fn handle_gone(&mut self, log: usize, path: &str) {
        if let Some(log) = self.logs.get_mut(log) {
            log.rules.iter_mut().for_each(|rule| rule.files.retain(|file| file.path != path));
        }
    }

    /// A log ends at that position at the moment.
    pub(super) fn handle_end(&mut self, log: usize, path: &str, position: u64) {
        let Some(log) = self.logs.get_mut(log) else { return };
        for rule in log.rules.iter_mut().filter(|rule| rule.rule.active.is_some()) {
            let active = rule.active;
            for file in rule.files.iter_mut().filter(|file| file.path == path) {
                if file.edges.back().map_or(file.active, |edge| edge.active) != active {
                    // Two edges with no line between them undo each other.
                    if file.edges.back().is_some_and(|edge| edge.position == position) {
                        file.edges.pop_back();
                    } else {
                        file.edges.push_back(Edge { position, active });
                    }
                }
            }
        }
    }

    /// Matches lines until there is no room for more events. Returns how many bytes of the block are done with.
    pub(super) fn handle_lines(&mut self, now: Now, log: usize, block: Block<'_>, link: &mut Link, outbox: &mut Outbox) -> usize {
        let Some(log) = self.logs.get_mut(log) else { return block.bytes.len() };
        for rule in &mut log.rules {
            rule.reading = rule.files.iter().position(|file| file.path == block.path).unwrap_or(usize::MAX);
        }
        let matchers = log.matchers.clone();
        let mut searches: Vec<Search> = matchers.iter().map(|rule| Search::new(rule, block.bytes)).collect();
        let mut matches = vec![false; searches.len()];
        let mut alerting = Vec::new();
        let mut consumed = 0;
        while let Some(at) = searches.iter_mut().filter_map(|search| search.next_from(consumed)).min() {
            let (start, end, line) = line_around(block.bytes, at);
            if !outbox.has_room() {
                log.stalled = true;
                return start;
            }
            let text = String::from_utf8_lossy(line);
            for (matches, search) in matches.iter_mut().zip(&searches) {
                *matches = search.next.is_some_and(|at| at < end) && search.rule.matches(&text);
            }
            alerting.clear();
            let matching = log.rules.iter_mut().enumerate().filter(|(_, rule)| matches[rule.matcher]);
            alerting.extend(matching.filter_map(|(at, rule)| rule.handle_match(block.position + start as u64).then_some(at)));
            // In an order that stays the same when the configuration is written in another.
            alerting.sort_unstable_by_key(|rule| log.rules[*rule].id);
            log.skip_done(&mut alerting, link, &block, start);
            log.push_events(now, &alerting, link, &block, (start, end), &text, outbox);
            consumed = end;
        }
        log.stalled = false;
        block.bytes.len()
    }

    /// Ends blocks and notices the edges of the alerts' times. Returns whether there was such an edge: then the
    /// present ends of all logs must be told by [`Self::handle_end`].
    pub(super) fn handle_timeout(&mut self, now: Now, outbox: &mut Outbox) -> bool {
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
    pub(super) fn report_blocks(&self, now: Now, outbox: &mut Outbox, mut after_each: impl FnMut(&mut Outbox)) {
        for (log, rule) in self.logs.iter().flat_map(|log| log.rules.iter().map(move |rule| (log, rule))) {
            rule.report_block(now, false, &log.source, outbox);
            after_each(outbox);
        }
    }

    /// When the next block ends or the next alert's times begin or end.
    pub(super) fn next_deadline(&self, now: Now) -> Option<Duration> {
        let rules = self.logs.iter().flat_map(|log| &log.rules);
        rules.map(|rule| earlier(rule.block_end(), next_edge(now, rule.rule.active.as_ref()))).fold(None, earlier)
    }
}

impl Log {
    /// Leaves out the rules that have made their events of this line in an earlier run.
    fn skip_done(&self, alerting: &mut Vec<usize>, link: &mut Link, block: &Block<'_>, start: usize) {
        let (Some((offset, hash, done)), Some(place)) = (link.half_done, block.place) else { return };
        if place.offset + start as u64 != offset || place.at(block.bytes, start).files[place.earlier.len()].hash != hash {
            return;
        }
        link.half_done = None;
        alerting.retain(|rule| self.rules[*rule].id > done);
    }

    /// Queues the events that rules make of one line. Only with the last one is the line done with.
    #[allow(clippy::too_many_arguments, reason = "all of one line")]
    fn push_events(
        &self,
        now: Now,
        alerting: &[usize],
        link: &Link,
        block: &Block<'_>,
        (start, end): (usize, usize),
        line: &str,
        outbox: &mut Outbox,
    ) {
        for (number, rule) in (1..).zip(alerting.iter().filter_map(|rule| self.rules.get(*rule))) {
            let LogAlert::All { message } = &rule.rule.alert else { continue };
            let text = message.as_deref().unwrap_or(line.trim());
            let is_last = number == alerting.len();
            let position = block.place.map(|place| match is_last {
                true => place.at(block.bytes, end),
                false => place.within(block.bytes, start, rule.id),
            });
            outbox.push_line(now, link.chain, position.as_ref(), Event { tags: &rule.rule.tags, file: Some(block.path), text });
        }
    }

    /// Names rules by what they look for, and those that look for the same by their order too.
    fn name_rules(&mut self) {
        for at in 0..self.rules.len() {
            let (before, rest) = self.rules.split_at_mut(at);
            let Some(rule) = rest.first_mut() else { break };
            let same = before.iter().filter(|other| other.rule.matches_like(&rule.rule)).count() as u64;
            let LogRule { patterns, ignores, .. } = &*rule.rule;
            let texts = patterns.iter().map(|pattern| (b"match", pattern)).chain(ignores.iter().map(|pattern| (b"ignor", pattern)));
            let hash = texts.fold(Fnv1a::EMPTY, |hash, (what, pattern)| hash.with(what).with(pattern.as_str().as_bytes()).with(b"\n"));
            rule.id = u32::try_from(hash.with(&same.to_le_bytes()).value() >> 32).unwrap_or(1).max(1);
        }
    }

    /// Rules that look for the same share one matcher.
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
    /// A byte of the next such line, as far as it was asked for.
    next: Option<usize>,
}

impl<'a> Search<'a> {
    fn new(rule: &'a LogRule, block: &'a [u8]) -> Self {
        Self { rule, patterns: rule.patterns.iter().map(|pattern| pattern.candidates(block)).collect(), next: Some(0) }
    }

    fn next_from(&mut self, from: usize) -> Option<usize> {
        if self.next.is_some() {
            self.next = self.patterns.iter_mut().filter_map(|pattern| pattern.next_from(from)).min();
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

/// When the times next begin or end, by the clock as it runs now.
pub(super) fn next_edge(now: Now, schedule: Option<&Schedule>) -> Option<Duration> {
    let minutes = schedule?.minutes_to_edge(now.local)?;
    Some(now.mono + Duration::from_secs(60 * u64::from(minutes) - u64::from(now.second.min(59))))
}

impl ActiveRule {
    fn new(now: Now, identity: u64, rule: LogRule) -> Self {
        let active = rule.active.as_ref().is_none_or(|schedule| schedule.is_active(now.local));
        let mut new = Self {
            identity,
            id: 0,
            active,
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

    fn open(&mut self, path: &str) {
        if !self.files.iter().any(|file| file.path == path) {
            self.files.push(FollowedFile { path: path.to_string(), matched: 0, active: self.active, edges: VecDeque::new() });
        }
    }

    /// A line at that position matches. Returns whether the rule makes an event of it now.
    fn handle_match(&mut self, position: u64) -> bool {
        let Some(file) = self.files.get_mut(self.reading) else { return false };
        while file.edges.front().is_some_and(|edge| edge.position <= position) {
            file.active = file.edges.pop_front().is_some_and(|edge| edge.active);
        }
        self.matched += 1;
        file.matched += u64::from(file.active);
        file.active && matches!(self.rule.alert, LogAlert::All { .. })
    }

    /// Returns whether the alert's times began or ended.
    fn update_schedule(&mut self, now: Now) -> bool {
        let Some(schedule) = &self.rule.active else { return false };
        let active = schedule.is_active(now.local);
        self.block_touched |= !active;
        std::mem::replace(&mut self.active, active) != active
    }

    fn block(&self) -> Option<Duration> {
        match self.rule.alert {
            LogAlert::All { .. } => None,
            LogAlert::Threshold { block, .. } | LogAlert::Count { block } | LogAlert::Inactive { block, .. } => Some(block),
        }
    }

    fn block_end(&self) -> Option<Duration> {
        self.block().map(|block| self.block_start + block)
    }

    fn end_block(&mut self, now: Now, stalled: bool, source: &LogSource, outbox: &mut Outbox) {
        let (Some(block), Some(end)) = (self.block(), self.block_end()) else { return };
        if now.mono < end {
            return;
        }
        // Of blocks that passed unseen, while the device slept, only the present one counts.
        while self.block_start + block <= now.mono {
            let passed = (now.mono - self.block_start).as_secs() / block.as_secs();
            self.block_start += block * u32::try_from(passed).unwrap_or(u32::MAX);
        }
        if !self.block_touched {
            self.report_block(now, stalled, source, outbox);
        }
        self.files.iter_mut().for_each(|file| file.matched = 0);
        self.block_touched = !self.active;
    }

    fn report_block(&self, now: Now, stalled: bool, source: &LogSource, outbox: &mut Outbox) {
        let mut report = |path: &str, text: &str| outbox.push(now, Event { tags: &self.rule.tags, file: Some(path), text });
        for file in &self.files {
            match &self.rule.alert {
                LogAlert::Threshold { threshold, message, .. } if file.matched > *threshold => report(&file.path, message),
                LogAlert::Count { .. } => report(&file.path, &file.matched.to_string()),
                // Among the lines that wait to be read may be one that matches.
                LogAlert::Inactive { message, .. } if file.matched == 0 && !stalled => report(&file.path, message),
                _ => {}
            }
        }
        if let (LogAlert::Inactive { message, .. }, LogSource::Glob(pattern), []) = (&self.rule.alert, source, &self.files[..]) {
            report(pattern, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::host::{HostFile, Rule};
    use crate::directives::Source;
    use crate::random::Random;
    use crate::schedule::WeekMinute;

    /// Wednesday, so many seconds after 12:00.
    fn at(seconds: u64) -> Now {
        let minute = WeekMinute::new(3, 12, u16::try_from(seconds / 60).unwrap());
        Now {
            mono: Duration::from_secs(1000 + seconds),
            unix: 43_200 + seconds,
            local: minute,
            second: u8::try_from(seconds % 60).unwrap(),
        }
    }

    struct Bench {
        rules: LogRules,
        outbox: Outbox,
        position: u64,
    }

    impl Bench {
        fn new(text: &str) -> Self {
            let mut bench = Self { rules: LogRules::default(), outbox: Outbox::new(at(0), "h", 7, Random::new(1)), position: 0 };
            bench.configure(0, text);
            bench
        }

        fn configure(&mut self, seconds: u64, text: &str) {
            let file = HostFile::parse(Source { path: "h", text }.lines());
            assert_eq!(file.faults, []);
            let rules = file.groups.into_iter().map(|group| match (group.identity(), group.rule) {
                (identity, Rule::Log(rule)) => (identity, rule),
                (_, rule) => panic!("{rule:?}"),
            });
            self.rules.replace(at(seconds), rules.collect());
        }

        /// Reads lines of `/log`, which is the first log.
        fn lines(&mut self, seconds: u64, text: &str) -> usize {
            let block = Block { path: "/log", position: self.position, place: None, bytes: text.as_bytes() };
            let consumed = self.rules.handle_lines(at(seconds), 0, block, &mut Link::default(), &mut self.outbox);
            self.position += consumed as u64;
            consumed
        }

        /// Lets the time be so late. At an edge `unread` bytes wait in `/log`.
        fn time(&mut self, seconds: u64, unread: u64) {
            if self.rules.handle_timeout(at(seconds), &mut self.outbox) {
                self.rules.handle_end(0, "/log", self.position + unread);
            }
        }

        /// Tags and text of the events since the last call.
        fn events(&mut self) -> Vec<String> {
            let texts = self.outbox.drain().map(|datagram| {
                let text = String::from_utf8(datagram).unwrap();
                let fields: Vec<&str> = text.splitn(7, "%%").collect();
                format!("{} {}", fields[4], fields[6])
            });
            texts.collect()
        }
    }

    const COUNT: &str = "file: /log\nmatch: x\nalert_count: tags=C seconds=10\n";
    const ALL: &str = "file: /log\nmatch: x\nalert_all: tags=A\n";
    /// Closed at 12:02.
    const MORNING: &str = "file: /log\nmatch: x\nactive: 3;08:00-12:01,3;12:05-13:00\nalert_all: tags=A\n";

    #[test]
    fn blocks_stand_back_to_back_from_the_start_of_the_rule() {
        let mut bench = Bench::new(COUNT);
        for (seconds, lines, event) in [(3, 1, None), (9, 2, None), (10, 0, Some("C 3")), (19, 0, None), (20, 1, Some("C 0"))] {
            bench.time(seconds, 0);
            assert_eq!(bench.events(), event.into_iter().collect::<Vec<_>>(), "{seconds}");
            bench.lines(seconds, &"x\n".repeat(lines));
        }
        // The device slept: one block of those that passed counts, and the next ends where it would have.
        bench.time(57, 0);
        assert_eq!(bench.events(), ["C 1"]);
        assert_eq!(bench.rules.next_deadline(at(57)), Some(at(60).mono));
        bench.time(60, 0);
        assert_eq!(bench.events(), ["C 0"]);
    }

    #[test]
    fn a_threshold_is_passed_by_more_lines_than_it_and_once_a_block() {
        let mut bench = Bench::new("file: /log\nmatch: x\nalert_n: tags=N threshold=2 seconds=10 message=M\n");
        for (seconds, lines, events) in [(1, 2, 0), (11, 3, 0), (21, 9, 1), (31, 0, 1), (41, 0, 0)] {
            bench.time(seconds, 0);
            assert_eq!(bench.events(), vec!["N M"; events], "{seconds}");
            bench.lines(seconds, &"x\nother\n".repeat(lines));
        }
    }

    #[test]
    fn silence_is_no_match_in_a_block_but_not_while_lines_wait() {
        let mut bench = Bench::new(&format!("{ALL}file: /log\nmatch: x\nalert_inactive: tags=I seconds=10 message=M\n"));
        bench.lines(1, "x\n");
        bench.time(10, 0);
        assert_eq!(bench.events(), ["A x"]);
        bench.lines(11, "other\n");
        bench.time(20, 0);
        assert_eq!(bench.events(), ["I M"]);
        let many = "x\n".repeat(Outbox::MAX_LINES + 1);
        assert_eq!(bench.lines(20, &many), many.len() - 2);
        bench.time(30, 0);
        bench.time(40, 0);
        assert!(!bench.events().contains(&"I M".to_string()));
    }

    #[test]
    fn silence_is_not_told_of_while_nothing_is_read() {
        let mut bench = Bench::new(&format!("{ALL}file: /log\nmatch: y\nalert_inactive: tags=I seconds=10 message=M\n"));
        let many = "x\n".repeat(Outbox::MAX_LINES / 2 + 1);
        assert_eq!(bench.lines(1, &many), many.len());
        bench.time(10, 0);
        assert!(!bench.events().contains(&"I M".to_string()));
        bench.time(20, 0);
        assert_eq!(bench.events(), ["I M"]);
    }

    #[test]
    fn a_line_that_finds_no_room_is_left_for_later() {
        let mut bench = Bench::new(&(ALL.to_string() + &ALL.replace("tags=A", "tags=B") + &ALL.replace("tags=A", "tags=C")));
        let line = "x\n".len();
        assert_eq!(bench.lines(1, &"x\n".repeat(100)), Outbox::MAX_LINES.div_ceil(3) * line);
        assert_eq!(bench.lines(1, "x\n"), 0);
        bench.events();
        assert_eq!(bench.lines(1, "x\n"), line);
    }

    #[test]
    fn any_number_of_rules_leaves_room_for_a_line() {
        let rules: String = (0..Outbox::MAX_LINES + 50).map(|n| ALL.replace("tags=A", &format!("tags=T{n}"))).collect();
        let mut bench = Bench::new(&rules);
        assert_eq!(bench.lines(1, "x\n"), 2);
        assert_eq!(bench.events().len(), Outbox::MAX_LINES + 50);
    }

    #[test]
    fn lines_written_before_the_edge_alert_however_late_they_are_read() {
        let mut bench = Bench::new(MORNING);
        bench.lines(100, "x 1\n");
        bench.time(120, 8);
        bench.lines(130, "x 2\nx 3\nx 4\n");
        bench.time(300, 0);
        bench.lines(301, "x 5\n");
        assert_eq!(bench.events(), ["A x 1", "A x 2", "A x 3", "A x 5"]);
    }

    #[test]
    fn lines_of_the_closed_time_are_dropped_though_they_are_read_when_it_is_open_again() {
        let mut bench = Bench::new(MORNING);
        bench.time(120, 4);
        bench.time(300, 8);
        bench.lines(310, "x 1\nx 2\nx 3\n");
        assert_eq!(bench.events(), ["A x 1", "A x 3"]);
    }

    #[test]
    fn the_next_edge_is_a_deadline() {
        let bench = Bench::new(MORNING);
        for (now, edge) in [(0, 120), (119, 120), (121, 300)] {
            assert_eq!(bench.rules.next_deadline(at(now)), Some(at(edge).mono), "{now}");
        }
    }

    #[test]
    fn a_block_that_touches_the_closed_time_is_dropped() {
        let mut bench = Bench::new("file: /log\nmatch: x\nactive: 3;08:00-12:01,3;12:03-13:00\nalert_count: tags=C seconds=50\n");
        let mut events = Vec::new();
        for seconds in (0..=300).step_by(10) {
            bench.time(seconds, 0);
            events.extend(bench.events().into_iter().map(|event| (seconds, event)));
            bench.lines(seconds, "x\n");
        }
        // Closed from 120 to 180: the blocks that end at 150 and 200 touch that.
        assert_eq!(events, [50, 100, 250, 300].map(|seconds| (seconds, "C 5".to_string())));
    }

    #[test]
    fn a_rule_that_stays_keeps_its_block_and_one_that_changed_begins_anew() {
        let mut bench = Bench::new(COUNT);
        bench.lines(1, "x\nx\n");
        let other = "file: /other\nmatch: x\nalert_all: tags=O\n";
        bench.configure(5, &format!("{COUNT}{}{other}", COUNT.replace("tags=C", "tags=D")));
        bench.lines(6, "x\n");
        bench.time(10, 0);
        assert_eq!(bench.events(), ["C 3"]);
        bench.time(15, 0);
        assert_eq!(bench.events(), ["D 1"]);
    }

    #[test]
    fn a_rule_that_stays_keeps_the_edges_that_lie_ahead() {
        let mut bench = Bench::new(MORNING);
        bench.time(120, 4);
        bench.configure(130, &format!("{MORNING}{COUNT}"));
        bench.lines(131, "x 1\nx 2\n");
        assert_eq!(bench.events(), ["A x 1"]);
    }

    #[test]
    fn files_of_a_wildcard_are_counted_apart() {
        let mut bench = Bench::new(&COUNT.replace("/log", "/*"));
        bench.rules.handle_found(0, "/log");
        bench.rules.handle_found(0, "/other");
        bench.lines(1, "x\nx\n");
        bench.configure(5, &format!("{}{}", COUNT.replace("/log", "/*"), COUNT.replace("/log", "/*").replace("tags=C", "tags=D")));
        bench.time(10, 0);
        assert_eq!(bench.events(), ["C 2", "C 0"]);
        bench.rules.handle_gone(0, "/other");
        bench.lines(11, "x\n");
        bench.time(20, 0);
        assert_eq!(bench.events(), ["C 1", "D 1"]);
    }
}
