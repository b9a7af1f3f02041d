//! Following one file by its path: through rotation by rename, copy-and-truncate, truncation that grew past the old place, deletion
//! and late writers. What was read is recognised by content, so that a file that is no longer the same is begun anew.
//! Knows bytes and lines, not what they mean.

mod open;

pub use open::{Identity, Open};

use crate::lines::MAX_LINE;
use crate::position::{FilePosition, Place, Position, CONTEXT};
use open::{identity, not_a_file, Reading};
use std::fs::{self, Metadata};
use std::io;
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

/// A file that is followed, whether it exists or not.
pub struct Follower {
    path: String,
    /// Where reading begins in the next file that is found under the path: past what was there when it could not yet be read.
    first_start: u64,
    current: Option<Open>,
    /// Files that had the name before, oldest first.
    retired: Vec<Retired>,
    /// Bytes done with, through all rotations.
    position: u64,
    /// Whether the last look found that it cannot be read.
    unreadable: bool,
    missing_since: Option<Duration>,
    /// Why the last reading failed, if it did.
    read_failure: Option<String>,
    /// What had to be given up and was not told yet.
    loss: Option<String>,
    /// Lines that were cut for length.
    cut_lines: u64,
}

struct Retired {
    open: Open,
    /// When it last grew, or was retired.
    grown: Duration,
}

/// How far one reading went.
enum Reach {
    End,
    /// The taker had no room.
    Blocked,
    /// So much was read that others shall have their turn.
    More,
}

impl Follower {
    /// A path without a file counts as an error only after such a time: rotations leave gaps.
    const MISSING_TOLERANCE: Duration = Duration::from_secs(10);
    /// A file without its name is let go after that time, since it takes up space.
    const MISSING_HELD: Duration = Duration::from_secs(600);
    /// So long after it last grew a rotated file is still looked at for a late writer.
    const LATE_WRITER: Duration = Duration::from_secs(60);
    /// The last line of a rotated file counts as ended, though no newline came, when nothing was added for that time.
    const UNENDED_LINE: Duration = Duration::from_secs(5);
    /// Rotated files beyond so many are no longer looked at for late writers, once they are read.
    const MAX_RETIRED: usize = 8;
    /// Most rotated files that are held open because they are still to be read: each takes a descriptor.
    const MAX_UNREAD: usize = 128;

    /// A file to follow: what it holds already is passed over, but if it appears later it is read from its start.
    pub fn from_end(path: &str) -> Self {
        let Some(meta) = fs::metadata(path).ok().filter(Metadata::is_file) else { return Self::from_start(path) };
        match Open::new(path, u64::MAX) {
            Ok(open) => Self::resuming(path, open),
            Err(_) => Self { first_start: meta.len(), ..Self::from_start(path) },
        }
    }

    /// A file to follow from its start.
    pub fn from_start(path: &str) -> Self {
        let path = path.to_string();
        Self {
            path,
            first_start: 0,
            current: None,
            retired: Vec::new(),
            position: 0,
            unreadable: false,
            missing_since: None,
            read_failure: None,
            loss: None,
            cut_lines: 0,
        }
    }

    /// A file that was followed under another name, from where that follower let go.
    pub fn resuming(path: &str, open: Open) -> Self {
        Self { current: Some(open), ..Self::from_start(path) }
    }

    /// Goes on where a log was read up to at `seen`, in Unix seconds by this machine's clock. Returns also what could not be found again.
    pub fn resume(path: &str, position: &Position, seen: u64) -> (Self, Option<String>) {
        let _ = seen;
        let mut follower = Self::from_start(path);
        let Some((last, retired)) = position.files.split_last() else { return (follower, None) };
        let _ = retired;
        match Open::resume(path, last) {
            Ok(Some(open)) => {
                follower.current = Some(open);
                (follower, None)
            }
            _ => (follower, Some(format!("what was read last of {path} is gone: lines may be missing"))),
        }
    }

    /// How far everything handed on so far goes.
    pub fn position(&self) -> Position {
        let mut files = self.files();
        let unread = self.retired.iter().position(|retired| retired.open.unread() > 0).unwrap_or(self.retired.len());
        bound(&mut files, unread);
        Position { files }
    }

    fn files(&self) -> Vec<FilePosition> {
        self.retired.iter().map(|retired| &retired.open).chain(&self.current).map(Open::position).collect()
    }

    /// What had to be given up since this was last asked, if anything.
    pub fn take_loss(&mut self) -> Option<String> {
        self.loss.take()
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
    pub fn identity(&self) -> Option<Identity> {
        self.current.as_ref().map(|open| open.identity)
    }

    /// Whether nothing is to be done but when the file changes: no rotated file may still grow, and what is wrong has been said.
    pub fn is_settled(&self) -> bool {
        self.retired.is_empty() && self.read_failure.is_none() && (self.current.is_some() || self.unreadable)
    }

    /// Lets go of a file that now has another path, if it was followed here.
    pub fn release(&mut self, meta: &Metadata) -> Option<Open> {
        let identity = identity(meta);
        if let Some(at) = self.retired.iter().position(|retired| retired.open.identity == identity) {
            return Some(self.retired.remove(at).open);
        }
        if self.current.as_ref().is_some_and(|open| open.identity == identity) {
            return self.current.take();
        }
        None
    }

    /// Where the file ends now, counted as the positions of lines are: all that is there already is before it.
    pub fn end(&mut self) -> u64 {
        let retired = self.retired.iter_mut().map(|retired| &mut retired.open);
        self.position + retired.chain(&mut self.current).map(Open::measure).sum::<u64>()
    }

    /// Looks whether the path has another file than before, and opens it if so; reads nothing. `elsewhere` is asked for a file that
    /// was followed under another name until now.
    ///
    /// # Errors
    /// Why the file cannot be opened, or could not be read when that was last tried. That there is none is an error only after a while.
    pub fn look(&mut self, now: Duration, elsewhere: &mut dyn FnMut(&Metadata) -> Option<Open>) -> Result<(), String> {
        let found = fs::metadata(&self.path).and_then(|meta| if meta.is_file() { Ok(meta) } else { Err(not_a_file(&meta)) });
        let state = match found.and_then(|meta| self.handle_found(now, &meta, elsewhere)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let tolerated = self.handle_missing(now);
                if tolerated {
                    Ok(())
                } else {
                    Err(crate::sys::reason(&e))
                }
            }
            other => {
                self.missing_since = None;
                other.map_err(|e| crate::sys::reason(&e))
            }
        };
        self.unreadable = state.is_err();
        state.and(self.read_failure.clone().map_or(Ok(()), Err))
    }

    /// Reads what was added, rotated files first. Returns whether there is more to read at once, unless the taker had no room.
    pub fn read(&mut self, now: Duration, buffer: &mut [u8], take: TakeLines<'_>) -> bool {
        let outcome = self.read_all(now, buffer, take);
        self.read_failure = outcome.as_ref().err().map(crate::sys::reason);
        matches!(outcome, Ok(Reach::More))
    }

    fn handle_found(&mut self, now: Duration, meta: &Metadata, elsewhere: &mut dyn FnMut(&Metadata) -> Option<Open>) -> io::Result<()> {
        if let Some(open) = self.current.as_mut().filter(|open| open.identity == identity(meta)) {
            open.restart_if_cut(meta.len(), &mut self.position);
            return Ok(());
        }
        // A file that has come back, or had another name, is read on and not again.
        let opened = match self.release(meta).or_else(|| elsewhere(meta)) {
            Some(known) => known,
            // The present file is let go only when there is a new one, lest what it still holds be lost.
            None => Open::new(&self.path, self.first_start)?,
        };
        if opened.identity != identity(meta) {
            // It was renamed at this moment: the next look sees what it is.
            return Ok(());
        }
        self.first_start = 0;
        self.retire(now);
        self.current = Some(opened);
        Ok(())
    }

    /// Returns whether that is still tolerated.
    fn handle_missing(&mut self, now: Duration) -> bool {
        self.first_start = 0;
        let since = *self.missing_since.get_or_insert(now);
        if now - since >= Self::MISSING_HELD {
            self.retire(now);
        }
        !self.unreadable && now - since < Self::MISSING_TOLERANCE
    }

    fn retire(&mut self, now: Duration) {
        if let Some(open) = self.current.take() {
            self.retired.push(Retired { open, grown: now });
        }
        if self.retired.len() <= Self::MAX_RETIRED {
            return;
        }
        if let Some(read) = self.retired.iter().position(|retired| retired.open.unread() == 0) {
            self.retired.remove(read);
        } else if self.retired.len() > Self::MAX_UNREAD {
            let lost = self.retired.remove(0).open.unread();
            self.position += lost;
            self.read_failure = Some(format!("rotated too often to be read in time: {lost} bytes are given up"));
        }
    }

    fn read_all(&mut self, now: Duration, buffer: &mut [u8], take: TakeLines<'_>) -> io::Result<Reach> {
        let mut files = if self.retired.is_empty() { Vec::new() } else { self.files() };
        let mut at = 0;
        while let Some(retired) = self.retired.get_mut(at) {
            let (earlier, later) = others(&files, at);
            let (position, cut_lines) = (&mut self.position, &mut self.cut_lines);
            let mut reading = Reading { position, cut_lines, earlier: &earlier, later: &later, buffer, take };
            match retired.open.read(&mut reading) {
                Ok((Reach::End, grown)) => {
                    if grown {
                        retired.grown = now;
                    }
                    if now - retired.grown >= Self::UNENDED_LINE && !retired.open.read_unended(&mut reading) {
                        return Ok(Reach::Blocked);
                    }
                    if now - retired.grown >= Self::LATE_WRITER {
                        self.retired.remove(at);
                        files.remove(at);
                    } else {
                        files[at] = retired.open.position();
                        at += 1;
                    }
                }
                Ok((reach, _)) => return Ok(reach),
                Err(_) => {
                    self.retired.remove(at);
                    files.remove(at);
                }
            }
        }
        let Some(open) = &mut self.current else { return Ok(Reach::End) };
        let (earlier, later) = others(&files, at);
        let (position, cut_lines) = (&mut self.position, &mut self.cut_lines);
        let mut reading = Reading { position, cut_lines, earlier: &earlier, later: &later, buffer, take };
        open.read(&mut reading).map(|(reach, _)| reach)
    }
}

/// The files before and behind one, as far as a position holds them.
fn others(files: &[FilePosition], at: usize) -> (Vec<FilePosition>, Vec<FilePosition>) {
    if files.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut files = files.to_vec();
    let at = bound(&mut files, at);
    let later = files.split_off(at + 1);
    files.truncate(at);
    (files, later)
}

/// Leaves out what a position has no room for: files that are read, which are those before the one at `at`, and then unread ones before
/// the last, which are found again between their neighbours. Returns where the one at `at` is then.
fn bound(files: &mut Vec<FilePosition>, mut at: usize) -> usize {
    while files.len() > Position::MAX_FILES {
        if at > 0 {
            files.remove(0);
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
