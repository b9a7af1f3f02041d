//! The files of the event stream that are there now: the one that is written to, and the rolled ones, however many there are.

use crate::sys::{open_to_read, Links};
use crate::wire::position::{content_hash, FilePosition, CONTEXT};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// The files of one event stream. Nothing is kept between calls: another process may roll them.
#[derive(Clone, Debug)]
pub(super) struct StreamFiles {
    path: String,
}

/// A file of the stream that was opened to be read.
#[derive(Debug)]
pub(super) struct StreamFile {
    file: File,
    inode: u64,
}

/// A place in the stream: behind a line. It holds for this run only, since another file may get the inode of one that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    inode: u64,
    offset: u64,
}

impl StreamFiles {
    pub(super) fn new(path: &str) -> Self {
        Self { path: path.into() }
    }

    /// The path of the file that was rolled that many times. 0 is the one that is written to.
    pub(super) fn numbered(&self, number: u32) -> String {
        match number {
            0 => self.path.clone(),
            number => format!("{}.{number}", self.path),
        }
    }

    /// The numbers of the files that are there, the newest file first. What is behind a gap in the numbers was not made by rolling.
    pub(super) fn numbers(&self) -> Vec<u32> {
        let path = Path::new(&self.path);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
        let number = |entry: fs::DirEntry| match entry.file_name().to_str()?.strip_prefix(name)? {
            "" => Some(0),
            rest => rest.strip_prefix('.')?.parse().ok().filter(|number| *number > 0),
        };
        let mut numbers: Vec<u32> = fs::read_dir(folder).into_iter().flatten().flatten().filter_map(number).collect();
        numbers.sort_unstable();
        let first = numbers.first().copied().filter(|first| *first <= 1);
        first.map_or_else(Vec::new, |first| (first..).zip(numbers).map_while(|(next, number)| (next == number).then_some(number)).collect())
    }

    /// The number of the file with that inode.
    pub(super) fn number_of(&self, inode: u64) -> Option<u32> {
        // Mostly it is one of the newest, which can be found without a look at the folder.
        let is_it = |number: &u32| fs::metadata(self.numbered(*number)).is_ok_and(|meta| meta.ino() == inode);
        (0..2).find(is_it).or_else(|| self.numbers().into_iter().find(is_it))
    }

    /// Opens a file. `None` if it is not there, or no regular file.
    pub(super) fn open(&self, number: u32) -> Option<StreamFile> {
        StreamFile::open(&self.numbered(number)).ok()
    }

    /// The oldest file.
    pub(super) fn oldest(&self) -> Option<StreamFile> {
        self.numbers().into_iter().rev().find_map(|number| self.open(number))
    }

    /// The file that was begun when that one was rolled. `None` if that one is still written to.
    pub(super) fn next(&self, of: &StreamFile) -> Option<StreamFile> {
        // Another process may roll the files between two looks.
        for _ in 0..3 {
            match self.number_of(of.inode) {
                Some(0) => return None,
                Some(number) => {
                    let next = self.open(number - 1);
                    if self.number_of(of.inode) == Some(number) {
                        return next;
                    }
                }
                None => return self.oldest_since(of),
            }
        }
        None
    }

    /// The oldest of those that were written to after that file, which was deleted or moved away.
    fn oldest_since(&self, of: &StreamFile) -> Option<StreamFile> {
        let written = |file: &File| file.metadata().map(|meta| (meta.mtime(), meta.mtime_nsec())).ok();
        let since = written(&of.file);
        let newer = |number: u32| self.open(number).filter(|file| written(&file.file) >= since);
        self.numbers().into_iter().map_while(newer).last()
    }

    /// Hands over every line, the oldest first, whether it is an event or not.
    pub(super) fn for_each_line(&self, take: &mut dyn FnMut(&str)) {
        for file in self.numbers().into_iter().rev().filter_map(|number| self.open(number)) {
            let (mut reader, mut line) = (BufReader::with_capacity(64 * 1024, &file.file), Vec::new());
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                take(&String::from_utf8_lossy(line.trim_ascii_end()));
                line.clear();
            }
        }
    }

    /// The place at the end of the stream; `None` if there is no stream yet.
    pub(super) fn end(&self) -> Option<Place> {
        let file = self.open(0)?;
        Some(file.place(file.size().ok()?))
    }

    /// Finds the file of a place that an earlier run saved, by its content.
    pub(super) fn find(&self, saved: &FilePosition) -> Option<Place> {
        let numbers = self.numbers();
        let mut files: Vec<StreamFile> = numbers.into_iter().filter_map(|number| self.open(number)).collect();
        // The likely one first.
        files.sort_by_key(|file| file.inode != saved.inode);
        let found = files.into_iter().find(|file| file.hash_at(saved.offset).is_ok_and(|hash| hash == saved.hash))?;
        Some(found.place(saved.offset))
    }

    /// The place as another run will find it again. `None` if the file is gone.
    pub(super) fn saved(&self, place: Place) -> Option<FilePosition> {
        let file = self.open(self.number_of(place.inode)?).filter(|file| file.inode == place.inode)?;
        Some(FilePosition { offset: place.offset, hash: file.hash_at(place.offset).ok()?, inode: place.inode, done: 0, serial: 0 })
    }

    /// Whether a line ends at a place, which comes from outside.
    pub(super) fn is_at_line(&self, place: Place) -> bool {
        let file = self.number_of(place.inode).and_then(|number| self.open(number)).filter(|file| file.inode == place.inode);
        let mut last = [0];
        file.is_some_and(|file| match place.offset.checked_sub(1) {
            Some(before) => file.read_at(&mut last, before).is_ok_and(|read| read == 1) && last == *b"\n",
            None => true,
        })
    }

    /// The start of the oldest file that was written to from a time on, in seconds since 1970.
    pub(super) fn oldest_written_since(&self, unix: u64) -> Option<Place> {
        let since = i64::try_from(unix).unwrap_or(i64::MAX);
        let is_new = |number: &u32| fs::metadata(self.numbered(*number)).is_ok_and(|meta| meta.mtime() >= since);
        let number = self.numbers().into_iter().take_while(is_new).last()?;
        Some(self.open(number)?.place(0))
    }

    /// How many bytes the stream has behind a place.
    pub(super) fn bytes_behind(&self, place: Place) -> u64 {
        let size = |number: u32| fs::metadata(self.numbered(number)).map_or(0, |meta| meta.len());
        match self.number_of(place.inode) {
            Some(number) => (0..=number).map(size).sum::<u64>().saturating_sub(place.offset),
            None => self.numbers().into_iter().map(size).sum(),
        }
    }
}

impl StreamFile {
    fn open(path: &str) -> io::Result<Self> {
        let file = open_to_read(path.as_ref(), Links::Followed)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Self { file, inode: meta.ino() })
    }

    /// The place at that offset.
    pub(super) fn place(&self, offset: u64) -> Place {
        Place { inode: self.inode, offset }
    }

    pub(super) fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Reads at an offset. Returns 0 at the end.
    ///
    /// # Errors
    /// What `pread(2)` reports.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    /// The hash of the content around that offset, as positions contain it.
    fn hash_at(&self, offset: u64) -> io::Result<u64> {
        let length = usize::try_from(offset).unwrap_or(usize::MAX).min(CONTEXT);
        let (mut head, mut before) = (vec![0; length], vec![0; length]);
        self.file.read_exact_at(&mut head, 0)?;
        self.file.read_exact_at(&mut before, offset - length as u64)?;
        Ok(content_hash(&head, &before, offset))
    }
}

impl Place {
    pub(super) fn new(inode: u64, offset: u64) -> Self {
        Self { inode, offset }
    }

    /// Whether it is a later place of the same file.
    pub(super) fn is_behind(self, other: Self) -> bool {
        self.inode == other.inode && self.offset > other.offset
    }

    pub(super) fn inode(self) -> u64 {
        self.inode
    }

    pub(super) fn offset(self) -> u64 {
        self.offset
    }
}
