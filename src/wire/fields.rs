//! The values that the fields of messages hold.

use super::position::Base36;
use crate::hash::Fnv1a;
use std::fmt;

/// The protocol version that SRVCAP and HELLO name.
pub const VERSION: &str = "3";

/// What stands in the file field of an event that has no file.
pub(super) const NO_FILE: &str = "NULL";

/// Stands for a sequence number or a revision that does not exist.
pub(super) const NONE: &str = "none";

/// Names one chain of a host: a series of events in which each has the one before as its predecessor. Base 36 on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChainId(pub u64);

/// The sequence number of an event in its chain. `epoch.number` on the wire, both in base 36.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seq {
    /// Differs for each run of the agent: every run counts from 1 again.
    pub epoch: u64,
    /// 0 before the first event of the epoch.
    pub number: u64,
}

/// Which events of a chain have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The chain.
    pub chain: ChainId,
    /// Up to this one all events are in the stream.
    pub done: Seq,
    /// The first and the last number of each series of later events that wait for a predecessor, in ascending order; at most
    /// [`super::MAX_HELD`].
    pub held: Vec<(u64, u64)>,
}

/// How far a chain has come. `P` holds the position as text: borrowed from a datagram (`&str`) or owned (`Box<str>`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint<P> {
    /// The chain's last event.
    pub seq: Seq,
    /// When that event happened, in seconds since 1970 by the clock of its host.
    pub unix: u64,
    /// How far the log was read with that event: one word, see [`super::position::Position`].
    pub position: P,
}

/// 128 random bits: 32 hexadecimal digits on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u128);

/// Identifies a configuration by a hash of its text: 16 hexadecimal digits on the wire, or `none` for a host without a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision(pub(super) Option<u64>);

/// Why a datagram is not a message. Strangers can cause these: count them, never log one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The bytes are not UTF-8.
    NotUtf8,
    /// This program does not know the command; a newer peer may have sent it.
    UnknownCommand,
    /// The command has more fields than the datagram.
    MissingField,
    /// A number, token, revision or position is malformed.
    MalformedField,
}

impl ChainId {
    /// The chain of events that come from no file.
    pub const NO_FILE: Self = Self(0);

    /// The chain of a log, or of a wildcard itself.
    pub fn of_log(path: &str) -> Self {
        Self(Fnv1a::of(path.as_bytes()).max(1))
    }

    /// The chain of a file that a wildcard found. It differs from [`Self::of_log`] of that path, because another rule may follow the same
    /// file by its path.
    pub fn of_file(wildcard: &str, path: &str) -> Self {
        Self(Fnv1a::EMPTY.with(wildcard.as_bytes()).with(b"\0").with(path.as_bytes()).value().max(1))
    }
}

impl<P: AsRef<str>> Checkpoint<P> {
    /// Borrows the position.
    pub fn borrowed(&self) -> Checkpoint<&str> {
        Checkpoint { seq: self.seq, unix: self.unix, position: self.position.as_ref() }
    }

    /// Copies the position.
    pub fn to_owned(&self) -> Checkpoint<Box<str>> {
        Checkpoint { seq: self.seq, unix: self.unix, position: self.position.as_ref().into() }
    }
}

impl Revision {
    /// The revision of a host that has no file.
    pub const NONE: Self = Self(None);

    /// The revision of a text: its 64-bit FNV-1a hash. Equal texts have equal revisions on every server.
    pub fn of(text: &str) -> Self {
        Self(Some(Fnv1a::of(text.as_bytes())))
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base36(self.0).fmt(f)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", Base36(self.epoch), Base36(self.number))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(hash) => write!(f, "{hash:016x}"),
            None => f.write_str(NONE),
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "not UTF-8",
            Self::UnknownCommand => "unknown command",
            Self::MissingField => "missing field",
            Self::MalformedField => "malformed field",
        })
    }
}
