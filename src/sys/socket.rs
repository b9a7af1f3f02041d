//! The one UDP socket of each process.
#![allow(unsafe_code, reason = "setsockopt")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

/// The requested size of the kernel's receive buffer, in bytes; the kernel may grant less.
const RECEIVE_BUFFER: libc::c_int = 1 << 20;

/// Binds a socket that may broadcast. Its calls never wait.
///
/// # Errors
/// The address is not local, or the port is taken.
#[allow(clippy::disallowed_methods, reason = "where sockets are made")]
pub fn bind(address: Ipv4Addr, port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddrV4::new(address, port))?;
    socket.set_broadcast(true)?;
    super::fd::set_nonblocking(socket.as_fd())?;
    let wanted = RECEIVE_BUFFER;
    let size = std::mem::size_of_val(&wanted);
    // SAFETY: the value outlives the call, and its size is passed. A failure only means a smaller buffer.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            (&raw const wanted).cast(),
            libc::socklen_t::try_from(size).unwrap_or_default(),
        );
    }
    Ok(socket)
}

/// Receives one waiting datagram. A socket of [`bind`] receives IPv4 only.
///
/// # Errors
/// No datagram waits, or what `recvfrom(2)` reports.
pub fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrV4)> {
    match socket.recv_from(buffer)? {
        (size, SocketAddr::V4(from)) => Ok((size, from)),
        (_, SocketAddr::V6(_)) => Err(io::ErrorKind::Unsupported.into()),
    }
}
