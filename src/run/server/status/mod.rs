//! `ax436 status`: asks the running server, and shows what it says.

mod report;
mod table;

pub(super) use report::{Report, Surroundings};

use super::control;
use super::settings;
use super::terminal::{Printed, Terminal};
use crate::run::failure::Failure;
use crate::run::options::Program;
use getopts::Options;

const PROGRAM: Program = Program {
    name: "ax436 status",
    brief: "ax436 status: what the running server knows of its hosts.\n\n\
            Usage: ax436 status [options] CONF\n\n\
            Exit status: 0 nothing is open, 1 something is open, 2 wrong usage, 3 no server answers",
    add_options,
};

fn add_options(options: &mut Options) {
    options.optflag("j", "json", "print the answer of the server as it is");
}

/// Prints the status of the server of a server file.
///
/// # Errors
/// The arguments are wrong, no server answers, or a condition is open.
pub(super) fn main(arguments: &[String]) -> Result<(), Failure> {
    let Some(matches) = PROGRAM.parse_command(arguments)? else { return Ok(()) };
    let [conf] = &matches.free[..] else {
        return Err(Failure::Usage("status takes one argument, the server file".into()));
    };
    let socket = control::path(&settings::read_server_file(conf)?);
    let answer = control::get(&socket, Report::PATH)?;
    let unreadable = |_| Failure::NoServer(format!("the server at {socket} has another version: its answer cannot be read"));
    let report = Report::parse(&answer).map_err(unreadable)?;
    let terminal = Terminal::of_output();
    if matches.opt_present("json") {
        terminal.print(answer.trim_end());
    } else {
        let printed = |line: &String| terminal.print(line) == Printed::Yes;
        let _ = table::lines(&report, &terminal).iter().all(printed);
    }
    if report.has_open() {
        return Err(Failure::Printed(1));
    }
    Ok(())
}
