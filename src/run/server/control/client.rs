//! Asks a running server over its control socket.

use crate::run::failure::Failure;
use crate::run::server::http::parse_response;
use crate::sys::reason;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long the server may take for each step of its answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The body of the response to GET.
///
/// # Errors
/// No server answers at that socket, or its answer is none.
pub(in crate::run::server) fn get(socket: &str, target: &str) -> Result<String, Failure> {
    let no_server = |reason: &str| Failure::NoServer(format!("no server answers at {socket}: {reason}"));
    let bytes = ask(socket, target).map_err(|e| no_server(&reason(&e)))?;
    match parse_response(&bytes) {
        Ok((200, body)) => Ok(body.to_string()),
        Ok((_, text)) => Err(no_server(text.trim_end())),
        Err(fault) => Err(no_server(fault)),
    }
}

fn ask(socket: &str, target: &str) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}
