//! Reading the event stream: its files, their lines, and the event that a line records.

use crate::directives::server::EventFormat;
use crate::fs::Access;
use crate::lines::lines;
use crate::tail::{Follower, Piece, BUFFER};
use crate::wire::{Alert, Message, RecordedSeq};
use nanoserde::DeJson;
use std::time::Duration;

pub(super) use json::JsonEvent;

mod json {
    #![allow(clippy::question_mark, unreachable_pub, reason = "generated code, and what it requires")]

    use nanoserde::{DeJson, SerJson};

    /// A line of the stream in JSON.
    #[derive(DeJson, SerJson)]
    pub struct JsonEvent {
        /// The server's local time of receipt, as in the classic format.
        pub received: String,
        pub received_unix: u64,
        pub host: String,
        pub uid: String,
        pub time: u64,
        pub tags: String,
        /// Omitted if the event has no file.
        pub file: Option<String>,
        pub text: String,
    }
}

/// An event that was read from the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    /// The server's local time of receipt.
    pub(super) received: String,
    pub(super) host: String,
    pub(super) uid: String,
    unix: u64,
    tags: String,
    file: Option<String>,
    text: String,
}

impl Recorded {
    /// Parses a line. `None` if it is not an event.
    pub(super) fn parse(format: EventFormat, line: &str) -> Option<Self> {
        if format == EventFormat::Json {
            let JsonEvent { received, received_unix: _, host, uid, time: unix, tags, file, text } = DeJson::deserialize_json(line).ok()?;
            return Some(Self { received, host, uid, unix, tags, file, text });
        }
        // The rest has the fields of an ALERT.
        let (received, fields) = line.split_once("%%")?;
        let alert = format!("ALERT%%{fields}");
        let Ok(Message::Alert(Alert { host, uid, unix, tags, file, text })) = Message::parse(alert.as_bytes()) else { return None };
        let own = str::to_string;
        Some(Self { received: own(received), host: own(host), uid: own(uid), unix, tags: own(tags), file: file.map(own), text: own(text) })
    }

    /// Whether it came as an ALERT, or is the server's own.
    pub(super) fn is_classic(&self) -> bool {
        !self.uid.contains('@')
    }

    /// When it happened, in seconds since 1970.
    pub(super) fn unix(&self) -> u64 {
        self.unix
    }

    /// Whether others of its batch follow.
    pub(super) fn is_within_batch(&self) -> bool {
        RecordedSeq::is_within_batch(&self.uid)
    }

    pub(super) fn alert(&self) -> Alert<'_> {
        let Self { host, uid, unix, tags, file, text, .. } = self;
        Alert { host, uid, unix: *unix, tags, file: file.as_deref(), text }
    }
}

/// The files of an event stream, the oldest first.
pub(super) fn files(stream: &str, keep: u32) -> impl Iterator<Item = String> + '_ {
    (1..=keep).rev().map(move |number| format!("{stream}.{number}")).chain([stream.to_string()])
}

/// Reads a whole file, line by line.
pub(super) fn read_from_start(path: &str, take: &mut dyn FnMut(&str)) {
    read_to_end(&mut Follower::from_start(&Access::unrestricted(), path), take);
}

/// Reads the rest of a log, line by line.
pub(super) fn read_to_end(follower: &mut Follower, take: &mut dyn FnMut(&str)) {
    let mut buffer = vec![0; BUFFER];
    let _ = follower.look(Duration::ZERO, &mut |_| None);
    let mut read = |Piece { bytes, .. }: Piece<'_>| {
        lines(bytes).for_each(|(_, line)| take(&String::from_utf8_lossy(line)));
        bytes.len()
    };
    while follower.read(Duration::ZERO, &mut buffer, &mut read) {}
}
