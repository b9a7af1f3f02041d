//! Sends datagrams in batches.

use crate::now::Now;
use crate::run::failure::SendFailures;
use crate::run::log::Log;
use crate::sys::datagrams::Sender;
use std::net::{SocketAddrV4, UdpSocket};

/// A batch of datagrams, and what could not be sent.
#[derive(Default)]
pub(super) struct Outgoing {
    sender: Sender,
    failures: SendFailures,
}

impl Outgoing {
    /// Adds a datagram to the batch. Sends the batch first if it is full.
    pub(super) fn push(&mut self, now: Now, to: SocketAddrV4, datagram: &[u8], socket: &UdpSocket, log: &mut Log) {
        if self.sender.is_full() {
            self.flush(now, socket, log);
        }
        self.sender.push(to, datagram);
    }

    /// Gives the memory of the batch back, which must have been sent.
    pub(super) fn give_back(&mut self) {
        self.sender = Sender::default();
    }

    /// Sends the batch. Datagrams that cannot be sent are dropped, and logged once for each address and reason.
    pub(super) fn flush(&mut self, now: Now, socket: &UdpSocket, log: &mut Log) {
        self.sender.flush(socket, |to, e| {
            if let Some(line) = self.failures.note(to, &e) {
                log.write(now, &line);
            }
        });
    }
}
