//! How far the chains of every host have come: what was accepted, whether that is in the stream yet, and what came before its
//! predecessor. An event is accepted only behind the one before, so that no position is ever kept past a hole.

use crate::wire::{ChainEvent, ChainId, Checkpoint, Message, Seq};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddrV4;
use std::rc::Rc;

#[derive(Default)]
pub(super) struct Chains {
    hosts: HashMap<Rc<str>, HashMap<ChainId, Progress>>,
    uncommitted: Vec<Uncommitted>,
    held_bytes: usize,
    /// Counts what was done, to tell which chain was not used for longest.
    uses: u64,
    changed: bool,
}

struct Progress {
    at: Checkpoint<Box<str>>,
    used: u64,
    /// Whether what it came to last is still to be written.
    uncommitted: bool,
    /// Datagrams of later events, by their numbers.
    sack: BTreeMap<u64, Box<[u8]>>,
}

/// A chain that goes back to where it was if what was accepted cannot be written.
struct Uncommitted {
    host: Rc<str>,
    chain: ChainId,
    before: Checkpoint<Box<str>>,
    to: SocketAddrV4,
}

/// What an event is to its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It comes next.
    Next,
    /// It was accepted before.
    Repeat,
    /// Its predecessor is missing.
    Ahead,
    /// The chain is another run's, or unknown.
    Elsewhere,
}

/// What came of a TAKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The chain has come to that step or beyond.
    Done,
    /// The chain is somewhere else.
    Elsewhere,
    /// What the chain has come to is being written: that cannot be said yet.
    Uncommitted,
}

impl Chains {
    /// Most chains of one host; the one that was not used for longest is forgotten.
    const MAX_CHAINS: usize = 2048;
    /// Most events of one chain that wait for a predecessor, as many as there are bits to tell of them …
    const MAX_HELD: u64 = 64;
    /// … and most bytes of all that wait.
    const MAX_HELD_BYTES: usize = 4 << 20;
    /// The first line of a snapshot.
    const TITLE: &'static str = "436 positions 1";

    fn progress(&self, host: &str, chain: ChainId) -> Option<&Progress> {
        self.hosts.get(host)?.get(&chain)
    }

    fn progress_mut(&mut self, host: &str, chain: ChainId) -> Option<&mut Progress> {
        self.hosts.get_mut(host)?.get_mut(&chain)
    }

    /// How far a chain has come.
    pub(super) fn checkpoint(&self, host: &str, chain: ChainId) -> Option<Checkpoint<&str>> {
        self.progress(host, chain).map(|progress| progress.at.borrowed())
    }

    /// Whether what a chain has come to is still to be written.
    pub(super) fn is_uncommitted(&self, host: &str, chain: ChainId) -> bool {
        self.progress(host, chain).is_some_and(|progress| progress.uncommitted)
    }

    /// The step up to which all is in the stream, and which events behind it wait; nothing while that is being written.
    pub(super) fn done(&self, host: &str, chain: ChainId) -> Option<(Seq, u64)> {
        let progress = self.progress(host, chain).filter(|progress| !progress.uncommitted)?;
        let seq = progress.at.seq;
        let sack = progress.sack.keys().fold(0, |bits, number| bits | 1u64.checked_shl(bit(seq.number, *number)).unwrap_or(0));
        Some((seq, sack))
    }

    /// A run goes on with a chain that had come to `from`.
    pub(super) fn take(&mut self, host: &Rc<str>, chain: ChainId, from: Option<Seq>, to: Checkpoint<&str>) -> Taken {
        self.uses += 1;
        let uses = self.uses;
        let Some(progress) = self.progress_mut(host, chain) else {
            if from.is_some() {
                return Taken::Elsewhere;
            }
            self.insert(host.clone(), chain, to.to_owned());
            return Taken::Done;
        };
        progress.used = uses;
        let seq = progress.at.seq;
        if progress.uncommitted {
            return Taken::Uncommitted;
        }
        if from != Some(seq) {
            let repeated = seq.epoch == to.seq.epoch && seq.number >= to.seq.number;
            return if repeated { Taken::Done } else { Taken::Elsewhere };
        }
        progress.at = to.to_owned();
        let sack = std::mem::take(&mut progress.sack);
        if seq == to.seq {
            // The same run has only read on: what waits still does.
            progress.sack = sack;
        } else {
            self.held_bytes -= sack.values().map(|datagram| datagram.len()).sum::<usize>();
        }
        self.changed = true;
        Taken::Done
    }

    fn insert(&mut self, host: Rc<str>, chain: ChainId, at: Checkpoint<Box<str>>) {
        self.uses += 1;
        let chains = self.hosts.entry(host).or_default();
        if chains.len() >= Self::MAX_CHAINS && !chains.contains_key(&chain) {
            let oldest = chains.iter().filter(|(_, progress)| !progress.uncommitted).min_by_key(|(_, progress)| progress.used);
            if let Some(Progress { sack, .. }) = oldest.map(|(chain, _)| *chain).and_then(|oldest| chains.remove(&oldest)) {
                self.held_bytes -= sack.values().map(|datagram| datagram.len()).sum::<usize>();
            }
        }
        chains.insert(chain, Progress { at, used: self.uses, uncommitted: false, sack: BTreeMap::new() });
        self.changed = true;
    }

    /// What an event is to its chain.
    pub(super) fn classify(&self, host: &str, chain: ChainId, seq: Seq) -> Verdict {
        match self.progress(host, chain).map(|progress| progress.at.seq) {
            Some(at) if at.epoch != seq.epoch => Verdict::Elsewhere,
            Some(at) if seq.number <= at.number => Verdict::Repeat,
            Some(at) if seq.number == at.number + 1 => Verdict::Next,
            Some(_) => Verdict::Ahead,
            None => Verdict::Elsewhere,
        }
    }

    /// The event that comes next has been given to the stream. Whoever sent it is to be told once it is written.
    pub(super) fn accept(&mut self, host: &Rc<str>, chain: ChainId, checkpoint: Checkpoint<&str>, to: SocketAddrV4) {
        self.uses += 1;
        let uses = self.uses;
        let Some(progress) = self.progress_mut(host, chain) else { return };
        let before = std::mem::replace(&mut progress.at, checkpoint.to_owned());
        progress.used = uses;
        if !std::mem::replace(&mut progress.uncommitted, true) {
            self.uncommitted.push(Uncommitted { host: host.clone(), chain, before, to });
        }
        self.changed = true;
    }

    /// Keeps an event until its predecessor comes, if there is room.
    pub(super) fn hold(&mut self, host: &str, chain: ChainId, number: u64, datagram: &[u8]) {
        let room = Self::MAX_HELD_BYTES - self.held_bytes;
        let Some(progress) = self.progress_mut(host, chain) else { return };
        let known = bit(progress.at.seq.number, number) >= 64 || progress.sack.contains_key(&number);
        if !known && datagram.len() <= room && (progress.sack.len() as u64) < Self::MAX_HELD {
            progress.sack.insert(number, datagram.into());
            self.held_bytes += datagram.len();
        }
    }

    /// The event that waited for the one that was accepted last.
    pub(super) fn next_held(&mut self, host: &str, chain: ChainId) -> Option<Box<[u8]>> {
        let progress = self.progress_mut(host, chain)?;
        let number = progress.at.seq.number + 1;
        let datagram = progress.sack.remove(&number)?;
        self.held_bytes -= datagram.len();
        Some(datagram)
    }

    /// Whether all that was accepted is in the stream now, or none of it. Returns who is to be told of which chain.
    pub(super) fn handle_committed(&mut self, written: bool) -> Vec<(SocketAddrV4, Rc<str>, ChainId)> {
        let mut told = Vec::new();
        for Uncommitted { host, chain, before, to } in std::mem::take(&mut self.uncommitted) {
            let Some(progress) = self.progress_mut(&host, chain) else { continue };
            progress.uncommitted = false;
            if written {
                told.push((to, host, chain));
                continue;
            }
            progress.at = before;
            // They would have to be accepted anew one by one: their agent sends them again.
            let sack = std::mem::take(&mut progress.sack);
            self.held_bytes -= sack.values().map(|datagram| datagram.len()).sum::<usize>();
        }
        told
    }

    /// An event with that uid stands in the stream, behind all that were told of before.
    pub(super) fn replay(&mut self, host: &str, uid: &str) {
        let Some((chain, checkpoint)) = ChainEvent::parse_uid(uid) else { return };
        let known = self.progress(host, chain).map(|progress| progress.at.seq);
        if known.is_some_and(|seq| seq.epoch == checkpoint.seq.epoch && seq.number >= checkpoint.seq.number) {
            return;
        }
        let host = self.hosts.get_key_value(host).map_or_else(|| host.into(), |(host, _)| host.clone());
        self.insert(host, chain, checkpoint.to_owned());
    }

    /// Forgets the hosts of which that does not hold.
    pub(super) fn retain(&mut self, mut holds: impl FnMut(&str) -> bool) {
        self.hosts.retain(|host, _| holds(host));
    }

    /// A text from which [`Self::restore`] has all of this again, if anything changed since the last. Only for what is written: not
    /// between [`Self::accept`] and [`Self::handle_committed`].
    pub(super) fn snapshot(&mut self) -> Option<String> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let mut text = format!("{}\n", Self::TITLE);
        for (host, chains) in &self.hosts {
            for (chain, progress) in chains {
                Message::At { host, chain: *chain, checkpoint: Some(progress.at.borrowed()) }.emit_into(&mut text);
                text.push('\n');
            }
        }
        Some(text)
    }

    /// The snapshot could not be kept, so that the next one is due whatever happens.
    pub(super) fn handle_snapshot_lost(&mut self) {
        self.changed = true;
    }

    /// Takes over what a snapshot says. Returns whether it is one.
    pub(super) fn restore(&mut self, text: &str) -> bool {
        let mut lines = text.lines();
        if lines.next() != Some(Self::TITLE) {
            return false;
        }
        for line in lines {
            if let Ok(Message::At { host, chain, checkpoint: Some(checkpoint) }) = Message::parse(line.as_bytes()) {
                let host = self.hosts.get_key_value(host).map_or_else(|| host.into(), |(host, _)| host.clone());
                self.insert(host, chain, checkpoint.to_owned());
            }
        }
        self.changed = false;
        true
    }
}

/// Which bit tells of an event behind a number; beyond the last where it is none of the next.
fn bit(done: u64, number: u64) -> u32 {
    number.checked_sub(done + 1).and_then(|bit| u32::try_from(bit).ok()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: ChainId = ChainId(5);

    fn host() -> Rc<str> {
        "h".into()
    }

    fn agent() -> SocketAddrV4 {
        SocketAddrV4::new([10, 0, 0, 1].into(), 1)
    }

    fn seq(run: u64, number: u64) -> Seq {
        Seq { epoch: run, number }
    }

    fn checkpoint(run: u64, number: u64, position: &str) -> Checkpoint<&str> {
        Checkpoint { seq: seq(run, number), unix: 1000 + number, position }
    }

    /// Chains of which one was begun by run 1.
    fn begun() -> Chains {
        let mut chains = Chains::default();
        assert_eq!(chains.take(&host(), LOG, None, checkpoint(1, 0, "-")), Taken::Done);
        chains
    }

    fn accept(chains: &mut Chains, run: u64, number: u64, position: &str) {
        assert_eq!(chains.classify("h", LOG, seq(run, number)), Verdict::Next);
        chains.accept(&host(), LOG, checkpoint(run, number, position), agent());
    }

    #[test]
    fn events_are_accepted_one_behind_the_other() {
        let mut chains = begun();
        assert_eq!(chains.classify("h", LOG, seq(1, 2)), Verdict::Ahead);
        accept(&mut chains, 1, 1, "1.1.1");
        accept(&mut chains, 1, 2, "2.1.1");
        assert_eq!(chains.done("h", LOG), None, "it is being written");
        assert_eq!(chains.handle_committed(true), [(agent(), host(), LOG)]);
        assert_eq!(chains.done("h", LOG), Some((seq(1, 2), 0)));
        for (run, number, verdict) in [(1, 1, Verdict::Repeat), (1, 2, Verdict::Repeat), (1, 4, Verdict::Ahead), (2, 1, Verdict::Elsewhere)]
        {
            assert_eq!(chains.classify("h", LOG, seq(run, number)), verdict, "{run}.{number}");
        }
        assert_eq!(chains.classify("h", ChainId(6), seq(1, 1)), Verdict::Elsewhere);
        assert_eq!(chains.classify("other", LOG, seq(1, 1)), Verdict::Elsewhere);
    }

    #[test]
    fn what_could_not_be_written_is_as_if_it_never_came() {
        let mut chains = begun();
        accept(&mut chains, 1, 1, "1.1.1");
        chains.handle_committed(true);
        chains.hold("h", LOG, 4, b"four");
        accept(&mut chains, 1, 2, "2.1.1");
        accept(&mut chains, 1, 3, "3.1.1");
        assert_eq!(chains.handle_committed(false), []);
        assert_eq!(chains.checkpoint("h", LOG), Some(checkpoint(1, 1, "1.1.1")));
        assert_eq!((chains.done("h", LOG), chains.held_bytes), (Some((seq(1, 1), 0)), 0));
        accept(&mut chains, 1, 2, "2.1.1");
    }

    #[test]
    fn an_early_event_waits_for_its_predecessor() {
        let mut chains = begun();
        chains.hold("h", LOG, 3, b"three");
        chains.hold("h", LOG, 3, b"three");
        chains.hold("h", LOG, 2, b"two");
        chains.hold("h", LOG, 66, b"too early");
        assert_eq!(chains.done("h", LOG), Some((seq(1, 0), 0b110)));
        assert_eq!(chains.next_held("h", LOG), None);
        accept(&mut chains, 1, 1, "1.1.1");
        assert_eq!(chains.next_held("h", LOG).as_deref(), Some(&b"two"[..]));
        accept(&mut chains, 1, 2, "2.1.1");
        assert_eq!(chains.next_held("h", LOG).as_deref(), Some(&b"three"[..]));
        assert_eq!(chains.held_bytes, 0);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut chains = begun();
        let large = vec![0; 1 << 20];
        (2..100).for_each(|number| chains.hold("h", LOG, number, &large));
        assert_eq!(chains.held_bytes, Chains::MAX_HELD_BYTES);
        // Another run has other events.
        assert_eq!(chains.take(&host(), LOG, Some(seq(1, 0)), checkpoint(2, 0, "-")), Taken::Done);
        assert_eq!((chains.held_bytes, chains.next_held("h", LOG)), (0, None));
    }

    #[test]
    fn a_chain_goes_to_who_knows_where_it_stands() {
        let mut chains = begun();
        accept(&mut chains, 1, 1, "1.1.1");
        assert_eq!(chains.take(&host(), LOG, Some(seq(1, 1)), checkpoint(2, 0, "1.1.1")), Taken::Uncommitted);
        chains.handle_committed(true);
        for from in [None, Some(seq(1, 0)), Some(seq(3, 1))] {
            assert_eq!(chains.take(&host(), LOG, from, checkpoint(2, 0, "9.9.9")), Taken::Elsewhere, "{from:?}");
        }
        assert_eq!(chains.take(&host(), LOG, Some(seq(1, 1)), checkpoint(2, 0, "1.1.1")), Taken::Done);
        accept(&mut chains, 2, 1, "2.1.1");
        chains.handle_committed(true);
        // A repeat of the TAKE, late, changes nothing; nor does what the run before has still to say.
        assert_eq!(chains.take(&host(), LOG, Some(seq(1, 1)), checkpoint(2, 0, "1.1.1")), Taken::Done);
        assert_eq!(chains.take(&host(), LOG, Some(seq(1, 0)), checkpoint(1, 1, "1.1.1")), Taken::Elsewhere);
        assert_eq!(chains.checkpoint("h", LOG), Some(checkpoint(2, 1, "2.1.1")));
        assert_eq!(chains.classify("h", LOG, seq(1, 2)), Verdict::Elsewhere);
    }

    #[test]
    fn lines_without_events_move_the_position() {
        let mut chains = begun();
        chains.hold("h", LOG, 2, b"two");
        assert_eq!(chains.take(&host(), LOG, Some(seq(1, 0)), checkpoint(1, 0, "7.7.7")), Taken::Done);
        assert_eq!(chains.checkpoint("h", LOG), Some(checkpoint(1, 0, "7.7.7")));
        assert_eq!(chains.done("h", LOG), Some((seq(1, 0), 0b10)));
        // A chain of which this server knows nothing is not taken over from where it stands.
        assert_eq!(chains.take(&host(), ChainId(9), Some(seq(1, 4)), checkpoint(1, 4, "-")), Taken::Elsewhere);
        assert_eq!(chains.take(&host(), ChainId(9), None, checkpoint(1, 4, "-")), Taken::Done);
        assert_eq!(chains.classify("h", ChainId(9), seq(1, 5)), Verdict::Next);
    }

    #[test]
    fn a_snapshot_and_the_stream_behind_it_make_the_same_state() {
        let mut chains = begun();
        accept(&mut chains, 1, 1, "1.1.1");
        chains.handle_committed(true);
        let snapshot = chains.snapshot().unwrap();
        assert_eq!(chains.snapshot(), None, "nothing changed");
        let uid = |run, number, position| {
            let event =
                ChainEvent { chain: LOG, checkpoint: checkpoint(run, number, position), host: "h", tags: "T", file: None, text: "" };
            event.uid()
        };
        let mut restored = Chains::default();
        assert!(restored.restore(&snapshot));
        assert_eq!(restored.checkpoint("h", LOG), chains.checkpoint("h", LOG));
        assert_eq!(restored.snapshot(), None);
        for (uid, at) in [
            (uid(1, 1, "0.0.0"), checkpoint(1, 1, "1.1.1")),
            (uid(1, 2, "2.1.1"), checkpoint(1, 2, "2.1.1")),
            (uid(2, 1, "3.1.1"), checkpoint(2, 1, "3.1.1")),
            ("000000".into(), checkpoint(2, 1, "3.1.1")),
            ("1795347336_9".into(), checkpoint(2, 1, "3.1.1")),
        ] {
            restored.replay("h", &uid);
            assert_eq!(restored.checkpoint("h", LOG), Some(at), "{uid}");
        }
        assert!(!Chains::default().restore("something else\n"));
        restored.retain(|_| false);
        assert_eq!(restored.checkpoint("h", LOG), None);
    }

    #[test]
    fn the_chain_that_was_not_used_for_longest_makes_room() {
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
