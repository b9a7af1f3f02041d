//! What `statfs(2)` reports of a mounted file system: its size, and whether the kernel makes it up. Linux only.
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
        let status = status(path)?;
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

/// File systems whose files the kernel makes up while they are read, by their `statfs` numbers (`linux/magic.h`): some never end, some
/// take what they give from its proper reader, and some say things that only root may know.
const KERNEL: [(u32, &str); 10] = [
    (0x9fa0, "a file of proc"),
    (0x6265_6572, "a file of sysfs"),
    (0x7472_6163, "a file of tracefs"),
    (0x6462_6720, "a file of debugfs"),
    (0x6265_6570, "a file of configfs"),
    (0x7363_6673, "a file of securityfs"),
    (0x0027_e0eb, "a file of cgroup"),
    (0x6367_7270, "a file of cgroup2"),
    (0xcafe_4a11, "a file of bpf"),
    (0xf97c_ff8c, "a file of selinuxfs"),
];

/// What a file at that path is, where the kernel makes it up.
pub fn kernel_file_system(path: &CStr) -> Option<&'static str> {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_possible_truncation,
        reason = "the type differs between systems; the number has 32 bits"
    )]
    let number = status(path).ok()?.f_type as u32;
    KERNEL.iter().find(|(known, _)| *known == number).map(|(_, what)| *what)
}

fn status(path: &CStr) -> io::Result<libc::statfs64> {
    // SAFETY: the structure consists of numbers, so that all zeros are a value; the path ends in zero and outlives the call.
    unsafe {
        let mut status: libc::statfs64 = std::mem::zeroed();
        super::error::check(libc::statfs64(path.as_ptr(), &mut status))?;
        Ok(status)
    }
}
