//! The commands that the agent wants run: a few at a time, each within limits of time and output. Waits for none of them.

use super::line_pipe::{LinePipe, Reading};
use crate::agent::{Agent, JobId, Task, TaskEnd};
use crate::encoding::Units;
use crate::now::Now;
use crate::run::{builtins, process_table};
use crate::sys::poll::PollSet;
use crate::sys::reason;
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Default)]
pub(super) struct Tasks {
    waiting: VecDeque<(JobId, Task)>,
    running: Vec<Running>,
}

struct Running {
    job: JobId,
    pipe: LinePipe,
    /// The agent has not taken all that was read.
    is_blocked: bool,
    limit: Duration,
    deadline: Duration,
}

impl Tasks {
    /// Most processes at a time: small devices have little memory.
    const MAX_RUNNING: usize = 4;
    const OUTPUT_LIMIT: u64 = 1 << 20;
    /// How often a process is checked that has closed its output and not ended.
    const LOOK_AGAIN: Duration = Duration::from_secs(1);

    pub(super) fn start(&mut self, job: JobId, task: Task) {
        self.waiting.push_back((job, task));
    }

    /// Ends a task by killing its process group.
    pub(super) fn stop(&mut self, job: JobId) {
        self.waiting.retain(|(waiting, _)| *waiting != job);
        self.running.retain(|running| running.job != job);
    }

    pub(super) fn add_to(&self, poll: &mut PollSet) {
        self.running.iter().filter_map(|running| running.pipe.fd()).for_each(|fd| poll.add(fd));
    }

    /// Starts what there is room for, and hands the agent what the others print.
    pub(super) fn handle(&mut self, now: Now, agent: &mut Agent, buffer: &mut [u8]) {
        let mut at = 0;
        while let Some(running) = self.running.get_mut(at) {
            let job = running.job;
            let mut take = |lines: &[u8], _: Units| agent.handle_task_lines(now, job, lines);
            let reading = running.pipe.read(buffer, &mut take);
            running.is_blocked = reading == Reading::Blocked;
            let outcome = match reading {
                Reading::Ended(end) => Some(end),
                // What it has printed counts, however long it takes to search.
                Reading::Blocked => None,
                _ if running.pipe.bytes_read() >= Self::OUTPUT_LIMIT => Some(TaskEnd { status: None, outcome: Ok(()) }),
                _ if now.mono >= running.deadline => Some(Err(did_not_end_within(running.limit)).into()),
                _ => None,
            };
            match outcome {
                None => at += 1,
                Some(end) => {
                    // Dropping it kills the group and reaps the process.
                    self.running.swap_remove(at);
                    agent.handle_task_end(now, job, end);
                }
            }
        }
        while self.running.len() < Self::MAX_RUNNING {
            let Some((job, task)) = self.waiting.pop_front() else { break };
            self.begin(now, job, task, agent);
        }
    }

    fn begin(&mut self, now: Now, job: JobId, task: Task, agent: &mut Agent) {
        let mut take = |lines: &[u8]| {
            let mut taken = 0;
            while taken < lines.len() {
                taken += agent.handle_task_lines(now, job, &lines[taken..]);
            }
        };
        let outcome = match task {
            Task::Command(command, limit) => match LinePipe::start(&mut command.words()) {
                Ok(pipe) => return self.running.push(Running { job, pipe, is_blocked: false, limit, deadline: now.mono + limit }),
                Err(e) => Err(reason(&e)),
            },
            Task::Builtin(builtin) => builtins::run(builtin).map(|lines| take(lines.as_bytes())),
            Task::ProcessTable => process_table::list(&mut take),
            Task::Processes { users } => process_table::list_with_owners(&users, &mut |entry| agent.handle_table(job, entry)),
        };
        agent.handle_task_end(now, job, outcome.into());
    }

    /// When a time limit ends or a process is to be looked at again.
    pub(super) fn next_deadline(&self, now: Now) -> Option<Duration> {
        if !self.waiting.is_empty() && self.running.len() < Self::MAX_RUNNING {
            return Some(now.mono);
        }
        let due = |running: &Running| match running.pipe.fd() {
            _ if running.is_blocked => now.mono,
            Some(_) => running.deadline,
            None => running.deadline.min(now.mono + Self::LOOK_AGAIN),
        };
        self.running.iter().map(due).min()
    }
}

fn did_not_end_within(limit: Duration) -> String {
    let seconds = limit.as_secs();
    format!("did not end within {seconds} second{}", if seconds == 1 { "" } else { "s" })
}
