//! What an alert says of the condition that it stands for: when that opens, how often it is told again, and what is told when it ends.

use super::syntax::CONDITION_KEYS;
use crate::directives::arguments::Arguments;
use crate::directives::decimal::Decimal;
use crate::text::{truncate, MAX_EVENT_TEXT};
use std::time::Duration;

/// The terms of a condition. Without any of them an alert makes an event each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConditionRule {
    /// `for=`: it opens once it holds in so many blocks, samples or runs in a row, at least 1. `None` for as many as the alert asks for
    /// by itself.
    pub count: Option<u32>,
    /// `until=`: once the condition of a limit is open, it lasts until the number has come back to this one.
    pub until: Option<Decimal>,
    /// `repeat=`: the time after which it is told again while it lasts; zero for never. `None` for each time.
    pub repeat: Option<Duration>,
    /// `cleared:`: the text of the event when it ends. `None` makes no event.
    pub cleared: Option<Box<str>>,
}

impl ConditionRule {
    /// Longest time of `repeat=`.
    const LONGEST: u64 = 366 * 24 * 60 * 60;

    /// Takes the keys that every condition has.
    pub(super) fn parse(arguments: &mut Arguments<'_>) -> Self {
        let count = arguments.optional_number("for", 1);
        let repeat = arguments.optional_number("repeat", 0);
        if count.is_some_and(|count| count > u64::from(u16::MAX)) {
            arguments.fail(format_args!("for= is at most {}", u16::MAX));
        }
        if repeat.is_some_and(|repeat| repeat > Self::LONGEST) {
            arguments.fail(format_args!("repeat= is at most {}, a year", Self::LONGEST));
        }
        Self {
            count: count.and_then(|count| u32::try_from(count).ok()),
            until: None,
            repeat: repeat.map(Duration::from_secs),
            cleared: None,
        }
    }

    /// The terms for the condition of a value among others: behind the text for its end stands the value.
    pub fn of_value(&self, value: &str) -> Self {
        let cleared = self.cleared.as_ref().map(|cleared| match truncate(value, MAX_EVENT_TEXT) {
            "" => cleared.clone(),
            value => [cleared, " [", value, "]"].concat().into(),
        });
        Self { cleared, ..self.clone() }
    }

    /// The terms that are given, as version 1 agents do not know them.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        let [count, until, repeat] = CONDITION_KEYS;
        let given = [
            (self.count.is_some(), count),
            (self.until.is_some(), until),
            (self.repeat.is_some(), repeat),
            (self.cleared.is_some(), "cleared"),
        ];
        given.into_iter().filter(|(is_given, _)| *is_given).map(|(_, name)| name)
    }
}
