//! When servers that have proven nothing may be asked to prove the key: seldom, and with no more bytes than came from there, since their
//! addresses may be forged. Sends nothing itself.

use std::net::Ipv4Addr;
use std::time::Duration;

/// The limits of an agent that has keys.
pub(super) struct Asking {
    /// Bytes of this agent's HELLO.
    hello: usize,
    /// When the next server may be asked.
    next: Duration,
    /// The server that proved the key last. It is asked without a limit.
    proven: Option<Ipv4Addr>,
}

impl Asking {
    /// Time between two HELLOs to servers that have proven nothing, all of them together.
    const INTERVAL: Duration = Duration::from_secs(2);

    /// HELLOs of this agent have that many bytes.
    pub(super) const fn new(hello: usize) -> Self {
        Self { hello, next: Duration::ZERO, proven: None }
    }

    /// The server at that address has proven the key.
    pub(super) fn handle_proven(&mut self, ip: Ipv4Addr) {
        self.proven = Some(ip);
    }

    /// Whether the server at that address proved the key last.
    pub(super) fn is_proven(&self, ip: Ipv4Addr) -> bool {
        self.proven == Some(ip)
    }

    /// Whether so many bytes from a server suffice for asking it.
    pub(super) fn suffice(&self, bytes: usize) -> bool {
        bytes >= self.hello
    }

    /// When the server at that address may be asked, where that is due at `due` and so many bytes came from there that were not answered.
    /// `None` if these are too few.
    pub(super) fn due(&self, ip: Ipv4Addr, bytes: usize, due: Duration) -> Option<Duration> {
        if self.is_proven(ip) {
            return Some(due);
        }
        self.suffice(bytes).then_some(due.max(self.next))
    }

    /// A server was asked. Returns how many bytes that took.
    pub(super) fn handle_asked(&mut self, now: Duration) -> usize {
        self.next = now + Self::INTERVAL;
        self.hello
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_without_proof_wait_for_each_other_and_for_bytes_that_pay_for_the_question() {
        let (mut asking, at) = (Asking::new(100), Duration::from_secs);
        let [proven, other] = [1, 2].map(|last| Ipv4Addr::from([10, 0, 0, last]));
        asking.handle_proven(proven);
        assert_eq!(asking.handle_asked(at(10)), 100);
        for (ip, bytes, due, expected) in
            [(other, 99, 20, None), (other, 100, 20, Some(20)), (other, 100, 11, Some(12)), (proven, 0, 11, Some(11))]
        {
            assert_eq!(asking.due(ip, bytes, at(due)), expected.map(at), "{ip} {bytes} {due}");
        }
    }
}
