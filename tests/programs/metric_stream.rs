//! Metrics and counts in a stream of their own: with the events beside them, nothing is lost and nothing comes twice.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{lines_of, pause, skip, wait_for, Event, Program, Site};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

/// Commands run every 60 s: every second of a test's time.
const FAST: &str = "60";

const METRICS: &str = "metric_stream: metrics.log\n";

/// A site whose agent makes an event and a metric, with the same number, each time its command runs. They travel in one batch.
fn site(name: &str, more: &str) -> Site {
    let site = Site::new(&format!("metrics-{name}"));
    site.write("ax436.conf", &site.server_file("127.255.255.255", &format!("{METRICS}{more}")));
    let tool = site.path("tool");
    fs::write(
        &tool,
        format!("#!/bin/sh\nn=$(cat {0} 2>/dev/null || echo 0)\nn=$((n + 1))\necho $n > {0}\necho value $n\n", site.file("n")),
    )
    .unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    site.host(
        "h",
        &format!(
            "run: command={} extract=^(value) (.+)\nalert_if: tags=HIGH match=1,value upper_limit=2,0 message=High\nalert_metric: tags=V match=1,value metric=2\n",
            tool.display()
        ),
    );
    site
}

fn server(site: &Site) -> Program {
    let mut command = site.command("ax436");
    command.env("PROJECT436_TEST_CLOCK", FAST).args(["-l", "server.log", "ax436.conf"]);
    Program::start(command, site.path("server.log"))
}

fn agent(site: &Site) -> Program {
    let mut command = site.command("aa436");
    command.env("PROJECT436_TEST_CLOCK", FAST).args(["-n", "h", "-l", "agent.log", &site.port.to_string()]);
    Program::start(command, site.path("agent.log"))
}

/// The numbers of the metrics, in the order of their stream.
fn metrics(site: &Site) -> Vec<u32> {
    let lines = lines_of(&site.path("metrics.log"));
    lines.iter().map(|line| Event::parse(line)).filter(|event| event.tags == "V").map(|event| event.text.parse().unwrap()).collect()
}

/// The uids of the events beside them.
fn events(site: &Site) -> Vec<String> {
    let uid = |event: &Event| event.uid.split(';').next().unwrap().to_string();
    site.events().iter().filter(|event| event.tags == "HIGH").map(uid).collect()
}

fn wait_for_metrics(site: &Site, count: usize) -> Vec<u32> {
    wait_for(&format!("{count} metrics"), || Some(metrics(site)).filter(|metrics| metrics.len() >= count))
}

/// Each run has left one metric and one event, in order.
fn expect_all_once(site: &Site) {
    let metrics = wait_for("as many metrics as events", || Some(metrics(site)).filter(|metrics| metrics.len() == events(site).len()));
    assert_eq!(metrics, (1..=u32::try_from(metrics.len()).unwrap()).collect::<Vec<_>>());
    let (mut uids, all) = (events(site), events(site).len());
    uids.sort_unstable();
    uids.dedup();
    assert_eq!(uids.len(), all);
}

#[test]
fn numbers_go_into_the_metric_stream_and_outputs_and_readers_get_both() {
    let site = site("both", "metric_stream_size: 600\nmetric_stream_keep: 9\noutput: all\nbatch: events=1\nrun: tee -a all.out\noutput: some\nselect: kinds=metric\nrun: tee -a some.out\n");
    let (server, agent) = (self::server(&site), agent(&site));
    wait_for_metrics(&site, 8);
    assert!(site.path("metrics.log.1").exists() && !site.lines().iter().any(|line| line.contains(";metric")));
    assert!(!lines_of(&site.path("metrics.log")).iter().any(|line| line.contains(";limit")));
    assert_eq!(agent.terminate(), 0);
    // A command that runs when the server ends would get its events again.
    wait_for("both outputs at rest", || {
        let status = site.command("ax436").args(["status", "--json", "ax436.conf"]).output().unwrap();
        let status = String::from_utf8(status.stdout).unwrap();
        let at_rest = ["\"bytes_behind\":0,", "\"events_waiting\":0,", "\"running\":false"];
        at_rest.iter().all(|field| status.matches(field).count() == 2).then_some(())
    });
    assert_eq!(server.terminate(), 0);
    // A restart of the server finds the places in both.
    let (_server, _agent) = (self::server(&site), self::agent(&site));
    let count = wait_for_metrics(&site, 12).len();
    let values = |file: &str, tags: &str| -> Vec<String> {
        let text = fs::read_to_string(site.path(file)).unwrap_or_default();
        text.lines().map(Event::parse).filter(|event| event.tags == tags).map(|event| event.text).collect()
    };
    wait_for("all in the outputs", || (values("all.out", "V").len() >= count && values("some.out", "V").len() >= count).then_some(()));
    let all: Vec<String> = (1..=count).map(|number| number.to_string()).collect();
    assert_eq!((&values("all.out", "V")[..count], &values("some.out", "V")[..count]), (&all[..], &all[..]));
    assert!(values("all.out", "HIGH").len() >= count - 1 && values("some.out", "HIGH").is_empty());
    let mut printed = site.command("ax436");
    let printed = String::from_utf8(printed.args(["events", "ax436.conf"]).output().unwrap().stdout).unwrap();
    let column = |tags: &str| printed.lines().filter(|line| line.contains(tags)).count();
    assert!(column("  V  ") >= count && column("  HIGH  ") >= count - 1, "{printed}");
}

#[test]
fn a_server_killed_between_the_two_writes_loses_and_doubles_nothing() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip("a_server_killed_between_the_two_writes_loses_and_doubles_nothing", "there is no strace");
    }
    for (name, more) in [("between", ""), ("between-json", "event_format: json\n")] {
        let site = site(name, more);
        site.write("events.log", "");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "trace", "-P", &site.file("events.log"), "-e", "inject=write:signal=SIGKILL:when=9", "--"]);
        command.arg(crate::harness::binary("ax436")).args(["-l", "server.log", "ax436.conf"]);
        command.current_dir(&site.folder).env("PROJECT436_TEST_CLOCK", FAST).env("TZ", "UTC");
        let tracer = Program::start(command, site.path("server.log"));
        let agent = agent(&site);
        let trace = || fs::read_to_string(site.path("trace")).unwrap_or_default();
        wait_for("the kill", || trace().contains("killed by SIGKILL").then_some(()));
        drop(tracer);
        // Both were about to be written, and one was.
        let rollback = fs::read_to_string(site.path("events.log.rollback")).unwrap();
        assert!(rollback.ends_with("end\n"), "{rollback}: {}", trace());
        let lines = |name: &str, mark: &str| fs::read_to_string(site.path(name)).unwrap().matches(mark).count();
        let before = (lines("metrics.log", "\"V\"") + lines("metrics.log", "%%V%%"), lines("events.log", "HIGH"));
        assert_eq!(before.0, before.1 + 1, "{}", trace());
        // Classic from now on, which the other checks read.
        site.write("ax436.conf", &site.server_file("127.255.255.255", METRICS));
        let server = server(&site);
        wait_for("more of both", || (lines("events.log", "HIGH") > before.1 + 3).then_some(()));
        assert_eq!(fs::read_to_string(site.path("events.log.rollback")).unwrap(), "");
        if more.is_empty() {
            expect_all_once(&site);
        } else {
            let uids = |name: &str, tags: &str| -> Vec<String> {
                let lines = lines_of(&site.path(name)).into_iter().filter(|line| line.contains(tags));
                lines
                    .map(|line| {
                        line.replace("\"uid\":\"", "%%")
                            .split("%%")
                            .nth(if line.starts_with('{') { 1 } else { 2 })
                            .unwrap()
                            .split(['"', ';'])
                            .next()
                            .unwrap()
                            .to_string()
                    })
                    .collect()
            };
            for (name, tags) in [("metrics.log", "V"), ("events.log", "HIGH")] {
                let (mut uids, all) = (uids(name, tags), uids(name, tags).len());
                uids.sort_unstable();
                uids.dedup();
                assert_eq!(uids.len(), all, "{name}");
            }
        }
        assert_eq!((agent.terminate(), server.terminate()), (0, 0));
    }
}

#[test]
fn kills_of_both_programs_at_any_time_lose_and_double_nothing() {
    let site = site("kills", "event_stream_size: 3000\nevent_stream_keep: 9\nmetric_stream_size: 2000\nmetric_stream_keep: 9\n");
    let _agent = agent(&site);
    for round in 1..8_u32 {
        let server = server(&site);
        wait_for_metrics(&site, 2 * round as usize);
        // The pace of the kills.
        pause(Duration::from_millis(u64::from(37 * round % 250)));
        server.kill();
    }
    let _server = server(&site);
    wait_for_metrics(&site, 18);
    expect_all_once(&site);
}
