//! Events of several lines.

use super::Bench;

const TRACE: &str = "file: /log\nmatch: ERROR\njoin: ^\\s|^Caused by\nalert_all: tags=J\n";

/// What comes of a log whose lines are there from that second on. Once a second all that is not processed is handed over.
fn events_of(rules: &str, lines: &[(u64, &str)]) -> Vec<(u64, String)> {
    let (mut bench, mut unread, mut found) = (Bench::new(rules), String::new(), Vec::new());
    for second in 0..30 {
        lines.iter().filter(|(at, _)| *at == second).for_each(|(_, line)| unread += &format!("{line}\n"));
        loop {
            let consumed = bench.lines(second, &unread);
            unread.drain(..consumed);
            if consumed == 0 || unread.is_empty() {
                break;
            }
        }
        found.extend(bench.events().into_iter().map(|event| (second, event)));
    }
    assert_eq!(unread, "");
    found
}

#[test]
fn lines_that_belong_to_one_are_in_its_event() {
    let lines = [(1, "ERROR a"), (1, "  at x ERROR"), (1, "Caused by: b"), (1, "fine"), (1, "ERROR c"), (1, "ERROR d"), (1, "fine")];
    let expected = [(1, "J ERROR a \u{23ce} at x ERROR \u{23ce} Caused by: b"), (1, "J ERROR c"), (1, "J ERROR d")];
    assert_eq!(events_of(TRACE, &lines), expected.map(|(at, event)| (at, event.to_string())));
    let starts = "file: /log\nmatch: ERROR\nstarts: ^\\d\nalert_all: tags=S text={1}: {line}\n".replace("match: ERROR", "match: (ERR|x)");
    let lines = [(1, "1 ERR"), (1, "ERR more"), (1, "2 fine"), (1, "ERR of 2"), (1, "3 x"), (1, "4")];
    let expected = [(1, "S ERR: 1 ERR \u{23ce} ERR more"), (1, "S x: 3 x")];
    assert_eq!(events_of(&starts, &lines), expected.map(|(at, event)| (at, event.to_string())));
}

#[test]
fn an_event_waits_for_its_lines_and_at_most_5_seconds() {
    let lines = [(1, "ERROR a"), (3, " at x"), (5, " at y"), (9, " late"), (10, "ERROR b"), (12, "fine")];
    let expected = [(6, "J ERROR a \u{23ce} at x \u{23ce} at y"), (12, "J ERROR b")];
    assert_eq!(events_of(TRACE, &lines), expected.map(|(at, event)| (at, event.to_string())));
}

#[test]
fn what_waits_is_not_processed() {
    let mut bench = Bench::new(&format!("{TRACE}file: /log\nmatch: ERROR\nalert_all: tags=A\n"));
    assert_eq!(bench.lines(1, "fine\nERROR a\n at x\n"), 5);
    assert_eq!(bench.lines(2, "ERROR a\n at x\n"), 0);
    assert_eq!(bench.events(), [""; 0], "no rule makes an event of such a line before");
    let log = bench.file("/log");
    let until = bench.rules.waits_until(bench.logs.file(log).unwrap());
    assert_eq!(until, Some(crate::agent::rules::bench::at(6).mono));
    assert_eq!(bench.lines(3, "ERROR a\n at x\nfine\n"), 19);
    let mut events = bench.events();
    events.sort();
    assert_eq!(events, ["A ERROR a", "J ERROR a \u{23ce} at x"]);
    assert_eq!(bench.rules.waits_until(bench.logs.file(log).unwrap()), None);
}

#[test]
fn joined_lines_have_32_kib_at_most_and_the_rest_makes_no_event() {
    let mut bench = Bench::new(TRACE);
    let lines = format!("ERROR a\n{}", format!(" {} ERROR\n", "x".repeat(992)).repeat(100));
    let mut consumed = 0;
    while consumed < lines.len() {
        let now = bench.lines(1, &lines[consumed..]);
        assert!(now > 0, "it does not wait for more");
        consumed += now;
    }
    let events = bench.events();
    assert_eq!(events.len(), 1);
    assert!(events[0].starts_with("J ERROR a \u{23ce} xx") && events[0].len() < 8300);
}

#[test]
fn lines_that_belong_to_another_are_not_counted() {
    let rules = TRACE.replace("alert_all: tags=J", "alert_count: tags=C seconds=10");
    let mut bench = Bench::new(&rules);
    let lines = "ERROR a\n at ERROR\nERROR b\n";
    assert_eq!(bench.lines(1, lines), lines.len(), "a count waits for nothing");
    bench.time(10, 0);
    assert_eq!(bench.events(), ["C 2"]);
}
