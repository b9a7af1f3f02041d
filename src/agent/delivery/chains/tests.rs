//! Chains, as a server answers what is said about them.

use super::*;
use crate::schedule::WeekMinute;

const LOG: ChainId = ChainId(5);

fn now() -> Now {
    Now { mono: Duration::from_secs(9), unix: 1_795_347_336, local: WeekMinute::new(0, 0, 0), second: 0 }
}

/// The server says that a chain has come to that number and position of this run.
fn handle_at(chains: &mut Chains, chain: ChainId, number: u64, position: &str) {
    chains.handle_at(now().mono, chain, Some(Checkpoint { seq: Seq { epoch: 7, number }, unix: now().unix, position }));
}

/// Chains with an open log on which both sides agree.
fn agreed() -> Chains {
    let mut chains = Chains::new(now(), "h", 7);
    chains.open(now(), LOG, &Position::parse("1.1.1").unwrap());
    handle_at(&mut chains, ChainId::NO_FILE, 0, "-");
    handle_at(&mut chains, LOG, 0, "1.1.1");
    chains
}

fn said(chains: &mut Chains) -> Vec<String> {
    chains.transmit(now()).into_iter().map(|datagram| String::from_utf8(datagram).unwrap()).collect()
}

#[test]
fn a_log_that_is_followed_again_counts_on() {
    let mut chains = Chains::new(now(), "h", 7);
    chains.handle_at(now().mono, ChainId::NO_FILE, None);
    handle_at(&mut chains, ChainId::NO_FILE, 0, "-");
    let position = Position::parse("1.1.1").unwrap();
    chains.open(now(), LOG, &position);
    chains.handle_at(now().mono, LOG, None);
    handle_at(&mut chains, LOG, 0, "1.1.1");
    chains.handle_queued(now().mono, LOG);
    assert_eq!(chains.take_numbers(LOG, 1), 1);
    assert!(!chains.close(now(), LOG, &Position::default()), "an event waits");
    chains.handle_acknowledged(LOG, Some(1), Some((now().unix, "1.1.1")));
    assert!(chains.close(now(), LOG, &Position::default()));
    assert_eq!(said(&mut chains), ["TAKE%%h%%5%%7.1%%7.1%%1795347336%%-"]);

    // Another file has that name now, and is open before the server says how far the chain had come.
    chains.open(now(), LOG, &position);
    assert_eq!(said(&mut chains), ["SEEK%%h%%5"]);
    let checkpoint = Checkpoint { seq: Seq { epoch: 7, number: 1 }, unix: 1, position: "-" };
    assert_eq!(chains.handle_at(now().mono, LOG, Some(checkpoint)), None);
    assert_eq!(said(&mut chains), ["TAKE%%h%%5%%7.1%%7.1%%1795347336%%1.1.1"]);
    handle_at(&mut chains, LOG, 1, "1.1.1");
    assert!(chains.is_agreed(LOG));
    assert_eq!(chains.take_numbers(LOG, 1), 2);
}

#[test]
fn the_agents_own_file_counts_unless_the_server_knows_a_later_run() {
    for (has_file, server, position) in [
        (false, None, None),
        (false, Some((3, 2)), Some("2.1.1")),
        (true, None, Some("9.1.1")),
        (true, Some((3, 2)), Some("9.1.1")),
        (true, Some((8, 9)), Some("2.1.1")),
        (true, Some((7, 1)), Some("2.1.1")),
    ] {
        let mut chains = Chains::new(now(), "h", 7);
        chains.remember(if has_file { "AT%%h%%5%%3.4%%5%%9.1.1\n" } else { "no checkpoint\n" });
        assert!(matches!(chains.seek(now().mono, LOG), LastRead::Unanswered));
        let server = server.map(|(epoch, number)| Checkpoint { seq: Seq { epoch, number }, unix: 1, position: "2.1.1" });
        chains.handle_at(now().mono, LOG, server);
        let found = match chains.seek(now().mono, LOG) {
            LastRead::At(checkpoint) => Some(checkpoint.position.to_string()),
            _ => None,
        };
        assert_eq!(found.as_deref(), position, "{has_file} {server:?}");
    }
}

#[test]
fn positions_are_given_once_for_each_change_and_include_logs_that_only_the_file_knows() {
    let mut chains = Chains::new(now(), "h", 7);
    chains.remember("AT%%h%%5%%3.4%%1%%9.1.1\nAT%%h%%6%%3.1%%1%%8.1.1\n");
    chains.open(now(), LOG, &Position::parse("9.1.1").unwrap());
    let text = "RUNS%%3,7\nAT%%h%%0%%7.0%%1795347336%%-\nAT%%h%%5%%7.0%%1795347336%%9.1.1\nAT%%h%%6%%3.1%%1%%8.1.1\n";
    assert_eq!(chains.positions(Urgency::Urgent).as_deref(), Some(text));
    assert_eq!((chains.positions(Urgency::Any), chains.has_new_positions()), (None, false));
    chains.handle_queued(now().mono, LOG);
    chains.handle_acknowledged(LOG, Some(1), Some((now().unix, "10.1.1")));
    assert_eq!(chains.positions(Urgency::Urgent), None, "an acknowledged event is not urgent");
    assert!(chains.positions(Urgency::Any).unwrap().contains("%%5%%7.1%%1795347336%%10.1.1\n"));
}

#[test]
fn a_position_is_reported_soon_when_another_file_is_read_or_many_bytes_were() {
    for (position, after) in [("2.1.1", 600), ("2.1.9", 1), ("1.1.1+1.1.9", 1), ("zzzzz.1.1", 1)] {
        let mut chains = agreed();
        assert_eq!(chains.next_deadline(), None);
        chains.handle_read(LOG, Position::parse(position).unwrap());
        assert_eq!(chains.next_deadline(), Some(now().mono + Duration::from_secs(after)), "{position}");
    }
}

#[test]
fn a_chain_is_held_until_the_server_has_agreed_on_the_one_that_took_its_file() {
    let other = ChainId(6);
    let mut chains = agreed();
    chains.open(now(), other, &Position::parse("1.1.1").unwrap());
    chains.hold_until_agreed(LOG, other);
    chains.handle_read(LOG, Position::parse("0.1.2").unwrap());
    let later = Now { mono: now().mono + Duration::from_secs(2), ..now() };
    let sent = |chains: &mut Chains| chains.transmit(later).into_iter().map(|sent| String::from_utf8(sent).unwrap()).collect::<Vec<_>>();
    assert_eq!((sent(&mut chains), chains.is_agreed(LOG)), (vec!["SEEK%%h%%6".to_string()], false));
    chains.handle_at(later.mono, other, None);
    assert_eq!(sent(&mut chains), ["TAKE%%h%%6%%none%%7.0%%1795347336%%1.1.1"]);
    assert!(!chains.is_agreed(LOG));
    handle_at(&mut chains, other, 0, "1.1.1");
    assert!(chains.is_agreed(LOG));
    assert_eq!(sent(&mut chains), ["TAKE%%h%%5%%7.0%%7.0%%1795347336%%0.1.2"]);
    chains.hold_until_agreed(LOG, other);
    assert!(chains.is_agreed(LOG), "both sides agree on the other already");
}

#[test]
fn a_report_is_repeated_until_the_server_confirms_just_that_position() {
    let mut chains = agreed();
    chains.handle_read(LOG, Position::parse("2.1.1_5.9.3").unwrap());
    chains.hurry_report(LOG, now().mono);
    assert!(!chains.are_logs_told());
    let report = "TAKE%%h%%5%%7.0%%7.0%%1795347336%%2.1.1_5.9.3";
    assert_eq!((said(&mut chains), said(&mut chains)), (vec![report.to_string()], vec![]));
    // What is read later is reported later.
    chains.handle_read(LOG, Position::parse("3.1.1").unwrap());
    handle_at(&mut chains, LOG, 0, "1.1.1");
    let again = Now { mono: now().mono + Duration::from_millis(500), ..now() };
    assert_eq!(chains.transmit(again), [report.as_bytes()]);
    handle_at(&mut chains, LOG, 0, "2.1.1_5.9.3");
    assert!(!chains.are_logs_told());
    chains.hurry_reports(again.mono);
    let later = Now { mono: again.mono + Duration::from_secs(1), ..now() };
    assert_eq!(chains.transmit(later), [b"TAKE%%h%%5%%7.0%%7.0%%1795347336%%3.1.1"]);
    handle_at(&mut chains, LOG, 0, "3.1.1");
    assert!(chains.are_logs_told());
    assert_eq!(chains.next_deadline(), None);
}

#[test]
fn a_server_that_forgot_a_report_is_told_again() {
    let mut chains = agreed();
    chains.handle_read(LOG, Position::parse("2.1.1").unwrap());
    chains.hurry_report(LOG, now().mono);
    said(&mut chains);
    handle_at(&mut chains, LOG, 0, "2.1.1");
    chains.restart(now().mono);
    assert_eq!(said(&mut chains), ["SEEK%%h%%0,5"]);
    handle_at(&mut chains, LOG, 0, "1.1.1");
    assert_eq!(said(&mut chains), ["TAKE%%h%%5%%7.0%%7.0%%1795347336%%2.1.1"]);
}
