//! The times when an alert is active: `active: DAYS;HH:MM-HH:MM[,…]`. Knows no clock; the caller gives the local time.

use crate::text::number;
use std::fmt;

/// A minute of the local week, counted from Sunday 00:00: `0..10080`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeekMinute(u16);

impl WeekMinute {
    const PER_DAY: u16 = 24 * 60;
    const PER_WEEK: u16 = 7 * Self::PER_DAY;

    /// The minute `hour:minute` of a day, where day 0 is Sunday. Values past their range wrap around.
    pub fn new(day: u16, hour: u16, minute: u16) -> Self {
        let minutes = u32::from(day) * u32::from(Self::PER_DAY) + u32::from(hour) * 60 + u32::from(minute);
        Self::wrap(minutes)
    }

    /// The minute that is `minutes` later, perhaps in the next week.
    pub fn after(self, minutes: u16) -> Self {
        Self::wrap(u32::from(self.0) + u32::from(minutes))
    }

    fn minutes_since(self, earlier: Self) -> u16 {
        (self.0 + Self::PER_WEEK - earlier.0) % Self::PER_WEEK
    }

    fn wrap(minutes: u32) -> Self {
        Self(u16::try_from(minutes % u32::from(Self::PER_WEEK)).expect("a remainder below 10080"))
    }

    fn day(self) -> u16 {
        self.0 / Self::PER_DAY
    }

    fn of_day(self) -> u16 {
        self.0 % Self::PER_DAY
    }
}

/// The active times of one alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    ranges: Vec<Range>,
}

/// A range of minutes on some days, including `from` and `to`. If `to < from`, it ends on the next day.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    days: u8,
    from: u16,
    to: u16,
}

impl Schedule {
    /// Reads the argument of `active:`.
    ///
    /// # Errors
    /// The reason, to be appended to `path:line: `.
    pub fn parse(argument: &str) -> Result<Self, String> {
        let mut ranges = Vec::new();
        for range in argument.split(',') {
            ranges.push(Range::parse(range)?);
        }
        Ok(Self { ranges })
    }

    /// Whether the alert is active in a minute.
    pub fn is_active(&self, minute: WeekMinute) -> bool {
        self.ranges.iter().any(|range| range.contains(minute))
    }

    /// In how many minutes from the start of `minute` the alert becomes active or inactive. `None` if it never changes.
    pub fn minutes_to_edge(&self, minute: WeekMinute) -> Option<u16> {
        let active = self.is_active(minute);
        let mut soonest = None;
        // It can change only at the first minute of a range or at the one behind its last.
        for range in &self.ranges {
            for day in (0..7).filter(|day| range.is_on(*day)) {
                let last_day = if range.from <= range.to { day } else { day + 1 };
                for boundary in [WeekMinute::new(day, 0, range.from), WeekMinute::new(last_day, 0, range.to + 1)] {
                    let minutes = boundary.minutes_since(minute);
                    if soonest.is_none_or(|soonest| minutes < soonest) && self.is_active(boundary) != active {
                        soonest = Some(minutes);
                    }
                }
            }
        }
        soonest
    }
}

impl Range {
    fn parse(text: &str) -> Result<Self, String> {
        let Some((days, from, to)) = fields(text) else {
            return Err(format!("active: expected DAYS;HH:MM-HH:MM, got \"{text}\""));
        };
        let mut mask = 0;
        for day in days.bytes() {
            if !(b'0'..=b'6').contains(&day) {
                return Err(format!("active: a day is a digit from 0 (Sunday) to 6 (Saturday), got \"{days}\""));
            }
            mask |= 1 << (day - b'0');
        }
        // The end of a day is not the start of a range.
        let to = if to.trim() == "24:00" { WeekMinute::PER_DAY - 1 } else { minute_of_day(to)? };
        Ok(Self { days: mask, from: minute_of_day(from)?, to })
    }

    fn is_on(&self, day: u16) -> bool {
        self.days & (1 << day) != 0
    }

    fn contains(&self, minute: WeekMinute) -> bool {
        let (day, time) = (minute.day(), minute.of_day());
        if self.from <= self.to {
            return self.is_on(day) && (self.from..=self.to).contains(&time);
        }
        self.is_on(day) && time >= self.from || self.is_on((day + 6) % 7) && time <= self.to
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.ranges.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            for day in (0..7).filter(|day| range.is_on(*day)) {
                write!(f, "{day}")?;
            }
            let (from, to) = (range.from, range.to);
            write!(f, ";{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)?;
        }
        Ok(())
    }
}

/// Splits `DAYS;HH:MM-HH:MM`. `None` if there are no days.
fn fields(text: &str) -> Option<(&str, &str, &str)> {
    let (days, times) = text.trim().split_once(';')?;
    let (from, to) = times.split_once('-')?;
    (!days.is_empty()).then_some((days, from, to))
}

/// Reads `HH:MM`. One digit is enough for either.
fn minute_of_day(text: &str) -> Result<u16, String> {
    let field = |digits: &str, end: u16| {
        let number = number(digits, 10).filter(|_| digits.len() <= 2)?;
        u16::try_from(number).ok().filter(|number| *number < end)
    };
    let read = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        Some(field(hour, 24)? * 60 + field(minute, 60)?)
    };
    read(text.trim()).ok_or_else(|| format!("active: a time is HH:MM from 00:00 to 23:59, got \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUNDAY: u16 = 0;
    const MONDAY: u16 = 1;
    const SATURDAY: u16 = 6;

    fn at(day: u16, time: &str) -> WeekMinute {
        WeekMinute::new(day, 0, minute_of_day(time).unwrap())
    }

    #[test]
    fn both_minutes_of_a_range_are_active() {
        let weekend = Schedule::parse("06;09:00-17:00").unwrap();
        for (day, time, active) in [
            (SATURDAY, "08:59", false),
            (SATURDAY, "09:00", true),
            (SUNDAY, "17:00", true),
            (SUNDAY, "17:01", false),
            (MONDAY, "12:00", false),
        ] {
            assert_eq!(weekend.is_active(at(day, time)), active, "{day} {time}");
        }
    }

    #[test]
    fn a_range_past_midnight_belongs_to_the_day_it_began() {
        let night = Schedule::parse("6;22:00-06:00").unwrap();
        for (day, time, active) in [
            (SATURDAY, "05:00", false),
            (SATURDAY, "21:59", false),
            (SATURDAY, "22:00", true),
            (SUNDAY, "06:00", true),
            (SUNDAY, "06:01", false),
            (SUNDAY, "23:00", false),
        ] {
            assert_eq!(night.is_active(at(day, time)), active, "{day} {time}");
        }
    }

    #[test]
    fn any_range_of_several_will_do() {
        let both = Schedule::parse("1;09:00-10:00,1;11:00-12:00").unwrap();
        assert!(both.is_active(at(MONDAY, "09:30")));
        assert!(!both.is_active(at(MONDAY, "10:30")));
        assert!(both.is_active(at(MONDAY, "11:30")));
    }

    #[test]
    fn the_next_edge_is_found_across_the_week() {
        let weekend = Schedule::parse("06;00:00-23:59").unwrap();
        assert_eq!(weekend.minutes_to_edge(at(SATURDAY, "00:00")), Some(2 * 1440));
        assert_eq!(weekend.minutes_to_edge(at(MONDAY, "00:00")), Some(5 * 1440));
        assert_eq!(Schedule::parse("0123456;00:00-23:59").unwrap().minutes_to_edge(at(MONDAY, "01:00")), None);
    }

    #[test]
    fn the_next_edge_is_the_first_minute_that_differs() {
        for text in ["06;09:00-17:00", "6;22:00-06:00", "12345;22:00-06:00,0;00:00-23:59", "1;09:00-10:00,1;10:01-12:00,2;10:30-10:30"] {
            let schedule = Schedule::parse(text).unwrap();
            for start in (0..WeekMinute::PER_WEEK).step_by(7).map(WeekMinute) {
                let differs = |later: &u16| schedule.is_active(start.after(*later)) != schedule.is_active(start);
                assert_eq!(schedule.minutes_to_edge(start), (1..=WeekMinute::PER_WEEK).find(differs), "{text} {start:?}");
            }
        }
    }

    #[test]
    fn what_was_parsed_is_printed_again() {
        for text in ["06;09:00-17:00", "12345;22:00-06:00,0;00:00-23:59"] {
            assert_eq!(Schedule::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn one_digit_is_enough_and_a_day_may_end_at_24_00() {
        for (text, same) in
            [("1;8:00-9:30", "1;08:00-09:30"), ("1;8:5-10:00", "1;08:05-10:00"), ("0123456;00:00-24:00", "0123456;00:00-23:59")]
        {
            assert_eq!(Schedule::parse(text), Schedule::parse(same), "{text}");
        }
        let late = Schedule::parse("1;22:00-24:00").unwrap();
        assert!(late.is_active(at(MONDAY, "23:59")) && !late.is_active(at(MONDAY + 1, "00:00")));
    }

    #[test]
    fn malformed_times_are_refused_with_a_reason() {
        for (text, part) in [
            ("", "expected DAYS"),
            ("06", "expected DAYS"),
            (";09:00-10:00", "expected DAYS"),
            ("06;09:00", "expected DAYS"),
            ("7;09:00-10:00", "0 (Sunday) to 6"),
            ("06;09:00-24:01", "got \"24:01\""),
            ("06;24:00-09:00", "got \"24:00\""),
            ("06;009:00-17:00", "got \"009:00\""),
            ("06;:00-17:00", "got \":00\""),
            ("06;09:60-17:00", "got \"09:60\""),
            ("06;09:00-17:00,", "expected DAYS"),
            ("06;+9:00-17:00", "got \"+9:00\""),
        ] {
            let reason = Schedule::parse(text).unwrap_err();
            assert!(reason.contains(part), "{text}: {reason}");
        }
    }
}
