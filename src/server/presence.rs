//! Whether a host is heard or silent, and when its silence is reported.

use std::time::Duration;

pub(super) struct Presence {
    last_heard: Duration,
    /// When the silence was last reported, while it lasts.
    reported: Option<Duration>,
}

impl Presence {
    /// A host that is silent for this long is inactive.
    pub(super) const SILENCE: Duration = Duration::from_secs(180);
    const REMINDER_INTERVAL: Duration = Duration::from_secs(30 * 60);

    pub(super) fn new(now: Duration) -> Self {
        Self { last_heard: now, reported: None }
    }

    /// Notes that the host was heard. Returns whether it was reported as inactive before.
    pub(super) fn handle_heard(&mut self, now: Duration) -> bool {
        self.last_heard = now;
        self.reported.take().is_some()
    }

    /// Forgets that the host was reported as inactive.
    pub(super) fn forget_report(&mut self) {
        self.reported = None;
    }

    pub(super) fn is_silent(&self, now: Duration) -> bool {
        now - self.last_heard >= Self::SILENCE
    }

    /// Returns whether to report the host as inactive now. If so, it counts as reported.
    pub(super) fn take_report(&mut self, now: Duration) -> bool {
        let is_due = self.is_silent(now) && self.reported.is_none_or(|at| now - at >= Self::REMINDER_INTERVAL);
        if is_due {
            self.reported = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_reported_at_180_seconds_and_every_half_hour_until_the_host_is_heard() {
        let at = Duration::from_secs;
        let mut presence = Presence::new(at(0));
        let reports: Vec<_> = (1..4000).filter(|second| presence.take_report(at(*second))).collect();
        assert_eq!(reports, [180, 1980, 3780]);
        assert!(presence.handle_heard(at(4000)) && !presence.handle_heard(at(4001)));
        assert!(!presence.take_report(at(4180)) && presence.take_report(at(4181)));
        presence.forget_report();
        assert!(!presence.handle_heard(at(4200)));
    }
}
