//! No line is lost or repeated, whichever program is killed and whenever: the state machines over a bad network, with what survives on
//! disk.

#![allow(clippy::print_stderr, reason = "what a run measured")]

use crate::network::{announcement, for_each_seed, seconds, Conditions, World};
use std::collections::BTreeMap;
use std::time::Duration;

/// Rules for lines that match one of them, another, or both, and one that counts lines.
const RULES: &str = "file: /log/a\nmatch: even\nalert_all: tags=EVEN\nfile: /log/a\nmatch: third\nalert_all: tags=THIRD\n\
                     file: /log/b\nmatch: even\nalert_all: tags=B\nfile: /log/a\nmatch: third\nalert_count: tags=COUNT seconds=40\n";
/// The same in another order, and one more on the same log.
const MORE_RULES: &str = "file: /log/a\nmatch: third\nalert_count: tags=COUNT seconds=40\nfile: /log/b\nmatch: even\nalert_all: tags=B\nfile: /log/a\nmatch: third\nalert_all: tags=THIRD\n\
                          file: /log/a\nmatch: even\nalert_all: tags=EVEN\nfile: /log/a\nmatch: nothing\nalert_all: tags=NOTHING\n";

/// The written lines, and the events that they must make.
#[derive(Default)]
struct Lines {
    number: u64,
    expected: BTreeMap<String, Vec<String>>,
}

impl Lines {
    fn write(&mut self, world: &mut World, agent: usize) {
        self.number += 1;
        let number = self.number;
        let mut line = format!("line {number:05}");
        let path = if number % 5 == 0 { "/log/b" } else { "/log/a" };
        let (even, third) = (number % 2 == 0, number % 3 == 0);
        if even {
            line += " even";
        }
        if third {
            line += " third";
        }
        for (tags, matches) in [("EVEN", even && path == "/log/a"), ("THIRD", third && path == "/log/a"), ("B", even && path == "/log/b")] {
            if matches {
                self.expected.entry(tags.into()).or_default().push(line.clone());
            }
        }
        world.write_line(agent, path, &line);
    }

    fn check(&self, world: &World, server: usize) {
        let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut counted = 0;
        for record in world.servers[server].events("h").filter(|record| record.tags != "SYSTEM") {
            if record.tags == "COUNT" {
                counted += record.text.parse::<usize>().unwrap();
                continue;
            }
            seen.entry(record.tags.clone()).or_default().push(record.text.clone());
        }
        assert_eq!(counted, self.expected.get("THIRD").map_or(0, Vec::len), "every line is counted once");
        // Also in the order of the log: an event is accepted only after the one before it.
        for (tags, expected) in &self.expected {
            let seen = seen.remove(tags).unwrap_or_default();
            let differs = seen.iter().zip(expected).position(|(seen, expected)| seen != expected);
            let at = differs.unwrap_or(seen.len().min(expected.len()));
            assert_eq!(seen.get(at), expected.get(at), "{tags}, event {at} of {}", expected.len());
        }
        assert_eq!(seen, BTreeMap::new());
    }
}

/// An agent with logs that the server knows.
fn begun(seed: u64, conditions: Conditions) -> World {
    let mut world = World::new(seed, conditions);
    let server = world.add_server();
    let agent = world.add_agent("h");
    world.set_host_file(server, "h", RULES);
    let expected = announcement("h", RULES);
    world.run_until("the configuration is in force", seconds(300), |world| world.agents[agent].in_force().last() == Some(&&*expected));
    world.run_until("all is acknowledged", seconds(300), World::is_quiet);
    world
}

#[test]
fn every_line_arrives_once_whichever_program_is_killed() {
    let most = if cfg!(debug_assertions) { 60 } else { 10_000 };
    for_each_seed(most, |seed| {
        let mut world = begun(seed, Conditions::of(seed));
        let mut lines = Lines::default();
        for _ in 0..60 {
            match world.below(12) {
                0 => world.restart_agent(0),
                1 => world.restart_server(0),
                2 => {
                    world.restart_server(0);
                    world.restart_agent(0);
                }
                3 => {
                    world.servers[0].lose_snapshot();
                    world.restart_server(0);
                }
                4 => world.servers[0].disk_full ^= true,
                5 => world.servers[0].cut_off ^= true,
                6 => {
                    let rules = if world.below(2) == 0 { RULES } else { MORE_RULES };
                    world.set_host_file(0, "h", rules);
                }
                // A burst that does not find room in the outbox.
                7 if world.below(4) == 0 => (0..1000).for_each(|_| lines.write(&mut world, 0)),
                _ => (0..world.below(20)).for_each(|_| lines.write(&mut world, 0)),
            }
            let pause = Duration::from_millis(match world.below(3) {
                0 => world.below(10),
                1 => world.below(1000),
                _ => world.below(20_000),
            });
            world.run_for(pause);
        }
        (world.servers[0].disk_full, world.servers[0].cut_off) = (false, false);
        let logs = ["/log/a", "/log/b"].map(String::from);
        world.run_until("all is read and acknowledged", seconds(3600), |world| world.is_quiet() && world.agents[0].follows(&logs));
        // Until the block has ended in which lines were counted last.
        world.run_for(seconds(40));
        world.run_until("the last count is acknowledged", seconds(3600), World::is_quiet);
        lines.check(&world, 0);
    });
}

#[test]
fn a_server_that_returns_is_not_flooded() {
    const AGENTS: usize = 150;
    let mut world = World::new(1, Conditions::PERFECT);
    let server = world.add_server();
    for agent in 0..AGENTS {
        let host = format!("h{agent}");
        world.add_agent(&host);
        world.set_host_file(server, &host, "file: /log/a\nmatch: line\nalert_all: tags=T\n");
    }
    world.run_until("all is acknowledged", seconds(300), World::is_quiet);
    world.servers[server].cut_off = true;
    world.run_for(seconds(60));
    for agent in 0..AGENTS {
        (0..300).for_each(|number| world.write_line(agent, "/log/a", &format!("line {number:05}")));
    }
    world.run_for(seconds(600));
    let (sent, start) = (world.fate.sent, world.now().mono);
    world.servers[server].cut_off = false;
    let (mut most, mut before) = (0, sent);
    while !world.is_quiet() {
        assert!(world.now().mono - start < seconds(300), "not all events came in time");
        world.run_for(Duration::from_millis(100));
        most = most.max(world.fate.sent - before);
        before = world.fate.sent;
    }
    let events = world.servers[server].stream.iter().filter(|record| record.tags == "T").count();
    assert_eq!(events, AGENTS * 300);
    // Every event and its acknowledgement once, and the datagrams that agreeing on positions takes.
    let total = world.fate.sent - sent;
    eprintln!("{AGENTS} agents, {events} events: {total} datagrams, at most {most} in a tenth of a second");
    assert!(total < 3 * events as u64, "{total} datagrams for {events} events");
}
