//! Following one file by its path: through rotation by rename, copy-and-truncate, truncation that grew past the old place, deletion
//! and late writers. What was read is recognised by content, so that a file that is no longer the same is begun anew.
//! Knows bytes and lines, not what they mean.

use crate::lines::{LineSplitter, MAX_LINE};
use std::fs::{self, File, Metadata};
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

/// Bytes before the reading point that must still be the same for reading to go on there.
const CONTEXT: usize = 256;

/// Bytes that a buffer for [`Follower::read`] needs.
pub const BUFFER: usize = CONTEXT + MAX_LINE;

/// Takes whole lines at a position counted through all rotations; returns how many bytes it is done with.
pub type TakeLines<'a> = &'a mut dyn FnMut(u64, &[u8]) -> usize;

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
}

/// An open file and how far it is read.
pub struct Open {
    file: File,
    identity: Identity,
    offset: u64,
    splitter: LineSplitter,
    /// Length and hash of the bytes before the offset.
    context: (usize, u64),
    /// The size when the end was last asked for.
    measured: u64,
    /// Size and time of change when everything there was had been read.
    caught_up: Option<Signature>,
}

/// Device and inode.
pub type Identity = (u64, u64);

/// Size, and seconds and nanoseconds of the last change.
type Signature = (u64, i64, i64);

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
    /// Most bytes that one poll reads.
    const TURN: u64 = 1 << 20;
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
        }
    }

    /// A file that was followed under another name, from where that follower let go.
    pub fn resuming(path: &str, open: Open) -> Self {
        Self { current: Some(open), ..Self::from_start(path) }
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
        let mut at = 0;
        while let Some(retired) = self.retired.get_mut(at) {
            match retired.open.read(&mut self.position, buffer, take) {
                Ok((Reach::End, grown)) => {
                    if grown {
                        retired.grown = now;
                    }
                    if now - retired.grown >= Self::UNENDED_LINE && !retired.open.read_unended(&mut self.position, buffer, take) {
                        return Ok(Reach::Blocked);
                    }
                    if now - retired.grown >= Self::LATE_WRITER {
                        self.retired.remove(at);
                    } else {
                        at += 1;
                    }
                }
                Ok((reach, _)) => return Ok(reach),
                Err(_) => drop(self.retired.remove(at)),
            }
        }
        let Some(open) = &mut self.current else { return Ok(Reach::End) };
        open.read(&mut self.position, buffer, take).map(|(reach, _)| reach)
    }
}

#[allow(clippy::disallowed_methods, reason = "where files are read")]
impl Open {
    fn new(path: &str, offset: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(not_a_file(&meta));
        }
        let offset = offset.min(meta.len());
        let mut before = [0; CONTEXT];
        let length = usize::try_from(offset.min(CONTEXT as u64)).unwrap_or(CONTEXT);
        let read = file.read_at(&mut before[..length], offset - length as u64)?;
        let context = context(&before[..read]);
        Ok(Self { file, identity: identity(&meta), offset, splitter: LineSplitter::default(), context, measured: 0, caught_up: None })
    }

    /// How much is unread.
    fn measure(&mut self) -> u64 {
        let unread = self.unread();
        self.measured = self.offset + unread;
        unread
    }

    /// Bytes that are there and not done with.
    fn unread(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len().saturating_sub(self.offset))
    }

    /// Begins the file anew. What was measured but is gone unread counts as passed, lest new lines stand in its place.
    fn start_over(&mut self, position: &mut u64) {
        *position += self.measured.saturating_sub(self.offset);
        self.measured = 0;
        self.offset = 0;
        self.context = context(&[]);
        self.splitter = LineSplitter::default();
        self.caught_up = None;
    }

    fn restart_if_cut(&mut self, size: u64, position: &mut u64) {
        if size < self.offset {
            self.start_over(position);
        }
    }

    /// Reads whole lines until the end, and says whether there was anything new.
    fn read(&mut self, position: &mut u64, buffer: &mut [u8], take: TakeLines<'_>) -> io::Result<(Reach, bool)> {
        let signature = signature(&self.file.metadata()?);
        if self.caught_up == Some(signature) {
            return Ok((Reach::End, false));
        }
        self.restart_if_cut(signature.0, position);
        let mut turn = 0;
        while turn < Follower::TURN {
            let known = self.context.0;
            let read = read_at(&self.file, buffer, self.offset - known as u64)?;
            if read < known || context(&buffer[..known]) != self.context {
                // The same file, but not the same content: it was cut and has grown past the old place.
                self.start_over(position);
                continue;
            }
            let data = &buffer[known..read];
            let piece = self.splitter.split(data);
            let consumed = if piece.lines.is_empty() { 0 } else { take(*position + piece.skipped as u64, piece.lines) };
            let blocked = consumed < piece.lines.len();
            let advanced = self.splitter.advance(piece, consumed);
            self.advance(advanced, &buffer[..known + advanced]);
            *position += advanced as u64;
            turn += advanced as u64;
            if blocked {
                return Ok((Reach::Blocked, true));
            }
            if advanced == 0 {
                self.caught_up = Some(signature);
                return Ok((Reach::End, true));
            }
        }
        Ok((Reach::More, true))
    }

    /// Takes what follows the last newline as a line. Returns whether there was room for it.
    fn read_unended(&mut self, position: &mut u64, buffer: &mut [u8], take: TakeLines<'_>) -> bool {
        let Ok(read) = read_at(&self.file, buffer, self.offset) else { return true };
        if read == 0 {
            return true;
        }
        let consumed = take(*position, &buffer[..read]);
        if consumed > 0 {
            self.advance(consumed, &buffer[..consumed]);
            *position += consumed as u64;
        }
        consumed == read
    }

    fn advance(&mut self, by: usize, behind: &[u8]) {
        self.offset += by as u64;
        self.context = context(&behind[behind.len().saturating_sub(CONTEXT)..]);
    }
}

/// Reads until the buffer is full or the file ends.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn identity(meta: &Metadata) -> Identity {
    (meta.dev(), meta.ino())
}

fn signature(meta: &Metadata) -> Signature {
    (meta.len(), meta.mtime(), meta.mtime_nsec())
}

fn context(bytes: &[u8]) -> (usize, u64) {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    (bytes.len(), hasher.finish())
}

fn not_a_file(meta: &Metadata) -> io::Error {
    io::Error::other(if meta.is_dir() { "Is a directory" } else { "Not a regular file" })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make files")]
mod tests;
