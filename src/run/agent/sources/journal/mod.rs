//! The journal of systemd, followed as a log: one `journalctl` prints it, and is started again where reading stopped when it ends.

mod entry;
mod json;
mod reading;

use super::restart::Restart;
use crate::agent::{Agent, LogEvent, LogId, Start};
use crate::directives::host::LogSource;
use crate::now::{earlier, Now};
use crate::run::agent::line_pipe::{LinePipe, Reading};
use crate::sys::reason;
use crate::wire::position::Position;
use crate::wire::Cursor;
use entry::Entry;
use reading::JournalReading;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

pub(super) struct JournalLog {
    stage: Stage,
    running: Option<LinePipe>,
    restart: Restart,
    /// Until when what was printed last waits for more.
    waits_until: Option<Duration>,
}

enum Stage {
    /// The agent has not said yet where to begin.
    Waiting,
    /// The last entry is sought: what comes after it is new.
    Seeking(Option<Cursor>),
    /// The entries are handed over.
    Following(JournalReading),
}

impl JournalLog {
    pub(super) fn new(now: Now) -> Self {
        Self { stage: Stage::Waiting, running: None, restart: Restart::new(now), waits_until: None }
    }

    /// Begins where the agent says. Returns where that is; `None` if it has to be found first.
    pub(super) fn begin(&mut self, now: Now, start: &Start) -> Option<Position> {
        (self.running, self.restart) = (None, Restart::new(now));
        let known = match start {
            Start::At(Position { cursor, .. }, _) => *cursor,
            _ => None,
        };
        self.stage = known.map_or(Stage::Seeking(None), |cursor| Stage::Following(JournalReading::new(cursor)));
        known.map(Position::of_cursor)
    }

    /// Bytes of lines that were processed.
    pub(super) fn position(&self) -> u64 {
        match &self.stage {
            Stage::Following(reading) => reading.position(),
            Stage::Waiting | Stage::Seeking(_) => 0,
        }
    }

    /// What to poll; `None` while there is no output.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.running.as_ref()?.fd()
    }

    /// Hands over new entries, and starts the command again when that is due. Returns whether there is more to read.
    pub(super) fn handle(&mut self, now: Now, id: LogId, agent: &mut Agent, buffer: &mut [u8]) -> bool {
        let Some(pipe) = &mut self.running else {
            if now.mono >= self.restart.next() && !matches!(self.stage, Stage::Waiting) {
                self.start(now, id, agent);
            }
            return false;
        };
        let mut waits = None;
        let reading = match &mut self.stage {
            Stage::Waiting => return false,
            Stage::Seeking(last) => pipe.read(buffer, &mut |json, _| {
                *last = Entry::parse(json).map(|entry| entry.cursor).or(*last);
                json.len()
            }),
            Stage::Following(following) => {
                let reading = pipe.read(buffer, &mut |json, _| {
                    let taken = following.take(now, id, agent, json);
                    waits = if taken == 0 { agent.waits_until(id) } else { None };
                    taken
                });
                following.report(now, id, agent);
                if self.restart.is_settled(now) {
                    agent.handle_log(now, id, LogEvent::State(Ok(())));
                }
                reading
            }
        };
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
        match self.command() {
            Ok(pipe) => self.running = Some(pipe),
            Err(e) => self.handle_end(now, id, agent, Err(reason(&e))),
        }
    }

    fn command(&mut self) -> io::Result<LinePipe> {
        let fields = format!("--output-fields={}", Entry::FIELDS.join(","));
        let common = [LogSource::JOURNAL_COMMAND, "-q", "-o", "json", "--all", &fields];
        let command = |more: &[&str]| LinePipe::start_within(JournalReading::MAX_ENTRY, &mut common.iter().chain(more).copied());
        match &mut self.stage {
            Stage::Waiting | Stage::Seeking(_) => command(&["-n", "1"]),
            Stage::Following(reading) => command(&["-f", "--no-tail", &format!("--cursor={}", reading.begin_run().field())]),
        }
    }

    fn handle_end(&mut self, now: Now, id: LogId, agent: &mut Agent, outcome: Result<(), String>) {
        match (&self.stage, outcome) {
            (Stage::Seeking(last), Ok(())) => {
                // Without an entry, all that is written from now on is new.
                let cursor = last.unwrap_or(Cursor::since(now.unix * 1_000_000));
                self.stage = Stage::Following(JournalReading::new(cursor));
                self.restart = Restart::new(now);
                let position = Position::of_cursor(cursor);
                agent.handle_log(now, id, LogEvent::Opened { position, lost: None, is_refused: false });
            }
            (_, outcome) => {
                if outcome.is_err() {
                    agent.handle_log(now, id, LogEvent::State(outcome));
                }
                self.restart.handle_end(now);
            }
        }
    }

    /// When [`Self::handle`] has something to do besides reading.
    pub(super) fn next_deadline(&self, now: Now) -> Option<Duration> {
        match (&self.stage, &self.running) {
            (Stage::Waiting, _) => None,
            (_, None) => Some(self.restart.next()),
            // The pipe says when there is something to read. Once it is closed, only the end of the process is awaited.
            (_, Some(pipe)) if pipe.fd().is_none() => Some(now.mono + Self::END),
            (_, Some(_)) => earlier(self.waits_until, self.restart.settles(now)),
        }
    }

    /// How soon a process ends that has closed its output.
    const END: Duration = Duration::from_millis(10);
}
