//! Whole sessions of the programs in dist/, each on the processor that it is for: agents with this machine's server, and servers with
//! this machine's agent. Run by scripts/checks/emulated.sh, since they need dist/ and QEMU's user-mode emulators.
#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "tests live in the real world")]

use crate::harness::{wait_for, Program, Site, SPEED};
use std::path::{Path, PathBuf};
use std::process::Command;

/// More lines than an agent keeps: they arrive only if the agent receives acknowledgements.
const LINES: usize = 600;

/// One line of cross/targets.
struct Target {
    name: String,
    emulator: String,
    /// The least processor that the programs are for, as the emulator names it.
    processor: String,
}

impl Target {
    /// The targets that PROJECT436_TARGETS names, or all that are in dist/.
    fn all() -> Vec<Self> {
        let list = std::fs::read_to_string(root().join("cross/targets")).unwrap();
        let lines = list.lines().filter(|line| !line.starts_with('#'));
        let targets = lines.map(|line| {
            let mut words = line.split_whitespace().map(str::to_string);
            let mut next = || words.next().unwrap();
            Self { name: next(), emulator: format!("qemu-{}-static", next()), processor: next() }
        });
        let wanted = std::env::var("PROJECT436_TARGETS").unwrap_or_default();
        let wanted: Vec<&str> = wanted.split_whitespace().collect();
        let targets: Vec<_> = targets.filter(|target| wanted.is_empty() || wanted.contains(&&*target.name)).collect();
        let built: Vec<_> = targets.into_iter().filter(|target| !wanted.is_empty() || target.program("aa436").exists()).collect();
        assert!(!built.is_empty(), "nothing in dist/: scripts/build-all.sh builds it");
        built
    }

    fn program(&self, name: &str) -> PathBuf {
        root().join("dist").join(&self.name).join(name)
    }

    /// A command that runs a program of this target in the folder of a site, under its emulator.
    fn command(&self, site: &Site, name: &str) -> Command {
        let mut command = Command::new(&self.emulator);
        command.args(["-cpu", &self.processor]).arg(self.program(name)).current_dir(&site.folder).env("TZ", "UTC");
        command.env("PROJECT436_TEST_CLOCK", SPEED.to_string());
        command
    }

    fn agent(&self, site: &Site) -> Program {
        let mut command = self.command(site, "aa436");
        command.args(["-n", "nas1", "-l", "emulated.log", &site.port.to_string()]);
        Program::start(command, site.path("emulated.log"))
    }

    fn server(&self, site: &Site) -> Program {
        let mut command = self.command(site, "ax436");
        command.args(["-l", "emulated.log", "ax436.conf"]);
        Program::start(command, site.path("emulated.log"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a session for each target, two at a time, and names those that failed.
fn for_each_target(session: fn(&Target)) {
    let targets = Target::all();
    let mut failed = Vec::new();
    for pair in targets.chunks(2) {
        std::thread::scope(|scope| {
            let sessions: Vec<_> = pair.iter().map(|target| (target, scope.spawn(|| session(target)))).collect();
            failed.extend(sessions.into_iter().filter_map(|(target, session)| session.join().is_err().then_some(&target.name)));
        });
    }
    assert!(failed.is_empty(), "these failed: {failed:?}");
}

fn rules(site: &Site, pattern: &str) -> String {
    format!(
        "file: {}\nmatch: {pattern} [0-9]+$\nalert_all: tags=LOG\n\
         process: ^no such process$\nalert_running: tags=PROCESS min=1 max=5 message=Missing\n\
         run: command=@df extract=^(/) [0-9]+% [0-9]+% [0-9]+ ([0-9]+)$\nalert_metric: tags=DISK match=1,/ metric=2\n\
         run: command=echo value 42.5 extract=^(value) (.*)$\nalert_if: tags=COMMAND match=1,value upper_limit=2,42.25 message=Above\n",
        site.file("app.log")
    )
}

/// A whole session of the two programs; either may be the emulated one.
fn session(site: &Site, agent: &dyn Fn() -> Program, server: &dyn Fn() -> Program) {
    site.append("app.log", "an old error 0\n");
    site.host("nas1", &rules(site, "error"));
    let (server, agent) = (server(), agent());
    site.wait_for_configuration("nas1", 1);

    let lines = |from: usize| (from..from + LINES).map(|n| format!("error {n}\nall is well\n")).collect::<String>();
    site.append("app.log", lines(0));
    let texts = site.wait_for_count("LOG", LINES);
    assert_eq!(texts, (0..LINES).map(|n| format!("error {n}")).collect::<Vec<_>>());
    assert_eq!(site.wait_for_count("PROCESS", 1)[0], "Missing [0]");
    assert_eq!(site.wait_for_count("DISK", 1)[0], size_of_root());
    assert_eq!(site.wait_for_count("COMMAND", 1)[0], "Above");

    site.host("nas1", &rules(site, "warning"));
    site.wait_for_configuration("nas1", 2);
    site.append("app.log", "error 1\nwarning 2\n");
    let event = site.wait_for_text("warning 2");
    assert_eq!((&*event.host, &*event.file), ("nas1", &*site.file("app.log")));
    // The former pattern is no longer in force, and nothing was written twice.
    assert_eq!(site.texts("LOG").len(), LINES + 1);

    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

/// As this machine's `df` prints it, in KiB.
fn size_of_root() -> String {
    let output = Command::new("df").args(["-kP", "/"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().nth(1).and_then(|line| line.split_whitespace().nth(1)).unwrap().to_string()
}

#[test]
#[ignore = "run by scripts/checks/emulated.sh"]
fn each_agent_works_with_this_machines_server() {
    for_each_target(|target| {
        let site = Site::new(&format!("emulated-agent-{}", target.name));
        session(&site, &|| target.agent(&site), &|| site.server());
    });
}

#[test]
#[ignore = "run by scripts/checks/emulated.sh"]
fn each_server_works_with_this_machines_agent() {
    for_each_target(|target| {
        let site = Site::new(&format!("emulated-server-{}", target.name));
        session(&site, &|| site.agent("nas1", &[]), &|| target.server(&site));
    });
}

#[test]
#[ignore = "run by scripts/checks/emulated.sh"]
fn the_crash_line_of_each_agent_leads_to_a_line_of_code() {
    for_each_target(|target| {
        let site = Site::new(&format!("emulated-crash-{}", target.name));
        let agent = target.agent(&site);
        wait_for("the agent's log", || agent.log_text().contains("on port").then_some(()));
        // An agent that waits does so in a system call of the C library. Elsewhere the compiler may have left a place without a line.
        let mut looks_asleep = 0;
        wait_for("a waiting agent", || {
            looks_asleep = if agent.is_asleep() { looks_asleep + 1 } else { 0 };
            (looks_asleep == 10).then_some(())
        });
        agent.signal("SEGV");
        wait_for("the last words", || agent.log_text().contains("crashed: version ").then_some(()));
        let output = Command::new(root().join("scripts/symbolize.sh")).arg(&agent.log).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let is_place = |line: &str| {
            line.rsplit_once(':')
                .is_some_and(|(file, line)| file.contains("/src/") && line.starts_with(|c: char| c.is_ascii_digit() && c != '0'))
        };
        assert!(output.status.success() && said.lines().any(is_place), "{said}");
    });
}
