//! Going to the background, the host name, and random bytes.
#![allow(unsafe_code, reason = "uname, getauxval, getrandom, fork")]

use crate::random::Random;
use std::ffi::CStr;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};

/// The host name, as `uname -n` prints it.
pub fn host_name() -> String {
    // SAFETY: the structure is an array of characters, for which zero is a value; `uname` fills it with strings that end in zero.
    unsafe {
        let mut names: libc::utsname = std::mem::zeroed();
        libc::uname(&mut names);
        CStr::from_ptr(names.nodename.as_ptr()).to_string_lossy().into_owned()
    }
}

/// 64 random bits that no other run gets, and no other call. Not for keys.
pub fn random() -> u64 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let call = u64::from(CALLS.fetch_add(1, Ordering::Relaxed));
    let [first, second] = bits_of_this_run();
    // A device may boot with the same random state each time, but hardly ever reaches this line in the same nanosecond.
    let mut mixed = Random::new(first ^ super::clock::moment());
    mixed.bits() ^ Random::new(second ^ call).bits() ^ u64::from(std::process::id()).rotate_left(32)
}

/// What the kernel gave this program when it started. Reading /dev/urandom soon after boot can take seconds on a small processor, which the
/// kernel spends on gathering entropy.
#[cfg(target_os = "linux")]
fn bits_of_this_run() -> [u64; 2] {
    // SAFETY: the kernel says where its 16 bytes are, if it has any; they stay there, whatever their alignment, and nobody writes to them.
    unsafe {
        // A pointer fits into the number that tells it.
        #[allow(clippy::cast_possible_truncation, reason = "an address of this process")]
        let given = libc::getauxval(libc::AT_RANDOM) as *const [u64; 2];
        if given.is_null() {
            [0; 2]
        } else {
            given.read_unaligned()
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn bits_of_this_run() -> [u64; 2] {
    let mut bytes = [0; 8];
    let _ = read_urandom(&mut bytes);
    [u64::from_ne_bytes(bytes), 0]
}

/// Fills the buffer with random bytes, fit for keys.
///
/// # Errors
/// The system has no source of randomness.
pub fn fill_random(buffer: &mut [u8]) -> io::Result<()> {
    // This call waits until the kernel has gathered enough entropy after boot; /dev/urandom does not.
    #[cfg(target_os = "linux")]
    // SAFETY: the pointer and the length are those of the buffer.
    if usize::try_from(unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) }) == Ok(buffer.len()) {
        return Ok(());
    }
    // Linux before 3.17 lacks the call.
    read_urandom(buffer)
}

#[allow(clippy::disallowed_methods, reason = "no file of ours")]
fn read_urandom(buffer: &mut [u8]) -> io::Result<()> {
    std::fs::File::open("/dev/urandom")?.read_exact(buffer)
}

/// Continues in the background, without a terminal, in the same folder. The standard streams become `/dev/null`; other descriptors
/// stay open.
///
/// # Errors
/// `fork` fails, or there is no `/dev/null`.
pub fn daemonize() -> io::Result<()> {
    #[allow(clippy::disallowed_methods, reason = "no file of ours")]
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    leave_parent()?;
    // SAFETY: touches no memory.
    super::error::check(unsafe { libc::setsid() })?;
    leave_parent()?;
    for standard in 0..=2 {
        // SAFETY: both descriptors are open, and nothing is buffered for the standard streams.
        super::error::check(unsafe { libc::dup2(null.as_raw_fd(), standard) })?;
    }
    Ok(())
}

/// Continues in a child process.
fn leave_parent() -> io::Result<()> {
    // SAFETY: the process has one thread, so that the child is a complete copy; the parent ends at once, without running what is
    // registered for its end.
    unsafe {
        if super::error::check(libc::fork())? > 0 {
            libc::_exit(0);
        }
    }
    Ok(())
}
