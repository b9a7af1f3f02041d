//! A version 3 session of a host: its address, its authentication, and the STALE that is still to be sent in it.

use crate::wire::auth::{Key, SessionMac, SessionName, Side};
use crate::wire::Token;
use std::net::SocketAddrV4;
use std::time::Duration;

pub(super) struct Session {
    address: SocketAddrV4,
    run: Token,
    credential: Credential,
    /// Present if the host has a key.
    mac: Option<SessionMac>,
    stale_left: u32,
    next_stale: Duration,
}

/// What a host proved when it began its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    /// Nothing: the server requires no key of it.
    NotRequired,
    /// It has this key.
    Key(Key),
}

impl Credential {
    pub(super) fn key(&self) -> Option<&Key> {
        match self {
            Self::NotRequired => None,
            Self::Key(key) => Some(key),
        }
    }
}

impl Session {
    const STALE_INTERVAL: Duration = Duration::from_secs(1);
    /// STALE is sent this often unless the agent fetches the configuration.
    const STALE_TIMES: u32 = 10;

    pub(super) fn new(address: SocketAddrV4, credential: Credential, name: SessionName<'_>) -> Self {
        let mac = credential.key().map(|key| key.session(Side::Server, name));
        Self { address, run: name.run, credential, mac, stale_left: 0, next_stale: Duration::ZERO }
    }

    pub(super) fn address(&self) -> SocketAddrV4 {
        self.address
    }

    pub(super) fn run(&self) -> Token {
        self.run
    }

    /// What the agent proved when it began the session.
    pub(super) fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Signs and verifies the datagrams of the session, if the host has a key.
    pub(super) fn mac_mut(&mut self) -> Option<&mut SessionMac> {
        self.mac.as_mut()
    }

    pub(super) fn has_mac(&self) -> bool {
        self.mac.is_some()
    }

    /// The configuration changed: schedules STALE.
    pub(super) fn handle_changed(&mut self, now: Duration) {
        (self.stale_left, self.next_stale) = (Self::STALE_TIMES, now);
    }

    /// The agent has the current configuration, or is fetching it.
    pub(super) fn handle_up_to_date(&mut self) {
        self.stale_left = 0;
    }

    pub(super) fn has_scheduled_stale(&self) -> bool {
        self.stale_left > 0
    }

    /// Returns whether to send a STALE now. If so, it counts as sent.
    pub(super) fn take_stale(&mut self, now: Duration) -> bool {
        let is_due = self.stale_left > 0 && self.next_stale <= now;
        if is_due {
            self.stale_left -= 1;
            self.next_stale = now + Self::STALE_INTERVAL;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(credential: Credential) -> Session {
        let name = SessionName { host: "h", run: Token(1), nonce: Token(2), cookie: Token(3) };
        Session::new(SocketAddrV4::new([10, 0, 0, 1].into(), 4360), credential, name)
    }

    #[test]
    fn a_change_is_announced_every_second_ten_times_unless_the_agent_fetches_it() {
        let mut session = session(Credential::NotRequired);
        let at = Duration::from_secs;
        assert!(!session.take_stale(at(0)));
        session.handle_changed(at(5));
        assert!(session.take_stale(at(5)) && !session.take_stale(at(5)));
        assert_eq!((6..60).filter(|second| session.take_stale(at(*second))).count(), 9);
        session.handle_changed(at(60));
        session.handle_up_to_date();
        assert!(!session.take_stale(at(60)) && !session.has_scheduled_stale());
    }

    #[test]
    fn only_a_session_that_began_with_a_key_has_a_mac() {
        assert!(!session(Credential::NotRequired).has_mac());
        assert!(session(Credential::Key(Key::new([7; 32]))).has_mac());
    }
}
