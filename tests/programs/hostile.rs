//! What strangers can send: it forges no event, fills no memory and ends no program.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{lines_of, pause, receive, wait_for, Event, Program, Site, TIMEOUT};
use crate::raw::{alert, Peer};
use project436::random::Random;
use project436::wire::{Message, Revision};
use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

/// Every message of the protocol, as it might come for a host of that name.
fn every_message(host: &str) -> Vec<String> {
    let (run, nonce) = ("0".repeat(32), "1".repeat(32));
    vec![
        format!("SRVHB%%{host}"),
        format!("CONFREQ%%{host}"),
        "CONFIG%%START%%file: /a%%match: b%%alert_all: tags=T".to_string(),
        format!("RESET%%{host}"),
        format!("ALERT%%{host}%%1_0%%1%%T%%/a%%text"),
        "ACK%%1_0".to_string(),
        format!("SRVCAP%%{host}%%3%%{run}"),
        format!("HELLO%%3%%{host}%%{run}%%{nonce}"),
        format!("OFFER%%{host}%%{nonce}%%{run}"),
        format!("JOIN%%{host}%%{run}%%{nonce}%%{run}"),
        format!("CONF%%{host}%%{}%%1%%2%%text", "a".repeat(16)),
        format!("NEED%%{host}%%{}%%1,2", "a".repeat(16)),
        format!("STALE%%{host}%%{}", "a".repeat(16)),
        format!("ALIVE%%{host}%%{run}%%none"),
        format!("HERE%%{host}"),
        format!("LOST%%{host}"),
    ]
}

/// Host names that must not be used to look for a file.
const BAD_NAMES: [&str; 12] = [
    "../secret",
    "../../../../../../etc/shadow",
    "/etc/passwd",
    "hosts/../../secret",
    ".hidden",
    ".",
    "..",
    "nas1\0",
    "nas1\n2026-11-22 11:35:36 forged",
    "nas1\r\u{1b}[2J",
    "nas1~",
    "",
];

/// Datagrams that our programs never send to one that knows `host`.
fn garbage(host: &str) -> Vec<Vec<u8>> {
    let mut garbage: Vec<Vec<u8>> = Vec::new();
    for message in every_message(host) {
        let bytes = message.into_bytes();
        garbage.extend((0..bytes.len()).map(|end| bytes[..end].to_vec()));
        // Not UTF-8, a NUL, a field too many and one that is empty.
        for tail in [&b"\xff\xfe"[..], b"\0", b"%%", b"%%%%%%", b"\xe2\x82"] {
            garbage.push([&bytes, tail].concat());
        }
        let middle = bytes.len() / 2;
        garbage.push([&bytes[..middle], b"\xc3", &bytes[middle..]].concat());
    }
    garbage.extend(BAD_NAMES.iter().flat_map(|name| every_message(name)).map(String::into_bytes));
    let mut random = Random::new(436);
    for _ in 0..300 {
        let size = usize::try_from(random.bits() % 1400).unwrap();
        garbage.push((0..size).map(|_| random.bits().to_le_bytes()[0]).collect());
    }
    for message in every_message(host) {
        // One byte changed.
        for _ in 0..20 {
            let mut bytes = message.clone().into_bytes();
            let at = usize::try_from(random.bits()).unwrap() % bytes.len();
            bytes[at] = random.bits().to_le_bytes()[0];
            garbage.push(bytes);
        }
    }
    garbage.push(vec![b'A'; 65_000]);
    garbage.push([b"ALERT".as_slice(), &b"%%".repeat(30_000)].concat());
    garbage
}

/// The bytes that wait at a UDP port, and how many datagrams were lost there. The system's table sometimes lacks a line while other
/// sockets come and go, so a second look may be needed.
fn queue(port: u16) -> (u64, u64) {
    let at_port = |line: &&str| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&format!(":{port:04X}")));
    let line = wait_for(&format!("a socket at port {port}"), || {
        let table = fs::read_to_string("/proc/net/udp").unwrap();
        table.lines().find(at_port).map(str::to_string)
    });
    let waiting = line.split_whitespace().nth(4).unwrap().split_once(':').unwrap().1;
    (u64::from_str_radix(waiting, 16).unwrap(), line.split_whitespace().last().unwrap().parse().unwrap())
}

/// Sends all datagrams, no faster than the receiver takes them.
fn send_all(peer: &Peer, port: u16, datagrams: &[Vec<u8>]) {
    for some in datagrams.chunks(20) {
        some.iter().for_each(|datagram| peer.send(datagram));
        wait_for("the datagrams to be taken", || (queue(port).0 == 0).then_some(()));
    }
    assert_eq!(queue(port).1, 0, "datagrams were lost");
}

fn site_with_host(name: &str) -> Site {
    let site = Site::new(name);
    site.append("app.log", "");
    site.host("nas1", &format!("file: {}\nmatch: line\nalert_all: tags=APP\n", site.file("app.log")));
    site
}

fn resident_kib(program: &Program) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn the_server_survives_any_garbage_and_reveals_no_file() {
    let site = site_with_host("garbage-server");
    site.write("secret", "file: /secret\nmatch: secret\nalert_all: tags=SECRET\n");
    site.host(".hidden", "file: /secret\nmatch: secret\nalert_all: tags=SECRET\n");
    site.host("nas1~", "file: /secret\nmatch: secret\nalert_all: tags=SECRET\n");
    let (server, agent) = (site.server(), site.agent("nas1", &[]));
    site.wait_for_configuration("nas1", 1);
    let peer = Peer::of_server(site.port);
    peer.drain();
    send_all(&peer, site.port + 1, &garbage("nobody"));
    let said = peer.drain();
    let given_away: Vec<_> = said.iter().filter(|text| text.starts_with("CONF") || text.contains("SECRET")).collect();
    assert!(given_away.is_empty(), "{given_away:?}");
    site.append("app.log", "line 1\n");
    site.wait_for_count("APP", 1);
    for line in server.log_text().lines() {
        assert!(line.starts_with("20") && !line.contains(char::is_control), "{line:?}");
        assert!(!line.starts_with("2026-11-22 11:35:36"), "a forged line: {line}");
    }
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

#[test]
fn no_field_of_an_event_forges_a_line_or_a_field() {
    let site = Site::new("forged");
    let _server = site.server();
    let peer = Peer::of_server(site.port);
    peer.drain();
    let usual = ["host", "1_0", "1795347336", "TAG", "/var/log/file", "text"];
    let line = "Sun Nov 22 11:35:36 2026%%forged%%1_1%%1%%T%%NULL%%forged";
    let payloads = [
        format!("a\n{line}"),
        format!("a\r\n{line}\n"),
        "a\nb".into(),
        "a\rb".into(),
        "a\u{1b}[2J\u{1b}]0;title\u{7}".into(),
        "nul\0del\u{7f}".into(),
        "c1\u{9b}2J\u{85}".into(),
        "\u{2028}\u{2029}\u{202e}".into(),
        "%%".into(),
        "a%%b".into(),
        "%".into(),
        "a%".into(),
        "%%%".into(),
        "a%%%%b".into(),
    ];
    let mut alerts = 0;
    for (field, payload) in (0..usual.len()).flat_map(|field| payloads.iter().map(move |payload| (field, payload))) {
        let mut fields = usual;
        fields[field] = payload;
        let before = site.lines();
        peer.send(format!("ALERT%%{}", fields.join("%%")));
        let acknowledged = peer.drain().iter().filter(|text| text.starts_with("ACK%%")).count();
        let text = fs::read_to_string(site.path("events.log")).unwrap_or_default();
        assert!(!text.contains(|c: char| c != '\n' && c.is_control()), "field {field}: {payload:?}: {text:?}");
        let after = site.lines();
        assert_eq!(after.len() - before.len(), acknowledged, "field {field}: {payload:?}");
        let Some(line) = after.get(before.len()) else { continue };
        alerts += 1;
        let event = Event::parse(line);
        let received = [event.host, event.uid, event.unix.to_string(), event.tags, event.file, event.text];
        if !payload.contains('%') {
            // All fields except the payload are unchanged.
            for other in (0..usual.len()).filter(|other| *other != field) {
                assert_eq!(received[other], usual[other], "field {field}: {payload:?}");
            }
        }
        if field == 5 {
            assert_eq!(received[..5], usual[..5], "{payload:?}");
        }
    }
    assert!(alerts >= 45, "{alerts}");
    assert!(!site.events().iter().any(|event| event.host == "forged"));
}

#[test]
fn a_hundred_thousand_names_do_not_grow_the_servers_memory() {
    let site = Site::new("names");
    let server = site.server();
    let peer = Peer::of_server(site.port);
    peer.drain();
    let round = |from: usize, to: usize| {
        for first in (from..to).step_by(20) {
            for n in first..first + 20 {
                peer.send(alert(&format!("stranger-{n}-of-many-with-a-long-name"), "1_0", "T", "x"));
                peer.send(format!("CONFREQ%%stranger-{n}-of-many-with-a-long-name"));
                peer.send(format!("ALIVE%%stranger-{n}-of-many-with-a-long-name%%{n:032x}%%none"));
            }
            let mut answers = 0;
            while answers < 40 {
                let answer = peer.receive(TIMEOUT).expect("an answer to each ALERT and ALIVE");
                answers += usize::from(answer.starts_with("ACK%%1_0") || answer.starts_with("STALE%%stranger"));
            }
        }
        // Some of these names get a session, by the rules.
        for n in (from..to).step_by(50) {
            let name = format!("stranger-{n}-of-many-with-a-long-name");
            let offer = peer.ask(&format!("HELLO%%3%%{name}%%{n:032x}%%{n:032x}"), &format!("OFFER%%{name}"));
            let cookie = offer.rsplit("%%").next().unwrap();
            peer.ask(&format!("JOIN%%{name}%%{n:032x}%%{n:032x}%%{cookie}"), &format!("STALE%%{name}%%none"));
        }
    };
    // More than the thousand names that are logged.
    round(0, 4_000);
    let before = resident_kib(&server);
    round(4_000, 104_000);
    let after = resident_kib(&server);
    assert!(after < before + 1024, "{before} KiB, then {after} KiB");
    let complaints = server.log_text().matches("asks for a configuration").count();
    assert!((1..=1000).contains(&complaints), "{complaints}");
    assert!(lines_of(&site.path("events.log")).len() > 4_000);
}

#[test]
fn the_agent_survives_any_garbage() {
    let site = site_with_host("garbage-agent");
    let (server, agent) = (site.server(), site.agent("nas1", &[]));
    site.wait_for_configuration("nas1", 1);
    for (from, host) in [("127.0.0.3", "nas1"), ("127.0.0.1", "nobody")] {
        // The second has the server's own address.
        send_all(&Peer::new(from, ("127.0.0.1", site.port)), site.port, &garbage(host));
    }
    site.append("app.log", "line 1\n");
    site.wait_for_count("APP", 1);
    assert_eq!(agent.log_text().matches("in force").count(), 1, "{}", agent.log_text());
    for line in agent.log_text().lines() {
        assert!(line.starts_with("20") && !line.contains(char::is_control), "{line:?}");
    }
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

#[test]
fn datagrams_from_others_than_the_selected_server_change_nothing() {
    let site = site_with_host("stranger");
    let (server, agent) = (site.server(), site.agent("nas1", &[]));
    site.wait_for_configuration("nas1", 1);
    server.kill();
    site.append("app.log", "line 1\n");
    // Takes the server's place, to learn which event waits for its acknowledgement.
    let place = wait_for("the server's port", || UdpSocket::bind(("127.0.0.1", site.port + 1)).ok());
    let mut buffer = [0; 2000];
    place.set_read_timeout(Some(TIMEOUT)).unwrap();
    let (uid, done, at) = loop {
        let size = receive(&place, &mut buffer).unwrap();
        match Message::parse(&buffer[..size]) {
            Ok(Message::Event(batch)) if batch.events.iter().any(|event| event.text == "line 1") => {
                let (host, chain) = (batch.host, batch.chain);
                let done = Message::Done { host, chains: vec![batch.progress()] }.emit();
                let mut uid = String::new();
                batch.for_each(|_, word, _| uid = word.into());
                break (uid, done, Message::At { host, chain, checkpoint: Some(batch.checkpoint()) }.emit());
            }
            _ => {}
        }
    };
    drop(place);

    let text = "file: /forged\nmatch: x\nalert_all: tags=FORGED\n";
    let revision = Revision::of(text);
    let forged = [
        format!("ACK%%{uid}").into_bytes(),
        done,
        at,
        b"RESET%%nas1".to_vec(),
        format!("CONFIG%%START%%{}", text.trim().replace('\n', "%%")).into_bytes(),
        Message::Stale { host: "nas1", revision }.emit(),
        Message::Part { host: "nas1", revision, index: 1, count: 1, text }.emit(),
        Message::Stale { host: "nas1", revision: Revision::NONE }.emit(),
        Message::Part { host: "nas1", revision: Revision::NONE, index: 1, count: 1, text: "" }.emit(),
        b"LOST%%nas1".to_vec(),
        b"HERE%%nas1".to_vec(),
    ];
    let stranger = Peer::new("127.0.0.3", ("127.0.0.1", site.port));
    send_all(&stranger, site.port, &forged);
    let server = site.server();
    assert_eq!(site.wait_for_count("APP", 1), ["line 1"], "the event was not forgotten");
    send_all(&stranger, site.port, &forged);
    site.append("app.log", "line 2\n");
    assert_eq!(site.wait_for_count("APP", 2), ["line 1", "line 2"]);
    // Fifteen seconds of the programs' time for what the forgeries must not begin.
    pause(Duration::from_millis(1500));
    assert_eq!(agent.log_text().matches("Configuration ").count(), 1, "{}", agent.log_text());
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}
