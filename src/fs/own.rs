//! Files of our own, opened to be written. In a folder that others can write to, such as `/tmp`, a name may be a link that another user
//! has put there, to have us write elsewhere. Some kernels refuse such links by themselves (`fs.protected_symlinks`); others do not.

use crate::sys::user;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Opens a file to write to, as the options say; these do not truncate.
///
/// # Errors
/// It cannot be opened, or the path leads over a link of another user in a shared folder (`EACCES`).
#[allow(clippy::disallowed_methods, reason = "where files are written")]
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let is_shared = check(path)?;
    let is_link = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    // A link of ours in a shared folder cannot be replaced by others, but what is no link yet can become one.
    let file = options.custom_flags(if is_shared && !is_link { libc::O_NOFOLLOW } else { 0 }).open(path)?;
    let meta = file.metadata()?;
    if is_shared && meta.is_file() && meta.nlink() > 1 && !is_link {
        return Err(refused());
    }
    Ok(file)
}

/// Makes a new file in place of what has that name.
///
/// # Errors
/// As [`open`].
#[allow(clippy::disallowed_methods, reason = "where files are written")]
pub fn create(path: &Path) -> io::Result<File> {
    check(path)?;
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => OpenOptions::new().write(true).create_new(true).open(path),
    }
}

/// Checks every part of a path. Returns whether its folder is shared.
fn check(path: &Path) -> io::Result<bool> {
    let Some(folder) = path.parent() else { return Ok(false) };
    check(folder)?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // Where it is missing, opening the file tells.
    let Ok(folder) = fs::metadata(folder) else { return Ok(false) };
    // Everybody can make files in it, but not remove those of others.
    let is_shared = folder.mode() & 0o1002 == 0o1002;
    if is_shared && fs::symlink_metadata(path).is_ok_and(|link| link.is_symlink() && is_foreign(&link, &folder)) {
        return Err(refused());
    }
    Ok(is_shared)
}

/// Whether what is in a shared folder belongs neither to us nor to the owner of the folder.
fn is_foreign(meta: &Metadata, folder: &Metadata) -> bool {
    meta.uid() != user::effective_id() && meta.uid() != folder.uid()
}

fn refused() -> io::Error {
    io::Error::from_raw_os_error(libc::EACCES)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the files under test")]
mod tests {
    use super::*;
    use crate::fs::test_folder::TestFolder;
    use std::os::unix::fs::{lchown, symlink, PermissionsExt};

    const OTHER: u32 = 65_534;

    #[test]
    fn links_of_others_in_a_shared_folder_lead_nowhere() {
        let root = TestFolder::new();
        let shared = root.join("shared");
        fs::create_dir_all(root.join("private")).unwrap();
        fs::create_dir_all(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
        fs::write(root.join("private/file"), "mine").unwrap();
        for (link, target) in
            [("link", "../private/file"), ("folder", "../private"), ("own", "../private/file"), ("dangling", "../private/new")]
        {
            symlink(target, shared.join(link)).unwrap();
        }
        fs::hard_link(root.join("private/file"), shared.join("hard")).unwrap();
        let appended = |path: &str| open(&root.join(path), OpenOptions::new().append(true).create(true)).map(drop);
        for path in ["private/file", "private/other", "shared/own", "shared/new"] {
            assert!(appended(path).is_ok(), "{path}");
        }
        let mut refused = vec!["shared/hard"];
        // Only root can give a link away.
        if ["link", "folder", "dangling"].iter().all(|link| lchown(shared.join(link), Some(OTHER), Some(OTHER)).is_ok()) {
            refused.extend(["shared/link", "shared/folder/file", "shared/dangling"]);
            assert_eq!(check(&shared.join("link")).unwrap_err().raw_os_error(), Some(libc::EACCES), "without the help of the kernel");
        }
        for path in refused {
            assert_eq!(appended(path).unwrap_err().raw_os_error(), Some(libc::EACCES), "{path}");
        }
        assert!(!root.join("private/new").exists());
        create(&shared.join("own")).unwrap();
        assert_eq!(fs::read_to_string(root.join("private/file")).unwrap(), "mine");
    }
}
