//! Which servers are heard, which one is selected, and which version of the protocol is spoken with it.

use super::trust::{is_hint, Join, Proof, Sign, Trust};
use crate::now::earlier;
use crate::random::Random;
use crate::seal::{Key, SessionName};
use crate::wire::{Message, Revision, Token};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// The datagrams that the selection wants sent, oldest first.
pub(super) type Transmit = Vec<(SocketAddrV4, Vec<u8>)>;

pub(super) struct Selection {
    host: String,
    run: Token,
    random: Random,
    /// The port on which servers listen.
    port: u16,
    fixed: bool,
    heard: Vec<Heard>,
    selected: Option<Selected>,
    trust: Trust,
    /// A server that does not prove the key, until that is told.
    unproven: Option<Ipv4Addr>,
    /// One that was not selected and has proven it just now.
    proven: Option<Ipv4Addr>,
}

/// A server whose heartbeat was heard lately.
struct Heard {
    ip: Ipv4Addr,
    last: Duration,
    /// When it last said that it speaks version 2, and in which run.
    capability: Option<(Token, Duration)>,
    alive: LifeSign,
    /// The sign of life where there is a key.
    sign: Sign,
}

struct Selected {
    address: SocketAddrV4,
    last_heard: Duration,
    /// When it last said something that it had sealed.
    last_proven: Duration,
    protocol: Protocol,
    handshake: Option<Handshake>,
    /// The server's run in which the session began, once it is known.
    server_run: Option<Token>,
    alive: LifeSign,
    /// When the session began.
    joined: Duration,
    /// Whether the server was heard to speak as version 1 servers do, and is not just silent.
    heard_classic: bool,
    /// When the server last said something that only version 2 has, how many heartbeats came, and when that was last counted.
    version_2: Option<Duration>,
    heartbeats: u32,
    counted: Duration,
    /// Since when it says what version 1 servers say, and nothing that only version 2 has; and whether that was long enough.
    classic: Option<(Duration, Certainty)>,
}

/// When a server is told next that this agent lives. Three lost datagrams in a row must not make a dead host of a live one.
#[derive(Clone, Copy, Debug)]
struct LifeSign {
    next: Duration,
    /// When it will be told if what was said last is answered; `None` while nothing waits for an answer.
    next_if_answered: Option<Duration>,
    repeats: u32,
}

/// How to speak with the selected server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// That is being found out; events wait.
    Unknown,
    /// Version 1.
    Classic,
    /// Version 2.
    Session,
}

/// Whether a server is known to keep no positions, so that it is right to begin logs at their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    Guessed,
    Certain,
}

struct Handshake {
    nonce: Token,
    unanswered: u32,
    next_hello: Duration,
    /// Once the server has made an offer.
    join: Option<Join>,
}

impl Selected {
    fn handle_version_2(&mut self, now: Duration) {
        self.version_2 = Some(now);
        self.classic = None;
    }

    fn handle_classic(&mut self, now: Duration) {
        if self.protocol != Protocol::Session {
            self.classic.get_or_insert((now, Certainty::Guessed));
        }
    }
}

impl LifeSign {
    /// Time before the first repeat, and between repeats.
    const REPEAT_INTERVAL: Duration = Duration::from_secs(5);
    /// Nearly the time between two signs of life.
    const REPEATED_FOR: Duration = Duration::from_secs(50);

    fn due(now: Duration) -> Self {
        Self { next: now, next_if_answered: None, repeats: 0 }
    }

    /// It was told; the next time is after the interval, or after the pause where an answer is expected and does not come.
    fn say(&mut self, now: Duration, interval: Duration, is_answered: bool, pause: Duration) {
        let repeat = is_answered && pause * self.repeats < Self::REPEATED_FOR && interval > pause;
        (self.next, self.next_if_answered, self.repeats) =
            if repeat { (now + pause, Some(now + interval), self.repeats + 1) } else { (now + interval, None, 0) };
    }

    fn handle_answer(&mut self) {
        if let Some(next) = self.next_if_answered.take() {
            (self.next, self.repeats) = (next, 0);
        }
    }
}

impl Selection {
    /// A server whose heartbeat was not heard for so long is given up.
    const SILENCE: Duration = Duration::from_secs(30);
    const HELLO_INTERVAL: Duration = Duration::from_secs(2);
    /// Time between two HELLOs to a server that is not known to speak version 2 and may come to.
    const PROBE_INTERVAL: Duration = Duration::from_secs(10);
    /// After so many unanswered HELLOs a server that is heard speaks version 1 …
    const HELLOS: u32 = 5;
    /// … if so many heartbeats of it were heard, and never that it speaks version 2: whoever takes it for older than it is does not
    /// learn how far logs were read.
    const HEARTBEATS: u32 = 4;
    /// Two that come sooner one after the other are one that the network doubled.
    const BETWEEN_HEARTBEATS: Duration = Duration::from_secs(3);
    /// A fixed server, whose heartbeats may not come this far, speaks version 1 after so many unanswered HELLOs.
    const HELLOS_TO_FIXED: u32 = 12;
    /// A server that spoke version 2 and has been heard for so long without a sign of that was replaced. One that is silent was not.
    const REPLACED_AFTER: Duration = Duration::from_secs(120);
    /// For so long a server says only what version 1 servers say, until it is certain that it is one. One of version 2 says more with
    /// every heartbeat and answers HELLO; much of that may get lost, but not all.
    const CERTAIN_AFTER: Duration = Duration::from_secs(60);
    const ALIVE_INTERVAL: Duration = Duration::from_secs(60);
    /// A host without a file asks so often whether it has one now.
    const ALIVE_WITHOUT_FILE: Duration = Duration::from_secs(2);
    /// A fixed server, whose heartbeats may not come this far, is asked so often whether it is there.
    const ALIVE_TO_FIXED: Duration = Duration::from_secs(15);
    /// A JOIN is said so often before another offer is asked for.
    const JOINS: u32 = 4;
    /// After so long without anything that the server has sealed its session is to be proven again, or another server found. A sign of
    /// life is repeated for most of that time.
    const PROOF_SILENCE: Duration = Duration::from_secs(75);
    /// Most servers of one network that are kept in mind.
    const MAX_HEARD: usize = 16;

    pub(super) fn new(host: &str, run: Token, random: Random, port: u16) -> Self {
        Self {
            host: host.to_string(),
            run,
            random,
            port,
            fixed: false,
            heard: Vec::new(),
            selected: None,
            trust: Trust::default(),
            unproven: None,
            proven: None,
        }
    }

    /// Believes only servers that have one of these keys. A session that was proven before goes on until another one is.
    pub(super) fn set_keys(&mut self, now: Duration, keys: Vec<Key>) {
        self.trust.set_keys(keys);
        if let Some(selected) = &mut self.selected {
            selected.handshake = None;
        }
        self.start_handshake(now);
    }

    /// Whether servers have to prove a key.
    pub(super) fn is_keyed(&self) -> bool {
        self.trust.is_keyed()
    }

    /// What the agent may act on of a datagram, without its seal, and how that is proven.
    pub(super) fn admit<'d>(&mut self, now: Duration, from: Ipv4Addr, datagram: &'d [u8]) -> Option<(&'d [u8], Proof)> {
        if !self.trust.is_keyed() {
            return Some((datagram, Proof::Open));
        }
        if let Some(selected) = self.selected.as_mut().filter(|selected| *selected.address.ip() == from) {
            let opened = self.trust.open(datagram).map(|content| (content, Proof::Session));
            let join = selected.handshake.as_mut().and_then(|handshake| handshake.join.as_mut());
            let begun = || join?.seal.as_mut()?.open(datagram).ok().map(|content| (content, Proof::Begins));
            if let Some(admitted) = opened.or_else(begun) {
                selected.last_proven = now;
                return Some(admitted);
            }
        }
        if let Some(heard) = self.heard.iter_mut().find(|heard| heard.ip == from) {
            if heard.sign.open(datagram) {
                heard.alive.handle_answer();
                self.proven = Some(from);
                return None;
            }
        }
        is_hint(datagram).then_some((datagram, Proof::Hint))
    }

    /// A message to the selected server as it goes out.
    pub(super) fn seal(&mut self, datagram: Vec<u8>) -> Vec<u8> {
        self.trust.seal(datagram)
    }

    /// A server that was asked and does not prove the key, if there is another such since the last time.
    pub(super) fn take_unproven(&mut self) -> Option<Ipv4Addr> {
        self.unproven.take()
    }

    /// A server that is not selected says, without proof, that it knows no session.
    pub(super) fn handle_lost_by_other(&mut self, now: Duration, ip: Ipv4Addr) {
        let heard = self.heard.iter_mut().find(|heard| heard.ip == ip);
        if let Some(heard) = heard.filter(|heard| heard.sign.has_session()) {
            (heard.sign, heard.alive) = (Sign::default(), LifeSign::due(now));
        }
    }

    /// Something that ends nothing says that the session may be over.
    pub(super) fn handle_hint(&mut self, now: Duration) {
        if self.trust.may_follow_hint(now) {
            self.start_handshake(now);
        }
    }

    /// The selected server.
    pub(super) fn address(&self) -> Option<SocketAddrV4> {
        self.selected.as_ref().map(|selected| selected.address)
    }

    /// How to speak with it.
    pub(super) fn protocol(&self) -> Protocol {
        self.selected.as_ref().map_or(Protocol::Unknown, |selected| selected.protocol)
    }

    /// Whether that is the selected server's address.
    pub(super) fn is_selected(&self, ip: Ipv4Addr) -> bool {
        self.selected.as_ref().is_some_and(|selected| *selected.address.ip() == ip)
    }

    /// Selects no server that is heard.
    pub(super) fn wait_for_fixed(&mut self) {
        self.fixed = true;
    }

    /// Selects that server whatever is heard, and keeps it. Returns whether it is another one than before.
    pub(super) fn fix(&mut self, now: Duration, address: SocketAddrV4) -> bool {
        self.fixed = true;
        let another = self.address() != Some(address);
        if another {
            self.select(now, address);
        }
        another
    }

    /// Asks the selected server for a session; one that runs goes on until the new one begins.
    pub(super) fn start_handshake(&mut self, now: Duration) {
        let nonce = self.random.token();
        if let Some(selected) = &mut self.selected {
            selected.handshake.get_or_insert(Handshake { nonce, unanswered: 0, next_hello: now, join: None });
        }
    }

    fn select(&mut self, now: Duration, address: SocketAddrV4) {
        self.trust.begin(None);
        self.selected = Some(Selected {
            address,
            last_heard: now,
            last_proven: now,
            protocol: Protocol::Unknown,
            handshake: None,
            server_run: None,
            alive: LifeSign::due(now),
            joined: now,
            heard_classic: false,
            version_2: None,
            heartbeats: 1,
            counted: now,
            classic: None,
        });
        self.start_handshake(now);
    }

    /// A server's heartbeat, or with its run the sign that it speaks version 2. Returns whether it is selected only now.
    pub(super) fn handle_heartbeat(&mut self, now: Duration, ip: Ipv4Addr, run: Option<Token>) -> bool {
        let at = self.heard.iter().position(|heard| heard.ip == ip);
        if at.is_none() && self.heard.len() == Self::MAX_HEARD && self.trust.is_keyed() {
            // Heartbeats prove nothing: made up ones shall not keep the true one out for good.
            let at = self.below(Self::MAX_HEARD);
            if !self.heard[at].sign.has_session() {
                self.heard.remove(at);
            }
        }
        if at.is_none() && self.heard.len() < Self::MAX_HEARD {
            self.heard.push(Heard { ip, last: now, capability: None, alive: LifeSign::due(now), sign: Sign::default() });
        }
        let at = at.or_else(|| self.heard.len().checked_sub(1).filter(|last| self.heard[*last].ip == ip));
        if let Some(heard) = at.map(|at| &mut self.heard[at]) {
            heard.last = now;
            heard.capability = run.map(|run| (run, now)).or(heard.capability);
        }
        let Some(selected) = &mut self.selected else {
            if self.fixed {
                return false;
            }
            self.select(now, SocketAddrV4::new(ip, self.port));
            return true;
        };
        if *selected.address.ip() != ip {
            return false;
        }
        selected.last_heard = now;
        selected.heard_classic |= run.is_none();
        match run {
            Some(_) => selected.handle_version_2(now),
            None => selected.handle_classic(now),
        }
        if run.is_none() && now - selected.counted >= Self::BETWEEN_HEARTBEATS {
            selected.heartbeats += 1;
            selected.counted = now;
        }
        let in_session = selected.protocol == Protocol::Session;
        let another_run = match run {
            Some(run) => !in_session || *selected.server_run.get_or_insert(run) != run,
            // Perhaps there is a version 1 server at that address now.
            None => in_session && self.capability(ip, now).is_none() && self.session_is_old(now),
        };
        if another_run {
            self.handle_hint(now);
        }
        false
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.bits() >> 33).unwrap_or(0) % end.max(1)
    }

    fn session_is_old(&self, now: Duration) -> bool {
        self.selected.as_ref().is_some_and(|selected| now - selected.joined > Self::SILENCE)
    }

    /// Says ALIVE to the selected server with the next timeout: what is in force has changed.
    pub(super) fn hurry_alive(&mut self, now: Duration) {
        if let Some(selected) = &mut self.selected {
            selected.alive = LifeSign::due(now);
        }
    }

    /// The server at that address said what answers an ALIVE.
    pub(super) fn handle_alive_answer(&mut self, now: Duration, ip: Ipv4Addr) {
        self.selected.iter_mut().filter(|selected| *selected.address.ip() == ip).for_each(|selected| selected.handle_version_2(now));
        let selected = self.selected.as_mut().filter(|selected| *selected.address.ip() == ip).map(|selected| &mut selected.alive);
        let heard = self.heard.iter_mut().find(|heard| heard.ip == ip).map(|heard| &mut heard.alive);
        selected.into_iter().chain(heard).for_each(LifeSign::handle_answer);
    }

    /// Anything that the selected server said to this agent.
    pub(super) fn handle_answer(&mut self, now: Duration) {
        if let Some(selected) = self.selected.as_mut().filter(|_| self.fixed) {
            selected.last_heard = now;
        }
    }

    /// The selected server says what version 1 servers say, and others say too to who speaks so.
    pub(super) fn handle_classic_answer(&mut self, now: Duration) {
        if let Some(selected) = self.selected.as_mut().filter(|s| s.protocol != Protocol::Session && s.version_2.is_none()) {
            selected.protocol = Protocol::Classic;
            selected.heard_classic = true;
            selected.handle_classic(now);
        }
    }

    /// How to speak with the selected server, as far as that is certain: a guess that it is of version 1 would cost the place in every log
    /// if it was wrong.
    pub(super) fn certain_protocol(&self) -> Protocol {
        let selected = self.selected.as_ref().filter(|selected| match selected.protocol {
            Protocol::Classic => selected.classic.is_some_and(|(_, certainty)| certainty == Certainty::Certain),
            _ => true,
        });
        selected.map_or(Protocol::Unknown, |selected| selected.protocol)
    }

    /// Whether the selected server speaks version 1, and that is more than a guess from its silence.
    pub(super) fn is_heard_as_classic(&self) -> bool {
        self.selected.as_ref().is_some_and(|selected| selected.protocol == Protocol::Classic && selected.heard_classic)
    }

    /// Whether the server that was given has been silent for long.
    pub(super) fn is_fixed_and_silent(&self, now: Duration) -> bool {
        self.fixed && self.selected.as_ref().is_some_and(|selected| now - selected.last_heard >= Self::SILENCE)
    }

    /// A server offers a session by that datagram. Returns the answer. That of a server that is not selected is a sign of life.
    pub(super) fn handle_offer(&mut self, now: Duration, ip: Ipv4Addr, nonce: Token, cookie: Token, offer: &[u8]) -> Option<Vec<u8>> {
        let name = SessionName { host: &self.host, run: self.run, nonce, cookie };
        let Some(selected) = self.selected.as_mut().filter(|selected| *selected.address.ip() == ip) else {
            return self.heard.iter_mut().find(|heard| heard.ip == ip)?.sign.handle_offer(&self.trust, offer, name);
        };
        let handshake = selected.handshake.as_mut().filter(|handshake| handshake.nonce == nonce)?;
        if handshake.join.is_none() {
            handshake.join = Some(self.trust.join(offer, name)?);
        }
        selected.classic = None;
        handshake.unanswered = 0;
        handshake.next_hello = now + Self::HELLO_INTERVAL;
        let join = handshake.join.as_mut()?;
        join.said += 1;
        Some(join.datagram.clone())
    }

    /// The server sent what follows a JOIN. Returns whether the session begins with that; not before a JOIN was sent: then it is late.
    pub(super) fn handle_joined(&mut self, now: Duration) -> bool {
        let capability = self.selected.as_ref().and_then(|selected| self.capability(*selected.address.ip(), now));
        let Some(selected) = self.selected.as_mut() else { return false };
        let Some(join) = selected.handshake.as_mut().and_then(|handshake| handshake.join.take()) else { return false };
        self.trust.begin(join.seal);
        selected.handshake = None;
        selected.protocol = Protocol::Session;
        selected.server_run = capability;
        selected.joined = now;
        selected.heard_classic = false;
        selected.classic = None;
        true
    }

    /// In which run the server that has that address said lately that it speaks version 2.
    fn capability(&self, ip: Ipv4Addr, now: Duration) -> Option<Token> {
        let heard = self.heard.iter().find(|heard| heard.ip == ip)?;
        heard.capability.filter(|(_, at)| now - *at < Self::SILENCE).map(|(run, _)| run)
    }

    /// Says what is due. Returns whether another server, or none, is selected now.
    pub(super) fn handle_timeout(&mut self, now: Duration, revision: Revision, transmit: &mut Transmit) -> bool {
        self.heard.retain(|heard| now - heard.last < Self::SILENCE);
        let silent = self.selected.as_ref().is_some_and(|selected| now - selected.last_heard >= Self::SILENCE);
        if silent && self.fixed || self.is_unproven(now) {
            self.start_handshake(now);
        }
        let deselected = silent && !self.fixed;
        if deselected {
            self.selected = None;
            // Of the others the one that is heard longest; without any the next that is heard.
            if let Some(ip) = self.heard.first().map(|heard| heard.ip) {
                self.select(now, SocketAddrV4::new(ip, self.port));
            }
        }
        let classic = self.selected.as_mut().and_then(|selected| selected.classic.as_mut());
        for (_, certainty) in classic.into_iter().filter(|(since, _)| now - *since >= Self::CERTAIN_AFTER) {
            *certainty = Certainty::Certain;
        }
        let left = self.leave_unproven(now);
        self.say_hello(now, transmit);
        self.say_alive(now, revision, transmit);
        deselected || left
    }

    /// Whether a server that has proven the key has not done so for long, whatever is heard of it.
    fn is_unproven(&self, now: Duration) -> bool {
        self.trust.is_keyed() && self.selected.as_ref().is_some_and(|selected| now - selected.last_proven >= Self::PROOF_SILENCE)
    }

    /// With a key a server that does not answer the handshake is none: another is
    /// selected, one that has proven the key if there is one. Returns whether.
    fn leave_unproven(&mut self, now: Duration) -> bool {
        let unproven = self.is_unproven(now);
        let proven = self.proven.take().filter(|_| !self.fixed && (unproven || self.protocol() == Protocol::Unknown));
        if let Some(ip) = proven {
            self.select(now, SocketAddrV4::new(ip, self.port));
            return true;
        }
        let Some(selected) = self.selected.as_mut().filter(|_| self.trust.is_keyed()) else { return false };
        let Some(handshake) = selected.handshake.as_ref().filter(|handshake| handshake.next_hello <= now) else { return false };
        if handshake.unanswered < Self::HELLOS || selected.protocol == Protocol::Session && !unproven {
            return false;
        }
        let ip = *selected.address.ip();
        self.unproven = Some(ip);
        let others: Vec<Ipv4Addr> = self.heard.iter().map(|heard| heard.ip).filter(|heard| *heard != ip).collect();
        if self.fixed || others.is_empty() {
            return false;
        }
        let other = others[self.below(others.len())];
        self.select(now, SocketAddrV4::new(other, self.port));
        true
    }

    fn say_hello(&mut self, now: Duration, transmit: &mut Transmit) {
        let Some(ip) = self.selected.as_ref().map(|selected| *selected.address.ip()) else { return };
        let speaks_version_2 = self.capability(ip, now).is_some();
        let Some(selected) = &mut self.selected else { return };
        let Some(handshake) = selected.handshake.as_mut().filter(|handshake| handshake.next_hello <= now) else { return };
        if let Some(join) = handshake.join.as_mut().filter(|join| join.said < Self::JOINS) {
            join.said += 1;
            handshake.next_hello = now + Self::HELLO_INTERVAL;
            transmit.push((selected.address, join.datagram.clone()));
            return;
        }
        if handshake.join.take().is_some() {
            handshake.nonce = self.random.token();
        }
        let heard = now - selected.last_heard < Self::PROBE_INTERVAL;
        let spoke_version_2 = selected.version_2.is_some_and(|at| !heard || now - at < Self::REPLACED_AFTER);
        let unanswered = if self.fixed { Self::HELLOS_TO_FIXED } else { Self::HELLOS };
        if handshake.unanswered >= unanswered && !speaks_version_2 && !spoke_version_2 && !self.trust.is_keyed() {
            let heard = heard && selected.heartbeats >= Self::HEARTBEATS;
            if self.fixed || heard {
                selected.protocol = Protocol::Classic;
            }
            if !self.fixed && heard {
                selected.handshake = None;
                return;
            }
        }
        let hello = Message::Hello { host: &self.host, run: self.run, nonce: handshake.nonce }.emit();
        transmit.push((selected.address, self.trust.sign_hello(hello)));
        handshake.unanswered += 1;
        let patient = (self.fixed || self.trust.is_keyed()) && handshake.unanswered > Self::HELLOS_TO_FIXED;
        handshake.next_hello = now + if patient { Self::PROBE_INTERVAL } else { Self::HELLO_INTERVAL };
    }

    fn say_alive(&mut self, now: Duration, revision: Revision, transmit: &mut Transmit) {
        let alive = Message::Alive { host: &self.host, run: self.run, revision };
        let selected = self.selected.as_mut();
        let selected_ip = selected.as_ref().map(|selected| *selected.address.ip());
        if let Some(selected) = selected.filter(|selected| selected.protocol == Protocol::Session && selected.alive.next <= now) {
            let interval = match revision {
                Revision::NONE => Self::ALIVE_WITHOUT_FILE,
                _ if self.fixed => Self::ALIVE_TO_FIXED,
                _ => Self::ALIVE_INTERVAL,
            };
            selected.alive.say(now, interval, true, LifeSign::REPEAT_INTERVAL);
            transmit.push((selected.address, self.trust.seal(alive.emit())));
        }
        let others = self.heard.iter_mut().filter(|heard| Some(heard.ip) != selected_ip);
        for heard in others.filter(|heard| heard.alive.next <= now) {
            let is_answered = heard.capability.is_some();
            let sign = if self.trust.is_keyed() {
                heard.alive.say(now, Self::ALIVE_INTERVAL, is_answered, Self::HELLO_INTERVAL);
                heard.sign.say(&mut self.trust, self.random.token(), &alive)
            } else {
                heard.alive.say(now, Self::ALIVE_INTERVAL, is_answered, LifeSign::REPEAT_INTERVAL);
                alive.emit()
            };
            transmit.push((SocketAddrV4::new(heard.ip, self.port), sign));
        }
    }

    /// When the next thing is due.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let of_selected = self.selected.as_ref().and_then(|selected| {
            let alive = (selected.protocol == Protocol::Session).then_some(selected.alive.next);
            let silence = (!self.fixed || selected.handshake.is_none()).then_some(selected.last_heard + Self::SILENCE);
            let hello = selected.handshake.as_ref().map(|handshake| handshake.next_hello);
            let proof = (self.trust.is_keyed() && selected.handshake.is_none()).then_some(selected.last_proven + Self::PROOF_SILENCE);
            let guess = selected.classic.filter(|(_, certainty)| *certainty == Certainty::Guessed);
            let certain = guess.map(|(since, _)| since + Self::CERTAIN_AFTER);
            earlier(earlier(earlier(silence, hello), earlier(alive, proof)), certain)
        });
        let others = self.heard.iter().filter(|heard| !self.is_selected(heard.ip));
        earlier(of_selected, others.map(|heard| heard.alive.next).min())
    }
}
