//! Names the places in logs that events come from, so that the event of a line has one uid, whichever run of the agent makes it and
//! whichever server gets it.

use crate::agent::place::Place;
use crate::hash::Fnv1a;
use crate::text::push_number;
use crate::wire::position::CONTEXT;
use crate::wire::{ChainId, Cursor};
use std::ops::Range;

/// The origins of events of one block of lines: `FILE.RULE.`, in base 36. FILE is a hash of the chain, of the file's number in its log and of
/// its first bytes, up to 256, as far as they are before the end of the line. The inode does not count: a copy of a file has another one.
/// Of an entry of the journal it is a hash of the chain, of the series that numbers the entry, and of its content.
pub(super) struct Origins {
    chain: ChainId,
    /// The hash of a file of which so many first bytes count.
    file: Option<(usize, u64)>,
    /// The file and the rule of the last origin.
    last: Option<(u64, u32)>,
    text: String,
}

impl Origins {
    pub(super) fn new(chain: ChainId) -> Self {
        Self { chain, file: None, last: None, text: String::new() }
    }

    /// The origin of the event that a rule makes of a line of the block that stands there, and where the line ends in its file, or the
    /// number of the entry.
    pub(super) fn of(&mut self, place: &Place<'_>, rule: u32, line: Range<usize>) -> (&str, u64) {
        let (file, offset) = match place {
            Place::File(place) => {
                let end = place.offset + line.end as u64;
                (self.file(place.serial, place.head, end), end)
            }
            Place::Journal(_) => {
                let Cursor { series, hash, number, .. } = place.entry(line.start).map(|entry| entry.cursor).unwrap_or_default();
                let numbers = [series[0], series[1], hash].into_iter();
                let file = numbers.fold(Fnv1a::EMPTY.with(&self.chain.0.to_le_bytes()), |file, number| file.with(&number.to_le_bytes()));
                (file.value(), number)
            }
        };
        if self.last.replace((file, rule)) != Some((file, rule)) {
            self.text.clear();
            push_number(&mut self.text, file, 36, 1);
            self.text.push('.');
            push_number(&mut self.text, u64::from(rule), 36, 1);
            self.text.push('.');
        }
        (&self.text, offset)
    }

    /// Names a file of that number and those first bytes, up to a line that ends at `end`.
    fn file(&mut self, serial: u32, head: &[u8], end: u64) -> u64 {
        let first = usize::try_from(end).unwrap_or(CONTEXT).min(CONTEXT).min(head.len());
        let file = match self.file {
            Some((known, hash)) if known == first => hash,
            _ => Fnv1a::EMPTY.with(&self.chain.0.to_le_bytes()).with(&serial.to_le_bytes()).with(&head[..first]).value(),
        };
        self.file = Some((first, file));
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::place::{JournalBlock, JournalEntry};
    use crate::wire::position::BlockPosition;

    /// The origin of a line that ends there in a file of these bytes, which was read in blocks that end there.
    fn origin(chain: u64, serial: u32, file: &[u8], block: std::ops::Range<usize>, rule: u32, end: usize) -> String {
        let place = BlockPosition {
            earlier: &[],
            later: &[],
            inode: 3,
            serial,
            head: &file[..block.end.min(CONTEXT)],
            offset: block.start as u64,
            before: &file[block.start.saturating_sub(CONTEXT)..block.start],
        };
        let line = if end < block.start { 0..0 } else { 0..end - block.start };
        Origins::new(ChainId(chain)).of(&Place::File(place), rule, line).0.to_string()
    }

    #[test]
    fn an_origin_does_not_depend_on_how_far_the_file_has_grown_or_is_read_at_once() {
        let file: Vec<u8> = (0..2000).map(|at| u8::try_from(at * at % 251).unwrap()).collect();
        for end in [10, 255, 256, 257, 1900] {
            let expected = origin(5, 7, &file, 0..2000, 9, end);
            for block in [0..end, 0..(end + 1).max(300), end - 10..end, end - 5..2000] {
                assert_eq!(origin(5, 7, &file, block.clone(), 9, end), expected, "{end} in {block:?}");
            }
        }
    }

    #[test]
    fn chain_file_content_and_rule_make_another_origin() {
        let (file, mut other) = ([b'a'; 400], [b'a'; 400]);
        other[3] = b'b';
        let one = origin(5, 7, &file, 0..400, 9, 300);
        for another in [
            origin(6, 7, &file, 0..400, 9, 300),
            origin(5, 8, &file, 0..400, 9, 300),
            origin(5, 7, &other, 0..400, 9, 300),
            origin(5, 7, &file, 0..400, 10, 300),
        ] {
            assert_ne!(one, another);
        }
        let mut origins = Origins::new(ChainId(5));
        let place = BlockPosition { earlier: &[], later: &[], inode: 3, serial: 7, head: &file[..CONTEXT], offset: 0, before: &[] };
        let said: Vec<String> = [9, 10, 9].iter().map(|rule| origins.of(&Place::File(place), *rule, 0..300).0.to_string()).collect();
        assert_eq!((&said[0], &said[2]), (&one, &one));
        assert!(said[1].ends_with(".a."), "{said:?}");
    }

    #[test]
    fn entries_of_the_journal_are_told_apart_by_series_number_and_content_and_not_by_the_block() {
        let origin = |chain, entries: &[(u64, u64, u64)], at: usize| {
            let cursor = |(series, number, hash)| Cursor { series: [series, 1], number, hash, ..Cursor::default() };
            let entries: Vec<_> =
                (1..).zip(entries).map(|(end, entry)| JournalEntry { end, cursor: cursor(*entry), unit: String::new() }).collect();
            let place = Place::Journal(JournalBlock { before: Cursor::default(), entries: &entries });
            let mut origins = Origins::new(ChainId(chain));
            let (text, number) = origins.of(&place, 9, at..at + 1);
            format!("{text}{number}")
        };
        let one = origin(5, &[(1, 7, 3)], 0);
        assert_eq!(origin(5, &[(1, 6, 3), (1, 7, 3), (1, 8, 3)], 1), one);
        for other in [origin(6, &[(1, 7, 3)], 0), origin(5, &[(2, 7, 3)], 0), origin(5, &[(1, 8, 3)], 0), origin(5, &[(1, 7, 4)], 0)] {
            assert_ne!(other, one);
        }
    }
}
