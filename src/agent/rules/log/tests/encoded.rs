//! Logs in UTF-16, and lines with escape sequences.

use super::*;

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

impl Bench {
    /// Reads lines of `/log` in UTF-16. Returns how many bytes are processed.
    fn wide_lines(&mut self, bytes: &[u8]) -> usize {
        let lines = Lines { position: self.position, place: None, bytes, units: Units::BigEndian };
        let log = self.file("/log");
        let consumed = self.rules.handle_lines(at(1), self.logs.file_mut(log).unwrap(), lines, &mut self.delivery);
        self.position += consumed as u64;
        consumed
    }
}

#[test]
fn patterns_and_events_see_text() {
    let mut bench = Bench::new("file: /log\nencoding: utf-16\nmatch: ^error (.)$\nalert_all: tags=T text={1}!\n");
    let lines = wide("\u{feff}error 漢\r\nfine\nerror \u{1f680}\nerror x");
    assert_eq!(bench.wide_lines(&lines), lines.len());
    assert_eq!(bench.events(), ["T 漢!", "T \u{1f680}!", "T x!"]);
    // Half of a pair, and half of a unit at the end of a rotated file.
    let lines = [&wide("error ")[..], &[0xd8, 0x3d], &wide("\nerror ")[..], b"x"].concat();
    assert_eq!(bench.wide_lines(&lines), lines.len());
    assert_eq!(bench.events(), ["T \u{fffd}!", "T \u{fffd}!"]);
}

#[test]
fn what_finds_no_room_is_left_at_its_place_in_the_log() {
    const RULES: usize = 8;
    let mut bench = Bench::new(&ALL.replace("match", "encoding: utf-16be\nmatch").repeat(RULES));
    let text: String = (0..300).map(|number| format!("{}\n{}\n", "y".repeat(number), "x".repeat(1 + 3 * number))).collect();
    let bytes = wide(&text);
    let (mut done, mut found, mut stalls) = (0, 0, 0);
    while done < bytes.len() {
        let piece = &bytes[done..(done + 60_000).min(bytes.len())];
        let piece = &piece[..Units::BigEndian.last_end(piece).unwrap()];
        let consumed = bench.wide_lines(piece);
        assert!(consumed > 0, "{done}");
        stalls += usize::from(consumed < piece.len());
        done += consumed;
        found += bench.events().len();
        let newlines = bytes[..done].chunks(2).filter(|unit| **unit == [0, b'\n']).count();
        assert_eq!((found, Units::BigEndian.ends_line(&bytes[..done])), (RULES * (newlines / 2), true), "{done}");
    }
    assert_eq!((found, stalls > 2), (RULES * 300, true), "{stalls} times there was no room");
}

#[test]
fn escape_sequences_are_no_part_of_a_line_where_they_are_stripped() {
    let rule = "file: /log\nmatch: ^ERROR (\\w+)$\nalert_all: tags=T\n";
    let stripped = rule.replace("match", "strip: ansi\nmatch");
    let coloured = "\x1b[1;31mERROR\x1b[0m \x1b]8;;http://a/\x1b\\disk\x1b]8;;\x1b\\\r\nfine\n\x1b[31mERROR\x1b[m b\n";
    let mut bench = Bench::new(&stripped);
    assert_eq!(bench.lines(1, coloured), coloured.len());
    assert_eq!(bench.events(), ["T ERROR disk", "T ERROR b"]);
    let mut bench = Bench::new(rule);
    bench.lines(1, coloured);
    assert_eq!(bench.events(), [""; 0]);
    // The directive comes while the log is followed.
    bench.configure(1, &stripped);
    bench.lines(1, coloured);
    assert_eq!(bench.events().len(), 2);
}

#[test]
fn both_go_together_and_lines_are_joined_as_text() {
    let rule = "file: /log\nencoding: utf-16\nstrip: ansi\nmatch: ^ERROR\njoin: ^ at\nalert_all: tags=J\n";
    let mut bench = Bench::new(rule);
    let (first, rest) = (wide("\x1b[31mERROR\x1b[0m a\n at b\n\x1b[2m at c\x1b[0m\n"), wide("fine\n"));
    assert_eq!(bench.wide_lines(&first), 0, "it waits for more");
    let both = [&first[..], &rest].concat();
    assert_eq!(bench.wide_lines(&both), both.len());
    assert_eq!(bench.events(), ["J ERROR a \u{23ce} at b \u{23ce} at c"]);
    // As many as a file hands over at once are all that is waited for, though they are fewer bytes as text.
    let many = wide(&format!("ERROR\n{}", " at x\n".repeat(5460)));
    assert!(many.len() > 65_000 && many.len() < 2 * JoinedLines::MAX);
    assert_eq!(bench.wide_lines(&many), many.len());
}

#[test]
fn counts_and_numbers_are_found_in_text() {
    let mut bench = Bench::new("file: /log\nencoding: utf-16\nmatch: took (\\d+)\nalert_value: tags=V value=1\nfile: /log\nencoding: utf-16\nmatch: took\nalert_count: tags=C seconds=10\n");
    bench.wide_lines(&wide("took 5 ms\ntook 17 ms\n"));
    bench.time(10, 0);
    assert_eq!(bench.events(), ["V 5", "V 17", "C 2"]);
}
