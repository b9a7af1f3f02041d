//! Outputs: commands that get the events of the stream, and what happens when they fail, hang, or are killed with their server.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{wait_for, Program, Site};
use crate::raw::{alert, Peer};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Writes a shell script into the site. Returns its path.
fn script(site: &Site, name: &str, text: &str) -> String {
    let path = site.path(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// Starts a server with these further directives.
fn serve(site: &Site, more: &str) -> Program {
    site.host("h", "");
    site.write("ax436.conf", &site.server_file("127.255.255.255", more));
    site.server()
}

/// Sends events as a Python agent would, and waits until they are acknowledged: `TEXT-N` with the tags `T`.
fn send(site: &Site, text: &str, numbers: std::ops::Range<usize>) {
    let (peer, start) = (Peer::of_server(site.port), &text[..text.len().min(10)]);
    for number in numbers {
        peer.ask(&alert("h", &format!("{start}_{number}"), "T", &format!("{text}-{number}")), &format!("ACK%%{start}_{number}"));
    }
}

/// The texts of the events in a file that a sink has written, in their order.
fn delivered(site: &Site, file: &str) -> Vec<String> {
    let text = fs::read_to_string(site.path(file)).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| line.splitn(7, "%%").nth(6).unwrap_or(line).to_string()).collect()
}

fn wait_for_delivery(site: &Site, file: &str, text: &str) -> Vec<String> {
    wait_for(&format!("{text} in {file}"), || Some(delivered(site, file)).filter(|texts| texts.iter().any(|one| one == text)))
}

fn numbered(text: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("{text}-{number}")).collect()
}

/// Those of the texts that begin so.
fn only(texts: Vec<String>, start: &str) -> Vec<String> {
    texts.into_iter().filter(|text| text.starts_with(start)).collect()
}

#[test]
fn a_command_gets_the_events_that_its_output_chooses_from_the_end_of_the_stream_on() {
    let site = Site::new("outputs-chosen");
    let sink =
        script(&site, "sink", "cat >> \"$AX436_OUTPUT.out\"; echo \"$AX436_EVENTS $AX436_FIRST $AX436_LAST\" >> \"$AX436_OUTPUT.env\"");
    let server = serve(&site, "");
    send(&site, "before", 0..3);
    server.terminate();
    let _server = serve(&site, &format!("output: all\nrun: {sink}\noutput: some\nselect: tags=NONE\nselect: hosts=h* tags=T\nformat: json\nrun: {sink}\noutput: none\nselect: tags=NONE\nrun: {sink}\n"));
    send(&site, "after", 0..50);
    let all = wait_for_delivery(&site, "all.out", "after-49");
    assert_eq!(only(all, "after"), numbered("after", 0..50));
    let json = wait_for("JSON", || Some(fs::read_to_string(site.path("some.out")).ok()?).filter(|text| text.contains("\"after-49\"")));
    assert_eq!(json.lines().filter(|line| line.starts_with("{\"received\":\"20")).count(), 50, "{json}");
    assert!(!site.path("none.out").exists() && !delivered(&site, "all.out").iter().any(|text| text.starts_with("before")));
    let environment = fs::read_to_string(site.path("some.env")).unwrap();
    let counts = environment.lines().map(|line| line.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert_eq!(counts.sum::<usize>(), 50);
    assert!(environment.lines().next().unwrap().contains(" after_0 ") && environment.trim_end().ends_with(" after_49"), "{environment}");
}

#[test]
fn a_failing_command_gets_the_same_events_again_and_nothing_is_lost() {
    let site = Site::new("outputs-failing");
    // Every third run takes the events, and the others fail in different ways, after they have read some or all.
    let sink = script(
        &site,
        "sink",
        "n=$(cat runs 2>/dev/null || echo 0); echo $((n + 1)) > runs\ncase $((n % 3)) in\n0) head -c 10 > /dev/null; echo no room >&2; exit 75;;\n\
         1) cat > /dev/null; kill -9 $$;;\nesac\ncat >> out",
    );
    let server = serve(&site, &format!("event_stream_size: 2000\noutput: sink\nbatch: events=7\nrun: {sink}\n"));
    send(&site, "e", 0..60);
    assert_eq!(only(wait_for_delivery(&site, "out", "e-59"), "e-"), numbered("e", 0..60));
    let log = server.log_text();
    assert!(log.contains("output sink: exit status 75; the batch is repeated in 1 s: no room"), "{log}");
    assert!(log.matches("output sink:").count() <= 10, "at most a line a minute: {log}");
}

#[test]
fn a_command_that_hangs_or_is_missing_stalls_nothing_and_is_tried_again() {
    let site = Site::new("outputs-hanging");
    // It does not read, and would run for ever with a child that ignores signals.
    let sink = script(&site, "sink", "test -e go || { (trap '' TERM; sleep 1000) & sleep 1000; }\ncat >> out");
    let good = script(&site, "good", "cat >> good.out");
    let missing = site.file("missing");
    let more = format!(
        "output: hanging\nbatch: events=1000 seconds=2 timeout=3\nrun: {sink}\noutput: missing\nrun: {missing}\noutput: good\nrun: {good}\n"
    );
    let server = serve(&site, &more);
    let long = "x".repeat(4000);
    send(&site, &long, 0..40);
    wait_for_delivery(&site, "good.out", &format!("{long}-39"));
    wait_for("the log", || {
        server.log_text().contains("output hanging: did not end within 3 s; the batch is repeated in 1 s").then_some(())
    });
    assert!(server.log_text().contains(&format!("output missing: cannot start {missing}: No such file or directory")));
    site.write("go", "");
    script(&site, "missing", "cat >> late.out");
    wait_for_delivery(&site, "out", &format!("{long}-39"));
    wait_for_delivery(&site, "late.out", &format!("{long}-39"));
    assert_eq!(only(delivered(&site, "out"), "x"), numbered(&long, 0..40));
}

#[test]
fn places_last_over_kills_and_a_kill_before_the_place_is_kept_repeats() {
    let site = Site::new("outputs-killed");
    let sink = script(&site, "sink", "cat >> out");
    let more = format!("event_stream_size: 3000\noutput: sink\nbatch: events=5\nrun: {sink}\n");
    let mut sent = 0;
    for round in 0..6 {
        let server = serve(&site, &more);
        send(&site, "e", sent..sent + 20);
        sent += 20;
        if round % 2 == 0 {
            server.kill();
        } else {
            assert_eq!(server.terminate(), 0);
        }
    }
    let _server = serve(&site, &more);
    let texts = only(wait_for_delivery(&site, "out", &format!("e-{}", sent - 1)), "e-");
    let mut counts = BTreeMap::<&str, usize>::new();
    texts.iter().for_each(|text| *counts.entry(text).or_default() += 1);
    assert_eq!(counts.len(), sent, "none is lost");
    let mut first = texts.clone();
    let mut seen = std::collections::BTreeSet::new();
    first.retain(|text| seen.insert(text.clone()));
    assert_eq!(first, numbered("e", 0..sent), "and the order is kept");
    assert!(texts.len() <= 2 * sent, "{} deliveries of {sent} events", texts.len());
}

#[test]
fn a_faulty_output_is_found_by_the_check_and_the_rest_works() {
    let site = Site::new("outputs-faulty");
    let sink = script(&site, "sink", "cat >> out");
    let faulty = "output: bad\nselect: colour=red\nrun: x\noutput: nothing\noutput: absent\nrun: ./absent\n";
    let server = serve(&site, &format!("{faulty}output: good\nrun: {sink}\noutput: good\nrun: {sink}\n"));
    send(&site, "e", 0..3);
    assert_eq!(only(wait_for_delivery(&site, "out", "e-2"), "e-"), numbered("e", 0..3));
    let faults = [
        "ax436.conf:7: select: expected one of states= kinds= tags= hosts=, got \"colour=red\"",
        "ax436.conf:9: output: run: is missing for nothing",
        "ax436.conf:14: output: there is another one of the name good",
    ];
    let log = server.log_text();
    assert!(faults.iter().all(|fault| log.contains(fault)), "{log}");
    let check = site.command("ax436").args(["-t", "ax436.conf"]).output().unwrap();
    let printed = String::from_utf8(check.stdout).unwrap();
    let expected = format!("ax436.conf:11: warning: run: there is no program ./absent\n{}\n", faults.join("\n"));
    assert_eq!((check.status.code(), printed), (Some(2), expected));
}
