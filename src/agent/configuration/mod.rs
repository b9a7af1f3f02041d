//! Which configuration is in force, and how the next one is fetched. Sends nothing itself and does not know what a configuration says.

mod fetch;

use super::session::Phase;
use crate::directives::SourceLine;
use crate::now::Now;
use crate::wire::{split_field, Message, Revision};
use fetch::Fetch;
pub(super) use fetch::FetchProgress;
use std::net::SocketAddrV4;
use std::time::Duration;

#[derive(Default)]
pub(super) struct Configuration {
    /// The revision in force, and the address of the server that it came from.
    in_force: Option<(Revision, SocketAddrV4)>,
    fetch: Option<Fetch>,
    /// When a version 1 server is asked for the configuration; `None` if it is not to be asked.
    next_classic_request: Option<Duration>,
    /// Whether the server of the session has a file of this host.
    has_file: bool,
}

/// What the server's revision means for this agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing changes, or a fetch is under way.
    Keep,
    /// The server has no file for this host: the configuration that it gave ends.
    End,
}

impl Configuration {
    const CLASSIC_REQUEST_INTERVAL: Duration = Duration::from_secs(10);
    /// The file name in errors of a version 1 configuration, which does not name the files that its lines come from.
    pub(super) const CLASSIC_PATH: &'static str = "CONFIG";

    /// The revision in force, [`Revision::NONE`] without one.
    pub(super) fn revision(&self) -> Revision {
        self.in_force.map_or(Revision::NONE, |(revision, _)| revision)
    }

    /// Whether the server of the session has a file of this host.
    pub(super) fn has_file(&self) -> bool {
        self.has_file
    }

    /// Another server is selected.
    pub(super) fn handle_selected(&mut self) {
        self.fetch = None;
        self.next_classic_request = None;
    }

    /// A session begins.
    pub(super) fn handle_joined(&mut self) {
        self.next_classic_request = None;
    }

    /// A version 1 server says that the configuration has changed.
    pub(super) fn handle_reset(&mut self, now: Now) {
        self.next_classic_request = Some(now.mono);
    }

    /// Takes the lines of a version 1 configuration. `None` if it was not asked for, or is a repeat.
    pub(super) fn handle_classic<'a>(&mut self, lines: &'a str) -> Option<(Revision, Vec<SourceLine<'a>>)> {
        self.next_classic_request.take()?;
        let (mut whole, mut parsed) = (String::new(), Vec::new());
        let (mut rest, mut number) = (Some(lines), 0);
        while let Some(lines) = rest {
            let (line, more) = split_field(lines).map_or((lines, None), |(line, more)| (line, Some(more)));
            (rest, number) = (more, number + 1);
            let text = line.trim();
            whole.push_str(text);
            whole.push('\n');
            if !text.is_empty() && !text.starts_with('#') {
                parsed.push(SourceLine { path: Self::CLASSIC_PATH, number, text });
            }
        }
        Some((Revision::of(&whole), parsed))
    }

    /// Takes part `index` of `count` of that revision. A part that was not requested is ignored: it must not bring an old configuration
    /// back.
    pub(super) fn handle_part(&mut self, now: Now, revision: Revision, index: u32, count: u32, text: &str) -> FetchProgress {
        let Some(fetch) = self.fetch.as_mut().filter(|fetch| fetch.revision() == revision) else { return FetchProgress::Incomplete };
        let progress = fetch.take(now.mono, index, count, text);
        if matches!(progress, FetchProgress::Complete(_)) {
            self.fetch = None;
        }
        progress
    }

    /// The server `from` says within a session which revision it has for this host.
    pub(super) fn handle_stale(&mut self, now: Now, from: SocketAddrV4, revision: Revision) -> Verdict {
        if revision == Revision::NONE {
            self.fetch = None;
            return match self.in_force {
                Some((Revision::NONE, _)) => Verdict::Keep,
                // Rules of another server continue.
                Some((_, server)) if server.ip() != from.ip() => Verdict::Keep,
                _ => Verdict::End,
            };
        }
        if self.in_force.is_some_and(|(in_force, _)| in_force == revision) {
            self.fetch = None;
            // From now on it is this server's, which may end it.
            self.in_force = Some((revision, from));
        } else if self.fetch.as_ref().is_none_or(|fetch| fetch.revision() != revision) {
            self.fetch = Some(Fetch::new(revision, now.mono));
        }
        Verdict::Keep
    }

    /// Notes whether the server of the session has a file of this host.
    pub(super) fn set_has_file(&mut self, has_file: bool) {
        self.has_file = has_file;
    }

    /// A configuration of the server `from` takes effect. Returns whether another one was in force.
    pub(super) fn replace(&mut self, revision: Revision, from: SocketAddrV4) -> bool {
        let before = self.in_force.replace((revision, from));
        before.is_none_or(|(before, _)| before != revision)
    }

    /// The request that is due, if any. It counts as sent.
    pub(super) fn request(&mut self, now: Now, phase: Phase, host: &str) -> Option<Vec<u8>> {
        let request = match (phase, &mut self.fetch) {
            (Phase::Classic, _) => {
                if self.in_force.is_none() {
                    self.next_classic_request.get_or_insert(now.mono);
                }
                self.next_classic_request.filter(|at| *at <= now.mono)?;
                self.next_classic_request = Some(now.mono + Self::CLASSIC_REQUEST_INTERVAL);
                Message::ConfigRequest { host }
            }
            (Phase::Session, Some(fetch)) => {
                let parts = fetch.request(now.mono)?;
                Message::Need { host, revision: fetch.revision(), parts }
            }
            _ => return None,
        };
        Some(request.emit())
    }

    /// When [`Self::request`] has something to send.
    pub(super) fn next_deadline(&self, phase: Phase) -> Option<Duration> {
        match (phase, &self.fetch) {
            (Phase::Classic, _) => self.next_classic_request,
            (Phase::Session, Some(fetch)) => Some(fetch.next_deadline()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::WeekMinute;

    fn at(seconds: u64) -> Now {
        Now { mono: Duration::from_secs(seconds), unix: seconds, local: WeekMinute::new(0, 0, 0), second: 0 }
    }

    fn server(last: u8) -> SocketAddrV4 {
        SocketAddrV4::new([10, 0, 0, last].into(), 4361)
    }

    fn request(configuration: &mut Configuration, seconds: u64, phase: Phase) -> String {
        String::from_utf8(configuration.request(at(seconds), phase, "h").unwrap_or_default()).unwrap()
    }

    #[test]
    fn a_version_1_server_is_asked_every_ten_seconds_until_it_answers_and_again_after_a_reset() {
        let mut configuration = Configuration::default();
        assert!(configuration.handle_classic("file: /a").is_none(), "nobody asked");
        let asked: Vec<u64> = (0..25).filter(|seconds| request(&mut configuration, *seconds, Phase::Classic) == "CONFREQ%%h").collect();
        assert_eq!(asked, [0, 10, 20]);
        let (revision, lines) = configuration.handle_classic(" file: /a %%# comment%%%%match: x").unwrap();
        assert_eq!(lines.iter().map(|line| (line.number, line.text)).collect::<Vec<_>>(), [(1, "file: /a"), (4, "match: x")]);
        assert!(configuration.replace(revision, server(1)));
        assert!(configuration.handle_classic("file: /b").is_none(), "a repeat");
        assert_eq!((request(&mut configuration, 99, Phase::Classic), configuration.next_deadline(Phase::Classic)), (String::new(), None));
        configuration.handle_reset(at(99));
        assert_eq!(request(&mut configuration, 99, Phase::Classic), "CONFREQ%%h");
        let again = configuration.handle_classic(" file: /a %%# comment%%%%match: x").unwrap();
        assert!(!configuration.replace(again.0, server(1)), "the same text is the same revision");
    }

    #[test]
    fn a_session_fetches_the_revision_that_the_server_has() {
        let mut configuration = Configuration::default();
        let revision = Revision::of("text");
        assert_eq!(configuration.handle_part(at(0), revision, 1, 1, "text"), FetchProgress::Incomplete, "nobody asked");
        assert_eq!(configuration.handle_stale(at(0), server(1), revision), Verdict::Keep);
        assert_eq!(request(&mut configuration, 0, Phase::Session), format!("NEED%%h%%{revision}%%1"));
        assert_eq!(configuration.handle_part(at(0), Revision::of("old"), 1, 1, "old"), FetchProgress::Incomplete);
        assert_eq!(configuration.handle_part(at(0), revision, 1, 1, "text"), FetchProgress::Complete("text".into()));
        assert!(configuration.replace(revision, server(1)));
        assert_eq!(configuration.handle_stale(at(1), server(1), revision), Verdict::Keep);
        assert_eq!((request(&mut configuration, 9, Phase::Session), configuration.revision()), (String::new(), revision));
    }

    #[test]
    fn only_the_server_that_gave_a_configuration_ends_it() {
        let mut configuration = Configuration::default();
        let revision = Revision::of("text");
        configuration.replace(revision, server(1));
        assert_eq!(configuration.handle_stale(at(0), server(2), Revision::NONE), Verdict::Keep);
        assert_eq!(configuration.handle_stale(at(0), server(1), Revision::NONE), Verdict::End);
        // Server 2 turns out to have the same one.
        configuration.handle_stale(at(1), server(2), revision);
        assert_eq!(configuration.handle_stale(at(2), server(1), Revision::NONE), Verdict::Keep);
        assert_eq!(configuration.handle_stale(at(2), server(2), Revision::NONE), Verdict::End);
        configuration.replace(Revision::NONE, server(2));
        assert_eq!(configuration.handle_stale(at(3), server(2), Revision::NONE), Verdict::Keep);
    }
}
