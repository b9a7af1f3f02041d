//! Events that the server itself makes. They wait here until they are written.

use super::sink::{EventSink, Written};
use crate::text::{sanitize, sanitize_field};
use crate::wire::Alert;
use std::collections::VecDeque;
use std::rc::Rc;

#[derive(Default)]
pub(super) struct OwnEvents {
    waiting: VecDeque<OwnEvent>,
    /// How many of the waiting events, the oldest first, the sink has taken since the last commit.
    offered: usize,
}

struct OwnEvent {
    host: Rc<str>,
    unix: u64,
    text: String,
}

impl OwnEvents {
    /// Most events that wait while the stream cannot be written. Further ones are dropped.
    const MAX_WAITING: usize = 10_000;
    /// The uid of all these events.
    const UID: &str = "000000";
    const TAG: &str = "SYSTEM";

    /// Adds an event; `unix` is the time in seconds since 1970.
    pub(super) fn push(&mut self, unix: u64, host: Rc<str>, text: String) {
        if self.waiting.len() < Self::MAX_WAITING {
            self.waiting.push_back(OwnEvent { host, unix, text });
        }
    }

    /// Gives the sink the events that it does not have yet.
    pub(super) fn offer(&mut self, sink: &mut impl EventSink) {
        for OwnEvent { host, unix, text } in self.waiting.iter().skip(self.offered) {
            let (host, text) = (sanitize_field(host), sanitize(text));
            sink.accept(&Alert { host: &host, uid: Self::UID, unix: *unix, tags: Self::TAG, file: None, text: &text });
        }
        self.offered = self.waiting.len();
    }

    /// Drops the offered events if they were written. If not, they are offered again.
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

    #[test]
    fn an_event_is_offered_once_for_each_commit_until_it_is_written() {
        let (mut events, mut texts) = (OwnEvents::default(), Texts::default());
        events.push(17, "h".into(), "a\n".into());
        events.offer(&mut texts);
        events.offer(&mut texts);
        assert_eq!(texts.0.len(), 1);
        events.handle_committed(Written::Nothing);
        events.push(18, "h".into(), "b".into());
        events.offer(&mut texts);
        assert_eq!(texts.0.len(), 3);
        assert!(texts.0[1].starts_with("h%%000000%%17%%SYSTEM%%NULL%%a") && !texts.0[1].contains('\n'), "{texts:?}", texts = texts.0);
        events.handle_committed(Written::All);
        events.offer(&mut texts);
        assert_eq!(texts.0.len(), 3);
    }

    #[test]
    fn the_number_of_waiting_events_is_bounded() {
        let mut events = OwnEvents::default();
        (0..20_000).for_each(|_| events.push(0, "h".into(), String::new()));
        assert_eq!(events.waiting.len(), OwnEvents::MAX_WAITING);
    }
}
