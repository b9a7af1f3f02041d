//! The time that stands in a line of a log, in the forms that programs write most. Knows no clock and no time zone.

use crate::date::Date;

/// The time at the start of a line, or in its first brackets, as it is written: an offset from UTC does not count. Without a year it is the
/// last such day that is not after `today`. `None` if there is none, or it is no time that exists.
pub fn line_time(line: &str, today: Date) -> Option<Date> {
    let start = line.trim_start_matches(['[', '<', ' ']);
    let in_brackets = || line.split_once('[').and_then(|(_, rest)| common_log(rest));
    iso(start).or_else(|| syslog(start, today)).or_else(|| ctime(start)).or_else(in_brackets).filter(exists)
}

/// `2026-11-30T12:00:00`, also with a space and with slashes.
fn iso(text: &str) -> Option<Date> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let separator = date.as_bytes()[4] as char;
    let mut parts = date.split(separator).map(digits);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let is_separated = matches!(separator, '-' | '/') && parts.next().is_none() && date.as_bytes()[7] as char == separator;
    let rest = rest.strip_prefix(['T', ' ']).filter(|_| is_separated)?;
    on_day(i64::from(year), month, day, rest)
}

/// `Nov 30 12:00:00`.
fn syslog(text: &str, today: Date) -> Option<Date> {
    let (month, rest) = (month(text.get(..3)?)?, text.get(3..)?.strip_prefix(' ')?);
    let day = digits(rest.get(..2)?.trim_start())?;
    let this_year = on_day(today.year, month, day, rest.get(2..)?.strip_prefix(' ')?)?;
    // A log may be of another time zone.
    const DAY: i64 = 86_400;
    let is_past = this_year.seconds() <= today.seconds() + DAY;
    Some(if is_past { this_year } else { Date { year: today.year - 1, ..this_year } })
}

/// `Mon Nov 30 12:00:00 2026`, also with a fraction of the second.
fn ctime(text: &str) -> Option<Date> {
    let mut words = text.split_ascii_whitespace();
    let (_, name, day, time, year) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    on_day(i64::from(digits(year.get(..4)?)?), month(name)?, digits(day)?, time)
}

/// `30/Nov/2026:12:00:00`.
fn common_log(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '/');
    let (day, name, rest) = (digits(parts.next()?)?, month(parts.next()?)?, parts.next()?);
    on_day(i64::from(digits(rest.get(..4)?)?), name, day, rest.get(4..)?.strip_prefix(':')?)
}

/// The date with the time of day `12:00:00` at the start of that text.
fn on_day(year: i64, month: u16, day: u16, text: &str) -> Option<Date> {
    let clock = text.get(..8)?;
    let mut parts = clock.split(':').map(|part| if part.len() == 2 { digits(part) } else { None });
    let small = |number: u16| u8::try_from(number).ok();
    let (hour, minute, second) = (small(parts.next()??)?, small(parts.next()??)?, small(parts.next()??)?);
    Some(Date { year, month: small(month)?, day: small(day)?, hour, minute, second })
}

fn month(name: &str) -> Option<u16> {
    const NAMES: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    (name.len() == 3).then(|| NAMES.find(name)).flatten().filter(|at| at % 3 == 0).and_then(|at| u16::try_from(at / 3 + 1).ok())
}

fn digits(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn exists(date: &Date) -> bool {
    (1970..10_000).contains(&date.year) && (1..=12).contains(&date.month) && Date::at(date.seconds()) == *date
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(line: &str) -> Option<String> {
        let today = Date { year: 2026, month: 11, day: 30, hour: 12, minute: 0, second: 0 };
        line_time(line, today).map(|date| date.to_string())
    }

    #[test]
    fn the_forms_that_programs_write_are_known() {
        for (line, expected) in [
            ("Nov 30 11:22:33 host sshd[1]: x", "2026-11-30T11:22:33"),
            ("Nov  3 11:22:33 host sshd[1]: x", "2026-11-03T11:22:33"),
            ("Dec  1 00:00:00 host x", "2026-12-01T00:00:00"),
            ("Dec 24 11:22:33 host x", "2025-12-24T11:22:33"),
            ("2026-11-30T11:22:33.123456+01:00 host x", "2026-11-30T11:22:33"),
            ("2026-11-30 11:22:33,123 ERROR x", "2026-11-30T11:22:33"),
            ("2026/11/30 11:22:33 [error] 1#1: x", "2026-11-30T11:22:33"),
            ("[2026-11-30 11:22:33] x", "2026-11-30T11:22:33"),
            ("Mon Nov 30 11:22:33 2026 daemon.err x", "2026-11-30T11:22:33"),
            ("[Mon Nov 30 11:22:33.123456 2026] [core:error] x", "2026-11-30T11:22:33"),
            ("192.0.2.7 - - [30/Nov/2026:11:22:33 +0000] \"GET / HTTP/1.1\" 200 1", "2026-11-30T11:22:33"),
        ] {
            assert_eq!(time(line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_time_has_none() {
        for line in [
            "",
            "sshd[1]: Failed password",
            "Nov 30",
            "Nov 31 11:22:33 host x",
            "Nov 30 25:22:33 host x",
            "Nof 30 11:22:33 host x",
            "2026-13-30T11:22:33 x",
            "2026-11/30T11:22:33 x",
            "2026-11-30é11:22:33 x",
            "1999999999 x",
            "a [b/Nov/2026:11:22:33] c",
            "ééééééééééééééé",
        ] {
            assert_eq!(time(line), None, "{line}");
        }
    }
}
