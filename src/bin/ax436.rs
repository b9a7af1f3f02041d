//! The server of Project 436.
#![no_main]
#![allow(unsafe_code, reason = "the name and parameters of C's main")]

use std::ffi::{c_char, c_int};

#[no_mangle]
extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    // SAFETY: the parameters are those of `main`.
    let arguments = unsafe { project436::sys::start::begin(count, words) };
    project436::run::exit_code("ax436", project436::run::server::main(&arguments))
}
