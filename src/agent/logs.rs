//! The logs that are followed: where each is begun, and the chain that its events belong to.

use super::delivery::chains::{Change, Left};
use super::delivery::outbox::Event;
use super::session::Protocol;
use super::{Agent, Output, SYSTEM};
use crate::directives::host::LogSource;
use crate::lines::lines;
use crate::now::Now;
use crate::wire::position::Position;
use crate::wire::{ChainId, Checkpoint, Message};

/// Where reading of a log begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// What is there already is passed over.
    End,
    /// At the first byte.
    Beginning,
    /// Where it was left, and when that was, in seconds since 1970.
    At(Position, u64),
}

/// Which changes of positions matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// All.
    No,
    /// Those that must be kept before anything is sent.
    OnlyIfUrgent,
}

/// What a log's events are named by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    pub(super) chain: ChainId,
    /// A line of which some rules have made their events before a restart: its offset, the hash of what is before it, and the last of
    /// these rules.
    pub(super) half_done: Option<(u64, u64, u32)>,
}

impl Link {
    /// The position of a log with what is known of a line that is half done.
    fn complete(&self, mut position: Position) -> Position {
        if let Some((offset, hash, done)) = self.half_done {
            for file in &mut position.files {
                if file.offset == offset && file.hash == hash {
                    file.done = done;
                }
            }
        }
        position
    }
}

/// One file that is followed, or will be.
struct File {
    source: LogSource,
    path: String,
    link: Link,
    /// Whether it came after the others of its wildcard, and so is no old one.
    late: bool,
    opened: bool,
    /// What is to be said if the server turns out to know nothing of this log: with that it does.
    announcement: Option<String>,
}

impl File {
    fn is(&self, source: &LogSource, path: &str) -> bool {
        self.path == path && self.source == *source
    }

    fn is_of_wildcard(&self, wildcard: &str) -> bool {
        matches!(&self.source, LogSource::Glob(pattern) if pattern == wildcard)
    }
}

/// A wildcard: that it was followed before tells that files which are not known are new.
struct Wildcard {
    pattern: String,
    chain: ChainId,
    /// How many files were found at first; nothing while that is being found out.
    found: Option<usize>,
    announced: bool,
}

#[derive(Default)]
pub(super) struct Following {
    files: Vec<Box<File>>,
    wildcards: Vec<Wildcard>,
    /// Chains of files that are not followed any more and may have events that wait, and whether these files are gone.
    closing: Vec<(ChainId, bool)>,
    /// Positions that a file of the agent's own has kept.
    remembered: Vec<(ChainId, Checkpoint<Box<str>>)>,
}

impl Following {
    /// Forgets the files of sources that are not followed any more.
    pub(super) fn replace(&mut self, sources: &[LogSource]) {
        self.let_go(false, &|file| !sources.contains(&file.source));
        let mut before = std::mem::take(&mut self.wildcards);
        for source in sources {
            let LogSource::Glob(pattern) = source else { continue };
            let wildcard = match before.iter().position(|wildcard| wildcard.pattern == *pattern) {
                Some(at) => before.swap_remove(at),
                None => Wildcard { pattern: pattern.clone(), chain: self.begin(ChainId::of_log(pattern)), found: None, announced: false },
            };
            self.wildcards.push(wildcard);
        }
        for wildcard in before {
            self.closing.push((wildcard.chain, false));
        }
    }

    /// Forgets files, because they are gone or because no rule asks for them any more.
    fn let_go(&mut self, gone: bool, is_let_go: &dyn Fn(&File) -> bool) {
        let closing = &mut self.closing;
        self.files.retain(|file| {
            let is_let_go = is_let_go(file);
            if is_let_go {
                closing.push((file.link.chain, gone));
            }
            !is_let_go
        });
    }

    /// A chain that is not to be closed, whatever it was before.
    fn begin(&mut self, chain: ChainId) -> ChainId {
        self.closing.retain(|(closing, _)| *closing != chain);
        chain
    }

    /// What the events of a file are named by.
    pub(super) fn link_mut(&mut self, source: &LogSource, path: &str) -> Option<&mut Link> {
        self.find(source, path).map(|file| &mut file.link)
    }

    fn find(&mut self, source: &LogSource, path: &str) -> Option<&mut File> {
        self.files.iter_mut().find(|file| file.is(source, path)).map(|file| &mut **file)
    }

    fn add(&mut self, source: &LogSource, path: &str, late: bool) -> &mut File {
        let at = self.files.iter().position(|file| file.is(source, path)).unwrap_or(self.files.len());
        if at == self.files.len() {
            let chain = self.begin(match source {
                LogSource::Glob(pattern) => ChainId::of_file(pattern, path),
                _ => ChainId::of_log(path),
            });
            let link = Link { chain, half_done: None };
            let path = path.to_string();
            self.files.push(Box::new(File { source: source.clone(), path, link, late, opened: false, announcement: None }));
        }
        &mut self.files[at]
    }

    fn is_waiting(&self) -> bool {
        self.files.iter().any(|file| !file.opened) || self.wildcards.iter().any(|wildcard| !wildcard.announced)
    }
}

impl Agent {
    /// A log has that file, whether it exists yet or not; one of a wildcard may have come after the others. It is to be opened when
    /// [`Output::Open`] says so.
    pub fn handle_found(&mut self, now: Now, log: usize, path: &str, late: bool) {
        self.now = now.into();
        self.logs.handle_found(log, path);
        if let Some(source) = self.logs.source(log) {
            self.following.add(source, path, late);
            self.open_logs();
        }
    }

    /// A file of a wildcard has another name now, and is read on under that.
    pub fn handle_renamed(&mut self, now: Now, log: usize, path: &str, position: &Position) {
        self.now = now.into();
        self.logs.handle_found(log, path);
        if let Some(source) = self.logs.source(log) {
            let file = self.following.add(source, path, true);
            file.opened = true;
            self.outbox.chains.open(&self.now, file.link.chain, position);
        }
    }

    /// All files are found that a wildcard matches at first.
    pub fn handle_searched(&mut self, log: usize) {
        let Some(LogSource::Glob(pattern)) = self.logs.source(log) else { return };
        let Following { files, wildcards, .. } = &mut self.following;
        if let Some(wildcard) = wildcards.iter_mut().find(|wildcard| wildcard.pattern == *pattern) {
            wildcard.found.get_or_insert(files.iter().filter(|file| file.is_of_wildcard(pattern)).count());
        }
    }

    /// A file that a wildcard had found is gone and read to its end.
    pub fn handle_gone(&mut self, log: usize, path: &str) {
        self.logs.handle_gone(log, path);
        if let Some(source) = self.logs.source(log) {
            self.following.let_go(true, &|file| file.is(source, path));
        }
    }

    /// Orders the logs to be opened of which it is known where they were left.
    pub(super) fn open_logs(&mut self) {
        let protocol = self.selection.certain_protocol();
        if protocol == Protocol::Unknown || !self.following.is_waiting() {
            return;
        }
        // A server without a file of this host keeps nothing in mind of it either.
        let is_remembered = protocol == Protocol::Session && self.has_file;
        for at in 0..self.following.files.len() {
            if self.following.files[at].opened {
                continue;
            }
            let Some(start) = self.start_of(at, is_remembered) else { continue };
            let file = &mut self.following.files[at];
            file.opened = true;
            if let Some(log) = self.logs.number_of(&file.source) {
                self.outputs.push(Output::Open { log, path: file.path.clone(), start });
            }
        }
        self.announce_wildcards();
    }

    /// Where reading of a file begins, if that is known.
    fn start_of(&mut self, at: usize, is_remembered: bool) -> Option<Start> {
        let File { source, link, late, .. } = &*self.following.files[at];
        let now = self.now.mono;
        let left = if is_remembered { self.outbox.chains.seek(now, link.chain) } else { Left::Never };
        let mut is_new = *late;
        match (self.weigh(left, link.chain), source) {
            (Left::Unknown, _) => return None,
            (Left::At(checkpoint), _) => {
                let position = Position::parse(&checkpoint.position).unwrap_or_default();
                if !is_end(&position) && !position.files.is_empty() {
                    return Some(Start::At(position, checkpoint.unix));
                }
                is_new = position.files.is_empty();
            }
            (Left::Never, LogSource::Glob(pattern)) if !late && is_remembered => {
                match self.outbox.chains.seek(now, ChainId::of_log(pattern)) {
                    Left::Unknown => return None,
                    left => is_new = is_followed(&left),
                }
            }
            (Left::Never, _) => {}
        }
        Some(if is_new { Start::Beginning } else { Start::End })
    }

    /// What the server and a file of the agent's own know of where a log was left: of one run, whatever is further; else the file,
    /// which also knows of other servers.
    fn weigh(&self, left: Left, chain: ChainId) -> Left {
        let Some((_, remembered)) = self.following.remembered.iter().find(|(known, _)| *known == chain) else { return left };
        let (own, kept) = (self.outbox.chains.run(), remembered.seq);
        match left {
            Left::Unknown => left,
            Left::At(Checkpoint { seq, .. }) if seq.epoch == own || seq.epoch == kept.epoch && seq.number >= kept.number => left,
            _ => Left::At(remembered.clone()),
        }
    }

    /// Answers [`Output::Open`]: the log is read from that position on. What was not found again of where it was left is `lost`.
    pub fn handle_opened(&mut self, now: Now, log: usize, path: &str, start: &Start, position: &Position, lost: Option<String>) {
        self.now = now.into();
        let Some(source) = self.logs.source(log) else { return };
        let Some(file) = self.following.find(source, path) else { return };
        let chain = file.link.chain;
        if let Start::At(left, _) = start {
            file.link.half_done = left.files.iter().find(|file| file.done != 0).map(|file| (file.offset, file.hash, file.done));
        }
        let position = &file.link.complete(position.clone());
        // Where reading of any other log begins follows from what the server knows.
        if *start == Start::End {
            let what = if position.files.is_empty() { ", which does not exist yet" } else { " from its end" };
            file.announcement = Some(format!("Following {path}{what}"));
        }
        self.outbox.chains.open(&self.now, chain, position);
        if let Some(lost) = lost {
            self.log_event(chain, position, lost);
        }
        self.announce_unknown(chain);
    }

    /// Says that a log is followed of which the server knows nothing.
    pub(super) fn announce_unknown(&mut self, chain: ChainId) {
        if !self.outbox.chains.is_unknown_to_server(chain) {
            return;
        }
        let Some(file) = self.following.files.iter_mut().find(|file| file.link.chain == chain) else { return };
        if let (Some(text), Some(position)) = (file.announcement.take(), self.outbox.chains.read_position(chain).cloned()) {
            self.log_event(chain, &position, text);
        }
    }

    /// Once all of its first files are known to the server, a wildcard is: what it finds from then on is new.
    fn announce_wildcards(&mut self) {
        for at in 0..self.following.wildcards.len() {
            let Following { files, wildcards, .. } = &mut self.following;
            let Wildcard { pattern, chain, found: Some(found), announced: announced @ false } = &mut wildcards[at] else { continue };
            let (chain, found) = (*chain, *found);
            let left = self.outbox.chains.seek(self.now.mono, chain);
            let is_known = |file: &File| file.opened && self.outbox.chains.is_settled(file.link.chain);
            if matches!(left, Left::Unknown) || files.iter().any(|file| !file.late && file.is_of_wildcard(pattern) && !is_known(file)) {
                continue;
            }
            *announced = true;
            self.outbox.chains.open(&self.now, chain, &Position::default());
            if !is_followed(&left) {
                let plural = if found == 1 { "" } else { "s" };
                let text = format!("Following {pattern}: {found} file{plural}");
                self.log_event(chain, &Position::default(), text);
            }
        }
    }

    /// An event about a log, which is read up to that position.
    fn log_event(&mut self, chain: ChainId, position: &Position, text: String) {
        self.outbox.push_line(&self.now, chain, Some(position), Event { tags: SYSTEM, file: None, text: &text });
        self.log(text);
    }

    /// A file is read up to that position; its lines were handed on before.
    pub fn handle_read(&mut self, log: usize, path: &str, position: Position) {
        let Some(source) = self.logs.source(log) else { return };
        if let Some(link) = self.following.link_mut(source, path) {
            self.outbox.chains.handle_read(link.chain, link.complete(position));
        }
    }

    /// Bytes or lines of a log are lost or were cut.
    pub fn handle_loss(&mut self, now: Now, text: &str) {
        self.now = now.into();
        self.system_event(text.to_string());
    }

    /// Takes over positions that an earlier run kept, as [`Self::positions`] gave them.
    pub fn remember(&mut self, text: &str) {
        self.following.remembered.clear();
        for (_, line) in lines(text.as_bytes()) {
            if let Ok(Message::At { chain, checkpoint: Some(checkpoint), .. }) = Message::parse_of_server(line) {
                self.following.remembered.push((chain, checkpoint.to_owned()));
            }
        }
    }

    /// The positions that are acknowledged, and those that were remembered and not asked for yet, if that has changed since the last
    /// time; `hurry` tells whether a second may pass first.
    pub fn positions(&mut self, hurry: Urgency) -> Option<String> {
        let change = self.outbox.chains.change()?;
        if hurry == Urgency::OnlyIfUrgent && change != Change::Begun {
            return None;
        }
        let (mut text, host) = (String::new(), &self.host);
        let mut emit = |chain: ChainId, checkpoint: Checkpoint<&str>| {
            Message::At { host, chain, checkpoint: Some(checkpoint) }.emit_into(&mut text);
            text.push('\n');
        };
        for (chain, checkpoint) in self.outbox.chains.places() {
            emit(chain, checkpoint);
        }
        for (chain, checkpoint) in &self.following.remembered {
            if self.outbox.chains.place(*chain).is_none() {
                emit(*chain, checkpoint.borrowed());
            }
        }
        Some(text)
    }

    /// Whether [`Self::positions`] has something to tell.
    pub fn has_new_positions(&self) -> bool {
        self.outbox.chains.change().is_some()
    }

    /// Lets go of chains whose logs are not followed any more, once their last events are acknowledged.
    pub(super) fn close_logs(&mut self) {
        let closing = &mut self.following.closing;
        let mut at = 0;
        while let Some((chain, gone)) = closing.get(at) {
            // What has the name of a file that is gone is read from its beginning.
            let position = if *gone { Position::default() } else { Position::end() };
            if self.outbox.chains.close(&self.now, *chain, &position) {
                closing.swap_remove(at);
            } else {
                at += 1;
            }
        }
    }
}

fn is_end(position: &Position) -> bool {
    *position == Position::end()
}

/// Whether a wildcard was followed until that was said of it, and not let go since.
fn is_followed(left: &Left) -> bool {
    match left {
        Left::At(checkpoint) => Position::parse(&checkpoint.position).is_some_and(|position| !is_end(&position)),
        _ => false,
    }
}
