//! Lines of the agent's own log that strangers can cause: each kind is logged once a minute at most, or more seldom.

use crate::now::Now;
use std::time::Duration;

/// What strangers can cause and is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StrangerNotice {
    /// A session began.
    Session,
    /// A server does not prove the key.
    Unproven,
    /// A part of a configuration does not belong to it.
    Corrupt,
    /// A server requires a key, and this agent has none.
    Locked,
}

/// When each notice may be logged next.
#[derive(Default)]
pub(super) struct NoticeLimits {
    next: [Duration; 4],
}

impl NoticeLimits {
    const INTERVAL: Duration = Duration::from_secs(60);
    /// A server says so every two seconds, until somebody does something about it.
    const INTERVAL_LOCKED: Duration = Duration::from_secs(60 * 60);

    /// Whether a notice may be logged now. If so, it counts as logged.
    pub(super) fn admit(&mut self, now: Now, notice: StrangerNotice) -> bool {
        let next = &mut self.next[notice as usize];
        let is_admitted = now.mono >= *next;
        if is_admitted {
            *next = now.mono + if notice == StrangerNotice::Locked { Self::INTERVAL_LOCKED } else { Self::INTERVAL };
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::WeekMinute;

    #[test]
    fn each_notice_is_logged_once_a_minute_at_most() {
        let mut limits = NoticeLimits::default();
        let at = |seconds| Now { mono: Duration::from_secs(seconds), unix: 0, local: WeekMinute::new(0, 0, 0), second: 0 };
        assert!(limits.admit(at(5), StrangerNotice::Session) && limits.admit(at(6), StrangerNotice::Corrupt));
        let admitted: Vec<u64> = (6..130).filter(|seconds| limits.admit(at(*seconds), StrangerNotice::Session)).collect();
        assert_eq!(admitted, [65, 125]);
        let admitted = (0..3700).filter(|seconds| limits.admit(at(*seconds), StrangerNotice::Locked));
        assert_eq!(admitted.collect::<Vec<_>>(), [0, 3600]);
    }
}
