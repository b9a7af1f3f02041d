//! Decides which datagrams are accepted. If a host has a key, its handshake and every datagram of its session must carry a MAC. Refusals
//! are counted by reason.

use super::hosts::Hosts;
use super::session::Credential;
use crate::directives::keys::{HostKeys, Trust};
use crate::text::{sanitize, truncate};
use crate::wire::auth::{Refusal, Side};
use crate::wire::named_host;
use std::net::SocketAddrV4;
use std::time::Duration;

/// The keys of hosts, and what was refused.
#[derive(Default)]
pub(super) struct Admission {
    /// Without keys everyone is accepted.
    keys: Option<HostKeys>,
    refused: Refused,
    logged: Refused,
    /// The host that the latest refused datagram named, and its address.
    last: String,
    next_log: Duration,
    /// How many LOSTs may be sent until the next tick.
    lost_left: u32,
}

/// Whether a datagram is accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision<'d> {
    /// Accepted: what it says without its trailer, and whom it may come from.
    Accept { content: &'d [u8], origin: Origin<'d> },
    /// Refused without an answer.
    Refuse,
    /// Refused; the sender may be told by LOST that its session is not known.
    RefuseWithLost { host: &'d str },
}

/// Whom an accepted datagram may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin<'d> {
    /// Any host: the server has no keys.
    AnyHost,
    /// This host, which has proven it or needs no key.
    Host(&'d str),
    /// Unknown. Only a handshake may be: [`Admission::check_handshake`] decides about that.
    Unknown,
}

/// Datagrams that were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Refused {
    without_key: u64,
    unsigned: u64,
    bad_mac: u64,
    replayed: u64,
}

impl<'d> Origin<'d> {
    /// The host that it is, if that is certain.
    pub(super) fn host(self) -> Option<&'d str> {
        match self {
            Self::Host(name) => Some(name),
            Self::AnyHost | Self::Unknown => None,
        }
    }

    /// Whether a message that names this host may come from here.
    pub(super) fn may_be(self, host: Option<&str>) -> bool {
        match self {
            Self::AnyHost => true,
            Self::Host(name) => host == Some(name),
            Self::Unknown => false,
        }
    }
}

impl Admission {
    const LOG_INTERVAL: Duration = Duration::from_secs(60);
    /// Most LOSTs between two ticks.
    const MAX_LOST: u32 = 500;

    pub(super) fn new() -> Self {
        Self { lost_left: Self::MAX_LOST, ..Self::default() }
    }

    /// Replaces the keys. `None` accepts everyone.
    pub(super) fn set_keys(&mut self, keys: Option<HostKeys>) {
        self.keys = keys;
    }

    /// Whether there are keys at all.
    pub(super) fn requires_keys(&self) -> bool {
        self.keys.is_some()
    }

    fn trust(&self, host: &str) -> Trust {
        self.keys.as_ref().map_or(Trust::Open, |keys| keys.trust(host))
    }

    /// Whether the host needs no key, so that it may speak version 1.
    pub(super) fn is_open_for(&self, host: &str) -> bool {
        self.trust(host) == Trust::Open
    }

    /// Whether the host has a key.
    pub(super) fn has_key(&self, host: &str) -> bool {
        matches!(self.trust(host), Trust::Keys(keys) if !keys.is_empty())
    }

    /// Whether a session that began with this credential is still valid.
    pub(super) fn accepts(&self, host: &str, credential: &Credential) -> bool {
        match (self.trust(host), credential) {
            (Trust::Open, Credential::NotRequired) => true,
            (Trust::Keys(keys), Credential::Key(key)) => keys.contains(key),
            _ => false,
        }
    }

    /// Checks a datagram before it is parsed. A refusal is counted.
    pub(super) fn check<'d>(&mut self, from: SocketAddrV4, datagram: &'d [u8], hosts: &mut Hosts) -> Decision<'d> {
        let accept = |content, origin| Decision::Accept { content, origin };
        if self.keys.is_none() {
            return accept(datagram, Origin::AnyHost);
        }
        let Some((command, host)) = named_host(datagram) else { return accept(datagram, Origin::Unknown) };
        if !matches!(command, "CONFREQ" | "ALERT" | "ALIVE" | "NEED" | "SEEK" | "TAKE" | "EVENT") {
            return accept(datagram, Origin::Unknown);
        }
        let refusal = match hosts.mac_mut(host).map(|mac| mac.verify(datagram)) {
            Some(Ok(content)) => return accept(content, Origin::Host(host)),
            Some(Err(refusal)) => refusal,
            None => match self.trust(host) {
                Trust::Open => return accept(datagram, Origin::Host(host)),
                Trust::Keys(keys) if keys.is_empty() => {
                    self.refuse(from, host, None);
                    return Decision::Refuse;
                }
                Trust::Keys(_) => Refusal::Unsigned,
            },
        };
        self.refuse(from, host, Some(refusal));
        // A version 1 agent knows no sessions, and the session of a replayed datagram is known.
        if refusal == Refusal::Replayed || matches!(command, "CONFREQ" | "ALERT") {
            return Decision::Refuse;
        }
        Decision::RefuseWithLost { host }
    }

    /// Checks a datagram of a handshake. `None` refuses it, and counts that.
    pub(super) fn check_handshake(&mut self, from: SocketAddrV4, host: &str, datagram: &[u8]) -> Option<Credential> {
        let Trust::Keys(keys) = self.trust(host) else { return Some(Credential::NotRequired) };
        let mut refusal = None;
        for key in keys {
            match key.verify(Side::Agent, datagram) {
                Ok(_) => return Some(Credential::Key(key)),
                Err(reason) => refusal = Some(reason),
            }
        }
        self.refuse(from, host, refusal);
        None
    }

    /// Counts a refusal; `None` if the host has no key.
    fn refuse(&mut self, from: SocketAddrV4, host: &str, refusal: Option<Refusal>) {
        let counter = match refusal {
            None => &mut self.refused.without_key,
            Some(Refusal::Unsigned) => &mut self.refused.unsigned,
            Some(Refusal::BadMac) => &mut self.refused.bad_mac,
            Some(Refusal::Replayed) => &mut self.refused.replayed,
        };
        *counter += 1;
        // Networks duplicate datagrams now and then: that alone names nobody.
        if refusal != Some(Refusal::Replayed) {
            self.last = format!("{} at {}", sanitize(truncate(host, 64)), from.ip());
        }
    }

    /// Returns whether a LOST may be sent. If so, it counts as sent.
    pub(super) fn take_lost(&mut self) -> bool {
        let may = self.lost_left > 0;
        self.lost_left = self.lost_left.saturating_sub(1);
        may
    }

    /// Allows LOSTs again. Returns a line for the log if one is due.
    pub(super) fn handle_tick(&mut self, now: Duration) -> Option<String> {
        self.lost_left = Self::MAX_LOST;
        let Refused { without_key, unsigned, bad_mac, replayed } = self.refused;
        if now < self.next_log || self.refused == (Refused { replayed, ..self.logged }) {
            return None;
        }
        self.next_log = now + Self::LOG_INTERVAL;
        self.logged = self.refused;
        Some(format!(
            "datagrams refused since the start: {without_key} from hosts without a key, {unsigned} unsigned, {bad_mac} with a wrong MAC, \
             {replayed} replayed; the last one from {}",
            self.last
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::Source;
    use crate::server::host::Host;
    use crate::server::session::Session;
    use crate::wire::auth::{Key, SessionMac, SessionName};
    use crate::wire::Token;

    const NAME: SessionName<'static> = SessionName { host: "keyed", run: Token(1), nonce: Token(2), cookie: Token(3) };

    fn key() -> Key {
        Key::new([0x11; 32])
    }

    fn agent() -> SocketAddrV4 {
        SocketAddrV4::new([10, 0, 0, 1].into(), 4360)
    }

    /// Keys for `keyed` only, and `free`, which needs none.
    fn admission() -> Admission {
        let text = format!("keyed {}\nfree open\n", key().emit());
        let mut admission = Admission::new();
        admission.set_keys(Some(HostKeys::parse(Source { path: "keys", text: &text }).unwrap()));
        admission
    }

    /// A host in a session, and the agent's end of that session.
    fn session() -> (Hosts, SessionMac) {
        let mut hosts = Hosts::default();
        hosts.insert("keyed".into(), Host::new(Duration::ZERO, 0));
        let session = Session::new(agent(), Credential::Key(key()), NAME);
        hosts.get_mut("keyed").unwrap().handle_join(Duration::ZERO, 1, session);
        (hosts, key().session(Side::Agent, NAME))
    }

    #[test]
    fn without_keys_every_datagram_is_accepted() {
        let decision = Admission::new().check(agent(), b"ALERT%%h", &mut Hosts::default());
        assert_eq!(decision, Decision::Accept { content: b"ALERT%%h", origin: Origin::AnyHost });
        assert!(Origin::AnyHost.may_be(Some("h")) && Origin::AnyHost.may_be(None));
    }

    #[test]
    fn with_keys_a_datagram_is_accepted_by_its_command_and_its_host() {
        let mut admission = admission();
        let accept = |content, origin| Decision::Accept { content, origin };
        for (datagram, decision) in [
            ("HELLO%%3%%keyed", accept(&b"HELLO%%3%%keyed"[..], Origin::Unknown)),
            ("BOGUS", accept(b"BOGUS", Origin::Unknown)),
            ("ALERT%%free%%1", accept(b"ALERT%%free%%1", Origin::Host("free"))),
            ("ALERT%%keyed%%1", Decision::Refuse),
            ("ALIVE%%keyed%%1", Decision::RefuseWithLost { host: "keyed" }),
            ("ALIVE%%stranger%%1", Decision::Refuse),
        ] {
            assert_eq!(admission.check(agent(), datagram.as_bytes(), &mut Hosts::default()), decision, "{datagram}");
        }
        assert!(Origin::Host("free").may_be(Some("free")) && !Origin::Host("free").may_be(Some("keyed")));
        assert!(!Origin::Unknown.may_be(None));
    }

    #[test]
    fn in_a_session_only_its_own_datagrams_are_accepted_and_each_once() {
        let (mut admission, (mut hosts, mut mac)) = (admission(), session());
        let signed = mac.signed(b"ALIVE%%keyed%%1".to_vec());
        let accepted = Decision::Accept { content: b"ALIVE%%keyed%%1", origin: Origin::Host("keyed") };
        assert_eq!(admission.check(agent(), &signed, &mut hosts), accepted);
        assert_eq!(admission.check(agent(), &signed, &mut hosts), Decision::Refuse, "replayed");
        let mut forged = mac.signed(b"ALIVE%%keyed%%1".to_vec());
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(admission.check(agent(), &forged, &mut hosts), Decision::RefuseWithLost { host: "keyed" });
        assert_eq!(admission.refused, Refused { bad_mac: 1, replayed: 1, ..Refused::default() });
    }

    #[test]
    fn a_handshake_needs_a_key_of_its_host() {
        let mut admission = admission();
        let hello = b"HELLO%%3%%keyed".to_vec();
        let signed = |key: Key| [&hello[..], key.sign(Side::Agent, &hello).as_bytes()].concat();
        assert_eq!(admission.check_handshake(agent(), "free", &hello), Some(Credential::NotRequired));
        assert_eq!(admission.check_handshake(agent(), "keyed", &signed(key())), Some(Credential::Key(key())));
        for (host, datagram) in [("keyed", &hello), ("keyed", &signed(Key::new([1; 32]))), ("stranger", &signed(key()))] {
            assert_eq!(admission.check_handshake(agent(), host, datagram), None);
        }
        assert_eq!(admission.refused, Refused { without_key: 1, unsigned: 1, bad_mac: 1, replayed: 0 });
    }

    #[test]
    fn a_credential_is_valid_only_while_the_keys_have_it() {
        let mut admission = admission();
        let (with_key, without) = (Credential::Key(key()), Credential::NotRequired);
        for (host, credential, accepted) in
            [("keyed", &with_key, true), ("keyed", &without, false), ("free", &without, true), ("free", &with_key, false)]
        {
            assert_eq!(admission.accepts(host, credential), accepted, "{host} {credential:?}");
        }
        admission.set_keys(None);
        assert!(admission.accepts("keyed", &without) && !admission.accepts("keyed", &with_key));
    }

    #[test]
    fn refusals_are_logged_once_a_minute_and_replays_alone_never() {
        let mut admission = admission();
        let at = Duration::from_secs;
        assert_eq!(admission.handle_tick(at(1)), None);
        admission.refuse(agent(), "keyed", Some(Refusal::Replayed));
        assert_eq!(admission.handle_tick(at(2)), None);
        admission.refuse(agent(), "keyed", Some(Refusal::BadMac));
        let line =
            "datagrams refused since the start: 0 from hosts without a key, 0 unsigned, 1 with a wrong MAC, 1 replayed; the last one \
                    from keyed at 10.0.0.1";
        assert_eq!(admission.handle_tick(at(3)).as_deref(), Some(line));
        admission.refuse(agent(), "keyed", None);
        assert!(admission.handle_tick(at(62)).is_none() && admission.handle_tick(at(63)).is_some());
    }

    #[test]
    fn losts_are_limited_between_two_ticks() {
        let mut admission = Admission::new();
        assert_eq!((0..1000).filter(|_| admission.take_lost()).count(), 500);
        admission.handle_tick(Duration::ZERO);
        assert!(admission.take_lost());
    }
}
