//! What had to be given up, until it is told.

use std::time::Duration;

/// Lines that will not be handed on, though they were written, and lines that were handed on in part.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Bytes that were known and not read, by [`Cause`].
    bytes: [u64; 4],
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

impl Cause {
    const TEXTS: [&'static str; 4] = [
        "were cut from the file",
        "are given up with a deleted file",
        "are in a file that cannot be read any more",
        "are given up, since the file was rotated too often to be read in time",
    ];
}

impl Losses {
    /// Least time between two reports of lines that were cut for length.
    const CUT_LINES_INTERVAL: Duration = Duration::from_secs(600);

    pub(super) fn add(&mut self, cause: Cause, bytes: u64) {
        self.bytes[cause as usize] += bytes;
    }

    pub(super) fn add_text(&mut self, text: Option<String>) {
        self.text = text.or(self.text.take());
    }

    /// What was given up since this was last asked.
    pub(super) fn take(&mut self, path: &str) -> Option<String> {
        let mut all = self.text.take();
        for (bytes, what) in std::mem::take(&mut self.bytes).into_iter().zip(Cause::TEXTS) {
            if bytes > 0 {
                let before = all.map_or_else(String::new, |before| before + "; ");
                all = Some(format!("{before}{path}: {bytes} unread bytes {what}"));
            }
        }
        all
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
