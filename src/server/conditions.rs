//! Which conditions are open, as the events of the stream say. The same function follows new events and, at the start, those that earlier
//! runs have written.

use crate::text::{number, truncate};
use crate::wire::{EventWord, Kind, State, StreamEvent};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// The open conditions of all hosts.
#[derive(Default)]
pub struct Conditions {
    hosts: HashMap<Rc<str>, HostConditions>,
    /// Whether anything changed since the last snapshot.
    changed: bool,
}

#[derive(Default)]
struct HostConditions {
    open: BTreeMap<Box<str>, Condition>,
    /// Whether a condition had no room, until one of the others closes.
    is_overfull: bool,
}

/// A condition that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What makes its events.
    pub kind: Kind,
    /// The tags of its last event.
    pub tags: Box<str>,
    /// The text of its last event, or the start of it.
    pub text: Box<str>,
    /// When it opened, in seconds since 1970 by the clock of the host.
    pub since: u64,
    /// When its last event happened.
    pub last: u64,
    /// Whether a silence covers it, as far as that was looked at.
    pub is_silenced: bool,
    /// Whether it opened after that was looked at.
    is_new: bool,
}

/// What an event says of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConditionChange<'a> {
    /// Names the condition among those of its host.
    pub key: &'a str,
    /// What makes its events.
    pub kind: Kind,
    /// What became of it.
    pub state: State,
    /// The tags of the event.
    pub tags: &'a str,
    /// The text of the event.
    pub text: &'a str,
    /// When the event happened, in seconds since 1970.
    pub unix: u64,
}

/// Whether a change could be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// It was.
    Yes,
    /// The host has as many open conditions as are remembered, and this is the first one without room.
    Overfull,
}

impl<'a> ConditionChange<'a> {
    /// What an event with that word, these tags, that text and that time says. `None` if it belongs to no condition.
    pub fn of(word: &EventWord<'a>, tags: &'a str, text: &'a str, unix: u64) -> Option<Self> {
        Some(Self { key: word.key?, kind: word.kind?, state: word.state?, tags, text, unix })
    }
}

impl Condition {
    /// The event that opened it, as far as it is remembered; `None` if a silence has kept it from the outputs.
    pub fn event(&self, host: &str, key: &str) -> Option<StreamEvent> {
        let Self { kind, tags, text, since, is_silenced, .. } = self;
        (!is_silenced).then(|| StreamEvent {
            host: host.into(),
            kind: Some(*kind),
            state: Some(State::Opened),
            key: Some(key.into()),
            received_unix: Some(*since),
            unix: *since,
            tags: tags.to_string(),
            text: text.to_string(),
            ..StreamEvent::default()
        })
    }
}

impl Conditions {
    /// Most open conditions of one host that are remembered.
    pub(super) const MAX_OPEN: usize = 1000;
    /// Bytes of a text, of tags and of a key that are remembered.
    const MAX_TEXT: usize = 512;
    const MAX_KEY: usize = 64;
    /// The first field of a line of the snapshot.
    const OPEN: &'static str = "OPEN";

    /// Follows an event of a condition.
    pub(super) fn handle(&mut self, host: &Rc<str>, change: ConditionChange<'_>) -> Followed {
        let ConditionChange { key, kind, state, tags, text, unix } = change;
        if key.len() > Self::MAX_KEY {
            return Followed::Yes;
        }
        self.changed = true;
        if state == State::Closed {
            self.close(host, key);
            return Followed::Yes;
        }
        let (tags, text) = (truncate(tags, Self::MAX_TEXT).into(), truncate(text, Self::MAX_TEXT).into());
        let of_host = self.hosts.entry(host.clone()).or_default();
        if let Some(open) = of_host.open.get_mut(key) {
            *open = Condition { kind, tags, text, last: unix, ..*open };
        } else if of_host.open.len() < Self::MAX_OPEN {
            let condition = Condition { kind, tags, text, since: unix, last: unix, is_silenced: false, is_new: true };
            of_host.open.insert(key.into(), condition);
        } else if !std::mem::replace(&mut of_host.is_overfull, true) {
            return Followed::Overfull;
        }
        Followed::Yes
    }

    fn close(&mut self, host: &str, key: &str) {
        let Some(of_host) = self.hosts.get_mut(host) else { return };
        if of_host.open.remove(key).is_some() {
            of_host.is_overfull = false;
        }
        if of_host.open.is_empty() {
            self.hosts.remove(host);
        }
    }

    /// The open condition of that key.
    pub(super) fn get(&self, host: &str, key: &str) -> Option<&Condition> {
        self.hosts.get(host)?.open.get(key)
    }

    /// How many conditions of a host are open, as far as they are remembered.
    pub(super) fn count(&self, host: &str) -> usize {
        self.hosts.get(host).map_or(0, |of_host| of_host.open.len())
    }

    /// All open conditions: the host, the key and the condition.
    pub fn iter(&self) -> impl Iterator<Item = (&Rc<str>, &str, &Condition)> {
        self.hosts.iter().flat_map(|(host, of_host)| of_host.open.iter().map(move |(key, condition)| (host, &**key, condition)))
    }

    /// Hosts that have more open conditions than are remembered.
    pub fn overfull(&self) -> impl Iterator<Item = &Rc<str>> {
        self.hosts.iter().filter(|(_, of_host)| of_host.is_overfull).map(|(host, _)| host)
    }

    /// Removes all conditions of a host, and returns them with their keys.
    pub(super) fn remove(&mut self, host: &str) -> impl Iterator<Item = (Box<str>, Condition)> {
        let of_host = self.hosts.remove(host);
        self.changed |= of_host.is_some();
        of_host.unwrap_or_default().open.into_iter()
    }

    /// Closes the conditions of a host that are the agent's and none of these: not every condition ends with an event.
    pub(super) fn retain(&mut self, host: &str, open: &HashSet<&str>) {
        let Some(of_host) = self.hosts.get_mut(host) else { return };
        let before = of_host.open.len();
        of_host.open.retain(|key, condition| condition.kind == Kind::System || open.contains(&**key));
        if of_host.open.len() < before {
            (self.changed, of_host.is_overfull) = (true, false);
        }
        if of_host.open.is_empty() {
            self.hosts.remove(host);
        }
    }

    /// The hosts with open conditions that this does not hold for.
    pub(super) fn hosts_without(&self, is_known: impl Fn(&str) -> bool) -> Vec<Rc<str>> {
        self.hosts.keys().filter(|host| !is_known(host)).cloned().collect()
    }

    /// Notes which conditions silences cover now, and returns those that one has covered and none covers any more: the host, the key and the
    /// condition. `covered` says whether a condition was covered when this was called last.
    pub(super) fn update_silenced(
        &mut self,
        covered: impl Fn(&str, &str) -> bool,
        covers: impl Fn(&str, &str) -> bool,
    ) -> Vec<(Rc<str>, Box<str>, Condition)> {
        let mut ended = Vec::new();
        for (host, of_host) in &mut self.hosts {
            for (key, condition) in &mut of_host.open {
                let is_new = std::mem::take(&mut condition.is_new);
                let was_silenced = condition.is_silenced || is_new && covered(host, &condition.tags);
                condition.is_silenced = covers(host, &condition.tags);
                self.changed |= was_silenced != condition.is_silenced;
                if was_silenced && !condition.is_silenced {
                    ended.push((host.clone(), key.clone(), condition.clone()));
                }
            }
        }
        ended
    }

    /// Whether anything changed since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Appends a line for each open condition, from which [`Self::restore`] reads it again.
    pub(super) fn emit_into(&self, text: &mut String) {
        for (host, key, condition) in self.iter() {
            let Condition { kind, tags, text: last_text, since, last, is_silenced, .. } = condition;
            let (open, kind, silenced) = (Self::OPEN, kind.as_str(), u8::from(*is_silenced));
            text.push_str(&format!("{open}%%{host}%%{key}%%{kind}%%{silenced}%%{since}%%{last}%%{tags}%%{last_text}\n"));
        }
    }

    /// Adds the conditions of a snapshot. Ignores lines of another form.
    pub(super) fn restore(&mut self, snapshot: &str) {
        for line in snapshot.lines().filter_map(|line| line.strip_prefix(Self::OPEN)?.strip_prefix("%%")) {
            self.restore_line(line);
        }
    }

    fn restore_line(&mut self, line: &str) -> Option<()> {
        let mut fields = line.splitn(8, "%%");
        let (host, key, kind) = (fields.next()?, fields.next()?, Kind::parse(fields.next()?)?);
        let is_silenced = fields.next()? == "1";
        let (since, last) = (number(fields.next()?, 10)?, number(fields.next()?, 10)?);
        let (tags, text) = (fields.next()?.into(), fields.next()?.into());
        let condition = Condition { kind, tags, text, since, last, is_silenced, is_new: false };
        let known = self.hosts.get_key_value(host).map_or_else(|| host.into(), |(host, _)| host.clone());
        self.hosts.entry(known).or_default().open.insert(key.into(), condition);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, state: State, unix: u64) -> ConditionChange<'_> {
        ConditionChange { key, kind: Kind::Limit, state, tags: "DISK", text: "90 % of / %% full", unix }
    }

    fn open(conditions: &Conditions) -> Vec<(String, u64, u64)> {
        let mut open: Vec<_> = conditions.iter().map(|(host, key, open)| (format!("{host}/{key}"), open.since, open.last)).collect();
        open.sort();
        open
    }

    #[test]
    fn a_condition_is_open_from_its_first_event_to_its_last() {
        let (mut conditions, host) = (Conditions::default(), "h".into());
        for (state, unix) in [(State::Closed, 1), (State::Opened, 2), (State::Repeated, 5), (State::Opened, 9)] {
            conditions.handle(&host, change("k", state, unix));
        }
        assert_eq!((open(&conditions), conditions.count("h")), (vec![("h/k".into(), 2, 9)], 1));
        conditions.handle(&host, change("k", State::Closed, 10));
        assert!(open(&conditions).is_empty() && conditions.hosts.is_empty());
        conditions.handle(&host, change("k", State::Repeated, 11));
        assert_eq!(conditions.get("h", "k").unwrap().since, 11, "its first event was never seen");
    }

    #[test]
    fn the_open_conditions_of_a_host_are_bounded_and_the_bound_is_reported_once() {
        let (mut conditions, host) = (Conditions::default(), "h".into());
        let opened = |conditions: &mut Conditions, key: usize| conditions.handle(&host, change(&key.to_string(), State::Opened, 1));
        let first = (0..Conditions::MAX_OPEN).all(|key| opened(&mut conditions, key) == Followed::Yes);
        assert!(first && opened(&mut conditions, 5000) == Followed::Overfull && opened(&mut conditions, 5001) == Followed::Yes);
        assert_eq!((conditions.count("h"), conditions.overfull().count()), (Conditions::MAX_OPEN, 1));
        conditions.handle(&"h".into(), change("7", State::Closed, 2));
        assert_eq!((conditions.overfull().count(), opened(&mut conditions, 5000)), (0, Followed::Yes));
        assert_eq!(opened(&mut conditions, 5001), Followed::Overfull);
    }

    #[test]
    fn long_texts_are_cut_and_long_keys_ignored() {
        let (mut conditions, text) = (Conditions::default(), "ü".repeat(1000));
        conditions.handle(&"h".into(), ConditionChange { text: &text, ..change("k", State::Opened, 1) });
        conditions.handle(&"h".into(), change(&"k".repeat(65), State::Opened, 1));
        assert_eq!((conditions.count("h"), conditions.get("h", "k").unwrap().text.len()), (1, 512));
    }

    #[test]
    fn emit_and_restore_are_inverses() {
        let mut conditions = Conditions::default();
        for (host, key) in [("a", "1"), ("a", "2"), ("b", "1")] {
            conditions.handle(&host.into(), change(key, State::Opened, 7));
        }
        assert!(conditions.take_changed() && !conditions.take_changed());
        let mut text = "AT%%a%%10%%none\n".to_string();
        conditions.emit_into(&mut text);
        let mut restored = Conditions::default();
        restored.restore(&format!("{text}OPEN%%a\nOPEN%%a%%3%%what%%0%%1%%2%%T%%x\nOPEN%%a%%3%%line%%0%%x%%2%%T%%x\n"));
        assert_eq!(open(&restored), open(&conditions));
        let whole = |conditions: &Conditions| Condition { is_new: false, ..conditions.get("a", "2").unwrap().clone() };
        assert_eq!(whole(&restored), whole(&conditions));
        assert_eq!(restored.remove("a").count(), 2);
        assert_eq!(restored.hosts_without(|host| host == "a"), ["b".into()]);
    }

    #[test]
    fn a_condition_is_told_when_the_silence_that_covered_it_is_over() {
        let (mut conditions, host) = (Conditions::default(), "h".into());
        let (yes, no) = (|_: &str, _: &str| true, |_: &str, _: &str| false);
        conditions.handle(&host, change("before", State::Opened, 1));
        assert!(conditions.update_silenced(no, yes).is_empty());
        conditions.handle(&host, change("during", State::Opened, 2));
        conditions.handle(&host, change("over", State::Opened, 2));
        conditions.handle(&host, change("over", State::Closed, 3));
        let ended = conditions.update_silenced(yes, no);
        assert_eq!(ended.iter().map(|(_, key, _)| &**key).collect::<Vec<_>>(), ["before", "during"]);
        conditions.handle(&host, change("after", State::Opened, 4));
        assert!(conditions.update_silenced(no, no).is_empty() && conditions.update_silenced(no, no).is_empty());
    }
}
