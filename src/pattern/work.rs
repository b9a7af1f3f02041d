//! How much may be searched before others have their turn. It is counted, since values know no clock.

/// What is left of one turn's work.
#[derive(Debug)]
pub struct Work {
    left: u64,
}

impl Work {
    /// The work of one turn: states of a program times bytes of a text. At worst that takes 50 ms on a processor of 2 GHz, and usually a
    /// small part of that, since few states of a program are active at a time. One more search may begin before it is done.
    const TURN: u64 = 1 << 24;

    /// The work of a whole turn.
    pub fn turn() -> Self {
        Self { left: Self::TURN }
    }

    /// How many bytes each of so many automata may search in half a turn.
    pub fn share(automata: usize) -> usize {
        usize::try_from(Self::TURN / 2).unwrap_or(usize::MAX) / automata.max(1)
    }

    /// Notes that a text of so many bytes was searched by a program of so many states.
    pub(super) fn charge(&mut self, states: u32, bytes: usize) {
        self.left = self.left.saturating_sub(u64::from(states) * bytes as u64);
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.left == 0
    }
}

impl Default for Work {
    fn default() -> Self {
        Self::turn()
    }
}
