//! The includes of `examples/includes_436` on the lines in `samples`, which have the name of the include. In a sample, `log OPENER` and
//! `run COMMAND` say what the next lines are of. `| LINE` is one of them, and `=> TAGS TEXT` an event that they must make; there are no
//! others. `= exit N` is how a command ends. Any other `= TEXT` is the content of the file that the command names last, for a command that
//! is really run.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests live in the real world")]

use crate::harness::{binary, wait_for, Site};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A part of a sample: what its lines are of, the lines, and the events as `TAGS TEXT`.
#[derive(Default)]
struct Part {
    source: String,
    lines: Vec<String>,
    content: String,
    /// How the command ends.
    status: String,
    events: Vec<String>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn samples() -> BTreeMap<String, Vec<Part>> {
    let mut samples = BTreeMap::new();
    for entry in fs::read_dir(folder("tests/programs/samples")).unwrap() {
        let entry = entry.unwrap();
        let mut parts: Vec<Part> = Vec::new();
        for line in fs::read_to_string(entry.path()).unwrap().lines() {
            match (line.split_once(' ').unwrap_or((line, "")), parts.last_mut()) {
                (("log" | "run", _), _) => parts.push(Part { source: line.into(), ..Part::default() }),
                (("|", text), Some(part)) => part.lines.push(text.into()),
                (("=", text), Some(part)) if text.starts_with("exit ") => part.status = text.into(),
                (("=", text), Some(part)) => part.content = text.into(),
                (("=>", text), Some(part)) => part.events.push(text.into()),
                _ => panic!("{:?}: {line}", entry.path()),
            }
        }
        samples.insert(entry.file_name().into_string().unwrap(), parts);
    }
    samples
}

/// The groups of an include, as paragraphs.
fn groups(name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder("examples/includes_436").join(name)).unwrap();
    text.split("\n\n").map(|group| group.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")).collect()
}

/// Whether a group begins with that directive, or is one of the journal if that is one.
fn is_of(group: &str, opener: &str) -> bool {
    let first = group.lines().next().unwrap_or_default();
    first == format!("file: {opener}") || opener == "journal:" && first.starts_with(opener)
}

#[test]
fn each_include_for_something_that_people_have_has_a_sample_with_events() {
    let samples = samples();
    for entry in fs::read_dir(folder("examples/includes_436")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_usual = ["linux_processes", "linux_system"].contains(&&*name);
        let parts = samples.get(&name);
        assert!(is_usual || parts.is_some_and(|parts| parts.iter().any(|part| !part.events.is_empty())), "{name} has no sample");
        for group in groups(&name).iter().filter(|_| !is_usual) {
            let Some(opener) = group.lines().next().filter(|opener| opener.starts_with("file:") || opener.starts_with("journal:")) else {
                continue;
            };
            let is_tried = |part: &Part| part.source.strip_prefix("log ").is_some_and(|source| is_of(group, source));
            assert!(parts.unwrap().iter().any(is_tried), "{name}: {opener} has no sample");
        }
    }
}

#[test]
fn lines_of_logs_make_the_events_that_the_samples_say() {
    let site = Site::new("examples-logs");
    for (name, parts) in samples() {
        for part in &parts {
            let Some(opener) = part.source.strip_prefix("log ") else { continue };
            let groups: Vec<String> = groups(&name).into_iter().filter(|group| is_of(group, opener)).collect();
            assert!(!groups.is_empty(), "{name}: {opener}");
            site.write("try", &(groups.join("\n\n") + "\n"));
            site.write("lines", &(part.lines.join("\n") + "\n"));
            let output = Command::new(binary("ax436")).args(["-T", "try", "lines"]).current_dir(&site.folder).output().unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            let said = String::from_utf8(output.stdout).unwrap();
            let mut events: Vec<String> = said
                .lines()
                .filter_map(|line| line.split_once("%%"))
                .map(|(tags, rest)| format!("{tags} {}", rest.split_once("%%").unwrap().1))
                .collect();
            let mut expected: Vec<String> = part.events.iter().map(|event| event.trim().to_string()).collect();
            events.sort();
            expected.sort();
            assert_eq!(events, expected, "{name}: {opener}");
        }
    }
}

/// The terms and the command of a group of `run:`.
fn command_of(group: &str) -> Option<(&str, &str)> {
    let (terms, command) = group.lines().next()?.strip_prefix("run: ")?.split_once("command=")?;
    Some((terms, command.split_once(" extract=").map_or(command, |(command, _)| command)))
}

/// Programs that print what the samples say, found before those of the system.
fn fake_programs(site: &Site, parts: &[Part]) -> PathBuf {
    let folder = site.path("bin");
    fs::create_dir(&folder).unwrap();
    let mut programs: BTreeMap<&str, String> = BTreeMap::new();
    for (at, part) in parts.iter().enumerate().filter(|(_, part)| part.content.is_empty()) {
        let (path, arguments) = part.source.strip_prefix("run ").unwrap().split_once(' ').unwrap();
        let program = path.rsplit('/').next().unwrap();
        let printed = site.file(&format!("printed.{at}"));
        fs::write(&printed, part.lines.join("\n") + "\n").unwrap();
        *programs.entry(program).or_default() += &format!("'{arguments}') cat {printed}; {} ;;\n", part.status);
    }
    for (program, cases) in programs {
        let path = folder.join(program);
        fs::write(&path, format!("#!/bin/sh\ncase \"$*\" in\n{cases}esac\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

#[test]
fn what_commands_print_makes_the_events_that_the_samples_say() {
    let site = Site::new("examples-commands");
    let (mut host, mut tried) = (String::new(), Vec::new());
    for (name, parts) in samples() {
        for part in parts.into_iter().filter(|part| part.source.starts_with("run ")) {
            let command = part.source.strip_prefix("run ").unwrap();
            let is_of = |group: &String| command_of(group).is_some_and(|(_, of)| of == command);
            let mut group = groups(&name).into_iter().find(is_of).unwrap_or_else(|| panic!("{name}: {command}"));
            // Every command is run each minute, and found where the others are.
            let terms = command_of(&group).unwrap().0.split(' ').filter(|term| term.starts_with("every=")).map(|term| format!("{term} "));
            group = terms.collect::<Vec<_>>().iter().fold(group, |group, term| group.replacen(term, "", 1));
            if let Some((folder, _)) = command.split(' ').next().and_then(|program| program.rsplit_once('/')) {
                group = group.replacen(&format!("{folder}/"), "", 1);
            }
            if !part.content.is_empty() {
                // The program is that of this system, and so is the name of the file, in another folder.
                let real = Path::new(command.rsplit(' ').next().unwrap());
                let copy = site.path(real.file_name().unwrap().to_str().unwrap());
                fs::write(&copy, format!("{}\n", part.content)).unwrap();
                group = group.replace(real.to_str().unwrap(), copy.to_str().unwrap());
            }
            host += &(group + "\n\n");
            tried.push(part);
        }
    }
    site.host("nas1", &host);
    let folders = format!("{}:{}", fake_programs(&site, &tried).display(), std::env::var("PATH").unwrap());
    let _server = site.server();
    let mut command = site.command("aa436");
    // A minute, at which commands are run, takes a second.
    command.env("PATH", folders).env("PROJECT436_TEST_CLOCK", "60");
    command.args(["-n", "nas1", "-l", "agent.log"]).arg(site.port.to_string());
    let _agent = crate::harness::Program::start(command, site.path("agent.log"));
    let expected: BTreeSet<String> = tried.iter().flat_map(|part| part.events.iter().cloned()).collect();
    let events = || -> BTreeSet<String> {
        let events = site.events().into_iter().filter(|event| event.tags != "SYSTEM");
        events.map(|event| format!("{} {}", event.tags, event.text)).collect()
    };
    wait_for("all events of the samples", || expected.is_subset(&events()).then_some(()));
    assert_eq!(events(), expected);
}
