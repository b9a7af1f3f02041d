//! What the server says about hosts: lines of its log, events of its own, and the conditions that are open.

use super::conditions::{Condition, ConditionChange, Conditions, Followed};
use super::host::HostNotice;
use super::outputs::Outputs;
use super::own_events::{OwnEvent, OwnEvents};
use super::presence::{Place, Turn};
use super::sink::{EventSink, Written};
use crate::directives::{Fault, Silences};
use crate::hash::Fnv1a;
use crate::now::Now;
use crate::text::{sanitize, sanitize_field};
use crate::wire::position::Base36;
use crate::wire::{EventBatch, EventWord, Kind, State, Token};
use std::rc::Rc;
use std::time::Duration;

pub(super) struct Reports {
    events: OwnEvents,
    pub(super) conditions: Conditions,
    heartbeat: Option<Heartbeat>,
    /// The silences of the last look at them, and when that was, in seconds since 1970.
    silences: (Silences, u64),
}

/// When the event that says that the server runs is made.
struct Heartbeat {
    interval: Duration,
    due: Duration,
}

/// Whether an event is for the stream and the status, and for no output: it says that a host is silent, or heard again, whose silence that of
/// another host explains.
pub fn is_held_back(kind: Option<Kind>, tags: &str) -> bool {
    kind == Some(Kind::System) && tags == Reports::TAG_BEHIND
}

impl Reports {
    /// Most faults of one change that are reported one by one.
    const MAX_FAULTS: usize = 20;
    const TAG: &'static str = "SYSTEM";
    /// The tags of what is explained by the silence of another host, and of the sign that the server runs.
    const TAG_BEHIND: &'static str = "SYSTEM,BEHIND";
    const TAG_HEARTBEAT: &'static str = "HEARTBEAT";

    pub(super) fn new(run: Token) -> Self {
        Self { events: OwnEvents::new(run), conditions: Conditions::default(), heartbeat: None, silences: Default::default() }
    }

    /// Where the open condition says that the host is, if its silence is one.
    pub(super) fn silence(&self, host: &str) -> Option<Place> {
        let open = self.conditions.get(host, &Self::key("inactive", host))?;
        Some(if &*open.tags == Self::TAG_BEHIND { Place::Behind } else { Place::Reachable })
    }

    /// The key of a condition of the server's about a host.
    fn key(what: &str, host: &str) -> Box<str> {
        Base36(Fnv1a::EMPTY.with(what.as_bytes()).with(b"\0").with(host.as_bytes()).value()).to_string().into()
    }

    /// Logs a text and makes an event of it.
    pub(super) fn report(&mut self, now: Now, host: &Rc<str>, text: String, outputs: &mut Outputs) {
        outputs.log(&format!("{host}: {text}"));
        self.push(now, host, Self::TAG, None, text);
    }

    pub(super) fn report_faults(&mut self, now: Now, host: &Rc<str>, faults: &[Fault], outputs: &mut Outputs) {
        for fault in faults.iter().take(Self::MAX_FAULTS) {
            self.report(now, host, format!("Configuration error: {fault}"), outputs);
        }
        if faults.len() > Self::MAX_FAULTS {
            self.report(now, host, format!("Configuration error: and {} more", faults.len() - Self::MAX_FAULTS), outputs);
        }
    }

    pub(super) fn report_notice(&mut self, now: Now, host: &Rc<str>, notice: &HostNotice, outputs: &mut Outputs) {
        let state = |turn: Turn| if turn == Turn::First { State::Opened } else { State::Repeated };
        let (tags, condition) = match notice {
            HostNotice::Inactive(turn, place) => (Self::tags(*place), Some((state(*turn), "inactive"))),
            HostNotice::ActiveAgain(place) => (Self::tags(*place), Some((State::Closed, "inactive"))),
            HostNotice::Behind(_) if self.conditions.get(host, &Self::key("behind", host)).is_some() => {
                (Self::TAG, Some((State::Repeated, "behind")))
            }
            HostNotice::Behind(_) => (Self::TAG, Some((State::Opened, "behind"))),
            _ => (Self::TAG, None),
        };
        let text = notice.to_string();
        outputs.log(&format!("{host}: {text}"));
        self.push(now, host, tags, condition, text);
        if matches!(notice, HostNotice::ActiveAgain(_)) {
            self.close(now, host, "behind", "The hosts behind it count by themselves again");
        }
    }

    fn tags(place: Place) -> &'static str {
        match place {
            Place::Reachable => Self::TAG,
            Place::Behind => Self::TAG_BEHIND,
        }
    }

    /// Ends a condition of the server's about a host, if it is open.
    fn close(&mut self, now: Now, host: &Rc<str>, what: &'static str, text: &str) {
        if self.conditions.get(host, &Self::key(what, host)).is_some() {
            self.push(now, host, Self::TAG, Some((State::Closed, what)), text.into());
        }
    }

    /// Makes an event that says that the server runs, that often. `None` for never.
    pub(super) fn set_heartbeat(&mut self, now: Now, interval: Option<Duration>) {
        self.heartbeat = interval.map(|interval| Heartbeat { interval, due: now.mono });
    }

    /// Makes the event that says that the server `name` runs, and ends the conditions of hosts without a file.
    pub(super) fn handle_tick(&mut self, now: Now, name: &str, has_file: impl Fn(&str) -> bool) {
        if let Some(heartbeat) = self.heartbeat.as_mut().filter(|heartbeat| heartbeat.due <= now.mono) {
            heartbeat.due = now.mono + heartbeat.interval;
            self.push(now, &name.into(), Self::TAG_HEARTBEAT, None, "Heartbeat".into());
        }
        for host in self.conditions.hosts_without(|host| has_file(host) || host == name) {
            for (key, Condition { kind, tags, text, .. }) in self.conditions.remove(&host) {
                let text = format!("The host file is gone, and with it: {text}");
                let condition = Some((State::Closed, key));
                self.events.push(OwnEvent { host: host.clone(), unix: now.unix, kind, tags: (&*tags).into(), condition, text });
            }
        }
    }

    /// Makes an event of each condition that a silence has kept from the outputs, once no silence covers it: it is open all the same.
    pub(super) fn handle_silences(&mut self, now: Now, silences: &Silences) {
        let (before, looked) = &self.silences;
        let covered = |host: &str, tags: &str| before.covers(host, tags, *looked);
        let ended = self.conditions.update_silenced(covered, |host, tags| silences.covers(host, tags, now.unix));
        for (host, key, Condition { kind, tags, text, .. }) in ended {
            let condition = Some((State::Opened, key));
            self.events.push(OwnEvent { host, unix: now.unix, kind, tags: (&*tags).into(), condition, text: text.into() });
        }
        if self.silences.0 != *silences {
            self.silences.0 = silences.clone();
        }
        self.silences.1 = now.unix;
    }

    /// Follows what the events of a batch say of conditions. Returns whether they say anything.
    pub(super) fn follow_batch(&mut self, now: Now, host: &Rc<str>, batch: &EventBatch<'_>, outputs: &mut Outputs) -> bool {
        let mut said = false;
        // Most events are of lines. A class of one word belongs to no condition.
        for event in batch.events.iter().filter(|event| event.class != Kind::Line.as_str() && event.class.contains(';')) {
            let Some(word) = EventWord::of_class(event.class) else { continue };
            let (tags, text) = (sanitize_field(event.tags), sanitize(event.text));
            if let Some(change) = ConditionChange::of(&word, &tags, &text, event.unix) {
                self.follow(now, host, change, outputs);
                said = true;
            }
        }
        said
    }

    /// Follows an event of a condition, and reports if there are too many.
    pub(super) fn follow(&mut self, now: Now, host: &Rc<str>, change: ConditionChange<'_>, outputs: &mut Outputs) {
        if self.conditions.handle(host, change) == Followed::Overfull {
            let text = format!("More than {} conditions are open: further ones are not remembered", Conditions::MAX_OPEN);
            self.report(now, host, text, outputs);
        }
    }

    fn push(&mut self, now: Now, host: &Rc<str>, tags: &str, condition: Option<(State, &str)>, text: String) {
        let condition = condition.map(|(state, what)| (state, Self::key(what, host)));
        if let Some((state, key)) = &condition {
            let change = ConditionChange { key, kind: Kind::System, state: *state, tags, text: &text, unix: now.unix };
            // A bound of conditions that is passed leaves the event.
            let _ = self.conditions.handle(host, change);
        }
        self.events.push(OwnEvent { host: host.clone(), unix: now.unix, kind: Kind::System, tags: tags.into(), condition, text });
    }

    /// Gives the sink the events that it does not have yet.
    pub(super) fn offer(&mut self, sink: &mut impl EventSink) {
        self.events.offer(sink);
    }

    /// Drops the events that were written. The others are offered again.
    pub(super) fn handle_committed(&mut self, written: Written) {
        self.events.handle_committed(written);
    }
}
