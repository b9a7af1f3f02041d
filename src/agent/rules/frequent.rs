//! Counts of values of which the most frequent are kept: the algorithm Space-Saving (Metwally, Agrawal, El Abbadi 2005). Knows no rules.

use crate::agent::output::LogId;
use crate::text::truncate;
use std::cmp::Ordering;

/// How often values came, in each of several files. Every value that has more than the 1,024th part of all lines is kept.
#[derive(Default)]
pub(super) struct FrequentValues {
    /// Ordered by file and value.
    values: Vec<Value>,
}

struct Value {
    file: LogId,
    text: Box<str>,
    /// At most so often it came …
    most: u64,
    /// … and so many of these belong to values that had its place before, or to itself.
    doubtful: u64,
}

impl FrequentValues {
    /// Most values.
    const MAX: usize = 1024;
    /// Most bytes of a value. Longer ones are cut.
    pub(super) const MAX_VALUE: usize = 128;

    /// Counts a value of a file.
    pub(super) fn add(&mut self, file: LogId, value: &str, times: u64) {
        let text = truncate(value, Self::MAX_VALUE);
        let order = |known: &Value| -> Ordering { known.file.cmp(&file).then_with(|| (*known.text).cmp(text)) };
        let mut at = match self.values.binary_search_by(order) {
            Ok(at) => {
                self.values[at].most = self.values[at].most.saturating_add(times);
                return;
            }
            Err(at) => at,
        };
        let mut doubtful = 0;
        if self.values.len() >= Self::MAX {
            let rarest = (0..self.values.len()).min_by_key(|at| self.values[*at].most).unwrap_or(0);
            doubtful = self.values.remove(rarest).most;
            at -= usize::from(rarest < at);
        }
        self.values.insert(at, Value { file, text: text.into(), most: doubtful.saturating_add(times), doubtful });
    }

    /// Forgets the values of a file, and returns them with how often each came at least: the most frequent first.
    pub(super) fn take(&mut self, file: LogId) -> Vec<(Box<str>, u64)> {
        let (start, end) =
            (self.values.partition_point(|value| value.file < file), self.values.partition_point(|value| value.file <= file));
        let taken = self.values.drain(start..end).map(|value| (value.text, value.most - value.doubtful));
        let mut taken: Vec<_> = taken.filter(|(_, count)| *count > 0).collect();
        taken.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::output::LogIds;

    fn files() -> (LogId, LogId) {
        let mut ids = LogIds::default();
        (ids.mint(), ids.mint())
    }

    #[test]
    fn values_are_counted_for_each_file_and_the_most_frequent_come_first() {
        let (one, two) = files();
        let mut values = FrequentValues::default();
        for (file, value, times) in [(two, "a", 1), (one, "b", 1), (one, "a", 2), (one, "c", 3), (one, "a", 2), (one, "d", 1)] {
            values.add(file, value, times);
        }
        let shown = |values: Vec<(Box<str>, u64)>| values.iter().map(|(text, count)| format!("{text}{count}")).collect::<String>();
        assert_eq!(shown(values.take(one)), "a4c3b1d1");
        assert_eq!((shown(values.take(two)), shown(values.take(one))), ("a1".into(), String::new()));
    }

    #[test]
    fn a_frequent_value_is_found_among_any_number_of_others_and_none_counts_too_much() {
        let (file, _) = files();
        let mut values = FrequentValues::default();
        let mut others = 0;
        for round in 0..40_000u32 {
            values.add(file, &format!("other {round}"), 1);
            others += 1;
            if round % 50 == 7 {
                values.add(file, "frequent", 1);
            }
        }
        assert_eq!(values.values.len(), FrequentValues::MAX);
        let taken = values.take(file);
        let count = taken[0].1;
        assert_eq!(&*taken[0].0, "frequent");
        assert!((800 - others / 1024..=800).contains(&count), "{count}");
        assert!(taken.iter().all(|(value, count)| &**value == "frequent" || *count == 1));
    }

    #[test]
    fn a_long_value_is_cut() {
        let (file, _) = files();
        let mut values = FrequentValues::default();
        values.add(file, &"é".repeat(1000), 1);
        values.add(file, &"é".repeat(2000), 1);
        assert_eq!(values.take(file), [("é".repeat(64).into(), 2)]);
    }
}
