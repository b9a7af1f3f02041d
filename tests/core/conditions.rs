//! Conditions over a bad network: what opens is told once and ends once, whichever program is killed, and every server hears of it.

use crate::network::{announcement, for_each_seed, seconds, Conditions, Record, World};
use project436::wire::{EventWord, Kind, State};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const RULES: &str =
    "run: command=@load extract=^(load) (\\S+)\nalert_if: tags=LOAD match=1,load upper_limit=2,5 until=3 repeat=0 message=High\n\
                     cleared: Low\nfile: /log/a\nmatch: bad\nalert_n: tags=BAD threshold=1 seconds=40 repeat=0 message=Many\ncleared: Few\n\
                     file: /log/a\nmatch: line\nalert_all: tags=LINE\n";

/// Two servers, of which the first is heard first, and an agent with a file of positions.
fn begun(seed: u64, servers: usize) -> World {
    let mut world = World::new(seed, Conditions::of(seed));
    for _ in 0..servers {
        world.add_server();
    }
    (1..servers).for_each(|server| world.servers[server].cut_off = true);
    let agent = world.add_agent("h");
    world.agents[agent].printed = "load 1\n".into();
    world.agents[agent].positions = (servers > 1).then(String::new);
    (0..servers).for_each(|server| world.set_host_file(server, "h", RULES));
    let expected = announcement("h", RULES);
    world.run_until("the configuration is in force", seconds(300), |world| world.agents[agent].in_force().last() == Some(&&*expected));
    world.run_until("all is acknowledged", seconds(300), World::is_quiet);
    world.servers.iter_mut().for_each(|server| server.cut_off = false);
    world
}

/// The events of an agent in one stream or several, each once by its uid.
fn told(world: &World, servers: &[usize]) -> Vec<(Record, String, Option<State>)> {
    let (mut uids, mut told) = (BTreeSet::new(), Vec::new());
    for server in servers {
        for record in world.servers[*server].events("h") {
            let word = EventWord::parse(&record.uid).unwrap_or_else(|| panic!("{record:?}"));
            assert!(word.kind.is_some(), "{record:?}");
            assert_eq!(word.kind == Some(Kind::System), record.tags == "SYSTEM");
            assert_eq!(word.key.is_some(), word.state.is_some());
            if uids.insert(word.uid.to_string()) {
                told.push((record.clone(), word.key.unwrap_or_default().to_string(), word.state));
            }
        }
    }
    told
}

/// The states of each condition, a letter each, in the order in which they were told.
fn states(told: &[(Record, String, Option<State>)]) -> BTreeMap<(String, String), String> {
    let mut states: BTreeMap<_, String> = BTreeMap::new();
    for (record, key, state) in told.iter().filter(|(.., state)| state.is_some()) {
        let expected = match (record.tags.as_str(), state) {
            ("LOAD", Some(State::Closed)) => &["Low", "Lower"][..],
            ("LOAD", _) => &["High", "Higher"],
            (_, Some(State::Closed)) => &["Few"],
            _ => &["Many"],
        };
        assert!(expected.contains(&&*record.text), "{record:?}");
        *states.entry((record.tags.clone(), key.clone())).or_default() += &state.unwrap().as_str()[..1];
    }
    states
}

fn heal(world: &mut World) {
    for server in &mut world.servers {
        (server.disk_full, server.cut_off) = (false, false);
    }
    world.agents[0].printed = "load 1\n".into();
    // A server was silent for so long that another one is selected, and a command has run.
    world.run_for(seconds(180));
    world.run_until("all is told", seconds(3600), World::is_quiet);
}

#[test]
fn a_condition_is_told_once_when_it_opens_and_once_when_it_ends_whichever_program_is_killed() {
    let most = if cfg!(debug_assertions) { 30 } else { 3000 };
    let closed = Cell::new(0);
    for_each_seed(most, |seed| {
        let mut world = begun(seed, 1);
        for _ in 0..80 {
            let action = world.below(12);
            match action {
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
                    // An edit of the texts ends nothing.
                    let edited = RULES.replace("High", "Higher").replace("Low", "Lower");
                    let rules = if world.below(2) == 0 { RULES.to_string() } else { edited };
                    world.set_host_file(0, "h", &rules);
                }
                7 | 8 => (0..3).for_each(|_| world.write_line(0, "/log/a", "bad")),
                _ => world.agents[0].printed = format!("load {}\n", world.below(10)),
            }
            let pause = Duration::from_millis(match world.below(3) {
                0 => world.below(10),
                1 => world.below(1000),
                _ => world.below(80_000),
            });
            world.run_for(pause);
        }
        heal(&mut world);
        for (condition, states) in states(&told(&world, &[0])) {
            assert_eq!(states, "oc".repeat(states.len() / 2), "{condition:?}");
            closed.set(closed.get() + states.len() / 2);
        }
    });
    assert!(closed.get() > 60, "{} conditions", closed.get());
}

#[test]
fn what_one_server_was_told_another_is_told_by_the_same_uids_and_nothing_is_missing() {
    let most = if cfg!(debug_assertions) { 20 } else { 2000 };
    for_each_seed(most, |seed| {
        let mut world = begun(seed, 2);
        let mut lines = Vec::new();
        for _ in 0..40 {
            let one = usize::try_from(world.below(2)).unwrap();
            match world.below(8) {
                0 => world.restart_agent(0),
                // Both at once: the server stays away for a while.
                1 => {
                    world.servers[one].cut_off = true;
                    world.restart_server(one);
                    world.restart_agent(0);
                }
                2 | 3 => {
                    world.servers[one].cut_off ^= true;
                    world.servers[1 - one].cut_off = false;
                }
                4 => world.agents[0].printed = format!("load {}\n", world.below(10)),
                _ => {
                    for _ in 0..world.below(20) {
                        lines.push(format!("line {:05}", lines.len()));
                        world.write_line(0, "/log/a", lines.last().unwrap());
                    }
                }
            }
            let pause = world.below(40_000);
            world.run_for(Duration::from_millis(pause));
        }
        heal(&mut world);
        let told = told(&world, &[0, 1]);
        let mut seen: Vec<&str> = told.iter().filter(|(record, ..)| record.tags == "LINE").map(|(record, ..)| &*record.text).collect();
        seen.sort_unstable();
        assert_eq!(seen, lines);
    });
}

#[test]
fn a_new_server_is_told_what_is_open_by_the_uid_that_the_first_was_told() {
    for_each_seed(5, |seed| {
        let mut world = begun(seed, 2);
        world.agents[0].printed = "load 9\n".into();
        (0..3).for_each(|_| world.write_line(0, "/log/a", "bad"));
        world.run_for(seconds(130));
        world.run_until("all is told", seconds(600), World::is_quiet);
        world.servers[0].cut_off = true;
        world.run_for(seconds(120));
        world.run_until("the other server has all", seconds(600), World::is_quiet);
        let opened = |server| {
            let told = told(&world, &[server]);
            let opened = told.into_iter().filter(|(.., state)| *state == Some(State::Opened));
            opened
                .map(|(record, key, _)| (record.uid.split('@').next().unwrap().to_string(), record.unix, key, record.text))
                .collect::<Vec<_>>()
        };
        let first = opened(0);
        // The other condition has ended meanwhile, and nobody need hear of it.
        let still_open: Vec<_> = first.iter().filter(|(.., text)| text == "High").cloned().collect();
        assert_eq!((first.len(), still_open.len()), (2, 1));
        assert_eq!(opened(1), still_open);
    });
}
