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
