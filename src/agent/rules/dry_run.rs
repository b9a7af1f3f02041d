//! What the log rules of a host file would make of given lines: for the person who writes them.

use super::log::LogRules;
use crate::agent::delivery::Delivery;
use crate::agent::logs::{Lines, Logs};
use crate::agent::output::LogId;
use crate::date::Date;
use crate::directives::host::{ConditionRule, LogRule, LogSource};
use crate::encoding::Units;
use crate::line_time::line_time;
use crate::lines::lines;
use crate::now::{earlier, Now};
use crate::random::Random;
use crate::schedule::WeekMinute;
use crate::text::lossy;
use std::rc::Rc;
use std::time::Duration;

/// All log rules of one file. Every line is given to each of them.
pub struct DryRun {
    host: String,
    rules: Vec<LogRule>,
    now: Now,
    /// `None` before the first line.
    trial: Option<Trial>,
}

/// The rules, once it is known whether the lines say when they were written.
struct Trial {
    logs: Logs,
    rules: LogRules,
    /// One file of each log.
    files: Vec<TrialFile>,
    delivery: Delivery,
    now: Now,
    times: Option<Times>,
    /// Bytes that were handed over for each file.
    position: u64,
}

/// A file of a log, which has all lines.
struct TrialFile {
    id: LogId,
    /// Lines that are not processed: the first waits for others that belong to it.
    unprocessed: Vec<u8>,
}

/// The times that stand in the lines.
#[derive(Clone, Copy)]
struct Times {
    today: Date,
    first: Date,
    /// The latest so far.
    last: Date,
}

/// What came of a dry run.
pub struct DryRunOutcome {
    /// The events that the blocks under way make if they end, as the datagrams that would be sent.
    pub events: Vec<Vec<u8>>,
    /// Each rule, and how many lines matched.
    pub rules: Vec<(LogRule, u64)>,
    /// The first and the last time of the lines, if they say when they were written.
    pub times: Option<(Date, Date)>,
}

impl DryRun {
    /// The rules. If the first lines say when they were written, blocks, `active:` and the terms of conditions go by the times of the lines.
    /// Otherwise all lines count as written within one block, and `active:` and the terms are ignored.
    pub fn new(now: Now, host: &str, rules: impl IntoIterator<Item = LogRule>) -> Self {
        Self { host: host.into(), rules: rules.into_iter().collect(), now, trial: None }
    }

    /// Takes whole lines as UTF-8, whatever the encoding of the logs is. Only the last may lack its newline. Returns the events that they make, as the datagrams that would be sent.
    pub fn handle_lines(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        if bytes.is_empty() {
            return Vec::new();
        }
        self.trial(bytes).handle_lines(bytes)
    }

    /// The trial, which begins with these lines if it has not begun.
    fn trial(&mut self, bytes: &[u8]) -> &mut Trial {
        let Self { host, rules, now, trial } = self;
        trial.get_or_insert_with(|| Trial::new(*now, host, rules, Times::of(bytes, Date::at(i64::try_from(now.unix).unwrap_or(0)))))
    }

    /// Ends the blocks that are under way.
    pub fn finish(mut self) -> DryRunOutcome {
        let mut events = Vec::new();
        self.trial(b"").end_waiting(&mut events);
        let Some(Trial { logs, mut rules, mut delivery, now, times, .. }) = self.trial else {
            return DryRunOutcome { events, rules: Vec::new(), times: None };
        };
        rules.report_blocks(now, &logs, &mut delivery, |delivery| events.extend(delivery.drain()));
        let rules = rules.matches().map(|(rule, matched)| (rule.clone(), matched)).collect();
        DryRunOutcome { events, rules, times: times.map(|times| (times.first, times.last)) }
    }
}

impl Times {
    /// So many lines may come before the first with a time.
    const LINES: usize = 10;

    fn of(bytes: &[u8], today: Date) -> Option<Self> {
        let mut first_lines = lines(bytes).take(Self::LINES);
        let first = first_lines.find_map(|(_, line)| line_time(&lossy(line), today))?;
        Some(Self { today, first, last: first })
    }

    /// The time at so many seconds since 1970, as the lines count them.
    fn at(&self, seconds: i64) -> Now {
        let date = Date::at(seconds);
        let unix = u64::try_from(seconds).unwrap_or(0);
        let weekday = u16::try_from((unix / 86_400 + 4) % 7).unwrap_or(0);
        Now {
            mono: Duration::from_secs(u64::try_from(seconds - self.first.seconds()).unwrap_or(0)),
            unix,
            local: WeekMinute::new(weekday, date.hour.into(), date.minute.into()),
            second: date.second,
        }
    }
}

impl Trial {
    /// Between two lines, so many ends of blocks are looked at; any further ones are skipped.
    const MAX_STEPS: u32 = 100_000;

    fn new(now: Now, host: &str, rules: &[LogRule], times: Option<Times>) -> Self {
        let now = times.map_or(now, |times| times.at(times.first.seconds()));
        let rules = rules.iter().map(|rule| match times {
            Some(_) => rule.clone(),
            None => LogRule { active: None, condition: ConditionRule::default(), ..rule.clone() },
        });
        let rules: Vec<(u64, Rc<LogRule>)> = (0..).zip(rules.map(Rc::new)).collect();
        let sources: Vec<_> = rules.iter().map(|(_, rule)| (rule.log.clone(), rule.encoding)).collect();
        let delivery = Delivery::new(now, host, 0, Random::new(0));
        let mut dry = Self { logs: Logs::default(), rules: LogRules::default(), files: Vec::new(), delivery, now, times, position: 0 };
        dry.logs.replace(&sources);
        dry.rules.replace(now, &rules, &dry.logs);
        let ids: Vec<(LogId, LogSource)> = dry.logs.sources().map(|(id, source)| (id, source.clone())).collect();
        for (id, source) in ids {
            let file = match source {
                LogSource::Glob { pattern, .. } => dry.logs.handle_found(id, pattern, false),
                _ => Some(id),
            };
            dry.files.extend(file.map(|id| TrialFile { id, unprocessed: Vec::new() }));
            file.iter().for_each(|file| dry.rules.add_file(id, *file));
        }
        dry
    }

    fn handle_lines(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        let Some(Times { today, .. }) = self.times else {
            self.hand_over(bytes, &mut events);
            return events;
        };
        let mut start = 0;
        for (end, line) in lines(bytes) {
            if let Some(date) = line_time(&lossy(line), today) {
                self.advance(date, &mut events);
            }
            self.hand_over(&bytes[start..end], &mut events);
            start = end;
        }
        events
    }

    /// Hands lines to the rules of each log.
    fn hand_over(&mut self, bytes: &[u8], events: &mut Vec<Vec<u8>>) {
        self.position += bytes.len() as u64;
        for at in 0..self.files.len() {
            let unprocessed = &mut self.files[at].unprocessed;
            if unprocessed.last().is_some_and(|last| *last != b'\n') {
                // Of an overlong line only the start was handed over.
                unprocessed.push(b'\n');
            }
            unprocessed.extend_from_slice(bytes);
            self.process(at, events);
        }
    }

    /// Lets the rules process the lines of a file up to one that waits for others.
    fn process(&mut self, at: usize, events: &mut Vec<Vec<u8>>) {
        let TrialFile { id, unprocessed } = &mut self.files[at];
        let Some(file) = self.logs.file_mut(*id) else { return };
        let mut start = 0;
        while start < unprocessed.len() {
            self.rules.begin_turn();
            let bytes = &unprocessed[start..];
            let lines = Lines { position: self.position.saturating_sub(bytes.len() as u64), place: None, bytes, units: Units::Bytes };
            let consumed = self.rules.handle_lines(self.now, file, lines, &mut self.delivery);
            events.extend(self.delivery.drain());
            start += consumed;
            if consumed == 0 && self.rules.waits_until(file).is_some_and(|until| until > self.now.mono) {
                break;
            }
        }
        unprocessed.drain(..start);
    }

    /// Until when a line waits for others, in the file where that is over first.
    fn waits_until(&self) -> Option<Duration> {
        let waiting = self.files.iter().filter(|file| !file.unprocessed.is_empty());
        waiting.filter_map(|file| self.rules.waits_until(self.logs.file(file.id)?)).min()
    }

    /// No more lines come.
    fn end_waiting(&mut self, events: &mut Vec<Vec<u8>>) {
        while let Some(until) = self.waits_until() {
            self.now.mono = self.now.mono.max(until);
            (0..self.files.len()).for_each(|at| self.process(at, events));
        }
    }

    /// Lets the time of the lines pass up to that one. It never goes back.
    fn advance(&mut self, date: Date, events: &mut Vec<Vec<u8>>) {
        let Some(times) = self.times.as_mut().filter(|times| times.last < date) else { return };
        times.last = date;
        let times = *times;
        let target = times.at(date.seconds());
        for _ in 0..Self::MAX_STEPS {
            let due = earlier(self.rules.next_deadline(self.now), self.waits_until());
            let next = due.filter(|next| *next < target.mono);
            let Some(next) = next.filter(|next| *next > self.now.mono) else { break };
            let seconds = i64::try_from(next.as_secs()).unwrap_or(0);
            self.pass(times.at(times.first.seconds() + seconds), events);
        }
        self.pass(target, events);
    }

    /// It is that time now: blocks may be over, and the times of alerts begin or end.
    fn pass(&mut self, now: Now, events: &mut Vec<Vec<u8>>) {
        self.now = now;
        (0..self.files.len()).for_each(|at| self.process(at, events));
        if self.rules.handle_timeout(now, &self.logs, &mut self.delivery) {
            for file in &self.files {
                if let Some(file) = self.logs.file(file.id) {
                    self.rules.handle_end(file, self.position);
                }
            }
        }
        events.extend(self.delivery.drain());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::rules::bench::{at, host_file};
    use crate::directives::host::Rule;
    use crate::wire::Message;

    /// The texts of the events that these lines make, in `finish` behind `|`.
    fn events(rules: &str, text: &str) -> Vec<String> {
        let rules = host_file(rules).into_iter().filter_map(|(_, rule)| match rule {
            Rule::Log(rule) => Some(rule),
            _ => None,
        });
        let mut dry_run = DryRun::new(Now { unix: 1_796_040_000, ..at(0) }, "h", rules);
        let text_of = |event: &Vec<u8>| match Message::parse(event) {
            Ok(Message::Alert(alert)) => alert.text.to_string(),
            other => panic!("{other:?}"),
        };
        let mut texts: Vec<String> = dry_run.handle_lines(text.as_bytes()).iter().map(text_of).collect();
        texts.push("|".into());
        texts.extend(dry_run.finish().events.iter().map(text_of));
        texts
    }

    const LOGIN: &str = "file: /a\nmatch: failed\nalert_n: tags=T threshold=1 seconds=60 repeat=0 message=Many\ncleared: Few\n";

    #[test]
    fn blocks_and_conditions_go_by_the_times_of_the_lines() {
        let burst = "Nov 29 12:00:00 h a: failed\nNov 29 12:00:01 h a: failed\n";
        let slow = "Nov 29 12:00:00 h a: failed\nNov 29 12:05:01 h a: failed\nNov 29 12:10:01 h a: failed\n";
        let long = format!("{burst}Nov 29 12:01:10 h a: failed\nNov 29 12:01:20 h a: failed\nNov 29 12:30:00 h a: failed\n");
        assert_eq!(events(LOGIN, burst), ["|", "Many"]);
        assert_eq!(events(LOGIN, slow), ["|"]);
        assert_eq!(events(LOGIN, &long), ["Many", "Few", "|"]);
        let without: String = slow.lines().map(|line| format!("{}\n", &line[16..])).collect();
        assert_eq!(events(LOGIN, &without), ["|", "Many"], "without times all are of one block");
    }

    #[test]
    fn alerts_have_their_times_where_the_lines_have_theirs() {
        let rule = "file: /a\nmatch: opened\nactive: 0;08:00-09:00\nalert_all: tags=T\n";
        // The 29th of November 2026 is a Sunday.
        let lines =
            "Nov 29 07:59:59 opened\nNov 29 08:00:00 opened\nNov 29 09:00:59 opened\nNov 29 09:01:00 opened\nNov 28 08:30:00 late\n";
        assert_eq!(events(rule, lines), ["Nov 29 08:00:00 opened", "Nov 29 09:00:59 opened", "|"]);
        assert_eq!(events(rule, "opened 1\nopened 2\n"), ["opened 1", "opened 2", "|"]);
    }

    #[test]
    fn lines_that_belong_together_make_one_event_whether_they_have_times_or_not() {
        let rule = "file: /a\nmatch: E\njoin: ^ at|DETAIL\nalert_all: tags=T\nfile: /a\nmatch: x\nalert_all: tags=X\n";
        let lines = "10:00:00 E 1\n at a\n at b\n10:00:02 DETAIL c\n10:00:09 DETAIL too late\n10:00:10 E 2\n at x\n10:00:10 E 3\n at d\n";
        let timed: String = lines.lines().map(|line| format!("{}{line}\n", if line.starts_with(' ') { "" } else { "Nov 29 " })).collect();
        let (one, two, three) =
            ("Nov 29 10:00:00 E 1 ⏎ at a ⏎ at b ⏎ Nov 29 10:00:02 DETAIL c", "Nov 29 10:00:10 E 2 ⏎ at x", "Nov 29 10:00:10 E 3 ⏎ at d");
        assert_eq!(events(rule, &timed), [one, two, " at x".trim(), "|", three]);
        let untimed = "E 1\n at a\nE 2\nfine x\nE 3\n at b\n";
        assert_eq!(events(rule, untimed), ["E 1 ⏎ at a", "E 2", "fine x", "|", "E 3 ⏎ at b"]);
    }

    #[test]
    fn silence_of_a_year_is_stepped_over_in_a_moment() {
        let rule = "file: /a\nmatch: x\nalert_count: tags=T seconds=1\n";
        let events = events(rule, "2025-01-01T00:00:00 x\n2026-01-01T00:00:00 x\n");
        assert!(events.len() >= 100_000 && events.len() < 200_000, "{}", events.len());
    }
}
