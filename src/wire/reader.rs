//! Reads the fields of a datagram one after the other.

use super::fields::{ChainId, Checkpoint, Progress, Revision, Seq, Token, WireError, NONE};
use super::limits::MAX_HELD;
use super::position::{parse_base36, Position};
use crate::text::number;
use memchr::memchr;

/// The fields of a datagram that were not read yet. The first error is kept; every value that is read after it is meaningless.
pub(super) struct FieldReader<'a> {
    pub(super) command: &'a str,
    rest: Option<&'a str>,
    error: Option<WireError>,
}

impl<'a> FieldReader<'a> {
    pub(super) fn new(datagram: &'a [u8]) -> Result<Self, WireError> {
        let text = std::str::from_utf8(datagram).map_err(|_| WireError::NotUtf8)?;
        let (command, rest) = split_field(text).unwrap_or((text, ""));
        Ok(Self { command, rest: Some(rest), error: None })
    }

    /// Returns what was read, or the first error. `None` stands for an unknown command.
    pub(super) fn finish<M>(self, message: Option<M>) -> Result<M, WireError> {
        match self.error {
            None => message.ok_or(WireError::UnknownCommand),
            Some(error) => Err(error),
        }
    }

    fn fail(&mut self, error: WireError) {
        self.error.get_or_insert(error);
    }

    /// Unwraps a parsed value; `None` becomes [`WireError::MalformedField`].
    fn well_formed<V: Default>(&mut self, value: Option<V>) -> V {
        value.unwrap_or_else(|| {
            self.fail(WireError::MalformedField);
            V::default()
        })
    }

    /// The next field. It must not be empty.
    pub(super) fn next(&mut self) -> &'a str {
        let rest = self.rest.unwrap_or("");
        let (field, rest) = match split_field(rest) {
            Some((field, rest)) => (field, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        if field.is_empty() {
            self.fail(WireError::MissingField);
        }
        field
    }

    /// Everything that is left; may be empty and may contain `%%`.
    pub(super) fn rest(&mut self) -> &'a str {
        self.rest.take().unwrap_or_else(|| {
            self.fail(WireError::MissingField);
            ""
        })
    }

    /// As [`Self::rest`], but the field may be missing.
    pub(super) fn optional_rest(&mut self) -> &'a str {
        self.rest.take().unwrap_or("")
    }

    /// Fails with `error` unless the next field equals `text`.
    pub(super) fn expect(&mut self, text: &str, error: WireError) {
        if self.next() != text {
            self.fail(error);
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        let number = number(self.next(), 10);
        self.well_formed(number)
    }

    pub(super) fn small_number(&mut self) -> u32 {
        let number = u32::try_from(self.number()).ok();
        self.well_formed(number)
    }

    fn base36(&mut self, digits: &str) -> u64 {
        self.well_formed(parse_base36(digits))
    }

    pub(super) fn next_base36(&mut self) -> u64 {
        let digits = self.next();
        self.base36(digits)
    }

    pub(super) fn chain(&mut self) -> ChainId {
        let digits = self.next();
        ChainId(self.base36(digits))
    }

    /// Reads the rest as a list separated by commas. Items beyond the first `most` are ignored.
    fn list<V>(&mut self, most: usize, parse: impl Fn(&str) -> Option<V>) -> Vec<V> {
        let (mut values, mut rest) = (Vec::new(), Some(self.rest()));
        while let Some(list) = rest.filter(|_| values.len() < most) {
            let (item, others) = list.split_once(',').map_or((list, None), |(item, others)| (item, Some(others)));
            let Some(value) = parse(item) else {
                self.fail(WireError::MalformedField);
                break;
            };
            values.push(value);
            rest = others;
        }
        values
    }

    pub(super) fn numbers(&mut self, most: usize) -> Vec<u32> {
        self.list(most, |item| number(item, 10).and_then(|value| u32::try_from(value).ok()))
    }

    pub(super) fn chains(&mut self, most: usize) -> Vec<ChainId> {
        self.list(most, |item| parse_base36(item).map(ChainId))
    }

    /// Unwraps a checked value.
    pub(super) fn checked<V: Default>(&mut self, value: Result<V, WireError>) -> V {
        value.unwrap_or_else(|error| {
            self.fail(error);
            V::default()
        })
    }

    /// Reads the rest as triples of chain, seq and held events, at least one. Those beyond the first `most` are ignored.
    pub(super) fn progress(&mut self, most: usize) -> Vec<Progress> {
        let mut chains = Vec::new();
        while chains.len() < most && self.error.is_none() && (chains.is_empty() || self.rest.is_some()) {
            let (chain, done, held) = (self.chain(), self.seq(), self.next());
            let held = held_events(held, done.number);
            chains.push(Progress { chain, done, held: self.well_formed(held) });
        }
        chains
    }

    pub(super) fn seq_or_none(&mut self) -> Option<Seq> {
        let field = self.next();
        if field == NONE {
            return None;
        }
        let (epoch, number) = field.split_once('.').unwrap_or((field, ""));
        Some(Seq { epoch: self.base36(epoch), number: self.base36(number) })
    }

    pub(super) fn seq(&mut self) -> Seq {
        let seq = self.seq_or_none();
        self.well_formed(seq)
    }

    pub(super) fn position(&mut self) -> &'a str {
        let field = self.next();
        self.well_formed(Position::parse(field).map(|_| field))
    }

    /// The two fields that follow a sequence number in a checkpoint.
    pub(super) fn checkpoint(&mut self, seq: Seq) -> Checkpoint<&'a str> {
        Checkpoint { seq, unix: self.number(), position: self.position() }
    }

    /// Reads exactly 16 hexadecimal digits.
    fn hexadecimal(&mut self, digits: Option<&str>) -> u64 {
        let number = digits.filter(|digits| digits.len() == 16).and_then(|digits| number(digits, 16));
        self.well_formed(number)
    }

    pub(super) fn token(&mut self) -> Token {
        let digits = self.next();
        let (high, low) = (self.hexadecimal(digits.get(..16)), self.hexadecimal(digits.get(16..)));
        Token(u128::from(high) << 64 | u128::from(low))
    }

    pub(super) fn revision(&mut self) -> Revision {
        match self.next() {
            NONE => Revision::NONE,
            digits => Revision(Some(self.hexadecimal(Some(digits)))),
        }
    }
}

/// Reads `from-to,from-to…`, in ascending order behind that number, or `0`.
fn held_events(field: &str, done: u64) -> Option<Vec<(u64, u64)>> {
    let (mut held, mut last) = (Vec::new(), done);
    for range in field.split(',').filter(|_| field != "0").take(MAX_HELD) {
        let (from, to) = range.split_once('-')?;
        let (from, to) = (parse_base36(from)?, parse_base36(to)?);
        if from <= last || to < from {
            return None;
        }
        last = to;
        held.push((from, to));
    }
    Some(held)
}

/// Splits a text at the first `%%`. Does what `split_once` does, but is faster for the short fields that every event has.
pub(crate) fn split_field(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let at = from + memchr(b'%', &bytes[from..])?;
        if bytes.get(at + 1) == Some(&b'%') {
            return Some((&text[..at], &text[at + 2..]));
        }
        from = at + 1;
    }
}
