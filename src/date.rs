//! Dates of the Gregorian calendar and the texts that stand for them. Knows no clock and no time zone: the caller gives the offset.

use std::fmt;

/// A date and a time of day, wherever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// In the Common Era.
    pub year: i64,
    /// From 1.
    pub month: u8,
    /// From 1.
    pub day: u8,
    /// From 0 to 23.
    pub hour: u8,
    /// From 0 to 59.
    pub minute: u8,
    /// From 0 to 60.
    pub second: u8,
}

const DAY: i64 = 86_400;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl Date {
    /// The date so many seconds after the start of 1970.
    pub fn at(seconds: i64) -> Self {
        let (days, of_day) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        // Years begin in March here, so that a leap day is the last of its year (Howard Hinnant, "chrono-compatible low-level date algorithms").
        let days = days + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let small = |number: i64| u8::try_from(number).unwrap_or_default();
        let (of_month, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
        Self {
            year: year + era * 400 + i64::from(month <= 2),
            month: small(month),
            day: small(of_month),
            hour: small(of_day / 3600),
            minute: small(of_day / 60 % 60),
            second: small(of_day % 60),
        }
    }

    /// The inverse of [`Self::at`].
    pub fn seconds(&self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = self.year - i64::from(month <= 2);
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
        days * DAY + i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second)
    }

    /// The form of C's `ctime`, without its newline: `Sun Nov 22 11:35:36 2026`.
    pub fn ctime(&self) -> String {
        let weekday = usize::try_from((self.seconds().div_euclid(DAY) + 4).rem_euclid(7)).unwrap_or_default();
        let month = MONTHS.get(usize::from(self.month).wrapping_sub(1)).unwrap_or(&"???");
        let Self { year, day, hour, minute, second, .. } = self;
        format!("{} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}", WEEKDAYS[weekday])
    }

    /// Parses what [`Self::ctime`] writes. `None` for anything else.
    pub fn parse_ctime(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let (_, month, day, time, year) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
        let month = MONTHS.iter().position(|name| *name == month)? + 1;
        let mut times = time.split(':').map(|part| part.parse().ok());
        let (hour, minute, second) = (times.next()??, times.next()??, times.next()??);
        let date = Self { year: year.parse().ok()?, month: u8::try_from(month).ok()?, day: day.parse().ok()?, hour, minute, second };
        // A day that no month has, and years that no clock shows.
        ((1970..10_000).contains(&date.year) && date.ctime() == text && Self::at(date.seconds()) == date).then_some(date)
    }
}

/// RFC 3339 without an offset: `2026-11-22T11:35:36`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

/// The seconds by which the local time is ahead of UTC, at a time in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Zone(pub fn(u64) -> i64);

impl Zone {
    /// The local date at a time in seconds since 1970.
    pub fn local(self, unix: u64) -> Date {
        Date::at(signed(unix) + self.0(unix))
    }

    /// That local time in RFC 3339, with its offset: `2026-11-22T12:35:36+01:00`.
    pub fn rfc3339(self, unix: u64) -> String {
        let minutes = self.0(unix) / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        format!("{}{sign}{:02}:{:02}", self.local(unix), minutes.abs() / 60, minutes.abs() % 60)
    }

    /// The time in seconds since 1970 of a local date. Of an hour that the clocks show twice, one of the two.
    pub fn unix(self, local: Date) -> u64 {
        let guess = u64::try_from(local.seconds() - self.0(u64::try_from(local.seconds()).unwrap_or_default())).unwrap_or_default();
        u64::try_from(local.seconds() - self.0(guess)).unwrap_or_default()
    }
}

/// A time in seconds since 1970, in UTC and RFC 3339: `2026-11-22T11:35:36Z`.
pub fn utc(unix: u64) -> String {
    format!("{}Z", Date::at(signed(unix)))
}

/// Seconds since 1970 of a time in RFC 3339. Seconds may be missing, with or without a fraction; the offset may not. `None` for another form, a
/// day or an hour that does not exist, and a time before 1970.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let (clock, zone) = time.split_at(time.find(['Z', 'z', '+', '-'])?);
    let ([year, month, day], clock) = (numbers(date, '-')?, clock.split_once('.').map_or(clock, |(whole, _)| whole));
    let [hour, minute, second] = match clock.len() {
        5 => {
            let [hour, minute] = numbers(clock, ':')?;
            [hour, minute, 0]
        }
        _ => numbers(clock, ':')?,
    };
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let [hours, minutes] = numbers(&zone[1..], ':')?;
            let offset = i64::from((hours <= 23 && minutes <= 59).then_some(hours * 3600 + minutes * 60)?);
            if zone.starts_with('-') {
                -offset
            } else {
                offset
            }
        }
    };
    let small = |number: u32| u8::try_from(number).ok();
    let (year, month, day) = (i64::from(year), small(month)?, small(day)?);
    let date = Date { year, month, day, hour: small(hour)?, minute: small(minute)?, second: small(second)? };
    // A leap second is the one after it.
    let exists = Date::at(Date { second: 0, ..date }.seconds()) == Date { second: 0, ..date } && second <= 60;
    exists.then_some(date.seconds() - offset).and_then(|unix| u64::try_from(unix).ok())
}

/// Splits into numbers of two digits, the first one of four where they are joined by `-`.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[u32; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(separator);
    for (at, number) in numbers.iter_mut().enumerate() {
        let length = if separator == '-' && at == 0 { 4 } else { 2 };
        let digits = parts.next().filter(|part| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = digits.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn signed(unix: u64) -> i64 {
    // The year 9999 is far below what the calculation can bear.
    i64::try_from(unix).unwrap_or(i64::MAX).min(253_402_300_799)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_seconds_are_inverses() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_795_347_336, "2026-11-22T11:35:36"),
            (4_107_542_399, "2100-02-28T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (-1, "1969-12-31T23:59:59"),
        ] {
            assert_eq!((Date::at(seconds).to_string().as_str(), Date::at(seconds).seconds()), (text, seconds));
        }
        for day in -100_000..100_000 {
            assert_eq!(Date::at(day * DAY + 17).seconds(), day * DAY + 17);
        }
    }

    #[test]
    fn the_form_of_ctime_is_read_again() {
        for (seconds, text) in [(1_795_347_336, "Sun Nov 22 11:35:36 2026"), (1_793_584_923, "Mon Nov  2 02:02:03 2026")] {
            assert_eq!((&*Date::at(seconds).ctime(), Date::parse_ctime(text)), (text, Some(Date::at(seconds))));
        }
        for text in ["", "now", "Sun Nov 22 11:35:36", "Sun Feb 30 11:35:36 2026", "Mon Nov 22 11:35:36 2026", "2026-11-22T11:35:36Z"] {
            assert_eq!(Date::parse_ctime(text), None, "{text}");
        }
    }

    #[test]
    fn a_local_time_has_its_offset_and_leads_back() {
        // Summer time until the end of October.
        let zone = Zone(|unix| if unix < 1_792_890_000 { 7200 } else { 3600 });
        assert_eq!(zone.rfc3339(1_795_347_336), "2026-11-22T12:35:36+01:00");
        assert_eq!(Zone(|_| -12_600).rfc3339(0), "1969-12-31T20:30:00-03:30");
        assert_eq!(utc(1_795_347_336), "2026-11-22T11:35:36Z");
        for unix in [1_792_000_000, 1_792_889_999 - 7200, 1_792_890_000 + 7200, 1_795_347_336] {
            assert_eq!(zone.unix(zone.local(unix)), unix);
        }
    }

    #[test]
    fn people_may_leave_out_seconds_and_what_does_not_exist_is_refused() {
        for (text, unix) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-22T12:35:36+01:00", Some(1_795_347_336)),
            ("2026-11-22T08:05:36-03:30", Some(1_795_347_336)),
            ("1970-01-02T00:00Z", Some(86_400)),
            ("1970-01-02 00:00:01.5+00:00", Some(86_401)),
            ("1970-01-02t00:00z", Some(86_400)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800)),
            ("1970-01-02T00:00", None),
            ("1970-01-02", None),
            ("1970-02-30T00:00Z", None),
            ("1970-13-01T00:00Z", None),
            ("1970-01-01T24:00Z", None),
            ("1970-01-01T00:60Z", None),
            ("1970-01-01T00:00:61Z", None),
            ("1970-01-01T00:00+24:00", None),
            ("1969-12-31T23:59Z", None),
            ("1970-1-1T00:00Z", None),
            ("70-01-01T00:00Z", None),
            ("+970-01-01T00:00Z", None),
            ("1970-01-01T00:00+1", None),
            ("", None),
            ("T", None),
            ("ü-T-Z", None),
        ] {
            assert_eq!(parse_rfc3339(text), unix, "{text}");
        }
    }
}
