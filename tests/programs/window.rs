//! The times of `active:`: lines outside of them make no event, not even later.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{pause, wait_for, Program, Site, SPEED};
use std::time::Duration;

/// Wednesday 2026-11-25 00:00:00 UTC, the time zone of tests.
const WEDNESDAY: u64 = 1_795_564_800;

/// A server, and an agent with a clock that starts at a given time of day.
struct Scene {
    site: Site,
    _server: Program,
    _agent: Program,
}

/// Seconds of a day.
fn at(hour: u64, minute: u64, second: u64) -> u64 {
    hour * 3600 + minute * 60 + second
}

impl Scene {
    /// The rules follow the file `log`. A further rule, with the tags `MARK`, makes an event of every mark in it at any time.
    fn new(name: &str, time_of_day: u64, rules: impl FnOnce(&str) -> String) -> Self {
        let site = Site::new(&format!("window-{name}"));
        site.append("log", "an old line\n");
        let log = site.file("log");
        site.host("h", &format!("{}file: {log}\nmatch: mark\nalert_all: tags=MARK\n", rules(&log)));
        let server = site.server();
        let mut command = site.command("aa436");
        command.env("PROJECT436_TEST_CLOCK", format!("{SPEED}@{}", WEDNESDAY + time_of_day));
        command.args(["-n", "h", "-l", "agent.log", &site.port.to_string()]);
        let agent = Program::start(command, site.path("agent.log"));
        site.wait_for_configuration("h", 1);
        Self { site, _server: server, _agent: agent }
    }

    /// Appends a line and waits until it has been read. Returns the agent's time then, in seconds of the day.
    fn line(&self, text: &str) -> u64 {
        self.site.append("log", format!("line {text}\nmark of {text}\n"));
        self.site.wait_for_text(&format!("mark of {text}")).unix - WEDNESDAY
    }

    /// Waits until the agent's clock shows that time or later.
    fn wait_until(&self, time_of_day: u64) {
        let mut number = 0;
        wait_for(&format!("second {time_of_day} of the day"), || {
            number += 1;
            self.site.append("log", format!("mark at {time_of_day}, {number}\n"));
            // A mark in each second of the agent's time.
            pause(Duration::from_millis(100));
            let last = self.site.events().into_iter().filter(|event| event.tags == "MARK").map(|event| event.unix).max()?;
            (last >= WEDNESDAY + time_of_day).then_some(())
        });
    }

    /// The times of day and texts of the events with these tags.
    fn timed(&self, tags: &str) -> Vec<(u64, String)> {
        let events = self.site.events().into_iter().filter(|event| event.tags == tags);
        events.map(|event| (event.unix - WEDNESDAY, event.text)).collect()
    }
}

#[test]
fn lines_in_a_closed_window_never_make_an_event() {
    let scene = Scene::new("lines", at(16, 59, 30), |log| {
        format!("file: {log}\nmatch: line\nactive: 3;09:00-17:00,3;17:03-18:00\nalert_all: tags=T\n")
    });
    let before = scene.line("before");
    assert!(before < at(17, 1, 0), "the last minute belongs to it: {before}");
    scene.wait_until(at(17, 1, 0));
    let during = scene.line("during");
    assert!((at(17, 1, 0)..at(17, 3, 0)).contains(&during), "{during}");
    assert_eq!(scene.site.texts("T"), ["line before"]);
    scene.wait_until(at(17, 3, 0));
    scene.line("after");
    scene.site.wait_for_count("T", 2);
    scene.line("after all");
    assert_eq!(scene.site.texts("T"), ["line before", "line after", "line after all"]);
}

#[test]
fn a_window_counts_days_from_sunday() {
    let scene = Scene::new("days", at(12, 0, 0), |log| {
        let rule = |days: &str| format!("file: {log}\nmatch: line\nactive: {days};00:00-23:59\nalert_all: tags=D{days}\n");
        rule("3") + &rule("2") + &rule("012456")
    });
    scene.line("on Wednesday");
    scene.site.wait_for_count("D3", 1);
    assert_eq!((scene.site.texts("D2").len(), scene.site.texts("D012456").len()), (0, 0));
}

#[test]
fn a_window_past_midnight_belongs_to_the_day_on_which_it_begins() {
    let scene = Scene::new("night", at(23, 59, 20), |log| {
        format!(
            "file: {log}\nmatch: line\nactive: 3;23:00-00:01\nalert_all: tags=NIGHT\n\
             file: {log}\nmatch: line\nactive: 4;23:00-00:01\nalert_all: tags=NEXT\n"
        )
    });
    assert!(scene.line("before midnight") < at(24, 0, 0));
    scene.wait_until(at(24, 0, 0));
    let time = scene.line("after midnight");
    assert!((at(24, 0, 0)..at(24, 2, 0)).contains(&time), "{time}");
    scene.wait_until(at(24, 2, 0));
    scene.line("in the night");
    assert_eq!(scene.site.texts("NIGHT"), ["line before midnight", "line after midnight"]);
    assert_eq!(scene.site.texts("NEXT"), [""; 0]);
}

#[test]
fn a_block_that_touches_the_closed_time_neither_alerts_nor_counts() {
    const BLOCK: u64 = 15;
    let (closed, open) = (at(17, 1, 0), at(17, 2, 0));
    let scene = Scene::new("blocks", at(17, 0, 0), |log| {
        let group = |active: &str, alert: &str| format!("file: {log}\nmatch: line\n{active}{alert} seconds={BLOCK}");
        let active = "active: 3;09:00-17:00,3;17:02-18:00\n";
        group("", "alert_count: tags=ALWAYS")
            + "\n"
            + &group(active, "alert_n: tags=MANY threshold=99")
            + " message=Many\n"
            + &group(active, "alert_inactive: tags=NONE")
            + " message=None\n"
            + &group(active, "alert_count: tags=COUNT")
            + "\n"
    });
    // No lines before, many while the window is closed, few after.
    scene.wait_until(closed);
    let many: String = (0..200).map(|n| format!("line {n}\n")).collect();
    scene.site.append("log", many);
    assert!((closed..open).contains(&scene.line("within")));
    scene.wait_until(open + BLOCK);
    scene.line("a");
    let enough = |(_, count): &(u64, String)| count == "1";
    wait_for("a block after it", || scene.timed("COUNT").iter().any(enough).then_some(()));
    scene.wait_until(scene.timed("COUNT").last().unwrap().0 + 2 * BLOCK);

    let whole = |time: u64| time < closed || time - BLOCK >= open;
    for tags in ["COUNT", "MANY", "NONE"] {
        assert!(scene.timed(tags).iter().all(|(time, _)| whole(*time)), "{tags}: {:?}", scene.timed(tags));
    }
    let counts = scene.timed("COUNT");
    let always: Vec<_> = scene.timed("ALWAYS").into_iter().filter(|(time, _)| *time <= counts.last().unwrap().0).collect();
    // Blocks passed while the window was closed, and had lines.
    assert!(always.iter().filter(|(time, _)| (closed..open).contains(time)).count() >= 2, "{always:?}");
    assert!(always.iter().any(|(time, count)| !whole(*time) && count.parse::<u64>().unwrap() >= 200), "{always:?}");
    let expected: Vec<_> = always.into_iter().filter(|(time, _)| whole(*time)).collect();
    assert_eq!(counts, expected);
    assert!(counts.iter().any(|(time, _)| *time < closed));
    assert_eq!(scene.site.texts("MANY"), [""; 0]);
    let none = scene.timed("NONE").into_iter().filter(|(time, _)| *time <= counts.last().unwrap().0);
    let quiet = counts.iter().filter(|(_, count)| count == "0").map(|(time, _)| (*time, "None".to_string()));
    assert_eq!(none.collect::<Vec<_>>(), quiet.collect::<Vec<_>>());
}
