//! Waiting for descriptors with `poll(2)`. Nothing else in the program sleeps.
#![allow(unsafe_code, reason = "poll")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// The descriptors of one wait, added again for each.
#[derive(Default)]
pub struct PollSet {
    fds: Vec<libc::pollfd>,
}

impl PollSet {
    /// Removes all descriptors.
    pub fn clear(&mut self) {
        self.fds.clear();
    }

    /// Adds a descriptor to wait for input on.
    pub fn add(&mut self, fd: BorrowedFd<'_>) {
        self.fds.push(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    }

    /// Adds a descriptor to wait for room on.
    pub fn add_writer(&mut self, fd: BorrowedFd<'_>) {
        self.fds.push(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 });
    }

    /// The number of the descriptor that will be added next.
    pub fn next_number(&self) -> usize {
        self.fds.len()
    }

    /// Whether the last wait found what the descriptor was added for, or its end. It was added as the `number`th, counted from 0.
    pub fn is_ready(&self, number: usize) -> bool {
        self.fds.get(number).is_some_and(|fd| fd.revents != 0)
    }

    /// Whether the last wait found nothing.
    pub fn is_quiet(&self) -> bool {
        self.fds.iter().all(|fd| fd.revents == 0)
    }

    /// Waits until a descriptor has what it was added for, a signal arrives or the time is over. Without a timeout it may wait for ever.
    ///
    /// # Errors
    /// What `poll(2)` reports, except for a signal.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        // Rounded up: otherwise the loop would spin just before a deadline.
        let millis = timeout.map_or(-1, |timeout| i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        let count = libc::nfds_t::try_from(self.fds.len()).unwrap_or_default();
        // SAFETY: the pointer and the count are those of one live vector.
        match super::error::check(unsafe { libc::poll(self.fds.as_mut_ptr(), count, millis) }) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => Err(e),
            _ => Ok(()),
        }
    }
}
