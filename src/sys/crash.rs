//! The line that a crashing process writes to its log, from which `scripts/symbolize.sh` finds the place in the code. It costs 1.1 KB on
//! x86_64, and no user of a small device has to be asked for a core dump. The signal handler never allocates, formats or locks.
#![allow(unsafe_code, reason = "sigaltstack, and what a signal handler is given")]

use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};

/// The descriptor that the line goes to: standard error until there is a log.
static LOG: AtomicI32 = AtomicI32::new(libc::STDERR_FILENO);
/// How far this program was moved in memory: addresses are printed as they are in its file.
static BASE: AtomicUsize = AtomicUsize::new(0);
/// The build id of this program, as the linker wrote it.
static BUILD: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static BUILD_LENGTH: AtomicUsize = AtomicUsize::new(0);

pub(super) const SIGNALS: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];

/// The size of the handler's own stack: the usual one may be what is broken. It takes no memory until it is used.
const STACK: usize = 16 * 1024;

/// Catches the signals of crashes from now on. They still end the process.
pub fn catch() {
    #[cfg(target_os = "linux")]
    if let Some(image) = super::image::Image::own() {
        BASE.store(image.base(), Ordering::Relaxed);
        let id = image.notes().find_map(build_id).unwrap_or_default();
        BUILD.store(id.as_ptr().cast_mut(), Ordering::Relaxed);
        BUILD_LENGTH.store(id.len(), Ordering::Relaxed);
    }
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
    // SAFETY: the stack is new memory that is never unmapped; the handler does only what a signal handler may; the structure has all its
    // fields. If a call fails, a crash writes no line.
    unsafe {
        let stack = libc::mmap(std::ptr::null_mut(), STACK, access, kind, -1, 0);
        if stack == libc::MAP_FAILED {
            return;
        }
        let stack = libc::stack_t { ss_sp: stack, ss_flags: 0, ss_size: STACK };
        libc::sigaltstack(&stack, std::ptr::null_mut());
        let handler = handle as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as libc::sighandler_t;
        let flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND | libc::SA_NODEFER;
        for signal in SIGNALS {
            let _ = super::signals::set_action(signal, handler, flags);
        }
    }
}

/// Sets the descriptor that the line goes to; `None` for standard error.
pub fn log_to(fd: Option<BorrowedFd<'_>>) {
    LOG.store(fd.map_or(libc::STDERR_FILENO, |fd| fd.as_raw_fd()), Ordering::Relaxed);
}

extern "C" fn handle(signal: c_int, about: *mut libc::siginfo_t, context: *mut c_void) {
    let mut line = Line { bytes: [0; 256], length: 0 };
    line.text(concat!("crashed: version ", env!("CARGO_PKG_VERSION"), ", build ").as_bytes());
    let (id, length) = (BUILD.load(Ordering::Relaxed), BUILD_LENGTH.load(Ordering::Relaxed));
    for at in 0..length {
        // SAFETY: the build id has `length` bytes and is never unmapped.
        line.hexadecimal(usize::from(unsafe { *id.add(at) }), 2);
    }
    line.text(b", signal ");
    line.decimal(signal.unsigned_abs());
    // SAFETY: the kernel passes both structures to a handler with SA_SIGINFO.
    let (address, counter) = unsafe { ((*about).si_addr() as usize, program_counter(context)) };
    line.text(b", address 0x");
    line.hexadecimal(address, 1);
    line.text(b", at 0x");
    line.hexadecimal(counter.wrapping_sub(BASE.load(Ordering::Relaxed)), 1);
    line.text(b"\n");
    // SAFETY: a signal handler may call all of these. SA_RESETHAND has restored the default action: the process ends by the signal.
    unsafe {
        libc::write(LOG.load(Ordering::Relaxed), line.bytes.as_ptr().cast(), line.length);
        libc::kill(libc::getpid(), signal);
    }
}

/// A line of bounded length. Text beyond that is dropped.
struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Line {
    fn text(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(there) = self.bytes.get_mut(self.length) {
                *there = *byte;
                self.length += 1;
            }
        }
    }

    fn hexadecimal(&mut self, number: usize, least: u32) {
        let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(least);
        for digit in (0..digits).rev() {
            self.text(&b"0123456789abcdef"[number >> (4 * digit) & 15..][..1]);
        }
    }

    fn decimal(&mut self, number: u32) {
        if number >= 10 {
            self.decimal(number / 10);
        }
        self.text(&b"0123456789"[(number % 10) as usize..][..1]);
    }
}

/// The address of the instruction that was interrupted; 0 on unknown systems. The offsets are those of the kernel's `asm/ucontext.h` and
/// `asm/sigcontext.h`: some C libraries' headers lack the registers.
///
/// # Safety
/// The context is the one that the kernel passed to a handler with `SA_SIGINFO`.
unsafe fn program_counter(context: *const c_void) -> usize {
    const OFFSET: Option<usize> = match () {
        () if !cfg!(target_os = "linux") => None,
        () if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) => Some(168),
        () if cfg!(target_arch = "x86") => Some(76),
        () if cfg!(target_arch = "aarch64") => Some(440),
        () if cfg!(target_arch = "arm") => Some(92),
        () if cfg!(target_arch = "riscv64") => Some(176),
        // 64 bits wide. The lower 32 are the address.
        () if cfg!(target_arch = "mips") => Some(if cfg!(target_endian = "big") { 36 } else { 32 }),
        // A pointer to the registers.
        () if cfg!(target_arch = "powerpc") => Some(48),
        () => None,
    };
    let Some(offset) = OFFSET else { return 0 };
    // SAFETY: the caller passes the kernel's structure, which has an aligned address at that offset.
    unsafe {
        let at = context.cast::<u8>().add(offset).cast::<usize>();
        if cfg!(target_arch = "powerpc") {
            return *(*at as *const usize).add(32);
        }
        *at
    }
}

/// The first `NT_GNU_BUILD_ID` in a segment of notes. A note consists of the lengths of its name and data, its type, the name and the
/// data, both padded to four bytes.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has such notes"))]
fn build_id(mut notes: &[u8]) -> Option<&[u8]> {
    const BUILD_ID: usize = 3;
    loop {
        let number = |at: usize| Some(u32::from_ne_bytes(notes.get(at..at + 4)?.try_into().ok()?) as usize);
        let (name, data, kind) = (number(0)?, number(4)?, number(8)?);
        let start = 12 + name.next_multiple_of(4);
        if kind == BUILD_ID && notes.get(12..12 + name)? == b"GNU\0" {
            return notes.get(start..start + data);
        }
        notes = notes.get(start + data.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full() {
        let mut line = Line { bytes: [0; 256], length: 0 };
        line.hexadecimal(0, 1);
        line.text(b" ");
        line.hexadecimal(0xab, 2);
        line.hexadecimal(0x7, 2);
        line.text(b" ");
        line.hexadecimal(usize::MAX, 1);
        line.text(b" ");
        line.decimal(11);
        let expected = format!("0 ab07 {:x} 11", usize::MAX);
        assert_eq!(std::str::from_utf8(&line.bytes[..line.length]), Ok(&*expected));
        line.text(&[b'x'; 300]);
        assert_eq!(line.length, 256);
    }

    #[test]
    fn the_build_id_is_found_among_notes() {
        let note = |name: &[u8], kind: u32, data: &[u8]| {
            let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_ne_bytes();
            let filled = |bytes: &[u8]| [bytes, &[0; 3][..bytes.len().next_multiple_of(4) - bytes.len()]].concat();
            [&length(name)[..], &length(data), &kind.to_ne_bytes(), &filled(name), &filled(data)].concat()
        };
        let notes =
            [note(b"Go\0", 3, b"no"), note(b"GNU\0", 1, b"abi-tag"), note(b"GNU\0", 3, b"\xab\xcd\x01"), note(b"X\0", 3, b"x")].concat();
        assert_eq!(build_id(&notes), Some(&b"\xab\xcd\x01"[..]));
        assert_eq!(build_id(&notes[..24]), None);
        assert_eq!(build_id(b""), None);
    }
}
