//! What the server answers over HTTP, and to whom.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::client::{connect, exchange, get, get_with, listen, port, post, read, Answer};
use crate::harness::{wait_for, Program, Site};
use crate::outputs::{numbered, send, serve};
use crate::raw::{alert, Peer};
use crate::schema::check_answer;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// `admin:correct horse`.
const RIGHT: &str = "Authorization: Basic YWRtaW46Y29ycmVjdCBob3JzZQ==\r\n";
const WRONG: &str = "Authorization: Basic YWRtaW46d3Jvbmc=\r\n";

/// The texts of the events of an answer, and its next place.
fn events(answer: &Answer) -> (Vec<String>, String) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let texts = answer.body.split("\"text\":\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_string());
    let next = answer.body.rsplit("\"next\":\"").next().unwrap().split('"').next().unwrap();
    (texts.collect(), next.into())
}

/// Starts a server with a password file.
fn with_passwords(site: &Site, more: &str) -> Program {
    site.write("passwords", "admin:correct horse\n");
    fs::set_permissions(site.path("passwords"), fs::Permissions::from_mode(0o600)).unwrap();
    serve(site, &format!("{}http_password_file: passwords\n{more}", listen(site)))
}

#[test]
fn every_answer_is_as_the_openapi_file_says() {
    let site = Site::new("http-openapi");
    let _server = with_passwords(&site, "output: out\nrun: false\n");
    let agent = site.agent("h", &[]);
    site.host("h", "file: log\nmatch: .\nalert_all: tags=LOG\nrun: command=cat number extract=(\\w+) (\\d+)\nalert_metric: tags=CPU match=1,cpu metric=2\n");
    site.write("number", "cpu 42\n");
    site.wait_for_count("CPU", 1);
    send(&site, "e", 0..3);
    let origin = format!("{RIGHT}Origin: http://127.0.0.1:{}\r\n", port(&site));
    let silence = |body| post(&site, "/api/silence", &origin, body);
    check_answer("/api/silence", "post", &silence("{\"host\":\"h\",\"tags\":\"T\",\"seconds\":600,\"reason\":\"w\"}").body);
    agent.kill();
    site.wait_for_text("Host is inactive");
    for path in ["/api/status", "/api/events", "/api/session", "/api/metrics"] {
        let answer = get_with(&site, path, RIGHT);
        assert_eq!(answer.status, 200, "{answer:?}");
        check_answer(path, "get", &answer.body);
    }
    for (path, part) in [
        ("/api/status", "\"silences\":[{\"host\":\"h\",\"tags\":\"T\""),
        ("/api/status", "\"conditions\":[{\"host\":\"h\""),
        ("/api/status", "\"outputs\":[{\"name\":\"out\""),
        ("/api/events", "\"state\":\"opened\""),
        ("/api/events", "\"silenced\":true"),
        ("/api/events", "\"value\":42"),
        ("/api/metrics", "\"tags\":\"CPU\""),
        ("/api/metrics", "\"mean\":[42"),
    ] {
        let answer = get_with(&site, path, RIGHT);
        assert!(answer.body.contains(part), "no {part} in {}", answer.body);
    }
    let parameters = crate::schema::parameters("/api/events");
    assert_eq!(parameters, ["since", "host", "tags", "state", "text", "limit", "after"]);
    for path in ["/api/events", "/api/metrics"] {
        let accepted = |name: &&String| get_with(&site, &format!("{path}?{name}="), RIGHT).status == 200;
        let parameters = crate::schema::parameters(path);
        assert_eq!(parameters.iter().filter(accepted).count(), parameters.len());
        assert_eq!(get_with(&site, &format!("{path}?other=1"), RIGHT).status, 400);
    }
}

#[test]
fn an_answer_has_what_was_asked_for_and_forbids_browsers_the_rest() {
    let site = Site::new("http-answers");
    let _server = serve(&site, &listen(&site));
    for (path, media_type) in [
        ("/api/status", "application/json"),
        ("/api/events", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/", "text/html; charset=utf-8"),
    ] {
        let answer = get(&site, path);
        assert_eq!(answer.status, 200, "{answer:?}");
        for field in [
            &format!("Content-Type: {media_type}"),
            "Content-Security-Policy: default-src 'none'; script-src 'self';",
            "Referrer-Policy: no-referrer",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
        ] {
            assert!(answer.head.contains(field), "no {field} in {}", answer.head);
        }
        let mut stream = connect(&site);
        stream.write_all(format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
        let mut head = String::new();
        stream.read_to_string(&mut head).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }
    for (request, status, field) in [
        ("GET /none", 404, ""),
        ("GET /../../etc/passwd", 404, ""),
        ("DELETE /api/status", 405, "Allow: GET, HEAD"),
        ("OPTIONS /api/status", 405, "Allow: GET, HEAD"),
        ("GET /api/silence", 405, "Allow: POST"),
        ("GET /api/events?limit=x", 400, ""),
    ] {
        let origin = format!("Origin: http://localhost:{}", port(&site));
        let answer = exchange(&site, format!("{request} HTTP/1.1\r\nHost: localhost:{}\r\n{origin}\r\n\r\n", port(&site)));
        assert!(answer.status == status && answer.head.contains(field), "{request}: {answer:?}");
    }
    let old = exchange(&site, "GET /api/events HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert!(old.body.starts_with("{\"events\":[") && old.body.ends_with("}\n"), "{old:?}");
}

#[test]
fn the_server_is_asked_only_by_names_that_lead_to_it_on_purpose() {
    let site = Site::new("http-names");
    let _server = serve(&site, &format!("{}http_name: mon.example.org\n", listen(&site)));
    let status = |host: &str| exchange(&site, format!("GET /api/status HTTP/1.1\r\n{host}\r\n")).status;
    for (host, expected) in [
        ("Host: mon.example.org\r\n", 200),
        ("Host: [::1]:8436\r\n", 200),
        ("Host: evil.example.org\r\n", 421),
        ("", 421),
        ("Host: localhost\r\nHost: evil.example.org\r\n", 400),
    ] {
        assert_eq!(status(host), expected, "{host}");
    }
}

#[test]
fn with_passwords_everyone_needs_one_and_wrong_ones_are_limited() {
    let site = Site::new("http-passwords");
    let server = with_passwords(&site, "");
    let answer = get(&site, "/api/status");
    assert!(answer.status == 401 && answer.head.contains("WWW-Authenticate: Basic realm="), "{answer:?}");
    assert_eq!(get_with(&site, "/api/status", RIGHT).status, 200);
    assert_eq!(get_with(&site, "/api/session", RIGHT).body, "{\"can_silence\":true}\n");
    site.write("passwords", "admin:another one\n");
    server.signal("HUP");
    wait_for("the other password", || (get_with(&site, "/api/status", RIGHT).status == 401).then_some(()));
    site.write("passwords", "admin\n");
    server.signal("HUP");
    wait_for("the fault", || server.log_text().contains("the passwords that were read before stay").then_some(()));
    let tried = (0..40).map(|_| get_with(&site, "/api/status", WRONG).status).find(|status| *status != 401);
    assert_eq!(tried, Some(429));
    assert!(server.log_text().contains("wrong passwords from 127.0.0.1 within a minute"), "{}", server.log_text());
    site.write("passwords", "admin:correct horse\n");
    server.signal("HUP");
    wait_for("the end of the minute", || (get_with(&site, "/api/status", RIGHT).status == 200).then_some(()));
}

#[test]
fn a_silence_begins_and_ends_with_a_password_and_from_this_server_only() {
    let site = Site::new("http-silence");
    let server = with_passwords(&site, "");
    let here = format!("Origin: http://127.0.0.1:{}\r\n", port(&site));
    let begin = "{\"host\":\"h\",\"tags\":\"T\",\"seconds\":7200,\"reason\":\"disk \\\"sda\\\"\"}";
    let status = |fields: &str, body: &str| post(&site, "/api/silence", fields, body).status;
    assert_eq!(status(&here, begin), 401);
    assert_eq!(status(RIGHT, begin), 403, "no Origin");
    assert_eq!(status(&format!("{RIGHT}Origin: http://evil.example.org\r\n"), begin), 403);
    assert!(!site.path("events.log.silences").exists());
    let both = format!("{RIGHT}{here}");
    for wrong in [
        "{}",
        "[",
        "{\"host\":\"h\"}",
        "{\"host\":\"h\",\"seconds\":0}",
        "{\"host\":\"h\",\"seconds\":99999999}",
        "{\"host\":\"h x\",\"seconds\":9}",
        "{\"host\":\"h\",\"seconds\":9,\"reason\":\"a\\nb 2099-01-01T00:00Z\"}",
        "{\"host\":\"h\",\"end\":true}",
        "{\"host\":\"h\",\"end\":true,\"seconds\":9}",
    ] {
        assert_eq!(status(&both, wrong), 400, "{wrong}");
    }
    let form = format!("POST /api/silence HTTP/1.1\r\nHost: localhost\r\n{RIGHT}Origin: http://localhost\r\nContent-Type: text/plain\r\n");
    assert_eq!(exchange(&site, format!("{form}Content-Length: {}\r\n\r\n{begin}", begin.len())).status, 415);
    let done = post(&site, "/api/silence", &both, begin);
    assert!(done.status == 200 && done.body.starts_with("{\"done\":\"h/T is silenced until "), "{done:?}");
    let silences = fs::read_to_string(site.path("events.log.silences")).unwrap();
    assert!(silences.starts_with("h/T ") && silences.ends_with(" disk \"sda\"\n"), "{silences}");
    let silenced = get_with(&site, "/api/status", RIGHT).body;
    assert!(silenced.contains("\"silences\":[{\"host\":\"h\",\"tags\":\"T\""), "{silenced}");
    assert_eq!(status(&both, "{\"host\":\"h\",\"tags\":\"T\",\"end\":true}"), 200);
    assert!(get_with(&site, "/api/status", RIGHT).body.contains("\"silences\":[]"));
    assert!(server.log_text().contains("http: h/T is silenced until "));
    server.terminate();
    let _open = serve(&site, &listen(&site));
    assert_eq!(status(&here, begin), 403, "without passwords nobody can");
    assert_eq!(get(&site, "/api/session").body, "{\"can_silence\":false}\n");
}

#[test]
fn events_are_followed_over_rolls_and_restarts_and_a_gap_is_told() {
    let site = Site::new("http-events");
    let more = format!("{}event_stream_size: 2000\nevent_stream_keep: 900\n", listen(&site));
    let server = serve(&site, &more);
    send(&site, "e", 0..50);
    let (texts, next) = events(&get(&site, "/api/events?tags=T&limit=20"));
    assert_eq!(texts, numbered("e", 30..50));
    assert_eq!(events(&get(&site, &format!("/api/events?after={next}"))).0, [""; 0]);
    send(&site, "e", 50..120);
    server.terminate();
    let _server = serve(&site, &more);
    let (mut followed, mut place) = (Vec::new(), next.clone());
    loop {
        let answer = get(&site, &format!("/api/events?tags=T&limit=7&after={place}"));
        assert!(answer.body.contains("\"gap\":false"), "{answer:?}");
        let (texts, next) = events(&answer);
        followed.extend(texts);
        place = next;
        if answer.body.contains("\"more\":false") {
            break;
        }
    }
    assert_eq!(followed, numbered("e", 50..120));
    assert_eq!(events(&get(&site, "/api/events?after=0&tags=T&limit=3")).0, numbered("e", 0..3));
    let (texts, _) = events(&get(&site, "/api/events?text=E-11&host=h*&tags=T"));
    assert_eq!(texts, [numbered("e", 11..12), numbered("e", 110..120)].concat());
    for file in fs::read_dir(&site.folder).unwrap().flatten().filter(|file| file.file_name().to_string_lossy().starts_with("events.log.")) {
        let is_rolled = file.file_name().to_string_lossy().rsplit('.').next().unwrap().parse::<u32>().is_ok();
        if is_rolled {
            fs::remove_file(file.path()).unwrap();
        }
    }
    let gone = get(&site, &format!("/api/events?tags=T&after={next}"));
    assert!(gone.body.contains("\"gap\":true"), "{gone:?}");
    assert!(get(&site, "/api/events?tags=T&after=1.5").body.contains("\"gap\":true"));
}

#[test]
fn the_numbers_of_earlier_runs_are_read_from_the_stream() {
    let site = Site::new("http-series");
    site.host("h", "run: command=cat number extract=(\\w+) (\\d+)\nalert_metric: tags=CPU match=1,cpu metric=2\n");
    site.write("number", "cpu 42\n");
    site.write("ax436.conf", &site.server_file("127.255.255.255", &listen(&site)));
    let server = site.server();
    let agent = site.agent("h", &[]);
    site.wait_for_count("CPU", 2);
    agent.terminate();
    server.terminate();
    let _server = site.server();
    wait_for("the numbers", || get(&site, "/api/metrics?host=h").body.contains("\"mean\":[42").then_some(()));
}

#[test]
fn hostile_requests_get_a_refusal_or_the_end_of_their_connection() {
    let site = Site::new("http-hostile");
    let _server = serve(&site, &listen(&site));
    let long = "x".repeat(20_000);
    for (request, status) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {long}\r\n\r\n"), 431),
        (format!("POST /api/silence HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n{long}"), 413),
        ("POST /api/silence HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), 411),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n broken\r\n\r\n".into(), 400),
        ("\x16\x03\x01\x02\x00\x01".into(), 400),
    ] {
        let mut stream = connect(&site);
        let _ = stream.write_all(request.as_bytes());
        // What was not read of the request may take the answer with it.
        match read(&mut stream) {
            Ok(answer) => assert_eq!(answer.status, status, "{}", &request[..40.min(request.len())]),
            Err(bytes) => assert_eq!(bytes, ""),
        }
    }
    let pipelined = "GET /api/session HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50);
    let answer = exchange(&site, pipelined);
    assert_eq!((answer.status, answer.body.matches("HTTP/1.1").count()), (200, 0), "one request a connection");
}

#[test]
fn slow_and_half_open_connections_keep_nobody_out() {
    let site = Site::new("http-slow");
    let server = serve(&site, &listen(&site));
    send(&site, "e", 0..1);
    let start = |stream: &mut TcpStream| stream.write_all(b"GET /api/sta").unwrap();
    let mut idle: Vec<TcpStream> = (0..300).map(|_| connect(&site)).collect();
    idle.iter_mut().step_by(2).for_each(start);
    // Others get in all the while, though there are more connections than there may be.
    for _ in 0..20 {
        assert_eq!(get(&site, "/api/session").status, 200);
    }
    let open = server.open_files().iter().filter(|path| path.to_string_lossy().starts_with("socket:")).count();
    assert!(open <= 128 + 8, "{open} sockets");
    let begun = Instant::now();
    wait_for("the end of the slow ones", || {
        idle.iter_mut().all(|stream| stream.read(&mut [0; 10]).map_or(true, |read| read == 0)).then_some(())
    });
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_slow_reader_of_a_long_answer_costs_little_and_stops_nobody() {
    let site = Site::new("http-reader");
    let server = serve(&site, &format!("{}event_stream_size: 100000000\n", listen(&site)));
    send(&site, "e", 0..1);
    // Twenty megabytes of events, which the server finds in its stream.
    let line = format!("Sun Nov 22 11:35:36 2026%%h%%1_1%%1795347336%%LONG%%NULL%%{}\n", "y".repeat(8000));
    site.append("events.log", line.repeat(2500));
    let before = server.status("VmRSS");
    let mut slow: Vec<TcpStream> = (0..100).map(|_| connect(&site)).collect();
    let ask = "GET /api/events?after=0&tags=LONG&limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    slow.iter_mut().for_each(|stream| stream.write_all(ask.as_bytes()).unwrap());
    let answer = get(&site, "/api/events?after=0&tags=LONG&limit=1000");
    assert_eq!(answer.body.matches("\"tags\":\"LONG\"").count(), 1000);
    assert!(answer.body.contains("\"more\":true"));
    let peer = Peer::of_server(site.port);
    let begun = Instant::now();
    peer.ask(&alert("h", "now_1", "T", "now"), "ACK%%now_1");
    assert!(begun.elapsed() < Duration::from_secs(5), "events are acknowledged meanwhile");
    let grown = server.status("VmHWM") - before;
    assert!(grown < 40_000, "{grown} KiB for 100 readers");
    // Who takes nothing for ten seconds is left alone.
    wait_for("the end of the slow ones", || (get(&site, "/metrics").body.contains("\nax436_http_connections 1\n")).then_some(()));
}

#[test]
fn the_check_says_who_can_read() {
    let site = Site::new("http-check");
    let check = |more: &str| {
        site.write("ax436.conf", &site.server_file("127.255.255.255", more));
        let output = site.command("ax436").args(["-t", "ax436.conf"]).output().unwrap();
        (String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(), output.status.code().unwrap())
    };
    let (text, status) = check("http: 0.0.0.0:8436\n");
    assert!(text.contains("http: 0.0.0.0:8436 needs http_password_file: or http_open: yes") && status == 2, "{text}");
    let (text, status) = check("http: 0.0.0.0:8436\nhttp_open: yes\n");
    assert!(text.contains("warning: http: 0.0.0.0:8436: whoever reaches this address can read all") && status == 0, "{text}");
    let (text, status) = check("http: 127.0.0.1:8436\nhttp: [::1]:8436\n");
    assert!(!text.contains("warning") && status == 0, "{text}");
    site.write("passwords", "admin:short\n");
    fs::set_permissions(site.path("passwords"), fs::Permissions::from_mode(0o644)).unwrap();
    let (text, status) = check("http: 0.0.0.0:8436\nhttp_password_file: passwords\n");
    assert!(
        text.contains("the password file passwords can be read or written by others than its owner (mode 0644)") && status == 2,
        "{text}"
    );
    fs::set_permissions(site.path("passwords"), fs::Permissions::from_mode(0o600)).unwrap();
    let (text, status) = check("http: 0.0.0.0:8436\nhttp_password_file: passwords\n");
    assert!(text.contains("passwords:1: admin: the password has less than 8 bytes") && status == 2, "{text}");
    site.write("passwords", "admin:long enough\n");
    let (text, status) = check("http: 0.0.0.0:8436\nhttp_password_file: passwords\n");
    assert!(text.contains("warning: http: 0.0.0.0:8436: passwords travel unencrypted") && status == 0, "{text}");
}

#[test]
fn an_address_that_is_taken_is_tried_again() {
    let site = Site::new("http-taken");
    let taken = std::net::TcpListener::bind(("127.0.0.1", port(&site))).unwrap();
    let server = serve(&site, &listen(&site));
    wait_for("the failure", || server.log_text().contains("it is tried again every 10 s").then_some(()));
    drop(taken);
    wait_for("the next attempt", || server.log_text().contains("http: listens on ").then_some(()));
    assert_eq!(get(&site, "/api/session").status, 200);
}
