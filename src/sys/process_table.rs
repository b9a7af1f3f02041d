//! The list of processes, from the system itself.

/// All processes, one a line: the arguments joined by spaces, or `[name]` where there are none.
///
/// # Errors
/// The system has no `/proc` in the form of Linux.
#[cfg(target_os = "linux")]
pub fn lines() -> Result<Vec<u8>, String> {
    let mut lines = Vec::new();
    let listed = crate::fs::dir::list(b"/proc", &mut |name, _| {
        // A process may end at any time.
        if let Some(arguments) = std::str::from_utf8(name).ok().filter(|name| name.bytes().all(|b| b.is_ascii_digit())).and_then(arguments)
        {
            for byte in arguments {
                lines.push(if matches!(byte, 0 | b'\n') { b' ' } else { byte });
            }
            lines.push(b'\n');
        }
    });
    listed.map(|()| lines).map_err(|e| super::reason(&e))
}

#[cfg(target_os = "linux")]
fn arguments(process: &str) -> Option<Vec<u8>> {
    let mut arguments = super::read_file(&["/proc/", process, "/cmdline"].concat()).ok()?;
    while arguments.last() == Some(&0) {
        arguments.pop();
    }
    if arguments.is_empty() {
        let mut name = super::read_file(&["/proc/", process, "/comm"].concat()).ok()?;
        name.retain(|b| *b != b'\n');
        arguments = [b"[".as_slice(), &name, b"]"].concat();
    }
    Some(arguments)
}

/// All processes, one a line: not known how to get here.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn lines() -> Result<Vec<u8>, String> {
    Err("this system needs a ps_command:".into())
}
