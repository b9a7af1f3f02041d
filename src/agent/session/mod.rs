//! Which servers are heard, which one is selected, and which version of the protocol is spoken with it.

pub(super) mod keys;

use self::keys::{Join, KeepaliveSession, Proof, Trust};
use crate::agent::Output;
use crate::now::Millis;
use crate::random::Random;
use crate::wire::auth::{Key, SessionName};
use crate::wire::{Message, Revision, Token};
use std::net::{Ipv4Addr, SocketAddrV4};

pub(in crate::agent) struct Selection {
    host: String,
    run: Token,
    random: Random,
    /// The port on which servers listen.
    port: u16,
    fixed: bool,
    heard: Vec<Box<Heard>>,
    selected: Option<Box<Selected>>,
    trust: Trust,
    /// A server that does not prove the key, until that is told.
    unproven: Option<Ipv4Addr>,
    /// One that was not selected and has proven it just now.
    proven: Option<Ipv4Addr>,
}

/// A server whose heartbeat was heard lately.
struct Heard {
    ip: Ipv4Addr,
    last: Millis,
    /// When it last said that it speaks version 2, and in which run.
    capability: Option<(Token, Millis)>,
    alive: KeepaliveTimer,
    /// The sign of life where there is a key.
    sign: KeepaliveSession,
}

struct Selected {
    address: SocketAddrV4,
    last_heard: Millis,
    /// When it last said something that it had sealed.
    last_proven: Millis,
    protocol: Protocol,
    handshake: Option<Handshake>,
    /// The server's run in which the session began, once it is known.
    server_run: Option<Token>,
    alive: KeepaliveTimer,
    /// When the session began.
    joined: Millis,
    /// Whether the server was heard to speak as version 1 servers do, and is not just silent.
    heard_classic: bool,
    /// When the server last said something that only version 2 has, how many heartbeats came, and when that was last counted.
    version_2: Option<Millis>,
    heartbeats: u32,
    counted: Millis,
    /// Since when it says what version 1 servers say, and nothing that only version 2 has; and whether that was long enough to
    /// be certain that it keeps no positions, so that it is right to begin logs at their end.
    classic: Option<Millis>,
    is_certain: bool,
}

/// When a server is told next that this agent lives. Three lost datagrams in a row must not make a dead host of a live one.
#[derive(Clone, Copy, Debug)]
struct KeepaliveTimer {
    next: Millis,
    /// When it will be told if what was said last is answered; `None` while nothing waits for an answer.
    next_if_answered: Option<Millis>,
    repeats: u32,
}

/// How to speak with the selected server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) enum Protocol {
    /// That is being found out; events wait.
    Unknown,
    /// Version 1.
    Classic,
    /// Version 2.
    Session,
}

struct Handshake {
    nonce: Token,
    unanswered: u32,
    next_hello: Millis,
    /// Once the server has made an offer.
    join: Option<Join>,
}

impl Selected {
    fn handle_version_2(&mut self, now: Millis) {
        self.version_2 = Some(now);
        self.forget_classic();
    }

    fn handle_classic(&mut self, now: Millis) {
        if self.protocol != Protocol::Session {
            self.classic.get_or_insert(now);
        }
    }

    fn forget_classic(&mut self) {
        (self.classic, self.is_certain) = (None, false);
    }
}

impl KeepaliveTimer {
    /// Time before the first repeat, and between repeats.
    const REPEAT_INTERVAL: Millis = Millis::from_secs(5);
    /// Nearly the time between two signs of life.
    const REPEATED_FOR: Millis = Millis::from_secs(50);

    fn due(now: Millis) -> Self {
        Self { next: now, next_if_answered: None, repeats: 0 }
    }

    /// It was told; the next time is after the interval, or after the pause where an answer is expected and does not come.
    fn say(&mut self, now: Millis, interval: Millis, is_answered: bool, pause: Millis) {
        let repeat = is_answered && interval > pause && pause.count() * u64::from(self.repeats) < Self::REPEATED_FOR.count();
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
    const SILENCE: Millis = Millis::from_secs(30);
    const HELLO_INTERVAL: Millis = Millis::from_secs(2);
    /// Time between two HELLOs to a server that is not known to speak version 2 and may come to.
    const PROBE_INTERVAL: Millis = Millis::from_secs(10);
    /// After so many unanswered HELLOs a server that is heard speaks version 1 …
    const HELLOS: u32 = 5;
    /// … if so many heartbeats of it were heard, and never that it speaks version 2: whoever takes it for older than it is does not
    /// learn how far logs were read.
    const HEARTBEATS: u32 = 4;
    /// Two that come sooner one after the other are one that the network doubled.
    const BETWEEN_HEARTBEATS: Millis = Millis::from_secs(3);
    /// A fixed server, whose heartbeats may not come this far, speaks version 1 after so many unanswered HELLOs.
    const HELLOS_TO_FIXED: u32 = 12;
    /// A server that spoke version 2 and has been heard for so long without a sign of that was replaced. One that is silent was not.
    const REPLACED_AFTER: Millis = Millis::from_secs(120);
    /// For so long a server says only what version 1 servers say, until it is certain that it is one. One of version 2 says more with
    /// every heartbeat and answers HELLO; much of that may get lost, but not all.
    const CERTAIN_AFTER: Millis = Millis::from_secs(60);
    const ALIVE_INTERVAL: Millis = Millis::from_secs(60);
    /// A host without a file asks so often whether it has one now.
    const ALIVE_WITHOUT_FILE: Millis = Millis::from_secs(2);
    /// A fixed server, whose heartbeats may not come this far, is asked so often whether it is there.
    const ALIVE_TO_FIXED: Millis = Millis::from_secs(15);
    /// A JOIN is said so often before another offer is asked for.
    const JOINS: u32 = 4;
    /// After so long without anything that the server has sealed its session is to be proven again, or another server found. A sign of
    /// life is repeated for most of that time.
    const PROOF_SILENCE: Millis = Millis::from_secs(75);
    /// Most servers of one network that are kept in mind.
    const MAX_HEARD: usize = 16;

    pub(in crate::agent) fn new(host: &str, run: Token, random: Random, port: u16) -> Self {
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
    pub(in crate::agent) fn set_keys(&mut self, now: Millis, keys: Vec<Key>) {
        self.trust.set_keys(keys);
        if let Some(selected) = &mut self.selected {
            selected.handshake = None;
        }
        self.start_handshake(now);
    }

    /// Whether servers have to prove a key.
    pub(in crate::agent) fn is_keyed(&self) -> bool {
        self.trust.is_keyed()
    }

    /// A datagram without its seal, and how that is proven; nothing where it was for this module alone.
    pub(in crate::agent) fn admit<'d>(&mut self, now: Millis, from: Ipv4Addr, datagram: &'d [u8]) -> Option<(&'d [u8], Proof)> {
        if !self.trust.is_keyed() {
            return Some((datagram, Proof::Open));
        }
        if let Some(selected) = at(&mut self.selected, from) {
            let mut content = self.trust.open(datagram).map(|content| (content, Proof::Session));
            if let (None, Some(Handshake { join: Some(Join { mac: Some(mac), .. }), .. })) = (content, &mut selected.handshake) {
                content = mac.verify(datagram).ok().map(|content| (content, Proof::Begins));
            }
            if content.is_some() {
                selected.last_proven = now;
                return content;
            }
        }
        if let Some(heard) = heard_at(&mut self.heard, from) {
            if heard.sign.open(datagram) {
                heard.alive.handle_answer();
                self.proven = Some(from);
                return None;
            }
        }
        Some((datagram, Proof::Hint))
    }

    /// Sends a message to the selected server.
    pub(in crate::agent) fn send(&mut self, datagram: Vec<u8>, outputs: &mut Vec<Output>) {
        if let Some(selected) = &self.selected {
            send(outputs, selected.address, self.trust.signed(datagram));
        }
    }

    /// A server that was asked and does not prove the key, if there is another such since the last time.
    pub(in crate::agent) fn take_unproven(&mut self) -> Option<Ipv4Addr> {
        self.unproven.take()
    }

    /// A server that is not selected says, without proof, that it knows no session.
    pub(in crate::agent) fn handle_lost_by_other(&mut self, now: Millis, ip: Ipv4Addr) {
        if let Some(heard) = heard_at(&mut self.heard, ip).filter(|heard| heard.sign.has_session()) {
            (heard.sign, heard.alive) = (KeepaliveSession::default(), KeepaliveTimer::due(now));
        }
    }

    /// Something that ends nothing says that the session may be over.
    pub(in crate::agent) fn handle_hint(&mut self, now: Millis) {
        if self.trust.may_follow_hint(now) {
            self.start_handshake(now);
        }
    }

    /// The selected server.
    pub(in crate::agent) fn address(&self) -> Option<SocketAddrV4> {
        self.selected.as_ref().map(|selected| selected.address)
    }

    /// How to speak with it.
    pub(in crate::agent) fn protocol(&self) -> Protocol {
        self.selected.as_ref().map_or(Protocol::Unknown, |selected| selected.protocol)
    }

    /// Whether that is the selected server's address.
    pub(in crate::agent) fn is_selected(&self, ip: Ipv4Addr) -> bool {
        self.selected.as_ref().is_some_and(|selected| *selected.address.ip() == ip)
    }

    /// Selects no server that is heard.
    pub(in crate::agent) fn wait_for_fixed(&mut self) {
        self.fixed = true;
    }

    /// Selects that server whatever is heard, and keeps it. Returns whether it is another one than before.
    pub(in crate::agent) fn fix(&mut self, now: Millis, address: SocketAddrV4) -> bool {
        self.fixed = true;
        let another = self.address() != Some(address);
        if another {
            self.select(now, address);
        }
        another
    }

    /// Asks the selected server for a session; one that runs goes on until the new one begins.
    pub(in crate::agent) fn start_handshake(&mut self, now: Millis) {
        let nonce = self.random.token();
        if let Some(selected) = &mut self.selected {
            selected.handshake.get_or_insert(Handshake { nonce, unanswered: 0, next_hello: now, join: None });
        }
    }

    fn select(&mut self, now: Millis, address: SocketAddrV4) {
        self.trust.begin(None);
        self.selected = Some(Box::new(Selected {
            address,
            last_heard: now,
            last_proven: now,
            protocol: Protocol::Unknown,
            handshake: None,
            server_run: None,
            alive: KeepaliveTimer::due(now),
            joined: now,
            heard_classic: false,
            version_2: None,
            heartbeats: 1,
            counted: now,
            classic: None,
            is_certain: false,
        }));
        self.start_handshake(now);
    }

    /// A server's heartbeat, or with its run the sign that it speaks version 2. Returns whether it is selected only now.
    pub(in crate::agent) fn handle_heartbeat(&mut self, now: Millis, ip: Ipv4Addr, run: Option<Token>) -> bool {
        self.handle_heard(now, ip, run);
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
        if run.is_some() {
            selected.handle_version_2(now);
        } else {
            selected.handle_classic(now);
            if now - selected.counted >= Self::BETWEEN_HEARTBEATS {
                selected.heartbeats += 1;
                selected.counted = now;
            }
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

    /// Keeps in mind that a server was heard.
    fn handle_heard(&mut self, now: Millis, ip: Ipv4Addr, run: Option<Token>) {
        if heard_at(&mut self.heard, ip).is_none() {
            if self.heard.len() == Self::MAX_HEARD && self.trust.is_keyed() {
                // Heartbeats prove nothing: made up ones shall not keep the true one out for good.
                let at = self.below(Self::MAX_HEARD);
                if !self.heard[at].sign.has_session() {
                    self.heard.remove(at);
                }
            }
            if self.heard.len() < Self::MAX_HEARD {
                self.heard.push(Box::new(Heard {
                    ip,
                    last: now,
                    capability: None,
                    alive: KeepaliveTimer::due(now),
                    sign: KeepaliveSession::default(),
                }));
            }
        }
        let Some(heard) = heard_at(&mut self.heard, ip) else { return };
        heard.last = now;
        if let Some(run) = run {
            heard.capability = Some((run, now));
        }
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.below(end as u64)).unwrap_or(0)
    }

    fn session_is_old(&self, now: Millis) -> bool {
        self.selected.as_ref().is_some_and(|selected| now - selected.joined > Self::SILENCE)
    }

    /// Says ALIVE to the selected server with the next timeout: what is in force has changed.
    pub(in crate::agent) fn hurry_alive(&mut self, now: Millis) {
        if let Some(selected) = &mut self.selected {
            selected.alive = KeepaliveTimer::due(now);
        }
    }

    /// The server at that address said what answers an ALIVE.
    pub(in crate::agent) fn handle_alive_answer(&mut self, now: Millis, ip: Ipv4Addr) {
        if let Some(selected) = at(&mut self.selected, ip) {
            selected.handle_version_2(now);
            selected.alive.handle_answer();
        }
        if let Some(heard) = heard_at(&mut self.heard, ip) {
            heard.alive.handle_answer();
        }
    }

    /// Anything that the selected server said to this agent.
    pub(in crate::agent) fn handle_answer(&mut self, now: Millis) {
        if let Some(selected) = self.selected.as_mut().filter(|_| self.fixed) {
            selected.last_heard = now;
        }
    }

    /// The selected server says what version 1 servers say, and others say too to who speaks so.
    pub(in crate::agent) fn handle_classic_answer(&mut self, now: Millis) {
        if let Some(selected) = self.selected.as_mut().filter(|s| s.protocol != Protocol::Session && s.version_2.is_none()) {
            selected.protocol = Protocol::Classic;
            selected.heard_classic = true;
            selected.handle_classic(now);
        }
    }

    /// How to speak with the selected server, as far as that is certain: a guess that it is of version 1 would cost the place in every log
    /// if it was wrong.
    pub(in crate::agent) fn certain_protocol(&self) -> Protocol {
        match &self.selected {
            Some(selected) if selected.protocol != Protocol::Classic || selected.is_certain => selected.protocol,
            _ => Protocol::Unknown,
        }
    }

    /// Whether the selected server speaks version 1, and that is more than a guess from its silence.
    pub(in crate::agent) fn is_heard_as_classic(&self) -> bool {
        self.selected.as_ref().is_some_and(|selected| selected.protocol == Protocol::Classic && selected.heard_classic)
    }

    /// Whether the server that was given has been silent for long.
    pub(in crate::agent) fn is_fixed_and_silent(&self, now: Millis) -> bool {
        self.fixed && self.selected.as_ref().is_some_and(|selected| now - selected.last_heard >= Self::SILENCE)
    }

    /// A server offers a session by that datagram. Returns the answer. That of a server that is not selected is a sign of life.
    pub(in crate::agent) fn handle_offer(
        &mut self,
        now: Millis,
        ip: Ipv4Addr,
        nonce: Token,
        cookie: Token,
        offer: &[u8],
    ) -> Option<Vec<u8>> {
        let name = SessionName { host: &self.host, run: self.run, nonce, cookie };
        let Some(selected) = at(&mut self.selected, ip) else {
            return heard_at(&mut self.heard, ip)?.sign.handle_offer(&self.trust, offer, name);
        };
        let handshake = selected.handshake.as_mut().filter(|handshake| handshake.nonce == nonce)?;
        if handshake.join.is_none() {
            handshake.join = Some(self.trust.join(offer, name)?);
        }
        handshake.unanswered = 0;
        handshake.next_hello = now + Self::HELLO_INTERVAL;
        let join = handshake.join.as_mut()?;
        join.said += 1;
        let datagram = join.datagram.clone();
        selected.forget_classic();
        Some(datagram)
    }

    /// The server sent what follows a JOIN. Returns whether the session begins with that; not before a JOIN was sent: then it is late.
    pub(in crate::agent) fn handle_joined(&mut self, now: Millis) -> bool {
        let capability = self.selected.as_ref().and_then(|selected| self.capability(*selected.address.ip(), now));
        let Some(selected) = self.selected.as_mut() else { return false };
        let Some(join) = selected.handshake.as_mut().and_then(|handshake| handshake.join.take()) else { return false };
        self.trust.begin(join.mac);
        selected.handshake = None;
        selected.protocol = Protocol::Session;
        selected.server_run = capability;
        selected.joined = now;
        selected.heard_classic = false;
        selected.forget_classic();
        true
    }

    /// In which run the server that has that address said lately that it speaks version 2.
    fn capability(&self, ip: Ipv4Addr, now: Millis) -> Option<Token> {
        let heard = self.heard.iter().find(|heard| heard.ip == ip)?;
        heard.capability.filter(|(_, at)| now - *at < Self::SILENCE).map(|(run, _)| run)
    }

    /// Says what is due. Returns whether another server, or none, is selected now.
    pub(in crate::agent) fn handle_timeout(&mut self, now: Millis, revision: Revision, outputs: &mut Vec<Output>) -> bool {
        let mut at = 0;
        while let Some(heard) = self.heard.get(at) {
            if now - heard.last < Self::SILENCE {
                at += 1;
            } else {
                self.heard.remove(at);
            }
        }
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
        if let Some(selected) = &mut self.selected {
            selected.is_certain |= selected.classic.is_some_and(|since| now - since >= Self::CERTAIN_AFTER);
        }
        let left = self.leave_unproven(now);
        self.say_hello(now, outputs);
        self.say_alive(now, revision, outputs);
        deselected || left
    }

    /// Whether a server that has proven the key has not done so for long, whatever is heard of it.
    fn is_unproven(&self, now: Millis) -> bool {
        self.trust.is_keyed() && self.selected.as_ref().is_some_and(|selected| now - selected.last_proven >= Self::PROOF_SILENCE)
    }

    /// With a key a server that does not answer the handshake is none: another is
    /// selected, one that has proven the key if there is one. Returns whether.
    fn leave_unproven(&mut self, now: Millis) -> bool {
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
        let mut others = Vec::new();
        for heard in &self.heard {
            if heard.ip != ip {
                others.push(heard.ip);
            }
        }
        if self.fixed || others.is_empty() {
            return false;
        }
        let other = others[self.below(others.len())];
        self.select(now, SocketAddrV4::new(other, self.port));
        true
    }

    fn say_hello(&mut self, now: Millis, outputs: &mut Vec<Output>) {
        let Some(ip) = self.selected.as_ref().map(|selected| *selected.address.ip()) else { return };
        let speaks_version_2 = self.capability(ip, now).is_some();
        let Some(selected) = &mut self.selected else { return };
        let Some(handshake) = selected.handshake.as_mut().filter(|handshake| handshake.next_hello <= now) else { return };
        if let Some(join) = handshake.join.as_mut().filter(|join| join.said < Self::JOINS) {
            join.said += 1;
            handshake.next_hello = now + Self::HELLO_INTERVAL;
            send(outputs, selected.address, join.datagram.clone());
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
        send(outputs, selected.address, self.trust.sign_hello(hello));
        handshake.unanswered += 1;
        let patient = (self.fixed || self.trust.is_keyed()) && handshake.unanswered > Self::HELLOS_TO_FIXED;
        handshake.next_hello = now + if patient { Self::PROBE_INTERVAL } else { Self::HELLO_INTERVAL };
    }

    fn say_alive(&mut self, now: Millis, revision: Revision, outputs: &mut Vec<Output>) {
        let alive = Message::Alive { host: &self.host, run: self.run, revision };
        let selected = self.selected.as_mut();
        let selected_ip = selected.as_ref().map(|selected| *selected.address.ip());
        if let Some(selected) = selected.filter(|selected| selected.protocol == Protocol::Session && selected.alive.next <= now) {
            let interval = match revision {
                Revision::NONE => Self::ALIVE_WITHOUT_FILE,
                _ if self.fixed => Self::ALIVE_TO_FIXED,
                _ => Self::ALIVE_INTERVAL,
            };
            selected.alive.say(now, interval, true, KeepaliveTimer::REPEAT_INTERVAL);
            send(outputs, selected.address, self.trust.signed(alive.emit()));
        }
        for heard in &mut self.heard {
            if Some(heard.ip) == selected_ip || heard.alive.next > now {
                continue;
            }
            let is_keyed = self.trust.is_keyed();
            let pause = if is_keyed { Self::HELLO_INTERVAL } else { KeepaliveTimer::REPEAT_INTERVAL };
            heard.alive.say(now, Self::ALIVE_INTERVAL, heard.capability.is_some(), pause);
            let datagram = if is_keyed { heard.sign.say(&mut self.trust, self.random.token(), &alive) } else { alive.emit() };
            send(outputs, SocketAddrV4::new(heard.ip, self.port), datagram);
        }
    }

    /// When the next thing is due.
    pub(in crate::agent) fn next_deadline(&self) -> Millis {
        let mut next = Millis::NEVER;
        if let Some(selected) = &self.selected {
            if !self.fixed || selected.handshake.is_none() {
                next = selected.last_heard + Self::SILENCE;
            }
            match &selected.handshake {
                Some(handshake) => next = next.min(handshake.next_hello),
                None if self.trust.is_keyed() => next = next.min(selected.last_proven + Self::PROOF_SILENCE),
                None => {}
            }
            if selected.protocol == Protocol::Session {
                next = next.min(selected.alive.next);
            }
            if let (Some(since), false) = (selected.classic, selected.is_certain) {
                next = next.min(since + Self::CERTAIN_AFTER);
            }
        }
        for heard in &self.heard {
            if !self.is_selected(heard.ip) {
                next = next.min(heard.alive.next);
            }
        }
        next
    }
}

/// Orders a datagram to be sent.
pub(in crate::agent) fn send(outputs: &mut Vec<Output>, to: SocketAddrV4, datagram: Vec<u8>) {
    outputs.push(Output::Send { to, datagram });
}

/// The selected server, if it has that address.
fn at(selected: &mut Option<Box<Selected>>, ip: Ipv4Addr) -> Option<&mut Selected> {
    selected.as_deref_mut().filter(|selected| *selected.address.ip() == ip)
}

/// The server with that address among those that are heard.
fn heard_at(heard: &mut [Box<Heard>], ip: Ipv4Addr) -> Option<&mut Heard> {
    heard.iter_mut().find(|heard| heard.ip == ip).map(|heard| &mut **heard)
}
