//! How far each chain of this agent's events has come, as the server that is spoken with knows it: one chain for each log, and one for
//! all events that come from no log. Until a chain is agreed upon its events wait.

use crate::now::{Millis, Moment};
use crate::wire::position::Position;
use crate::wire::{ChainId, Checkpoint, Message, Seq, MAX_CHAINS_AT_ONCE};

pub(in crate::agent) struct Chains {
    host: String,
    run: u64,
    chains: Vec<Box<OpenChain>>,
    /// Datagrams that tell once how far logs were left that are not followed any more.
    left: Vec<Vec<u8>>,
    /// Whether a place changed since all were asked for, and whether one was begun.
    changed: Option<Change>,
}

/// How soon the places are to be kept, where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::agent) enum Change {
    /// Events were acknowledged.
    Advanced,
    /// A log was begun: that must be kept before an event of it is sent.
    Begun,
}

struct OpenChain {
    chain: ChainId,
    state: State,
    /// What the server has said of it, where that still matters: [`State::Known`], [`State::Taking`].
    said: Option<Checkpoint<Box<str>>>,
    /// Where its log was begun, or how far it is acknowledged; nothing until the log is opened.
    place: Option<Checkpoint<Box<str>>>,
    /// How far the log is read, if that is known and no event tells of it.
    read: Option<Position>,
    /// How many of its events wait, and the number that was given to one of them last.
    waiting: usize,
    numbered: u64,
    /// When the server is asked or told next, and how often that was in vain.
    due: Millis,
    tries: u32,
    /// When the position was last told without an event, and when it is to be told again.
    marked: Millis,
    mark: Millis,
}

/// What is known of the server's view of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing: it is to be asked.
    Unknown,
    /// What it has said, while the log is not opened yet.
    Known,
    /// The step that it has said; it is to be told that this run goes on with it.
    Taking,
    /// Both sides agree.
    Agreed,
}

/// What is known of where a log was left.
#[derive(Debug)]
pub(in crate::agent) enum Left {
    /// The server has not said yet.
    Unknown,
    /// It was never followed.
    Never,
    /// Its chain had come to that.
    At(Checkpoint<Box<str>>),
}

/// The message that a chain, which had come to `from`, goes on from there.
fn take(host: &str, chain: ChainId, from: Option<Seq>, to: Checkpoint<&str>) -> Vec<u8> {
    Message::Take { host, chain, from, to }.emit()
}

/// How long to wait for an answer to what was said before so often in vain.
pub(in crate::agent) fn backoff(tries: u32) -> Millis {
    const FIRST: u64 = 500;
    const LONGEST: u64 = 10_000;
    Millis::new(LONGEST.min(FIRST << tries.min(5)))
}

impl Chains {
    /// How often it is told how far a log is read that makes no events; at once where it is another file.
    const MARK_INTERVAL: Millis = Millis::from_secs(10 * 60);
    /// But then not more often than that.
    const SHORTEST_MARK_INTERVAL: Millis = Millis::from_secs(1);
    /// Or after so many bytes: they would be read again after a restart.
    const MARK_BYTES: u64 = 1 << 20;

    /// The chain of events that come from no log, and no other.
    pub(in crate::agent) fn new(now: &Moment, host: &str, run: u64) -> Self {
        let mut chains = Self { host: host.to_string(), run, chains: Vec::new(), left: Vec::new(), changed: None };
        chains.open(now, ChainId::NO_FILE, &Position::default());
        chains
    }

    fn index(&self, chain: ChainId) -> Option<usize> {
        self.chains.iter().position(|open| open.chain == chain)
    }

    fn get(&self, chain: ChainId) -> Option<&OpenChain> {
        self.index(chain).map(|at| &*self.chains[at])
    }

    fn get_mut(&mut self, chain: ChainId) -> Option<&mut OpenChain> {
        self.index(chain).map(|at| &mut *self.chains[at])
    }

    fn entry(&mut self, now: Millis, chain: ChainId) -> &mut OpenChain {
        let at = self.index(chain).unwrap_or(self.chains.len());
        if at == self.chains.len() {
            self.chains.push(Box::new(OpenChain {
                chain,
                state: State::Unknown,
                said: None,
                place: None,
                read: None,
                waiting: 0,
                numbered: 0,
                due: now,
                tries: 0,
                marked: now,
                mark: Millis::NEVER,
            }));
        }
        &mut self.chains[at]
    }

    /// Where a log was left; the server will be asked if that is not known.
    pub(in crate::agent) fn seek(&mut self, now: Millis, chain: ChainId) -> Left {
        let run = self.run;
        let open = self.entry(now, chain);
        if let Some(place) = &open.place {
            // It was followed by this run before. What was read then makes no second event.
            let mut left = Checkpoint { seq: Seq { epoch: run, number: open.numbered }, ..place.clone() };
            if let Some(read) = &open.read {
                left.position = read.to_string().into();
            }
            return Left::At(left);
        }
        match (open.state, &open.said) {
            (State::Known, None) => Left::Never,
            (State::Known, Some(checkpoint)) => Left::At(checkpoint.clone()),
            _ => Left::Unknown,
        }
    }

    /// A log is read from there on.
    pub(in crate::agent) fn open(&mut self, now: &Moment, chain: ChainId, position: &Position) {
        let run = self.run;
        let open = self.entry(now.mono, chain);
        open.read = Some(position.clone());
        if open.place.is_some() {
            return;
        }
        if open.state == State::Known {
            open.agree_upon(now.mono, State::Taking);
        }
        // Of the same run it is where it is when it was closed meanwhile.
        open.numbered = match &open.said {
            Some(said) if open.state == State::Taking && said.seq.epoch == run => said.seq.number,
            _ => 0,
        };
        let seq = Seq { epoch: run, number: open.numbered };
        open.place = Some(Checkpoint { seq, unix: now.unix, position: position.to_string().into() });
        self.changed = Some(Change::Begun);
    }

    /// A log is not followed any more, and if it is again, then from that position on. Returns whether no event of it waits, so that its
    /// chain is forgotten.
    pub(in crate::agent) fn close(&mut self, now: &Moment, chain: ChainId, position: &Position) -> bool {
        let Some(at) = self.index(chain) else { return true };
        if self.chains[at].waiting > 0 {
            return false;
        }
        let open = self.chains.swap_remove(at);
        if let (State::Agreed, Some(place)) = (open.state, &open.place) {
            let text = position.to_string();
            self.left.push(take(&self.host, chain, Some(place.seq), Checkpoint { seq: place.seq, unix: now.unix, position: &*text }));
        }
        true
    }

    /// Names this run from now on otherwise, because another server is spoken with: what the one before knows of the events that wait
    /// is of no use any more, and numbers begin anew. [`Self::start_over`] has to follow.
    pub(in crate::agent) fn rename_run(&mut self, run: u64) {
        self.run = run;
        for open in &mut self.chains {
            open.numbered = 0;
            if let Some(place) = &mut open.place {
                place.seq = Seq { epoch: run, number: 0 };
            }
        }
        self.changed = Some(Change::Begun);
    }

    /// What names this run.
    pub(in crate::agent) fn run(&self) -> u64 {
        self.run
    }

    /// An event was made.
    pub(in crate::agent) fn handle_waiting(&mut self, chain: ChainId) {
        if let Some(open) = self.get_mut(chain) {
            open.waiting += 1;
        }
    }

    /// The number of an event that is sent for the first time.
    pub(in crate::agent) fn next_number(&mut self, chain: ChainId) -> u64 {
        let Some(open) = self.get_mut(chain) else { return 0 };
        open.numbered += 1;
        open.numbered
    }

    /// Whether events of a chain may be sent.
    pub(in crate::agent) fn is_agreed(&self, chain: ChainId) -> bool {
        self.get(chain).is_some_and(|open| open.state == State::Agreed)
    }

    /// Whether both sides agree on a chain and all its events are acknowledged.
    pub(in crate::agent) fn is_settled(&self, chain: ChainId) -> bool {
        self.get(chain).is_some_and(OpenChain::is_told)
    }

    /// Whether the server has said that it knows nothing of a chain.
    pub(in crate::agent) fn is_unknown_to_server(&self, chain: ChainId) -> bool {
        self.get(chain).is_some_and(|open| matches!(open.state, State::Known | State::Taking) && open.said.is_none())
    }

    /// How far a log is read.
    pub(in crate::agent) fn read_position(&self, chain: ChainId) -> Option<&Position> {
        self.get(chain)?.read.as_ref()
    }

    /// There is a session that knows nothing yet of what was agreed upon before.
    pub(in crate::agent) fn start_over(&mut self, now: Millis) {
        for open in &mut self.chains {
            open.agree_upon(now, State::Unknown);
        }
    }

    /// The server says how far a chain has come. Returns the number up to which events are acknowledged by that.
    pub(in crate::agent) fn handle_at(&mut self, now: Millis, chain: ChainId, checkpoint: Option<Checkpoint<&str>>) -> Option<u64> {
        let run = self.run;
        let open = self.get_mut(chain)?;
        open.said = checkpoint.map(|checkpoint| checkpoint.to_owned());
        let seq = checkpoint.map(|checkpoint| checkpoint.seq).filter(|seq| seq.epoch == run);
        let (mut state, mut acknowledged) = (State::Taking, None);
        match (&mut open.place, seq) {
            (None, _) => state = State::Known,
            // This run had followed that log before, and counts on from there.
            (Some(place), Some(seq)) if seq.number > open.numbered => {
                open.numbered = seq.number;
                place.seq = seq;
            }
            // What was acknowledged has arrived, or more.
            (Some(place), Some(seq)) if seq.number >= place.seq.number => {
                (state, acknowledged) = (State::Agreed, Some(seq.number));
            }
            _ => {}
        }
        open.agree_upon(now, state);
        acknowledged
    }

    /// The server has all events of a chain up to that step. Returns whether that is a chain of this run.
    pub(in crate::agent) fn handle_done(&mut self, now: Millis, chain: ChainId, seq: Seq) -> bool {
        let run = self.run;
        let Some(open) = self.get_mut(chain).filter(|_| seq.epoch == run) else { return false };
        if open.state == State::Taking {
            open.agree_upon(now, State::Agreed);
        }
        true
    }

    /// An event is acknowledged: the log is done with up to its position, unless one before it still waits.
    pub(in crate::agent) fn handle_acknowledged(&mut self, chain: ChainId, number: Option<u64>, place: Option<(u64, &str)>) {
        let Some(open) = self.get_mut(chain) else { return };
        open.waiting -= 1;
        let mut advanced = false;
        if let (Some(acknowledged), Some((unix, position))) = (&mut open.place, place) {
            acknowledged.seq.number = number.unwrap_or(acknowledged.seq.number);
            acknowledged.unix = unix;
            acknowledged.position = position.into();
            advanced = true;
        }
        open.update_mark();
        if advanced {
            self.advance();
        }
    }

    fn advance(&mut self) {
        self.changed = self.changed.max(Some(Change::Advanced));
    }

    /// A log is read that far, without an event after the last.
    pub(in crate::agent) fn handle_read(&mut self, chain: ChainId, position: Position) {
        if let Some(open) = self.get_mut(chain).filter(|open| open.read.as_ref() != Some(&position)) {
            open.read = Some(position);
            open.update_mark();
        }
    }

    /// How far a chain is acknowledged, if its log is open.
    pub(in crate::agent) fn place(&self, chain: ChainId) -> Option<Checkpoint<&str>> {
        self.get(chain)?.place.as_ref().map(Checkpoint::borrowed)
    }

    /// All acknowledged positions, of which none has changed then.
    pub(in crate::agent) fn places(&mut self) -> impl Iterator<Item = (ChainId, Checkpoint<&str>)> {
        self.changed = None;
        self.chains.iter().filter_map(|open| open.place.as_ref().map(|place| (open.chain, place.borrowed())))
    }

    /// Whether one has changed since.
    pub(in crate::agent) fn change(&self) -> Option<Change> {
        self.changed
    }

    /// The datagrams that are due to agree upon chains, and those that tell how far logs are read of which no event tells; these may
    /// get lost: then a little is read twice after a restart. All count as sent.
    pub(in crate::agent) fn transmit(&mut self, now: &Moment) -> Vec<Vec<u8>> {
        let (host, mut datagrams) = (&*self.host, std::mem::take(&mut self.left));
        let mut asked: Vec<ChainId> = Vec::new();
        for open in &mut self.chains {
            if open.next_due() > now.mono {
                continue;
            }
            let mut from = open.said.as_ref().map(|said| said.seq);
            if open.state != State::Agreed {
                open.due = now.mono + backoff(open.tries);
                open.tries += 1;
            } else if let (Some(read), Some(place)) = (&open.read, &mut open.place) {
                (open.mark, open.marked) = (Millis::NEVER, now.mono);
                (place.position, place.unix) = (read.to_string().into(), now.unix);
                from = Some(place.seq);
                self.changed = self.changed.max(Some(Change::Advanced));
            }
            match &open.place {
                Some(place) if open.state != State::Unknown => datagrams.push(take(host, open.chain, from, place.borrowed())),
                _ => asked.push(open.chain),
            }
        }
        for chains in asked.chunks(MAX_CHAINS_AT_ONCE) {
            datagrams.push(Message::Seek { host, chains: chains.to_vec() }.emit());
        }
        datagrams
    }

    /// When there is something to be sent.
    pub(in crate::agent) fn next_deadline(&self) -> Millis {
        let mut next = Millis::NEVER;
        for open in &self.chains {
            next = next.min(open.next_due());
        }
        next
    }
}

impl OpenChain {
    fn agree_upon(&mut self, now: Millis, state: State) {
        (self.state, self.due, self.tries) = (state, now, 0);
    }

    /// When something is to be said of it: to agree upon it, or how far its log is read, where no event is on its way that tells that.
    fn next_due(&self) -> Millis {
        match self.state {
            State::Unknown | State::Taking => self.due,
            State::Agreed if self.waiting == 0 => self.mark,
            State::Known | State::Agreed => Millis::NEVER,
        }
    }

    /// Whether both sides agree and no event is on its way that tells how far the log is read.
    fn is_told(&self) -> bool {
        self.state == State::Agreed && self.waiting == 0
    }

    /// Finds out when it is to be told how far the log is read, unless an event tells it before.
    fn update_mark(&mut self) {
        self.mark = Millis::NEVER;
        let (Some(read), Some(place)) = (&self.read, &self.place) else { return };
        let Some(told) = Position::parse(&place.position) else { return };
        if told == *read {
            return;
        }
        let mut soon = told.files.len() != read.files.len();
        let mut bytes = 0;
        for (told, read) in told.files.iter().zip(&read.files) {
            soon |= told.inode != read.inode;
            bytes += read.offset.saturating_sub(told.offset);
        }
        soon |= bytes >= Chains::MARK_BYTES;
        self.mark = self.marked + if soon { Chains::SHORTEST_MARK_INTERVAL } else { Chains::MARK_INTERVAL };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::WeekMinute;

    const LOG: ChainId = ChainId(5);

    fn now() -> Moment {
        Moment { mono: Millis::from_secs(9), unix: 1_795_347_336, local: WeekMinute::new(0, 0, 0), second: 0 }
    }

    fn said(chains: &mut Chains) -> Vec<String> {
        chains.transmit(&now()).into_iter().map(|datagram| String::from_utf8(datagram).unwrap()).collect()
    }

    #[test]
    fn a_log_that_is_followed_again_counts_on() {
        let mut chains = Chains::new(&now(), "h", 7);
        chains.handle_at(now().mono, ChainId::NO_FILE, None);
        chains.handle_done(now().mono, ChainId::NO_FILE, Seq { epoch: 7, number: 0 });
        let position = Position::parse("1.1.1").unwrap();
        chains.open(&now(), LOG, &position);
        chains.handle_at(now().mono, LOG, None);
        chains.handle_done(now().mono, LOG, Seq { epoch: 7, number: 0 });
        chains.handle_waiting(LOG);
        assert_eq!(chains.next_number(LOG), 1);
        assert!(!chains.close(&now(), LOG, &Position::default()), "an event waits");
        chains.handle_acknowledged(LOG, Some(1), Some((now().unix, "1.1.1")));
        assert!(chains.close(&now(), LOG, &Position::default()));
        assert_eq!(said(&mut chains), ["TAKE%%h%%5%%7.1%%7.1%%1795347336%%-"]);

        // Another file has that name now, and is open before the server says how far the chain had come.
        chains.open(&now(), LOG, &position);
        assert_eq!(said(&mut chains), ["SEEK%%h%%5"]);
        let checkpoint = Checkpoint { seq: Seq { epoch: 7, number: 1 }, unix: 1, position: "-" };
        assert_eq!(chains.handle_at(now().mono, LOG, Some(checkpoint)), None);
        assert_eq!(said(&mut chains), ["TAKE%%h%%5%%7.1%%7.1%%1795347336%%1.1.1"]);
        chains.handle_done(now().mono, LOG, Seq { epoch: 7, number: 1 });
        assert!(chains.is_agreed(LOG));
        assert_eq!(chains.next_number(LOG), 2);
    }
}
