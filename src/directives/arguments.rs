//! The `key=value` arguments of a directive. Knows keys and values, not their meaning.

use crate::text::{has_separator, number};
use std::fmt;
use std::time::Duration;

/// Terms that came after `match=GROUP,TEXT`. They do not end its text, in which such words were words before.
const TERMS: [&str; 4] = ["for", "until", "repeat", "text"];

/// The arguments of one directive. They are taken one by one; [`Self::done`] then returns the first fault.
pub(super) struct Arguments<'a> {
    pub(super) name: &'a str,
    pairs: Vec<(&'a str, &'a str)>,
    pub(super) fault: Option<String>,
}

impl<'a> Arguments<'a> {
    /// Splits the argument of the directive `name` at its keys. A value ends where the next key begins; the values of `message=`,
    /// `text=` and `extract=` run to the end of the line. Text before the first key is a fault, and so is a key that is given twice. Keys
    /// that `keys` has in front of `command` stand there only: a command may contain such words. [`TERMS`] behind a text of `match=` are
    /// part of it.
    pub(super) fn parse(name: &'a str, argument: &'a str, mut keys: &[&str]) -> Self {
        let mut arguments = Self { name, pairs: Vec::new(), fault: None };
        let mut rest = argument;
        while !rest.is_empty() && arguments.fault.is_none() {
            let Some(key) = key_at(rest).filter(|key| keys.contains(key)) else {
                arguments.expect_one_of(keys, rest);
                break;
            };
            if arguments.get(key).is_some() {
                arguments.fail(format_args!("{key}= is given twice"));
            }
            if key == "command" {
                keys = &keys[keys.iter().position(|known| *known == key).unwrap_or(0)..];
            }
            let value = &rest[key.len() + 1..];
            let end = match key {
                "message" | "text" | "extract" => value.len(),
                "match" => end_of_match(value, keys),
                _ => next_key(value, |key| keys.contains(&key)),
            };
            arguments.pairs.push((key, value[..end].trim()));
            rest = value[end..].trim_start();
        }
        arguments
    }

    fn expect_one_of(&mut self, keys: &[&str], rest: &str) {
        let mut listed = String::new();
        for key in keys {
            listed.push_str(key);
            listed.push_str("= ");
        }
        let word = rest.split_whitespace().next().unwrap_or(rest);
        self.fail(format_args!("expected one of {}, got \"{word}\"", listed.trim_end()));
    }

    /// Records a fault, unless there is one already.
    pub(super) fn fail(&mut self, reason: fmt::Arguments<'_>) {
        if self.fault.is_none() {
            self.fault = Some(format!("{}: {reason}", self.name));
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// The first fault.
    pub(super) fn done(self) -> Result<(), String> {
        self.fault.map_or(Ok(()), Err)
    }

    /// The value of a key, if it is given.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.pairs.iter().find(|(given, _)| *given == key).map(|(_, value)| *value)
    }

    /// The value of a required key.
    pub(super) fn required(&mut self, key: &str) -> &'a str {
        self.optional(key).unwrap_or_else(|| {
            self.fail(format_args!("{key}= is missing"));
            ""
        })
    }

    /// The value of an optional key. An empty value is a fault.
    pub(super) fn optional(&mut self, key: &str) -> Option<&'a str> {
        let value = self.get(key);
        if value == Some("") {
            self.fail(format_args!("{key}= is empty"));
        }
        value
    }

    /// A required whole number of at least `least`.
    pub(super) fn number(&mut self, key: &str, least: u64) -> u64 {
        let value = self.required(key);
        number(value, 10).filter(|number| *number >= least).unwrap_or_else(|| {
            self.fail(format_args!("{key}= is a whole number of at least {least}, got \"{value}\""));
            0
        })
    }

    /// A whole number of at least `least`, if the key is given.
    pub(super) fn optional_number(&mut self, key: &str, least: u64) -> Option<u64> {
        self.get(key).map(|_| self.number(key, least))
    }

    /// A time in seconds, from 1 to a day, if the key is given.
    pub(super) fn seconds(&mut self, key: &str) -> Option<Duration> {
        const DAY: u64 = 24 * 60 * 60;
        let seconds = self.optional_number(key, 1)?;
        if seconds > DAY {
            self.fail(format_args!("{key}= is at most {DAY}, a day, got {seconds}"));
        }
        Some(Duration::from_secs(seconds))
    }

    /// The required `tags=`.
    pub(super) fn tags(&mut self) -> &'a str {
        let value = self.required("tags");
        if value.chars().any(char::is_whitespace) || has_separator(value) || value.starts_with('%') || value.ends_with('%') {
            self.fail(format_args!("tags= must have no spaces, no %% and no % at its ends, got \"{value}\""));
        }
        value
    }

    /// The required `message=`.
    pub(super) fn message(&mut self) -> String {
        self.required("message").to_string()
    }

    /// The arguments in the order of `keys`: version 1 agents expect a fixed one.
    pub(super) fn in_order(&self, keys: &[&str]) -> String {
        let ordered: Vec<_> = keys.iter().filter_map(|key| Some(format!("{key}={}", self.get(key)?))).collect();
        ordered.join(" ")
    }
}

/// The word in front of a `=` at the start of a text, if it could be a key.
fn key_at(text: &str) -> Option<&str> {
    let end = text.bytes().position(|byte| !byte.is_ascii_lowercase() && byte != b'_')?;
    (text.as_bytes()[end] == b'=').then_some(&text[..end])
}

/// Where the white space before the next key begins, or the end of the value.
fn next_key(value: &str, is_key: impl Fn(&str) -> bool) -> usize {
    for (at, c) in value.char_indices() {
        if c.is_whitespace() && key_at(&value[at + c.len_utf8()..]).is_some_and(&is_key) {
            return at;
        }
    }
    value.len()
}

/// Where the value of `match=` ends: `GROUP,TEXT` not at one of the [`TERMS`], and a group alone at any key.
fn end_of_match(value: &str, keys: &[&str]) -> usize {
    let end = next_key(value, |key| keys.contains(&key));
    if value[..end].contains(',') {
        return next_key(value, |key| keys.contains(&key) && !TERMS.contains(&key));
    }
    end
}

/// The first of the [`TERMS`] that is part of a text of `match=`.
pub(super) fn term_in(text: &str) -> Option<&str> {
    let at = next_key(text, |key| TERMS.contains(&key));
    key_at(text[at..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[&str] = &["tags", "match", "upper_limit", "message"];

    #[test]
    fn values_run_to_the_next_key() {
        let mut a = Arguments::parse("alert_if", "tags=DISK match=1,/my disk upper_limit=2,90  message=tags=x is full", KEYS);
        assert_eq!(a.in_order(KEYS), "tags=DISK match=1,/my disk upper_limit=2,90 message=tags=x is full");
        assert_eq!(a.required("match"), "1,/my disk");
        assert_eq!(a.required("message"), "tags=x is full");
        assert_eq!(a.tags(), "DISK");
        assert_eq!(a.done(), Ok(()));
    }

    #[test]
    fn a_text_of_match_may_have_the_words_of_terms_and_a_group_alone_ends_at_one() {
        let keys = ["tags", "match", "upper_limit", "until", "for", "repeat", "text", "message"];
        for (argument, expected) in [
            ("tags=T match=1,wait for=3 text=b upper_limit=2,5 for=4 message=m", "1,wait for=3 text=b"),
            ("tags=T upper_limit=2,5 match=1,until=4 repeat=0 message=m", "1,until=4 repeat=0"),
            ("match=1, for=3 tags=T for=4", "1, for=3"),
            ("match=1 for=4 upper_limit=2,5 text=a, b", "1"),
            ("match=status  until=4 for=4", "status"),
        ] {
            let a = Arguments::parse("alert_if", argument, &keys);
            assert_eq!((a.get("match"), a.fault.as_ref()), (Some(expected), None), "{argument}");
            assert_eq!(a.get("for"), Some("4").filter(|_| argument.contains("for=4")), "{argument}");
        }
        for (text, term) in
            [("1,a for=3 text=b", Some("for")), ("1,text=b", None), ("1,a tags=b", None), ("1,a xfor=3  text=", Some("text"))]
        {
            assert_eq!(term_in(text), term, "{text}");
        }
    }

    #[test]
    fn any_order_is_put_into_the_classic_one() {
        let a = Arguments::parse("alert_if", "upper_limit=2,90 match=1,/ tags=T message=m", KEYS);
        assert_eq!(a.in_order(KEYS), "tags=T match=1,/ upper_limit=2,90 message=m");
    }

    #[test]
    fn errors_say_what_was_expected() {
        for (argument, part) in
            [("bogus=1", "expected one of tags= match= upper_limit= message=, got \"bogus=1\""), ("tags=A tags=B", "tags= is given twice")]
        {
            let reason = Arguments::parse("alert_if", argument, KEYS).done().unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
        let fault = |argument: &str, take: fn(&mut Arguments<'_>)| {
            let mut a = Arguments::parse("alert_if", argument, KEYS);
            take(&mut a);
            a.done().unwrap_err()
        };
        let argument = "tags=A B match= message=m";
        assert!(fault(argument, |a| assert_eq!(a.tags(), "A B")).contains("no spaces"));
        assert!(fault(argument, |a| assert_eq!(a.required("match"), "")).contains("match= is empty"));
        assert!(fault(argument, |a| assert_eq!(a.required("upper_limit"), "")).contains("upper_limit= is missing"));
        for bad in ["-1", "+1", "x", "1.5", "0", "99999999999999999999"] {
            let reason = fault(&format!("upper_limit={bad}"), |a| assert_eq!(a.number("upper_limit", 1), 0));
            assert!(reason.contains("at least 1"), "{bad}: {reason}");
        }
    }
}
