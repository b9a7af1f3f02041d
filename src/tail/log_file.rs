//! One open file of a log, how far it is read, and what it looked like there: by that the file is recognised.

use super::progress::Progress;
use super::reading::{Piece, ReadOutcome, Reading};
use super::stat::{file_id, mtime, FileId, Mtime, SizeMtime};
use crate::encoding::{Encoding, Units};
use crate::fs::{next_data, Access, AccessError};
use crate::hash::Fnv1a;
use crate::lines::{LineSplitter, MAX_LINE};
use crate::wire::position::{content_hash, BlockPosition, FilePosition, CONTEXT};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Asks the other followers to give up a file, if one of them follows it under another name.
pub type Release<'a> = &'a mut dyn FnMut(FileId) -> Option<LogFile>;

/// An open file and how far it is read.
pub struct LogFile {
    file: File,
    file_id: FileId,
    /// Tells it from the log's other files; 0 until it has a number.
    pub(super) serial: u32,
    encoding: Encoding,
    offset: u64,
    splitter: LineSplitter,
    /// The first bytes of the file: [`CONTEXT`] of them, or at least those before the offset.
    head: Vec<u8>,
    /// The bytes before the offset: [`CONTEXT`] of them, or all.
    before: Vec<u8>,
    known_end: KnownEnd,
    /// Size and mtime when its content was last checked.
    checked: Option<SizeMtime>,
    /// The mtime that the file had while it was empty, once it was written to, even if it is empty again.
    filled_since: Option<Mtime>,
    /// The end of the file when it was last measured.
    measured: u64,
    /// Size and mtime when everything was read.
    caught_up: Option<SizeMtime>,
}

/// How far a file is known to go, read or not, and the bytes before that.
struct KnownEnd {
    offset: u64,
    before: Vec<u8>,
}

impl LogFile {
    /// Most bytes that one reading takes, so that other logs have their turn soon.
    const TURN: u64 = 1 << 17;

    /// Opens a file to read on at an offset, or at its end if it is shorter.
    pub(super) fn open(access: &Access, path: &Path, encoding: Encoding, offset: u64) -> Result<Self, AccessError> {
        let file = access.open(path)?;
        let meta = file.metadata()?;
        Ok(Self::at(file, &meta, encoding, offset.min(meta.len()))?)
    }

    fn at(file: File, meta: &Metadata, encoding: Encoding, offset: u64) -> io::Result<Self> {
        let (head, before) = (bytes_before(&file, offset.min(CONTEXT as u64), CONTEXT)?, bytes_before(&file, offset, CONTEXT)?);
        let mut log_file = Self {
            file,
            file_id: file_id(meta),
            serial: 0,
            encoding,
            offset,
            splitter: LineSplitter::default(),
            head,
            before,
            known_end: KnownEnd { offset: 0, before: Vec::new() },
            checked: None,
            filled_since: None,
            measured: 0,
            caught_up: None,
        };
        log_file.splitter = LineSplitter::resumed(log_file.is_within_overlong_line()?);
        log_file.check_truncated()?;
        Ok(log_file)
    }

    /// Opens a file that was read up to a position. `None` if it cannot be read or its content is not that of the position. A file of
    /// which nothing was read is recognised by its inode only.
    pub(super) fn resume(access: &Access, path: &Path, encoding: Encoding, position: &FilePosition) -> Option<Self> {
        let mut file = Self::open(access, path, encoding, position.offset).ok()?;
        let there = file.position();
        file.serial = position.serial;
        let is_same = there.offset == position.offset && there.hash == position.hash;
        (is_same && (position.offset > 0 || there.inode == position.inode)).then_some(file)
    }

    /// The same file, to be read on at another offset.
    pub(super) fn at_offset(&self, offset: u64) -> io::Result<Self> {
        Ok(Self { serial: self.serial, ..self.anew(offset)? })
    }

    /// The same file with other content than before, to be read from an offset on.
    pub(super) fn anew(&self, offset: u64) -> io::Result<Self> {
        Self::at(self.file.try_clone()?, &self.file.metadata()?, self.encoding, offset)
    }

    pub fn file_id(&self) -> FileId {
        self.file_id
    }

    /// Reads it in another encoding from now on.
    pub(super) fn set_encoding(&mut self, encoding: Encoding) -> io::Result<()> {
        if self.encoding != encoding {
            self.encoding = encoding;
            self.splitter = LineSplitter::resumed(self.is_within_overlong_line()?);
            let now = SizeMtime::of(&self.file.metadata()?);
            if self.checked == Some(now) {
                // More of what it holds may be remembered now.
                self.checked = None;
                self.check_truncated()?;
                self.checked = Some(now);
            }
        }
        Ok(())
    }

    /// Its units. It must be known how the file begins, unless the encoding names their byte order.
    fn units(&self) -> Units {
        self.encoding.units(&self.head)
    }

    /// Where the file is now, whatever its name is, if the system tells.
    pub(super) fn path_now(&self) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/self/fd/{}", self.file.as_raw_fd())).ok().filter(|_| !self.is_deleted())
    }

    /// How far it is read.
    pub(super) fn position(&self) -> FilePosition {
        let hash = content_hash(&self.head, &self.before, self.offset);
        FilePosition { offset: self.offset, hash, inode: self.file_id.1, done: 0, serial: self.serial }
    }

    /// How far it is known to go, as a position by which a copy of it is recognised.
    pub(super) fn known_position(&self) -> FilePosition {
        let KnownEnd { offset, before } = &self.known_end;
        if *offset <= self.offset {
            return self.position();
        }
        FilePosition { offset: *offset, hash: content_hash(&self.head, before, *offset), ..self.position() }
    }

    /// How far it is known to go.
    pub(super) fn known_end(&self) -> u64 {
        self.offset.max(self.known_end.offset).max(self.measured)
    }

    /// How many bytes are unread. From now on the file is known to go as far as that.
    pub(super) fn measure(&mut self) -> u64 {
        let unread = self.unread();
        self.measured = self.offset + unread;
        unread
    }

    /// Whether another file is a copy of this one, perhaps an unfinished one: it holds nothing but what this one is known to begin with,
    /// and was changed no earlier.
    pub(super) fn is_copied_by(&self, other: &Self) -> bool {
        other.mtime() >= self.mtime() && self.begins_with(other, other.size())
    }

    /// Whether the first `size` bytes of another file are what this one is known to begin with.
    pub(super) fn begins_with(&self, other: &Self, size: u64) -> bool {
        let is_same = |end: u64| match (bytes_before(&self.file, end, CONTEXT), bytes_before(&other.file, end, CONTEXT)) {
            (Ok(own), Ok(others)) => own == others,
            _ => false,
        };
        size <= self.known_end() && is_same(size.min(CONTEXT as u64)) && is_same(size)
    }

    /// How many bytes of whole lines another file has in common with what was read of this one, from an offset on.
    pub(super) fn common_lines(&self, other: &Self, from: u64) -> io::Result<u64> {
        let (mut own, mut others) = (vec![0; MAX_LINE], vec![0; MAX_LINE]);
        let mut common = 0;
        loop {
            let at = from + common;
            let most = usize::try_from(self.offset.saturating_sub(at)).unwrap_or(MAX_LINE).min(MAX_LINE);
            let read = read_at(&self.file, &mut own[..most], at)?.min(read_at(&other.file, &mut others[..most], at)?);
            let same = own[..read].iter().zip(&others[..read]).take_while(|(one, other)| one == other).count();
            let lines = self.units().last_end(&own[..same]).unwrap_or(0);
            common += lines as u64;
            if lines == 0 {
                return Ok(common);
            }
        }
    }

    /// What is known of its first bytes.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Its first bytes now, at most [`CONTEXT`].
    pub(super) fn first_bytes(&self, most: usize) -> io::Result<Vec<u8>> {
        bytes_before(&self.file, most as u64, CONTEXT)
    }

    /// Where reading goes on.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn mtime(&self) -> Option<Mtime> {
        self.file.metadata().ok().map(|meta| mtime(&meta))
    }

    /// The mtime when its content was last checked.
    pub(super) fn checked_mtime(&self) -> Option<Mtime> {
        self.checked.map(|checked| checked.mtime)
    }

    /// Whether no name is left.
    pub(super) fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() == 0)
    }

    /// Bytes behind the offset. Half of a unit is none yet, and neither is a byte order mark alone, by which files look alike.
    pub(super) fn unread(&self) -> u64 {
        let (size, width) = (self.size(), self.units().width() as u64);
        if width > 1 && self.offset == 0 && size <= 3 && self.head.get(..2).is_some_and(Encoding::is_mark) {
            return 0;
        }
        (size - size % width).saturating_sub(self.offset)
    }

    /// The size now.
    pub fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len())
    }

    /// The mtime that the file had while it was empty, once after it was written to.
    pub(super) fn take_filled_since(&mut self) -> Option<Mtime> {
        self.filled_since.take()
    }

    /// Has the next [`Self::take_filled_since`] return that.
    pub(super) fn restore_filled_since(&mut self, mtime: Option<Mtime>) {
        self.filled_since = mtime;
    }

    /// Returns whether the file no longer holds what it held. If it does, what it holds now is remembered, read or not.
    pub(super) fn check_truncated(&mut self) -> io::Result<bool> {
        let now = SizeMtime::of(&self.file.metadata()?);
        if self.checked == Some(now) {
            return Ok(false);
        }
        if self.known_end.offset < self.offset {
            self.know_read_part_only();
        }
        let KnownEnd { offset: end, before } = &self.known_end;
        if now.size < *end || bytes_before(&self.file, *end, CONTEXT)? != *before {
            return Ok(true);
        }
        let length = now.size.min(CONTEXT as u64);
        let head = bytes_before(&self.file, length, CONTEXT)?;
        if !head.starts_with(&self.head) {
            return Ok(true);
        }
        if *end == 0 {
            self.filled_since = self.filled_since.or(self.checked_mtime());
        }
        let before = bytes_before(&self.file, now.size, CONTEXT)?;
        let units = self.encoding.units(&head);
        let has_gap = units.has_gap(&before, now.size) || units.has_gap(&head, length);
        if before.len() as u64 == length && !has_gap {
            (self.head, self.known_end) = (head, KnownEnd { offset: now.size, before });
        }
        self.checked = Some(now);
        Ok(false)
    }

    /// Reads whole lines until the end. Returns also whether there was anything new. A truncated file is not read until it was checked.
    pub(super) fn read(&mut self, reading: &mut Reading<'_>) -> io::Result<(ReadOutcome, bool)> {
        let now = SizeMtime::of(&self.file.metadata()?);
        if self.caught_up == Some(now) {
            return Ok((ReadOutcome::End, false));
        }
        if self.checked != Some(now) && self.check_truncated()? {
            return Ok((ReadOutcome::Truncated, false));
        }
        if self.offset % self.units().width() as u64 != 0 {
            // It was read in another encoding before, or is read from its end, which was half of a unit.
            *self = self.at_offset(self.offset - 1)?;
        }
        let mut turn = 0;
        while turn < Self::TURN {
            let context = self.before.len();
            let Some(read) = self.fill(reading.buffer)? else {
                // The next check is to find that too. A copy of what was not read at all is still recognised by the known end.
                if self.offset > 0 {
                    self.know_read_part_only();
                }
                self.checked = None;
                return Ok((ReadOutcome::Truncated, false));
            };
            let hole = self.hole(&reading.buffer[context..read]);
            if hole > 0 {
                self.advance(hole, &reading.buffer[..context + hole]);
                reading.progress.advance(hole as u64);
                turn += hole as u64;
                if context + hole == read {
                    self.skip_hole(reading.progress);
                }
                continue;
            }
            let (advanced, is_blocked) = self.hand_on(context, read, reading);
            turn += advanced as u64;
            if is_blocked {
                return Ok((ReadOutcome::Blocked, true));
            }
            if advanced == 0 {
                self.caught_up = Some(now);
                return Ok((ReadOutcome::End, true));
            }
        }
        Ok((ReadOutcome::More, true))
    }

    /// Skips the zeros that the file system knows to follow: a file may have more of them than can be read in its lifetime.
    fn skip_hole(&mut self, progress: &mut Progress) {
        let skipped = next_data(&self.file, self.offset).saturating_sub(self.offset);
        if skipped >= CONTEXT as u64 {
            self.offset += skipped;
            self.before = vec![0; CONTEXT];
            progress.advance(skipped);
        }
    }

    /// Hands on the whole lines in the buffer, which holds `context` bytes before the offset and `read` in all. Returns how many bytes
    /// are done with, and whether the taker had no room for more.
    fn hand_on(&mut self, context: usize, read: usize, reading: &mut Reading<'_>) -> (usize, bool) {
        let units = self.units();
        let piece = self.splitter.split(units, &reading.buffer[context..read]);
        let lines_at = context + piece.skipped;
        let consumed = if piece.lines.is_empty() {
            0
        } else {
            let place = self.place((reading.earlier, reading.later), piece.skipped, &reading.buffer[..lines_at]);
            (reading.take)(Piece { position: reading.progress.position() + piece.skipped as u64, place, bytes: piece.lines, units })
        };
        let is_blocked = consumed < piece.lines.len();
        if consumed > 0 && !piece.ends_line(consumed) {
            reading.progress.add_cut_line();
        }
        let advanced = self.splitter.advance(piece, consumed);
        self.advance(advanced, &reading.buffer[..context + advanced]);
        reading.progress.advance(advanced as u64);
        (advanced, is_blocked)
    }

    /// Hands on what follows the last newline as a line. What is appended to it later begins a new line. Returns whether there was room.
    pub(super) fn read_unended(&mut self, reading: &mut Reading<'_>) -> bool {
        let context = self.before.len();
        let Ok(Some(read)) = self.fill(reading.buffer) else { return true };
        let units = self.units();
        let read = context + units.whole(read - context);
        if read == context || self.unread() == 0 {
            return true;
        }
        let place = self.place((reading.earlier, reading.later), 0, &reading.buffer[..context]);
        let position = reading.progress.position();
        let consumed = (reading.take)(Piece { position, place, bytes: &reading.buffer[context..read], units });
        if consumed > 0 {
            self.advance(consumed, &reading.buffer[..context + consumed]);
            reading.progress.advance(consumed as u64);
        }
        consumed == read - context
    }

    /// Reads the bytes before the offset and what follows them. Returns how many bytes that are; `None` if those before the offset or at
    /// the file's start have changed.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let context = self.before.len();
        let read = read_at(&self.file, buffer, self.offset - context as u64)?;
        if read < context || buffer[..context] != *self.before {
            return Ok(None);
        }
        if self.offset < CONTEXT as u64 {
            // It may have been truncated and written to since the check.
            if !buffer[..read].starts_with(&self.head) {
                return Ok(None);
            }
            self.head.clear();
            self.head.extend_from_slice(&buffer[..read.min(CONTEXT)]);
        }
        Ok(Some(read))
    }

    /// How many zeros the data begins with, if the file begins with zeros. A program that writes at its old offset into a truncated file
    /// leaves them; they are no part of a line.
    fn hole(&self, data: &[u8]) -> usize {
        if data.first() != Some(&0) || self.before.iter().any(|byte| *byte != 0) {
            return 0;
        }
        self.units().whole(data.iter().take_while(|byte| **byte == 0).count())
    }

    fn place<'a>(
        &'a self,
        (earlier, later): (&'a [FilePosition], &'a [FilePosition]),
        skipped: usize,
        before: &'a [u8],
    ) -> BlockPosition<'a> {
        BlockPosition {
            earlier,
            later,
            inode: self.file_id.1,
            serial: self.serial,
            head: &self.head,
            offset: self.offset + skipped as u64,
            before,
        }
    }

    /// Moves the offset. `before` ends with the bytes before the new one.
    fn advance(&mut self, by: usize, before: &[u8]) {
        self.offset += by as u64;
        self.before.clear();
        self.before.extend_from_slice(&before[before.len().saturating_sub(CONTEXT)..]);
    }

    fn know_read_part_only(&mut self) {
        self.known_end = KnownEnd { offset: self.offset, before: self.before.clone() };
    }

    /// Whether the offset is in an overlong line: its start was handed on and its rest is to be skipped. What was handed on without a
    /// newline is shorter than such a start.
    fn is_within_overlong_line(&self) -> io::Result<bool> {
        let (units, before) = (self.units(), &self.before);
        let is_hole = before.len() >= units.width() && before[before.len() - units.width()..].iter().all(|byte| *byte == 0);
        if self.offset < MAX_LINE as u64 || is_hole || units.ends_line(before) {
            return Ok(false);
        }
        let line = bytes_before(&self.file, self.offset, MAX_LINE)?;
        Ok(units.first_end(&line).is_none())
    }
}

/// Whether the file at a path was read up to that place once: it holds there what it held then.
pub fn confirms(access: &Access, path: &str, place: &FilePosition) -> bool {
    LogFile::resume(access, Path::new(path), Encoding::Utf8, place).is_some()
}

/// The place at which a line ends in the file at a path, if it is that line: one [within a batch](FilePosition::within_batch).
pub fn line_end(access: &Access, path: &str, encoding: Encoding, place: &FilePosition) -> Option<FilePosition> {
    let file = LogFile::open(access, Path::new(path), encoding, place.offset).ok().filter(|file| file.offset == place.offset)?;
    let (units, before) = (file.units(), bytes_before(&file.file, place.offset, MAX_LINE).ok()?);
    let newline = before.len().checked_sub(units.width()).filter(|_| units.ends_line(&before))?;
    let line = units.line(&before[units.last_end(&before[..newline]).unwrap_or(0)..]);
    (u64::from(Fnv1a::of_line(line)) == place.hash).then(|| file.position())
}

/// The bytes before an offset, at most `most`; fewer where the file is shorter.
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
