//! What strangers can cause: datagrams that are ignored and requests of unknown hosts. Both are logged at a bounded rate.

use crate::now::Now;
use crate::text::sanitize;
use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// Counts datagrams that the server does not answer.
#[derive(Default)]
pub(super) struct IgnoredDatagrams {
    counts: IgnoredCounts,
    logged: IgnoredCounts,
    next_log: Duration,
}

/// Datagrams that the server does not answer, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IgnoredCounts {
    /// They are no message.
    pub malformed: u64,
    /// They are messages for somebody else, or from where they must not come.
    pub unexpected: u64,
}

/// Names without a host file that asked for a configuration. Each is logged once.
#[derive(Default)]
pub(super) struct UnknownHosts {
    logged: HashSet<String>,
    next_log: Duration,
    asking: BTreeMap<Box<str>, Stranger>,
}

/// A host without a host file that asks for a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// Where it asked from last.
    pub address: Ipv4Addr,
    /// When that was, in seconds since 1970.
    pub unix: u64,
}

impl IgnoredDatagrams {
    const LOG_INTERVAL: Duration = Duration::from_secs(60 * 60);

    pub(super) fn count_malformed(&mut self) {
        self.counts.malformed += 1;
    }

    /// Counts a message that is not for this server or does not come from where it must.
    pub(super) fn count_unexpected(&mut self) {
        self.counts.unexpected += 1;
    }

    pub(super) fn counts(&self) -> IgnoredCounts {
        self.counts
    }

    /// Returns a line for the log if one is due.
    pub(super) fn handle_tick(&mut self, now: Duration) -> Option<String> {
        if now < self.next_log || self.counts == self.logged {
            return None;
        }
        self.next_log = now + Self::LOG_INTERVAL;
        self.logged = self.counts;
        let IgnoredCounts { malformed, unexpected } = self.counts;
        Some(format!("datagrams ignored since the start: {malformed} malformed, {unexpected} unexpected"))
    }
}

impl UnknownHosts {
    /// Most names that are remembered. No more are logged then.
    const MAX_NAMES: usize = 1000;
    /// So many names are logged at once, and each further one a minute after the one before.
    const AT_ONCE: usize = 20;
    /// Longer names are not logged.
    const MAX_NAME: usize = 255;
    const LOG_INTERVAL: Duration = Duration::from_secs(60);

    /// Notes a request. Returns a line for the log if one is due.
    pub(super) fn handle_request(&mut self, now: Now, from: SocketAddrV4, name: &str) -> Option<String> {
        if name.len() <= Self::MAX_NAME && (self.asking.len() < Self::MAX_NAMES || self.asking.contains_key(name)) {
            self.asking.insert(name.into(), Stranger { address: *from.ip(), unix: now.unix });
        }
        let now = now.mono;
        let is_full = self.logged.len() == Self::MAX_NAMES;
        let is_too_soon = now < self.next_log && self.logged.len() >= Self::AT_ONCE;
        if is_full || is_too_soon || name.len() > Self::MAX_NAME || self.logged.contains(name) {
            return None;
        }
        self.next_log = now + Self::LOG_INTERVAL;
        self.logged.insert(name.to_string());
        Some(format!("{} at {} asks for a configuration, but there is no host file of that name", sanitize(name), from.ip()))
    }

    /// The log says already that the name has no host file any more.
    pub(super) fn insert(&mut self, name: &str) {
        if self.logged.len() < Self::MAX_NAMES {
            self.logged.insert(name.to_string());
        }
    }

    /// The name has a host file now.
    pub(super) fn remove(&mut self, name: &str) {
        self.logged.remove(name);
        self.asking.remove(name);
    }

    /// Those who asked, as many as are remembered. Their names are as they came from the network.
    pub(super) fn asking(&self) -> &BTreeMap<Box<str>, Stranger> {
        &self.asking
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::WeekMinute;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn now(seconds: u64) -> Now {
        Now { mono: at(seconds), unix: seconds, local: WeekMinute::new(0, 0, 0), second: 0 }
    }

    fn from() -> SocketAddrV4 {
        SocketAddrV4::new([10, 0, 0, 1].into(), 4360)
    }

    #[test]
    fn ignored_datagrams_are_logged_once_an_hour_if_there_are_new_ones() {
        let mut ignored = IgnoredDatagrams::default();
        assert_eq!(ignored.handle_tick(at(0)), None);
        ignored.count_malformed();
        let line = "datagrams ignored since the start: 1 malformed, 0 unexpected";
        assert_eq!(ignored.handle_tick(at(1)).as_deref(), Some(line));
        ignored.count_unexpected();
        assert_eq!(ignored.handle_tick(at(3600)), None);
        assert!(ignored.handle_tick(at(3601)).is_some());
        assert_eq!(ignored.handle_tick(at(9000)), None);
    }

    #[test]
    fn an_unknown_host_is_logged_once() {
        let mut unknown = UnknownHosts::default();
        let line = "a at 10.0.0.1 asks for a configuration, but there is no host file of that name";
        assert_eq!(unknown.handle_request(now(0), from(), "a").as_deref(), Some(line));
        assert!(unknown.handle_request(now(0), from(), "b").is_some());
        assert_eq!(unknown.handle_request(now(500), from(), "a"), None);
        unknown.remove("a");
        assert!(unknown.handle_request(now(500), from(), "a").is_some());
        assert_eq!(unknown.handle_request(now(900), from(), &"x".repeat(256)), None);
    }

    #[test]
    fn the_first_names_are_logged_at_once_and_then_one_a_minute_up_to_a_bound() {
        let mut unknown = UnknownHosts::default();
        let mut logged =
            |second: u64| (0..50).filter(|number| unknown.handle_request(now(second), from(), &format!("h{number}")).is_some()).count();
        assert_eq!([0, 59, 60, 61, 120].map(&mut logged), [20, 0, 1, 0, 1]);
        let names = (0..2000).filter(|number| unknown.handle_request(now(1000 + 60 * number), from(), &format!("n{number}")).is_some());
        assert_eq!(names.count(), UnknownHosts::MAX_NAMES - 22);
    }
}
