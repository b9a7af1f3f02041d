//! The third field of a classic line of the event stream: the uid of an event, what kind of event it is, and what recovery needs of it.

use super::recorded_seq::RecordedSeq;
use std::fmt;

/// The parts of `UID[;KIND[;STATE[;KEY[;VALUE]]]][@CHECKPOINT]`. Parts in the middle may be empty. None of them contains white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventWord<'a> {
    /// Identifies the event together with its host. Contains none of `; @ %`.
    pub uid: &'a str,
    /// `None` for the events of a Python agent.
    pub kind: Option<Kind>,
    /// Of the events of a condition.
    pub state: Option<State>,
    /// Names the condition, in base 36.
    pub key: Option<&'a str>,
    /// A decimal number, of metrics and counts.
    pub value: Option<&'a str>,
    /// The checkpoint, `CHAIN:EPOCH:NUMBER:POSITION`, of the last event of a batch; empty for the others. It is no part of the uid.
    pub at: Option<&'a str>,
}

/// What made an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A line of a log.
    Line,
    /// Many lines in one block of time (`alert_n:`).
    Threshold,
    /// No line in one block of time (`alert_inactive:`).
    Absence,
    /// Too many or too few processes (`alert_running:`).
    Process,
    /// A value beyond a limit (`alert_if:`).
    Limit,
    /// How many lines one block of time had (`alert_count:`).
    Count,
    /// A value (`alert_metric:`).
    Metric,
    /// The programs themselves.
    System,
}

/// What became of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// It has begun.
    Opened,
    /// It lasts.
    Repeated,
    /// It is over.
    Closed,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] =
        [Self::Line, Self::Threshold, Self::Absence, Self::Process, Self::Limit, Self::Count, Self::Metric, Self::System];

    /// The word that stands for it in the stream and in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Threshold => "threshold",
            Self::Absence => "absence",
            Self::Process => "process",
            Self::Limit => "limit",
            Self::Count => "count",
            Self::Metric => "metric",
            Self::System => "system",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl State {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Opened, Self::Repeated, Self::Closed];

    /// The word that stands for it in the stream and in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Repeated => "repeated",
            Self::Closed => "closed",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl<'a> EventWord<'a> {
    /// The word of an event of which only the uid is known.
    pub const fn of_uid(uid: &'a str) -> Self {
        Self { uid, kind: None, state: None, key: None, value: None, at: None }
    }

    /// Reads a word. `None` if it has another form, an unknown kind or an unknown state.
    pub fn parse(word: &'a str) -> Option<Self> {
        let (word, at) = match word.split_once('@') {
            Some((word, at)) => (word, Some(at)),
            None => (word, None),
        };
        let (uid, class) = word.split_once(';').unwrap_or((word, ""));
        let class = Self::of_class(class)?;
        Self::is_uid(uid).then_some(Self { uid, at, ..class })
    }

    /// Reads the class of an event, `KIND[;STATE[;KEY[;VALUE]]]`: what stands between the uid and the `@`. The uid stays empty. `None` as
    /// [`Self::parse`] says.
    pub fn of_class(class: &'a str) -> Option<Self> {
        let mut parts = class.split(';');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let (kind, state, key, value) = (next(), next(), next(), next());
        if parts.next().is_some() {
            return None;
        }
        let (kind, state) = (kind.map(|word| Kind::parse(word).ok_or(())), state.map(|word| State::parse(word).ok_or(())));
        Some(Self { kind: kind.transpose().ok()?, state: state.transpose().ok()?, key, value, ..Self::of_uid("") })
    }

    /// Whether a text can be a uid.
    pub fn is_uid(text: &str) -> bool {
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, ';' | '@' | '%'))
    }

    /// Whether the event is the last of those that were written together, or was written alone.
    pub fn ends_batch(&self) -> bool {
        self.at.is_none_or(|at| RecordedSeq::parse(at).is_some())
    }

    /// Appends the word to a text.
    pub fn emit_into(&self, text: &mut String) {
        text.push_str(self.uid);
        let parts = [self.kind.map(Kind::as_str), self.state.map(State::as_str), self.key, self.value];
        let last = parts.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        for part in &parts[..last] {
            text.push(';');
            text.push_str(part.unwrap_or_default());
        }
        if let Some(at) = self.at {
            text.push('@');
            text.push_str(at);
        }
    }
}

impl fmt::Display for EventWord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.emit_into(&mut text);
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emit_and_parse_are_inverses() {
        let uid = EventWord::of_uid("q7.2");
        for (text, word) in [
            ("1795347336_2", EventWord::of_uid("1795347336_2")),
            ("1_2:5f:3:c.1.1", EventWord::of_uid("1_2:5f:3:c.1.1")),
            ("q7.2;line@5f:3:c:9.1.1", EventWord { kind: Some(Kind::Line), at: Some("5f:3:c:9.1.1"), ..uid }),
            ("q7.2;metric;;;42.5", EventWord { kind: Some(Kind::Metric), value: Some("42.5"), ..uid }),
            ("q7.2;threshold;opened;k81", EventWord { kind: Some(Kind::Threshold), state: Some(State::Opened), key: Some("k81"), ..uid }),
            ("q7.2;;;k81", EventWord { key: Some("k81"), ..uid }),
            ("q7.2@5f:3:c", EventWord { at: Some("5f:3:c"), ..uid }),
            ("q7.2;line@", EventWord { kind: Some(Kind::Line), at: Some(""), ..uid }),
            ("q7.2@", EventWord { at: Some(""), ..uid }),
        ] {
            assert_eq!((EventWord::parse(text), word.to_string().as_str()), (Some(word), text));
        }
        for kind in Kind::ALL {
            for state in State::ALL {
                let word = EventWord { kind: Some(kind), state: Some(state), ..uid };
                assert_eq!(EventWord::parse(&word.to_string()), Some(word));
            }
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", ";line", "@5f:3:c", "a b", "a%b", "u;colour", "u;line;ajar", "u;line;opened;k;1;2", "u\u{7};line"] {
            assert_eq!(EventWord::parse(text), None, "{text}");
        }
        // Empty parts at the end mean nothing.
        assert_eq!(EventWord::parse("u;;;;"), Some(EventWord::of_uid("u")));
    }

    #[test]
    fn an_event_with_less_than_a_whole_checkpoint_is_not_the_end_of_its_batch() {
        for (text, is_end) in [
            ("u", true),
            ("u;line", true),
            ("u;line@", false),
            ("u@", false),
            ("u;line@c:1:2", false),
            ("u@c:1:2:", false),
            ("u;line@c:1:2:9.1.1", true),
            ("u@c:1:2:-", true),
        ] {
            assert_eq!(EventWord::parse(text).unwrap().ends_batch(), is_end, "{text}");
        }
    }
}
