//! One entry of the journal, as `journalctl -o json` prints it. All but the fields that begin with `_` can be anyone's.

use super::json::read_object;
use crate::lines::MAX_LINE;
use crate::text::{lossy, truncate};
use crate::wire::Cursor;

/// What is needed of an entry.
pub(super) struct Entry {
    pub(super) cursor: Cursor,
    /// The unit that it is of, or that the system says something about; empty if there is none.
    pub(super) unit: String,
    /// `NAME[PID]: MESSAGE`, without a newline.
    pub(super) line: String,
    /// Whether the line was longer than [`MAX_LINE`] and is cut.
    pub(super) is_cut: bool,
}

impl Entry {
    /// The fields that are asked for; those that begin with two underscores come by themselves.
    pub(super) const FIELDS: [&'static str; 10] = [
        "MESSAGE",
        "SYSLOG_IDENTIFIER",
        "SYSLOG_PID",
        "UNIT",
        "OBJECT_SYSTEMD_UNIT",
        "COREDUMP_UNIT",
        "_SYSTEMD_UNIT",
        "_COMM",
        "_PID",
        "_UID",
    ];

    /// Reads a line in JSON. `None` if it is none, or has no cursor.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let mut values: [String; Self::FIELDS.len()] = Default::default();
        let cursor = read_fields(json, &mut values)?;
        let [message, identifier, given_pid, unit, object_unit, coredump_unit, own_unit, command, pid, user] = values;
        let unit = [(pid == "1", unit), (user == "0", object_unit), (user == "0", coredump_unit), (true, own_unit)]
            .into_iter()
            .find_map(|(is_trusted, unit)| (is_trusted && !unit.is_empty()).then_some(unit))
            .unwrap_or_default();
        let mut line = [&*identifier, unit.strip_suffix(".service").unwrap_or(&unit), &*command]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default()
            .to_string();
        let is_pid = |pid: &&String| !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit());
        if let Some(pid) = [pid, given_pid].iter().find(is_pid) {
            line += "[";
            line += pid;
            line += "]";
        }
        if !line.is_empty() {
            line += ": ";
        }
        line += message.trim_end();
        if line.contains('\n') {
            line = line.lines().collect::<Vec<_>>().join(Self::NEWLINE);
        }
        let is_cut = line.len() > MAX_LINE;
        line.truncate(truncate(&line, MAX_LINE).len());
        Some(Self { cursor, unit, line, is_cut })
    }

    /// Stands in a line for a newline within a message.
    const NEWLINE: &'static str = " ⏎ ";
}

/// Puts the values of [`Entry::FIELDS`] in their places. Returns the cursor.
fn read_fields(json: &[u8], values: &mut [String; Entry::FIELDS.len()]) -> Option<Cursor> {
    let mut cursor = None;
    read_object(json, &mut |name, value| {
        if name == b"__CURSOR" {
            cursor = Cursor::parse_field(&lossy(value));
        } else if let Some(at) = Entry::FIELDS.iter().position(|field| field.as_bytes() == name) {
            values[at] = lossy(value).into();
        }
    })?;
    cursor
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURSOR: &str = "s=e8f5f2b1e6564dd6bb67f0c1175ff5e5;i=9f2;b=9926e35bf432467f9f3e9261f7119bfb;m=58;t=66;x=8f";

    fn parse(fields: &str) -> Option<(String, String)> {
        let json = format!("{{\"__CURSOR\":\"{CURSOR}\",{fields},\"__MONOTONIC_TIMESTAMP\":\"5\"}}");
        Entry::parse(json.as_bytes()).map(|entry| (entry.unit, entry.line))
    }

    #[test]
    fn a_line_is_what_syslog_would_have_with_the_unit_or_the_command_where_there_is_no_identifier() {
        for (fields, unit, line) in [
            (
                r#""SYSLOG_IDENTIFIER":"sshd","_PID":"7","_SYSTEMD_UNIT":"ssh.service","MESSAGE":"Failed \"x\"""#,
                "ssh.service",
                "sshd[7]: Failed \"x\"",
            ),
            (r#""_PID":"7","_COMM":"x","_SYSTEMD_UNIT":"a.service","MESSAGE":"m""#, "a.service", "a[7]: m"),
            (r#""_COMM":"x","SYSLOG_PID":"9","MESSAGE":"m""#, "", "x[9]: m"),
            (r#""SYSLOG_IDENTIFIER":"kernel","SYSLOG_PID":"a]: b","MESSAGE":"m  ""#, "", "kernel: m"),
            (r#""SYSLOG_IDENTIFIER":"x","MESSAGE":null"#, "", "x: "),
            (r#""MESSAGE":"only""#, "", "only"),
            (r#""PRIORITY":"3""#, "", ""),
        ] {
            assert_eq!(parse(fields), Some((unit.into(), line.into())), "{fields}");
        }
    }

    #[test]
    fn bytes_several_values_and_newlines_make_one_line() {
        for (message, line) in [
            ("[97,98,0,255,10,99]", "ab\0\u{fffd} ⏎ c"),
            (r#"["two","three"]"#, "two three"),
            (r#"[[97,98],"c"]"#, "ab c"),
            (r#""a\nb\r\nc\n\n""#, "a ⏎ b ⏎ c"),
            (r#""\u001b[1m\ud83d\ude00""#, "\u{1b}[1m😀"),
            ("[]", ""),
        ] {
            assert_eq!(parse(&format!("\"MESSAGE\":{message}")), Some((String::new(), line.to_string())), "{message}");
        }
    }

    #[test]
    fn only_the_system_says_which_other_unit_a_line_is_about() {
        for (fields, unit) in [
            (r#""_PID":"1","UNIT":"ssh.service","_SYSTEMD_UNIT":"init.scope""#, "ssh.service"),
            (r#""_PID":"2","UNIT":"ssh.service","_SYSTEMD_UNIT":"evil.service""#, "evil.service"),
            (r#""_PID":"2","_UID":"0","COREDUMP_UNIT":"ssh.service""#, "ssh.service"),
            (r#""_PID":"2","_UID":"7","OBJECT_SYSTEMD_UNIT":"ssh.service""#, ""),
        ] {
            assert_eq!(parse(fields).unwrap().0, unit, "{fields}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_at_a_character() {
        let json = format!("{{\"MESSAGE\":\"{}\",\"__CURSOR\":\"{CURSOR}\"}}", "é".repeat(MAX_LINE));
        let entry = Entry::parse(json.as_bytes()).unwrap();
        assert!(entry.is_cut && entry.line.len() == MAX_LINE, "{}", entry.line.len());
    }

    #[test]
    fn what_is_cut_off_or_no_entry_is_none() {
        let whole = format!("{{\"MESSAGE\":[97,[98],\"c\"],\"__CURSOR\":\"{CURSOR}\",\"_PID\":\"1\"}}");
        assert!(Entry::parse(whole.as_bytes()).is_some());
        assert!((0..whole.len()).all(|end| Entry::parse(&whole.as_bytes()[..end]).is_none()));
        for other in ["-- No entries --", "{}", "[1]", "{\"__CURSOR\":\"s=1\"}", "{\"a\":{\"b\":1}}", "{\"a\":]", "\"a\"", "{\"a\" 1}"] {
            assert!(Entry::parse(other.as_bytes()).is_none(), "{other}");
        }
    }
}
