//! Where accepted events go, and how the server learns that they were written.

use crate::wire::Alert;

/// Takes the events that the server accepts. They count as written only after [`super::Server::handle_committed`].
pub trait EventSink {
    /// Takes one event. Its fields contain neither control characters nor separators.
    fn accept(&mut self, alert: &Alert<'_>);
}

/// What became of the events that the sink took since the last commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of them are in the stream.
    All,
    /// None of them is in the stream.
    Nothing,
}
