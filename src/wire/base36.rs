//! Numbers in base 36, as positions and uids have them.

use crate::text::{number, push_number};
use std::fmt;

/// Displays a number in base 36: digits and lower-case letters, no leading zeros, at most 13 characters.
pub struct Base36(pub u64);

impl fmt::Display for Base36 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        push_number(&mut text, self.0, 36, 1);
        f.write_str(&text)
    }
}

/// Parses what [`Base36`] writes. `None` for anything else.
pub fn parse_base36(text: &str) -> Option<u64> {
    number(text, 36).filter(|_| text == "0" || !text.starts_with('0'))
}

/// Appends numbers in base 36, with points between them.
pub(super) fn push_fields(text: &mut String, numbers: &[u64]) {
    for (at, number) in numbers.iter().enumerate() {
        if at > 0 {
            text.push('.');
        }
        push_number(text, *number, 36, 1);
    }
}

/// Parses what [`push_fields`] appends. Returns how many numbers there are; `None` if one is malformed, or if there are more than fit.
pub(super) fn parse_fields(text: &str, numbers: &mut [u64]) -> Option<usize> {
    let (mut count, mut rest) = (0, text);
    loop {
        let end = rest.bytes().position(|byte| byte == b'.');
        *numbers.get_mut(count)? = parse_base36(&rest[..end.unwrap_or(rest.len())])?;
        count += 1;
        match end {
            Some(end) => rest = &rest[end + 1..],
            None => return Some(count),
        }
    }
}
