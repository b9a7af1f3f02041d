//! Finds, in a stretch of lines, those that the patterns of a log's rules may match. Between two stretches it keeps only how far the
//! matching of a line has come that takes longer than a turn.

use crate::agent::output::LogId;
use crate::directives::host::LogRule;
use crate::pattern::{Candidates, Work};
use memchr::{memchr, memrchr};

/// The searches of one stretch of lines: one for each set of patterns.
pub(super) struct Searches<'a> {
    bytes: &'a [u8],
    searches: Vec<PatternSearch<'a>>,
}

/// Searches for one set of patterns.
struct PatternSearch<'a> {
    rule: &'a LogRule,
    patterns: Vec<Candidates<'a>>,
    /// A byte of the next line that may match, as far as it was searched for; `None` if there is no more.
    next: Option<usize>,
    /// Whether the line that was found last matches.
    is_match: bool,
}

/// A line that is not matched completely, and what is known of it.
pub(super) struct UnfinishedLine {
    file: LogId,
    position: u64,
    /// Which of the first rules match.
    decided: Vec<bool>,
    /// How many patterns of the next rule were searched for.
    searched: usize,
}

/// A line that may match.
pub(super) struct FoundLine<'a> {
    /// Where it begins, and where the next line does.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Its bytes, without the newline and a carriage return before that.
    pub(super) bytes: &'a [u8],
}

impl<'a> Searches<'a> {
    /// Searches for the patterns of each of these rules.
    pub(super) fn new(rules: impl Iterator<Item = &'a LogRule>, bytes: &'a [u8]) -> Self {
        let searches = rules.map(|rule| {
            let patterns = rule.patterns.iter().map(|pattern| pattern.candidates(bytes)).collect();
            PatternSearch { rule, patterns, next: Some(0), is_match: false }
        });
        Self { bytes, searches: searches.collect() }
    }

    /// The next line, from the byte `from` on, that one of the rules may match.
    pub(super) fn next_line(&mut self, from: usize) -> Option<FoundLine<'a>> {
        let at = self.searches.iter_mut().filter_map(|search| search.next_from(from)).min()?;
        let start = memrchr(b'\n', &self.bytes[..at]).map_or(0, |newline| newline + 1);
        let end = memchr(b'\n', &self.bytes[at..]).map_or(self.bytes.len(), |newline| at + newline + 1);
        let line = &self.bytes[start..end];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Some(FoundLine { start, end, bytes: line.strip_suffix(b"\r").unwrap_or(line) })
    }

    /// Decides which of the rules match the line that was found last, at that position of a file. `text` is that line as text. Returns
    /// whether all is decided: if the work is done before that, the next call for the line goes on.
    pub(super) fn match_line(
        &mut self,
        line: &FoundLine<'_>,
        text: &str,
        (file, position): (LogId, u64),
        unfinished: &mut Option<Box<UnfinishedLine>>,
        work: &mut Work,
    ) -> bool {
        let known = unfinished.take().filter(|line| line.file == file && line.position == position);
        let (mut searched, decided) = known.map_or((0, Vec::new()), |line| (line.searched, line.decided));
        for at in 0..self.searches.len() {
            let search = &mut self.searches[at];
            search.is_match = match decided.get(at) {
                Some(is_match) => *is_match,
                None if search.next.is_none_or(|next| next >= line.end) => false,
                None => match search.rule.matches(text, &mut searched, work) {
                    Some(is_match) => is_match,
                    None => {
                        let decided = self.searches[..at].iter().map(|search| search.is_match).collect();
                        *unfinished = Some(Box::new(UnfinishedLine { file, position, decided, searched }));
                        return false;
                    }
                },
            };
            if at >= decided.len() {
                searched = 0;
            }
        }
        true
    }

    /// Whether the rule of that index matches the line that was found last.
    pub(super) fn is_match(&self, rule: usize) -> bool {
        self.searches[rule].is_match
    }
}

impl PatternSearch<'_> {
    #[inline(never)]
    fn next_from(&mut self, from: usize) -> Option<usize> {
        if self.next.is_some() {
            self.next = self.patterns.iter_mut().filter_map(|pattern| pattern.next_from(from)).min();
        }
        self.next
    }
}
