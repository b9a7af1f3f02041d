//! The directives of the server file for those who ask over HTTP.

use super::source::{Fault, SourceLine};
use std::net::SocketAddr;

/// Where the server is asked over HTTP, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Where it listens; nowhere without `http:`.
    pub listen: Vec<SocketAddr>,
    /// The line of each.
    pub lines: Vec<usize>,
    /// The file with the passwords. Without it, nobody needs one.
    pub password_file: Option<String>,
    /// Whether everyone who reaches an address that is not loopback may read everything.
    pub is_open: bool,
    /// Names by which the server is asked, beside numeric addresses and `localhost`.
    pub names: Vec<String>,
}

impl Http {
    /// Takes those of the directives that are its own.
    pub(super) fn of(given: &[(&str, &str, SourceLine<'_>)], faults: &mut Vec<Fault>) -> Self {
        let mut http = Self::default();
        for (name, argument, line) in given {
            if let Err(expected) = http.take(name, argument, line.number) {
                faults.push(line.fault(format!("{name}: expected {expected}, got \"{argument}\"")));
            }
        }
        let needs_consent = |number: &usize| http.reachable().any(|(_, line)| line == *number);
        if http.password_file.is_none() && !http.is_open {
            for (_, address, line) in given.iter().filter(|(.., line)| needs_consent(&line.number)) {
                let reason = "needs http_password_file: or http_open: yes, since it is not a loopback address";
                faults.push(line.fault(format!("http: {address} {reason}")));
            }
        }
        http
    }

    /// The addresses that others than this machine can reach, with their lines.
    pub fn reachable(&self) -> impl Iterator<Item = (SocketAddr, usize)> + '_ {
        let all = self.listen.iter().copied().zip(self.lines.iter().copied());
        all.filter(|(address, _)| !address.ip().is_loopback())
    }

    /// Takes a directive, unless it is another one's.
    ///
    /// # Errors
    /// What was expected.
    fn take(&mut self, name: &str, argument: &str, line: usize) -> Result<(), &'static str> {
        match name {
            "http" => {
                let address: Option<SocketAddr> = argument.parse().ok();
                let address = address.filter(|address| address.port() > 0).ok_or("ADDRESS:PORT, such as 127.0.0.1:8436 or [::1]:8436")?;
                if self.listen.contains(&address) {
                    return Err("an address that no other line has");
                }
                self.listen.push(address);
                self.lines.push(line);
            }
            "http_name" => self.names.push(Some(argument).filter(|name| is_name(name)).ok_or("a host name without a port")?.into()),
            "http_open" => self.is_open = Some(argument == "yes").filter(|is_open| *is_open).ok_or("yes")?,
            "http_password_file" => self.password_file = Some(argument.into()),
            _ => {}
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}
