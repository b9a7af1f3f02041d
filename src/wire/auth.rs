//! Authentication of datagrams: the keys of hosts, the MACs of handshakes and sessions, and replay protection. Encrypts nothing.
//!
//! A datagram of the handshake ends in the trailer `%%MAC`, made with the host's key. The nonces of both sides then yield the key of one
//! session, in which every datagram ends in the trailer `%%COUNTER%%MAC`. Each direction has its own counter.

use super::fields::Token;
use crate::text::{number, push_number};
use hmac_sha256::HMAC;
use std::fmt;

/// A secret of 256 bits. Only [`Key::emit`] prints it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// The side that sends a datagram. The MAC covers it, so that a datagram cannot be reflected to its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the agent to the server.
    Agent,
    /// From the server to the agent.
    Server,
}

/// Why a datagram is refused. Strangers can cause these: count them, never log one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not end in a trailer.
    Unsigned,
    /// The MAC does not match the key, the side and the content.
    BadMac,
    /// Its counter was seen before, or is older than the replay window.
    Replayed,
}

/// What identifies one session. Its key depends on every field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionName<'a> {
    /// The host that the agent runs on.
    pub host: &'a str,
    /// The run of the agent.
    pub run: Token,
    /// The agent's nonce.
    pub nonce: Token,
    /// The server's nonce, which is also its cookie.
    pub cookie: Token,
}

/// One side's end of a session: signs what this side sends, and verifies what the other side sends.
#[derive(Clone)]
pub struct SessionMac {
    key: Key,
    side: Side,
    sent: u64,
    received: ReplayWindow,
}

/// Which of the latest 128 counters were seen.
#[derive(Clone, Copy, Default)]
struct ReplayWindow {
    newest: u64,
    /// Bit n: the counter `newest - n` was seen.
    seen: u128,
}

/// What a MAC is for. The MAC covers it, so that one of a handshake is never one of a session.
#[derive(Clone, Copy)]
enum Purpose {
    Handshake,
    Session,
}

/// Bytes of a MAC: the first half of HMAC-SHA-256.
const MAC: usize = 16;

/// Bytes of the trailer of a handshake datagram.
pub const HANDSHAKE_TRAILER: usize = 2 + 2 * MAC;

/// Most bytes of a trailer.
pub const MAX_TRAILER: usize = 2 + 20 + 2 + 2 * MAC;

impl Key {
    /// The key with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(digits: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        unhex(digits.as_bytes(), &mut bytes).then_some(Self(bytes))
    }

    /// Returns the key as 64 hexadecimal digits. Only for the command that prints keys.
    pub fn emit(&self) -> String {
        let mut digits = String::new();
        push_hex(&mut digits, &self.0);
        digits
    }

    /// Derives the key of a host from this master key: HMAC-SHA-256 of the name.
    pub fn of_host(&self, host: &str) -> Self {
        Self(self.authenticate(&[host.as_bytes()]))
    }

    /// Returns the trailer of a handshake datagram that `side` sends.
    pub fn sign(&self, side: Side, datagram: &[u8]) -> String {
        let mut trailer = String::from("%%");
        push_hex(&mut trailer, &self.mac(Purpose::Handshake, side, datagram, b""));
        trailer
    }

    /// Returns a handshake datagram from `side` without its trailer.
    ///
    /// # Errors
    /// The trailer is missing or does not match.
    pub fn verify<'a>(&self, side: Side, datagram: &'a [u8]) -> Result<&'a [u8], Refusal> {
        let (content, mac) = split_mac(datagram)?;
        self.check(Purpose::Handshake, side, content, b"", mac)?;
        Ok(content)
    }

    /// Begins a session. `side` is the end that the caller holds.
    pub fn session(&self, side: Side, name: SessionName<'_>) -> SessionMac {
        let SessionName { host, run, nonce, cookie } = name;
        // Only the last part varies in length, so that no two sessions yield the same bytes.
        let [run, nonce, cookie] = [run, nonce, cookie].map(|token| token.0.to_be_bytes());
        let key = Self(self.authenticate(&[b"436 session\0", &run, &nonce, &cookie, host.as_bytes()]));
        SessionMac { key, side, sent: 0, received: ReplayWindow::default() }
    }

    fn mac(&self, purpose: Purpose, side: Side, content: &[u8], counter: &[u8]) -> [u8; MAC] {
        let mut half = [0; MAC];
        half.copy_from_slice(&self.authenticate(&[b"436 ", purpose.label(), side.label(), content, counter])[..MAC]);
        half
    }

    /// HMAC-SHA-256 of the parts, concatenated.
    fn authenticate(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = HMAC::new(self.0);
        for part in parts {
            mac.update(part);
        }
        mac.finalize()
    }

    fn check(&self, purpose: Purpose, side: Side, content: &[u8], counter: &[u8], given: [u8; MAC]) -> Result<(), Refusal> {
        let right = self.mac(purpose, side, content, counter);
        // Constant time: every byte is compared, whichever differ.
        let difference = right.iter().zip(&given).fold(0, |difference, (a, b)| difference | (a ^ b));
        if std::hint::black_box(difference) == 0 {
            Ok(())
        } else {
            Err(Refusal::BadMac)
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Handshake => b"handshake",
            Self::Session => b"session",
        }
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
    /// Returns the trailer of the next datagram that this side sends.
    pub fn sign(&mut self, datagram: &[u8]) -> String {
        self.sent += 1;
        let mut trailer = String::from("%%");
        push_number(&mut trailer, self.sent, 10, 1);
        let mac = self.key.mac(Purpose::Session, self.side, datagram, trailer.as_bytes());
        trailer.push_str("%%");
        push_hex(&mut trailer, &mac);
        trailer
    }

    /// Appends the trailer to a datagram, see [`Self::sign`].
    pub fn signed(&mut self, mut datagram: Vec<u8>) -> Vec<u8> {
        let trailer = self.sign(&datagram);
        datagram.extend(trailer.as_bytes());
        datagram
    }

    /// Returns a datagram from the other side without its trailer, and marks its counter as seen.
    ///
    /// # Errors
    /// The trailer is missing, does not match, or was seen before.
    pub fn verify<'a>(&mut self, datagram: &'a [u8]) -> Result<&'a [u8], Refusal> {
        let (rest, mac) = split_mac(datagram)?;
        let digits = rest.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let (content, counter) = rest.split_at(rest.len() - digits);
        let content = content.strip_suffix(b"%%").ok_or(Refusal::Unsigned)?;
        let number = std::str::from_utf8(counter).ok().and_then(|digits| number(digits, 10)).ok_or(Refusal::Unsigned)?;
        self.key.check(Purpose::Session, self.side.other(), content, &rest[content.len()..], mac)?;
        if self.received.insert(number) {
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
    /// Marks a counter as seen. Returns false if it was seen before or is too old to tell.
    fn insert(&mut self, number: u64) -> bool {
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

/// Splits the MAC off the end of a datagram.
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

/// Reads two lower-case digits a byte. Upper case is refused, so that each key and each MAC has one form.
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
    fn a_key_is_64_lower_case_digits_and_debug_hides_it() {
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
    fn each_side_verifies_what_the_other_signed_and_nothing_else() {
        let (mut agent, mut server) = session();
        let signed = agent.signed(b"ALIVE%%nas1".to_vec());
        assert!(signed.starts_with(b"ALIVE%%nas1%%1%%") && signed.len() == 48);
        // Neither the sender itself, nor another session of the same key, nor another key.
        assert_eq!(agent.verify(&signed), Err(Refusal::BadMac));
        for (key, name) in [
            (key(7), SessionName { host: "nas2", ..NAME }),
            (key(7), SessionName { run: Token(9), ..NAME }),
            (key(7), SessionName { nonce: Token(9), ..NAME }),
            (key(7), SessionName { cookie: Token(9), ..NAME }),
            (key(8), NAME),
        ] {
            assert_eq!(key.session(Side::Server, name).verify(&signed), Err(Refusal::BadMac), "{name:?}");
        }
        assert_eq!(key(7).verify(Side::Agent, &signed), Err(Refusal::BadMac));
        assert_eq!(server.verify(&signed), Ok(&b"ALIVE%%nas1"[..]));
        assert_eq!(server.verify(&signed), Err(Refusal::Replayed));
    }

    #[test]
    fn changing_removing_or_adding_any_byte_of_a_signed_datagram_is_detected() {
        let (mut agent, server) = session();
        for text in ["A", "ALERT%%nas1%%1_0%%1%%T%%NULL%%100%", "ends in a digit %%7"] {
            let signed = agent.signed(text.as_bytes().to_vec());
            let handshake = [text.as_bytes(), key(7).sign(Side::Agent, text.as_bytes()).as_bytes()].concat();
            for whole in [&signed, &handshake] {
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
            assert_eq!(server.clone().verify(&signed), Ok(text.as_bytes()));
            assert_eq!(key(7).verify(Side::Agent, &handshake), Ok(text.as_bytes()));
        }
    }

    #[test]
    fn a_handshake_mac_is_bound_to_its_side_and_is_not_a_session_mac() {
        let hello = b"HELLO%%3%%nas1";
        let signed = [hello, key(7).sign(Side::Agent, hello).as_bytes()].concat();
        assert_eq!(key(7).verify(Side::Server, &signed), Err(Refusal::BadMac));
        assert_eq!(key(8).verify(Side::Agent, &signed), Err(Refusal::BadMac));
        assert_eq!(session().1.verify(&signed), Err(Refusal::Unsigned));
    }

    #[test]
    fn a_datagram_without_a_trailer_is_unsigned() {
        let (_, mut server) = session();
        let mac = "0".repeat(32);
        for text in ["", "LOST%%nas1", &mac, &format!("%%{mac}"), &format!("A%%{mac}"), &format!("A1%%{mac}"), &format!("A%%x%%{mac}")] {
            assert_eq!(server.verify(text.as_bytes()), Err(Refusal::Unsigned), "{text}");
        }
        for counter in ["99999999999999999999999", "18446744073709551616"] {
            assert_eq!(server.verify(format!("A%%{counter}%%{mac}").as_bytes()), Err(Refusal::Unsigned));
        }
        assert_eq!(server.verify(format!("A%%1%%{mac}").as_bytes()), Err(Refusal::BadMac));
    }

    #[test]
    fn each_counter_is_accepted_once_in_any_order() {
        let mut window = ReplayWindow::default();
        // A burst that arrives in reverse.
        assert!((1..=128).rev().all(|number| window.insert(number)));
        assert!((1..=128).all(|number| !window.insert(number)));
        assert!(window.insert(129) && !window.insert(1) && !window.insert(129));
        assert!(window.insert(1000) && !window.insert(872) && window.insert(873) && !window.insert(873));
        assert!(window.insert(u64::MAX) && window.insert(u64::MAX - 1) && !window.insert(1001));
    }
}
