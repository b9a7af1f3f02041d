//! The program's own log: a rolling file, standard error or the local syslog. A log that cannot be written stops nothing.

use super::console;
use crate::fs::rolling::RollingFile;
use crate::now::Now;
use crate::sys::clock::LocalTime;
use crate::sys::{crash, reason, syslog};
use crate::text::sanitize;

pub(super) struct Log {
    destination: Destination,
    /// Whether the last write failed. The failure was printed then.
    failing: bool,
}

enum Destination {
    File(RollingFile),
    StandardError,
    Syslog(&'static str),
}

impl Log {
    /// Bytes of a log file before it rolls.
    pub(super) const SIZE: u64 = 1_000_000;
    /// Rolled log files that are kept.
    pub(super) const KEEP: u32 = 4;
    /// Most rolled log files that may be kept. Adding one renames all of them.
    pub(super) const MOST_KEPT: u32 = 1000;

    /// Opens the log that the option `-l` names: a file, `-` for standard error, or `syslog`.
    pub(super) fn open(name: &str, size: u64, keep: u32, program: &'static str) -> Self {
        let destination = match name {
            "-" => Destination::StandardError,
            "syslog" => Destination::Syslog(program),
            path => Destination::File(RollingFile::new(path, size, keep)),
        };
        Self { destination, failing: false }
    }

    /// Writes one line.
    pub(super) fn write(&mut self, now: Now, text: &str) {
        let text = sanitize(text);
        let line = || format!("{} {text}\n", LocalTime::at(now.unix));
        match &mut self.destination {
            Destination::File(file) => {
                let outcome = file.append(line().as_bytes());
                crash::log_to(file.fd());
                if let (Err(e), false) = (&outcome, self.failing) {
                    console::print_error(&format!("cannot write the log {}: {}", file.path(), reason(e)));
                }
                self.failing = outcome.is_err();
            }
            Destination::StandardError => console::print_error(line().trim_end()),
            Destination::Syslog(program) => syslog::write(program, LocalTime::at(now.unix), &text),
        }
    }

    /// Makes the next line reopen the file.
    pub(super) fn reopen(&mut self) {
        if let Destination::File(file) = &mut self.destination {
            file.reopen();
        }
    }
}
