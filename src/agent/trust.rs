//! The keys by which an agent knows its server, and the session that was proven with one of them. Without keys every server is believed.

use crate::seal::{Key, Seal, SessionName, Side};
use crate::wire::Message;
use std::time::Duration;

/// What an agent holds against servers that have not its key.
#[derive(Default)]
pub(super) struct Trust {
    keys: Vec<Key>,
    /// Which key was used last.
    turn: usize,
    /// The session that was proven last, which lives until another one is.
    session: Option<Seal>,
    /// When what no one has proven may next cause a handshake.
    next_hint: Duration,
}

/// How a datagram proves that it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// None is asked for.
    Open,
    /// None, but what it says ends nothing.
    Hint,
    /// The seal of the session.
    Session,
    /// The seal of a session that begins with it.
    Begins,
}

impl Trust {
    /// What is not proven causes a handshake this often at most.
    const HINT_INTERVAL: Duration = Duration::from_secs(10);

    pub(super) fn set_keys(&mut self, keys: Vec<Key>) {
        self.keys = keys;
    }

    pub(super) fn is_keyed(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether a hint is to be followed; if so it counts as followed.
    pub(super) fn may_follow_hint(&mut self, now: Duration) -> bool {
        let may = !self.is_keyed() || now >= self.next_hint;
        if may {
            self.next_hint = now + Self::HINT_INTERVAL;
        }
        may
    }

    /// A HELLO, signed with each of the keys in turn.
    pub(super) fn sign_hello(&mut self, hello: Vec<u8>) -> Vec<u8> {
        if self.keys.is_empty() {
            return hello;
        }
        self.turn = (self.turn + 1) % self.keys.len();
        signed(self.keys[self.turn], hello)
    }

    /// Answers an OFFER: the JOIN, and the session that it asks for if there are keys. `None` where none of the keys has signed the OFFER.
    pub(super) fn join(&self, offer: &[u8], name: SessionName<'_>) -> Option<(Vec<u8>, Option<Seal>)> {
        let SessionName { host, run, nonce, cookie } = name;
        let join = Message::Join { host, run, nonce, cookie }.emit();
        if self.keys.is_empty() {
            return Some((join, None));
        }
        let key = self.keys.iter().find(|key| key.open(Side::Server, offer).is_ok())?;
        Some((signed(*key, join), Some(key.begin(Side::Agent, name))))
    }

    /// That session is the one from now on.
    pub(super) fn begin(&mut self, session: Option<Seal>) {
        self.session = session;
    }

    /// What the server says in the session.
    pub(super) fn open<'d>(&mut self, datagram: &'d [u8]) -> Option<&'d [u8]> {
        self.session.as_mut()?.open(datagram).ok()
    }

    /// What is said to the server, with the seal of the session if it has one.
    pub(super) fn seal(&mut self, datagram: Vec<u8>) -> Vec<u8> {
        match &mut self.session {
            Some(session) => session.seal(datagram),
            None => datagram,
        }
    }
}

/// Whether a datagram that no one has proven may be listened to all the same: it ends nothing.
pub(super) fn is_hint(datagram: &[u8]) -> bool {
    let message = Message::parse(datagram);
    matches!(message, Ok(Message::Heartbeat { .. } | Message::Capability { .. } | Message::Lost { .. } | Message::Offer { .. }))
}

fn signed(key: Key, mut datagram: Vec<u8>) -> Vec<u8> {
    let tail = key.tail(Side::Agent, &datagram);
    datagram.extend(tail.as_bytes());
    datagram
}
