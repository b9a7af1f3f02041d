//! Removes the escape sequences of terminals (ECMA-48, ISO 6429, "ANSI"), such as those that make text coloured. Lines stay lines.

use std::borrow::Cow;

const ESC: u8 = 0x1b;
/// The first byte, in UTF-8, of a control character that stands for two: U+009B for ESC and `[`.
const C1: u8 = 0xc2;
/// Ends the text that a sequence contains.
const ST: [u8; 2] = [C1, 0x9c];
/// Most bytes of a sequence that contains a text, such as the address of a link …
const MAX_STRING: usize = 4096;
/// … and of any other one.
const MAX_SEQUENCE: usize = 64;

/// Lines without their escape sequences. One that is not complete within its line, or too long, stays, and so does what follows it: nobody
/// hides the rest of a line by beginning one.
pub fn without_escapes(lines: &[u8]) -> Cow<'_, [u8]> {
    let (mut kept, mut done, mut from) = (Vec::new(), 0, 0);
    while let Some(at) = lines[from..].iter().position(|byte| matches!(*byte, ESC | C1)).map(|at| from + at) {
        match sequence(&lines[at..]) {
            Some(length) => {
                kept.extend_from_slice(&lines[done..at]);
                (done, from) = (at + length, at + length);
            }
            None => from = at + 1,
        }
    }
    if done == 0 {
        return Cow::Borrowed(lines);
    }
    kept.extend_from_slice(&lines[done..]);
    Cow::Owned(kept)
}

/// The length of the sequence at the start of bytes that begin with [`ESC`] or [`C1`], if there is a whole one.
fn sequence(bytes: &[u8]) -> Option<usize> {
    let second = *bytes.get(1)?;
    let kind = match bytes[0] {
        C1 if (0x80..0xa0).contains(&second) => second - 0x40,
        C1 => return None,
        _ => second,
    };
    let rest = &bytes[2..];
    match kind {
        b'[' => control(rest),
        b']' => string(rest, true),
        b'P' | b'X' | b'^' | b'_' => string(rest, false),
        // Intermediate bytes, as in ESC ( B.
        0x20..=0x2f => {
            let intermediates = count(rest, 0x20, 0x2f);
            rest.get(intermediates).filter(|last| (0x30..0x7f).contains(*last)).map(|_| intermediates + 1)
        }
        // A newline (NEL) stays what it is, a control character.
        0x45 if bytes[0] == C1 => return None,
        0x30..=0x7e => Some(0),
        _ => None,
    }
    .map(|length| length + 2)
}

/// The length of parameters, intermediate bytes and the final byte.
fn control(rest: &[u8]) -> Option<usize> {
    let parameters = count(rest, 0x30, 0x3f);
    let end = parameters + count(&rest[parameters..], 0x20, 0x2f);
    rest.get(end).filter(|last| (0x40..0x7f).contains(*last)).map(|_| end + 1)
}

/// How many of the first bytes are in a range.
fn count(bytes: &[u8], first: u8, last: u8) -> usize {
    bytes.iter().take(MAX_SEQUENCE).take_while(|byte| (first..=last).contains(*byte)).count()
}

/// The length of a text and what ends it: ST, or BEL where that does. A line has no more, and another sequence begins none within.
fn string(rest: &[u8], is_ended_by_bell: bool) -> Option<usize> {
    let rest = &rest[..rest.len().min(MAX_STRING)];
    let mut at = 0;
    loop {
        at += rest[at..].iter().position(|byte| matches!(*byte, 0..=0x1f | C1))?;
        match rest[at] {
            ESC => return rest.get(at + 1).filter(|next| **next == b'\\').map(|_| at + 2),
            0x07 if is_ended_by_bell => return Some(at + 1),
            C1 if rest[at..].starts_with(&ST) => return Some(at + 2),
            C1 | b'\t' => at += 1,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn stripped(text: &str) -> String {
        String::from_utf8(without_escapes(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn whole_sequences_are_removed() {
        for (line, expected) in [
            ("\x1b[31mERROR\x1b[0m disk", "ERROR disk"),
            ("\x1b[1;38;5;196mred\x1b[m\x1b[K", "red"),
            ("\x1b[38:2::255:0:0mtrue\x1b[?25l\x1b[2 q colour", "true colour"),
            ("\x1b]0;title\x07text", "text"),
            ("\x1b]8;;http://a/\u{e9}?b\x1b\\link\x1b]8;;\x1b\\ end", "link end"),
            ("\x1bPq#0;2\x1b\\a\x1bXsos\x1b\\b\x1b^pm\x1b\\c\x1b_apc\x1b\\d", "abcd"),
            ("\x1b7a\x1b8b\x1bMc\x1b=d\x1b>\x1bc", "abcd"),
            ("\x1b(Ba\x1b)0b\x1b#8c\x1b%Gd", "abcd"),
            ("\u{9b}31ma\u{9b}0m\u{9d}0;t\u{9c}b\u{90}q\u{9c}c", "abc"),
            ("§ \u{a0}é\u{85}", "§ \u{a0}é\u{85}"),
        ] {
            assert_eq!(stripped(line), expected, "{line:?}");
        }
    }

    #[test]
    fn unfinished_ones_stay_and_hide_nothing() {
        let long = format!("\x1b]0;{}\x07after", "x".repeat(MAX_STRING));
        let many = format!("\x1b[{}mafter", "1;".repeat(MAX_SEQUENCE));
        for line in [
            "\x1b",
            "a\x1b[",
            "a\x1b[3",
            "\x1b[3\u{e9}m",
            "\x1b]0;no end and Failed password",
            "\x1bPq",
            "\x1b(",
            "\x1b\u{e9}",
            "\x1b\x1b",
            "\u{9b}",
            "\u{9d}0;t",
            &long,
            &many,
        ] {
            assert_eq!(stripped(line), line, "{line:?}");
            let lines = format!("{line}\nb\x1b[0mc\n");
            assert_eq!(stripped(&lines), format!("{line}\nbc\n"), "a sequence ends with its line");
        }
        assert_eq!(stripped("\x1b]0;first\x1b[31msecond\x1b[0m\x07"), "\x1b]0;firstsecond\x07", "what begins within it ends it");
        assert_eq!(stripped("\x1bPa\x07b\x1b\\"), "\x1bPa\x07b", "BEL ends none but OSC");
    }

    #[test]
    fn lines_without_a_sequence_are_not_copied() {
        assert!(matches!(without_escapes("plain § text\n\x1b\n".as_bytes()), Cow::Borrowed(_)));
    }

    #[test]
    fn every_line_stays_a_line_whatever_stands_in_it() {
        let mut random = Random::new(7);
        let parts: [&[u8]; 16] =
            [b"\x1b", b"[", b"]", b"P", b"\\", b"\x07", b"\n", b"\xc2", b"\x9b", b"\x9c", b"\x9d", b"m", b"3;", b"(", b"\xff", b"x"];
        for _ in 0..2000 {
            let lines: Vec<u8> = (0..60).flat_map(|_| parts[usize::try_from(random.bits() >> 60).unwrap()]).copied().collect();
            let kept = without_escapes(&lines);
            let newlines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(newlines(&kept), newlines(&lines), "{lines:?}");
            for (line, kept) in lines.split(|byte| *byte == b'\n').zip(kept.split(|byte| *byte == b'\n')) {
                assert_eq!(&*without_escapes(line), kept, "each line by itself: {lines:?}");
            }
        }
    }
}
