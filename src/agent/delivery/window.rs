//! How many bytes may be in flight, as the answers of the server and its silence say: slow start and congestion avoidance as TCP has them
//! (RFC 5681, RFC 6298), and losses found by what was sent later and has arrived (RFC 9002). Knows no event and sends nothing.

use std::time::Duration;

pub(super) struct Window {
    /// Most bytes in flight.
    size: usize,
    /// Above that many bytes the window grows slowly.
    threshold: usize,
    round_trip: Option<RoundTrip>,
    /// The number of the datagram that was sent last, and of the latest one that is known to have arrived.
    sent: u64,
    arrived: u64,
    round: Round,
    /// When it was last made as small as it gets.
    collapsed: Duration,
}

/// How long answers take, smoothed, and how much that varies.
#[derive(Clone, Copy)]
struct RoundTrip {
    smoothed: Duration,
    variation: Duration,
}

/// What became of the datagrams that were in flight when the round began.
#[derive(Default)]
struct Round {
    /// The last datagram of the round.
    end: u64,
    arrived_bytes: usize,
    lost_bytes: usize,
    /// What the window had when the round began.
    size: usize,
}

/// A datagram that was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    /// Its number among all datagrams with events; 0 if it was not sent.
    pub(super) number: u64,
    /// When it was sent last.
    pub(super) at: Duration,
    /// How often it was sent.
    pub(super) times: u32,
}

impl Window {
    /// Most bytes in flight.
    pub(super) const MAX: usize = 128 * 1024;
    /// Bytes in flight at first, and while nothing is answered: hundreds of agents may come back at once when a server does.
    pub(super) const MIN: usize = 4 * Self::DATAGRAM;
    /// What a full datagram counts.
    const DATAGRAM: usize = 1200;
    /// A datagram is lost if that many later ones have arrived. Fewer may have overtaken it.
    const REORDERING: u64 = 3;
    /// Losses are few if they are at most one in so many bytes.
    const FEW_LOSSES: usize = 16;
    /// How long an answer is waited for before any has come, and at least.
    const FIRST_TIMEOUT: Duration = Duration::from_millis(500);
    const LEAST_TIMEOUT: Duration = Duration::from_millis(200);
    const LONGEST_TIMEOUT: Duration = Duration::from_secs(10);

    pub(super) fn new(now: Duration) -> Self {
        Self { size: Self::MIN, threshold: Self::MAX, round_trip: None, sent: 0, arrived: 0, round: Round::default(), collapsed: now }
    }

    /// Another session begins: it may have another way to go.
    pub(super) fn restart(&mut self, now: Duration) {
        let sent = self.sent;
        *self = Self { sent, arrived: sent, ..Self::new(now) };
    }

    /// Most bytes in flight.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// How long to wait for the answer to a datagram that was sent so many times.
    pub(super) fn timeout(&self, times: u32) -> Duration {
        let first = self.round_trip.map_or(Self::FIRST_TIMEOUT, |RoundTrip { smoothed, variation }| {
            (smoothed + 4 * variation).clamp(Self::LEAST_TIMEOUT, Self::LONGEST_TIMEOUT)
        });
        (first * (1 << times.saturating_sub(1).min(6))).min(Self::LONGEST_TIMEOUT)
    }

    /// The number of a datagram that is sent now.
    pub(super) fn next_number(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// A datagram of so many bytes has arrived, as an answer says for the first time.
    pub(super) fn handle_arrived(&mut self, now: Duration, sent: Sent, bytes: usize) {
        // An answer to a repeated datagram does not tell which one it answers.
        if sent.number > self.arrived && sent.times == 1 {
            let sample = now.saturating_sub(sent.at);
            self.round_trip = Some(RoundTrip::after(self.round_trip, sample));
        }
        self.arrived = self.arrived.max(sent.number);
        if sent.number > self.round.end {
            self.round = Round { end: self.sent, size: self.size, ..Round::default() };
        }
        self.round.arrived_bytes += bytes;
        let more = if self.size < self.threshold { bytes } else { Self::DATAGRAM * bytes / self.size };
        self.size = Self::MAX.min(self.size + more.max(1));
    }

    /// Whether a datagram is lost, as those say that were sent later and have arrived.
    pub(super) fn is_overtaken(&self, sent: Sent) -> bool {
        sent.number + Self::REORDERING <= self.arrived
    }

    /// A datagram of so many bytes has been overtaken and is sent again. Wireless networks lose some now and then, which does not mean that
    /// there is no room for them: few losses of a round end the fast growth, and many narrow the window by half.
    pub(super) fn handle_overtaken(&mut self, bytes: usize) {
        let Round { arrived_bytes, lost_bytes, size, .. } = &mut self.round;
        *lost_bytes += bytes;
        if *lost_bytes > 2 * Self::DATAGRAM && *lost_bytes * Self::FEW_LOSSES > *arrived_bytes + *lost_bytes {
            self.size = self.size.min((*size / 2).max(Self::MIN));
        }
        self.threshold = self.size;
    }

    /// A datagram was not answered in time. What else is in flight is probably lost too.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        if now.saturating_sub(self.collapsed) >= self.timeout(1) {
            self.threshold = (self.size / 2).max(2 * Self::MIN);
            (self.size, self.collapsed) = (Self::MIN, now);
        }
    }
}

impl RoundTrip {
    /// With one more sample, as RFC 6298 weighs it.
    fn after(before: Option<Self>, sample: Duration) -> Self {
        let Some(Self { smoothed, variation }) = before else { return Self { smoothed: sample, variation: sample / 2 } };
        let difference = smoothed.max(sample) - smoothed.min(sample);
        Self { smoothed: (7 * smoothed + sample) / 8, variation: (3 * variation + difference) / 4 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A window in whose flight so many datagrams of 1,200 bytes were sent at 0.
    fn flown(count: u64) -> (Window, Vec<Sent>) {
        let mut window = Window::new(ms(0));
        let sent = (0..count).map(|_| Sent { number: window.next_number(), at: ms(0), times: 1 }).collect();
        (window, sent)
    }

    #[test]
    fn it_doubles_with_each_round_trip_until_it_is_full() {
        let mut window = Window::new(ms(0));
        let mut sizes = Vec::new();
        for round in 0..8 {
            let flight: Vec<Sent> =
                (0..window.size() / 1200).map(|_| Sent { number: window.next_number(), at: ms(40 * round), times: 1 }).collect();
            flight.iter().for_each(|sent| window.handle_arrived(ms(40 * round + 40), *sent, 1200));
            sizes.push(window.size());
        }
        assert_eq!(sizes, [9600, 19_200, 38_400, 76_800, Window::MAX, Window::MAX, Window::MAX, Window::MAX]);
    }

    #[test]
    fn the_timeout_follows_the_round_trip_and_doubles_with_each_try() {
        let (mut window, sent) = flown(20);
        assert_eq!(window.timeout(1), ms(500));
        window.handle_arrived(ms(400), sent[0], 1200);
        assert_eq!(window.timeout(1), ms(1200));
        sent[1..].iter().for_each(|sent| window.handle_arrived(ms(400), *sent, 1200));
        assert!((ms(400)..ms(420)).contains(&window.timeout(1)), "{:?}", window.timeout(1));
        assert!(window.timeout(3) >= ms(1600) && window.timeout(30) == ms(10_000));
        // A repeated datagram says nothing about the time.
        let before = window.timeout(1);
        let repeated = Sent { number: window.next_number(), at: ms(0), times: 2 };
        window.handle_arrived(ms(9000), repeated, 1200);
        assert_eq!(window.timeout(1), before);
    }

    #[test]
    fn a_datagram_is_lost_when_three_later_ones_have_arrived() {
        let (mut window, sent) = flown(5);
        window.handle_arrived(ms(1), sent[2], 1200);
        assert!(!window.is_overtaken(sent[0]));
        window.handle_arrived(ms(1), sent[3], 1200);
        assert!(window.is_overtaken(sent[0]) && !window.is_overtaken(sent[1]) && !window.is_overtaken(sent[4]));
    }

    #[test]
    fn few_losses_end_the_fast_growth_and_many_narrow_the_window_by_half_once_a_round() {
        let (mut window, sent) = flown(200);
        sent.iter().for_each(|sent| window.handle_arrived(ms(40), *sent, 1200));
        let next = |window: &mut Window| {
            let next = Sent { number: window.next_number(), at: ms(40), times: 1 };
            window.handle_arrived(ms(80), next, 1200);
        };
        next(&mut window);
        (0..2).for_each(|_| window.handle_overtaken(1200));
        assert_eq!(window.size(), Window::MAX);
        (0..30).for_each(|_| window.handle_overtaken(1200));
        let half = Window::MAX / 2;
        assert_eq!(window.size(), half);
        next(&mut window);
        assert!((half + 1..half + 100).contains(&window.size()), "it grows slowly from there");
    }

    #[test]
    fn silence_narrows_it_to_the_least_once_for_all_that_was_in_flight() {
        let (mut window, sent) = flown(50);
        sent.iter().for_each(|sent| window.handle_arrived(ms(1), *sent, 1200));
        assert!(window.size() > 60_000);
        window.handle_timeout(ms(900));
        assert_eq!(window.size(), Window::MIN);
        let next = Sent { number: window.next_number(), at: ms(900), times: 1 };
        window.handle_arrived(ms(901), next, 1200);
        let size = window.size();
        window.handle_timeout(ms(902));
        assert_eq!(window.size(), size);
    }
}
