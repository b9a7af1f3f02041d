//! The messages that agents and servers exchange: one UDP datagram each, UTF-8 fields joined by `%%`, the command first.
//! `parse` and `emit` are inverses. Nothing here knows who may say what when.
//!
//! The first seven messages are version 1, which peers in the field speak byte for byte. The others are version 2, between
//! peers of this program; a version 1 peer ignores their commands.

pub mod auth;
pub mod position;
mod reader;
mod writer;

use crate::hash::Fnv1a;
use crate::text::number;
use crate::wire::position::{parse_base36, Base36, Position};
use memchr::memchr;
use reader::Fields;
use std::fmt;
use writer::Writer;

/// Most bytes of one UDP datagram over IPv4, and so of a version 1 CONFIG.
pub const MAX_DATAGRAM: usize = 65_507;

/// Most bytes of the text in one [`Message::Part`], so that the datagram stays within 1,200 bytes with the longest name of a host and a seal.
pub const MAX_PART_TEXT: usize = 848;

/// Most parts that one NEED may ask for, and so the most that a server sends at once.
pub const MAX_PARTS_AT_ONCE: usize = 16;

/// Most parts of one configuration.
pub const MAX_PARTS: u32 = 1024;

/// Most bytes of one configuration, for which so many parts are always enough: some are a little shorter than they can be, where
/// characters end.
pub const MAX_CONFIGURATION: usize = 480 * 1024;

/// Most chains that one SEEK may ask for.
pub const MAX_CHAINS_AT_ONCE: usize = 16;

/// The version that SRVCAP and HELLO name.
pub const VERSION: &str = "2";

/// One datagram, borrowed from its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// `SRVHB%%name`: server to everyone, every 5 s.
    Heartbeat { name: &'a str },
    /// `CONFREQ%%host`: agent to server.
    ConfigRequest { host: &'a str },
    /// `CONFIG%%START%%line%%line…`: server to agent. The lines still joined by `%%`.
    Config { lines: &'a str },
    /// `RESET%%host`: server to everyone; that agent's configuration changed.
    Reset { host: &'a str },
    /// `ALERT%%host%%uid%%time%%tags%%file%%text`: agent to server.
    Alert(Alert<'a>),
    /// `ACK%%uid`: server to agent; the event is in the stream.
    Ack { uid: &'a str },

    /// `SRVCAP%%name%%2%%server run`: server to everyone beside SRVHB; "I also speak version 2".
    Capability { name: &'a str, run: Token },
    /// `HELLO%%2%%host%%run%%Na`: agent to server; asks for a session.
    Hello { host: &'a str, run: Token, nonce: Token },
    /// `OFFER%%host%%Na%%Ns`: server to agent; not longer than the HELLO.
    Offer { host: &'a str, nonce: Token, cookie: Token },
    /// `JOIN%%host%%run%%Na%%Ns`: agent to server; its address is real, the session begins.
    Join { host: &'a str, run: Token, nonce: Token, cookie: Token },
    /// `CONF%%host%%revision%%i%%n%%text`: server to agent; part `i` of `n`, counted from 1.
    Part { host: &'a str, revision: Revision, index: u32, count: u32, text: &'a str },
    /// `NEED%%host%%revision%%i,i…`: agent to server; asks for those parts.
    Need { host: &'a str, revision: Revision, parts: Vec<u32> },
    /// `STALE%%host%%revision`: server to agent; that is the revision now.
    Stale { host: &'a str, revision: Revision },
    /// `ALIVE%%host%%run%%revision`: agent to every server that it hears; a sign of life, with the revision in force.
    Alive { host: &'a str, run: Token, revision: Revision },
    /// `HERE%%host`: server to agent; answers an ALIVE of a session that it knows, for agents that no broadcast reaches.
    Here { host: &'a str },
    /// `LOST%%host`: server to agent; answers what only belongs into a session when it knows none.
    Lost { host: &'a str },

    /// `SEEK%%host%%chain,chain…`: agent to server; asks how far these chains have come.
    Seek { host: &'a str, chains: Vec<ChainId> },
    /// `AT%%host%%chain%%step%%time%%position`, or `AT%%host%%chain%%none`: server to agent; so far has that chain come.
    At { host: &'a str, chain: ChainId, checkpoint: Option<Checkpoint<&'a str>> },
    /// `TAKE%%host%%chain%%from%%step%%time%%position`: agent to server; the chain, which had come to the step `from` (or `none`), goes
    /// on from here. Answered by DONE, or by AT where it had not.
    Take { host: &'a str, chain: ChainId, from: Option<Seq>, to: Checkpoint<&'a str> },
    /// `EVENT%%host%%chain%%step%%position%%time%%tags%%file%%text`: agent to server; the next event of a chain. Answered by DONE, or by
    /// AT where the chain is not this run's.
    Event(ChainEvent<'a>),
    /// `DONE%%host%%chain%%step%%held`: server to agent; all events of the chain up to that step are in the stream. Of those behind it, the
    /// ones wait for a predecessor whose bits are set in `held`, lowest first.
    Done { host: &'a str, chain: ChainId, seq: Seq, sack: u64 },
}

/// Names one of the chains of a host: events that each have the one before as their predecessor. Base 36 on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChainId(pub u64);

/// A place in a chain: the number of an event, counted from 1 in each run of an agent. `run.number` on the wire, both in base 36.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seq {
    /// The run of the agent that counts.
    pub epoch: u64,
    /// 0 before the first event.
    pub number: u64,
}

/// How far a chain has come. `P` is the text of the position: borrowed from a datagram (`&str`) or owned (`Box<str>`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint<P> {
    /// Its last event.
    pub seq: Seq,
    /// When that was, in seconds since 1970 by the clock of its host.
    pub unix: u64,
    /// How far the log was read then: one word, see [`Position`].
    pub position: P,
}

impl<P: AsRef<str>> Checkpoint<P> {
    /// The same, borrowed.
    pub fn borrowed(&self) -> Checkpoint<&str> {
        Checkpoint { seq: self.seq, unix: self.unix, position: self.position.as_ref() }
    }

    /// The same, owned.
    pub fn to_owned(&self) -> Checkpoint<Box<str>> {
        Checkpoint { seq: self.seq, unix: self.unix, position: self.position.as_ref().into() }
    }
}

/// The fields of an EVENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainEvent<'a> {
    /// Which chain of the host it belongs to.
    pub chain: ChainId,
    /// Which event of the chain it is, and how far the log is read with it.
    pub checkpoint: Checkpoint<&'a str>,
    /// Name of the host that the event comes from.
    pub host: &'a str,
    /// As those of an [`Alert`].
    pub tags: &'a str,
    /// As that of an [`Alert`].
    pub file: Option<&'a str>,
    /// As that of an [`Alert`].
    pub text: &'a str,
}

/// The fields of an ALERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alert<'a> {
    /// Name of the host that the event comes from.
    pub host: &'a str,
    /// Names the event among those of its host; opaque to consumers.
    pub uid: &'a str,
    /// When it happened, in seconds since 1970.
    pub unix: u64,
    /// What the rule's `tags=` says, or `SYSTEM`.
    pub tags: &'a str,
    /// The followed file; `None` travels as `NULL`.
    pub file: Option<&'a str>,
    /// The rest of the datagram; may contain `%%`.
    pub text: &'a str,
}

/// 128 random bits: 32 hexadecimal digits on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u128);

/// Which configuration: a hash of its text (16 hexadecimal digits), or `none` where the host has no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision(Option<u64>);

/// Why a datagram is not a message. These are counted, never logged one by one: strangers can cause them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The bytes are not UTF-8.
    NotUtf8,
    /// The command is none that this program knows; a newer peer's, perhaps.
    UnknownCommand,
    /// There are fewer fields than the command has.
    MissingField,
    /// A number, token or revision has not its form.
    MalformedField,
}

/// What stands in the file field of an event that has no file.
const NO_FILE: &str = "NULL";

/// What stands for a step or a revision that there is not.
const NONE: &str = "none";

impl<'a> Message<'a> {
    /// Reads one datagram.
    ///
    /// # Errors
    /// What makes it none of the messages; there is nothing to answer.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, WireError> {
        let mut fields = Fields::of(datagram)?;
        let message = Self::of_agent(&mut fields).or_else(|| Self::of_server(&mut fields));
        fields.done(message)
    }

    /// The same for an agent, to whom an agent's messages are as unknown as any others.
    ///
    /// # Errors
    /// What makes it none of the messages of a server.
    pub fn parse_of_server(datagram: &'a [u8]) -> Result<Self, WireError> {
        let mut fields = Fields::of(datagram)?;
        let message = Self::of_server(&mut fields);
        fields.done(message)
    }

    fn of_agent(fields: &mut Fields<'a>) -> Option<Self> {
        Some(match fields.command {
            "CONFREQ" => Self::ConfigRequest { host: fields.rest() },
            "ALERT" => Self::Alert(fields.alert()),
            "HELLO" => {
                fields.expect(VERSION, WireError::UnknownCommand);
                Self::Hello { host: fields.next(), run: fields.token(), nonce: fields.token() }
            }
            "JOIN" => Self::Join { host: fields.next(), run: fields.token(), nonce: fields.token(), cookie: fields.token() },
            "NEED" => Self::Need { host: fields.next(), revision: fields.revision(), parts: fields.parts() },
            "ALIVE" => Self::Alive { host: fields.next(), run: fields.token(), revision: fields.revision() },
            "SEEK" => Self::Seek { host: fields.next(), chains: fields.chains() },
            "TAKE" => {
                let (host, chain, from, seq) = (fields.next(), fields.chain(), fields.seq_or_none(), fields.seq());
                Self::Take { host, chain, from, to: fields.checkpoint(seq) }
            }
            "EVENT" => Self::Event(fields.event()),
            _ => return None,
        })
    }

    fn of_server(fields: &mut Fields<'a>) -> Option<Self> {
        Some(match fields.command {
            "SRVHB" => Self::Heartbeat { name: fields.rest() },
            "CONFIG" => {
                fields.expect("START", WireError::MalformedField);
                Self::Config { lines: fields.rest.take().unwrap_or("") }
            }
            "RESET" => Self::Reset { host: fields.rest() },
            "ACK" => Self::Ack { uid: fields.rest() },
            "SRVCAP" => {
                let name = fields.next();
                fields.expect(VERSION, WireError::UnknownCommand);
                Self::Capability { name, run: fields.token() }
            }
            "OFFER" => Self::Offer { host: fields.next(), nonce: fields.token(), cookie: fields.token() },
            "CONF" => {
                let (host, revision) = (fields.next(), fields.revision());
                Self::Part { host, revision, index: fields.small_number(), count: fields.small_number(), text: fields.rest() }
            }
            "STALE" => Self::Stale { host: fields.next(), revision: fields.revision() },
            "HERE" => Self::Here { host: fields.rest() },
            "LOST" => Self::Lost { host: fields.rest() },
            "AT" => {
                let (host, chain) = (fields.next(), fields.chain());
                Self::At { host, chain, checkpoint: fields.seq_or_none().map(|seq| fields.checkpoint(seq)) }
            }
            "DONE" => {
                let (host, chain, seq) = (fields.next(), fields.chain(), fields.seq());
                let sack = fields.rest();
                Self::Done { host, chain, seq, sack: fields.base36(sack) }
            }
            _ => return None,
        })
    }

    /// The host that the message is of or for, where it names one.
    pub fn host(&self) -> Option<&'a str> {
        match self {
            Self::Heartbeat { .. } | Self::Capability { .. } | Self::Config { .. } | Self::Ack { .. } => None,
            Self::Alert(alert) => Some(alert.host),
            Self::Event(event) => Some(event.host),
            Self::ConfigRequest { host }
            | Self::Reset { host }
            | Self::Hello { host, .. }
            | Self::Offer { host, .. }
            | Self::Join { host, .. }
            | Self::Part { host, .. }
            | Self::Need { host, .. }
            | Self::Stale { host, .. }
            | Self::Alive { host, .. }
            | Self::Here { host }
            | Self::Lost { host }
            | Self::Seek { host, .. }
            | Self::At { host, .. }
            | Self::Take { host, .. }
            | Self::Done { host, .. } => Some(host),
        }
    }

    /// The datagram of this message. Fields before the last must not contain `%%`, which is the caller's to see to.
    pub fn emit(&self) -> Vec<u8> {
        let mut text = String::new();
        self.emit_into(&mut text);
        text.into_bytes()
    }

    /// Appends the datagram of this message to a text.
    pub fn emit_into(&self, text: &mut String) {
        let writer = Writer { text };
        let _ = match self {
            Self::Heartbeat { name } => writer.plain("SRVHB").field(name),
            Self::ConfigRequest { host } => writer.plain("CONFREQ").field(host),
            Self::Config { lines } => writer.plain("CONFIG%%START").field(lines),
            Self::Reset { host } => writer.plain("RESET").field(host),
            Self::Alert(alert) => writer.plain("ALERT%%").alert(alert),
            Self::Ack { uid } => writer.plain("ACK").field(uid),
            Self::Capability { name, run } => writer.plain("SRVCAP").field(name).field(VERSION).token(run),
            Self::Hello { host, run, nonce } => writer.plain("HELLO").field(VERSION).field(host).token(run).token(nonce),
            Self::Offer { host, nonce, cookie } => writer.plain("OFFER").field(host).token(nonce).token(cookie),
            Self::Join { host, run, nonce, cookie } => writer.plain("JOIN").field(host).token(run).token(nonce).token(cookie),
            Self::Part { host, revision, index, count, text } => {
                writer.plain("CONF").field(host).revision(revision).number((*index).into()).number((*count).into()).field(text)
            }
            Self::Need { host, revision, parts } => {
                let writer = writer.plain("NEED").field(host).revision(revision).plain("%%");
                parts.iter().enumerate().fold(writer, |writer, (at, part)| writer.item(at, (*part).into(), 10))
            }
            Self::Stale { host, revision } => writer.plain("STALE").field(host).revision(revision),
            Self::Alive { host, run, revision } => writer.plain("ALIVE").field(host).token(run).revision(revision),
            Self::Here { host } => writer.plain("HERE").field(host),
            Self::Lost { host } => writer.plain("LOST").field(host),
            Self::Seek { host, chains } => {
                let writer = writer.plain("SEEK").field(host).plain("%%");
                chains.iter().enumerate().fold(writer, |writer, (at, chain)| writer.item(at, chain.0, 36))
            }
            Self::At { host, chain, checkpoint: None } => writer.plain("AT").field(host).base36(chain.0).field(NONE),
            Self::At { host, chain, checkpoint: Some(checkpoint) } => writer.plain("AT").field(host).base36(chain.0).checkpoint(checkpoint),
            Self::Take { host, chain, from: None, to } => writer.plain("TAKE").field(host).base36(chain.0).field(NONE).checkpoint(to),
            Self::Take { host, chain, from: Some(from), to } => writer.plain("TAKE").field(host).base36(chain.0).seq(from).checkpoint(to),
            Self::Event(ChainEvent { chain, checkpoint: Checkpoint { seq, unix, position }, host, tags, file, text }) => {
                let writer = writer.plain("EVENT").field(host).base36(chain.0).seq(seq).field(position).number(*unix);
                writer.field(tags).field(file.unwrap_or(NO_FILE)).field(text)
            }
            Self::Done { host, chain, seq, sack } => writer.plain("DONE").field(host).base36(chain.0).seq(seq).base36(*sack),
        };
    }
}

impl Alert<'_> {
    /// Appends the fields as they stand behind `ALERT%%`, and in the event stream behind the time of receipt.
    pub fn emit_into(&self, text: &mut String) {
        let _ = Writer { text }.alert(self);
    }
}

/// As by [`Message::emit_into`].
impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.emit_into(&mut text);
        f.write_str(&text)
    }
}

/// As by [`Alert::emit_into`].
impl fmt::Display for Alert<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.emit_into(&mut text);
        f.write_str(&text)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base36(self.0).fmt(f)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", Base36(self.epoch), Base36(self.number))
    }
}

impl ChainId {
    /// The chain of events that come from no file.
    pub const NO_FILE: Self = Self(0);

    /// The chain of a log, or of a wildcard itself.
    pub fn of_log(path: &str) -> Self {
        Self(Fnv1a::of(path.as_bytes()).max(1))
    }

    /// The chain of a file that a wildcard found: another rule may follow the same file by its path.
    pub fn of_file(wildcard: &str, path: &str) -> Self {
        Self(Fnv1a::EMPTY.with(wildcard.as_bytes()).with(b"\0").with(path.as_bytes()).value().max(1))
    }
}

impl<'a> ChainEvent<'a> {
    /// The word that names the event in the stream and tells a starting server how far its chain had come: the time and number that
    /// version 1 has there, the chain, the run and the position.
    pub fn uid(&self) -> String {
        let Checkpoint { seq: Seq { epoch: run, number }, unix, position } = self.checkpoint;
        format!("{unix}_{number}:{}:{}:{position}", self.chain, Base36(run))
    }

    /// Reads what [`Self::uid`] makes. `None` for what other agents name their events by.
    pub fn parse_uid(uid: &'a str) -> Option<(ChainId, Checkpoint<&'a str>)> {
        let (time, rest) = uid.split_once('_')?;
        let mut fields = rest.splitn(4, ':');
        let (unix, number) = (number(time, 10)?, number(fields.next()?, 10)?);
        let (chain, run) = (parse_base36(fields.next()?)?, parse_base36(fields.next()?)?);
        let position = fields.next().filter(|position| Position::parse(position).is_some())?;
        Some((ChainId(chain), Checkpoint { seq: Seq { epoch: run, number }, unix, position }))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Revision {
    /// The revision of a host that has no file.
    pub const NONE: Self = Self(None);

    /// The revision that a text has: its 64-bit FNV-1a hash. Equal texts have equal revisions on every server.
    pub fn of(text: &str) -> Self {
        Self(Some(Fnv1a::of(text.as_bytes())))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(hash) => write!(f, "{hash:016x}"),
            None => f.write_str(NONE),
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "not UTF-8",
            Self::UnknownCommand => "unknown command",
            Self::MissingField => "missing field",
            Self::MalformedField => "malformed field",
        })
    }
}

/// The command of a datagram and the field behind it, which names a host in most messages, whatever follows.
pub fn named_host(datagram: &[u8]) -> Option<(&str, &str)> {
    let (command, rest) = split_field(std::str::from_utf8(datagram).ok()?)?;
    Some((command, split_field(rest).map_or(rest, |(host, _)| host)))
}

/// What stands before the first `%%`, and what behind it. As `split_once`, but quick for the short fields that every event has.
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

#[cfg(test)]
mod tests;
