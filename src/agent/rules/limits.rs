//! The conditions of the alerts of a command: one for each alert, or one for each value of a capture. Knows no commands.

use super::condition::{Condition, ConditionAlert, Sample};
use crate::agent::delivery::Delivery;
use crate::directives::host::{CommandAlert, ConditionRule};
use crate::now::Now;
use crate::wire::position::ConditionKey;
use crate::wire::{ChainId, Kind};

/// The conditions of one alert.
pub(super) struct Limits {
    name: ConditionName,
    /// Those of the present run, and those that are about to open.
    limits: Vec<Limit>,
}

/// What the keys of an alert's conditions are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ConditionName {
    /// It has one condition.
    One(ConditionKey),
    /// It has one for each value: those of this family.
    Each(ConditionKey),
}

/// One condition.
struct Limit {
    key: ConditionKey,
    /// The value that it is about; empty if there is one condition.
    value: Box<str>,
    condition: Condition,
    /// What the present run has found, if the alert applied to one of its lines.
    sample: Option<Sample>,
}

impl Limits {
    /// Most values of one alert in a run.
    pub(super) const MAX_VALUES: usize = 1024;

    pub(super) fn new(name: ConditionName) -> Self {
        Self { name, limits: Vec::new() }
    }

    /// The alert has that name from now on.
    pub(super) fn rename(&mut self, name: ConditionName) {
        if self.name != name {
            *self = Self::new(name);
        }
    }

    /// The key of its condition, or of the family of these.
    pub(super) fn key(&self) -> ConditionKey {
        match self.name {
            ConditionName::One(key) | ConditionName::Each(key) => key,
        }
    }

    pub(super) fn begin_run(&mut self) {
        self.limits.iter_mut().for_each(|limit| limit.sample = None);
    }

    /// The alert applies to a line of the present run, with a number that is such a sample. Each line that passes the limit makes an
    /// event, unless the terms say otherwise; what the others are is known at the end of the run. Returns whether there is room for
    /// another value.
    pub(super) fn handle_number(
        &mut self,
        now: Now,
        alert: &CommandAlert,
        value: &str,
        sample: Sample,
        message: &str,
        delivery: &mut Delivery,
    ) -> bool {
        let (key, value) = match self.name {
            ConditionName::One(key) => (key, ""),
            ConditionName::Each(family) => (family.of_value(value), value),
        };
        let at = self.limits.iter().position(|limit| limit.key == key);
        if at.is_none() && self.limits.len() >= Self::MAX_VALUES {
            return false;
        }
        let at = at.unwrap_or_else(|| {
            self.limits.push(Limit { key, value: value.into(), condition: Condition::default(), sample: None });
            self.limits.len() - 1
        });
        self.limits[at].handle_number(now, alert, sample, message, delivery);
        true
    }

    /// The run has ended. `is_complete`: what it has not printed is gone.
    pub(super) fn end_run(&mut self, now: Now, alert: &CommandAlert, is_complete: bool, delivery: &mut Delivery) {
        let is_each = matches!(self.name, ConditionName::Each(_));
        if let (ConditionName::Each(family), true) = (self.name, is_complete) {
            self.limits.retain(|limit| limit.sample.is_some());
            for key in delivery.open_conditions(family) {
                if !self.limits.iter().any(|limit| limit.key == key) {
                    condition_alert(key, alert, &alert.condition).close_value(now, delivery);
                }
            }
        }
        self.limits.iter_mut().for_each(|limit| limit.end_run(now, alert, delivery));
        self.limits.retain(|limit| !is_each || limit.condition.is_about_to_open());
    }
}

impl Limit {
    fn handle_number(&mut self, now: Now, alert: &CommandAlert, sample: Sample, message: &str, delivery: &mut Delivery) {
        let terms = alert.condition.of_value(&self.value);
        let condition = condition_alert(self.key, alert, &terms);
        match (self.sample, sample) {
            (Some(Sample::Holds), Sample::Holds) => condition.repeat(now, message, delivery),
            (_, Sample::Holds) => drop(self.condition.handle_sample(now, &condition, sample, message, delivery)),
            (Some(Sample::Holds | Sample::Lasts), _) => return,
            _ => {}
        }
        self.sample = Some(sample);
    }

    /// The run has ended.
    fn end_run(&mut self, now: Now, alert: &CommandAlert, delivery: &mut Delivery) {
        if let Some(sample) = self.sample.take().filter(|sample| *sample != Sample::Holds) {
            let terms = alert.condition.of_value(&self.value);
            self.condition.handle_sample(now, &condition_alert(self.key, alert, &terms), sample, "", delivery);
        }
    }
}

fn condition_alert<'a>(key: ConditionKey, alert: &'a CommandAlert, terms: &'a ConditionRule) -> ConditionAlert<'a> {
    let (chain, kind, tags) = (ChainId::NO_FILE, Kind::Limit, &alert.tags);
    ConditionAlert { key, chain, origin: None, kind, tags, file: None, terms, samples: 1 }
}
