//! What a rule counts in one file, and which of the file's lines were written within the times of its alert.

use super::condition::Condition;

/// What a rule counts in one file.
#[derive(Clone)]
pub(super) struct FileCount {
    /// Lines that matched in the present block.
    pub(super) matched: u64,
    /// Whether the lines that are being read were written within the alert's times …
    is_active: bool,
    /// … and the positions from which that changes.
    edges: Vec<u64>,
    pub(super) condition: Condition,
    /// The last line that matched, if its captures may be asked for: at most [`Self::MAX_LINE`] bytes of it.
    pub(super) last_line: String,
}

impl FileCount {
    /// Most bytes of a line that are kept.
    pub(super) const MAX_LINE: usize = 8 * 1024;

    pub(super) fn new(is_active: bool) -> Self {
        Self { matched: 0, is_active, edges: Vec::new(), condition: Condition::default(), last_line: String::new() }
    }

    /// The file ends at that position while the times of this or another alert begin or end.
    pub(super) fn handle_end(&mut self, is_active: bool, position: u64) {
        let is_active_at_end = self.is_active ^ (self.edges.len() % 2 == 1);
        if is_active_at_end == is_active {
            return;
        }
        // Two edges with no line between them undo each other.
        if self.edges.last() == Some(&position) {
            self.edges.pop();
        } else {
            self.edges.push(position);
        }
    }

    /// Whether a line at that position was written within the alert's times. Positions never decrease.
    pub(super) fn is_active_at(&mut self, position: u64) -> bool {
        while self.edges.first().is_some_and(|edge| *edge <= position) {
            self.edges.remove(0);
            self.is_active = !self.is_active;
        }
        self.is_active
    }
}
