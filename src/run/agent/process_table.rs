//! The process table of this system, read from `/proc`.

/// Bytes of the arguments of one process that are read …
#[cfg(target_os = "linux")]
const MOST: usize = 32 * 1024;
/// … until the whole table has so many. From there on, every process still has a line, of so many bytes.
#[cfg(target_os = "linux")]
const MOST_OF_TABLE: (usize, usize) = (1 << 20, 256);

/// Lists all processes, one per line: the arguments joined by spaces, or `[name]` for a process without arguments. Hands over some lines
/// at a time.
///
/// # Errors
/// `/proc` cannot be read.
#[cfg(target_os = "linux")]
pub(super) fn list(take: &mut dyn FnMut(&[u8])) -> Result<(), String> {
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

/// At most so many bytes of the arguments of a process, separated by zeros, or its name in brackets; `None` if it has ended.
#[cfg(target_os = "linux")]
fn arguments(pid: &str, most: usize) -> Option<Vec<u8>> {
    let mut arguments = crate::sys::read_start(&["/proc/", pid, "/cmdline"].concat(), most).ok()?;
    while arguments.last() == Some(&0) {
        arguments.pop();
    }
    if arguments.is_empty() {
        let mut name = crate::sys::read_file(&["/proc/", pid, "/comm"].concat()).ok()?;
        name.retain(|b| *b != b'\n');
        arguments = [b"[".as_slice(), &name, b"]"].concat();
    }
    Some(arguments)
}

/// Not implemented for this system.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(super) fn list(_: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    Err("this system needs a ps_command:".into())
}
