//! What the server wants done, in the order in which it came up: datagrams and lines of the log in one text, which is used over and over.

use crate::wire::auth::{Key, SessionMac, Side};
use crate::wire::Message;
use std::collections::VecDeque;
use std::net::SocketAddrV4;

/// What the server wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Send that datagram.
    Send { to: SocketAddrV4, datagram: &'a [u8] },
    /// Write that into the server's own log.
    Log(&'a str),
}

#[derive(Default)]
pub(super) struct Outputs {
    /// What is queued, one behind the other, and what was taken since the queue was last empty.
    text: String,
    taken: usize,
    /// Where a datagram goes, `None` for a line of the log, and where in the text it ends.
    queue: VecDeque<(Option<SocketAddrV4>, usize)>,
}

impl Outputs {
    /// What is kept of the memory that a burst needed.
    const KEPT: usize = 16 * 1024;

    /// Queues a message, sealed where a session has a seal.
    pub(super) fn send(&mut self, to: SocketAddrV4, message: &Message<'_>, mac: Option<&mut SessionMac>) {
        self.send_with(to, message, |datagram| mac.map(|mac| mac.sign(datagram)));
    }

    /// Queues a message of a handshake, signed by the key if there is one.
    pub(super) fn send_signed(&mut self, to: SocketAddrV4, message: &Message<'_>, key: Option<&Key>) {
        self.send_with(to, message, |datagram| key.map(|key| key.sign(Side::Server, datagram)));
    }

    fn send_with(&mut self, to: SocketAddrV4, message: &Message<'_>, tail: impl FnOnce(&[u8]) -> Option<String>) {
        self.make_room();
        let start = self.text.len();
        message.emit_into(&mut self.text);
        if let Some(tail) = tail(&self.text.as_bytes()[start..]) {
            self.text.push_str(&tail);
        }
        self.queue.push_back((Some(to), self.text.len()));
    }

    pub(super) fn log(&mut self, line: &str) {
        self.make_room();
        self.text.push_str(line);
        self.queue.push_back((None, self.text.len()));
    }

    fn make_room(&mut self) {
        if self.queue.is_empty() && self.taken > 0 {
            self.taken = 0;
            self.text.clear();
            self.text.shrink_to(Self::KEPT);
            self.queue.shrink_to(Self::KEPT / size_of::<(Option<SocketAddrV4>, usize)>());
        }
    }

    /// The oldest, which counts as done.
    pub(super) fn pop(&mut self) -> Option<Output<'_>> {
        let (to, end) = self.queue.pop_front()?;
        let text = &self.text[self.taken..end];
        self.taken = end;
        Some(to.map_or(Output::Log(text), |to| Output::Send { to, datagram: text.as_bytes() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_queued_comes_out_in_order_also_while_more_is_queued() {
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
    fn the_memory_of_a_burst_is_given_back() {
        let mut outputs = Outputs::default();
        let to = SocketAddrV4::new([10, 0, 0, 1].into(), 4360);
        (0..100_000).for_each(|_| outputs.send(to, &Message::Ack { uid: "1_0" }, None));
        while outputs.pop().is_some() {}
        outputs.log("line");
        let queue = outputs.queue.capacity() * size_of::<(Option<SocketAddrV4>, usize)>();
        assert!(outputs.text.capacity() <= Outputs::KEPT && queue <= Outputs::KEPT);
    }
}
