//! The messages that agents and servers exchange: one UDP datagram each, UTF-8 fields joined by `%%`, the command first.
//! `parse` and `emit` are inverses. Nothing here knows who may say what when.
//!
//! The first seven messages are version 1, which peers in the field speak byte for byte. The others are version 2, between
//! peers of this program; a version 1 peer ignores their commands.

use crate::hash::Fnv1a;
use memchr::memchr;
use std::fmt::{self, Write};

/// Most bytes of one UDP datagram over IPv4, and so of a version 1 CONFIG.
pub const MAX_DATAGRAM: usize = 65_507;

/// Most bytes of the text in one [`Message::Part`], so that the datagram stays within 1,200 bytes.
pub const MAX_PART_TEXT: usize = 960;

/// Most parts that one NEED may ask for, and so the most that a server sends at once.
pub const MAX_PARTS_AT_ONCE: usize = 16;

/// Most parts of one configuration.
pub const MAX_PARTS: u32 = 1024;

/// Most bytes of one configuration: parts may be a little shorter than they can be, where characters end.
pub const MAX_CONFIGURATION: usize = MAX_PART_TEXT * MAX_PARTS as usize / 2;

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
    /// `LOST%%host`: server to agent; answers an ALIVE of a session that it does not know.
    Lost { host: &'a str },
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

impl<'a> Message<'a> {
    /// Reads one datagram.
    ///
    /// # Errors
    /// What makes it none of the messages; there is nothing to answer.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, WireError> {
        let text = std::str::from_utf8(datagram).map_err(|_| WireError::NotUtf8)?;
        let (command, rest) = split_field(text).unwrap_or((text, ""));
        let mut fields = Fields { rest: Some(rest) };
        let message = match command {
            "SRVHB" => Self::Heartbeat { name: fields.rest()? },
            "CONFREQ" => Self::ConfigRequest { host: fields.rest()? },
            "CONFIG" => {
                if fields.next()? != "START" {
                    return Err(WireError::MalformedField);
                }
                Self::Config { lines: fields.rest().unwrap_or("") }
            }
            "RESET" => Self::Reset { host: fields.rest()? },
            "ALERT" => Self::Alert(Alert {
                host: fields.next()?,
                uid: fields.next()?,
                unix: fields.number()?,
                tags: fields.next()?,
                file: Some(fields.next()?).filter(|file| *file != NO_FILE),
                text: fields.rest()?,
            }),
            "ACK" => Self::Ack { uid: fields.rest()? },
            "SRVCAP" => {
                let name = fields.next()?;
                if fields.next()? != VERSION {
                    return Err(WireError::UnknownCommand);
                }
                Self::Capability { name, run: fields.token()? }
            }
            "HELLO" => {
                if fields.next()? != VERSION {
                    return Err(WireError::UnknownCommand);
                }
                Self::Hello { host: fields.next()?, run: fields.token()?, nonce: fields.token()? }
            }
            "OFFER" => Self::Offer { host: fields.next()?, nonce: fields.token()?, cookie: fields.token()? },
            "JOIN" => Self::Join { host: fields.next()?, run: fields.token()?, nonce: fields.token()?, cookie: fields.token()? },
            "CONF" => Self::Part {
                host: fields.next()?,
                revision: fields.revision()?,
                index: fields.number()?,
                count: fields.number()?,
                text: fields.rest()?,
            },
            "NEED" => Self::Need { host: fields.next()?, revision: fields.revision()?, parts: fields.numbers()? },
            "STALE" => Self::Stale { host: fields.next()?, revision: fields.revision()? },
            "ALIVE" => Self::Alive { host: fields.next()?, run: fields.token()?, revision: fields.revision()? },
            "HERE" => Self::Here { host: fields.rest()? },
            "LOST" => Self::Lost { host: fields.rest()? },
            _ => return Err(WireError::UnknownCommand),
        };
        Ok(message)
    }

    /// The datagram of this message. Fields before the last must not contain `%%`, which is the caller's to see to.
    pub fn emit(&self) -> Vec<u8> {
        let mut text = String::new();
        self.emit_into(&mut text);
        text.into_bytes()
    }

    /// Appends the datagram of this message to a text.
    pub fn emit_into(&self, text: &mut String) {
        match self {
            Self::Ack { uid } => {
                text.push_str("ACK%%");
                text.push_str(uid);
            }
            Self::Alert(alert) => {
                text.push_str("ALERT%%");
                alert.emit_into(text);
            }
            // Writing to memory does not fail.
            other => drop(write!(text, "{other}")),
        }
    }
}

impl Alert<'_> {
    /// Appends the fields as they stand behind `ALERT%%`, and in the event stream behind the time of receipt.
    pub fn emit_into(&self, text: &mut String) {
        let Self { host, uid, unix, tags, file, text: rest } = self;
        text.push_str(host);
        text.push_str("%%");
        text.push_str(uid);
        // Writing to memory does not fail.
        let _ = write!(text, "%%{unix}%%");
        text.push_str(tags);
        text.push_str("%%");
        text.push_str(file.unwrap_or(NO_FILE));
        text.push_str("%%");
        text.push_str(rest);
    }
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heartbeat { name } => write!(f, "SRVHB%%{name}"),
            Self::ConfigRequest { host } => write!(f, "CONFREQ%%{host}"),
            Self::Config { lines } => write!(f, "CONFIG%%START%%{lines}"),
            Self::Reset { host } => write!(f, "RESET%%{host}"),
            Self::Alert(alert) => write!(f, "ALERT%%{alert}"),
            Self::Ack { uid } => write!(f, "ACK%%{uid}"),
            Self::Capability { name, run } => write!(f, "SRVCAP%%{name}%%{VERSION}%%{run}"),
            Self::Hello { host, run, nonce } => write!(f, "HELLO%%{VERSION}%%{host}%%{run}%%{nonce}"),
            Self::Offer { host, nonce, cookie } => write!(f, "OFFER%%{host}%%{nonce}%%{cookie}"),
            Self::Join { host, run, nonce, cookie } => write!(f, "JOIN%%{host}%%{run}%%{nonce}%%{cookie}"),
            Self::Part { host, revision, index, count, text } => write!(f, "CONF%%{host}%%{revision}%%{index}%%{count}%%{text}"),
            Self::Need { host, revision, parts } => {
                write!(f, "NEED%%{host}%%{revision}%%")?;
                for (i, part) in parts.iter().enumerate() {
                    if i > 0 {
                        f.write_char(',')?;
                    }
                    write!(f, "{part}")?;
                }
                Ok(())
            }
            Self::Stale { host, revision } => write!(f, "STALE%%{host}%%{revision}"),
            Self::Alive { host, run, revision } => write!(f, "ALIVE%%{host}%%{run}%%{revision}"),
            Self::Here { host } => write!(f, "HERE%%{host}"),
            Self::Lost { host } => write!(f, "LOST%%{host}"),
        }
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
            None => f.write_str("none"),
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

/// What of a datagram has not been read yet.
struct Fields<'a> {
    rest: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// The next field, which another one follows or not. No field but a text may be empty.
    fn next(&mut self) -> Result<&'a str, WireError> {
        let rest = self.rest.ok_or(WireError::MissingField)?;
        let (field, rest) = match split_field(rest) {
            Some((field, rest)) => (field, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        if field.is_empty() {
            return Err(WireError::MissingField);
        }
        Ok(field)
    }

    /// Everything that is left.
    fn rest(&mut self) -> Result<&'a str, WireError> {
        self.rest.take().ok_or(WireError::MissingField)
    }

    fn number<N: std::str::FromStr>(&mut self) -> Result<N, WireError> {
        number(self.next()?)
    }

    fn numbers(&mut self) -> Result<Vec<u32>, WireError> {
        let list = self.rest()?;
        list.split(',').take(MAX_PARTS_AT_ONCE).map(number).collect()
    }

    fn token(&mut self) -> Result<Token, WireError> {
        let digits = hexadecimal(self.next()?, 32)?;
        u128::from_str_radix(digits, 16).map(Token).map_err(|_| WireError::MalformedField)
    }

    fn revision(&mut self) -> Result<Revision, WireError> {
        match self.next()? {
            "none" => Ok(Revision::NONE),
            digits => {
                u64::from_str_radix(hexadecimal(digits, 16)?, 16).map(|hash| Revision(Some(hash))).map_err(|_| WireError::MalformedField)
            }
        }
    }
}

/// What stands before the first `%%`, and what behind it. As `split_once`, but quick for the short fields that every event has.
fn split_field(text: &str) -> Option<(&str, &str)> {
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

fn number<N: std::str::FromStr>(digits: &str) -> Result<N, WireError> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(WireError::MalformedField);
    }
    digits.parse().map_err(|_| WireError::MalformedField)
}

fn hexadecimal(digits: &str, length: usize) -> Result<&str, WireError> {
    let well_formed = digits.len() == length && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    well_formed.then_some(digits).ok_or(WireError::MalformedField)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Token = Token(0x0123_4567_89ab_cdef);
    const RUN_HEX: &str = "00000000000000000123456789abcdef";

    fn every_message() -> Vec<(Message<'static>, String)> {
        let revision = Revision(Some(0xbeef));
        let alert = Alert {
            host: "nas1",
            uid: "1795347336_2",
            unix: 1_795_347_336,
            tags: "TAG1",
            file: Some("/var/log/messages"),
            text: "A%%Message",
        };
        let idle = Alert { file: None, tags: "SYSTEM", text: "Idle", ..alert };
        vec![
            (Message::Heartbeat { name: "pi" }, "SRVHB%%pi".into()),
            (Message::ConfigRequest { host: "nas1" }, "CONFREQ%%nas1".into()),
            (Message::Config { lines: "file: /a%%match: b" }, "CONFIG%%START%%file: /a%%match: b".into()),
            (Message::Reset { host: "nas1" }, "RESET%%nas1".into()),
            (Message::Alert(alert), "ALERT%%nas1%%1795347336_2%%1795347336%%TAG1%%/var/log/messages%%A%%Message".into()),
            (Message::Alert(idle), "ALERT%%nas1%%1795347336_2%%1795347336%%SYSTEM%%NULL%%Idle".into()),
            (Message::Ack { uid: "1795347336_2" }, "ACK%%1795347336_2".into()),
            (Message::Capability { name: "pi", run: RUN }, format!("SRVCAP%%pi%%2%%{RUN_HEX}")),
            (Message::Hello { host: "nas1", run: RUN, nonce: Token(1) }, format!("HELLO%%2%%nas1%%{RUN_HEX}%%{:032}", 1)),
            (Message::Offer { host: "nas1", nonce: Token(1), cookie: Token(2) }, format!("OFFER%%nas1%%{:032}%%{:032}", 1, 2)),
            (
                Message::Join { host: "nas1", run: RUN, nonce: Token(1), cookie: Token(2) },
                format!("JOIN%%nas1%%{RUN_HEX}%%{:032}%%{:032}", 1, 2),
            ),
            (
                Message::Part { host: "nas1", revision, index: 2, count: 3, text: "match: a%%b\nfile: /c" },
                "CONF%%nas1%%000000000000beef%%2%%3%%match: a%%b\nfile: /c".into(),
            ),
            (Message::Part { host: "nas1", revision: Revision::NONE, index: 1, count: 1, text: "" }, "CONF%%nas1%%none%%1%%1%%".into()),
            (Message::Need { host: "nas1", revision, parts: vec![1, 7] }, "NEED%%nas1%%000000000000beef%%1,7".into()),
            (Message::Stale { host: "nas1", revision }, "STALE%%nas1%%000000000000beef".into()),
            (Message::Alive { host: "nas1", run: RUN, revision: Revision::NONE }, format!("ALIVE%%nas1%%{RUN_HEX}%%none")),
            (Message::Here { host: "nas1" }, "HERE%%nas1".into()),
            (Message::Lost { host: "nas1" }, "LOST%%nas1".into()),
        ]
    }

    #[test]
    fn parse_and_emit_are_inverses() {
        for (message, datagram) in every_message() {
            assert_eq!(message.to_string(), datagram);
            assert_eq!(Message::parse(datagram.as_bytes()), Ok(message));
        }
    }

    #[test]
    fn no_truncated_prefix_is_read_as_something_that_emits_differently() {
        for (_, datagram) in every_message() {
            for end in 0..datagram.len() {
                if let Ok(message) = Message::parse(&datagram.as_bytes()[..end]) {
                    assert_eq!(message.to_string().trim_end_matches("%%"), datagram[..end].trim_end_matches("%%"));
                }
            }
        }
    }

    #[test]
    fn an_offer_is_not_longer_than_its_hello() {
        for host in ["h", "a-rather-long-host-name.example.org"] {
            let hello = Message::Hello { host, run: RUN, nonce: RUN }.emit();
            assert!(Message::Offer { host, nonce: RUN, cookie: RUN }.emit().len() <= hello.len());
        }
    }

    #[test]
    fn answers_to_a_sign_of_life_are_not_longer_than_it() {
        let alive = Message::Alive { host: "h", run: RUN, revision: Revision::NONE }.emit().len();
        let revision = Revision(Some(1));
        for answer in [Message::Here { host: "h" }, Message::Lost { host: "h" }, Message::Stale { host: "h", revision }] {
            assert!(answer.emit().len() <= alive);
        }
    }

    #[test]
    fn what_is_no_message_says_why() {
        for (datagram, error) in [
            (&b""[..], WireError::UnknownCommand),
            (b"\xff\xfe", WireError::NotUtf8),
            (b"BOGUS%%x", WireError::UnknownCommand),
            (b"alert%%h", WireError::UnknownCommand),
            (b"ALERT", WireError::MissingField),
            (b"ALERT%%h%%u%%1%%T%%NULL", WireError::MissingField),
            (b"ALERT%%%%u%%1%%T%%NULL%%x", WireError::MissingField),
            (b"ALERT%%h%%u%%-1%%T%%NULL%%x", WireError::MalformedField),
            (b"ALERT%%h%%u%%99999999999999999999%%T%%NULL%%x", WireError::MalformedField),
            (b"CONFIG%%STOP%%x", WireError::MalformedField),
            (b"HELLO%%3%%h%%a%%b", WireError::UnknownCommand),
            (b"OFFER%%h%%xyz%%1", WireError::MalformedField),
            (b"NEED%%h%%none%%1,x", WireError::MalformedField),
            (b"STALE%%h%%BEEF", WireError::MalformedField),
        ] {
            assert_eq!(Message::parse(datagram), Err(error), "{}", String::from_utf8_lossy(datagram));
        }
    }

    #[test]
    fn a_field_that_ends_in_a_percent_sign_does_not_shift_the_others() {
        let Ok(Message::Alert(alert)) = Message::parse(b"ALERT%%h%%u%%1%%T%%/50%%%text") else { panic!() };
        assert_eq!((alert.file, alert.text), (Some("/50"), "%text"));
    }

    #[test]
    fn the_revision_of_a_text_is_fnv_1a() {
        // The published test vectors of the hash, draft-eastlake-fnv.
        assert_eq!(Revision::of("").to_string(), "cbf29ce484222325");
        assert_eq!(Revision::of("foobar").to_string(), "85944171f73967e8");
    }
}
