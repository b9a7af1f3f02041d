//! The line that a program writes when it crashes, and how it leads to a line of code.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{binary, skip, wait_for, Site};
use std::path::Path;
use std::process::Command;

/// The line of a crash, taken apart: build, signal and place.
fn crash(text: &str) -> Option<(String, String, String)> {
    let line = text.lines().find(|line| line.starts_with("crashed: version "))?;
    let (_, rest) = line.split_once(", build ")?;
    let (build, rest) = rest.split_once(", signal ")?;
    let (signal, rest) = rest.split_once(", address 0x")?;
    let (_, place) = rest.split_once(", at 0x")?;
    Some((build.into(), signal.into(), place.into()))
}

#[test]
fn a_crash_leaves_a_line_in_the_log_and_ends_the_program_by_its_signal() {
    for (signal, number) in [("SEGV", "11"), ("BUS", "7"), ("ILL", "4"), ("FPE", "8"), ("ABRT", "6")] {
        let site = Site::new(&format!("crash-{signal}"));
        let server = site.server();
        wait_for("the server's log", || server.log_text().contains("on port").then_some(()));
        server.signal(signal);
        let (_, said, place) = wait_for("the last words", || crash(&server.log_text()));
        assert_eq!(said, number);
        assert!(u64::from_str_radix(&place, 16).unwrap() > 0xfff, "{place}");
        // Not by an exit of its own.
        assert_eq!(server.ended_by(), Some(number.parse().unwrap()));
    }
}

#[test]
fn the_symbols_of_a_build_turn_its_last_words_into_a_line_of_code() {
    let symbols = binary("aa436").with_extension("debug");
    if !symbols.exists() {
        // Only scripts/build-all.sh puts the symbols beside the programs.
        return skip("the_symbols_of_a_build_turn_its_last_words_into_a_line_of_code", "no .debug file");
    }
    let site = Site::new("symbolize");
    site.host("nas1", &format!("file: {}\nmatch: a\nalert_all: tags=T\n", site.file("x.log")));
    let _server = site.server();
    let agent = site.agent("nas1", &[]);
    site.wait_for_configuration("nas1", 1);
    agent.signal("SEGV");
    let (build, _, place) = wait_for("the last words", || crash(&agent.log_text()));
    assert_eq!(build.len(), 40, "{build}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/symbolize.sh");
    let output = Command::new(script).arg(&agent.log).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    // An idle agent waits in a system call, somewhere in the C library.
    assert!(output.status.success() && said.contains(&place) && said.contains("syscall"), "{said}");
    assert!(said.lines().any(|line| line.contains(".c:") || line.contains(".h:") || line.contains(".rs:")), "{said}");
}
