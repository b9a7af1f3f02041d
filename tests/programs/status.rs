//! `ax436 status`, `events` and `silence`, and what they show: hosts that stop, fall silent and hang behind each other.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{lines_of, pause, wait_for, Site};
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const RULE: &str = "file: /dev/null\nmatch: x\nalert_all: tags=T\n";

fn run(site: &Site, arguments: &[&str]) -> Output {
    site.command("ax436").args(arguments).output().unwrap()
}

/// What a command prints, and its exit status.
fn printed(site: &Site, arguments: &[&str]) -> (String, i32) {
    let output = run(site, arguments);
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

/// The row of a host in the status, its columns joined by single spaces.
fn row(site: &Site, host: &str) -> Option<String> {
    let (text, _) = printed(site, &["status", "ax436.conf"]);
    let table = text.split("\nHOST ").nth(1)?;
    let row = table.lines().find(|line| line.split(' ').next() == Some(host))?;
    Some(row.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn wait_for_row(site: &Site, host: &str, part: &str) -> String {
    wait_for(&format!("\"{part}\" in the row of {host}"), || row(site, host).filter(|row| row.contains(part)))
}

/// Has a host ask for its configuration, as a Python agent does: the server hears it by that.
fn ask(site: &Site, host: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(format!("CONFREQ%%{host}").as_bytes(), ("127.0.0.1", site.port + 1)).unwrap();
}

/// What the server answers to these bytes.
fn answer(site: &Site, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(site.path("events.log.control")).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn wait_for_socket(site: &Site) {
    wait_for("the control socket", || UnixStream::connect(site.path("events.log.control")).ok());
}

#[test]
fn the_status_shows_every_host_and_its_agent() {
    let site = Site::new("status-hosts");
    site.host("nas", RULE);
    site.host("deaf", RULE);
    site.host("old", RULE);
    let _server = site.server();
    let _agent = site.agent("nas", &[]);
    let target = std::env::consts::ARCH;
    let nas = wait_for_row(&site, "nas", "in force");
    assert!(nas.starts_with("nas alive") && nas.contains(" ago 127.0.0.1 ") && nas.contains(target), "{nas}");
    assert!(nas.contains(&format!(" {} in force off ", env!("CARGO_PKG_VERSION"))), "{nas}");
    assert!(wait_for_row(&site, "deaf", "never seen").starts_with("deaf never seen never - - - off -"));
    ask(&site, "stranger");
    ask(&site, "old");
    assert!(wait_for_row(&site, "stranger", "127.0.0.1").starts_with("stranger unknown"));
    assert!(wait_for_row(&site, "old", "alive").contains("127.0.0.1 protocol 1 - off -"));
    let (text, status) = printed(&site, &["status", "ax436.conf"]);
    assert!(text.contains("4 hosts: 2 alive, 1 never seen, 1 unknown; nothing is open\n") && status == 0, "{text}");
    assert!(!text.contains('\x1b'), "colours only on a terminal");
    let (json, status) = printed(&site, &["status", "--json", "ax436.conf"]);
    assert!(json.starts_with("{\"server\":{") && json.contains("\"state\":\"never seen\"") && status == 0, "{json}");
}

#[test]
fn the_exit_status_says_whether_something_is_open_or_no_server_answers() {
    let site = Site::new("status-exit");
    site.host("deaf", RULE);
    let output = run(&site, &["status", "ax436.conf"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(error.starts_with("ax436: no server answers at events.log.control: "), "{error}");
    let server = site.server();
    wait_for_row(&site, "deaf", "never seen");
    assert_eq!(printed(&site, &["status", "ax436.conf"]).1, 0);
    site.wait_for_text("Host is inactive");
    let (text, status) = printed(&site, &["status", "ax436.conf"]);
    assert!(text.contains("1 condition open") && status == 1, "{text}");
    for arguments in [&["status"][..], &["status", "a", "b"], &["status", "--jsn", "ax436.conf"], &["status", "gone.conf"]] {
        assert_eq!(printed(&site, arguments).1, 2, "{arguments:?}");
    }
    assert_eq!(server.terminate(), 0);
    assert!(!site.path("events.log.control").exists(), "the server removes its socket");
}

#[test]
fn an_agent_that_is_stopped_is_not_silent_and_is_reported_all_the_same_when_it_stays_away() {
    let site = Site::new("status-stopped");
    site.host("nas", RULE);
    let server = site.server();
    let agent = site.agent("nas", &[]);
    site.wait_for_configuration("nas", 1);
    agent.terminate();
    let stopped = site.wait_for_text("Agent has stopped");
    assert!(stopped.is_of_server() && stopped.host == "nas" && stopped.tags == "SYSTEM", "{stopped:?}");
    assert!(wait_for_row(&site, "nas", "stopped").starts_with("nas stopped"));
    let silent = site.wait_for_text("Host is inactive");
    assert!(silent.unix - stopped.unix >= 179, "{silent:?}");
    assert!(wait_for_row(&site, "nas", "silent").starts_with("nas silent"));
    assert_eq!(site.events().iter().filter(|event| event.text == "Agent has stopped").count(), 1, "it was said three times");
    let _agent = site.agent("nas", &[]);
    let again = site.wait_for_text("Host is active again");
    let key = |uid: &str| uid.rsplit(';').next().unwrap().to_string();
    assert!(silent.uid.contains(";system;opened;") && again.uid.contains(";system;closed;"), "{silent:?} {again:?}");
    assert_eq!(key(&silent.uid), key(&again.uid));
    drop(server);
}

#[test]
fn a_host_with_inactive_never_is_never_reported() {
    let site = Site::new("status-never");
    site.host("laptop", "inactive: never\n");
    site.host("pc", "inactive: 120\n");
    site.host("nas", "");
    let _server = site.server();
    let silent = site.wait_for_text("Host is inactive");
    assert_eq!(silent.host, "pc");
    wait_for("the silence of the other host", || site.events().into_iter().find(|event| event.host == "nas"));
    assert!(site.events().iter().all(|event| event.host != "laptop"));
}

#[test]
fn hosts_behind_a_silent_host_are_counted_in_one_event() {
    let site = Site::new("status-behind");
    site.host("router", RULE);
    ["nas", "web"].iter().for_each(|name| site.host(name, &format!("parent: router\n{RULE}")));
    let _server = site.server();
    wait_for_socket(&site);
    for name in ["router", "nas", "web"] {
        ask(&site, name);
        wait_for_row(&site, name, "alive");
    }
    let counted = site.wait_for_text("hosts behind it are inactive too");
    assert_eq!((&*counted.host, &*counted.text), ("router", "2 hosts behind it are inactive too"));
    let silent = |host: &str| site.events().into_iter().find(|event| event.host == host && event.text == "Host is inactive").unwrap();
    assert_eq!(["router", "nas", "web"].map(|host| silent(host).tags), ["SYSTEM", "SYSTEM,BEHIND", "SYSTEM,BEHIND"]);
    assert!(wait_for_row(&site, "nas", "silent").starts_with("nas silent behind router"));
    // The router is back, and one host with it: the other one counts by itself.
    let by_itself = || {
        ["router", "nas"].iter().for_each(|name| ask(&site, name));
        site.events().into_iter().find(|event| event.host == "web" && event.text == "Host is inactive" && event.tags == "SYSTEM")
    };
    wait_for("the report of the host that stays away", by_itself);
    let again = |host: &str| site.events().into_iter().find(|event| event.host == host && event.text == "Host is active again").unwrap();
    assert_eq!(["router", "nas"].map(|host| again(host).tags), ["SYSTEM", "SYSTEM,BEHIND"]);
    site.wait_for_text("The hosts behind it count by themselves again");
    assert_eq!(site.events().iter().filter(|event| event.text.contains("behind it are inactive")).count(), 1);
}

#[test]
fn open_conditions_outlive_a_restart_and_end_with_the_host_file() {
    let site = Site::new("status-restart");
    site.host("deaf", RULE);
    let server = site.server();
    site.wait_for_text("Host is inactive");
    server.kill();
    let server = site.server();
    let open = |site: &Site| printed(site, &["status", "ax436.conf"]);
    wait_for("the condition after kill -9", || Some(open(&site)).filter(|(text, _)| text.contains("Host is inactive")));
    server.terminate();
    let _server = site.server();
    let (text, status) =
        wait_for("the condition after SIGTERM", || Some(open(&site)).filter(|(text, _)| text.contains("Host is inactive")));
    assert!(text.contains("1 condition open") && status == 1, "{text}");
    let agent = site.agent("deaf", &[]);
    site.wait_for_text("Host is active again");
    assert_eq!(open(&site).1, 0);
    agent.kill();
    wait_for("another silence", || (site.texts("SYSTEM").iter().filter(|text| *text == "Host is inactive").count() > 1).then_some(()));
    std::fs::remove_file(site.path("hosts/deaf")).unwrap();
    let closed = site.wait_for_text("The host file is gone, and with it: Host is inactive");
    assert!(closed.uid.contains(";system;closed;") && open(&site).1 == 0, "{closed:?}");
}

#[test]
fn a_condition_that_ends_without_an_event_is_open_no_longer_also_after_a_crash_of_the_server() {
    let site = Site::new("status-silent-end");
    site.write("app.log", "");
    site.host(
        "nas",
        &format!("file: {}\nmatch: .\nalert_inactive: tags=QUIET seconds=1 message=Nothing is logged\n", site.file("app.log")),
    );
    let server = site.server();
    let _agent = site.agent("nas", &[]);
    let open = || printed(&site, &["status", "ax436.conf"]);
    let (text, _) = wait_for("the condition", || Some(open()).filter(|(text, status)| *status == 1 && text.contains("Nothing is logged")));
    assert!(text.contains("absence") && text.contains("QUIET") && text.contains("1 condition open"), "{text}");
    let ends = || {
        wait_for("its end", || {
            site.append("app.log", "line\n");
            Some(open()).filter(|(text, status)| *status == 0 && text.contains("nothing is open"))
        })
    };
    ends();
    server.kill();
    let _server = site.server();
    ends();
    assert!(!site.lines().iter().any(|line| line.contains(";closed;")), "nothing in the host file asks for an event of the end");
}

#[test]
fn parents_that_cannot_be_are_errors_of_the_check_and_events() {
    let site = Site::new("status-parents");
    for (host, parent) in [("a", "b"), ("b", "a"), ("c", "gone"), ("d", "e"), ("e", "f")] {
        site.host(host, &format!("parent: {parent}\n"));
    }
    site.host("f", "inactive: 5\n");
    site.host("g", "parent: a b\ninactive: never\ninactive: never\n");
    let (text, status) = printed(&site, &["-t", "ax436.conf"]);
    for line in [
        "hosts/a:1: parent: a would hang behind itself, by way of b",
        "hosts/b:1: parent: b would hang behind itself, by way of a",
        "hosts/c:1: parent: there is no host file gone",
        "hosts/f:1: inactive: expected never, or 120 to 31622400 seconds, got \"5\"",
        "hosts/g:1: parent: expected the name of a host, got \"a b\"",
        "hosts/g:3: inactive: is given twice for one host",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line} is not in {text}");
    }
    assert!(status == 2 && text.lines().count() == 6, "{text}");
    let server = site.server();
    for host in ["a", "b", "c", "f", "g"] {
        let is_fault = |text: &str| text.starts_with("Configuration error: ");
        wait_for(host, || site.events().into_iter().find(|event| event.host == host && is_fault(&event.text)));
    }
    drop(server);
}

#[test]
fn the_settings_of_a_host_are_no_part_of_its_configuration() {
    let site = Site::new("status-revision");
    site.host("nas", &format!("inactive: never\n{RULE}"));
    let _server = site.server();
    let _agent = site.agent("nas", &[]);
    site.wait_for_configuration("nas", 1);
    site.host("nas", &format!("inactive: 500\n{RULE}parent: pc\n"));
    site.wait_for_text("parent: there is no host file pc");
    site.host("nas", &format!("inactive: 500\n{RULE}{RULE}"));
    site.wait_for_configuration("nas", 2);
    let texts = site.texts("SYSTEM");
    let in_force: Vec<&String> = texts.iter().filter(|text| text.contains("in force")).collect();
    assert!(in_force.len() == 2 && in_force[1].ends_with("2 rules"), "{in_force:?}");
}

#[test]
fn the_control_socket_is_for_its_user_alone_and_is_taken_over_after_a_kill() {
    let site = Site::new("status-socket");
    let server = site.server();
    wait_for_socket(&site);
    let meta = || std::fs::symlink_metadata(site.path("events.log.control")).unwrap();
    assert!(meta().file_type().is_socket());
    assert_eq!(meta().permissions().mode() & 0o777, 0o600);
    server.kill();
    let server = site.server();
    wait_for("an answer", || (printed(&site, &["status", "ax436.conf"]).1 == 0).then_some(()));
    server.terminate();
    // What is no socket stays.
    site.write("events.log.control", "mine");
    let server = site.server();
    let log = wait_for("a line in the log", || Some(server.log_text()).filter(|text| text.contains("cannot listen on events.log.control")));
    assert!(log.contains("ax436 status finds no server"), "{log}");
    assert_eq!(std::fs::read_to_string(site.path("events.log.control")).unwrap(), "mine");
}

#[test]
fn the_control_socket_answers_http_and_refuses_everything_else() {
    let site = Site::new("status-http");
    let _server = site.server();
    wait_for_socket(&site);
    let get = answer(&site, b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(get.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n") && get.ends_with("}\n"), "{get}");
    let head = answer(&site, b"HEAD /status?x HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    for (request, status) in [
        (b"GET /nothing HTTP/1.1\r\n\r\n".to_vec(), "404"),
        (b"POST /status HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".to_vec(), "405"),
        (b"\x00\xff\x16\x03\x01".to_vec(), "400"),
        ([b"GET / HTTP/1.1\r\n".to_vec(), b"A: b\r\n".repeat(100), b"\r\n".to_vec()].concat(), "431"),
        ([b"GET /".to_vec(), vec![b'x'; 100_000]].concat(), "431"),
    ] {
        let answer = answer_or_reset(&site, &request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
    }
}

/// As [`answer`], for a request that the server does not read to its end.
fn answer_or_reset(site: &Site, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(site.path("events.log.control")).unwrap();
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn connections_that_say_nothing_neither_stop_the_server_nor_keep_others_out_for_long() {
    let site = Site::new("status-idle");
    site.host("nas", RULE);
    let _server = site.server();
    wait_for_socket(&site);
    let idle: Vec<UnixStream> = (0..50).map(|_| UnixStream::connect(site.path("events.log.control")).unwrap()).collect();
    let _agent = site.agent("nas", &[]);
    site.wait_for_configuration("nas", 1);
    wait_for_row(&site, "nas", "alive");
    drop(idle);
}

#[test]
fn a_silence_is_shown_listed_ended_and_kept_with_what_people_write() {
    let site = Site::new("status-silence");
    site.host("deaf", RULE);
    site.write("events.log.silences", "# maintenance\nold 2001-01-01T00:00Z\nwhat\n");
    let server = site.server();
    wait_for("the fault in the log", || server.log_text().contains("events.log.silences:3: expected HOST[/TAGS] UNTIL").then_some(()));
    site.wait_for_text("Host is inactive");
    assert_eq!(printed(&site, &["status", "ax436.conf"]).1, 1);
    let (text, status) = printed(&site, &["silence", "ax436.conf", "de*/SYSTEM", "2h", "new", "disks"]);
    assert!(text.starts_with("de*/SYSTEM is silenced until 20") && status == 0, "{text}");
    let file = std::fs::read_to_string(site.path("events.log.silences")).unwrap();
    assert!(file.starts_with("# maintenance\nwhat\nde*/SYSTEM 20") && file.ends_with("+00:00 new disks\n"), "{file}");
    let silenced = wait_for("the mark", || Some(printed(&site, &["status", "ax436.conf"])).filter(|(text, _)| text.contains("silenced")));
    assert_eq!(silenced.1, 0, "{}", silenced.0);
    assert!(silenced.0.contains("new disks"));
    let (list, _) = printed(&site, &["silence", "ax436.conf"]);
    assert!(list.starts_with("de*/SYSTEM 20") && list.lines().count() == 1, "{list}");
    assert_eq!(printed(&site, &["silence", "-e", "ax436.conf", "de*/SYSTEM"]).1, 0);
    wait_for("the end", || (printed(&site, &["status", "ax436.conf"]).1 == 1).then_some(()));
    assert_eq!(std::fs::read_to_string(site.path("events.log.silences")).unwrap(), "# maintenance\nwhat\n");
    for arguments in [
        &["silence"][..],
        &["silence", "-e", "ax436.conf", "nas"],
        &["silence", "ax436.conf", "nas", "2"],
        &["silence", "ax436.conf", "a/", "2h"],
    ] {
        assert_eq!(printed(&site, arguments).1, 2, "{arguments:?}");
    }
}

#[test]
fn a_silence_is_in_force_when_its_command_ends() {
    let site = Site::new("status-silence-at-once");
    site.write("app.log", "");
    site.host("nas", &format!("file: {}\nmatch: .\nalert_all: tags=APP\n", site.file("app.log")));
    site.write("ax436.conf", &site.server_file("127.255.255.255", "output: all\nselect: tags=APP\nformat: text\nrun: tee -a told\n"));
    let (_server, _agent) = (site.server(), site.agent("nas", &[]));
    site.wait_for_text("Following");
    let told = || std::fs::read_to_string(site.path("told")).unwrap_or_default();
    for line in ["before", "after"] {
        site.append("app.log", format!("{line}\n"));
        wait_for("a line that is not silenced", || told().contains(line).then_some(()));
        assert_eq!(printed(&site, &["silence", "ax436.conf", "nas", "2h"]).1, 0);
        site.append("app.log", format!("silenced, {line} one\n"));
        site.wait_for_text(&format!("silenced, {line} one"));
        assert_eq!(printed(&site, &["silence", "-e", "ax436.conf", "nas"]).1, 0);
    }
    site.append("app.log", "last\n");
    wait_for("the last line", || told().contains("last").then_some(()));
    assert!(!told().contains("silenced"), "{}", told());
}

#[test]
fn what_is_silenced_or_explained_goes_to_no_output_and_comes_when_the_silence_ends() {
    let site = Site::new("status-outputs");
    let output = "output: sink\nformat: text\nselect: states=opened,closed\nrun: tee -a sink\n";
    site.write("ax436.conf", &site.server_file("127.255.255.255", output));
    site.host("router", RULE);
    site.host("nas", &format!("parent: router\n{RULE}"));
    site.host("web", RULE);
    site.host("pc", RULE);
    site.write("events.log.silences", "web 2100-01-01T00:00Z\n");
    let _server = site.server();
    wait_for_socket(&site);
    for name in ["router", "nas", "web", "pc"] {
        ask(&site, name);
        wait_for_row(&site, name, "alive");
    }
    let delivered = |host: &str| {
        let sink = std::fs::read_to_string(site.path("sink")).unwrap_or_default();
        sink.lines().any(|line| line.contains(&format!(" {host} ")) && line.contains("inactive"))
    };
    wait_for("what counts by itself", || (delivered("pc") && delivered("router")).then_some(()));
    site.wait_for_text("1 host behind it is inactive too");
    assert!(!delivered("web") && !delivered("nas"));
    let row = wait_for("the output in the status", || {
        let (text, _) = printed(&site, &["status", "ax436.conf"]);
        text.lines().find(|line| line.starts_with("sink ")).map(str::to_string)
    });
    assert!(row.ends_with('-'), "{row}");
    site.write("events.log.silences", "");
    wait_for("what is still open", || delivered("web").then_some(()));
    assert!(!delivered("nas"));
}

#[test]
fn ten_thousand_open_conditions_take_a_few_megabytes() {
    const MOST_KIB: u64 = 8 * 1024;
    let resident = |lines: usize| {
        let site = Site::new(&format!("status-many-{lines}"));
        let line = |number: usize| {
            let (host, key) = (number / 500, number % 500);
            format!("Sun Nov 22 11:35:36 2026%%h{host}%%q{host}.{key};limit;opened;k{key}%%1795347336%%DISK%%NULL%%Volume {key} is more than 90 % full\n")
        };
        (0..20).for_each(|host| site.host(&format!("h{host}"), RULE));
        site.write("events.log", &(0..lines).map(line).collect::<String>());
        let server = site.server();
        wait_for_socket(&site);
        let (text, _) = wait_for("the status", || Some(printed(&site, &["status", "ax436.conf"])).filter(|(_, status)| *status < 2));
        assert!(lines == 0 || text.contains(&format!("{lines} conditions open")), "{text}");
        server.status("VmRSS")
    };
    let (none, many) = (resident(0), resident(10_000));
    assert!(many < none + MOST_KIB, "{none} KiB without, {many} KiB with them");
}

#[test]
fn a_control_socket_with_too_long_a_path_is_a_warning() {
    let site = Site::new("status-long");
    let long = "x".repeat(120);
    site.write("ax436.conf", &site.server_file("127.255.255.255", "").replace("events.log", &long));
    let (text, status) = printed(&site, &["-t", "ax436.conf"]);
    assert!(text.contains(".control has more than 107 bytes") && text.contains("warning: ") && status == 0, "{text}");
}

#[test]
fn the_check_names_bad_silences_and_those_that_are_over() {
    let site = Site::new("status-silence-check");
    site.write("quiet", "nas 2001-01-01T00:00Z\nnas soon\n");
    site.write("ax436.conf", &site.server_file("127.255.255.255", "silences: quiet\n"));
    let (text, status) = printed(&site, &["-t", "ax436.conf"]);
    assert!(text.contains("quiet:1: warning: the silence of nas is over\n") && text.contains("quiet:2: expected HOST[/TAGS]"), "{text}");
    assert_eq!(status, 2);
}

#[test]
fn a_heartbeat_is_an_event_of_the_server() {
    let site = Site::new("status-heartbeat");
    site.write("ax436.conf", &site.server_file("127.255.255.255", "heartbeat: 20\nname: pi\n"));
    let _server = site.server();
    site.wait_for_count("HEARTBEAT", 3);
    let beats: Vec<_> = site.events().into_iter().filter(|event| event.tags == "HEARTBEAT").collect();
    assert!(beats.iter().all(|event| event.host == "pi" && event.is_of_server()), "{beats:?}");
    assert!(beats[0].uid != beats[1].uid && (20..=22).contains(&(beats[1].unix - beats[0].unix)), "{beats:?}");
}

#[test]
fn events_are_printed_for_people_whatever_form_their_lines_have() {
    let site = Site::new("status-events");
    site.write("events.log.1", "Sun Nov 22 11:35:36 2026%%nas1%%1795347336_2%%1795347336%%T%%/log%%first \x1b[1m\n");
    site.write(
        "events.log",
        "{\"received\":\"2026-11-22T11:36:00Z\",\"received_unix\":1795347360,\"host\":\"web\",\"uid\":\"q.1\",\"time\":\"2026-11-22T11:36:00Z\",\
         \"time_unix\":1795347360,\"tags\":\"A,DISK\",\"text\":\"second\",\"kind\":\"limit\",\"state\":\"opened\",\"key\":\"k\"}\nno event\n",
    );
    let (text, status) = printed(&site, &["events", "ax436.conf"]);
    let lines: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines, ["2026-11-22 11:35:36 nas1 T first \u{fffd}[1m (/log)", "2026-11-22 11:36:00 web A,DISK opened second"]);
    assert_eq!(status, 0);
    for (option, value, count) in
        [("--host", "n*", 1), ("--tags", "DISK", 1), ("--state", "closed", 0), ("--since", "2026-11-22T11:35:37Z", 1)]
    {
        assert_eq!(printed(&site, &["events", option, value, "ax436.conf"]).0.lines().count(), count, "{option}");
    }
    assert_eq!(printed(&site, &["events", "--state", "ajar", "ax436.conf"]).1, 2);
    std::fs::remove_file(site.path("events.log")).unwrap();
    std::fs::remove_file(site.path("events.log.1")).unwrap();
    assert_eq!(printed(&site, &["events", "ax436.conf"]).1, 2);
}

#[test]
fn events_are_followed_over_rolled_files_without_a_loss() {
    let site = Site::new("status-follow");
    site.write("ax436.conf", &site.server_file("127.255.255.255", "event_stream_size: 20000\nevent_stream_keep: 100\n"));
    site.host("nas", &format!("file: {}\nmatch: line\nalert_all: tags=T\n", site.file("log")));
    let _server = site.server();
    let _agent = site.agent("nas", &[]);
    site.wait_for_text("Following");
    let mut command: Command = site.command("ax436");
    command.args(["events", "-f", "--tags", "T", "ax436.conf"]);
    let out = std::fs::File::create(site.path("followed")).unwrap();
    let mut reader = command.stdout(Stdio::from(out)).spawn().unwrap();
    let lines: String = (0..5000).map(|number| format!("line {number:05}\n")).collect();
    for part in lines.as_bytes().chunks(14_000) {
        site.append("log", part);
        // A pace at which the stream rolls while it is followed.
        pause(Duration::from_millis(50));
    }
    let followed = || lines_of(&site.path("followed"));
    wait_for("every line", || (followed().len() >= 5000).then_some(()));
    reader.kill().unwrap();
    reader.wait().unwrap();
    let numbers: Vec<String> = followed().iter().map(|line| line.split("line ").nth(1).unwrap()[..5].to_string()).collect();
    assert_eq!(numbers, (0..5000).map(|number| format!("{number:05}")).collect::<Vec<_>>());
    assert!(site.path("events.log.5").exists(), "the stream has rolled");
}
