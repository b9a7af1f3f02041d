//! How far each chain of this agent's events has come, as its server knows it: one chain for each log, and one for all events without
//! a log. Events of a chain wait until both sides agree on it. Sends nothing itself.

use super::backoff::backoff;
use super::remembered::Remembered;
use crate::now::Now;
use crate::wire::position::{BlockCount, ConditionKey, Position};
use crate::wire::{ChainId, Checkpoint, Message, Seq, MAX_CHAINS_AT_ONCE};
use std::time::Duration;

pub(super) struct Chains {
    host: String,
    /// Names this run of the agent in the numbers of events.
    epoch: u64,
    chains: Vec<Chain>,
    /// Datagrams that report once how far logs were read that are not followed any more.
    closing: Vec<Vec<u8>>,
    /// What an earlier run kept in a file of the agent's own.
    remembered: Remembered,
    /// The most urgent change of a checkpoint since [`Self::positions`].
    change: Option<CheckpointChange>,
}

/// How soon changed checkpoints must be kept, where the agent has a file for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum CheckpointChange {
    /// Events were acknowledged.
    Advanced,
    /// A log was opened: that must be kept before an event of it is sent.
    Opened,
}

/// Which changes of checkpoints matter to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// All of them.
    Any,
    /// Those that must be kept before anything is sent.
    Urgent,
}

/// One chain that is open, or about to be.
struct Chain {
    id: ChainId,
    agreement: Agreement,
    /// What the server said, while that matters: in [`Agreement::Known`] and [`Agreement::Taking`].
    server: Option<Checkpoint<Box<str>>>,
    /// Where the log was opened, or how far its events are acknowledged; `None` until the log is opened.
    acknowledged: Option<Checkpoint<Box<str>>>,
    /// How far the log is read.
    read: Option<Position>,
    /// How many batches of its events wait.
    waiting: usize,
    /// The number of the last event that was given one.
    last_number: u64,
    /// When the server is asked or told next, and how often it did not answer.
    due: Duration,
    tries: u32,
    /// When the position was last reported without an event, and when it is due again.
    last_report: Duration,
    next_report: Option<Duration>,
    /// When the position must be reported at the latest, if there is reason for haste.
    report_by: Option<Duration>,
    /// The position and time that were reported and are not confirmed yet.
    report: Option<(Box<str>, u64)>,
    /// Chains that the server has to agree on before anything carries a position of this one.
    held_by: Vec<ChainId>,
}

/// What is known of the server's view of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    /// Nothing: the server is asked (SEEK).
    Seeking,
    /// The server has answered, and the log is not opened yet.
    Known,
    /// The server has answered, and is told that this run continues from there (TAKE).
    Taking,
    /// Both sides agree: events may be sent.
    Agreed,
}

/// How far a log was read by an earlier run, or earlier in this one.
#[derive(Debug)]
pub(in crate::agent) enum LastRead {
    /// The server has not answered yet.
    Unanswered,
    /// The log was never followed.
    Never,
    /// Up to there.
    At(Checkpoint<Box<str>>),
}

impl Chains {
    /// How often the position of a log is reported while no event carries it.
    const REPORT_INTERVAL: Duration = Duration::from_secs(10 * 60);
    /// Shortest time between two reports, where another file is read now or many bytes were.
    const SHORTEST_REPORT_INTERVAL: Duration = Duration::from_secs(1);
    /// After so many bytes a report is due at once: they would be read again after a restart.
    const REPORT_BYTES: u64 = 1 << 20;

    /// Holds the chain of events without a log, and no other.
    pub(super) fn new(now: Now, host: &str, epoch: u64) -> Self {
        let mut chains = Self {
            host: host.to_string(),
            epoch,
            chains: Vec::new(),
            closing: Vec::new(),
            remembered: Remembered::default(),
            change: None,
        };
        chains.open(now, ChainId::NO_FILE, &Position::default());
        chains
    }

    fn index(&self, id: ChainId) -> Option<usize> {
        self.chains.iter().position(|chain| chain.id == id)
    }

    fn get(&self, id: ChainId) -> Option<&Chain> {
        self.index(id).map(|at| &self.chains[at])
    }

    fn get_mut(&mut self, id: ChainId) -> Option<&mut Chain> {
        self.index(id).map(|at| &mut self.chains[at])
    }

    fn entry(&mut self, now: Duration, id: ChainId) -> &mut Chain {
        let at = self.index(id).unwrap_or(self.chains.len());
        if at == self.chains.len() {
            self.chains.push(Chain::new(now, id));
        }
        &mut self.chains[at]
    }

    /// How far a log was read, as this run or the server knows. The server is asked if neither does.
    pub(super) fn ask(&mut self, now: Duration, id: ChainId) -> LastRead {
        let epoch = self.epoch;
        let chain = self.entry(now, id);
        match (&chain.acknowledged, chain.agreement, &chain.server) {
            (Some(acknowledged), ..) => {
                // This run followed the log before. What it read then makes no second event.
                let position = match &chain.read {
                    Some(read) => read.emit().into(),
                    None => acknowledged.position.clone(),
                };
                LastRead::At(Checkpoint { seq: Seq { epoch, number: chain.last_number }, unix: acknowledged.unix, position })
            }
            (None, Agreement::Known, None) => LastRead::Never,
            (None, Agreement::Known, Some(checkpoint)) => LastRead::At(checkpoint.clone()),
            _ => LastRead::Unanswered,
        }
    }

    /// How far a log was read, as [`Self::ask`] and the agent's own file know.
    pub(super) fn seek(&mut self, now: Duration, id: ChainId) -> LastRead {
        match self.ask(now, id) {
            LastRead::Unanswered => LastRead::Unanswered,
            known => self.further(known, id),
        }
    }

    /// How far a log was read, where no server can say: what the agent's own file knows.
    pub(super) fn recall(&self, id: ChainId) -> LastRead {
        self.further(LastRead::Never, id)
    }

    /// The further of what the server and the agent's own file know.
    fn further(&self, server: LastRead, id: ChainId) -> LastRead {
        let known = match &server {
            LastRead::At(checkpoint) if checkpoint.seq.epoch == self.epoch => return server,
            LastRead::At(checkpoint) => Some(checkpoint),
            _ => None,
        };
        match self.remembered.further_than(known, id) {
            Some(remembered) => LastRead::At(remembered.clone()),
            None => server,
        }
    }

    /// The conditions that an earlier run left open at the end of a chain, as that checkpoint of the server and the agent's own file know.
    pub(super) fn inherited(&self, id: ChainId, server: Option<Checkpoint<&str>>) -> Vec<ConditionKey> {
        let server = server.map_or(LastRead::Never, |checkpoint| LastRead::At(checkpoint.to_owned()));
        match self.further(server, id) {
            LastRead::At(checkpoint) => Position::parse(&checkpoint.position).unwrap_or_default().open,
            _ => Vec::new(),
        }
    }

    /// As [`Self::inherited`], for a chain whose log is about to be opened; none if that was open before.
    pub(super) fn inherited_when_opened(&self, id: ChainId) -> Vec<ConditionKey> {
        match self.get(id) {
            Some(Chain { acknowledged: Some(_), .. }) => Vec::new(),
            chain => self.inherited(id, chain.and_then(|chain| chain.server.as_ref()).map(Checkpoint::borrowed)),
        }
    }

    /// These conditions are open in a chain of which nothing was acknowledged yet. Returns its position.
    pub(super) fn inherit(&mut self, id: ChainId, open: Vec<ConditionKey>) -> Option<Position> {
        let chain = self.get_mut(id)?;
        let (Some(read), Some(acknowledged)) = (&mut chain.read, &mut chain.acknowledged) else { return None };
        read.open = open;
        acknowledged.position = read.emit().into();
        Some(read.clone())
    }

    /// A log is read from that position on.
    pub(super) fn open(&mut self, now: Now, id: ChainId, position: &Position) {
        let epoch = self.epoch;
        let chain = self.entry(now.mono, id);
        chain.read = Some(position.clone());
        if chain.acknowledged.is_some() {
            return;
        }
        if chain.agreement == Agreement::Known {
            chain.set_agreement(now.mono, Agreement::Taking);
        }
        // If this run closed the chain before, it counts on.
        chain.last_number = match &chain.server {
            Some(server) if chain.agreement == Agreement::Taking && server.seq.epoch == epoch => server.seq.number,
            _ => 0,
        };
        let seq = Seq { epoch, number: chain.last_number };
        chain.acknowledged = Some(Checkpoint { seq, unix: now.unix, position: position.emit().into() });
        self.change = Some(CheckpointChange::Opened);
    }

    /// A log is not followed any more. If it is again, reading begins at that position. Returns whether the chain is closed: not while
    /// an event of it waits.
    pub(super) fn close(&mut self, now: Now, id: ChainId, position: &Position) -> bool {
        let Some(at) = self.index(id) else { return true };
        if self.chains[at].waiting > 0 {
            return false;
        }
        let chain = self.chains.swap_remove(at);
        self.release_held(id);
        if let (Agreement::Agreed, Some(acknowledged)) = (chain.agreement, &chain.acknowledged) {
            let to = Checkpoint { seq: acknowledged.seq, unix: now.unix, position: position.emit() };
            self.closing.push(take(&self.host, id, Some(acknowledged.seq), to.borrowed()));
        }
        true
    }

    /// Begins a new epoch because the events go to another server. Numbers begin anew. [`Self::restart`] has to follow.
    pub(super) fn begin_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.remembered.add_epoch(epoch);
        for chain in &mut self.chains {
            chain.last_number = 0;
            if let Some(acknowledged) = &mut chain.acknowledged {
                acknowledged.seq = Seq { epoch, number: 0 };
            }
        }
        self.change = Some(CheckpointChange::Opened);
    }

    /// A session begins that knows nothing yet of what was agreed on before.
    pub(super) fn restart(&mut self, now: Duration) {
        for chain in &mut self.chains {
            chain.set_agreement(now, Agreement::Seeking);
        }
    }

    /// What names this run of the agent.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A batch of events waits from now on.
    pub(super) fn handle_queued(&mut self, now: Duration, id: ChainId) {
        self.entry(now, id).waiting += 1;
    }

    /// Takes so many numbers for events that are sent for the first time. Returns the first.
    pub(super) fn take_numbers(&mut self, id: ChainId, count: u32) -> u64 {
        let Some(chain) = self.get_mut(id) else { return 0 };
        let first = chain.last_number + 1;
        chain.last_number += u64::from(count);
        first
    }

    /// Bytes that the position of a batch may have, which is not known yet: somewhat more than the last one.
    pub(super) fn position_room(&self, id: ChainId) -> usize {
        const MORE: usize = 40;
        MORE + self.get(id).and_then(|chain| chain.acknowledged.as_ref()).map_or(0, |acknowledged| acknowledged.position.len())
    }

    /// Whether events of a chain may be sent.
    pub(super) fn is_agreed(&self, id: ChainId) -> bool {
        self.get(id).is_some_and(|chain| chain.agreement == Agreement::Agreed && chain.held_by.is_empty())
    }

    /// Holds back what carries a position of one chain until both sides agree on the other.
    pub(super) fn hold_until_agreed(&mut self, id: ChainId, other: ChainId) {
        if self.get(other).is_none_or(|other| other.agreement == Agreement::Agreed) {
            return;
        }
        if let Some(chain) = self.get_mut(id).filter(|chain| chain.id != other) {
            chain.held_by.push(other);
        }
    }

    fn release_held(&mut self, other: ChainId) {
        for chain in &mut self.chains {
            chain.held_by.retain(|holder| *holder != other);
        }
    }

    /// Whether both sides agree on a chain and none of its events waits.
    pub(super) fn is_settled(&self, id: ChainId) -> bool {
        self.get(id).is_some_and(|chain| chain.agreement == Agreement::Agreed && chain.waiting == 0)
    }

    /// Whether the server has said that it knows nothing of a chain.
    pub(super) fn is_unknown_to_server(&self, id: ChainId) -> bool {
        self.get(id).is_some_and(|chain| matches!(chain.agreement, Agreement::Known | Agreement::Taking) && chain.server.is_none())
    }

    /// How far a log is read.
    pub(super) fn read_position(&self, id: ChainId) -> Option<&Position> {
        self.get(id)?.read.as_ref()
    }

    /// Whether a chain that is open is new to a server that says how far it has come.
    pub(super) fn is_new_to_server(&self, id: ChainId, checkpoint: Option<Checkpoint<&str>>) -> bool {
        let is_asked = |chain: &Chain| chain.agreement == Agreement::Seeking && chain.acknowledged.is_some();
        self.get(id).is_some_and(is_asked) && checkpoint.is_none_or(|checkpoint| checkpoint.seq.epoch != self.epoch)
    }

    /// The server says how far a chain has come (AT). Returns the number up to which events are acknowledged by that.
    pub(super) fn handle_at(&mut self, now: Duration, id: ChainId, checkpoint: Option<Checkpoint<&str>>) -> Option<u64> {
        let epoch = self.epoch;
        let chain = self.get_mut(id)?;
        if let (Agreement::Agreed, Some(Checkpoint { seq, position, .. })) = (chain.agreement, checkpoint) {
            if chain.handle_confirmed(seq, position) {
                self.handle_advanced();
                return None;
            }
        }
        let chain = self.get_mut(id)?;
        chain.server = checkpoint.map(|checkpoint| checkpoint.to_owned());
        let seq = checkpoint.map(|checkpoint| checkpoint.seq).filter(|seq| seq.epoch == epoch);
        let (mut agreement, mut number, mut lost_report) = (Agreement::Taking, None, false);
        match (&mut chain.acknowledged, seq) {
            (None, _) => agreement = Agreement::Known,
            // This run followed the log before, and counts on from there.
            (Some(acknowledged), Some(seq)) if seq.number > chain.last_number => {
                chain.last_number = seq.number;
                acknowledged.seq = seq;
            }
            // What was acknowledged has arrived, or more.
            (Some(acknowledged), Some(seq)) if seq.number >= acknowledged.seq.number => {
                (agreement, number) = (Agreement::Agreed, Some(seq.number));
                lost_report = seq == acknowledged.seq && checkpoint.is_some_and(|server| *server.position != *acknowledged.position);
            }
            _ => {}
        }
        // A late answer does not hasten the repeat of a report.
        if (chain.agreement, agreement) != (Agreement::Agreed, Agreement::Agreed) {
            chain.set_agreement(now, agreement);
            if lost_report {
                chain.handle_report_lost(now);
            }
        }
        if agreement == Agreement::Agreed {
            self.release_held(id);
        }
        number
    }

    /// The server has all events of a chain up to that number (DONE). Returns whether the chain is one of this run.
    pub(super) fn handle_done(&mut self, now: Duration, id: ChainId, seq: Seq) -> bool {
        let epoch = self.epoch;
        let Some(chain) = self.get_mut(id).filter(|_| seq.epoch == epoch) else { return false };
        if chain.agreement == Agreement::Taking {
            chain.set_agreement(now, Agreement::Agreed);
            self.release_held(id);
        }
        true
    }

    /// A batch of events is acknowledged. With `read` no earlier one of its chain waits: the log is processed up to that time and position.
    pub(super) fn handle_acknowledged(&mut self, id: ChainId, number: Option<u64>, read: Option<(u64, &str)>) {
        let Some(chain) = self.get_mut(id) else { return };
        chain.waiting -= 1;
        let mut advanced = false;
        if let (Some(acknowledged), Some((unix, position))) = (&mut chain.acknowledged, read) {
            acknowledged.seq.number = number.unwrap_or(acknowledged.seq.number);
            acknowledged.unix = unix;
            acknowledged.position = position.into();
            chain.report = None;
            advanced = true;
        }
        // What still waits reports the position.
        if chain.waiting == 0 {
            chain.schedule_report();
        }
        if advanced {
            self.handle_advanced();
        }
    }

    fn handle_advanced(&mut self) {
        self.change = self.change.max(Some(CheckpointChange::Advanced));
    }

    /// How far the log of a chain is read is reported at that time at the latest.
    pub(super) fn hurry_report(&mut self, id: ChainId, by: Duration) {
        if let Some(chain) = self.get_mut(id) {
            chain.hurry_report(by);
        }
    }

    /// How far logs are read is reported at once.
    pub(super) fn hurry_reports(&mut self, now: Duration) {
        self.chains.iter_mut().for_each(|chain| chain.hurry_report(now));
    }

    /// Whether the server has confirmed how far all logs are read, and has all of their events.
    pub(super) fn are_logs_told(&self) -> bool {
        self.closing.is_empty() && self.chains.iter().all(|chain| chain.id == ChainId::NO_FILE || chain.is_told())
    }

    /// A log is read up to that position.
    pub(super) fn handle_read(&mut self, id: ChainId, position: Position) {
        if let Some(chain) = self.get_mut(id).filter(|chain| chain.read.as_ref() != Some(&position)) {
            chain.read = Some(position);
            chain.schedule_report();
        }
    }

    /// What rules have counted up to where a log is read, in blocks that are not over.
    pub(super) fn handle_counts(&mut self, id: ChainId, counts: Vec<BlockCount>) {
        if let Some(read) = self.read_position(id) {
            let position = Position { counts, ..read.clone() };
            self.handle_read(id, position);
        }
    }

    /// The datagrams that are due: those that lead to agreement on chains, and reports of how far logs are read, which are repeated until
    /// the server confirms them. All of them count as sent.
    pub(super) fn transmit(&mut self, now: Now) -> Vec<Vec<u8>> {
        let (host, mut datagrams) = (&*self.host, std::mem::take(&mut self.closing));
        let mut sought: Vec<ChainId> = Vec::new();
        for chain in &mut self.chains {
            if chain.next_due().is_none_or(|due| due > now.mono) {
                continue;
            }
            let from = chain.server.as_ref().map(|server| server.seq);
            if chain.agreement == Agreement::Agreed && chain.report.is_none() {
                let read = chain.read.as_ref().map(Position::emit).unwrap_or_default();
                chain.report = Some((read.into(), now.unix));
                (chain.tries, chain.last_report, chain.next_report, chain.report_by) = (0, now.mono, None, None);
            }
            chain.due = now.mono + backoff(chain.tries);
            chain.tries += 1;
            match (&chain.acknowledged, &chain.report) {
                (Some(Checkpoint { seq, .. }), Some((position, unix))) if chain.agreement == Agreement::Agreed => {
                    datagrams.push(take(host, chain.id, Some(*seq), Checkpoint { seq: *seq, unix: *unix, position }));
                }
                (Some(to), _) if chain.agreement == Agreement::Taking => datagrams.push(take(host, chain.id, from, to.borrowed())),
                _ => sought.push(chain.id),
            }
        }
        for chains in sought.chunks(MAX_CHAINS_AT_ONCE) {
            datagrams.push(Message::Seek { host, chains: chains.to_vec() }.emit());
        }
        datagrams
    }

    /// When [`Self::transmit`] has something to send.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.chains.iter().filter_map(|chain| chain.next_due()).min()
    }

    /// Takes over what an earlier run kept, as [`Self::positions`] gave it.
    pub(super) fn remember(&mut self, text: &str) {
        self.remembered = Remembered::parse(text);
        self.remembered.add_epoch(self.epoch);
    }

    /// The acknowledged checkpoints and those remembered of other logs, as a text, if one changed since the last call.
    pub(super) fn positions(&mut self, urgency: Urgency) -> Option<String> {
        let change = self.change?;
        if urgency == Urgency::Urgent && change != CheckpointChange::Opened {
            return None;
        }
        self.change = None;
        let present = self.chains.iter().filter_map(|chain| Some((chain.id, chain.acknowledged.as_ref()?.borrowed())));
        Some(self.remembered.emit(&self.host, present))
    }

    /// Whether a checkpoint changed since [`Self::positions`] gave them last.
    pub(super) fn has_new_positions(&self) -> bool {
        self.change.is_some()
    }
}

/// The message that a chain which had come to `from` continues from `to`.
fn take(host: &str, chain: ChainId, from: Option<Seq>, to: Checkpoint<&str>) -> Vec<u8> {
    Message::Take { host, chain, from, to }.emit()
}

impl Chain {
    fn new(now: Duration, id: ChainId) -> Self {
        Self {
            id,
            agreement: Agreement::Seeking,
            server: None,
            acknowledged: None,
            read: None,
            waiting: 0,
            last_number: 0,
            due: now,
            tries: 0,
            last_report: now,
            next_report: None,
            report_by: None,
            report: None,
            held_by: Vec::new(),
        }
    }

    fn set_agreement(&mut self, now: Duration, agreement: Agreement) {
        (self.agreement, self.due, self.tries, self.report) = (agreement, now, 0, None);
        self.schedule_report();
    }

    /// When the server is asked or told next. An event on its way reports the position by itself.
    fn next_due(&self) -> Option<Duration> {
        match self.agreement {
            Agreement::Seeking | Agreement::Taking => Some(self.due),
            Agreement::Agreed if self.waiting == 0 && self.held_by.is_empty() => match self.report {
                Some(_) => Some(self.due),
                None => self.next_report,
            },
            Agreement::Known | Agreement::Agreed => None,
        }
    }

    /// Whether the server has confirmed all that was read, if the log was opened.
    fn is_told(&self) -> bool {
        let (Some(acknowledged), Some(read)) = (&self.acknowledged, &self.read) else { return true };
        let is_confirmed = self.agreement == Agreement::Agreed && self.waiting == 0;
        is_confirmed && Position::parse(&acknowledged.position).as_ref() == Some(read)
    }

    /// The server has come to that checkpoint. Returns whether that confirms the report on its way.
    fn handle_confirmed(&mut self, seq: Seq, position: &str) -> bool {
        let (Some(acknowledged), Some((reported, _))) = (&mut self.acknowledged, &self.report) else { return false };
        if acknowledged.seq != seq || **reported != *position {
            return false;
        }
        if let Some((position, unix)) = self.report.take() {
            (acknowledged.position, acknowledged.unix) = (position, unix);
        }
        self.schedule_report();
        true
    }

    /// Decides when the position is reported, unless an event carries it before.
    fn schedule_report(&mut self) {
        self.next_report = None;
        let (Some(read), Some(acknowledged)) = (&self.read, &self.acknowledged) else { return };
        let Some(reported) = Position::parse(&acknowledged.position) else { return };
        if reported == *read {
            self.report_by = None;
            return;
        }
        let mut soon = reported.files.len() != read.files.len();
        soon |= reported.files.iter().zip(&read.files).any(|(reported, read)| reported.inode != read.inode);
        soon |= read.bytes_since(&reported) >= Chains::REPORT_BYTES;
        let interval = if soon { Chains::SHORTEST_REPORT_INTERVAL } else { Chains::REPORT_INTERVAL };
        let next = self.last_report + interval;
        self.next_report = Some(self.report_by.map_or(next, |by| by.min(next)));
    }

    /// The server has forgotten the last report, as after a crash: it is told again.
    fn handle_report_lost(&mut self, now: Duration) {
        if let (Some(acknowledged), Some(server)) = (&mut self.acknowledged, &self.server) {
            acknowledged.position.clone_from(&server.position);
            self.hurry_report(now);
        }
    }

    /// The position is reported at that time at the latest.
    fn hurry_report(&mut self, by: Duration) {
        self.report_by = Some(self.report_by.map_or(by, |before| before.min(by)));
        self.schedule_report();
    }
}

#[cfg(test)]
mod tests;
