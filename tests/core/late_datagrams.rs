//! Version 3 with datagrams that come late, twice or from a peer that was replaced: scripted, one by one.

use project436::agent::{Agent, AgentIdentity, LogId, Output};
use project436::directives::host::LogSource;
use project436::now::Now;
use project436::schedule::WeekMinute;
use project436::server::{self, EventSink, Server};
use project436::wire::{Alert, ChainId, Message, Revision, Token};
use std::net::SocketAddrV4;
use std::time::Duration;

const SERVER: [u8; 4] = [10, 0, 0, 1];
const OTHER: [u8; 4] = [10, 0, 0, 2];
const OLD: &str = "file: /old\nmatch: x\nalert_all: tags=X\n";
const NEW: &str = "file: /new\nmatch: x\nalert_all: tags=X\n";

/// An agent, and what it sent since it was last looked at.
struct Script {
    agent: Agent,
    second: u64,
    sent: Vec<(SocketAddrV4, Vec<u8>)>,
    follows: Vec<(LogId, LogSource)>,
}

impl Script {
    fn new() -> Self {
        let identity = AgentIdentity { host: "nas1".into(), run: Token(7), server_port: 4361, seed: 1 };
        Self { agent: Agent::new(now(0), identity), second: 0, sent: Vec::new(), follows: Vec::new() }
    }

    /// An agent in a session with the server, with its configuration in force.
    fn with(text: &str) -> Self {
        let mut script = Self::new();
        script.hear(SERVER, &Message::Capability { name: "pi", run: Token(1) });
        script.join(SERVER, Revision::of(text));
        // No configuration is put in force before both sides agree which conditions are open.
        script.hear(SERVER, &Message::At { host: "nas1", chain: ChainId::NO_FILE, checkpoint: None });
        let sent = script.sent.clone();
        let taken = sent.iter().find_map(|(_, datagram)| match Message::parse(datagram) {
            Ok(Message::Take { chain: ChainId::NO_FILE, to, .. }) => Some(to),
            _ => None,
        });
        script.hear(SERVER, &Message::At { host: "nas1", chain: ChainId::NO_FILE, checkpoint: taken });
        script.hear(SERVER, &part(text));
        script
    }

    /// Answers the HELLO that was just sent, until the session begins.
    fn join(&mut self, server: [u8; 4], revision: Revision) {
        let nonce = self.nonce().expect("a HELLO was sent");
        self.hear(server, &Message::Offer { host: "nas1", nonce, cookie: Token(9) });
        assert!(self.commands().contains(&"JOIN".to_string()));
        self.hear(server, &Message::Stale { host: "nas1", revision });
    }

    /// Answers as a server that knows none of the agent's chains, and takes all its events.
    fn serve(&mut self, server: [u8; 4]) -> usize {
        let mut events = 0;
        while !self.sent.is_empty() {
            for (_, datagram) in std::mem::take(&mut self.sent) {
                match Message::parse(&datagram) {
                    Ok(Message::Seek { chains, .. }) => {
                        chains.iter().for_each(|chain| self.hear(server, &Message::At { host: "nas1", chain: *chain, checkpoint: None }));
                    }
                    Ok(Message::Take { chain, to, .. }) => {
                        self.hear(server, &Message::At { host: "nas1", chain, checkpoint: Some(to) });
                    }
                    Ok(Message::Event(batch)) => {
                        events += batch.events.len();
                        self.hear(server, &Message::Done { host: "nas1", chains: vec![batch.progress()] });
                    }
                    _ => {}
                }
            }
        }
        events
    }

    fn nonce(&self) -> Option<Token> {
        self.sent.iter().find_map(|(_, datagram)| match Message::parse(datagram) {
            Ok(Message::Hello { nonce, .. }) => Some(nonce),
            _ => None,
        })
    }

    fn hear(&mut self, from: [u8; 4], message: &Message<'_>) {
        self.agent.handle_datagram(now(self.second), SocketAddrV4::new(from.into(), 4361), &message.emit());
        self.settle();
    }

    fn run_to(&mut self, second: u64) {
        while self.second < second {
            self.second += 1;
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.agent.handle_timeout(now(self.second));
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Send { to, datagram } => self.sent.push((to, datagram)),
                Output::Follow(logs) => self.follows = logs.into_iter().map(|(id, source, _)| (id, source)).collect(),
                _ => {}
            }
        }
    }

    /// The commands of the datagrams that were sent, which are then forgotten.
    fn commands(&mut self) -> Vec<String> {
        let command = |datagram: Vec<u8>| String::from_utf8(datagram).unwrap().split("%%").next().unwrap().to_string();
        std::mem::take(&mut self.sent).into_iter().map(|(_, datagram)| command(datagram)).collect()
    }

    fn follows(&self) -> String {
        self.follows.iter().map(|(_, source)| source.field()).collect::<Vec<_>>().join(" ")
    }
}

fn now(second: u64) -> Now {
    Now { mono: Duration::from_secs(second), unix: 1_795_347_336 + second, local: WeekMinute::new(0, 0, 0), second: 0 }
}

/// A configuration that fits one part.
fn part(text: &str) -> Message<'_> {
    Message::Part { host: "nas1", revision: Revision::of(text), index: 1, count: 1, text }
}

#[test]
fn a_late_part_does_not_bring_an_old_configuration_back() {
    let mut script = Script::with(OLD);
    assert_eq!(script.follows(), "/old");
    script.hear(SERVER, &Message::Stale { host: "nas1", revision: Revision::of(NEW) });
    script.hear(SERVER, &part(OLD));
    script.hear(SERVER, &part(NEW));
    script.hear(SERVER, &part(OLD));
    assert_eq!(script.follows(), "/new");
}

#[test]
fn datagrams_of_a_servers_former_run_start_no_session_with_the_new_one() {
    let mut script = Script::with(OLD);
    script.run_to(5);
    script.commands();
    script.hear(SERVER, &Message::Capability { name: "pi", run: Token(2) });
    assert_eq!(script.commands(), ["HELLO"]);
    script.hear(SERVER, &Message::Stale { host: "nas1", revision: Revision::of(OLD) });
    script.hear(SERVER, &part(OLD));
    script.run_to(8);
    assert!(script.commands().contains(&"HELLO".to_string()), "the new run has not answered yet");
    script.run_to(10);
    script.join(SERVER, Revision::of(OLD));
    script.run_to(14);
    assert!(!script.commands().contains(&"HELLO".to_string()));
}

#[test]
fn a_server_that_confirms_a_configuration_may_end_it() {
    let mut script = Script::with(OLD);
    for second in (5..=45).step_by(5) {
        script.run_to(second);
        script.commands();
        script.hear(OTHER, &Message::Capability { name: "nas", run: Token(3) });
    }
    script.run_to(46);
    script.join(OTHER, Revision::of(OLD));
    assert_eq!(script.follows(), "/old");
    script.hear(OTHER, &Message::Stale { host: "nas1", revision: Revision::NONE });
    assert_eq!(script.follows(), "", "the file of this host is gone");
}

#[test]
fn waiting_events_go_to_the_next_server_as_soon_as_its_session_begins() {
    let mut script = Script::with(OLD);
    let mut moved = false;
    for second in 1..=45 {
        script.run_to(second);
        if second % 5 == 0 {
            script.hear(OTHER, &Message::Capability { name: "nas", run: Token(3) });
        }
        moved |= script.nonce().is_some();
        if moved {
            script.join(OTHER, Revision::of(OLD));
            assert_eq!(second, 30, "the first server was heard last at 0");
            return assert_eq!(script.serve(OTHER), 2, "the start, and the configuration in force, which the first server did not take");
        }
        script.sent.clear();
    }
    panic!("the other server was not selected");
}

#[test]
fn an_agent_whose_server_turns_out_to_speak_version_1_is_not_idle_at_once() {
    let mut script = Script::with(OLD);
    assert_eq!(script.serve(SERVER), 2);
    // A Python server has taken the place of the newer one.
    for second in (5..=300).step_by(5) {
        script.run_to(second);
        script.hear(SERVER, &Message::Heartbeat { name: "pi" });
        if let Some((_, event)) = script.sent.iter().find(|(_, datagram)| datagram.starts_with(b"ALERT")) {
            assert!(event.ends_with(b"%%SYSTEM%%NULL%%Idle"));
            // After two minutes of heartbeats without version 3, the agent knows that.
            return assert!((120 + 67..=120 + 67 + 10).contains(&second), "{second}");
        }
    }
    panic!("it never spoke version 1");
}

#[test]
fn a_server_without_a_file_does_not_end_the_configuration_of_another() {
    let mut script = Script::with(OLD);
    for second in (5..=45).step_by(5) {
        script.run_to(second);
        script.commands();
        script.hear(OTHER, &Message::Capability { name: "nas", run: Token(3) });
    }
    script.run_to(46);
    script.join(OTHER, Revision::NONE);
    assert_eq!(script.follows(), "/old");
}

struct Nowhere;

impl EventSink for Nowhere {
    fn accept(&mut self, _: &Alert<'_>) {}
}

/// A server, with the agent `nas1` in a session.
fn server_with_session() -> (Server, SocketAddrV4) {
    let broadcast = vec![SocketAddrV4::new([10, 0, 0, 255].into(), 4360)];
    let mut server = Server::new(now(0), server::ServerIdentity { name: "pi".into(), run: Token(1), broadcast });
    server.set_host_file(now(0), "nas1", "nas1", Ok(OLD.into()));
    let from = SocketAddrV4::new([10, 0, 0, 3].into(), 4360);
    let answers = say(&mut server, now(0), from, &Message::Hello { host: "nas1", run: Token(7), nonce: Token(8) });
    let Ok(Message::Offer { cookie, .. }) = Message::parse(&answers[0]) else { panic!("{answers:?}") };
    say(&mut server, now(0), from, &Message::Join { host: "nas1", run: Token(7), nonce: Token(8), cookie });
    (server, from)
}

/// Gives the server a datagram. Returns all that it sends then.
fn say(server: &mut Server, now: Now, from: SocketAddrV4, message: &Message<'_>) -> Vec<Vec<u8>> {
    server.handle_datagram(now, from, &message.emit(), &mut Nowhere);
    settle(server, now)
}

fn settle(server: &mut Server, now: Now) -> Vec<Vec<u8>> {
    server.handle_timeout(now, &mut Nowhere);
    server.handle_committed(now, server::Written::All);
    let mut sent = Vec::new();
    while let Some(output) = server.poll_output() {
        if let server::Output::Send { datagram, .. } = output {
            sent.push(datagram.to_vec());
        }
    }
    sent
}

fn count(datagrams: &[Vec<u8>], start: &str) -> usize {
    datagrams.iter().filter(|datagram| datagram.starts_with(start.as_bytes())).count()
}

#[test]
fn a_request_for_the_old_revision_does_not_stop_the_announcement_of_the_new_one() {
    let (mut server, from) = server_with_session();
    server.set_host_file(now(10), "nas1", "nas1", Ok(NEW.into()));
    let first = settle(&mut server, now(10));
    assert_eq!(count(&first, "STALE"), 1);
    // The request crossed the change on its way.
    let revision = Revision::of(OLD);
    assert_eq!(count(&say(&mut server, now(11), from, &Message::Need { host: "nas1", revision, parts: vec![1] }), "STALE"), 2);
    let later: usize = (12..30).map(|second| count(&settle(&mut server, now(second)), "STALE")).sum();
    assert_eq!(later, 8, "ten in all, since the agent has not asked for the new one");
}

#[test]
fn a_python_agent_that_replaces_a_newer_one_is_reset_when_its_configuration_changes() {
    let (mut server, from) = server_with_session();
    assert_eq!(count(&say(&mut server, now(20), from, &Message::ConfigRequest { host: "nas1" }), "CONFIG%%START%%file: /old"), 1);
    let event = Message::Alert(Alert { host: "nas1", uid: "1_0", unix: 1, tags: "T", file: None, text: "x" });
    assert_eq!(count(&say(&mut server, now(25), from, &event), "ACK"), 1);
    assert_eq!(count(&say(&mut server, now(26), from, &event), "ACK"), 0, "it would end the agent");
    server.set_host_file(now(60), "nas1", "nas1", Ok(NEW.into()));
    assert_eq!(count(&settle(&mut server, now(60)), "RESET%%nas1"), 1);
}
