//! Bursts of lines arrive whole and the agent's memory does not grow: lines that it has no room for wait in the file.
#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "tests live in the real world")]

use crate::harness::{wait_for, wait_for_within, Program, Site, TIMEOUT};
use crate::numbered::{arrived, faults, wait_for_lines, Log};
use std::time::{Duration, Instant};

/// A server and an agent that follows a log.
fn scene(name: &str) -> (Site, Log, Program, Program) {
    let site = Site::new(&format!("burst-{name}"));
    site.write("ax436.conf", &site.server_file("127.255.255.255", "event_stream_size: 1000000000\n"));
    let mut log = Log::new(&site, "BURST");
    log.write_text("log", "an old entry\n");
    site.host("h", &format!("file: {}\nmatch: ^line\nalert_all: tags=BURST\n", log.path("log").display()));
    let (server, agent) = (site.server(), site.agent("h", &[]));
    site.wait_for_configuration("h", 1);
    site.wait_for_text("Following ");
    // Memory that is taken at first and kept, such as buffers, is no growth.
    log.write("log", 1000);
    assert!(wait_for_lines(&site, [&log], TIMEOUT));
    (site, log, server, agent)
}

/// Writes that many lines in one go. Returns by how many KiB the agent's peak of resident memory grew.
fn burst(lines: u32, timeout: Duration, (site, mut log, server, agent): (Site, Log, Program, Program)) -> u64 {
    let (before, start) = (agent.status("VmHWM"), Instant::now());
    log.write("log", lines);
    let last = format!("line {} of BURST\n", log.count());
    wait_for_size(&site, u64::from(lines) * 60, timeout);
    wait_for("the last line", || std::fs::read_to_string(site.path("events.log")).ok()?.contains(&last).then_some(()));
    let (after, time) = (agent.status("VmHWM"), start.elapsed());
    let (resident, of_server) = (agent.status("VmRSS"), server.status("VmHWM"));
    eprintln!("{lines} lines in {time:.1?}; agent: VmHWM {before} -> {after} kB, VmRSS {resident} kB; server: VmHWM {of_server} kB");
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
    assert_eq!(faults([&log], &arrived(&site)), [""; 0]);
    after - before
}

/// Waits until the stream has grown so far, without reading all of it again and again.
fn wait_for_size(site: &Site, least: u64, timeout: Duration) {
    let path = site.path("events.log");
    let is_reached = || std::fs::metadata(&path).is_ok_and(|meta| meta.len() >= least);
    wait_for_within(timeout, &format!("a stream of {least} bytes"), || is_reached().then_some(()));
}

#[test]
fn two_thousand_lines_at_once_arrive_whole_and_the_agent_does_not_grow() {
    let grown = burst(2_000, TIMEOUT, scene("small"));
    assert!(grown <= 256, "{grown} KiB");
}

#[test]
#[ignore = "takes a minute"]
fn a_million_lines_at_once_arrive_whole_and_the_agent_does_not_grow() {
    let grown = burst(1_000_000, Duration::from_secs(600), scene("large"));
    assert!(grown <= 256, "{grown} KiB");
}
