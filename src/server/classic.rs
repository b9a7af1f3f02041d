//! What the server remembers about a version 1 agent: when a CONFIG or a RESET may go to it.

use crate::wire::Revision;
use std::time::Duration;

#[derive(Default)]
pub(super) struct ClassicAgent {
    last_heard: Option<Duration>,
    last_config: Option<Duration>,
    last_reset: Option<Duration>,
    reset: Option<Reset>,
    /// The revision for which it was last reported what the agent cannot have.
    reported: Option<Revision>,
}

/// A RESET to be sent.
struct Reset {
    left: u32,
    due: Duration,
}

impl ClassicAgent {
    /// A version 1 agent asks every 10 s until it has a CONFIG. A second CONFIG would double its rules.
    const CONFIG_INTERVAL: Duration = Duration::from_secs(9);
    /// A version 1 agent waits 20 s after a RESET before it asks.
    const RESET_INTERVAL: Duration = Duration::from_secs(30);
    /// RESET is repeated this often unless the agent asks: it has no other way to learn of a change.
    const RESET_TIMES: u32 = 10;
    /// A host that spoke version 1 within this time still runs a version 1 agent.
    const HEARD_WITHIN: Duration = Duration::from_secs(180);

    pub(super) fn handle_heard(&mut self, now: Duration) {
        self.last_heard = Some(now);
    }

    /// Schedules RESETs: one, or several if the host runs a version 1 agent.
    pub(super) fn schedule_reset(&mut self, now: Duration) {
        let due = self.last_reset.map_or(now, |last| now.max(last + Self::RESET_INTERVAL));
        let was_heard = self.last_heard.is_some_and(|at| now - at < Self::HEARD_WITHIN);
        self.reset = Some(Reset { due, left: if was_heard { Self::RESET_TIMES } else { 1 } });
    }

    pub(super) fn cancel_reset(&mut self) {
        self.reset = None;
    }

    pub(super) fn has_scheduled_reset(&self) -> bool {
        self.reset.is_some()
    }

    /// Returns whether to send a RESET now. If so, it counts as sent.
    pub(super) fn take_reset(&mut self, now: Duration) -> bool {
        let Some(reset) = self.reset.as_mut().filter(|reset| reset.due <= now) else { return false };
        self.last_reset = Some(now);
        (reset.left, reset.due) = (reset.left - 1, now + Self::RESET_INTERVAL);
        if reset.left == 0 {
            self.reset = None;
        }
        true
    }

    /// Returns whether a CONFIG may answer a request. If so, it counts as sent, and no RESET is needed any more.
    pub(super) fn take_config(&mut self, now: Duration) -> bool {
        if self.last_config.is_some_and(|last| now - last < Self::CONFIG_INTERVAL) {
            return false;
        }
        self.last_config = Some(now);
        self.reset = None;
        true
    }

    /// Returns whether to report what the agent cannot have of that revision. If so, it counts as reported.
    pub(super) fn take_report(&mut self, revision: Revision) -> bool {
        self.reported.replace(revision) != Some(revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn resets(agent: &mut ClassicAgent, seconds: std::ops::Range<u64>) -> Vec<u64> {
        seconds.filter(|second| agent.take_reset(at(*second))).collect()
    }

    #[test]
    fn a_config_is_sent_at_most_once_in_nine_seconds() {
        let mut agent = ClassicAgent::default();
        let sent: Vec<_> = (0..20).filter(|second| agent.take_config(at(*second))).collect();
        assert_eq!(sent, [0, 9, 18]);
    }

    #[test]
    fn a_reset_is_sent_once_to_a_host_that_did_not_speak_version_1_lately() {
        let mut agent = ClassicAgent::default();
        agent.schedule_reset(at(5));
        assert_eq!(resets(&mut agent, 4..100), [5]);
        agent.handle_heard(at(100));
        agent.schedule_reset(at(280));
        assert_eq!(resets(&mut agent, 280..400), [280]);
    }

    #[test]
    fn a_reset_is_repeated_every_thirty_seconds_until_the_agent_asks() {
        let mut agent = ClassicAgent::default();
        agent.handle_heard(at(0));
        agent.schedule_reset(at(1));
        assert_eq!(resets(&mut agent, 1..40), [1, 31]);
        agent.schedule_reset(at(40));
        assert_eq!(resets(&mut agent, 40..62), [61], "no sooner than 30 s after the last one");
        assert!(agent.take_config(at(70)) && !agent.has_scheduled_reset());
        agent.handle_heard(at(100));
        agent.schedule_reset(at(100));
        assert_eq!(resets(&mut agent, 100..1000).len(), 10);
    }

    #[test]
    fn what_an_agent_cannot_have_is_reported_once_for_each_revision() {
        let mut agent = ClassicAgent::default();
        let (one, other) = (Revision::of("1"), Revision::of("2"));
        assert_eq!([one, one, other, one].map(|revision| agent.take_report(revision)), [true, false, true, true]);
    }
}
