//! What the agent wants done, in the order in which it came up. Nothing is carried out here.

use crate::directives::host::{Builtin, CommandLine, LogSource};
use crate::encoding::Encoding;
use crate::wire::position::{FilePosition, Position};
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::Duration;

/// What the agent wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send that datagram.
    Send { to: SocketAddrV4, datagram: Vec<u8> },
    /// Follow these logs and no others, and read them in these encodings. Logs that are followed already continue.
    /// A wildcard's files are reported by [`LogEvent::Found`](super::LogEvent::Found) with the id given here.
    Follow(Vec<(LogId, LogSource, Encoding)>),
    /// Read a file of the log `source` from `start` on, and report it by [`LogEvent::Opened`](super::LogEvent::Opened).
    /// All events about this file carry the id `log`. It equals `source` unless a wildcard found the file.
    Open { source: LogId, log: LogId, path: String, start: Start },
    /// Report by [`LogEvent::End`](super::LogEvent::End) where every open log ends now, before any more of it is read.
    Measure,
    /// Start a task. Its output goes to [`Agent::handle_task_lines`](super::Agent::handle_task_lines), its end to
    /// [`Agent::handle_task_end`](super::Agent::handle_task_end).
    Start { job: JobId, task: Task },
    /// End that task if it still runs. Reports about it are ignored from now on.
    Stop(JobId),
    /// Write a line into the agent's own log.
    Log(String),
}

/// Names a log that the configuration asks for, or a file that a wildcard found. The agent never uses an id twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(u64);

#[cfg(test)]
impl LogId {
    /// Some id, for tests of what carries ids.
    pub(crate) fn any() -> Self {
        Self(0)
    }
}

/// Makes the ids of logs.
#[derive(Debug, Default)]
pub(super) struct LogIds {
    next: u64,
}

impl LogIds {
    /// An id that is greater than all ids before.
    pub(super) fn mint(&mut self) -> LogId {
        let id = LogId(self.next);
        self.next += 1;
        id
    }
}

/// Where reading of a file begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At its end: what it holds already is skipped.
    End,
    /// At its first byte.
    Beginning,
    /// Where an earlier reading of the log stopped, and when that was, in seconds since 1970.
    At(Position, u64),
    /// At the first of these places, if the file confirms it: an earlier reading stopped there or later, but the file has lost its end.
    /// Without a place, or anything else that is found again, at its first byte.
    Among(Vec<FilePosition>, Position, u64),
    /// Where it is being read now: a wildcard found an open file under another name.
    Continue,
}

/// Names a task that was started. The agent never uses an id twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobId(pub(super) u64);

/// What can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// A process of its own, which has failed if it runs for longer than that.
    Command(CommandLine, Duration),
    /// A built-in command.
    Builtin(Builtin),
    /// A list of all processes, one a line, from the system itself.
    ProcessTable,
    /// The same list with whose they are, and which of these users there are not. Each goes to
    /// [`Agent::handle_table`](super::Agent::handle_table).
    Processes { users: Vec<Box<str>> },
}

/// What the system says when it is asked for its processes and their users.
#[derive(Clone, Copy, Debug)]
pub enum TableEntry<'a> {
    /// A process that runs.
    Process(Process<'a>),
    /// No process can have this user by that name.
    UnknownUser(&'a str),
}

/// A process, as the table of the system has it.
#[derive(Clone, Copy, Debug)]
pub struct Process<'a> {
    /// Its number.
    pub id: u32,
    /// That of its parent; 0 if it has none here.
    pub parent: u32,
    /// The number of the user as whom it acts …
    pub user: u32,
    /// … and the name of that user, or nothing.
    pub user_name: &'a str,
    /// Whether it is in a namespace of processes within the agent's, as those of containers are.
    pub is_contained: bool,
    /// Its arguments, joined by spaces, or its name in brackets.
    pub line: &'a str,
}

/// How a task has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnd {
    /// The exit status, if it has ended by itself.
    pub status: Option<u8>,
    /// Whether it has succeeded, or why not. An exit status other than 0 is a failure here.
    pub outcome: Result<(), String>,
}

impl From<Result<(), String>> for TaskEnd {
    /// The end of what is no process.
    fn from(outcome: Result<(), String>) -> Self {
        Self { status: outcome.is_ok().then_some(0), outcome }
    }
}

/// The outputs that wait to be carried out, oldest first.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    queue: VecDeque<Output>,
}

impl Outputs {
    pub(super) fn push(&mut self, output: Output) {
        self.queue.push_back(output);
    }

    pub(super) fn send(&mut self, to: SocketAddrV4, datagram: Vec<u8>) {
        self.push(Output::Send { to, datagram });
    }

    pub(super) fn log(&mut self, text: String) {
        self.push(Output::Log(text));
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        let output = self.queue.pop_front();
        if self.queue.is_empty() {
            // A burst's capacity is not kept.
            self.queue = VecDeque::new();
        }
        output
    }
}
