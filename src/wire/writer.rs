//! Writes the fields of a datagram one after the other.

use super::fields::{ChainId, Checkpoint, Progress, Revision, Seq, Token, NONE};
use crate::text::push_number;

/// Appends fields to a text, each after a `%%`.
pub(super) struct FieldWriter<'t> {
    pub(super) text: &'t mut String,
}

impl FieldWriter<'_> {
    /// Appends a text without a `%%` before it.
    pub(super) fn raw(self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    pub(super) fn digits(self, number: u64, base: u8, least: usize) -> Self {
        push_number(self.text, number, base, least);
        self
    }

    pub(super) fn field(self, field: &str) -> Self {
        self.raw("%%").raw(field)
    }

    pub(super) fn number(self, number: u64) -> Self {
        self.raw("%%").digits(number, 10, 1)
    }

    pub(super) fn base36(self, number: u64) -> Self {
        self.raw("%%").digits(number, 36, 1)
    }

    pub(super) fn chain(self, chain: ChainId) -> Self {
        self.base36(chain.0)
    }

    pub(super) fn seq(self, seq: Seq) -> Self {
        self.base36(seq.epoch).raw(".").digits(seq.number, 36, 1)
    }

    pub(super) fn seq_or_none(self, seq: Option<Seq>) -> Self {
        match seq {
            Some(seq) => self.seq(seq),
            None => self.field(NONE),
        }
    }

    pub(super) fn checkpoint(self, checkpoint: &Checkpoint<&str>) -> Self {
        self.seq(checkpoint.seq).number(checkpoint.unix).field(checkpoint.position)
    }

    pub(super) fn checkpoint_or_none(self, checkpoint: Option<&Checkpoint<&str>>) -> Self {
        match checkpoint {
            Some(checkpoint) => self.checkpoint(checkpoint),
            None => self.field(NONE),
        }
    }

    pub(super) fn progress(self, progress: &Progress) -> Self {
        let Progress { chain, done, held } = progress;
        let writer = self.chain(*chain).seq(*done).raw(if held.is_empty() { "%%0" } else { "%%" });
        held.iter().enumerate().fold(writer, |writer, (at, (from, to))| {
            writer.raw(if at == 0 { "" } else { "," }).digits(*from, 36, 1).raw("-").digits(*to, 36, 1)
        })
    }

    pub(super) fn token(self, token: Token) -> Self {
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        self.raw("%%").digits(half(token.0 >> 64), 16, 16).digits(half(token.0), 16, 16)
    }

    pub(super) fn revision(self, revision: Revision) -> Self {
        match revision.0 {
            Some(hash) => self.raw("%%").digits(hash, 16, 16),
            None => self.field(NONE),
        }
    }

    /// Appends numbers in that base, separated by commas.
    pub(super) fn list(self, numbers: impl Iterator<Item = u64>, base: u8) -> Self {
        numbers.enumerate().fold(self.raw("%%"), |writer, (at, number)| writer.raw(if at == 0 { "" } else { "," }).digits(number, base, 1))
    }
}
