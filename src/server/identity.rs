//! What distinguishes one server from another, and what it tells everyone.

use super::outputs::Outputs;
use crate::wire::{Message, Token, MAX_HELLO};
use std::net::SocketAddrV4;

/// What distinguishes one server from another.
#[derive(Clone, Debug)]
pub struct ServerIdentity {
    /// The name that SRVHB announces.
    pub name: String,
    /// Random, new in each run of the server.
    pub run: Token,
    /// The addresses that SRVHB, SRVCAP and RESET are sent to.
    pub broadcast: Vec<SocketAddrV4>,
}

impl ServerIdentity {
    /// How many SRVCAP go before a version 1 configuration, and after it.
    const CAPABILITIES: usize = 3;

    fn capability(&self) -> Message<'_> {
        Message::Capability { name: &self.name, run: self.run }
    }

    /// Says to everyone that the server is there.
    pub(super) fn announce(&self, requires_keys: bool, outputs: &mut Outputs) {
        // SRVCAP goes first, so that an agent that is looking for a server knows which version to try.
        for to in &self.broadcast {
            match requires_keys {
                // An agent with a key answers a stranger with no more bytes than it got.
                true => outputs.send_padded(*to, &self.capability(), MAX_HELLO),
                false => outputs.send(*to, &self.capability(), None),
            }
        }
        self.broadcast.iter().for_each(|to| outputs.send(*to, &Message::Heartbeat { name: &self.name }, None));
    }

    /// Says to everyone that a host has another configuration.
    pub(super) fn announce_reset(&self, host: &str, outputs: &mut Outputs) {
        self.broadcast.iter().for_each(|to| outputs.send(*to, &Message::Reset { host }, None));
    }

    /// Sends a version 1 configuration.
    pub(super) fn send_classic(&self, to: SocketAddrV4, lines: &str, outputs: &mut Outputs) {
        // An agent that speaks version 3 may ask because nothing else that says so has arrived. Version 1 agents ignore SRVCAP.
        (0..Self::CAPABILITIES).for_each(|_| outputs.send(to, &self.capability(), None));
        outputs.send(to, &Message::Config { lines }, None);
        (0..Self::CAPABILITIES).for_each(|_| outputs.send(to, &self.capability(), None));
    }
}
