//! The files in a log's folder that rotations may have made of it, in the order of rotation. Compressed files are never opened.

use super::log_file::LogFile;
use super::rotation_key::RotationKey;
use super::rotation_name::{self, Form, RotationName, Stamp};
use super::stat::{file_id, mtime, FileId, Mtime};
use crate::encoding::Encoding;
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

/// Where the files of a log may be, and how they are read.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The path of the log.
    pub(super) log: String,
    /// What the path led to when the current file was opened, if it is a link.
    pub(super) target: Option<PathBuf>,
    /// Where the current file is now, if the system tells.
    pub(super) current: Option<PathBuf>,
    /// Files that may be copies of the log's, whatever they are called.
    pub(super) copies: Vec<PathBuf>,
    pub(super) encoding: Encoding,
}

/// All such files, the one that was rotated first first.
#[derive(Debug)]
pub(super) struct Siblings<'a> {
    access: &'a Access,
    encoding: Encoding,
    files: Vec<Sibling>,
    /// Compressed files with names that rotations give.
    compressed: Vec<RotationKey>,
    /// Other files in a folder where a file was given a name that no known rotation gives, and when they were written to.
    others: Vec<(FileId, Mtime)>,
    /// Files that may be copies and have no such name.
    copies: Vec<FileId>,
}

/// A file that was found by its position, and its place among the siblings. The place behind the last one stands for the log's path.
pub(super) struct Match {
    pub(super) file: LogFile,
    pub(super) at: usize,
}

impl<'a> Siblings<'a> {
    /// How often the folder is listed again while a rotation is under way.
    pub(super) const ATTEMPTS: usize = 3;

    /// Lists the siblings of a log. A sibling has a name that rotations give, or an inode for which `had` is true.
    pub(super) fn list(access: &'a Access, places: &Places, had: &dyn Fn(u64) -> bool) -> Self {
        let (files, compressed, others, copies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut siblings = Self { access, encoding: places.encoding, files, compressed, others, copies };
        let log = Path::new(&places.log);
        siblings.add_folder_of(log, had);
        let target = access.link_metadata(log).ok().filter(std::fs::Metadata::is_symlink).and_then(|_| access.resolve(log).ok());
        if let Some(earlier) = places.target.as_ref().filter(|earlier| target.as_ref() != Some(earlier)) {
            siblings.add_earlier_target(earlier);
            siblings.add_folder_of(earlier, had);
        }
        if let Some(target) = &target {
            siblings.add_folder_of(target, had);
        }
        if let Some(folder) = places.current.as_deref().and_then(Path::parent) {
            let known = [Some(log), target.as_deref(), places.target.as_deref()];
            if known.iter().flatten().all(|known| known.parent() != Some(folder)) {
                siblings.add_folder_of(&folder.join(OsStr::from_bytes(dir::split(places.log.as_bytes()).1)), had);
            }
        }
        for copy in &places.copies {
            if siblings.add(copy.clone(), None) {
                siblings.copies.extend(siblings.files.last().map(|added| added.file_id));
            }
        }
        siblings.negate_numbers_if_counting_up();
        siblings.sort(RotationKey::order);
        siblings
    }

    /// Lets `work` look at the siblings, and again if any name has changed meanwhile: a file that was renamed may have been missed.
    /// `None` if names change every time.
    pub(super) fn with_stable<T>(
        access: &'a Access,
        places: &Places,
        had: &dyn Fn(u64) -> bool,
        work: &mut dyn FnMut(&Self) -> T,
    ) -> Option<T> {
        let mut siblings = Self::list(access, places, had);
        for _ in 0..Self::ATTEMPTS {
            let outcome = work(&siblings);
            let now = Self::list(access, places, had);
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
        !self.compressed.is_empty()
    }

    /// Whether files that were rotated after the file `of` may be among those that cannot be found or read. That file had the log's
    /// name, and no file that was not written to `since` then is meant.
    pub(super) fn may_miss(&self, of: Option<FileId>, since: Option<Mtime>, claimed: &[FileId]) -> bool {
        let is_known = |file_id: &FileId| claimed.contains(file_id) || self.copies.contains(file_id);
        let is_unknown = |file_id: FileId, mtime: Mtime| !is_known(&file_id) && since.is_some_and(|since| mtime >= since);
        let mut unnamed = self.files.iter().filter(|one| one.key.name.is_none());
        let has_unnamed = unnamed.any(|one| is_unknown(one.file_id, one.key.mtime));
        match of.and_then(|of| self.key_of(of)) {
            Some(key) if key.name.is_some() => self.compressed.iter().any(|one| one.is_newer(key, None)),
            Some(_) => has_unnamed || self.others.iter().any(|(file_id, mtime)| is_unknown(*file_id, *mtime)),
            None => has_unnamed && self.compressed.is_empty(),
        }
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
    pub(super) fn open(&self, sibling: &Sibling) -> Option<LogFile> {
        LogFile::open(self.access, &sibling.path, self.encoding, 0).ok().filter(|file| file.file_id() == sibling.file_id)
    }

    /// Whether a sibling is a copy of the log's current file, perhaps an unfinished one. An empty file is none, since it may have a late
    /// writer.
    pub(super) fn is_copy(&self, sibling: &Sibling, current: &LogFile) -> bool {
        self.open(sibling).is_some_and(|file| file.size() > 0 && current.is_copied_by(&file))
    }

    /// Whether a sibling is the file `of`, which was read up to that position, or a copy of it that holds nothing more.
    pub(super) fn was_read(&self, sibling: &Sibling, position: &FilePosition, of: FileId) -> bool {
        let file = LogFile::resume(self.access, &sibling.path, self.encoding, position);
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
                if let Some(file) = LogFile::resume(self.access, path, self.encoding, position).filter(|file| file.file_id() == file_id) {
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
    pub(super) fn find_copy(&self, position: &FilePosition, original: FileId) -> Option<LogFile> {
        self.find(None, position, &[original]).map(|found| found.file).filter(|_| position.offset > 0)
    }

    /// The files that were rotated after another one, or since a time where no other is given.
    pub(super) fn newer(&self, than: Option<&RotationKey>, since: Option<Mtime>, claimed: &[FileId]) -> Vec<&Sibling> {
        self.rotated(claimed, &|one| {
            than.map_or_else(|| one.key.is_rotated_for_sure() && one.key.is_since(since), |than| one.key.is_newer(than, since))
        })
    }

    /// The files with the name of a rotation that are wanted and not claimed.
    pub(super) fn rotated(&self, claimed: &[FileId], is_wanted: &dyn Fn(&Sibling) -> bool) -> Vec<&Sibling> {
        let mut rotated = Vec::new();
        for one in &self.files {
            if one.key.name.is_some() && !claimed.contains(&one.file_id) && is_wanted(one) {
                rotated.push(one);
            }
        }
        rotated
    }

    fn add_folder_of(&mut self, log: &Path, had: &dyn Fn(u64) -> bool) {
        let (access, (folder, name)) = (self.access, dir::split(log.as_os_str().as_bytes()));
        let path_of = |entry: &[u8]| PathBuf::from(OsStr::from_bytes(&[folder, entry].concat()));
        let folder_path = Path::new(OsStr::from_bytes(folder));
        // What another file of the log is called that has a name which no known rotation gives.
        let mut given: Option<Vec<u8>> = None;
        // A folder that cannot be read has no files.
        let _ = access.list(folder_path, &mut |entry, inode| {
            if entry == name {
                return;
            }
            if is_compressed(entry) {
                self.add_compressed(&path_of(entry), entry, name);
                return;
            }
            let rotation = RotationName::parse(entry, name);
            let is_given = rotation.is_none() && had(inode);
            if is_given || rotation.is_some() || rotation_name::appended(entry, name).is_some() {
                let rotation = rotation.or_else(|| (is_given && rotation_name::is_alike(entry, entry)).then(|| RotationName::alike(entry)));
                // A file of a wildcard that was rotated before has its next name by the same rotation.
                if self.add(path_of(entry), rotation) && is_given && !rotation_name::has_shape_of(entry, name) {
                    given = Some(entry.to_vec());
                }
            }
        });
        if let Some(given) = given {
            self.add_alike(folder, name, &given);
        }
    }

    /// Adds what a link led to, and the files with names like it.
    fn add_earlier_target(&mut self, target: &Path) {
        let (folder, name) = dir::split(target.as_os_str().as_bytes());
        if rotation_name::is_alike(name, name) {
            self.add(target.into(), Some(RotationName::alike(name)));
            self.add_alike(folder, name, name);
        } else {
            self.add(target.into(), Some(RotationName { form: Form::Target, stamp: Stamp::Unordered }));
        }
    }

    /// Adds the files with names like the one that a file of the log was given, and notes all others.
    fn add_alike(&mut self, folder: &[u8], log: &[u8], given: &[u8]) {
        let access = self.access;
        let _ = access.list(Path::new(OsStr::from_bytes(folder)), &mut |entry, _| {
            if entry == log || entry == given || is_compressed(entry) || RotationName::parse(entry, log).is_some() {
                return;
            }
            let path = PathBuf::from(OsStr::from_bytes(&[folder, entry].concat()));
            if rotation_name::is_alike(entry, given) {
                self.files.retain(|one| one.path != path);
                self.add(path, Some(RotationName::alike(entry)));
            } else if let Ok(meta) = access.link_metadata(&path) {
                self.others.extend(meta.is_file().then(|| (file_id(&meta), mtime(&meta))));
            }
        });
    }

    /// Adds a file, unless it is known. Returns whether it was added.
    fn add(&mut self, path: PathBuf, name: Option<RotationName>) -> bool {
        // No links: they lead to files that have other names.
        let Ok(meta) = self.access.link_metadata(&path) else { return false };
        let file_id = file_id(&meta);
        if !meta.is_file() || self.key_of(file_id).is_some() {
            return false;
        }
        self.files.push(Sibling { path, file_id, key: RotationKey { mtime: mtime(&meta), name } });
        true
    }

    fn add_compressed(&mut self, path: &Path, entry: &[u8], log: &[u8]) {
        let end = entry.iter().rposition(|byte| *byte == b'.').unwrap_or(entry.len());
        let name = RotationName::parse(&entry[..end], log);
        if name.is_none() && rotation_name::appended(entry, log).is_none() {
            return;
        }
        if let Ok(meta) = self.access.link_metadata(path) {
            self.compressed.push(RotationKey { mtime: mtime(&meta), name });
        }
    }

    #[inline(never)]
    fn sort(&mut self, order: fn(&RotationKey, &RotationKey) -> Ordering) {
        self.files.sort_unstable_by(|one, other| order(&one.key, &other.key));
    }

    /// Some rotations give the newest file the highest number. The times tell, where there are enough.
    fn negate_numbers_if_counting_up(&mut self) {
        type Order = fn(&RotationKey, &RotationKey) -> Ordering;
        let appended: Order = |one, other| one.number(Form::Appended).cmp(&other.number(Form::Appended));
        let inserted: Order = |one, other| one.number(Form::BeforeExtension).cmp(&other.number(Form::BeforeExtension));
        for (form, order) in [(Form::Appended, appended), (Form::BeforeExtension, inserted)] {
            self.sort(order);
            let (mut up, mut down) = (0, 0);
            for two in self.files.windows(2) {
                if two[0].key.number(form).is_some() {
                    // The second one has the lower number in its name.
                    up += usize::from(two[0].key.mtime > two[1].key.mtime);
                    down += usize::from(two[0].key.mtime < two[1].key.mtime);
                }
            }
            if up < 2 || up <= 2 * down {
                continue;
            }
            for sibling in &mut self.files {
                if let Some(RotationName { form: own, stamp: Stamp::Number(number) }) = &mut sibling.key.name {
                    if *own == form {
                        *number = -*number;
                    }
                }
            }
        }
    }
}

fn is_compressed(name: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 11] = [b".gz", b".bz2", b".xz", b".zst", b".lz4", b".lzma", b".lzo", b".Z", b".zip", b".7z", b".br"];
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}
