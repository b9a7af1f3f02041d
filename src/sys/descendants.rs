//! What a process has started, found in `/proc`: also what left its process group and its session.
#![allow(unsafe_code, reason = "kill")]

/// Kills a child that was not reaped, and everything that it started: its process group, what descends from it, and what has `mark` in the
/// environment that it began with. A process that gave up that environment and whose parents have ended is not found.
#[cfg(target_os = "linux")]
pub(super) fn kill(root: libc::pid_t, mark: &str) {
    /// Processes that start others meanwhile are looked for again, so often at most.
    const ROUNDS: usize = 10;
    let mut killed = Vec::new();
    for _ in 0..ROUNDS {
        let found = find(root, mark);
        let before = killed.len();
        for pid in found {
            if !killed.contains(&pid) {
                // SAFETY: touches no memory. The process was there a moment ago; its number is not used again so soon.
                unsafe { libc::kill(pid, libc::SIGKILL) };
                killed.push(pid);
            }
        }
        if killed.len() == before {
            break;
        }
    }
}

/// There is no such table.
#[cfg(not(target_os = "linux"))]
pub(super) fn kill(_: libc::pid_t, _: &str) {}

/// A line of the process table.
#[cfg(target_os = "linux")]
struct Process {
    pid: libc::pid_t,
    parent: libc::pid_t,
    is_meant: bool,
}

#[cfg(target_os = "linux")]
fn find(root: libc::pid_t, mark: &str) -> Vec<libc::pid_t> {
    let mut table = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| Some((name, name.parse().ok()?)));
        table.extend(pid.and_then(|(name, pid)| read(name, pid, root, mark)));
    }
    // Until no more are found: a child may stand before its parent.
    loop {
        let meant: Vec<_> = table.iter().filter(|one| one.is_meant).map(|one| one.pid).collect();
        for one in &mut table {
            one.is_meant |= meant.contains(&one.parent);
        }
        if table.iter().filter(|one| one.is_meant).count() == meant.len() {
            return meant;
        }
    }
}

/// Reads what `/proc` tells of a process. `None` if it has ended.
#[cfg(target_os = "linux")]
fn read(name: &str, pid: libc::pid_t, root: libc::pid_t, mark: &str) -> Option<Process> {
    /// Bytes of an environment that are searched for the mark.
    const ENVIRONMENT: usize = 64 * 1024;
    let stat = super::file::table(&["/proc/", name, "/stat"].concat()).ok()?;
    // The name of the program comes before, in parentheses, and may contain anything.
    let mut fields = stat.rsplit(')').next()?.split_ascii_whitespace();
    let (state, parent, group) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    if matches!(state, "Z" | "X") && pid != root {
        return None;
    }
    let has_mark = || {
        let environment = super::file::read_start(&["/proc/", name, "/environ"].concat(), ENVIRONMENT).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let is_meant = pid == root || root == group || has_mark();
    Some(Process { pid, parent, is_meant })
}
