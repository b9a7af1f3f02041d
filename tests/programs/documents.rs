//! The documents against the programs: what is written twice must be the same in both places.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stderr, reason = "tests live in the real world")]

use crate::harness::{skip, Site};
use project436::directives::{host, server};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One option of a program, as its help or its manual page shows it.
#[derive(Debug, PartialEq, Eq)]
struct ProgramOption {
    /// The letter, if there is one, then the long name: `["-s", "--server"]`.
    names: Vec<String>,
    /// What the value is called, brackets left out; empty for an option without one.
    value: String,
    description: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn files_in(folder: &str, extension: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(extension) {
            files.push(if folder.is_empty() { name } else { format!("{folder}/{name}") });
        }
    }
    files.sort();
    files
}

fn documents() -> Vec<String> {
    ["", "docs", "tests", "scripts/bench"].iter().flat_map(|folder| files_in(folder, ".md")).collect()
}

fn manuals() -> Vec<String> {
    [files_in("docs/man", ".5"), files_in("docs/man", ".8")].concat()
}

/// The blocks of code in a document that are marked with that language.
fn code_blocks(text: &str, language: &str) -> Vec<String> {
    let (mut blocks, mut open) = (Vec::new(), None);
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, &mut open) {
            (Some(info), None) => open = Some((info.trim() == language, String::new())),
            (Some(_), Some((wanted, block))) => {
                if *wanted {
                    blocks.push(std::mem::take(block));
                }
                open = None;
            }
            (None, Some((_, block))) => *block += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of code is not closed");
    blocks
}

/// A document without its blocks of code.
fn prose(text: &str) -> String {
    let mut in_code = false;
    let is_prose = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    };
    text.lines().filter(is_prose).collect::<Vec<_>>().join("\n")
}

/// The pieces of a document between single backticks.
fn code_spans(text: &str) -> Vec<String> {
    prose(text).lines().flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_string).collect::<Vec<_>>()).collect()
}

/// Reads what `-h` prints after `Options:`, whatever the indentation.
fn options_of_help(help: &str) -> Vec<ProgramOption> {
    let mut options: Vec<ProgramOption> = Vec::new();
    for line in help.split_once("Options:").expect("a list of options").1.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut words = words.iter().peekable();
        if words.peek().is_some_and(|word| word.starts_with('-')) && line.len() - line.trim_start().len() < 12 {
            let mut option = ProgramOption { names: Vec::new(), value: String::new(), description: String::new() };
            while let Some(name) = words.next_if(|word| word.starts_with('-')) {
                option.names.push(name.trim_end_matches(',').to_string());
            }
            let is_value = |word: &&&str| word.starts_with(|c: char| c.is_ascii_uppercase()) && word.len() > 1;
            if let Some(value) = words.next_if(is_value) {
                option.value = value.replace(['[', ']'], "");
            }
            options.push(option);
        }
        let Some(option) = options.last_mut() else { continue };
        for word in words {
            option.description += &format!("{word} ");
        }
    }
    options
}

/// Words of mdoc's that only say how the others look, or what stands around them.
const MACROS: [&str; 22] =
    ["Fl", "Ar", "Ns", "Op", "Oo", "Oc", "Ql", "Pa", "Sq", "Po", "Pc", "Xr", "Ev", "Cm", "Ic", "Li", "Dv", "Em", "Dq", "No", "Nm", "Pp"];

/// The words of a line of mdoc.
fn words_of_manual(line: &str) -> impl Iterator<Item = &str> {
    let is_macro_line = line.starts_with('.');
    let words = line.trim_start_matches('.').split_whitespace();
    words.filter(move |word| !is_macro_line || !MACROS.contains(word))
}

/// Reads the list in the section OPTIONS of a manual page.
fn options_of_manual(manual: &str) -> Vec<ProgramOption> {
    let section = manual.split(".Sh ").find(|section| section.starts_with("OPTIONS\n")).expect("a section OPTIONS");
    let mut options: Vec<ProgramOption> = Vec::new();
    for line in section.lines().skip(1).filter(|line| !line.starts_with(".Bl") && !line.starts_with(".El")) {
        if let Some(item) = line.strip_prefix(".It ") {
            let (names, value) = item.split_once(" Ar ").unwrap_or((item, ""));
            let names = names.split(" , ").map(|name| format!("-{}", name.trim_start_matches("Fl "))).collect();
            let value = value.split(' ').filter(|word| !MACROS.contains(word)).collect();
            options.push(ProgramOption { names, value, description: String::new() });
        } else if let Some(option) = options.last_mut() {
            for word in words_of_manual(line) {
                option.description += &format!("{word} ");
            }
        }
    }
    options
}

/// What an option does, without the details behind it: in lower case, up to the first comma, semicolon or bracket.
fn first_clause(description: &str) -> String {
    let end = [", ", "; ", " ("].iter().filter_map(|mark| description.find(mark)).min().unwrap_or(description.len());
    description[..end].trim().to_lowercase()
}

/// The names before `:` at the start of the code in the first column of a document's tables of directives.
fn directives_of_tables(text: &str) -> BTreeSet<String> {
    let (mut names, mut in_table) = (BTreeSet::new(), false);
    for line in text.lines() {
        in_table = line.starts_with('|') && (in_table || line.starts_with("| directive |"));
        let Some(cell) = line.strip_prefix("| `").filter(|_| in_table) else { continue };
        let (name, _) = cell.split_once(':').unwrap_or_else(|| panic!("no directive: {line}"));
        names.insert(name.to_string());
    }
    names
}

/// The names in the lists of directives of a manual page: `.It Ic NAME : …`.
fn directives_of_manual(text: &str) -> BTreeSet<String> {
    let names = text.lines().filter_map(|line| line.strip_prefix(".It Ic ")?.split_once(" :"));
    names.map(|(name, _)| name.to_string()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn the_manual_pages_have_the_options_of_the_help() {
    let site = Site::new("documents-options");
    for program in ["aa436", "ax436"] {
        let output = site.command(program).arg("-h").output().unwrap();
        let help = options_of_help(&String::from_utf8(output.stdout).unwrap());
        let manual = options_of_manual(&read(&format!("docs/man/{program}.8")));
        assert!(help.len() > 8, "{help:?}");
        let names = |options: &[ProgramOption]| options.iter().map(|o| (o.names.clone(), o.value.clone())).collect::<Vec<_>>();
        assert_eq!(names(&manual), names(&help), "{program}");
        for (manual, help) in manual.iter().zip(&help) {
            let described = manual.description.to_lowercase().replace(" ,", ",").replace(" .", ".");
            let clause = first_clause(&help.description);
            assert!(described.contains(&clause), "{program} {:?}: \"{clause}\" is not in \"{described}\"", help.names);
        }
    }
}

#[test]
fn options_that_documents_speak_of_exist() {
    let site = Site::new("documents-spoken");
    let mut known = BTreeSet::new();
    for program in ["aa436", "ax436"] {
        let output = site.command(program).arg("-h").output().unwrap();
        let help = options_of_help(&String::from_utf8(output.stdout).unwrap());
        known.extend(help.into_iter().flat_map(|option| option.names).map(|name| format!("{program} {name}")));
    }
    for document in documents() {
        for span in code_spans(&read(&document)) {
            let words: Vec<&str> = span.split_whitespace().collect();
            let [program @ ("aa436" | "ax436"), option, ..] = words[..] else { continue };
            if option.starts_with('-') {
                assert!(known.contains(&format!("{program} {option}")), "{document}: {span}");
            }
        }
    }
}

#[test]
fn the_documents_have_all_directives_and_no_others() {
    let of_hosts = set(&[&host::DIRECTIVES[..], &host::SETTINGS].concat());
    assert_eq!(directives_of_tables(&read("docs/host-files.md")), of_hosts);
    assert_eq!(directives_of_manual(&read("docs/man/436-hosts.5")), of_hosts);
    assert_eq!(directives_of_tables(&read("docs/server.md")), set(&server::DIRECTIVES));
    assert_eq!(directives_of_manual(&read("docs/man/ax436.conf.5")), set(&server::DIRECTIVES));
}

#[test]
fn every_configuration_in_the_documents_is_right() {
    let site = Site::new("documents-examples");
    let includes = site.path("includes");
    fs::create_dir_all(&includes).unwrap();
    for file in files_in("examples/includes_436", "") {
        fs::copy(root().join(&file), includes.join(file.rsplit('/').next().unwrap())).unwrap();
    }
    let hosts = site.path("documented");
    fs::create_dir_all(&hosts).unwrap();
    // The host that others hang behind.
    fs::write(hosts.join("router"), "").unwrap();
    let mut checked = 0;
    for document in documents() {
        let text = read(&document);
        let server_file = code_blocks(&text, "conf");
        for (number, block) in code_blocks(&text, "host").iter().enumerate() {
            let name = format!("{}-{number}", document.replace('/', "-"));
            fs::write(hosts.join(name), block).unwrap();
            checked += 1;
        }
        for block in server_file {
            let conf = site.path("documented.conf");
            fs::write(&conf, block.replace(": hosts_436", ": documented").replace(": includes_436", ": includes")).unwrap();
            let output = site.command("ax436").args(["-t", "documented.conf"]).output().unwrap();
            assert!(output.status.success(), "{document}: {}", String::from_utf8_lossy(&output.stdout));
        }
    }
    assert!(checked > 5, "{checked} host files");
    let conf = "event_stream: events.log\nport: 4360\nbroadcast: 127.0.0.1\nhosts: documented\nincludes: includes\n";
    fs::write(site.path("all.conf"), conf).unwrap();
    let output = site.command("ax436").args(["-t", "all.conf"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_manual_pages_have_right_configurations_too() {
    let site = Site::new("documents-manuals");
    let example = |page: &str| {
        let text = read(page);
        let examples = text.split_once(".Sh EXAMPLES").unwrap().1;
        let block = examples.split_once(".Bd -literal -offset indent\n").unwrap().1.split_once(".Ed").unwrap().0;
        block.replace("\\e", "\\")
    };
    fs::create_dir_all(site.path("hosts_436")).unwrap();
    fs::create_dir_all(site.path("includes_436")).unwrap();
    fs::write(site.path("hosts_436/nas"), example("docs/man/436-hosts.5")).unwrap();
    fs::write(site.path("ax436.conf"), example("docs/man/ax436.conf.5")).unwrap();
    let output = site.command("ax436").args(["-t", "ax436.conf"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The name that GitHub gives a heading: lower case, words joined by hyphens, nothing else but letters and digits.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>();
    kept.replace(' ', "-")
}

fn anchors(document: &str) -> BTreeSet<String> {
    prose(&read(document)).lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// A path with `..` taken out.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let folder = Path::new(&document).parent().unwrap();
        for link in prose(&read(&document)).split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_string()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { PathBuf::from(&document) } else { plain(&folder.join(path)) };
            if !root().join(&target).exists() {
                broken.push(format!("{document}: {link} does not exist"));
            } else if !heading.is_empty() && !anchors(target.to_str().unwrap()).contains(heading) {
                broken.push(format!("{document}: {link} has no such heading"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Folders of this repository whose files documents name in code.
const FOLDERS: [&str; 9] = ["src/", "docs/", "tests/", "scripts/", "examples/", "cross/", "fuzz/", "benches/", ".ci/"];

#[test]
fn every_file_that_documents_name_exists() {
    let mut missing = Vec::new();
    for document in documents().iter().filter(|document| *document != "CHANGELOG.md") {
        let text = read(document);
        let commands = ["sh", "text"].iter().flat_map(|language| code_blocks(&text, language)).collect::<Vec<_>>().concat();
        let words = code_spans(&text).into_iter().chain(commands.lines().map(str::to_string));
        for word in words.flat_map(|span| span.split_whitespace().map(str::to_string).collect::<Vec<_>>()) {
            let path = word.trim_start_matches("./").trim_end_matches([':', ',', '.', ';']);
            let is_ours = FOLDERS.iter().any(|folder| path.starts_with(folder)) && !path.contains(['*', '<', '$', '…', '{']);
            if is_ours && !root().join(path).exists() {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_module_that_the_architecture_names_exists() {
    let mut missing = Vec::new();
    for span in code_spans(&read("docs/architecture.md")) {
        let is_module = ["agent/", "server/", "run/", "tail/", "wire/", "fs/", "sys/"].iter().any(|room| span.starts_with(room));
        let file = root().join("src").join(format!("{span}.rs"));
        if is_module && !file.exists() && !root().join("src").join(&span).is_dir() {
            missing.push(span);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_readme_is_short() {
    assert!(read("README.md").lines().count() <= 200);
}

#[test]
fn prose_is_wrapped() {
    let is_written_by_a_script = |document: &str| document.contains("performance") || document.contains("growth");
    for document in [files_in("", ".md"), files_in("docs", ".md")].concat() {
        if is_written_by_a_script(&document) {
            continue;
        }
        for line in prose(&read(&document)).lines().filter(|line| !line.starts_with('|')) {
            assert!(line.chars().count() <= 100, "{document}: {line}");
        }
    }
}

/// What stands in the list of events for that which differs from event to event.
const VARIABLE: [&str; 15] =
    ["A", "B", "COMMAND", "DIRECTIVE", "HOST", "N", "NAME", "PATH", "PATTERN", "R", "REASON", "T1", "T2", "TEXT", "V"];

/// All code of the program, in one text.
fn source() -> String {
    let (mut text, mut folders) = (String::new(), vec![root().join("src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                text += &fs::read_to_string(path).unwrap();
            }
        }
    }
    text
}

#[test]
fn the_events_that_the_documents_list_are_made_by_the_programs() {
    let (document, source) = (read("docs/event-stream.md"), source());
    let tables = document.split("## Events of the agent").nth(1).unwrap();
    let (mut events, mut unknown) = (0, Vec::new());
    for event in tables.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |")).map(|(event, _)| event) {
        events += 1;
        let mut fixed = vec![String::new()];
        for word in event.split(' ') {
            if VARIABLE.contains(&word.trim_matches([':', ',', ';'])) || word.contains("PATH:LINE") {
                fixed.push(String::new());
            } else if let Some(part) = fixed.last_mut() {
                *part += &format!("{word} ");
            }
        }
        let parts = fixed.iter().map(|part| part.trim().trim_end_matches(':'));
        unknown.extend(parts.filter(|part| !source.contains(*part)).map(|part| format!("\"{part}\" of \"{event}\"")));
    }
    assert!(events > 20, "{events} events");
    assert!(unknown.is_empty(), "not in the source: {unknown:#?}");
}

#[test]
fn mandoc_finds_nothing_wrong() {
    let manuals = manuals();
    assert_eq!(manuals.len(), 4, "{manuals:?}");
    let Ok(output) = Command::new("mandoc").args(["-T", "lint"]).args(&manuals).current_dir(root()).output() else {
        return skip("mandoc_finds_nothing_wrong", "there is no command mandoc");
    };
    // Which pages are installed here is not a property of ours.
    let said = String::from_utf8_lossy(&output.stdout);
    let found: Vec<&str> = said.lines().filter(|line| !line.contains("referenced manual not found")).collect();
    assert!(found.is_empty(), "{found:#?}");
}
