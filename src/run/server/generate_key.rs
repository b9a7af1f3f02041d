//! `ax436 -g`: prints a key.

use super::settings::{read_server_file, DEFAULT_CONF};
use crate::run::failure::Failure;
use crate::run::{console, keys};
use crate::sys::daemon;
use crate::wire::auth::Key;
use std::path::Path;

/// Prints a new random key. With a host, prints the key of that host instead, derived from the master key in the key file of `CONF`.
///
/// # Errors
/// The arguments are not `[HOST [CONF]]`, the system has no randomness, or the host has no key that is derived from the master key.
pub(super) fn generate_key(arguments: &[String]) -> Result<(), Failure> {
    let (host, conf) = match arguments {
        [] => {
            let mut bytes = [0; 32];
            daemon::fill_random(&mut bytes).map_err(|e| Failure::system("cannot get randomness for a key", &e))?;
            console::print(&Key::new(bytes).emit());
            return Ok(());
        }
        [host] => (host, DEFAULT_CONF),
        [host, conf] => (host, conf.as_str()),
        _ => return Err(Failure::Usage("-g takes no argument, or HOST, or HOST and CONF (default ./ax436.conf)".into())),
    };
    let settings = read_server_file(conf)?;
    let path = settings.key_file.ok_or_else(|| Failure::Usage(format!("{conf} has no key_file:, so {host} has no key")))?;
    let keys = keys::host_keys(&path)?;
    if keys.names(host) {
        return Err(Failure::Usage(format!("{host} has a line of its own in {path}, which counts instead of the master key")));
    }
    let derived = keys.derived(host);
    if derived.is_empty() {
        return Err(Failure::Usage(format!("{path} has no line \"* MASTER\" to derive the key of {host} from")));
    }
    if !Path::new(&settings.hosts).join(host).is_file() {
        console::print_error(&format!(
            "warning: there is no host file {host} in {}: an agent of this name gets no configuration",
            settings.hosts
        ));
    }
    derived.iter().for_each(|key| console::print(&key.emit()));
    Ok(())
}
