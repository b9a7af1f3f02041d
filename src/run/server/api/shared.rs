//! Texts that all get who ask within a second: many readers cost the server the time and the memory of one.

use crate::now::Now;
use std::rc::{Rc, Weak};
use std::time::Duration;

#[derive(Default)]
pub(in crate::run::server) struct SharedText {
    /// The latest one, and until when it is given out.
    latest: Option<(Rc<str>, Duration)>,
    /// Earlier ones that may still be on their way to slow readers.
    earlier: Vec<Weak<str>>,
}

impl SharedText {
    /// How long a text is given out.
    const AGE: Duration = Duration::from_secs(1);
    /// Most texts in memory at a time.
    const MOST: usize = 4;

    /// The text of this second. `None` while slow readers hold as many as there may be.
    pub(super) fn get(&mut self, now: Now, make: impl FnOnce() -> String) -> Option<Rc<str>> {
        if let Some((text, until)) = &self.latest {
            if now.mono < *until {
                return Some(text.clone());
            }
            self.earlier.push(Rc::downgrade(text));
        }
        self.latest = None;
        self.earlier.retain(|text| text.strong_count() > 0);
        if self.earlier.len() >= Self::MOST {
            return None;
        }
        let text: Rc<str> = make().into();
        self.latest = Some((text.clone(), now.mono + Self::AGE));
        Some(text)
    }

    /// Forgets a text that nobody gets any more.
    pub(super) fn forget(&mut self, now: Now) {
        if self.latest.as_ref().is_some_and(|(_, until)| *until <= now.mono) {
            self.earlier.extend(self.latest.take().map(|(text, _)| Rc::downgrade(&text)));
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

    #[test]
    fn a_text_is_made_once_a_second_and_slow_readers_hold_only_so_many() {
        let mut shared = SharedText::default();
        let mut held = Vec::new();
        for second in 1..=SharedText::MOST as u64 {
            let first = shared.get(at(second), || second.to_string()).unwrap();
            let again = shared.get(at(second), || "again".into()).unwrap();
            assert!(Rc::ptr_eq(&first, &again) && *first == *second.to_string());
            held.push(first);
        }
        assert_eq!(shared.get(at(10), String::new), None);
        held.pop();
        assert!(shared.get(at(10), String::new).is_some());
        shared.forget(at(12));
        assert!(shared.latest.is_none());
    }
}
