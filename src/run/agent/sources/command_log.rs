//! What a command prints, followed as a log. The command is started again when it ends.

use super::restart::Restart;
use crate::agent::{Agent, Lines, LogEvent, LogId};
use crate::directives::host::CommandLine;
use crate::encoding::Encoding;
use crate::now::{earlier, Now};
use crate::run::agent::line_pipe::{LinePipe, Reading};
use crate::sys::reason;
use std::os::fd::BorrowedFd;
use std::time::Duration;

pub(super) struct CommandLog {
    command: CommandLine,
    encoding: Encoding,
    running: Option<LinePipe>,
    restart: Restart,
    /// Bytes that were processed, through all runs.
    position: u64,
    /// Until when what was printed last waits for more.
    waits_until: Option<Duration>,
}

impl CommandLog {
    /// A command that is started at once.
    pub(super) fn new(now: Now, command: &CommandLine) -> Self {
        Self {
            command: command.clone(),
            encoding: Encoding::default(),
            running: None,
            restart: Restart::new(now),
            position: 0,
            waits_until: None,
        }
    }

    /// What it prints is text in that encoding.
    pub(super) fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
        self.running.iter_mut().for_each(|pipe| pipe.set_encoding(encoding));
    }

    /// Bytes that were processed.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// What to poll; `None` while there is no output.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.running.as_ref()?.fd()
    }

    /// Hands over what was printed, and starts the command again when that is due. Returns whether there is more to read.
    pub(super) fn handle(&mut self, now: Now, id: LogId, agent: &mut Agent, buffer: &mut [u8]) -> bool {
        let Some(pipe) = &mut self.running else {
            if now.mono >= self.restart.next() {
                self.start(now, id, agent);
            }
            return false;
        };
        let (position, mut waits) = (&mut self.position, None);
        let reading = pipe.read(buffer, &mut |bytes, units| {
            let consumed = agent.handle_log(now, id, LogEvent::Lines(Lines { position: *position, place: None, bytes, units }));
            *position += consumed as u64;
            waits = if consumed == 0 { agent.waits_until(id) } else { None };
            consumed
        });
        if self.restart.is_settled(now) {
            agent.handle_log(now, id, LogEvent::State(Ok(())));
        }
        self.waits_until = waits;
        match reading {
            Reading::Waiting => false,
            Reading::Blocked | Reading::More => waits.is_none(),
            Reading::Ended(end) => {
                self.running = None;
                self.handle_end(now, id, agent, end.outcome);
                false
            }
        }
    }

    fn start(&mut self, now: Now, id: LogId, agent: &mut Agent) {
        self.restart.handle_start(now);
        let started = LinePipe::start(&mut self.command.words());
        match started {
            Ok(mut pipe) => {
                pipe.set_encoding(self.encoding);
                self.running = Some(pipe);
            }
            Err(e) => self.handle_end(now, id, agent, Err(reason(&e))),
        }
    }

    fn handle_end(&mut self, now: Now, id: LogId, agent: &mut Agent, outcome: Result<(), String>) {
        if outcome.is_err() {
            agent.handle_log(now, id, LogEvent::State(outcome));
        }
        self.restart.handle_end(now);
    }

    /// When [`Self::handle`] has something to do besides reading.
    pub(super) fn next_deadline(&self, now: Now) -> Option<Duration> {
        match &self.running {
            None => Some(self.restart.next()),
            // The pipe says when there is something to read. Once it is closed, only the end of the process is awaited.
            Some(pipe) if pipe.fd().is_none() => Some(now.mono + Restart::FIRST_PAUSE),
            Some(_) => earlier(self.waits_until, self.restart.settles(now)),
        }
    }
}
