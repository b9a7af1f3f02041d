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

/// Describes an error as `strerror(3)` does.
pub fn reason(error: &io::Error) -> String {
    let code = match error.raw_os_error() {
        Some(code) => code,
        // A path that contains a zero byte.
        None if error.kind() == io::ErrorKind::InvalidInput => libc::EINVAL,
        None => libc::EIO,
    };
    // SAFETY: the text ends in zero and stays valid until the next call; the programs have one thread.
    unsafe { CStr::from_ptr(libc::strerror(code)) }.to_string_lossy().into_owned()
}
