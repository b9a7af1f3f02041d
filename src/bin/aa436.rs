//! The agent of Project 436.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: project436::sys::allocator::Allocator = project436::sys::allocator::Allocator::new();

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    project436::run::exit_code("aa436", project436::run::agent::main(&arguments))
}
