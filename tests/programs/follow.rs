//! Following logs: whatever happens to a file, each line arrives once.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{wait_for, Program, Site};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{symlink, MetadataExt};
use std::path::PathBuf;

/// A server and an agent with its configuration in force.
struct Scene {
    site: Site,
    server: Program,
    agent: Program,
}

/// A rule that makes an event of each line in which "line" is found.
fn rule(path: &str, tags: &str) -> String {
    format!("file: {path}\nmatch: line\nalert_all: tags={tags}\n")
}

impl Scene {
    /// `prepare` makes what is in the folder at the start and returns the rules.
    fn new(name: &str, prepare: impl FnOnce(&Site) -> String) -> Self {
        let site = Site::new(&format!("follow-{name}"));
        site.append("clock", "");
        let rules = prepare(&site) + &format!("file: {}\nmatch: tick\nalert_all: tags=CLOCK\n", site.file("clock"));
        site.write("ax436.conf", &site.server_file("127.255.255.255", "event_stream_size: 100000000\n"));
        site.host("h", &rules);
        let (server, agent) = (site.server(), site.agent("h", &[]));
        site.wait_for_configuration("h", 1);
        Self { site, server, agent }
    }

    /// One rule with the tags `T` on a file `log` that holds an old line.
    fn of_one_log(name: &str) -> Self {
        Self::new(name, |site| {
            site.append("log", "an old line\n");
            rule(&site.file("log"), "T")
        })
    }

    fn append_lines(&self, name: &str, numbers: impl Iterator<Item = u32>) {
        self.site.append(name, numbers.map(|n| format!("line {n}\n")).collect::<String>());
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.site.path(from), self.site.path(to)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.site.path(name)
    }

    fn inode(&self, name: &str) -> u64 {
        fs::metadata(self.path(name)).unwrap().ino()
    }

    /// Waits for the lines of these numbers, and checks that each arrived once and nothing else did.
    fn expect_lines(&self, tags: &str, numbers: impl Iterator<Item = u32>) {
        let mut expected: Vec<_> = numbers.map(|n| format!("line {n}")).collect();
        self.site.wait_for_count(tags, expected.len());
        self.site.settle();
        let mut seen = self.site.texts(tags);
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected);
    }

    /// The events about that path's state, except that it is followed.
    fn states(&self, path: &str) -> Vec<String> {
        self.site.texts("SYSTEM").into_iter().filter(|text| text.contains(path) && !text.starts_with("Following")).collect()
    }
}

#[test]
fn a_rotation_by_rename_loses_and_repeats_nothing() {
    let scene = Scene::of_one_log("rename");
    scene.append_lines("log", 1..=3);
    scene.expect_lines("T", 1..=3);
    let before = scene.inode("log");
    scene.append_lines("log", 4..=5);
    scene.rename("log", "log.1");
    scene.append_lines("log", 6..=9);
    assert_ne!(scene.inode("log"), before);
    scene.expect_lines("T", 1..=9);
    assert_eq!(scene.states("log"), [""; 0]);
}

#[test]
fn a_gap_before_the_new_file_loses_and_repeats_nothing() {
    let scene = Scene::of_one_log("gap");
    scene.append_lines("log", 1..=3);
    scene.rename("log", "log.1");
    scene.append_lines("log.1", 4..=5);
    scene.expect_lines("T", 1..=5);
    assert!(!scene.path("log").exists());
    scene.append_lines("log.1", 6..=6);
    scene.append_lines("log", 7..=9);
    scene.expect_lines("T", 1..=9);
}

#[test]
fn copy_and_truncate_loses_and_repeats_nothing() {
    let scene = Scene::of_one_log("copytruncate");
    scene.append_lines("log", 1..=9);
    scene.expect_lines("T", 1..=9);
    let before = scene.inode("log");
    fs::copy(scene.path("log"), scene.path("log.1")).unwrap();
    fs::OpenOptions::new().write(true).truncate(true).open(scene.path("log")).unwrap();
    assert_eq!((scene.inode("log"), fs::metadata(scene.path("log")).unwrap().len()), (before, 0));
    scene.site.settle();
    scene.append_lines("log", 10..=12);
    scene.expect_lines("T", 1..=12);
}

#[test]
fn a_file_cut_and_grown_past_its_old_size_between_two_looks_is_read_whole() {
    let scene = Scene::of_one_log("regrow");
    scene.append_lines("log", 1..=3);
    scene.expect_lines("T", 1..=3);
    let (before, size) = (scene.inode("log"), fs::metadata(scene.path("log")).unwrap().len());
    let lines: String = (4..=60).map(|n| format!("line {n}\n")).collect();
    scene.site.write("log", &lines);
    assert_eq!(scene.inode("log"), before);
    assert!(fs::metadata(scene.path("log")).unwrap().len() > size);
    scene.expect_lines("T", 1..=60);
}

#[test]
fn a_file_removed_and_made_anew_larger_is_read_whole() {
    let scene = Scene::of_one_log("recreate");
    scene.append_lines("log", 1..=3);
    scene.expect_lines("T", 1..=3);
    let (before, size) = (scene.inode("log"), fs::metadata(scene.path("log")).unwrap().len());
    fs::remove_file(scene.path("log")).unwrap();
    scene.append_lines("log", 4..=60);
    assert_ne!(scene.inode("log"), before);
    assert!(fs::metadata(scene.path("log")).unwrap().len() > size);
    scene.expect_lines("T", 1..=60);
}

#[test]
fn lines_of_a_late_writer_to_the_renamed_file_arrive() {
    let scene = Scene::of_one_log("late");
    scene.rename("log", "log.1");
    scene.append_lines("log", 1..=2);
    scene.expect_lines("T", 1..=2);
    assert_ne!(scene.inode("log"), scene.inode("log.1"));
    scene.append_lines("log.1", 3..=4);
    scene.expect_lines("T", 1..=4);
    scene.append_lines("log.1", 5..=5);
    scene.append_lines("log", 6..=6);
    scene.expect_lines("T", 1..=6);
}

#[test]
fn a_line_written_in_two_halves_makes_one_event() {
    let scene = Scene::of_one_log("halves");
    scene.site.append("log", "the first line and");
    scene.site.settle();
    assert_eq!(scene.site.texts("T"), [""; 0]);
    scene.site.append("log", " the second line\n");
    scene.site.wait_for_count("T", 1);
    scene.site.settle();
    assert_eq!(scene.site.texts("T"), ["the first line and the second line"]);
}

#[test]
fn a_half_line_at_the_end_of_a_rotated_file_arrives() {
    let scene = Scene::of_one_log("unended");
    scene.site.append("log", "line 1");
    scene.site.settle();
    assert_eq!(scene.site.texts("T"), [""; 0]);
    scene.rename("log", "log.1");
    scene.append_lines("log", 2..=2);
    scene.expect_lines("T", 1..=2);
    assert!(!fs::read_to_string(scene.path("log.1")).unwrap().ends_with('\n'));
}

#[test]
fn a_file_that_appears_later_is_read_from_its_start() {
    let scene = Scene::new("later", |site| rule(&site.file("log"), "T"));
    scene.site.settle();
    assert!(!scene.path("log").exists());
    scene.append_lines("log", 1..=5);
    scene.expect_lines("T", 1..=5);
}

#[test]
fn a_file_that_vanishes_and_comes_back_is_read_on_and_reported_once() {
    let scene = Scene::of_one_log("vanish");
    scene.append_lines("log", 1..=2);
    scene.expect_lines("T", 1..=2);
    let before = scene.inode("log");
    scene.rename("log", "aside");
    scene.site.wait_for_text("Cannot read");
    scene.site.settle();
    scene.append_lines("aside", 3..=4);
    scene.rename("aside", "log");
    assert_eq!(scene.inode("log"), before);
    scene.site.wait_for_text("again");
    scene.expect_lines("T", 1..=4);
    let log = scene.site.file("log");
    assert_eq!(scene.states(&log), [format!("Cannot read {log}: No such file or directory"), format!("Can read {log} again")]);
}

#[test]
fn a_file_that_takes_its_name_back_is_not_read_again() {
    let scene = Scene::of_one_log("back");
    scene.append_lines("log", 1..=2);
    scene.expect_lines("T", 1..=2);
    let before = scene.inode("log");
    scene.rename("log", "aside");
    scene.append_lines("log", 3..=4);
    scene.expect_lines("T", 1..=4);
    assert_ne!(scene.inode("log"), before);
    scene.rename("aside", "log");
    scene.append_lines("log", 5..=6);
    assert_eq!(scene.inode("log"), before);
    scene.expect_lines("T", 1..=6);
}

#[test]
fn a_switched_link_is_followed_to_the_other_file() {
    let scene = Scene::new("link", |site| {
        site.append("a", "an old line\n");
        symlink("a", site.path("link")).unwrap();
        rule(&site.file("link"), "T")
    });
    scene.append_lines("a", 1..=2);
    scene.expect_lines("T", 1..=2);
    let before = scene.inode("link");
    scene.append_lines("b", 3..=4);
    symlink("b", scene.path("new")).unwrap();
    scene.append_lines("a", 5..=5);
    scene.rename("new", "link");
    assert_eq!(scene.inode("link"), scene.inode("b"));
    assert_ne!(scene.inode("link"), before);
    scene.expect_lines("T", 1..=5);
    let link = scene.site.file("link");
    assert!(scene.site.events().iter().filter(|event| event.tags == "T").all(|event| event.file == link));
}

#[test]
fn a_line_of_any_length_makes_one_event_and_spares_the_next() {
    let scene = Scene::of_one_log("long");
    for length in [70_000, 300_000] {
        let long = format!("line {}", "x".repeat(length));
        scene.site.append("log", long + "\n");
        scene.append_lines("log", 1..=2);
    }
    let texts = scene.site.wait_for_count("T", 6);
    scene.site.settle();
    assert_eq!(scene.site.texts("T").len(), 6);
    let cut = format!("line {}", "x".repeat(8 * 1024 - 5));
    assert_eq!(texts, [&*cut, "line 1", "line 2", &*cut, "line 1", "line 2"]);
}

#[test]
fn bytes_of_any_kind_arrive_sanitized() {
    let scene = Scene::of_one_log("bytes");
    for (written, text) in [
        (&b"line \xff\xfe end\n"[..], "line \u{fffd}\u{fffd} end"),
        (b"line of windows\r\n", "line of windows"),
        (b"line \x1b[31mred\x07\tand\0nul\n", "line \u{fffd}[31mred\u{fffd} and\u{fffd}nul"),
        ("line with 100%%, ünïcode\n".as_bytes(), "line with 100%%, ünïcode"),
        (b"line\rforged%%h%%1_1%%1%%X%%NULL%%y\n", "line\u{fffd}forged%%h%%1_1%%1%%X%%NULL%%y"),
        (b"  \t line with space around  \n", "line with space around"),
    ] {
        let before = scene.site.texts("T").len();
        scene.site.append("log", written);
        let texts = scene.site.wait_for_count("T", before + 1);
        assert_eq!(texts[before..], [text]);
    }
}

#[test]
fn a_folder_in_the_place_of_a_file_is_reported_when_that_begins_and_ends() {
    let scene = Scene::new("folder", |site| {
        fs::create_dir(site.path("log")).unwrap();
        rule(&site.file("log"), "T")
    });
    scene.site.wait_for_text("Cannot read");
    scene.site.settle();
    fs::remove_dir(scene.path("log")).unwrap();
    scene.append_lines("log", 1..=3);
    scene.site.wait_for_text("again");
    scene.expect_lines("T", 1..=3);
    let log = scene.site.file("log");
    assert_eq!(scene.states(&log), [format!("Cannot read {log}: it is a directory, not a regular file"), format!("Can read {log} again")]);
}

#[test]
fn several_rules_on_one_file_each_see_every_line() {
    let scene = Scene::new("several", |site| {
        let log = site.file("log");
        site.append("log", "an old line\n");
        let mut rules: Vec<_> = ["A", "B"].iter().map(|tags| rule(&log, tags)).collect();
        rules.push(format!("file: {log}\nmatch: ^line 1$\nmatch: ^line 3$\nalert_all: tags=C message=One or three\n"));
        rules.push(format!("file: {log}\nmatch: line\nignore: [13]$\nignore: 5\nalert_all: tags=D\n"));
        rules.concat()
    });
    scene.append_lines("log", 1..=6);
    scene.expect_lines("A", 1..=6);
    scene.expect_lines("B", 1..=6);
    scene.expect_lines("D", [2, 4, 6].into_iter());
    assert_eq!(scene.site.texts("C"), ["One or three"; 2]);
    let log = scene.path("log");
    assert_eq!(scene.agent.open_files().iter().filter(|open| **open == log).count(), 1);
}

#[test]
fn a_burst_of_twenty_thousand_lines_arrives_whole() {
    let scene = Scene::of_one_log("burst");
    scene.append_lines("log", 1..=20_000);
    scene.expect_lines("T", 1..=20_000);
}

#[test]
fn a_new_configuration_in_the_middle_of_a_burst_loses_nothing() {
    let scene = Scene::of_one_log("middle");
    let rules = fs::read_to_string(scene.path("hosts/h")).unwrap();
    scene.append_lines("log", 1..=8_000);
    for round in 1..=3 {
        scene.site.wait_for_count("T", 100);
        let other = scene.site.file(&format!("other{round}"));
        // In front, so that every log gets another number than before.
        scene.site.host("h", &(rule(&other, "OTHER") + &rules));
        scene.site.wait_for_configuration("h", 1 + round);
        let last = u32::try_from(round).unwrap() * 2_000 + 8_000;
        scene.append_lines("log", last - 1_999..=last);
    }
    scene.expect_lines("T", 1..=14_000);
}

#[test]
fn rotations_while_the_server_is_away_lose_nothing() {
    let Scene { site, server, agent } = Scene::of_one_log("outage");
    let append_lines = |first: u32| site.append("log", (first..first + 600).map(|n| format!("line {n}\n")).collect::<String>());
    server.kill();
    // More lines than the agent keeps: the others wait in the files.
    append_lines(1);
    for round in 1..=2 {
        fs::rename(site.path("log"), site.path(&format!("log.{round}"))).unwrap();
        append_lines(round * 600 + 1);
        wait_for("the agent to hold the new file", || agent.open_files().contains(&site.path("log")).then_some(()));
    }
    let held: HashSet<_> = agent.open_files().into_iter().filter(|path| path.starts_with(&site.folder)).collect();
    assert!(["log", "log.1", "log.2"].iter().all(|name| held.contains(&site.path(name))), "{held:?}");
    assert_eq!(site.texts("T"), [""; 0]);
    let server = site.server();
    Scene { site, server, agent }.expect_lines("T", 1..=1800);
}

#[test]
fn a_wildcard_follows_files_that_are_there_and_files_that_come() {
    let scene = Scene::new("glob", |site| {
        site.append("a.txt", "an old line\n");
        site.append("b.txt", "an old line\n");
        rule(&site.file("*.txt"), "T")
    });
    scene.append_lines("a.txt", 1..=2);
    scene.append_lines("b.txt", 3..=4);
    scene.append_lines("c.txt", 5..=6);
    fs::create_dir(scene.path("folder.txt")).unwrap();
    scene.expect_lines("T", 1..=6);
    let events = scene.site.events();
    for (text, file) in [("line 1", "a.txt"), ("line 3", "b.txt"), ("line 6", "c.txt")] {
        let event = events.iter().find(|event| event.tags == "T" && event.text == text).unwrap();
        assert_eq!(event.file, scene.site.file(file));
    }
    let before = scene.inode("c.txt");
    scene.rename("c.txt", "d.txt");
    scene.append_lines("d.txt", 7..=8);
    assert_eq!(scene.inode("d.txt"), before);
    scene.expect_lines("T", 1..=8);
}

#[test]
fn a_file_that_a_wildcard_finds_under_two_names_is_read_once() {
    let scene = Scene::new("alias", |site| {
        site.append("a.1", "an old line\n");
        symlink("a.1", site.path("a.current")).unwrap();
        rule(&site.file("a.*"), "T")
    });
    scene.append_lines("a.1", 1..=2);
    scene.expect_lines("T", 1..=2);
    assert_eq!(scene.inode("a.1"), scene.inode("a.current"));
    scene.append_lines("a.2", 3..=4);
    symlink("a.2", scene.path("new")).unwrap();
    scene.rename("new", "a.current");
    scene.append_lines("a.1", 5..=6);
    scene.expect_lines("T", 1..=6);
    scene.append_lines("a.1", 7..=8);
    scene.append_lines("a.2", 9..=10);
    scene.expect_lines("T", 1..=10);
}

#[test]
fn a_file_that_leaves_a_wildcard_is_no_fault() {
    let scene = Scene::new("gone", |site| {
        site.append("a.txt", "an old line\n");
        site.append("b", "");
        rule(&site.file("*.txt"), "T") + &rule(&site.file("b"), "B")
    });
    scene.append_lines("a.txt", 1..=2);
    scene.expect_lines("T", 1..=2);
    fs::remove_file(scene.path("a.txt")).unwrap();
    // A vanished file that no wildcard names is reported.
    scene.append_lines("b", 1..=1);
    scene.expect_lines("B", 1..=1);
    fs::remove_file(scene.path("b")).unwrap();
    let gone = format!("Cannot read {}: No such file or directory", scene.site.file("b"));
    wait_for("the other to be missed", || (*scene.states(&scene.site.file("b")).last()? == gone).then_some(()));
    scene.site.settle();
    assert_eq!(scene.states(".txt"), [""; 0]);
    scene.append_lines("a.txt", 3..=4);
    scene.expect_lines("T", 1..=4);
}

#[test]
fn a_rotation_within_a_wildcard_loses_and_repeats_nothing() {
    let scene = Scene::new("chain", |site| {
        site.append("log", "an old line\n");
        site.append("log.1", "an old line\n");
        rule(&site.file("log*"), "T")
    });
    scene.append_lines("log", 1..=3);
    scene.expect_lines("T", 1..=3);
    for round in 1..=3 {
        let (first, second) = (scene.inode("log"), scene.inode("log.1"));
        scene.append_lines("log", round * 10..=round * 10 + 2);
        scene.rename("log.1", "log.2");
        scene.rename("log", "log.1");
        scene.append_lines("log.1", round * 10 + 3..=round * 10 + 4);
        scene.append_lines("log", round * 10 + 5..=round * 10 + 9);
        assert_eq!((scene.inode("log.1"), scene.inode("log.2")), (first, second));
        scene.expect_lines("T", (1..=3).chain(10..=round * 10 + 9));
    }
    assert_eq!(scene.states("log"), [""; 0]);
}

/// Copies a log of a wildcard to another name of it and truncates the log, two times. `is_slow` waits for the next look before each
/// step.
fn copy_and_cut_within_a_wildcard(name: &str, pattern: &str, copy: &str, is_slow: bool) {
    let scene = Scene::new(name, |site| {
        site.append("app.txt", "an old line\n");
        rule(&site.file(pattern), "T")
    });
    let settle = || {
        if is_slow {
            scene.site.settle()
        }
    };
    let mut expected = Vec::new();
    for first in [1000, 2000] {
        scene.append_lines("app.txt", first..=first + 400);
        expected.extend(first..=first + 400);
        scene.expect_lines("T", expected.iter().copied());
        let content = fs::read(scene.path("app.txt")).unwrap();
        let (one, other) = content.split_at(content.len() / 2 + 3);
        // The second time in the place of the first copy.
        fs::write(scene.path(copy), one).unwrap();
        settle();
        scene.site.append(copy, other);
        settle();
        scene.site.write("app.txt", "");
        settle();
    }
    scene.append_lines("app.txt", 3000..=3005);
    expected.extend(3000..=3005);
    scene.expect_lines("T", expected.iter().copied());
    assert_eq!(scene.states(".txt"), [""; 0]);
}

#[test]
fn a_copy_within_a_wildcard_is_not_read_again() {
    copy_and_cut_within_a_wildcard("copied", "app*", "app.txt.1", false);
}

#[test]
fn a_copy_that_is_made_slowly_within_a_wildcard_is_not_read_again() {
    copy_and_cut_within_a_wildcard("copied-slowly", "*.txt", "app-20261125.txt", true);
}

#[test]
fn a_copy_within_a_wildcard_may_have_any_name() {
    copy_and_cut_within_a_wildcard("copied-anyhow", "*.txt", "backup.txt", true);
}

#[test]
fn a_copy_that_was_made_within_a_wildcard_while_the_agent_did_not_run_is_read_on() {
    for (name, copy) in [("copied-down", "app.txt.1"), ("copied-down-anyhow", "backup.txt")] {
        let Scene { site, server, agent } = Scene::new(name, |site| {
            site.append("app.txt", "an old line\n");
            rule(&site.file("*.txt*"), "T")
        });
        site.append("app.txt", "line 1\nline 2\n");
        site.wait_for_count("T", 2);
        site.settle();
        assert_eq!(agent.terminate(), 0);
        site.append("app.txt", "line 3\n");
        fs::copy(site.path("app.txt"), site.path(copy)).unwrap();
        site.write("app.txt", "line 4\n");
        let scene = Scene { agent: site.agent("h", &[]), site, server };
        scene.expect_lines("T", 1..=4);
        assert_eq!(scene.states(".txt"), [""; 0], "{copy}");
    }
}

#[test]
fn blocks_count_lines_and_report_too_many_and_none() {
    let scene = Scene::new("blocks", |site| {
        let log = site.file("log");
        site.append("log", "an old line\n");
        let group = |alert: &str| format!("file: {log}\nmatch: line\n{alert}\n");
        group("alert_n: tags=MANY threshold=2 seconds=10 message=More than two")
            + &group("alert_inactive: tags=NONE seconds=10 message=Not one")
            + &group("alert_count: tags=COUNT seconds=10")
    });
    let wait_for_block = |count: &str| {
        let before = scene.site.texts("COUNT").len();
        wait_for(&format!("a block of {count}"), || scene.site.texts("COUNT")[before..].contains(&count.to_string()).then_some(()));
    };
    wait_for_block("0");
    scene.append_lines("log", 1..=3);
    wait_for_block("3");
    scene.append_lines("log", 1..=2);
    wait_for_block("2");
    wait_for_block("0");
    let events = scene.site.events();
    let last = events.iter().filter(|event| event.tags == "COUNT").map(|event| event.unix).max().unwrap();
    let texts = |tags: &str| -> Vec<_> {
        events.iter().filter(|event| event.tags == tags && event.unix <= last).map(|event| event.text.as_str()).collect()
    };
    let counts: Vec<_> = texts("COUNT");
    assert_eq!(counts.iter().filter(|count| **count != "0").collect::<Vec<_>>(), [&"3", &"2"], "{counts:?}");
    assert_eq!(texts("MANY"), ["More than two"]);
    assert_eq!(texts("NONE"), vec!["Not one"; counts.len() - 2], "{counts:?}");
    let log = scene.site.file("log");
    assert!(events.iter().filter(|event| ["COUNT", "MANY", "NONE"].contains(&&*event.tags)).all(|event| event.file == log));
}

#[test]
fn a_file_that_is_excluded_is_not_followed() {
    let scene = Scene::new("excluded", |site| {
        site.append("app.log", "");
        site.append("app.gz", "");
        format!("file: {}\nexclude: *.gz\nmatch: line\nalert_all: tags=T\n", site.file("app.*"))
    });
    scene.append_lines("app.gz", 1..10);
    scene.append_lines("app.new.gz", 1..10);
    scene.append_lines("app.log", 10..12);
    scene.expect_lines("T", 10..12);
}

#[test]
fn an_agent_that_follows_the_event_stream_of_its_server_does_not_feed_itself() {
    for format in ["classic", "json"] {
        let site = Site::new(&format!("feedback-{format}"));
        site.write("ax436.conf", &site.server_file("127.255.255.255", &format!("event_format: {format}\n")));
        site.append("log", "");
        let rules = [("log", "LOG"), ("events.log", "ECHO"), ("events.lo?", "AGAIN")]
            .map(|(name, tags)| format!("file: {}\nmatch: error\nalert_all: tags={tags}\n", site.file(name)));
        site.host("h", &rules.concat());
        let (_server, _agent) = (site.server(), site.agent("h", &[]));
        let stream = || std::fs::read_to_string(site.path("events.log")).unwrap_or_default();
        wait_for("the configuration", || stream().contains("in force: 3 rules").then_some(()));
        wait_for("the logs", || (stream().matches(" from its end").count() >= 2).then_some(()));
        for number in 1..=3 {
            site.append("log", format!("error {number}\n"));
            wait_for("the event", || stream().contains(&format!("error {number}")).then_some(()));
        }
        wait_for("an event of each rule that says so", || {
            (stream().matches("has events of this host: they are not matched").count() == 2).then_some(())
        });
        site.append("log", "error 4\n");
        wait_for("the event", || stream().contains("error 4").then_some(()));
        let of_rules = |stream: &str| stream.lines().filter(|line| line.contains(";line") || line.contains("\"line\"")).count();
        assert_eq!(of_rules(&stream()), 4, "{}", stream());
    }
}
