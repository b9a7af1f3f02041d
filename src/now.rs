//! The time as the state machines see it: an argument of every call, never a clock that they read.

use crate::schedule::WeekMinute;
use std::time::Duration;

/// One reading of all clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since an arbitrary start. It never goes back: intervals and deadlines use it.
    pub mono: Duration,
    /// Seconds since 1970 by the system's clock, which may jump. Events carry it.
    pub unix: u64,
    /// The minute of the local week, by the system's clock.
    pub local: WeekMinute,
    /// Seconds into that local minute.
    pub second: u8,
}

/// The earlier of two deadlines, where `None` is a deadline that never arrives.
pub fn earlier(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_never_arrives_is_later_than_any_other() {
        let second = Duration::from_secs(1);
        assert_eq!(earlier(None, None), None);
        assert_eq!(earlier(None, Some(second)), Some(second));
        assert_eq!(earlier(Some(second), None), Some(second));
        assert_eq!(earlier(Some(second), Some(2 * second)), Some(second));
    }
}
