//! The size of a mounted file system, as `statfs(2)` reports it. Linux only.
#![allow(unsafe_code, reason = "statfs64")]

use std::ffi::CStr;
use std::io;

/// How full a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes per block.
    pub block_size: u64,
    /// Blocks in total; 0 for file systems without storage, such as `/proc`.
    pub blocks: u64,
    /// Free blocks.
    pub free: u64,
    /// Free blocks that unprivileged users may fill.
    pub available: u64,
    /// Inodes in total.
    pub inodes: u64,
    /// Free inodes.
    pub free_inodes: u64,
}

impl DiskSpace {
    /// Asks about the file system that contains `path`. Waits for the server of a remote one.
    ///
    /// # Errors
    /// What `statfs(2)` reports.
    pub fn of(path: &CStr) -> io::Result<Self> {
        // SAFETY: the structure consists of numbers, so that all zeros are a value; the path ends in zero and outlives the call.
        let status = unsafe {
            let mut status: libc::statfs64 = std::mem::zeroed();
            super::error::check(libc::statfs64(path.as_ptr(), &mut status))?;
            status
        };
        // Kernels before 2.6 leave the fragment size at 0.
        let block_size = if status.f_frsize == 0 { status.f_bsize } else { status.f_frsize };
        #[allow(clippy::useless_conversion, reason = "32 bits on some systems")]
        Ok(Self {
            block_size: u64::try_from(block_size).unwrap_or_default(),
            blocks: status.f_blocks.into(),
            free: status.f_bfree.into(),
            available: status.f_bavail.into(),
            inodes: status.f_files.into(),
            free_inodes: status.f_ffree.into(),
        })
    }
}
