//! Where accepted events go, and how the server learns that they were written.

use crate::directives::decimal::Decimal;
use crate::text::{sanitize, sanitize_field};
use crate::wire::position::FilePosition;
use crate::wire::{Alert, BatchEvent, ChainId, EventBatch, EventWord, Kind};
use memchr::memchr2;
use std::borrow::Cow;

/// Takes the events that the server accepts. They count as written only after [`super::Server::handle_committed`].
pub trait EventSink {
    /// Takes one event. Its fields contain neither control characters nor separators.
    fn accept(&mut self, alert: &Alert<'_>);

    /// Some of the places up to an offset to which events record that a file of a log was read, the last one first. At most as many as a
    /// position has files.
    fn earlier_places(&self, _host: &str, _chain: ChainId, _inode: u64, _offset: u64) -> Vec<FilePosition> {
        Vec::new()
    }
}

/// What became of the events that the sink took since the last commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of them are in the stream.
    All,
    /// None of them is in the stream.
    Nothing,
}

/// The word of an event of version 1, of that kind. A number that it has is its value.
pub(super) fn classic_word<'a>(uid: &'a str, kind: Option<Kind>, text: &str) -> Cow<'a, str> {
    let uid = sanitize_uid(uid);
    let Some(kind) = kind.filter(|_| EventWord::is_uid(&uid)) else { return uid };
    let is_number = |text: &str| Decimal::parse(text).is_some() && text.bytes().all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte));
    let value = Some(text.trim()).filter(|text| matches!(kind, Kind::Count | Kind::Metric) && is_number(text));
    EventWord { kind: Some(kind), value, ..EventWord::of_uid(&uid) }.to_string().into()
}

/// Sanitizes the uid of an event of version 1. Behind `@` and `;` stands what only this program says of an event.
fn sanitize_uid(uid: &str) -> Cow<'_, str> {
    let uid = sanitize_field(uid);
    match memchr2(b'@', b';', uid.as_bytes()) {
        Some(_) => uid.replace(['@', ';'], "_").into(),
        None => uid,
    }
}

/// The tags and the file of an event, and both sanitized.
struct Shared<'a> {
    tags: &'a str,
    file: Option<&'a str>,
    sanitized_tags: Cow<'a, str>,
    sanitized_file: Option<Cow<'a, str>>,
}

impl<'a> Shared<'a> {
    fn of(event: &BatchEvent<'a>) -> Self {
        let BatchEvent { tags, file, .. } = *event;
        Self { tags, file, sanitized_tags: sanitize_field(tags), sanitized_file: file.map(sanitize_field) }
    }

    /// Whether an event has the same, as most events of a batch have.
    fn is_of(&self, event: &BatchEvent<'_>) -> bool {
        let is_same_file = match (self.file, event.file) {
            (Some(file), Some(other)) => std::ptr::eq(file, other),
            (file, other) => file.is_none() && other.is_none(),
        };
        is_same_file && std::ptr::eq(self.tags, event.tags)
    }
}

/// Hands the events of a batch to a sink.
pub(super) fn accept_batch(host: &str, batch: &EventBatch<'_>, sink: &mut impl EventSink) {
    let host = sanitize_field(host);
    let mut shared: Option<Shared<'_>> = None;
    batch.for_each(|uid, event| {
        let known = shared.take().filter(|shared| shared.is_of(event));
        let shared = shared.insert(known.unwrap_or_else(|| Shared::of(event)));
        let (tags, file) = (&shared.sanitized_tags, shared.sanitized_file.as_deref());
        sink.accept(&Alert { host: &host, uid, unix: event.unix, tags, file, text: &sanitize(event.text) });
    });
}
