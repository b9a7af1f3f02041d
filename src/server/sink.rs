//! Where accepted events go, and how the server learns that they were written.

use crate::wire::position::FilePosition;
use crate::wire::{Alert, ChainId};

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
