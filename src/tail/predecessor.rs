//! The content that a log held before its current file was begun. A file that is replaced by a copy of itself, or written anew in place,
//! is read on and not again.

use super::kinship::{read_of, Truncated};
use super::log_file::LogFile;
use super::stat::FileId;
use crate::wire::position::CONTEXT;
use std::time::Duration;

pub(super) struct Predecessor {
    content: Truncated,
    /// The file that had the content, if it is another one.
    pub(super) file_id: Option<FileId>,
    /// Whether that content has no name any more: a rotation leaves it one.
    is_gone: bool,
    /// When the current file was first to be read.
    since: Option<Duration>,
}

/// What the current file is.
pub(super) enum Succession {
    /// It may be a copy that is not complete yet.
    Undecided,
    /// It is another file.
    Other,
    /// It holds what was read, up to that offset.
    Copy(u64),
}

impl Predecessor {
    /// For how long a copy may be written after it was seen first.
    const TIME: Duration = Duration::from_secs(2);
    /// A file with so few bytes may begin like another one by chance …
    const MIN_OFFSET: u64 = 64;

    /// `None` if so little was read of `file` that it cannot be told from others. `is_other` says that the current file is not the same
    /// one, overwritten.
    pub(super) fn new(file: &LogFile, is_other: bool) -> Option<Box<Self>> {
        let is_gone = is_other && file.is_deleted();
        // … and one that a rotation has left may begin like the next one on purpose.
        let least = if is_gone { Self::MIN_OFFSET } else { CONTEXT as u64 };
        let file_id = is_other.then_some(file.file_id());
        (file.offset() >= least).then(|| Box::new(Self { content: Truncated::new(file), file_id, is_gone, since: None }))
    }

    pub(super) fn judge(&mut self, now: Duration, current: &LogFile) -> Succession {
        let position = self.content.position();
        let size = current.size();
        let is_late = now - *self.since.get_or_insert(now) >= Self::TIME;
        // A program that writes the same again whenever it runs writes no more than that.
        let least = position.offset + u64::from(!self.is_gone);
        if size >= least {
            return read_of(position, current, true).map_or(Succession::Other, Succession::Copy);
        }
        let may_tell = self.is_gone || self.file_id.is_none() || size >= CONTEXT as u64;
        let is_alike = size == 0 || (may_tell && self.content.begins_like(current));
        if is_alike && !is_late {
            Succession::Undecided
        } else {
            Succession::Other
        }
    }
}
