//! Key files as they lie on disk: read at the start and at SIGHUP, refused where others can read them. And what `ax436 -g` does.

use super::log::Log;
use super::server::check;
use super::{say, Failure};
use crate::directives::keys::{parse_own, HostKeys};
use crate::directives::{text_of, Fault, Source};
use crate::now::Now;
use crate::sys::{daemon, read_to_end, reason};
use crate::wire::auth::Key;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

/// Reads the key file of a server.
///
/// # Errors
/// It cannot be read, others can read it, or all that is wrong with it.
pub(super) fn host_keys(path: &str) -> Result<HostKeys, Failure> {
    HostKeys::parse(Source { path, text: &read(path)? }).map_err(Failure::Configuration)
}

/// Reads the key file of an agent.
///
/// # Errors
/// As of [`host_keys`].
pub(super) fn own_keys(path: &str) -> Result<Vec<Key>, Failure> {
    parse_own(Source { path, text: &read(path)? }).map_err(Failure::Configuration)
}

/// The keys as they were read again. `None` where that cannot be done: then those from before stay, and the log says why.
pub(super) fn again<K>(now: Now, log: &mut Log, read: Result<K, Failure>) -> Option<K> {
    let complaints = match read {
        Ok(keys) => {
            log.write(now, "the key file was read again");
            return Some(keys);
        }
        Err(Failure::Configuration(faults)) => faults.iter().map(Fault::to_string).collect(),
        Err(Failure::Usage(text) | Failure::System(text)) => vec![text],
    };
    complaints.iter().for_each(|text| log.write(now, text));
    log.write(now, "the key file cannot be used: the keys that were read before stay");
    None
}

#[allow(clippy::disallowed_methods, reason = "where configuration is read")]
fn read(path: &str) -> Result<String, Failure> {
    let failure = |e: &std::io::Error| Failure::Usage(format!("cannot read the key file {path}: {}", reason(e)));
    // What is there may be a pipe: opening it shall not wait.
    let open = std::fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let mut file = open.map_err(|e| failure(&e))?;
    let meta = file.metadata().map_err(|e| failure(&e))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let text = format!("the key file {path} can be read or written by others than its owner (mode {mode:04o}); chmod 600 {path}");
        return Err(Failure::Usage(text));
    }
    let bytes = read_to_end(&mut file).map_err(|e| failure(&e))?;
    match text_of(path, bytes) {
        (_, Some(fault)) => Err(Failure::Configuration(vec![fault])),
        (text, None) => Ok(text),
    }
}

/// Prints a new key, or with the name of a host and a server file the key of that host as it comes of the master key.
///
/// # Errors
/// The arguments are others, the system has no randomness, or the key file gives that host no such key.
pub(super) fn generate(arguments: &[String]) -> Result<(), Failure> {
    let (host, conf) = match arguments {
        [] => {
            let mut bytes = [0; 32];
            daemon::fill_random(&mut bytes).map_err(|e| Failure::system("cannot get randomness for a key", &e))?;
            say(&Key::new(bytes).emit());
            return Ok(());
        }
        [host] => (host, check::DEFAULT_CONF),
        [host, conf] => (host, conf.as_str()),
        _ => return Err(Failure::Usage("-g stands alone, or is followed by HOST and, where CONF is not ./ax436.conf, by CONF".into())),
    };
    let settings = check::read_server_file(conf)?;
    let path = settings.key_file.ok_or_else(|| Failure::Usage(format!("{conf} has no key_file:, so that there is no key of {host}")))?;
    let keys = host_keys(&path)?;
    if keys.names(host) {
        return Err(Failure::Usage(format!("{host} has a line of its own in {path}, which counts instead of the master key")));
    }
    let derived = keys.derived(host);
    if derived.is_empty() {
        return Err(Failure::Usage(format!("{path} has no line \"* MASTER\" that the key of {host} could come of")));
    }
    derived.iter().for_each(|key| say(&key.emit()));
    Ok(())
}
