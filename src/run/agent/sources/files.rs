//! The file of a log, or the files that its wildcard has found.

use super::copies::{Held, Unread, Verdict};
use crate::agent::{Agent, Lines, LogEvent, LogId, Place, Start};
use crate::encoding::Encoding;
use crate::fs::glob::{Expansion, FoundFile, OtherFiles, Search};
use crate::fs::{Access, AccessError};
use crate::now::{earlier, Now};
use crate::tail::{confirms, file_id, is_named_after, line_end, FileId, Follower, LogFile, Piece};
use crate::wire::position::{FilePosition, Position};
use std::path::PathBuf;
use std::time::Duration;

pub(super) struct Files {
    /// Which log of the configuration they belong to.
    source: LogId,
    access: Access,
    files: Vec<SourceFile>,
    /// The pattern of a wildcard.
    wildcard: Option<String>,
    /// The patterns of files that it does not mean.
    excludes: Vec<String>,
    encoding: Encoding,
    /// Which file is read first: the one whose turn it was when there was no room for more.
    first: usize,
    /// The search for files that is under way.
    search: Option<Box<Search>>,
    search_began: Duration,
    next_search: Duration,
    /// A search may be hurried to this time: a long one is followed by a long rest.
    earliest_search: Duration,
    /// Whether the wildcard was searched for before: what the first search finds was there already.
    was_searched: bool,
    /// Whether a search was given up: what others find may be old.
    was_given_up: bool,
    /// The files that match and found no place.
    others: OtherFiles,
}

/// A file that is read as soon as the agent has said from where on.
struct SourceFile {
    path: String,
    /// What the agent calls it, once it has ordered it to be read.
    id: Option<LogId>,
    follower: Option<Box<Follower>>,
    /// Where it ended when it was found: what is written before the agent says where to begin is new.
    from_end: Option<Box<Follower>>,
    /// Whether nothing was ever read at the path.
    is_new: bool,
    /// Set while it may be a copy of another one.
    held: Option<Held>,
    /// Whether it was there before it found a place: reading begins there whatever the agent knows.
    is_old: bool,
}

/// What came of the order to begin a file.
pub(super) enum Begun {
    /// It is read from there on. `lost` says what was not found again.
    Reading { position: Position, lost: Option<String> },
    /// As in [`LogEvent::Shortened`].
    Shortened(u64),
}

/// What came of a reading.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FilesRead {
    /// There is, or may be, more to read at once.
    pub(super) has_more: bool,
    /// How many bytes were handed over.
    pub(super) bytes: usize,
    /// The next lines wait until then for others that belong to them.
    pub(super) waits_until: Option<Duration>,
}

impl SourceFile {
    /// A file that was found just now. `old` is the size that it had when it was known already and found no place.
    fn new(access: &Access, path: String, old: Option<u64>) -> Self {
        let from_end = Some(Follower::from_offset(access, &path, old.unwrap_or(u64::MAX)).into());
        Self { path, id: None, follower: None, from_end, is_new: true, held: None, is_old: old.is_some() }
    }

    /// A file that is open already.
    fn open(path: String, follower: Box<Follower>) -> Self {
        Self { path, id: None, follower: Some(follower), from_end: None, is_new: false, held: None, is_old: false }
    }

    /// Whether it may be a copy of another one.
    fn may_be_copy(&self) -> bool {
        self.follower.as_ref().map_or(self.is_new, |follower| follower.unread().is_some())
    }

    /// Whether nothing is known to be left to read.
    fn is_read(&self) -> bool {
        self.follower.as_ref().is_some_and(|follower| follower.is_read())
    }

    /// Whether nothing is left to read of it and its path has no file any more: only a late writer may come.
    fn is_spent(&self) -> bool {
        self.is_read() && self.follower.as_ref().is_some_and(|follower| follower.is_missing())
    }

    fn is_gone(&self, access: &Access) -> bool {
        self.follower.as_ref().map_or_else(|| !is_file(access, &self.path), |follower| follower.is_gone())
    }

    /// Hands over what is new. Returns what came of it.
    fn read(&mut self, now: Now, agent: &mut Agent, buffer: &mut [u8]) -> FilesRead {
        let (Some(id), Some(follower)) = (self.id, &mut self.follower) else { return FilesRead::default() };
        let mut read = FilesRead::default();
        let mut is_blocked = false;
        let has_more = follower.read(now.mono, buffer, &mut |Piece { position, place, bytes, units }| {
            let consumed = agent.handle_log(now, id, LogEvent::Lines(Lines { position, place: Some(Place::File(place)), bytes, units }));
            read.bytes += consumed;
            read.waits_until = if consumed == 0 { agent.waits_until(id) } else { None };
            is_blocked |= consumed < bytes.len() && read.waits_until.is_none();
            consumed
        });
        read.has_more = has_more || is_blocked;
        agent.handle_log(now, id, LogEvent::Read(follower.position()));
        for loss in [follower.take_loss(), follower.take_cut_lines(now.mono), follower.take_doubt()].into_iter().flatten() {
            agent.handle_log(now, id, LogEvent::Loss(loss));
        }
        read
    }
}

impl Files {
    /// How often a wildcard is searched for.
    const SEARCH_INTERVAL: Duration = Duration::from_secs(2);
    /// How many times as long as a search took nothing is searched for after it.
    const REST: u32 = 8;
    /// Most files of one wildcard: each takes a descriptor.
    const MAX: usize = 256;
    /// Bytes of all files that are read before other logs have their turn.
    const TURN: usize = 1 << 20;

    /// The file at a path.
    pub(super) fn at_path(source: LogId, access: &Access, path: &str) -> Self {
        Self { files: vec![SourceFile::new(access, path.to_string(), None)], ..Self::of_wildcard(source, access, None) }
    }

    /// The files that a pattern matches, and none of `excludes`.
    pub(super) fn of_pattern(source: LogId, access: &Access, pattern: &str, excludes: &[String]) -> Self {
        Self { excludes: excludes.to_vec(), ..Self::of_wildcard(source, access, Some(pattern.to_string())) }
    }

    fn of_wildcard(source: LogId, access: &Access, wildcard: Option<String>) -> Self {
        Self {
            source,
            access: access.clone(),
            files: Vec::new(),
            wildcard,
            excludes: Vec::new(),
            encoding: Encoding::default(),
            first: 0,
            search: None,
            search_began: Duration::ZERO,
            next_search: Duration::ZERO,
            earliest_search: Duration::ZERO,
            was_searched: false,
            was_given_up: false,
            others: OtherFiles::default(),
        }
    }

    /// Reads all of them in that encoding from now on.
    pub(super) fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
        self.files.iter_mut().filter_map(|file| file.follower.as_mut()).for_each(|follower| follower.set_encoding(encoding));
    }

    pub(super) fn is_wildcard(&self) -> bool {
        self.wildcard.is_some()
    }

    /// The wildcard is searched for as soon as it may be.
    pub(super) fn hurry_search(&mut self) {
        self.next_search = self.next_search.min(self.earliest_search);
    }

    /// Whether a search is under way: [`Self::search`] is to be called again.
    pub(super) fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// The files that are open.
    pub(super) fn followers(&self) -> impl Iterator<Item = &Follower> {
        self.files.iter().filter_map(|file| file.follower.as_deref())
    }

    /// Where every open file ends now.
    pub(super) fn ends(&mut self) -> impl Iterator<Item = (LogId, u64)> + '_ {
        self.files.iter_mut().filter_map(|file| Some((file.id?, file.follower.as_mut()?.end())))
    }

    /// Begins a file where the agent says. `None` if there is nothing to be said about it.
    pub(super) fn begin(&mut self, now: Now, id: LogId, path: &str, start: &Start) -> Option<Begun> {
        let is_open = *start == Start::Continue;
        let at = self.files.iter().position(|file| file.path == path && file.follower.is_some() == is_open)?;
        if is_open {
            self.files[at].id.get_or_insert(id);
            return None;
        }
        let (mut follower, lost) = match self.begun(at, path, start) {
            Ok(begun) => begun,
            Err(most) => return Some(Begun::Shortened(most)),
        };
        follower.set_encoding(self.encoding);
        if self.is_wildcard() && matches!(start, Start::At(..) | Start::Among(..)) {
            // If two of them have found one file, only one reads it, from the further place. The next look reports what is wrong.
            let _ = follower.look(now.mono, &mut |wanted| self.release(wanted));
        }
        if matches!(start, Start::End | Start::Beginning) {
            // Files change their names more seldom than once a second.
            follower.number_from(u32::try_from(now.unix).unwrap_or(0));
        }
        let mut position = follower.position();
        // A file that cannot be read yet, whatever it holds, is not one that does not exist.
        if position.files.is_empty() && *start == Start::End && is_file(&self.access, path) {
            position = Position::end();
        }
        let file = &mut self.files[at];
        (file.id, file.follower, file.from_end, file.is_old) = (Some(id), Some(follower), None, false);
        Some(Begun::Reading { position, lost })
    }

    /// A follower that begins where the agent says, and what was not found again.
    ///
    /// # Errors
    /// The log was read further than its file confirms. A place up to that offset may be confirmed.
    fn begun(&mut self, at: usize, path: &str, start: &Start) -> Result<(Box<Follower>, Option<String>), u64> {
        match start {
            Start::At(position, seen) => {
                let resumed = self.resumed(path, position, *seen);
                match self.shortened(path, position).filter(|_| resumed.1.is_some()) {
                    Some(most) => Err(most),
                    None => Ok(resumed),
                }
            }
            Start::Among(places, position, seen) => match places.iter().position(|place| confirms(&self.access, path, place)) {
                Some(0) => Ok(self.resumed_at(path, places[0], position, *seen)),
                Some(1) if places[0].is_within_batch() => match line_end(&self.access, path, self.encoding, &places[0]) {
                    Some(place) => Ok(self.resumed_at(path, place, position, *seen)),
                    None => Err(places[0].offset - 1),
                },
                Some(first) => Err(places[first - 1].offset.saturating_sub(1)),
                None => match places.last() {
                    Some(last) => Err(last.offset.saturating_sub(1)),
                    None => Ok(self.resumed(path, position, *seen)),
                },
            },
            // A wildcard may have found it under another name too.
            _ => Ok((self.begun_anew(at, path, start), None)),
        }
    }

    fn begun_anew(&mut self, at: usize, path: &str, start: &Start) -> Box<Follower> {
        if let Some(open) = self.release_at(path) {
            return Follower::from_released(&self.access, path, open).into();
        }
        if *start != Start::End && !self.files[at].is_old {
            return Follower::from_start(&self.access, path).into();
        }
        self.files[at].from_end.take().unwrap_or_else(|| Follower::from_end(&self.access, path).into())
    }

    /// A follower that begins where reading stopped, and what was not found again.
    fn resumed(&self, path: &str, position: &Position, seen: u64) -> (Box<Follower>, Option<String>) {
        let (follower, lost) = Follower::resume(&self.access, path, position, seen);
        // A copy may have any name.
        let copies = if lost.is_some() && self.is_wildcard() { self.copies() } else { Vec::new() };
        if copies.is_empty() {
            return (follower.into(), lost);
        }
        let (follower, lost) = Follower::resume_among(&self.access, path, position, seen, copies);
        (follower.into(), lost)
    }

    /// The same for a file that has lost its end, and confirms that place.
    fn resumed_at(&self, path: &str, place: FilePosition, position: &Position, seen: u64) -> (Box<Follower>, Option<String>) {
        let mut position = position.clone();
        let mut gone = 0;
        let last_serial = position.files.iter().map(|file| file.serial).max().unwrap_or(0);
        if let Some(stopped) = position.files.iter_mut().rfind(|file| file.offset > 0) {
            gone = stopped.offset.saturating_sub(place.offset);
            // Other lines stand now where the lost ones stood.
            *stopped = FilePosition { serial: last_serial + 1, ..place };
        }
        let (follower, lost) = self.resumed(path, &position, seen);
        (follower, lost.or(Some(format!("{path}: {gone} bytes that were read are gone from the file"))))
    }

    /// Where a place may be confirmed at most, if the file at a path has lost what was read last. A wildcard finds the file that was read
    /// last by itself if it has another name now: for it, the file must be the same.
    fn shortened(&self, path: &str, position: &Position) -> Option<u64> {
        let stopped = position.files.iter().rfind(|file| file.offset > 0)?;
        let meta = self.access.metadata(path.as_ref()).ok().filter(|meta| meta.is_file() && meta.len() > 0)?;
        let is_same = !self.is_wildcard() || file_id(&meta).1 == stopped.inode;
        is_same.then(|| meta.len().min(stopped.offset))
    }

    /// Notices new files and rotations.
    pub(super) fn look(&mut self, now: Now, agent: &mut Agent) {
        self.search(now, agent);
        let copies = if self.is_wildcard() { self.copies() } else { Vec::new() };
        for at in 0..self.files.len() {
            let Some(mut follower) = self.files[at].follower.take() else { continue };
            follower.consider(copies.clone());
            let state = follower.look(now.mono, &mut |wanted| self.release(wanted));
            // That a file is gone is no failure of a wildcard, which does not find it any more.
            let state = if self.is_wildcard() && follower.is_missing() { Ok(()) } else { state.map_err(|e| e.to_string()) };
            let file = &mut self.files[at];
            file.follower = Some(follower);
            if let Some(id) = file.id {
                agent.handle_log(now, id, LogEvent::State(state));
            }
        }
    }

    /// Hands over what is new, as far as the agent has room. The files take turns. Returns what came of it.
    pub(super) fn read(&mut self, now: Now, agent: &mut Agent, buffer: &mut [u8]) -> FilesRead {
        let (first, mut all) = (self.first, FilesRead::default());
        for turn in 0..self.files.len() {
            let at = (first + turn) % self.files.len();
            if !agent.has_room() || all.bytes >= Self::TURN {
                (self.first, all.has_more) = (at, true);
                break;
            }
            if !self.may_read(now, at) {
                continue;
            }
            let FilesRead { has_more, bytes, waits_until } = self.files[at].read(now, agent, buffer);
            all.waits_until = earlier(all.waits_until, waits_until);
            all.has_more |= has_more;
            all.bytes += bytes;
        }
        all
    }

    /// Whether a file is to be read now. It is not while it may be a copy of another one, and not from its start if it is one.
    fn may_read(&mut self, now: Now, at: usize) -> bool {
        if !self.is_wildcard() {
            return true;
        }
        let file = &mut self.files[at];
        let (is_new, held) = (file.is_new, file.held.take());
        let Some(mut follower) = file.follower.take() else { return false };
        let path = std::mem::take(&mut file.path);
        let verdict = match follower.unread() {
            Some(file) => {
                let is_named = self.files.iter().any(|other| is_named_after(&path, &other.path));
                let others = self.files.iter_mut().map(|other| (&*other.path, other.follower.as_deref_mut()));
                Unread { path: &path, file, is_new, is_named, held }.judge(now.mono, others)
            }
            None => Verdict::Read,
        };
        match verdict {
            Verdict::SkipTo(offset) => follower.skip_to(offset),
            Verdict::TakeOver => {
                if let Some(open) = follower.file_id().and_then(|wanted| self.release(wanted)) {
                    *follower = Follower::from_released(&self.access, &path, open);
                    follower.set_encoding(self.encoding);
                }
            }
            Verdict::Read | Verdict::Hold(_) => {}
        }
        let held = if let Verdict::Hold(held) = verdict { Some(held) } else { None };
        let is_new = is_new && (held.is_some() || follower.is_empty());
        let file = &mut self.files[at];
        (file.path, file.follower, file.held, file.is_new) = (path, Some(follower), held, is_new);
        held.is_none()
    }

    /// The files that may be copies of others. Those that were there at the first search are none, unless they are known to be unread.
    fn copies(&self) -> Vec<PathBuf> {
        let copies = self.files.iter().filter(|file| self.was_searched && file.may_be_copy());
        copies.map(|file| PathBuf::from(&file.path)).collect()
    }

    /// Searches for the files of a wildcard, if that is due: one step of a search, so that others have their turn.
    pub(super) fn search(&mut self, now: Now, agent: &mut Agent) {
        let Some(pattern) = &self.wildcard else { return };
        if self.search.is_none() && now.mono >= self.next_search {
            self.search = Some(Box::new(Search::new(&self.access, pattern, &self.excludes, Self::MAX)));
            self.search_began = now.mono;
        }
        let Some(search) = self.search.take_if(|search| search.step()) else { return };
        self.earliest_search = now.mono + now.mono.saturating_sub(self.search_began) * Self::REST;
        self.next_search = self.earliest_search.max(now.mono + Self::SEARCH_INTERVAL);
        self.handle_found(now, search.finish(), agent);
    }

    fn handle_found(&mut self, now: Now, outcome: Result<Expansion, AccessError>, agent: &mut Agent) {
        let state = match &outcome {
            Err(e) => Err(e.to_string()),
            Ok(found) if found.is_given_up => Err("more matches than can be looked at".into()),
            Ok(found) if !found.others.is_empty() => Err(format!("more than {} files match: those changed last are followed", Self::MAX)),
            Ok(found) if found.is_partial => Err("files that are not below what -f allows are refused".into()),
            Ok(found) => found.kernel_file.map_or(Ok(()), |e| Err(e.to_string())),
        };
        let is_refused = outcome.as_ref().is_err_and(|e| *e == AccessError::Refused);
        let mut found = outcome.unwrap_or_default();
        for file in std::mem::take(&mut found.files) {
            if self.files.iter().all(|known| known.path != file.path) && self.has_place(now, &mut found, agent) {
                self.add(now, file, agent);
            }
        }
        self.others = found.others;
        self.was_given_up |= found.is_given_up;
        agent.handle_log(now, self.source, LogEvent::State(state));
        // A wildcard that the owner of the host refuses is not announced as followed.
        if !is_refused && !std::mem::replace(&mut self.was_searched, true) {
            agent.handle_log(now, self.source, LogEvent::Searched);
        }
        self.remove_gone(now, agent);
    }

    /// Whether one more file can be followed. If there are too many, one that was read gives up its place: one that is gone, or one that
    /// others were changed after.
    fn has_place(&mut self, now: Now, found: &mut Expansion, agent: &mut Agent) -> bool {
        if self.files.len() < Self::MAX {
            return true;
        }
        if let Some(at) = self.files.iter().position(SourceFile::is_spent) {
            let file = self.files.swap_remove(at);
            file.id.map(|id| agent.handle_log(now, id, LogEvent::Gone));
            return true;
        }
        let older = self.files.iter().position(|file| file.is_read() && found.others.size(&file.path).is_some());
        let Some(file) = older.map(|at| self.files.swap_remove(at)) else { return false };
        if let Some((id, follower)) = file.id.zip(file.follower) {
            // If it is found again, reading goes on there.
            let offset = follower.position().files.last().map_or(0, |last| last.offset);
            found.others.set_size(&file.path, offset);
            agent.handle_log(now, id, LogEvent::SetAside);
        }
        true
    }

    fn add(&mut self, now: Now, found: FoundFile, agent: &mut Agent) {
        let FoundFile { path, size, .. } = found;
        let from = self.file_at(&path);
        let (file, event) = match self.release_at(&path) {
            Some(open) => {
                let mut follower = Box::new(Follower::from_released(&self.access, &path, open));
                follower.set_encoding(self.encoding);
                let event = LogEvent::Renamed { from, path: path.clone(), position: follower.position() };
                (SourceFile::open(path, follower), event)
            }
            None => {
                let old = self.others.size(&path).or((self.was_searched && self.was_given_up).then_some(size));
                let event = LogEvent::Found { path: path.clone(), is_late: self.was_searched };
                // A shorter one is another file.
                (SourceFile::new(&self.access, path, old.filter(|old| *old <= size)), event)
            }
        };
        self.files.push(file);
        agent.handle_log(now, self.source, event);
    }

    /// Follows no file any more that is gone. A file that is gone for a moment, as in a rotation, is still followed.
    fn remove_gone(&mut self, now: Now, agent: &mut Agent) {
        let (source, access) = (self.source, &self.access);
        self.files.retain(|file| {
            let is_gone = file.is_gone(access);
            if is_gone {
                match file.id {
                    Some(id) => agent.handle_log(now, id, LogEvent::Gone),
                    None => agent.handle_log(now, source, LogEvent::Vanished { path: file.path.clone() }),
                };
            }
            !is_gone
        });
    }

    /// The open file at a path that was followed under another path: it is read on, not again.
    fn release_at(&mut self, path: &str) -> Option<LogFile> {
        self.release(file_id(&self.access.metadata(path.as_ref()).ok()?))
    }

    /// What the agent calls the log that follows the file at a path under another path.
    fn file_at(&self, path: &str) -> Option<LogId> {
        let wanted = file_id(&self.access.metadata(path.as_ref()).ok()?);
        self.files.iter().find(|file| file.follower.as_ref().is_some_and(|follower| follower.holds(wanted)))?.id
    }

    fn release(&mut self, wanted: FileId) -> Option<LogFile> {
        self.files.iter_mut().find_map(|file| file.follower.as_mut()?.release(wanted))
    }
}

fn is_file(access: &Access, path: &str) -> bool {
    access.metadata(path.as_ref()).is_ok_and(|meta| meta.is_file())
}
