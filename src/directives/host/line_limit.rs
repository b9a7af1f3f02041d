//! Limits for numbers in lines.

use crate::directives::decimal::Decimal;
use crate::directives::quantity::Quantity;
use crate::pattern::GroupName;
use std::cmp::Ordering;
use std::fmt;

/// A limit for the number in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineLimit {
    /// Which lines it is about; `None` for all that match.
    pub subject: Option<LineSubject>,
    /// The group of the number.
    pub group: GroupName,
    /// How a number beyond the limit compares with it.
    pub beyond: Ordering,
    /// The limit.
    pub limit: Quantity,
}

/// Which lines a limit is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineSubject {
    /// Those in which the group is that text.
    Text(GroupName, Box<str>),
    /// All, and each text of the group has a condition of its own.
    Each(GroupName),
}

impl LineLimit {
    /// Whether a number is beyond the limit. `Some(false)` if it is not, and not back at `until` either; `None` if it is back.
    pub fn passes(&self, number: &Decimal, until: Option<&Decimal>) -> Option<bool> {
        let is_beyond = |end: &Decimal| number.cmp(end) == self.beyond;
        (is_beyond(&self.limit.number) || until.is_some_and(is_beyond)).then(|| is_beyond(&self.limit.number))
    }
}

impl fmt::Display for LineSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(group, text) => write!(f, "{group},{text}"),
            Self::Each(group) => group.fmt(f),
        }
    }
}
