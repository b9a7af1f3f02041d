//! The conditions of this host that are open, and what a server that does not know of one is told of it. A position holds the keys of
//! those that belong to its chain, so that they outlive the agent.

use super::outbox::Origin;
use crate::now::Now;
use crate::wire::position::{ConditionKey, Position};
use crate::wire::{ChainId, Kind, State};
use std::time::Duration;

/// A condition that opens, lasts or ends.
#[derive(Clone, Copy, Debug)]
pub(in crate::agent) struct ConditionEvent<'a> {
    pub(in crate::agent) key: ConditionKey,
    /// The chain of its events.
    pub(in crate::agent) chain: ChainId,
    /// Where the event comes from, if it could be made again.
    pub(in crate::agent) origin: Option<Origin<'a>>,
    pub(in crate::agent) kind: Kind,
    pub(in crate::agent) tags: &'a str,
    pub(in crate::agent) file: Option<&'a str>,
    pub(in crate::agent) state: State,
    /// The text of the event; `None` makes none.
    pub(in crate::agent) text: Option<&'a str>,
    /// The text of the event when it ends, if that makes one.
    pub(in crate::agent) cleared: Option<&'a str>,
}

/// For how long a condition is open.
#[derive(Clone, Copy, Debug)]
pub(in crate::agent) struct Lasting {
    /// Samples in a row that found it, since it was told last.
    samples: u32,
    /// When it was told last.
    told: Duration,
    /// The server does not know of it, and what it was told elsewhere is forgotten.
    is_unknown: bool,
}

/// All open conditions.
#[derive(Default)]
pub(super) struct Conditions {
    open: Vec<OpenCondition>,
    /// Whether it was reported that there is no room for more.
    is_full_reported: bool,
}

struct OpenCondition {
    key: ConditionKey,
    chain: ChainId,
    lasting: Lasting,
    /// What it was told with; `None` if that was in an earlier run.
    told: Option<Told>,
}

/// The event by which an open condition was told first, in this run.
#[derive(Clone)]
pub(super) struct Told {
    /// Its uid, as an [`Origin`] has it.
    pub(super) place: Box<str>,
    pub(super) number: u64,
    pub(super) unix: u64,
    pub(super) state: State,
    pub(super) text: Box<str>,
    pub(super) kind: Kind,
    pub(super) tags: Box<str>,
    pub(super) file: Option<Box<str>>,
    pub(super) cleared: Option<Box<str>>,
}

impl Told {
    fn new(now: Now, event: &ConditionEvent<'_>, origin: Origin<'_>) -> Self {
        let ConditionEvent { kind, tags, file, state, text, cleared, .. } = *event;
        Self {
            place: origin.place.into(),
            number: origin.offset,
            unix: now.unix,
            state,
            text: text.unwrap_or_default().into(),
            kind,
            tags: tags.into(),
            file: file.map(Into::into),
            cleared: cleared.map(Into::into),
        }
    }

    /// Where the event comes from.
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin { place: &self.place, offset: self.number, line: None }
    }
}

impl Lasting {
    /// It opens at that time.
    pub(in crate::agent) fn since(now: Duration) -> Self {
        Self { samples: 0, told: now, is_unknown: false }
    }

    /// A sample has found it. Returns whether it is to be told again: after `repeat`, or else at each sample of so many that have.
    pub(in crate::agent) fn is_due(&mut self, now: Duration, repeat: Option<Duration>, samples: u32) -> bool {
        self.samples += 1;
        let is_due = match repeat {
            None => self.samples >= samples,
            Some(Duration::ZERO) => false,
            Some(repeat) => now.saturating_sub(self.told) >= repeat,
        };
        if is_due || self.is_unknown {
            *self = Self::since(now);
            return true;
        }
        false
    }

    /// A sample has not found it, and it is not over.
    pub(in crate::agent) fn interrupt(&mut self) {
        self.samples = 0;
    }
}

impl Conditions {
    /// Most open conditions of a host.
    pub(super) const MAX: usize = Position::MAX_OPEN;

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn index(&self, key: ConditionKey) -> Option<usize> {
        self.open.iter().position(|open| open.key == key)
    }

    /// The open condition of that key.
    pub(super) fn get_mut(&mut self, key: ConditionKey) -> Option<&mut Lasting> {
        self.index(key).map(|at| &mut self.open[at].lasting)
    }

    /// The keys of those that belong to a chain.
    pub(super) fn of_chain(&self, chain: ChainId) -> Vec<ConditionKey> {
        self.open.iter().filter(|open| open.chain == chain).map(|open| open.key).collect()
    }

    /// The text for the end of one, if this run has told it.
    pub(super) fn cleared_text(&self, key: ConditionKey) -> Option<Box<str>> {
        self.open[self.index(key)?].told.as_ref()?.cleared.clone()
    }

    /// The keys of those of a family.
    pub(super) fn of_family(&self, family: ConditionKey) -> Vec<ConditionKey> {
        self.open.iter().map(|open| open.key).filter(|key| key.its_family() == family).collect()
    }

    /// Conditions of a chain that an earlier run left open.
    pub(super) fn inherit(&mut self, now: Duration, chain: ChainId, keys: &[ConditionKey]) {
        for key in keys {
            if self.index(*key).is_none() && self.open.len() < Self::MAX {
                self.open.push(OpenCondition { key: *key, chain, lasting: Lasting::since(now), told: None });
            }
        }
    }

    /// Of the conditions of a chain that an earlier run left open, no others are open than these.
    pub(super) fn forget_inherited(&mut self, chain: ChainId, keys: &[ConditionKey]) {
        self.open.retain(|open| open.chain != chain || open.told.is_some() || keys.contains(&open.key));
    }

    /// Takes what happens to a condition, and the origin of the event that tells it. Returns whether it is known from now on, or was: one
    /// that finds no room has no state.
    pub(super) fn handle(&mut self, now: Now, event: &ConditionEvent<'_>, origin: Origin<'_>) -> bool {
        let ConditionEvent { key, chain, state, .. } = *event;
        let at = self.index(key);
        if state == State::Closed {
            return at.map(|at| self.open.remove(at)).is_some();
        }
        match at {
            Some(at) => {
                let told = self.open[at].told.get_or_insert_with(|| Told::new(now, event, origin));
                told.cleared = event.cleared.map(Into::into);
            }
            None if self.open.len() < Self::MAX => {
                let told = Some(Told::new(now, event, origin));
                self.open.push(OpenCondition { key, chain, lasting: Lasting::since(now.mono), told });
            }
            None => return false,
        }
        true
    }

    /// The server knows of no open conditions in a chain but these. Returns those of others that it can be told; what an earlier run told
    /// of the rest is forgotten, and they are told when they are found again.
    pub(super) fn unknown_to_server(&mut self, chain: ChainId, known: &[ConditionKey]) -> Vec<(ConditionKey, Told)> {
        let mut unknown = Vec::new();
        for open in self.open.iter_mut().filter(|open| open.chain == chain && !known.contains(&open.key)) {
            match &open.told {
                Some(told) => unknown.push((open.key, told.clone())),
                None => open.lasting.is_unknown = true,
            }
        }
        unknown
    }

    /// Whether it is to be reported now that there is no room for more.
    pub(super) fn take_full_report(&mut self) -> bool {
        !std::mem::replace(&mut self.is_full_reported, true)
    }

    /// A condition that is open and none of these, and of none of these families, with its chain and what was told of it.
    pub(super) fn other_than(&self, keys: &[ConditionKey]) -> Option<(ConditionKey, ChainId, Option<&Told>)> {
        let is_known = |key: ConditionKey| keys.contains(&key) || keys.contains(&key.its_family());
        self.open.iter().find(|open| !is_known(open.key)).map(|open| (open.key, open.chain, open.told.as_ref()))
    }
}
