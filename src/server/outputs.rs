//! What the server wants done: datagrams and log lines, in order, in one buffer that is reused.

use crate::wire::auth::{Key, SessionMac, Side};
use crate::wire::Message;
use std::collections::VecDeque;
use std::net::SocketAddrV4;

/// Something that the caller of the server is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Send a datagram.
    Send { to: SocketAddrV4, datagram: &'a [u8] },
    /// Write a line to the server's log.
    Log(&'a str),
}

#[derive(Default)]
pub(super) struct Outputs {
    /// The queued outputs, concatenated.
    text: String,
    /// Where the next output begins in the text.
    start: usize,
    /// Where a datagram goes, or `None` for a log line, and where it ends in the text.
    queue: VecDeque<(Option<SocketAddrV4>, usize)>,
}

impl Outputs {
    /// Bytes of each buffer that are kept after a burst.
    const KEPT: usize = 16 * 1024;

    /// Queues a message. A MAC signs it if its session has one.
    pub(super) fn send(&mut self, to: SocketAddrV4, message: &Message<'_>, mac: Option<&mut SessionMac>) {
        self.send_with(to, message, |datagram| mac.map(|mac| mac.sign(datagram)));
    }

    /// Queues a message of a handshake. The key signs it if the host has one.
    pub(super) fn send_handshake(&mut self, to: SocketAddrV4, message: &Message<'_>, key: Option<&Key>) {
        self.send_with(to, message, |datagram| key.map(|key| key.sign(Side::Server, datagram)));
    }

    /// Queues a message, lengthened to so many bytes by a last field that means nothing.
    pub(super) fn send_padded(&mut self, to: SocketAddrV4, message: &Message<'_>, size: usize) {
        self.send_with(to, message, |datagram| Some(format!("%%{:.<1$}", "", size.saturating_sub(datagram.len() + 2))));
    }

    fn send_with(&mut self, to: SocketAddrV4, message: &Message<'_>, sign: impl FnOnce(&[u8]) -> Option<String>) {
        self.make_room();
        let start = self.text.len();
        message.emit_into(&mut self.text);
        if let Some(trailer) = sign(&self.text.as_bytes()[start..]) {
            self.text.push_str(&trailer);
        }
        self.queue.push_back((Some(to), self.text.len()));
    }

    pub(super) fn log(&mut self, line: &str) {
        self.make_room();
        self.text.push_str(line);
        self.queue.push_back((None, self.text.len()));
    }

    /// Reuses the buffer once everything in it was taken.
    fn make_room(&mut self) {
        if self.queue.is_empty() && self.start > 0 {
            self.start = 0;
            self.text.clear();
            self.text.shrink_to(Self::KEPT);
            self.queue.shrink_to(Self::KEPT / size_of::<(Option<SocketAddrV4>, usize)>());
        }
    }

    /// Removes and returns the oldest output.
    pub(super) fn pop(&mut self) -> Option<Output<'_>> {
        let (to, end) = self.queue.pop_front()?;
        let text = &self.text[self.start..end];
        self.start = end;
        Some(to.map_or(Output::Log(text), |to| Output::Send { to, datagram: text.as_bytes() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_come_out_in_order_while_others_are_queued() {
        let mut outputs = Outputs::default();
        let to = SocketAddrV4::new([10, 0, 0, 1].into(), 4360);
        for round in 0..3 {
            outputs.send(to, &Message::Ack { uid: "1_0" }, None);
            outputs.log("");
            assert_eq!(outputs.pop(), Some(Output::Send { to, datagram: b"ACK%%1_0" }), "{round}");
            outputs.log("line");
            assert_eq!(outputs.pop(), Some(Output::Log("")));
            assert_eq!(outputs.pop(), Some(Output::Log("line")));
            assert_eq!(outputs.pop(), None);
        }
    }

    #[test]
    fn a_padded_message_has_the_size_and_says_the_same() {
        let mut outputs = Outputs::default();
        let message = Message::Capability { name: "pi", run: crate::wire::Token(1) };
        for size in [100, 367] {
            outputs.send_padded(SocketAddrV4::new([10, 0, 0, 1].into(), 4360), &message, size);
            let Some(Output::Send { datagram, .. }) = outputs.pop() else { panic!("nothing was queued") };
            assert_eq!((datagram.len(), Message::parse(datagram)), (size, Ok(message.clone())));
        }
    }

    #[test]
    fn the_memory_of_a_burst_is_released() {
        let mut outputs = Outputs::default();
        let to = SocketAddrV4::new([10, 0, 0, 1].into(), 4360);
        (0..100_000).for_each(|_| outputs.send(to, &Message::Ack { uid: "1_0" }, None));
        while outputs.pop().is_some() {}
        outputs.log("line");
        let queue = outputs.queue.capacity() * size_of::<(Option<SocketAddrV4>, usize)>();
        assert!(outputs.text.capacity() <= Outputs::KEPT && queue <= Outputs::KEPT);
    }
}
