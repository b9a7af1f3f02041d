//! An attacker on the path between an agent and its server, who hears every datagram and can hold back, change and replay it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{free_port, pause, wait_for, Program, Site};
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToAgent,
}

/// What becomes of a datagram on its way.
pub type Change<'a> = &'a mut dyn FnMut(Way, &[u8]) -> Vec<Vec<u8>>;

/// The agent believes that the relay is its server, and the server believes that it is the agent.
pub struct Relay {
    agent_side: UdpSocket,
    server_side: UdpSocket,
    agent: SocketAddr,
    server: SocketAddr,
    /// The port for the agent's option `-s`, less one.
    port: u16,
    /// All that passed, as it came.
    pub heard: Vec<(Way, Vec<u8>)>,
}

impl Relay {
    pub fn new(site: &Site) -> Self {
        let port = free_port();
        let bind = |port: u16| {
            let socket = UdpSocket::bind(("127.0.0.1", port)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        Self {
            agent_side: bind(port + 1),
            server_side: bind(port),
            agent: SocketAddr::from(([127, 0, 0, 1], 0)),
            server: SocketAddr::from(([127, 0, 0, 1], site.port + 1)),
            port,
            heard: Vec::new(),
        }
    }

    /// Starts an agent that speaks through here, at a port of its own, so that it hears no broadcast.
    pub fn agent(&mut self, site: &Site, name: &str, arguments: &[&str]) -> Program {
        let own = free_port();
        self.agent.set_port(own);
        let (log, server) = (format!("{name}.agent.log"), format!("127.0.0.1:{}", self.port));
        let mut command = site.command("aa436");
        command.args(["-n", name, "-l", &log, "-s", &server]).args(arguments).arg(own.to_string());
        Program::start(command, site.path(&log))
    }

    /// Passes on what has arrived, changed by `change`.
    pub fn pass(&mut self, change: Change<'_>) {
        let mut buffer = vec![0; 65_536];
        for way in [Way::ToServer, Way::ToAgent] {
            let from = if way == Way::ToServer { &self.agent_side } else { &self.server_side };
            let mut came = Vec::new();
            while let Ok(size) = from.recv(&mut buffer) {
                came.push(buffer[..size].to_vec());
            }
            for datagram in came {
                change(way, &datagram).into_iter().for_each(|changed| self.say(way, &changed));
                self.heard.push((way, datagram));
            }
        }
    }

    /// Sends a datagram in the other's name.
    pub fn say(&self, way: Way, datagram: &[u8]) {
        let _ = match way {
            Way::ToServer => self.server_side.send_to(datagram, self.server),
            Way::ToAgent => self.agent_side.send_to(datagram, self.agent),
        };
    }

    /// Passes everything on until that holds.
    pub fn until<T>(&mut self, what: &str, condition: impl FnMut() -> Option<T>) -> T {
        self.until_changed(what, &mut |_, datagram| vec![datagram.to_vec()], condition)
    }

    pub fn until_changed<T>(&mut self, what: &str, change: Change<'_>, mut condition: impl FnMut() -> Option<T>) -> T {
        wait_for(what, || {
            self.pass(change);
            condition()
        })
    }

    /// Passes everything on for some real time.
    pub fn idle(&mut self, time: Duration) {
        let steps = time.as_millis() / 20;
        for _ in 0..steps {
            self.pass(&mut |_, datagram| vec![datagram.to_vec()]);
            pause(Duration::from_millis(20));
        }
    }

    pub fn passed(&self, way: Way) -> Vec<Vec<u8>> {
        self.heard.iter().filter(|(heard, _)| *heard == way).map(|(_, datagram)| datagram.clone()).collect()
    }
}

/// Writes a file that only its owner can read.
pub fn secret(site: &Site, name: &str, text: &str) {
    site.write(name, text);
    fs::set_permissions(site.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}
