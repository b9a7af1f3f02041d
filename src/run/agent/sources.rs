//! All that the agent follows: files, files found by wildcards, and what commands print.

use super::line_pipe::{LinePipe, Reading};
use super::watches::Watches;
use crate::agent::{Agent, Block, Start};
use crate::directives::host::{CommandLine, LogSource};
use crate::now::{earlier, Now};
use crate::sys::poll::PollSet;
use crate::tail::{file_id, FileId, Follower, LogFile, Piece};
use crate::wire::position::Position;
use crate::{
    fs::glob::{self, Expansion},
    fs::Access,
    sys::reason,
};
use std::time::Duration;

pub(super) struct Followed {
    access: Access,
    logs: Vec<FollowedLog>,
    /// What tells of changes, where the system does.
    watches: Option<Watches>,
    /// Which log is offered first, so that a busy one does not keep the others waiting for room.
    first: usize,
}

struct FollowedLog {
    source: LogSource,
    files: Files,
    command: Option<Box<CommandLog>>,
    next_look: Duration,
    /// There is, or may be, something to read.
    unread: bool,
    /// Whether the coming and going of files is told, and of which files changes are.
    folder_watched: bool,
    files_watched: Vec<FileId>,
}

/// The file of a log, or those that its wildcard has found.
struct Files {
    access: Access,
    all: Vec<FollowedFile>,
    is_wildcard: bool,
    next_search: Duration,
    /// Before the first search: what is found then was there already.
    searched: bool,
}

/// A file that is read once the agent has said from where on.
struct FollowedFile {
    path: String,
    follower: Option<Box<Follower>>,
    /// Where it ended when it was found: what is written until the agent says where to begin is new.
    from_end: Option<Box<Follower>>,
}

impl FollowedFile {
    fn new(access: &Access, path: &str) -> Self {
        Self { path: path.to_string(), follower: None, from_end: Some(Follower::from_end(access, path).into()) }
    }
}

struct CommandLog {
    command: CommandLine,
    /// The command as it stands in the directives.
    field: String,
    running: Option<LinePipe>,
    started: Duration,
    next_start: Duration,
    pause: Duration,
    position: u64,
}

impl Followed {
    pub(super) fn new(access: Access) -> Self {
        Self { access, logs: Vec::new(), watches: None, first: 0 }
    }

    /// Follows these logs and no others. Those that were followed already go on where they are.
    pub(super) fn replace(&mut self, now: Now, sources: Vec<LogSource>) {
        let mut old = std::mem::take(&mut self.logs);
        self.watches = Watches::open();
        self.first = 0;
        for (number, source) in sources.into_iter().enumerate() {
            let mut followed = match old.iter().position(|known| known.source == source) {
                Some(at) => old.swap_remove(at),
                None => FollowedLog::new(now, source, &self.access),
            };
            followed.next_look = now.mono;
            followed.unread = true;
            followed.files_watched.clear();
            followed.folder_watched = followed.command.is_none()
                && self
                    .watches
                    .as_mut()
                    .is_some_and(|w| w.watch_folder(&self.access, number, &followed.source.field(), followed.files.is_wildcard));
            self.logs.push(followed);
        }
    }

    /// Tells the agent where every file ends now.
    pub(super) fn measure(&mut self, agent: &mut Agent) {
        for (number, followed) in self.logs.iter_mut().enumerate() {
            for file in &mut followed.files.all {
                if let Some(follower) = &mut file.follower {
                    agent.handle_end(number, &file.path, follower.end());
                }
            }
            if let Some(log) = &followed.command {
                agent.handle_end(number, &log.field, log.position);
            }
        }
    }

    /// Begins a file where the agent says.
    pub(super) fn open(&mut self, now: Now, number: usize, path: &str, start: &Start, agent: &mut Agent) {
        let Some(followed) = self.logs.get_mut(number) else { return };
        let files = &mut followed.files;
        let Some(at) = files.all.iter().position(|file| file.path == path && file.follower.is_none()) else { return };
        let mut lost = None;
        let mut follower = Box::new(match start {
            Start::At(position, seen) => {
                let (follower, what) = Follower::resume(&self.access, path, position, *seen);
                lost = what;
                follower
            }
            // A wildcard may have found it under another name besides.
            _ => match (files.renamed(path), start) {
                (Some(open), _) => Follower::from_released(&self.access, path, open),
                (None, Start::End) => {
                    files.all[at].from_end.take().map_or_else(|| Follower::from_end(&self.access, path), |follower| *follower)
                }
                _ => Follower::from_start(&self.access, path),
            },
        });
        if files.is_wildcard && matches!(start, Start::At(..)) {
            // What two of them have found is read by one, from where it was read to last. The next look tells what is wrong.
            let _ = follower.look(now.mono, &mut |wanted| files.release(wanted));
        }
        let mut position = follower.position();
        // A file that cannot be read yet, whatever it holds, is not one that does not exist.
        if position.files.is_empty() && *start == Start::End && is_file(&self.access, path) {
            position = Position::end();
        }
        agent.handle_opened(now, number, path, start, &position, lost);
        let file = &mut files.all[at];
        (file.follower, file.from_end) = (Some(follower), None);
        (followed.next_look, followed.unread) = (now.mono, true);
    }

    pub(super) fn add_to(&self, now: Now, poll: &mut PollSet, agent: &Agent) {
        if !agent.has_room() {
            return;
        }
        for followed in &self.logs {
            if let Some(fd) = followed.command.as_ref().and_then(|log| log.running.as_ref()?.fd()) {
                poll.add(fd);
            }
        }
        if let Some(watches) = &self.watches {
            watches.add_to(now, poll);
        }
    }

    /// Hands the agent what is new, as far as it has room. Rotations are noticed without room too, lest a file that has its name for a
    /// short time only be missed.
    pub(super) fn handle(&mut self, now: Now, agent: &mut Agent, buffer: &mut [u8]) {
        self.take_changes(now);
        for (number, followed) in self.logs.iter_mut().enumerate() {
            if followed.command.is_none() && followed.next_look <= now.mono {
                followed.look(now, number, agent, self.watches.as_mut());
            }
        }
        for turn in 0..self.logs.len() {
            if !agent.has_room() {
                break;
            }
            let number = (self.first + turn) % self.logs.len();
            if self.logs[number].read(now, number, agent, buffer) {
                self.first = number;
                break;
            }
        }
    }

    /// Makes the logs due that are told to have changed.
    fn take_changes(&mut self, now: Now) {
        let Self { logs, watches, .. } = self;
        let Some(watches) = watches else { return };
        watches.take(now, &mut |changed| {
            let changed = changed.map_or(0..logs.len(), |number| number..number + 1);
            for followed in logs.get_mut(changed).unwrap_or_default() {
                followed.next_look = Duration::ZERO;
                followed.files.next_search = Duration::ZERO;
            }
        });
    }

    /// When files are to be looked at again or a command started.
    pub(super) fn next_deadline(&self, now: Now, agent: &Agent) -> Option<Duration> {
        let has_room = agent.has_room();
        let mut next = None;
        for followed in &self.logs {
            let due = match &followed.command {
                None => Some(followed.next_look),
                Some(log) if has_room => log.next_deadline(now),
                Some(_) => None,
            };
            next = earlier(next, due);
            if has_room && followed.unread {
                return Some(now.mono);
            }
        }
        match &self.watches {
            Some(watches) if has_room => earlier(next, watches.next_deadline(now)),
            _ => next,
        }
    }
}

impl FollowedLog {
    /// How often files are looked at, in seconds …
    const INTERVAL: u64 = 1;
    /// … and how often where their changes are told: a hint may be missing.
    const WATCHED_INTERVAL: u64 = 10;

    fn new(now: Now, source: LogSource, access: &Access) -> Self {
        let is_wildcard = matches!(source, LogSource::Glob(_));
        let mut files = Files { access: access.clone(), all: Vec::new(), is_wildcard, next_search: Duration::ZERO, searched: false };
        let mut command = None;
        match &source {
            LogSource::Path(path) => files.all.push(FollowedFile::new(access, path)),
            LogSource::Glob(_) => {}
            LogSource::Command(line) => command = Some(Box::new(CommandLog::new(now, line))),
        }
        Self { source, files, command, next_look: now.mono, unread: true, folder_watched: false, files_watched: Vec::new() }
    }

    /// Notices new files and rotations.
    fn look(&mut self, now: Now, number: usize, agent: &mut Agent, watches: Option<&mut Watches>) {
        if self.files.is_wildcard && now.mono >= self.files.next_search {
            self.files.search(now, &self.source.field(), number, agent);
        }
        self.files.look(now, number, agent);
        // Before the files are read: what is written after that will be told.
        let watched = watches.is_some_and(|watches| self.watch_files(number, watches));
        let interval = if watched && agent.has_room() { Self::WATCHED_INTERVAL } else { Self::INTERVAL };
        // All logs at the same times, so that these are few.
        self.next_look = Duration::from_secs((now.mono.as_secs() / interval + 1) * interval);
        self.unread = true;
    }

    /// Watches the files that are followed now. Returns whether every change of this log will be told.
    fn watch_files(&mut self, number: usize, watches: &mut Watches) -> bool {
        let mut watched = Vec::new();
        let mut all = self.folder_watched;
        for file in &self.files.all {
            let Some(follower) = &file.follower else { continue };
            all &= follower.is_settled();
            let Some(file_id) = follower.file_id() else { continue };
            if self.files_watched.contains(&file_id) || watches.watch_file(&self.files.access, number, &file.path) {
                watched.push(file_id);
            } else {
                all = false;
            }
        }
        self.files_watched = watched;
        all
    }

    /// Hands the agent what is new. Returns whether it had no room for all of it.
    fn read(&mut self, now: Now, number: usize, agent: &mut Agent, buffer: &mut [u8]) -> bool {
        if let Some(log) = &mut self.command {
            self.unread = log.handle(now, number, agent, buffer);
            return false;
        }
        let mut blocked = false;
        if std::mem::take(&mut self.unread) {
            for file in &mut self.files.all {
                if let Some(follower) = &mut file.follower {
                    self.unread |= read(&file.path, follower, now, number, agent, buffer, &mut blocked);
                }
            }
        }
        self.unread |= blocked;
        blocked
    }
}

/// Hands on what is new in a file. Returns whether there is more.
fn read(path: &str, file: &mut Follower, now: Now, number: usize, agent: &mut Agent, buffer: &mut [u8], blocked: &mut bool) -> bool {
    let more = file.read(now.mono, buffer, &mut |Piece { position, place, bytes }| {
        let consumed = agent.handle_log_lines(now, number, Block { path, position, place: Some(place), bytes });
        *blocked |= consumed < bytes.len();
        consumed
    });
    agent.handle_read(number, path, file.position());
    for loss in [file.take_loss(), file.take_cut_lines(now.mono)].iter().flatten() {
        agent.handle_loss(now, loss);
    }
    more
}

impl Files {
    /// How often new files are looked for.
    const INTERVAL: Duration = Duration::from_secs(2);
    /// Most files of one wildcard: each takes a descriptor.
    const MAX: usize = 256;

    fn search(&mut self, now: Now, pattern: &str, number: usize, agent: &mut Agent) {
        self.next_search = now.mono + Self::INTERVAL;
        let (paths, mut state) = match glob::expand(&self.access, pattern) {
            Ok(Expansion { paths, is_partial: false }) => (paths, Ok(())),
            Ok(Expansion { paths, .. }) => (paths, Err("files that are not below what -f allows are refused".into())),
            Err(e) => (Vec::new(), Err(e.to_string())),
        };
        if paths.len() > Self::MAX {
            state = Err(format!("more than {} files match", Self::MAX));
        }
        for path in paths {
            if self.all.len() < Self::MAX && self.all.iter().all(|file| file.path != path) && is_file(&self.access, &path) {
                self.add(now, path, number, agent);
            }
        }
        agent.handle_log_state(now, pattern, state);
        if !std::mem::replace(&mut self.searched, true) {
            agent.handle_searched(number);
        }
        self.let_go(number, agent);
    }

    fn add(&mut self, now: Now, path: String, number: usize, agent: &mut Agent) {
        let file = match self.renamed(&path) {
            Some(open) => {
                let follower = Box::new(Follower::from_released(&self.access, &path, open));
                agent.handle_renamed(now, number, &path, &follower.position());
                FollowedFile { path, follower: Some(follower), from_end: None }
            }
            None => {
                agent.handle_found(now, number, &path, self.searched);
                FollowedFile::new(&self.access, &path)
            }
        };
        self.all.push(file);
    }

    /// Follows what is gone no more. What is only gone for a moment, as in a rotation, is followed on.
    fn let_go(&mut self, number: usize, agent: &mut Agent) {
        let mut at = 0;
        while let Some(file) = self.all.get(at) {
            let is_gone = file.follower.as_ref().map_or_else(|| !is_file(&self.access, &file.path), |follower| follower.is_gone());
            if is_gone {
                agent.handle_gone(number, &file.path);
                self.all.remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// Looks for rotations, in which a file may take the name of another that is followed.
    fn look(&mut self, now: Now, number: usize, agent: &mut Agent) {
        for at in 0..self.all.len() {
            let Some(mut follower) = self.all[at].follower.take() else {
                if !self.is_wildcard {
                    agent.handle_found(now, number, &self.all[at].path, false);
                }
                continue;
            };
            let state = follower.look(now.mono, &mut |wanted| self.release(wanted));
            // That a file is gone is in order with a wildcard, which does not find it any more.
            let state = if self.is_wildcard && follower.is_missing() { Ok(()) } else { state.map_err(|e| e.to_string()) };
            let file = &mut self.all[at];
            agent.handle_log_state(now, &file.path, state);
            file.follower = Some(follower);
        }
    }

    /// A file that was followed under another name: it is read on under the new one, not again.
    fn renamed(&mut self, path: &str) -> Option<Box<LogFile>> {
        self.release(file_id(&self.access.metadata(path.as_ref()).ok()?))
    }

    fn release(&mut self, wanted: FileId) -> Option<Box<LogFile>> {
        self.all.iter_mut().find_map(|file| file.follower.as_mut()?.release(wanted))
    }
}

fn is_file(access: &Access, path: &str) -> bool {
    access.metadata(path.as_ref()).is_ok_and(|meta| meta.is_file())
}

impl CommandLog {
    const FIRST_PAUSE: Duration = Duration::from_secs(1);
    const LONGEST_PAUSE: Duration = Duration::from_secs(60);
    /// A command that ran for so long works.
    const SETTLED: Duration = Duration::from_secs(10);

    fn new(now: Now, command: &CommandLine) -> Self {
        Self {
            command: command.clone(),
            field: format!("|{}", command.as_str()),
            running: None,
            started: now.mono,
            next_start: now.mono,
            pause: Self::FIRST_PAUSE,
            position: 0,
        }
    }

    /// Hands on what was printed, and starts the command again when it is due. Returns whether there is more to read.
    fn handle(&mut self, now: Now, number: usize, agent: &mut Agent, buffer: &mut [u8]) -> bool {
        let Some(pipe) = &mut self.running else {
            if now.mono >= self.next_start {
                self.start(now, agent);
            }
            return false;
        };
        let position = &mut self.position;
        let reading = pipe.read(buffer, &mut |bytes| {
            let consumed = agent.handle_log_lines(now, number, Block { path: &self.field, position: *position, place: None, bytes });
            *position += consumed as u64;
            consumed
        });
        // Not with its first line: a command that prints and then fails has not worked.
        if now.mono - self.started >= Self::SETTLED {
            agent.handle_log_state(now, &self.field, Ok(()));
        }
        match reading {
            Reading::Waiting | Reading::Blocked => false,
            Reading::More => true,
            Reading::Ended(outcome) => {
                self.running = None;
                self.handle_end(now, agent, outcome);
                false
            }
        }
    }

    fn start(&mut self, now: Now, agent: &mut Agent) {
        self.started = now.mono;
        match LinePipe::start(self.command.words()) {
            Ok(pipe) => self.running = Some(pipe),
            Err(e) => self.handle_end(now, agent, Err(reason(&e))),
        }
    }

    /// The longer it ran, the sooner it is started again.
    fn handle_end(&mut self, now: Now, agent: &mut Agent, outcome: Result<(), String>) {
        if outcome.is_err() {
            agent.handle_log_state(now, &self.field, outcome);
        }
        if now.mono - self.started >= Self::LONGEST_PAUSE {
            self.pause = Self::FIRST_PAUSE;
        }
        self.next_start = now.mono + self.pause;
        self.pause = Self::LONGEST_PAUSE.min(self.pause * 2);
    }

    fn next_deadline(&self, now: Now) -> Option<Duration> {
        match &self.running {
            None => Some(self.next_start),
            // The pipe says when there is something; but once it is closed, only the process can end.
            Some(pipe) if pipe.fd().is_none() => Some(now.mono + Self::FIRST_PAUSE),
            Some(_) => (now.mono - self.started < Self::SETTLED).then_some(self.started + Self::SETTLED),
        }
    }
}
