//! The event stream and the metric stream as one: places in both, and a reader of both in the order of receipt.

use super::stream_files::{Place, StreamFiles};
use super::stream_reader::{StreamLine, StreamReader};
use crate::date::Zone;
use crate::directives::server::ServerFile;
use crate::sys::clock::LocalTime;
use crate::wire::position::Position;
use crate::wire::StreamEvent;

/// The files of the event stream, and of the metric stream if there is one.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    events: StreamFiles,
    metrics: Option<StreamFiles>,
}

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Events,
    Metrics,
}

/// A place in each stream; `None` is the start of one that was not there yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StreamsPlace {
    pub(super) events: Option<Place>,
    pub(super) metrics: Option<Place>,
}

/// StreamsPlace as another run will find them again: of the event stream, and of the metric stream if there was one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SavedStreamsPlace(Vec<Position>);

/// A place in both streams that moves on.
pub(super) struct StreamsReader {
    events: Source,
    metrics: Option<Source>,
}

/// An event of one of the streams.
pub(super) struct StreamsLine {
    pub(super) event: StreamEvent,
    /// Behind it in its own stream, and behind the last one before it in the other.
    pub(super) place: StreamsPlace,
}

/// One stream whose next event is known.
struct Source {
    reader: StreamReader,
    next: Option<StreamLine>,
    /// When that was received, in seconds since 1970.
    received: u64,
    /// Behind the last event that was handed out.
    place: Option<Place>,
    /// Whether it had no more when it was asked last.
    is_at_end: bool,
}

impl Streams {
    pub(super) fn new(settings: &ServerFile) -> Self {
        Self { events: StreamFiles::new(&settings.event_stream), metrics: settings.metric_stream.as_deref().map(StreamFiles::new) }
    }

    /// The files of each stream that there is.
    pub(super) fn all(&self) -> impl Iterator<Item = (Which, &StreamFiles)> {
        let metrics = self.metrics.iter().map(|metrics| (Which::Metrics, metrics));
        [(Which::Events, &self.events)].into_iter().chain(metrics)
    }

    /// The ends of both.
    pub(super) fn end(&self) -> StreamsPlace {
        StreamsPlace { events: self.events.end(), metrics: self.metrics.as_ref().and_then(StreamFiles::end) }
    }

    /// A reader of all that both have.
    pub(super) fn reader(&self) -> StreamsReader {
        let source = |files: &StreamFiles| Source::new(StreamReader::from_start(&files.numbered(0)));
        StreamsReader { events: source(&self.events), metrics: self.metrics.as_ref().map(source) }
    }

    /// A reader of what follows a place in each. If the file of a place is gone, that stream is read from its start.
    pub(super) fn reader_behind(&self, places: StreamsPlace) -> StreamsReader {
        let source = |files: &StreamFiles, place: Option<Place>| {
            let path = files.numbered(0);
            let reader = place.and_then(|place| StreamReader::behind(&path, place));
            Source::new(reader.unwrap_or_else(|| StreamReader::from_start(&path)))
        };
        let metrics = self.metrics.as_ref().map(|metrics| source(metrics, places.metrics));
        StreamsReader { events: source(&self.events, places.events), metrics }
    }

    /// The places as another run will find them again. A file that is gone counts as the start.
    pub(super) fn saved(&self, places: StreamsPlace) -> SavedStreamsPlace {
        let saved = |(which, files): (Which, &StreamFiles)| {
            let place = places.of(which).and_then(|place| files.saved(place));
            Position::of_files(place.into_iter().collect())
        };
        SavedStreamsPlace(self.all().map(saved).collect())
    }

    /// Finds places that an earlier run saved. `None` if one is gone, or is not among them.
    pub(super) fn find(&self, saved: &SavedStreamsPlace) -> Option<StreamsPlace> {
        let mut places = StreamsPlace::default();
        for (at, (which, files)) in self.all().enumerate() {
            let place = match saved.0.get(at)?.files.first() {
                Some(position) => Some(files.find(position)?),
                None => None,
            };
            places.set(which, place);
        }
        Some(places)
    }

    /// How many bytes both have behind these places.
    pub(super) fn bytes_behind(&self, places: StreamsPlace) -> u64 {
        self.all().filter_map(|(which, files)| Some(files.bytes_behind(places.of(which)?))).sum()
    }
}

impl StreamsPlace {
    pub(super) fn of(self, which: Which) -> Option<Place> {
        match which {
            Which::Events => self.events,
            Which::Metrics => self.metrics,
        }
    }

    /// The files that it is in.
    pub(super) fn inodes(self) -> [Option<u64>; 2] {
        [self.events, self.metrics].map(|place| place.map(Place::inode))
    }

    pub(super) fn set(&mut self, which: Which, place: Option<Place>) {
        match which {
            Which::Events => self.events = place,
            Which::Metrics => self.metrics = place,
        }
    }
}

impl SavedStreamsPlace {
    /// With that place in the metric stream, if there was no such stream when these were saved.
    pub(super) fn or_metrics(mut self, of: &Self) -> Self {
        if self.0.len() == 1 {
            self.0.extend(of.0.get(1).cloned());
        }
        self
    }

    pub(super) fn emit(&self) -> String {
        self.0.iter().map(Position::emit).collect::<Vec<_>>().join(" ")
    }

    /// The inverse of [`Self::emit`]. `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let places = text.split(' ').map(Position::parse).collect::<Option<Vec<_>>>()?;
        (places.len() <= 2 && places.iter().all(|position| position.files.len() <= 1)).then_some(Self(places))
    }
}

impl StreamsReader {
    /// The next event of a complete batch; of two streams, the one that was received earlier. `None` if there is none at the moment.
    pub(super) fn next(&mut self) -> Option<StreamsLine> {
        loop {
            let has_two = self.metrics.is_some();
            // What has reached its end is asked again only when the other has too: each look costs system calls.
            let asked = self.sources().filter_map(|source| source.fill(has_two)).count();
            let received = |source: &Source| source.next.as_ref().map(|_| source.received);
            let which = match (received(&self.events), self.metrics.as_ref().and_then(received)) {
                (Some(of_event), Some(of_metric)) if of_event < of_metric => Which::Events,
                (_, Some(_)) => Which::Metrics,
                (Some(_), None) => Which::Events,
                (None, None) if asked == self.sources().count() => return None,
                (None, None) => {
                    self.sources().for_each(|source| source.is_at_end = false);
                    continue;
                }
            };
            let event = self.source(which)?.take()?;
            return Some(StreamsLine { event, place: self.place() });
        }
    }

    fn sources(&mut self) -> impl Iterator<Item = &mut Source> {
        [&mut self.events].into_iter().chain(&mut self.metrics)
    }

    fn source(&mut self, which: Which) -> Option<&mut Source> {
        match which {
            Which::Events => Some(&mut self.events),
            Which::Metrics => self.metrics.as_mut(),
        }
    }

    /// Behind the last events that were handed out.
    pub(super) fn place(&self) -> StreamsPlace {
        StreamsPlace { events: self.events.place(), metrics: self.metrics.as_ref().and_then(Source::place) }
    }

    /// Goes on behind a place in one stream. Hands over the events before it of the files of which `is_lost` holds, unless it has passed
    /// them.
    pub(super) fn skip(
        &mut self,
        (which, files): (Which, &StreamFiles),
        is_lost: &dyn Fn(u64) -> bool,
        to: Place,
        take: &mut dyn FnMut(&StreamEvent),
    ) {
        let Some(source) = self.source(which).filter(|source| source.place().is_none_or(|place| is_lost(place.inode()))) else { return };
        while let Some(line) = source.next.take().or_else(|| source.reader.next()).filter(|line| is_lost(line.place.inode())) {
            take(&line.event);
        }
        if let Some(reader) = StreamReader::behind(&files.numbered(0), to) {
            *source = Source::new(reader);
        }
    }
}

impl Source {
    fn new(reader: StreamReader) -> Self {
        Self { place: reader.place(), reader, next: None, received: 0, is_at_end: false }
    }

    /// Reads the next event if it is not known, and where the order matters also when it was received. `None` if it was not asked.
    fn fill(&mut self, is_ordered: bool) -> Option<()> {
        if self.next.is_some() || self.is_at_end {
            return None;
        }
        self.place = self.reader.place();
        self.next = self.reader.next();
        self.is_at_end = self.next.is_none();
        if let Some(line) = self.next.as_ref().filter(|_| is_ordered) {
            self.received = line.event.received_at(Zone(LocalTime::offset));
        }
        Some(())
    }

    fn take(&mut self) -> Option<StreamEvent> {
        let StreamLine { event, place, .. } = self.next.take()?;
        self.place = Some(place);
        Some(event)
    }

    fn place(&self) -> Option<Place> {
        if self.next.is_some() {
            self.place
        } else {
            self.reader.place()
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the files under test")]
mod tests {
    use super::*;
    use crate::fs::test_folder::TestFolder;

    fn streams_in(folder: &TestFolder) -> Streams {
        let files = |name: &str| StreamFiles::new(&folder.file(name));
        Streams { events: files("events"), metrics: Some(files("metrics")) }
    }

    /// Appends events with these uids, each received at that time.
    fn append(folder: &TestFolder, name: &str, events: &[(u64, &str)]) {
        let mut text = String::new();
        for (received_unix, uid) in events {
            let event = StreamEvent { received_unix: Some(*received_unix), host: "h".into(), uid: (*uid).into(), ..StreamEvent::default() };
            StreamEvent { tags: "T".into(), ..event }.emit_json(Zone(|_| 0), &mut text);
            text.push('\n');
        }
        folder.append(name, &text);
    }

    fn uids(reader: &mut StreamsReader) -> Vec<String> {
        std::iter::from_fn(|| reader.next()).map(|line| line.event.uid).collect()
    }

    #[test]
    fn both_are_read_in_the_order_of_receipt_and_what_comes_later_is_not_missed() {
        let folder = TestFolder::new();
        let mut reader = streams_in(&folder).reader();
        assert_eq!(uids(&mut reader), [""; 0]);
        append(&folder, "events", &[(1, "e1"), (3, "e3"), (9, "e9")]);
        append(&folder, "metrics", &[(2, "m2"), (3, "m3"), (5, "m5")]);
        assert_eq!(uids(&mut reader), ["e1", "m2", "m3", "e3", "m5", "e9"]);
        append(&folder, "metrics", &[(10, "m10")]);
        assert_eq!(uids(&mut reader), ["m10"]);
        // The metrics were at their end when these came.
        append(&folder, "events", &[(11, "e11"), (12, "e12")]);
        assert_eq!(reader.next().unwrap().event.uid, "e11");
        append(&folder, "metrics", &[(11, "m11")]);
        assert_eq!(uids(&mut reader), ["e12", "m11"]);
    }

    #[test]
    fn a_place_in_both_is_found_again_and_nothing_behind_it_is_left_out() {
        let folder = TestFolder::new();
        append(&folder, "events", &[(1, "e1"), (3, "e3"), (5, "e5")]);
        append(&folder, "metrics", &[(2, "m2"), (4, "m4")]);
        let (streams, all) = (streams_in(&folder), ["e1", "m2", "e3", "m4", "e5"]);
        for passed in 0..=all.len() {
            let mut reader = streams.reader();
            let place = (0..passed).fold(reader.place(), |_, _| reader.next().unwrap().place);
            assert_eq!(place, reader.place());
            let saved = SavedStreamsPlace::parse(&streams.saved(place).emit()).unwrap();
            let found = streams.find(&saved).unwrap();
            assert_eq!(uids(&mut streams.reader_behind(found)), all[passed..], "{passed}");
        }
        let of_events = Streams { metrics: None, ..streams_in(&folder) };
        let saved = of_events.saved(of_events.end());
        assert_eq!(streams.find(&saved), None);
        assert_eq!(streams.find(&saved.or_metrics(&streams.saved(streams.end()))), Some(streams.end()));
    }
}
