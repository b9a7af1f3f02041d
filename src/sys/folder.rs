//! What a folder holds, as the system tells it: names are bytes.

use std::ffi::{OsStr, OsString};
#[cfg(target_os = "linux")]
use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
#[cfg(target_os = "linux")]
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A path up to its last slash, and the name behind that.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1))
}

/// Tells each name in a folder, and its inode. Without a path it is the present folder.
///
/// # Errors
/// The folder cannot be read.
#[cfg(target_os = "linux")]
#[allow(clippy::disallowed_methods, reason = "no file, but a folder")]
pub fn list(folder: &[u8], each: &mut dyn FnMut(&[u8], u64)) -> io::Result<()> {
    let path = OsStr::from_bytes(if folder.is_empty() { b"." } else { folder });
    let folder = File::options().read(true).custom_flags(libc::O_DIRECTORY).open(path)?;
    let mut buffer = [0_u64; 512];
    loop {
        // SAFETY: the buffer has so many bytes, all of which stay valid whatever is written there.
        let bytes: &mut [u8] = unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast(), size_of_val(&buffer)) };
        // SAFETY: as above; the descriptor is open. The C library's `readdir` brings its `malloc` with it.
        let count = super::check(unsafe { libc::syscall(libc::SYS_getdents64, folder.as_raw_fd(), bytes.as_mut_ptr(), bytes.len()) })?;
        let mut rest = usize::try_from(count).ok().and_then(|count| bytes.get(..count)).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        while let Some((name, inode, after)) = entry(rest) {
            if !matches!(name, b"." | b"..") {
                each(name, inode);
            }
            rest = after;
        }
    }
}

/// One `struct linux_dirent64` (getdents(2)): inode, offset, length of all of it, type, and the name, which ends in a zero.
#[cfg(target_os = "linux")]
fn entry(bytes: &[u8]) -> Option<(&[u8], u64, &[u8])> {
    let inode = u64::from_ne_bytes(*bytes.first_chunk()?);
    let length = u16::from_ne_bytes(*bytes.get(16..)?.first_chunk()?);
    let (entry, after) = bytes.split_at_checked(usize::from(length))?;
    let name = entry.get(19..)?;
    Some((&name[..memchr::memchr(0, name)?], inode, after))
}

/// The path of the present folder. The C library's `getcwd` brings its `malloc` with it.
#[cfg(target_os = "linux")]
fn present() -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; libc::PATH_MAX as usize];
    // SAFETY: the buffer is as long as is said.
    let length = super::check(unsafe { libc::syscall(libc::SYS_getcwd, bytes.as_mut_ptr(), bytes.len()) })?;
    // With the zero at its end.
    bytes.truncate(usize::try_from(length - 1).unwrap_or_default());
    if !bytes.starts_with(b"/") {
        // It lies outside of the root.
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    Ok(bytes)
}

#[cfg(not(target_os = "linux"))]
fn present() -> io::Result<Vec<u8>> {
    Ok(std::env::current_dir()?.into_os_string().into_vec())
}

/// Where a path leads: the same one from the root on, without links.
///
/// # Errors
/// There is nothing.
#[allow(clippy::disallowed_methods, reason = "no file is opened")]
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    /// As in Linux.
    const MAX_LINKS: u32 = 40;
    let mut rest = path.as_os_str().as_bytes().to_vec();
    let mut real = if rest.starts_with(b"/") { Vec::new() } else { present()? };
    let mut links = 0;
    while !rest.is_empty() {
        let length = memchr::memchr(b'/', &rest).unwrap_or(rest.len());
        let after = rest.split_off((length + 1).min(rest.len()));
        let part = std::mem::replace(&mut rest, after);
        let parent = real.len();
        match &part[..length] {
            b"" | b"." => {}
            b".." => real.truncate(memchr::memrchr(b'/', &real).unwrap_or(0)),
            name => {
                real.push(b'/');
                real.extend_from_slice(name);
                match std::fs::read_link(OsStr::from_bytes(&real)) {
                    Ok(_) if links == MAX_LINKS => return Err(io::Error::from_raw_os_error(libc::ELOOP)),
                    Ok(target) => {
                        links += 1;
                        let target = target.into_os_string().into_vec();
                        real.truncate(if target.starts_with(b"/") { 0 } else { parent });
                        rest = [&target, b"/".as_slice(), &rest].concat();
                    }
                    // Something that is no link.
                    Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {}
                    Err(e) => return Err(e),
                }
            }
        }
    }
    if real.is_empty() {
        real.push(b'/');
    }
    Ok(OsString::from_vec(real).into())
}

/// Tells each name in a folder, and its inode. Without a path it is the present folder.
///
/// # Errors
/// The folder cannot be read.
#[cfg(not(target_os = "linux"))]
pub fn list(folder: &[u8], each: &mut dyn FnMut(&[u8], u64)) -> io::Result<()> {
    use std::os::unix::fs::DirEntryExt;
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
    fn paths_are_resolved_as_the_system_does() {
        let folder = std::env::temp_dir().join(format!("436-resolve-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("a/b")).unwrap();
        std::fs::write(folder.join("a/b/file"), "").unwrap();
        let folder = folder.canonicalize().unwrap();
        for (target, link) in [
            ("a/b", "relative"),
            ("../relative/file", "a/up"),
            ("loop", "loop"),
            ("/", "root"),
            ("nothing", "dangling"),
            ("relative/..", "dots"),
        ] {
            let _ = std::fs::remove_file(folder.join(link));
            std::os::unix::fs::symlink(target, folder.join(link)).unwrap();
        }
        std::os::unix::fs::symlink(folder.join("a/up"), folder.join("absolute")).unwrap();
        let paths =
            ["a/b/file", "relative//file", "relative/./../b", "a/up", "absolute", "loop", "root", "dangling", "none/x", "dots/b", ""];
        for path in
            paths.map(|path| folder.join(path)).iter().map(PathBuf::as_path).chain([Path::new("/"), Path::new("."), Path::new("src/..")])
        {
            let (ours, expected) = (resolve(path), std::fs::canonicalize(path));
            assert_eq!(ours.as_ref().ok(), expected.as_ref().ok(), "{path:?}");
            assert_eq!(ours.err().and_then(|e| e.raw_os_error()), expected.err().and_then(|e| e.raw_os_error()), "{path:?}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

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
