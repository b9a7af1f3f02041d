//! Configuration that changes under running programs, and the hosts that it is for.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{pause, wait_for, Event, Program, Site, TIMEOUT};
use crate::raw::{alert, Peer};
use std::fs;
use std::time::{Duration, Instant};

fn rule(site: &Site, log: &str, tags: &str) -> String {
    format!("file: {}\nmatch: line\nalert_all: tags={tags}\n", site.file(log))
}

/// A server with a clock that runs that many times as fast as the wall clock.
fn server_at(site: &Site, speed: u32) -> Program {
    let mut command = site.command("ax436");
    command.args(["-l", "server.log", "ax436.conf"]).env("PROJECT436_TEST_CLOCK", speed.to_string());
    Program::start(command, site.path("server.log"))
}

/// The server's own events about a host, in the order of the stream.
fn said_of(site: &Site, host: &str) -> Vec<Event> {
    site.events().into_iter().filter(|event| event.host == host && event.is_of_server()).collect()
}

fn errors(site: &Site) -> Vec<String> {
    let error = |event: Event| event.text.strip_prefix("Configuration error: ").map(|error| format!("{}: {error}", event.host));
    site.events().into_iter().filter_map(error).collect()
}

fn wait_for_error(site: &Site, text: &str) {
    wait_for(text, || errors(site).iter().any(|error| error.contains(text)).then_some(()));
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

#[test]
fn a_change_of_a_host_file_or_an_include_takes_effect() {
    let site = Site::new("edits");
    site.append("app.log", "");
    site.host("nas1", &rule(&site, "app.log", "FIRST"));
    let (_server, agent) = (site.server(), site.agent("nas1", &[]));
    site.wait_for_configuration("nas1", 1);
    // A line makes an event of the last tags, and of no others.
    let expect = |text: &str, tags: &str| {
        site.append("app.log", format!("line {text}\n"));
        let event = site.wait_for_text(&format!("line {text}"));
        assert_eq!(event.tags, tags, "{text}");
    };
    expect("before", "FIRST");
    site.host("nas1", &rule(&site, "app.log", "EDITED"));
    site.wait_for_configuration("nas1", 2);
    expect("edited", "EDITED");

    site.write("includes/common", &rule(&site, "app.log", "INCLUDED"));
    site.host("nas1", "include: common\n");
    site.wait_for_configuration("nas1", 3);
    expect("included", "INCLUDED");
    site.write("includes/common", &rule(&site, "app.log", "INCLUDE_EDITED"));
    site.wait_for_configuration("nas1", 4);
    expect("include edited", "INCLUDE_EDITED");

    fs::remove_file(site.path("includes/common")).unwrap();
    wait_for_error(&site, "nas1: hosts/nas1:1: include: there is no file \"common\"");
    expect("include gone", "INCLUDE_EDITED");
    site.write("includes/common", &rule(&site, "app.log", "BACK"));
    site.wait_for_configuration("nas1", 5);
    expect("include back", "BACK");
    let texts: Vec<_> = site.events().into_iter().filter(|event| event.tags != "SYSTEM").map(|event| event.text).collect();
    assert_eq!(texts, ["line before", "line edited", "line included", "line include edited", "line include gone", "line include back"]);
    assert_eq!(agent.terminate(), 0);
}

#[test]
fn a_host_file_that_appears_or_goes_starts_or_stops_the_rules() {
    let site = Site::new("appears");
    site.append("app.log", "");
    let (server, agent) = (site.server(), site.agent("nas1", &[]));
    wait_for("the agent to ask", || server.log_text().contains("nas1 at 127.0.0.1 asks for a configuration").then_some(()));
    site.wait_for_text("Agent started");
    site.host("nas1", &rule(&site, "app.log", "FIRST"));
    site.wait_for_text("in force: 1 rule");
    site.append("app.log", "line 1\n");
    site.wait_for_text("line 1");

    fs::remove_file(site.path("hosts/nas1")).unwrap();
    wait_for("the rules to stop", || (agent.log_text().matches("Configuration none in force: 0 rules").count() == 2).then_some(()));
    site.append("app.log", "line 2, of no concern\n");
    // This event shows that the last line was processed.
    site.host("nas1", &rule(&site, "app.log", "SECOND"));
    wait_for("the new rules", || (agent.log_text().matches("in force: 1 rule").count() == 2).then_some(()));
    site.append("app.log", "line 3\n");
    site.wait_for_text("line 3");
    assert_eq!((site.texts("FIRST"), site.texts("SECOND")), (vec!["line 1".into()], vec!["line 3".into()]));
    assert_eq!(server.log_text().matches("asks for a configuration").count(), 1, "{}", server.log_text());
}

#[test]
fn a_bad_file_does_not_replace_a_good_one() {
    let site = Site::new("bad-file");
    site.append("app.log", "");
    let good = rule(&site, "app.log", "GOOD");
    let bad = |tags: &str| format!("# edited\n{}file: /x\nmatch: (\nalert_all: tags={tags}\n", rule(&site, "app.log", tags));
    site.write("includes/common", &rule(&site, "app.log", "COMMON"));
    site.host("nas1", &format!("{good}include: common\n"));
    let (_server, _agent) = (site.server(), site.agent("nas1", &[]));
    site.wait_for_text("in force: 2 rules");

    site.write("includes/common", &bad("BAD"));
    wait_for_error(&site, "nas1: includes/common:6: pattern \"(\": ");
    site.append("app.log", "line 1\n");
    assert_eq!((site.wait_for_count("GOOD", 1), site.wait_for_count("COMMON", 1)), (vec!["line 1".into()], vec!["line 1".into()]));
    // A good one replaces what was kept.
    site.write("includes/common", &rule(&site, "app.log", "MENDED"));
    site.wait_for_configuration("nas1", 2);

    site.host("nas1", &bad("BAD"));
    wait_for_error(&site, "nas1: hosts/nas1:6: pattern \"(\": ");
    site.append("app.log", "line 2\n");
    assert_eq!(site.wait_for_count("GOOD", 2), ["line 1", "line 2"]);
    assert_eq!(site.wait_for_count("MENDED", 1), ["line 2"]);
    assert_eq!(errors(&site).len(), 2, "{:?}", errors(&site));
    assert_eq!(site.texts("BAD"), [""; 0]);
}

#[test]
fn at_the_start_the_good_groups_of_a_file_with_errors_are_served() {
    let site = Site::new("bad-start");
    site.append("app.log", "");
    let good = rule(&site, "app.log", "GOOD");
    site.host("nas1", &format!("file: /x\nmatch: [\nalert_all: tags=BAD\ncolour: red\n{good}"));
    let (_server, _agent) = (site.server(), site.agent("nas1", &[]));
    site.wait_for_text("in force: 1 rule");
    site.append("app.log", "line 1\n");
    site.wait_for_count("GOOD", 1);
    let errors = errors(&site);
    assert!(errors.iter().any(|error| error.starts_with("nas1: hosts/nas1:2: pattern \"[\": ")), "{errors:?}");
    assert!(errors.iter().any(|error| error.starts_with("nas1: hosts/nas1:4: ")), "{errors:?}");
    assert_eq!(errors.len(), 2, "{errors:?}");
}

/// Appends comments to a file until a condition holds, so often that the file is never still for a second. Returns whether that
/// succeeded: on a busy machine it may not.
fn keep_writing(site: &Site, name: &str, mut until: impl FnMut() -> bool) -> bool {
    let (start, mut last, mut longest) = (Instant::now(), Instant::now(), Duration::ZERO);
    while !until() {
        assert!(start.elapsed() < TIMEOUT, "in vain: {name} is written");
        site.append(name, "# more\n");
        longest = longest.max(last.elapsed());
        last = Instant::now();
        // Ten times in the second after which a file is still.
        pause(Duration::from_millis(100));
    }
    longest.max(last.elapsed()) < Duration::from_millis(900)
}

#[test]
fn a_file_that_is_being_written_waits_until_it_is_still() {
    // In real time: with the fast clock, the writer would have to be ten times as fast, which not every machine is.
    let site = Site::new("being-written");
    let _server = server_at(&site, 1);
    Peer::of_server(site.port).drain();
    for attempt in 0.. {
        let name = format!("half-{attempt}");
        site.host(&name, "file: /x\nmatch: (\n");
        let start = Instant::now();
        let never_still = keep_writing(&site, &format!("hosts/{name}"), || start.elapsed() > Duration::from_secs(4));
        let too_early = errors(&site);
        if never_still {
            assert_eq!(too_early, [""; 0]);
            // Now that it is still, it is read.
            wait_for_error(&site, &format!("{name}: hosts/{name}:2: pattern \"(\": "));
            break;
        }
        assert!(attempt < 4, "this machine is too busy for a second of stillness to mean anything");
    }
}

#[test]
fn sighup_reads_at_once_what_is_not_still() {
    let site = Site::new("sighup-reads");
    site.host("good", "");
    let server = server_at(&site, 1);
    Peer::of_server(site.port).drain();
    for attempt in 0.. {
        let name = format!("half-{attempt}");
        site.host(&name, "file: /x\nmatch: (\n");
        server.signal("HUP");
        let read = || errors(&site).iter().any(|error| error.contains(&format!("hosts/{name}:2: pattern \"(\": ")));
        if keep_writing(&site, &format!("hosts/{name}"), read) {
            break;
        }
        assert!(attempt < 4, "this machine is too busy for a second of stillness to mean anything");
    }
    assert_eq!(server.terminate(), 0);
}

#[test]
fn a_configuration_of_hundreds_of_rules_arrives_whole() {
    let site = Site::new("large");
    (0..6).for_each(|n| site.append(&format!("app{n}.log"), ""));
    let log = |n: usize| site.file(&format!("app{}.log", n % 6));
    let text: String = (0..600).map(|n| format!("file: {}\nmatch: needle {n};\nalert_all: tags=T{n}\n", log(n))).collect();
    assert!(text.len() > 30 * 1200, "it would fit into few datagrams");
    site.host("nas1", &text);
    let (_server, _agent) = (site.server(), site.agent("nas1", &[]));
    site.wait_for_text("in force: 600 rules");
    for n in [0, 299, 300, 599] {
        site.append(&format!("app{}.log", n % 6), format!("needle {n};\n"));
        let event = site.wait_for_text(&format!("needle {n};"));
        assert_eq!((event.tags, event.file), (format!("T{n}"), log(n)));
    }
}

#[test]
fn rules_that_stay_lose_and_double_no_line_while_others_come_and_go() {
    let site = Site::new("unchanged");
    site.append("app.log", "");
    let kept = rule(&site, "app.log", "KEPT");
    let other = |n: usize| format!("file: /nonexistent/{n}\nmatch: x\nalert_all: tags=OTHER\n");
    site.host("nas1", &kept);
    let (_server, agent) = (site.server(), site.agent("nas1", &[]));
    site.wait_for_configuration("nas1", 1);
    let mut lines = Vec::new();
    let mut append = || {
        lines.push(format!("line {:05}", lines.len()));
        site.append("app.log", format!("{}\n", lines[lines.len() - 1]));
    };
    for edit in 2..8 {
        // Before, after and instead of the last one.
        let text = if edit % 2 == 0 { format!("{}{kept}", other(edit)) } else { format!("{kept}{}", other(edit)) };
        site.host("nas1", &text);
        let in_force = || agent.log_text().matches("in force: ").count() >= edit;
        wait_for("the edit in force", || {
            append();
            in_force().then_some(())
        });
        append();
    }
    wait_for("all lines", || (site.texts("KEPT").len() >= lines.len()).then_some(()));
    assert_eq!(sorted(site.texts("KEPT")), lines);
}

#[test]
fn a_silent_host_is_reported_once_and_again_when_it_speaks() {
    let site = Site::new("silent");
    site.host("ghost", "");
    let _server = server_at(&site, 300);
    let peer = Peer::of_server(site.port);
    let inactive = |host: &str| said_of(&site, host).into_iter().filter(|event| event.text == "Host is inactive").collect::<Vec<_>>();
    let wait_for_inactive =
        |host, times| wait_for(&format!("{host} inactive {times}"), || Some(inactive(host)).filter(|events| events.len() >= times));
    let first = wait_for_inactive("ghost", 1);
    assert_eq!((&*first[0].tags, &*first[0].file), ("SYSTEM", "NULL"));
    // A host that is known only now is inactive 180 s later. Until then the first was not reported again.
    site.host("late", "");
    let late = wait_for_inactive("late", 1);
    assert!(late[0].unix - first[0].unix >= 180, "{late:?}");
    assert_eq!(inactive("ghost").len(), 1);

    peer.ask(&alert("ghost", "1_0", "T", "x"), "ACK%%1_0");
    site.wait_for_text("Host is active again");
    let again = wait_for_inactive("ghost", 2);
    assert!(again[1].unix - first[0].unix >= 180);
    assert_eq!(said_of(&site, "ghost").iter().filter(|event| event.text == "Host is active again").count(), 1);

    // The reminder, half an hour later.
    let late = wait_for_inactive("late", 2);
    assert!((1800..1900).contains(&(late[1].unix - late[0].unix)), "{late:?}");
}

#[test]
fn a_name_that_two_addresses_use_makes_an_event_that_names_both() {
    let site = Site::new("clones");
    site.host("clone", "");
    site.host("mover", "");
    let _server = site.server();
    let server = ("127.0.0.1", site.port + 1);
    let (one, two) = (Peer::new("127.0.0.1", server), Peer::new("127.0.0.2", server));
    let mut uid = 0;
    let mut say = |peer: &Peer, host: &str| {
        uid += 1;
        peer.ask(&alert(host, &format!("1_{uid}"), "T", "x"), &format!("ACK%%1_{uid}"));
    };
    // A device that moves is heard at its old address no more.
    [&one, &one, &two, &two].into_iter().for_each(|peer| say(peer, "mover"));
    [&one, &two, &one, &two, &one].into_iter().for_each(|peer| say(peer, "clone"));
    site.wait_for_text("two addresses");
    say(&one, "clone");
    let texts: Vec<_> = said_of(&site, "clone").into_iter().map(|event| event.text).collect();
    assert_eq!(texts, ["Host name is used from two addresses at once: 127.0.0.2 and 127.0.0.1"]);
    assert_eq!(said_of(&site, "mover"), []);
}

#[test]
fn an_unknown_host_is_logged_once_and_its_events_are_written() {
    let site = Site::new("unknown");
    let server = site.server();
    let peer = Peer::of_server(site.port);
    peer.drain();
    (0..5).for_each(|_| peer.send("CONFREQ%%nobody"));
    let said = peer.drain();
    assert_eq!(said, [""; 0], "a host without a file gets no answer");
    // Strangers get one line a minute.
    wait_for("another of them in the log", || {
        peer.send("CONFREQ%%nobody");
        peer.send("CONFREQ%%somebody");
        server.log_text().contains("somebody at").then_some(())
    });
    peer.drain();
    let asks = "nobody at 127.0.0.1 asks for a configuration, but there is no host file of that name";
    assert_eq!(server.log_text().matches(asks).count(), 1);
    peer.ask(&alert("nobody", "7_1", "T", "an event"), "ACK%%7_1");
    let event = site.wait_for_text("an event");
    assert_eq!((&*event.host, &*event.uid, &*event.tags, event.unix), ("nobody", "7_1", "T", 1_795_347_336));
}
