//! The server in virtual time.

use super::*;
use crate::schedule::WeekMinute;

const GOOD: &str = "file: /a\nmatch: a\nalert_all: tags=A\n";
const EVENT: &str = "ALERT%%nas1%%5_1%%5%%T%%NULL%%text";

fn at(seconds: u64) -> Now {
    Now { mono: Duration::from_secs(seconds), unix: 1_795_347_336 + seconds, local: WeekMinute::new(0, 0, 0), second: 0 }
}

fn agent(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new([10, 0, 0, last].into(), 4360)
}

/// The events that were accepted, as the stream has them.
#[derive(Default)]
struct Lines(Vec<String>);

impl EventSink for Lines {
    fn accept(&mut self, alert: &Alert<'_>) {
        self.0.push(alert.to_string());
    }
}

/// A server and the stream that it writes to, which fails when told to.
struct Bench {
    server: Server,
    lines: Lines,
    writes: bool,
    log: Vec<String>,
}

impl Bench {
    /// A server that started at 1 s and knows those hosts.
    fn new(hosts: &[&str]) -> Self {
        let broadcast = vec![SocketAddrV4::new([10, 0, 0, 255].into(), 4360), SocketAddrV4::new([10, 0, 1, 255].into(), 4360)];
        let mut server = Server::new(at(1), ServerIdentity { name: "srv".into(), run: Token(9), broadcast });
        for host in hosts {
            server.set_host_file(at(1), host, &format!("hosts/{host}"), Ok(GOOD.into()));
        }
        let mut bench = Self { server, lines: Lines::default(), writes: true, log: Vec::new() };
        bench.tick(1);
        bench
    }

    /// Lets the server do what is due, and returns what it sends.
    fn tick(&mut self, seconds: u64) -> Vec<(SocketAddrV4, String)> {
        let given = self.lines.0.len();
        self.server.handle_timeout(at(seconds), &mut self.lines);
        self.commit(seconds, given)
    }

    /// Has that said to the server, and returns what it sends.
    fn say(&mut self, seconds: u64, from: SocketAddrV4, datagram: &str) -> Vec<String> {
        let given = self.lines.0.len();
        self.server.handle_datagram(at(seconds), from, datagram.as_bytes(), &mut self.lines);
        self.server.own_events.offer(&mut self.lines);
        let sent = self.commit(seconds, given);
        sent.into_iter().filter(|(to, _)| *to == from).map(|(_, text)| text).collect()
    }

    fn commit(&mut self, seconds: u64, given: usize) -> Vec<(SocketAddrV4, String)> {
        if !self.writes {
            self.lines.0.truncate(given);
        }
        self.server.handle_committed(at(seconds), if self.writes { Written::All } else { Written::Nothing });
        let mut sent = Vec::new();
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { to, datagram } => sent.push((to, String::from_utf8(datagram.to_vec()).unwrap())),
                Output::Log(text) => self.log.push(text.into()),
            }
        }
        sent
    }

    /// At which of these seconds the server sends what begins so, and how often.
    fn times(&mut self, seconds: std::ops::Range<u64>, start: &str) -> Vec<u64> {
        let mut times = Vec::new();
        for second in seconds {
            let sent = self.tick(second);
            times.extend(sent.iter().filter(|(_, text)| text.starts_with(start)).map(|_| second));
        }
        times
    }

    /// A session of that host, begun by the rules. Returns the answer to the JOIN.
    fn join(&mut self, seconds: u64, from: SocketAddrV4, host: &str) -> Vec<String> {
        let join = self.offered(seconds, from, host, Token(1));
        self.say(seconds, from, &join)
    }

    /// Asks for an offer in a run of the agent. Returns the JOIN that accepts it.
    fn offered(&mut self, seconds: u64, from: SocketAddrV4, host: &str, run: Token) -> String {
        let nonce = Token(2);
        let offer = self.say(seconds, from, &format!("HELLO%%2%%{host}%%{run}%%{nonce}"));
        let cookie = offer[0].rsplit("%%").next().unwrap();
        format!("JOIN%%{host}%%{run}%%{nonce}%%{cookie}")
    }

    /// What the server itself said, without the fields that are always the same.
    fn own(&self) -> Vec<&str> {
        self.lines.0.iter().filter(|line| line.contains("%%000000%%")).map(|line| line.rsplit("%%").next().unwrap()).collect()
    }
}

#[test]
fn an_event_is_acknowledged_when_it_is_written_and_not_before() {
    let mut bench = Bench::new(&["nas1"]);
    bench.writes = false;
    for second in [2, 12, 22] {
        assert_eq!(bench.say(second, agent(1), EVENT), [""; 0]);
    }
    bench.writes = true;
    assert_eq!(bench.say(32, agent(1), EVENT), ["ACK%%5_1"]);
    assert_eq!(bench.lines.0, ["nas1%%5_1%%5%%T%%NULL%%text"]);
}

#[test]
fn a_classic_repeat_is_written_once_and_acknowledged_again_after_nine_seconds() {
    let mut bench = Bench::new(&["nas1"]);
    for (second, acknowledged) in [(2, 1), (3, 0), (10, 0), (11, 1), (12, 0), (20, 1)] {
        assert_eq!(bench.say(second, agent(1), EVENT).len(), acknowledged, "{second}");
    }
    assert_eq!(bench.lines.0.len(), 1);
    // A field that differs makes it another event, however old the uid.
    bench.say(21, agent(1), &EVENT.replace("text", "other"));
    assert_eq!(bench.lines.0.len(), 2);
    bench.say(2 + 16 * 60, agent(1), EVENT);
    assert_eq!(bench.lines.0.len(), 3);
}

#[test]
fn a_repeat_within_a_session_is_acknowledged_each_time_and_written_once() {
    let mut bench = Bench::new(&["nas1"]);
    bench.join(2, agent(1), "nas1");
    for second in [3, 3, 4] {
        assert_eq!(bench.say(second, agent(1), EVENT), ["ACK%%5_1"]);
    }
    assert_eq!(bench.lines.0.len(), 1);
}

#[test]
fn the_server_says_that_it_is_there_every_five_seconds_in_every_network() {
    let mut bench = Bench::new(&[]);
    assert_eq!(bench.times(2..17, "SRVHB%%srv"), [6, 6, 11, 11, 16, 16]);
    let sent: Vec<_> = bench.tick(21).into_iter().map(|(to, text)| (to.ip().to_string(), text)).collect();
    let capability = format!("SRVCAP%%srv%%2%%{}", Token(9));
    let own = |ip: &str, text: &str| (ip.to_string(), text.to_string());
    let everywhere = |text| [own("10.0.0.255", text), own("10.0.1.255", text)];
    assert_eq!(sent, [everywhere(&capability), everywhere("SRVHB%%srv")].concat());
}

#[test]
fn a_classic_agent_gets_one_config_in_nine_seconds() {
    let mut bench = Bench::new(&["nas1"]);
    for (second, sent) in [(2, 1), (3, 0), (10, 0), (11, 1), (19, 0)] {
        let answer = bench.say(second, agent(1), "CONFREQ%%nas1");
        assert_eq!(answer, vec!["CONFIG%%START%%file: /a%%match: a%%alert_all: tags=A"; sent], "{second}");
    }
    assert_eq!(bench.say(30, agent(1), "CONFREQ%%nas2"), [""; 0]);
}

#[test]
fn a_classic_agent_is_reset_at_most_every_thirty_seconds_until_it_asks() {
    let mut bench = Bench::new(&["nas1"]);
    bench.say(2, agent(1), "CONFREQ%%nas1");
    let edit = |bench: &mut Bench, second, path| bench.server.set_host_file(at(second), "nas1", "h", Ok(GOOD.replace("/a", path).into()));
    edit(&mut bench, 20, "/b");
    assert_eq!(bench.times(20..25, "RESET%%nas1"), [20, 20], "in both networks");
    edit(&mut bench, 25, "/c");
    assert_eq!(bench.times(25..85, "RESET%%nas1"), [50, 50, 80, 80]);
    bench.say(90, agent(1), "CONFREQ%%nas1");
    assert_eq!(bench.times(90..140, "RESET"), [0; 0], "what it was to bring about has happened");
}

#[test]
fn a_session_is_told_of_a_change_until_it_fetches_it() {
    let mut bench = Bench::new(&["nas1"]);
    let first = bench.server.configurations.revision("nas1");
    assert_eq!(bench.join(2, agent(1), "nas1"), [format!("STALE%%nas1%%{first}")]);
    let need = |revision| format!("NEED%%nas1%%{revision}%%1");
    let text = bench.server.configurations.parts("nas1").concat();
    assert_eq!(bench.say(2, agent(1), &need(first)), [format!("CONF%%nas1%%{first}%%1%%1%%{text}")]);

    bench.server.set_host_file(at(10), "nas1", "hosts/nas1", Ok(GOOD.replace("/a", "/b").into()));
    let second = bench.server.configurations.revision("nas1");
    assert_ne!(first, second);
    assert_eq!(bench.times(10..13, &format!("STALE%%nas1%%{second}")), [10, 11, 12]);
    assert_eq!(bench.say(13, agent(1), &need(first)), [format!("STALE%%nas1%%{second}")], "two revisions never mix");
    assert_eq!(bench.times(13..16, "STALE"), [13, 14, 15], "what was asked for before the change says nothing of it");
    bench.say(16, agent(1), &need(second));
    assert_eq!(bench.times(16..60, "STALE"), [0; 0], "who asks for it has heard of it");
    assert_eq!(bench.times(60..70, "RESET"), [0; 0], "that is for those without a session");
    // At another address, or in another run, it is no session.
    assert_eq!(bench.say(70, agent(2), &need(second)), ["LOST%%nas1"]);
    assert_eq!(bench.say(70, agent(1), &format!("ALIVE%%nas1%%{}%%{second}", Token(7))), ["LOST%%nas1"]);
    assert_eq!(bench.say(70, agent(1), &format!("ALIVE%%nas1%%{}%%{second}", Token(1))), ["HERE%%nas1"]);
    assert_eq!(bench.say(70, agent(1), &format!("ALIVE%%nas1%%{}%%{first}", Token(1))), [format!("STALE%%nas1%%{second}")]);
}

#[test]
fn a_cookie_that_was_not_offered_begins_no_session() {
    let mut bench = Bench::new(&["nas1"]);
    let (run, nonce) = (Token(1), Token(2));
    assert_eq!(bench.say(2, agent(1), &format!("JOIN%%nas1%%{run}%%{nonce}%%{}", Token(3))), [""; 0]);
    assert_eq!(bench.say(2, agent(1), &format!("ALIVE%%nas1%%{run}%%none")), ["LOST%%nas1"]);
}

#[test]
fn a_host_without_a_file_is_told_so_and_nothing_is_kept_of_it() {
    let mut bench = Bench::new(&["nas1"]);
    assert_eq!(bench.join(2, agent(2), "nas2"), ["STALE%%nas2%%none"]);
    assert_eq!(bench.say(3, agent(2), &EVENT.replace("nas1", "nas2")), ["ACK%%5_1"]);
    assert_eq!(bench.server.hosts.len(), 1);

    bench.join(4, agent(1), "nas1");
    bench.server.remove_host_file(at(5), "nas1");
    assert_eq!(bench.times(5..30, "STALE%%nas1%%none").len(), 10);
    assert_eq!(bench.server.hosts.len(), 0);
    assert_eq!(bench.own(), [""; 0]);
}

#[test]
fn a_host_that_comes_back_while_it_is_being_told_that_it_has_no_file_is_a_host_again() {
    let mut bench = Bench::new(&["nas1"]);
    bench.join(2, agent(1), "nas1");
    bench.server.remove_host_file(at(5), "nas1");
    bench.tick(5);
    bench.server.set_host_file(at(6), "nas1", "hosts/nas1", Ok(GOOD.into()));
    let revision = bench.server.configurations.revision("nas1");
    assert_eq!(bench.times(6..30, &format!("STALE%%nas1%%{revision}")).len(), 10);
    assert!(bench.server.hosts.get("nas1").unwrap().has_file());
}

#[test]
fn silence_is_reported_at_180_seconds_and_every_half_hour() {
    let mut bench = Bench::new(&["nas1", "nas2"]);
    let mut times = Vec::new();
    for second in 2..4000 {
        if second == 100 {
            bench.say(second, agent(2), &format!("ALIVE%%nas2%%{}%%none", Token(1)));
        }
        let before = bench.lines.0.len();
        bench.tick(second);
        times.extend(bench.lines.0[before..].iter().map(|line| (second, line.clone())));
    }
    let times: Vec<_> = times.iter().map(|(second, line)| (*second, line.split("%%").next().unwrap())).collect();
    assert_eq!(times, [(181, "nas1"), (280, "nas2"), (1981, "nas1"), (2080, "nas2"), (3781, "nas1"), (3880, "nas2")]);
    assert!(bench.own().iter().all(|text| *text == "Host is inactive"), "{:?}", bench.own());
    bench.say(4000, agent(1), EVENT);
    bench.say(4001, agent(1), EVENT);
    assert_eq!(bench.own().iter().filter(|text| **text == "Host is active again").count(), 1);
}

#[test]
fn the_servers_own_events_wait_until_they_can_be_written() {
    let mut bench = Bench::new(&["nas1"]);
    bench.writes = false;
    (2..200).for_each(|second| drop(bench.tick(second)));
    assert_eq!(bench.own(), [""; 0]);
    bench.writes = true;
    (200..210).for_each(|second| drop(bench.tick(second)));
    assert_eq!(bench.own(), ["Host is inactive"]);
}

#[test]
fn what_a_classic_agent_cannot_have_is_said_once_for_each_revision() {
    let mut bench = Bench::new(&["nas1"]);
    let extended = format!("{GOOD}file: |logread -f\nmatch: a\nalert_all: tags=B\n");
    bench.server.set_host_file(at(2), "nas1", "hosts/nas1", Ok(extended.into()));
    for second in [10, 20, 30] {
        assert_eq!(bench.say(second, agent(1), "CONFREQ%%nas1").len(), 1);
    }
    assert_eq!(bench.own().len(), 1);
    assert!(bench.own()[0].starts_with("Configuration error: hosts/nas1:4: left out for nas1"), "{:?}", bench.own());
}

#[test]
fn what_strangers_cause_is_counted_and_logged_once_an_hour() {
    let mut bench = Bench::new(&[]);
    for second in 2..3700 {
        bench.say(second, agent(1), "BOGUS");
        bench.say(second, agent(1), "ACK%%5_1");
        bench.tick(second);
    }
    let said = |count: u64| format!("datagrams ignored since the start: {count} malformed, {count} unexpected");
    assert_eq!(bench.log, [said(1), said(3601)]);
}

#[test]
fn a_session_begins_only_by_a_later_offer_than_the_one_in_place() {
    let mut bench = Bench::new(&["nas1"]);
    let early = bench.offered(2, agent(1), "nas1", Token(1));
    let late = bench.offered(2, agent(1), "nas1", Token(2));
    assert_eq!(bench.say(3, agent(1), &early).len(), 1);
    assert_eq!(bench.say(3, agent(1), &early).len(), 1, "a repeat is answered again");
    assert_eq!(bench.say(3, agent(1), &late).len(), 1);
    assert_eq!(bench.say(4, agent(1), &early), [""; 0], "a recorded JOIN brings no session back");
    let revision = Revision::NONE;
    let alive = |run| Message::Alive { host: "nas1", run, revision }.to_string();
    assert!(bench.say(5, agent(1), &alive(Token(2)))[0].starts_with("STALE"));
    assert_eq!(bench.say(5, agent(1), &alive(Token(1))), ["LOST%%nas1"]);
    // Nor is one that is over begun again by its own JOIN.
    bench.server.remove_host_file(at(6), "nas1");
    (6..30).for_each(|second| drop(bench.tick(second)));
    bench.server.set_host_file(at(30), "nas1", "hosts/nas1", Ok(GOOD.into()));
    assert_eq!(bench.say(31, agent(1), &late), [""; 0]);
}

#[test]
fn of_two_agents_with_one_name_neither_is_told_how_far_the_other_has_read() {
    let mut bench = Bench::new(&["nas1"]);
    let (one, other) = (Token(1), Token(2));
    let turn = |bench: &mut Bench, seconds, run| {
        let join = bench.offered(seconds, agent(1), "nas1", run);
        bench.say(seconds, agent(1), &join);
        bench.say(seconds, agent(1), "SEEK%%nas1%%5")
    };
    assert_eq!(turn(&mut bench, 2, one), ["AT%%nas1%%5%%none"]);
    bench.say(2, agent(1), "TAKE%%nas1%%5%%none%%1.0%%5%%1.1.1");
    // One that is started again goes on where it was.
    assert_eq!(turn(&mut bench, 3, other), ["AT%%nas1%%5%%1.0%%5%%1.1.1"]);
    assert!(!bench.lines.0.iter().any(|line| line.contains("two agents")));
    assert_eq!(turn(&mut bench, 4, one), ["AT%%nas1%%5%%none"]);
    assert_eq!(turn(&mut bench, 5, other), ["AT%%nas1%%5%%none"]);
    let reports = bench.lines.0.iter().filter(|line| line.contains("Host name is used by two agents at once, at 10.0.0.1 and 10.0.0.1"));
    assert_eq!(reports.count(), 1);
    // When the other has been silent for long there is one again.
    assert_eq!(turn(&mut bench, 300, other), ["AT%%nas1%%5%%1.0%%5%%1.1.1"]);
}
