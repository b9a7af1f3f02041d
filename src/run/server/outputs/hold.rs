//! Which files of a stream are held because an output has not passed them, and which are removed.

use super::channel::Channel;
use crate::run::server::stream_files::StreamFiles;
use crate::run::server::streams::{StreamsPlace, Which};
use std::fs;
use std::path::Path;

pub(super) struct Hold {
    pub(super) which: Which,
    pub(super) files: StreamFiles,
    /// How many rolled files are kept anyway.
    keep: u32,
    /// Bytes of further files that may be held.
    limit: u64,
    /// How many files must be kept when the stream is rolled next.
    pub(super) kept: u32,
}

impl Hold {
    /// On a disk with less than one part in this many free, only a part of what is free is held.
    const LEAST_FREE: u64 = 10;
    const SHARE_OF_FREE: u64 = 4;

    pub(super) fn new((which, files): (Which, &StreamFiles), keep: u32, limit: u64) -> Self {
        Self { which, files: files.clone(), keep, limit, kept: keep }
    }

    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Removes the files that nobody needs, and the oldest ones beyond the limit, whoever needs them. `needed` is the number of the oldest
    /// file that an output has to read.
    pub(super) fn update(&mut self, needed: u32, channels: &mut [Channel]) {
        let numbers = self.files.numbers();
        let (mut held, mut first_lost) = (0, None);
        let limit = self.limit_here();
        for number in numbers.iter().copied().filter(|number| *number > self.keep && *number <= needed) {
            held += fs::metadata(self.files.numbered(number)).map_or(0, |meta| meta.len());
            if held > limit && first_lost.is_none() {
                first_lost = Some(number);
            }
        }
        if let Some(number) = first_lost {
            channels.iter_mut().for_each(|channel| self.lose(number, channel));
        }
        let last = first_lost.map_or(needed, |number| number - 1).max(self.keep);
        for number in numbers.into_iter().rev().take_while(|number| *number > last) {
            let _ = fs::remove_file(self.files.numbered(number));
        }
        self.kept = last + 1;
        if needed < self.keep {
            self.kept = self.keep;
        }
    }

    /// Moves an output behind the files that are about to be removed, and counts what it loses.
    fn lose(&self, first_lost: u32, channel: &mut Channel) {
        let is_lost = |inode: u64| self.files.number_of(inode).is_none_or(|number| number >= first_lost);
        let Some(next) = self.files.open(first_lost - 1).map(|next| next.place(0)) else { return };
        let (mut lost, delivery) = (0, &channel.delivery);
        channel.reader.skip((self.which, &self.files), &is_lost, next, &mut |event| lost += u64::from(delivery.chooses(event)));
        let moved = |place: Option<StreamsPlace>| {
            let mut place = place.unwrap_or_default();
            if place.of(self.which).is_none_or(|place| is_lost(place.inode())) {
                place.set(self.which, Some(next));
            }
            place
        };
        channel.delivery.handle_removed(&moved, lost, self.limit);
        channel.handle_written();
    }

    fn limit_here(&self) -> u64 {
        let path = self.files.numbered(0);
        let folder = Path::new(&path).parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match free_share(folder) {
            Some((free, size)) if free < size / Self::LEAST_FREE => self.limit.min(free / Self::SHARE_OF_FREE),
            _ => self.limit,
        }
    }
}

/// How many bytes of the disk of a folder are free, and how many it has.
#[cfg(target_os = "linux")]
fn free_share(folder: &Path) -> Option<(u64, u64)> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(folder.as_os_str().as_bytes()).ok()?;
    let space = crate::sys::disk::DiskSpace::of(&path).ok().filter(|space| space.blocks > 0)?;
    Some((space.available.saturating_mul(space.block_size), space.blocks.saturating_mul(space.block_size)))
}

#[cfg(not(target_os = "linux"))]
fn free_share(_: &Path) -> Option<(u64, u64)> {
    None
}
