//! The server with version 1 agents, byte for byte. The model of a Python agent panics where the agents in the field crash.

use project436::now::Now;
use project436::random::Random;
use project436::schedule::WeekMinute;
use project436::server::{EventSink, Output, Server, ServerIdentity, Written};
use project436::wire::{Alert, Token};
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::Duration;

const START: u64 = 1_795_347_336;
const AGENT: [u8; 4] = [192, 168, 1, 30];
const FILE: &str = "file: /var/log/messages\nmatch: error\nalert_all: tags=TAG1\n";

#[derive(Default)]
struct Stream(Vec<String>);

impl EventSink for Stream {
    fn accept(&mut self, alert: &Alert<'_>) {
        self.0.push(alert.to_string());
    }
}

/// A server with two broadcast addresses.
struct Site {
    server: Server,
    second: u64,
    batch: Stream,
    stream: Vec<String>,
    disk_full: bool,
    /// When it was sent, in seconds, whereto, and what.
    sent: Vec<(u64, SocketAddrV4, String)>,
}

impl Site {
    fn new() -> Self {
        let broadcast = [[192, 168, 1, 255], [10, 0, 0, 255]].map(|ip| SocketAddrV4::new(ip.into(), 4360)).to_vec();
        let server = Server::new(now(0), ServerIdentity { name: "192.168.1.10".into(), run: Token(0xbeef), broadcast });
        let mut site = Self { server, second: 0, batch: Stream::default(), stream: Vec::new(), disk_full: false, sent: Vec::new() };
        site.settle();
        site
    }

    fn with_host(text: &str) -> Self {
        let mut site = Self::new();
        site.set_file(text);
        site
    }

    fn set_file(&mut self, text: &str) {
        self.server.set_host_file(now(self.second), "nas1", "hosts/nas1", Ok(text.as_bytes().to_vec()));
        self.settle();
    }

    fn run_to(&mut self, second: u64) {
        while self.second < second {
            let next = self.server.next_deadline();
            assert!(next > now(self.second).mono, "time stands still");
            self.second = next.as_secs().min(second);
            self.settle();
        }
    }

    /// Takes a datagram from port P of that address. Returns the datagrams that go back there at once, without SRVCAP, which version 1
    /// agents ignore.
    fn hear(&mut self, from: [u8; 4], datagram: &[u8]) -> Vec<String> {
        let (from, before) = (SocketAddrV4::new(from.into(), 4360), self.sent.len());
        self.server.handle_datagram(now(self.second), from, datagram, &mut self.batch);
        self.settle();
        let answers = self.sent[before..].iter().filter(|(_, to, text)| *to == from && !text.starts_with("SRVCAP%%"));
        answers.map(|(.., text)| text.clone()).collect()
    }

    fn settle(&mut self) {
        self.server.handle_timeout(now(self.second), &mut self.batch);
        let batch = std::mem::take(&mut self.batch.0);
        self.server.handle_committed(now(self.second), if self.disk_full { Written::Nothing } else { Written::All });
        if !self.disk_full {
            self.stream.extend(batch);
        }
        while let Some(output) = self.server.poll_output() {
            if let Output::Send { to, datagram } = output {
                self.sent.push((
                    self.second,
                    to,
                    String::from_utf8(datagram.to_vec()).expect("bytes that are not UTF-8 end a Python agent"),
                ));
            }
        }
    }

    /// When exactly that was sent to the first broadcast address.
    fn broadcasts(&self, datagram: &str) -> Vec<u64> {
        let lan = SocketAddrV4::new([192, 168, 1, 255].into(), 4360);
        self.sent.iter().filter(|(_, to, text)| *to == lan && text == datagram).map(|(at, ..)| *at).collect()
    }
}

fn now(second: u64) -> Now {
    let local = WeekMinute::new(0, 0, u16::try_from(second / 60 % 10_080).unwrap());
    Now { mono: Duration::from_secs(second), unix: START + second, local, second: u8::try_from(second % 60).unwrap() }
}

/// A Python agent named `nas1`.
#[derive(Default)]
struct PythonAgent {
    seed: u64,
    rules: Vec<String>,
    waiting: VecDeque<String>,
    next_alert: u64,
    next_request: u64,
    events: u64,
}

impl PythonAgent {
    fn handle_datagram(&mut self, second: u64, datagram: &str) {
        let seed = self.seed;
        let fields: Vec<&str> = datagram.split("%%").collect();
        match fields[0] {
            "SRVHB" => assert!(fields[1].parse::<std::net::Ipv4Addr>().is_ok(), "a name that it cannot resolve ends a Python agent"),
            "CONFIG" => {
                assert!(self.rules.is_empty(), "a second CONFIG doubles all rules of a Python agent, seed {seed} at {second}");
                assert_eq!(fields[1], "START");
                self.rules = fields[2..].iter().map(ToString::to_string).collect();
                assert!(self.rules.iter().all(|line| line.contains(": ") && !line.starts_with('#')), "{:?}", self.rules);
            }
            "RESET" if fields[1] == "nas1" => {
                self.rules.clear();
                self.next_request = second + 20;
            }
            "ACK" => {
                let first = self
                    .waiting
                    .front()
                    .unwrap_or_else(|| panic!("an ACK with nothing waiting ends a Python agent, seed {seed} at {second}"));
                if first.split("%%").nth(2) == Some(fields[1]) {
                    self.waiting.pop_front();
                    self.next_alert = second;
                }
            }
            _ => {}
        }
    }

    fn add_event(&mut self, second: u64) {
        let unix = START + second;
        self.waiting.push_back(format!("ALERT%%nas1%%{unix}_{}%%{unix}%%TAG1%%/var/log/messages%%error {}", self.events, self.events));
        self.events += 1;
    }

    /// What it sends in that second.
    fn due(&mut self, second: u64) -> Vec<String> {
        let mut due = Vec::new();
        if self.rules.is_empty() && second >= self.next_request {
            self.next_request = second + 10;
            due.push("CONFREQ%%nas1".to_string());
        }
        if let Some(event) = self.waiting.front().filter(|_| second >= self.next_alert) {
            self.next_alert = second + 10;
            due.push(event.clone());
        }
        due
    }
}

#[test]
fn a_python_agent_works_with_this_server_through_losses_resets_and_a_full_disk() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let mut arrives = move || random.bits() % 100 >= 25;
        let (mut site, mut agent) = (Site::with_host(FILE), PythonAgent { seed, ..PythonAgent::default() });
        let (mut lost, mut seen) = (0, 0);
        for second in 0..1800 {
            site.disk_full = (300..400).contains(&second);
            match second {
                600 => site.set_file(&FILE.replace("TAG1", "TAG2")),
                610 => site.set_file(&FILE.replace("TAG1", "TAG3")),
                _ if second < 1500 && second % 15 == 0 => agent.add_event(second),
                _ => {}
            }
            site.run_to(second);
            for datagram in agent.due(second) {
                if arrives() {
                    site.hear(AGENT, datagram.as_bytes());
                } else {
                    lost += 1;
                }
            }
            let elsewhere = [10, 0, 0, 255];
            for (_, to, datagram) in site.sent[seen..].iter().filter(|(_, to, _)| *to.ip() != std::net::Ipv4Addr::from(elsewhere)) {
                assert!(*to.ip() == std::net::Ipv4Addr::from(AGENT) || *to.ip() == std::net::Ipv4Addr::from([192, 168, 1, 255]));
                if arrives() {
                    agent.handle_datagram(second, datagram);
                }
            }
            seen = site.sent.len();
        }
        assert!(lost > 0 && agent.events >= 98);
        assert_eq!(agent.rules, ["file: /var/log/messages", "match: error", "alert_all: tags=TAG3"], "seed {seed}");
        let written = site.stream.iter().filter(|line| line.contains("%%TAG1%%")).count() as u64;
        assert_eq!((agent.waiting.len(), written), (0, agent.events), "seed {seed}: each event is written, and once");
    }
}

#[test]
fn the_configured_name_is_announced_to_every_lan_every_five_seconds() {
    let mut site = Site::new();
    site.run_to(21);
    assert_eq!(site.broadcasts("SRVHB%%192.168.1.10"), [0, 5, 10, 15, 20]);
    assert_eq!(site.broadcasts("SRVCAP%%192.168.1.10%%3%%0000000000000000000000000000beef"), [0, 5, 10, 15, 20]);
    let second = SocketAddrV4::new([10, 0, 0, 255].into(), 4360);
    assert_eq!(site.sent.iter().filter(|(_, to, text)| *to == second && text == "SRVHB%%192.168.1.10").count(), 5);
}

#[test]
fn an_event_is_written_and_then_acknowledged_where_it_came_from() {
    let mut site = Site::with_host(FILE);
    let event = b"ALERT%%nas1%%1795347336_2%%1795347336%%TAG1%%/var/log/messages%%A %% Message";
    assert_eq!(site.hear(AGENT, event), ["ACK%%1795347336_2"]);
    assert_eq!(site.stream, ["nas1%%1795347336_2;line%%1795347336%%TAG1%%/var/log/messages%%A %% Message"]);
    site.hear(AGENT, b"ALERT%%nas1%%1795347336_3%%1795347336%%SYSTEM%%NULL%%Idle");
    assert_eq!(site.stream[1], "nas1%%1795347336_3;system%%1795347336%%SYSTEM%%NULL%%Idle");
}

#[test]
fn a_repeat_gets_no_second_acknowledgement_within_nine_seconds() {
    let mut site = Site::with_host(FILE);
    let event = b"ALERT%%nas1%%1_0%%1%%TAG1%%/var/log/messages%%x";
    let mut answered = Vec::new();
    for second in [0, 1, 5, 8, 9, 10, 17, 18] {
        site.run_to(second);
        let answers = site.hear(AGENT, event);
        if !answers.is_empty() {
            assert_eq!(answers, ["ACK%%1_0"]);
            answered.push(second);
        }
    }
    assert_eq!(answered, [0, 9, 18]);
    assert_eq!(site.stream.len(), 1);
}

#[test]
fn an_event_that_could_not_be_written_is_acknowledged_once_its_repeat_is() {
    let mut site = Site::with_host(FILE);
    let event = b"ALERT%%nas1%%1_0%%1%%TAG1%%/var/log/messages%%x";
    site.disk_full = true;
    assert_eq!(site.hear(AGENT, event), [""; 0]);
    site.run_to(10);
    assert_eq!(site.hear(AGENT, event), [""; 0]);
    site.disk_full = false;
    site.run_to(20);
    assert_eq!((site.hear(AGENT, event), site.stream.len()), (vec!["ACK%%1_0".to_string()], 1));
}

#[test]
fn duplicates_are_recognised_for_fifteen_minutes_if_all_fields_are_equal() {
    let mut site = Site::with_host(FILE);
    let event = b"ALERT%%nas1%%60_0%%60%%TAG1%%/var/log/messages%%x";
    let written = |site: &Site| site.stream.iter().filter(|line| !line.contains("%%SYSTEM%%")).count();
    site.hear(AGENT, event);
    // A device that boots at a fixed date names another event so.
    for (count, other) in [
        &b"ALERT%%nas1%%60_0%%60%%TAG1%%/var/log/messages%%y"[..],
        b"ALERT%%nas1%%60_0%%60%%TAG1%%/var/log/other%%x",
        b"ALERT%%nas1%%60_0%%60%%TAG2%%/var/log/messages%%x",
        b"ALERT%%nas1%%60_0%%61%%TAG1%%/var/log/messages%%x",
        b"ALERT%%nas1%%60_1%%60%%TAG1%%/var/log/messages%%x",
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!((site.hear(AGENT, other).len(), written(&site)), (1, count + 2));
    }
    site.run_to(15 * 60 - 1);
    assert_eq!((site.hear(AGENT, event).len(), written(&site)), (1, 6));
    site.run_to(15 * 60 + 1);
    assert_eq!((site.hear(AGENT, event).len(), written(&site)), (1, 7));
}

#[test]
fn the_server_says_around_a_version_1_configuration_that_it_speaks_version_2() {
    let mut site = Site::with_host(FILE);
    let before = site.sent.len();
    site.hear(AGENT, b"CONFREQ%%nas1");
    let commands: Vec<&str> =
        site.sent[before..].iter().filter_map(|(.., text)| text.split_once("%%")).map(|(command, _)| command).collect();
    assert_eq!(commands, ["SRVCAP", "SRVCAP", "SRVCAP", "CONFIG", "SRVCAP", "SRVCAP", "SRVCAP"]);
}

#[test]
fn an_event_of_an_unknown_host_is_written_each_time_it_comes() {
    let mut site = Site::with_host(FILE);
    for count in 1..=3 {
        let answers = site.hear(AGENT, b"ALERT%%stranger%%1_0%%1%%T%%NULL%%x");
        assert_eq!((answers, site.stream.len()), (vec!["ACK%%1_0".to_string()], count));
    }
    assert_eq!(site.hear(AGENT, b"CONFREQ%%stranger"), [""; 0], "a host without a file gets no answer");
}

#[test]
fn a_host_gets_one_configuration_in_nine_seconds() {
    let mut site = Site::with_host(FILE);
    let mut answered = Vec::new();
    for second in [0, 1, 8, 9, 17, 18] {
        site.run_to(second);
        let answers = site.hear(AGENT, b"CONFREQ%%nas1");
        if !answers.is_empty() {
            assert_eq!(answers, ["CONFIG%%START%%file: /var/log/messages%%match: error%%alert_all: tags=TAG1"]);
            answered.push(second);
        }
    }
    assert_eq!(answered, [0, 9, 18]);
}

#[test]
fn no_configuration_is_sent_unasked() {
    let mut site = Site::with_host(FILE);
    assert_eq!(site.hear(AGENT, b"CONFREQ%%nas1").len(), 1);
    for change in 1..20 {
        site.run_to(60 * change);
        site.set_file(&FILE.replace("TAG1", &format!("T{change}")));
        site.hear(AGENT, format!("ALERT%%nas1%%1_{change}%%1%%SYSTEM%%NULL%%Idle").as_bytes());
    }
    assert!(!site.broadcasts("RESET%%nas1").is_empty());
    assert_eq!(site.sent.iter().filter(|(.., text)| text.starts_with("CONFIG")).count(), 1);
}

#[test]
fn a_host_is_reset_every_thirty_seconds_at_most_and_after_the_last_change() {
    let mut site = Site::with_host(FILE);
    site.hear(AGENT, b"CONFREQ%%nas1");
    for change in 0..40 {
        site.run_to(10 + change * 3);
        site.set_file(&FILE.replace("TAG1", &format!("T{change}")));
    }
    let last_change = site.second;
    site.run_to(last_change + 40);
    let resets = site.broadcasts("RESET%%nas1");
    assert!(resets.windows(2).all(|pair| pair[1] - pair[0] >= 30), "{resets:?}");
    assert!(resets[0] <= 12 && *resets.last().unwrap() >= last_change, "{resets:?}");
    // Its effects, if there are any, have happened.
    assert_eq!(site.hear(AGENT, b"CONFREQ%%nas1").len(), 1);
    let count = resets.len();
    site.run_to(last_change + 170);
    assert_eq!(site.broadcasts("RESET%%nas1").len(), count);
}

#[test]
fn a_reset_that_is_not_followed_by_a_request_is_repeated() {
    let mut site = Site::with_host(FILE);
    site.hear(AGENT, b"CONFREQ%%nas1");
    site.run_to(100);
    site.set_file(&FILE.replace("TAG1", "TAG2"));
    site.run_to(1000);
    let every_thirty_seconds: Vec<u64> = (0..10).map(|time| 100 + 30 * time).collect();
    assert_eq!(site.broadcasts("RESET%%nas1"), every_thirty_seconds);
}

#[test]
fn directives_that_python_agents_cannot_read_are_left_out_and_an_event_names_them() {
    let left_out = [
        ("file: |logread -f\nmatch: x\nalert_all: tags=X\n", "file: |COMMAND"),
        ("file: /var/log/*.log\nmatch: x\nalert_all: tags=X\n", "file: with a wildcard"),
        ("file: /a\nmatch: x\nignore: y\nalert_all: tags=X\n", "ignore:"),
        ("file: /a\nmatch: 5%%\nalert_all: tags=X\n", "a line with %% in it"),
        ("run: command=@df extract=(.*)\nalert_metric: tags=X match=1,/ metric=1\n", "a built-in command"),
        ("process: cron\nalert_running: tags=X min=1 max=2 message=m\n", "process: without ps_command:"),
    ];
    for (group, reason) in left_out {
        let mut site = Site::with_host(&format!("# a comment\n\n{FILE}\n# another\n{group}"));
        let answers = site.hear(AGENT, b"CONFREQ%%nas1");
        assert_eq!(answers, ["CONFIG%%START%%file: /var/log/messages%%match: error%%alert_all: tags=TAG1"]);
        site.run_to(10);
        let event = format!(
            "nas1%%11pr.1;system%%{START}%%SYSTEM%%NULL%%Configuration error: hosts/nas1:8: left out for nas1, whose agent does not know it: {reason}"
        );
        assert_eq!(site.stream, [event]);
        assert_eq!(site.hear(AGENT, b"CONFREQ%%nas1").len(), 1);
        site.run_to(20);
        assert_eq!(site.stream.len(), 1, "it is said once for each revision");
    }
}

#[test]
fn arguments_go_out_in_the_order_that_python_agents_read() {
    let mut site = Site::with_host(
        "  file: /a\n  match: x\n  alert_n: seconds=60 threshold=5 tags=A message=Too many\n\
         ps_command: ps ax\nprocess: cron\nalert_running: max=2 min=1 tags=B message=cron\n\
         run: command=df -k extract=^(\\S+) +(\\d+)\nactive: 06;09:00-17:00\n\
         alert_if: lower_limit=2,5 match=1,/ tags=C message=low\nalert_metric: metric=2 match=1,/ tags=D\n",
    );
    assert_eq!(
        site.hear(AGENT, b"CONFREQ%%nas1"),
        ["CONFIG%%START%%file: /a%%match: x%%alert_n: tags=A threshold=5 seconds=60 message=Too many%%ps_command: ps ax%%process: cron%%\
          alert_running: tags=B min=1 max=2 message=cron%%run: command=df -k extract=^(\\S+) +(\\d+)%%active: 06;09:00-17:00%%\
          alert_if: tags=C match=1,/ lower_limit=2,5 message=low%%alert_metric: tags=D match=1,/ metric=2"]
    );
}

#[test]
fn a_host_name_opens_no_other_file() {
    let mut site = Site::with_host(FILE);
    for name in ["../nas1", "/etc/passwd", "nas1\0", "nas1\n", "nas1%%x", "", ".", "NAS1"] {
        assert_eq!(site.hear(AGENT, format!("CONFREQ%%{name}").as_bytes()), [""; 0], "{name:?}");
    }
}

#[test]
fn hostile_datagrams_get_no_answer_and_write_nothing() {
    let mut site = Site::with_host(FILE);
    site.run_to(1);
    let whole = b"ALERT%%nas1%%1_0%%1%%TAG1%%/var/log/messages%%";
    for end in 0..whole.len() {
        assert_eq!(site.hear(AGENT, &whole[..end]), [""; 0], "{end}");
    }
    for bytes in
        [&b"\xff\xff%%nas1"[..], b"ALERT%%nas1%%\xc3(%%1%%T%%NULL%%x", b"SRVHB%%x", b"ACK%%1_0", b"CONFIG%%START%%x", b"RESET%%nas1"]
    {
        assert_eq!(site.hear(AGENT, bytes), [""; 0]);
    }
    assert_eq!(site.stream, [""; 0]);
    assert_eq!(site.hear(AGENT, whole), ["ACK%%1_0"], "an empty text is one");
}

#[test]
fn no_field_of_an_event_forges_a_line() {
    let mut site = Site::with_host(FILE);
    site.hear(AGENT, b"ALERT%%nas1%%1_0%%1%%T%%/var/log/a\nb%%one\nSun Nov 22%%nas2%%1%%1%%T%%NULL%%forged\x1b[2J");
    assert_eq!(site.stream, ["nas1%%1_0%%1%%T%%/var/log/a\u{fffd}b%%one\u{fffd}Sun Nov 22%%nas2%%1%%1%%T%%NULL%%forged\u{fffd}[2J"]);
}
