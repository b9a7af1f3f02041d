//! Limits for numbers in lines: each line is a sample of a condition. Its events are events of lines, for which reading waits.

use super::condition::{Condition, ConditionAlert, Sample};
use super::matched_line::MatchedLine;
use crate::agent::delivery::{Delivery, Event};
use crate::directives::host::{LineLimit, LineSubject, LogAlert, LogRule};
use crate::hash::Fnv1a;
use crate::now::Now;
use crate::pattern::Work;
use crate::text::truncate;
use crate::wire::position::{ConditionKey, Position};
use crate::wire::{Kind, State};

/// What is known of the conditions of one rule beside those that are open.
#[derive(Default)]
pub(super) struct LineConditions {
    /// Those that were found and not often enough yet: at most [`Self::MAX`].
    under_way: Vec<(ConditionKey, Condition)>,
    /// Whether it was reported that a line has no number.
    is_reported: bool,
}

/// A line of a rule with a limit.
pub(super) struct LimitedLine<'a, 'b> {
    pub(super) rule: &'a LogRule,
    /// Names the rule's conditions in the file.
    pub(super) name: Fnv1a,
    pub(super) matched: &'a MatchedLine<'a, 'b>,
}

impl LineConditions {
    const MAX: usize = 1024;
    /// Most bytes of a text that is no number in a report.
    const SHOWN: usize = 100;

    /// Takes a line, before which the file is processed up to that place. Returns whether it makes an event.
    pub(super) fn handle_line(
        &mut self,
        now: Now,
        line: &LimitedLine<'_, '_>,
        before: &dyn Fn() -> Option<Position>,
        work: &mut Work,
        delivery: &mut Delivery,
    ) -> bool {
        let LimitedLine { rule, name, matched } = line;
        let LogAlert::Limit { limit, message } = &rule.alert else { return false };
        let text = matched.line.text();
        let Some(captures) = rule.captures(text, work) else { return false };
        let value = match &limit.subject {
            Some(LineSubject::Text(group, wanted)) if group.text_in(&captures) != &**wanted => return false,
            Some(LineSubject::Each(group)) => Some(group.text_in(&captures)),
            None | Some(LineSubject::Text(..)) => None,
        };
        let key = match value {
            None => ConditionKey::of(name.value()),
            Some(value) => ConditionKey::family(name.value()).of_value(value),
        };
        let number = limit.group.text_in(&captures);
        let Some(number) = limit.limit.measure.read(number) else {
            self.report_no_number(now, line, limit, number, delivery);
            return false;
        };
        let sample = match limit.passes(&number, rule.condition.until.as_ref()) {
            Some(true) => Sample::Holds,
            Some(false) => Sample::Lasts,
            None => Sample::Clear,
        };
        let Some(state) = self.step(now, key, sample, rule, delivery) else { return false };
        let text = message.expand(text, Some(&captures));
        let terms = &rule.condition.of_value(value.unwrap_or_default());
        let text = if state == State::Closed { terms.cleared.as_deref() } else { Some(&*text) };
        let (file, tags) = (matched.file, &rule.tags);
        let (chain, kind, file) = (file.chain(), Kind::Limit, Some(file.path()));
        let alert = ConditionAlert { key, chain, origin: matched.origin, kind, tags, file, terms, samples: 1 };
        delivery.push_condition_of_line(now, &alert.event(state, text), before);
        text.is_some()
    }

    /// What becomes of a condition with a sample.
    fn step(&mut self, now: Now, key: ConditionKey, sample: Sample, rule: &LogRule, delivery: &mut Delivery) -> Option<State> {
        let known = self.under_way.iter().position(|(known, _)| *known == key);
        let mut condition = known.map(|at| self.under_way.swap_remove(at).1).unwrap_or_default();
        let state = condition.step(now.mono, delivery.condition_mut(key), sample, &rule.condition, 1);
        if condition != Condition::default() && self.under_way.len() < Self::MAX {
            self.under_way.push((key, condition));
        }
        state
    }

    fn report_no_number(&mut self, now: Now, line: &LimitedLine<'_, '_>, limit: &LineLimit, text: &str, delivery: &mut Delivery) {
        if !std::mem::replace(&mut self.is_reported, true) {
            let (path, noun, shown) = (line.matched.file.path(), limit.limit.measure.noun(), truncate(text, Self::SHOWN));
            delivery.push(now, Event::system(&format!("Line not usable: {path}: group {} is no {noun}: \"{shown}\"", limit.group)));
        }
    }
}
