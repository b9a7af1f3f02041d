//! Logs in UTF-16.

use super::*;
use crate::encoding::{Encoding, Units};

/// A text in UTF-16, without a mark.
fn wide(units: Units, text: &str) -> Vec<u8> {
    let to_bytes = |unit: u16| if units == Units::BigEndian { unit.to_be_bytes() } else { unit.to_le_bytes() };
    text.encode_utf16().flat_map(to_bytes).collect()
}

impl Case {
    /// The file holds one old line in UTF-16 and is followed from its end.
    fn of_utf_16(name: &str, encoding: Encoding, units: Units) -> Self {
        let mut case = Self::new(name);
        fs::write(case.path("log"), wide(units, "\u{feff}old\r\n")).unwrap();
        case.follower = Follower::from_end(&Access::unrestricted(), case.path("log").to_str().unwrap());
        case.follower.set_encoding(encoding);
        case
    }

    fn append_bytes(&self, name: &str, bytes: &[u8]) {
        fs::OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap().write_all(bytes).unwrap();
    }

    /// The lines that are read within so many seconds, as text.
    fn texts(&mut self, seconds: u64) -> Vec<String> {
        self.time += Duration::from_secs(seconds);
        self.follower.look(self.time, &mut |_| None).unwrap();
        let (mut buffer, mut seen) = (vec![0; BUFFER], Vec::new());
        let mut take = |Piece { bytes, units, .. }: Piece<'_>| {
            seen.extend(units.decode(bytes).lines().map(str::to_string));
            bytes.len()
        };
        while self.follower.read(self.time, &mut buffer, &mut take) {}
        seen
    }

    fn restart(&mut self, encoding: Encoding) -> Option<String> {
        let position = self.follower.position();
        let (follower, lost) = Follower::resume(&Access::unrestricted(), self.path("log").to_str().unwrap(), &position, 0);
        self.follower = follower;
        self.follower.set_encoding(encoding);
        lost
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn half_of_a_character_waits_for_the_other_half() {
    for units in [Units::LittleEndian, Units::BigEndian] {
        let mut case = Case::of_utf_16("utf16-halves", Encoding::Utf16, units);
        for (number, byte) in wide(units, "\u{a00}\u{a0a}ਊ one\r\ntwo\n").into_iter().enumerate() {
            case.append_bytes("log", &[byte]);
            let expected = match number {
                17 => &["\u{a00}\u{a0a}ਊ one"][..],
                25 => &["two"],
                _ => &[],
            };
            assert_eq!(case.texts(1), expected, "{units:?} {number}");
            if number % 3 == 0 {
                assert_eq!(case.restart(Encoding::Utf16), None);
            }
        }
    }
}

#[test]
fn a_file_is_read_in_its_own_byte_order_whatever_that_before_it_had() {
    let mut case = Case::of_utf_16("utf16-orders", Encoding::Utf16, Units::LittleEndian);
    case.append_bytes("log", &wide(Units::LittleEndian, "little\n"));
    case.rename("log", "log.1");
    case.append_bytes("log", &wide(Units::BigEndian, "\u{feff}big\n"));
    assert_eq!(case.texts(1), ["little", "big"]);
    case.append_bytes("log.1", &wide(Units::LittleEndian, "late\n"));
    case.append_bytes("log", &wide(Units::BigEndian, "next\n"));
    assert_eq!(case.texts(1), ["late", "next"]);
    fs::write(case.path("log"), wide(Units::LittleEndian, "\u{feff}cut and other\n")).unwrap();
    assert_eq!(case.texts(1), ["cut and other"]);
}

#[test]
fn the_unended_line_of_a_rotated_file_is_read_without_half_a_character_and_the_file_is_let_go() {
    let mut case = Case::of_utf_16("utf16-unended", Encoding::Utf16, Units::LittleEndian);
    let half = wide(Units::LittleEndian, "half");
    case.append_bytes("log", &half[..7]);
    assert_eq!(case.texts(1), NOTHING);
    case.rename("log", "log.1");
    case.append_bytes("log", &wide(Units::LittleEndian, "\u{feff}new\n"));
    assert_eq!(case.texts(1), ["new"]);
    assert_eq!(case.texts(5), ["hal"]);
    assert_eq!(case.texts(5), NOTHING);
    assert_eq!((case.texts(61), case.follower.rotated_files()), (vec![], 0), "half of a character is nothing to wait for");
}

#[test]
fn a_file_of_a_mark_alone_is_no_line_and_no_place() {
    let mut case = Case::of_utf_16("utf16-mark", Encoding::Utf16, Units::LittleEndian);
    case.rename("log", "log.1");
    case.append_bytes("log", &wide(Units::LittleEndian, "\u{feff}"));
    assert_eq!(case.texts(1), NOTHING);
    case.rename("log", "log.2");
    case.append_bytes("log", &wide(Units::LittleEndian, "\u{feff}new\n"));
    assert_eq!(case.texts(1), ["new"]);
    assert_eq!(case.texts(6), NOTHING);
    assert!(case.follower.position().files.iter().all(|file| file.offset != 2), "{:?}", case.follower.position());
    assert_eq!((case.texts(61), case.follower.rotated_files()), (vec![], 0));
}

#[test]
fn an_overlong_line_is_cut_and_told_and_the_next_one_is_whole() {
    let mut case = Case::of_utf_16("utf16-overlong", Encoding::Utf16, Units::LittleEndian);
    case.append_bytes("log", &wide(Units::LittleEndian, &format!("{}\nnext\n", "\u{a0a}".repeat(MAX_LINE))));
    let texts = case.texts(1);
    assert_eq!((texts.len(), texts[0].chars().count(), &*texts[1]), (2, MAX_LINE / 2, "next"));
    assert!(case.follower.take_cut_lines(case.time).unwrap().ends_with("a line was longer than 64 KiB and is cut"));
    // A restart within such a line goes on behind it.
    case.append_bytes("log", &wide(Units::LittleEndian, &"\u{a0a}y".repeat(MAX_LINE / 2)));
    assert_eq!(case.texts(1).len(), 1);
    assert_eq!(case.restart(Encoding::Utf16), None);
    case.append_bytes("log", &wide(Units::LittleEndian, "rest\nlast\n"));
    assert_eq!(case.texts(1), ["last"]);
}

#[test]
fn zeros_of_a_writer_that_goes_on_at_its_old_offset_are_passed_over() {
    for units in [Units::LittleEndian, Units::BigEndian] {
        let encoding = if units == Units::BigEndian { Encoding::Utf16Be } else { Encoding::Utf16Le };
        let mut case = Case::of_utf_16("utf16-hole", encoding, units);
        case.append_bytes("log", &wide(units, "1\n"));
        assert_eq!(case.texts(1), ["1"]);
        let hole = fs::metadata(case.path("log")).unwrap().len();
        let file = fs::OpenOptions::new().write(true).open(case.path("log")).unwrap();
        file.set_len(0).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &wide(units, "2\n3\n"), hole + 4096).unwrap();
        assert_eq!(case.texts(1), ["2", "3"], "{units:?}");
    }
}

#[test]
fn a_change_of_the_encoding_goes_on_at_the_place_of_before() {
    let mut case = Case::of_utf_16("utf16-change", Encoding::Utf8, Units::LittleEndian);
    let lines = |text: &str| wide(Units::LittleEndian, text);
    case.append_bytes("log", &lines("before\n"));
    // Read as bytes, the newline ends in front of its second byte.
    assert_eq!(case.texts_as_bytes(), 1);
    assert_eq!(case.follower.position().files[0].offset % 2, 1);
    case.append_bytes("log", &lines("after\n"));
    case.follower.set_encoding(Encoding::Utf16);
    assert_eq!(case.texts(1), ["", "after"]);
    case.append_bytes("log", &lines("odd\n"));
    case.follower.set_encoding(Encoding::Utf8);
    assert_eq!(case.texts_as_bytes(), 1);
    assert_eq!(case.restart(Encoding::Utf16), None);
    case.append_bytes("log", &lines("restarted\n"));
    assert_eq!(case.texts(1), ["", "restarted"]);
}

impl Case {
    /// How many pieces are read as bytes.
    fn texts_as_bytes(&mut self) -> usize {
        self.time += Duration::from_secs(1);
        self.follower.look(self.time, &mut |_| None).unwrap();
        let mut pieces = 0;
        let mut take = |Piece { bytes, units, .. }: Piece<'_>| {
            assert_eq!(units, Units::Bytes);
            pieces += 1;
            bytes.len()
        };
        while self.follower.read(self.time, &mut vec![0; BUFFER], &mut take) {}
        pieces
    }
}

#[test]
fn what_is_no_utf_16_stops_nothing_and_is_told_once() {
    let mut case = Case::new("utf16-not");
    case.follower.set_encoding(Encoding::Utf16);
    case.append("log", &"a plain line\n".repeat(20));
    let texts = case.texts(1);
    assert!(texts.is_empty(), "no newline is found: {texts:?}");
    let log = case.path("log").display().to_string();
    assert_eq!(case.follower.take_doubt(), Some(format!("{log} is no UTF-16, and its encoding: says utf-16")));
    assert_eq!(case.follower.take_doubt(), None);
    case.append("log", &"x".repeat(2 * MAX_LINE));
    assert_eq!(case.texts(1).len(), 1, "the start of an overlong line");
    case.follower.set_encoding(Encoding::Utf8);
    case.append("log", "\nplain again\n");
    assert_eq!(case.next(), ["plain again"]);
    assert_eq!(case.follower.take_doubt(), None);
}

#[test]
fn utf_16_that_is_read_as_bytes_is_told_once() {
    let mut case = Case::of_utf_16("utf16-told", Encoding::Utf8, Units::BigEndian);
    assert_eq!(case.texts_as_bytes(), 0);
    let log = case.path("log").display().to_string();
    let told = format!("{log} is UTF-16 and is read as UTF-8: its groups need encoding: utf-16");
    assert_eq!((case.follower.take_doubt(), case.follower.take_doubt()), (Some(told), None));
}

#[test]
fn what_is_cut_unread_is_told() {
    let mut case = Case::of_utf_16("utf16-cut", Encoding::Utf16, Units::LittleEndian);
    case.append_bytes("log", &wide(Units::LittleEndian, "never read\n"));
    case.follower.look(case.time, &mut |_| None).unwrap();
    // As long as before, so that only the content tells.
    fs::write(case.path("log"), wide(Units::LittleEndian, "\u{feff}new\r\nanother li\n")).unwrap();
    assert_eq!(case.texts(1), ["new", "another li"]);
    let told = case.follower.take_loss().unwrap_or_default();
    assert!(told.ends_with("log: 22 unread bytes were cut from the file"), "{told}");
}

#[test]
fn lines_that_two_files_have_in_common_end_at_newlines() {
    let case = Case::of_utf_16("utf16-common", Encoding::Utf16, Units::LittleEndian);
    case.append_bytes("one", &wide(Units::LittleEndian, "a\n\u{a0a}b\n"));
    case.append_bytes("other", &wide(Units::LittleEndian, "a\n\u{a0a}x\n"));
    let open = |name, offset| LogFile::open(&Access::unrestricted(), &case.path(name), Encoding::Utf16, offset).unwrap();
    assert_eq!(open("one", u64::MAX).common_lines(&open("other", 0), 0).unwrap(), 4);
}

#[test]
fn the_end_of_a_line_is_found_by_its_content() {
    let case = Case::of_utf_16("utf16-line-end", Encoding::Utf16, Units::LittleEndian);
    case.append_bytes("log", &wide(Units::LittleEndian, "one\r\nañ\n"));
    let (path, inode) = (case.path("log").display().to_string(), case.inode("log"));
    let place = |offset: u64, line: &str| {
        let hash = crate::hash::Fnv1a::of_line(&wide(Units::LittleEndian, line));
        crate::wire::position::FilePosition::within_batch(offset, inode, hash)
    };
    let found = |offset, line| line_end(&Access::unrestricted(), &path, Encoding::Utf16, &place(offset, line)).map(|place| place.offset);
    assert_eq!((found(22, "one"), found(28, "añ"), found(22, "two"), found(24, "a")), (Some(22), Some(28), None, None));
}
