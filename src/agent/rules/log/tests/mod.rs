//! Log rules with lines and times of the test's making.

use super::*;
use crate::agent::rules::bench::{at, delivery, events, host_file};
use crate::directives::host::Rule;
use crate::encoding::Units;

mod alerts;
mod encoded;
mod joined;

/// So many lines of 1,000 bytes: one after which no block is read any more, and more than can wait.
const FEW: usize = 100;
const TOO_MANY: usize = 200;

fn long_lines(count: usize) -> String {
    format!("{}\n", "x".repeat(999)).repeat(count)
}

struct Bench {
    rules: LogRules,
    logs: Logs,
    delivery: Delivery,
    position: u64,
}

impl Bench {
    fn new(text: &str) -> Self {
        let mut bench = Self { rules: LogRules::default(), logs: Logs::default(), delivery: delivery(), position: 0 };
        bench.configure(0, text);
        bench
    }

    fn configure(&mut self, seconds: u64, text: &str) {
        let rules = host_file(text).into_iter().map(|(identity, rule)| match rule {
            Rule::Log(rule) => (identity, Rc::new(rule)),
            rule => panic!("{rule:?}"),
        });
        let rules: Vec<(u64, Rc<LogRule>)> = rules.collect();
        let sources: Vec<_> = rules.iter().map(|(_, rule)| (rule.log.clone(), rule.encoding)).collect();
        self.logs.replace(&sources);
        self.rules.replace(at(seconds), &rules, &self.logs);
    }

    /// The file at that path.
    fn file(&mut self, path: &str) -> LogId {
        let sources: Vec<LogId> = self.logs.sources().map(|(id, _)| id).collect();
        let found = sources.into_iter().find(|id| self.logs.file(*id).is_some_and(|file| file.path() == path));
        found.unwrap_or_else(|| self.found(path))
    }

    /// The wildcard, which is the first log, finds a file.
    fn found(&mut self, path: &str) -> LogId {
        let wildcard = self.logs.sources().next().unwrap().0;
        let file = self.logs.handle_found(wildcard, path.to_string(), false).unwrap();
        self.rules.add_file(wildcard, file);
        file
    }

    /// Reads lines of `/log`.
    fn lines(&mut self, seconds: u64, text: &str) -> usize {
        let lines = Lines { position: self.position, place: None, bytes: text.as_bytes(), units: Units::Bytes };
        let log = self.file("/log");
        let file = self.logs.file_mut(log).unwrap();
        let consumed = self.rules.handle_lines(at(seconds), file, lines, &mut self.delivery);
        self.position += consumed as u64;
        consumed
    }

    /// Lets the time be so late. At an edge `unread` bytes wait in `/log`.
    fn time(&mut self, seconds: u64, unread: u64) {
        if self.rules.handle_timeout(at(seconds), &self.logs, &mut self.delivery) {
            let log = self.file("/log");
            self.rules.handle_end(self.logs.file(log).unwrap(), self.position + unread);
        }
    }

    /// What is counted of `/log` in blocks that are not over.
    fn counts(&mut self) -> Vec<BlockCount> {
        let log = self.file("/log");
        self.rules.open_counts(self.logs.file(log).unwrap())
    }

    /// The agent starts again at that time, and `/log` is read on from a position with these counts.
    fn restarted(seconds: u64, text: &str, counts: &[BlockCount]) -> Self {
        let mut bench = Self { rules: LogRules::default(), logs: Logs::default(), delivery: delivery(), position: 0 };
        bench.configure(seconds, text);
        let log = bench.file("/log");
        bench.rules.restore(at(seconds), bench.logs.file(log).unwrap(), counts, &mut bench.delivery);
        bench
    }

    /// Tags and text of the events since the last call.
    fn events(&mut self) -> Vec<String> {
        events(&mut self.delivery)
    }
}

const COUNT: &str = "file: /log\nmatch: x\nalert_count: tags=C seconds=10\n";
const ALL: &str = "file: /log\nmatch: x\nalert_all: tags=A\n";
/// Closed at 12:02.
const MORNING: &str = "file: /log\nmatch: x\nactive: 3;08:00-12:01,3;12:05-13:00\nalert_all: tags=A\n";

#[test]
fn blocks_stand_back_to_back_from_the_start_of_the_rule() {
    let mut bench = Bench::new(COUNT);
    for (seconds, lines, event) in [(3, 1, None), (9, 2, None), (10, 0, Some("C 3")), (19, 0, None), (20, 1, Some("C 0"))] {
        bench.time(seconds, 0);
        assert_eq!(bench.events(), event.into_iter().collect::<Vec<_>>(), "{seconds}");
        bench.lines(seconds, &"x\n".repeat(lines));
    }
    // The device slept: one block of those that passed counts, and the next ends where it would have.
    bench.time(57, 0);
    assert_eq!(bench.events(), ["C 1"]);
    assert_eq!(bench.rules.next_deadline(at(57)), Some(at(60).mono));
    bench.time(60, 0);
    assert_eq!(bench.events(), ["C 0"]);
}

#[test]
fn a_threshold_is_passed_by_more_lines_than_it_and_once_a_block() {
    let mut bench = Bench::new("file: /log\nmatch: x\nalert_n: tags=N threshold=2 seconds=10 message=M\n");
    for (seconds, lines, events) in [(1, 2, 0), (11, 3, 0), (21, 9, 1), (31, 0, 1), (41, 0, 0)] {
        bench.time(seconds, 0);
        assert_eq!(bench.events(), vec!["N M"; events], "{seconds}");
        bench.lines(seconds, &"x\nother\n".repeat(lines));
    }
}

#[test]
fn silence_is_no_match_in_a_block_but_not_while_lines_wait() {
    let mut bench = Bench::new(&format!("{ALL}file: /log\nmatch: x\nalert_inactive: tags=I seconds=10 message=M\n"));
    bench.lines(1, "x\n");
    bench.time(10, 0);
    assert_eq!(bench.events(), ["A x"]);
    bench.lines(11, "other\n");
    bench.time(20, 0);
    assert_eq!(bench.events(), ["I M"]);
    let consumed = bench.lines(20, &long_lines(TOO_MANY));
    assert!(consumed > 1000 * FEW && consumed < 1000 * TOO_MANY);
    bench.time(30, 0);
    bench.time(40, 0);
    assert!(!bench.events().contains(&"I M".to_string()));
}

#[test]
fn silence_is_not_told_of_while_nothing_is_read() {
    let mut bench = Bench::new(&format!("{ALL}file: /log\nmatch: y\nalert_inactive: tags=I seconds=10 message=M\n"));
    assert_eq!(bench.lines(1, &long_lines(FEW)), 1000 * FEW);
    bench.time(10, 0);
    assert!(!bench.events().contains(&"I M".to_string()));
    bench.time(20, 0);
    assert_eq!(bench.events(), ["I M"]);
}

#[test]
fn a_line_that_finds_no_room_is_left_for_later() {
    let mut bench = Bench::new(&(ALL.to_string() + &ALL.replace("tags=A", "tags=B") + &ALL.replace("tags=A", "tags=C")));
    let consumed = bench.lines(1, &long_lines(FEW));
    assert!(consumed > 0 && consumed < 1000 * FEW && consumed % 1000 == 0, "{consumed}");
    assert_eq!(bench.lines(1, "x\n"), 0);
    assert_eq!(bench.events().len(), 3 * consumed / 1000);
    assert_eq!(bench.lines(1, "x\n"), 2);
}

#[test]
fn any_number_of_rules_leaves_room_for_a_line() {
    let rules: String = (0..300).map(|n| ALL.replace("tags=A", &format!("tags=T{n}"))).collect();
    let mut bench = Bench::new(&rules);
    assert_eq!(bench.lines(1, "x\n"), 2);
    assert_eq!(bench.events().len(), 300);
}

#[test]
fn lines_written_before_the_edge_alert_however_late_they_are_read() {
    let mut bench = Bench::new(MORNING);
    bench.lines(100, "x 1\n");
    bench.time(120, 8);
    bench.lines(130, "x 2\nx 3\nx 4\n");
    bench.time(300, 0);
    bench.lines(301, "x 5\n");
    assert_eq!(bench.events(), ["A x 1", "A x 2", "A x 3", "A x 5"]);
}

#[test]
fn lines_of_the_closed_time_are_dropped_though_they_are_read_when_it_is_open_again() {
    let mut bench = Bench::new(MORNING);
    bench.time(120, 4);
    bench.time(300, 8);
    bench.lines(310, "x 1\nx 2\nx 3\n");
    assert_eq!(bench.events(), ["A x 1", "A x 3"]);
}

#[test]
fn the_next_edge_is_a_deadline() {
    let bench = Bench::new(MORNING);
    for (now, edge) in [(0, 120), (119, 120), (121, 300)] {
        assert_eq!(bench.rules.next_deadline(at(now)), Some(at(edge).mono), "{now}");
    }
}

#[test]
fn a_block_that_touches_the_closed_time_is_dropped() {
    let mut bench = Bench::new("file: /log\nmatch: x\nactive: 3;08:00-12:01,3;12:03-13:00\nalert_count: tags=C seconds=50\n");
    let mut events = Vec::new();
    for seconds in (0..=300).step_by(10) {
        bench.time(seconds, 0);
        events.extend(bench.events().into_iter().map(|event| (seconds, event)));
        bench.lines(seconds, "x\n");
    }
    // Closed from 120 to 180: the blocks that end at 150 and 200 touch that.
    assert_eq!(events, [50, 100, 250, 300].map(|seconds| (seconds, "C 5".to_string())));
}

#[test]
fn a_rule_that_stays_keeps_its_block_and_one_that_changed_begins_anew() {
    let mut bench = Bench::new(COUNT);
    bench.lines(1, "x\nx\n");
    let other = "file: /other\nmatch: x\nalert_all: tags=O\n";
    bench.configure(5, &format!("{COUNT}{}{other}", COUNT.replace("tags=C", "tags=D")));
    bench.lines(6, "x\n");
    bench.time(10, 0);
    assert_eq!(bench.events(), ["C 3"]);
    bench.time(15, 0);
    assert_eq!(bench.events(), ["D 1"]);
}

#[test]
fn a_rule_that_stays_keeps_the_edges_that_lie_ahead() {
    let mut bench = Bench::new(MORNING);
    bench.time(120, 4);
    bench.configure(130, &format!("{MORNING}{COUNT}"));
    bench.lines(131, "x 1\nx 2\n");
    assert_eq!(bench.events(), ["A x 1"]);
}

#[test]
fn files_of_a_wildcard_are_counted_apart() {
    let mut bench = Bench::new(&COUNT.replace("/log", "/*"));
    bench.found("/log");
    let other = bench.found("/other");
    bench.lines(1, "x\nx\n");
    bench.configure(5, &format!("{}{}", COUNT.replace("/log", "/*"), COUNT.replace("/log", "/*").replace("tags=C", "tags=D")));
    bench.time(10, 0);
    assert_eq!(bench.events(), ["C 2", "C 0"]);
    let wildcard = bench.logs.handle_gone(other, &mut bench.delivery).unwrap();
    bench.rules.remove_file(wildcard, other);
    bench.lines(11, "x\n");
    bench.time(20, 0);
    assert_eq!(bench.events(), ["C 1", "D 1"]);
}

const COUNTING: &str = "file: /log\nmatch: x\nalert_n: tags=N threshold=2 seconds=10 message=M\n\
                        file: /log\nmatch: x\nalert_inactive: tags=I seconds=10 message=M\n\
                        file: /log\nmatch: x\nalert_count: tags=C seconds=10\n";

#[test]
fn a_block_continues_after_a_restart_with_what_it_had_counted() {
    let mut bench = Bench::new(COUNTING);
    assert_eq!(bench.counts(), []);
    bench.lines(3, "x\nother\nx\n");
    let counts = bench.counts();
    assert_eq!(counts.iter().map(|count| (count.start, count.count)).collect::<Vec<_>>(), vec![(at(0).unix, 2); 3]);
    let mut bench = Bench::restarted(6, COUNTING, &counts);
    assert_eq!(bench.counts(), counts);
    assert_eq!(bench.rules.next_deadline(at(6)), Some(at(10).mono), "it ends when it would have");
    bench.lines(7, "x\n");
    bench.time(10, 0);
    assert_eq!((bench.events(), bench.counts()), (vec!["N M".into(), "C 3".into()], vec![]));
    bench.time(20, 0);
    assert_eq!(bench.events(), ["I M", "C 0"]);
}

#[test]
fn a_block_that_ended_while_the_agent_was_down_is_reported_at_once() {
    let mut bench = Bench::new(COUNTING);
    bench.lines(3, "x\nx\nx\n");
    let counts = bench.counts();
    let mut bench = Bench::restarted(10, COUNTING, &counts);
    assert_eq!((bench.events(), bench.counts()), (vec!["N M".into(), "C 3".into()], vec![]));
    bench.time(20, 0);
    assert_eq!(bench.events(), ["I M", "C 0"], "it counts in no other block");
}

#[test]
fn what_a_rule_counted_that_has_changed_since_is_forgotten() {
    let mut bench = Bench::new(COUNTING);
    bench.lines(3, "x\n");
    let counts = bench.counts();
    let changed = [
        COUNTING.replace("match: x", "match: .x|x"),
        COUNTING.replace("seconds=10", "seconds=20"),
        COUNTING.replace("match: x", "match: x\nignore: y"),
        ALL.to_string(),
    ];
    for text in changed {
        assert_eq!(Bench::restarted(6, &text, &counts).counts(), [], "{text}");
    }
    // Neither the order of rules nor others matter.
    let (first, others) = COUNTING.split_once("message=M\n").unwrap();
    let turned = format!("{ALL}{others}{first}message=M\n");
    let mut after = Bench::restarted(6, &turned, &counts).counts();
    let mut before = counts;
    before.sort_by_key(|count| count.rule);
    after.sort_by_key(|count| count.rule);
    assert_eq!(before, after);
}

#[test]
fn a_clock_that_was_set_back_does_not_prolong_a_block() {
    let counts = {
        let mut bench = Bench::new(COUNT);
        bench.lines(3, "x\n");
        bench.counts()
    };
    let later: Vec<BlockCount> = counts.iter().map(|count| BlockCount { start: count.start + 1_000_000, ..*count }).collect();
    let bench = Bench::restarted(6, COUNT, &later);
    assert_eq!(bench.rules.next_deadline(at(6)), Some(at(16).mono));
}

#[test]
fn a_line_that_takes_several_turns_to_search_makes_its_events_once() {
    let heavy = |first: &str| format!("file: /log\nmatch: {first}.{{200}}[0-9]\nmatch: x.{{150}}.*e\nalert_all: tags={first}\n");
    let mut bench = Bench::new(&(heavy("q") + &heavy("z") + &COUNT.replace("match: x", "match: (x|y)o")));
    let lines = format!("xo\nxoxo {}\nlast xo\n", "q line ".repeat(9000));
    let (mut read, mut turns) = (0, 0);
    while read < lines.len() {
        read += bench.lines(1, &lines[read..]);
        bench.rules.begin_turn();
        turns += 1;
    }
    assert!(turns > 2, "{turns}");
    assert_eq!(bench.events().len(), 2, "one for each rule, of the long line");
    bench.time(10, 0);
    assert_eq!(bench.events(), ["C 3"]);
}

#[test]
fn a_turn_that_is_over_searches_nothing_more() {
    let mut bench = Bench::new("file: /log\nmatch: (a|b).{200}[0-9]\nalert_all: tags=A\n");
    let long = "a line ".repeat(9000) + "\n";
    assert_eq!(bench.lines(1, &long), long.len(), "the search that began is brought to its end");
    assert_eq!(bench.lines(1, "a\n"), 0);
    bench.rules.begin_turn();
    assert_eq!(bench.lines(1, "a\n"), 2);
}

#[test]
fn alerts_of_blocks_tell_of_their_conditions_by_their_terms() {
    let text = |alert: &str| format!("file: /log\nmatch: x\n{alert} seconds=10 for=2 repeat=0 message=M\ncleared: C\n");
    for (alert, made) in [("alert_n: tags=N threshold=1", "--M-C---"), ("alert_inactive: tags=N", "------MC")] {
        let mut bench = Bench::new(&text(alert));
        let mut found = String::new();
        for (block, lines) in (0..).zip([0, 2, 2, 2, 1, 0, 0, 1]) {
            bench.lines(block * 10 + 1, &"x\n".repeat(lines));
            bench.time(block * 10 + 10, 0);
            found += events(&mut bench.delivery).first().map_or("-", |event| &event[2..]);
        }
        assert_eq!(found, made, "{alert}");
    }
}

#[test]
fn the_condition_of_a_file_ends_with_its_times_and_that_of_a_wildcard_when_it_has_files() {
    let text = |source: &str, active: &str| {
        format!("file: {source}\nmatch: x\n{active}alert_inactive: tags=I seconds=30 repeat=0 message=M\ncleared: C\n")
    };
    let mut bench = Bench::new(&text("/log", "active: 3;00:00-12:01\n"));
    for (seconds, made) in [(30, "I M"), (60, ""), (119, ""), (120, "I C"), (150, "")] {
        bench.time(seconds, 0);
        assert_eq!(events(&mut bench.delivery).join(","), made, "{seconds}");
    }
    let mut bench = Bench::new(&text("/logs/*", ""));
    for (seconds, made) in [(30, "I M"), (60, ""), (90, "I M,I C"), (120, ""), (150, "I C")] {
        if seconds == 90 {
            bench.found("/logs/a");
        }
        if seconds == 150 {
            let wildcard = bench.logs.sources().next().unwrap().0;
            let file = bench.file("/logs/a");
            bench.rules.remove_file(wildcard, file);
            let keys = bench.rules.condition_keys(&bench.logs);
            bench.delivery.close_other_conditions(at(seconds), &keys);
        } else {
            bench.time(seconds, 0);
        }
        assert_eq!(events(&mut bench.delivery).join(","), made, "{seconds}");
    }
}

#[test]
fn lines_that_no_literal_excludes_are_found_in_any_form() {
    let rule = |pattern: &str| format!("file: /log\nmatch: {pattern}\nignore: ^[0-9]\nalert_all: tags={}\n", pattern.len());
    let mut bench = Bench::new(&(rule("[0-9]{3}$") + &rule("[a-z]=[a-z]")));
    bench.lines(1, "a 123\r\nb 12\n\u{fc} 456\nkey=x 1\n7 123\n\n\u{fc}=y 78\nx=y 999");
    assert_eq!(bench.events(), ["9 a 123", "9 \u{fc} 456", "11 key=x 1", "9 x=y 999", "11 x=y 999"]);
}

#[test]
fn many_patterns_without_literals_take_several_turns_and_each_comes_further() {
    let pattern = |n: usize| format!("[a-z]{{{}}}[0-9]{{{}}}$", 1 + n % 30, 1 + n / 30);
    let rules = (0..600).map(|n| format!("file: /log\nmatch: {}\nalert_all: tags=T{n}\n", pattern(n)));
    let mut bench = Bench::new(&rules.collect::<String>());
    let lines = format!("{}{}\nx1\n", "no line of these is found\n".repeat(2000), "a long line ".repeat(1500));
    let (mut read, mut turns) = (0, 0);
    while read < lines.len() {
        let consumed = bench.lines(1, &lines[read..]);
        assert!(consumed > 0 || bench.rules.is_turn_over());
        (read, turns) = (read + consumed, turns + 1);
        bench.rules.begin_turn();
    }
    assert!((3..20).contains(&turns), "{turns}");
    assert_eq!(bench.events(), ["T0 x1"]);
}
