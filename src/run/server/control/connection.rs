//! One connection of the control socket: reads a request, writes the response, and waits for the other end to have it. Never waits.

use super::http::{parse, Head, Request, Response, Status, MAX_HEAD};
use crate::now::Now;
use crate::sys::poll::PollSet;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

pub(super) struct Connection {
    stream: UnixStream,
    state: State,
    /// When it is closed, whatever its state.
    deadline: Duration,
    /// Its number in the set of the last wait.
    polled: usize,
}

enum State {
    Reading(Vec<u8>),
    Writing {
        response: Vec<u8>,
        written: usize,
    },
    /// The response is written. What comes now is dropped: closing with unread bytes would take the response from the other end.
    Draining,
    Closed,
}

impl Connection {
    /// A connection ends after this time, however slow the other end is.
    const TIMEOUT: Duration = Duration::from_secs(10);
    /// Most bytes that are read in one turn.
    const STEP: usize = 4096;

    /// A connection that was just accepted. Its calls must not wait.
    pub(super) fn new(now: Now, stream: UnixStream) -> Self {
        Self { stream, state: State::Reading(Vec::new()), deadline: now.mono + Self::TIMEOUT, polled: usize::MAX }
    }

    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(super) fn add_to(&mut self, poll: &mut PollSet) {
        self.polled = poll.next_number();
        match self.state {
            State::Writing { .. } => poll.add_writer(self.stream.as_fd()),
            _ => poll.add(self.stream.as_fd()),
        }
    }

    pub(super) fn is_ready(&self, poll: &PollSet) -> bool {
        poll.is_ready(self.polled)
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Does what is possible now.
    pub(super) fn handle(&mut self, answer: &mut dyn FnMut(&Request<'_>) -> Response) {
        if !matches!(self.state, State::Writing { .. }) {
            self.read();
        }
        if let State::Reading(request) = &self.state {
            let response = match parse(request) {
                Head::Incomplete => return,
                Head::Refused(status) => Response::of(status).emit(false),
                Head::Complete(request) => match request.method {
                    "GET" | "HEAD" => answer(&request).emit(request.method == "HEAD"),
                    _ => Response::of(Status::MethodNotAllowed).emit(false),
                },
            };
            self.state = State::Writing { response, written: 0 };
        }
        self.write();
    }

    fn read(&mut self) {
        let mut bytes = [0; Self::STEP];
        let room = match &self.state {
            State::Reading(request) => MAX_HEAD - request.len().min(MAX_HEAD),
            _ => Self::STEP,
        };
        match self.stream.read(&mut bytes[..room.min(Self::STEP)]) {
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

    fn write(&mut self) {
        while let State::Writing { response, written } = &mut self.state {
            match self.stream.write(&response[*written..]) {
                Ok(0) => self.state = State::Closed,
                Ok(count) => {
                    *written += count;
                    if *written == response.len() {
                        let _ = self.stream.shutdown(Shutdown::Write);
                        self.state = State::Draining;
                    }
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
                Err(_) => self.state = State::Closed,
            }
        }
    }
}
