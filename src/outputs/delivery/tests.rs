//! Deliveries in virtual time. A place is the number of an event.

use super::*;
use crate::directives::output::{Batch, Limit};
use crate::schedule::{Schedule, WeekMinute};
use crate::wire::State;

fn at(seconds: u64) -> Now {
    let minutes = u16::try_from(seconds / 60 % 10_080).unwrap();
    let local = WeekMinute::new(0, 0, 0).after(minutes);
    Now { mono: Duration::from_secs(seconds), unix: 1_000_000 + seconds, local, second: u8::try_from(seconds % 60).unwrap() }
}

fn event(number: u64) -> StreamEvent {
    StreamEvent { host: "h".into(), uid: format!("u{number}"), tags: "T".into(), text: format!("e{number}"), ..StreamEvent::default() }
}

fn output() -> Output {
    Output {
        name: "out".into(),
        selections: Vec::new(),
        format: Format::Classic,
        batch: Batch::default(),
        limit: None,
        active: None,
        command: vec!["cat".into()],
    }
}

fn batch(events: usize, wait: u64) -> Batch {
    Batch { events, wait: Duration::from_secs(wait), ..Batch::default() }
}

fn delivery(output: Output) -> Delivery<u64> {
    Delivery::new(at(0), output, "server", Some(0), Period::default())
}

/// Gives it the events of these numbers.
fn feed(delivery: &mut Delivery<u64>, now: Now, numbers: std::ops::RangeInclusive<u64>) {
    numbers.for_each(|number| delivery.handle_event(now, event(number), number));
}

/// The texts that the command gets now, if it is to run.
fn run(delivery: &mut Delivery<u64>, now: Now) -> Option<String> {
    run_without(delivery, now, &|_| false)
}

/// The same, while some events are withheld.
fn run_without(delivery: &mut Delivery<u64>, now: Now, is_withheld: &dyn Fn(&StreamEvent) -> bool) -> Option<String> {
    run_with(delivery, now, &Standing { is_withheld, is_open: &|_| true })
}

fn run_with(delivery: &mut Delivery<u64>, now: Now, standing: &Standing<'_>) -> Option<String> {
    let is_due = delivery.handle_timeout(now);
    is_due
        .then(|| delivery.begin_run(now, standing).iter().map(|event| &*event.text).collect::<Vec<_>>().join(" "))
        .filter(|texts| !texts.is_empty())
}

fn notices(delivery: &mut Delivery<u64>) -> Vec<String> {
    std::iter::from_fn(|| delivery.poll_notice()).map(|notice| notice.text("out")).collect()
}

#[test]
fn a_batch_runs_when_it_is_full_or_its_first_event_has_waited() {
    let mut delivery = delivery(Output { batch: batch(3, 30), ..output() });
    feed(&mut delivery, at(0), 1..=2);
    assert_eq!((run(&mut delivery, at(29)), delivery.next_deadline(at(29))), (None, Some(Duration::from_secs(30))));
    assert_eq!(run(&mut delivery, at(30)).as_deref(), Some("e1 e2"));
    assert!(!delivery.wants_events() && delivery.passed() == Some(0));
    delivery.handle_end(at(31), End::Delivered);
    assert_eq!((delivery.passed(), delivery.wants_events()), (Some(2), true));
    feed(&mut delivery, at(32), 3..=5);
    assert!(!delivery.wants_events());
    assert_eq!(run(&mut delivery, at(32)).as_deref(), Some("e3 e4 e5"));
}

#[test]
fn a_batch_is_bounded_in_bytes() {
    let mut delivery = delivery(Output { batch: batch(10_000, 0), ..output() });
    let mut number = 0;
    while delivery.wants_events() {
        number += 1;
        delivery.handle_event(at(0), StreamEvent { text: "x".repeat(8192), ..event(number) }, number);
    }
    assert_eq!(number, 32);
}

#[test]
fn events_that_are_not_chosen_move_the_place_at_once() {
    let mut delivery = delivery(output());
    for (number, host) in [(1, "server"), (2, "server")] {
        let text = Notice::WorksAgain.text("out");
        delivery.handle_event(at(0), StreamEvent { host: host.into(), tags: "SYSTEM".into(), text, ..event(number) }, number);
    }
    assert_eq!((delivery.passed(), run(&mut delivery, at(1))), (Some(2), None), "an output never gets what is about itself");
    let other = Notice::WorksAgain.text("other");
    delivery.handle_event(at(0), StreamEvent { host: "server".into(), tags: "SYSTEM".into(), text: other, ..event(3) }, 3);
    assert_eq!(run(&mut delivery, at(1)).as_deref(), Some("Output other: works again"));
}

#[test]
fn a_failed_batch_is_repeated_unchanged_after_growing_pauses() {
    let mut delivery = delivery(output());
    feed(&mut delivery, at(0), 1..=2);
    let (mut now, mut pauses) = (0, Vec::new());
    for _ in 0..9 {
        assert_eq!(run(&mut delivery, at(now)).as_deref(), Some("e1 e2"));
        assert!(!delivery.wants_events());
        delivery.handle_end(at(now), End::Status(1));
        let pause = delivery.next_deadline(at(now)).unwrap().min(delivery.pause(at(now)).unwrap() + at(now).mono) - at(now).mono;
        assert_eq!(run(&mut delivery, at(now + pause.as_secs() - 1)), None);
        pauses.push(pause.as_secs());
        now += pause.as_secs();
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(delivery.passed(), Some(0));
    assert!(run(&mut delivery, at(now)).is_some());
    delivery.handle_end(at(now), End::Delivered);
    assert_eq!((delivery.passed(), delivery.failure()), (Some(2), None));
    feed(&mut delivery, at(now), 3..=3);
    assert!(run(&mut delivery, at(now)).is_some());
    delivery.handle_end(at(now), End::Failed("ended by signal 9".into()));
    assert_eq!(delivery.pause(at(now)), Some(Duration::from_secs(1)), "the pauses begin anew");
}

#[test]
fn a_batch_is_split_down_to_the_event_that_the_command_gives_up() {
    let mut delivery = delivery(Output { batch: Batch { drop: Some(65), ..batch(100, 0) }, ..output() });
    feed(&mut delivery, at(0), 1..=100);
    let (mut got, mut runs) = (Vec::new(), 0);
    while let Some(texts) = run(&mut delivery, at(1)) {
        runs += 1;
        let is_bad = texts.split(' ').any(|text| ["e57", "e58", "e100"].contains(&text));
        let before = delivery.passed().unwrap();
        delivery.handle_end(at(1), if is_bad { End::Status(65) } else { End::Delivered });
        if !is_bad {
            got.extend(texts.split(' ').map(str::to_string));
            assert_eq!(delivery.passed().unwrap(), before + texts.split(' ').count() as u64);
        }
    }
    let good = (1..=100).filter(|number| ![57, 58, 100].contains(number)).map(|number| format!("e{number}"));
    assert_eq!(got, good.collect::<Vec<_>>());
    assert_eq!(delivery.passed(), Some(100));
    assert!(runs < 40, "{runs}");
    let expected = [57, 58, 100].map(|number| format!("Output out: gave up event u{number} of h: exit status 65"));
    assert_eq!(notices(&mut delivery), expected);
}

#[test]
fn without_drop_no_status_gives_an_event_up() {
    let mut delivery = delivery(output());
    feed(&mut delivery, at(0), 1..=1);
    for now in [0, 100, 200, 300] {
        assert_eq!(run(&mut delivery, at(now)).as_deref(), Some("e1"));
        delivery.handle_end(at(now), End::Status(65));
    }
    assert_eq!((delivery.passed(), notices(&mut delivery)), (Some(0), vec![]));
}

#[test]
fn an_output_that_delivers_nothing_for_10_minutes_is_reported_and_so_is_its_recovery() {
    let mut delivery = delivery(Output { batch: batch(100, 3600), ..output() });
    feed(&mut delivery, at(0), 1..=1);
    assert!(!delivery.handle_timeout(at(3599)), "a digest waits for its time");
    assert!(run(&mut delivery, at(3600)).is_some());
    delivery.handle_end(at(3601), End::Status(7));
    let mut now = 3601;
    while now < 4199 {
        now += 1;
        if run(&mut delivery, at(now)).is_some() {
            delivery.handle_end(at(now), End::Status(7));
        }
    }
    assert_eq!(notices(&mut delivery), [""; 0]);
    delivery.handle_timeout(at(4200));
    delivery.handle_timeout(at(5000));
    assert_eq!(notices(&mut delivery), ["Output out: nothing delivered for 10 minutes: exit status 7"]);
    assert!(run(&mut delivery, at(5001)).is_some());
    delivery.handle_end(at(5001), End::Delivered);
    assert_eq!(notices(&mut delivery), ["Output out: works again"]);
}

#[test]
fn a_command_that_runs_too_long_is_overdue() {
    let mut delivery = delivery(output());
    feed(&mut delivery, at(0), 1..=1);
    assert!(run(&mut delivery, at(5)).is_some());
    assert_eq!((delivery.is_overdue(at(34)), delivery.is_overdue(at(35))), (false, true));
    assert_eq!(delivery.next_deadline(at(5)), Some(Duration::from_secs(35)));
}

#[test]
fn an_output_waits_until_it_is_active() {
    let active = Schedule::parse("0;01:00-02:00").unwrap();
    let mut delivery = delivery(Output { active: Some(active), ..output() });
    feed(&mut delivery, at(0), 1..=1);
    assert_eq!(run(&mut delivery, at(3599)), None);
    assert_eq!(delivery.next_deadline(at(10)), Some(Duration::from_secs(3600)));
    assert_eq!((run(&mut delivery, at(3600)).as_deref(), notices(&mut delivery)), (Some("e1"), vec![]), "it was not stuck");
}

#[test]
fn a_summary_says_what_the_limit_held_back() {
    let mut delivery = delivery(Output { limit: Some(Limit { events: 2, seconds: 60 }), ..output() });
    feed(&mut delivery, at(0), 1..=5);
    assert_eq!(run(&mut delivery, at(0)).as_deref(), Some("e1 e2"));
    delivery.handle_end(at(0), End::Delivered);
    assert_eq!((delivery.passed(), delivery.next_deadline(at(0))), (Some(5), Some(Duration::from_secs(60))));
    let restored = Period::parse(&delivery.passed_period().emit());
    let summary = run(&mut delivery, at(60)).unwrap();
    let begin = "Output out: 3 events held back from 1970-01-12T13:46:40Z on, above 2 in 60 s: h T 3";
    assert_eq!(summary, begin);
    delivery.handle_end(at(60), End::Delivered);
    feed(&mut delivery, at(61), 6..=8);
    assert_eq!(run(&mut delivery, at(61)).as_deref(), Some("e6 e7"));
    // After a restart the limit goes on.
    let mut again = Delivery::new(at(1), delivery.output().clone(), "server", Some(5), restored);
    feed(&mut again, at(1), 6..=6);
    assert_eq!(run(&mut again, at(1)), None);
    assert!(run(&mut again, at(60)).unwrap().starts_with("Output out: 4 events held back"));
}

#[test]
fn what_was_counted_for_a_batch_that_was_not_delivered_is_counted_again() {
    let mut delivery = delivery(Output { limit: Some(Limit { events: 2, seconds: 60 }), ..output() });
    feed(&mut delivery, at(0), 1..=5);
    assert!(run(&mut delivery, at(0)).is_some());
    // Killed now: the next run reads the same events.
    assert_eq!((delivery.passed(), delivery.passed_period()), (Some(0), &Period::default()));
}

#[test]
fn a_batch_that_blocks_can_be_skipped() {
    let mut delivery = delivery(output());
    feed(&mut delivery, at(0), 1..=3);
    assert!(!delivery.skip(), "it has not failed");
    assert!(run(&mut delivery, at(0)).is_some());
    delivery.handle_end(at(0), End::Status(1));
    assert!(delivery.skip());
    assert_eq!((delivery.passed(), delivery.failure()), (Some(3), None));
    assert_eq!(notices(&mut delivery), ["Output out: skipped 3 events, u1 of h to u3 of h"]);
}

#[test]
fn removed_files_move_the_place_and_keep_what_is_in_memory() {
    let mut delivery = delivery(output());
    feed(&mut delivery, at(0), 1..=3);
    delivery.handle_removed(&|place| place.unwrap_or(0).max(10), 6, 100);
    assert_eq!(notices(&mut delivery), ["Output out: lost 6 events: more than 100 bytes of the stream waited"]);
    assert_eq!(run(&mut delivery, at(0)).as_deref(), Some("e1 e2 e3"));
    delivery.handle_end(at(0), End::Delivered);
    assert_eq!(delivery.passed(), Some(10));
}

#[test]
fn open_conditions_are_sent_again_to_alertmanager_until_they_close() {
    let condition = |number: u64, state: State| StreamEvent { state: Some(state), key: Some("k".into()), ..event(number) };
    let mut delivery = delivery(Output { format: Format::Alertmanager, ..output() });
    delivery.recall(&condition(0, State::Opened));
    assert_eq!(run(&mut delivery, at(59)), None);
    assert_eq!(run(&mut delivery, at(60)).as_deref(), Some("e0"));
    delivery.handle_end(at(61), End::Delivered);
    assert_eq!((run(&mut delivery, at(120)), run(&mut delivery, at(121)).as_deref()), (None, Some("e0")));
    delivery.handle_end(at(121), End::Delivered);
    delivery.handle_event(at(130), condition(1, State::Closed), 1);
    assert_eq!(run(&mut delivery, at(130)).as_deref(), Some("e1"));
    delivery.handle_end(at(130), End::Delivered);
    assert_eq!((run(&mut delivery, at(1000)), delivery.next_deadline(at(1000))), (None, None));
}

#[test]
fn what_is_withheld_moves_the_place() {
    let mut delivery = delivery(output());
    delivery.handle_withheld(at(0), event(1), 1);
    assert_eq!((delivery.passed(), run(&mut delivery, at(1))), (Some(1), None));
}

#[test]
fn the_end_of_a_condition_is_withheld_only_from_an_output_that_did_not_get_its_begin() {
    let condition = |number: u64, key: &str, state: State| StreamEvent { state: Some(state), key: Some(key.into()), ..event(number) };
    for (begin, is_delivered) in [(true, true), (true, false), (false, false)] {
        let mut delivery = delivery(output());
        if begin {
            delivery.handle_event(at(0), condition(1, "k", State::Opened), 1);
        } else {
            delivery.handle_withheld(at(0), condition(1, "k", State::Opened), 1);
        }
        if is_delivered {
            assert_eq!(run(&mut delivery, at(0)).as_deref(), Some("e1"));
            delivery.handle_end(at(0), End::Delivered);
        }
        delivery.handle_withheld(at(1), condition(2, "k", State::Repeated), 2);
        delivery.handle_withheld(at(1), condition(3, "other", State::Closed), 3);
        delivery.handle_withheld(at(1), condition(4, "k", State::Closed), 4);
        let expected = match (begin, is_delivered) {
            (true, true) => Some("e4"),
            (true, false) => Some("e1 e4"),
            _ => None,
        };
        assert_eq!(run(&mut delivery, at(1)).as_deref(), expected);
    }
    let mut delivery = delivery(output());
    delivery.recall_open(&condition(1, "k", State::Opened));
    delivery.handle_withheld(at(1), condition(4, "k", State::Closed), 4);
    assert_eq!(run(&mut delivery, at(1)).as_deref(), Some("e4"));
}

#[test]
fn what_is_open_and_withheld_is_not_sent_again_until_that_is_over() {
    let condition = |number: u64, state: State| StreamEvent { state: Some(state), key: Some("k".into()), ..event(number) };
    let mut delivery = delivery(Output { format: Format::Alertmanager, ..output() });
    delivery.recall(&condition(0, State::Opened));
    assert_eq!(run_without(&mut delivery, at(60), &|_| true), None);
    assert_eq!((delivery.is_running(), delivery.next_deadline(at(60))), (false, Some(Duration::from_secs(120))));
    assert_eq!(run(&mut delivery, at(120)).as_deref(), Some("e0"));
    delivery.handle_end(at(120), End::Delivered);
    // The silence of another host explains it now.
    delivery.handle_withheld(at(130), condition(1, State::Repeated), 1);
    assert_eq!(run(&mut delivery, at(180)), None);
    delivery.handle_event(at(200), condition(2, State::Repeated), 2);
    assert_eq!(run(&mut delivery, at(200)).as_deref(), Some("e2"));
    delivery.handle_end(at(200), End::Delivered);
    assert_eq!(run(&mut delivery, at(260)).as_deref(), Some("e0"));
}

#[test]
fn what_has_ended_without_an_event_is_not_sent_again() {
    let condition = |number: u64, key: &str| StreamEvent { state: Some(State::Opened), key: Some(key.into()), ..event(number) };
    let mut delivery = delivery(Output { format: Format::Alertmanager, ..output() });
    delivery.recall(&condition(0, "k"));
    delivery.recall(&condition(1, "other"));
    let is_open = |event: &StreamEvent| event.key.as_deref() == Some("other");
    let standing = Standing { is_withheld: &|_| false, is_open: &is_open };
    assert_eq!(run_with(&mut delivery, at(60), &standing).as_deref(), Some("e1"));
    delivery.handle_end(at(60), End::Delivered);
    assert_eq!(run(&mut delivery, at(120)).as_deref(), Some("e1"), "it stays forgotten");
}
