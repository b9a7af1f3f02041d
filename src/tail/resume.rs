//! Finds the files of a position again after a restart, and those that were rotated since.

use super::log_file::LogFile;
use super::rotation_key::RotationKey;
use super::siblings::{Match, Places, Sibling, Siblings};
use super::stat::{file_id, mtime_of, FileId, Mtime};
use crate::fs::Access;
use crate::wire::position::Position;
use std::path::Path;

/// Where reading goes on.
pub(super) struct Resumed {
    /// Files that had the log's name, oldest first.
    pub(super) rotated: Vec<LogFile>,
    pub(super) current: Option<LogFile>,
    /// What could not be found again.
    pub(super) lost: Option<String>,
}

/// Finds where to go on with a log that was read up to a position at `seen` (Unix seconds). Opens at most `max_unread` files that were
/// not read at all. `None` while that cannot be decided, since the log cannot be read, has no file, or is just being rotated.
pub(super) fn resume(access: &Access, places: &Places, position: &Position, seen: u64, max_unread: usize) -> Option<Resumed> {
    let path = &*places.log;
    let had = |inode| position.files.iter().any(|file| file.inode == inode);
    for _ in 0..Siblings::ATTEMPTS {
        let siblings = Siblings::list(access, places, &had);
        let current = match LogFile::open(access, Path::new(path), places.encoding, 0) {
            Ok(file) => Some(file),
            Err(e) if e.is_missing() => None,
            Err(_) => return None,
        };
        let current_id = current.as_ref().map(|file| file.file_id());
        let resumed = resume_among(&siblings, path, current, position, seen, max_unread);
        let current_id_now = access.metadata(path.as_ref()).ok().map(|meta| file_id(&meta));
        if current_id_now == current_id && siblings.has_same_names(&Siblings::list(access, places, &had)) {
            return resumed;
        }
    }
    None
}

fn resume_among(
    siblings: &Siblings<'_>,
    path: &str,
    current: Option<LogFile>,
    position: &Position,
    seen: u64,
    max_unread: usize,
) -> Option<Resumed> {
    let files = &position.files;
    let at_path = current.as_ref().map(|file| (Path::new(path), file.file_id()));
    // The file in which reading stopped must be there, or all files where none was begun. Those before it may be gone: they were read.
    let stopped = files.iter().rposition(|file| file.offset > 0);
    let mut is_found = !files.is_empty();
    let (mut found, mut claimed) = (Vec::new(), Vec::new());
    // The last one first: it has the best claim to the current file.
    for (number, file) in files.iter().enumerate().rev() {
        match siblings.find(at_path, file, &claimed) {
            Some(one) => {
                claimed.push(one.file.file_id());
                found.insert(0, one);
            }
            None => is_found &= stopped.is_some_and(|stopped| stopped != number),
        }
    }
    if current.is_none() && !is_found {
        return None;
    }
    claimed.extend(at_path.map(|(_, file_id)| file_id));
    let mut lost = (stopped.is_some() && !is_found).then(|| {
        let left = if siblings.has_compressed() { " (only compressed files are left)" } else { "" };
        format!("what was read last of {path} is gone{left}: lines may be missing")
    });
    let since = second_before(seen);
    let begun = last_begun(&found).and_then(|at| siblings.get(at));
    if begun.is_some_and(|begun| siblings.may_miss(Some(begun.file_id), since, &claimed)) {
        lost = Some(unknown_names(path));
    }
    let mut unread = unread(siblings, &found, stopped.is_some(), since, &claimed);
    unread.retain(|one| !current.as_ref().is_some_and(|current| siblings.is_copy(one, current)));
    let excess = unread.len().saturating_sub(max_unread);
    if excess > 0 {
        unread.drain(..excess);
        lost = Some(format!("{path} was rotated more often than can be read again: {excess} files are given up"));
    }
    let (rotated, found_at_path) = in_order(siblings, found, unread);
    Some(Resumed { rotated, current: found_at_path.or(current), lost })
}

/// What is said where files may have been rotated to names that are not known.
pub(super) fn unknown_names(path: &str) -> String {
    format!("{path} was rotated to names that are not known, or to compressed files: lines may be missing")
}

/// The start of the second before, since the times of files lag behind the clock.
fn second_before(seen: u64) -> Option<Mtime> {
    i64::try_from(seen).ok().filter(|seen| *seen > 1).map(|seen| mtime_of(seen - 1, 0))
}

/// The rotated files that were not read at all: those after the last one that was begun, whether they are in the position or not.
fn unread<'s>(siblings: &'s Siblings<'_>, found: &[Match], was_begun: bool, since: Option<Mtime>, claimed: &[FileId]) -> Vec<&'s Sibling> {
    let begun = last_begun(found);
    let last = if was_begun { begun } else { found.first().map(|first| first.at) };
    if last == Some(siblings.len()) {
        return Vec::new();
    }
    if let Some(begun) = begun.and_then(|at| siblings.get(at)) {
        return siblings.newer(Some(&begun.key), since, claimed);
    }
    // Only inodes are known, which newer files may have by now.
    let oldest = found.iter().map(|found| found.at).min().and_then(|at| siblings.get(at));
    let is_newer = |one: &Sibling| {
        (one.key.is_rotated_for_sure() && one.key.is_since(since)) || oldest.is_some_and(|oldest| one.key.is_newer(&oldest.key, since))
    };
    siblings.rotated(claimed, &is_newer)
}

/// All that is to be read, oldest first: files that were found again, and unread ones. What was found at the log's path is returned
/// apart.
fn in_order(siblings: &Siblings<'_>, found: Vec<Match>, newer: Vec<&Sibling>) -> (Vec<LogFile>, Option<LogFile>) {
    let mut unread: Vec<(&RotationKey, LogFile)> = Vec::new();
    for one in newer {
        if let Some(file) = siblings.open(one) {
            unread.push((&one.key, file));
        }
    }
    let newest = last_begun(&found).and_then(|at| siblings.get(at));
    let begun = found.iter().rposition(|found| found.file.offset() > 0).map_or(0, |last| last + 1);
    let (mut rotated, mut current) = (Vec::new(), None);
    for (number, Match { file, at }) in found.into_iter().enumerate() {
        let Some(Sibling { key, .. }) = siblings.get(at) else {
            current = Some(file);
            continue;
        };
        // The inode of a file that was empty may be that of a newer one.
        if number < begun && (file.offset() > 0 || !newest.is_some_and(|newest| key.is_newer(&newest.key, None))) {
            rotated.push(file);
        } else {
            let place = unread.iter().position(|(other, _)| other.order(key).is_gt()).unwrap_or(unread.len());
            unread.insert(place, (key, file));
        }
    }
    for (_, file) in unread {
        rotated.push(file);
    }
    (rotated, current)
}

/// The place of the newest file that was begun.
fn last_begun(found: &[Match]) -> Option<usize> {
    found.iter().filter(|found| found.file.offset() > 0).map(|found| found.at).max()
}
