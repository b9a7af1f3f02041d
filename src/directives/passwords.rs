//! The file with the passwords of those who may ask over HTTP. Never prints a password.

use super::source::{Fault, Source, SourceLine};
use hmac_sha256::HMAC;
use std::collections::HashSet;

/// The passwords, in a form from which none of them can be read.
#[derive(Clone)]
pub struct Passwords {
    secret: [u8; 32],
    /// The MAC of each token that is accepted.
    accepted: Vec<[u8; 32]>,
}

impl Passwords {
    /// Fewest bytes of a password: shorter ones can be found by trying.
    const LEAST: usize = 8;
    /// Most users.
    const MOST: usize = 100;

    /// Reads lines `USER:PASSWORD`. `secret` is random, and never leaves the process.
    ///
    /// # Errors
    /// All faults, in the order of the lines.
    pub fn parse(source: Source<'_>, secret: [u8; 32]) -> Result<Self, Vec<Fault>> {
        let (mut passwords, mut users, mut faults) = (Self { secret, accepted: Vec::new() }, HashSet::new(), Vec::new());
        for line in source.lines() {
            match user(&line) {
                Ok(user) if users.len() == Self::MOST => faults.push(line.fault(format!("{user}: more than {} users", Self::MOST))),
                Ok(user) if !users.insert(user) => faults.push(line.fault(format!("{user}: is given twice"))),
                Ok(_) => passwords.accepted.push(HMAC::mac(base64(line.text.as_bytes()), secret)),
                Err(reason) => faults.push(line.fault(reason)),
            }
        }
        if users.is_empty() && faults.is_empty() {
            faults.push(Fault { path: source.path.into(), line: 0, reason: "holds no password".into() });
        }
        if faults.is_empty() {
            Ok(passwords)
        } else {
            Err(faults)
        }
    }

    /// Whether a token of HTTP's Basic authentication is that of a user. How long it takes says nothing about the passwords.
    pub fn accept(&self, token: &str) -> bool {
        let given = HMAC::mac(token, self.secret);
        let is_it = |mac: &[u8; 32]| mac.iter().zip(&given).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0;
        self.accepted.iter().fold(false, |found, mac| found | is_it(mac))
    }
}

/// The user of a line, if it is right.
fn user<'a>(line: &SourceLine<'a>) -> Result<&'a str, String> {
    match line.text.split_once(':') {
        Some((user, _)) if user.is_empty() || user.contains(char::is_whitespace) => {
            Err("the user has no name, or one with white space".into())
        }
        Some((user, password)) if password.len() < Passwords::LEAST => {
            Err(format!("{user}: the password has less than {} bytes", Passwords::LEAST))
        }
        Some((user, _)) => Ok(user),
        None => Err("expected \"USER:PASSWORD\"".into()),
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Passwords, Vec<String>> {
        let parsed = Passwords::parse(Source { path: "passwords", text }, [3; 32]);
        parsed.map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_token_of_each_user_is_accepted_and_no_other() {
        let passwords = parse("# people\nann:correct horse\nbob:päss:wörd\n").unwrap();
        for (user, is_known) in [
            ("ann:correct horse", true),
            ("bob:päss:wörd", true),
            ("ann:päss:wörd", false),
            ("ann:correct hors", false),
            ("ann:correct horse ", false),
            (":correct horse", false),
            ("", false),
        ] {
            assert_eq!(passwords.accept(&base64(user.as_bytes())), is_known, "{user}");
        }
        assert!(!passwords.accept("ann:correct horse"));
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("\u{3fff}?", "47+/Pw==")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn errors_name_the_line_and_never_the_password() {
        let errors = parse("secretsecret\nann:short\nann:longenough\nann:longer enough\n:longenough\n a b:longenough\n").err().unwrap();
        assert_eq!(
            errors,
            [
                "passwords:1: expected \"USER:PASSWORD\"",
                "passwords:2: ann: the password has less than 8 bytes",
                "passwords:4: ann: is given twice",
                "passwords:5: the user has no name, or one with white space",
                "passwords:6: the user has no name, or one with white space",
            ]
        );
        assert_eq!(parse("# none\n").err().unwrap(), ["passwords:0: holds no password"]);
    }
}
