//! A hash that is the same on every machine and in every version, since peers exchange it. Not for secrets: collisions are easy to make.

/// The 64-bit FNV-1a hash of bytes that come piece by piece (Fowler, Noll and Vo, <http://www.isthe.com/chongo/tech/comp/fnv/>).
#[derive(Clone, Copy, Debug)]
pub struct Fnv1a(u64);

impl Fnv1a {
    /// The hash of no bytes.
    pub const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);
    const PRIME: u64 = 0x0100_0000_01b3;

    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> u64 {
        Self::EMPTY.with(bytes).value()
    }

    /// A short hash of a line for little time, of 25 bits, which are five digits in base 36; never 0. It begins with the length. For each word
    /// of eight bytes, little-endian, the last one filled up with zeros, it adds the word bit by bit, multiplies by a constant, and adds the
    /// upper half of the product of 128 bits to the lower one.
    pub fn of_line(line: &[u8]) -> u32 {
        const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15;
        let fold = |hash: u64, chunk: &[u8]| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let product = u128::from(hash ^ u64::from_le_bytes(word)) * FACTOR;
            u64::try_from(product >> 64).unwrap_or_default() ^ u64::try_from(product & u128::from(u64::MAX)).unwrap_or_default()
        };
        let hash = line.chunks(8).fold(line.len() as u64, fold);
        u32::try_from(hash >> 39).unwrap_or(1).max(1)
    }

    /// Appends bytes.
    #[inline(never)]
    pub fn with(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(Self::PRIME)))
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

    #[test]
    fn the_hash_of_a_line_depends_on_every_byte() {
        let line = b"Nov 30 12:00:00 nas1 sshd[4711]: failure".to_vec();
        let mut seen = vec![Fnv1a::of_line(&line), Fnv1a::of_line(&line[1..]), Fnv1a::of_line(&line[..39]), Fnv1a::of_line(b"")];
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut other = line.clone();
                other[at] ^= 1 << bit;
                seen.push(Fnv1a::of_line(&other));
            }
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert!(count - seen.len() <= 1, "{count} {}", seen.len());
    }
}
