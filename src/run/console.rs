//! Lines on standard output and standard error, made harmless to a terminal. Neither fails: a program goes on if nobody reads them.

use crate::text::sanitize;
use std::io::{stderr, stdout, Write};

/// Writes a line to standard output.
pub(super) fn print(line: &str) {
    let _ = stdout().write_all(format!("{}\n", sanitize(line)).as_bytes());
}

/// Writes a line to standard error.
pub(super) fn print_error(line: &str) {
    let _ = stderr().write_all(format!("{}\n", sanitize(line)).as_bytes());
}
