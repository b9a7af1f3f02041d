//! What can be a log: a regular file, and none that the kernel makes up while it is read.

use std::fs::{File, Metadata};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// What the system calls proc here.
const PROC: &str = "a file of proc";

/// What the file at a path is, if it cannot be a log. It has that metadata. It is not opened: to open a device may be an order to it, and
/// to open a named pipe takes a reader's place.
pub(super) fn odd(path: &Path, meta: &Metadata) -> Option<&'static str> {
    odd_kind(meta).or_else(|| file_system(path))
}

/// What a file is if it is not a regular one.
pub(super) fn odd_kind(meta: &Metadata) -> Option<&'static str> {
    let kind = meta.file_type();
    match kind {
        _ if kind.is_file() => None,
        _ if kind.is_dir() => Some("a directory"),
        _ if kind.is_fifo() => Some("a named pipe"),
        _ if kind.is_socket() => Some("a socket"),
        _ if kind.is_char_device() => Some("a character device"),
        _ if kind.is_block_device() => Some("a block device"),
        _ => Some("a special file"),
    }
}

/// To which of the kernel's file systems a path leads.
#[cfg(target_os = "linux")]
fn file_system(path: &Path) -> Option<&'static str> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
    crate::sys::disk::kernel_file_system(&path)
}

/// Whether a folder belongs to proc, whose links may lead to other mount namespaces.
pub(super) fn is_in_proc(folder: &Path) -> bool {
    file_system(folder) == Some(PROC)
}

#[cfg(not(target_os = "linux"))]
fn file_system(_: &Path) -> Option<&'static str> {
    None
}

/// Where the data of a file goes on behind that offset, as far as that is known: all before it are zeros.
#[cfg(target_os = "linux")]
pub fn next_data(file: &File, offset: u64) -> u64 {
    crate::sys::next_data(file, offset).unwrap_or(offset)
}

/// Nothing is known.
#[cfg(not(target_os = "linux"))]
pub fn next_data(_: &File, offset: u64) -> u64 {
    offset
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "files to look at")]
mod tests {
    use super::*;
    use crate::fs::test_folder::TestFolder;
    use crate::fs::{Access, AccessError};

    fn odd(path: &str) -> Option<&'static str> {
        super::odd(path.as_ref(), &std::fs::metadata(path).unwrap())
    }

    #[test]
    fn what_is_no_regular_file_is_named() {
        let folder = TestFolder::new();
        let (file, socket) = (folder.join("file"), folder.join("socket"));
        std::fs::write(&file, "").unwrap();
        let _bound = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, what) in [
            (file.to_str().unwrap(), None),
            (folder.to_str().unwrap(), Some("a directory")),
            (socket.to_str().unwrap(), Some("a socket")),
            ("/dev/null", Some("a character device")),
        ] {
            assert_eq!(odd(path), what, "{path}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn files_that_the_kernel_makes_up_are_never_opened() {
        for path in ["/proc/kmsg", "/proc/self/environ", "/proc/version", "/sys/kernel/uevent_seqnum"] {
            if std::path::Path::new(path).exists() {
                assert_eq!(odd(path), Some(if path.starts_with("/proc") { PROC } else { "a file of sysfs" }), "{path}");
                assert!(matches!(Access::unrestricted().open(path.as_ref()), Err(AccessError::NotRegular(_))), "{path}");
            }
        }
    }
}
