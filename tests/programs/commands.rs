//! Commands and processes: their output makes events; a command that fails, hangs or misbehaves harms nothing.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{send_signal, skip, wait_for, Event, Program, Site};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

/// Commands run every 60 s, the process list is taken every 20 s: 3 s and 1 s of a test's time.
const FAST: &str = "20";

/// A server and an agent with its configuration in force.
struct Scene {
    site: Site,
    _server: Program,
    agent: Option<Program>,
}

impl Drop for Scene {
    /// An agent that ends by itself ends its commands too.
    fn drop(&mut self) {
        self.agent.take().map(Program::terminate);
    }
}

impl Scene {
    /// `prepare` makes what is in the folder at the start and returns the rules.
    fn new(name: &str, prepare: impl FnOnce(&Site) -> String) -> Self {
        let site = Site::new(&format!("commands-{name}"));
        site.write("pulse", "beat 1\n");
        let pulse =
            format!("run: command=cat {} extract=^(beat) (.+)\nalert_metric: tags=PULSE match=1,beat metric=2\n", site.file("pulse"));
        site.host("h", &(prepare(&site) + &pulse));
        let start = |program: &str, arguments: &[&str]| {
            let log = format!("{program}.out");
            let mut command = site.command(program);
            command.env("PROJECT436_TEST_CLOCK", FAST).args(["-l", &log]).args(arguments);
            Program::start(command, site.path(&log))
        };
        let server = start("ax436", &["ax436.conf"]);
        let agent = start("aa436", &["-n", "h", &site.port.to_string()]);
        site.wait_for_configuration("h", 1);
        Self { site, _server: server, agent: Some(agent) }
    }

    /// Waits until all commands were started that many times more. They are started together.
    fn wait_for_runs(&self, count: usize) {
        let seen = self.site.texts("PULSE").len();
        self.site.wait_for_count("PULSE", seen + count);
    }

    /// The events about that command's state.
    fn states(&self, name: &str) -> Vec<String> {
        self.site.texts("SYSTEM").into_iter().filter(|text| text.contains("Command ") && text.contains(name)).collect()
    }
}

fn script(site: &Site, name: &str, text: &str) -> String {
    // Renamed into place, so that no program is run while it is written.
    let new = format!("{name}.new");
    site.write(&new, &format!("#!/bin/sh\n{text}\n"));
    fs::set_permissions(site.path(&new), fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(site.path(&new), site.path(name)).unwrap();
    site.file(name)
}

/// The process ids that a script wrote into a file, one a line, once there are that many.
fn ids(path: &Path, count: usize) -> Vec<u32> {
    wait_for(&format!("{count} process ids in {path:?}"), || {
        let text = fs::read_to_string(path).ok()?;
        let ids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (ids.len() >= count).then_some(ids)
    })
}

/// Whether a process runs; one that has ended and waits for its parent does not.
fn runs(id: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    status.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).is_some_and(|state| state != 'Z')
}

fn wait_for_death(id: u32) {
    wait_for(&format!("the end of process {id}"), || (!runs(id)).then_some(()));
}

#[test]
fn numbers_above_and_below_their_limits_make_events() {
    let scene = Scene::new("limits", |site| {
        site.write("data", "disk /data 91%\ndisk /other 99%\nnoise\n");
        let data = site.file("data");
        format!(
            "run: command=cat  {data} extract=^disk (\\S+) ([0-9.]+)%\n\
             alert_if: tags=HIGH match=1,/data upper_limit=2,90 message=Disk is nearly full\n\
             alert_if: tags=LOW match=1,/data lower_limit=2,10.5 message=Disk is nearly empty\n\
             alert_metric: tags=USED match=1,/data metric=2\n"
        )
    });
    // The events of a line's limits come before the event of its number.
    let wait_for_used = |used: &str| {
        wait_for(used, || (scene.site.texts("USED").last()? == used).then_some(()));
    };
    wait_for_used("91");
    let high = scene.site.texts("HIGH").len();
    assert!(high >= 1 && scene.site.texts("LOW").is_empty());
    // A number equal to its limit does not pass it.
    for used in ["90", "10.5"] {
        scene.site.write("new", &format!("disk /data {used}%\ndisk /other 99%\n"));
        fs::rename(scene.site.path("new"), scene.site.path("data")).unwrap();
        wait_for_used(used);
    }
    let high = scene.site.texts("HIGH").len();
    scene.site.write("new", "disk /data 10.4%\n");
    fs::rename(scene.site.path("new"), scene.site.path("data")).unwrap();
    wait_for_used("10.4");
    assert_eq!(scene.site.texts("HIGH").len(), high);
    assert_eq!(scene.site.texts("HIGH").last().unwrap(), "Disk is nearly full");
    assert_eq!(scene.site.texts("LOW").first().unwrap(), "Disk is nearly empty");
    let used = scene.site.texts("USED");
    let above = used.iter().filter(|used| *used == "91").count();
    let below = used.iter().filter(|used| *used == "10.4").count();
    assert_eq!((scene.site.texts("HIGH").len(), scene.site.texts("LOW").len()), (above, below), "{used:?}");
    assert!(scene.site.events().iter().filter(|event| event.tags == "HIGH").all(|event| event.file == "NULL"));
    assert_eq!(scene.states("cat"), [""; 0]);
}

#[test]
fn output_that_a_rule_cannot_use_is_reported_once_and_again_when_it_can() {
    let scene = Scene::new("useless", |site| {
        site.write("df", "Filesystem 1K-blocks Use% Mounted on\n/dev/mapper/cachedev_0\n      5763411784  95% /volume1\nsize 1.2G\n");
        let df = site.file("df");
        format!(
            "run: command=cat {df} extract=^(\\S+) .*(\\d+)% /volume1$\n\
             alert_if: tags=VOLUME match=1,/dev/mapper/cachedev_0 upper_limit=2,90 message=Full\n\
             run: command=cat {df} extract=^(size) (\\S+)\nalert_if: tags=SIZE match=1,size upper_limit=2,1 message=Large\n"
        )
    });
    let useless = || -> Vec<_> { scene.states("df").into_iter().filter(|text| text.contains("usable")).collect() };
    wait_for("both reports", || (useless().len() == 2).then_some(()));
    scene.wait_for_runs(2);
    let df = scene.site.file("df");
    let [pattern, number] = &useless()[..] else { panic!("{:?}", useless()) };
    assert!(
        pattern.starts_with(&format!("Command output not usable: cat {df}: extract=^(\\S+) .*(\\d+)% /volume1$ is found in no line: \""))
    );
    assert!(pattern.contains("| 5763411784  95% /volume1"), "{pattern}");
    assert_eq!(*number, format!("Command output not usable: cat {df}: group 2 of extract=^(size) (\\S+) is no number: \"1.2G\""));
    scene.site.write("new", "/dev/mapper/cachedev_0 5763411784  95% /volume1\nsize 2\n");
    fs::rename(scene.site.path("new"), scene.site.path("df")).unwrap();
    wait_for("both to work", || (useless().len() == 4).then_some(()));
    assert!(useless()[2..].iter().all(|text| text.starts_with(&format!("Command output usable again: cat {df}: extract="))));
    scene.site.wait_for_count("SIZE", 1);
}

#[test]
fn a_missing_command_is_reported_once_and_its_return_once() {
    let scene = Scene::new("missing", |site| {
        format!("run: command={} extract=^(value) (.+)\nalert_metric: tags=V match=1,value metric=2\n", site.file("tool"))
    });
    scene.wait_for_runs(2);
    let tool = scene.site.file("tool");
    assert_eq!(scene.states(&tool), [format!("Command failed: {tool}: No such file or directory")]);
    script(&scene.site, "tool", "echo value 7");
    scene.site.wait_for_text("Command works again");
    scene.wait_for_runs(1);
    assert_eq!(scene.states(&tool)[1..], [format!("Command works again: {tool}")]);
    assert!(scene.site.texts("V").iter().all(|value| value == "7"));
    assert!(!scene.site.texts("V").is_empty());
}

#[test]
fn a_failing_command_is_reported_once_and_its_recovery_once() {
    let scene = Scene::new("failing", |site| {
        let tool = script(site, "tool", &format!("echo $$ >> {}\necho value 7\necho no such thing >&2\nexit 3", site.file("runs")));
        format!("run: command={tool} extract=^(value) (.+)\nalert_metric: tags=V match=1,value metric=2\n")
    });
    ids(&scene.site.path("runs"), 2);
    scene.wait_for_runs(1);
    let tool = scene.site.file("tool");
    assert_eq!(scene.states(&tool), [format!("Command failed: {tool}: exit status 3: no such thing")]);
    script(&scene.site, "tool", "echo value 8");
    scene.site.wait_for_text("Command works again");
    scene.wait_for_runs(1);
    assert_eq!(scene.states(&tool)[1..], [format!("Command works again: {tool}")]);
}

#[test]
fn a_command_has_the_interval_the_time_limit_and_the_good_exit_statuses_that_its_rule_gives() {
    let scene = Scene::new("terms", |site| {
        let quick = script(site, "quick", "echo value 7; exit 1");
        let slow = script(site, "slow", "echo value 8; exec sleep 1000");
        format!(
            "run: every=5 ok=0,1 command={quick} extract=^(value) (.+)\nalert_metric: tags=QUICK match=1,value metric=2\n\
             run: timeout=1 command={slow} extract=^(value) (.+)\nalert_metric: tags=SLOW match=1,value metric=2\n"
        )
    });
    scene.site.wait_for_text("did not end within 1 second");
    scene.wait_for_runs(2);
    let (quick, slow) = (scene.site.texts("QUICK").len(), scene.site.texts("SLOW").len());
    assert!(quick > 3 * slow, "{quick} runs every 5 seconds, {slow} every 60");
    assert_eq!(scene.states("quick"), [""; 0]);
    assert_eq!(scene.states("slow"), [format!("Command failed: {}: did not end within 1 second", scene.site.file("slow"))]);
}

#[test]
fn a_plugin_of_nagios_alerts_by_its_exit_status_and_each_value_by_its_own_number() {
    let scene = Scene::new("status", |site| {
        let check = script(site, "check", "echo \"DISK CRITICAL - free space: / 1%\"\nexit 2");
        site.write("df", "/ 95\n/home 7\n/mnt 96\n");
        format!(
            "run: every=5 command={check}\nalert_if: tags=STATUS match=status upper_limit=status,1 repeat=0 text={{line}}\ncleared: Well\n\
             run: every=5 command=cat {} extract=^(\\S+) (\\d+)$\n\
             alert_if: tags=EACH match=1 upper_limit=2,90 repeat=0 text={{1}} is full\ncleared: Room\n",
            site.file("df")
        )
    });
    scene.site.wait_for_text("DISK CRITICAL - free space: / 1%");
    wait_for("both mounts", || (scene.site.texts("EACH") == ["/ is full", "/mnt is full"]).then_some(()));
    script(&scene.site, "check", "exit 1");
    scene.site.write("new", "/ 95\n/home 7\n");
    fs::rename(scene.site.path("new"), scene.site.path("df")).unwrap();
    wait_for("both ends", || {
        (scene.site.texts("EACH").last()? == "Room [/mnt]" && scene.site.texts("STATUS").last()? == "Well").then_some(())
    });
    scene.wait_for_runs(1);
    assert_eq!(scene.site.texts("EACH").len(), 3);
    assert_eq!(scene.site.texts("STATUS"), ["DISK CRITICAL - free space: / 1%", "Well"]);
    assert_eq!(scene.states("check"), [""; 0]);
}

#[test]
fn the_plugins_of_debian_work_unchanged() {
    let plugins = Path::new("/usr/lib/nagios/plugins");
    if !plugins.join("check_disk").exists() || !plugins.join("check_procs").exists() {
        return skip("the_plugins_of_debian_work_unchanged", "it needs monitoring-plugins-basic");
    }
    let scene = Scene::new("plugins", |_| {
        let rule = |check: &str, tags: &str, limit: u8| {
            let alert = format!("alert_if: tags={tags} match=status upper_limit=status,{limit} message=m\n");
            format!("run: command={}/{check}\n{alert}alert_metric: tags={tags}_STATUS match=status metric=status\n", plugins.display())
        };
        rule("check_disk -w 0% -c 0% -p /", "FINE", 0)
            + &rule("check_procs -w 0:0 -c 0:100000", "WARNING", 0)
            + &rule("check_procs -c 0:0", "CRITICAL", 1)
            + &rule("check_dummy 3", "UNKNOWN", 2)
    });
    let status = |tags: &str| scene.site.wait_for_count(&format!("{tags}_STATUS"), 1);
    ["FINE", "WARNING", "CRITICAL", "UNKNOWN"].iter().for_each(|tags| drop(status(tags)));
    for (tags, status) in [("FINE", "0"), ("WARNING", "1"), ("CRITICAL", "2"), ("UNKNOWN", "3")] {
        assert_eq!(scene.site.texts(&format!("{tags}_STATUS"))[0], status, "{tags}");
        assert_eq!(scene.site.texts(tags).is_empty(), tags == "FINE", "{tags}");
    }
    assert_eq!(scene.states("check_"), [""; 0]);
}

#[test]
fn a_hanging_command_dies_with_its_children_while_all_else_goes_on() {
    let scene = Scene::new("hanging", |site| {
        site.append("log", "");
        // The grandchild is started by a child that does not wait for it.
        let child = format!("sleep 1000 & echo $! >> {0}", site.file("ids"));
        let tool = script(site, "tool", &format!("echo $$ >> {0}\nsh -c '{child}; sleep 1000' &\necho $! >> {0}\nwait", site.file("ids")));
        let log = format!("file: {}\nmatch: line\nalert_all: tags=LOG\n", site.file("log"));
        log + &format!("run: command={tool} extract=(x)\nalert_metric: tags=V match=1,x metric=1\n")
    });
    let ids = ids(&scene.site.path("ids"), 3);
    let running = ids[..3].iter().filter(|id| runs(**id)).count();
    scene.site.append("log", "line while it hangs\n");
    scene.site.wait_for_text("line while it hangs");
    let failed = scene.site.wait_for_text("Command failed");
    assert_eq!(running, 3, "they ran");
    let tool = scene.site.file("tool");
    assert_eq!(failed.text, format!("Command failed: {tool}: did not end within 30 seconds"));
    let texts: Vec<_> = scene.site.events().into_iter().map(|event| event.text).collect();
    let place = |text: &str| texts.iter().position(|known| known == text).unwrap();
    assert!(place("line while it hangs") < place(&failed.text));
    ids[..3].iter().for_each(|id| wait_for_death(*id));
    wait_for("the agent to reap it", || (!Path::new(&format!("/proc/{}", ids[0])).exists()).then_some(()));
    // The next run hangs too, which is no news.
    self::ids(&scene.site.path("ids"), 6);
    script(&scene.site, "tool", "echo well");
    scene.site.wait_for_text("Command works again");
    assert_eq!(scene.states(&tool), [failed.text, format!("Command works again: {tool}")]);
}

#[test]
fn what_left_the_session_of_a_command_ends_with_it_when_it_is_killed() {
    let scene = Scene::new("session", |site| {
        let ids = site.file("ids");
        let sleeper = format!("sh -c \"echo \\$\\$ >> {ids}; exec sleep 1000\"");
        // A child with a session of its own, one without the environment, and one whose parent has ended.
        let text = format!("setsid {sleeper} &\nenv -i setsid {sleeper} &\n(setsid {sleeper} &)\nsleep 1000");
        format!("run: command={} extract=(x)\nalert_metric: tags=V match=1,x metric=1\n", script(site, "tool", &text))
    });
    let left = ids(&scene.site.path("ids"), 3);
    assert_eq!(left[..3].iter().filter(|id| runs(**id)).count(), 3);
    scene.site.wait_for_text("did not end within 30 seconds");
    for id in &left[..3] {
        wait_for(&format!("the agent to reap {id}"), || (!Path::new(&format!("/proc/{id}")).exists()).then_some(()));
    }
}

#[test]
fn a_daemon_that_a_command_has_started_stays_and_is_reaped() {
    let scene = Scene::new("daemon", |site| {
        let ids = site.file("ids");
        let text =
            format!("[ -s {ids} ] || setsid sh -c 'echo $$ > {ids}; exec sleep 1000' &\nuntil [ -s {ids} ]; do :; done\necho value 7");
        format!("run: command={} extract=^(value) (.+)\nalert_metric: tags=V match=1,value metric=2\n", script(site, "tool", &text))
    });
    let daemon = ids(&scene.site.path("ids"), 1)[0];
    scene.site.wait_for_count("V", 3);
    assert!(runs(daemon));
    assert!(crate::harness::send_signal("KILL", &daemon.to_string()));
    wait_for("the agent to reap it", || (!Path::new(&format!("/proc/{daemon}")).exists()).then_some(()));
}

#[test]
fn commands_print_numbers_and_messages_for_programs() {
    let scene = Scene::new("locale", |site| {
        let tool = script(site, "tool", "echo \"value $LC_NUMERIC $LC_MESSAGES ${LC_ALL-none} ${PATH:+path}\"");
        format!("run: command={tool} extract=^(value) (.+)\nalert_metric: tags=V match=1,value metric=2\n")
    });
    assert_eq!(scene.site.wait_for_count("V", 1)[0], "C C none path");
}

#[test]
fn the_end_of_the_agent_ends_its_commands() {
    let mut scene = Scene::new("end", |site| {
        let tool = script(site, "tool", &format!("echo $$ >> {0}\nsleep 1000 &\necho $! >> {0}\nwait", site.file("ids")));
        let feed = script(site, "feed", &format!("echo $$ > {}\nsleep 1000", site.file("feeder")));
        format!("run: command={tool} extract=(x)\nalert_metric: tags=V match=1,x metric=1\nfile: |{feed}\nmatch: x\nalert_all: tags=F\n")
    });
    let started = [ids(&scene.site.path("ids"), 2), ids(&scene.site.path("feeder"), 1)].concat();
    assert_eq!(scene.agent.take().unwrap().terminate(), 0);
    started.into_iter().for_each(wait_for_death);
}

#[test]
fn output_beyond_a_mebibyte_is_not_read() {
    let scene = Scene::new("output", |site| {
        let text = "echo value first\nyes filler | head -c 4000000\necho value last\ntouch done";
        let tool = script(site, "tool", &format!("cd {}\n{text}", site.folder.display()));
        format!("run: command={tool} extract=^(value) (.+)\nalert_metric: tags=V match=1,value metric=2\n")
    });
    scene.site.wait_for_count("V", 2);
    scene.wait_for_runs(1);
    assert!(scene.site.texts("V").iter().all(|value| value == "first"));
    assert!(!scene.site.path("done").exists());
    assert_eq!(scene.states("tool"), [""; 0]);
}

#[test]
fn a_child_left_behind_that_holds_the_pipe_is_ended_with_its_command() {
    let scene = Scene::new("behind", |site| {
        let text = format!("sleep 1000 &\necho $! >> {}\nprintf 'value 7'", site.file("ids"));
        format!("run: command={} extract=^(value) (.+)\nalert_metric: tags=V match=1,value metric=2\n", script(site, "tool", &text))
    });
    let left = ids(&scene.site.path("ids"), 1);
    assert_eq!(scene.site.wait_for_count("V", 2)[..2], ["7", "7"]);
    wait_for_death(left[0]);
    assert_eq!(scene.states("tool"), [""; 0]);
}

#[test]
fn the_output_of_a_command_is_followed_and_the_command_is_restarted() {
    let scene = Scene::new("feed", |site| {
        let count = site.file("count");
        // The last line of each run has no newline.
        let text = format!("echo >> {count}\nn=$(wc -l < {count})\necho line a$n\necho other\nprintf \"line b$n\"");
        let feed = script(site, "feed", &text);
        let missing = site.file("nothing");
        format!(
            "file: |{feed}  now\nmatch: line\nalert_all: tags=F\n\
             file: |{missing}\nmatch: line\nalert_all: tags=G\n"
        )
    });
    let texts = scene.site.wait_for_count("F", 6);
    assert_eq!(texts[..6], ["line a1", "line b1", "line a2", "line b2", "line a3", "line b3"]);
    let field = format!("|{} now", scene.site.file("feed"));
    let events: Vec<Event> = scene.site.events();
    assert!(events.iter().filter(|event| event.tags == "F").all(|event| event.file == field));
    scene.wait_for_runs(1);
    let missing = format!("|{}", scene.site.file("nothing"));
    let about = |path: &str| -> Vec<_> { scene.site.texts("SYSTEM").into_iter().filter(|text| text.contains(path)).collect() };
    assert_eq!(about(&missing), [format!("Cannot read {missing}: No such file or directory")]);
    assert_eq!(about(&field), [""; 0]);
    script(&scene.site, "nothing", "while echo line here; do sleep 1000; done");
    scene.site.wait_for_count("G", 1);
    scene.site.wait_for_text(&format!("Can read {missing} again"));
    assert_eq!(about(&missing).len(), 2);
}

#[test]
fn processes_are_counted_in_what_ps_command_prints() {
    let scene = Scene::new("ps", |site| {
        site.write("table", "1 init\n2 cron\n3 cron\n");
        format!(
            "ps_command: cat {}\nprocess: sshd$\nalert_running: tags=SSH min=1 max=2 message=Number of sshd\n\
             process: cron\nalert_running: tags=CRON min=0 max=1 message=Number of cron\n\
             process: init\nalert_running: tags=INIT min=1 max=1 message=Number of init\n",
            site.file("table")
        )
    });
    assert_eq!(scene.site.wait_for_count("SSH", 2)[0], "Number of sshd [0]");
    assert_eq!(scene.site.wait_for_count("CRON", 2)[0], "Number of cron [2]");
    let times: Vec<u64> = scene.site.events().iter().filter(|event| event.tags == "SSH").map(|event| event.unix).collect();
    assert!(times[1] - times[0] >= 39, "again after two more samples: {times:?}");
    assert!(!scene.site.texts("SYSTEM").iter().any(|text| text.starts_with("Process check")));
    scene.site.write("new", "1 init\n2 cron\n4 sshd\n");
    fs::rename(scene.site.path("new"), scene.site.path("table")).unwrap();
    let clear = scene.site.wait_for_text("Process check: All clear");
    assert_eq!((&*clear.tags, &*clear.file), ("SYSTEM", "NULL"));
    let last = scene.site.events().iter().filter(|event| event.tags == "SSH").map(|event| event.unix).max().unwrap();
    assert!(clear.unix - last >= 69, "{} {last}", clear.unix);
    assert_eq!(scene.site.texts("INIT"), [""; 0]);
    fs::remove_file(scene.site.path("table")).unwrap();
    scene.site.wait_for_text("Command failed: cat");
    scene.wait_for_runs(1);
    scene.site.write("table", "1 init\n4 sshd\n");
    scene.site.wait_for_text("Command works again: cat");
    assert_eq!(scene.states(&scene.site.file("table")).len(), 2);
    assert_eq!(scene.site.texts("INIT"), [""; 0], "no list is no empty list");
}

#[test]
fn processes_are_counted_by_their_user_their_parent_and_their_container() {
    if !fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0) {
        return skip("processes_are_counted_by_their_user_their_parent_and_their_container", "it needs root");
    }
    let scene = Scene::new("filters", |site| {
        fs::copy("/bin/sleep", site.path("napper")).unwrap();
        script(site, "master", &format!("{} 1003 &\nwait", site.file("napper")));
        let rule = |tags: &str, term: &str| {
            let alert = format!("alert_running: tags={tags} min=99 max=99 {term} every=5 for=1 message=Nappers");
            format!("process: ^{} 100\n{alert}\n", site.file("napper"))
        };
        let parent = format!("parent={}$", site.file("master"));
        // The list of a command is another one.
        String::from("ps_command: echo none\n")
            + &rule("LISTED", "")
            + &rule("HOST", "container=no")
            + &rule("CONTAINER", "container=yes")
            + &rule("NAME", "user=nobody")
            + &rule("NUMBER", "user=65534 container=no")
            + &rule("NOBODY", "user=no-such-user")
            + &rule("CHILD", &parent)
    });
    let start = |program: &str, arguments: &[&str], user: u32| {
        let mut command = Command::new(program);
        command.args(arguments).uid(user).process_group(0);
        Killed(command.spawn().unwrap())
    };
    let (napper, master) = (scene.site.file("napper"), scene.site.file("master"));
    let _nappers = [
        start(&napper, &["1000"], 0),
        start("unshare", &["--pid", "--fork", "--kill-child", &napper, "1001"], 0),
        start(&napper, &["1002"], 65534),
        start(&master, &[], 0),
    ];
    for (tags, count) in [("HOST", 3), ("CONTAINER", 1), ("NAME", 1), ("NUMBER", 1), ("CHILD", 1), ("LISTED", 0), ("NOBODY", 0)] {
        let text = format!("Nappers [{count}]");
        wait_for(&format!("{tags} {text}"), || (scene.site.texts(tags).last()? == &text).then_some(()));
    }
    let unknown = scene.site.texts("SYSTEM").into_iter().filter(|text| text.starts_with("Unknown user: ")).collect::<Vec<_>>();
    assert_eq!(unknown, ["Unknown user: no-such-user: /etc/passwd has no number with this name first"]);
}

/// A process that ends with all of its group.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        send_signal("KILL", &format!("-{}", self.0.id()));
        let _ = self.0.wait();
    }
}

#[test]
fn processes_are_counted_without_ps_command() {
    let scene = Scene::new("proc", |site| {
        let daemon = script(site, "a daemon", "echo $$ > id\nread line");
        format!("process: {daemon} of two words$\nalert_running: tags=D min=1 max=1 message=Daemons\n")
    });
    assert_eq!(scene.site.wait_for_count("D", 1), ["Daemons [0]"]);
    let mut command = Command::new("sh");
    command.current_dir(&scene.site.folder).arg(scene.site.file("a daemon")).args(["of", "two words"]);
    command.stdin(std::process::Stdio::piped());
    let mut daemon = command.spawn().unwrap();
    scene.site.wait_for_text("Process check: All clear");
    let before = scene.site.texts("D").len();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(scene.site.wait_for_count("D", before + 1)[before], "Daemons [0]");
}

#[test]
fn a_zombie_and_an_agent_that_names_it_are_no_running_daemon() {
    let scene = Scene::new("zombie", |site| {
        std::os::unix::fs::symlink("/bin/true", site.path("backupd")).unwrap();
        format!(
            "process: backupd\nalert_running: tags=DEAD min=1 max=9 message=Daemons\n\
             process: h {}\nalert_running: tags=PORT min=1 max=9 message=Programs with this port\n\
             process: aa436.* h {}\nalert_running: tags=AGENT min=2 max=9 message=Agents\n",
            site.port, site.port
        )
    });
    // Not waited for until the end of the test.
    let mut zombie = Command::new(scene.site.path("backupd")).spawn().unwrap();
    wait_for("the zombie", || (!runs(zombie.id())).then_some(()));
    let counts = ["DEAD", "PORT", "AGENT"].map(|tags| scene.site.wait_for_count(tags, 2)[1].clone());
    assert_eq!(counts, ["Daemons [0]", "Programs with this port [0]", "Agents [1]"]);
    zombie.wait().unwrap();
}

#[test]
fn the_built_in_commands_report_what_the_system_reports() {
    let scene = Scene::new("builtin", |_| {
        "run: command=@df extract=^(/proc/none|/) (\\d+)% (\\d+)% (\\d+) (\\d+)$\n\
         alert_metric: tags=DISK match=1,/ metric=5\n\
         run: command=@load extract=^(load) (\\S+ \\S+ \\S+)$\n\
         alert_metric: tags=LOAD match=1,load metric=2\n\
         run: command=@mem extract=^(mem|swap) (\\d+)% (\\d+) (\\d+)$\n\
         alert_metric: tags=MEM match=1,mem metric=4\n\
         alert_if: tags=MEMIF match=1,mem lower_limit=3,1 message=No memory\n\
         run: command=@uptime extract=^(up) (\\d+)$\n\
         alert_metric: tags=UP match=1,up metric=2\n"
            .into()
    });
    scene.wait_for_runs(1);
    let first = |tags: &str| scene.site.wait_for_count(tags, 1)[0].clone();
    let table = |path: &str| fs::read_to_string(path).unwrap();
    let total =
        table("/proc/meminfo").lines().find_map(|line| Some(line.strip_prefix("MemTotal:")?.trim().trim_end_matches(" kB").to_string()));
    assert_eq!(first("MEM"), total.unwrap());
    let up: f64 = table("/proc/uptime").split(' ').next().unwrap().parse().unwrap();
    let said: f64 = first("UP").parse().unwrap();
    assert!(said <= up && up - said < 60.0, "{said} {up}");
    assert!(first("LOAD").split(' ').all(|load| load.parse::<f64>().is_ok()));
    let df = Command::new("df").args(["-kP", "/"]).output().unwrap();
    let blocks = String::from_utf8(df.stdout).unwrap().lines().nth(1).unwrap().split_whitespace().nth(1).unwrap().to_string();
    assert_eq!(first("DISK"), blocks);
    assert_eq!(scene.site.texts("MEMIF"), [""; 0]);
    assert_eq!(scene.states("@"), [""; 0]);
}
