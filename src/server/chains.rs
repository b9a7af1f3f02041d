//! How far the chains of every host have come. An event is accepted only after its predecessor, so that no checkpoint ever skips an event.
//! Events that arrive out of order wait here.

use super::sink::Written;
use crate::wire::{ChainId, Checkpoint, Message, Progress, RecordedSeq, Seq, MAX_HELD};
use memchr::memchr;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddrV4;
use std::rc::Rc;

#[derive(Default)]
pub(super) struct Chains {
    hosts: HashMap<Rc<str>, HashMap<ChainId, Chain>>,
    uncommitted: Vec<Uncommitted>,
    /// Bytes of all events that wait for a predecessor.
    waiting_bytes: usize,
    /// Counts uses, to find the chain that was least recently used.
    uses: u64,
    /// Whether anything changed since the last snapshot.
    changed: bool,
}

struct Chain {
    checkpoint: Checkpoint<Box<str>>,
    last_used: u64,
    /// Whether the event of the checkpoint is still to be written.
    uncommitted: bool,
    /// Later batches by the numbers of their first events, each waiting for its predecessor.
    out_of_order: BTreeMap<u64, Waiting>,
}

/// A batch that waits for its predecessor.
struct Waiting {
    /// The number of its last event.
    last: u64,
    datagram: Box<[u8]>,
}

/// A chain with events that are still to be written, and what is needed either way.
struct Uncommitted {
    host: Rc<str>,
    chain: ChainId,
    /// Where the chain returns to if they cannot be written.
    before: Checkpoint<Box<str>>,
    /// Where to send DONE once they are written.
    to: SocketAddrV4,
}

/// How a batch of events relates to the checkpoint of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It begins with the next event.
    InOrder,
    /// It was accepted before.
    Duplicate,
    /// Its predecessor is missing.
    OutOfOrder,
    /// Some of its events were accepted before and some were not, which no agent sends.
    Overlapping,
    /// The chain is in another epoch, or is not known.
    OtherEpoch,
}

/// What becomes of a TAKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TakeOutcome {
    /// The chain is at that checkpoint or beyond.
    Done,
    /// The chain is not where the TAKE expects it.
    Mismatch,
    /// The chain has events that are still to be written. There is no answer yet.
    Uncommitted,
}

impl Chains {
    /// Most chains of one host. Beyond it the least recently used one is forgotten.
    const MAX_CHAINS: usize = 2048;
    /// Most batches of one chain that wait for a predecessor: more than an agent has in flight.
    const MAX_WAITING: usize = 256;
    /// Most bytes of all batches that wait for a predecessor.
    const MAX_WAITING_BYTES: usize = 4 << 20;
    /// The first line of a snapshot.
    const TITLE: &'static str = "436 positions 1";

    fn chain(&self, host: &str, chain: ChainId) -> Option<&Chain> {
        self.hosts.get(host)?.get(&chain)
    }

    fn chain_mut(&mut self, host: &str, chain: ChainId) -> Option<&mut Chain> {
        self.hosts.get_mut(host)?.get_mut(&chain)
    }

    /// How far a chain has come, including events that are still to be written.
    pub(super) fn checkpoint(&self, host: &str, chain: ChainId) -> Option<Checkpoint<&str>> {
        self.chain(host, chain).map(|chain| chain.checkpoint.borrowed())
    }

    /// Whether a chain has events that are still to be written.
    pub(super) fn is_uncommitted(&self, host: &str, chain: ChainId) -> bool {
        self.chain(host, chain).is_some_and(|chain| chain.uncommitted)
    }

    /// Which events of a chain are in the stream, and which wait for a predecessor. `None` while events are still to be written.
    pub(super) fn progress(&self, host: &str, id: ChainId) -> Option<Progress> {
        let chain = self.chain(host, id).filter(|chain| !chain.uncommitted)?;
        let mut held: Vec<(u64, u64)> = Vec::new();
        for (first, Waiting { last, .. }) in &chain.out_of_order {
            let is_full = held.len() == MAX_HELD;
            match held.last_mut().filter(|(_, end)| *end + 1 == *first) {
                Some((_, end)) => *end = *last,
                None if is_full => break,
                None => held.push((*first, *last)),
            }
        }
        Some(Progress { chain: id, done: chain.checkpoint.seq, held })
    }

    /// Moves a chain from `from` to another checkpoint. `from` is `None` if the agent believes that the chain is new.
    pub(super) fn take(&mut self, host: &Rc<str>, chain: ChainId, from: Option<Seq>, to: Checkpoint<&str>) -> TakeOutcome {
        self.uses += 1;
        let uses = self.uses;
        let Some(entry) = self.chain_mut(host, chain) else {
            if from.is_some() {
                return TakeOutcome::Mismatch;
            }
            self.insert(host.clone(), chain, to.to_owned());
            return TakeOutcome::Done;
        };
        entry.last_used = uses;
        let seq = entry.checkpoint.seq;
        if entry.uncommitted {
            return TakeOutcome::Uncommitted;
        }
        if from != Some(seq) {
            let is_repeat = seq.epoch == to.seq.epoch && seq.number >= to.seq.number;
            return if is_repeat { TakeOutcome::Done } else { TakeOutcome::Mismatch };
        }
        entry.checkpoint = to.to_owned();
        // With the same sequence number the agent has only read on, and the waiting events stay valid.
        if seq != to.seq {
            let waiting = std::mem::take(&mut entry.out_of_order);
            self.waiting_bytes -= total_bytes(&waiting);
        }
        self.changed = true;
        TakeOutcome::Done
    }

    fn insert(&mut self, host: Rc<str>, chain: ChainId, checkpoint: Checkpoint<Box<str>>) {
        self.uses += 1;
        let chains = self.hosts.entry(host).or_default();
        if chains.len() >= Self::MAX_CHAINS && !chains.contains_key(&chain) {
            let oldest = chains.iter().filter(|(_, chain)| !chain.uncommitted).min_by_key(|(_, chain)| chain.last_used);
            if let Some(Chain { out_of_order, .. }) = oldest.map(|(id, _)| *id).and_then(|oldest| chains.remove(&oldest)) {
                self.waiting_bytes -= total_bytes(&out_of_order);
            }
        }
        chains.insert(chain, Chain { checkpoint, last_used: self.uses, uncommitted: false, out_of_order: BTreeMap::new() });
        self.changed = true;
    }

    /// How a batch of events, from one sequence number to another, relates to the checkpoint of its chain.
    pub(super) fn classify(&self, host: &str, chain: ChainId, first: Seq, last: Seq) -> Arrival {
        match self.chain(host, chain).map(|chain| chain.checkpoint.seq) {
            Some(at) if at.epoch != first.epoch => Arrival::OtherEpoch,
            Some(at) if last.number <= at.number => Arrival::Duplicate,
            Some(at) if first.number <= at.number => Arrival::Overlapping,
            Some(at) if first.number == at.number + 1 => Arrival::InOrder,
            Some(_) => Arrival::OutOfOrder,
            None => Arrival::OtherEpoch,
        }
    }

    /// The keys of the conditions that are open in the chains of a host.
    pub(super) fn open_conditions(&self, host: &str) -> HashSet<&str> {
        let chains = self.hosts.get(host).into_iter().flat_map(HashMap::values);
        chains.flat_map(|chain| open_conditions(&chain.checkpoint.position).split('~')).collect()
    }

    /// Advances a chain to the last of the events that the sink has just taken. DONE goes to `to` once it is written. Returns whether
    /// other conditions are open at its end than before.
    pub(super) fn accept(&mut self, host: &Rc<str>, chain: ChainId, checkpoint: Checkpoint<&str>, to: SocketAddrV4) -> bool {
        self.uses += 1;
        let uses = self.uses;
        let Some(entry) = self.chain_mut(host, chain) else { return false };
        let changes = open_conditions(&entry.checkpoint.position) != open_conditions(checkpoint.position);
        let before = std::mem::replace(&mut entry.checkpoint, checkpoint.to_owned());
        entry.last_used = uses;
        if !std::mem::replace(&mut entry.uncommitted, true) {
            self.uncommitted.push(Uncommitted { host: host.clone(), chain, before, to });
        }
        self.changed = true;
        changes
    }

    /// Stores a batch that is out of order until its predecessor arrives. Drops it if there is no room.
    pub(super) fn store(&mut self, host: &str, chain: ChainId, first: u64, last: u64, datagram: &[u8]) {
        let room = Self::MAX_WAITING_BYTES - self.waiting_bytes;
        let Some(chain) = self.chain_mut(host, chain) else { return };
        let is_known = chain.out_of_order.range(..=last).next_back().is_some_and(|(_, before)| before.last >= first);
        if !is_known && datagram.len() <= room && chain.out_of_order.len() < Self::MAX_WAITING {
            chain.out_of_order.insert(first, Waiting { last, datagram: datagram.into() });
            self.waiting_bytes += datagram.len();
        }
    }

    /// Removes and returns the stored batch that follows the checkpoint.
    pub(super) fn take_next(&mut self, host: &str, chain: ChainId) -> Option<Box<[u8]>> {
        let chain = self.chain_mut(host, chain)?;
        let number = chain.checkpoint.seq.number + 1;
        let Waiting { datagram, .. } = chain.out_of_order.remove(&number)?;
        self.waiting_bytes -= datagram.len();
        Some(datagram)
    }

    /// Commits the accepted events, or returns the chains to where they were. Returns where to send DONE for which chain.
    pub(super) fn handle_committed(&mut self, written: Written) -> Vec<(SocketAddrV4, Rc<str>, ChainId)> {
        let mut committed = Vec::new();
        for Uncommitted { host, chain, before, to } in std::mem::take(&mut self.uncommitted) {
            let Some(entry) = self.chain_mut(&host, chain) else { continue };
            entry.uncommitted = false;
            if written == Written::All {
                committed.push((to, host, chain));
                continue;
            }
            entry.checkpoint = before;
            // The agent sends these again, in order.
            let waiting = std::mem::take(&mut entry.out_of_order);
            self.waiting_bytes -= total_bytes(&waiting);
        }
        committed
    }

    /// Advances a chain by what stands behind the `@` of an event of the stream, if it is the last one of its batch. Events must come in the order of the stream.
    pub(super) fn replay(&mut self, host: &str, at: &str, unix: u64) {
        let Some(RecordedSeq { chain, seq, position }) = RecordedSeq::parse(at) else { return };
        let checkpoint = Checkpoint { seq, unix, position };
        let at = self.chain(host, chain).map(|chain| chain.checkpoint.seq);
        if at.is_some_and(|seq| seq.epoch == checkpoint.seq.epoch && seq.number >= checkpoint.seq.number) {
            return;
        }
        let host = self.shared_name(host);
        self.insert(host, chain, checkpoint.to_owned());
    }

    fn shared_name(&self, host: &str) -> Rc<str> {
        self.hosts.get_key_value(host).map_or_else(|| host.into(), |(host, _)| host.clone())
    }

    /// Keeps only the chains of the hosts for which `is_known` holds.
    pub(super) fn retain(&mut self, mut is_known: impl FnMut(&str) -> bool) {
        self.hosts.retain(|host, _| is_known(host));
    }

    /// Returns a snapshot for [`Self::restore`] if anything changed since the last one. Not to be called between [`Self::accept`] and
    /// [`Self::handle_committed`].
    pub(super) fn snapshot(&mut self) -> Option<String> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let mut text = format!("{}\n", Self::TITLE);
        for (host, chains) in &self.hosts {
            for (id, chain) in chains {
                Message::At { host, chain: *id, checkpoint: Some(chain.checkpoint.borrowed()) }.emit_into(&mut text);
                text.push('\n');
            }
        }
        Some(text)
    }

    /// The last snapshot could not be stored: [`Self::snapshot`] returns another one even if nothing changes.
    pub(super) fn handle_snapshot_lost(&mut self) {
        self.changed = true;
    }

    /// Adds the chains of a snapshot. Returns whether the text is a snapshot.
    pub(super) fn restore(&mut self, text: &str) -> bool {
        let mut lines = text.lines();
        if lines.next() != Some(Self::TITLE) {
            return false;
        }
        for line in lines {
            if let Ok(Message::At { host, chain, checkpoint: Some(checkpoint) }) = Message::parse(line.as_bytes()) {
                let host = self.shared_name(host);
                self.insert(host, chain, checkpoint.to_owned());
            }
        }
        self.changed = false;
        true
    }
}

/// The part of a position that says which conditions are open: their keys, separated by `~`.
fn open_conditions(position: &str) -> &str {
    memchr(b'~', position.as_bytes()).map_or("", |at| &position[at + 1..])
}

fn total_bytes(batches: &BTreeMap<u64, Waiting>) -> usize {
    batches.values().map(|batch| batch.datagram.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::EventBatch;

    const LOG: ChainId = ChainId(5);

    fn host() -> Rc<str> {
        "h".into()
    }

    fn agent() -> SocketAddrV4 {
        SocketAddrV4::new([10, 0, 0, 1].into(), 1)
    }

    fn seq(epoch: u64, number: u64) -> Seq {
        Seq { epoch, number }
    }

    fn checkpoint(epoch: u64, number: u64, position: &str) -> Checkpoint<&str> {
        Checkpoint { seq: seq(epoch, number), unix: 1000 + number, position }
    }

    fn progress(number: u64, held: &[(u64, u64)]) -> Progress {
        Progress { chain: LOG, done: seq(1, number), held: held.to_vec() }
    }

    fn classify(chains: &Chains, epoch: u64, first: u64, last: u64) -> Arrival {
        chains.classify("h", LOG, seq(epoch, first), seq(epoch, last))
    }

    /// Chains, one of them at the start of epoch 1.
    fn begun() -> Chains {
        let mut chains = Chains::default();
        assert_eq!(chains.take(&host(), LOG, None, checkpoint(1, 0, "-")), TakeOutcome::Done);
        chains
    }

    fn accept(chains: &mut Chains, epoch: u64, number: u64, position: &str) {
        assert_eq!(chains.classify("h", LOG, seq(epoch, number), seq(epoch, number)), Arrival::InOrder);
        chains.accept(&host(), LOG, checkpoint(epoch, number, position), agent());
    }

    #[test]
    fn events_are_accepted_in_order() {
        let mut chains = begun();
        assert_eq!(classify(&chains, 1, 2, 2), Arrival::OutOfOrder);
        accept(&mut chains, 1, 1, "1.1.1");
        accept(&mut chains, 1, 2, "2.1.1");
        assert_eq!(chains.progress("h", LOG), None, "it is being written");
        assert_eq!(chains.handle_committed(Written::All), [(agent(), host(), LOG)]);
        assert_eq!(chains.progress("h", LOG), Some(progress(2, &[])));
        for (epoch, first, last, arrival) in [
            (1, 1, 1, Arrival::Duplicate),
            (1, 1, 2, Arrival::Duplicate),
            (1, 2, 3, Arrival::Overlapping),
            (1, 3, 9, Arrival::InOrder),
            (1, 4, 4, Arrival::OutOfOrder),
            (2, 1, 1, Arrival::OtherEpoch),
        ] {
            assert_eq!(classify(&chains, epoch, first, last), arrival, "{epoch}.{first}-{last}");
        }
        assert_eq!(chains.classify("h", ChainId(6), seq(1, 1), seq(1, 1)), Arrival::OtherEpoch);
        assert_eq!(chains.classify("other", LOG, seq(1, 1), seq(1, 1)), Arrival::OtherEpoch);
    }

    #[test]
    fn events_that_could_not_be_written_are_undone() {
        let mut chains = begun();
        accept(&mut chains, 1, 1, "1.1.1");
        chains.handle_committed(Written::All);
        chains.store("h", LOG, 4, 4, b"four");
        accept(&mut chains, 1, 2, "2.1.1");
        accept(&mut chains, 1, 3, "3.1.1");
        assert_eq!(chains.handle_committed(Written::Nothing), []);
        assert_eq!(chains.checkpoint("h", LOG), Some(checkpoint(1, 1, "1.1.1")));
        assert_eq!((chains.progress("h", LOG), chains.waiting_bytes), (Some(progress(1, &[])), 0));
        accept(&mut chains, 1, 2, "2.1.1");
    }

    #[test]
    fn an_event_that_is_out_of_order_waits_for_its_predecessor() {
        let mut chains = begun();
        chains.store("h", LOG, 3, 5, b"three");
        for (first, last) in [(3, 5), (4, 4), (5, 7)] {
            chains.store("h", LOG, first, last, b"again");
        }
        chains.store("h", LOG, 2, 2, b"two");
        chains.store("h", LOG, 9, 9, b"nine");
        assert_eq!(chains.progress("h", LOG), Some(progress(0, &[(2, 5), (9, 9)])));
        assert_eq!(chains.take_next("h", LOG), None);
        accept(&mut chains, 1, 1, "1.1.1");
        assert_eq!(chains.take_next("h", LOG).as_deref(), Some(&b"two"[..]));
        accept(&mut chains, 1, 2, "2.1.1");
        assert_eq!(chains.take_next("h", LOG).as_deref(), Some(&b"three"[..]));
        assert_eq!(chains.waiting_bytes, 4);
    }

    #[test]
    fn the_memory_of_waiting_events_is_bounded() {
        let mut chains = begun();
        let large = vec![0; 1 << 20];
        (2..100).for_each(|number| chains.store("h", LOG, number, number, &large));
        assert_eq!(chains.waiting_bytes, Chains::MAX_WAITING_BYTES);
        (0..1000).for_each(|number| chains.store("h", LOG, 2000 + 2 * number, 2000 + 2 * number, b""));
        assert_eq!(chains.chain("h", LOG).unwrap().out_of_order.len(), Chains::MAX_WAITING);
        assert_eq!(chains.progress("h", LOG).unwrap().held.len(), MAX_HELD);
        // A new epoch has other events.
        assert_eq!(chains.take(&host(), LOG, Some(seq(1, 0)), checkpoint(2, 0, "-")), TakeOutcome::Done);
        assert_eq!((chains.waiting_bytes, chains.take_next("h", LOG)), (0, None));
    }

    #[test]
    fn only_an_agent_that_knows_the_checkpoint_takes_the_chain() {
        let mut chains = begun();
        accept(&mut chains, 1, 1, "1.1.1");
        assert_eq!(chains.take(&host(), LOG, Some(seq(1, 1)), checkpoint(2, 0, "1.1.1")), TakeOutcome::Uncommitted);
        chains.handle_committed(Written::All);
        for from in [None, Some(seq(1, 0)), Some(seq(3, 1))] {
            assert_eq!(chains.take(&host(), LOG, from, checkpoint(2, 0, "9.9.9")), TakeOutcome::Mismatch, "{from:?}");
        }
        assert_eq!(chains.take(&host(), LOG, Some(seq(1, 1)), checkpoint(2, 0, "1.1.1")), TakeOutcome::Done);
        accept(&mut chains, 2, 1, "2.1.1");
        chains.handle_committed(Written::All);
        // A late repeat of the TAKE changes nothing, and neither does a late datagram of the previous epoch.
        assert_eq!(chains.take(&host(), LOG, Some(seq(1, 1)), checkpoint(2, 0, "1.1.1")), TakeOutcome::Done);
        assert_eq!(chains.take(&host(), LOG, Some(seq(1, 0)), checkpoint(1, 1, "1.1.1")), TakeOutcome::Mismatch);
        assert_eq!(chains.checkpoint("h", LOG), Some(checkpoint(2, 1, "2.1.1")));
        assert_eq!(classify(&chains, 1, 2, 2), Arrival::OtherEpoch);
    }

    #[test]
    fn lines_without_events_move_the_position() {
        let mut chains = begun();
        chains.store("h", LOG, 2, 2, b"two");
        assert_eq!(chains.take(&host(), LOG, Some(seq(1, 0)), checkpoint(1, 0, "7.7.7")), TakeOutcome::Done);
        assert_eq!(chains.checkpoint("h", LOG), Some(checkpoint(1, 0, "7.7.7")));
        assert_eq!(chains.progress("h", LOG), Some(progress(0, &[(2, 2)])));
        // A chain that the server does not know cannot be continued, only begun.
        assert_eq!(chains.take(&host(), ChainId(9), Some(seq(1, 4)), checkpoint(1, 4, "-")), TakeOutcome::Mismatch);
        assert_eq!(chains.take(&host(), ChainId(9), None, checkpoint(1, 4, "-")), TakeOutcome::Done);
        assert_eq!(chains.classify("h", ChainId(9), seq(1, 5), seq(1, 5)), Arrival::InOrder);
    }

    #[test]
    fn a_snapshot_and_the_events_after_it_restore_the_chains() {
        let mut chains = begun();
        accept(&mut chains, 1, 1, "1.1.1");
        chains.handle_committed(Written::All);
        let snapshot = chains.snapshot().unwrap();
        assert_eq!(chains.snapshot(), None, "nothing changed");
        let uid = |epoch, number, position| {
            let first = seq(epoch, number);
            let datagram = EventBatch::emit("h", LOG, first, position, "5%%T%%NULL%%f.\n=1%%x");
            let Ok(Message::Event(batch)) = Message::parse(&datagram) else { panic!("an event") };
            let mut at = String::new();
            batch.for_each(|word, _| at = word.split_once('@').unwrap().1.into());
            at
        };
        let mut restored = Chains::default();
        assert!(restored.restore(&snapshot));
        assert_eq!(restored.checkpoint("h", LOG), chains.checkpoint("h", LOG));
        assert_eq!(restored.snapshot(), None);
        for (uid, at) in [
            (uid(1, 1, "0.0.0"), checkpoint(1, 1, "1.1.1")),
            (String::new(), checkpoint(1, 1, "1.1.1")),
            (uid(1, 2, "2.1.1"), checkpoint(1, 2, "2.1.1")),
            (uid(2, 1, "3.1.1"), checkpoint(2, 1, "3.1.1")),
            ("000000".into(), checkpoint(2, 1, "3.1.1")),
            ("1795347336_9".into(), checkpoint(2, 1, "3.1.1")),
        ] {
            restored.replay("h", &uid, at.unix);
            assert_eq!(restored.checkpoint("h", LOG), Some(at), "{uid}");
        }
        assert!(!Chains::default().restore("something else\n"));
        restored.retain(|_| false);
        assert_eq!(restored.checkpoint("h", LOG), None);
    }

    #[test]
    fn the_least_recently_used_chain_makes_room() {
        let mut chains = begun();
        for number in 0..Chains::MAX_CHAINS as u64 {
            chains.take(&host(), ChainId(100 + number), None, checkpoint(1, 0, "-"));
            if number == 7 {
                chains.take(&host(), LOG, None, checkpoint(1, 0, "-"));
            }
        }
        assert_eq!(chains.hosts["h"].len(), Chains::MAX_CHAINS);
        assert!(chains.checkpoint("h", LOG).is_some());
        assert_eq!(chains.checkpoint("h", ChainId(100)), None);
    }
}
