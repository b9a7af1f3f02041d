//! Outputs: commands that get the events of the stream, and what happens when they fail, hang, or are killed with their server.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{skip, wait_for, Program, Site};
use crate::raw::{alert, Peer};
use crate::server_faults::Disk;
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
pub(crate) fn serve(site: &Site, more: &str) -> Program {
    site.host("h", "");
    site.write("ax436.conf", &site.server_file("127.255.255.255", more));
    site.server()
}

/// Sends events as a Python agent would, and waits until they are acknowledged: `TEXT-N` with the tags `T`.
pub(crate) fn send(site: &Site, text: &str, numbers: std::ops::Range<usize>) {
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

pub(crate) fn numbered(text: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
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
    // The sink writes these behind the events.
    let environment = wait_for("the variables", || {
        Some(fs::read_to_string(site.path("some.env")).ok()?).filter(|text| text.trim_end().ends_with(" after_49"))
    });
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

/// Replaces the server file and has the server read it again.
fn reload(site: &Site, server: &Program, more: &str, says: &str) {
    site.write("ax436.conf", &site.server_file("127.255.255.255", more));
    let before = server.log_text().matches(says).count();
    server.signal("HUP");
    wait_for(says, || (server.log_text().matches(says).count() > before).then_some(()));
}

/// A command that notes that it runs, waits for a file `go`, and then takes the events.
fn waiting(site: &Site, out: &str) -> String {
    script(site, &format!("{out}.sh"), &format!("touch {out}.runs\nuntil test -e go; do sleep 0.1; done\ncat >> {out}"))
}

#[test]
fn a_reload_adds_changes_and_removes_outputs_while_a_batch_runs() {
    let site = Site::new("outputs-reload");
    let (slow, gone, new) = (waiting(&site, "slow.out"), waiting(&site, "gone.out"), script(&site, "new", "cat >> new.out"));
    let batch = "batch: events=5 seconds=1 timeout=3000\n";
    let former = format!("output: slow\n{batch}run: {slow}\noutput: gone\n{batch}run: {gone}\n");
    let server = serve(&site, &former);
    send(&site, "e", 0..5);
    wait_for("both to run", || (site.path("slow.out.runs").exists() && site.path("gone.out.runs").exists()).then_some(()));
    let good = format!("output: slow\nformat: json\n{batch}run: {slow}\noutput: new\nrun: {new}\n");
    reload(&site, &server, &format!("{good}output: bad\n"), "ax436.conf cannot be used: what was read before stays");
    assert!(server.log_text().contains("ax436.conf:12: output: run: is missing for bad"), "{}", server.log_text());
    reload(&site, &server, &format!("{good}event_format: json\nname: other\n"), "ax436.conf was read again: 2 outputs");
    let needs_restart = |name: &str| server.log_text().contains(&format!("ax436.conf: {name}: has changed, which needs a restart"));
    assert!(needs_restart("event_format") && needs_restart("name") && !needs_restart("port"), "{}", server.log_text());
    send(&site, "e", 5..10);
    wait_for_delivery(&site, "new.out", "e-9");
    site.write("go", "");
    wait_for("the rest", || fs::read_to_string(site.path("slow.out")).ok().filter(|text| text.contains("\"e-9\"")));
    let slow = delivered(&site, "slow.out");
    assert_eq!(only(slow.clone(), "e-"), numbered("e", 0..5), "in the former format");
    assert_eq!(only(slow, "{").iter().filter(|line| line.contains("\"text\":\"e-")).count(), 5);
    assert_eq!(only(delivered(&site, "new.out"), "e-"), numbered("e", 5..10), "from the end on");
    assert_eq!(only(delivered(&site, "gone.out"), "e-"), numbered("e", 0..5), "its command was not disturbed");
    // An output that comes back begins at the end.
    reload(&site, &server, &former, "ax436.conf was read again: 2 outputs");
    send(&site, "e", 10..11);
    assert_eq!(only(wait_for_delivery(&site, "gone.out", "e-10"), "e-"), [numbered("e", 0..5), numbered("e", 10..11)].concat());
}

/// The files of the stream that were rolled.
fn rolled(site: &Site) -> usize {
    (1..1000).take_while(|number| site.path(&format!("events.log.{number}")).exists()).count()
}

#[test]
fn files_are_held_until_every_output_has_passed_them() {
    let site = Site::new("outputs-hold");
    let (sink, quick) = (script(&site, "sink", "test -e go || exit 1; sleep 0.05; cat >> out"), script(&site, "quick", "cat >> quick.out"));
    let more =
        format!("event_stream_size: 1000\nevent_stream_keep: 1\noutput: sink\nbatch: events=9\nrun: {sink}\noutput: quick\nrun: {quick}\n");
    let server = serve(&site, &more);
    send(&site, "e", 0..120);
    wait_for_delivery(&site, "quick.out", "e-119");
    assert!(rolled(&site) > 3, "{} files", rolled(&site));
    // The files are held over a restart, too.
    server.kill();
    let _server = serve(&site, &more);
    send(&site, "e", 120..150);
    site.write("go", "");
    assert_eq!(only(wait_for_delivery(&site, "out", "e-149"), "e-"), numbered("e", 0..150));
    wait_for("the files to go", || (rolled(&site) <= 1).then_some(()));
}

#[test]
fn beyond_the_hold_the_oldest_files_go_and_an_event_says_how_many_events_are_lost() {
    let site = Site::new("outputs-lost");
    let sink = script(&site, "sink", "test -e go || exit 1; cat >> out");
    let more = format!(
        "event_stream_size: 2000\nevent_stream_keep: 1\noutput_hold: 5000\noutput: sink\nselect: tags=T\nbatch: events=9\nrun: {sink}\n"
    );
    let server = serve(&site, &more);
    send(&site, "e", 0..200);
    site.write("go", "");
    let texts = only(wait_for_delivery(&site, "out", "e-199"), "e-");
    assert!(rolled(&site) <= 4, "{} files", rolled(&site));
    let count = |text: &str| {
        let number = text.strip_prefix("Output sink: lost ")?.strip_suffix(" events: more than 5000 bytes of the stream waited")?;
        number.parse::<usize>().ok()
    };
    // All files of the stream are not there any more; the log has the events too.
    let log = server.log_text();
    let lost: usize = log.lines().filter_map(|line| count(&line[line.find("Output sink: lost")?..])).sum();
    assert!(lost > 50, "{lost}");
    assert_eq!(texts.len() + lost, 200, "{log}");
    assert_eq!(texts[0], "e-0", "what was in memory is delivered");
}

#[test]
fn an_event_that_a_command_refuses_is_given_up_alone() {
    let site = Site::new("outputs-drop");
    let sink = script(&site, "sink", "cat > part; ! grep -q -e 'e-7$' -e 'e-11$' part || exit 65; cat part >> out");
    let other = script(&site, "other", "cat >> other.out");
    let more = format!("output: sink\nselect: tags=T\nbatch: events=50 seconds=5 drop=65\nrun: {sink}\noutput: other\nrun: {other}\n");
    let _server = serve(&site, &more);
    send(&site, "e", 0..20);
    let expected = numbered("e", 0..20).into_iter().filter(|text| !["e-7", "e-11"].contains(&&**text)).collect::<Vec<_>>();
    assert_eq!(only(wait_for_delivery(&site, "out", "e-19"), "e-"), expected);
    wait_for_delivery(&site, "other.out", "Output sink: gave up event e_7 of h: exit status 65");
    wait_for_delivery(&site, "other.out", "Output sink: gave up event e_11 of h: exit status 65");
}

#[test]
fn an_output_that_fails_for_an_hour_is_reported_to_the_others_and_loses_nothing() {
    let site = Site::new("outputs-hour");
    let (sink, other) = (script(&site, "sink", "test -e go || exit 3; cat >> out"), script(&site, "other", "cat >> other.out"));
    site.host("h", "");
    let batch = "batch: timeout=3600\n";
    let more = format!("output: sink\n{batch}run: {sink}\noutput: other\n{batch}run: {other}\n");
    site.write("ax436.conf", &site.server_file("127.255.255.255", &more));
    let mut command = site.command("ax436");
    command.env("PROJECT436_TEST_CLOCK", "400").args(["-l", "log", "ax436.conf"]);
    let _server = Program::start(command, site.path("log"));
    send(&site, "e", 0..3);
    wait_for_delivery(&site, "other.out", "Output sink: nothing delivered for 10 minutes: exit status 3");
    let started = crate::harness::lines_of(&site.path("log")).len();
    crate::harness::pause(std::time::Duration::from_secs(9)); // an hour
    assert!(crate::harness::lines_of(&site.path("log")).len() < started + 70, "at most a line a minute");
    site.write("go", "");
    wait_for_delivery(&site, "other.out", "Output sink: works again");
    let texts = wait_for_delivery(&site, "out", "e-2");
    assert_eq!(only(texts.clone(), "e-"), numbered("e", 0..3));
    assert_eq!(only(texts, "Output sink"), [""; 0], "it gets nothing about itself");
    assert_eq!(only(delivered(&site, "other.out"), "Output sink").len(), 2);
}

#[test]
fn a_batch_that_blocks_can_be_skipped_and_a_command_tried() {
    let site = Site::new("outputs-skip");
    let sink = script(&site, "sink", "cat > part; ! grep -q bad part || { echo it is bad >&2; exit 7; }; cat part >> out");
    let output = |action: &[&str]| {
        let outcome = site.command("ax436").args(["output", "ax436.conf", "sink"]).args(action).output().unwrap();
        (outcome.status.code(), String::from_utf8(outcome.stdout).unwrap(), String::from_utf8(outcome.stderr).unwrap())
    };
    let server = serve(&site, &format!("output: sink\nselect: tags=T\nformat: text\nrun: {sink}\n"));
    assert_eq!(output(&["--try"]), (Some(1), String::new(), "ax436: the stream events.log has no event for the output sink\n".into()));
    send(&site, "good", 0..3);
    wait_for("delivery", || fs::read_to_string(site.path("out")).ok().filter(|text| text.contains("good-2")));
    let (status, out, _) = output(&["--skip"]);
    assert_eq!(status, Some(0), "{out}");
    wait_for("an answer", || server.log_text().contains("output sink: there is nothing to skip: it has not failed").then_some(()));
    let (status, out, err) = output(&["--try", "2"]);
    let shown = "2 events in the format of the output:\n2026-11-22 11:35:36 h T: good-1\n2026-11-22 11:35:36 h T: good-2\nrunning: ";
    assert!(out.starts_with(shown) && out.ends_with("\ndelivered: exit status 0\n"), "{out}{err}");
    assert_eq!((status, fs::read_to_string(site.path("out")).unwrap().matches("good-2").count()), (Some(0), 2));
    send(&site, "bad", 0..1);
    wait_for("a failure", || server.log_text().contains("output sink: exit status 7").then_some(()));
    let (status, out, err) = output(&["--try", "1"]);
    assert_eq!((status, &*err), (Some(1), "ax436: not delivered: exit status 7\n"));
    assert!(out.contains("standard error: it is bad"), "{out}");
    send(&site, "later", 0..1);
    assert_eq!(output(&["--skip"]).0, Some(0));
    wait_for("delivery", || fs::read_to_string(site.path("out")).ok().filter(|text| text.contains("later-0")));
    site.wait_for_text("Output sink: skipped 1 events, bad_0 of h to bad_0 of h");
    for wrong in [&["--try", "0"][..], &["--colour"], &["--skip", "1"], &[]] {
        assert_eq!(output(wrong).0, Some(2), "{wrong:?}");
    }
}

#[test]
fn on_a_full_disk_outputs_go_on_and_repeat_after_a_restart_what_they_could_not_keep() {
    let site = Site::new("outputs-full-disk");
    let disk = match Disk::mount(site.path("stream")) {
        Ok(disk) => disk,
        Err(reason) => return skip("on_a_full_disk_outputs_go_on_and_repeat_after_a_restart_what_they_could_not_keep", &reason),
    };
    let sink = script(&site, "sink", "test -e go || exit 1; cat >> out");
    site.host("h", "");
    let conf = site.server_file("127.255.255.255", &format!("output: sink\nselect: tags=T\nrun: {sink}\n"));
    site.write("ax436.conf", &conf.replace("events.log", "stream/events.log"));
    let server = site.server();
    send(&site, "e", 0..5);
    wait_for("a failure", || server.log_text().contains("output sink: exit status 1").then_some(()));
    let ballast = disk.fill();
    site.write("go", "");
    wait_for_delivery(&site, "out", "e-4");
    let complaint = "cannot write stream/events.log.outputs: No space left on device; after a restart, outputs repeat";
    wait_for("the complaint", || server.log_text().contains(complaint).then_some(()));
    server.kill();
    fs::remove_file(ballast).unwrap();
    let _server = site.server();
    send(&site, "e", 5..10);
    assert_eq!(only(wait_for_delivery(&site, "out", "e-9"), "e-"), [numbered("e", 0..5), numbered("e", 0..10)].concat());
}

#[test]
fn the_format_of_the_stream_may_change_while_an_output_is_behind() {
    let site = Site::new("outputs-switch");
    let sink = script(&site, "sink", "test -e go || exit 1; cat >> \"$AX436_OUTPUT.out\"");
    let outputs = format!("output: classic\nselect: tags=T\nrun: {sink}\noutput: json\nselect: tags=T\nformat: json\nrun: {sink}\n");
    for (round, format) in ["classic", "json", "classic"].into_iter().enumerate() {
        let server = serve(&site, &format!("event_stream_size: 1000\nevent_stream_keep: 1\nevent_format: {format}\n{outputs}"));
        send(&site, "e", 20 * round..20 * round + 20);
        assert_eq!(server.terminate(), 0);
    }
    site.write("go", "");
    let _server = serve(&site, &outputs);
    assert_eq!(only(wait_for_delivery(&site, "classic.out", "e-59"), "e-"), numbered("e", 0..60));
    let json = wait_for("JSON", || Some(fs::read_to_string(site.path("json.out")).ok()?).filter(|text| text.contains("\"e-59\"")));
    let texts = json.lines().map(|line| line.split("\"text\":\"").nth(1).unwrap().split('"').next().unwrap().to_string());
    assert_eq!(texts.collect::<Vec<_>>(), numbered("e", 0..60));
    assert!(json.lines().all(|line| line.starts_with("{\"received\":\"20")), "{json}");
}
