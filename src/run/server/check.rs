//! `ax436 -t` checks the configuration; `ax436 -T` applies rules to the lines of a log.

use super::control;
use super::settings::{folder_fault, read_server_file, DEFAULT_CONF};
use super::{silence_file, try_commands, try_log};
use crate::directives::host::{ends_in_white_space, warnings, HostFile, HostSettings, Patterns, Rule};
use crate::directives::http::Http;
use crate::directives::server::ServerFile;
use crate::directives::{emit_fitting, expand, is_plain_file_name, text_of, Fault, Source, SourceLine};
use crate::run::failure::Failure;
use crate::run::{console, keys};
use crate::sys::{check_writable, reason};
use crate::text::is_host_name;
use crate::wire::MAX_CONFIGURATION;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The files of a folder by name.
type Files = BTreeMap<String, TextFile>;

struct TextFile {
    path: String,
    text: String,
}

impl TextFile {
    fn source(&self) -> Source<'_> {
        Source { path: &self.path, text: &self.text }
    }
}

/// What a check found.
#[derive(Default)]
struct Findings {
    faults: Vec<Fault>,
    /// What is right and probably not meant.
    warnings: Vec<Fault>,
}

/// Checks the server file and its key file, then all host and include files. Prints each fault as `path:line: reason`, and what is
/// probably not meant as a warning.
///
/// # Errors
/// The server file or the key file cannot be read, or the number of faults.
pub(super) fn check(path: &str) -> Result<(), Failure> {
    let mut found = Findings::default();
    let settings = match read_server_file(path) {
        Err(Failure::Configuration(faults)) => return Findings { faults, ..found }.print(path),
        settings => settings?,
    };
    if let Some(key_file) = &settings.key_file {
        match keys::host_keys(key_file) {
            Err(Failure::Configuration(faults)) => return Findings { faults, ..found }.print(path),
            keys => drop(keys?),
        }
    }
    if let Some(password_file) = &settings.http.password_file {
        match keys::passwords(password_file) {
            Err(Failure::Configuration(faults)) => found.faults.extend(faults),
            passwords => drop(passwords?),
        }
    }
    found.warnings.extend(http_warnings(path, &settings.http));
    found.faults.extend(stream_fault(path, "event_stream", &settings.event_stream));
    found.faults.extend(settings.metric_stream.as_ref().and_then(|stream| stream_fault(path, "metric_stream", stream)));
    found.warnings.extend(socket_warning(path, &settings));
    let (faults, over) = silence_file::check(&settings);
    found.faults.extend(faults);
    found.warnings.extend(over);
    found.faults.extend(settings.output_faults.iter().cloned());
    found.warnings.extend(missing_programs(path, &settings));
    let hosts = read_folder(path, "hosts", &settings.hosts, &mut found.faults);
    let includes = settings.includes.as_ref().map(|folder| read_folder(path, "includes", folder, &mut found.faults)).unwrap_or_default();
    let (mut used, mut of_hosts) = (BTreeSet::new(), BTreeMap::new());
    for (name, file) in &hosts {
        let expanded = expand(file.source(), |name| includes.get(name).map(TextFile::source));
        used.extend(expanded.includes.iter().map(|name| (*name).to_string()));
        found.faults.extend(expanded.faults);
        of_hosts.insert(name.as_str(), expanded.settings);
        if !is_host_name(name) {
            let reason = "no agent can have this name: white space, control characters or % in it".into();
            found.warnings.push(Fault { path: file.path.clone(), line: 0, reason });
        }
        found.check_rules(&file.path, &expanded.lines);
    }
    found.warnings.extend(hosts.values().chain(includes.values()).flat_map(|file| ends_in_white_space(file.source())));
    found.faults.extend(parent_faults(&of_hosts));
    // An include that no host uses is checked alone.
    for (_, file) in includes.iter().filter(|(name, _)| !used.contains(*name)) {
        let mut lines = file.source().lines().collect();
        found.faults.extend(HostSettings::take(&mut lines).1);
        found.check_rules(&file.path, &lines);
    }
    found.print(path)?;
    console::print(&format!("{path}: no errors; host files: {}, include files: {}", hosts.len(), includes.len()));
    Ok(())
}

impl Findings {
    /// Checks the lines of a host file, with its includes in their places.
    fn check_rules(&mut self, path: &str, lines: &[SourceLine<'_>]) {
        let mut patterns = Patterns::within(usize::MAX);
        let file = HostFile::parse_with(lines.iter().copied(), &mut patterns);
        self.warnings.extend(warnings(lines, &file.groups));
        let whole = |reason: String| Fault { path: path.into(), line: 0, reason };
        if patterns.memory() > Patterns::MEMORY {
            let (memory, most) = (patterns.memory(), Patterns::MEMORY);
            self.warnings
                .push(whole(format!("the patterns take {memory} bytes; agents without --pattern-memory leave out what exceeds {most}")));
        }
        self.faults.extend(emit_fitting(&file, MAX_CONFIGURATION).1.map(whole));
        self.faults.extend(file.faults);
    }

    /// Prints all of them, each once: an error in an include is one error, however many hosts use it.
    ///
    /// # Errors
    /// The number of faults.
    fn print(self, path: &str) -> Result<(), Failure> {
        let mut printed = BTreeSet::new();
        let mut print = |line: String| {
            if !printed.contains(&line) {
                console::print(&line);
                printed.insert(line);
            }
        };
        self.warnings.iter().for_each(|Fault { path, line, reason }| print(format!("{path}:{line}: warning: {reason}")));
        let mut errors = BTreeSet::new();
        for fault in self.faults.iter().map(Fault::to_string) {
            print(fault.clone());
            errors.insert(fault);
        }
        if errors.is_empty() {
            return Ok(());
        }
        Err(Failure::Usage(format!("{path}: errors: {}", errors.len())))
    }
}

/// Why hosts cannot hang behind the hosts that their files name.
fn parent_faults(hosts: &BTreeMap<&str, HostSettings>) -> Vec<Fault> {
    let parent_of = |name: &str| hosts.get(name).map(|settings| settings.parent.as_ref().map(|parent| &*parent.host));
    hosts.iter().filter_map(|(name, settings)| settings.parent.as_ref()?.fault(name, parent_of)).collect()
}

/// Why the server could not be asked: the kernel has room for no longer a path.
fn socket_warning(conf: &str, settings: &ServerFile) -> Option<Fault> {
    let socket = control::path(settings);
    let reason = format!("control: {socket} has more than 107 bytes: ax436 status will find no server");
    (socket.len() > 107).then(|| Fault { path: conf.into(), line: 0, reason })
}

/// Why the server could not write a stream.
fn stream_fault(conf: &str, directive: &str, stream: &str) -> Option<Fault> {
    let fault = |reason: String| Some(Fault { path: conf.into(), line: 0, reason: format!("{directive}: {reason}") });
    let path = Path::new(stream);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        return fault(format!("{stream} is a directory"));
    }
    let is_other = path.exists() && !path.is_file();
    let written = [(path.exists(), path, path.into()), (!is_other, folder, folder.join("."))];
    let written = written.into_iter().filter(|(is_needed, ..)| *is_needed);
    let failure = written.filter_map(|(_, shown, path)| Some((shown, check_writable(&path).err()?))).next();
    failure.and_then(|(path, e)| fault(format!("cannot write {}: {}", path.display(), reason(&e))))
}

/// What whoever reaches the addresses of `http:` can do there.
fn http_warnings<'a>(conf: &'a str, http: &'a Http) -> impl Iterator<Item = Fault> + 'a {
    http.reachable().map(move |(address, line)| {
        let reason = match http.password_file {
            Some(_) => format!("http: {address}: passwords travel unencrypted: a reverse proxy gives TLS"),
            None => format!("http: {address}: whoever reaches this address can read all hosts and events (http_open: yes)"),
        };
        Fault { path: conf.into(), line, reason }
    })
}

/// The outputs whose programs are not where this process would find them.
fn missing_programs<'a>(conf: &'a str, settings: &'a ServerFile) -> impl Iterator<Item = Fault> + 'a {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let is_there = move |program: &str| match program.contains('/') {
        true => Path::new(program).is_file(),
        false => std::env::split_paths(&folders).any(|folder| folder.join(program).is_file()),
    };
    let missing = settings.outputs.iter().zip(&settings.output_lines).filter(move |(output, _)| !is_there(&output.command[0]));
    missing.map(|(output, line)| {
        let reason = format!("run: there is no program {}", output.command[0]);
        Fault { path: conf.into(), line: *line, reason }
    })
}

/// Reads the files of a folder. What cannot be read becomes a fault.
#[allow(clippy::disallowed_methods, reason = "where configuration is read")]
fn read_folder(conf: &str, directive: &str, folder: &str, faults: &mut Vec<Fault>) -> Files {
    let mut files = Files::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) => {
            faults.push(folder_fault(conf, directive, folder, &reason(&e)));
            return files;
        }
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(str::to_string).filter(|name| is_plain_file_name(name)) else { continue };
        if !path.is_file() {
            continue;
        }
        let path = path.display().to_string();
        match fs::read(&path) {
            Ok(bytes) => {
                let (text, fault) = text_of(&path, bytes);
                faults.extend(fault);
                files.insert(name, TextFile { path, text });
            }
            Err(e) => faults.push(Fault { path, line: 0, reason: format!("cannot be read: {}", reason(&e)) }),
        }
    }
    files
}

/// Applies the log rules of a host file to the lines of a log, and prints the events, and how many lines each rule matched. Or runs its
/// commands, and prints what the rules for these make of them.
///
/// # Errors
/// A file cannot be read, or the number of faults of the host file.
#[allow(clippy::disallowed_methods, reason = "where configuration is read")]
pub(super) fn try_rules(host_file: &str, arguments: &[String], is_run: bool) -> Result<(), Failure> {
    let (log, conf) = match (arguments, is_run) {
        ([], true) => (None, None),
        ([conf], true) => (None, Some(conf.as_str())),
        ([log], false) => (Some(log), None),
        ([log, conf], false) => (Some(log), Some(conf.as_str())),
        (_, true) => return Err(Failure::Usage("-T HOSTFILE --run takes CONF (default ./ax436.conf) and nothing else".into())),
        (_, false) => return Err(Failure::Usage("-T HOSTFILE takes LOG, or LOG and CONF (default ./ax436.conf)".into())),
    };
    let text = fs::read_to_string(host_file).map_err(|e| Failure::Usage(format!("cannot read {host_file}: {}", reason(&e))))?;
    let mut faults = Vec::new();
    let conf = conf.or_else(|| Path::new(DEFAULT_CONF).exists().then_some(DEFAULT_CONF));
    let includes = match conf {
        Some(conf) => match read_server_file(conf)?.includes {
            Some(folder) => read_folder(conf, "includes", &folder, &mut faults),
            None => Files::new(),
        },
        None => Files::new(),
    };
    let expanded = expand(Source { path: host_file, text: &text }, |name| includes.get(name).map(TextFile::source));
    let file = HostFile::parse(expanded.lines);
    faults.extend(expanded.faults);
    faults.extend(file.faults);
    faults.iter().for_each(|fault| console::print_error(&fault.to_string()));
    let host = Path::new(host_file).file_name().map_or_else(|| host_file.into(), |name| name.to_string_lossy().into_owned());
    let logs = file.groups.iter().filter(|group| matches!(group.rule, Rule::Log(_))).count();
    let (is_without, other) = match log {
        Some(_) => (logs == 0, "log: -T with --run tries those for commands and processes"),
        None => (logs == file.groups.len(), "command or for processes: -T with a log tries those for logs"),
    };
    match log {
        Some(log) => try_log::run(&host, file.groups, log)?,
        None => try_commands::run(&host, &file.groups),
    }
    if faults.is_empty() {
        is_without.then(|| console::print(&format!("{host_file} has no rule for a {other}")));
        Ok(())
    } else {
        Err(Failure::Usage(format!("{host_file}: errors: {}", faults.len())))
    }
}
