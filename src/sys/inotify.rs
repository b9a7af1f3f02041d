//! Notices of changed files, on Linux. They are hints to look sooner: nothing relies on them.
#![allow(unsafe_code, reason = "inotify")]

use std::io;
use std::os::fd::BorrowedFd;

/// The number of a watched file or folder. Watching the same one again returns the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watch(i32);

/// A change of something watched.
#[derive(Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The watched file changed, or the file of that name in the watched folder.
    Touched { watch: Watch, name: &'a [u8] },
    /// The watch has ended: the file or folder was removed.
    Ended(Watch),
    /// The queue overflowed: anything may have changed.
    Lost,
}

#[cfg(target_os = "linux")]
pub use linux::Inotify;

#[cfg(target_os = "linux")]
mod linux {
    use super::{io, BorrowedFd, Change, Watch};
    use std::ffi::CString;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsFd, AsRawFd, FromRawFd};

    /// The queue of changes.
    pub struct Inotify {
        queue: File,
    }

    /// File systems on which other machines change files without a notice, by their `statfs` numbers: NFS, SMB, CIFS, SMB 2, 9P, FUSE, AFS,
    /// Coda (`linux/magic.h`).
    const REMOTE: [i64; 8] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x6573_5546, 0x5346_414f, 0x7375_7245];

    impl Inotify {
        /// Opens a queue without watches; `None` if the system has no inotify or no queue to spare.
        pub fn open() -> Option<Self> {
            // SAFETY: touches no memory; the descriptor that it returns is owned by nothing else.
            let queue = unsafe {
                let fd = super::super::error::check(libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC)).ok()?;
                File::from_raw_fd(fd)
            };
            Some(Self { queue })
        }

        /// The descriptor to poll.
        pub fn fd(&self) -> BorrowedFd<'_> {
            self.queue.as_fd()
        }

        /// Watches a file for writes and truncation.
        ///
        /// # Errors
        /// It cannot be watched, or is on a file system of another machine.
        pub fn watch_file(&self, path: &[u8]) -> io::Result<Watch> {
            self.watch(path, libc::IN_MODIFY)
        }

        /// Watches a folder for files that appear, vanish or change their permissions; an empty path is the current folder.
        ///
        /// # Errors
        /// It cannot be watched, or is on a file system of another machine.
        pub fn watch_folder(&self, path: &[u8]) -> io::Result<Watch> {
            let appears_or_vanishes = libc::IN_CREATE | libc::IN_MOVED_TO | libc::IN_MOVED_FROM | libc::IN_DELETE;
            self.watch(path, appears_or_vanishes | libc::IN_ATTRIB | libc::IN_ONLYDIR)
        }

        fn watch(&self, path: &[u8], changes: u32) -> io::Result<Watch> {
            let path = CString::new(if path.is_empty() { b"." } else { path })?;
            // SAFETY: the path ends in zero and outlives the calls; the structure consists of numbers, so that all zeros are a value.
            unsafe {
                let mut system: libc::statfs = std::mem::zeroed();
                super::super::error::check(libc::statfs(path.as_ptr(), &mut system))?;
                #[allow(clippy::unnecessary_cast, reason = "the type differs between systems")]
                let kind = system.f_type as i64 & 0xffff_ffff;
                if REMOTE.contains(&kind) {
                    return Err(io::ErrorKind::Unsupported.into());
                }
                super::super::error::check(libc::inotify_add_watch(self.queue.as_raw_fd(), path.as_ptr(), changes)).map(Watch)
            }
        }

        /// Takes all changes since the last call.
        pub fn take(&mut self, mut change: impl FnMut(Change<'_>)) {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = self.queue.read(&mut bytes) {
                let mut rest = &bytes[..count];
                while let Some((event, after)) = parse(rest) {
                    change(event);
                    rest = after;
                }
            }
        }
    }

    /// One `struct inotify_event` (inotify(7)): watch, mask, cookie, length of the name, and the name padded with zeros.
    pub(super) fn parse(bytes: &[u8]) -> Option<(Change<'_>, &[u8])> {
        let number = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let (watch, mask, length) = (number(0)?, number(4)?, number(12)? as usize);
        let name = bytes.get(16..16 + length)?;
        let name = name.split(|b| *b == 0).next().unwrap_or_default();
        let watch = Watch(i32::from_ne_bytes(watch.to_ne_bytes()));
        let change = if mask & libc::IN_Q_OVERFLOW != 0 {
            Change::Lost
        } else if mask & libc::IN_IGNORED != 0 {
            Change::Ended(watch)
        } else {
            Change::Touched { watch, name }
        };
        Some((change, &bytes[16 + length..]))
    }
}

/// The queue on systems without inotify, which cannot be opened.
#[cfg(not(target_os = "linux"))]
pub enum Inotify {}

#[cfg(not(target_os = "linux"))]
impl Inotify {
    /// Always `None`.
    pub fn open() -> Option<Self> {
        None
    }

    /// Never called.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    /// Never.
    pub fn watch_file(&self, _: &[u8]) -> io::Result<Watch> {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    /// Never.
    pub fn watch_folder(&self, _: &[u8]) -> io::Result<Watch> {
        match *self {}
    }

    /// Never called.
    pub fn take(&mut self, _: impl FnMut(Change<'_>)) {
        match *self {}
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn no_truncated_event_is_read() {
        let mut bytes = Vec::new();
        for field in [7_u32, libc::IN_CREATE, 0, 8] {
            bytes.extend(field.to_ne_bytes());
        }
        bytes.extend(b"name\0\0\0\0rest");
        let (change, rest) = linux::parse(&bytes).unwrap();
        assert_eq!((change, rest), (Change::Touched { watch: Watch(7), name: b"name" }, &b"rest"[..]));
        for end in 0..24 {
            assert_eq!(linux::parse(&bytes[..end]), None, "{end}");
        }
    }
}
