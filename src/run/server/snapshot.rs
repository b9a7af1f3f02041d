//! Recovery after a restart: a snapshot file beside the event stream, and the events that the stream has after it. The stream alone is
//! enough, because it records each event together with its checkpoint; the snapshot saves reading all of it.

use super::event_stream::EventStream;
use super::stream_files::StreamFiles;
use super::stream_reader::StreamReader;
use crate::directives::server::ServerFile;
use crate::lines::lines;
use crate::now::Now;
use crate::run::atomic_file::AtomicFile;
use crate::run::failure::LastFailure;
use crate::run::log::Log;
use crate::server::{ConditionChange, Server};
use crate::sys::clock::LocalTime;
use crate::sys::reason;
use crate::wire::position::Position;
use crate::wire::StreamEvent;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

pub(super) struct Recovery {
    /// Path of the event stream.
    stream: String,
    keep: u32,
    file: AtomicFile,
    /// When the next snapshot may be taken.
    next: Duration,
    /// How often the stream was rolled when the last snapshot was taken.
    rolled: u64,
    failure: LastFailure,
}

/// The content of the snapshot file.
struct Snapshot {
    /// The end of the stream when the snapshot was taken.
    stream: Position,
    /// When that was, in seconds since 1970.
    unix: u64,
    /// The snapshot of the server.
    text: String,
}

impl Recovery {
    /// Least time between two snapshots. If the stream is about to delete events that the snapshot lacks, there is no limit.
    const INTERVAL: Duration = Duration::from_secs(60);
    /// Repeats of version 1 events are recognised for this many seconds.
    const RECENT: u64 = 15 * 60;
    /// Most bytes of each file of the stream that are searched for such events.
    const RECENT_BYTES: u64 = 16 << 20;

    pub(super) fn new(now: Now, settings: &ServerFile) -> Self {
        Self {
            stream: settings.event_stream.clone(),
            keep: settings.event_stream_keep,
            file: AtomicFile::new(format!("{}.state", settings.event_stream)),
            next: now.mono + Self::INTERVAL,
            rolled: 0,
            failure: LastFailure::default(),
        }
    }

    /// Restores what earlier runs have written.
    pub(super) fn recover(&mut self, now: Now, server: &mut Server, log: &mut Log) {
        if fs::metadata(&self.stream).is_ok_and(|meta| !meta.is_file()) {
            log.write(now, "the event stream is not a regular file: after a restart of the server, agents read their logs from the end");
            return;
        }
        let snapshot = self.read_snapshot(now, log).filter(|snapshot| server.restore(&snapshot.text));
        let replayed = self.replay(now, snapshot.as_ref(), server);
        if snapshot.is_some() || replayed > 0 {
            let source = if snapshot.is_some() { "restored from the snapshot and" } else { "no snapshot; restored from" };
            log.write(now, &format!("{source} {replayed} events of the stream"));
        }
        for event in self.recent_events(now) {
            server.replay_recent(now, event.alert(&event.uid));
        }
    }

    fn read_snapshot(&self, now: Now, log: &mut Log) -> Option<Snapshot> {
        let (text, faults) = self.file.read();
        faults.iter().for_each(|fault| log.write(now, fault));
        Snapshot::parse(&text?)
    }

    /// Replays the events after the snapshot. Returns their number.
    fn replay(&self, now: Now, snapshot: Option<&Snapshot>, server: &mut Server) -> u64 {
        let files = StreamFiles::new(&self.stream);
        // Without a snapshot, or if its place in the stream was deleted, every event of the stream may be new.
        let place = snapshot.and_then(|snapshot| files.find(snapshot.stream.files.first()?));
        let reader = place.and_then(|place| StreamReader::behind(&self.stream, place));
        let mut reader = reader.unwrap_or_else(|| StreamReader::from_start(&self.stream));
        let mut replayed = 0;
        while let Some(line) = reader.next() {
            replayed += 1;
            replay(now, &line.event, server);
        }
        replayed
    }

    /// The version 1 events that were received within the last [`Self::RECENT`] seconds.
    fn recent_events(&self, now: Now) -> Vec<StreamEvent> {
        // Later times too: the clock may have been set back.
        let times = now.unix.saturating_sub(Self::RECENT)..=now.unix + Self::RECENT;
        let texts: HashSet<String> = times.clone().map(|unix| LocalTime::at(unix).ctime()).collect();
        let is_recent = |event: &StreamEvent| match event.received_unix {
            Some(unix) => times.contains(&unix),
            None => texts.contains(&event.received),
        };
        let mut events = Vec::new();
        for path in [format!("{}.1", self.stream), self.stream.clone()] {
            let text = read_end(&path, Self::RECENT_BYTES).unwrap_or_default();
            let recorded = lines(&text).filter_map(|(_, line)| StreamEvent::parse(&String::from_utf8_lossy(line)));
            events.extend(recorded.filter(|event| event.at.is_none() && is_recent(event)));
        }
        events
    }

    /// Writes a snapshot if one is due.
    pub(super) fn handle_timeout(&mut self, now: Now, server: &mut Server, stream: &mut EventStream, log: &mut Log) {
        let loses_events = stream.rolled() - self.rolled >= u64::from(self.keep.max(1));
        if now.mono >= self.next || loses_events {
            self.save(now, server, stream, log);
        }
    }

    /// Writes a snapshot if anything changed.
    pub(super) fn save(&mut self, now: Now, server: &mut Server, stream: &mut EventStream, log: &mut Log) {
        self.next = now.mono + Self::INTERVAL;
        self.rolled = stream.rolled();
        if fs::metadata(&self.stream).is_ok_and(|meta| !meta.is_file()) {
            return;
        }
        let Some(text) = server.snapshot() else { return };
        // The stream is forced to disk first: a snapshot must not be ahead of it.
        let files = StreamFiles::new(&self.stream);
        let place = files.end().and_then(|place| files.saved(place));
        let snapshot = Snapshot { stream: Position::of_files(place.into_iter().collect()), unix: now.unix, text };
        let failure = stream.sync().and_then(|()| self.file.write(&snapshot.emit())).err().map(|e| reason(&e));
        if failure.is_some() {
            server.handle_snapshot_lost();
        }
        if let Some(failure) = self.failure.update(failure) {
            log.write(now, &format!("cannot write {}: {failure}; a restart reads the whole stream instead", self.file.path()));
        }
    }
}

impl Snapshot {
    /// The content of the file: the end of the stream, then the snapshot of the server.
    fn emit(&self) -> String {
        let Self { stream, unix, text } = self;
        format!("STREAM%%{unix}%%{stream}\n{text}")
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, text) = text.split_once('\n')?;
        let (unix, stream) = first.strip_prefix("STREAM%%")?.split_once("%%")?;
        Some(Self { stream: Position::parse(stream)?, unix: unix.parse().ok()?, text: text.to_string() })
    }
}

/// Follows what an event of the stream says of its chain and of a condition.
fn replay(now: Now, event: &StreamEvent, server: &mut Server) {
    if let Some(at) = &event.at {
        server.replay(&event.host, at, event.unix);
    }
    if let Some(change) = ConditionChange::of(&event.word(), &event.tags, &event.text, event.unix) {
        server.handle_condition(now, &event.host, change);
    }
}

/// Reads at most the last `most` bytes of a file.
#[allow(clippy::disallowed_methods, reason = "the end of the stream")]
fn read_end(path: &str, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emit_and_parse_are_inverses() {
        let stream = Position::parse("2s.1y2p0ij32e8e7.4zf").unwrap();
        let text = "436 positions 1\nAT%%h%%1%%none\n";
        let read = Snapshot::parse(&Snapshot { stream: stream.clone(), unix: 17, text: text.into() }.emit()).unwrap();
        assert_eq!((read.stream, read.unix, &*read.text), (stream, 17, text));
        for text in ["", "STREAM%%17\n", "STREAM%%17%%?\n", "STREAM%%x%%-\n", "436 positions 1\n"] {
            assert!(Snapshot::parse(text).is_none(), "{text}");
        }
    }
}
