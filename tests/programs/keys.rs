//! Key files: generated, checked, refused where others can read them, and changed without an outage.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{binary, free_port, skip, wait_for, Program, Site};
use crate::relay::secret;
use project436::wire::auth::Key;
use std::fs;
use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

fn server(site: &Site, arguments: &[&str]) -> Output {
    site.command("ax436").args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A site with a server that has these keys.
fn site(name: &str, keys: &str) -> Site {
    let site = Site::new(name);
    site.write("ax436.conf", &site.server_file("127.255.255.255", "key_file: keys\n"));
    secret(&site, "keys", keys);
    site.append("app.log", "");
    site.host("nas1", &format!("file: {}\nmatch: line\nalert_all: tags=APP\n", site.file("app.log")));
    site
}

#[test]
fn each_generated_key_is_different() {
    let site = Site::new("keys-new");
    let keys: Vec<_> = (0..3).map(|_| text(&server(&site, &["-g"]).stdout)).collect();
    for key in &keys {
        assert!(key.len() == 65 && Key::parse(key.trim_end()).is_some(), "{key}");
    }
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
}

#[test]
fn the_key_of_a_host_derives_from_the_master_key_and_admits_it() {
    let master = Key::new([0x11; 32]);
    let site = site("keys-master", &format!("* {}\nown {}\n", master.emit(), Key::new([1; 32]).emit()));
    let derived = server(&site, &["-g", "nas1"]);
    assert_eq!((derived.status.code(), text(&derived.stdout)), (Some(0), master.of_host("nas1").emit() + "\n"));
    assert_eq!(server(&site, &["-g", "nas1", "ax436.conf"]).stdout, derived.stdout);
    assert_eq!(text(&derived.stderr), "");
    let unknown = text(&server(&site, &["-g", "nas2"]).stderr);
    assert_eq!(unknown, "warning: there is no host file nas2 in hosts: an agent of this name gets no configuration\n");
    let own = server(&site, &["-g", "own"]);
    assert_eq!((own.status.code(), text(&own.stdout)), (Some(2), String::new()));
    assert_eq!(text(&own.stderr), "ax436: own has a line of its own in keys, which counts instead of the master key\n");

    secret(&site, "key", &text(&derived.stdout));
    let (_server, _agent) = (site.server(), site.agent("nas1", &["-k", "key"]));
    site.wait_for_configuration("nas1", 1);
    site.append("app.log", "line 1\n");
    assert_eq!(site.wait_for_count("APP", 1), ["line 1"]);
}

#[test]
fn a_key_file_that_others_can_read_or_that_is_wrong_is_refused() {
    let key = Key::new([1; 32]).emit();
    let site = site("keys-refused", &format!("nas1 {key}\n"));
    for mode in [0o644, 0o640, 0o604, 0o620] {
        fs::set_permissions(site.path("keys"), fs::Permissions::from_mode(mode)).unwrap();
        let expected = format!("the key file keys can be read or written by others than its owner (mode {mode:04o}); chmod 600 keys\n");
        for arguments in [&["-t", "ax436.conf"][..], &["ax436.conf"], &["-g", "nas2"]] {
            let output = server(&site, arguments);
            assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), format!("ax436: {expected}")));
        }
        let agent = site.command("aa436").args(["-k", "keys", &site.port.to_string()]).output().unwrap();
        assert_eq!((agent.status.code(), text(&agent.stderr)), (Some(2), format!("aa436: {expected}")));
    }
    secret(&site, "keys", &format!("nas1 {key}\nnas1 {}\n", &key[1..]));
    let output = server(&site, &["-t", "ax436.conf"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "keys:2: nas1: the key is not 64 hexadecimal digits in lower case\n");
    let missing = site.command("aa436").args(["-k", "none", &site.port.to_string()]).output().unwrap();
    assert_eq!(text(&missing.stderr), "aa436: cannot read the key file none: No such file or directory\n");
    secret(&site, "keys", &format!("nas1 {key}\n"));
    assert_eq!(server(&site, &["-t", "ax436.conf"]).status.code(), Some(0));
}

#[test]
fn a_key_file_of_another_user_is_refused() {
    let site = site("keys-owner", &format!("nas1 {}\n", Key::new([1; 32]).emit()));
    secret(&site, "key", &format!("{}\n", Key::new([1; 32]).emit()));
    if ["keys", "key"].iter().any(|file| chown(site.path(file), Some(65_534), None).is_err()) {
        return skip("a_key_file_of_another_user_is_refused", "needs root");
    }
    let refused = |file: &str| format!("the key file {file} belongs to another user (number 65534) than this program and root; chown it\n");
    for arguments in [&["-t", "ax436.conf"][..], &["ax436.conf"], &["-g", "nas2"]] {
        let output = server(&site, arguments);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), format!("ax436: {}", refused("keys"))));
    }
    let agent = site.command("aa436").args(["-k", "key", &site.port.to_string()]).output().unwrap();
    assert_eq!((agent.status.code(), text(&agent.stderr)), (Some(2), format!("aa436: {}", refused("key"))));

    // The user that -u names may own it, and so may root.
    fs::set_permissions(site.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    chown(site.path("keys"), Some(0), None).unwrap();
    let (_server, agent) = (site.server(), site.agent("nas1", &["-k", "key", "-u", "65534"]));
    site.wait_for_configuration("nas1", 1);
    chown(&agent.log, Some(65_534), None).unwrap();
    agent.signal("HUP");
    wait_for("the key to be read by its owner", || agent.log_text().contains("the key file was read again").then_some(()));
    secret(&site, "key", &format!("{}\n", Key::new([1; 32]).emit()));
    chown(site.path("key"), Some(65_533), None).unwrap();
    agent.signal("HUP");
    wait_for("the complaint", || agent.log_text().contains("the keys that were read before stay").then_some(()));
}

#[test]
fn no_program_of_the_same_user_reads_the_memory_in_which_keys_are() {
    let test = "no_program_of_the_same_user_reads_the_memory_in_which_keys_are";
    let site = site("keys-memory", &format!("nas1 {}\n", Key::new([1; 32]).emit()));
    secret(&site, "key", &format!("{}\n", Key::new([1; 32]).emit()));
    fs::set_permissions(&site.folder, fs::Permissions::from_mode(0o777)).unwrap();
    if ["keys", "key"].iter().any(|file| chown(site.path(file), Some(65_534), None).is_err()) {
        return skip(test, "needs root");
    }
    let port = site.port.to_string();
    for (program, arguments) in [("ax436", vec!["-l", "-", "ax436.conf"]), ("aa436", vec!["-n", "nas1", "-l", "-", "-k", "key", &port])] {
        // The folder of the programs may be closed to that user.
        fs::copy(binary(program), site.path(program)).unwrap();
        let mut command = Command::new(site.path(program));
        command.args(arguments).current_dir(&site.folder).uid(65_534).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let owner = |file: &str| fs::metadata(format!("/proc/{}/{file}", child.id())).map(|meta| meta.uid());
        // The system gives root the files by which a process could be debugged, where that is forbidden.
        let is_closed = || (owner("mem").ok() == Some(0)).then_some(());
        wait_for(&format!("the memory of {program} to be closed"), is_closed);
        assert_eq!(fs::metadata(format!("/proc/{}", child.id())).unwrap().uid(), 65_534, "it is that user's");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_key_is_changed_without_an_outage() {
    let (old, new) = (Key::new([1; 32]).emit(), Key::new([2; 32]).emit());
    let site = site("keys-rotation", &format!("nas1 {old}\n"));
    secret(&site, "key", &format!("{old}\n"));
    let (server, agent) = (site.server(), site.agent("nas1", &["-k", "key"]));
    site.wait_for_configuration("nas1", 1);
    let mut lines = Vec::new();
    let mut works = |what: &str| {
        site.append("app.log", format!("line {what}\n"));
        lines.push(format!("line {what}"));
        assert_eq!(site.wait_for_count("APP", lines.len()), lines);
    };
    let reload = |program: &Program| {
        let before = program.log_text().matches("the key file was read again").count();
        program.signal("HUP");
        wait_for("the key file to be read", || (program.log_text().matches("the key file was read again").count() > before).then_some(()));
    };
    works("with the old key");
    secret(&site, "keys", &format!("nas1 {old}\nnas1 {new}\n"));
    reload(&server);
    works("that has two");
    secret(&site, "key", &format!("{new}\n"));
    reload(&agent);
    works("with the new key");
    secret(&site, "keys", &format!("nas1 {new}\n"));
    reload(&server);
    works("that has one");
    // A file that cannot be used changes nothing.
    site.write("keys", "nas1 nonsense\n");
    server.signal("HUP");
    wait_for("the complaint", || server.log_text().contains("the keys that were read before stay").then_some(()));
    works("in spite of nonsense");
    assert_eq!(agent.log_text().matches("in force").count(), 1, "{}", agent.log_text());

    // The key is withdrawn: the server no longer accepts the agent.
    secret(&site, "keys", &format!("nas1 {}\n", Key::new([3; 32]).emit()));
    reload(&server);
    site.append("app.log", "line of a host without its key\n");
    site.wait_for_text("Host is inactive");
    assert_eq!(site.texts("APP"), lines);
    let logs = server.log_text() + &agent.log_text();
    assert!(!logs.contains(&old[..16]) && !logs.contains(&new[..16]), "no key in any log");
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

#[test]
fn a_key_that_was_replaced_at_the_agent_commands_it_no_more() {
    let (old, new) = (Key::new([1; 32]).emit(), Key::new([2; 32]).emit());
    let site = site("keys-replaced", &format!("nas1 {old}\n"));
    secret(&site, "key", &format!("{old}\n"));
    let (_server, agent) = (site.server(), site.agent("nas1", &["-k", "key"]));
    site.wait_for_configuration("nas1", 1);
    secret(&site, "key", &format!("{new}\n"));
    agent.signal("HUP");
    wait_for("the end of the session", || {
        agent.log_text().contains("session ended: its key is not in the key file any more").then_some(())
    });
    site.host("nas1", &format!("file: {}\nmatch: other\nalert_all: tags=APP\n", site.file("app.log")));
    wait_for("the server to be asked in vain", || agent.log_text().contains("does not prove").then_some(()));
    assert_eq!(agent.log_text().matches("in force").count(), 1, "{}", agent.log_text());
}

#[test]
fn hosts_without_a_key_are_refused_unless_their_line_says_open() {
    let site = site("keys-open", &format!("nas1 open\nnas2 {}\n", Key::new([1; 32]).emit()));
    site.append("other.log", "");
    site.host("nas2", &format!("file: {}\nmatch: line\nalert_all: tags=OTHER\n", site.file("other.log")));
    let (server, _nas1) = (site.server(), site.agent("nas1", &[]));
    site.wait_for_configuration("nas1", 1);
    let mut command = site.command("aa436");
    let own = free_port();
    command.args(["-n", "nas2", "-l", "nas2.log", "-s", &format!("127.0.0.1:{}", site.port), &own.to_string()]);
    let nas2 = Program::start(command, site.path("nas2.log"));
    wait_for("its own log to say why", || {
        let text = "server 127.0.0.1 requires a key of this host, and this agent has none (-k)";
        (nas2.log_text().matches(text).count() == 1).then_some(())
    });
    wait_for("the refusal", || server.log_text().contains("with a wrong MAC").then_some(()));
    site.append("other.log", "line 1\n");
    site.append("app.log", "line 2\n");
    assert_eq!(site.wait_for_count("APP", 1), ["line 2"]);
    wait_for("the host to be missed", || site.events().iter().any(|e| e.host == "nas2" && e.text == "Host is inactive").then_some(()));
    assert!(!site.events().iter().any(|event| event.host == "nas2" && !event.is_of_server()));
    assert!(!nas2.log_text().contains("in force: 1"), "{}", nas2.log_text());
    for (program, open) in [(&nas2, true), (&server, false)] {
        assert_eq!(program.log_text().contains("open: "), open);
    }
}
