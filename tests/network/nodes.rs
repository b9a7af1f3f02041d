//! The nodes of the simulated network: one agent or server each, with the least of an outside world that it needs.

use super::{EVERYONE, PORT};
use project436::agent::{Agent, Block, Identity, Output};
use project436::directives::host::{HostFile, LogSource};
use project436::directives::{emit_marked, Source};
use project436::now::Now;
use project436::random::Random;
use project436::server::{self, EventSink, Server};
use project436::wire::{Alert, Message, Revision};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// An agent and its logs.
pub struct AgentNode {
    pub host: String,
    pub address: SocketAddr,
    /// Nothing that it sends or is sent arrives.
    pub cut_off: bool,
    /// No broadcast comes this far.
    pub routed: bool,
    /// When the agent has something to do next.
    pub wake: Option<Duration>,
    agent: Agent,
    follows: Vec<LogSource>,
    logs: BTreeMap<String, Log>,
    /// What the agent wrote into its own log.
    pub said: Vec<String>,
    /// Each ALERT as it was sent: when, to whom, which.
    pub alerts: Vec<(Duration, SocketAddr, String)>,
    /// The events that it was told are in a stream.
    pub acknowledged: BTreeSet<String>,
    /// Datagrams sent.
    pub sent: u64,
    /// When each server's heartbeat last came.
    pub heard: BTreeMap<SocketAddr, Duration>,
}

#[derive(Default)]
struct Log {
    bytes: Vec<u8>,
    read: usize,
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
    pub text: String,
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

    pub fn new(now: Now, host: &str, address: SocketAddr, random: &mut Random) -> Self {
        let identity = Identity { host: host.into(), run: random.token(), server_port: PORT + 1, seed: random.bits() };
        Self {
            host: host.into(),
            address,
            cut_off: false,
            routed: false,
            wake: Some(now.mono),
            agent: Agent::new(now, identity),
            follows: Vec::new(),
            logs: BTreeMap::new(),
            said: Vec::new(),
            alerts: Vec::new(),
            acknowledged: BTreeSet::new(),
            sent: 0,
            heard: BTreeMap::new(),
        }
    }

    /// The agent speaks with that server only, behind a router.
    pub fn fix_server(&mut self, now: Now, server: SocketAddr) {
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
        let followed: BTreeSet<String> = self.follows.iter().map(LogSource::field).collect();
        followed.len() == self.follows.len() && followed == paths.iter().cloned().collect()
    }

    /// What the agent said of the configurations that came into force.
    pub fn in_force(&self) -> Vec<&str> {
        self.said.iter().map(String::as_str).filter(|text| text.starts_with("Configuration ")).collect()
    }

    /// Whether all lines are read and all events acknowledged.
    pub fn is_quiet(&self, now: Duration) -> bool {
        let unread = self.follows.iter().filter_map(|source| self.logs.get(&source.field())).any(|log| log.read < log.bytes.len());
        !unread && self.alerts.last().is_some_and(|(at, ..)| now - *at > Self::QUIET)
    }

    /// The uids of all events that were ever sent.
    pub fn uids(&self) -> BTreeSet<String> {
        self.alerts.iter().map(|(.., uid)| uid.clone()).collect()
    }

    pub(super) fn handle_datagram(&mut self, now: Now, from: SocketAddr, datagram: &[u8]) {
        match Message::parse(datagram) {
            Ok(Message::Ack { uid }) => drop(self.acknowledged.insert(uid.into())),
            Ok(Message::Heartbeat { .. } | Message::Capability { .. }) => drop(self.heard.insert(from, now.mono)),
            _ => {}
        }
        self.wake = Some(now.mono);
        self.agent.handle_datagram(now, from, datagram);
    }

    /// One turn of the loop. Returns what is to be sent.
    pub(super) fn settle(&mut self, now: Now) -> Vec<(SocketAddr, Vec<u8>)> {
        self.agent.handle_timeout(now);
        self.read_logs(now);
        self.agent.handle_timeout(now);
        let mut sent = Vec::new();
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Send { to, datagram } => {
                    if let Ok(Message::Alert(alert)) = Message::parse(&datagram) {
                        self.alerts.push((now.mono, to, alert.uid.into()));
                    }
                    sent.push((to, datagram));
                }
                Output::Follow(sources) => {
                    for log in sources.iter().map(LogSource::field) {
                        self.logs.entry(log).or_default();
                    }
                    self.follows = sources;
                }
                Output::Log(text) => self.said.push(text),
                other => panic!("no test of the network has rules that ask for {other:?}"),
            }
        }
        self.sent += sent.len() as u64;
        self.wake = self.agent.next_deadline(now);
        sent
    }

    fn read_logs(&mut self, now: Now) {
        for (number, source) in self.follows.iter().enumerate() {
            let path = source.field();
            let Some(log) = self.logs.get_mut(&path).filter(|log| log.read < log.bytes.len()) else { continue };
            if self.agent.has_room() {
                let block = Block { path: &path, position: log.read as u64, bytes: &log.bytes[log.read..] };
                let consumed = self.agent.handle_log_lines(now, number, block);
                assert!(consumed > 0, "there is room, and yet nothing is read: the loop would turn for ever");
                log.read += consumed;
            }
        }
    }
}

/// A server, its host files and its stream.
pub struct ServerNode {
    pub address: SocketAddr,
    /// Nothing that it sends or is sent arrives.
    pub cut_off: bool,
    /// The stream cannot be written.
    pub disk_full: bool,
    /// When the server has something to do next.
    pub wake: Duration,
    server: Server,
    files: BTreeMap<String, String>,
    batch: Batch,
    pub stream: Vec<Record>,
    /// ACKs that were sent: when and for which event.
    pub acknowledged: Vec<(Duration, String)>,
    /// Counts the runs; no run may write an event twice.
    run: usize,
    written_in_run: BTreeMap<(usize, String, String), u32>,
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
            text: alert.text.into(),
        });
    }
}

impl ServerNode {
    pub fn new(now: Now, address: SocketAddr, random: &mut Random) -> Self {
        Self {
            address,
            cut_off: false,
            disk_full: false,
            wake: now.mono,
            server: new_server(now, random),
            files: BTreeMap::new(),
            batch: Batch::default(),
            stream: Vec::new(),
            acknowledged: Vec::new(),
            run: 0,
            written_in_run: BTreeMap::new(),
        }
    }

    pub(super) fn restart(&mut self, now: Now, random: &mut Random) {
        self.server = new_server(now, random);
        self.run += 1;
        self.wake = now.mono;
        for (host, text) in self.files.clone() {
            self.set_host_file(now, &host, &text);
        }
    }

    pub(super) fn set_host_file(&mut self, now: Now, host: &str, text: &str) {
        self.wake = now.mono;
        self.files.insert(host.into(), text.into());
        self.server.set_host_file(now, host, host, Ok(text.as_bytes().to_vec()));
    }

    /// What was written of one host's events, in the order of arrival; the server's own are not among them.
    pub fn events<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Record> {
        self.stream.iter().filter(move |record| record.host == host && record.uid != "000000")
    }

    /// What the server itself wrote of a host, and when.
    pub fn own_events<'a>(&'a self, host: &'a str) -> impl Iterator<Item = (Duration, &'a str)> {
        self.stream.iter().filter(move |record| record.host == host && record.uid == "000000").map(|record| (record.at, &*record.text))
    }

    pub(super) fn handle_datagram(&mut self, now: Now, from: SocketAddr, datagram: &[u8]) {
        (self.batch.now, self.wake) = (now.mono, now.mono);
        self.server.handle_datagram(now, from, datagram, &mut self.batch);
    }

    /// One turn of the loop. Returns what is to be sent.
    pub(super) fn settle(&mut self, now: Now) -> Vec<(SocketAddr, Vec<u8>)> {
        self.batch.now = now.mono;
        self.server.handle_timeout(now, &mut self.batch);
        let records = std::mem::take(&mut self.batch.records);
        self.server.handle_committed(now, !self.disk_full);
        if !self.disk_full {
            records.into_iter().for_each(|record| self.write(record));
        }
        let mut sent = Vec::new();
        while let Some(output) = self.server.poll_output() {
            let server::Output::Send { to, datagram } = output else { continue };
            if let Ok(Message::Ack { uid }) = Message::parse(datagram) {
                self.acknowledged.push((now.mono, uid.into()));
            }
            sent.push((to, datagram.to_vec()));
        }
        self.wake = self.server.next_deadline();
        sent
    }

    fn write(&mut self, record: Record) {
        if record.uid != "000000" {
            let times = self.written_in_run.entry((self.run, record.host.clone(), record.uid.clone())).or_default();
            *times += 1;
            assert_eq!(*times, 1, "written twice by one run of server {}: {record:?}", self.address);
        }
        self.stream.push(record);
    }
}

fn new_server(now: Now, random: &mut Random) -> Server {
    let broadcast = vec![SocketAddr::from((EVERYONE, PORT))];
    Server::new(now, server::Identity { name: "server".into(), run: random.token(), broadcast })
}
