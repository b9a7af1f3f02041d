//! Which lines of a log belong together.

use crate::pattern::{Pattern, Work};

/// Which lines belong to the one before.
#[derive(Clone, Debug, PartialEq)]
pub enum Joining {
    /// `join:`: those in which the pattern is found.
    Found(Pattern),
    /// `starts:`: those in which it is not found.
    NotFound(Pattern),
}

impl Joining {
    /// Whether a line belongs to the one before. Charges the work.
    pub fn continues(&self, line: &str, work: &mut Work) -> bool {
        match self {
            Self::Found(pattern) => pattern.search(line, work),
            Self::NotFound(pattern) => !pattern.search(line, work),
        }
    }

    /// Its directive.
    pub(super) fn directive(&self) -> &'static str {
        match self {
            Self::Found(_) => "join:",
            Self::NotFound(_) => "starts:",
        }
    }
}
