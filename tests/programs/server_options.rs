//! The server's command line: help, errors, the check of a configuration and the trial of rules.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{in_one_wording, send_signal, wait_for, Program, Site, IN_USE, NOT_AVAILABLE};
use crate::raw::{alert, Peer};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

/// What a run of the server that ends by itself leaves behind.
#[derive(Debug)]
struct Outcome {
    status: i32,
    out: String,
    err: String,
}

fn outcome(command: &mut Command, input: &str) -> Outcome {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Outcome { status: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

fn run(site: &Site, arguments: &[&str]) -> Outcome {
    outcome(site.command("ax436").args(arguments), "")
}

#[test]
fn help_and_version_go_to_standard_output() {
    let site = Site::new("help");
    for option in ["-h", "--help"] {
        let help = run(&site, &[option]);
        assert_eq!((help.status, &*help.err), (0, ""));
        for part in
            ["Usage: ax436 [options] CONF", "-t, --test", "-T, --try HOSTFILE", "-l, --log FILE", "-d, --daemon", "-p, --pid-file FILE"]
        {
            assert!(help.out.contains(part), "{part}: {}", help.out);
        }
    }
    let version = run(&site, &["-V"]);
    assert_eq!((version.status, &*version.err), (0, ""));
    super::agent_options::assert_version("ax436", &version.out);
}

#[test]
fn a_wrong_command_line_ends_with_status_2() {
    let site = Site::new("usage");
    for (arguments, reason) in [
        (&[][..], "ax436: expected one argument, the server file; ax436 -h tells more"),
        (&["a", "b"], "ax436: expected one argument, the server file; ax436 -h tells more"),
        (&["--colour", "ax436.conf"], "ax436: Unrecognized option: 'colour'; ax436 -h tells more"),
        (&["-l"], "ax436: Argument to option 'l' missing; ax436 -h tells more"),
        (&["--log-size", "big", "ax436.conf"], "ax436: --log-size: \"big\" is not a number"),
        (&["nowhere.conf"], "ax436: cannot read nowhere.conf: No such file or directory"),
        (&["-t", "nowhere.conf"], "ax436: cannot read nowhere.conf: No such file or directory"),
        (&["hosts"], "ax436: cannot read hosts: Is a directory"),
        (&["-T", "hosts/nas1", "--run", "a", "b"], "ax436: -T HOSTFILE --run takes CONF (default ./ax436.conf) and nothing else"),
        (&["-T", "hosts/nas1"], "ax436: -T HOSTFILE takes LOG, or LOG and CONF (default ./ax436.conf)"),
    ] {
        let wrong = run(&site, arguments);
        assert_eq!((wrong.status, wrong.err.trim_end(), &*wrong.out), (2, reason, ""), "{arguments:?}");
    }
}

#[test]
fn a_server_file_with_errors_prints_them_all_and_starts_nothing() {
    let site = Site::new("server-file");
    site.write("ax436.conf", "port: 0\nevent_stream: events.log\ncolour: red\nhosts: hosts\n");
    let errors = "ax436.conf:1: port: expected a number from 1 to 65534, got \"0\"\n\
                  ax436.conf:3: colour: unknown directive\n\
                  ax436.conf:0: broadcast: is missing\n";
    let started = run(&site, &["ax436.conf"]);
    assert_eq!((started.status, &*started.err, &*started.out), (2, errors, ""));
    let checked = run(&site, &["-t", "ax436.conf"]);
    assert_eq!((checked.status, &*checked.out), (2, errors));
    fs::write(site.path("ax436.conf"), b"port: 1\n# \xff\n").unwrap();
    assert_eq!(run(&site, &["-t", "ax436.conf"]).out, "ax436.conf:2: is not UTF-8\n");
}

#[test]
fn a_good_setup_passes_the_check() {
    let site = Site::new("check-good");
    site.write("includes/common", "match: error\nalert_all: tags=A message=m\n");
    site.host("nas1", "file: /var/log/messages\ninclude: common\n");
    site.host("nas2", "# nothing yet\n");
    site.host("nas2~", "an editor's copy is no host file\n");
    let checked = run(&site, &["-t", "ax436.conf"]);
    assert_eq!((checked.status, &*checked.err), (0, ""));
    assert_eq!(checked.out, "ax436.conf: no errors; host files: 2, include files: 1\n");
    assert!(!site.path("events.log").exists() && !site.path("ax436.log").exists(), "a check writes nothing");
}

#[test]
fn the_check_sees_a_configuration_that_is_too_large_to_be_served() {
    let site = Site::new("check-large");
    let text: String = (0..12_000).map(|number| format!("file: /log/{number}\nmatch: error\nalert_all: tags=A\n")).collect();
    site.host("nas1", &text);
    let checked = run(&site, &["-t", "ax436.conf"]);
    assert_eq!(
        (checked.status, &*checked.out),
        (2, "hosts/nas1:0: with its includes larger than 491520 bytes: 1529 of 12000 groups are left out\n")
    );
}

#[test]
fn the_check_prints_every_error_of_every_file_once() {
    let site = Site::new("check-bad");
    site.write("includes/common", "file: /a\nmatch: (\nalert_all: tags=A\n");
    site.write("includes/unused", "\ncolour: blue\n");
    site.host("nas1", "include: common\ninclude: gone\ncolour: red\n");
    site.host("nas2", "include: common\nfile: /b\nmatch: b\nalert_n: tags=B threshold=x seconds=1 message=m\n");
    site.host("nas3", "file: /c\nmatch: c\n");
    fs::write(site.path("hosts/nas4"), b"# one\n# \xff\n").unwrap();
    let checked = run(&site, &["-t", "ax436.conf"]);
    assert_eq!(checked.status, 2);
    let mut places: Vec<&str> = checked.out.lines().map(|line| line.rsplit_once(": ").unwrap().0).collect();
    places.iter_mut().for_each(|place| *place = place.split(": ").next().unwrap());
    places.sort_unstable();
    let expected =
        ["hosts/nas1:2", "hosts/nas1:3", "hosts/nas2:4", "hosts/nas3:1", "hosts/nas4:2", "includes/common:2", "includes/unused:2"];
    assert_eq!(places, expected, "{}", checked.out);
    assert!(checked.out.contains("hosts/nas1:2: include: there is no file \"gone\" in the folder of includes\n"), "{}", checked.out);
    assert_eq!(checked.err, "ax436: ax436.conf: errors: 7\n");
}

#[test]
fn what_is_right_and_probably_not_meant_is_a_warning_and_no_error() {
    let site = Site::new("check-warnings");
    site.write("includes/common", "file: /log\nmatch: from=\\<.*\\>\nalert_all: tags=A\n");
    site.host(
        "nas1",
        "include: common\nactive: 1;0:00-24:00\nrun: command=df | sort extract=(a)\nalert_metric: tags=A match=1,a metric=1\n",
    );
    site.host("nas2", "include: common\n");
    site.host("nas 2 (copy)", "# nothing\n");
    let checked = run(&site, &["-t", "ax436.conf"]);
    assert_eq!((checked.status, &*checked.err), (0, ""));
    let expected = [
        "hosts/nas 2 (copy):0: warning: no agent can have this name: white space, control characters or % in it",
        "includes/common:2: warning: match: \\< and \\> are the edges of a word here; in Python they are < and >, written so",
        "hosts/nas1:2: warning: active: 24:00 counts as 23:59",
        "hosts/nas1:3: warning: command= no shell reads the command: pipes and redirections go into a script",
        "hosts/nas1:2: warning: stands in front of its process: or run:, and counts for that group",
    ];
    let (warnings, last) = checked.out.split_at(checked.out.rfind("ax436.conf:").unwrap());
    for line in expected {
        assert!(warnings.lines().any(|warning| warning == line), "{line}: {warnings}");
    }
    assert_eq!(last, "ax436.conf: no errors; host files: 3, include files: 1\n");
}

#[test]
fn patterns_that_an_agent_has_no_memory_for_are_a_warning() {
    let site = Site::new("check-memory");
    site.host("nas1", &(0..90).map(|number| format!("file: /a\nmatch: {number}.{{900}}\nalert_all: tags=A\n")).collect::<String>());
    let checked = run(&site, &["-t", "ax436.conf"]);
    assert!(checked.status == 0 && checked.out.starts_with("hosts/nas1:0: warning: the patterns take "), "{checked:?}");
}

#[test]
fn an_event_stream_that_cannot_be_written_is_an_error_of_the_check() {
    let site = Site::new("check-stream");
    for (stream, reason) in [
        ("hosts", "event_stream: hosts is a directory"),
        ("nowhere/events.log", "event_stream: cannot write nowhere: No such file or directory"),
        ("ax436.conf/events.log", "event_stream: cannot write ax436.conf: Not a directory"),
    ] {
        site.write("ax436.conf", &site.server_file("127.255.255.255", "").replace("events.log", stream));
        let checked = run(&site, &["-t", "ax436.conf"]);
        assert!(checked.status == 2 && checked.out.starts_with(&format!("ax436.conf:0: {reason}")), "{stream}: {checked:?}");
    }
}

#[test]
fn the_check_prints_nothing_that_a_terminal_would_obey() {
    let site = Site::new("server-check-raw");
    site.host("nas1", "file: /a\nmatch: b\nalert_all: tags=A\nb\u{1b}[2Jd\u{202e}x\u{200f}: y\nfile: /\u{9b}31m\u{61c}\nnonsense: \x07\n");
    let said = run(&site, &["-t", "ax436.conf"]);
    assert_eq!(said.status, 2);
    let raw = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{202e}' | '\u{200f}' | '\u{61c}'));
    assert!(!said.out.contains(raw) && !said.err.contains(raw), "{said:?}");
    assert!(said.out.contains('\u{fffd}'), "{said:?}");
}

#[test]
fn missing_folders_are_errors_of_the_check_and_of_the_start() {
    let site = Site::new("no-folders");
    fs::remove_dir_all(site.path("hosts")).unwrap();
    fs::remove_dir_all(site.path("includes")).unwrap();
    let errors = "ax436.conf:0: hosts: cannot read folder hosts: No such file or directory\n\
                  ax436.conf:0: includes: cannot read folder includes: No such file or directory\n";
    let checked = run(&site, &["-t", "ax436.conf"]);
    assert_eq!((checked.status, &*checked.out), (2, errors));
    let started = run(&site, &["-l", "-", "ax436.conf"]);
    assert_eq!((started.status, &*started.err), (2, errors));
}

#[test]
fn a_port_that_is_taken_is_an_error_with_status_1() {
    let site = Site::new("taken");
    let _server = site.server();
    Peer::of_server(site.port).drain();
    let second = run(&site, &["-l", "second.log", "ax436.conf"]);
    let reason = format!("ax436: cannot listen on UDP port {} of 0.0.0.0: {IN_USE}", site.port + 1);
    assert_eq!((second.status, in_one_wording(&second.err)), (1, reason));
    site.write("elsewhere.conf", &site.server_file("127.255.255.255", "address: 192.0.2.1\n"));
    let elsewhere = run(&site, &["-l", "second.log", "elsewhere.conf"]);
    let reason = format!("ax436: cannot listen on UDP port {} of 192.0.2.1: {NOT_AVAILABLE}", site.port + 1);
    assert_eq!((elsewhere.status, in_one_wording(&elsewhere.err)), (1, reason));
}

#[test]
fn rules_are_tried_on_the_lines_of_a_log() {
    let site = Site::new("try");
    site.write("includes/common", "file: /var/log/app\nmatch: disk\nignore: sda\nalert_all: tags=DISK message=disk trouble\n");
    let rules = "file: /var/log/app\nmatch: error\nmatch: fail\nalert_all: tags=ERR\n\
                 file: /var/log/app\nmatch: .\nalert_count: tags=ALL seconds=60\n\
                 file: /var/log/app\nmatch: error\nalert_n: tags=MANY threshold=1 seconds=60 message=many\n\
                 file: /var/log/app\nmatch: never\nalert_inactive: tags=QUIET seconds=60 message=quiet\n\
                 process: x\nalert_running: tags=P min=1 max=2 message=m\n\
                 include: common\n";
    site.host("nas1", rules);
    let log = "an error\nall well\nlogin failed\ndisk sda full\ndisk sdb full\n\nlast error without its newline";
    site.write("app.log", log);
    let expected = "ERR%%/var/log/app%%an error\n\
                    ERR%%/var/log/app%%login failed\n\
                    DISK%%/var/log/app%%disk trouble\n\
                    ERR%%/var/log/app%%last error without its newline\n\
                    ALL%%/var/log/app%%6\n\
                    MANY%%/var/log/app%%many\n\
                    QUIET%%/var/log/app%%quiet\n\
                    none of the first ten lines begins with a time: all lines count as one block, without active: and the terms of conditions\n\
                    3 lines matched: file: /var/log/app match: error | fail tags=ERR\n\
                    6 lines matched: file: /var/log/app match: . tags=ALL\n\
                    2 lines matched: file: /var/log/app match: error tags=MANY\n\
                    0 lines matched: file: /var/log/app match: never tags=QUIET\n\
                    1 lines matched: file: /var/log/app match: disk tags=DISK\n\
                    found in no line: never\n";
    let tried = run(&site, &["-T", "hosts/nas1", "app.log"]);
    assert_eq!((tried.status, &*tried.err), (0, ""));
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&tried.out), sorted(expected));
    let tried_input = outcome(site.command("ax436").args(["-T", "hosts/nas1", "-"]), log);
    assert_eq!((tried_input.status, &tried_input.out), (0, &tried.out));

    // Includes are those of the server file that is named, or of ./ax436.conf.
    fs::rename(site.path("ax436.conf"), site.path("other.conf")).unwrap();
    let named = run(&site, &["-T", "hosts/nas1", "app.log", "other.conf"]);
    assert_eq!((named.status, &named.out), (0, &tried.out));
    let without = run(&site, &["-T", "hosts/nas1", "app.log"]);
    assert_eq!(without.status, 2);
    assert!(without.err.starts_with("hosts/nas1:16: include: there is no file \"common\""), "{}", without.err);
    assert!(without.out.contains("3 lines matched: ") && !without.out.contains("DISK"), "the good groups are tried: {}", without.out);
}

#[test]
fn the_commands_of_a_host_file_are_run_once_and_what_its_rules_make_of_them_is_shown() {
    let site = Site::new("try-run");
    site.write("df", "Size Used Mounted\n10G 95% /\n20G 7% /home\n- - /mnt\n");
    let (df, runs) = (site.file("df"), site.file("runs"));
    site.write("check", &format!("echo x >> {runs}\necho CHECK BAD: no\necho oh >&2\nexit 2\n"));
    let check = format!("sh {}", site.file("check"));
    site.host(
        "nas1",
        &format!(
            "run: command=cat {df} extract=^(\\S+) (\\S+) (/\\S*)$\nactive: 0;00:00-00:00\n\
             alert_if: tags=FULL match=3 upper_limit=2,90% for=9 text={{3}} has {{2}}\nalert_metric: tags=USED match=3,/home metric=2\n\
             run: command=cat {df} extract=^(x)\nalert_metric: tags=NONE match=1,x metric=1\n\
             run: command={check}\nalert_if: tags=CHECK match=status upper_limit=status,1 text={{line}}\n\
             run: command={check} extract=(BAD)\nalert_metric: tags=BAD match=1,BAD metric=1\n\
             run: timeout=1 command=sleep 1000 extract=(a)\nalert_metric: tags=SLOW match=1,a metric=1\n\
             ps_command: echo one daemon\nprocess: daemon$\nalert_running: tags=LISTED min=2 max=2 message=Daemons\n\
             process: ax436 -T hosts/nas1 --run$\nalert_running: tags=OWN min=2 max=2 parent=. message=Servers\n"
        ),
    );
    let expected = format!(
        "run: cat {df}\n  1=\"10G\"  2=\"95%\"  3=\"/\"\n  1=\"20G\"  2=\"7%\"  3=\"/home\"\n  1=\"-\"  2=\"-\"  3=\"/mnt\"; group 2 is no number with %\n  \
         exit status 0; lines: 4\n  FULL%%NULL%%/ has 95%\n  USED%%NULL%%7%\n\
         run: cat {df}\n  exit status 0; lines: 4\n  extract=^(x) is found in no line: \"Size Used Mounted\"\n  no event\n\
         run: {check}\n  exit status 2; lines: 1\n  CHECK%%NULL%%CHECK BAD: no\n\
         run: {check}\n  1=\"BAD\"\n  exit status 2; lines: 1\n  Command failed: exit status 2: oh\n  BAD%%NULL%%BAD\n\
         run: sleep 1000\n  lines: 0\n  Command failed: did not end within 1 s\n  no event\n\
         process: daemon$\n  processes: 1\n  LISTED%%NULL%%Daemons [1]\n\
         process: ax436 -T hosts/nas1 --run$\n  processes: 1\n  OWN%%NULL%%Servers [1]\n"
    );
    let tried = run(&site, &["-T", "hosts/nas1", "--run"]);
    assert_eq!((tried.status, &*tried.err, &*tried.out), (0, "", &*expected));
    assert_eq!(fs::read_to_string(&runs).unwrap(), "x\n", "two rules share one run");
}

#[test]
fn what_a_try_leaves_out_is_said() {
    let site = Site::new("try-left-out");
    site.host("logs", "file: /a\nmatch: end$\nalert_all: tags=A\n");
    site.host("commands", "process: x\nalert_running: tags=A min=0 max=9 message=m\n");
    // The longest line that is whole has 65536 bytes with its newline.
    let log: String = [10, 65532, 65534, 70_000, 200_000, 20].map(|length| "x".repeat(length) + "end\n").concat();
    let tried = outcome(site.command("ax436").args(["-T", "hosts/logs", "-"]), &log);
    assert!(
        tried.out.contains("\n3 lines are longer than 64 KiB and are cut\n3 lines matched: "),
        "{}",
        &tried.out[tried.out.len() - 300..]
    );
    let short = outcome(site.command("ax436").args(["-T", "hosts/logs", "-"]), "the end\n");
    assert_eq!(short.out, "A%%/a%%the end\n1 lines matched: file: /a match: end$ tags=A\n");
    fs::write(site.path("log.gz"), b"\x1f\x8b\x08\0rest").unwrap();
    let compressed = run(&site, &["-T", "hosts/logs", "log.gz"]);
    assert_eq!((compressed.status, &*compressed.out), (2, ""));
    assert!(compressed.err.contains("log.gz is compressed"), "{}", compressed.err);
    let no_log_rule = outcome(site.command("ax436").args(["-T", "hosts/commands", "-"]), "the end\n");
    assert_eq!(
        (no_log_rule.status, &*no_log_rule.out),
        (0, "hosts/commands has no rule for a log: -T with --run tries those for commands and processes\n")
    );
    let no_command_rule = run(&site, &["-T", "hosts/logs", "--run"]);
    assert_eq!(
        (no_command_rule.status, &*no_command_rule.out),
        (0, "hosts/logs has no rule for a command or for processes: -T with a log tries those for logs\n")
    );
}

#[test]
fn rules_that_cannot_be_tried_are_named() {
    let site = Site::new("try-bad");
    site.host("nas1", "file: /a\nmatch: (\nalert_all: tags=A\n");
    let tried = outcome(site.command("ax436").args(["-T", "hosts/nas1", "-"]), "x\n");
    assert_eq!(tried.status, 2);
    assert!(tried.err.starts_with("hosts/nas1:2: "), "{}", tried.err);
    let no_log = run(&site, &["-T", "hosts/nas1", "nowhere.log"]);
    assert_eq!(no_log.status, 2);
    assert!(no_log.err.contains("ax436: cannot read nowhere.log: No such file or directory\n"), "{}", no_log.err);
    let no_host = run(&site, &["-T", "hosts/nas2", "-"]);
    assert_eq!((no_host.status, &*no_host.err), (2, "ax436: cannot read hosts/nas2: No such file or directory\n"));
}

#[test]
fn in_the_background_the_server_writes_its_pid_file_and_removes_it() {
    let site = Site::new("background");
    let started = run(&site, &["-d", "-p", "server.pid", "-l", "server.log", "--log-size", "200", "--log-keep", "2", "ax436.conf"]);
    assert_eq!((started.status, &*started.err), (0, ""));
    let id = wait_for("the pid file", || fs::read_to_string(site.path("server.pid")).ok().filter(|text| text.ends_with('\n')));
    let peer = Peer::of_server(site.port);
    // The process ends with this test, even if the test fails.
    let _ended = Ended(id.trim().to_string());
    peer.ask(&alert("stranger", "1_0", "T", "x"), "ACK%%1_0");
    assert_eq!(fs::read_link(format!("/proc/{}/exe", id.trim())).unwrap().file_name().unwrap(), "ax436");
    for n in 0..10 {
        site.host(&format!("bad{n}"), "nonsense\n");
    }
    wait_for("the log to roll", || site.path("server.log.2").exists().then_some(()));
    assert!(!site.path("server.log.3").exists());
    assert!(send_signal("TERM", id.trim()));
    wait_for("the pid file to go", || (!site.path("server.pid").exists()).then_some(()));
}

/// A process that is not a child, ended at the end.
struct Ended(String);

impl Drop for Ended {
    fn drop(&mut self) {
        let cmdline = fs::read_to_string(format!("/proc/{}/cmdline", self.0)).unwrap_or_default();
        if cmdline.contains("server.pid") {
            send_signal("KILL", &self.0);
        }
    }
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let site = Site::new("no-log");
    let mut command = site.command("ax436");
    command.args(["-l", "nowhere/server.log", "ax436.conf"]).stderr(Stdio::null());
    let server = Program::start(command, site.path("nowhere/server.log"));
    Peer::of_server(site.port).ask(&alert("stranger", "1_0", "T", "x"), "ACK%%1_0");
    assert!(!site.path("nowhere").exists());
    assert_eq!(server.terminate(), 0);
}
