//! Which logs have changed, as far as the system tells: hints to look sooner than one would anyway.

use crate::fs::{dir, glob, Access};
use crate::now::Now;
use crate::sys::inotify::{Change, Inotify, Watch};
use crate::sys::poll::PollSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

pub(super) struct Watches {
    inotify: Inotify,
    interests: Vec<Interest>,
    /// Changes are not asked for again before that time: many in a row cost one look.
    quiet_until: Duration,
}

/// A log to which a file matters, or what a folder has: a file of one name, or any.
struct Interest {
    watch: Watch,
    log: usize,
    name: Option<Box<[u8]>>,
}

impl Watches {
    /// Least time between two looks because of changes.
    const QUIET: Duration = Duration::from_millis(10);

    /// Nothing is watched yet; `None` where the system does not tell of changes.
    pub(super) fn open() -> Option<Self> {
        Some(Self { inotify: Inotify::open()?, interests: Vec::new(), quiet_until: Duration::ZERO })
    }

    /// Watches the file of a log. Returns whether changes of it will be told.
    pub(super) fn watch_file(&mut self, access: &Access, log: usize, path: &str) -> bool {
        let Ok(path) = access.resolve(path.as_ref()) else { return false };
        let Ok(watch) = self.inotify.watch_file(path.as_os_str().as_bytes()) else { return false };
        if !self.interests.iter().any(|known| known.watch == watch && known.log == log) {
            self.interests.push(Interest { watch, log, name: None });
        }
        true
    }

    /// Watches the folder in which a log's file is, or in which those are that its wildcard matches. Returns whether their coming and
    /// going will be told.
    pub(super) fn watch_folder(&mut self, access: &Access, log: usize, path: &str, is_wildcard: bool) -> bool {
        let (folder, name) = dir::split(path.as_bytes());
        if is_wildcard && glob::is_pattern(folder) {
            return false;
        }
        let Ok(folder) = access.resolve(Path::new(OsStr::from_bytes(folder))) else { return false };
        let Ok(watch) = self.inotify.watch_folder(folder.as_os_str().as_bytes()) else { return false };
        let name = (!is_wildcard).then(|| name.into());
        self.interests.push(Interest { watch, log, name });
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
    pub(super) fn take(&mut self, now: Now, changed: &mut dyn FnMut(Option<usize>)) {
        if now.mono < self.quiet_until {
            return;
        }
        let Self { inotify, interests, quiet_until } = self;
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
