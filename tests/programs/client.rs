//! A client of HTTP made by hand: it sends what a browser sends, and what nobody should.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{wait_for, Site};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The TCP port of a site's server: that of its agents, which speak UDP.
pub(crate) fn port(site: &Site) -> u16 {
    site.port
}

/// The directive that has the server of a site listen on loopback.
pub(crate) fn listen(site: &Site) -> String {
    format!("http: 127.0.0.1:{}\n", port(site))
}

pub(crate) fn connect(site: &Site) -> TcpStream {
    let stream = wait_for("the server to listen", || TcpStream::connect(("127.0.0.1", port(site))).ok());
    stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    stream
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends these bytes, and reads up to the end of the connection.
pub(crate) fn exchange(site: &Site, request: impl AsRef<[u8]>) -> Answer {
    let mut stream = connect(site);
    stream.write_all(request.as_ref()).unwrap();
    read(&mut stream).unwrap_or_else(|bytes| panic!("no answer: {bytes}"))
}

/// The answer on a connection, or what came instead of one.
pub(crate) fn read(stream: &mut TcpStream) -> Result<Answer, String> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Err(text) };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if head.contains("Transfer-Encoding: chunked") { unchunked(body).ok_or("cut off")? } else { body.to_string() };
    Ok(Answer { status, head: head.into(), body })
}

/// The text of all chunks. `None` if the last one is missing.
fn unchunked(mut rest: &str) -> Option<String> {
    let mut text = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(text);
        }
        text.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}

/// Asks for a path, with further header fields.
pub(crate) fn get_with(site: &Site, target: &str, fields: &str) -> Answer {
    exchange(site, format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{fields}\r\n", port(site)))
}

pub(crate) fn get(site: &Site, target: &str) -> Answer {
    get_with(site, target, "")
}

/// Posts JSON to a path, with further header fields.
pub(crate) fn post(site: &Site, target: &str, fields: &str, body: &str) -> Answer {
    let port = port(site);
    let head = format!("POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n{fields}");
    exchange(site, format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
}
