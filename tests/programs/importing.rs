//! What `scripts/import.py` makes of filters of fail2ban and files of logcheck, tried on lines with `ax436 -T`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests live in the real world")]

use crate::harness::{binary, skip, Site};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The groups that the script prints; `None` if there is no Python.
fn import(test: &str, arguments: &[&str]) -> Option<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/import.py");
    let Ok(output) = Command::new("python3").arg(script).args(arguments).output() else {
        skip(test, "it needs python3");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The lines in which the groups of a host file are found.
fn matched(site: &Site, groups: &str, lines: &[&str]) -> Vec<String> {
    let alert = |line: &str| if line.starts_with("alert_") { "alert_all: tags=T".to_string() } else { line.to_string() };
    site.write("try", &groups.lines().map(|line| alert(line) + "\n").collect::<String>());
    site.write("lines", &lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    let output = Command::new(binary("ax436")).args(["-T", "try", "lines"]).current_dir(&site.folder).output().unwrap();
    assert!(output.status.success(), "{groups}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().filter(|line| line.starts_with("T%%")).map(|line| line.rsplit("%%").next().unwrap().to_string()).collect()
}

const COMMON: &str = r"[DEFAULT]
_daemon = \S*
__prefix_line = \s*(?:\S+ )?%(_daemon)s(?:\[\d+\])?:\s+
";

const FILTER: &str = r#"[INCLUDES]
before = common.conf
[Definition]
_daemon = appd
prefregex = ^%(__prefix_line)s<F-CONTENT>.+</F-CONTENT>$
failregex = ^Failed <what> for <F-USER>[^"]*</F-USER> from <HOST>(?: port \d{1,5})?$
            ^(?i)refused (?!by us)from \[?<ADDR>\]?$
            ^<F-NOFAIL>Connection</F-NOFAIL> from <HOST>
            ^more\n<SKIPLINES>than one <HOST>
ignoreregex = from 192\.0\.2\.99
journalmatch = _SYSTEMD_UNIT=appd.service
[Init]
what = (?:password|key)
"#;

const APPD: [&str; 7] = [
    "Nov 30 12:00:00 host appd[7]: Failed password for root from 192.0.2.1 port 22",
    "2026-11-30T12:00:00.123456+01:00 host appd[7]: Failed key for a b from 2001:db8::1",
    "Nov 30 12:00:00 host appd: REFUSED from [192.0.2.2]",
    "Nov 30 12:00:00 host appd[7]: Failed password for root from 192.0.2.99",
    "Nov 30 12:00:00 host other[7]: Failed password for root from 192.0.2.1",
    "Nov 30 12:00:00 host appd[7]: Connection from 192.0.2.1",
    "Nov 30 12:00:00 host other: appd[7]: Failed password for root from 192.0.2.1",
];

#[test]
fn a_filter_of_fail2ban_becomes_a_group_that_matches_the_same_lines() {
    let test = "a_filter_of_fail2ban_becomes_a_group_that_matches_the_same_lines";
    let site = Site::new("importing-fail2ban");
    fs::create_dir(site.path("filter.d")).unwrap();
    site.write("filter.d/common.conf", COMMON);
    site.write("filter.d/appd.conf", FILTER);
    let arguments = ["fail2ban", "--folder", &site.file(""), "--log", "/var/log/appd", "appd"];
    let Some(groups) = import(test, &arguments) else { return };
    assert_eq!(import(test, &[&arguments[..], &["--own-reader"]].concat()).unwrap(), groups, "whether fail2ban is installed or not");
    assert!(groups.contains("\nfile: /var/log/appd\n") && groups.contains("\nalert_n: tags=FAIL2BAN,APPD threshold=4 seconds=600 "));
    for comment in [
        "# Wider than it was, without look-around: ^(?i)refused (?!by us)from",
        "# Left out, since such lines count only together with others: ^<F-NOFAIL>Connection",
        "# Left out, since it spans several lines: ^more",
    ] {
        assert!(groups.contains(comment), "{comment}: {groups}");
    }
    assert_eq!(matched(&site, &groups, &APPD), APPD[..3]);
    // In the journal there is neither time nor host.
    let groups = import(test, &["fail2ban", "--journal", "--folder", &site.file(""), "appd"]).unwrap();
    assert!(groups.contains("\njournal: appd.service\n"), "{groups}");
    let lines = ["appd[7]: Failed key for x from host.example", "some other: appd[7]: Failed key for x from host.example", APPD[3]];
    assert_eq!(matched(&site, &groups, &lines), lines[..1]);
}

#[test]
fn files_of_logcheck_become_groups_for_what_is_not_ignored_and_for_what_is_violated() {
    let test = "files_of_logcheck_become_groups_for_what_is_not_ignored_and_for_what_is_violated";
    let site = Site::new("importing-logcheck");
    let prefix = r"^(\w{3} [ :[:digit:]]{11}|[0-9T:.+-]{32}) [._[:alnum:]-]+ ";
    for folder in ["ignore.d.server", "violations.d"] {
        fs::create_dir(site.path(folder)).unwrap();
    }
    site.write("ignore.d.server/app", &format!("# usual\n{prefix}app\\[[[:digit:]]+\\]: (started|a{{2}}[]x]+)$\n{prefix}app: end \n"));
    site.write("violations.d/disk", "smartd.*(FAILED|{unreadable})\n(a)\\1\n");
    let ignored =
        ["Nov 30 12:00:00 host app[7]: started", "2026-11-30T12:00:00.123456+01:00 host.a app[7]: aa]x", "Nov 30 12:00:00 h app: end "];
    let others = ["Nov 30 12:00:00 host app[7]: aaxb", "Nov 30 12:00:00 host smartd: FAILED", "smartd: {unreadable}"];
    let Some(groups) = import(test, &["logcheck", &site.file("ignore.d.server/app")]) else { return };
    assert_eq!(matched(&site, &groups, &[ignored, others].concat()), others);
    let groups = import(test, &["logcheck", &site.file("violations.d/disk")]).unwrap();
    assert!(groups.contains("# Left out, since it refers to a group: (a)\\1"), "{groups}");
    assert_eq!(matched(&site, &groups, &[ignored, others].concat()), others[1..]);
    let groups = import(test, &["logcheck", "--journal", &site.file("ignore.d.server/app")]).unwrap();
    assert_eq!(matched(&site, &groups, &["app[7]: started", "kernel: started"]), ["kernel: started"]);
}
