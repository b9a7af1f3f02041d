//! Who may import whom in `src/`, and what keeps a module small and safe. The table is here; `architecture/rules.rs` has the rules,
//! `architecture/source.rs` reads the sources, and `architecture/proofs.rs` shows that each rule fails when it is broken.
#![allow(clippy::disallowed_methods, reason = "reads the sources")]

#[path = "architecture/proofs.rs"]
mod proofs;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use rules::{Kind, Room, Sources};
use source::{File, Module};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Pure values. Every room above may import them.
const VALUES: &[&str] =
    &["text", "hash", "random", "schedule", "now", "date", "line_time", "encoding", "escapes", "lines", "pattern", "wildcard", "series"];

const fn core(name: &'static str, imports: &'static [&'static [&'static str]]) -> Room {
    Room { name, kind: Kind::Core, imports }
}

const fn outside(name: &'static str, imports: &'static [&'static [&'static str]]) -> Room {
    Room { name, kind: Kind::Outside, imports }
}

/// All rooms, from the ground up, with what each may import.
const ROOMS: &[Room] = &[
    // Values.
    core("text", &[]),
    core("hash", &[]),
    core("encoding", &[]),
    core("escapes", &[]),
    core("lines", &[&["encoding"]]),
    core("schedule", &[&["text"]]),
    core("now", &[&["schedule"]]),
    core("date", &[]),
    core("line_time", &[&["date"]]),
    core("pattern", &[&["text"]]),
    core("random", &[]),
    core("wildcard", &[]),
    core("series", &[&["wildcard"]]),
    core("wire", &[VALUES]),
    // A key file holds keys of the protocol, and an output chooses events by their kinds.
    core("directives", &[VALUES, &["wire"]]),
    // State machines. Neither knows the other.
    core("agent", &[VALUES, &["wire", "directives"]]),
    core("server", &[VALUES, &["wire", "directives"]]),
    core("outputs", &[VALUES, &["wire", "directives"]]),
    // The outside world.
    outside("sys", &[&["now", "date", "schedule", "random"]]),
    outside("fs", &[VALUES, &["sys"]]),
    // A position says how far a log was read, in the form in which it travels.
    outside("tail", &[VALUES, &["fs", "wire::position"]]),
    // What both programs share, and a wing for each of them. The wings never meet.
    outside("run", &[VALUES, &["wire", "directives", "fs", "sys"]]),
    // A process of the table is one of the agent's values.
    outside("run::process_table", &[VALUES, &["agent", "fs", "sys"]]),
    outside("run::agent", &[VALUES, &["run", "agent", "tail", "wire", "directives", "fs", "sys"]]),
    outside("run::server", &[VALUES, &["run", "server", "outputs", "tail", "wire", "directives", "fs", "sys"]]),
    outside("run::server::check", &[VALUES, &["run", "wire", "directives", "fs", "sys"]]),
    // `ax436 -T` tries rules as an agent would.
    outside("run::server::try_log", &[VALUES, &["run", "agent", "wire", "directives", "sys"]]),
    outside("run::server::try_commands", &[VALUES, &["run", "agent", "wire", "directives", "sys"]]),
    outside("bin", &[&["run", "sys"]]),
];

/// The rooms with `unsafe` code: system calls, and the name and parameters of C's `main`.
const UNSAFE: &[&str] = &["sys", "bin"];

const MOST_LINES_OF_A_FILE: usize = 600;
const MOST_LINES_OF_A_FUNCTION: usize = 60;

/// Violations that stay, each with its reason. The test fails if one no longer exists.
const EXCEPTIONS: &[(&str, &str)] = &[];

fn read(folder: &Path, module: &Module, files: &mut Vec<File>) {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let own = if ["mod", "lib"].contains(&name) { module.clone() } else { [module.as_slice(), &[name.to_string()]].concat() };
        if path.is_dir() {
            read(&path, &own, files);
        } else {
            files.push(File::parse(own, &fs::read_to_string(&path).unwrap()));
        }
    }
}

fn violations() -> BTreeSet<String> {
    let mut files = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &Module::new(), &mut files);
    let sources = Sources::new(files);
    let rules = [
        sources.unknown_rooms(ROOMS),
        sources.forbidden_imports(ROOMS),
        sources.outside_in_core(ROOMS),
        sources.arrows_up(),
        sources.circles(),
        sources.foreign_impls(),
        sources.unsafe_outside(UNSAFE),
        sources.long_files(MOST_LINES_OF_A_FILE),
        sources.long_functions(MOST_LINES_OF_A_FUNCTION),
    ];
    rules.into_iter().flatten().collect()
}

fn listed() -> BTreeSet<String> {
    EXCEPTIONS.iter().map(|(violation, _)| violation.to_string()).collect()
}

#[test]
fn the_sources_keep_the_rules() {
    let listed = listed();
    let new: Vec<_> = violations().into_iter().filter(|violation| !listed.contains(violation)).collect();
    assert!(new.is_empty(), "tests/architecture.rs does not allow:\n{}", new.join("\n"));
}

#[test]
fn each_listed_violation_still_exists() {
    let violations = violations();
    let gone: Vec<_> = listed().into_iter().filter(|listed| !violations.contains(listed)).collect();
    assert!(gone.is_empty(), "remove from the list in tests/architecture.rs:\n{}", gone.join("\n"));
}
