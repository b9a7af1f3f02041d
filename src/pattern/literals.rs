//! Tells from the syntax of a pattern which literals every match contains.

use super::syntax::{Node, Syntax};

/// Most alternatives of a set of literals.
const MAX_LITERALS: usize = 64;

/// Most alternatives that result from concatenation. More would take longer to search than they save.
const MAX_PRODUCT: usize = 8;

/// Most characters of a class that are alternatives. Any larger class is unknown.
const MAX_LISTED: u32 = 3;

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
    pub(super) is_caseless: bool,
    /// Whether every text with a literal of the first set matches.
    pub(super) is_sufficient: bool,
}

/// What every match of the pattern contains. `None` if that is nothing or unknown.
pub(super) fn required(syntax: &Syntax) -> Option<Required> {
    let mut walk = Walk { is_caseless: syntax.is_caseless, is_conditional: false };
    let found = walk.part(&syntax.root)?;
    let mut sets: Vec<Set> = Vec::new();
    for set in found.sets {
        // U+FFFD may stand for invalid bytes, which the search would not find.
        if set.iter().all(|literal| is_rare(literal)) && !set.iter().any(|literal| literal.contains('\u{fffd}')) {
            let rarer = |other: &Set| (shortest(other), set.len()) >= (shortest(&set), other.len());
            sets.insert(sets.partition_point(rarer), set);
        }
    }
    let is_sufficient = found.exact && !walk.is_conditional;
    (!sets.is_empty()).then_some(Required { sets, is_caseless: syntax.is_caseless, is_sufficient })
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
}

struct Walk {
    is_caseless: bool,
    /// Whether there is an assertion, such as `^`.
    is_conditional: bool,
}

impl Walk {
    fn part(&mut self, node: &Node) -> Option<Part> {
        Some(match node {
            Node::Class(class) => class.chars(MAX_LISTED, self.is_caseless).map_or(Part::UNKNOWN, Part::exactly),
            Node::Assertion(_) => {
                self.is_conditional = true;
                Part::exactly(vec![String::new()])
            }
            Node::Repeated { node, least, .. } => {
                let part = self.part(node)?;
                if *least == 0 {
                    Part::UNKNOWN
                } else {
                    Part { exact: false, ..part }
                }
            }
            Node::Sequence(nodes) => self.sequence(nodes)?,
            Node::Alternatives(nodes) => {
                let (first, others) = nodes.split_first()?;
                let mut whole = self.part(first)?;
                for node in others {
                    whole = either(whole, self.part(node)?);
                }
                whole
            }
        })
    }

    fn sequence(&mut self, nodes: &[Node]) -> Option<Part> {
        let mut sets: Vec<Set> = Vec::new();
        // The possible texts directly before, as far as they are known exactly.
        let mut run = vec![String::new()];
        let mut exact = true;
        for node in nodes {
            let mut part = self.part(node)?;
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

/// Whether many lines may be without it. Of single characters, most are on most lines.
fn is_rare(literal: &str) -> bool {
    match literal.as_bytes() {
        [] => false,
        [byte] => byte.is_ascii_punctuation() && !br"-.:/[]".contains(byte),
        _ => true,
    }
}

fn shortest(set: &[String]) -> usize {
    set.iter().map(String::len).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required(pattern: &str) -> Option<Required> {
        Syntax::parse(pattern).as_ref().and_then(super::required)
    }

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
            ("(?i)Error", &["error"]),
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
            assert_eq!(required(pattern).is_some_and(|required| required.is_sufficient), sufficient, "{pattern}");
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
