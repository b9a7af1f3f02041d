//! Below which folders this process may open logs. It is set once, at the start, by the owner of the device.

use super::dir;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The folders, resolved. Unset there is no fence.
static FOLDERS: OnceLock<Vec<PathBuf>> = OnceLock::new();

/// From now on only what is below these folders can be opened.
///
/// # Errors
/// That one does not exist.
pub fn set<'f>(folders: &[&'f str]) -> Result<(), (&'f str, io::Error)> {
    let mut resolved = Vec::new();
    for folder in folders {
        resolved.push(std::fs::canonicalize(folder).map_err(|e| (*folder, e))?);
    }
    if !resolved.is_empty() {
        let _ = FOLDERS.set(resolved);
    }
    Ok(())
}

/// Whether the fence lets that path be looked at: where it, or the folder that it would be in, really lies.
///
/// # Errors
/// It does not.
pub fn admit(path: &Path) -> io::Result<()> {
    let Some(folders) = FOLDERS.get() else { return Ok(()) };
    let real = std::fs::canonicalize(path).or_else(|_| {
        let (parent, name) = dir::split(path.as_os_str().as_bytes());
        let parent = if parent.is_empty() { b"." } else { parent };
        match name {
            b"" | b"." | b".." => Err(refusal()),
            name => Ok(std::fs::canonicalize(OsStr::from_bytes(parent))?.join(OsStr::from_bytes(name))),
        }
    });
    match real {
        Ok(real) if is_below(folders, &real) => Ok(()),
        _ => Err(refusal()),
    }
}

/// What the system says of the file at that path.
///
/// # Errors
/// There is none, or the fence does not let it be looked at.
pub fn metadata(path: &Path) -> io::Result<Metadata> {
    admit(path)?;
    std::fs::metadata(path)
}

/// Opens a file for reading, if it lies within the fence; what was opened counts, whatever becomes of the path meanwhile. Never waits.
///
/// # Errors
/// It does not, or cannot be opened.
#[allow(clippy::disallowed_methods, reason = "where logs are opened")]
pub fn open(path: &Path) -> io::Result<File> {
    admit(path)?;
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let Some(folders) = FOLDERS.get() else { return Ok(file) };
    let real = match std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
        Ok(real) => real,
        Err(_) => {
            let real = std::fs::canonicalize(path)?;
            let (opened, there) = (file.metadata()?, real.metadata()?);
            if (opened.dev(), opened.ino()) != (there.dev(), there.ino()) {
                return Err(refusal());
            }
            real
        }
    };
    if is_below(folders, &real) {
        Ok(file)
    } else {
        Err(refusal())
    }
}

fn is_below(folders: &[PathBuf], real: &Path) -> bool {
    let real = real.as_os_str().as_bytes();
    // Only the root ends in a slash.
    let is_end = |rest: &[u8]| matches!(rest, [] | [b'/', ..]);
    let is_above = |folder: &PathBuf| match folder.as_os_str().as_bytes() {
        b"/" => true,
        folder => real.strip_prefix(folder).is_some_and(is_end),
    };
    folders.iter().any(is_above)
}

fn refusal() -> io::Error {
    io::Error::from(crate::sys::REFUSED)
}
