//! The time as the state machines see it: an argument of every call, never a clock that they read.

use crate::schedule::WeekMinute;
use std::ops::{Add, Sub};
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

/// Milliseconds between two moments, or since the start of [`Now::mono`]: one machine word, where [`Duration`] takes two and much code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(u64);

impl Millis {
    /// No time at all, or the start.
    pub const ZERO: Self = Self(0);
    /// When that is due which is not due at any time.
    pub const NEVER: Self = Self(u64::MAX);

    /// So many milliseconds.
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// Their number.
    pub const fn count(self) -> u64 {
        self.0
    }
}

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self(duration.as_secs() * 1000 + u64::from(duration.subsec_millis()))
    }
}

/// A deadline as the outside world has it, where `None` is never.
impl From<Millis> for Option<Duration> {
    fn from(deadline: Millis) -> Self {
        (deadline != Millis::NEVER).then(|| Duration::from_millis(deadline.0))
    }
}

/// What is never due stays so.
impl Add for Millis {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }
}

/// Between a moment and a later one is no time.
impl Sub for Millis {
    type Output = Self;

    fn sub(self, less: Self) -> Self {
        Self(self.0.saturating_sub(less.0))
    }
}

/// A [`Now`] as the agent's parts hand it on among themselves.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// As [`Now::mono`].
    pub mono: Millis,
    /// As [`Now::unix`].
    pub unix: u64,
    /// As [`Now::local`].
    pub local: WeekMinute,
    /// As [`Now::second`].
    pub second: u8,
}

impl From<Now> for Moment {
    #[inline(never)]
    fn from(Now { mono, unix, local, second }: Now) -> Self {
        Self { mono: mono.into(), unix, local, second }
    }
}
