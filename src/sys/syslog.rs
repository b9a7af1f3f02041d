//! The local syslog.

use std::ffi::CString;

/// Whether the log of this process was named to syslog.
static OPENED: std::sync::Once = std::sync::Once::new();

/// Writes one line as that program's, with priority `daemon.notice`.
pub fn write(program: &'static std::ffi::CStr, text: &str) {
    let Ok(text) = CString::new(text) else { return };
    // SAFETY: the program's name lives for ever, as `openlog` needs; format and argument are strings that end in zero.
    unsafe {
        OPENED.call_once(|| libc::openlog(program.as_ptr(), libc::LOG_PID, libc::LOG_DAEMON));
        libc::syslog(libc::LOG_NOTICE, c"%s".as_ptr(), text.as_ptr());
    }
}
