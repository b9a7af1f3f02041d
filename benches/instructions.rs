//! The hot paths with fixed inputs, so that their instructions can be counted: `instructions SCENARIO TIMES` does that work so many
//! times, and what a run with 0 times costs is the price of getting ready. `scripts/bench/instructions.sh` runs it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

use project436::agent::{self, Agent, Lines, LogEvent, LogId};
use project436::directives::host::HostFile;
use project436::directives::Source;
use project436::now::Now;
use project436::schedule::WeekMinute;
use project436::server::{self, EventSink, Server};
use project436::wire::position::{BlockPosition, Position, CONTEXT};
use project436::wire::{Alert, Message, Token};
use std::hint::black_box;
use std::net::SocketAddrV4;
use std::time::Duration;

/// What can be measured: its name, how much of what one time is, and what does it so many times.
type Scenario = (&'static str, &'static str, fn(usize));

const SCENARIOS: [Scenario; 8] = [
    ("wire-alert", "parse and emit one ALERT", wire_alert),
    ("lines-literal", "1000 lines through one rule for a literal", |times| lines("segfault", times)),
    ("lines-regex", "1000 lines through one rule for a regular expression", |times| lines(r"\[[0-9]+\]: (error|timeout)", times)),
    ("lines-alternation", "1000 lines through one rule for alternatives", |times| {
        lines("authentication failure|segfault at 0x[0-9a-f]+", times);
    }),
    ("lines-digits", "1000 lines, most of which match", |times| lines(r"\d+", times)),
    ("lines-events", "20 lines that all become events, acknowledged", line_events),
    ("server-alert", "100 ALERTs from 10 hosts, accepted, committed and acknowledged", server_alert),
    ("directives", "a host file of 10 rules", directives),
];

const MOST_TIMES: usize = 100;
const HOST: &str = "nas1";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [name, times] => {
            let (_, _, run) = SCENARIOS.iter().find(|(known, ..)| *known == name).expect("a scenario that is listed");
            let times = times.parse().expect("a number");
            assert!(times <= MOST_TIMES);
            run(times);
        }
        _ => SCENARIOS.iter().for_each(|(name, what, _)| println!("{name}\t{what}")),
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
    let place =
        BlockPosition { earlier: &[], later: &[], inode: 7, head: &[b'x'; CONTEXT], offset: position + 1000, before: &[b'y'; CONTEXT] };
    LogEvent::Lines(Lines { position, place: Some(place), bytes })
}

fn lines(pattern: &str, times: usize) {
    let (mut agent, log) = configured_agent(&format!("file: /var/log/messages\nmatch: {pattern}\nalert_count: tags=T seconds=3600\n"));
    let text = log_lines();
    let mut position = 0;
    for _ in 0..times {
        let mut done = 0;
        loop {
            done += agent.handle_log(at(60), log, read(position + done as u64, black_box(&text[done..])));
            if done == text.len() {
                break;
            }
            // The work of a turn is done, and others have theirs.
            sent_by(&mut agent, at(60));
        }
        position += text.len() as u64;
    }
}

fn line_events(times: usize) {
    let (mut agent, log) = configured_agent("file: /var/log/messages\nmatch: failure\nalert_all: tags=T\n");
    let text = "Nov 22 11:35:36 nas1 sshd[4711]: authentication failure; user=root\n".repeat(20);
    let mut position = 0;
    for _ in 0..times {
        assert_eq!(agent.handle_log(at(60), log, read(position, black_box(text.as_bytes()))), text.len());
        position += text.len() as u64;
        let mut events = 0;
        // Some at a time, as many as the window has room for.
        while events < 20 {
            let sent = sent_by(&mut agent, at(60));
            assert!(!sent.is_empty(), "{events} events");
            for datagram in sent {
                if let Ok(Message::Event(batch)) = Message::parse(&datagram) {
                    agent.handle_datagram(at(60), server_address(), &Message::Done { host: HOST, chains: vec![batch.progress()] }.emit());
                    events += batch.events().filter(|event| event.tags == "T").count();
                }
            }
        }
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

/// An agent that got its configuration from a server, as it does in a network, and the log that it follows.
fn configured_agent(host_file: &str) -> (Agent, LogId) {
    let (mut server, mut sink) = (new_server(), Sink::default());
    server.set_host_file(at(0), HOST, "hosts/nas1", Ok(host_file.as_bytes().to_vec()));
    let mut agent = Agent::new(at(0), agent::AgentIdentity { host: HOST.into(), run: Token(2), server_port: 4361, seed: 1 });
    let mut follows = None;
    for second in 1..50 {
        let now = at(second);
        server.handle_timeout(now, &mut sink);
        while let Some(output) = server.poll_output() {
            if let server::Output::Send { datagram, .. } = output {
                agent.handle_datagram(now, server_address(), datagram);
            }
        }
        agent.handle_timeout(now);
        while let Some(output) = agent.poll_output() {
            match output {
                agent::Output::Send { datagram, .. } => server.handle_datagram(now, agent_address(), &datagram, &mut sink),
                agent::Output::Open { log, .. } => {
                    follows = Some(log);
                    agent.handle_log(now, log, LogEvent::Opened { position: Position::default(), lost: None, is_refused: false });
                }
                _ => {}
            }
        }
        server.handle_committed(now, server::Written::All);
    }
    (agent, follows.expect("the configuration came into force"))
}

fn sent_by(agent: &mut Agent, now: Now) -> Vec<Vec<u8>> {
    agent.handle_timeout(now);
    let sent = std::iter::from_fn(|| agent.poll_output());
    sent.filter_map(|output| match output {
        agent::Output::Send { datagram, .. } => Some(datagram),
        _ => None,
    })
    .collect()
}
