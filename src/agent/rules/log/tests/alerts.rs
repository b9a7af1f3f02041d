//! What alerts make of the text of lines: captures, values, numbers and limits.

use super::{Bench, ALL, COUNT};
use crate::agent::rules::bench::at;

#[test]
fn a_text_has_the_captures_of_the_first_pattern_that_is_found() {
    let rules =
        "file: /log\nmatch: ([a-z]+) failed from (?P<ip>[0-9.]+)\nmatch: (x)(?P<ip>y)?\nalert_all: tags=A text={1} at {ip}: {line}\n\
                 file: /log\nmatch: user=(\\w*)\nalert_n: tags=N threshold=1 seconds=10 text=More than one: {1}\n";
    let mut bench = Bench::new(rules);
    bench.lines(1, "  root failed from 192.0.2.7 x \nno\nx user=a\nuser=b\r\n");
    assert_eq!(bench.events(), ["A root at 192.0.2.7: root failed from 192.0.2.7 x", "A x at : x user=a"]);
    let counts = bench.counts();
    bench.time(10, 0);
    assert_eq!(bench.events(), ["N More than one: b"], "that of the last line");
    let mut bench = Bench::restarted(5, rules, &counts);
    bench.time(10, 0);
    assert_eq!(bench.events(), ["N More than one: "], "the line is not known any more");
}

#[test]
fn a_limit_lets_so_many_events_pass_in_a_block_and_tells_how_many_more_there_were() {
    let rules = format!("file: /log\nmatch: x\nactive: 3;00:00-12:01\nalert_all: tags=L limit=2/10\n{COUNT}");
    let mut bench = Bench::new(&rules);
    bench.lines(1, "x 1\nx 2\nx 3\nother\nnas: message repeated 9 times: [ x ]\n");
    assert_eq!(bench.events(), ["L x 1", "L x 2"]);
    bench.time(10, 0);
    assert_eq!(bench.events(), ["L 2 more lines matched in 10 s", "C 12"]);
    bench.lines(11, "x 4\nx 5\n");
    bench.time(20, 0);
    assert_eq!(bench.events(), ["L x 4", "L x 5", "C 2"]);
    bench.lines(111, "x 6\nx 7\nx 8\n");
    bench.time(120, 0);
    assert_eq!(bench.events(), ["L x 6", "L x 7", "L 1 more line matched in 10 s", "C 3"], "also if its times are over");
}

#[test]
fn a_limit_counts_on_after_a_restart() {
    let rules = "file: /log\nmatch: x\nalert_all: tags=L limit=2/10\n";
    let mut bench = Bench::new(rules);
    bench.lines(1, "x 1\n");
    let one = bench.counts();
    bench.lines(2, "x 2\nx 3\n");
    let three = bench.counts();
    let mut bench = Bench::restarted(5, rules, &one);
    bench.lines(6, "x 2\nx 3\n");
    bench.time(10, 0);
    assert_eq!(bench.events(), ["L x 2", "L 1 more line matched in 10 s"]);
    let mut bench = Bench::restarted(30, rules, &three);
    assert_eq!(bench.events(), ["L 1 more line matched in 10 s"], "at once if the block is over");
    bench.lines(31, "x 4\n");
    assert_eq!(bench.events(), ["L x 4"]);
}

/// A rule that counts by the address of a line such as `x 192.0.2.7`.
fn by_address(alert: &str) -> String {
    format!("file: /log\nmatch: x (?P<ip>\\S*)\n{alert}\n")
}

#[test]
fn lines_are_counted_for_each_value_and_reported_the_most_frequent_first() {
    let mut bench = Bench::new(&by_address("alert_count: tags=C seconds=10 by=ip"));
    bench.lines(1, "x b\nx a\nx b\nx c\nother\nx b\nx a\nx \n");
    bench.time(10, 0);
    assert_eq!(bench.events(), ["C 3 b", "C 2 a", "C 1 ", "C 1 c"]);
    bench.time(20, 0);
    assert_eq!(bench.events(), [""; 0], "a value without a line makes no event");
    let many: String = (0..5000).map(|n| format!("x {n}\nx often\n")).collect();
    bench.lines(21, &many);
    bench.time(30, 0);
    let events = bench.events();
    assert!(events[0].starts_with("C 5000 often") && events.last().unwrap().ends_with(" others"), "{events:?}");
    let number = |event: &String| event.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
    assert_eq!(events.iter().map(number).sum::<u64>(), 10_000, "no line is lost");
    assert!(events.len() <= 129, "{}", events.len());
}

#[test]
fn each_value_has_a_condition_of_its_own() {
    let alert = "alert_n: tags=N threshold=1 seconds=10 by=ip for=2 repeat=0 text=Many from {ip}\ncleared: Over";
    let mut bench = Bench::new(&by_address(alert));
    let blocks = ["x a\nx a\nx b\n", "x a\nx a\nx b\nx b\n", "x b\nx b\nx a\nx a\n", "x b\nx b\n", "x b\n", ""];
    let expected = ["", "N Many from a", "N Many from b", "N Over [a]", "N Over [b]", ""];
    for (block, (lines, expected)) in (0..).zip(blocks.into_iter().zip(expected)) {
        bench.lines(block * 10 + 1, lines);
        // What happens to other rules ends none of these conditions.
        let keys = bench.rules.condition_keys(&bench.logs);
        bench.delivery.close_other_conditions(at(block * 10 + 2), &keys);
        bench.time(block * 10 + 10, 0);
        assert_eq!(bench.events().join(","), expected, "{block}");
    }
}

#[test]
fn the_conditions_of_values_end_with_the_times_of_their_alert_and_with_their_rule() {
    let text = by_address("active: 3;00:00-12:01\nalert_n: tags=N threshold=0 seconds=10 by=1 repeat=0 message=M\ncleared: C");
    let mut bench = Bench::new(&text);
    bench.lines(1, "x a\nx b\n");
    bench.time(10, 0);
    bench.time(120, 0);
    assert_eq!(bench.events(), ["N M", "N M", "N C [a]", "N C [b]"]);
    let mut bench = Bench::new(&text);
    bench.lines(1, "x a\n");
    bench.time(10, 0);
    bench.delivery.close_other_conditions(at(11), &[]);
    assert_eq!(bench.events(), ["N M", "N C [a]"]);
}

#[test]
fn what_was_counted_before_a_restart_is_of_no_known_value() {
    let rules = by_address("alert_count: tags=C seconds=10 by=ip") + &by_address("alert_n: tags=N threshold=2 seconds=10 by=ip message=M");
    let mut bench = Bench::new(&rules);
    bench.lines(1, "x a\nx a\nx a\n");
    let mut bench = Bench::restarted(5, &rules, &bench.counts());
    bench.lines(6, "x a\n");
    bench.time(10, 0);
    assert_eq!(bench.events(), ["C 1 a", "C 3 others", "N 3 lines matched whose values are not counted apart"]);
}

#[test]
fn a_repeated_message_counts_as_often_as_it_says() {
    let rules =
        "file: /log\nmatch: x\nalert_count: tags=C seconds=10\nfile: /log\nmatch: x\nalert_n: tags=N threshold=5 seconds=10 message=M\n";
    let mut bench = Bench::new(&(rules.to_string() + &by_address("alert_count: tags=V seconds=10 by=ip") + ALL));
    bench.lines(1, "nas sshd[7]: x a\nnas sshd[7]: message repeated 5 times: [ x a ]\n");
    assert_eq!(bench.events().len(), 2, "a line is one event of alert_all:");
    bench.time(10, 0);
    assert_eq!(bench.events(), ["C 6", "N M", "V 6 a"]);
}

/// A rule for lines such as `took 12 ms of /path`.
fn took(alert: &str) -> String {
    format!("file: /log\nmatch: took (?P<ms>\\S+) ms of (\\S+)\n{alert}\n")
}

#[test]
fn a_number_in_a_line_is_a_metric() {
    let mut bench = Bench::new(&took("alert_value: tags=V value=ms"));
    bench.lines(1, "took 12 ms of /a\nother\ntook 0.5 ms of /b\n");
    assert_eq!(bench.events(), ["V 12", "V 0.5"]);
}

#[test]
fn a_limit_of_a_number_in_a_line_is_a_condition() {
    let lines = ["5", "95", "96", "85", "79", "95", "x", "99", "1"];
    for (terms, expected) in [
        ("", ["", "I 95 of /a", "I 96 of /a", "I Fast", "", "I 95 of /a", "", "I 99 of /a", "I Fast"]),
        ("until=80 repeat=0 ", ["", "I 95 of /a", "", "", "I Fast", "I 95 of /a", "", "", "I Fast"]),
        ("for=2 ", ["", "", "I 96 of /a", "I Fast", "", "", "", "I 99 of /a", "I Fast"]),
    ] {
        let mut bench = Bench::new(&took(&format!("alert_if: tags=I upper_limit=ms,90 {terms}text={{1}} of {{2}}\ncleared: Fast")));
        let mut found = Vec::new();
        for (second, ms) in (0..).zip(lines) {
            bench.lines(second, &format!("took {ms} ms of /a\n"));
            let events = bench.events();
            found.push(events.iter().filter(|event| event.starts_with("I ")).cloned().collect::<Vec<_>>().join(","));
        }
        assert_eq!(found, expected, "{terms}");
    }
}

#[test]
fn a_limit_may_be_about_one_subject_or_about_each() {
    let lines = "took 95 ms of /a\ntook 99 ms of /b\ntook 96 ms of /a\ntook 5 ms of /b\ntook 5 ms of /a\n";
    for (subject, expected) in [
        ("match=2,/a", vec!["I 95 of /a", "I C"]),
        ("match=2", vec!["I 95 of /a", "I 99 of /b", "I C [/b]", "I C [/a]"]),
        ("", vec!["I 95 of /a", "I C"]),
    ] {
        let alert = format!("alert_if: tags=I {subject} upper_limit=1,90 repeat=0 text={{1}} of {{2}}\ncleared: C");
        let mut bench = Bench::new(&took(&alert));
        bench.lines(1, lines);
        let keys = bench.rules.condition_keys(&bench.logs);
        bench.delivery.close_other_conditions(at(2), &keys);
        assert_eq!(bench.events(), expected, "{subject}");
    }
    let mut bench = Bench::new(&took("alert_if: tags=I lower_limit=1,10 message=Suspiciously fast"));
    bench.lines(1, lines);
    assert_eq!(bench.events(), ["I Suspiciously fast"; 2]);
}

#[test]
fn a_line_without_a_number_is_reported_once() {
    let mut bench = Bench::new(&took("alert_if: tags=I upper_limit=1,90 message=M"));
    bench.lines(1, "took 1.2s ms of /a\ntook 3s ms of /a\ntook 91 ms of /a\n");
    let mut percent = Bench::new(&took("alert_if: tags=I upper_limit=1,90% message=M"));
    percent.lines(1, "took 91% ms of /a\ntook 92 ms of /a\n");
    assert_eq!(percent.events(), ["I M", "SYSTEM Line not usable: /log: group 1 is no number with %: \"92\""]);
    assert_eq!(bench.events(), ["SYSTEM Line not usable: /log: group 1 is no number: \"1.2s\"", "I M"]);
}

#[test]
fn every_line_beyond_a_limit_makes_its_event_however_many_there_are() {
    let mut bench = Bench::new(&took("alert_if: tags=I upper_limit=1,90 text={1}"));
    let lines: String = (100..1100).map(|ms| format!("took {ms} ms of /a\n")).collect();
    assert_eq!(bench.lines(1, &lines), lines.len());
    assert_eq!(bench.events().len(), 1000);
}

#[test]
fn the_condition_of_a_limit_ends_with_the_times_of_its_alert() {
    let mut bench = Bench::new(&took("active: 3;00:00-12:01\nalert_if: tags=I match=2 upper_limit=1,9 repeat=0 message=M\ncleared: C"));
    bench.lines(1, "took 95 ms of /a\ntook 99 ms of /b\n");
    bench.time(120, 0);
    assert_eq!(bench.events(), ["I M", "I M", "I C [/a]", "I C [/b]"]);
}

#[test]
fn events_of_lines_of_this_host_in_an_event_stream_make_no_events() {
    let mut bench = Bench::new("file: /log\nmatch: .\nalert_all: tags=A\n");
    let classic = |host: &str, uid: &str| format!("Sun Nov 22 11:35:36 2026%%{host}%%{uid};line@%%1%%T%%/x%%text\n");
    let json = |host: &str, uid: &str| {
        format!("{{\"received\":\"now\",\"host\":\"{host}\",\"uid\":\"{uid}\",\"kind\":\"line\",\"text\":\"t\"}}\n")
    };
    let others = [
        classic("other", "pgqc28.1h1g.1a.hek2j"),
        classic("h", "23gj0xwtgrf6x.7"),
        classic("h", "pgqc28.1h1g.1a.hek2j.1"),
        json("other", "pgqc28.1h1g.1a.hek2j"),
        json("h", "23gj0xwtgrf6x.7"),
        "50%%h% %%h%% %%\n".into(),
        "{\"host\":\"h\"}\n".into(),
        "%%h%%".into(),
    ];
    let own = [classic("h", "pgqc28.1h1g.1a.hek2j"), json("h", "pgqc28.1h1g.1a.hek2j")];
    bench.lines(1, &(own.concat() + &others.concat() + "\n" + &own.concat()));
    let events = bench.events();
    assert_eq!(events[0], "SYSTEM /log has events of this host: they are not matched");
    assert_eq!(events.len(), 1 + others.len(), "{events:?}");
}
