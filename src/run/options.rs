//! The options that both programs share, and the parsing of their command lines.

use super::console;
use super::failure::Failure;
use super::log::Log;
use crate::fs::own;
use crate::sys::daemon;
use getopts::{Matches, Options};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};

/// The settings that the common options make.
pub(super) struct Common {
    pub(super) log: Log,
    background: bool,
    pid_file: Option<String>,
}

/// A program's name, usage and options.
pub(super) struct Program {
    /// The name, as errors and the log print it.
    pub(super) name: &'static str,
    /// The text above the options in the help.
    pub(super) brief: &'static str,
    /// Adds the program's own options, which come before the common ones in the help.
    pub(super) add_options: fn(&mut Options),
}

fn add_common_options(options: &mut Options) {
    options
        .optopt("", "log-size", "bytes of a log file before it rolls (default 1000000)", "BYTES")
        .optopt("", "log-keep", "rolled log files to keep (default 4)", "NUMBER")
        .optflag("d", "daemon", "run in the background")
        .optopt("p", "pid-file", "write the process id to FILE", "FILE")
        .optflag("h", "help", "print this help and exit")
        .optflag("V", "version", "print the version, commit and target, and exit");
}

/// The version, the commit if it is known, and the target.
const VERSION: &str = if env!("PROJECT436_COMMIT").is_empty() {
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("PROJECT436_TARGET"), ")")
} else {
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("PROJECT436_COMMIT"), ", ", env!("PROJECT436_TARGET"), ")")
};

const _: () = assert!(Log::SIZE == 1_000_000 && Log::KEEP == 4, "the help says so");

impl Program {
    /// Parses the command line. Returns `None` after `-h` and `-V`, which print their text here.
    ///
    /// # Errors
    /// An option is unknown, repeated, or lacks its value.
    pub(super) fn parse(&self, arguments: &[String]) -> Result<Option<Matches>, Failure> {
        let mut options = Options::new();
        (self.add_options)(&mut options);
        add_common_options(&mut options);
        let matches = options.parse(arguments).map_err(|e| Failure::Usage(format!("{e}; {} -h tells more", self.name)))?;
        if matches.opt_present("h") {
            options.usage(self.brief).trim_end().lines().for_each(console::print);
            return Ok(None);
        }
        if matches.opt_present("V") {
            console::print(&[self.name, " ", VERSION].concat());
            return Ok(None);
        }
        Ok(Some(matches))
    }

    /// Parses the command line of a sub-command, which has none of the common options but `-h`. Returns `None` after `-h`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(super) fn parse_command(&self, arguments: &[String]) -> Result<Option<Matches>, Failure> {
        let mut options = Options::new();
        (self.add_options)(&mut options);
        options.optflag("h", "help", "print this help and exit");
        let matches = options.parse(arguments).map_err(|e| Failure::Usage(format!("{e}; {} -h tells more", self.name)))?;
        if matches.opt_present("h") {
            options.usage(self.brief).trim_end().lines().for_each(console::print);
            return Ok(None);
        }
        Ok(Some(matches))
    }

    /// The settings that the common options make.
    ///
    /// # Errors
    /// `--log-size` or `--log-keep` is not a number or too large.
    pub(super) fn common(&self, matches: &Matches) -> Result<Common, Failure> {
        let size = number(matches, "log-size", Log::SIZE)?;
        let keep = number(matches, "log-keep", Log::KEEP)?;
        if keep > Log::MOST_KEPT {
            return Err(Failure::Usage(format!("--log-keep: {keep} is above {}", Log::MOST_KEPT)));
        }
        let name = matches.opt_str("l").unwrap_or_else(|| [self.name, ".log"].concat());
        Ok(Common { log: Log::open(&name, size, keep, self.name), background: matches.opt_present("d"), pid_file: matches.opt_str("p") })
    }
}

impl Common {
    /// Goes to the background if `-d` was given, and writes the pid file.
    ///
    /// # Errors
    /// Either fails.
    pub(super) fn detach(&self) -> Result<(), Failure> {
        // Opened first: in the background nobody would see the error.
        let pid_file = match &self.pid_file {
            Some(path) => Some(open_pid_file(path).map_err(|e| Failure::system(&format!("cannot write {path}"), &e))?),
            None => None,
        };
        if self.background {
            daemon::daemonize().map_err(|e| Failure::system("cannot go to the background", &e))?;
        }
        if let Some(mut file) = pid_file {
            writeln!(file, "{}", std::process::id()).map_err(|e| Failure::system("cannot write the pid file", &e))?;
        }
        Ok(())
    }

    /// Removes the pid file.
    pub(super) fn finish(&self) {
        if let Some(path) = &self.pid_file {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn open_pid_file(path: &str) -> io::Result<File> {
    let file = own::open(path.as_ref(), OpenOptions::new().write(true).create(true))?;
    // A pipe or a device has nothing to cut off.
    let _ = file.set_len(0);
    Ok(file)
}

/// The value of an option as a number.
///
/// # Errors
/// It is not a number, or too large.
pub(super) fn number<N: std::str::FromStr>(matches: &Matches, option: &str, default: N) -> Result<N, Failure> {
    match matches.opt_str(option) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| Failure::Usage(format!("--{option}: \"{text}\" is not a number"))),
    }
}
