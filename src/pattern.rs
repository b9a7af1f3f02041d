//! A regular expression of a host file, compiled within a size limit.
//! Knows nothing of lines or rules; the syntax is that of `regex-lite`.

use regex_lite::{Captures, Regex, RegexBuilder};

/// A compiled pattern. Searching takes time linear in the length of the text.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: Box<str>,
    search: Search,
}

/// A pattern without any operator is searched for as it stands, which needs no program.
#[derive(Clone, Debug)]
enum Search {
    Literal,
    Program(Regex),
}

impl Pattern {
    /// Most bytes that a compiled program may take.
    pub const SIZE_LIMIT: usize = 64 * 1024;

    /// Compiles a pattern.
    ///
    /// # Errors
    /// The reason, which names the pattern and, where that is known, the position of the character at which it went wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let search = if text.contains(is_operator) {
            Search::Program(compile(text).map_err(|reason| describe(text, &reason))?)
        } else {
            Search::Literal
        };
        Ok(Self { text: text.into(), search })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern is found anywhere in the text.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.search {
            Search::Literal => text.contains(&*self.text),
            Search::Program(regex) => regex.is_match(text),
        }
    }

    /// How many capture groups the pattern has, the whole match not counted.
    pub fn groups(&self) -> usize {
        match &self.search {
            Search::Literal => 0,
            Search::Program(regex) => regex.captures_len() - 1,
        }
    }

    /// The first place where the pattern is found, with its groups; `None` also for a pattern that has no groups.
    pub fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        match &self.search {
            Search::Literal => None,
            Search::Program(regex) => regex.captures(text),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

fn is_operator(c: char) -> bool {
    matches!(c, '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$')
}

fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(Pattern::SIZE_LIMIT).build().map_err(|e| e.to_string())
}

/// `regex-lite` says what is wrong, not where: the shortest start of the pattern that is refused for the same reason ends there.
fn describe(text: &str, reason: &str) -> String {
    let fails_alike = |end: &usize| compile(&text[..*end]).is_err_and(|r| r == reason);
    let ends = text.char_indices().skip(1).map(|(at, _)| at).chain([text.len()]);
    let position = ends.take(MAX_PROBES).position(|end| fails_alike(&end));
    match position {
        Some(at) => format!("pattern \"{text}\": {reason} at character {}", at + 1),
        None => format!("pattern \"{text}\": {reason}"),
    }
}

/// Bounds the work for an absurdly long pattern that is wrong.
const MAX_PROBES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_and_a_program_find_the_same() {
        for text in ["", "error", "an error here", "Error"] {
            assert_eq!(Pattern::parse("error").unwrap().is_match(text), Pattern::parse("(error)").unwrap().is_match(text));
        }
    }

    #[test]
    fn groups_are_counted_without_the_whole_match() {
        assert_eq!(Pattern::parse("plain").unwrap().groups(), 0);
        assert_eq!(Pattern::parse(r"(\d+) (\w+)").unwrap().groups(), 2);
    }

    #[test]
    fn errors_name_the_pattern_and_the_position() {
        for (text, position) in [("a(b", 2), ("foo[z-a]bar", 7), ("x(?=y)", 4), ("a**b)", 5), (r"a\q", 3)] {
            let reason = Pattern::parse(text).unwrap_err();
            assert!(reason.contains(&format!("\"{text}\"")), "{reason}");
            assert!(reason.ends_with(&format!(" at character {position}")), "{reason}");
        }
    }

    #[test]
    fn a_program_above_the_limit_is_refused() {
        let reason = Pattern::parse(r"(\w{1,200}){200}").unwrap_err();
        assert!(reason.contains("size"), "{reason}");
    }
}
