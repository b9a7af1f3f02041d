//! What people write into patterns that means something else, or is refused for a reason that they may not know. Refuses nothing.

use crate::pattern::Pattern;

/// What is probably not meant in a pattern, right or wrong. One text each.
pub(super) fn doubts(text: &str) -> Vec<&'static str> {
    let mut doubts = Doubts::default();
    doubts.whole(text);
    let mut rest = text;
    while let Some(c) = next(&mut rest) {
        doubts.item(c, &mut rest);
    }
    doubts.found
}

#[derive(Default)]
struct Doubts {
    found: Vec<&'static str>,
    /// Whether something came that can be repeated.
    has_atom: bool,
}

impl Doubts {
    fn add(&mut self, doubt: &'static str) {
        if !self.found.contains(&doubt) {
            self.found.push(doubt);
        }
    }

    fn whole(&mut self, text: &str) {
        let is_between = |mark: char| text.starts_with(mark) && text.ends_with(mark) && text.matches(mark).count() == 2;
        if is_between('"') || is_between('\'') {
            self.add("the quotes are part of the pattern");
        }
        if text.len() > 1 && text.starts_with('/') && (text.ends_with('/') || text.ends_with("/i")) {
            self.add("the slashes are part of the pattern; (?i) at its start ignores case");
        }
        if text.starts_with('*') {
            self.add("a pattern is no wildcard: .* stands for any text");
        }
        let is_fold = |(at, _): (usize, &str)| text[at + 2..].bytes().take_while(u8::is_ascii_alphabetic).any(|flag| flag == b'i');
        if text.match_indices("(?").any(is_fold) && text.chars().any(|c| !c.is_ascii() && c.is_alphabetic()) {
            self.add("(?i) ignores the case of ASCII letters only, unlike Python");
        }
        let is_other_letter = |c: Option<char>| c.is_some_and(|c| !c.is_ascii() && c.is_alphabetic());
        let is_at_other =
            |(at, _): (usize, &str)| is_other_letter(text[..at].chars().next_back()) || is_other_letter(text[at + 2..].chars().next());
        if text.match_indices(r"\b").any(is_at_other) {
            self.add(r"\b finds the edges of words of ASCII letters only, unlike Python");
        }
        if !text.contains("(?x") && has_comment(text) {
            self.add("the text from # on is part of the pattern: a comment stands on a line of its own");
        }
    }

    /// Looks at an item of the pattern, which begins with `c`.
    fn item(&mut self, c: char, rest: &mut &str) {
        let had_atom = std::mem::replace(&mut self.has_atom, true);
        match c {
            '\\' => match next(rest) {
                Some('<' | '>') => self.add(r"\< and \> are the edges of a word here; in Python they are < and >, written so"),
                Some('Z') => self.add(r"the end of the text is $ here, not \Z"),
                _ => {}
            },
            '[' => self.class(rest),
            '(' => {
                if ["?=", "?!", "?<=", "?<!"].iter().any(|look| rest.starts_with(look)) {
                    self.add("look-around does not exist here; ignore: leaves lines out");
                }
                self.has_atom = false;
            }
            '|' => self.has_atom = false,
            '*' | '+' | '?' if had_atom && rest.starts_with('+') => {
                self.add("++, *+ and ?+ repeat a repetition here; in Python they are possessive, or an error");
            }
            '{' => self.braces(had_atom, rest),
            _ => {}
        }
    }

    fn class(&mut self, rest: &mut &str) {
        *rest = rest.strip_prefix('^').unwrap_or(rest);
        if rest.starts_with(':') && rest.find(']').is_some_and(|end| end > 1 && rest[..end].ends_with(':')) {
            self.add("a class such as [:digit:] stands within another one: [[:digit:]]");
        }
        *rest = rest.strip_prefix(']').unwrap_or(rest);
        while let Some(c) = next(rest) {
            match c {
                ']' => break,
                '[' if rest.starts_with(':') => *rest = rest.split_once(":]").map_or("", |(_, rest)| rest),
                '[' => self.add(r"a [ within a class is written \[, as in [^\[]"),
                '\\' => drop(next(rest)),
                _ => {}
            }
        }
    }

    fn braces(&mut self, had_atom: bool, rest: &mut &str) {
        let Some((times, behind)) = rest.split_once('}').filter(|_| had_atom) else {
            return self.add(r"a { that begins no repetition is written \{");
        };
        let (least, most) = times.split_once(',').unwrap_or((times, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if least.is_empty() || !is_number(least.trim()) || !is_number(most.trim()) {
            return self.add(r"a { that begins no repetition is written \{");
        }
        if times.contains(' ') {
            self.add("braces with spaces are a repetition here; in Python they are text");
        }
        *rest = behind;
    }
}

/// A pattern of `match:` or `ignore:` that is found in every line, although it does not look so.
pub(super) fn is_everywhere(text: &str) -> bool {
    let is_meant = matches!(text, "." | ".*" | "^" | "$" | "^.*" | ".*$" | "^.*$" | "(.*)");
    !is_meant && Pattern::parse(text).is_ok_and(|pattern| ["", "\u{1}", "z"].iter().all(|line| pattern.is_match(line)))
}

/// Whether a text seems to end in a comment.
pub(super) fn has_comment(text: &str) -> bool {
    let begins_comment = |rest: &str| rest.starts_with(|c: char| c == ' ' || c.is_alphabetic());
    text.match_indices('#').any(|(at, _)| text[..at].ends_with(char::is_whitespace) && begins_comment(&text[at + 1..]))
}

fn next(rest: &mut &str) -> Option<char> {
    let c = rest.chars().next()?;
    *rest = &rest[c.len_utf8()..];
    Some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_probably_not_meant_is_doubted_and_nothing_else() {
        for (pattern, doubt) in [
            (r"from=\<.*\>", Some(r"\< and \>")),
            (r"a\Z", Some(r"not \Z")),
            ("[^[]", Some(r"written \[")),
            ("[[]x", Some(r"written \[")),
            ("[:digit:]+", Some("[[:digit:]]")),
            ("{", Some(r"written \{")),
            ("json: {key", Some(r"written \{")),
            ("a{b}", Some(r"written \{")),
            ("a{,5}", Some(r"written \{")),
            ("a|{2}", Some(r"written \{")),
            ("a{2, 3}", Some("braces with spaces")),
            ("error  # only errors", Some("from # on")),
            ("error #only errors", Some("from # on")),
            ("\"error\"", Some("quotes")),
            ("'error'", Some("quotes")),
            ("/error/i", Some("slashes")),
            ("*error*", Some("no wildcard")),
            ("a(?!b)", Some("look-around")),
            ("(?<=a)b", Some("look-around")),
            ("a++b", Some("possessive")),
            ("(?i)é", Some("ASCII letters only")),
            ("x(?mi:é)", Some("ASCII letters only")),
            (r"\bünder", Some(r"\b finds")),
            (r"café\b", Some(r"\b finds")),
            (r"\bcafé \bx", None),
            (r#""message":"Login failed""#, None),
            ("(?m)(?P<i>é)", None),
            (r"\{key\}: \[a\] [^\[]", None),
            ("[[:digit:]]{2,3}x{2}y{2,}", None),
            (r"worker #\d+", None),
            ("(?x) a # comment", None),
            ("a#b [{*+]", None),
            (r"\\<", None),
            ("(?i)error|(a+)+", None),
            ("[]{]", None),
            ("/var/log", None),
        ] {
            let found = doubts(pattern);
            assert_eq!(found.len(), usize::from(doubt.is_some()), "{pattern}: {found:?}");
            assert!(doubt.is_none_or(|doubt| found[0].contains(doubt)), "{pattern}: {found:?}");
        }
    }

    #[test]
    fn a_pattern_that_is_found_everywhere_by_mistake_is_known() {
        for (pattern, expected) in [
            ("error|", true),
            ("|error", true),
            ("(a|)b*", true),
            ("x*", true),
            (".*", false),
            ("^$", false),
            ("error", false),
            ("(", false),
        ] {
            assert_eq!(is_everywhere(pattern), expected, "{pattern}");
        }
    }
}
