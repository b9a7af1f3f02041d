//! Child processes, each in a process group of its own. Their output is a pipe for `poll`; nothing here waits. `posix_spawn` is called
//! directly: with `std::process::Command` the agent would be 16 KB larger on x86_64.
#![allow(unsafe_code, reason = "posix_spawn, fork, waitpid, kill")]

use super::environment;
use super::scratch::Scratch;
use std::ffi::{c_char, c_int, CStr, CString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::Duration;

/// A child process that has not been reaped. Dropping it kills its group.
pub struct ChildProcess {
    pid: libc::pid_t,
    /// What is read of it: its standard output, or its standard error if it was started with input.
    output: File,
    /// What it says on standard error.
    errors: Option<Scratch>,
    /// The variable that marks all that it starts; empty for a process that was forked.
    mark: String,
    ended: Option<ExitStatus>,
}

impl ChildProcess {
    /// Starts a program, found as a shell would find it, with its arguments. Its input is empty, and only the first line of its standard
    /// error is kept. Its environment is that of this process, but numbers and messages are those of the locale C.
    ///
    /// # Errors
    /// The program does not exist or cannot be started.
    pub fn start(words: &mut dyn Iterator<Item = &str>) -> io::Result<Self> {
        let (read, write) = super::fd::pipe()?;
        let errors = Scratch::new();
        let mark = new_mark();
        let streams = [None, Some(write.as_raw_fd()), errors.as_ref().map(|errors| errors.fd().as_raw_fd())];
        let pid = spawn(&c_strings(words)?, &mark, &[], streams)?;
        Self::new(Self { pid, output: File::from(read), errors, mark, ended: None })
    }

    /// As [`Self::start`], but the program gets a pipe as its input, whose other end is returned: writing to it never waits. What is read
    /// is its standard error; its standard output goes nowhere. `variables` are added to its environment, each as `NAME=value`.
    ///
    /// # Errors
    /// The program does not exist or cannot be started.
    pub fn start_with_input(words: &mut dyn Iterator<Item = &str>, variables: &[String]) -> io::Result<(Self, File)> {
        let (input, fill) = super::fd::pipe()?;
        let (read, write) = super::fd::pipe()?;
        super::fd::set_nonblocking(fill.as_fd())?;
        let mark = new_mark();
        let variables = c_strings(&mut variables.iter().map(String::as_str))?;
        let streams = [Some(input.as_raw_fd()), None, Some(write.as_raw_fd())];
        let pid = spawn(&c_strings(words)?, &mark, &variables, streams)?;
        let process = Self::new(Self { pid, output: File::from(read), errors: None, mark, ended: None })?;
        Ok((process, File::from(fill)))
    }

    /// Forks a process that runs `work`, writes the resulting text to its output, and exits. The process closes `unneeded` first. It
    /// ends itself after the time limit, in case its parent was killed and no longer can.
    ///
    /// # Errors
    /// The system has no process or pipe to spare.
    pub fn fork(unneeded: BorrowedFd<'_>, limit: Duration, work: impl FnOnce() -> String) -> io::Result<Self> {
        let (read, write) = super::fd::pipe()?;
        // SAFETY: the program has one thread, so that the child is a complete copy and may allocate and lock.
        let pid = unsafe { super::error::check(libc::fork())? };
        if pid == 0 {
            drop(read);
            run_in_child(unneeded, limit, write, work);
        }
        // SAFETY: touches no memory. The child does the same; whichever comes first, the group exists before anyone kills it.
        unsafe { libc::setpgid(pid, pid) };
        Self::new(Self { pid, output: File::from(read), errors: None, mark: String::new(), ended: None })
    }

    fn new(process: Self) -> io::Result<Self> {
        if let Ok(mut living) = LIVING.lock() {
            living.push(process.pid);
        }
        super::fd::set_nonblocking(process.fd())?;
        Ok(process)
    }

    /// The descriptor to poll until the process closes its output.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    /// Reads what is available: `None` if nothing is at the moment, 0 at the end.
    ///
    /// # Errors
    /// What `read(2)` reports.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.errors.iter_mut().for_each(Scratch::make_room);
        match self.output.read(buffer) {
            Ok(count) => Ok(Some(count)),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The exit status, once the process has ended. Kills what it left behind in its group.
    pub fn status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            let mut status = 0;
            // SAFETY: the status outlives the call.
            if unsafe { libc::waitpid(self.pid, &mut status, libc::WNOHANG) } == self.pid {
                self.ended = Some(ExitStatus::from_raw(status));
                forget(self.pid);
                self.kill_group();
            }
        }
        self.ended
    }

    /// The first line that it said on standard error, or the start of it; empty if it said nothing.
    pub fn first_error(&self) -> String {
        self.errors.as_ref().map(Scratch::first_line).unwrap_or_default()
    }

    fn kill_group(&self) {
        // SAFETY: touches no memory. The process was reaped just now or not at all, so that no other process has its number.
        unsafe { libc::kill(-self.pid, libc::SIGKILL) };
    }
}

impl Drop for ChildProcess {
    /// Kills the process and all that it started, unless it has ended, and leaves it for [`reap`].
    fn drop(&mut self) {
        if self.status().is_some() {
            return;
        }
        if !self.mark.is_empty() {
            super::descendants::kill(self.pid, &self.mark);
        }
        self.kill_group();
        forget(self.pid);
        if let Ok(mut dying) = DYING.lock() {
            dying.push(self.pid);
        }
        reap();
    }
}

/// A variable that no other process has.
fn new_mark() -> String {
    format!("{}{:016x}", environment::MARK, super::daemon::random())
}

fn c_strings(texts: &mut dyn Iterator<Item = &str>) -> io::Result<Vec<CString>> {
    texts.map(CString::new).collect::<Result<_, _>>().map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Starts a program by `posix_spawnp(3)`: in a process group of its own, with these variables besides its usual ones, these descriptors
/// or nothing as its standard input, output and error, and the signals as a shell would set them.
fn spawn(words: &[CString], mark: &str, variables: &[CString], streams: [Option<c_int>; 3]) -> io::Result<libc::pid_t> {
    let program = words.first().ok_or(io::ErrorKind::InvalidInput)?;
    let arguments = pointers(&[], words);
    let own = own_environment();
    let (kept, mut instead) = environment::of_command(&own, mark);
    instead.extend_from_slice(variables);
    let environment = pointers(&kept, &instead);
    let flags = libc::POSIX_SPAWN_SETPGROUP | libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
    let null = c"/dev/null".as_ptr();
    let mut id = 0;
    // SAFETY: the structures are initialised before their use and destroyed after it; the arguments end in a null pointer, and what they
    // and the paths point to outlives the calls.
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
        let mut prepared = Ok(());
        for (number, stream) in (0..).zip(streams) {
            prepared = prepared.and_then(|()| match stream {
                Some(stream) => errno(libc::posix_spawn_file_actions_adddup2(&mut actions, stream, number)),
                None => errno(libc::posix_spawn_file_actions_addopen(&mut actions, number, null, libc::O_RDWR, 0)),
            });
        }
        let outcome = prepared.and_then(|()| {
            errno(libc::posix_spawnp(&mut id, program.as_ptr(), &actions, &attributes, arguments.as_ptr(), environment.as_ptr()))
        });
        libc::posix_spawnattr_destroy(&mut attributes);
        libc::posix_spawn_file_actions_destroy(&mut actions);
        outcome
    };
    outcome.map(|()| id)
}

/// The form in which C takes a list of strings: pointers, the last one null. `first` are strings with a zero behind them.
fn pointers(first: &[&[u8]], strings: &[CString]) -> Vec<*mut c_char> {
    let mut pointers: Vec<*mut c_char> = first.iter().map(|string| string.as_ptr().cast_mut().cast()).collect();
    pointers.extend(strings.iter().map(|string| string.as_ptr().cast_mut()));
    pointers.push(std::ptr::null_mut());
    pointers
}

extern "C" {
    /// The environment, as the C library keeps it.
    static environ: *const *const c_char;
}

/// The variables of this process, each with a zero behind it.
fn own_environment() -> Vec<&'static [u8]> {
    let mut variables = Vec::new();
    // SAFETY: the list ends in a null pointer, and each string in zero; nothing in these programs changes either.
    unsafe {
        let mut at = environ;
        while !at.is_null() && !(*at).is_null() {
            variables.push(CStr::from_ptr(*at).to_bytes());
            at = at.add(1);
        }
    }
    variables
}

/// Turns the error number that these calls return into an error.
fn errno(number: c_int) -> io::Result<()> {
    match number {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

/// The forked process, from its first instruction to its end.
fn run_in_child(unneeded: BorrowedFd<'_>, limit: Duration, output: OwnedFd, work: impl FnOnce() -> String) -> ! {
    // SAFETY: none of these calls touches memory; nothing in this process uses the closed descriptor.
    unsafe {
        libc::close(unneeded.as_raw_fd());
        libc::setpgid(0, 0);
        libc::alarm(u32::try_from(limit.as_secs()).unwrap_or(u32::MAX));
    }
    super::signals::restore_defaults();
    let _ = File::from(output).write_all(work().as_bytes());
    // SAFETY: ends the process without running what its parent registered for its own end.
    unsafe { libc::_exit(0) }
}

/// Processes that were killed but not reaped. One that hangs in the kernel, for example on a dead file server, may take long to die;
/// nothing waits for it.
static DYING: Mutex<Vec<libc::pid_t>> = Mutex::new(Vec::new());

/// Processes that were started and whose end was not asked for yet.
static LIVING: Mutex<Vec<libc::pid_t>> = Mutex::new(Vec::new());

fn forget(pid: libc::pid_t) {
    if let Ok(mut living) = LIVING.lock() {
        living.retain(|one| *one != pid);
    }
}

/// Becomes the parent of what commands start and leave behind, where the system has that (Linux 3.4): see [`reap_adopted`].
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    super::harden::become_subreaper();
}

/// Reaps the processes that were adopted and have ended.
pub fn reap_adopted() {
    #[cfg(target_os = "linux")]
    loop {
        // SAFETY: the structure is one for which all zeros are a value; it outlives the call, which leaves the process as it is.
        let pid = unsafe {
            let mut ended: libc::siginfo_t = std::mem::zeroed();
            match libc::waitid(libc::P_ALL, 0, &mut ended, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) {
                0 => ended.si_pid(),
                _ => 0,
            }
        };
        // If it is one whose end is still to be asked for, those behind it come with a later call.
        if pid == 0 || LIVING.lock().is_ok_and(|living| living.contains(&pid)) {
            break;
        }
        // SAFETY: the null pointer asks for no status.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) };
    }
}

/// Reaps killed processes that are dead by now.
pub fn reap() {
    let Ok(mut dying) = DYING.lock() else { return };
    // SAFETY: the null pointer asks for no status. The processes are unreaped children, so that the numbers are still theirs.
    dying.retain(|pid| unsafe { libc::waitpid(*pid, std::ptr::null_mut(), libc::WNOHANG) } == 0);
}

/// Describes an unsuccessful end; `None` for exit status 0.
pub fn failure(status: ExitStatus) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("exit status {code}")),
        (None, Some(signal)) => Some(format!("ended by signal {signal}")),
        (None, None) => Some("ended".into()),
    }
}
