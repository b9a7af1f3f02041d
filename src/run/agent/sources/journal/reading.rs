//! Makes lines of entries, and notices which entries were removed before they were read. Starts no command.

use super::entry::Entry;
use crate::agent::{Agent, JournalBlock, JournalEntry, Lines, LogEvent, LogId, Place};
use crate::encoding::Units;
use crate::lines::lines;
use crate::now::Now;
use crate::wire::position::Position;
use crate::wire::Cursor;
use std::time::Duration;

pub(super) struct JournalReading {
    /// The journal was read up to that entry.
    cursor: Cursor,
    /// Whether the next entry should be the one at the cursor.
    is_first: bool,
    /// Whether entries were processed that the agent was not told the position of.
    has_moved: bool,
    /// Bytes of lines that were processed.
    position: u64,
    lost: Lost,
    reported: Option<Duration>,
}

/// What was not handed over, or not as a whole, since the last report.
#[derive(Default)]
struct Lost {
    /// Entries that were numbered and did not come.
    missing: u64,
    /// Whether it is not known how many did not come.
    is_place_gone: bool,
    /// Entries that were too long to be read.
    skipped: u64,
    /// Lines that were cut for length.
    cut: u64,
}

/// Entries that are handed over at once.
#[derive(Default)]
struct Block {
    text: String,
    entries: Vec<JournalEntry>,
    /// Where the JSON of each ends. One that makes no line ends with the one before.
    json_ends: Vec<usize>,
    /// How many bytes of JSON are taken in.
    taken: usize,
    cut: u64,
    skipped: u64,
}

impl JournalReading {
    /// Most bytes of an entry in JSON: a binary message takes up to four times as many as it has.
    pub(super) const MAX_ENTRY: usize = 512 * 1024;
    /// Bytes of JSON that are handed over at once: if there is no room for all of it, the rest is read again.
    const BLOCK: usize = 64 * 1024;
    /// An entry that is read so many microseconds after it was written may have lost the ones before it.
    const LATE: u64 = 2_000_000;
    /// Least time between two reports of losses.
    const REPORT_INTERVAL: Duration = Duration::from_secs(600);

    /// Nothing before that entry is handed over, and not the entry itself, unless rules have not processed it yet.
    pub(super) fn new(cursor: Cursor) -> Self {
        Self { cursor, is_first: true, has_moved: false, position: 0, lost: Lost::default(), reported: None }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// A command begins to print, from the returned entry on.
    pub(super) fn begin_run(&mut self) -> Cursor {
        self.is_first = true;
        self.cursor
    }

    /// Takes whole lines of JSON. Only the last may lack its newline: then its end is missing. Returns how many bytes are processed.
    pub(super) fn take(&mut self, now: Now, id: LogId, agent: &mut Agent, json: &[u8]) -> usize {
        let mut processed = 0;
        while processed < json.len() {
            let block = self.block(&json[processed..]);
            let place = Place::Journal(JournalBlock { before: self.cursor, entries: &block.entries });
            let lines = Lines { position: self.position, place: Some(place), bytes: block.text.as_bytes(), units: Units::Bytes };
            let consumed = agent.handle_log(now, id, LogEvent::Lines(lines));
            let count = block.entries.partition_point(|entry| entry.end <= consumed);
            block.entries[..count].iter().for_each(|entry| self.pass(now, entry.cursor));
            self.position += consumed as u64;
            if consumed < block.text.len() {
                return processed + count.checked_sub(1).map_or(0, |last| block.json_ends[last]);
            }
            self.lost.cut += block.cut;
            self.lost.skipped += block.skipped;
            self.is_first = false;
            processed += block.taken;
        }
        processed
    }

    /// The first entries of that JSON.
    fn block(&self, json: &[u8]) -> Block {
        let (mut block, mut is_first) = (Block::default(), self.is_first);
        for (end, line) in lines(json) {
            match Entry::parse(line) {
                Some(entry) if std::mem::take(&mut is_first) && self.cursor.done == 0 && entry.cursor.is_same_entry(&self.cursor) => {}
                Some(Entry { cursor, unit, line, is_cut }) => {
                    block.text += &line;
                    block.text.push('\n');
                    block.cut += u64::from(is_cut);
                    block.entries.push(JournalEntry { end: block.text.len(), cursor, unit });
                    block.json_ends.push(end);
                }
                // A command that is killed leaves a part of an entry.
                None if end == json.len() && end < Self::MAX_ENTRY && !json.ends_with(b"\n") => {}
                None => block.skipped += 1,
            }
            block.taken = end;
            if end >= Self::BLOCK {
                break;
            }
        }
        block
    }

    /// An entry is processed.
    fn pass(&mut self, now: Now, cursor: Cursor) {
        let is_first = std::mem::take(&mut self.is_first);
        let is_late = (now.unix * 1_000_000).saturating_sub(cursor.realtime) >= Self::LATE;
        if !cursor.is_same_entry(&self.cursor) {
            match self.cursor.between(&cursor) {
                // Nothing is removed that was just written: then another user's entries, which may be invisible, are between.
                Some(missing) if is_first || is_late => self.lost.missing += missing,
                Some(_) => {}
                // Journald has begun another series, unless its old entries are gone.
                None => self.lost.is_place_gone |= is_first && self.cursor.number > 0,
            }
        }
        (self.cursor, self.has_moved) = (cursor, true);
    }

    /// Tells the agent how far the journal is read, and what was lost.
    pub(super) fn report(&mut self, now: Now, id: LogId, agent: &mut Agent) {
        if std::mem::take(&mut self.has_moved) {
            agent.handle_log(now, id, LogEvent::Read(Position::of_cursor(self.cursor)));
        }
        if self.reported.is_none_or(|reported| now.mono.saturating_sub(reported) >= Self::REPORT_INTERVAL) {
            let texts = std::mem::take(&mut self.lost).texts();
            self.reported = if texts.is_empty() { self.reported } else { Some(now.mono) };
            for text in texts {
                agent.handle_log(now, id, LogEvent::Loss(text));
            }
        }
    }
}

impl Lost {
    /// What is to be reported, an event each.
    fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut add = |count: u64, one: &str, many: &str| match count {
            0 => {}
            1 => texts.push(format!("journal: {one}")),
            count => texts.push(format!("journal: {count} {many}")),
        };
        add(
            self.missing,
            "an entry is missing: it was removed before it was read, or this agent may not read it",
            "entries are missing: they were removed before they were read, or this agent may not read them",
        );
        add(self.skipped, "an entry could not be read and is skipped", "entries could not be read and are skipped");
        add(self.cut, "a line was longer than 64 KiB and is cut", "lines were longer than 64 KiB and are cut");
        if self.is_place_gone {
            texts.push("journal: the entry that was read last is gone: entries after it may be missing".into());
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::WeekMinute;

    /// The losses that are known once these entries have come, each given by its series, number and age in seconds.
    fn losses(start: Cursor, entries: &[(u64, u64, u64)]) -> Vec<String> {
        let now = Now { mono: Duration::ZERO, unix: 1000, local: WeekMinute::new(0, 0, 0), second: 0 };
        let mut reading = JournalReading::new(start);
        for (series, number, age) in entries {
            let realtime = (now.unix - age) * 1_000_000;
            reading.pass(now, Cursor { series: [*series, 1], number: *number, realtime, ..Cursor::default() });
        }
        reading.lost.texts()
    }

    #[test]
    fn numbers_that_are_missing_are_a_loss_at_the_start_and_where_reading_is_late() {
        let start = Cursor { series: [5, 1], number: 10, ..Cursor::default() };
        for (entries, missing) in [
            (&[(5, 10, 0), (5, 11, 0), (5, 12, 90)][..], 0),
            (&[(5, 11, 0), (5, 12, 0)], 0),
            (&[(5, 14, 0), (5, 15, 0)], 3),
            (&[(5, 11, 90), (5, 14, 90)], 2),
            (&[(5, 11, 0), (5, 14, 0)], 0),
            (&[(5, 11, 90), (6, 1, 90), (6, 2, 90)], 0),
        ] {
            let expected = (missing > 0).then(|| format!("journal: {missing} entries are missing"));
            let losses = losses(start, entries);
            assert_eq!(losses.len(), usize::from(expected.is_some()), "{entries:?}: {losses:?}");
            assert!(losses.iter().zip(&expected).all(|(loss, expected)| loss.starts_with(expected)), "{losses:?}");
        }
    }

    #[test]
    fn another_series_at_the_start_means_that_the_place_is_gone_unless_there_was_no_entry() {
        let start = Cursor { series: [5, 1], number: 10, ..Cursor::default() };
        let gone = "journal: the entry that was read last is gone: entries after it may be missing";
        assert_eq!(losses(start, &[(6, 30, 0), (7, 1, 0)]), [gone]);
        assert_eq!(losses(Cursor::since(5), &[(6, 30, 0), (6, 31, 0)]), [""; 0]);
    }
}
