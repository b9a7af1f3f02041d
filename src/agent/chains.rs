//! How far each chain of this agent's events has come, as the server that is spoken with knows it: one chain for each log, and one for
//! all events that come from no log. Until a chain is agreed upon its events wait.

use crate::now::{earlier, Now};
use crate::position::Position;
use crate::wire::{Chain, Message, Reached, Step, MAX_CHAINS_AT_ONCE};
use std::time::Duration;

pub(super) struct Chains {
    run: u64,
    chains: Vec<OpenChain>,
    /// How far logs were left that are not followed any more, to be told once.
    left: Vec<(Chain, OwnedReached)>,
    /// Whether a place changed since all were asked for, and whether one was begun.
    changed: Option<Change>,
}

/// How soon the places are to be kept, where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// Events were acknowledged.
    Advanced,
    /// A log was begun: that must be kept before an event of it is sent.
    Begun,
}

struct OpenChain {
    chain: Chain,
    state: State,
    /// Where its log was begun, or how far it is acknowledged; nothing until the log is opened.
    place: Option<OwnedReached>,
    /// How far the log is read, if that is known and no event tells of it.
    read: Option<Position>,
    /// How many of its events wait, and the number that was given to one of them last.
    waiting: usize,
    numbered: u64,
    /// When the server is asked or told next, and how often that was in vain.
    due: Duration,
    tries: u32,
    /// When the position was last told without an event, and when it is to be told again.
    marked: Duration,
    mark: Option<Duration>,
}

/// What is known of the server's view of a chain.
#[derive(Clone, Debug)]
enum State {
    /// Nothing: it is to be asked.
    Unknown,
    /// That, while the log is not opened yet.
    Known(Option<OwnedReached>),
    /// That it had come to this step; it is to be told that this run goes on with it.
    Taking(Option<Step>),
    /// Both sides agree.
    Agreed,
}

/// A [`Reached`] of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnedReached {
    pub(super) step: Step,
    pub(super) unix: u64,
    pub(super) position: String,
}

/// What is known of where a log was left.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// The server has not said yet.
    Unknown,
    /// It was never followed.
    Never,
    /// Its chain had come to that.
    At(OwnedReached),
}

impl Left {
    /// How far it was read, if that is known.
    pub(super) fn position(&self) -> Option<Position> {
        match self {
            Self::At(reached) => Position::parse(&reached.position),
            _ => None,
        }
    }
}

impl OwnedReached {
    pub(super) fn of(reached: Reached<'_>) -> Self {
        Self { step: reached.step, unix: reached.unix, position: reached.position.to_string() }
    }

    pub(super) fn reached(&self) -> Reached<'_> {
        Reached { step: self.step, unix: self.unix, position: &self.position }
    }
}

impl Chains {
    const FIRST_REPEAT: Duration = Duration::from_millis(500);
    const LONGEST_REPEAT: Duration = Duration::from_secs(10);
    /// How often it is told how far a log is read that makes no events; at once where it is another file.
    const MARK_INTERVAL: Duration = Duration::from_secs(10 * 60);
    /// But then not more often than that.
    const SHORTEST_MARK_INTERVAL: Duration = Duration::from_secs(1);
    /// Or after so many bytes: they would be read again after a restart.
    const MARK_BYTES: u64 = 1 << 20;

    /// The chain of events that come from no log, and no other.
    pub(super) fn new(now: Now, run: u64) -> Self {
        let mut chains = Self { run, chains: Vec::new(), left: Vec::new(), changed: None };
        chains.open(now, Chain::NO_FILE, &Position::default());
        chains
    }

    fn get(&self, chain: Chain) -> Option<&OpenChain> {
        self.chains.iter().find(|open| open.chain == chain)
    }

    fn get_mut(&mut self, chain: Chain) -> Option<&mut OpenChain> {
        self.chains.iter_mut().find(|open| open.chain == chain)
    }

    fn entry(&mut self, now: Now, chain: Chain) -> &mut OpenChain {
        let at = self.chains.iter().position(|open| open.chain == chain).unwrap_or_else(|| {
            let state = State::Unknown;
            let open = OpenChain {
                chain,
                state,
                place: None,
                read: None,
                waiting: 0,
                numbered: 0,
                due: now.mono,
                tries: 0,
                marked: now.mono,
                mark: None,
            };
            self.chains.push(open);
            self.chains.len() - 1
        });
        &mut self.chains[at]
    }

    /// Where a log was left; the server will be asked if that is not known.
    pub(super) fn seek(&mut self, now: Now, chain: Chain) -> Left {
        let run = self.run;
        let open = self.entry(now, chain);
        if let Some(place) = &open.place {
            // It was followed by this run before. What was read then makes no second event.
            let position = open.read.as_ref().map_or_else(|| place.position.clone(), Position::to_string);
            return Left::At(OwnedReached { step: Step { run, number: open.numbered }, unix: place.unix, position });
        }
        match &open.state {
            State::Known(None) => Left::Never,
            State::Known(Some(reached)) => Left::At(reached.clone()),
            _ => Left::Unknown,
        }
    }

    /// A log is read from there on.
    pub(super) fn open(&mut self, now: Now, chain: Chain, position: &Position) {
        let run = self.run;
        let open = self.entry(now, chain);
        open.read = Some(position.clone());
        if open.place.is_some() {
            return;
        }
        // Of the same run it is where it is when it was closed meanwhile.
        let known = match &open.state {
            State::Known(known) => known.as_ref().map(|known| known.step),
            _ => None,
        };
        let number = known.filter(|step| step.run == run).map_or(0, |step| step.number);
        open.numbered = number;
        open.place = Some(OwnedReached { step: Step { run, number }, unix: now.unix, position: position.to_string() });
        if matches!(open.state, State::Known(_)) {
            open.agree_upon(now.mono, State::Taking(known));
        }
        self.changed = Some(Change::Begun);
    }

    /// A log is not followed any more, and if it is again, then from that position on. Returns whether no event of it waits, so that its
    /// chain is forgotten.
    pub(super) fn close(&mut self, now: Now, chain: Chain, position: &Position) -> bool {
        let Some(at) = self.chains.iter().position(|open| open.chain == chain) else { return true };
        if self.chains[at].waiting > 0 {
            return false;
        }
        let open = self.chains.swap_remove(at);
        if let (State::Agreed, Some(place)) = (open.state, open.place) {
            self.left.push((chain, OwnedReached { step: place.step, unix: now.unix, position: position.to_string() }));
        }
        true
    }

    /// Names this run from now on otherwise, because another server is spoken with: what the one before knows of the events that wait
    /// is of no use any more, and numbers begin anew.
    pub(super) fn rename_run(&mut self, now: Duration, run: u64) {
        self.run = run;
        for open in &mut self.chains {
            open.numbered = 0;
            open.place.iter_mut().for_each(|place| place.step = Step { run, number: 0 });
            open.agree_upon(now, State::Unknown);
        }
        self.changed = Some(Change::Begun);
    }

    /// What names this run.
    pub(super) fn run(&self) -> u64 {
        self.run
    }

    /// An event was made.
    pub(super) fn handle_waiting(&mut self, chain: Chain) {
        self.get_mut(chain).into_iter().for_each(|open| open.waiting += 1);
    }

    /// The number of an event that is sent for the first time.
    pub(super) fn next_number(&mut self, chain: Chain) -> u64 {
        self.get_mut(chain).map_or(0, |open| {
            open.numbered += 1;
            open.numbered
        })
    }

    /// Whether events of a chain may be sent.
    pub(super) fn is_agreed(&self, chain: Chain) -> bool {
        self.get(chain).is_some_and(|open| matches!(open.state, State::Agreed))
    }

    /// Whether both sides agree on a chain and all its events are acknowledged.
    pub(super) fn is_settled(&self, chain: Chain) -> bool {
        self.get(chain).is_some_and(OpenChain::is_told)
    }

    /// Whether the server has said that it knows nothing of a chain.
    pub(super) fn is_unknown_to_server(&self, chain: Chain) -> bool {
        self.get(chain).is_some_and(|open| matches!(open.state, State::Known(None) | State::Taking(None)))
    }

    /// How far a log is read.
    pub(super) fn read_position(&self, chain: Chain) -> Option<&Position> {
        self.get(chain)?.read.as_ref()
    }

    /// There is a session that knows nothing yet of what was agreed upon before.
    pub(super) fn start_over(&mut self, now: Duration) {
        self.chains.iter_mut().for_each(|open| open.agree_upon(now, State::Unknown));
    }

    /// The server says how far a chain has come. Returns the number up to which events are acknowledged by that.
    pub(super) fn handle_at(&mut self, now: Duration, chain: Chain, reached: Option<Reached<'_>>) -> Option<u64> {
        let run = self.run;
        let open = self.get_mut(chain)?;
        let Some(place) = &open.place else {
            open.agree_upon(now, State::Known(reached.map(OwnedReached::of)));
            return None;
        };
        let place = place.clone();
        match reached.map(|reached| reached.step) {
            // This run had followed that log before, and counts on from there.
            Some(step) if step.run == run && step.number > open.numbered => {
                open.numbered = step.number;
                open.place = Some(OwnedReached { step, ..place });
                open.agree_upon(now, State::Taking(Some(step)));
                None
            }
            // What was acknowledged has arrived, or more.
            Some(step) if step.run == run && step.number >= place.step.number => {
                open.agree_upon(now, State::Agreed);
                Some(step.number)
            }
            step => {
                open.agree_upon(now, State::Taking(step));
                None
            }
        }
    }

    /// The server has all events of a chain up to that step. Returns whether that is a chain of this run.
    pub(super) fn handle_done(&mut self, now: Duration, chain: Chain, step: Step) -> bool {
        let run = self.run;
        let Some(open) = self.get_mut(chain).filter(|_| step.run == run) else { return false };
        if matches!(open.state, State::Taking(_)) {
            open.agree_upon(now, State::Agreed);
        }
        true
    }

    /// An event is acknowledged: the log is done with up to its position, unless one before it still waits.
    pub(super) fn handle_acknowledged(&mut self, chain: Chain, number: Option<u64>, place: Option<(u64, &str)>) {
        let Some(open) = self.get_mut(chain) else { return };
        open.waiting -= 1;
        if let (Some(acknowledged), Some((unix, position))) = (&mut open.place, place) {
            acknowledged.step.number = number.unwrap_or(acknowledged.step.number);
            acknowledged.unix = unix;
            position.clone_into(&mut acknowledged.position);
            self.changed = self.changed.max(Some(Change::Advanced));
        }
        self.update_mark(chain);
    }

    fn update_mark(&mut self, chain: Chain) {
        if let Some(open) = self.get_mut(chain) {
            open.mark = open.mark_due();
        }
    }

    /// A log is read that far, without an event after the last.
    pub(super) fn handle_read(&mut self, chain: Chain, position: Position) {
        if let Some(open) = self.get_mut(chain).filter(|open| open.read.as_ref() != Some(&position)) {
            open.read = Some(position);
            self.update_mark(chain);
        }
    }

    /// All acknowledged positions, of which none has changed then.
    pub(super) fn places(&mut self) -> impl Iterator<Item = (Chain, Reached<'_>)> {
        self.changed = None;
        self.chains.iter().filter_map(|open| open.place.as_ref().map(|place| (open.chain, place.reached())))
    }

    /// Whether one has changed since.
    pub(super) fn change(&self) -> Option<Change> {
        self.changed
    }

    /// The datagrams that are due to agree upon chains. They count as sent.
    pub(super) fn transmit(&mut self, now: Now, host: &str, mut send: impl FnMut(Vec<u8>)) {
        let mut asked: Vec<Chain> = Vec::new();
        for open in self.chains.iter_mut().filter(|open| open.due <= now.mono) {
            match (&open.state, &open.place) {
                (State::Unknown, _) => asked.push(open.chain),
                (State::Taking(from), Some(place)) => {
                    send(Message::Take { host, chain: open.chain, from: *from, to: place.reached() }.emit());
                }
                _ => continue,
            }
            open.due = now.mono + Self::LONGEST_REPEAT.min(Self::FIRST_REPEAT * 2u32.pow(open.tries.min(5)));
            open.tries += 1;
        }
        for chains in asked.chunks(MAX_CHAINS_AT_ONCE) {
            send(Message::Seek { host, chains: chains.to_vec() }.emit());
        }
    }

    /// Tells how far logs are read of which no event tells. These datagrams may get lost: then a little is read twice after a restart.
    pub(super) fn transmit_marks(&mut self, now: Now, host: &str, mut send: impl FnMut(Vec<u8>)) {
        for (chain, place) in self.left.drain(..) {
            send(Message::Take { host, chain, from: Some(place.step), to: place.reached() }.emit());
        }
        for open in &mut self.chains {
            let due = open.mark.is_some_and(|due| due <= now.mono) && open.is_told();
            let (Some(read), Some(place)) = (&open.read, open.place.as_mut().filter(|_| due)) else { continue };
            open.mark = None;
            (place.position, place.unix, open.marked) = (read.to_string(), now.unix, now.mono);
            self.changed = self.changed.max(Some(Change::Advanced));
            send(Message::Take { host, chain: open.chain, from: Some(place.step), to: place.reached() }.emit());
        }
    }

    /// When there is something to be sent.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.chains.iter().map(|open| earlier(open.agreement_due(), open.mark.filter(|_| open.is_told()))).fold(None, earlier)
    }
}

impl OpenChain {
    fn agree_upon(&mut self, now: Duration, state: State) {
        (self.state, self.due, self.tries) = (state, now, 0);
    }

    fn agreement_due(&self) -> Option<Duration> {
        match self.state {
            State::Unknown | State::Taking(_) => Some(self.due),
            State::Known(_) | State::Agreed => None,
        }
    }

    /// Whether both sides agree and no event is on its way that tells how far the log is read.
    fn is_told(&self) -> bool {
        matches!(self.state, State::Agreed) && self.waiting == 0
    }

    /// When it is to be told how far the log is read, unless an event tells it before.
    fn mark_due(&self) -> Option<Duration> {
        let (read, place) = (self.read.as_ref()?, self.place.as_ref()?);
        let told = Position::parse(&place.position).filter(|told| told != read)?;
        let same_files = told.files.len() == read.files.len() && told.files.iter().zip(&read.files).all(|(a, b)| a.inode == b.inode);
        let bytes: u64 = told.files.iter().zip(&read.files).map(|(told, read)| read.offset.saturating_sub(told.offset)).sum();
        let soon = !same_files || bytes >= Chains::MARK_BYTES;
        Some(self.marked + if soon { Chains::SHORTEST_MARK_INTERVAL } else { Chains::MARK_INTERVAL })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::WeekMinute;

    const LOG: Chain = Chain(5);

    fn now() -> Now {
        Now { mono: Duration::from_secs(9), unix: 1_795_347_336, local: WeekMinute::new(0, 0, 0), second: 0 }
    }

    fn said(chains: &mut Chains) -> Vec<String> {
        let mut said = Vec::new();
        chains.transmit(now(), "h", |datagram| said.push(String::from_utf8(datagram).unwrap()));
        chains.transmit_marks(now(), "h", |datagram| said.push(String::from_utf8(datagram).unwrap()));
        said
    }

    #[test]
    fn a_log_that_is_followed_again_counts_on() {
        let mut chains = Chains::new(now(), 7);
        chains.handle_at(now().mono, Chain::NO_FILE, None);
        chains.handle_done(now().mono, Chain::NO_FILE, Step { run: 7, number: 0 });
        let position = Position::parse("1.1.1").unwrap();
        chains.open(now(), LOG, &position);
        chains.handle_at(now().mono, LOG, None);
        chains.handle_done(now().mono, LOG, Step { run: 7, number: 0 });
        chains.handle_waiting(LOG);
        assert_eq!(chains.next_number(LOG), 1);
        assert!(!chains.close(now(), LOG, &Position::default()), "an event waits");
        chains.handle_acknowledged(LOG, Some(1), Some((now().unix, "1.1.1")));
        assert!(chains.close(now(), LOG, &Position::default()));
        assert_eq!(said(&mut chains), ["TAKE%%h%%5%%7.1%%7.1%%1795347336%%-"]);

        // Another file has that name now, and is open before the server says how far the chain had come.
        chains.open(now(), LOG, &position);
        assert_eq!(said(&mut chains), ["SEEK%%h%%5"]);
        let reached = Reached { step: Step { run: 7, number: 1 }, unix: 1, position: "-" };
        assert_eq!(chains.handle_at(now().mono, LOG, Some(reached)), None);
        assert_eq!(said(&mut chains), ["TAKE%%h%%5%%7.1%%7.1%%1795347336%%1.1.1"]);
        chains.handle_done(now().mono, LOG, Step { run: 7, number: 1 });
        assert!(chains.is_agreed(LOG));
        assert_eq!(chains.next_number(LOG), 2);
    }
}
