//! What had to be given up, until it is told.

use std::time::Duration;

/// Lines that will not be handed on, though they were written, and lines that were handed on in part.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Bytes that were known and not read, by what became of them.
    cut: u64,
    deleted: u64,
    unreadable: u64,
    too_many: u64,
    /// What is told as it stands.
    text: Option<String>,
    /// Lines that were cut for length, and when that was last told.
    pub(super) cut_lines: u64,
    told: Option<Duration>,
}

/// Why bytes are given up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    /// Cut from the file, or overwritten.
    Cut,
    /// In a file that was deleted, which cannot be held open for ever.
    Deleted,
    /// In a file that cannot be read.
    Unreadable,
    /// In one of more rotated files than can be held open.
    TooMany,
}

impl Losses {
    /// Least time between two reports of lines that were cut for length.
    const CUT_LINES_INTERVAL: Duration = Duration::from_secs(600);

    pub(super) fn add(&mut self, cause: Cause, bytes: u64) {
        let sum = match cause {
            Cause::Cut => &mut self.cut,
            Cause::Deleted => &mut self.deleted,
            Cause::Unreadable => &mut self.unreadable,
            Cause::TooMany => &mut self.too_many,
        };
        *sum += bytes;
    }

    pub(super) fn add_text(&mut self, text: Option<String>) {
        self.text = text.or(self.text.take());
    }

    /// What was given up since this was last asked.
    pub(super) fn take(&mut self, path: &str) -> Option<String> {
        let sums = [
            (&mut self.cut, "were cut from the file"),
            (&mut self.deleted, "are given up with a deleted file"),
            (&mut self.unreadable, "are in a file that cannot be read any more"),
            (&mut self.too_many, "are given up, since the file was rotated too often to be read in time"),
        ];
        let told = sums.into_iter().map(|(sum, what)| (std::mem::take(sum), what)).filter(|(sum, _)| *sum > 0);
        let told = told.map(|(sum, what)| format!("{path}: {sum} unread bytes {what}"));
        let all: Vec<String> = self.text.take().into_iter().chain(told).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// How many lines were cut for length since this was last told; not more often than every ten minutes.
    pub(super) fn take_cut_lines(&mut self, now: Duration, path: &str) -> Option<String> {
        let is_due = self.told.is_none_or(|told| now - told >= Self::CUT_LINES_INTERVAL);
        if self.cut_lines == 0 || !is_due {
            return None;
        }
        self.told = Some(now);
        let count = std::mem::take(&mut self.cut_lines);
        let longest = crate::lines::MAX_LINE / 1024;
        Some(match count {
            1 => format!("{path}: a line was longer than {longest} KiB and is cut"),
            _ => format!("{path}: {count} lines were longer than {longest} KiB and are cut"),
        })
    }
}
