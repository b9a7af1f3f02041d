//! Which patterns were found in none of the lines that `-T` was given, and which line comes nearest. Prints nothing.

use crate::directives::host::LogRule;
use crate::lines::lines;
use crate::pattern::Pattern;
use crate::text::{lossy, truncate};

/// Patterns that were not found yet, and the lines among which the nearest is sought.
pub(super) struct Unmatched {
    patterns: Vec<Pattern>,
    lines: Vec<String>,
}

impl Unmatched {
    /// Lines among which the nearest is sought, and patterns for which it is.
    const MAX_LINES: usize = 2000;
    const MAX_NEAREST: usize = 20;
    /// A shorter start of a pattern says nothing.
    const SHORTEST: usize = 4;
    /// Longer ones are not tried.
    const LONGEST: usize = 300;
    /// Most bytes of a line that are shown.
    const SHOWN: usize = 200;

    pub(super) fn new<'a>(rules: impl Iterator<Item = &'a LogRule>) -> Self {
        let mut patterns: Vec<Pattern> = Vec::new();
        for pattern in rules.flat_map(|rule| &rule.patterns) {
            if !patterns.contains(pattern) {
                patterns.push(pattern.clone());
            }
        }
        Self { patterns, lines: Vec::new() }
    }

    /// Takes whole lines. Only the last may lack its newline.
    pub(super) fn handle_lines(&mut self, bytes: &[u8]) {
        for (_, line) in lines(bytes) {
            let line = lossy(line);
            self.patterns.retain(|pattern| !pattern.is_match(&line));
            if self.lines.len() < Self::MAX_LINES {
                self.lines.push(line.into());
            }
        }
    }

    /// A line to be printed for each pattern that was not found, and one for what comes nearest to it.
    pub(super) fn report(&self) -> Vec<String> {
        let mut report = Vec::new();
        for (at, pattern) in self.patterns.iter().enumerate() {
            report.push(format!("found in no line: {}", pattern.as_str()));
            if let Some((start, line)) = self.nearest(pattern.as_str()).filter(|_| at < Self::MAX_NEAREST) {
                report.push(format!("  up to \"{start}\" it is found in: {}", truncate(line, Self::SHOWN)));
            }
        }
        report
    }

    /// The longest start of a pattern that is found in a line, and that line.
    fn nearest<'a>(&self, pattern: &'a str) -> Option<(&'a str, &str)> {
        let ends = pattern.char_indices().map(|(at, _)| at).filter(|at| (Self::SHORTEST..Self::LONGEST).contains(at));
        let starts: Vec<(&str, Pattern)> = ends.filter_map(|end| Some((&pattern[..end], Pattern::parse(&pattern[..end]).ok()?))).collect();
        // Where a start is found, shorter ones are found too.
        let (mut low, mut high, mut nearest) = (0, starts.len(), None);
        while low < high {
            let middle = low + (high - low) / 2;
            let (start, pattern) = &starts[middle];
            match self.lines.iter().find(|line| pattern.is_match(line)) {
                Some(line) => (nearest, low) = (Some((*start, &**line)), middle + 1),
                None => high = middle,
            }
        }
        nearest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::host::{HostFile, Rule};
    use crate::directives::Source;

    fn report(patterns: &[&str], text: &str) -> Vec<String> {
        let file: String = patterns.iter().map(|pattern| format!("match: {pattern}\n")).collect();
        let file = format!("file: /a\n{file}alert_all: tags=T\n");
        let groups = HostFile::parse(Source { path: "h", text: &file }.lines()).groups;
        let rules = groups.iter().filter_map(|group| match &group.rule {
            Rule::Log(rule) => Some(rule),
            _ => None,
        });
        let mut unmatched = Unmatched::new(rules);
        unmatched.handle_lines(text.as_bytes());
        unmatched.report()
    }

    #[test]
    fn a_pattern_that_is_found_in_no_line_is_named_with_the_line_that_comes_nearest() {
        let lines = "sshd[7]: Accepted key\nsshd[8]: Failed password for root from 192.0.2.1\n";
        for (pattern, nearest) in [
            (r"Failed passwd", "  up to \"Failed passw\" it is found in: sshd[8]: Failed password for root from 192.0.2.1"),
            (r"sshd\[\d+\]: (Failed|Invalid) user", "  up to \"sshd\\[\\d+\\]: (Failed|Invalid) \" it is found in: sshd[8]: Failed pass"),
            (r"Accepted [a-z]+ for", "  up to \"Accepted [a-z]+\" it is found in: sshd[7]: Accepted key"),
        ] {
            let report = report(&[pattern, "root"], lines);
            assert_eq!((report.len(), &*report[0]), (2, &*format!("found in no line: {pattern}")), "{report:?}");
            assert!(report[1].starts_with(nearest), "{report:?}");
        }
        assert_eq!(report(&["xyz", "éééé[", "root"].map(|pattern| pattern.trim_end_matches('[')), lines).len(), 2);
        assert_eq!(report(&["root", "sshd"], lines), [""; 0]);
    }
}
