//! Reads the arguments of alerts.

use super::condition::ConditionRule;
use super::event_text::{missing_group, EventText};
use super::patterns::Patterns;
use super::process_filter::ProcessFilter;
use super::rule::{AlertSubject, CommandAlert, CommandAlertKind, ProcessRule};
use crate::directives::arguments::Arguments;
use crate::directives::decimal::Decimal;
use crate::directives::quantity::{Measure, Quantity};
use crate::pattern::Pattern;
use crate::schedule::Schedule;
use crate::text::number;

/// Stands for the exit status in place of a group.
const STATUS: &str = "status";

/// Reads an `alert_running:` into its rule.
pub(super) fn process_alert(arguments: &mut Arguments<'_>, rule: &mut ProcessRule, patterns: &mut Patterns) {
    rule.tags += arguments.tags();
    (rule.min, rule.max) = (arguments.number("min", 0), arguments.number("max", 0));
    rule.message += arguments.required("message");
    rule.every = arguments.seconds("every").unwrap_or(rule.every);
    rule.filter = ProcessFilter::parse(arguments, patterns);
    rule.condition = ConditionRule::parse(arguments);
}

/// Reads an alert of `run:`, which has that `extract=`, if any. `None` if the alert has not exactly one limit.
pub(super) fn command_alert(arguments: &mut Arguments<'_>, extract: Option<&Pattern>, active: Option<Schedule>) -> Option<CommandAlert> {
    let groups = extract.map(Pattern::groups);
    let (tags, subject) = (arguments.tags(), subject(arguments, groups));
    let mut condition = ConditionRule::default();
    let kind = if arguments.name == "alert_metric" {
        let metric = arguments.required("metric");
        if matches!(subject, AlertSubject::Each(_)) {
            arguments.fail(format_args!("match= is GROUP,TEXT here: the numbers of several lines could not be told apart"));
        }
        CommandAlertKind::Metric { group: source(arguments, "metric", metric, &subject, groups) }
    } else {
        let (upper, lower) = (limit(arguments, "upper_limit", &subject, groups), limit(arguments, "lower_limit", &subject, groups));
        let message = EventText::take(arguments);
        for group in message.groups() {
            match extract.map(|extract| missing_group("text", group, extract)) {
                Some(fault) => fault.into_iter().for_each(|fault| arguments.fail(format_args!("{fault}"))),
                None => arguments.fail(format_args!("text= names group {group}, but run: has no extract=")),
            }
        }
        condition = ConditionRule::parse(arguments);
        condition.until = until(arguments, upper.as_ref().map(|(_, limit)| limit), lower.as_ref().map(|(_, limit)| limit));
        match (upper, lower) {
            (Some((group, limit)), None) => CommandAlertKind::Above { group, limit, message },
            (None, Some((group, limit))) => CommandAlertKind::Below { group, limit, message },
            _ => {
                arguments.fail(format_args!("needs either upper_limit= or lower_limit="));
                return None;
            }
        }
    };
    Some(CommandAlert { tags: tags.to_string(), subject, kind, condition, active })
}

/// Reads `match=`.
fn subject(arguments: &mut Arguments<'_>, groups: Option<usize>) -> AlertSubject {
    let value = arguments.required("match");
    match value.split_once(',') {
        Some((group, text)) => AlertSubject::Text(group_number(arguments, "match", group, groups), text.trim().to_string()),
        None if value == STATUS => AlertSubject::Status,
        None if value.bytes().all(|byte| byte.is_ascii_digit()) => AlertSubject::Each(group_number(arguments, "match", value, groups)),
        None => {
            arguments.fail(format_args!("match= is GROUP,TEXT, or GROUP for any text, or {STATUS}; got \"{value}\""));
            AlertSubject::Status
        }
    }
}

/// Reads the number at which the condition of a limit ends.
pub(super) fn until(arguments: &mut Arguments<'_>, upper: Option<&Quantity>, lower: Option<&Quantity>) -> Option<Decimal> {
    let value = arguments.optional("until")?;
    let limit = upper.or(lower)?;
    let until = limit.measure.read(value);
    match &until {
        None => arguments.fail(format_args!("until= is a {}, as the limit is; got \"{value}\"", limit.measure.noun())),
        Some(until) if upper.is_some_and(|limit| *until > limit.number) => {
            arguments.fail(format_args!("until={value} is above the upper limit: the condition would end before it begins"));
        }
        Some(until) if lower.is_some_and(|limit| *until < limit.number) => {
            arguments.fail(format_args!("until={value} is below the lower limit: the condition would end before it begins"));
        }
        Some(_) => {}
    }
    until
}

fn limit(arguments: &mut Arguments<'_>, key: &str, subject: &AlertSubject, groups: Option<usize>) -> Option<(usize, Quantity)> {
    let value = arguments.optional(key)?;
    let Some((group, limit)) = value.split_once(',') else {
        arguments.fail(format_args!("{key}= is GROUP,VALUE, got \"{value}\""));
        return None;
    };
    let (group, limit) = (source(arguments, key, group, subject, groups), limit.trim());
    let quantity = Quantity::parse(limit).filter(|limit| *subject != AlertSubject::Status || limit.measure == Measure::Number);
    if quantity.is_none() {
        arguments.fail(format_args!("{key}= ends in a number, which may have a unit such as % or G; got \"{limit}\""));
    }
    quantity.map(|quantity| (group, quantity))
}

/// Reads where the number of an alert comes from: its group, or 0 for the exit status.
fn source(arguments: &mut Arguments<'_>, key: &str, value: &str, subject: &AlertSubject, groups: Option<usize>) -> usize {
    match (value.trim() == STATUS, *subject == AlertSubject::Status) {
        (true, true) => 0,
        (false, false) => group_number(arguments, key, value, groups),
        (true, false) => {
            arguments.fail(format_args!("{key}={STATUS} belongs to match={STATUS}"));
            0
        }
        (false, true) => {
            arguments.fail(format_args!("match={STATUS} belongs to {key}={STATUS}, got \"{value}\""));
            0
        }
    }
}

fn group_number(arguments: &mut Arguments<'_>, key: &str, value: &str, groups: Option<usize>) -> usize {
    let number = number(value.trim(), 10).and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
    match groups {
        None => arguments.fail(format_args!("{key}= names group \"{value}\", but run: has no extract=")),
        Some(groups) if !(1..=groups).contains(&number) => {
            arguments.fail(format_args!("{key}= names group \"{value}\", but extract= has {groups} (counted from 1)"));
        }
        Some(_) => {}
    }
    number
}
