//! Where lines stand in their log, so that the position of the log is known at each of them. Reads nothing.

use crate::wire::position::{BlockPosition, Position};
use crate::wire::Cursor;

/// Where a block of lines stands in its log.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// In one of the log's files.
    File(BlockPosition<'a>),
    /// In the journal.
    Journal(JournalBlock<'a>),
}

/// Entries of the journal, each of which is one line.
#[derive(Clone, Copy, Debug)]
pub struct JournalBlock<'a> {
    /// How far the journal was read before them.
    pub before: Cursor,
    /// One for each line.
    pub entries: &'a [JournalEntry],
}

/// What a line of the journal does not say.
#[derive(Clone, Debug)]
pub struct JournalEntry {
    /// Where its line ends in the block.
    pub end: usize,
    /// Its place in the journal.
    pub cursor: Cursor,
    /// The unit that it is of or about; empty if there is none.
    pub unit: String,
}

/// The place of one line, whichever block it is read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinePlace {
    /// The offset at which it begins in its file, and the content hash there.
    File(u64, u64),
    Entry(Cursor),
}

impl Place<'_> {
    /// The position once all lines before the one at `start` of the block are processed, and the rules up to `done` have processed that one.
    pub(super) fn within(&self, block: &[u8], start: usize, done: u32) -> Position {
        match self {
            Self::File(place) => place.within(block, start, done),
            Self::Journal(JournalBlock { before, entries }) => {
                let at = entries.partition_point(|entry| entry.end <= start);
                Position::of_cursor(match (entries.get(at), at.checked_sub(1)) {
                    (Some(entry), _) if done > 0 => Cursor { done, ..entry.cursor },
                    (_, Some(last)) => entries[last].cursor,
                    (_, None) => *before,
                })
            }
        }
    }

    /// Whether the line at `start` of the block is the one at that place.
    pub(super) fn is_at(&self, place: &LinePlace, block: &[u8], start: usize) -> bool {
        match (self, place) {
            (Self::File(block_place), LinePlace::File(offset, hash)) => {
                let file = block_place.earlier.len();
                block_place.offset + start as u64 == *offset && block_place.at(block, start).files[file].hash == *hash
            }
            (Self::Journal(_), LinePlace::Entry(cursor)) => self.entry(start).is_some_and(|entry| entry.cursor.is_same_entry(cursor)),
            _ => false,
        }
    }

    /// The entry whose line begins at `start` of the block, or contains it; `None` in a file.
    pub(super) fn entry(&self, start: usize) -> Option<&JournalEntry> {
        let Self::Journal(JournalBlock { entries, .. }) = self else { return None };
        entries.get(entries.partition_point(|entry| entry.end <= start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(number: u64) -> Cursor {
        Cursor { series: [1, 2], number, ..Cursor::default() }
    }

    #[test]
    fn the_position_at_a_line_is_the_entry_before_it_or_that_entry_if_rules_still_have_to_process_it() {
        let entries: Vec<_> = [(5, 7), (9, 8), (12, 11)].map(|(end, number)| (end, cursor(number))).into();
        let entries: Vec<_> = entries.into_iter().map(|(end, cursor)| JournalEntry { end, cursor, unit: String::new() }).collect();
        let place = Place::Journal(JournalBlock { before: cursor(6), entries: &entries });
        let at = |start, done| place.within(b"", start, done).cursor.unwrap();
        for (start, done, expected) in [(0, 0, (6, 0)), (0, 3, (7, 3)), (5, 0, (7, 0)), (5, 3, (8, 3)), (9, 9, (11, 9)), (12, 0, (11, 0))] {
            assert_eq!((at(start, done).number, at(start, done).done), expected, "{start} {done}");
        }
        let partial = LinePlace::Entry(Cursor { done: 3, ..cursor(8) });
        let found: Vec<_> = [0, 5, 9, 12].into_iter().filter(|start| place.is_at(&partial, b"", *start)).collect();
        assert_eq!(found, [5]);
    }
}
