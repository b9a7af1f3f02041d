//! Compiled patterns that rules and host files share.

use crate::pattern::{Pattern, PatternError, Purpose};

/// Compiles each pattern once. Remembers also the invalid ones.
#[derive(Debug)]
pub struct Patterns {
    /// Ordered by the texts and purposes.
    known: Vec<(Box<str>, Purpose, Result<Pattern, String>)>,
    /// What is compiled is to be searched for, within this budget; `None` if it is only checked.
    budget: Option<Budget>,
}

/// The memory that patterns may take, in bytes.
#[derive(Debug)]
struct Budget {
    whole: usize,
    left: usize,
    /// Invalid patterns whose fault was looked for.
    examined: usize,
}

impl Patterns {
    /// The memory that the patterns of one host may take unless the host says otherwise. Two public sets for `logcheck`, 339 patterns,
    /// take 3 MiB.
    pub const MEMORY: usize = 8 << 20;
    /// Most patterns that are remembered where thousands of host files repeat the same few.
    const MAX_CHECKED: usize = 64;

    /// Patterns to be searched for. All together take at most `bytes` of memory; what has no room is an error.
    pub fn within(bytes: usize) -> Self {
        Self { known: Vec::new(), budget: Some(Budget { whole: bytes, left: bytes, examined: 0 }) }
    }

    /// Patterns that are only checked. They take no memory for a search, and are found nowhere.
    pub fn checked() -> Self {
        Self { known: Vec::new(), budget: None }
    }

    /// How many bytes of memory the patterns take.
    pub fn memory(&self) -> usize {
        self.budget.as_ref().map_or(0, |budget| budget.whole - budget.left)
    }

    pub(super) fn parse(&mut self, text: &str, purpose: Purpose) -> Result<Pattern, String> {
        let at = match self.known.binary_search_by(|(known, other, _)| (&**known, *other).cmp(&(text, purpose))) {
            Ok(at) => return self.known[at].2.clone(),
            Err(at) => at,
        };
        let pattern = match &mut self.budget {
            None => Pattern::check(text),
            Some(budget) => budget.compile(text, purpose),
        };
        if self.budget.is_none() && self.known.len() >= Self::MAX_CHECKED {
            self.known.clear();
            self.known.push((text.into(), purpose, pattern.clone()));
        } else {
            self.known.insert(at, (text.into(), purpose, pattern.clone()));
        }
        pattern
    }
}

impl Budget {
    /// Most invalid patterns of which the position of the fault is told: it takes time to find.
    const MAX_EXAMINED: usize = 100;

    fn compile(&mut self, text: &str, purpose: Purpose) -> Result<Pattern, String> {
        let pattern = Pattern::parse_within(text, purpose, self.left).map_err(|error| match error {
            PatternError::NoRoom => {
                format!("pattern \"{text}\": the patterns of this host take more than {} bytes of memory", self.whole)
            }
            error if self.examined >= Self::MAX_EXAMINED => error.reason(text),
            error => {
                self.examined += 1;
                error.describe(text)
            }
        })?;
        self.left -= pattern.memory();
        Ok(pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_patterns_are_remembered_for_checks_than_the_limit() {
        let mut patterns = Patterns::checked();
        for number in 0..200 {
            for text in [format!("{number}"), format!("{number}(")] {
                assert_eq!(patterns.parse(&text, Purpose::Find), Pattern::parse(&text));
                assert_eq!(patterns.parse(&text, Purpose::Find), Pattern::parse(&text));
                assert!(patterns.known.len() <= Patterns::MAX_CHECKED);
            }
        }
        assert!(!patterns.parse("1|", Purpose::Find).unwrap().is_match("1"));
        assert_eq!(patterns.parse("(1)(2)", Purpose::Capture).unwrap().groups(), 2);
    }

    #[test]
    fn equal_patterns_take_memory_once_and_what_has_no_room_is_an_error() {
        let memory = |text: &str| Pattern::parse(text).unwrap().memory();
        let mut patterns = Patterns::within(memory("a.{100}") + memory("b+"));
        for text in ["a.{100}", "a.{100}", "b+", "a.{100}", "b+"] {
            assert!(patterns.parse(text, Purpose::Find).is_ok());
        }
        let reason = patterns.parse("c", Purpose::Find).unwrap_err();
        assert!(reason.starts_with("pattern \"c\": the patterns of this host take more than "), "{reason}");
        assert_eq!(patterns.memory(), memory("a.{100}") + memory("b+"));
        let mut patterns = Patterns::within(memory("b+"));
        assert!(patterns.parse("a.{100}", Purpose::Find).is_err() && patterns.parse("b+", Purpose::Find).is_ok(), "what fits is taken");
    }
}
