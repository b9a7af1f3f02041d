//! How many events an output gets in a period. Those beyond it are counted, for a summary at the end of the period.

use crate::date::utc;
use crate::directives::output::Limit;
use crate::wire::{Kind, StreamEvent};
use std::collections::BTreeMap;

/// The current period of one output. Times are seconds since 1970, so that it lasts over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// When it began; it begins with its first event.
    start: Option<u64>,
    /// Events that the output got.
    used: u64,
    /// Events that it did not get.
    held_back: u64,
    /// How many of these each host and tags had, of the first few.
    by_source: BTreeMap<(String, String), u64>,
}

impl Period {
    /// Most hosts and tags that a summary names.
    const MOST_SOURCES: usize = 20;

    /// Whether the period is over. One that would begin in the future is: the clock was set back.
    fn is_over(&self, limit: Limit, unix: u64) -> bool {
        self.start.is_some_and(|start| unix < start || unix - start >= limit.seconds)
    }

    /// Whether the output gets an event now. If not, the event is counted. The period must not be over.
    pub(super) fn admit(&mut self, limit: Limit, unix: u64, event: &StreamEvent) -> bool {
        self.start.get_or_insert(unix);
        if self.used < limit.events {
            self.used += 1;
            return true;
        }
        self.held_back += 1;
        let source = (event.host.clone(), event.tags.clone());
        if self.by_source.contains_key(&source) || self.by_source.len() < Self::MOST_SOURCES {
            *self.by_source.entry(source).or_default() += 1;
        }
        false
    }

    /// Ends the period if it is over. Returns the text of its summary if events were held back.
    pub(super) fn end_if_over(&mut self, limit: Limit, unix: u64) -> Option<(u64, String)> {
        let start = self.start.filter(|_| self.is_over(limit, unix))?;
        let Self { held_back, by_source, .. } = std::mem::take(self);
        if held_back == 0 {
            return None;
        }
        let Limit { events, seconds } = limit;
        let named: u64 = by_source.values().sum();
        let mut sources: Vec<_> = by_source.into_iter().collect();
        sources.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut sources: Vec<_> = sources.into_iter().map(|((host, tags), count)| format!("{host} {tags} {count}")).collect();
        if named < held_back {
            sources.push(format!("others {}", held_back - named));
        }
        let text = format!("{held_back} events held back from {} on, above {events} in {seconds} s: {}", utc(start), sources.join(", "));
        Some((start, text))
    }

    /// In how many seconds a summary is due.
    pub(super) fn seconds_to_summary(&self, limit: Limit, unix: u64) -> Option<u64> {
        let start = self.start.filter(|_| self.held_back > 0)?;
        Some(if self.is_over(limit, unix) { 0 } else { (start + limit.seconds).saturating_sub(unix) })
    }

    /// The words from which [`Self::parse`] restores it. The hosts and tags are not among them.
    pub fn emit(&self) -> String {
        let Self { start, used, held_back, .. } = self;
        start.map_or("-".into(), |start| format!("{start} {used} {held_back}"))
    }

    /// Reads what [`Self::emit`] wrote; anything else is an empty period.
    pub fn parse(text: &str) -> Self {
        let mut words = text.split(' ').map(|word| word.parse().ok());
        let mut next = || words.next().flatten();
        match (next(), next(), next()) {
            (Some(start), Some(used), Some(held_back)) => Self { start: Some(start), used, held_back, ..Self::default() },
            _ => Self::default(),
        }
    }
}

/// The event by which an output learns what it did not get.
pub(super) fn summary(server: &str, output: &str, unix: u64, start: u64, text: &str) -> StreamEvent {
    StreamEvent {
        host: server.into(),
        uid: format!("limit.{output}.{start}"),
        kind: Some(Kind::System),
        unix,
        received_unix: Some(unix),
        tags: "SYSTEM".into(),
        text: format!("Output {output}: {text}"),
        ..StreamEvent::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(host: &str) -> StreamEvent {
        StreamEvent { host: host.into(), tags: "T".into(), ..StreamEvent::default() }
    }

    const LIMIT: Limit = Limit { events: 2, seconds: 60 };

    #[test]
    fn events_beyond_the_limit_are_counted_until_the_period_is_over() {
        let mut period = Period::default();
        let admitted: Vec<_> = ["a", "a", "a", "b", "b"].iter().map(|host| period.admit(LIMIT, 1000, &event(host))).collect();
        assert_eq!(admitted, [true, true, false, false, false]);
        assert_eq!((period.end_if_over(LIMIT, 1059), period.seconds_to_summary(LIMIT, 1059)), (None, Some(1)));
        let (start, text) = period.end_if_over(LIMIT, 1060).unwrap();
        assert_eq!((start, &*text), (1000, "3 events held back from 1970-01-01T00:16:40Z on, above 2 in 60 s: b T 2, a T 1"));
        assert_eq!(period, Period::default());
        assert_eq!(period.end_if_over(LIMIT, 9999), None);
        assert!(period.admit(LIMIT, 2000, &event("a")));
        // The clock was set back.
        assert!(period.is_over(LIMIT, 1999) && period.end_if_over(LIMIT, 1999).is_none());
    }

    #[test]
    fn a_period_lasts_over_a_restart_and_names_few_sources() {
        let mut period = Period::default();
        let admitted = (0..100).filter(|number| period.admit(LIMIT, 1000, &event(&format!("h{number}")))).count();
        assert_eq!(admitted, 2);
        assert_eq!(period.by_source.len(), Period::MOST_SOURCES);
        let restored = Period::parse(&period.emit());
        assert_eq!((restored.start, restored.used, restored.held_back), (Some(1000), 2, 98));
        assert!(restored.clone().end_if_over(LIMIT, 1060).unwrap().1.ends_with(": others 98"));
        for text in ["-", "", "1 2", "x y z"] {
            assert_eq!(Period::parse(text), Period::default());
        }
    }
}
