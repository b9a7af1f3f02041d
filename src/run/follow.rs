//! All that the agent follows: files, files found by wildcards, and what commands print.

use super::line_pipe::{LinePipe, Reading};
use crate::agent::{Agent, Block};
use crate::directives::host::{CommandLine, LogSource};
use crate::now::{earlier, Now};
use crate::sys::poll::PollSet;
use crate::sys::{glob, reason};
use crate::tail::{Follower, Open};
use std::time::Duration;

#[derive(Default)]
pub(super) struct Followed {
    logs: Vec<(LogSource, Log)>,
    next_look: Duration,
    /// The agent had no room when lines were last offered.
    blocked: bool,
    /// A file had more than one turn's worth of lines.
    more: bool,
    /// Which log is offered first, so that a busy one does not keep the others waiting for room.
    first: usize,
}

enum Log {
    File(Follower),
    Wildcard(Wildcard),
    Command(CommandLog),
}

#[derive(Default)]
struct Wildcard {
    files: Vec<Follower>,
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
    /// How often files are looked at.
    const INTERVAL: Duration = Duration::from_secs(1);

    /// Follows these logs and no others. Those that were followed already go on where they are.
    pub(super) fn replace(&mut self, now: Now, sources: Vec<LogSource>) {
        let mut old = std::mem::take(&mut self.logs);
        for source in sources {
            let log = match old.iter().position(|(known, _)| *known == source) {
                Some(at) => old.swap_remove(at).1,
                None => Log::new(now, &source),
            };
            self.logs.push((source, log));
        }
        self.next_look = now.mono;
        self.first = 0;
    }

    /// Tells the agent where every file ends now.
    pub(super) fn measure(&self, agent: &mut Agent) {
        for (number, (_, log)) in self.logs.iter().enumerate() {
            log.files().for_each(|file| agent.handle_end(number, file.path(), file.end()));
            if let Log::Command(log) = log {
                agent.handle_end(number, &log.field(), log.position);
            }
        }
    }

    pub(super) fn add_to(&self, poll: &mut PollSet, agent: &Agent) {
        if agent.has_room() {
            self.pipes().filter_map(LinePipe::fd).for_each(|fd| poll.add(fd));
        }
    }

    fn pipes(&self) -> impl Iterator<Item = &LinePipe> {
        self.logs.iter().filter_map(|(_, log)| match log {
            Log::Command(log) => log.running.as_ref(),
            _ => None,
        })
    }

    /// Hands the agent what is new, as far as it has room. Rotations are noticed without room too, lest a file that has its name for a
    /// short time only be missed.
    pub(super) fn handle(&mut self, now: Now, agent: &mut Agent, buffer: &mut [u8]) {
        let due = now.mono >= self.next_look;
        if due {
            self.logs.iter_mut().enumerate().for_each(|(number, (source, log))| log.look(now, source, number, agent));
            self.next_look = now.mono + Self::INTERVAL;
        }
        if !agent.has_room() {
            return;
        }
        let read = due || self.blocked || self.more;
        (self.blocked, self.more) = (false, false);
        for turn in 0..self.logs.len() {
            let number = (self.first + turn) % self.logs.len();
            match &mut self.logs[number].1 {
                Log::Command(log) => self.more |= log.handle(now, number, agent, buffer),
                Log::File(file) if read => self.more |= self::read(file, now, number, agent, buffer, &mut self.blocked),
                Log::Wildcard(wildcard) if read => {
                    for file in &mut wildcard.files {
                        self.more |= self::read(file, now, number, agent, buffer, &mut self.blocked);
                    }
                }
                _ => {}
            }
            if self.blocked {
                self.first = number;
                break;
            }
        }
    }

    /// When files are to be looked at again or a command started.
    pub(super) fn next_deadline(&self, now: Now, agent: &Agent) -> Option<Duration> {
        let files = self.logs.iter().any(|(_, log)| !matches!(log, Log::Command(_))).then_some(self.next_look);
        if !agent.has_room() {
            return files;
        }
        if self.blocked || self.more {
            return Some(now.mono);
        }
        let commands = self.logs.iter().filter_map(|(_, log)| match log {
            Log::Command(log) => log.next_deadline(now),
            _ => None,
        });
        earlier(files, commands.min())
    }
}

/// Hands on what is new in a file. Returns whether there is more.
fn read(file: &mut Follower, now: Now, number: usize, agent: &mut Agent, buffer: &mut [u8], blocked: &mut bool) -> bool {
    let path = file.path().to_string();
    file.read(now.mono, buffer, &mut |position, bytes| {
        let consumed = agent.handle_log_lines(now, number, Block { path: &path, position, bytes });
        *blocked |= consumed < bytes.len();
        consumed
    })
}

impl Log {
    fn new(now: Now, source: &LogSource) -> Self {
        match source {
            LogSource::Path(path) => Self::File(Follower::from_end(path)),
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

    /// Notices new files and rotations.
    fn look(&mut self, now: Now, source: &LogSource, number: usize, agent: &mut Agent) {
        match self {
            Self::File(file) => {
                let state = file.look(now.mono, &mut |_| None);
                agent.handle_log_state(now, file.path(), state);
            }
            Self::Wildcard(wildcard) => {
                wildcard.search(now, &source.field(), number, agent);
                wildcard.look(now, agent);
            }
            Self::Command(_) => {}
        }
    }

    fn files(&self) -> impl Iterator<Item = &Follower> {
        let (one, many) = match self {
            Self::File(file) => (Some(file), None),
            Self::Wildcard(files) => (None, Some(files.files.iter())),
            Self::Command(_) => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten())
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
        let found = glob::matches(pattern);
        for path in &found {
            if self.files.len() < Self::MAX_FILES && !self.files.iter().any(|file| file.path() == path) && is_file(path) {
                let follower = match self.renamed(path) {
                    Some(open) => Follower::resuming(path, open),
                    None if self.searched => Follower::from_start(path),
                    None => Follower::from_end(path),
                };
                agent.handle_found(number, path);
                self.files.push(follower);
            }
        }
        let too_many = found.len() > Self::MAX_FILES;
        let state = if too_many { Err(format!("more than {} files match", Self::MAX_FILES)) } else { Ok(()) };
        agent.handle_log_state(now, pattern, state);
        self.searched = true;
        self.files.retain(|file| {
            // What is only gone for a moment, as in a rotation, is followed on.
            if file.is_gone() {
                agent.handle_gone(number, file.path());
            }
            !file.is_gone()
        });
    }

    /// Looks for rotations, in which a file may take the name of another that is followed.
    fn look(&mut self, now: Now, agent: &mut Agent) {
        for at in 0..self.files.len() {
            let (before, rest) = self.files.split_at_mut(at);
            let Some((file, after)) = rest.split_first_mut() else { break };
            let state = file.look(now.mono, &mut |meta| before.iter_mut().chain(&mut *after).find_map(|other| other.release(meta)));
            // That a file is gone is in order here: the wildcard does not find it any more.
            agent.handle_log_state(now, file.path(), if file.is_missing() { Ok(()) } else { state });
        }
    }

    /// A file that was followed under another name: it is read on under the new one, not again.
    fn renamed(&mut self, path: &str) -> Option<Open> {
        let meta = std::fs::metadata(path).ok()?;
        self.files.iter_mut().find_map(|file| file.release(&meta))
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
        let before = pipe.bytes_read();
        let reading = pipe.read(buffer, &mut |bytes| {
            let consumed = agent.handle_log_lines(now, number, Block { path: &field, position: *position, bytes });
            *position += consumed as u64;
            consumed
        });
        if pipe.bytes_read() > before || now.mono - self.started >= Self::SETTLED {
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
