//! Which logs have changed, as far as the system tells: hints to look sooner than one would anyway.

use crate::now::Now;
use crate::sys::inotify::{Change, Inotify, Watch};
use crate::sys::poll::PollSet;
use std::path::Path;
use std::time::Duration;

pub(super) struct Watches {
    inotify: Inotify,
    /// The logs that a watch is for: any change of a file, or changes of one name in a folder.
    files: Table<usize>,
    folders: Table<Interest>,
    /// Changes are not asked for again before that time: many in a row cost one look.
    quiet_until: Duration,
}

/// What each watch is for. There are few of them: as many as there are logs.
type Table<T> = Vec<(Watch, Vec<T>)>;

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
        Some(Self { inotify, files: Table::new(), folders: Table::new(), quiet_until: Duration::ZERO })
    }

    /// Watches the file of a log. Returns whether changes of it will be told.
    pub(super) fn watch_file(&mut self, log: usize, path: &str) -> bool {
        let Ok(watch) = self.inotify.watch_file(path) else { return false };
        let logs = entry(&mut self.files, watch);
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
        entry(&mut self.folders, watch).push(Interest { log, name });
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
                    of(files, watch).iter().for_each(|log| changed(Some(*log)));
                    let interests = of(folders, watch).iter();
                    let concerned = interests.filter(|interest| interest.name.as_ref().is_none_or(|wanted| wanted == name));
                    concerned.for_each(|interest| changed(Some(interest.log)));
                }
                Change::Ended(watch) => {
                    let logs = take(files, watch);
                    logs.into_iter().for_each(|log| changed(Some(log)));
                    let interests = take(folders, watch);
                    interests.into_iter().for_each(|interest| changed(Some(interest.log)));
                }
                Change::Lost => changed(None),
            }
        });
    }
}

fn entry<T>(table: &mut Table<T>, watch: Watch) -> &mut Vec<T> {
    let at = table.iter().position(|(known, _)| *known == watch).unwrap_or_else(|| {
        table.push((watch, Vec::new()));
        table.len() - 1
    });
    &mut table[at].1
}

fn of<T>(table: &Table<T>, watch: Watch) -> &[T] {
    table.iter().find(|(known, _)| *known == watch).map_or(&[], |(_, all)| all)
}

fn take<T>(table: &mut Table<T>, watch: Watch) -> Vec<T> {
    let at = table.iter().position(|(known, _)| *known == watch);
    at.map(|at| table.swap_remove(at).1).unwrap_or_default()
}
