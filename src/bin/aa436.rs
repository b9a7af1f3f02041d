//! The agent of Project 436.
#![no_main]
#![allow(unsafe_code, reason = "the name and parameters of C's main")]

use std::ffi::{c_char, c_int};

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: project436::sys::allocator::Allocator = project436::sys::allocator::Allocator::new();

#[no_mangle]
extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    // SAFETY: the parameters are those of `main`.
    let arguments = unsafe { project436::sys::start::begin(count, words) };
    project436::run::exit_code("aa436", project436::run::agent::main(&arguments))
}
