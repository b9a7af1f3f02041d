//! Each kind of rotation over real files, with virtual time.

mod concurrent;
mod encoding;
mod names;
mod random;
mod replaced;
mod restart;
mod serials;
mod siblings;
mod unread;

use super::rotated::RotatedFiles;
use super::*;
use crate::fs::{Access, AccessError};
use crate::lines::MAX_LINE;
use crate::wire::position::Position;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{symlink, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A folder, a follower of `log` in it, and the lines that it has read.
struct Case {
    folder: PathBuf,
    follower: Follower,
    time: Duration,
    seen: Vec<String>,
}

impl Case {
    /// The file holds one old line.
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("436-tail-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("log"), "old\n").unwrap();
        let follower = Follower::from_end(&Access::unrestricted(), folder.join("log").to_str().unwrap());
        Self { folder, follower, time: Duration::from_secs(1000), seen: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn append(&self, name: &str, text: &str) {
        fs::OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn inode(&self, name: &str) -> u64 {
        fs::metadata(self.path(name)).unwrap().ino()
    }

    /// Lets seconds pass, then looks and reads to the end.
    fn after(&mut self, seconds: u64) -> Result<(), AccessError> {
        self.time += Duration::from_secs(seconds);
        let state = self.follower.look(self.time, &mut |_| None);
        let (mut buffer, seen) = (vec![0; BUFFER], &mut self.seen);
        let mut take = |Piece { bytes, .. }: Piece<'_>| {
            seen.extend(crate::lines::lines(bytes).map(|(_, line)| String::from_utf8_lossy(line).into_owned()));
            bytes.len()
        };
        while self.follower.read(self.time, &mut buffer, &mut take) {}
        state
    }

    /// What is read within the next second.
    fn next(&mut self) -> Vec<String> {
        assert_eq!(self.after(1), Ok(()));
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn what_is_there_at_the_start_is_passed_over() {
    let mut case = Case::new("start");
    case.append("log", "1\n");
    assert_eq!(case.next(), ["1"]);
    assert_eq!(case.next(), [""; 0]);
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    let mut case = Case::new("rename");
    case.append("log", "1\n");
    let before = case.inode("log");
    case.rename("log", "log.1");
    case.append("log.1", "2\n");
    case.append("log", "3\n");
    assert_ne!(case.inode("log"), before);
    assert_eq!(case.next(), ["1", "2", "3"]);
}

#[test]
fn a_gap_in_a_rotation_is_no_error() {
    let mut case = Case::new("gap");
    case.rename("log", "log.1");
    case.append("log.1", "1\n");
    assert_eq!(case.next(), ["1"]);
    assert!(!case.path("log").exists());
    assert_eq!(case.after(8), Ok(()));
    case.append("log", "2\n");
    case.append("log.1", "late\n");
    assert_eq!(case.next(), ["late", "2"]);
}

#[test]
fn a_file_that_stays_away_is_an_error_until_it_is_back() {
    let mut case = Case::new("missing");
    assert_eq!(case.after(1), Ok(()));
    case.rename("log", "elsewhere");
    assert_eq!(case.after(1), Ok(()));
    assert!(case.after(10).is_err());
    assert!(case.after(1).is_err());
    case.append("elsewhere", "1\n");
    case.rename("elsewhere", "log");
    assert_eq!(case.next(), ["1"]);
}

#[test]
fn a_cut_file_is_read_from_its_start() {
    let mut case = Case::new("cut");
    case.append("log", "1\n");
    assert_eq!(case.next(), ["1"]);
    fs::copy(case.path("log"), case.path("log.1")).unwrap();
    let before = case.inode("log");
    fs::OpenOptions::new().write(true).truncate(true).open(case.path("log")).unwrap();
    assert_eq!((case.inode("log"), fs::metadata(case.path("log")).unwrap().len()), (before, 0));
    assert_eq!(case.next(), [""; 0]);
    case.append("log", "2\n");
    assert_eq!(case.next(), ["2"]);
}

#[test]
fn a_cut_file_that_has_outgrown_its_old_size_is_read_from_its_start() {
    let mut case = Case::new("regrown");
    case.append("log", "1\n");
    assert_eq!(case.next(), ["1"]);
    let (before, size) = (case.inode("log"), fs::metadata(case.path("log")).unwrap().len());
    fs::write(case.path("log"), "2\n3\n4\n5\n6\n").unwrap();
    assert_eq!(case.inode("log"), before);
    assert!(fs::metadata(case.path("log")).unwrap().len() > size);
    assert_eq!(case.next(), ["2", "3", "4", "5", "6"]);
}

#[test]
fn a_file_that_was_replaced_by_a_larger_one_is_read_from_its_start() {
    let mut case = Case::new("replaced");
    case.append("log", "1\n");
    assert_eq!(case.next(), ["1"]);
    let before = case.inode("log");
    fs::remove_file(case.path("log")).unwrap();
    case.append("log", "2\n3\n4\n5\n6\n");
    assert_ne!(case.inode("log"), before);
    assert_eq!(case.next(), ["2", "3", "4", "5", "6"]);
}

#[test]
fn a_late_writer_is_heard_for_a_minute_after_its_last_line() {
    let mut case = Case::new("late");
    case.rename("log", "log.1");
    case.append("log", "new\n");
    assert_eq!(case.next(), ["new"]);
    for line in ["1", "2", "3"] {
        case.time += Duration::from_secs(50);
        case.append("log.1", &format!("{line}\n"));
        assert_eq!(case.next(), [line]);
    }
    assert_eq!(case.after(61), Ok(()));
    assert!(case.follower.rotated_files() == 0);
}

#[test]
fn a_line_in_two_halves_is_one() {
    let mut case = Case::new("halves");
    case.append("log", "one ");
    assert_eq!(case.next(), [""; 0]);
    case.append("log", "line\n");
    assert_eq!(case.next(), ["one line"]);
}

#[test]
fn the_half_line_at_the_end_of_a_rotated_file_is_read_once_it_rests() {
    let mut case = Case::new("unended");
    case.append("log", "half");
    assert_eq!(case.next(), [""; 0]);
    case.rename("log", "log.1");
    case.append("log", "new\n");
    assert_eq!(case.next(), ["new"]);
    assert_eq!(case.after(5), Ok(()));
    assert_eq!(case.seen, ["half"]);
    assert_eq!(case.after(5), Ok(()));
    assert_eq!(case.seen, ["half"]);
}

#[test]
fn the_half_line_of_a_rotated_file_may_still_be_ended() {
    let mut case = Case::new("ended");
    case.append("log", "half");
    case.rename("log", "log.1");
    case.append("log", "new\n");
    assert_eq!(case.next(), ["new"]);
    case.append("log.1", " whole\n");
    assert_eq!(case.next(), ["half whole"]);
}

#[test]
fn a_file_that_takes_its_name_back_is_not_read_again() {
    let mut case = Case::new("back");
    case.append("log", "1\n");
    assert_eq!(case.next(), ["1"]);
    case.rename("log", "aside");
    case.append("log", "2\n");
    assert_eq!(case.next(), ["2"]);
    case.append("aside", "3\n");
    case.rename("aside", "log");
    assert_eq!(case.next(), ["3"]);
}

#[test]
fn a_link_that_is_switched_leads_to_the_start_of_the_other_file() {
    let mut case = Case::new("link");
    case.append("a", "old\n");
    symlink(case.path("a"), case.path("link")).unwrap();
    case.follower = Follower::from_end(&Access::unrestricted(), case.path("link").to_str().unwrap());
    case.append("a", "1\n");
    assert_eq!(case.next(), ["1"]);
    case.append("b", "2\n");
    fs::remove_file(case.path("link")).unwrap();
    symlink(case.path("b"), case.path("link")).unwrap();
    case.append("a", "3\n");
    assert_eq!(case.next(), ["3", "2"]);
}

#[test]
fn a_file_in_the_place_of_a_folder_is_read_from_its_start() {
    let mut case = Case::new("folder");
    fs::remove_file(case.path("log")).unwrap();
    fs::create_dir(case.path("log")).unwrap();
    case.follower = Follower::from_end(&Access::unrestricted(), case.path("log").to_str().unwrap());
    assert_eq!(case.after(1), Err(AccessError::NotRegular("a directory")));
    fs::remove_dir(case.path("log")).unwrap();
    assert!(case.after(1).is_err(), "an error goes on while there is no file");
    case.append("log", "1\n");
    assert_eq!(case.next(), ["1"]);
}

#[test]
fn a_file_that_another_follower_let_go_is_read_on() {
    let mut case = Case::new("handed");
    let mut other = Follower::from_end(&Access::unrestricted(), case.path("log.1").to_str().unwrap());
    case.append("log", "1\n");
    assert_eq!(case.next(), ["1"]);
    case.rename("log", "log.1");
    case.append("log.1", "2\n");
    other.look(case.time, &mut |meta| case.follower.release(meta)).unwrap();
    case.follower = other;
    assert_eq!(case.next(), ["2"]);
}

#[test]
fn lines_after_a_cut_stand_behind_what_was_measured_before_it() {
    let mut case = Case::new("measured");
    case.append("log", "1\nhalf");
    assert_eq!(case.next(), ["1"]);
    let end = case.follower.end();
    assert_eq!(end, 6);
    fs::write(case.path("log"), "2\n").unwrap();
    case.follower.look(case.time, &mut |_| None).unwrap();
    let mut positions = Vec::new();
    case.follower.read(case.time, &mut vec![0; BUFFER], &mut |Piece { position, bytes, .. }| {
        positions.push(position);
        bytes.len()
    });
    assert_eq!(positions, [end]);
}

#[test]
fn what_finds_no_room_is_read_later_at_its_position() {
    let mut case = Case::new("room");
    case.append("log", "1\n2\n3\n");
    case.follower.look(case.time, &mut |_| None).unwrap();
    let mut buffer = vec![0; BUFFER];
    let mut room = VecDeque::from([2, 0, 2, 2]);
    let mut positions = Vec::new();
    let mut take = |Piece { position, bytes, .. }: Piece<'_>| {
        positions.push((position, bytes.len()));
        room.pop_front().unwrap()
    };
    for _ in 0..3 {
        assert!(!case.follower.read(case.time, &mut buffer, &mut take));
    }
    assert_eq!(case.follower.end(), 6);
    assert_eq!(positions, [(0, 6), (2, 4), (2, 4), (4, 2)].get(..positions.len()).unwrap());
    assert!(positions.len() >= 3);
}

/// Rotates a file with one line, and looks without reading, a number of times.
fn rotate_unread(case: &mut Case, rotations: usize) -> Result<(), AccessError> {
    let mut state = Ok(());
    for number in 0..rotations {
        case.append("log", &format!("line {number}\n"));
        state = state.and(case.follower.look(case.time, &mut |_| None));
        case.rename("log", &format!("log.{number}"));
        case.append("log", "");
        state = state.and(case.follower.look(case.time, &mut |_| None));
    }
    state
}

#[test]
fn many_rotations_without_room_lose_nothing() {
    let mut case = Case::new("many");
    assert_eq!(case.next(), [""; 0]);
    assert_eq!(rotate_unread(&mut case, 40), Ok(()));
    assert_eq!(case.next(), (0..40).map(|number| format!("line {number}")).collect::<Vec<_>>());
}

#[test]
fn what_is_given_up_of_too_many_rotations_is_told() {
    let mut case = Case::new("too-many");
    assert_eq!(case.next(), [""; 0]);
    assert_eq!(rotate_unread(&mut case, RotatedFiles::MAX_UNREAD + 1), Ok(()));
    assert_eq!(case.after(1), Ok(()));
    let told = case.follower.take_loss().unwrap();
    assert!(told.ends_with("7 unread bytes are given up, since the file was rotated too often to be read in time"), "{told}");
    assert_eq!(case.follower.take_loss(), None);
    assert_eq!((case.seen.len(), &*case.seen[0]), (RotatedFiles::MAX_UNREAD, "line 1"));
}

#[test]
fn the_place_of_every_line_gives_the_position_behind_it() {
    let mut case = Case::new("places");
    case.append("log", &"0123456789\n".repeat(60));
    let path = case.follower.path().to_string();
    let mut buffer = vec![0; BUFFER];
    for line in 1..=60 {
        let mut given = None;
        let mut taken = false;
        case.follower.look(case.time, &mut |_| None).unwrap();
        case.follower.read(case.time, &mut buffer, &mut |Piece { place, bytes, .. }| {
            if std::mem::replace(&mut taken, true) {
                return 0;
            }
            given = Some(place.at(bytes, 11));
            11
        });
        assert_eq!(given.as_ref(), Some(&case.follower.position()), "{line}");
        let (resumed, lost) = Follower::resume(&Access::unrestricted(), &path, &case.follower.position(), 0);
        assert_eq!((resumed.position(), lost), (case.follower.position(), None));
    }
    assert_eq!(case.next(), [""; 0]);
}
