//! Detects that two agents use the name of one host. A device that moves or restarts has a new address or run and never returns to the old
//! one; two agents alternate.

use crate::wire::Token;
use std::net::Ipv4Addr;
use std::time::Duration;

#[derive(Default)]
pub(super) struct NameConflict {
    addresses: Latest<Ipv4Addr>,
    runs: Latest<Token>,
    /// When two runs last alternated.
    runs_alternated: Option<Duration>,
    reported: Option<Duration>,
}

/// The latest value, and the one before it with the time at which it was replaced.
struct Latest<V> {
    current: Option<V>,
    previous: Option<(V, Duration)>,
}

impl<V> Default for Latest<V> {
    fn default() -> Self {
        Self { current: None, previous: None }
    }
}

impl<V: Copy + PartialEq> Latest<V> {
    /// Notes a value. If it replaces another one and was itself replaced recently, returns that other one.
    fn replace(&mut self, now: Duration, value: V) -> Option<V> {
        let replaced = self.current.replace(value).filter(|current| *current != value)?;
        let previous = self.previous.replace((replaced, now));
        previous.is_some_and(|(previous, at)| previous == value && now - at < NameConflict::ALTERNATES_WITHIN).then_some(replaced)
    }
}

impl NameConflict {
    /// A value that returns within this time belongs to a second agent.
    const ALTERNATES_WITHIN: Duration = Duration::from_secs(180);
    const REPORT_INTERVAL: Duration = Duration::from_secs(60 * 60);

    /// Notes the address that the host was heard at. Returns both addresses if a conflict is to be reported.
    pub(super) fn handle_address(&mut self, now: Duration, address: Ipv4Addr) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let other = self.addresses.replace(now, address)?;
        self.take_report(now).then_some((other, address))
    }

    /// Notes the run of a new session. Returns whether a conflict is to be reported.
    pub(super) fn handle_run(&mut self, now: Duration, run: Token) -> bool {
        if self.runs.replace(now, run).is_none() {
            return false;
        }
        self.runs_alternated = Some(now);
        self.take_report(now)
    }

    /// Whether two runs have alternated recently.
    pub(super) fn has_two_runs(&self, now: Duration) -> bool {
        self.runs_alternated.is_some_and(|at| now - at < Self::ALTERNATES_WITHIN)
    }

    /// Returns whether a conflict may be reported. If so, it counts as reported.
    fn take_report(&mut self, now: Duration) -> bool {
        let is_due = self.reported.is_none_or(|at| now - at >= Self::REPORT_INTERVAL);
        if is_due {
            self.reported = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_device_that_moves_is_no_conflict() {
        let mut conflict = NameConflict::default();
        for (second, address) in [(0, ONE), (1, ONE), (2, OTHER), (3, OTHER), (182, ONE)] {
            assert_eq!(conflict.handle_address(at(second), address), None, "{second}");
        }
    }

    #[test]
    fn alternating_addresses_are_reported_once_an_hour() {
        let mut conflict = NameConflict::default();
        let mut reports = Vec::new();
        for second in 0..7300 {
            let address = if second % 2 == 0 { ONE } else { OTHER };
            reports.extend(conflict.handle_address(at(second), address).map(|addresses| (second, addresses)));
        }
        assert_eq!(reports, [(2, (OTHER, ONE)), (3602, (OTHER, ONE)), (7202, (OTHER, ONE))]);
    }

    #[test]
    fn a_restarted_agent_is_no_conflict_and_alternating_runs_are_one_for_three_minutes() {
        let mut conflict = NameConflict::default();
        for run in 1..5 {
            assert!(!conflict.handle_run(at(1), Token(run)) && !conflict.has_two_runs(at(1)), "{run}");
        }
        assert!(conflict.handle_run(at(2), Token(3)));
        assert!(conflict.has_two_runs(at(181)) && !conflict.has_two_runs(at(182)));
        assert!(!conflict.handle_run(at(3), Token(4)), "reported before");
    }
}
