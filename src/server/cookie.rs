//! Stateless cookies: an agent that returns one has proven that it receives at the address it sends from.

use crate::wire::Token;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddrV4;
use std::time::Duration;

/// Makes and verifies cookies. The secret is new in each run of the server.
#[derive(Default)]
pub(super) struct Cookies {
    secret: RandomState,
    latest: Stamp,
}

/// When a cookie was made, in microseconds since the start of [`crate::now::Now::mono`]. Unique: a later cookie has a higher stamp.
pub(super) type Stamp = u64;

impl Cookies {
    /// How long a cookie is valid.
    const LIFETIME: Duration = Duration::from_secs(60);

    /// Makes the cookie for a HELLO: its stamp, and a keyed hash of the stamp and the fields of the HELLO.
    pub(super) fn make(&mut self, now: Duration, from: SocketAddrV4, host: &str, run: Token, nonce: Token) -> Token {
        self.latest = micros(now).max(self.latest + 1);
        self.cookie_at(self.latest, from, host, run, nonce)
    }

    /// Returns the stamp of the cookie in a JOIN. `None` if the cookie was made for another HELLO or has expired.
    pub(super) fn verify(&self, now: Duration, from: SocketAddrV4, host: &str, run: Token, nonce: Token, cookie: Token) -> Option<Stamp> {
        let stamp = Stamp::try_from(cookie.0 >> 64).ok()?;
        let is_fresh = stamp <= self.latest && micros(now).saturating_sub(stamp) < micros(Self::LIFETIME);
        (is_fresh && self.cookie_at(stamp, from, host, run, nonce) == cookie).then_some(stamp)
    }

    /// The stamp of the latest cookie.
    pub(super) fn latest(&self) -> Stamp {
        self.latest
    }

    fn cookie_at(&self, stamp: Stamp, from: SocketAddrV4, host: &str, run: Token, nonce: Token) -> Token {
        let hash = self.secret.hash_one((stamp, from, host, run, nonce));
        Token(u128::from(stamp) << 64 | u128::from(hash))
    }
}

fn micros(time: Duration) -> Stamp {
    Stamp::try_from(time.as_micros()).unwrap_or(Stamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_valid_for_its_hello_and_for_one_minute() {
        let mut cookies = Cookies::default();
        let (from, run, nonce) = (SocketAddrV4::new([10, 0, 0, 1].into(), 4360), Token(1), Token(2));
        let at = Duration::from_secs;
        let cookie = cookies.make(at(100), from, "h", run, nonce);
        assert!(cookies.verify(at(129), from, "h", run, nonce, cookie).is_some());
        assert_eq!(cookies.verify(at(190), from, "h", run, nonce, cookie), None);
        assert_eq!(cookies.verify(at(100), from, "g", run, nonce, cookie), None);
        assert_eq!(cookies.verify(at(100), from, "h", Token(9), nonce, cookie), None);
        assert_eq!(cookies.verify(at(100), from, "h", run, Token(9), cookie), None);
        assert_eq!(cookies.verify(at(100), SocketAddrV4::new([10, 0, 0, 2].into(), 4360), "h", run, nonce, cookie), None);
        assert_eq!(Cookies::default().verify(at(100), from, "h", run, nonce, cookie), None);
    }

    #[test]
    fn a_later_cookie_has_a_higher_stamp_even_at_one_instant() {
        let mut cookies = Cookies::default();
        let (from, now) = (SocketAddrV4::new([10, 0, 0, 1].into(), 4360), Duration::from_secs(7));
        let stamps: Vec<_> = (0..3)
            .map(|_| {
                let cookie = cookies.make(now, from, "h", Token(1), Token(2));
                cookies.verify(now, from, "h", Token(1), Token(2), cookie).unwrap()
            })
            .collect();
        assert!(stamps[0] < stamps[1] && stamps[1] < stamps[2] && stamps[2] == cookies.latest());
        // The hash covers the stamp.
        let cookie = cookies.make(now, from, "h", Token(1), Token(2));
        assert_eq!(cookies.verify(now, from, "h", Token(1), Token(2), Token(cookie.0 - (1 << 64))), None);
    }
}
