//! Signals as bytes in a pipe that the loop polls.
#![allow(unsafe_code, reason = "sigaction, and a signal handler")]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// The signals that arrived since the last call of [`Signals::take`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// SIGTERM or SIGINT: the program is to end.
    pub terminate: bool,
    /// SIGHUP: the configuration is to be read again.
    pub reload: bool,
}

/// The caught signals of this process.
pub struct Signals {
    pipe: File,
}

static PIPE: AtomicI32 = AtomicI32::new(-1);

/// SIGCHLD is caught only to wake the loop.
pub(super) const SIGNALS: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGCHLD];

extern "C" fn handle(signal: libc::c_int) {
    let byte = u8::try_from(signal).unwrap_or_default();
    // SAFETY: a signal handler may call `write`; the byte outlives the call, and errno is restored.
    unsafe {
        let errno = errno_location();
        let saved = *errno;
        libc::write(PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1);
        *errno = saved;
    }
}

#[cfg(any(target_os = "linux", target_os = "emscripten"))]
unsafe fn errno_location() -> *mut libc::c_int {
    // SAFETY: takes no arguments; the pointer is valid for this thread.
    unsafe { libc::__errno_location() }
}

#[cfg(any(target_os = "macos", target_os = "freebsd"))]
unsafe fn errno_location() -> *mut libc::c_int {
    // SAFETY: takes no arguments; the pointer is valid for this thread.
    unsafe { libc::__error() }
}

/// Sets the action of a signal. Other signals may interrupt its handler.
///
/// # Safety
/// The action is `SIG_IGN`, `SIG_DFL`, or a handler of the kind that the flags name, which does only what a signal handler may.
pub(super) unsafe fn set_action(signal: libc::c_int, action: libc::sighandler_t, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: the structure is zero except for the fields set here, and outlives the call; the caller vouches for the action.
    unsafe {
        let mut new: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = action;
        new.sa_flags = flags;
        super::error::check(libc::sigaction(signal, &new, std::ptr::null_mut())).map(|_| ())
    }
}

/// Gives the caught signals their default actions again, in a forked process: its handler would write into its parent's pipe.
pub(super) fn restore_defaults() {
    for signal in SIGNALS {
        // SAFETY: the default action is no handler.
        let _ = unsafe { set_action(signal, libc::SIG_DFL, 0) };
    }
}

impl Signals {
    /// Catches the signals from now on.
    ///
    /// # Errors
    /// The system has no pipe to spare.
    pub fn catch() -> io::Result<Self> {
        let (read, write) = super::fd::pipe()?;
        super::fd::set_nonblocking(read.as_fd())?;
        super::fd::set_nonblocking(write.as_fd())?;
        PIPE.store(write.into_raw_fd(), Ordering::Relaxed);
        for signal in SIGNALS {
            // SAFETY: the handler only does what a signal handler may.
            unsafe { set_action(signal, handle as extern "C" fn(libc::c_int) as libc::sighandler_t, libc::SA_RESTART)? };
        }
        Ok(Self { pipe: File::from(read) })
    }

    /// The descriptor to poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Returns and clears what has arrived.
    pub fn take(&mut self) -> Arrived {
        let mut arrived = Arrived::default();
        let mut bytes = [0; 64];
        while let Ok(count @ 1..) = self.pipe.read(&mut bytes) {
            for byte in &bytes[..count] {
                match libc::c_int::from(*byte) {
                    libc::SIGTERM | libc::SIGINT => arrived.terminate = true,
                    libc::SIGHUP => arrived.reload = true,
                    _ => {}
                }
            }
        }
        arrived
    }
}
