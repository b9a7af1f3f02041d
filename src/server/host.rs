//! What the server keeps for one configured host: when and where it was heard, its session, and what it has still to be told.

use super::cookie::Stamp;
use crate::wire::auth::{Key, SessionMac, SessionName, Side};
use crate::wire::{Revision, Token};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

pub(super) struct Host {
    /// Whether the host has a file; without one it is only told so and then forgotten.
    configured: bool,
    last_heard: Duration,
    /// When it was last said that the host is inactive, while it is.
    inactive: Option<Duration>,
    /// The address that it was last heard at, and the one before.
    address: Option<Ipv4Addr>,
    earlier_address: Option<(Ipv4Addr, Duration)>,
    two_reported: Option<Duration>,
    pub(super) session: Option<Session>,
    /// The stamp of the cookie by which the latest session began: none begins by an earlier one, lest a recorded JOIN bring a session
    /// back in which everything could be said once more.
    joined: Stamp,
    /// The agent's run in the latest session, and the one before it.
    run: Option<Token>,
    earlier_run: Option<(Token, Duration)>,
    /// When it was last seen that two agents take turns.
    of_two: Option<Duration>,
    /// When it last spoke as version 1 agents do.
    last_classic: Option<Duration>,
    last_config: Option<Duration>,
    last_reset: Option<Duration>,
    reset: Option<Reset>,
    left_out_announced: Option<Revision>,
}

/// A version 2 session.
pub(super) struct Session {
    address: SocketAddrV4,
    run: Token,
    /// By which key it began, and what its datagrams end in, where the host has a key.
    pub(super) key: Option<Key>,
    mac: Option<SessionMac>,
    /// How often STALE is still to be said, and when next.
    stale_left: u32,
    next_stale: Duration,
}

/// A RESET that is to be said.
struct Reset {
    left: u32,
    due: Duration,
}

/// What becomes of a JOIN.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// It began a session.
    New(News),
    /// It is a repeat of the one that began the session.
    Again,
    /// It is older than that, or its session is over.
    Late,
}

/// What hearing a host tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) active_again: bool,
    pub(super) two_addresses: Option<(Ipv4Addr, Ipv4Addr)>,
    pub(super) two_runs: Option<(Ipv4Addr, Ipv4Addr)>,
}

/// What is due for a host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) stale: Option<SocketAddrV4>,
    pub(super) reset: bool,
    pub(super) inactive: bool,
}

impl Session {
    const STALE_INTERVAL: Duration = Duration::from_secs(1);
    const STALE_TIMES: u32 = 10;

    pub(super) fn new(address: SocketAddrV4, key: Option<Key>, name: SessionName<'_>) -> Self {
        let mac = key.map(|key| key.session(Side::Server, name));
        Self { address, run: name.run, key, mac, stale_left: 0, next_stale: Duration::ZERO }
    }

    /// The agent has what is in force.
    pub(super) fn handle_up_to_date(&mut self) {
        self.stale_left = 0;
    }
}

impl Host {
    /// A host that is silent for so long is inactive.
    const SILENCE: Duration = Duration::from_secs(180);
    const REMINDER_INTERVAL: Duration = Duration::from_secs(30 * 60);
    /// A version 1 agent doubles its rules with a second CONFIG; it asks every 10 s until it has one.
    const CONFIG_INTERVAL: Duration = Duration::from_secs(9);
    /// A version 1 agent waits 20 s after a RESET before it asks.
    const RESET_INTERVAL: Duration = Duration::from_secs(30);
    /// Until it asks. Nothing else tells it, so that all of them may not be lost.
    const RESET_TIMES: u32 = 10;
    /// Two addresses in turn within that time are two devices, not one that moved.
    const TWO_ADDRESSES_WITHIN: Duration = Duration::from_secs(180);
    const TWO_INTERVAL: Duration = Duration::from_secs(60 * 60);

    /// A host with a file, of whose sessions those are over that began by then.
    pub(super) fn new(now: Duration, joined: Stamp) -> Self {
        Self {
            configured: true,
            last_heard: now,
            inactive: None,
            address: None,
            earlier_address: None,
            two_reported: None,
            session: None,
            joined,
            run: None,
            earlier_run: None,
            of_two: None,
            last_classic: None,
            last_config: None,
            last_reset: None,
            reset: None,
            left_out_announced: None,
        }
    }

    /// A host that has proven its key and has no file.
    pub(super) fn without_file(now: Duration) -> Self {
        Self { configured: false, ..Self::new(now, 0) }
    }

    /// What the datagrams of its session end in, if they do.
    pub(super) fn mac_mut(&mut self) -> Option<&mut SessionMac> {
        self.session.as_mut()?.mac.as_mut()
    }

    pub(super) fn has_mac(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.mac.is_some())
    }

    pub(super) fn is_configured(&self) -> bool {
        self.configured
    }

    /// Whether the host has no file any more and was told so.
    pub(super) fn is_finished(&self) -> bool {
        let told = |session: &Session| session.stale_left == 0 && session.mac.is_none();
        !self.configured && self.reset.is_none() && self.session.as_ref().is_none_or(told)
    }

    pub(super) fn has_session_at(&self, address: SocketAddrV4) -> bool {
        self.session.as_ref().is_some_and(|session| session.address == address)
    }

    pub(super) fn session_of(&mut self, address: SocketAddrV4, run: Token) -> Option<&mut Session> {
        self.session.as_mut().filter(|session| session.address == address && session.run == run)
    }

    /// Begins a session by a JOIN whose cookie has that stamp.
    pub(super) fn join(&mut self, now: Duration, stamp: Stamp, session: Session) -> Joined {
        if stamp <= self.joined {
            let again = stamp == self.joined && self.session.as_ref().is_some_and(|present| present.run == session.run);
            return if again { Joined::Again } else { Joined::Late };
        }
        self.joined = stamp;
        let two_runs = self.handle_run(now, &session);
        self.session = Some(session);
        self.reset = None;
        Joined::New(News { two_runs, ..News::default() })
    }

    /// An agent that is started again has a new run and never an old one; two that run take turns.
    fn handle_run(&mut self, now: Duration, session: &Session) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let present = self.run.replace(session.run).filter(|present| *present != session.run)?;
        let earlier = self.earlier_run.replace((present, now));
        let back = earlier.is_some_and(|(run, at)| run == session.run && now - at < Self::TWO_ADDRESSES_WITHIN);
        if back {
            self.of_two = Some(now);
        }
        let other = self.session.as_ref().map_or(session.address, |session| session.address);
        (back && self.may_report_two(now)).then_some((*other.ip(), *session.address.ip()))
    }

    /// Whether two agents have this name, as far as is known.
    pub(super) fn is_of_two(&self, now: Duration) -> bool {
        self.of_two.is_some_and(|at| now - at < Self::TWO_ADDRESSES_WITHIN)
    }

    /// Whether it may be said that there are two of this name; if so it counts as said.
    fn may_report_two(&mut self, now: Duration) -> bool {
        let may = self.two_reported.is_none_or(|at| now - at >= Self::TWO_INTERVAL);
        if may {
            self.two_reported = Some(now);
        }
        may
    }

    /// The agent is fetching what is in force.
    pub(super) fn handle_fetching(&mut self) {
        if let Some(session) = &mut self.session {
            session.handle_up_to_date();
        }
    }

    /// The configuration changed: the agent is to be told.
    pub(super) fn handle_changed(&mut self, now: Duration) {
        self.configured = true;
        match &mut self.session {
            Some(session) => (session.stale_left, session.next_stale) = (Session::STALE_TIMES, now),
            None => {
                let due = self.last_reset.map_or(now, |last| now.max(last + Self::RESET_INTERVAL));
                let speaks_classic = self.last_classic.is_some_and(|at| now - at < Self::SILENCE);
                self.reset = Some(Reset { due, left: if speaks_classic { Self::RESET_TIMES } else { 1 } });
            }
        }
    }

    /// The file is gone: the agent is to be told.
    pub(super) fn handle_removed(&mut self, now: Duration) {
        self.handle_changed(now);
        self.configured = false;
        self.inactive = None;
    }

    /// A version 1 agent asks for its configuration: if there was one of version 2 in its place, that is gone, and is not told of changes.
    pub(super) fn handle_config_request(&mut self) {
        self.session = None;
    }

    /// Whether a CONFIG may go to a version 1 agent that asks; if so it counts as sent.
    pub(super) fn may_send_config(&mut self, now: Duration) -> bool {
        if self.last_config.is_some_and(|last| now - last < Self::CONFIG_INTERVAL) {
            return false;
        }
        self.last_config = Some(now);
        // What a RESET would bring about has happened.
        self.reset = None;
        true
    }

    /// Whether it has yet to be said what a version 1 agent cannot have of that revision; if so it counts as said.
    pub(super) fn announce_left_out(&mut self, revision: Revision) -> bool {
        self.left_out_announced.replace(revision) != Some(revision)
    }

    /// The host was heard.
    pub(super) fn handle_heard(&mut self, now: Duration, ip: Ipv4Addr, classic: bool) -> News {
        self.last_heard = now;
        if classic {
            self.last_classic = Some(now);
        }
        let active_again = self.inactive.take().is_some();
        News { active_again, two_addresses: self.handle_address(now, ip), two_runs: None }
    }

    /// Devices that move have a new address; two devices of one name are heard at one, the other, and the one again.
    fn handle_address(&mut self, now: Duration, ip: Ipv4Addr) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let present = self.address.replace(ip).filter(|present| *present != ip)?;
        let earlier = self.earlier_address.replace((present, now));
        let back = earlier.is_some_and(|(address, at)| address == ip && now - at < Self::TWO_ADDRESSES_WITHIN);
        (back && self.may_report_two(now)).then_some((present, ip))
    }

    /// What is due; it counts as done.
    pub(super) fn handle_tick(&mut self, now: Duration) -> Due {
        let mut due = Due::default();
        if let Some(session) = self.session.as_mut().filter(|session| session.stale_left > 0 && session.next_stale <= now) {
            session.stale_left -= 1;
            session.next_stale = now + Session::STALE_INTERVAL;
            due.stale = Some(session.address);
        }
        if let Some(reset) = self.reset.as_mut().filter(|reset| reset.due <= now) {
            due.reset = true;
            self.last_reset = Some(now);
            (reset.left, reset.due) = (reset.left - 1, now + Self::RESET_INTERVAL);
            if reset.left == 0 {
                self.reset = None;
            }
        }
        let reminder = self.inactive.is_none_or(|said| now - said >= Self::REMINDER_INTERVAL);
        if self.configured && now - self.last_heard >= Self::SILENCE && reminder {
            self.inactive = Some(now);
            self.session = None;
            due.inactive = true;
        }
        if !self.configured && now - self.last_heard >= Self::SILENCE {
            self.session = None;
        }
        due
    }
}
