//! What a folder holds, as the system tells it: names are bytes.

use std::io;

/// A path up to its last slash, and the name behind that.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1))
}

/// Tells each name in a folder, and its inode. Without a path it is the present folder.
///
/// # Errors
/// The folder cannot be read.
#[cfg(target_os = "linux")]
pub fn list(folder: &[u8], each: &mut dyn FnMut(&[u8], u64)) -> io::Result<()> {
    use std::ffi::{CStr, CString};
    let path = CString::new(if folder.is_empty() { b"." } else { folder })?;
    // SAFETY: the path ends in zero. The stream stays open until it is closed here; an entry is valid until the next one is asked for,
    // and its name, behind which it may end, has a zero at its end.
    unsafe {
        let stream = libc::opendir(path.as_ptr());
        if stream.is_null() {
            return Err(io::Error::last_os_error());
        }
        loop {
            let entry = libc::readdir64(stream);
            if entry.is_null() {
                break;
            }
            let name = CStr::from_ptr((&raw const (*entry).d_name).cast()).to_bytes();
            if !matches!(name, b"." | b"..") {
                each(name, (*entry).d_ino);
            }
        }
        libc::closedir(stream);
    }
    Ok(())
}

/// Tells each name in a folder, and its inode. Without a path it is the present folder.
///
/// # Errors
/// The folder cannot be read.
#[cfg(not(target_os = "linux"))]
pub fn list(folder: &[u8], each: &mut dyn FnMut(&[u8], u64)) -> io::Result<()> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::DirEntryExt;
    let path = OsStr::from_bytes(if folder.is_empty() { b"." } else { folder });
    for entry in std::fs::read_dir(path)?.flatten() {
        each(entry.file_name().as_bytes(), entry.ino());
    }
    Ok(())
}
