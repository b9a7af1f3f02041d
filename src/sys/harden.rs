//! What a process gives up at its start: writable relocated memory, being debugged, and the ways back to privileges.
#![allow(unsafe_code, reason = "prctl, mprotect")]

use std::io;

/// Makes relocated memory read-only, and keeps other processes of the same user from debugging this one and reading its memory. Core
/// dumps end with that too. The programs that this process starts are not affected.
#[cfg(target_os = "linux")]
pub fn at_start() {
    protect_relocated();
    forbid_dumps();
}

/// Keeps other processes of the same user from debugging this one, and its memory out of core dumps. The system takes that back when the
/// user of a process changes, where `fs.suid_dumpable` says so.
#[cfg(target_os = "linux")]
pub(super) fn forbid_dumps() {
    let _ = prctl(libc::PR_SET_DUMPABLE, 0);
}

/// Gives up for good, for this process and all that it starts, what set-user-ID programs and file capabilities would grant. Takes
/// `CAP_SETPCAP`.
///
/// # Errors
/// The system refuses to.
#[cfg(target_os = "linux")]
pub(super) fn give_up_privileges() -> io::Result<()> {
    // From 0 to the last one that the kernel knows.
    for capability in 0..64 {
        match prctl(libc::PR_CAPBSET_DROP, capability) {
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => break,
            dropped => dropped?,
        }
    }
    match prctl(libc::PR_SET_NO_NEW_PRIVS, 1) {
        // Linux before 3.5.
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        outcome => outcome,
    }
}

/// What children of this process leave behind becomes a child of it, where the kernel has that.
#[cfg(target_os = "linux")]
pub(super) fn become_subreaper() {
    let _ = prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
}

/// The start code of a static program relocates it but leaves the relocated part writable, which a dynamic linker would not.
#[cfg(target_os = "linux")]
fn protect_relocated() {
    let Some(relro) = super::image::Image::own().and_then(|image| image.relro()) else { return };
    // SAFETY: the linker put into these pages only what nothing writes to after relocation. As in dynamic linkers, a last page that is
    // shared with other data stays writable.
    unsafe {
        let page = usize::try_from(libc::getauxval(libc::AT_PAGESZ)).unwrap_or(4096).max(1);
        let start = relro.start - relro.start % page;
        let end = relro.end - relro.end % page;
        libc::mprotect(start as *mut libc::c_void, end.saturating_sub(start), libc::PROT_READ);
    }
}

#[cfg(target_os = "linux")]
fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    let unused: libc::c_ulong = 0;
    // SAFETY: none of the options used here takes a pointer.
    super::error::check(unsafe { libc::prctl(option, value, unused, unused, unused) }).map(|_| ())
}

/// Nothing to do on this system.
#[cfg(not(target_os = "linux"))]
pub fn at_start() {}

/// Nothing to do on this system.
#[cfg(not(target_os = "linux"))]
pub(super) fn forbid_dumps() {}

/// Nothing to do on this system.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "linux"))]
pub(super) fn give_up_privileges() -> io::Result<()> {
    Ok(())
}
