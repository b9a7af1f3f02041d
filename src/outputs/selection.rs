//! Which events an output gets.

use crate::directives::output::{Output, Selection};
use crate::wire::StreamEvent;

/// Whether a selection of the output chooses the event, or there is none.
pub(super) fn chooses(output: &Output, event: &StreamEvent) -> bool {
    output.selections.is_empty() || output.selections.iter().any(|selection| matches(selection, event))
}

fn matches(selection: &Selection, event: &StreamEvent) -> bool {
    let Selection { hosts, tags, kinds, states } = selection;
    let is_one = |pattern: &String| has_form(&event.tags, pattern) || event.tags.split(',').any(|tag| has_form(tag.trim(), pattern));
    (hosts.is_empty() || hosts.iter().any(|pattern| has_form(&event.host, pattern)))
        && (tags.is_empty() || tags.iter().any(is_one))
        && (kinds.is_empty() || event.kind.is_some_and(|kind| kinds.contains(&kind)))
        && (states.is_empty() || event.state.is_some_and(|state| states.contains(&state)))
}

/// Whether a text has the form of a pattern, in which `*` stands for any characters and `?` for one.
fn has_form(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut next) = (0, 0);
    // Where the last `*` stands, and up to where it takes the text. Only that one ever has to take more.
    let mut star = None;
    while at < text.len() {
        match pattern.get(next) {
            Some('*') => {
                star = Some((next, at));
                next += 1;
            }
            Some(c) if *c == '?' || *c == text[at] => (at, next) = (at + 1, next + 1),
            _ => match star {
                Some((position, taken)) => {
                    star = Some((position, taken + 1));
                    (at, next) = (taken + 1, position + 1);
                }
                None => return false,
            },
        }
    }
    pattern[next..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Kind, State};

    fn event(host: &str, tags: &str, kind: Option<Kind>, state: Option<State>) -> StreamEvent {
        StreamEvent { host: host.into(), tags: tags.into(), kind, state, ..StreamEvent::default() }
    }

    #[test]
    fn wildcards_stand_for_any_characters() {
        for (text, pattern, is_match) in [
            ("nas1", "nas*", true),
            ("nas1", "*1", true),
            ("nas1", "n*s*", true),
            ("nas1", "nas?", true),
            ("nas1", "nas", false),
            ("nas", "nas?", false),
            ("", "*", true),
            ("", "", true),
            ("aaab", "*ab", true),
            ("aaac", "*ab", false),
            ("ü", "?", true),
        ] {
            assert_eq!(has_form(text, pattern), is_match, "{text} {pattern}");
        }
        assert!(!has_form(&"a".repeat(10_000), &"a*".repeat(100).replace('*', "*b")), "in bounded time");
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
