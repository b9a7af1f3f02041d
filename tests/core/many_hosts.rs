//! A server of many hosts: work that concerns all of them is done in small steps, and reaches each of them.

use project436::now::Now;
use project436::schedule::WeekMinute;
use project436::server::{EventSink, Output, Server, ServerIdentity};
use project436::wire::{Alert, Message, Revision, Token};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::Duration;

const HOSTS: usize = 5000;
const RUN: Token = Token(7);

struct NoEvents;

impl EventSink for NoEvents {
    fn accept(&mut self, alert: &Alert<'_>) {
        panic!("{alert}");
    }
}

fn at(second: u64) -> Now {
    Now { mono: Duration::from_secs(second), unix: 1_795_347_336 + second, local: WeekMinute::new(0, 0, 0), second: 0 }
}

fn host(i: usize) -> (String, SocketAddrV4) {
    (format!("h{i}"), SocketAddrV4::new([10, 0, u8::try_from(i / 250).unwrap(), u8::try_from(i % 250 + 1).unwrap()].into(), 4360))
}

fn include(tag: &str) -> Result<Vec<u8>, String> {
    Ok(format!("file: /a\nmatch: a (b|c)\nalert_all: tags={tag}\n").repeat(10).into_bytes())
}

/// Turns of the loop at that second until nothing is due at once. Returns what each turn had sent, by receiver.
fn settle(server: &mut Server, second: u64) -> Vec<BTreeMap<SocketAddrV4, String>> {
    let mut turns = Vec::new();
    loop {
        server.handle_timeout(at(second), &mut NoEvents);
        let mut sent = BTreeMap::new();
        while let Some(output) = server.poll_output() {
            if let Output::Send { to, datagram } = output {
                sent.insert(to, String::from_utf8(datagram.to_vec()).unwrap());
            }
        }
        turns.push(sent);
        if server.next_deadline() > at(second).mono {
            return turns;
        }
        assert!(turns.len() < 10 * HOSTS, "no end");
    }
}

/// Starts the session of a host. Returns the revision that the server announces.
fn join(server: &mut Server, i: usize) -> String {
    let (name, from) = host(i);
    let mut ask = |message: Message<'_>| {
        server.handle_datagram(at(1), from, &message.emit(), &mut NoEvents);
        let Some(Output::Send { to, datagram }) = server.poll_output() else { panic!("no answer to {message}") };
        assert_eq!(to, from);
        String::from_utf8(datagram.to_vec()).unwrap()
    };
    let offer = ask(Message::Hello { host: &name, run: RUN, nonce: RUN });
    let Ok(Message::Offer { cookie, .. }) = Message::parse(offer.as_bytes()) else { panic!("{offer}") };
    ask(Message::Join { host: &name, run: RUN, nonce: RUN, cookie })
}

fn server() -> Server {
    let mut server = Server::new(at(1), ServerIdentity { name: "srv".into(), run: Token(1), broadcast: Vec::new() });
    server.set_include("common", "inc/common", include("OLD"));
    for i in 0..HOSTS {
        let name = host(i).0;
        server.set_host_file(at(1), &name, &format!("hosts/{name}"), Ok(b"include: common\n".to_vec()));
    }
    settle(&mut server, 1);
    server
}

#[test]
fn a_changed_include_is_announced_to_each_of_many_hosts_in_small_steps() {
    let mut server = server();
    let before: BTreeSet<String> = (0..HOSTS).map(|i| join(&mut server, i).rsplit("%%").next().unwrap().to_string()).collect();
    assert!(!before.contains(&Revision::NONE.to_string()), "every host has its file");

    server.set_include("common", "inc/common", include("NEW"));
    let turns = settle(&mut server, 2);
    assert!(turns.len() > 20, "{}", turns.len());
    assert!(turns.iter().all(|sent| sent.len() <= 1000), "{:?}", turns.iter().map(BTreeMap::len).max());
    let told: BTreeMap<_, _> = turns.into_iter().flatten().collect();
    for i in 0..HOSTS {
        let (name, address) = host(i);
        let stale = told.get(&address).unwrap_or_else(|| panic!("{name} was not told"));
        let revision = stale.strip_prefix(&format!("STALE%%{name}%%")).unwrap_or_else(|| panic!("{stale}"));
        assert!(!before.contains(revision));
    }
}

#[test]
fn the_server_answers_while_it_checks_on_many_hosts() {
    let mut server = server();
    join(&mut server, 0);
    server.set_include("common", "inc/common", include("NEW"));
    server.handle_timeout(at(2), &mut NoEvents);
    assert_eq!(server.next_deadline(), Duration::ZERO, "there is more to judge");
    while server.poll_output().is_some() {}
    let (name, from) = host(HOSTS - 1);
    server.handle_datagram(at(2), from, &Message::Hello { host: &name, run: RUN, nonce: RUN }.emit(), &mut NoEvents);
    assert!(matches!(server.poll_output(), Some(Output::Send { to, .. }) if to == from));
}
