//! A line on its way from the search to a rule that matches it.

use super::search::FoundLine;
use crate::agent::delivery::Origin;
use crate::agent::logs::FollowedFile;
use memchr::memchr_iter;

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

impl MatchedLine<'_, '_> {
    /// Whether it is a line of an event stream, classic or JSON, that has an event of a line of this host: this agent has made it. An event of
    /// it would be the next such line.
    pub(super) fn is_own_event(&self, host: &str) -> bool {
        let line = self.line.text();
        let of_host = |rest: &str, separator: &str| {
            let uid = rest.strip_prefix(host)?.strip_prefix(separator)?;
            let uid = uid.split(|character: char| character != '.' && !character.is_ascii_alphanumeric()).next()?;
            // `FILE.RULE.OFFSET.LINE`.
            Some(uid.bytes().filter(|byte| *byte == b'.').count() == 3)
        };
        if line.starts_with('{') {
            return line.split_once("\"host\":\"").and_then(|(_, rest)| of_host(rest, "\",\"uid\":\"")).unwrap_or(false);
        }
        memchr_iter(b'%', line.as_bytes()).any(|at| line[at..].strip_prefix("%%").and_then(|rest| of_host(rest, "%%")).unwrap_or(false))
    }
}
