//! Who may speak: keys, sessions made of them, and the seal that every datagram of a session ends in. Nothing here is encrypted.
//!
//! A handshake's datagrams end in `%%MAC` by the host's key. From the nonces of both sides comes the key of one session, and what is said
//! in it ends in `%%COUNTER%%MAC`: the counter is that of the direction, and each number is taken once.

use crate::text::{number, push_number};
use crate::wire::Token;
use hmac_sha256::HMAC;
use std::fmt;

/// A secret of 256 bits. It is never printed but by [`Key::emit`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// Which side a datagram is from. It is covered by the MAC, so that nothing can be sent back to where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the agent to the server.
    Agent,
    /// From the server to the agent.
    Server,
}

/// Why a datagram is not taken. These are counted, never logged one by one: strangers can cause them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It ends in nothing that has the form of a seal.
    Unsigned,
    /// The MAC is not that of this key, side and content.
    BadlySigned,
    /// Its counter was seen before, or is too old to know.
    Replayed,
}

/// What names one session: both sides' nonces and the agent's run. A host's name need not be unique in it, but is bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionName<'a> {
    /// The agent's host.
    pub host: &'a str,
    /// The agent's run.
    pub run: Token,
    /// The agent's nonce.
    pub nonce: Token,
    /// The server's nonce: its cookie.
    pub cookie: Token,
}

/// One side's end of a session.
#[derive(Clone)]
pub struct SessionMac {
    key: Key,
    side: Side,
    sent: u64,
    received: ReplayWindow,
}

/// Which of the latest counters were seen.
#[derive(Clone, Copy, Default)]
struct ReplayWindow {
    newest: u64,
    /// Bit n: the counter `newest - n` was seen.
    seen: u128,
}

/// Bytes of a MAC in a datagram, which are the first half of HMAC-SHA-256.
const MAC: usize = 16;

/// Most bytes by which a seal makes a datagram longer.
pub const MAX_MAC_TEXT: usize = 2 + 20 + 2 + 2 * MAC;

impl Key {
    /// The key that these bytes are.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(digits: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        unhex(digits.as_bytes(), &mut bytes).then_some(Self(bytes))
    }

    /// The key as 64 hexadecimal digits: for the one command whose purpose that is.
    pub fn emit(&self) -> String {
        let mut digits = String::new();
        push_hex(&mut digits, &self.0);
        digits
    }

    /// The key of a host whose keys come of this master: HMAC-SHA-256 of its name.
    pub fn of_host(&self, host: &str) -> Self {
        Self(self.authenticate(&[host.as_bytes()]))
    }

    /// What ends a datagram of the handshake that `side` sends.
    pub fn sign(&self, side: Side, datagram: &[u8]) -> String {
        let mut tail = String::from("%%");
        push_hex(&mut tail, &self.mac(b"handshake", side, datagram, b""));
        tail
    }

    /// The datagram of a handshake without its tail, if that is right.
    ///
    /// # Errors
    /// Why it is not.
    pub fn verify<'a>(&self, side: Side, datagram: &'a [u8]) -> Result<&'a [u8], Refusal> {
        let (content, mac) = split_mac(datagram)?;
        self.check(b"handshake", side, content, b"", mac)?;
        Ok(content)
    }

    /// The beginning of a session, for the side whose end it is.
    pub fn session(&self, side: Side, name: SessionName<'_>) -> SessionMac {
        let SessionName { host, run, nonce, cookie } = name;
        // All of one length but the last.
        let [run, nonce, cookie] = [run, nonce, cookie].map(|token| token.0.to_be_bytes());
        let key = Self(self.authenticate(&[b"436 session\0", &run, &nonce, &cookie, host.as_bytes()]));
        SessionMac { key, side, sent: 0, received: ReplayWindow::default() }
    }

    fn mac(&self, what: &[u8], side: Side, content: &[u8], counter: &[u8]) -> [u8; MAC] {
        let mut half = [0; MAC];
        half.copy_from_slice(&self.authenticate(&[b"436 ", what, side.label(), content, counter])[..MAC]);
        half
    }

    /// HMAC-SHA-256 of these parts, one behind the other.
    fn authenticate(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = HMAC::new(self.0);
        for part in parts {
            mac.update(part);
        }
        mac.finalize()
    }

    fn check(&self, what: &[u8], side: Side, content: &[u8], counter: &[u8], given: [u8; MAC]) -> Result<(), Refusal> {
        let right = self.mac(what, side, content, counter);
        // All bytes are looked at, whichever differ: how long it takes tells nothing.
        let difference = right.iter().zip(&given).fold(0, |difference, (a, b)| difference | (a ^ b));
        if std::hint::black_box(difference) == 0 {
            Ok(())
        } else {
            Err(Refusal::BadlySigned)
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Side {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Agent => b" agent\0",
            Self::Server => b" server\0",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Agent => Self::Server,
            Self::Server => Self::Agent,
        }
    }
}

impl SessionMac {
    /// What ends the next datagram of this side.
    pub fn sign(&mut self, datagram: &[u8]) -> String {
        self.sent += 1;
        let mut tail = String::from("%%");
        push_number(&mut tail, self.sent, 10, 1);
        let mac = self.key.mac(b"session", self.side, datagram, tail.as_bytes());
        tail.push_str("%%");
        push_hex(&mut tail, &mac);
        tail
    }

    /// The datagram with its seal.
    pub fn signed(&mut self, mut datagram: Vec<u8>) -> Vec<u8> {
        let tail = self.sign(&datagram);
        datagram.extend(tail.as_bytes());
        datagram
    }

    /// A datagram of the other side without its seal, if that is right and new; it counts as seen.
    ///
    /// # Errors
    /// Why it is not.
    pub fn verify<'a>(&mut self, datagram: &'a [u8]) -> Result<&'a [u8], Refusal> {
        let (rest, mac) = split_mac(datagram)?;
        let digits = rest.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let (content, counter) = rest.split_at(rest.len() - digits);
        let content = content.strip_suffix(b"%%").ok_or(Refusal::Unsigned)?;
        let number = std::str::from_utf8(counter).ok().and_then(|digits| number(digits, 10)).ok_or(Refusal::Unsigned)?;
        self.key.check(b"session", self.side.other(), content, &rest[content.len()..], mac)?;
        if self.received.take(number) {
            Ok(content)
        } else {
            Err(Refusal::Replayed)
        }
    }
}

impl fmt::Debug for SessionMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionMac({:?}, sent {})", self.side, self.sent)
    }
}

impl ReplayWindow {
    /// Whether that number is taken for the first time.
    fn take(&mut self, number: u64) -> bool {
        if number > self.newest {
            let by = u32::try_from(number - self.newest).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(by).unwrap_or(0) | 1;
            self.newest = number;
            return true;
        }
        let bit = u32::try_from(self.newest - number).ok().and_then(|age| 1u128.checked_shl(age)).unwrap_or(0);
        let new = bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        new
    }
}

/// A datagram without the MAC that ends it.
fn split_mac(datagram: &[u8]) -> Result<(&[u8], [u8; MAC]), Refusal> {
    let at = datagram.len().checked_sub(2 * MAC).ok_or(Refusal::Unsigned)?;
    let content = datagram[..at].strip_suffix(b"%%").ok_or(Refusal::Unsigned)?;
    let mut mac = [0; MAC];
    if unhex(&datagram[at..], &mut mac) {
        Ok((content, mac))
    } else {
        Err(Refusal::Unsigned)
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        push_number(text, (*byte).into(), 16, 2);
    }
}

/// Reads lower-case digits, two for each of the bytes. Which of several forms a key is written in would make two of one.
fn unhex(digits: &[u8], bytes: &mut [u8]) -> bool {
    let mut well_formed = digits.len() == 2 * bytes.len();
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => {
                    well_formed = false;
                    0
                }
            };
            *byte = *byte << 4 | value;
        }
    }
    well_formed
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: SessionName<'static> = SessionName { host: "nas1", run: Token(1), nonce: Token(2), cookie: Token(3) };

    fn key(byte: u8) -> Key {
        Key::new([byte; 32])
    }

    fn session() -> (SessionMac, SessionMac) {
        (key(7).session(Side::Agent, NAME), key(7).session(Side::Server, NAME))
    }

    #[test]
    fn a_key_is_64_lower_case_digits_and_prints_as_nothing() {
        let digits = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        assert_eq!(Key::parse(digits).unwrap().emit(), digits);
        for bad in [&digits[1..], &format!("{digits}0"), &digits.to_uppercase(), &digits.replace('0', "g"), "", &digits.replace("00", "é")]
        {
            assert_eq!(Key::parse(bad), None, "{bad}");
        }
        assert_eq!(format!("{:?}", Key::parse(digits)), "Some(Key(..))");
    }

    #[test]
    fn the_key_of_a_host_is_hmac_sha_256() {
        // printf nas1 | openssl dgst -sha256 -mac hmac -macopt hexkey:0707...
        assert_eq!(key(7).of_host("nas1").emit(), "4aedd348ab7e794a9a5578a8c24d56461e5a0bbeaee09b94040be820349584e5");
    }

    #[test]
    fn each_side_opens_what_the_other_sealed_and_nothing_else() {
        let (mut agent, mut server) = session();
        let sealed = agent.signed(b"ALIVE%%nas1".to_vec());
        assert!(sealed.starts_with(b"ALIVE%%nas1%%1%%") && sealed.len() == 48);
        // Not the side that sent it, nor another session of the same key, nor another key.
        assert_eq!(agent.verify(&sealed), Err(Refusal::BadlySigned));
        for (key, name) in [
            (key(7), SessionName { host: "nas2", ..NAME }),
            (key(7), SessionName { run: Token(9), ..NAME }),
            (key(7), SessionName { nonce: Token(9), ..NAME }),
            (key(7), SessionName { cookie: Token(9), ..NAME }),
            (key(8), NAME),
        ] {
            assert_eq!(key.session(Side::Server, name).verify(&sealed), Err(Refusal::BadlySigned), "{name:?}");
        }
        assert_eq!(key(7).verify(Side::Agent, &sealed), Err(Refusal::BadlySigned));
        assert_eq!(server.verify(&sealed), Ok(&b"ALIVE%%nas1"[..]));
        assert_eq!(server.verify(&sealed), Err(Refusal::Replayed));
    }

    #[test]
    fn no_byte_of_a_sealed_datagram_can_be_changed_and_none_left_out() {
        let (mut agent, server) = session();
        for text in ["A", "ALERT%%nas1%%1_0%%1%%T%%NULL%%100%", "ends in a digit %%7"] {
            let sealed = agent.signed(text.as_bytes().to_vec());
            let handshake = [text.as_bytes(), key(7).sign(Side::Agent, text.as_bytes()).as_bytes()].concat();
            for whole in [&sealed, &handshake] {
                let refused = |changed: &[u8]| server.clone().verify(changed).is_err() && key(7).verify(Side::Agent, changed).is_err();
                for at in 0..whole.len() {
                    for bit in 0..8 {
                        let mut changed = whole.clone();
                        changed[at] ^= 1 << bit;
                        assert!(refused(&changed), "{at} {bit}");
                    }
                    assert!(refused(&whole[..at]) && refused(&whole[at + 1..]), "{at}");
                    assert!(refused(&[&whole[..at], b"0", &whole[at..]].concat()), "{at}");
                }
            }
            assert_eq!(server.clone().verify(&sealed), Ok(text.as_bytes()));
            assert_eq!(key(7).verify(Side::Agent, &handshake), Ok(text.as_bytes()));
        }
    }

    #[test]
    fn a_handshake_is_no_session_and_has_its_side() {
        let hello = b"HELLO%%2%%nas1";
        let signed = [hello, key(7).sign(Side::Agent, hello).as_bytes()].concat();
        assert_eq!(key(7).verify(Side::Server, &signed), Err(Refusal::BadlySigned));
        assert_eq!(key(8).verify(Side::Agent, &signed), Err(Refusal::BadlySigned));
        assert_eq!(session().1.verify(&signed), Err(Refusal::Unsigned));
    }

    #[test]
    fn what_has_not_the_form_of_a_seal_is_unsigned() {
        let (_, mut server) = session();
        let mac = "0".repeat(32);
        for text in ["", "LOST%%nas1", &mac, &format!("%%{mac}"), &format!("A%%{mac}"), &format!("A1%%{mac}"), &format!("A%%x%%{mac}")] {
            assert_eq!(server.verify(text.as_bytes()), Err(Refusal::Unsigned), "{text}");
        }
        for counter in ["99999999999999999999999", "18446744073709551616"] {
            assert_eq!(server.verify(format!("A%%{counter}%%{mac}").as_bytes()), Err(Refusal::Unsigned));
        }
        assert_eq!(server.verify(format!("A%%1%%{mac}").as_bytes()), Err(Refusal::BadlySigned));
    }

    #[test]
    fn a_number_counts_once_in_whatever_order() {
        let mut window = ReplayWindow::default();
        // A burst that arrives backwards.
        assert!((1..=128).rev().all(|number| window.take(number)));
        assert!((1..=128).all(|number| !window.take(number)));
        assert!(window.take(129) && !window.take(1) && !window.take(129));
        assert!(window.take(1000) && !window.take(872) && window.take(873) && !window.take(873));
        assert!(window.take(u64::MAX) && window.take(u64::MAX - 1) && !window.take(1001));
    }
}
