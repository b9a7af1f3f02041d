//! Earlier places of a log, as the uids in the event stream name them: for an agent whose log has lost its end.

use crate::wire::position::{parse_base36, FilePosition, Position};
use crate::wire::{ChainId, RecordedSeq, StreamEvent};

/// Collects the places of one file, line by line.
pub(super) struct Places<'a> {
    host: &'a str,
    chain: ChainId,
    inode: u64,
    /// What the end of every batch of the chain contains, in the classic form and in JSON.
    marks: [String; 2],
    /// The ends of batches, in the order of the stream, and so with ever greater offsets.
    places: Vec<FilePosition>,
    /// Where lines end whose events are not the last of their batch, in ascending order, and the hashes of these lines.
    line_ends: Vec<(u64, u32)>,
    /// Those of the present batch.
    of_batch: Vec<(u64, u32)>,
}

impl<'a> Places<'a> {
    /// How many places back from the last one are handed out. The asker narrows its search between two of them.
    const RANKS: [usize; Position::MAX_FILES - 1] = [0, 1, 4, 16, 64, 256, 1024];

    /// What a line has whose event is not the last of its batch, in the classic form and in JSON.
    const WITHIN_BATCH: [&'static str; 2] = ["@%%", "\"at\":\"\""];

    pub(super) fn new(host: &'a str, chain: ChainId, inode: u64) -> Self {
        let marks = [format!("@{chain}:"), format!("\"at\":\"{chain}:")];
        Self { host, chain, inode, marks, places: Vec::new(), line_ends: Vec::new(), of_batch: Vec::new() }
    }

    /// Takes a line of the stream.
    pub(super) fn take(&mut self, line: &str) {
        let form = usize::from(line.starts_with('{'));
        let is_within_batch = line.contains(Self::WITHIN_BATCH[form]);
        if !is_within_batch && !line.contains(&self.marks[form]) {
            // The lines of a batch stand together.
            return self.of_batch.clear();
        }
        let Some(event) = StreamEvent::parse(line).filter(|event| event.host == self.host) else { return self.of_batch.clear() };
        if is_within_batch {
            return self.of_batch.extend(line_end(&event.uid));
        }
        let of_batch = std::mem::take(&mut self.of_batch);
        let Some(recorded) = event.at.as_deref().and_then(RecordedSeq::parse).filter(|recorded| recorded.chain == self.chain) else {
            return;
        };
        let position = Position::parse(recorded.position).unwrap_or_default();
        let is_only_file = position.files.len() == 1;
        let Some(place) = position.files.into_iter().find(|file| file.inode == self.inode && file.offset > 0) else { return };
        // The file was cut and begun anew.
        if self.places.last().is_some_and(|last| last.offset > place.offset) {
            self.places.clear();
            self.line_ends.clear();
        }
        if is_only_file {
            let before = self.places.last().map_or(0, |last| last.offset).max(self.line_ends.last().map_or(0, |(end, _)| *end));
            self.line_ends.extend(of_batch.into_iter().filter(|(end, _)| (before..place.offset).contains(end)));
        }
        if self.places.last().is_none_or(|last| last.offset < place.offset) {
            self.places.push(FilePosition { done: 0, ..place });
        }
    }

    /// Some of the places up to that offset, the last one first. That may be one within a batch.
    pub(super) fn up_to(&self, offset: u64) -> Vec<FilePosition> {
        let places = &self.places[..self.places.partition_point(|place| place.offset <= offset)];
        let last = places.last().map_or(0, |place| place.offset);
        let line_ends = &self.line_ends[..self.line_ends.partition_point(|(end, _)| *end <= offset)];
        let within_batch =
            line_ends.last().filter(|(end, _)| *end > last).map(|(end, line)| FilePosition::within_batch(*end, self.inode, *line));
        within_batch.into_iter().chain(Self::RANKS.iter().filter_map(|rank| places.iter().nth_back(*rank).copied())).collect()
    }
}

/// Where the line ends in its file that an event is made of, and the hash of the line. The last parts of its uid say so.
fn line_end(uid: &str) -> Option<(u64, u32)> {
    let (rest, line) = uid.rsplit_once('.')?;
    Some((parse_base36(rest.rsplit_once('.')?.1)?, u32::try_from(parse_base36(line)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(host: &str, chain: u64, number: u64, position: &str) -> String {
        format!("Mon Nov 30 12:00:00 2026%%{host}%%f.r.{number}.1;line@{}:7:{number}{position}%%1%%T%%/log%%text", ChainId(chain))
    }

    #[test]
    fn places_of_one_file_are_found_and_fewer_of_them_further_back() {
        let mut places = Places::new("h", ChainId(5), 9);
        places.take("no event");
        places.take(&line("other", 5, 1, ":1.1.9"));
        places.take(&line("h", 6, 1, ":2.1.9"));
        places.take(&line("h", 5, 1, ":3.1.8"));
        // What the file held before it was cut does not count.
        places.take(&line("h", 5, 2, ":z.1.9"));
        for number in 1..30 {
            places.take(&line("h", 5, 2 + number, &format!(":9.1.7+{}.1.9", crate::wire::position::Base36(10 * number))));
        }
        places.take(&line("h", 5, 90, ":290.1.9.4"));
        // What is within a batch is known by its offset.
        places.take("Mon Nov 30 12:00:00 2026%%h%%f.r.291.7@%%1%%T%%/log%%text");
        places.take("Mon Nov 30 12:00:00 2026%%h%%f.r.293.8@%%1%%T%%/log%%text");
        places.take(&line("h", 5, 97, ":295.1.9"));
        assert_eq!(places.up_to(2920)[..2], [FilePosition::within_batch(2919, 9, 8), places.up_to(2916)[0]]);
        assert_eq!(places.up_to(2921)[0].offset, 2921);
        let offsets = |offset| places.up_to(offset).iter().map(|place| place.offset).collect::<Vec<_>>();
        assert_eq!(offsets(299), [290, 280, 250, 130]);
        assert_eq!(offsets(45), [40, 30]);
        assert_eq!(offsets(9), [0; 0]);
    }
}
