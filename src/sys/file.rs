//! Files read whole: small ones, and those of `/proc`.

use std::fs::File;
use std::io::{self, Read};

/// Reads a whole file, a few bytes at a time: most files here are short, and those of `/proc` have no known length.
///
/// # Errors
/// It cannot be opened or read.
#[allow(clippy::disallowed_methods, reason = "for the readers of configuration and what the system tells")]
pub fn read_file(path: &str) -> io::Result<Vec<u8>> {
    read_to_end(&mut File::open(path)?)
}

/// Reads the rest of a file.
///
/// # Errors
/// What `read(2)` reports.
pub fn read_to_end(file: &mut File) -> io::Result<Vec<u8>> {
    const STEP: usize = 4096;
    let mut bytes = Vec::new();
    loop {
        let length = bytes.len();
        bytes.resize(length + STEP, 0);
        let count = file.read(&mut bytes[length..])?;
        bytes.truncate(length + count);
        if count == 0 {
            return Ok(bytes);
        }
    }
}

/// The text of a file such as `/proc/mounts`; bytes that are not UTF-8 are replaced.
///
/// # Errors
/// It cannot be opened or read.
pub fn table(path: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&read_file(path)?).into_owned())
}
