//! Recognises version 1 events that were received before. Memory is bounded: it stores hashes only, in two generations.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::num::NonZeroU32;
use std::time::Duration;

#[derive(Default)]
pub(super) struct Duplicates {
    hashing: RandomState,
    /// Events since the last rotation.
    recent: Generation,
    /// Events of the generation before.
    older: Generation,
    rotated: Duration,
}

type Generation = HashMap<u64, Seen, BuildHasherDefault<AlreadyHashed>>;

/// An event that was received. Small, because a quarter of a million are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// When it was first received.
    received: WrappingMillis,
    /// When it was last acknowledged. `None` while it is still to be written.
    acknowledged: Option<WrappingMillis>,
}

/// A time in milliseconds that wraps around every 49 days, which is far longer than anything is remembered. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WrappingMillis(NonZeroU32);

/// A hasher for keys that are hashes already.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl WrappingMillis {
    #[allow(clippy::cast_possible_truncation, reason = "wraps around")]
    fn at(now: Duration) -> Self {
        Self(NonZeroU32::new((now.as_millis() as u32).wrapping_add(1)).unwrap_or(NonZeroU32::MIN))
    }

    fn age(self, now: Duration) -> Duration {
        Duration::from_millis(Self::at(now).0.get().wrapping_sub(self.0.get()).into())
    }
}

impl Seen {
    /// Whether it was acknowledged, so that a repeat may be acknowledged at once.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.acknowledged.is_some()
    }

    /// Whether it was last acknowledged less than `span` ago.
    pub(super) fn was_acknowledged_within(&self, now: Duration, span: Duration) -> bool {
        self.acknowledged.is_some_and(|at| at.age(now) < span)
    }

    /// Notes that it is acknowledged now.
    pub(super) fn acknowledge(&mut self, now: Duration) {
        self.acknowledged = Some(WrappingMillis::at(now));
    }
}

impl Duplicates {
    /// How long an event is remembered: an event with the same fields is a repeat within this time.
    const REMEMBERED: Duration = Duration::from_secs(15 * 60);
    /// Most events of one generation. A full generation rotates early, so that at least this many of the latest events are remembered. The
    /// number is what a hash table of a power of two holds before it grows.
    const GENERATION: usize = 128 * 1024 / 8 * 7;

    /// The hash that the other calls take: of the datagram of an event. Keyed, so that strangers cannot make two events collide.
    pub(super) fn hash(&self, datagram: &[u8]) -> u64 {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(datagram);
        hasher.finish()
    }

    /// Returns an event if it was received recently.
    pub(super) fn get(&mut self, now: Duration, hash: u64) -> Option<&mut Seen> {
        let seen = self.recent.get_mut(&hash).or_else(|| self.older.get_mut(&hash))?;
        (seen.received.age(now) <= Self::REMEMBERED).then_some(seen)
    }

    /// Remembers an event as received.
    pub(super) fn insert(&mut self, now: Duration, hash: u64) {
        if now - self.rotated > Self::REMEMBERED {
            self.handle_timeout(now);
        } else if self.recent.len() >= Self::GENERATION {
            // While events come this fast, the memory of one generation is reused for the next but one.
            std::mem::swap(&mut self.older, &mut self.recent);
            self.recent.clear();
            self.rotated = now;
        }
        self.recent.insert(hash, Seen { received: WrappingMillis::at(now), acknowledged: None });
    }

    /// Forgets an event: it could not be written.
    pub(super) fn remove(&mut self, hash: u64) {
        self.recent.remove(&hash);
        self.older.remove(&hash);
    }

    /// Rotates the generations if that is due, and releases memory.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        if now - self.rotated > Self::REMEMBERED {
            self.older = std::mem::take(&mut self.recent);
            self.rotated = now;
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
    fn a_rotation_forgets_nothing_recent() {
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
    fn memory_is_bounded_and_released() {
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
        let alert = b"ALERT%%h%%1_0%%1%%T%%NULL%%x";
        assert_eq!(duplicates.hash(alert), duplicates.hash(b"ALERT%%h%%1_0%%1%%T%%NULL%%x"));
        for other in [&b"ALERT%%h%%1_0%%1%%T%%NULL%%y"[..], b"ALERT%%h%%1_0%%1%%T%%/a%%x", b"ALERT%%h%%1_1%%1%%T%%NULL%%x"] {
            assert_ne!(duplicates.hash(alert), duplicates.hash(other));
        }
    }

    #[test]
    fn a_repeat_is_known_when_the_milliseconds_wrap_around() {
        let mut duplicates = Duplicates::default();
        let wrap = Duration::from_millis(1 << 32);
        duplicates.insert(wrap - minutes(5), 7);
        duplicates.insert(wrap, 8);
        for (age, known) in [(0, true), (9, true), (10, true), (11, false)] {
            assert_eq!(duplicates.get(wrap + minutes(age), 7).is_some(), known, "{age}");
        }
        let (before, span) = (wrap - Duration::from_secs(1), Duration::from_secs(9));
        let seen = duplicates.get(wrap, 8).unwrap();
        seen.acknowledge(before);
        assert!(seen.was_acknowledged_within(before + span - Duration::from_millis(1), span));
        assert!(!seen.was_acknowledged_within(before + span, span));
    }

    #[test]
    fn a_remembered_event_takes_sixteen_bytes() {
        assert_eq!(std::mem::size_of::<(u64, Seen)>(), 16);
    }
}
