//! Splits bytes into lines of bounded length. Owns no bytes and reads none.

use crate::encoding::Units;
use memchr::memchr;

/// Most bytes of a line. The rest of a longer line is skipped.
pub const MAX_LINE: usize = 64 * 1024;

/// Finds the whole lines at the start of a buffer. Its only state is whether the rest of an overlong line follows.
#[derive(Clone, Copy, Debug)]
pub struct LineSplitter {
    skipping: bool,
    /// Most bytes of a line.
    limit: usize,
}

/// The lines at the start of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split<'a> {
    /// Bytes of an overlong line that are skipped before `lines`.
    pub skipped: usize,
    /// Whole lines with their newlines, or the first bytes of an overlong line, or nothing yet.
    pub lines: &'a [u8],
    units: Units,
    /// Whether the overlong line goes on behind the skipped bytes.
    unended: bool,
}

impl Default for LineSplitter {
    fn default() -> Self {
        Self::within(MAX_LINE)
    }
}

impl LineSplitter {
    /// A splitter for lines of at most so many bytes, where others are than [`MAX_LINE`].
    pub fn within(limit: usize) -> Self {
        Self { skipping: false, limit }
    }

    /// A splitter for bytes that begin within an overlong line, or at the start of a line. The rest of the overlong line is skipped.
    pub fn resumed(within_overlong_line: bool) -> Self {
        Self { skipping: within_overlong_line, ..Self::default() }
    }

    /// Splits the bytes that are not consumed yet. Half of a unit at their end waits for the other half.
    pub fn split<'a>(&self, units: Units, bytes: &'a [u8]) -> Split<'a> {
        let bytes = &bytes[..units.whole(bytes.len())];
        let (skipped, unended) = match (self.skipping, units.first_end(bytes)) {
            (false, _) => (0, false),
            (true, Some(end)) => (end, false),
            (true, None) => (bytes.len(), true),
        };
        // No more than one line may be long, so none within is longer.
        let rest = &bytes[skipped..];
        let rest = &rest[..rest.len().min(self.limit)];
        let lines = match units.last_end(rest) {
            Some(end) => &rest[..end],
            None if rest.len() >= self.limit => &rest[..self.limit],
            None => &[],
        };
        Split { skipped, lines, units, unended }
    }

    /// Takes note that the first `consumed` bytes of the piece's lines are done with. Returns how many bytes of the buffer that are.
    pub fn advance(&mut self, piece: Split<'_>, consumed: usize) -> usize {
        match consumed {
            1.. => self.skipping = !piece.ends_line(consumed),
            0 if piece.skipped > 0 => self.skipping = piece.unended,
            0 => {}
        }
        piece.skipped + consumed
    }
}

impl Split<'_> {
    /// Whether the first `consumed` bytes of the lines end with a newline.
    pub fn ends_line(&self, consumed: usize) -> bool {
        self.units.ends_line(&self.lines[..consumed])
    }
}

/// The lines of a block, each with the offset behind its newline. The line itself is without newline and without a carriage return
/// before it.
pub fn lines(block: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = block.get(start..).filter(|rest| !rest.is_empty())?;
        let (line, end) = match memchr(b'\n', rest) {
            Some(at) => (&rest[..at], at + 1),
            None => (rest, rest.len()),
        };
        start += end;
        Some((start, line.strip_suffix(b"\r").unwrap_or(line)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader sees that gets the text in steps of `size` bytes and, as files do, leaves what is not consumed in place.
    fn read_in_steps(text: &[u8], size: usize, at_once: usize) -> Vec<Vec<u8>> {
        read_units_in_steps(Units::Bytes, text, size, at_once)
    }

    fn read_units_in_steps(units: Units, text: &[u8], size: usize, at_once: usize) -> Vec<Vec<u8>> {
        let mut splitter = LineSplitter::default();
        let (mut seen, mut offset, mut written) = (Vec::new(), 0, 0);
        loop {
            let piece = splitter.split(units, &text[offset..written]);
            let mut consumed = 0;
            for _ in 0..at_once {
                let rest = &piece.lines[consumed..];
                let length = units.first_end(rest).unwrap_or(rest.len());
                if length > 0 {
                    seen.push(units.line(&rest[..length]).to_vec());
                }
                consumed += length;
            }
            let advanced = splitter.advance(piece, consumed);
            offset += advanced;
            if advanced == 0 {
                if written == text.len() {
                    return seen;
                }
                written = (written + size).min(text.len());
            }
        }
    }

    #[test]
    fn the_same_lines_come_out_whatever_the_steps() {
        let text = b"one\n\ntwo\r\nthree \xff\xfe\nlast\n";
        let expected: [&[u8]; 5] = [b"one", b"", b"two", b"three \xff\xfe", b"last"];
        for size in 1..=text.len() {
            for at_once in [1, 2, 9] {
                assert_eq!(read_in_steps(text, size, at_once), expected, "{size}");
            }
        }
    }

    #[test]
    fn lines_of_two_bytes_a_character_come_out_whatever_the_steps() {
        let text: Vec<u8> = "one\n\ntwo\r\n\u{a00}\u{a0a}ਊ\nlast\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (units, text) in
            [(Units::LittleEndian, text.clone()), (Units::BigEndian, text.chunks(2).flat_map(|unit| [unit[1], unit[0]]).collect())]
        {
            for size in 1..=text.len() {
                for at_once in [1, 2, 9] {
                    let seen = read_units_in_steps(units, &text, size, at_once);
                    let seen: Vec<String> = seen.iter().map(|line| units.decode(line)).collect();
                    assert_eq!(seen, ["one", "", "two", "\u{a00}\u{a0a}ਊ", "last"], "{units:?} {size} {at_once}");
                }
            }
            assert_eq!(read_units_in_steps(units, &text[..text.len() - 1], 3, 9).len(), 4, "half of a newline");
        }
    }

    #[test]
    fn a_line_that_is_not_ended_is_not_seen() {
        assert_eq!(read_in_steps(b"one\ntwo", 3, 9), [b"one"]);
    }

    #[test]
    fn an_overlong_line_is_seen_once_and_cut() {
        let mut text = b"first\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', 3 * MAX_LINE + 17));
        text.extend(b"tail\nnext\n");
        for size in [1000, MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, text.len()] {
            let seen = read_in_steps(&text, size, 9);
            assert_eq!(seen.len(), 3, "{size}");
            assert_eq!(seen[1].len(), MAX_LINE, "{size}");
            assert_eq!((&*seen[0], &*seen[2]), (&b"first"[..], &b"next"[..]));
            let wide: Vec<u8> = text.iter().flat_map(|byte| [*byte, 0]).collect();
            let seen = read_units_in_steps(Units::LittleEndian, &wide, size, 9);
            assert_eq!(seen.len(), 3, "{size}");
            assert!(seen[1].len() == MAX_LINE && seen[2] == b"n\0e\0x\0t\0", "{size}");
        }
    }
}
