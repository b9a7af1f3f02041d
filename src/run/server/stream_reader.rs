//! Reads the event stream line by line from a place, over all files that it is rolled to, without losing a line.

use super::stream_files::{Place, StreamFile, StreamFiles};
use crate::lines::lines;
use crate::wire::StreamEvent;
use memchr::memrchr;
use std::collections::VecDeque;

/// A place in the stream that moves on. It keeps the file open that it reads, so that no rolling takes it away.
pub(super) struct StreamReader {
    files: StreamFiles,
    /// `None` until there is a stream.
    file: Option<StreamFile>,
    /// Where the next bytes are read.
    offset: u64,
    /// The start of a line whose end was not read yet.
    partial: Vec<u8>,
    /// The lines of a batch whose last line was not read yet.
    unended: Vec<StreamLine>,
    ready: VecDeque<StreamLine>,
    /// Behind the last line that was handed out.
    place: Option<Place>,
}

/// A line of the stream that is an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StreamLine {
    /// Without its newline.
    pub(super) line: String,
    pub(super) event: StreamEvent,
    /// Behind the line.
    pub(super) place: Place,
}

impl StreamReader {
    /// Bytes that are read at once.
    const BLOCK: usize = 64 * 1024;
    /// Bytes of a line that are looked at. No event has as many.
    const MAX_LINE: usize = 1 << 20;
    /// Lines that can belong to one batch.
    const MAX_BATCH: usize = 4096;

    fn new(stream: &str, file: Option<StreamFile>, offset: u64) -> Self {
        let place = file.as_ref().map(|file| file.place(offset));
        let (unended, ready) = (Vec::new(), VecDeque::new());
        Self { files: StreamFiles::new(stream), file, offset, partial: Vec::new(), unended, ready, place }
    }

    /// A reader of all that the stream has.
    pub(super) fn from_start(stream: &str) -> Self {
        Self::new(stream, StreamFiles::new(stream).oldest(), 0)
    }

    /// A reader of what follows a place. `None` if its file is gone.
    pub(super) fn behind(stream: &str, place: Place) -> Option<Self> {
        let files = StreamFiles::new(stream);
        let file = files.open(files.number_of(place.inode())?)?;
        Some(Self::new(stream, Some(file), place.offset()))
    }

    /// The place behind the last line that was handed out; `None` while there is no stream.
    pub(super) fn place(&self) -> Option<Place> {
        self.place
    }

    /// The next event of a complete batch. `None` if the stream has no more at the moment. Lines that are no events are left out.
    pub(super) fn next(&mut self) -> Option<StreamLine> {
        while self.ready.is_empty() {
            if !self.read_on() {
                return None;
            }
        }
        let next = self.ready.pop_front()?;
        self.place = Some(next.place);
        Some(next)
    }

    /// Reads a block, and goes on to the next file at the end of one. Returns whether there may be more.
    fn read_on(&mut self) -> bool {
        let Some(file) = &self.file else {
            self.file = self.files.oldest();
            self.place = self.file.as_ref().map(|file| file.place(0));
            return self.file.is_some();
        };
        // Another process has truncated it.
        if file.size().is_ok_and(|size| size < self.offset) {
            self.begin_file(0);
        }
        if self.read_block() > 0 {
            return true;
        }
        let Some(next) = self.file.as_ref().and_then(|file| self.files.next(file)) else { return false };
        // What was written between the last read and the rolling.
        if self.read_block() == 0 {
            self.file = Some(next);
            self.begin_file(0);
            if self.ready.is_empty() {
                self.place = self.file.as_ref().map(|file| file.place(0));
            }
        }
        true
    }

    fn begin_file(&mut self, offset: u64) {
        self.offset = offset;
        self.partial.clear();
        self.unended.clear();
    }

    /// Reads a block of the open file and takes its lines. Returns the number of bytes.
    fn read_block(&mut self) -> usize {
        let Some(file) = &self.file else { return 0 };
        let mut bytes = std::mem::take(&mut self.partial);
        let (pending, start) = (bytes.len(), self.offset - bytes.len() as u64);
        bytes.resize(pending + Self::BLOCK, 0);
        let read = file.read_at(&mut bytes[pending..], self.offset).unwrap_or(0);
        bytes.truncate(pending + read);
        self.offset += read as u64;
        let whole = memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        let mut found = Vec::new();
        for (end, line) in lines(&bytes[..whole]) {
            let line = String::from_utf8_lossy(line);
            if let Some(event) = StreamEvent::parse(&line) {
                found.push(StreamLine { line: line.into_owned(), event, place: file.place(start + end as u64) });
            }
        }
        found.into_iter().for_each(|line| self.take(line));
        bytes.drain(..whole);
        if bytes.len() > Self::MAX_LINE {
            // What is left of it is no event.
            bytes.clear();
        }
        self.partial = bytes;
        read
    }

    /// Takes a line. It is ready once its batch is complete.
    fn take(&mut self, line: StreamLine) {
        // The lines of a batch stand together. One without its end was torn, never acknowledged, and is sent again.
        let is_of_batch = |former: &StreamLine| former.event.host == line.event.host && line.event.at.is_some();
        if !self.unended.last().is_none_or(is_of_batch) || self.unended.len() >= Self::MAX_BATCH {
            self.unended.clear();
        }
        let ends = line.event.word().ends_batch();
        self.unended.push(line);
        if ends {
            self.ready.extend(self.unended.drain(..));
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the files under test")]
mod tests {
    use super::*;
    use crate::fs::rolling::RollingFile;
    use crate::fs::test_folder::TestFolder;
    use crate::wire::position::FilePosition;
    use std::fs;

    struct Stream(TestFolder);

    impl Stream {
        fn new() -> Self {
            Self(TestFolder::new())
        }

        fn path(&self) -> String {
            self.0.file("events.log")
        }

        fn rolling(&self, limit: u64) -> RollingFile {
            RollingFile::new(&self.path(), limit, 1000)
        }
    }

    fn classic(word: &str) -> String {
        format!("Sun Nov 22 11:35:36 2026%%h%%{word}%%1%%T%%NULL%%text\n")
    }

    fn json(uid: &str) -> String {
        format!("{{\"received\":\"now\",\"received_unix\":2,\"host\":\"h\",\"uid\":\"{uid}\",\"time\":1,\"tags\":\"T\",\"text\":\"t\"}}\n")
    }

    fn uids(reader: &mut StreamReader) -> Vec<String> {
        std::iter::from_fn(|| reader.next()).map(|line| line.event.uid).collect()
    }

    #[test]
    fn every_line_is_read_once_over_all_files_in_its_own_form() {
        let stream = Stream::new();
        let (mut file, mut reader) = (stream.rolling(300), StreamReader::from_start(&stream.path()));
        assert_eq!(uids(&mut reader), [""; 0]);
        let mut read = Vec::new();
        for number in 0..200 {
            let uid = format!("u{number}");
            file.append((if number % 3 == 0 { json(&uid) } else { classic(&uid) }).as_bytes()).unwrap();
            if number % 7 == 0 {
                read.extend(uids(&mut reader));
            }
        }
        read.extend(uids(&mut reader));
        let all: Vec<_> = (0..200).map(|number| format!("u{number}")).collect();
        assert_eq!(read, all);
        assert_eq!(uids(&mut StreamReader::from_start(&stream.path())), all);
        let end = StreamFiles::new(&stream.path()).end().unwrap();
        assert_eq!(uids(&mut StreamReader::behind(&stream.path(), end).unwrap()), [""; 0]);
        assert!(file.rolled() > 30, "{}", file.rolled());
    }

    #[test]
    fn a_place_is_found_again_after_rolls_also_by_its_content_alone() {
        let stream = Stream::new();
        let (mut file, files) = (stream.rolling(300), StreamFiles::new(&stream.path()));
        let mut reader = StreamReader::from_start(&stream.path());
        for number in 0..20 {
            file.append(classic(&format!("u{number}")).as_bytes()).unwrap();
        }
        while reader.next().unwrap().event.uid != "u9" {}
        let place = reader.place().unwrap();
        let saved = files.saved(place).unwrap();
        for number in 20..40 {
            file.append(classic(&format!("u{number}")).as_bytes()).unwrap();
        }
        let rest: Vec<_> = (10..40).map(|number| format!("u{number}")).collect();
        assert_eq!(files.find(&saved), Some(place));
        assert_eq!(uids(&mut StreamReader::behind(&stream.path(), place).unwrap()), rest);
        // As after a copy of the whole folder.
        for number in files.numbers() {
            let (path, bytes) = (files.numbered(number), fs::read(files.numbered(number)).unwrap());
            fs::write(format!("{path}.new"), bytes).unwrap();
            fs::rename(format!("{path}.new"), path).unwrap();
        }
        let found = files.find(&saved).unwrap();
        assert_eq!(uids(&mut StreamReader::behind(&stream.path(), found).unwrap()), rest);
        assert_eq!(files.find(&FilePosition { hash: 1, ..saved }), None);
    }

    #[test]
    fn a_batch_is_read_once_its_last_line_is_there() {
        let stream = Stream::new();
        let (mut file, mut reader) = (stream.rolling(100_000), StreamReader::from_start(&stream.path()));
        file.append((classic("a;line@") + &classic("b;line@")).as_bytes()).unwrap();
        assert_eq!((uids(&mut reader), reader.place().unwrap().offset()), (vec![], 0));
        file.append(classic("c;line@c:1:3:9.1.1").as_bytes()).unwrap();
        assert_eq!(uids(&mut reader), ["a", "b", "c"]);
        // A torn batch was never acknowledged.
        file.append((classic("d;line@") + &classic("e")).as_bytes()).unwrap();
        assert_eq!(uids(&mut reader), ["e"]);
        file.append((json("f;line@") + &json("g;line@") + &json("h;line@c:1:5:-")).as_bytes()).unwrap();
        assert_eq!(uids(&mut reader), ["f", "g", "h"]);
        let mut file = stream.rolling(1);
        file.append(classic("i;line@").as_bytes()).unwrap();
        assert_eq!(uids(&mut reader), [""; 0]);
        file.append(classic("j").as_bytes()).unwrap();
        assert_eq!(uids(&mut reader), ["j"]);
        assert_eq!(reader.place(), StreamFiles::new(&stream.path()).end());
    }

    #[test]
    fn a_line_is_read_once_its_newline_is_there() {
        let stream = Stream::new();
        let mut reader = StreamReader::from_start(&stream.path());
        let (line, long) = (classic("a"), format!("{}{}", "x".repeat(3 << 20), classic("b")));
        for byte in line.as_bytes() {
            assert_eq!(uids(&mut reader), [""; 0]);
            stream.0.append("events.log", &char::from(*byte).to_string());
        }
        assert_eq!(uids(&mut reader), ["a"]);
        stream.rolling(u64::MAX).append((long + &classic("c")).as_bytes()).unwrap();
        assert_eq!(uids(&mut reader).last().unwrap(), "c");
        assert_eq!(reader.place(), StreamFiles::new(&stream.path()).end());
    }

    #[test]
    fn a_file_that_was_moved_away_or_truncated_is_followed_by_the_next_line() {
        let stream = Stream::new();
        let (mut file, mut reader) = (stream.rolling(300), StreamReader::from_start(&stream.path()));
        for number in 0..10 {
            file.append(classic(&format!("u{number}")).as_bytes()).unwrap();
        }
        assert_eq!(uids(&mut reader).len(), 10);
        fs::rename(stream.path(), stream.0.join("elsewhere")).unwrap();
        file.append(classic("moved").as_bytes()).unwrap();
        assert_eq!(uids(&mut reader).last().unwrap(), "moved");
        fs::write(stream.path(), classic("t")).unwrap();
        assert_eq!(uids(&mut reader), ["t"]);
    }
}
