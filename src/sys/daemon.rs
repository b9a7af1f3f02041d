//! Going to the background, and what the system says of itself.

use std::ffi::CStr;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::AsRawFd;

/// The host name, as `uname -n` prints it.
pub fn host_name() -> String {
    // SAFETY: the structure is an array of characters, for which zero is a value; `uname` fills it with strings that end in zero.
    unsafe {
        let mut names: libc::utsname = std::mem::zeroed();
        libc::uname(&mut names);
        CStr::from_ptr(names.nodename.as_ptr()).to_string_lossy().into_owned()
    }
}

/// 64 bits of the system's randomness.
pub fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Goes on in the background, without a terminal, in the same folder. Open descriptors stay open, but for the standard ones.
///
/// # Errors
/// There is no process to be had, or no `/dev/null`.
pub fn daemonize() -> io::Result<()> {
    #[allow(clippy::disallowed_methods, reason = "no file of ours")]
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    leave_parent()?;
    // SAFETY: touches no memory.
    super::check(unsafe { libc::setsid() })?;
    leave_parent()?;
    for standard in 0..=2 {
        // SAFETY: both are descriptors, and the standard streams hold nothing back that could be lost.
        super::check(unsafe { libc::dup2(null.as_raw_fd(), standard) })?;
    }
    Ok(())
}

/// Goes on in a child process.
fn leave_parent() -> io::Result<()> {
    // SAFETY: the process has one thread, so the child is a whole copy; the parent ends at once, without running what is
    // registered for its end.
    unsafe {
        if super::check(libc::fork())? > 0 {
            libc::_exit(0);
        }
    }
    Ok(())
}
