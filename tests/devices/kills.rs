//! Both programs are killed repeatedly at random moments, while logs grow and rotate and three of ten datagrams are lost: every line
//! arrives once.
#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "tests live in the real world")]

use crate::harness::{pause, wait_for, Program, Site};
use crate::namespaces::{Network, BROADCAST};
use crate::numbered::{arrived, faults, rolled, stream, wait_for_lines, Log};
use project436::random::Random;
use std::fs;
use std::time::{Duration, Instant, UNIX_EPOCH};

const HOST: &str = "host";

/// One run of kills.
struct Ordeal {
    site: Site,
    network: Network,
    random: Random,
    server: Option<Program>,
    agent: Option<Program>,
    logs: [Log; 3],
    kills: [u32; 2],
    rotations: u32,
}

/// How a log is rotated; the order of [`Ordeal::logs`].
const TAGS: [&str; 3] = ["NEVER", "RENAME", "COPY_AND_TRUNCATE"];

impl Ordeal {
    /// `None` if the test cannot run here.
    fn new(test: &str, name: &str, settings: &str) -> Option<Self> {
        let network = Network::lossy(test, &["server", HOST], 30)?;
        let given = std::env::var("PROJECT436_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| UNIX_EPOCH.elapsed().unwrap().as_secs());
        eprintln!("{test}: PROJECT436_SEED={seed}");
        let site = Site::new(&format!("kills-{name}"));
        site.write("ax436.conf", &site.server_file(BROADCAST, settings));
        let logs = TAGS.map(|tags| Log::new(&site, tags));
        let mut ordeal = Self { site, network, random: Random::new(seed), server: None, agent: None, logs, kills: [0; 2], rotations: 0 };
        let rule = |log: &Log| format!("file: {}\nmatch: ^line\nalert_all: tags={}\n", log.path(log.tags).display(), log.tags);
        ordeal.site.host(HOST, &ordeal.logs.iter().map(rule).collect::<String>());
        ordeal.logs.iter().for_each(|log| log.write_text(log.tags, "an old entry\n"));
        ordeal.start();
        wait_for("the logs' beginnings", || {
            let begun = stream(&ordeal.site).iter().filter(|line| line.contains("Following ")).count();
            (begun == TAGS.len()).then_some(())
        });
        Some(ordeal)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random.bits() % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Starts what does not run.
    fn start(&mut self) {
        let Self { site, network, .. } = self;
        self.server.get_or_insert_with(|| network.server(site, "server", "ax436.conf"));
        self.agent.get_or_insert_with(|| network.agent(site, HOST, &[]));
    }

    /// Goes on for that long.
    fn go_on(&mut self, time: Duration) {
        let start = Instant::now();
        let mut next_kill = Duration::from_millis(500);
        while start.elapsed() < time {
            self.write();
            self.rotate();
            if start.elapsed() >= next_kill {
                self.kill();
                next_kill = start.elapsed() + Duration::from_millis(self.below(3000));
            } else if self.chance(10) {
                self.start();
            }
            // The next action happens at a random moment.
            pause(Duration::from_millis(1 + self.below(60)));
        }
        self.start();
    }

    fn write(&mut self) {
        for at in 0..self.logs.len() {
            if self.chance(20) {
                let most = if self.chance(1) { 300 } else { 5 };
                let count = 1 + u32::try_from(self.below(most)).unwrap();
                let log = &mut self.logs[at];
                log.write(log.tags, count);
            }
        }
    }

    fn rotate(&mut self) {
        let percent = 1;
        // After a rename, the file is missing until the next line.
        if self.chance(percent) && self.logs[1].path(TAGS[1]).exists() {
            self.make_room(1);
            let log = &self.logs[1];
            fs::rename(log.path(log.tags), log.path(&format!("{}.1", log.tags))).unwrap();
        }
        if self.chance(percent) {
            self.make_room(2);
            let log = &self.logs[2];
            fs::copy(log.path(log.tags), log.path(&format!("{}.1", log.tags))).unwrap();
            fs::OpenOptions::new().write(true).truncate(true).open(log.path(log.tags)).unwrap();
        }
    }

    /// Gives the rotated files of a log the next number.
    fn make_room(&mut self, at: usize) {
        self.rotations += 1;
        let log = &self.logs[at];
        let path = |number: u32| log.path(&format!("{}.{number}", log.tags));
        for number in (1..self.rotations).rev().filter(|number| path(*number).exists()) {
            fs::rename(path(number), path(number + 1)).unwrap();
        }
    }

    fn kill(&mut self) {
        let choice = self.below(3);
        if choice != 0 {
            self.kills[0] += u32::from(self.server.take().map(Program::kill).is_some());
        }
        if choice != 1 {
            self.kills[1] += u32::from(self.agent.take().map(Program::kill).is_some());
        }
    }

    /// Every line has arrived once.
    fn finish(mut self, least_kills: u32) -> Self {
        wait_for_lines(&self.site, &self.logs, Duration::from_secs(60));
        assert_eq!(self.agent.take().unwrap().terminate(), 0);
        assert_eq!(self.server.take().unwrap().terminate(), 0);
        let faults = faults(&self.logs, &arrived(&self.site));
        let lost = ["server", HOST].map(|host| self.network.lost(host));
        let lines: u32 = self.logs.iter().map(Log::count).sum();
        eprintln!("{lines} lines, {} rotations, kills {:?}, lost datagrams {lost:?}", self.rotations, self.kills);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        assert!(lost.iter().all(|lost| *lost > 0) && self.kills.iter().all(|kills| *kills >= least_kills) && self.rotations > 0);
        self
    }
}

#[test]
fn kills_at_random_moments_lose_and_repeat_nothing() {
    let settings = "event_stream_size: 100000000\n";
    let Some(mut ordeal) = Ordeal::new("kills_at_random_moments_lose_and_repeat_nothing", "classic", settings) else { return };
    ordeal.go_on(Duration::from_secs(60));
    ordeal.finish(5);
}

#[test]
fn kills_while_the_stream_is_json_lose_and_repeat_nothing() {
    let settings = "event_stream_size: 100000000\nevent_format: json\n";
    let Some(mut ordeal) = Ordeal::new("kills_while_the_stream_is_json_lose_and_repeat_nothing", "json", settings) else { return };
    ordeal.go_on(Duration::from_secs(30));
    let ordeal = ordeal.finish(2);
    assert!(stream(&ordeal.site).iter().all(|line| line.starts_with('{')));
}

#[test]
fn kills_while_the_stream_rolls_all_the_time_lose_and_repeat_nothing() {
    let settings = "event_stream_size: 20000\nevent_stream_keep: 1000\n";
    let test = "kills_while_the_stream_rolls_all_the_time_lose_and_repeat_nothing";
    let Some(mut ordeal) = Ordeal::new(test, "rolling", settings) else { return };
    ordeal.go_on(Duration::from_secs(30));
    let ordeal = ordeal.finish(2);
    assert!(rolled(&ordeal.site).len() > 5);
}
