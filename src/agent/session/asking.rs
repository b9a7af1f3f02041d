//! Which of the servers that have proven nothing are asked to prove the key: seldom, and with no more bytes than came from there, since
//! their addresses may be forged. Sends nothing itself.

use super::heard::{Heard, HeardServers};
use crate::random::Random;
use std::net::Ipv4Addr;
use std::time::Duration;

/// The limits of an agent that has keys.
pub(super) struct Asking {
    /// Bytes of this agent's HELLO.
    hello: usize,
    /// When the next server may be asked.
    next: Duration,
    /// The server that proved the key last. It is asked without a limit.
    proven: Option<Ipv4Addr>,
}

impl Asking {
    /// Time between two HELLOs to servers that have proven nothing, all of them together.
    const INTERVAL: Duration = Duration::from_secs(2);
    /// A server that was asked more recently is asked after all others.
    const ASKED_LATELY: Duration = Duration::from_secs(30);

    /// HELLOs of this agent have that many bytes.
    pub(super) const fn new(hello: usize) -> Self {
        Self { hello, next: Duration::ZERO, proven: None }
    }

    /// The server at that address has proven the key.
    pub(super) fn handle_proven(&mut self, ip: Ipv4Addr) {
        self.proven = Some(ip);
    }

    /// Whether the server at that address proved the key last.
    pub(super) fn is_proven(&self, ip: Ipv4Addr) -> bool {
        self.proven == Some(ip)
    }

    /// Whether so many bytes from a server suffice for asking it.
    pub(super) fn suffice(&self, bytes: usize) -> bool {
        bytes >= self.hello
    }

    /// When the server may be asked, where that is due at `due`. `None` if too few bytes came from there.
    pub(super) fn due(&self, heard: &Heard, due: Duration) -> Option<Duration> {
        if self.is_proven(heard.ip) {
            return Some(due);
        }
        self.suffice(heard.bytes).then_some(due.max(self.next))
    }

    /// Draws the server to be asked now. `due` says when that would be due, for those that are to be asked.
    pub(super) fn draw(
        &self,
        now: Duration,
        servers: &HeardServers,
        due: impl Fn(&Heard) -> Option<Duration>,
        random: &mut Random,
    ) -> Option<Ipv4Addr> {
        let may = |heard: &&Heard| due(heard).and_then(|due| self.due(heard, due)).is_some_and(|due| due <= now);
        let waits = |heard: &&Heard| !heard.was_asked_within(now, Self::ASKED_LATELY);
        let mut candidates: Vec<&Heard> = servers.iter().filter(may).collect();
        if candidates.iter().any(waits) {
            candidates.retain(waits);
        }
        let at = usize::try_from(random.below(candidates.len() as u64)).unwrap_or(0);
        candidates.get(at).map(|heard| heard.ip)
    }

    /// The server was asked.
    pub(super) fn handle_asked(&mut self, now: Duration, heard: &mut Heard) {
        heard.bytes = heard.bytes.saturating_sub(self.hello);
        heard.asked = Some(now);
        self.next = now + Self::INTERVAL;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: usize = 100;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ip(last: u8) -> Ipv4Addr {
        [10, 0, 0, last].into()
    }

    fn heard(bytes: &[(u8, usize)]) -> HeardServers {
        let mut servers = HeardServers::default();
        bytes.iter().for_each(|(last, bytes)| servers.handle_heartbeat(at(0), ip(*last), None, *bytes, None));
        servers
    }

    fn ask(asking: &mut Asking, servers: &mut HeardServers, seconds: u64, random: &mut Random) -> Option<u8> {
        let drawn = asking.draw(at(seconds), servers, |_| Some(Duration::ZERO), random)?;
        asking.handle_asked(at(seconds), servers.get_mut(drawn).unwrap());
        Some(drawn.octets()[3])
    }

    #[test]
    fn one_server_is_asked_every_two_seconds_and_each_only_for_the_bytes_that_came_from_it() {
        let (mut asking, mut random) = (Asking::new(HELLO), Random::new(1));
        let mut servers = heard(&[(1, HELLO - 1), (2, HELLO), (3, 2 * HELLO), (4, HELLO)]);
        let asked: Vec<_> = (0..12).map(|seconds| ask(&mut asking, &mut servers, seconds, &mut random)).collect();
        assert!(asked.iter().skip(1).step_by(2).all(Option::is_none), "{asked:?}");
        let mut servers_asked: Vec<u8> = asked.iter().copied().flatten().collect();
        assert_eq!(servers_asked[3], 3, "the one that was asked before comes last: {asked:?}");
        servers_asked.sort_unstable();
        assert_eq!(servers_asked, [2, 3, 3, 4]);
    }

    #[test]
    fn every_server_is_drawn_in_its_turn_sooner_or_later() {
        let first: std::collections::BTreeSet<_> = (0..100)
            .map(|seed| ask(&mut Asking::new(HELLO), &mut heard(&[(1, HELLO), (2, HELLO), (3, HELLO)]), 0, &mut Random::new(seed)))
            .collect();
        assert_eq!(first.len(), 3);
    }

    #[test]
    fn the_server_that_proved_the_key_last_is_asked_without_a_limit() {
        let (mut asking, servers) = (Asking::new(HELLO), heard(&[(1, 1), (2, 1)]));
        asking.handle_proven(ip(1));
        let due: Vec<_> = servers.iter().map(|heard| asking.due(heard, at(7))).collect();
        assert_eq!(due, [Some(at(7)), None]);
    }
}
