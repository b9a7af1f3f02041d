//! Earlier places of a log, as the uids in the event stream name them: for an agent whose log has lost its end.

use super::recorded::Recorded;
use crate::directives::server::EventFormat;
use crate::wire::position::{FilePosition, Position};
use crate::wire::{ChainEvent, ChainId};

/// Collects the places of one file, line by line.
pub(super) struct Places<'a> {
    format: EventFormat,
    host: &'a str,
    chain: ChainId,
    inode: u64,
    /// What every line of the chain contains.
    mark: String,
    /// In the order of the stream, and so with ever greater offsets.
    places: Vec<FilePosition>,
}

impl<'a> Places<'a> {
    /// How many places back from the last one are handed out. The asker narrows its search between two of them.
    const RANKS: [usize; Position::MAX_FILES] = [0, 1, 4, 16, 64, 256, 1024, 4096];

    pub(super) fn new(format: EventFormat, host: &'a str, chain: ChainId, inode: u64) -> Self {
        Self { format, host, chain, inode, mark: format!(":{chain}:"), places: Vec::new() }
    }

    /// Takes a line of the stream.
    pub(super) fn take(&mut self, line: &str) {
        if !line.contains(&self.mark) {
            return;
        }
        let Some(event) = Recorded::parse(self.format, line).filter(|event| event.host == self.host) else { return };
        let Some((_, checkpoint)) = ChainEvent::parse_uid(&event.uid).filter(|(chain, _)| *chain == self.chain) else { return };
        let position = Position::parse(checkpoint.position).unwrap_or_default();
        let Some(place) = position.files.into_iter().find(|file| file.inode == self.inode && file.offset > 0) else { return };
        // The file was cut and begun anew.
        if self.places.last().is_some_and(|last| last.offset > place.offset) {
            self.places.clear();
        }
        if self.places.last().is_none_or(|last| last.offset < place.offset) {
            self.places.push(FilePosition { done: 0, ..place });
        }
    }

    /// Some of the places up to that offset, the last one first.
    pub(super) fn up_to(&self, offset: u64) -> Vec<FilePosition> {
        let places = &self.places[..self.places.partition_point(|place| place.offset <= offset)];
        Self::RANKS.iter().filter_map(|rank| places.iter().nth_back(*rank).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(host: &str, chain: u64, number: u64, position: &str) -> String {
        format!("Mon Nov 30 12:00:00 2026%%{host}%%1_{number}:{}:7:{position}%%1%%T%%/log%%text", ChainId(chain))
    }

    #[test]
    fn places_of_one_file_are_found_and_fewer_of_them_further_back() {
        let mut places = Places::new(EventFormat::Classic, "h", ChainId(5), 9);
        places.take("no event");
        places.take(&line("other", 5, 1, "1.1.9"));
        places.take(&line("h", 6, 1, "2.1.9"));
        places.take(&line("h", 5, 1, "3.1.8"));
        // What the file held before it was cut does not count.
        places.take(&line("h", 5, 2, "z.1.9"));
        for number in 1..30 {
            places.take(&line("h", 5, 2 + number, &format!("9.1.7+{}.1.9", crate::wire::position::Base36(10 * number))));
        }
        places.take(&line("h", 5, 90, "290.1.9.4"));
        let offsets = |offset| places.up_to(offset).iter().map(|place| place.offset).collect::<Vec<_>>();
        assert_eq!(offsets(299), [290, 280, 250, 130]);
        assert_eq!(offsets(45), [40, 30]);
        assert_eq!(offsets(9), [0; 0]);
    }
}
