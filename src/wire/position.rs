//! How far a log was read, in a form that finds the place again after a restart, a rotation or a copy: by content, not by name.
//! Knows bytes, opens nothing.

use crate::hash::Fnv1a;
use crate::text::{number, push_number};
use std::fmt::{self, Write};

/// Bytes at the start of a file, and as many before an offset, by which a file is recognised.
pub const CONTEXT: usize = 256;

/// How far one file was read, and what it looks like there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePosition {
    /// Bytes done with.
    pub offset: u64,
    /// [`content_hash`] of the file at that offset. Content decides which file it is.
    pub hash: u64,
    /// The file's inode: a hint where to look first, and all that tells of a file of which nothing was read yet.
    pub inode: u64,
    /// The last rule that the line behind the offset has made its event for, while others still have to; 0 for none.
    pub done: u32,
}

/// How far a log was read: its present file last, before it those that had its name and may still grow. Empty where there was no file
/// yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Oldest first.
    pub files: Vec<FilePosition>,
}

/// Where a block of lines stands, so that the position of its log is known at each of its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// How far the log's other files are read: those before the block's file …
    pub earlier: &'a [FilePosition],
    /// … and those behind it.
    pub later: &'a [FilePosition],
    /// The inode of the block's file.
    pub inode: u64,
    /// The first [`CONTEXT`] bytes of that file; where the block ends before, at least all up to its end.
    pub head: &'a [u8],
    /// Where in that file the block begins.
    pub offset: u64,
    /// The [`CONTEXT`] bytes that stand before the block; fewer only where the file begins.
    pub before: &'a [u8],
}

/// What tells a file that was read up to an offset from others: the hash of its first [`CONTEXT`] bytes and of as many before the offset;
/// of all bytes before the offset where these are no more. `head` and `before` may be longer than what is needed of them.
pub fn content_hash(head: &[u8], before: &[u8], offset: u64) -> u64 {
    hash_of(head, before, &[], offset)
}

/// The same of bytes before the offset that lie in two places.
fn hash_of(head: &[u8], before: &[u8], behind: &[u8], offset: u64) -> u64 {
    let behind = &behind[behind.len().saturating_sub(CONTEXT)..];
    let before = &before[(before.len() + behind.len()).saturating_sub(CONTEXT)..];
    let head = if offset > CONTEXT as u64 { &head[..CONTEXT.min(head.len())] } else { &[] };
    Fnv1a::EMPTY.with(head).with(before).with(behind).value()
}

impl Place<'_> {
    /// The position once the first `end` bytes of the block are done with.
    pub fn at(&self, block: &[u8], end: usize) -> Position {
        self.within(block, end, 0)
    }

    /// The position once all bytes before the line at `start` are done with, and of that line the rules up to `done`.
    pub fn within(&self, block: &[u8], start: usize, done: u32) -> Position {
        let offset = self.offset + start as u64;
        let hash = hash_of(self.head, self.before, &block[..start], offset);
        Position { files: [self.earlier, &[FilePosition { offset, hash, inode: self.inode, done }], self.later].concat() }
    }
}

impl Position {
    /// Where a log ends, wherever that is: how far one was read that was then followed by no rule any more.
    pub fn end() -> Self {
        Self { files: vec![FilePosition { offset: u64::MAX, hash: 0, inode: 0, done: 0 }] }
    }

    /// Most files of one position.
    pub const MAX_FILES: usize = 8;
    /// Most bytes of the text of a position, which is one word of `[0-9a-z.+-]`.
    pub const MAX_TEXT: usize = Self::MAX_FILES * 56;

    /// Reads what [`fmt::Display`] writes. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "-" {
            return Some(Self::default());
        }
        if text.len() > Self::MAX_TEXT {
            return None;
        }
        let mut files = Vec::new();
        for file in text.split('+') {
            files.push(FilePosition::parse(file)?);
        }
        (files.len() <= Self::MAX_FILES).then_some(Self { files })
    }
}

impl FilePosition {
    fn parse(text: &str) -> Option<Self> {
        let (mut fields, mut count) = ([0; 4], 0);
        for field in text.split('.') {
            *fields.get_mut(count)? = parse_base36(field)?;
            count += 1;
        }
        let [offset, hash, inode, done] = fields;
        let done = u32::try_from(done).ok()?;
        (count == 3 || (count == 4 && done > 0)).then_some(Self { offset, hash, inode, done })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.files.is_empty() {
            return f.write_char('-');
        }
        for (at, FilePosition { offset, hash, inode, done }) in self.files.iter().enumerate() {
            if at > 0 {
                f.write_char('+')?;
            }
            for (at, field) in [*offset, *hash, *inode, u64::from(*done)].into_iter().enumerate() {
                if at == 3 && field == 0 {
                    break;
                }
                if at > 0 {
                    f.write_char('.')?;
                }
                Base36(field).fmt(f)?;
            }
        }
        Ok(())
    }
}

/// A number in digits and lower-case letters, without leading zeros: 13 characters at most.
pub struct Base36(pub u64);

impl fmt::Display for Base36 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        push_number(&mut text, self.0, 36, 1);
        f.write_str(&text)
    }
}

/// Reads what [`Base36`] writes, and nothing else.
pub fn parse_base36(text: &str) -> Option<u64> {
    number(text, 36).filter(|_| text == "0" || !text.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from(at * at % 251).unwrap()).collect()
    }

    /// The position at `end` of a file that is read in blocks of `size` bytes.
    fn position_by_blocks(file: &[u8], size: usize, end: usize) -> Position {
        let start = end.saturating_sub(1) / size * size;
        let block = &file[start..(start + size).min(file.len())];
        let head = &file[..file.len().min(CONTEXT).min(start + block.len())];
        let place =
            Place { earlier: &[], later: &[], inode: 7, head, offset: start as u64, before: &file[start.saturating_sub(CONTEXT)..start] };
        place.at(block, end - start)
    }

    #[test]
    fn the_position_does_not_depend_on_the_blocks_in_which_a_file_is_read() {
        let file = text(2000);
        for end in [0, 1, 2, 255, 256, 257, 300, 511, 512, 513, 1999, 2000] {
            let expected = position_by_blocks(&file, 2000, end);
            assert_eq!(expected.files[0].offset, end as u64);
            let by_file = content_hash(&file, &file[..end], end as u64);
            assert_eq!(expected.files[0].hash, by_file, "{end}");
            for size in [1, 7, 100, 256, 257, 1000] {
                assert_eq!(position_by_blocks(&file, size, end), expected, "{end} in blocks of {size}");
            }
        }
    }

    #[test]
    fn a_change_of_head_or_context_changes_the_hash() {
        let file = text(2000);
        for (changed, end, differs) in
            [(0, 1000, true), (255, 1000, true), (256, 1000, false), (744, 1000, true), (999, 1000, true), (1000, 1000, false)]
        {
            let mut other = file.clone();
            other[changed] ^= 1;
            let same = position_by_blocks(&other, 2000, end) == position_by_blocks(&file, 2000, end);
            assert_eq!(!same, differs, "{changed}");
        }
    }

    #[test]
    fn texts_and_positions_are_inverse() {
        let file = |offset, done| FilePosition { offset, hash: u64::MAX, inode: 35, done };
        for (files, text) in [
            (vec![], "-"),
            (vec![file(0, 0)], "0.3w5e11264sgsf.z"),
            (vec![file(36, 0), file(1, u32::MAX)], "10.3w5e11264sgsf.z+1.3w5e11264sgsf.z.1z141z3"),
        ] {
            let position = Position { files };
            assert_eq!(position.to_string(), text);
            assert_eq!(Position::parse(text), Some(position));
        }
        let longest = FilePosition { offset: u64::MAX, hash: u64::MAX, inode: u64::MAX, done: u32::MAX };
        let longest = Position { files: vec![longest; Position::MAX_FILES] };
        assert!(longest.to_string().len() <= Position::MAX_TEXT);
        assert_eq!(Position::parse(&longest.to_string()), Some(longest));
    }

    #[test]
    fn what_is_no_position_is_refused() {
        let many = ["1.2.3"; Position::MAX_FILES + 1].join("+");
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.",
            "1.2.3.0",
            "1.2.3.4.5",
            "1.2.3+",
            "+1.2.3",
            "01.2.3",
            "1.2.A",
            "+1.2.3",
            "1.-2.3",
            "1.2.3 ",
            "3w5e11264sgsg.1.1",
            &many,
        ] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }
}
