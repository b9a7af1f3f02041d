//! Writes the fields of a datagram one after the other.

use super::{Alert, Checkpoint, Revision, Seq, Token, NONE, NO_FILE};
use crate::text::push_number;

/// Appends fields, each behind a `%%`.
pub(super) struct Writer<'t> {
    pub(super) text: &'t mut String,
}

impl Writer<'_> {
    /// What no `%%` stands before.
    pub(super) fn plain(self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    fn digits(self, number: u64, base: u8, least: usize) -> Self {
        push_number(self.text, number, base, least);
        self
    }

    pub(super) fn field(self, field: &str) -> Self {
        self.plain("%%").plain(field)
    }

    pub(super) fn number(self, number: u64) -> Self {
        self.plain("%%").digits(number, 10, 1)
    }

    pub(super) fn base36(self, number: u64) -> Self {
        self.plain("%%").digits(number, 36, 1)
    }

    pub(super) fn seq(self, seq: &Seq) -> Self {
        self.base36(seq.epoch).plain(".").digits(seq.number, 36, 1)
    }

    pub(super) fn checkpoint(self, checkpoint: &Checkpoint<&str>) -> Self {
        self.seq(&checkpoint.seq).number(checkpoint.unix).field(checkpoint.position)
    }

    pub(super) fn token(self, token: &Token) -> Self {
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        self.plain("%%").digits(half(token.0 >> 64), 16, 16).digits(half(token.0), 16, 16)
    }

    pub(super) fn revision(self, revision: &Revision) -> Self {
        match revision.0 {
            Some(hash) => self.plain("%%").digits(hash, 16, 16),
            None => self.field(NONE),
        }
    }

    /// One of a list of numbers.
    pub(super) fn item(self, at: usize, number: u64, base: u8) -> Self {
        self.plain(if at == 0 { "" } else { "," }).digits(number, base, 1)
    }

    pub(super) fn alert(self, alert: &Alert<'_>) -> Self {
        let Alert { host, uid, unix, tags, file, text } = alert;
        self.plain(host).field(uid).number(*unix).field(tags).field(file.unwrap_or(NO_FILE)).field(text)
    }
}
