//! A small file in memory that takes what a command says on standard error. Unlike a pipe it never makes the command wait, needs nobody who
//! reads it, and ends no daemon that still has it; unlike a real file it cannot grow.
#![allow(unsafe_code, reason = "memfd_create, fcntl")]

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

/// What a command said first on standard error.
pub(super) struct Scratch {
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "there is none"))]
    file: File,
    /// The first line, once it was read.
    first: Option<String>,
}

impl Scratch {
    /// Bytes that it takes before it is begun again from its start. Only those that were written take memory.
    #[cfg(target_os = "linux")]
    const SIZE: u64 = 256 * 1024;
    /// Bytes that are searched for the first line.
    #[cfg(target_os = "linux")]
    const FIRST: usize = 1024;

    /// An empty one; `None` where the system has none (before Linux 3.17) or none to spare.
    #[cfg(target_os = "linux")]
    pub(super) fn new() -> Option<Self> {
        use std::os::fd::{AsRawFd, FromRawFd};
        // SAFETY: the name ends in zero and outlives the call; the descriptor that it returns is owned by nothing else.
        let file = unsafe {
            let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
            File::from_raw_fd(super::error::check(libc::memfd_create(c"stderr".as_ptr(), flags)).ok()?)
        };
        file.set_len(Self::SIZE).ok()?;
        // SAFETY: the descriptor is open, and this command takes a number.
        super::error::check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_GROW | libc::F_SEAL_SHRINK) }).ok()?;
        Some(Self { file, first: None })
    }

    /// There is none on this system.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn new() -> Option<Self> {
        None
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Makes room again. To be called now and then.
    #[cfg(target_os = "linux")]
    pub(super) fn make_room(&mut self) {
        use std::io::{Seek, SeekFrom};
        // The command has the same offset.
        if self.file.stream_position().is_ok_and(|offset| offset > Self::SIZE / 4) {
            self.first = Some(self.first_line());
            let _ = self.file.seek(SeekFrom::Start(0));
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn make_room(&mut self) {}

    /// The first line that is not empty, or its start.
    #[cfg(target_os = "linux")]
    pub(super) fn first_line(&self) -> String {
        use std::os::unix::fs::FileExt;
        if let Some(first) = &self.first {
            return first.clone();
        }
        let mut bytes = [0; Self::FIRST];
        let read = self.file.read_at(&mut bytes, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(&bytes[..read]);
        let written = text.split('\0').next().unwrap_or_default();
        written.trim_start().split('\n').next().unwrap_or_default().trim_end().to_string()
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn first_line(&self) -> String {
        self.first.clone().unwrap_or_default()
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_first_line_is_kept_however_much_follows() {
        let Some(mut scratch) = Scratch::new() else { return };
        assert_eq!(scratch.first_line(), "");
        let mut writer = scratch.file.try_clone().unwrap();
        writer.write_all(b"\n df: no such thing \nmore\n").unwrap();
        assert_eq!(scratch.first_line(), "df: no such thing");
        for _ in 0..100 {
            writer.write_all(&[b'x'; 60_000]).unwrap();
            scratch.make_room();
        }
        assert_eq!(scratch.first_line(), "df: no such thing");
        assert!((0..9).any(|_| writer.write_all(&[b'x'; 60_000]).is_err()), "it does not grow");
    }
}
