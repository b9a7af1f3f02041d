//! Reads the arguments of alerts.

use super::condition::ConditionRule;
use super::event_text::{missing_group, EventText};
use super::patterns::Patterns;
use super::rule::{CommandAlert, CommandAlertKind, EventLimit, LogAlert, LogRule, ProcessRule};
use crate::directives::arguments::Arguments;
use crate::directives::decimal::Decimal;
use crate::pattern::{GroupName, Pattern, Purpose};
use crate::schedule::Schedule;
use crate::text::number;
use std::time::Duration;

/// Reads an alert of `file:` into its rule.
pub(super) fn log_alert(arguments: &mut Arguments<'_>, rule: &mut LogRule, patterns: &mut Patterns) {
    rule.tags += arguments.tags();
    if matches!(arguments.name, "alert_n" | "alert_inactive") {
        rule.condition = ConditionRule::parse(arguments);
    }
    rule.alert = match arguments.name {
        "alert_all" => LogAlert::All { limit: limit_of_events(arguments), message: EventText::take_optional(arguments) },
        "alert_n" => {
            let (block, by) = (block(arguments), by(arguments));
            let (threshold, message) = (arguments.number("threshold", 0), EventText::take(arguments));
            if let Some(by) = by.as_ref().filter(|by| !message.depends_only_on(by)) {
                arguments.fail(format_args!("text= can only have {{{by}}} with by={by}: in the rest its lines differ"));
            }
            LogAlert::Threshold { block, threshold, by, message }
        }
        "alert_count" => LogAlert::Count { block: block(arguments), by: by(arguments) },
        _ => LogAlert::Inactive { block: block(arguments), message: arguments.message() },
    };
    rule.captures = captures(arguments, rule, patterns);
}

/// The patterns of a rule once more, if its alert asks for their groups, which all of them must have.
fn captures(arguments: &mut Arguments<'_>, rule: &LogRule, patterns: &mut Patterns) -> Vec<Pattern> {
    let missing =
        rule.patterns.iter().flat_map(|pattern| rule.alert.groups().filter_map(move |(key, group)| missing_group(key, group, pattern)));
    for fault in missing {
        arguments.fail(format_args!("{fault}"));
    }
    if arguments.fault.is_some() || rule.alert.groups().next().is_none() {
        return Vec::new();
    }
    let compiled: Result<_, _> = rule.patterns.iter().map(|pattern| patterns.parse(pattern.as_str(), Purpose::Capture)).collect();
    compiled.unwrap_or_else(|reason| {
        arguments.fail(format_args!("{reason}"));
        Vec::new()
    })
}

/// Reads the group whose values are counted apart.
fn by(arguments: &mut Arguments<'_>) -> Option<GroupName> {
    let value = arguments.optional("by")?;
    let group = GroupName::parse(value);
    if group.is_none() {
        arguments.fail(format_args!("by= is the number or the name of a group, got \"{value}\""));
    }
    group
}

/// Reads how many events there may be in how many seconds.
fn limit_of_events(arguments: &mut Arguments<'_>) -> Option<EventLimit> {
    let value = arguments.optional("limit")?;
    let positive = |text: &str| number(text, 10).filter(|number| *number > 0);
    let limit = value.split_once('/').and_then(|(events, seconds)| Some((positive(events)?, positive(seconds)?)));
    match limit.filter(|(_, seconds)| *seconds <= LONGEST) {
        Some((events, seconds)) => Some(EventLimit { events, block: Duration::from_secs(seconds) }),
        None => {
            arguments.fail(format_args!("limit= is EVENTS/SECONDS, as in 10/60, with at most {LONGEST} seconds, got \"{value}\""));
            None
        }
    }
}

/// Most seconds of a block of time.
const LONGEST: u64 = 366 * 24 * 60 * 60;

fn block(arguments: &mut Arguments<'_>) -> Duration {
    let seconds = arguments.number("seconds", 1);
    if seconds > LONGEST {
        arguments.fault.get_or_insert_with(|| format!("seconds= is at most {LONGEST}, a year, got {seconds}"));
    }
    Duration::from_secs(seconds)
}

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
fn until(arguments: &mut Arguments<'_>, upper: Option<&Decimal>, lower: Option<&Decimal>) -> Option<Decimal> {
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
