//! Attacks on a system with keys, against the real programs. The attacker hears everything and can send anything in anyone's name.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{pause, wait_for, Program, Site, TIMEOUT};
use crate::raw::{alert, Peer};
use crate::relay::{secret, Relay, Way};
use project436::wire::auth::{Key, SessionMac, SessionName, Side};
use project436::wire::{Message, Revision, Token};
use std::cell::RefCell;
use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

const KEY: Key = Key::new([0x5a; 32]);
const OTHER_KEY: Key = Key::new([0xa5; 32]);

fn rule(site: &Site, tags: &str) -> String {
    format!("file: {}\nmatch: line\nalert_all: tags={tags}\n", site.file("app.log"))
}

/// A site with a server that has the keys of nas1 and nas2, and an agent's file with that of nas1.
fn site(name: &str) -> Site {
    let site = Site::new(name);
    site.write("ax436.conf", &site.server_file("127.255.255.255", "key_file: keys\n"));
    secret(&site, "keys", &format!("nas1 {}\nnas2 {}\ndrain open\n", KEY.emit(), OTHER_KEY.emit()));
    secret(&site, "key", &format!("{}\n", KEY.emit()));
    site.append("app.log", "");
    site.host("nas1", &rule(&site, "APP"));
    site
}

fn begin(site: &Site) -> (Program, Relay, Program) {
    let server = site.server();
    let mut relay = Relay::new(site);
    let agent = relay.agent(site, "nas1", &["-k", "key"]);
    relay.until("the configuration", || agent.log_text().contains("in force: 1 rule").then_some(()));
    (server, relay, agent)
}

/// Appends a line and waits for its event.
fn pass_line(site: &Site, relay: &mut Relay, line: &str) {
    site.append("app.log", format!("{line}\n"));
    relay.until(line, || site.texts("APP").contains(&line.to_string()).then_some(()));
}

fn in_force(agent: &Program) -> usize {
    agent.log_text().matches("in force: ").count()
}

/// A peer that has a key and speaks as a host with that key does.
struct Insider {
    peer: Peer,
    mac: SessionMac,
}

impl Insider {
    fn signed(key: Key, datagram: Vec<u8>) -> Vec<u8> {
        let tail = key.sign(Side::Agent, &datagram);
        [datagram, tail.into_bytes()].concat()
    }

    /// Requests an offer. `None` if a later marker is answered and the request is not.
    fn offer(peer: &Peer, key: Key, host: &str) -> Option<Token> {
        peer.drain();
        peer.send(Self::signed(key, Message::Hello { host, run: Token(1), nonce: Token(2) }.emit()));
        let said = peer.drain();
        let offer = said.iter().find(|text| text.starts_with("OFFER"))?;
        let opened = key.verify(Side::Server, offer.as_bytes()).expect("an offer is signed with the key that asked for it");
        match Message::parse(opened) {
            Ok(Message::Offer { cookie, .. }) => Some(cookie),
            other => panic!("{other:?}"),
        }
    }

    fn join(port: u16, key: Key, host: &str) -> (Self, String) {
        let peer = Peer::of_server(port);
        let cookie = Self::offer(&peer, key, host).expect("an offer");
        let name = SessionName { host, run: Token(1), nonce: Token(2), cookie };
        let mut mac = key.session(Side::Agent, name);
        peer.send(Self::signed(key, Message::Join { host, run: Token(1), nonce: Token(2), cookie }.emit()));
        let stale = wait_for("the answer to a JOIN", || peer.receive(TIMEOUT).filter(|text| text.starts_with("STALE")));
        let stale = String::from_utf8(mac.verify(stale.as_bytes()).unwrap().to_vec()).unwrap();
        (Self { peer, mac }, stale)
    }
}

#[test]
fn a_session_reveals_no_key_and_its_datagrams_are_refused_without_their_macs() {
    let site = site("attack-capture");
    let (server, mut relay, agent) = begin(&site);
    pass_line(&site, &mut relay, "line 1");
    site.host("nas1", &(rule(&site, "APP") + &rule(&site, "MORE")));
    relay.until("the new configuration", || (in_force(&agent) == 2).then_some(()));
    pass_line(&site, &mut relay, "line 2");
    server.signal("HUP");
    agent.signal("HUP");
    // Ten seconds of the programs' time, so that keepalives are among the datagrams.
    relay.idle(Duration::from_secs(1));
    pass_line(&site, &mut relay, "line 3");

    let heard = relay.heard.clone();
    let (mut signed, mut stripped) = (0, Vec::new());
    for (way, datagram) in &heard {
        let text = String::from_utf8(datagram.clone()).unwrap();
        assert!(!text.contains(&KEY.emit()) && !text.contains(&KEY.emit()[..16]), "{text}");
        let (rest, mac) = text.rsplit_once("%%").unwrap();
        assert!(mac.len() == 32 && mac.bytes().all(|b| b.is_ascii_hexdigit()), "{way:?}: {text}");
        if !["HELLO", "OFFER", "JOIN"].iter().any(|command| text.starts_with(command)) {
            let (content, counter) = rest.rsplit_once("%%").unwrap();
            assert!(counter.parse::<u64>().is_ok(), "{text}");
            signed += 1;
            stripped.push((*way, content.as_bytes().to_vec()));
        } else {
            stripped.push((*way, rest.as_bytes().to_vec()));
        }
    }
    let seen = |command: &str| heard.iter().any(|(_, datagram)| datagram.starts_with(command.as_bytes()));
    for command in ["HELLO", "OFFER", "JOIN", "STALE", "NEED", "CONF", "SEEK", "AT", "EVENT", "DONE", "ALIVE", "HERE"] {
        assert!(seen(command), "{command} is not among what was heard");
    }
    assert!(signed > 10, "{signed}");

    let before = (site.lines(), in_force(&agent));
    stripped.iter().for_each(|(way, datagram)| relay.say(*way, datagram));
    relay.until("the refusals in the log", || server.log_text().contains("unsigned").then_some(()));
    pass_line(&site, &mut relay, "line 4");
    assert_eq!(in_force(&agent), before.1);
    assert_eq!(site.texts("APP"), ["line 1", "line 2", "line 3", "line 4"]);
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

#[test]
fn forged_datagrams_from_the_servers_own_address_are_refused() {
    let site = site("attack-forge");
    let (server, mut relay, agent) = begin(&site);
    let text = format!("file: {}\nmatch: line\nalert_all: tags=FORGED\n", site.file("app.log"));
    let revision = Revision::of(&text);
    let run = "run: command=/bin/sh extract=(x)\nalert_metric: tags=FORGED match=1,x metric=1\n";
    let name = SessionName { host: "nas1", run: Token(1), nonce: Token(2), cookie: Token(3) };
    let mut forged = Vec::new();
    for message in [
        Message::Stale { host: "nas1", revision },
        Message::Part { host: "nas1", revision, index: 1, count: 1, text: &text },
        Message::Stale { host: "nas1", revision: Revision::NONE },
        Message::Config { lines: &run.replace('\n', "%%") },
        Message::Reset { host: "nas1" },
        Message::Offer { host: "nas1", nonce: Token(2), cookie: Token(3) },
        Message::Lost { host: "nas1" },
    ] {
        forged.push(message.emit());
        for key in [OTHER_KEY, KEY] {
            // With the key of another host, and with the right one in a session that nobody agreed to.
            forged.push(key.session(Side::Server, name).signed(message.emit()));
        }
        forged.push([message.emit(), OTHER_KEY.sign(Side::Server, &message.emit()).into_bytes()].concat());
    }
    forged.iter().for_each(|datagram| relay.say(Way::ToAgent, datagram));
    pass_line(&site, &mut relay, "line 1");
    // Five seconds of the programs' time for what must not happen.
    relay.idle(Duration::from_millis(500));
    pass_line(&site, &mut relay, "line 2");
    assert_eq!(in_force(&agent), 1, "{}", agent.log_text());
    assert_eq!((site.texts("FORGED"), site.texts("APP")), (vec![], vec!["line 1".to_string(), "line 2".into()]));

    // And datagrams of an agent, in the host's name.
    let lines = site.lines().len();
    let peer = Peer::of_server(site.port);
    for datagram in [alert("nas1", "1_0", "FORGED", "forged"), alert("nobody", "1_0", "FORGED", "forged"), "CONFREQ%%nas1".into()] {
        peer.send(datagram);
    }
    assert_eq!(peer.drain(), [""; 0], "a stranger gets no answer");
    relay.until("the refusal in the log", || server.log_text().contains("refused since the start").then_some(()));
    assert_eq!(site.lines().len(), lines);
}

#[test]
fn a_datagram_with_any_changed_byte_is_refused() {
    let site = site("attack-flip");
    let (server, mut relay, agent) = begin(&site);
    site.append("app.log", "line 1\n");
    let held = RefCell::new(Vec::new());
    let mut hold = |way, datagram: &[u8]| {
        let is_event = way == Way::ToServer && datagram.starts_with(b"EVENT") && String::from_utf8_lossy(datagram).contains("line 1");
        if !is_event {
            return vec![datagram.to_vec()];
        }
        held.replace(datagram.to_vec());
        Vec::new()
    };
    relay.until_changed("the event to be held back", &mut hold, || (!held.borrow().is_empty()).then_some(()));
    let held = held.borrow().clone();
    for at in 0..held.len() {
        let mut flipped = held.clone();
        flipped[at] ^= 1;
        relay.say(Way::ToServer, &flipped);
        if at % 32 == 0 {
            // Not faster than the server takes them.
            pause(Duration::from_millis(5));
        }
    }
    let mut hold = |_, datagram: &[u8]| if datagram.starts_with(b"EVENT") { Vec::new() } else { vec![datagram.to_vec()] };
    relay.until_changed("the refusals in the log", &mut hold, || server.log_text().contains("with a wrong MAC").then_some(()));
    assert_eq!(site.texts("APP"), [""; 0]);
    relay.say(Way::ToServer, &held);
    assert_eq!(relay.until("the event as it was", || Some(site.texts("APP")).filter(|texts| !texts.is_empty())), ["line 1"]);

    // The other way: the announcement of a new configuration.
    site.host("nas1", &(rule(&site, "APP") + &rule(&site, "MORE")));
    let mut flips = 0;
    let mut flip = |way, datagram: &[u8]| {
        if way == Way::ToServer || datagram.starts_with(b"DONE") {
            return vec![datagram.to_vec()];
        }
        flips += 1;
        let flipped = |at: usize| {
            let mut flipped = datagram.to_vec();
            flipped[at] ^= 1;
            flipped
        };
        (0..datagram.len()).map(flipped).collect()
    };
    // Two seconds of real time, in which the server announces it again and again: the agent must not take any of that.
    for _ in 0..100 {
        relay.pass(&mut flip);
        pause(Duration::from_millis(20));
    }
    assert!(flips > 0);
    assert_eq!(in_force(&agent), 1, "{}", agent.log_text());
    relay.until("the new configuration as it is", || (in_force(&agent) == 2).then_some(()));
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

#[test]
fn a_replayed_datagram_never_counts_again_even_after_a_restart_or_in_the_other_direction() {
    let site = site("attack-replay");
    let (server, mut relay, agent) = begin(&site);
    pass_line(&site, &mut relay, "line 1");
    site.host("nas1", &(rule(&site, "APP") + &rule(&site, "MORE")));
    relay.until("the new configuration", || (in_force(&agent) == 2).then_some(()));
    pass_line(&site, &mut relay, "line 2");
    let heard = relay.heard.clone();
    assert!(heard.iter().any(|(way, datagram)| *way == Way::ToServer && datagram.starts_with(b"JOIN")));

    // Later, in the same direction and in the other one.
    for (way, datagram) in &heard {
        relay.say(*way, datagram);
        relay.say(if *way == Way::ToServer { Way::ToAgent } else { Way::ToServer }, datagram);
        // Not faster than the programs take them.
        pause(Duration::from_millis(1));
    }
    pass_line(&site, &mut relay, "line 3");
    // Five seconds of the programs' time for what must not happen.
    relay.idle(Duration::from_millis(500));
    assert_eq!((in_force(&agent), site.texts("APP")), (2, ["line 1", "line 2", "line 3"].map(String::from).to_vec()));

    // To the next run of the server, while the agent is dead: the host must stay inactive.
    let heard = relay.heard.clone();
    agent.kill();
    server.kill();
    let server = site.server();
    wait_for("the server", || server.log_text().contains("on port").then_some(()));
    let lines = site.lines().len();
    for (_, datagram) in heard.iter().filter(|(way, _)| *way == Way::ToServer) {
        relay.say(Way::ToServer, datagram);
        // Not faster than the server takes them.
        pause(Duration::from_millis(1));
    }
    let inactive = || site.events().iter().skip(lines).any(|event| event.text == "Host is inactive").then_some(());
    wait_for("the host to be called inactive", inactive);
    assert_eq!(site.lines().len(), lines + 1, "{:?}", &site.lines()[lines..]);

    // To the next run of the agent, which must accept only the true server.
    let mut relay_2 = Relay::new(&site);
    let agent = relay_2.agent(&site, "nas1", &["-k", "key"]);
    for (_, datagram) in heard.iter().filter(|(way, _)| *way == Way::ToAgent) {
        relay_2.say(Way::ToAgent, datagram);
    }
    site.append("app.log", "line 4\n");
    relay_2.until("line 4", || site.texts("APP").contains(&"line 4".to_string()).then_some(()));
    assert_eq!(site.texts("APP"), ["line 1", "line 2", "line 3", "line 4"]);
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

#[test]
fn the_key_of_one_host_does_not_admit_another() {
    let site = site("attack-swap");
    site.host("nas2", &rule(&site, "OTHER"));
    let server = site.server();
    wait_for("the server", || server.log_text().contains("on port").then_some(()));
    // Under another host's name it does not even get an offer.
    assert_eq!(Insider::offer(&Peer::of_server(site.port), OTHER_KEY, "nas1"), None);
    assert_eq!(Insider::offer(&Peer::of_server(site.port), OTHER_KEY, "nobody"), None);
    let (mut insider, stale) = Insider::join(site.port, OTHER_KEY, "nas2");
    assert!(stale.starts_with("STALE%%nas2%%"), "{stale}");
    let forged = [
        insider.mac.signed(alert("nas1", "1_0", "FORGED", "forged").into_bytes()),
        insider.mac.signed(b"EVENT%%nas1%%0%%1.1%%-%%1%%FORGED%%NULL%%o.\n=1%%forged".to_vec()),
        insider.mac.signed(b"NEED%%nas1%%none%%1".to_vec()),
        insider.mac.signed(b"SEEK%%nas1%%0".to_vec()),
    ];
    forged.iter().for_each(|datagram| insider.peer.send(datagram));
    let said = insider.peer.drain();
    assert!(said.iter().all(|text| text == "LOST%%nas1"), "{said:?}");
    // Its own name works in the same session.
    insider.peer.send(insider.mac.signed(alert("nas2", "1_1", "OWN", "own").into_bytes()));
    assert_eq!(site.wait_for_count("OWN", 1), ["own"]);
    assert_eq!(site.texts("FORGED"), [""; 0]);
    assert_eq!(server.terminate(), 0);
}

#[test]
fn a_fake_server_that_is_heard_first_does_not_keep_the_true_one_out() {
    let site = site("attack-race");
    // The fakes have other addresses, speak before the true server, and never stop.
    let fakes: Vec<UdpSocket> =
        (3..40).map(|last| UdpSocket::bind(("127.0.0.1".replace("0.0.1", &format!("0.0.{last}")), 0)).unwrap()).collect();
    let fake = |fakes: &[UdpSocket]| {
        for socket in fakes {
            let capability = Message::Capability { name: "fake", run: Token(7) }.emit();
            for datagram in [capability, b"SRVHB%%fake".to_vec(), b"CONFIG%%START%%file: /forged%%match: x%%alert_all: tags=F".to_vec()] {
                let _ = socket.send_to(&datagram, ("127.0.0.1", site.port));
            }
        }
    };
    let agent = site.agent("nas1", &["-k", "key"]);
    wait_for("the agent to try a fake", || {
        fake(&fakes[..1]);
        agent.log_text().contains("does not prove").then_some(())
    });
    let server = site.server();
    wait_for("the configuration of the true one", || {
        fake(&fakes);
        // The fakes speak five times a second.
        pause(Duration::from_millis(200));
        agent.log_text().contains("in force: 1 rule").then_some(())
    });
    site.append("app.log", "line 1\n");
    assert_eq!(site.wait_for_count("APP", 1), ["line 1"]);
    assert!(agent.log_text().contains("127.0.0.1 has the key"), "{}", agent.log_text());
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

#[test]
fn a_sign_of_life_that_is_said_again_from_elsewhere_is_answered_where_the_agent_is_and_reports_nothing() {
    let site = site("attack-elsewhere");
    let (server, mut relay, agent) = begin(&site);
    let elsewhere = Peer::new("127.0.0.9", ("127.0.0.1", site.port + 1));
    let mut moved = 0;
    wait_for("three of them", || {
        relay.pass(&mut |way, datagram: &[u8]| {
            if way == Way::ToServer && datagram.starts_with(b"ALIVE") && moved < 3 {
                moved += 1;
                elsewhere.send(datagram);
                return Vec::new();
            }
            vec![datagram.to_vec()]
        });
        (moved == 3).then_some(())
    });
    let is_answer = |(way, datagram): &(Way, Vec<u8>)| *way == Way::ToAgent && datagram.starts_with(b"HERE");
    let before = relay.heard.iter().filter(|heard| is_answer(heard)).count();
    wait_for("the answer", || {
        relay.pass(&mut |_, datagram| vec![datagram.to_vec()]);
        (relay.heard.iter().filter(|heard| is_answer(heard)).count() > before).then_some(())
    });
    assert_eq!(elsewhere.receive(Duration::from_millis(100)), None);
    assert!(!site.events().iter().any(|event| event.text.contains("at once")), "{:?}", site.events());
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

#[test]
fn a_heartbeat_of_a_stranger_is_answered_with_no_more_bytes_than_came_from_there() {
    let site = site("attack-reflection");
    for (arguments, is_answered) in [(&["-k", "key"][..], true), (&["-k", "key", "-s", "127.0.0.99"], false)] {
        let victims: Vec<UdpSocket> = (3..43).map(|last| UdpSocket::bind((format!("127.0.0.{last}"), site.port + 1)).unwrap()).collect();
        victims.iter().for_each(|victim| victim.set_nonblocking(true).unwrap());
        let agent = site.agent("nas1", arguments);
        wait_for("the agent", || agent.log_text().contains("on port").then_some(()));
        let (mut came, mut went, mut buffer) = (vec![0; victims.len()], vec![0; victims.len()], [0; 2048]);
        for round in 0..60 {
            for (at, victim) in victims.iter().enumerate() {
                let padding = if at == 7 && round % 10 == 0 { ".".repeat(300) } else { String::new() };
                let size = victim.send_to(format!("SRVHB%%x{padding}").as_bytes(), ("127.0.0.1", site.port)).unwrap();
                came[at] += size;
                went[at] += std::iter::from_fn(|| victim.recv(&mut buffer).ok()).sum::<usize>();
                assert!(went[at] <= came[at], "{at}: {} bytes for {}", went[at], came[at]);
            }
            // Six seconds of the program's time for all rounds together.
            pause(Duration::from_millis(10));
        }
        assert_eq!(went[7] > 0, is_answered, "the one from which enough came");
        assert!(went.iter().sum::<usize>() < 1000, "one HELLO in two seconds: {went:?}");
        assert_eq!(agent.terminate(), 0);
    }
}

#[test]
fn a_storm_of_forged_hints_ends_no_session_and_causes_no_storm_of_answers() {
    let site = site("attack-storm");
    let (server, mut relay, agent) = begin(&site);
    pass_line(&site, &mut relay, "line 1");
    let before = relay.heard.len();
    // Half a minute of the programs' time.
    let storm = Duration::from_secs(3);
    for round in 0..storm.as_millis() / 20 {
        for n in 0..10u128 {
            relay.say(Way::ToAgent, b"RESET%%nas1");
            relay.say(Way::ToAgent, b"LOST%%nas1");
            relay.say(Way::ToAgent, &Message::Capability { name: "x", run: Token(round * 10 + n) }.emit());
        }
        relay.idle(Duration::from_millis(20));
    }
    let caused = relay.heard.len() - before;
    // In 30 s of its time: at most one handshake in 10 s, of five datagrams and what follows, and the usual keepalives.
    assert!(caused < 100, "{caused} datagrams");
    pass_line(&site, &mut relay, "line 2");
    assert_eq!(in_force(&agent), 1, "{}", agent.log_text());
    assert!(agent.log_text().lines().count() < 20, "{}", agent.log_text());
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

#[test]
fn a_forged_acknowledgement_drops_no_event() {
    let site = site("attack-ack");
    let (_server, mut relay, agent) = begin(&site);
    site.append("app.log", "line 1\n");
    // The event does not arrive, and the attacker says that it did.
    let mut fakes = 0;
    let mut withheld = Vec::new();
    wait_for("the event to be said again, though it was acknowledged falsely", || {
        relay.pass(&mut |way, datagram: &[u8]| {
            if way == Way::ToServer && datagram.starts_with(b"EVENT") {
                withheld.push(datagram.to_vec());
                return Vec::new();
            }
            vec![datagram.to_vec()]
        });
        if let Some(Ok(Message::Event(batch))) = withheld.last().map(|datagram| Message::parse(datagram)) {
            let (chain, checkpoint) = (batch.chain, Some(batch.checkpoint()));
            relay.say(Way::ToAgent, &Message::Done { host: "nas1", chains: vec![batch.progress()] }.emit());
            relay.say(Way::ToAgent, &Message::At { host: "nas1", chain, checkpoint }.emit());
            batch.for_each(|_, uid, _| relay.say(Way::ToAgent, format!("ACK%%{uid}").as_bytes()));
            fakes += 1;
        }
        (fakes > 0 && withheld.len() > 3).then_some(())
    });
    assert_eq!(relay.until("the event", || Some(site.texts("APP")).filter(|texts| !texts.is_empty())), ["line 1"]);
    assert_eq!(agent.terminate(), 0);
}

fn resident_kib(program: &Program) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_hundred_thousand_names_get_no_answer_no_memory_and_one_log_line_a_minute() {
    let site = site("attack-names");
    let server = site.server();
    let peer = Peer::of_server(site.port);
    peer.drain();
    let names = |from: usize, to: usize| {
        for n in from..to {
            let (host, run) = (format!("stranger-{n}-of-many-with-a-long-name"), Token(n as u128));
            peer.send(alert(&host, "1_0", "T", "x"));
            peer.send(format!("CONFREQ%%{host}"));
            peer.send(Message::Hello { host: &host, run, nonce: run }.emit());
            peer.send(Insider::signed(OTHER_KEY, Message::Join { host: &host, run, nonce: run, cookie: run }.emit()));
            peer.send(Message::Alive { host: &host, run, revision: Revision::NONE }.emit());
            if n % 10 == 0 {
                // Not faster than it is taken.
                let (mut probe, started) = (false, std::time::Instant::now());
                while !probe {
                    peer.send(Insider::signed(OTHER_KEY, Message::Hello { host: "nas2", run, nonce: run }.emit()));
                    let answer = peer.receive(Duration::from_millis(200));
                    assert!(answer.as_ref().is_none_or(|text| text.starts_with("OFFER%%nas2")), "{answer:?}");
                    probe = answer.is_some();
                    assert!(started.elapsed() < TIMEOUT);
                }
            }
        }
    };
    names(0, 2_000);
    let before = resident_kib(&server);
    names(2_000, 100_000);
    let after = resident_kib(&server);
    assert!(after < before + 512, "{before} KiB, then {after} KiB");
    assert_eq!(site.lines().iter().filter(|line| line.contains("stranger")).count(), 0);
    let log = server.log_text();
    let minutes = 2 + log.matches("refused since the start").count();
    assert!(log.lines().count() < minutes + 10, "{log}");
    assert_eq!(server.terminate(), 0);
}

#[test]
fn a_name_that_leads_out_of_the_folder_gets_nothing_even_with_its_key() {
    let site = site("attack-path");
    site.write("secret", &rule(&site, "SECRET"));
    let master = Key::new([9; 32]);
    secret(&site, "keys", &format!("* {}\ndrain open\n", master.emit()));
    let _server = site.server();
    for name in ["../../etc/shadow", "../secret", "/etc/passwd", "hosts/../../secret", "..", "."] {
        let (mut insider, stale) = Insider::join(site.port, master.of_host(name), name);
        assert_eq!(stale, format!("STALE%%{name}%%none"));
        let revision = Revision::of(&fs::read_to_string(site.path("secret")).unwrap());
        let need = Message::Need { host: name, revision, parts: vec![1] }.emit();
        insider.peer.send(insider.mac.signed(need));
        let said = insider.peer.drain();
        assert!(!said.iter().any(|text| text.starts_with("CONF") || text.contains("SECRET")), "{name}: {said:?}");
    }
}

#[test]
fn an_oversized_configuration_is_not_collected() {
    // Someone with the address of an open agent's server can do no more than the server.
    let site = Site::new("attack-size");
    let mut relay = Relay::new(&site);
    let agent = relay.agent(&site, "nas1", &[]);
    let revision = Revision::of("x");
    let text = "x".repeat(60_000);
    let offer = |way, datagram: &[u8]| match (way, Message::parse(datagram)) {
        (Way::ToServer, Ok(Message::Hello { nonce, .. })) => relay_answer(&Message::Offer { host: "nas1", nonce, cookie: Token(1) }),
        (Way::ToServer, Ok(Message::Join { .. })) => relay_answer(&Message::Stale { host: "nas1", revision }),
        _ => Vec::new(),
    };
    wait_for("the start", || agent.log_text().contains("Agent started").then_some(()));
    let mut asked = 0;
    let before = resident_kib(&agent);
    for round in 0..200 {
        let mut answers = Vec::new();
        relay.pass(&mut |way, datagram| {
            answers.extend(offer(way, datagram));
            asked += usize::from(datagram.starts_with(b"NEED"));
            Vec::new()
        });
        answers.iter().for_each(|answer| relay.say(Way::ToAgent, answer));
        for (index, count) in [(1, u32::MAX), (u32::MAX, u32::MAX), (0, 1), (2, 1), (round + 1, 1025)] {
            relay.say(Way::ToAgent, &Message::Part { host: "nas1", revision, index, count, text: "x" }.emit());
            relay.say(Way::ToAgent, &Message::Part { host: "nas1", revision, index, count, text: &text }.emit());
        }
        // Not faster than the agent takes them.
        pause(Duration::from_millis(10));
    }
    assert!(asked > 0, "the agent has a session and asks for parts");
    let after = resident_kib(&agent);
    assert!(after < before + 1024, "{before} KiB, then {after} KiB");
    assert!(!agent.log_text().contains("in force") && agent.log_text().lines().count() < 20, "{}", agent.log_text());
    assert_eq!(agent.terminate(), 0);
}

fn relay_answer(message: &Message<'_>) -> Vec<Vec<u8>> {
    vec![message.emit()]
}

#[test]
fn two_devices_of_one_name_and_key_are_reported() {
    let site = site("attack-clone");
    let _server = site.server();
    let (mut one, mut other) = (Relay::new(&site), Relay::new(&site));
    let agents = (one.agent(&site, "nas1", &["-k", "key"]), other.agent(&site, "nas1", &["-k", "key"]));
    let text = "Host name is used by two agents at once";
    wait_for(text, || {
        one.pass(&mut |_, datagram| vec![datagram.to_vec()]);
        other.pass(&mut |_, datagram| vec![datagram.to_vec()]);
        site.events().iter().any(|event| event.text.starts_with(text)).then_some(())
    });
    assert_eq!((agents.0.terminate(), agents.1.terminate()), (0, 0));
}
