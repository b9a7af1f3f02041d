//! Stateless cookies: an agent that returns one has shown that it receives at the address it sends from.

use crate::wire::Token;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

/// The secrets from which cookies are made; new with each run of the server.
#[derive(Default)]
pub(super) struct Cookies {
    high: RandomState,
    low: RandomState,
}

impl Cookies {
    /// A cookie is good for one to two such spans.
    const SPAN: Duration = Duration::from_secs(30);

    /// The cookie for a HELLO.
    pub(super) fn make(&self, now: Duration, from: SocketAddr, host: &str, run: Token, nonce: Token) -> Token {
        self.at(Self::span(now), from, host, run, nonce)
    }

    /// Whether a JOIN returns a cookie that was made for it lately.
    pub(super) fn is_good(&self, now: Duration, from: SocketAddr, host: &str, run: Token, nonce: Token, cookie: Token) -> bool {
        let span = Self::span(now);
        [Some(span), span.checked_sub(1)].into_iter().flatten().any(|span| self.at(span, from, host, run, nonce) == cookie)
    }

    fn span(now: Duration) -> u64 {
        now.as_secs() / Self::SPAN.as_secs()
    }

    fn at(&self, span: u64, from: SocketAddr, host: &str, run: Token, nonce: Token) -> Token {
        let covered = (span, from, host, run, nonce);
        Token(u128::from(self.high.hash_one(covered)) << 64 | u128::from(self.low.hash_one(covered)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_good_for_its_hello_and_for_a_while() {
        let cookies = Cookies::default();
        let (from, run, nonce) = (SocketAddr::from(([10, 0, 0, 1], 4360)), Token(1), Token(2));
        let at = Duration::from_secs;
        let cookie = cookies.make(at(100), from, "h", run, nonce);
        assert!(cookies.is_good(at(129), from, "h", run, nonce, cookie));
        assert!(!cookies.is_good(at(190), from, "h", run, nonce, cookie));
        assert!(!cookies.is_good(at(100), from, "g", run, nonce, cookie));
        assert!(!cookies.is_good(at(100), from, "h", Token(9), nonce, cookie));
        assert!(!cookies.is_good(at(100), from, "h", run, Token(9), cookie));
        assert!(!cookies.is_good(at(100), SocketAddr::from(([10, 0, 0, 2], 4360)), "h", run, nonce, cookie));
        assert!(!Cookies::default().is_good(at(100), from, "h", run, nonce, cookie));
    }
}
