//! The keys by which an agent recognises its servers, and the session that one of them has proven. Without keys every server is believed.

use super::handshake::Join;
use super::keyed_session::KeyedSession;
use crate::wire::auth::{Key, SessionName, Side};
use crate::wire::Message;
use std::time::Duration;

#[derive(Default)]
pub(super) struct ServerKeys {
    keys: Vec<Key>,
    /// The index of the key that signed last.
    last_key: usize,
    /// The session that was proven last. It lives until another one is proven.
    session: Option<Box<KeyedSession>>,
    /// When an unproven datagram may next cause a handshake.
    next_hint: Duration,
}

/// How a datagram proves that it comes from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) enum Proof {
    /// There are no keys: no proof is needed.
    NotNeeded,
    /// There is none: the datagram may only say what ends nothing.
    None,
    /// The MAC of the session.
    Session,
    /// The MAC of a session that begins with this datagram.
    NewSession,
}

impl ServerKeys {
    /// Unproven datagrams cause a handshake this often at most.
    const HINT_INTERVAL: Duration = Duration::from_secs(10);

    /// Replaces the keys. A session that another key began is over.
    pub(super) fn set(&mut self, keys: Vec<Key>) {
        self.keys = keys;
        if self.session.as_ref().is_some_and(|session| !self.accepts(session)) {
            self.session = None;
        }
    }

    /// Whether one of these keys began the session.
    pub(super) fn accepts(&self, session: &KeyedSession) -> bool {
        session.is_of(&self.keys)
    }

    pub(super) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    pub(super) fn is_keyed(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether an unproven datagram may cause a handshake now. If so, it counts.
    pub(super) fn may_follow_hint(&mut self, now: Duration) -> bool {
        let may = !self.is_keyed() || now >= self.next_hint;
        if may {
            self.next_hint = now + Self::HINT_INTERVAL;
        }
        may
    }

    /// The HELLO, signed with each of the keys in turn.
    pub(super) fn sign_hello(&mut self, hello: Vec<u8>) -> Vec<u8> {
        if self.keys.is_empty() {
            return hello;
        }
        self.last_key = (self.last_key + 1) % self.keys.len();
        signed(self.keys[self.last_key], hello)
    }

    /// Answers an OFFER: the JOIN, and with keys the session that it asks for. `None` if no key of this agent signed the OFFER.
    pub(super) fn join(&self, offer: &[u8], name: SessionName<'_>) -> Option<Join> {
        let SessionName { host, run, nonce, cookie } = name;
        let join = Message::Join { host, run, nonce, cookie }.emit();
        if self.keys.is_empty() {
            return Some(Join::new(join, None));
        }
        let key = self.keys.iter().find(|key| key.verify(Side::Server, offer).is_ok())?;
        Some(Join::new(signed(*key, join), Some(Box::new(KeyedSession::new(*key, name)))))
    }

    /// That session is the one from now on.
    pub(super) fn set_session(&mut self, session: Option<Box<KeyedSession>>) {
        self.session = session;
    }

    /// A datagram of the session, without its MAC.
    pub(super) fn verify<'d>(&mut self, datagram: &'d [u8]) -> Option<&'d [u8]> {
        self.session.as_mut()?.verify(datagram)
    }

    /// The datagram, with the MAC of the session if there is one.
    pub(super) fn signed(&mut self, datagram: Vec<u8>) -> Vec<u8> {
        match &mut self.session {
            Some(session) => session.signed(datagram),
            None => datagram,
        }
    }
}

fn signed(key: Key, mut datagram: Vec<u8>) -> Vec<u8> {
    let mac = key.sign(Side::Agent, &datagram);
    datagram.extend(mac.as_bytes());
    datagram
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Token;

    const NAME: SessionName<'_> = SessionName { host: "h", run: Token(1), nonce: Token(2), cookie: Token(3) };

    fn key(byte: u8) -> Key {
        Key::new([byte; 32])
    }

    fn offer(key: Key) -> Vec<u8> {
        let offer = Message::Offer { host: "h", nonce: NAME.nonce, cookie: NAME.cookie }.emit();
        let mac = key.sign(Side::Server, &offer);
        [offer, mac.into_bytes()].concat()
    }

    #[test]
    fn an_offer_is_answered_with_the_key_that_signed_it_and_no_other() {
        let mut keys = ServerKeys::default();
        keys.set(vec![key(1), key(2)]);
        for (signer, answered) in [(1, true), (2, true), (3, false)] {
            let join = keys.join(&offer(key(signer)), NAME);
            assert_eq!(join.is_some(), answered, "{signer}");
            let is_signed = join.is_some_and(|join| key(signer).verify(Side::Agent, join.datagram()).is_ok());
            assert_eq!(is_signed, answered, "{signer}");
        }
    }

    #[test]
    fn a_session_lives_as_long_as_the_key_that_began_it() {
        let mut keys = ServerKeys::default();
        keys.set(vec![key(1), key(2)]);
        let join = keys.join(&offer(key(2)), NAME).unwrap();
        keys.set_session(join.into_session());
        for (bytes, lives) in [(vec![3, 2], true), (vec![2], true), (vec![1], false), (vec![2], false)] {
            keys.set(bytes.iter().copied().map(key).collect());
            assert_eq!(keys.has_session(), lives, "{bytes:?}");
        }
    }

    #[test]
    fn hellos_are_signed_with_each_key_in_turn() {
        let mut keys = ServerKeys::default();
        assert_eq!(keys.sign_hello(b"HELLO".to_vec()), b"HELLO");
        keys.set(vec![key(1), key(2)]);
        let signers: Vec<bool> = (0..4).map(|_| key(1).verify(Side::Agent, &keys.sign_hello(b"HELLO".to_vec())).is_ok()).collect();
        assert_eq!(signers, [false, true, false, true]);
    }

    #[test]
    fn with_keys_unproven_datagrams_cause_a_handshake_every_ten_seconds_at_most() {
        let mut keys = ServerKeys::default();
        assert!(keys.may_follow_hint(Duration::ZERO) && keys.may_follow_hint(Duration::ZERO));
        keys.set(vec![key(1)]);
        let may: Vec<u64> = (10..32).filter(|seconds| keys.may_follow_hint(Duration::from_secs(*seconds))).collect();
        assert_eq!(may, [10, 20, 30]);
    }
}
