//! Whether a host is heard or silent, and when its silence is reported. Where a host hangs behind another one whose silence explains its
//! own, the report says so.

use crate::directives::host::Inactive;
use crate::now::Now;
use std::time::Duration;

pub(super) struct Presence {
    limit: Inactive,
    last_heard: Duration,
    /// The same in seconds since 1970; `None` if it was never heard, also not by earlier runs of the server.
    heard_unix: Option<u64>,
    /// Whether it was heard in this run of the server.
    is_heard: bool,
    /// When it was heard after it had been silent.
    back_since: Duration,
    /// Its agent has said that it ends, and nothing since.
    is_stopped: bool,
    /// The last report of the silence, while that lasts.
    report: Option<Report>,
    /// When the hosts behind it are to be counted.
    count_due: Option<Duration>,
}

/// A report of a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Report {
    at: Duration,
    /// What the first report of the silence said, and so what its end will say.
    place: Place,
}

/// Whether the silence of another host explains that of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It counts by itself.
    Reachable,
    /// It hangs behind a host that is silent.
    Behind,
}

/// Whether a report is the first of its silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    Again,
}

/// What a host that others hang behind is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ParentPresence {
    /// Its silence was reported, or is about to be.
    is_down: bool,
    /// Its silence may still be too short to be reported.
    may_be_down: bool,
    last_heard: Duration,
    back_since: Duration,
}

/// What a host is, as the status shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostState {
    /// It is silent for too long.
    Silent,
    /// It has no host file.
    Unknown,
    /// It has a host file, and was never heard.
    NeverSeen,
    /// Its agent has said that it ends.
    Stopped,
    /// It is heard.
    Alive,
}

impl Presence {
    /// After so long without a word a session is over.
    const SESSION_SILENCE: Duration = Duration::from_secs(180);
    const REMINDER_INTERVAL: Duration = Duration::from_secs(30 * 60);
    /// Two hosts that fall silent together were last heard within this time of each other.
    const SETTLE: Duration = Duration::from_secs(75);

    pub(super) fn new(now: Duration) -> Self {
        Self {
            limit: Inactive::default(),
            last_heard: now,
            heard_unix: None,
            is_heard: false,
            back_since: now,
            is_stopped: false,
            report: None,
            count_due: None,
        }
    }

    /// Sets how long the host may be silent.
    pub(super) fn set_limit(&mut self, limit: Inactive) {
        self.limit = limit;
    }

    /// An earlier run of the server heard the host at that time, in seconds since 1970.
    pub(super) fn restore_heard(&mut self, unix: u64) {
        self.heard_unix = Some(self.heard_unix.map_or(unix, |known| known.max(unix)));
    }

    /// An earlier run of the server has reported a silence that was not over.
    pub(super) fn restore_report(&mut self, now: Duration, place: Place) {
        self.report = Some(Report { at: now, place });
    }

    /// Notes that the host was heard. Returns what the reports of its silence said, if there were any.
    pub(super) fn handle_heard(&mut self, now: Now) -> Option<Place> {
        if self.is_stopped || self.report.is_some() || self.has_no_session(now.mono) {
            self.back_since = now.mono;
        }
        (self.last_heard, self.heard_unix) = (now.mono, Some(now.unix));
        (self.is_heard, self.is_stopped, self.count_due) = (true, false, None);
        self.report.take().map(|report| report.place)
    }

    /// The agent ends. Returns whether it had not said so before.
    pub(super) fn handle_bye(&mut self, now: Now) -> bool {
        (self.last_heard, self.heard_unix) = (now.mono, Some(now.unix));
        !std::mem::replace(&mut self.is_stopped, true)
    }

    /// Forgets that the host was reported as inactive.
    pub(super) fn forget_report(&mut self) {
        self.report = None;
        self.count_due = None;
    }

    /// Whether it is silent for so long that its session is over.
    pub(super) fn has_no_session(&self, now: Duration) -> bool {
        now - self.last_heard >= Self::SESSION_SILENCE
    }

    fn is_silent(&self, now: Duration) -> bool {
        matches!(self.limit, Inactive::After(limit) if now - self.last_heard >= limit)
    }

    /// Returns whether to report the host as inactive now, and how. If so, it counts as reported. `parent` is the host that it hangs behind.
    pub(super) fn take_report(&mut self, now: Duration, parent: Option<ParentPresence>) -> Option<(Turn, Place)> {
        if !self.is_silent(now) {
            return None;
        }
        let place = if parent.is_some_and(|parent| parent.is_down) { Place::Behind } else { Place::Reachable };
        let report = match self.report {
            None if parent.is_some_and(|parent| self.may_be_behind(parent)) => return None,
            None => (Turn::First, place),
            // The host in front of it is back, and it is not.
            Some(Report { place: Place::Behind, .. }) if place == Place::Reachable => {
                let back_since = parent.map_or(Duration::ZERO, |parent| parent.back_since);
                (now - back_since >= self.grace()).then_some((Turn::First, place))?
            }
            Some(Report { at, .. }) => (now - at >= Self::REMINDER_INTERVAL).then_some((Turn::Again, place))?,
        };
        let first = self.report.map_or(place, |before| before.place);
        self.report = Some(Report { at: now, place: if report.0 == Turn::First { place } else { first } });
        self.count_due = (place == Place::Reachable).then(|| now + Self::SETTLE);
        Some(report)
    }

    /// Whether the other host may be silent for as long, which is not certain yet.
    fn may_be_behind(&self, parent: ParentPresence) -> bool {
        !parent.is_down && parent.may_be_down && parent.last_heard < self.last_heard + Self::SETTLE
    }

    /// How long a host has to be heard once the one in front of it is.
    fn grace(&self) -> Duration {
        match self.limit {
            Inactive::After(limit) => limit,
            Inactive::Never => Duration::MAX,
        }
    }

    /// Returns whether to count the hosts behind it now. If so, they count as counted.
    pub(super) fn take_count(&mut self, now: Duration) -> bool {
        self.count_due.take_if(|due| *due <= now).is_some()
    }

    /// Whether its silence was reported as explained by that of another host.
    pub(super) fn is_behind(&self) -> bool {
        self.report.is_some_and(|report| report.place == Place::Behind)
    }

    /// What it means for the hosts behind it.
    pub(super) fn as_parent(&self, now: Duration) -> ParentPresence {
        // The silence of a host that nobody ever heard explains nothing.
        let was_heard = self.heard_unix.is_some();
        let is_down = was_heard && (self.report.is_some() || self.is_silent(now));
        let may_be_down = was_heard && matches!(self.limit, Inactive::After(_)) && !self.has_no_session(now);
        ParentPresence { is_down, may_be_down, last_heard: self.last_heard, back_since: self.back_since }
    }

    /// What a host with a file is.
    pub(super) fn state(&self, now: Now) -> HostState {
        let is_old = |unix: u64| matches!(self.limit, Inactive::After(limit) if now.unix.saturating_sub(unix) >= limit.as_secs());
        match self.heard_unix {
            None => HostState::NeverSeen,
            _ if self.report.is_some() => HostState::Silent,
            _ if self.is_stopped => HostState::Stopped,
            // What an earlier run of the server has heard.
            Some(unix) if !self.is_heard && is_old(unix) => HostState::Silent,
            Some(_) => HostState::Alive,
        }
    }

    /// When it was last heard, in seconds since 1970.
    pub(super) fn heard_unix(&self) -> Option<u64> {
        self.heard_unix
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::WeekMinute;

    const DAY: Inactive = Inactive::After(Duration::from_secs(86_400));

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn now(seconds: u64) -> Now {
        Now { mono: at(seconds), unix: 1_000_000 + seconds, local: WeekMinute::new(0, 0, 0), second: 0 }
    }

    /// A host that was heard at the start.
    fn heard() -> Presence {
        let mut presence = Presence::new(at(0));
        presence.handle_heard(now(0));
        presence
    }

    fn reports(presence: &mut Presence, seconds: std::ops::Range<u64>) -> Vec<u64> {
        seconds.filter(|second| presence.take_report(at(*second), None).is_some()).collect()
    }

    /// A parent that was heard until then, and the first report of a host behind it that was heard until then.
    fn first_report(parent_heard: u64, child_heard: u64) -> Option<(u64, Place)> {
        let (mut parent, mut child) = (Presence::new(at(0)), Presence::new(at(0)));
        (0..1000).find_map(|second| {
            if second <= parent_heard && second % 60 == 0 {
                parent.handle_heard(now(second));
            }
            if second <= child_heard && second % 60 == 30 {
                child.handle_heard(now(second));
            }
            let seen = parent.as_parent(at(second));
            let report = child.take_report(at(second), Some(seen));
            parent.take_report(at(second), None);
            report.map(|(_, place)| (second, place))
        })
    }

    #[test]
    fn silence_is_reported_at_180_seconds_and_every_half_hour_until_the_host_is_heard() {
        let mut presence = Presence::new(at(0));
        assert_eq!(reports(&mut presence, 1..4000), [180, 1980, 3780]);
        assert_eq!([4000, 4001].map(|second| presence.handle_heard(now(second))), [Some(Place::Reachable), None]);
        assert_eq!(reports(&mut presence, 4001..4200), [4181]);
        presence.forget_report();
        assert_eq!(presence.handle_heard(now(4200)), None);
    }

    #[test]
    fn a_host_may_be_silent_for_as_long_as_its_file_says() {
        let mut presence = Presence::new(at(0));
        presence.set_limit(DAY);
        assert_eq!(reports(&mut presence, 1..100_000), [86_400, 88_200, 90_000, 91_800, 93_600, 95_400, 97_200, 99_000]);
        assert!(presence.has_no_session(at(180)), "its session is over all the same");
        presence.forget_report();
        presence.set_limit(Inactive::Never);
        assert_eq!(reports(&mut presence, 100_000..200_000), [0; 0]);
    }

    #[test]
    fn a_host_that_was_stopped_is_reported_all_the_same() {
        let mut presence = Presence::new(at(0));
        presence.handle_heard(now(1));
        assert!(presence.handle_bye(now(10)) && !presence.handle_bye(now(11)));
        assert_eq!(presence.state(now(12)), HostState::Stopped);
        assert_eq!(reports(&mut presence, 12..500), [191]);
        assert_eq!(presence.state(now(192)), HostState::Silent);
        presence.handle_heard(now(200));
        assert_eq!(presence.state(now(201)), HostState::Alive);
    }

    #[test]
    fn hosts_that_fall_silent_together_are_explained_by_the_one_in_front() {
        assert_eq!(first_report(300, 300), Some((480, Place::Behind)), "the host was heard first for the last time");
        assert_eq!(first_report(300, 330), Some((510, Place::Behind)));
        assert_eq!(first_report(900, 300), Some((450, Place::Reachable)), "the other one is heard");
        assert_eq!(first_report(360, 300), Some((450, Place::Reachable)), "it was heard while the other one should have been");
    }

    #[test]
    fn a_host_that_stays_away_when_the_one_in_front_is_back_is_reported_by_itself() {
        let (mut parent, mut child) = (heard(), Presence::new(at(0)));
        let mut reports = Vec::new();
        for second in 0..1000 {
            if second >= 600 {
                parent.handle_heard(now(second));
            }
            let seen = parent.as_parent(at(second));
            reports.extend(child.take_report(at(second), Some(seen)).map(|report| (second, report)));
        }
        assert_eq!(reports, [(180, (Turn::First, Place::Behind)), (780, (Turn::First, Place::Reachable))]);
        assert_eq!(child.handle_heard(now(1000)), Some(Place::Reachable));
    }

    #[test]
    fn a_parent_that_may_be_silent_for_ever_or_was_never_heard_explains_nothing() {
        let mut parent = heard();
        parent.set_limit(Inactive::Never);
        for parent in [parent, Presence::new(at(0))] {
            let mut child = Presence::new(at(0));
            let parent = parent.as_parent(at(180));
            assert_eq!(child.take_report(at(180), Some(parent)), Some((Turn::First, Place::Reachable)));
        }
    }

    #[test]
    fn the_hosts_behind_are_counted_once_after_each_report() {
        let mut presence = Presence::new(at(0));
        let counted: Vec<u64> = (0..2500)
            .filter(|second| {
                presence.take_report(at(*second), None);
                presence.take_count(at(*second))
            })
            .collect();
        assert_eq!(counted, [255, 2055]);
    }

    #[test]
    fn what_an_earlier_run_heard_and_reported_counts() {
        let mut presence = Presence::new(at(0));
        assert_eq!(presence.state(now(1)), HostState::NeverSeen);
        presence.restore_heard(1_000_000 - 100);
        assert_eq!((presence.state(now(1)), presence.state(now(80))), (HostState::Alive, HostState::Silent));
        presence.restore_report(at(1), Place::Behind);
        assert_eq!((presence.state(now(1)), presence.handle_heard(now(2))), (HostState::Silent, Some(Place::Behind)));
    }
}
