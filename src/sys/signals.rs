//! Signals as bytes in a pipe that the loop polls.
#![allow(unsafe_code, reason = "sigaction, and a signal handler")]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Which signals have arrived since they were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// SIGTERM or SIGINT: end.
    pub terminate: bool,
    /// SIGHUP: read again what is configured.
    pub reload: bool,
}

/// The signals of this process, from now on.
pub struct Signals {
    pipe: File,
}

static PIPE: AtomicI32 = AtomicI32::new(-1);

/// SIGCHLD is among them only to wake the loop.
pub(super) const SIGNALS: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGCHLD];

extern "C" fn handle(signal: libc::c_int) {
    let byte = u8::try_from(signal).unwrap_or_default();
    // SAFETY: `write` may be called in a signal handler; the byte lives through it, and errno is put back.
    unsafe {
        let errno = errno_location();
        let saved = *errno;
        libc::write(PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1);
        *errno = saved;
    }
}

#[cfg(any(target_os = "linux", target_os = "emscripten"))]
unsafe fn errno_location() -> *mut libc::c_int {
    // SAFETY: always valid for this thread.
    unsafe { libc::__errno_location() }
}

#[cfg(any(target_os = "macos", target_os = "freebsd"))]
unsafe fn errno_location() -> *mut libc::c_int {
    // SAFETY: always valid for this thread.
    unsafe { libc::__error() }
}

/// Says what a signal does from now on, while all others may come.
///
/// # Safety
/// The action is `SIG_IGN`, `SIG_DFL`, or a handler that does only what a signal handler may, of the kind that the flags tell.
pub(super) unsafe fn set_action(signal: libc::c_int, action: libc::sighandler_t, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: the structure is zeroed but for the fields set here, and lives through the call; the rest is the caller's.
    unsafe {
        let mut new: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = action;
        new.sa_flags = flags;
        super::check(libc::sigaction(signal, &new, std::ptr::null_mut())).map(|_| ())
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
    /// Catches the signals.
    ///
    /// # Errors
    /// There is no pipe to be had.
    pub fn catch() -> io::Result<Self> {
        let (read, write) = super::pipe()?;
        super::set_nonblocking(read.as_fd())?;
        super::set_nonblocking(write.as_fd())?;
        PIPE.store(write.into_raw_fd(), Ordering::Relaxed);
        for signal in SIGNALS {
            // SAFETY: the handler only does what a signal handler may.
            unsafe { set_action(signal, handle as extern "C" fn(libc::c_int) as libc::sighandler_t, libc::SA_RESTART)? };
        }
        Ok(Self { pipe: File::from(read) })
    }

    /// What to poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Takes what has arrived.
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
