//! Which addresses are heard again and again, as servers are, among thousands that are heard once. Takes 64 KiB, and so exists only while
//! heartbeats are being forged.

use std::net::Ipv4Addr;
use std::time::Duration;

pub(super) struct Regulars {
    salt: u64,
    began: Duration,
    /// For all addresses with one hash: in the upper half the span in which one was heard last, in the lower one in how many in a row.
    cells: Box<[u8]>,
}

impl Regulars {
    const CELLS: usize = 1 << 16;
    /// A server is heard in each of these.
    const SPAN: Duration = Duration::from_secs(6);
    /// An address that was heard in so many spans in a row is a regular one.
    const SPANS: u8 = 4;

    /// Nobody was heard yet. The salt is to be a secret.
    pub(super) fn new(now: Duration, salt: u64) -> Self {
        Self { salt, began: now, cells: vec![0; Self::CELLS].into_boxed_slice() }
    }

    /// Notes that something came from that address. Returns whether it is a regular one.
    pub(super) fn note(&mut self, now: Duration, ip: Ipv4Addr) -> bool {
        let spans = now.saturating_sub(self.began).as_secs() / Self::SPAN.as_secs();
        let span = u8::try_from(spans % 16).unwrap_or(0);
        let hash = (u64::from(u32::from(ip)) ^ self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        let cell = &mut self.cells[usize::try_from(hash).unwrap_or(0)];
        let (last, in_a_row) = (*cell >> 4, *cell & 15);
        let in_a_row = match span.wrapping_sub(last) & 15 {
            0 => in_a_row.max(1),
            1 => (in_a_row + 1).min(15),
            _ => 1,
        };
        *cell = span << 4 | in_a_row;
        in_a_row >= Self::SPANS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_heard_every_five_seconds_is_regular_and_thousands_that_are_heard_once_are_not() {
        let mut regulars = Regulars::new(Duration::ZERO, 0x1234_5678_9abc_def0);
        let (mut strangers, mut first) = (0, None);
        for milli in 0..60_000_u32 {
            let now = Duration::from_millis(milli.into());
            strangers += u32::from(regulars.note(now, Ipv4Addr::from(0x0b00_0000 + milli)));
            if milli % 5_000 == 0 && regulars.note(now, [10, 0, 0, 1].into()) {
                first.get_or_insert(milli);
            }
        }
        assert_eq!(first, Some(20_000));
        assert!(strangers < 120, "{strangers}");
    }
}
