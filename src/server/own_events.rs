//! Events that the server itself makes. They wait here until they are written.

use super::sink::{EventSink, Written};
use crate::text::{sanitize, sanitize_field};
use crate::wire::position::Base36;
use crate::wire::{Alert, EventWord, Kind, State, Token};
use std::collections::VecDeque;
use std::rc::Rc;

pub(super) struct OwnEvents {
    /// The random part of their uids, new in each run of the server.
    run: u64,
    /// How many there were.
    count: u64,
    waiting: VecDeque<(u64, OwnEvent)>,
    /// How many of the waiting events, the oldest first, the sink has taken since the last commit.
    offered: usize,
}

/// An event of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnEvent {
    pub(super) host: Rc<str>,
    /// When it happened, in seconds since 1970.
    pub(super) unix: u64,
    pub(super) kind: Kind,
    pub(super) tags: Rc<str>,
    /// Of a condition: what became of it, and its key.
    pub(super) condition: Option<(State, Box<str>)>,
    pub(super) text: String,
}

impl OwnEvents {
    /// Most events that wait while the stream cannot be written. Further ones are dropped.
    const MAX_WAITING: usize = 10_000;

    /// No events yet, in that run of the server.
    pub(super) fn new(run: Token) -> Self {
        let run = u64::try_from(run.0 & u128::from(u64::MAX)).unwrap_or_default();
        Self { run, count: 0, waiting: VecDeque::new(), offered: 0 }
    }

    /// Adds an event.
    pub(super) fn push(&mut self, event: OwnEvent) {
        if self.waiting.len() < Self::MAX_WAITING {
            self.count += 1;
            self.waiting.push_back((self.count, event));
        }
    }

    /// Gives the sink the events that it does not have yet.
    pub(super) fn offer(&mut self, sink: &mut impl EventSink) {
        for (number, OwnEvent { host, unix, kind, tags, condition, text }) in self.waiting.iter().skip(self.offered) {
            let uid = format!("{}.{}", Base36(self.run), Base36(*number));
            let (state, key) = condition.as_ref().map(|(state, key)| (*state, &**key)).unzip();
            let word = EventWord { kind: Some(*kind), state, key, ..EventWord::of_uid(&uid) };
            let (host, tags, text) = (sanitize_field(host), sanitize_field(tags), sanitize(text));
            sink.accept(&Alert { host: &host, uid: &word.to_string(), unix: *unix, tags: &tags, file: None, text: &text });
        }
        self.offered = self.waiting.len();
    }

    /// Drops the offered events if they were written. If not, they are offered again, with the same uids.
    pub(super) fn handle_committed(&mut self, written: Written) {
        let offered = std::mem::take(&mut self.offered);
        if written == Written::All {
            self.waiting.drain(..offered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Texts(Vec<String>);

    impl EventSink for Texts {
        fn accept(&mut self, alert: &Alert<'_>) {
            self.0.push(alert.to_string());
        }
    }

    fn event(text: &str) -> OwnEvent {
        OwnEvent { host: "h".into(), unix: 17, kind: Kind::System, tags: "SYSTEM".into(), condition: None, text: text.into() }
    }

    #[test]
    fn an_event_is_offered_once_for_each_commit_until_it_is_written() {
        let (mut events, mut texts) = (OwnEvents::new(Token(u128::MAX)), Texts::default());
        events.push(event("a\n"));
        events.offer(&mut texts);
        events.offer(&mut texts);
        assert_eq!(texts.0.len(), 1);
        events.handle_committed(Written::Nothing);
        events.push(OwnEvent { condition: Some((State::Opened, "k1".into())), ..event("b") });
        events.offer(&mut texts);
        assert_eq!(texts.0.len(), 3);
        let first = "h%%3w5e11264sgsf.1;system%%17%%SYSTEM%%NULL%%a\u{fffd}";
        assert_eq!(texts.0, [first, first, "h%%3w5e11264sgsf.2;system;opened;k1%%17%%SYSTEM%%NULL%%b"]);
        events.handle_committed(Written::All);
        events.offer(&mut texts);
        assert_eq!(texts.0.len(), 3);
    }

    #[test]
    fn the_number_of_waiting_events_is_bounded() {
        let mut events = OwnEvents::new(Token(1));
        (0..20_000).for_each(|_| events.push(event("")));
        assert_eq!(events.waiting.len(), OwnEvents::MAX_WAITING);
    }
}
