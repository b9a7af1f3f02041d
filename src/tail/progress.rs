//! How far a log is done with, and which losses are still to be reported. Reads no file.

use std::time::Duration;

/// The progress of one log through all its files.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes that were handed on or given up.
    position: u64,
    /// Bytes that were given up and are not yet reported, by [`Cause`].
    lost: [u64; 4],
    /// A loss that is not counted in bytes.
    loss_text: Option<String>,
    /// Lines that were cut for length and are not yet reported.
    cut_lines: u64,
    cut_lines_reported: Option<Duration>,
}

/// Why bytes are given up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    /// The file was truncated or overwritten.
    Truncated,
    /// The file was deleted and cannot be held open for ever.
    Deleted,
    /// The file cannot be read.
    Unreadable,
    /// There are more rotated files than can be held open.
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

impl Progress {
    /// Least time between two reports of lines that were cut for length.
    const CUT_LINES_INTERVAL: Duration = Duration::from_secs(600);

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn advance(&mut self, bytes: u64) {
        self.position += bytes;
    }

    /// Counts lost bytes as done with, so that no new lines get their position.
    pub(super) fn give_up(&mut self, cause: Cause, bytes: u64) {
        self.position += bytes;
        self.lost[cause as usize] += bytes;
    }

    pub(super) fn add_loss_text(&mut self, text: Option<String>) {
        self.loss_text = text.or(self.loss_text.take());
    }

    pub(super) fn add_cut_line(&mut self) {
        self.cut_lines += 1;
    }

    /// What was given up since the last call.
    pub(super) fn take_loss(&mut self, path: &str) -> Option<String> {
        let mut all = self.loss_text.take();
        for (bytes, what) in std::mem::take(&mut self.lost).into_iter().zip(Cause::TEXTS) {
            if bytes > 0 {
                let before = all.map_or_else(String::new, |before| before + "; ");
                all = Some(format!("{before}{path}: {bytes} unread bytes {what}"));
            }
        }
        all
    }

    /// How many lines were cut for length since the last report, at most every ten minutes.
    pub(super) fn take_cut_lines(&mut self, now: Duration, path: &str) -> Option<String> {
        let is_due = self.cut_lines_reported.is_none_or(|reported| now - reported >= Self::CUT_LINES_INTERVAL);
        if self.cut_lines == 0 || !is_due {
            return None;
        }
        self.cut_lines_reported = Some(now);
        let count = std::mem::take(&mut self.cut_lines);
        let longest = crate::lines::MAX_LINE / 1024;
        Some(match count {
            1 => format!("{path}: a line was longer than {longest} KiB and is cut"),
            _ => format!("{path}: {count} lines were longer than {longest} KiB and are cut"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_of_every_cause_are_reported_once() {
        let mut progress = Progress::default();
        progress.advance(10);
        progress.give_up(Cause::Truncated, 3);
        progress.give_up(Cause::Deleted, 4);
        progress.give_up(Cause::TooMany, 0);
        progress.add_loss_text(Some("the start is gone".into()));
        progress.add_loss_text(None);
        assert_eq!(progress.position(), 17);
        let expected =
            "the start is gone; /log: 3 unread bytes were cut from the file; /log: 4 unread bytes are given up with a deleted file";
        assert_eq!(progress.take_loss("/log").as_deref(), Some(expected));
        assert_eq!(progress.take_loss("/log"), None);
    }

    #[test]
    fn lines_that_were_cut_are_reported_every_ten_minutes() {
        let mut progress = Progress::default();
        let mut report = |lines, seconds| {
            (0..lines).for_each(|_| progress.add_cut_line());
            progress.take_cut_lines(Duration::from_secs(seconds), "/log")
        };
        assert_eq!(report(0, 1), None);
        assert_eq!(report(1, 1).as_deref(), Some("/log: a line was longer than 64 KiB and is cut"));
        assert_eq!(report(1, 600), None);
        assert_eq!(report(1, 601).as_deref(), Some("/log: 2 lines were longer than 64 KiB and are cut"));
    }
}
