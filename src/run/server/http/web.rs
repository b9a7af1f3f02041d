//! The server's TCP sockets for browsers and programs on the network: `http:` of the server file.

use super::connections::Connections;
use super::gate::Gate;
use super::message::{Request, Response};
use super::site::{Progress, Site, Visitor};
use super::transport::Transport;
use crate::directives::http::Http;
use crate::directives::passwords::Passwords;
use crate::now::{earlier, Now};
use crate::run::failure::LastFailure;
use crate::run::log::Log;
use crate::sys::clock::Clock;
use crate::sys::poll::PollSet;
use crate::sys::{reason, socket};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::time::Duration;

pub(in crate::run::server) struct Web<L> {
    listeners: Vec<Listener>,
    connections: Connections<L>,
    gate: Gate,
    /// When it is tried again to listen where that failed.
    retry: Option<Duration>,
}

struct Listener {
    address: SocketAddr,
    /// `None` as long as the address cannot be listened on.
    socket: Option<TcpListener>,
    /// Its number in the set of the last wait.
    polled: Option<usize>,
    failure: LastFailure,
}

/// The site as those see it whom the gate lets in.
struct Gated<'a, S> {
    gate: &'a mut Gate,
    site: &'a mut S,
}

impl<L> Web<L> {
    /// Most connections at a time.
    pub(in crate::run::server) const MAX_CONNECTIONS: usize = 128;
    /// Time between two attempts to listen on an address that is not there yet.
    const RETRY: Duration = Duration::from_secs(10);

    /// Listens. Where that fails the log says so, and it is tried again.
    pub(in crate::run::server) fn open(now: Now, settings: &Http, passwords: Option<&Passwords>, log: &mut Log) -> Self {
        let listener = |address: &SocketAddr| Listener { address: *address, socket: None, polled: None, failure: LastFailure::default() };
        let mut web = Self {
            listeners: settings.listen.iter().map(listener).collect(),
            connections: Connections::new(Self::MAX_CONNECTIONS),
            gate: Gate::new(&settings.names, passwords),
            retry: Some(now.mono),
        };
        web.handle_timeout(now, log);
        web
    }

    /// Whether anyone is to be answered.
    pub(in crate::run::server) fn is_on(&self) -> bool {
        !self.listeners.is_empty()
    }

    /// How many connections there are.
    pub(in crate::run::server) fn connections(&self) -> usize {
        self.connections.len()
    }

    pub(in crate::run::server) fn set_passwords(&mut self, passwords: &Passwords) {
        self.gate.set_passwords(passwords);
    }

    /// Listens where that failed before, if it is due.
    pub(in crate::run::server) fn handle_timeout(&mut self, now: Now, log: &mut Log) {
        if self.retry.take_if(|retry| *retry <= now.mono).is_none() {
            return;
        }
        for listener in self.listeners.iter_mut().filter(|listener| listener.socket.is_none()) {
            let outcome = socket::listen_tcp(listener.address);
            let failure = outcome.as_ref().err().map(reason);
            if let Some(failure) = listener.failure.update(failure) {
                log.write(now, &format!("http: cannot listen on {}: {failure}; it is tried again every 10 s", listener.address));
            }
            listener.socket = outcome.ok();
            if listener.socket.is_some() {
                log.write(now, &format!("http: listens on {}", listener.address));
            }
        }
        if self.listeners.iter().any(|listener| listener.socket.is_none()) {
            self.retry = Some(now.mono + Self::RETRY);
        }
    }

    /// Adds what is to be waited for.
    pub(in crate::run::server) fn add_to(&mut self, now: Now, poll: &mut PollSet) {
        let has_room = self.connections.has_room(now);
        for listener in &mut self.listeners {
            listener.polled = None;
            if let Some(socket) = listener.socket.as_ref().filter(|_| has_room) {
                listener.polled = Some(poll.next_number());
                poll.add(socket.as_fd());
            }
        }
        self.connections.add_to(poll);
    }

    /// Takes new connections, answers requests, and ends connections whose time is over.
    pub(in crate::run::server) fn handle<S: Site<Long = L>>(&mut self, clock: &Clock, now: Now, poll: &PollSet, site: &mut S) {
        if !self.is_on() {
            return;
        }
        self.connections.handle(clock, now, poll, &mut Gated { gate: &mut self.gate, site });
        for listener in self.listeners.iter().filter(|listener| listener.polled.is_some_and(|number| poll.is_ready(number))) {
            while self.connections.has_room(now) {
                let Some((stream, peer)) = listener.socket.as_ref().and_then(|socket| socket.accept().ok()) else { break };
                if stream.set_nonblocking(true).is_ok() {
                    self.connections.add(now, Transport::Tcp(stream, peer.ip().to_canonical()));
                }
            }
        }
    }

    /// Writes to the log what happened in this turn.
    pub(in crate::run::server) fn log_notices(&mut self, now: Now, log: &mut Log) {
        self.gate.take_notices().for_each(|notice| log.write(now, &notice));
    }

    /// When something is due without input.
    pub(in crate::run::server) fn next_deadline(&self) -> Option<Duration> {
        earlier(self.connections.next_deadline(), self.retry)
    }
}

impl<S: Site> Site for Gated<'_, S> {
    type Long = S::Long;

    fn answer(&mut self, now: Now, request: &Request<'_>, visitor: Visitor) -> Response<S::Long> {
        match self.gate.admit(now, request, visitor) {
            Ok(visitor) => self.site.answer(now, request, visitor),
            Err((status, reason)) => Response::refusal(status, reason),
        }
    }

    fn next_piece(&mut self, now: Now, long: &mut S::Long, text: &mut String) -> Progress {
        self.site.next_piece(now, long, text)
    }
}
