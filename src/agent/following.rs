//! The logs that are followed: where each is begun, and the chain that its events belong to.

use super::chains::{Change, Left, OwnedReached};
use super::outbox::Event;
use super::selection::Protocol;
use super::{Agent, Output, SYSTEM};
use crate::directives::host::LogSource;
use crate::now::Now;
use crate::position::Position;
use crate::wire::{Chain, Message, Reached};

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
pub enum Hurry {
    /// All.
    No,
    /// Those that must be kept before anything is sent.
    OnlyIfUrgent,
}

/// What a log's events are named by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    pub(super) chain: Chain,
    /// A line of which some rules have made their events before a restart: its offset, the hash of what is before it, and the last of
    /// these rules.
    pub(super) half_done: Option<(u64, u64, u32)>,
}

impl Link {
    /// The position of a log with what is known of a line that is half done.
    fn complete(&self, mut position: Position) -> Position {
        if let Some((offset, hash, done)) = self.half_done {
            let half_done = position.files.iter_mut().filter(|file| file.offset == offset && file.hash == hash);
            half_done.for_each(|file| file.done = done);
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

/// A wildcard: that it was followed before tells that files which are not known are new.
struct Wildcard {
    pattern: String,
    chain: Chain,
    /// How many files were found at first; nothing while that is being found out.
    found: Option<usize>,
    announced: bool,
}

#[derive(Default)]
pub(super) struct Following {
    files: Vec<File>,
    wildcards: Vec<Wildcard>,
    /// Chains of files that are not followed any more and may have events that wait, and where they will be begun if they are again.
    closing: Vec<(Chain, Position)>,
    /// Positions that a file of the agent's own has kept.
    remembered: Vec<(Chain, OwnedReached)>,
}

impl Following {
    /// Forgets the files of sources that are not followed any more.
    pub(super) fn replace(&mut self, sources: &[LogSource]) {
        let Self { files, wildcards, closing, .. } = self;
        files.retain(|file| {
            let stays = sources.contains(&file.source);
            if !stays {
                closing.push((file.link.chain, Position::end()));
            }
            stays
        });
        wildcards.retain(|wildcard| {
            let stays = sources.iter().any(|source| matches!(source, LogSource::Glob(pattern) if *pattern == wildcard.pattern));
            if !stays {
                closing.push((wildcard.chain, Position::end()));
            }
            stays
        });
        for source in sources {
            let LogSource::Glob(pattern) = source else { continue };
            if !wildcards.iter().any(|wildcard| wildcard.pattern == *pattern) {
                let chain = Chain::of_log(pattern);
                closing.retain(|(closing, _)| *closing != chain);
                wildcards.push(Wildcard { pattern: pattern.clone(), chain, found: None, announced: false });
            }
        }
    }

    /// What the events of a file are named by.
    pub(super) fn link_mut(&mut self, source: &LogSource, path: &str) -> Option<&mut Link> {
        self.find(source, path).map(|file| &mut file.link)
    }

    fn find(&mut self, source: &LogSource, path: &str) -> Option<&mut File> {
        self.files.iter_mut().find(|file| file.path == path && file.source == *source)
    }

    fn add(&mut self, source: LogSource, path: &str, late: bool) {
        if self.find(&source, path).is_none() {
            let chain = match &source {
                LogSource::Glob(pattern) => Chain::of_file(pattern, path),
                _ => Chain::of_log(path),
            };
            self.closing.retain(|(closing, _)| *closing != chain);
            let link = Link { chain, half_done: None };
            self.files.push(File { source, path: path.to_string(), link, late, opened: false, announcement: None });
        }
    }

    fn is_waiting(&self) -> bool {
        self.files.iter().any(|file| !file.opened) || self.wildcards.iter().any(|wildcard| !wildcard.announced)
    }
}

impl Agent {
    /// A log has that file, whether it exists yet or not; one of a wildcard may have come after the others. It is to be opened when
    /// [`Output::Open`] says so.
    pub fn handle_found(&mut self, now: Now, log: usize, path: &str, late: bool) {
        let Some(source) = self.logs.source(log).cloned() else { return };
        self.logs.handle_found(log, path);
        self.following.add(source, path, late);
        self.open_logs(now);
    }

    /// A file of a wildcard has another name now, and is read on under that.
    pub fn handle_renamed(&mut self, now: Now, log: usize, path: &str, position: &Position) {
        let Some(source) = self.logs.source(log).cloned() else { return };
        self.logs.handle_found(log, path);
        self.following.add(source.clone(), path, true);
        let Some(file) = self.following.find(&source, path) else { return };
        file.opened = true;
        self.outbox.chains.open(now, file.link.chain, position);
    }

    /// All files are found that a wildcard matches at first.
    pub fn handle_searched(&mut self, log: usize) {
        let Some(LogSource::Glob(pattern)) = self.logs.source(log) else { return };
        let files = self.following.files.iter().filter(|file| file.source.field() == *pattern).count();
        for wildcard in self.following.wildcards.iter_mut().filter(|wildcard| wildcard.pattern == *pattern) {
            wildcard.found.get_or_insert(files);
        }
    }

    /// A file that a wildcard had found is gone and read to its end.
    pub fn handle_gone(&mut self, log: usize, path: &str) {
        self.logs.handle_gone(log, path);
        let Some(source) = self.logs.source(log) else { return };
        let Following { files, closing, .. } = &mut self.following;
        files.retain(|file| {
            let stays = file.path != path || file.source != *source;
            if !stays {
                closing.push((file.link.chain, Position::default()));
            }
            stays
        });
    }

    /// Orders the logs to be opened of which it is known where they were left.
    pub(super) fn open_logs(&mut self, now: Now) {
        let protocol = self.selection.certain_protocol();
        if protocol == Protocol::Unknown || !self.following.is_waiting() {
            return;
        }
        for at in 0..self.following.files.len() {
            let File { source, path, link, late, opened: false, .. } = &self.following.files[at] else { continue };
            // A server without a file of this host keeps nothing in mind of it either.
            let is_remembered = protocol == Protocol::Session && self.has_file;
            let left = if is_remembered { self.outbox.chains.seek(now, link.chain) } else { Left::Never };
            let (left, is_new) = match (self.weigh(left, link.chain), source) {
                (Left::Never, LogSource::Glob(pattern)) if !late && is_remembered => {
                    match self.outbox.chains.seek(now, Chain::of_log(pattern)) {
                        Left::Unknown => (Left::Unknown, false),
                        known => (Left::Never, known.position().is_some_and(|position| position != Position::end())),
                    }
                }
                (left, _) => (left, *late),
            };
            let start = match left {
                Left::Unknown => continue,
                Left::Never if is_new => Start::Beginning,
                Left::Never => Start::End,
                Left::At(reached) => match Position::parse(&reached.position).unwrap_or_default() {
                    position if position == Position::end() => Start::End,
                    position if position.files.is_empty() => Start::Beginning,
                    position => Start::At(position, reached.unix),
                },
            };
            let log = self.logs.number_of(source);
            let path = path.clone();
            self.following.files[at].opened = true;
            if let Some(log) = log {
                self.outputs.push_back(Output::Open { log, path, start });
            }
        }
        self.announce_wildcards(now);
    }

    /// What the server and a file of the agent's own know of where a log was left: of one run, whatever is further; else the file,
    /// which also knows of other servers.
    fn weigh(&self, left: Left, chain: Chain) -> Left {
        let Some((_, remembered)) = self.following.remembered.iter().find(|(known, _)| *known == chain) else { return left };
        match left {
            Left::Unknown => Left::Unknown,
            Left::At(reached) if reached.step.run == self.outbox.chains.run() => Left::At(reached),
            Left::At(reached) if reached.step.run == remembered.step.run && reached.step.number >= remembered.step.number => {
                Left::At(reached)
            }
            _ => Left::At(remembered.clone()),
        }
    }

    /// Answers [`Output::Open`]: the log is read from that position on. What was not found again of where it was left is `lost`.
    pub fn handle_opened(&mut self, now: Now, log: usize, path: &str, start: &Start, position: &Position, lost: Option<String>) {
        let Some(source) = self.logs.source(log).cloned() else { return };
        let Some(file) = self.following.find(&source, path) else { return };
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
        self.outbox.chains.open(now, chain, position);
        if let Some(lost) = lost {
            self.log_event(now, chain, position, &lost);
        }
        if self.outbox.chains.is_unknown_to_server(chain) {
            self.handle_unknown_chain(now, chain);
        }
    }

    /// The server knows nothing of a chain.
    pub(super) fn handle_unknown_chain(&mut self, now: Now, chain: Chain) {
        let files = &mut self.following.files;
        let announcement = files.iter_mut().find(|file| file.link.chain == chain).and_then(|file| file.announcement.take());
        if let (Some(text), Some(position)) = (announcement, self.outbox.chains.read_position(chain).cloned()) {
            self.log_event(now, chain, &position, &text);
        }
    }

    /// Once all of its first files are known to the server, a wildcard is: what it finds from then on is new.
    fn announce_wildcards(&mut self, now: Now) {
        for at in 0..self.following.wildcards.len() {
            let Wildcard { pattern, chain, found: Some(found), announced: false } = &self.following.wildcards[at] else { continue };
            let (pattern, chain, found) = (pattern.clone(), *chain, *found);
            let files = self.following.files.iter().filter(|file| file.source.field() == pattern && !file.late);
            let left = self.outbox.chains.seek(now, chain);
            if left == Left::Unknown || !files.into_iter().all(|file| file.opened && self.outbox.chains.is_settled(file.link.chain)) {
                continue;
            }
            self.following.wildcards[at].announced = true;
            self.outbox.chains.open(now, chain, &Position::default());
            if left.position().is_none_or(|position| position == Position::end()) {
                let files = if found == 1 { "file" } else { "files" };
                self.log_event(now, chain, &Position::default(), &format!("Following {pattern}: {found} {files}"));
            }
        }
    }

    /// An event about a log, which is read up to that position.
    fn log_event(&mut self, now: Now, chain: Chain, position: &Position, text: &str) {
        self.log(text.to_string());
        self.outbox.push_line(now, chain, Some(position), Event { tags: SYSTEM, file: None, text });
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
        self.system_event(now, text);
    }

    /// Takes over positions that an earlier run kept, as [`Self::positions`] gave them.
    pub fn remember(&mut self, text: &str) {
        let at = |line: &str| match Message::parse_of_server(line.as_bytes()) {
            Ok(Message::At { chain, reached: Some(reached), .. }) => Some((chain, OwnedReached::of(reached))),
            _ => None,
        };
        self.following.remembered = text.lines().filter_map(at).collect();
    }

    /// The positions that are acknowledged, and those that were remembered and not asked for yet, if that has changed since the last
    /// time; `hurry` tells whether a second may pass first.
    pub fn positions(&mut self, hurry: Hurry) -> Option<String> {
        let change = self.outbox.chains.change()?;
        if hurry == Hurry::OnlyIfUrgent && change != Change::Begun {
            return None;
        }
        let mut text = String::new();
        let host = &self.host;
        let mut emit = |chain: Chain, reached: Reached<'_>| {
            Message::At { host, chain, reached: Some(reached) }.emit_into(&mut text);
            text.push('\n');
        };
        let mut known = Vec::new();
        for (chain, reached) in self.outbox.chains.places() {
            known.push(chain);
            emit(chain, reached);
        }
        let others = self.following.remembered.iter().filter(|(chain, _)| !known.contains(chain));
        others.for_each(|(chain, reached)| emit(*chain, reached.reached()));
        Some(text)
    }

    /// Whether [`Self::positions`] has something to tell.
    pub fn has_new_positions(&self) -> bool {
        self.outbox.chains.change().is_some()
    }

    /// Lets go of chains whose logs are not followed any more, once their last events are acknowledged.
    pub(super) fn close_logs(&mut self, now: Now) {
        let Self { following: Following { closing, .. }, outbox, .. } = self;
        closing.retain(|(chain, position)| !outbox.chains.close(now, *chain, position));
    }
}
