//! A run of an output's command: a process that gets events on its standard input. Nothing here waits.

use crate::directives::output::Output;
use crate::outputs::emit;
use crate::sys::child::ChildProcess;
use crate::sys::clock::LocalTime;
use crate::sys::poll::PollSet;
use crate::text::{sanitize, truncate};
use crate::{date::Zone, wire::StreamEvent};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitStatus;

pub(in crate::run::server) struct Command {
    process: ChildProcess,
    /// `None` once all is written, or the command takes no more.
    input: Option<File>,
    text: Vec<u8>,
    written: usize,
    /// What it said on standard error: the start and the end.
    said: (Vec<u8>, Vec<u8>),
    /// Whether it may say more.
    speaks: bool,
}

impl Command {
    /// Bytes that are kept of the start of what it says, and of its end.
    const SAID: usize = 400;
    /// Bytes that are read at once of what it says, and how often in one turn.
    const BLOCK: usize = 4096;
    const BLOCKS: usize = 16;

    /// Starts the command of an output with these events.
    ///
    /// # Errors
    /// The program does not exist or cannot be started.
    pub(in crate::run::server) fn start(output: &Output, events: &[&StreamEvent]) -> io::Result<Self> {
        let uids: Vec<&str> = events.iter().map(|event| &*event.uid).collect();
        let variables = [
            format!("AX436_OUTPUT={}", output.name),
            format!("AX436_EVENTS={}", events.len()),
            format!("AX436_FIRST={}", uids.first().unwrap_or(&"")),
            format!("AX436_LAST={}", uids.last().unwrap_or(&"")),
        ];
        let (process, input) = ChildProcess::start_with_input(&mut output.command.iter().map(String::as_str), &variables)?;
        let text = emit(output.format, events, Zone(LocalTime::offset)).into_bytes();
        let mut command = Self { process, input: Some(input), text, written: 0, said: (Vec::new(), Vec::new()), speaks: true };
        command.write();
        Ok(command)
    }

    /// Adds what to wait for.
    pub(in crate::run::server) fn add_to(&self, poll: &mut PollSet) {
        if let Some(input) = &self.input {
            poll.add_writer(input.as_fd());
        }
        if self.speaks {
            poll.add(self.process.fd());
        }
    }

    /// Writes and reads what is possible. Returns the exit status once the process has ended.
    pub(in crate::run::server) fn advance(&mut self) -> Option<ExitStatus> {
        self.write();
        self.listen();
        let status = self.process.status()?;
        self.listen();
        Some(status)
    }

    fn write(&mut self) {
        while let Some(input) = &mut self.input {
            match input.write(&self.text[self.written..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Ok(count) if self.written + count < self.text.len() && count > 0 => self.written += count,
                // All is written, or it has closed its input.
                _ => self.input = None,
            }
        }
    }

    fn listen(&mut self) {
        let mut block = [0; Self::BLOCK];
        for _ in 0..Self::BLOCKS {
            if !self.speaks {
                return;
            }
            match self.process.read(&mut block) {
                Ok(Some(count @ 1..)) => self.keep(&block[..count]),
                Ok(None) => return,
                Ok(Some(_)) | Err(_) => self.speaks = false,
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let (start, end) = &mut self.said;
        let (first, rest) = bytes.split_at(bytes.len().min(Self::SAID - start.len()));
        start.extend_from_slice(first);
        end.extend_from_slice(rest);
        let excess = end.len().saturating_sub(Self::SAID);
        end.drain(..excess);
    }

    /// What the command said on standard error, as one line; empty if it said nothing.
    pub(in crate::run::server) fn said(&self) -> String {
        let (start, end) = &self.said;
        let gap: &[u8] = if start.len() + end.len() < 2 * Self::SAID { b"" } else { b" ... " };
        let text = [start, gap, end].concat();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let line = lines.join("; ");
        sanitize(truncate(&line, 2 * Self::SAID)).into_owned()
    }
}
