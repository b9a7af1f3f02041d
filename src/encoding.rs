//! The encodings of logs: where lines end in their bytes, and which text these are. Owns no bytes and reads none.

use memchr::{memchr, memrchr};

/// How the bytes of a log become text, as a configuration says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Also ASCII, and anything else in which the byte 0x0A is a newline and nothing else.
    #[default]
    Utf8,
    /// In the byte order of the mark at the start; little-endian without one.
    Utf16,
    /// UTF-16, little-endian.
    Utf16Le,
    /// UTF-16, big-endian.
    Utf16Be,
}

/// The units of a text, once their byte order is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Units {
    /// Single bytes.
    #[default]
    Bytes,
    /// Two bytes, the less significant one first.
    LittleEndian,
    /// Two bytes, the more significant one first.
    BigEndian,
}

impl Encoding {
    const NAMES: [(&'static str, Self); 4] =
        [("utf-8", Self::Utf8), ("utf-16", Self::Utf16), ("utf-16le", Self::Utf16Le), ("utf-16be", Self::Utf16Be)];
    const LITTLE_MARK: [u8; 2] = [0xff, 0xfe];
    const BIG_MARK: [u8; 2] = [0xfe, 0xff];
    /// So many characters at the start of a text without a mark tell its encoding.
    const TELLING: usize = 8;

    /// The encoding of that name, in upper or lower case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, encoding)| *encoding)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, encoding)| *encoding == self).map_or("", |(name, _)| name)
    }

    /// The units of a text that begins with these bytes.
    pub fn units(self, head: &[u8]) -> Units {
        match self {
            Self::Utf8 => Units::Bytes,
            Self::Utf16 if head.starts_with(&Self::BIG_MARK) => Units::BigEndian,
            Self::Utf16 | Self::Utf16Le => Units::LittleEndian,
            Self::Utf16Be => Units::BigEndian,
        }
    }

    /// Whether these bytes are a byte order mark and nothing else.
    pub fn is_mark(bytes: &[u8]) -> bool {
        bytes == Self::LITTLE_MARK || bytes == Self::BIG_MARK
    }

    /// Why a text that begins with these bytes is probably in another encoding, in words that follow its name.
    #[inline(never)]
    pub fn doubt(self, head: &[u8]) -> Option<String> {
        let says = |what: &str| Some([what, ", and its encoding: says ", self.name()].concat());
        match Self::found(head) {
            Some(found) if self == Self::Utf8 => {
                Some(["is UTF-16 and is read as UTF-8: its groups need encoding: ", found.name()].concat())
            }
            Some(found) if found.units(head) != self.units(head) => says(&["is ", found.name()].concat()),
            // UTF-16 has zeros in spaces and newlines, and few other bytes that are ASCII.
            None if self != Self::Utf8 && head.len() >= 8 * Self::TELLING && head.is_ascii() && !head.contains(&0) => says("is no UTF-16"),
            _ => None,
        }
    }

    /// The kind of UTF-16 that a text seems to be that begins with these bytes: by its mark, or by zeros in every second byte.
    fn found(head: &[u8]) -> Option<Self> {
        // UTF-32 has the same mark, and zeros behind it.
        let is_marked = head.starts_with(&Self::BIG_MARK) || head.starts_with(&Self::LITTLE_MARK) && !head[2..].starts_with(&[0, 0]);
        if is_marked {
            return Some(Self::Utf16);
        }
        let is_every = |zero: usize| head.chunks_exact(2).all(|unit| unit[zero] == 0 && unit[1 - zero] != 0);
        match head.len() >= 2 * Self::TELLING {
            true if is_every(1) => Some(Self::Utf16Le),
            true if is_every(0) => Some(Self::Utf16Be),
            _ => None,
        }
    }
}

impl Units {
    /// Bytes of a unit.
    pub fn width(self) -> usize {
        if self == Self::Bytes {
            1
        } else {
            2
        }
    }

    /// How many of so many bytes are whole units.
    pub fn whole(self, bytes: usize) -> usize {
        bytes - bytes % self.width()
    }

    /// A character of ASCII in units of two bytes.
    fn ascii(self, c: u8) -> [u8; 2] {
        if self == Self::BigEndian {
            [0, c]
        } else {
            [c, 0]
        }
    }

    /// Where the first line ends, behind its newline.
    pub fn first_end(self, bytes: &[u8]) -> Option<usize> {
        if self == Self::Bytes {
            return memchr(b'\n', bytes).map(|at| at + 1);
        }
        let newline = self.ascii(b'\n');
        bytes.chunks_exact(2).position(|unit| *unit == newline).map(|at| 2 * at + 2)
    }

    /// Where the last line with a newline ends, behind it.
    pub fn last_end(self, bytes: &[u8]) -> Option<usize> {
        if self == Self::Bytes {
            return memrchr(b'\n', bytes).map(|at| at + 1);
        }
        let newline = self.ascii(b'\n');
        bytes.chunks_exact(2).rposition(|unit| *unit == newline).map(|at| 2 * at + 2)
    }

    /// Whether bytes end with that character of ASCII.
    fn ends_with(self, bytes: &[u8], c: u8) -> bool {
        match self {
            Self::Bytes => bytes.ends_with(&[c]),
            _ => bytes.ends_with(&self.ascii(c)),
        }
    }

    /// A line without its newline and a carriage return before that.
    pub fn line<'a>(self, bytes: &'a [u8]) -> &'a [u8] {
        let without = |bytes: &'a [u8], c| &bytes[..bytes.len() - self.width() * usize::from(self.ends_with(bytes, c))];
        without(without(bytes, b'\n'), b'\r')
    }

    /// Whether bytes end with a newline.
    pub fn ends_line(self, bytes: &[u8]) -> bool {
        self.ends_with(bytes, b'\n')
    }

    /// Whether bytes before an offset of a file may be missing: zeros stand where data is still to come.
    pub fn has_gap(self, bytes: &[u8], offset: u64) -> bool {
        if self == Self::Bytes {
            return bytes.contains(&0);
        }
        let is_shifted = (offset - bytes.len() as u64) % 2 == 1;
        let mut units = bytes.get(usize::from(is_shifted)..).unwrap_or_default().chunks(2);
        units.any(|unit| unit.iter().all(|byte| *byte == 0))
    }

    /// The lines as UTF-8, each with its newline. A byte order mark at the start of a line is left out, and U+FFFD stands for half of a
    /// pair and for half of a unit. Not for [`Units::Bytes`].
    #[inline(never)]
    pub fn decode(self, bytes: &[u8]) -> String {
        const MARK: char = '\u{feff}';
        let mut text = String::with_capacity(bytes.len() / 2 + 16);
        let (low, high) = if self == Self::BigEndian { (1, 0) } else { (0, 1) };
        let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[low], unit[high]]));
        for c in char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)) {
            if c != MARK || !(text.is_empty() || text.ends_with('\n')) {
                text.push(c);
            }
        }
        if bytes.len() % 2 == 1 {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text in these units, without a mark.
    fn encoded(units: Units, text: &str) -> Vec<u8> {
        let bytes = text.encode_utf16().map(|unit| if units == Units::BigEndian { unit.to_be_bytes() } else { unit.to_le_bytes() });
        bytes.flatten().collect()
    }

    #[test]
    fn an_encoding_has_its_name_in_upper_or_lower_case() {
        for (name, encoding) in [("utf-16", Encoding::Utf16), ("UTF-16LE", Encoding::Utf16Le), ("Utf-16be", Encoding::Utf16Be)] {
            assert_eq!(Encoding::parse(name), Some(encoding));
            assert_eq!(Encoding::parse(encoding.name()), Some(encoding));
        }
        assert_eq!((Encoding::parse("utf16"), Encoding::parse("")), (None, None));
    }

    #[test]
    fn the_mark_says_the_byte_order_and_without_one_it_is_little_endian() {
        for (encoding, head, units) in [
            (Encoding::Utf16, &b"\xff\xfea\0"[..], Units::LittleEndian),
            (Encoding::Utf16, b"\xfe\xff\0a", Units::BigEndian),
            (Encoding::Utf16, b"", Units::LittleEndian),
            (Encoding::Utf16, b"\0a", Units::LittleEndian),
            (Encoding::Utf16Be, b"\xff\xfea\0", Units::BigEndian),
            (Encoding::Utf16Le, b"\xfe\xff\0a", Units::LittleEndian),
            (Encoding::Utf8, b"\xff\xfea\0", Units::Bytes),
        ] {
            assert_eq!(encoding.units(head), units, "{encoding:?} {head:?}");
        }
    }

    #[test]
    fn lines_end_at_newlines_and_at_no_other_character_with_such_a_byte() {
        // U+0A00, U+0A0A and U+010A have the byte too; ਊ is U+0A0A.
        let text = "\u{a00}\u{a0a}\u{10a}a\r\nਊ\n\u{a00}";
        for units in [Units::LittleEndian, Units::BigEndian] {
            let bytes = encoded(units, text);
            assert_eq!((units.first_end(&bytes), units.last_end(&bytes)), (Some(12), Some(16)), "{units:?}");
            assert_eq!(units.line(&bytes[..12]), encoded(units, "\u{a00}\u{a0a}\u{10a}a"));
            assert_eq!(units.line(&bytes[12..16]), encoded(units, "ਊ"));
            for end in 0..bytes.len() {
                let first = units.first_end(&bytes[..end]);
                assert_eq!(first, (end >= 12).then_some(12), "{units:?} {end}");
            }
        }
        assert_eq!((Units::Bytes.first_end(b"a\nb\nc"), Units::Bytes.last_end(b"a\nb\nc")), (Some(2), Some(4)));
        assert_eq!(Units::Bytes.line(b"a\r\n"), b"a");
        // The bytes of a newline at an odd offset.
        assert_eq!(Units::LittleEndian.first_end(b"a\n\0b"), None);
        assert_eq!(Units::BigEndian.first_end(b"a\0\nb"), None);
    }

    #[test]
    fn what_is_no_character_becomes_the_replacement_character() {
        for units in [Units::LittleEndian, Units::BigEndian] {
            let text = "\u{feff}añ漢🚀\r\n\u{feff}b\u{feff}\n";
            assert_eq!(units.decode(&encoded(units, text)), "añ漢🚀\r\nb\u{feff}\n");
            let high = encoded(units, "🚀")[..2].to_vec();
            let low = encoded(units, "🚀")[2..].to_vec();
            let a = encoded(units, "a\n");
            for (bytes, expected) in [
                ([&high[..], &a].concat(), "\u{fffd}a\n"),
                ([&low[..], &high, &a].concat(), "\u{fffd}\u{fffd}a\n"),
                ([&a[..], &high].concat(), "a\n\u{fffd}"),
                ([&a[..], b"x"].concat(), "a\n\u{fffd}"),
            ] {
                assert_eq!(units.decode(&bytes), expected, "{units:?} {bytes:?}");
            }
        }
    }

    #[test]
    fn zeros_of_a_whole_unit_are_a_gap() {
        let little = Units::LittleEndian;
        assert!(!little.has_gap(b"a\0b\0", 100) && little.has_gap(b"a\0\0\0", 100) && little.has_gap(b"a\0\0", 101));
        assert!(!little.has_gap(b"\0\0b", 100), "the zeros are of two units");
        assert!(!Units::BigEndian.has_gap(b"\0a\0b", 4) && Units::BigEndian.has_gap(b"\0", 5));
        assert!(Units::Bytes.has_gap(b"a\0", 2) && !Units::Bytes.has_gap(b"ab", 2));
    }

    #[test]
    fn a_text_in_another_encoding_is_doubted() {
        let (little, big) = (encoded(Units::LittleEndian, "Setup log"), encoded(Units::BigEndian, "Setup log"));
        let marked = [&[0xff, 0xfe], &little[..]].concat();
        let ascii = "a plain line\n".repeat(6).into_bytes();
        for (encoding, head, doubt) in [
            (Encoding::Utf8, &marked[..], Some("is UTF-16 and is read as UTF-8: its groups need encoding: utf-16")),
            (Encoding::Utf8, &little, Some("is UTF-16 and is read as UTF-8: its groups need encoding: utf-16le")),
            (Encoding::Utf8, &big, Some("is UTF-16 and is read as UTF-8: its groups need encoding: utf-16be")),
            (Encoding::Utf8, &ascii, None),
            (Encoding::Utf8, &[0; 64], None),
            (Encoding::Utf8, &little[..14], None),
            (Encoding::Utf8, b"\xff\xfe\0\0a\0\0\0", None),
            (Encoding::Utf8, b"\xfe\xff", Some("is UTF-16 and is read as UTF-8: its groups need encoding: utf-16")),
            (Encoding::Utf16, &marked, None),
            (Encoding::Utf16, &little, None),
            (Encoding::Utf16, &big, Some("is utf-16be, and its encoding: says utf-16")),
            (Encoding::Utf16Be, &marked, Some("is utf-16, and its encoding: says utf-16be")),
            (Encoding::Utf16Le, &ascii, Some("is no UTF-16, and its encoding: says utf-16le")),
            (Encoding::Utf16Le, &ascii[..60], None),
            (Encoding::Utf16, b"", None),
        ] {
            assert_eq!(encoding.doubt(head).as_deref(), doubt, "{encoding:?} {head:?}");
        }
    }
}
