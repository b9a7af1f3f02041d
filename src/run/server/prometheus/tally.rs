//! Counts the events that are written, and keeps the last value of each metric, in bounded memory.

use crate::now::Now;
use crate::series::Series;
use crate::wire::{Alert, EventWord, Kind};
use std::collections::HashMap;
use std::time::Duration;

/// What each host has sent, by its tags.
#[derive(Default)]
pub(in crate::run::server) struct Tally {
    hosts: HashMap<Box<str>, HashMap<Box<str>, Counted>>,
    series: usize,
    /// How many events found no room, and are in none of these counts.
    uncounted: u64,
    /// What is not written yet.
    pending: Vec<Pending>,
}

/// The events of one host with the same tags.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) events: u64,
    /// The last values of the kinds metric and count.
    values: [Option<Value>; 2],
}

/// The last value of a metric.
#[derive(Clone, Copy, Debug)]
struct Value {
    value: f64,
    received: Duration,
    /// When it does not count any more.
    until: Duration,
}

struct Pending {
    host: Box<str>,
    tags: Box<str>,
    events: u64,
    value: Option<(Kind, f64)>,
    /// When the event happened, in seconds since 1970.
    unix: u64,
}

impl Tally {
    /// Most pairs of a host and tags.
    pub(super) const MAX_SERIES: usize = 10_000;
    /// Most tags of one host, so that no host takes the room of all.
    pub(super) const MAX_OF_A_HOST: usize = 500;
    /// How long a value counts at least.
    const FRESH: Duration = Duration::from_secs(15 * 60);
    /// A value counts for so many of the intervals in which values come, if that is longer.
    const INTERVALS: u32 = 3;
    /// The kinds that have values.
    const KINDS: [Kind; 2] = [Kind::Metric, Kind::Count];

    /// Takes an event that is about to be written.
    pub(in crate::run::server) fn take(&mut self, alert: &Alert<'_>) {
        let word = EventWord::parse(alert.uid).unwrap_or(EventWord::of_uid(alert.uid));
        let number = word.value.and_then(|value| value.parse().ok()).filter(|value: &f64| value.is_finite());
        let value = word.kind.filter(|kind| Self::KINDS.contains(kind)).zip(number);
        if let Some(last) = self.pending.last_mut().filter(|last| *last.host == *alert.host && *last.tags == *alert.tags && value.is_none())
        {
            last.events += 1;
            return;
        }
        self.pending.push(Pending { host: alert.host.into(), tags: alert.tags.into(), events: 1, value, unix: alert.unix });
    }

    /// The events that were taken are written. `series` gets their values.
    pub(in crate::run::server) fn commit(&mut self, now: Now, series: &mut Series) {
        for Pending { host, tags, events, value, unix } in std::mem::take(&mut self.pending) {
            if let Some((_, value)) = value {
                series.record(&host, &tags, Series::sample_time(unix, now.unix), value);
            }
            let of_host = self.hosts.get(&*host);
            let is_known = of_host.is_some_and(|of_host| of_host.contains_key(&*tags));
            if !is_known && (self.series == Self::MAX_SERIES || of_host.is_some_and(|of_host| of_host.len() == Self::MAX_OF_A_HOST)) {
                self.uncounted += events;
                continue;
            }
            self.series += usize::from(!is_known);
            let counted = self.hosts.entry(host).or_default().entry(tags).or_default();
            counted.events += events;
            if let Some((kind, value)) = value {
                counted.set(now, kind, value);
            }
        }
    }

    /// The events that were taken cannot be written. They will come again.
    pub(in crate::run::server) fn drop_pending(&mut self) {
        self.pending.clear();
    }

    /// Forgets all hosts but these.
    pub(super) fn retain(&mut self, is_known: impl Fn(&str) -> bool) {
        self.hosts.retain(|host, _| is_known(host));
        self.series = self.hosts.values().map(HashMap::len).sum();
    }

    pub(super) fn series(&self) -> usize {
        self.series
    }

    pub(super) fn uncounted(&self) -> u64 {
        self.uncounted
    }

    /// All that is counted, in the order of hosts and tags.
    pub(super) fn sorted(&self) -> Vec<(&str, &str, &Counted)> {
        let mut all: Vec<(&str, &str, &Counted)> =
            self.hosts.iter().flat_map(|(host, tags)| tags.iter().map(move |(tags, counted)| (&**host, &**tags, counted))).collect();
        all.sort_unstable_by_key(|(host, tags, _)| (*host, *tags));
        all
    }
}

impl Counted {
    fn set(&mut self, now: Now, kind: Kind, value: f64) {
        let Some(slot) = Tally::KINDS.iter().position(|known| *known == kind) else { return };
        let interval = self.values[slot].map_or(Duration::ZERO, |last| now.mono.saturating_sub(last.received));
        let until = now.mono + Tally::FRESH.max(interval * Tally::INTERVALS);
        self.values[slot] = Some(Value { value, received: now.mono, until });
    }

    /// The last value of each kind, unless it is too old.
    pub(super) fn values(&self, now: Now) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        let fresh = move |value: &Option<Value>| value.filter(|value| now.mono < value.until).map(|value| value.value);
        Tally::KINDS.iter().zip(&self.values).filter_map(move |(kind, value)| Some((kind.as_str(), fresh(value)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::WeekMinute;

    fn at(seconds: u64) -> Now {
        Now { mono: Duration::from_secs(seconds), unix: seconds, local: WeekMinute::new(0, 0, 0), second: 0 }
    }

    fn take(tally: &mut Tally, host: &str, tags: &str, uid: &str) {
        tally.take(&Alert { host, uid, unix: 1, tags, file: None, text: "t" });
    }

    fn shown(tally: &Tally, now: Now) -> Vec<String> {
        let shown = |counted: &Counted| format!("{} {:?}", counted.events, counted.values(now).collect::<Vec<_>>());
        tally.sorted().iter().map(|(host, tags, counted)| format!("{host} {tags} {}", shown(counted))).collect()
    }

    #[test]
    fn events_count_once_they_are_written() {
        let mut tally = Tally::default();
        ["f.1;line@", "f.2;line@5:3:1:9"].iter().for_each(|uid| take(&mut tally, "nas", "LOG", uid));
        take(&mut tally, "nas", "CPU", "q.1;metric;;;-4.50@5:3:1:9");
        assert_eq!(shown(&tally, at(1)), [""; 0]);
        tally.drop_pending();
        tally.commit(at(1), &mut Series::default());
        assert_eq!(shown(&tally, at(1)), [""; 0]);
        take(&mut tally, "nas", "CPU", "q.1;metric;;;-4.50@5:3:1:9");
        take(&mut tally, "nas", "CPU", "q.2;count;;;7@5:3:1:9");
        take(&mut tally, "nas", "CPU", "1795347336_2");
        tally.commit(at(1), &mut Series::default());
        assert_eq!(shown(&tally, at(1)), ["nas CPU 3 [(\"metric\", -4.5), (\"count\", 7.0)]"]);
        tally.retain(|host| host != "nas");
        assert_eq!((shown(&tally, at(1)).len(), tally.series()), (0, 0));
    }

    #[test]
    fn a_value_goes_when_none_follows_it_in_its_own_pace() {
        let mut tally = Tally::default();
        let send = |tally: &mut Tally, now| {
            take(tally, "nas", "CPU", "q.1;metric;;;1@");
            tally.commit(at(now), &mut Series::default());
        };
        let counts = |tally: &Tally, times: [u64; 2]| times.map(|now| tally.sorted()[0].2.values(at(now)).count());
        send(&mut tally, 0);
        assert_eq!(counts(&tally, [899, 900]), [1, 0]);
        send(&mut tally, 3600);
        assert_eq!(counts(&tally, [4 * 3600 - 1, 4 * 3600]), [1, 0]);
    }

    #[test]
    fn one_host_and_all_hosts_have_bounds() {
        let mut tally = Tally::default();
        for number in 0..2 * Tally::MAX_OF_A_HOST {
            take(&mut tally, "evil", &format!("T{number}"), "q.1;line@");
        }
        tally.commit(at(1), &mut Series::default());
        assert_eq!((tally.series(), tally.uncounted()), (Tally::MAX_OF_A_HOST, Tally::MAX_OF_A_HOST as u64));
        for number in 0..2 * Tally::MAX_SERIES {
            take(&mut tally, &format!("host{number}"), "T", "q.1;line@");
        }
        tally.commit(at(1), &mut Series::default());
        assert_eq!(tally.series(), Tally::MAX_SERIES);
        take(&mut tally, "evil", "T0", "q.1;line@");
        tally.commit(at(1), &mut Series::default());
        assert!(shown(&tally, at(1)).contains(&"evil T0 2 []".into()), "what is known goes on");
    }
}
