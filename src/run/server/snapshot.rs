//! What the server keeps to go on after a restart where it was: a snapshot beside the event stream, and the lines that the stream has
//! behind that. One write into the stream records an event and its position together; the snapshot only saves reading all of it.

use super::event_stream::{EventStream, Recorded};
use crate::directives::server::{EventFormat, ServerFile};
use crate::fs::Access;
use crate::lines::lines;
use crate::now::Now;
use crate::run::atomic_file::AtomicFile;
use crate::run::log::Log;
use crate::server::Server;
use crate::sys::clock::LocalTime;
use crate::sys::reason;
use crate::tail::{Follower, Piece, BUFFER};
use crate::wire::position::Position;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

pub(super) struct State {
    stream: String,
    format: EventFormat,
    keep: u32,
    kept: AtomicFile,
    /// When the next snapshot may be taken.
    next: Duration,
    /// How often the stream had rolled at the last one.
    rolled: u64,
    failure: Option<String>,
}

/// A snapshot as it was read.
struct Snapshot {
    /// How far the stream was written then, and when that was.
    stream: Position,
    unix: u64,
    text: String,
}

impl State {
    /// Least time between two snapshots, but where the stream is about to drop what only it knows.
    const INTERVAL: Duration = Duration::from_secs(60);
    /// For so long a repeat of a version 1 event is recognised, of at most so many bytes of the stream.
    const RECENT: u64 = 15 * 60;
    const RECENT_BYTES: u64 = 16 << 20;

    pub(super) fn new(now: Now, settings: &ServerFile) -> Self {
        Self {
            stream: settings.event_stream.clone(),
            format: settings.event_format,
            keep: settings.event_stream_keep,
            kept: AtomicFile::new(format!("{}.state", settings.event_stream)),
            next: now.mono + Self::INTERVAL,
            rolled: 0,
            failure: None,
        }
    }

    /// Tells the server what earlier runs have written.
    pub(super) fn recover(&mut self, now: Now, server: &mut Server, log: &mut Log) {
        if fs::metadata(&self.stream).is_ok_and(|meta| !meta.is_file()) {
            log.write(now, "the event stream is no file: after a restart of the server agents begin logs at their end");
            return;
        }
        let snapshot = self.read_snapshot(now, log).filter(|snapshot| server.restore(&snapshot.text));
        let replayed = self.replay(snapshot.as_ref(), server);
        if snapshot.is_some() || replayed > 0 {
            let from = if snapshot.is_some() { "the snapshot and" } else { "no snapshot;" };
            log.write(now, &format!("going on from {from} {replayed} events of the stream"));
        }
        for event in self.recent_events(now) {
            server.replay_recent(now, event.alert());
        }
    }

    fn read_snapshot(&self, now: Now, log: &mut Log) -> Option<Snapshot> {
        let (text, faults) = self.kept.read();
        faults.iter().for_each(|fault| log.write(now, fault));
        Snapshot::parse(&text?)
    }

    /// Returns how many events there were.
    fn replay(&self, snapshot: Option<&Snapshot>, server: &mut Server) -> u64 {
        let mut replayed = 0;
        let mut take = |line: &str| {
            if let Some(event) = Recorded::parse(self.format, line) {
                server.replay(&event.host, &event.uid);
                replayed += 1;
            }
        };
        if let Some(Snapshot { stream, unix, .. }) = snapshot.filter(|snapshot| !snapshot.stream.files.is_empty()) {
            let (mut follower, lost) = Follower::resume(&Access::unrestricted(), &self.stream, stream, *unix);
            if lost.is_none() {
                read_to_end(&mut follower, &mut take);
                return replayed;
            }
        }
        // What the snapshot covers has been rolled away, or there is none: all that is there may be new.
        let rolled = (1..=self.keep).rev().map(|number| format!("{}.{number}", self.stream));
        rolled
            .chain([self.stream.clone()])
            .for_each(|path| read_to_end(&mut Follower::from_start(&Access::unrestricted(), &path), &mut take));
        replayed
    }

    fn recent_events(&self, now: Now) -> Vec<Recorded> {
        // The clock may have been set back meanwhile.
        let times = now.unix.saturating_sub(Self::RECENT)..=now.unix + Self::RECENT;
        let recent: HashSet<String> = times.map(|unix| LocalTime::at(unix).ctime()).collect();
        let mut events = Vec::new();
        for path in [format!("{}.1", self.stream), self.stream.clone()] {
            let text = read_end(&path, Self::RECENT_BYTES).unwrap_or_default();
            let recorded = lines(&text).filter_map(|(_, line)| Recorded::parse(self.format, &String::from_utf8_lossy(line)));
            events.extend(recorded.filter(|event| event.is_classic() && recent.contains(&event.received)));
        }
        events
    }

    /// Keeps a snapshot if one is due.
    pub(super) fn handle_timeout(&mut self, now: Now, server: &mut Server, stream: &mut EventStream, log: &mut Log) {
        let dropping = stream.rolled() - self.rolled >= u64::from(self.keep.max(1));
        if now.mono >= self.next || dropping {
            self.save(now, server, stream, log);
        }
    }

    /// Keeps a snapshot if anything has changed.
    pub(super) fn save(&mut self, now: Now, server: &mut Server, stream: &mut EventStream, log: &mut Log) {
        self.next = now.mono + Self::INTERVAL;
        self.rolled = stream.rolled();
        if fs::metadata(&self.stream).is_ok_and(|meta| !meta.is_file()) {
            return;
        }
        let Some(text) = server.snapshot() else { return };
        // A snapshot must not be ahead of the stream that is on disk.
        let position = Follower::from_end(&Access::unrestricted(), &self.stream).position();
        let snapshot = Snapshot { stream: position, unix: now.unix, text };
        let failure = stream.sync().and_then(|()| self.kept.write(&snapshot.emit())).err().map(|e| reason(&e));
        if failure.is_some() {
            server.handle_snapshot_lost();
        }
        if let Some(failure) = failure.as_ref().filter(|failure| self.failure.as_ref() != Some(failure)) {
            let path = self.kept.path();
            log.write(now, &format!("cannot write {path}: {failure}; a restart reads the whole stream instead"));
        }
        self.failure = failure;
    }
}

impl Snapshot {
    /// The text: where the stream was, and what the server says.
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

fn read_to_end(follower: &mut Follower, take: &mut dyn FnMut(&str)) {
    let mut buffer = vec![0; BUFFER];
    let _ = follower.look(Duration::ZERO, &mut |_| None);
    let mut read = |Piece { bytes, .. }: Piece<'_>| {
        lines(bytes).for_each(|(_, line)| take(&String::from_utf8_lossy(line)));
        bytes.len()
    };
    while follower.read(Duration::ZERO, &mut buffer, &mut read) {}
}

/// The last bytes of a file.
#[allow(clippy::disallowed_methods, reason = "the stream's end, once")]
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
    fn a_snapshot_is_read_as_it_was_written() {
        let stream = Position::parse("2s.1y2p0ij32e8e7.4zf").unwrap();
        let text = "436 positions 1\nAT%%h%%1%%none\n";
        let read = Snapshot::parse(&Snapshot { stream: stream.clone(), unix: 17, text: text.into() }.emit()).unwrap();
        assert_eq!((read.stream, read.unix, &*read.text), (stream, 17, text));
        for text in ["", "STREAM%%17\n", "STREAM%%17%%?\n", "STREAM%%x%%-\n", "436 positions 1\n"] {
            assert!(Snapshot::parse(text).is_none(), "{text}");
        }
    }
}
