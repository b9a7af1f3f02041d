//! How long to wait for an answer before a datagram is sent again.

use std::time::Duration;

/// The wait after that many datagrams without an answer: it doubles from 500 ms up to 10 s.
pub(in crate::agent) fn backoff(tries: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(10);
    (FIRST * (1 << tries.min(5))).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_ten_seconds() {
        let waits: Vec<u64> = [0, 1, 2, 3, 4, 5, 6, u32::MAX].map(|tries| backoff(tries).as_millis().try_into().unwrap()).to_vec();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
    }
}
