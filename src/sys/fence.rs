//! Below which folders this process may open logs. It is set once, at the start, by the owner of the device.

use super::Lasting;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The folders, resolved. Unset there is no fence.
static FOLDERS: Lasting<Vec<PathBuf>> = Lasting::new();

/// From now on only what is below these folders can be opened.
///
/// # Errors
/// One of them does not exist.
pub fn set(folders: &[String]) -> Result<(), (String, io::Error)> {
    let resolved = folders.iter().map(|folder| std::fs::canonicalize(folder).map_err(|e| (folder.clone(), e)));
    let resolved = resolved.collect::<Result<Vec<_>, _>>()?;
    if !resolved.is_empty() {
        FOLDERS.set(resolved);
    }
    Ok(())
}

/// Whether the fence lets that path be looked at: where it, or the folder that it would be in, really lies.
///
/// # Errors
/// It does not.
pub fn admit(path: &Path) -> io::Result<()> {
    let Some(folders) = FOLDERS.get() else { return Ok(()) };
    let folder = || {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(std::fs::canonicalize(parent).ok()?.join(path.file_name()?))
    };
    let real = std::fs::canonicalize(path).ok().or_else(folder);
    real.filter(|real| is_below(folders, real)).map(|_| ()).ok_or_else(refusal)
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
    folders.iter().any(|folder| real.starts_with(folder))
}

fn refusal() -> io::Error {
    io::Error::other("refused, since it is not below what -f allows")
}
