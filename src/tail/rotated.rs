//! The open files of a log that lost its name: they are read to their end, watched for late writers, and let go in time.

use super::kinship::read_of;
use super::log_file::LogFile;
use super::progress::{Cause, Progress};
use super::reading::{ReadOutcome, Reading};
use super::siblings::{Sibling, Siblings};
use super::stat::FileId;
use crate::wire::position::FilePosition;
use std::io;
use std::time::Duration;

/// A file that had the log's name and is still open.
pub(super) struct RotatedFile {
    file: LogFile,
    /// When it last grew, or was first read after it lost the name.
    grown: Option<Duration>,
    /// Since when it is known to have no name at all.
    deleted: Option<Duration>,
}

/// A file that was let go: how far it was read.
struct FinishedFile {
    file_id: FileId,
    position: FilePosition,
    /// Whether it still had a name, and no other follower took it over.
    had_name: bool,
}

/// The rotated files of one log, oldest first.
#[derive(Default)]
pub(super) struct RotatedFiles {
    open: Vec<RotatedFile>,
    /// The files before those, oldest first.
    finished: Vec<FinishedFile>,
}

impl RotatedFile {
    /// For how long a rotated file that no longer grows is watched for a late writer.
    const LATE_WRITER: Duration = Duration::from_secs(60);
    /// After how long without growth the last line of a rotated file is complete, though it has no newline.
    const UNENDED_LINE: Duration = Duration::from_secs(5);

    fn new(file: LogFile) -> Self {
        Self { file, grown: None, deleted: None }
    }

    pub(super) fn position(&self) -> FilePosition {
        self.file.position()
    }

    /// # Errors
    /// What `read(2)` reports.
    pub(super) fn read(&mut self, now: Duration, reading: &mut Reading<'_>) -> io::Result<ReadOutcome> {
        let (outcome, has_grown) = self.file.read(reading)?;
        if has_grown {
            self.grown = Some(now);
        }
        let rests = now - *self.grown.get_or_insert(now) >= Self::UNENDED_LINE;
        if outcome == ReadOutcome::End && rests && !self.file.read_unended(reading) {
            return Ok(ReadOutcome::Blocked);
        }
        Ok(outcome)
    }

    /// Whether everything is read and no late writer is expected.
    pub(super) fn is_done(&self, now: Duration) -> bool {
        self.grown.is_some_and(|grown| now - grown >= Self::LATE_WRITER) && self.file.unread() == 0
    }
}

impl RotatedFiles {
    /// Beyond this number, files that are read are no longer watched for late writers.
    const MAX_WATCHED: usize = 8;
    /// Most files that are held open because they are not read yet: each takes a descriptor.
    pub(super) const MAX_UNREAD: usize = 128;
    /// Most files that are remembered after they were let go.
    const MAX_FINISHED: usize = 16;
    /// A deleted file takes up space, perhaps even memory: it is held open for at most so long …
    const MAX_DELETED_TIME: Duration = Duration::from_secs(600);
    /// … and all of them together with at most so many unread bytes …
    const MAX_DELETED_UNREAD: u64 = 16 << 20;
    /// … once they had this time to be read.
    const DELETED_GRACE: Duration = Duration::from_secs(10);

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut RotatedFile> {
        self.open.get_mut(at)
    }

    /// The newest open one.
    pub(super) fn last(&self) -> Option<&LogFile> {
        self.open.last().map(|rotated| &rotated.file)
    }

    /// The open one that is that file.
    pub(super) fn get(&self, wanted: FileId) -> Option<&LogFile> {
        self.open.iter().map(|rotated| &rotated.file).find(|file| file.file_id() == wanted)
    }

    /// The newest one that was let go.
    pub(super) fn last_finished(&self) -> Option<FileId> {
        self.finished.last().map(|finished| finished.file_id)
    }

    /// How far the newest one that was let go was read, if it still had a name.
    pub(super) fn last_finished_position(&self) -> Option<FilePosition> {
        self.finished.last().filter(|last| last.had_name).map(|last| last.position)
    }

    pub(super) fn file_ids(&self) -> impl Iterator<Item = FileId> + '_ {
        self.open.iter().map(|rotated| rotated.file.file_id())
    }

    pub(super) fn is_reading(&self, file: FileId) -> bool {
        self.open.iter().any(|rotated| rotated.file.file_id() == file && rotated.file.unread() > 0)
    }

    pub(super) fn files_mut(&mut self) -> impl Iterator<Item = &mut LogFile> {
        self.open.iter_mut().map(|rotated| &mut rotated.file)
    }

    pub(super) fn positions(&self) -> impl Iterator<Item = FilePosition> + '_ {
        self.open.iter().map(RotatedFile::position)
    }

    /// How far each file was read, also those that were let go.
    pub(super) fn all_positions(&self) -> impl Iterator<Item = FilePosition> + '_ {
        self.finished.iter().map(|finished| finished.position).chain(self.positions())
    }

    /// How many files at the start are read to their end.
    pub(super) fn read_at_start(&self) -> usize {
        self.open.iter().take_while(|rotated| rotated.file.unread() == 0).count()
    }

    /// How many bytes are unread. From now on the files are known to go as far as that.
    pub(super) fn measure(&mut self) -> u64 {
        self.open.iter_mut().map(|rotated| rotated.file.measure()).sum()
    }

    /// Whether a sibling was read here under another name, or is the copy of a file that was.
    pub(super) fn has_read(&self, siblings: &Siblings<'_>, sibling: &Sibling) -> bool {
        self.finished.iter().any(|finished| siblings.was_read(sibling, &finished.position, finished.file_id))
            || self.open.iter().any(|rotated| siblings.was_read(sibling, &rotated.position(), rotated.file.file_id()))
    }

    /// Adds the newest file.
    pub(super) fn push(&mut self, file: LogFile, deleted: Option<Duration>) {
        self.open.push(RotatedFile { deleted, ..RotatedFile::new(file) });
    }

    /// Adds files that are newer than all others, oldest first.
    pub(super) fn extend(&mut self, files: Vec<LogFile>) {
        self.open.extend(files.into_iter().map(RotatedFile::new));
    }

    /// Adds a copy as the file at `at`, unless the copy is one of the files already.
    pub(super) fn insert_copy(&mut self, at: usize, copy: LogFile) {
        for rotated in &mut self.open {
            if rotated.file.file_id() == copy.file_id() && matches!(rotated.file.check_truncated(), Ok(false)) {
                if rotated.file.offset() < copy.offset() {
                    *rotated = RotatedFile::new(copy);
                }
                return;
            }
        }
        self.open.insert(at, RotatedFile::new(copy));
    }

    /// Takes out a file that has a new owner.
    pub(super) fn take(&mut self, wanted: FileId) -> Option<LogFile> {
        let at = self.open.iter().position(|rotated| rotated.file.file_id() == wanted)?;
        Some(self.open.remove(at).file)
    }

    /// Looks for files that no longer hold what they held: some rotations copy every file to the next. `find_copy` finds a copy of such
    /// a file if there is one, or returns `None` while that cannot be decided. `give_up` is called with each such file and its copy.
    /// What else such a file holds now is read from its start, unless `is_known` or read here before.
    pub(super) fn check(
        &mut self,
        find_copy: &dyn Fn(&LogFile) -> Option<Option<LogFile>>,
        give_up: &mut dyn FnMut(&LogFile, Option<&LogFile>),
        is_known: &dyn Fn(&LogFile) -> bool,
    ) {
        let (mut at, mut anew) = (0, Vec::new());
        while let Some(rotated) = self.open.get_mut(at) {
            at += 1;
            if !matches!(rotated.file.check_truncated(), Ok(true)) {
                continue;
            }
            let Some(copy) = find_copy(&rotated.file) else { continue };
            let truncated = self.open.remove(at - 1).file;
            give_up(&truncated, copy.as_ref());
            anew.extend(truncated.anew(0).ok().filter(|file| file.size() > 0));
            match copy {
                Some(copy) => self.open.insert(at - 1, RotatedFile::new(copy)),
                None => at -= 1,
            }
        }
        for file in anew {
            let is_read = self.all_positions().any(|position| read_of(&position, &file, true).is_some());
            if !is_read && !is_known(&file) && self.get(file.file_id()).is_none() {
                self.push(file, None);
            }
        }
    }

    /// Lets go of files that are too many.
    pub(super) fn limit(&mut self, progress: &mut Progress) {
        while self.open.len() > Self::MAX_WATCHED {
            if let Some(read) = self.open.iter().position(|rotated| rotated.file.unread() == 0) {
                self.let_go(read, Cause::TooMany, progress);
            } else if self.open.len() > Self::MAX_UNREAD {
                self.let_go(0, Cause::TooMany, progress);
            } else {
                break;
            }
        }
    }

    /// Lets go of a file. What is unread of it is lost.
    pub(super) fn let_go(&mut self, at: usize, cause: Cause, progress: &mut Progress) {
        let file = self.open.remove(at).file;
        progress.give_up(cause, file.unread());
        self.remember(&file, !file.is_deleted());
    }

    /// Remembers a file that is no longer followed.
    pub(super) fn remember(&mut self, file: &LogFile, had_name: bool) {
        if self.finished.len() >= Self::MAX_FINISHED {
            self.finished.remove(0);
        }
        // A file that was not read at all cannot be recognised.
        if file.offset() > 0 {
            self.finished.push(FinishedFile { file_id: file.file_id(), position: file.position(), had_name });
        }
    }

    /// Lets go of deleted files that were held for too long, or with too much that is unread.
    pub(super) fn let_go_of_deleted(&mut self, now: Duration, progress: &mut Progress) {
        for rotated in &mut self.open {
            rotated.deleted = if rotated.file.is_deleted() { rotated.deleted.or(Some(now)) } else { None };
        }
        while let Some(at) = self.excess_deleted(now) {
            self.let_go(at, Cause::Deleted, progress);
        }
    }

    /// The deleted file to let go next: one that was held for too long, or the first of those that had time to be read while too much
    /// of them is unread.
    fn excess_deleted(&self, now: Duration) -> Option<usize> {
        let (mut first, mut unread) = (None, 0);
        for (at, rotated) in self.open.iter().enumerate() {
            let Some(deleted) = rotated.deleted.filter(|deleted| now - *deleted >= Self::DELETED_GRACE) else { continue };
            if now - deleted >= Self::MAX_DELETED_TIME {
                return Some(at);
            }
            first = first.or(Some(at));
            unread += rotated.file.unread();
        }
        first.filter(|_| unread > Self::MAX_DELETED_UNREAD)
    }
}
