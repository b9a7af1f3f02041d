//! Byte literals for every message.

use super::*;

const RUN: Token = Token(0x0123_4567_89ab_cdef);
const RUN_HEX: &str = "00000000000000000123456789abcdef";

const CHECKPOINT: Checkpoint<&str> = Checkpoint { seq: Seq { epoch: 35, number: 2 }, unix: 1_795_347_336, position: "2s.1.2" };
const ONE: &str = "1795347336%%TAG1%%/var/log/messages%%f.r.\n=9%%A%%Message";
const THREE: &str = "5%%T%%NULL%%o.\n=1%%one\n=2%%two\nt6\n=3%%three";

fn event(text: &'static str) -> Message<'static> {
    let events = batch::BatchEvents::read_all(text).unwrap();
    Message::Event(EventBatch { host: "nas1", chain: ChainId(36), first: CHECKPOINT.seq, position: "2s.1.2", text, events })
}

fn progress(chain: u64, held: &[(u64, u64)]) -> Progress {
    Progress { chain: ChainId(chain), done: CHECKPOINT.seq, held: held.to_vec() }
}

fn every_message() -> Vec<(Message<'static>, String)> {
    let revision = Revision(Some(0xbeef));
    let alert =
        Alert { host: "nas1", uid: "1795347336_2", unix: 1_795_347_336, tags: "TAG1", file: Some("/var/log/messages"), text: "A%%Message" };
    let idle = Alert { file: None, tags: "SYSTEM", text: "Idle", ..alert };
    vec![
        (Message::Heartbeat { name: "pi" }, "SRVHB%%pi".into()),
        (Message::ConfigRequest { host: "nas1" }, "CONFREQ%%nas1".into()),
        (Message::Config { lines: "file: /a%%match: b" }, "CONFIG%%START%%file: /a%%match: b".into()),
        (Message::Reset { host: "nas1" }, "RESET%%nas1".into()),
        (Message::Alert(alert), "ALERT%%nas1%%1795347336_2%%1795347336%%TAG1%%/var/log/messages%%A%%Message".into()),
        (Message::Alert(idle), "ALERT%%nas1%%1795347336_2%%1795347336%%SYSTEM%%NULL%%Idle".into()),
        (Message::Ack { uid: "1795347336_2" }, "ACK%%1795347336_2".into()),
        (Message::Capability { name: "pi", run: RUN }, format!("SRVCAP%%pi%%3%%{RUN_HEX}")),
        (Message::Hello { host: "nas1", run: RUN, nonce: Token(1) }, format!("HELLO%%3%%nas1%%{RUN_HEX}%%{:032}", 1)),
        (Message::Offer { host: "nas1", nonce: Token(1), cookie: Token(2) }, format!("OFFER%%nas1%%{:032}%%{:032}", 1, 2)),
        (
            Message::Join { host: "nas1", run: RUN, nonce: Token(1), cookie: Token(2) },
            format!("JOIN%%nas1%%{RUN_HEX}%%{:032}%%{:032}", 1, 2),
        ),
        (
            Message::Part { host: "nas1", revision, index: 2, count: 3, text: "match: a%%b\nfile: /c" },
            "CONF%%nas1%%000000000000beef%%2%%3%%match: a%%b\nfile: /c".into(),
        ),
        (Message::Part { host: "nas1", revision: Revision::NONE, index: 1, count: 1, text: "" }, "CONF%%nas1%%none%%1%%1%%".into()),
        (Message::Need { host: "nas1", revision, parts: vec![1, 7] }, "NEED%%nas1%%000000000000beef%%1,7".into()),
        (Message::Stale { host: "nas1", revision }, "STALE%%nas1%%000000000000beef".into()),
        (Message::Alive { host: "nas1", run: RUN, revision: Revision::NONE }, format!("ALIVE%%nas1%%{RUN_HEX}%%none")),
        (Message::Here { host: "nas1" }, "HERE%%nas1".into()),
        (Message::Lost { host: "nas1" }, "LOST%%nas1".into()),
        (Message::Locked { host: "nas1" }, "LOCKED%%nas1".into()),
        (Message::Seek { host: "nas1", chains: vec![ChainId(0), ChainId(36)] }, "SEEK%%nas1%%0,10".into()),
        (Message::At { host: "nas1", chain: ChainId(36), checkpoint: None }, "AT%%nas1%%10%%none".into()),
        (Message::At { host: "nas1", chain: ChainId(36), checkpoint: Some(CHECKPOINT) }, "AT%%nas1%%10%%z.2%%1795347336%%2s.1.2".into()),
        (
            Message::Take { host: "nas1", chain: ChainId(1), from: None, to: CHECKPOINT },
            "TAKE%%nas1%%1%%none%%z.2%%1795347336%%2s.1.2".into(),
        ),
        (
            Message::Take { host: "nas1", chain: ChainId(1), from: Some(Seq { epoch: 1, number: 0 }), to: CHECKPOINT },
            "TAKE%%nas1%%1%%1.0%%z.2%%1795347336%%2s.1.2".into(),
        ),
        (Message::Back { host: "nas1", chain: ChainId(1), inode: 36, offset: 35 }, "BACK%%nas1%%1%%10%%z".into()),
        (Message::Past { host: "nas1", chain: ChainId(1), offset: 35, places: "9.1.10+8.1.10" }, "PAST%%nas1%%1%%z%%9.1.10+8.1.10".into()),
        (Message::Past { host: "nas1", chain: ChainId(1), offset: 35, places: "-" }, "PAST%%nas1%%1%%z%%-".into()),
        (event(ONE), "EVENT%%nas1%%10%%z.2%%2s.1.2%%1795347336%%TAG1%%/var/log/messages%%f.r.\n=9%%A%%Message".into()),
        (event(THREE), "EVENT%%nas1%%10%%z.2%%2s.1.2%%5%%T%%NULL%%o.\n=1%%one\n=2%%two\nt6\n=3%%three".into()),
        (Message::Done { host: "nas1", chains: vec![progress(0, &[])] }, "DONE%%nas1%%0%%z.2%%0".into()),
        (
            Message::Done { host: "nas1", chains: vec![progress(0, &[(4, 4), (6, 36)]), progress(36, &[])] },
            "DONE%%nas1%%0%%z.2%%4-4,6-10%%10%%z.2%%0".into(),
        ),
    ]
}

#[test]
fn parse_and_emit_are_inverses() {
    for (message, datagram) in every_message() {
        assert_eq!(message.to_string(), datagram);
        assert_eq!(Message::parse(datagram.as_bytes()), Ok(message));
    }
}

#[test]
fn every_truncated_prefix_that_parses_emits_itself() {
    for (_, datagram) in every_message() {
        for end in 0..datagram.len() {
            if let Ok(message) = Message::parse(&datagram.as_bytes()[..end]) {
                assert_eq!(message.to_string().trim_end_matches("%%"), datagram[..end].trim_end_matches("%%"));
            }
        }
    }
}

#[test]
fn a_part_stays_within_1200_bytes_with_its_mac() {
    let (host, text) = ("h".repeat(255), "x".repeat(MAX_PART_TEXT));
    let part = Message::Part { host: &host, revision: Revision(Some(1)), index: MAX_PARTS, count: MAX_PARTS, text: &text };
    assert!(part.emit().len() + crate::wire::auth::MAX_TRAILER <= 1200);
    assert!(MAX_CONFIGURATION / (MAX_PART_TEXT - 3) < MAX_PARTS as usize);
}

#[test]
fn an_offer_is_not_longer_than_its_hello() {
    for host in ["h", "a-rather-long-host-name.example.org"] {
        let hello = Message::Hello { host, run: RUN, nonce: RUN }.emit();
        assert!(Message::Offer { host, nonce: RUN, cookie: RUN }.emit().len() <= hello.len());
    }
}

#[test]
fn answers_to_a_keepalive_are_not_longer_than_it() {
    let alive = Message::Alive { host: "h", run: RUN, revision: Revision::NONE }.emit().len();
    let revision = Revision(Some(1));
    for answer in [Message::Here { host: "h" }, Message::Lost { host: "h" }, Message::Stale { host: "h", revision }] {
        assert!(answer.emit().len() <= alive);
    }
}

#[test]
fn a_malformed_datagram_yields_its_error() {
    for (datagram, error) in [
        (&b""[..], WireError::UnknownCommand),
        (b"\xff\xfe", WireError::NotUtf8),
        (b"BOGUS%%x", WireError::UnknownCommand),
        (b"alert%%h", WireError::UnknownCommand),
        (b"ALERT", WireError::MissingField),
        (b"ALERT%%h%%u%%1%%T%%NULL", WireError::MissingField),
        (b"ALERT%%%%u%%1%%T%%NULL%%x", WireError::MissingField),
        (b"ALERT%%h%%u%%-1%%T%%NULL%%x", WireError::MalformedField),
        (b"ALERT%%h%%u%%99999999999999999999%%T%%NULL%%x", WireError::MalformedField),
        (b"CONFIG%%STOP%%x", WireError::MalformedField),
        (b"HELLO%%2%%h%%a%%b", WireError::UnknownCommand),
        (b"OFFER%%h%%xyz%%1", WireError::MalformedField),
        (b"NEED%%h%%none%%1,x", WireError::MalformedField),
        (b"STALE%%h%%BEEF", WireError::MalformedField),
        (b"SEEK%%h%%1,,2", WireError::MalformedField),
        (b"DONE%%h%%1%%none%%0", WireError::MalformedField),
        (b"DONE%%h%%1%%1%%0", WireError::MalformedField),
        (b"DONE%%h%%1%%1.5", WireError::MissingField),
        (b"DONE%%h%%1%%1.5%%3-4", WireError::MalformedField),
        (b"DONE%%h%%1%%1.5%%8-7", WireError::MalformedField),
        (b"DONE%%h%%1%%1.5%%7-8,8-9", WireError::MalformedField),
        (b"DONE%%h%%1%%1.5%%0%%2", WireError::MissingField),
        (b"TAKE%%h%%1%%none%%1.0%%1%%../../etc", WireError::MalformedField),
        (b"EVENT%%h%%1%%1.1%%-", WireError::MissingField),
        (b"EVENT%%h%%1%%1.1%%-%%1%%T%%NULL", WireError::MalformedField),
        (b"EVENT%%h%%1%%1.1%%-%%1%%T%%NULL%%o\n=1%%a\n", WireError::MalformedField),
    ] {
        assert_eq!(Message::parse(datagram), Err(error), "{}", String::from_utf8_lossy(datagram));
    }
}

#[test]
fn no_hello_is_longer_than_the_longest() {
    let hello = Message::Hello { host: &"h".repeat(255), run: RUN, nonce: RUN }.emit();
    assert_eq!(hello.len() + auth::HANDSHAKE_TRAILER, MAX_HELLO);
    let trailer = auth::Key::new([1; 32]).sign(auth::Side::Agent, &hello);
    assert_eq!(trailer.len(), auth::HANDSHAKE_TRAILER);
}

#[test]
fn a_field_that_ends_in_a_percent_sign_shifts_no_other() {
    let Ok(Message::Alert(alert)) = Message::parse(b"ALERT%%h%%u%%1%%T%%/50%%%text") else { panic!() };
    assert_eq!((alert.file, alert.text), (Some("/50"), "%text"));
}

#[test]
fn the_revision_of_a_text_is_fnv_1a() {
    // The published test vectors of the hash, draft-eastlake-fnv.
    assert_eq!(Revision::of("").to_string(), "cbf29ce484222325");
    assert_eq!(Revision::of("foobar").to_string(), "85944171f73967e8");
}
