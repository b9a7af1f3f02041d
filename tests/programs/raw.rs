//! A peer made by hand: it sends what our programs never send, and receives the answers.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{receive, TIMEOUT};
use std::cell::Cell;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// A socket of some loopback address that speaks with one port of another.
pub struct Peer {
    socket: UdpSocket,
    asked: Cell<u128>,
}

impl Peer {
    /// A peer that has the address `from` and speaks with `to`.
    pub fn new(from: &str, to: (&str, u16)) -> Self {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(to).unwrap();
        Self { socket, asked: Cell::new(0) }
    }

    /// A peer of the server whose site has that port.
    pub fn of_server(port: u16) -> Self {
        Self::new("127.0.0.1", ("127.0.0.1", port + 1))
    }

    pub fn send(&self, datagram: impl AsRef<[u8]>) {
        // The next call reports the error of an earlier datagram: nobody had the port.
        let _ = self.socket.send(datagram.as_ref());
    }

    /// The next datagram, if one comes in that time.
    pub fn receive(&self, within: Duration) -> Option<String> {
        let mut buffer = vec![0; 65_536];
        self.socket.set_read_timeout(Some(within)).unwrap();
        let size = receive(&self.socket, &mut buffer).ok()?;
        Some(String::from_utf8(buffer[..size].to_vec()).unwrap())
    }

    /// Sends a datagram, repeatedly if need be, until an answer with that beginning arrives.
    pub fn ask(&self, datagram: &str, answer: &str) -> String {
        let start = Instant::now();
        while start.elapsed() < TIMEOUT {
            self.send(datagram);
            let until = Instant::now() + Duration::from_millis(500);
            while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                match self.receive(left) {
                    Some(text) if text.starts_with(answer) => return text,
                    _ => {}
                }
            }
        }
        panic!("no {answer} for {datagram}");
    }

    /// Waits until the server has shown twice that it took all datagrams of this peer, and returns what it sent meanwhile.
    /// Twice, because the server carries out the effects of a datagram one turn of its loop later.
    pub fn drain(&self) -> Vec<String> {
        let mut heard = Vec::new();
        for _ in 0..2 {
            let start = Instant::now();
            let nonce = self.asked.get() + 1;
            self.asked.set(nonce);
            let offer = format!("OFFER%%drain%%{nonce:032x}%%");
            'asking: loop {
                assert!(start.elapsed() < TIMEOUT, "the server does not answer");
                self.send(format!("HELLO%%3%%drain%%{:032x}%%{nonce:032x}", 7));
                while let Some(text) = self.receive(Duration::from_millis(500)) {
                    if text.starts_with(&offer) {
                        break 'asking;
                    }
                    heard.push(text);
                }
            }
        }
        heard.retain(|text| !text.starts_with("OFFER%%drain%%"));
        heard
    }
}

/// An event as an agent sends it.
pub fn alert(host: &str, uid: &str, tags: &str, text: &str) -> String {
    format!("ALERT%%{host}%%{uid}%%1795347336%%{tags}%%NULL%%{text}")
}
