//! What holds for the protocol over a network that loses, repeats, delays and reorders datagrams.

use crate::network::{announcement, for_each_seed, seconds, Conditions, Record, World, PORT, START};
use std::collections::BTreeSet;
use std::time::Duration;

/// A host file with rules on so many logs.
fn host_file(rules: usize, tag: &str) -> String {
    paths(rules, tag).iter().map(|path| format!("file: {path}\nmatch: error\nalert_all: tags={tag}\n")).collect()
}

fn paths(rules: usize, tag: &str) -> Vec<String> {
    (0..rules).map(|rule| format!("/var/log/{tag}/{rule}.log")).collect()
}

/// How long a configuration may take to arrive: 5 s without losses, and otherwise as long as repeated announcements and requests take.
fn timeout(world: &World) -> Duration {
    if world.conditions().is_lossless() && world.conditions().delay < seconds(1) {
        seconds(5)
    } else {
        seconds(90)
    }
}

fn wait_for_configuration(world: &mut World, limit: Duration, agent: usize, text: &str) {
    let expected = announcement(&world.agents[agent].host, text);
    world.run_until("the configuration is in force", limit, |world| world.agents[agent].in_force().last() == Some(&&*expected));
}

/// One server with a host file of one rule for each of so many agents, all in force.
fn configured(seed: u64, conditions: Conditions, agents: usize) -> World {
    let mut world = World::new(seed, conditions);
    world.add_server();
    for agent in 0..agents {
        let host = format!("host{agent}");
        world.add_agent(&host);
        world.set_host_file(0, &host, &host_file(1, &host));
    }
    for agent in 0..agents {
        wait_for_configuration(&mut world, seconds(90), agent, &host_file(1, &format!("host{agent}")));
    }
    world
}

/// Appends to the log that [`configured`] has an agent follow.
fn log(world: &mut World, agent: usize, line: &str) {
    world.write_line(agent, &format!("/var/log/host{agent}/0.log"), line);
}

fn texts(world: &World, server: usize, agent: usize) -> Vec<String> {
    let tag = format!("host{agent}");
    world.servers[server].events(&tag).filter(|record| record.tags == tag).map(|record| record.text.clone()).collect()
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

/// Runs until every event is acknowledged, and checks that the stream has each.
fn settle_events(world: &mut World) {
    world.run_until("every event is acknowledged", seconds(900), World::is_quiet);
    for node in &world.agents {
        let written: BTreeSet<_> = world.servers.iter().flat_map(|server| server.events(&node.host)).map(Record::content).collect();
        assert_eq!(node.contents(), written, "{}", node.host);
        let forgotten: Vec<_> = node.contents().difference(&node.acknowledged()).cloned().collect();
        assert_eq!(forgotten, [], "{}: forgotten without an acknowledgement", node.host);
    }
}

#[test]
fn every_event_arrives_once() {
    for_each_seed(108, |seed| {
        let mut world = configured(seed, Conditions::of(seed), 3);
        let mut lines = vec![Vec::new(); 3];
        for number in 0..60 {
            let agent = usize::try_from(world.below(3)).unwrap();
            let line = format!("error {number:04}");
            log(&mut world, agent, &line);
            lines[agent].push(line);
            let pause = Duration::from_millis(world.below(1000));
            world.run_for(pause);
        }
        settle_events(&mut world);
        for (agent, lines) in lines.into_iter().enumerate() {
            assert_eq!(sorted(texts(&world, 0, agent)), lines);
        }
        let Conditions { loss, duplication, delay } = world.conditions();
        let fate = world.fate;
        assert_eq!((loss > 0, duplication > 0, delay > Conditions::PERFECT.delay), (fate.lost > 0, fate.doubled > 0, fate.overtaken > 0));
    });
}

#[test]
fn a_burst_beyond_the_queue_waits_in_the_log_and_arrives_whole() {
    for_each_seed(9, |seed| {
        let mut world = configured(seed, Conditions::of(seed), 1);
        let lines: Vec<String> = (0..2000).map(|number| format!("error {number:04}")).collect();
        log(&mut world, 0, &lines.join("\n"));
        settle_events(&mut world);
        assert_eq!(sorted(texts(&world, 0, 0)), lines);
    });
}

#[test]
fn more_rules_on_one_log_than_the_queue_holds_all_make_their_events() {
    let mut world = World::new(0, Conditions::PERFECT);
    world.add_server();
    world.add_agent("host0");
    let file: String = (0..300).map(|rule| format!("file: /var/log/host0/0.log\nmatch: error\nalert_all: tags=T{rule}\n")).collect();
    world.set_host_file(0, "host0", &file);
    wait_for_configuration(&mut world, seconds(90), 0, &file);
    (0..5).for_each(|number| log(&mut world, 0, &format!("error {number}")));
    settle_events(&mut world);
    assert_eq!(world.servers[0].events("host0").filter(|record| record.tags.starts_with('T')).count(), 5 * 300);
}

#[test]
fn a_configuration_of_many_datagrams_arrives_whole() {
    for_each_seed(27, |seed| {
        let mut world = World::new(seed, Conditions::of(seed));
        world.add_server();
        world.add_agent("large");
        let file = host_file(400, "large");
        assert!(file.len() > 20 * 1200);
        world.set_host_file(0, "large", &file);
        wait_for_configuration(&mut world, seconds(120), 0, &file);
        assert!(world.agents[0].follows(&paths(400, "large")));
    });
}

#[test]
fn an_agent_ends_with_the_last_of_many_configurations() {
    for_each_seed(54, |seed| {
        let mut world = configured(seed, Conditions::of(seed), 2);
        for change in 0..6 {
            let rules = if change % 2 == 0 { 200 } else { 2 };
            world.set_host_file(0, "host0", &host_file(rules, &format!("change{change}")));
            let pause = Duration::from_millis(world.below(4000));
            world.run_for(pause);
        }
        let limit = timeout(&world);
        wait_for_configuration(&mut world, limit, 0, &host_file(2, "change5"));
        assert!(world.agents[0].follows(&paths(2, "change5")));
        world.run_for(seconds(200));
        assert_eq!(world.agents[0].in_force().last(), Some(&&*announcement("host0", &host_file(2, "change5"))), "it stays");
        assert_eq!(world.agents[1].in_force().len(), 1, "the other host's configuration did not change");
    });
}

#[test]
fn a_host_file_that_appears_later_comes_into_force() {
    for_each_seed(27, |seed| {
        let mut world = World::new(seed, Conditions::of(seed));
        world.add_server();
        world.add_agent("late");
        world.run_until("the agent knows that it has no file", seconds(90), |world| {
            world.agents[0].in_force() == ["Configuration none in force: 0 rules"]
        });
        world.set_host_file(0, "late", &host_file(3, "late"));
        let limit = timeout(&world);
        wait_for_configuration(&mut world, limit, 0, &host_file(3, "late"));
        settle_events(&mut world);
    });
}

#[test]
fn the_first_server_that_is_heard_stays_selected() {
    for_each_seed(27, |seed| {
        let mut world = configured(seed, Conditions::of(seed), 3);
        let second = world.add_server();
        (0..3).for_each(|agent| world.set_host_file(second, &format!("host{agent}"), &host_file(1, "second")));
        for number in 0..30 {
            log(&mut world, number % 3, &format!("error {number:04}"));
            world.run_for(seconds(10));
        }
        settle_events(&mut world);
        let first = world.servers[0].address;
        assert!(world.agents.iter().all(|node| node.alerts.iter().all(|(_, to, _)| *to == first)));
        assert_eq!(world.servers[second].stream, [], "and the second is told that the hosts live");
    });
}

#[test]
fn after_thirty_seconds_of_silence_waiting_events_go_to_another_server() {
    for_each_seed(54, |seed| {
        let mut world = configured(seed, Conditions::of(seed), 3);
        let second = world.add_server();
        (0..3).for_each(|agent| world.set_host_file(second, &format!("host{agent}"), &host_file(1, &format!("host{agent}"))));
        world.run_for(seconds(20));
        let configurations: Vec<usize> = world.agents.iter().map(|node| node.in_force().len()).collect();
        world.servers[0].cut_off = true;
        for number in 0..40 {
            log(&mut world, number % 3, &format!("error {number:04}"));
            world.run_for(seconds(2));
        }
        settle_events(&mut world);
        for (agent, configurations) in configurations.into_iter().enumerate() {
            let expected: Vec<_> = (0..40).filter(|number| number % 3 == agent).map(|number| format!("error {number:04}")).collect();
            assert_eq!(sorted(texts(&world, second, agent)), expected);
            let address = world.servers[second].address;
            let moved = world.agents[agent].alerts.iter().find(|(_, to, _)| *to == address).unwrap().0;
            let silence = moved - world.agents[agent].heard[&world.servers[0].address];
            // Then a handshake of two rounds, repeated where it was lost, and the next event.
            let handshake = if world.conditions().is_lossless() { 5 * world.conditions().delay + seconds(6) } else { seconds(120) };
            assert!((seconds(30)..=seconds(30) + handshake).contains(&silence), "{silence:?}");
            assert_eq!(world.agents[agent].in_force().len(), configurations, "the configuration is the same");
        }
        // The first is back, but the second stays selected.
        world.servers[0].cut_off = false;
        let before: Vec<usize> = world.agents.iter().map(|node| node.alerts.len()).collect();
        world.run_for(seconds(60));
        (0..3).for_each(|agent| log(&mut world, agent, "error again"));
        settle_events(&mut world);
        let address = world.servers[second].address;
        for (node, before) in world.agents.iter().zip(before) {
            assert!(node.alerts.len() > before && node.alerts[before..].iter().all(|(_, to, _)| *to == address));
        }
    });
}

#[test]
fn agents_rejoin_a_server_that_was_restarted() {
    for_each_seed(54, |seed| {
        let mut world = configured(seed, Conditions::of(seed), 3);
        for round in 0..3 {
            (0..3).for_each(|agent| log(&mut world, agent, &format!("error before {round}")));
            let pause = Duration::from_millis(world.below(3000));
            world.run_for(pause);
            world.restart_server(0);
            (0..3).for_each(|agent| log(&mut world, agent, &format!("error after {round}")));
            world.run_for(seconds(15));
        }
        world.run_until("a session with each run", seconds(60), |world| world.agents[0].joined.len() >= 3);
        settle_events(&mut world);
        let mut expected: Vec<_> = (0..3).flat_map(|round| [format!("error after {round}"), format!("error before {round}")]).collect();
        expected.sort();
        for agent in 0..3 {
            // An event that was written and not acknowledged before the restart is not written again.
            assert_eq!(sorted(texts(&world, 0, agent)), expected);
        }
        world.set_host_file(0, "host1", &host_file(2, "changed"));
        let limit = timeout(&world);
        wait_for_configuration(&mut world, limit, 1, &host_file(2, "changed"));
    });
}

#[test]
fn nothing_is_acknowledged_while_the_stream_cannot_be_written() {
    for_each_seed(54, |seed| {
        let mut world = configured(seed, Conditions::of(seed), 2);
        settle_events(&mut world);
        world.servers[0].disk_full = true;
        let (acknowledged, written) = (world.servers[0].acknowledged.len(), world.servers[0].stream.len());
        let lines: Vec<String> = (0..20).map(|number| format!("error {number:04}")).collect();
        for line in &lines {
            log(&mut world, 0, line);
            world.run_for(seconds(5));
        }
        let attempts = world.agents[0].alerts.len();
        // A repeat of an acknowledged event may be acknowledged again, but no new event.
        let news: BTreeSet<&String> = world.servers[0].acknowledged[acknowledged..].iter().map(|(_, uid)| uid).collect();
        let before: BTreeSet<&String> = world.servers[0].acknowledged[..acknowledged].iter().map(|(_, uid)| uid).collect();
        assert!(news.is_subset(&before) && attempts > lines.len(), "{news:?}");
        assert_eq!(world.servers[0].stream.len(), written);
        world.servers[0].disk_full = false;
        settle_events(&mut world);
        assert_eq!(sorted(texts(&world, 0, 0)), lines);
    });
}

#[test]
fn a_live_host_is_never_called_inactive() {
    for_each_seed(27, |seed| {
        let mut world = configured(seed, Conditions::of(seed), 2);
        let second = world.add_server();
        (0..2).for_each(|agent| world.set_host_file(second, &format!("host{agent}"), &host_file(1, &format!("host{agent}"))));
        world.run_for(seconds(3600));
        for server in &world.servers {
            let own: Vec<_> = server.own_events("host0").chain(server.own_events("host1")).collect();
            assert_eq!(own, [], "{}", server.address);
        }
        let idle = world.servers[0].stream.iter().filter(|record| record.text == "Idle").count();
        assert_eq!(idle, 0, "signs of life do not fill the stream");
    });
}

#[test]
fn a_dead_host_is_called_inactive_once_then_reminded_of_then_active_again() {
    for_each_seed(27, |seed| {
        let mut world = configured(seed, Conditions::of(seed), 2);
        settle_events(&mut world);
        world.agents[1].cut_off = true;
        let died = world.now().mono;
        world.run_for(seconds(180 + 2 * 1800 + 300));
        let own: Vec<(Duration, &str)> = world.servers[0].own_events("host1").collect();
        assert_eq!(own.iter().map(|(_, text)| *text).collect::<Vec<_>>(), ["Host is inactive"; 3]);
        // Its last keepalive is up to a minute older, or was on its way.
        let after = own[0].0 - died;
        assert!((seconds(100)..=seconds(185)).contains(&after), "{after:?}");
        for pair in own.windows(2) {
            let between = pair[1].0 - pair[0].0;
            assert!((seconds(1800)..=seconds(1802)).contains(&between), "{between:?}");
        }
        world.agents[1].cut_off = false;
        world.run_until("it is active again", seconds(200), |world| world.servers[0].own_events("host1").count() > 3);
        log(&mut world, 1, "error of the living");
        settle_events(&mut world);
        world.run_for(seconds(600));
        let own: Vec<&str> = world.servers[0].own_events("host1").map(|(_, text)| text).skip(3).collect();
        assert_eq!(own, ["Host is active again"]);
        assert_eq!(texts(&world, 0, 1), ["error of the living"]);
        assert_eq!(world.servers[0].own_events("host0").count(), 0);
    });
}

#[test]
fn an_agent_behind_a_router_keeps_its_fixed_server_through_restarts_and_an_outage() {
    for_each_seed(54, |seed| {
        let mut world = World::new(seed, Conditions::of(seed));
        let (server, agent) = (world.add_server(), world.add_agent("host0"));
        let (now, address) = (world.now(), world.servers[server].address);
        world.agents[agent].fix_server(now, address);
        world.set_host_file(server, "host0", &host_file(30, "host0"));
        world.run_until("the configuration is in force", seconds(300), |world| world.agents[agent].follows(&paths(30, "host0")));
        let mut lines = Vec::new();
        for number in 0..40 {
            match number {
                5 | 25 => world.restart_server(server),
                10 => world.servers[server].cut_off = true,
                18 => world.servers[server].cut_off = false,
                _ => {}
            }
            lines.push(format!("error {number:04}"));
            log(&mut world, agent, &format!("error {number:04}"));
            world.run_for(seconds(20));
        }
        settle_events(&mut world);
        let mut written = sorted(texts(&world, server, agent));
        written.dedup();
        assert_eq!(written, lines);
        world.set_host_file(server, "host0", &host_file(3, "changed"));
        let limit = if world.conditions().is_lossless() { seconds(25) } else { seconds(200) };
        world.run_until("the change is in force", limit, |world| world.agents[agent].follows(&paths(3, "changed")));
        let before = world.servers[server].own_events("host0").count();
        world.run_for(seconds(1800));
        assert_eq!(world.servers[server].own_events("host0").count(), before, "it is never called inactive");
        assert!(world.agents[agent].follows(&paths(3, "changed")));
        assert!(world.agents[agent].heard.is_empty(), "no heartbeat came");
    });
}

#[test]
fn all_this_holds_in_version_1_too() {
    for_each_seed(54, |seed| {
        let mut world = World::new(seed, Conditions::of(seed));
        world.only_version_1 = true;
        world.add_server();
        for agent in 0..2 {
            world.add_agent(&format!("host{agent}"));
            world.set_host_file(0, &format!("host{agent}"), &host_file(50, &format!("host{agent}")));
        }
        let follow = |world: &World, rules, tag: &str| world.agents[0].follows(&paths(rules, tag));
        world.run_until("the configuration is in force", seconds(200), |world| {
            follow(world, 50, "host0") && world.agents[1].follows(&paths(50, "host1"))
        });
        let lines: Vec<String> = (0..20).map(|number| format!("error {number:04}")).collect();
        for line in &lines {
            log(&mut world, 0, line);
            world.run_for(seconds(3));
        }
        world.set_host_file(0, "host0", &host_file(1, "changed"));
        world.run_until("the changed configuration is in force", seconds(400), |world| follow(world, 1, "changed"));
        world.run_for(seconds(1200));
        assert!(follow(&world, 1, "changed"));
        assert_eq!(sorted(texts(&world, 0, 0)), lines);
        let inactive = world.servers[0].own_events("host0").count() + world.servers[0].own_events("host1").count();
        assert_eq!(inactive, 0);
        let idle = world.servers[0].events("host0").filter(|record| record.text == "Idle").count();
        assert!((10..=20).contains(&idle), "{idle}");
    });
}

#[test]
fn a_jump_of_the_wall_clock_neither_bursts_nor_stalls() {
    for_each_seed(27, |seed| {
        let mut world = World::new(seed, Conditions::of(seed));
        world.set_wall_clock(60);
        world.add_server();
        world.add_agent("clock");
        let file = "file: /var/log/clock/0.log\nmatch: error\nalert_count: tags=COUNT seconds=10\n";
        world.set_host_file(0, "clock", file);
        wait_for_configuration(&mut world, seconds(90), 0, file);
        world.run_for(seconds(300));
        let sent = world.agents[0].sent;
        world.run_for(seconds(300));
        let usual = world.agents[0].sent - sent;
        let configurations = world.agents[0].in_force().len();
        world.set_wall_clock(START);
        world.write_line(0, "/var/log/clock/0.log", "error at the jump");
        world.run_for(seconds(300));
        let after = world.agents[0].sent - sent - usual;
        assert!(after <= 2 * usual && usual <= 2 * after, "{usual} datagrams before, {after} after");
        assert_eq!(world.agents[0].in_force().len(), configurations, "the rules went on");
        // A rule that counts is never quiet.
        world.set_host_file(0, "clock", &host_file(1, "calm"));
        wait_for_configuration(&mut world, seconds(90), 0, &host_file(1, "calm"));
        settle_events(&mut world);
        let counts: Vec<_> = world.servers[0].events("clock").filter(|record| record.tags == "COUNT").collect();
        assert_eq!(counts.iter().filter(|record| record.text == "1").count(), 1);
        let (old, new): (Vec<&Record>, Vec<&Record>) = counts.into_iter().partition(|record| record.unix < 86_400);
        assert!(old.len() >= 58 && new.len() >= 30, "{} and {}", old.len(), new.len());
        let times: BTreeSet<u64> = new.iter().map(|record| record.unix).collect();
        assert!(times.iter().zip(times.iter().skip(1)).all(|(one, next)| (10..=11).contains(&(next - one))), "{times:?}");
        assert_eq!(times.len(), new.len());
        assert_eq!(world.servers[0].own_events("clock").count(), 0);
    });
}

#[test]
fn agents_send_to_the_port_of_servers() {
    let mut world = configured(0, Conditions::PERFECT, 1);
    settle_events(&mut world);
    assert_eq!(world.agents[0].alerts[0].1.port(), PORT + 1);
}
