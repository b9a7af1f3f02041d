//! What only the operating system can do. The only place with `unsafe`; each part is a thin, safe cover of a few calls.
#![allow(unsafe_code, reason = "system calls")]

#[cfg(target_os = "linux")]
pub mod allocator;
pub mod child;
pub mod clock;
pub mod crash;
pub mod daemon;
pub mod datagrams;
pub mod fence;
pub mod folder;
pub mod glob;
pub mod inotify;
pub mod poll;
pub mod process_table;
mod resolver;
pub mod signals;
pub mod socket;
pub mod start;
pub mod status;
pub mod syslog;
pub mod user;

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Turns the -1 of a system call into the error that it stands for.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// A pipe, which no program that is started inherits.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    use std::os::fd::{AsRawFd, FromRawFd};
    let mut fds = [-1; 2];
    // SAFETY: the array has room for two descriptors, which nothing else owns.
    let (read, write) = unsafe {
        check(libc::pipe(fds.as_mut_ptr()))?;
        (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))
    };
    for fd in [&read, &write] {
        // SAFETY: the descriptor is open, and this command touches no memory of ours.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    }
    Ok((read, write))
}

/// Makes reads and writes return at once where they would wait.
fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open while it is borrowed, and these commands touch no memory of ours.
    unsafe {
        let flags = check(libc::fcntl(fd.as_raw_fd(), libc::F_GETFL))?;
        check(libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK))?;
    }
    Ok(())
}

/// An error as `strerror` words it, without the number that Rust adds.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_string()
}

/// The error of what is a folder, or something else that is no file.
pub fn no_file(is_folder: bool) -> io::Error {
    // An error with a text of its own would bring much of the standard library with it.
    io::Error::from_raw_os_error(if is_folder { libc::EISDIR } else { libc::EINVAL })
}
