//! The lines that a child process prints, handed over as they come. Knows nothing of what they mean.

use crate::agent::TaskEnd;
use crate::encoding::{Encoding, Units};
use crate::lines::{LineSplitter, MAX_LINE};
use crate::sys::child::{failure, ChildProcess};
use crate::text::truncate;
use std::io;
use std::os::fd::BorrowedFd;

/// A process and the part of its output that was not handed over yet.
pub(super) struct LinePipe {
    process: ChildProcess,
    pending: Vec<u8>,
    splitter: LineSplitter,
    encoding: Encoding,
    /// The first bytes of the output, as far as they may be a byte order mark.
    head: Vec<u8>,
    /// Bytes that were read.
    read: u64,
    at_end: bool,
}

/// What reading came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// There is nothing more at the moment.
    Waiting,
    /// The receiver has no room.
    Blocked,
    /// There is more to read at once.
    More,
    /// All was read, and the process has ended.
    Ended(TaskEnd),
}

impl LinePipe {
    /// Most bytes that one call reads.
    const TURN: u64 = 256 * 1024;
    /// So many bytes are read though the receiver takes none: it may wait for lines that belong to those that it has.
    const AHEAD: usize = 2 * MAX_LINE;
    /// Most bytes of what a process said that are part of its failure.
    const MOST_SAID: usize = 200;

    /// Starts a program, found as a shell would find it, with its arguments. Of a line with more bytes than [`MAX_LINE`], the rest is skipped.
    ///
    /// # Errors
    /// The program does not exist or cannot be started.
    pub(super) fn start(words: &mut dyn Iterator<Item = &str>) -> io::Result<Self> {
        Self::start_within(MAX_LINE, words)
    }

    /// The same with lines of up to so many bytes.
    pub(super) fn start_within(limit: usize, words: &mut dyn Iterator<Item = &str>) -> io::Result<Self> {
        let splitter = LineSplitter::within(limit);
        let (process, encoding) = (ChildProcess::start(words)?, Encoding::default());
        Ok(Self { process, pending: Vec::new(), splitter, encoding, head: Vec::new(), read: 0, at_end: false })
    }

    /// Takes what is printed as text in that encoding. It is UTF-8 otherwise.
    pub(super) fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
    }

    /// The descriptor to poll; `None` once the output has ended.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.at_end).then(|| self.process.fd())
    }

    /// Bytes read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Reads what is there and hands over whole lines and their units. `take` returns how many bytes it has processed.
    pub(super) fn read(&mut self, buffer: &mut [u8], take: &mut dyn FnMut(&[u8], Units) -> usize) -> Reading {
        let until = self.read + Self::TURN;
        while self.read < until {
            let is_blocked = !self.hand_on(take);
            if is_blocked && (self.at_end || self.pending.len() >= Self::AHEAD) {
                return Reading::Blocked;
            }
            if self.at_end {
                break;
            }
            // Asked before reading: afterwards, output that came between would be missed.
            let ended = self.process.status().is_some();
            match self.process.read(buffer) {
                Ok(Some(count @ 1..)) => {
                    self.read += count as u64;
                    self.pending.extend_from_slice(&buffer[..count]);
                    self.head.extend(buffer[..count].iter().take(2 - self.head.len()));
                }
                Ok(None) if !ended => return if is_blocked { Reading::Blocked } else { Reading::Waiting },
                // A process that it started may hold the pipe open for ever.
                _ => self.at_end = true,
            }
        }
        if self.at_end {
            return self.end();
        }
        Reading::More
    }

    /// Hands over whole lines, and at the end the rest. Returns whether there was room for all of them.
    fn hand_on(&mut self, take: &mut dyn FnMut(&[u8], Units) -> usize) -> bool {
        let units = self.encoding.units(&self.head);
        loop {
            let piece = self.splitter.split(units, &self.pending);
            let consumed = if piece.lines.is_empty() { 0 } else { take(piece.lines, units) };
            let blocked = consumed < piece.lines.len();
            let advanced = self.splitter.advance(piece, consumed);
            self.pending.drain(..advanced);
            if blocked {
                return false;
            }
            if advanced == 0 {
                break;
            }
        }
        if self.at_end && !self.pending.is_empty() {
            let consumed = take(&self.pending, units);
            self.pending.drain(..consumed);
        }
        if self.pending.is_empty() && self.pending.capacity() > MAX_LINE {
            self.pending = Vec::new();
        }
        !self.at_end || self.pending.is_empty()
    }

    fn end(&mut self) -> Reading {
        match self.process.status() {
            None => Reading::Waiting,
            Some(status) => Reading::Ended(TaskEnd {
                status: status.code().and_then(|code| u8::try_from(code).ok()),
                outcome: failure(status).map_or(Ok(()), |failure| Err(self.explain(failure))),
            }),
        }
    }

    /// A failure, with the first line of what the process said about it.
    fn explain(&self, failure: String) -> String {
        match &*self.process.first_error() {
            "" => failure,
            said => [&failure, ": ", truncate(said, Self::MOST_SAID)].concat(),
        }
    }
}
