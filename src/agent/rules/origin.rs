//! Names the places in files that events come from, so that the event of a line has one uid, whichever run of the agent makes it and
//! whichever server gets it.

use crate::hash::Fnv1a;
use crate::text::push_number;
use crate::wire::position::{BlockPosition, CONTEXT};
use crate::wire::ChainId;

/// The origins of events of one block of lines: `FILE.RULE.`, in base 36. FILE is a hash of the chain, of the file's number in its log and of
/// its first bytes, up to 256, as far as they are before the end of the line. The inode does not count: a copy of a file has another one.
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

    /// The origin of the event that a rule makes of a line that ends at that offset of its file.
    pub(super) fn of(&mut self, place: &BlockPosition<'_>, rule: u32, end: u64) -> &str {
        let first = usize::try_from(end).unwrap_or(CONTEXT).min(CONTEXT).min(place.head.len());
        let file = match self.file {
            Some((known, hash)) if known == first => hash,
            _ => Fnv1a::EMPTY.with(&self.chain.0.to_le_bytes()).with(&place.serial.to_le_bytes()).with(&place.head[..first]).value(),
        };
        self.file = Some((first, file));
        if self.last.replace((file, rule)) != Some((file, rule)) {
            self.text.clear();
            push_number(&mut self.text, file, 36, 1);
            self.text.push('.');
            push_number(&mut self.text, u64::from(rule), 36, 1);
            self.text.push('.');
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        Origins::new(ChainId(chain)).of(&place, rule, end as u64).to_string()
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
        let said: Vec<String> = [9, 10, 9].iter().map(|rule| origins.of(&place, *rule, 300).to_string()).collect();
        assert_eq!((&said[0], &said[2]), (&one, &one));
        assert!(said[1].ends_with(".a."), "{said:?}");
    }
}
