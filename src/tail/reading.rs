//! What one reading of a log needs, and what it yields.

use super::progress::Progress;
use crate::encoding::Units;
use crate::lines::MAX_LINE;
use crate::wire::position::{BlockPosition, FilePosition, CONTEXT};

/// Bytes that the buffer of a reading needs.
pub const BUFFER: usize = CONTEXT + MAX_LINE;

/// Whole lines of a log.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Where they begin, counted in bytes through all rotations of this run.
    pub position: u64,
    /// Where they stand in their file, and how far the log's other files are read.
    pub place: BlockPosition<'a>,
    /// The lines with their newlines. The last line of a rotated file and the start of an overlong line have none.
    pub bytes: &'a [u8],
    /// What they are made of.
    pub units: Units,
}

/// Takes whole lines. Returns how many bytes it is done with.
pub type TakeLines<'a> = &'a mut dyn FnMut(Piece<'_>) -> usize;

/// What one reading needs besides the file.
pub(super) struct Reading<'a> {
    pub(super) progress: &'a mut Progress,
    /// How far the log's other files are read: those before this one …
    pub(super) earlier: &'a [FilePosition],
    /// … and those behind it.
    pub(super) later: &'a [FilePosition],
    pub(super) buffer: &'a mut [u8],
    pub(super) take: TakeLines<'a>,
}

/// Why one reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadOutcome {
    /// There is nothing more to read.
    End,
    /// The taker had no room.
    Blocked,
    /// There is more, but other logs are to have their turn.
    More,
    /// The file no longer holds what it held.
    Truncated,
}
