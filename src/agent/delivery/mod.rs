//! Events on their way to the server: the queue, and how far each chain of them has come.

pub(super) mod chains;
pub(super) mod outbox;
