//! Reads key files and password files. A file that other users can read or write, or that belongs to one of them, is refused.

use super::failure::Failure;
use super::log::Log;
use crate::directives::keys::{parse_own, HostKeys};
use crate::directives::passwords::Passwords;
use crate::directives::{text_of, Source};
use crate::now::Now;
use crate::sys::daemon;
use crate::sys::user::{effective_id, User};
use crate::sys::{read_to_end, reason};
use crate::wire::auth::Key;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};

/// Reads the key file of a server.
///
/// # Errors
/// The file cannot be read, other users own it or can access it, or all its faults.
pub(super) fn host_keys(path: &str) -> Result<HostKeys, Failure> {
    HostKeys::parse(Source { path, text: &read("key", path, None)? }).map_err(Failure::Configuration)
}

/// Reads the key file of an agent. It may also belong to the user that the agent will become.
///
/// # Errors
/// As [`host_keys`].
pub(super) fn own_keys(path: &str, user: Option<&User>) -> Result<Vec<Key>, Failure> {
    parse_own(Source { path, text: &read("key", path, user)? }).map_err(Failure::Configuration)
}

/// Logs the outcome of reading a key file again. `None` if it failed: the program then keeps the keys that it has.
pub(super) fn log_reread<K>(now: Now, log: &mut Log, outcome: Result<K, Failure>) -> Option<K> {
    log_reread_of("key", now, log, outcome)
}

/// As [`log_reread`], for a file of passwords.
pub(super) fn log_reread_passwords(now: Now, log: &mut Log, outcome: Result<Passwords, Failure>) -> Option<Passwords> {
    log_reread_of("password", now, log, outcome)
}

fn log_reread_of<K>(what: &str, now: Now, log: &mut Log, outcome: Result<K, Failure>) -> Option<K> {
    let failure = match outcome {
        Ok(secrets) => {
            log.write(now, &format!("the {what} file was read again"));
            return Some(secrets);
        }
        Err(failure) => failure,
    };
    failure.lines().iter().for_each(|text| log.write(now, text));
    log.write(now, &format!("the {what} file cannot be used: the {what}s that were read before stay"));
    None
}

/// Reads a password file, to which the same rules apply.
///
/// # Errors
/// As [`host_keys`].
pub(super) fn passwords(path: &str) -> Result<Passwords, Failure> {
    let mut secret = [0; 32];
    secret.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&daemon::random().to_ne_bytes()));
    Passwords::parse(Source { path, text: &read("password", path, None)? }, secret).map_err(Failure::Configuration)
}

/// Reads a file of secrets. `what` says of which.
#[allow(clippy::disallowed_methods, reason = "where configuration is read")]
fn read(what: &str, path: &str, user: Option<&User>) -> Result<String, Failure> {
    let failure = |e: &std::io::Error| Failure::Usage(format!("cannot read the {what} file {path}: {}", reason(e)));
    // Opening must not wait if the path is a pipe.
    let open = std::fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let mut file = open.map_err(|e| failure(&e))?;
    let meta = file.metadata().map_err(|e| failure(&e))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let text = format!("the {what} file {path} can be read or written by others than its owner (mode {mode:04o}); chmod 600 {path}");
        return Err(Failure::Usage(text));
    }
    let owner = meta.uid();
    if owner != 0 && owner != effective_id() && user.is_none_or(|user| user.id() != owner) {
        // Its owner could put other ones into it.
        let text = format!("the {what} file {path} belongs to another user (number {owner}) than this program and root; chown it");
        return Err(Failure::Usage(text));
    }
    let bytes = read_to_end(&mut file).map_err(|e| failure(&e))?;
    match text_of(path, bytes) {
        (_, Some(fault)) => Err(Failure::Configuration(vec![fault])),
        (text, None) => Ok(text),
    }
}
