//! The text of an event, as an alert gives it: `message=`, or `text=` with what the pattern has captured.

use crate::directives::arguments::Arguments;
use crate::pattern::{Captures, GroupName, Pattern};
use crate::text::MAX_EVENT_TEXT;
use std::borrow::Cow;

/// The text of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventText {
    /// `message=`: it stands as it is.
    Literal(String),
    /// `text=`: its parts, one behind the other.
    Template(Vec<TextPart>),
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPart {
    /// It stands as it is.
    Literal(String),
    /// `{line}`: the whole line.
    Line,
    /// `{1}` or `{name}`: what the group has captured.
    Group(GroupName),
}

impl EventText {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it.
    fn parse_template(text: &str) -> Result<Self, String> {
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some((before, behind)) = rest.split_once('{') {
            literal += before;
            if let Some(behind) = behind.strip_prefix('{') {
                literal.push('{');
                rest = behind;
                continue;
            }
            let (name, behind) = behind.split_once('}').ok_or("has a { without a }; {{ stands for one {")?;
            let part =
                match name {
                    "line" => TextPart::Line,
                    name => TextPart::Group(GroupName::parse(name).ok_or_else(|| {
                        format!("has {{{name}}}; expected {{line}}, a group such as {{1}} or {{name}}, or {{{{ for one {{")
                    })?),
                };
            if !literal.is_empty() {
                parts.push(TextPart::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part);
            rest = behind;
        }
        literal += rest;
        if !literal.is_empty() {
            parts.push(TextPart::Literal(literal));
        }
        Ok(Self::Template(parts))
    }

    /// Takes `message=` or `text=`, if one of them is given.
    pub(super) fn take_optional(arguments: &mut Arguments<'_>) -> Option<Self> {
        let Some(template) = arguments.optional("text") else {
            return arguments.optional("message").map(|text| Self::Literal(text.into()));
        };
        Self::parse_template(template).map_err(|reason| arguments.fail(format_args!("text= {reason}"))).ok()
    }

    /// Takes `message=` or `text=`.
    pub(super) fn take(arguments: &mut Arguments<'_>) -> Self {
        if arguments.get("text").is_none() {
            return Self::Literal(arguments.message());
        }
        Self::take_optional(arguments).unwrap_or(Self::Literal(String::new()))
    }

    /// The groups that it asks for.
    pub fn groups(&self) -> impl Iterator<Item = &GroupName> {
        let parts = match self {
            Self::Literal(_) => &[][..],
            Self::Template(parts) => parts,
        };
        parts.iter().filter_map(|part| match part {
            TextPart::Group(group) => Some(group),
            _ => None,
        })
    }

    /// The text for a value, which stands for every group.
    pub fn expand_value<'a>(&'a self, value: &'a str) -> Cow<'a, str> {
        match self {
            Self::Literal(text) => text.into(),
            Self::Template(parts) => {
                let parts = parts.iter().map(|part| if let TextPart::Literal(literal) = part { literal } else { value });
                parts.collect::<String>().into()
            }
        }
    }

    /// Whether it is the same for all lines in which that group is the same.
    pub(super) fn depends_only_on(&self, group: &GroupName) -> bool {
        match self {
            Self::Literal(_) => true,
            Self::Template(parts) => {
                parts.iter().all(|part| matches!(part, TextPart::Literal(_)) || *part == TextPart::Group(group.clone()))
            }
        }
    }

    /// The text for a line with these captures. Without them, groups are empty. Ends soon behind [`MAX_EVENT_TEXT`].
    pub fn expand<'a>(&'a self, line: &'a str, captures: Option<&Captures<'a>>) -> Cow<'a, str> {
        let parts = match self {
            Self::Literal(text) => return text.into(),
            Self::Template(parts) => parts,
        };
        let mut text = String::new();
        for part in parts {
            if text.len() > MAX_EVENT_TEXT {
                break;
            }
            text += match part {
                TextPart::Literal(literal) => literal,
                TextPart::Line => line.trim(),
                TextPart::Group(group) => captures.map_or("", |captures| group.text_in(captures)),
            };
        }
        text.into()
    }
}

/// Why alerts cannot have that group of a pattern, which `key` names; `None` if the pattern has it.
pub(super) fn missing_group(key: &str, group: &GroupName, pattern: &Pattern) -> Option<String> {
    let (text, groups) = (pattern.as_str(), pattern.groups());
    (!pattern.has_group(group)).then(|| format!("{key}= names group {group}, but \"{text}\" has {groups} (counted from 1)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::{Purpose, Work};

    #[test]
    fn a_template_has_captures_the_line_and_braces() {
        let pattern = Pattern::parse_within("(?P<user>[a-z]+) from ([0-9.]+)( port [0-9]+)?", Purpose::Capture, usize::MAX).unwrap();
        let line = " root from 192.0.2.7 ";
        let captures = pattern.captures(line, &mut Work::turn());
        for (template, text, without) in [
            ("{user}: {2}", "root: 192.0.2.7", ": "),
            ("{1}{1} {3}.", "rootroot .", " ."),
            ("[{line}]", "[root from 192.0.2.7]", "[root from 192.0.2.7]"),
            ("{{1}} } {{{1}", "{1}} } {root", "{1}} } {"),
            ("plain = text", "plain = text", "plain = text"),
        ] {
            let parsed = EventText::parse_template(template).unwrap();
            assert_eq!(parsed.expand(line, captures.as_ref()), text);
            assert_eq!(parsed.expand(line, None), without);
        }
        assert_eq!(EventText::Literal("{1}".into()).expand(line, captures.as_ref()), "{1}");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (bad, reason) in
            [("a {1", "a { without a }"), ("{}", "has {}"), ("{0}", "has {0}"), ("{a b}", "has {a b}"), ("{1", "a { without")]
        {
            assert!(EventText::parse_template(bad).unwrap_err().contains(reason), "{bad}");
        }
    }

    #[test]
    fn a_text_does_not_grow_without_bound() {
        let text = EventText::parse_template(&"{line}".repeat(10_000)).unwrap();
        let line = "x".repeat(MAX_EVENT_TEXT);
        assert_eq!(text.expand(&line, None).len(), 2 * MAX_EVENT_TEXT);
    }
}
