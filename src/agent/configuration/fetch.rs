//! A configuration that arrives in parts. Parts of two revisions never mix, and the whole must have the hash that its revision names.

use crate::wire::{Revision, MAX_PARTS, MAX_PARTS_AT_ONCE, MAX_PART_TEXT};
use std::time::Duration;

/// The parts of one revision that have arrived so far.
#[derive(Debug)]
pub(super) struct Fetch {
    revision: Revision,
    /// Empty until the first part says how many there are.
    parts: Vec<Option<Box<str>>>,
    next_request: Duration,
    /// The last of the parts that were requested.
    last_requested: u32,
}

/// What a part led to.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::agent) enum FetchProgress {
    /// More are missing.
    Incomplete,
    /// That is the whole text.
    Complete(String),
    /// The part contradicts the others, or the whole text does not have the hash of its revision: fetching begins anew.
    Corrupt,
}

impl Fetch {
    const REQUEST_INTERVAL: Duration = Duration::from_millis(500);

    /// Nothing has arrived. The first request is due at that time.
    pub(super) fn new(revision: Revision, first_request: Duration) -> Self {
        Self { revision, parts: Vec::new(), next_request: first_request, last_requested: 1 }
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    /// Takes part `index` of `count`, counted from 1.
    pub(super) fn take(&mut self, now: Duration, index: u32, count: u32, text: &str) -> FetchProgress {
        let well_formed = (1..=MAX_PARTS).contains(&count) && (1..=count).contains(&index) && text.len() <= MAX_PART_TEXT;
        if !well_formed || !self.parts.is_empty() && self.parts.len() != count as usize {
            self.parts.clear();
            return FetchProgress::Corrupt;
        }
        while self.parts.len() < count as usize {
            self.parts.push(None);
        }
        self.parts[index as usize - 1] = Some(text.into());
        if self.parts.iter().any(Option::is_none) {
            self.next_request = if index == self.last_requested { now } else { now + Self::REQUEST_INTERVAL };
            return FetchProgress::Incomplete;
        }
        let mut whole = String::new();
        for part in &self.parts {
            whole.push_str(part.as_deref().unwrap_or_default());
        }
        if Revision::of(&whole) != self.revision {
            self.parts.clear();
            self.next_request = now + Self::REQUEST_INTERVAL;
            return FetchProgress::Corrupt;
        }
        FetchProgress::Complete(whole)
    }

    /// The parts to request, if a request is due. It counts as sent.
    pub(super) fn request(&mut self, now: Duration) -> Option<Vec<u32>> {
        if now < self.next_request {
            return None;
        }
        self.next_request = now + Self::REQUEST_INTERVAL;
        let mut parts = Vec::new();
        for (index, part) in (1..).zip(&self.parts) {
            if part.is_none() && parts.len() < MAX_PARTS_AT_ONCE {
                parts.push(index);
            }
        }
        if parts.is_empty() {
            parts.push(1);
        }
        self.last_requested = parts.last().copied().unwrap_or(1);
        Some(parts)
    }

    pub(super) fn next_deadline(&self) -> Duration {
        self.next_request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::ZERO;
    const LATER: Duration = Duration::from_secs(1);

    #[test]
    fn parts_in_any_order_and_twice_make_the_whole() {
        let mut fetch = Fetch::new(Revision::of("abc"), START);
        assert_eq!(fetch.take(START, 3, 3, "c"), FetchProgress::Incomplete);
        assert_eq!(fetch.take(START, 1, 3, "a"), FetchProgress::Incomplete);
        assert_eq!(fetch.take(START, 3, 3, "c"), FetchProgress::Incomplete);
        assert_eq!(fetch.request(LATER), Some(vec![2]));
        assert_eq!(fetch.request(LATER), None);
        assert_eq!(fetch.take(LATER, 2, 3, "b"), FetchProgress::Complete("abc".into()));
    }

    #[test]
    fn a_part_of_another_text_spoils_the_whole() {
        let mut fetch = Fetch::new(Revision::of("ab"), START);
        assert_eq!(fetch.take(START, 1, 2, "a"), FetchProgress::Incomplete);
        assert_eq!(fetch.take(START, 2, 2, "x"), FetchProgress::Corrupt);
        assert_eq!(fetch.request(LATER), Some(vec![1]));
        assert_eq!(fetch.take(START, 1, 2, "a"), FetchProgress::Incomplete);
        assert_eq!(fetch.take(START, 2, 2, "b"), FetchProgress::Complete("ab".into()));
    }

    #[test]
    fn absurd_parts_take_no_memory() {
        let mut fetch = Fetch::new(Revision::of("ab"), START);
        for (index, count) in [(0, 2), (3, 2), (1, 0), (1, u32::MAX), (1, MAX_PARTS + 1)] {
            assert_eq!(fetch.take(START, index, count, "a"), FetchProgress::Corrupt);
            assert_eq!(fetch.parts.len(), 0);
        }
        assert_eq!(fetch.take(START, 1, 1, &"x".repeat(MAX_PART_TEXT + 1)), FetchProgress::Corrupt);
    }

    #[test]
    fn an_unknown_number_of_parts_begins_with_the_first() {
        let mut fetch = Fetch::new(Revision::of("ab"), START);
        assert_eq!(fetch.request(START), Some(vec![1]));
        assert_eq!(fetch.take(START, 1, 40, "a"), FetchProgress::Incomplete);
        assert_eq!(fetch.request(LATER), Some((2..=17).collect()));
        assert_eq!(fetch.take(LATER, 17, 40, "q"), FetchProgress::Incomplete);
        assert_eq!(fetch.next_deadline(), LATER);
    }
}
