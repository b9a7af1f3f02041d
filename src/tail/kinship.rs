//! Whether a file is a copy of what a log holds or held: by its content, and by its name where the content is short.

use super::log_file::LogFile;
use super::rotation_name::{self, RotationName};
use crate::fs::dir;
use crate::wire::position::{FilePosition, CONTEXT};

/// What a file is to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinship {
    /// It has nothing to do with the log.
    None,
    /// It holds nothing but what the log's current file begins with: perhaps it is a copy, after which that file is truncated.
    Copy,
    /// It holds what the log held before, and that was read up to this offset.
    ReadTo(u64),
}

/// The content that a file had when it was truncated.
pub(super) struct Truncated {
    /// How far it was read.
    position: FilePosition,
    head: Vec<u8>,
}

impl Truncated {
    pub(super) fn new(file: &LogFile) -> Self {
        Self { position: file.position(), head: file.head().to_vec() }
    }

    pub(super) fn position(&self) -> &FilePosition {
        &self.position
    }

    /// Whether a file begins with the same bytes, as far as these are known.
    pub(super) fn begins_like(&self, file: &LogFile) -> bool {
        file.first_bytes(self.head.len()).is_ok_and(|head| !head.is_empty() && self.head.starts_with(&head))
    }

    /// How far a copy of that content was read. A copy that is shorter than what was read is recognised by its start only.
    pub(super) fn read_of(&self, file: &LogFile, is_kin: bool) -> Option<u64> {
        let size = file.size();
        if is_kin && size < self.position.offset {
            return self.begins_like(file).then_some(size);
        }
        read_of(&self.position, file, is_kin)
    }
}

/// How far a file was read, if it holds what was read up to a position. `is_kin` says that short content is enough to tell.
pub(super) fn read_of(position: &FilePosition, file: &LogFile, is_kin: bool) -> Option<u64> {
    let least = if is_kin { 1 } else { CONTEXT as u64 };
    if position.offset < least || file.size() < position.offset {
        return None;
    }
    let there = file.at_offset(position.offset).ok()?.position();
    (there.hash == position.hash).then_some(position.offset)
}

/// Whether the file at `path` is named after the log at another path, as rotated files and backups are.
pub fn is_named_after(path: &str, log: &str) -> bool {
    let ((_, name), (_, log)) = (dir::split(path.as_bytes()), dir::split(log.as_bytes()));
    RotationName::parse(name, log).is_some() || rotation_name::appended(name, log).is_some() || name.strip_prefix(log) == Some(b"~")
}
