//! Whatever a configuration asks for, the agent goes on, keeps small and ends when it is told to.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{wait_for, Program, Site};
use crate::relay::Relay;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// SIGTERM as the system reports a set of signals: the bit of its number, counted from 1.
const TERM: u64 = 1 << 14;

/// A server and an agent that follows `normal` with the tags `N`, besides what the rules ask for.
struct Scene {
    site: Site,
    _server: Program,
    agent: Program,
}

impl Scene {
    fn new(name: &str, options: &[&str], rules: impl FnOnce(&Site) -> String) -> Self {
        let site = Site::new(&format!("bounds-{name}"));
        site.append("normal", "");
        let rules = format!("file: {}\nmatch: line\nalert_all: tags=N\n", site.file("normal")) + &rules(&site);
        site.write("ax436.conf", &site.server_file("127.255.255.255", "event_stream_size: 100000000\n"));
        site.host("h", &rules);
        let (server, agent) = (site.server(), site.agent("h", options));
        site.wait_for_configuration("h", 1);
        Self { site, _server: server, agent }
    }

    /// Writes a line to the normal log. Returns how long it takes to be in the stream.
    fn delay(&self) -> Duration {
        let before = self.site.texts("N").len();
        let start = Instant::now();
        self.site.append("normal", "line\n");
        self.site.wait_for_count("N", before + 1);
        start.elapsed()
    }

    /// The event of the state of that path.
    fn wait_for_state(&self, path: &str) -> String {
        self.site.wait_for_text(&format!("Cannot read {path}: ")).text
    }
}

/// A rule that makes an event of each line of a log.
fn rule(path: &str, tags: &str) -> String {
    format!("file: {path}\nmatch: .\nalert_all: tags={tags}\n")
}

/// Ends the agent by SIGTERM, which it must notice within a second. It waits up to 3 s more for a server that it has.
fn assert_ends_at_once(agent: Program) {
    assert_ends_within(agent, Duration::from_secs(4));
}

fn assert_ends_within(agent: Program, most: Duration) {
    let start = Instant::now();
    assert_eq!(agent.terminate(), 0);
    assert!(start.elapsed() < most, "it took {:?}", start.elapsed());
}

#[test]
fn a_wildcard_over_links_that_lead_back_takes_neither_time_nor_memory_from_others() {
    let scene = Scene::new("back", &[], |site| {
        fs::create_dir(site.path("many")).unwrap();
        (0..30).for_each(|link| symlink(".", site.path(&format!("many/{link}"))).unwrap());
        rule(&site.file(&format!("many{}/log", "/*".repeat(8))), "T")
    });
    let before = scene.agent.status("VmHWM");
    for _ in 0..10 {
        assert!(scene.delay() < Duration::from_secs(2));
    }
    assert!(scene.site.wait_for_text("Cannot read").text.ends_with("/log: more matches than can be looked at"));
    assert!(scene.agent.status("VmHWM") < before + 8192);
    assert_ends_at_once(scene.agent);
}

#[test]
fn what_is_no_regular_file_is_named_and_never_said_not_to_exist() {
    let odd = |site: &Site| [site.file("folder"), site.file("socket"), "/dev/null".into(), "/proc/version".into(), site.file("pipe")];
    let mut bound = None;
    let scene = Scene::new("odd", &[], |site| {
        fs::create_dir(site.path("folder")).unwrap();
        bound = Some(UnixListener::bind(site.path("socket")).unwrap());
        assert!(Command::new("mkfifo").arg(site.path("pipe")).status().unwrap().success());
        odd(site).iter().map(|path| rule(path, "T")).collect::<String>() + &rule("/proc/[0-9]*/cmdline", "T")
    });
    let whats = ["directory", "socket", "character device", "file of proc", "named pipe"];
    for (path, what) in odd(&scene.site).iter().zip(whats) {
        assert_eq!(scene.wait_for_state(path), format!("Cannot read {path}: it is a {what}, not a regular file"));
    }
    scene.wait_for_state("/proc/[0-9]*/cmdline");
    scene.delay();
    assert_eq!(scene.site.texts("T"), [""; 0]);
    let wrong = scene.site.texts("SYSTEM").into_iter().filter(|text| text.contains("does not exist yet"));
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
    drop(bound);
}

#[test]
fn of_too_many_files_those_changed_last_are_followed_and_nothing_is_read_twice() {
    let old = |number: u64| format!("logs/access-{number}.log");
    let scene = Scene::new("newest", &[], |site| {
        fs::create_dir(site.path("logs")).unwrap();
        for number in 100..400 {
            site.append(&old(number), "an old line\n");
            let file = fs::File::options().append(true).open(site.path(&old(number))).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + number)).unwrap();
        }
        rule(&site.file("logs/access-*.log"), "T")
    });
    assert!(scene.wait_for_state(&scene.site.file("logs/access-*.log")).ends_with("those changed last are followed"));
    scene.site.append("logs/access-900.log", "today\n");
    scene.site.wait_for_count("T", 1);
    // The first one found no place at the start, and was not read.
    scene.site.append(&old(100), "again\n");
    scene.site.wait_for_count("T", 2);
    // This one has given up its place.
    let places = || scene.agent.open_files().into_iter().filter(|path| path.starts_with(scene.site.path("logs"))).collect::<Vec<_>>();
    let gave_up = (100..400).map(old).rfind(|name| !places().contains(&scene.site.path(name))).unwrap();
    scene.site.append(&gave_up, "once more\n");
    scene.site.wait_for_count("T", 3);
    assert_eq!(scene.site.texts("T"), ["today", "again", "once more"]);
    assert!(places().len() <= 256);
}

#[test]
fn a_deleted_file_of_a_wildcard_leaves_its_place_to_another() {
    let scene = Scene::new("places", &[], |site| {
        fs::create_dir(site.path("logs")).unwrap();
        (0..256).for_each(|number| site.append(&format!("logs/{number}.log"), "an old line\n"));
        rule(&site.file("logs/*.log"), "T")
    });
    scene.delay();
    fs::remove_file(scene.site.path("logs/7.log")).unwrap();
    scene.site.append("logs/new.log", "new\n");
    let start = Instant::now();
    wait_for("the new file", || (scene.site.texts("T") == ["new"]).then_some(()));
    assert!(start.elapsed() < Duration::from_secs(4), "it took {:?}", start.elapsed());
}

/// More lines of 100 bytes than an agent lets wait.
const MANY: usize = 2000;

/// A busy log has so much to say that the server, which is far, takes long for it. Returns how many of its lines are in the stream between
/// the time when the quiet log `quiet` has one and the time when that is there.
fn busy_lines_before_a_quiet_one(name: &str, rules: impl FnOnce(&Site) -> String) -> usize {
    let site = Site::new(&format!("bounds-{name}"));
    ["busy", "quiet"].iter().for_each(|log| site.append(&format!("turn.{log}"), ""));
    site.write("ax436.conf", &site.server_file("127.255.255.255", "event_stream_size: 100000000\n"));
    site.host("h", &rules(&site));
    let _server = site.server();
    let mut relay = Relay::new(&site);
    let _agent = relay.agent(&site, "h", &[]);
    relay.until("the logs to be followed", || (site.texts("SYSTEM").iter().any(|text| text.starts_with("Following"))).then_some(()));
    relay.idle(Duration::from_secs(1));
    site.append("turn.busy", (0..20_000).map(|line| format!("busy {line:0100}\n")).collect::<String>());
    let count = |word: &str| site.lines().iter().filter(|line| line.contains(word)).count();
    relay.until("the burst to begin", || (count("%%busy ") >= 500).then_some(()));
    let before = count("%%busy ");
    site.append("turn.quiet", "quiet\n");
    relay.until("the quiet line", || (count("%%quiet") > 0).then_some(()));
    count("%%busy ") - before
}

#[test]
fn a_quiet_log_does_not_wait_behind_a_busy_one() {
    let lines = busy_lines_before_a_quiet_one("turns", |site| rule(&site.file("turn.busy"), "B") + &rule(&site.file("turn.quiet"), "Q"));
    assert!(lines <= MANY, "{lines} lines came first");
}

#[test]
fn a_quiet_file_of_a_wildcard_does_not_wait_behind_a_busy_one() {
    let lines = busy_lines_before_a_quiet_one("wildcard-turns", |site| rule(&site.file("turn.*"), "T"));
    assert!(lines <= MANY, "{lines} lines came first");
}

#[test]
fn a_quiet_log_does_not_wait_behind_a_command_that_prints_without_end() {
    let lines = busy_lines_before_a_quiet_one("command-turns", |site| {
        rule(&format!("|tail -n 0 -f {}", site.file("turn.busy")), "B") + &rule(&site.file("turn.quiet"), "Q")
    });
    assert!(lines <= MANY, "{lines} lines came first");
}

#[test]
fn processes_with_long_arguments_are_counted_in_little_memory() {
    let word = "x".repeat(120_000);
    let mut daemons: Vec<_> = (0..12)
        .map(|_| {
            let mut command = Command::new("sh");
            command.args(["-c", "read line", "long-436"]).args(vec![&word; 14]).stdin(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let rules = "process: long-436 x\nalert_running: tags=LONG min=99 max=99 message=Number of long ones\n".to_string();
    let scene = Scene::new("arguments", &[], |_| rules);
    let before = scene.agent.status("VmHWM");
    assert_eq!(scene.site.wait_for_count("LONG", 1), ["Number of long ones [12]"]);
    let after = scene.agent.status("VmHWM");
    assert!(after < before + 6 * 1024, "{before} KiB, then {after} KiB");
    for daemon in &mut daemons {
        drop(daemon.stdin.take());
        daemon.wait().unwrap();
    }
}

#[test]
fn a_signal_ends_the_agent_soon_whatever_it_does() {
    let site = Site::new("bounds-signal");
    let command = |program: &str, arguments: &[&str]| {
        let mut command = site.command(program);
        // At the speed of real life.
        command.env("PROJECT436_TEST_CLOCK", "1").args(arguments);
        Program::start(command, site.path(&format!("{program}.log")))
    };
    let port = site.port.to_string();
    let agent = |more: &[&str]| command("aa436", &[&["-n", "h", "-l", "aa436.log"], more, &[&*port]].concat());
    // It waits for its port.
    let taken = UdpSocket::bind(("0.0.0.0", site.port)).unwrap();
    let waiting = agent(&[]);
    wait_for("signals to be caught", || (waiting.caught_signals() & TERM != 0).then_some(()));
    assert_ends_within(waiting, Duration::from_secs(1));
    drop(taken);
    // It looks for its server, whose name nobody knows.
    let searching = agent(&["-s", "no-such-host.invalid"]);
    wait_for("the start", || searching.log_text().contains("Agent started").then_some(()));
    assert_ends_within(searching, Duration::from_secs(1));
    fs::remove_file(site.path("aa436.log")).unwrap();
    // Its server is gone, a log has more than it can send, another has no matching line, and commands hang.
    site.append("full", "");
    site.append("other", "");
    let hanging: String =
        (0..6).map(|n| format!("run: command=sleep {} extract=(x)\nalert_metric: tags=V match=1,x metric=1\n", 1000 + n)).collect();
    let other = format!("file: {}\nmatch: (a|b)+c nothing\nalert_all: tags=O\n", site.file("other"));
    site.host("h", &(rule(&site.file("full"), "F") + &other + &hanging));
    let server = command("ax436", &["-l", "ax436.log", "ax436.conf"]);
    let busy = agent(&[]);
    site.wait_for_configuration("h", 1);
    site.wait_for_text("Following");
    server.kill();
    site.append("full", "a line of some length\n".repeat(500_000));
    site.append("other", "abababababababababab\n".repeat(500_000));
    crate::harness::pause(Duration::from_millis(300)); // It is in the midst of it then.
    assert_ends_at_once(busy);
}
