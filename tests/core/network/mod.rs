//! A simulated network in virtual time: agents and servers as state machines, joined by datagrams that are lost, doubled, delayed and
//! overtaken as a seed says. No sockets, no clocks, no files.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file uses its part")]
#![allow(clippy::print_stderr, reason = "a test that fails names its seed")]

mod nodes;

#[allow(unused_imports, reason = "each test file uses its part")]
pub use nodes::Record;
pub use nodes::{announcement, AgentNode, ServerNode};

use project436::now::Now;
use project436::random::Random;
use project436::schedule::WeekMinute;
use project436::wire::auth::Key;
use project436::wire::Message;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

/// P: agents listen there, servers on P+1.
pub const PORT: u16 = 4360;
/// A datagram to that address reaches every agent.
pub const EVERYONE: [u8; 4] = [10, 0, 0, 255];
/// 2026-11-22 11:35:36 UTC, a Sunday.
pub const START: u64 = 1_795_347_336;

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the network does to datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// Lost of a hundred, each way.
    pub loss: u64,
    /// Doubled of a hundred.
    pub duplication: u64,
    /// The longest time under way. Above the shortest, datagrams overtake each other.
    pub delay: Duration,
}

impl Conditions {
    const SHORTEST: Duration = Duration::from_millis(1);

    pub const PERFECT: Self = Self { loss: 0, duplication: 0, delay: Self::SHORTEST };

    /// One of the grid of settings, the same for the same seed.
    pub fn of(seed: u64) -> Self {
        let pick = |values: [u64; 3], at: u64| values[usize::try_from(at % 3).unwrap()];
        Self {
            loss: pick([0, 10, 33], seed),
            duplication: pick([0, 5, 30], seed / 3),
            delay: Duration::from_millis(pick([1, 200, 2000], seed / 9)),
        }
    }

    pub fn is_lossless(&self) -> bool {
        self.loss == 0
    }
}

/// What befell the datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fate {
    pub sent: u64,
    pub lost: u64,
    pub doubled: u64,
    pub overtaken: u64,
}

struct Packet {
    number: u64,
    from: SocketAddrV4,
    to: SocketAddrV4,
    datagram: Vec<u8>,
}

/// A datagram: from whom, to whom, what.
pub type Overheard = (SocketAddrV4, SocketAddrV4, Vec<u8>);

pub struct World {
    seed: u64,
    conditions: Conditions,
    /// Only version 1 passes, as if one side of each pair spoke nothing else.
    pub only_version_1: bool,
    random: Random,
    mono: Duration,
    /// What the wall clock showed when `mono` was 0.
    unix_at_zero: u64,
    pub agents: Vec<AgentNode>,
    pub servers: Vec<ServerNode>,
    /// By the time of arrival.
    flight: BTreeMap<(Duration, u64), Packet>,
    numbered: u64,
    latest: BTreeMap<(SocketAddrV4, SocketAddrV4), u64>,
    pub fate: Fate,
    /// From whom to whom which datagrams went, for who listens; `None` when no one does.
    pub overheard: Option<Vec<Overheard>>,
    /// Steps at the present instant.
    steps: u32,
}

/// Seeds from there on are those of worlds in which server and agents have keys; the conditions are those of the seed without it.
pub const KEYED: u64 = 27 << 32;

/// The key of which those of the hosts come.
pub fn master() -> Key {
    Key::new([4; 32])
}

/// A datagram without the trailer of its session, if it has one.
pub fn without_trailer(datagram: &[u8]) -> &[u8] {
    let Ok(text) = std::str::from_utf8(datagram) else { return datagram };
    let of_handshake = ["HELLO", "OFFER", "JOIN", "SRVCAP"].iter().any(|command| text.starts_with(command));
    let is_mac = |mac: &str| mac.len() == 32 && mac.bytes().all(|b| b.is_ascii_hexdigit());
    let content = text.rsplit_once("%%").filter(|(_, mac)| is_mac(mac)).and_then(|(rest, _)| rest.rsplit_once("%%"));
    match content {
        Some((content, counter)) if !of_handshake && counter.bytes().all(|b| b.is_ascii_digit()) => content.as_bytes(),
        _ => datagram,
    }
}

impl World {
    /// More steps at one instant mean that time stands still.
    const MOST_STEPS: u32 = 1000;

    pub fn new(seed: u64, conditions: Conditions) -> Self {
        Self {
            seed,
            conditions,
            only_version_1: false,
            random: Random::new(seed),
            mono: seconds(1000),
            unix_at_zero: START - 1000,
            agents: Vec::new(),
            servers: Vec::new(),
            flight: BTreeMap::new(),
            numbered: 0,
            latest: BTreeMap::new(),
            fate: Fate::default(),
            overheard: None,
            steps: 0,
        }
    }

    /// Whether server and agents have keys.
    pub fn is_keyed(&self) -> bool {
        self.seed >= KEYED && !self.only_version_1
    }

    pub fn conditions(&self) -> Conditions {
        self.conditions
    }

    pub fn now(&self) -> Now {
        let unix = self.unix_at_zero.wrapping_add(self.mono.as_secs());
        // 1970 began on a Thursday.
        let day = u16::try_from((unix / 86_400 + 4) % 7).unwrap();
        let minute = u16::try_from(unix % 86_400 / 60).unwrap();
        Now { mono: self.mono, unix, local: WeekMinute::new(day, 0, minute), second: u8::try_from(unix % 60).unwrap() }
    }

    /// The wall clock jumps to that time.
    pub fn set_wall_clock(&mut self, unix: u64) {
        self.unix_at_zero = unix.wrapping_sub(self.mono.as_secs());
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.random.bits() % end
    }

    pub fn add_agent(&mut self, host: &str) -> usize {
        let last = u8::try_from(101 + self.agents.len()).unwrap();
        let node = AgentNode::new(self.now(), host, SocketAddrV4::new([10, 0, 0, last].into(), PORT), &mut self.random);
        self.agents.push(node);
        if self.is_keyed() {
            let now = self.now();
            self.agents.last_mut().unwrap().set_keys(now, vec![master().of_host(host)]);
        }
        self.agents.len() - 1
    }

    pub fn add_server(&mut self) -> usize {
        let last = u8::try_from(1 + self.servers.len()).unwrap();
        let node = ServerNode::new(self.now(), SocketAddrV4::new([10, 0, 0, last].into(), PORT + 1), &mut self.random);
        self.servers.push(node);
        if self.is_keyed() {
            self.servers.last_mut().unwrap().set_keys(&format!("* {}", master().emit()));
        }
        self.servers.len() - 1
    }

    /// The server ends, and another run of it begins with the same host files.
    pub fn restart_server(&mut self, server: usize) {
        let now = self.now();
        self.servers[server].restart(now, &mut self.random);
    }

    /// The agent is killed, and another run of it begins.
    pub fn restart_agent(&mut self, agent: usize) {
        let now = self.now();
        self.agents[agent].restart(now, &mut self.random);
    }

    /// A server has that host file from now on.
    pub fn set_host_file(&mut self, server: usize, host: &str, text: &str) {
        let now = self.now();
        self.servers[server].set_host_file(now, host, text);
    }

    /// A line is appended to a log of an agent.
    pub fn write_line(&mut self, agent: usize, path: &str, line: &str) {
        let now = self.now();
        self.agents[agent].write_line(now, path, line);
        self.settle();
    }

    /// Steps until that holds.
    pub fn run_until(&mut self, what: &str, limit: Duration, holds: impl Fn(&Self) -> bool) {
        let end = self.mono + limit;
        while !holds(self) {
            assert!(self.mono < end, "after {limit:?} not yet: {what}");
            self.seq(end);
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.mono + time;
        while self.mono < end {
            self.seq(end);
        }
    }

    /// Goes on to whatever happens next, at `end` at the latest.
    pub fn seq(&mut self, end: Duration) {
        let wake_ups = self.agents.iter().filter_map(|node| node.wake).chain(self.servers.iter().map(|node| node.wake));
        let arrival = self.flight.keys().next().map(|(at, _)| *at);
        let next = wake_ups.chain(arrival).min().unwrap_or(end).min(end);
        self.steps = if next > self.mono { 0 } else { self.steps + 1 };
        assert!(self.steps < Self::MOST_STEPS, "time stands still");
        self.mono = self.mono.max(next);
        self.deliver();
        self.settle();
    }

    fn deliver(&mut self) {
        let now = self.now();
        while let Some(entry) = self.flight.first_entry().filter(|entry| entry.key().0 <= now.mono) {
            let Packet { number, from, to, datagram } = entry.remove();
            let latest = self.latest.entry((from, to)).or_default();
            self.fate.overtaken += u64::from(number < *latest);
            *latest = number.max(*latest);
            if let Some(agent) = self.agents.iter_mut().find(|node| node.address == to) {
                agent.handle_datagram(now, from, &datagram);
            } else if let Some(server) = self.servers.iter_mut().find(|node| node.address == to) {
                server.handle_datagram(now, from, &datagram);
            }
        }
    }

    /// Lets every node do what is due and puts on the wire what comes of it.
    fn settle(&mut self) {
        let now = self.now();
        let mut sent = Vec::new();
        for node in self.agents.iter_mut().filter(|node| node.wake.is_some_and(|at| at <= now.mono)) {
            let address = node.address;
            sent.extend(node.settle(now).into_iter().map(|(to, datagram)| (address, to, datagram)));
            assert!(node.wake.is_none_or(|at| at > now.mono), "agent {} has done all that was due, and wakes at once", node.host);
        }
        for node in self.servers.iter_mut().filter(|node| node.wake <= now.mono) {
            let address = node.address;
            sent.extend(node.settle(now).into_iter().map(|(to, datagram)| (address, to, datagram)));
            assert!(node.wake > now.mono, "server {address} has done all that was due, and wakes at once");
        }
        sent.into_iter().for_each(|(from, to, datagram)| self.send(from, to, datagram));
    }

    fn send(&mut self, from: SocketAddrV4, to: SocketAddrV4, datagram: Vec<u8>) {
        let message = Message::parse(without_trailer(&datagram)).expect("state machines send messages");
        let is_signed = without_trailer(&datagram).len() < datagram.len();
        let needs_none = matches!(
            message,
            Message::Heartbeat { .. }
                | Message::Capability { .. }
                | Message::Lost { .. }
                | Message::Locked { .. }
                | Message::Hello { .. }
                | Message::Offer { .. }
                | Message::Join { .. }
        );
        assert!(is_signed == self.is_keyed() || needs_none, "{message:?}");
        let is_event = matches!(message, Message::Alert(_) | Message::Event(_) | Message::Config { .. });
        let is_version_1 = is_event && !matches!(message, Message::Event(_))
            || matches!(message, Message::Heartbeat { .. } | Message::ConfigRequest { .. } | Message::Reset { .. } | Message::Ack { .. });
        if self.only_version_1 && !is_version_1 {
            return;
        }
        assert!(is_event || datagram.len() <= 1200, "{} bytes: {message:?}", datagram.len());
        if to.ip() == SocketAddrV4::new(EVERYONE.into(), 0).ip() {
            let agents: Vec<SocketAddrV4> = self.agents.iter().filter(|node| !node.routed).map(|node| node.address).collect();
            agents.into_iter().for_each(|agent| self.carry(from, agent, &datagram));
        } else {
            self.carry(from, to, &datagram);
        }
    }

    /// Someone says that in another's name, and it arrives.
    pub fn say(&mut self, from: SocketAddrV4, to: SocketAddrV4, datagram: Vec<u8>) {
        self.numbered += 1;
        self.flight.insert((self.mono + Conditions::SHORTEST, self.numbered), Packet { number: self.numbered, from, to, datagram });
    }

    fn carry(&mut self, from: SocketAddrV4, to: SocketAddrV4, datagram: &[u8]) {
        self.fate.sent += 1;
        if let Some(overheard) = &mut self.overheard {
            overheard.push((from, to, datagram.to_vec()));
        }
        let cut_off = self.agents.iter().filter(|node| node.cut_off).map(|node| node.address);
        let mut cut_off = cut_off.chain(self.servers.iter().filter(|node| node.cut_off).map(|node| node.address));
        if cut_off.any(|address| address == from || address == to) || self.random.bits() % 100 < self.conditions.loss {
            self.fate.lost += 1;
            return;
        }
        let doubled = self.random.bits() % 100 < self.conditions.duplication;
        self.fate.doubled += u64::from(doubled);
        for _ in 0..=u8::from(doubled) {
            self.numbered += 1;
            let delay = Conditions::SHORTEST + self.random.up_to(self.conditions.delay.saturating_sub(Conditions::SHORTEST));
            let packet = Packet { number: self.numbered, from, to, datagram: datagram.to_vec() };
            self.flight.insert((self.mono + delay, self.numbered), packet);
        }
    }

    /// Every event that any agent made so far has been acknowledged.
    pub fn is_quiet(&self) -> bool {
        self.agents.iter().all(|node| node.is_quiet(self.mono))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, conditions, fate, mono, .. } = self;
            eprintln!("seed {seed}, at {mono:?}: {conditions:?}, {fate:?}; again with SIMULATION_SEEDS={seed}");
        }
    }
}

/// Runs a scenario for `count` seeds, with and without keys, or for those that `SIMULATION_SEEDS` names: `17` or `0-5000`.
pub fn for_each_seed(count: u64, scenario: impl Fn(u64)) {
    let given = std::env::var("SIMULATION_SEEDS").ok();
    let range = given.as_deref().map(|given| {
        let (first, last) = given.split_once('-').unwrap_or((given, given));
        let number = |text: &str| text.parse().expect("SIMULATION_SEEDS is N or N-M");
        number(first)..=number(last)
    });
    range.unwrap_or(0..=count - 1).flat_map(|seed| [seed, seed + KEYED]).for_each(scenario);
}
