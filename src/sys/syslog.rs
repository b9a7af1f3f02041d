//! The local syslog.

use super::clock::LocalTime;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

/// The socket of the syslog daemon.
const SOCKET: &str = match () {
    () if cfg!(target_os = "linux") => "/dev/log",
    () if cfg!(target_os = "macos") => "/var/run/syslog",
    () => "/var/run/log",
};

/// `daemon.notice`: the facility, times eight, and the severity (RFC 3164, section 4.1.1).
const PRIORITY: u8 = 3 * 8 + 5;

/// Writes one line under the program's name. As with `syslog(3)`, the line is lost if no daemon listens.
pub fn write(program: &str, now: LocalTime, text: &str) {
    let Ok(socket) = UnixDatagram::unbound() else { return };
    // A stuck daemon must not block the caller.
    let _ = super::fd::set_nonblocking(socket.as_fd());
    let _ = socket.send_to(record(program, now, text).as_bytes(), SOCKET);
}

/// The format of `syslog(3)`: the time has no year, and the process id follows the name.
fn record(program: &str, now: LocalTime, text: &str) -> String {
    let time = now.ctime();
    format!("<{PRIORITY}>{} {program}[{}]: {text}", time.get(4..19).unwrap_or_default(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_the_form_that_daemons_expect() {
        let now = LocalTime { year: 2026, month: 11, day: 2, weekday: 1, hour: 1, minute: 2, second: 3 };
        assert_eq!(record("aa436", now, "hello"), format!("<29>Nov  2 01:02:03 aa436[{}]: hello", std::process::id()));
    }
}
