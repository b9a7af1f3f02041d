//! Reads key files. A file that other users can read or write, or that belongs to one of them, is refused.

use super::failure::Failure;
use super::log::Log;
use crate::directives::keys::{parse_own, HostKeys};
use crate::directives::{text_of, Source};
use crate::now::Now;
use crate::sys::user::{effective_id, User};
use crate::sys::{read_to_end, reason};
use crate::wire::auth::Key;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};

/// Reads the key file of a server.
///
/// # Errors
/// The file cannot be read, other users own it or can access it, or all its faults.
pub(super) fn host_keys(path: &str) -> Result<HostKeys, Failure> {
    HostKeys::parse(Source { path, text: &read(path, None)? }).map_err(Failure::Configuration)
}

/// Reads the key file of an agent. It may also belong to the user that the agent will become.
///
/// # Errors
/// As [`host_keys`].
pub(super) fn own_keys(path: &str, user: Option<&User>) -> Result<Vec<Key>, Failure> {
    parse_own(Source { path, text: &read(path, user)? }).map_err(Failure::Configuration)
}

/// Logs the outcome of reading a key file again. `None` if it failed: the program then keeps the keys that it has.
pub(super) fn log_reread<K>(now: Now, log: &mut Log, outcome: Result<K, Failure>) -> Option<K> {
    let failure = match outcome {
        Ok(keys) => {
            log.write(now, "the key file was read again");
            return Some(keys);
        }
        Err(failure) => failure,
    };
    failure.lines().iter().for_each(|text| log.write(now, text));
    log.write(now, "the key file cannot be used: the keys that were read before stay");
    None
}

#[allow(clippy::disallowed_methods, reason = "where configuration is read")]
fn read(path: &str, user: Option<&User>) -> Result<String, Failure> {
    let failure = |e: &std::io::Error| Failure::Usage(format!("cannot read the key file {path}: {}", reason(e)));
    // Opening must not wait if the path is a pipe.
    let open = std::fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let mut file = open.map_err(|e| failure(&e))?;
    let meta = file.metadata().map_err(|e| failure(&e))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let text = format!("the key file {path} can be read or written by others than its owner (mode {mode:04o}); chmod 600 {path}");
        return Err(Failure::Usage(text));
    }
    let owner = meta.uid();
    if owner != 0 && owner != effective_id() && user.is_none_or(|user| user.id() != owner) {
        // Its owner could put other keys into it.
        let text = format!("the key file {path} belongs to another user (number {owner}) than this program and root; chown it");
        return Err(Failure::Usage(text));
    }
    let bytes = read_to_end(&mut file).map_err(|e| failure(&e))?;
    match text_of(path, bytes) {
        (_, Some(fault)) => Err(Failure::Configuration(vec![fault])),
        (text, None) => Ok(text),
    }
}
