//! The start of a program, and its words to whoever started it. What the standard library does there takes 6 KB more.

use std::ffi::{c_char, c_int, CStr};
use std::fs::File;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;

/// A stream that is open from the start.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// What was asked for.
    Output = 1,
    /// What went wrong.
    Error = 2,
}

/// What `main` does first. Returns the arguments, without the name of the program.
///
/// # Safety
/// The parameters are those of `main`.
pub unsafe fn begin(count: c_int, words: *const *const c_char) -> Vec<String> {
    // SAFETY: touches no memory but that of the path. A pipe that nobody reads is an error that its writer sees, and no reason to end.
    unsafe {
        let _ = super::signals::set_action(libc::SIGPIPE, libc::SIG_IGN, 0);
        // No file of the program may become a standard stream.
        loop {
            let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            if !(0..=2).contains(&null) {
                libc::close(null);
                break;
            }
        }
    }
    super::crash::catch();
    let count = usize::try_from(count).unwrap_or_default();
    // SAFETY: there are so many strings, which end in zero.
    let word = |at: usize| unsafe { CStr::from_ptr(*words.add(at)) }.to_string_lossy().into_owned();
    (1..count).map(word).collect()
}

extern "C" {
    /// What the programs that this one starts are given as their environment.
    pub(super) static environ: *const *const c_char;
}

/// A variable of the environment.
pub(super) fn variable(name: &str) -> Option<&'static [u8]> {
    // SAFETY: there are strings that end in zero, and a null pointer behind them; nothing in the program changes them.
    unsafe {
        let mut at = environ;
        while !(*at).is_null() {
            let value = CStr::from_ptr(*at).to_bytes().strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
            if value.is_some() {
                return value;
            }
            at = at.add(1);
        }
    }
    None
}

/// Writes a line to a standard stream, where a closed one is no error.
pub fn print(stream: Stream, line: &str) {
    // SAFETY: the descriptor is not closed here, and nothing in the program closes it.
    let mut file = ManuallyDrop::new(unsafe { File::from_raw_fd(stream as c_int) });
    let _ = file.write_all(format!("{line}\n").as_bytes());
}
