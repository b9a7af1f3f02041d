//! The process table of this system, read from `/proc`.

/// Lists all processes, one per line: the arguments joined by spaces, or `[name]` for a process without arguments.
///
/// # Errors
/// `/proc` cannot be read.
#[cfg(target_os = "linux")]
pub(super) fn lines() -> Result<Vec<u8>, String> {
    let mut lines = Vec::new();
    let listed = crate::fs::dir::list(b"/proc", &mut |name, _| {
        let pid = std::str::from_utf8(name).ok().filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
        // A process may end between the two reads; then it has no line.
        if let Some(arguments) = pid.and_then(arguments) {
            for byte in arguments {
                lines.push(if matches!(byte, 0 | b'\n') { b' ' } else { byte });
            }
            lines.push(b'\n');
        }
    });
    listed.map(|()| lines).map_err(|e| crate::sys::reason(&e))
}

/// The arguments of a process, separated by zeros, or its name in brackets; `None` if it has ended.
#[cfg(target_os = "linux")]
fn arguments(pid: &str) -> Option<Vec<u8>> {
    let mut arguments = crate::sys::read_file(&["/proc/", pid, "/cmdline"].concat()).ok()?;
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
pub(super) fn lines() -> Result<Vec<u8>, String> {
    Err("this system needs a ps_command:".into())
}
