//! The fuzz targets: functions of some bytes that must hold for all inputs. `cargo fuzz` calls them guided by coverage, tests/core/fuzz.rs
//! without.
#![allow(dead_code, unreachable_pub, reason = "cargo fuzz and a test each use their part")]

mod machines;

use project436::date::Zone;
use project436::directives::host::HostFile;
use project436::directives::keys::{parse_own, HostKeys};
use project436::directives::server::ServerFile;
use project436::directives::{emit_marked, expand, marked_lines, text_of, Silences, Source};
use project436::encoding::Units;
use project436::escapes::without_escapes;
use project436::lines::{LineSplitter, MAX_LINE};
use project436::pattern::{Pattern, Work};
use project436::wire::auth::{Key, SessionName, Side};
use project436::wire::{Message, Token};

/// A function of some bytes that must hold for all inputs.
pub type Target = fn(&[u8]);

/// All targets by their names.
pub const ALL: &[(&str, Target)] = &[
    ("wire", wire),
    ("directives", directives),
    ("lines", splitter),
    ("pattern", pattern),
    ("auth", auth),
    ("agent", machines::agent),
    ("server", machines::server),
    ("world", machines::world),
];

/// A parsed message is emitted as it was read, and parsed again as the same.
pub fn wire(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    let emitted = message.emit();
    assert_eq!(Message::parse(&emitted), Ok(message), "{:?}", String::from_utf8_lossy(data));
}

/// A silence that was read is written so that it is read again.
fn silences(source: Source<'_>) {
    for silence in Silences::parse(source).0.list {
        let line = silence.emit(Zone(|_| 0));
        let (again, faults) = Silences::parse(Source { path: "file", text: &line });
        assert!(faults.is_empty(), "{line}: {faults:?}");
        assert_eq!((&again.list[0].target(), again.list[0].until), (&silence.target(), silence.until), "{line}");
        let _ = again.covers("nas1", "DISK,LOG", 0);
    }
}

/// Every kind of file parses without a crash. The good lines of a host file make the same rules again, also in the form on the wire.
pub fn directives(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    let (text, _) = text_of("file", text.to_vec());
    let source = Source { path: "file", text: &text };
    match kind % 4 {
        0 => drop(ServerFile::parse(source)),
        1 => {
            if let Ok(keys) = HostKeys::parse(source) {
                drop(keys.trust("nas1"));
            }
            assert!(parse_own(source).is_err() || parse_own(source).is_ok_and(|keys| (1..=2).contains(&keys.len())));
        }
        3 => silences(source),
        _ => host_file(source),
    }
}

fn host_file(source: Source<'_>) {
    let include = Source { path: "include", text: "match: error\n# comment\nalert_all: tags=A\ninclude: x\n" };
    let expanded = expand(source, |name| (name == "common").then_some(include));
    let file = HostFile::parse(expanded.lines.iter().copied());
    file.faults.iter().for_each(|fault| assert!(!fault.to_string().contains('\n'), "{fault}"));
    let good = file.good_lines();
    let again = HostFile::parse(good.iter().copied());
    assert!(again.faults.is_empty(), "{:?}", again.faults);
    let marked = emit_marked(&good);
    let over_the_wire = HostFile::parse(marked_lines(&marked, "CONFIG"));
    for (ours, theirs) in [(&file, &again), (&file, &over_the_wire)] {
        assert!(ours.groups.iter().map(|group| &group.rule).eq(theirs.groups.iter().map(|group| &group.rule)));
    }
    for group in &file.groups {
        let _ = group.classic_lines();
        let _ = group.identity();
    }
}

/// Lines of each kind of units come out whole and in order, however the bytes are split when they arrive and when they are taken.
pub fn splitter(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else { return };
    let units = [Units::Bytes, Units::LittleEndian, Units::Bytes, Units::BigEndian][usize::from(first >> 2 & 3)];
    // For a line that is too long some bytes count for many.
    let times = |b: u8| if first & 1 == 1 && b == b'L' { 700 } else { 1 };
    let mut bytes: Vec<u8> = bytes.iter().flat_map(|b| std::iter::repeat_n(*b, times(*b))).collect();
    bytes.truncate(3 * MAX_LINE);
    let least = if bytes.len() > 10_000 { 2000 } else { 1 };
    let mut sizes = bytes.iter().map(|b| 1 + usize::from(*b)).cycle();
    let (mut splitter, mut pending, mut found, mut given) = (LineSplitter::default(), Vec::new(), Vec::new(), 0);
    while given < bytes.len() {
        // The buffer is as large as the longest line, as in the programs.
        let wanted = (sizes.next().unwrap_or(1) * usize::from(first)).clamp(least, 8000);
        let size = wanted.min(bytes.len() - given).min(MAX_LINE - pending.len());
        pending.extend_from_slice(&bytes[given..given + size]);
        given += size;
        loop {
            let piece = splitter.split(units, &pending);
            let mut taken = lines_of(units, piece.lines);
            // Sometimes only a part is taken.
            if first & 2 == 2 && taken.len() > 1 {
                taken.truncate(taken.len() / 2);
            }
            let consumed = taken.last().map_or(0, |(end, _)| *end);
            found.extend(taken.into_iter().map(|(_, line)| line));
            let advanced = splitter.advance(piece, consumed);
            assert!(advanced <= pending.len());
            pending.drain(..advanced);
            if advanced == 0 {
                break;
            }
        }
        assert!(pending.len() < MAX_LINE, "{} bytes wait", pending.len());
    }
    let plain = plain_lines(units, &bytes);
    // The start of a last line without its end may be there, if the line is too long.
    found.truncate(plain.len().max(found.len().saturating_sub(1)));
    assert_eq!(found, plain);
}

/// The lines of a piece, each with the offset behind it.
fn lines_of(units: Units, piece: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let (mut lines, mut start) = (Vec::new(), 0);
    while start < piece.len() {
        let end = units.first_end(&piece[start..]).map_or(piece.len(), |length| start + length);
        lines.push((end, units.line(&piece[start..end]).to_vec()));
        start = end;
    }
    lines
}

/// The lines with a newline, unit by unit. As text they stay lines.
fn plain_lines(units: Units, bytes: &[u8]) -> Vec<Vec<u8>> {
    let character = |c: u8| match units {
        Units::Bytes => vec![c],
        Units::LittleEndian => vec![c, 0],
        Units::BigEndian => vec![0, c],
    };
    let (mut plain, mut line, mut text) = (Vec::new(), Vec::new(), Vec::new());
    for unit in bytes.chunks_exact(units.width()) {
        text.extend_from_slice(unit);
        if unit != character(b'\n') {
            line.extend_from_slice(unit);
            continue;
        }
        line.truncate(MAX_LINE);
        let carriage_return = character(b'\r');
        plain.push(line.strip_suffix(&carriage_return[..]).unwrap_or(&line).to_vec());
        line.clear();
    }
    let text = if units == Units::Bytes { text } else { units.decode(&text).into_bytes() };
    for text in [&text[..], &without_escapes(&text)] {
        assert_eq!(text.iter().filter(|b| **b == b'\n').count(), plain.len());
    }
    plain
}

/// A pattern and its prefilter find what the plain expression finds.
pub fn pattern(data: &[u8]) {
    let (text, block) = data.iter().position(|b| *b == 0).map_or((data, &b""[..]), |at| (&data[..at], &data[at + 1..]));
    let Ok(text) = std::str::from_utf8(text) else { return };
    let parsed = Pattern::parse(text);
    let plain = regex_lite::RegexBuilder::new(text).size_limit(Pattern::SIZE_LIMIT).build();
    let (parsed, plain) = match (parsed, plain) {
        (Ok(parsed), Ok(plain)) => (parsed, plain),
        (Err(_), Err(_)) => return,
        (parsed, plain) => panic!("{text:?}: {parsed:?}, but {plain:?}"),
    };
    let mut candidates = parsed.candidates(block);
    let mut next = candidates.next_from(0, usize::MAX, &mut Work::turn());
    let mut start = 0;
    for line in block.split_inclusive(|b| *b == b'\n') {
        let end = start + line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let text_of_line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        let expected = plain.is_match(&text_of_line);
        assert_eq!(parsed.is_match(&text_of_line), expected, "{text:?} in {text_of_line:?}");
        if next.is_some_and(|line| line.at < start) {
            next = candidates.next_from(start, usize::MAX, &mut Work::turn());
        }
        let found = next.filter(|line| line.at < end);
        assert!(!expected || found.is_some(), "{text:?} passes over {text_of_line:?}");
        assert!(expected || !found.is_some_and(|line| line.is_certain), "{text:?} takes {text_of_line:?}");
        start = end;
    }
}

/// Only datagrams that the other side signed verify, each once, whatever changes are made to them.
pub fn auth(data: &[u8]) {
    let name = SessionName { host: "nas1", run: Token(1), nonce: Token(2), cookie: Token(3) };
    let key = Key::new([7; 32]);
    let (mut agent, mut server) = (key.session(Side::Agent, name), key.session(Side::Server, name));
    let (mut signed, mut verified) = (Vec::<Vec<u8>>::new(), std::collections::BTreeSet::new());
    let mut rest = data;
    while let [operation, at, value, tail @ ..] = rest {
        let (at, value) = (usize::from(*at), *value);
        rest = tail;
        match (operation % 4, signed.get(at % signed.len().max(1)).cloned()) {
            (0, _) | (_, None) => {
                let text = &tail[..at.min(tail.len())];
                signed.push(agent.signed(text.to_vec()));
            }
            (1, Some(datagram)) => {
                let number = at % signed.len();
                let recent = signed.len() - number <= 128;
                let taken = server.verify(&datagram).is_ok();
                let first = verified.insert(number);
                assert!(!taken || first, "{number} is taken twice");
                assert!(taken || !first || !recent, "{number} of {} is not taken", signed.len());
            }
            (operation, Some(mut datagram)) => {
                let place = usize::from(value) % datagram.len();
                if operation == 2 {
                    datagram[place] ^= 1 << (at % 8);
                } else {
                    datagram.truncate(place);
                    datagram.extend(tail.iter().take(at));
                }
                assert!(signed.contains(&datagram) || server.verify(&datagram).is_err(), "a forgery is taken");
                assert!(agent.clone().verify(&datagram).is_err() && key.verify(Side::Agent, &datagram).is_err());
            }
        }
    }
}

/// Calls a target by its name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = ALL.iter().find(|(known, _)| *known == name).expect("a target of that name");
    target(data);
}
