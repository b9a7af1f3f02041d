//! The options that both programs have, and how they read their command lines.

use super::getopts::{Known, Matches, Options};
use super::log::Log;
use super::{say, Failure};
use crate::sys::daemon;
use std::fs::File;
use std::io::Write;

/// The common options of a program that is started.
pub(super) struct Common {
    pub(super) log: Log,
    background: bool,
    pid_file: Option<String>,
}

/// The options of a program: what it is called and how it is used.
pub(super) struct Program {
    /// The name, as errors and the log say it.
    pub(super) name: &'static str,
    /// What the help says first.
    pub(super) brief: &'static str,
    /// All options, its own first.
    pub(super) options: Options,
}

/// The options that every program has.
pub(super) const COMMON: &[Known] = &[
    Known { short: "", long: "log-size", value: "BYTES", repeats: false, help: "bytes of a log file before it rolls (default 1000000)" },
    Known { short: "", long: "log-keep", value: "NUMBER", repeats: false, help: "rolled log files to keep (default 4)" },
    Known { short: "d", long: "daemon", value: "", repeats: false, help: "run in the background" },
    Known { short: "p", long: "pid-file", value: "FILE", repeats: false, help: "write the process id to FILE" },
    Known { short: "h", long: "help", value: "", repeats: false, help: "print this help and exit" },
    Known { short: "V", long: "version", value: "", repeats: false, help: "print the version and exit" },
];
const _: () = assert!(Log::SIZE == 1_000_000 && Log::KEEP == 4, "the help says so");

impl Program {
    /// Reads the command line. `None` when it only asked for help or the version, which are then printed.
    ///
    /// # Errors
    /// The options are not those of the program.
    #[inline(never)]
    pub(super) fn parse(&self, arguments: &[String]) -> Result<Option<Matches>, Failure> {
        let matches = self.options.parse(arguments).map_err(|e| Failure::Usage(format!("{e}; {} -h tells more", self.name)))?;
        if matches.opt_present("h") {
            say(&self.options.usage(self.brief));
            return Ok(None);
        }
        if matches.opt_present("V") {
            say(&[self.name, " ", env!("CARGO_PKG_VERSION")].concat());
            return Ok(None);
        }
        Ok(Some(matches))
    }

    /// What the common options say.
    ///
    /// # Errors
    /// One of them is not a number.
    #[inline(never)]
    pub(super) fn common(&self, matches: &Matches) -> Result<Common, Failure> {
        let size = number(matches, "log-size", Log::SIZE)?;
        let keep = number(matches, "log-keep", Log::KEEP)?;
        if keep > Log::MOST_KEPT {
            return Err(Failure::Usage(format!("--log-keep: {keep} is above {}", Log::MOST_KEPT)));
        }
        let default = [self.name, ".log"].concat();
        let name = matches.opt_str("l").unwrap_or(&default);
        Ok(Common {
            log: Log::open(name, size, keep, self.name),
            background: matches.opt_present("d"),
            pid_file: matches.opt_str("p").map(str::to_string),
        })
    }
}

#[allow(clippy::disallowed_methods, reason = "the pid file")]
impl Common {
    /// Goes to the background if that was asked for, and writes the pid file.
    ///
    /// # Errors
    /// Either cannot be done.
    pub(super) fn detach(&self) -> Result<(), Failure> {
        // Opened before: in the background no one would be told.
        let pid_file = match &self.pid_file {
            Some(path) => Some(File::create(path).map_err(|e| Failure::system(format!("cannot write {path}"), &e))?),
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

/// The number that an option gives.
pub(super) fn number<N: std::str::FromStr>(matches: &Matches, option: &str, default: N) -> Result<N, Failure> {
    match matches.opt_str(option) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| Failure::Usage(format!("--{option}: \"{text}\" is not a number"))),
    }
}
