//! The request to step over a batch: a file beside the stream, which the server takes away.

use crate::fs::own;
use crate::sys::read_file;
use std::fs;
use std::io::{self, Write};

/// The file `STREAM.skip`, with the name of an output.
pub(in crate::run::server) struct SkipRequest(String);

impl SkipRequest {
    pub(in crate::run::server) fn new(stream: &str) -> Self {
        Self(format!("{stream}.skip"))
    }

    pub(in crate::run::server) fn path(&self) -> &str {
        &self.0
    }

    /// Makes the request.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(in crate::run::server) fn write(&self, output: &str) -> io::Result<()> {
        // Renamed: the server must not take half of a name.
        let new = format!("{}.new", self.0);
        writeln!(own::create(new.as_ref())?, "{output}")?;
        fs::rename(new, &self.0)
    }

    /// Whether the request still waits.
    pub(in crate::run::server) fn is_there(&self) -> bool {
        fs::metadata(&self.0).is_ok()
    }

    /// Takes the request. Returns the name of the output.
    pub(super) fn take(&self) -> Option<String> {
        let text = read_file(&self.0).ok()?;
        fs::remove_file(&self.0).ok()?;
        Some(String::from_utf8_lossy(&text).trim().to_string())
    }
}
