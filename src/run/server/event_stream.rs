//! Writes the event stream: a rolling file with one line per event, in the classic form or as JSON.

use super::places::Places;
use super::stream_files::StreamFiles;
use crate::date::Zone;
use crate::directives::server::{EventFormat, ServerFile};
use crate::fs::rolling::RollingFile;
use crate::now::Now;
use crate::server::EventSink;
use crate::sys::clock::LocalTime;
use crate::wire::position::FilePosition;
use crate::wire::{Alert, ChainId, StreamEvent};
use std::io;
use std::time::Duration;

pub(super) struct EventStream {
    file: RollingFile,
    format: EventFormat,
    sync_interval: Duration,
    /// Lines to be written by the next commit.
    batch: String,
    /// The time of receipt of new lines: in seconds since 1970, and as classic lines have it.
    received: (u64, String),
    /// When the written lines are to be forced to disk.
    sync_due: Option<Duration>,
}

impl EventStream {
    /// Bytes of the buffer that are kept after a burst.
    const KEPT: usize = 64 * 1024;

    pub(super) fn new(settings: &ServerFile) -> Self {
        Self {
            file: RollingFile::new(&settings.event_stream, settings.event_stream_size, settings.event_stream_keep),
            format: settings.event_format,
            sync_interval: Duration::from_secs(settings.event_sync),
            batch: String::with_capacity(Self::KEPT),
            received: (u64::MAX, String::new()),
            sync_due: None,
        }
    }

    /// Sets the time of receipt of the events that follow.
    pub(super) fn begin(&mut self, now: Now) {
        if self.received.0 != now.unix {
            self.received = (now.unix, LocalTime::at(now.unix).ctime());
        }
    }

    /// Writes the events since the last commit: all of them or none.
    ///
    /// # Errors
    /// None of them is written. They are dropped here.
    pub(super) fn commit(&mut self, now: Now) -> io::Result<()> {
        let outcome = self.file.append(self.batch.as_bytes());
        let length = self.batch.len() as u64;
        self.batch.clear();
        self.batch.shrink_to(Self::KEPT);
        outcome?;
        if self.sync_interval.is_zero() {
            return match self.file.sync() {
                // `InvalidInput`: not on a disk, for example a pipe.
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

    /// Whether there are events to commit.
    pub(super) fn has_batch(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Cuts off what follows the last line that ends a batch: an earlier run was killed while it wrote the rest, and has not acknowledged
    /// it.
    ///
    /// # Errors
    /// The file cannot be read or truncated.
    pub(super) fn cut_torn_batch(&mut self) -> io::Result<()> {
        let ends_batch = |line: &[u8]| StreamEvent::parse(&String::from_utf8_lossy(line)).is_none_or(|event| event.word().ends_batch());
        self.file.cut_torn_end(&ends_batch)
    }

    /// How often the file was rolled since the start.
    pub(super) fn rolled(&self) -> u64 {
        self.file.rolled()
    }

    /// Keeps so many rolled files from now on: some are held for outputs.
    pub(super) fn keep(&mut self, files: u32) {
        self.file.keep(files);
    }

    /// Forces the written lines to disk.
    ///
    /// # Errors
    /// A power failure may lose acknowledged events.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.sync_due = None;
        self.file.sync()
    }

    /// As [`Self::sync`], if it is due; `None` if not.
    pub(super) fn sync_if_due(&mut self, now: Now) -> Option<io::Result<()>> {
        self.sync_due.take_if(|due| *due <= now.mono)?;
        Some(self.file.sync())
    }

    /// When [`Self::sync_if_due`] is due.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.sync_due
    }

    /// Closes the file. The next commit reopens it.
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
            EventFormat::Json => StreamEvent::of_alert(alert, *unix).emit_json(Zone(LocalTime::offset), &mut self.batch),
        }
        self.batch.push('\n');
    }

    fn earlier_places(&self, host: &str, chain: ChainId, inode: u64, offset: u64) -> Vec<FilePosition> {
        let mut places = Places::new(host, chain, inode);
        StreamFiles::new(self.file.path()).for_each_line(&mut |line| places.take(line));
        places.up_to(offset)
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
            received: (1_795_347_336, LocalTime::at(1_795_347_336).ctime()),
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
    fn a_classic_line_has_the_format_that_consumers_know() {
        let mut stream = stream(EventFormat::Classic);
        stream.accept(&Alert { text: "A Message", ..EVENT });
        let received = LocalTime::at(1_795_347_336).ctime();
        assert_eq!(stream.batch, format!("{received}%%nas1%%1795347336_2%%1795347336%%TAG1%%/var/log/messages%%A Message\n"));
    }

    #[test]
    fn a_json_line_has_every_field_of_the_event() {
        let received = Zone(LocalTime::offset).rfc3339(1_795_347_336);
        let fields = format!("\"received\":\"{received}\",\"received_unix\":1795347336,\"host\":\"nas1\",\"uid\":");
        let rest = "\"time\":\"2026-11-22T11:35:36Z\",\"time_unix\":1795347336,\"tags\":\"TAG1\"";
        for (event, expected) in [
            (EVENT, format!("\"1795347336_2\",{rest},\"file\":\"/var/log/messages\",\"text\":\"A \\\"quoted\\\" \\\\ message %% ü\"")),
            (Alert { file: None, text: "", ..EVENT }, format!("\"1795347336_2\",{rest},\"text\":\"\"")),
            (
                Alert { uid: "q.1;count;;;7@5:3:c:-", file: None, text: "7", ..EVENT },
                format!("\"q.1\",\"kind\":\"count\",\"value\":7,\"at\":\"5:3:c:-\",{rest},\"text\":\"7\""),
            ),
            (
                Alert { uid: "q.2;limit;opened;k8@", file: None, text: "", ..EVENT },
                format!("\"q.2\",\"kind\":\"limit\",\"state\":\"opened\",\"key\":\"k8\",\"at\":\"\",{rest},\"text\":\"\""),
            ),
            // As the server writes its own events.
            (Alert { uid: "q.3;system", file: None, text: "", ..EVENT }, format!("\"q.3\",\"kind\":\"system\",{rest},\"text\":\"\"")),
        ] {
            let mut stream = stream(EventFormat::Json);
            stream.accept(&event);
            assert_eq!(stream.batch, format!("{{{fields}{expected}}}\n"));
        }
    }

    #[test]
    fn a_written_line_is_parsed_as_the_same_event() {
        for format in [EventFormat::Classic, EventFormat::Json] {
            let words = ["f.r.1;line@", "f.r.1;line@5:3:c:9.1.1", "q.1;metric;;;-42.50@", "q.2;limit;opened;k8@0:3:1:-~k8", "q.3;system"];
            let events = words.map(|uid| Alert { uid, ..EVENT });
            for event in [EVENT, Alert { file: None, text: "", ..EVENT }].into_iter().chain(events) {
                let mut stream = stream(format);
                stream.accept(&event);
                let read = StreamEvent::parse(stream.batch.trim_end_matches('\n')).unwrap();
                let word = read.word().to_string();
                assert_eq!((read.alert(&word), read.received_at(Zone(LocalTime::offset))), (event, 1_795_347_336));
                assert_eq!(StreamEvent::parse(&stream.batch[..30]), None);
            }
        }
    }
}
