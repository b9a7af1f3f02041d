//! Which servers are heard, which one is selected, and the session with it. Decides who is believed; knows nothing of events and
//! configurations.

mod asking;
mod handshake;
mod heard;
mod keepalive;
mod keyed_session;
mod keys;
mod regulars;
mod version;

pub(in crate::agent) use keys::Proof;
pub(in crate::agent) use version::Phase;

use super::output::Outputs;
use crate::now::{earlier, Now};
use crate::random::Random;
use crate::wire::auth::{Key, SessionName, HANDSHAKE_TRAILER};
use crate::wire::{Build, Message, Revision, Token};
use asking::Asking;
use handshake::Handshake;
use heard::{Contest, Heard, HeardServers};
use keepalive::{IdleTimer, KeepaliveTimer};
use keys::ServerKeys;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;
use version::{Probe, Reach, Unanswered, VersionDetector};

pub(super) struct Session {
    host: String,
    run: Token,
    random: Random,
    /// The port on which servers listen.
    server_port: u16,
    reach: Reach,
    heard: HeardServers,
    selected: Option<Box<Selected>>,
    keys: ServerKeys,
    asking: Asking,
    /// A server that does not prove the key, until it is reported.
    unproven: Option<Ipv4Addr>,
    /// A server that is not selected and has just proven the key.
    proven: Option<Ipv4Addr>,
    idle: IdleTimer,
}

/// The server that this agent speaks with.
struct Selected {
    address: SocketAddrV4,
    last_heard: Duration,
    /// When it last proved the key.
    last_proven: Duration,
    version: VersionDetector,
    handshake: Option<Handshake>,
    /// The server's run in which the session began, once it is known.
    server_run: Option<Token>,
    keepalive: KeepaliveTimer,
    session_began: Duration,
}

impl Selected {
    /// A server that was just heard, or given. A HELLO with that nonce is due.
    fn new(now: Duration, address: SocketAddrV4, nonce: Token) -> Self {
        Self {
            address,
            last_heard: now,
            last_proven: now,
            version: VersionDetector::new(now),
            handshake: Some(Handshake::new(now, nonce)),
            server_run: None,
            keepalive: KeepaliveTimer::new(now),
            session_began: now,
        }
    }

    fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last_heard)
    }

    /// When a keepalive is due within the session.
    fn keepalive_due(&self, reach: Reach) -> Duration {
        match reach {
            Reach::Broadcast => self.keepalive.due_where_heard(self.last_heard),
            Reach::Fixed => self.keepalive.due(),
        }
    }
}

impl Session {
    const ALIVE_INTERVAL: Duration = Duration::from_secs(60);
    /// A host without a file asks so often whether it has one now.
    const ALIVE_WITHOUT_FILE: Duration = Duration::from_secs(2);
    /// A fixed server is asked so often whether it is there: its heartbeats may not come this far.
    const ALIVE_TO_FIXED: Duration = Duration::from_secs(15);
    /// After so long without proof of the key the session has to be proven again, or another server is selected. Keepalives are
    /// repeated for most of that time.
    const PROOF_SILENCE: Duration = Duration::from_secs(75);

    /// No server was heard yet.
    pub(super) fn new(now: Now, host: &str, run: Token, random: Random, server_port: u16) -> Self {
        Self {
            host: host.to_string(),
            run,
            random,
            server_port,
            reach: Reach::Broadcast,
            heard: HeardServers::default(),
            selected: None,
            keys: ServerKeys::default(),
            asking: Asking::new(Message::Hello { host, run, nonce: run }.emit().len() + HANDSHAKE_TRAILER),
            unproven: None,
            proven: None,
            idle: IdleTimer::new(now.mono),
        }
    }

    /// Believes only servers that have one of these keys, and asks the selected one to prove that anew. Sessions that began without one
    /// of them end. Returns whether that with the selected server did: otherwise it continues until the new one is proven.
    pub(super) fn set_keys(&mut self, now: Now, keys: Vec<Key>) -> bool {
        self.keys.set(keys);
        for heard in self.heard.iter_mut().filter(|heard| heard.keepalive.is_refused_by(&self.keys)) {
            heard.lose_session(now.mono);
        }
        let is_ended = self.phase() == Phase::Session && !self.keys.has_session();
        match self.address().filter(|_| is_ended) {
            Some(address) => self.select(now.mono, address),
            None => {
                if let Some(selected) = &mut self.selected {
                    selected.handshake = None;
                }
                self.start_handshake(now.mono);
            }
        }
        is_ended
    }

    /// Whether servers have to prove a key.
    pub(super) fn is_keyed(&self) -> bool {
        self.keys.is_keyed()
    }

    /// Selects no server that is heard: one will be given by [`Self::fix`].
    pub(super) fn wait_for_fixed(&mut self) {
        self.reach = Reach::Fixed;
    }

    /// Selects that server, whatever is heard, and keeps it. Returns whether another one was selected before.
    pub(super) fn fix(&mut self, now: Now, address: SocketAddrV4) -> bool {
        self.reach = Reach::Fixed;
        let is_another = self.address() != Some(address);
        if is_another {
            self.select(now.mono, address);
        }
        is_another
    }

    /// The selected server.
    pub(super) fn address(&self) -> Option<SocketAddrV4> {
        self.selected.as_ref().map(|selected| selected.address)
    }

    /// How to speak with the selected server.
    pub(super) fn phase(&self) -> Phase {
        self.selected.as_ref().map_or(Phase::Probing, |selected| selected.version.phase())
    }

    /// The same as far as it is certain.
    pub(super) fn certain_phase(&self) -> Phase {
        self.selected.as_ref().map_or(Phase::Probing, |selected| selected.version.certain_phase())
    }

    /// Whether that is the selected server's address.
    pub(super) fn is_selected(&self, ip: Ipv4Addr) -> bool {
        self.address().is_some_and(|address| *address.ip() == ip)
    }

    /// Whether the server that was given has been silent for long.
    pub(super) fn is_fixed_silent(&self, now: Now) -> bool {
        self.reach == Reach::Fixed && self.selected.as_ref().is_some_and(|selected| selected.silence(now.mono) >= HeardServers::SILENCE)
    }

    /// Removes the MAC of a datagram, and says what that proves. `None` for a datagram that was for the session alone.
    pub(super) fn admit<'d>(&mut self, now: Now, from: Ipv4Addr, datagram: &'d [u8]) -> Option<(&'d [u8], Proof)> {
        if !self.keys.is_keyed() {
            return Some((datagram, Proof::NotNeeded));
        }
        if let Some(selected) = self.selected.as_mut().filter(|selected| *selected.address.ip() == from) {
            let mut admitted = self.keys.verify(datagram).map(|content| (content, Proof::Session));
            if let (None, Some(session)) = (admitted, selected.handshake.as_mut().and_then(Handshake::offered_session)) {
                admitted = session.verify(datagram).map(|content| (content, Proof::NewSession));
            }
            if admitted.is_some() {
                selected.last_proven = now.mono;
                return admitted;
            }
        }
        if let Some(heard) = self.heard.get_mut(from) {
            if heard.keepalive.verify(datagram) {
                heard.handle_answer(now.mono);
                self.proven = Some(from);
                return None;
            }
        }
        Some((datagram, Proof::None))
    }

    /// Sends a message to the selected server.
    pub(super) fn send(&mut self, datagram: Vec<u8>, outputs: &mut Outputs) {
        if let Some(selected) = &self.selected {
            outputs.send(selected.address, self.keys.signed(datagram));
        }
    }

    /// Tells the selected server that this agent ends. Nothing answers it, so it is said more than once.
    pub(super) fn say_goodbye(&mut self, outputs: &mut Outputs) {
        const TIMES: usize = 3;
        if self.phase() == Phase::Session {
            let bye = Message::Bye { host: &self.host, run: self.run }.emit();
            (0..TIMES).for_each(|_| self.send(bye.clone(), outputs));
        }
    }

    /// A server that did not prove the key when it was asked, if there is one that was not reported yet.
    pub(super) fn take_unproven(&mut self) -> Option<Ipv4Addr> {
        self.unproven.take()
    }

    /// A heartbeat of a server came, of so many bytes, or with its run the announcement that it speaks version 3. Returns whether it is
    /// selected now and was not before.
    pub(super) fn handle_heartbeat(&mut self, now: Now, ip: Ipv4Addr, run: Option<Token>, bytes: usize) -> bool {
        let now = now.mono;
        let selected = self.address().map(|address| *address.ip());
        let Self { asking, random, .. } = self;
        let contest = self.keys.is_keyed().then_some(Contest { asking, selected, random });
        self.heard.handle_heartbeat(now, ip, run, bytes, contest);
        if self.is_selected_by_heartbeat(ip) {
            self.select(now, SocketAddrV4::new(ip, self.server_port));
            return true;
        }
        let capability = self.heard.capability(now, ip);
        let Some(selected) = &mut self.selected else { return false };
        if *selected.address.ip() != ip {
            return false;
        }
        selected.last_heard = now;
        match run {
            Some(_) => selected.version.handle_v3(now),
            None => selected.version.handle_heartbeat(now),
        }
        let in_session = selected.version.phase() == Phase::Session;
        let may_be_another = match run {
            Some(run) => !in_session || *selected.server_run.get_or_insert(run) != run,
            // A version 1 server may have that address now.
            None => in_session && capability.is_none() && now.saturating_sub(selected.session_began) > HeardServers::SILENCE,
        };
        if may_be_another {
            self.handle_hint(now);
        }
        false
    }

    /// Whether a heartbeat from that address selects the server. With keys that is enough only for the one that proved the key last.
    fn is_selected_by_heartbeat(&self, ip: Ipv4Addr) -> bool {
        let selects = match self.keys.is_keyed() {
            true => self.asking.is_proven(ip) && !self.is_selected(ip) && self.phase() == Phase::Probing,
            false => self.selected.is_none(),
        };
        selects && self.reach == Reach::Broadcast
    }

    /// A server says, without proof, that it knows no session.
    pub(super) fn handle_lost(&mut self, now: Now, ip: Ipv4Addr) {
        if self.is_selected(ip) {
            return self.handle_hint(now.mono);
        }
        if let Some(heard) = self.heard.get_mut(ip).filter(|heard| heard.keepalive.has_session()) {
            heard.lose_session(now.mono);
        }
    }

    /// The session may be over, but nothing proves it: another one is begun, and the present one continues until then.
    fn handle_hint(&mut self, now: Duration) {
        if self.keys.may_follow_hint(now) {
            self.start_handshake(now);
        }
    }

    fn start_handshake(&mut self, now: Duration) {
        let nonce = Token(self.random.bits128());
        if let Some(selected) = &mut self.selected {
            selected.handshake.get_or_insert_with(|| Handshake::new(now, nonce));
        }
    }

    fn select(&mut self, now: Duration, address: SocketAddrV4) {
        self.keys.set_session(None);
        self.selected = Some(Box::new(Selected::new(now, address, Token(self.random.bits128()))));
    }

    /// The server at that address answered a keepalive.
    pub(super) fn handle_alive_answer(&mut self, now: Now, ip: Ipv4Addr) {
        if let Some(selected) = self.selected.as_mut().filter(|selected| *selected.address.ip() == ip) {
            selected.version.handle_v3(now.mono);
            selected.keepalive.handle_answer();
        }
        if let Some(heard) = self.heard.get_mut(ip) {
            heard.handle_answer(now.mono);
        }
    }

    /// The selected server said something to this agent, and counts as heard by that: its broadcasts may not come this far.
    pub(super) fn handle_answer(&mut self, now: Now) {
        if let Some(selected) = &mut self.selected {
            selected.last_heard = now.mono;
        }
    }

    /// The selected server, which speaks version 3, refuses the handshake.
    pub(super) fn handle_locked(&mut self, now: Now) {
        if let Some(selected) = &mut self.selected {
            selected.version.handle_v3(now.mono);
        }
    }

    /// The selected server said to this agent what version 1 servers say.
    pub(super) fn handle_classic_answer(&mut self, now: Now) {
        if let Some(selected) = &mut self.selected {
            selected.version.handle_classic_answer(now.mono);
        }
    }

    /// The selected server gave this agent a version 1 configuration.
    pub(super) fn handle_classic_configuration(&mut self, now: Now) {
        if let Some(selected) = &mut self.selected {
            selected.version.handle_classic_configuration(now.mono);
        }
    }

    /// A server offers a session by the datagram `offer`. Returns the answer. With a server that is not selected the session serves
    /// only for keepalives.
    pub(super) fn handle_offer(&mut self, now: Now, ip: Ipv4Addr, nonce: Token, cookie: Token, offer: &[u8]) -> Option<Vec<u8>> {
        let name = SessionName { host: &self.host, run: self.run, nonce, cookie };
        let keys = &self.keys;
        let Some(selected) = self.selected.as_mut().filter(|selected| *selected.address.ip() == ip) else {
            return self.heard.get_mut(ip)?.keepalive.handle_offer(keys, offer, name);
        };
        let handshake = selected.handshake.as_mut().filter(|handshake| handshake.nonce() == nonce)?;
        let join = handshake.handle_offer(now.mono, || keys.join(offer, name))?;
        selected.version.handle_offer();
        Some(join)
    }

    /// The selected server said what it says only within a session. Returns whether a session begins with that: not if no JOIN was
    /// sent, since then the datagram is late.
    pub(super) fn handle_joined(&mut self, now: Now) -> bool {
        let Some(selected) = &mut self.selected else { return false };
        let Some(join) = selected.handshake.as_mut().and_then(Handshake::take_join) else { return false };
        self.keys.set_session(join.into_session());
        selected.handshake = None;
        selected.version.handle_session();
        selected.server_run = self.heard.capability(now.mono, *selected.address.ip());
        selected.session_began = now.mono;
        self.asking.handle_proven(*selected.address.ip());
        true
    }

    /// The revision in force has changed: a keepalive, which carries it, is due.
    pub(super) fn hurry_keepalive(&mut self, now: Now) {
        if let Some(selected) = &mut self.selected {
            selected.keepalive = KeepaliveTimer::new(now.mono);
        }
    }

    /// Sends what is due; `revision` is in force. Returns whether another server is selected now, or none.
    pub(super) fn handle_timeout(&mut self, now: Now, revision: Revision, outputs: &mut Outputs) -> bool {
        let now = now.mono;
        self.heard.handle_timeout(now);
        let is_silent = self.selected.as_ref().is_some_and(|selected| selected.silence(now) >= HeardServers::SILENCE);
        if is_silent && self.reach == Reach::Fixed || self.is_unproven(now) {
            self.start_handshake(now);
        }
        let is_deselected = is_silent && self.reach == Reach::Broadcast;
        if is_deselected {
            self.selected = None;
            // Of the others the one that was heard first; with keys, that has proven one. Without any, the next one that is heard.
            let first = self.heard.iter().find(|heard| !self.keys.is_keyed() || heard.keepalive.has_session()).map(|heard| heard.ip);
            if let Some(ip) = first {
                self.select(now, SocketAddrV4::new(ip, self.server_port));
            }
        }
        if let Some(selected) = &mut self.selected {
            selected.version.handle_timeout(now);
            if selected.version.phase() == Phase::Session {
                // Should the server turn out to speak version 1 after all, the time runs from then on.
                self.idle.handle_sent(now);
            }
        }
        let is_left = self.leave_unproven(now);
        let asked = self.draw_unproven(now);
        let is_first = self.selected.is_none() && asked.is_some();
        if let Some(ip) = asked.filter(|_| is_first) {
            self.select(now, SocketAddrV4::new(ip, self.server_port));
        }
        self.continue_handshake(now, asked, outputs);
        self.send_keepalives(now, revision, asked, outputs);
        is_deselected || is_left || is_first
    }

    /// Whether HELLOs to the server at that address are limited: with keys, unless it has proven one or was given to the agent.
    fn is_limited(&self, ip: Ipv4Addr) -> bool {
        self.keys.is_keyed() && self.reach == Reach::Broadcast && !self.asking.is_proven(ip)
    }

    /// When a server that was heard is to be asked to prove the key. `None` if it is not.
    fn asking_due(&self, heard: &Heard) -> Option<Duration> {
        match self.selected.as_ref().filter(|selected| *selected.address.ip() == heard.ip) {
            _ if self.is_selected_server(heard) => None,
            Some(selected) => selected.handshake.as_ref().filter(|handshake| handshake.is_hello_due()).map(Handshake::due),
            None if self.selected.is_none() => Some(Duration::ZERO),
            None => heard.keepalive.is_hello_due().then(|| heard.timer.due()),
        }
    }

    /// Whether that is the server of the session at another address, on another LAN: it needs no keepalives there.
    fn is_selected_server(&self, heard: &Heard) -> bool {
        if self.phase() != Phase::Session {
            return false;
        }
        let own = self.address().map(|address| *address.ip()).filter(|ip| *ip != heard.ip).and_then(|ip| self.heard.run(ip));
        own.is_some() && own == heard.run() && !heard.keepalive.has_session()
    }

    /// Draws the one server that may be asked now of those that are limited. It counts as asked.
    fn draw_unproven(&mut self, now: Duration) -> Option<Ipv4Addr> {
        if !self.keys.is_keyed() || self.reach == Reach::Fixed {
            return None;
        }
        let mut random = self.random.clone();
        let due = |heard: &Heard| self.asking_due(heard).filter(|_| self.is_limited(heard.ip));
        let drawn = self.heard.draw(now, &self.asking, due, &mut random);
        self.random = random;
        if let Some(heard) = drawn.and_then(|ip| self.heard.get_mut(ip)) {
            heard.handle_asked(now, &mut self.asking);
        }
        drawn
    }

    /// Whether a server that has proven the key has not done so for long, whatever is heard of it.
    fn is_unproven(&self, now: Duration) -> bool {
        let is_old = |selected: &Selected| now.saturating_sub(selected.last_proven) >= Self::PROOF_SILENCE;
        self.keys.is_keyed() && self.selected.as_ref().is_some_and(|selected| is_old(selected))
    }

    /// With keys, a server that does not answer the handshake is none: another one that has proven the key is selected. Returns whether
    /// there was one.
    fn leave_unproven(&mut self, now: Duration) -> bool {
        let is_unproven = self.is_unproven(now);
        let proven = self.proven.take().filter(|_| self.reach == Reach::Broadcast && (is_unproven || self.phase() == Phase::Probing));
        if let Some(ip) = proven {
            self.select(now, SocketAddrV4::new(ip, self.server_port));
            return true;
        }
        let Some(selected) = self.selected.as_ref().filter(|_| self.keys.is_keyed()) else { return false };
        let Some(handshake) = selected.handshake.as_ref().filter(|handshake| handshake.due() <= now) else { return false };
        let in_session = selected.version.phase() == Phase::Session;
        if handshake.unanswered() < VersionDetector::MAX_HELLOS || in_session && !is_unproven {
            return false;
        }
        let ip = *selected.address.ip();
        self.unproven = Some(ip);
        let other = self.heard.iter().find(|heard| heard.ip != ip && heard.keepalive.has_session()).map(|heard| heard.ip);
        let other = other.filter(|_| self.reach == Reach::Broadcast);
        if let Some(ip) = other {
            self.select(now, SocketAddrV4::new(ip, self.server_port));
        }
        other.is_some()
    }

    /// Sends HELLO or JOIN if that is due. `asked` is the only server without proof that gets a HELLO now.
    fn continue_handshake(&mut self, now: Duration, asked: Option<Ipv4Addr>, outputs: &mut Outputs) {
        let may_ask = self.address().is_some_and(|address| !self.is_limited(*address.ip()) || asked == Some(*address.ip()));
        let Some(selected) = &mut self.selected else { return };
        let announces_v3 = self.heard.capability(now, *selected.address.ip()).is_some();
        let silence = selected.silence(now);
        let Selected { address, version, handshake: slot, .. } = &mut **selected;
        let Some(handshake) = slot.as_mut().filter(|handshake| handshake.due() <= now) else { return };
        if let Some(join) = handshake.repeat_join(now, || Token(self.random.bits128())) {
            return outputs.send(*address, join);
        }
        if !may_ask {
            return;
        }
        let is_keyed = self.keys.is_keyed();
        if !is_keyed {
            let unanswered = Unanswered { hellos: handshake.unanswered(), silence, announces_v3, reach: self.reach };
            if version.handle_unanswered(now, unanswered) == Probe::Stop {
                *slot = None;
                return;
            }
        }
        let hello = Message::Hello { host: &self.host, run: self.run, nonce: handshake.nonce() }.emit();
        outputs.send(*address, self.keys.sign_hello(hello));
        let may_slow_down = is_keyed || self.reach == Reach::Fixed;
        handshake.handle_hello_sent(now, may_slow_down.then_some(VersionDetector::MAX_HELLOS_TO_FIXED));
    }

    fn send_keepalives(&mut self, now: Duration, revision: Revision, asked: Option<Ipv4Addr>, outputs: &mut Outputs) {
        let alive = Message::Alive { host: &self.host, run: self.run, revision, build: Build::OWN };
        let selected_ip = self.address().map(|address| *address.ip());
        let in_session = |selected: &&mut Box<Selected>| selected.version.phase() == Phase::Session;
        let reach = self.reach;
        let is_due = |selected: &&mut Box<Selected>| selected.keepalive_due(reach) <= now;
        if let Some(selected) = self.selected.as_mut().filter(in_session).filter(is_due) {
            let interval = match (revision, self.reach) {
                (Revision::NONE, _) => Self::ALIVE_WITHOUT_FILE,
                (_, Reach::Fixed) => Self::ALIVE_TO_FIXED,
                (_, Reach::Broadcast) => Self::ALIVE_INTERVAL,
            };
            selected.keepalive.handle_sent(now, interval, Some(KeepaliveTimer::REPEAT_INTERVAL));
            outputs.send(selected.address, self.keys.signed(alive.emit()));
        }
        if self.reach == Reach::Fixed {
            return;
        }
        let is_keyed = self.keys.is_keyed();
        let repeat = if is_keyed { Handshake::HELLO_INTERVAL } else { KeepaliveTimer::REPEAT_INTERVAL };
        let due: Vec<Ipv4Addr> = self
            .heard
            .iter()
            .filter(|heard| heard.keepalive_due(self.keys.is_keyed()) <= now && !self.is_selected_server(heard))
            .map(|heard| heard.ip)
            .collect();
        for ip in due.into_iter().filter(|ip| Some(*ip) != selected_ip) {
            let Some(heard) = self.heard.get_mut(ip) else { continue };
            let is_free = !is_keyed || self.asking.is_proven(heard.ip) || !heard.keepalive.is_hello_due();
            if !is_free && asked != Some(heard.ip) {
                continue;
            }
            heard.timer.handle_sent(now, Self::ALIVE_INTERVAL, heard.speaks_v3().then_some(repeat));
            let datagram =
                if is_keyed { heard.keepalive.next_datagram(&mut self.keys, Token(self.random.bits128()), &alive) } else { alive.emit() };
            outputs.send(SocketAddrV4::new(heard.ip, self.server_port), datagram);
        }
    }

    /// Something was sent to a version 1 server.
    pub(super) fn handle_classic_sent(&mut self, now: Now) {
        self.idle.handle_sent(now.mono);
    }

    /// When the agent has to tell a version 1 server that it idles, where that many events wait.
    pub(super) fn idle_due(&self, waiting: usize) -> Option<Duration> {
        let is_classic = self.selected.as_ref().is_some_and(|selected| selected.version.is_heard_as_classic());
        self.idle.due(waiting).filter(|_| is_classic)
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let mut next = None;
        if let Some(selected) = &self.selected {
            if self.reach == Reach::Broadcast || selected.handshake.is_none() {
                next = Some(selected.last_heard + HeardServers::SILENCE);
            }
            let proof = match &selected.handshake {
                Some(handshake) if handshake.is_hello_due() && self.is_limited(*selected.address.ip()) => None,
                Some(handshake) => Some(handshake.due()),
                None => self.keys.is_keyed().then(|| selected.last_proven + Self::PROOF_SILENCE),
            };
            let keepalive = (selected.version.phase() == Phase::Session).then(|| selected.keepalive_due(self.reach));
            next = earlier(earlier(next, proof), earlier(keepalive, selected.version.next_deadline()));
        }
        if self.reach == Reach::Fixed {
            return next;
        }
        let due = |heard: &Heard| match self.is_limited(heard.ip) {
            true if self.selected.is_none() || self.is_selected(heard.ip) || heard.keepalive.is_hello_due() => {
                self.asking_due(heard).and_then(|due| self.asking.due(heard.ip, heard.bytes(), due))
            }
            _ => (!self.is_selected(heard.ip) && !self.is_selected_server(heard)).then(|| heard.keepalive_due(self.keys.is_keyed())),
        };
        earlier(next, self.heard.iter().filter_map(due).min())
    }
}

#[cfg(test)]
mod tests;
