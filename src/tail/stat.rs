//! What `stat(2)` tells of a file: which one it is, and whether it may have changed.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Device and inode.
pub type FileId = (u64, u64);

/// A time of modification in nanoseconds of Unix time. The ends of the range stand for what is beyond.
pub(super) type Mtime = i64;

/// What changes when a file is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeMtime {
    pub(super) size: u64,
    pub(super) mtime: Mtime,
}

/// Which file these are the metadata of.
pub fn file_id(meta: &Metadata) -> FileId {
    (meta.dev(), meta.ino())
}

#[inline(never)]
pub(super) fn mtime(meta: &Metadata) -> Mtime {
    mtime_of(meta.mtime(), meta.mtime_nsec())
}

pub(super) fn mtime_of(seconds: i64, nanoseconds: i64) -> Mtime {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

impl SizeMtime {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self { size: meta.len(), mtime: mtime(meta) }
    }
}
