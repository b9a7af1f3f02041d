//! No line is lost or repeated, whatever happens to the logs (rotations.rs) while something happens to the programs or the network.
//! Each test is a column of that matrix, and all rows go through it.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{wait_for, Program, Site, SPEED, TIMEOUT};
use crate::namespaces::{Network, BROADCAST};
use crate::numbered::{arrived, faults, wait_for_lines, Log};
use crate::rotations::{Rotation, Row};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

const HOST: &str = "host";

/// A server and an agent that follows a log for each row of the matrix.
struct Column {
    site: Site,
    network: Option<Network>,
    server: Option<Program>,
    agent: Option<Program>,
    rows: Vec<Row>,
}

/// The program that something happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Agent,
    Server,
}

impl Column {
    fn new(name: &str, network: Option<Network>, lines: u32) -> Self {
        let site = Site::new(&format!("faults-{name}"));
        let broadcast = if network.is_some() { BROADCAST } else { "127.255.255.255" };
        site.write("ax436.conf", &site.server_file(broadcast, "event_stream_size: 100000000\n"));
        let rows: Vec<Row> = Rotation::ALL.iter().map(|rotation| Row::new(&site, *rotation, lines)).collect();
        site.append("clock", "");
        let clock = format!("file: {}\nmatch: tick\nalert_all: tags=CLOCK\n", site.file("clock"));
        site.host(HOST, &(rows.iter().map(|row| row.rule()).collect::<String>() + &clock));
        let mut column = Self { site, network, server: None, agent: None, rows };
        column.start(Victim::Server);
        column.start(Victim::Agent);
        column.site.wait_for_configuration(HOST, 1);
        // From here on, the start of every log is known.
        column.site.settle();
        column.write();
        column.wait_for_lines();
        column
    }

    fn start(&mut self, which: Victim) {
        match (which, &self.network) {
            (Victim::Server, None) => self.server = Some(self.site.server()),
            (Victim::Agent, None) => self.agent = Some(self.site.agent(HOST, &[])),
            (Victim::Server, Some(network)) => self.server = Some(network.server(&self.site, "server", "ax436.conf")),
            (Victim::Agent, Some(network)) => self.agent = Some(network.agent(&self.site, HOST, &[])),
        }
    }

    fn program(&mut self, which: Victim) -> &mut Option<Program> {
        match which {
            Victim::Server => &mut self.server,
            Victim::Agent => &mut self.agent,
        }
    }

    fn write(&mut self) {
        self.rows.iter_mut().for_each(Row::write);
    }

    fn write_unread(&mut self) {
        self.rows.iter_mut().for_each(|row| row.write_unread(self.agent.as_ref()));
    }

    fn rotate(&mut self) {
        self.rows.iter_mut().for_each(|row| row.rotate(self.agent.as_ref()));
    }

    fn write_late(&mut self) {
        let agent = self.agent.as_ref().unwrap();
        self.rows.iter_mut().for_each(|row| row.write_late_to(agent));
    }

    fn end_lines(&mut self) {
        self.rows.iter_mut().for_each(Row::end_line);
    }

    /// Waits for every line that was written. Missing lines are reported at the end, for all rows.
    fn wait_for_lines(&mut self) {
        self.end_lines();
        wait_for_lines(&self.site, self.rows.iter().map(|row| &row.log), TIMEOUT / 2);
    }

    /// Writes lines and leaves their events under way: the server is stopped until a program is ended.
    fn in_flight(&mut self, write: impl FnOnce(&mut Self)) {
        self.server.as_ref().unwrap().signal("STOP");
        write(self);
        wait_for("events on their way", || (waiting_bytes(self.site.port + 1)? > 0).then_some(()));
    }

    /// Ends a program by that signal. A stopped server continues once the program has its signal.
    fn end(&mut self, which: Victim, signal: &str) -> u32 {
        let program = self.program(which).take().unwrap();
        let id = program.id();
        if signal == "KILL" {
            program.kill();
        } else {
            program.signal(signal);
            if which == Victim::Server {
                program.signal("CONT");
            }
            assert_eq!(program.terminate(), 0);
        }
        self.server.iter().for_each(|server| server.signal("CONT"));
        id
    }

    /// Both orders: first the logs rotate while the program is down, then the program goes down after they have rotated.
    fn restart(mut self, which: Victim, signal: &str, away: Duration) {
        self.in_flight(|column| {
            let holder = column.agent.as_ref().filter(|_| which == Victim::Server);
            column.rows.iter_mut().for_each(|row| row.write_unread(holder));
        });
        let first = self.end(which, signal);
        self.write_unread();
        self.rotate();
        self.wait_away(which, away);
        self.start(which);
        assert_ne!(self.program(which).as_ref().unwrap().id(), first);
        self.write();
        self.wait_for_lines();
        if away.is_zero() {
            self.write_late();
        }
        self.wait_for_lines();

        self.rotate();
        self.in_flight(Self::write);
        let second = self.end(which, signal);
        self.write();
        self.wait_away(which, away);
        self.start(which);
        assert_ne!(self.program(which).as_ref().unwrap().id(), second);
        self.write();
        self.finish();
    }

    /// Waits until the other program must have noticed.
    fn wait_away(&self, which: Victim, away: Duration) {
        if away.is_zero() {
            return;
        }
        assert_eq!(which, Victim::Server);
        let agent = self.agent.as_ref().unwrap();
        let start = Instant::now();
        let silences = agent.log_text().matches("the server is silent: deselected").count();
        let silence = || agent.log_text().matches("the server is silent: deselected").count() > silences;
        wait_for("an agent without a server", || (silence() && start.elapsed() > away).then_some(()));
    }

    /// Rotates the logs while both programs run: when all lines are read, and when some are not.
    fn rotate_live(&mut self) {
        self.rotate();
        self.wait_for_lines();
        self.write_late();
        self.wait_for_lines();
        self.write_unread();
        self.rotate();
        self.write();
    }

    /// Every line has arrived once, in every row.
    fn finish(&mut self) {
        self.wait_for_lines();
        self.site.settle();
        let faults = faults(self.rows.iter().map(|row| &row.log), &arrived(&self.site));
        assert!(faults.is_empty(), "{} of {} rows:\n{}", faults.len(), self.rows.len(), faults.join("\n"));
    }
}

/// How many bytes wait to be read by the program that has that UDP port.
fn waiting_bytes(port: u16) -> Option<u64> {
    let table = fs::read_to_string("/proc/net/udp").unwrap();
    let mut sockets = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let fields = sockets.find(|fields| fields[1].ends_with(&format!(":{port:04X}")))?;
    u64::from_str_radix(fields[4].split_once(':')?.1, 16).ok()
}

#[test]
fn rotations_lose_and_repeat_nothing() {
    let mut column = Column::new("nothing", None, 30);
    column.rotate_live();
    column.finish();
}

#[test]
fn rotations_and_a_restart_of_the_agent_lose_and_repeat_nothing() {
    Column::new("agent-term", None, 10).restart(Victim::Agent, "TERM", Duration::ZERO);
}

#[test]
fn rotations_and_a_killed_agent_lose_and_repeat_nothing() {
    Column::new("agent-kill", None, 10).restart(Victim::Agent, "KILL", Duration::ZERO);
}

#[test]
fn rotations_and_a_restart_of_the_server_lose_and_repeat_nothing() {
    Column::new("server-term", None, 10).restart(Victim::Server, "TERM", Duration::ZERO);
}

#[test]
fn rotations_and_a_killed_server_lose_and_repeat_nothing() {
    Column::new("server-kill", None, 10).restart(Victim::Server, "KILL", Duration::ZERO);
}

#[test]
fn rotations_and_a_server_that_is_away_for_a_minute_lose_and_repeat_nothing() {
    // So many lines that the agent stops reading, and the lines wait in the logs.
    Column::new("server-away", None, 30).restart(Victim::Server, "KILL", Duration::from_secs(60) / SPEED);
}

#[test]
fn rotations_while_three_datagrams_of_ten_get_lost_lose_and_repeat_nothing() {
    const TEST: &str = "rotations_while_three_datagrams_of_ten_get_lost_lose_and_repeat_nothing";
    let Some(network) = Network::lossy(TEST, &["server", HOST], 30) else { return };
    let mut column = Column::new("loss", Some(network), 10);
    let lost = |column: &Column| ["server", HOST].map(|host| column.network.as_ref().unwrap().lost(host));
    let before = lost(&column);
    column.rotate_live();
    column.finish();
    assert!(lost(&column).iter().zip(before).all(|(after, before)| *after > before), "nothing was lost");
}

/// Nobody can read a line that is only in a compressed file: the agent reports that lines may be missing, and the others arrive.
#[test]
fn lines_that_vanish_before_they_are_read_are_reported() {
    let site = Site::new("faults-gone");
    site.write("ax436.conf", &site.server_file("127.255.255.255", "event_stream_size: 100000000\n"));
    let mut logs = ["OVERWRITTEN", "REMOVED", "COMPRESSED", "CUT_LIVE"].map(|tags| Log::new(&site, tags));
    let name = |log: &Log| format!("{}.log", log.tags);
    let path = |log: &Log| log.path(&name(log));
    logs.iter().for_each(|log| log.write_text(&name(log), &"an old entry\n".repeat(30)));
    let rule = |log: &Log| format!("file: {}\nmatch: ^line\nalert_all: tags={}\n", path(log).display(), log.tags);
    site.host(HOST, &logs.iter().map(rule).collect::<String>());
    let (server, agent) = (site.server(), site.agent(HOST, &[]));
    site.wait_for_configuration(HOST, 1);
    wait_for("the logs' beginnings", || {
        (site.events().iter().filter(|event| event.text.starts_with("Following ")).count() == 4).then_some(())
    });
    logs.iter_mut().for_each(|log| log.write(&name(log), 10));
    wait_for_lines(&site, &logs, TIMEOUT);
    let reports =
        |log: &Log| site.texts("SYSTEM").iter().filter(|text| text.contains(&name(log)) && !text.starts_with("Following")).count();

    // While nobody looks.
    assert_eq!(agent.terminate(), 0);
    let [overwritten, removed, compressed, live] = &mut logs;
    for log in [&mut *overwritten, &mut *removed, &mut *compressed] {
        log.write_in_vain(&name(log), 10);
    }
    fs::write(path(overwritten), "").unwrap();
    fs::remove_file(path(removed)).unwrap();
    fs::rename(path(compressed), compressed.path("COMPRESSED.log.1")).unwrap();
    assert!(Command::new("gzip").arg(compressed.path("COMPRESSED.log.1")).status().unwrap().success());
    assert!(!compressed.path("COMPRESSED.log.1").exists() && !path(removed).exists());
    for log in [&mut *overwritten, &mut *removed, &mut *compressed] {
        log.write(&name(log), 40);
    }
    let agent = site.agent(HOST, &[]);
    for (log, text) in [(&*overwritten, "lines may be missing"), (removed, "lines may be missing"), (compressed, "only compressed files")] {
        wait_for_lines(&site, [log], TIMEOUT);
        assert_eq!(
            (reports(log), site.wait_for_text(&format!("{} is gone", path(log).display())).text.contains(text)),
            (1, true),
            "{}",
            log.tags
        );
    }

    // While the agent has no room for the lines.
    server.kill();
    live.write(&name(live), 5000);
    wait_for("an agent without a server", || agent.log_text().contains("the server is silent: deselected").then_some(()));
    fs::write(path(live), "").unwrap();
    live.write(&name(live), 10);
    let _server = site.server();
    let report = site.wait_for_text("were cut from the file").text;
    assert!(report.contains(&name(live)), "{report}");
    wait_for("the last line", || arrived(&site).get(live.tags)?.contains_key(&5020).then_some(()));
    let numbers: Vec<u32> = arrived(&site)[live.tags]
        .iter()
        .map(|(number, times)| {
            assert_eq!(*times, 1);
            *number
        })
        .collect();
    let gap = numbers.windows(2).position(|two| two[1] != two[0] + 1).unwrap();
    assert!((200..4000).contains(&numbers[gap]) && numbers[gap + 1..] == (5011..=5020).collect::<Vec<_>>(), "{numbers:?}");
    assert_eq!(faults(&logs[..3], &arrived(&site)), [""; 0]);
}

/// An agent with a fixed server looks for it long before it starts. The agent must not conclude that the server keeps no positions.
#[test]
fn an_agent_that_is_started_long_before_its_server_continues_where_it_stopped() {
    let site = Site::new("faults-before");
    let mut log = Log::new(&site, "LINE");
    log.write_text("log", "an old entry\n");
    site.host(HOST, &format!("file: {}\nmatch: ^line\nalert_all: tags=LINE\n", log.path("log").display()));
    let (server, agent) = (site.server(), site.agent(HOST, &["-s", "127.0.0.1"]));
    site.wait_for_text("Following ");
    log.write("log", 10);
    assert!(wait_for_lines(&site, [&log], TIMEOUT));
    server.kill();
    agent.kill();
    log.write("log", 10);
    let _agent = site.agent(HOST, &["-s", "127.0.0.1"]);
    let start = Instant::now();
    wait_for("half a minute of its clock", || (start.elapsed() > Duration::from_secs(30) / SPEED).then_some(()));
    log.write("log", 10);
    let _server = site.server();
    assert!(wait_for_lines(&site, [&log], TIMEOUT / 2), "{:?}", faults([&log], &arrived(&site)));
    assert_eq!(faults([&log], &arrived(&site)), [""; 0]);
}
