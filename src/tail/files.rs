//! All files of one log: the current one, which has the log's name, and the rotated ones. Finds out after a rotation or a truncation
//! which files to read in which order.

use super::kinship::{read_of, Kinship, Truncated};
use super::log_file::{LogFile, Release};
use super::positions;
use super::predecessor::{Predecessor, Succession};
use super::progress::{Cause, Progress};
use super::reading::{ReadOutcome, Reading, TakeLines};
use super::resume::{self, Resumed};
use super::rotated::RotatedFiles;
use super::rotation_key::RotationKey;
use super::siblings::{Places, Siblings};
use super::stat::{FileId, Mtime};
use crate::encoding::Encoding;
use crate::fs::{Access, AccessError};
use crate::wire::position::{FilePosition, Position};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) struct LogFiles {
    access: Access,
    places: Places,
    current: Option<LogFile>,
    rotated: RotatedFiles,
    /// Copies of the current file, which are not read beside it.
    copies: Vec<FileId>,
    /// What the current file held when it was truncated last, if no copy of that was found.
    truncated: Option<Box<Truncated>>,
    /// What the log held before the current file was begun, until it is known whether that file is a copy.
    predecessor: Option<Box<Predecessor>>,
    progress: Progress,
    /// The highest number of a file so far.
    last_serial: u32,
    /// Whether it was told that its files are probably in another encoding.
    is_doubted: bool,
}

/// Behind which file others are looked for, and by what these are recognised as newer.
struct Behind {
    file_id: Option<FileId>,
    /// When that file was rotated, in case it has no name any more.
    key: Option<RotationKey>,
    /// Files that were written to at this time or later are newer where nothing else decides.
    since: Option<Mtime>,
}

impl LogFiles {
    pub(super) fn new(access: &Access, path: &str) -> Self {
        Self {
            access: access.clone(),
            places: Places { log: path.to_string(), ..Places::default() },
            current: None,
            rotated: RotatedFiles::default(),
            copies: Vec::new(),
            truncated: None,
            predecessor: None,
            progress: Progress::default(),
            last_serial: 0,
            is_doubted: false,
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.places.log
    }

    /// # Errors
    /// The path is refused or has no file.
    pub(super) fn metadata(&self) -> Result<Metadata, AccessError> {
        self.access.metadata(self.path().as_ref())
    }

    /// Opens the file at the path to read it from an offset.
    ///
    /// # Errors
    /// The file is refused, missing or cannot be read.
    pub(super) fn open(&self, offset: u64) -> Result<LogFile, AccessError> {
        LogFile::open(&self.access, Path::new(self.path()), self.places.encoding, offset)
    }

    pub(super) fn current(&self) -> Option<&LogFile> {
        self.current.as_ref()
    }

    pub(super) fn rotated(&self) -> &RotatedFiles {
        &self.rotated
    }

    /// Whether everything is read that is there now.
    pub(super) fn is_read(&self) -> bool {
        self.rotated.read_at_start() == self.rotated.len() && self.current().is_none_or(|current| current.unread() == 0)
    }

    /// What was given up since the last call.
    pub(super) fn take_loss(&mut self) -> Option<String> {
        self.progress.take_loss(&self.places.log)
    }

    /// How many lines were cut for length since the last report, at most every ten minutes.
    pub(super) fn take_cut_lines(&mut self, now: Duration) -> Option<String> {
        self.progress.take_cut_lines(now, &self.places.log)
    }

    /// Reads all files in another encoding from now on.
    pub(super) fn set_encoding(&mut self, encoding: Encoding) {
        let Self { places, rotated, current, is_doubted, .. } = self;
        if std::mem::replace(&mut places.encoding, encoding) != encoding {
            *is_doubted = false;
            for file in rotated.files_mut().chain(current.as_mut()) {
                // What cannot be read is reported when it is read.
                let _ = file.set_encoding(encoding);
            }
        }
    }

    /// Why the current file is probably in another encoding. That is told once.
    pub(super) fn take_doubt(&mut self) -> Option<String> {
        let doubt = self.places.encoding.doubt(self.current()?.head()).filter(|_| !self.is_doubted)?;
        self.is_doubted = true;
        Some(format!("{} {doubt}", self.path()))
    }

    /// Makes a file the current one of a log that had none.
    pub(super) fn begin(&mut self, file: LogFile) {
        self.current = Some(file);
        self.note_target();
    }

    /// Numbers the files of a log that is followed for the first time, beginning with the one after `serial`.
    pub(super) fn number_from(&mut self, serial: u32) {
        self.last_serial = serial;
        self.number();
    }

    /// Gives each file that has no number the next one.
    fn number(&mut self) {
        let Self { rotated, current, last_serial, .. } = self;
        for file in rotated.files_mut().chain(current.as_mut()) {
            if file.serial == 0 {
                file.serial = *last_serial + 1;
            }
            *last_serial = (*last_serial).max(file.serial);
        }
    }

    /// Notes what the path leads to, if it is a link.
    fn note_target(&mut self) {
        let path = Path::new(&self.places.log);
        let link = self.access.link_metadata(path).ok().filter(Metadata::is_symlink);
        self.places.target = link.and_then(|_| self.access.resolve(path).ok());
    }

    /// Takes the open files over from other followers, so that nobody else reads them. Reading goes on from the further place.
    pub(super) fn take_over(&mut self, release: Release<'_>) {
        for file in self.rotated.files_mut().chain(&mut self.current) {
            if let Some(other) = release(file.file_id()).filter(|other| other.offset() > file.offset()) {
                *file = other;
            }
        }
    }

    /// Finds the files of a position. Returns `false` while that cannot be decided.
    pub(super) fn resume(&mut self, position: &Position, seen: u64) -> bool {
        let resumed = resume::resume(&self.access, &self.places, position, seen, RotatedFiles::MAX_UNREAD);
        let Some(Resumed { rotated, current, lost }) = resumed else { return false };
        self.rotated.extend(rotated);
        self.current = current;
        self.last_serial = position.files.iter().map(|file| file.serial).max().unwrap_or(0);
        self.number();
        self.note_target();
        self.progress.add_loss_text(lost);
        true
    }

    /// Gives up a file that now has another path.
    pub(super) fn release(&mut self, wanted: FileId) -> Option<LogFile> {
        let released = self.rotated.take(wanted).or_else(|| self.current.take_if(|current| current.file_id() == wanted))?;
        self.rotated.remember(&released, false);
        Some(released)
    }

    /// Considers the files at these paths too when a copy is looked for.
    pub(super) fn consider(&mut self, paths: Vec<PathBuf>) {
        self.places.copies = paths;
    }

    /// What an unread file is to this log. `is_kin` says that short content is enough to tell.
    pub(super) fn kinship(&mut self, file: &LogFile, is_kin: bool) -> Kinship {
        let size = file.size();
        if let Some(current) = &mut self.current {
            let is_copy = match current.check_truncated() {
                Ok(false) => current.begins_with(file, size),
                // The next look goes on in the copy.
                _ => read_of(&current.known_position(), file, is_kin).or(read_of(&current.position(), file, is_kin)).is_some(),
            };
            if is_copy {
                return Kinship::Copy;
            }
        }
        let truncated = self.truncated.as_ref().and_then(|truncated| truncated.read_of(file, is_kin));
        let rotated = self.rotated.all_positions().filter_map(|position| read_of(&position, file, is_kin)).max();
        truncated.max(rotated).map_or(Kinship::None, Kinship::ReadTo)
    }

    /// The current file, if nothing was read of the log although there is something.
    pub(super) fn unread(&self) -> Option<&LogFile> {
        self.current.as_ref().filter(|current| current.offset() == 0 && current.size() > 0 && self.rotated.is_empty())
    }

    /// Goes on at an offset of the current file: what is before was read elsewhere.
    pub(super) fn skip_to(&mut self, offset: u64) {
        let Some(current) = &mut self.current else { return };
        if let Ok(file) = current.at_offset(offset) {
            self.progress.advance(offset.saturating_sub(current.offset()));
            *current = file;
        }
    }

    /// How far everything is handed on.
    pub(super) fn position(&self) -> Position {
        let mut files = self.positions();
        if files.len() > Position::MAX_FILES {
            let at = self.before_open(&files) + self.rotated.read_at_start();
            positions::limit(&mut files, at);
        }
        Position::of_files(files)
    }

    /// Where the log ends now, counted as the positions of lines are.
    pub(super) fn end(&mut self) -> u64 {
        self.progress.position() + self.rotated.measure() + self.current.as_mut().map_or(0, |current| current.measure())
    }

    /// Reads what was appended, rotated files first.
    ///
    /// # Errors
    /// The current file cannot be read. Rotated files that cannot be read are given up.
    pub(super) fn read(&mut self, now: Duration, buffer: &mut [u8], take: TakeLines<'_>) -> Result<ReadOutcome, AccessError> {
        self.number();
        let mut files = self.positions();
        let mut at = 0;
        loop {
            let number = self.before_open(&files) + at;
            let (earlier, later) = positions::around(&files, number);
            let Some(rotated) = self.rotated.get_mut(at) else {
                if let Some(outcome) = self.decide_succession(now) {
                    return Ok(outcome);
                }
                let mut reading = Reading { progress: &mut self.progress, earlier: &earlier, later: &later, buffer, take };
                let Some(current) = &mut self.current else { return Ok(ReadOutcome::End) };
                return Ok(current.read(&mut reading)?.0);
            };
            let mut reading = Reading { progress: &mut self.progress, earlier: &earlier, later: &later, buffer, take };
            let is_done = match rotated.read(now, &mut reading) {
                Ok(ReadOutcome::End) => rotated.is_done(now),
                Ok(ReadOutcome::Truncated) => false,
                Ok(outcome) => return Ok(outcome),
                Err(_) => true,
            };
            if is_done {
                self.rotated.let_go(at, Cause::Unreadable, &mut self.progress);
                files.remove(number);
            } else {
                files[number] = rotated.position();
                at += 1;
            }
        }
    }

    /// Finds out whether the current file is a copy of what the log held before. If it is one, reading goes on behind what was read.
    /// `None` if the file is to be read now.
    fn decide_succession(&mut self, now: Duration) -> Option<ReadOutcome> {
        let (Some(predecessor), Some(current)) = (&mut self.predecessor, &self.current) else { return None };
        let mut outcome = None;
        if current.offset() == 0 {
            match predecessor.judge(now, current) {
                Succession::Undecided => return Some(ReadOutcome::End),
                Succession::Other => {}
                Succession::Copy(read) => {
                    // More may have been read of the other file since.
                    let other = predecessor.file_id.and_then(|file_id| self.rotated.get(file_id));
                    let more = other.and_then(|other| other.common_lines(current, read).ok());
                    self.skip_to(read + more.unwrap_or(0));
                    outcome = Some(ReadOutcome::More);
                }
            }
        }
        self.predecessor = None;
        outcome
    }

    /// Whether the current file may be a copy of what the log held before.
    pub(super) fn may_be_copy(&self) -> bool {
        self.predecessor.is_some()
    }

    /// How far the open files are read. While nothing is read of them, the last file that was let go comes before them: files between it
    /// and them are found by it.
    fn positions(&self) -> Vec<FilePosition> {
        let mut files = Vec::with_capacity(self.rotated.len() + 2);
        if self.current.is_some() {
            files.extend(self.rotated.last_finished_position());
        }
        let first = files.len();
        files.extend(self.rotated.positions());
        files.extend(self.current.as_ref().map(|current| current.position()));
        if first > 0 && files[first..].iter().any(|file| file.offset > 0) {
            files.remove(0);
        }
        files
    }

    /// How many of these come before the open ones.
    fn before_open(&self, files: &[FilePosition]) -> usize {
        files.len() - self.rotated.len() - usize::from(self.current.is_some())
    }

    /// Makes the file that was opened at the path the current one. Returns `false` while it cannot be decided what came between.
    pub(super) fn replace_current(&mut self, opened: LogFile, missing_since: Option<Duration>, release: Release<'_>) -> bool {
        let since = self.current.as_ref().and_then(|current| current.checked_mtime());
        // What was cut from it is to be found first, and what it holds now is read from its start.
        if self.current.as_mut().is_some_and(|current| matches!(current.check_truncated(), Ok(true))) {
            return false;
        }
        let new = opened.file_id();
        let Some(between) = self.rotated_meanwhile(Some(new), since, release) else { return false };
        // A file that has come back, or had another name, is read on and not again.
        let opened = self.rotated.take(new).or_else(|| release(new)).unwrap_or(opened);
        let last = self.current().or(self.rotated.last()).filter(|_| opened.offset() == 0 && between.is_empty());
        self.predecessor = last.and_then(|last| Predecessor::new(last, true));
        self.rotate_current(missing_since);
        self.copies.clear();
        self.current = Some(opened);
        self.note_target();
        self.rotated.extend(between);
        self.rotated.limit(&mut self.progress);
        true
    }

    /// The current file has lost the log's name.
    pub(super) fn rotate_current(&mut self, missing_since: Option<Duration>) {
        if let Some(current) = self.current.take() {
            let deleted = missing_since.filter(|_| current.is_deleted());
            self.rotated.push(current, deleted);
        }
    }

    /// Checks whether the current file still holds what it held, and otherwise goes on in its copy.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn check_current(&mut self, release: Release<'_>) -> Result<(), AccessError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let since = current.checked_mtime();
        if current.check_truncated()? {
            self.handle_truncated(since, release);
        } else if let Some(since) = current.take_filled_since() {
            // It may have been filled, copied and truncated before.
            match (self.rotated_meanwhile(None, Some(since), release), &mut self.current) {
                (Some(between), _) => self.rotated.extend(between),
                (None, Some(current)) => current.restore_filled_since(Some(since)),
                (None, None) => {}
            }
            self.rotated.limit(&mut self.progress);
        }
        Ok(())
    }

    /// What the current file held is now in a copy, or is lost.
    fn handle_truncated(&mut self, since: Option<Mtime>, release: Release<'_>) {
        let Some(truncated) = &self.current else { return };
        // Opened before the search, so that another truncation during it is noticed.
        let Ok(from_start) = truncated.anew(0) else { return };
        let Some(copy) = find_copy(&self.access, &self.places, truncated) else { return };
        let Some(mut truncated) = self.current.replace(from_start) else { return };
        if truncated.offset() == 0 {
            self.copies.clear();
        }
        // Newer copies than that one may have been made since the last look, and others before it if the truncated content is new.
        let filled_since = truncated.take_filled_since();
        let between = match filled_since {
            Some(since) => self.rotated_meanwhile(None, Some(since), release),
            None => self.rotated_behind(&Behind { file_id: copy.as_ref().map(|copy| copy.file_id()), key: None, since }, None, release),
        };
        let Some(between) = between else {
            truncated.restore_filled_since(filled_since);
            self.current = Some(truncated);
            return;
        };
        self.copies.clear();
        self.truncated = copy.is_none().then(|| Box::new(Truncated::new(&truncated)));
        self.predecessor = if copy.is_none() { Predecessor::new(&truncated, false) } else { None };
        give_up(&mut self.progress, &truncated, copy.as_ref());
        let at = self.rotated.len();
        self.rotated.extend(between);
        if let Some(copy) = copy {
            self.rotated.insert_copy(at, copy);
        }
        self.rotated.limit(&mut self.progress);
    }

    /// Checks whether rotated files still hold what they held, and otherwise goes on in their copies.
    pub(super) fn check_rotated(&mut self) {
        let Self { access, places, rotated, progress, current, .. } = self;
        let is_known = |file: &LogFile| current.as_ref().is_some_and(|current| current.begins_with(file, file.size()));
        let mut give_up = |truncated: &LogFile, copy: Option<&LogFile>| give_up(progress, truncated, copy);
        rotated.check(&|truncated| find_copy(access, places, truncated), &mut give_up, &is_known);
    }

    /// Lets go of deleted files in time.
    pub(super) fn let_go_of_deleted(&mut self, now: Duration) {
        self.rotated.let_go_of_deleted(now, &mut self.progress);
    }

    /// The files that had the log's name since the last look, oldest first: behind the current file if `new` has taken its place, and
    /// before the current file otherwise. `None` while that cannot be decided.
    fn rotated_meanwhile(&mut self, new: Option<FileId>, since: Option<Mtime>, release: Release<'_>) -> Option<Vec<LogFile>> {
        let current = self.current().filter(|_| new.is_some());
        let last = current.or(self.rotated.last());
        let file_id = last.map(LogFile::file_id).or(self.rotated.last_finished());
        let key = last.and_then(LogFile::mtime).map(|mtime| RotationKey { mtime, name: None });
        self.rotated_behind(&Behind { file_id, key, since }, new, release)
    }

    /// The files that were rotated after another one and are not known, oldest first. If the current file was rotated too, those behind
    /// it are left out. While the log has no new file, copies of the current one are remembered and left out, since it will be
    /// truncated; an empty file is not remembered as a copy. `None` while that cannot be decided.
    fn rotated_behind(&mut self, behind: &Behind, new: Option<FileId>, release: Release<'_>) -> Option<Vec<LogFile>> {
        let current_id = self.current().map(LogFile::file_id);
        let other_current = current_id.filter(|current| Some(*current) != behind.file_id);
        let mut claimed: Vec<FileId> = self.rotated.file_ids().collect();
        claimed.extend(current_id);
        claimed.extend(new);
        claimed.extend(&self.copies);
        let had = |inode| [behind.file_id, other_current].iter().flatten().any(|file_id| file_id.1 == inode);
        self.places.current = self.current().filter(|_| new.is_some()).and_then(LogFile::path_now);
        let mut may_miss = false;
        let mut found = Siblings::with_stable(&self.access, &self.places, &had, &mut |siblings| {
            may_miss = new.is_some() && siblings.may_miss(behind.file_id, behind.since, &claimed);
            let key = behind.file_id.and_then(|file_id| siblings.key_of(file_id)).or(behind.key.as_ref());
            let end = other_current.and_then(|current| siblings.key_of(current));
            let mut found = Vec::new();
            for one in siblings.newer(key, behind.since, &claimed) {
                let is_read = |current: &LogFile| new.is_some() && siblings.was_read(one, &current.position(), current.file_id());
                let is_read = self.rotated.has_read(siblings, one) || self.current().is_some_and(is_read);
                if is_read || end.is_some_and(|end| one.key.is_newer(end, Some(end.mtime))) {
                    continue;
                }
                found.extend(siblings.open(one));
            }
            found
        })?;
        if may_miss {
            self.progress.add_loss_text(Some(resume::unknown_names(self.path())));
        }
        if new.is_none() {
            self.remove_copies_of_current(&mut found)?;
        }
        for file in &mut found {
            if let Some(released) = release(file.file_id()) {
                *file = released;
            }
        }
        Some(found)
    }

    /// Removes and remembers the copies of the current file. `None` if it was truncated meanwhile.
    fn remove_copies_of_current(&mut self, files: &mut Vec<LogFile>) -> Option<()> {
        let Some(current) = &mut self.current else { return Some(()) };
        // It may be truncated at any moment.
        let is_whole = |current: &mut LogFile| matches!(current.check_truncated(), Ok(false));
        if !is_whole(current) {
            return None;
        }
        let mut copies = Vec::new();
        files.retain(|file| {
            let is_empty = file.size() == 0;
            let is_copy = current.is_copied_by(file);
            if is_copy && !is_empty {
                copies.push(file.file_id());
            }
            !is_copy
        });
        if !is_whole(current) {
            return None;
        }
        self.copies.extend(copies);
        Some(())
    }
}

/// Finds the copy of a truncated file, to be read on where that was read to. The outer `None` stands for "not yet decided", the inner
/// one for "there is none".
fn find_copy(access: &Access, places: &Places, truncated: &LogFile) -> Option<Option<LogFile>> {
    let (known, read) = (truncated.known_position(), truncated.position());
    let original = truncated.file_id();
    let copy = Siblings::with_stable(access, places, &|_| false, &mut |siblings| {
        siblings.find_copy(&known, original).or_else(|| siblings.find_copy(&read, original))
    })?;
    let mut copy = copy.and_then(|copy| copy.at_offset(truncated.offset()).ok());
    copy.iter_mut().for_each(|copy| copy.serial = truncated.serial);
    Some(copy)
}

/// Gives up what is known of a truncated file and is not in its copy.
fn give_up(progress: &mut Progress, truncated: &LogFile, copy: Option<&LogFile>) {
    let left = copy.map_or(0, LogFile::size).max(truncated.offset());
    progress.give_up(Cause::Truncated, truncated.known_end().saturating_sub(left));
}
