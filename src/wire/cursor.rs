//! The place of an entry in the journal of systemd. Reads no journal.

use super::base36::{parse_fields, push_fields};
use crate::text::{number, push_number};

/// Names an entry of the journal, as the field `__CURSOR` does. A log that is the journal was read up to that entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The series that numbers the entry, as 128 bits with the upper half first, and its number there. 0 if only a time is known, as in a journal without entries.
    pub series: [u64; 2],
    /// As above.
    pub number: u64,
    /// The run of the system in which it was written, and when: in microseconds of that run.
    pub boot: [u64; 2],
    /// As above.
    pub monotonic: u64,
    /// When it was written, in microseconds since 1970.
    pub realtime: u64,
    /// A hash of its fields.
    pub hash: u64,
    /// The last rule that has processed the entry, if others still have to; 0 if it is processed.
    pub done: u32,
}

/// An identity of 128 bits, the upper half first.
type Id = [u64; 2];

impl Cursor {
    /// How many numbers its text has besides `done`.
    pub(super) const FIELDS: usize = 8;
    const NO_ID: Id = [0; 2];

    /// The place of all entries that are written from then on, in microseconds since 1970.
    pub fn since(realtime: u64) -> Self {
        Self { realtime, ..Self::default() }
    }

    /// Reads the field `__CURSOR`: `s=SERIES;i=NUMBER;b=BOOT;m=MONOTONIC;t=REALTIME;x=HASH`, in base 16. Other parts are ignored. `None`
    /// if one is malformed, or the entry has no number.
    pub fn parse_field(field: &str) -> Option<Self> {
        let mut cursor = Self::default();
        for part in field.split(';') {
            let (name, value) = part.split_once('=')?;
            match name {
                "s" => cursor.series = parse_id(value)?,
                "i" => cursor.number = number(value, 16)?,
                "b" => cursor.boot = parse_id(value)?,
                "m" => cursor.monotonic = number(value, 16)?,
                "t" => cursor.realtime = number(value, 16)?,
                "x" => cursor.hash = number(value, 16)?,
                _ => {}
            }
        }
        (cursor.series != Self::NO_ID && cursor.number > 0).then_some(cursor)
    }

    /// The cursor as `journalctl --cursor=` takes it.
    pub fn field(&self) -> String {
        let mut field = String::new();
        let mut add = |name: &str, numbers: &[u64]| {
            field += name;
            let least = if numbers.len() > 1 { 16 } else { 1 };
            numbers.iter().for_each(|number| push_number(&mut field, *number, 16, least));
        };
        if self.series != Self::NO_ID {
            add("s=", &self.series);
            add(";i=", &[self.number]);
            add(";b=", &self.boot);
            add(";m=", &[self.monotonic]);
            add(";x=", &[self.hash]);
            add(";", &[]);
        }
        add("t=", &[self.realtime]);
        field
    }

    /// Whether it names that entry too. A journal that is moved to another place numbers its entries anew.
    pub fn is_same_entry(&self, other: &Self) -> bool {
        if self.series == other.series {
            return self.number == other.number;
        }
        let moment = |cursor: &Self| (cursor.boot, cursor.monotonic, cursor.hash);
        self.boot != Self::NO_ID && moment(self) == moment(other)
    }

    /// How many entries were numbered between it and a later one. `None` if they are not of one series.
    pub fn between(&self, later: &Self) -> Option<u64> {
        (self.series == later.series).then(|| later.number.saturating_sub(self.number).saturating_sub(1))
    }

    /// The cursor as a part of a position.
    pub(super) fn emit(&self) -> String {
        let mut text = String::new();
        let Self { series: [s0, s1], number, boot: [b0, b1], monotonic, realtime, hash, done } = *self;
        let fields = [number, s0, s1, b0, b1, monotonic, realtime, hash, done.into()];
        push_fields(&mut text, &fields[..Self::FIELDS + usize::from(done > 0)]);
        text
    }

    /// Parses what [`Self::emit`] returns. `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut fields = [0; Self::FIELDS + 1];
        let count = parse_fields(text, &mut fields)?;
        let [number, s0, s1, b0, b1, monotonic, realtime, hash, done] = fields;
        let done = u32::try_from(done).ok()?;
        // A zero at the end is left out.
        let is_whole = count == Self::FIELDS || count > Self::FIELDS && done > 0;
        is_whole.then_some(Self { series: [s0, s1], number, boot: [b0, b1], monotonic, realtime, hash, done })
    }
}

/// An identity of exactly 32 digits in base 16.
fn parse_id(text: &str) -> Option<Id> {
    let is_whole = text.len() == 32 && text.is_ascii();
    is_whole.then(|| Some([number(&text[..16], 16)?, number(&text[16..], 16)?])).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: &str =
        "s=e8f5f2b1e6564dd6bb67f0c1175ff5e5;i=9f2;b=9926e35bf432467f9f3e9261f7119bfb;m=58d0c645d;t=6618667e0099b;x=8fda342782a2c37";

    #[test]
    fn the_field_of_an_entry_is_read_and_written_with_all_its_parts() {
        let cursor = Cursor::parse_field(FIELD).unwrap();
        assert_eq!((cursor.number, cursor.realtime, cursor.series[1]), (0x9f2, 0x6618667e0099b, 0xbb67f0c1175ff5e5));
        assert_eq!(Cursor::parse_field(&cursor.field()), Some(cursor));
        assert_eq!(cursor.field().len(), FIELD.len());
        assert_eq!(Cursor::parse_field(&format!("{FIELD};n=new")), Some(cursor));
        assert_eq!(Cursor::since(0xab).field(), "t=ab");
    }

    #[test]
    fn a_malformed_field_is_refused() {
        let short = FIELD.replacen("e8", "e", 1);
        for field in ["", "s", "t=5", "s=;i=1", &FIELD[1..], &short, &FIELD.replace("i=9f2", "i=0"), &FIELD.replace("9f2", "x")] {
            assert_eq!(Cursor::parse_field(field), None, "{field}");
        }
    }

    #[test]
    fn an_entry_is_the_same_by_its_number_or_in_another_series_by_its_moment_and_content() {
        let cursor = Cursor::parse_field(FIELD).unwrap();
        let next = Cursor { number: cursor.number + 1, ..cursor };
        let moved = Cursor { series: [1, 2], number: 7, realtime: 0, ..cursor };
        let other = Cursor { hash: 1, ..moved };
        for (other, is_same) in [(cursor, true), (next, false), (moved, true), (other, false), (Cursor::since(cursor.realtime), false)] {
            assert_eq!(cursor.is_same_entry(&other), is_same, "{other:?}");
        }
        let between = |number| cursor.between(&Cursor { number, ..cursor });
        assert_eq!((between(0x9f3), between(0x9f6), between(3), cursor.between(&moved)), (Some(0), Some(3), Some(0), None));
    }

    #[test]
    fn parse_and_display_are_inverses() {
        let cursor = Cursor::parse_field(FIELD).unwrap();
        let longest = [u64::MAX; 2];
        let most = u64::MAX;
        let longest = Cursor { series: longest, number: most, boot: longest, monotonic: most, realtime: most, hash: most, done: u32::MAX };
        for cursor in [cursor, Cursor { done: 9, ..cursor }, Cursor::since(36), longest] {
            let text = cursor.emit();
            assert_eq!(Cursor::parse(&text), Some(cursor), "{text}");
        }
        assert_eq!(Cursor::since(36).emit(), "0.0.0.0.0.0.10.0");
        for text in ["", "0.0.0.0.0.0.10", "0.0.0.0.0.0.10.0.0", "0.0.0.0.0.0.10.0.1.1", "0.0.0.0.0.0.10.0.1z141z4", "0.0.0.0.0.0.10.00"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
