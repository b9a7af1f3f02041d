//! The file of silences: the server follows it, and `ax436 silence` changes it. People may edit it too, and keep it in git.

use super::config_dir::Debounce;
use super::control;
use super::settings;
use super::status::Report;
use super::terminal::{Colour, Terminal};
use crate::date::Zone;
use crate::directives::server::ServerFile;
use crate::directives::{text_of, Fault, Silence, Silences, Source};
use crate::fs::own;
use crate::now::Now;
use crate::run::console;
use crate::run::failure::{Failure, LastFailure};
use crate::run::log::Log;
use crate::run::options::Program;
use crate::sys::clock::{Clock, LocalTime};
use crate::sys::{read_start, reason};
use getopts::Options;
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file as the running server follows it.
pub(super) struct SilenceFile {
    path: String,
    current: Silences,
    /// The version that was read last; `None` if there was no file.
    read: Option<Version>,
    /// The version of the last scan. One that is still being written does not count.
    seen: Option<Version>,
    failure: LastFailure,
}

/// Distinguishes the versions of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Version {
    fn of(path: &str) -> Option<Self> {
        let of = |meta: Metadata| Self { inode: meta.ino(), size: meta.len(), changed: (meta.ctime(), meta.ctime_nsec()) };
        fs::metadata(path).ok().map(of)
    }
}

impl SilenceFile {
    /// Most bytes that are read of it.
    const MAX_BYTES: usize = 1 << 20;

    /// The file that the server file names, or the one beside the stream. It need not exist.
    pub(super) fn new(settings: &ServerFile) -> Self {
        Self { path: path(settings), current: Silences::default(), read: None, seen: None, failure: LastFailure::default() }
    }

    /// The silences of the last version that was read.
    pub(super) fn current(&self) -> &Silences {
        &self.current
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Reads the file, which this process has just changed.
    pub(super) fn read_again(&mut self, now: Now, log: &mut Log) {
        self.read = None;
        self.scan(now, Debounce::None, log);
    }

    /// Reads the file if it has changed. The log has the lines that are wrong.
    pub(super) fn scan(&mut self, now: Now, debounce: Debounce, log: &mut Log) {
        let version = Version::of(&self.path);
        let is_stable = std::mem::replace(&mut self.seen, version) == version || debounce == Debounce::None;
        if version == self.read || !is_stable {
            return;
        }
        self.read = version;
        if version.is_none() {
            self.current = Silences::default();
            return;
        }
        let outcome = read(&self.path);
        let failure = outcome.as_ref().err().map(reason);
        if let Some(failure) = self.failure.update(failure) {
            log.write(now, &format!("cannot read {}: {failure}; the silences that were read before stay", self.path));
        }
        if let Ok(text) = outcome {
            let (silences, faults) = parse(&self.path, text);
            faults.iter().for_each(|fault| log.write(now, &fault.to_string()));
            self.current = silences;
        }
    }
}

fn path(settings: &ServerFile) -> String {
    settings.silences.clone().unwrap_or_else(|| format!("{}.silences", settings.event_stream))
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    read_start(path, SilenceFile::MAX_BYTES + 1)
}

fn parse(path: &str, bytes: Vec<u8>) -> (Silences, Vec<Fault>) {
    match text_of(path, bytes) {
        (_, Some(fault)) => (Silences::default(), vec![fault]),
        (text, None) => Silences::parse(Source { path, text: &text }),
    }
}

/// What is wrong in the file, and the silences in it that are over.
pub(super) fn check(settings: &ServerFile) -> (Vec<Fault>, Vec<Fault>) {
    let path = path(settings);
    let fault = |line, reason: String| Fault { path: path.clone(), line, reason };
    let text = match read(&path) {
        Ok(text) => text,
        // `ax436 silence` makes it, where it can.
        Err(e) if e.kind() == io::ErrorKind::NotFound && (settings.silences.is_none() || has_folder(&path)) => {
            return (Vec::new(), Vec::new())
        }
        Err(e) => return (vec![fault(0, format!("cannot be read: {}", reason(&e)))], Vec::new()),
    };
    let now = Clock::start().now().unix;
    let (silences, faults) = parse(&path, text);
    let over = silences.list.iter().filter(|silence| silence.until <= now);
    (faults, over.map(|silence| fault(silence.line, format!("the silence of {} is over", silence.target()))).collect())
}

/// Whether there is the folder that a file is to be in.
fn has_folder(path: &str) -> bool {
    let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.is_none_or(Path::is_dir)
}

const PROGRAM: Program = Program {
    name: "ax436 silence",
    brief: "ax436 silence: keeps events of a host from all outputs for some time. They stay in the stream and the status.\n\n\
            Usage: ax436 silence CONF                                  list the silences\n\
            \x20      ax436 silence CONF HOST[/TAGS] DURATION [REASON]    begin or change one\n\
            \x20      ax436 silence -e CONF HOST[/TAGS]                   end one early\n\n\
            DURATION is a number with s, m, h or d, such as 90m or 1d12h. HOST and TAGS may have * and ?.",
    add_options,
};

fn add_options(options: &mut Options) {
    options.optflag("e", "end", "end the silence early");
}

/// Lists the silences of a server file, or changes them.
///
/// # Errors
/// The arguments or the file are wrong, or the file cannot be written.
pub(super) fn main(arguments: &[String]) -> Result<(), Failure> {
    let Some(matches) = PROGRAM.parse_command(arguments)? else { return Ok(()) };
    let is_end = matches.opt_present("end");
    let wrong = || Failure::Usage("the arguments are wrong; ax436 silence -h tells more".into());
    let (conf, arguments) = matches.free.split_first().ok_or_else(wrong)?;
    let settings = settings::read_server_file(conf)?;
    let (path, now) = (path(&settings), Clock::start().now().unix);
    // The server reads the file before it tells its status: the silence is in force when this command ends, if the server runs.
    let tell = |done: String| {
        let _ = control::get(&control::path(&settings), Report::PATH);
        console::print(&done);
    };
    match (arguments, is_end) {
        ([], false) => list(&path, now),
        ([target], true) => end(&path, target, now).map(tell),
        ([target, duration, reason @ ..], false) => {
            let seconds = Silence::parse_duration(duration);
            let seconds = seconds.ok_or_else(|| Failure::Usage(format!("DURATION is such as 90m or 1d12h, got \"{duration}\"")))?;
            let (host, tags) = Silence::parse_target(target).map_err(Failure::Usage)?;
            let silence = Silence { host, tags, until: now + seconds, reason: reason.join(" "), line: 0 };
            begin(&path, &silence, now).map(tell)
        }
        _ => Err(wrong()),
    }
}

fn list(path: &str, now: u64) -> Result<(), Failure> {
    let text = existing(path)?;
    let (silences, faults) = Silences::parse(Source { path, text: &text });
    faults.iter().for_each(|fault| console::print_error(&fault.to_string()));
    let terminal = Terminal::of_output();
    for silence in silences.list.iter().filter(|silence| silence.until > now) {
        terminal.print(&terminal.rest(&silence.emit(Zone(LocalTime::offset)), 0, Colour::Plain));
    }
    Ok(())
}

/// Adds a silence to the file, in place of the one of the same target. Returns what was done.
///
/// # Errors
/// It is not one line, or the file cannot be read or written.
pub(super) fn begin(path: &str, silence: &Silence, now: u64) -> Result<String, Failure> {
    let text = existing(path)?;
    let (kept, _) = without(&text, &silence.target(), now);
    let line = silence.emit(Zone(LocalTime::offset));
    // The line is read back as it will be: a reason must not break it.
    let (read, faults) = Silences::parse(Source { path, text: &line });
    if read.list.len() != 1 || !faults.is_empty() || line.contains('\n') {
        return Err(Failure::Usage(format!("not one line: \"{line}\"")));
    }
    replace(path, &format!("{kept}{line}\n"))?;
    let until = Zone(LocalTime::offset).rfc3339(silence.until);
    Ok(format!("{} is silenced until {until}", silence.target()))
}

/// Removes the silence of a target from the file. Returns what was done.
///
/// # Errors
/// There is none, or the file cannot be read or written.
pub(super) fn end(path: &str, target: &str, now: u64) -> Result<String, Failure> {
    let text = existing(path)?;
    let (kept, removed) = without(&text, target, now);
    if removed == 0 {
        return Err(Failure::Usage(format!("{target} is not silenced")));
    }
    replace(path, &kept)?;
    Ok(format!("{target} is not silenced any more"))
}

/// The text without the silences of that target, whose number is returned, and without those that are over. Comments and wrong lines stay.
fn without(text: &str, target: &str, now: u64) -> (String, usize) {
    let (mut kept, mut removed) = (String::new(), 0);
    for line in text.lines() {
        let (silences, _) = Silences::parse(Source { path: "", text: line });
        match silences.list.first() {
            Some(silence) if silence.until <= now => {}
            Some(silence) if silence.target() == target => removed += 1,
            _ => kept.extend([line, "\n"]),
        }
    }
    (kept, removed)
}

/// The text of the file; empty if there is none.
fn existing(path: &str) -> Result<String, Failure> {
    let failure = |reason: String| Failure::Usage(format!("cannot read {path}: {reason}"));
    match read(path) {
        Ok(bytes) => match text_of(path, bytes) {
            (text, None) => Ok(text),
            (_, Some(fault)) => Err(Failure::Configuration(vec![fault])),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(failure(reason(&e))),
    }
}

/// Replaces the file at once: the server never sees half of it.
fn replace(path: &str, text: &str) -> Result<(), Failure> {
    let write = || -> io::Result<()> {
        // A link stays one.
        let path = fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
        let new = PathBuf::from(format!("{}.new", path.display()));
        let mut file = own::create(&new)?;
        if let Ok(meta) = fs::metadata(&path) {
            file.set_permissions(meta.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)
    };
    write().map_err(|e| Failure::system(&format!("cannot write {path}"), &e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::test_folder::TestFolder;

    #[test]
    fn a_change_leaves_comments_other_silences_and_what_is_wrong() {
        let text = "# disks\nnas 1970-01-01T00:02Z new disks\nnas/LOG 1970-01-01T00:02Z\nold 1970-01-01T00:01Z\nwhat\n";
        let (kept, removed) = without(text, "nas", 60);
        assert_eq!((kept.as_str(), removed), ("# disks\nnas/LOG 1970-01-01T00:02Z\nwhat\n", 1));
        assert_eq!(without(text, "none", 0), (text.into(), 0));
    }

    #[test]
    fn a_file_that_is_not_there_yet_is_no_fault_but_a_folder_that_is_missing_is() {
        let folder = TestFolder::new();
        for (name, fault) in [("silences", None), ("folder/silences", Some("cannot be read: No such file or directory"))] {
            let text = format!(
                "event_stream: events.log\nport: 1\nbroadcast: 127.0.0.1\nhosts: h\nincludes: i\nsilences: {}\n",
                folder.file(name)
            );
            let settings = ServerFile::parse(Source { path: "ax436.conf", text: &text }).unwrap();
            let (faults, _) = check(&settings);
            assert_eq!(faults.first().map(|fault| &*fault.reason), fault, "{name}");
        }
    }
}
