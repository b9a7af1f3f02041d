//! The queue in virtual time, with the chains that it numbers events in.

use super::super::chains::Urgency;
use super::*;
use crate::schedule::WeekMinute;
use crate::wire::{Checkpoint, Message};

fn at(seconds: u64) -> Now {
    Now { mono: Duration::from_secs(seconds), unix: 1_795_347_336 + seconds, local: WeekMinute::new(0, 0, 0), second: 0 }
}

struct Bench {
    outbox: Outbox,
    chains: Chains,
}

impl Bench {
    fn push(&mut self, now: Now, event: Event<'_>) {
        self.outbox.push(now, &mut self.chains, event);
    }

    /// Queues the event of a line that ends there.
    fn push_line(&mut self, now: Now, chain: ChainId, position: &Position, event: Event<'_>) {
        self.outbox.push_line(now, &mut self.chains, chain, None, &|| None, event);
        self.outbox.finish_lines(chain, position);
    }

    fn acknowledge(&mut self, now: Now, uid: &str) -> bool {
        self.outbox.acknowledge(now, &mut self.chains, uid)
    }

    fn acknowledge_chain(&mut self, now: Now, chain: ChainId, number: u64, held: &[(u64, u64)]) {
        self.outbox.acknowledge_chain(now, &mut self.chains, chain, number, held);
    }

    /// Queues so many batches of one event each, in a chain.
    fn push_batches(&mut self, now: Now, chain: ChainId, texts: &[&str]) {
        for text in texts {
            self.push_line(now, chain, &Position::default(), event(text));
            self.outbox.queue.back_mut().unwrap().limit = 0;
        }
    }

    fn next_deadline(&self, form: Form) -> Option<Duration> {
        self.outbox.next_deadline(&self.chains, form)
    }

    fn handle_timeout(&mut self, now: Now) {
        self.outbox.handle_timeout(now, &mut self.chains);
    }

    fn restart(&mut self, now: Now) {
        self.outbox.restart(now.mono);
        self.chains.restart(now.mono);
    }

    fn change_server(&mut self, now: Now) {
        let epoch = self.outbox.change_server();
        self.chains.begin_epoch(epoch);
        self.restart(now);
    }
}

fn outbox() -> Bench {
    let outbox = Outbox { run: "r.".into(), ..Outbox::new(at(0).mono, "nas1", Random::new(1)) };
    Bench { outbox, chains: Chains::new(at(0), "nas1", 7) }
}

fn event(text: &str) -> Event<'_> {
    Event { tags: "T", file: None, text, kind: Kind::Line, condition: None }
}

fn sent(outbox: &mut Bench, now: Now, form: Form) -> Vec<String> {
    let mut sent = Vec::new();
    loop {
        let some = outbox.outbox.transmit(now.mono, &mut outbox.chains, form);
        assert!(some.len() <= Outbox::AT_ONCE);
        if some.is_empty() {
            return sent.into_iter().map(|datagram| String::from_utf8(datagram).unwrap()).collect();
        }
        sent.extend(some);
    }
}

#[test]
fn an_event_is_the_classic_datagram() {
    let mut outbox = outbox();
    outbox.push_line(
        at(0),
        ChainId::NO_FILE,
        &Position::default(),
        Event { tags: "TAG1", file: Some("/var/log/messages"), ..event("A Message") },
    );
    outbox.push(at(5), event("two\nlines"));
    assert_eq!(
        sent(&mut outbox, at(5), Form::Classic),
        [
            "ALERT%%nas1%%1795347336_0%%1795347336%%TAG1%%/var/log/messages%%A Message",
            "ALERT%%nas1%%1795347341_1%%1795347341%%T%%NULL%%two\u{fffd}lines"
        ]
    );
}

#[test]
fn an_event_is_repeated_every_ten_seconds_until_acknowledged() {
    let mut outbox = outbox();
    outbox.push(at(0), event("x"));
    for (seconds, count) in [(0, 1), (1, 0), (9, 0), (10, 1), (19, 0), (20, 1)] {
        assert_eq!(sent(&mut outbox, at(seconds), Form::Classic).len(), count, "{seconds}");
    }
    assert!(!outbox.acknowledge(at(20), "1795347336_7"));
    assert!(outbox.acknowledge(at(20), "1795347336_0"));
    assert!(!outbox.acknowledge(at(20), "1795347336_0"));
    assert_eq!(outbox.next_deadline(Form::Classic), None);
}

#[test]
fn repeats_within_a_session_slow_down() {
    let mut outbox = outbox();
    outbox.push(at(0), event("x"));
    let times: Vec<u64> = (0..60).filter(|s| !sent(&mut outbox, at(*s), Form::Alert).is_empty()).collect();
    assert_eq!(times[0], 0);
    assert!(times[1] <= 2, "{times:?}");
    assert!(times.len() <= 9, "{times:?}");
}

#[test]
fn an_event_that_was_never_sent_cannot_be_acknowledged() {
    let mut outbox = outbox();
    outbox.push(at(0), event("x"));
    assert!(!outbox.acknowledge(at(0), "1795347336_0"));
    assert_eq!(outbox.outbox.len(), 1);
}

#[test]
fn only_a_window_is_in_flight() {
    let mut outbox = outbox();
    (0..100).for_each(|_| outbox.push_line(at(0), ChainId::NO_FILE, &Position::default(), event("x")));
    assert_eq!(sent(&mut outbox, at(0), Form::Classic).len(), Outbox::CLASSIC_WINDOW);
    assert!(outbox.acknowledge(at(0), "1795347336_5"));
    assert_eq!(sent(&mut outbox, at(0), Form::Classic).len(), 1);
    assert_eq!(outbox.outbox.len(), 99);
}

/// The server says that it has no event of that run of a chain yet.
fn agree(outbox: &mut Bench, now: Now, chain: ChainId, epoch: u64) {
    let checkpoint = Checkpoint { seq: Seq { epoch, number: 0 }, unix: 1, position: "-" };
    outbox.chains.handle_at(now.mono, chain, Some(checkpoint));
    assert!(outbox.chains.is_agreed(chain));
}

/// An outbox, and a server that has agreed on two chains: that of events without a log, and that of one log.
fn agreed() -> (Bench, ChainId) {
    let (mut outbox, log) = (outbox(), ChainId(5));
    outbox.chains.open(at(0), log, &Position::default());
    for chain in [ChainId::NO_FILE, log] {
        outbox.chains.handle_at(at(0).mono, chain, None);
        agree(&mut outbox, at(0), chain, 7);
    }
    (outbox, log)
}

#[test]
fn events_of_a_chain_travel_together() {
    let (mut outbox, log) = agreed();
    let position = |offset| Position::parse(&format!("{offset}.1.1")).unwrap();
    outbox.push_line(at(0), log, &position(1), event("one"));
    outbox.push(at(0), event("another chain"));
    outbox.push_line(at(1), log, &position(2), Event { tags: "U", ..event("two") });
    assert_eq!(
        sent(&mut outbox, at(1), Form::Chain),
        [
            "EVENT%%nas1%%5%%7.1%%2.1.1%%1795347336%%T%%NULL%%r.\n=0%%one\nt1795347337\ngU\n=2%%two",
            "EVENT%%nas1%%0%%7.1%%-%%1795347336%%T%%NULL%%r.\n=1%%another chain"
        ]
    );
    // What was sent stays as it was.
    outbox.push_line(at(1), log, &position(3), event("three"));
    assert_eq!(sent(&mut outbox, at(1), Form::Chain), ["EVENT%%nas1%%5%%7.3%%3.1.1%%1795347337%%T%%NULL%%r.\n=3%%three"]);
    outbox.acknowledge_chain(at(1), log, 2, &[]);
    assert_eq!(outbox.outbox.len(), 2);
}

#[test]
fn a_batch_fills_a_datagram_and_ends_where_the_next_one_begins() {
    let (mut outbox, log) = agreed();
    let place = |offset: u64| Position::parse(&format!("{}.3w5e11264sgsf.z", crate::wire::position::Base36(offset))).unwrap();
    let text = "x".repeat(80);
    for line in 0..40 {
        outbox.outbox.push_line(at(0), &mut outbox.chains, log, None, &|| Some(place(81 * line)), event(&text));
    }
    outbox.outbox.finish_lines(log, &place(81 * 40));
    let (mut ends, mut next) = (Vec::new(), 1);
    for datagram in sent(&mut outbox, at(0), Form::Chain) {
        let Ok(Message::Event(batch)) = Message::parse(datagram.as_bytes()) else { panic!("{datagram}") };
        assert!((950..=MAX_USUAL_DATAGRAM - MAX_TRAILER).contains(&datagram.len()) || batch.last().number == 40, "{}", datagram.len());
        assert_eq!(batch.first.number, next);
        next = batch.last().number + 1;
        ends.push((Position::parse(batch.position).unwrap(), next - 1));
    }
    assert_eq!(ends.last().unwrap().1, 40);
    ends.into_iter().for_each(|(position, number)| assert_eq!(position, place(81 * number)));
}

#[test]
fn the_window_grows_with_what_arrives_and_narrows_with_what_does_not() {
    let (mut outbox, log) = agreed();
    let text = "x".repeat(1200);
    outbox.push_batches(at(0), log, &[&*text; 100]);
    assert_eq!(sent(&mut outbox, at(0), Form::Chain).len(), 4);
    outbox.acknowledge_chain(at(0), log, 3, &[]);
    assert_eq!(sent(&mut outbox, at(0), Form::Chain).len(), 6);
    for number in [10, 24, 52] {
        outbox.acknowledge_chain(at(0), log, number, &[]);
        sent(&mut outbox, at(0), Form::Chain);
    }
    assert!(outbox.outbox.window.size() > 60_000);
    let repeats: Vec<usize> = (1..60).map(|seconds| sent(&mut outbox, at(seconds), Form::Chain).len()).collect();
    assert_eq!(outbox.outbox.window.size(), Window::MIN, "{repeats:?}");
    assert!(repeats[20..].iter().all(|repeats| *repeats <= 4), "{repeats:?}");
}

#[test]
fn the_first_event_of_a_quiet_chain_does_not_wait_for_the_window_of_a_busy_one() {
    let (mut outbox, log) = agreed();
    outbox.push_batches(at(0), log, &[&*"busy".repeat(300); 50]);
    assert_eq!(sent(&mut outbox, at(0), Form::Chain).len(), 4);
    outbox.push_batches(at(0), ChainId::NO_FILE, &["quiet", "again"]);
    let said = sent(&mut outbox, at(0), Form::Chain);
    assert!(matches!(&said[..], [one] if one.ends_with("quiet")), "{said:?}");
    outbox.acknowledge_chain(at(0), ChainId::NO_FILE, 1, &[]);
    assert!(sent(&mut outbox, at(0), Form::Chain).iter().any(|said| said.ends_with("again")));
}

#[test]
fn no_log_is_read_while_as_much_waits_as_may_be_in_flight() {
    let (mut outbox, log) = agreed();
    let mut pushed = 0;
    while outbox.outbox.has_room() {
        outbox.push_line(at(0), log, &Position::default(), event(&"x".repeat(100)));
        pushed += 1;
        assert_eq!(outbox.outbox.has_room_for_block(), outbox.outbox.bytes <= Outbox::MAX_BYTES - Outbox::BLOCK);
    }
    assert!((1000..1500).contains(&pushed), "{pushed}");
    sent(&mut outbox, at(0), Form::Chain);
    outbox.acknowledge_chain(at(0), log, 40, &[]);
    assert!(outbox.outbox.has_room());
    outbox.outbox.drain().for_each(drop);
    assert_eq!((outbox.outbox.events, outbox.outbox.bytes), (0, 0));
}

#[test]
fn events_of_a_chain_wait_until_it_is_agreed_upon() {
    let mut outbox = outbox();
    let log = ChainId(5);
    outbox.chains.open(at(0), log, &Position::default());
    outbox.push_line(at(0), log, &Position::default(), event("of the log"));
    outbox.push(at(0), event("other"));
    assert_eq!(sent(&mut outbox, at(0), Form::Chain), [""; 0]);
    outbox.chains.handle_at(at(0).mono, ChainId::NO_FILE, Some(Checkpoint { seq: Seq { epoch: 3, number: 9 }, unix: 1, position: "-" }));
    let said: Vec<String> = outbox.chains.transmit(at(0)).into_iter().map(|datagram| String::from_utf8(datagram).unwrap()).collect();
    assert_eq!(said, ["TAKE%%nas1%%0%%3.9%%7.0%%1795347336%%-", "SEEK%%nas1%%5"]);
    agree(&mut outbox, at(0), ChainId::NO_FILE, 7);
    assert_eq!(sent(&mut outbox, at(0), Form::Chain), ["EVENT%%nas1%%0%%7.1%%-%%1795347336%%T%%NULL%%r.\n=1%%other"]);
    // The server has more of this run than this side knows: what it acknowledged got lost.
    outbox.chains.handle_at(at(0).mono, log, None);
    agree(&mut outbox, at(0), log, 7);
    assert_eq!(sent(&mut outbox, at(0), Form::Chain), ["EVENT%%nas1%%5%%7.1%%-%%1795347336%%T%%NULL%%r.\n=0%%of the log"]);
    outbox.restart(at(1));
    let checkpoint = Checkpoint { seq: Seq { epoch: 7, number: 1 }, unix: 1, position: "-" };
    assert_eq!(outbox.chains.handle_at(at(1).mono, log, Some(checkpoint)), Some(1));
    outbox.acknowledge_chain(at(1), log, 1, &[]);
    outbox.acknowledge_chain(at(1), ChainId::NO_FILE, 1, &[]);
    assert_eq!((outbox.outbox.len(), outbox.outbox.bytes), (0, 0));
}

#[test]
fn an_event_keeps_the_form_in_which_the_server_may_have_it() {
    let (mut outbox, log) = agreed();
    let position = |offset| Position::parse(&format!("{offset}.1.1")).unwrap();
    sent(&mut outbox, at(0), Form::Classic);
    (1..4).for_each(|n| outbox.push_line(at(0), log, &position(n), event(&format!("x{n}"))));
    assert_eq!(sent(&mut outbox, at(0), Form::Classic).len(), 3);
    outbox.push_line(at(0), log, &position(4), event("x4"));
    // The server turns out to speak version 3. What it may have as ALERT stays one, and the next event waits for that.
    outbox.restart(at(1));
    outbox.chains.handle_at(at(1).mono, log, Some(Checkpoint { seq: Seq { epoch: 7, number: 0 }, unix: 1, position: "-" }));
    let again = sent(&mut outbox, at(1), Form::Chain);
    assert_eq!((again.len(), again.iter().filter(|datagram| datagram.starts_with("ALERT%%")).count()), (3, 3));
    assert!(outbox.acknowledge(at(1), "1795347336_0") && outbox.acknowledge(at(1), "1795347336_2"));
    let checkpoint = |outbox: &mut Bench| {
        let positions = outbox.chains.positions(Urgency::Any).unwrap();
        let line = positions.lines().find(|line| line.starts_with("AT%%nas1%%5%%")).unwrap();
        line.rsplit("%%").next().unwrap().to_string()
    };
    assert_eq!(checkpoint(&mut outbox), "1.1.1", "the second still waits");
    assert_eq!(sent(&mut outbox, at(1), Form::Chain), [""; 0]);
    assert!(outbox.acknowledge(at(1), "1795347336_1"));
    assert_eq!(checkpoint(&mut outbox), "3.1.1");
    assert_eq!(sent(&mut outbox, at(1), Form::Chain), ["EVENT%%nas1%%5%%7.1%%4.1.1%%1795347336%%T%%NULL%%r.\n=3%%x4"]);
    // Another server gets it under another name of this run.
    outbox.change_server(at(2));
    outbox.chains.handle_at(at(2).mono, log, None);
    let run = outbox.chains.epoch();
    agree(&mut outbox, at(2), log, run);
    assert_ne!(run, 7);
    assert_eq!(sent(&mut outbox, at(2), Form::Chain).len(), 1);
}

#[test]
fn what_was_sent_as_one_is_told_to_a_version_1_server_event_by_event() {
    let (mut outbox, log) = agreed();
    ["a", "b", "c"].iter().for_each(|text| outbox.push_line(at(0), log, &Position::parse("3.1.1").unwrap(), event(text)));
    assert_eq!(sent(&mut outbox, at(0), Form::Chain).len(), 1);
    outbox.change_server(at(1));
    let alerts = sent(&mut outbox, at(1), Form::Classic);
    let expected: Vec<String> =
        (0..3).map(|n| format!("ALERT%%nas1%%1795347336_{n}%%1795347336%%T%%NULL%%{}", ["a", "b", "c"][n])).collect();
    assert_eq!(alerts, expected);
    // Only with the last one it is known how far the log is processed.
    assert!(outbox.acknowledge(at(1), "1795347336_0") && outbox.acknowledge(at(1), "1795347336_2"));
    assert!(!outbox.chains.positions(Urgency::Any).unwrap().contains("3.1.1"));
    assert!(outbox.acknowledge(at(1), "1795347336_1"));
    assert!(outbox.chains.positions(Urgency::Any).unwrap().contains("3.1.1"));
    assert_eq!((outbox.outbox.len(), outbox.outbox.bytes), (0, 0));
}

#[test]
fn what_is_missing_between_others_is_sent_again_at_once() {
    let (mut outbox, log) = agreed();
    outbox.push_batches(at(0), log, &["x1", "x2", "x3", "x4", "x5", "x6"]);
    assert_eq!(sent(&mut outbox, at(0), Form::Chain).len(), 6);
    // Two later ones may have overtaken the first; the third one tells that it is lost.
    outbox.acknowledge_chain(at(0), log, 0, &[(2, 3)]);
    assert_eq!(sent(&mut outbox, at(0), Form::Chain), [""; 0]);
    outbox.acknowledge_chain(at(0), log, 0, &[(2, 4)]);
    assert_eq!(outbox.next_deadline(Form::Chain), Some(at(0).mono));
    let texts = |sent: Vec<String>| sent.iter().map(|text| text[text.len() - 2..].to_string()).collect::<Vec<_>>();
    assert_eq!(texts(sent(&mut outbox, at(0), Form::Chain)), ["x1"]);
    outbox.acknowledge_chain(at(0), log, 0, &[(2, 5)]);
    assert_eq!(sent(&mut outbox, at(0), Form::Chain), [""; 0], "it is under way again");
    // Though they were there once, the server may have lost them again.
    let again: Vec<String> = (1..=12).flat_map(|seconds| texts(sent(&mut outbox, at(seconds), Form::Chain))).collect();
    (1..=6).for_each(|n| assert!(again.contains(&format!("x{n}")), "{n}: {again:?}"));
}

#[test]
fn texts_that_are_cut_are_counted() {
    let (mut outbox, _) = agreed();
    let long = "x".repeat(MAX_EVENT_TEXT + 1);
    (0..3).for_each(|_| outbox.push(at(0), event(&long)));
    outbox.handle_timeout(at(0));
    outbox.push(at(1), event(&long));
    outbox.handle_timeout(at(1));
    let texts = |outbox: &Bench| {
        let events = outbox.outbox.queue.iter().flat_map(|batch| batch.text.events());
        events.map(|event| event.text.to_string()).filter(|text| text.contains("cut")).collect::<Vec<_>>()
    };
    assert_eq!(texts(&outbox), ["3 events cut to 8192 bytes between 1795347336 and 1795347336"]);
    assert_eq!(outbox.next_deadline(Form::Chain), Some(Duration::ZERO));
    outbox.handle_timeout(at(60));
    assert_eq!(texts(&outbox).len(), 2);
}

#[test]
fn what_is_dropped_is_counted_and_reported_once() {
    let mut outbox = outbox();
    (0..Outbox::MAX_OTHERS).for_each(|_| outbox.push(at(0), event("x")));
    outbox.push(at(3), event("lost"));
    outbox.push(at(7), event("lost"));
    sent(&mut outbox, at(8), Form::Alert);
    assert!(outbox.acknowledge(at(8), "1795347336_0"));
    assert!(outbox.acknowledge(at(8), "1795347336_1"));
    let last = outbox.outbox.queue.back().unwrap().text.events().last().unwrap();
    assert_eq!(last.text, "2 events dropped between 1795347339 and 1795347343: more than 256 waited");
    assert_eq!(outbox.outbox.len(), Outbox::MAX_OTHERS - 1);
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let mut outbox = outbox();
    outbox.push(at(0), event(&"ä\n".repeat(MAX_EVENT_TEXT)));
    assert!(sent(&mut outbox, at(0), Form::Classic)[0].len() < MAX_EVENT_TEXT + 100);
}

#[test]
fn another_server_gets_everything_again_at_once() {
    let mut outbox = outbox();
    outbox.push(at(0), event("x"));
    sent(&mut outbox, at(0), Form::Classic);
    outbox.change_server(at(1));
    assert_eq!(sent(&mut outbox, at(1), Form::Classic).len(), 1);
}
