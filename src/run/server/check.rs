//! `ax436 -t` checks the configuration; `ax436 -T` applies rules to the lines of a log.

use super::settings::{folder_fault, read_server_file, DEFAULT_CONF};
use crate::agent::DryRun;
use crate::directives::host::{HostFile, Rule};
use crate::directives::{emit_fitting, expand, is_plain_file_name, text_of, Fault, Source};
use crate::lines::{LineSplitter, MAX_LINE};
use crate::pattern::Pattern;
use crate::run::failure::Failure;
use crate::run::{console, keys};
use crate::sys::clock::Clock;
use crate::sys::reason;
use crate::wire::{Message, MAX_CONFIGURATION};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{stdin, Read};
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

/// Checks the server file and its key file, then all host and include files. Prints each fault as `path:line: reason`.
///
/// # Errors
/// The server file or the key file cannot be read, or the number of faults.
pub(super) fn check(path: &str) -> Result<(), Failure> {
    let settings = match read_server_file(path) {
        Err(Failure::Configuration(faults)) => return print_faults(path, &faults),
        settings => settings?,
    };
    if let Some(key_file) = &settings.key_file {
        match keys::host_keys(key_file) {
            Err(Failure::Configuration(faults)) => return print_faults(path, &faults),
            keys => drop(keys?),
        }
    }
    let mut faults = Vec::new();
    let hosts = read_folder(path, "hosts", &settings.hosts, &mut faults);
    let includes = settings.includes.as_ref().map(|folder| read_folder(path, "includes", folder, &mut faults)).unwrap_or_default();
    let mut used = BTreeSet::new();
    for source in hosts.values().map(TextFile::source) {
        let expanded = expand(source, |name| includes.get(name).map(TextFile::source));
        used.extend(expanded.includes.iter().map(|name| (*name).to_string()));
        faults.extend(expanded.faults);
        let file = HostFile::parse(expanded.lines);
        let too_large = emit_fitting(&file, MAX_CONFIGURATION).1;
        faults.extend(too_large.map(|reason| Fault { path: source.path.into(), line: 0, reason }));
        faults.extend(file.faults);
    }
    // An include that no host uses is checked alone.
    for (_, file) in includes.iter().filter(|(name, _)| !used.contains(*name)) {
        faults.extend(HostFile::parse(file.source().lines()).faults);
    }
    if faults.is_empty() {
        console::print(&format!("{path}: no errors; host files: {}, include files: {}", hosts.len(), includes.len()));
        return Ok(());
    }
    print_faults(path, &faults)
}

fn print_faults(path: &str, faults: &[Fault]) -> Result<(), Failure> {
    // An error in an include is one error, however many hosts use it.
    let mut printed = BTreeSet::new();
    faults.iter().map(Fault::to_string).filter(|line| printed.insert(line.clone())).for_each(|line| console::print(&line));
    Err(Failure::Usage(format!("{path}: errors: {}", printed.len())))
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

/// Applies the log rules of a host file to the lines of a log. Prints the events, and how many lines each rule matched.
///
/// # Errors
/// A file cannot be read, or the number of faults of the host file.
#[allow(clippy::disallowed_methods, reason = "where configuration is read")]
pub(super) fn try_rules(host_file: &str, arguments: &[String]) -> Result<(), Failure> {
    let (log, conf) = match arguments {
        [log] => (log, None),
        [log, conf] => (log, Some(conf.as_str())),
        _ => return Err(Failure::Usage("-T HOSTFILE takes LOG, or LOG and CONF (default ./ax436.conf)".into())),
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
    let rules = file.groups.into_iter().filter_map(|group| match group.rule {
        Rule::Log(rule) => Some(rule),
        _ => None,
    });
    let host = Path::new(host_file).file_name().map_or_else(|| host_file.into(), |name| name.to_string_lossy().into_owned());
    let mut dry_run = DryRun::new(Clock::start().now(), &host, rules);
    feed(&mut dry_run, log)?;
    let (events, matches) = dry_run.finish();
    events.iter().for_each(|event| print_event(event));
    for (rule, matched) in matches {
        let patterns: Vec<_> = rule.patterns.iter().map(Pattern::as_str).collect();
        console::print(&format!("{matched} lines matched: file: {} match: {} tags={}", rule.log.field(), patterns.join(" | "), rule.tags));
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failure::Usage(format!("{host_file}: errors: {}", faults.len())))
    }
}

/// Applies the rules to all lines of a file, and prints the events.
#[allow(clippy::disallowed_methods, reason = "the lines to try")]
fn feed(dry_run: &mut DryRun, log: &str) -> Result<(), Failure> {
    let failure = |e: &std::io::Error| Failure::Usage(format!("cannot read {log}: {}", reason(e)));
    let mut input: Box<dyn Read> = match log {
        "-" => Box::new(stdin()),
        path => Box::new(File::open(path).map_err(|e| failure(&e))?),
    };
    let mut splitter = LineSplitter::default();
    let mut pending = Vec::new();
    let mut buffer = vec![0; MAX_LINE];
    loop {
        let read = input.read(&mut buffer).map_err(|e| failure(&e))?;
        pending.extend_from_slice(&buffer[..read]);
        loop {
            let piece = splitter.split(&pending);
            dry_run.handle_lines(piece.lines).iter().for_each(|event| print_event(event));
            let advanced = splitter.advance(piece, piece.lines.len());
            pending.drain(..advanced);
            if advanced == 0 {
                break;
            }
        }
        if read == 0 {
            dry_run.handle_lines(&pending).iter().for_each(|event| print_event(event));
            return Ok(());
        }
    }
}

/// Prints `tags file text` of an event.
fn print_event(datagram: &[u8]) {
    if let Ok(Message::Alert(alert)) = Message::parse(datagram) {
        console::print(&format!("{}%%{}%%{}", alert.tags, alert.file.unwrap_or("NULL"), alert.text));
    }
}
