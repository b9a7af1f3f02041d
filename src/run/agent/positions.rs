//! The agent's own file of positions, for networks with several servers. Knows when to write; the agent knows what.

use crate::agent::{Agent, Urgency};
use crate::now::Now;
use crate::run::atomic_file::AtomicFile;
use crate::run::log::Log;
use crate::sys::reason;
use std::time::Duration;

pub(super) struct PositionsFile {
    kept: AtomicFile,
    /// When it may be written again. Urgent changes are written at once.
    next: Duration,
}

impl PositionsFile {
    const INTERVAL: Duration = Duration::from_secs(1);

    pub(super) fn new(path: &str) -> Self {
        Self { kept: AtomicFile::new(path.into()), next: Duration::ZERO }
    }

    /// Hands the agent the positions that an earlier run kept.
    pub(super) fn recall(&self, now: Now, agent: &mut Agent, log: &mut Log) {
        let (text, faults) = self.kept.read();
        faults.iter().for_each(|fault| log.write(now, fault));
        agent.remember(now, &text.unwrap_or_default());
    }

    /// Writes the positions if they have changed. To be called before anything is sent. What fails makes an event.
    pub(super) fn handle_timeout(&mut self, now: Now, agent: &mut Agent) {
        let urgency = if now.mono >= self.next { Urgency::Any } else { Urgency::Urgent };
        if let Some(text) = agent.positions(urgency) {
            self.next = now.mono + Self::INTERVAL;
            let outcome = self.kept.write(&text).map_err(|e| reason(&e));
            agent.handle_positions_written(now, self.kept.path(), outcome);
        }
    }

    /// The next call writes every change, however soon it comes.
    pub(super) fn hurry(&mut self) {
        self.next = Duration::ZERO;
    }

    /// When there may be something to write.
    pub(super) fn next_deadline(&self, now: Now, agent: &Agent) -> Option<Duration> {
        agent.has_new_positions().then_some(self.next.max(now.mono))
    }
}
