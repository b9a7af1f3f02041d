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

    use crate::wire::EventWord;
    use nanoserde::{DeJson, DeJsonErr, DeJsonState, DeJsonTok, SerJson, SerJsonState};

    /// A number with the digits that the line has.
    pub struct Number(String);

    impl SerJson for Number {
        fn ser_json(&self, _indent: usize, state: &mut SerJsonState) {
            state.out.push_str(&self.0);
        }
    }

    impl DeJson for Number {
        fn de_json(state: &mut DeJsonState, input: &mut std::str::Chars<'_>) -> Result<Self, DeJsonErr> {
            let (DeJsonTok::U64(_) | DeJsonTok::I64(_) | DeJsonTok::F64(_)) = state.tok else { return Err(state.err_token("a number")) };
            let number = Self(state.numbuf.clone());
            state.next_tok(input)?;
            Ok(number)
        }
    }

    impl JsonEvent {
        /// The fields of an event whose word in a classic line is that; all others are still empty.
        pub fn of_word(word: &str) -> Self {
            let (name, at) = word.split_once('@').map_or((word, None), |(name, at)| (name, Some(at)));
            let EventWord { uid, kind, state, key, value, .. } = EventWord::parse(name).unwrap_or(EventWord::of_uid(name));
            Self {
                uid: uid.into(),
                kind: kind.map(|kind| kind.as_str().into()),
                state: state.map(|state| state.as_str().into()),
                key: key.map(str::to_string),
                value: value.filter(|value| is_number(value)).map(|value| Number(value.into())),
                at: at.map(str::to_string),
                ..Self::default()
            }
        }

        /// The word that stands for the event in a classic line.
        pub fn word(&self) -> String {
            let Self { uid, kind, state, key, value, at, .. } = self;
            let parts = [kind.as_deref(), state.as_deref(), key.as_deref(), value.as_ref().map(|number| &*number.0)];
            let last = parts.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
            let mut word = uid.clone();
            for part in &parts[..last] {
                word.push(';');
                word.push_str(part.unwrap_or_default());
            }
            if let Some(at) = at {
                word.push('@');
                word.push_str(at);
            }
            word
        }
    }

    /// Whether a text is a number as JSON has it.
    fn is_number(text: &str) -> bool {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let whole = whole.strip_prefix('-').unwrap_or(whole);
        let is_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        is_digits(whole) && is_digits(fraction) && (whole == "0" || !whole.starts_with('0'))
    }

    /// A line of the stream in JSON.
    #[derive(Default, DeJson, SerJson)]
    pub struct JsonEvent {
        /// The server's local time of receipt, as in the classic format.
        pub received: String,
        pub received_unix: u64,
        pub host: String,
        pub uid: String,
        /// What kind of event it is. Omitted for events of Python agents.
        pub kind: Option<String>,
        /// Of the events of a condition.
        pub state: Option<String>,
        pub key: Option<String>,
        /// Of metrics and counts.
        pub value: Option<Number>,
        /// What recovery needs; empty within a batch.
        pub at: Option<String>,
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
            let event: JsonEvent = DeJson::deserialize_json(line).ok()?;
            let uid = event.word();
            let JsonEvent { received, host, time: unix, tags, file, text, .. } = event;
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
