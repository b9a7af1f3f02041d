//! Faults of a server's surroundings: full disks, folders and files that vanish, and its own end.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{lines_of, pause, skip, wait_for, Event, Program, Site};
use crate::raw::{alert, Peer};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A small disk of its own, unmounted at the end.
pub(crate) struct Disk(PathBuf);

impl Disk {
    const SIZE: usize = 64 * 1024;

    /// Mounts a disk there, or says why not.
    pub(crate) fn mount(path: PathBuf) -> Result<Self, String> {
        fs::create_dir_all(&path).unwrap();
        let size = format!("size={}", Self::SIZE);
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output();
        match output {
            Ok(output) if output.status.success() => Ok(Self(path)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().into()),
            Err(e) => Err(format!("mount: {e}")),
        }
    }

    /// Takes all space that is left. Panics if there was none to take.
    pub(crate) fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        assert!(fs::write(&ballast, vec![0; 2 * Self::SIZE]).is_err(), "the disk is larger than it should be");
        assert!(fs::metadata(&ballast).unwrap().len() > 0);
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A site with a server that writes to `stream/events.log`, and one agent's rule for `app.log`.
fn site_with_stream_folder(name: &str, more: &str) -> Site {
    let site = Site::new(name);
    let conf = site.server_file("127.255.255.255", more).replace("events.log", "stream/events.log");
    site.write("ax436.conf", &conf);
    fs::create_dir_all(site.path("stream")).unwrap();
    add_host(&site);
    site
}

fn add_host(site: &Site) {
    site.append("app.log", "");
    site.host("nas1", &format!("file: {}\nmatch: line\nalert_all: tags=APP\n", site.file("app.log")));
}

/// The texts of the `APP` events in a stream. Each of its lines must be a whole event.
fn app_texts(path: &Path) -> Vec<String> {
    lines_of(path).iter().map(|line| Event::parse(line)).filter(|event| event.tags == "APP").map(|event| event.text).collect()
}

/// Waits until so many `APP` events have come, and gives their texts.
fn wait_for_texts(path: &Path, count: usize) -> Vec<String> {
    wait_for(&format!("{count} events in {path:?}"), || Some(app_texts(path)).filter(|texts| texts.len() >= count))
}

fn wait_for_rules(path: &Path) {
    wait_for("the rules in force", || lines_of(path).iter().any(|line| line.contains("in force: 1 rule")).then_some(()));
}

fn numbered(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("line {n}")).collect()
}

/// In the order of their texts: events that were sent again arrive after those that were not.
fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

fn append_lines(site: &Site, from: usize, to: usize) {
    site.append("app.log", numbered(from, to).join("\n") + "\n");
}

#[test]
fn a_full_disk_stops_acknowledgements_and_nothing_else() {
    let site = site_with_stream_folder("full-disk", "");
    let disk = match Disk::mount(site.path("stream")) {
        Ok(disk) => disk,
        Err(reason) => return skip("a_full_disk_stops_acknowledgements_and_nothing_else", &reason),
    };
    let stream = site.path("stream/events.log");
    let (server, _agent) = (site.server(), site.agent("nas1", &[]));
    wait_for_rules(&stream);
    append_lines(&site, 0, 3);
    assert_eq!(wait_for_texts(&stream, 3), numbered(0, 3));

    let ballast = disk.fill();
    let peer = Peer::of_server(site.port);
    // The last block of the stream still takes some short lines.
    let fits = |n: &usize| {
        peer.send(alert("s", &n.to_string(), "F", ""));
        peer.drain().iter().any(|text| text.starts_with("ACK"))
    };
    let fitting = (0..1000).take_while(fits).count();
    assert!(fitting < 200, "{fitting}");
    let long = alert("nas1", "1_0", "RAW", &"x".repeat(8000));
    for _ in 0..5 {
        peer.send(&long);
        let said = peer.drain();
        assert!(!said.iter().any(|text| text.starts_with("ACK")), "{said:?}");
        // More than a second of the server's time: the fault is not logged again, although nothing is tried for a while.
        pause(Duration::from_millis(250));
    }
    append_lines(&site, 3, 40);
    let complaints = || server.log_text().matches("the event stream cannot be written: No space left on device").count();
    wait_for("the fault in the log", || (complaints() > 0).then_some(()));
    // Fifteen seconds of the server's time, in which the fault lasts and must not be logged again.
    pause(Duration::from_millis(1500));
    assert_eq!((complaints(), server.log_text().matches("over: ").count()), (1, 0), "{}", server.log_text());
    assert!(app_texts(&stream).len() < 40, "the disk was not full");

    fs::remove_file(ballast).unwrap();
    assert_eq!(sorted(wait_for_texts(&stream, 40)), sorted(numbered(0, 40)));
    peer.ask(&long, "ACK%%1_0");
    assert_eq!(lines_of(&stream).iter().filter(|line| line.contains("%%RAW%%")).count(), 1);
    wait_for("the end of the fault in the log", || server.log_text().contains("over: the event stream cannot be written").then_some(()));
    assert_eq!(complaints(), 1);
    assert_eq!(server.terminate(), 0);
}

#[test]
fn a_stream_folder_that_goes_and_comes_back_costs_no_event() {
    let site = site_with_stream_folder("folder-gone", "");
    let stream = site.path("stream/events.log");
    let (server, _agent) = (site.server(), site.agent("nas1", &[]));
    wait_for_rules(&stream);
    fs::remove_dir_all(site.path("stream")).unwrap();
    append_lines(&site, 0, 50);
    wait_for("the fault in the log", || server.log_text().contains("the event stream cannot be written: No such file").then_some(()));
    let peer = Peer::of_server(site.port);
    peer.send(alert("stranger", "1_0", "RAW", "x"));
    assert!(!peer.drain().iter().any(|text| text.starts_with("ACK")));
    assert!(!site.path("stream").exists());
    fs::create_dir(site.path("stream")).unwrap();
    assert_eq!(sorted(wait_for_texts(&stream, 50)), sorted(numbered(0, 50)));
    wait_for("the end of the fault in the log", || server.log_text().contains("over: the event stream cannot be written").then_some(()));
    assert_eq!(server.log_text().matches("the event stream cannot be written: ").count(), 1);
}

#[test]
fn a_stream_file_that_is_renamed_or_deleted_is_created_again() {
    let site = site_with_stream_folder("stream-moved", "");
    let stream = site.path("stream/events.log");
    let (_server, _agent) = (site.server(), site.agent("nas1", &[]));
    wait_for_rules(&stream);
    append_lines(&site, 0, 5);
    wait_for_texts(&stream, 5);
    let inode = || fs::metadata(&stream).map(|meta| meta.ino()).ok();

    let first = inode();
    let elsewhere = site.path("stream/moved-by-hand");
    fs::rename(&stream, &elsewhere).unwrap();
    append_lines(&site, 5, 10);
    assert_eq!(wait_for_texts(&stream, 5), numbered(5, 10));
    assert_eq!(app_texts(&elsewhere), numbered(0, 5));
    assert_ne!(inode(), first);

    fs::remove_file(&stream).unwrap();
    append_lines(&site, 10, 15);
    assert_eq!(wait_for_texts(&stream, 5), numbered(10, 15));
    assert_eq!(app_texts(&elsewhere), numbered(0, 5), "nothing is written to the old file");
}

#[test]
fn the_stream_rolls_at_its_size_and_keeps_so_many() {
    let site = site_with_stream_folder("rolls", "event_stream_size: 2000\nevent_stream_keep: 3\n");
    let _server = site.server();
    let peer = Peer::of_server(site.port);
    for n in 0..200 {
        peer.ask(&alert("stranger", &format!("1_{n}"), "APP", &format!("line {n}")), &format!("ACK%%1_{n}"));
    }
    let stream = site.path("stream/events.log");
    let size = |number: u32| fs::metadata(format!("{}.{number}", stream.display())).map(|meta| meta.len()).ok();
    for number in 1..=3 {
        let size = size(number).unwrap();
        assert!((1900..=2000).contains(&size), "{number}: {size}");
    }
    assert_eq!(size(4), None);
    let texts = app_texts(&stream);
    assert_eq!(texts, numbered(200 - texts.len(), 200), "no line is lost at an edge");
    assert!(texts.len() > 75, "{}", texts.len());
}

#[test]
fn json_lines_hold_what_the_event_holds() {
    let site = site_with_stream_folder("json", "event_format: json\n");
    let mut command = site.command("ax436");
    command.args(["-l", "server.log", "ax436.conf"]).env("PROJECT436_TEST_CLOCK", "1@1795347336");
    let _server = Program::start(command, site.path("server.log"));
    let peer = Peer::of_server(site.port);
    let text = "a \"quoted\" \\ path\n%%ü\u{1b}[31m {\"forged\":1}";
    peer.ask(&format!("ALERT%%büro%%5_1%%1795347330%%TAG%%/var/log/a%%{text}"), "ACK%%5_1");
    peer.ask(&alert("nas1", "5_2", "TAG2", "plain"), "ACK%%5_2");
    let lines = lines_of(&site.path("stream/events.log"));
    let [first, second] = &lines[..] else { panic!("{lines:?}") };
    // The seconds since the start are those that this test took.
    let (received, rest) = first.split_once(",\"host\":").unwrap();
    assert!(received.starts_with("{\"received\":\"2026-11-22T") && received.contains("\",\"received_unix\":17953473"), "{received}");
    let expected =
        "\"büro\",\"uid\":\"5_1\",\"time\":\"2026-11-22T11:35:30Z\",\"time_unix\":1795347330,\"tags\":\"TAG\",\"file\":\"/var/log/a\",\
                    \"text\":\"a \\\"quoted\\\" \\\\ path\u{fffd}%%ü\u{fffd}[31m {\\\"forged\\\":1}\"}";
    assert_eq!(rest, expected);
    let (_, rest) = second.split_once(",\"host\":").unwrap();
    assert_eq!(
        rest,
        "\"nas1\",\"uid\":\"5_2\",\"time\":\"2026-11-22T11:35:36Z\",\"time_unix\":1795347336,\"tags\":\"TAG2\",\"text\":\"plain\"}"
    );
}

#[test]
fn lines_appended_while_the_server_is_killed_all_arrive() {
    let site = site_with_stream_folder("killed", "");
    let stream = site.path("stream/events.log");
    let (mut server, _agent) = (site.server(), site.agent("nas1", &[]));
    wait_for_rules(&stream);
    for round in 0..4 {
        append_lines(&site, round * 100, round * 100 + 50);
        // Usually in the middle of it.
        wait_for_texts(&stream, round * 100 + 1);
        server.kill();
        append_lines(&site, round * 100 + 50, round * 100 + 100);
        server = site.server();
        let all = || numbered(0, (round + 1) * 100).iter().all(|line| app_texts(&stream).contains(line));
        wait_for("all lines", || all().then_some(()));
    }
    // Only events that were written and not acknowledged may be there twice.
    let mut texts = app_texts(&stream);
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 400);
    assert_eq!(server.terminate(), 0);
}

#[test]
fn a_server_that_is_away_for_long_finds_every_event_waiting() {
    let site = site_with_stream_folder("away", "");
    let stream = site.path("stream/events.log");
    let (server, agent) = (site.server(), site.agent("nas1", &[]));
    wait_for_rules(&stream);
    assert_eq!(server.terminate(), 0);
    append_lines(&site, 0, 100);
    wait_for("the agent to give the server up", || agent.log_text().contains("the server is silent: deselected").then_some(()));
    // More than the agent keeps in memory: the log is the spool.
    append_lines(&site, 100, 1000);
    assert_eq!(app_texts(&stream).len(), 0);
    let _server = site.server();
    assert_eq!(wait_for_texts(&stream, 1000), numbered(0, 1000));
}

#[test]
fn with_event_sync_0_nothing_is_acknowledged_before_it_is_on_disk() {
    let site = site_with_stream_folder("sync", "event_sync: 0\n");
    if Command::new("strace").arg("-V").output().is_err() {
        return skip("with_event_sync_0_nothing_is_acknowledged_before_it_is_on_disk", "there is no strace");
    }
    let server = site.server();
    let id = server.id().to_string();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "trace", "-e", "trace=fdatasync,sendto,sendmmsg,write", "-p", &id]).current_dir(&site.folder);
    let tracer = Program::start(command, site.path("trace"));
    wait_for("strace", || {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        status.lines().any(|line| line == format!("TracerPid:\t{}", tracer.id())).then_some(())
    });
    let peer = Peer::of_server(site.port);
    for n in 0..5 {
        peer.ask(&alert("stranger", &format!("1_{n}"), "T", "x"), &format!("ACK%%1_{n}"));
    }
    let trace = wait_for("the trace", || fs::read_to_string(site.path("trace")).ok().filter(|text| text.contains("\"ACK%%1_4\"")));
    let mut synced = false;
    let mut acknowledged = 0;
    for line in trace.lines() {
        if line.contains("%%stranger%%1_") {
            synced = false;
        } else if line.contains("fdatasync(") {
            assert!(line.ends_with("= 0"), "{line}");
            synced = true;
        } else if line.contains("\"ACK%%") {
            assert!(synced, "{trace}");
            acknowledged += 1;
        }
    }
    assert!(acknowledged >= 5, "{trace}");
}

#[test]
fn sigterm_ends_the_server_with_everything_written() {
    let site = site_with_stream_folder("sigterm", "");
    let server = site.server();
    let peer = Peer::of_server(site.port);
    peer.drain();
    for n in 0..50 {
        peer.send(alert("stranger", &format!("1_{n}"), "APP", &format!("line {n}")));
    }
    peer.drain();
    assert_eq!(server.terminate(), 0);
    assert_eq!(app_texts(&site.path("stream/events.log")), numbered(0, 50));
    assert!(fs::read_to_string(site.path("ax436.conf.log")).unwrap().contains("ended by a signal"));
}

#[test]
fn sighup_reopens_the_log_and_the_stream() {
    let site = site_with_stream_folder("sighup", "");
    let stream = site.path("stream/events.log");
    let server = site.server();
    let peer = Peer::of_server(site.port);
    peer.ask(&alert("stranger", "1_0", "APP", "line 0"), "ACK%%1_0");
    fs::rename(&stream, site.path("stream/old")).unwrap();
    fs::rename(&server.log, site.path("old.log")).unwrap();
    server.signal("HUP");
    peer.ask("CONFREQ%%nas1", "CONFIG%%START%%");
    peer.ask(&alert("stranger", "1_1", "APP", "line 1"), "ACK%%1_1");
    peer.send("CONFREQ%%nobody");
    wait_for("a line in the new log", || server.log_text().contains("nobody at 127.0.0.1 asks").then_some(()));
    assert_eq!(app_texts(&stream), ["line 1"]);
    assert_eq!(app_texts(&site.path("stream/old")), ["line 0"]);
    assert_eq!(server.terminate(), 0);
}
