//! The clocks and the time zone. Nothing else in the program reads a clock.
#![allow(unsafe_code, reason = "localtime_r")]

use super::file::read_file;
use crate::date::Date;
use crate::now::Now;
use crate::schedule::WeekMinute;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The clocks of one process.
///
/// The environment variable `PROJECT436_TEST_CLOCK=SPEED[@UNIX]` speeds up tests: every clock runs `SPEED` times as fast, and the
/// system's clock starts at `UNIX` seconds. A test then needs no knowledge of the protocol's intervals.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    speed: u32,
    /// The time that the system's clock is taken to have shown at the start, in tests.
    pretended_start: Option<u64>,
    /// The last minute that was converted to local time, which reads the time zone, and the result.
    minute: std::cell::Cell<Option<(u64, WeekMinute)>>,
}

/// A local date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// In the Common Era.
    pub year: i32,
    /// From 1.
    pub month: u16,
    /// From 1.
    pub day: u16,
    /// From 0, which is Sunday.
    pub weekday: u16,
    /// From 0 to 23.
    pub hour: u16,
    /// From 0 to 59.
    pub minute: u16,
    /// From 0 to 60.
    pub second: u16,
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads a clock")]
impl Clock {
    /// Starts the monotonic clock and finds the time zone.
    pub fn start() -> Self {
        adopt_openwrt_time_zone();
        let test = std::env::var("PROJECT436_TEST_CLOCK").unwrap_or_default();
        let (speed, start) = test.split_once('@').map_or((&*test, None), |(speed, start)| (speed, start.parse().ok()));
        Self {
            started: Instant::now(),
            speed: speed.parse().unwrap_or(1).clamp(1, 1000),
            pretended_start: start,
            minute: std::cell::Cell::new(None),
        }
    }

    /// Reads all clocks once.
    pub fn now(&self) -> Now {
        let elapsed = self.started.elapsed();
        let mono = elapsed * self.speed;
        let unix = match self.pretended_start {
            Some(start) => start + mono.as_secs(),
            // The system's clock, which may jump; in tests, what it would show if it ran as fast as ours.
            None => system_seconds() + (mono - elapsed).as_secs(),
        };
        let minute = unix / 60;
        let local = self.minute.get().filter(|(known, _)| *known == minute).map(|(_, local)| local);
        let local = local.unwrap_or_else(|| {
            let time = LocalTime::at(unix);
            let local = WeekMinute::new(time.weekday, time.hour, time.minute);
            self.minute.set(Some((minute, local)));
            local
        });
        let second = u8::try_from(unix % 60).unwrap_or_default();
        // Starts at one second, so that even the first interval is longer than 0.
        Now { mono: mono + Duration::from_secs(1), unix, local, second }
    }

    /// The time to wait, by the system's clock, until a deadline; `None` without a deadline.
    pub fn until(&self, now: Now, deadline: Option<Duration>) -> Option<Duration> {
        deadline.map(|deadline| deadline.saturating_sub(now.mono) / self.speed)
    }
}

impl LocalTime {
    /// Converts seconds since 1970.
    pub fn at(unix: u64) -> Self {
        // SAFETY: all fields of the structure are numbers or a pointer, for which zero is a value.
        let mut tm: libc::tm = unsafe { std::mem::zeroed() };
        let seconds = i64::try_from(unix).unwrap_or(i64::MAX);
        time64::local_time(seconds, &mut tm);
        let small = |value: libc::c_int| u16::try_from(value).unwrap_or_default();
        Self {
            year: tm.tm_year.saturating_add(1900),
            month: small(tm.tm_mon) + 1,
            day: small(tm.tm_mday),
            weekday: small(tm.tm_wday),
            hour: small(tm.tm_hour),
            minute: small(tm.tm_min),
            second: small(tm.tm_sec),
        }
    }

    /// The seconds by which the local time is ahead of UTC, at a time in seconds since 1970.
    pub fn offset(unix: u64) -> i64 {
        let Self { year, month, day, hour, minute, second, .. } = Self::at(unix);
        let small = |number: u16| u8::try_from(number).unwrap_or_default();
        let (year, month, day) = (year.into(), small(month), small(day));
        let date = Date { year, month, day, hour: small(hour), minute: small(minute), second: small(second) };
        date.seconds() - i64::try_from(unix).unwrap_or_default()
    }

    /// The form of C's `ctime`, without its newline: `Sun Nov 22 11:35:36 2026`.
    pub fn ctime(&self) -> String {
        const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let weekday = DAYS.get(usize::from(self.weekday)).unwrap_or(&"???");
        let month = MONTHS.get(usize::from(self.month) - 1).unwrap_or(&"???");
        let Self { year, day, hour, minute, second, .. } = self;
        format!("{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}")
    }
}

/// `2026-11-22 11:35:36`.
impl std::fmt::Display for LocalTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { year, month, day, hour, minute, second, .. } = self;
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

/// Sets `TZ` from `/etc/TZ`, where OpenWrt keeps the time zone: its own C library reads that file, the one in this program does not.
fn adopt_openwrt_time_zone() {
    if std::env::var_os("TZ").is_some() || Path::new("/etc/localtime").exists() {
        return;
    }
    let Ok(zone) = read_file("/etc/TZ") else { return };
    let zone = zone.trim_ascii();
    if !zone.is_empty() {
        std::env::set_var("TZ", OsStr::from_bytes(zone));
    }
}

/// A number from the system's clock in nanoseconds, which hardly ever repeats, even after a reboot.
pub(super) fn moment() -> u64 {
    let (seconds, nanoseconds) = time64::system_time();
    seconds.unsigned_abs().rotate_left(32) ^ u64::from(nanoseconds)
}

pub(super) fn system_seconds() -> u64 {
    // If the clock of a device stands before 1970, it reports 1970.
    u64::try_from(time64::system_time().0).unwrap_or_default()
}

/// The C library's 64-bit times. On 32-bit musl the plain symbols are the old interface, which ends in 2038; `time.h` maps C programs
/// to these (musl 1.2.0, release notes on time64).
#[cfg(all(target_env = "musl", target_pointer_width = "32"))]
mod time64 {
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        /// One half is padding; which one depends on the byte order.
        nanoseconds_and_padding: [u32; 2],
    }

    extern "C" {
        fn __clock_gettime64(clock: libc::clockid_t, time: *mut Timespec) -> libc::c_int;
        fn __localtime64_r(seconds: *const i64, tm: *mut libc::tm) -> *mut libc::tm;
    }

    /// Seconds since 1970, and nanoseconds.
    pub(super) fn system_time() -> (i64, u32) {
        let mut time = Timespec { seconds: 0, nanoseconds_and_padding: [0; 2] };
        // SAFETY: the structure has the size and layout that musl's `struct timespec` has on 32-bit systems.
        unsafe { __clock_gettime64(libc::CLOCK_REALTIME, &mut time) };
        (time.seconds, time.nanoseconds_and_padding[0] | time.nanoseconds_and_padding[1])
    }

    pub(super) fn local_time(seconds: i64, tm: &mut libc::tm) {
        // SAFETY: both point to values that live through the call.
        unsafe { __localtime64_r(&seconds, tm) };
    }
}

#[cfg(not(all(target_env = "musl", target_pointer_width = "32")))]
mod time64 {
    /// After 28 years dates fall on the same days of the week again, until 2100.
    const CALENDAR_CYCLE: i64 = (28 * 365 + 7) * 24 * 60 * 60;
    const YEARS: libc::c_int = 28;

    /// The standard library uses the C library's 64-bit interface where there are two.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads a clock")]
    pub(super) fn system_time() -> (i64, u32) {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        (i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX), since_1970.subsec_nanos())
    }

    /// Times may have 32 bits here, for example in 32-bit programs with glibc: later ones are converted some cycles earlier.
    pub(super) fn local_time(seconds: i64, tm: &mut libc::tm) {
        let beyond = if cfg!(target_pointer_width = "32") { seconds - i64::from(i32::MAX) } else { 0 };
        let cycles = u64::try_from(beyond).unwrap_or_default().div_ceil(CALENDAR_CYCLE.unsigned_abs());
        let cycles = i32::try_from(cycles).unwrap_or_default();
        let fitting = seconds - i64::from(cycles) * CALENDAR_CYCLE;
        // SAFETY: both point to values that live through the call. The type is the system's; its name is deprecated for musl.
        unsafe { libc::localtime_r(&(fitting as _), tm) };
        tm.tm_year = tm.tm_year.saturating_add(cycles.saturating_mul(YEARS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_past_2038_are_right() {
        // 2040-03-04 05:06:07 UTC, a Sunday: within a day of that anywhere.
        let time = LocalTime::at(2_214_450_367);
        assert_eq!((time.year, time.month), (2040, 3));
        assert!((3..=5).contains(&time.day));
        assert_eq!(time.weekday, (time.day + 3) % 7);
        assert_eq!((time.second, [0, 15, 30, 45].contains(&((time.minute + 60 - 6) % 60))), (7, true));
    }

    #[test]
    fn the_day_of_the_month_is_padded_as_ctime_does() {
        let time = LocalTime { year: 2026, month: 11, day: 2, weekday: 1, hour: 1, minute: 2, second: 3 };
        assert_eq!(time.ctime(), "Mon Nov  2 01:02:03 2026");
        assert_eq!(time.to_string(), "2026-11-02 01:02:03");
    }
}
