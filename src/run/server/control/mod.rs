//! The control socket: a Unix socket on which the running server is asked by HTTP.

mod client;

pub(super) use client::get;

use super::http::{Connections, Site, Transport};
use crate::directives::server::ServerFile;
use crate::now::Now;
use crate::run::log::Log;
use crate::sys::clock::Clock;
use crate::sys::poll::PollSet;
use crate::sys::{reason, socket};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

/// The path of the socket: what `control:` says, or beside the event stream.
pub(super) fn path(settings: &ServerFile) -> String {
    settings.control.clone().unwrap_or_else(|| format!("{}.control", settings.event_stream))
}

pub(super) struct ControlSocket<L> {
    path: String,
    listener: Option<UnixListener>,
    connections: Connections<L>,
    /// The number of the listener in the set of the last wait, while there is room for a connection.
    polled: Option<usize>,
}

impl<L> ControlSocket<L> {
    /// Most connections at a time. Others wait until one ends.
    const MAX_CONNECTIONS: usize = 8;

    /// Listens. If that fails, the log says so, and the server runs without.
    pub(super) fn open(now: Now, settings: &ServerFile, log: &mut Log) -> Self {
        let mut socket = Self { path: path(settings), listener: None, connections: Connections::new(Self::MAX_CONNECTIONS), polled: None };
        // Beside a pipe or a device there is no place for it.
        if settings.control.is_some() || !fs::metadata(&settings.event_stream).is_ok_and(|meta| !meta.is_file()) {
            socket.listen(now, log);
        }
        socket
    }

    fn listen(&mut self, now: Now, log: &mut Log) {
        match socket::listen(&self.path) {
            Ok(listener) => self.listener = Some(listener),
            Err(e) => log.write(now, &format!("cannot listen on {}: {}; ax436 status finds no server", self.path, reason(&e))),
        }
    }

    /// Listens again if the socket was removed from its folder.
    pub(super) fn reopen(&mut self, now: Now, log: &mut Log) {
        if self.listener.is_some() && fs::symlink_metadata(&self.path).is_err() {
            self.listener = None;
            self.listen(now, log);
        }
    }

    /// Adds what is to be waited for.
    pub(super) fn add_to(&mut self, now: Now, poll: &mut PollSet) {
        self.polled = None;
        if let Some(listener) = self.listener.as_ref().filter(|_| self.connections.has_room(now)) {
            self.polled = Some(poll.next_number());
            poll.add(listener.as_fd());
        }
        self.connections.add_to(poll);
    }

    /// Takes new connections, answers requests, and ends connections whose time is over.
    pub(super) fn handle(&mut self, clock: &Clock, now: Now, poll: &PollSet, site: &mut impl Site<Long = L>) {
        self.connections.handle(clock, now, poll, site);
        if !self.polled.is_some_and(|number| poll.is_ready(number)) {
            return;
        }
        while self.connections.has_room(now) {
            let accepted = self.listener.as_ref().and_then(|listener| listener.accept().ok());
            let Some((stream, _)) = accepted.filter(|(stream, _)| stream.set_nonblocking(true).is_ok()) else { break };
            self.connections.add(now, Transport::Unix(stream));
        }
    }

    /// When something is due without input.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.connections.next_deadline()
    }
}

impl<L> Drop for ControlSocket<L> {
    fn drop(&mut self) {
        if self.listener.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}
