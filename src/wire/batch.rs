//! Consecutive events of one chain in one datagram. What they share is said once.
//!
//! The first line has the fields `time%%tags%%file%%origin`, which the events after it share. Each other line begins with a letter that says
//! what it is: `=tail%%text` an event; `t`, `g`, `f`, `o` and `k` another time, tags, file, origin and class of the events that follow.
//! Without a `k` before them events are of the class `line`. Further letters are ignored.

use super::event_word::EventWord;
use super::fields::{ChainId, Checkpoint, Progress, Seq, WireError};
use super::message::NO_FILE;
use super::reader::split_field;
use super::writer::FieldWriter;
use crate::text::{number, push_number};
use memchr::memchr;
use std::ops::Range;

/// The class of most events.
const LINE: &str = "line";

/// Most events of one batch.
pub const MAX_BATCH: u32 = 512;

/// The fields of an EVENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventBatch<'a> {
    /// Name of the host that the events come from.
    pub host: &'a str,
    /// The chain of the host that they belong to.
    pub chain: ChainId,
    /// The sequence number of the first event. The others follow without a gap.
    pub first: Seq,
    /// How far the log is read once all of them are delivered: one word, see [`super::position::Position`].
    pub position: &'a str,
    /// The events, as [`BatchText`] makes them.
    pub text: &'a str,
    /// How many events that are; never 0.
    pub count: u32,
}

/// One event of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchEvent<'a> {
    /// When the event happened, in seconds since 1970.
    pub unix: u64,
    /// The tags of the rule, or `SYSTEM`.
    pub tags: &'a str,
    /// The followed file; `None` travels as `NULL`.
    pub file: Option<&'a str>,
    /// The uid of the event is its origin and its tail, one behind the other. Events that come from one place share the origin.
    pub origin: &'a str,
    /// The rest of the uid, of digits, lower-case letters and points, as the origin is.
    pub tail: &'a str,
    /// What kind of event it is, as [`EventWord`] says behind the uid: `KIND[;STATE[;KEY[;VALUE]]]`.
    pub class: &'a str,
    /// The text; may contain `%%`, and no newline.
    pub text: &'a str,
}

/// The events of a batch, one after the other. Ends at the first that is malformed.
#[derive(Clone, Debug)]
pub struct BatchEvents<'a> {
    rest: Option<&'a str>,
    /// What the next event shares with the one before; `None` before the first line.
    shared: Option<BatchEvent<'a>>,
    is_malformed: bool,
}

/// Events on their way into a batch: one piece of memory for all of them.
#[derive(Clone, Debug, Default)]
pub struct BatchText {
    text: String,
    count: u32,
    unix: u64,
    /// Where the tags, the file, the origin and the class of the last event stand in the text. The class is empty for [`LINE`].
    tags: Range<usize>,
    file: Range<usize>,
    origin: Range<usize>,
    class: Range<usize>,
}

impl<'a> EventBatch<'a> {
    /// The sequence number of the last event.
    pub fn last(&self) -> Seq {
        Seq { number: self.first.number.saturating_add(u64::from(self.count) - 1), ..self.first }
    }

    /// Its events, in their order.
    pub fn events(&self) -> BatchEvents<'a> {
        BatchEvents::of(self.text)
    }

    /// What a server says of the chain once the whole batch is in its stream, and holds nothing else.
    pub fn progress(&self) -> Progress {
        Progress { chain: self.chain, done: self.last(), held: Vec::new() }
    }

    /// How far the chain has come with it.
    pub fn checkpoint(&self) -> Checkpoint<&'a str> {
        let unix = self.events().last().map_or(0, |event| event.unix);
        Checkpoint { seq: self.last(), unix, position: self.position }
    }

    /// Hands over its events, each with its number and the word that names it in the stream.
    pub fn for_each(&self, mut take: impl FnMut(u64, &str, BatchEvent<'a>)) {
        let (names, last) = (EventNames::new(self.chain, self.first.epoch), self.last().number);
        let (mut word, mut known) = (String::new(), LINE);
        for (number, mut event) in (self.first.number..).zip(self.events()) {
            word.clear();
            // Nobody could read the line of an event whose class is none.
            if event.class != known && EventWord::parse(&["0;", event.class].concat()).is_none() {
                event.class = "";
            } else {
                known = event.class;
            }
            names.write(&mut word, &event, number, (number == last).then_some(self.position));
            take(number, &word, event);
        }
    }
}

impl<'a> BatchEvents<'a> {
    fn of(text: &'a str) -> Self {
        Self { rest: Some(text), shared: None, is_malformed: false }
    }

    /// Counts the events.
    ///
    /// # Errors
    /// There are none, there are more than [`MAX_BATCH`], or one is malformed.
    pub(super) fn count_events(text: &'a str) -> Result<u32, WireError> {
        let mut events = Self::of(text);
        let count = u32::try_from(events.by_ref().count()).unwrap_or(u32::MAX);
        match count {
            _ if events.is_malformed => Err(WireError::MalformedField),
            0 => Err(WireError::MissingField),
            count if count > MAX_BATCH => Err(WireError::MalformedField),
            count => Ok(count),
        }
    }

    /// The fields of the first line, in an event without tail and text.
    fn read_first(line: &'a str) -> Option<BatchEvent<'a>> {
        let (unix, rest) = split_field(line)?;
        let (tags, rest) = split_field(rest)?;
        let (file, origin) = split_field(rest)?;
        let is_complete = !tags.is_empty() && !file.is_empty() && is_part_of_uid(origin);
        is_complete.then_some(BatchEvent { unix: number(unix, 10)?, tags, file: file_of(file), origin, tail: "", class: LINE, text: "" })
    }

    /// Takes any other line. Returns the event that it is, if it is one; `None` if it is malformed.
    fn take_line(shared: &mut BatchEvent<'a>, line: &'a str) -> Option<Option<BatchEvent<'a>>> {
        let value = line.get(1..).filter(|value| !value.is_empty());
        match line.as_bytes().first()? {
            b'=' => {
                let (tail, text) = split_field(value?).filter(|(tail, _)| is_part_of_uid(tail))?;
                return Some(Some(BatchEvent { tail, text, ..*shared }));
            }
            b't' => shared.unix = number(value?, 10)?,
            b'g' => shared.tags = value?,
            b'f' => shared.file = file_of(value?),
            b'o' => shared.origin = value.filter(|origin| is_part_of_uid(origin))?,
            b'k' => shared.class = value.filter(|class| is_class(class))?,
            _ => {}
        }
        Some(None)
    }
}

impl<'a> Iterator for BatchEvents<'a> {
    type Item = BatchEvent<'a>;

    fn next(&mut self) -> Option<BatchEvent<'a>> {
        loop {
            let rest = self.rest.take()?;
            let line = match memchr(b'\n', rest.as_bytes()) {
                Some(end) => {
                    self.rest = Some(&rest[end + 1..]);
                    &rest[..end]
                }
                None => rest,
            };
            let event = match &mut self.shared {
                Some(shared) => Self::take_line(shared, line),
                None => {
                    self.shared = Self::read_first(line);
                    self.shared.map(|_| None)
                }
            };
            match event {
                Some(Some(event)) => return Some(event),
                Some(None) => {}
                None => (self.rest, self.is_malformed) = (None, true),
            }
        }
    }
}

impl BatchText {
    /// Appends an event. Its tags and file contain no `%%`, and nothing of it a newline.
    pub fn push(&mut self, event: BatchEvent<'_>) {
        let BatchEvent { unix, tags, file, origin, tail, class, text } = event;
        let file = file.unwrap_or(NO_FILE);
        if self.count == 0 {
            self.text.reserve_exact(self.needs(event));
            push_number(&mut self.text, unix, 10, 1);
            self.tags = self.append("%%", tags);
            self.file = self.append("%%", file);
            self.origin = self.append("%%", origin);
        } else {
            if unix != self.unix {
                self.text.push_str("\nt");
                push_number(&mut self.text, unix, 10, 1);
            }
            if tags != &self.text[self.tags.clone()] {
                self.tags = self.append("\ng", tags);
            }
            if file != &self.text[self.file.clone()] {
                self.file = self.append("\nf", file);
            }
            if origin != &self.text[self.origin.clone()] {
                self.origin = self.append("\no", origin);
            }
        }
        if class != self.class() {
            self.class = self.append("\nk", class);
        }
        self.append("\n=", tail);
        self.append("%%", text);
        self.unix = unix;
        self.count += 1;
    }

    /// How many bytes an event would add.
    pub fn needs(&self, event: BatchEvent<'_>) -> usize {
        let BatchEvent { unix, tags, file, origin, tail, class, text } = event;
        let file = file.unwrap_or(NO_FILE);
        let needs = |differs: bool, bytes: usize| if differs { bytes + 2 } else { 0 };
        let is_first = self.count == 0;
        needs(true, tail.len() + 2 + text.len())
            + needs(is_first || unix != self.unix, 20)
            + needs(is_first || tags != &self.text[self.tags.clone()], tags.len())
            + needs(is_first || file != &self.text[self.file.clone()], file.len())
            + needs(is_first || origin != &self.text[self.origin.clone()], origin.len())
            + needs(class != self.class(), class.len())
    }

    /// The class of the last event.
    fn class(&self) -> &str {
        if self.class.is_empty() {
            LINE
        } else {
            &self.text[self.class.clone()]
        }
    }

    fn append(&mut self, mark: &str, value: &str) -> Range<usize> {
        self.text.push_str(mark);
        let start = self.text.len();
        self.text.push_str(value);
        start..self.text.len()
    }

    /// Makes room for further events up to that many bytes in all.
    pub fn reserve(&mut self, bytes: usize) {
        self.text.reserve_exact(bytes.saturating_sub(self.text.len()));
    }

    /// How many bytes they take.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many events there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// When the last event happened, in seconds since 1970.
    pub fn unix(&self) -> u64 {
        self.unix
    }

    /// The text of an EVENT.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The events, in their order.
    pub fn events(&self) -> BatchEvents<'_> {
        BatchEvents::of(&self.text)
    }
}

/// Whether a word may be a part of a uid.
fn is_part_of_uid(word: &str) -> bool {
    /// Most bytes of one part.
    const MAX: usize = 48;
    !word.is_empty() && word.len() <= MAX && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'.'))
}

/// Whether a word may be a class.
fn is_class(word: &str) -> bool {
    /// Most bytes: a kind, a state, a key and a number.
    const MAX: usize = 96;
    word.len() <= MAX && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'.' | b';' | b'-' | b'+' | b'E'))
}

fn file_of(field: &str) -> Option<&str> {
    Some(field).filter(|file| *file != NO_FILE)
}

/// Writes the words that name the events of a batch in the stream.
///
/// A word is `UID;CLASS@CHAIN:EPOCH:NUMBER`. The word of the last event of a batch continues with `:POSITION`: so a starting server learns from the
/// stream how far the chain had come, and which lines are no complete batch.
pub struct EventNames {
    /// `@CHAIN:EPOCH:`.
    chain: String,
}

/// What the word of an event says of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedSeq<'a> {
    /// The chain.
    pub chain: ChainId,
    /// The event.
    pub seq: Seq,
    /// How far the log is read with it. `None` unless the event is the last one of its batch.
    pub position: Option<&'a str>,
}

impl EventNames {
    /// The names of events of that chain and epoch.
    pub fn new(chain: ChainId, epoch: u64) -> Self {
        let mut text = String::from("@");
        let writer = FieldWriter { text: &mut text };
        let _ = writer.digits(chain.0, 36, 1).raw(":").digits(epoch, 36, 1).raw(":");
        Self { chain: text }
    }

    /// Appends the word of the event of that number. `position` is that of the batch, for its last event.
    pub fn write(&self, text: &mut String, event: &BatchEvent<'_>, number: u64, position: Option<&str>) {
        let mut writer = FieldWriter { text }.raw(event.origin).raw(event.tail);
        if !event.class.is_empty() {
            writer = writer.raw(";").raw(event.class);
        }
        let writer = writer.raw(&self.chain).digits(number, 36, 1);
        if let Some(position) = position {
            let _ = writer.raw(":").raw(position);
        }
    }
}

impl<'a> RecordedSeq<'a> {
    /// Reads what [`EventNames::write`] writes. `None` for the uid of an event without a chain.
    pub fn parse(word: &'a str) -> Option<Self> {
        use super::position::{parse_base36, Position};
        let (_, at) = word.split_once('@')?;
        let mut fields = at.splitn(4, ':');
        let mut next = || fields.next().and_then(parse_base36);
        let (chain, epoch, number) = (ChainId(next()?), next()?, next()?);
        let position = match fields.next() {
            Some(position) => Some(Position::parse(position).map(|_| position)?),
            None => None,
        };
        Some(Self { chain, seq: Seq { epoch, number }, position })
    }

    /// Whether the event is not the last of its batch, or its word is cut.
    pub fn is_within_batch(word: &'a str) -> bool {
        word.contains('@') && Self::parse(word).is_none_or(|recorded| recorded.position.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: BatchEvent<'_> =
        BatchEvent { unix: 9, tags: "T", file: Some("/log"), origin: "f.r.", tail: "1", class: "line", text: "a%%b" };

    #[test]
    fn what_events_share_is_said_once() {
        let later = BatchEvent { unix: 10, text: "", tail: "2", ..EVENT };
        let other = BatchEvent { tags: "U", file: None, text: "=x", origin: "q.", ..later };
        let metric = BatchEvent { class: "metric;;;5", ..EVENT };
        for (events, text) in [
            (&[EVENT][..], "9%%T%%/log%%f.r.\n=1%%a%%b"),
            (&[EVENT, EVENT], "9%%T%%/log%%f.r.\n=1%%a%%b\n=1%%a%%b"),
            (&[metric, metric, EVENT], "9%%T%%/log%%f.r.\nkmetric;;;5\n=1%%a%%b\n=1%%a%%b\nkline\n=1%%a%%b"),
            (
                &[EVENT, later, later, other, EVENT],
                "9%%T%%/log%%f.r.\n=1%%a%%b\nt10\n=2%%\n=2%%\ngU\nfNULL\noq.\n=2%%=x\nt9\ngT\nf/log\nof.r.\n=1%%a%%b",
            ),
        ] {
            let mut batch = BatchText::default();
            for event in events {
                let (before, needs) = (batch.len(), batch.needs(*event));
                batch.push(*event);
                assert!(batch.len() <= before + needs);
            }
            assert_eq!((batch.as_str(), batch.count() as usize), (text, events.len()));
            assert_eq!(batch.events().collect::<Vec<_>>(), events);
            assert_eq!(BatchEvents::count_events(text), Ok(batch.count()));
        }
    }

    #[test]
    fn malformed_batches_are_refused() {
        let many = format!("9%%T%%NULL%%o{}", "\n=1%%".repeat(MAX_BATCH as usize + 1));
        for text in [
            "",
            "9",
            "9%%T%%NULL%%o",
            "x%%T%%NULL%%o\n=1%%a",
            "9%%%%NULL%%o\n=1%%a",
            "9%%T%%%%o\n=1%%a",
            "9%%T%%NULL%%\n=1%%a",
            "9%%T%%NULL%%O\n=1%%a",
            "9%%T%%NULL%%o\n=1%%a\n",
            "9%%T%%NULL%%o\n=1%%a\nt\n=1%%b",
            "9%%T%%NULL%%o\n=%%a",
            "9%%T%%NULL%%o\n=1@%%a",
            "9%%T%%NULL%%o\n=1",
            "9%%T%%NULL%%o\nk\n=1%%a",
            "9%%T%%NULL%%o\nkline@1:1:1:-\n=1%%a",
            &many,
        ] {
            assert!(BatchEvents::count_events(text).is_err(), "{text:?}");
        }
        // What a later version says of an event does no harm.
        assert_eq!(BatchEvents::count_events("9%%T%%NULL%%o\n=1%%a\nz5\n=2%%b"), Ok(2));
    }

    #[test]
    fn the_word_of_an_event_holds_the_checkpoint_of_its_chain_if_it_is_the_last_one() {
        let (chain, seq) = (ChainId(36), Seq { epoch: 35, number: 40 });
        for (position, expected) in [(None, "f.r.1;line@10:z:14"), (Some("2s.1.2"), "f.r.1;line@10:z:14:2s.1.2")] {
            let mut word = String::new();
            EventNames::new(chain, seq.epoch).write(&mut word, &EVENT, seq.number, position);
            assert_eq!(word, expected);
            assert_eq!(RecordedSeq::parse(&word), Some(RecordedSeq { chain, seq, position }));
            assert_eq!(RecordedSeq::is_within_batch(&word), position.is_none());
        }
        for word in ["000000", "1795347336_2", "1.2@10:z", "1.2@10:z:", "1.2@10:z:1:", "1.2@10:z:1:x", "1.2@10:z:1:-:-", "@", ""] {
            assert_eq!(RecordedSeq::parse(word), None, "{word}");
            assert_eq!(RecordedSeq::is_within_batch(word), word.contains('@'), "{word}");
        }
    }

    #[test]
    fn a_class_that_is_none_is_left_out() {
        let mut text = BatchText::default();
        for class in ["line", "limit;opened;k8", "metric;;;-4.5", "bogus", "limit;bogus", "limit;;;;;"] {
            text.push(BatchEvent { class, ..EVENT });
        }
        let (chain, first, count) = (ChainId(1), Seq { epoch: 1, number: 1 }, text.count());
        let batch = EventBatch { host: "h", chain, first, position: "-", text: text.as_str(), count };
        let mut words = Vec::new();
        batch.for_each(|_, word, _| words.push(word.split('@').next().unwrap().to_string()));
        assert_eq!(words, ["f.r.1;line", "f.r.1;limit;opened;k8", "f.r.1;metric;;;-4.5", "f.r.1", "f.r.1", "f.r.1"]);
    }
}
