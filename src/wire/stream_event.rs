//! One event as a line of the event stream records it, in either form, whatever form the stream has now.

use super::event_word::{EventWord, Kind, State};
use super::message::{Alert, Message};
use crate::date::{utc, Date, Zone};
use nanoserde::{DeJson, SerJson};

/// An event that was read from the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamEvent {
    /// The time of receipt: the server's local time as C's `ctime` shows it, or RFC 3339 with offset.
    pub received: String,
    /// The time of receipt in seconds since 1970, where the line has it.
    pub received_unix: Option<u64>,
    /// The host that it comes from.
    pub host: String,
    /// Identifies it together with the host.
    pub uid: String,
    /// `None` if the line does not say it.
    pub kind: Option<Kind>,
    /// Of the events of a condition.
    pub state: Option<State>,
    /// Names the condition.
    pub key: Option<String>,
    /// A decimal number, of metrics and counts.
    pub value: Option<String>,
    /// The checkpoint, which only recovery needs; empty within a batch.
    pub at: Option<String>,
    /// When it happened, in seconds since 1970 by the clock of the host.
    pub unix: u64,
    /// The tags, joined by commas.
    pub tags: String,
    /// The followed file.
    pub file: Option<String>,
    /// The message or the line.
    pub text: String,
}

impl StreamEvent {
    /// Parses a line: one that begins with `{` is JSON, and every other one classic. `None` if it is not an event.
    pub fn parse(line: &str) -> Option<Self> {
        if line.starts_with('{') {
            Self::parse_json(line)
        } else {
            Self::parse_classic(line)
        }
    }

    fn parse_classic(line: &str) -> Option<Self> {
        // The rest has the fields of an ALERT.
        let (received, fields) = line.split_once("%%")?;
        let alert = format!("ALERT%%{fields}");
        let Ok(Message::Alert(alert)) = Message::parse(alert.as_bytes()) else { return None };
        Some(Self { received: received.into(), received_unix: None, ..Self::of_alert(&alert, 0) })
    }

    fn parse_json(line: &str) -> Option<Self> {
        let json: json::Line = DeJson::deserialize_json(line).ok()?;
        let word = EventWord {
            uid: &json.uid,
            kind: json.kind.as_deref().and_then(Kind::parse),
            state: json.state.as_deref().and_then(State::parse),
            key: json.key.as_deref(),
            value: json.value.as_ref().map(|number| &*number.0),
            at: json.at.as_deref(),
        };
        // Lines that older servers wrote have the whole word as the uid.
        let word = if word.kind.is_none() && word.at.is_none() { EventWord::parse(&json.uid).unwrap_or(word) } else { word };
        let event = Self::default().with_word(word);
        let unix = json.time_unix.or_else(|| json.time.0.parse().ok())?;
        let json::Line { received, received_unix, host, tags, file, text, .. } = json;
        Some(Self { received, received_unix: Some(received_unix), host, unix, tags, file, text, ..event })
    }

    /// Appends the line that it is in JSON, without its newline. `zone` is that of this server.
    pub fn emit_json(&self, zone: Zone, text: &mut String) {
        let received_unix = self.received_at(zone);
        let Self { host, uid, kind, state, key, value, at, unix, tags, file, text: message, .. } = self.clone();
        let line = json::Written {
            received: zone.rfc3339(received_unix),
            received_unix,
            host,
            uid,
            kind: kind.map(|kind| kind.as_str().into()),
            state: state.map(|state| state.as_str().into()),
            key,
            value: value.as_deref().and_then(json::Number::of),
            at,
            time: utc(unix),
            time_unix: unix,
            tags,
            file,
            text: message,
        };
        text.push_str(&line.serialize_json());
    }

    /// The time of receipt in seconds since 1970. A classic line has it as the local time of the server, whose zone this is.
    pub fn received_at(&self, zone: Zone) -> u64 {
        self.received_unix.or_else(|| Some(zone.unix(Date::parse_ctime(&self.received)?))).unwrap_or(self.unix)
    }

    /// The event that an ALERT is, received at that time.
    pub fn of_alert(alert: &Alert<'_>, received_unix: u64) -> Self {
        let Alert { host, uid, unix, tags, file, text } = *alert;
        let event = Self {
            received_unix: Some(received_unix),
            host: host.into(),
            unix,
            tags: tags.into(),
            file: file.map(str::to_string),
            text: text.into(),
            ..Self::default()
        };
        // A Python agent chooses its uids itself.
        event.with_word(EventWord::parse(uid).unwrap_or(EventWord::of_uid(uid)))
    }

    fn with_word(self, word: EventWord<'_>) -> Self {
        let own = |part: Option<&str>| part.map(str::to_string);
        let EventWord { uid, kind, state, key, value, at } = word;
        Self { uid: uid.into(), kind, state, key: own(key), value: own(value), at: own(at), ..self }
    }

    /// The word that stands for it in a classic line.
    pub fn word(&self) -> EventWord<'_> {
        let Self { uid, kind, state, key, value, at, .. } = self;
        EventWord { uid, kind: *kind, state: *state, key: key.as_deref(), value: value.as_deref(), at: at.as_deref() }
    }

    /// The fields of its ALERT, which has the whole word as its uid.
    pub fn alert<'a>(&'a self, word: &'a str) -> Alert<'a> {
        Alert { host: &self.host, uid: word, unix: self.unix, tags: &self.tags, file: self.file.as_deref(), text: &self.text }
    }
}

mod json {
    #![allow(clippy::question_mark, unreachable_pub, reason = "generated code, and what it requires")]

    use nanoserde::{DeJson, DeJsonErr, DeJsonState, DeJsonTok, SerJson, SerJsonState};

    /// A line in JSON as this version writes it.
    #[derive(SerJson)]
    pub struct Written {
        pub received: String,
        pub received_unix: u64,
        pub host: String,
        pub uid: String,
        pub kind: Option<String>,
        pub state: Option<String>,
        pub key: Option<String>,
        pub value: Option<Number>,
        pub at: Option<String>,
        pub time: String,
        pub time_unix: u64,
        pub tags: String,
        pub file: Option<String>,
        pub text: String,
    }

    /// A number with the digits that JSON allows.
    pub struct Number(String);

    impl Number {
        /// Takes the digits as they are, if they can stay so. `None` if the text is no number.
        pub fn of(text: &str) -> Option<Self> {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
            let whole = whole.strip_prefix('-').unwrap_or(whole);
            let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if are_digits(whole) && are_digits(fraction) && (whole == "0" || !whole.starts_with('0')) {
                return Some(Self(text.into()));
            }
            text.parse().ok().filter(|number: &f64| number.is_finite()).map(|number| Self(number.to_string()))
        }
    }

    impl SerJson for Number {
        fn ser_json(&self, _: usize, state: &mut SerJsonState) {
            state.out.push_str(&self.0);
        }
    }

    /// A line in JSON, as any server of this version or an earlier one writes it.
    #[derive(DeJson)]
    pub struct Line {
        pub received: String,
        pub received_unix: u64,
        pub host: String,
        pub uid: String,
        pub time: Scalar,
        pub time_unix: Option<u64>,
        pub tags: String,
        pub file: Option<String>,
        pub text: String,
        pub kind: Option<String>,
        pub state: Option<String>,
        pub key: Option<String>,
        pub value: Option<Scalar>,
        pub at: Option<String>,
    }

    /// A text or a number, with the digits that the line has.
    pub struct Scalar(pub String);

    impl DeJson for Scalar {
        fn de_json(state: &mut DeJsonState, input: &mut std::str::Chars<'_>) -> Result<Self, DeJsonErr> {
            let text = match state.tok {
                DeJsonTok::Str => state.strbuf.clone(),
                DeJsonTok::U64(_) | DeJsonTok::I64(_) | DeJsonTok::F64(_) => state.numbuf.clone(),
                _ => return Err(state.err_token("a text or a number")),
            };
            state.next_tok(input)?;
            Ok(Self(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_classic_line_is_parsed_with_its_word() {
        let line = "Sun Nov 22 11:35:36 2026%%nas1%%q7.2;limit;opened;k81@5f:3:c:9.1.1%%1795347336%%DISK,SYS%%NULL%%90 %% full";
        let event = StreamEvent::parse(line).unwrap();
        let expected = StreamEvent {
            received: "Sun Nov 22 11:35:36 2026".into(),
            received_unix: None,
            host: "nas1".into(),
            uid: "q7.2".into(),
            kind: Some(Kind::Limit),
            state: Some(State::Opened),
            key: Some("k81".into()),
            value: None,
            at: Some("5f:3:c:9.1.1".into()),
            unix: 1_795_347_336,
            tags: "DISK,SYS".into(),
            file: None,
            text: "90 %% full".into(),
        };
        assert_eq!(event, expected);
        let mut emitted = "Sun Nov 22 11:35:36 2026%%".to_string();
        event.alert(&event.word().to_string()).emit_into(&mut emitted);
        assert_eq!(emitted, line);
    }

    #[test]
    fn both_forms_of_json_lines_are_parsed() {
        let older =
            r#"{"received":"Sun Nov 22 11:35:36 2026","received_unix":17,"host":"h","uid":"1_2","time":16,"tags":"T","text":"a \"b\""}"#;
        let event = StreamEvent::parse(older).unwrap();
        assert_eq!((&*event.received, event.received_unix, event.unix, &*event.uid), ("Sun Nov 22 11:35:36 2026", Some(17), 16, "1_2"));
        assert_eq!((event.kind, event.file, &*event.text), (None, None, "a \"b\""));
        let newer = r#"{"received":"2026-11-22T12:35:36+01:00","received_unix":17,"host":"h","uid":"q.1","time":"2026-11-22T11:35:35Z",
            "time_unix":16,"tags":"T","file":"/log","text":"t","kind":"metric","state":"closed","key":"k","value":-42.50,"at":"5f:3:c:9","new":[1]}"#;
        let event = StreamEvent::parse(newer).unwrap();
        assert_eq!((event.unix, event.kind, event.state), (16, Some(Kind::Metric), Some(State::Closed)));
        assert_eq!((event.key.as_deref(), event.value.as_deref(), event.at.as_deref()), (Some("k"), Some("-42.50"), Some("5f:3:c:9")));
    }

    #[test]
    fn a_uid_that_a_python_agent_made_up_is_taken_as_it_is() {
        let event = StreamEvent::parse("now%%h%%a;b;c@d%%1%%T%%NULL%%t").unwrap();
        assert_eq!((&*event.uid, event.kind), ("a;b;c@d", None));
    }

    #[test]
    fn what_is_not_an_event_is_refused() {
        let line = "now%%h%%q;line%%1%%T%%NULL%%t";
        let json = r#"{"received":"now","received_unix":17,"host":"h","uid":"1_2","time":16,"tags":"T","text":"t"}"#;
        for text in [line, json] {
            assert!(StreamEvent::parse(text).is_some());
            // The shortest text of a classic line is empty.
            let end = if text == line { line.len() - "t".len() } else { json.len() };
            assert!((0..end).all(|end| StreamEvent::parse(&text[..end]).is_none()), "{text}");
        }
        assert_eq!(StreamEvent::parse(&json.replace(":16", ":\"soon\"")), None);
    }

    #[test]
    fn a_value_is_a_number_that_json_allows() {
        for (value, shown) in
            [("-0.50", "-0.50"), ("12345678901234567890", "12345678901234567890"), ("007", "7"), ("+1.5", "1.5"), (".5", "0.5")]
        {
            let mut text = String::new();
            StreamEvent { value: Some(value.into()), ..StreamEvent::default() }.emit_json(Zone(|_| 0), &mut text);
            assert!(text.contains(&format!("\"value\":{shown},")), "{text}");
        }
        let mut text = String::new();
        StreamEvent { value: Some("x".into()), ..StreamEvent::default() }.emit_json(Zone(|_| 0), &mut text);
        assert!(!text.contains("value"), "{text}");
    }
}
