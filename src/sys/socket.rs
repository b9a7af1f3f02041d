//! The one UDP socket of each process, and the sockets on which the server is asked.
#![allow(unsafe_code, reason = "setsockopt, umask")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};

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

/// Listens on a TCP socket. Its calls never wait. The unspecified address of version 6 stands for version 4 too, unless the system says
/// otherwise.
///
/// # Errors
/// The address is not local, or the port is taken.
pub fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
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

/// Listens on a Unix socket that only the user of this process may connect to. Replaces a socket that a process has left there. The calls
/// of the socket never wait.
///
/// # Errors
/// `AddrInUse` if a process answers there already; `AlreadyExists` if there is something else than a socket; what `bind(2)` reports, also
/// for a path of more than 107 bytes.
pub fn listen(path: &str) -> io::Result<UnixListener> {
    if let Ok(meta) = std::fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    // SAFETY: touches no memory. The process has one thread, so that no other file is made meanwhile.
    let before = unsafe { libc::umask(0o177) };
    let listener = UnixListener::bind(path);
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
