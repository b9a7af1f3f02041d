//! Local time: the time zone of this system, as `TZ`, `/etc/localtime` or OpenWrt's `/etc/TZ` names it. That of static C libraries knows
//! the last one not, has 32 bits on some systems, and takes twice as much.

use super::Lasting;

/// When the clock of the zone is how far ahead of UTC.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Zone {
    /// From when on it is so many seconds ahead; the first is from ever.
    changes: Vec<(i64, i32)>,
    /// What counts after the last change.
    rule: Option<Rule>,
}

/// The summer of every year, as the end of `TZ=CET-1CEST,M3.5.0,M10.5.0/3` has it (POSIX, "Other Environment Variables").
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    standard: i32,
    summer: i32,
    /// Its beginning in standard time, and its end in summer time; nothing where there is none.
    turns: Option<[Turn; 2]>,
}

#[derive(Debug, PartialEq, Eq)]
struct Turn {
    day: Day,
    /// Seconds after midnight; may be before or some days later.
    time: i32,
}

#[derive(Debug, PartialEq, Eq)]
enum Day {
    /// Of the year, from 0.
    Plain(i32),
    /// Of the year, from 1, where February always has 28.
    Julian(i32),
    /// That weekday of that week of the month, of which the fifth is the last.
    Month { month: i32, week: i32, weekday: i32 },
}

const DAY: i64 = 24 * 60 * 60;

/// How many seconds local time is ahead of UTC at so many seconds since 1970.
pub(super) fn offset(unix: i64) -> i32 {
    static HERE: Lasting<Zone> = Lasting::new();
    HERE.get().unwrap_or_else(|| HERE.set(Zone::of_system())).offset(unix)
}

fn file(path: &str) -> Option<Vec<u8>> {
    super::read_file(path).ok()
}

impl Zone {
    const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo/", "/share/zoneinfo/", "/etc/zoneinfo/"];

    fn of_system() -> Self {
        let named = match super::start::variable("TZ") {
            Some(name) => Self::named(name),
            None => match file("/etc/localtime") {
                Some(bytes) => Self::read(&bytes),
                None => file("/etc/TZ").and_then(|name| Self::named(name.trim_ascii())),
            },
        };
        named.unwrap_or(Self { changes: vec![(i64::MIN, 0)], rule: None })
    }

    /// What `TZ` says: a rule, or the name of a file.
    fn named(name: &[u8]) -> Option<Self> {
        if let Some(rule) = Rule::parse(name) {
            return Some(Self { changes: Vec::new(), rule: Some(rule) });
        }
        let name = std::str::from_utf8(name.strip_prefix(b":").unwrap_or(name)).ok()?;
        let folders = if name.starts_with('/') { &[""][..] } else { &Self::FOLDERS };
        Self::read(&folders.iter().find_map(|folder| file(&[folder, name].concat()))?)
    }

    /// A file of the time zone database (RFC 8536).
    fn read(bytes: &[u8]) -> Option<Self> {
        const HEADER: usize = 44;
        let mut body = bytes.strip_prefix(b"TZif").and(bytes.get(HEADER..))?;
        let mut counts = Counts::of(bytes)?;
        let mut width = 4;
        if bytes[4] >= b'2' {
            // First comes the same in 32 bits.
            let second = body.get(counts.length(width)..)?;
            counts = Counts::of(second)?;
            body = second.get(HEADER..)?;
            width = 8;
        }
        let (times, rest) = body.split_at_checked(counts.times * width)?;
        let (kinds, rest) = rest.split_at_checked(counts.times)?;
        let ahead = |kind: u8| Some(i32::from_be_bytes(rest.get(usize::from(kind) * 6..)?.first_chunk().copied()?));
        let mut changes = vec![(i64::MIN, ahead(0)?)];
        for (time, kind) in times.chunks_exact(width).zip(kinds) {
            // Wider than it is, with the sign that it has.
            let time = time.iter().fold(if time[0] < 0x80 { 0 } else { -1 }, |number, byte| number << 8 | i64::from(*byte));
            if time < 0 {
                changes.clear();
            }
            changes.push((time, ahead(*kind)?));
        }
        let rule = body.get(counts.length(width)..).and_then(|end| Rule::parse(end.trim_ascii()));
        Some(Self { changes, rule })
    }

    fn offset(&self, unix: i64) -> i32 {
        let before = self.changes.partition_point(|(from, _)| *from <= unix);
        match (&self.rule, before.checked_sub(1)) {
            (Some(rule), _) if before == self.changes.len() => rule.offset(unix),
            (_, last) => self.changes.get(last.unwrap_or(0)).map_or(0, |(_, ahead)| *ahead),
        }
    }
}

/// What the header of such a file counts.
struct Counts {
    times: usize,
    leaps: usize,
    /// Bytes of what is as long in both parts.
    others: usize,
}

impl Counts {
    fn of(header: &[u8]) -> Option<Self> {
        let count = |at: usize| Some(u32::from_be_bytes(header.get(20 + 4 * at..)?.first_chunk().copied()?) as usize & 0xffff);
        let (utc, standard, kinds, names) = (count(0)?, count(1)?, count(4)?, count(5)?);
        Some(Self { times: count(3)?, leaps: count(2)?, others: utc + standard + 6 * kinds + names })
    }

    /// Bytes of all of it, where a time has so many.
    fn length(&self, width: usize) -> usize {
        self.times * (width + 1) + self.leaps * (width + 4) + self.others
    }
}

impl Rule {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut reader = Reader(text);
        reader.name()?;
        let standard = -reader.seconds()?;
        let mut rule = Self { standard, summer: standard, turns: None };
        if reader.0.is_empty() {
            return Some(rule);
        }
        reader.name()?;
        let is_offset = !matches!(reader.0, [] | [b',', ..]);
        rule.summer = if is_offset { -reader.seconds()? } else { standard + 60 * 60 };
        if reader.0.is_empty() {
            // As elsewhere where nothing is said: the summer of the United States.
            reader.0 = b",M3.2.0,M11.1.0";
        }
        rule.turns = Some([reader.turn()?, reader.turn()?]);
        Some(rule)
    }

    fn offset(&self, unix: i64) -> i32 {
        let Some([begin, end]) = &self.turns else { return self.standard };
        let (year, ..) = date(days(unix + i64::from(self.standard)));
        let begin = begin.in_year(year) - i64::from(self.standard);
        let end = end.in_year(year) - i64::from(self.summer);
        // In the south, summer lasts over the end of the year.
        let is_summer = if begin < end { (begin..end).contains(&unix) } else { !(end..begin).contains(&unix) };
        if is_summer {
            self.summer
        } else {
            self.standard
        }
    }
}

impl Turn {
    /// When it is in that year, in local time before it.
    fn in_year(&self, year: i32) -> i64 {
        let day = match self.day {
            Day::Plain(day) => first_of(year, 1) + day,
            Day::Julian(day @ 60..) => first_of(year, 3) + day - 60,
            Day::Julian(day) => first_of(year, 1) + day - 1,
            Day::Month { month, week, weekday } => {
                let first = first_of(year, month);
                // 1970 began with a Thursday.
                let day = first + (weekday - first - 4).rem_euclid(7) + 7 * (week - 1);
                if date(day).1 == month {
                    day
                } else {
                    day - 7
                }
            }
        };
        i64::from(day) * DAY + i64::from(self.time)
    }
}

/// What is left of a rule.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Passes over letters, or over anything in `<>`.
    fn name(&mut self) -> Option<()> {
        let quoted = self.take(b'<');
        let is_end = |byte: &u8| if quoted { *byte == b'>' } else { !byte.is_ascii_alphabetic() };
        let length = self.0.iter().position(is_end).unwrap_or(self.0.len());
        self.0 = &self.0[length..];
        (length > 0 && (!quoted || self.take(b'>'))).then_some(())
    }

    fn number(&mut self) -> Option<i32> {
        let before = self.0.len();
        let mut number = 0;
        while let [digit @ b'0'..=b'9', rest @ ..] = self.0 {
            number = (number * 10 + i32::from(digit - b'0')).min(9999);
            self.0 = rest;
        }
        (self.0.len() < before).then_some(number)
    }

    /// Hours and perhaps minutes and seconds, with a sign or without.
    fn seconds(&mut self) -> Option<i32> {
        let negative = self.take(b'-');
        let _ = negative || self.take(b'+');
        let mut seconds = self.number()? * 3600;
        for unit in [60, 1] {
            if self.take(b':') {
                seconds += self.number()? * unit;
            }
        }
        Some(if negative { -seconds } else { seconds })
    }

    fn turn(&mut self) -> Option<Turn> {
        if !self.take(b',') {
            return None;
        }
        let day = if self.take(b'M') {
            let mut next = || self.number().inspect(|_| _ = self.take(b'.'));
            Day::Month { month: next()?.clamp(1, 12), week: next()?.clamp(1, 5), weekday: next()? }
        } else if self.take(b'J') {
            Day::Julian(self.number()?)
        } else {
            Day::Plain(self.number()?)
        };
        let time = if self.take(b'/') { self.seconds()? } else { 2 * 3600 };
        Some(Turn { day, time })
    }
}

/// The days from 1970 on at so many seconds.
pub(super) fn days(seconds: i64) -> i32 {
    i32::try_from(seconds.div_euclid(DAY)).unwrap_or_default()
}

/// The year, the month and the day, both from 1, so many days after 1970-01-01. Here years begin in March, so that the leap day is the
/// last of them, and 400 of them are alike.
pub(super) fn date(days: i32) -> (i32, i32, i32) {
    let days = days + TO_1970;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (day * 5 + 2) / 153;
    let next_year = i32::from(month >= 10);
    (era * 400 + year + next_year, month + 3 - 12 * next_year, day - (month * 153 + 2) / 5 + 1)
}

/// The days from 1970 on at the first day of that month.
fn first_of(year: i32, month: i32) -> i32 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (month * 153 + 2) / 5 - TO_1970
}

/// From the first of March of the year 0.
const TO_1970: i32 = 719_468;
/// The days of 400 years.
const ERA: i32 = 146_097;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        let mut expected = (1969, 1, 1);
        for day in -365..3_000_000 {
            assert_eq!(date(day), expected);
            if expected.2 == 1 {
                assert_eq!(first_of(expected.0, expected.1), day);
            }
            let (year, month, of_month) = expected;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][usize::try_from(month - 1).unwrap()];
            expected = match (of_month < length, month < 12) {
                (true, _) => (year, month, of_month + 1),
                (false, true) => (year, month + 1, 1),
                (false, false) => (year + 1, 1, 1),
            };
        }
    }

    #[test]
    fn rules_turn_the_clock_at_their_second() {
        for (rule, turns) in [
            ("CET-1CEST,M3.5.0,M10.5.0/3", &[(1_774_746_000, 3600, 7200), (1_792_890_000, 7200, 3600)][..]),
            ("EST5EDT", &[(1_772_953_200, -18_000, -14_400), (1_793_512_800, -14_400, -18_000)]),
            ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", &[(1_775_314_800, 39_600, 37_800), (1_791_041_400, 37_800, 39_600)]),
            ("A0B,J60/0,300/-1", &[(1_772_323_200, 0, 3600), (1_793_142_000 - 3600, 3600, 0), (1_835_481_600, 0, 3600)]),
            ("UTC0", &[(1_774_746_000, 0, 0)]),
            ("<-03>3", &[(1_774_746_000, -10_800, -10_800)]),
        ] {
            let zone = Zone::named(rule.as_bytes()).unwrap();
            for (time, before, after) in turns {
                assert_eq!((zone.offset(time - 1), zone.offset(*time)), (*before, *after), "{rule} {time}");
            }
        }
        for none in ["", "5", "ABC", "CET-", "CET-1CEST,", "CET-1CEST,M3.5,M10.5.0", "CET-1CEST,M3.5.0", "no/such", "<+3"] {
            assert_eq!(Zone::named(none.as_bytes()), None, "{none}");
        }
    }

    /// A part of a file: changes in so many bytes, each with its kind.
    fn part(version: u8, width: usize, changes: &[(i64, u8)]) -> Vec<u8> {
        let mut bytes = [b"TZif".as_slice(), &[version], &[0; 15]].concat();
        for count in [1_u32, 2, 1, u32::try_from(changes.len()).unwrap(), 2, 8] {
            bytes.extend(count.to_be_bytes());
        }
        changes.iter().for_each(|(time, _)| bytes.extend(&time.to_be_bytes()[8 - width..]));
        bytes.extend(changes.iter().map(|(_, kind)| kind));
        bytes.extend(b"\0\0\x0e\x10\0\0\xff\xff\xf1\xf0\x01\x04CET\0CES\0");
        bytes.extend(vec![0; width + 4 + 3]);
        bytes
    }

    #[test]
    fn files_of_both_kinds_are_read() {
        let changes = [(-2_000_000_000, 1), (-1_000_000_000, 0), (1_000_000_000, 1), (1_100_000_000, 0)];
        let old = part(0, 4, &changes);
        let new = [part(b'2', 4, &[]), part(b'2', 8, &changes), b"\nA-1B,M3.5.0,M10.5.0/3\n".to_vec()].concat();
        for (bytes, later) in [(&old, 3600), (&new, 7200)] {
            let zone = Zone::read(bytes).unwrap();
            for (time, ahead) in [(0, 3600), (999_999_999, 3600), (1_000_000_000, -3600), (1_100_000_000, 3600), (1_774_746_000, later)] {
                assert_eq!(zone.offset(time), ahead, "{time}");
            }
            for end in 0..bytes.len() {
                // Whatever is missing, reading it ends.
                let _ = Zone::read(&bytes[..end]);
            }
        }
        assert_eq!(Zone::read(b"no zone"), None);
    }

    /// As the C library of this system has it, whatever zone that is in.
    #[test]
    fn local_time_is_that_of_the_c_library() {
        for unix in (0..2_147_000_000).step_by(1_000_003) {
            // SAFETY: all fields are numbers or a pointer, for which zero is a value; both point to values that live through the call.
            let expected = unsafe {
                let mut tm: libc::tm = std::mem::zeroed();
                #[allow(clippy::useless_conversion, reason = "32 bits on some systems")]
                let time: libc::time_t = unix.try_into().unwrap();
                libc::localtime_r(&time, &mut tm);
                tm.tm_gmtoff
            };
            assert_eq!(i64::from(offset(unix)), expected, "{unix}");
        }
    }
}
