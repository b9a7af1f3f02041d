//! Errors of system calls.
#![allow(unsafe_code, reason = "strerror")]

use std::ffi::CStr;
use std::io;

/// Turns the -1 of a failed system call into the error in `errno`.
pub(super) fn check<N: From<i8> + PartialEq>(result: N) -> io::Result<N> {
    if result == N::from(-1) {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// The kind of the error for a file that `-f` does not allow, which no system call reported.
pub const REFUSED: io::ErrorKind = io::ErrorKind::PermissionDenied;

/// Describes an error as `strerror(3)` does.
pub fn reason(error: &io::Error) -> String {
    let code = match error.raw_os_error() {
        Some(code) => code,
        None if error.kind() == REFUSED => return "refused, since it is not below what -f allows".into(),
        // A path that contains a zero byte.
        None if error.kind() == io::ErrorKind::InvalidInput => libc::EINVAL,
        None => libc::EIO,
    };
    // SAFETY: the text ends in zero and stays valid until the next call; the programs have one thread.
    unsafe { CStr::from_ptr(libc::strerror(code)) }.to_string_lossy().into_owned()
}

/// The error for a path that is a folder (`EISDIR`), or neither a folder nor a file (`EINVAL`).
pub fn no_file(is_folder: bool) -> io::Error {
    // An error with a text of its own would bring much of the standard library with it.
    io::Error::from_raw_os_error(if is_folder { libc::EISDIR } else { libc::EINVAL })
}
