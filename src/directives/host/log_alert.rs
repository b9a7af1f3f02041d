//! Reads the arguments of the alerts of log files.

use super::alert::until;
use super::condition::ConditionRule;
use super::event_text::{missing_group, EventText};
use super::line_limit::{LineLimit, LineSubject};
use super::patterns::Patterns;
use super::rule::{EventLimit, LogAlert, LogRule};
use crate::directives::arguments::Arguments;
use crate::directives::quantity::Quantity;
use crate::pattern::{GroupName, Pattern, Purpose};
use crate::text::number;
use std::cmp::Ordering;
use std::time::Duration;

/// Reads an alert of `file:` into its rule.
pub(super) fn log_alert(arguments: &mut Arguments<'_>, rule: &mut LogRule, patterns: &mut Patterns) {
    rule.tags += arguments.tags();
    if matches!(arguments.name, "alert_n" | "alert_inactive" | "alert_if") {
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
        "alert_value" => {
            let value = arguments.required("value");
            LogAlert::Value { group: group(arguments, "value", value) }
        }
        "alert_if" => match line_limit(arguments, &mut rule.condition) {
            Some(limit) => LogAlert::Limit { limit: limit.into(), message: EventText::take(arguments) },
            None => return,
        },
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
    Some(group(arguments, "by", value))
}

/// Reads a group, as the value of that key or a part of it.
fn group(arguments: &mut Arguments<'_>, key: &str, value: &str) -> GroupName {
    GroupName::parse(value.trim()).unwrap_or_else(|| {
        arguments.fail(format_args!("{key}= names a capture group by its number or name, got \"{value}\""));
        GroupName::Number(1)
    })
}

/// Reads `match=` and the limit of an `alert_if:`.
fn line_limit(arguments: &mut Arguments<'_>, condition: &mut ConditionRule) -> Option<LineLimit> {
    let subject = arguments.optional("match").map(|value| match value.split_once(',') {
        Some((name, text)) => LineSubject::Text(group(arguments, "match", name), text.trim().into()),
        None => LineSubject::Each(group(arguments, "match", value)),
    });
    let mut limits = Vec::new();
    for (key, beyond) in [("upper_limit", Ordering::Greater), ("lower_limit", Ordering::Less)] {
        let Some(value) = arguments.optional(key) else { continue };
        let (name, limit) = value.split_once(',').unwrap_or((value, ""));
        match Quantity::parse(limit.trim()) {
            Some(limit) => limits.push(LineLimit { subject: subject.clone(), group: group(arguments, key, name), beyond, limit }),
            None => arguments.fail(format_args!("{key}= is GROUP,NUMBER, with a unit such as % or G or without; got \"{value}\"")),
        }
    }
    let limit = limits.pop().filter(|_| limits.is_empty());
    let Some(LineLimit { limit: quantity, beyond, .. }) = &limit else {
        arguments.fail(format_args!("needs either upper_limit= or lower_limit="));
        return None;
    };
    let given = |side| (*beyond == side).then_some(quantity);
    condition.until = until(arguments, given(Ordering::Greater), given(Ordering::Less));
    limit
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

#[cfg(test)]
mod tests {
    use crate::directives::host::HostFile;
    use crate::directives::source::Source;

    #[test]
    fn what_is_wrong_with_an_alert_of_a_log_is_named() {
        for (text, fault) in [
            (
                "run: command=df extract=(a)\nalert_if: tags=T match=1,a upper_limit=1,2 text={2}",
                "2: alert_if: text= names group 2, but \"(a)\" has 1 (counted from 1)",
            ),
            ("file: /a\nmatch: (a)(b)\nmatch: (c)\nalert_all: tags=T text={2}", "4: alert_all: text= names group 2, but \"(c)\" has 1"),
            ("file: /a\nmatch: (?P<n>a)\nmatch: (c)\nalert_all: tags=T text={n}", "4: alert_all: text= names group n, but \"(c)\""),
            ("file: /a\nmatch: a\nalert_n: tags=T threshold=1 seconds=1 text={", "3: alert_n: text= has a { without a }"),
            ("file: /a\nmatch: (a)\nmatch: b\nalert_count: tags=T seconds=1 by=1", "4: alert_count: by= names group 1, but \"b\" has 0"),
            ("file: /a\nmatch: (a)\nalert_count: tags=T seconds=1 by=0", "3: alert_count: by= names a capture group by its number or name"),
            (
                "file: /a\nmatch: (a)(b)\nalert_n: tags=T threshold=1 seconds=1 by=1 text={2}",
                "3: alert_n: text= can only have {1} with by=1",
            ),
            ("file: /a\nmatch: (a)\nalert_value: tags=T value=2", "3: alert_value: value= names group 2, but \"(a)\" has 1"),
            ("run: command=df extract=(a)\nalert_value: tags=T value=1", "2: alert_value: must be in a group that file: opens"),
            ("file: /a\nmatch: (a)\nalert_metric: tags=T match=1,a metric=1", "3: alert_metric: must be in a group that run: opens"),
            ("file: /a\nmatch: (a)\nalert_if: tags=T message=m", "3: alert_if: needs either upper_limit= or lower_limit="),
            ("file: /a\nmatch: (a)\nalert_if: tags=T upper_limit=1,x message=m", "3: alert_if: upper_limit= is GROUP,NUMBER"),
            ("file: /a\nmatch: (a)\nalert_if: tags=T upper_limit=2,1 message=m", "3: alert_if: limit= names group 2"),
            ("file: /a\nmatch: (a)\nalert_if: tags=T upper_limit=1,1 until=2 message=m", "3: alert_if: until=2 is above"),
            ("file: /a\nmatch: (a)\nalert_if: tags=T match=3 upper_limit=1,1 message=m", "3: alert_if: match= names group 3"),
            ("file: /a\nexclude: *.gz\nmatch: a\nalert_all: tags=T", "2: exclude: belongs to a file: with a wildcard"),
            ("run: command=df extract=(a)\nexclude: *.gz", "2: exclude: must be in a group that file: opens"),
            ("journal: ssh\nmatch: a\njoin: b\nalert_all: tags=T", "3: join: has no meaning in a group that journal:"),
            ("file: /a\njoin: b\nmatch: a\nalert_all: tags=T", "2: join: must come after a match:"),
            ("file: /a\nmatch: a\njoin: b\nstarts: b\nalert_all: tags=T", "4: join: and starts: stand once in a group"),
            ("file: /a\nmatch: a\nstarts: (\nalert_all: tags=T", "3: pattern \"(\""),
            ("process: a\njoin: b\nalert_running: tags=T min=1 max=1 message=m", "2: join: must be in a group that file: opens"),
            ("file: /a\nmatch: a\nalert_all: tags=T limit=5", "3: alert_all: limit= is EVENTS/SECONDS, as in 10/60"),
            ("file: /a\nmatch: a\nalert_all: tags=T limit=0/5", "3: alert_all: limit= is EVENTS/SECONDS"),
            ("file: /a\nmatch: a\nalert_all: tags=T limit=5/99999999", "3: alert_all: limit= is EVENTS/SECONDS"),
            ("file: /a\nmatch: a\nalert_n: tags=T threshold=1 seconds=1", "3: alert_n: message= is missing"),
            ("file: /a\nmatch: a\nalert_inactive: tags=T seconds=1 text=m", "3: alert_inactive: seconds= is a whole number"),
        ] {
            let faults: Vec<_> = HostFile::parse(Source { path: "h", text }.lines()).faults.iter().map(ToString::to_string).collect();
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
            assert!(faults[0].starts_with(&format!("h:{fault}")), "{text}: {faults:?}");
        }
    }
}
