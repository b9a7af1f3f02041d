//! What the tests of rules share: times, a queue of events, and host files.

use crate::agent::delivery::Delivery;
use crate::directives::host::{Group, HostFile, Rule};
use crate::directives::Source;
use crate::now::Now;
use crate::random::Random;
use crate::schedule::WeekMinute;
use std::time::Duration;

/// Wednesday, that many seconds after 12:00.
pub(super) fn at(seconds: u64) -> Now {
    let local = WeekMinute::new(3, 12, u16::try_from(seconds / 60).unwrap());
    Now { mono: Duration::from_secs(1000 + seconds), unix: 43_200 + seconds, local, second: u8::try_from(seconds % 60).unwrap() }
}

pub(super) fn delivery() -> Delivery {
    Delivery::new(at(0), "h", 7, Random::new(1))
}

/// The good groups of a host file without faults.
pub(super) fn groups(text: &str) -> Vec<Group<'_>> {
    let file = HostFile::parse(Source { path: "h", text }.lines());
    assert_eq!(file.faults, []);
    file.groups
}

/// Their rules, each with its identity.
pub(super) fn host_file(text: &str) -> Vec<(u64, Rule)> {
    groups(text).into_iter().map(|group| (group.identity(), group.rule)).collect()
}

/// Tags and text of the events that wait, which are removed.
pub(super) fn events(delivery: &mut Delivery) -> Vec<String> {
    let texts = delivery.drain().map(|datagram| {
        let text = String::from_utf8(datagram).unwrap();
        let fields: Vec<&str> = text.splitn(7, "%%").collect();
        format!("{} {}", fields[4], fields[6])
    });
    texts.collect()
}
