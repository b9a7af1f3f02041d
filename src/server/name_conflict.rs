//! Detects that several devices use the name of one host. A device that moves or restarts has a new address or run and never returns to
//! the old one; devices of one name take turns.

use crate::wire::Token;
use std::net::Ipv4Addr;
use std::time::Duration;

#[derive(Default)]
pub(super) struct NameConflict {
    current: Option<Device>,
    /// Those before it, the latest last, with the time at which each was replaced.
    previous: Vec<(Device, Duration)>,
    /// When two runs last took turns.
    runs_alternated: Option<Duration>,
    reported: Option<Duration>,
}

/// What tells one device from another. The same run is the same device, wherever it is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    /// The run of its agent. Version 1 agents have none.
    pub(super) run: Option<Token>,
    pub(super) address: Ipv4Addr,
}

/// Two devices of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    /// The one that was heard before, and the one that returned.
    pub(super) devices: [Device; 2],
}

impl Device {
    fn is_same(&self, other: &Self) -> bool {
        match (self.run, other.run) {
            (Some(run), Some(other)) => run == other,
            // Between two sessions an agent speaks version 1 now and then.
            _ => self.address == other.address,
        }
    }
}

impl Conflict {
    /// Whether both have a run.
    pub(super) fn is_of_runs(&self) -> bool {
        self.devices.iter().all(|device| device.run.is_some())
    }
}

impl NameConflict {
    /// A device that returns within this time is not the one that replaced it.
    const ALTERNATES_WITHIN: Duration = Duration::from_secs(180);
    const REPORT_INTERVAL: Duration = Duration::from_secs(60 * 60);
    /// Most earlier devices that are remembered: with one more, so many that take turns are noticed.
    const MAX_PREVIOUS: usize = 15;

    /// Notes the device that the host was heard as. Returns the conflict if one is to be reported.
    pub(super) fn handle_device(&mut self, now: Duration, device: Device) -> Option<Conflict> {
        let replaced = self.current.replace(device)?;
        if replaced.is_same(&device) {
            self.current = Some(Device { run: device.run.or(replaced.run), ..device });
            return None;
        }
        self.previous.retain(|(_, at)| now.saturating_sub(*at) < Self::ALTERNATES_WITHIN);
        let is_back = self.previous.iter().any(|(previous, _)| previous.is_same(&device));
        self.previous.retain(|(previous, _)| !previous.is_same(&device) && !previous.is_same(&replaced));
        if self.previous.len() == Self::MAX_PREVIOUS {
            self.previous.remove(0);
        }
        self.previous.push((replaced, now));
        let conflict = is_back.then_some(Conflict { devices: [replaced, device] })?;
        if conflict.is_of_runs() {
            self.runs_alternated = Some(now);
        }
        self.take_report(now).then_some(conflict)
    }

    /// Whether two runs have taken turns recently.
    pub(super) fn has_two_runs(&self, now: Duration) -> bool {
        self.runs_alternated.is_some_and(|at| now.saturating_sub(at) < Self::ALTERNATES_WITHIN)
    }

    /// Returns whether a conflict may be reported. If so, it counts as reported.
    fn take_report(&mut self, now: Duration) -> bool {
        let is_due = self.reported.is_none_or(|at| now.saturating_sub(at) >= Self::REPORT_INTERVAL);
        if is_due {
            self.reported = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn address(last: u8) -> Ipv4Addr {
        [10, 0, 0, last].into()
    }

    fn classic(last: u8) -> Device {
        Device { run: None, address: address(last) }
    }

    fn of_run(run: u128, last: u8) -> Device {
        Device { run: Some(Token(run)), address: address(last) }
    }

    /// The seconds at which a conflict is reported.
    fn reports(heard: &[(u64, Device)]) -> Vec<u64> {
        let mut conflict = NameConflict::default();
        heard.iter().filter(|(second, device)| conflict.handle_device(at(*second), *device).is_some()).map(|(second, _)| *second).collect()
    }

    #[test]
    fn a_device_that_moves_or_restarts_is_no_conflict() {
        assert_eq!(reports(&[(0, 1), (1, 1), (2, 2), (3, 2), (182, 1)].map(|(second, last)| (second, classic(last)))), []);
        assert_eq!(reports(&[1, 2, 3, 4].map(|run| (1, of_run(run, 1)))), []);
    }

    #[test]
    fn one_run_is_one_device_wherever_it_is_heard() {
        assert_eq!(reports(&[1, 2, 1, 2, 1].map(|last| (1, of_run(7, last)))), []);
        // For some seconds it spoke version 1.
        let between = [of_run(7, 1), classic(1), of_run(7, 1), classic(1), of_run(7, 1)];
        assert_eq!(reports(&between.map(|device| (1, device))), []);
    }

    #[test]
    fn devices_that_take_turns_are_a_conflict_however_many() {
        for count in 2..=16 {
            let device = |turn: u8| (u64::from(turn), classic(turn % count));
            assert_eq!(reports(&(0..100).map(device).collect::<Vec<_>>()), [u64::from(count)]);
            let device = |turn: u8| (u64::from(turn), of_run(u128::from(turn % count), 1));
            assert_eq!(reports(&(0..100).map(device).collect::<Vec<_>>()), [u64::from(count)]);
        }
        assert_eq!(reports(&[of_run(7, 1), classic(2), of_run(7, 1)].map(|device| (1, device))), [1]);
    }

    #[test]
    fn a_conflict_that_lasts_is_reported_once_an_hour() {
        let device = |turn: u64| (turn, classic(u8::try_from(turn % 2).unwrap()));
        assert_eq!(reports(&(0..7300).map(device).collect::<Vec<_>>()), [2, 3602, 7202]);
    }

    #[test]
    fn runs_that_took_turns_are_two_agents_for_three_minutes() {
        let mut conflict = NameConflict::default();
        for run in [1, 2] {
            conflict.handle_device(at(1), of_run(run, 1));
            assert!(!conflict.has_two_runs(at(1)));
        }
        let reported = conflict.handle_device(at(2), of_run(1, 3)).unwrap();
        assert_eq!((reported.devices, reported.is_of_runs()), ([of_run(2, 1), of_run(1, 3)], true));
        assert!(conflict.has_two_runs(at(181)) && !conflict.has_two_runs(at(182)));
    }
}
