//! Events on their way to the server: the queue of those that wait, and the chains by which the server knows how far each log was
//! processed. Chooses what is sent and when; sends nothing itself.

mod backoff;
mod batch;
mod chains;
mod conditions;
mod outbox;
mod remembered;
mod window;

pub(in crate::agent) use backoff::backoff;
pub(in crate::agent) use chains::LastRead;
pub use chains::Urgency;
pub(in crate::agent) use conditions::{ConditionEvent, Lasting};
pub(in crate::agent) use outbox::{Event, Form, Origin};

use crate::now::{earlier, Now};
use crate::random::Random;
use crate::wire::position::{BlockCount, ConditionKey, Position};
use crate::wire::{ChainId, Checkpoint, Kind, Progress, State};
use chains::Chains;
use conditions::{Conditions, Told};
use outbox::Outbox;
use std::net::SocketAddrV4;
use std::time::Duration;

pub(super) struct Delivery {
    outbox: Outbox,
    chains: Chains,
    conditions: Conditions,
    /// Whether it is known which conditions without a log an earlier run left open.
    has_inherited: bool,
    /// The server that events went to last, and in which form.
    last_server: Option<(SocketAddrV4, Form)>,
}

impl Delivery {
    /// Nothing waits. `epoch` names this run of the agent.
    pub(super) fn new(now: Now, host: &str, epoch: u64, random: Random) -> Self {
        Self {
            outbox: Outbox::new(now.mono, host, random),
            chains: Chains::new(now, host, epoch),
            conditions: Conditions::default(),
            has_inherited: false,
            last_server: None,
        }
    }

    /// Whether the events of a line find room.
    pub(super) fn has_room(&self) -> bool {
        self.outbox.has_room()
    }

    /// Whether there is room for so many lines that reading a block makes sense.
    pub(super) fn has_room_for_block(&self) -> bool {
        self.outbox.has_room_for_block()
    }

    /// The name of this host, as events have it.
    pub(super) fn host(&self) -> &str {
        &self.outbox.host
    }

    /// How many events wait for their acknowledgement.
    pub(super) fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Queues an event that belongs to no log. Where too many wait, it is dropped and counted.
    pub(super) fn push(&mut self, now: Now, event: Event<'_>) {
        self.push_of_log(now, ChainId::NO_FILE, None, event);
    }

    /// Queues an event that rules made of a log without a line. Once it is acknowledged, the log is processed as far as it was read. Where
    /// too many wait, it is dropped and counted.
    pub(super) fn push_of_log(&mut self, now: Now, chain: ChainId, origin: Option<Origin<'_>>, event: Event<'_>) {
        let position = self.placed(chain, self.chains.read_position(chain).cloned().unwrap_or_default());
        self.outbox.push_of_log(now, &mut self.chains, chain, origin, &position, event);
    }

    /// Queues an event about a log, for which there is always room. Once it is acknowledged, the log is processed up to `position`.
    pub(super) fn push_about_log(&mut self, now: Now, chain: ChainId, position: &Position, event: Event<'_>) {
        let position = self.placed(chain, position.clone());
        self.outbox.push_about_log(now, &mut self.chains, chain, &position, event);
    }

    /// Queues an event of a line, for which the caller has asked for room. If what waits before it travels alone, the log is processed up
    /// to `before` with that. [`Self::finish_lines`] has to follow.
    pub(super) fn push_line(
        &mut self,
        now: Now,
        chain: ChainId,
        origin: Option<Origin<'_>>,
        before: &dyn Fn() -> Option<Position>,
        event: Event<'_>,
    ) {
        let Self { outbox, chains, conditions, .. } = self;
        let before = || before().map(|position| Position { open: conditions.of_chain(chain), ..position });
        outbox.push_line(now, chains, chain, origin, &before, event);
    }

    /// Once the last event of a log is acknowledged, the log is processed up to that position.
    pub(super) fn finish_lines(&mut self, chain: ChainId, position: &Position) {
        let position = self.placed(chain, position.clone());
        self.outbox.finish_lines(chain, &position);
    }

    /// The open condition of that key.
    pub(super) fn condition_mut(&mut self, key: ConditionKey) -> Option<&mut Lasting> {
        self.conditions.get_mut(key)
    }

    /// A condition opens, is told again, or ends: queues the event of that, if it makes one. Where too many events wait nothing has
    /// happened, and the next sample tries again.
    pub(super) fn push_condition(&mut self, now: Now, condition: &ConditionEvent<'_>) {
        let ConditionEvent { key, chain, origin, kind, tags, file, state, text, .. } = *condition;
        if text.is_some() && !self.outbox.has_room_for_other() {
            return self.outbox.count_dropped(now);
        }
        let run = self.outbox.take_origin();
        let origin = origin.unwrap_or(Origin { place: &run.0, offset: run.1, line: None });
        let is_known = self.handle_condition(now, condition, origin);
        if let Some(read) = self.chains.read_position(chain).cloned() {
            self.handle_read(chain, read);
        }
        match text {
            Some(text) => {
                let condition = is_known.then_some((state, key));
                self.push_of_log(now, chain, Some(origin), Event { tags, file, text, kind, condition });
            }
            None => self.chains.hurry_report(chain, now.mono),
        }
    }

    /// The same for a condition of which a line tells. For its event the caller has asked for room. `before` and what has to follow are as
    /// with [`Self::push_line`].
    pub(super) fn push_condition_of_line(&mut self, now: Now, condition: &ConditionEvent<'_>, before: &dyn Fn() -> Option<Position>) {
        let ConditionEvent { key, chain, origin, kind, tags, file, state, text, .. } = *condition;
        let open = self.conditions.of_chain(chain);
        let run = self.outbox.take_origin();
        let origin = origin.unwrap_or(Origin { place: &run.0, offset: run.1, line: None });
        let is_known = self.handle_condition(now, condition, origin);
        let Some(text) = text else { return self.chains.hurry_report(chain, now.mono) };
        let before = || before().map(|position| Position { open: open.clone(), ..position });
        let event = Event { tags, file, text, kind, condition: is_known.then_some((state, key)) };
        self.outbox.push_line(now, &mut self.chains, chain, Some(origin), &before, event);
    }

    /// Takes what happens to a condition. Returns whether it is known from now on, or was.
    fn handle_condition(&mut self, now: Now, condition: &ConditionEvent<'_>, origin: Origin<'_>) -> bool {
        let is_known = self.conditions.handle(now, condition, origin);
        if !is_known && self.conditions.take_full_report() {
            let text = format!("More than {} conditions are open: the others are told each time", Conditions::MAX);
            self.push(now, Event::system(&text));
        }
        is_known
    }

    /// Tells a server that knows of no open conditions in a chain but these what is open besides, with the events that told it before.
    fn tell_open_conditions(&mut self, now: Now, chain: ChainId, known: &[ConditionKey]) {
        for (key, told) in self.conditions.unknown_to_server(chain, known) {
            // It is on its way.
            if self.outbox.has_event(chain, told.origin()) {
                continue;
            }
            let Told { unix, state, ref text, kind, ref tags, ref file, .. } = told;
            let event = Event { tags, file: file.as_deref(), text, kind, condition: Some((state, key)) };
            self.push_of_log(Now { unix, ..now }, chain, Some(told.origin()), event);
        }
    }

    /// The text for the end of an open condition, if this run has told it.
    pub(super) fn cleared_text(&self, key: ConditionKey) -> Option<Box<str>> {
        self.conditions.cleared_text(key)
    }

    /// The open conditions of a family.
    pub(super) fn open_conditions(&self, family: ConditionKey) -> Vec<ConditionKey> {
        self.conditions.of_family(family)
    }

    /// For how many events that belong to no line there is room.
    pub(super) fn free_places(&self) -> usize {
        self.outbox.free_places()
    }

    /// Whether a condition is open.
    pub(super) fn has_conditions(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Ends the open conditions that are none of these, and of none of these families: their rules are gone.
    pub(super) fn close_other_conditions(&mut self, now: Now, keys: &[ConditionKey]) {
        while let Some((key, chain, told)) = self.conditions.other_than(keys) {
            let told = told.cloned();
            let (kind, tags, file) = told.as_ref().map_or((Kind::System, "", None), |told| (told.kind, &*told.tags, told.file.as_deref()));
            let text = told.as_ref().and_then(|told| told.cleared.as_deref());
            let (state, origin, cleared) = (State::Closed, None, None);
            self.push_condition(now, &ConditionEvent { key, chain, origin, kind, tags, file, state, text, cleared });
        }
    }

    /// The server has the event of that uid (ACK).
    pub(super) fn handle_ack(&mut self, now: Now, uid: &str) {
        self.outbox.acknowledge(now, &mut self.chains, uid);
    }

    /// The server has all events of some chains up to certain ones, and some later ones (DONE).
    pub(super) fn handle_done(&mut self, now: Now, chains: &[Progress]) {
        for Progress { chain, done, held } in chains {
            if self.chains.handle_done(now.mono, *chain, *done) {
                self.outbox.acknowledge_chain(now, &mut self.chains, *chain, done.number, held);
            }
        }
    }

    /// The server says how far a chain has come (AT).
    pub(super) fn handle_at(&mut self, now: Now, chain: ChainId, checkpoint: Option<Checkpoint<&str>>) {
        // Until both sides agree, events of an earlier run may still arrive.
        if chain == ChainId::NO_FILE && !self.has_inherited {
            self.inherit_without_log(now, checkpoint);
        }
        if self.chains.is_new_to_server(chain, checkpoint) {
            let known = checkpoint.and_then(|checkpoint| Position::parse(checkpoint.position)).unwrap_or_default().open;
            self.tell_open_conditions(now, chain, &known);
        }
        if let Some(number) = self.chains.handle_at(now.mono, chain, checkpoint) {
            self.outbox.acknowledge_chain(now, &mut self.chains, chain, number, &[]);
        }
        self.has_inherited |= self.chains.is_agreed(ChainId::NO_FILE);
    }

    /// A session begins, or a server is selected: it may know nothing of what was sent before.
    pub(super) fn restart(&mut self, now: Now) {
        self.outbox.restart(now.mono);
        self.chains.restart(now.mono);
    }

    /// The datagrams that are due for that server. All of them count as sent.
    pub(super) fn transmit(&mut self, now: Now, server: SocketAddrV4, form: Form) -> Vec<Vec<u8>> {
        // A server keeps what it was sent though it was silent for a while. If it suddenly speaks version 1, it is another server.
        let last = self.last_server.replace((server, form));
        if last.is_some_and(|(before, was)| before != server || was != Form::Classic && form == Form::Classic) {
            let epoch = self.outbox.change_server();
            self.chains.begin_epoch(epoch);
            self.restart(now);
        }
        let mut datagrams = if form == Form::Chain { self.chains.transmit(now) } else { Vec::new() };
        datagrams.append(&mut self.outbox.transmit(now.mono, &mut self.chains, form));
        datagrams
    }

    /// Queues reports that are due.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.outbox.handle_timeout(now, &mut self.chains);
    }

    /// When [`Self::transmit`] or [`Self::handle_timeout`] has something to do.
    pub(super) fn next_deadline(&self, form: Form) -> Option<Duration> {
        let events = self.outbox.next_deadline(&self.chains, form);
        if form == Form::Chain {
            earlier(events, self.chains.next_deadline())
        } else {
            events
        }
    }

    /// How far the log of a chain was read, as this run, the server and the agent's own file know. The server is asked if needed.
    pub(super) fn seek(&mut self, now: Now, chain: ChainId) -> LastRead {
        self.chains.seek(now.mono, chain)
    }

    /// How far the log of a chain was read, as this run and the server know. The server is asked if needed.
    pub(super) fn ask(&mut self, now: Now, chain: ChainId) -> LastRead {
        self.chains.ask(now.mono, chain)
    }

    /// How far the log of a chain was read, as the agent's own file knows.
    pub(super) fn recall(&self, chain: ChainId) -> LastRead {
        self.chains.recall(chain)
    }

    /// The log of a chain is read from that position on.
    pub(super) fn open(&mut self, now: Now, chain: ChainId, position: &Position) {
        let keys = self.chains.inherited_when_opened(chain);
        self.conditions.inherit(now.mono, chain, &keys);
        let position = self.placed(chain, position.clone());
        self.chains.open(now, chain, &position);
    }

    /// The log of a chain is not followed any more. If it is again, reading begins at that position. Returns whether the chain is
    /// closed: not while an event of it waits.
    pub(super) fn close(&mut self, now: Now, chain: ChainId, position: &Position) -> bool {
        self.chains.close(now, chain, position)
    }

    /// A file of one chain's log belongs to another chain's log from now on. Holds back what carries a position of the first chain until
    /// the server has agreed on the second: if the agent is killed before, the next run must not read the file again.
    pub(super) fn hold_until_agreed(&mut self, chain: ChainId, other: ChainId) {
        self.chains.hold_until_agreed(chain, other);
    }

    /// How far the log of a chain is read is reported at that time at the latest.
    pub(super) fn hurry_report(&mut self, chain: ChainId, by: Duration) {
        self.chains.hurry_report(chain, by);
    }

    /// How far logs are read is reported at once.
    pub(super) fn hurry_reports(&mut self, now: Now) {
        self.chains.hurry_reports(now.mono);
    }

    /// Whether the server has confirmed how far all logs are read, and has all of their events.
    pub(super) fn are_logs_told(&self) -> bool {
        self.chains.are_logs_told()
    }

    /// The log of a chain is read up to that position.
    pub(super) fn handle_read(&mut self, chain: ChainId, position: Position) {
        let position = self.placed(chain, position);
        self.chains.handle_read(chain, position);
    }

    /// What rules have counted up to where the log of a chain is read, in blocks that are not over.
    pub(super) fn handle_counts(&mut self, chain: ChainId, counts: Vec<BlockCount>) {
        self.chains.handle_counts(chain, counts);
    }

    /// How far the log of a chain is read.
    pub(super) fn read_position(&self, chain: ChainId) -> Option<&Position> {
        self.chains.read_position(chain)
    }

    /// Whether the server and this agent agree on a chain and no event of it waits.
    pub(super) fn is_settled(&self, chain: ChainId) -> bool {
        self.chains.is_settled(chain)
    }

    /// Whether the server has said that it knows nothing of a chain.
    pub(super) fn is_unknown_to_server(&self, chain: ChainId) -> bool {
        self.chains.is_unknown_to_server(chain)
    }

    /// Takes over the text that [`Self::positions`] gave an earlier run.
    pub(super) fn remember(&mut self, now: Now, text: &str) {
        self.chains.remember(text);
        self.inherit_without_log(now, None);
    }

    /// Takes over the conditions without a log that an earlier run left open, as the server's checkpoint and the agent's own file know.
    fn inherit_without_log(&mut self, now: Now, checkpoint: Option<Checkpoint<&str>>) {
        let keys = self.chains.inherited(ChainId::NO_FILE, checkpoint);
        self.conditions.forget_inherited(ChainId::NO_FILE, &keys);
        self.conditions.inherit(now.mono, ChainId::NO_FILE, &keys);
        let open = self.conditions.of_chain(ChainId::NO_FILE);
        if let Some(position) = self.chains.inherit(ChainId::NO_FILE, open) {
            self.outbox.set_positions(ChainId::NO_FILE, &position);
        }
    }

    /// Whether it is known which conditions without a log an earlier run left open, or the selected server cannot know that.
    pub(super) fn knows_conditions(&self, form: Option<Form>) -> bool {
        self.has_inherited || matches!(form, Some(Form::Alert | Form::Classic))
    }

    /// A position of a chain's log, with the conditions that are open.
    fn placed(&self, chain: ChainId, position: Position) -> Position {
        Position { open: self.conditions.of_chain(chain), ..position }
    }

    /// The acknowledged positions of all logs as a text, if one changed since the last call.
    pub(super) fn positions(&mut self, urgency: Urgency) -> Option<String> {
        self.chains.positions(urgency)
    }

    /// Whether [`Self::positions`] has something new.
    pub(super) fn has_new_positions(&self) -> bool {
        self.chains.has_new_positions()
    }

    /// Removes all events as if they were acknowledged, and returns the ALERT datagram of each.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.outbox.drain()
    }
}
