//! Patterns that are large or many, and lines that take long to search: the agent keeps within its memory and hears everything else.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{wait_for, Site};
use std::fmt::Write;

#[test]
fn patterns_beyond_the_memory_of_a_host_are_reported_and_the_other_rules_work() {
    let site = Site::new("pattern-memory");
    site.append("log", "");
    let log = site.file("log");
    let rule = |pattern: &str, tags: &str| format!("file: {log}\nmatch: {pattern}\nalert_all: tags={tags}\n");
    // Equal patterns take memory once.
    let shared: String = (0..100).map(|number| rule("x.{300}", &format!("S{number}"))).collect();
    site.host("h", &(rule("y.{900}", "LARGE") + &shared + &rule("li.e", "SMALL")));
    let _server = site.server();
    let agent = site.agent("h", &["--pattern-memory", "100000"]);
    let error = site.wait_for_text("Configuration error: ").text;
    assert_eq!(
        error,
        "Configuration error: hosts/h:2: pattern \"y.{900}\": the patterns of this host take more than 100000 bytes of memory"
    );
    site.wait_for_text("in force: 101 rules");
    site.append("log", "line\n");
    site.wait_for_count("SMALL", 1);
    agent.kill();
    let _agent = site.agent("h", &[]);
    site.wait_for_text("in force: 102 rules");
}

#[test]
fn a_configuration_full_of_large_patterns_takes_little_memory() {
    let site = Site::new("pattern-flood");
    let mut text = String::new();
    for number in 0..10_000 {
        let _ = write!(text, "file: /a\nmatch: {number:x}.{{900}}\nalert_all: tags=T\n");
    }
    site.host("h", &text);
    let (_server, agent) = (site.server(), site.agent("h", &[]));
    site.wait_for_configuration("h", 1);
    site.wait_for_text("Configuration error: and ");
    assert!(agent.status("VmHWM") < 32 * 1024, "{} KiB", agent.status("VmHWM"));
}

#[test]
fn a_line_that_takes_long_to_search_delays_neither_other_logs_nor_the_end() {
    const RULES: usize = 400;
    let site = Site::new("pattern-time");
    site.append("heavy", "");
    site.append("log", "");
    let mut text = String::new();
    for number in 0..RULES {
        let _ = write!(
            text,
            "file: {}\nmatch: (.|[{}é]|\\S){{25}}[A-Z][A-Y]{{{}}}$\nalert_all: tags=HEAVY\n",
            site.file("heavy"),
            number % 10,
            number / 10 + 1
        );
    }
    site.host("h", &format!("{text}file: {}\nmatch: ^(line)\nalert_all: tags=LINE\n", site.file("log")));
    let (_server, agent) = (site.server(), site.agent("h", &["--pattern-memory", "99999999"]));
    site.wait_for_text(&format!("in force: {} rules", RULES + 1));
    site.append("heavy", "a 5 b".repeat(4_000) + "\n");
    wait_for("the search to begin", || (processor_time(agent.id()) > 50).then_some(()));
    let start = processor_time(agent.id());
    site.append("log", "line\n");
    site.wait_for_count("LINE", 1);
    let before = processor_time(agent.id());
    let other_log = before - start;
    wait_for("the search to go on", || (processor_time(agent.id()) > before + 20).then_some(()));
    let id = agent.id();
    let before = processor_time(id);
    let end = std::thread::scope(|scope| {
        let last = scope.spawn(move || {
            let mut last = before;
            wait_for("the end of the agent", || match used(id) {
                Some(time) => {
                    last = time;
                    None
                }
                None => Some(()),
            });
            last
        });
        assert_eq!(agent.terminate(), 0);
        last.join().unwrap() - before
    });
    // The whole search takes several times as long as either.
    assert!(other_log < 400 && end < 200, "{other_log} {end}");
}

/// The time that a process has used the processor, in 1/100 s.
fn processor_time(id: u32) -> u64 {
    used(id).unwrap()
}

/// As [`processor_time`]; `None` if there is no such process any more.
fn used(id: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // User and system time.
    fields[11..13].iter().map(|time| time.parse::<u64>().unwrap()).sum::<u64>().into()
}
