//! The configuration language: lexical form, includes and errors here; the server's own file in [`server`], a host's in [`host`].
//! Pure: texts go in, values and all errors come out; no file is opened here.

mod arguments;
pub mod decimal;
pub mod host;
pub mod keys;
pub mod server;

use crate::text::{has_separator, number};
use std::fmt;

/// One file's name, for messages, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// As the user would name the file.
    pub path: &'a str,
    /// The whole content.
    pub text: &'a str,
}

/// Most bytes of a file of configuration.
pub const MAX_FILE: usize = 1 << 20;

/// The text that a file of configuration has, and what is wrong with the file as a whole.
pub fn text_of(path: &str, bytes: Vec<u8>) -> (String, Option<Fault>) {
    let fault = |line, reason: String| Some(Fault { path: path.into(), line, reason });
    if bytes.len() > MAX_FILE {
        return (String::new(), fault(0, format!("is larger than {MAX_FILE} bytes")));
    }
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(e) => {
            let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
            (String::from_utf8_lossy(e.as_bytes()).into(), fault(line, "is not UTF-8".into()))
        }
    }
}

/// A line that is neither empty nor a comment, trimmed, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLine<'a> {
    /// The file.
    pub path: &'a str,
    /// Counted from 1.
    pub number: usize,
    /// Without white space at either end.
    pub text: &'a str,
}

/// An error in a configuration: `path:line: reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub path: String,
    /// The line, counted from 1; 0 where the fault is the whole file's.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.reason)
    }
}

impl SourceLine<'_> {
    fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault { path: self.path.into(), line: self.number, reason: reason.into() }
    }
}

impl<'a> Source<'a> {
    /// The lines that say something.
    pub fn lines(self) -> impl Iterator<Item = SourceLine<'a>> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(self.text);
        let trimmed = text.lines().enumerate().map(move |(i, line)| SourceLine { path: self.path, number: i + 1, text: line.trim() });
        trimmed.filter(|line| !line.text.is_empty() && !line.text.starts_with('#'))
    }
}

/// Splits `name: argument`.
fn directive<'a>(line: &SourceLine<'a>) -> Result<(&'a str, &'a str), Fault> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let Some((name, argument)) = line.text.split_once(':').filter(|(name, _)| is_name(name)) else {
        return Err(line.fault(format!("expected \"name: argument\", got \"{}\"", line.text)));
    };
    let trimmed = argument.trim_start();
    if trimmed.is_empty() {
        return Err(line.fault(format!("{name}: the argument is missing")));
    }
    if trimmed.len() == argument.len() {
        return Err(line.fault(format!("{name}: white space is missing after the colon")));
    }
    Ok((name, trimmed))
}

/// Whether a name that came over the network or out of a configuration may be that of a file inside a folder.
/// Editors' backup copies (`name~`, `#name#`) are no configuration either.
pub fn is_plain_file_name(name: &str) -> bool {
    let backup = name.ends_with('~') || name.starts_with('#');
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with('.')
        && !backup
        && !name.chars().any(|c| c == '/' || c == '\\' || c.is_control())
        && !has_separator(name)
}

/// A host file with its includes in their places.
#[derive(Clone, Debug, Default)]
pub struct Expanded<'a> {
    /// In the order of the host file.
    pub lines: Vec<SourceLine<'a>>,
    /// The names of the includes that it uses, those that do not exist among them.
    pub includes: Vec<&'a str>,
    /// Includes that are missing, nested or badly named.
    pub faults: Vec<Fault>,
}

/// Replaces each `include: NAME` of a host file by the lines of that file, one level deep.
pub fn expand<'a>(host: Source<'a>, include: impl Fn(&str) -> Option<Source<'a>>) -> Expanded<'a> {
    let mut expanded = Expanded::default();
    for line in host.lines() {
        let Ok(("include", name)) = directive(&line) else {
            expanded.lines.push(line);
            continue;
        };
        if !is_plain_file_name(name) {
            expanded.faults.push(line.fault(format!("include: \"{name}\" is not a plain file name")));
            continue;
        }
        expanded.includes.push(name);
        let Some(source) = include(name) else {
            expanded.faults.push(line.fault(format!("include: there is no file \"{name}\" in the folder of includes")));
            continue;
        };
        for inner in source.lines() {
            match directive(&inner) {
                Ok(("include", _)) => expanded.faults.push(inner.fault("include: an include file cannot include another")),
                _ => expanded.lines.push(inner),
            }
        }
    }
    expanded
}

/// What a comment begins with that says where the following lines stand.
const MARK: &str = "#line ";

/// A gap of at most so many lines is sent as empty lines rather than as a mark.
const LONGEST_GAP: usize = 8;

/// The text of a configuration as version 2 carries it: the lines, and comments from which [`marked_lines`] tells where each stood.
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

/// The number and the path of a mark.
fn mark(text: &str) -> Option<(usize, &str)> {
    let (next, path) = text.strip_prefix(MARK)?.split_once(' ')?;
    Some((usize::try_from(number(next, 10)?).ok()?, path))
}

/// The lines of a text made by [`emit_marked`]; `path` names those before the first mark.
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
    fn comments_and_empty_lines_are_no_lines() {
        let source = Source { path: "h", text: "\u{feff}# one\n\n  file: /a  \r\n\t\n   # two\nmatch: b" };
        assert_eq!(source.lines().collect::<Vec<_>>(), [line("h", 3, "file: /a"), line("h", 6, "match: b")]);
    }

    #[test]
    fn a_directive_is_a_name_a_colon_white_space_and_an_argument() {
        assert_eq!(directive(&line("h", 1, "file:\t /a b")), Ok(("file", "/a b")));
        for (text, reason) in [
            ("file", "h:7: expected \"name: argument\", got \"file\""),
            (": x", "h:7: expected \"name: argument\", got \": x\""),
            ("My File: x", "h:7: expected \"name: argument\", got \"My File: x\""),
            ("file:/a", "h:7: file: white space is missing after the colon"),
            ("file:", "h:7: file: the argument is missing"),
        ] {
            assert_eq!(directive(&line("h", 7, text)).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn names_that_leave_the_folder_are_not_plain() {
        for name in ["", ".", "..", ".hidden", "../x", "a/b", "/etc/shadow", "a\0b", "a\nb", "a%%b", "nas1~", "#nas1#"] {
            assert!(!is_plain_file_name(name), "{name:?}");
        }
        for name in ["nas1", "router.example.org", "büro", "a%b"] {
            assert!(is_plain_file_name(name), "{name:?}");
        }
    }

    #[test]
    fn an_include_stands_in_the_place_of_its_directive() {
        let host = Source { path: "h", text: "file: /a\ninclude: common\nfile: /z" };
        let common = Source { path: "i/common", text: "# shared\nmatch: b\n" };
        let expanded = expand(host, |name| (name == "common").then_some(common));
        assert_eq!(expanded.lines, [line("h", 1, "file: /a"), line("i/common", 2, "match: b"), line("h", 3, "file: /z")]);
        assert_eq!(expanded.includes, ["common"]);
        assert!(expanded.faults.is_empty());
    }

    #[test]
    fn bad_includes_are_faults_where_they_stand() {
        let host = Source { path: "h", text: "include: gone\ninclude: ../x\ninclude: outer" };
        let outer = Source { path: "i/outer", text: "\ninclude: common" };
        let expanded = expand(host, |name| (name == "outer").then_some(outer));
        let faults: Vec<_> = expanded.faults.iter().map(|fault| (fault.path.as_str(), fault.line)).collect();
        assert_eq!(faults, [("h", 1), ("h", 2), ("i/outer", 2)]);
        assert_eq!(expanded.includes, ["gone", "outer"]);
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
