//! Finding one literal in bytes, as it stands or in either case.

use memchr::arch::all::packedpair::Pair;
use memchr::{memchr, memchr2};

#[cfg(target_arch = "aarch64")]
use memchr::arch::aarch64::neon::{packedpair as narrow, packedpair as wide};
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use memchr::arch::all::{packedpair as narrow, packedpair as wide};
#[cfg(target_arch = "x86_64")]
use memchr::arch::x86_64::{avx2::packedpair as wide, sse2::packedpair as narrow};

/// What is looked for, by those of its bytes which logs have fewest of. A needle has tens of bytes, not thousands, so that no text is
/// dear to search, whatever stands in it.
#[derive(Debug)]
pub(super) struct Finder {
    needle: Box<[u8]>,
    /// Which of its bytes is looked for where no pair is.
    rare: usize,
    /// ASCII letters stand for both cases.
    caseless: bool,
    pairs: Pairs,
}

/// Looks for two bytes of a needle at once, with the widest instructions that the processor has.
#[derive(Debug)]
enum Pairs {
    None,
    Narrow(narrow::Finder),
    Wide(wide::Finder),
}

/// What logs are made of, the most frequent first. All other bytes are taken for rarer, among them capitals.
const FREQUENT: &[u8] = b" e1:otrna2sid0l3c.[]mu5p46h789-fg/yb,=kvw_()\"xqjz";

impl Finder {
    pub(super) fn new(literal: &str, caseless: bool) -> Self {
        let (mut rare, mut second) = ((0, 0), (0, 0));
        for (at, byte) in (0..=u8::MAX).zip(literal.bytes()) {
            let byte = if caseless { byte.to_ascii_lowercase() } else { byte };
            let rarity = FREQUENT.iter().position(|f| *f == byte).unwrap_or(FREQUENT.len());
            if rarity > rare.0 {
                (rare, second) = ((rarity, at), rare);
            } else if rarity > second.0 {
                second = (rarity, at);
            }
        }
        let (needle, rare, second) = (literal.as_bytes(), rare.1, second.1);
        let pair = if caseless { None } else { Pair::with_indices(needle, rare, second) };
        let pairs = pair.map_or(Pairs::None, |pair| Pairs::new(needle, pair));
        Self { needle: needle.into(), rare: rare.into(), caseless, pairs }
    }

    /// Where the literal begins for the first time.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<usize> {
        let needle = &*self.needle;
        let mut from = 0;
        loop {
            let start = from + self.candidate(bytes.get(from..)?)?;
            let there = bytes.get(start..start + needle.len())?;
            if there == needle || self.caseless && there.eq_ignore_ascii_case(needle) {
                return Some(start);
            }
            from = start + 1;
        }
    }

    /// Where the literal may begin for the first time.
    fn candidate(&self, bytes: &[u8]) -> Option<usize> {
        // Vectors of bytes have to fit, wherever in the needle the pair stands.
        if bytes.len() >= self.needle.len() + 16 {
            match &self.pairs {
                Pairs::Narrow(finder) => return finder.find_prefilter(bytes),
                Pairs::Wide(finder) => return finder.find_prefilter(bytes),
                Pairs::None => {}
            }
        }
        let Some(byte) = self.needle.get(self.rare) else { return Some(0) };
        let bytes = bytes.get(self.rare..)?;
        if self.caseless {
            memchr2(byte.to_ascii_lowercase(), byte.to_ascii_uppercase(), bytes)
        } else {
            memchr(*byte, bytes)
        }
    }
}

impl Pairs {
    fn new(needle: &[u8], pair: Pair) -> Self {
        match wide::Finder::with_pair(needle, pair) {
            Some(finder) => Self::Wide(finder),
            None => narrow::Finder::with_pair(needle, pair).map_or(Self::None, Self::Narrow),
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
