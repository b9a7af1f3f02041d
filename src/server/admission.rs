//! Who is let in where hosts have keys: every datagram of a host with a key has to end in the seal of its session, and its session begins
//! with its key. What is refused is counted by reason.

use super::{Host, Server};
use crate::directives::keys::{HostKeys, Trust};
use crate::now::Now;
use crate::text::{sanitize, truncate};
use crate::wire::auth::{Key, Refusal, Side};
use crate::wire::{named_host, Message};
use std::net::SocketAddrV4;
use std::time::Duration;

/// The keys of hosts, and what was refused for want of them.
#[derive(Default)]
pub(super) struct Admission {
    /// Without them everyone is let in.
    keys: Option<HostKeys>,
    refused: Refused,
    logged: Refused,
    /// Whose datagram was refused last, as it said.
    last: String,
    next_log: Duration,
    /// How many LOSTs may be said until the next tick.
    hints_left: u32,
}

/// Datagrams that were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Refused {
    without_key: u64,
    unsigned: u64,
    badly_signed: u64,
    replayed: u64,
}

impl Admission {
    pub(super) fn new() -> Self {
        Self { hints_left: Self::HINTS_AT_ONCE, ..Self::default() }
    }

    const LOG_INTERVAL: Duration = Duration::from_secs(60);
    /// Most LOSTs of one tick.
    const HINTS_AT_ONCE: u32 = 500;

    fn trust(&self, host: &str) -> Trust {
        self.keys.as_ref().map_or(Trust::Open, |keys| keys.trust(host))
    }

    /// Whether that host need not prove itself, and may be of version 1.
    pub(super) fn is_open_for(&self, host: &str) -> bool {
        self.trust(host) == Trust::Open
    }

    fn refuse(&mut self, from: SocketAddrV4, host: &str, refusal: Option<Refusal>) {
        let counter = match refusal {
            None => &mut self.refused.without_key,
            Some(Refusal::Unsigned) => &mut self.refused.unsigned,
            Some(Refusal::BadMac) => &mut self.refused.badly_signed,
            Some(Refusal::Replayed) => &mut self.refused.replayed,
        };
        *counter += 1;
        // A network doubles datagrams now and then.
        if refusal != Some(Refusal::Replayed) {
            self.last = format!("{} at {}", sanitize(truncate(host, 64)), from.ip());
        }
    }

    /// Begins another tick. Returns what is to be logged.
    pub(super) fn handle_tick(&mut self, now: Duration) -> Option<String> {
        self.hints_left = Self::HINTS_AT_ONCE;
        let Refused { without_key, unsigned, badly_signed, replayed } = self.refused;
        if now < self.next_log || self.refused == (Refused { replayed, ..self.logged }) {
            return None;
        }
        self.next_log = now + Self::LOG_INTERVAL;
        self.logged = self.refused;
        Some(format!(
            "refused since the start: {without_key} of hosts without a key here, {unsigned} unsigned, {badly_signed} badly signed, \
             {replayed} replayed; the last as {}",
            self.last
        ))
    }

    /// Whether an answer may be sent that says no more than that a session is not known.
    pub(super) fn may_hint(&mut self) -> bool {
        let may = self.hints_left > 0;
        self.hints_left = self.hints_left.saturating_sub(1);
        may
    }
}

impl Server {
    /// Lets hosts in by these keys from now on, without any everyone. Sessions that began with a key that counts no more end.
    pub fn set_keys(&mut self, keys: Option<HostKeys>) {
        self.gate.keys = keys;
        for (name, host) in &mut self.hosts {
            host.retain_session(&self.gate.trust(name));
        }
    }

    /// Whether there are no keys, so that everyone is let in.
    pub(super) fn is_open(&self) -> bool {
        self.gate.keys.is_none()
    }

    /// What a datagram says, without its seal, and which host's it is. `None` for the host: it begins a session, or is none of an agent's.
    pub(super) fn admit<'d>(&mut self, from: SocketAddrV4, datagram: &'d [u8]) -> Option<(&'d [u8], Option<&'d str>)> {
        if self.is_open() {
            return Some((datagram, None));
        }
        let Some((command, host)) = named_host(datagram) else { return Some((datagram, None)) };
        if !matches!(command, "CONFREQ" | "ALERT" | "ALIVE" | "NEED" | "SEEK" | "TAKE" | "EVENT") {
            return Some((datagram, None));
        }
        let mac = self.hosts.get_mut(host).and_then(|host| host.mac_mut());
        let refusal = match mac.map(|mac| mac.verify(datagram)) {
            Some(Ok(content)) => return Some((content, Some(host))),
            Some(Err(refusal)) => refusal,
            None => match self.gate.trust(host) {
                Trust::Open => return Some((datagram, Some(host))),
                Trust::Keys(keys) if keys.is_empty() => {
                    self.gate.refuse(from, host, None);
                    return None;
                }
                Trust::Keys(_) => Refusal::Unsigned,
            },
        };
        self.gate.refuse(from, host, Some(refusal));
        // Version 1 agents know no sessions, and of what is replayed the session is known.
        if refusal != Refusal::Replayed && !matches!(command, "CONFREQ" | "ALERT") {
            self.say_lost(from, host);
        }
        None
    }

    /// By which key a host begins a session: `Some(None)` where it needs none, `None` where it has not the right one.
    pub(super) fn admit_handshake(&mut self, from: SocketAddrV4, host: &str, datagram: &[u8]) -> Option<Option<Key>> {
        let Trust::Keys(keys) = self.gate.trust(host) else { return Some(None) };
        let mut refusal = None;
        for key in keys {
            match key.verify(Side::Agent, datagram) {
                Ok(_) => return Some(Some(key)),
                Err(reason) => refusal = Some(reason),
            }
        }
        self.gate.refuse(from, host, refusal);
        None
    }

    /// Says, as a hint that no one need believe, that there is no such session.
    pub(super) fn say_lost(&mut self, to: SocketAddrV4, host: &str) {
        if self.gate.may_hint() {
            self.outputs.send(to, &Message::Lost { host }, None);
        }
    }

    /// Sends what belongs into the session of the host that it names.
    pub(super) fn send(&mut self, to: SocketAddrV4, message: &Message<'_>) {
        let host = message.host().and_then(|host| self.hosts.get_mut(host));
        self.outputs.send(to, message, host.and_then(|host| host.mac_mut()));
    }

    /// The end of a tick for the gate.
    pub(super) fn tick_gate(&mut self, now: Now) {
        if let Some(line) = self.gate.handle_tick(now.mono) {
            self.outputs.log(&line);
        }
    }
}

impl Host {
    /// Ends a session whose key, or want of one, counts no more.
    fn retain_session(&mut self, trust: &Trust) {
        let counts = |key: Option<&Key>| match (trust, key) {
            (Trust::Open, None) => true,
            (Trust::Keys(keys), Some(key)) => keys.contains(key),
            _ => false,
        };
        if self.session.as_ref().is_some_and(|session| !counts(session.key.as_ref())) {
            self.session = None;
        }
    }
}
