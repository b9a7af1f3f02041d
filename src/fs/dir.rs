//! The names in a folder, as bytes.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirEntryExt;

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

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "folders to look into")]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_as_the_system_does() {
        let folder = std::env::temp_dir().join(format!("436-list-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
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
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
