//! The agent's end of a session that a key began. Decides nothing.

use crate::wire::auth::{Key, SessionMac, SessionName, Side};

pub(super) struct KeyedSession {
    key: Key,
    mac: SessionMac,
}

impl KeyedSession {
    pub(super) fn new(key: Key, name: SessionName<'_>) -> Self {
        Self { key, mac: key.session(Side::Agent, name) }
    }

    /// Whether one of these keys began it.
    pub(super) fn is_of(&self, keys: &[Key]) -> bool {
        keys.contains(&self.key)
    }

    /// A datagram of the session, without its MAC. `None` if it is none.
    pub(super) fn verify<'d>(&mut self, datagram: &'d [u8]) -> Option<&'d [u8]> {
        self.mac.verify(datagram).ok()
    }

    /// The datagram with the MAC of the session.
    pub(super) fn signed(&mut self, datagram: Vec<u8>) -> Vec<u8> {
        self.mac.signed(datagram)
    }
}
