//! The text of a configuration as version 3 of the protocol carries it, with comments that say where each line stood.

use super::host::HostFile;
use super::source::SourceLine;
use crate::text::number;

/// Begins a comment that says where the following lines stood.
const MARK: &str = "#line ";

/// Up to this many lines that are left out become empty lines; more become a mark.
const LONGEST_GAP: usize = 8;

/// Joins lines, with marks from which [`marked_lines`] restores their files and numbers.
pub fn emit_marked(lines: &[SourceLine<'_>]) -> String {
    let mut text = MarkedText::default();
    lines.iter().for_each(|line| text.push(line));
    text.text
}

/// The text of the valid groups of a host file, as many as have room in `max` bytes, in their order. If some have none, the reason of
/// the fault too.
pub fn emit_fitting(file: &HostFile<'_>, max: usize) -> (String, Option<String>) {
    let (mut marked, mut left_out) = (MarkedText::default(), 0);
    for group in &file.groups {
        let MarkedText { ref text, path, next } = marked;
        let before = (text.len(), path, next);
        group.lines.iter().for_each(|line| marked.push(line));
        if marked.text.len() > max {
            marked.text.truncate(before.0);
            (marked.path, marked.next) = (before.1, before.2);
            left_out += 1;
        }
    }
    let groups = file.groups.len();
    let reason = || format!("with its includes larger than {max} bytes: {left_out} of {groups} groups are left out");
    let fault = (left_out > 0).then(reason);
    (marked.text, fault)
}

/// A text that grows line by line.
#[derive(Default)]
struct MarkedText<'a> {
    text: String,
    /// The file of the last line, and the number of the line behind it.
    path: &'a str,
    next: usize,
}

impl<'a> MarkedText<'a> {
    fn push(&mut self, line: &SourceLine<'a>) {
        let follows = line.path == self.path && (self.next..=self.next + LONGEST_GAP).contains(&line.number);
        if follows {
            self.text.extend(std::iter::repeat_n('\n', line.number - self.next));
        } else {
            self.text += &format!("{MARK}{} {}\n", line.number, line.path);
        }
        self.text += line.text;
        self.text.push('\n');
        (self.path, self.next) = (line.path, line.number + 1);
    }
}

/// Reads a mark: a line number and a path.
fn mark(text: &str) -> Option<(usize, &str)> {
    let (next, path) = text.strip_prefix(MARK)?.split_once(' ')?;
    Some((usize::try_from(number(next, 10)?).ok()?, path))
}

/// The lines of a text that [`emit_marked`] made. `path` is the file of those before the first mark.
pub fn marked_lines<'a>(text: &'a str, path: &'a str) -> Vec<SourceLine<'a>> {
    let mut lines = Vec::new();
    let (mut path, mut number) = (path, 0);
    for text in text.lines() {
        if let Some((next, next_path)) = mark(text) {
            (path, number) = (next_path, next.saturating_sub(1));
            continue;
        }
        number = number.saturating_add(1);
        let text = text.trim();
        if !text.is_empty() && !text.starts_with('#') {
            lines.push(SourceLine { path, number, text });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::source::Source;

    fn line<'a>(path: &'a str, number: usize, text: &'a str) -> SourceLine<'a> {
        SourceLine { path, number, text }
    }

    #[test]
    fn marked_text_keeps_where_every_line_stood() {
        let lines = [
            line("h", 3, "file: /a"),
            line("h", 4, "match: b"),
            line("i/common file", 9, "alert_all: tags=T"),
            line("h", 5, "file: /b"),
            line("h", 8, "match: c"),
            line("h", 100, "alert_all: tags=T"),
        ];
        let text = emit_marked(&lines);
        assert_eq!(marked_lines(&text, "unknown"), lines);
        assert_eq!(text.matches(MARK).count(), 4, "{text}");
    }

    #[test]
    fn all_groups_that_fit_are_emitted_and_the_others_counted() {
        let group = |name: &str| format!("file: /{name}\nmatch: b\nalert_all: tags=T\n");
        let source = group("first") + &group(&"x".repeat(100)) + "# skipped\n" + &group("last");
        let file = HostFile::parse(Source { path: "h", text: &source }.lines());
        let (whole, none) = emit_fitting(&file, 1000);
        assert_eq!((&*whole, none), (&*emit_marked(&file.good_lines()), None));
        assert_eq!(emit_fitting(&file, whole.len()), (whole.clone(), None));
        let (text, fault) = emit_fitting(&file, whole.len() - 1);
        assert_eq!(fault.unwrap(), format!("with its includes larger than {} bytes: 1 of 3 groups are left out", whole.len() - 1));
        assert_eq!(marked_lines(&text, "unknown"), file.good_lines()[..6]);
        let (text, fault) = emit_fitting(&file, 100);
        assert!(fault.unwrap().ends_with(": 1 of 3 groups are left out"));
        assert_eq!(marked_lines(&text, "unknown"), [&file.groups[0].lines[..], &file.groups[2].lines].concat());
        let (text, fault) = emit_fitting(&file, 10);
        assert!(text.is_empty() && fault.unwrap().ends_with(": 3 of 3 groups are left out"));
    }

    #[test]
    fn lines_before_any_mark_are_counted_from_one() {
        assert_eq!(marked_lines("file: /a\n#line x y\nmatch: b", "c"), [line("c", 1, "file: /a"), line("c", 3, "match: b")]);
    }
}
