//! What the name of a rotated file tells: that a rotation gave it, and which of two such names is the newer. Looks at no file.

use std::cmp::Ordering;

/// What a rotation made of the name of a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RotationName {
    pub(super) form: Form,
    pub(super) stamp: Stamp,
}

/// Where the stamp of a rotation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// `app.log.1`
    Appended,
    /// `app-1.log`
    BeforeExtension,
    /// `@4000000065a1b2c31234abcd.s` of a log `current`.
    Alone,
    /// Like the name that another file of the log was given, whatever that is.
    Alike,
    /// The name that a link led to.
    Target,
}

/// What tells files of one log apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// The greater is the newer. Most rotations number all files anew, and 1 is the newest: that is -1 here.
    Number(i32),
    /// Numbers that grow with time.
    Date(Date),
    /// There is no order but that of the times.
    Unordered,
}

/// The numbers of a date, as text whose order is that of the dates.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Date {
    numbers: usize,
    text: Vec<u8>,
}

impl RotationName {
    /// Reads the name of a file in the folder of the log that has the name `log`. `None` for a name that no known rotation gives.
    pub(super) fn parse(name: &[u8], log: &[u8]) -> Option<Self> {
        let (stem, extension) = split_extension(log);
        let stamp = appended(name, log).and_then(|stamp| Stamp::parse(stamp).or_else(|| Stamp::parse(stamp.strip_suffix(extension)?)));
        if let Some(stamp) = stamp {
            return Some(Self { form: Form::Appended, stamp });
        }
        if log == b"current" {
            let stamp = Stamp::parse(name.strip_suffix(b".s").or_else(|| name.strip_suffix(b".u")).unwrap_or(name))?;
            return matches!(stamp, Stamp::Date(_)).then_some(Self { form: Form::Alone, stamp });
        }
        if extension.is_empty() {
            return None;
        }
        let stamp = Stamp::parse(appended(name.strip_suffix(extension)?, stem)?)?;
        Some(Self { form: Form::BeforeExtension, stamp })
    }

    /// A name of no known rotation, of which other files of the log have one like it.
    pub(super) fn alike(name: &[u8]) -> Self {
        let numbers = name.split(|byte| !byte.is_ascii_digit()).filter(|number| !number.is_empty());
        Self { form: Form::Alike, stamp: Stamp::Date(numbers.fold(Date::EMPTY, Date::with)) }
    }

    /// The order of rotation; `None` if the names do not tell.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (&self.stamp, &other.stamp) {
            _ if self.form != other.form => None,
            (Stamp::Number(one), Stamp::Number(other)) => Some(one.cmp(other)),
            (Stamp::Date(one), Stamp::Date(other)) if one.numbers == other.numbers => Some(one.text.cmp(&other.text)),
            _ => None,
        }
    }

    /// Gives an order to names that do not tell one.
    pub(super) fn kind(&self) -> (Form, usize) {
        let numbers = match &self.stamp {
            Stamp::Unordered => 0,
            Stamp::Number(_) => 1,
            Stamp::Date(date) => 1 + date.numbers,
        };
        (self.form, numbers)
    }
}

impl Stamp {
    /// Most digits of a number. A date has more.
    const MAX_NUMBER_DIGITS: usize = 5;
    /// What rotations that keep one file call it.
    const WORDS: [&'static [u8]; 4] = [b"old", b"prev", b"previous", b"last"];

    /// Reads what a rotation adds to a name. `None` for anything but a number, a date or a known word.
    fn parse(stamp: &[u8]) -> Option<Self> {
        if Self::WORDS.contains(&stamp) {
            return Some(Self::Unordered);
        }
        if stamp.len() <= Self::MAX_NUMBER_DIGITS && stamp.iter().all(u8::is_ascii_digit) {
            let number = stamp.iter().fold(0, |number, digit| number * 10 + i32::from(digit - b'0'));
            return (!stamp.is_empty()).then_some(Self::Number(-number));
        }
        Date::parse(stamp).map(Self::Date)
    }
}

impl Date {
    const EMPTY: Self = Self { numbers: 0, text: Vec::new() };
    /// Digits of the external form of TAI64N, behind its `@`.
    const TAI64N: usize = 24;
    /// Digits of a date without a time. Numbers that come after so many are those of a time.
    const DAY_DIGITS: usize = 8;

    fn parse(stamp: &[u8]) -> Option<Self> {
        let mut date = Self::EMPTY;
        if let Some(tai) = stamp.strip_prefix(b"@") {
            let is_tai = tai.len() == Self::TAI64N && tai.iter().all(u8::is_ascii_hexdigit);
            return is_tai.then(|| date.with(tai));
        }
        // How many digits were read, and where the last number stands in the text.
        let (mut digits, mut last) = (0, 0);
        let mut rest = stamp;
        while let Some(first) = rest.first() {
            let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if length > 0 {
                last = date.text.len();
                date = date.with(&rest[..length]);
                digits += length;
                rest = &rest[length..];
                continue;
            }
            let half = rest.get(..2).map(<[u8]>::to_ascii_lowercase);
            match (first, half.as_deref()) {
                (_, Some(half @ (b"am" | b"pm"))) if digits > 0 => {
                    date.add_half_day(half == b"pm", digits > Self::DAY_DIGITS, last);
                    rest = &rest[2..];
                }
                (b'-' | b'_' | b'.' | b':' | b'+' | b'T' | b't' | b'Z' | b' ', _) => rest = &rest[1..],
                _ => return None,
            }
        }
        (digits > 0).then_some(date)
    }

    /// Adds a number: how many digits it has, and these, without leading zeros.
    fn with(mut self, digits: &[u8]) -> Self {
        let digits = &digits[digits.iter().take_while(|digit| **digit == b'0').count()..];
        self.text.push(u8::try_from(digits.len()).unwrap_or(u8::MAX));
        self.text.extend_from_slice(digits);
        self.numbers += 1;
        self
    }

    /// Puts the half of the day before the hour, which is the last number if there is a time: 12 is the first hour of both halves.
    fn add_half_day(&mut self, is_second: bool, has_hour: bool, last: usize) {
        let at = if has_hour { last } else { self.text.len() };
        if self.text[at..] == *b"\x0212" {
            self.text.truncate(at);
            self.text.push(0);
        }
        self.text.insert(at, u8::from(is_second));
        self.numbers += 1;
    }
}

/// What follows a name and a separator, if anything does.
pub(super) fn appended<'a>(name: &'a [u8], to: &[u8]) -> Option<&'a [u8]> {
    let rest = name.strip_prefix(to)?;
    let separators = rest.iter().take_while(|byte| matches!(byte, b'.' | b'-' | b'_')).count();
    (separators > 0 && separators < rest.len() && !to.is_empty()).then(|| &rest[separators..])
}

/// Whether a name differs from another, which is no name of a known rotation, in nothing but long numbers.
pub(super) fn is_alike(name: &[u8], other: &[u8]) -> bool {
    /// Digits of which numbers tell a time or are made by chance: fewer may tell programs apart.
    const MIN_DIGITS: usize = 6;
    name.iter().filter(|byte| byte.is_ascii_digit()).count() >= MIN_DIGITS && has_shape_of(name, other)
}

/// Whether a name differs from another in nothing but numbers, as those of two rotated files do.
pub(super) fn has_shape_of(name: &[u8], other: &[u8]) -> bool {
    let shape = |name: &[u8]| {
        let mut shape = Vec::new();
        for word in name.split_inclusive(|byte| !byte.is_ascii_alphanumeric()) {
            match word.last() {
                _ if !word.iter().any(u8::is_ascii_digit) => shape.extend_from_slice(word),
                Some(end) if !end.is_ascii_alphanumeric() => shape.extend([b'0', *end]),
                _ => shape.push(b'0'),
            }
        }
        shape
    };
    shape(name) == shape(other)
}

/// Splits a name before its last dot. A name without one has an empty extension.
fn split_extension(name: &[u8]) -> (&[u8], &[u8]) {
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0);
    name.split_at(dot.unwrap_or(name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, log: &str) -> Option<RotationName> {
        RotationName::parse(name.as_bytes(), log.as_bytes())
    }

    #[test]
    fn names_that_rotations_give_are_in_order() {
        for (log, names) in [
            ("log", &["log.3", "log.02", "log-1", "log.0"][..]),
            ("log", &["log-20261122", "log-20261123"]),
            ("log", &["log.20261122T1135", "log.20261122T1136"]),
            ("log", &["log.2026-11-09", "log_2026-11-10"]),
            ("log", &["log-1795347336", "log-1795347337"]),
            ("log", &["log.1.9", "log.1.10"]),
            ("app.log", &["app.log.2026-11-25T00:00:00Z", "app.log.2026-11-25T00:01:00Z", "app.log.2026-11-25T00:01:01Z"]),
            ("app.log", &["app.log.2026-11-25T00:00:00+01:00", "app.log.2026-11-25T01:00:00+01:00"]),
            ("app.log", &["app.log.2026-11-25-AM", "app.log.2026-11-25-PM", "app.log.2026-11-26-AM"]),
            ("app.log", &["app.log.20261125.12am", "app.log.20261125.11AM", "app.log.20261125.12PM", "app.log.20261125.1pm"]),
            ("app.log", &["app-3.log", "app.2.log", "app_1.log"]),
            ("app.log", &["app-20261125.log", "app-20261126.log"]),
            ("app.log", &["app-2026-11-25T10-30-00.000.log", "app-2026-11-25T10-30-00.001.log"]),
            ("app.log", &["app__2026-11-25_00-00-00.log", "app__2026-11-25_00-00-01.log"]),
            ("app.log", &["app.2026-11-25.9.log", "app.2026-11-25.10.log"]),
            ("app.log", &["app.log.2026-11-25.log", "app.log.2026-11-26.log"]),
            ("current", &["@4000000065a1b2c31234abcd.s", "@4000000065a1b2d40000abcd.u", "@4000000065a1b2d41234abcd.s"]),
            ("current", &["@400000003b4a39c23294b13c", "@400000003b4a39c23294b13d"]),
        ] {
            for two in names.windows(2) {
                let (one, other) = (parse(two[0], log).unwrap(), parse(two[1], log).unwrap());
                assert_eq!(one.order(&other), Some(Ordering::Less), "{two:?}");
                assert_eq!(other.order(&one), Some(Ordering::Greater), "{two:?}");
            }
        }
    }

    #[test]
    fn names_of_other_forms_tell_no_order() {
        for (log, one, other) in [
            ("app.log", "app.log.1", "app-1.log"),
            ("app.log", "app.log.1", "app.log.20261125"),
            ("app.log", "app.log.2026-11-25", "app.log.2026-11-25.1"),
            ("app.log", "app.log.old", "app.log.1"),
        ] {
            assert_eq!(parse(one, log).unwrap().order(&parse(other, log).unwrap()), None, "{one} {other}");
        }
    }

    #[test]
    fn other_names_are_given_by_no_rotation() {
        for (name, log) in [
            ("log.tmp", "log"),
            ("log.1~", "log"),
            ("log.-", "log"),
            ("log.", "log"),
            ("logs.1", "log"),
            ("log1", "log"),
            ("app.log.am", "app.log"),
            ("apple-1.log", "app.log"),
            ("app-1.txt", "app.log"),
            ("app-error.log", "app.log"),
            ("1.log", ".log"),
            ("@4000000065a1b2c31234abcd.s", "app.log"),
            ("@4000000065a1b2c31234abcd.t", "current"),
            ("@4000000065a1b2c3.s", "current"),
            ("1", "current"),
        ] {
            assert_eq!(parse(name, log), None, "{name}");
        }
    }

    #[test]
    fn names_are_alike_that_differ_in_long_numbers_only() {
        for (one, other, expected) in [
            ("app-2026-11-25.log", "app-2026-11-26.log", true),
            ("app.log.9f3c2b1a-11d0", "app.log.0a1b2c3d-4e5f6", true),
            ("25-Nov-2026", "26-Nov-2026", true),
            ("web-1.log", "web-2.log", false),
            ("app-2026-11-25.log", "web-2026-11-26.log", false),
            ("app-2026-11-25.log", "app-2026-11-26.log.gz", false),
        ] {
            assert_eq!(is_alike(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
        }
    }
}
