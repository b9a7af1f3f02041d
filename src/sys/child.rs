//! Child processes, each in a group of its own, whose output is read without waiting.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Mutex;

/// A process that was started and has not been reaped. Dropping it ends its group.
pub struct ChildProcess {
    child: Child,
    stdout: Option<ChildStdout>,
    reaped: bool,
}

impl ChildProcess {
    /// Starts a program with its arguments, found as a shell would find it; it reads nothing, and what it says on standard error is
    /// thrown away.
    ///
    /// # Errors
    /// The program does not exist or cannot be started.
    pub fn start<'a>(mut words: impl Iterator<Item = &'a str>) -> io::Result<Self> {
        let program = words.next().unwrap_or_default();
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn()?;
        let stdout = child.stdout.take();
        let process = Self { child, stdout, reaped: false };
        if let Some(stdout) = &process.stdout {
            super::set_nonblocking(stdout.as_fd())?;
        }
        Ok(process)
    }

    /// What to poll while the process has not closed its output.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.stdout.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there: `None` when there is nothing at the moment, 0 at the end.
    ///
    /// # Errors
    /// What `read(2)` reports.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(stdout) = &mut self.stdout else { return Ok(Some(0)) };
        match stdout.read(buffer) {
            Ok(count) => Ok(Some(count)),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// How the process ended, if it has. What it left behind in its group is killed then.
    pub fn status(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten();
        if status.is_some() && !std::mem::replace(&mut self.reaped, true) {
            self.kill_group();
        }
        status
    }

    fn kill_group(&self) {
        if let Ok(group) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: touches no memory. The process has not been reaped or was at this moment, so that its number is no one else's.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
    }
}

impl Drop for ChildProcess {
    /// Kills the whole group, unless the process has ended already, and has it reaped once it is dead.
    fn drop(&mut self) {
        if self.status().is_some() {
            return;
        }
        self.kill_group();
        if let (Ok(id), Ok(mut dying)) = (libc::pid_t::try_from(self.child.id()), DYING.lock()) {
            dying.push(id);
        }
        reap();
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
