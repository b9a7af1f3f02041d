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

    /// Watches a file of a log, and the folder of that file if the path is a link. Returns whether the system tells of their changes.
    pub(super) fn watch_file(&mut self, log: LogId, path: &str) -> bool {
        let Ok(real) = self.access.resolve(path.as_ref()) else { return false };
        let Ok(watch) = self.inotify.watch_file(real.as_os_str().as_bytes()) else { return false };
        self.add_interest(watch, log);
        let is_link = self.access.link_metadata(path.as_ref()).is_ok_and(|meta| meta.is_symlink());
        !is_link || self.watch_target_folder(log, &real)
    }

    /// Watches the folder in which the target of a link is rotated.
    fn watch_target_folder(&mut self, log: LogId, target: &Path) -> bool {
        let Some(folder) = target.parent() else { return false };
        let Ok(watch) = self.inotify.watch_folder(folder.as_os_str().as_bytes()) else { return false };
        self.add_interest(watch, log);
        true
    }

    /// All that a watch tells of concerns that log.
    fn add_interest(&mut self, watch: Watch, log: LogId) {
        if !self.interests.iter().any(|known| known.watch == watch && known.log == log && known.name.is_none()) {
            self.interests.push(Interest { watch, log, name: None });
        }
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

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::disallowed_methods, reason = "tests make files")]
mod tests {
    use super::*;
    use crate::fs::test_folder::TestFolder;
    use crate::schedule::WeekMinute;
    use std::fs;

    #[test]
    fn a_rotation_of_what_a_link_leads_to_is_noticed() {
        let folder = TestFolder::new();
        fs::create_dir_all(folder.join("target")).unwrap();
        fs::write(folder.join("target/log"), "").unwrap();
        let link = folder.join("link");
        std::os::unix::fs::symlink("target/log", &link).unwrap();
        let log = LogId::any();
        let now = Now { mono: Duration::from_secs(1), unix: 0, local: WeekMinute::new(0, 0, 0), second: 0 };
        let mut watches = Watches::open(&Access::unrestricted()).unwrap();
        assert!(watches.watch_file(log, link.to_str().unwrap()));
        fs::rename(folder.join("target/log"), folder.join("target/log.1")).unwrap();
        let mut changed = Vec::new();
        watches.take(now, &mut |log| changed.extend(log));
        assert!(changed.contains(&log));
    }
}
