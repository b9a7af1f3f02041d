//! When a server is told that this agent lives, and how a server that is not selected can believe it. Sends nothing itself.

use super::handshake::Join;
use super::keyed_session::KeyedSession;
use super::keys::ServerKeys;
use crate::wire::auth::SessionName;
use crate::wire::{Message, Token};
use std::time::Duration;

/// When a keepalive is due. It is repeated while no answer comes: three lost datagrams in a row must not make a live host look dead.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepaliveTimer {
    due: Duration,
    /// When the next keepalive is due if the last one is answered; `None` while no answer is awaited.
    due_if_answered: Option<Duration>,
    repeats: u32,
    last_sent: Option<Duration>,
}

/// A session with a server that is not selected, where there are keys. It serves only to prove the keepalives.
#[derive(Default)]
pub(super) struct KeepaliveSession {
    nonce: Option<Token>,
    join: Option<Join>,
    session: Option<Box<KeyedSession>>,
    unanswered: u32,
}

/// When an agent tells a version 1 server, by an event, that it idles.
pub(super) struct IdleTimer {
    /// When something was last sent to a version 1 server.
    last_sent: Duration,
}

impl KeepaliveTimer {
    /// Time before the first repeat, and between repeats.
    pub(super) const REPEAT_INTERVAL: Duration = Duration::from_secs(5);
    /// A server whose heartbeats stay away for so long is asked whether it is there.
    const MISSED: Duration = Duration::from_secs(10);
    /// Repeats end before the next keepalive is due anyway.
    const REPEATED_FOR: Duration = Duration::from_secs(50);

    /// A keepalive is due now.
    pub(super) fn new(now: Duration) -> Self {
        Self { due: now, due_if_answered: None, repeats: 0, last_sent: None }
    }

    pub(super) fn due(&self) -> Duration {
        self.due
    }

    /// When a keepalive is due to a server that was last heard at that time and answers keepalives: sooner if its heartbeats stay away,
    /// since a network may drop broadcasts and nothing else.
    pub(super) fn due_where_heard(&self, last_heard: Duration) -> Duration {
        let missed = last_heard + Self::MISSED;
        self.due.min(self.last_sent.map_or(missed, |sent| missed.max(sent + Self::REPEAT_INTERVAL)))
    }

    /// A keepalive was sent. The next is due after the interval, or after `repeat` if that is given and no answer comes.
    pub(super) fn handle_sent(&mut self, now: Duration, interval: Duration, repeat: Option<Duration>) {
        let repeat = repeat.filter(|repeat| interval > *repeat && *repeat * self.repeats < Self::REPEATED_FOR);
        *self = match repeat {
            Some(repeat) => Self { due: now + repeat, due_if_answered: Some(now + interval), repeats: self.repeats + 1, last_sent: None },
            None => Self::new(now + interval),
        };
        self.last_sent = Some(now);
    }

    /// The server has answered.
    pub(super) fn handle_answer(&mut self) {
        if let Some(due) = self.due_if_answered {
            *self = Self { last_sent: self.last_sent, ..Self::new(due) };
        }
    }
}

impl KeepaliveSession {
    /// Each of its datagrams is sent so often. Then it begins anew.
    const MAX_TRIES: u32 = 4;

    /// The datagram to be sent now: ALIVE within the session, or what leads to a session. `nonce` is for a handshake that begins.
    pub(super) fn next_datagram(&mut self, keys: &mut ServerKeys, nonce: Token, alive: &Message<'_>) -> Vec<u8> {
        self.unanswered += 1;
        let Message::Alive { host, run, .. } = *alive else { return Vec::new() };
        if self.unanswered > Self::MAX_TRIES {
            *self = Self { unanswered: 1, ..Self::default() };
        }
        match (&mut self.session, &self.join) {
            (Some(session), _) => session.signed(alive.emit()),
            (None, Some(join)) => join.datagram().to_vec(),
            (None, None) => keys.sign_hello(Message::Hello { host, run, nonce: *self.nonce.insert(nonce) }.emit()),
        }
    }

    /// Answers an OFFER.
    pub(super) fn handle_offer(&mut self, keys: &ServerKeys, offer: &[u8], name: SessionName<'_>) -> Option<Vec<u8>> {
        if self.nonce != Some(name.nonce) || self.join.is_some() {
            return None;
        }
        self.unanswered = 0;
        Some(self.join.insert(keys.join(offer, name)?).datagram().to_vec())
    }

    /// Whether the datagram is one of this session, or begins it.
    pub(super) fn verify(&mut self, datagram: &[u8]) -> bool {
        let offered = self.join.as_mut().and_then(Join::session_mut);
        let is_proven = match (&mut self.session, offered) {
            (Some(session), _) => session.verify(datagram).is_some(),
            (None, Some(session)) => session.verify(datagram).is_some(),
            (None, None) => false,
        };
        if is_proven {
            let begun = self.join.take().and_then(Join::into_session);
            *self = Self { session: self.session.take().or(begun), ..Self::default() };
        }
        is_proven
    }

    pub(super) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Whether a HELLO is what is sent next.
    pub(super) fn is_hello_due(&self) -> bool {
        self.unanswered >= Self::MAX_TRIES || self.session.is_none() && self.join.is_none()
    }

    /// Whether its session began, or is about to begin, with a key that is none of these.
    pub(super) fn is_refused_by(&self, keys: &ServerKeys) -> bool {
        let offered = self.join.as_ref().and_then(Join::session);
        self.session.as_deref().or(offered).is_some_and(|session| !keys.accepts(session))
    }
}

impl IdleTimer {
    const IDLE_AFTER: Duration = Duration::from_secs(67);
    /// With so many events waiting the server hears of the agent anyway.
    const MAX_WAITING: usize = 2;

    pub(super) fn new(now: Duration) -> Self {
        Self { last_sent: now }
    }

    pub(super) fn handle_sent(&mut self, now: Duration) {
        self.last_sent = now;
    }

    /// When the agent idles, where that many events wait.
    pub(super) fn due(&self, waiting: usize) -> Option<Duration> {
        (waiting <= Self::MAX_WAITING).then(|| self.last_sent + Self::IDLE_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::auth::{Key, Side};
    use crate::wire::{Build, Revision};

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_keepalive_without_answer_is_repeated_for_most_of_its_interval() {
        let mut timer = KeepaliveTimer::new(at(0));
        let mut sent = Vec::new();
        for seconds in 0..=130 {
            if timer.due() <= at(seconds) {
                timer.handle_sent(at(seconds), at(60), Some(KeepaliveTimer::REPEAT_INTERVAL));
                sent.push(seconds);
            }
        }
        assert_eq!(sent[..11], [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50]);
        assert_eq!(sent[11], 110, "{sent:?}");
    }

    #[test]
    fn a_server_that_is_not_heard_is_asked_after_ten_seconds_and_then_every_five() {
        let (mut timer, mut sent) = (KeepaliveTimer::new(at(0)), Vec::new());
        let heard = |seconds: u64| if seconds < 20 { seconds } else { 20 };
        for seconds in 0..45 {
            if timer.due_where_heard(at(heard(seconds))) <= at(seconds) {
                timer.handle_sent(at(seconds), at(60), Some(KeepaliveTimer::REPEAT_INTERVAL));
                sent.push(seconds);
                if seconds < 20 {
                    timer.handle_answer();
                }
            }
        }
        assert_eq!(sent, [0, 30, 35, 40]);
    }

    #[test]
    fn an_answer_ends_the_repeats_and_a_server_that_never_answers_gets_none() {
        let mut timer = KeepaliveTimer::new(at(0));
        timer.handle_sent(at(0), at(60), Some(at(5)));
        timer.handle_answer();
        assert_eq!(timer.due(), at(60));
        timer.handle_answer();
        assert_eq!(timer.due(), at(60));
        timer.handle_sent(at(60), at(60), None);
        assert_eq!(timer.due(), at(120));
    }

    #[test]
    fn a_keepalive_session_proves_itself_and_begins_anew_after_four_tries() {
        let key = Key::new([1; 32]);
        let mut keys = ServerKeys::default();
        keys.set(vec![key]);
        let mut session = KeepaliveSession::default();
        let alive = Message::Alive { host: "h", run: Token(1), revision: Revision::NONE, build: Build::OWN };
        let mut next = |session: &mut KeepaliveSession, nonce| {
            let datagram = session.next_datagram(&mut keys, Token(nonce), &alive);
            String::from_utf8(datagram).unwrap().split("%%").next().unwrap().to_string()
        };
        assert_eq!(next(&mut session, 2), "HELLO");
        let name = SessionName { host: "h", run: Token(1), nonce: Token(2), cookie: Token(3) };
        let offer = Message::Offer { host: "h", nonce: name.nonce, cookie: name.cookie }.emit();
        let offer = [&offer[..], key.sign(Side::Server, &offer).as_bytes()].concat();
        let mut own = ServerKeys::default();
        own.set(vec![key]);
        assert!(session.handle_offer(&own, &offer, name).is_some());
        assert_eq!(next(&mut session, 4), "JOIN");
        assert!(!session.verify(b"HERE%%h") && !session.has_session());
        let mut server = key.session(Side::Server, name);
        assert!(session.verify(&server.signed(b"HERE%%h".to_vec())) && session.has_session());
        let sent: Vec<String> = (0..5).map(|_| next(&mut session, 5)).collect();
        assert_eq!(sent, ["ALIVE", "ALIVE", "ALIVE", "ALIVE", "HELLO"]);
    }

    #[test]
    fn an_agent_idles_after_67_seconds_of_silence_unless_events_wait() {
        let mut timer = IdleTimer::new(at(1));
        timer.handle_sent(at(10));
        assert_eq!((timer.due(0), timer.due(2), timer.due(3)), (Some(at(77)), Some(at(77)), None));
    }
}
