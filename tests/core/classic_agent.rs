//! The agent with a version 1 server, byte for byte: what Python servers in the field send and expect.

use project436::agent::{Agent, AgentIdentity, Lines, LogEvent, LogId, Output, Start};
use project436::directives::host::LogSource;
use project436::encoding::Units;
use project436::now::Now;
use project436::schedule::WeekMinute;
use project436::wire::position::Position;
use project436::wire::Token;
use std::net::SocketAddrV4;
use std::time::Duration;

const SERVER: [u8; 4] = [192, 168, 1, 10];
const OTHER: [u8; 4] = [192, 168, 1, 20];
/// Sunday, 2026-11-22 11:35:36 UTC.
const START: u64 = 1_795_347_336;
const CONFIG: &[u8] = b"CONFIG%%START%%file: /var/log/messages%%match: error%%alert_all: tags=TAG1";
const LOG: &str = "/var/log/messages";

/// An agent named `nas1`, and what it did.
struct Site {
    agent: Agent,
    milliseconds: u64,
    /// The servers that send a heartbeat every 5 s.
    heartbeats: Vec<[u8; 4]>,
    /// When it was sent, in seconds, to which server, and what.
    sent: Vec<(u64, [u8; 4], String)>,
    follows: Vec<LogSource>,
    /// Their ids.
    ids: Vec<LogId>,
    read: u64,
    /// When a log was ordered to be begun at its end, in seconds.
    opened: Vec<u64>,
}

impl Site {
    fn new() -> Self {
        let identity = AgentIdentity { host: "nas1".into(), run: Token(0xbeef), server_port: 4361, seed: 1 };
        let agent = Agent::new(now(0), identity);
        Self {
            agent,
            milliseconds: 0,
            heartbeats: vec![SERVER],
            sent: Vec::new(),
            follows: Vec::new(),
            ids: Vec::new(),
            read: 0,
            opened: Vec::new(),
        }
    }

    /// An agent that selected its server at 0 and found that it speaks version 1. At 20 it has its configuration and no waiting event.
    fn configured() -> Self {
        let mut site = Self::new();
        site.hear(SERVER, b"SRVHB%%pi");
        site.run_to(16);
        site.hear(SERVER, CONFIG);
        site.run_to(18);
        site.acknowledge_all();
        site.run_to(20);
        site.sent.clear();
        site
    }

    /// Lets time pass, from one thing that is due to the next.
    fn run_to(&mut self, second: u64) {
        let end = second * 1000;
        loop {
            let now = now(self.milliseconds);
            let wake = self.agent.next_deadline(now).map_or(end, |at| u64::try_from(at.as_micros().div_ceil(1000)).unwrap());
            let heartbeat = self.milliseconds / 5000 * 5000 + 5000;
            let next = wake.min(heartbeat).min(end);
            assert!(next > self.milliseconds || next == end, "time stands still");
            self.milliseconds = next;
            if next % 5000 == 0 {
                self.heartbeats.clone().into_iter().for_each(|server| self.hear(server, b"SRVHB%%pi"));
            }
            self.settle();
            if next == end {
                return;
            }
        }
    }

    fn hear(&mut self, from: [u8; 4], datagram: &[u8]) {
        self.agent.handle_datagram(now(self.milliseconds), SocketAddrV4::new(from.into(), 4361), datagram);
        self.settle();
    }

    fn log(&mut self, lines: &[u8]) {
        let event = LogEvent::Lines(Lines { position: self.read, place: None, bytes: lines, units: Units::Bytes });
        let read = self.agent.handle_log(now(self.milliseconds), self.ids[0], event);
        assert_eq!(read, lines.len());
        self.read += read as u64;
        self.settle();
    }

    fn settle(&mut self) {
        self.agent.handle_timeout(now(self.milliseconds));
        let mut opened = Vec::new();
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Send { to, datagram } => {
                    assert_eq!(to.port(), 4361);
                    let ip = to.ip();
                    let text = String::from_utf8(datagram).expect("bytes that are not UTF-8 end a Python server");
                    self.sent.push((self.milliseconds / 1000, ip.octets(), text));
                }
                Output::Follow(logs) => (self.ids, self.follows) = logs.into_iter().map(|(id, source, _)| (id, source)).unzip(),
                // Only when it is certain that the server speaks version 1.
                Output::Open { log, start, .. } => {
                    assert_eq!(start, Start::End, "a version 1 server does not know how far a log was read");
                    self.opened.push(self.milliseconds / 1000);
                    opened.push(log);
                }
                Output::Log(_) => {}
                other => panic!("no rule asks for {other:?}"),
            }
        }
        for log in opened {
            let event = LogEvent::Opened { position: Position::default(), lost: None, is_refused: false };
            self.agent.handle_log(now(self.milliseconds), log, event);
        }
    }

    /// When what begins like that was sent, in seconds.
    fn times(&self, start: &str) -> Vec<u64> {
        self.sent.iter().filter(|(.., text)| text.starts_with(start)).map(|(at, ..)| *at).collect()
    }

    /// What begins like that, in the order of sending.
    fn texts(&self, start: &str) -> Vec<&str> {
        self.sent.iter().map(|(.., text)| &**text).filter(|text| text.starts_with(start)).collect()
    }

    fn acknowledge_all(&mut self) {
        let uids: Vec<String> = self.texts("ALERT").iter().map(|alert| alert.split("%%").nth(2).unwrap().into()).collect();
        uids.iter().for_each(|uid| self.hear(SERVER, format!("ACK%%{uid}").as_bytes()));
    }
}

fn now(milliseconds: u64) -> Now {
    let minute = u16::try_from((11 * 3600 + 35 * 60 + 36 + milliseconds / 1000) / 60 % 10_080).unwrap();
    Now { mono: Duration::from_millis(milliseconds), unix: START + milliseconds / 1000, local: WeekMinute::new(0, 0, minute), second: 0 }
}

#[test]
fn four_heartbeats_and_no_answer_to_hello_mean_version_1() {
    let mut site = Site::new();
    site.run_to(4);
    assert_eq!(site.sent, [], "no server was heard yet");
    site.run_to(22);
    let sent: Vec<_> = site.sent.iter().map(|(at, to, text)| (*at, *to, &text[..5])).collect();
    let hello = |at| (at, SERVER, "HELLO");
    let hellos = (5..21).step_by(2).map(hello);
    assert_eq!(sent, hellos.chain([(21, SERVER, "CONFR"), (21, SERVER, "ALERT")]).collect::<Vec<_>>());
    assert!(site.sent[0].2.starts_with("HELLO%%3%%nas1%%0000000000000000000000000000beef%%"), "{}", site.sent[0].2);
    assert_eq!(site.texts("CONFREQ"), ["CONFREQ%%nas1"]);
    let started = format!("ALERT%%nas1%%1795347336_0%%1795347336%%SYSTEM%%NULL%%Agent started, version {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(site.texts("ALERT"), [started]);
}

#[test]
fn the_agent_requests_the_configuration_every_ten_seconds_until_it_arrives() {
    let mut site = Site::new();
    site.run_to(45);
    assert_eq!(site.times("CONFREQ"), [21, 31, 41]);
    site.hear(SERVER, CONFIG);
    assert_eq!(site.follows, [LogSource::Path(LOG.into())]);
    site.run_to(46);
    assert!(site.texts("ALERT").last().unwrap().ends_with("in force: 1 rule"), "{:?}", site.sent);
    site.run_to(200);
    assert_eq!(site.times("CONFREQ"), [21, 31, 41]);
}

#[test]
fn a_configuration_is_read_as_python_servers_send_it() {
    let mut site = Site::new();
    site.run_to(22);
    site.hear(
        SERVER,
        "CONFIG%%START%%# für alle%%%%file: /var/log/messages%%match: error%%alert_all: tags=A message=Oh%%%%wrong%%\
         file: /var/log/auth.log%%match: Failed%%alert_n: tags=B threshold=2 seconds=10 message=Many"
            .as_bytes(),
    );
    assert_eq!(site.follows, [LogSource::Path(LOG.into()), LogSource::Path("/var/log/auth.log".into())]);
    site.run_to(23);
    let told: Vec<_> = site.texts("ALERT").iter().skip(1).map(|alert| alert.rsplit("%%").next().unwrap()).collect();
    assert_eq!(told[0], "Configuration error: CONFIG:7: expected \"name: argument\", got \"wrong\"");
    assert!(told[1].starts_with("Configuration ") && told[1].ends_with(" in force: 2 rules"), "{told:?}");
}

#[test]
fn an_unrequested_configuration_changes_nothing() {
    let mut site = Site::configured();
    site.hear(SERVER, b"CONFIG%%START%%file: /other%%match: x%%alert_all: tags=X");
    assert_eq!(site.follows, [LogSource::Path(LOG.into())]);
}

#[test]
fn a_line_becomes_the_classic_event() {
    let mut site = Site::configured();
    site.log(b"all is well\nan error with %% in it\n");
    let uid = site.sent[0].2.split("%%").nth(2).unwrap().to_string();
    assert_eq!(site.texts(""), [format!("ALERT%%nas1%%{uid}%%1795347356%%TAG1%%/var/log/messages%%an error with %% in it")]);
    assert_eq!(uid, "1795347356_2", "the start and the configuration were the first two events of this run");
}

#[test]
fn an_event_is_repeated_every_ten_seconds_until_acknowledged() {
    let mut site = Site::configured();
    site.log(b"error\n");
    site.run_to(55);
    assert_eq!(site.times("ALERT"), [20, 30, 40, 50]);
    assert!(site.texts("ALERT").windows(2).all(|pair| pair[0] == pair[1]));
    site.hear(SERVER, b"ACK%%1795347356_2");
    site.run_to(100);
    assert_eq!(site.times("ALERT").len(), 4);
}

#[test]
fn several_events_are_in_flight_and_acknowledged_in_any_order() {
    let mut site = Site::configured();
    site.log(b"error 1\nerror 2\nerror 3\n");
    assert_eq!(site.times("ALERT"), [20, 20, 20]);
    site.hear(SERVER, b"ACK%%1795347356_3");
    site.hear(SERVER, b"ACK%%1795347356_3");
    site.hear(SERVER, b"ACK%%1795347356_99");
    site.run_to(31);
    assert_eq!(site.times("ALERT"), [20, 20, 20, 30, 30]);
    site.hear(SERVER, b"ACK%%1795347356_4");
    site.hear(SERVER, b"ACK%%1795347356_2");
    site.run_to(60);
    assert_eq!(site.times("ALERT").len(), 5);
}

#[test]
fn an_agent_that_sent_nothing_for_67_seconds_reports_that_it_is_idle() {
    let mut site = Site::configured();
    site.log(b"error\n");
    site.hear(SERVER, b"ACK%%1795347356_2");
    site.run_to(86);
    assert_eq!(site.times("").len(), 1);
    site.run_to(88);
    assert_eq!(site.sent[1..], [(87, SERVER, "ALERT%%nas1%%1795347423_3%%1795347423%%SYSTEM%%NULL%%Idle".to_string())]);
    site.hear(SERVER, b"ACK%%1795347423_3");
    site.run_to(155);
    assert_eq!(site.times("ALERT").last(), Some(&154));
}

#[test]
fn an_agent_with_waiting_events_is_not_idle() {
    let mut site = Site::configured();
    site.log(b"error 1\nerror 2\nerror 3\n");
    site.run_to(300);
    assert!(site.texts("").iter().all(|text| text.contains("%%TAG1%%")));
    assert_eq!(site.times("ALERT").len(), 3 * 29, "20, 30 … 300");
}

#[test]
fn a_reset_makes_the_agent_request_the_configuration_again() {
    let mut site = Site::configured();
    site.hear(SERVER, b"RESET%%nas2");
    site.hear(SERVER, b"RESET%%nas");
    site.run_to(30);
    assert_eq!(site.sent, []);
    site.hear(SERVER, b"RESET%%nas1");
    site.run_to(45);
    assert_eq!(site.sent, [(30, SERVER, "CONFREQ%%nas1".to_string()), (40, SERVER, "CONFREQ%%nas1".to_string())]);
    assert_eq!(site.follows, [LogSource::Path(LOG.into())], "until then the old rules go on");
    site.hear(SERVER, b"CONFIG%%START%%file: /new%%match: x%%alert_all: tags=X");
    assert_eq!(site.follows, [LogSource::Path("/new".into())]);
    site.run_to(80);
    assert_eq!(site.times("CONFREQ"), [30, 40]);
}

#[test]
fn a_log_starts_at_its_end_once_the_server_certainly_keeps_no_positions() {
    assert_eq!(Site::configured().opened, [17], "a second after the configuration");

    // A version 3 server says with the configuration that it is one: the log waits for the session.
    let mut site = Site::new();
    site.hear(SERVER, b"SRVHB%%pi");
    site.run_to(16);
    site.hear(SERVER, CONFIG);
    site.hear(SERVER, b"SRVCAP%%pi%%3%%0000000000000000000000000000beef");
    site.heartbeats.clear();
    site.run_to(300);
    assert_eq!(site.opened, [0; 0]);
}

#[test]
fn a_server_that_was_silent_learns_at_once_that_the_host_is_idle() {
    let mut site = Site::configured();
    site.heartbeats.clear();
    site.run_to(70);
    assert_eq!(site.texts("ALERT"), [""; 0]);
    site.heartbeats = vec![SERVER];
    site.run_to(110);
    let idle = site.texts("ALERT").iter().filter(|alert| alert.ends_with("%%Idle")).count();
    assert!(idle > 0, "{:?}", site.sent);
}

#[test]
fn after_thirty_seconds_of_silence_the_next_server_gets_the_events_and_no_configuration_request() {
    let mut site = Site::configured();
    site.heartbeats = vec![OTHER, SERVER];
    site.run_to(40);
    site.heartbeats = vec![OTHER];
    site.sent.clear();
    site.run_to(45);
    site.log(b"error\n");
    site.run_to(69);
    let to_other = |site: &Site, start| site.sent.iter().filter(|(_, to, text)| *to == OTHER && text.starts_with(start)).count();
    assert_eq!((to_other(&site, "ALERT"), to_other(&site, "HELLO")), (0, 0));
    // The last heartbeat came at 40. After four heartbeats of the other server, its version is known.
    site.run_to(85);
    assert_eq!((to_other(&site, "ALERT"), to_other(&site, "HELLO")), (0, 8));
    site.run_to(87);
    assert_eq!((to_other(&site, "ALERT"), to_other(&site, "HELLO")), (1, 8));
    assert!(site.sent.last().unwrap().2.starts_with("ALERT%%nas1%%1795347381_2%%1795347381%%TAG1%%"), "the event is the same");
    site.hear(SERVER, b"ACK%%1795347381_2");
    site.run_to(97);
    assert_eq!(to_other(&site, "ALERT"), 2, "the old server's word does not count any more");
    site.hear(OTHER, b"ACK%%1795347381_2");
    site.run_to(150);
    assert_eq!((to_other(&site, "ALERT"), site.times("CONFREQ").len()), (2, 0));
    assert_eq!(site.follows, [LogSource::Path(LOG.into())]);
}

#[test]
fn datagrams_from_another_address_are_ignored() {
    let mut site = Site::configured();
    site.log(b"error\n");
    site.hear(OTHER, b"ACK%%1795347356_2");
    site.hear(OTHER, b"RESET%%nas1");
    site.hear(OTHER, b"CONFIG%%START%%file: /evil%%match: x%%alert_all: tags=X");
    site.run_to(31);
    assert_eq!((site.times("ALERT"), site.times("CONFREQ").len()), (vec![20, 30], 0));
    // Nor does it count as an answer of the server.
    site.hear(SERVER, b"RESET%%nas1");
    site.hear(OTHER, b"CONFIG%%START%%file: /evil%%match: x%%alert_all: tags=X");
    assert_eq!(site.follows, [LogSource::Path(LOG.into())]);
}

#[test]
fn a_python_server_gets_clean_text_cut_between_characters() {
    let mut site = Site::configured();
    let mut line = b"error \xff\x00\x1b[31m\t\xc3(\r end ".to_vec();
    line.extend("äöü€".repeat(2000).bytes());
    line.push(b'\n');
    site.log(&line);
    let text = site.texts("ALERT")[0].split("%%").last().unwrap();
    assert!(text.starts_with("error \u{fffd}\u{fffd}\u{fffd}[31m \u{fffd}(\u{fffd} end äöü€"), "{text}");
    assert!((8189..=8192).contains(&text.len()), "{}", text.len());
    assert!(!text.contains(char::is_control));
}

#[test]
fn truncated_and_unknown_datagrams_change_nothing() {
    let mut site = Site::configured();
    for whole in [&b"SRVHB%%pi"[..], b"RESET%%nas1", b"ACK%%1795347356_2", CONFIG, b"STATUS%%now", b"\xff\xfe\x00"] {
        for end in 0..whole.len() {
            site.hear(SERVER, &whole[..end]);
        }
    }
    site.run_to(30);
    assert_eq!(site.sent, []);
    assert_eq!(site.follows, [LogSource::Path(LOG.into())]);
}
