//! Times as RFC 3339 writes them: `2026-11-22T11:35:36+01:00`. Knows no clock and no time zone.

use crate::text::number;

/// Seconds since 1970 as a time with that offset from UTC, in seconds. Offsets are shown in minutes, and none as `Z`.
pub fn emit(unix: u64, offset: i64) -> String {
    let minutes = offset / 60;
    let local = i64::try_from(unix).unwrap_or(i64::MAX / 2) + minutes * 60;
    let (days, second) = (local.div_euclid(86_400), local.rem_euclid(86_400));
    let (year, month, day) = date_of(days);
    let zone = match minutes {
        0 => "Z".to_string(),
        _ => format!("{}{:02}:{:02}", if minutes < 0 { '-' } else { '+' }, minutes.abs() / 60, minutes.abs() % 60),
    };
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}{zone}", second / 3600, second / 60 % 60, second % 60)
}

/// Seconds since 1970 of a time. Seconds may be missing, with or without a fraction; the offset may not. `None` for another form, a day or an
/// hour that does not exist, and a time before 1970.
pub fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = fields(date, '-')?;
    let at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(at);
    let clock = clock.split_once('.').map_or(clock, |(whole, _)| whole);
    let [hour, minute, second] = fields(&if clock.len() == 5 { [clock, ":00"].concat() } else { clock.to_string() }, ':')?;
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let [hours, minutes] = fields(&zone[1..], ':')?;
            let offset = (hours <= 23 && minutes <= 59).then_some(hours * 3600 + minutes * 60)?;
            if zone.starts_with('-') {
                -offset
            } else {
                offset
            }
        }
    };
    let days = days_of(year, month, day);
    // A leap second is the one after it.
    let exists = date_of(days) == (year, month, day) && hour <= 23 && minute <= 59 && second <= 60;
    exists.then_some(days * 86_400 + hour * 3600 + minute * 60 + second - offset).and_then(|unix| u64::try_from(unix).ok())
}

/// Splits into numbers of two digits, or four for a year.
fn fields<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(separator);
    for (at, field) in numbers.iter_mut().enumerate() {
        let length = if separator == '-' && at == 0 { 4 } else { 2 };
        let digits = parts.next().filter(|part| part.len() == length)?;
        *field = i64::try_from(number(digits, 10)?).ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days since 1970 of a date in the Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_of`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = (year + era * 400, if month < 10 { month + 3 } else { month - 9 });
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_published_form() {
        for (unix, offset, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (1_795_347_336, 0, "2026-11-22T11:35:36Z"),
            (1_795_347_336, 3600, "2026-11-22T12:35:36+01:00"),
            (1_795_347_336, -12_600, "2026-11-22T08:05:36-03:30"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"),
            (4_102_444_799, 0, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!((emit(unix, offset).as_str(), parse(text)), (text, Some(unix)));
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_its_own() {
        for days in 0..146_097 {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
        }
    }

    #[test]
    fn people_may_leave_out_seconds_and_what_does_not_exist_is_refused() {
        for (text, unix) in [
            ("1970-01-02T00:00Z", Some(86_400)),
            ("1970-01-02 00:00:01.5+00:00", Some(86_401)),
            ("1970-01-02t00:00z", Some(86_400)),
            ("1970-01-02T00:00", None),
            ("1970-01-02", None),
            ("1970-02-30T00:00Z", None),
            ("1970-13-01T00:00Z", None),
            ("1970-01-01T24:00Z", None),
            ("1970-01-01T00:60Z", None),
            ("1970-01-01T00:00+24:00", None),
            ("1969-12-31T23:59Z", None),
            ("1970-1-1T00:00Z", None),
            ("70-01-01T00:00Z", None),
            ("1970-01-01T00:00+1", None),
            ("", None),
            ("T", None),
            ("ü-T-Z", None),
        ] {
            assert_eq!(parse(text), unix, "{text}");
        }
    }
}
