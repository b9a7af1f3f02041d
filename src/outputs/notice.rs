//! What an output has to say about itself: events for the other outputs.

use crate::wire::StreamEvent;
use std::fmt;
use std::time::Duration;

/// Something to be reported as an event of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Nothing was delivered for so long though events wait.
    Stuck { time: Duration, reason: String },
    /// That is over.
    WorksAgain,
    /// An event was given up because the command said so.
    GivenUp { event: String, reason: String },
    /// Someone asked for a batch to be given up.
    Skipped { events: usize, first: String, last: String },
    /// Files with events that were not delivered were removed from the stream.
    Lost { events: u64, hold: u64 },
    /// The place in the stream is not there any more.
    PlaceGone,
}

impl Notice {
    /// The text of the event about that output.
    pub fn text(&self, output: &str) -> String {
        format!("{}{self}", prefix(output))
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuck { time, reason } => write!(f, "nothing delivered for {} minutes: {reason}", time.as_secs() / 60),
            Self::WorksAgain => f.write_str("works again"),
            Self::GivenUp { event, reason } => write!(f, "gave up event {event}: {reason}"),
            Self::Skipped { events, first, last } => write!(f, "skipped {events} events, {first} to {last}"),
            Self::Lost { events, hold } => write!(f, "lost {events} events: more than {hold} bytes of the stream waited"),
            Self::PlaceGone => f.write_str("its place in the stream is gone: it begins with the oldest event"),
        }
    }
}

fn prefix(output: &str) -> String {
    format!("Output {output}: ")
}

/// Whether an event is one that a server of that name made about that output, which itself never gets it.
pub(super) fn is_about(event: &StreamEvent, server: &str, output: &str) -> bool {
    event.host == server && event.tags == "SYSTEM" && event.text.starts_with(&prefix(output))
}

/// How a notice names an event.
pub(super) fn named(event: &StreamEvent) -> String {
    format!("{} of {}", event.uid, event.host)
}
