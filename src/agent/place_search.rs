//! Finds how far a log was read that has lost its end, as after a power cut, among the places that the server's stream holds. Reads no file.

use super::delivery::backoff;
use crate::now::Now;
use crate::wire::position::Position;
use crate::wire::{ChainId, Message};
use std::time::Duration;

/// One search. The server is asked for places, the file says which of them it confirms, and that narrows the search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlaceSearch {
    /// How far the log was read, and when that was, in seconds since 1970.
    position: Position,
    unix: u64,
    /// The inode of the file that has lost its end.
    inode: u64,
    /// No place beyond that offset can be confirmed.
    most: u64,
    due: Duration,
    tries: u32,
}

/// What a search asks for now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PlaceRequest {
    /// To send that to the server.
    Send(Vec<u8>),
    /// Nothing: the server does not answer.
    GiveUp,
}

impl PlaceSearch {
    /// So often the server is asked: for about half a minute.
    const MAX_TRIES: u32 = 6;

    /// `None` if nothing of the log was read, or no place is left.
    pub(super) fn new(now: Now, position: Position, unix: u64, most: u64) -> Option<Self> {
        let inode = position.files.iter().rfind(|file| file.offset > 0)?.inode;
        (most > 0).then_some(Self { position, unix, inode, most, due: now.mono, tries: 0 })
    }

    /// What is due, if anything. It counts as done.
    pub(super) fn request(&mut self, now: Now, host: &str, chain: ChainId) -> Option<PlaceRequest> {
        if self.due > now.mono {
            return None;
        }
        if self.tries == Self::MAX_TRIES {
            return Some(PlaceRequest::GiveUp);
        }
        self.due = now.mono + backoff(self.tries);
        self.tries += 1;
        Some(PlaceRequest::Send(Message::Back { host, chain, inode: self.inode, offset: self.most }.emit()))
    }

    /// When [`Self::request`] has something to do.
    pub(super) fn next_due(&self) -> Duration {
        self.due
    }

    /// Whether the places up to that offset are sought.
    pub(super) fn is_for(&self, offset: u64) -> bool {
        self.most == offset
    }

    /// How far the log was read, and when that was.
    pub(super) fn into_last_read(self) -> (Position, u64) {
        (self.position, self.unix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::WeekMinute;

    fn at(seconds: u64) -> Now {
        Now { mono: Duration::from_secs(seconds), unix: seconds, local: WeekMinute::new(0, 0, 0), second: 0 }
    }

    #[test]
    fn the_server_is_asked_for_places_of_the_file_that_was_begun_last() {
        let position = Position::parse("9.1.a+5.1.b+0.1.c").unwrap();
        let mut search = PlaceSearch::new(at(0), position, 7, 4).unwrap();
        let asked = |request| match request {
            Some(PlaceRequest::Send(datagram)) => String::from_utf8(datagram).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(asked(search.request(at(0), "h", ChainId(5))), "BACK%%h%%5%%b%%4");
        assert_eq!(search.request(at(0), "h", ChainId(5)), None);
        assert_eq!((search.next_due(), search.is_for(4), search.is_for(5)), (Duration::from_millis(500), true, false));
        for second in [1, 2, 5, 10, 20] {
            asked(search.request(at(second), "h", ChainId(5)));
        }
        assert_eq!(search.request(at(40), "h", ChainId(5)), Some(PlaceRequest::GiveUp));
    }

    #[test]
    fn without_a_place_that_is_left_nothing_is_sought() {
        for (position, most) in [("0.1.c", 9), ("-", 9), ("5.1.b", 0)] {
            assert_eq!(PlaceSearch::new(at(0), Position::parse(position).unwrap(), 7, most), None, "{position} {most}");
        }
    }
}
