//! The server as a whole, in virtual time.

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

/// The events that the server has accepted, as fields.
#[derive(Default)]
struct Lines(Vec<String>);

impl EventSink for Lines {
    fn accept(&mut self, alert: &Alert<'_>) {
        self.0.push(alert.to_string());
    }
}

/// A server and its stream. Writing fails while `writes` is false.
struct Bench {
    server: Server,
    lines: Lines,
    writes: bool,
    log: Vec<String>,
}

impl Bench {
    /// A server that started at 1 s and has files of these hosts.
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

    /// Calls `handle_timeout`. Returns the datagrams that the server sends.
    fn tick(&mut self, seconds: u64) -> Vec<(SocketAddrV4, String)> {
        let given = self.lines.0.len();
        self.server.handle_timeout(at(seconds), &mut self.lines);
        self.commit(seconds, given)
    }

    /// Delivers a datagram. Returns the datagrams that the server sends back.
    fn deliver(&mut self, seconds: u64, from: SocketAddrV4, datagram: &str) -> Vec<String> {
        let given = self.lines.0.len();
        self.server.handle_datagram(at(seconds), from, datagram.as_bytes(), &mut self.lines);
        self.server.reports.offer(&mut self.lines);
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

    /// The seconds at which the server sends a datagram with this start, one for each datagram.
    fn times(&mut self, seconds: std::ops::Range<u64>, start: &str) -> Vec<u64> {
        let mut times = Vec::new();
        for second in seconds {
            let sent = self.tick(second);
            times.extend(sent.iter().filter(|(_, text)| text.starts_with(start)).map(|_| second));
        }
        times
    }

    /// Begins a session of a host. Returns the answer to the JOIN.
    fn join(&mut self, seconds: u64, from: SocketAddrV4, host: &str) -> Vec<String> {
        let join = self.hello(seconds, from, host, Token(1));
        self.deliver(seconds, from, &join)
    }

    /// Sends a HELLO. Returns the JOIN that answers its OFFER.
    fn hello(&mut self, seconds: u64, from: SocketAddrV4, host: &str, run: Token) -> String {
        let nonce = Token(2);
        let offer = self.deliver(seconds, from, &format!("HELLO%%3%%{host}%%{run}%%{nonce}"));
        let cookie = offer[0].rsplit("%%").next().unwrap();
        format!("JOIN%%{host}%%{run}%%{nonce}%%{cookie}")
    }

    /// The texts of the server's own events.
    fn own_events(&self) -> Vec<&str> {
        self.lines.0.iter().filter(|line| line.contains(";system")).map(|line| line.rsplit("%%").next().unwrap()).collect()
    }
}

#[test]
fn an_event_is_acknowledged_when_it_is_written_and_not_before() {
    let mut bench = Bench::new(&["nas1"]);
    bench.writes = false;
    for second in [2, 12, 22] {
        assert_eq!(bench.deliver(second, agent(1), EVENT), [""; 0]);
    }
    bench.writes = true;
    assert_eq!(bench.deliver(32, agent(1), EVENT), ["ACK%%5_1"]);
    assert_eq!(bench.lines.0, ["nas1%%5_1%%5%%T%%NULL%%text"]);
}

#[test]
fn the_uid_of_a_version_1_event_says_nothing_of_chains() {
    let mut bench = Bench::new(&["nas1"]);
    let uid = "5_1;line@5:7:9:1.1.1";
    assert_eq!(bench.deliver(2, agent(1), &EVENT.replace("5_1", uid)), [format!("ACK%%{uid}")]);
    assert_eq!(bench.lines.0, ["nas1%%5_1_line_5:7:9:1.1.1%%5%%T%%NULL%%text"]);
}

#[test]
fn a_classic_repeat_is_written_once_and_acknowledged_again_after_nine_seconds() {
    let mut bench = Bench::new(&["nas1"]);
    for (second, acknowledged) in [(2, 1), (3, 0), (10, 0), (11, 1), (12, 0), (20, 1)] {
        assert_eq!(bench.deliver(second, agent(1), EVENT).len(), acknowledged, "{second}");
    }
    assert_eq!(bench.lines.0.len(), 1);
    // An event that differs in one field is another event, even with the same uid.
    bench.deliver(21, agent(1), &EVENT.replace("text", "other"));
    assert_eq!(bench.lines.0.len(), 2);
    bench.deliver(2 + 16 * 60, agent(1), EVENT);
    assert_eq!(bench.lines.0.len(), 3);
}

#[test]
fn a_repeat_within_a_session_is_acknowledged_each_time_and_written_once() {
    let mut bench = Bench::new(&["nas1"]);
    bench.join(2, agent(1), "nas1");
    for second in [3, 3, 4] {
        assert_eq!(bench.deliver(second, agent(1), EVENT), ["ACK%%5_1"]);
    }
    assert_eq!(bench.lines.0.len(), 1);
}

#[test]
fn the_server_announces_itself_every_five_seconds_in_every_network() {
    let mut bench = Bench::new(&[]);
    assert_eq!(bench.times(2..17, "SRVHB%%srv"), [6, 6, 11, 11, 16, 16]);
    let sent: Vec<_> = bench.tick(21).into_iter().map(|(to, text)| (to.ip().to_string(), text)).collect();
    let capability = format!("SRVCAP%%srv%%3%%{}", Token(9));
    let own = |ip: &str, text: &str| (ip.to_string(), text.to_string());
    let everywhere = |text| [own("10.0.0.255", text), own("10.0.1.255", text)];
    assert_eq!(sent, [everywhere(&capability), everywhere("SRVHB%%srv")].concat());
}

#[test]
fn a_classic_agent_gets_one_config_in_nine_seconds() {
    let mut bench = Bench::new(&["nas1"]);
    for (second, sent) in [(2, 1), (3, 0), (10, 0), (11, 1), (19, 0)] {
        let mut answer = bench.deliver(second, agent(1), "CONFREQ%%nas1");
        answer.retain(|datagram| !datagram.starts_with("SRVCAP%%"));
        assert_eq!(answer, vec!["CONFIG%%START%%file: /a%%match: a%%alert_all: tags=A"; sent], "{second}");
    }
    assert_eq!(bench.deliver(30, agent(1), "CONFREQ%%nas2"), [""; 0]);
}

#[test]
fn a_classic_agent_is_reset_at_most_every_thirty_seconds_until_it_asks() {
    let mut bench = Bench::new(&["nas1"]);
    bench.deliver(2, agent(1), "CONFREQ%%nas1");
    let edit = |bench: &mut Bench, second, path| bench.server.set_host_file(at(second), "nas1", "h", Ok(GOOD.replace("/a", path).into()));
    edit(&mut bench, 20, "/b");
    assert_eq!(bench.times(20..25, "RESET%%nas1"), [20, 20], "in both networks");
    edit(&mut bench, 25, "/c");
    assert_eq!(bench.times(25..85, "RESET%%nas1"), [50, 50, 80, 80]);
    bench.deliver(90, agent(1), "CONFREQ%%nas1");
    assert_eq!(bench.times(90..140, "RESET"), [0; 0], "the agent has asked");
}

#[test]
fn a_change_is_announced_in_a_session_until_the_agent_fetches_it() {
    let mut bench = Bench::new(&["nas1"]);
    let first = bench.server.configurations.revision("nas1");
    assert_eq!(bench.join(2, agent(1), "nas1"), [format!("STALE%%nas1%%{first}")]);
    let need = |revision| format!("NEED%%nas1%%{revision}%%1");
    let text = bench.server.configurations.parts("nas1").concat();
    assert_eq!(bench.deliver(2, agent(1), &need(first)), [format!("CONF%%nas1%%{first}%%1%%1%%{text}")]);

    bench.server.set_host_file(at(10), "nas1", "hosts/nas1", Ok(GOOD.replace("/a", "/b").into()));
    let second = bench.server.configurations.revision("nas1");
    assert_ne!(first, second);
    assert_eq!(bench.times(10..13, &format!("STALE%%nas1%%{second}")), [10, 11, 12]);
    assert_eq!(bench.deliver(13, agent(1), &need(first)), [format!("STALE%%nas1%%{second}")], "two revisions never mix");
    assert_eq!(bench.times(13..16, "STALE"), [13, 14, 15], "a request for the old revision does not stop the announcement");
    bench.deliver(16, agent(1), &need(second));
    assert_eq!(bench.times(16..60, "STALE"), [0; 0], "a request for the new revision does");
    assert_eq!(bench.times(60..70, "RESET"), [0; 0], "RESET is for hosts without a session");
    // Another address or another run is not in the session.
    assert_eq!(bench.deliver(70, agent(2), &need(second)), ["LOST%%nas1"]);
    assert_eq!(bench.deliver(70, agent(1), &format!("ALIVE%%nas1%%{}%%{second}", Token(7))), ["LOST%%nas1"]);
    assert_eq!(bench.deliver(70, agent(1), &format!("ALIVE%%nas1%%{}%%{second}", Token(1))), ["HERE%%nas1"]);
    assert_eq!(bench.deliver(70, agent(1), &format!("ALIVE%%nas1%%{}%%{first}", Token(1))), [format!("STALE%%nas1%%{second}")]);
}

#[test]
fn a_cookie_that_was_not_offered_begins_no_session() {
    let mut bench = Bench::new(&["nas1"]);
    let (run, nonce) = (Token(1), Token(2));
    assert_eq!(bench.deliver(2, agent(1), &format!("JOIN%%nas1%%{run}%%{nonce}%%{}", Token(3))), [""; 0]);
    assert_eq!(bench.deliver(2, agent(1), &format!("ALIVE%%nas1%%{run}%%none")), ["LOST%%nas1"]);
}

#[test]
fn a_host_without_a_file_is_told_so_and_then_forgotten() {
    let mut bench = Bench::new(&["nas1"]);
    assert_eq!(bench.join(2, agent(2), "nas2"), ["STALE%%nas2%%none"]);
    assert_eq!(bench.deliver(3, agent(2), &EVENT.replace("nas1", "nas2")), ["ACK%%5_1"]);
    assert_eq!(bench.server.hosts.len(), 1);

    bench.join(4, agent(1), "nas1");
    bench.server.remove_host_file(at(5), "nas1");
    assert_eq!(bench.times(5..30, "STALE%%nas1%%none").len(), 10);
    assert_eq!(bench.server.hosts.len(), 0);
    assert_eq!(bench.own_events(), [""; 0]);
}

#[test]
fn a_host_file_that_returns_before_the_host_is_forgotten_counts() {
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
            bench.deliver(second, agent(2), &format!("ALIVE%%nas2%%{}%%none", Token(1)));
        }
        let before = bench.lines.0.len();
        bench.tick(second);
        times.extend(bench.lines.0[before..].iter().map(|line| (second, line.clone())));
    }
    let times: Vec<_> = times.iter().map(|(second, line)| (*second, line.split("%%").next().unwrap())).collect();
    assert_eq!(times, [(181, "nas1"), (280, "nas2"), (1981, "nas1"), (2080, "nas2"), (3781, "nas1"), (3880, "nas2")]);
    assert!(bench.own_events().iter().all(|text| *text == "Host is inactive"), "{:?}", bench.own_events());
    bench.deliver(4000, agent(1), EVENT);
    bench.deliver(4001, agent(1), EVENT);
    assert_eq!(bench.own_events().iter().filter(|text| **text == "Host is active again").count(), 1);
}

#[test]
fn the_servers_own_events_wait_until_they_can_be_written() {
    let mut bench = Bench::new(&["nas1"]);
    bench.writes = false;
    (2..200).for_each(|second| drop(bench.tick(second)));
    assert_eq!(bench.own_events(), [""; 0]);
    bench.writes = true;
    (200..210).for_each(|second| drop(bench.tick(second)));
    assert_eq!(bench.own_events(), ["Host is inactive"]);
}

#[test]
fn groups_that_a_classic_agent_cannot_have_are_reported_once_for_each_revision() {
    let mut bench = Bench::new(&["nas1"]);
    let extended = format!("{GOOD}file: |logread -f\nmatch: a\nalert_all: tags=B\n");
    bench.server.set_host_file(at(2), "nas1", "hosts/nas1", Ok(extended.into()));
    for second in [10, 20, 30] {
        assert!(bench.deliver(second, agent(1), "CONFREQ%%nas1").iter().any(|datagram| datagram.starts_with("CONFIG%%")));
    }
    assert_eq!(bench.own_events().len(), 1);
    assert!(bench.own_events()[0].starts_with("Configuration error: hosts/nas1:4: left out for nas1"), "{:?}", bench.own_events());
}

#[test]
fn datagrams_of_strangers_are_counted_and_logged_once_an_hour() {
    let mut bench = Bench::new(&[]);
    for second in 2..3700 {
        bench.deliver(second, agent(1), "BOGUS");
        bench.deliver(second, agent(1), "ACK%%5_1");
        bench.tick(second);
    }
    let line = |count: u64| format!("datagrams ignored since the start: {count} malformed, {count} unexpected");
    assert_eq!(bench.log, [line(1), line(3601)]);
}

#[test]
fn a_session_begins_only_with_a_later_cookie_than_that_of_the_current_one() {
    let mut bench = Bench::new(&["nas1"]);
    let early = bench.hello(2, agent(1), "nas1", Token(1));
    let late = bench.hello(2, agent(1), "nas1", Token(2));
    assert_eq!(bench.deliver(3, agent(1), &early).len(), 1);
    assert_eq!(bench.deliver(3, agent(1), &early).len(), 1, "a repeat is answered again");
    assert_eq!(bench.deliver(3, agent(1), &late).len(), 1);
    assert_eq!(bench.deliver(4, agent(1), &early), [""; 0], "a recorded JOIN does not restore a session");
    let revision = Revision::NONE;
    let alive = |run| Message::Alive { host: "nas1", run, revision, build: Build::default() }.to_string();
    assert!(bench.deliver(5, agent(1), &alive(Token(2)))[0].starts_with("STALE"));
    assert_eq!(bench.deliver(5, agent(1), &alive(Token(1))), ["LOST%%nas1"]);
    // The JOIN of a session that is over does not begin it again.
    bench.server.remove_host_file(at(6), "nas1");
    (6..30).for_each(|second| drop(bench.tick(second)));
    bench.server.set_host_file(at(30), "nas1", "hosts/nas1", Ok(GOOD.into()));
    assert_eq!(bench.deliver(31, agent(1), &late), [""; 0]);
}

#[test]
fn three_agents_with_one_name_are_reported_and_one_on_two_lans_is_not() {
    let mut bench = Bench::new(&["nas1"]);
    let turn = |bench: &mut Bench, number: u8, run: u8| {
        let join = bench.hello(2, agent(number), "nas1", Token(run.into()));
        bench.deliver(2, agent(number), &join);
    };
    for lan in [1, 2, 1, 2, 1] {
        turn(&mut bench, lan, 7);
        bench.deliver(2, agent(3 - lan), &format!("ALIVE%%nas1%%{}%%none", Token(7)));
    }
    assert_eq!(bench.own_events(), [""; 0]);
    (10..14).for_each(|number| turn(&mut bench, number, number % 3));
    bench.tick(3);
    assert_eq!(bench.own_events(), ["Host name is used by two agents at once, at 10.0.0.12 and 10.0.0.13"]);
}

#[test]
fn two_agents_with_one_name_do_not_learn_each_others_checkpoints() {
    let mut bench = Bench::new(&["nas1"]);
    let (one, other) = (Token(1), Token(2));
    let turn = |bench: &mut Bench, seconds, run| {
        let join = bench.hello(seconds, agent(1), "nas1", run);
        bench.deliver(seconds, agent(1), &join);
        bench.deliver(seconds, agent(1), "SEEK%%nas1%%5")
    };
    assert_eq!(turn(&mut bench, 2, one), ["AT%%nas1%%5%%none"]);
    bench.deliver(2, agent(1), "TAKE%%nas1%%5%%none%%1.0%%5%%1.1.1");
    // An agent that restarts continues at the checkpoint.
    assert_eq!(turn(&mut bench, 3, other), ["AT%%nas1%%5%%1.0%%5%%1.1.1"]);
    assert!(!bench.lines.0.iter().any(|line| line.contains("two agents")));
    assert_eq!(turn(&mut bench, 4, one), ["AT%%nas1%%5%%none"]);
    assert_eq!(turn(&mut bench, 5, other), ["AT%%nas1%%5%%none"]);
    let reports = bench.lines.0.iter().filter(|line| line.contains("Host name is used by two agents at once, at 10.0.0.1 and 10.0.0.1"));
    assert_eq!(reports.count(), 1);
    // Once the other agent has been silent for long enough, there is one agent again.
    assert_eq!(turn(&mut bench, 300, other), ["AT%%nas1%%5%%1.0%%5%%1.1.1"]);
}

#[test]
fn the_silence_of_a_host_explains_that_of_the_hosts_behind_it() {
    let mut bench = Bench::new(&["router", "nas", "web"]);
    for host in ["nas", "web"] {
        bench.server.set_host_file(at(1), host, host, Ok(format!("parent: router\n{GOOD}").into()));
    }
    for (second, host) in [(2, "router"), (3, "nas"), (4, "web")] {
        bench.deliver(second, agent(1), &format!("CONFREQ%%{host}"));
    }
    // The two that were heard later wait until it is certain that the router is silent too.
    (5..300).for_each(|second| drop(bench.tick(second)));
    let said = |bench: &Bench| -> Vec<String> {
        let words = |line: &String| line.split("%%").map(str::to_string).collect::<Vec<_>>();
        let parts = |words: Vec<String>| format!("{} {} {} {}", words[0], words[2], words[3], words[5]);
        bench.lines.0.iter().map(words).map(parts).collect()
    };
    let start = at(0).unix;
    assert_eq!(
        said(&bench),
        [
            format!("router {} SYSTEM Host is inactive", start + 182),
            format!("nas {} SYSTEM,BEHIND Host is inactive", start + 183),
            format!("web {} SYSTEM,BEHIND Host is inactive", start + 184),
            format!("router {} SYSTEM 2 hosts behind it are inactive too", start + 257),
        ]
    );
    bench.deliver(300, agent(1), "CONFREQ%%router");
    bench.deliver(310, agent(1), "CONFREQ%%nas");
    (310..600).for_each(|second| drop(bench.tick(second)));
    let later = &said(&bench)[4..];
    assert_eq!(
        later[..4],
        [
            format!("router {} SYSTEM Host is active again", start + 300),
            format!("router {} SYSTEM The hosts behind it count by themselves again", start + 300),
            format!("nas {} SYSTEM,BEHIND Host is active again", start + 310),
            format!("router {} SYSTEM Host is inactive", start + 480),
        ]
    );
    assert_eq!(later[4..].iter().filter(|event| event.contains("web")).count(), 0, "its parent is silent again before its time is over");
}

#[test]
fn only_the_agent_of_the_session_can_say_that_it_ends_and_it_is_silent_all_the_same() {
    let mut bench = Bench::new(&["nas1"]);
    let bye = |run| Message::Bye { host: "nas1", run: Token(run) }.to_string();
    bench.deliver(2, agent(1), &bye(1));
    bench.join(3, agent(1), "nas1");
    bench.deliver(4, agent(1), &bye(2));
    bench.deliver(4, agent(2), &bye(1));
    bench.tick(5);
    assert_eq!(bench.own_events(), [""; 0]);
    (0..3).for_each(|_| drop(bench.deliver(10, agent(1), &bye(1))));
    assert_eq!(bench.own_events(), ["Agent has stopped"]);
    assert_eq!(bench.server.status(at(11)).hosts[0].state, HostState::Stopped);
    (11..200).for_each(|second| drop(bench.tick(second)));
    assert_eq!(bench.own_events(), ["Agent has stopped", "Host is inactive"]);
    assert!(bench.lines.0[1].contains(&format!("%%{}%%", at(190).unix)), "{:?}", bench.lines.0);
}

#[test]
fn what_is_open_at_an_agent_is_open_at_the_server_until_an_event_or_a_position_says_otherwise() {
    let mut bench = Bench::new(&["nas1"]);
    bench.join(2, agent(1), "nas1");
    bench.deliver(2, agent(1), "TAKE%%nas1%%5%%none%%1.0%%5%%-");
    let event = |number: u32, class: &str, position: &str| {
        format!("EVENT%%nas1%%5%%1.{number}%%{position}%%7%%DISK%%NULL%%o.\nk{class}\n={number}%%text {number}")
    };
    let open = |bench: &Bench| -> Vec<String> {
        let status = bench.server.status(at(20));
        let mut open: Vec<_> = status.conditions.iter().map(|(host, key, open)| format!("{host} {key} {}", open.text)).collect();
        open.sort();
        open
    };
    bench.deliver(3, agent(1), &event(1, "limit;opened;k1", "-~k1"));
    bench.deliver(3, agent(1), &event(2, "limit;opened;k2", "-~k1~k2"));
    bench.deliver(3, agent(1), &event(3, "metric;;;4", "-~k1~k2"));
    assert_eq!(open(&bench), ["nas1 k1 text 1", "nas1 k2 text 2"]);
    assert_eq!(bench.server.status(at(20)).hosts[0].open, 2);
    bench.deliver(4, agent(1), &event(4, "limit;closed;k1", "-~k2"));
    assert_eq!(open(&bench), ["nas1 k2 text 2"]);
    // A condition that ends without an event is only gone from the position.
    bench.deliver(5, agent(1), "TAKE%%nas1%%5%%1.4%%1.4%%7%%-");
    assert_eq!(open(&bench), [""; 0]);
    // It may have opened and ended before the batch was sent.
    bench.deliver(6, agent(1), &event(5, "limit;opened;k3", "-"));
    assert_eq!(open(&bench), [""; 0]);
    bench.deliver(7, agent(1), &event(6, "limit;repeated;k4", "-~k4"));
    (8..200).for_each(|second| drop(bench.tick(second)));
    assert!(open(&bench).len() == 2 && open(&bench).iter().any(|open| open.ends_with("Host is inactive")), "{:?}", open(&bench));
    // That the host is silent is not said by positions.
    let Server { reports, chains, .. } = &mut bench.server;
    reports.conditions.retain("nas1", &chains.open_conditions("nas1"));
    assert_eq!(open(&bench).len(), 2);
    bench.join(200, agent(1), "nas1");
    bench.deliver(200, agent(1), "TAKE%%nas1%%5%%1.6%%1.6%%7%%-");
    assert_eq!(open(&bench), [""; 0]);
}
