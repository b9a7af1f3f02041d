//! Answers a HELLO. Remembers nothing: the cookie in the answer holds what JOIN will need.

use super::admission::Admission;
use super::cookie::Cookies;
use super::outputs::Outputs;
use crate::wire::{Message, Token};
use std::net::SocketAddrV4;
use std::time::Duration;

/// The fields of a HELLO, with the time at which it came and from where.
#[derive(Clone, Copy)]
pub(super) struct Hello<'a> {
    pub(super) now: Duration,
    pub(super) from: SocketAddrV4,
    pub(super) host: &'a str,
    pub(super) run: Token,
    pub(super) nonce: Token,
}

impl Hello<'_> {
    /// Sends OFFER if the host may have a session. `datagram` is the HELLO with its MAC.
    pub(super) fn answer(self, datagram: &[u8], cookies: &mut Cookies, admission: &mut Admission, outputs: &mut Outputs) {
        let Self { now, from, host, run, nonce } = self;
        let Some(credential) = admission.check_handshake(from, host, datagram) else {
            let has_mac = datagram.len() > Message::Hello { host, run, nonce }.emit().len();
            if !has_mac && admission.has_key(host) && admission.take_lost() {
                // An agent without a key cannot know why it gets no offer. This is shorter than what it sent.
                outputs.send(from, &Message::Locked { host }, None);
            }
            return;
        };
        let cookie = cookies.make(now, from, host, run, nonce);
        outputs.send_handshake(from, &Message::Offer { host, nonce, cookie }, credential.key());
    }
}
