//! Which processes an `alert_running:` counts, besides what their lines say.

use super::patterns::Patterns;
use crate::directives::arguments::Arguments;
use crate::pattern::{Pattern, Purpose};
use crate::text::number;

/// Whose processes count. Only the table of the system itself says that, not the output of a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessFilter {
    /// `user=`: those of that user, by its name or number.
    pub user: Option<Box<str>>,
    /// `parent=`: those whose parent has a line in which this is found.
    pub parent: Option<Pattern>,
    /// `container=`: those within containers, or those outside.
    pub is_contained: Option<bool>,
}

impl ProcessFilter {
    /// Takes the keys.
    pub(super) fn parse(arguments: &mut Arguments<'_>, patterns: &mut Patterns) -> Self {
        let user = arguments.optional("user");
        if user.is_some_and(|user| user.contains(char::is_whitespace)) {
            arguments.fail(format_args!("user= is the name or the number of one user"));
        }
        let parent = arguments.optional("parent").map(|pattern| patterns.parse(pattern, Purpose::Find));
        if let Some(Err(reason)) = &parent {
            arguments.fail(format_args!("parent= {reason}"));
        }
        let is_contained = match arguments.optional("container") {
            None => None,
            Some("no") => Some(false),
            Some("yes") => Some(true),
            Some(other) => {
                arguments.fail(format_args!("container= is yes or no, got \"{other}\""));
                None
            }
        };
        Self { user: user.map(Into::into), parent: parent.and_then(Result::ok), is_contained }
    }

    /// The user, if it is given by its name.
    pub fn user_name(&self) -> Option<&str> {
        self.user.as_deref().filter(|user| number(user, 10).is_none())
    }

    /// Whether all processes count.
    pub fn is_empty(&self) -> bool {
        self.given().is_none()
    }

    /// The first of the keys that is given.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [(self.user.is_some(), "user="), (self.parent.is_some(), "parent="), (self.is_contained.is_some(), "container=")];
        given.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name)
    }

    /// A text that names the filter among others.
    pub fn name(&self) -> String {
        let (parent, user) = (self.parent.as_ref().map_or("", Pattern::as_str), self.user.as_deref().unwrap_or_default());
        format!("{user}\n{parent}\n{:?}", self.is_contained)
    }
}
