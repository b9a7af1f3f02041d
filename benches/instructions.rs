//! The hot paths with fixed inputs, so that their instructions can be counted: `instructions SCENARIO TIMES` does that work so many
//! times, and what a run with 0 times costs is the price of getting ready. `scripts/bench/instructions.sh` runs it. Without arguments it
//! lists the scenarios: name, the function whose instructions count with all that it calls, or `-` for the whole program, and what is done.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

use project436::agent::{self, Agent, Lines, LogEvent, LogId, Place};
use project436::directives::host::HostFile;
use project436::directives::keys::HostKeys;
use project436::directives::Source;
use project436::encoding::Units;
use project436::now::Now;
use project436::schedule::WeekMinute;
use project436::server::{self, EventSink, Server};
use project436::wire::auth::Key;
use project436::wire::position::{BlockPosition, Position, CONTEXT};
use project436::wire::{Alert, Message, Token};
use std::hint::black_box;
use std::net::SocketAddrV4;
use std::time::Duration;

/// What can be measured: its name, the function that counts, how much of what one time is, and what does it so many times.
type Scenario = (&'static str, &'static str, &'static str, fn(usize));

const SCENARIOS: [Scenario; 14] = [
    ("wire-alert", ALL, "parse and emit one ALERT", wire_alert),
    ("lines-literal", ALL, "1000 lines through one rule for a literal", |times| lines("segfault", times)),
    ("lines-regex", ALL, "1000 lines through one rule for a regular expression", |times| {
        lines(r"\[[0-9]+\]: (error|timeout)", times);
    }),
    ("lines-alternation", ALL, "1000 lines through one rule for alternatives", |times| {
        lines("authentication failure|segfault at 0x[0-9a-f]+", times);
    }),
    ("lines-digits", ALL, "1000 lines, most of which match", |times| lines(r"\d+", times)),
    ("lines-events", AGENT, "20 lines that all become events, acknowledged: the agent", |times| events(20, None, times)),
    ("event-agent", AGENT, "a line that becomes an event, acknowledged: the agent", |times| events(1, None, times)),
    ("event-server", SERVER, "an event, committed and acknowledged: the server", |times| events(1, None, times)),
    ("burst-agent", AGENT, "1000 lines that all become events, acknowledged: the agent", |times| events(1000, None, times)),
    ("burst-server", SERVER, "1000 events of one agent, committed and acknowledged: the server", |times| events(1000, None, times)),
    ("keys-agent", AGENT, "1000 lines that all become events, with keys: the agent", |times| events(1000, Some(KEY), times)),
    ("keys-server", SERVER, "1000 events of one agent, with keys: the server", |times| events(1000, Some(KEY), times)),
    ("server-alert", ALL, "100 ALERTs from 10 hosts, accepted, committed and acknowledged", server_alert),
    ("directives", ALL, "a host file of 10 rules", directives),
];

/// Everything counts.
const ALL: &str = "-";
/// The turns of that side count. No other function may have that in its name, closures of this one included: callgrind begins and ends
/// counting at each of them.
const AGENT: &str = "agent_turn";
const SERVER: &str = "server_turn";

const MOST_TIMES: usize = 100;
const HOST: &str = "nas1";
const KEY: [u8; 32] = [4; 32];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [name, times] => {
            let (.., run) = SCENARIOS.iter().find(|(known, ..)| *known == name).expect("a scenario that is listed");
            let times = times.parse().expect("a number");
            assert!(times <= MOST_TIMES);
            run(times);
        }
        _ => SCENARIOS.iter().for_each(|(name, counts, what, _)| println!("{name}\t{counts}\t{what}")),
    }
}

fn at(seconds: u64) -> Now {
    Now { mono: Duration::from_secs(seconds), unix: 1_795_347_336 + seconds, local: WeekMinute::new(0, 0, 0), second: 0 }
}

fn wire_alert(times: usize) {
    let datagram = alert(0, 0);
    for _ in 0..times {
        let message = Message::parse(black_box(&datagram)).expect("a message");
        assert_eq!(black_box(message.emit()), datagram);
    }
}

fn alert(host: usize, number: usize) -> Vec<u8> {
    format!("ALERT%%host{host}%%1795347336_{number}%%1795347336%%TAG1%%/var/log/messages%%sshd[4711]: authentication failure for root")
        .into_bytes()
}

/// Lines as syslog writes them, of which few match what is looked for.
fn log_lines() -> Vec<u8> {
    let mut text = String::new();
    for i in 0..1000 {
        let what = match i {
            500 => "kernel: app[4711]: segfault at 0x7f00dead ip 0x1234",
            600 => "nginx[4711]: error: upstream went away",
            700 => "sshd[4711]: authentication failure; user=root",
            _ if i % 3 == 0 => "sshd[812]: Accepted publickey for backup from 192.168.1.7 port 40022 ssh2",
            _ if i % 3 == 1 => "systemd[1]: Started Session of user backup",
            _ => "dnsmasq[77]: query[A] example.org from 192.168.1.20",
        };
        text += &format!("Nov 22 11:{:02}:{:02} nas1 {what}\n", i / 60 % 60, i % 60);
    }
    text.into_bytes()
}

/// Lines of a file that is read up to that position.
fn read(position: u64, bytes: &[u8]) -> LogEvent<'_> {
    let place = BlockPosition {
        earlier: &[],
        later: &[],
        inode: 7,
        serial: 1,
        head: &[b'x'; CONTEXT],
        offset: position + 1000,
        before: &[b'y'; CONTEXT],
    };
    LogEvent::Lines(Lines { position, place: Some(Place::File(place)), bytes, units: Units::Bytes })
}

fn lines(pattern: &str, times: usize) {
    let mut pair = Pair::new(&format!("file: /var/log/messages\nmatch: {pattern}\nalert_count: tags=T seconds=3600\n"), None);
    let text = log_lines();
    for _ in 0..times {
        let mut done = 0;
        while done < text.len() {
            done += pair.agent_turn(black_box(&text[done..]));
            // The events of the counts are not what is measured.
            pair.to_server.clear();
        }
    }
}

/// Lines that all become events, until the agent knows that the stream has each of them.
fn events(count: usize, key: Option<[u8; 32]>, times: usize) {
    let mut pair = Pair::new("file: /var/log/messages\nmatch: failure\nalert_all: tags=T\n", key);
    let text = "Nov 22 11:35:36 nas1 sshd[4711]: authentication failure; user=root\n".repeat(count);
    for _ in 0..times {
        let (mut done, before) = (0, pair.sink.events);
        for turn in 0.. {
            done += pair.agent_turn(black_box(&text.as_bytes()[done..]));
            pair.server_turn();
            if done == text.len() && pair.agent.waiting() == 0 {
                break;
            }
            assert!(turn < 1000 + 100 * count, "{done} bytes were taken, and {} events arrived", pair.sink.events - before);
        }
        assert_eq!(pair.sink.events - before, count);
    }
}

fn server_alert(times: usize) {
    let mut server = new_server();
    let mut sink = Sink::default();
    for host in 0..10 {
        server.set_host_file(at(0), &format!("host{host}"), "hosts/host", Ok(b"run: command=@load extract=(x)\n".to_vec()));
    }
    while server.poll_output().is_some() {}
    // Always as many, so that to make them is a part of getting ready.
    let datagrams: Vec<_> = (0..MOST_TIMES * 100).map(|i| alert(i % 10, i)).collect();
    for datagrams in datagrams.chunks(100).take(times) {
        for datagram in datagrams {
            server.handle_datagram(at(1), agent_address(), black_box(datagram), &mut sink);
        }
        server.handle_committed(at(1), server::Written::All);
        let answers = std::iter::from_fn(|| server.poll_output().map(|_| ())).count();
        assert!(answers > 0, "what is committed is acknowledged");
    }
    assert_eq!(sink.events, times * 100);
}

fn directives(times: usize) {
    let text: String = (0..10)
        .map(|i| match i % 3 {
            0 => format!("file: /var/log/app{i}\nmatch: error {i}\nactive: 12345;08:00-18:00\nalert_all: tags=APP{i}\n"),
            1 => format!("process: ^/usr/sbin/daemon{i}\nalert_running: tags=P{i} min=1 max=4 message=daemon {i}\n"),
            _ => {
                format!(r"file: /var/log/x{i}{0}match: \[[0-9]+\]: (a|b){i}{0}alert_n: tags=X threshold=3 seconds=60 message=many{0}", '\n')
            }
        })
        .collect();
    for _ in 0..times {
        let file = HostFile::parse(Source { path: "hosts/nas1", text: black_box(&text) }.lines());
        assert_eq!((file.groups.len(), file.faults.len()), (10, 0));
    }
}

/// Counts what it is given, as a stream would write it.
#[derive(Default)]
struct Sink {
    events: usize,
}

impl EventSink for Sink {
    fn accept(&mut self, alert: &Alert<'_>) {
        black_box(alert);
        self.events += 1;
    }
}

fn server_address() -> SocketAddrV4 {
    SocketAddrV4::new([127, 0, 0, 1].into(), 4361)
}

fn agent_address() -> SocketAddrV4 {
    SocketAddrV4::new([127, 0, 0, 2].into(), 4360)
}

fn new_server() -> Server {
    let broadcast = vec![SocketAddrV4::new([127, 255, 255, 255].into(), 4360)];
    Server::new(at(0), server::ServerIdentity { name: "server".into(), run: Token(1), broadcast })
}

/// An agent and its server, and what is on its way between them. A turn of both takes a millisecond.
struct Pair {
    agent: Agent,
    server: Server,
    sink: Sink,
    now: Now,
    /// The log that the agent follows, and how far it was read.
    log: Option<LogId>,
    position: u64,
    to_server: Vec<Vec<u8>>,
    to_agent: Vec<Vec<u8>>,
}

impl Pair {
    const TURN: Duration = Duration::from_millis(1);

    /// The agent got its configuration from the server, as it does in a network, and follows its log.
    fn new(host_file: &str, key: Option<[u8; 32]>) -> Self {
        let agent = Agent::new(at(0), agent::AgentIdentity { host: HOST.into(), run: Token(2), server_port: 4361, seed: 1 });
        let (to_server, to_agent) = (Vec::new(), Vec::new());
        let (server, sink, log) = (new_server(), Sink::default(), None);
        let mut pair = Self { agent, server, sink, now: at(0), log, position: 0, to_server, to_agent };
        if let Some(key) = key.map(Key::new) {
            pair.agent.set_keys(at(0), vec![key]);
            let text = format!("{HOST} {}\n", key.emit());
            pair.server.set_keys(HostKeys::parse(Source { path: "keys", text: &text }).ok());
        }
        pair.server.set_host_file(at(0), HOST, "hosts/nas1", Ok(host_file.as_bytes().to_vec()));
        for second in 1..50 {
            pair.now = at(second);
            pair.server_turn();
            pair.agent_turn(b"");
        }
        assert!(pair.log.is_some(), "the configuration came into force");
        // What the agent reports of its start.
        while pair.agent.waiting() > 0 {
            pair.server_turn();
            pair.agent_turn(b"");
        }
        pair.sink.events = 0;
        pair
    }

    /// A turn of the agent's loop: it takes the server's datagrams and lines of its log. Returns how many bytes of them it took.
    #[inline(never)]
    fn agent_turn(&mut self, lines: &[u8]) -> usize {
        self.now.mono += Self::TURN;
        for datagram in self.to_agent.drain(..) {
            self.agent.handle_datagram(self.now, server_address(), &datagram);
        }
        let taken = match self.log {
            Some(log) if !lines.is_empty() => self.agent.handle_log(self.now, log, read(self.position, lines)),
            _ => 0,
        };
        self.position += taken as u64;
        self.agent.handle_timeout(self.now);
        while let Some(output) = self.agent.poll_output() {
            match output {
                agent::Output::Send { datagram, .. } => self.to_server.push(datagram),
                agent::Output::Open { log, .. } => {
                    self.log = Some(log);
                    let opened = LogEvent::Opened { position: Position::default(), lost: None, is_refused: false };
                    self.agent.handle_log(self.now, log, opened);
                }
                _ => {}
            }
        }
        taken
    }

    /// A turn of the server's loop: it takes the agent's datagrams, and all of their events are written.
    #[inline(never)]
    fn server_turn(&mut self) {
        for datagram in self.to_server.drain(..) {
            self.server.handle_datagram(self.now, agent_address(), &datagram, &mut self.sink);
        }
        self.server.handle_timeout(self.now, &mut self.sink);
        self.server.handle_committed(self.now, server::Written::All);
        while let Some(output) = self.server.poll_output() {
            if let server::Output::Send { datagram, .. } = output {
                self.to_agent.push(datagram.to_vec());
            }
        }
    }
}
