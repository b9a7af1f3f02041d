//! The server as a state machine: datagrams, changed files and the time go in; datagrams, events for the stream and one deadline come
//! out. It opens no file and reads no clock.
//!
//! An event is acknowledged only when the caller has said by [`Server::handle_committed`] that it is in the stream.

mod admission;
mod chains;
mod configuration;
mod cookie;
mod duplicates;
mod host;
mod outputs;

pub use configuration::Content;
pub use outputs::Output;

use crate::directives::Fault;
use crate::now::Now;
use crate::text::{sanitize, sanitize_field};
use crate::wire::auth::SessionName;
use crate::wire::{Alert, ChainEvent, ChainId, Checkpoint, Message, Revision, Seq, Token};
use admission::Admission;
use chains::{Chains, Taken, Verdict};
use configuration::{Configurations, Outcome};
use cookie::Cookies;
use duplicates::Duplicates;
use host::{Host, Joined, News, Session};
use outputs::Outputs;
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddrV4;
use std::rc::Rc;
use std::time::Duration;

/// What becomes of the events that the server accepts. They count as written only once the caller says so.
pub trait EventSink {
    /// Takes one event whose fields hold neither control characters nor what could be read as another field.
    fn accept(&mut self, alert: &Alert<'_>);
}

/// What tells one server from another.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The name to announce.
    pub name: String,
    /// Random for each run of the server.
    pub run: Token,
    /// Where "I am here" and RESET go.
    pub broadcast: Vec<SocketAddrV4>,
}

/// The state machine.
pub struct Server {
    identity: Identity,
    hosts: HashMap<Rc<str>, Box<Host>>,
    configurations: Configurations,
    cookies: Cookies,
    gate: Admission,
    duplicates: Duplicates,
    chains: Chains,
    /// Names without a file that asked for a configuration: each is logged once.
    strangers: HashSet<String>,
    next_stranger_log: Duration,
    /// The server's own events until they are written, and how many were given to the sink and not committed yet.
    own_events: VecDeque<OwnEvent>,
    own_offered: usize,
    /// Acknowledgements that are due when what was given to the sink is committed, and the uids of which they speak.
    acknowledgements: Vec<Acknowledgement>,
    uids: String,
    next_heartbeat: Duration,
    next_tick: Duration,
    /// Whether hosts changed that were not told yet.
    has_news: bool,
    /// What strangers caused, by reason; what of that was logged, and when there may be more of it in the log.
    ignored: Ignored,
    ignored_logged: Ignored,
    next_ignored_log: Duration,
    outputs: Outputs,
}

struct Acknowledgement {
    to: SocketAddrV4,
    /// Where among the uids that of the event ends.
    uid_end: usize,
    /// The event's hash, where repeats are known.
    hash: Option<u64>,
    /// The host in whose sealed session it came.
    host: Option<Rc<str>>,
}

/// An event that the server makes itself.
#[derive(Clone, Debug)]
struct OwnEvent {
    host: Rc<str>,
    unix: u64,
    text: String,
}

/// Datagrams that were not what this server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ignored {
    malformed: u64,
    unexpected: u64,
}

impl Server {
    const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
    /// How often all hosts are looked at.
    const TICK: Duration = Duration::from_secs(1);
    /// Most hosts that are told something, or that something is told of, in one turn.
    const TOLD_AT_ONCE: usize = 1000;
    /// A repeat from a version 1 agent that comes sooner than this after its acknowledgement gets no other.
    const NO_SECOND_ACK: Duration = Duration::from_secs(9);
    /// Most names of strangers that are kept in mind; what comes beyond is not logged.
    const MAX_STRANGERS: usize = 1000;
    /// Least time between two lines about them.
    const STRANGER_LOG_INTERVAL: Duration = Duration::from_secs(60);
    /// Most of its own events that the server keeps while the stream cannot be written.
    const MAX_OWN_EVENTS: usize = 10_000;
    /// Bytes of uids for which there is always room.
    const UIDS_KEPT: usize = 16 * 1024;
    /// Errors of one change that are reported one by one.
    const MAX_FAULTS_REPORTED: usize = 20;
    /// Least time between two lines about datagrams that were ignored.
    const IGNORED_LOG_INTERVAL: Duration = Duration::from_secs(60 * 60);
    /// What stands for the uid in the server's own events.
    const OWN_UID: &str = "000000";
    const SYSTEM: &str = "SYSTEM";

    /// A server that has just started and knows no host.
    pub fn new(now: Now, identity: Identity) -> Self {
        Self {
            identity,
            hosts: HashMap::new(),
            configurations: Configurations::default(),
            cookies: Cookies::default(),
            gate: Admission::new(),
            duplicates: Duplicates::default(),
            chains: Chains::default(),
            strangers: HashSet::new(),
            next_stranger_log: now.mono,
            own_events: VecDeque::new(),
            own_offered: 0,
            acknowledgements: Vec::new(),
            uids: String::new(),
            next_heartbeat: now.mono,
            next_tick: now.mono + Self::TICK,
            has_news: false,
            ignored: Ignored::default(),
            ignored_logged: Ignored::default(),
            next_ignored_log: now.mono,
            outputs: Outputs::default(),
        }
    }

    /// The file of a host has that content now.
    pub fn set_host_file(&mut self, now: Now, name: &str, path: &str, content: Content) {
        let outcome = self.configurations.set_host(name, path, content);
        self.handle_outcome(now, outcome);
    }

    /// The file of a host is gone.
    pub fn remove_host_file(&mut self, now: Now, name: &str) {
        if !self.configurations.remove_host(name) {
            return;
        }
        self.outputs.log(&format!("host file {name} is gone"));
        if let Some(host) = self.hosts.get_mut(name) {
            host.handle_removed(now.mono);
            self.next_tick = now.mono;
        }
    }

    /// An include has that content now. What that means for the hosts that use it is found out step by step in the next turns.
    pub fn set_include(&mut self, name: &str, path: &str, content: Content) {
        self.configurations.set_include(name, Some((path, content)));
    }

    /// An include is gone.
    pub fn remove_include(&mut self, name: &str) {
        self.configurations.set_include(name, None);
    }

    /// One step of what changed includes mean.
    fn classify_some(&mut self, now: Now) {
        if !self.configurations.is_waiting() {
            return;
        }
        for outcome in self.configurations.classify_some() {
            self.handle_outcome(now, outcome);
        }
    }

    fn handle_outcome(&mut self, now: Now, outcome: Outcome) {
        let Outcome { host, changed, faults } = outcome;
        self.report_faults(now, &host, faults);
        // A host that had no file is asking for one by itself.
        let Some(entry) = self.hosts.get_mut(&host) else {
            self.strangers.remove(&*host);
            self.hosts.insert(host, Box::new(Host::new(now.mono, self.cookies.latest())));
            return;
        };
        if changed {
            entry.handle_changed(now.mono);
            self.has_news = true;
        }
    }

    fn report_faults(&mut self, now: Now, host: &Rc<str>, faults: Vec<Fault>) {
        for fault in faults.iter().take(Self::MAX_FAULTS_REPORTED) {
            self.own_event(now, host.clone(), format!("Configuration error: {fault}"));
        }
        if faults.len() > Self::MAX_FAULTS_REPORTED {
            self.own_event(now, host.clone(), format!("Configuration error: and {} more", faults.len() - Self::MAX_FAULTS_REPORTED));
        }
    }

    /// Takes a datagram; an event in it goes to the sink.
    pub fn handle_datagram(&mut self, now: Now, from: SocketAddrV4, datagram: &[u8], sink: &mut impl EventSink) {
        let Some((content, admitted)) = self.admit(from, datagram) else { return };
        let message = match Message::parse(content) {
            Ok(Message::Hello { host, run, nonce }) => return self.handle_hello(now, from, host, run, nonce, datagram),
            Ok(Message::Join { host, run, nonce, cookie }) => {
                return self.handle_join(now, from, SessionName { host, run, nonce, cookie }, datagram);
            }
            // All else is of a session or of a host that needs none: the one that was let in, and no other.
            Ok(message) if !self.is_open() && (admitted.is_none() || message.host() != admitted) => {
                self.ignored.unexpected += 1;
                return;
            }
            message => message,
        };
        match message {
            Ok(Message::Alert(alert)) => self.handle_alert(now, from, alert, content, sink),
            Ok(Message::ConfigRequest { host }) => self.handle_config_request(now, from, host),
            Ok(Message::Alive { host, run, revision }) => self.handle_alive(now, from, host, run, revision),
            Ok(Message::Need { host, revision, parts }) => self.handle_need(from, host, revision, &parts),
            Ok(Message::Event(event)) => self.handle_event(now, from, event, content, sink),
            Ok(Message::Take { host, chain, from: before, to }) => self.handle_take(from, host, chain, before, to),
            Ok(Message::Seek { host, chains }) => self.handle_seek(now, from, host, &chains),
            // Other servers' heartbeats reach this port too where one broadcasts to itself.
            Ok(_) => self.ignored.unexpected += 1,
            Err(_) => self.ignored.malformed += 1,
        }
    }

    fn handle_alert(&mut self, now: Now, from: SocketAddrV4, alert: Alert<'_>, datagram: &[u8], sink: &mut impl EventSink) {
        let Some(host) = self.hosts.get_mut(alert.host) else { return self.accept(now, from, &alert, None, sink) };
        let in_session = host.has_session_at(from);
        let news = host.handle_heard(now.mono, *from.ip(), !in_session);
        self.handle_news(now, alert.host, news);
        let hash = self.duplicates.hash(datagram);
        let Some(seen) = self.duplicates.get(now.mono, hash) else {
            return self.accept(now, from, &alert, Some(hash), sink);
        };
        let too_soon = !in_session && seen.was_acknowledged_within(now.mono, Self::NO_SECOND_ACK);
        // Where it is not acknowledged yet, it is about to be.
        if seen.is_acknowledged() && !too_soon {
            seen.acknowledge(now.mono);
            let mac = self.hosts.get_mut(alert.host).and_then(|host| host.mac_mut());
            self.outputs.send(from, &Message::Ack { uid: alert.uid }, mac);
        }
    }

    fn accept(&mut self, now: Now, from: SocketAddrV4, alert: &Alert<'_>, hash: Option<u64>, sink: &mut impl EventSink) {
        sink.accept(&Alert {
            host: &sanitize_field(alert.host),
            uid: &sanitize_field(alert.uid),
            unix: alert.unix,
            tags: &sanitize_field(alert.tags),
            file: alert.file.map(sanitize_field).as_deref(),
            text: &sanitize(alert.text),
        });
        if let Some(hash) = hash {
            self.duplicates.insert(now.mono, hash);
        }
        self.uids.push_str(alert.uid);
        let sealed = |host: &Rc<str>| self.hosts.get(host).is_some_and(|host| host.has_mac());
        let host = self.hosts.get_key_value(alert.host).map(|(host, _)| host.clone()).filter(sealed);
        self.acknowledgements.push(Acknowledgement { to: from, uid_end: self.uids.len(), hash, host });
    }

    /// Whether a configured host has a session at that address; if not, the sender is told so.
    fn is_in_session(&mut self, from: SocketAddrV4, name: &str) -> bool {
        let in_session = self.hosts.get(name).is_some_and(|host| host.is_configured() && host.has_session_at(from));
        if !in_session {
            self.say_lost(from, name);
        }
        in_session
    }

    fn handle_event(&mut self, now: Now, from: SocketAddrV4, event: ChainEvent<'_>, datagram: &[u8], sink: &mut impl EventSink) {
        let ChainEvent { host, chain, checkpoint: Checkpoint { seq, .. }, .. } = event;
        if !self.is_in_session(from, host) {
            return;
        }
        self.heard(now, from, host, false);
        match self.chains.classify(host, chain, seq) {
            Verdict::Next => {
                self.accept_next(from, event, sink);
                while let Some(sack) = self.chains.next_held(host, chain) {
                    if let Ok(Message::Event(event)) = Message::parse(&sack) {
                        self.accept_next(from, event, sink);
                    }
                }
            }
            Verdict::Repeat => self.say_done(from, host, chain),
            Verdict::Ahead => {
                self.chains.hold(host, chain, seq.number, datagram);
                self.say_done(from, host, chain);
            }
            Verdict::Elsewhere => self.say_reached(from, host, chain),
        }
    }

    fn accept_next(&mut self, from: SocketAddrV4, event: ChainEvent<'_>, sink: &mut impl EventSink) {
        let Some((host, _)) = self.hosts.get_key_value(event.host) else { return };
        sink.accept(&Alert {
            host: &sanitize_field(host),
            uid: &event.uid(),
            unix: event.checkpoint.unix,
            tags: &sanitize_field(event.tags),
            file: event.file.map(sanitize_field).as_deref(),
            text: &sanitize(event.text),
        });
        self.chains.accept(host, event.chain, event.checkpoint, from);
    }

    /// Nothing is said of what is being written: that is said when it is.
    fn say_done(&mut self, to: SocketAddrV4, host: &str, chain: ChainId) {
        if let Some((seq, sack)) = self.chains.done(host, chain) {
            self.send(to, &Message::Done { host, chain, seq, sack });
        }
    }

    /// As [`Self::say_done`].
    fn say_reached(&mut self, to: SocketAddrV4, host: &str, chain: ChainId) {
        if !self.chains.is_uncommitted(host, chain) {
            let mac = self.hosts.get_mut(host).and_then(|host| host.mac_mut());
            self.outputs.send(to, &Message::At { host, chain, checkpoint: self.chains.checkpoint(host, chain) }, mac);
        }
    }

    fn handle_take(&mut self, from: SocketAddrV4, name: &str, chain: ChainId, before: Option<Seq>, to: Checkpoint<&str>) {
        if !self.is_in_session(from, name) {
            return;
        }
        let Some((host, _)) = self.hosts.get_key_value(name) else { return };
        match self.chains.take(host, chain, before, to) {
            Taken::Done => self.say_done(from, name, chain),
            Taken::Elsewhere => self.say_reached(from, name, chain),
            Taken::Uncommitted => {}
        }
    }

    fn handle_seek(&mut self, now: Now, from: SocketAddrV4, name: &str, chains: &[ChainId]) {
        if !self.is_in_session(from, name) {
            return;
        }
        if self.hosts.get(name).is_some_and(|host| host.is_of_two(now.mono)) {
            // How far the one has read says nothing of the logs of the other.
            chains.iter().for_each(|chain| self.send(from, &Message::At { host: name, chain: *chain, checkpoint: None }));
        } else {
            chains.iter().for_each(|chain| self.say_reached(from, name, *chain));
        }
    }

    /// Takes over what an earlier run kept by [`Self::snapshot`]. Returns whether it can be read.
    pub fn restore(&mut self, snapshot: &str) -> bool {
        self.chains.restore(snapshot)
    }

    /// Tells of an event that an earlier run has written, in the order of the stream.
    pub fn replay(&mut self, host: &str, uid: &str) {
        self.chains.replay(host, uid);
    }

    /// Tells of an event that was written within the last 15 minutes: a repeat of it is recognised.
    pub fn replay_recent(&mut self, now: Now, alert: Alert<'_>) {
        let hash = self.duplicates.hash(&Message::Alert(alert).emit());
        self.duplicates.insert(now.mono, hash);
        if let Some(seen) = self.duplicates.get(now.mono, hash) {
            seen.acknowledge(now.mono.saturating_sub(Self::NO_SECOND_ACK));
        }
    }

    /// All host files were read: what is known of hosts without one is forgotten.
    pub fn handle_started(&mut self) {
        self.chains.retain(|host| self.hosts.contains_key(host));
    }

    /// What a later run needs besides the stream to go on where this one is, if that has changed since the last time.
    /// To be asked only when all that the sink was given is written.
    pub fn snapshot(&mut self) -> Option<String> {
        self.chains.snapshot()
    }

    /// The last snapshot could not be kept.
    pub fn handle_snapshot_lost(&mut self) {
        self.chains.handle_snapshot_lost();
    }

    /// Says whether all that the sink was given is in the stream now, or none of it.
    pub fn handle_committed(&mut self, now: Now, written: bool) {
        for (to, host, chain) in self.chains.handle_committed(written) {
            self.say_done(to, &host, chain);
        }
        let mut start = 0;
        for Acknowledgement { to, uid_end, hash, host } in self.acknowledgements.drain(..) {
            if written {
                if let Some(seen) = hash.and_then(|hash| self.duplicates.get(now.mono, hash)) {
                    seen.acknowledge(now.mono);
                }
                let mac = host.and_then(|host| self.hosts.get_mut(&host)).and_then(|host| host.mac_mut());
                self.outputs.send(to, &Message::Ack { uid: &self.uids[start..uid_end] }, mac);
            } else if let Some(hash) = hash {
                self.duplicates.remove(hash);
            }
            start = uid_end;
        }
        self.uids.clear();
        self.uids.shrink_to(Self::UIDS_KEPT);
        let offered = std::mem::take(&mut self.own_offered);
        if written {
            self.own_events.drain(..offered);
        }
    }

    fn handle_config_request(&mut self, now: Now, from: SocketAddrV4, name: &str) {
        self.heard(now, from, name, true);
        let Some(host) = self.hosts.get_mut(name).filter(|host| host.is_configured()) else { return self.handle_stranger(now, from, name) };
        host.handle_config_request();
        if !host.may_send_config(now.mono) {
            return;
        }
        let announced = host.announce_left_out(self.configurations.revision(name));
        let Some(config) = self.configurations.classic(name) else { return };
        self.send(from, &Message::Config { lines: &config.lines });
        if announced {
            self.report_faults(now, &name.into(), config.left_out);
        }
    }

    fn handle_stranger(&mut self, now: Now, from: SocketAddrV4, name: &str) {
        let known = self.strangers.len() == Self::MAX_STRANGERS || self.strangers.contains(name) || name.len() > 255;
        if !known && now.mono >= self.next_stranger_log {
            self.next_stranger_log = now.mono + Self::STRANGER_LOG_INTERVAL;
            self.strangers.insert(name.to_string());
            self.outputs.log(&format!(
                "{} at {} asks for a configuration, but there is no host file of that name",
                sanitize(name),
                from.ip()
            ));
        }
    }

    fn handle_hello(&mut self, now: Now, from: SocketAddrV4, host: &str, run: Token, nonce: Token, datagram: &[u8]) {
        let Some(key) = self.admit_handshake(from, host, datagram) else { return };
        let cookie = self.cookies.make(now.mono, from, host, run, nonce);
        self.outputs.send_signed(from, &Message::Offer { host, nonce, cookie }, key.as_ref());
    }

    fn handle_join(&mut self, now: Now, from: SocketAddrV4, name: SessionName<'_>, datagram: &[u8]) {
        let SessionName { host, run, nonce, cookie } = name;
        let Some(key) = self.admit_handshake(from, host, datagram) else { return };
        let Some(stamp) = self.cookies.stamp(now.mono, from, host, run, nonce, cookie) else { return };
        if key.is_some() && !self.hosts.contains_key(host) {
            self.hosts.insert(host.into(), Box::new(Host::without_file(now.mono)));
        }
        match self.hosts.get_mut(host) {
            Some(entry) if key.is_some() || entry.is_configured() => match entry.join(now.mono, stamp, Session::new(from, key, name)) {
                Joined::Late => return,
                Joined::Again => {}
                Joined::New(news) => {
                    self.handle_news(now, host, news);
                    self.heard(now, from, host, false);
                }
            },
            _ => {}
        }
        let revision = self.configurations.revision(host);
        if revision == Revision::NONE {
            self.handle_stranger(now, from, host);
        }
        self.send(from, &Message::Stale { host, revision });
    }

    fn handle_alive(&mut self, now: Now, from: SocketAddrV4, name: &str, run: Token, revision: Revision) {
        self.heard(now, from, name, false);
        let current = self.configurations.revision(name);
        let answer = match self.hosts.get_mut(name) {
            None => Message::Stale { host: name, revision: Revision::NONE },
            Some(host) => match host.session_of(from, run) {
                None => return self.say_lost(from, name),
                Some(session) if revision == current => {
                    session.handle_up_to_date();
                    Message::Here { host: name }
                }
                Some(_) => Message::Stale { host: name, revision: current },
            },
        };
        self.send(from, &answer);
    }

    fn handle_need(&mut self, from: SocketAddrV4, name: &str, revision: Revision, parts: &[u32]) {
        let current = self.configurations.revision(name);
        let Some(host) = self.hosts.get_mut(name).filter(|host| host.has_session_at(from)) else {
            return self.say_lost(from, name);
        };
        if revision != current {
            return self.send(from, &Message::Stale { host: name, revision: current });
        }
        host.handle_fetching();
        let texts = self.configurations.parts(name);
        let count = u32::try_from(texts.len()).unwrap_or(u32::MAX);
        for (index, text) in (1..).zip(&*texts).filter(|(index, _)| parts.contains(index)) {
            self.send(from, &Message::Part { host: name, revision, index, count, text });
        }
    }

    /// Notes that a configured host is alive at that address.
    fn heard(&mut self, now: Now, from: SocketAddrV4, name: &str, classic: bool) {
        let Some(host) = self.hosts.get_mut(name) else { return };
        let news = host.handle_heard(now.mono, *from.ip(), classic);
        self.handle_news(now, name, news);
    }

    fn handle_news(&mut self, now: Now, name: &str, news: News) {
        if news.active_again {
            self.own_event(now, name.into(), "Host is active again".into());
        }
        if let Some((one, other)) = news.two_addresses {
            self.own_event(now, name.into(), format!("Host name is used from two addresses at once: {one} and {other}"));
        }
        if let Some((one, other)) = news.two_runs {
            self.own_event(now, name.into(), format!("Host name is used by two agents at once, at {one} and {other}"));
        }
    }

    /// Does all that is due; the server's own events go to the sink.
    pub fn handle_timeout(&mut self, now: Now, sink: &mut impl EventSink) {
        if now.mono >= self.next_heartbeat {
            self.next_heartbeat = now.mono + Self::HEARTBEAT_INTERVAL;
            let Identity { name, run, broadcast } = &self.identity;
            // The capability goes first, so that an agent that is looking for a server knows which version to try.
            for message in [Message::Capability { name, run: *run }, Message::Heartbeat { name }] {
                broadcast.iter().for_each(|to| self.outputs.send(*to, &message, None));
            }
        }
        self.classify_some(now);
        // All hosts that changed are told together.
        if self.has_news && !self.configurations.is_waiting() {
            (self.has_news, self.next_tick) = (false, now.mono);
        }
        if now.mono >= self.next_tick {
            self.next_tick = now.mono + Self::TICK;
            self.tick(now);
        }
        self.offer_own_events(sink);
    }

    fn tick(&mut self, now: Now) {
        self.duplicates.handle_timeout(now.mono);
        self.log_ignored(now.mono);
        self.tick_gate(now);
        let mut inactive = Vec::new();
        let mut told = 0;
        for (name, host) in &mut self.hosts {
            if told == Self::TOLD_AT_ONCE {
                // The others come next turn: those that were told are not due again so soon.
                self.next_tick = now.mono;
                break;
            }
            let due = host.handle_tick(now.mono);
            told += usize::from(due.stale.is_some() || due.reset || due.inactive);
            if let Some(to) = due.stale {
                let revision = self.configurations.revision(name);
                self.outputs.send(to, &Message::Stale { host: name, revision }, host.mac_mut());
            }
            if due.reset && self.gate.is_open_for(name) {
                self.identity.broadcast.iter().for_each(|to| self.outputs.send(*to, &Message::Reset { host: name }, None));
            }
            if due.inactive {
                inactive.push(name.clone());
            }
        }
        self.hosts.retain(|_, host| !host.is_finished());
        inactive.into_iter().for_each(|name| self.own_event(now, name, "Host is inactive".into()));
    }

    fn log_ignored(&mut self, now: Duration) {
        if now < self.next_ignored_log || self.ignored == self.ignored_logged {
            return;
        }
        self.next_ignored_log = now + Self::IGNORED_LOG_INTERVAL;
        self.ignored_logged = self.ignored;
        let Ignored { malformed, unexpected } = self.ignored;
        self.outputs.log(&format!("datagrams ignored since the start: {malformed} malformed, {unexpected} unexpected"));
    }

    fn own_event(&mut self, now: Now, host: Rc<str>, text: String) {
        self.outputs.log(&format!("{host}: {text}"));
        if self.own_events.len() < Self::MAX_OWN_EVENTS {
            self.own_events.push_back(OwnEvent { host, unix: now.unix, text });
        }
    }

    fn offer_own_events(&mut self, sink: &mut impl EventSink) {
        for OwnEvent { host, unix, text } in self.own_events.iter().skip(self.own_offered) {
            let (host, text) = (sanitize_field(host), sanitize(text));
            sink.accept(&Alert { host: &host, uid: Self::OWN_UID, unix: *unix, tags: Self::SYSTEM, file: None, text: &text });
        }
        self.own_offered = self.own_events.len();
    }

    /// The next thing to be done; to be drained after every call of a `handle_` method.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        self.outputs.pop()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Duration {
        if self.has_news || self.configurations.is_waiting() {
            return Duration::ZERO;
        }
        self.next_heartbeat.min(self.next_tick)
    }
}

#[cfg(test)]
mod tests;
