//! Finds, in a stretch of lines, those that the patterns of a log's rules may match. Between two stretches it keeps only how far the
//! matching of a line has come that takes longer than a turn.

use crate::agent::output::LogId;
use crate::directives::host::LogRule;
use crate::pattern::{Candidate, Candidates, Work};
use crate::text::lossy;
use memchr::{memchr, memrchr};
use std::borrow::Cow;
use std::cell::OnceCell;

/// The searches of one stretch of lines: one for each set of patterns.
pub(super) struct Searches<'a> {
    bytes: &'a [u8],
    searches: Vec<PatternSearch<'a>>,
    /// Most bytes that are searched at once by each pattern for which that is work.
    most: usize,
}

/// Searches for one set of patterns.
struct PatternSearch<'a> {
    rule: &'a LogRule,
    patterns: Vec<Candidates<'a>>,
    /// The next line that may match, as far as it was searched for; `None` if there is no more.
    next: Option<Candidate>,
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
    text: OnceCell<Cow<'a, str>>,
}

impl<'a> Searches<'a> {
    /// Searches for the patterns of each of these rules.
    pub(super) fn new(rules: impl Iterator<Item = &'a LogRule>, bytes: &'a [u8]) -> Self {
        let searches = rules.map(|rule| {
            let patterns = rule.patterns.iter().map(|pattern| pattern.candidates(bytes)).collect();
            PatternSearch { rule, patterns, next: Some(Candidate::possible(0)), is_match: false }
        });
        let searches: Vec<_> = searches.collect();
        let working = searches.iter().flat_map(|search| &search.patterns).filter(|pattern| pattern.is_work()).count();
        Self { bytes, searches, most: Work::share(working) }
    }

    /// The next line, from the byte `from` on, that one of the rules may match. If the work is done, that is the first line.
    pub(super) fn next_line(&mut self, from: usize, work: &mut Work) -> Option<FoundLine<'a>> {
        let at = if work.is_done() && from < self.bytes.len() {
            self.searches.iter_mut().for_each(|search| search.next = Some(Candidate::possible(from)));
            from
        } else {
            self.searches.iter_mut().filter_map(|search| search.next_from(from, self.most, work)).min()?
        };
        let is_start = at == 0 || self.bytes[at - 1] == b'\n';
        let start = if is_start { at } else { memrchr(b'\n', &self.bytes[..at]).map_or(0, |newline| newline + 1) };
        let end = memchr(b'\n', &self.bytes[at..]).map_or(self.bytes.len(), |newline| at + newline + 1);
        let line = &self.bytes[start..end];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Some(FoundLine { start, end, bytes: line.strip_suffix(b"\r").unwrap_or(line), text: OnceCell::new() })
    }

    /// Decides which of the rules match the line that was found last, at that position of a file. Returns whether all is decided: if
    /// the work is done before that, the next call for the line goes on.
    pub(super) fn match_line(
        &mut self,
        line: &FoundLine<'_>,
        (file, position): (LogId, u64),
        unfinished: &mut Option<Box<UnfinishedLine>>,
        work: &mut Work,
    ) -> bool {
        let (mut first, mut searched) = (0, 0);
        if let Some(known) = unfinished.take().filter(|line| line.file == file && line.position == position) {
            (first, searched) = (known.decided.len(), known.searched);
            self.searches.iter_mut().zip(known.decided).for_each(|(search, is_match)| search.is_match = is_match);
        }
        for at in first..self.searches.len() {
            let Some(is_match) = self.searches[at].matches(line, &mut searched, work) else {
                let decided = self.searches[..at].iter().map(|search| search.is_match).collect();
                *unfinished = Some(Box::new(UnfinishedLine { file, position, decided, searched }));
                return false;
            };
            self.searches[at].is_match = is_match;
            searched = 0;
        }
        true
    }

    /// The lines that are searched.
    pub(super) fn block(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the rule of that index matches the line that was found last.
    pub(super) fn is_match(&self, rule: usize) -> bool {
        self.searches[rule].is_match
    }
}

impl FoundLine<'_> {
    /// The line as text. It is made when it is first asked for.
    pub(super) fn text(&self) -> &str {
        self.text.get_or_init(|| lossy(self.bytes))
    }
}

impl PatternSearch<'_> {
    #[inline(never)]
    fn next_from(&mut self, from: usize, most: usize, work: &mut Work) -> Option<usize> {
        if self.next.is_some() {
            let lines = self.patterns.iter_mut().filter_map(|pattern| pattern.next_from(from, most, work));
            self.next = lines.min_by_key(|line| line.at);
        }
        self.next.map(|line| line.at)
    }

    /// Whether a line matches that is the next one or comes before that. See [`LogRule::matches`].
    fn matches(&self, line: &FoundLine<'_>, searched: &mut usize, work: &mut Work) -> Option<bool> {
        let Some(next) = self.next.filter(|next| next.at < line.end) else { return Some(false) };
        if next.is_certain {
            if self.rule.ignores.is_empty() {
                return Some(true);
            }
            *searched = (*searched).max(self.rule.found());
        }
        self.rule.matches(line.text(), searched, work)
    }
}
