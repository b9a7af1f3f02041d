//! Stateless cookies: an agent that returns one has shown that it receives at the address it sends from.

use crate::wire::Token;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddrV4;
use std::time::Duration;

/// The secrets from which cookies are made; new with each run of the server.
#[derive(Default)]
pub(super) struct Cookies {
    secret: RandomState,
    latest: Stamp,
}

/// When a cookie was made, in microseconds of the server's clock; no two have the same, and a later one has a higher.
pub(super) type Stamp = u64;

impl Cookies {
    /// How long a cookie is good.
    const LIFE: Duration = Duration::from_secs(60);

    /// The cookie for a HELLO: when it was made, and what proves that it was made here.
    pub(super) fn make(&mut self, now: Duration, from: SocketAddrV4, host: &str, run: Token, nonce: Token) -> Token {
        self.latest = micros(now).max(self.latest + 1);
        self.at(self.latest, from, host, run, nonce)
    }

    /// When the cookie was made that a JOIN returns, if that was for it and lately.
    pub(super) fn stamp(&self, now: Duration, from: SocketAddrV4, host: &str, run: Token, nonce: Token, cookie: Token) -> Option<Stamp> {
        let stamp = Stamp::try_from(cookie.0 >> 64).ok()?;
        let is_fresh = stamp <= self.latest && micros(now).saturating_sub(stamp) < micros(Self::LIFE);
        (is_fresh && self.at(stamp, from, host, run, nonce) == cookie).then_some(stamp)
    }

    /// The stamp of the latest cookie.
    pub(super) fn latest(&self) -> Stamp {
        self.latest
    }

    fn at(&self, stamp: Stamp, from: SocketAddrV4, host: &str, run: Token, nonce: Token) -> Token {
        let proof = self.secret.hash_one((stamp, from, host, run, nonce));
        Token(u128::from(stamp) << 64 | u128::from(proof))
    }
}

fn micros(time: Duration) -> Stamp {
    Stamp::try_from(time.as_micros()).unwrap_or(Stamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_good_for_its_hello_and_for_a_while() {
        let mut cookies = Cookies::default();
        let (from, run, nonce) = (SocketAddrV4::new([10, 0, 0, 1].into(), 4360), Token(1), Token(2));
        let at = Duration::from_secs;
        let cookie = cookies.make(at(100), from, "h", run, nonce);
        assert!(cookies.stamp(at(129), from, "h", run, nonce, cookie).is_some());
        assert_eq!(cookies.stamp(at(190), from, "h", run, nonce, cookie), None);
        assert_eq!(cookies.stamp(at(100), from, "g", run, nonce, cookie), None);
        assert_eq!(cookies.stamp(at(100), from, "h", Token(9), nonce, cookie), None);
        assert_eq!(cookies.stamp(at(100), from, "h", run, Token(9), cookie), None);
        assert_eq!(cookies.stamp(at(100), SocketAddrV4::new([10, 0, 0, 2].into(), 4360), "h", run, nonce, cookie), None);
        assert_eq!(Cookies::default().stamp(at(100), from, "h", run, nonce, cookie), None);
    }

    #[test]
    fn a_later_cookie_has_a_higher_stamp_even_at_one_instant() {
        let mut cookies = Cookies::default();
        let (from, now) = (SocketAddrV4::new([10, 0, 0, 1].into(), 4360), Duration::from_secs(7));
        let stamps: Vec<_> = (0..3)
            .map(|_| {
                let cookie = cookies.make(now, from, "h", Token(1), Token(2));
                cookies.stamp(now, from, "h", Token(1), Token(2), cookie).unwrap()
            })
            .collect();
        assert!(stamps[0] < stamps[1] && stamps[1] < stamps[2] && stamps[2] == cookies.latest());
        // The stamp is covered: another one with the same proof is no cookie.
        let cookie = cookies.make(now, from, "h", Token(1), Token(2));
        assert_eq!(cookies.stamp(now, from, "h", Token(1), Token(2), Token(cookie.0 - (1 << 64))), None);
    }
}
