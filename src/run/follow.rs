//! All that the agent follows: files, files found by wildcards, and what commands print.

use super::line_pipe::{LinePipe, Reading};
use super::watches::Watches;
use crate::agent::{Agent, Block, Start};
use crate::directives::host::{CommandLine, LogSource};
use crate::now::{earlier, Now};
use crate::position::Position;
use crate::sys::poll::PollSet;
use crate::sys::{fence, glob, reason};
use crate::tail::{identity, Follower, Identity, Open, Piece};
use std::time::Duration;

#[derive(Default)]
pub(super) struct Followed {
    logs: Vec<FollowedLog>,
    /// What tells of changes, where the system does.
    watches: Option<Watches>,
    /// Which log is offered first, so that a busy one does not keep the others waiting for room.
    first: usize,
}

struct FollowedLog {
    source: LogSource,
    log: Log,
    next_look: Duration,
    /// There is, or may be, something to read.
    unread: bool,
    /// Whether the coming and going of files is told, and of which files changes are.
    folder_watched: bool,
    files_watched: Vec<Identity>,
}

enum Log {
    File(Box<FollowedFile>),
    Wildcard(Wildcard),
    Command(CommandLog),
}

/// A file that is read once the agent has said from where on.
struct FollowedFile {
    path: String,
    follower: Option<Follower>,
    /// Where it ended when it was found: what is written until the agent says where to begin is new.
    from_end: Option<Follower>,
}

impl FollowedFile {
    fn new(path: &str) -> Self {
        Self { path: path.to_string(), follower: None, from_end: Some(Follower::from_end(path)) }
    }
}

#[derive(Default)]
struct Wildcard {
    files: Vec<FollowedFile>,
    next_search: Duration,
    /// Before the first search: what is found then was there already.
    searched: bool,
}

struct CommandLog {
    command: CommandLine,
    running: Option<LinePipe>,
    started: Duration,
    next_start: Duration,
    pause: Duration,
    position: u64,
}

impl Followed {
    /// Follows these logs and no others. Those that were followed already go on where they are.
    pub(super) fn replace(&mut self, now: Now, sources: Vec<LogSource>) {
        let mut old = std::mem::take(&mut self.logs);
        self.watches = Watches::open();
        self.first = 0;
        for (number, source) in sources.into_iter().enumerate() {
            let log = match old.iter().position(|known| known.source == source) {
                Some(at) => old.swap_remove(at).log,
                None => Log::new(now, &source),
            };
            let is_wildcard = matches!(log, Log::Wildcard(_));
            let is_file = is_wildcard || matches!(log, Log::File(_));
            let folder_watched = is_file && self.watches.as_mut().is_some_and(|w| w.watch_folder(number, &source.field(), is_wildcard));
            self.logs.push(FollowedLog { source, log, next_look: now.mono, unread: true, folder_watched, files_watched: Vec::new() });
        }
    }

    /// Tells the agent where every file ends now.
    pub(super) fn measure(&mut self, agent: &mut Agent) {
        for (number, followed) in self.logs.iter_mut().enumerate() {
            for file in followed.log.followers() {
                let end = file.end();
                agent.handle_end(number, file.path(), end);
            }
            if let Log::Command(log) = &followed.log {
                agent.handle_end(number, &log.field(), log.position);
            }
        }
    }

    /// Begins a file where the agent says.
    pub(super) fn open(&mut self, now: Now, number: usize, path: &str, start: &Start, agent: &mut Agent) {
        let Some(followed) = self.logs.get_mut(number) else { return };
        // A wildcard may have found it under another name besides.
        let same = match (&mut followed.log, start) {
            (Log::Wildcard(wildcard), Start::End | Start::Beginning) => wildcard.renamed(path),
            _ => None,
        };
        let Some(file) = followed.log.files_mut().find(|file| file.path == path && file.follower.is_none()) else { return };
        let (mut follower, lost) = match (same, start) {
            (Some(open), _) => (Follower::resuming(path, open), None),
            (None, Start::End) => (file.from_end.take().unwrap_or_else(|| Follower::from_end(path)), None),
            (None, Start::Beginning) => (Follower::from_start(path), None),
            (_, Start::At(position, seen)) => Follower::resume(path, position, *seen),
        };
        if let (Log::Wildcard(wildcard), Start::At(..)) = (&mut followed.log, start) {
            // What two of them have found is read by one, from where it was read to last. The next look tells what is wrong.
            let _ = follower.look(now.mono, &mut |wanted| wildcard.release(wanted));
        }
        let Some(file) = followed.log.files_mut().find(|file| file.path == path && file.follower.is_none()) else { return };
        let position = match follower.position() {
            // A file that cannot be read yet, whatever it holds, is not one that does not exist.
            position if position.files.is_empty() && *start == Start::End && is_file(path) => Position::end(),
            position => position,
        };
        agent.handle_opened(now, number, path, start, &position, lost);
        (file.follower, file.from_end) = (Some(follower), None);
        (followed.next_look, followed.unread) = (now.mono, true);
    }

    pub(super) fn add_to(&self, now: Now, poll: &mut PollSet, agent: &Agent) {
        if agent.has_room() {
            self.commands().filter_map(|log| log.running.as_ref()).filter_map(LinePipe::fd).for_each(|fd| poll.add(fd));
            self.watches.iter().for_each(|watches| watches.add_to(now, poll));
        }
    }

    fn commands(&self) -> impl Iterator<Item = &CommandLog> {
        self.logs.iter().filter_map(|followed| match &followed.log {
            Log::Command(log) => Some(log),
            _ => None,
        })
    }

    /// Hands the agent what is new, as far as it has room. Rotations are noticed without room too, lest a file that has its name for a
    /// short time only be missed.
    pub(super) fn handle(&mut self, now: Now, agent: &mut Agent, buffer: &mut [u8]) {
        self.take_changes(now);
        for (number, followed) in self.logs.iter_mut().enumerate().filter(|(_, followed)| followed.next_look <= now.mono) {
            followed.look(now, number, agent, self.watches.as_mut());
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
        watches.take(now, |changed| match changed {
            Some(number) => logs.get_mut(number).into_iter().for_each(FollowedLog::hurry),
            None => logs.iter_mut().for_each(FollowedLog::hurry),
        });
    }

    /// When files are to be looked at again or a command started.
    pub(super) fn next_deadline(&self, now: Now, agent: &Agent) -> Option<Duration> {
        let files = self.logs.iter().filter(|followed| !matches!(followed.log, Log::Command(_)));
        let look = files.map(|followed| followed.next_look).min();
        if !agent.has_room() {
            return look;
        }
        if self.logs.iter().any(|followed| followed.unread) {
            return Some(now.mono);
        }
        let commands = self.commands().filter_map(|log| log.next_deadline(now)).min();
        let quiet = self.watches.as_ref().and_then(|watches| watches.next_deadline(now));
        earlier(look, earlier(commands, quiet))
    }
}

impl FollowedLog {
    /// How often files are looked at …
    const INTERVAL: Duration = Duration::from_secs(1);
    /// … and how often where their changes are told: a hint may be missing.
    const WATCHED_INTERVAL: Duration = Duration::from_secs(10);

    /// The log has changed.
    fn hurry(&mut self) {
        self.next_look = Duration::ZERO;
        if let Log::Wildcard(wildcard) = &mut self.log {
            wildcard.next_search = Duration::ZERO;
        }
    }

    /// Notices new files and rotations.
    fn look(&mut self, now: Now, number: usize, agent: &mut Agent, watches: Option<&mut Watches>) {
        match &mut self.log {
            Log::File(file) => match &mut file.follower {
                None => agent.handle_found(now, number, &file.path, false),
                Some(follower) => {
                    let state = follower.look(now.mono, &mut |_| None);
                    agent.handle_log_state(now, &file.path, state);
                }
            },
            Log::Wildcard(wildcard) => {
                wildcard.search(now, &self.source.field(), number, agent);
                wildcard.look(now, agent);
            }
            Log::Command(_) => return,
        }
        // Before the files are read: what is written after that will be told.
        let watched = watches.is_some_and(|watches| self.watch_files(number, watches));
        let interval = if watched && agent.has_room() { Self::WATCHED_INTERVAL } else { Self::INTERVAL };
        // All logs at the same times, so that these are few.
        let passed = u32::try_from(now.mono.as_secs() / interval.as_secs()).unwrap_or(u32::MAX - 1);
        self.next_look = interval * (passed + 1);
        self.unread = true;
    }

    /// Watches the files that are followed now. Returns whether every change of this log will be told.
    fn watch_files(&mut self, number: usize, watches: &mut Watches) -> bool {
        let mut watched = Vec::new();
        let mut all = self.folder_watched;
        for file in self.log.followers() {
            all &= file.is_settled();
            let Some(identity) = file.identity() else { continue };
            if self.files_watched.contains(&identity) || watches.watch_file(number, file.path()) {
                watched.push(identity);
            } else {
                all = false;
            }
        }
        self.files_watched = watched;
        all
    }

    /// Hands the agent what is new. Returns whether it had no room for all of it.
    fn read(&mut self, now: Now, number: usize, agent: &mut Agent, buffer: &mut [u8]) -> bool {
        let mut blocked = false;
        match &mut self.log {
            Log::Command(log) => self.unread = log.handle(now, number, agent, buffer),
            _ if !self.unread => {}
            log => {
                self.unread = false;
                for file in log.followers() {
                    self.unread |= read(file, now, number, agent, buffer, &mut blocked);
                }
            }
        }
        self.unread |= blocked;
        blocked
    }
}

/// Hands on what is new in a file. Returns whether there is more.
fn read(file: &mut Follower, now: Now, number: usize, agent: &mut Agent, buffer: &mut [u8], blocked: &mut bool) -> bool {
    let path = file.path().to_string();
    let more = file.read(now.mono, buffer, &mut |Piece { position, place, bytes }| {
        let consumed = agent.handle_log_lines(now, number, Block { path: &path, position, place: Some(place), bytes });
        *blocked |= consumed < bytes.len();
        consumed
    });
    agent.handle_read(number, &path, file.position());
    for loss in file.take_loss().into_iter().chain(file.take_cut_lines(now.mono)) {
        agent.handle_loss(now, &loss);
    }
    more
}

impl Log {
    fn new(now: Now, source: &LogSource) -> Self {
        match source {
            LogSource::Path(path) => Self::File(FollowedFile::new(path).into()),
            LogSource::Glob(_) => Self::Wildcard(Wildcard::default()),
            LogSource::Command(command) => Self::Command(CommandLog {
                command: command.clone(),
                running: None,
                started: now.mono,
                next_start: now.mono,
                pause: CommandLog::FIRST_PAUSE,
                position: 0,
            }),
        }
    }

    fn files_mut(&mut self) -> impl Iterator<Item = &mut FollowedFile> {
        let (one, many) = match self {
            Self::File(file) => (Some(&mut **file), None),
            Self::Wildcard(wildcard) => (None, Some(wildcard.files.iter_mut())),
            Self::Command(_) => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    fn followers(&mut self) -> impl Iterator<Item = &mut Follower> {
        self.files_mut().filter_map(|file| file.follower.as_mut())
    }
}

impl Wildcard {
    /// How often new files are looked for.
    const INTERVAL: Duration = Duration::from_secs(2);
    /// Most files of one wildcard: each takes a descriptor.
    const MAX_FILES: usize = 256;

    fn search(&mut self, now: Now, pattern: &str, number: usize, agent: &mut Agent) {
        if now.mono < self.next_search {
            return;
        }
        self.next_search = now.mono + Self::INTERVAL;
        let mut found = glob::matches(pattern);
        let all = found.len();
        found.retain(|path| fence::admit(path.as_ref()).is_ok());
        let refused = found.len() < all;
        for path in &found {
            if self.files.len() >= Self::MAX_FILES || self.files.iter().any(|file| file.path == *path) || !is_file(path) {
                continue;
            }
            let file = match self.renamed(path).map(|open| Follower::resuming(path, open)) {
                Some(follower) => {
                    agent.handle_renamed(now, number, path, &follower.position());
                    FollowedFile { path: path.clone(), follower: Some(follower), from_end: None }
                }
                None => {
                    agent.handle_found(now, number, path, self.searched);
                    FollowedFile::new(path)
                }
            };
            self.files.push(file);
        }
        let too_many = found.len() > Self::MAX_FILES;
        let state = match (too_many, refused) {
            (true, _) => Err(format!("more than {} files match", Self::MAX_FILES)),
            (_, true) => Err("some of the files are refused, since they are not below what -f allows".into()),
            _ => Ok(()),
        };
        agent.handle_log_state(now, pattern, state);
        if !std::mem::replace(&mut self.searched, true) {
            agent.handle_searched(number);
        }
        self.files.retain(|file| {
            // What is only gone for a moment, as in a rotation, is followed on.
            let gone = file.follower.as_ref().map_or_else(|| !is_file(&file.path), Follower::is_gone);
            if gone {
                agent.handle_gone(number, &file.path);
            }
            !gone
        });
    }

    /// Looks for rotations, in which a file may take the name of another that is followed.
    fn look(&mut self, now: Now, agent: &mut Agent) {
        for at in 0..self.files.len() {
            let (before, rest) = self.files.split_at_mut(at);
            let Some((file, after)) = rest.split_first_mut() else { break };
            let Some(follower) = &mut file.follower else { continue };
            let mut elsewhere = |wanted| {
                let mut others = before.iter_mut().chain(&mut *after).filter_map(|other| other.follower.as_mut());
                others.find_map(|other| other.release(wanted))
            };
            let state = follower.look(now.mono, &mut elsewhere);
            // That a file is gone is in order here: the wildcard does not find it any more.
            agent.handle_log_state(now, &file.path, if follower.is_missing() { Ok(()) } else { state });
        }
    }

    /// A file that was followed under another name: it is read on under the new one, not again.
    fn renamed(&mut self, path: &str) -> Option<Box<Open>> {
        self.release(identity(&std::fs::metadata(path).ok()?))
    }

    fn release(&mut self, wanted: Identity) -> Option<Box<Open>> {
        self.files.iter_mut().filter_map(|file| file.follower.as_mut()).find_map(|file| file.release(wanted))
    }
}

fn is_file(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file())
}

impl CommandLog {
    const FIRST_PAUSE: Duration = Duration::from_secs(1);
    const LONGEST_PAUSE: Duration = Duration::from_secs(60);
    /// A command that ran for so long works.
    const SETTLED: Duration = Duration::from_secs(10);

    fn field(&self) -> String {
        format!("|{}", self.command.as_str())
    }

    /// Hands on what was printed, and starts the command again when it is due. Returns whether there is more to read.
    fn handle(&mut self, now: Now, number: usize, agent: &mut Agent, buffer: &mut [u8]) -> bool {
        let field = self.field();
        let Some(pipe) = &mut self.running else {
            if now.mono >= self.next_start {
                self.start(now, agent);
            }
            return false;
        };
        let position = &mut self.position;
        let reading = pipe.read(buffer, &mut |bytes| {
            let consumed = agent.handle_log_lines(now, number, Block { path: &field, position: *position, place: None, bytes });
            *position += consumed as u64;
            consumed
        });
        // Not with its first line: a command that prints and then fails has not worked.
        if now.mono - self.started >= Self::SETTLED {
            agent.handle_log_state(now, &field, Ok(()));
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
            agent.handle_log_state(now, &self.field(), outcome);
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
