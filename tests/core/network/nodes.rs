//! The nodes of the simulated network: one agent or server each, with the least of an outside world that it needs.

use super::{without_trailer, EVERYONE, PORT};
use project436::agent::{Agent, AgentIdentity, Lines, LogEvent, LogId, Output, Place, Start, Urgency};
use project436::directives::host::{HostFile, LogSource};
use project436::directives::keys::HostKeys;
use project436::directives::{emit_marked, Source};
use project436::encoding::Units;
use project436::now::Now;
use project436::random::Random;
use project436::server::{self, ConditionChange, EventSink, Server};
use project436::wire::auth::Key;
use project436::wire::position::{content_hash, BlockPosition, FilePosition, Position, CONTEXT};
use project436::wire::{Alert, ChainId, EventWord, Message, Progress, Revision, Token};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::Duration;

/// An agent and its logs.
pub struct AgentNode {
    pub host: String,
    pub address: SocketAddrV4,
    /// Nothing that it sends or is sent arrives.
    pub cut_off: bool,
    /// No broadcast comes this far.
    pub routed: bool,
    /// When the agent has something to do next.
    pub wake: Option<Duration>,
    agent: Agent,
    keys: Vec<Key>,
    follows: Vec<(LogId, LogSource)>,
    logs: BTreeMap<String, Log>,
    /// What every command prints here.
    pub printed: String,
    /// The file of positions, if there is one, and how often it could have been written.
    pub positions: Option<String>,
    turns: u64,
    /// What the agent wrote into its own log.
    pub said: Vec<String>,
    /// Each event as it was sent: when, to whom, which.
    pub alerts: Vec<(Duration, SocketAddrV4, String)>,
    /// The chain, run and number of those that had them.
    numbers: BTreeMap<(u64, u64, u64), String>,
    /// What was sent by each uid. One event may have several: another server is told of it anew.
    contents: BTreeMap<String, Content>,
    /// The uids of events that it was told are in a stream.
    acknowledged: BTreeSet<String>,
    /// The nonces of the sessions that it has joined.
    pub joined: BTreeSet<u128>,
    /// Datagrams sent.
    pub sent: u64,
    /// When each server's heartbeat last came.
    pub heard: BTreeMap<SocketAddrV4, Duration>,
}

/// When an event happened, its tags and its text.
pub type Content = (u64, String, String);

#[derive(Default)]
struct Log {
    bytes: Vec<u8>,
    /// Where it ended when it was found, and how far it is read; nothing until the agent says where to begin.
    end: usize,
    read: Option<usize>,
}

impl Log {
    const INODE: u64 = 7;

    fn position(&self, offset: usize) -> Position {
        let hash = content_hash(&self.bytes, &self.bytes[..offset], offset as u64);
        Position::of_files(vec![FilePosition { offset: offset as u64, hash, inode: Self::INODE, done: 0, serial: 0 }])
    }

    /// Where reading begins. A position that is none of this file fails the test: it never changes but by growing.
    fn open(&mut self, start: &Start) -> Position {
        let offset = match start {
            Start::End => self.end,
            Start::Beginning => 0,
            Start::Continue | Start::Among(..) => panic!("no test of the network has wildcards, or logs that lose their end"),
            Start::At(position, _) => {
                let offset = usize::try_from(position.files[0].offset).unwrap();
                let done = position.files[0].done;
                assert_eq!([FilePosition { done, ..self.position(offset).files[0] }], *position.files);
                offset
            }
        };
        self.read = Some(offset);
        self.position(offset)
    }
}

/// An event in a server's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was written.
    pub at: Duration,
    pub unix: u64,
    pub host: String,
    pub uid: String,
    pub tags: String,
    pub file: Option<String>,
    pub text: String,
}

impl Record {
    /// Whether the server made it.
    pub fn is_of_server(&self) -> bool {
        self.uid.contains(";system") && !self.uid.contains(['@', '_'])
    }

    pub fn content(&self) -> Content {
        (self.unix, self.tags.clone(), self.text.clone())
    }
}

/// What an agent says once it has put the whole of its host's file in force.
pub fn announcement(host: &str, text: &str) -> String {
    let file = HostFile::parse(Source { path: host, text }.lines());
    let revision = Revision::of(&emit_marked(&file.good_lines()));
    let (rules, plural) = (file.groups.len(), if file.groups.len() == 1 { "" } else { "s" });
    format!("Configuration {revision} in force: {rules} rule{plural}")
}

impl AgentNode {
    /// An event that was sent and not repeated for so long was acknowledged.
    const QUIET: Duration = Duration::from_secs(15);

    pub fn new(now: Now, host: &str, address: SocketAddrV4, random: &mut Random) -> Self {
        let identity = AgentIdentity { host: host.into(), run: Token(random.bits128()), server_port: PORT + 1, seed: random.bits() };
        Self {
            host: host.into(),
            address,
            cut_off: false,
            routed: false,
            wake: Some(now.mono),
            agent: Agent::new(now, identity),
            keys: Vec::new(),
            follows: Vec::new(),
            logs: BTreeMap::new(),
            printed: String::new(),
            positions: None,
            turns: 0,
            said: Vec::new(),
            alerts: Vec::new(),
            numbers: BTreeMap::new(),
            contents: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            joined: BTreeSet::new(),
            sent: 0,
            heard: BTreeMap::new(),
        }
    }

    /// The agent believes only servers with one of these keys, in later runs too.
    pub fn set_keys(&mut self, now: Now, keys: Vec<Key>) {
        self.wake = Some(now.mono);
        self.keys.clone_from(&keys);
        self.agent.set_keys(now, keys);
    }

    /// The agent is killed, and another run of it begins.
    pub(super) fn restart(&mut self, now: Now, random: &mut Random) {
        let identity = AgentIdentity { host: self.host.clone(), run: Token(random.bits128()), server_port: PORT + 1, seed: random.bits() };
        self.agent = Agent::new(now, identity);
        self.agent.set_keys(now, self.keys.clone());
        self.positions.iter().for_each(|positions| self.agent.remember(now, positions));
        self.follows.clear();
        self.logs.values_mut().for_each(|log| log.read = None);
        self.wake = Some(now.mono);
    }

    /// The agent speaks with that server only, behind a router.
    pub fn fix_server(&mut self, now: Now, server: SocketAddrV4) {
        (self.routed, self.wake) = (true, Some(now.mono));
        self.agent.wait_for_fixed_server();
        self.agent.fix_server(now, server);
    }

    pub fn write_line(&mut self, now: Now, path: &str, line: &str) {
        self.wake = Some(now.mono);
        let log = self.logs.entry(path.into()).or_default();
        log.bytes.extend([line.as_bytes(), b"\n"].concat());
    }

    /// Whether exactly these logs are followed, in any order.
    pub fn follows(&self, paths: &[String]) -> bool {
        let followed: BTreeSet<String> = self.follows.iter().map(|(_, source)| source.field()).collect();
        followed.len() == self.follows.len() && followed == paths.iter().cloned().collect()
    }

    /// What the agent said of the configurations that came into force.
    pub fn in_force(&self) -> Vec<&str> {
        self.said.iter().map(String::as_str).filter(|text| text.starts_with("Configuration ")).collect()
    }

    /// Whether all lines are read and all events acknowledged.
    pub fn is_quiet(&self, now: Duration) -> bool {
        let unread = self
            .follows
            .iter()
            .filter_map(|(_, source)| self.logs.get(&source.field()))
            .any(|log| log.read.is_none_or(|read| read < log.bytes.len()));
        !unread && self.agent.waiting() == 0 && self.alerts.last().is_some_and(|(at, ..)| now - *at > Self::QUIET)
    }

    /// All events that were ever sent.
    pub fn contents(&self) -> BTreeSet<Content> {
        self.contents.values().cloned().collect()
    }

    /// The events that it was told are in a stream.
    pub fn acknowledged(&self) -> BTreeSet<Content> {
        self.acknowledged.iter().filter_map(|uid| self.contents.get(uid)).cloned().collect()
    }

    pub(super) fn handle_datagram(&mut self, now: Now, from: SocketAddrV4, datagram: &[u8]) {
        match Message::parse(without_trailer(datagram)) {
            Ok(Message::Ack { uid }) => drop(self.acknowledged.insert(uid.into())),
            Ok(Message::Done { chains, .. }) => {
                for Progress { chain: ChainId(chain), done: seq, .. } in chains {
                    let done = self.numbers.range((chain, seq.epoch, 0)..=(chain, seq.epoch, seq.number));
                    self.acknowledged.extend(done.map(|(_, uid)| uid.clone()));
                }
            }
            Ok(Message::At { chain: ChainId(chain), checkpoint: Some(checkpoint), .. }) => {
                let seq = checkpoint.seq;
                let done = self.numbers.range((chain, seq.epoch, 0)..=(chain, seq.epoch, seq.number));
                self.acknowledged.extend(done.map(|(_, uid)| uid.clone()));
            }
            Ok(Message::Heartbeat { .. } | Message::Capability { .. }) => drop(self.heard.insert(from, now.mono)),
            _ => {}
        }
        self.wake = Some(now.mono);
        self.agent.handle_datagram(now, from, datagram);
    }

    /// As many turns of the loop as there is something to be done at this moment. Returns what is to be sent.
    pub(super) fn settle(&mut self, now: Now) -> Vec<(SocketAddrV4, Vec<u8>)> {
        let mut sent = Vec::new();
        loop {
            self.agent.handle_timeout(now);
            self.keep_positions();
            // Before anything is read, as the real loop does.
            let changed = self.carry_out(now, &mut sent);
            self.read_logs(now);
            self.agent.handle_timeout(now);
            let is_all_done = self.agent.next_deadline(now).is_none_or(|at| at > now.mono);
            if !self.carry_out(now, &mut sent) && !changed && is_all_done {
                break;
            }
        }
        self.sent += sent.len() as u64;
        self.wake = self.agent.next_deadline(now);
        sent
    }

    /// Writes the positions as the real loop does: what is urgent before anything is sent, the rest only now and then.
    fn keep_positions(&mut self) {
        if self.positions.is_some() {
            self.turns += 1;
            let urgency = if self.turns % 20 == 0 { Urgency::Any } else { Urgency::Urgent };
            self.positions = self.agent.positions(urgency).or(self.positions.take());
        }
    }

    /// Returns whether the logs that are followed changed.
    fn carry_out(&mut self, now: Now, sent: &mut Vec<(SocketAddrV4, Vec<u8>)>) -> bool {
        let (mut changed, mut opened, mut jobs) = (false, Vec::new(), Vec::new());
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Send { to, datagram } => {
                    self.note_sent(now, to, &datagram);
                    sent.push((to, datagram));
                }
                Output::Follow(logs) => {
                    let logs: Vec<_> = logs.into_iter().map(|(id, source, _)| (id, source)).collect();
                    for (id, source) in &logs {
                        let log = self.logs.entry(source.field()).or_default();
                        if !self.follows.iter().any(|(known, _)| known == id) {
                            (log.end, log.read) = (log.bytes.len(), None);
                        }
                    }
                    (self.follows, changed) = (logs, true);
                }
                Output::Open { log, path, start, .. } => {
                    let position = self.logs.get_mut(&path).expect("what is to be opened is followed").open(&start);
                    opened.push((log, position));
                    changed = true;
                }
                Output::Log(text) => self.said.push(text),
                Output::Start { job, .. } => jobs.push(job),
                Output::Stop(_) => {}
                other => panic!("no test of the network has rules that ask for {other:?}"),
            }
        }
        for (log, position) in opened {
            self.agent.handle_log(now, log, LogEvent::Opened { position, lost: None, is_refused: false });
        }
        for job in jobs {
            self.agent.handle_task_lines(now, job, self.printed.as_bytes());
            self.agent.handle_task_end(now, job, Ok(()).into());
            changed = true;
        }
        changed
    }

    fn note_sent(&mut self, now: Now, to: SocketAddrV4, datagram: &[u8]) {
        let mut said = Vec::new();
        match Message::parse(without_trailer(datagram)) {
            Ok(Message::Alert(alert)) => said.push((alert.uid.to_string(), (alert.unix, alert.tags.to_string(), alert.text.to_string()))),
            Ok(Message::Event(batch)) => {
                let mut number = batch.first.number;
                batch.for_each(|uid, event| {
                    self.numbers.insert((batch.chain.0, batch.first.epoch, number), uid.into());
                    said.push((uid.to_string(), (event.unix, event.tags.to_string(), event.text.to_string())));
                    number += 1;
                });
            }
            Ok(Message::Join { nonce, .. }) => {
                self.joined.insert(nonce.0);
                return;
            }
            _ => return,
        }
        for (uid, content) in said {
            self.contents.insert(uid.clone(), content);
            self.alerts.push((now.mono, to, uid));
        }
    }

    fn read_logs(&mut self, now: Now) {
        for (id, source) in &self.follows {
            let path = source.field();
            let Some(log) = self.logs.get_mut(&path) else { continue };
            let Some(read) = log.read.filter(|read| *read < log.bytes.len()) else { continue };
            if self.agent.has_room() {
                let place = BlockPosition {
                    serial: 0,
                    earlier: &[],
                    later: &[],
                    inode: Log::INODE,
                    head: &log.bytes[..CONTEXT.min(log.bytes.len())],
                    offset: read as u64,
                    before: &log.bytes[read.saturating_sub(CONTEXT)..read],
                };
                let lines =
                    Lines { position: read as u64, place: Some(Place::File(place)), bytes: &log.bytes[read..], units: Units::Bytes };
                let consumed = self.agent.handle_log(now, *id, LogEvent::Lines(lines));
                assert!(consumed > 0, "there is room, and yet nothing is read: the loop would turn for ever");
                log.read = Some(read + consumed);
                self.agent.handle_log(now, *id, LogEvent::Read(log.position(read + consumed)));
            }
        }
    }
}

/// A server, its host files and its stream.
pub struct ServerNode {
    pub address: SocketAddrV4,
    /// Nothing that it sends or is sent arrives.
    pub cut_off: bool,
    /// The stream cannot be written.
    pub disk_full: bool,
    /// When the server has something to do next.
    pub wake: Duration,
    server: Server,
    /// What its key file says, if it has one.
    keys: Option<String>,
    files: BTreeMap<String, String>,
    batch: Batch,
    pub stream: Vec<Record>,
    /// ACKs that were sent: when and for which event.
    pub acknowledged: Vec<(Duration, String)>,
    /// What the server kept last to go on after a restart, when, and how much of the stream it covers.
    snapshot: Option<(Duration, String, usize)>,
    written: BTreeMap<(String, String), u32>,
}

#[derive(Default)]
struct Batch {
    now: Duration,
    records: Vec<Record>,
}

impl EventSink for Batch {
    fn accept(&mut self, alert: &Alert<'_>) {
        self.records.push(Record {
            at: self.now,
            unix: alert.unix,
            host: alert.host.into(),
            uid: alert.uid.into(),
            tags: alert.tags.into(),
            file: alert.file.map(str::to_string),
            text: alert.text.into(),
        });
    }
}

impl ServerNode {
    const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(60);

    pub fn new(now: Now, address: SocketAddrV4, random: &mut Random) -> Self {
        Self {
            address,
            cut_off: false,
            disk_full: false,
            wake: now.mono,
            server: new_server(now, random),
            keys: None,
            files: BTreeMap::new(),
            batch: Batch::default(),
            stream: Vec::new(),
            acknowledged: Vec::new(),
            snapshot: None,
            written: BTreeMap::new(),
        }
    }

    /// The server is killed, and another run of it begins with what the disk has.
    pub(super) fn restart(&mut self, now: Now, random: &mut Random) {
        self.server = new_server(now, random);
        self.server.set_keys(self.keys.as_deref().map(host_keys));
        self.wake = now.mono;
        let covered = self.snapshot.as_ref().map_or(0, |(_, text, covered)| {
            assert!(self.server.restore(text));
            *covered
        });
        for (number, record) in self.stream.iter().enumerate() {
            if number >= covered {
                let word = EventWord::parse(&record.uid).unwrap_or(EventWord::of_uid(&record.uid));
                self.server.replay(&record.host, word.at.unwrap_or_default(), record.unix);
                if let Some(change) = ConditionChange::of(&word, &record.tags, &record.text, record.unix) {
                    self.server.handle_condition(now, &record.host, change);
                }
            }
            if now.mono - record.at <= Duration::from_secs(15 * 60) {
                let Record { host, uid, unix, tags, file, text, .. } = record;
                let uid = EventWord::parse(uid).map_or(&**uid, |word| word.uid);
                self.server.replay_recent(now, Alert { host, uid, unix: *unix, tags, file: file.as_deref(), text });
            }
        }
        for (host, text) in self.files.clone() {
            self.set_host_file(now, &host, &text);
        }
        self.server.handle_started();
    }

    /// The server reads that key file.
    pub fn set_keys(&mut self, text: &str) {
        self.keys = Some(text.into());
        self.server.set_keys(Some(host_keys(text)));
    }

    /// What the server has kept besides the stream is lost.
    pub fn lose_snapshot(&mut self) {
        self.snapshot = None;
    }

    pub(super) fn set_host_file(&mut self, now: Now, host: &str, text: &str) {
        self.wake = now.mono;
        self.files.insert(host.into(), text.into());
        self.server.set_host_file(now, host, host, Ok(text.as_bytes().to_vec()));
    }

    /// What was written of one host's events, in the order of arrival; the server's own are not among them.
    pub fn events<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Record> {
        self.stream.iter().filter(move |record| record.host == host && !record.is_of_server())
    }

    /// What the server itself wrote of a host, and when.
    pub fn own_events<'a>(&'a self, host: &'a str) -> impl Iterator<Item = (Duration, &'a str)> {
        self.stream.iter().filter(move |record| record.host == host && record.is_of_server()).map(|record| (record.at, &*record.text))
    }

    pub(super) fn handle_datagram(&mut self, now: Now, from: SocketAddrV4, datagram: &[u8]) {
        (self.batch.now, self.wake) = (now.mono, now.mono);
        self.server.handle_datagram(now, from, datagram, &mut self.batch);
    }

    /// One turn of the loop. Returns what is to be sent.
    pub(super) fn settle(&mut self, now: Now) -> Vec<(SocketAddrV4, Vec<u8>)> {
        self.batch.now = now.mono;
        self.server.handle_timeout(now, &mut self.batch);
        let records = std::mem::take(&mut self.batch.records);
        self.server.handle_committed(now, if self.disk_full { server::Written::Nothing } else { server::Written::All });
        if !self.disk_full {
            records.into_iter().for_each(|record| self.write(record));
        }
        let mut sent = Vec::new();
        while let Some(output) = self.server.poll_output() {
            let server::Output::Send { to, datagram } = output else { continue };
            match Message::parse(without_trailer(datagram)) {
                Ok(Message::Ack { uid }) => self.acknowledged.push((now.mono, uid.into())),
                Ok(Message::Done { host, chains }) => {
                    let done = chains.iter().filter(|progress| progress.done.number > 0);
                    self.acknowledged.extend(done.map(|Progress { chain, done, .. }| (now.mono, format!("{host} {chain} {done}"))));
                }
                _ => {}
            }
            sent.push((to, datagram.to_vec()));
        }
        self.wake = self.server.next_deadline();
        if self.snapshot.as_ref().is_none_or(|(at, ..)| now.mono - *at >= Self::SNAPSHOT_INTERVAL) {
            self.snapshot = self.server.snapshot().map(|text| (now.mono, text, self.stream.len())).or(self.snapshot.take());
        }
        sent
    }

    fn write(&mut self, record: Record) {
        if !record.is_of_server() {
            let times = self.written.entry((record.host.clone(), record.uid.clone())).or_default();
            *times += 1;
            assert_eq!(*times, 1, "written twice by server {}: {record:?}", self.address);
        }
        self.stream.push(record);
    }
}

fn host_keys(text: &str) -> HostKeys {
    HostKeys::parse(Source { path: "keys", text }).expect("a good key file")
}

fn new_server(now: Now, random: &mut Random) -> Server {
    let broadcast = vec![SocketAddrV4::new(EVERYONE.into(), PORT)];
    Server::new(now, server::ServerIdentity { name: "server".into(), run: Token(random.bits128()), broadcast })
}
