//! One output at work: its state machine, its reader of the stream, and its command while that runs.

use super::command::Command;
use crate::directives::output::Output;
use crate::now::{earlier, Now};
use crate::outputs::{Delivery, End, Standing};
use crate::run::log::Log;
use crate::run::server::streams::{StreamsPlace, StreamsReader};
use crate::sys::child::failure;
use crate::sys::poll::PollSet;
use crate::sys::reason;
use std::time::Duration;

pub(super) struct Channel {
    pub(super) delivery: Delivery<StreamsPlace>,
    pub(super) reader: StreamsReader,
    /// Whether the streams may have more for the reader.
    has_more: bool,
    command: Option<Command>,
    /// What becomes of the output once its command has ended.
    pub(super) next: Option<Next>,
    /// When the log may get another line of it, and how many it did not get.
    next_line: Duration,
    unlogged: u64,
    /// Whether events were delivered since that was asked last.
    delivered: bool,
}

/// What becomes of an output.
pub(super) enum Next {
    Changed(Output),
    Removed,
}

impl Channel {
    /// Lines of the stream that are read in one turn.
    const LINES: usize = 1000;
    /// Least time between two lines of the log.
    const LOG_INTERVAL: Duration = Duration::from_secs(60);

    pub(super) fn new(delivery: Delivery<StreamsPlace>, reader: StreamsReader) -> Self {
        Self { delivery, reader, has_more: true, command: None, next: None, next_line: Duration::ZERO, unlogged: 0, delivered: false }
    }

    pub(super) fn name(&self) -> &str {
        &self.delivery.output().name
    }

    /// The stream has got more lines.
    pub(super) fn handle_written(&mut self) {
        self.has_more = true;
    }

    /// Whether events were delivered since the last call.
    pub(super) fn take_delivered(&mut self) -> bool {
        std::mem::take(&mut self.delivered)
    }

    pub(super) fn add_to(&self, poll: &mut PollSet) {
        self.command.iter().for_each(|command| command.add_to(poll));
    }

    pub(super) fn next_deadline(&self, now: Now) -> Option<Duration> {
        let reading = (self.has_more && self.delivery.wants_events()).then_some(now.mono);
        earlier(reading, self.delivery.next_deadline(now))
    }

    /// Takes what there is: the end of the command, events of the stream, the time. Starts the command if it is due. No output gets the
    /// events that are withheld.
    pub(super) fn advance(&mut self, now: Now, standing: &Standing<'_>, log: &mut Log) {
        self.follow_command(now, log);
        if self.next.is_some() {
            return;
        }
        self.read(now, standing);
        let is_due = self.delivery.handle_timeout(now);
        // Of a command that has ended, the next may start at once.
        if is_due && self.command.is_none() {
            self.start_command(now, standing, log);
        }
    }

    fn read(&mut self, now: Now, standing: &Standing<'_>) {
        for _ in 0..Self::LINES {
            if !self.has_more || !self.delivery.wants_events() {
                return;
            }
            match self.reader.next() {
                Some(line) if (standing.is_withheld)(&line.event) => self.delivery.handle_withheld(now, line.event, line.place),
                Some(line) => self.delivery.handle_event(now, line.event, line.place),
                None => self.has_more = false,
            }
        }
    }

    fn start_command(&mut self, now: Now, standing: &Standing<'_>, log: &mut Log) {
        let output = self.delivery.output().clone();
        let events = self.delivery.begin_run(now, standing);
        if events.is_empty() {
            return;
        }
        match Command::start(&output, &events) {
            Ok(command) => self.command = Some(command),
            Err(e) => self.handle_end(now, End::Failed(format!("cannot start {}: {}", output.command[0], reason(&e))), "", log),
        }
    }

    fn follow_command(&mut self, now: Now, log: &mut Log) {
        let Some(command) = &mut self.command else { return };
        let end = match command.advance() {
            Some(status) => match (status.code(), failure(status)) {
                (Some(0), _) => End::Delivered,
                (Some(code), _) => End::Status(code),
                (None, reason) => End::Failed(reason.unwrap_or_default()),
            },
            None if self.delivery.is_overdue(now) => {
                End::Failed(format!("did not end within {} s", self.delivery.output().batch.timeout.as_secs()))
            }
            None => return,
        };
        let said = command.said();
        // Kills it if it still runs.
        self.command = None;
        self.handle_end(now, end, &said, log);
    }

    fn handle_end(&mut self, now: Now, end: End, said: &str, log: &mut Log) {
        self.delivered |= end == End::Delivered;
        let had_failed = self.delivery.failure().is_some();
        self.delivery.handle_end(now, end);
        let mut line = match (self.delivery.failure(), self.delivery.pause(now)) {
            (Some(reason), Some(pause)) => format!("{reason}; the batch is repeated in {} s", pause.as_secs()),
            _ if had_failed => "works again".to_string(),
            _ => String::new(),
        };
        if !said.is_empty() {
            line = if line.is_empty() { said.into() } else { format!("{line}: {said}") };
        }
        if !line.is_empty() {
            self.log(now, &line, log);
        }
    }

    /// Writes a line, unless there was one less than a minute ago.
    fn log(&mut self, now: Now, text: &str, log: &mut Log) {
        if now.mono < self.next_line {
            self.unlogged += 1;
            return;
        }
        self.next_line = now.mono + Self::LOG_INTERVAL;
        let unlogged = match std::mem::take(&mut self.unlogged) {
            0 => String::new(),
            number => format!(" ({number} lines before it are left out)"),
        };
        log.write(now, &format!("output {}: {text}{unlogged}", self.name()));
    }

    /// Steps over the batch that the command fails with. Returns whether there is one.
    pub(super) fn skip(&mut self, now: Now) -> bool {
        if self.delivery.failure().is_some() {
            self.stop_command(now);
        }
        let skipped = self.delivery.skip();
        self.delivered |= skipped;
        skipped
    }

    /// Ends the command, if it runs, and what it had does not count as delivered.
    pub(super) fn stop_command(&mut self, now: Now) {
        if self.command.take().is_some() {
            self.delivery.handle_end(now, End::Failed("was stopped".into()));
        }
    }
}
