//! The server as a state machine. Datagrams, changed files and the time go in; datagrams, events for the stream and one deadline come out.
//! It opens no file and reads no clock.
//!
//! An event is acknowledged only after the caller has reported by [`Server::handle_committed`] that it is in the stream.

mod acknowledgements;
mod admission;
mod answers;
mod chains;
mod classic;
mod classic_kinds;
mod conditions;
mod configuration;
mod cookie;
mod duplicates;
mod greeting;
mod host;
mod hosts;
mod identity;
mod name_conflict;
mod outputs;
mod own_events;
mod presence;
mod reports;
mod session;
mod sink;
mod status;
mod strangers;

pub use admission::Refused;
pub use conditions::{Condition, ConditionChange, Conditions};
pub use configuration::Content;
pub use identity::ServerIdentity;
pub use outputs::Output;
pub use presence::HostState;
pub use reports::is_held_back;
pub use sink::{EventSink, Written};
pub use status::{HostKey, HostStatus, InForce, Refusals, ServerStatus};
pub use strangers::{IgnoredCounts, Stranger};

use crate::directives::{keys::HostKeys, Silences};
use crate::now::Now;
use crate::text::{sanitize, sanitize_field};
use crate::wire::auth::SessionName;
use crate::wire::position::Position;
use crate::wire::{Alert, Build, ChainId, Checkpoint, EventBatch, Message, Revision, Seq, Token};
use acknowledgements::{Acknowledgements, PendingEvent};
use admission::{Admission, Decision};
use answers::Answers;
use chains::{Arrival, Chains, TakeOutcome};
use configuration::{CheckedHost, Configurations};
use cookie::Cookies;
use duplicates::Duplicates;
use greeting::Hello;
use host::{Host, HostNotice, JoinOutcome, Standing, Version};
use hosts::Hosts;
use outputs::Outputs;
use reports::Reports;
use session::Session;
use std::net::SocketAddrV4;
use std::rc::Rc;
use std::time::Duration;
use strangers::{IgnoredDatagrams, UnknownHosts};

/// The state machine.
pub struct Server {
    identity: ServerIdentity,
    hosts: Hosts,
    configurations: Configurations,
    cookies: Cookies,
    admission: Admission,
    duplicates: Duplicates,
    chains: Chains,
    acknowledgements: Acknowledgements,
    answers: Answers,
    reports: Reports,
    unknown_hosts: UnknownHosts,
    ignored: IgnoredDatagrams,
    next_heartbeat: Duration,
    next_tick: Duration,
    /// When the stream may be searched again.
    next_search: Duration,
    /// Whether a configuration changed since the last tick.
    has_changes: bool,
    outputs: Outputs,
}

impl Server {
    const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
    /// Shortest time between two searches of the stream, which take time.
    const SEARCH_INTERVAL: Duration = Duration::from_millis(400);
    /// How often every host is checked for what is due.
    const TICK_INTERVAL: Duration = Duration::from_secs(1);
    /// A version 1 agent that repeats an event sooner than this after its acknowledgement gets no further one.
    const ACK_INTERVAL: Duration = Duration::from_secs(9);

    /// A server that has just started and knows no host.
    pub fn new(now: Now, identity: ServerIdentity) -> Self {
        Self {
            hosts: Hosts::default(),
            configurations: Configurations::default(),
            cookies: Cookies::default(),
            admission: Admission::new(),
            duplicates: Duplicates::default(),
            chains: Chains::default(),
            acknowledgements: Acknowledgements::default(),
            answers: Answers::default(),
            reports: Reports::new(identity.run),
            unknown_hosts: UnknownHosts::default(),
            ignored: IgnoredDatagrams::default(),
            next_heartbeat: now.mono,
            next_search: Duration::ZERO,
            next_tick: now.mono + Self::TICK_INTERVAL,
            has_changes: false,
            outputs: Outputs::default(),
            identity,
        }
    }

    /// Replaces the keys of hosts; `None` accepts everyone. Ends the sessions that began with a key that is not valid any more.
    pub fn set_keys(&mut self, keys: Option<HostKeys>) {
        self.admission.set_keys(keys);
        self.hosts.retain_sessions(|host, credential| self.admission.accepts(host, credential));
    }

    /// Makes an event that says that the server runs, that often. `None` for never.
    pub fn set_heartbeat(&mut self, now: Now, interval: Option<Duration>) {
        self.reports.set_heartbeat(now, interval);
    }

    /// Sets the content of a host file.
    pub fn set_host_file(&mut self, now: Now, name: &str, path: &str, content: Content) {
        let checked = self.configurations.set_host(name, path, content);
        self.handle_checked(now, checked);
    }

    /// Removes a host file.
    pub fn remove_host_file(&mut self, now: Now, name: &str) {
        if !self.configurations.remove_host(name) {
            return;
        }
        self.outputs.log(&format!("host file {name} is gone"));
        self.unknown_hosts.insert(name);
        if self.hosts.handle_file_removed(now.mono, name) {
            self.next_tick = now.mono;
        }
    }

    /// Sets the content of an include. [`Self::handle_timeout`] checks the hosts that use it, some in each call.
    pub fn set_include(&mut self, name: &str, path: &str, content: Content) {
        self.configurations.set_include(name, Some((path, content)));
    }

    /// Removes an include, see [`Self::set_include`].
    pub fn remove_include(&mut self, name: &str) {
        self.configurations.set_include(name, None);
    }

    fn handle_checked(&mut self, now: Now, checked: CheckedHost) {
        let CheckedHost { host, changed, faults } = checked;
        self.reports.report_faults(now, &host, &faults, &mut self.outputs);
        if let Some(entry) = self.hosts.get_mut(&host) {
            if changed {
                entry.handle_changed(now.mono);
                self.has_changes = true;
            }
        } else {
            // An agent without a configuration keeps asking for one, so there is nothing to announce.
            self.unknown_hosts.remove(&host);
            let entry = Host::new(now.mono, self.cookies.latest()).with_silence(now.mono, self.reports.silence(&host));
            self.hosts.insert(host.clone(), entry);
        }
        self.hosts.set_settings(&host, self.configurations.settings(&host));
    }

    fn report_notices(&mut self, now: Now, host: &str, notices: impl IntoIterator<Item = HostNotice>) {
        for notice in notices {
            self.reports.report_notice(now, &host.into(), &notice, &mut self.outputs);
        }
    }

    /// Logs a text and makes an event of that host of it.
    pub fn report(&mut self, now: Now, host: &Rc<str>, text: String) {
        self.reports.report(now, host, text, &mut self.outputs);
    }

    /// Handles a datagram. The sink takes the events in it.
    pub fn handle_datagram(&mut self, now: Now, from: SocketAddrV4, datagram: &[u8], sink: &mut impl EventSink) {
        let (content, origin) = match self.admission.check(from, datagram, &mut self.hosts) {
            Decision::Accept { content, origin } => (content, origin),
            Decision::Refuse => return,
            Decision::RefuseWithLost { host } => return self.send_lost(from, host),
        };
        // What a MAC proves comes from the device of the session, whoever said it and from where: the answer goes to that device.
        let proven_address = origin.host().and_then(|host| self.hosts.get(host)?.proven_address());
        let from = proven_address.unwrap_or(from);
        match Message::parse(content) {
            Err(_) => self.ignored.count_malformed(),
            Ok(Message::Hello { host, run, nonce }) => {
                let hello = Hello { now: now.mono, from, host, run, nonce };
                hello.answer(datagram, &mut self.cookies, &mut self.admission, &mut self.outputs);
            }
            Ok(Message::Join { host, run, nonce, cookie }) => {
                self.handle_join(now, from, SessionName { host, run, nonce, cookie }, datagram);
            }
            Ok(message) if !origin.may_be(message.host()) => self.ignored.count_unexpected(),
            Ok(Message::Alert(alert)) => self.handle_alert(now, from, alert, content, sink),
            Ok(Message::ConfigRequest { host }) => self.handle_config_request(now, from, host),
            Ok(Message::Alive { host, run, revision, build }) => self.handle_alive(now, from, host, run, revision, build),
            Ok(Message::Bye { host, run }) => self.handle_bye(now, from, host, run),
            Ok(Message::Need { host, revision, parts }) => self.handle_need(from, host, revision, &parts),
            Ok(Message::Event(batch)) => self.handle_batch(now, from, batch, content, sink),
            Ok(Message::Take { host, chain, from: before, to }) => self.handle_take(from, host, chain, before, to),
            Ok(Message::Seek { host, chains }) => self.handle_seek(now, from, host, &chains),
            Ok(Message::Back { host, chain, inode, offset }) => {
                if self.may_search(now, from, host) {
                    let places = Position::of_files(sink.earlier_places(host, chain, inode, offset)).emit();
                    self.send(from, &Message::Past { host, chain, offset, places: &places });
                }
            }
            // Where a server broadcasts to its own port, heartbeats reach it too.
            Ok(_) => self.ignored.count_unexpected(),
        }
    }

    fn handle_alert(&mut self, now: Now, from: SocketAddrV4, alert: Alert<'_>, datagram: &[u8], sink: &mut impl EventSink) {
        let Some(host) = self.hosts.get_mut(alert.host) else { return self.accept_alert(now, from, &alert, None, sink) };
        let in_session = host.has_session_at(from);
        let notices = host.handle_heard(now, from, if in_session { Version::Three } else { Version::One });
        self.report_notices(now, alert.host, notices);
        let hash = self.duplicates.hash(datagram);
        let Some(seen) = self.duplicates.get(now.mono, hash) else { return self.accept_alert(now, from, &alert, Some(hash), sink) };
        let too_soon = !in_session && seen.was_acknowledged_within(now.mono, Self::ACK_INTERVAL);
        // An event that is still to be written is acknowledged then.
        if seen.is_acknowledged() && !too_soon {
            seen.acknowledge(now.mono);
            self.outputs.send(from, &Message::Ack { uid: alert.uid }, self.hosts.mac_mut(alert.host));
        }
    }

    fn accept_alert(&mut self, now: Now, from: SocketAddrV4, alert: &Alert<'_>, hash: Option<u64>, sink: &mut impl EventSink) {
        let kind = self.configurations.classic_kind(alert.host, alert.tags, alert.text);
        sink.accept(&Alert {
            host: &sanitize_field(alert.host),
            uid: &sink::classic_word(alert.uid, kind, alert.text),
            unix: alert.unix,
            tags: &sanitize_field(alert.tags),
            file: alert.file.map(sanitize_field).as_deref(),
            text: &sanitize(alert.text),
        });
        if let Some(hash) = hash {
            self.duplicates.insert(now.mono, hash);
        }
        let signed_host = self.hosts.signed_name(alert.host).cloned();
        self.acknowledgements.push(alert.uid, PendingEvent { to: from, hash, signed_host });
    }

    /// Returns whether a host with a file has a session at that address. If not, answers LOST.
    fn require_session(&mut self, from: SocketAddrV4, host: &str) -> bool {
        let in_session = self.hosts.is_in_session(host, from);
        if !in_session {
            self.send_lost(from, host);
        }
        in_session
    }

    fn handle_batch(&mut self, now: Now, from: SocketAddrV4, batch: EventBatch<'_>, datagram: &[u8], sink: &mut impl EventSink) {
        if !self.require_session(from, batch.host) {
            return;
        }
        self.handle_heard(now, from, batch.host, Version::Three);
        let (chain, first, last) = (batch.chain, batch.first, batch.last());
        let Some(host) = self.hosts.name(batch.host).cloned() else { return };
        match self.chains.classify(&host, chain, first, last) {
            Arrival::InOrder => {
                self.accept_batch(now, from, &host, &batch, sink);
                while let Some(stored) = self.chains.take_next(&host, chain) {
                    let Ok(Message::Event(batch)) = Message::parse(&stored) else { continue };
                    self.accept_batch(now, from, &host, &batch, sink);
                }
            }
            Arrival::Duplicate => self.answers.push(from, &host, chain),
            Arrival::OutOfOrder => {
                self.chains.store(&host, chain, first.number, last.number, datagram);
                self.answers.push(from, &host, chain);
            }
            Arrival::Overlapping => self.ignored.count_unexpected(),
            Arrival::OtherEpoch => self.send_at(from, &host, chain),
        }
    }

    fn accept_batch(&mut self, now: Now, from: SocketAddrV4, host: &Rc<str>, batch: &EventBatch<'_>, sink: &mut impl EventSink) {
        sink::accept_batch(host, batch, sink);
        let says = self.reports.follow_batch(now, host, batch, &mut self.outputs);
        if self.chains.accept(host, batch.chain, batch.checkpoint(), from) || says {
            self.reports.conditions.retain(host, &self.chains.open_conditions(host));
        }
    }

    fn handle_take(&mut self, from: SocketAddrV4, host: &str, chain: ChainId, before: Option<Seq>, to: Checkpoint<&str>) {
        if !self.require_session(from, host) {
            return;
        }
        let Some(name) = self.hosts.name(host) else { return };
        match self.chains.take(name, chain, before, to) {
            TakeOutcome::Done => {
                self.reports.conditions.retain(host, &self.chains.open_conditions(host));
                self.send_at(from, host, chain);
            }
            TakeOutcome::Mismatch => self.send_at(from, host, chain),
            TakeOutcome::Uncommitted => {}
        }
    }

    fn handle_seek(&mut self, now: Now, from: SocketAddrV4, host: &str, chains: &[ChainId]) {
        if !self.require_session(from, host) {
            return;
        }
        if self.hosts.get(host).is_some_and(|host| host.has_two_agents(now.mono)) {
            // The checkpoints of one agent say nothing about the logs of the other.
            chains.iter().for_each(|chain| self.send(from, &Message::At { host, chain: *chain, checkpoint: None }));
        } else {
            chains.iter().for_each(|chain| self.send_at(from, host, *chain));
        }
    }

    /// Whether the stream may be searched for that host now. If so, it counts as searched.
    fn may_search(&mut self, now: Now, from: SocketAddrV4, host: &str) -> bool {
        let may = self.require_session(from, host) && now.mono >= self.next_search;
        if may {
            self.next_search = now.mono + Self::SEARCH_INTERVAL;
        }
        may
    }

    fn handle_config_request(&mut self, now: Now, from: SocketAddrV4, name: &str) {
        self.handle_heard(now, from, name, Version::One);
        let Some(host) = self.hosts.get_mut(name).filter(|host| host.has_file()) else { return self.log_unknown_host(now, from, name) };
        if !host.handle_config_request(now.mono) {
            return;
        }
        let reports = host.take_left_out_report(self.configurations.revision(name));
        let Some(config) = self.configurations.classic(name) else { return };
        self.identity.send_classic(from, &config.lines, &mut self.outputs);
        if reports {
            self.reports.report_faults(now, &name.into(), &config.left_out, &mut self.outputs);
        }
    }

    fn log_unknown_host(&mut self, now: Now, from: SocketAddrV4, name: &str) {
        if self.hosts.get(name).is_some_and(Host::has_file) {
            return;
        }
        if let Some(line) = self.unknown_hosts.handle_request(now, from, name) {
            self.outputs.log(&line);
        }
    }

    fn handle_join(&mut self, now: Now, from: SocketAddrV4, name: SessionName<'_>, datagram: &[u8]) {
        let SessionName { host, run, nonce, cookie } = name;
        let Some(credential) = self.admission.check_handshake(from, host, datagram) else { return };
        let Some(stamp) = self.cookies.verify(now.mono, from, host, run, nonce, cookie) else { return };
        let has_key = credential.key().is_some();
        if has_key && !self.hosts.contains(host) {
            self.hosts.insert(host.into(), Host::without_file(now.mono));
        }
        // Nothing is remembered about a host that has neither a file nor a key. It is only told that it has no configuration.
        if let Some(entry) = self.hosts.get_mut(host).filter(|entry| has_key || entry.has_file()) {
            match entry.handle_join(now.mono, stamp, Session::new(from, credential, name)) {
                JoinOutcome::Outdated => return,
                JoinOutcome::Repeated => {}
                JoinOutcome::Begun(notice) => {
                    self.report_notices(now, host, notice);
                    self.handle_heard(now, from, host, Version::Three);
                }
            }
        }
        let revision = self.configurations.revision(host);
        if revision == Revision::NONE {
            self.log_unknown_host(now, from, host);
        }
        self.send(from, &Message::Stale { host, revision });
    }

    fn handle_alive(&mut self, now: Now, from: SocketAddrV4, name: &str, run: Token, revision: Revision, build: Build<'_>) {
        self.handle_heard(now, from, name, Version::Three);
        let current = self.configurations.revision(name);
        if current == Revision::NONE {
            self.log_unknown_host(now, from, name);
        }
        match self.hosts.get_mut(name).map(|host| host.handle_alive(from, run, revision, current, build)) {
            Some(Standing::NoSession) => self.send_lost(from, name),
            Some(Standing::UpToDate) => self.send(from, &Message::Here { host: name }),
            Some(Standing::Outdated) | None => self.send(from, &Message::Stale { host: name, revision: current }),
        }
    }

    fn handle_bye(&mut self, now: Now, from: SocketAddrV4, name: &str, run: Token) {
        let host = self.hosts.get_mut(name).filter(|host| host.has_file() && host.has_session_at(from));
        let notice = host.and_then(|host| host.handle_bye(now, run));
        self.report_notices(now, name, notice);
    }

    fn handle_need(&mut self, from: SocketAddrV4, name: &str, revision: Revision, parts: &[u32]) {
        let current = self.configurations.revision(name);
        let Some(host) = self.hosts.get_mut(name).filter(|host| host.has_session_at(from)) else { return self.send_lost(from, name) };
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

    /// Notes that a host is alive at that address.
    fn handle_heard(&mut self, now: Now, from: SocketAddrV4, name: &str, version: Version) {
        if let Some(host) = self.hosts.get_mut(name) {
            let notices = host.handle_heard(now, from, version);
            self.report_notices(now, name, notices);
        }
    }

    /// Sends a message, signed if the host that it names has a session with a MAC.
    fn send(&mut self, to: SocketAddrV4, message: &Message<'_>) {
        self.outputs.send(to, message, message.host().and_then(|host| self.hosts.mac_mut(host)));
    }

    /// Sends LOST unsigned: a hint that the receiver must verify.
    fn send_lost(&mut self, to: SocketAddrV4, host: &str) {
        if self.admission.take_lost() {
            self.outputs.send(to, &Message::Lost { host }, None);
        }
    }

    /// Sends DONE for the chains that agents sent events of, except those of which events are still to be written.
    fn send_answers(&mut self) {
        let Self { answers, chains, outputs, hosts, .. } = self;
        answers.drain(
            |host, chain| chains.progress(host, chain),
            |to, host, chains| outputs.send(to, &Message::Done { host, chains }, hosts.mac_mut(host)),
        );
    }

    /// Sends AT, unless events of the chain are still to be written.
    fn send_at(&mut self, to: SocketAddrV4, host: &str, chain: ChainId) {
        if !self.chains.is_uncommitted(host, chain) {
            let checkpoint = self.chains.checkpoint(host, chain);
            self.outputs.send(to, &Message::At { host, chain, checkpoint }, self.hosts.mac_mut(host));
        }
    }

    /// Adds what an earlier run returned by [`Self::snapshot`]. Returns whether the text is a snapshot.
    pub fn restore(&mut self, snapshot: &str) -> bool {
        self.hosts.restore(snapshot);
        self.reports.conditions.restore(snapshot);
        self.chains.restore(snapshot)
    }

    /// Follows what an event that an earlier run has written says of a condition.
    pub fn handle_condition(&mut self, now: Now, host: &str, change: ConditionChange<'_>) {
        self.reports.follow(now, &host.into(), change, &mut self.outputs);
    }

    /// Whether a condition of a host is open, as far as that is remembered.
    pub fn has_condition(&self, host: &str, key: &str) -> bool {
        self.reports.conditions.get(host, key).is_some()
    }

    /// Makes an event of each condition that a silence kept from the outputs, once no silence covers it. To be called often.
    pub fn handle_silences(&mut self, now: Now, silences: &Silences) {
        self.reports.handle_silences(now, silences);
    }

    /// What the server knows of its hosts.
    pub fn status(&self, now: Now) -> ServerStatus<'_> {
        let Self { identity, hosts, configurations, admission, reports, unknown_hosts, ignored, .. } = self;
        let refusals = Refusals { ignored: ignored.counts(), refused: admission.refused() };
        let hosts = status::hosts(now, hosts, configurations, admission, &reports.conditions);
        ServerStatus { name: &identity.name, hosts, strangers: unknown_hosts.asking(), conditions: &reports.conditions, refusals }
    }

    /// Adds an event that an earlier run has written: what its word has behind the `@`, and its time. Events must come in the order of the stream.
    pub fn replay(&mut self, host: &str, at: &str, unix: u64) {
        self.chains.replay(host, at, unix);
    }

    /// Adds a version 1 event that was written within the last 15 minutes, so that a repeat of it is recognised.
    pub fn replay_recent(&mut self, now: Now, alert: Alert<'_>) {
        let hash = self.duplicates.hash(&Message::Alert(alert).emit());
        self.duplicates.insert(now.mono, hash);
        if let Some(seen) = self.duplicates.get(now.mono, hash) {
            seen.acknowledge(now.mono.saturating_sub(Self::ACK_INTERVAL));
        }
    }

    /// All host files were read: forgets the chains of hosts without a file.
    pub fn handle_started(&mut self) {
        self.chains.retain(|host| self.hosts.contains(host));
        self.hosts.handle_started();
    }

    /// What a later run needs besides the stream, if that changed since the last call. All that the sink took must be committed.
    pub fn snapshot(&mut self) -> Option<String> {
        if self.reports.conditions.take_changed() {
            self.chains.handle_snapshot_lost();
        }
        let mut text = self.chains.snapshot()?;
        self.reports.conditions.emit_into(&mut text);
        self.hosts.emit_into(&mut text);
        Some(text)
    }

    /// The last snapshot could not be stored.
    pub fn handle_snapshot_lost(&mut self) {
        self.chains.handle_snapshot_lost();
    }

    /// Reports what became of the events that the sink took since the last call, and acknowledges those that were written.
    pub fn handle_committed(&mut self, now: Now, written: Written) {
        for (to, host, chain) in self.chains.handle_committed(written) {
            self.answers.push(to, &host, chain);
        }
        self.send_answers();
        let Self { acknowledgements, duplicates, hosts, outputs, .. } = self;
        acknowledgements.drain(|uid, PendingEvent { to, hash, signed_host }| match written {
            Written::All => {
                if let Some(seen) = hash.and_then(|hash| duplicates.get(now.mono, hash)) {
                    seen.acknowledge(now.mono);
                }
                outputs.send(to, &Message::Ack { uid }, signed_host.and_then(|host| hosts.mac_mut(&host)));
            }
            Written::Nothing => hash.into_iter().for_each(|hash| duplicates.remove(hash)),
        });
        self.reports.handle_committed(written);
    }

    /// Does everything that is due. The sink takes the server's own events.
    pub fn handle_timeout(&mut self, now: Now, sink: &mut impl EventSink) {
        if now.mono >= self.next_heartbeat {
            self.next_heartbeat = now.mono + Self::HEARTBEAT_INTERVAL;
            self.identity.announce(self.admission.requires_keys(), &mut self.outputs);
        }
        for checked in self.configurations.check_some() {
            self.handle_checked(now, checked);
        }
        // All changes are announced together.
        if self.has_changes && !self.configurations.has_queued_hosts() {
            (self.has_changes, self.next_tick) = (false, now.mono);
        }
        if now.mono >= self.next_tick {
            self.next_tick = now.mono + Self::TICK_INTERVAL;
            self.handle_tick(now);
        }
        self.reports.offer(sink);
        self.send_answers();
    }

    fn handle_tick(&mut self, now: Now) {
        self.duplicates.handle_timeout(now.mono);
        for line in [self.ignored.handle_tick(now.mono), self.admission.handle_tick(now.mono)].into_iter().flatten() {
            self.outputs.log(&line);
        }
        let Self { hosts, configurations, outputs, admission, identity, .. } = self;
        let is_incomplete = hosts.handle_tick(now.mono, |name, host, due| {
            if let Some(to) = due.stale {
                outputs.send(to, &Message::Stale { host: name, revision: configurations.revision(name) }, host.mac_mut());
            }
            if due.reset && admission.is_open_for(name) {
                identity.announce_reset(name, outputs);
            }
        });
        if is_incomplete {
            self.next_tick = now.mono;
        }
        for (name, notice) in self.hosts.take_notices() {
            self.report_notices(now, &name, [notice]);
        }
        let Self { hosts, reports, identity, .. } = self;
        reports.handle_tick(now, &identity.name, |host| hosts.get(host).is_some_and(Host::has_file));
    }

    /// The next thing to do. To be called until it returns `None`, after every call of a `handle_` method.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        self.outputs.pop()
    }

    /// When to call [`Self::handle_timeout`], as a time since the start of [`Now::mono`].
    pub fn next_deadline(&self) -> Duration {
        if self.has_changes || self.configurations.has_queued_hosts() {
            return Duration::ZERO;
        }
        self.next_heartbeat.min(self.next_tick)
    }
}

#[cfg(test)]
mod tests;
