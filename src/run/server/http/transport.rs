//! The two kinds of sockets over which the server is asked.

use super::site::Visitor;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// One accepted socket. Its calls never wait.
pub(in crate::run::server) enum Transport {
    Unix(UnixStream),
    Tcp(TcpStream, IpAddr),
}

impl Transport {
    /// Who is at the other end. Nobody but the user of the server and root can connect to its Unix socket.
    pub(super) fn visitor(&self) -> Visitor {
        match self {
            Self::Unix(_) => Visitor::Owner,
            Self::Tcp(_, peer) => Visitor::At(*peer),
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream, _) => stream.as_fd(),
        }
    }

    pub(super) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(bytes),
            Self::Tcp(stream, _) => stream.read(bytes),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream, _) => stream.write(bytes),
        }
    }

    /// Tells the other end that nothing follows.
    pub(super) fn end(&self) {
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Tcp(stream, _) => stream.shutdown(Shutdown::Write),
        };
    }
}
