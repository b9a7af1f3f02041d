//! The journal as a log: the real agent, `journalctl`, and a systemd-journald of its own in a mount namespace.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests live in the real world")]

use crate::harness::{binary, pause, skip, wait_for, Program, Site, SPEED};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DAEMONS: [&str; 2] = ["/lib/systemd/systemd-journald", "/usr/lib/systemd/systemd-journald"];

/// A journald that nobody else has. Its files are in memory, and gone at the end.
struct Journald {
    /// A process whose mount namespace it is.
    holder: Child,
    daemon: Option<Program>,
    log: PathBuf,
}

impl Journald {
    /// Starts one, or says why the test is skipped.
    fn start(test: &str, site: &Site) -> Option<Self> {
        let has =
            |program: &str| Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|said| said.stdout == b"0\n");
        let missing = [
            (is_root, "root"),
            (
                DAEMONS.iter().any(|daemon| Path::new(daemon).exists()) && has("journalctl"),
                "journalctl and systemd-journald (Debian: systemd)",
            ),
            (has("unshare") && has("nsenter"), "unshare and nsenter (Debian: util-linux)"),
        ];
        if let Some((_, what)) = missing.into_iter().find(|(is_there, _)| !is_there) {
            skip(test, &format!("it needs {what}"));
            return None;
        }
        let script = "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/log && \
                      mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /var/log/journal && \
                      printf '%s\n' '[Journal]' Storage=persistent RateLimitBurst=0 ReadKMsg=no Audit= SystemMaxFileSize=512K \
                      SystemMaxUse=100M >/run/systemd/journald.conf.d/test.conf && : >/run/systemd/journal/flushed && exec sleep 600";
        let mut holder = Command::new("unshare");
        holder.args(["--mount", "--propagation", "private", "sh", "-c", script]).stdin(Stdio::null());
        let log = site.path("journald.log");
        let mut journald = Self { holder: holder.spawn().unwrap(), daemon: None, log };
        wait_for("a mount namespace", || journald.inside("run/systemd/journal/flushed").exists().then_some(()));
        journald.restart();
        Some(journald)
    }

    /// A path of the namespace as this process sees it.
    fn inside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root/{path}", self.holder.id()))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("-t").arg(self.holder.id().to_string()).args(["-m", "--"]).arg(program);
        command
    }

    /// Kills the daemon, if it runs, and starts it.
    fn restart(&mut self) {
        self.daemon.take().into_iter().for_each(Program::kill);
        let daemon = DAEMONS.into_iter().find(|daemon| Path::new(daemon).exists()).unwrap();
        self.daemon = Some(Program::start(self.command(Path::new(daemon)), self.log.clone()));
        self.connect();
    }

    /// Waits for the daemon.
    fn connect(&self) -> UnixDatagram {
        wait_for("journald", || {
            let socket = UnixDatagram::unbound().unwrap();
            socket.connect(self.inside("run/systemd/journal/socket")).ok().map(|()| socket)
        })
    }

    /// Writes an entry with that message, and waits until it is stored.
    fn write(&self, message: &[u8]) {
        self.write_all(&[message]);
        self.sync();
    }

    /// Writes entries, each with a message of bytes.
    fn write_all<M: AsRef<[u8]>>(&self, messages: &[M]) {
        let socket = self.connect();
        for message in messages {
            let message = message.as_ref();
            let mut entry = b"SYSLOG_IDENTIFIER=app\nMESSAGE\n".to_vec();
            entry.extend((message.len() as u64).to_le_bytes());
            entry.extend(message);
            entry.push(b'\n');
            socket.send(&entry).unwrap();
        }
    }

    fn journalctl(&self, arguments: &[&str]) -> String {
        let output = self.command(Path::new("journalctl")).args(arguments).output().unwrap();
        assert!(output.status.success(), "journalctl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until what was written is stored.
    fn sync(&self) {
        self.journalctl(&["--sync"]);
    }

    /// The messages of the entries that are stored.
    fn messages(&self) -> Vec<String> {
        self.journalctl(&["-q", "-o", "cat", "-t", "app"]).lines().map(str::to_string).collect()
    }

    /// An agent that sees this journal.
    fn agent(&self, site: &Site, arguments: &[&str]) -> Program {
        let log = "nas1.agent.log";
        let mut command = self.command(&binary("aa436"));
        command.current_dir(&site.folder).env("PROJECT436_TEST_CLOCK", SPEED.to_string()).env("TZ", "UTC");
        command.args(["-n", "nas1", "-l", &site.file(log)]).args(arguments).arg(site.port.to_string());
        Program::start(command, site.path(log))
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        self.daemon = None;
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn rule(units: &str, pattern: &str, tags: &str) -> String {
    format!("journal: {units}\nmatch: {pattern}\nalert_all: tags={tags}\n")
}

/// The numbers that the texts of these events end with.
fn numbers(site: &Site, tags: &str) -> Vec<u64> {
    site.texts(tags).iter().filter_map(|text| text.rsplit(' ').next()?.parse().ok()).collect()
}

#[test]
fn entries_are_lines_whatever_their_messages_are() {
    let site = Site::new("journal-lines");
    let Some(journald) = Journald::start("entries_are_lines_whatever_their_messages_are", &site) else { return };
    journald.write(b"before");
    site.host("nas1", &[rule("", "^app\\[\\d+\\]: ", "APP"), rule("", "Journal started", "SYSTEM_TOO"), rule("ssh", ".", "UNIT")].concat());
    let (_server, _agent) = (site.server(), journald.agent(&site, &[]));
    site.wait_for_text("Following journal from its end");
    let long = "long ".repeat(40_000);
    let messages: [&[u8]; 5] = [b"first", b"two\nlines", b"by\0tes \xff", b"MESSAGE=x\nPRIORITY=0", long.as_bytes()];
    journald.write_all(&messages);
    journald.write(b"last");
    let mut texts = site.wait_for_count("APP", 6);
    texts.iter_mut().for_each(|text| *text = text.split_once("]: ").unwrap().1.to_string());
    assert_eq!(texts[..3], ["first", "two ⏎ lines", "by\u{fffd}tes \u{fffd}"]);
    assert_eq!((&*texts[3], &*texts[5]), ("MESSAGE=x ⏎ PRIORITY=0", "last"));
    assert!(texts[4].starts_with("long long ") && texts[4].len() > 8000, "{}", texts[4].len());
    site.wait_for_text("journal: a line was longer than 64 KiB and is cut");
    assert_eq!(site.texts("UNIT"), [""; 0], "none of these is of a unit");
    assert!(site.events().iter().filter(|event| event.tags == "APP").all(|event| event.file == "journal"));
}

#[test]
fn every_entry_comes_once_whoever_is_killed() {
    let site = Site::new("journal-kills");
    let Some(mut journald) = Journald::start("every_entry_comes_once_whoever_is_killed", &site) else { return };
    site.host("nas1", &[rule("", "number \\d+$", "N"), rule("", "number \\d*7$", "SEVEN")].concat());
    let (mut server, mut agent) = (Some(site.server()), Some(journald.agent(&site, &[])));
    site.wait_for_text("Following journal from its end");
    let mut next = 0;
    for round in 0..8 {
        let count = 300;
        let messages: Vec<String> = (next..next + count).map(|number| format!("number {number}")).collect();
        next += count;
        for (half, messages) in messages.chunks(150).enumerate() {
            journald.write_all(messages);
            if round >= 4 && half == 0 {
                // In the midst of them, as far as timing can say so.
                site.wait_for_count("N", usize::try_from(next).unwrap() - 300 + 20);
            }
            match (round % 4, half) {
                (0, 0) => agent.take().into_iter().for_each(Program::kill),
                (1, 0) => server.take().into_iter().for_each(Program::kill),
                (2, 0) => journald.sync(),
                (3, 0) => {
                    journald.journalctl(&["--rotate"]);
                    agent.take().into_iter().for_each(Program::kill);
                    server.take().into_iter().for_each(Program::kill);
                }
                _ => {}
            }
        }
        journald.sync();
        if round % 4 == 2 {
            journald.restart();
        }
        server.get_or_insert_with(|| site.server());
        agent.get_or_insert_with(|| journald.agent(&site, &[]));
    }
    let stored: Vec<u64> = journald.messages().iter().filter_map(|message| message.strip_prefix("number ")?.parse().ok()).collect();
    assert_eq!(stored, (0..next).collect::<Vec<_>>(), "journald has stored them");
    site.wait_for_count("N", stored.len());
    site.wait_for_count("SEVEN", stored.iter().filter(|number| *number % 10 == 7).count());
    // Whatever comes twice has its time.
    pause(Duration::from_secs(1));
    assert_eq!(numbers(&site, "N"), stored);
    assert_eq!(numbers(&site, "SEVEN"), stored.iter().copied().filter(|number| number % 10 == 7).collect::<Vec<_>>());
    assert!(site.texts("SYSTEM").iter().all(|text| !text.contains("missing")), "{:?}", site.texts("SYSTEM"));
}

#[test]
fn entries_that_a_vacuum_removed_unread_are_reported() {
    let site = Site::new("journal-vacuum");
    let Some(journald) = Journald::start("entries_that_a_vacuum_removed_unread_are_reported", &site) else { return };
    site.host("nas1", &rule("", "number \\d+$", "N"));
    let (_server, agent) = (site.server(), journald.agent(&site, &[]));
    site.wait_for_text("Following journal from its end");
    journald.write(b"number 1");
    site.wait_for_count("N", 1);
    agent.kill();
    journald.write_all(&(2..102).map(|number| format!("number {number}")).collect::<Vec<_>>());
    journald.sync();
    journald.journalctl(&["--rotate"]);
    journald.journalctl(&["--vacuum-time=1us"]);
    assert_eq!(journald.messages(), [""; 0], "the vacuum has removed them");
    journald.write(b"number 102");
    let agent = journald.agent(&site, &[]);
    let loss = site.wait_for_text("entries are missing: they were removed before they were read").text;
    let missing: u64 = loss.split(' ').nth(1).unwrap().parse().unwrap();
    assert!((100..120).contains(&missing), "{loss}");
    site.wait_for_count("N", 2);
    assert_eq!(numbers(&site, "N"), [1, 102]);
    // All is read: nothing is missing, although the place that was read last goes.
    agent.kill();
    journald.journalctl(&["--rotate"]);
    journald.journalctl(&["--vacuum-time=1us"]);
    journald.write(b"number 103");
    let _agent = journald.agent(&site, &[]);
    site.wait_for_count("N", 3);
    assert_eq!(numbers(&site, "N"), [1, 102, 103]);
}

#[test]
fn the_owner_of_a_host_decides_whether_its_journal_is_read() {
    let site = Site::new("journal-owner");
    let Some(journald) = Journald::start("the_owner_of_a_host_decides_whether_its_journal_is_read", &site) else { return };
    site.host("nas1", &rule("ssh nginx", "x", "X"));
    let _server = site.server();
    for (arguments, refused) in [
        (&["-x"][..], Some("Refused by this host: journal: ssh.service nginx.service")),
        (&["-a", "df.*"], Some("Refused by this host: journal: ssh.service nginx.service")),
        (&["-f", "/var/log"], Some("Refused by this host: journal: without -f journal")),
        (&["-f", "/var/log", "-f", "journal", "-a", "journalctl"], None),
    ] {
        let before = site.lines().len();
        let agent = journald.agent(&site, arguments);
        let expected = refused.unwrap_or("Following journal from its end");
        wait_for(expected, || site.lines()[before..].iter().any(|line| line.contains(expected)).then_some(()));
        agent.kill();
    }
}

/// A group of processes that journald takes for a unit, since it has that name.
struct Unit(PathBuf);

impl Unit {
    fn new(name: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let mount = mounts.lines().rfind(|line| line.split(' ').nth(2) == Some("cgroup2"))?.split(' ').nth(1)?;
        let folder = Path::new(mount).join(name);
        fs::create_dir(&folder).ok().map(|()| Self(folder))
    }

    /// A process of it says that, and lives on until the end.
    fn say(&self, journald: &Journald, text: &str) -> Program {
        let script = r#"echo $$ >"$1/cgroup.procs" && echo "$2" && exec sleep 600"#;
        let mut command = journald.command(Path::new("systemd-cat"));
        command.args(["-t", "app", "sh", "-c", script, "sh"]).arg(&self.0).arg(text);
        Program::start(command, PathBuf::new())
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        wait_for("the end of the unit", || fs::remove_dir(&self.0).ok());
    }
}

#[test]
fn a_group_sees_the_units_that_it_names_and_no_others() {
    let test = "a_group_sees_the_units_that_it_names_and_no_others";
    let site = Site::new("journal-units");
    let Some(journald) = Journald::start(test, &site) else { return };
    let names = ["one", "two"].map(|name| format!("aa436-{}-{name}.service", std::process::id()));
    let [Some(one), Some(two)] = names.each_ref().map(|name| Unit::new(name)) else {
        return skip(test, "this system lets no group be made in cgroup2");
    };
    let short = names[0].strip_suffix(".service").unwrap();
    let (prefix, _) = names[0].rsplit_once('-').unwrap();
    site.host("nas1", &[rule(short, "says", "ONE"), rule(&format!("{prefix}-*"), "says", "BOTH"), rule("", "says", "ALL")].concat());
    let (_server, _agent) = (site.server(), journald.agent(&site, &[]));
    site.wait_for_text("Following journal from its end");
    let _first = one.say(&journald, "one says");
    site.wait_for_count("ONE", 1);
    let _second = two.say(&journald, "two says");
    site.wait_for_count("BOTH", 2);
    journald.write(b"nobody says");
    let texts = |tags| site.texts(tags).iter().map(|text| text.split_once("]: ").unwrap().1.to_string()).collect::<Vec<_>>();
    site.wait_for_count("ALL", 3);
    assert_eq!((texts("ONE"), texts("BOTH")), (vec!["one says".to_string()], vec!["one says".to_string(), "two says".into()]));
    drop((_first, _second));
}

#[test]
fn a_host_without_journalctl_says_so_and_everything_else_works() {
    let site = Site::new("journal-missing");
    site.append("app.log", "");
    site.host("nas1", &[rule("", ".", "APP"), format!("file: {}\nmatch: line\nalert_all: tags=FILE\n", site.file("app.log"))].concat());
    let _server = site.server();
    let mut command = site.command("aa436");
    command.env("PATH", site.file("nothing")).args(["-n", "nas1", "-l", "agent.log"]).arg(site.port.to_string());
    let _agent = Program::start(command, site.path("agent.log"));
    site.wait_for_text("Cannot read journal: No such file or directory");
    site.wait_for_text("Following /");
    site.append("app.log", "line 1\n");
    site.wait_for_count("FILE", 1);
    assert!(!site.texts("SYSTEM").iter().any(|text| text.starts_with("Following journal")));
}
