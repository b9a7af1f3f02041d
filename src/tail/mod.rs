//! Following one log by its path: through rotation by rename, copy-and-truncate, truncation that grew past the old place, deletion
//! and late writers, and across a restart. What was read is recognised by content, so that a file that is no longer the same is begun
//! anew, and one that has another name is read on. Knows bytes and lines, not what they mean.

mod log_file;
mod progress;
mod rotated;
mod siblings;

pub use log_file::{file_id, FileId, Open};

use crate::fs::access;
use crate::lines::MAX_LINE;
use crate::wire::position::{FilePosition, Place, Position, CONTEXT};
use log_file::{not_a_file, Reading};
use progress::{Cause, Losses};
use rotated::{Known, RotatedFile};
use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Bytes that a buffer for [`Follower::read`] needs.
pub const BUFFER: usize = CONTEXT + MAX_LINE;

/// Whole lines of a log, as they are handed on.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Where they begin, counted through all rotations of this run.
    pub position: u64,
    /// Where they stand in their file, and how far the log's other files are read.
    pub place: Place<'a>,
    /// The lines with their newlines; the last of a rotated file, and the start of an overlong one, without.
    pub bytes: &'a [u8],
}

/// Takes whole lines; returns how many bytes it is done with.
pub type TakeLines<'a> = &'a mut dyn FnMut(Piece<'_>) -> usize;

/// Is asked for a file that was followed under another name until now.
pub type Elsewhere<'a> = &'a mut dyn FnMut(FileId) -> Option<Box<Open>>;

/// A file that is followed, whether it exists or not.
pub struct Follower {
    path: String,
    /// Where reading begins in the next file that is found under the path: past what was there when it could not yet be read.
    first_start: u64,
    current: Option<Box<Open>>,
    /// Files that had the name before, oldest first.
    retired: Vec<RotatedFile>,
    /// Files that had the name before those, as they were let go.
    known: Vec<Known>,
    /// Copies of the present file, which are not to be read beside it.
    copies: Vec<FileId>,
    /// Where to go on, while that cannot be found because the path has no file that can be read.
    awaited: Option<Awaited>,
    /// Whether another follower may have found the same files.
    fresh: bool,
    /// Bytes done with, through all rotations.
    position: u64,
    /// Whether the last look found that it cannot be read.
    unreadable: bool,
    missing_since: Option<Duration>,
    /// Why the last reading failed, if it did.
    read_failure: Option<String>,
    losses: Losses,
}

/// Where a log was read up to, and when that was.
struct Awaited {
    position: Position,
    seen: u64,
}

/// How far one reading went.
enum Reach {
    End,
    /// The taker had no room.
    Blocked,
    /// So much was read that others shall have their turn.
    More,
    /// The file does not hold any more what it held.
    Cut,
}

impl Follower {
    /// A path without a file counts as an error only after such a time: rotations leave gaps.
    const MISSING_TOLERANCE: Duration = Duration::from_secs(10);
    /// The file that had the name is still the present one for that time: it may come back.
    const MISSING_HELD: Duration = Duration::from_secs(600);

    /// A file to follow: what it holds already is passed over, but if it appears later it is read from its start.
    pub fn from_end(path: &str) -> Self {
        let mut follower = Self::from_start(path);
        if let Some(meta) = fs::metadata(path).ok().filter(Metadata::is_file) {
            match Open::new(Path::new(path), u64::MAX) {
                Ok(open) => follower.current = Some(open),
                Err(_) => follower.first_start = meta.len(),
            }
        }
        follower
    }

    /// A file to follow from its start.
    pub fn from_start(path: &str) -> Self {
        Self {
            path: path.to_string(),
            first_start: 0,
            current: None,
            retired: Vec::new(),
            known: Vec::new(),
            copies: Vec::new(),
            awaited: None,
            fresh: false,
            position: 0,
            unreadable: false,
            missing_since: None,
            read_failure: None,
            losses: Losses::default(),
        }
    }

    /// A file that was followed under another name, from where that follower let go.
    pub fn resuming(path: &str, open: Box<Open>) -> Self {
        let mut follower = Self::from_start(path);
        follower.current = Some(open);
        follower
    }

    /// Goes on where a log was read up to at `seen`, in Unix seconds by the clock that dates files. Returns also what could not be found
    /// again. While the log is missing or cannot be read nothing is decided; what is found to be lost then, [`Self::take_loss`] tells.
    pub fn resume(path: &str, position: &Position, seen: u64) -> (Self, Option<String>) {
        let mut follower = Self::from_start(path);
        follower.awaited = Some(Awaited { position: position.clone(), seen });
        follower.restore();
        let lost = follower.take_loss();
        (follower, lost)
    }

    /// How far everything handed on so far goes.
    pub fn position(&self) -> Position {
        if let Some(awaited) = &self.awaited {
            return awaited.position.clone();
        }
        let mut files = self.files();
        if files.len() > Position::MAX_FILES {
            let read = self.retired.iter().take_while(|retired| retired.open.unread() == 0).count();
            let at = self.before_opened(&files) + read;
            bound(&mut files, at);
        }
        Position { files }
    }

    /// What had to be given up since this was last asked, if anything.
    pub fn take_loss(&mut self) -> Option<String> {
        self.losses.take(&self.path)
    }

    /// How many lines were too long and are cut, if any were since that was told, and that is some time ago.
    pub fn take_cut_lines(&mut self, now: Duration) -> Option<String> {
        self.losses.take_cut_lines(now, &self.path)
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the path had no file at the last look.
    pub fn is_missing(&self) -> bool {
        self.missing_since.is_some()
    }

    /// Whether the path has no file and nothing is left to be read of those that it had.
    pub fn is_gone(&self) -> bool {
        self.is_missing() && self.retired.is_empty() && self.current.is_none()
    }

    /// Which file is followed now.
    pub fn file_id(&self) -> Option<FileId> {
        self.current.as_ref().map(|open| open.file_id)
    }

    /// Whether nothing is to be done but when the file changes: no rotated file may still grow, and what is wrong has been said.
    pub fn is_settled(&self) -> bool {
        self.retired.is_empty() && self.read_failure.is_none() && (self.current.is_some() || self.unreadable)
    }

    /// Lets go of a file that now has another path, if it was followed here.
    pub fn release(&mut self, wanted: FileId) -> Option<Box<Open>> {
        let released = self.take_back(wanted).or_else(|| self.current.take_if(|open| open.file_id == wanted))?;
        self.remember(&released, false);
        Some(released)
    }

    /// Where the file ends now, counted as the positions of lines are: all that is there already is before it.
    pub fn end(&mut self) -> u64 {
        let mut end = self.position;
        for retired in &mut self.retired {
            end += retired.open.measure();
        }
        end + self.current.as_mut().map_or(0, |open| open.measure())
    }

    /// Looks whether the path has another file than before, and opens it if so; reads nothing. `elsewhere` is asked for a file that
    /// was followed under another name until now.
    ///
    /// # Errors
    /// Why the file cannot be opened, or could not be read when that was last tried. That there is none is an error only after a while.
    pub fn look(&mut self, now: Duration, elsewhere: Elsewhere<'_>) -> Result<(), String> {
        if self.awaited.is_some() {
            self.restore();
        }
        // Before it is another's turn: what it held may be in copies.
        let looked = self.look_at_current(elsewhere);
        let found = match access::metadata(self.path.as_ref()) {
            Ok(meta) if meta.is_file() => self.handle_found(file_id(&meta), looked, elsewhere),
            Ok(meta) => Err(not_a_file(&meta)),
            Err(e) => Err(e),
        };
        let is_missing = matches!(&found, Err(e) if e.kind() == io::ErrorKind::NotFound);
        let is_tolerated = is_missing && self.handle_missing(now);
        if !is_missing {
            self.missing_since = None;
        }
        let state = if is_tolerated { Ok(()) } else { found.map_err(|e| crate::sys::reason(&e)) };
        self.look_at_retired();
        self.let_go_of_deleted(now);
        self.unreadable = state.is_err();
        match &self.read_failure {
            Some(failure) if state.is_ok() => Err(failure.clone()),
            _ => state,
        }
    }

    /// Reads what was added, rotated files first. Returns whether there is more to read at once, unless the taker had no room.
    pub fn read(&mut self, now: Duration, buffer: &mut [u8], take: TakeLines<'_>) -> bool {
        let outcome = self.read_all(now, buffer, take);
        self.read_failure = outcome.as_ref().err().map(crate::sys::reason);
        matches!(outcome, Ok(Reach::More))
    }

    /// Finds where to go on, if that can be told now.
    fn restore(&mut self) {
        let Some(awaited) = &self.awaited else { return };
        let Some(restored) = siblings::restore(&self.path, &awaited.position, awaited.seen) else { return };
        self.awaited = None;
        self.fresh = true;
        self.retired = restored.earlier;
        self.current = restored.current;
        self.losses.add_text(restored.lost);
    }

    fn handle_found(&mut self, found: FileId, looked: io::Result<()>, elsewhere: Elsewhere<'_>) -> io::Result<()> {
        if self.awaited.is_some() {
            // It has appeared at this moment, or cannot be read, which to open it tells.
            return Open::new(Path::new(&self.path), 0).map(drop);
        }
        if let Some(open) = self.current.as_mut().filter(|open| open.file_id == found) {
            let other = if std::mem::take(&mut self.fresh) { elsewhere(found) } else { None };
            // The further one knows better where to go on.
            if let Some(other) = other.filter(|other| other.offset() > open.offset()) {
                *open = other;
            }
            return looked;
        }
        // The present file is let go only when there is a new one, lest what it still holds be lost.
        let opened = Open::new(Path::new(&self.path), self.first_start)?;
        // Unless it was renamed at this moment: the next look sees what it is.
        if opened.file_id == found {
            self.succeed(opened, elsewhere);
        }
        Ok(())
    }

    /// A rotated file that has the log's name again.
    fn take_back(&mut self, wanted: FileId) -> Option<Box<Open>> {
        let at = self.retired.iter().position(|retired| retired.open.file_id == wanted)?;
        Some(self.retired.remove(at).open)
    }

    /// Returns whether that is still tolerated.
    fn handle_missing(&mut self, now: Duration) -> bool {
        self.first_start = 0;
        let since = *self.missing_since.get_or_insert(now);
        // What has no name cannot get that one back.
        if now - since >= Self::MISSING_HELD || self.current.as_ref().is_some_and(|open| open.is_deleted()) {
            self.retire();
        }
        !self.unreadable && now - since < Self::MISSING_TOLERANCE
    }

    fn read_all(&mut self, now: Duration, buffer: &mut [u8], take: TakeLines<'_>) -> io::Result<Reach> {
        let mut files = self.files();
        let mut at = 0;
        loop {
            let number = self.before_opened(&files) + at;
            let (earlier, later) = others(&files, number);
            let (position, cut_lines) = (&mut self.position, &mut self.losses.cut_lines);
            let mut reading = Reading { position, cut_lines, earlier: &earlier, later: &later, buffer, take };
            let Some(retired) = self.retired.get_mut(at) else {
                let Some(open) = &mut self.current else { return Ok(Reach::End) };
                return open.read(&mut reading).map(|(reach, _)| reach);
            };
            let is_done = match retired.read(now, &mut reading) {
                Ok(Reach::End) => retired.is_done(now),
                Ok(Reach::Cut) => false,
                Ok(reach) => return Ok(reach),
                Err(_) => true,
            };
            if is_done {
                self.let_go(at, Cause::Unreadable);
                files.remove(number);
            } else {
                files[number] = retired.open.position();
                at += 1;
            }
        }
    }

    /// How far the open files are read. Before them comes, while nothing was read of these, the last file that was let go: what may come
    /// between is found by it.
    fn files(&self) -> Vec<FilePosition> {
        let mut files = Vec::with_capacity(self.retired.len() + 2);
        let last = self.known.last().filter(|last| last.had_name);
        if let (Some(last), Some(_)) = (last, &self.current) {
            files.push(last.position);
        }
        let first = files.len();
        for retired in &self.retired {
            files.push(retired.open.position());
        }
        if let Some(open) = &self.current {
            files.push(open.position());
        }
        if first > 0 && files[first..].iter().any(|file| file.offset > 0) {
            files.remove(0);
        }
        files
    }

    /// How many of these come before the open ones.
    fn before_opened(&self, files: &[FilePosition]) -> usize {
        files.len() - self.retired.len() - usize::from(self.current.is_some())
    }
}

/// How far the files before and behind one are read, as far as a position holds them.
fn others(files: &[FilePosition], at: usize) -> (Vec<FilePosition>, Vec<FilePosition>) {
    if files.len() <= 1 {
        return (Vec::new(), Vec::new());
    }
    let mut earlier = files.to_vec();
    let at = bound(&mut earlier, at);
    let later = earlier.get(at + 1..).unwrap_or_default().to_vec();
    earlier.truncate(at);
    (earlier, later)
}

/// Leaves out what a position has no room for: files that are read, which are those before the one at `at`, except for the last that was
/// begun; and then unread ones before the last, which are found again between their neighbours. Returns where the one at `at` is then.
fn bound(files: &mut Vec<FilePosition>, mut at: usize) -> usize {
    while files.len() > Position::MAX_FILES {
        let begun = files[..files.len().min(at + 1)].iter().rposition(|file| file.offset > 0);
        let read = usize::from(begun == Some(0));
        if read < at {
            files.remove(read);
            at -= 1;
        } else {
            files.remove(files.len() - 2);
        }
    }
    at
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make files")]
mod tests;
