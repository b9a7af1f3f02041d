//! Reads the fields of a datagram one after the other.

use super::{
    split_field, Alert, ChainEvent, ChainId, Checkpoint, Message, Revision, Seq, Token, WireError, MAX_CHAINS_AT_ONCE, MAX_PARTS_AT_ONCE,
    NONE, NO_FILE,
};
use crate::text::number;
use crate::wire::position::{parse_base36, Position};

/// What of a datagram has not been read yet. What goes wrong first is kept, and what is read from then on means nothing.
pub(super) struct Fields<'a> {
    pub(super) command: &'a str,
    pub(super) rest: Option<&'a str>,
    error: Option<WireError>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(datagram: &'a [u8]) -> Result<Self, WireError> {
        let text = std::str::from_utf8(datagram).map_err(|_| WireError::NotUtf8)?;
        let (command, rest) = split_field(text).unwrap_or((text, ""));
        Ok(Self { command, rest: Some(rest), error: None })
    }

    /// The message that was read, unless something was wrong.
    pub(super) fn done(self, message: Option<Message<'a>>) -> Result<Message<'a>, WireError> {
        match self.error {
            None => message.ok_or(WireError::UnknownCommand),
            Some(error) => Err(error),
        }
    }

    fn fail(&mut self, error: WireError) {
        self.error.get_or_insert(error);
    }

    /// The value of a field, if it has one.
    fn well_formed<V: Default>(&mut self, value: Option<V>) -> V {
        value.unwrap_or_else(|| {
            self.fail(WireError::MalformedField);
            V::default()
        })
    }

    /// The next field, which another one follows or not. No field but a text may be empty.
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

    /// Everything that is left.
    pub(super) fn rest(&mut self) -> &'a str {
        self.rest.take().unwrap_or_else(|| {
            self.fail(WireError::MissingField);
            ""
        })
    }

    pub(super) fn expect(&mut self, text: &str, otherwise: WireError) {
        if self.next() != text {
            self.fail(otherwise);
        }
    }

    fn number(&mut self) -> u64 {
        let number = number(self.next(), 10);
        self.well_formed(number)
    }

    pub(super) fn small_number(&mut self) -> u32 {
        let number = u32::try_from(self.number()).ok();
        self.well_formed(number)
    }

    pub(super) fn base36(&mut self, digits: &str) -> u64 {
        self.well_formed(parse_base36(digits))
    }

    pub(super) fn chain(&mut self) -> ChainId {
        let digits = self.next();
        ChainId(self.base36(digits))
    }

    /// The rest as items with commas between them, of which not all may be asked for.
    fn list(&mut self, most: usize, mut take: impl FnMut(&str) -> Option<()>) {
        let mut rest = Some(self.rest());
        for _ in 0..most {
            let Some(list) = rest else { return };
            let (item, others) = list.split_once(',').map_or((list, None), |(item, others)| (item, Some(others)));
            let taken = take(item);
            self.well_formed(taken);
            rest = others;
        }
    }

    pub(super) fn parts(&mut self) -> Vec<u32> {
        let mut parts = Vec::new();
        self.list(MAX_PARTS_AT_ONCE, |item| number(item, 10).and_then(|part| u32::try_from(part).ok()).map(|part| parts.push(part)));
        parts
    }

    pub(super) fn chains(&mut self) -> Vec<ChainId> {
        let mut chains = Vec::new();
        self.list(MAX_CHAINS_AT_ONCE, |item| parse_base36(item).map(|chain| chains.push(ChainId(chain))));
        chains
    }

    pub(super) fn seq_or_none(&mut self) -> Option<Seq> {
        let field = self.next();
        if field == NONE {
            return None;
        }
        let (run, number) = field.split_once('.').unwrap_or((field, ""));
        Some(Seq { epoch: self.base36(run), number: self.base36(number) })
    }

    pub(super) fn seq(&mut self) -> Seq {
        let seq = self.seq_or_none();
        self.well_formed(seq)
    }

    fn position(&mut self) -> &'a str {
        let field = self.next();
        self.well_formed(Position::parse(field).map(|_| field))
    }

    /// What follows a step.
    pub(super) fn checkpoint(&mut self, seq: Seq) -> Checkpoint<&'a str> {
        Checkpoint { seq, unix: self.number(), position: self.position() }
    }

    pub(super) fn event(&mut self) -> ChainEvent<'a> {
        let (host, chain, seq, position, unix) = (self.next(), self.chain(), self.seq(), self.position(), self.number());
        let checkpoint = Checkpoint { seq, unix, position };
        ChainEvent { chain, checkpoint, host, tags: self.next(), file: self.file(), text: self.rest() }
    }

    pub(super) fn alert(&mut self) -> Alert<'a> {
        let (host, uid, unix) = (self.next(), self.next(), self.number());
        Alert { host, uid, unix, tags: self.next(), file: self.file(), text: self.rest() }
    }

    fn file(&mut self) -> Option<&'a str> {
        Some(self.next()).filter(|file| *file != NO_FILE)
    }

    /// A number of 16 hexadecimal digits.
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
