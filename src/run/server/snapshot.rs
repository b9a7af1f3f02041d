//! Recovery after a restart: a snapshot file beside the event stream, and the events that the streams have after it. The streams alone are
//! enough, because they record each event together with its checkpoint; the snapshot saves reading all of them.

use super::event_stream::EventStream;
use super::streams::{SavedStreamsPlace, Streams, Which};
use crate::directives::server::ServerFile;
use crate::lines::lines;
use crate::now::Now;
use crate::run::atomic_file::AtomicFile;
use crate::run::failure::LastFailure;
use crate::run::log::Log;
use crate::server::{ConditionChange, Server};
use crate::sys::clock::LocalTime;
use crate::sys::reason;
use crate::wire::{ChainId, RecordedSeq, StreamEvent};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

pub(super) struct Recovery {
    /// Path of the event stream.
    stream: String,
    streams: Streams,
    /// How many rolled files of each are kept.
    keep: [u32; 2],
    file: AtomicFile,
    /// When the next snapshot may be taken.
    next: Duration,
    /// How often each was rolled when the last snapshot was taken.
    rolled: [u64; 2],
    failure: LastFailure,
}

/// The content of the snapshot file.
struct Snapshot {
    /// The ends of the streams when the snapshot was taken.
    streams: SavedStreamsPlace,
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
            streams: Streams::new(settings),
            keep: [settings.event_stream_keep, settings.metric_stream_keep],
            file: AtomicFile::new(format!("{}.state", settings.event_stream)),
            next: now.mono + Self::INTERVAL,
            rolled: [0; 2],
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
        // Without a snapshot, or if a place of it was deleted, every event may be new.
        let place = snapshot.and_then(|snapshot| self.streams.find(&snapshot.streams));
        let mut reader = place.map_or_else(|| self.streams.reader(), |place| self.streams.reader_behind(place));
        let (mut epochs, mut replayed) = (Epochs::default(), 0);
        while let Some(line) = reader.next() {
            replayed += 1;
            replay(now, &line.event, server, &mut epochs);
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
        for path in self.streams.all().flat_map(|(_, files)| [files.numbered(1), files.numbered(0)]) {
            let text = read_end(&path, Self::RECENT_BYTES).unwrap_or_default();
            let recorded = lines(&text).filter_map(|(_, line)| StreamEvent::parse(&String::from_utf8_lossy(line)));
            events.extend(recorded.filter(|event| event.at.is_none() && is_recent(event)));
        }
        events
    }

    /// Writes a snapshot if one is due.
    pub(super) fn handle_timeout(&mut self, now: Now, server: &mut Server, stream: &mut EventStream, log: &mut Log) {
        let mut streams = Self::rolled(stream).into_iter().zip(self.rolled).zip(self.keep);
        let loses_events = streams.any(|((rolled, before), keep)| rolled - before >= u64::from(keep.max(1)));
        if now.mono >= self.next || loses_events {
            self.save(now, server, stream, log);
        }
    }

    fn rolled(stream: &EventStream) -> [u64; 2] {
        [Which::Events, Which::Metrics].map(|which| stream.rolled(which))
    }

    /// Writes a snapshot if anything changed.
    pub(super) fn save(&mut self, now: Now, server: &mut Server, stream: &mut EventStream, log: &mut Log) {
        self.next = now.mono + Self::INTERVAL;
        self.rolled = Self::rolled(stream);
        if fs::metadata(&self.stream).is_ok_and(|meta| !meta.is_file()) {
            return;
        }
        let Some(text) = server.snapshot() else { return };
        // The streams are forced to disk first: a snapshot must not be ahead of them.
        let snapshot = Snapshot { streams: self.streams.saved(self.streams.end()), unix: now.unix, text };
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
    /// The content of the file: the ends of the streams, then the snapshot of the server.
    fn emit(&self) -> String {
        let Self { streams, unix, text } = self;
        format!("STREAM%%{unix}%%{}\n{text}", streams.emit())
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, text) = text.split_once('\n')?;
        let (unix, streams) = first.strip_prefix("STREAM%%")?.split_once("%%")?;
        Some(Self { streams: SavedStreamsPlace::parse(streams)?, unix: unix.parse().ok()?, text: text.to_string() })
    }
}

/// The epochs of each chain in the order in which they began. Two streams show this order: within one second, theirs is not known.
#[derive(Default)]
struct Epochs(HashMap<String, HashMap<ChainId, Vec<u64>>>);

impl Epochs {
    /// Whether an epoch of a chain is the last one so far. One that another has followed never comes back.
    fn is_last(&mut self, host: &str, chain: ChainId, epoch: u64) -> bool {
        if !self.0.contains_key(host) {
            self.0.insert(host.into(), HashMap::new());
        }
        let Some(chains) = self.0.get_mut(host) else { return true };
        let epochs = chains.entry(chain).or_default();
        if !epochs.contains(&epoch) {
            epochs.push(epoch);
        }
        epochs.last() == Some(&epoch)
    }
}

/// Follows what an event of a stream says of its chain and of a condition.
fn replay(now: Now, event: &StreamEvent, server: &mut Server, epochs: &mut Epochs) {
    if let Some((at, recorded)) = event.at.as_deref().and_then(|at| Some((at, RecordedSeq::parse(at)?))) {
        if epochs.is_last(&event.host, recorded.chain, recorded.seq.epoch) {
            server.replay(&event.host, at, event.unix);
        }
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
        for streams in ["2s.1y2p0ij32e8e7.4zf", "-", "2s.1y2p0ij32e8e7.4zf 2s.1.1"] {
            let streams = SavedStreamsPlace::parse(streams).unwrap();
            let text = "436 positions 1\nAT%%h%%1%%none\n";
            let read = Snapshot::parse(&Snapshot { streams: streams.clone(), unix: 17, text: text.into() }.emit()).unwrap();
            assert_eq!((read.streams, read.unix, &*read.text), (streams, 17, text));
        }
        for text in ["", "STREAM%%17\n", "STREAM%%17%%?\n", "STREAM%%x%%-\n", "436 positions 1\n"] {
            assert!(Snapshot::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_epoch_that_another_has_followed_does_not_come_back() {
        let mut epochs = Epochs::default();
        for (host, chain, epoch, is_last) in [
            ("h", 1, 7, true),
            ("h", 1, 7, true),
            ("h", 1, 3, true),
            ("h", 1, 7, false),
            ("h", 1, 3, true),
            ("h", 2, 7, true),
            ("i", 1, 7, true),
        ] {
            assert_eq!(epochs.is_last(host, ChainId(chain), epoch), is_last, "{host} {chain} {epoch}");
        }
    }
}
