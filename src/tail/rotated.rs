//! What becomes of a log's files: rotated ones are read to their end and watched for late writers, copies of a file that was cut and files
//! that were rotated between two looks are found, and deleted files are let go in time.

use super::log_file::{FileId, Open, Reading, Time};
use super::progress::Cause;
use super::siblings::{Age, RotatedFiles, Sibling};
use super::{Elsewhere, Follower, Reach};
use crate::wire::position::FilePosition;
use std::io;
use std::time::Duration;

/// A file that had the log's name.
pub(super) struct RotatedFile {
    pub(super) open: Box<Open>,
    /// When it last grew, or was first read after it lost the name.
    grown: Option<Duration>,
    /// Since when it is known to have no name at all.
    deleted: Option<Duration>,
}

/// How far a file was read when it was let go.
pub(super) struct Known {
    file_id: FileId,
    pub(super) position: FilePosition,
    /// Whether it is still to be found under some name, and nobody else reads it.
    pub(super) had_name: bool,
}

impl RotatedFile {
    /// So long after it last grew a rotated file is still looked at for a late writer.
    const LATE_WRITER: Duration = Duration::from_secs(60);
    /// The last line of a rotated file counts as ended, though no newline came, when nothing was added for that time.
    const UNENDED_LINE: Duration = Duration::from_secs(5);

    pub(super) fn new(open: Box<Open>) -> Self {
        Self { open, grown: None, deleted: None }
    }

    pub(super) fn read(&mut self, now: Duration, reading: &mut Reading<'_>) -> io::Result<Reach> {
        let (reach, grown) = self.open.read(reading)?;
        if grown {
            self.grown = Some(now);
        }
        let rests = now - *self.grown.get_or_insert(now) >= Self::UNENDED_LINE;
        if matches!(reach, Reach::End) && rests && !self.open.read_unended(reading) {
            return Ok(Reach::Blocked);
        }
        Ok(reach)
    }

    /// Whether everything is read, and nothing more is expected.
    pub(super) fn is_done(&self, now: Duration) -> bool {
        self.grown.is_some_and(|grown| now - grown >= Self::LATE_WRITER) && self.open.unread() == 0
    }
}

impl Follower {
    /// Rotated files beyond so many are no longer looked at for late writers, once they are read.
    const MAX_RETIRED: usize = 8;
    /// Most rotated files that are held open because they are still to be read: each takes a descriptor.
    pub(super) const MAX_UNREAD: usize = 128;
    /// Files of which it is remembered that they were read.
    const MAX_KNOWN: usize = 16;
    /// A deleted file takes up space, in memory even: so long it is held open at most …
    const DELETED_HELD: Duration = Duration::from_secs(600);
    /// … and all of them with so many unread bytes …
    const MAX_DELETED_UNREAD: u64 = 16 << 20;
    /// … of those that were not read within this time.
    const DELETED_READ: Duration = Duration::from_secs(10);

    /// Another file has the log's name.
    pub(super) fn succeed(&mut self, opened: Box<Open>, elsewhere: Elsewhere<'_>) {
        let since = self.current.as_ref().and_then(|open| open.looked());
        let new = opened.file_id;
        // Otherwise the next look tells.
        let Some(between) = self.between(Some(new), since, elsewhere) else { return };
        // A file that has come back, or had another name, is read on and not again.
        let opened = self.take_back(new).or_else(|| elsewhere(new)).unwrap_or(opened);
        self.first_start = 0;
        self.fresh = false;
        self.retire();
        self.copies.clear();
        self.current = Some(opened);
        self.retired.extend(between);
        self.bound_retired();
    }

    /// The present file has lost the name.
    pub(super) fn retire(&mut self) {
        if let Some(open) = self.current.take() {
            self.retired.push(RotatedFile { deleted: self.missing_since.filter(|_| open.is_deleted()), ..RotatedFile::new(open) });
        }
    }

    fn bound_retired(&mut self) {
        while self.retired.len() > Self::MAX_RETIRED {
            if let Some(read) = self.retired.iter().position(|retired| retired.open.unread() == 0) {
                self.let_go(read, Cause::TooMany);
            } else if self.retired.len() > Self::MAX_UNREAD {
                self.let_go(0, Cause::TooMany);
            } else {
                break;
            }
        }
    }

    /// Looks whether the present file still holds what it held.
    pub(super) fn look_at_current(&mut self, elsewhere: Elsewhere<'_>) -> io::Result<()> {
        let Some(open) = &mut self.current else { return Ok(()) };
        let since = open.looked();
        if open.check_truncated()? {
            self.handle_cut(since, elsewhere);
        } else if let Some(since) = open.take_begun() {
            // It may have been filled, copied and cut before.
            match (self.between(None, Some(since), elsewhere), &mut self.current) {
                (Some(between), _) => self.retired.extend(between),
                (None, Some(open)) => open.give_back_begun(Some(since)),
                (None, None) => {}
            }
            self.bound_retired();
        }
        Ok(())
    }

    /// What the present file held is now in a copy, or is gone.
    fn handle_cut(&mut self, since: Option<Time>, elsewhere: Elsewhere<'_>) {
        let Some(cut) = &self.current else { return };
        let (Ok(again), Some(copy)) = (cut.moved(0), self.find_copy(cut)) else { return };
        let Some(mut cut) = self.current.replace(again) else { return };
        if cut.offset() == 0 {
            self.copies.clear();
        }
        // Newer copies than that one may have been made since the last look, and others before it if what was cut was not known before.
        let begun = cut.take_begun();
        let between = match begun {
            Some(since) => self.between(None, Some(since), elsewhere),
            None => self.after(copy.as_ref().map(|open| open.file_id), None, since, None, elsewhere),
        };
        let Some(between) = between else {
            cut.give_back_begun(begun);
            self.current = Some(cut);
            return;
        };
        self.copies.clear();
        self.lose_cut(&cut, copy.as_deref());
        let at = self.retired.len();
        self.retired.extend(between);
        if let Some(copy) = copy {
            self.insert(at, copy);
        }
        self.bound_retired();
    }

    /// Puts a copy among the rotated files, unless it is one of them already, as one that came before the file of which it is a copy.
    fn insert(&mut self, at: usize, copy: Box<Open>) {
        for retired in &mut self.retired {
            if retired.open.file_id == copy.file_id && matches!(retired.open.check_truncated(), Ok(false)) {
                if retired.open.offset() < copy.offset() {
                    *retired = RotatedFile::new(copy);
                }
                return;
            }
        }
        self.retired.insert(at, RotatedFile::new(copy));
    }

    /// Looks whether rotated files still hold what they held: some rotations copy every file to the next.
    pub(super) fn look_at_retired(&mut self) {
        let mut at = 0;
        while let Some(retired) = self.retired.get_mut(at) {
            at += 1;
            if !matches!(retired.open.check_truncated(), Ok(true)) {
                continue;
            }
            let Some(copy) = self.find_copy(&self.retired[at - 1].open) else { continue };
            let cut = self.retired.remove(at - 1).open;
            self.lose_cut(&cut, copy.as_deref());
            match copy {
                Some(copy) => self.retired.insert(at - 1, RotatedFile::new(copy)),
                None => at -= 1,
            }
        }
    }

    /// The copy of a file that was cut, if there is one, to be read on where that was read to. `None` while that cannot be told.
    fn find_copy(&self, cut: &Open) -> Option<Option<Box<Open>>> {
        let (known, read) = (cut.known_position(), cut.position());
        let copy = RotatedFiles::consult(&self.path, &|_| false, &mut |around| {
            around.find_copy(&known, cut.file_id).or_else(|| around.find_copy(&read, cut.file_id))
        })?;
        Some(copy.and_then(|copy| copy.moved(cut.offset()).ok()))
    }

    /// What was known of a file that was cut, and is not in its copy, is lost. It counts as passed, lest new lines stand in its place.
    fn lose_cut(&mut self, cut: &Open, copy: Option<&Open>) {
        let left = copy.map_or(0, Open::size).max(cut.offset());
        let lost = cut.known_end().saturating_sub(left);
        self.position += lost;
        self.losses.add(Cause::Cut, lost);
    }

    /// The files that had the log's name after the last one before the present, and before the present, which is the given one if it is new.
    /// `None` while that cannot be told.
    fn between(&mut self, new: Option<FileId>, since: Option<Time>, elsewhere: Elsewhere<'_>) -> Option<Vec<RotatedFile>> {
        let current = self.current.as_ref().filter(|_| new.is_some());
        let last = current.or(self.retired.last().map(|retired| &retired.open));
        let file_id = last.map(|open| open.file_id).or(self.known.last().map(|known| known.file_id));
        // Its name may be gone already.
        let age = last.and_then(|open| open.modified()).map(|modified| Age { modified, stamp: None });
        self.after(file_id, age, since, new, elsewhere)
    }

    /// The files that were rotated after one of that file_id, or else of that age, or since that time, and are not known. When that one is
    /// not the present file, those that came after the present file are left out: it has been renamed, and they follow it. While the log
    /// has no new file, copies of the present one are left out too: it will be cut. One that is empty is not remembered as a copy. `None` while all that cannot be told.
    fn after(
        &mut self,
        last: Option<FileId>,
        age: Option<Age>,
        since: Option<Time>,
        new: Option<FileId>,
        elsewhere: Elsewhere<'_>,
    ) -> Option<Vec<RotatedFile>> {
        let present = self.file_id().filter(|present| Some(*present) != last);
        let mut claimed = Vec::new();
        for retired in &self.retired {
            claimed.push(retired.open.file_id);
        }
        claimed.extend(self.file_id());
        claimed.extend(new);
        claimed.extend(&self.copies);
        let had = |inode| [last, present].iter().flatten().any(|file_id| file_id.1 == inode);
        let found = RotatedFiles::consult(&self.path, &had, &mut |around| {
            let age = last.and_then(|last| around.age(last)).or(age.as_ref());
            let end = present.and_then(|present| around.age(present));
            let mut found = Vec::new();
            for one in around.newer(age, since, &claimed) {
                if end.is_some_and(|end| one.age.is_newer(end, None)) || self.was_read(one) {
                    continue;
                }
                found.extend(one.open(0));
            }
            found
        })?;
        let mut files = Vec::new();
        match &mut self.current {
            Some(present) if new.is_none() => {
                // It may be cut at any moment.
                let is_whole = |present: &mut Open| matches!(present.check_truncated(), Ok(false));
                let mut copies = Vec::new();
                if !is_whole(present) {
                    return None;
                }
                for open in found {
                    let is_empty = open.size() == 0;
                    if !present.is_copied_by(&open) {
                        files.push(open);
                    } else if !is_empty {
                        copies.push(open.file_id);
                    }
                }
                if !is_whole(present) {
                    return None;
                }
                self.copies.extend(copies);
            }
            _ => files = found,
        }
        let mut rotated = Vec::new();
        for open in files {
            rotated.push(RotatedFile::new(elsewhere(open.file_id).unwrap_or(open)));
        }
        Some(rotated)
    }

    /// Whether a file was read here under another name, or is the copy of one.
    fn was_read(&self, sibling: &Sibling) -> bool {
        self.known.iter().any(|known| sibling.holds(&known.position, known.file_id))
            || self.retired.iter().any(|retired| sibling.holds(&retired.open.position(), retired.open.file_id))
    }

    /// Lets go of a rotated file, and of what is not read of it.
    pub(super) fn let_go(&mut self, at: usize, cause: Cause) {
        let open = self.retired.remove(at).open;
        let lost = open.unread();
        self.position += lost;
        self.losses.add(cause, lost);
        let had_name = !open.is_deleted();
        self.remember(&open, had_name);
    }

    pub(super) fn remember(&mut self, open: &Open, had_name: bool) {
        if self.known.len() >= Self::MAX_KNOWN {
            self.known.remove(0);
        }
        // What was empty tells nothing.
        if open.offset() == 0 {
            return;
        }
        self.known.push(Known { file_id: open.file_id, position: open.position(), had_name });
    }

    /// Deleted files do not wait for ever to be read.
    pub(super) fn let_go_of_deleted(&mut self, now: Duration) {
        for retired in &mut self.retired {
            retired.deleted = if retired.open.is_deleted() { retired.deleted.or(Some(now)) } else { None };
        }
        // The one that is held too long, or else the first that should have been read, and how much is to be read of all of these.
        loop {
            let (mut first, mut unread) = (None, 0);
            for (at, retired) in self.retired.iter().enumerate() {
                let Some(deleted) = retired.deleted.filter(|deleted| now - *deleted >= Self::DELETED_READ) else { continue };
                if now - deleted >= Self::DELETED_HELD {
                    (first, unread) = (Some(at), u64::MAX);
                    break;
                }
                first = first.or(Some(at));
                unread += retired.open.unread();
            }
            let Some(first) = first.filter(|_| unread > Self::MAX_DELETED_UNREAD) else { break };
            self.let_go(first, Cause::Deleted);
        }
    }
}
