//! The lexical form of all configuration files: lines, comments, `name: argument`, and faults that say where they are.

use std::fmt;

/// The text of one file, and its name for messages.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The path as the user knows it.
    pub path: &'a str,
    /// The whole content.
    pub text: &'a str,
}

/// Most bytes of a configuration file.
pub const MAX_FILE: usize = 1 << 20;

/// Decodes a configuration file. Returns its text, and the fault if it is too large (then the text is empty) or not UTF-8.
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

/// A line that is neither empty nor a comment.
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
    /// The line, counted from 1; 0 for a fault of the whole file.
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
    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault { path: self.path.into(), line: self.number, reason: reason.into() }
    }
}

impl<'a> Source<'a> {
    /// The lines that are neither empty nor comments.
    pub fn lines(self) -> impl Iterator<Item = SourceLine<'a>> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(self.text);
        let trimmed = text.lines().enumerate().map(move |(i, line)| SourceLine { path: self.path, number: i + 1, text: line.trim() });
        trimmed.filter(|line| !line.text.is_empty() && !line.text.starts_with('#'))
    }
}

/// The directive whose argument may be missing.
const WITHOUT_ARGUMENT: &str = "journal";

/// Splits `name: argument`.
///
/// # Errors
/// The line has another form.
pub(super) fn directive<'a>(line: &SourceLine<'a>) -> Result<(&'a str, &'a str), Fault> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let Some((name, argument)) = line.text.split_once(':').filter(|(name, _)| is_name(name)) else {
        return Err(line.fault(format!("expected \"name: argument\", got \"{}\"", line.text)));
    };
    let trimmed = argument.trim_start();
    if trimmed.is_empty() && name != WITHOUT_ARGUMENT {
        return Err(line.fault(format!("{name}: the argument is missing")));
    }
    if trimmed.len() == argument.len() && !trimmed.is_empty() {
        return Err(line.fault(format!("{name}: white space is missing after the colon")));
    }
    Ok((name, trimmed))
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
        assert_eq!(directive(&line("h", 1, "journal:")), Ok(("journal", "")));
        for (text, reason) in [
            ("file", "h:7: expected \"name: argument\", got \"file\""),
            (": x", "h:7: expected \"name: argument\", got \": x\""),
            ("My File: x", "h:7: expected \"name: argument\", got \"My File: x\""),
            ("file:/a", "h:7: file: white space is missing after the colon"),
            ("journal:ssh", "h:7: journal: white space is missing after the colon"),
            ("file:", "h:7: file: the argument is missing"),
        ] {
            assert_eq!(directive(&line("h", 7, text)).unwrap_err().to_string(), reason);
        }
    }
}
