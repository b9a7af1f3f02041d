//! Which events an output gets.

use crate::directives::output::{Output, Selection};
use crate::wildcard;
use crate::wire::StreamEvent;

/// Whether a selection of the output chooses the event, or there is none.
pub(super) fn chooses(output: &Output, event: &StreamEvent) -> bool {
    output.selections.is_empty() || output.selections.iter().any(|selection| matches(selection, event))
}

fn matches(selection: &Selection, event: &StreamEvent) -> bool {
    let Selection { hosts, tags, kinds, states } = selection;
    (hosts.is_empty() || hosts.iter().any(|pattern| wildcard::matches(pattern, &event.host)))
        && (tags.is_empty() || tags.iter().any(|pattern| wildcard::matches_tags(pattern, &event.tags)))
        && (kinds.is_empty() || event.kind.is_some_and(|kind| kinds.contains(&kind)))
        && (states.is_empty() || event.state.is_some_and(|state| states.contains(&state)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Kind, State};

    fn event(host: &str, tags: &str, kind: Option<Kind>, state: Option<State>) -> StreamEvent {
        StreamEvent { host: host.into(), tags: tags.into(), kind, state, ..StreamEvent::default() }
    }

    #[test]
    fn all_lists_of_one_selection_must_match_and_one_of_several_selections() {
        let words = |text: &str| text.split(' ').map(str::to_string).collect::<Vec<_>>();
        let first = Selection { hosts: words("nas* web"), tags: words("DISK LOG*"), states: vec![State::Opened], ..Selection::default() };
        let second = Selection { kinds: vec![Kind::System], ..Selection::default() };
        let opened = Some(State::Opened);
        for (event, by_first, by_second) in [
            (event("nas1", "DISK", Some(Kind::Limit), opened), true, false),
            (event("nas1", "A,DISK", Some(Kind::Limit), opened), true, false),
            (event("web", "A, LOGIN", None, opened), true, false),
            (event("web1", "DISK", None, opened), false, false),
            (event("nas1", "DISKS", None, opened), false, false),
            (event("nas1", "DISK", None, Some(State::Closed)), false, false),
            (event("nas1", "DISK", None, None), false, false),
            (event("x", "SYSTEM", Some(Kind::System), None), false, true),
        ] {
            assert_eq!((matches(&first, &event), matches(&second, &event)), (by_first, by_second), "{event:?}");
        }
        let whole = Selection { tags: words("A,B"), ..Selection::default() };
        assert!(matches(&whole, &event("h", "A,B", None, None)));
    }
}
