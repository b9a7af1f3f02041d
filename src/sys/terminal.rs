//! The terminal on standard output.
#![allow(unsafe_code, reason = "ioctl")]

/// How many columns the terminal on standard output has. `None` if there is none, or it does not say so.
pub fn terminal_width() -> Option<usize> {
    // SAFETY: the structure consists of numbers, for which zero is a value; it outlives the call, which fills it.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        super::error::check(libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size)).ok()?;
        size
    };
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
