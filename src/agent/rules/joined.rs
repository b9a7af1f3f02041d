//! Lines that belong to the one before them, as those of a stack trace do. The lines stay in their file until all of them are there.

use super::search::FoundLine;
use crate::agent::output::LogId;
use crate::directives::host::Joining;
use crate::lines::lines;
use crate::pattern::Work;
use crate::text::{lossy, MAX_EVENT_TEXT};
use std::time::Duration;

/// A line and those that belong to it, as far as they are there.
pub(super) struct JoinedLines<'a> {
    bytes: &'a [u8],
    /// Whether no more can belong to it.
    pub(super) is_complete: bool,
}

/// The lines of a log that wait for others, one in each file.
#[derive(Default)]
pub(super) struct WaitingLines {
    waiting: Vec<WaitingLine>,
}

struct WaitingLine {
    file: LogId,
    position: u64,
    until: Duration,
}

impl<'a> JoinedLines<'a> {
    /// Most bytes of them: four times as many as the text of an event has. A file is read in blocks of twice as many, which end with a
    /// part of a line. If the bound were a whole block, lines up to it would wait in vain for one that does not fit into the block.
    pub(super) const MAX: usize = 32 * 1024;
    const SEPARATOR: &'static str = " ⏎ ";

    /// The lines of a block from that line on.
    pub(super) fn of(joining: &Joining, block: &'a [u8], line: &FoundLine<'_>, work: &mut Work) -> Self {
        let mut end = line.end;
        let is_complete = loop {
            let Some((length, next)) = lines(&block[end..]).next() else { break false };
            if end + length - line.start > Self::MAX || !joining.continues(&lossy(next), work) {
                break true;
            }
            end += length;
        };
        Self { bytes: &block[line.start..end], is_complete }
    }

    /// All of them in one line. Ends soon behind [`MAX_EVENT_TEXT`].
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (_, line) in lines(self.bytes) {
            if text.len() > MAX_EVENT_TEXT {
                break;
            }
            if !text.is_empty() {
                text += Self::SEPARATOR;
            }
            text += lossy(line).trim();
        }
        text
    }
}

impl WaitingLines {
    /// For how long a line waits at most.
    const LONGEST: Duration = Duration::from_secs(5);

    /// Whether the line at that position of a file waits for others. It does not for ever.
    pub(super) fn holds(&mut self, now: Duration, file: LogId, position: u64, is_complete: bool) -> bool {
        let known = self.waiting.iter().position(|line| line.file == file);
        let until = known.map(|at| self.waiting.swap_remove(at)).filter(|line| line.position == position).map(|line| line.until);
        let until = until.unwrap_or(now + Self::LONGEST);
        let waits = !is_complete && now < until;
        if waits {
            self.waiting.push(WaitingLine { file, position, until });
        }
        waits
    }

    /// Until when a line of that file waits, if one does.
    pub(super) fn until(&self, file: LogId) -> Option<Duration> {
        self.waiting.iter().find(|line| line.file == file).map(|line| line.until)
    }

    /// The file is gone.
    pub(super) fn forget(&mut self, file: LogId) {
        self.waiting.retain(|line| line.file != file);
    }
}
