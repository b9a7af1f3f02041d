//! A folder of configuration files: which of them appeared, changed or vanished. A file that is still being written is waited for.

use crate::directives::is_plain_file_name;
use crate::now::Now;
use crate::server::Content;
use crate::sys::reason;
use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) struct Folder {
    path: PathBuf,
    files: HashMap<String, Known>,
    scanned: bool,
}

/// A file's state as last handed on, and a newer one that has to be still for a while.
struct Known {
    given: Option<Signature>,
    newer: Option<(Option<Signature>, Duration)>,
    seen: bool,
}

/// Inode, size, and seconds and nanoseconds of the last change. A link's are those of the file it leads to.
type Signature = (u64, u64, i64, i64);

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Content { name: String, path: String, content: Content },
    Vanished { name: String },
}

/// How patient a scan is with files that change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// A change counts when nothing has moved for a second.
    UntilStill,
    /// Everything counts as it is.
    None,
}

#[allow(clippy::disallowed_methods, reason = "where configuration is read")]
impl Folder {
    const STILL: Duration = Duration::from_secs(1);

    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), files: HashMap::new(), scanned: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the folder. The first look has no patience.
    ///
    /// # Errors
    /// The folder cannot be read; its files count as unchanged.
    pub(super) fn scan(&mut self, now: Now, patience: Patience) -> io::Result<Vec<Change>> {
        let patience = if self.scanned { patience } else { Patience::None };
        let mut due = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !is_plain_file_name(&name) {
                continue;
            }
            let Some(meta) = fs::metadata(entry.path()).ok().filter(Metadata::is_file) else { continue };
            let known = self.files.entry(name.clone()).or_insert(Known { given: None, newer: None, seen: true });
            known.seen = true;
            if known.is_due(now, Some(signature(&meta)), patience) {
                due.push(name);
            }
        }
        let mut changes: Vec<Change> = due.into_iter().map(|name| self.read(name)).collect();
        self.files.retain(|name, known| {
            let vanished = !std::mem::take(&mut known.seen) && known.is_due(now, None, patience);
            if vanished && known.given.is_some() {
                changes.push(Change::Vanished { name: name.clone() });
            }
            !vanished
        });
        self.scanned = true;
        Ok(changes)
    }

    fn read(&mut self, name: String) -> Change {
        let path = self.path.join(&name);
        let content = fs::read(&path).map_err(|e| reason(&e));
        if let Some(known) = self.files.get_mut(&name) {
            known.given = fs::metadata(&path).ok().map(|meta| signature(&meta)).or(Some((0, 0, 0, 0)));
            known.newer = None;
        }
        Change::Content { path: path.display().to_string(), name, content }
    }
}

impl Known {
    /// Whether that state is another than was handed on, and has lasted.
    fn is_due(&mut self, now: Now, state: Option<Signature>, patience: Patience) -> bool {
        if self.given == state && state.is_some() {
            self.newer = None;
            return false;
        }
        if patience == Patience::None {
            return true;
        }
        match self.newer {
            Some((newer, since)) if newer == state => now.mono - since >= Folder::STILL,
            _ => {
                self.newer = Some((state, now.mono));
                false
            }
        }
    }
}

fn signature(meta: &Metadata) -> Signature {
    (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec())
}
