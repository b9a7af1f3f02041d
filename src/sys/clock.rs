//! The clocks: the only place that reads them.

use super::{start, zone};
use crate::now::Now;
use crate::schedule::WeekMinute;
use std::time::Duration;

/// All clocks of one process.
///
/// Tests let time pass faster by the variable `PROJECT436_TEST_CLOCK=SPEED[@UNIX]`: every clock runs `SPEED` times as fast, and
/// the system's clock begins at `UNIX` seconds. No time of the protocol need be known to a test for that.
#[derive(Debug)]
pub struct Clock {
    started: Duration,
    speed: u32,
    /// What the system's clock is taken to have been at the start, in tests.
    pretended_start: Option<u64>,
    /// The local time of the minute that was asked for last: it costs a look at the time zone.
    minute: std::cell::Cell<Option<(u64, WeekMinute)>>,
}

/// A point in local time, as calendars and clocks show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// The year.
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
    /// From 0 to 59; no leap seconds.
    pub second: u16,
}

impl Clock {
    /// Starts the monotonic clock.
    pub fn start() -> Self {
        let test = start::variable("PROJECT436_TEST_CLOCK").and_then(|test| std::str::from_utf8(test).ok()).unwrap_or_default();
        let (speed, start) = test.split_once('@').map_or((test, None), |(speed, start)| (speed, start.parse().ok()));
        Self {
            started: read(libc::CLOCK_MONOTONIC),
            speed: speed.parse().unwrap_or(1).clamp(1, 1000),
            pretended_start: start,
            minute: std::cell::Cell::new(None),
        }
    }

    /// Reads all clocks once.
    pub fn now(&self) -> Now {
        let elapsed = read(libc::CLOCK_MONOTONIC).saturating_sub(self.started);
        let mono = elapsed * self.speed;
        let unix = match self.pretended_start {
            Some(start) => start + mono.as_secs(),
            // The system's clock, which may jump, and in tests what it would show had it run as fast as ours.
            None => read(libc::CLOCK_REALTIME).as_secs() + (mono - elapsed).as_secs(),
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
        // So that an interval never has length 0, not even the first.
        Now { mono: mono + Duration::from_secs(1), unix, local, second }
    }

    /// How long to wait for a deadline; `None` for ever.
    pub fn until(&self, now: Now, deadline: Option<Duration>) -> Option<Duration> {
        deadline.map(|deadline| deadline.saturating_sub(now.mono) / self.speed)
    }
}

impl LocalTime {
    /// The local time at so many seconds since 1970.
    pub fn at(unix: u64) -> Self {
        /// The end of the year 9999.
        const LAST: i64 = 253_402_300_799;
        let utc = i64::try_from(unix).unwrap_or(LAST).min(LAST);
        let local = utc + i64::from(zone::offset(utc));
        let days = zone::days(local);
        let (year, month, day) = zone::date(days);
        let second = i32::try_from(local.rem_euclid(24 * 60 * 60)).unwrap_or_default();
        let small = |number: i32| u16::try_from(number).unwrap_or_default();
        Self {
            year,
            month: small(month),
            day: small(day),
            // 1970 began with a Thursday.
            weekday: small((days + 4).rem_euclid(7)),
            hour: small(second / 3600),
            minute: small(second / 60 % 60),
            second: small(second % 60),
        }
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

/// What the system's clocks show together: hardly ever the same again, not even after it was set back or the device booted anew.
pub(super) fn moment() -> u64 {
    let [a, b] = [libc::CLOCK_MONOTONIC, libc::CLOCK_REALTIME].map(read);
    a.as_secs() ^ u64::from(a.subsec_nanos()).rotate_left(32) ^ b.as_secs().rotate_left(16) ^ u64::from(b.subsec_nanos())
}

/// What a clock of the system shows, in 64 bits: on 32-bit musl the plain names are those of the old interface, which ends in 2038;
/// `time.h` there gives programs the other (musl 1.2.0, release notes on time64). Elsewhere the kernel itself is asked: the C library
/// looks for a faster way, with 1 KB, and two readings in each turn of the loop are not worth that.
#[cfg(target_os = "linux")]
#[cfg(any(target_pointer_width = "64", target_env = "musl"))]
fn read(clock: libc::clockid_t) -> Duration {
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        /// In 32-bit programs the lower half counts, wherever it lies.
        nanoseconds: i64,
    }
    #[cfg(target_pointer_width = "32")]
    extern "C" {
        #[link_name = "__clock_gettime64"]
        fn get(clock: libc::clockid_t, time: *mut Timespec) -> libc::c_int;
    }
    #[cfg(target_pointer_width = "64")]
    unsafe fn get(clock: libc::clockid_t, time: *mut Timespec) -> libc::c_long {
        // SAFETY: as the caller says.
        unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) }
    }
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: the structure has the size and layout of `struct timespec` with a time of 64 bits.
    unsafe { get(clock, &mut time) };
    // A device whose clock stands before 1970 reports 1970.
    Duration::new(u64::try_from(time.seconds).unwrap_or_default(), u32::try_from(time.nanoseconds).unwrap_or_default())
}

/// What a clock of the system shows. The standard library knows the C library's 64-bit interface where there is another one.
#[cfg(not(all(target_os = "linux", any(target_pointer_width = "64", target_env = "musl"))))]
#[allow(clippy::disallowed_methods, reason = "the one place that reads a clock")]
fn read(clock: libc::clockid_t) -> Duration {
    if clock == libc::CLOCK_REALTIME {
        return std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    }
    // SAFETY: all fields of the structure are numbers, for which zero is a value, and it lives through the call.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(clock, &mut time);
        time
    };
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
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
