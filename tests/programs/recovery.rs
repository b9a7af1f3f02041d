//! What a server restores from the files of its earlier runs, whole or torn.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{lines_of, wait_for, Program, Site};
use crate::raw::{alert, Peer};
use std::fs;

/// A server and an agent that has read two lines.
fn begun(name: &str, more: &str) -> (Site, Program, Program) {
    begun_with(name, more, "app.log")
}

/// The same, where the log has that path or wildcard.
fn begun_with(name: &str, more: &str, log: &str) -> (Site, Program, Program) {
    let site = Site::new(&format!("recovery-{name}"));
    site.write("ax436.conf", &site.server_file("127.255.255.255", more));
    site.append("app.log", "");
    site.host("h", &format!("file: {}\nmatch: line\nalert_all: tags=T\n", site.file(log)));
    let (server, agent) = (site.server(), site.agent("h", &[]));
    wait_for("the log is followed", || stream(&site).contains("Following ").then_some(()));
    site.append("app.log", "line 1\nline 2\n");
    wait_for_lines(&site, 2);
    (site, server, agent)
}

fn stream(site: &Site) -> String {
    lines_of(&site.path("events.log")).into_iter().map(|line| line + "\n").collect()
}

/// The numbers of the lines with events in the stream, in its order, repeats included.
fn lines(site: &Site) -> Vec<u32> {
    let number = |line: &str| line.split_once("line ")?.1.trim_end_matches(['"', '}']).parse().ok();
    stream(site).lines().filter_map(number).collect()
}

fn wait_for_lines(site: &Site, count: usize) {
    wait_for(&format!("{count} lines"), || (lines(site).len() >= count).then_some(()));
}

/// Kills both, has `damage` change the files, appends lines 3 and 4 and starts both again.
fn expect_all_lines_once(name: &str, more: &str, damage: impl FnOnce(&Site)) -> Site {
    let (site, server, agent) = begun(name, more);
    server.kill();
    agent.kill();
    damage(&site);
    site.append("app.log", "line 3\nline 4\n");
    let (_server, _agent) = (site.server(), site.agent("h", &[]));
    wait_for_lines(&site, 4);
    site.append("app.log", "line 5\n");
    wait_for_lines(&site, 5);
    assert_eq!(lines(&site), [1, 2, 3, 4, 5]);
    site
}

#[test]
fn after_a_kill_without_a_snapshot_both_programs_continue_from_the_stream() {
    expect_all_lines_once("none", "", |site| assert!(!site.path("events.log.state").exists()));
    expect_all_lines_once("none-json", "event_format: json\n", |site| assert!(!site.path("events.log.state").exists()));
}

#[test]
fn a_torn_batch_is_cut_off_and_its_events_are_sent_again() {
    for (name, more, is_line_torn) in [("torn-line", "", true), ("torn-batch", "", false), ("torn-json", "event_format: json\n", false)] {
        let site = expect_all_lines_once(name, more, |site| {
            let text = fs::read_to_string(site.path("events.log")).unwrap();
            let (before, last) = text.trim_end().rsplit_once('\n').unwrap();
            assert!(last.contains("line 2") && before.lines().last().unwrap().contains("line 1"));
            // The write of the two events was torn, so they were never acknowledged.
            let torn = if is_line_torn { &text[..text.len() - 4] } else { &text[..=before.len()] };
            fs::write(site.path("events.log"), torn).unwrap();
        });
        assert!(!more.is_empty() || stream(&site).lines().all(|line| line.splitn(7, "%%").count() == 7), "every line is whole");
    }
}

/// Puts a server file in force that names the form of the stream.
fn switch(site: &Site, more: &str) {
    site.write("ax436.conf", &site.server_file("127.255.255.255", more));
}

const JSON: &str = "event_format: json\n";

#[test]
fn after_a_kill_the_form_of_the_stream_may_change() {
    for (name, before, after) in [("to-json", "", JSON), ("to-classic", JSON, "")] {
        // Once with a whole batch at the end, once with a torn one.
        for is_torn in [false, true] {
            let site = expect_all_lines_once(&format!("{name}-{is_torn}"), before, |site| {
                let text = fs::read_to_string(site.path("events.log")).unwrap();
                let (whole, last) = text.trim_end().rsplit_once('\n').unwrap();
                assert!(last.contains("line 2") && whole.lines().last().unwrap().contains("line 1"));
                if is_torn {
                    fs::write(site.path("events.log"), &text[..=whole.len()]).unwrap();
                }
                switch(site, after);
            });
            let text = stream(&site);
            assert!(text.contains("\n{\"received") || text.starts_with('{'), "{text}");
            assert!(text.lines().any(|line| line.splitn(7, "%%").count() == 7), "{text}");
        }
    }
}

#[test]
fn a_damaged_snapshot_is_logged_and_costs_no_event() {
    let (site, server, agent) = begun("damaged", "");
    // The server writes a snapshot when it ends.
    assert_eq!((server.terminate(), agent.terminate()), (0, 0));
    let snapshot = fs::read(site.path("events.log.state")).unwrap();
    fs::write(site.path("events.log.state"), &snapshot[..snapshot.len() / 2]).unwrap();
    site.append("app.log", "line 3\n");
    let (server, _agent) = (site.server(), site.agent("h", &[]));
    wait_for_lines(&site, 3);
    assert_eq!(lines(&site), [1, 2, 3]);
    assert!(server.log_text().contains("events.log.state is damaged"), "{}", server.log_text());
}

#[test]
fn positions_outlive_the_stream_lines_that_recorded_them() {
    let (site, server, agent) = begun("rolled-away", "");
    assert_eq!((server.terminate(), agent.terminate()), (0, 0));
    assert!(site.path("events.log.state").exists());
    fs::remove_file(site.path("events.log")).unwrap();
    site.append("app.log", "line 3\n");
    let (_server, _agent) = (site.server(), site.agent("h", &[]));
    wait_for_lines(&site, 1);
    site.append("app.log", "line 4\n");
    wait_for_lines(&site, 2);
    assert_eq!(lines(&site), [3, 4]);
    assert!(!stream(&site).contains("Following "), "it is not followed for the first time");
}

#[test]
fn a_server_that_lost_everything_starts_logs_at_their_end_and_reports_it() {
    let (site, server, agent) = begun("lost", "");
    assert_eq!((server.terminate(), agent.terminate()), (0, 0));
    for name in ["events.log", "events.log.state", "events.log.state.old"] {
        let _ = fs::remove_file(site.path(name));
    }
    site.append("app.log", "line 3\n");
    let (_server, _agent) = (site.server(), site.agent("h", &[]));
    wait_for("the log is followed", || stream(&site).contains("Following ").then_some(()));
    site.append("app.log", "line 4\n");
    wait_for_lines(&site, 1);
    assert_eq!(lines(&site), [4]);
}

#[test]
fn a_version_1_repeat_is_recognised_after_a_restart() {
    for (name, more, then) in
        [("classic", "", ""), ("classic-json", JSON, JSON), ("classic-to-json", "", JSON), ("json-to-classic", JSON, "")]
    {
        let (site, server, _agent) = begun(name, more);
        let peer = Peer::of_server(site.port);
        let event = alert("h", "1795347336_7", "PYTHON", "from version 1 %% ü");
        peer.ask(&event, "ACK%%1795347336_7");
        server.kill();
        switch(&site, then);
        let _server = site.server();
        peer.ask(&event, "ACK%%1795347336_7");
        assert_eq!(stream(&site).matches("PYTHON").count(), 1, "{name}");
        peer.ask(&event.replace("_7", "_8"), "ACK%%1795347336_8");
        assert_eq!(stream(&site).matches("PYTHON").count(), 2, "{name}: another is another");
    }
}

/// The rule for marks follows the same log: lines behind a mark in one write are read when the mark's event is there.
fn marked(site: &Site, rules: &str) -> String {
    let log = site.file("app.log");
    format!("file: {log}\nmatch: mark\nalert_all: tags=MARK\n{}", rules.replace("LOG", &log))
}

#[test]
fn a_line_is_counted_once_however_the_agent_ends() {
    let site = Site::new("recovery-counts");
    site.append("app.log", "");
    site.host("h", &marked(&site, "file: LOG\nmatch: hit\nalert_count: tags=COUNT seconds=60\n"));
    let (_server, agent) = (site.server(), site.agent("h", &[]));
    site.wait_for_text("Following ");
    site.append("app.log", "hit 1\nhit 2\nhit 3\nmark 1\n");
    site.wait_for_text("mark 1");
    agent.kill();
    site.append("app.log", "hit 4\n");
    let agent = site.agent("h", &[]);
    site.append("app.log", "hit 5\nmark 2\nhit 6\n");
    site.wait_for_text("mark 2");
    assert_eq!(agent.terminate(), 0);
    let _agent = site.agent("h", &[]);
    site.append("app.log", "hit 7\nmark 3\n");
    site.wait_for_text("mark 3");
    let counts = wait_for("a block without lines after the others", || {
        let counts = site.texts("COUNT");
        (counts.len() > 1 && counts.last().is_some_and(|last| last == "0")).then_some(counts)
    });
    assert_eq!(counts.iter().map(|count| count.parse::<u32>().unwrap()).sum::<u32>(), 7, "{counts:?}");
}

#[test]
fn a_new_rule_makes_no_event_of_lines_that_were_read_before_the_agent_ended() {
    let site = Site::new("recovery-new-rule");
    site.append("app.log", "");
    site.host("h", &marked(&site, ""));
    let (_server, agent) = (site.server(), site.agent("h", &[]));
    site.wait_for_text("Following ");
    site.append("app.log", "mark 1\nerror 1\nerror 2\n");
    site.wait_for_text("mark 1");
    assert_eq!(agent.terminate(), 0);
    site.host("h", &marked(&site, "file: LOG\nmatch: error\nalert_all: tags=ERROR\n"));
    let _agent = site.agent("h", &[]);
    site.wait_for_text("2 rules");
    site.append("app.log", "error 3\nmark 2\n");
    site.wait_for_text("mark 2");
    assert_eq!(site.texts("ERROR"), ["error 3"]);
}

#[test]
fn after_a_power_cut_reading_goes_on_at_the_end_of_what_is_left() {
    let appended = "line 1001\nline 1002\n";
    for (name, log, appended) in
        [("power-cut", "app.log", ""), ("power-cut-appended", "app.log", appended), ("power-cut-wildcard", "app*.log", appended)]
    {
        let (site, _server, agent) = begun_with(name, "", log);
        site.append("app.log", (3..=1000).map(|number| format!("line {number}\n")).collect::<String>());
        wait_for_lines(&site, 1000);
        agent.kill();
        // What was read last had not been written to the disk.
        let text = fs::read_to_string(site.path("app.log")).unwrap();
        let left = text.find("line 777\n").unwrap();
        site.write("app.log", &format!("{}{appended}", &text[..left]));
        let _agent = site.agent("h", &[]);
        let gone = site.wait_for_text(" bytes that were read are gone from the file");
        assert!(gone.text.contains(&format!(": {} bytes", text.len() - left)), "{}", gone.text);
        site.append("app.log", "line 2000\n");
        wait_for("the new line", || lines(&site).contains(&2000).then_some(()));
        let more: Vec<u32> = if appended.is_empty() { vec![2000] } else { vec![1001, 1002, 2000] };
        assert_eq!(lines(&site), (1..=1000).chain(more).collect::<Vec<_>>());
    }
}
