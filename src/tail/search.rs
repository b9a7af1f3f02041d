//! Finds the files that a log had before its present one: by content, wherever a rotation has put them in the log's folder. Compressed
//! files are never looked into.

use super::open::{identity, modified, Identity, Open, Time};
use super::Follower;
use crate::position::{FilePosition, Position};
use std::cmp::Ordering;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

/// A file that may have had the log's name.
#[derive(Debug)]
pub(super) struct Sibling {
    path: PathBuf,
    pub(super) identity: Identity,
    age: Age,
}

/// When a file was rotated, as far as its last change and its name tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Age {
    pub(super) modified: Time,
    pub(super) stamp: Option<Stamp>,
}

/// What a rotation adds to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Greater is newer. Mostly all files are numbered anew in a rotation, and 1 is the newest: that is -1 here.
    Number(i32),
    /// Digits that grow with time.
    Date(Vec<u8>),
}

/// The files around a log.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    siblings: Vec<Sibling>,
    has_compressed: bool,
}

/// Where reading goes on.
pub(super) struct Restored {
    /// Files that had the log's name, oldest first.
    pub(super) earlier: Vec<Open>,
    pub(super) current: Option<Open>,
    /// What could not be found again.
    pub(super) lost: Option<String>,
}

/// A file of a position that was found again; without an age at the log's path.
struct Found {
    open: Open,
    age: Option<Age>,
}

/// Finds the files of a position, and those that came after them. `None` while that cannot be told, since the log cannot be read or has
/// no file.
pub(super) fn restore(path: &str, position: &Position, seen: u64) -> Option<Restored> {
    for _ in 0..3 {
        let present = match Open::new(Path::new(path), 0) {
            Ok(open) => Some(open),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(_) => return None,
        };
        let present_identity = present.as_ref().map(|open| open.identity);
        let restored = restore_beside(path, present, position, seen);
        let still = fs::metadata(path).ok().map(|meta| identity(&meta));
        // Unless the log was rotated at this moment.
        if still == present_identity {
            return restored;
        }
    }
    None
}

fn restore_beside(path: &str, present: Option<Open>, position: &Position, seen: u64) -> Option<Restored> {
    let files = &position.files;
    let around = Surroundings::of(path, &files.iter().map(|file| file.inode).collect::<Vec<_>>());
    let mut claimed = Vec::new();
    let mut found: Vec<Option<Found>> = Vec::new();
    // The last first: it has the best claim to the present file.
    for file in files.iter().rev() {
        let one = around.find_at(path, present.as_ref(), file, &claimed);
        claimed.extend(one.as_ref().map(|found| found.open.identity));
        found.insert(0, one);
    }
    // Where reading stopped must be there, or all files where none was begun. Those before may be gone: they had been read.
    let needed = files.iter().rposition(|file| file.offset > 0).map_or(&found[..], |begun| &found[begun..=begun]);
    if present.is_none() && (needed.is_empty() || needed.iter().any(Option::is_none)) {
        return None;
    }
    claimed.extend(present.as_ref().map(|open| open.identity));
    let mut lost = loss(path, files, &found, around.has_compressed);
    let since = before_second(seen);
    let begun = found.iter().flatten().filter(|found| found.open.offset() > 0).max_by(|one, other| one.order(other));
    let newest = begun.and_then(|begun| begun.age.clone());
    let was_begun = files.iter().any(|file| file.offset > 0);
    let mut newer = match begun.or(found.iter().flatten().next().filter(|_| !was_begun)) {
        Some(found) if found.age.is_none() => Vec::new(),
        _ => around.unread(newest.as_ref(), &found, since, &claimed),
    };
    let excess = newer.len().saturating_sub(Follower::MAX_UNREAD);
    if excess > 0 {
        newer.drain(..excess);
        lost = Some(format!("{path} was rotated more often than can be read again: {excess} files are given up"));
    }
    let mut unread: Vec<Found> = newer.into_iter().filter_map(Sibling::found).collect();
    let last_begun = found.iter().rposition(|found| found.as_ref().is_some_and(|found| found.open.offset() > 0));
    let mut earlier = Vec::new();
    let mut current = present;
    for (at, found) in found.into_iter().enumerate() {
        let Some(found) = found else { continue };
        // The inode of a file that was empty may be that of a newer one.
        let is_another = || found.age.as_ref().zip(newest.as_ref()).is_some_and(|(age, newest)| age.is_newer(newest, None));
        let was_before = last_begun.is_some_and(|begun| at <= begun) && (found.open.offset() > 0 || !is_another());
        match found {
            Found { open, age: None } => current = Some(open),
            Found { open, .. } if was_before => earlier.push(open),
            found => unread.push(found),
        }
    }
    unread.sort_by(Found::order);
    earlier.extend(unread.into_iter().map(|found| found.open));
    Some(Restored { earlier, current, lost })
}

impl Found {
    /// The order in which files were rotated; the present one is the last.
    fn order(&self, other: &Self) -> Ordering {
        match (&self.age, &other.age) {
            (Some(one), Some(other)) => one.order(other),
            (one, other) => one.is_none().cmp(&other.is_none()),
        }
    }
}

/// What is to be told of files that were not found. One before another that was begun had been read to its end.
fn loss(path: &str, files: &[FilePosition], found: &[Option<Found>], has_compressed: bool) -> Option<String> {
    let last_begun = files.iter().rposition(|file| file.offset > 0)?;
    if found[last_begun].is_some() {
        return None;
    }
    let left = if has_compressed { " (only compressed files are left)" } else { "" };
    Some(format!("what was read last of {path} is gone{left}: lines may be missing"))
}

/// The start of the second before, since the times of files lag behind the clock.
fn before_second(seen: u64) -> Option<Time> {
    i64::try_from(seen).ok()?.checked_sub(1).filter(|seen| *seen > 0).map(|seen| (seen, 0))
}

impl Surroundings {
    /// The files in the folder of the log, and of that to which it is a link, that rotations may have made of it: by their name, or by
    /// one of these inodes.
    pub(super) fn of(path: &str, inodes: &[u64]) -> Self {
        let mut around = Self::default();
        let path = Path::new(path);
        around.add(path, inodes);
        if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
            if let Ok(target) = fs::canonicalize(path) {
                around.add(&target, inodes);
            }
        }
        around.turn_if_counting_up();
        around
    }

    /// Some rotations give the newest file the highest number. The times tell, where there are enough.
    fn turn_if_counting_up(&mut self) {
        let numbered = self.siblings.iter_mut().filter_map(|one| match &mut one.age.stamp {
            Some(Stamp::Number(number)) => Some((number, one.age.modified)),
            _ => None,
        });
        let mut numbered: Vec<_> = numbered.collect();
        numbered.sort_by_key(|(number, _)| -**number);
        let steps = || numbered.windows(2).map(|two| two[1].1.cmp(&two[0].1));
        let (up, down) = (steps().filter(|step| step.is_gt()).count(), steps().filter(|step| step.is_lt()).count());
        if up >= 2 && up > 2 * down {
            numbered.into_iter().for_each(|(number, _)| *number = -*number);
        }
    }

    fn add(&mut self, path: &Path, inodes: &[u64]) {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let entry_name = entry.file_name();
            let suffix = suffix(entry_name.as_bytes(), name.as_bytes());
            if entry_name == name || !(suffix.is_some() || inodes.contains(&entry.ino())) {
                continue;
            }
            if is_compressed(entry_name.as_bytes()) {
                self.has_compressed |= suffix.is_some();
                continue;
            }
            let path = entry.path();
            // No links: they lead to files that have other names.
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            if meta.is_file() && !self.siblings.iter().any(|known| known.identity == identity(&meta)) {
                let age = Age { modified: modified(&meta), stamp: suffix.and_then(Stamp::parse) };
                self.siblings.push(Sibling { path, identity: identity(&meta), age });
            }
        }
    }

    /// The age of a file of which one has a name here.
    pub(super) fn age(&self, identity: Identity) -> Option<&Age> {
        self.siblings.iter().find(|one| one.identity == identity).map(|one| &one.age)
    }

    fn find_at(&self, path: &str, present: Option<&Open>, file: &FilePosition, claimed: &[Identity]) -> Option<Found> {
        let present = present.filter(|open| !claimed.contains(&open.identity)).map(|open| open.identity);
        let at_path = || {
            let open = Open::resume(Path::new(path), file).ok().flatten().filter(|open| Some(open.identity) == present)?;
            Some(Found { open, age: None })
        };
        let hinted = present.filter(|identity| identity.1 == file.inode).and_then(|_| at_path());
        let hinted = hinted.or_else(|| self.find(file, claimed, |one| one.identity.1 == file.inode));
        if hinted.is_some() || file.offset == 0 {
            return hinted;
        }
        present.and_then(|_| at_path()).or_else(|| self.find(file, claimed, |_| true))
    }

    fn find(&self, file: &FilePosition, claimed: &[Identity], eligible: impl Fn(&Sibling) -> bool) -> Option<Found> {
        let mut eligible: Vec<_> = self.siblings.iter().filter(|one| eligible(one) && !claimed.contains(&one.identity)).collect();
        eligible.sort_by(|a, b| b.age.order(&a.age));
        eligible.into_iter().find_map(|one| {
            let open = Open::resume(&one.path, file).ok().flatten().filter(|open| open.identity == one.identity)?;
            Some(Found { open, age: Some(one.age.clone()) })
        })
    }

    /// The file that looks as described, other than the one that is known by that hint; a copy, that is.
    pub(super) fn find_copy(&self, file: &FilePosition, original: Identity) -> Option<Open> {
        self.find(file, &[original], |_| true).map(|found| found.open).filter(|_| file.offset > 0)
    }

    /// The rotated files of which nothing was read: those that came after the last that was begun, whether they are in the position or not.
    fn unread(&self, begun: Option<&Age>, found: &[Option<Found>], since: Option<Time>, claimed: &[Identity]) -> Vec<&Sibling> {
        if begun.is_some() {
            return self.newer(begun, since, claimed);
        }
        // There are inodes only, which may be those of newer files now.
        let oldest = found.iter().flatten().filter(|found| found.age.is_some()).min_by(|one, other| one.order(other));
        let mut newer = oldest.map_or_else(Vec::new, |oldest| self.newer(oldest.age.as_ref(), since, claimed));
        let known: Vec<Identity> = newer.iter().map(|one| one.identity).chain(claimed.iter().copied()).collect();
        newer.extend(self.newer(None, since, &known));
        newer.sort_by(|one, other| one.age.order(&other.age));
        newer
    }

    /// The rotated files that came after another, or where there is none since that time; oldest first.
    pub(super) fn newer(&self, than: Option<&Age>, since: Option<Time>, claimed: &[Identity]) -> Vec<&Sibling> {
        let is_newer = |one: &&Sibling| match than {
            Some(than) => one.age.is_newer(than, since),
            None => since.is_some_and(|since| one.age.modified >= since),
        };
        let numbered = self.siblings.iter().filter(|one| one.age.stamp.is_some() && !claimed.contains(&one.identity));
        let mut newer: Vec<_> = numbered.filter(is_newer).collect();
        newer.sort_by(|a, b| a.age.order(&b.age));
        newer
    }
}

impl Sibling {
    /// Whether it was rotated after a file of that age.
    pub(super) fn is_newer(&self, than: &Age) -> bool {
        self.age.is_newer(than, None)
    }

    /// Opens it, if it still has that name.
    pub(super) fn open(&self, offset: u64) -> Option<Open> {
        Open::new(&self.path, offset).ok().filter(|open| open.identity == self.identity)
    }

    /// Whether it holds all that was read of that file: as that file itself, or as a copy that holds no more.
    pub(super) fn holds(&self, position: &FilePosition, of: Identity) -> bool {
        let open = Open::resume(&self.path, position).ok().flatten();
        open.is_some_and(|open| open.identity == of || (position.offset > 0 && open.unread() == 0))
    }

    fn found(&self) -> Option<Found> {
        Some(Found { open: self.open(0)?, age: Some(self.age.clone()) })
    }

    pub(super) fn metadata(&self) -> Option<Metadata> {
        fs::symlink_metadata(&self.path).ok().filter(|meta| identity(meta) == self.identity)
    }
}

impl Age {
    /// Whether this file was rotated after the other. Where the times and the names of the two disagree (there are late writers, and there
    /// are rotations that count upwards), a file that was written to since then is newer.
    pub(super) fn is_newer(&self, other: &Self, since: Option<Time>) -> bool {
        let by_name = self.stamp.as_ref().zip(other.stamp.as_ref()).and_then(|(one, other)| one.order(other));
        match (self.modified.cmp(&other.modified), by_name) {
            (Ordering::Greater, None | Some(Ordering::Greater)) | (Ordering::Equal, Some(Ordering::Greater)) => true,
            (Ordering::Less, None) | (Ordering::Less | Ordering::Equal, Some(Ordering::Less | Ordering::Equal)) => false,
            _ => since.is_some_and(|since| self.modified >= since),
        }
    }

    /// The order in which files were rotated.
    fn order(&self, other: &Self) -> Ordering {
        let by_name = || self.stamp.as_ref().zip(other.stamp.as_ref()).and_then(|(one, other)| one.order(other));
        self.modified.cmp(&other.modified).then_with(|| by_name().unwrap_or(Ordering::Equal))
    }
}

impl Stamp {
    /// Most digits of a number: a date has more.
    const MAX_NUMBER_DIGITS: usize = 5;

    pub(super) fn parse(suffix: &[u8]) -> Option<Self> {
        let well_formed = suffix.iter().all(|byte| byte.is_ascii_digit() || b"-_.T".contains(byte));
        if !well_formed || !suffix.iter().any(u8::is_ascii_digit) {
            return None;
        }
        if suffix.len() > Self::MAX_NUMBER_DIGITS || !suffix.iter().all(u8::is_ascii_digit) {
            return Some(Self::Date(suffix.to_vec()));
        }
        Some(Self::Number(-suffix.iter().fold(0, |number, digit| number * 10 + i32::from(digit - b'0'))))
    }

    /// Which was rotated later, by their names; `None` if these do not tell.
    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => Some(one.cmp(other)),
            (Self::Date(one), Self::Date(other)) if one.len() == other.len() => Some(one.cmp(other)),
            _ => None,
        }
    }
}

/// What a rotation has added to a log's name.
fn suffix<'a>(name: &'a [u8], log: &[u8]) -> Option<&'a [u8]> {
    let added = name.strip_prefix(log)?;
    let (separator, suffix) = added.split_first()?;
    (b".-_".contains(separator) && !suffix.is_empty()).then_some(suffix)
}

fn is_compressed(name: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 11] = [b".gz", b".bz2", b".xz", b".zst", b".lz4", b".lzma", b".lzo", b".Z", b".zip", b".7z", b".br"];
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}
