//! Both state machines under hostile inputs, each alone and joined by a network with an attacker on the path.

use crate::network::{announcement, seconds, Conditions, World, KEYED, PORT};
use project436::agent::{Agent, AgentIdentity, Lines, LogEvent, Output, Policy};
use project436::directives::keys::HostKeys;
use project436::directives::Source;
use project436::encoding::Units;
use project436::now::Now;
use project436::schedule::WeekMinute;
use project436::server::{self, EventSink, Server};
use project436::wire::auth::{Key, Side};
use project436::wire::position::Position;
use project436::wire::{Alert, Message, Token};
use std::net::SocketAddrV4;
use std::time::Duration;

/// Takes an input apart.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// As many bytes as the next byte says.
    fn some(&mut self) -> &'a [u8] {
        let length = usize::from(self.next().unwrap_or(0)).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }
}

fn at(millis: u64) -> Now {
    let minute = u16::try_from(millis / 60_000 % 1440).unwrap_or(0);
    Now { mono: Duration::from_millis(millis), unix: 1_795_347_336 + millis / 1000, local: WeekMinute::new(0, 0, minute), second: 0 }
}

const KEY: Key = Key::new([3; 32]);
const ADDRESSES: [[u8; 4]; 3] = [[10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3]];

/// A datagram of the input, as it is or with the parts that make it more dangerous filled in.
fn datagram(kind: u8, text: &[u8], nonce: Option<Token>) -> Vec<u8> {
    let mut datagram = text.to_vec();
    if let (Some(nonce), Some(start)) = (nonce, text.windows(5).position(|window| window == b"NONCE")) {
        datagram.splice(start..start + 5, nonce.to_string().into_bytes());
    }
    match kind & 3 {
        1 => datagram.extend(KEY.sign(Side::Server, text).as_bytes()),
        2 => datagram.extend(KEY.sign(Side::Agent, text).as_bytes()),
        _ => {}
    }
    datagram
}

/// An agent, with a key or without, under any input: it does not crash, comes to rest, and sends datagrams of bounded size.
pub(super) fn agent(data: &[u8]) {
    let mut bytes = Bytes(data);
    let keyed = bytes.next().unwrap_or(0) & 1 == 1;
    let (mut millis, mut jobs, mut nonce, mut logs) = (1000, Vec::new(), None, Vec::new());
    let mut agent = Agent::new(at(millis), AgentIdentity { host: "nas1".into(), run: Token(5), server_port: PORT + 1, seed: 1 });
    agent.set_policy(if keyed { Policy::None } else { Policy::Any });
    agent.set_keys(at(millis), if keyed { vec![KEY] } else { Vec::new() });
    while let Some(operation) = bytes.next() {
        let value = bytes.next().unwrap_or(0);
        let from = SocketAddrV4::new(ADDRESSES[usize::from(value) % 3].into(), PORT + 1);
        match operation % 8 {
            0 => millis += u64::from(value) * 100,
            1 => {
                if let Some(job) = jobs.pop() {
                    agent.handle_task_end(at(millis), job, if value & 1 == 0 { Ok(()) } else { Err("x".to_string()) }.into());
                }
            }
            2 => {
                if let Some(job) = jobs.last() {
                    agent.handle_task_lines(at(millis), *job, bytes.some());
                }
            }
            3 if !logs.is_empty() => {
                let text = bytes.some();
                let event = match value >> 4 {
                    0 => LogEvent::Gone,
                    1 => LogEvent::Vanished { path: "/a".into() },
                    2 => LogEvent::Opened { position: Position::default(), lost: None, is_refused: false },
                    3 => LogEvent::State(Err("x".into())),
                    4 => LogEvent::State(Ok(())),
                    5 => LogEvent::Searched,
                    6 => LogEvent::End(value.into()),
                    7 => LogEvent::Renamed { from: logs.first().copied(), path: "/b".into(), position: Position::default() },
                    8..=11 => {
                        let units = [Units::Bytes, Units::Bytes, Units::LittleEndian, Units::BigEndian][usize::from(value >> 4) - 8];
                        LogEvent::Lines(Lines { position: value.into(), place: None, bytes: text, units })
                    }
                    _ => LogEvent::Found { path: "/a".into(), is_late: value & 8 == 8 },
                };
                // Ids of logs that are not followed any more are among them.
                assert!(agent.handle_log(at(millis), logs[usize::from(value) % logs.len()], event) <= text.len());
            }
            _ => {
                let datagram = datagram(value >> 2, bytes.some(), nonce);
                agent.handle_datagram(at(millis), from, &datagram);
            }
        }
        agent.handle_timeout(at(millis));
        let mut outputs = 0;
        while let Some(output) = agent.poll_output() {
            outputs += 1;
            match output {
                Output::Send { datagram, .. } => {
                    assert!(datagram.len() <= 9 * 1024);
                    if let Ok(Message::Hello { nonce: said, .. }) = Message::parse(&datagram) {
                        nonce = Some(said);
                    }
                }
                Output::Follow(followed) => logs.extend(followed.into_iter().map(|(log, ..)| log)),
                Output::Open { log, .. } => logs.push(log),
                Output::Start { job, task } => {
                    assert!(!keyed || !matches!(task, project436::agent::Task::Command(..)), "a command is run though none may be");
                    jobs.push(job);
                }
                Output::Log(line) => assert!(line.len() < 64 * 1024),
                _ => {}
            }
        }
        assert!(outputs < 5000, "{outputs} outputs at once");
        agent.handle_timeout(at(millis));
        assert!(agent.poll_output().is_none_or(|output| !matches!(output, Output::Send { .. })), "it does not come to rest");
        while agent.poll_output().is_some() {}
    }
}

#[derive(Default)]
struct Sink(Vec<String>);

impl EventSink for Sink {
    fn accept(&mut self, alert: &Alert<'_>) {
        let mut line = String::new();
        alert.emit_into(&mut line);
        assert!(!line.contains(char::is_control), "{line:?}");
        assert_eq!(line.splitn(6, "%%").count(), 6);
        for (field, expected) in line.splitn(6, "%%").zip([alert.host, alert.uid, &alert.unix.to_string(), alert.tags]) {
            assert_eq!(field, expected, "{line:?}");
        }
        self.0.push(line);
    }
}

/// A server, with keys or without, under any input: it does not crash, its events forge no field, and no answer is longer than the
/// datagram that caused it, except the CONFIG of version 1 and answers in a session.
pub(super) fn server(data: &[u8]) {
    let mut bytes = Bytes(data);
    let keyed = bytes.next().unwrap_or(0) & 1 == 1;
    let mut millis = 1000;
    let broadcast = SocketAddrV4::new([10, 0, 0, 255].into(), PORT);
    let mut server = Server::new(at(millis), server::ServerIdentity { name: "pi".into(), run: Token(6), broadcast: vec![broadcast] });
    if keyed {
        let text = format!("nas1 {}\nold open\n", KEY.emit());
        server.set_keys(HostKeys::parse(Source { path: "keys", text: &text }).ok());
    }
    let mut sink = Sink::default();
    let (mut cookie, mut sessions) = (None, false);
    while let Some(operation) = bytes.next() {
        let value = bytes.next().unwrap_or(0);
        let from = SocketAddrV4::new(ADDRESSES[usize::from(value) % 3].into(), PORT);
        let mut request = None;
        match operation % 8 {
            0 => millis += u64::from(value) * 100,
            1 => server.set_host_file(at(millis), if value & 1 == 0 { "nas1" } else { "old" }, "hosts/x", Ok(bytes.some().to_vec())),
            2 => server.remove_host_file(at(millis), "nas1"),
            3 => server.set_include("common", "includes/common", Ok(bytes.some().to_vec())),
            4 => server.handle_committed(at(millis), if value & 1 == 0 { server::Written::All } else { server::Written::Nothing }),
            _ => {
                let datagram = datagram(value >> 2, bytes.some(), cookie);
                sessions |= datagram.starts_with(b"JOIN");
                server.handle_datagram(at(millis), from, &datagram, &mut sink);
                request = Some(datagram.len());
            }
        }
        let mut answered = 0;
        while let Some(output) = server.poll_output() {
            match output {
                server::Output::Send { to, datagram } if to == from => {
                    if let Ok(Message::Offer { cookie: said, .. }) = Message::parse(datagram) {
                        cookie = Some(said);
                    }
                    // A version 1 configuration, and what goes with it.
                    let is_configuration = datagram.starts_with(b"CONFIG") || datagram.starts_with(b"SRVCAP");
                    answered += if is_configuration { 0 } else { datagram.len() };
                }
                server::Output::Send { .. } => {}
                server::Output::Log(line) => assert!(line.len() < 64 * 1024),
            }
        }
        if let Some(request) = request.filter(|_| !sessions) {
            assert!(answered <= request, "{answered} bytes for {request}");
        }
        server.handle_timeout(at(millis), &mut sink);
        while server.poll_output().is_some() {}
    }
    if keyed {
        let foreign = |line: &&String| line.starts_with("nas1%%") && !line.starts_with("nas1%%6.");
        assert_eq!(sink.0.iter().find(foreign), None, "an event is taken of a host that has not proven its key");
    }
}

const HOST: &str = "nas1";
const LOG: &str = "/var/log/app";

/// An agent and a server with keys, on a network that loses and repeats datagrams. An attacker hears everything and sends anything in
/// anyone's name, and both programs are restarted at any time: every line arrives once, and only the server's configuration is in force.
pub(super) fn world(data: &[u8]) {
    let mut bytes = Bytes(data);
    let seed = u64::from(bytes.next().unwrap_or(0));
    let conditions = Conditions::of(seed % 27);
    let conditions = Conditions { loss: conditions.loss / 2, ..conditions };
    let mut world = World::new(seed + KEYED, conditions);
    world.add_server();
    world.add_agent(HOST);
    let files = ["A", "B", "C"]
        .map(|tag| format!("file: {LOG}\nmatch: error\nalert_all: tags=APP\nfile: /other\nmatch: x\nalert_all: tags={tag}\n"));
    world.set_host_file(0, HOST, &files[0]);
    let in_force = |world: &World, file: &str| world.agents[0].in_force().last() == Some(&&*announcement(HOST, file));
    world.run_until("the configuration is in force", seconds(300), |world| in_force(world, &files[0]));
    // A rule has started once the server knows where.
    let begun = |world: &World| world.servers[0].events(HOST).any(|record| record.text == format!("Following {LOG} from its end"));
    world.run_until("the log is followed", seconds(300), begun);
    world.overheard = Some(Vec::new());
    let (mut lines, mut file) = (0, 0);
    while let Some(operation) = bytes.next() {
        let (value, place) = (usize::from(bytes.next().unwrap_or(0)), usize::from(bytes.next().unwrap_or(0)));
        let overheard = world.overheard.as_ref().and_then(|all| all.get(all.len().saturating_sub(value + 1)).cloned());
        match (operation % 10, overheard) {
            (0 | 1, _) => world.run_for(Duration::from_millis(1 << (value % 15))),
            (2, _) => {
                lines += 1;
                world.write_line(0, LOG, &format!("error {lines}"));
            }
            (3, _) => {
                file = value % files.len();
                world.set_host_file(0, HOST, &files[file]);
            }
            (4, _) if value & 7 == 0 => world.restart_server(0),
            (4, _) if value & 7 == 1 => world.restart_agent(0),
            (4, _) => {
                let text = bytes.some().to_vec();
                let (agent, server) = (world.agents[0].address, world.servers[0].address);
                let (from, to) = if value & 1 == 0 { (agent, server) } else { (server, agent) };
                world.say(from, to, text);
            }
            (5 | 6, Some((from, to, datagram))) => world.say(from, to, datagram),
            (7, Some((from, to, datagram))) => world.say(to, from, datagram),
            (_, Some((from, to, mut datagram))) => {
                let at = place % datagram.len();
                datagram[at] ^= 1 << (operation / 10 % 8);
                world.say(from, to, datagram);
            }
            (_, None) => {}
        }
    }
    world.run_until("the last configuration is in force", seconds(900), |world| in_force(world, &files[file]));
    let arrived = |world: &World| world.servers[0].events(HOST).filter(|record| record.tags == "APP").count();
    world.run_until("every line is in the stream", seconds(1800), |world| arrived(world) >= lines);
    let mut texts: Vec<_> = world.servers[0].events(HOST).filter(|record| record.tags == "APP").map(|record| record.text.clone()).collect();
    let mut expected: Vec<_> = (1..=lines).map(|line| format!("error {line}")).collect();
    texts.sort();
    expected.sort();
    assert_eq!(texts, expected);
    for said in world.agents[0].in_force() {
        assert!(files.iter().any(|file| *said == announcement(HOST, file)) || said.contains("none in force"), "{said}");
    }
}
