//! What kinds of events a Python agent makes. Its events do not say so, but the rules that it has do, mostly.

use crate::directives::host::HostFile;
use crate::wire::Kind;

/// What the rules of one host make events of.
#[derive(Debug, Default)]
pub(super) struct ClassicKinds(Vec<Maker>);

/// One alert.
#[derive(Debug)]
struct Maker {
    kind: Kind,
    tags: Box<str>,
    /// The texts that its events have.
    text: Text,
}

#[derive(Debug)]
enum Text {
    /// A line.
    Any,
    /// The message.
    Exact(Box<str>),
    /// The message, and the number of processes behind it.
    Counted(Box<str>),
    /// A number.
    Number,
}

impl ClassicKinds {
    /// The keys that may follow the tags in the line of an alert.
    const KEYS: [&'static str; 9] =
        [" seconds=", " threshold=", " min=", " max=", " match=", " upper_limit=", " lower_limit=", " metric=", " message="];

    pub(super) fn of(file: &HostFile<'_>) -> Self {
        let lines = file.groups.iter().filter_map(|group| group.classic_lines().ok()).flatten();
        Self(lines.filter_map(|line| Maker::of(&line)).collect())
    }

    /// The kind of an event with these tags and that text. `None` if no rule or rules of several kinds could have made it.
    pub(super) fn kind_of(&self, tags: &str, text: &str) -> Option<Kind> {
        let system = (tags == "SYSTEM").then_some(Kind::System);
        let mut kinds = self.0.iter().filter(|maker| *maker.tags == *tags && maker.text.is_of(text)).map(|maker| maker.kind).chain(system);
        let first = kinds.next()?;
        kinds.all(|kind| kind == first).then_some(first)
    }
}

impl Maker {
    /// Reads the line of an alert; `None` for any other line.
    fn of(line: &str) -> Option<Self> {
        let (name, arguments) = line.split_once(':')?;
        let kind = match name {
            "alert_all" => Kind::Line,
            "alert_n" => Kind::Threshold,
            "alert_inactive" => Kind::Absence,
            "alert_running" => Kind::Process,
            "alert_if" => Kind::Limit,
            "alert_count" => Kind::Count,
            "alert_metric" => Kind::Metric,
            _ => return None,
        };
        let (_, tags) = arguments.split_once("tags=")?;
        let end = ClassicKinds::KEYS.iter().filter_map(|key| tags.find(key)).min().unwrap_or(tags.len());
        let message = arguments.split_once("message=").map(|(_, message)| message.trim().into());
        let text = match (kind, message) {
            (Kind::Count | Kind::Metric, _) => Text::Number,
            (Kind::Process, Some(message)) => Text::Counted(message),
            (_, Some(message)) => Text::Exact(message),
            (_, None) => Text::Any,
        };
        Some(Self { kind, tags: tags[..end].trim().into(), text })
    }
}

impl Text {
    fn is_of(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(message) => text.trim() == &**message,
            Self::Counted(message) => text.strip_prefix(&**message).is_some_and(|rest| rest.trim_start().starts_with('[')),
            Self::Number => text.trim().parse::<f64>().is_ok_and(f64::is_finite),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::Source;

    #[test]
    fn a_kind_follows_from_the_tags_and_the_text_unless_two_rules_could_have_made_the_event() {
        let text = "file: /a\nmatch: a\nalert_all: tags=LINE\nfile: /a\nmatch: b\nalert_n: tags=LINE seconds=60 threshold=3 message=Many\n\
                    file: /a\nmatch: c\nalert_count: tags=N seconds=60\nfile: /a\nmatch: d\nalert_inactive: tags=QUIET seconds=60 message=Quiet\n\
                    ps_command: ps ax\nprocess: x\nalert_running: tags=P min=1 max=2 message=sshd processes\n\
                    run: command=df extract=(\\S+) (\\S+)\nalert_if: match=1,/ upper_limit=2,90 tags=DISK,A message=Full\n\
                    alert_metric: tags=DISK,A match=1,/ metric=2\n";
        let file = HostFile::parse(Source { path: "h", text }.lines());
        assert_eq!(file.faults, []);
        let kinds = ClassicKinds::of(&file);
        for (tags, text, kind) in [
            ("LINE", "a line", Some(Kind::Line)),
            ("LINE", "Many", None),
            ("N", "7", Some(Kind::Count)),
            ("N", "seven", None),
            ("QUIET", "Quiet", Some(Kind::Absence)),
            ("P", "sshd processes [0]", Some(Kind::Process)),
            ("P", "sshd", None),
            ("DISK,A", "Full", Some(Kind::Limit)),
            ("DISK,A", "-42.5", Some(Kind::Metric)),
            ("DISK", "Full", None),
            ("SYSTEM", "Agent started", Some(Kind::System)),
            ("", "", None),
        ] {
            assert_eq!(kinds.kind_of(tags, text), kind, "{tags} {text}");
        }
    }
}
