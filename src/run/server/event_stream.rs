//! Writes the event stream: a rolling file with one line per event, in the classic form or as JSON.

use super::places::Places;
use super::rollback::Rollback;
use super::stream_files::StreamFiles;
use super::streams::Which;
use crate::date::Zone;
use crate::directives::server::{EventFormat, ServerFile};
use crate::fs::rolling::RollingFile;
use crate::now::Now;
use crate::server::EventSink;
use crate::sys::clock::LocalTime;
use crate::wire::position::{FilePosition, Position};
use crate::wire::{Alert, ChainId, Kind, StreamEvent};
use std::io;
use std::time::Duration;

pub(super) struct EventStream {
    events: StreamWriter,
    /// Has the events of the kinds `metric` and `count`, if they go into a stream of their own.
    metrics: Option<StreamWriter>,
    /// Makes one write of two.
    rollback: Rollback,
    format: EventFormat,
    sync_interval: Duration,
    /// The time of receipt of new lines: in seconds since 1970, and as classic lines have it.
    received: (u64, String),
    /// When the written lines are to be forced to disk.
    sync_due: Option<Duration>,
}

/// One of the streams.
struct StreamWriter {
    file: RollingFile,
    /// Lines to be written by the next commit.
    batch: String,
    /// Where the checkpoint belongs in the last of these lines, if that is within a batch.
    open_end: Option<usize>,
}

impl EventStream {
    pub(super) fn new(settings: &ServerFile) -> Self {
        let metrics = settings.metric_stream.as_ref();
        Self {
            events: StreamWriter::new(&settings.event_stream, settings.event_stream_size, settings.event_stream_keep),
            metrics: metrics.map(|path| StreamWriter::new(path, settings.metric_stream_size, settings.metric_stream_keep)),
            rollback: Rollback::new(&settings.event_stream),
            format: settings.event_format,
            sync_interval: Duration::from_secs(settings.event_sync),
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

    fn writers(&mut self) -> impl Iterator<Item = &mut StreamWriter> {
        [&mut self.events].into_iter().chain(&mut self.metrics)
    }

    /// Writes the events since the last commit: all of them or none.
    ///
    /// # Errors
    /// None of them is written. They are dropped here.
    pub(super) fn commit(&mut self, now: Now) -> io::Result<()> {
        let outcome = self.write();
        self.writers().for_each(StreamWriter::clear);
        outcome?;
        if !self.sync_interval.is_zero() {
            self.sync_due.get_or_insert(now.mono + self.sync_interval);
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let is_synced = self.sync_interval.is_zero();
        self.rollback.clear()?;
        let Some(metrics) = self.metrics.as_mut().filter(|metrics| !metrics.batch.is_empty()) else { return self.events.write(is_synced) };
        if self.events.batch.is_empty() {
            return metrics.write(is_synced);
        }
        // The events of a batch may go to both. So both writes count or none does, also if the server is killed between them.
        let parts = [metrics.prepare()?, self.events.prepare()?];
        self.rollback.set([(&parts[0], metrics.length()), (&parts[1], self.events.length())], is_synced)?;
        let outcome = metrics.write(is_synced).and_then(|()| self.events.write(is_synced).inspect_err(|_| metrics.take_back()));
        match outcome {
            Ok(()) => self.rollback.handle_written(),
            // Otherwise the next commit tries to.
            Err(_) => drop(self.rollback.clear()),
        }
        outcome
    }

    /// Whether there are events to commit.
    pub(super) fn has_batch(&self) -> bool {
        !self.events.batch.is_empty() || self.metrics.as_ref().is_some_and(|metrics| !metrics.batch.is_empty())
    }

    /// Cuts off what an earlier run had not written to its end, and so not acknowledged, when it was killed: a write of both streams of which
    /// a part is missing, and what follows the last line that ends a batch.
    ///
    /// # Errors
    /// A file cannot be read or truncated.
    pub(super) fn cut_torn_batch(&mut self) -> io::Result<()> {
        let ends_batch = |line: &[u8]| StreamEvent::parse(&String::from_utf8_lossy(line)).is_none_or(|event| event.word().ends_batch());
        self.rollback.apply()?;
        self.writers().try_for_each(|writer| writer.file.cut_torn_end(&ends_batch))
    }

    /// How often a stream was rolled since the start.
    pub(super) fn rolled(&self, which: Which) -> u64 {
        match which {
            Which::Events => self.events.file.rolled(),
            Which::Metrics => self.metrics.as_ref().map_or(0, |metrics| metrics.file.rolled()),
        }
    }

    /// Keeps so many rolled files of a stream from now on: some are held for outputs.
    pub(super) fn keep(&mut self, which: Which, files: u32) {
        match which {
            Which::Events => self.events.file.keep(files),
            Which::Metrics => self.metrics.iter_mut().for_each(|metrics| metrics.file.keep(files)),
        }
    }

    /// Forces the written lines to disk.
    ///
    /// # Errors
    /// A power failure may lose acknowledged events.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.sync_due = None;
        self.writers().try_for_each(|writer| writer.file.sync())
    }

    /// As [`Self::sync`], if it is due; `None` if not.
    pub(super) fn sync_if_due(&mut self, now: Now) -> Option<io::Result<()>> {
        self.sync_due.filter(|due| *due <= now.mono)?;
        Some(self.sync())
    }

    /// When [`Self::sync_if_due`] is due.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.sync_due
    }

    /// Closes the files. The next commit reopens them.
    pub(super) fn reopen(&mut self) {
        self.writers().for_each(|writer| writer.file.reopen());
    }
}

impl StreamWriter {
    /// Bytes of the buffer that are kept after a burst.
    const KEPT: usize = 64 * 1024;

    fn new(path: &str, size: u64, keep: u32) -> Self {
        Self { file: RollingFile::new(path, size, keep), batch: String::new(), open_end: None }
    }

    fn length(&self) -> u64 {
        self.batch.len() as u64
    }

    /// Makes the file ready for the lines. Returns the files of the stream.
    fn prepare(&mut self) -> io::Result<StreamFiles> {
        self.file.prepare(self.length())?;
        Ok(StreamFiles::new(self.file.path()))
    }

    /// Writes the lines, all or none.
    fn write(&mut self, is_synced: bool) -> io::Result<()> {
        self.file.append(self.batch.as_bytes())?;
        if is_synced {
            match self.file.sync() {
                // `InvalidInput`: not on a disk, for example a pipe.
                Err(e) if e.kind() != io::ErrorKind::InvalidInput => {
                    self.take_back();
                    return Err(e);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the lines, which were just written.
    fn take_back(&mut self) {
        self.file.take_back(self.length());
    }

    fn clear(&mut self) {
        self.batch.clear();
        self.batch.shrink_to(Self::KEPT);
        self.open_end = None;
    }

    /// Adds a line. If the event is within a batch, others of that may go to the other stream.
    fn push(&mut self, alert: &Alert<'_>, format: EventFormat, (unix, received): (u64, &str)) {
        let start = self.batch.len();
        let at = match format {
            EventFormat::Classic => {
                self.batch.push_str(received);
                self.batch.push_str("%%");
                alert.emit_into(&mut self.batch);
                start + received.len() + alert.host.len() + alert.uid.len() + 2 * "%%".len()
            }
            EventFormat::Json => {
                StreamEvent::of_alert(alert, unix).emit_json(Zone(LocalTime::offset), &mut self.batch);
                // Within a text, the quotation marks have a backslash.
                self.batch[start..].find(Self::EMPTY_AT).map_or(start, |at| start + at + Self::EMPTY_AT.len() - 1)
            }
        };
        self.batch.push('\n');
        self.open_end = alert.uid.ends_with('@').then_some(at);
    }

    /// What a line in JSON has whose event is within a batch.
    const EMPTY_AT: &'static str = "\"at\":\"\"";

    /// The batch of the last line goes on in the other stream, and ends there: the line gets the checkpoint too.
    fn end_batch(&mut self, checkpoint: &str) {
        if let Some(at) = self.open_end.take() {
            self.batch.insert_str(at, checkpoint);
        }
    }
}

/// Whether the word of an event says that it is a number to be kept.
fn is_metric(word: &str) -> bool {
    let kind = word.split('@').next().and_then(|word| word.split(';').nth(1)).and_then(Kind::parse);
    matches!(kind, Some(Kind::Metric | Kind::Count))
}

impl EventSink for EventStream {
    fn accept(&mut self, alert: &Alert<'_>) {
        let received = (self.received.0, &*self.received.1);
        let Some(metrics) = &mut self.metrics else { return self.events.push(alert, self.format, received) };
        let (own, other) = if is_metric(alert.uid) { (metrics, &mut self.events) } else { (&mut self.events, metrics) };
        own.push(alert, self.format, received);
        if let Some((_, checkpoint)) = alert.uid.split_once('@').filter(|(_, checkpoint)| !checkpoint.is_empty()) {
            other.end_batch(checkpoint);
        }
    }

    fn earlier_places(&self, host: &str, chain: ChainId, inode: u64, offset: u64) -> Vec<FilePosition> {
        let places = |writer: &StreamWriter| {
            let mut places = Places::new(host, chain, inode);
            StreamFiles::new(writer.file.path()).for_each_line(&mut |line| places.take(line));
            places.up_to(offset)
        };
        let (mut of_events, of_metrics) = (places(&self.events), self.metrics.as_ref().map(places).unwrap_or_default());
        let Some(last) = of_events.first().map(|place| place.offset) else { return of_metrics };
        // The last one of all, and fewer further back.
        of_events.splice(..0, of_metrics.into_iter().take(1).filter(|place| place.offset > last));
        of_events.truncate(Position::MAX_FILES);
        of_events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(format: EventFormat) -> EventStream {
        EventStream {
            events: StreamWriter::new("/nonexistent/stream", 1000, 1),
            metrics: None,
            rollback: Rollback::new("/nonexistent/stream"),
            format,
            sync_interval: Duration::ZERO,
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
        assert_eq!(stream.events.batch, format!("{received}%%nas1%%1795347336_2%%1795347336%%TAG1%%/var/log/messages%%A Message\n"));
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
            assert_eq!(stream.events.batch, format!("{{{fields}{expected}}}\n"));
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
                let read = StreamEvent::parse(stream.events.batch.trim_end_matches('\n')).unwrap();
                let word = read.word().to_string();
                assert_eq!((read.alert(&word), read.received_at(Zone(LocalTime::offset))), (event, 1_795_347_336));
                assert_eq!(StreamEvent::parse(&stream.events.batch[..30]), None);
            }
        }
    }

    #[test]
    fn numbers_go_into_the_metric_stream_and_each_part_of_a_batch_has_its_checkpoint() {
        let words = [
            "q.1;metric;;;7@",
            "q.2;limit;opened;k8@",
            "q.3;line@",
            "q.4;count;;;3@5:3:c:-",
            "q.5;metric@5:3:d:-",
            "q.6;line@",
            "q.7;line@5:3:f:-",
            "q.8;system",
            "1_2",
        ];
        for format in [EventFormat::Classic, EventFormat::Json] {
            let mut stream = stream(format);
            stream.metrics = Some(StreamWriter::new("/nonexistent/metrics", 1000, 1));
            words.iter().for_each(|uid| stream.accept(&Alert { uid, text: "\"at\":\"\" q@%%", ..EVENT }));
            let words = |writer: &StreamWriter| -> Vec<String> {
                writer.batch.lines().map(|line| StreamEvent::parse(line).unwrap().word().to_string()).collect()
            };
            assert_eq!(words(stream.metrics.as_ref().unwrap()), ["q.1;metric;;;7@", "q.4;count;;;3@5:3:c:-", "q.5;metric@5:3:d:-"]);
            let events = ["q.2;limit;opened;k8@", "q.3;line@5:3:c:-", "q.6;line@", "q.7;line@5:3:f:-", "q.8;system", "1_2"];
            assert_eq!(words(&stream.events), events);
        }
    }
}
