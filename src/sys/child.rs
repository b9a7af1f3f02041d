//! Child processes, each in a group of its own, whose output is read without waiting.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Mutex;

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
        if let Ok(mut dying) = DYING.lock() {
            dying.push(self.id);
        }
        reap();
    }
}

/// The C library's `posix_spawnp`: in a group of its own, with no input, its output into that descriptor, and the signals as they are for
/// a program that a shell starts. The standard library's way of starting a program takes 20 KB.
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
fn errno(number: std::ffi::c_int) -> io::Result<()> {
    match number {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

/// Processes that were killed and have not been reaped. One that hangs in the kernel, as on a dead file server, dies when it pleases:
/// nobody waits for it.
static DYING: Mutex<Vec<libc::pid_t>> = Mutex::new(Vec::new());

/// Reaps what was killed and is dead now.
pub fn reap() {
    let Ok(mut dying) = DYING.lock() else { return };
    // SAFETY: no status is asked for, so that no memory is touched. The processes are ours and not reaped, so the numbers are theirs.
    dying.retain(|id| unsafe { libc::waitpid(*id, std::ptr::null_mut(), libc::WNOHANG) } == 0);
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
