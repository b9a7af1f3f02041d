//! A session in virtual time: what is sent, and who is believed.

use super::*;
use crate::agent::output::Output;
use crate::schedule::WeekMinute;
use crate::wire::auth::Side;
use crate::wire::MAX_HELLO;

const PORT: u16 = 4361;

fn at(seconds: u64) -> Now {
    Now { mono: Duration::from_secs(seconds), unix: seconds, local: WeekMinute::new(0, 0, 0), second: 0 }
}

fn ip(last: u8) -> Ipv4Addr {
    [10, 0, 0, last].into()
}

struct Bench {
    session: Session,
    outputs: Outputs,
}

impl Bench {
    fn new() -> Self {
        Self { session: Session::new(at(0), "h", Token(1), Random::new(1), PORT), outputs: Outputs::default() }
    }

    fn keyed() -> Self {
        let mut bench = Self::new();
        bench.session.set_keys(at(0), vec![key()]);
        bench
    }

    fn heartbeat(&mut self, seconds: u64, last: u8) -> bool {
        self.session.handle_heartbeat(at(seconds), ip(last), None, MAX_HELLO)
    }

    /// The last byte of the receiver and the datagram of all that is sent at that time.
    fn sent(&mut self, seconds: u64) -> Vec<(u8, String)> {
        self.session.handle_timeout(at(seconds), Revision::of("x"), &mut self.outputs);
        let sent = std::iter::from_fn(|| self.outputs.pop()).map(|output| match output {
            Output::Send { to, datagram } => (to.ip().octets()[3], String::from_utf8(datagram).unwrap()),
            other => panic!("{other:?}"),
        });
        sent.collect()
    }

    /// The selected server offers a session and begins it.
    fn join(&mut self, seconds: u64) {
        let (last, hello) = self.sent(seconds).into_iter().find(|(_, datagram)| datagram.starts_with("HELLO")).unwrap();
        let nonce = nonce(&hello);
        assert!(self.session.handle_offer(at(seconds), ip(last), nonce, Token(9), b"").is_some());
        assert!(self.session.handle_joined(at(seconds)));
    }

    fn selected(&self) -> Option<u8> {
        self.session.address().map(|address| address.ip().octets()[3])
    }
}

fn key() -> Key {
    Key::new([7; 32])
}

fn nonce(hello: &str) -> Token {
    match Message::parse(
        hello.rsplit_once("%%").filter(|(hello, _)| hello.matches("%%").count() == 4).map_or(hello, |(hello, _)| hello).as_bytes(),
    ) {
        Ok(Message::Hello { nonce, .. }) => nonce,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_server_that_is_heard_is_selected_and_kept_until_it_is_silent() {
    let mut bench = Bench::new();
    assert!(bench.heartbeat(0, 1));
    assert!(!bench.heartbeat(1, 2) && !bench.heartbeat(20, 2));
    assert_eq!(bench.selected(), Some(1));
    bench.sent(29);
    assert_eq!(bench.selected(), Some(1));
    assert!(bench.session.handle_timeout(at(30), Revision::NONE, &mut bench.outputs));
    assert_eq!(bench.selected(), Some(2));
    assert!(bench.session.handle_timeout(at(60), Revision::NONE, &mut bench.outputs));
    assert_eq!(bench.selected(), None);
}

#[test]
fn a_fixed_server_is_kept_however_silent_and_asked_again() {
    let mut bench = Bench::new();
    bench.session.wait_for_fixed();
    assert!(!bench.heartbeat(0, 1));
    assert!(bench.session.fix(at(0), SocketAddrV4::new(ip(3), PORT)) && !bench.session.fix(at(1), SocketAddrV4::new(ip(3), PORT)));
    bench.join(1);
    assert!(!bench.session.is_fixed_silent(at(29)));
    let asked: Vec<u64> =
        (2..120).filter(|seconds| bench.sent(*seconds).iter().any(|(to, sent)| *to == 3 && sent.starts_with("HELLO"))).collect();
    assert_eq!((bench.selected(), bench.session.is_fixed_silent(at(120))), (Some(3), true));
    assert!(asked.first().is_some_and(|first| *first >= 30) && asked.len() > 5, "{asked:?}");
}

#[test]
fn every_server_that_is_heard_gets_keepalives_and_the_selected_one_only_within_a_session() {
    let mut bench = Bench::new();
    bench.heartbeat(0, 1);
    bench.heartbeat(0, 2);
    let to = |sent: Vec<(u8, String)>, command: &str| {
        sent.iter().filter(|(_, sent)| sent.starts_with(command)).map(|(to, _)| *to).collect::<Vec<u8>>()
    };
    assert_eq!(to(bench.sent(0), "ALIVE"), [2]);
    bench.join(2);
    assert_eq!(to(bench.sent(3), "ALIVE"), [1]);
    bench.session.handle_alive_answer(at(3), ip(1));
    bench.session.hurry_keepalive(at(4));
    assert_eq!(to(bench.sent(4), "ALIVE"), [1]);
}

#[test]
fn a_late_answer_begins_no_session() {
    let mut bench = Bench::new();
    bench.heartbeat(0, 1);
    assert!(!bench.session.handle_joined(at(1)));
    bench.join(1);
    assert!(!bench.session.handle_joined(at(2)));
    assert_eq!(bench.session.phase(), Phase::Session);
}

#[test]
fn with_keys_only_the_session_that_a_key_began_proves_anything() {
    let mut bench = Bench::keyed();
    bench.heartbeat(0, 1);
    let hello = &bench.sent(0)[0].1;
    assert!(key().verify(Side::Agent, hello.as_bytes()).is_ok(), "{hello}");
    let name = SessionName { host: "h", run: Token(1), nonce: nonce(hello), cookie: Token(9) };
    let offer = Message::Offer { host: "h", nonce: name.nonce, cookie: name.cookie }.emit();
    assert_eq!(bench.session.handle_offer(at(0), ip(1), name.nonce, name.cookie, &offer), None, "not signed");
    let offer = [&offer[..], key().sign(Side::Server, &offer).as_bytes()].concat();
    assert!(bench.session.handle_offer(at(0), ip(1), name.nonce, name.cookie, &offer).is_some());
    let mut server = key().session(Side::Server, name);
    let stale = server.signed(b"STALE%%h%%none".to_vec());
    assert_eq!(bench.session.admit(at(0), ip(2), &stale), Some((&stale[..], Proof::None)), "another address");
    assert_eq!(bench.session.admit(at(0), ip(1), &stale), Some((&b"STALE%%h%%none"[..], Proof::NewSession)));
    assert!(bench.session.handle_joined(at(0)));
    assert_eq!(bench.session.admit(at(0), ip(1), &stale), Some((&stale[..], Proof::None)), "replayed");
    let here = server.signed(b"HERE%%h".to_vec());
    assert_eq!(bench.session.admit(at(0), ip(1), &here), Some((&b"HERE%%h"[..], Proof::Session)));
    assert_eq!(bench.session.admit(at(0), ip(1), b"LOST%%h"), Some((&b"LOST%%h"[..], Proof::None)));
}

/// A server that has the key and answers an agent that has it, too.
fn joined(bench: &mut Bench) -> crate::wire::auth::SessionMac {
    bench.heartbeat(0, 1);
    let hello = bench.sent(0).remove(0).1;
    let name = SessionName { host: "h", run: Token(1), nonce: nonce(&hello), cookie: Token(9) };
    let offer = Message::Offer { host: "h", nonce: name.nonce, cookie: name.cookie }.emit();
    let offer = [&offer[..], key().sign(Side::Server, &offer).as_bytes()].concat();
    assert!(bench.session.handle_offer(at(0), ip(1), name.nonce, name.cookie, &offer).is_some());
    let mut server = key().session(Side::Server, name);
    let here = server.signed(b"HERE%%h".to_vec());
    assert!(bench.session.admit(at(0), ip(1), &here).is_some() && bench.session.handle_joined(at(0)));
    server
}

#[test]
fn a_session_whose_key_was_replaced_ends_at_once() {
    let other = Key::new([8; 32]);
    for (keys, is_ended) in [(vec![key(), other], false), (vec![other], true)] {
        let mut bench = Bench::keyed();
        let mut server = joined(&mut bench);
        assert_eq!(bench.session.set_keys(at(5), keys), is_ended);
        let stale = server.signed(b"STALE%%h%%none".to_vec());
        let proof = bench.session.admit(at(5), ip(1), &stale).map(|(_, proof)| proof);
        assert_eq!(proof, Some(if is_ended { Proof::None } else { Proof::Session }));
        let phase = if is_ended { Phase::Probing } else { Phase::Session };
        assert_eq!((bench.session.phase(), bench.selected()), (phase, Some(1)));
        assert!(bench.sent(5).iter().any(|(to, sent)| *to == 1 && sent.starts_with("HELLO")), "asked for another session at once");
    }
}

#[test]
fn a_server_that_does_not_prove_the_key_is_reported_and_others_are_asked() {
    let mut bench = Bench::keyed();
    let mut asked = std::collections::BTreeMap::new();
    for seconds in 0..60 {
        for last in 1..4 {
            bench.heartbeat(seconds, last);
        }
        for (to, sent) in bench.sent(seconds) {
            assert!(sent.starts_with("HELLO"), "{sent}");
            *asked.entry(to).or_insert(0) += 1;
        }
    }
    assert!(asked.len() == 3 && asked.values().sum::<u32>() <= 30, "one HELLO in two seconds: {asked:?}");
    assert!(bench.session.take_unproven().is_some());
}

/// A server that has the key and answers at that address as the true one does.
struct TrueServer {
    last: u8,
    mac: Option<crate::wire::auth::SessionMac>,
}

impl TrueServer {
    fn answer(&mut self, bench: &mut Bench, now: u64, sent: &str) {
        let content = sent.rsplit_once("%%").map_or(sent, |(content, _)| content);
        match Message::parse(content.as_bytes()) {
            Ok(Message::Hello { nonce, .. }) => {
                let offer = Message::Offer { host: "h", nonce, cookie: Token(9) }.emit();
                let offer = [&offer[..], key().sign(Side::Server, &offer).as_bytes()].concat();
                let Some(join) = bench.session.handle_offer(at(now), ip(self.last), nonce, Token(9), &offer) else { return };
                self.answer(bench, now, &String::from_utf8(join).unwrap());
            }
            Ok(Message::Join { host, run, nonce, cookie }) => {
                let mut mac = key().session(Side::Server, SessionName { host, run, nonce, cookie });
                let stale = mac.signed(b"STALE%%h%%none".to_vec());
                self.mac = Some(mac);
                if bench.session.admit(at(now), ip(self.last), &stale).is_some_and(|(_, proof)| proof == Proof::NewSession) {
                    bench.session.handle_joined(at(now));
                }
            }
            _ => {}
        }
    }
}

/// When the true server is selected, which speaks every five seconds, while others speak as `others` says: in each millisecond an address
/// and a number of bytes. Also how many bytes each address was sent, less those that came from it.
fn selected_among(others: impl Fn(u64) -> (Ipv4Addr, usize), seed: u64) -> Option<u64> {
    let mut bench = Bench::keyed();
    bench.session.random = Random::new(seed);
    let mut server = TrueServer { last: 200, mac: None };
    let mut balance: std::collections::HashMap<Ipv4Addr, i64> = std::collections::HashMap::new();
    for milli in 0..60_000 {
        let now = Now { mono: Duration::from_millis(milli), ..at(0) };
        let (from, bytes) = others(milli);
        let true_one = (milli % 5_000 == 2_345).then_some([(ip(200), MAX_HELLO), (ip(200), 10)]);
        for (from, bytes) in std::iter::once((from, bytes)).chain(true_one.into_iter().flatten()) {
            bench.session.handle_heartbeat(now, from, Some(Token(1)), bytes);
            *balance.entry(from).or_default() += bytes as i64;
        }
        bench.session.handle_timeout(now, Revision::NONE, &mut bench.outputs);
        assert!(bench.session.next_deadline().is_none_or(|due| due > now.mono), "nothing is due that is not done");
        while let Some(Output::Send { to, datagram }) = bench.outputs.pop() {
            let left = balance.entry(*to.ip()).or_default();
            *left -= datagram.len() as i64;
            if *to.ip() == ip(200) {
                server.answer(&mut bench, milli / 1000, &String::from_utf8(datagram).unwrap());
            } else {
                assert!(*left >= 0, "more bytes than came from {to}");
            }
        }
        if bench.selected() == Some(200) && bench.session.phase() == Phase::Session {
            return Some(milli);
        }
    }
    None
}

#[test]
fn the_true_server_is_selected_within_a_minute_of_a_thousand_forged_heartbeats_a_second() {
    let ip = |milli: u64| Ipv4Addr::from(0x0b00_0000 + u32::try_from(milli).unwrap());
    for seed in 0..20 {
        assert!(selected_among(|milli| (ip(milli), 8), seed).is_some(), "short ones of as many addresses, {seed}");
        assert!(selected_among(|milli| (ip(milli % 250), 50), seed).is_some(), "of 250 addresses, {seed}");
        assert!(selected_among(|milli| (ip(milli % 30), 50), seed).is_some(), "of 30 addresses, {seed}");
        assert!(selected_among(|milli| (ip(milli % 10), MAX_HELLO), seed).is_some(), "long ones of ten addresses, {seed}");
    }
}

#[test]
fn the_server_that_was_proven_last_comes_first() {
    let mut bench = Bench::keyed();
    joined(&mut bench);
    let mut selected = Vec::new();
    for seconds in 1..120 {
        bench.heartbeat(seconds, 2);
        if seconds > 100 {
            bench.session.handle_heartbeat(at(seconds), ip(1), None, 1);
        }
        bench.sent(seconds);
        selected.push(bench.selected());
    }
    assert_eq!((selected[28], selected[98], selected[100]), (Some(1), Some(2), Some(1)));
}

#[test]
fn servers_whose_broadcasts_stay_away_are_kept_while_they_answer() {
    let mut bench = Bench::new();
    for last in [1, 2] {
        bench.session.handle_heartbeat(at(0), ip(last), Some(Token(last.into())), 50);
    }
    bench.join(0);
    let mut sent = Vec::new();
    for seconds in 0..330 {
        for (to, datagram) in bench.sent(seconds).into_iter().filter(|(_, datagram)| datagram.starts_with("ALIVE")) {
            sent.push((to, seconds));
            // Both answer until they die.
            if seconds < 300 {
                assert!(datagram.starts_with("ALIVE"));
                bench.session.handle_alive_answer(at(seconds), ip(to));
                if to == 1 {
                    bench.session.handle_answer(at(seconds));
                }
            }
        }
        if seconds < 319 {
            assert_eq!(bench.selected(), Some(1), "{seconds}");
        }
    }
    for last in [1, 2] {
        let times: Vec<u64> = sent.iter().filter(|(to, _)| *to == last).map(|(_, seconds)| *seconds).collect();
        assert!(times[..25].windows(2).all(|pair| pair[1] - pair[0] == 10), "{times:?}");
    }
    assert!(bench.selected() != Some(1) && bench.session.heard.iter().count() == 0);
}

#[test]
fn a_server_on_two_lans_is_one_server() {
    let mut bench = Bench::new();
    bench.session.handle_heartbeat(at(0), ip(1), Some(Token(7)), 50);
    bench.join(0);
    let mut spoken_to = std::collections::BTreeSet::new();
    for seconds in 0..100 {
        for (last, run) in [(1, 7), (2, 7), (3, 8)] {
            bench.session.handle_heartbeat(at(seconds), ip(last), Some(Token(run)), 50);
        }
        spoken_to.extend(bench.sent(seconds).into_iter().map(|(to, _)| to));
        assert!(bench.session.next_deadline().is_none_or(|due| due > at(seconds).mono), "nothing is due that is not done");
    }
    assert_eq!(spoken_to.into_iter().collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn with_a_given_server_no_other_is_spoken_to() {
    for mut bench in [Bench::new(), Bench::keyed()] {
        bench.session.fix(at(0), SocketAddrV4::new(ip(3), PORT));
        for seconds in 0..100 {
            bench.heartbeat(seconds, 1);
            assert!(bench.sent(seconds).iter().all(|(to, _)| *to == 3));
        }
    }
}

#[test]
fn only_version_1_servers_are_told_that_the_agent_idles() {
    let mut bench = Bench::new();
    bench.heartbeat(0, 1);
    assert_eq!(bench.session.idle_due(0), None);
    bench.session.handle_classic_answer(at(1));
    bench.session.handle_classic_sent(at(1));
    assert_eq!((bench.session.idle_due(0), bench.session.idle_due(3)), (Some(at(68).mono), None));
}
