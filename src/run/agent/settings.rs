//! The agent's command line: its options, and the settings that they make.

use super::lookup::ServerLookup;
use super::positions::PositionsFile;
use crate::agent::Policy;
use crate::directives::host::Patterns;
use crate::fs::Access;
use crate::run::failure::Failure;
use crate::run::options::{number, Program};
use crate::sys::user::User;
use crate::sys::{daemon, reason};
use getopts::{Matches, Options};

pub(super) const PROGRAM: Program = Program {
    name: "aa436",
    brief: "aa436, the agent of Project 436: follows logs, counts processes and runs commands as its server says.\n\n\
            Usage: aa436 [options] PORT\n\n\
            PORT is the number that the server's file names with port:.",
    add_options,
};

fn add_options(options: &mut Options) {
    options
        .optopt("s", "server", "use only this server, given by name or address; add PORT if its port: differs", "HOST[:PORT]")
        .optopt("S", "positions", "keep in FILE how far each log was read; for agents that several servers share", "FILE")
        .optopt("n", "name", "host name to report (default: this system's)", "NAME")
        .optopt("k", "key", "accept only servers that have the key in FILE (two keys while one replaces the other)", "FILE")
        .optflag("x", "no-commands", "run no commands that a server asks for, except the built-in ones")
        .optmulti("a", "allow", "run a command only if PATTERN matches its whole line; may be repeated", "PATTERN")
        .optmulti(
            "f",
            "files",
            "follow only files below PATH, links resolved (\"journal\" stands for that of systemd); may be repeated",
            "PATH",
        )
        .optopt("", "pattern-memory", "bytes of memory that all patterns may take (default 8388608)", "BYTES")
        .optopt("u", "user", "continue as USER once the port is bound and the log is open; commands cannot regain privileges", "USER")
        .optopt("l", "log", "write the log to FILE, - for standard error, syslog for syslog (default aa436.log)", "FILE");
}

const _: () = assert!(Patterns::MEMORY == 8_388_608, "the help says so");

/// What `-f` takes in place of a path for the journal of systemd.
const JOURNAL: &str = "journal";

/// The settings that the command line makes.
pub(super) struct Settings {
    pub(super) port: u16,
    pub(super) host: String,
    pub(super) server: Option<ServerLookup>,
    pub(super) positions: Option<PositionsFile>,
    pub(super) access: Access,
    /// Whether the journal may be followed.
    pub(super) allows_journal: bool,
    pub(super) policy: Policy,
    pub(super) key_file: Option<String>,
    pub(super) user: Option<User>,
    pub(super) pattern_memory: usize,
}

impl Settings {
    /// Reads the command line.
    ///
    /// # Errors
    /// An argument is missing or has no valid value.
    pub(super) fn parse(matches: &Matches) -> Result<Self, Failure> {
        let [port] = &matches.free[..] else { return Err(usage("expected one argument, the UDP port; aa436 -h tells more")) };
        let port = valid_port("", port)?;
        let host = matches.opt_str("n").unwrap_or_else(daemon::host_name);
        if !crate::text::is_host_name(&host) {
            return Err(Failure::Usage(format!(
                "\"{host}\" cannot be a host name here: white space, control characters or % in it; -n gives another"
            )));
        }
        let server = matches.opt_str("s").map(|server| server_lookup(&server, port)).transpose()?;
        let positions = matches.opt_str("S").as_deref().map(PositionsFile::new);
        let (access, allows_journal) = access(&matches.opt_strs("f"))?;
        let user = matches.opt_str("u").map(|name| User::find(&name).map_err(|e| wrong_value("-u ", &name, &e))).transpose()?;
        let pattern_memory = number(matches, "pattern-memory", Patterns::MEMORY)?;
        let (policy, key_file) = (policy(matches)?, matches.opt_str("k"));
        Ok(Self { port, host, server, positions, access, allows_journal, policy, key_file, user, pattern_memory })
    }
}

fn usage(text: &str) -> Failure {
    Failure::Usage(text.into())
}

fn wrong_value(option: &str, value: &str, reason: &str) -> Failure {
    Failure::Usage([option, value, ": ", reason].concat())
}

/// The files that may be followed, and whether the journal may be: all of them unless `-f` names some.
fn access(allowed: &[String]) -> Result<(Access, bool), Failure> {
    if allowed.is_empty() {
        return Ok((Access::unrestricted(), true));
    }
    let folders: Vec<&str> = allowed.iter().map(String::as_str).filter(|path| *path != JOURNAL).collect();
    let access = Access::below(&folders).map_err(|(folder, e)| wrong_value("-f ", folder, &reason(&e)))?;
    Ok((access, folders.len() < allowed.len()))
}

/// The commands that a server may have run.
fn policy(matches: &Matches) -> Result<Policy, Failure> {
    let allowed = matches.opt_strs("a");
    if matches.opt_present("x") {
        let contradiction = || usage("-x refuses all commands and -a allows some: only one of them can be given");
        return if allowed.is_empty() { Ok(Policy::None) } else { Err(contradiction()) };
    }
    let mut policy = Policy::default();
    for pattern in allowed {
        policy.allow(&pattern).map_err(|reason| wrong_value("-a", "", &reason))?;
    }
    Ok(policy)
}

fn valid_port(option: &str, text: &str) -> Result<u16, Failure> {
    match text.parse() {
        Ok(port @ 1..=65534) => Ok(port),
        _ => Err(Failure::Usage(format!("{option}\"{text}\" is not a port from 1 to 65534"))),
    }
}

/// The server that `-s` names. Its port on the command line is the number of `port:`, one below the port that the server listens on.
fn server_lookup(text: &str, default_port: u16) -> Result<ServerLookup, Failure> {
    let (host, port) = match text.rsplit_once(':') {
        None => (text, default_port),
        Some((host, port)) => (host, valid_port("-s: ", port)?),
    };
    if host.is_empty() {
        return Err(usage("-s: the server's name or address is missing"));
    }
    Ok(ServerLookup::new(host, port + 1))
}
