//! Opening files without waiting, and files read whole: small ones, and those of `/proc`.
#![allow(unsafe_code, reason = "openat2, lseek")]

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Whether links are followed when a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// All of them.
    Followed,
    /// None in any part of the path, where the system knows how to do that (Linux 5.6); otherwise none in its last part.
    None,
}

/// Opens a file for reading; never waits.
///
/// # Errors
/// It cannot be opened.
#[allow(clippy::disallowed_methods, reason = "where logs are opened")]
pub fn open_to_read(path: &Path, links: Links) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    if links == Links::Followed {
        return File::options().read(true).custom_flags(flags).open(path);
    }
    #[cfg(target_os = "linux")]
    match open_without_links(path, flags | libc::O_CLOEXEC) {
        // Older systems, and sandboxes that do not know the call.
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {}
        outcome => return outcome,
    }
    File::options().read(true).custom_flags(flags | libc::O_NOFOLLOW).open(path)
}

#[cfg(target_os = "linux")]
fn open_without_links(path: &Path, flags: libc::c_int) -> io::Result<File> {
    use std::os::fd::FromRawFd;
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the structure consists of numbers, so that all zeros are a value; it and the path, which ends in zero, outlive the call. The
    // descriptor that it returns is owned by nothing else.
    unsafe {
        let mut how: libc::open_how = std::mem::zeroed();
        how.flags = u64::try_from(flags).unwrap_or_default();
        how.resolve = libc::RESOLVE_NO_SYMLINKS;
        let size = std::mem::size_of_val(&how);
        let fd = super::error::check(libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path.as_ptr(), &raw mut how, size))?;
        Ok(File::from_raw_fd(libc::c_int::try_from(fd).unwrap_or(-1)))
    }
}

/// Reads a whole file, a few bytes at a time: most files here are short, and those of `/proc` have no known length.
///
/// # Errors
/// It cannot be opened or read.
#[allow(clippy::disallowed_methods, reason = "for the readers of configuration and what the system tells")]
pub fn read_file(path: &str) -> io::Result<Vec<u8>> {
    read_to_end(&mut File::open(path)?)
}

/// Reads a file as [`read_file`] does, but no more than its first `most` bytes.
///
/// # Errors
/// It cannot be opened or read.
#[allow(clippy::disallowed_methods, reason = "for what the system tells")]
pub fn read_start(path: &str, most: usize) -> io::Result<Vec<u8>> {
    read_up_to(&mut File::open(path)?, most)
}

/// Reads the rest of a file.
///
/// # Errors
/// What `read(2)` reports.
pub fn read_to_end(file: &mut File) -> io::Result<Vec<u8>> {
    read_up_to(file, usize::MAX)
}

fn read_up_to(file: &mut File, most: usize) -> io::Result<Vec<u8>> {
    const STEP: usize = 4096;
    let mut bytes = Vec::new();
    loop {
        let length = bytes.len();
        bytes.resize(length + STEP.min(most - length), 0);
        let count = file.read(&mut bytes[length..])?;
        bytes.truncate(length + count);
        if count == 0 {
            return Ok(bytes);
        }
    }
}

/// Where the data of a file goes on behind that offset, as far as the file system knows: all before it are zeros. At the end of the file
/// where none follow.
///
/// # Errors
/// What `fstat(2)` or `lseek(2)` reports; `EINVAL` where the file system does not know.
#[cfg(target_os = "linux")]
pub fn next_data(file: &File, offset: u64) -> io::Result<u64> {
    use std::os::fd::AsRawFd;
    // Before the other call: what is written between them is not skipped.
    let size = file.metadata()?.len();
    let offset = libc::off64_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: touches no memory. Nothing reads at the offset that it moves.
    match super::error::check(unsafe { libc::lseek64(file.as_raw_fd(), offset, libc::SEEK_DATA) }) {
        Ok(data) => Ok(u64::try_from(data).unwrap_or_default()),
        Err(e) if e.raw_os_error() == Some(libc::ENXIO) => Ok(size),
        Err(e) => Err(e),
    }
}

/// The text of a file such as `/proc/mounts`; bytes that are not UTF-8 are replaced.
///
/// # Errors
/// It cannot be opened or read.
pub fn table(path: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&read_file(path)?).into_owned())
}
