//! The folders of host and include files: finds the files that appeared, changed or vanished. Waits for a file that is still being written.

use crate::directives::{is_plain_file_name, MAX_FILE};
use crate::now::Now;
use crate::run::failure::LastFailure;
use crate::run::log::Log;
use crate::server::{Content, Server};
use crate::sys::reason;
use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder of host files and the folder of includes.
pub(super) struct ConfigDirs {
    hosts: ConfigDir,
    includes: Option<ConfigDir>,
}

/// One folder. [`Self::scan`] finds changes, and [`Self::next_change`] returns them.
struct ConfigDir {
    path: PathBuf,
    files: HashMap<Box<str>, FileState>,
    is_scanned: bool,
    /// Changes that were found and not returned yet.
    found: VecDeque<Found>,
    failure: LastFailure,
}

/// What is known of one file. `None` in place of a version stands for a file that does not exist.
struct FileState {
    /// The version that was last returned as a change.
    returned: Option<FileVersion>,
    /// Another version, and when it was first seen. It counts as a change once it is stable.
    candidate: Option<Box<(Option<FileVersion>, Duration)>>,
    /// Whether the current scan has seen the file.
    is_seen: bool,
}

/// Distinguishes the versions of a file. The time is that of the last change of content or rights: no program sets it back, unlike the time
/// of modification. A link has the version of its target.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileVersion {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// A change that a scan has found.
enum Found {
    Changed(Box<str>, Debounce),
    Vanished(Box<str>),
}

/// A change of a file.
#[derive(Debug, PartialEq, Eq)]
enum FileChange {
    Content { name: String, path: String, content: Content },
    Vanished { name: String },
}

/// When a change counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Debounce {
    /// Once the file has been stable for a second.
    UntilStable,
    /// At once.
    None,
}

impl ConfigDirs {
    /// Most changed files that are read in one call of [`Self::apply_changes`].
    const MAX_CHANGES: usize = 64;

    pub(super) fn new(hosts: &str, includes: Option<&str>) -> Self {
        Self { hosts: ConfigDir::new(hosts), includes: includes.map(ConfigDir::new) }
    }

    /// Finds changes in both folders. If a folder cannot be read, its files count as unchanged.
    pub(super) fn scan(&mut self, now: Now, debounce: Debounce, log: &mut Log) {
        for folder in self.includes.iter_mut().chain([&mut self.hosts]) {
            let failure = folder.scan(now, debounce).err().map(|e| reason(&e));
            if let Some(failure) = folder.failure.update(failure) {
                log.write(now, &format!("cannot read folder {}: {failure}; what was read before stays", folder.path.display()));
            }
        }
    }

    /// Whether changes were found that the server does not have yet.
    pub(super) fn has_changes(&self) -> bool {
        self.hosts.has_changes() || self.includes.as_ref().is_some_and(ConfigDir::has_changes)
    }

    /// Gives some of the changes to the server: includes first, because hosts use them.
    pub(super) fn apply_changes(&mut self, now: Now, server: &mut Server) {
        for _ in 0..Self::MAX_CHANGES {
            match self.includes.as_mut().and_then(|includes| includes.next_change(now)) {
                Some(FileChange::Content { name, path, content }) => server.set_include(&name, &path, content),
                Some(FileChange::Vanished { name }) => server.remove_include(&name),
                None => match self.hosts.next_change(now) {
                    Some(FileChange::Content { name, path, content }) => server.set_host_file(now, &name, &path, content),
                    Some(FileChange::Vanished { name }) => server.remove_host_file(now, &name),
                    None => return,
                },
            }
        }
    }
}

impl ConfigDir {
    fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), files: HashMap::new(), is_scanned: false, found: VecDeque::new(), failure: LastFailure::default() }
    }

    /// Finds changes. The first scan does not debounce.
    ///
    /// # Errors
    /// The folder cannot be read. Its files count as unchanged.
    fn scan(&mut self, now: Now, debounce: Debounce) -> io::Result<()> {
        let debounce = if self.is_scanned { debounce } else { Debounce::None };
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_plain_file_name(name)) else { continue };
            // `DirEntry::metadata` is relative to the open folder, which is cheaper than resolving the path.
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let meta = if is_link { fs::metadata(entry.path()) } else { entry.metadata() };
            let Some(meta) = meta.ok().filter(Metadata::is_file) else { continue };
            if !self.files.contains_key(name) {
                self.files.insert(name.into(), FileState { returned: None, candidate: None, is_seen: true });
            }
            let Some(file) = self.files.get_mut(name) else { continue };
            file.is_seen = true;
            if file.update(now, Some(FileVersion::of(&meta)), debounce) {
                self.found.push_back(Found::Changed(name.into(), debounce));
            }
        }
        self.files.retain(|name, file| {
            let has_vanished = !std::mem::take(&mut file.is_seen) && file.update(now, None, debounce);
            if has_vanished && file.returned.is_some() {
                self.found.push_back(Found::Vanished(name.clone()));
            }
            !has_vanished
        });
        self.is_scanned = true;
        Ok(())
    }

    fn has_changes(&self) -> bool {
        !self.found.is_empty()
    }

    /// Removes and returns one change. Reads the file only now.
    fn next_change(&mut self, now: Now) -> Option<FileChange> {
        while let Some(found) = self.found.pop_front() {
            let change = match found {
                Found::Changed(name, debounce) => self.read(now, name.into(), debounce),
                Found::Vanished(name) => Some(FileChange::Vanished { name: name.into() }),
            };
            if change.is_some() {
                return change;
            }
        }
        self.found.shrink_to_fit();
        None
    }

    /// Reads a file. `None` if it is gone, or if it changes while it is read and the change is to be debounced.
    fn read(&mut self, now: Now, name: String, debounce: Debounce) -> Option<FileChange> {
        let path = self.path.join(&name);
        let version = || fs::metadata(&path).ok().map(|meta| FileVersion::of(&meta));
        let before = version()?;
        let content = read(&path).map_err(|e| reason(&e));
        let after = version();
        let file = self.files.get_mut(&*name)?;
        if after != Some(before) && debounce == Debounce::UntilStable {
            file.candidate = Some(Box::new((after, now.mono)));
            return None;
        }
        // Not `after`: the content may be that of the earlier version.
        (file.returned, file.candidate) = (Some(before), None);
        Some(FileChange::Content { path: path.display().to_string(), name, content })
    }
}

/// Reads a file, and of one that is too large a little more than a file may have.
#[allow(clippy::disallowed_methods, reason = "where configuration is read")]
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl FileState {
    /// How long a version must last if it is debounced.
    const STABLE_FOR: Duration = Duration::from_secs(1);

    /// Notes the version that a scan has found. Returns whether it counts as a change.
    fn update(&mut self, now: Now, version: Option<FileVersion>, debounce: Debounce) -> bool {
        if self.returned == version && version.is_some() {
            self.candidate = None;
            return false;
        }
        if debounce == Debounce::None {
            return true;
        }
        match self.candidate.as_deref() {
            Some((candidate, since)) if *candidate == version => now.mono - *since >= Self::STABLE_FOR,
            _ => {
                self.candidate = Some(Box::new((version, now.mono)));
                false
            }
        }
    }
}

impl FileVersion {
    fn of(meta: &Metadata) -> Self {
        Self { inode: meta.ino(), size: meta.len(), changed: (meta.ctime(), meta.ctime_nsec()) }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the files under test")]
mod tests {
    use super::*;
    use crate::fs::test_folder::TestFolder;
    use crate::schedule::WeekMinute;

    fn at(millis: u64) -> Now {
        Now { mono: Duration::from_millis(millis), unix: 0, local: WeekMinute::new(0, 0, 0), second: 0 }
    }

    /// The changes that a scan finds: `name=text`, or `name` alone if the file vanished.
    fn scan(folder: &mut ConfigDir, millis: u64, debounce: Debounce) -> Vec<String> {
        folder.scan(at(millis), debounce).unwrap();
        let mut found: Vec<String> = std::iter::from_fn(|| folder.next_change(at(millis))).map(display).collect();
        found.sort();
        found
    }

    fn display(change: FileChange) -> String {
        match change {
            FileChange::Content { name, content, .. } => format!("{name}={}", String::from_utf8(content.unwrap()).unwrap()),
            FileChange::Vanished { name } => name,
        }
    }

    fn watch(dir: &TestFolder) -> ConfigDir {
        ConfigDir::new(&**dir)
    }

    use Debounce::UntilStable;

    #[test]
    fn the_first_scan_finds_every_plain_file() {
        let dir = TestFolder::new();
        ["nas1", ".hidden", "nas1~", "#nas1#"].into_iter().for_each(|name| dir.write(name, "x"));
        fs::create_dir(dir.join("sub")).unwrap();
        std::os::unix::fs::symlink("nas1", dir.join("nas2")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.join("nas3")).unwrap();
        let mut folder = watch(&dir);
        assert_eq!(scan(&mut folder, 0, UntilStable), ["nas1=x", "nas2=x"]);
        assert_eq!(scan(&mut folder, 5000, UntilStable), [""; 0]);
    }

    #[test]
    fn a_change_counts_once_the_file_is_stable_for_a_second() {
        let dir = TestFolder::new();
        let mut folder = watch(&dir);
        scan(&mut folder, 0, UntilStable);
        dir.write("a", "1");
        assert_eq!(scan(&mut folder, 1000, UntilStable), [""; 0]);
        dir.write("a", "12");
        assert_eq!(scan(&mut folder, 2000, UntilStable), [""; 0]);
        dir.write("a", "123");
        for millis in [3000, 3999] {
            assert_eq!(scan(&mut folder, millis, UntilStable), [""; 0], "{millis}");
        }
        assert_eq!(scan(&mut folder, 4000, UntilStable), ["a=123"]);
        assert_eq!(scan(&mut folder, 9000, UntilStable), [""; 0]);
    }

    #[test]
    fn without_debounce_a_change_counts_at_once_and_only_once() {
        let dir = TestFolder::new();
        let mut folder = watch(&dir);
        scan(&mut folder, 0, UntilStable);
        dir.write("a", "1");
        assert_eq!(scan(&mut folder, 1, Debounce::None), ["a=1"]);
        assert_eq!(scan(&mut folder, 2, Debounce::None), [""; 0]);
        fs::remove_file(dir.join("a")).unwrap();
        assert_eq!(scan(&mut folder, 3, Debounce::None), ["a"]);
        assert_eq!(scan(&mut folder, 4, Debounce::None), [""; 0]);
    }

    #[test]
    fn a_file_that_replaces_another_never_vanishes() {
        let dir = TestFolder::new();
        dir.write("a", "old");
        let mut folder = watch(&dir);
        scan(&mut folder, 0, UntilStable);
        fs::remove_file(dir.join("a")).unwrap();
        assert_eq!(scan(&mut folder, 500, UntilStable), [""; 0]);
        dir.write(".a.new", "new");
        fs::rename(dir.join(".a.new"), dir.join("a")).unwrap();
        assert_eq!(scan(&mut folder, 1600, UntilStable), [""; 0]);
        assert_eq!(scan(&mut folder, 2600, UntilStable), ["a=new"]);
        fs::remove_file(dir.join("a")).unwrap();
        assert_eq!(scan(&mut folder, 3600, UntilStable), [""; 0]);
        assert_eq!(scan(&mut folder, 4600, UntilStable), ["a"]);
    }

    #[test]
    fn an_edit_that_keeps_size_and_time_of_modification_is_found() {
        let dir = TestFolder::new();
        dir.write("a", "old");
        let path = dir.join("a");
        let mut folder = watch(&dir);
        scan(&mut folder, 0, UntilStable);
        let before = fs::metadata(&path).unwrap();
        // Until the clock of the file system has advanced.
        while fs::metadata(&path).unwrap().ctime_nsec() == before.ctime_nsec() {
            dir.write("a", "new");
            fs::File::options().write(true).open(&path).unwrap().set_modified(before.modified().unwrap()).unwrap();
        }
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.len(), after.modified().unwrap()), (before.len(), before.modified().unwrap()));
        scan(&mut folder, 1000, UntilStable);
        assert_eq!(scan(&mut folder, 2000, UntilStable), ["a=new"]);
    }

    #[test]
    fn a_folder_that_vanishes_and_returns_changes_nothing() {
        let dir = TestFolder::new();
        dir.write("a", "1");
        let mut folder = watch(&dir);
        scan(&mut folder, 0, UntilStable);
        let elsewhere = dir.with_extension("elsewhere");
        fs::rename(&*dir, &elsewhere).unwrap();
        for millis in [1000, 5000] {
            assert_eq!(folder.scan(at(millis), UntilStable).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        fs::rename(&elsewhere, &*dir).unwrap();
        assert_eq!(scan(&mut folder, 6000, UntilStable), [""; 0]);
        assert_eq!(scan(&mut folder, 9000, UntilStable), [""; 0]);
    }
}
