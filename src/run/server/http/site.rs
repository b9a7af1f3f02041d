//! What answers requests, as those see it who only carry them.

use super::message::{Request, Response};
use crate::now::Now;
use std::net::IpAddr;

/// What answers requests.
pub(in crate::run::server) trait Site {
    /// A response that is made piece by piece.
    type Long;

    /// Answers a request.
    fn answer(&mut self, now: Now, request: &Request<'_>, visitor: Visitor) -> Response<Self::Long>;

    /// Appends the next piece of a response, or nothing if there is more to be done for it.
    fn next_piece(&mut self, now: Now, long: &mut Self::Long, text: &mut String) -> Progress;
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run::server) enum Visitor {
    /// The user of the server, over its Unix socket.
    Owner,
    /// Someone at that address, of whom nothing else is known yet.
    At(IpAddr),
    /// Someone who needed no password.
    Guest,
    /// Someone who knows a password.
    User,
}

/// How far a long response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run::server) enum Progress {
    Continues,
    Finished,
}
