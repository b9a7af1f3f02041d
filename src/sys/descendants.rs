//! What a process has started, found in `/proc`: also what left its process group and its session.
#![allow(unsafe_code, reason = "kill")]

/// Kills a child that was not reaped, and everything that it started: its process group, what descends from it, and what has `mark` in the
/// environment that it began with. A process that gave up that environment and whose parents have ended is not found.
#[cfg(target_os = "linux")]
pub(super) fn kill(root: libc::pid_t, mark: &str) {
    // All are stopped before any is killed: so none starts another meanwhile, and none loses the parent that it is found by.
    let mut found = vec![root];
    send(root, libc::SIGSTOP);
    loop {
        let before = found.len();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some((name, pid)) = name.to_str().and_then(|name| Some((name, name.parse().ok()?))) else { continue };
            if !found.contains(&pid) && is_meant(name, &found, mark) {
                send(pid, libc::SIGSTOP);
                found.push(pid);
            }
        }
        if found.len() == before {
            break;
        }
    }
    found.into_iter().for_each(|pid| send(pid, libc::SIGKILL));
}

/// There is no such table.
#[cfg(not(target_os = "linux"))]
pub(super) fn kill(_: libc::pid_t, _: &str) {}

#[cfg(target_os = "linux")]
fn send(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: touches no memory. The process was there a moment ago; its number is not used again so soon.
    unsafe { libc::kill(pid, signal) };
}

/// Whether `/proc` says of a process that one of those found is its parent or leads its group, or that it has the mark.
#[cfg(target_os = "linux")]
fn is_meant(pid: &str, found: &[libc::pid_t], mark: &str) -> bool {
    /// Bytes of an environment that are searched for the mark.
    const ENVIRONMENT: usize = 64 * 1024;
    let Ok(stat) = super::file::table(&["/proc/", pid, "/stat"].concat()) else { return false };
    // The name of the program comes before, in parentheses, and may contain anything. Then come the state, the parent and the group.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    if fields.skip(1).take(2).any(|field| field.parse().is_ok_and(|pid| found.contains(&pid))) {
        return true;
    }
    let environment = super::file::read_start(&["/proc/", pid, "/environ"].concat(), ENVIRONMENT).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}
