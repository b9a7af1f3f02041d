//! Which files find room in the position of a log, which holds [`Position::MAX_FILES`] at most. Opens nothing.

use crate::wire::position::{FilePosition, Position};

/// The positions of the files before and behind the one at `at`, as far as a position has room for them.
pub(super) fn around(files: &[FilePosition], at: usize) -> (Vec<FilePosition>, Vec<FilePosition>) {
    if files.len() <= 1 {
        return (Vec::new(), Vec::new());
    }
    let mut earlier = files.to_vec();
    let at = limit(&mut earlier, at);
    let later = earlier.get(at + 1..).unwrap_or_default().to_vec();
    earlier.truncate(at);
    (earlier, later)
}

/// Removes what a position has no room for. Files that are read go first: those are the ones before `at`, except for the last that was
/// begun. Then go unread files before the last one, since these are found again between their neighbours. Returns where the file at
/// `at` is afterwards.
pub(super) fn limit(files: &mut Vec<FilePosition>, mut at: usize) -> usize {
    while files.len() > Position::MAX_FILES {
        let begun = files[..files.len().min(at + 1)].iter().rposition(|file| file.offset > 0);
        let read = usize::from(begun == Some(0));
        if read < at {
            files.remove(read);
            at -= 1;
        } else {
            files.remove(files.len() - 2);
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files with the inodes from 0 on. Those below `begun` were begun.
    fn files(count: u64, begun: u64) -> Vec<FilePosition> {
        (0..count).map(|inode| FilePosition { offset: u64::from(inode < begun), hash: 0, inode, done: 0, serial: 0 }).collect()
    }

    fn inodes(files: &[FilePosition]) -> Vec<u64> {
        files.iter().map(|file| file.inode).collect()
    }

    #[test]
    fn read_files_are_left_out_first_and_then_unread_ones_before_the_last() {
        for (count, begun, at, kept, at_then) in [
            (8, 3, 2, &[0, 1, 2, 3, 4, 5, 6, 7][..], 2),
            (10, 10, 9, &[2, 3, 4, 5, 6, 7, 8, 9], 7),
            (10, 3, 2, &[2, 3, 4, 5, 6, 7, 8, 9], 0),
            (12, 1, 0, &[0, 1, 2, 3, 4, 5, 6, 11], 0),
            (10, 1, 1, &[0, 1, 2, 3, 4, 5, 6, 9], 1),
        ] {
            let mut kept_files = files(count, begun);
            let new_at = limit(&mut kept_files, at);
            assert_eq!((&*inodes(&kept_files), new_at), (kept, at_then), "{count} files, {begun} begun, at {at}");
        }
    }

    #[test]
    fn the_files_around_one_do_not_contain_it() {
        let (earlier, later) = around(&files(3, 2), 1);
        assert_eq!((inodes(&earlier), inodes(&later)), (vec![0], vec![2]));
        assert_eq!(around(&files(1, 1), 0), (vec![], vec![]));
    }
}
