//! Events that wait until the server has acknowledged them: a bounded queue, of which the first few are in flight.

use crate::now::Now;
use crate::random::Random;
use crate::text::{clean, clean_field, truncate, MAX_EVENT_TEXT};
use crate::wire::{Alert, Message};
use std::collections::VecDeque;
use std::time::Duration;

/// What happened, before it has a place in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<'a> {
    pub(super) tags: &'a str,
    /// The followed file, if there is one.
    pub(super) file: Option<&'a str>,
    pub(super) text: &'a str,
}

/// What can be done when there is no room for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A line of a log: it waits in the file, so the caller looks for room first.
    Line,
    /// Has nothing behind it: it is dropped and counted.
    Other,
}

/// How soon an event is sent again that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// A version 1 server writes every repeat into its stream: always after [`Outbox::CLASSIC_REPEAT`].
    Classic,
    /// A server that knows repeats: soon, then less and less often.
    Session,
}

pub(super) struct Outbox {
    host: String,
    random: Random,
    numbered: u64,
    queue: VecDeque<Entry>,
    lines: usize,
    dropped: Option<Dropped>,
}

struct Entry {
    uid: String,
    datagram: Vec<u8>,
    origin: Origin,
    /// How often it was sent, and when it is due again.
    sent: u32,
    due: Duration,
}

/// Events for which there was no room.
struct Dropped {
    count: u64,
    first: u64,
    last: u64,
}

impl Outbox {
    /// Most events of lines that wait; above it no log is read.
    pub(super) const MAX_LINES: usize = 256;
    /// Most other events that wait; above it they are dropped and counted.
    const MAX_OTHERS: usize = 256;
    /// Most events in flight …
    const WINDOW: usize = 32;
    /// … and most bytes.
    const WINDOW_BYTES: usize = 64 * 1024;
    /// Time between two sendings to a version 1 server.
    const CLASSIC_REPEAT: Duration = Duration::from_secs(10);
    /// Time before the first repeat to a version 2 server; it doubles up to [`Self::CLASSIC_REPEAT`].
    const FIRST_REPEAT: Duration = Duration::from_secs(1);

    pub(super) fn new(host: &str, random: Random) -> Self {
        Self { host: clean_field(host).into_owned(), random, numbered: 0, queue: VecDeque::new(), lines: 0, dropped: None }
    }

    /// Whether the events of a line find room; those that all rules make of one line may go beyond the limit together.
    pub(super) fn has_room(&self) -> bool {
        self.lines < Self::MAX_LINES
    }

    /// Whether so many lines find room that reading a block is worth while.
    pub(super) fn has_room_for_a_block(&self) -> bool {
        self.lines <= Self::MAX_LINES / 2
    }

    /// How many events wait for their acknowledgement.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Queues the event of a line, for which the caller has looked for room.
    pub(super) fn push_line(&mut self, now: Now, event: Event<'_>) {
        self.lines += 1;
        self.enqueue(now, event, Origin::Line);
    }

    /// Queues any other event, or counts it as dropped.
    pub(super) fn push(&mut self, now: Now, event: Event<'_>) {
        if self.queue.len() - self.lines >= Self::MAX_OTHERS {
            let dropped = self.dropped.get_or_insert(Dropped { count: 0, first: now.unix, last: now.unix });
            dropped.count += 1;
            dropped.last = now.unix;
            return;
        }
        self.enqueue(now, event, Origin::Other);
    }

    fn enqueue(&mut self, now: Now, event: Event<'_>, origin: Origin) {
        let uid = format!("{}_{}", now.unix, self.numbered);
        self.numbered += 1;
        let (tags, file) = (clean_field(event.tags), event.file.map(clean_field));
        let text = clean(truncate(event.text, MAX_EVENT_TEXT));
        let alert = Alert {
            host: &self.host,
            uid: &uid,
            unix: now.unix,
            tags: &tags,
            file: file.as_deref(),
            text: truncate(&text, MAX_EVENT_TEXT),
        };
        let datagram = Message::Alert(alert).emit();
        self.queue.push_back(Entry { uid, datagram, origin, sent: 0, due: Duration::ZERO });
    }

    /// Forgets the event that the server has. Returns whether there was one.
    pub(super) fn acknowledge(&mut self, now: Now, uid: &str) -> bool {
        let Some(at) = self.queue.iter().take(Self::WINDOW).position(|entry| entry.sent > 0 && entry.uid == uid) else { return false };
        if let Some(Entry { origin: Origin::Line, .. }) = self.queue.remove(at) {
            self.lines -= 1;
        }
        self.report_dropped(now);
        if self.queue.is_empty() {
            self.queue.shrink_to_fit();
        }
        true
    }

    fn report_dropped(&mut self, now: Now) {
        if self.queue.len() - self.lines >= Self::MAX_OTHERS {
            return;
        }
        if let Some(Dropped { count, first, last }) = self.dropped.take() {
            let text = format!("{count} events dropped between {first} and {last}: more than {} waited", Self::MAX_OTHERS);
            self.push(now, Event { tags: super::SYSTEM, file: None, text: &text });
        }
    }

    /// Takes out all that waits, as if it had been acknowledged.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.lines = 0;
        self.queue.drain(..).map(|entry| entry.datagram)
    }

    /// Makes every event due again, as if none had been sent: there is another server now.
    pub(super) fn start_over(&mut self) {
        for entry in &mut self.queue {
            (entry.sent, entry.due) = (0, Duration::ZERO);
        }
    }

    /// The next datagram that is due, if any; it counts as sent.
    pub(super) fn next_due(&mut self, now: Now, pace: Pace) -> Option<Vec<u8>> {
        let at = self.window().position(|entry| entry.due <= now.mono)?;
        let entry = &mut self.queue[at];
        let wait = match pace {
            Pace::Classic => Self::CLASSIC_REPEAT,
            Pace::Session => {
                let wait = Self::CLASSIC_REPEAT.min(Self::FIRST_REPEAT * 2u32.pow(entry.sent.min(4)));
                wait + self.random.up_to(wait / 4)
            }
        };
        entry.sent = entry.sent.saturating_add(1);
        entry.due = now.mono + wait;
        Some(entry.datagram.clone())
    }

    /// When the next datagram is due.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.window().map(|entry| entry.due).min()
    }

    /// The events that may be in flight.
    fn window(&self) -> impl Iterator<Item = &Entry> {
        let mut bytes = 0;
        self.queue.iter().take(Self::WINDOW).take_while(move |entry| {
            bytes += entry.datagram.len();
            bytes <= Self::WINDOW_BYTES
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::WeekMinute;

    fn at(seconds: u64) -> Now {
        Now { mono: Duration::from_secs(seconds), unix: 1_795_347_336 + seconds, local: WeekMinute::new(0, 0, 0), second: 0 }
    }

    fn outbox() -> Outbox {
        Outbox::new("nas1", Random::new(1))
    }

    fn event(text: &str) -> Event<'_> {
        Event { tags: "T", file: None, text }
    }

    fn sent(outbox: &mut Outbox, now: Now, pace: Pace) -> Vec<String> {
        std::iter::from_fn(|| outbox.next_due(now, pace)).map(|datagram| String::from_utf8(datagram).unwrap()).collect()
    }

    #[test]
    fn an_event_is_the_classic_datagram() {
        let mut outbox = outbox();
        outbox.push_line(at(0), Event { tags: "TAG1", file: Some("/var/log/messages"), text: "A Message" });
        outbox.push(at(5), event("two\nlines"));
        assert_eq!(
            sent(&mut outbox, at(5), Pace::Classic),
            [
                "ALERT%%nas1%%1795347336_0%%1795347336%%TAG1%%/var/log/messages%%A Message",
                "ALERT%%nas1%%1795347341_1%%1795347341%%T%%NULL%%two\u{fffd}lines"
            ]
        );
    }

    #[test]
    fn an_event_is_repeated_every_ten_seconds_until_acknowledged() {
        let mut outbox = outbox();
        outbox.push(at(0), event("x"));
        for (seconds, count) in [(0, 1), (1, 0), (9, 0), (10, 1), (19, 0), (20, 1)] {
            assert_eq!(sent(&mut outbox, at(seconds), Pace::Classic).len(), count, "{seconds}");
        }
        assert!(!outbox.acknowledge(at(20), "1795347336_7"));
        assert!(outbox.acknowledge(at(20), "1795347336_0"));
        assert!(!outbox.acknowledge(at(20), "1795347336_0"));
        assert_eq!(outbox.next_deadline(), None);
    }

    #[test]
    fn repeats_within_a_session_slow_down() {
        let mut outbox = outbox();
        outbox.push(at(0), event("x"));
        let times: Vec<u64> = (0..60).filter(|s| !sent(&mut outbox, at(*s), Pace::Session).is_empty()).collect();
        assert_eq!(times[0], 0);
        assert!(times[1] <= 2, "{times:?}");
        assert!(times.len() <= 9, "{times:?}");
    }

    #[test]
    fn an_event_that_was_never_sent_cannot_be_acknowledged() {
        let mut outbox = outbox();
        outbox.push(at(0), event("x"));
        assert!(!outbox.acknowledge(at(0), "1795347336_0"));
        assert_eq!(outbox.len(), 1);
    }

    #[test]
    fn only_a_window_is_in_flight() {
        let mut outbox = outbox();
        (0..100).for_each(|_| outbox.push_line(at(0), event("x")));
        assert_eq!(sent(&mut outbox, at(0), Pace::Session).len(), Outbox::WINDOW);
        assert!(outbox.acknowledge(at(0), "1795347336_5"));
        assert_eq!(sent(&mut outbox, at(0), Pace::Session).len(), 1);
        assert_eq!(outbox.lines, 99);
    }

    #[test]
    fn what_is_dropped_is_counted_and_reported_once() {
        let mut outbox = outbox();
        (0..Outbox::MAX_OTHERS).for_each(|_| outbox.push(at(0), event("x")));
        outbox.push(at(3), event("lost"));
        outbox.push(at(7), event("lost"));
        sent(&mut outbox, at(8), Pace::Session);
        assert!(outbox.acknowledge(at(8), "1795347336_0"));
        assert!(outbox.acknowledge(at(8), "1795347336_1"));
        let last = String::from_utf8(outbox.queue.back().unwrap().datagram.clone()).unwrap();
        assert!(last.ends_with("SYSTEM%%NULL%%2 events dropped between 1795347339 and 1795347343: more than 256 waited"), "{last}");
        assert_eq!(outbox.len(), Outbox::MAX_OTHERS - 1);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut outbox = outbox();
        outbox.push(at(0), event(&"ä\n".repeat(MAX_EVENT_TEXT)));
        let datagram = outbox.next_due(at(0), Pace::Classic).unwrap();
        assert!(datagram.len() < MAX_EVENT_TEXT + 100);
        assert!(std::str::from_utf8(&datagram).is_ok());
    }

    #[test]
    fn another_server_gets_everything_again_at_once() {
        let mut outbox = outbox();
        outbox.push(at(0), event("x"));
        sent(&mut outbox, at(0), Pace::Classic);
        outbox.start_over();
        assert_eq!(sent(&mut outbox, at(1), Pace::Classic).len(), 1);
    }
}
