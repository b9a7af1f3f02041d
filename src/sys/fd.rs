//! File descriptors: pipes, and calls that do not wait.
#![allow(unsafe_code, reason = "pipe, ioctl")]

use super::error::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A pipe, its end to read from first. Programs that this process starts do not inherit it.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    // SAFETY: the array has room for two descriptors, which nothing else owns.
    let (read, write) = unsafe {
        check(libc::pipe(fds.as_mut_ptr()))?;
        (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))
    };
    for fd in [&read, &write] {
        // SAFETY: the descriptor is open, and this command touches no memory.
        check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIOCLEX) })?;
    }
    Ok((read, write))
}

/// Makes reads and writes fail with `EAGAIN` where they would wait.
pub(super) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    let yes: libc::c_int = 1;
    // SAFETY: the descriptor is open while it is borrowed, and the number lives through the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw const yes) }).map(|_| ())
}
