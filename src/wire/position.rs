//! Positions: how far a log was read. A position recognises a file by its content, so that it survives restarts, rotations and copies.
//! Works on bytes and opens no file.

pub use super::base36::{parse_base36, Base36};
use super::base36::{parse_fields, push_fields};
use super::cursor::Cursor;
use crate::hash::Fnv1a;
use std::fmt;

/// A file is recognised by this many bytes at its start and as many before an offset.
pub const CONTEXT: usize = 256;

/// How far one file was read, and what identifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePosition {
    /// Bytes from the start of the file up to the first line that is not fully processed.
    pub offset: u64,
    /// [`content_hash`] of the file at that offset. It alone decides whether a file is this one.
    pub hash: u64,
    /// The file's inode: a hint where to look first. Identifies a file only while nothing of it was read.
    pub inode: u64,
    /// The last rule that has processed the line at the offset, if others still have to; 0 for none.
    pub done: u32,
    /// Tells the file from those that had the log's name before, and from what it held before it was truncated. 0 if there is no number
    /// yet.
    pub serial: u32,
}

/// How far a log was read: the rotated files that may still grow, then the current file. Empty if no file existed yet. Of the journal, the
/// entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Oldest first.
    pub files: Vec<FilePosition>,
    /// The entry of the journal, if the log is that; then there are no files.
    pub cursor: Option<Cursor>,
    /// What rules have counted in their open blocks up to there, at most [`Self::MAX_COUNTS`]; of rules that counted nothing, nothing.
    pub counts: Vec<BlockCount>,
    /// The conditions that are open there, at most [`Self::MAX_OPEN`].
    pub open: Vec<ConditionKey>,
}

/// Names a condition among those of its host, whatever its message and limits are. Below 36¹⁰.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConditionKey(pub u64);

/// What one rule has counted in a block that is not over yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockCount {
    /// When the block began, in seconds since 1970.
    pub start: u64,
    /// Names the rule among those of its log.
    pub rule: u32,
    /// Lines that matched.
    pub count: u64,
}

/// Where a block of lines stands in its log. It yields the position of the log at each byte of the block.
#[derive(Clone, Copy, Debug)]
pub struct BlockPosition<'a> {
    /// How far the log's files before the block's file are read.
    pub earlier: &'a [FilePosition],
    /// How far the log's files after the block's file are read.
    pub later: &'a [FilePosition],
    /// The inode of the block's file.
    pub inode: u64,
    /// As in [`FilePosition`].
    pub serial: u32,
    /// The first [`CONTEXT`] bytes of that file, or all bytes up to the end of the block if these are fewer.
    pub head: &'a [u8],
    /// The offset in that file at which the block begins.
    pub offset: u64,
    /// The [`CONTEXT`] bytes before the block, or all bytes before it if these are fewer.
    pub before: &'a [u8],
}

/// Identifies a file that was read up to an offset: a hash of its first [`CONTEXT`] bytes and of as many bytes before the offset. If the
/// offset is not beyond [`CONTEXT`], only the bytes before it count. `head` and `before` may be longer than needed.
pub fn content_hash(head: &[u8], before: &[u8], offset: u64) -> u64 {
    hash_of(head, before, &[], offset)
}

/// As [`content_hash`], where the bytes before the offset lie in two slices: `before`, then `behind`.
fn hash_of(head: &[u8], before: &[u8], behind: &[u8], offset: u64) -> u64 {
    let behind = &behind[behind.len().saturating_sub(CONTEXT)..];
    let before = &before[(before.len() + behind.len()).saturating_sub(CONTEXT)..];
    let head = if offset > CONTEXT as u64 { &head[..CONTEXT.min(head.len())] } else { &[] };
    Fnv1a::EMPTY.with(head).with(before).with(behind).value()
}

impl BlockPosition<'_> {
    /// The position once the first `end` bytes of the block are processed.
    pub fn at(&self, block: &[u8], end: usize) -> Position {
        self.within(block, end, 0)
    }

    /// The position once all bytes before the line at `start` are processed, and the rules up to `done` have processed that line.
    pub fn within(&self, block: &[u8], start: usize, done: u32) -> Position {
        let offset = self.offset + start as u64;
        let hash = hash_of(self.head, self.before, &block[..start], offset);
        Position::of_files(
            [self.earlier, &[FilePosition { offset, hash, inode: self.inode, done, serial: self.serial }], self.later].concat(),
        )
    }
}

impl Position {
    /// Most files of one position.
    pub const MAX_FILES: usize = 8;
    /// Most counts of one position.
    pub const MAX_COUNTS: usize = 32;
    /// Most open conditions of one position.
    pub const MAX_OPEN: usize = 64;
    /// Most bytes of a position as text, which is one word of `[0-9a-z.+_~-]`.
    pub const MAX_TEXT: usize = Self::MAX_FILES * 64 + Self::MAX_COUNTS * 36 + Self::MAX_OPEN * 11;

    /// So far in these files, and nothing is counted.
    pub fn of_files(files: Vec<FilePosition>) -> Self {
        Self { files, ..Self::default() }
    }

    /// So far in the journal, and nothing is counted.
    pub fn of_cursor(cursor: Cursor) -> Self {
        Self { cursor: Some(cursor), ..Self::default() }
    }

    /// Whether there was nothing yet that could be read.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.cursor.is_none()
    }

    /// About how many bytes were read since an earlier position of the log.
    pub fn bytes_since(&self, earlier: &Self) -> u64 {
        const ENTRY: u64 = 128;
        let files = earlier.files.iter().zip(&self.files).map(|(earlier, now)| now.offset.saturating_sub(earlier.offset));
        let entries =
            earlier.cursor.iter().zip(&self.cursor).map(|(earlier, now)| earlier.between(now).unwrap_or(u64::MAX / ENTRY) * ENTRY);
        files.chain(entries).fold(0, u64::saturating_add)
    }

    /// The end of a log, wherever it is: the position of a log that no rule follows any more.
    pub fn end() -> Self {
        Self::of_files(vec![FilePosition { offset: u64::MAX, hash: 0, inode: 0, done: 0, serial: 0 }])
    }

    /// The position as one word.
    pub fn emit(&self) -> String {
        let mut text = String::new();
        match self.cursor {
            Some(cursor) => text += &cursor.emit(),
            None if self.files.is_empty() => text.push('-'),
            None => {}
        }
        for (at, FilePosition { offset, hash, inode, done, serial }) in self.files.iter().enumerate() {
            if at > 0 {
                text.push('+');
            }
            let fields = [*offset, *hash, *inode, u64::from(*done), u64::from(*serial)];
            push_fields(&mut text, &fields[..if *serial > 0 { 5 } else { 3 + usize::from(*done > 0) }]);
        }
        let mut block = None;
        for BlockCount { start, rule, count } in &self.counts {
            if block.replace(start) != Some(start) {
                text.push('_');
                push_fields(&mut text, &[*start]);
            }
            text.push('.');
            push_fields(&mut text, &[u64::from(*rule), *count]);
        }
        for key in &self.open {
            text.push('~');
            push_fields(&mut text, &[key.0]);
        }
        text
    }

    /// Parses what [`Self::emit`] returns. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::MAX_TEXT {
            return None;
        }
        let mut position = Self::default();
        let mut words = text.split('~');
        let mut blocks = words.next()?.split('_');
        for key in words {
            position.open.push(ConditionKey(parse_base36(key).filter(|key| *key < ConditionKey::END)?));
        }
        let files = blocks.next()?;
        // A cursor has more parts than a file.
        if files.bytes().filter(|b| *b == b'.').count() + 1 >= Cursor::FIELDS && !files.contains('+') {
            position.cursor = Some(Cursor::parse(files)?);
        } else if files != "-" {
            for file in files.split('+') {
                position.files.push(FilePosition::parse(file)?);
            }
        }
        for block in blocks {
            BlockCount::parse_block(block, &mut position.counts)?;
        }
        let is_bounded = position.files.len() <= Self::MAX_FILES && position.counts.len() <= Self::MAX_COUNTS;
        (is_bounded && position.open.len() <= Self::MAX_OPEN).then_some(position)
    }
}

impl ConditionKey {
    /// Keys are below this.
    const END: u64 = 36u64.pow(10);

    /// In the keys of an alert that has a condition for each value, so many bits tell the values apart.
    const VALUE_BITS: u32 = 25;

    /// The key of a condition with that hash.
    pub fn of(hash: u64) -> Self {
        Self((hash >> 8) % Self::END)
    }

    /// Stands for all conditions of an alert with that hash that has one for each value.
    pub fn family(hash: u64) -> Self {
        Self(((hash >> 8) % (Self::END >> Self::VALUE_BITS)) << Self::VALUE_BITS)
    }

    /// The key of the condition for that value in this family.
    pub fn of_value(self, value: &str) -> Self {
        let mask = (1 << Self::VALUE_BITS) - 1;
        Self(self.0 & !mask | (Fnv1a::of(value.as_bytes()) >> 8) & mask)
    }

    /// The family that the key is of, if its alert has a condition for each value.
    pub fn its_family(self) -> Self {
        Self(self.0 >> Self::VALUE_BITS << Self::VALUE_BITS)
    }
}

impl fmt::Display for ConditionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base36(self.0).fmt(f)
    }
}

impl BlockCount {
    /// Appends the counts of the rules whose blocks began at the same time.
    fn parse_block(text: &str, counts: &mut Vec<Self>) -> Option<()> {
        let mut fields = text.split('.');
        let (start, before) = (parse_base36(fields.next()?)?, counts.len());
        while let Some(rule) = fields.next() {
            let rule = u32::try_from(parse_base36(rule)?).ok()?;
            counts.push(Self { start, rule, count: parse_base36(fields.next()?)? });
        }
        (counts.len() > before).then_some(())
    }
}

impl FilePosition {
    /// Stands in `done` for a place within a batch of events.
    const WITHIN_BATCH: u32 = u32::MAX;

    /// A place within a batch of events: the end of a line with that [`Fnv1a::of_line`], which stands for the content hash.
    pub fn within_batch(offset: u64, inode: u64, line: u32) -> Self {
        Self { offset, hash: line.into(), inode, done: Self::WITHIN_BATCH, serial: 0 }
    }

    /// Whether it is what [`Self::within_batch`] returns.
    pub fn is_within_batch(&self) -> bool {
        self.done == Self::WITHIN_BATCH
    }

    fn parse(text: &str) -> Option<Self> {
        let mut fields = [0; 5];
        let count = parse_fields(text, &mut fields)?;
        let [offset, hash, inode, done, serial] = fields;
        let (done, serial) = (u32::try_from(done).ok()?, u32::try_from(serial).ok()?);
        // Zeros at the end are left out.
        (count >= 3 && (count == 3 || fields[count - 1] > 0)).then_some(Self { offset, hash, inode, done, serial })
    }
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
        let place = BlockPosition {
            earlier: &[],
            later: &[],
            inode: 7,
            serial: 0,
            head,
            offset: start as u64,
            before: &file[start.saturating_sub(CONTEXT)..start],
        };
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
    fn parse_and_display_are_inverses() {
        let numbered = |offset, done, serial| FilePosition { offset, hash: u64::MAX, inode: 35, done, serial };
        let file = |offset, done| numbered(offset, done, 0);
        for (files, text) in [
            (vec![], "-"),
            (vec![file(0, 0)], "0.3w5e11264sgsf.z"),
            (vec![numbered(0, 0, 36), numbered(0, 1, u32::MAX)], "0.3w5e11264sgsf.z.0.10+0.3w5e11264sgsf.z.1.1z141z3"),
            (vec![file(36, 0), file(1, u32::MAX)], "10.3w5e11264sgsf.z+1.3w5e11264sgsf.z.1z141z3"),
        ] {
            let count = |start, rule, count| BlockCount { start, rule, count };
            for (counts, counts_text) in [
                (vec![], ""),
                (vec![count(36, 1, 1)], "_10.1.1"),
                (vec![count(36, 1, 1), count(36, u32::MAX, 35), count(1, 1, u64::MAX)], "_10.1.1.1z141z3.z_1.1.3w5e11264sgsf"),
            ] {
                for (open, open_text) in [(vec![], ""), (vec![0], "~0"), (vec![36, ConditionKey::END - 1], "~10~zzzzzzzzzz")] {
                    let open = open.into_iter().map(ConditionKey).collect();
                    let position = Position { files: files.clone(), counts: counts.clone(), open, cursor: None };
                    let text = format!("{text}{counts_text}{open_text}");
                    assert_eq!(position.emit(), text);
                    assert_eq!(Position::parse(&text), Some(position));
                }
            }
        }
        let longest = FilePosition { offset: u64::MAX, hash: u64::MAX, inode: u64::MAX, done: u32::MAX, serial: u32::MAX };
        let counts = (0..Position::MAX_COUNTS as u64).map(|at| BlockCount { start: u64::MAX - at, rule: u32::MAX, count: u64::MAX });
        let open = vec![ConditionKey(ConditionKey::END - 1); Position::MAX_OPEN];
        let longest = Position { files: vec![longest; Position::MAX_FILES], counts: counts.collect(), open, cursor: None };
        assert!(longest.emit().len() <= Position::MAX_TEXT);
        assert_eq!(Position::parse(&longest.emit()), Some(longest));
    }

    #[test]
    fn the_keys_of_values_tell_their_family() {
        for hash in [0, 1 << 40, u64::MAX] {
            let family = ConditionKey::family(hash);
            for value in ["", "192.0.2.7", "192.0.2.8"] {
                let key = family.of_value(value);
                assert_eq!((key.its_family(), family.its_family()), (family, family));
                assert!(key.0 < ConditionKey::END);
            }
            assert_ne!(family.of_value("192.0.2.7"), family.of_value("192.0.2.8"));
        }
    }

    #[test]
    fn a_place_in_the_journal_is_a_position_with_counts_and_conditions() {
        let cursor = Cursor { number: 1, series: [2, 3], boot: [4, 5], monotonic: 6, realtime: 7, hash: 8, done: 9 };
        let counts = vec![BlockCount { start: 36, rule: 1, count: 1 }];
        for (position, text) in [
            (Position::of_cursor(cursor), "1.2.3.4.5.6.7.8.9"),
            (Position { counts, open: vec![ConditionKey(0)], ..Position::of_cursor(Cursor::since(36)) }, "0.0.0.0.0.0.10.0_10.1.1~0"),
        ] {
            assert_eq!(position.emit(), text);
            assert_eq!(Position::parse(text).as_ref(), Some(&position));
            assert!(!position.is_empty() && position.files.is_empty());
        }
    }

    #[test]
    fn malformed_positions_are_refused() {
        let many = ["1.2.3"; Position::MAX_FILES + 1].join("+");
        let many_counts = "-_1".to_string() + &".1.1".repeat(Position::MAX_COUNTS + 1);
        let many_open = "-".to_string() + &"~1".repeat(Position::MAX_OPEN + 1);
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.",
            "1.2.3.0",
            "1.2.3.4.0",
            "1.2.3.0.0",
            "1.2.3.4.5.6",
            "1.2.3+",
            "+1.2.3",
            "01.2.3",
            "1.2.A",
            "+1.2.3",
            "1.-2.3",
            "1.2.3 ",
            "3w5e11264sgsg.1.1",
            "_1.1.1",
            "-_",
            "-_1",
            "-_1.1",
            "-_1.1z141z4.1",
            "-_1.1.1_",
            "-~",
            "-~1~",
            "-~01",
            "-~10000000000",
            "-~1_1.1.1",
            "~1",
            "--",
            "1.2.3.4.5.6.7",
            "1.2.3.4.5.6.7.8.0",
            "1.2.3.4.5.6.7.8.9.1",
            "1.2.3.4.5.6.7.8+1.2.3",
            "1.2.3+1.2.3.4.5.6.7.8",
            &many,
            &many_counts,
            &many_open,
        ] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }
}
