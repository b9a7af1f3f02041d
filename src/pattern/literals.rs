//! Reads from the syntax of a pattern which literals every match contains. Syntax that it does not understand yields no literals.

use crate::text::number;

/// Most alternatives of a set of literals.
const MAX_LITERALS: usize = 64;

/// Most alternatives that result from concatenation. More would take longer to search than they save.
const MAX_PRODUCT: usize = 8;

/// Most bytes of a literal. Longer ones exclude hardly more lines.
const MAX_LENGTH: usize = 64;

/// A text contains at least one of these literals.
pub(super) type Set = Vec<String>;

/// What all matches of a pattern have in common.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Required {
    /// They contain a literal of each of these sets. Never empty; the set that is probably on the fewest lines comes first.
    pub(super) sets: Vec<Set>,
    /// Whether an ASCII letter stands for both cases.
    pub(super) caseless: bool,
    /// Whether every text with a literal of the first set matches.
    pub(super) sufficient: bool,
}

/// What every match of the pattern contains. `None` if that is nothing or unknown.
pub(super) fn required(pattern: &str) -> Option<Required> {
    let sensitive = pattern.strip_prefix("(?i)");
    let mut reader = Reader { rest: sensitive.unwrap_or(pattern), depth: 0, conditional: false };
    let found = reader.alternatives()?;
    if !reader.rest.is_empty() {
        return None;
    }
    let mut sets: Vec<Set> = Vec::new();
    for set in found.sets {
        // A single character is on most lines. U+FFFD may stand for invalid bytes, which the search would not find.
        if shortest(&set) >= 2 && !set.iter().any(|literal| literal.contains('\u{fffd}')) {
            let rarer = |other: &Set| (shortest(other), set.len()) >= (shortest(&set), other.len());
            sets.insert(sets.partition_point(rarer), set);
        }
    }
    let sufficient = found.exact && !reader.conditional;
    (!sets.is_empty()).then_some(Required { sets, caseless: sensitive.is_some(), sufficient })
}

/// What is known of a part of a pattern.
struct Part {
    /// What it matches contains a literal of each of these sets.
    sets: Vec<Set>,
    /// Whether it matches exactly the literals of its only set.
    exact: bool,
}

impl Part {
    const UNKNOWN: Self = Self { sets: Vec::new(), exact: false };

    fn exactly(set: Set) -> Self {
        Self { sets: vec![set], exact: true }
    }

    fn literal(c: char) -> Self {
        Self::exactly(vec![c.to_string()])
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
    /// Whether there is an assertion, such as `^`.
    conditional: bool,
}

impl Reader<'_> {
    /// Deeper nesting is not understood.
    const MAX_DEPTH: usize = 32;

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn skip(&mut self, c: char) -> bool {
        let skipped = self.rest.starts_with(c);
        if skipped {
            self.rest = &self.rest[c.len_utf8()..];
        }
        skipped
    }

    /// The text before that character. The character is skipped too.
    fn up_to(&mut self, c: char) -> Option<&str> {
        let (before, rest) = self.rest.split_once(c)?;
        self.rest = rest;
        Some(before)
    }

    /// Reads up to the end of the group or pattern.
    fn alternatives(&mut self) -> Option<Part> {
        self.depth += 1;
        if self.depth > Self::MAX_DEPTH {
            return None;
        }
        let mut whole = self.sequence()?;
        while self.skip('|') {
            whole = either(whole, self.sequence()?);
        }
        self.depth -= 1;
        Some(whole)
    }

    fn sequence(&mut self) -> Option<Part> {
        let mut sets: Vec<Set> = Vec::new();
        // The possible texts directly before, as far as they are known exactly.
        let mut run = vec![String::new()];
        let mut exact = true;
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let atom = self.atom()?;
            let mut part = self.repeated(atom)?;
            let next = if part.exact { part.sets.pop()? } else { vec![String::new()] };
            match product(&run, &next).filter(|_| part.exact) {
                Some(longer) => run = longer,
                None => {
                    exact = false;
                    sets.push(std::mem::replace(&mut run, next));
                    sets.append(&mut part.sets);
                }
            }
        }
        sets.push(run);
        if !exact {
            sets.retain(|set| shortest(set) > 0);
        }
        Some(Part { sets, exact })
    }

    fn atom(&mut self) -> Option<Part> {
        match self.next()? {
            '(' => self.group(),
            '[' => self.class(),
            '.' => Some(Part::UNKNOWN),
            '^' | '$' => Some(self.condition()),
            '\\' => match self.next()? {
                'b' | 'B' if !self.rest.starts_with('{') => Some(self.condition()),
                c if c.is_ascii_punctuation() && c != '<' && c != '>' => Some(Part::literal(c)),
                'd' | 'D' | 'w' | 'W' | 's' | 'S' => Some(Part::UNKNOWN),
                _ => None,
            },
            '*' | '+' | '?' | '{' | '}' | ']' => None,
            c => Some(Part::literal(c)),
        }
    }

    fn condition(&mut self) -> Part {
        self.conditional = true;
        Part::exactly(vec![String::new()])
    }

    fn group(&mut self) -> Option<Part> {
        if self.skip('?') {
            if self.skip('P') || self.skip('<') {
                self.up_to('>')?;
            } else if !self.skip(':') {
                // Flags change what literals mean.
                return None;
            }
        }
        let inner = self.alternatives()?;
        self.skip(')').then_some(inner)
    }

    /// A class that lists a few characters stands for these; any other is unknown.
    fn class(&mut self) -> Option<Part> {
        let mut listed = Vec::new();
        let mut plain = !self.skip('^');
        let mut first = true;
        loop {
            match self.next()? {
                // A bracket in the first place is a character of the class.
                ']' if !first => break,
                // Nested classes and set operations.
                '[' | '&' | '~' => return None,
                '\\' => {
                    let c = self.next()?;
                    if !c.is_ascii_punctuation() && !matches!(c, 'd' | 'D' | 'w' | 'W' | 's' | 'S') {
                        return None;
                    }
                    plain &= c.is_ascii_punctuation();
                    listed.push(c.to_string());
                }
                '-' => plain = false,
                c => listed.push(c.to_string()),
            }
            first = false;
        }
        plain &= listed.len() <= 3;
        Some(if plain { Part::exactly(listed) } else { Part::UNKNOWN })
    }

    /// Applies the repetitions that follow.
    fn repeated(&mut self, atom: Part) -> Option<Part> {
        let mut part = atom;
        loop {
            let least = if self.skip('*') || self.skip('?') {
                0
            } else if self.skip('+') {
                1
            } else if self.skip('{') {
                let times = self.up_to('}')?;
                number(times.split_once(',').map_or(times, |(least, _)| least), 10)?
            } else {
                return Some(part);
            };
            part = if least == 0 { Part::UNKNOWN } else { Part { exact: false, ..part } };
        }
    }
}

/// Every literal of the first set followed by every one of the second. `None` if that is too much.
fn product(first: &[String], second: &[String]) -> Option<Set> {
    if first.len() * second.len() > MAX_PRODUCT {
        return None;
    }
    let mut product = Vec::new();
    for a in first {
        for b in second {
            if a.len() + b.len() > MAX_LENGTH {
                return None;
            }
            let mut text = a.clone();
            text.push_str(b);
            product.push(text);
        }
    }
    Some(product)
}

/// The alternative of two parts: it contains a literal of the best set of either.
fn either(a: Part, b: Part) -> Part {
    let exact = a.exact && b.exact;
    match (best(a), best(b)) {
        (Some(mut set), Some(mut other)) if set.len() + other.len() <= MAX_LITERALS => {
            set.append(&mut other);
            Part { sets: vec![set], exact }
        }
        _ => Part::UNKNOWN,
    }
}

fn best(part: Part) -> Option<Set> {
    let mut best: Option<Set> = None;
    for set in part.sets {
        if best.as_ref().is_none_or(|best| shortest(&set) >= shortest(best)) {
            best = Some(set);
        }
    }
    best
}

fn shortest(set: &[String]) -> usize {
    set.iter().map(String::len).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(pattern: &str) -> Vec<Set> {
        required(pattern).map(|required| required.sets).unwrap_or_default()
    }

    #[test]
    fn literals_are_found_where_every_match_has_one() {
        for (pattern, literals) in [
            ("segfault", &["segfault"][..]),
            (r"\[[0-9]+\]: (error|timeout)", &["]: error", "]: timeout"]),
            ("authentication failure|segfault at 0x[0-9a-f]+", &["authentication failure", "segfault at 0x"]),
            (r"^disk \d+ failed$", &[" failed"]),
            ("[Ee]rror", &["Error", "error"]),
            ("fail(ed|ure)", &["failed", "failure"]),
            ("(?:abc)+x", &["abc"]),
            ("ab?cde", &["cde"]),
            ("a{2}bc", &["bc"]),
            (r"x\.y\b", &["x.y"]),
            ("(?P<word>warn|crit): .*", &["warn: ", "crit: "]),
            ("(?i)Error", &["Error"]),
            (
                "one|two|three|four|five|six|seven|eight|nine|ten",
                &["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"],
            ),
        ] {
            assert_eq!(
                sets(pattern).first().map(Vec::as_slice),
                Some(&literals.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
                "{pattern}"
            );
        }
    }

    #[test]
    fn all_that_a_match_contains_is_found() {
        assert_eq!(
            sets(r"sshd\[\d+\]: Failed (\S+) for (root|admin)"),
            [vec!["]: Failed ".to_string()], vec![" for root".into(), " for admin".into()], vec!["sshd[".into()],]
        );
    }

    #[test]
    fn literals_suffice_where_nothing_else_is_asked_for() {
        for (pattern, sufficient) in
            [("fail(ed|ure)", true), ("(?i)err|warn", true), ("^error", false), (r"\berr", false), ("error.", false), ("err|.*", false)]
        {
            assert_eq!(required(pattern).is_some_and(|required| required.sufficient), sufficient, "{pattern}");
        }
    }

    #[test]
    fn nothing_is_claimed_where_it_is_not_sure() {
        for pattern in [
            r"\d+",
            ".",
            "",
            "a",
            "(?s)error",
            "(?i:error)",
            "x(?i)error",
            "error|",
            "error|.",
            "(error)?",
            "(error)*",
            r"\x41bc",
            "x{0,3}",
            "[a-z]+",
            "[[:alpha:]]x",
            "\u{fffd}\u{fffd}",
        ] {
            assert_eq!(required(pattern), None, "{pattern}");
        }
    }
}
