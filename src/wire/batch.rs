//! Consecutive events of one chain in one datagram. What they share is said once.
//!
//! The first line has the fields `time%%tags%%file%%origin`, which the events after it share. Each other line begins with a letter that says
//! what it is: `=tail%%text` an event; `t`, `g`, `f`, `o` and `k` another time, tags, file, origin and class of the events that follow.
//! Without a `k` before them events are of the class `line`. Further letters are ignored.

use super::event_word::EventWord;
use super::fields::{ChainId, Checkpoint, Progress, Seq, WireError, NO_FILE};
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBatch<'a> {
    /// Name of the host that the events come from.
    pub host: &'a str,
    /// The chain of the host that they belong to.
    pub chain: ChainId,
    /// The sequence number of the first event. The others follow without a gap.
    pub first: Seq,
    /// How far the log is read once all of them are delivered: one word, see [`super::position::Position`].
    pub position: &'a str,
    /// The events as [`BatchText`] writes them.
    pub text: &'a str,
    /// The same events, at least one.
    pub events: Vec<BatchEvent<'a>>,
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
    /// The datagram of these events, without a MAC.
    pub fn emit(host: &str, chain: ChainId, first: Seq, position: &str, text: &str) -> Vec<u8> {
        let mut datagram = String::with_capacity(64 + host.len() + position.len() + text.len());
        Self::write(FieldWriter { text: &mut datagram }, host, chain, first, position, text);
        datagram.into_bytes()
    }

    pub(super) fn write<'t>(
        writer: FieldWriter<'t>,
        host: &str,
        chain: ChainId,
        first: Seq,
        position: &str,
        text: &str,
    ) -> FieldWriter<'t> {
        writer.raw("EVENT").field(host).chain(chain).seq(first).field(position).field(text)
    }

    /// The sequence number of the last event.
    pub fn last(&self) -> Seq {
        Seq { number: self.first.number.saturating_add(self.events.len() as u64 - 1), ..self.first }
    }

    /// What a server says of the chain once the whole batch is in its stream, and holds nothing else.
    pub fn progress(&self) -> Progress {
        Progress { chain: self.chain, done: self.last(), held: Vec::new() }
    }

    /// How far the chain has come with it.
    pub fn checkpoint(&self) -> Checkpoint<&'a str> {
        let unix = self.events.last().map_or(0, |event| event.unix);
        Checkpoint { seq: self.last(), unix, position: self.position }
    }

    /// Hands over its events, each with the word that names it in the stream: `UID;CLASS@`. That of the last event continues with
    /// `CHAIN:EPOCH:NUMBER:POSITION`: so a starting server learns from the stream how far the chain had come, and which lines are no
    /// complete batch.
    pub fn for_each(&self, mut take: impl FnMut(&str, &BatchEvent<'a>)) {
        /// Room for most words.
        const ROOM: usize = 160;
        let (mut word, mut mark, mut class) = (String::with_capacity(ROOM), String::new(), "");
        for (at, event) in self.events.iter().enumerate() {
            // Most events of a batch share the class.
            if mark.is_empty() || !std::ptr::eq(event.class, class) {
                class = event.class;
                // Nobody could read the line of an event whose class is none.
                let is_known = !class.is_empty() && EventWord::of_class(class).is_some();
                mark = if is_known { [";", class, "@"].concat() } else { "@".into() };
            }
            word.clear();
            let mut writer = FieldWriter { text: &mut word }.raw(event.origin).raw(event.tail).raw(&mark);
            if at + 1 == self.events.len() {
                writer = writer.digits(self.chain.0, 36, 1).raw(":").digits(self.first.epoch, 36, 1);
                writer = writer.raw(":").digits(self.last().number, 36, 1).raw(":").raw(self.position);
            }
            take(writer.text, event);
        }
    }
}

impl<'a> BatchEvents<'a> {
    fn of(text: &'a str) -> Self {
        Self { rest: Some(text), shared: None, is_malformed: false }
    }

    /// Reads all events.
    ///
    /// # Errors
    /// There are none, there are more than [`MAX_BATCH`], or one is malformed.
    pub(super) fn read_all(text: &'a str) -> Result<Vec<BatchEvent<'a>>, WireError> {
        let mut events = Self::of(text);
        // Few datagrams have more.
        let mut all = Vec::with_capacity(16);
        all.extend(events.by_ref().take(MAX_BATCH as usize + 1));
        match all.len() {
            _ if events.is_malformed => Err(WireError::MalformedField),
            0 => Err(WireError::MissingField),
            count if count > MAX_BATCH as usize => Err(WireError::MalformedField),
            _ => Ok(all),
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
    const IS_PART: [bool; 256] = {
        let mut table = [false; 256];
        let (all, mut at) = (b"0123456789abcdefghijklmnopqrstuvwxyz.", 0);
        while at < all.len() {
            table[all[at] as usize] = true;
            at += 1;
        }
        table
    };
    !word.is_empty() && word.len() <= MAX && word.as_bytes().iter().all(|byte| IS_PART[usize::from(*byte)])
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

#[cfg(test)]
mod tests {
    use super::super::recorded_seq::RecordedSeq;
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
            assert_eq!(BatchEvents::read_all(text), Ok(events.to_vec()));
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
            assert!(BatchEvents::read_all(text).is_err(), "{text:?}");
        }
        // What a later version says of an event does no harm.
        assert_eq!(BatchEvents::read_all("9%%T%%NULL%%o\n=1%%a\nz5\n=2%%b").unwrap().len(), 2);
    }

    #[test]
    fn the_word_of_the_last_event_of_a_batch_holds_the_checkpoint_of_its_chain() {
        let (chain, first) = (ChainId(36), Seq { epoch: 35, number: 39 });
        let text = "9%%T%%/log%%f.r.\n=1%%a\n=2%%b";
        let batch = EventBatch { host: "h", chain, first, position: "2s.1.2", text, events: BatchEvents::read_all(text).unwrap() };
        let mut words = Vec::new();
        batch.for_each(|word, event| words.push((word.to_string(), event.text)));
        assert_eq!(words, [("f.r.1;line@".to_string(), "a"), ("f.r.2;line@10:z:14:2s.1.2".to_string(), "b")]);
        let recorded = RecordedSeq { chain, seq: Seq { epoch: 35, number: 40 }, position: "2s.1.2" };
        assert_eq!(RecordedSeq::parse(words[1].0.split_once('@').unwrap().1), Some(recorded));
    }

    #[test]
    fn a_class_that_is_none_is_left_out() {
        let mut text = BatchText::default();
        for class in ["line", "limit;opened;k8", "metric;;;-4.5", "bogus", "limit;bogus", "limit;;;;;"] {
            text.push(BatchEvent { class, ..EVENT });
        }
        let (chain, first, text) = (ChainId(1), Seq { epoch: 1, number: 1 }, text.as_str());
        let batch = EventBatch { host: "h", chain, first, position: "-", text, events: BatchEvents::read_all(text).unwrap() };
        let mut words = Vec::new();
        batch.for_each(|word, _| words.push(word.split('@').next().unwrap().to_string()));
        assert_eq!(words, ["f.r.1;line", "f.r.1;limit;opened;k8", "f.r.1;metric;;;-4.5", "f.r.1", "f.r.1", "f.r.1"]);
    }
}
