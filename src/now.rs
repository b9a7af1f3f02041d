//! The time as the state machines see it: an argument of every call, never a clock that they read.

use crate::schedule::WeekMinute;
use std::time::Duration;

/// One reading of all clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since an arbitrary start, and never turned back: intervals and deadlines.
    pub mono: Duration,
    /// Seconds since 1970 by the system's clock, which may jump: the time written into events.
    pub unix: u64,
    /// Where in the local week that is, by the system's clock.
    pub local: WeekMinute,
    /// Seconds into that local minute.
    pub second: u8,
}

/// The earlier of two deadlines, where `None` is never.
pub fn earlier(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
