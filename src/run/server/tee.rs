//! Where accepted events go: into the stream, and into what is counted of them.

use super::event_stream::EventStream;
use super::prometheus::Tally;
use crate::server::EventSink;
use crate::wire::position::FilePosition;
use crate::wire::{Alert, ChainId};

/// The stream, and a second place for its events.
pub(super) struct Tee<'a> {
    pub(super) stream: &'a mut EventStream,
    /// `None` if nobody can ask for what is counted.
    pub(super) tally: Option<&'a mut Tally>,
}

impl EventSink for Tee<'_> {
    fn accept(&mut self, alert: &Alert<'_>) {
        self.stream.accept(alert);
        if let Some(tally) = &mut self.tally {
            tally.take(alert);
        }
    }

    fn earlier_places(&self, host: &str, chain: ChainId, inode: u64, offset: u64) -> Vec<FilePosition> {
        self.stream.earlier_places(host, chain, inode, offset)
    }
}
