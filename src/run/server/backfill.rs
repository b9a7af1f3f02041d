//! Fills the numbers of the last day from the files of the event stream and the metric stream, a little in each turn of the loop.

use super::stream_files::{Place, StreamFiles};
use super::stream_reader::StreamReader;
use crate::date::Zone;
use crate::now::Now;
use crate::series::Series;
use crate::sys::clock::{Clock, LocalTime};
use crate::wire::{Kind, StreamEvent};
use std::time::Duration;

/// What is left to be read of what earlier runs have written.
#[derive(Default)]
pub(super) struct Backfill {
    /// Each reader, and where its stream ended when this run began.
    streams: Vec<(StreamReader, Place)>,
}

impl Backfill {
    /// Most time of a turn, by the clock of the loop.
    const SHARE: Duration = Duration::from_millis(5);
    /// Lines between two looks at the clock.
    const LINES: usize = 64;

    /// Begins with the files of these streams that were written within the last day.
    pub(super) fn new<'a>(now: Now, streams: impl IntoIterator<Item = &'a String>) -> Self {
        let begin = |stream: &String| {
            let files = StreamFiles::new(stream);
            let end = files.end()?;
            let first = files.oldest_written_since(now.unix.saturating_sub(Series::SPAN))?;
            Some((StreamReader::behind(stream, first)?, end))
        };
        Self { streams: streams.into_iter().filter_map(begin).collect() }
    }

    /// Whether there is nothing left to be read.
    pub(super) fn is_over(&self) -> bool {
        self.streams.is_empty()
    }

    /// Reads on.
    pub(super) fn handle_turn(&mut self, clock: &Clock, now: Now, series: &mut Series) {
        let end = now.mono + Self::SHARE;
        while let Some((reader, until)) = self.streams.last_mut() {
            for _ in 0..Self::LINES {
                let Some(line) = reader.next().filter(|line| !line.place.is_behind(*until)) else {
                    self.streams.pop();
                    break;
                };
                record(&line.event, series);
                if line.place == *until {
                    self.streams.pop();
                    break;
                }
            }
            if clock.now().mono >= end {
                return;
            }
        }
        // What is older than the last day was in the same files.
        series.tidy(now.unix);
    }
}

fn record(event: &StreamEvent, series: &mut Series) {
    if !matches!(event.kind, Some(Kind::Metric | Kind::Count)) {
        return;
    }
    if let Some(value) = event.value.as_deref().and_then(|value| value.parse().ok()) {
        let unix = Series::sample_time(event.unix, event.received_at(Zone(LocalTime::offset)));
        series.record(&event.host, &event.tags, unix, value);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the files under test")]
mod tests {
    use super::*;
    use crate::fs::test_folder::TestFolder;
    use crate::schedule::WeekMinute;
    use std::fs;

    #[test]
    fn the_numbers_of_all_files_are_read_once_and_up_to_the_end() {
        let folder = TestFolder::new();
        let [stream, metrics] = ["events.log", "metrics.log"].map(|name| folder.join(name).display().to_string());
        let unix = Clock::start().now().unix;
        let now = Now { mono: Duration::from_secs(1), unix, local: WeekMinute::new(0, 0, 0), second: 0 };
        let line = |value: u32| format!("{}%%nas%%q.{value};metric;;;{value}%%{unix}%%CPU%%NULL%%{value}\n", LocalTime::at(unix).ctime());
        fs::write(format!("{stream}.1"), (1..250).map(line).collect::<String>()).unwrap();
        fs::write(&stream, (250..500).map(line).collect::<String>()).unwrap();
        fs::write(&metrics, (500..1000).map(line).collect::<String>()).unwrap();
        let streams = [stream, metrics.clone(), "/nonexistent/stream".into()];
        let (mut series, mut backfill) = (Series::default(), Backfill::new(now, &streams));
        // What comes now is recorded by those who write it.
        fs::write(&metrics, (500..2000).map(line).collect::<String>()).unwrap();
        let clock = Clock::start();
        while !backfill.is_over() {
            backfill.handle_turn(&clock, clock.now(), &mut series);
        }
        series.tidy(unix);
        let all: Vec<_> = series.select("*", "*", 0).collect();
        let point = all[0].points().next().unwrap().unwrap();
        assert_eq!((all.len(), point.min, point.mean.round(), point.max), (1, 1.0, 500.0, 999.0));
    }
}
