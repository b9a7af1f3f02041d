//! The process table of this system, read from `/proc`.

#[cfg(target_os = "linux")]
use crate::agent::Process;
use crate::agent::TableEntry;
#[cfg(target_os = "linux")]
use crate::sys::user::UserNames;

/// Bytes of the arguments of one process that are read …
#[cfg(target_os = "linux")]
const MOST: usize = 32 * 1024;
/// … until the whole table has so many. From there on, every process still has a line, of so many bytes.
#[cfg(target_os = "linux")]
const MOST_OF_TABLE: (usize, usize) = (1 << 20, 256);

/// Lists all processes that run, one per line: the arguments joined by spaces, or `[name]` for a process without arguments. Hands over some lines
/// at a time.
///
/// # Errors
/// `/proc` cannot be read.
#[cfg(target_os = "linux")]
pub(in crate::run) fn list(take: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    let listed = crate::fs::dir::list(b"/proc", &mut |name, _| {
        let pid = std::str::from_utf8(name).ok().filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
        let most = if bytes < MOST_OF_TABLE.0 { MOST } else { MOST_OF_TABLE.1 };
        // A process may end between the two reads; then it has no line.
        let Some(arguments) = pid.and_then(|pid| arguments(pid, most)) else { return };
        bytes += arguments.len();
        for byte in arguments {
            lines.push(if matches!(byte, 0 | b'\n') { b' ' } else { byte });
        }
        lines.push(b'\n');
        if lines.len() >= MOST {
            take(&lines);
            lines.clear();
        }
    });
    take(&lines);
    listed.map_err(|e| crate::sys::reason(&e))
}

/// Hands over which of these users there are not, and all processes that run, with whose they are. Their lines are those of [`list`].
///
/// # Errors
/// `/proc` cannot be read.
#[cfg(target_os = "linux")]
pub(in crate::run) fn list_with_owners(wanted: &[Box<str>], take: &mut dyn FnMut(&TableEntry<'_>)) -> Result<(), String> {
    let users = UserNames::read();
    for name in wanted.iter().filter(|name| !users.is_known(name)) {
        take(&TableEntry::UnknownUser(name));
    }
    let own_namespace = namespace("self");
    let mut bytes = 0;
    let listed = crate::fs::dir::list(b"/proc", &mut |name, _| {
        let pid = std::str::from_utf8(name).ok().filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
        let most = if bytes < MOST_OF_TABLE.0 { MOST } else { MOST_OF_TABLE.1 };
        let found = pid.and_then(|pid| Some((pid, arguments(pid, most)?, status(pid)?)));
        let Some((pid, mut arguments, Status { parent, user, is_contained })) = found else { return };
        bytes += arguments.len();
        arguments.iter_mut().filter(|byte| matches!(byte, 0 | b'\n')).for_each(|byte| *byte = b' ');
        // Before Linux 4.1 only the namespace itself tells, and only to who may look at it.
        let is_elsewhere = || namespace(pid).zip(own_namespace.as_ref()).is_some_and(|(one, own)| one != *own);
        take(&TableEntry::Process(Process {
            id: pid.parse().unwrap_or_default(),
            parent,
            user,
            user_name: users.name(user),
            is_contained: is_contained.unwrap_or_else(is_elsewhere),
            line: &String::from_utf8_lossy(&arguments),
        }));
    });
    listed.map_err(|e| crate::sys::reason(&e))
}

/// What `/proc/PID/status` says of a process.
#[cfg(target_os = "linux")]
#[derive(Debug, PartialEq, Eq)]
struct Status {
    parent: u32,
    /// The effective user.
    user: u32,
    /// Whether it has a number in a namespace within this one. `None` before Linux 4.1.
    is_contained: Option<bool>,
}

#[cfg(target_os = "linux")]
fn status(pid: &str) -> Option<Status> {
    parse_status(&crate::sys::read_file(&["/proc/", pid, "/status"].concat()).ok()?)
}

#[cfg(target_os = "linux")]
fn parse_status(status: &[u8]) -> Option<Status> {
    let status = String::from_utf8_lossy(status);
    let fields = |name: &str| status.split('\n').find_map(|line| line.strip_prefix(name)).map(str::split_ascii_whitespace);
    Some(Status {
        parent: fields("PPid:")?.next()?.parse().ok()?,
        user: fields("Uid:")?.nth(1)?.parse().ok()?,
        is_contained: fields("NSpid:").map(|numbers| numbers.count() > 1),
    })
}

/// Names the namespace of processes that a process is in.
#[cfg(target_os = "linux")]
fn namespace(pid: &str) -> Option<std::path::PathBuf> {
    std::fs::read_link(["/proc/", pid, "/ns/pid"].concat()).ok()
}

/// At most so many bytes of the arguments of a process, separated by zeros, or its name in brackets; `None` if it has ended, whether or not
/// its parent knows.
#[cfg(target_os = "linux")]
fn arguments(pid: &str, most: usize) -> Option<Vec<u8>> {
    let mut arguments = crate::sys::read_start(&["/proc/", pid, "/cmdline"].concat(), most).ok()?;
    while arguments.last() == Some(&0) {
        arguments.pop();
    }
    if arguments.is_empty() {
        arguments = name_in_brackets(&crate::sys::read_file(&["/proc/", pid, "/stat"].concat()).ok()?)?;
    }
    Some(arguments)
}

/// The name in a `/proc/PID/stat`, which may contain anything; `None` if the process is a zombie. One whose first thread has ended
/// while others go on is none.
#[cfg(target_os = "linux")]
fn name_in_brackets(stat: &[u8]) -> Option<Vec<u8>> {
    /// Which field behind the name is the number of threads; the first is the state.
    const THREADS: usize = 17;
    let (open, close) = (memchr::memchr(b'(', stat)?, memchr::memrchr(b')', stat)?);
    let fields = std::str::from_utf8(&stat[close + 1..]).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let has_ended = matches!(fields.next(), Some("Z" | "X" | "x"));
    if has_ended && matches!(fields.nth(THREADS - 1), None | Some("0" | "1")) {
        return None;
    }
    Some([b"[", stat.get(open + 1..close)?, b"]"].concat())
}

/// Not implemented for this system.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(in crate::run) fn list(_: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    Err("this system needs a ps_command:".into())
}

/// Not implemented for this system.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(in crate::run) fn list_with_owners(_: &[Box<str>], _: &mut dyn FnMut(&TableEntry<'_>)) -> Result<(), String> {
    Err("this system does not say whose a process is".into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whose_a_process_is() {
        let status = "Name:\tPPid:\t8\nUmask:\t0022\nState:\tS (sleeping)\nPid:\t7\nPPid:\t5\nUid:\t1000\t33\t33\t33\n";
        assert_eq!(parse_status(status.as_bytes()), Some(Status { parent: 5, user: 33, is_contained: None }));
        for (numbers, is_contained) in [("7", false), ("7\t1", true), ("7\t2\t1", true)] {
            let status = format!("{status}NSpid:\t{numbers}\n");
            assert_eq!(parse_status(status.as_bytes()), Some(Status { parent: 5, user: 33, is_contained: Some(is_contained) }));
        }
        assert_eq!(parse_status(b"Name:\tx\nPPid:\t5\n"), None);
    }

    #[test]
    fn this_process_is_in_the_table_with_its_owner() {
        let (mut found, id) = (None, std::process::id());
        let mut unknown = Vec::new();
        let users = ["root", "no-such-user"].map(Into::into);
        list_with_owners(&users, &mut |entry| match entry {
            TableEntry::UnknownUser(name) => unknown.push(name.to_string()),
            TableEntry::Process(process) if process.id == id => {
                found = Some((process.parent, process.user, process.is_contained, process.line.to_string()));
            }
            TableEntry::Process(_) => {}
        })
        .unwrap();
        assert_eq!(unknown, ["no-such-user"]);
        let (parent, user, is_contained, line) = found.unwrap();
        assert_eq!((parent, user, is_contained), (std::os::unix::process::parent_id(), crate::sys::user::effective_id(), false));
        assert!(line.contains("project436"), "{line}");
    }

    #[test]
    fn a_process_that_has_ended_has_no_name_unless_threads_of_it_go_on() {
        let stat = |name: &str, state: &str, threads: u32| {
            format!("7 ({name}) {state} 1 7 7 0 -1 4228108 0 0 0 0 0 0 0 0 20 0 {threads} 0 99 0 0 18446744073709551615\n")
        };
        let name = |stat: String| name_in_brackets(stat.as_bytes()).map(|name| String::from_utf8(name).unwrap());
        assert_eq!(name(stat("kthreadd", "S", 1)).as_deref(), Some("[kthreadd]"));
        assert_eq!(name(stat("a) Z (b", "S", 1)).as_deref(), Some("[a) Z (b]"));
        assert_eq!(name(stat("httpd", "Z", 3)).as_deref(), Some("[httpd]"));
        assert_eq!((name(stat("httpd", "Z", 1)), name(stat("httpd", "X", 0)), name("7 (x".into())), (None, None, None));
    }
}
