//! Which version 1 events were received lately, so that a repeat is recognised. Bounded: hashes only, in two generations.

use crate::wire::Alert;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

#[derive(Default)]
pub(super) struct Duplicates {
    hashing: RandomState,
    /// What came since the last turn, and what came in the generation before.
    recent: HashMap<u64, Seen>,
    older: HashMap<u64, Seen>,
    turned: Duration,
}

/// An event that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// When it was first received.
    received: Duration,
    /// When it was last acknowledged; not yet where it still has to be written.
    pub(super) acknowledged: Option<Duration>,
}

impl Duplicates {
    /// An event whose fields all equal those of one received so recently is a repeat.
    const REMEMBERED: Duration = Duration::from_secs(15 * 60);
    /// Most events of one generation. Above it the generations turn early: the last so many events are remembered at least.
    const GENERATION: usize = 128 * 1024;

    /// The hash by which the other calls name an event. Keyed, so that no stranger can make two events collide.
    pub(super) fn hash(&self, alert: &Alert<'_>) -> u64 {
        self.hashing.hash_one(alert)
    }

    /// What is known of an event, if it was received lately.
    pub(super) fn get(&mut self, now: Duration, hash: u64) -> Option<&mut Seen> {
        let seen = self.recent.get_mut(&hash).or_else(|| self.older.get_mut(&hash))?;
        (now - seen.received <= Self::REMEMBERED).then_some(seen)
    }

    /// Remembers an event as received.
    pub(super) fn insert(&mut self, now: Duration, hash: u64) {
        if now - self.turned > Self::REMEMBERED || self.recent.len() >= Self::GENERATION {
            self.older = std::mem::take(&mut self.recent);
            self.turned = now;
        }
        self.recent.insert(hash, Seen { received: now, acknowledged: None });
    }

    /// Forgets an event that could not be written.
    pub(super) fn remove(&mut self, hash: u64) {
        self.recent.remove(&hash);
        self.older.remove(&hash);
    }

    /// Gives back what no repeat needs any more.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        if now - self.turned > Self::REMEMBERED && !(self.recent.is_empty() && self.older.is_empty()) {
            self.older = std::mem::take(&mut self.recent);
            self.turned = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    #[test]
    fn a_repeat_is_known_for_fifteen_minutes() {
        let mut duplicates = Duplicates::default();
        for (age, known) in [(0, true), (14, true), (15, true), (16, false)] {
            duplicates.insert(minutes(100), 7);
            assert_eq!(duplicates.get(minutes(100 + age), 7).is_some(), known, "{age}");
        }
    }

    #[test]
    fn the_turn_of_a_generation_forgets_nothing_recent() {
        let mut duplicates = Duplicates::default();
        duplicates.insert(minutes(14), 1);
        duplicates.insert(minutes(16), 2);
        assert!(duplicates.get(minutes(17), 1).is_some());
        for hash in 10..10 + Duplicates::GENERATION as u64 {
            duplicates.insert(minutes(18), hash);
        }
        assert!(duplicates.get(minutes(18), 2).is_some());
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let mut duplicates = Duplicates::default();
        (0..5 * Duplicates::GENERATION as u64).for_each(|hash| duplicates.insert(minutes(1), hash));
        assert!(duplicates.recent.len() + duplicates.older.len() <= 2 * Duplicates::GENERATION);
        duplicates.handle_timeout(minutes(30));
        duplicates.handle_timeout(minutes(60));
        assert_eq!(duplicates.recent.capacity() + duplicates.older.capacity(), 0);
    }

    #[test]
    fn events_that_differ_in_one_field_have_different_hashes() {
        let duplicates = Duplicates::default();
        let alert = Alert { host: "h", uid: "1_0", unix: 1, tags: "T", file: None, text: "x" };
        assert_eq!(duplicates.hash(&alert), duplicates.hash(&alert.clone()));
        for other in [Alert { text: "y", ..alert }, Alert { file: Some("NULL"), ..alert }, Alert { uid: "1_1", ..alert }] {
            assert_ne!(duplicates.hash(&alert), duplicates.hash(&other));
        }
    }
}
