//! The one UDP socket of each process.
#![allow(unsafe_code, reason = "setsockopt")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

/// Most bytes of datagrams that wait in the kernel, as far as it grants them.
const RECEIVE_BUFFER: libc::c_int = 1 << 20;

/// A socket that may broadcast, whose calls never wait.
///
/// # Errors
/// The address is not local, or the port is taken.
#[allow(clippy::disallowed_methods, reason = "where sockets are made")]
pub fn bind(address: Ipv4Addr, port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddrV4::new(address, port))?;
    socket.set_broadcast(true)?;
    super::set_nonblocking(socket.as_fd())?;
    let wanted = RECEIVE_BUFFER;
    let size = std::mem::size_of_val(&wanted);
    // SAFETY: the value lives through the call and its size is given. A smaller buffer than asked for does no harm.
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

/// Takes one datagram that waits. A socket of [`bind`] hears IPv4 only.
///
/// # Errors
/// None waits, or the system could not hand it over.
pub fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrV4)> {
    match socket.recv_from(buffer)? {
        (size, SocketAddr::V4(from)) => Ok((size, from)),
        (_, SocketAddr::V6(_)) => Err(io::ErrorKind::Unsupported.into()),
    }
}
