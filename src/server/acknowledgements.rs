//! Version 1 acknowledgements that are due once the events that the sink took are written.

use std::net::SocketAddrV4;
use std::rc::Rc;

#[derive(Default)]
pub(super) struct Acknowledgements {
    pending: Vec<Pending>,
    /// The uids of all pending acknowledgements in one buffer, which is reused.
    uids: String,
}

struct Pending {
    event: PendingEvent,
    /// Where its uid ends in the buffer. It begins where the one before ends.
    uid_end: usize,
}

/// An event that waits for its acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PendingEvent {
    /// Where the acknowledgement goes.
    pub(super) to: SocketAddrV4,
    /// The event's hash, if repeats of it are recognised.
    pub(super) hash: Option<u64>,
    /// The host, if the event came in a session with a MAC.
    pub(super) signed_host: Option<Rc<str>>,
}

impl Acknowledgements {
    /// Bytes of the buffer that are kept after a burst.
    const KEPT: usize = 16 * 1024;

    pub(super) fn push(&mut self, uid: &str, event: PendingEvent) {
        self.uids.push_str(uid);
        self.pending.push(Pending { event, uid_end: self.uids.len() });
    }

    /// Hands over every pending event with its uid, in the order in which they came. None is pending then.
    pub(super) fn drain(&mut self, mut take: impl FnMut(&str, PendingEvent)) {
        let mut start = 0;
        for Pending { event, uid_end } in self.pending.drain(..) {
            take(&self.uids[start..uid_end], event);
            start = uid_end;
        }
        self.uids.clear();
        self.uids.shrink_to(Self::KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pending_events_come_out_once_in_order_each_with_its_uid() {
        let event = |hash| PendingEvent { to: SocketAddrV4::new([10, 0, 0, 1].into(), 1), hash, signed_host: None };
        let mut acknowledgements = Acknowledgements::default();
        for round in 0..2 {
            for (uid, hash) in [("1_0", None), ("", Some(7)), ("1_22", Some(8))] {
                acknowledgements.push(uid, event(hash));
            }
            let mut drained = Vec::new();
            acknowledgements.drain(|uid, event| drained.push((uid.to_string(), event.hash)));
            assert_eq!(drained, [("1_0".into(), None), (String::new(), Some(7)), ("1_22".into(), Some(8))], "{round}");
            acknowledgements.drain(|_, _| panic!("nothing is pending"));
        }
    }

    #[test]
    fn the_memory_of_a_burst_is_released() {
        let mut acknowledgements = Acknowledgements::default();
        let event = PendingEvent { to: SocketAddrV4::new([10, 0, 0, 1].into(), 1), hash: None, signed_host: None };
        (0..100_000).for_each(|_| acknowledgements.push("1795347336_2", event.clone()));
        acknowledgements.drain(|_, _| {});
        assert!(acknowledgements.uids.capacity() <= Acknowledgements::KEPT);
    }
}
