//! Sends datagrams in batches.

use crate::now::Now;
use crate::run::failure::LastFailure;
use crate::run::log::Log;
use crate::sys::datagrams::Sender;
use crate::sys::reason;
use std::net::{SocketAddrV4, UdpSocket};

#[derive(Default)]
pub(super) struct Outgoing {
    sender: Sender,
    failure: LastFailure,
}

impl Outgoing {
    /// Adds a datagram to the batch. Sends the batch first if it is full.
    pub(super) fn push(&mut self, now: Now, to: SocketAddrV4, datagram: &[u8], socket: &UdpSocket, log: &mut Log) {
        if self.sender.is_full() {
            self.flush(now, socket, log);
        }
        self.sender.push(to, datagram);
    }

    /// Sends the batch. Datagrams that cannot be sent are dropped and logged.
    pub(super) fn flush(&mut self, now: Now, socket: &UdpSocket, log: &mut Log) {
        self.sender.flush(socket, |outcome| {
            let (to, failure) = outcome.err().map_or((None, None), |(to, e)| (Some(to), Some(reason(&e))));
            if let (Some(failure), Some(to)) = (self.failure.update(failure), to) {
                log.write(now, &format!("cannot send to {to}: {failure}"));
            }
        });
    }
}
