//! What a rule with `by=` counts for each value, and the events and conditions of a block that has ended.

use super::condition::{Condition, ConditionAlert, Sample};
use super::frequent::FrequentValues;
use crate::agent::delivery::{Delivery, Event, Origin};
use crate::agent::logs::FollowedFile;
use crate::agent::output::LogId;
use crate::directives::host::{ConditionRule, LogAlert, LogRule};
use crate::hash::Fnv1a;
use crate::now::Now;
use crate::pattern::Work;
use crate::wire::position::{Base36, ConditionKey};
use crate::wire::{ChainId, Kind};

/// The values of one rule, in all files of its log.
#[derive(Default)]
pub(super) struct ValueCounts {
    /// Of the present block, and of the one before it, until that is reported.
    present: FrequentValues,
    ended: FrequentValues,
    /// Conditions that hold and are not open yet, by the keys that they will have.
    under_way: Vec<(ConditionKey, Condition)>,
}

/// A block that has ended in one file.
pub(super) struct EndedBlock<'a> {
    pub(super) rule: &'a LogRule,
    pub(super) file: &'a FollowedFile,
    /// Names what the rule counts in the file.
    pub(super) name: Fnv1a,
    /// When it began, in seconds since 1970.
    pub(super) start: u64,
    /// All that was counted in it, of which the values are known or not.
    pub(super) count: u64,
}

impl ValueCounts {
    /// Counts the value that a line has in the group of the rule.
    pub(super) fn add(&mut self, file: LogId, rule: &LogRule, (line, times): (&str, u64), work: &mut Work) {
        let captures = rule.captures(line, work);
        let value = rule.alert.by().zip(captures.as_ref()).map_or("", |(group, captures)| group.text_in(captures));
        self.present.add(file, value, times);
    }

    /// A block begins.
    pub(super) fn begin_block(&mut self) {
        self.ended = std::mem::take(&mut self.present);
    }

    /// The file is gone.
    pub(super) fn forget(&mut self, file: LogId) {
        drop(self.present.take(file));
    }

    /// Makes the events of a block that has ended.
    pub(super) fn report(&mut self, now: Now, block: &EndedBlock<'_>, delivery: &mut Delivery) {
        let values = self.ended.take(block.file.id());
        match &block.rule.alert {
            LogAlert::Count { .. } => block.report_counts(now, &values, delivery),
            LogAlert::Threshold { threshold, .. } => self.report_conditions(now, block, *threshold, &values, delivery),
            _ => {}
        }
    }

    fn report_conditions(&mut self, now: Now, block: &EndedBlock<'_>, threshold: u64, values: &[(Box<str>, u64)], delivery: &mut Delivery) {
        let family = ConditionKey::family(block.name.value());
        let others = block.count.saturating_sub(values.iter().map(|(_, count)| count).sum());
        let mut found = Vec::new();
        for (value, _) in values.iter().filter(|(_, count)| *count > threshold) {
            let (key, place) = (family.of_value(value), block.place(value));
            let before = self.under_way.iter().find(|(known, _)| *known == key);
            let mut condition = before.map(|(_, condition)| *condition).unwrap_or_default();
            let text = block.rule.alert.text().map(|text| text.expand_value(value)).unwrap_or_default();
            let terms = block.rule.condition.of_value(value);
            condition.handle_sample(now, &block.alert(key, Some(&place), &terms), Sample::Holds, &text, delivery);
            found.push((key, condition));
        }
        // Lines whose value is not known may be of any.
        let may_last = others > threshold;
        for key in delivery.open_conditions(family).into_iter().filter(|key| found.iter().all(|(known, _)| known != key)) {
            let alert = block.alert(key, None, &block.rule.condition);
            if may_last {
                Condition::default().handle_sample(now, &alert, Sample::Lasts, "", delivery);
            } else {
                alert.close_value(now, delivery);
            }
        }
        self.under_way.retain(|(key, _)| key.its_family() != family);
        self.under_way.append(&mut found);
        if may_last {
            block.push(now, Kind::Threshold, "", &format!("{others} lines matched whose values are not counted apart"), delivery);
        }
    }
}

impl EndedBlock<'_> {
    /// As many values as there is room for, the most frequent first, and the rest as one number.
    fn report_counts(&self, now: Now, values: &[(Box<str>, u64)], delivery: &mut Delivery) {
        let mut others = self.count;
        for (value, count) in &values[..values.len().min(delivery.free_places() / 2)] {
            self.push(now, Kind::Count, value, &format!("{count} {value}"), delivery);
            others = others.saturating_sub(*count);
        }
        if others > 0 {
            self.push(now, Kind::Count, "", &format!("{others} others"), delivery);
        }
    }

    fn push(&self, now: Now, kind: Kind, value: &str, text: &str, delivery: &mut Delivery) {
        let (chain, place) = (self.file.chain(), self.place(value));
        let event = Event { tags: &self.rule.tags, file: Some(self.file.path()), text, kind, condition: None };
        delivery.push_of_log(now, chain, self.origin(&place), event);
    }

    fn alert<'a>(&'a self, key: ConditionKey, place: Option<&'a str>, terms: &'a ConditionRule) -> ConditionAlert<'a> {
        let tags = &self.rule.tags;
        let (chain, file) = (self.file.chain(), Some(self.file.path()));
        let origin = place.and_then(|place| self.origin(place));
        ConditionAlert { key, chain, origin, kind: Kind::Threshold, tags, file, terms, samples: 1 }
    }

    /// Names the event of a value. No value is empty text.
    fn place(&self, value: &str) -> String {
        format!("{}.", Base36(self.name.with(b"\n").with(value.as_bytes()).value()))
    }

    fn origin<'a>(&self, place: &'a str) -> Option<Origin<'a>> {
        (self.file.chain() != ChainId::NO_FILE).then_some(Origin { place, offset: self.start, line: None })
    }
}
