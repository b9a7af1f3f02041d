//! How a session with the selected server begins: HELLO until the server makes an OFFER, then JOIN until the server speaks within the
//! session. Signs nothing itself.

use super::keyed_session::KeyedSession;
use crate::wire::Token;
use std::time::Duration;

pub(super) struct Handshake {
    nonce: Token,
    /// HELLOs without an answer.
    unanswered: u32,
    /// When HELLO or JOIN is due.
    due: Duration,
    /// Once the server has made an offer.
    join: Option<Join>,
}

/// The answer to an OFFER. It is repeated until the server answers it.
pub(super) struct Join {
    datagram: Vec<u8>,
    sent: u32,
    /// The session that begins with the server's answer, where there are keys.
    session: Option<Box<KeyedSession>>,
}

impl Join {
    /// The JOIN is sent so often before another offer is asked for.
    const MAX_TRIES: u32 = 4;

    pub(super) fn new(datagram: Vec<u8>, session: Option<Box<KeyedSession>>) -> Self {
        Self { datagram, sent: 0, session }
    }

    pub(super) fn datagram(&self) -> &[u8] {
        &self.datagram
    }

    pub(super) fn session(&self) -> Option<&KeyedSession> {
        self.session.as_deref()
    }

    pub(super) fn session_mut(&mut self) -> Option<&mut KeyedSession> {
        self.session.as_deref_mut()
    }

    pub(super) fn into_session(self) -> Option<Box<KeyedSession>> {
        self.session
    }

    fn send(&mut self) -> Vec<u8> {
        self.sent += 1;
        self.datagram.clone()
    }
}

impl Handshake {
    pub(super) const HELLO_INTERVAL: Duration = Duration::from_secs(2);
    /// Time between two HELLOs to a server that does not answer and may come to.
    const PROBE_INTERVAL: Duration = Duration::from_secs(10);

    /// A HELLO with that nonce is due now.
    pub(super) fn new(now: Duration, nonce: Token) -> Self {
        Self { nonce, unanswered: 0, due: now, join: None }
    }

    pub(super) fn due(&self) -> Duration {
        self.due
    }

    pub(super) fn nonce(&self) -> Token {
        self.nonce
    }

    /// HELLOs without an answer.
    pub(super) fn unanswered(&self) -> u32 {
        self.unanswered
    }

    /// Whether a HELLO is what is due next.
    pub(super) fn is_hello_due(&self) -> bool {
        self.join.is_none()
    }

    /// The session that begins if the server speaks in it.
    pub(super) fn offered_session(&mut self) -> Option<&mut KeyedSession> {
        self.join.as_mut()?.session_mut()
    }

    /// The server made an offer, for which `join` makes the answer unless there is one already. Returns the JOIN to be sent.
    pub(super) fn handle_offer(&mut self, now: Duration, join: impl FnOnce() -> Option<Join>) -> Option<Vec<u8>> {
        if self.join.is_none() {
            self.join = Some(join()?);
        }
        // Whoever repeats the offer must not have it answered for ever.
        let join = self.join.as_mut().filter(|join| join.sent < Join::MAX_TRIES)?;
        self.unanswered = 0;
        self.due = now + Self::HELLO_INTERVAL;
        Some(join.send())
    }

    /// The server speaks within the session. Returns the JOIN that it answers; without one its datagram is late.
    pub(super) fn take_join(&mut self) -> Option<Join> {
        self.join.take()
    }

    /// The JOIN that is to be repeated now. `None` if a HELLO is due: with a new nonce if the JOINs stayed without an answer.
    pub(super) fn repeat_join(&mut self, now: Duration, new_nonce: impl FnOnce() -> Token) -> Option<Vec<u8>> {
        if let Some(join) = self.join.as_mut().filter(|join| join.sent < Join::MAX_TRIES) {
            self.due = now + Self::HELLO_INTERVAL;
            return Some(join.send());
        }
        if self.join.take().is_some() {
            self.nonce = new_nonce();
        }
        None
    }

    /// A HELLO was sent. Above `max_hellos` without an answer the next one is less urgent.
    pub(super) fn handle_hello_sent(&mut self, now: Duration, max_hellos: Option<u32>) {
        self.unanswered += 1;
        let is_slow = max_hellos.is_some_and(|max| self.unanswered > max);
        self.due = now + if is_slow { Self::PROBE_INTERVAL } else { Self::HELLO_INTERVAL };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn join() -> Option<Join> {
        Some(Join::new(b"JOIN".to_vec(), None))
    }

    #[test]
    fn a_join_is_sent_four_times_and_then_hello_with_another_nonce() {
        let mut handshake = Handshake::new(at(0), Token(1));
        assert_eq!(handshake.handle_offer(at(0), join).as_deref(), Some(&b"JOIN"[..]));
        for seconds in [2, 4, 6] {
            assert_eq!(handshake.due(), at(seconds));
            assert!(handshake.repeat_join(at(seconds), || Token(2)).is_some());
        }
        assert_eq!((handshake.repeat_join(at(8), || Token(2)), handshake.nonce()), (None, Token(2)));
        assert!(handshake.take_join().is_none());
    }

    #[test]
    fn a_repeated_offer_is_answered_by_the_same_join_four_times_in_all() {
        let mut handshake = Handshake::new(at(0), Token(1));
        assert!(handshake.handle_offer(at(0), join).is_some());
        let mut repeat = |seconds| handshake.handle_offer(at(seconds), || panic!("there is a JOIN"));
        assert_eq!(repeat(1).as_deref(), Some(&b"JOIN"[..]));
        assert!(repeat(1).is_some() && repeat(1).is_some() && repeat(1).is_none(), "four in all");
    }

    #[test]
    fn an_offer_that_proves_nothing_changes_nothing() {
        let mut handshake = Handshake::new(at(0), Token(1));
        handshake.handle_hello_sent(at(0), None);
        assert_eq!(handshake.handle_offer(at(1), || None), None);
        assert_eq!((handshake.unanswered(), handshake.due()), (1, at(2)));
    }

    #[test]
    fn hellos_that_stay_without_answer_become_rare_only_where_a_limit_is_given() {
        for (max, due) in [(None, [2, 4, 6]), (Some(1), [2, 12, 22])] {
            let mut handshake = Handshake::new(at(0), Token(1));
            for due in due {
                handshake.handle_hello_sent(handshake.due(), max);
                assert_eq!(handshake.due(), at(due), "{max:?}");
            }
        }
    }
}
