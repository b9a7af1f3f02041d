//! `/api/events`: events of the stream as JSON, read from its files and sent piece by piece.

use super::filter::Filter;
use super::latest::Latest;
use super::query::Query;
use crate::date::Zone;
use crate::directives::Silences;
use crate::now::Now;
use crate::run::server::http::Progress;
use crate::run::server::stream_files::{Place, StreamFiles};
use crate::run::server::stream_reader::StreamReader;
use crate::sys::clock::LocalTime;
use crate::wire::StreamEvent;
use nanoserde::SerJson;

/// An answer that is being made.
pub(in crate::run::server) struct Events {
    filter: Filter,
    limit: usize,
    stage: Stage,
    /// The end of the stream when it was asked for: the answer has nothing behind it.
    end: Option<Place>,
    sent: usize,
    /// Whether there are more events than the answer may have.
    has_more: bool,
    /// Whether the place from which they were wanted is gone.
    has_gap: bool,
    /// Behind the last line that was looked at.
    next: Option<Place>,
    has_begun: bool,
}

enum Stage {
    /// Looks for the first of the latest events.
    Finding(Latest),
    /// Reads forward from there.
    Reading(StreamReader),
    Done,
}

impl Events {
    /// The parameters of a request.
    const PARAMETERS: [&'static str; 8] = ["since", "host", "tags", "state", "text", "numbers", "limit", "after"];
    /// How many events an answer has if the request does not say.
    const LIMIT: usize = 100;
    const MAX_LIMIT: usize = 1000;
    /// Most lines that one piece looks at.
    const LINES: usize = 512;
    /// Bytes of text after which a piece ends.
    const PIECE: usize = 32 * 1024;

    /// Reads a request for events of that stream.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(stream: &str, query: &str) -> Result<Self, String> {
        let query = Query::parse(query, &Self::PARAMETERS)?;
        let limit = query
            .value("limit", "a number from 1 to 1000", |text| text.parse().ok().filter(|limit| (1..=Self::MAX_LIMIT).contains(limit)))?;
        let after = query.value("after", "a place that an answer named", parse_place)?;
        let (files, limit) = (StreamFiles::new(stream), limit.unwrap_or(Self::LIMIT));
        let mut events = Self {
            filter: Filter::of(&query)?,
            limit,
            stage: Stage::Done,
            end: files.end(),
            sent: 0,
            has_more: false,
            has_gap: false,
            next: None,
            has_begun: false,
        };
        let reader = match after {
            Some(None) => Some(StreamReader::from_start(stream)),
            Some(Some(place)) if files.is_at_line(place) => StreamReader::behind(stream, place),
            _ => None,
        };
        events.next = events.end;
        events.has_gap = after.is_some() && reader.is_none();
        events.stage = match (reader, Latest::new(files, limit)) {
            (Some(reader), _) => Stage::Reading(reader),
            (None, Some(latest)) => Stage::Finding(latest),
            (None, None) => Stage::Done,
        };
        Ok(events)
    }

    /// Appends the next piece of the answer.
    pub(super) fn next_piece(&mut self, now: Now, stream: &str, silences: &Silences, text: &mut String) -> Progress {
        if !self.has_begun {
            self.has_begun = true;
            text.push_str("{\"events\":[");
        }
        match &mut self.stage {
            Stage::Finding(latest) => {
                if latest.look_back(&self.filter) == Progress::Finished {
                    self.has_more = latest.has_more();
                    let reader = latest.first().and_then(|first| StreamReader::behind(stream, first));
                    self.stage = reader.map_or(Stage::Done, Stage::Reading);
                }
            }
            Stage::Reading(_) => self.read_on(now, silences, text),
            Stage::Done => {}
        }
        if !matches!(self.stage, Stage::Done) {
            return Progress::Continues;
        }
        let next = self.next.map_or_else(|| START.into(), emit_place);
        *text += &format!("],\"next\":\"{next}\",\"more\":{},\"gap\":{}}}\n", self.has_more, self.has_gap);
        Progress::Finished
    }

    fn read_on(&mut self, now: Now, silences: &Silences, text: &mut String) {
        let Stage::Reading(reader) = &mut self.stage else { return };
        for _ in 0..Self::LINES {
            let Some(line) = reader.next().filter(|line| !self.end.is_some_and(|end| line.place.is_behind(end))) else {
                self.stage = Stage::Done;
                return;
            };
            if self.filter.chooses(&line.event) {
                if self.sent == self.limit {
                    (self.has_more, self.stage) = (true, Stage::Done);
                    return;
                }
                if self.sent > 0 {
                    text.push(',');
                }
                self.sent += 1;
                push_event(&line.event, line.place, silences.covers(&line.event.host, &line.event.tags, now.unix), text);
            }
            self.next = Some(line.place);
            if Some(line.place) == self.end {
                self.stage = Stage::Done;
                return;
            }
            if text.len() >= Self::PIECE {
                return;
            }
        }
    }
}

/// Appends an event: the fields that a stream in JSON has, and what only an answer has.
fn push_event(event: &StreamEvent, place: Place, is_silenced: bool, text: &mut String) {
    StreamEvent { at: None, ..event.clone() }.emit_json(Zone(LocalTime::offset), text);
    text.pop();
    *text += &format!(",\"place\":{},\"silenced\":{is_silenced}}}", emit_place(place).serialize_json());
}

/// The place before the first line.
const START: &str = "0";

fn emit_place(place: Place) -> String {
    format!("{}.{}", place.inode(), place.offset())
}

/// `Some(None)` is the start of the stream.
fn parse_place(text: &str) -> Option<Option<Place>> {
    if text == START {
        return Some(None);
    }
    let (inode, offset) = text.split_once('.')?;
    Some(Some(Place::new(inode.parse().ok()?, offset.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_fields_of_the_stream_and_those_of_the_answer() {
        let line = "Sun Nov 22 11:35:36 2026%%nas%%q7.1;limit;opened;k1@5:3:c:-%%1795347336%%A,DISK%%NULL%%}\"full\"}";
        let (event, mut text) = (StreamEvent::parse(line).unwrap(), String::new());
        push_event(&event, Place::new(7, 9), true, &mut text);
        assert!(text.starts_with("{\"received\":\"") && text.contains("\"uid\":\"q7.1\""), "{text}");
        assert!(
            text.contains("\"key\":\"k1\"") && text.ends_with("\"text\":\"}\\\"full\\\"}\",\"place\":\"7.9\",\"silenced\":true}"),
            "{text}"
        );
        let (event, mut text) = (StreamEvent { key: None, kind: None, state: None, text: "}".into(), ..event }, String::new());
        push_event(&event, Place::new(7, 9), false, &mut text);
        assert!(text.ends_with("\"text\":\"}\",\"place\":\"7.9\",\"silenced\":false}"), "{text}");
    }

    #[test]
    fn wrong_parameters_are_refused() {
        for query in [
            "limit=0",
            "limit=1001",
            "limit=x",
            "since=yesterday",
            "state=open",
            "numbers=1",
            "after=x",
            "after=1",
            "after=1.x",
            "before=1",
        ] {
            assert!(Events::new("/nonexistent/stream", query).is_err(), "{query}");
        }
        assert_eq!(parse_place(&emit_place(Place::new(3, 4))), Some(Some(Place::new(3, 4))));
    }
}
