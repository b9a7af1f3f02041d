//! The follower of one log: when to look for what happened to its files, and what counts as an error.

use super::files::LogFiles;
use super::kinship::Kinship;
use super::log_file::{LogFile, Release};
use super::reading::{ReadOutcome, TakeLines};
use super::stat::{file_id, FileId};
use crate::encoding::Encoding;
use crate::fs::{Access, AccessError};
use crate::wire::position::Position;
use std::path::PathBuf;
use std::time::Duration;

/// Follows a log, whether its file exists or not.
pub struct Follower {
    files: LogFiles,
    /// Where reading begins in the next file that is found at the path, because this much was there when it could not be read.
    first_offset: u64,
    /// The position to resume, while that is not possible because the path has no file that can be read.
    pending: Option<PendingPosition>,
    /// Whether the log was just resumed: another follower may have found the same files.
    is_resumed: bool,
    /// Whether the last look failed.
    has_failed: bool,
    missing_since: Option<Duration>,
    /// Why the last reading failed, if it did.
    read_failure: Option<AccessError>,
}

/// How far a log was read, and when that was in Unix seconds.
struct PendingPosition {
    position: Position,
    seen: u64,
}

impl Follower {
    /// For how long a path without a file is no error: rotations leave gaps.
    const MISSING_TOLERANCE: Duration = Duration::from_secs(10);
    /// For how long the file that had the name remains the current one: it may come back.
    const MISSING_HELD: Duration = Duration::from_secs(600);

    /// Follows a log from its present end, or from the start of a file that appears later.
    pub fn from_end(access: &Access, path: &str) -> Self {
        Self::from_offset(access, path, u64::MAX)
    }

    /// Follows a log from an offset in its present file, or from its end if it is shorter, or from the start of a file that appears later.
    pub fn from_offset(access: &Access, path: &str, offset: u64) -> Self {
        let mut follower = Self::from_start(access, path);
        if let Some(meta) = follower.files.metadata().ok().filter(|meta| meta.is_file()) {
            match follower.files.open(offset) {
                Ok(file) => follower.files.begin(file),
                Err(_) => follower.first_offset = offset.min(meta.len()),
            }
        }
        follower
    }

    /// Follows a log from the start of its present file.
    pub fn from_start(access: &Access, path: &str) -> Self {
        Self {
            files: LogFiles::new(access, path),
            first_offset: 0,
            pending: None,
            is_resumed: false,
            has_failed: false,
            missing_since: None,
            read_failure: None,
        }
    }

    /// Follows a file that another follower has released, from where that one stopped.
    pub fn from_released(access: &Access, path: &str, file: LogFile) -> Self {
        let mut follower = Self::from_start(access, path);
        follower.files.begin(file);
        follower
    }

    /// Follows a log from the position that it was read to at `seen`, in Unix seconds by the clock that dates files. Returns also what
    /// could not be found again. While the log is missing or cannot be read, nothing is decided; [`Self::take_loss`] then returns it
    /// later.
    pub fn resume(access: &Access, path: &str, position: &Position, seen: u64) -> (Self, Option<String>) {
        Self::resume_among(access, path, position, seen, Vec::new())
    }

    /// As [`Self::resume`], where the files at `copies` may be copies of the log's, whatever they are called.
    pub fn resume_among(access: &Access, path: &str, position: &Position, seen: u64, copies: Vec<PathBuf>) -> (Self, Option<String>) {
        let mut follower = Self::from_start(access, path);
        follower.consider(copies);
        follower.pending = Some(PendingPosition { position: position.clone(), seen });
        follower.try_resume();
        let lost = follower.take_loss();
        (follower, lost)
    }

    /// Reads its files in another encoding than UTF-8 from now on, or than before.
    pub fn set_encoding(&mut self, encoding: Encoding) {
        self.files.set_encoding(encoding);
    }

    /// Why its file is probably in another encoding. That is told once.
    pub fn take_doubt(&mut self) -> Option<String> {
        self.files.take_doubt()
    }

    /// Tells the files of a log that is followed for the first time from those that had its name earlier: they are numbered from the one
    /// after `serial` on, which is such that no number comes twice.
    pub fn number_from(&mut self, serial: u32) {
        self.files.number_from(serial);
    }

    /// How far everything that was handed on goes.
    pub fn position(&self) -> Position {
        self.pending.as_ref().map_or_else(|| self.files.position(), |pending| pending.position.clone())
    }

    /// What was given up since the last call, if anything.
    pub fn take_loss(&mut self) -> Option<String> {
        self.files.take_loss()
    }

    /// How many lines were cut for length, if any were since the last report and that is at least ten minutes ago.
    pub fn take_cut_lines(&mut self, now: Duration) -> Option<String> {
        self.files.take_cut_lines(now)
    }

    /// The path as given.
    pub fn path(&self) -> &str {
        self.files.path()
    }

    /// Whether the path had no file at the last look.
    pub fn is_missing(&self) -> bool {
        self.missing_since.is_some()
    }

    /// Whether the path has no file, and all files that had its name are read.
    pub fn is_gone(&self) -> bool {
        self.is_missing() && self.files.rotated().is_empty() && self.files.current().is_none()
    }

    /// Whether everything is read that is there now.
    pub fn is_read(&self) -> bool {
        self.pending.is_none() && self.files.is_read()
    }

    /// The current file.
    pub fn file_id(&self) -> Option<FileId> {
        self.files.current().map(LogFile::file_id)
    }

    /// Whether nothing is to be done until the current file or its folder changes.
    pub fn is_settled(&self) -> bool {
        let is_decided = self.files.rotated().is_empty() && !self.files.may_be_copy();
        is_decided && self.read_failure.is_none() && (self.files.current().is_some() || self.has_failed)
    }

    /// Whether that file is followed here, as the current or a rotated one.
    pub fn holds(&self, file: FileId) -> bool {
        self.file_id() == Some(file) || self.files.rotated().file_ids().any(|rotated| rotated == file)
    }

    /// Whether that file is a rotated one of this log and not read to its end.
    pub fn is_reading(&self, file: FileId) -> bool {
        self.files.rotated().is_reading(file)
    }

    /// Gives up a file that now has another path, if it is followed here.
    pub fn release(&mut self, wanted: FileId) -> Option<LogFile> {
        self.files.release(wanted)
    }

    /// Considers the files at these paths too when a copy of the log's file is looked for.
    pub fn consider(&mut self, copies: Vec<PathBuf>) {
        self.files.consider(copies);
    }

    /// What an unread file is to this log. `is_kin` says that short content is enough to tell.
    pub fn kinship(&mut self, file: &LogFile, is_kin: bool) -> Kinship {
        self.files.kinship(file, is_kin)
    }

    /// The current file, if nothing was read of the log although there is something.
    pub fn unread(&self) -> Option<&LogFile> {
        self.files.unread()
    }

    /// Whether there was nothing to read yet.
    pub fn is_empty(&self) -> bool {
        self.files.rotated().is_empty() && self.files.current().is_none_or(|current| current.known_end() == 0)
    }

    /// Goes on at an offset of the current file: what is before was read elsewhere.
    pub fn skip_to(&mut self, offset: u64) {
        self.files.skip_to(offset);
    }

    /// Where the log ends now, counted as the positions of lines are. All that is there now is before it.
    pub fn end(&mut self) -> u64 {
        self.files.end()
    }

    /// Looks for rotations and truncations; reads no lines. `release` is asked for a file that was followed under another name.
    ///
    /// # Errors
    /// Why the file cannot be opened, or why it could not be read the last time. A missing file is an error only after a while.
    pub fn look(&mut self, now: Duration, release: Release<'_>) -> Result<(), AccessError> {
        self.try_resume();
        if std::mem::take(&mut self.is_resumed) {
            self.files.take_over(release);
        }
        // Before a new file takes its place: what the current one held may be in copies.
        let checked = self.files.check_current(release);
        let found = match self.files.metadata() {
            Ok(meta) if meta.is_file() => self.handle_found(file_id(&meta), checked, release),
            // What is no file cannot be opened either, which tells what it is.
            Ok(_) => self.files.open(0).map(drop),
            Err(e) => Err(e),
        };
        let is_missing = found.is_err_and(AccessError::is_missing);
        let is_tolerated = is_missing && self.handle_missing(now);
        if !is_missing {
            self.missing_since = None;
        }
        let state = if is_tolerated { Ok(()) } else { found };
        self.files.check_rotated();
        self.files.let_go_of_deleted(now);
        self.has_failed = state.is_err();
        state.and(self.read_failure.map_or(Ok(()), Err))
    }

    /// Reads what was appended, rotated files first. Returns whether there is more to read at once, unless the taker had no room.
    pub fn read(&mut self, now: Duration, buffer: &mut [u8], take: TakeLines<'_>) -> bool {
        let outcome = self.files.read(now, buffer, take);
        self.read_failure = outcome.err();
        outcome == Ok(ReadOutcome::More)
    }

    /// Resumes the pending position, if that is possible now.
    fn try_resume(&mut self) {
        if let Some(PendingPosition { position, seen }) = &self.pending {
            if self.files.resume(position, *seen) {
                self.pending = None;
                self.is_resumed = true;
            }
        }
    }

    /// The path has that file. `checked` says whether the current one could be read.
    fn handle_found(&mut self, found: FileId, checked: Result<(), AccessError>, release: Release<'_>) -> Result<(), AccessError> {
        if self.pending.is_some() {
            // It has appeared at this moment, or cannot be read, which an attempt to open it tells.
            return self.files.open(0).map(drop);
        }
        if self.file_id() == Some(found) {
            return checked;
        }
        // The current file remains the current one until another can be opened: what it still holds must not be lost.
        let opened = self.files.open(self.first_offset)?;
        // Otherwise it was renamed at this moment, and the next look decides.
        if opened.file_id() == found && self.files.replace_current(opened, self.missing_since, release) {
            self.first_offset = 0;
        }
        Ok(())
    }

    /// The path has no file. Returns whether that is no error yet.
    fn handle_missing(&mut self, now: Duration) -> bool {
        self.first_offset = 0;
        let since = *self.missing_since.get_or_insert(now);
        // A file without any name cannot get this one back.
        if now - since >= Self::MISSING_HELD || self.files.current().is_some_and(LogFile::is_deleted) {
            self.files.rotate_current(self.missing_since);
        }
        !self.has_failed && now - since < Self::MISSING_TOLERANCE
    }
}

#[cfg(test)]
impl Follower {
    /// How many rotated files are open.
    pub(super) fn rotated_files(&self) -> usize {
        self.files.rotated().len()
    }
}
