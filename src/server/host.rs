//! What the server knows of one host: its session, whether it is heard, and what is still to be sent to it.

use super::classic::ClassicAgent;
use super::cookie::Stamp;
use super::name_conflict::{Conflict, Device, NameConflict};
use super::presence::Presence;
use super::session::Session;
use crate::wire::auth::SessionMac;
use crate::wire::{Revision, Token};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

pub(super) struct Host {
    /// If the file of a host is gone, the host stays until its agent was told so.
    has_file: bool,
    presence: Presence,
    conflict: NameConflict,
    session: Option<Session>,
    /// The stamp of the cookie that began the latest session. An older cookie begins no session: a recorded JOIN must not restore a session
    /// in which recorded datagrams would be accepted again.
    last_join: Stamp,
    classic: ClassicAgent,
}

/// The protocol version that a datagram was sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Outside a session.
    One,
    /// In a session.
    Three,
}

/// What becomes of a JOIN.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum JoinOutcome {
    /// It begins a session.
    Begun(Option<HostNotice>),
    /// It repeats the JOIN that began the current session.
    Repeated,
    /// Its cookie is older than that of the latest session, or that session is over.
    Outdated,
}

/// Something to be reported as an event of a host.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HostNotice {
    Inactive,
    ActiveAgain,
    TwoAddresses(Ipv4Addr, Ipv4Addr),
    TwoAgents(Ipv4Addr, Ipv4Addr),
}

/// What is to be done for a host now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Send STALE to this address.
    pub(super) stale: Option<SocketAddrV4>,
    /// Broadcast RESET.
    pub(super) reset: bool,
    /// Report the host as inactive.
    pub(super) inactive: bool,
}

impl HostNotice {
    fn of(conflict: Conflict) -> Self {
        let [one, other] = conflict.devices.map(|device| device.address);
        if conflict.is_of_runs() {
            Self::TwoAgents(one, other)
        } else {
            Self::TwoAddresses(one, other)
        }
    }
}

impl Due {
    pub(super) fn is_something(&self) -> bool {
        *self != Self::default()
    }
}

impl fmt::Display for HostNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inactive => f.write_str("Host is inactive"),
            Self::ActiveAgain => f.write_str("Host is active again"),
            Self::TwoAddresses(one, other) => write!(f, "Host name is used from two addresses at once: {one} and {other}"),
            Self::TwoAgents(one, other) => write!(f, "Host name is used by two agents at once, at {one} and {other}"),
        }
    }
}

impl Host {
    /// A host with a file. No cookie with a stamp up to `last_join` begins a session.
    pub(super) fn new(now: Duration, last_join: Stamp) -> Self {
        Self {
            has_file: true,
            presence: Presence::new(now),
            conflict: NameConflict::default(),
            session: None,
            last_join,
            classic: ClassicAgent::default(),
        }
    }

    /// A host that has proven its key and has no file.
    pub(super) fn without_file(now: Duration) -> Self {
        Self { has_file: false, ..Self::new(now, 0) }
    }

    pub(super) fn has_file(&self) -> bool {
        self.has_file
    }

    /// Whether the host has no file and nothing more is to be sent to it.
    pub(super) fn is_finished(&self) -> bool {
        let needs_session = |session: &Session| session.has_scheduled_stale() || session.has_mac();
        !self.has_file && !self.classic.has_scheduled_reset() && !self.session.as_ref().is_some_and(needs_session)
    }

    pub(super) fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Signs and verifies the datagrams of the host's session, if the host has a key.
    pub(super) fn mac_mut(&mut self) -> Option<&mut SessionMac> {
        self.session.as_mut()?.mac_mut()
    }

    pub(super) fn has_mac(&self) -> bool {
        self.session.as_ref().is_some_and(Session::has_mac)
    }

    /// The address of the session, if the host has a key.
    pub(super) fn proven_address(&self) -> Option<SocketAddrV4> {
        self.session.as_ref().filter(|session| session.has_mac()).map(Session::address)
    }

    pub(super) fn has_session_at(&self, address: SocketAddrV4) -> bool {
        self.session.as_ref().is_some_and(|session| session.address() == address)
    }

    /// The session of that run at that address.
    pub(super) fn session_of(&mut self, address: SocketAddrV4, run: Token) -> Option<&mut Session> {
        self.session.as_mut().filter(|session| session.address() == address && session.run() == run)
    }

    pub(super) fn end_session(&mut self) {
        self.session = None;
    }

    /// Handles a JOIN with a valid cookie; `stamp` is the cookie's.
    pub(super) fn handle_join(&mut self, now: Duration, stamp: Stamp, session: Session) -> JoinOutcome {
        if stamp <= self.last_join {
            let is_current = self.session.as_ref().is_some_and(|current| current.run() == session.run());
            return if stamp == self.last_join && is_current { JoinOutcome::Repeated } else { JoinOutcome::Outdated };
        }
        self.last_join = stamp;
        let device = Device { run: Some(session.run()), address: *session.address().ip() };
        let notice = self.conflict.handle_device(now, device).map(HostNotice::of);
        self.session = Some(session);
        self.classic.cancel_reset();
        JoinOutcome::Begun(notice)
    }

    /// Whether two agents use this name at once, as far as the server can tell.
    pub(super) fn has_two_agents(&self, now: Duration) -> bool {
        self.conflict.has_two_runs(now)
    }

    /// The agent is fetching the current configuration.
    pub(super) fn handle_fetching(&mut self) {
        if let Some(session) = &mut self.session {
            session.handle_up_to_date();
        }
    }

    /// The configuration changed: schedules STALE or RESET.
    pub(super) fn handle_changed(&mut self, now: Duration) {
        self.has_file = true;
        match &mut self.session {
            Some(session) => session.handle_changed(now),
            None => self.classic.schedule_reset(now),
        }
    }

    /// The file is gone: schedules STALE or RESET.
    pub(super) fn handle_removed(&mut self, now: Duration) {
        self.handle_changed(now);
        self.has_file = false;
        self.presence.forget_report();
    }

    /// A version 1 agent asks for its configuration. It has replaced any version 3 agent. Returns whether CONFIG may be sent; if so, it
    /// counts as sent.
    pub(super) fn handle_config_request(&mut self, now: Duration) -> bool {
        self.session = None;
        self.classic.take_config(now)
    }

    /// Returns whether to report what a version 1 agent cannot have of that revision. If so, it counts as reported.
    pub(super) fn take_left_out_report(&mut self, revision: Revision) -> bool {
        self.classic.take_report(revision)
    }

    /// Notes that the host was heard from that address.
    pub(super) fn handle_heard(&mut self, now: Duration, from: SocketAddrV4, version: Version) -> Vec<HostNotice> {
        let mut notices = Vec::new();
        if self.presence.handle_heard(now) {
            notices.push(HostNotice::ActiveAgain);
        }
        let run = match version {
            Version::One => {
                self.classic.handle_heard(now);
                None
            }
            Version::Three => match self.session.as_ref().filter(|session| session.address() == from) {
                Some(session) => Some(session.run()),
                // A device that moved begins another session. Until then, its datagrams may be replayed ones.
                None => return notices,
            },
        };
        let conflict = self.conflict.handle_device(now, Device { run, address: *from.ip() });
        notices.extend(conflict.map(HostNotice::of));
        notices
    }

    /// Returns what is to be done now. It counts as done.
    pub(super) fn handle_tick(&mut self, now: Duration) -> Due {
        let mut due = Due::default();
        if let Some(session) = self.session.as_mut() {
            due.stale = session.take_stale(now).then(|| session.address());
        }
        due.reset = self.classic.take_reset(now);
        due.inactive = self.has_file && self.presence.take_report(now);
        if due.inactive || (!self.has_file && self.presence.is_silent(now)) {
            self.session = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::session::Credential;
    use crate::wire::auth::SessionName;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn session(last: u8, run: u128) -> Session {
        let name = SessionName { host: "h", run: Token(run), nonce: Token(2), cookie: Token(3) };
        Session::new(SocketAddrV4::new([10, 0, 0, last].into(), 4360), Credential::NotRequired, name)
    }

    #[test]
    fn a_session_begins_only_with_a_later_cookie_than_the_latest() {
        let mut host = Host::new(at(0), 5);
        assert_eq!(host.handle_join(at(1), 5, session(1, 1)), JoinOutcome::Outdated);
        assert_eq!(host.handle_join(at(1), 7, session(1, 1)), JoinOutcome::Begun(None));
        assert_eq!(host.handle_join(at(1), 7, session(1, 1)), JoinOutcome::Repeated);
        assert_eq!(host.handle_join(at(1), 7, session(1, 2)), JoinOutcome::Outdated);
        assert_eq!(host.handle_join(at(1), 6, session(1, 1)), JoinOutcome::Outdated);
        host.end_session();
        assert_eq!(host.handle_join(at(1), 7, session(1, 1)), JoinOutcome::Outdated, "the session is over");
    }

    #[test]
    fn two_alternating_runs_are_reported_with_both_addresses() {
        let mut host = Host::new(at(0), 0);
        host.handle_join(at(1), 1, session(1, 1));
        host.handle_join(at(2), 2, session(2, 2));
        let notice = HostNotice::TwoAgents([10, 0, 0, 2].into(), [10, 0, 0, 1].into());
        assert_eq!(host.handle_join(at(3), 3, session(1, 1)), JoinOutcome::Begun(Some(notice)));
        assert!(host.has_two_agents(at(3)) && !host.has_two_agents(at(200)));
    }

    #[test]
    fn a_change_is_announced_by_stale_in_a_session_and_by_reset_without_one() {
        let mut host = Host::new(at(0), 0);
        host.handle_changed(at(1));
        assert_eq!(host.handle_tick(at(1)), Due { reset: true, ..Due::default() });
        let session = session(1, 1);
        let stale = Some(session.address());
        host.handle_join(at(2), 1, session);
        host.handle_changed(at(3));
        assert_eq!(host.handle_tick(at(3)), Due { stale, ..Due::default() });
    }

    #[test]
    fn a_host_without_a_file_is_finished_when_its_agent_was_told() {
        let mut host = Host::new(at(0), 0);
        host.handle_join(at(1), 1, session(1, 1));
        host.handle_removed(at(2));
        let told = (2..30).filter(|second| !host.is_finished() && host.handle_tick(at(*second)).stale.is_some()).count();
        assert!(told == 10 && host.is_finished());
    }

    #[test]
    fn a_silent_host_loses_its_session_and_is_reported_if_it_has_a_file() {
        for has_file in [true, false] {
            let mut host = Host { has_file, ..Host::new(at(0), 0) };
            host.handle_join(at(0), 1, session(1, 1));
            assert!(!host.handle_tick(at(179)).inactive && host.session().is_some());
            assert_eq!(host.handle_tick(at(180)).inactive, has_file);
            assert!(host.session().is_none());
        }
    }

    #[test]
    fn a_version_1_agent_replaces_the_session() {
        let mut host = Host::new(at(0), 0);
        host.handle_join(at(1), 1, session(1, 1));
        assert!(host.handle_config_request(at(2)) && !host.handle_config_request(at(3)));
        assert!(host.session().is_none());
    }
}
