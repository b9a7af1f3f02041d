//! All that the agent follows: files, files that wildcards find, what commands print, and the journal. Reads bytes; what they mean is the agent's.

mod command_log;
mod copies;
mod files;
mod journal;
mod restart;

use super::watches::Watches;
use crate::agent::{Agent, LogEvent, LogId, Start};
use crate::directives::host::LogSource;
use crate::encoding::Encoding;
use crate::fs::Access;
use crate::now::{earlier, Now};
use crate::sys::poll::PollSet;
use crate::tail::FileId;
use command_log::CommandLog;
use files::{Begun, Files};
use journal::JournalLog;
use std::time::Duration;

pub(super) struct Sources {
    access: Access,
    sources: Vec<Source>,
    /// What tells of changes, where the system does.
    watches: Option<Watches>,
    /// Which source is read first: the one whose turn it was when there was no room for more.
    first: usize,
    /// Events that wait to be handed to the agent.
    events: Vec<(LogId, LogEvent<'static>)>,
}

/// One log of the configuration.
struct Source {
    id: LogId,
    input: Input,
    /// Where the log is, as the configuration names it.
    name: String,
    next_look: Duration,
    /// Whether there is, or may be, something to read.
    is_unread: bool,
    /// Whether the system tells when files come and go.
    is_folder_watched: bool,
    /// The files that the system tells the changes of.
    watched_files: Vec<FileId>,
}

enum Input {
    Files(Files),
    Command(Box<CommandLog>),
    Journal(Box<JournalLog>),
}

impl Sources {
    /// Bytes that are read before everything else has its turn.
    const TURN: usize = 1 << 20;

    /// Follows nothing yet, and later no file that `access` refuses.
    pub(super) fn new(access: Access) -> Self {
        Self { access, sources: Vec::new(), watches: None, first: 0, events: Vec::new() }
    }

    /// Follows these logs and no others, and reads them in these encodings. Logs that were followed already continue.
    pub(super) fn replace(&mut self, now: Now, wanted: Vec<(LogId, LogSource, Encoding)>) {
        let mut before = std::mem::take(&mut self.sources);
        self.watches = Watches::open(&self.access);
        self.first = 0;
        for (id, log, encoding) in wanted {
            let mut source = match before.iter().position(|known| known.id == id) {
                Some(at) => before.swap_remove(at),
                None => Source::new(now, id, &log, &self.access),
            };
            source.set_encoding(encoding);
            source.next_look = now.mono;
            source.is_unread = true;
            source.watched_files.clear();
            source.is_folder_watched = self.watches.as_mut().is_some_and(|watches| source.watch_folder(watches));
            self.sources.push(source);
        }
    }

    /// Begins a file where the agent says.
    pub(super) fn open(&mut self, now: Now, source: LogId, log: LogId, path: &str, start: &Start) {
        let Some(source) = self.sources.iter_mut().find(|known| known.id == source) else { return };
        let files = match &mut source.input {
            Input::Files(files) => files,
            Input::Journal(journal) => {
                let position = journal.begin(now, start);
                self.events.extend(position.map(|position| (log, LogEvent::Opened { position, lost: None, is_refused: false })));
                return;
            }
            Input::Command(_) => return,
        };
        match files.begin(now, log, path, start) {
            Some(Begun::Reading { position, lost }) => {
                let is_refused = self.access.regular(path.as_ref()).is_err_and(|e| !e.is_missing());
                self.events.push((log, LogEvent::Opened { position, lost, is_refused }));
            }
            Some(Begun::Shortened(most)) => self.events.push((log, LogEvent::Shortened(most))),
            None => {}
        }
        (source.next_look, source.is_unread) = (now.mono, true);
    }

    /// Notes where every log ends now, for [`Self::report`].
    pub(super) fn measure(&mut self) {
        for source in &mut self.sources {
            match &mut source.input {
                Input::Files(files) => self.events.extend(files.ends().map(|(id, end)| (id, LogEvent::End(end)))),
                Input::Command(command) => self.events.push((source.id, LogEvent::End(command.position()))),
                Input::Journal(journal) => self.events.push((source.id, LogEvent::End(journal.position()))),
            }
        }
    }

    /// Tells the agent what came of [`Self::open`] and [`Self::measure`].
    pub(super) fn report(&mut self, now: Now, agent: &mut Agent) {
        for (log, event) in self.events.drain(..) {
            agent.handle_log(now, log, event);
        }
    }

    pub(super) fn add_to(&self, now: Now, poll: &mut PollSet, agent: &Agent) {
        if !agent.has_room() {
            return;
        }
        for source in &self.sources {
            let fd = match &source.input {
                Input::Files(_) => None,
                Input::Command(command) => command.fd(),
                Input::Journal(journal) => journal.fd(),
            };
            fd.into_iter().for_each(|fd| poll.add(fd));
        }
        if let Some(watches) = &self.watches {
            watches.add_to(now, poll);
        }
    }

    /// Hands the agent what is new, as far as it has room. Rotations are noticed without room too: a file may have its name for a short
    /// time only.
    pub(super) fn handle(&mut self, now: Now, agent: &mut Agent, buffer: &mut [u8]) {
        self.take_changes(now);
        for source in &mut self.sources {
            source.look(now, agent, self.watches.as_mut());
        }
        let (first, mut bytes) = (self.first, 0);
        for turn in 0..self.sources.len() {
            let at = (first + turn) % self.sources.len();
            if !agent.has_room() || bytes >= Self::TURN {
                self.first = at;
                break;
            }
            bytes += self.sources[at].read(now, agent, buffer);
        }
    }

    /// Makes a look due at the logs that the system says have changed.
    fn take_changes(&mut self, now: Now) {
        let Self { sources, watches, .. } = self;
        let Some(watches) = watches else { return };
        watches.take(now, &mut |changed| {
            for source in sources.iter_mut().filter(|source| changed.is_none_or(|changed| changed == source.id)) {
                source.next_look = Duration::ZERO;
                if let Input::Files(files) = &mut source.input {
                    files.hurry_search();
                }
            }
        });
    }

    /// When a look is due or a command is to be started.
    pub(super) fn next_deadline(&self, now: Now, agent: &Agent) -> Option<Duration> {
        let has_room = agent.has_room();
        let mut next = None;
        for source in &self.sources {
            if has_room && source.is_unread {
                return Some(now.mono);
            }
            let due = match &source.input {
                Input::Files(files) if files.is_searching() => return Some(now.mono),
                Input::Files(_) => Some(source.next_look),
                Input::Command(command) => command.next_deadline(now).filter(|_| has_room),
                Input::Journal(journal) => journal.next_deadline(now).filter(|_| has_room),
            };
            next = earlier(next, due);
        }
        let watches = self.watches.as_ref().filter(|_| has_room);
        earlier(next, watches.and_then(|watches| watches.next_deadline(now)))
    }
}

impl Source {
    /// How often files are looked at, in seconds …
    const INTERVAL: u64 = 1;
    /// … and how often where the system tells of their changes: a hint may get lost.
    const WATCHED_INTERVAL: u64 = 10;

    fn new(now: Now, id: LogId, log: &LogSource, access: &Access) -> Self {
        let input = match log {
            LogSource::Path(path) => Input::Files(Files::at_path(id, access, path)),
            LogSource::Glob { pattern, excludes } => Input::Files(Files::of_pattern(id, access, pattern, excludes)),
            LogSource::Command(command) => Input::Command(Box::new(CommandLog::new(now, command))),
            LogSource::Journal => Input::Journal(Box::new(JournalLog::new(now))),
        };
        Self { id, input, name: log.field(), next_look: now.mono, is_unread: true, is_folder_watched: false, watched_files: Vec::new() }
    }

    fn set_encoding(&mut self, encoding: Encoding) {
        match &mut self.input {
            Input::Files(files) => files.set_encoding(encoding),
            Input::Command(command) => command.set_encoding(encoding),
            Input::Journal(_) => {}
        }
    }

    fn watch_folder(&self, watches: &mut Watches) -> bool {
        match &self.input {
            Input::Files(files) => watches.watch_folder(self.id, &self.name, files.is_wildcard()),
            Input::Command(_) | Input::Journal(_) => false,
        }
    }

    /// Notices new files and rotations, if a look is due.
    fn look(&mut self, now: Now, agent: &mut Agent, watches: Option<&mut Watches>) {
        let Input::Files(files) = &mut self.input else { return };
        if self.next_look > now.mono {
            if files.is_searching() {
                files.search(now, agent);
            }
            return;
        }
        files.look(now, agent);
        // Before the files are read: the system tells of what is written after that.
        let is_watched = watches.is_some_and(|watches| self.watch_files(watches));
        let interval = if is_watched && agent.has_room() { Self::WATCHED_INTERVAL } else { Self::INTERVAL };
        // All logs at the same times, so that these are few.
        self.next_look = Duration::from_secs((now.mono.as_secs() / interval + 1) * interval);
        self.is_unread = true;
    }

    /// Watches the files that are open now. Returns whether the system tells of every change of this log.
    fn watch_files(&mut self, watches: &mut Watches) -> bool {
        let Input::Files(files) = &self.input else { return false };
        let mut watched = Vec::new();
        let mut all = self.is_folder_watched;
        for follower in files.followers() {
            all &= follower.is_settled();
            let Some(file) = follower.file_id() else { continue };
            if self.watched_files.contains(&file) || watches.watch_file(self.id, follower.path()) {
                watched.push(file);
            } else {
                all = false;
            }
        }
        self.watched_files = watched;
        all
    }

    /// Hands the agent what is new, as far as it has room. Returns how many bytes that were.
    fn read(&mut self, now: Now, agent: &mut Agent, buffer: &mut [u8]) -> usize {
        match &mut self.input {
            Input::Command(command) => {
                let before = command.position();
                self.is_unread = command.handle(now, self.id, agent, buffer);
                usize::try_from(command.position() - before).unwrap_or(usize::MAX)
            }
            Input::Journal(journal) => {
                let before = journal.position();
                self.is_unread = journal.handle(now, self.id, agent, buffer);
                usize::try_from(journal.position().saturating_sub(before)).unwrap_or(usize::MAX)
            }
            Input::Files(files) if self.is_unread => {
                let read = files.read(now, agent, buffer);
                self.is_unread = read.has_more;
                self.next_look = read.waits_until.map_or(self.next_look, |until| until.min(self.next_look));
                read.bytes
            }
            Input::Files(_) => 0,
        }
    }
}
