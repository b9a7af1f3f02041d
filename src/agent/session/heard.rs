//! The servers that were heard lately. Believes nothing that they say.

use super::asking::Asking;
use super::keepalive::{KeepaliveSession, KeepaliveTimer};
use super::regulars::Regulars;
use crate::random::Random;
use crate::wire::Token;
use std::net::Ipv4Addr;
use std::time::Duration;

#[derive(Default)]
pub(super) struct HeardServers {
    /// In the order in which they were first heard.
    servers: Vec<Heard>,
    /// While there is no room for all servers that are heard.
    regulars: Option<Regulars>,
}

pub(super) struct Heard {
    pub(super) ip: Ipv4Addr,
    last_heard: Duration,
    /// In which run it said last that it speaks version 3, and when.
    capability: Option<(Token, Duration)>,
    pub(super) timer: KeepaliveTimer,
    pub(super) keepalive: KeepaliveSession,
    /// Bytes that came from there and were not answered.
    bytes: usize,
    /// Bytes of the longest heartbeat.
    longest: usize,
    /// Whether it is heard again and again, where that tells it from others.
    is_regular: bool,
    /// When it was last asked to prove the key.
    asked: Option<Duration>,
}

/// Which servers keep their places when forged heartbeats fill all of them.
pub(super) struct Contest<'a> {
    pub(super) asking: &'a Asking,
    pub(super) selected: Option<Ipv4Addr>,
    pub(super) random: &'a mut Random,
}

impl HeardServers {
    /// A server that was not heard for so long is forgotten.
    pub(super) const SILENCE: Duration = Duration::from_secs(30);
    /// A server that was asked more recently is asked after all others.
    const ASKED_LATELY: Duration = Duration::from_secs(30);
    /// An answer to what a server was asked comes within this time.
    const ANSWER_TIME: Duration = Duration::from_secs(2);
    /// Most servers that are kept in mind.
    const MAX: usize = 16;

    /// Bytes of one server that count at most.
    const MAX_BYTES: usize = 4096;

    /// A heartbeat of so many bytes came, or with a run the announcement that the server speaks version 3. Where there is no more room, a
    /// server that is heard for the first time is ignored. In a contest it may take the place of another one instead, since heartbeats
    /// can be forged: they must not keep the true server out for good.
    pub(super) fn handle_heartbeat(&mut self, now: Duration, ip: Ipv4Addr, run: Option<Token>, bytes: usize, contest: Option<Contest<'_>>) {
        let mut is_regular = false;
        if let (true, Some(contest)) = (self.servers.len() == Self::MAX, contest) {
            if contest.asking.suffice(bytes) {
                is_regular = self.regulars.get_or_insert_with(|| Regulars::new(now, contest.random.bits())).note(now, ip);
            }
            if self.get_mut(ip).is_none() {
                if let Some(at) = self.loser(now, bytes, is_regular, contest) {
                    self.servers.remove(at);
                }
            }
        }
        if self.servers.len() < Self::MAX && self.get_mut(ip).is_none() {
            let (timer, keepalive) = (KeepaliveTimer::new(now), KeepaliveSession::default());
            self.servers.push(Heard {
                ip,
                last_heard: now,
                capability: None,
                timer,
                keepalive,
                bytes: 0,
                longest: 0,
                is_regular: false,
                asked: None,
            });
        }
        let Some(heard) = self.get_mut(ip) else { return };
        heard.last_heard = now;
        heard.is_regular |= is_regular;
        heard.longest = heard.longest.max(bytes);
        heard.bytes = (heard.bytes + bytes).min(Self::MAX_BYTES);
        if let Some(run) = run {
            heard.capability = Some((run, now));
        }
    }

    /// Draws the server whose place goes to one of which so many bytes came: of those that cannot be asked, since too few bytes came from
    /// them. One that can be asked itself may take the place of another that can; but only a regular one that of a regular one.
    fn loser(&self, now: Duration, bytes: usize, is_regular: bool, contest: Contest<'_>) -> Option<usize> {
        let Contest { asking, selected, random } = contest;
        let may_lose = |heard: &Heard| {
            let is_awaited = heard.keepalive.has_session() || heard.was_asked_within(now, Self::ANSWER_TIME);
            !is_awaited && selected != Some(heard.ip) && !asking.is_proven(heard.ip)
        };
        let rank = |bytes: usize, is_regular: bool| u8::from(asking.suffice(bytes)) + u8::from(is_regular);
        let own = rank(bytes, is_regular);
        let ranks = self.servers.iter().enumerate().filter(|(_, heard)| may_lose(heard));
        let ranks: Vec<_> = ranks.map(|(at, heard)| (rank(heard.bytes, heard.is_regular), at)).collect();
        // Those that cannot be asked do not even contend with each other for the places of those that can.
        let lowest = ranks.iter().map(|(rank, _)| *rank).min().filter(|lowest| *lowest <= own)?;
        let losers: Vec<usize> = ranks.into_iter().filter(|(rank, _)| *rank == lowest).map(|(_, at)| at).collect();
        losers.get(usize::try_from(random.below(losers.len() as u64)).unwrap_or(0)).copied()
    }

    /// Draws the server that is asked now to prove the key. Of those that may be, it prefers servers of which one heartbeat pays for that,
    /// as those of servers with keys do, of these the regular ones, and of these the ones that were not asked lately. `due` says when asking a server is due, if it
    /// is to be asked at all.
    pub(super) fn draw(
        &self,
        now: Duration,
        asking: &Asking,
        due: impl Fn(&Heard) -> Option<Duration>,
        random: &mut Random,
    ) -> Option<Ipv4Addr> {
        let may = |heard: &&Heard| due(heard).and_then(|due| asking.due(heard.ip, heard.bytes, due)).is_some_and(|due| due <= now);
        let waits = |heard: &&Heard| !heard.was_asked_within(now, Self::ASKED_LATELY);
        let mut candidates: Vec<&Heard> = self.servers.iter().filter(may).collect();
        let pays = |heard: &&Heard| asking.suffice(heard.longest);
        let is_regular = |heard: &&Heard| heard.is_regular;
        for is_better in [&pays as &dyn Fn(&&Heard) -> bool, &is_regular, &waits] {
            if candidates.iter().any(is_better) {
                candidates.retain(is_better);
            }
        }
        let at = usize::try_from(random.below(candidates.len() as u64)).unwrap_or(0);
        candidates.get(at).map(|heard| heard.ip)
    }

    /// Forgets servers that are silent.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        self.servers.retain(|heard| now.saturating_sub(heard.last_heard) < Self::SILENCE);
        if self.servers.len() < Self::MAX {
            self.regulars = None;
        }
    }

    /// The server at that address.
    pub(super) fn get_mut(&mut self, ip: Ipv4Addr) -> Option<&mut Heard> {
        self.servers.iter_mut().find(|heard| heard.ip == ip)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Heard> {
        self.servers.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Heard> {
        self.servers.iter_mut()
    }

    /// In which run the server at that address said last that it speaks version 3.
    pub(super) fn run(&self, ip: Ipv4Addr) -> Option<Token> {
        self.servers.iter().find(|heard| heard.ip == ip)?.run()
    }

    /// In which run the server at that address said lately that it speaks version 3.
    pub(super) fn capability(&self, now: Duration, ip: Ipv4Addr) -> Option<Token> {
        let heard = self.servers.iter().find(|heard| heard.ip == ip)?;
        heard.capability.filter(|(_, at)| now.saturating_sub(*at) < Self::SILENCE).map(|(run, _)| run)
    }
}

impl Heard {
    /// In which run the server said last that it speaks version 3.
    pub(super) fn run(&self) -> Option<Token> {
        self.capability.map(|(run, _)| run)
    }

    /// Whether the server ever said that it speaks version 3.
    pub(super) fn speaks_v3(&self) -> bool {
        self.capability.is_some()
    }

    /// When a keepalive is due, or what leads to one.
    pub(super) fn keepalive_due(&self, is_keyed: bool) -> Duration {
        if self.speaks_v3() && (!is_keyed || self.keepalive.has_session()) {
            self.timer.due_where_heard(self.last_heard)
        } else {
            self.timer.due()
        }
    }

    /// The server answered a keepalive, and counts as heard by that.
    pub(super) fn handle_answer(&mut self, now: Duration) {
        self.last_heard = now;
        self.timer.handle_answer();
    }

    /// Bytes that came from there and were not answered.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The server was asked to prove the key.
    pub(super) fn handle_asked(&mut self, now: Duration, asking: &mut Asking) {
        self.bytes = self.bytes.saturating_sub(asking.handle_asked(now));
        self.asked = Some(now);
    }

    fn was_asked_within(&self, now: Duration, time: Duration) -> bool {
        self.asked.is_some_and(|at| now.saturating_sub(at) < time)
    }

    /// The session that proved keepalives is over: another one is to be begun.
    pub(super) fn lose_session(&mut self, now: Duration) {
        (self.keepalive, self.timer) = (KeepaliveSession::default(), KeepaliveTimer::new(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ip(last: u8) -> Ipv4Addr {
        [10, 0, 0, last].into()
    }

    fn heard(servers: &HeardServers) -> Vec<Ipv4Addr> {
        servers.iter().map(|heard| heard.ip).collect()
    }

    #[test]
    fn a_silent_server_is_forgotten_after_thirty_seconds() {
        let mut servers = HeardServers::default();
        servers.handle_heartbeat(at(0), ip(1), None, 10, None);
        servers.handle_heartbeat(at(10), ip(2), None, 10, None);
        servers.handle_timeout(at(29));
        assert_eq!(heard(&servers), [ip(1), ip(2)]);
        servers.handle_timeout(at(30));
        assert_eq!(heard(&servers), [ip(2)]);
    }

    #[test]
    fn a_capability_counts_for_thirty_seconds() {
        let mut servers = HeardServers::default();
        servers.handle_heartbeat(at(0), ip(1), Some(Token(7)), 10, None);
        servers.handle_heartbeat(at(20), ip(1), None, 10, None);
        assert_eq!((servers.capability(at(29), ip(1)), servers.capability(at(30), ip(1))), (Some(Token(7)), None));
        assert!(servers.iter().all(Heard::speaks_v3));
    }

    #[test]
    fn forged_heartbeats_take_no_memory_and_keep_the_true_server_out_only_without_keys() {
        let (asking, mut random) = (Asking::new(100), Random::new(1));
        for (is_keyed, is_heard_in_the_end) in [(false, false), (true, true)] {
            let mut servers = HeardServers::default();
            let mut hear = |servers: &mut HeardServers, seconds, last, bytes| {
                let contest = is_keyed.then_some(Contest { asking: &asking, selected: Some(ip(1)), random: &mut random });
                servers.handle_heartbeat(at(seconds), ip(last), None, bytes, contest);
            };
            (1..=200).for_each(|last| hear(&mut servers, 0, last, 10));
            hear(&mut servers, 1, 250, 100);
            (1..=200).for_each(|last| hear(&mut servers, 2, last, 10));
            assert_eq!(servers.iter().count(), HeardServers::MAX);
            assert_eq!(heard(&servers).contains(&ip(250)), is_heard_in_the_end);
            assert!(heard(&servers).contains(&ip(1)), "the selected one stays");
        }
    }

    fn ask(servers: &mut HeardServers, asking: &mut Asking, seconds: u64, random: &mut Random) -> Option<u8> {
        let drawn = servers.draw(at(seconds), asking, |_| Some(Duration::ZERO), random)?;
        servers.get_mut(drawn).unwrap().handle_asked(at(seconds), asking);
        Some(drawn.octets()[3])
    }

    fn heard_bytes(bytes: &[(u8, usize)]) -> HeardServers {
        let mut servers = HeardServers::default();
        bytes.iter().for_each(|(last, bytes)| servers.handle_heartbeat(at(0), ip(*last), None, *bytes, None));
        servers
    }

    #[test]
    fn one_server_is_asked_every_two_seconds_and_each_only_for_the_bytes_that_came_from_it() {
        let (mut asking, mut random) = (Asking::new(100), Random::new(1));
        let mut servers = heard_bytes(&[(1, 99), (2, 100), (3, 200), (4, 100)]);
        let asked: Vec<_> = (0..12).map(|seconds| ask(&mut servers, &mut asking, seconds, &mut random)).collect();
        assert!(asked.iter().skip(1).step_by(2).all(Option::is_none), "{asked:?}");
        let mut asked: Vec<u8> = asked.into_iter().flatten().collect();
        assert_eq!(asked[3], 3, "the one that was asked before comes last: {asked:?}");
        asked.sort_unstable();
        assert_eq!(asked, [2, 3, 3, 4]);
    }

    #[test]
    fn every_server_is_drawn_first_now_and_then() {
        let servers = || heard_bytes(&[(1, 100), (2, 100), (3, 100)]);
        let first = |seed| ask(&mut servers(), &mut Asking::new(100), 0, &mut Random::new(seed));
        assert_eq!((0..100).map(first).collect::<std::collections::BTreeSet<_>>().len(), 3);
    }

    #[test]
    fn servers_that_can_all_be_asked_do_not_keep_another_one_out() {
        let (asking, mut random) = (Asking::new(100), Random::new(1));
        let mut servers = HeardServers::default();
        for last in 1..=250 {
            let contest = Contest { asking: &asking, selected: None, random: &mut random };
            servers.handle_heartbeat(at(0), ip(last), None, 100, Some(contest));
            assert!(heard(&servers).contains(&ip(last)));
        }
    }
}
