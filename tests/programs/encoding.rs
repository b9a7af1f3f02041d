//! Logs of Windows tools and of coloured consoles: what patterns see, what is told, and that each line arrives once.

use crate::harness::{pause, Site};
use project436::hash::Fnv1a;
use project436::wire::position::Base36;
use std::process::Output;
use std::time::Duration;

/// A text in UTF-16 as Windows writes it.
fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn site(name: &str, rules: impl FnOnce(&Site) -> String) -> Site {
    let site = Site::new(&format!("encoding-{name}"));
    site.append("clock", "");
    let rules = rules(&site) + &format!("file: {}\nmatch: tick\nalert_all: tags=CLOCK\n", site.file("clock"));
    site.host("h", &rules);
    site
}

fn run(site: &Site, arguments: &[&str]) -> Output {
    site.command("ax436").args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn lines_in_utf_16_arrive_once_though_they_are_written_in_halves_and_the_agent_is_killed() {
    let site = site("halves", |site| {
        site.append("log", wide("\u{feff}an old line\r\n"));
        format!("file: {}\nencoding: utf-16\nmatch: ^line \\d+ ñ漢🚀 ਊ$\nalert_all: tags=T\n", site.file("log"))
    });
    let (_server, mut agent) = (site.server(), site.agent("h", &[]));
    site.wait_for_configuration("h", 1);
    let mut expected = Vec::new();
    for number in 1..=8 {
        let text = format!("line {number} ñ漢🚀 ਊ");
        let bytes = wide(&format!("{text}\r\n"));
        // Within a character, also within the newline and within a pair of units.
        let cut = [7, 15, 18, 20, 27, bytes.len() - 1, bytes.len() - 2, bytes.len() - 3][number - 1];
        site.append("log", &bytes[..cut]);
        if number % 2 == 0 {
            pause(Duration::from_millis(200));
            agent.kill();
            agent = site.agent("h", &[]);
        }
        site.append("log", &bytes[cut..]);
        expected.push(text);
        if number == 5 {
            site.wait_for_count("T", number);
            std::fs::rename(site.path("log"), site.path("log.1")).unwrap();
            site.append("log", wide("\u{feff}"));
        }
    }
    site.wait_for_count("T", expected.len());
    site.settle();
    let mut seen = site.texts("T");
    seen.sort();
    assert_eq!(seen, expected);
    // The uid is that of the bytes in the log, by which a server's places are found again.
    let last = site.events().into_iter().find(|event| event.text == expected[7]).unwrap();
    let (end, line) = (site.path("log").metadata().unwrap().len(), Fnv1a::of_line(&wide(&expected[7])));
    let tail = format!(".{}.{}", Base36(end), Base36(line.into()));
    assert!(last.uid.contains(&format!("{tail};")), "{} {tail}", last.uid);
    let told = site.texts("SYSTEM").into_iter().filter(|text| text.contains("UTF-16") || text.contains("lines may be missing"));
    assert_eq!(told.collect::<Vec<_>>(), [""; 0]);
    drop(agent);
}

#[test]
fn utf_16_that_no_group_expects_is_told_and_the_directive_goes_on_where_reading_is() {
    let group = |site: &Site, name: &str, more: &str| format!("file: {}\n{more}match: ^line\nalert_all: tags=T\n", site.file(name));
    let rules = |site: &Site, more: &str| group(site, "marked", more) + &group(site, "plain", "");
    let site = site("told", |site| {
        site.append("marked", wide("\u{feff}old\r\n"));
        site.append("plain", "old\n");
        rules(site, "")
    });
    let (_server, _agent) = (site.server(), site.agent("h", &[]));
    let marked = site.file("marked");
    site.wait_for_text(&format!("{marked} is UTF-16 and is read as UTF-8: its groups need encoding: utf-16"));
    site.append("marked", wide("line 1\r\n"));
    site.append("plain", "line a\n");
    site.wait_for_count("T", 1);
    site.settle();
    assert_eq!(site.texts("T"), ["line a"]);
    assert_eq!(site.texts("SYSTEM").iter().filter(|text| text.contains("UTF-16")).count(), 1, "once for each file");
    site.append("marked", wide("line "));
    site.host("h", &(rules(&site, "encoding: utf-16\n") + &format!("file: {}\nmatch: tick\nalert_all: tags=CLOCK\n", site.file("clock"))));
    site.wait_for_configuration("h", 2);
    site.append("marked", wide("2\r\nline 3\r\n"));
    assert_eq!(site.wait_for_count("T", 3), ["line a", "line 2", "line 3"]);
    assert_eq!(site.texts("SYSTEM").iter().filter(|text| text.starts_with("Following")).count(), 3, "no log begins anew");
}

#[test]
fn what_is_no_utf_16_is_told_and_everything_else_goes_on() {
    let site = site("not", |site| {
        site.append("log", "a plain line\n".repeat(20));
        format!("file: {}\nencoding: utf-16le\nmatch: line\nalert_all: tags=T\n", site.file("log"))
    });
    let (_server, _agent) = (site.server(), site.agent("h", &[]));
    site.wait_for_text(&format!("{} is no UTF-16, and its encoding: says utf-16le", site.file("log")));
    site.append("log", "a plain line\n".repeat(20_000));
    site.wait_for_text("longer than 64 KiB");
    site.append("clock", "tick\n");
    site.wait_for_count("CLOCK", 1);
    assert_eq!(site.texts("T"), [""; 0]);
}

#[test]
fn escape_sequences_are_stripped_from_files_and_from_what_commands_print() {
    let site = site("strip", |site| {
        site.append("log", "");
        site.append("printed", wide("\u{feff}"));
        let (log, printed) = (site.file("log"), site.file("printed"));
        format!(
            "file: {log}\nstrip: ansi\nmatch: ^ERROR\nalert_all: tags=FILE\n\
             file: |tail -c +1 -f {printed}\nencoding: utf-16\nstrip: ansi\nmatch: ^ERROR\nalert_all: tags=PRINTED\n"
        )
    });
    let (_server, agent) = (site.server(), site.agent("h", &[]));
    site.wait_for_configuration("h", 1);
    let lines = "\x1b[1;31mERROR\x1b[0m disk \x1b]8;;http://a/\x07sda\x1b]8;;\x07\n\x1b]0;unfinished\nERROR \x1b[\n";
    site.append("log", lines);
    let bytes = wide(lines);
    for half in bytes.chunks(bytes.len() / 2 + 1) {
        site.append("printed", half);
        pause(Duration::from_millis(200));
    }
    for tags in ["FILE", "PRINTED"] {
        assert_eq!(site.wait_for_count(tags, 2), ["ERROR disk sda", "ERROR \u{fffd}["], "{tags}");
    }
    // Else the command goes on.
    agent.terminate();
}

#[test]
fn rules_are_tried_on_a_log_as_they_read_it_and_bad_ones_are_named() {
    let site = Site::new("encoding-try");
    let group = |more: &str, tags: &str| format!("file: /{tags}\n{more}match: ^ERROR (disk|x)$\nalert_all: tags={tags}\n");
    site.host("good", &(group("encoding: utf-16\nstrip: ansi\n", "BOTH") + &group("encoding: utf-16\n", "WIDE") + &group("", "NONE")));
    site.append("wide.log", wide("\u{feff}\x1b[1mERROR\x1b[m disk\r\nERROR x\r\nfine\r\n\x1b[2mERROR\x1b[m x"));
    let tried = run(&site, &["-T", "hosts/good", "wide.log"]);
    let mut lines: Vec<String> = out(&tried).lines().map(str::to_string).collect();
    lines.sort();
    let mut expected = vec![
        "wide.log is UTF-16 and is read as UTF-8: its groups need encoding: utf-16",
        "BOTH%%/BOTH%%ERROR disk",
        "BOTH%%/BOTH%%ERROR x",
        "BOTH%%/BOTH%%ERROR x",
        "WIDE%%/WIDE%%ERROR x",
        "3 lines matched: file: /BOTH match: ^ERROR (disk|x)$ tags=BOTH",
        "1 lines matched: file: /WIDE match: ^ERROR (disk|x)$ tags=WIDE",
        "0 lines matched: file: /NONE match: ^ERROR (disk|x)$ tags=NONE",
        "found in no line: ^ERROR (disk|x)$",
    ];
    expected.sort_unstable();
    assert_eq!((lines, tried.status.code()), (expected.iter().map(ToString::to_string).collect(), Some(0)));
    site.write("plain.log", &"a plain line of a log\n".repeat(9));
    let tried = out(&run(&site, &["-T", "hosts/good", "plain.log"]));
    assert!(tried.contains("plain.log is no UTF-16, and its encoding: says utf-16\n"), "{tried}");
    // What `-t` says of directives that cannot be meant.
    site.host("good", &group("encoding: utf-16\n", "WIDE"));
    site.host(
        "bad",
        &(group("encoding: latin1\n", "A") + &group("strip: html\n", "B") + &group("encoding: utf-16\n", "C") + &group("", "C")),
    );
    let checked = out(&run(&site, &["-t", "ax436.conf"]));
    for fault in [
        "hosts/bad:2: encoding: is utf-8, utf-16, utf-16le or utf-16be, got \"latin1\"\n",
        "hosts/bad:6: strip: is ansi, got \"html\"\n",
        "hosts/bad:15: alert_all: /C has encoding: utf-8, and encoding: utf-16 in the group at hosts/bad:9: all groups of a log read it alike\n",
    ] {
        assert!(checked.contains(fault), "{fault}{checked}");
    }
    assert!(!checked.contains("hosts/good"), "{checked}");
}
