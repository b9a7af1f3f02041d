//! Which logs have changed, as far as the system tells: hints to look sooner than one would anyway.

use crate::now::Now;
use crate::sys::inotify::{Change, Inotify, Watch};
use crate::sys::poll::PollSet;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

pub(super) struct Watches {
    inotify: Inotify,
    /// The logs that a watch is for: any change of a file, or changes of one name in a folder.
    files: HashMap<Watch, Vec<usize>>,
    folders: HashMap<Watch, Vec<Interest>>,
    /// Changes are not asked for again before that time: many in a row cost one look.
    quiet_until: Duration,
}

/// A log to which files of a folder matter: that of one name, or any.
struct Interest {
    log: usize,
    name: Option<Vec<u8>>,
}

impl Watches {
    /// Least time between two looks because of changes.
    const QUIET: Duration = Duration::from_millis(10);

    /// Nothing is watched yet; `None` where the system does not tell of changes.
    pub(super) fn open() -> Option<Self> {
        let inotify = Inotify::open()?;
        Some(Self { inotify, files: HashMap::new(), folders: HashMap::new(), quiet_until: Duration::ZERO })
    }

    /// Watches the file of a log. Returns whether changes of it will be told.
    pub(super) fn watch_file(&mut self, log: usize, path: &str) -> bool {
        let Ok(watch) = self.inotify.watch_file(path) else { return false };
        let logs = self.files.entry(watch).or_default();
        if !logs.contains(&log) {
            logs.push(log);
        }
        true
    }

    /// Watches the folder in which a log's file is, or in which those are that its wildcard matches. Returns whether their coming and
    /// going will be told.
    pub(super) fn watch_folder(&mut self, log: usize, path: &str, is_wildcard: bool) -> bool {
        let path = Path::new(path);
        let folder = path.parent().and_then(Path::to_str).map(|folder| if folder.is_empty() { "." } else { folder });
        let Some(folder) = folder.filter(|folder| !is_wildcard || !folder.contains(['*', '?', '['])) else { return false };
        let Ok(watch) = self.inotify.watch_folder(folder) else { return false };
        let name = path.file_name().filter(|_| !is_wildcard).map(|name| name.as_encoded_bytes().to_vec());
        self.folders.entry(watch).or_default().push(Interest { log, name });
        true
    }

    /// Adds what tells of changes, unless it is to be quiet.
    pub(super) fn add_to(&self, now: Now, poll: &mut PollSet) {
        if now.mono >= self.quiet_until {
            poll.add(self.inotify.fd());
        }
    }

    /// When changes may be asked for again, while they may not.
    pub(super) fn next_deadline(&self, now: Now) -> Option<Duration> {
        (now.mono < self.quiet_until).then_some(self.quiet_until)
    }

    /// Tells which logs have changed since the last call; `None` stands for all.
    pub(super) fn take(&mut self, now: Now, mut changed: impl FnMut(Option<usize>)) {
        if now.mono < self.quiet_until {
            return;
        }
        let Self { inotify, files, folders, quiet_until } = self;
        inotify.take(|change| {
            *quiet_until = now.mono + Self::QUIET;
            match change {
                Change::Touched { watch, name } => {
                    files.get(&watch).into_iter().flatten().for_each(|log| changed(Some(*log)));
                    let interests = folders.get(&watch).into_iter().flatten();
                    let concerned = interests.filter(|interest| interest.name.as_ref().is_none_or(|wanted| wanted == name));
                    concerned.for_each(|interest| changed(Some(interest.log)));
                }
                Change::Ended(watch) => {
                    let logs = files.remove(&watch).unwrap_or_default();
                    logs.into_iter().for_each(|log| changed(Some(log)));
                    let interests = folders.remove(&watch).unwrap_or_default();
                    interests.into_iter().for_each(|interest| changed(Some(interest.log)));
                }
                Change::Lost => changed(None),
            }
        });
    }
}
