//! The text of a configuration as version 2 of the protocol carries it, with comments that say where each line stood.

use super::source::SourceLine;
use crate::text::number;

/// Begins a comment that says where the following lines stood.
const MARK: &str = "#line ";

/// Up to this many lines that are left out become empty lines; more become a mark.
const LONGEST_GAP: usize = 8;

/// Joins lines, with marks from which [`marked_lines`] restores their files and numbers.
pub fn emit_marked(lines: &[SourceLine<'_>]) -> String {
    let mut text = String::new();
    let (mut path, mut next) = ("", 0);
    for line in lines {
        let follows = line.path == path && (next..=next + LONGEST_GAP).contains(&line.number);
        if follows {
            text.extend(std::iter::repeat_n('\n', line.number - next));
        } else {
            text += &format!("{MARK}{} {}\n", line.number, line.path);
        }
        text += line.text;
        text.push('\n');
        (path, next) = (line.path, line.number + 1);
    }
    text
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
    fn lines_before_any_mark_are_counted_from_one() {
        assert_eq!(marked_lines("file: /a\n#line x y\nmatch: b", "c"), [line("c", 1, "file: /a"), line("c", 3, "match: b")]);
    }
}
