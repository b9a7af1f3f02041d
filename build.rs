//! Tells the programs which target they are built for, which an agent names to its server, and from which commit.
#![allow(clippy::disallowed_methods, reason = "it runs where the program is built")]

use std::process::Command;

/// What `git archive` puts in here: the commit of a tarball.
const ARCHIVED: &str = "$Format:%H$";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=PROJECT436_TARGET={}", variable("TARGET"));
    println!("cargo:rerun-if-env-changed=PROJECT436_COMMIT");
    println!("cargo:rustc-env=PROJECT436_COMMIT={}", commit());
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// The commit that the sources are of, or nothing if that is not known: the first of a variable, a tarball, a package of cargo, git. Nothing in
/// programs for tests, which every commit would compile again.
fn commit() -> String {
    let set = variable("PROJECT436_COMMIT");
    if !set.is_empty() {
        return set;
    }
    if variable("PROFILE") != "release" {
        return String::new();
    }
    let archived = (!ARCHIVED.starts_with('$')).then(|| ARCHIVED.into());
    let commit: Option<String> = archived.or_else(of_package).or_else(of_git);
    commit.unwrap_or_default().chars().take(12).collect()
}

/// As `cargo package` leaves it beside the sources.
fn of_package() -> Option<String> {
    let info = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = info.split_once("\"sha1\": \"")?;
    rest.split_once('"').map(|(commit, _)| commit.into())
}

/// As git says, if this folder is the top of its repository, whoever owns it.
fn of_git() -> Option<String> {
    let ask = |arguments: &[&str]| {
        let output = Command::new("git").args(["-c", "safe.directory=*", "rev-parse"]).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_string())
    };
    let says = ask(&["--show-cdup", "--git-path", "logs/HEAD", "HEAD"])?;
    let [up, log, commit] = says.split('\n').collect::<Vec<_>>()[..] else { return None };
    if !up.is_empty() {
        return None;
    }
    if std::path::Path::new(log).exists() {
        println!("cargo:rerun-if-changed={log}");
    }
    Some(commit.into())
}
