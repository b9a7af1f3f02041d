//! What a capture group of a pattern is called: its number, or the name that the pattern gives it.

use crate::text::number;
use regex_lite::Captures;
use std::fmt;

/// A capture group, by its number or by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GroupName {
    /// Counted from 1.
    Number(usize),
    /// As in `(?P<name>…)`.
    Name(Box<str>),
}

impl GroupName {
    /// Reads a number from 1 on, or a name. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return number(text, 10).and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0).map(Self::Number);
        }
        (text.chars().all(is_of_name) && !text.starts_with(|c: char| c.is_numeric())).then(|| Self::Name(text.into()))
    }

    /// What the group has captured; empty for a group that has no part in the match.
    pub fn text_in<'t>(&self, captures: &Captures<'t>) -> &'t str {
        let found = match self {
            Self::Number(number) => captures.get(*number),
            Self::Name(name) => captures.name(name),
        };
        found.map_or("", |found| found.as_str())
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::{Pattern, Purpose, Work};

    #[test]
    fn a_group_has_a_number_from_1_on_or_a_name() {
        assert_eq!(GroupName::parse("12"), Some(GroupName::Number(12)));
        assert_eq!(GroupName::parse("user_1"), Some(GroupName::Name("user_1".into())));
        for bad in ["", "0", "1a", "a b", "a,b", "99999999999999999999", "{", "-1"] {
            assert_eq!(GroupName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_groups_of_a_pattern_are_known_by_number_and_by_name() {
        let text = "(?P<user>[a-z]+)@(?<host>[a-z]+)(:[0-9]+)?";
        for pattern in [Pattern::check(text).unwrap(), Pattern::parse_within(text, Purpose::Capture, usize::MAX).unwrap()] {
            for (name, is_known) in [("1", true), ("3", true), ("4", false), ("user", true), ("host", true), ("port", false)] {
                assert_eq!(pattern.has_group(&GroupName::parse(name).unwrap()), is_known, "{name}");
            }
        }
        assert!(!Pattern::check("literal").unwrap().has_group(&GroupName::Number(1)));
        let pattern = Pattern::parse_within(text, Purpose::Capture, usize::MAX).unwrap();
        let captures = pattern.captures("by root@nas", &mut Work::turn()).unwrap();
        let texts = ["1", "user", "host", "3"].map(|name| GroupName::parse(name).unwrap().text_in(&captures));
        assert_eq!(texts, ["root", "root", "nas", ""]);
    }
}
