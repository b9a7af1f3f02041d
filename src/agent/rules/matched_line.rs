//! A line on its way from the search to a rule that matches it.

use super::search::FoundLine;
use crate::agent::delivery::Origin;
use crate::agent::logs::FollowedFile;

/// A line that a rule matches.
#[derive(Clone, Copy)]
pub(super) struct MatchedLine<'a, 'b> {
    pub(super) file: &'a FollowedFile,
    pub(super) line: &'a FoundLine<'b>,
    /// The lines with which it came.
    pub(super) block: &'a [u8],
    /// Where the event comes from that the rule makes of it.
    pub(super) origin: Option<Origin<'a>>,
}
