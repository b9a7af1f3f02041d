//! One connection: reads a request, writes the response, and waits for the other end to have it. Never waits, and holds no more than one
//! piece of a response.

use super::message::{parse, Body, Received, Request, Response, MAX_BODY, MAX_HEAD};
use super::site::{Progress, Site};
use super::transport::Transport;
use crate::now::Now;
use crate::sys::poll::PollSet;
use std::io::{ErrorKind, Write as _};
use std::rc::Rc;
use std::time::Duration;

pub(super) struct Connection<L> {
    transport: Transport,
    state: State<L>,
    /// When it is closed, unless it gets ahead before.
    deadline: Duration,
    /// Its number in the set of the last wait.
    polled: usize,
}

enum State<L> {
    Reading(Vec<u8>),
    Writing(Writing<L>),
    /// The response is written. What comes now is dropped: closing with unread bytes would take the response from the other end.
    Draining,
    Closed,
}

/// A response on its way.
struct Writing<L> {
    /// The piece that is being written.
    piece: Vec<u8>,
    written: usize,
    rest: Rest<L>,
}

/// What follows the piece.
enum Rest<L> {
    Nothing,
    Static(&'static [u8]),
    Shared { text: Rc<str>, from: usize },
    Long { long: L, is_chunked: bool },
}

/// Most bytes that are read in one turn.
const STEP: usize = 4096;

impl<L> Connection<L> {
    /// A request must have come after this time, and the other end must have taken each piece of the response.
    pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
    /// How long the other end may keep the connection after the response.
    const DRAIN: Duration = Duration::from_secs(2);
    /// Bytes of a piece of a response.
    const PIECE: usize = 64 * 1024;

    /// A connection that was just accepted. Its calls must not wait.
    pub(super) fn new(now: Now, transport: Transport) -> Self {
        Self { transport, state: State::Reading(Vec::new()), deadline: now.mono + Self::TIMEOUT, polled: usize::MAX }
    }

    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(super) fn add_to(&mut self, poll: &mut PollSet) {
        self.polled = poll.next_number();
        match self.state {
            State::Writing { .. } => poll.add_writer(self.transport.fd()),
            _ => poll.add(self.transport.fd()),
        }
    }

    pub(super) fn is_ready(&self, poll: &PollSet) -> bool {
        poll.is_ready(self.polled)
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// It is ready, and the server has no time for it in this turn. That does not count against it.
    pub(super) fn put_off(&mut self, now: Now) {
        self.deadline = self.deadline.max(now.mono + Self::DRAIN);
    }

    /// Does what is possible now, at most one piece of the response.
    pub(super) fn handle(&mut self, now: Now, site: &mut impl Site<Long = L>) {
        if !matches!(self.state, State::Writing { .. }) {
            self.read();
        }
        if let State::Reading(bytes) = &self.state {
            let writing = match parse(bytes) {
                Received::Incomplete => return,
                Received::Refused(status) => Writing::of(Response::of(status), &Request::default()),
                Received::Complete(request) => Writing::of(site.answer(now, &request, self.transport.visitor()), &request),
            };
            self.state = State::Writing(writing);
            self.deadline = now.mono + Self::TIMEOUT;
        }
        self.write(now, site);
    }

    fn read(&mut self) {
        let mut bytes = [0; STEP];
        let room = match &self.state {
            State::Reading(request) => MAX_HEAD + MAX_BODY - request.len().min(MAX_HEAD + MAX_BODY),
            _ => STEP,
        };
        match self.transport.read(&mut bytes[..room.min(STEP)]) {
            Ok(0) => self.state = State::Closed,
            Ok(count) => {
                if let State::Reading(request) = &mut self.state {
                    request.extend_from_slice(&bytes[..count]);
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.state = State::Closed,
        }
    }

    fn write(&mut self, now: Now, site: &mut impl Site<Long = L>) {
        // What is left of the last piece, and then one more.
        for _ in 0..2 {
            let State::Writing(writing) = &mut self.state else { return };
            if writing.written == writing.piece.len() {
                self.deadline = now.mono + Self::TIMEOUT;
                if !writing.next_piece(now, site) {
                    self.finish(now);
                    return;
                }
            }
            match self.transport.write(&writing.piece[writing.written..]) {
                Ok(count) => writing.written += count,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
                Err(_) => self.state = State::Closed,
            }
        }
        if matches!(&self.state, State::Writing(writing) if writing.is_done()) {
            self.finish(now);
        }
    }

    fn finish(&mut self, now: Now) {
        self.transport.end();
        self.state = State::Draining;
        self.deadline = now.mono + Self::DRAIN;
    }
}

impl<L> Writing<L> {
    fn of(response: Response<L>, request: &Request<'_>) -> Self {
        let piece = response.emit_head(request.is_old);
        let mut writing = Self { piece, written: 0, rest: Rest::Nothing };
        match response.body {
            // A response to HEAD has no body, but its length.
            _ if request.method == "HEAD" => {}
            Body::Text(text) => writing.piece.extend_from_slice(text.as_bytes()),
            Body::Static(bytes) => writing.rest = Rest::Static(bytes),
            Body::Shared(text) => writing.rest = Rest::Shared { text, from: 0 },
            Body::Long(long) => writing.rest = Rest::Long { long, is_chunked: !request.is_old },
        }
        writing
    }

    /// Whether all is written.
    fn is_done(&self) -> bool {
        self.written == self.piece.len() && matches!(self.rest, Rest::Nothing)
    }

    /// Takes the next piece, which is empty if it is not made yet. Returns whether there is one.
    fn next_piece(&mut self, now: Now, site: &mut impl Site<Long = L>) -> bool {
        let most = Connection::<L>::PIECE;
        self.piece.clear();
        self.written = 0;
        match &mut self.rest {
            Rest::Nothing => return false,
            Rest::Static(bytes) => {
                let (piece, rest) = bytes.split_at(bytes.len().min(most));
                self.piece.extend_from_slice(piece);
                self.rest = if rest.is_empty() { Rest::Nothing } else { Rest::Static(rest) };
            }
            Rest::Shared { text, from } => {
                let end = text.len().min(*from + most);
                self.piece.extend_from_slice(&text.as_bytes()[*from..end]);
                *from = end;
                if end == text.len() {
                    self.rest = Rest::Nothing;
                }
            }
            Rest::Long { long, is_chunked } => {
                let mut text = String::new();
                let is_over = site.next_piece(now, long, &mut text) == Progress::Finished;
                match *is_chunked {
                    // A chunk without bytes would be the last one.
                    true if !text.is_empty() => {
                        let _ = write!(self.piece, "{:x}\r\n{text}\r\n", text.len());
                    }
                    true => {}
                    false => self.piece = text.into_bytes(),
                }
                if is_over {
                    self.piece.extend_from_slice(if *is_chunked { b"0\r\n\r\n" } else { b"" });
                    self.rest = Rest::Nothing;
                }
            }
        }
        true
    }
}
