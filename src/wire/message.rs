//! The messages: UTF-8 fields joined by `%%`, the command first. `parse` and `emit` are inverses.
//!
//! The first six are version 1, which peers in the field speak byte for byte. The others are version 3, which only this program speaks;
//! version 1 peers ignore them.

use super::batch::{BatchEvents, EventBatch};
use super::fields::{ChainId, Checkpoint, Progress, Revision, Seq, Token, WireError, NO_FILE, VERSION};
use super::limits::{MAX_CHAINS_AT_ONCE, MAX_PARTS_AT_ONCE};
use super::reader::{split_field, FieldReader};
use super::writer::FieldWriter;
use std::fmt;

/// One datagram, borrowed from its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// `SRVHB%%name`: server to everyone, every 5 s.
    Heartbeat { name: &'a str },
    /// `CONFREQ%%host`: agent to server; asks for its configuration.
    ConfigRequest { host: &'a str },
    /// `CONFIG%%START%%line%%line…`: server to agent. `lines` are still joined by `%%`.
    Config { lines: &'a str },
    /// `RESET%%host`: server to everyone; the configuration of that host changed.
    Reset { host: &'a str },
    /// `ALERT%%host%%uid%%time%%tags%%file%%text`: agent to server; an event.
    Alert(Alert<'a>),
    /// `ACK%%uid`: server to agent; the event is in the stream.
    Ack { uid: &'a str },

    /// `SRVCAP%%name%%3%%run`: server to everyone, with each SRVHB; the server also speaks version 3.
    Capability { name: &'a str, run: Token },
    /// `HELLO%%3%%host%%run%%nonce`: agent to server; asks for a session.
    Hello { host: &'a str, run: Token, nonce: Token },
    /// `OFFER%%host%%nonce%%cookie`: server to agent; answers HELLO and is not longer than it.
    Offer { host: &'a str, nonce: Token, cookie: Token },
    /// `JOIN%%host%%run%%nonce%%cookie`: agent to server; the cookie proves its address, and the session begins.
    Join { host: &'a str, run: Token, nonce: Token, cookie: Token },
    /// `CONF%%host%%revision%%index%%count%%text`: server to agent; one part of a configuration, counted from 1.
    Part { host: &'a str, revision: Revision, index: u32, count: u32, text: &'a str },
    /// `NEED%%host%%revision%%index,index…`: agent to server; asks for those parts.
    Need { host: &'a str, revision: Revision, parts: Vec<u32> },
    /// `STALE%%host%%revision`: server to agent; names the current revision.
    Stale { host: &'a str, revision: Revision },
    /// `ALIVE%%host%%run%%revision`: agent to every server that it hears; a keepalive with the revision in force.
    Alive { host: &'a str, run: Token, revision: Revision },
    /// `HERE%%host`: server to agent; answers the ALIVE of a session that it knows. Serves agents that no broadcast reaches.
    Here { host: &'a str },
    /// `LOST%%host`: server to agent; answers a message that needs a session when the server knows none.
    Lost { host: &'a str },
    /// `LOCKED%%host`: server to agent; answers a HELLO without a MAC of a host that has a key.
    Locked { host: &'a str },

    /// `SEEK%%host%%chain,chain…`: agent to server; asks how far these chains have come.
    Seek { host: &'a str, chains: Vec<ChainId> },
    /// `AT%%host%%chain%%seq%%time%%position`, or `AT%%host%%chain%%none`: server to agent; how far the chain has come.
    At { host: &'a str, chain: ChainId, checkpoint: Option<Checkpoint<&'a str>> },
    /// `TAKE%%host%%chain%%from%%seq%%time%%position`: agent to server; moves the chain from the sequence number `from` (or `none`) to
    /// this checkpoint, if it is at `from`. The server answers with AT.
    Take { host: &'a str, chain: ChainId, from: Option<Seq>, to: Checkpoint<&'a str> },
    /// `BACK%%host%%chain%%inode%%offset`: agent to server; asks for earlier places of a file that has lost its end, up to that offset.
    Back { host: &'a str, chain: ChainId, inode: u64, offset: u64 },
    /// `PAST%%host%%chain%%offset%%position`: server to agent; answers BACK with some of these places, the last one first.
    Past { host: &'a str, chain: ChainId, offset: u64, places: &'a str },
    /// `EVENT%%host%%chain%%seq%%position%%time%%tags%%file%%origin`, and the events on lines of their own: agent to server; consecutive
    /// events of a chain, of which `seq` is the first. The server answers DONE, or AT if the chain belongs to another epoch.
    Event(EventBatch<'a>),
    /// `DONE%%host%%chain%%seq%%held`, with the last three fields once for each chain: server to agent; all events of the chain up to `seq`
    /// are in the stream. `held` names those that wait for a predecessor, as `from-to,from-to…`, or is `0`.
    Done { host: &'a str, chains: Vec<Progress> },
}

/// The fields of an ALERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alert<'a> {
    /// Name of the host that the event comes from.
    pub host: &'a str,
    /// Names the event among those of its host; opaque to consumers.
    pub uid: &'a str,
    /// When the event happened, in seconds since 1970.
    pub unix: u64,
    /// The tags of the rule, or `SYSTEM`.
    pub tags: &'a str,
    /// The followed file; `None` travels as `NULL`.
    pub file: Option<&'a str>,
    /// The rest of the datagram; may contain `%%`.
    pub text: &'a str,
}

impl<'a> Message<'a> {
    /// Reads one datagram.
    ///
    /// # Errors
    /// Why it is not a message. Nothing answers such a datagram.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, WireError> {
        let mut fields = FieldReader::new(datagram)?;
        let message = Self::of_agent(&mut fields).or_else(|| Self::of_server(&mut fields));
        fields.finish(message)
    }

    /// Reads one datagram from a server. Messages that only agents send are [`WireError::UnknownCommand`].
    ///
    /// # Errors
    /// Why it is not a message from a server.
    pub fn parse_of_server(datagram: &'a [u8]) -> Result<Self, WireError> {
        let mut fields = FieldReader::new(datagram)?;
        let message = Self::of_server(&mut fields);
        fields.finish(message)
    }

    /// Reads a message that agents send. `None` if the command is not one of those.
    fn of_agent(fields: &mut FieldReader<'a>) -> Option<Self> {
        Some(match fields.command {
            "CONFREQ" => Self::ConfigRequest { host: fields.rest() },
            "ALERT" => Self::Alert(Alert::read(fields)),
            "HELLO" => {
                fields.expect(VERSION, WireError::UnknownCommand);
                Self::Hello { host: fields.next(), run: fields.token(), nonce: fields.token() }
            }
            "JOIN" => Self::Join { host: fields.next(), run: fields.token(), nonce: fields.token(), cookie: fields.token() },
            "NEED" => Self::Need { host: fields.next(), revision: fields.revision(), parts: fields.numbers(MAX_PARTS_AT_ONCE) },
            "ALIVE" => Self::Alive { host: fields.next(), run: fields.token(), revision: fields.revision() },
            "SEEK" => Self::Seek { host: fields.next(), chains: fields.chains(MAX_CHAINS_AT_ONCE) },
            "TAKE" => {
                let (host, chain, from, seq) = (fields.next(), fields.chain(), fields.seq_or_none(), fields.seq());
                Self::Take { host, chain, from, to: fields.checkpoint(seq) }
            }
            "BACK" => Self::Back { host: fields.next(), chain: fields.chain(), inode: fields.next_base36(), offset: fields.next_base36() },
            "EVENT" => Self::Event(read_batch(fields)),
            _ => return None,
        })
    }

    /// Reads a message that servers send. `None` if the command is not one of those.
    fn of_server(fields: &mut FieldReader<'a>) -> Option<Self> {
        Some(match fields.command {
            "SRVHB" => Self::Heartbeat { name: fields.rest() },
            "CONFIG" => {
                fields.expect("START", WireError::MalformedField);
                Self::Config { lines: fields.optional_rest() }
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
            "LOCKED" => Self::Locked { host: fields.rest() },
            "AT" => {
                let (host, chain) = (fields.next(), fields.chain());
                Self::At { host, chain, checkpoint: fields.seq_or_none().map(|seq| fields.checkpoint(seq)) }
            }
            "PAST" => {
                let (host, chain, offset) = (fields.next(), fields.chain(), fields.next_base36());
                Self::Past { host, chain, offset, places: fields.position() }
            }
            "DONE" => Self::Done { host: fields.next(), chains: fields.progress(MAX_CHAINS_AT_ONCE) },
            _ => return None,
        })
    }

    /// The host that the message comes from or goes to. `None` if the message names no host.
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
            | Self::Locked { host }
            | Self::Seek { host, .. }
            | Self::At { host, .. }
            | Self::Take { host, .. }
            | Self::Back { host, .. }
            | Self::Past { host, .. }
            | Self::Done { host, .. } => Some(host),
        }
    }

    /// Returns the datagram. The caller ensures that no field before the last contains `%%`.
    pub fn emit(&self) -> Vec<u8> {
        let mut text = String::new();
        self.emit_into(&mut text);
        text.into_bytes()
    }

    /// Appends the datagram to a text, see [`Self::emit`].
    pub fn emit_into(&self, text: &mut String) {
        let writer = FieldWriter { text };
        let _ = match self {
            Self::Heartbeat { name } => writer.raw("SRVHB").field(name),
            Self::ConfigRequest { host } => writer.raw("CONFREQ").field(host),
            Self::Config { lines } => writer.raw("CONFIG%%START").field(lines),
            Self::Reset { host } => writer.raw("RESET").field(host),
            Self::Alert(alert) => alert.write(writer.raw("ALERT%%")),
            Self::Ack { uid } => writer.raw("ACK").field(uid),
            Self::Capability { name, run } => writer.raw("SRVCAP").field(name).field(VERSION).token(*run),
            Self::Hello { host, run, nonce } => writer.raw("HELLO").field(VERSION).field(host).token(*run).token(*nonce),
            Self::Offer { host, nonce, cookie } => writer.raw("OFFER").field(host).token(*nonce).token(*cookie),
            Self::Join { host, run, nonce, cookie } => writer.raw("JOIN").field(host).token(*run).token(*nonce).token(*cookie),
            Self::Part { host, revision, index, count, text } => {
                writer.raw("CONF").field(host).revision(*revision).number((*index).into()).number((*count).into()).field(text)
            }
            Self::Need { host, revision, parts } => {
                writer.raw("NEED").field(host).revision(*revision).list(parts.iter().map(|part| (*part).into()), 10)
            }
            Self::Stale { host, revision } => writer.raw("STALE").field(host).revision(*revision),
            Self::Alive { host, run, revision } => writer.raw("ALIVE").field(host).token(*run).revision(*revision),
            Self::Here { host } => writer.raw("HERE").field(host),
            Self::Lost { host } => writer.raw("LOST").field(host),
            Self::Locked { host } => writer.raw("LOCKED").field(host),
            Self::Seek { host, chains } => writer.raw("SEEK").field(host).list(chains.iter().map(|chain| chain.0), 36),
            Self::At { host, chain, checkpoint } => writer.raw("AT").field(host).chain(*chain).checkpoint_or_none(checkpoint.as_ref()),
            Self::Take { host, chain, from, to } => writer.raw("TAKE").field(host).chain(*chain).seq_or_none(*from).checkpoint(to),
            Self::Back { host, chain, inode, offset } => writer.raw("BACK").field(host).chain(*chain).base36(*inode).base36(*offset),
            Self::Past { host, chain, offset, places } => writer.raw("PAST").field(host).chain(*chain).base36(*offset).field(places),
            Self::Event(batch) => EventBatch::write(writer, batch.host, batch.chain, batch.first, batch.position, batch.text),
            Self::Done { host, chains } => chains.iter().fold(writer.raw("DONE").field(host), FieldWriter::progress),
        };
    }
}

impl<'a> Alert<'a> {
    fn read(fields: &mut FieldReader<'a>) -> Self {
        let (host, uid, unix) = (fields.next(), fields.next(), fields.number());
        Self { host, uid, unix, tags: fields.next(), file: read_file(fields), text: fields.rest() }
    }

    fn write<'t>(&self, writer: FieldWriter<'t>) -> FieldWriter<'t> {
        let Self { host, uid, unix, tags, file, text } = self;
        writer.raw(host).field(uid).number(*unix).field(tags).field(file.unwrap_or(NO_FILE)).field(text)
    }

    /// Appends the fields without a command: as after `ALERT%%`, and as in the event stream after the time of receipt.
    pub fn emit_into(&self, text: &mut String) {
        let _ = self.write(FieldWriter { text });
    }
}

fn read_batch<'a>(fields: &mut FieldReader<'a>) -> EventBatch<'a> {
    let (host, chain, first, position, text) = (fields.next(), fields.chain(), fields.seq(), fields.position(), fields.rest());
    let events = fields.checked(BatchEvents::read_all(text));
    EventBatch { host, chain, first, position, text, events }
}

fn read_file<'a>(fields: &mut FieldReader<'a>) -> Option<&'a str> {
    Some(fields.next()).filter(|file| *file != NO_FILE)
}

/// As [`Message::emit`].
impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.emit_into(&mut text);
        f.write_str(&text)
    }
}

/// As [`Alert::emit_into`].
impl fmt::Display for Alert<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.emit_into(&mut text);
        f.write_str(&text)
    }
}

/// The command of a datagram and the next field, which names the host in most messages. Checks nothing else.
pub fn named_host(datagram: &[u8]) -> Option<(&str, &str)> {
    let (command, rest) = split_field(std::str::from_utf8(datagram).ok()?)?;
    Some((command, split_field(rest).map_or(rest, |(host, _)| host)))
}
