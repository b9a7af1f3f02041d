//! Finds one literal in bytes, with or without regard to case.

use memchr::arch::all::packedpair::Pair;
use memchr::{memchr, memchr2};

#[cfg(target_arch = "aarch64")]
use memchr::arch::aarch64::neon::{packedpair as narrow, packedpair as wide};
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use memchr::arch::all::{packedpair as narrow, packedpair as wide};
#[cfg(target_arch = "x86_64")]
use memchr::arch::x86_64::{avx2::packedpair as wide, sse2::packedpair as narrow};

/// A literal to find, by those of its bytes that are rarest in logs. The worst case is quadratic, but a literal has at most tens of
/// bytes.
#[derive(Debug)]
pub(super) struct Finder {
    needle: Box<[u8]>,
    /// The index of the byte that is searched where a pair is not.
    rare: usize,
    /// Whether an ASCII letter stands for both cases.
    caseless: bool,
    pairs: Pairs,
}

/// Searches two bytes of the literal at once, with the widest instructions of the processor.
#[derive(Debug)]
enum Pairs {
    None,
    Narrow(narrow::Finder),
    Wide(wide::Finder),
}

/// The bytes of logs, the most frequent first. All others count as rarer.
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

    /// How many bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.needle.len()
    }

    /// Where the literal first occurs.
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

    /// Where the literal may first occur.
    fn candidate(&self, bytes: &[u8]) -> Option<usize> {
        // The text must be longer than the literal by one vector of bytes.
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
