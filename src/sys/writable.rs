//! Whether a file or folder may be written, without writing it.
#![allow(unsafe_code, reason = "access")]

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Asks whether this process may write a file, or make files in a folder.
///
/// # Errors
/// Why not.
pub fn check_writable(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path ends in zero and outlives the call.
    super::error::check(unsafe { libc::access(path.as_ptr(), libc::W_OK) }).map(|_| ())
}
