//! The conditions that are open as far as an output knows: a receiver such as Alertmanager takes for closed what it does not hear of.

use crate::wire::{State, StreamEvent};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct OpenConditions {
    /// By host and key.
    events: BTreeMap<(String, String), StreamEvent>,
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
            // The time at which it opened stays.
            State::Opened | State::Repeated if self.events.contains_key(&name) || self.events.len() >= Self::MOST => {}
            State::Opened | State::Repeated => drop(self.events.insert(name, event.clone())),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &StreamEvent> {
        self.events.values()
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
}
