//! Finds the files that a log had before its present one: by content, wherever a rotation has put them in the log's folder. Compressed
//! files are never looked into.

use super::log_file::{file_id, modified, time, FileId, Open, Time};
use super::rotated::RotatedFile;
use super::Follower;
use crate::fs::dir;
use crate::wire::position::{FilePosition, Position};
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A file that may have had the log's name.
#[derive(Debug)]
pub(super) struct Sibling {
    path: PathBuf,
    pub(super) file_id: FileId,
    pub(super) age: Age,
}

/// When a file was rotated, as far as its last change and its name tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Age {
    pub(super) modified: Time,
    pub(super) stamp: Option<Stamp>,
}

/// What a rotation adds to a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Greater is newer. Mostly all files are numbered anew in a rotation, and 1 is the newest: that is -1 here.
    Number(i32),
    /// Digits that grow with time.
    Date(Vec<u8>),
}

/// The files around a log, in the order in which they were rotated.
#[derive(Debug, Default)]
pub(super) struct RotatedFiles {
    siblings: Vec<Sibling>,
    has_compressed: bool,
}

/// Where reading goes on.
pub(super) struct Restored {
    /// Files that had the log's name, oldest first.
    pub(super) earlier: Vec<RotatedFile>,
    pub(super) current: Option<Box<Open>>,
    /// What could not be found again.
    pub(super) lost: Option<String>,
}

/// A file of a position that was found again, and which of the siblings it is; the one behind the last stands for the log's path.
struct Found {
    open: Box<Open>,
    at: usize,
}

/// Finds the files of a position, and those that came after them. `None` while that cannot be told, since the log cannot be read, has
/// no file, or is just being rotated.
pub(super) fn restore(path: &str, position: &Position, seen: u64) -> Option<Box<Restored>> {
    let had = |inode| position.files.iter().any(|file| file.inode == inode);
    for _ in 0..RotatedFiles::ATTEMPTS {
        let around = RotatedFiles::of(path, &had);
        let present = match Open::new(Path::new(path), 0) {
            Ok(open) => Some(open),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(_) => return None,
        };
        let present_identity = present.as_ref().map(|open| open.file_id);
        let restored = restore_beside(path, &around, present, position, seen);
        let still = fs::metadata(path).ok().map(|meta| file_id(&meta));
        if still == present_identity && around.is_as(&RotatedFiles::of(path, &had)) {
            return restored;
        }
    }
    None
}

fn restore_beside(path: &str, around: &RotatedFiles, present: Option<Box<Open>>, position: &Position, seen: u64) -> Option<Box<Restored>> {
    let files = &position.files;
    let at_path = present.as_ref().map(|open| (Path::new(path), open.file_id));
    // Where reading stopped must be there, or all files where none was begun. Those before may be gone: they had been read.
    let stopped = files.iter().rposition(|file| file.offset > 0);
    let mut is_found = !files.is_empty();
    let (mut found, mut claimed) = (Vec::new(), Vec::new());
    // The last first: it has the best claim to the present file.
    for (number, file) in files.iter().enumerate().rev() {
        match around.find(at_path, file, &claimed) {
            Some(one) => {
                claimed.push(one.open.file_id);
                found.insert(0, one);
            }
            None => is_found &= stopped.is_some_and(|stopped| stopped != number),
        }
    }
    if present.is_none() && !is_found {
        return None;
    }
    claimed.extend(at_path.map(|(_, file_id)| file_id));
    let mut lost = (stopped.is_some() && !is_found).then(|| {
        let left = if around.has_compressed { " (only compressed files are left)" } else { "" };
        format!("what was read last of {path} is gone{left}: lines may be missing")
    });
    let mut newer = around.unread(&found, stopped.is_some(), before_second(seen), &claimed);
    newer.retain(|one| !present.as_ref().is_some_and(|present| one.is_copy_of(present)));
    let excess = newer.len().saturating_sub(Follower::MAX_UNREAD);
    if excess > 0 {
        newer.drain(..excess);
        lost = Some(format!("{path} was rotated more often than can be read again: {excess} files are given up"));
    }
    let (earlier, current) = around.in_order(found, newer);
    Some(Box::new(Restored { earlier, current: current.or(present), lost }))
}

/// The start of the second before, since the times of files lag behind the clock.
fn before_second(seen: u64) -> Option<Time> {
    i64::try_from(seen).ok().filter(|seen| *seen > 1).map(|seen| time(seen - 1, 0))
}

impl RotatedFiles {
    /// How often to look again where a rotation is under way.
    const ATTEMPTS: usize = 3;

    /// Does that with the files around a log, and again where their names have changed meanwhile: what was renamed may have been missed.
    /// `None` when they change all the time.
    pub(super) fn consult<T>(path: &str, had: &dyn Fn(u64) -> bool, work: &mut dyn FnMut(&Self) -> T) -> Option<T> {
        let mut around = Self::of(path, had);
        for _ in 0..Self::ATTEMPTS {
            let outcome = work(&around);
            let now = Self::of(path, had);
            if now.is_as(&around) {
                return Some(outcome);
            }
            around = now;
        }
        None
    }

    /// Whether the same files have the same names.
    fn is_as(&self, other: &Self) -> bool {
        let mut pairs = self.siblings.iter().zip(&other.siblings);
        self.siblings.len() == other.siblings.len() && pairs.all(|(one, other)| one.file_id == other.file_id && one.path == other.path)
    }

    /// The files in the folder of the log, and of that to which it is a link, that rotations may have made of it: by their name, or by
    /// an inode that one of them had.
    pub(super) fn of(path: &str, had: &dyn Fn(u64) -> bool) -> Self {
        let mut around = Self::default();
        around.add(path.as_bytes(), had);
        if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
            if let Ok(target) = fs::canonicalize(path) {
                around.add(target.as_os_str().as_bytes(), had);
            }
        }
        around.turn_if_counting_up();
        around.sort(Age::order);
        around
    }

    #[inline(never)]
    fn sort(&mut self, order: fn(&Age, &Age) -> Ordering) {
        self.siblings.sort_unstable_by(|one, other| order(&one.age, &other.age));
    }

    /// Some rotations give the newest file the highest number. The times tell, where there are enough.
    fn turn_if_counting_up(&mut self) {
        self.sort(|one, other| one.number().cmp(&other.number()));
        let (mut up, mut down) = (0, 0);
        for two in self.siblings.windows(2) {
            if let (Some(_), Some(_)) = (two[0].age.number(), two[1].age.number()) {
                // The one behind has the lower number.
                up += usize::from(two[0].age.modified > two[1].age.modified);
                down += usize::from(two[0].age.modified < two[1].age.modified);
            }
        }
        if up < 2 || up <= 2 * down {
            return;
        }
        for sibling in &mut self.siblings {
            if let Some(Stamp::Number(number)) = &mut sibling.age.stamp {
                *number = -*number;
            }
        }
    }

    fn add(&mut self, path: &[u8], had: &dyn Fn(u64) -> bool) {
        let (folder, name) = dir::split(path);
        // A folder that cannot be read has no files.
        let _ = dir::list(folder, &mut |entry, inode| {
            let suffix = suffix(entry, name);
            if entry == name || !(suffix.is_some() || had(inode)) {
                return;
            }
            if is_compressed(entry) {
                self.has_compressed |= suffix.is_some();
                return;
            }
            let path = PathBuf::from(OsStr::from_bytes(&[folder, entry].concat()));
            // No links: they lead to files that have other names.
            let Ok(meta) = fs::symlink_metadata(&path) else { return };
            let file_id = file_id(&meta);
            if meta.is_file() && self.age(file_id).is_none() {
                let age = Age { modified: modified(&meta), stamp: suffix.and_then(Stamp::parse) };
                self.siblings.push(Sibling { path, file_id, age });
            }
        });
    }

    /// The age of a file of which one has a name here.
    pub(super) fn age(&self, file_id: FileId) -> Option<&Age> {
        self.siblings.iter().find(|one| one.file_id == file_id).map(|one| &one.age)
    }

    /// The file that was read so far: first where its inode is, then, since it may be a copy, from the newest on. `present` is what the
    /// log's path has.
    fn find(&self, present: Option<(&Path, FileId)>, file: &FilePosition, claimed: &[FileId]) -> Option<Found> {
        let mut by_inode = true;
        loop {
            for at in (0..=self.siblings.len()).rev() {
                let sibling = self.siblings.get(at).map(|one| (&*one.path, one.file_id));
                let Some((path, file_id)) = sibling.or(present.filter(|_| at == self.siblings.len())) else { continue };
                if (by_inode && file_id.1 != file.inode) || claimed.contains(&file_id) {
                    continue;
                }
                if let Some(open) = Open::resume(path, file).filter(|open| open.file_id == file_id) {
                    return Some(Found { open, at });
                }
            }
            if !by_inode || file.offset == 0 {
                return None;
            }
            by_inode = false;
        }
    }

    /// The file that looks as described, other than the one that is known by that hint; a copy, that is.
    pub(super) fn find_copy(&self, file: &FilePosition, original: FileId) -> Option<Box<Open>> {
        self.find(None, file, &[original]).map(|found| found.open).filter(|_| file.offset > 0)
    }

    /// The rotated files of which nothing was read: those that came after the last that was begun, whether they are in the position or not.
    fn unread(&self, found: &[Found], was_begun: bool, since: Option<Time>, claimed: &[FileId]) -> Vec<&Sibling> {
        let begun = last_begun(found);
        let last = if was_begun { begun } else { found.first().map(|first| first.at) };
        if last == Some(self.siblings.len()) {
            return Vec::new();
        }
        if let Some(begun) = begun.and_then(|at| self.siblings.get(at)) {
            return self.newer(Some(&begun.age), since, claimed);
        }
        // There are inodes only, which may be those of newer files now.
        let oldest = found.iter().map(|found| found.at).min().and_then(|at| self.siblings.get(at));
        let is_newer = |one: &Sibling| one.age.is_since(since) || oldest.is_some_and(|oldest| one.age.is_newer(&oldest.age, since));
        self.rotated(claimed, &is_newer)
    }

    /// The rotated files that came after another, or where there is none since that time; oldest first.
    pub(super) fn newer(&self, than: Option<&Age>, since: Option<Time>, claimed: &[FileId]) -> Vec<&Sibling> {
        self.rotated(claimed, &|one| than.map_or_else(|| one.age.is_since(since), |than| one.age.is_newer(than, since)))
    }

    fn rotated(&self, claimed: &[FileId], wanted: &dyn Fn(&Sibling) -> bool) -> Vec<&Sibling> {
        let mut rotated = Vec::new();
        for one in &self.siblings {
            if one.age.stamp.is_some() && !claimed.contains(&one.file_id) && wanted(one) {
                rotated.push(one);
            }
        }
        rotated
    }

    /// All that is to be read, in order: files that were found again, and unread ones. Returns apart what was found at the log's path.
    fn in_order(&self, found: Vec<Found>, newer: Vec<&Sibling>) -> (Vec<RotatedFile>, Option<Box<Open>>) {
        let mut unread: Vec<(&Age, Box<Open>)> = Vec::new();
        for one in newer {
            if let Some(open) = one.open(0) {
                unread.push((&one.age, open));
            }
        }
        let newest = last_begun(&found).and_then(|at| self.siblings.get(at));
        let begun = found.iter().rposition(|found| found.open.offset() > 0).map_or(0, |last| last + 1);
        let (mut earlier, mut current) = (Vec::new(), None);
        for (number, Found { open, at }) in found.into_iter().enumerate() {
            let Some(Sibling { age, .. }) = self.siblings.get(at) else {
                current = Some(open);
                continue;
            };
            // The inode of a file that was empty may be that of a newer one.
            if number < begun && (open.offset() > 0 || !newest.is_some_and(|newest| age.is_newer(&newest.age, None))) {
                earlier.push(RotatedFile::new(open));
            } else {
                let place = unread.iter().position(|(other, _)| other.order(age).is_gt()).unwrap_or(unread.len());
                unread.insert(place, (age, open));
            }
        }
        for (_, open) in unread {
            earlier.push(RotatedFile::new(open));
        }
        (earlier, current)
    }
}

/// Which file is the newest of those that were begun.
fn last_begun(found: &[Found]) -> Option<usize> {
    found.iter().filter(|found| found.open.offset() > 0).map(|found| found.at).max()
}

impl Sibling {
    /// Opens it, if it still has that name.
    pub(super) fn open(&self, offset: u64) -> Option<Box<Open>> {
        Open::new(&self.path, offset).ok().filter(|open| open.file_id == self.file_id)
    }

    /// Whether it is a copy of the log's present file, which may be in the making still. What is empty may have a late writer.
    fn is_copy_of(&self, present: &Open) -> bool {
        self.open(0).is_some_and(|open| open.size() > 0 && present.is_copied_by(&open))
    }

    /// Whether it holds all that was read of that file: as that file itself, or as a copy that holds no more.
    pub(super) fn holds(&self, position: &FilePosition, of: FileId) -> bool {
        let open = Open::resume(&self.path, position);
        open.is_some_and(|open| open.file_id == of || (position.offset > 0 && open.unread() == 0))
    }
}

impl Age {
    /// Whether this file was rotated after the other. Where the times and the names of the two disagree (there are late writers, and there
    /// are rotations that count upwards), a file that was written to since then is newer.
    pub(super) fn is_newer(&self, other: &Self, since: Option<Time>) -> bool {
        match (self.modified.cmp(&other.modified), self.order_by_name(other)) {
            (Ordering::Greater, None | Some(Ordering::Greater)) | (Ordering::Equal, Some(Ordering::Greater)) => true,
            (Ordering::Less, None) | (Ordering::Less | Ordering::Equal, Some(Ordering::Less | Ordering::Equal)) => false,
            _ => self.is_since(since),
        }
    }

    fn is_since(&self, since: Option<Time>) -> bool {
        since.is_some_and(|since| self.modified >= since)
    }

    /// The order in which files were rotated.
    fn order(&self, other: &Self) -> Ordering {
        let by_name = || self.order_by_name(other).unwrap_or_else(|| self.kind().cmp(&other.kind()));
        self.modified.cmp(&other.modified).then_with(by_name)
    }

    /// Which was rotated later, by their names; `None` if these do not tell.
    fn order_by_name(&self, other: &Self) -> Option<Ordering> {
        match (&self.stamp, &other.stamp) {
            (Some(Stamp::Number(one)), Some(Stamp::Number(other))) => Some(one.cmp(other)),
            (Some(Stamp::Date(one)), Some(Stamp::Date(other))) if one.len() == other.len() => Some(one.cmp(other)),
            _ => None,
        }
    }

    /// Tells those apart of which the names do not tell the order.
    fn kind(&self) -> Option<usize> {
        self.stamp.as_ref().map(|stamp| if let Stamp::Date(date) = stamp { date.len() } else { 0 })
    }

    fn number(&self) -> Option<i32> {
        match self.stamp {
            Some(Stamp::Number(number)) => Some(number),
            _ => None,
        }
    }
}

impl Stamp {
    /// Most digits of a number: a date has more.
    const MAX_NUMBER_DIGITS: usize = 5;

    pub(super) fn parse(suffix: &[u8]) -> Option<Self> {
        let (mut digits, mut number) = (0, 0);
        for byte in suffix {
            match byte {
                b'0'..=b'9' if digits < Self::MAX_NUMBER_DIGITS => {
                    digits += 1;
                    number = number * 10 + i32::from(byte - b'0');
                }
                b'0'..=b'9' | b'-' | b'_' | b'.' | b'T' => {}
                _ => return None,
            }
        }
        match digits {
            0 => None,
            _ if digits == suffix.len() => Some(Self::Number(-number)),
            _ => Some(Self::Date(suffix.to_vec())),
        }
    }
}

/// What a rotation has added to a log's name.
fn suffix<'a>(name: &'a [u8], log: &[u8]) -> Option<&'a [u8]> {
    match name.strip_prefix(log)? {
        [b'.' | b'-' | b'_', suffix @ ..] if !suffix.is_empty() => Some(suffix),
        _ => None,
    }
}

fn is_compressed(name: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 11] = [b".gz", b".bz2", b".xz", b".zst", b".lz4", b".lzma", b".lzo", b".Z", b".zip", b".7z", b".br"];
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}
