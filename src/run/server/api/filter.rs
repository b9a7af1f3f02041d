//! Which events a request wants.

use super::query::Query;
use crate::date::parse_rfc3339;
use crate::wildcard;
use crate::wire::{Kind, State, StreamEvent};

/// All that is given must agree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    host: Option<String>,
    tags: Option<String>,
    state: Option<State>,
    /// In lower case.
    text: Option<String>,
    /// Neither metrics nor counts, of which there may be very many.
    without_numbers: bool,
    /// In seconds since 1970.
    pub(super) since: u64,
}

impl Filter {
    pub(super) fn of(query: &Query) -> Result<Self, String> {
        let own = |name| query.get(name).map(str::to_string);
        Ok(Self {
            host: own("host"),
            tags: own("tags"),
            state: query.value("state", "opened, repeated or closed", State::parse)?,
            text: query.get("text").map(str::to_lowercase),
            without_numbers: query.value("numbers", "yes or no", parse_yes)? == Some(false),
            since: query.value("since", "seconds since 1970, or a time such as 2026-12-01T08:00:00Z", parse_time)?.unwrap_or(0),
        })
    }

    pub(super) fn chooses(&self, event: &StreamEvent) -> bool {
        let Self { host, tags, state, text, without_numbers, since } = self;
        event.unix >= *since
            && host.as_ref().is_none_or(|host| wildcard::matches(host, &event.host))
            && tags.as_ref().is_none_or(|tags| wildcard::matches_tags(tags, &event.tags))
            && state.is_none_or(|state| event.state == Some(state))
            && !(*without_numbers && matches!(event.kind, Some(Kind::Metric | Kind::Count)))
            && text.as_ref().is_none_or(|text| event.text.to_lowercase().contains(text))
    }
}

fn parse_yes(text: &str) -> Option<bool> {
    ["no", "yes"].iter().position(|word| *word == text).map(|number| number == 1)
}

/// Reads a time: seconds since 1970, or RFC 3339.
pub(super) fn parse_time(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| parse_rfc3339(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Filter {
        let query = Query::parse(query, &["since", "host", "tags", "state", "text", "numbers"]).unwrap();
        Filter::of(&query).unwrap()
    }

    #[test]
    fn every_parameter_narrows_the_choice() {
        let line = "Sun Nov 22 11:35:36 2026%%nas1%%q7.1;limit;opened;k1%%1795347336%%A,DISK%%NULL%%Disk is FULL: äÖ";
        let event = StreamEvent::parse(line).unwrap();
        for (query, is_chosen) in [
            ("", true),
            ("host=nas*&tags=DISK&state=opened&since=1795347336&text=full%3A+%C3%84", true),
            ("since=2026-11-22T11:35:36Z", true),
            ("since=1795347337", false),
            ("host=nas", false),
            ("tags=DIS", false),
            ("state=closed", false),
            ("text=fuller", false),
            ("numbers=no", true),
        ] {
            assert_eq!(filter(query).chooses(&event), is_chosen, "{query}");
        }
        for kind in [Kind::Metric, Kind::Count] {
            let number = StreamEvent { kind: Some(kind), ..event.clone() };
            assert!(!filter("numbers=no").chooses(&number) && filter("numbers=yes").chooses(&number) && filter("").chooses(&number));
        }
    }
}
