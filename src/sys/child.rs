//! Child processes, each in a group of its own, whose output is read without waiting.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A process that was started and has not been reaped. Dropping it ends its group.
pub struct ChildProcess {
    id: libc::pid_t,
    stdout: File,
    ended: Option<ExitStatus>,
}

impl ChildProcess {
    /// Starts a program with its arguments, found as a shell would find it; it reads nothing, and what it says on standard error is
    /// thrown away.
    ///
    /// # Errors
    /// The program does not exist or cannot be started.
    pub fn start<'a>(words: impl Iterator<Item = &'a str>) -> io::Result<Self> {
        let words: Vec<_> = words.map(CString::new).collect::<Result<_, _>>().map_err(|_| io::ErrorKind::InvalidInput)?;
        let (read, write) = super::pipe()?;
        super::set_nonblocking(read.as_fd())?;
        let id = spawn(&words, write.as_raw_fd())?;
        Ok(Self { id, stdout: File::from(read), ended: None })
    }

    /// What to poll while the process has not closed its output.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.stdout.as_fd()
    }

    /// Reads what is there: `None` when there is nothing at the moment, 0 at the end.
    ///
    /// # Errors
    /// What `read(2)` reports.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.stdout.read(buffer) {
            Ok(count) => Ok(Some(count)),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// How the process ended, if it has. What it left behind in its group is killed then.
    pub fn status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            let mut status = 0;
            // SAFETY: the number is written before the call returns.
            if unsafe { libc::waitpid(self.id, &mut status, libc::WNOHANG) } == self.id {
                self.ended = Some(ExitStatus::from_raw(status));
                self.kill_group();
            }
        }
        self.ended
    }

    fn kill_group(&self) {
        // SAFETY: touches no memory. The process has not been reaped or was at this moment, so that its number is no one else's.
        unsafe { libc::kill(-self.id, libc::SIGKILL) };
    }
}

impl Drop for ChildProcess {
    /// Kills the whole group, unless the process has ended already, and has it reaped once it is dead.
    fn drop(&mut self) {
        if self.status().is_some() {
            return;
        }
        self.kill_group();
        reap_with(vec![self.id]);
    }
}

#[cfg(target_os = "linux")]
use linux::spawn;

#[cfg(target_os = "linux")]
mod linux {
    use super::super::start::{environ, variable};
    use super::super::{check, crash, signals};
    use std::convert::Infallible;
    use std::ffi::{c_char, c_int, c_void, CString};
    use std::io;

    /// Where programs are looked for if `PATH` is not set.
    const PATH: &[u8] = b"/usr/local/bin:/bin:/usr/bin";

    /// What a new process is to become.
    struct Program<'a> {
        /// Where it may lie.
        paths: &'a [CString],
        arguments: &'a [*const c_char],
        output: c_int,
        /// Why it could not be started, or 0.
        error: c_int,
    }

    /// Starts a program in a group of its own, with no input, its output into that descriptor, and the signals as they are for one that a
    /// shell starts. The standard library's way takes 20 KB, the C library's 3 KB.
    pub(super) fn spawn(words: &[CString], output: c_int) -> io::Result<libc::pid_t> {
        const STACK: usize = 32 * 1024;
        let paths = paths(words.first().ok_or(io::ErrorKind::InvalidInput)?.to_bytes());
        let mut arguments: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
        arguments.push(std::ptr::null());
        let mut program = Program { paths: &paths, arguments: &arguments, output, error: 0 };
        let mut stack = vec![0_u128; STACK / size_of::<u128>()];
        // SAFETY: the new process has the memory of this one, which waits until the other has ended or become another program, and a
        // stack of its own, whose end is aligned. No signal is handled there before there are no handlers.
        let id = unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&mut all);
            libc::sigprocmask(libc::SIG_BLOCK, &all, &mut before);
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
            let id = check(libc::clone(begin, stack.as_mut_ptr_range().end.cast(), flags, (&raw mut program).cast()));
            libc::sigprocmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
            id?
        };
        if program.error == 0 {
            return Ok(id);
        }
        // SAFETY: no status is asked for, so that no memory is touched. The process has ended.
        unsafe { libc::waitpid(id, std::ptr::null_mut(), 0) };
        Err(io::Error::from_raw_os_error(program.error))
    }

    /// Where a shell would look for a program.
    fn paths(program: &[u8]) -> Vec<CString> {
        let folders = if program.contains(&b'/') { b"" } else { variable("PATH").unwrap_or(PATH) };
        let mut paths = Vec::new();
        for folder in folders.split(|b| *b == b':') {
            let slash: &[u8] = if folder.is_empty() { b"" } else { b"/" };
            paths.extend(CString::new([folder, slash, program].concat()));
        }
        paths
    }

    /// The first function of the new process.
    extern "C" fn begin(program: *mut c_void) -> c_int {
        // SAFETY: the structure is not used elsewhere as long as this process is this program.
        let program = unsafe { &mut *program.cast::<Program<'_>>() };
        let Err(e) = program.replace_this();
        program.error = e.raw_os_error().unwrap_or(libc::EIO);
        127
    }

    impl Program<'_> {
        /// Makes this process the program. Nothing in here allocates.
        fn replace_this(&self) -> io::Result<Infallible> {
            // SAFETY: none of the calls runs code of ours; the paths and arguments are strings that end in zero, and both lists of strings
            // end in null pointers.
            unsafe {
                for signal in signals::SIGNALS.iter().chain(&crash::SIGNALS).chain(&[libc::SIGPIPE]) {
                    signals::set_action(*signal, libc::SIG_DFL, 0)?;
                }
                let mut none = std::mem::zeroed();
                libc::sigemptyset(&mut none);
                libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
                check(libc::setpgid(0, 0))?;
                let null = check(libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC))?;
                for (standard, to) in [(0, null), (1, self.output), (2, null)] {
                    check(libc::dup2(to, standard))?;
                }
                let mut failure = libc::ENOENT;
                for path in self.paths {
                    libc::execve(path.as_ptr(), self.arguments.as_ptr(), environ);
                    match io::Error::last_os_error().raw_os_error() {
                        // There may be one in the next folder.
                        Some(libc::ENOENT | libc::ENOTDIR) => {}
                        Some(libc::EACCES) => failure = libc::EACCES,
                        _ => return Err(io::Error::last_os_error()),
                    }
                }
                Err(io::Error::from_raw_os_error(failure))
            }
        }
    }
}

/// The C library's `posix_spawnp`, to the same effect.
#[cfg(not(target_os = "linux"))]
fn spawn(words: &[CString], output: std::ffi::c_int) -> io::Result<libc::pid_t> {
    let program = words.first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut arguments: Vec<*mut std::ffi::c_char> = words.iter().map(|word| word.as_ptr().cast_mut()).collect();
    arguments.push(std::ptr::null_mut());
    let flags = libc::POSIX_SPAWN_SETPGROUP | libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
    let null = c"/dev/null".as_ptr();
    let mut id = 0;
    // SAFETY: the structures are made before they are used and unmade after it; the arguments end in a null pointer, and what they and
    // the paths point to outlives the calls.
    let outcome = unsafe {
        let (mut actions, mut attributes, mut signals) = (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed());
        errno(libc::posix_spawn_file_actions_init(&mut actions))?;
        errno(libc::posix_spawnattr_init(&mut attributes))?;
        libc::sigemptyset(&mut signals);
        libc::posix_spawnattr_setsigmask(&mut attributes, &signals);
        libc::sigaddset(&mut signals, libc::SIGPIPE);
        libc::posix_spawnattr_setsigdefault(&mut attributes, &signals);
        libc::posix_spawnattr_setpgroup(&mut attributes, 0);
        // All flags have small values: a short is what POSIX takes.
        libc::posix_spawnattr_setflags(&mut attributes, flags.try_into().unwrap_or_default());
        let prepared = errno(libc::posix_spawn_file_actions_addopen(&mut actions, 0, null, libc::O_RDONLY, 0))
            .and_then(|()| errno(libc::posix_spawn_file_actions_adddup2(&mut actions, output, 1)))
            .and_then(|()| errno(libc::posix_spawn_file_actions_addopen(&mut actions, 2, null, libc::O_WRONLY, 0)));
        let outcome = prepared.and_then(|()| {
            errno(libc::posix_spawnp(&mut id, program.as_ptr(), &actions, &attributes, arguments.as_ptr(), super::start::environ.cast()))
        });
        libc::posix_spawnattr_destroy(&mut attributes);
        libc::posix_spawn_file_actions_destroy(&mut actions);
        outcome
    };
    outcome.map(|()| id)
}

/// Turns the number that these calls return into the error that it stands for.
#[cfg(not(target_os = "linux"))]
fn errno(number: std::ffi::c_int) -> io::Result<()> {
    match number {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

/// Processes that were killed and have not been reaped. One that hangs in the kernel, as on a dead file server, dies when it pleases:
/// nobody waits for it.
static DYING: AtomicPtr<Vec<libc::pid_t>> = AtomicPtr::new(null_mut());

/// Puts another list there, and returns the one that was.
fn exchange_dying(list: Vec<libc::pid_t>) -> Vec<libc::pid_t> {
    let new = if list.is_empty() { null_mut() } else { Box::into_raw(Box::new(list)) };
    let old = DYING.swap(new, Ordering::AcqRel);
    if old.is_null() {
        return Vec::new();
    }
    // SAFETY: it came of a box, and is no longer there for anyone else.
    *unsafe { Box::from_raw(old) }
}

/// Reaps what was killed and is dead now.
pub fn reap() {
    reap_with(Vec::new());
}

fn reap_with(mut more: Vec<libc::pid_t>) {
    loop {
        more.append(&mut exchange_dying(Vec::new()));
        // SAFETY: no status is asked for, so that no memory is touched. The processes are ours and not reaped, so the numbers are theirs.
        more.retain(|id| unsafe { libc::waitpid(*id, null_mut(), libc::WNOHANG) } == 0);
        // What another thread has put there meanwhile.
        more = exchange_dying(more);
        if more.is_empty() {
            return;
        }
    }
}

/// Why an end was none that a command should have; `None` for success.
pub fn failure(status: ExitStatus) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("exit status {code}")),
        (None, Some(signal)) => Some(format!("ended by signal {signal}")),
        (None, None) => Some("ended".into()),
    }
}
