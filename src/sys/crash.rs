//! The last words of a process that crashes: one line to its log, from which `scripts/symbolize.sh` finds the place in the code.
//! In a signal handler: nothing here allocates, formats or locks.

use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};

/// Where the line goes: standard error, until there is a log.
static LOG: AtomicI32 = AtomicI32::new(libc::STDERR_FILENO);
/// The build id of this program, as the linker wrote it.
static BUILD: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static BUILD_LENGTH: AtomicUsize = AtomicUsize::new(0);

pub(super) const SIGNALS: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];

/// A stack of its own for the handler: the other one may be what is broken. Nothing of it is in memory before.
const STACK: usize = 16 * 1024;

/// Catches the signals of crashes. The process still ends by them.
pub fn catch() {
    if let Some(id) = build_id() {
        BUILD.store(id.as_ptr().cast_mut(), Ordering::Relaxed);
        BUILD_LENGTH.store(id.len(), Ordering::Relaxed);
    }
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
    // SAFETY: the stack is new memory that stays; the handler only does what a signal handler may; the structure has all its
    // fields. Where one of the calls fails, a crash is silent, as it was.
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

/// Names the descriptor of the log, which the line is to go to from now on; without one, standard error.
pub fn log_to(fd: Option<BorrowedFd<'_>>) {
    LOG.store(fd.map_or(libc::STDERR_FILENO, |fd| fd.as_raw_fd()), Ordering::Relaxed);
}

extern "C" fn handle(signal: c_int, about: *mut libc::siginfo_t, context: *mut c_void) {
    let mut line = Line { bytes: [0; 256], length: 0 };
    line.text(concat!("crashed: version ", env!("CARGO_PKG_VERSION"), ", build ").as_bytes());
    let (id, length) = (BUILD.load(Ordering::Relaxed), BUILD_LENGTH.load(Ordering::Relaxed));
    for at in 0..length {
        // SAFETY: there are so many bytes, which stay as long as the program.
        line.hexadecimal(usize::from(unsafe { *id.add(at) }), 2);
    }
    line.text(b", signal ");
    line.decimal(signal.unsigned_abs());
    // SAFETY: the system hands over both structures.
    let (address, counter) = unsafe { ((*about).si_addr() as usize, program_counter(context)) };
    line.text(b", address 0x");
    line.hexadecimal(address, 1);
    line.text(b", at 0x");
    line.hexadecimal(counter, 1);
    line.text(b"\n");
    // SAFETY: all of these may be called in a signal handler. The signal has its usual effect again: the process ends by it.
    unsafe {
        libc::write(LOG.load(Ordering::Relaxed), line.bytes.as_ptr().cast(), line.length);
        libc::kill(libc::getpid(), signal);
    }
}

/// A line of bounded length. What is beyond it is left out.
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

/// Where the instruction is that was to be executed. The structure is the kernel's (`asm/ucontext.h` and `asm/sigcontext.h`), of which
/// the C libraries' headers have no part on some processors; 0 where it is not known here.
unsafe fn program_counter(context: *const c_void) -> usize {
    const OFFSET: Option<usize> = match () {
        () if !cfg!(target_os = "linux") => None,
        () if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) => Some(168),
        () if cfg!(target_arch = "x86") => Some(76),
        () if cfg!(target_arch = "aarch64") => Some(440),
        () if cfg!(target_arch = "arm") => Some(92),
        () if cfg!(target_arch = "riscv64") => Some(176),
        // 64 bits, of which the lower ones count.
        () if cfg!(target_arch = "mips") => Some(if cfg!(target_endian = "big") { 36 } else { 32 }),
        // A pointer to the registers.
        () if cfg!(target_arch = "powerpc") => Some(48),
        () => None,
    };
    let Some(offset) = OFFSET else { return 0 };
    // SAFETY: the structure has something there that is as large as an address and aligned like one.
    unsafe {
        let at = context.cast::<u8>().add(offset).cast::<usize>();
        if cfg!(target_arch = "powerpc") {
            return *(*at as *const usize).add(32);
        }
        *at
    }
}

/// What the linker noted in the program (`NT_GNU_BUILD_ID`), found by the table of segments that the kernel tells of.
#[cfg(target_os = "linux")]
#[allow(clippy::cast_possible_truncation, reason = "addresses of this process")]
fn build_id() -> Option<&'static [u8]> {
    #[cfg(target_pointer_width = "32")]
    use libc::Elf32_Phdr as Segment;
    #[cfg(target_pointer_width = "64")]
    use libc::Elf64_Phdr as Segment;
    // SAFETY: the kernel tells where the table is and how long; segments of notes are in memory where it says, moved by as much as the
    // table itself is.
    unsafe {
        let table = libc::getauxval(libc::AT_PHDR) as usize;
        let count = libc::getauxval(libc::AT_PHNUM) as usize;
        if table == 0 {
            return None;
        }
        let segments = std::slice::from_raw_parts(table as *const Segment, count);
        let moved =
            segments.iter().find(|segment| segment.p_type == libc::PT_PHDR).map_or(0, |own| table.wrapping_sub(own.p_vaddr as usize));
        let notes = segments.iter().filter(|segment| segment.p_type == libc::PT_NOTE);
        let mut notes =
            notes.map(|notes| std::slice::from_raw_parts(moved.wrapping_add(notes.p_vaddr as usize) as *const u8, notes.p_memsz as usize));
        notes.find_map(build_id_in)
    }
}

#[cfg(not(target_os = "linux"))]
fn build_id() -> Option<&'static [u8]> {
    None
}

/// The first build id among notes: each has the lengths of its name and its data, its kind, and both, filled up to four bytes.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "there are no such notes"))]
fn build_id_in(mut notes: &[u8]) -> Option<&[u8]> {
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
        assert_eq!(build_id_in(&notes), Some(&b"\xab\xcd\x01"[..]));
        assert_eq!(build_id_in(&notes[..24]), None);
        assert_eq!(build_id_in(b""), None);
    }
}
