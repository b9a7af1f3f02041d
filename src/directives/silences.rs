//! The file of silences: whose events go to no output, and until when.

use super::source::{Fault, Source, SourceLine};
use crate::date::{parse_rfc3339, Zone};
use crate::text::{number, sanitize_field};
use crate::wildcard;

/// The silences of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Silences {
    /// In the order of the file.
    pub list: Vec<Silence>,
}

/// One line: `HOST[/TAGS] UNTIL [REASON]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The host, with `*` for any characters and `?` for one.
    pub host: String,
    /// All tags of an event, or one part between its commas. `None` for all events of the host.
    pub tags: Option<String>,
    /// When it ends, in seconds since 1970.
    pub until: u64,
    /// What people say about it; may be empty.
    pub reason: String,
    /// The line, counted from 1; 0 if it is not in a file yet.
    pub line: usize,
}

impl Silences {
    /// Most silences of one file.
    const MAX: usize = 1000;

    /// Reads the file. Lines that are wrong are faults, and leave the others.
    pub fn parse(source: Source<'_>) -> (Self, Vec<Fault>) {
        let (mut silences, mut faults) = (Self::default(), Vec::new());
        for line in source.lines() {
            match Silence::parse(&line) {
                Ok(_) if silences.list.len() == Self::MAX => {
                    faults.push(line.fault(format!("there are more than {} silences", Self::MAX)));
                    break;
                }
                Ok(silence) => silences.list.push(silence),
                Err(fault) => faults.push(fault),
            }
        }
        (silences, faults)
    }

    /// Whether an event with these tags goes to no output at that time, in seconds since 1970.
    pub fn covers(&self, host: &str, tags: &str, unix: u64) -> bool {
        self.list.iter().any(|silence| silence.covers(host, tags, unix))
    }

    /// Whether all events of a host go to no output at that time.
    pub fn covers_host(&self, host: &str, unix: u64) -> bool {
        self.list.iter().any(|silence| silence.tags.is_none() && silence.covers(host, "", unix))
    }
}

impl Silence {
    /// Most seconds that one lasts.
    pub const LONGEST: u64 = 366 * 86_400;

    fn parse(line: &SourceLine<'_>) -> Result<Self, Fault> {
        let expected = "expected HOST[/TAGS] UNTIL [REASON], with UNTIL such as 2026-12-01T08:00:00+01:00";
        let (target, rest) = line.text.split_once(char::is_whitespace).ok_or_else(|| line.fault(expected))?;
        let rest = rest.trim_start();
        let (until, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let (host, tags) = Self::parse_target(target).map_err(|reason| line.fault(reason))?;
        let until = parse_rfc3339(until).ok_or_else(|| line.fault(format!("{expected}, got \"{until}\"")))?;
        Ok(Self { host, tags, until, reason: reason.trim().to_string(), line: line.number })
    }

    /// Reads `HOST[/TAGS]`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_target(target: &str) -> Result<(String, Option<String>), String> {
        let (host, tags) = target.split_once('/').map_or((target, None), |(host, tags)| (host, Some(tags)));
        let is_word = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace) && sanitize_field(word) == word;
        if !is_word(host) || host.starts_with('#') || !tags.is_none_or(is_word) {
            return Err(format!("expected HOST or HOST/TAGS, got \"{target}\""));
        }
        Ok((host.to_string(), tags.map(str::to_string)))
    }

    /// Reads a duration such as `30m`, `2h` or `1d12h`. Returns seconds. `None` for another form, and for more than a year.
    pub fn parse_duration(text: &str) -> Option<u64> {
        let (mut seconds, mut rest) = (0_u64, text);
        while !rest.is_empty() || text.is_empty() {
            let at = rest.find(|c: char| !c.is_ascii_digit())?;
            let unit = match rest.as_bytes()[at] {
                b's' => 1,
                b'm' => 60,
                b'h' => 3600,
                b'd' => 86_400,
                _ => return None,
            };
            seconds = seconds.checked_add(number(&rest[..at], 10)?.checked_mul(unit)?)?;
            rest = &rest[at + 1..];
        }
        Some(seconds).filter(|seconds| (1..=Self::LONGEST).contains(seconds))
    }

    /// `HOST[/TAGS]`.
    pub fn target(&self) -> String {
        self.tags.as_ref().map_or_else(|| self.host.clone(), |tags| format!("{}/{tags}", self.host))
    }

    /// The line of the file, with its end in the local time.
    pub fn emit(&self, zone: Zone) -> String {
        format!("{} {} {}", self.target(), zone.rfc3339(self.until), self.reason).trim_end().to_string()
    }

    fn covers(&self, host: &str, tags: &str, unix: u64) -> bool {
        let has_tags = |wanted: &String| wildcard::matches_tags(wanted, tags);
        unix < self.until && wildcard::matches(&self.host, host) && self.tags.as_ref().is_none_or(has_tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Silences, Vec<String>) {
        let (silences, faults) = Silences::parse(Source { path: "s", text });
        (silences, faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn emit_and_parse_are_inverses() {
        for (text, zone) in [
            ("nas 2026-12-01T08:00:00+00:00", Zone(|_| 0)),
            ("nas*/DISK 2026-12-01T08:00:00+01:00 new disks, see the note", Zone(|_| 3600)),
            ("?/A,B 2026-12-01T08:00:00-05:30", Zone(|_| -19_800)),
        ] {
            let (silences, faults) = parse(text);
            assert_eq!((silences.list[0].emit(zone).as_str(), faults.len()), (text, 0));
        }
    }

    #[test]
    fn a_bad_line_is_a_fault_and_leaves_the_others() {
        let (silences, faults) =
            parse("# maintenance\nnas\nnas tomorrow\nnas/ 2026-12-01T08:00Z\nnas 2026-12-01T08:00\nweb 2026-12-01T08:00Z");
        assert_eq!((silences.list.len(), silences.list[0].line), (1, 6));
        let expected = "expected HOST[/TAGS] UNTIL [REASON], with UNTIL such as 2026-12-01T08:00:00+01:00";
        assert_eq!(
            faults,
            [
                format!("s:2: {expected}"),
                format!("s:3: {expected}, got \"tomorrow\""),
                "s:4: expected HOST or HOST/TAGS, got \"nas/\"".into(),
                format!("s:5: {expected}, got \"2026-12-01T08:00\""),
            ]
        );
        let (silences, faults) = parse(&"h 2026-12-01T08:00Z\n".repeat(1100));
        assert_eq!((silences.list.len(), faults.len()), (1000, 1));
    }

    #[test]
    fn a_silence_covers_its_host_and_tags_until_it_ends() {
        let (silences, _) = parse("nas* 1970-01-01T00:01Z\nweb/DISK,OLD 1970-01-01T00:02Z\nweb/LOG? 1970-01-01T00:02Z");
        for (host, tags, unix, covered) in [
            ("nas1", "ANY", 59, true),
            ("nas1", "ANY", 60, false),
            ("xnas1", "ANY", 1, false),
            ("web", "DISK,OLD", 1, true),
            ("web", "DISK", 1, false),
            ("web", "A,LOG1", 119, true),
            ("web", "LOG", 1, false),
        ] {
            assert_eq!(silences.covers(host, tags, unix), covered, "{host} {tags} {unix}");
        }
        assert!(silences.covers_host("nas", 1) && !silences.covers_host("web", 1));
    }

    #[test]
    fn durations_have_units() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d12h", 129_600), ("366d", 31_622_400)] {
            assert_eq!(Silence::parse_duration(text), Some(seconds), "{text}");
        }
        for text in ["", "0s", "30", "h", "2x", "367d", "-1h", "1h 2m", "99999999999999999999h", "2ü"] {
            assert_eq!(Silence::parse_duration(text), None, "{text}");
        }
    }
}
