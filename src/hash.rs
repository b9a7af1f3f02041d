//! A hash that is the same on every machine and in every version, since peers exchange it. Not for secrets: collisions are easy to make.

/// The 64-bit FNV-1a hash of bytes that come piece by piece (Fowler, Noll and Vo, <http://www.isthe.com/chongo/tech/comp/fnv/>).
#[derive(Clone, Copy, Debug)]
pub struct Fnv1a(u64);

impl Fnv1a {
    /// The hash of no bytes.
    pub const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> u64 {
        Self::EMPTY.with(bytes).value()
    }

    /// Appends bytes.
    #[inline(never)]
    pub fn with(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    /// The hash of all bytes so far.
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_the_published_ones() {
        for (bytes, hash) in [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)] {
            assert_eq!(Fnv1a::of(bytes.as_bytes()), hash, "{bytes}");
        }
        assert_eq!(Fnv1a::EMPTY.with(b"foo").with(b"bar").value(), Fnv1a::of(b"foobar"));
    }
}
