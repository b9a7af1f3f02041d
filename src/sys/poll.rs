//! Waiting for descriptors: the one place where a process sleeps.
#![allow(unsafe_code, reason = "poll")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// The descriptors of one wait, filled anew for each.
#[derive(Default)]
pub struct PollSet {
    fds: Vec<libc::pollfd>,
}

impl PollSet {
    /// Forgets all descriptors.
    pub fn clear(&mut self) {
        self.fds.clear();
    }

    /// Adds a descriptor to be read from.
    pub fn add(&mut self, fd: BorrowedFd<'_>) {
        self.fds.push(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    }

    /// Whether the descriptor that was added as the `number`th, counted from 0, has something to be read since the last wait.
    pub fn is_ready(&self, number: usize) -> bool {
        self.fds.get(number).is_some_and(|fd| fd.revents != 0)
    }

    /// Whether the last wait ended without anything to be read.
    pub fn is_quiet(&self) -> bool {
        self.fds.iter().all(|fd| fd.revents == 0)
    }

    /// Waits until a descriptor can be read, a signal arrives or the time is over; `None` waits for ever.
    ///
    /// # Errors
    /// What `poll(2)` reports, save that a signal arrived.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        // Rounded up, lest the loop turn without rest just before a deadline.
        let millis = timeout.map_or(-1, |timeout| i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        let count = libc::nfds_t::try_from(self.fds.len()).unwrap_or_default();
        // SAFETY: the pointer and the count are those of one live vector.
        match super::check(unsafe { libc::poll(self.fds.as_mut_ptr(), count, millis) }) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => Err(e),
            _ => Ok(()),
        }
    }
}
