//! Several hosts: a LAN on which agents find their server by broadcast, and an agent behind a router.

use crate::harness::{lines_of, wait_for, Event, Program, Site};
use crate::namespaces::{Network, BROADCAST};

const SERVER: &str = "server";
/// The agents on the LAN …
const NEAR: [&str; 3] = ["nas1", "pi2", "box3"];
/// … and the one behind the router.
const FAR: &str = "far";
const ALL: [&str; 4] = [NEAR[0], NEAR[1], NEAR[2], FAR];
/// The server's address for the agent behind the router: the first host of the network.
const SERVER_ADDRESS: &str = "10.43.6.1";

/// A network with a server and the agents' hosts, and a set-up in which each host follows a log of its own and one that an include
/// names, which is the same file for all.
fn lan(test: &str, name: &str, more: &[&'static str]) -> Option<(Network, Site)> {
    let hosts: Vec<_> = [SERVER].iter().chain(&NEAR).chain(more).copied().collect();
    let network = Network::new(test, &hosts, &[FAR, "deaf"])?;
    let site = Site::new(name);
    site.write("ax436.conf", &site.server_file(BROADCAST, ""));
    include(&site, "first");
    site.append("shared.log", "");
    for host in ALL {
        let log = log_of(host);
        site.append(&log, "");
        site.host(host, &format!("file: {}\nmatch: error\nalert_all: tags=APP\ninclude: shared\n", site.file(&log)));
    }
    Some((network, site))
}

fn log_of(host: &str) -> String {
    format!("{host}.log")
}

/// Writes the include: lines of the shared log with that word in them are events.
fn include(site: &Site, word: &str) {
    site.write("includes/shared", &format!("file: {}\nmatch: {word}\nalert_all: tags=SHARED\n", site.file("shared.log")));
}

fn start_agents(network: &Network, site: &Site) -> Vec<Program> {
    let near = NEAR.iter().map(|host| network.agent(site, host, &[]));
    near.chain([network.agent(site, FAR, &["-s", SERVER_ADDRESS])]).collect()
}

fn wait_for_configurations(site: &Site, times: usize) {
    ALL.iter().for_each(|host| site.wait_for_configuration(host, times));
}

/// The texts of a host's events with these tags, in the order of the stream.
fn texts(events: &[Event], host: &str, tags: &str) -> Vec<String> {
    events.iter().filter(|event| (&*event.host, &*event.tags) == (host, tags)).map(|event| event.text.clone()).collect()
}

fn wait_for_line(site: &Site, host: &str, tags: &str, line: &str) {
    wait_for(&format!("\"{line}\" of {host}"), || texts(&site.events(), host, tags).iter().any(|text| text == line).then_some(()));
}

/// Appends a line to each host's log, and waits until all have arrived.
fn every_host_goes_on(site: &Site, what: &str) {
    ALL.iter().for_each(|host| site.append(&log_of(host), format!("error on {host}: {what}\n")));
    ALL.iter().for_each(|host| wait_for_line(site, host, "APP", &format!("error on {host}: {what}")));
}

/// How often the stream has that text for the host.
fn count(events: &[Event], host: &str, text: &str) -> usize {
    texts(events, host, "SYSTEM").iter().filter(|found| *found == text).count()
}

fn numbered(host: &str, numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("error {number:03} on {host}")).collect()
}

fn append_lines(site: &Site, host: &str, lines: &[String]) {
    site.append(&log_of(host), lines.join("\n") + "\n");
}

#[test]
fn agents_find_the_server_by_broadcast_and_the_one_behind_a_router_by_its_address() {
    let test = "agents_find_the_server_by_broadcast_and_the_one_behind_a_router_by_its_address";
    let Some((network, site)) = lan(test, "lan-find", &[]) else { return };
    let mut programs = start_agents(&network, &site);
    programs.push(network.server(&site, SERVER, "ax436.conf"));
    wait_for_configurations(&site, 1);
    every_host_goes_on(&site, "once");
    site.append("shared.log", "first of all\n");
    ALL.iter().for_each(|host| wait_for_line(&site, host, "SHARED", "first of all"));
    let events = site.events();
    for host in ALL {
        assert_eq!(texts(&events, host, "APP"), [format!("error on {host}: once")]);
        let event = events.iter().find(|event| event.host == host && event.tags == "APP").unwrap();
        assert_eq!(event.file, site.file(&log_of(host)));
    }
    for program in programs {
        assert!(program.log.ends_with("ax436.conf.log") || program.log_text().contains(&format!("server {SERVER_ADDRESS} selected")));
        assert_eq!(program.terminate(), 0);
    }
}

#[test]
fn an_edited_include_reaches_every_agent() {
    let Some((network, site)) = lan("an_edited_include_reaches_every_agent", "lan-include", &[]) else { return };
    let _server = network.server(&site, SERVER, "ax436.conf");
    let _agents = start_agents(&network, &site);
    wait_for_configurations(&site, 1);
    include(&site, "second");
    wait_for_configurations(&site, 2);
    site.append("shared.log", "the first\nthe second\n");
    for host in ALL {
        wait_for_line(&site, host, "SHARED", "the second");
        assert_eq!(texts(&site.events(), host, "SHARED"), ["the second"]);
    }
    every_host_goes_on(&site, "after the edit");
}

#[test]
fn all_agents_continue_with_a_server_that_was_restarted() {
    let Some((network, site)) = lan("all_agents_continue_with_a_server_that_was_restarted", "lan-restart", &[]) else { return };
    let server = network.server(&site, SERVER, "ax436.conf");
    let _agents = start_agents(&network, &site);
    wait_for_configurations(&site, 1);
    every_host_goes_on(&site, "before");
    assert_eq!(server.terminate(), 0);
    for host in ALL {
        append_lines(&site, host, &numbered(host, 0..50));
    }
    assert!(!site.events().iter().any(|event| event.text.contains("error 0")), "the server was not down");
    let _server = network.server(&site, SERVER, "ax436.conf");
    every_host_goes_on(&site, "after");
    for host in ALL {
        numbered(host, 0..50).iter().for_each(|line| wait_for_line(&site, host, "APP", line));
        assert_eq!(texts(&site.events(), host, "APP").len(), 52, "{host}");
    }
    // The sessions are new. No agent needs a new configuration, and an edit still reaches all of them.
    assert!(ALL.iter().all(|host| texts(&site.events(), host, "SYSTEM").iter().filter(|text| text.contains("in force")).count() == 1));
    include(&site, "second");
    wait_for_configurations(&site, 2);
}

#[test]
fn a_link_that_is_cut_and_restored_loses_nothing() {
    let Some((network, site)) = lan("a_link_that_is_cut_and_restored_loses_nothing", "lan-cut", &[]) else { return };
    let _server = network.server(&site, SERVER, "ax436.conf");
    let agents = start_agents(&network, &site);
    wait_for_configurations(&site, 1);
    let [cut, other, ..] = NEAR;
    every_host_goes_on(&site, "before");

    // For a moment.
    network.cut(cut);
    append_lines(&site, cut, &numbered(cut, 0..20));
    site.append(&log_of(other), "error elsewhere\n");
    wait_for_line(&site, other, "APP", "error elsewhere");
    assert_eq!(texts(&site.events(), cut, "APP").len(), 1, "the link was not cut");
    network.restore(cut);
    wait_for_line(&site, cut, "APP", "error 019 on nas1");

    // More lines than the agent's queue holds, until the agent has given up its server.
    network.cut(cut);
    append_lines(&site, cut, &numbered(cut, 20..200));
    wait_for("the agent without a server", || agents[0].log_text().contains("the server is silent: deselected").then_some(()));
    append_lines(&site, cut, &numbered(cut, 200..600));
    site.append(&log_of(other), "error elsewhere again\n");
    wait_for_line(&site, other, "APP", "error elsewhere again");
    assert_eq!(texts(&site.events(), cut, "APP").len(), 21, "the link was not cut");
    network.restore(cut);
    numbered(cut, 0..600).iter().for_each(|line| wait_for_line(&site, cut, "APP", line));
    let mut arrived = texts(&site.events(), cut, "APP");
    arrived.retain(|text| !text.ends_with("before"));
    arrived.sort();
    assert_eq!(arrived, numbered(cut, 0..600));
    every_host_goes_on(&site, "after");
}

#[test]
fn a_host_without_a_link_for_three_minutes_is_reported_inactive_once_and_active_once() {
    let test = "a_host_without_a_link_for_three_minutes_is_reported_inactive_once_and_active_once";
    let Some((network, site)) = lan(test, "lan-inactive", &[]) else { return };
    // It is behind the router, and has no fixed server.
    site.host("deaf", "file: /dev/null\nmatch: error\nalert_all: tags=APP\n");
    // Time passes in the stream: a line of this every 20 s.
    site.host(NEAR[1], "file: /dev/null\nmatch: error\nalert_count: tags=TIME seconds=20\n");
    let _server = network.server(&site, SERVER, "ax436.conf");
    let deaf = network.agent(&site, "deaf", &[]);
    let agents = start_agents(&network, &site);
    wait_for_configurations(&site, 1);
    let [cut, clock, third] = NEAR;
    let (inactive, again) = ("Host is inactive", "Host is active again");

    network.cut(cut);
    let began = site.texts("TIME").len();
    let silent = wait_for("an inactive host", || site.events().into_iter().find(|event| event.host == cut && event.text == inactive));
    assert!(silent.is_of_server() && silent.uid.contains(";system;opened;"));
    assert_eq!((&*silent.tags, &*silent.file), ("SYSTEM", "NULL"));
    // The last keepalive is at most a minute older than the cut.
    let passed = site.texts("TIME").len() - began;
    assert!((5..=10).contains(&passed), "said after {passed} times 20 s");
    // A host that no broadcast reaches has found no server in that time.
    wait_for("a host that was never heard", || (count(&site.events(), "deaf", inactive) > 0).then_some(()));
    assert!(!deaf.log_text().contains("selected"));

    site.wait_for_count("TIME", began + passed + 3);
    network.restore(cut);
    wait_for("the host back", || (count(&site.events(), cut, again) > 0).then_some(()));
    let back = site.texts("TIME").len();
    site.wait_for_count("TIME", back + 2);
    let events = site.events();
    assert_eq!((count(&events, cut, inactive), count(&events, cut, again)), (1, 1));
    for host in [clock, third, FAR] {
        assert_eq!((count(&events, host, inactive), count(&events, host, again)), (0, 0), "{host}");
    }
    site.append(&log_of(cut), "error at last\n");
    wait_for_line(&site, cut, "APP", "error at last");
    assert_eq!(agents.into_iter().map(Program::terminate).collect::<Vec<_>>(), [0; 4]);
}

#[test]
fn agents_go_to_the_other_server_when_theirs_ends_and_it_knew_that_they_are_alive() {
    let test = "agents_go_to_the_other_server_when_theirs_ends_and_it_knew_that_they_are_alive";
    let Some((network, site)) = lan(test, "lan-two", &["second"]) else { return };
    site.host("absent", "file: /dev/null\nmatch: error\nalert_all: tags=APP\n");
    site.write("second.conf", &site.server_file(BROADCAST, "").replace("events.log", "second.log"));
    let seen_by_second = || lines_of(&site.path("second.log")).iter().map(|line| Event::parse(line)).collect::<Vec<_>>();

    let first = network.server(&site, SERVER, "ax436.conf");
    let agents = start_agents(&network, &site);
    wait_for_configurations(&site, 1);
    let _second = network.server(&site, "second", "second.conf");
    wait_for("a host that the second server never heard", || (count(&seen_by_second(), "absent", "Host is inactive") > 0).then_some(()));
    every_host_goes_on(&site, "with two");
    let events = seen_by_second();
    for host in NEAR {
        assert_eq!(count(&events, host, "Host is inactive"), 0, "{host}");
        assert_eq!(texts(&events, host, "APP"), [""; 0]);
    }
    // The one behind the router knows of one server only.
    wait_for("an agent that does not know the second server", || (count(&seen_by_second(), FAR, "Host is inactive") > 0).then_some(()));

    assert_eq!(first.terminate(), 0);
    ALL.iter().for_each(|host| site.append(&log_of(host), format!("error on {host}: left\n")));
    for (host, agent) in NEAR.iter().zip(&agents) {
        let line = format!("error on {host}: left");
        wait_for(&format!("\"{line}\" at the second server"), || seen_by_second().iter().any(|event| event.text == line).then_some(()));
        assert_eq!(texts(&seen_by_second(), host, "APP"), [line]);
        assert!(agent.log_text().contains("server 10.43.6.5 selected"));
    }
    let _first = network.server(&site, SERVER, "ax436.conf");
    wait_for_line(&site, FAR, "APP", "error on far: left");
    assert_eq!(texts(&seen_by_second(), FAR, "APP"), [""; 0]);
    // Those that are with the second server stay there.
    site.append(&log_of(NEAR[0]), "error at the second\n");
    wait_for("an event at the second server", || seen_by_second().iter().any(|event| event.text == "error at the second").then_some(()));
    assert!(!site.events().iter().any(|event| event.text == "error at the second"));
}
