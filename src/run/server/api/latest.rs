//! Finds where the latest events begin, by a look at the stream from its end back, one block at a time.

use super::filter::Filter;
use crate::date::Zone;
use crate::lines::lines;
use crate::run::server::http::Progress;
use crate::run::server::stream_files::{Place, StreamFile, StreamFiles};
use crate::sys::clock::LocalTime;
use crate::wire::StreamEvent;
use memchr::memchr;

pub(super) struct Latest {
    files: StreamFiles,
    file: StreamFile,
    /// What is before this offset of the file was not looked at yet.
    offset: u64,
    limit: usize,
    /// How many events were found, and before the first of them.
    found: usize,
    first: Option<Place>,
    looked: u64,
    has_more: bool,
}

impl Latest {
    /// Bytes that are looked at in one step.
    const BLOCK: u64 = 64 * 1024;
    /// Most bytes that are looked at for one answer.
    const MOST: u64 = 64 << 20;
    /// Seconds by which the clock of a host may be ahead: what came so long before the wanted time is not looked at.
    const AHEAD: u64 = 3600;

    /// `None` if there is no stream.
    pub(super) fn new(files: StreamFiles, limit: usize) -> Option<Self> {
        let file = files.open(0)?;
        let offset = file.size().ok()?;
        Some(Self { files, file, offset, limit, found: 0, first: None, looked: 0, has_more: false })
    }

    /// Where the first of the latest events begins, once all are found. `None` if there are none.
    pub(super) fn first(&self) -> Option<Place> {
        self.first
    }

    /// Whether there are older ones, or may be.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Looks at one more block.
    pub(super) fn look_back(&mut self, filter: &Filter) -> Progress {
        if self.offset == 0 {
            let older = self.files.number_of(self.file.place(0).inode()).and_then(|number| self.files.open(number + 1));
            let Some((older, size)) = older.and_then(|older| older.size().ok().map(|size| (older, size))) else {
                return Progress::Finished;
            };
            (self.file, self.offset) = (older, size);
            return Progress::Continues;
        }
        if self.looked >= Self::MOST {
            self.has_more = true;
            return Progress::Finished;
        }
        let start = self.offset.saturating_sub(Self::BLOCK);
        let mut block = vec![0; usize::try_from(self.offset - start).unwrap_or_default()];
        let read = self.file.read_at(&mut block, start).unwrap_or(0);
        self.looked += block.len() as u64;
        // Cut by another process.
        if read < block.len() {
            return Progress::Finished;
        }
        // The first line is looked at with the block before, where it begins. A block without a whole line has no event.
        let whole = if start == 0 { 0 } else { memchr(b'\n', &block).map_or(block.len(), |at| at + 1) };
        self.offset = if whole == block.len() { start } else { start + whole as u64 };
        self.take(&block[whole..], filter)
    }

    /// Takes the lines of a block, which begins at the offset.
    fn take(&mut self, block: &[u8], filter: &Filter) -> Progress {
        let (mut begin, mut starts, mut oldest) = (self.offset, Vec::new(), None);
        for (end, line) in lines(block) {
            if let Some(event) = StreamEvent::parse(&String::from_utf8_lossy(line)) {
                oldest = oldest.or_else(|| Some(event.received_at(Zone(LocalTime::offset))));
                if filter.chooses(&event) {
                    starts.push(begin);
                }
            }
            begin = self.offset + end as u64;
        }
        let room = self.limit - self.found;
        let taken = &starts[starts.len().saturating_sub(room)..];
        if let Some(first) = taken.first() {
            self.first = Some(self.file.place(*first));
        }
        self.found += taken.len();
        if starts.len() > taken.len() {
            self.has_more = true;
            return Progress::Finished;
        }
        match oldest {
            Some(oldest) if oldest + Self::AHEAD < filter.since => Progress::Finished,
            _ => Progress::Continues,
        }
    }
}
