//! Events of several lines, which wait for each other in their file.

#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{pause, Program, Site};
use std::fs;
use std::time::Duration;

/// The processor time that a program took, in hundredths of a second.
fn ticks(program: &Program) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", program.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Both logs: a file, and what a command prints of another file.
fn site(name: &str) -> Site {
    let site = Site::new(name);
    site.append("log", "");
    site.append("printed", "");
    let rules = |source: &str, tags: &str| format!("file: {source}\nmatch: ERROR\njoin: ^ at\nalert_all: tags={tags}\n");
    let printed = format!("|tail -n +1 -f {}", site.file("printed"));
    site.host("h", &(rules(&site.file("log"), "FILE") + &rules(&printed, "PRINTED")));
    site
}

#[test]
fn lines_that_wait_for_others_outlive_the_agent_and_cost_it_nothing() {
    let site = site("joined-file");
    let (_server, agent) = (site.server(), site.agent("h", &[]));
    site.wait_for_configuration("h", 1);
    site.append("log", "ERROR 1\n at a\n");
    // Until they are read.
    pause(Duration::from_millis(300));
    agent.kill();
    site.append("log", " at b\nfine\n");
    let agent = site.agent("h", &[]);
    assert_eq!(site.wait_for_count("FILE", 1), ["ERROR 1 \u{23ce} at a \u{23ce} at b"]);
    let before = ticks(&agent);
    site.append("log", "ERROR 2\n at c\n");
    assert_eq!(site.wait_for_count("FILE", 2)[1], "ERROR 2 \u{23ce} at c", "after 5 seconds no more are waited for");
    let ticks = ticks(&agent) - before;
    assert!(ticks < 10, "the agent did not rest: {ticks}");
    site.append("log", " at d\nERROR 3\nfine\n");
    assert_eq!(site.wait_for_count("FILE", 3)[2], "ERROR 3");
}

#[test]
fn lines_that_a_command_prints_one_by_one_are_joined() {
    let site = site("joined-command");
    let (_server, agent) = (site.server(), site.agent("h", &[]));
    site.wait_for_configuration("h", 1);
    for text in ["ERROR 1\n", " at a\n", " at b\nfi", "ne\nERROR 2\n"] {
        site.append("printed", text);
        // So that each is read alone.
        pause(Duration::from_millis(200));
    }
    assert_eq!(site.wait_for_count("PRINTED", 1), ["ERROR 1 \u{23ce} at a \u{23ce} at b"]);
    let before = ticks(&agent);
    assert_eq!(site.wait_for_count("PRINTED", 2)[1], "ERROR 2");
    let ticks = ticks(&agent) - before;
    assert!(ticks < 10, "the agent did not rest: {ticks}");
    // Else the command goes on.
    agent.terminate();
}
