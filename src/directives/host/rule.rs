//! What a group of directives asks for. Decides nothing; the agent carries rules out.

use super::command_line::CommandLine;
use super::condition::ConditionRule;
use super::event_text::EventText;
use super::joining::Joining;
use super::line_limit::{LineLimit, LineSubject};
use super::log_source::LogSource;
use super::process_filter::ProcessFilter;
use super::python::refused_by_re;
use super::run::{GoodStatuses, Run};
use crate::directives::decimal::Decimal;
use crate::directives::quantity::{Measure, Quantity};
use crate::encoding::Encoding;
use crate::pattern::{Captures, GroupName, Pattern, Work};
use crate::schedule::Schedule;
use crate::wildcard::matches;
use std::cmp::Ordering;
use std::time::Duration;

/// What one group asks for.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "most rules follow a log, and a host has some hundred at most")]
pub enum Rule {
    /// `file:` up to its alert.
    Log(LogRule),
    /// `ps_command:`, for all process rules.
    ProcessList(CommandLine),
    /// `process:` with its alert.
    Process(ProcessRule),
    /// `run:` with its alerts.
    Command(CommandRule),
}

/// Follows a log and makes events from the lines that match.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRule {
    /// Where the lines come from.
    pub log: LogSource,
    /// In which encoding they come.
    pub encoding: Encoding,
    /// Whether escape sequences are removed from them.
    pub is_stripped: bool,
    /// Of the journal: names of units, perhaps with wildcards. Only lines of these match; none of them for all lines.
    pub units: Vec<String>,
    /// A line matches when any of these is found in it …
    pub patterns: Vec<Pattern>,
    /// … and none of these.
    pub ignores: Vec<Pattern>,
    /// Which lines belong to the one before.
    pub joining: Option<Joining>,
    /// The patterns again, for what they capture; none if the alert asks for no group.
    pub captures: Vec<Pattern>,
    /// The alert's `tags=`.
    pub tags: String,
    /// What events are made.
    pub alert: LogAlert,
    /// Of `alert_n:` and `alert_inactive:`.
    pub condition: ConditionRule,
    /// When the alert is active; `None` for always.
    pub active: Option<Schedule>,
}

/// What events are made from the lines that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogAlert {
    /// One event for each line: with the message, or with the line itself. With a limit no more than that in a block of time, and at its
    /// end one that says how many more lines matched.
    All { message: Option<EventText>, limit: Option<EventLimit> },
    /// The message, at the end of a block of time in which more than `threshold` lines matched: that of the last of them. With `by` the
    /// lines are counted for each value of that group.
    Threshold { threshold: u64, block: Duration, by: Option<GroupName>, message: EventText },
    /// The number of lines that matched, at the end of each block. With `by` that for each value of that group.
    Count { block: Duration, by: Option<GroupName> },
    /// The message, at the end of a block in which no line matched.
    Inactive { block: Duration, message: String },
    /// What the group captures in each line: a metric.
    Value { group: GroupName },
    /// The message, for each line with a number beyond the limit.
    Limit { limit: Box<LineLimit>, message: EventText },
}

/// Most events of a block of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLimit {
    /// At least 1.
    pub events: u64,
    /// The length of a block.
    pub block: Duration,
}

/// Counts matching lines of the process list.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessRule {
    /// Lines in which this is found are counted.
    pub pattern: Pattern,
    /// The alert's `tags=`.
    pub tags: String,
    /// Fewer lines make an event.
    pub min: u64,
    /// More lines make an event.
    pub max: u64,
    /// The text of the event; the count is appended.
    pub message: String,
    /// Whose processes are counted.
    pub filter: ProcessFilter,
    /// The time from one sample to the next.
    pub every: Duration,
    /// The terms of the alert.
    pub condition: ConditionRule,
    /// When the alert is active; `None` for always.
    pub active: Option<Schedule>,
}

/// Runs a command and evaluates what it prints.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandRule {
    /// What to run, and when.
    pub run: Run,
    /// Which exit statuses are good.
    pub ok: GoodStatuses,
    /// The pattern that is searched in each line. The alerts refer to its groups. `None` if all are about the exit status.
    pub extract: Option<Pattern>,
    /// In the order of the file.
    pub alerts: Vec<CommandAlert>,
}

/// One alert of a [`CommandRule`]. Groups of the pattern are counted from 1, and exist.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandAlert {
    /// The alert's `tags=`.
    pub tags: String,
    /// What it applies to.
    pub subject: AlertSubject,
    /// What event is made from such a line.
    pub kind: CommandAlertKind,
    /// Of `alert_if:`.
    pub condition: ConditionRule,
    /// When the alert is active; `None` for always.
    pub active: Option<Schedule>,
}

/// What an alert of a command applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertSubject {
    /// Each line in which that group equals the text.
    Text(usize, String),
    /// Each line with a match. The text of that group names the condition.
    Each(usize),
    /// The exit status of a run. It stands for the groups of the alert's number.
    Status,
}

/// What event is made from a line that an alert applies to.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandAlertKind {
    /// The message, if the number in the group is above the limit.
    Above { group: usize, limit: Quantity, message: EventText },
    /// The message, if the number in the group is below the limit.
    Below { group: usize, limit: Quantity, message: EventText },
    /// The text of the group.
    Metric { group: usize },
}

impl ProcessRule {
    /// The time from one sample to the next, unless the rule says otherwise.
    pub const EVERY: Duration = Duration::from_secs(20);
}

impl LogRule {
    /// A rule that has nothing yet but its log.
    pub(super) fn follow(log: LogSource) -> Self {
        Self {
            log,
            encoding: Encoding::default(),
            is_stripped: false,
            units: Vec::new(),
            patterns: Vec::new(),
            ignores: Vec::new(),
            joining: None,
            captures: Vec::new(),
            tags: String::new(),
            alert: LogAlert::All { message: None, limit: None },
            condition: ConditionRule::default(),
            active: None,
        }
    }

    /// Whether a line contains one of the patterns and none of those to ignore. `None` if the work is done before that is known: then
    /// `searched` says how many were searched for, and the next call goes on there.
    pub fn matches(&self, line: &str, searched: &mut usize, work: &mut Work) -> Option<bool> {
        if self.patterns.is_empty() {
            return Some(false);
        }
        while let Some(pattern) = self.patterns.get(*searched) {
            if work.is_done() {
                return None;
            }
            *searched += 1;
            if pattern.search(line, work) {
                *searched = self.found();
            } else if *searched == self.patterns.len() {
                return Some(false);
            }
        }
        while let Some(ignored) = self.ignores.get(*searched - self.found()) {
            if work.is_done() {
                return None;
            }
            *searched += 1;
            if ignored.search(line, work) {
                return Some(false);
            }
        }
        Some(true)
    }

    /// What the first of the patterns that is found in a line captures there. Charges the work.
    pub fn captures<'t>(&self, line: &'t str, work: &mut Work) -> Option<Captures<'t>> {
        self.captures.iter().find_map(|pattern| pattern.captures(line, work))
    }

    /// Whether lines of that unit can match.
    pub fn is_of_unit(&self, unit: &str) -> bool {
        self.units.is_empty() || self.units.iter().any(|wanted| matches(wanted, unit))
    }

    /// The directive that opens its group.
    pub fn opener(&self) -> String {
        match self.log {
            LogSource::Journal => ["journal:"].into_iter().chain(self.units.iter().map(String::as_str)).collect::<Vec<_>>().join(" "),
            _ => format!("file: {}", self.log.field()),
        }
    }

    /// How many count as searched for once one of the patterns was found: one more than there are.
    pub fn found(&self) -> usize {
        self.patterns.len() + 1
    }

    /// Whether another rule has the same patterns and so matches the same lines.
    pub fn matches_like(&self, other: &Self) -> bool {
        self.patterns == other.patterns && self.ignores == other.ignores
    }
}

impl Rule {
    /// The part of this rule that version 1 agents do not know, or that ends or inverts them. (That their process rules need a
    /// `ps_command:` is checked for the whole file.)
    pub(super) fn extension(&self) -> Option<&'static str> {
        let extension = match self {
            Self::Log(LogRule { log: LogSource::Command(_), .. }) => Some("file: |COMMAND"),
            Self::Log(LogRule { log: LogSource::Glob { .. }, .. }) => Some("file: with a wildcard"),
            Self::Log(LogRule { log: LogSource::Journal, .. }) => Some("journal:"),
            // They would find nothing.
            Self::Log(rule) if rule.encoding != Encoding::Utf8 => Some("encoding:"),
            Self::Log(rule) if !rule.ignores.is_empty() => Some("ignore:"),
            Self::Log(LogRule { alert: LogAlert::Value { .. }, .. }) => Some("alert_value:"),
            Self::Log(LogRule { alert: LogAlert::Limit { .. }, .. }) => Some("alert_if: behind file:"),
            Self::Log(LogRule { alert: LogAlert::Threshold { threshold: 0, .. }, .. }) => Some("threshold=0"),
            // Without these they would count other processes.
            Self::Process(rule) if !rule.filter.is_empty() => rule.filter.given(),
            Self::Command(rule) if rule.run.command.builtin().is_some() => Some("a built-in command"),
            // Of several alerts, those that they do not know are left out alone.
            Self::Command(rule) if rule.alerts.iter().all(|alert| alert.extension().is_some()) => {
                rule.alerts.first().and_then(CommandAlert::extension)
            }
            _ => None,
        };
        extension.or_else(|| self.patterns().find_map(|pattern| refused_by_re(pattern.as_str())))
    }

    /// The parts of this rule that version 1 agents ignore without a word, or that are taken out for them.
    pub(super) fn ignored(&self) -> Vec<String> {
        let mut ignored: Vec<String> = Vec::new();
        if let Self::Process(rule) = self {
            ignored.extend((rule.every != ProcessRule::EVERY).then(|| "every=".into()));
        }
        if let Self::Command(rule) = self {
            ignored.extend(rule.run.given().map(str::to_string));
            ignored.extend(matches!(rule.ok, GoodStatuses::Listed(_)).then(|| "ok=".into()));
            let left_out = |alert: &CommandAlert| Some(format!("the alert tags={}, for {}", alert.tags, alert.extension()?));
            ignored.extend(rule.alerts.iter().filter_map(left_out));
            ignored.extend(rule.alerts.iter().find_map(CommandAlert::ignored).map(str::to_string));
        }
        if self.texts().any(|text| matches!(text, EventText::Template(_))) {
            ignored.push("text=".into());
        }
        if matches!(self, Self::Log(rule) if rule.alert.by().is_some()) {
            ignored.push("by=".into());
        }
        if let Self::Log(LogRule { joining: Some(joining), .. }) = self {
            ignored.push(joining.directive().into());
        }
        if matches!(self, Self::Log(rule) if rule.is_stripped) {
            ignored.push("strip:".into());
        }
        if matches!(self, Self::Log(rule) if rule.alert.limit().is_some()) {
            ignored.push("limit=".into());
        }
        for term in self.conditions().flat_map(ConditionRule::given) {
            let term = if term == "cleared" { "cleared:".into() } else { format!("{term}=") };
            if !ignored.contains(&term) {
                ignored.push(term);
            }
        }
        ignored
    }

    /// The texts of its alerts.
    fn texts(&self) -> impl Iterator<Item = &EventText> {
        let (one, several) = match self {
            Self::Log(rule) => (rule.alert.text(), &[][..]),
            Self::Command(rule) => (None, &rule.alerts[..]),
            Self::Process(_) | Self::ProcessList(_) => (None, &[][..]),
        };
        one.into_iter().chain(several.iter().filter_map(|alert| alert.kind.text()))
    }

    /// The terms of its alerts.
    fn conditions(&self) -> impl Iterator<Item = &ConditionRule> {
        let (one, several) = match self {
            Self::Log(rule) => (Some(&rule.condition), &[][..]),
            Self::Process(rule) => (Some(&rule.condition), &[][..]),
            Self::Command(rule) => (None, &rule.alerts[..]),
            Self::ProcessList(_) => (None, &[][..]),
        };
        one.into_iter().chain(several.iter().map(|alert| &alert.condition))
    }

    /// The terms of the last alert, for its `cleared:`; `None` if that alert stands for no condition.
    pub(super) fn last_condition(&mut self) -> Option<&mut ConditionRule> {
        match self {
            Self::Log(LogRule {
                alert: LogAlert::Threshold { .. } | LogAlert::Inactive { .. } | LogAlert::Limit { .. },
                condition,
                ..
            }) => Some(condition),
            Self::Process(rule) => Some(&mut rule.condition),
            Self::Command(rule) => {
                let alert = rule.alerts.last_mut()?;
                (!matches!(alert.kind, CommandAlertKind::Metric { .. })).then_some(&mut alert.condition)
            }
            Self::Log(_) | Self::ProcessList(_) => None,
        }
    }

    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let (several, one) = match self {
            Self::Log(rule) => (&rule.patterns[..], None),
            Self::Process(rule) => (&[][..], Some(&rule.pattern)),
            Self::Command(rule) => (&[][..], rule.extract.as_ref()),
            Self::ProcessList(_) => (&[][..], None),
        };
        several.iter().chain(one)
    }
}

impl LogAlert {
    /// The text of its events, if that is given and may have captures.
    pub fn text(&self) -> Option<&EventText> {
        match self {
            Self::All { message, .. } => message.as_ref(),
            Self::Threshold { message, .. } | Self::Limit { message, .. } => Some(message),
            Self::Count { .. } | Self::Inactive { .. } | Self::Value { .. } => None,
        }
    }

    /// The length of its blocks of time, if it has blocks.
    pub fn block(&self) -> Option<Duration> {
        match self {
            Self::All { limit, .. } => limit.map(|limit| limit.block),
            Self::Threshold { block, .. } | Self::Count { block, .. } | Self::Inactive { block, .. } => Some(*block),
            Self::Value { .. } | Self::Limit { .. } => None,
        }
    }

    /// How many events it makes in a block at most, one for each line.
    pub fn limit(&self) -> Option<u64> {
        match self {
            Self::All { limit, .. } => limit.map(|limit| limit.events),
            _ => None,
        }
    }

    /// The group whose values are counted apart.
    pub fn by(&self) -> Option<&GroupName> {
        match self {
            Self::Threshold { by, .. } | Self::Count { by, .. } => by.as_ref(),
            _ => None,
        }
    }

    /// Whether it has a condition for each value of a group.
    pub fn has_conditions_of_values(&self) -> bool {
        let is_each = matches!(self, Self::Limit { limit, .. } if matches!(limit.subject, Some(LineSubject::Each(_))));
        is_each || self.by().is_some()
    }

    /// The groups that it asks for, each with the key that names it.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&'static str, &GroupName)> {
        let of_text = self.text().into_iter().flat_map(EventText::groups).map(|group| ("text", group));
        let of_line = match self {
            Self::Value { group } => [Some(("value", group)), None],
            Self::Limit { limit, .. } => {
                let subject = limit.subject.as_ref().map(|subject| match subject {
                    LineSubject::Text(group, _) | LineSubject::Each(group) => ("match", group),
                });
                [Some(("limit", &limit.group)), subject]
            }
            _ => [self.by().map(|group| ("by", group)), None],
        };
        of_line.into_iter().flatten().chain(of_text)
    }
}

impl CommandAlertKind {
    /// The group of the number; 0 for the exit status.
    pub fn group(&self) -> usize {
        match self {
            Self::Above { group, .. } | Self::Below { group, .. } | Self::Metric { group } => *group,
        }
    }

    /// The measure of its number.
    pub fn measure(&self) -> Measure {
        match self {
            Self::Above { limit, .. } | Self::Below { limit, .. } => limit.measure,
            Self::Metric { .. } => Measure::Number,
        }
    }

    /// The text of its events, if that is given.
    pub fn text(&self) -> Option<&EventText> {
        match self {
            Self::Above { message, .. } | Self::Below { message, .. } => Some(message),
            Self::Metric { .. } => None,
        }
    }
}

impl CommandAlert {
    /// Whether a number of the limit's measure is beyond the limit, if there is one: `Some(true)`. `Some(false)` if it is not, and not back either where an open
    /// condition ends.
    pub fn passes(&self, number: &Decimal) -> Option<bool> {
        let (order, limit) = match &self.kind {
            CommandAlertKind::Above { limit, .. } => (Ordering::Greater, limit),
            CommandAlertKind::Below { limit, .. } => (Ordering::Less, limit),
            CommandAlertKind::Metric { .. } => return None,
        };
        let is_beyond = |end: &Decimal| number.cmp(end) == order;
        (is_beyond(&limit.number) || self.condition.until.as_ref().is_some_and(is_beyond)).then(|| is_beyond(&limit.number))
    }

    /// The part that version 1 agents do not know, for which the alert is left out for them.
    pub(super) fn extension(&self) -> Option<&'static str> {
        match &self.subject {
            AlertSubject::Text(..) if self.kind.measure() != Measure::Number => Some("a limit with a unit"),
            AlertSubject::Text(..) => None,
            AlertSubject::Each(_) => Some("match= without a text"),
            AlertSubject::Status => Some("match=status"),
        }
    }

    /// The part that version 1 agents ignore without a word.
    fn ignored(&self) -> Option<&'static str> {
        match &self.kind {
            _ if matches!(&self.subject, AlertSubject::Text(_, text) if text.contains(char::is_whitespace)) => {
                Some("white space in match=")
            }
            CommandAlertKind::Above { limit, .. } | CommandAlertKind::Below { limit, .. } if limit.number.is_negative() => {
                Some("a negative limit")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_matches_alike_however_often_its_search_is_interrupted() {
        let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text).unwrap()).collect::<Vec<_>>();
        let line = "a line ".repeat(50_000) + "end";
        for (matched, ignored, expected) in [
            (&["x.?[0-9]{160}", "[a-z]{190}y", "en.$"][..], &["[x-z]{199}", "z+$"][..], true),
            (&["x.?[0-9]{160}", "en.$"], &["[0-9]{199}", "l.ne"], false),
            (&["x.?[0-9]{160}", "[a-z]{190}y"], &[], false),
            (&["a"], &[], true),
        ] {
            let rule = LogRule { patterns: patterns(matched), ignores: patterns(ignored), ..LogRule::follow(LogSource::Path("/a".into())) };
            let (mut searched, mut turns) = (0, 1);
            while rule.matches(&line, &mut searched, &mut Work::turn()).is_none_or(|is_match| {
                assert_eq!(is_match, expected, "{matched:?}");
                false
            }) {
                turns += 1;
            }
            assert_eq!(turns > 1, matched.len() > 1, "{matched:?}");
        }
    }
}
