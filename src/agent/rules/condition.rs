//! When the condition that an alert stands for opens, is told again, and ends. Queues the events of that; decides nothing by itself.

use crate::agent::delivery::{ConditionEvent, Delivery, Lasting, Origin};
use crate::directives::host::ConditionRule;
use crate::hash::Fnv1a;
use crate::now::Now;
use crate::wire::position::ConditionKey;
use crate::wire::{ChainId, Kind, State};
use std::time::Duration;

/// What one block, sample or run has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    /// The condition holds.
    Holds,
    /// It does not hold, and if it is open it is not over yet.
    Lasts,
    /// It is over.
    Clear,
}

/// A condition that is not open, as far as that is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    /// Samples in a row that have found it.
    held: u32,
}

/// What an alert says of its condition.
#[derive(Clone, Copy)]
pub(super) struct ConditionAlert<'a> {
    pub(super) key: ConditionKey,
    pub(super) chain: ChainId,
    pub(super) origin: Option<Origin<'a>>,
    pub(super) kind: Kind,
    pub(super) tags: &'a str,
    pub(super) file: Option<&'a str>,
    pub(super) terms: &'a ConditionRule,
    /// After so many samples in a row it opens and is told again, where the terms do not say otherwise.
    pub(super) samples: u32,
}

impl Condition {
    /// Whether it was found, and not often enough yet.
    pub(super) fn is_about_to_open(&self) -> bool {
        self.held > 0
    }

    /// A sample has found that. `text` is the text of an event that this may make. Returns whether the condition has opened, was told
    /// again, or has ended.
    pub(super) fn handle_sample(
        &mut self,
        now: Now,
        alert: &ConditionAlert<'_>,
        sample: Sample,
        text: &str,
        delivery: &mut Delivery,
    ) -> bool {
        let state = self.step(now.mono, delivery.condition_mut(alert.key), sample, alert.terms, alert.samples);
        match state {
            Some(State::Closed) => alert.close(now, delivery),
            Some(state) => alert.push(now, state, Some(text), delivery),
            None => {}
        }
        state.is_some()
    }

    /// What becomes of the condition with a sample, given how long it lasts if it is open.
    pub(super) fn step(
        &mut self,
        now: Duration,
        open: Option<&mut Lasting>,
        sample: Sample,
        terms: &ConditionRule,
        samples: u32,
    ) -> Option<State> {
        match (open, sample) {
            (None, Sample::Holds) => {
                self.held += 1;
                let opens = self.held >= terms.count.unwrap_or(samples);
                self.held = if opens { 0 } else { self.held };
                opens.then_some(State::Opened)
            }
            (Some(lasting), Sample::Holds) => {
                self.held = 0;
                lasting.is_due(now, terms.repeat, samples).then_some(State::Repeated)
            }
            (open, Sample::Clear) => {
                self.held = 0;
                open.map(|_| State::Closed)
            }
            (open, Sample::Lasts) => {
                self.held = 0;
                open.into_iter().for_each(Lasting::interrupt);
                None
            }
        }
    }
}

impl ConditionAlert<'_> {
    /// Ends the condition if it is open: its times are over, or what it is about is gone.
    pub(super) fn close(&self, now: Now, delivery: &mut Delivery) {
        if delivery.condition_mut(self.key).is_some() {
            self.push(now, State::Closed, self.terms.cleared.as_deref(), delivery);
        }
    }

    /// Ends the condition of a value, which is not at hand: the text that this run has told it with names the value.
    pub(super) fn close_value(&self, now: Now, delivery: &mut Delivery) {
        let told = self.terms.cleared.as_ref().and_then(|_| delivery.cleared_text(self.key));
        let terms = ConditionRule { cleared: told.or_else(|| self.terms.cleared.clone()), ..self.terms.clone() };
        ConditionAlert { terms: &terms, ..*self }.close(now, delivery);
    }

    /// Tells again that the open condition holds, if the terms do not say when that is to be.
    pub(super) fn repeat(&self, now: Now, text: &str, delivery: &mut Delivery) {
        if self.terms.repeat.is_none() && delivery.condition_mut(self.key).is_some() {
            self.push(now, State::Repeated, Some(text), delivery);
        }
    }

    /// What happens to the condition, and the text that tells it, if any does.
    pub(super) fn event<'e>(&'e self, state: State, text: Option<&'e str>) -> ConditionEvent<'e> {
        let ConditionAlert { key, chain, origin, kind, tags, file, terms, .. } = *self;
        let cleared = terms.cleared.as_deref();
        ConditionEvent { key, chain, origin, kind, tags, file, state, text, cleared }
    }

    fn push(&self, now: Now, state: State, text: Option<&str>, delivery: &mut Delivery) {
        delivery.push_condition(now, &self.event(state, text));
    }
}

/// Gives conditions their keys. Those that are alike in everything else differ by their order.
#[derive(Default)]
pub(super) struct ConditionNames {
    taken: Vec<u64>,
}

impl ConditionNames {
    /// The hash from which the key of a condition is made, of all that names it.
    pub(super) fn name(&mut self, kind: Kind, parts: &mut dyn Iterator<Item = &str>) -> Fnv1a {
        let kind = Fnv1a::EMPTY.with(kind.as_str().as_bytes());
        let hash = parts.fold(kind, |hash, part| hash.with(b"\n").with(part.as_bytes()));
        let ordinal = self.taken.iter().filter(|taken| **taken == hash.value()).count() as u64;
        self.taken.push(hash.value());
        hash.with(&ordinal.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Samples at every minute, `1` for one that holds, `~` for one that lasts, `0` for a clear one; and what they make: opened,
    /// repeated, closed or nothing, with a letter each.
    fn run(terms: &ConditionRule, usual: u32, samples: &str) -> String {
        let (mut condition, mut open, mut made) = (Condition::default(), None, String::new());
        for (minute, sample) in (0..).zip(samples.chars()) {
            let now = seconds(minute * 60);
            let sample = match sample {
                '1' => Sample::Holds,
                '~' => Sample::Lasts,
                _ => Sample::Clear,
            };
            let state = condition.step(now, open.as_mut(), sample, terms, usual);
            match state {
                Some(State::Opened) => open = Some(Lasting::since(now)),
                Some(State::Closed) => open = None,
                _ => {}
            }
            made.push_str(state.map_or("-", |state| &state.as_str()[..1]));
        }
        made
    }

    #[test]
    fn a_condition_opens_is_told_again_and_ends_by_its_terms() {
        let terms = |count, repeat: Option<u64>| ConditionRule { count, repeat: repeat.map(seconds), ..ConditionRule::default() };
        for (terms, usual, samples, made) in [
            (terms(None, None), 1, "0111001", "-orrc-o"),
            (terms(None, None), 2, "01111101101", "--o-r-c-oc-"),
            (terms(Some(3), None), 1, "1101111100", "-----orrc-"),
            (terms(Some(1), None), 2, "1111", "o-r-"),
            (terms(None, Some(0)), 1, "111110110", "o----co-c"),
            (terms(None, Some(120)), 1, "1111111", "o-r-r-r"),
            (terms(Some(2), Some(60)), 2, "11110", "-orrc"),
            (terms(None, None), 1, "~1~~1~0~1", "-o--r-c-o"),
            (terms(Some(2), None), 1, "1~11~0", "---o-c"),
        ] {
            assert_eq!(run(&terms, usual, samples), made, "{terms:?} {usual} {samples}");
        }
    }

    #[test]
    fn alike_conditions_have_different_keys_and_the_order_of_others_does_not_matter() {
        let mut names = ConditionNames::default();
        let mut key = |parts: &[&str]| ConditionKey::of(names.name(Kind::Limit, &mut parts.iter().copied()).value());
        let keys = [key(&["df", "a"]), key(&["df", "b"]), key(&["df", "a"]), key(&["dfa"])];
        assert!((0..keys.len()).all(|at| !keys[..at].contains(&keys[at])), "{keys:?}");
        let mut names = ConditionNames::default();
        assert_eq!(ConditionKey::of(names.name(Kind::Limit, &mut ["df", "b"].into_iter()).value()), keys[1]);
        assert_eq!(ConditionKey::of(names.name(Kind::Limit, &mut ["df", "a"].into_iter()).value()), keys[0]);
        assert_ne!(ConditionKey::of(names.name(Kind::Process, &mut ["df", "a"].into_iter()).value()), keys[0]);
    }
}
