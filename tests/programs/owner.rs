//! What the owner of a device allows on the agent's command line holds against every request of a server.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{skip, wait_for, Site};
use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};

/// A rule that makes each line that a command prints an event.
fn run(command: &str, tag: &str) -> String {
    format!("run: command={command} extract=(.+)\nalert_metric: tags={tag} match=0,x metric=1\n").replace("match=0,x", "match=1,ran")
}

fn follow(path: &str, tag: &str) -> String {
    format!("file: {path}\nmatch: line\nalert_all: tags={tag}\n")
}

/// A command that leaves a trace, in a folder without spaces in its path.
fn script(site: &Site, name: &str) -> String {
    let path = site.file(name);
    site.write(name, &format!("#!/bin/sh\necho \"$*\" >>{path}.ran\necho ran\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn without_permission_no_command_runs_and_the_rest_of_the_configuration_works() {
    let site = Site::new("owner-none");
    let tool = script(&site, "tool");
    site.append("app.log", "");
    let rules = [
        run(&tool, "RUN"),
        format!("file: |{tool} follow\nmatch: .\nalert_all: tags=PIPE\n"),
        format!("ps_command: {tool} list\nprocess: .\nalert_running: tags=PS min=100000 max=100000 message=processes\n"),
        "run: command=@load extract=(load) (.*)\nalert_metric: tags=LOAD match=1,load metric=2\n".into(),
        follow(&site.file("app.log"), "APP"),
    ];
    site.host("nas1", &rules.concat());
    let (server, agent) = (site.server(), site.agent("nas1", &["-x"]));
    for refused in [format!("run: command={tool}"), format!("file: |{tool} follow"), format!("ps_command: {tool} list")] {
        site.wait_for_text(&format!("Refused by this host: {refused}"));
    }
    site.wait_for_configuration("nas1", 1);
    site.append("app.log", "line 1\n");
    assert_eq!(site.wait_for_count("APP", 1), ["line 1"]);
    // By then, commands that run every 60 s are due a second time.
    site.wait_for_count("LOAD", 2);
    assert!(site.wait_for_count("PS", 1)[0].starts_with("processes ["), "processes are counted all the same");
    assert!(!site.path("tool.ran").exists());
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

#[test]
fn only_commands_that_a_pattern_matches_whole_are_run() {
    let site = Site::new("owner-some");
    let (tool, other) = (script(&site, "tool"), script(&site, "other"));
    let lines = [format!("{tool} a"), format!("{tool} b"), format!("{tool} a x"), other.clone()];
    site.host("nas1", &lines.iter().map(|line| run(line, "RUN")).collect::<String>());
    let (_server, _agent) = (site.server(), site.agent("nas1", &["-a", &format!("{tool} [ab]"), "-a", "nothing"]));
    for refused in &lines[2..] {
        site.wait_for_text(&format!("Refused by this host: run: command={refused}"));
    }
    wait_for("both to be run twice", || {
        let ran = fs::read_to_string(site.path("tool.ran")).unwrap_or_default();
        (ran.matches("a\n").count() >= 2 && ran.matches("b\n").count() >= 2).then_some(())
    });
    assert!(!fs::read_to_string(site.path("tool.ran")).unwrap().contains("a x"));
    assert!(!site.path("other.ran").exists());
}

#[test]
fn files_elsewhere_are_not_followed_however_they_are_named() {
    let site = Site::new("owner-files");
    for folder in ["logs", "logs/sub", "private", "logs-not"] {
        fs::create_dir(site.path(folder)).unwrap();
    }
    let secrets = ["private/secret", "logs-not/secret", "private/linked"];
    for name in ["logs/good", "logs/sub/deep", "private/linked-file"].iter().chain(&secrets) {
        site.append(name, "");
    }
    symlink(site.path("private/secret"), site.path("logs/link")).unwrap();
    symlink(site.path("private"), site.path("logs/folder")).unwrap();
    symlink(site.path("logs/good"), site.path("logs/inner")).unwrap();
    let refused = [
        site.file("private/secret"),
        site.file("logs/../private/secret"),
        site.file("logs/link"),
        site.file("logs/folder/secret"),
        site.file("logs-not/secret"),
        site.file("private/does-not-exist"),
    ];
    let allowed = [site.file("logs/good"), site.file("logs/sub/../good"), site.file("logs/sub/deep"), site.file("logs/inner")];
    let rules: String = refused.iter().map(|path| follow(path, "BAD")).chain(allowed.iter().map(|path| follow(path, "GOOD"))).collect();
    let wildcards = follow(&site.file("*/secret"), "BAD") + &follow(&site.file("logs/*"), "GLOB");
    site.host("nas1", &(rules + &wildcards));
    let (server, agent) = (site.server(), site.agent("nas1", &["-f", "logs"]));
    for path in &refused {
        site.wait_for_text(&format!("Cannot read {path}: refused"));
    }
    for wildcard in ["*/secret", "logs/*"] {
        site.wait_for_text(&format!("Cannot read {}: files that are not below what -f allows are refused", site.file(wildcard)));
    }
    site.wait_for_configuration("nas1", 1);
    secrets.iter().for_each(|name| site.append(name, "a secret line\n"));
    site.append("logs/good", "line good\n");
    site.append("logs/sub/deep", "line deep\n");
    let mut good = site.wait_for_count("GOOD", 4);
    good.sort();
    assert_eq!(good, ["line deep", "line good", "line good", "line good"]);
    assert!(site.wait_for_count("GLOB", 1).contains(&"line good".to_string()));

    // A link replaces a followed file: neither its target nor the file under the old name is read.
    fs::remove_file(site.path("logs/good")).unwrap();
    symlink(site.path("private/secret"), site.path("logs/good")).unwrap();
    site.wait_for_text(&format!("Cannot read {}: refused", site.file("logs/good")));
    site.append("private/secret", "a secret line\n");
    site.append("logs/sub/deep", "line marker\n");
    site.wait_for_count("GOOD", 5);
    assert!(!site.lines().iter().any(|line| line.contains("a secret line")));
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

#[test]
fn whether_a_file_elsewhere_exists_is_not_told() {
    let site = Site::new("owner-oracle");
    for folder in ["logs", "private"] {
        fs::create_dir(site.path(folder)).unwrap();
    }
    site.append("private/here", "");
    symlink(site.path("private/here"), site.path("logs/to-here")).unwrap();
    symlink(site.path("private/gone"), site.path("logs/to-gone")).unwrap();
    // Each pair differs in what exists. The last column says whether a part of the pattern leads inside, so that it is followed.
    let pairs = [
        ("private/here", "private/gone", false),
        ("private/her?", "private/gon?", false),
        ("*/here", "*/gone", true),
        ("privat?/here", "nothin?/gone", false),
        ("logs/to-here", "logs/to-gone", false),
        ("logs/to-her*", "logs/to-gon*", false),
    ];
    let paths: Vec<String> = pairs.iter().flat_map(|(here, gone, _)| [site.file(here), site.file(gone)]).collect();
    site.host("nas1", &paths.iter().map(|path| follow(path, "BAD")).collect::<String>());
    let (server, agent) = (site.server(), site.agent("nas1", &["-f", "logs"]));
    paths.iter().for_each(|path| drop(site.wait_for_text(&format!("Cannot read {path}: "))));
    // A configuration that comes later is in force when all that the first one caused has been said.
    site.append("logs/more", "");
    site.host("nas1", &paths.iter().chain([&site.file("logs/more")]).map(|path| follow(path, "BAD")).collect::<String>());
    site.wait_for_text(&format!("Following {}", site.file("logs/more")));
    let said = |path: &str| {
        let texts = site.events().into_iter().map(|event| event.text);
        let mut texts: Vec<_> = texts.filter(|text| [":", ","].iter().any(|end| text.contains(&format!(" {path}{end}")))).collect();
        texts.sort();
        texts.into_iter().map(|text| text.replace(path, "PATH")).collect::<Vec<_>>()
    };
    for (here, gone, is_followed) in pairs {
        let (here, gone) = (said(&site.file(here)), said(&site.file(gone)));
        assert_eq!(here.len(), 1 + usize::from(is_followed), "{here:?}");
        assert_eq!(here, gone);
    }
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}

#[test]
fn the_agent_becomes_another_user_once_the_port_is_bound() {
    let site = Site::new("owner-user");
    let is_root = fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if !is_root {
        return skip("the_agent_becomes_another_user_once_the_port_is_bound", "only root can become another user");
    }
    fs::set_permissions(&site.folder, fs::Permissions::from_mode(0o755)).unwrap();
    site.append("app.log", "");
    site.append("private.log", "");
    fs::set_permissions(site.path("private.log"), fs::Permissions::from_mode(0o600)).unwrap();
    let rules = follow(&site.file("app.log"), "APP") + &follow(&site.file("private.log"), "PRIVATE");
    let id = "run: command=id extract=uid=[0-9]+\\((\\w+)\\) gid=[0-9]+\\((\\w+)\\).*\nalert_metric: tags=ID match=1,nobody metric=2\n";
    site.host("nas1", &(rules + id));
    let (_server, agent) = (site.server(), site.agent("nas1", &["-u", "nobody"]));
    site.wait_for_text(&format!("Cannot read {}: Permission denied", site.file("private.log")));
    assert_eq!(site.wait_for_count("ID", 1)[0], "nogroup");
    let status = fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!((field("Uid:"), field("Gid:"), field("Groups:")), (vec!["65534"; 4], vec!["65534"; 4], vec!["65534"]));
    assert_eq!((field("CapEff:"), field("CapBnd:")), (vec!["0000000000000000"], vec!["0000000000000000"]));
    assert_eq!(field("NoNewPrivs:"), ["1"]);
    // Whoever cannot debug a process does not own these files either.
    let memory = fs::metadata(format!("/proc/{}/mem", agent.id())).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&memory), 0);
    site.append("app.log", "line 1\n");
    site.append("private.log", "line 2\n");
    assert_eq!(site.wait_for_count("APP", 1), ["line 1"]);
    assert!(agent.log_text().contains("Configuration "), "its log is still written");
    assert_eq!(agent.terminate(), 0);
}
