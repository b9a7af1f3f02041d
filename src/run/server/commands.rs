//! The sub-commands of the server program: `ax436 NAME …`.

use super::{events, output_command, silence_file, status};
use crate::run::failure::Failure;

/// Carries out a command with the arguments behind its name.
type Run = fn(&[String]) -> Result<(), Failure>;

/// All commands. A server file of such a name is given with its folder: `ax436 ./status`.
const COMMANDS: [(&str, Run); 4] =
    [("events", events::main), ("output", output_command::run), ("silence", silence_file::main), ("status", status::main)];

/// The command that the arguments begin with, and its arguments. `None` if they begin with none, as for `ax436 CONF`.
pub(super) fn find(arguments: &[String]) -> Option<(Run, &[String])> {
    let (name, arguments) = arguments.split_first()?;
    let (_, run) = COMMANDS.iter().find(|(command, _)| command == name)?;
    Some((*run, arguments))
}
