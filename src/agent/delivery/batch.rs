//! Waiting events of one chain that travel in one datagram: one piece of memory, ready to be sent.

use super::window::Sent;
use crate::wire::{Alert, BatchEvent, BatchText, ChainId, EventBatch, Message, Seq, MAX_BATCH};
use std::time::Duration;

pub(super) struct Batch {
    pub(super) chain: ChainId,
    pub(super) text: BatchText,
    /// How far the log is processed with these events. `None` where that is not known, as before the last event of what was one batch.
    pub(super) position: Option<Box<str>>,
    pub(super) sent_as: SentAs,
    /// The number in the uid of an event that was sent as ALERT: every server gets the same one.
    serial: Option<u64>,
    /// Most bytes of its text.
    pub(super) limit: usize,
    /// How many of the events are of lines.
    pub(super) lines: u32,
    pub(super) sent: Sent,
    /// When it is sent, or sent again.
    pub(super) due: Duration,
    /// The server has it, and waits for a predecessor.
    pub(super) is_held: bool,
}

/// In which form events were first sent to the present server. The server recognises a repeat only in the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SentAs {
    Nothing,
    Alert,
    /// As EVENT. The first event has that number in its chain.
    Events(u64),
}

/// What can be done when there is no room for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A line of a log: it waits in the file, so the caller asks for room first.
    Line,
    /// Nothing that could be read again: it is dropped and counted.
    Other,
}

impl Batch {
    /// Bytes of memory beside those of the text, about.
    const OVERHEAD: usize = 200;

    /// Holds no event yet, and later not more than so many bytes of text, unless one event has more.
    pub(super) fn new(chain: ChainId, limit: usize) -> Self {
        Self {
            chain,
            text: BatchText::default(),
            position: None,
            sent_as: SentAs::Nothing,
            serial: None,
            limit,
            lines: 0,
            sent: Sent::default(),
            due: Duration::ZERO,
            is_held: false,
        }
    }

    /// Appends an event, for which there is room.
    pub(super) fn push(&mut self, event: BatchEvent<'_>, class: Class) {
        if self.text.count() == 1 {
            self.text.reserve(self.limit);
        }
        self.text.push(event);
        self.lines += u32::from(class == Class::Line);
    }

    /// Whether an event can be appended: not to what the server may have already.
    pub(super) fn has_room(&self, event: BatchEvent<'_>) -> bool {
        self.sent_as == SentAs::Nothing && self.text.count() < MAX_BATCH && self.text.len() + self.text.needs(event) <= self.limit
    }

    pub(super) fn count(&self) -> usize {
        self.text.count() as usize
    }

    /// How many of the events are not of lines.
    pub(super) fn others(&self) -> usize {
        self.count() - self.lines as usize
    }

    /// About how many bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        self.text.len() + Self::OVERHEAD
    }

    /// The number of the last event, if it was sent as EVENT.
    pub(super) fn last_number(&self) -> Option<u64> {
        match self.sent_as {
            SentAs::Events(first) => Some(first + u64::from(self.text.count()) - 1),
            _ => None,
        }
    }

    /// Gives a batch of one event the next number for its uid, if it has none.
    pub(super) fn number(&mut self, next_serial: &mut u64) {
        if self.serial.is_none() {
            self.serial = Some(*next_serial);
            *next_serial += 1;
        }
    }

    /// The datagram of a batch of one event for a version 1 server.
    pub(super) fn alert(&self, host: &str) -> Vec<u8> {
        let Some(BatchEvent { unix, tags, file, text, .. }) = self.text.events().next() else { return Vec::new() };
        let uid = format!("{unix}_{}", self.serial.unwrap_or_default());
        Message::Alert(Alert { host, uid: &uid, unix, tags, file, text }).emit()
    }

    /// Whether a batch of one event was sent as ALERT with that time and number in its uid.
    pub(super) fn has_uid(&self, (unix, serial): (u64, u64)) -> bool {
        self.sent.times > 0 && self.sent_as == SentAs::Alert && (self.text.unix(), self.serial) == (unix, Some(serial))
    }

    /// The datagram of a batch whose first event has that sequence number.
    pub(super) fn event(&self, host: &str, first: Seq) -> Vec<u8> {
        let position = self.position.as_deref().unwrap_or("-");
        EventBatch::emit(host, self.chain, first, position, self.text.as_str())
    }

    /// One batch for each event. Only the last one knows how far the log is processed with it.
    pub(super) fn split(self) -> Vec<Self> {
        let mut batches = Vec::new();
        for event in self.text.events() {
            let mut batch = Self::new(self.chain, self.limit);
            let class = if batches.len() < self.lines as usize { Class::Line } else { Class::Other };
            batch.push(event, class);
            batches.push(batch);
        }
        if let Some(last) = batches.last_mut() {
            last.position = self.position;
        }
        batches
    }
}
