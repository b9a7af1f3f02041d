//! Which literals every match of a pattern must contain, read off its syntax. What is not understood yields none: never a wrong one.

/// Most alternatives of a set of literals; more are dearer to search for than the pattern itself.
const MAX_LITERALS: usize = 8;

/// Most bytes of a literal: longer ones find no less.
const MAX_LENGTH: usize = 64;

/// Literals of which every text that the pattern matches contains at least one; `None` when the syntax does not tell.
pub(super) fn required(pattern: &str) -> Option<Vec<String>> {
    let mut reader = Reader { rest: pattern, depth: 0 };
    let found = reader.alternatives()?;
    if !reader.rest.is_empty() {
        return None;
    }
    // A single character is on most lines, and the replacement of bad bytes is not what the bytes were.
    let useful = |set: &Vec<String>| shortest(set) >= 2 && set.iter().all(|literal| !literal.contains('\u{fffd}'));
    found.required().filter(useful)
}

/// What is known of a part of a pattern.
enum Part {
    /// It matches these texts and no others.
    Exactly(Vec<String>),
    /// What it matches contains one of these, if that is known.
    Containing(Option<Vec<String>>),
}

impl Part {
    fn required(self) -> Option<Vec<String>> {
        match self {
            Self::Exactly(set) => Some(set),
            Self::Containing(set) => set,
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    /// Deeper nesting is not looked into.
    const MAX_DEPTH: usize = 32;

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Everything up to the end of the group or pattern.
    fn alternatives(&mut self) -> Option<Part> {
        self.depth += 1;
        if self.depth > Self::MAX_DEPTH {
            return None;
        }
        let mut whole = self.sequence()?;
        while self.skip("|") {
            whole = either(whole, self.sequence()?);
        }
        self.depth -= 1;
        Some(whole)
    }

    fn sequence(&mut self) -> Option<Part> {
        let mut best: Option<Vec<String>> = None;
        let mut run = vec![String::new()];
        let mut exact = true;
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let atom = self.atom()?;
            match self.repeated(atom)? {
                Part::Exactly(set) => match product(&run, &set) {
                    Some(longer) => run = longer,
                    None => {
                        exact = false;
                        best = better(best, Some(std::mem::replace(&mut run, set)));
                    }
                },
                Part::Containing(set) => {
                    exact = false;
                    best = better(best, Some(std::mem::replace(&mut run, vec![String::new()])));
                    best = better(best, set);
                }
            }
        }
        Some(if exact { Part::Exactly(run) } else { Part::Containing(better(best, Some(run))) })
    }

    fn atom(&mut self) -> Option<Part> {
        let unknown = Some(Part::Containing(None));
        let literal = |c: char| Some(Part::Exactly(vec![c.to_string()]));
        match self.next()? {
            '(' => self.group(),
            '[' => self.class(),
            '.' => unknown,
            '^' | '$' => literal_nothing(),
            '\\' => match self.next()? {
                'b' | 'B' if !self.rest.starts_with('{') => literal_nothing(),
                c if c.is_ascii_punctuation() && c != '<' && c != '>' => literal(c),
                'd' | 'D' | 'w' | 'W' | 's' | 'S' => unknown,
                _ => None,
            },
            '*' | '+' | '?' | '{' | '}' | ']' => None,
            c => literal(c),
        }
    }

    fn group(&mut self) -> Option<Part> {
        if self.skip("?") {
            if self.skip("P<") || self.skip("<") {
                let end = self.rest.find('>')?;
                self.rest = &self.rest[end + 1..];
            } else if !self.skip(":") {
                // Flags change what literals mean.
                return None;
            }
        }
        let inner = self.alternatives()?;
        self.skip(")").then_some(inner)
    }

    /// A class is as good as its characters when it lists a few.
    fn class(&mut self) -> Option<Part> {
        let mut listed = Vec::new();
        let mut plain = !self.rest.starts_with('^');
        // A bracket that comes first stands for itself.
        self.skip("^");
        let mut first = true;
        loop {
            match self.next()? {
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
        Some(if plain { Part::Exactly(listed) } else { Part::Containing(None) })
    }

    /// Applies the repetition that follows, if one does.
    fn repeated(&mut self, atom: Part) -> Option<Part> {
        let mut part = atom;
        loop {
            part = if self.skip("*") || self.skip("?") {
                Part::Containing(None)
            } else if self.skip("+") {
                Part::Containing(part.required())
            } else if self.skip("{") {
                let end = self.rest.find('}')?;
                let least: u32 = self.rest[..end].split(',').next()?.parse().ok()?;
                self.rest = &self.rest[end + 1..];
                Part::Containing(if least == 0 { None } else { part.required() })
            } else {
                return Some(part);
            };
        }
    }
}

#[allow(clippy::unnecessary_wraps, reason = "as its neighbours in the match")]
fn literal_nothing() -> Option<Part> {
    Some(Part::Exactly(vec![String::new()]))
}

/// Every text of the first set followed by every one of the second, if these are not too many.
fn product(first: &[String], second: &[String]) -> Option<Vec<String>> {
    let longest = |set: &[String]| set.iter().map(String::len).max().unwrap_or(0);
    if first.len() * second.len() > MAX_LITERALS || longest(first) + longest(second) > MAX_LENGTH {
        return None;
    }
    Some(first.iter().flat_map(|a| second.iter().map(move |b| format!("{a}{b}"))).collect())
}

fn either(a: Part, b: Part) -> Part {
    let exact = matches!((&a, &b), (Part::Exactly(_), Part::Exactly(_)));
    let union = match (a.required(), b.required()) {
        (Some(mut a), Some(b)) if a.len() + b.len() <= MAX_LITERALS => {
            a.extend(b);
            Some(a)
        }
        _ => None,
    };
    match union {
        Some(set) if exact => Part::Exactly(set),
        set => Part::Containing(set),
    }
}

/// The set that is on fewer lines, by guess: the one whose shortest literal is longer.
fn better(a: Option<Vec<String>>, b: Option<Vec<String>>) -> Option<Vec<String>> {
    let worth = |set: &Option<Vec<String>>| set.as_deref().map_or(0, shortest);
    if worth(&b) > worth(&a) {
        b
    } else {
        a.filter(|set| shortest(set) > 0)
    }
}

fn shortest(set: &[String]) -> usize {
    set.iter().map(String::len).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            assert_eq!(required(pattern).as_deref(), Some(&literals.iter().map(ToString::to_string).collect::<Vec<_>>()[..]), "{pattern}");
        }
    }

    #[test]
    fn nothing_is_claimed_where_it_is_not_sure() {
        for pattern in [
            r"\d+",
            ".",
            "",
            "a",
            "(?i)error",
            "(?i:error)",
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
