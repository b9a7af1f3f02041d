//! How long the turns of the loop take.

use super::exposition::{Exposition, Type};
use std::time::Duration;

/// A histogram of the time between two waits of the loop.
#[derive(Default)]
pub(in crate::run::server) struct TurnTimes {
    /// How many turns took at most as long as each of the bounds, and longer than the one before; the last one has the others.
    counts: [u64; Self::BOUNDS.len() + 1],
    sum: Duration,
}

impl TurnTimes {
    /// In milliseconds.
    const BOUNDS: [u16; 8] = [1, 5, 10, 25, 50, 100, 250, 1000];

    pub(in crate::run::server) fn note(&mut self, took: Duration) {
        let bucket = Self::BOUNDS.iter().position(|bound| took <= Duration::from_millis((*bound).into())).unwrap_or(Self::BOUNDS.len());
        self.counts[bucket] += 1;
        self.sum += took;
    }

    pub(super) fn emit_into(&self, exposition: &mut Exposition) {
        let name = "ax436_loop_turn_seconds";
        exposition.family(name, Type::Histogram, "Time that the loop of the server took from one wait to the next.");
        let mut sum = 0;
        for (bound, count) in Self::BOUNDS.iter().zip(self.counts) {
            sum += count;
            exposition.sample(&format!("{name}_bucket"), &[("le", &(f64::from(*bound) / 1000.0).to_string())], sum);
        }
        sum += self.counts[Self::BOUNDS.len()];
        exposition.sample(&format!("{name}_bucket"), &[("le", "+Inf")], sum);
        exposition.sample(&format!("{name}_sum"), &[], self.sum.as_secs_f64());
        exposition.sample(&format!("{name}_count"), &[], sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_is_in_all_buckets_that_are_long_enough() {
        let (mut turns, mut exposition) = (TurnTimes::default(), Exposition::default());
        [0, 5, 6, 2000].iter().for_each(|millis| turns.note(Duration::from_millis(*millis)));
        turns.emit_into(&mut exposition);
        let text = exposition.finish();
        for line in ["le=\"0.001\"} 1", "le=\"0.005\"} 2", "le=\"0.01\"} 3", "le=\"1\"} 3", "le=\"+Inf\"} 4", "_count 4", "_sum 2.011"] {
            assert!(text.lines().any(|sample| sample.ends_with(line)), "{line}: {text}");
        }
    }
}
