//! Text that came from a log, a command or the network, made fit to be shown and to be put in a field.
//! Owns no text of its own and never fails: what is unfit is replaced.

use memchr::memchr;
use std::borrow::Cow;

/// Most bytes of text that one event carries.
pub const MAX_EVENT_TEXT: usize = 8 * 1024;

/// Whether a character could forge a line, move a terminal's cursor or turn the order of what is shown.
fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with a space in place of each tab and U+FFFD in place of every other character that is harmful: control
/// characters, line and paragraph separators, and marks that turn the direction of writing.
pub fn clean(text: &str) -> Cow<'_, str> {
    if is_plain(text.as_bytes()) || !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let replaced = |c| match c {
        '\t' => ' ',
        c if is_harmful(c) => '\u{fffd}',
        c => c,
    };
    Cow::Owned(text.chars().map(replaced).collect())
}

/// Whether all bytes are printable ASCII: eight at a time, since every text of every event is looked at.
fn is_plain(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    // The high bit of a byte ends up set where the byte is below 0x20, is 0x7f or has it set. What a byte lends to or borrows from the
    // next spoils only the judgement of a word that has an unprintable byte anyway.
    let unprintable = |word: &[u8]| {
        let word = word.try_into().map_or(HIGH, u64::from_ne_bytes);
        (word.wrapping_sub(ONES * 0x20) | word.wrapping_add(ONES) | word) & HIGH
    };
    words.fold(0, |found, word| found | unprintable(word)) == 0 && rest.iter().all(|b| (0x20..0x7f).contains(b))
}

/// A clean text that can stand in any field of a message: what could be read as the separator `%%` is broken up.
pub fn clean_field(text: &str) -> Cow<'_, str> {
    let text = clean(text);
    let unfit = |text: &str| text.contains("%%") || text.ends_with('%') || text.starts_with('%');
    if memchr(b'%', text.as_bytes()).is_none() || !unfit(&text) {
        return text;
    }
    let mut field = text.replace("%%", "%_");
    if field.ends_with('%') {
        field.pop();
        field.push('_');
    }
    if field.starts_with('%') {
        field.replace_range(..1, "_");
    }
    Cow::Owned(field)
}

/// The longest start of the text that has at most `max` bytes and ends between characters.
pub fn truncate(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_text_is_not_copied() {
        assert!(matches!(clean("plain ünïcode %% text"), Cow::Borrowed(_)));
    }

    #[test]
    fn control_characters_are_made_harmless() {
        for (dirty, harmless) in [
            ("a\tb", "a b"),
            ("a\nb\rc", "a\u{fffd}b\u{fffd}c"),
            ("\x1b[31mred", "\u{fffd}[31mred"),
            ("nul\0del\x7f", "nul\u{fffd}del\u{fffd}"),
            ("c1 \u{9b}31m", "c1 \u{fffd}31m"),
            ("\u{2028}\u{202e}\u{2066}", "\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(clean(dirty), harmless);
        }
    }

    #[test]
    fn every_byte_is_judged_alike_at_every_place() {
        for byte in 0..=255 {
            for length in [1, 7, 8, 9, 16, 17] {
                for at in 0..length {
                    let mut bytes = vec![b' '; length];
                    bytes[at] = byte;
                    assert_eq!(is_plain(&bytes), (0x20..0x7f).contains(&byte), "{byte:#x} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn a_field_cannot_hold_a_separator() {
        for raw in ["a%%b", "a%", "%", "%%", "%%%", "%%%%%", "100%%%", "%a"] {
            let field = clean_field(raw);
            let message = format!("{field}%%next");
            assert_eq!(message.split_once("%%"), Some((&*field, "next")), "{raw}");
        }
    }

    #[test]
    fn truncation_ends_between_characters() {
        assert_eq!(truncate("aäb", 2), "a");
        assert_eq!(truncate("aäb", 3), "aä");
        assert_eq!(truncate("aäb", 9), "aäb");
    }
}
