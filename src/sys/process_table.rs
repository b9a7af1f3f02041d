//! The list of processes, from the system itself.

/// All processes, one a line: the arguments joined by spaces, or `[name]` where there are none.
///
/// # Errors
/// The system has no `/proc` in the form of Linux.
#[cfg(target_os = "linux")]
#[allow(clippy::disallowed_methods, reason = "no files, but tables of the system")]
pub fn lines() -> Result<Vec<u8>, String> {
    use std::fs;
    let folder = fs::read_dir("/proc").map_err(|e| super::reason(&e))?;
    let mut lines = Vec::new();
    for entry in folder.flatten() {
        let path = entry.path();
        let is_process = entry.file_name().to_str().is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()));
        if !is_process {
            continue;
        }
        // A process may end at any time.
        let Ok(mut arguments) = fs::read(path.join("cmdline")) else { continue };
        while arguments.last() == Some(&0) {
            arguments.pop();
        }
        if arguments.is_empty() {
            let Ok(mut name) = fs::read(path.join("comm")) else { continue };
            name.retain(|b| *b != b'\n');
            arguments = [b"[".as_slice(), &name, b"]"].concat();
        }
        lines.extend(arguments.iter().map(|b| if matches!(b, 0 | b'\n') { b' ' } else { *b }));
        lines.push(b'\n');
    }
    Ok(lines)
}

/// All processes, one a line: not known how to get here.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn lines() -> Result<Vec<u8>, String> {
    Err("this system needs a ps_command:".into())
}
