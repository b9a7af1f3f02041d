//! Which version of the protocol a server speaks, concluded from what it says and does not say. Reads no clock and sends nothing.

use crate::now::earlier;
use std::time::Duration;

/// How to speak with the selected server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) enum Phase {
    /// Its version is not known yet: events wait.
    Probing,
    /// It speaks version 1.
    Classic,
    /// It speaks version 3, and there is a session.
    Session,
}

/// Whether heartbeats of the server reach this agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The server was selected because it was heard.
    Broadcast,
    /// The server was given to the agent: its heartbeats may not come this far.
    Fixed,
}

/// What is known when a HELLO is due once more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unanswered {
    /// How many HELLOs had no answer.
    pub(super) hellos: u32,
    /// How long ago the server was last heard.
    pub(super) silence: Duration,
    /// Whether the server has said lately, to everyone, that it speaks version 3.
    pub(super) announces_v3: bool,
    pub(super) reach: Reach,
}

/// Whether another HELLO makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    Continue,
    Stop,
}

/// Collects what tells the version of one server.
pub(super) struct VersionDetector {
    phase: Phase,
    /// Whether the server said what version 1 servers say. Otherwise it is only silent.
    was_heard_as_classic: bool,
    /// When it last said something that only version 3 has.
    last_v3: Option<Duration>,
    /// How many heartbeats came, and when the last one was counted.
    heartbeats: u32,
    last_counted: Duration,
    /// Since when it says what version 1 servers say, and nothing that only version 3 has.
    classic_since: Option<Duration>,
    /// When the first version 1 configuration came since then.
    configured: Option<Duration>,
    /// Whether that was long enough to be certain.
    is_certain: bool,
}

impl VersionDetector {
    /// After so many unanswered HELLOs a server that is heard speaks version 1 …
    pub(super) const MAX_HELLOS: u32 = 5;
    /// … if so many of its heartbeats were heard, and never that it speaks version 3. If a server is taken for older than it is, the
    /// agent does not learn how far logs were read.
    const MIN_HEARTBEATS: u32 = 4;
    /// Two heartbeats that come closer together are one that the network doubled.
    const BETWEEN_HEARTBEATS: Duration = Duration::from_secs(3);
    /// After so many unanswered HELLOs a fixed server speaks version 1.
    pub(super) const MAX_HELLOS_TO_FIXED: u32 = 12;
    /// A server that was heard more recently is not silent.
    pub(super) const HEARD_WITHIN: Duration = Duration::from_secs(10);
    /// A server that spoke version 3 and was heard for so long without a sign of it was replaced. A silent one was not.
    const REPLACED_AFTER: Duration = Duration::from_secs(120);
    /// After so long with nothing but version 1 it is certain that the server speaks version 1. A version 3 server says more with every
    /// heartbeat and answers HELLO: much of that may get lost, but not all.
    const CERTAIN_AFTER: Duration = Duration::from_secs(60);
    /// After a version 1 configuration that takes less long: a version 3 server says several times around it that it speaks version 3.
    const CERTAIN_AFTER_CONFIGURATION: Duration = Duration::from_secs(1);

    /// Nothing is known but that one heartbeat came.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            phase: Phase::Probing,
            was_heard_as_classic: false,
            last_v3: None,
            heartbeats: 1,
            last_counted: now,
            classic_since: None,
            configured: None,
            is_certain: false,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// The phase as far as it is certain: if a version 3 server were taken for version 1, the place in every log would be lost.
    pub(super) fn certain_phase(&self) -> Phase {
        if self.phase == Phase::Classic && !self.is_certain {
            Phase::Probing
        } else {
            self.phase
        }
    }

    /// Whether the server speaks version 1, and not only its silence suggests that.
    pub(super) fn is_heard_as_classic(&self) -> bool {
        self.phase == Phase::Classic && self.was_heard_as_classic
    }

    /// A heartbeat of the server came, as both versions send it.
    pub(super) fn handle_heartbeat(&mut self, now: Duration) {
        self.was_heard_as_classic = true;
        self.handle_classic(now);
        if now.saturating_sub(self.last_counted) >= Self::BETWEEN_HEARTBEATS {
            self.heartbeats += 1;
            self.last_counted = now;
        }
    }

    /// The server said something that only version 3 has.
    pub(super) fn handle_v3(&mut self, now: Duration) {
        self.last_v3 = Some(now);
        self.forget_classic();
    }

    /// The server said to this agent what version 1 servers say. A version 3 server says it too, to agents that speak version 1.
    pub(super) fn handle_classic_answer(&mut self, now: Duration) {
        if self.phase != Phase::Session && self.last_v3.is_none() {
            self.phase = Phase::Classic;
            self.was_heard_as_classic = true;
            self.handle_classic(now);
        }
    }

    /// The server gave this agent a version 1 configuration.
    pub(super) fn handle_classic_configuration(&mut self, now: Duration) {
        if self.phase == Phase::Classic {
            self.configured.get_or_insert(now);
        }
    }

    /// The server offers a session.
    pub(super) fn handle_offer(&mut self) {
        self.forget_classic();
    }

    /// A session begins.
    pub(super) fn handle_session(&mut self) {
        self.phase = Phase::Session;
        self.was_heard_as_classic = false;
        self.forget_classic();
    }

    /// HELLOs stay without an answer: the server may speak version 1. Returns whether another HELLO makes sense.
    pub(super) fn handle_unanswered(&mut self, now: Duration, unanswered: Unanswered) -> Probe {
        let Unanswered { hellos, silence, announces_v3, reach } = unanswered;
        let is_heard = silence < Self::HEARD_WITHIN;
        let spoke_v3 = self.last_v3.is_some_and(|at| !is_heard || now.saturating_sub(at) < Self::REPLACED_AFTER);
        let max = if reach == Reach::Fixed { Self::MAX_HELLOS_TO_FIXED } else { Self::MAX_HELLOS };
        if hellos < max || announces_v3 || spoke_v3 {
            return Probe::Continue;
        }
        let is_heard = is_heard && self.heartbeats >= Self::MIN_HEARTBEATS;
        if reach == Reach::Fixed || is_heard {
            self.phase = Phase::Classic;
        }
        if reach == Reach::Broadcast && is_heard {
            Probe::Stop
        } else {
            Probe::Continue
        }
    }

    /// Time passes: a guess may become certain.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        self.is_certain |= self.certain_from().is_some_and(|from| from <= now);
    }

    fn certain_from(&self) -> Option<Duration> {
        let by_time = self.classic_since.map(|since| since + Self::CERTAIN_AFTER);
        earlier(by_time, self.configured.map(|configured| configured + Self::CERTAIN_AFTER_CONFIGURATION))
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.certain_from().filter(|_| !self.is_certain)
    }

    fn handle_classic(&mut self, now: Duration) {
        if self.phase != Phase::Session {
            self.classic_since.get_or_insert(now);
        }
    }

    fn forget_classic(&mut self) {
        (self.classic_since, self.configured, self.is_certain) = (None, None, false);
    }
}

#[cfg(test)]
mod tests {
    use super::Phase::{Classic, Probing, Session};
    use super::*;

    /// What a server does.
    #[derive(Clone, Copy, Debug)]
    enum Says {
        Heartbeat,
        V3,
        ClassicAnswer,
        Configuration,
        Offer,
        Session,
        Nothing,
        /// So many HELLOs had no answer, from a server that was heard so many seconds ago.
        Unanswered(u32, u64, Reach),
        /// The same of a server that announces version 3.
        Announcing(u32, u64),
    }
    use Says::*;

    fn detector(script: &[(u64, Says)]) -> VersionDetector {
        let mut detector = VersionDetector::new(Duration::ZERO);
        for (seconds, says) in script {
            let now = Duration::from_secs(*seconds);
            match *says {
                Heartbeat => detector.handle_heartbeat(now),
                V3 => detector.handle_v3(now),
                ClassicAnswer => detector.handle_classic_answer(now),
                Configuration => detector.handle_classic_configuration(now),
                Offer => detector.handle_offer(),
                Says::Session => detector.handle_session(),
                Nothing => {}
                Says::Unanswered(hellos, silence, reach) => {
                    detector.handle_unanswered(now, unanswered(hellos, silence, false, reach));
                }
                Announcing(hellos, silence) => {
                    detector.handle_unanswered(now, unanswered(hellos, silence, true, Reach::Broadcast));
                }
            }
            detector.handle_timeout(now);
        }
        detector
    }

    fn unanswered(hellos: u32, silence: u64, announces_v3: bool, reach: Reach) -> super::Unanswered {
        super::Unanswered { hellos, silence: Duration::from_secs(silence), announces_v3, reach }
    }

    const HEARD: [(u64, Says); 3] = [(5, Heartbeat), (10, Heartbeat), (15, Heartbeat)];

    #[test]
    fn the_phase_follows_from_what_the_server_says() {
        use Reach::{Broadcast, Fixed};
        let heard = |more: &[(u64, Says)]| [&HEARD[..], more].concat();
        for (script, phase, certain) in [
            (vec![], Probing, Probing),
            (heard(&[]), Probing, Probing),
            (heard(&[(16, Unanswered(4, 1, Broadcast))]), Probing, Probing),
            (heard(&[(16, Unanswered(5, 1, Broadcast))]), Classic, Probing),
            (heard(&[(16, Unanswered(5, 1, Broadcast)), (65, Heartbeat)]), Classic, Classic),
            // A heartbeat that the network doubled counts once.
            (vec![(5, Heartbeat), (5, Heartbeat), (6, Heartbeat), (7, Unanswered(9, 1, Broadcast))], Probing, Probing),
            // A silent server speaks no version.
            (heard(&[(30, Unanswered(9, 15, Broadcast))]), Probing, Probing),
            (heard(&[(16, Announcing(9, 1))]), Probing, Probing),
            // A fixed server may be out of the reach of broadcasts.
            (vec![(24, Unanswered(11, 24, Fixed))], Probing, Probing),
            (vec![(24, Unanswered(12, 24, Fixed))], Classic, Probing),
            (vec![(24, Unanswered(12, 24, Fixed)), (99, Nothing)], Classic, Probing),
            (vec![(3, ClassicAnswer)], Classic, Probing),
            (vec![(3, ClassicAnswer), (63, Nothing)], Classic, Classic),
            (vec![(3, ClassicAnswer), (50, V3), (70, Nothing)], Classic, Probing),
            // A configuration hastens that, unless the server says with it that it speaks version 3.
            (vec![(3, ClassicAnswer), (4, Configuration)], Classic, Probing),
            (vec![(3, ClassicAnswer), (4, Configuration), (5, Nothing)], Classic, Classic),
            (vec![(3, ClassicAnswer), (4, V3), (4, Configuration), (5, Nothing)], Classic, Classic),
            (vec![(3, ClassicAnswer), (4, Configuration), (4, V3), (5, Nothing)], Classic, Probing),
            (vec![(3, ClassicAnswer), (50, Offer), (70, Nothing)], Classic, Probing),
            (vec![(3, ClassicAnswer), (50, Says::Session)], Session, Session),
            // A version 3 server answers an ALERT as version 1 does.
            (vec![(3, V3), (4, ClassicAnswer)], Probing, Probing),
            (vec![(3, Says::Session), (4, ClassicAnswer), (200, Heartbeat)], Session, Session),
            // A server that spoke version 3 was replaced if it is heard for long without that.
            (heard(&[(16, V3), (135, Unanswered(5, 1, Broadcast))]), Probing, Probing),
            (heard(&[(16, V3), (136, Unanswered(5, 1, Broadcast))]), Classic, Probing),
            (heard(&[(16, V3), (136, Unanswered(5, 20, Broadcast))]), Probing, Probing),
        ] {
            let detector = detector(&script);
            assert_eq!((detector.phase(), detector.certain_phase()), (phase, certain), "{script:?}");
        }
    }

    #[test]
    fn probing_stops_only_for_a_server_that_is_heard_as_version_1() {
        for (hellos, silence, reach, probe) in [
            (4, 1, Reach::Broadcast, Probe::Continue),
            (5, 1, Reach::Broadcast, Probe::Stop),
            (5, 20, Reach::Broadcast, Probe::Continue),
            (12, 1, Reach::Fixed, Probe::Continue),
        ] {
            let evidence = unanswered(hellos, silence, false, reach);
            assert_eq!(detector(&HEARD).handle_unanswered(Duration::from_secs(16), evidence), probe, "{evidence:?}");
        }
    }

    #[test]
    fn a_server_that_is_only_silent_is_not_heard_as_version_1() {
        assert!(!detector(&[(24, Says::Unanswered(12, 24, Reach::Fixed))]).is_heard_as_classic());
        assert!(detector(&[(24, Says::Unanswered(12, 24, Reach::Fixed)), (25, Heartbeat)]).is_heard_as_classic());
    }

    #[test]
    fn certainty_is_a_deadline() {
        assert_eq!(detector(&[]).next_deadline(), None);
        assert_eq!(detector(&[(3, ClassicAnswer)]).next_deadline(), Some(Duration::from_secs(63)));
        assert_eq!(detector(&[(3, ClassicAnswer), (7, Configuration)]).next_deadline(), Some(Duration::from_secs(8)));
        assert_eq!(detector(&[(3, ClassicAnswer), (63, Nothing)]).next_deadline(), None);
    }
}
