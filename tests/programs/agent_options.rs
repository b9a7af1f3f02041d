//! The agent's command line: what it takes, what it refuses, and how the program starts and ends.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{binary, free_port, in_one_wording, lines_of, receive, send_signal, skip, wait_for, Program, Site, IN_USE, TIMEOUT};
use std::fs;
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};

/// Runs the agent to its end.
fn run(site: &Site, arguments: &[&str]) -> Output {
    site.command("aa436").args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn standard_output(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn standard_error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Starts an agent with all of its arguments given, its standard error in the file `stderr`.
fn start(site: &Site, arguments: &[&str]) -> Program {
    let mut command = site.command("aa436");
    command.args(arguments).stderr(fs::File::create(site.path("stderr")).unwrap());
    Program::start(command, site.path("stderr"))
}

/// Whether a process of that id runs the agent.
fn is_agent(id: u32) -> bool {
    fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.split(|b| *b == 0).next().unwrap().ends_with(b"aa436"))
}

#[test]
fn help_names_every_option() {
    let site = Site::new("options-help");
    for option in ["-h", "--help"] {
        let output = run(&site, &[option]);
        assert_eq!(output.status.code(), Some(0));
        let text = standard_output(&output);
        let options = [
            "Usage: aa436 [options] PORT",
            "-s",
            "-n",
            "-k",
            "-x",
            "-a",
            "-f",
            "-u",
            "-l",
            "--log-size",
            "--log-keep",
            "-d",
            "-p",
            "-h",
            "-V",
        ];
        options.iter().for_each(|option| assert!(text.contains(option), "{option} in {text}"));
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn the_version_is_that_of_the_package_with_commit_and_target() {
    let site = Site::new("options-version");
    let output = run(&site, &["-V"]);
    assert_eq!(output.status.code(), Some(0));
    assert_version("aa436", &standard_output(&output));
}

/// `NAME NUMBER (COMMIT, TARGET)`: programs for release name the commit, unless their sources do not know it.
pub(super) fn assert_version(name: &str, said: &str) {
    let rest = said.strip_prefix(&format!("{name} {} (", env!("CARGO_PKG_VERSION"))).unwrap_or_else(|| panic!("{said}"));
    let rest = rest.strip_suffix(")\n").unwrap_or_else(|| panic!("{said}"));
    let (commit, target) = rest.split_once(", ").map_or((None, rest), |(commit, target)| (Some(commit), target));
    assert!(target.split('-').count() >= 3, "a target is three words or more: {said}");
    let is_hash = |commit: &str| commit.len() == 12 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(commit.is_none_or(|commit| is_hash(commit.trim_end_matches('+'))), "{said}");
}

#[test]
fn a_wrong_command_line_is_an_error_with_status_2() {
    let site = Site::new("options-usage");
    for (arguments, reason) in [
        (&[][..], "aa436: expected one argument, the UDP port; aa436 -h tells more\n"),
        (&["1", "2"], "aa436: expected one argument, the UDP port; aa436 -h tells more\n"),
        (&["0"], "aa436: \"0\" is not a port from 1 to 65534\n"),
        (&["65535"], "aa436: \"65535\" is not a port from 1 to 65534\n"),
        (&["x"], "aa436: \"x\" is not a port from 1 to 65534\n"),
        (&["-q", "436"], "aa436: Unrecognized option: 'q'"),
        (&["-x", "-a", "df", "436"], "aa436: -x refuses all commands and -a allows some: only one of them can be given\n"),
        (&["-a", "(", "436"], "aa436: -a: "),
        (&["-f", "/nowhere/at/all", "436"], "aa436: -f /nowhere/at/all: No such file or directory\n"),
        (&["-u", "no-such-user", "436"], "aa436: -u no-such-user: there is no such user\n"),
        (&["-n"], "aa436: Argument to option 'n' missing"),
        (&["-s", "", "436"], "aa436: -s: the server's name or address is missing\n"),
        (&["-s", "127.0.0.1:x", "436"], "aa436: -s: \"x\" is not a port from 1 to 65534\n"),
        (&["-s", "127.0.0.1:65535", "436"], "aa436: -s: \"65535\" is not a port from 1 to 65534\n"),
        (&["--log-size", "x", "436"], "aa436: --log-size: \"x\" is not a number\n"),
        (&["--log-keep", "4000000000", "436"], "aa436: --log-keep: 4000000000 is above 1000\n"),
        (&["--log-keep", "-1", "436"], "aa436: --log-keep: \"-1\" is not a number\n"),
    ] {
        let output = run(&site, arguments);
        let text = standard_error(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.starts_with(reason), "{arguments:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(output.stdout.is_empty());
    }
    assert!(!site.path("aa436.log").exists());
}

#[test]
fn a_name_that_cannot_be_a_host_name_is_refused() {
    let site = Site::new("options-name");
    for name in ["", "two words", "a%%b", "a%", "a\nb", "a\u{1b}b", &"x".repeat(256)] {
        let output = run(&site, &["-n", name, "436"]);
        assert_eq!(output.status.code(), Some(2), "{name:?}");
        assert!(standard_error(&output).contains("cannot be a host name here"), "{name:?}");
    }
}

#[test]
fn a_port_that_is_taken_ends_the_start_with_status_1() {
    let site = Site::new("options-taken");
    let _taken = UdpSocket::bind(("0.0.0.0", site.port)).unwrap();
    let output = run(&site, &[&site.port.to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("aa436: cannot listen on UDP port {}: {IN_USE}", site.port);
    assert_eq!(in_one_wording(&standard_error(&output)), expected);
}

#[test]
fn an_agent_takes_its_port_as_soon_as_another_has_let_go_of_it() {
    let site = Site::new("options-wait");
    let taken = UdpSocket::bind(("0.0.0.0", site.port)).unwrap();
    let agent = site.agent("h", &[]);
    // It asks for the port again and again.
    crate::harness::pause(std::time::Duration::from_millis(200));
    drop(taken);
    wait_for("the start", || agent.log_text().contains("Agent started").then_some(()));
    assert_eq!(agent.terminate(), 0);
}

#[test]
fn a_signal_ends_the_agent_with_status_0() {
    let site = Site::new("options-signal");
    for signal in ["TERM", "INT"] {
        let agent = site.agent("h", &[]);
        wait_for("the start", || agent.log_text().contains("Agent started").then_some(()));
        agent.signal(signal);
        assert_eq!(agent.terminate(), 0, "{signal}");
        let log = fs::read_to_string(site.path("h.agent.log")).unwrap();
        assert!(log.ends_with("ended by a signal\n"), "{log}");
        fs::remove_file(site.path("h.agent.log")).unwrap();
    }
}

#[test]
fn the_log_goes_to_its_own_file_unless_told_otherwise() {
    let site = Site::new("options-log");
    let port = site.port.to_string();
    let agent = start(&site, &["-n", "h", &port]);
    wait_for("the log", || lines_of(&site.path("aa436.log")).iter().any(|line| line.contains("Agent started")).then_some(()));
    assert_eq!(agent.terminate(), 0);
    assert_eq!(fs::read_to_string(site.path("stderr")).unwrap(), "");
    fs::remove_file(site.path("aa436.log")).unwrap();

    let agent = start(&site, &["-n", "h", "-l", "-", &port]);
    wait_for("standard error", || agent.log_text().contains("Agent started").then_some(()));
    assert_eq!(agent.terminate(), 0);
    let expected = format!(" aa436 {} on port {port}, host h", env!("CARGO_PKG_VERSION"));
    assert!(fs::read_to_string(site.path("stderr")).unwrap().lines().next().unwrap().ends_with(&expected));
    assert!(!site.path("aa436.log").exists());
}

#[test]
fn a_log_rolls_at_its_size_and_keeps_so_many_files() {
    let site = Site::new("options-roll");
    site.host("h", &format!("file: {}\nmatch: x\nalert_all: tags=T\n", site.file("log")));
    let (server, agent) = (site.server(), site.agent("h", &["--log-size", "200", "--log-keep", "2"]));
    let log = |number: usize| site.path(&if number == 0 { "h.agent.log".into() } else { format!("h.agent.log.{number}") });
    for round in 1..=4 {
        site.wait_for_configuration("h", round);
        site.host("h", &format!("file: {}\nmatch: x{round}\nalert_all: tags=T\n", site.file("log")));
    }
    site.wait_for_configuration("h", 5);
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
    assert!((0..=2).all(|number| fs::metadata(log(number)).unwrap().len() <= 200));
    assert!(!log(3).exists());
    let lines = lines_of(&log(0));
    assert!(lines.last().unwrap().ends_with("ended by a signal"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("Agent started")), "the oldest went: {lines:?}");
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let site = Site::new("options-unwritable");
    site.append("app", "");
    site.host("h", &format!("file: {}\nmatch: x\nalert_all: tags=T\n", site.file("app")));
    let server = site.server();
    let agent = start(&site, &["-n", "h", "-l", "missing/folder/log", &site.port.to_string()]);
    site.wait_for_configuration("h", 1);
    site.append("app", "x marks it\n");
    site.wait_for_text("x marks it");
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
    let complaint = "cannot write the log missing/folder/log: No such file or directory\n";
    assert_eq!(fs::read_to_string(site.path("stderr")).unwrap(), complaint, "once");
}

#[test]
fn a_file_of_positions_that_cannot_be_written_makes_an_event_and_another_when_it_can() {
    let site = Site::new("options-positions");
    site.append("app", "");
    site.host("h", &format!("file: {}\nmatch: x\nalert_all: tags=T\n", site.file("app")));
    let _server = site.server();
    let _agent = site.agent("h", &["-S", "missing/positions"]);
    let failed = site.wait_for_text("Cannot write").text;
    assert_eq!(failed, "Cannot write missing/positions: No such file or directory");
    fs::create_dir(site.path("missing")).unwrap();
    site.append("app", "x marks it\n");
    assert_eq!(site.wait_for_text("Can write").text, "Can write missing/positions again");
    assert_eq!(site.texts("SYSTEM").iter().filter(|text| text.contains("missing/positions")).count(), 2);
}

#[test]
fn in_the_background_the_pid_file_names_the_agent_until_it_ends() {
    let site = Site::new("options-daemon");
    site.append("app", "");
    site.host("h", &format!("file: {}\nmatch: x\nalert_all: tags=T\n", site.file("app")));
    let _server = site.server();
    let output = run(&site, &["-d", "-p", "pid", "-n", "h", "-l", "log", &site.port.to_string()]);
    assert_eq!((output.status.code(), standard_error(&output)), (Some(0), String::new()));
    let id: u32 = wait_for("the pid file", || fs::read_to_string(site.path("pid")).ok()?.strip_suffix('\n')?.parse().ok());
    assert!(is_agent(id), "{id}");
    // The agent is ended even if something fails from here on.
    let outcome = std::panic::catch_unwind(|| {
        site.wait_for_configuration("h", 1);
        site.append("app", "x marks it\n");
        site.wait_for_text("x marks it");
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        assert_eq!(fields[4], "0", "no terminal: {stat}");
        assert_ne!(fields[3].parse::<u32>().unwrap(), std::process::id(), "a session of its own: {stat}");
    });
    assert!(send_signal("TERM", &id.to_string()));
    wait_for("the end of the agent", || (!is_agent(id)).then_some(()));
    outcome.unwrap();
    assert!(!site.path("pid").exists());
    assert!(lines_of(&site.path("log")).last().unwrap().ends_with("ended by a signal"));
}

#[test]
fn a_pid_file_that_cannot_be_written_ends_the_start_with_status_1() {
    let site = Site::new("options-pid");
    for background in [&["-d"][..], &[]] {
        let output = run(&site, &[background, &["-p", "missing/pid", &site.port.to_string()]].concat());
        assert_eq!(output.status.code(), Some(1), "{background:?}");
        assert_eq!(standard_error(&output), "aa436: cannot write missing/pid: No such file or directory\n");
    }
}

/// A site with a server that broadcasts where no agent hears it.
fn silent_site(name: &str) -> Site {
    let site = Site::new(name);
    site.append("app", "");
    site.host("h", &format!("file: {}\nmatch: x\nalert_all: tags=T\n", site.file("app")));
    let elsewhere = site.server_file("127.0.0.1", "").replace("broadcast: 127.0.0.1", "broadcast: 127.77.77.77");
    site.write("ax436.conf", &elsewhere);
    site
}

#[test]
fn an_agent_uses_its_fixed_server_without_hearing_its_broadcasts() {
    for server in ["127.0.0.1", "127.1", "127.0.0.1:PORT"] {
        let site = silent_site(&format!("options-fixed-{}", server.len()));
        let running = site.server();
        // With a port of its own, the agent need not share the server's.
        let (server, port) = match server.strip_suffix("PORT") {
            Some(host) => (format!("{host}{}", site.port), free_port()),
            None => (server.to_string(), site.port),
        };
        assert_eq!(server.contains(':'), port != site.port);
        let mut command = site.command("aa436");
        command.args(["-n", "h", "-l", "agent.log", "-s", &server, &port.to_string()]);
        let agent = Program::start(command, site.path("agent.log"));
        site.wait_for_configuration("h", 1);
        site.append("app", "x marks it\n");
        site.wait_for_text("x marks it");
        assert_eq!((agent.terminate(), running.terminate()), (0, 0));
    }
}

#[test]
fn an_agent_with_a_fixed_server_ignores_all_others() {
    let site = Site::new("options-other");
    site.host("h", "");
    let server = site.server();
    let unused = free_port();
    let agent = site.agent("h", &["-s", &format!("127.0.0.1:{unused}")]);
    let text = |agent: &Program| agent.log_text();
    let listener = UdpSocket::bind(("127.0.0.1", unused + 1)).unwrap();
    listener.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut probe = [0; 2000];
    let mut probes = 0;
    // Enough probes to take longer than several heartbeats.
    while probes < 8 {
        let size = receive(&listener, &mut probe).unwrap();
        assert!(probe[..size].starts_with(b"HELLO%%3%%h%%"));
        probes += 1;
    }
    assert!(!text(&agent).contains("session"), "{}", text(&agent));
    assert_eq!(site.events(), []);
    assert_eq!(agent.terminate(), 0);
    // Yet the server's broadcasts reach that port.
    let agent = site.agent("another", &[]);
    wait_for("the selection by broadcast", || text(&agent).contains("server 127.0.0.1 selected").then_some(()));
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

#[test]
fn a_server_whose_name_is_unknown_does_not_stop_the_agent() {
    let site = silent_site("options-unknown");
    let agent = site.agent("h", &["-s", "no-such-host.invalid"]);
    wait_for("the search", || agent.log_text().contains("cannot find the server no-such-host.invalid: ").then_some(()));
    assert_eq!(agent.terminate(), 0);
}

#[test]
fn an_agent_starts_without_reading_a_random_device_which_can_take_seconds_after_boot() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip("an_agent_starts_without_reading_a_random_device_which_can_take_seconds_after_boot", "there is no strace");
    }
    let site = Site::new("random");
    site.host("nas1", "run: command=echo value 7 extract=^(value) (.*)$\nalert_metric: tags=RUN match=1,value metric=2\n");
    let _server = site.server();
    let mut command = Command::new("strace");
    // With -D the program that is traced is this test's child.
    command.args(["-D", "-f", "-o", "trace", "-e", "trace=open,openat"]).arg(binary("aa436"));
    command.args(["-n", "nas1", "-l", "nas1.log", &site.port.to_string()]).current_dir(&site.folder);
    command.env("PROJECT436_TEST_CLOCK", crate::harness::SPEED.to_string());
    let _agent = Program::start(command, site.path("nas1.log"));
    // Until then it has made its sequence numbers, a session, and the mark of a command.
    site.wait_for_count("RUN", 1);
    let trace = fs::read_to_string(site.path("trace")).unwrap();
    assert!(trace.contains("nas1.log") && !trace.contains("random"), "{trace}");
}
