//! Files of a wildcard that may be copies of others, made before these are truncated. They are not read again from their start.

use crate::tail::{is_named_after, Follower, Kinship, LogFile};
use std::time::Duration;

/// A file that is not read yet, since it may be a copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    size: u64,
    /// When it was seen to change last.
    since: Duration,
}

impl Held {
    /// For how long a file that does not grow any more is held: then the other one is not to be truncated …
    const TIME: Duration = Duration::from_secs(60);
    /// … and one that is so short that it may be alike by chance.
    const TIME_IF_SHORT: Duration = Duration::from_secs(10);
    const SHORT: u64 = 1024;

    fn is_over(&self, now: Duration) -> bool {
        now - self.since >= if self.size < Self::SHORT { Self::TIME_IF_SHORT } else { Self::TIME }
    }
}

/// What is to be done with an unread file.
pub(super) enum Verdict {
    /// It is to be read from where its follower is.
    Read,
    /// It may be a copy.
    Hold(Held),
    /// It is a copy that was read up to an offset.
    SkipTo(u64),
    /// Another follower has found it as a copy of its own, and has read it.
    TakeOver,
}

/// What is known of an unread file.
#[derive(Clone, Copy)]
pub(super) struct Unread<'a> {
    pub(super) path: &'a str,
    pub(super) file: &'a LogFile,
    /// Nothing was ever read at that path.
    pub(super) is_new: bool,
    /// It is named after another file of the wildcard.
    pub(super) is_named: bool,
    pub(super) held: Option<Held>,
}

/// Another file of the wildcard: its path and its follower, if it is known from where on it is read.
pub(super) type Other<'a> = (&'a str, Option<&'a mut Follower>);

impl Unread<'_> {
    pub(super) fn judge<'a>(self, now: Duration, others: impl Iterator<Item = Other<'a>>) -> Verdict {
        let Self { path, file, is_new, is_named, held } = self;
        let size = file.size();
        if !is_new && !is_named && size < Held::SHORT {
            return Verdict::Read;
        }
        let is_kin = is_named || held.is_some();
        let held_now = held.filter(|held| held.size == size).unwrap_or(Held { size, since: now });
        let (mut is_copy, mut is_unknown, mut read) = (false, false, None);
        for (other, follower) in others {
            let Some(follower) = follower else {
                is_unknown |= is_named_after(path, other);
                continue;
            };
            if follower.holds(file.file_id()) {
                return if follower.is_reading(file.file_id()) { Verdict::Hold(held_now) } else { Verdict::TakeOver };
            }
            match follower.kinship(file, is_kin) {
                Kinship::None => {}
                Kinship::Copy => is_copy = true,
                Kinship::ReadTo(offset) => read = read.max(Some(offset)),
            }
        }
        match (read, held) {
            (Some(offset), _) => Verdict::SkipTo(offset),
            _ if (is_copy || is_unknown) && !held_now.is_over(now) => Verdict::Hold(held_now),
            _ if is_copy && is_named => Verdict::SkipTo(size),
            // What was a copy has grown on its own.
            (None, Some(held)) if is_named && !is_copy && !is_unknown => Verdict::SkipTo(held.size.min(size)),
            _ => Verdict::Read,
        }
    }
}
