//! The directives of the server file for those who ask over HTTP.

use super::source::{Fault, SourceLine};
use std::net::SocketAddr;

/// Where the server is asked over HTTP, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Where it listens; nowhere without `http:`.
    pub listen: Vec<SocketAddr>,
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
        let mut listen: Vec<SourceLine<'_>> = Vec::new();
        for (name, argument, line) in given {
            let expected = match *name {
                "http" => match argument.parse().ok().filter(|address: &SocketAddr| address.port() > 0) {
                    Some(address) if http.listen.contains(&address) => {
                        faults.push(line.fault(format!("http: {address} is given twice")));
                        continue;
                    }
                    Some(address) => {
                        http.listen.push(address);
                        listen.push(*line);
                        continue;
                    }
                    None => "ADDRESS:PORT, such as 127.0.0.1:8436 or [::1]:8436",
                },
                "http_name" if is_name(argument) => {
                    http.names.push((*argument).into());
                    continue;
                }
                "http_name" => "a host name without a port",
                "http_open" if *argument == "yes" => {
                    http.is_open = true;
                    continue;
                }
                "http_open" => "yes",
                "http_password_file" => {
                    http.password_file = Some((*argument).into());
                    continue;
                }
                _ => continue,
            };
            faults.push(line.fault(format!("{name}: expected {expected}, got \"{argument}\"")));
        }
        for (address, line) in http.listen.iter().zip(listen).filter(|(address, _)| !address.ip().is_loopback()) {
            if http.password_file.is_none() && !http.is_open {
                faults.push(
                    line.fault(format!("http: {address} needs http_password_file: or http_open: yes, since it is not a loopback address")),
                );
            }
        }
        http
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}
