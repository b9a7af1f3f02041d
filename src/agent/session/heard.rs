//! The servers that were heard lately. Believes nothing that they say.

use super::keepalive::{KeepaliveSession, KeepaliveTimer};
use crate::random::Random;
use crate::wire::Token;
use std::net::Ipv4Addr;
use std::time::Duration;

#[derive(Default)]
pub(super) struct HeardServers {
    /// In the order in which they were first heard.
    servers: Vec<Heard>,
}

pub(super) struct Heard {
    pub(super) ip: Ipv4Addr,
    last_heard: Duration,
    /// In which run it said last that it speaks version 2, and when.
    capability: Option<(Token, Duration)>,
    pub(super) timer: KeepaliveTimer,
    pub(super) keepalive: KeepaliveSession,
}

impl HeardServers {
    /// A server that was not heard for so long is forgotten.
    pub(super) const SILENCE: Duration = Duration::from_secs(30);
    /// Most servers that are kept in mind.
    const MAX: usize = 16;

    /// A heartbeat came, or with a run the announcement that the server speaks version 2. Where there is no more room, a server that is
    /// heard for the first time is ignored. With `random` it takes the place of another one instead, since heartbeats can be forged:
    /// they must not keep the true server out for good.
    pub(super) fn handle_heartbeat(&mut self, now: Duration, ip: Ipv4Addr, run: Option<Token>, random: Option<&mut Random>) {
        if self.get_mut(ip).is_none() {
            if let (true, Some(random)) = (self.servers.len() == Self::MAX, random) {
                let at = usize::try_from(random.below(Self::MAX as u64)).unwrap_or(0);
                if !self.servers[at].keepalive.has_session() {
                    self.servers.remove(at);
                }
            }
            if self.servers.len() < Self::MAX {
                let (timer, keepalive) = (KeepaliveTimer::new(now), KeepaliveSession::default());
                self.servers.push(Heard { ip, last_heard: now, capability: None, timer, keepalive });
            }
        }
        let Some(heard) = self.get_mut(ip) else { return };
        heard.last_heard = now;
        if let Some(run) = run {
            heard.capability = Some((run, now));
        }
    }

    /// Forgets servers that are silent.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        self.servers.retain(|heard| now.saturating_sub(heard.last_heard) < Self::SILENCE);
    }

    /// The server at that address.
    pub(super) fn get_mut(&mut self, ip: Ipv4Addr) -> Option<&mut Heard> {
        self.servers.iter_mut().find(|heard| heard.ip == ip)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Heard> {
        self.servers.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Heard> {
        self.servers.iter_mut()
    }

    /// In which run the server at that address said lately that it speaks version 2.
    pub(super) fn capability(&self, now: Duration, ip: Ipv4Addr) -> Option<Token> {
        let heard = self.servers.iter().find(|heard| heard.ip == ip)?;
        heard.capability.filter(|(_, at)| now.saturating_sub(*at) < Self::SILENCE).map(|(run, _)| run)
    }
}

impl Heard {
    /// Whether the server ever said that it speaks version 2.
    pub(super) fn speaks_v2(&self) -> bool {
        self.capability.is_some()
    }

    /// The session that proved keepalives is over: another one is to be begun.
    pub(super) fn lose_session(&mut self, now: Duration) {
        (self.keepalive, self.timer) = (KeepaliveSession::default(), KeepaliveTimer::new(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ip(last: u8) -> Ipv4Addr {
        [10, 0, 0, last].into()
    }

    fn heard(servers: &HeardServers) -> Vec<Ipv4Addr> {
        servers.iter().map(|heard| heard.ip).collect()
    }

    #[test]
    fn a_silent_server_is_forgotten_after_thirty_seconds() {
        let mut servers = HeardServers::default();
        servers.handle_heartbeat(at(0), ip(1), None, None);
        servers.handle_heartbeat(at(10), ip(2), None, None);
        servers.handle_timeout(at(29));
        assert_eq!(heard(&servers), [ip(1), ip(2)]);
        servers.handle_timeout(at(30));
        assert_eq!(heard(&servers), [ip(2)]);
    }

    #[test]
    fn a_capability_counts_for_thirty_seconds() {
        let mut servers = HeardServers::default();
        servers.handle_heartbeat(at(0), ip(1), Some(Token(7)), None);
        servers.handle_heartbeat(at(20), ip(1), None, None);
        assert_eq!((servers.capability(at(29), ip(1)), servers.capability(at(30), ip(1))), (Some(Token(7)), None));
        assert!(servers.iter().all(Heard::speaks_v2));
    }

    #[test]
    fn forged_heartbeats_take_no_memory_and_keep_the_true_server_out_only_without_keys() {
        for (mut random, is_heard_in_the_end) in [(None, false), (Some(Random::new(1)), true)] {
            let mut servers = HeardServers::default();
            (1..=200).for_each(|last| servers.handle_heartbeat(at(0), ip(last), None, random.as_mut()));
            servers.handle_heartbeat(at(1), ip(250), None, random.as_mut());
            assert_eq!(servers.iter().count(), HeardServers::MAX);
            assert_eq!(heard(&servers).contains(&ip(250)), is_heard_in_the_end);
        }
    }
}
