//! The files in a log's folder that rotations may have made of it, in the order of rotation. Compressed files are never opened.

use super::log_file::LogFile;
use super::rotation_key::{RotationKey, Suffix};
use super::stat::{file_id, mtime, FileId, Mtime};
use crate::fs::{dir, Access};
use crate::wire::position::FilePosition;
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A file that may have had the log's name.
#[derive(Debug)]
pub(super) struct Sibling {
    path: PathBuf,
    pub(super) file_id: FileId,
    pub(super) key: RotationKey,
}

/// All such files, the one that was rotated first first.
#[derive(Debug)]
pub(super) struct Siblings<'a> {
    access: &'a Access,
    files: Vec<Sibling>,
    has_compressed: bool,
}

/// A file that was found by its position, and its place among the siblings. The place behind the last one stands for the log's path.
pub(super) struct Match {
    pub(super) file: Box<LogFile>,
    pub(super) at: usize,
}

impl<'a> Siblings<'a> {
    /// How often the folder is listed again while a rotation is under way.
    pub(super) const ATTEMPTS: usize = 3;

    /// Lists the siblings of the log at `path`, and of the file that this path is a link to. A sibling has a name that rotations give,
    /// or an inode for which `had` is true.
    pub(super) fn list(access: &'a Access, path: &str, had: &dyn Fn(u64) -> bool) -> Self {
        let mut siblings = Self { access, files: Vec::new(), has_compressed: false };
        let path = Path::new(path);
        siblings.add_folder_of(path, had);
        if access.link_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
            if let Ok(target) = access.resolve(path) {
                siblings.add_folder_of(&target, had);
            }
        }
        siblings.negate_numbers_if_counting_up();
        siblings.sort(RotationKey::order);
        siblings
    }

    /// Lets `work` look at the siblings, and again if any name has changed meanwhile: a file that was renamed may have been missed.
    /// `None` if names change every time.
    pub(super) fn with_stable<T>(access: &'a Access, path: &str, had: &dyn Fn(u64) -> bool, work: &mut dyn FnMut(&Self) -> T) -> Option<T> {
        let mut siblings = Self::list(access, path, had);
        for _ in 0..Self::ATTEMPTS {
            let outcome = work(&siblings);
            let now = Self::list(access, path, had);
            if now.has_same_names(&siblings) {
                return Some(outcome);
            }
            siblings = now;
        }
        None
    }

    /// Whether the same files have the same names.
    pub(super) fn has_same_names(&self, other: &Self) -> bool {
        let mut pairs = self.files.iter().zip(&other.files);
        self.files.len() == other.files.len() && pairs.all(|(one, other)| one.file_id == other.file_id && one.path == other.path)
    }

    /// Whether any of the log's files is compressed.
    pub(super) fn has_compressed(&self) -> bool {
        self.has_compressed
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Sibling> {
        self.files.get(at)
    }

    /// When a file was rotated, if it has a name here.
    pub(super) fn key_of(&self, file_id: FileId) -> Option<&RotationKey> {
        self.files.iter().find(|one| one.file_id == file_id).map(|one| &one.key)
    }

    /// Opens a sibling to read it from its start, if it still has its name.
    pub(super) fn open(&self, sibling: &Sibling) -> Option<Box<LogFile>> {
        LogFile::open(self.access, &sibling.path, 0).ok().filter(|file| file.file_id() == sibling.file_id)
    }

    /// Whether a sibling is a copy of the log's current file, perhaps an unfinished one. An empty file is none, since it may have a late
    /// writer.
    pub(super) fn is_copy(&self, sibling: &Sibling, current: &LogFile) -> bool {
        self.open(sibling).is_some_and(|file| file.size() > 0 && current.is_copied_by(&file))
    }

    /// Whether a sibling is the file `of`, which was read up to that position, or a copy of it that holds nothing more.
    pub(super) fn was_read(&self, sibling: &Sibling, position: &FilePosition, of: FileId) -> bool {
        let file = LogFile::resume(self.access, &sibling.path, position);
        file.is_some_and(|file| file.file_id() == of || (position.offset > 0 && file.unread() == 0))
    }

    /// Finds the file of a position: first by its inode, then by its content, from the newest on, since it may be a copy. `current` is
    /// the file at the log's path; the files of `claimed` are left out.
    pub(super) fn find(&self, current: Option<(&Path, FileId)>, position: &FilePosition, claimed: &[FileId]) -> Option<Match> {
        let mut by_inode = true;
        loop {
            for at in (0..=self.files.len()).rev() {
                let sibling = self.files.get(at).map(|one| (&*one.path, one.file_id));
                let Some((path, file_id)) = sibling.or(current.filter(|_| at == self.files.len())) else { continue };
                if (by_inode && file_id.1 != position.inode) || claimed.contains(&file_id) {
                    continue;
                }
                if let Some(file) = LogFile::resume(self.access, path, position).filter(|file| file.file_id() == file_id) {
                    return Some(Match { file, at });
                }
            }
            if !by_inode || position.offset == 0 {
                return None;
            }
            by_inode = false;
        }
    }

    /// Finds a copy of the file `original`, which was read up to that position.
    pub(super) fn find_copy(&self, position: &FilePosition, original: FileId) -> Option<Box<LogFile>> {
        self.find(None, position, &[original]).map(|found| found.file).filter(|_| position.offset > 0)
    }

    /// The files that were rotated after another one, or since a time where no other is given.
    pub(super) fn newer(&self, than: Option<&RotationKey>, since: Option<Mtime>, claimed: &[FileId]) -> Vec<&Sibling> {
        self.rotated(claimed, &|one| than.map_or_else(|| one.key.is_since(since), |than| one.key.is_newer(than, since)))
    }

    /// The files with the suffix of a rotation that are wanted and not claimed.
    pub(super) fn rotated(&self, claimed: &[FileId], is_wanted: &dyn Fn(&Sibling) -> bool) -> Vec<&Sibling> {
        let mut rotated = Vec::new();
        for one in &self.files {
            if one.key.suffix.is_some() && !claimed.contains(&one.file_id) && is_wanted(one) {
                rotated.push(one);
            }
        }
        rotated
    }

    fn add_folder_of(&mut self, log: &Path, had: &dyn Fn(u64) -> bool) {
        let (access, (folder, name)) = (self.access, dir::split(log.as_os_str().as_bytes()));
        // A folder that cannot be read has no files.
        let _ = access.list(Path::new(OsStr::from_bytes(folder)), &mut |entry, inode| {
            let suffix = suffix_of(entry, name);
            if entry == name || !(suffix.is_some() || had(inode)) {
                return;
            }
            if is_compressed(entry) {
                self.has_compressed |= suffix.is_some();
                return;
            }
            let path = PathBuf::from(OsStr::from_bytes(&[folder, entry].concat()));
            // No links: they lead to files that have other names.
            let Ok(meta) = access.link_metadata(&path) else { return };
            let file_id = file_id(&meta);
            if meta.is_file() && self.key_of(file_id).is_none() {
                let key = RotationKey { mtime: mtime(&meta), suffix: suffix.and_then(Suffix::parse) };
                self.files.push(Sibling { path, file_id, key });
            }
        });
    }

    #[inline(never)]
    fn sort(&mut self, order: fn(&RotationKey, &RotationKey) -> Ordering) {
        self.files.sort_unstable_by(|one, other| order(&one.key, &other.key));
    }

    /// Some rotations give the newest file the highest number. The times tell, where there are enough.
    fn negate_numbers_if_counting_up(&mut self) {
        self.sort(|one, other| one.number().cmp(&other.number()));
        let (mut up, mut down) = (0, 0);
        for two in self.files.windows(2) {
            if let (Some(_), Some(_)) = (two[0].key.number(), two[1].key.number()) {
                // The second one has the lower number in its name.
                up += usize::from(two[0].key.mtime > two[1].key.mtime);
                down += usize::from(two[0].key.mtime < two[1].key.mtime);
            }
        }
        if up < 2 || up <= 2 * down {
            return;
        }
        for sibling in &mut self.files {
            if let Some(Suffix::Number(number)) = &mut sibling.key.suffix {
                *number = -*number;
            }
        }
    }
}

/// What a rotation has appended to a log's name, without its separator.
fn suffix_of<'a>(name: &'a [u8], log: &[u8]) -> Option<&'a [u8]> {
    match name.strip_prefix(log)? {
        [b'.' | b'-' | b'_', suffix @ ..] if !suffix.is_empty() => Some(suffix),
        _ => None,
    }
}

fn is_compressed(name: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 11] = [b".gz", b".bz2", b".xz", b".zst", b".lz4", b".lzma", b".lzo", b".Z", b".zip", b".7z", b".br"];
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}
