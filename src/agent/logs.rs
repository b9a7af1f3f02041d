//! The logs that are followed: where each is opened, and the chain that its events belong to. Opens no file and matches no line.

use super::delivery::{Delivery, Event, LastRead};
use super::output::{LogId, LogIds, Output, Outputs, Start};
use super::place::{LinePlace, Place};
use super::place_search::{PlaceRequest, PlaceSearch};
use super::session::Phase;
use crate::directives::host::LogSource;
use crate::encoding::{Encoding, Units};
use crate::now::Now;
use crate::wire::position::{BlockCount, Position};
use crate::wire::ChainId;
use std::time::Duration;

/// What happens to a log.
#[derive(Clone, Debug)]
pub enum LogEvent<'a> {
    /// A wildcard found that file: with `is_late` after the others, so that it is no old one.
    Found { path: String, is_late: bool },
    /// A wildcard found, under that path, an open file that belonged to its log `from` until now. It is read up to `position`.
    Renamed { from: Option<LogId>, path: String, position: Position },
    /// A wildcard's first search is complete.
    Searched,
    /// Answers [`Output::Open`]: the log is read from `position` on. `lost` says what was not found again of an earlier position. With
    /// `is_refused` something that is there cannot be a log, or not be reached: it is not announced as followed.
    Opened { position: Position, lost: Option<String>, is_refused: bool },
    /// Answers [`Output::Open`] too: the log was read further than its file goes, or other bytes follow, and no place beyond that offset
    /// can be confirmed.
    Shortened(u64),
    /// Lines were read.
    Lines(Lines<'a>),
    /// The log is read up to that position, and its lines were handed over before.
    Read(Position),
    /// Answers [`Output::Measure`]: the log ends there now, counted as [`Lines::position`] is.
    End(u64),
    /// Bytes or lines of the log are lost or were cut: the text of the event that says so.
    Loss(String),
    /// Whether the log can be read, or why not; it may be reported any number of times.
    State(Result<(), String>),
    /// A file that a wildcard found is gone and was read to its end.
    Gone,
    /// A file that a wildcard found was read to its end and gave its place to one that was changed later.
    SetAside,
    /// A file that a wildcard found is gone before [`Output::Open`] came for it.
    Vanished { path: String },
}

impl LogEvent<'_> {
    /// Whether the event may open or close a file.
    pub(super) fn changes_files(&self) -> bool {
        matches!(self, Self::Renamed { .. } | Self::Opened { .. } | Self::Gone | Self::SetAside | Self::Vanished { .. })
    }
}

/// Lines of one log, one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    /// Bytes of this log that came before, through all its rotations.
    pub position: u64,
    /// Where they stand in the log; `None` for the output of a command.
    pub place: Option<Place<'a>>,
    /// Whole lines. Only the last may lack its newline.
    pub bytes: &'a [u8],
    /// What they are made of.
    pub units: Units,
}

/// Everything that is followed, ordered by id.
#[derive(Default)]
pub(super) struct Logs {
    ids: LogIds,
    sources: Vec<FollowedLog>,
    files: Vec<FollowedFile>,
    /// Chains of logs that are not followed any more and may have events that wait.
    closing: Vec<(ChainId, Ending)>,
}

/// A log as the configuration names it.
struct FollowedLog {
    id: LogId,
    source: LogSource,
    encoding: Encoding,
    /// For a wildcard.
    wildcard: Option<Wildcard>,
}

/// What is known of a wildcard. If the server knows its chain, the wildcard was followed before and files that are not known are new.
struct Wildcard {
    chain: ChainId,
    /// How many files its first search found; `None` before that.
    found: Option<usize>,
    is_announced: bool,
}

/// Why a log is not followed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// No rule asks for it.
    NotWanted,
    /// The file is gone.
    Gone,
}

/// One file that is followed, or what a command prints.
pub(super) struct FollowedFile {
    id: LogId,
    /// The log of the configuration that it belongs to.
    source: LogId,
    path: String,
    chain: ChainId,
    /// Whether a wildcard found it after its other files, so that it is no old one.
    is_late: bool,
    /// Whether the server is to be told that the log is followed, if it knows nothing of it.
    is_to_be_announced: bool,
    opening: Opening,
    partial: Option<PartialLine>,
    /// The text of the event that says that it is followed, if the server turns out to know nothing of it.
    announcement: Option<String>,
}

/// How far the opening of a file has come.
enum Opening {
    /// It is not known yet where reading begins.
    Waiting,
    /// It was ordered to be read from there.
    Ordered(Start),
    /// It has lost its end: the server is asked where reading stopped before that.
    Seeking(Box<PlaceSearch>),
    /// It is read.
    Done,
}

/// A line for which some rules made their events before a restart.
#[derive(Clone, Copy, Debug)]
struct PartialLine {
    place: LinePlace,
    /// The last of the rules that made their events.
    rule: u32,
}

impl FollowedFile {
    fn new(id: LogId, source: LogId, path: String, chain: ChainId, is_late: bool) -> Self {
        Self { id, source, path, chain, is_late, is_to_be_announced: true, opening: Opening::Waiting, partial: None, announcement: None }
    }

    /// Its id.
    pub(super) fn id(&self) -> LogId {
        self.id
    }

    /// The id of the log of the configuration that it belongs to.
    pub(super) fn source(&self) -> LogId {
        self.source
    }

    /// The real path, or `|COMMAND`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The chain of its events.
    pub(super) fn chain(&self) -> ChainId {
        self.chain
    }

    /// The last of the rules that made their events of the line at `start` of these lines in an earlier run; 0 if the line is a whole one.
    pub(super) fn take_partial(&mut self, lines: &Lines<'_>, start: usize) -> u32 {
        let (Some(partial), Some(place)) = (&self.partial, &lines.place) else { return 0 };
        if !place.is_at(&partial.place, lines.bytes, start) {
            return 0;
        }
        let rule = partial.rule;
        self.partial = None;
        rule
    }

    /// Orders it to be read from there.
    fn order(&mut self, start: Start, outputs: &mut Outputs) {
        outputs.push(Output::Open { source: self.source, log: self.id, path: self.path.clone(), start: start.clone() });
        self.opening = Opening::Ordered(start);
    }

    /// The position with what is known of a partial line.
    fn complete(&self, mut position: Position) -> Position {
        if let Some(PartialLine { place: LinePlace::File(offset, hash), rule }) = self.partial {
            for file in &mut position.files {
                if file.offset == offset && file.hash == hash {
                    file.done = rule;
                }
            }
        }
        position
    }
}

impl Logs {
    /// Follows these logs and no others. Logs that were followed already keep their ids and files.
    pub(super) fn replace(&mut self, wanted: &[(LogSource, Encoding)]) {
        let mut before = std::mem::take(&mut self.sources);
        for (source, encoding) in wanted {
            if self.sources.iter().any(|known| known.source == *source) {
                continue;
            }
            let known = before.iter().position(|known| known.source == *source);
            let source = known.map_or_else(|| self.new_source(source), |at| before.swap_remove(at));
            self.sources.push(FollowedLog { encoding: *encoding, ..source });
        }
        self.sources.sort_by_key(|source| source.id);
        for FollowedLog { id, wildcard, .. } in before {
            self.close_files(Ending::NotWanted, &|file| file.source == id);
            self.closing.extend(wildcard.map(|wildcard| (wildcard.chain, Ending::NotWanted)));
        }
    }

    fn new_source(&mut self, source: &LogSource) -> FollowedLog {
        let id = self.ids.mint();
        let path = source.field();
        let (chain, wildcard) = match source {
            LogSource::Command(_) => (ChainId::NO_FILE, None),
            LogSource::Path(path) => (self.begin(ChainId::of_log(path)), None),
            LogSource::Journal => (self.begin(ChainId::of_log(LogSource::JOURNAL_CHAIN)), None),
            LogSource::Glob { .. } => {
                let chain = self.begin(ChainId::of_log(&source.name()));
                (chain, Some(Wildcard { chain, found: None, is_announced: false }))
            }
        };
        if wildcard.is_none() {
            let mut file = FollowedFile::new(id, id, path, chain, false);
            if matches!(source, LogSource::Command(_)) {
                file.opening = Opening::Done;
            }
            self.files.push(file);
        }
        FollowedLog { id, source: source.clone(), encoding: Encoding::default(), wildcard }
    }

    /// A chain that is not to be closed, whatever it was before.
    fn begin(&mut self, chain: ChainId) -> ChainId {
        self.closing.retain(|(closing, _)| *closing != chain);
        chain
    }

    fn close_files(&mut self, ending: Ending, is_closed: &dyn Fn(&FollowedFile) -> bool) {
        let closing = &mut self.closing;
        self.files.retain(|file| {
            let is_closed = is_closed(file);
            if is_closed && file.chain != ChainId::NO_FILE {
                closing.push((file.chain, ending));
            }
            !is_closed
        });
    }

    /// The logs of the configuration and their ids, ordered by id.
    pub(super) fn sources(&self) -> impl Iterator<Item = (LogId, &LogSource)> {
        self.sources.iter().map(|source| (source.id, &source.source))
    }

    /// What is to be followed, and how it is read.
    pub(super) fn wanted(&self) -> Vec<(LogId, LogSource, Encoding)> {
        self.sources.iter().map(|log| (log.id, log.source.clone(), log.encoding)).collect()
    }

    /// The file of that id.
    pub(super) fn file(&self, id: LogId) -> Option<&FollowedFile> {
        self.files.binary_search_by_key(&id, |file| file.id).ok().map(|at| &self.files[at])
    }

    /// The file of that id.
    pub(super) fn file_mut(&mut self, id: LogId) -> Option<&mut FollowedFile> {
        self.files.binary_search_by_key(&id, |file| file.id).ok().map(|at| &mut self.files[at])
    }

    /// The path that the log of that id has in events about it: a file's path, `|COMMAND`, or a wildcard's pattern.
    pub(super) fn name(&self, id: LogId) -> Option<String> {
        let named = self.sources.iter().find(|source| source.id == id).map(|source| source.source.field());
        named.or_else(|| self.file(id).map(|file| file.path.clone()))
    }

    /// A wildcard found a file. Returns the file's id, or `None` if the wildcard is not followed.
    pub(super) fn handle_found(&mut self, wildcard: LogId, path: String, is_late: bool) -> Option<LogId> {
        let source = self.sources.iter().find(|source| source.id == wildcard)?;
        if !matches!(source.source, LogSource::Glob { .. }) {
            return None;
        }
        let chain = ChainId::of_file(&source.source.name(), &path);
        if let Some(known) = self.files.iter().find(|file| file.source == wildcard && file.path == path) {
            return Some(known.id);
        }
        self.begin(chain);
        let id = self.ids.mint();
        self.files.push(FollowedFile::new(id, wildcard, path, chain, is_late));
        Some(id)
    }

    /// A file that a wildcard has just found is open already: it is read on from `position`, and belonged to the log `from` until now.
    pub(super) fn handle_renamed(
        &mut self,
        now: Now,
        id: LogId,
        from: Option<LogId>,
        position: &Position,
        delivery: &mut Delivery,
        outputs: &mut Outputs,
    ) {
        let Some(file) = self.file_mut(id) else { return };
        file.opening = Opening::Done;
        outputs.push(Output::Open { source: file.source, log: id, path: file.path.clone(), start: Start::Continue });
        let chain = file.chain;
        delivery.open(now, chain, position);
        // From now on the positions of the other log are without the file. The server must know it in the new chain before.
        if let Some(from) = from.and_then(|from| self.file(from)) {
            delivery.hold_until_agreed(from.chain, chain);
        }
    }

    /// The first search of a wildcard is complete.
    pub(super) fn handle_searched(&mut self, id: LogId) {
        let found = self.files.iter().filter(|file| file.source == id).count();
        let source = self.sources.iter_mut().find(|source| source.id == id);
        if let Some(wildcard) = source.and_then(|source| source.wildcard.as_mut()) {
            wildcard.found.get_or_insert(found);
        }
    }

    /// A file that a wildcard found is gone and was read to its end. Returns the wildcard's id.
    pub(super) fn handle_gone(&mut self, id: LogId, delivery: &mut Delivery) -> Option<LogId> {
        let file = self.file(id).filter(|file| file.source != id)?;
        let wildcard = file.source;
        // If the path has a file again while events of this one still wait, that is read from its beginning.
        delivery.handle_read(file.chain, Position::default());
        self.close_files(Ending::Gone, &|file| file.id == id);
        Some(wildcard)
    }

    /// A file that a wildcard found gave its place to another. Returns the wildcard's id.
    pub(super) fn handle_set_aside(&mut self, id: LogId) -> Option<LogId> {
        let wildcard = self.file(id).filter(|file| file.source != id)?.source;
        // If it finds a place again, whoever kept its size knows where it was read to.
        self.close_files(Ending::NotWanted, &|file| file.id == id);
        Some(wildcard)
    }

    /// A file that a wildcard found is gone and was never opened. Returns the file's id.
    pub(super) fn handle_vanished(&mut self, wildcard: LogId, path: &str) -> Option<LogId> {
        let is_meant = |file: &FollowedFile| file.source == wildcard && file.path == path && matches!(file.opening, Opening::Waiting);
        let id = self.files.iter().find(|file| is_meant(file))?.id;
        self.close_files(Ending::Gone, &|file| file.id == id);
        Some(id)
    }

    /// Whether a log or a file of that name is followed.
    pub(super) fn follows(&self, name: &str) -> bool {
        self.sources.iter().any(|source| source.source.field() == name) || self.files.iter().any(|file| file.path == name)
    }

    /// Orders each file to be opened once it is known how far it was read. `phase` is what is certain of the server's version;
    /// with `is_remembered` the server keeps checkpoints of this host.
    pub(super) fn open(&mut self, now: Now, phase: Phase, is_remembered: bool, delivery: &mut Delivery, outputs: &mut Outputs) {
        let is_waiting = self.files.iter().any(|file| matches!(file.opening, Opening::Waiting))
            || self.sources.iter().filter_map(|source| source.wildcard.as_ref()).any(|wildcard| !wildcard.is_announced);
        if phase == Phase::Probing || !is_waiting {
            return;
        }
        for at in 0..self.files.len() {
            let Some(start) = self.start_of(now, at, is_remembered, delivery) else { continue };
            self.files[at].order(start, outputs);
        }
        self.announce_wildcards(now, delivery, outputs);
    }

    /// Where reading of a file that waits begins, if that is known.
    fn start_of(&self, now: Now, at: usize, is_remembered: bool, delivery: &mut Delivery) -> Option<Start> {
        let file = &self.files[at];
        if !matches!(file.opening, Opening::Waiting) {
            return None;
        }
        let last_read = if is_remembered { delivery.seek(now, file.chain) } else { delivery.recall(file.chain) };
        let mut is_new = file.is_late;
        match last_read {
            LastRead::Unanswered => return None,
            LastRead::At(checkpoint) => {
                let position = Position::parse(&checkpoint.position).unwrap_or_default();
                is_new = position.is_empty();
                if !is_new && position != Position::end() {
                    return Some(Start::At(position, checkpoint.unix));
                }
            }
            LastRead::Never if is_remembered && !file.is_late => {
                if let Some(wildcard) = self.wildcard_of(file) {
                    match delivery.ask(now, wildcard.chain) {
                        LastRead::Unanswered => return None,
                        last_read => is_new = was_followed(&last_read),
                    }
                }
            }
            LastRead::Never => {}
        }
        Some(if is_new { Start::Beginning } else { Start::End })
    }

    fn wildcard_of(&self, file: &FollowedFile) -> Option<&Wildcard> {
        self.sources.iter().find(|source| source.id == file.source)?.wildcard.as_ref()
    }

    /// The log is not announced as followed, since the owner of the host does not let it be read.
    pub(super) fn withhold_announcement(&mut self, id: LogId) {
        if let Some(file) = self.file_mut(id) {
            file.is_to_be_announced = false;
        }
    }

    /// A file is read from that position on. `lost` says what was not found again of an earlier position. Returns what rules had counted
    /// up to there in an earlier run.
    pub(super) fn handle_opened(
        &mut self,
        now: Now,
        id: LogId,
        position: Position,
        lost: Option<String>,
        delivery: &mut Delivery,
        outputs: &mut Outputs,
    ) -> Vec<BlockCount> {
        let Some(file) = self.file_mut(id) else { return Vec::new() };
        let Opening::Ordered(start) = &file.opening else { return Vec::new() };
        let start = start.clone();
        file.opening = Opening::Done;
        let mut counts = Vec::new();
        if let Start::At(left, _) | Start::Among(_, left, _) = &start {
            counts.clone_from(&left.counts);
            let in_file = left.files.iter().find(|file| file.done != 0);
            let in_file = in_file.map(|file| PartialLine { place: LinePlace::File(file.offset, file.hash), rule: file.done });
            let entry = left.cursor.filter(|cursor| cursor.done != 0);
            file.partial = in_file.or(entry.map(|cursor| PartialLine { place: LinePlace::Entry(cursor), rule: cursor.done }));
        }
        let mut position = file.complete(position);
        position.counts = counts.clone();
        // Where reading of any other log begins follows from what the server knows.
        if start == Start::End && file.is_to_be_announced {
            let what = if position.is_empty() { ", which does not exist yet" } else { " from its end" };
            file.announcement = Some(format!("Following {}{what}", file.path));
        }
        let chain = file.chain;
        delivery.open(now, chain, &position);
        if let Some(lost) = lost {
            report(now, chain, &position, lost, delivery, outputs);
        }
        self.announce_unknown(now, chain, delivery, outputs);
        counts
    }

    /// A file has lost its end: an earlier place is sought, up to that offset. With `can_ask` the server may know one.
    pub(super) fn handle_shortened(&mut self, now: Now, id: LogId, most: u64, can_ask: bool, outputs: &mut Outputs) {
        let Some(file) = self.file_mut(id) else { return };
        let Opening::Ordered(Start::At(position, unix) | Start::Among(_, position, unix)) = &file.opening else { return };
        let (position, unix) = (position.clone(), *unix);
        match PlaceSearch::new(now, position.clone(), unix, most).filter(|_| can_ask) {
            Some(search) => file.opening = Opening::Seeking(Box::new(search)),
            None => file.order(Start::Among(Vec::new(), position, unix), outputs),
        }
    }

    /// The requests to the server for earlier places that are due. They count as sent.
    pub(super) fn place_requests(&mut self, now: Now, host: &str, outputs: &mut Outputs) -> Vec<Vec<u8>> {
        let mut requests = Vec::new();
        for file in &mut self.files {
            let Opening::Seeking(search) = &mut file.opening else { continue };
            match search.request(now, host, file.chain) {
                None => {}
                Some(PlaceRequest::Send(datagram)) => requests.push(datagram),
                Some(PlaceRequest::GiveUp) => {
                    let (position, unix) = search.clone().into_last_read();
                    file.order(Start::Among(Vec::new(), position, unix), outputs);
                }
            }
        }
        requests
    }

    /// When [`Self::place_requests`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let seeking = self.files.iter().filter_map(|file| match &file.opening {
            Opening::Seeking(search) => Some(search.next_due()),
            _ => None,
        });
        seeking.min()
    }

    /// The server knows these earlier places up to that offset.
    pub(super) fn handle_past(&mut self, chain: ChainId, offset: u64, places: Position, outputs: &mut Outputs) {
        for file in self.files.iter_mut().filter(|file| file.chain == chain) {
            if let Opening::Seeking(search) = &file.opening {
                if search.is_for(offset) {
                    let (position, unix) = search.clone().into_last_read();
                    return file.order(Start::Among(places.files, position, unix), outputs);
                }
            }
        }
    }

    /// Announces the log of a chain that the server does not know.
    pub(super) fn announce_unknown(&mut self, now: Now, chain: ChainId, delivery: &mut Delivery, outputs: &mut Outputs) {
        if !delivery.is_unknown_to_server(chain) {
            return;
        }
        let Some(file) = self.files.iter_mut().find(|file| file.chain == chain) else { return };
        if let (Some(text), Some(position)) = (file.announcement.take(), delivery.read_position(chain).cloned()) {
            report(now, chain, &position, text, delivery, outputs);
        }
    }

    /// Announces each wildcard once the server knows all of its first files: what it finds from then on is new.
    fn announce_wildcards(&mut self, now: Now, delivery: &mut Delivery, outputs: &mut Outputs) {
        let Self { sources, files, .. } = self;
        for FollowedLog { id, source, wildcard, .. } in sources {
            let Some(Wildcard { chain, found: Some(found), is_announced: is_announced @ false }) = wildcard else { continue };
            let last_read = delivery.ask(now, *chain);
            let is_known = |file: &FollowedFile| matches!(file.opening, Opening::Done) && delivery.is_settled(file.chain);
            if matches!(last_read, LastRead::Unanswered) || files.iter().any(|file| file.source == *id && !file.is_late && !is_known(file))
            {
                continue;
            }
            *is_announced = true;
            delivery.open(now, *chain, &Position::default());
            if !was_followed(&last_read) {
                let plural = if *found == 1 { "" } else { "s" };
                let text = format!("Following {}: {found} file{plural}", source.field());
                report(now, *chain, &Position::default(), text, delivery, outputs);
            }
        }
    }

    /// A file is read up to that position, and rules have counted that in blocks that are not over.
    pub(super) fn handle_read(&self, id: LogId, position: Position, counts: Vec<BlockCount>, delivery: &mut Delivery) {
        if let Some(file) = self.file(id) {
            delivery.handle_read(file.chain, Position { counts, ..file.complete(position) });
        }
    }

    /// Closes the chains of logs that are not followed any more, once their last events are acknowledged.
    pub(super) fn close(&mut self, now: Now, delivery: &mut Delivery) {
        self.closing.retain(|(chain, ending)| {
            let position = match ending {
                // If the path has a file again, that is read from its beginning.
                Ending::Gone => Position::default(),
                Ending::NotWanted => Position::end(),
            };
            !delivery.close(now, *chain, &position)
        });
    }
}

/// Queues an event about a log that is read up to that position.
fn report(now: Now, chain: ChainId, position: &Position, text: String, delivery: &mut Delivery, outputs: &mut Outputs) {
    delivery.push_about_log(now, chain, position, Event::system(&text));
    outputs.log(text);
}

/// Whether a wildcard was followed up to that checkpoint, and rules still asked for it then.
fn was_followed(last_read: &LastRead) -> bool {
    match last_read {
        LastRead::At(checkpoint) => Position::parse(&checkpoint.position).is_some_and(|position| position != Position::end()),
        _ => false,
    }
}
