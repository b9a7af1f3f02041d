//! The event stream: a rolling file of one line an event, in the classic form or as JSON.

use crate::directives::server::{EventFormat, ServerFile};
use crate::fs::rolling::RollingFile;
use crate::now::Now;
use crate::server::EventSink;
use crate::sys::clock::LocalTime;
use crate::wire::{Alert, ChainEvent, Message};
use json::JsonEvent;
use nanoserde::{DeJson, SerJson};
use std::io;
use std::time::Duration;

pub(super) struct EventStream {
    file: RollingFile,
    format: EventFormat,
    sync_interval: Duration,
    /// Lines that are not written yet.
    batch: String,
    /// The time of receipt that these lines carry.
    received: (u64, String),
    /// When what was written is to be forced to disk.
    sync_due: Option<Duration>,
}

mod json {
    #![allow(clippy::question_mark, unreachable_pub, reason = "what the derivation writes, and what it can read")]

    use nanoserde::{DeJson, SerJson};

    /// A line of the stream in its JSON form.
    #[derive(DeJson, SerJson)]
    pub struct JsonEvent {
        /// Server's local time of receipt, as in the classic form.
        pub received: String,
        pub received_unix: u64,
        pub host: String,
        pub uid: String,
        pub time: u64,
        pub tags: String,
        /// Left out where there is none.
        pub file: Option<String>,
        pub text: String,
    }
}

/// An event as it stands in the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    /// The server's local time of receipt.
    pub(super) received: String,
    pub(super) host: String,
    pub(super) uid: String,
    unix: u64,
    tags: String,
    file: Option<String>,
    text: String,
}

impl Recorded {
    /// Reads a line. `None` for what is no event.
    pub(super) fn parse(format: EventFormat, line: &str) -> Option<Self> {
        if format == EventFormat::Json {
            let JsonEvent { received, received_unix: _, host, uid, time: unix, tags, file, text } = DeJson::deserialize_json(line).ok()?;
            return Some(Self { received, host, uid, unix, tags, file, text });
        }
        // Behind the time it is what an ALERT is.
        let (received, fields) = line.split_once("%%")?;
        let alert = format!("ALERT%%{fields}");
        let Ok(Message::Alert(Alert { host, uid, unix, tags, file, text })) = Message::parse(alert.as_bytes()) else { return None };
        let own = str::to_string;
        Some(Self { received: own(received), host: own(host), uid: own(uid), unix, tags: own(tags), file: file.map(own), text: own(text) })
    }

    /// Whether a repeat of it would be an ALERT.
    pub(super) fn is_classic(&self) -> bool {
        ChainEvent::parse_uid(&self.uid).is_none()
    }

    pub(super) fn alert(&self) -> Alert<'_> {
        let Self { host, uid, unix, tags, file, text, .. } = self;
        Alert { host, uid, unix: *unix, tags, file: file.as_deref(), text }
    }
}

impl EventStream {
    /// Bytes of a batch for which there is always room.
    const BATCH: usize = 64 * 1024;

    pub(super) fn new(settings: &ServerFile) -> Self {
        Self {
            file: RollingFile::new(&settings.event_stream, settings.event_stream_size, settings.event_stream_keep),
            format: settings.event_format,
            sync_interval: Duration::from_secs(settings.event_sync),
            batch: String::with_capacity(Self::BATCH),
            received: (u64::MAX, String::new()),
            sync_due: None,
        }
    }

    /// Events that come from now on were received then.
    pub(super) fn begin(&mut self, now: Now) {
        if self.received.0 != now.unix {
            self.received = (now.unix, LocalTime::at(now.unix).ctime());
        }
    }

    /// Writes what came since the last call, all of it or nothing.
    ///
    /// # Errors
    /// It is not written; the events are forgotten here.
    pub(super) fn commit(&mut self, now: Now) -> io::Result<()> {
        let outcome = self.file.append(self.batch.as_bytes());
        let length = self.batch.len() as u64;
        self.batch.clear();
        self.batch.shrink_to(Self::BATCH);
        outcome?;
        if self.sync_interval.is_zero() {
            return match self.file.sync() {
                // A pipe, say, is on no disk.
                Err(e) if e.kind() != io::ErrorKind::InvalidInput => {
                    self.file.take_back(length);
                    Err(e)
                }
                _ => Ok(()),
            };
        }
        self.sync_due.get_or_insert(now.mono + self.sync_interval);
        Ok(())
    }

    /// Whether there is something to commit.
    pub(super) fn has_batch(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Cuts off what follows the last whole line: an earlier run was killed while it wrote that, and did not acknowledge it.
    pub(super) fn cut_torn_line(&mut self) -> io::Result<()> {
        self.file.cut_torn_line()
    }

    /// How often the file rolled since the start.
    pub(super) fn rolled(&self) -> u64 {
        self.file.rolled()
    }

    /// Forces to disk what was written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.sync_due = None;
        self.file.sync()
    }

    /// Forces to disk what is due. `None` when nothing is; an error means that a power cut may cost what was acknowledged.
    pub(super) fn sync_if_due(&mut self, now: Now) -> Option<io::Result<()>> {
        self.sync_due.take_if(|due| *due <= now.mono)?;
        Some(self.file.sync())
    }

    /// When something is to be forced to disk.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.sync_due
    }

    /// Opens the file anew with the next event.
    pub(super) fn reopen(&mut self) {
        self.file.reopen();
    }
}

impl EventSink for EventStream {
    fn accept(&mut self, alert: &Alert<'_>) {
        let (unix, received) = &self.received;
        match self.format {
            EventFormat::Classic => {
                self.batch.push_str(received);
                self.batch.push_str("%%");
                alert.emit_into(&mut self.batch);
            }
            EventFormat::Json => {
                let event = JsonEvent {
                    received: received.clone(),
                    received_unix: *unix,
                    host: alert.host.into(),
                    uid: alert.uid.into(),
                    time: alert.unix,
                    tags: alert.tags.into(),
                    file: alert.file.map(str::to_string),
                    text: alert.text.into(),
                };
                self.batch.push_str(&event.serialize_json());
            }
        }
        self.batch.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(format: EventFormat) -> EventStream {
        EventStream {
            file: RollingFile::new("/nonexistent/stream", 1000, 1),
            format,
            sync_interval: Duration::ZERO,
            batch: String::new(),
            received: (1_795_347_336, "Sun Nov 22 11:35:36 2026".into()),
            sync_due: None,
        }
    }

    const EVENT: Alert<'_> = Alert {
        host: "nas1",
        uid: "1795347336_2",
        unix: 1_795_347_336,
        tags: "TAG1",
        file: Some("/var/log/messages"),
        text: "A \"quoted\" \\ message %% ü",
    };

    #[test]
    fn a_classic_line_is_the_one_that_consumers_know() {
        let mut stream = stream(EventFormat::Classic);
        stream.accept(&Alert { text: "A Message", ..EVENT });
        let line = "Sun Nov 22 11:35:36 2026%%nas1%%1795347336_2%%1795347336%%TAG1%%/var/log/messages%%A Message\n";
        assert_eq!(stream.batch, line);
    }

    #[test]
    fn a_json_line_has_every_field_that_the_event_has() {
        let mut stream = stream(EventFormat::Json);
        stream.accept(&EVENT);
        stream.accept(&Alert { file: None, text: "", ..EVENT });
        let text = stream.batch;
        let fields = "\"received\":\"Sun Nov 22 11:35:36 2026\",\"received_unix\":1795347336,\"host\":\"nas1\",\"uid\":\"1795347336_2\",\
                      \"time\":1795347336,\"tags\":\"TAG1\"";
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], format!("{{{fields},\"file\":\"/var/log/messages\",\"text\":\"A \\\"quoted\\\" \\\\ message %% ü\"}}"));
        assert_eq!(lines[1], format!("{{{fields},\"text\":\"\"}}"));
    }

    #[test]
    fn a_line_is_read_as_the_event_that_it_was() {
        for format in [EventFormat::Classic, EventFormat::Json] {
            for event in [EVENT, Alert { file: None, text: "", ..EVENT }] {
                let mut stream = stream(format);
                stream.accept(&event);
                let recorded = Recorded::parse(format, stream.batch.trim_end_matches('\n')).unwrap();
                assert_eq!((recorded.alert(), &*recorded.received, recorded.is_classic()), (event, "Sun Nov 22 11:35:36 2026", true));
                assert_eq!(Recorded::parse(format, &stream.batch[..30]), None);
            }
        }
    }
}
