//! Makes text from logs, commands and the network safe to show and to put into a field of a message. Never fails: it replaces what is
//! harmful. And numbers as text.

use memchr::memchr;
use std::borrow::Cow;

/// Most bytes of the text of one event.
pub const MAX_EVENT_TEXT: usize = 8 * 1024;

/// Whether a character could forge a line, control a terminal, reverse the order of what is shown, or hide in it: control characters,
/// line and paragraph separators, and the format characters that show nothing (Unicode's general category Cf, and the block of tags).
fn is_harmful(c: char) -> bool {
    c.is_control()
        || !c.is_ascii()
            && matches!(c,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Replaces each tab by a space, and every other control character, line or paragraph separator and invisible format character by
/// U+FFFD.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    if is_plain(text.as_bytes()) || !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        clean.push(match c {
            '\t' => ' ',
            c if is_harmful(c) => '\u{fffd}',
            c => c,
        });
    }
    Cow::Owned(clean)
}

/// Whether all bytes are printable ASCII. Checks eight at a time, since it sees every text of every event.
fn is_plain(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    // Sets the high bit of each byte that is below 0x20, equals 0x7f or has its high bit set. A carry or borrow can change the result
    // for a neighbour only if the word has an unprintable byte anyway.
    let unprintable = |word: &[u8]| {
        let word = word.try_into().map_or(HIGH, u64::from_ne_bytes);
        (word.wrapping_sub(ONES * 0x20) | word.wrapping_add(ONES) | word) & HIGH
    };
    words.fold(0, |found, word| found | unprintable(word)) == 0 && rest.iter().all(|b| (0x20..0x7f).contains(b))
}

/// Whether a text contains the separator `%%`.
pub fn has_separator(text: &str) -> bool {
    text.as_bytes().windows(2).any(|pair| pair == b"%%")
}

/// Sanitizes a text for a field of a message: replaces also every `%` that could be read as part of the separator `%%` by `_`.
pub fn sanitize_field(text: &str) -> Cow<'_, str> {
    let text = sanitize(text);
    if memchr(b'%', text.as_bytes()).is_none() {
        return text;
    }
    let mut field = String::with_capacity(text.len());
    // Whether the character before is the first half of a separator.
    let mut half = false;
    for (at, c) in text.char_indices() {
        half = c == '%' && !half;
        let at_an_end = at == 0 || at + 1 == text.len();
        field.push(if c == '%' && (!half || at_an_end) { '_' } else { c });
    }
    Cow::Owned(field)
}

/// Whether an agent can report that host name.
pub fn is_host_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && sanitize_field(name) == name && !name.contains(char::is_whitespace)
}

/// Bytes as text. U+FFFD stands for what is not UTF-8.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    // Twenty times as fast as `from_utf8_lossy` if all is ASCII.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Reads a number of a base up to 36 in digits and lower-case letters. `None` for anything else, also for a sign.
pub fn number(digits: &str, base: u8) -> Option<u64> {
    let mut number: u64 = 0;
    for byte in digits.bytes() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            _ => return None,
        };
        if digit >= base {
            return None;
        }
        // So few digits never overflow, and most numbers have fewer.
        number = if digits.len() <= 12 {
            number * u64::from(base) + u64::from(digit)
        } else {
            number.checked_mul(base.into())?.checked_add(digit.into())?
        };
    }
    (!digits.is_empty()).then_some(number)
}

/// Appends a number that [`number`] reads again, with leading zeros up to `least` digits (20 at most).
pub fn push_number(text: &mut String, number: u64, base: u8, least: usize) {
    // To divide by a known number takes a fraction of the time.
    match base {
        10 => push_digits(text, number, 10, least),
        16 => push_digits(text, number, 16, least),
        36 => push_digits(text, number, 36, least),
        base => push_digits(text, number, base, least),
    }
}

#[inline(always)]
fn push_digits(text: &mut String, number: u64, base: u8, least: usize) {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let (mut digits, mut at, mut rest) = ([b'0'; 20], 20, number);
    while rest > 0 {
        let quotient = rest / u64::from(base);
        at -= 1;
        digits[at] = DIGITS.get(usize::try_from(rest - quotient * u64::from(base)).unwrap_or(0)).copied().unwrap_or(b'0');
        rest = quotient;
    }
    let start = at.min(20 - least.clamp(1, 20));
    text.push_str(std::str::from_utf8(&digits[start..]).unwrap_or_default());
}

/// The longest prefix that has at most `max` bytes and ends between characters.
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
        assert!(matches!(sanitize("plain ünïcode %% text"), Cow::Borrowed(_)));
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
            ("a\u{61c}b\u{200e}c\u{200f}", "a\u{fffd}b\u{fffd}c\u{fffd}"),
            ("zero\u{200b}width\u{feff}\u{2060}", "zero\u{fffd}width\u{fffd}\u{fffd}"),
            ("soft\u{ad}tag\u{e0041}\u{fff9}\u{180e}", "soft\u{fffd}tag\u{fffd}\u{fffd}\u{fffd}"),
            ("naïve \u{5d0}\u{627}\u{6dd} 漢 🚀", "naïve \u{5d0}\u{627}\u{6dd} 漢 🚀"),
        ] {
            assert_eq!(sanitize(dirty), harmless);
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
            let field = sanitize_field(raw);
            let message = format!("{field}%%next");
            assert_eq!(message.split_once("%%"), Some((&*field, "next")), "{raw}");
        }
    }

    #[test]
    fn numbers_are_written_and_read_in_every_base() {
        for (number, base, least, digits) in
            [(0, 10, 0, "0"), (u64::MAX, 10, 1, "18446744073709551615"), (u64::MAX, 36, 1, "3w5e11264sgsf"), (0xbeef, 16, 8, "0000beef")]
        {
            let mut text = String::new();
            push_number(&mut text, number, base, least);
            assert_eq!((&*text, self::number(&text, base)), (digits, Some(number)));
        }
        for (digits, base) in [("", 10), ("+1", 10), ("a", 10), ("18446744073709551616", 10), ("3w5e11264sgsg", 36), ("A", 16), ("g", 16)] {
            assert_eq!(number(digits, base), None, "{digits}");
        }
    }

    #[test]
    fn truncation_ends_between_characters() {
        assert_eq!(truncate("aäb", 2), "a");
        assert_eq!(truncate("aäb", 3), "aä");
        assert_eq!(truncate("aäb", 9), "aäb");
    }
}
