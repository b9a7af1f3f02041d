//! A folder of configuration files: which of them appeared, changed or vanished. A file that is still being written is waited for.

use crate::directives::{is_plain_file_name, MAX_FILE};
use crate::now::Now;
use crate::server::Content;
use crate::sys::reason;
use std::collections::{HashMap, VecDeque};
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) struct Folder {
    path: PathBuf,
    files: HashMap<Box<str>, Known>,
    scanned: bool,
    /// What has changed and was not handed on yet.
    due: VecDeque<Due>,
}

/// A file's state as last handed on, and a newer one that has to be still for a while.
struct Known {
    given: Option<SizeMtime>,
    newer: Option<Box<(Option<SizeMtime>, Duration)>>,
    seen: bool,
}

/// What is due for a file, and how patiently it was looked at.
enum Due {
    Read(Box<str>, Debounce),
    Vanished(Box<str>),
}

/// Inode, size, and seconds and nanoseconds of the last change of content or rights, which unlike the time of modification no
/// copying program sets back. A link's are those of the file it leads to.
type SizeMtime = (u64, u64, i64, i64);

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Content { name: String, path: String, content: Content },
    Vanished { name: String },
}

/// How patient a scan is with files that change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Debounce {
    /// A change counts when nothing has moved for a second.
    UntilStill,
    /// Everything counts as it is.
    None,
}

#[allow(clippy::disallowed_methods, reason = "where configuration is read")]
impl Folder {
    const STILL: Duration = Duration::from_secs(1);

    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), files: HashMap::new(), scanned: false, due: VecDeque::new() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the folder. The first look has no debounce.
    ///
    /// # Errors
    /// The folder cannot be read; its files count as unchanged.
    pub(super) fn scan(&mut self, now: Now, debounce: Debounce) -> io::Result<()> {
        let debounce = if self.scanned { debounce } else { Debounce::None };
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_plain_file_name(name)) else { continue };
            // Seen from the open folder, which spares the system a walk along the path.
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let meta = if is_link { fs::metadata(entry.path()) } else { entry.metadata() };
            let Some(meta) = meta.ok().filter(Metadata::is_file) else { continue };
            if !self.files.contains_key(name) {
                self.files.insert(name.into(), Known { given: None, newer: None, seen: true });
            }
            let Some(known) = self.files.get_mut(name) else { continue };
            known.seen = true;
            if known.is_due(now, Some(size_mtime(&meta)), debounce) {
                self.due.push_back(Due::Read(name.into(), debounce));
            }
        }
        self.files.retain(|name, known| {
            let vanished = !std::mem::take(&mut known.seen) && known.is_due(now, None, debounce);
            if vanished && known.given.is_some() {
                self.due.push_back(Due::Vanished(name.clone()));
            }
            !vanished
        });
        self.scanned = true;
        Ok(())
    }

    /// Whether changes that were found are still to be handed on.
    pub(super) fn has_changes(&self) -> bool {
        !self.due.is_empty()
    }

    /// The next of the changes that were found. The file is read only now.
    pub(super) fn next_change(&mut self, now: Now) -> Option<Change> {
        while let Some(due) = self.due.pop_front() {
            let change = match due {
                Due::Read(name, debounce) => self.read(now, name.into(), debounce),
                Due::Vanished(name) => Some(Change::Vanished { name: name.into() }),
            };
            if change.is_some() {
                return change;
            }
        }
        self.due.shrink_to_fit();
        None
    }

    /// Reads a file, unless it is gone by now, or changes meanwhile and there is time to wait.
    fn read(&mut self, now: Now, name: String, debounce: Debounce) -> Option<Change> {
        let path = self.path.join(&name);
        let state = || fs::metadata(&path).ok().map(|meta| size_mtime(&meta));
        let before = state()?;
        let content = read(&path).map_err(|e| reason(&e));
        let after = state();
        let known = self.files.get_mut(&*name)?;
        if after != Some(before) && debounce == Debounce::UntilStill {
            known.newer = Some(Box::new((after, now.mono)));
            return None;
        }
        // Not the state after it: what was read is no newer than this one.
        (known.given, known.newer) = (Some(before), None);
        Some(Change::Content { path: path.display().to_string(), name, content })
    }
}

/// The content of a file, of one that is too large a little more than a file may have.
#[allow(clippy::disallowed_methods, reason = "where configuration is read")]
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Known {
    /// Whether that state is another than was handed on, and has lasted.
    fn is_due(&mut self, now: Now, state: Option<SizeMtime>, debounce: Debounce) -> bool {
        if self.given == state && state.is_some() {
            self.newer = None;
            return false;
        }
        if debounce == Debounce::None {
            return true;
        }
        match self.newer.as_deref() {
            Some((newer, since)) if *newer == state => now.mono - *since >= Folder::STILL,
            _ => {
                self.newer = Some(Box::new((state, now.mono)));
                false
            }
        }
    }
}

fn size_mtime(meta: &Metadata) -> SizeMtime {
    (meta.ino(), meta.len(), meta.ctime(), meta.ctime_nsec())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the files under test")]
mod tests {
    use super::*;
    use crate::schedule::WeekMinute;

    fn at(millis: u64) -> Now {
        Now { mono: Duration::from_millis(millis), unix: 0, local: WeekMinute::new(0, 0, 0), second: 0 }
    }

    /// A folder of its own, removed at the end.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("folder-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.join(name), text).unwrap();
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// What a look at that time finds: `name=text`, or `name` alone where it vanished.
    fn look(folder: &mut Folder, millis: u64, debounce: Debounce) -> Vec<String> {
        folder.scan(at(millis), debounce).unwrap();
        let mut found: Vec<String> = std::iter::from_fn(|| folder.next_change(at(millis))).map(said).collect();
        found.sort();
        found
    }

    fn said(change: Change) -> String {
        match change {
            Change::Content { name, content, .. } => format!("{name}={}", String::from_utf8(content.unwrap()).unwrap()),
            Change::Vanished { name } => name,
        }
    }

    fn watch(place: &Place) -> Folder {
        Folder::new(&place.0)
    }

    use Debounce::UntilStill;

    #[test]
    fn the_first_look_finds_every_plain_file_as_it_is() {
        let place = Place::new("first");
        ["nas1", ".hidden", "nas1~", "#nas1#"].into_iter().for_each(|name| place.write(name, "x"));
        fs::create_dir(place.0.join("sub")).unwrap();
        std::os::unix::fs::symlink("nas1", place.0.join("nas2")).unwrap();
        std::os::unix::fs::symlink("nowhere", place.0.join("nas3")).unwrap();
        let mut folder = watch(&place);
        assert_eq!(look(&mut folder, 0, UntilStill), ["nas1=x", "nas2=x"]);
        assert_eq!(look(&mut folder, 5000, UntilStill), [""; 0]);
    }

    #[test]
    fn a_change_counts_when_nothing_has_moved_for_a_second() {
        let place = Place::new("still");
        let mut folder = watch(&place);
        look(&mut folder, 0, UntilStill);
        place.write("a", "1");
        assert_eq!(look(&mut folder, 1000, UntilStill), [""; 0]);
        place.write("a", "12");
        assert_eq!(look(&mut folder, 2000, UntilStill), [""; 0]);
        place.write("a", "123");
        for millis in [3000, 3999] {
            assert_eq!(look(&mut folder, millis, UntilStill), [""; 0], "{millis}");
        }
        assert_eq!(look(&mut folder, 4000, UntilStill), ["a=123"]);
        assert_eq!(look(&mut folder, 9000, UntilStill), [""; 0]);
    }

    #[test]
    fn without_patience_everything_counts_at_once_and_only_once() {
        let place = Place::new("at-once");
        let mut folder = watch(&place);
        look(&mut folder, 0, UntilStill);
        place.write("a", "1");
        assert_eq!(look(&mut folder, 1, Debounce::None), ["a=1"]);
        assert_eq!(look(&mut folder, 2, Debounce::None), [""; 0]);
        fs::remove_file(place.0.join("a")).unwrap();
        assert_eq!(look(&mut folder, 3, Debounce::None), ["a"]);
        assert_eq!(look(&mut folder, 4, Debounce::None), [""; 0]);
    }

    #[test]
    fn a_file_that_is_put_in_the_place_of_another_never_vanishes() {
        let place = Place::new("replaced");
        place.write("a", "old");
        let mut folder = watch(&place);
        look(&mut folder, 0, UntilStill);
        fs::remove_file(place.0.join("a")).unwrap();
        assert_eq!(look(&mut folder, 500, UntilStill), [""; 0]);
        place.write(".a.new", "new");
        fs::rename(place.0.join(".a.new"), place.0.join("a")).unwrap();
        assert_eq!(look(&mut folder, 1600, UntilStill), [""; 0]);
        assert_eq!(look(&mut folder, 2600, UntilStill), ["a=new"]);
        fs::remove_file(place.0.join("a")).unwrap();
        assert_eq!(look(&mut folder, 3600, UntilStill), [""; 0]);
        assert_eq!(look(&mut folder, 4600, UntilStill), ["a"]);
    }

    #[test]
    fn an_edit_that_keeps_the_size_and_the_time_of_modification_is_seen() {
        let place = Place::new("same-time");
        place.write("a", "old");
        let path = place.0.join("a");
        let mut folder = watch(&place);
        look(&mut folder, 0, UntilStill);
        let before = fs::metadata(&path).unwrap();
        // Until the clock of the file system has gone on.
        while fs::metadata(&path).unwrap().ctime_nsec() == before.ctime_nsec() {
            place.write("a", "new");
            fs::File::options().write(true).open(&path).unwrap().set_modified(before.modified().unwrap()).unwrap();
        }
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.len(), after.modified().unwrap()), (before.len(), before.modified().unwrap()));
        look(&mut folder, 1000, UntilStill);
        assert_eq!(look(&mut folder, 2000, UntilStill), ["a=new"]);
    }

    #[test]
    fn a_folder_that_goes_takes_no_file_with_it() {
        let place = Place::new("gone");
        place.write("a", "1");
        let mut folder = watch(&place);
        look(&mut folder, 0, UntilStill);
        let elsewhere = place.0.with_extension("elsewhere");
        fs::rename(&place.0, &elsewhere).unwrap();
        for millis in [1000, 5000] {
            assert_eq!(folder.scan(at(millis), UntilStill).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        fs::rename(&elsewhere, &place.0).unwrap();
        assert_eq!(look(&mut folder, 6000, UntilStill), [""; 0]);
        assert_eq!(look(&mut folder, 9000, UntilStill), [""; 0]);
    }
}
