//! In which order files were rotated, as far as their times and names tell. Looks at no file.

use super::stat::Mtime;
use std::cmp::Ordering;

/// What tells when a file was rotated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RotationKey {
    pub(super) mtime: Mtime,
    pub(super) suffix: Option<Suffix>,
}

/// What a rotation appends to the name of a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Suffix {
    /// The greater is the newer. Most rotations number all files anew, and 1 is the newest: that is -1 here.
    Number(i32),
    /// Digits that grow with time.
    Date(Vec<u8>),
}

impl RotationKey {
    /// Whether this file was rotated after the other. The times and the names of the two may disagree, because of late writers and of
    /// rotations that count upwards: then this file is newer if it was written to at `since` or later.
    pub(super) fn is_newer(&self, other: &Self, since: Option<Mtime>) -> bool {
        match (self.mtime.cmp(&other.mtime), self.order_by_name(other)) {
            (Ordering::Greater, None | Some(Ordering::Greater)) | (Ordering::Equal, Some(Ordering::Greater)) => true,
            (Ordering::Less, None) | (Ordering::Less | Ordering::Equal, Some(Ordering::Less | Ordering::Equal)) => false,
            _ => self.is_since(since),
        }
    }

    /// Whether the file was written to at that time or later.
    pub(super) fn is_since(&self, since: Option<Mtime>) -> bool {
        since.is_some_and(|since| self.mtime >= since)
    }

    /// The order in which files were rotated: by their times, then by their names.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let by_name = || self.order_by_name(other).unwrap_or_else(|| self.kind().cmp(&other.kind()));
        self.mtime.cmp(&other.mtime).then_with(by_name)
    }

    /// The order of rotation by the names alone; `None` if they do not tell.
    fn order_by_name(&self, other: &Self) -> Option<Ordering> {
        match (&self.suffix, &other.suffix) {
            (Some(Suffix::Number(one)), Some(Suffix::Number(other))) => Some(one.cmp(other)),
            (Some(Suffix::Date(one)), Some(Suffix::Date(other))) if one.len() == other.len() => Some(one.cmp(other)),
            _ => None,
        }
    }

    /// Gives an order to names that do not tell one.
    fn kind(&self) -> Option<usize> {
        self.suffix.as_ref().map(|suffix| if let Suffix::Date(date) = suffix { date.len() } else { 0 })
    }

    pub(super) fn number(&self) -> Option<i32> {
        match self.suffix {
            Some(Suffix::Number(number)) => Some(number),
            _ => None,
        }
    }
}

impl Suffix {
    /// Most digits of a number. A date has more.
    const MAX_NUMBER_DIGITS: usize = 5;

    /// Reads what follows the name of a log and a separator. `None` for anything but a number or a date.
    pub(super) fn parse(suffix: &[u8]) -> Option<Self> {
        let (mut digits, mut number) = (0, 0);
        for byte in suffix {
            match byte {
                b'0'..=b'9' if digits < Self::MAX_NUMBER_DIGITS => {
                    digits += 1;
                    number = number * 10 + i32::from(byte - b'0');
                }
                b'0'..=b'9' | b'-' | b'_' | b'.' | b'T' => {}
                _ => return None,
            }
        }
        match digits {
            0 => None,
            _ if digits == suffix.len() => Some(Self::Number(-number)),
            _ => Some(Self::Date(suffix.to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rotation_appends_to_a_name_is_understood() {
        let date = |text: &str| Some(Suffix::Date(text.as_bytes().to_vec()));
        for (text, suffix) in [
            ("1", Some(Suffix::Number(-1))),
            ("12345", Some(Suffix::Number(-12345))),
            ("20261122", date("20261122")),
            ("2026-11-22", date("2026-11-22")),
            ("20261122T1135", date("20261122T1135")),
            ("1.2", date("1.2")),
            ("old", None),
            ("1~", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(Suffix::parse(text.as_bytes()), suffix, "{text}");
        }
    }

    #[test]
    fn the_name_decides_between_files_of_one_time() {
        let key = |number: i32| RotationKey { mtime: 1, suffix: Some(Suffix::Number(-number)) };
        assert!(key(1).is_newer(&key(2), None));
        assert!(!key(2).is_newer(&key(1), None));
    }
}
