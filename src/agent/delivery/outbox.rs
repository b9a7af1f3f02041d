//! Events that wait until the server has acknowledged them: a bounded queue of batches. The first of them are in flight.

use super::batch::{Batch, Class, SentAs};
use super::chains::Chains;
use super::window::{Sent, Window};
use crate::now::{earlier, Now};
use crate::random::Random;
use crate::text::{number, push_number, sanitize, sanitize_field, truncate, MAX_EVENT_TEXT};
use crate::wire::auth::MAX_TRAILER;
use crate::wire::position::{Base36, ConditionKey, Position};
use crate::wire::{BatchEvent, ChainId, Kind, Seq, State, MAX_USUAL_DATAGRAM};
use std::borrow::Cow;
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
    pub(in crate::agent) kind: Kind,
    /// What becomes of a condition with it.
    pub(in crate::agent) condition: Option<(State, ConditionKey)>,
}

impl<'a> Event<'a> {
    /// An event about the monitoring itself.
    pub(in crate::agent) fn system(text: &'a str) -> Self {
        Self { tags: SYSTEM, file: None, text, kind: Kind::System, condition: None }
    }

    /// What stands behind its uid in the stream.
    fn class(&self) -> Cow<'static, str> {
        let kind = self.kind.as_str();
        match self.condition {
            Some((state, key)) => format!("{kind};{};{key}", state.as_str()).into(),
            None => {
                let number = match self.kind {
                    // Behind it may stand what was counted.
                    Kind::Count => self.text.split(' ').next().unwrap_or_default(),
                    Kind::Metric => self.text,
                    _ => return kind.into(),
                };
                if is_json_number(number) {
                    format!("{kind};;;{number}").into()
                } else {
                    kind.into()
                }
            }
        }
    }
}

/// Where an event comes from, so that whoever makes it again makes the same one.
#[derive(Clone, Copy, Debug)]
pub(in crate::agent) struct Origin<'a> {
    /// Names the file and the rule.
    pub(in crate::agent) place: &'a str,
    /// Where the line ends in the file, or when the block began in which lines were counted.
    pub(in crate::agent) offset: u64,
    /// The hash of the line.
    pub(in crate::agent) line: Option<u32>,
}

/// In which form events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) enum Form {
    /// As ALERT to a version 1 server, which writes every repeat into its stream: repeated after [`Outbox::REPEAT_INTERVAL`] each time.
    Classic,
    /// As ALERT to a version 3 server that keeps no checkpoints of this host: repeated soon, then less and less often.
    Alert,
    /// As EVENT, in chains.
    Chain,
}

pub(super) struct Outbox {
    pub(super) host: String,
    random: Random,
    /// The next number in the uids that version 1 knows.
    next_serial: u64,
    /// The origin of events that come from no line, and the number of the next one.
    run: String,
    next_event: u64,
    /// The tail of the uid of an event, whose memory is reused.
    tail: String,
    queue: VecDeque<Batch>,
    /// How many events wait, how many of them are not of lines, and about how many bytes they take.
    events: usize,
    others: usize,
    bytes: usize,
    /// Whether the server takes more than one event in a datagram.
    is_batching: bool,
    window: Window,
    dropped: Option<Count>,
    truncated: Option<Count>,
    /// When truncated events may be reported next.
    next_truncated_report: Duration,
}

/// What is to be sent now, and when there is more to be sent.
#[derive(Debug, Default)]
struct Schedule {
    /// The indexes of batches, in ascending order.
    due: Vec<usize>,
    next: Option<Duration>,
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

impl Outbox {
    /// About so many bytes of events may wait before no log is read any more: what may be in flight, and some more.
    const MAX_BYTES: usize = Window::MAX + 16 * 1024;
    /// So many bytes more are a block of lines that all match.
    const BLOCK: usize = 64 * 1024;
    /// Most other events that wait. Above it they are dropped and counted.
    const MAX_OTHERS: usize = 256;
    /// Most events in flight to a version 1 server.
    const CLASSIC_WINDOW: usize = 32;
    /// Where the window is full, the first batches of so many chains that have none in flight are sent too.
    const MORE_CHAINS: usize = 8;
    /// Time between two sendings to a version 1 server, or of what the server has and may have lost again.
    const REPEAT_INTERVAL: Duration = Duration::from_secs(10);
    /// Shortest time between two reports of truncated events.
    const TRUNCATED_INTERVAL: Duration = Duration::from_secs(60);
    /// Most datagrams of one call: a window of them would take as much memory again as the events that wait.
    const AT_ONCE: usize = 16;
    /// Most bytes of an EVENT beside those of its host, position and events.
    const HEADER: usize = 60;

    pub(super) fn new(now: Duration, host: &str, mut random: Random) -> Self {
        Self {
            run: format!("{}.", Base36(random.bits())),
            next_event: 0,
            tail: String::new(),
            host: sanitize_field(host).into_owned(),
            random,
            next_serial: 0,
            queue: VecDeque::new(),
            events: 0,
            others: 0,
            bytes: 0,
            is_batching: true,
            window: Window::new(now),
            dropped: None,
            truncated: None,
            next_truncated_report: Duration::ZERO,
        }
    }

    /// Whether the events of a line find room. The events that all rules make of one line may exceed the limit together.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < Self::MAX_BYTES
    }

    /// Whether there is room for so many lines that reading a block makes sense.
    pub(super) fn has_room_for_block(&self) -> bool {
        self.bytes + Self::BLOCK <= Self::MAX_BYTES
    }

    /// How many events wait for their acknowledgement.
    pub(super) fn len(&self) -> usize {
        self.events
    }

    /// Queues an event of a line, for which the caller has asked for room. If the event begins a batch, the log is processed up to `before`
    /// with the batch before it. [`Self::finish_lines`] has to follow.
    pub(super) fn push_line(
        &mut self,
        now: Now,
        chains: &mut Chains,
        chain: ChainId,
        origin: Option<Origin<'_>>,
        before: &dyn Fn() -> Option<Position>,
        event: Event<'_>,
    ) {
        self.enqueue(now, chains, chain, (event, origin), Class::Line, before);
    }

    /// With the last event of a log, the log is processed up to that position.
    pub(super) fn finish_lines(&mut self, chain: ChainId, position: &Position) {
        if let Some(at) = self.last_of(chain) {
            self.set_position(at, position);
        }
    }

    /// Queues any other event, or counts it as dropped.
    fn push(&mut self, now: Now, chains: &mut Chains, event: Event<'_>) {
        let position = chains.read_position(ChainId::NO_FILE).cloned().unwrap_or_default();
        self.push_of_log(now, chains, ChainId::NO_FILE, None, &position, event);
    }

    /// A place and a number for an event that comes from nowhere else.
    pub(super) fn take_origin(&mut self) -> (String, u64) {
        self.next_event += 1;
        (self.run.clone(), self.next_event - 1)
    }

    /// Whether the event that comes from there waits.
    pub(super) fn has_event(&self, chain: ChainId, origin: Origin<'_>) -> bool {
        let tail = Base36(origin.offset).to_string();
        let mut events = self.queue.iter().filter(|batch| batch.chain == chain).flat_map(|batch| batch.text.events());
        events.any(|event| (event.origin, event.tail) == (origin.place, &tail))
    }

    /// For how many events that are not of a line there is room.
    pub(super) fn free_places(&self) -> usize {
        Self::MAX_OTHERS.saturating_sub(self.others)
    }

    /// Whether there is room for an event that is not of a line.
    pub(super) fn has_room_for_other(&self) -> bool {
        self.free_places() > 0
    }

    /// An event finds no room.
    pub(super) fn count_dropped(&mut self, now: Now) {
        Count::add(&mut self.dropped, now.unix);
    }

    /// With each event of a chain that was not sent yet, its log is processed up to that position.
    pub(super) fn set_positions(&mut self, chain: ChainId, position: &Position) {
        for at in 0..self.queue.len() {
            if self.queue[at].chain == chain {
                self.set_position(at, position);
            }
        }
    }

    /// Queues an event of a log that is not of one of its lines, or counts it as dropped. With it the log is processed up to that position.
    pub(super) fn push_of_log(
        &mut self,
        now: Now,
        chains: &mut Chains,
        chain: ChainId,
        origin: Option<Origin<'_>>,
        position: &Position,
        event: Event<'_>,
    ) {
        if !self.has_room_for_other() {
            return self.count_dropped(now);
        }
        self.enqueue(now, chains, chain, (event, origin), Class::Other, &|| None);
        self.finish_lines(chain, position);
    }

    /// Queues an event about a log, for which there is always room. With it the log is processed up to that position.
    pub(super) fn push_about_log(&mut self, now: Now, chains: &mut Chains, chain: ChainId, position: &Position, event: Event<'_>) {
        self.enqueue(now, chains, chain, (event, None), Class::Line, &|| None);
        self.finish_lines(chain, position);
    }

    fn enqueue(
        &mut self,
        now: Now,
        chains: &mut Chains,
        chain: ChainId,
        (event, origin): (Event<'_>, Option<Origin<'_>>),
        class: Class,
        before: &dyn Fn() -> Option<Position>,
    ) {
        let text = sanitize(truncate(event.text, MAX_EVENT_TEXT));
        if event.text.len() > MAX_EVENT_TEXT || text.len() > MAX_EVENT_TEXT {
            Count::add(&mut self.truncated, now.unix);
        }
        let (tags, file) = (sanitize_field(event.tags), event.file.map(sanitize_field));
        let (mut tail, run) = (std::mem::take(&mut self.tail), std::mem::take(&mut self.run));
        let number = origin.map_or(self.next_event, |origin| origin.offset);
        self.next_event += u64::from(origin.is_none());
        tail.clear();
        push_number(&mut tail, number, 36, 1);
        if let Some(Origin { line: Some(line), .. }) = origin {
            tail.push('.');
            push_number(&mut tail, line.into(), 36, 1);
        }
        let event = BatchEvent {
            unix: now.unix,
            tags: &tags,
            file: file.as_deref(),
            origin: origin.map_or(&run, |origin| origin.place),
            tail: &tail,
            class: &event.class(),
            text: truncate(&text, MAX_EVENT_TEXT),
        };
        let last = self.last_of(chain);
        let at = match last.filter(|at| self.is_batching && self.queue[*at].has_room(event)) {
            Some(at) => at,
            None => {
                if let (Some(at), Some(position)) = (last, before()) {
                    self.set_position(at, &position);
                }
                chains.handle_queued(now.mono, chain);
                let limit = MAX_USUAL_DATAGRAM.saturating_sub(Self::HEADER + MAX_TRAILER + self.host.len() + chains.position_room(chain));
                let batch = Batch::new(chain, limit);
                self.bytes += batch.memory();
                self.queue.push_back(batch);
                self.queue.len() - 1
            }
        };
        let batch = &mut self.queue[at];
        self.bytes -= batch.memory();
        batch.push(event, class);
        self.bytes += batch.memory();
        self.events += 1;
        self.others += usize::from(class == Class::Other);
        (self.tail, self.run) = (tail, run);
    }

    /// The last batch of a chain. Most events in a row are of one chain.
    fn last_of(&self, chain: ChainId) -> Option<usize> {
        self.queue.iter().rposition(|batch| batch.chain == chain)
    }

    /// With the events of a batch, its log is processed up to that position, unless the server may have been told another one.
    fn set_position(&mut self, at: usize, position: &Position) {
        let batch = &mut self.queue[at];
        if batch.sent_as == SentAs::Nothing {
            batch.position = Some(position.emit().into());
        }
    }

    /// Forgets the event of that uid: the server has it. Returns whether there was one.
    pub(super) fn acknowledge(&mut self, now: Now, chains: &mut Chains, uid: &str) -> bool {
        let Some(uid) = parse_uid(uid) else { return false };
        let Some(at) = self.queue.iter().position(|batch| batch.has_uid(uid)) else { return false };
        let (sent, bytes) = (self.queue[at].sent, self.queue[at].text.len());
        self.window.handle_arrived(now.mono, sent, bytes);
        self.remove(at, chains);
        self.handle_removed(now, chains);
        true
    }

    /// Forgets the events of a chain up to that number: the server has them. Those between the numbers of a pair in `held` wait there for
    /// their predecessors: they are not sent again for a while, and what they have overtaken is sent again at once.
    pub(super) fn acknowledge_chain(&mut self, now: Now, chains: &mut Chains, chain: ChainId, number: u64, held: &[(u64, u64)]) {
        let mut at = 0;
        while let Some(batch) = self.queue.get_mut(at) {
            let (SentAs::Events(first), Some(last)) = (batch.sent_as, batch.last_number().filter(|_| batch.chain == chain)) else {
                at += 1;
                continue;
            };
            let has_arrived = last <= number;
            if !batch.is_held && (has_arrived || held.iter().any(|(from, to)| *from <= first && last <= *to)) {
                (batch.is_held, batch.due) = (true, now.mono + Self::REPEAT_INTERVAL);
                self.window.handle_arrived(now.mono, batch.sent, batch.text.len());
            }
            if has_arrived {
                self.remove(at, chains);
            } else {
                at += 1;
            }
        }
        for batch in self.queue.iter_mut().filter(|batch| batch.sent.times > 0 && !batch.is_held && batch.due > now.mono) {
            if self.window.is_overtaken(batch.sent) {
                batch.due = now.mono;
                self.window.handle_overtaken(batch.text.len());
            }
        }
        self.handle_removed(now, chains);
    }

    fn remove(&mut self, at: usize, chains: &mut Chains) {
        let Some(batch) = self.queue.remove(at) else { return };
        self.events -= batch.count();
        self.others -= batch.others();
        self.bytes -= batch.memory();
        match self.queue.iter_mut().take(at).rev().find(|before| before.chain == batch.chain) {
            // Once the one before is acknowledged, the log is processed up to here.
            Some(before) => {
                before.position = batch.position.or(before.position.take());
                chains.handle_acknowledged(batch.chain, None, None);
            }
            None => {
                let read = batch.position.as_deref().map(|position| (batch.text.unix(), position));
                chains.handle_acknowledged(batch.chain, batch.last_number(), read);
            }
        }
    }

    fn handle_removed(&mut self, now: Now, chains: &mut Chains) {
        if self.others < Self::MAX_OTHERS {
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
        (self.events, self.others, self.bytes) = (0, 0, 0);
        let Self { host, next_serial, queue, .. } = self;
        queue.drain(..).flat_map(Batch::split).map(|mut batch| {
            batch.number(next_serial);
            batch.alert(host)
        })
    }

    /// The events go to another server from now on, which knows nothing of what was sent. Returns the epoch for that server.
    /// [`Self::restart`] has to follow.
    pub(super) fn change_server(&mut self) -> u64 {
        for batch in &mut self.queue {
            batch.sent_as = SentAs::Nothing;
        }
        self.random.bits()
    }

    /// Makes every event due again: the server may have started anew.
    pub(super) fn restart(&mut self, now: Duration) {
        for batch in &mut self.queue {
            (batch.sent, batch.due, batch.is_held) = (Sent::default(), Duration::ZERO, false);
        }
        self.window.restart(now);
    }

    /// The first datagrams that are due, at most [`Self::AT_ONCE`]. They count as sent.
    pub(super) fn transmit(&mut self, now: Duration, chains: &mut Chains, form: Form) -> Vec<Vec<u8>> {
        self.is_batching = form == Form::Chain;
        if !self.is_batching {
            self.split_batches(now, chains);
        }
        let mut schedule = self.schedule(now, chains, form);
        if form != Form::Classic && schedule.due.iter().any(|at| self.has_timed_out(now, *at)) {
            self.window.handle_timeout(now);
            schedule = self.schedule(now, chains, form);
        }
        schedule.due.into_iter().take(Self::AT_ONCE).map(|at| self.send(now, chains, form, at)).collect()
    }

    /// A server that takes only single events may not have been known before: it gets each on its own.
    fn split_batches(&mut self, now: Duration, chains: &mut Chains) {
        let is_split = |batch: &Batch| batch.sent_as == SentAs::Nothing && batch.count() > 1;
        if !self.queue.iter().any(is_split) {
            return;
        }
        self.bytes = 0;
        for batch in std::mem::take(&mut self.queue) {
            let parts = if is_split(&batch) { batch.split() } else { vec![batch] };
            parts.iter().skip(1).for_each(|part| chains.handle_queued(now, part.chain));
            self.bytes += parts.iter().map(Batch::memory).sum::<usize>();
            self.queue.extend(parts);
        }
    }

    /// Whether a batch that is due was sent and not answered in time.
    fn has_timed_out(&self, now: Duration, at: usize) -> bool {
        let Sent { at, times, .. } = self.queue[at].sent;
        times > 0 && now.saturating_sub(at) >= self.window.timeout(1)
    }

    fn send(&mut self, now: Duration, chains: &mut Chains, form: Form, at: usize) -> Vec<u8> {
        let batch = &mut self.queue[at];
        batch.sent = Sent { number: self.window.next_number(), at: now, times: batch.sent.times.saturating_add(1) };
        let mut wait = Self::REPEAT_INTERVAL;
        if form != Form::Classic {
            wait = self.window.timeout(batch.sent.times);
            wait += self.random.up_to(wait / 4);
        }
        (batch.due, batch.is_held) = (now + wait, false);
        if batch.sent_as == SentAs::Nothing {
            batch.sent_as = if form == Form::Chain {
                SentAs::Events(chains.take_numbers(batch.chain, batch.text.count()))
            } else {
                batch.number(&mut self.next_serial);
                SentAs::Alert
            };
        }
        match batch.sent_as {
            SentAs::Events(number) => batch.event(&self.host, Seq { epoch: chains.epoch(), number }),
            SentAs::Nothing | SentAs::Alert => batch.alert(&self.host),
        }
    }

    /// When the next datagram or report is due.
    pub(super) fn next_deadline(&self, chains: &Chains, form: Form) -> Option<Duration> {
        let Schedule { due, next } = self.schedule(Duration::ZERO, chains, form);
        let next = if due.is_empty() { next } else { Some(Duration::ZERO) };
        earlier(next, self.truncated.as_ref().map(|_| self.next_truncated_report))
    }

    /// What is due of that which may be in flight. Where the window is full, the first batches of some other chains may be in flight too: a
    /// quiet log does not wait behind a busy one.
    fn schedule(&self, now: Duration, chains: &Chains, form: Form) -> Schedule {
        let mut schedule = Schedule::default();
        let mut turn = Turn::default();
        let mut seen = Vec::new();
        let (mut in_flight, mut bytes, mut more) = (0, 0, 0);
        for (at, batch) in self.queue.iter().enumerate() {
            if form == Form::Chain && !turn.has_come(batch, chains) {
                continue;
            }
            let is_full = match form {
                Form::Classic => in_flight >= Self::CLASSIC_WINDOW,
                Form::Alert | Form::Chain => bytes >= self.window.size(),
            };
            if is_full && (form != Form::Chain || more >= Self::MORE_CHAINS) {
                break;
            }
            // Most batches in a row are of one chain.
            let is_first = seen.last() != Some(&batch.chain) && !seen.contains(&batch.chain);
            if is_first {
                seen.push(batch.chain);
            } else if is_full {
                continue;
            }
            more += usize::from(is_full);
            in_flight += 1;
            bytes += if batch.is_held { 0 } else { batch.text.len() };
            if batch.due <= now {
                schedule.due.push(at);
            } else {
                schedule.next = earlier(schedule.next, Some(batch.due));
            }
        }
        schedule
    }
}

/// Which events may be sent in chains, decided in the order of the queue.
#[derive(Default)]
struct Turn {
    /// The chain of the batch before, and whether both sides agree on it.
    last: Option<(ChainId, bool)>,
    /// Chains with an event that was sent as ALERT: its successors carry a later position and must wait for its acknowledgement.
    blocked: Vec<ChainId>,
}

impl Turn {
    fn has_come(&mut self, batch: &Batch, chains: &Chains) -> bool {
        if batch.sent_as == SentAs::Alert {
            self.blocked.push(batch.chain);
            return true;
        }
        // Most batches in a row are of one chain.
        let agreed = match self.last {
            Some((chain, agreed)) if chain == batch.chain => agreed,
            _ => chains.is_agreed(batch.chain),
        };
        self.last = Some((batch.chain, agreed));
        agreed && !self.blocked.contains(&batch.chain)
    }
}

/// Whether a text is a number as JSON has it, and not a long one.
fn is_json_number(text: &str) -> bool {
    const MAX: usize = 40;
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let is_plain = !unsigned.starts_with('.')
        && !unsigned.ends_with('.')
        && (unsigned == "0" || unsigned.starts_with("0.") || !unsigned.starts_with('0'));
    text.len() <= MAX
        && is_plain
        && !unsigned.is_empty()
        && unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && unsigned.matches('.').count() <= 1
}

/// The time and serial number of a uid that version 1 knows.
fn parse_uid(uid: &str) -> Option<(u64, u64)> {
    let (unix, serial) = uid.split_once('_')?;
    Some((number(unix, 10)?, number(serial, 10)?))
}

#[cfg(test)]
mod tests;
