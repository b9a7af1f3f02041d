//! Where accepted events go, and how the server learns that they were written.

use crate::text::{sanitize, sanitize_field};
use crate::wire::position::FilePosition;
use crate::wire::{Alert, ChainId, EventBatch};
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

/// Hands the events of a batch to a sink.
pub(super) fn accept_batch(host: &str, batch: &EventBatch<'_>, sink: &mut impl EventSink) {
    let sanitized_host = sanitize_field(host);
    let mut shared: Option<(&str, Option<&str>, Cow<'_, str>, Option<Cow<'_, str>>)> = None;
    batch.for_each(|_, uid, event| {
        // Most events of a batch have the same tags and file.
        let known = shared.take().filter(|(tags, file, ..)| (*tags, *file) == (event.tags, event.file));
        let (.., tags, file) =
            shared.insert(known.unwrap_or_else(|| (event.tags, event.file, sanitize_field(event.tags), event.file.map(sanitize_field))));
        let text = sanitize(event.text);
        sink.accept(&Alert { host: &sanitized_host, uid, unix: event.unix, tags, file: file.as_deref(), text: &text });
    });
}
