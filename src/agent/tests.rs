//! The agent as a whole, where its parts meet.

use super::*;
use crate::directives::host::LogSource;
use crate::encoding::Units;
use crate::schedule::WeekMinute;
use crate::wire::position::Position;
use crate::wire::{ChainId, Checkpoint, Seq};

fn at(seconds: u64) -> Now {
    Now { mono: Duration::from_secs(seconds), unix: 1_795_347_336 + seconds, local: WeekMinute::new(0, 0, 0), second: 0 }
}

const SERVER: [u8; 4] = [10, 0, 0, 1];
const FILE: &str = "file: /log\nmatch: x\nalert_all: tags=A\n";
const WILDCARD: &str = "file: /logs/*\nmatch: x\nalert_all: tags=W\n";

struct Bench {
    agent: Agent,
    seconds: u64,
    outputs: Vec<Output>,
    /// Whether the server answers nothing by itself any more.
    is_silent: bool,
    /// How far the server knows the chain without a log, from an earlier run.
    left: Option<&'static str>,
}

impl Bench {
    /// An agent that has a session with a server, and that host file in force.
    fn new(text: &str) -> Self {
        Self::after(None, text)
    }

    /// As [`Self::new`], where the server knows from an earlier run how far the chain without a log had come.
    fn after(left: Option<&'static str>, text: &str) -> Self {
        let identity = AgentIdentity { host: "h".into(), run: Token(2), server_port: 4361, seed: 1 };
        let mut bench = Self { agent: Agent::new(at(0), identity), seconds: 0, outputs: Vec::new(), is_silent: false, left };
        bench.receive(&Message::Heartbeat { name: "s" });
        let hello = bench.sent("HELLO");
        let nonce = match Message::parse(hello.as_bytes()) {
            Ok(Message::Hello { nonce, .. }) => nonce,
            other => panic!("{other:?}"),
        };
        bench.receive(&Message::Offer { host: "h", nonce, cookie: Token(9) });
        bench.configure(text);
        bench
    }

    fn configure(&mut self, text: &str) {
        let revision = Revision::of(text);
        self.receive(&Message::Stale { host: "h", revision });
        self.receive(&Message::Part { host: "h", revision, index: 1, count: 1, text });
        // Events of a log may wait, which this server never acknowledges.
        self.seconds += Agent::CONFIRMATION_TIMEOUT.as_secs();
        self.turn();
    }

    fn receive(&mut self, message: &Message<'_>) {
        self.agent.handle_datagram(at(self.seconds), SocketAddrV4::new(SERVER.into(), 4361), &message.emit());
        self.turn();
    }

    fn log(&mut self, log: LogId, event: LogEvent<'_>) -> usize {
        let consumed = self.agent.handle_log(at(self.seconds), log, event);
        self.turn();
        consumed
    }

    fn lines(&mut self, log: LogId, text: &str) -> usize {
        self.log(log, LogEvent::Lines(Lines { position: 0, place: None, bytes: text.as_bytes(), units: Units::Bytes }))
    }

    /// Answers every SEEK: the server knows nothing of any chain. Agrees to every TAKE.
    fn turn(&mut self) {
        loop {
            self.agent.handle_timeout(at(self.seconds));
            let mut answers = Vec::new();
            while let Some(output) = self.agent.poll_output() {
                if let (Output::Send { datagram, .. }, false) = (&output, self.is_silent) {
                    match Message::parse(datagram) {
                        Ok(Message::Seek { chains, .. }) => {
                            let left = self.left.map(|position| Checkpoint { seq: Seq { epoch: 9, number: 9 }, unix: 9, position });
                            let left = |chain: &ChainId| left.filter(|_| *chain == ChainId::NO_FILE);
                            answers.extend(
                                chains.iter().map(|chain| Message::At { host: "h", chain: *chain, checkpoint: left(chain) }.emit()),
                            );
                        }
                        Ok(Message::Take { chain, to, .. }) => {
                            answers.push(Message::At { host: "h", chain, checkpoint: Some(to) }.emit());
                        }
                        _ => {}
                    }
                }
                self.outputs.push(output);
            }
            if answers.is_empty() {
                break;
            }
            for answer in answers {
                self.agent.handle_datagram(at(self.seconds), SocketAddrV4::new(SERVER.into(), 4361), &answer);
            }
        }
    }

    /// The server agrees to that TAKE.
    fn answer(&mut self, take: &str) {
        let Ok(Message::Take { chain, to, .. }) = Message::parse(take.as_bytes()) else { panic!("{take}") };
        self.receive(&Message::At { host: "h", chain, checkpoint: Some(to) });
    }

    /// The first datagram of that command since this was last asked.
    fn sent(&mut self, command: &str) -> String {
        let sent = std::mem::take(&mut self.outputs).into_iter().filter_map(|output| match output {
            Output::Send { datagram, .. } => Some(String::from_utf8(datagram).unwrap()),
            _ => None,
        });
        sent.into_iter().find(|datagram| datagram.starts_with(command)).unwrap_or_default()
    }

    /// The logs of the last order to follow.
    fn followed(&mut self) -> Vec<(LogId, LogSource)> {
        let orders = self.outputs.iter().rev().find_map(|output| match output {
            Output::Follow(logs) => Some(logs.iter().map(|(id, source, _)| (*id, source.clone())).collect()),
            _ => None,
        });
        orders.unwrap()
    }

    /// The ids and starts of the files that were ordered to be opened since this was last asked.
    fn opened(&mut self) -> Vec<(LogId, String, Start)> {
        let orders = self.outputs.iter().filter_map(|output| match output {
            Output::Open { log, path, start, .. } => Some((*log, path.clone(), start.clone())),
            _ => None,
        });
        let orders = orders.collect();
        self.outputs.clear();
        orders
    }

    /// The texts that the agent wrote into its log since this was last asked.
    fn logged(&mut self) -> Vec<String> {
        let texts = self.outputs.iter().filter_map(|output| match output {
            Output::Log(text) => Some(text.clone()),
            _ => None,
        });
        let texts = texts.collect();
        self.outputs.clear();
        texts
    }
}

fn position(text: &str) -> Position {
    Position::parse(text).unwrap()
}

#[test]
fn events_of_a_log_that_is_not_followed_any_more_are_ignored() {
    let mut bench = Bench::new(FILE);
    let [(gone, path, Start::End)] = &bench.opened()[..] else { panic!("one file is opened") };
    let gone = *gone;
    assert_eq!(path, "/log");
    bench.log(gone, LogEvent::Opened { position: position("9.1.1"), lost: None, is_refused: false });
    let waiting = bench.agent.waiting();
    assert_eq!((bench.lines(gone, "x 1\n"), bench.agent.waiting()), (4, waiting + 1));

    // The same log is followed again, under another id.
    bench.configure(WILDCARD);
    bench.configure(FILE);
    let again = bench.followed()[0].0;
    assert_ne!(gone, again);
    bench.opened();
    let waiting = bench.agent.waiting();
    assert_eq!(bench.lines(gone, "x 2\n"), 4, "the lines are consumed");
    for event in [
        LogEvent::Found { path: "/logs/a".into(), is_late: true },
        LogEvent::Renamed { from: Some(again), path: "/logs/a".into(), position: position("1.1.1") },
        LogEvent::Searched,
        LogEvent::Opened { position: position("1.1.1"), lost: Some("lost".into()), is_refused: false },
        LogEvent::Read(position("7.1.1")),
        LogEvent::End(7),
        LogEvent::Loss("lost".into()),
        LogEvent::State(Err("gone".into())),
        LogEvent::Gone,
        LogEvent::Vanished { path: "/log".into() },
    ] {
        bench.log(gone, event.clone());
        assert_eq!((bench.agent.waiting(), bench.logged(), bench.opened()), (waiting, Vec::new(), Vec::new()), "{event:?}");
    }
}

#[test]
fn a_log_that_stays_keeps_its_id_and_is_not_opened_again() {
    let mut bench = Bench::new(FILE);
    let before = bench.followed();
    bench.opened();
    bench.configure(&format!("{WILDCARD}{FILE}"));
    let after = bench.followed();
    assert_eq!((after[0].clone(), after.len()), (before[0].clone(), 2));
    assert_eq!(bench.opened(), []);
}

#[test]
fn files_of_a_wildcard_get_ids_of_their_own_and_the_server_is_told_of_all_of_them() {
    let mut bench = Bench::new(WILDCARD);
    let wildcard = bench.followed()[0].0;
    assert_eq!(bench.opened(), []);
    bench.log(wildcard, LogEvent::Found { path: "/logs/a".into(), is_late: false });
    bench.log(wildcard, LogEvent::Found { path: "/logs/b".into(), is_late: false });
    bench.log(wildcard, LogEvent::Searched);
    let [(a, _, Start::End), (b, _, Start::End)] = bench.opened()[..] else { panic!("two files are opened at their ends") };
    assert!(a != b && a != wildcard);
    bench.log(a, LogEvent::Opened { position: position("5.1.1"), lost: None, is_refused: false });
    assert_eq!(bench.lines(b, "x\n"), 2, "a line before the answer is not lost");
    bench.log(wildcard, LogEvent::Found { path: "/logs/c".into(), is_late: true });
    let [(c, _, Start::Beginning)] = bench.opened()[..] else { panic!("a late file is read from its beginning") };
    bench.log(wildcard, LogEvent::Renamed { from: Some(a), path: "/logs/d".into(), position: position("5.1.1") });
    let [(d, _, Start::Continue)] = bench.opened()[..] else { panic!("an open file is read on") };
    assert_eq!((bench.lines(c, "x\n"), bench.lines(d, "y\n")), (2, 2));
    // A file that is found again after it is gone is another one.
    bench.log(c, LogEvent::Gone);
    bench.log(wildcard, LogEvent::Found { path: "/logs/c".into(), is_late: true });
    assert!(bench.opened().iter().all(|(again, ..)| *again != c));
}

#[test]
fn a_file_that_is_gone_and_comes_back_while_its_events_wait_is_read_from_its_beginning() {
    let mut bench = Bench::new(WILDCARD);
    let wildcard = bench.followed()[0].0;
    bench.log(wildcard, LogEvent::Found { path: "/logs/a".into(), is_late: false });
    bench.log(wildcard, LogEvent::Searched);
    let file = bench.opened()[0].0;
    bench.log(file, LogEvent::Opened { position: position("5.1.1"), lost: None, is_refused: false });
    bench.lines(file, "x\n");
    bench.log(file, LogEvent::Read(position("7.1.1")));
    bench.log(file, LogEvent::Gone);
    bench.opened();
    bench.log(wildcard, LogEvent::Found { path: "/logs/a".into(), is_late: true });
    let [(again, _, Start::Beginning)] = bench.opened()[..] else { panic!("it is another file") };
    assert_ne!(again, file);
}

#[test]
fn a_file_that_vanishes_before_it_is_opened_is_not_opened() {
    let identity = AgentIdentity { host: "h".into(), run: Token(2), server_port: 4361, seed: 1 };
    let mut bench = Bench { agent: Agent::new(at(0), identity), seconds: 0, outputs: Vec::new(), is_silent: false, left: None };
    bench.receive(&Message::Heartbeat { name: "s" });
    bench.receive(&Message::Ack { uid: "1_1" });
    bench.receive(&Message::Config { lines: &WILDCARD.trim().replace('\n', "%%") });
    let wildcard = bench.followed()[0].0;
    bench.log(wildcard, LogEvent::Found { path: "/logs/a".into(), is_late: false });
    bench.log(wildcard, LogEvent::Found { path: "/logs/b".into(), is_late: false });
    assert_eq!(bench.opened(), [], "it is not certain yet that the server speaks version 1");
    bench.log(wildcard, LogEvent::Vanished { path: "/logs/a".into() });
    for seconds in (5..=65).step_by(5) {
        bench.seconds = seconds;
        bench.receive(&Message::Heartbeat { name: "s" });
    }
    let paths: Vec<String> = bench.opened().into_iter().map(|(_, path, _)| path).collect();
    assert_eq!(paths, ["/logs/b"]);
}

#[test]
fn a_log_that_the_owner_of_the_host_refuses_is_not_announced() {
    for (is_refused, announced) in [(false, vec!["Following /log from its end"]), (true, vec![])] {
        let mut bench = Bench::new(FILE);
        let log = bench.opened()[0].0;
        bench.log(log, LogEvent::Opened { position: position("9.1.1"), lost: None, is_refused });
        assert_eq!(bench.logged(), announced);
    }
}

#[test]
fn what_fails_and_works_again_is_reported_by_the_name_in_the_configuration() {
    let mut bench = Bench::new(&format!("{FILE}{WILDCARD}"));
    let logs = bench.followed();
    bench.logged();
    for (log, name) in [(logs[0].0, "/log"), (logs[1].0, "/logs/*")] {
        bench.log(log, LogEvent::State(Err("Permission denied".into())));
        bench.log(log, LogEvent::State(Err("Permission denied".into())));
        bench.log(log, LogEvent::State(Ok(())));
        assert_eq!(bench.logged(), [format!("Cannot read {name}: Permission denied"), format!("Can read {name} again")]);
    }
}

/// An agent with an open log that is read up to byte 9 of a file, as its server knows.
fn reading() -> (Bench, LogId) {
    let mut bench = Bench::new(FILE);
    let log = bench.opened()[0].0;
    bench.log(log, LogEvent::Opened { position: position("9.1.1"), lost: None, is_refused: true });
    (bench, log)
}

#[test]
fn a_configuration_is_in_force_once_the_server_knows_how_far_logs_are_read() {
    let (mut bench, log) = reading();
    bench.log(log, LogEvent::Read(position("12.1.1")));
    bench.outputs.clear();
    bench.is_silent = true;
    let revision = Revision::of(WILDCARD);
    bench.receive(&Message::Stale { host: "h", revision });
    bench.receive(&Message::Part { host: "h", revision, index: 1, count: 1, text: WILDCARD });
    assert!(!bench.agent.has_room(), "no line is read that the server does not know of");
    let report = bench.sent("TAKE%%h%%");
    assert!(report.ends_with("%%12.1.1"), "{report}");
    assert_eq!(bench.agent.next_deadline(at(bench.seconds)), Some(at(bench.seconds).mono + Duration::from_millis(500)));
    bench.answer(&report);
    assert!(bench.agent.has_room());
    assert_eq!(bench.followed().len(), 1);
}

#[test]
fn a_configuration_does_not_wait_for_long() {
    let (mut bench, log) = reading();
    bench.log(log, LogEvent::Read(position("12.1.1")));
    bench.outputs.clear();
    bench.is_silent = true;
    bench.configure(WILDCARD);
    assert!(bench.agent.has_room());
    assert_eq!(bench.followed().len(), 1);
}

#[test]
fn an_agent_that_ends_reports_how_far_logs_are_read_and_starts_nothing() {
    let (mut bench, log) = reading();
    bench.log(log, LogEvent::Read(position("12.1.1")));
    bench.outputs.clear();
    bench.is_silent = true;
    bench.agent.begin_end(at(bench.seconds));
    bench.turn();
    let report = bench.sent("TAKE%%h%%");
    assert!(report.ends_with("%%12.1.1"), "{report}");
    assert!(!bench.agent.is_told() && !bench.agent.has_room());
    bench.answer(&report);
    // Events without a log wait too.
    let done = crate::wire::Seq { epoch: 0, number: 9 };
    bench
        .agent
        .delivery
        .handle_done(at(bench.seconds), &[crate::wire::Progress { chain: crate::wire::ChainId::NO_FILE, done, held: Vec::new() }]);
    assert!(bench.agent.is_told());
}

#[test]
fn what_is_open_is_known_to_the_next_run_and_ends_with_its_rule() {
    const LIMIT: &str =
        "run: command=df extract=(x) (.*)\nalert_if: tags=D match=1,x upper_limit=2,90 repeat=0 message=Full\ncleared: Room\n";
    /// The EVENT that was sent last. The outputs stay.
    fn last_event(bench: &Bench) -> String {
        let sent = bench.outputs.iter().rev().filter_map(|output| match output {
            Output::Send { datagram, .. } => Some(String::from_utf8(datagram.clone()).unwrap()),
            _ => None,
        });
        sent.into_iter().find(|datagram| datagram.starts_with("EVENT")).unwrap_or_default()
    }
    /// What the rules make of that line, which the command prints in its next run: positions and texts.
    fn run(bench: &mut Bench, line: &str) -> (String, String) {
        let starts = std::mem::take(&mut bench.outputs).into_iter().filter_map(|output| match output {
            Output::Start { job, .. } => Some(job),
            _ => None,
        });
        drop(bench.agent.delivery.drain());
        for job in starts.collect::<Vec<_>>() {
            bench.agent.handle_task_lines(at(bench.seconds), job, line.as_bytes());
            bench.agent.handle_task_end(at(bench.seconds), job, Ok(()).into());
        }
        bench.turn();
        let event = last_event(bench);
        let made = bench.agent.delivery.drain().map(|alert| String::from_utf8(alert).unwrap().rsplit("%%").next().unwrap().to_string());
        let made = made.collect::<Vec<_>>().join(",");
        bench.seconds += 60;
        bench.receive(&Message::Heartbeat { name: "s" });
        (made, event)
    }
    let key = |event: &str| event.split("%%").find(|field| field.starts_with("-~")).map(str::to_string);
    let mut first = Bench::new(LIMIT);
    let (made, event) = run(&mut first, "x 95\n");
    let position = key(&event).unwrap();
    assert_eq!(made, "Full");
    let left: &'static str = Box::leak(position.clone().into_boxed_str());

    let mut second = Bench::after(Some(left), LIMIT);
    assert_eq!(key(&last_event(&second)), Some(position), "what came before the answer of the server too");
    assert_eq!(run(&mut second, "x 95\n").0, "");
    assert_eq!(run(&mut second, "x 5\n").0, "Room");

    // Its rule goes while the agent does not run: there is nobody to say what the event would be.
    let mut third = Bench::after(Some(left), &LIMIT.replace("=D", "=E"));
    assert_eq!(run(&mut third, "x 95\n").0, "Full");
    third.configure("");
    assert_eq!(third.agent.delivery.drain().filter(|alert| alert.ends_with(b"%%Room")).count(), 1);
}
