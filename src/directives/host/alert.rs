//! Reads the arguments of alerts.

use super::condition::ConditionRule;
use super::event_text::{missing_group, EventText};
use super::rule::{CommandAlert, CommandAlertKind, ProcessRule};
use crate::directives::arguments::Arguments;
use crate::directives::decimal::Decimal;
use crate::pattern::Pattern;
use crate::schedule::Schedule;
use crate::text::number;

/// Reads an `alert_running:` into its rule.
pub(super) fn process_alert(arguments: &mut Arguments<'_>, rule: &mut ProcessRule) {
    rule.tags += arguments.tags();
    (rule.min, rule.max) = (arguments.number("min", 0), arguments.number("max", 0));
    rule.message += arguments.required("message");
    rule.condition = ConditionRule::parse(arguments);
}

/// Reads an alert of `run:`. `None` if it has not exactly one limit.
pub(super) fn command_alert(arguments: &mut Arguments<'_>, extract: &Pattern, active: Option<Schedule>) -> Option<CommandAlert> {
    let groups = extract.groups();
    let (tags, matched) = (arguments.tags(), arguments.required("match"));
    let (group, text) = group_and_value(arguments, "match", matched, groups);
    let mut condition = ConditionRule::default();
    let kind = if arguments.name == "alert_metric" {
        let metric = arguments.required("metric");
        CommandAlertKind::Metric { group: group_number(arguments, "metric", metric, groups) }
    } else {
        let (upper, lower) = (limit(arguments, "upper_limit", groups), limit(arguments, "lower_limit", groups));
        let message = EventText::take(arguments);
        for fault in message.groups().filter_map(|group| missing_group("text", group, extract)) {
            arguments.fail(format_args!("{fault}"));
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
    Some(CommandAlert { tags: tags.to_string(), group, text: text.to_string(), kind, condition, active })
}

/// Reads the number at which the condition of a limit ends.
pub(super) fn until(arguments: &mut Arguments<'_>, upper: Option<&Decimal>, lower: Option<&Decimal>) -> Option<Decimal> {
    let value = arguments.optional("until")?;
    let until = Decimal::parse(value);
    match &until {
        None => arguments.fail(format_args!("until= is a number, got \"{value}\"")),
        Some(until) if upper.is_some_and(|limit| until > limit) => {
            arguments.fail(format_args!("until={value} is above the upper limit: the condition would end before it begins"));
        }
        Some(until) if lower.is_some_and(|limit| until < limit) => {
            arguments.fail(format_args!("until={value} is below the lower limit: the condition would end before it begins"));
        }
        Some(_) => {}
    }
    until
}

fn limit(arguments: &mut Arguments<'_>, key: &str, groups: usize) -> Option<(usize, Decimal)> {
    let value = arguments.optional(key)?;
    let (group, limit) = group_and_value(arguments, key, value, groups);
    let number = Decimal::parse(limit);
    if number.is_none() {
        arguments.fail(format_args!("{key}= ends in a number, got \"{limit}\""));
    }
    number.map(|number| (group, number))
}

/// Reads `GROUP,VALUE`.
fn group_and_value<'a>(arguments: &mut Arguments<'_>, key: &str, value: &'a str, groups: usize) -> (usize, &'a str) {
    let Some((group, rest)) = value.split_once(',') else {
        arguments.fail(format_args!("{key}= is GROUP,VALUE, got \"{value}\""));
        return (0, "");
    };
    (group_number(arguments, key, group, groups), rest.trim())
}

fn group_number(arguments: &mut Arguments<'_>, key: &str, value: &str, groups: usize) -> usize {
    let number = number(value.trim(), 10).and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
    if !(1..=groups).contains(&number) {
        arguments.fail(format_args!("{key}= names group \"{value}\", but extract= has {groups} (counted from 1)"));
    }
    number
}
