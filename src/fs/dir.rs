//! The names in a folder, as bytes.

use std::ffi::{OsStr, OsString};
use std::fs::ReadDir;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirEntryExt;
use std::path::Path;

/// Splits a path behind its last slash into the folder and the name.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1))
}

/// Calls `each` with every name in a folder and its inode. An empty path stands for the working folder.
///
/// # Errors
/// The folder cannot be read.
pub fn list(folder: &[u8], each: &mut dyn FnMut(&[u8], u64)) -> io::Result<()> {
    let path = OsStr::from_bytes(if folder.is_empty() { b"." } else { folder });
    for entry in std::fs::read_dir(path)?.flatten() {
        each(entry.file_name().as_bytes(), entry.ino());
    }
    Ok(())
}

/// The names in a folder, one after the other.
pub(super) enum Names {
    /// As the system lists them.
    Listed(ReadDir),
    /// Names that are known, the next one last.
    Known(Vec<OsString>),
}

impl Names {
    /// Begins to list a folder. An empty path stands for the working folder.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }).map(Self::Listed)
    }

    /// These names and no others.
    pub(super) fn of(names: &[&OsStr]) -> Self {
        Self::Known(names.iter().map(OsString::from).collect())
    }

    /// The next name; `None` at the end, and where the folder cannot be read on.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let name = match self {
            Self::Listed(entries) => entries.next()?.ok()?.file_name(),
            Self::Known(names) => names.pop()?,
        };
        Some(name.into_encoded_bytes())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "folders to look into")]
mod tests {
    use super::*;
    use crate::fs::test_folder::TestFolder;

    #[test]
    fn a_folder_is_listed_as_the_system_does() {
        let folder = TestFolder::new();
        let mut names: Vec<_> = (0..300).map(|number| format!("{}{number}", "x".repeat(number % 200)).into_bytes()).collect();
        for name in &names {
            std::fs::write(folder.join(OsStr::from_bytes(name)), "").unwrap();
        }
        let mut listed = Vec::new();
        list(folder.as_os_str().as_bytes(), &mut |name, _| listed.push(name.to_vec())).unwrap();
        listed.sort();
        names.sort();
        assert_eq!(listed, names);
        let file = folder.join("0");
        assert_eq!(list(file.as_os_str().as_bytes(), &mut |_, _| ()).unwrap_err().raw_os_error(), Some(libc::ENOTDIR));
    }
}
