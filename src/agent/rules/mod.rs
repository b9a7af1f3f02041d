//! The rules of a configuration: what they make of lines, processes and commands.

pub(super) mod command;
pub(super) mod dry_run;
pub(super) mod log;
pub(super) mod policy;
pub(super) mod process;
