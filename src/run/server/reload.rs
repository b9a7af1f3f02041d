//! Reading the server file again while the server runs: what takes effect, and what needs a restart.

use super::settings::read_server_file;
use crate::directives::server::ServerFile;
use crate::directives::Fault;
use crate::now::Now;
use crate::run::log::Log;

/// The server file that is in force.
pub(super) struct Reload {
    path: String,
    settings: ServerFile,
}

impl Reload {
    pub(super) fn new(path: &str, settings: &ServerFile) -> Self {
        Self { path: path.into(), settings: settings.clone() }
    }

    /// The settings in force.
    pub(super) fn settings(&self) -> &ServerFile {
        &self.settings
    }

    /// Reads the file again. Returns its settings if it has no fault at all; of these, only those of outputs may be used. Logs which
    /// others have changed.
    pub(super) fn read(&mut self, now: Now, log: &mut Log) -> Option<&ServerFile> {
        let faults: Vec<String> = match read_server_file(&self.path) {
            Ok(file) if file.output_faults.is_empty() => {
                for name in changed(&self.settings, &file) {
                    log.write(now, &format!("{}: {name}: has changed, which needs a restart", self.path));
                }
                log.write(now, &format!("{} was read again: {} outputs", self.path, file.outputs.len()));
                let ServerFile { outputs, output_lines, output_hold, .. } = file;
                self.settings = ServerFile { outputs, output_lines, output_hold, output_faults: Vec::new(), ..self.settings.clone() };
                return Some(&self.settings);
            }
            Ok(file) => file.output_faults.iter().map(Fault::to_string).collect(),
            Err(failure) => failure.lines(),
        };
        faults.iter().for_each(|fault| log.write(now, fault));
        log.write(now, &format!("{} cannot be used: what was read before stays", self.path));
        None
    }
}

/// The directives that differ and take effect only at a start.
fn changed(old: &ServerFile, new: &ServerFile) -> Vec<&'static str> {
    let differs = [
        ("event_stream", old.event_stream != new.event_stream),
        ("port", old.port != new.port),
        ("broadcast", old.broadcast != new.broadcast),
        ("hosts", old.hosts != new.hosts),
        ("includes", old.includes != new.includes),
        ("address", old.address != new.address),
        ("event_stream_size", old.event_stream_size != new.event_stream_size),
        ("event_stream_keep", old.event_stream_keep != new.event_stream_keep),
        ("event_format", old.event_format != new.event_format),
        ("event_sync", old.event_sync != new.event_sync),
        ("name", old.name != new.name),
        ("key_file", old.key_file != new.key_file),
        ("control", old.control != new.control),
        ("silences", old.silences != new.silences),
        ("heartbeat", old.heartbeat != new.heartbeat),
        ("http", old.http.listen != new.http.listen),
        ("http_password_file", old.http.password_file != new.http.password_file),
        ("http_open", old.http.is_open != new.http.is_open),
        ("http_name", old.http.names != new.http.names),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
