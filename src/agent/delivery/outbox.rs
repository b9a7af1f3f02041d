//! Events that wait until the server has acknowledged them: a bounded queue. The first few are in flight.

use super::backoff::backoff;
use super::chains::Chains;
use crate::now::{earlier, Now};
use crate::random::Random;
use crate::text::{number, sanitize, sanitize_field, truncate, MAX_EVENT_TEXT};
use crate::wire::position::Position;
use crate::wire::{Alert, ChainEvent, ChainId, Checkpoint, Message, Seq};
use std::collections::VecDeque;
use std::time::Duration;

/// The tags of events about the monitoring itself.
const SYSTEM: &str = "SYSTEM";

/// What happened, before it has a place in the queue.
#[derive(Clone, Copy, Debug)]
pub(in crate::agent) struct Event<'a> {
    pub(in crate::agent) tags: &'a str,
    /// The followed file, if there is one.
    pub(in crate::agent) file: Option<&'a str>,
    pub(in crate::agent) text: &'a str,
}

impl<'a> Event<'a> {
    /// An event about the monitoring itself.
    pub(in crate::agent) fn system(text: &'a str) -> Self {
        Self { tags: SYSTEM, file: None, text }
    }
}

/// In which form events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) enum Form {
    /// As ALERT to a version 1 server, which writes every repeat into its stream: repeated after [`Outbox::REPEAT_INTERVAL`] each time.
    Classic,
    /// As ALERT to a version 2 server that keeps no checkpoints of this host: repeated soon, then less and less often.
    Alert,
    /// As EVENT, in chains.
    Chain,
}

/// What can be done when there is no room for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EventOrigin {
    /// A line of a log: it waits in the file, so the caller asks for room first.
    Line,
    /// Nothing that could be read again: it is dropped and counted.
    Other,
}

pub(super) struct Outbox {
    host: String,
    random: Random,
    /// The next number in the uids that version 1 knows.
    next_serial: u64,
    queue: VecDeque<Entry>,
    /// How many of the events are of lines.
    lines: usize,
    window: Window,
    dropped: Option<Count>,
    truncated: Option<Count>,
    /// When truncated events may be reported next.
    next_truncated_report: Duration,
}

/// How many events may be in flight.
struct Window {
    size: usize,
    /// When it was last made smaller.
    narrowed: Duration,
}

/// One event that waits.
struct Entry {
    chain: ChainId,
    sent_as: SentAs,
    unix: u64,
    serial: u64,
    fields: Fields,
    origin: EventOrigin,
    /// How often it was sent, when last, and when it is due again.
    sent: u32,
    last_sent: Duration,
    due: Duration,
}

/// The texts of an event, one behind the other in one allocation: a small device may have hundreds of events waiting.
struct Fields {
    texts: Box<str>,
    position_end: usize,
    tags_end: usize,
    /// `None` for an event without a file.
    file_end: Option<usize>,
}

/// In which form an event was first sent to the present server. The server recognises a repeat only in the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SentAs {
    Nothing,
    Alert,
    /// With that number in its chain.
    Event(u64),
}

/// How many events something happened to, and from when to when.
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

impl Window {
    /// Most events in flight, and most bytes.
    const MAX: usize = 32;
    const MAX_BYTES: usize = 64 * 1024;
    /// Beside those, the first event of each of so many chains that have none in flight.
    const MORE_CHAINS: usize = 8;
    /// Events in flight at first, and while many get lost: hundreds of agents may come back at once when a server does.
    const MIN: usize = 4;
    /// An event without acknowledgement for so long counts as lost.
    const LOST_AFTER: Duration = Duration::from_millis(500);

    fn new(now: Duration) -> Self {
        Self { size: Self::MIN, narrowed: now }
    }

    fn handle_acknowledged(&mut self, count: usize) {
        self.size = Self::MAX.min(self.size + count);
    }

    fn handle_lost(&mut self, now: Duration) {
        if now.saturating_sub(self.narrowed) >= Self::LOST_AFTER {
            *self = Self { size: Self::MIN.max(self.size / 2), narrowed: now };
        }
    }
}

impl Outbox {
    /// Most events of lines that wait. Above it no log is read.
    pub(super) const MAX_LINES: usize = 256;
    /// Most other events that wait. Above it they are dropped and counted.
    const MAX_OTHERS: usize = 256;
    /// Time between two sendings to a version 1 server.
    const REPEAT_INTERVAL: Duration = Duration::from_secs(10);
    /// An event that is missing while later ones have arrived is sent again that long after it was sent last.
    const FAST_RETRANSMIT: Duration = Duration::from_millis(50);
    /// Shortest time between two reports of truncated events.
    const TRUNCATED_INTERVAL: Duration = Duration::from_secs(60);

    pub(super) fn new(now: Duration, host: &str, random: Random) -> Self {
        Self {
            host: sanitize_field(host).into_owned(),
            random,
            next_serial: 0,
            queue: VecDeque::new(),
            lines: 0,
            window: Window::new(now),
            dropped: None,
            truncated: None,
            next_truncated_report: Duration::ZERO,
        }
    }

    /// Whether the events of a line find room. The events that all rules make of one line may exceed the limit together.
    pub(super) fn has_room(&self) -> bool {
        self.lines < Self::MAX_LINES
    }

    /// Whether there is room for so many lines that reading a block makes sense.
    pub(super) fn has_room_for_block(&self) -> bool {
        self.lines <= Self::MAX_LINES / 2
    }

    /// How many events wait for their acknowledgement.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Queues an event of a log, for which the caller has asked for room, or an event about the log itself. With it the log is
    /// processed up to that position. The output of a command has none and belongs to [`ChainId::NO_FILE`].
    pub(super) fn push_line(&mut self, now: Now, chains: &mut Chains, chain: ChainId, position: Option<&Position>, event: Event<'_>) {
        self.lines += 1;
        self.enqueue(now, chains, chain, position.unwrap_or(&Position::default()), event, EventOrigin::Line);
    }

    /// Queues any other event, or counts it as dropped.
    fn push(&mut self, now: Now, chains: &mut Chains, event: Event<'_>) {
        let position = chains.read_position(ChainId::NO_FILE).cloned().unwrap_or_default();
        self.push_of_log(now, chains, ChainId::NO_FILE, &position, event);
    }

    /// Whether there is room for an event that is not of a line.
    pub(super) fn has_room_for_other(&self) -> bool {
        self.queue.len() - self.lines < Self::MAX_OTHERS
    }

    /// An event finds no room.
    pub(super) fn count_dropped(&mut self, now: Now) {
        Count::add(&mut self.dropped, now.unix);
    }

    /// With each event of a chain that was not sent yet, its log is processed up to that position.
    pub(super) fn set_positions(&mut self, chain: ChainId, position: &Position) {
        let position = position.to_string();
        for entry in self.queue.iter_mut().filter(|entry| entry.chain == chain && entry.sent_as == SentAs::Nothing) {
            entry.fields.set_position(&position);
        }
    }

    /// Queues an event of a log that is not of one of its lines, or counts it as dropped. With it the log is processed up to that position.
    pub(super) fn push_of_log(&mut self, now: Now, chains: &mut Chains, chain: ChainId, position: &Position, event: Event<'_>) {
        if !self.has_room_for_other() {
            return self.count_dropped(now);
        }
        self.enqueue(now, chains, chain, position, event, EventOrigin::Other);
    }

    fn enqueue(&mut self, now: Now, chains: &mut Chains, chain: ChainId, position: &Position, event: Event<'_>, origin: EventOrigin) {
        let text = sanitize(truncate(event.text, MAX_EVENT_TEXT));
        if event.text.len() > MAX_EVENT_TEXT || text.len() > MAX_EVENT_TEXT {
            Count::add(&mut self.truncated, now.unix);
        }
        chains.handle_queued(now.mono, chain);
        let file = event.file.map(sanitize_field);
        let fields = Fields::new(&position.to_string(), &sanitize_field(event.tags), file.as_deref(), truncate(&text, MAX_EVENT_TEXT));
        let serial = self.next_serial;
        self.next_serial += 1;
        self.queue.push_back(Entry {
            chain,
            sent_as: SentAs::Nothing,
            unix: now.unix,
            serial,
            fields,
            origin,
            sent: 0,
            last_sent: Duration::ZERO,
            due: Duration::ZERO,
        });
    }

    /// Forgets the event of that uid: the server has it. Returns whether there was one.
    pub(super) fn acknowledge(&mut self, now: Now, chains: &mut Chains, uid: &str) -> bool {
        let Some((unix, serial)) = parse_uid(uid) else { return false };
        let is_acknowledged = |entry: &Entry| entry.sent > 0 && (entry.unix, entry.serial) == (unix, serial);
        let Some(at) = self.queue.iter().take(Window::MAX).position(is_acknowledged) else { return false };
        self.remove(at, chains);
        self.handle_removed(now, chains, 1);
        true
    }

    /// Forgets the events of a chain up to that number: the server has them. A bit in `sack` stands for a later event that the server
    /// holds until its predecessors arrive: what is missing between those is sent again soon, and they are not for a while.
    pub(super) fn acknowledge_chain(&mut self, now: Now, chains: &mut Chains, chain: ChainId, number: u64, sack: u64) {
        let last_held = number.saturating_add(u64::from(u64::BITS - sack.leading_zeros()));
        let (mut at, mut removed) = (0, 0);
        while let Some(entry) = self.queue.get_mut(at) {
            match entry.sent_as {
                SentAs::Event(own) if entry.chain == chain && own <= number => {
                    self.remove(at, chains);
                    removed += 1;
                    continue;
                }
                SentAs::Event(own) if entry.chain == chain && own <= last_held => {
                    let is_held = sack >> (own - number - 1) & 1 == 1;
                    entry.due = match is_held {
                        true => now.mono + Self::REPEAT_INTERVAL,
                        false => entry.due.min(entry.last_sent + Self::FAST_RETRANSMIT),
                    };
                }
                _ => {}
            }
            at += 1;
        }
        self.handle_removed(now, chains, removed);
    }

    fn remove(&mut self, at: usize, chains: &mut Chains) {
        let Some(entry) = self.queue.remove(at) else { return };
        self.lines -= usize::from(entry.origin == EventOrigin::Line);
        match self.queue.iter_mut().take(at).rev().find(|before| before.chain == entry.chain) {
            // Once the one before is acknowledged, the log is processed up to here.
            Some(before) => {
                before.fields.set_position(entry.fields.position());
                chains.handle_acknowledged(entry.chain, None, None);
            }
            None => chains.handle_acknowledged(entry.chain, entry.number(), Some((entry.unix, entry.fields.position()))),
        }
    }

    fn handle_removed(&mut self, now: Now, chains: &mut Chains, count: usize) {
        self.window.handle_acknowledged(count);
        if self.queue.len() - self.lines < Self::MAX_OTHERS {
            let dropped = self.dropped.take();
            self.report(now, chains, dropped, "dropped", ": more than 256 waited");
        }
        self.handle_timeout(now, chains);
        if self.queue.is_empty() {
            // A burst's capacity is not kept.
            self.queue = VecDeque::new();
        }
    }

    /// Reports truncated events if that is due.
    pub(super) fn handle_timeout(&mut self, now: Now, chains: &mut Chains) {
        if self.truncated.is_some() && now.mono >= self.next_truncated_report {
            self.next_truncated_report = now.mono + Self::TRUNCATED_INTERVAL;
            let truncated = self.truncated.take();
            self.report(now, chains, truncated, "cut to 8192 bytes", "");
        }
    }

    fn report(&mut self, now: Now, chains: &mut Chains, count: Option<Count>, what: &str, why: &str) {
        let Some(Count { count, first, last }) = count else { return };
        self.push(now, chains, Event::system(&format!("{count} events {what} between {first} and {last}{why}")));
    }

    /// Removes all events as if they were acknowledged, and returns the ALERT datagram of each.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.lines = 0;
        let host = &self.host;
        self.queue.drain(..).map(|entry| entry.alert(host))
    }

    /// The events go to another server from now on, which knows nothing of what was sent. Returns the epoch for that server.
    /// [`Self::restart`] has to follow.
    pub(super) fn change_server(&mut self) -> u64 {
        for entry in &mut self.queue {
            entry.sent_as = SentAs::Nothing;
        }
        self.random.bits()
    }

    /// Makes every event due again: the server may have started anew.
    pub(super) fn restart(&mut self, now: Duration) {
        for entry in &mut self.queue {
            (entry.sent, entry.due) = (0, Duration::ZERO);
        }
        self.window = Window::new(now);
    }

    /// The next datagram that is due, if any. It counts as sent.
    pub(super) fn next_due(&mut self, now: Duration, chains: &mut Chains, form: Form) -> Option<Vec<u8>> {
        let at = self.first_due(now, chains, form).ok()?;
        let entry = &mut self.queue[at];
        let mut wait = Self::REPEAT_INTERVAL;
        if form != Form::Classic {
            wait = backoff(entry.sent);
            wait += self.random.up_to(wait / 4);
        }
        let is_lost = entry.sent > 0 && now.saturating_sub(entry.last_sent) >= Window::LOST_AFTER;
        entry.sent = entry.sent.saturating_add(1);
        (entry.last_sent, entry.due) = (now, now + wait);
        if entry.sent_as == SentAs::Nothing {
            entry.sent_as = if form == Form::Chain { SentAs::Event(chains.next_number(entry.chain)) } else { SentAs::Alert };
        }
        if is_lost {
            self.window.handle_lost(now);
        }
        Some(match entry.number() {
            None => entry.alert(&self.host),
            Some(number) => entry.event(&self.host, Seq { epoch: chains.epoch(), number }),
        })
    }

    /// When the next datagram or report is due.
    pub(super) fn next_deadline(&self, chains: &Chains, form: Form) -> Option<Duration> {
        let next = match self.first_due(Duration::ZERO, chains, form) {
            Ok(_) => Some(Duration::ZERO),
            Err(next) => next,
        };
        earlier(next, self.truncated.as_ref().map(|_| self.next_truncated_report))
    }

    /// The index of the first event that is due among those that may be in flight, or when one of them is. Where the window is full, the
    /// first events of some other chains may be in flight too: a quiet log does not wait behind a busy one.
    fn first_due(&self, now: Duration, chains: &Chains, form: Form) -> Result<usize, Option<Duration>> {
        let width = if form == Form::Classic { Window::MAX } else { self.window.size };
        let mut turn = Turn::default();
        let mut seen = Vec::new();
        let (mut in_flight, mut bytes, mut next) = (0, 0, None);
        for (at, entry) in self.queue.iter().enumerate() {
            if form == Form::Chain && !turn.has_come(entry, chains) {
                continue;
            }
            let is_full = in_flight >= width || bytes > Window::MAX_BYTES;
            if is_full && (form != Form::Chain || in_flight >= width + Window::MORE_CHAINS) {
                break;
            }
            // Most events in a row are of one chain.
            let is_first = seen.last() != Some(&entry.chain) && !seen.contains(&entry.chain);
            if is_first {
                seen.push(entry.chain);
            } else if is_full {
                continue;
            }
            in_flight += 1;
            bytes += entry.fields.text().len() + 200;
            if entry.due <= now {
                return Ok(at);
            }
            next = earlier(next, Some(entry.due));
        }
        Err(next)
    }
}

/// Which events may be sent in chains, decided in the order of the queue.
#[derive(Default)]
struct Turn {
    /// The chain of the event before, and whether both sides agree on it.
    last: Option<(ChainId, bool)>,
    /// Chains with an event that was sent as ALERT: its successors carry a later position and must wait for its acknowledgement.
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
        let uid = format!("{}_{}", self.unix, self.serial);
        let Self { unix, fields, .. } = self;
        Message::Alert(Alert { host, uid: &uid, unix: *unix, tags: fields.tags(), file: fields.file(), text: fields.text() }).emit()
    }

    fn event(&self, host: &str, seq: Seq) -> Vec<u8> {
        let Self { chain, unix, fields, .. } = self;
        let checkpoint = Checkpoint { seq, unix: *unix, position: fields.position() };
        let event = ChainEvent { chain: *chain, checkpoint, host, tags: fields.tags(), file: fields.file(), text: fields.text() };
        Message::Event(event).emit()
    }
}

/// The time and serial number of a uid that version 1 knows.
fn parse_uid(uid: &str) -> Option<(u64, u64)> {
    let (unix, serial) = uid.split_once('_')?;
    Some((number(unix, 10)?, number(serial, 10)?))
}

impl Fields {
    fn new(position: &str, tags: &str, file: Option<&str>, text: &str) -> Self {
        let position_end = position.len();
        let tags_end = position_end + tags.len();
        let file_end = file.map(|file| tags_end + file.len());
        Self { texts: [position, tags, file.unwrap_or_default(), text].concat().into(), position_end, tags_end, file_end }
    }

    fn position(&self) -> &str {
        &self.texts[..self.position_end]
    }

    fn tags(&self) -> &str {
        &self.texts[self.position_end..self.tags_end]
    }

    fn file(&self) -> Option<&str> {
        self.file_end.map(|end| &self.texts[self.tags_end..end])
    }

    fn text(&self) -> &str {
        &self.texts[self.file_end.unwrap_or(self.tags_end)..]
    }

    fn set_position(&mut self, position: &str) {
        *self = Self::new(position, self.tags(), self.file(), self.text());
    }
}

#[cfg(test)]
mod tests;
