//! Events that wait until the server has acknowledged them: a bounded queue, of which the first few are in flight.

use super::chains::{backoff, Chains};
use crate::agent::SYSTEM;
use crate::now::{Millis, Moment};
use crate::random::Random;
use crate::text::{sanitize, sanitize_field, truncate, MAX_EVENT_TEXT};
use crate::wire::position::Position;
use crate::wire::{Alert, ChainEvent, ChainId, Checkpoint, Message, Seq};

/// What happened, before it has a place in the queue.
#[derive(Clone, Copy, Debug)]
pub(in crate::agent) struct Event<'a> {
    pub(in crate::agent) tags: &'a str,
    /// The followed file, if there is one.
    pub(in crate::agent) file: Option<&'a str>,
    pub(in crate::agent) text: &'a str,
}

/// What can be done when there is no room for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A line of a log: it waits in the file, so the caller looks for room first.
    Line,
    /// Has nothing behind it: it is dropped and counted.
    Other,
}

/// How events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) enum Form {
    /// As ALERT to a version 1 server, which writes every repeat into its stream: again always after [`Outbox::REPEAT`].
    Classic,
    /// As ALERT to a version 2 server that keeps nothing of this host: again soon, then less and less often.
    Alert,
    /// As EVENT, in chains.
    Chain,
}

pub(in crate::agent) struct Outbox {
    host: String,
    random: Random,
    /// Counts events for the uids that version 1 knows.
    numbered: u64,
    /// Boxed, because events leave it in any order.
    queue: Vec<Box<Entry>>,
    lines: usize,
    /// Most events that may be in flight at the moment, and when that was last made less.
    window: usize,
    narrowed: Millis,
    dropped: Option<Count>,
    cut: Option<Count>,
    /// When cut events may be reported next.
    next_cut_report: Millis,
    pub(in crate::agent) chains: Chains,
}

struct Entry {
    chain: ChainId,
    sent_as: SentAs,
    position: String,
    uid: String,
    unix: u64,
    tags: String,
    file: Option<String>,
    text: String,
    origin: Origin,
    /// How often it was sent, when last, and when it is due again.
    sent: u32,
    last_sent: Millis,
    due: Millis,
}

/// As what an event was first sent to the present server, which recognises a repeat only in the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SentAs {
    Nothing,
    Alert,
    /// With that number in its chain.
    Event(u64),
}

/// Events that something befell.
struct Count {
    count: u64,
    first: u64,
    last: u64,
}

impl Count {
    fn add(count: &mut Option<Self>, unix: u64) {
        let count = count.get_or_insert(Self { count: 0, first: unix, last: unix });
        count.count += 1;
        count.last = unix;
    }
}

impl Outbox {
    /// Most events of lines that wait; above it no log is read.
    pub(in crate::agent) const MAX_LINES: usize = 256;
    /// Most other events that wait; above it they are dropped and counted.
    const MAX_OTHERS: usize = 256;
    /// Most events in flight …
    const WINDOW: usize = 32;
    /// … and most bytes.
    const WINDOW_BYTES: usize = 64 * 1024;
    /// Events in flight at first, and while many of them get lost: hundreds of agents may return at once when a server does.
    const NARROW_WINDOW: usize = 4;
    /// Time between two sendings to a version 1 server.
    const REPEAT: Millis = Millis::from_secs(10);
    /// An event that is not acknowledged after so long was sent in vain.
    const IN_VAIN_AFTER: Millis = Millis::new(500);
    /// An event that is missing while later ones have arrived is sent again that long after it was last.
    const FAST_RETRANSMIT: Millis = Millis::new(50);
    /// Least time between two reports of events that were cut.
    const CUT_INTERVAL: Millis = Millis::from_secs(60);

    pub(in crate::agent) fn new(now: &Moment, host: &str, run: u64, random: Random) -> Self {
        let host = sanitize_field(host).into_owned();
        Self {
            random,
            numbered: 0,
            queue: Vec::new(),
            lines: 0,
            window: Self::NARROW_WINDOW,
            narrowed: now.mono,
            dropped: None,
            cut: None,
            next_cut_report: Millis::ZERO,
            chains: Chains::new(now, &host, run),
            host,
        }
    }

    /// Whether the events of a line find room; those that all rules make of one line may go beyond the limit together.
    pub(in crate::agent) fn has_room(&self) -> bool {
        self.lines < Self::MAX_LINES
    }

    /// Whether so many lines find room that reading a block is worth while.
    pub(in crate::agent) fn has_room_for_a_block(&self) -> bool {
        self.lines <= Self::MAX_LINES / 2
    }

    /// How many events wait for their acknowledgement.
    pub(in crate::agent) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Queues the event of a line, for which the caller has looked for room, or one about a log itself. With it the log is read up to
    /// that position; a line that comes from no file has none, and is of [`Chain::NO_FILE`].
    pub(in crate::agent) fn push_line(&mut self, now: &Moment, chain: ChainId, position: Option<&Position>, event: Event<'_>) {
        self.lines += 1;
        self.enqueue(now, chain, position.unwrap_or(&Position::default()), event, Origin::Line);
    }

    /// Queues any other event, or counts it as dropped.
    pub(in crate::agent) fn push(&mut self, now: &Moment, event: Event<'_>) {
        if self.queue.len() - self.lines >= Self::MAX_OTHERS {
            return Count::add(&mut self.dropped, now.unix);
        }
        self.enqueue(now, ChainId::NO_FILE, &Position::default(), event, Origin::Other);
    }

    /// Queues an event about the monitoring itself.
    pub(in crate::agent) fn push_system(&mut self, now: &Moment, text: &str) {
        self.push(now, Event { tags: SYSTEM, file: None, text });
    }

    fn enqueue(&mut self, now: &Moment, chain: ChainId, position: &Position, event: Event<'_>, origin: Origin) {
        let uid = format!("{}_{}", now.unix, self.numbered);
        self.numbered += 1;
        let text = sanitize(truncate(event.text, MAX_EVENT_TEXT));
        if event.text.len() > MAX_EVENT_TEXT || text.len() > MAX_EVENT_TEXT {
            Count::add(&mut self.cut, now.unix);
        }
        self.chains.handle_waiting(chain);
        self.queue.push(Box::new(Entry {
            chain,
            sent_as: SentAs::Nothing,
            position: position.to_string(),
            uid,
            unix: now.unix,
            tags: sanitize_field(event.tags).into_owned(),
            file: event.file.map(|file| sanitize_field(file).into_owned()),
            text: truncate(&text, MAX_EVENT_TEXT).to_string(),
            origin,
            sent: 0,
            last_sent: Millis::ZERO,
            due: Millis::ZERO,
        }));
    }

    /// Forgets the event of that uid, which the server has. Returns whether there was one.
    pub(in crate::agent) fn acknowledge(&mut self, now: &Moment, uid: &str) -> bool {
        let in_flight = &self.queue[..self.queue.len().min(Self::WINDOW)];
        let Some(at) = in_flight.iter().position(|entry| entry.sent > 0 && entry.uid == uid) else { return false };
        self.remove(at);
        self.handle_removed(now, 1);
        true
    }

    /// Forgets the events of a chain up to that number, which the server has. Bits in `held` tell of later ones that it has and cannot
    /// use yet: what is missing between those is sent again soon, and they are not for a while.
    pub(in crate::agent) fn acknowledge_chain(&mut self, now: &Moment, chain: ChainId, number: u64, sack: u64) {
        let last_held = number.saturating_add(u64::from(u64::BITS - sack.leading_zeros()));
        let (mut at, mut removed) = (0, 0);
        while let Some(entry) = self.queue.get_mut(at) {
            match entry.sent_as {
                SentAs::Event(own) if entry.chain == chain && own <= number => {
                    self.remove(at);
                    removed += 1;
                    continue;
                }
                SentAs::Event(own) if entry.chain == chain && own <= last_held => {
                    let is_held = sack >> (own - number - 1) & 1 == 1;
                    entry.due = if is_held { now.mono + Self::REPEAT } else { entry.due.min(entry.last_sent + Self::FAST_RETRANSMIT) };
                }
                _ => {}
            }
            at += 1;
        }
        self.handle_removed(now, removed);
    }

    fn remove(&mut self, at: usize) {
        let entry = self.queue.remove(at);
        self.lines -= usize::from(entry.origin == Origin::Line);
        match self.queue[..at].iter_mut().rev().find(|before| before.chain == entry.chain) {
            // With the one before, the log will be done with up to here.
            Some(before) => {
                before.position = entry.position;
                self.chains.handle_acknowledged(entry.chain, None, None);
            }
            None => self.chains.handle_acknowledged(entry.chain, entry.number(), Some((entry.unix, &entry.position))),
        }
    }

    fn handle_removed(&mut self, now: &Moment, count: usize) {
        self.window = Self::WINDOW.min(self.window + count);
        if self.queue.len() - self.lines < Self::MAX_OTHERS {
            let dropped = self.dropped.take();
            self.report(now, dropped, "dropped", ": more than 256 waited");
        }
        self.report_cut(now);
        if self.queue.is_empty() {
            self.queue = Vec::new();
        }
    }

    fn report_cut(&mut self, now: &Moment) {
        if self.cut.is_some() && now.mono >= self.next_cut_report {
            self.next_cut_report = now.mono + Self::CUT_INTERVAL;
            let cut = self.cut.take();
            self.report(now, cut, "cut to 8192 bytes", "");
        }
    }

    fn report(&mut self, now: &Moment, count: Option<Count>, what: &str, why: &str) {
        let Some(Count { count, first, last }) = count else { return };
        self.push_system(now, &format!("{count} events {what} between {first} and {last}{why}"));
    }

    /// Takes out all that waits, as if it had been acknowledged: the datagrams that version 1 has for it.
    pub(in crate::agent) fn drain(&mut self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.lines = 0;
        let host = &self.host;
        self.queue.drain(..).map(|entry| entry.alert(host))
    }

    /// There is another server now, which knows nothing of what was sent.
    pub(in crate::agent) fn change_server(&mut self, now: Millis) {
        for entry in &mut self.queue {
            entry.sent_as = SentAs::Nothing;
        }
        self.chains.rename_run(self.random.bits());
        self.start_over(now);
    }

    /// Makes every event due again: the server may have begun anew.
    pub(in crate::agent) fn start_over(&mut self, now: Millis) {
        for entry in &mut self.queue {
            (entry.sent, entry.due) = (0, Millis::ZERO);
        }
        (self.window, self.narrowed) = (Self::NARROW_WINDOW, now);
        self.chains.start_over(now);
    }

    /// The next datagram that is due, if any; it counts as sent.
    pub(in crate::agent) fn next_due(&mut self, now: Millis, form: Form) -> Option<Vec<u8>> {
        let at = self.first_due(now, form).ok()?;
        let entry = &mut self.queue[at];
        let mut wait = Self::REPEAT;
        if form != Form::Classic {
            wait = backoff(entry.sent);
            wait = wait + Millis::new(self.random.below(wait.count() / 4));
        }
        let in_vain = entry.sent > 0 && now - entry.last_sent >= Self::IN_VAIN_AFTER;
        entry.sent = entry.sent.saturating_add(1);
        (entry.last_sent, entry.due) = (now, now + wait);
        if entry.sent_as == SentAs::Nothing {
            entry.sent_as = if form == Form::Chain { SentAs::Event(self.chains.next_number(entry.chain)) } else { SentAs::Alert };
        }
        if in_vain && now - self.narrowed >= Self::IN_VAIN_AFTER {
            (self.window, self.narrowed) = (Self::NARROW_WINDOW.max(self.window / 2), now);
        }
        Some(match entry.number() {
            None => entry.alert(&self.host),
            Some(number) => entry.event(&self.host, Seq { epoch: self.chains.run(), number }),
        })
    }

    /// When the next datagram is due.
    pub(in crate::agent) fn next_deadline(&self, form: Form) -> Millis {
        let mut next = self.first_due(Millis::ZERO, form).err().unwrap_or(Millis::ZERO);
        if self.cut.is_some() {
            next = next.min(self.next_cut_report);
        }
        if form == Form::Chain {
            next = next.min(self.chains.next_deadline());
        }
        next
    }

    /// Does what is due besides sending.
    pub(in crate::agent) fn handle_timeout(&mut self, now: &Moment) {
        self.report_cut(now);
    }

    /// Where in the queue the first event stands that is due, among those that may be in flight; or when one of them is.
    fn first_due(&self, now: Millis, form: Form) -> Result<usize, Millis> {
        let width = if form == Form::Classic { Self::WINDOW } else { self.window };
        let mut turn = Turn { last: None, blocked: Vec::new() };
        let (mut in_flight, mut bytes, mut next) = (0, 0, Millis::NEVER);
        for (at, entry) in self.queue.iter().enumerate() {
            if form == Form::Chain && !turn.has_come(entry, &self.chains) {
                continue;
            }
            in_flight += 1;
            bytes += entry.text.len() + 200;
            if in_flight > width || bytes > Self::WINDOW_BYTES {
                break;
            }
            if entry.due <= now {
                return Ok(at);
            }
            next = next.min(entry.due);
        }
        Err(next)
    }
}

/// Which events may be sent as EVENT, as they are looked at in the order of the queue.
struct Turn {
    /// The chain that was looked at last, and whether both sides agree on it.
    last: Option<(ChainId, bool)>,
    /// Chains of which an event was sent as ALERT: those behind it must not tell of its position before it is acknowledged.
    blocked: Vec<ChainId>,
}

impl Turn {
    fn has_come(&mut self, entry: &Entry, chains: &Chains) -> bool {
        if entry.sent_as == SentAs::Alert {
            self.blocked.push(entry.chain);
            return true;
        }
        // Most events in a row are of one chain.
        let agreed = match self.last {
            Some((chain, agreed)) if chain == entry.chain => agreed,
            _ => chains.is_agreed(entry.chain),
        };
        self.last = Some((entry.chain, agreed));
        agreed && !self.blocked.contains(&entry.chain)
    }
}

impl Entry {
    fn number(&self) -> Option<u64> {
        match self.sent_as {
            SentAs::Event(number) => Some(number),
            _ => None,
        }
    }

    fn alert(&self, host: &str) -> Vec<u8> {
        let Self { uid, unix, tags, file, text, .. } = self;
        Message::Alert(Alert { host, uid, unix: *unix, tags, file: file.as_deref(), text }).emit()
    }

    fn event(&self, host: &str, seq: Seq) -> Vec<u8> {
        let Self { chain, unix, position, tags, file, text, .. } = self;
        let checkpoint = Checkpoint { seq, unix: *unix, position: &**position };
        Message::Event(ChainEvent { chain: *chain, checkpoint, host, tags, file: file.as_deref(), text }).emit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::WeekMinute;

    fn at(seconds: u64) -> Moment {
        Moment { mono: Millis::from_secs(seconds), unix: 1_795_347_336 + seconds, local: WeekMinute::new(0, 0, 0), second: 0 }
    }

    fn outbox() -> Outbox {
        Outbox::new(&at(0), "nas1", 7, Random::new(1))
    }

    fn event(text: &str) -> Event<'_> {
        Event { tags: "T", file: None, text }
    }

    fn sent(outbox: &mut Outbox, now: Moment, form: Form) -> Vec<String> {
        std::iter::from_fn(|| outbox.next_due(now.mono, form)).map(|datagram| String::from_utf8(datagram).unwrap()).collect()
    }

    #[test]
    fn an_event_is_the_classic_datagram() {
        let mut outbox = outbox();
        outbox.push_line(&at(0), ChainId::NO_FILE, None, Event { tags: "TAG1", file: Some("/var/log/messages"), text: "A Message" });
        outbox.push(&at(5), event("two\nlines"));
        assert_eq!(
            sent(&mut outbox, at(5), Form::Classic),
            [
                "ALERT%%nas1%%1795347336_0%%1795347336%%TAG1%%/var/log/messages%%A Message",
                "ALERT%%nas1%%1795347341_1%%1795347341%%T%%NULL%%two\u{fffd}lines"
            ]
        );
    }

    #[test]
    fn an_event_is_repeated_every_ten_seconds_until_acknowledged() {
        let mut outbox = outbox();
        outbox.push(&at(0), event("x"));
        for (seconds, count) in [(0, 1), (1, 0), (9, 0), (10, 1), (19, 0), (20, 1)] {
            assert_eq!(sent(&mut outbox, at(seconds), Form::Classic).len(), count, "{seconds}");
        }
        assert!(!outbox.acknowledge(&at(20), "1795347336_7"));
        assert!(outbox.acknowledge(&at(20), "1795347336_0"));
        assert!(!outbox.acknowledge(&at(20), "1795347336_0"));
        assert_eq!(outbox.next_deadline(Form::Classic), Millis::NEVER);
    }

    #[test]
    fn repeats_within_a_session_slow_down() {
        let mut outbox = outbox();
        outbox.push(&at(0), event("x"));
        let times: Vec<u64> = (0..60).filter(|s| !sent(&mut outbox, at(*s), Form::Alert).is_empty()).collect();
        assert_eq!(times[0], 0);
        assert!(times[1] <= 2, "{times:?}");
        assert!(times.len() <= 9, "{times:?}");
    }

    #[test]
    fn an_event_that_was_never_sent_cannot_be_acknowledged() {
        let mut outbox = outbox();
        outbox.push(&at(0), event("x"));
        assert!(!outbox.acknowledge(&at(0), "1795347336_0"));
        assert_eq!(outbox.len(), 1);
    }

    #[test]
    fn only_a_window_is_in_flight() {
        let mut outbox = outbox();
        (0..100).for_each(|_| outbox.push_line(&at(0), ChainId::NO_FILE, None, event("x")));
        assert_eq!(sent(&mut outbox, at(0), Form::Classic).len(), Outbox::WINDOW);
        assert!(outbox.acknowledge(&at(0), "1795347336_5"));
        assert_eq!(sent(&mut outbox, at(0), Form::Classic).len(), 1);
        assert_eq!(outbox.lines, 99);
    }

    /// An outbox whose server has agreed upon the chain of events without a file, and upon that of a log.
    fn agreed() -> (Outbox, ChainId) {
        let (mut outbox, log) = (outbox(), ChainId(5));
        outbox.chains.open(&at(0), log, &Position::default());
        for chain in [ChainId::NO_FILE, log] {
            outbox.chains.handle_at(at(0).mono, chain, None);
            assert!(outbox.chains.handle_done(at(0).mono, chain, Seq { epoch: 7, number: 0 }));
        }
        (outbox, log)
    }

    #[test]
    fn the_window_grows_with_what_arrives_and_narrows_with_what_does_not() {
        let (mut outbox, log) = agreed();
        (0..200).for_each(|_| outbox.push_line(&at(0), log, Some(&Position::default()), event("x")));
        assert_eq!(sent(&mut outbox, at(0), Form::Chain).len(), 4);
        outbox.acknowledge_chain(&at(0), log, 3, 0);
        assert_eq!(sent(&mut outbox, at(0), Form::Chain).len(), 6);
        for number in [10, 24, 52] {
            outbox.acknowledge_chain(&at(0), log, number, 0);
            sent(&mut outbox, at(0), Form::Chain);
        }
        assert_eq!(outbox.window, Outbox::WINDOW);
        let repeats: Vec<usize> = (1..60).map(|seconds| sent(&mut outbox, at(seconds), Form::Chain).len()).collect();
        assert_eq!(outbox.window, Outbox::NARROW_WINDOW, "{repeats:?}");
        assert!(repeats[20..].iter().all(|repeats| *repeats <= 4), "{repeats:?}");
    }

    #[test]
    fn events_of_a_chain_wait_until_it_is_agreed_upon() {
        let mut outbox = outbox();
        let log = ChainId(5);
        outbox.chains.open(&at(0), log, &Position::default());
        outbox.push_line(&at(0), log, Some(&Position::default()), event("of the log"));
        outbox.push(&at(0), event("other"));
        assert_eq!(sent(&mut outbox, at(0), Form::Chain), [""; 0]);
        outbox.chains.handle_at(
            at(0).mono,
            ChainId::NO_FILE,
            Some(Checkpoint { seq: Seq { epoch: 3, number: 9 }, unix: 1, position: "-" }),
        );
        let said: Vec<String> = outbox.chains.transmit(&at(0)).into_iter().map(|datagram| String::from_utf8(datagram).unwrap()).collect();
        assert_eq!(said, ["TAKE%%nas1%%0%%3.9%%7.0%%1795347336%%-", "SEEK%%nas1%%5"]);
        outbox.chains.handle_done(at(0).mono, ChainId::NO_FILE, Seq { epoch: 7, number: 0 });
        assert_eq!(sent(&mut outbox, at(0), Form::Chain), ["EVENT%%nas1%%0%%7.1%%-%%1795347336%%T%%NULL%%other"]);
        // The server has more of this run than this side knows: what it acknowledged got lost.
        outbox.chains.handle_at(at(0).mono, log, None);
        outbox.chains.handle_done(at(0).mono, log, Seq { epoch: 7, number: 0 });
        assert_eq!(sent(&mut outbox, at(0), Form::Chain), ["EVENT%%nas1%%5%%7.1%%-%%1795347336%%T%%NULL%%of the log"]);
        outbox.start_over(at(1).mono);
        let checkpoint = Checkpoint { seq: Seq { epoch: 7, number: 1 }, unix: 1, position: "-" };
        assert_eq!(outbox.chains.handle_at(at(1).mono, log, Some(checkpoint)), Some(1));
        outbox.acknowledge_chain(&at(1), log, 1, 0);
        outbox.acknowledge_chain(&at(1), ChainId::NO_FILE, 1, 0);
        assert_eq!((outbox.len(), outbox.lines), (0, 0));
    }

    #[test]
    fn an_event_keeps_the_form_in_which_the_server_may_have_it() {
        let (mut outbox, log) = agreed();
        let position = |offset| Position::parse(&format!("{offset}.1.1")).unwrap();
        (1..4).for_each(|n| outbox.push_line(&at(0), log, Some(&position(n)), event(&format!("x{n}"))));
        assert_eq!(sent(&mut outbox, at(0), Form::Classic).len(), 3);
        outbox.push_line(&at(0), log, Some(&position(4)), event("x4"));
        // The server turns out to speak version 2. What it may have as ALERT stays one, and the next waits for that.
        outbox.start_over(at(1).mono);
        outbox.chains.handle_at(at(1).mono, log, Some(Checkpoint { seq: Seq { epoch: 7, number: 0 }, unix: 1, position: "-" }));
        let again = sent(&mut outbox, at(1), Form::Chain);
        assert_eq!((again.len(), again.iter().filter(|datagram| datagram.starts_with("ALERT%%")).count()), (3, 3));
        assert!(outbox.acknowledge(&at(1), "1795347336_0") && outbox.acknowledge(&at(1), "1795347336_2"));
        let checkpoint = |outbox: &mut Outbox| {
            outbox.chains.places().find(|(chain, _)| *chain == log).map(|(_, checkpoint)| checkpoint.position.to_string())
        };
        assert_eq!(checkpoint(&mut outbox).as_deref(), Some("1.1.1"), "the second still waits");
        assert_eq!(sent(&mut outbox, at(1), Form::Chain), [""; 0]);
        assert!(outbox.acknowledge(&at(1), "1795347336_1"));
        assert_eq!(checkpoint(&mut outbox).as_deref(), Some("3.1.1"));
        assert_eq!(sent(&mut outbox, at(1), Form::Chain), ["EVENT%%nas1%%5%%7.1%%4.1.1%%1795347336%%T%%NULL%%x4"]);
        // Another server gets it under another name of this run.
        outbox.change_server(at(2).mono);
        outbox.chains.handle_at(at(2).mono, log, None);
        let run = outbox.chains.run();
        assert!(outbox.chains.handle_done(at(2).mono, log, Seq { epoch: run, number: 0 }) && run != 7);
        assert_eq!(sent(&mut outbox, at(2), Form::Chain).len(), 1);
    }

    #[test]
    fn what_is_missing_between_others_is_sent_again_soon() {
        let (mut outbox, log) = agreed();
        (0..4).for_each(|number| outbox.push_line(&at(0), log, Some(&Position::default()), event(&format!("x{number}"))));
        assert_eq!(sent(&mut outbox, at(0), Form::Chain).len(), 4);
        // The first and the third have not arrived.
        outbox.acknowledge_chain(&at(0), log, 0, 0b1010);
        let soon = Moment { mono: at(0).mono + Outbox::FAST_RETRANSMIT, ..at(0) };
        assert_eq!(outbox.next_deadline(Form::Chain), soon.mono);
        let texts: Vec<String> = sent(&mut outbox, soon, Form::Chain).iter().map(|text| text[text.len() - 2..].to_string()).collect();
        assert_eq!(texts, ["x0", "x2"]);
        // Though it was there once, the server may have lost it again.
        assert_eq!(sent(&mut outbox, at(12), Form::Chain).len(), 4);
    }

    #[test]
    fn texts_that_are_cut_are_counted() {
        let (mut outbox, _) = agreed();
        let long = "x".repeat(MAX_EVENT_TEXT + 1);
        (0..3).for_each(|_| outbox.push(&at(0), event(&long)));
        outbox.handle_timeout(&at(0));
        outbox.push(&at(1), event(&long));
        outbox.handle_timeout(&at(1));
        let texts =
            |outbox: &Outbox| outbox.queue.iter().map(|entry| entry.text.clone()).filter(|text| text.contains("cut")).collect::<Vec<_>>();
        assert_eq!(texts(&outbox), ["3 events cut to 8192 bytes between 1795347336 and 1795347336"]);
        assert_eq!(outbox.next_deadline(Form::Chain), Millis::ZERO);
        outbox.handle_timeout(&at(60));
        assert_eq!(texts(&outbox).len(), 2);
    }

    #[test]
    fn what_is_dropped_is_counted_and_reported_once() {
        let mut outbox = outbox();
        (0..Outbox::MAX_OTHERS).for_each(|_| outbox.push(&at(0), event("x")));
        outbox.push(&at(3), event("lost"));
        outbox.push(&at(7), event("lost"));
        sent(&mut outbox, at(8), Form::Alert);
        assert!(outbox.acknowledge(&at(8), "1795347336_0"));
        assert!(outbox.acknowledge(&at(8), "1795347336_1"));
        let last = outbox.queue.last().unwrap();
        assert_eq!(last.text, "2 events dropped between 1795347339 and 1795347343: more than 256 waited");
        assert_eq!(outbox.len(), Outbox::MAX_OTHERS - 1);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut outbox = outbox();
        outbox.push(&at(0), event(&"ä\n".repeat(MAX_EVENT_TEXT)));
        let datagram = outbox.next_due(at(0).mono, Form::Classic).unwrap();
        assert!(datagram.len() < MAX_EVENT_TEXT + 100);
        assert!(std::str::from_utf8(&datagram).is_ok());
    }

    #[test]
    fn another_server_gets_everything_again_at_once() {
        let mut outbox = outbox();
        outbox.push(&at(0), event("x"));
        sent(&mut outbox, at(0), Form::Classic);
        outbox.change_server(at(1).mono);
        assert_eq!(sent(&mut outbox, at(1), Form::Classic).len(), 1);
    }
}
