//! When a command that is to run all the time is started again.

use crate::now::Now;
use std::time::Duration;

pub(super) struct Restart {
    started: Duration,
    next: Duration,
    /// How long the command rests before its next start.
    pause: Duration,
}

impl Restart {
    pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
    const LONGEST_PAUSE: Duration = Duration::from_secs(60);
    /// A command that ran for so long works.
    const SETTLED: Duration = Duration::from_secs(10);

    /// It is started at once.
    pub(super) fn new(now: Now) -> Self {
        Self { started: now.mono, next: now.mono, pause: Self::FIRST_PAUSE }
    }

    /// When the command is started next, while it does not run.
    pub(super) fn next(&self) -> Duration {
        self.next
    }

    pub(super) fn handle_start(&mut self, now: Now) {
        self.started = now.mono;
    }

    /// The longer the command ran, the sooner it is started again.
    pub(super) fn handle_end(&mut self, now: Now) {
        if now.mono.saturating_sub(self.started) >= Self::LONGEST_PAUSE {
            self.pause = Self::FIRST_PAUSE;
        }
        self.next = now.mono + self.pause;
        self.pause = Self::LONGEST_PAUSE.min(self.pause * 2);
    }

    /// Whether the command has run for so long that it works. With its first output that is not known: it may print and then fail.
    pub(super) fn is_settled(&self, now: Now) -> bool {
        now.mono.saturating_sub(self.started) >= Self::SETTLED
    }

    /// When [`Self::is_settled`] changes.
    pub(super) fn settles(&self, now: Now) -> Option<Duration> {
        Some(self.started + Self::SETTLED).filter(|settled| now.mono < *settled)
    }
}
