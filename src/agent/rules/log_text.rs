//! The text of a stretch of lines, as patterns see it, and where each of its lines stands in the bytes of the log.

use crate::agent::logs::Lines;
use crate::encoding::Units;
use crate::escapes::without_escapes;
use std::borrow::Cow;
use std::ops::Range;

/// The text of lines.
pub(super) struct LogText<'a> {
    bytes: &'a [u8],
    units: Units,
    /// UTF-8 as far as the log is text. Each line of the log is one line.
    text: Cow<'a, [u8]>,
}

/// Finds lines of a text in the log, one behind the other.
pub(super) struct LineFinder<'a> {
    text: &'a LogText<'a>,
    /// How far the text is known, and where that is in the log.
    known: (usize, usize),
}

impl<'a> LogText<'a> {
    /// The text of these lines, without escape sequences if these are to be stripped.
    #[inline(never)]
    pub(super) fn of(lines: &Lines<'a>, is_stripped: bool) -> Self {
        let Lines { bytes, units, .. } = *lines;
        let text = match units {
            Units::Bytes => Cow::Borrowed(bytes),
            _ => Cow::Owned(units.decode(bytes).into_bytes()),
        };
        let text = match (is_stripped, text) {
            (true, Cow::Borrowed(bytes)) => without_escapes(bytes),
            (true, Cow::Owned(text)) => Cow::Owned(without_escapes(&text).into_owned()),
            (false, text) => text,
        };
        Self { bytes, units, text }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn finder(&self) -> LineFinder<'_> {
        LineFinder { text: self, known: (0, 0) }
    }

    /// The bytes of a line in the log, without its newline and a carriage return before that. Those of the text are `line`.
    pub(super) fn line<'b>(&'b self, line: &'b [u8], place: &Range<usize>) -> &'b [u8] {
        match self.text {
            Cow::Borrowed(_) => line,
            Cow::Owned(_) => self.units.line(&self.bytes[place.clone()]),
        }
    }
}

impl LineFinder<'_> {
    /// Where in the log the line is that has that place in the text. It comes behind all lines that were found before.
    pub(super) fn place(&mut self, line: Range<usize>) -> Range<usize> {
        match self.text.text {
            Cow::Borrowed(_) => line,
            Cow::Owned(_) => self.find(&line),
        }
    }

    #[inline(never)]
    fn find(&mut self, line: &Range<usize>) -> Range<usize> {
        let LogText { bytes, units, text } = self.text;
        let (mut at, mut start) = self.known;
        while at < line.start {
            at += Units::Bytes.first_end(&text[at..]).unwrap_or(text.len() - at);
            start += units.first_end(&bytes[start..]).unwrap_or(bytes.len() - start);
        }
        let end = start + units.first_end(&bytes[start..]).unwrap_or(bytes.len() - start);
        self.known = (line.end, end);
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a log with their places.
    fn found(units: Units, bytes: &[u8], is_stripped: bool) -> Vec<(String, Range<usize>)> {
        let text = LogText::of(&Lines { position: 0, place: None, bytes, units }, is_stripped);
        let (mut finder, mut start, mut found) = (text.finder(), 0, Vec::new());
        while start < text.text().len() {
            let end = start + Units::Bytes.first_end(&text.text()[start..]).unwrap_or(text.text().len() - start);
            found.push((String::from_utf8_lossy(&text.text()[start..end]).into_owned(), finder.place(start..end)));
            start = end;
        }
        found
    }

    #[test]
    fn each_line_has_its_place_in_the_log() {
        let wide: Vec<u8> = "\u{feff}añ\r\n\n\x1b[1mਊ\x1b[m\n漢".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let line = |text: &str, place: Range<usize>| (text.to_string(), place);
        let (first, empty, last) = (line("añ\r\n", 0..10), line("\n", 10..12), line("漢", 30..32));
        let expected = [first.clone(), empty.clone(), line("\x1b[1mਊ\x1b[m\n", 12..30), last.clone()];
        assert_eq!(found(Units::LittleEndian, &wide, false), expected);
        assert_eq!(found(Units::LittleEndian, &wide, true), [first, empty, line("ਊ\n", 12..30), last]);
        let plain = b"\x1b[1ma\x1b[m\r\nb\n\n\x1b[1m";
        assert_eq!(found(Units::Bytes, plain, true), [line("a\r\n", 0..10), line("b\n", 10..12), line("\n", 12..13)]);
        assert_eq!(found(Units::Bytes, plain, false)[0], line("\x1b[1ma\x1b[m\r\n", 0..10));
    }

    #[test]
    fn lines_that_are_passed_over_are_counted() {
        let wide: Vec<u8> = "a\n\nlong\nb\nc\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let text = LogText::of(&Lines { position: 0, place: None, bytes: &wide, units: Units::BigEndian }, true);
        let mut finder = text.finder();
        assert_eq!((text.text(), finder.place(3..8), finder.place(10..12)), (&b"a\n\nlong\nb\nc\n"[..], 6..16, 20..24));
        assert_eq!(text.line(b"long", &(6..16)).len(), 8);
    }
}
