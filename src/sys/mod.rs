//! What only the operating system can do. The only place with `unsafe`; each part is a thin, safe cover of a few calls.
#![allow(unsafe_code, reason = "system calls")]

pub mod child;
pub mod clock;
pub mod crash;
pub mod daemon;
pub mod datagrams;
#[cfg(target_os = "linux")]
pub mod disk;
pub mod inotify;
pub mod poll;
pub mod resolve;
pub mod signals;
pub mod socket;
pub mod syslog;
pub mod user;

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};

/// Turns the -1 of a system call into the error that it stands for.
fn check<N: From<i8> + PartialEq>(result: N) -> io::Result<N> {
    if result == N::from(-1) {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// What a file holds. Few bytes at a time: most are short, and those of `/proc` do not tell how long they are.
///
/// # Errors
/// It cannot be opened or read.
#[allow(clippy::disallowed_methods, reason = "for the readers of configuration and what the system tells")]
pub fn read_file(path: &str) -> io::Result<Vec<u8>> {
    read_to_end(&mut File::open(path)?)
}

/// What is still to be read.
///
/// # Errors
/// What `read(2)` reports.
pub fn read_to_end(file: &mut File) -> io::Result<Vec<u8>> {
    const STEP: usize = 4096;
    let mut bytes = Vec::new();
    loop {
        let length = bytes.len();
        bytes.resize(length + STEP, 0);
        let count = file.read(&mut bytes[length..])?;
        bytes.truncate(length + count);
        if count == 0 {
            return Ok(bytes);
        }
    }
}

/// The text of a file such as `/proc/mounts`; bytes that are not UTF-8 are replaced.
///
/// # Errors
/// It cannot be opened or read.
pub fn table(path: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&read_file(path)?).into_owned())
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
        check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIOCLEX) })?;
    }
    Ok((read, write))
}

/// Makes reads and writes return at once where they would wait.
fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let yes: libc::c_int = 1;
    // SAFETY: the descriptor is open while it is borrowed, and the number lives through the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw const yes) }).map(|_| ())
}

/// What an error of the fence is, which is not the system's.
pub const REFUSED: io::ErrorKind = io::ErrorKind::PermissionDenied;

/// An error as `strerror` words it. What the standard library would say takes 2 KB, for the few errors that are not the system's.
pub fn reason(error: &io::Error) -> String {
    let code = match error.raw_os_error() {
        Some(code) => code,
        None if error.kind() == REFUSED => return "refused, since it is not below what -f allows".into(),
        // A path with a zero in it.
        None if error.kind() == io::ErrorKind::InvalidInput => libc::EINVAL,
        None => libc::EIO,
    };
    // SAFETY: the text ends in zero and lasts until the next call; the programs have one thread.
    unsafe { CStr::from_ptr(libc::strerror(code)) }.to_string_lossy().into_owned()
}

/// The error of what is a folder, or something else that is no file.
pub fn no_file(is_folder: bool) -> io::Error {
    // An error with a text of its own would bring much of the standard library with it.
    io::Error::from_raw_os_error(if is_folder { libc::EISDIR } else { libc::EINVAL })
}
