//! One open file, how far it is read, and what it looked like there: by that it is known to be the same file still. The one place where
//! logs are opened.

use super::{Piece, Reach};
use crate::fs::access;
use crate::lines::{LineSplitter, MAX_LINE};
use crate::wire::position::{content_hash, FilePosition, Place, CONTEXT};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Device and inode.
pub type FileId = (u64, u64);

/// Nanoseconds of the Unix time; the ends of the range stand for what is beyond.
pub(super) type Time = i64;

/// Size and time of the last change.
type Signature = (u64, Time);

/// An open file and how far it is read.
pub struct Open {
    file: File,
    pub(super) file_id: FileId,
    offset: u64,
    splitter: LineSplitter,
    /// The first bytes of the file: [`CONTEXT`], or at least those before the offset.
    head: Vec<u8>,
    /// The bytes before the offset: [`CONTEXT`], or all.
    before: Vec<u8>,
    /// How far the file is known to go, read or not, and the bytes before that.
    mark: (u64, Vec<u8>),
    /// Size and time of change when it was last looked at.
    looked: Option<Signature>,
    /// The time of its last change while it was empty, if it was so at a look and was written to since, or filled and emptied even.
    begun: Option<Time>,
    /// The size when the end was last asked for.
    measured: u64,
    /// Size and time of change when everything there was had been read.
    caught_up: Option<Signature>,
}

/// What a reading needs besides the file.
pub(super) struct Reading<'a> {
    /// Bytes done with, through all rotations.
    pub(super) position: &'a mut u64,
    /// Lines that were cut for length.
    pub(super) cut_lines: &'a mut u64,
    /// How far the log's other files are read: those before this one …
    pub(super) earlier: &'a [FilePosition],
    /// … and those behind it.
    pub(super) later: &'a [FilePosition],
    pub(super) buffer: &'a mut [u8],
    pub(super) take: &'a mut dyn FnMut(Piece<'_>) -> usize,
}

/// How far the files before and behind one are read.
type Others<'a> = (&'a [FilePosition], &'a [FilePosition]);

impl Open {
    /// Most bytes that one reading takes.
    const TURN: u64 = 1 << 20;

    /// Opens a file to read it on from an offset, or from its end if that is before.
    pub(super) fn new(path: &Path, offset: u64) -> io::Result<Box<Self>> {
        let file = access::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(not_a_file(&meta));
        }
        Self::at(file, &meta, offset.min(meta.len()))
    }

    fn at(file: File, meta: &Metadata, offset: u64) -> io::Result<Box<Self>> {
        let (head, before) = (bytes_before(&file, offset.min(CONTEXT as u64), CONTEXT)?, bytes_before(&file, offset, CONTEXT)?);
        let mut open = Box::new(Self {
            file,
            file_id: file_id(meta),
            offset,
            splitter: LineSplitter::default(),
            head,
            before,
            mark: (0, Vec::new()),
            looked: None,
            begun: None,
            measured: 0,
            caught_up: None,
        });
        open.splitter = LineSplitter::resumed(open.is_within_overlong_line()?);
        open.check_truncated()?;
        Ok(open)
    }

    /// Opens a file that was read up to a position; `None` if it is not that one, by content, or cannot be read. Of a file of which nothing
    /// was read, only the inode tells.
    pub(super) fn resume(path: &Path, position: &FilePosition) -> Option<Box<Self>> {
        let open = Self::new(path, position.offset).ok()?;
        let known = open.position();
        let same = known.offset == position.offset && known.hash == position.hash;
        (same && (position.offset > 0 || known.inode == position.inode)).then_some(open)
    }

    /// The same file, to be read on from another offset.
    pub(super) fn moved(&self, offset: u64) -> io::Result<Box<Self>> {
        Self::at(self.file.try_clone()?, &self.file.metadata()?, offset)
    }

    /// How far it is read.
    pub(super) fn position(&self) -> FilePosition {
        let hash = content_hash(&self.head, &self.before, self.offset);
        FilePosition { offset: self.offset, hash, inode: self.file_id.1, done: 0 }
    }

    /// How far it is known to go, as a position by which a copy of it is recognised.
    pub(super) fn known_position(&self) -> FilePosition {
        let (end, before) = &self.mark;
        if *end <= self.offset {
            return self.position();
        }
        FilePosition { offset: *end, hash: content_hash(&self.head, before, *end), inode: self.file_id.1, done: 0 }
    }

    /// How far it is known to go.
    pub(super) fn known_end(&self) -> u64 {
        self.offset.max(self.mark.0).max(self.measured)
    }

    /// How much is unread, which is known from then on.
    pub(super) fn measure(&mut self) -> u64 {
        let unread = self.unread();
        self.measured = self.offset + unread;
        unread
    }

    /// Whether another file holds nothing but what this one is known to begin with, and was changed no earlier: a copy of this one, which
    /// may be in the making still.
    pub(super) fn is_copied_by(&self, other: &Self) -> bool {
        let size = other.size();
        let is_same = |end: u64| match (bytes_before(&self.file, end, CONTEXT), bytes_before(&other.file, end, CONTEXT)) {
            (Ok(own), Ok(others)) => own == others,
            _ => false,
        };
        size <= self.known_end() && other.modified() >= self.modified() && is_same(size.min(CONTEXT as u64)) && is_same(size)
    }

    /// Where it is read on.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// When it was last changed.
    pub(super) fn modified(&self) -> Option<Time> {
        self.file.metadata().ok().map(|meta| modified(&meta))
    }

    /// When it had been changed last at the last look.
    pub(super) fn looked(&self) -> Option<Time> {
        self.looked.map(|(_, time)| time)
    }

    /// Whether it has no name any more.
    pub(super) fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() == 0)
    }

    /// Bytes that are there and not done with.
    pub(super) fn unread(&self) -> u64 {
        self.size().saturating_sub(self.offset)
    }

    /// Where the file ends now.
    pub(super) fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len())
    }

    /// When it was changed last before it was begun, if it was empty at a look and is, or was for a time, no longer so.
    pub(super) fn take_begun(&mut self) -> Option<Time> {
        self.begun.take()
    }

    /// The next look is to take that time.
    pub(super) fn give_back_begun(&mut self, begun: Option<Time>) {
        self.begun = begun;
    }

    /// Looks whether the file does not hold what it held, and otherwise remembers what it holds now, read or not.
    pub(super) fn check_truncated(&mut self) -> io::Result<bool> {
        let signature = signature(&self.file.metadata()?);
        if self.looked == Some(signature) {
            return Ok(false);
        }
        if self.mark.0 < self.offset {
            self.mark = (self.offset, self.before.clone());
        }
        let size = signature.0;
        let (end, before) = &self.mark;
        if size < *end || bytes_before(&self.file, *end, CONTEXT)? != *before {
            return Ok(true);
        }
        let length = size.min(CONTEXT as u64);
        let head = bytes_before(&self.file, length, CONTEXT)?;
        if !head.starts_with(&self.head) {
            return Ok(true);
        }
        if *end == 0 {
            self.begun = self.begun.or(self.looked());
        }
        let before = bytes_before(&self.file, size, CONTEXT)?;
        // Zeros may stand where data is still to come.
        if before.len() as u64 == length && !before.contains(&0) && !head.contains(&0) {
            (self.head, self.mark) = (head, (size, before));
        }
        self.looked = Some(signature);
        Ok(false)
    }

    /// Reads whole lines until the end, and says whether there was anything new. A file that was cut is not read, until it was looked at.
    pub(super) fn read(&mut self, reading: &mut Reading<'_>) -> io::Result<(Reach, bool)> {
        let signature = signature(&self.file.metadata()?);
        if self.caught_up == Some(signature) {
            return Ok((Reach::End, false));
        }
        if self.looked != Some(signature) && self.check_truncated()? {
            return Ok((Reach::Cut, false));
        }
        let mut turn = 0;
        while turn < Self::TURN {
            let known = self.before.len();
            let Some(read) = self.fill(reading.buffer)? else {
                // The next look is to find that too. By the mark it still knows the copy of what was not read at all.
                if self.offset > 0 {
                    self.mark = (self.offset, self.before.clone());
                }
                self.looked = None;
                return Ok((Reach::Cut, false));
            };
            let hole = self.hole(&reading.buffer[known..read]);
            if hole > 0 {
                self.advance(hole, &reading.buffer[..known + hole]);
                *reading.position += hole as u64;
                turn += hole as u64;
                continue;
            }
            let piece = self.splitter.split(&reading.buffer[known..read]);
            let lines_at = known + piece.skipped;
            let consumed = if piece.lines.is_empty() {
                0
            } else {
                let place = self.place((reading.earlier, reading.later), piece.skipped, &reading.buffer[..lines_at]);
                (reading.take)(Piece { position: *reading.position + piece.skipped as u64, place, bytes: piece.lines })
            };
            let blocked = consumed < piece.lines.len();
            *reading.cut_lines += u64::from(consumed > 0 && piece.lines[consumed - 1] != b'\n');
            let advanced = self.splitter.advance(piece, consumed);
            self.advance(advanced, &reading.buffer[..known + advanced]);
            *reading.position += advanced as u64;
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

    /// Takes what follows the last newline as a line. What is added to it later begins a line of its own. Returns whether there was room.
    pub(super) fn read_unended(&mut self, reading: &mut Reading<'_>) -> bool {
        let known = self.before.len();
        let Ok(Some(read)) = self.fill(reading.buffer) else { return true };
        if read == known {
            return true;
        }
        let place = self.place((reading.earlier, reading.later), 0, &reading.buffer[..known]);
        let consumed = (reading.take)(Piece { position: *reading.position, place, bytes: &reading.buffer[known..read] });
        if consumed > 0 {
            self.advance(consumed, &reading.buffer[..known + consumed]);
            *reading.position += consumed as u64;
        }
        consumed == read - known
    }

    /// Reads the bytes before the offset and what follows them. Returns how many that are; `None` if those before, or at the file's start, are not
    /// the same any more.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let known = self.before.len();
        let read = read_at(&self.file, buffer, self.offset - known as u64)?;
        if read < known || buffer[..known] != *self.before {
            return Ok(None);
        }
        if self.offset < CONTEXT as u64 {
            // It may have been cut and begun anew since the look.
            if !buffer[..read].starts_with(&self.head) {
                return Ok(None);
            }
            self.head.clear();
            self.head.extend_from_slice(&buffer[..read.min(CONTEXT)]);
        }
        Ok(Some(read))
    }

    /// How many zeros the data begins with, if the file does: a program that does not write to the end of a file leaves them where that was
    /// cut, and they are no part of a line.
    fn hole(&self, data: &[u8]) -> usize {
        if data.first() != Some(&0) || self.before.iter().any(|byte| *byte != 0) {
            return 0;
        }
        data.iter().take_while(|byte| **byte == 0).count()
    }

    fn place<'a>(&'a self, (earlier, later): Others<'a>, skipped: usize, before: &'a [u8]) -> Place<'a> {
        Place { earlier, later, inode: self.file_id.1, head: &self.head, offset: self.offset + skipped as u64, before }
    }

    fn advance(&mut self, by: usize, behind: &[u8]) {
        self.offset += by as u64;
        self.before.clear();
        self.before.extend_from_slice(&behind[behind.len().saturating_sub(CONTEXT)..]);
    }

    /// Whether the offset is in a line of which a part was handed on and the rest is to be passed over. What was taken as a line though no
    /// newline ended it is shorter than that.
    fn is_within_overlong_line(&self) -> io::Result<bool> {
        if self.offset < MAX_LINE as u64 || matches!(self.before.last(), Some(b'\n' | 0)) {
            return Ok(false);
        }
        let line = bytes_before(&self.file, self.offset, MAX_LINE)?;
        Ok(!line.contains(&b'\n'))
    }
}

/// The bytes before an offset, but not more than so many; fewer than that also where the file has ended.
fn bytes_before(file: &File, end: u64, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(end).unwrap_or(most).min(most)];
    let start = end - bytes.len() as u64;
    let read = read_at(file, &mut bytes, start)?;
    bytes.truncate(read);
    Ok(bytes)
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

/// Which file that is.
pub fn file_id(meta: &Metadata) -> FileId {
    (meta.dev(), meta.ino())
}

#[inline(never)]
pub(super) fn modified(meta: &Metadata) -> Time {
    time(meta.mtime(), meta.mtime_nsec())
}

pub(super) fn time(seconds: i64, nanoseconds: i64) -> Time {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

fn signature(meta: &Metadata) -> Signature {
    (meta.len(), modified(meta))
}

pub(super) fn not_a_file(meta: &Metadata) -> io::Error {
    crate::sys::no_file(meta.is_dir())
}
