//! Finding one literal in bytes, as it stands or in either case.

use memchr::{memchr2_iter, memmem};

#[derive(Clone, Debug)]
pub(super) enum Finder {
    Exact(Box<memmem::Finder<'static>>),
    /// ASCII letters stand for both cases.
    Caseless {
        needle: Box<[u8]>,
        /// Which of its bytes is looked for first.
        rare: usize,
    },
}

/// Letters from the most to the least frequent in English text, which logs are close enough to.
const FREQUENT: &[u8] = b" etaoinsrhdlucmfywgpbvkxjqz";

impl Finder {
    pub(super) fn new(literal: &str, caseless: bool) -> Self {
        if !caseless {
            return Self::Exact(Box::new(memmem::Finder::new(literal).into_owned()));
        }
        let rarity = |byte: &u8| FREQUENT.iter().position(|f| *f == byte.to_ascii_lowercase()).unwrap_or(FREQUENT.len());
        let rare = literal.bytes().enumerate().max_by_key(|(_, byte)| rarity(byte)).map_or(0, |(at, _)| at);
        Self::Caseless { needle: literal.as_bytes().into(), rare }
    }

    /// Where the literal begins for the first time.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Exact(finder) => finder.find(bytes),
            Self::Caseless { needle, rare } => {
                let byte = *needle.get(*rare)?;
                let starts =
                    memchr2_iter(byte.to_ascii_lowercase(), byte.to_ascii_uppercase(), bytes).filter_map(|at| at.checked_sub(*rare));
                let is_there =
                    |start: &usize| bytes.get(*start..*start + needle.len()).is_some_and(|there| there.eq_ignore_ascii_case(needle));
                starts.into_iter().find(is_there)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_found_in_either_case_where_that_is_asked_for() {
        for (literal, caseless, text, at) in [
            ("error", false, "an ERROR, an error", Some(13)),
            ("error", true, "an ERROR, an error", Some(3)),
            ("ErRor", true, "rror error", Some(5)),
            ("x-1", true, "X-1", Some(0)),
            ("x-1", true, "x-", None),
            ("é1", true, "É1 é1", Some(4)),
        ] {
            assert_eq!(Finder::new(literal, caseless).find(text.as_bytes()), at, "{literal} in {text}");
        }
    }
}
