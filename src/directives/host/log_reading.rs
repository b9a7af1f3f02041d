//! How the lines of a log become text: `encoding:` and `strip:`. A log is read once for all its groups, which have to agree.

use super::group::Group;
use super::log_source::LogSource;
use super::rule::{LogRule, Rule};
use crate::encoding::Encoding;

/// Takes `encoding:` or `strip:`, whichever it is.
///
/// # Errors
/// The argument means nothing, or the log has no encoding of its own.
pub(super) fn set(rule: &mut LogRule, name: &str, argument: &str) -> Result<(), String> {
    if name == "strip" {
        rule.is_stripped = argument.eq_ignore_ascii_case("ansi");
        return if rule.is_stripped { Ok(()) } else { Err(format!("strip: is ansi, got \"{argument}\"")) };
    }
    if rule.log == LogSource::Journal {
        return Err("encoding: has no meaning in a group that journal: opens: the journal is UTF-8".into());
    }
    let unknown = || format!("encoding: is utf-8, utf-16, utf-16le or utf-16be, got \"{argument}\"");
    rule.encoding = Encoding::parse(argument).ok_or_else(unknown)?;
    Ok(())
}

/// Checks the last group against those before it that follow the same log.
///
/// # Errors
/// They say differently how it is read.
pub(super) fn agree(groups: &[Group<'_>]) -> Result<(), String> {
    let Some((Group { rule: Rule::Log(rule), .. }, before)) = groups.split_last() else { return Ok(()) };
    let same = before.iter().find_map(|group| match &group.rule {
        Rule::Log(other) if other.log == rule.log => Some((group, other)),
        _ => None,
    });
    let Some((group, other)) = same else { return Ok(()) };
    let strip = |rule: &LogRule| if rule.is_stripped { "strip: ansi" } else { "no strip:" };
    let (here, there) = match () {
        () if rule.encoding != other.encoding => (encoding(rule), encoding(other)),
        () if rule.is_stripped != other.is_stripped => (strip(rule).into(), strip(other).into()),
        () => return Ok(()),
    };
    let place = group.lines.first().map_or_else(String::new, |line| format!("{}:{}", line.path, line.number));
    Err(format!("{} has {here}, and {there} in the group at {place}: all groups of a log read it alike", rule.log.field()))
}

fn encoding(rule: &LogRule) -> String {
    format!("encoding: {}", rule.encoding.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::host::HostFile;
    use crate::directives::Source;

    fn parse(text: &str) -> HostFile<'_> {
        HostFile::parse(Source { path: "nas1", text }.lines())
    }

    #[test]
    fn a_group_says_how_its_log_is_read() {
        for (lines, encoding, is_stripped) in [
            ("", Encoding::Utf8, false),
            ("encoding: utf-16\n", Encoding::Utf16, false),
            ("encoding: UTF-16LE\nstrip: ANSI\n", Encoding::Utf16Le, true),
            ("strip: ansi\nencoding: Utf-16be\n", Encoding::Utf16Be, true),
            ("encoding: utf-8\n", Encoding::Utf8, false),
        ] {
            for log in ["/a", "/a/*.log", "|type a"] {
                let text = format!("file: {log}\n{lines}match: x\nalert_all: tags=T\n");
                let file = parse(&text);
                let [Group { rule: Rule::Log(rule), .. }] = &file.groups[..] else { panic!("{:?}", file.faults) };
                assert_eq!((rule.encoding, rule.is_stripped), (encoding, is_stripped), "{text}");
            }
        }
        let file = parse("journal: ssh\nmatch: x\nstrip: ansi\nalert_all: tags=T\n");
        assert!(matches!(&file.groups[0].rule, Rule::Log(LogRule { is_stripped: true, .. })), "{:?}", file.faults);
    }

    #[test]
    fn faults_name_file_line_and_reason() {
        let with = |lines: &str| format!("file: /a\n{lines}\nmatch: x\nalert_all: tags=T");
        for (text, fault) in [
            (with("encoding: latin1"), "nas1:2: encoding: is utf-8, utf-16, utf-16le or utf-16be, got \"latin1\""),
            (with("encoding: utf-16\nencoding: utf-16"), "nas1:3: encoding: is given twice"),
            (with("strip: colours"), "nas1:2: strip: is ansi, got \"colours\""),
            (with("strip: ansi\nstrip: ansi"), "nas1:3: strip: is given twice"),
            ("encoding: utf-16".into(), "nas1:1: encoding: must be in a group that file: opens"),
            ("run: command=df extract=(a)\nstrip: ansi".into(), "nas1:2: strip: must be in a group that file: or journal: opens"),
            (
                "journal:\nencoding: utf-16\nmatch: x\nalert_all: tags=T".into(),
                "nas1:2: encoding: has no meaning in a group that journal: opens",
            ),
        ] {
            let faults = parse(&text).faults;
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
            assert!(faults[0].to_string().starts_with(fault), "{text}: {faults:?}");
        }
    }

    #[test]
    fn groups_of_one_log_have_to_agree() {
        let group = |lines: &str, log: &str| format!("file: {log}\n{lines}match: x\nalert_all: tags=T\n");
        for (one, other, fault) in [
            (
                "",
                "encoding: utf-16\n",
                "nas1:7: alert_all: /a has encoding: utf-16, and encoding: utf-8 in the group at nas1:1: all groups",
            ),
            ("strip: ansi\n", "", "nas1:7: alert_all: /a has no strip:, and strip: ansi in the group at nas1:1: all groups of a log"),
            ("encoding: utf-16le\n", "encoding: utf-16\n", "nas1:8: alert_all: /a has encoding: utf-16, and encoding: utf-16le in the"),
        ] {
            let text = group(one, "/a") + &group(other, "/a") + &group(other, "/b") + &group(one, "/a");
            let file = parse(&text);
            assert_eq!((file.groups.len(), file.faults.len()), (3, 1), "{text}: {:?}", file.faults);
            assert!(file.faults[0].to_string().starts_with(fault), "{:?}", file.faults);
        }
        let both = group("encoding: utf-16\nstrip: ansi\n", "/a").repeat(2);
        assert_eq!(parse(&both).faults, []);
    }
}
