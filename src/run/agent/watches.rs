//! Which logs have changed, as far as the system tells. Only hints to look sooner: nothing depends on them.

use crate::agent::LogId;
use crate::fs::{dir, glob, Access};
use crate::now::Now;
use crate::sys::inotify::{Change, Inotify, Watch};
use crate::sys::poll::PollSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

pub(super) struct Watches {
    access: Access,
    inotify: Inotify,
    interests: Vec<Interest>,
    /// Changes are not taken before that time: many in a row cost one look.
    quiet_until: Duration,
}

/// A watch, and the log that it is for: of a file, or in a folder of one name or all names.
struct Interest {
    watch: Watch,
    log: LogId,
    name: Option<Box<[u8]>>,
}

impl Watches {
    /// Least time between two looks because of changes.
    const QUIET: Duration = Duration::from_millis(10);

    /// Watches nothing yet. `None` where the system does not tell of changes.
    pub(super) fn open(access: &Access) -> Option<Self> {
        Some(Self { access: access.clone(), inotify: Inotify::open()?, interests: Vec::new(), quiet_until: Duration::ZERO })
    }

    /// Watches a file of a log. Returns whether the system tells of its changes.
    pub(super) fn watch_file(&mut self, log: LogId, path: &str) -> bool {
        let Ok(real) = self.access.resolve(path.as_ref()) else { return false };
        let Ok(watch) = self.inotify.watch_file(real.as_os_str().as_bytes()) else { return false };
        if !self.interests.iter().any(|known| known.watch == watch && known.log == log) {
            self.interests.push(Interest { watch, log, name: None });
        }
        true
    }

    /// Watches the folder of a log's file, or of the files that its wildcard matches. Returns whether the system tells when they come
    /// and go.
    pub(super) fn watch_folder(&mut self, log: LogId, path: &str, is_wildcard: bool) -> bool {
        let (folder, name) = dir::split(path.as_bytes());
        if is_wildcard && glob::is_pattern(folder) {
            return false;
        }
        let Ok(real) = self.access.resolve(Path::new(OsStr::from_bytes(folder))) else { return false };
        let Ok(watch) = self.inotify.watch_folder(real.as_os_str().as_bytes()) else { return false };
        let name = (!is_wildcard).then(|| name.into());
        self.interests.push(Interest { watch, log, name });
        true
    }

    /// Adds the descriptor that tells of changes, unless they are not taken yet.
    pub(super) fn add_to(&self, now: Now, poll: &mut PollSet) {
        if now.mono >= self.quiet_until {
            poll.add(self.inotify.fd());
        }
    }

    /// When changes are taken again, if they are not taken now.
    pub(super) fn next_deadline(&self, now: Now) -> Option<Duration> {
        (now.mono < self.quiet_until).then_some(self.quiet_until)
    }

    /// Calls `changed` for each log that has changed since the last call; `None` stands for all.
    pub(super) fn take(&mut self, now: Now, changed: &mut dyn FnMut(Option<LogId>)) {
        if now.mono < self.quiet_until {
            return;
        }
        let Self { inotify, interests, quiet_until, .. } = self;
        inotify.take(|change| {
            *quiet_until = now.mono + Self::QUIET;
            let (of, named, ended) = match change {
                Change::Touched { watch, name } => (watch, name, false),
                Change::Ended(watch) => (watch, &b""[..], true),
                Change::Lost => return changed(None),
            };
            interests.retain(|Interest { watch, log, name }| {
                if *watch == of && (ended || name.as_ref().is_none_or(|name| **name == *named)) {
                    changed(Some(*log));
                }
                *watch != of || !ended
            });
        });
    }
}
