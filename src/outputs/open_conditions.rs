//! The conditions that are open as far as an output knows: it gets their end also during a silence, and a receiver such as Alertmanager takes
//! for closed what it does not hear of.

use crate::wire::{State, StreamEvent};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct OpenConditions {
    /// By host and key.
    events: BTreeMap<(String, String), Open>,
}

#[derive(Debug)]
struct Open {
    event: StreamEvent,
    /// Whether its last event was kept from the output.
    is_withheld: bool,
}

impl OpenConditions {
    /// Most conditions that are known. Further ones are delivered once, and not again.
    const MOST: usize = 10_000;

    /// Takes note of a delivered event.
    pub(super) fn update(&mut self, event: &StreamEvent) {
        let (Some(state), Some(key)) = (event.state, &event.key) else { return };
        let name = (event.host.clone(), key.clone());
        match state {
            State::Closed => drop(self.events.remove(&name)),
            State::Opened | State::Repeated => {
                if let Some(open) = self.events.get_mut(&name) {
                    // The time at which it opened stays.
                    open.is_withheld = false;
                } else if self.events.len() < Self::MOST {
                    self.events.insert(name, Open { event: event.clone(), is_withheld: false });
                }
            }
        }
    }

    /// Takes note of an event that was kept from the output.
    pub(super) fn handle_withheld(&mut self, event: &StreamEvent) {
        let Some(key) = &event.key else { return };
        if let Some(open) = self.events.get_mut(&(event.host.clone(), key.clone())) {
            open.is_withheld = true;
        }
    }

    /// Adds a condition that was open before, unless it is known.
    pub(super) fn add(&mut self, event: &StreamEvent) {
        if !self.has(event) {
            self.update(event);
        }
    }

    /// Whether the condition of an event is open.
    pub(super) fn has(&self, event: &StreamEvent) -> bool {
        event.key.as_ref().is_some_and(|key| self.events.contains_key(&(event.host.clone(), key.clone())))
    }

    /// Forgets those that are not open any more: not every condition ends with an event.
    pub(super) fn retain(&mut self, is_open: &dyn Fn(&StreamEvent) -> bool) {
        self.events.retain(|_, open| is_open(&open.event));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Those whose last event reached the output.
    pub(super) fn events(&self) -> impl Iterator<Item = &StreamEvent> {
        self.events.values().filter(|open| !open.is_withheld).map(|open| &open.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(key: &str, state: State, unix: u64) -> StreamEvent {
        StreamEvent { host: "h".into(), key: Some(key.into()), state: Some(state), unix, ..StreamEvent::default() }
    }

    #[test]
    fn a_condition_is_open_from_its_first_event_until_it_closes() {
        let mut open = OpenConditions::default();
        for event in [event("a", State::Opened, 1), event("b", State::Repeated, 2), event("a", State::Repeated, 3), StreamEvent::default()]
        {
            open.update(&event);
        }
        assert_eq!(open.events().map(|event| event.unix).collect::<Vec<_>>(), [1, 2]);
        open.update(&event("a", State::Closed, 4));
        open.update(&event("b", State::Closed, 4));
        assert!(open.is_empty());
    }

    #[test]
    fn the_number_of_conditions_is_bounded() {
        let mut open = OpenConditions::default();
        (0..20_000).for_each(|number| open.update(&event(&number.to_string(), State::Opened, 1)));
        assert_eq!(open.events().count(), OpenConditions::MOST);
    }

    #[test]
    fn a_condition_whose_last_event_was_withheld_is_known_and_not_shown() {
        let mut open = OpenConditions::default();
        open.update(&event("a", State::Opened, 1));
        open.handle_withheld(&event("a", State::Repeated, 2));
        open.handle_withheld(&event("b", State::Opened, 2));
        assert_eq!(
            (open.events().count(), open.has(&event("a", State::Closed, 3)), open.has(&event("b", State::Closed, 3))),
            (0, true, false)
        );
        open.retain(&|event| event.key.as_deref() == Some("a"));
        open.add(&event("a", State::Opened, 9));
        open.add(&event("c", State::Opened, 9));
        open.update(&event("a", State::Repeated, 4));
        assert_eq!(open.events().map(|event| event.unix).collect::<Vec<_>>(), [1, 9]);
    }
}
