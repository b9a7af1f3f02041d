//! The numbers of the last 24 hours as the page plots them: minimum, mean and maximum of every 5 minutes, in bounded memory. Knows no
//! clock: the caller says what time it is.

use crate::wildcard;
use std::collections::BTreeMap;

/// The numbers of all hosts. A series has what one host sent with the same tags.
///
/// Its memory is bounded by [`Series::MAX_BYTES`], whoever sends whatever. If there is no room for a new series, the one that was
/// silent longest goes, if that is [`Series::IDLE`] or longer; otherwise the new one is refused, so that series that are alive never
/// drive out each other.
#[derive(Default)]
pub struct Series {
    hosts: BTreeMap<Box<str>, BTreeMap<Box<str>, Track>>,
    count: usize,
    refused: u64,
    /// The latest time that is known.
    newest: Slot,
    /// Before then no series is idle for long enough.
    room_from: Slot,
}

/// A span of 5 minutes: the seconds since 1970, divided by [`Series::STEP`].
type Slot = u32;

/// The buckets of one series, in the order of their slots. Those without samples are left out.
struct Track(Vec<Bucket>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    slot: Slot,
    samples: u32,
    point: Point,
}

/// What 5 minutes of a series were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The least sample.
    pub min: f32,
    /// The mean of the samples.
    pub mean: f32,
    /// The greatest sample.
    pub max: f32,
}

/// A series that was asked for.
#[derive(Clone, Copy)]
pub struct Selected<'a> {
    /// The host that sent it.
    pub host: &'a str,
    /// The tags of its events.
    pub tags: &'a str,
    /// Never empty.
    buckets: &'a [Bucket],
}

impl Series {
    /// The time that a point stands for, in seconds.
    pub const STEP: u64 = 300;
    /// How long a point is kept, in seconds.
    pub const SPAN: u64 = 24 * 3600;
    /// Most series of all hosts.
    pub const MAX_SERIES: usize = 2048;
    /// Most series of one host.
    pub const MAX_OF_A_HOST: usize = 64;
    /// After this time without a sample, in seconds, a series may have to make room.
    pub const IDLE: u64 = 2 * 3600;
    /// Most bytes of all points. The names of hosts and tags come on top.
    pub const MAX_BYTES: usize = Self::MAX_SERIES * Track::MAX_BUCKETS * size_of::<Bucket>();

    /// The time that a sample counts for, in seconds since 1970: what its host says, if that can be. A sample that waited for its
    /// server is as late as that; the clock of a small host may say anything.
    pub fn sample_time(happened_unix: u64, received_unix: u64) -> u64 {
        if happened_unix <= received_unix && received_unix - happened_unix < Self::SPAN {
            happened_unix
        } else {
            received_unix
        }
    }

    /// Adds a sample. It may come late. What is no number, or older than [`Self::SPAN`] in its series, is dropped.
    pub fn record(&mut self, host: &str, tags: &str, unix: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        let slot = slot(unix);
        self.newest = self.newest.max(slot);
        if let Some(track) = self.hosts.get_mut(host).and_then(|tracks| tracks.get_mut(tags)) {
            track.record(slot, value);
            return;
        }
        if !self.make_room(host) {
            self.refused = self.refused.saturating_add(1);
            return;
        }
        let mut track = Track(Vec::new());
        track.record(slot, value);
        self.hosts.entry(host.into()).or_default().insert(tags.into(), track);
        self.count += 1;
    }

    /// Says what time it is, and drops what is older than [`Self::SPAN`] or from the future, as it is once a clock was set back.
    pub fn tidy(&mut self, now_unix: u64) {
        self.newest = slot(now_unix);
        self.room_from = 0;
        let (oldest, newest) = (slot(now_unix.saturating_sub(Self::SPAN)), self.newest.saturating_add(1));
        self.hosts.retain(|_, tracks| {
            tracks.retain(|_, track| {
                track.0.retain(|bucket| (oldest..=newest).contains(&bucket.slot));
                !track.0.is_empty()
            });
            !tracks.is_empty()
        });
        self.count = self.hosts.values().map(BTreeMap::len).sum();
    }

    /// The series whose host and tags match these patterns, with their points from a time on, in the order of their names.
    pub fn select<'a>(&'a self, host: &'a str, tags: &'a str, since_unix: u64) -> impl Iterator<Item = Selected<'a>> {
        let since = slot(since_unix);
        let hosts = self.hosts.iter().filter(move |(name, _)| wildcard::matches(host, name));
        let series = hosts.flat_map(|(host, tracks)| tracks.iter().map(move |(tags, track)| (&**host, &**tags, track)));
        series.filter(move |(_, name, _)| wildcard::matches_tags(tags, name)).filter_map(move |(host, tags, track)| {
            let buckets = track.since(since);
            (!buckets.is_empty()).then_some(Selected { host, tags, buckets })
        })
    }

    /// How many series there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many samples found no room since the start.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether there is room for one more series of a host, perhaps since an idle one has gone.
    fn make_room(&mut self, host: &str) -> bool {
        let idle = Slot::try_from(Self::IDLE / Self::STEP).unwrap_or(Slot::MAX);
        let is_idle = |newest: Slot, now: Slot| newest.saturating_add(idle) <= now;
        if let Some(tracks) = self.hosts.get_mut(host).filter(|tracks| tracks.len() >= Self::MAX_OF_A_HOST) {
            let oldest = tracks.iter().min_by_key(|(_, track)| track.newest()).map(|(tags, track)| (tags.clone(), track.newest()));
            let Some((tags, _)) = oldest.filter(|(_, newest)| is_idle(*newest, self.newest)) else { return false };
            tracks.remove(&tags);
            self.count -= 1;
            return true;
        }
        if self.count < Self::MAX_SERIES {
            return true;
        }
        if self.newest < self.room_from {
            return false;
        }
        let all = self.hosts.iter().flat_map(|(host, tracks)| tracks.iter().map(move |(tags, track)| (track.newest(), host, tags)));
        let Some((newest, host, tags)) = all.min().map(|(newest, host, tags)| (newest, host.clone(), tags.clone())) else { return false };
        if !is_idle(newest, self.newest) {
            self.room_from = newest.saturating_add(idle);
            return false;
        }
        if let Some(tracks) = self.hosts.get_mut(&host) {
            tracks.remove(&tags);
            if tracks.is_empty() {
                self.hosts.remove(&host);
            }
        }
        self.count -= 1;
        true
    }
}

impl Selected<'_> {
    /// When the first point begins, in seconds since 1970.
    pub fn from_unix(&self) -> u64 {
        self.buckets.first().map_or(0, |bucket| u64::from(bucket.slot) * Series::STEP)
    }

    /// One point after the other, up to the last one that there is. `None` where no sample came.
    pub fn points(&self) -> impl Iterator<Item = Option<Point>> + '_ {
        let last = self.buckets.last().map_or(0, |bucket| bucket.slot);
        let mut rest = self.buckets.iter().peekable();
        let first = self.buckets.first().map_or(1, |bucket| bucket.slot);
        (first..=last).map(move |slot| rest.next_if(|bucket| bucket.slot == slot).map(|bucket| bucket.point))
    }
}

impl Track {
    #[allow(clippy::cast_possible_truncation, reason = "288")]
    const MAX_BUCKETS: usize = (Series::SPAN / Series::STEP) as usize;
    /// A track grows by so many buckets: 2 hours.
    const GROWTH: usize = 24;

    fn newest(&self) -> Slot {
        self.0.last().map_or(0, |bucket| bucket.slot)
    }

    fn since(&self, since: Slot) -> &[Bucket] {
        &self.0[self.0.partition_point(|bucket| bucket.slot < since)..]
    }

    fn record(&mut self, slot: Slot, value: f64) {
        // The next bucket of a live series is mostly the last one.
        let at = if self.newest() < slot { self.0.len() } else { self.0.partition_point(|bucket| bucket.slot < slot) };
        if let Some(bucket) = self.0.get_mut(at).filter(|bucket| bucket.slot == slot) {
            bucket.add(value);
            return;
        }
        let span = Slot::try_from(Self::MAX_BUCKETS).unwrap_or(Slot::MAX);
        if self.newest() >= slot.saturating_add(span) {
            return;
        }
        let outdated = self.0.partition_point(|bucket| bucket.slot.saturating_add(span) <= slot);
        self.0.drain(..outdated);
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(Self::GROWTH.min(Self::MAX_BUCKETS - self.0.len()));
        }
        self.0.insert(at - outdated, Bucket::new(slot, value));
    }
}

impl Bucket {
    fn new(slot: Slot, value: f64) -> Self {
        let value = single(value);
        Self { slot, samples: 1, point: Point { min: value, mean: value, max: value } }
    }

    fn add(&mut self, value: f64) {
        let Point { min, mean, max } = self.point;
        self.samples = self.samples.saturating_add(1);
        let value = single(value);
        let share = (f64::from(value) - f64::from(mean)) / f64::from(self.samples);
        self.point = Point { min: min.min(value), mean: single(f64::from(mean) + share), max: max.max(value) };
    }
}

fn slot(unix: u64) -> Slot {
    Slot::try_from(unix / Series::STEP).unwrap_or(Slot::MAX)
}

/// A plot needs no more than seven digits. Greater numbers than it knows become the greatest.
#[allow(clippy::cast_possible_truncation, reason = "that is the purpose")]
fn single(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// A small server has that.
const _: () = assert!(Series::MAX_BYTES < 12 << 20);

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of a slot.
    const T: u64 = 1_795_347_300;
    const STEP: u64 = Series::STEP;

    fn point(min: f32, mean: f32, max: f32) -> Option<Point> {
        Some(Point { min, mean, max })
    }

    fn points(series: &Series, host: &str, tags: &str) -> Vec<Option<Point>> {
        series.select(host, tags, 0).flat_map(|selected| selected.points().collect::<Vec<_>>()).collect()
    }

    fn names(series: &Series, host: &str, tags: &str, since: u64) -> Vec<String> {
        series.select(host, tags, since).map(|selected| format!("{}/{}", selected.host, selected.tags)).collect()
    }

    #[test]
    fn five_minutes_become_their_minimum_mean_and_maximum() {
        let mut series = Series::default();
        for (after, value) in [(0, 10.0), (299, 20.0), (100, 60.0), (300, 5.0), (900, 7.0)] {
            series.record("nas", "CPU", T + after, value);
        }
        assert_eq!(points(&series, "nas", "CPU"), [point(10.0, 30.0, 60.0), point(5.0, 5.0, 5.0), None, point(7.0, 7.0, 7.0)]);
        assert_eq!(series.select("nas", "CPU", 0).next().unwrap().from_unix(), T);
    }

    #[test]
    fn a_sample_that_comes_late_stands_where_it_belongs() {
        let mut series = Series::default();
        for (steps, value) in [(10, 1.0), (8, 2.0), (9, 3.0), (8, 4.0)] {
            series.record("nas", "CPU", T + steps * STEP, value);
        }
        assert_eq!(points(&series, "nas", "CPU"), [point(2.0, 3.0, 4.0), point(3.0, 3.0, 3.0), point(1.0, 1.0, 1.0)]);
    }

    #[test]
    fn a_series_has_at_most_the_points_of_a_day() {
        let mut series = Series::default();
        for step in 0..1000 {
            series.record("nas", "CPU", T + step * STEP, 1.0);
            series.record("nas", "CPU", T, 2.0);
        }
        let selected = series.select("nas", "CPU", 0).next().unwrap();
        assert_eq!((selected.points().count(), selected.from_unix()), (Track::MAX_BUCKETS, T + (1000 - 288) * STEP));
        let track = &series.hosts["nas"]["CPU"];
        assert_eq!(track.0.capacity(), Track::MAX_BUCKETS);
        series.record("nas", "CPU", T + 5000 * STEP, 3.0);
        assert_eq!(points(&series, "nas", "CPU"), [point(3.0, 3.0, 3.0)]);
    }

    #[test]
    fn patterns_and_a_time_choose_series() {
        let mut series = Series::default();
        for (host, tags, after) in [("nas1", "CPU", 0), ("nas2", "CPU", STEP), ("web", "A,CPU", 0), ("web", "MEM", STEP)] {
            series.record(host, tags, T + after, 1.0);
        }
        assert_eq!(names(&series, "*", "*", 0), ["nas1/CPU", "nas2/CPU", "web/A,CPU", "web/MEM"]);
        assert_eq!(names(&series, "*", "CPU", 0), ["nas1/CPU", "nas2/CPU", "web/A,CPU"]);
        assert_eq!(names(&series, "web", "*", T + STEP), ["web/MEM"]);
        assert_eq!(names(&series, "nas?", "CPU", T + 2 * STEP), [""; 0]);
    }

    #[test]
    fn a_live_series_is_never_driven_out_and_an_idle_one_is() {
        let mut series = Series::default();
        for number in 0..Series::MAX_SERIES {
            series.record(&format!("h{number:04}"), "CPU", T + u64::from(number > 0), 1.0);
        }
        series.record("new", "CPU", T, 1.0);
        assert_eq!((series.count(), series.refused()), (Series::MAX_SERIES, 1));
        let idle = T + Series::IDLE;
        for number in 1..Series::MAX_SERIES {
            series.record(&format!("h{number:04}"), "CPU", idle, 1.0);
        }
        series.record("new", "CPU", idle, 1.0);
        series.record("newer", "CPU", idle, 1.0);
        assert_eq!((series.count(), series.refused()), (Series::MAX_SERIES, 2));
        assert_eq!((names(&series, "h0000", "*", 0).len(), names(&series, "new", "*", 0).len()), (0, 1));
    }

    #[test]
    fn a_host_with_very_many_tags_takes_room_from_itself_alone() {
        let mut series = Series::default();
        for number in 0..1000 {
            series.record("bad", &format!("T{number}"), T, 1.0);
        }
        series.record("nas", "CPU", T, 1.0);
        assert_eq!((series.count(), series.refused()), (Series::MAX_OF_A_HOST + 1, 1000 - Series::MAX_OF_A_HOST as u64));
        series.record("bad", "new", T + Series::IDLE, 1.0);
        assert_eq!((series.count(), names(&series, "bad", "new", 0).len(), names(&series, "nas", "CPU", 0).len()), (65, 1, 1));
    }

    #[test]
    fn what_is_old_or_from_the_future_goes() {
        let mut series = Series::default();
        for (host, unix) in [("old", T), ("live", T + Series::SPAN), ("future", 4 * T), ("forever", u64::MAX)] {
            series.record(host, "CPU", unix, 1.0);
        }
        series.tidy(T + Series::SPAN + STEP);
        assert_eq!((names(&series, "*", "*", 0), series.count()), (vec!["live/CPU".to_string()], 1));
        series.record("live", "CPU", T + Series::SPAN + STEP, 2.0);
        assert_eq!(points(&series, "live", "CPU").len(), 2);
    }

    #[test]
    fn what_is_no_number_is_dropped_and_what_is_too_great_is_the_greatest() {
        let mut series = Series::default();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            series.record("nas", "CPU", T, value);
        }
        assert_eq!(series.count(), 0);
        series.record("nas", "CPU", T, 1e300);
        assert_eq!(points(&series, "nas", "CPU"), [point(f32::MAX, f32::MAX, f32::MAX)]);
        series.record("nas", "CPU", T, -1e300);
        assert!(points(&series, "nas", "CPU")[0].unwrap().mean.abs() < 1e33);
    }

    #[test]
    fn the_clock_of_a_host_is_believed_for_the_last_day() {
        for (happened, expected) in [(T, T), (T + 1, T), (T - 3600, T - 3600), (T - Series::SPAN, T), (0, T)] {
            assert_eq!(Series::sample_time(happened, T), expected, "{happened}");
        }
    }
}
