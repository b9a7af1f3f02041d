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

/// Bytes that a buffer for [`Follower::poll`] needs.
pub const BUFFER: usize = CONTEXT + MAX_LINE;

/// Takes whole lines at a position counted through all rotations; returns how many bytes it is done with.
pub type TakeLines<'a> = &'a mut dyn FnMut(u64, &[u8]) -> usize;

/// A file that is followed, whether it exists or not.
pub struct Follower {
    path: String,
    /// Where reading begins in the first file that is found under the path; 0 once it was not there.
    first_start: Option<u64>,
    current: Option<Open>,
    /// Files that had the name before, oldest first.
    retired: Vec<Retired>,
    /// Bytes done with, through all rotations.
    position: u64,
    unreadable_since: Option<Duration>,
    missing_since: Option<Duration>,
    /// What the path showed of the current file when it was looked at last.
    shown: Option<Signature>,
}

/// What a poll came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Polled {
    /// Whether the file can be read, or why not.
    pub state: Result<(), String>,
    /// There is more to read at once, unless the taker had no room.
    pub more: bool,
}

/// An open file and how far it is read.
pub struct Open {
    file: File,
    identity: Identity,
    offset: u64,
    splitter: LineSplitter,
    /// Length and hash of the bytes before the offset.
    context: (usize, u64),
    /// Size and time of change when everything there was had been read.
    caught_up: Option<Signature>,
}

/// Device and inode.
type Identity = (u64, u64);

/// Size, and seconds and nanoseconds of the last change.
type Signature = (u64, i64, i64);

struct Retired {
    open: Open,
    since: Duration,
    /// When it last grew.
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
    /// So long a rotated file is still looked at for a late writer.
    const LATE_WRITER: Duration = Duration::from_secs(60);
    /// The last line of a rotated file counts as ended, though no newline came, when nothing was added for that time.
    const UNENDED_LINE: Duration = Duration::from_secs(5);
    /// Most rotated files that are held open.
    const MAX_RETIRED: usize = 8;

    /// A file to follow: what it holds already is passed over, but if it appears later it is read from its start.
    pub fn from_end(path: &str) -> Self {
        let first_start = match fs::metadata(path) {
            Ok(meta) => Some(meta.len()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Some(0),
            Err(_) => None,
        };
        Self::starting_at(path, first_start)
    }

    /// A file to follow from its start.
    pub fn from_start(path: &str) -> Self {
        Self::starting_at(path, Some(0))
    }

    /// A file that was followed under another name, from where that follower let go.
    pub fn resuming(path: &str, open: Open) -> Self {
        Self { current: Some(open), ..Self::starting_at(path, Some(0)) }
    }

    fn starting_at(path: &str, first_start: Option<u64>) -> Self {
        let path = path.to_string();
        Self {
            path,
            first_start,
            current: None,
            retired: Vec::new(),
            position: 0,
            unreadable_since: None,
            missing_since: None,
            shown: None,
        }
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the path has no file and nothing is left to be read of those that it had.
    pub fn is_gone(&self) -> bool {
        self.missing_since.is_some() && self.retired.is_empty() && self.current.is_none()
    }

    /// Lets go of a file that now has another path, if it was followed here.
    pub fn release(&mut self, meta: &Metadata) -> Option<Open> {
        let identity = identity(meta);
        if let Some(at) = self.retired.iter().position(|retired| retired.open.identity == identity) {
            return Some(self.retired.remove(at).open);
        }
        if self.current.as_ref().is_some_and(|open| open.identity == identity) {
            self.first_start = Some(0);
            return self.current.take();
        }
        None
    }

    /// Where the file ends now, counted as the positions of lines are: all that is there already is before it.
    pub fn end(&self) -> u64 {
        let unread = |open: &Open| open.file.metadata().map_or(0, |meta| meta.len().saturating_sub(open.offset));
        let retired = self.retired.iter().map(|retired| &retired.open);
        self.position + retired.chain(&self.current).map(unread).sum::<u64>()
    }

    /// Reads what was added, rotated files first.
    pub fn poll(&mut self, now: Duration, buffer: &mut [u8], take: TakeLines<'_>) -> Polled {
        self.shown = None;
        let found = fs::metadata(&self.path).and_then(|meta| if meta.is_file() { Ok(meta) } else { Err(not_a_file(&meta)) });
        let state = match found {
            Ok(meta) => {
                self.missing_since = None;
                self.handle_found(now, &meta)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.handle_missing(now, &e),
            Err(e) => {
                self.first_start.get_or_insert(0);
                Err(crate::sys::reason(&e))
            }
        };
        let (reach, failure) = self.read_all(now, buffer, take);
        let state = state.and(failure.map_or(Ok(()), |e| Err(crate::sys::reason(&e))));
        self.unreadable_since = state.is_err().then(|| self.unreadable_since.unwrap_or(now));
        Polled { state, more: matches!(reach, Reach::More) }
    }

    fn handle_found(&mut self, now: Duration, meta: &Metadata) -> Result<(), String> {
        if let Some(open) = &mut self.current {
            if open.identity == identity(meta) {
                self.shown = Some(signature(meta));
                open.restart_if_cut(meta.len());
                return Ok(());
            }
        }
        // Kept open until the new file is, lest what it still holds be lost.
        let start = self.first_start.unwrap_or(meta.len());
        let opened = Open::new(&self.path, start).map_err(|e| crate::sys::reason(&e))?;
        self.first_start = Some(0);
        self.retire(now);
        self.current = Some(opened);
        Ok(())
    }

    fn handle_missing(&mut self, now: Duration, error: &io::Error) -> Result<(), String> {
        self.first_start = Some(0);
        let since = *self.missing_since.get_or_insert(now);
        if now - since >= Self::MISSING_HELD {
            self.retire(now);
        }
        // Where it never was there is no rotation to wait for, but also no error that a moment could not mend.
        if now - since >= Self::MISSING_TOLERANCE {
            return Err(crate::sys::reason(error));
        }
        if self.unreadable_since.is_some() {
            return Err(crate::sys::reason(error));
        }
        Ok(())
    }

    fn retire(&mut self, now: Duration) {
        if let Some(open) = self.current.take() {
            self.retired.push(Retired { open, since: now, grown: now });
        }
        if self.retired.len() > Self::MAX_RETIRED {
            self.retired.remove(0);
        }
    }

    fn read_all(&mut self, now: Duration, buffer: &mut [u8], take: TakeLines<'_>) -> (Reach, Option<io::Error>) {
        let mut at = 0;
        while let Some(retired) = self.retired.get_mut(at) {
            match retired.open.read(None, &mut self.position, buffer, take) {
                Ok((Reach::End, grown)) => {
                    if grown {
                        retired.grown = now;
                    }
                    if now - retired.grown >= Self::UNENDED_LINE && !retired.open.read_unended(&mut self.position, buffer, take) {
                        return (Reach::Blocked, None);
                    }
                    if now - retired.since >= Self::LATE_WRITER {
                        self.retired.remove(at);
                    } else {
                        at += 1;
                    }
                }
                Ok((reach, _)) => return (reach, None),
                Err(_) => drop(self.retired.remove(at)),
            }
        }
        let Some(open) = &mut self.current else { return (Reach::End, None) };
        match open.read(self.shown, &mut self.position, buffer, take) {
            Ok((reach, _)) => (reach, None),
            Err(e) => (Reach::End, Some(e)),
        }
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
        let mut open =
            Self { file, identity: identity(&meta), offset, splitter: LineSplitter::default(), context: (0, 0), caught_up: None };
        let mut before = [0; CONTEXT];
        let length = usize::try_from(offset.min(CONTEXT as u64)).unwrap_or(CONTEXT);
        let read = open.file.read_at(&mut before[..length], offset - length as u64)?;
        open.context = context(&before[..read]);
        Ok(open)
    }

    fn start_over(&mut self) {
        self.offset = 0;
        self.context = (0, 0);
        self.splitter = LineSplitter::default();
        self.caught_up = None;
    }

    fn restart_if_cut(&mut self, size: u64) {
        if size < self.offset {
            self.start_over();
        }
    }

    /// Reads whole lines until the end, and says whether there was anything new.
    fn read(&mut self, shown: Option<Signature>, position: &mut u64, buffer: &mut [u8], take: TakeLines<'_>) -> io::Result<(Reach, bool)> {
        let signature = match shown {
            Some(shown) => shown,
            None => signature(&self.file.metadata()?),
        };
        if self.caught_up == Some(signature) {
            return Ok((Reach::End, false));
        }
        self.restart_if_cut(signature.0);
        let mut turn = 0;
        while turn < Follower::TURN {
            let known = self.context.0;
            let read = read_at(&self.file, buffer, self.offset - known as u64)?;
            if read < known || context(&buffer[..known]) != self.context {
                // The same file, but not the same content: it was cut and has grown past the old place.
                self.start_over();
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
        if consumed == 0 {
            return false;
        }
        self.context = context(&buffer[read.saturating_sub(CONTEXT)..read]);
        self.offset += read as u64;
        *position += read as u64;
        true
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
