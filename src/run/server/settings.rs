//! The server's command line and its server file.

use crate::directives::server::ServerFile;
use crate::directives::{text_of, Fault, Source};
use crate::run::failure::Failure;
use crate::run::options::Program;
use crate::sys::reason;
use getopts::Options;
use std::fs;

/// The server file if none is named.
pub(super) const DEFAULT_CONF: &str = "ax436.conf";

pub(super) const PROGRAM: Program = Program {
    name: "ax436",
    brief: "ax436, the server of Project 436: configures the agents of a network and writes their events to one stream.\n\n\
            Usage: ax436 [options] CONF\n\
            \x20      ax436 -t CONF\n\
            \x20      ax436 -T HOSTFILE LOG [CONF]\n\
            \x20      ax436 -T HOSTFILE --run [CONF]\n\
            \x20      ax436 -g [HOST [CONF]]\n\
            \x20      ax436 output CONF NAME --try [N]\n\
            \x20      ax436 output CONF NAME --skip",
    add_options,
};

fn add_options(options: &mut Options) {
    options
        .optflag("t", "test", "check CONF, its key file and all host and include files, print every error, and exit")
        .optopt(
            "T",
            "try",
            "apply the rules of HOSTFILE to the lines of LOG (- for standard input), print the events, and exit; includes come from CONF",
            "HOSTFILE",
        )
        .optflag("", "run", "run the commands of HOSTFILE here in place of reading a LOG (with -T), and print what its rules make of them")
        .optflag("g", "generate", "print a new key, or with HOST the key derived for HOST from the master key of CONF, and exit")
        .optopt("l", "log", "write the log to FILE, - for standard error, syslog for syslog (default ax436.log)", "FILE");
}

/// Reads the server file.
///
/// # Errors
/// The file cannot be read, or all its faults.
#[allow(clippy::disallowed_methods, reason = "where configuration is read")]
pub(super) fn read_server_file(path: &str) -> Result<ServerFile, Failure> {
    let bytes = fs::read(path).map_err(|e| Failure::Usage(format!("cannot read {path}: {}", reason(&e))))?;
    match text_of(path, bytes) {
        (_, Some(fault)) => Err(Failure::Configuration(vec![fault])),
        (text, None) => ServerFile::parse(Source { path, text: &text }).map_err(Failure::Configuration),
    }
}

/// Checks that the folders of host and include files can be read. `conf` is the path of the server file.
///
/// # Errors
/// A fault for each folder that cannot be read.
pub(super) fn require_folders(conf: &str, settings: &ServerFile) -> Result<(), Failure> {
    let mut faults = Vec::new();
    for (directive, folder) in [("hosts", Some(&settings.hosts)), ("includes", settings.includes.as_ref())] {
        if let Some((folder, Err(e))) = folder.map(|folder| (folder, fs::read_dir(folder))) {
            faults.push(folder_fault(conf, directive, folder, &reason(&e)));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failure::Configuration(faults))
    }
}

/// The fault of a directive that names a folder which cannot be read.
pub(super) fn folder_fault(conf: &str, directive: &str, folder: &str, reason: &str) -> Fault {
    Fault { path: conf.into(), line: 0, reason: format!("{directive}: cannot read folder {folder}: {reason}") }
}
