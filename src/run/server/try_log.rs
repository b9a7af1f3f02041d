//! `ax436 -T` with a log: what the log rules of a host file make of its lines.

use super::unmatched::Unmatched;
use crate::agent::{DryRun, DryRunOutcome};
use crate::directives::host::{Group, LogAlert, LogRule, Rule};
use crate::encoding::{Encoding, Units};
use crate::escapes::without_escapes;
use crate::lines::{LineSplitter, MAX_LINE};
use crate::pattern::Pattern;
use crate::run::console;
use crate::run::failure::Failure;
use crate::sys::clock::Clock;
use crate::sys::reason;
use crate::wire::Message;
use std::borrow::Cow;
use std::fs::File;
use std::io::{stdin, Read};

/// The rules that read the log in one way: those of most host files read every log so.
struct Reader {
    encoding: Encoding,
    is_stripped: bool,
    /// The units of the log, once it is known how it begins.
    units: Option<Units>,
    splitter: LineSplitter,
    pending: Vec<u8>,
    /// Lines that were longer than [`MAX_LINE`].
    cut: u64,
    dry_run: DryRun,
    unmatched: Unmatched,
}

/// How compressed files begin: those of gzip, xz, zstd and bzip2.
const COMPRESSED: [&[u8]; 4] = [b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"BZh91AY&SY"];

/// Hands the lines of a log to all log rules, and prints the events and how many lines each rule matched. A log that is probably in
/// another encoding is named.
///
/// # Errors
/// The log cannot be read.
pub(super) fn run(host: &str, groups: Vec<Group<'_>>, log: &str) -> Result<(), Failure> {
    let rules = groups.into_iter().filter_map(|group| match group.rule {
        Rule::Log(rule) => Some(rule),
        _ => None,
    });
    let rules: Vec<LogRule> = rules.collect();
    let goes_by_time = rules.iter().any(goes_by_time);
    let mut readers = Reader::all(host, rules);
    feed(log, &mut |bytes| readers.iter_mut().for_each(|reader| reader.handle(log, bytes)))?;
    let (cut, is_empty) = (readers.iter().map(|reader| reader.cut).max(), readers.iter().all(|reader| reader.units.is_none()));
    let outcomes: Vec<(DryRunOutcome, Unmatched)> = readers.into_iter().map(Reader::finish).collect();
    if let Some((first, last)) = outcomes.iter().find_map(|(outcome, _)| outcome.times) {
        console::print(&format!("times of the lines: {first} to {last}"));
    } else if goes_by_time && !is_empty {
        console::print(
            "none of the first ten lines begins with a time: all lines count as one block, without active: and the terms of conditions",
        );
    }
    if let Some(cut @ 1..) = cut {
        console::print(&format!("{cut} lines are longer than 64 KiB and are cut"));
    }
    for (rule, matched) in outcomes.iter().flat_map(|(outcome, _)| &outcome.rules) {
        let patterns: Vec<_> = rule.patterns.iter().map(Pattern::as_str).collect();
        console::print(&format!("{matched} lines matched: {} match: {} tags={}", rule.opener(), patterns.join(" | "), rule.tags));
    }
    outcomes.iter().flat_map(|(_, unmatched)| unmatched.report()).for_each(|line| console::print(&line));
    Ok(())
}

/// Whether what a rule makes of lines depends on when they were written.
fn goes_by_time(rule: &LogRule) -> bool {
    match &rule.alert {
        LogAlert::All { limit: None, .. } | LogAlert::Value { .. } => rule.active.is_some(),
        _ => true,
    }
}

impl Reader {
    /// A reader for each way in which the rules read their logs.
    fn all(host: &str, rules: Vec<LogRule>) -> Vec<Self> {
        let mut ways: Vec<(Encoding, bool)> = Vec::new();
        for rule in &rules {
            let way = (rule.encoding, rule.is_stripped);
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        if ways.is_empty() {
            ways.push((Encoding::default(), false));
        }
        let now = Clock::start().now();
        let of = |(encoding, is_stripped)| {
            let is_read_so = |rule: &&LogRule| (rule.encoding, rule.is_stripped) == (encoding, is_stripped);
            Self {
                encoding,
                is_stripped,
                units: None,
                splitter: LineSplitter::default(),
                pending: Vec::new(),
                cut: 0,
                unmatched: Unmatched::new(rules.iter().filter(is_read_so)),
                // The lines are handed over as they are after that.
                dry_run: DryRun::new(now, host, rules.iter().filter(is_read_so).map(|rule| LogRule { is_stripped: false, ..rule.clone() })),
            }
        };
        ways.into_iter().map(of).collect()
    }

    /// Takes what follows in the log. The first bytes come at once.
    fn handle(&mut self, log: &str, bytes: &[u8]) {
        let units = *self.units.get_or_insert_with(|| {
            self.encoding.doubt(bytes).iter().for_each(|doubt| console::print(&format!("{log} {doubt}")));
            self.encoding.units(bytes)
        });
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut done = 0;
        loop {
            let piece = self.splitter.split(units, &pending[done..]);
            self.hand_over(units, piece.lines);
            let length = piece.lines.len();
            self.cut += u64::from(length > 0 && !piece.ends_line(length));
            let advanced = self.splitter.advance(piece, length);
            done += advanced;
            if advanced == 0 {
                break;
            }
        }
        self.pending = pending[done..].to_vec();
    }

    fn hand_over(&mut self, units: Units, lines: &[u8]) {
        let text = match units {
            Units::Bytes => Cow::Borrowed(lines),
            _ => Cow::Owned(units.decode(lines).into_bytes()),
        };
        let text = if self.is_stripped { without_escapes(&text) } else { Cow::Borrowed(&*text) };
        self.dry_run.handle_lines(&text).iter().for_each(|event| print_event(event));
        self.unmatched.handle_lines(&text);
    }

    /// The log has ended.
    fn finish(mut self) -> (DryRunOutcome, Unmatched) {
        let rest = std::mem::take(&mut self.pending);
        self.hand_over(self.units.unwrap_or_default(), &rest);
        let outcome = self.dry_run.finish();
        outcome.events.iter().for_each(|event| print_event(event));
        (outcome, self.unmatched)
    }
}

/// Hands over all bytes of a file.
#[allow(clippy::disallowed_methods, reason = "the lines to try")]
fn feed(log: &str, take: &mut dyn FnMut(&[u8])) -> Result<(), Failure> {
    let failure = |e: &std::io::Error| Failure::Usage(format!("cannot read {log}: {}", reason(e)));
    let mut input: Box<dyn Read> = match log {
        "-" => Box::new(stdin()),
        path => Box::new(File::open(path).map_err(|e| failure(&e))?),
    };
    let mut buffer = vec![0; MAX_LINE];
    let mut is_first = true;
    loop {
        // Whole units: a pipe may give half of a byte order mark first.
        let mut read = 0;
        while read < 2 {
            match input.read(&mut buffer[read..]).map_err(|e| failure(&e))? {
                0 => break,
                more => read += more,
            }
        }
        if read == 0 {
            return Ok(());
        }
        if std::mem::take(&mut is_first) && COMPRESSED.iter().any(|start| buffer[..read].starts_with(start)) {
            return Err(Failure::Usage(format!("{log} is compressed: unpack it, as with zcat, and hand it over with -")));
        }
        take(&buffer[..read]);
    }
}

/// Prints `tags file text` of an event.
fn print_event(datagram: &[u8]) {
    if let Ok(Message::Alert(alert)) = Message::parse(datagram) {
        console::print(&format!("{}%%{}%%{}", alert.tags, alert.file.unwrap_or("NULL"), alert.text));
    }
}
