//! The protocol: what agents and servers send each other, one UDP datagram a message. Values only: nothing here sends, waits or knows
//! who may say what.

pub mod auth;
mod base36;
mod batch;
mod build;
mod cursor;
mod event_word;
mod fields;
mod limits;
mod message;
pub mod position;
mod reader;
mod recorded_seq;
mod stream_event;
mod writer;

pub use batch::{BatchEvent, BatchEvents, BatchText, EventBatch, MAX_BATCH};
pub use build::Build;
pub use cursor::Cursor;
pub use event_word::{EventWord, Kind, State};
pub use fields::{ChainId, Checkpoint, Progress, Revision, Seq, Token, WireError, VERSION};
pub use limits::{
    MAX_CHAINS_AT_ONCE, MAX_CONFIGURATION, MAX_DATAGRAM, MAX_HELD, MAX_HELLO, MAX_PARTS, MAX_PARTS_AT_ONCE, MAX_PART_TEXT,
    MAX_USUAL_DATAGRAM,
};
pub use message::{named_host, Alert, Message};
pub(crate) use reader::split_field;
pub use recorded_seq::RecordedSeq;
pub use stream_event::StreamEvent;

#[cfg(test)]
mod tests;
