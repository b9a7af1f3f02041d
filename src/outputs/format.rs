//! The forms in which commands get events.

use crate::date::{utc, Zone};
use crate::directives::output::Format;
use crate::wire::{EventWord, Kind, State, StreamEvent};
use nanoserde::SerJson;

/// The events as a command gets them on its standard input. `zone` is that of this server.
pub fn emit(format: Format, events: &[&StreamEvent], zone: Zone) -> String {
    let mut text = String::new();
    match format {
        Format::Classic => events.iter().for_each(|event| classic(event, zone, &mut text)),
        Format::Json => events.iter().for_each(|event| json(event, zone, &mut text)),
        Format::Text => events.iter().for_each(|event| for_people(event, zone, &mut text)),
        Format::Alertmanager => {
            let alerts: Vec<_> = events.iter().map(|event| alert(event)).collect();
            text = alerts.serialize_json();
            text.push('\n');
        }
        Format::Syslog => events.iter().for_each(|event| syslog(event, &mut text)),
    }
    text
}

/// A line as a classic stream has it, but the word in it does not have the checkpoint, which differs from server to server.
fn classic(event: &StreamEvent, zone: Zone, text: &mut String) {
    *text += &zone.local(event.received_at(zone)).ctime();
    *text += "%%";
    event.alert(&EventWord { at: None, ..event.word() }.to_string()).emit_into(text);
    text.push('\n');
}

mod serialized {
    #![allow(unreachable_pub, reason = "what the generated code requires")]

    use nanoserde::SerJson;

    /// An alert of Alertmanager's API v2.
    #[derive(SerJson)]
    #[allow(non_snake_case, reason = "the names of that API")]
    pub struct Alert {
        pub labels: Labels,
        pub annotations: Annotations,
        pub startsAt: Option<String>,
        pub endsAt: Option<String>,
    }

    /// What identifies an alert: the same when it opens and when it closes.
    #[derive(SerJson)]
    pub struct Labels {
        pub alertname: String,
        pub host: String,
        pub kind: Option<String>,
        pub key: Option<String>,
    }

    #[derive(SerJson)]
    pub struct Annotations {
        pub summary: String,
        pub file: Option<String>,
        pub value: Option<String>,
    }
}

/// A line as a stream in JSON has it, without the checkpoint.
fn json(event: &StreamEvent, zone: Zone, text: &mut String) {
    StreamEvent { at: None, ..event.clone() }.emit_json(zone, text);
    text.push('\n');
}

/// `2026-11-22 11:35:36 nas1 DISK opened: 90 % full (/var/log/messages)`.
fn for_people(event: &StreamEvent, zone: Zone, text: &mut String) {
    let time = zone.local(event.unix).to_string().replace('T', " ");
    *text += &format!("{time} {} {}", event.host, event.tags);
    if let Some(state) = event.state {
        *text += &format!(" {}", state.as_str());
    }
    *text += &format!(": {}", event.text);
    if let Some(file) = &event.file {
        *text += &format!(" ({file})");
    }
    text.push('\n');
}

fn alert(event: &StreamEvent) -> serialized::Alert {
    let time = utc(event.unix);
    let (starts, ends) = if event.state == Some(State::Closed) { (None, Some(time)) } else { (Some(time), None) };
    serialized::Alert {
        labels: serialized::Labels {
            alertname: event.tags.clone(),
            host: event.host.clone(),
            kind: event.kind.map(|kind| kind.as_str().into()),
            key: event.key.clone(),
        },
        annotations: serialized::Annotations { summary: event.text.clone(), file: event.file.clone(), value: event.value.clone() },
        startsAt: starts,
        endsAt: ends,
    }
}

/// One message of RFC 5424 behind its length in bytes.
fn syslog(event: &StreamEvent, text: &mut String) {
    const LOCAL0: u8 = 16;
    const WARNING: u8 = 4;
    const NOTICE: u8 = 5;
    const INFORMATIONAL: u8 = 6;
    let severity = match (event.state, event.kind) {
        (Some(State::Closed), _) => NOTICE,
        (_, Some(Kind::Metric | Kind::Count)) => INFORMATIONAL,
        _ => WARNING,
    };
    let host: String = event.host.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).take(255).collect();
    let mut message = format!("<{}>1 {} {host} ax436 - ", LOCAL0 * 8 + severity, utc(event.unix));
    message += event.kind.map_or("-", Kind::as_str);
    // The number is the one that RFC 5612 reserves for examples: the project has none of its own.
    message += " [event@32473";
    let mut parameter = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
            message += &format!(" {name}=\"{escaped}\"");
        }
    };
    parameter("uid", Some(&event.uid));
    parameter("tags", Some(&event.tags));
    parameter("file", event.file.as_deref());
    parameter("state", event.state.map(State::as_str));
    parameter("key", event.key.as_deref());
    parameter("value", event.value.as_deref());
    message += "] ";
    message += &event.text;
    *text += &format!("{} {message}", message.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: Zone = Zone(|_| 3600);

    fn event() -> StreamEvent {
        StreamEvent {
            received: "Sun Nov 22 12:35:37 2026".into(),
            received_unix: None,
            host: "nas1".into(),
            uid: "q7.2".into(),
            kind: Some(Kind::Limit),
            state: Some(State::Opened),
            key: Some("k81".into()),
            value: Some("90.50".into()),
            at: Some("5f:3:c:9.1.1".into()),
            unix: 1_795_347_336,
            tags: "DISK,SYS".into(),
            file: Some("/log".into()),
            text: "a \"b\" ]\\ ü".into(),
        }
    }

    fn emitted(format: Format, event: &StreamEvent) -> String {
        emit(format, &[event], ZONE)
    }

    #[test]
    fn each_format_has_the_event() {
        let plain = StreamEvent { kind: None, state: None, key: None, value: None, file: None, ..event() };
        for (format, event, expected) in [
            (
                Format::Classic,
                event(),
                "Sun Nov 22 12:35:37 2026%%nas1%%q7.2;limit;opened;k81;90.50%%1795347336%%DISK,SYS%%/log%%a \"b\" ]\\ ü\n",
            ),
            (Format::Classic, plain.clone(), "Sun Nov 22 12:35:37 2026%%nas1%%q7.2%%1795347336%%DISK,SYS%%NULL%%a \"b\" ]\\ ü\n"),
            (
                Format::Json,
                event(),
                "{\"received\":\"2026-11-22T12:35:37+01:00\",\"received_unix\":1795347337,\"host\":\"nas1\",\"uid\":\"q7.2\",\
                 \"kind\":\"limit\",\"state\":\"opened\",\"key\":\"k81\",\"value\":90.50,\"time\":\"2026-11-22T11:35:36Z\",\
                 \"time_unix\":1795347336,\"tags\":\"DISK,SYS\",\"file\":\"/log\",\"text\":\"a \\\"b\\\" ]\\\\ ü\"}\n",
            ),
            (Format::Text, event(), "2026-11-22 12:35:36 nas1 DISK,SYS opened: a \"b\" ]\\ ü (/log)\n"),
            (Format::Text, plain.clone(), "2026-11-22 12:35:36 nas1 DISK,SYS: a \"b\" ]\\ ü\n"),
            (
                Format::Alertmanager,
                event(),
                "[{\"labels\":{\"alertname\":\"DISK,SYS\",\"host\":\"nas1\",\"kind\":\"limit\",\"key\":\"k81\"},\
                 \"annotations\":{\"summary\":\"a \\\"b\\\" ]\\\\ ü\",\"file\":\"/log\",\"value\":\"90.50\"},\
                 \"startsAt\":\"2026-11-22T11:35:36Z\"}]\n",
            ),
            (
                Format::Syslog,
                event(),
                "150 <132>1 2026-11-22T11:35:36Z nas1 ax436 - limit [event@32473 uid=\"q7.2\" tags=\"DISK,SYS\" file=\"/log\" \
                 state=\"opened\" key=\"k81\" value=\"90.50\"] a \"b\" ]\\ ü",
            ),
        ] {
            assert_eq!(emitted(format, &event), expected, "{format:?}");
        }
    }

    #[test]
    fn a_syslog_message_is_counted_in_bytes_and_escaped() {
        let text = emitted(Format::Syslog, &StreamEvent { tags: "a\"]\\".into(), host: "häst".into(), ..event() });
        let (length, message) = text.split_once(' ').unwrap();
        assert_eq!(length.parse(), Ok(message.len()));
        assert!(message.contains(" h?st ax436 ") && message.contains("tags=\"a\\\"\\]\\\\\""), "{message}");
    }

    #[test]
    fn a_closed_condition_has_an_end_and_the_same_labels() {
        let text = emitted(Format::Alertmanager, &StreamEvent { state: Some(State::Closed), text: "over".into(), ..event() });
        let opened = emitted(Format::Alertmanager, &event());
        let labels = |text: &str| text.split(",\"annotations\"").next().unwrap().to_string();
        assert_eq!(labels(&text), labels(&opened));
        assert!(text.contains("\"endsAt\":\"2026-11-22T11:35:36Z\"") && !text.contains("startsAt"), "{text}");
    }

    #[test]
    fn what_json_and_classic_lines_say_is_read_again_in_the_other_form() {
        let first = StreamEvent { at: None, received_unix: Some(1_795_347_337), ..event() };
        let by_json = StreamEvent::parse(emitted(Format::Json, &first).trim_end()).unwrap();
        let by_classic = StreamEvent::parse(emitted(Format::Classic, &by_json).trim_end()).unwrap();
        assert_eq!(StreamEvent { received_unix: first.received_unix, ..by_classic }, first);
    }
}
