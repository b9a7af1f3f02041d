//! What the stream says of a chain in the last event of a batch.

use super::fields::{ChainId, Seq};
use super::position::{parse_base36, Position};

/// What stands behind the `@` of the word of the last event of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedSeq<'a> {
    /// The chain.
    pub chain: ChainId,
    /// The event.
    pub seq: Seq,
    /// How far the log is read with it.
    pub position: &'a str,
}

impl<'a> RecordedSeq<'a> {
    /// Reads what stands behind the `@`. `None` within a batch, or if it is cut.
    pub fn parse(at: &'a str) -> Option<Self> {
        let mut fields = at.splitn(4, ':');
        let mut next = || fields.next().and_then(parse_base36);
        let (chain, epoch, number) = (ChainId(next()?), next()?, next()?);
        let position = fields.next().filter(|position| Position::parse(position).is_some())?;
        Some(Self { chain, seq: Seq { epoch, number }, position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_checkpoint_is_read() {
        let recorded = RecordedSeq { chain: ChainId(36), seq: Seq { epoch: 35, number: 40 }, position: "2s.1.2" };
        assert_eq!(RecordedSeq::parse("10:z:14:2s.1.2"), Some(recorded));
        for at in ["", "10", "10:z", "10:z:1", "10:z:1:", "10:z:1:x", "10:z:1:-:-", ":::-"] {
            assert_eq!(RecordedSeq::parse(at), None, "{at}");
        }
    }
}
