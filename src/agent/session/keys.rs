//! The keys by which an agent knows its server, and the session that was proven with one of them. Without keys every server is believed.

use crate::now::Millis;
use crate::wire::auth::{Key, SessionMac, SessionName, Side};
use crate::wire::{Message, Token};

/// What an agent holds against servers that have not its key.
#[derive(Default)]
pub(in crate::agent) struct Trust {
    keys: Vec<Key>,
    /// Which key was used last.
    turn: usize,
    /// The session that was proven last, which lives until another one is.
    session: Option<Box<SessionMac>>,
    /// When what no one has proven may next cause a handshake.
    next_hint: Millis,
}

/// The answer to an offer: what is said until the server answers that, and the session that begins then.
pub(in crate::agent) struct Join {
    pub(in crate::agent) datagram: Vec<u8>,
    pub(in crate::agent) said: u32,
    pub(in crate::agent) mac: Option<Box<SessionMac>>,
}

/// How an agent with a key shows a server that it has not selected that it lives: by a session that serves for nothing else.
#[derive(Default)]
pub(in crate::agent) struct KeepaliveSession {
    nonce: Option<Token>,
    join: Option<Join>,
    session: Option<Box<SessionMac>>,
    unanswered: u32,
}

impl KeepaliveSession {
    /// So often each of its datagrams is said; then it begins anew.
    const MAX_TRIES: u32 = 4;

    /// What is to be said now: ALIVE in the session, or else what leads to one. The nonce is for a handshake that begins.
    pub(in crate::agent) fn say(&mut self, trust: &mut Trust, nonce: Token, alive: &Message<'_>) -> Vec<u8> {
        self.unanswered += 1;
        let Message::Alive { host, run, .. } = *alive else { return Vec::new() };
        if self.unanswered > Self::MAX_TRIES {
            *self = Self { unanswered: 1, ..Self::default() };
        }
        match (&mut self.session, &self.join) {
            (Some(session), _) => session.signed(alive.emit()),
            (None, Some(join)) => join.datagram.clone(),
            (None, None) => trust.sign_hello(Message::Hello { host, run, nonce: *self.nonce.insert(nonce) }.emit()),
        }
    }

    /// Answers an OFFER.
    pub(in crate::agent) fn handle_offer(&mut self, trust: &Trust, offer: &[u8], name: SessionName<'_>) -> Option<Vec<u8>> {
        if self.nonce != Some(name.nonce) || self.join.is_some() {
            return None;
        }
        self.unanswered = 0;
        Some(self.join.insert(trust.join(offer, name)?).datagram.clone())
    }

    /// Whether the server has said that in the session, or has begun it with that.
    pub(in crate::agent) fn open(&mut self, datagram: &[u8]) -> bool {
        let answered = match (&mut self.session, &mut self.join) {
            (Some(session), _) => session.verify(datagram).is_ok(),
            (None, Some(Join { mac: Some(mac), .. })) => mac.verify(datagram).is_ok(),
            _ => false,
        };
        if answered {
            let begun = self.join.take().and_then(|join| join.mac);
            *self = Self { session: self.session.take().or(begun), ..Self::default() };
        }
        answered
    }

    pub(in crate::agent) fn has_session(&self) -> bool {
        self.session.is_some()
    }
}

/// How a datagram proves that it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) enum Proof {
    /// None is asked for.
    Open,
    /// None: it may only say what ends nothing.
    Hint,
    /// The seal of the session.
    Session,
    /// The seal of a session that begins with it.
    Begins,
}

impl Trust {
    /// What is not proven causes a handshake this often at most.
    const HINT_INTERVAL: Millis = Millis::from_secs(10);

    pub(in crate::agent) fn set_keys(&mut self, keys: Vec<Key>) {
        self.keys = keys;
    }

    pub(in crate::agent) fn is_keyed(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether a hint is to be followed; if so it counts as followed.
    pub(in crate::agent) fn may_follow_hint(&mut self, now: Millis) -> bool {
        let may = !self.is_keyed() || now >= self.next_hint;
        if may {
            self.next_hint = now + Self::HINT_INTERVAL;
        }
        may
    }

    /// A HELLO, signed with each of the keys in turn.
    pub(in crate::agent) fn sign_hello(&mut self, hello: Vec<u8>) -> Vec<u8> {
        if self.keys.is_empty() {
            return hello;
        }
        self.turn = (self.turn + 1) % self.keys.len();
        signed(self.keys[self.turn], hello)
    }

    /// Answers an OFFER: the JOIN, and the session that it asks for if there are keys. `None` where none of the keys has signed the OFFER.
    pub(in crate::agent) fn join(&self, offer: &[u8], name: SessionName<'_>) -> Option<Join> {
        let SessionName { host, run, nonce, cookie } = name;
        let join = Message::Join { host, run, nonce, cookie }.emit();
        if self.keys.is_empty() {
            return Some(Join { datagram: join, said: 0, mac: None });
        }
        let key = self.keys.iter().find(|key| key.verify(Side::Server, offer).is_ok())?;
        Some(Join { datagram: signed(*key, join), said: 0, mac: Some(Box::new(key.session(Side::Agent, name))) })
    }

    /// That session is the one from now on.
    pub(in crate::agent) fn begin(&mut self, session: Option<Box<SessionMac>>) {
        self.session = session;
    }

    /// What the server says in the session.
    pub(in crate::agent) fn open<'d>(&mut self, datagram: &'d [u8]) -> Option<&'d [u8]> {
        self.session.as_mut()?.verify(datagram).ok()
    }

    /// What is said to the server, with the seal of the session if it has one.
    pub(in crate::agent) fn signed(&mut self, datagram: Vec<u8>) -> Vec<u8> {
        match &mut self.session {
            Some(session) => session.signed(datagram),
            None => datagram,
        }
    }
}

fn signed(key: Key, mut datagram: Vec<u8>) -> Vec<u8> {
    let tail = key.sign(Side::Agent, &datagram);
    datagram.extend(tail.as_bytes());
    datagram
}
