//! Compiled patterns that host files share.

use crate::pattern::Pattern;

/// Remembers recently compiled patterns, also invalid ones: thousands of host files repeat the same few.
#[derive(Debug, Default)]
pub struct Patterns {
    known: Vec<(Box<str>, Result<Pattern, String>)>,
}

impl Patterns {
    /// Most patterns that are remembered.
    const MAX: usize = 64;

    pub(super) fn parse(&mut self, text: &str) -> Result<Pattern, String> {
        if let Some((_, known)) = self.known.iter().find(|(known, _)| **known == *text) {
            return known.clone();
        }
        if self.known.len() >= Self::MAX {
            self.known.clear();
        }
        let pattern = Pattern::parse(text);
        self.known.push((text.into(), pattern.clone()));
        pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_patterns_are_remembered_than_the_limit() {
        let mut patterns = Patterns::default();
        for number in 0..200 {
            for text in [format!("{number}"), format!("{number}(")] {
                assert_eq!(patterns.parse(&text), Pattern::parse(&text));
                assert!(patterns.known.len() <= Patterns::MAX);
            }
        }
    }
}
