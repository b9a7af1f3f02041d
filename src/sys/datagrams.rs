//! Datagrams in batches: one system call for many on Linux (`recvmmsg`, `sendmmsg`), one for each elsewhere. Buffers are allocated once;
//! of the receiver's, only pages that a datagram reached take memory.
#![allow(unsafe_code, reason = "recvmmsg, sendmmsg")]

use std::io;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};

/// Most datagrams of one batch.
pub const BATCH: usize = 64;

/// Room for the largest datagram. A power of two would map all slots to the same few lines of the processor's cache.
const SLOT: usize = 65_536 + 192;

/// Receives waiting datagrams.
pub struct Receiver {
    slots: Vec<u8>,
    received: Vec<(SocketAddrV4, usize)>,
    #[cfg(target_os = "linux")]
    batch: Option<linux::Incoming>,
}

/// Collects datagrams and sends them together.
pub struct Sender {
    bytes: Vec<u8>,
    /// The receiver of each datagram, and where it ends in `bytes`.
    queue: Vec<(SocketAddrV4, usize)>,
    #[cfg(target_os = "linux")]
    batch: Option<linux::Outgoing>,
}

impl Default for Receiver {
    fn default() -> Self {
        #[cfg_attr(not(target_os = "linux"), allow(unused_mut, reason = "only the system calls of Linux are given it"))]
        let mut slots = vec![0; BATCH * SLOT];
        Self {
            #[cfg(target_os = "linux")]
            batch: Some(linux::Incoming::new(&mut slots)),
            slots,
            received: Vec::with_capacity(BATCH),
        }
    }
}

impl Receiver {
    /// Receives up to [`BATCH`] waiting datagrams in place of the previous ones. Returns their number.
    pub fn receive(&mut self, socket: &UdpSocket) -> usize {
        self.received.clear();
        #[cfg(target_os = "linux")]
        if let Some(batch) = &mut self.batch {
            match batch.receive(socket, &mut self.received) {
                Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => self.batch = None,
                _ => return self.received.len(),
            }
        }
        for slot in self.slots.chunks_exact_mut(SLOT) {
            let Ok((size, from)) = socket.recv_from(slot) else { break };
            if let SocketAddr::V4(from) = from {
                self.received.push((from, size));
            }
        }
        self.received.len()
    }

    /// The datagrams of the last call of [`Self::receive`], with their senders.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddrV4, &[u8])> {
        self.received.iter().zip(self.slots.chunks_exact(SLOT)).map(|((from, size), slot)| (*from, &slot[..*size]))
    }
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            bytes: Vec::with_capacity(Self::ROOM + SLOT),
            queue: Vec::with_capacity(BATCH),
            #[cfg(target_os = "linux")]
            batch: Some(linux::Outgoing::default()),
        }
    }
}

impl Sender {
    /// Most bytes of one batch before its last datagram.
    const ROOM: usize = 32 * 1024;

    /// Whether the batch must be flushed before anything is added.
    pub fn is_full(&self) -> bool {
        self.queue.len() == BATCH || self.bytes.len() > Self::ROOM
    }

    /// Adds a datagram to the batch.
    pub fn push(&mut self, to: SocketAddrV4, datagram: &[u8]) {
        self.bytes.extend_from_slice(datagram);
        self.queue.push((to, self.bytes.len()));
    }

    /// Sends the batch. Calls `failed` for each datagram that cannot be sent.
    pub fn flush(&mut self, socket: &UdpSocket, mut failed: impl FnMut(SocketAddrV4, io::Error)) {
        let mut sent = 0;
        while sent < self.queue.len() {
            match self.send_from(socket, sent) {
                Ok(count) => sent += count,
                Err(e) => {
                    failed(self.queue[sent].0, e);
                    sent += 1;
                }
            }
        }
        self.queue.clear();
        self.bytes.clear();
    }

    /// Sends one or more datagrams of the queue from `first` on. Returns their number.
    fn send_from(&mut self, socket: &UdpSocket, first: usize) -> io::Result<usize> {
        #[cfg(target_os = "linux")]
        if let Some(batch) = &mut self.batch {
            match batch.send(socket, &self.bytes, &self.queue, first) {
                Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => self.batch = None,
                outcome => return outcome,
            }
        }
        let start = first.checked_sub(1).map_or(0, |before| self.queue[before].1);
        let (to, end) = self.queue[first];
        socket.send_to(&self.bytes[start..end], to).map(|_| 1)
    }
}

/// The system calls of Linux, by number: on 64-bit systems musl's `sendmmsg` is a loop around `sendmsg`.
#[cfg(target_os = "linux")]
mod linux {
    use super::{BATCH, SLOT};
    use std::io;
    use std::net::{SocketAddrV4, UdpSocket};
    use std::os::fd::AsRawFd;

    const NAME_SIZE: libc::socklen_t = 16;
    const _: () = assert!(std::mem::size_of::<libc::sockaddr_in>() == 16);

    /// The headers of a batch. Header `i` points at vector `i` and name `i`; none of the three tables moves or grows.
    struct Headers {
        headers: Vec<libc::mmsghdr>,
        vectors: Vec<libc::iovec>,
        names: Vec<libc::sockaddr_in>,
    }

    /// Headers that point at the slots of a receiver.
    pub(super) struct Incoming(Headers);

    /// Headers that are pointed at a sender's datagrams for each call.
    #[derive(Default)]
    pub(super) struct Outgoing(Headers);

    impl Default for Headers {
        fn default() -> Self {
            // SAFETY: all three structures are numbers and pointers, for which zero is a value.
            let (header, vector, name) = unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
            let mut tables = Self { headers: vec![header; BATCH], vectors: vec![vector; BATCH], names: vec![name; BATCH] };
            let lines = tables.headers.iter_mut().zip(&mut tables.vectors).zip(&mut tables.names);
            for ((header, vector), name) in lines {
                header.msg_hdr.msg_iov = vector;
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
                header.msg_hdr.msg_namelen = NAME_SIZE;
            }
            tables
        }
    }

    impl Headers {
        /// Passes the headers from `first` up to `end` to `sendmmsg` or `recvmmsg`. Returns the number of datagrams handled.
        ///
        /// # Safety
        /// The vectors of these headers point at live memory of their length, writable for `recvmmsg`.
        unsafe fn call(&mut self, number: libc::c_long, socket: &UdpSocket, first: usize, end: usize) -> io::Result<usize> {
            let headers = &mut self.headers[first..end];
            let nothing: *mut libc::timespec = std::ptr::null_mut();
            let (fd, flags): (libc::c_int, libc::c_int) = (socket.as_raw_fd(), 0);
            // SAFETY: the headers point at tables that live as long as they do, and at memory that the caller vouches for; the count is that
            // of the slice. `sendmmsg` ignores the fifth argument.
            let count = unsafe { libc::syscall(number, fd, headers.as_mut_ptr(), headers.len(), flags, nothing) };
            usize::try_from(count).map_err(|_| io::Error::last_os_error())
        }
    }

    impl Incoming {
        /// Points the headers at the slots of a receiver. These must live as long as the headers and not move.
        pub(super) fn new(slots: &mut [u8]) -> Self {
            let mut headers = Headers::default();
            for (vector, slot) in headers.vectors.iter_mut().zip(slots.chunks_exact_mut(SLOT)) {
                *vector = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: SLOT };
            }
            Self(headers)
        }

        pub(super) fn receive(&mut self, socket: &UdpSocket, received: &mut Vec<(SocketAddrV4, usize)>) -> io::Result<()> {
            // SAFETY: the vectors point at the receiver's slots, which nothing else uses during this call.
            let count = unsafe { self.0.call(libc::SYS_recvmmsg, socket, 0, BATCH) }?;
            for (header, name) in self.0.headers.iter_mut().zip(&self.0.names).take(count) {
                let from = SocketAddrV4::new(u32::from_be(name.sin_addr.s_addr).into(), u16::from_be(name.sin_port));
                received.push((from, SLOT.min(header.msg_len as usize)));
                header.msg_hdr.msg_namelen = NAME_SIZE;
            }
            Ok(())
        }
    }

    impl Outgoing {
        pub(super) fn send(
            &mut self,
            socket: &UdpSocket,
            bytes: &[u8],
            queue: &[(SocketAddrV4, usize)],
            first: usize,
        ) -> io::Result<usize> {
            if first == 0 {
                self.point_at(bytes, queue)?;
            }
            // SAFETY: the vectors point at the bytes of the queue, which do not change between its first call and its last.
            unsafe { self.0.call(libc::SYS_sendmmsg, socket, first, queue.len()) }
        }

        fn point_at(&mut self, bytes: &[u8], queue: &[(SocketAddrV4, usize)]) -> io::Result<()> {
            let mut start = 0;
            for ((vector, name), (to, end)) in self.0.vectors.iter_mut().zip(&mut self.0.names).zip(queue) {
                let datagram = &bytes[start..*end];
                *vector = libc::iovec { iov_base: datagram.as_ptr().cast_mut().cast(), iov_len: datagram.len() };
                name.sin_family = libc::sa_family_t::try_from(libc::AF_INET).unwrap_or_default();
                name.sin_port = to.port().to_be();
                name.sin_addr.s_addr = u32::from(*to.ip()).to_be();
                start = *end;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    /// With the system's batches, and as on a system that has none.
    fn both_ways() -> [(Receiver, Sender); 2] {
        #[allow(unused_mut, reason = "on systems without batches")]
        let mut one_by_one = (Receiver::default(), Sender::default());
        #[cfg(target_os = "linux")]
        {
            (one_by_one.0.batch, one_by_one.1.batch) = (None, None);
        }
        [(Receiver::default(), Sender::default()), one_by_one]
    }

    fn socket() -> UdpSocket {
        crate::sys::socket::bind(Ipv4Addr::LOCALHOST, 0).unwrap()
    }

    /// Receives until so many datagrams have come. On loopback they wait as soon as they are sent.
    fn address(socket: &UdpSocket) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, socket.local_addr().unwrap().port())
    }

    fn receive(receiver: &mut Receiver, socket: &UdpSocket, count: usize) -> Vec<(SocketAddrV4, Vec<u8>)> {
        let mut all = Vec::new();
        while all.len() < count {
            assert!(receiver.receive(socket) > 0, "{} of {count}", all.len());
            all.extend(receiver.datagrams().map(|(from, bytes)| (from, bytes.to_vec())));
        }
        all
    }

    #[test]
    fn more_datagrams_than_a_batch_arrive_whole_and_in_order() {
        for (mut receiver, mut sender) in both_ways() {
            let (here, there) = (socket(), socket());
            let datagrams: Vec<Vec<u8>> = (0..BATCH + 9).map(|i| vec![b'a' + u8::try_from(i % 26).unwrap(); i * 7]).collect();
            for datagram in &datagrams {
                if sender.is_full() {
                    sender.flush(&here, |_, e| panic!("{e}"));
                }
                sender.push(address(&there), datagram);
            }
            sender.flush(&here, |_, e| panic!("{e}"));
            let expected: Vec<_> = datagrams.into_iter().map(|datagram| (address(&here), datagram)).collect();
            assert_eq!(receive(&mut receiver, &there, expected.len()), expected);
            assert_eq!((receiver.receive(&there), receiver.datagrams().count()), (0, 0), "what was taken before is gone");
        }
    }

    #[test]
    fn the_largest_datagrams_arrive_whole() {
        for (mut receiver, mut sender) in both_ways() {
            let (here, there) = (socket(), socket());
            for fill in [1, 2] {
                assert!(!sender.is_full());
                sender.push(address(&there), &vec![fill; crate::wire::MAX_DATAGRAM]);
                sender.push(address(&there), b"small");
                assert!(sender.is_full());
                sender.flush(&here, |_, e| panic!("{e}"));
                let received = receive(&mut receiver, &there, 2);
                assert!(received[0].1.len() == crate::wire::MAX_DATAGRAM && received[0].1.iter().all(|byte| *byte == fill));
                assert_eq!(received[1].1, b"small");
            }
        }
    }

    #[test]
    fn what_cannot_be_sent_is_told_and_the_others_are_sent() {
        for (mut receiver, mut sender) in both_ways() {
            let (here, there) = (socket(), socket());
            let nowhere = SocketAddrV4::new([127, 0, 0, 1].into(), 0);
            for (to, text) in [(address(&there), "one"), (nowhere, "lost"), (address(&there), "two")] {
                sender.push(to, text.as_bytes());
            }
            let mut failed = Vec::new();
            sender.flush(&here, |to, _| failed.push(to));
            assert_eq!(failed, [nowhere]);
            let received = receive(&mut receiver, &there, 2);
            assert_eq!(received.iter().map(|(_, text)| &text[..]).collect::<Vec<_>>(), [b"one", b"two"]);
        }
    }
}
