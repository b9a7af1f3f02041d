//! What happened to a log while nobody followed it.

use super::*;

/// When the follower stops, by the clock that dates files.
const STOPPED: u64 = 1_795_347_336;

impl Case {
    /// Stops the follower, and dates all files before that.
    fn stop(&mut self) -> Position {
        let names: Vec<_> = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.iter().for_each(|name| self.date(name.to_str().unwrap(), -100));
        let position = self.follower.position();
        self.follower = Follower::from_start(&Access::unrestricted(), "nothing");
        Position::parse(&position.emit()).unwrap()
    }

    /// Starts another follower. Returns what could not be found again.
    fn start(&mut self, position: &Position) -> Option<String> {
        let (follower, lost) = Follower::resume(&Access::unrestricted(), self.path("log").to_str().unwrap(), position, STOPPED);
        self.follower = follower;
        lost
    }

    /// Sets the mtime of a file, in seconds after the stop.
    fn date(&self, name: &str, seconds: i64) {
        let time = std::time::UNIX_EPOCH + Duration::from_secs(STOPPED.checked_add_signed(seconds).unwrap());
        File::options().append(true).open(self.path(name)).unwrap().set_modified(time).unwrap();
    }

    fn write_dated(&self, name: &str, text: &str, seconds: i64) {
        self.append(name, text);
        self.date(name, seconds);
    }
}

/// A case in which one line was read.
fn begun(name: &str) -> Case {
    let mut case = Case::new(name);
    case.append("log", "1\n");
    assert_eq!(case.next(), ["1"]);
    case
}

#[test]
fn reading_goes_on_where_it_stopped() {
    let mut case = begun("resume");
    let position = case.stop();
    case.append("log", "2\n");
    assert_eq!(case.start(&position), None);
    assert_eq!(case.next(), ["2"]);
}

#[test]
fn a_file_that_was_renamed_meanwhile_is_read_on_before_the_new_one() {
    for name in ["log.1", "log-20261122", "log.old", "log_2026-11-22.1", "elsewhere"] {
        let mut case = begun("resume-rename");
        let position = case.stop();
        case.append("log", "2\n");
        let before = case.inode("log");
        case.rename("log", name);
        case.append("log", "3\n");
        assert_ne!(case.inode("log"), before);
        assert_eq!(case.start(&position), None, "{name}");
        assert_eq!(case.next(), ["2", "3"], "{name}");
    }
}

#[test]
fn files_that_were_rotated_meanwhile_are_read_in_order() {
    for names in [["log.3", "log.2", "log.1"], ["log-20261122", "log-20261123", "log-20261124"], ["log.7", "log.8", "log.9"]] {
        let mut case = begun("resume-many");
        case.append("log.99", "old\n");
        case.append("log-20261121", "old\n");
        let position = case.stop();
        case.append("log", "2\n");
        case.date("log", 10);
        case.rename("log", names[0]);
        case.write_dated(names[1], "3\n", 20);
        case.write_dated(names[2], "4\n", 30);
        case.write_dated("log", "5\n", 40);
        assert_eq!(case.start(&position), None);
        assert_eq!(case.next(), ["2", "3", "4", "5"], "{names:?}");
    }
}

#[test]
fn a_file_that_was_copied_and_cut_meanwhile_is_read_on_in_its_copy() {
    let mut case = begun("resume-copy");
    let position = case.stop();
    case.append("log", "2\n");
    let before = case.inode("log");
    fs::copy(case.path("log"), case.path("log.2")).unwrap();
    case.date("log.2", 10);
    fs::write(case.path("log"), "3\n").unwrap();
    fs::copy(case.path("log"), case.path("log.1")).unwrap();
    case.date("log.1", 20);
    fs::write(case.path("log"), "4\n").unwrap();
    case.date("log", 30);
    assert_eq!(case.inode("log"), before);
    assert_eq!(case.start(&position), None);
    assert_eq!(case.next(), ["2", "3", "4"]);
}

#[test]
fn a_file_that_was_overwritten_meanwhile_is_read_from_its_start_and_that_is_told() {
    let mut case = begun("resume-regrown");
    let position = case.stop();
    let before = case.inode("log");
    fs::write(case.path("log"), "2\n3\n4\n5\n6\n").unwrap();
    assert_eq!(case.inode("log"), before);
    let lost = case.start(&position).unwrap();
    assert!(lost.ends_with("log is gone: lines may be missing"), "{lost}");
    assert_eq!(case.next(), ["2", "3", "4", "5", "6"]);
}

#[test]
fn a_file_that_was_replaced_meanwhile_is_read_from_its_start_and_that_is_told() {
    let mut case = begun("resume-replaced");
    let position = case.stop();
    fs::remove_file(case.path("log")).unwrap();
    case.append("log", "2\n3\n4\n");
    assert!(case.start(&position).is_some());
    assert_eq!(case.next(), ["2", "3", "4"]);
}

#[test]
fn of_compressed_files_nothing_is_read_and_that_is_told() {
    let mut case = begun("resume-compressed");
    case.append("log.2", "old\n");
    let position = case.stop();
    case.rename("log", "log.2.gz");
    case.write_dated("log.1", "2\n", 10);
    case.write_dated("log", "3\n", 20);
    let lost = case.start(&position).unwrap();
    assert!(lost.ends_with("log is gone (only compressed files are left): lines may be missing"), "{lost}");
    assert_eq!(case.next(), ["2", "3"]);
}

#[test]
fn a_late_writer_is_heard_across_a_restart() {
    let mut case = begun("resume-late");
    case.rename("log", "log.1");
    case.append("log", "2\n");
    assert_eq!(case.next(), ["2"]);
    let position = case.stop();
    assert_eq!(position.files.len(), 2);
    case.append("log.1", "late\n");
    assert_eq!(case.start(&position), None);
    assert_eq!(case.next(), ["late"]);
    case.append("log.1", "later\n");
    assert_eq!(case.next(), ["later"]);
    assert_eq!(case.after(61), Ok(()));
    assert_eq!(case.follower.position().files.len(), 1);
}

#[test]
fn that_a_rotated_file_that_was_read_is_compressed_is_no_loss() {
    let mut case = begun("resume-read");
    case.rename("log", "log.1");
    case.append("log", "2\n");
    assert_eq!(case.next(), ["2"]);
    let position = case.stop();
    case.rename("log.1", "log.1.gz");
    case.append("log", "3\n");
    assert_eq!(case.start(&position), None);
    assert_eq!(case.next(), ["3"]);
}

#[test]
fn a_line_in_two_halves_is_one_across_a_restart() {
    let mut case = begun("resume-half");
    case.append("log", "one ");
    assert_eq!(case.next(), [""; 0]);
    let position = case.stop();
    case.append("log", "line\n");
    assert_eq!(case.start(&position), None);
    assert_eq!(case.next(), ["one line"]);
}

#[test]
fn a_link_that_was_switched_meanwhile_leads_to_the_start_of_the_other_file() {
    let mut case = Case::new("resume-link");
    case.rename("log", "a");
    symlink(case.path("a"), case.path("log")).unwrap();
    case.follower = Follower::from_end(&Access::unrestricted(), case.path("log").to_str().unwrap());
    case.append("a", "1\n");
    assert_eq!(case.next(), ["1"]);
    let position = case.stop();
    case.append("a", "2\n");
    case.append("b", "3\n");
    fs::remove_file(case.path("log")).unwrap();
    symlink(case.path("b"), case.path("log")).unwrap();
    assert_eq!(case.start(&position), None);
    assert_eq!(case.next(), ["2", "3"]);
}

#[test]
fn a_file_that_has_but_the_inode_is_another() {
    let mut case = begun("resume-inode");
    let mut position = case.stop();
    case.append("log", "2\n");
    case.rename("log", "log.1");
    case.append("log", "other content\n");
    position.files[0].inode = case.inode("log");
    assert_eq!(case.start(&position), None);
    assert_eq!(case.next(), ["2", "other content"]);
}

#[test]
fn a_file_of_which_nothing_was_read_is_found_by_its_inode() {
    let mut case = Case::new("resume-unread");
    fs::write(case.path("log"), "").unwrap();
    case.follower = Follower::from_end(&Access::unrestricted(), case.path("log").to_str().unwrap());
    let position = case.stop();
    assert_eq!(position.files[0].offset, 0);
    case.append("log", "1\n");
    case.rename("log", "log.1");
    case.append("log", "2\n");
    assert_eq!(case.start(&position), None);
    assert_eq!(case.next(), ["1", "2"]);
}

#[test]
fn a_file_that_appeared_meanwhile_is_read_from_its_start() {
    let mut case = Case::new("resume-new");
    fs::remove_file(case.path("log")).unwrap();
    case.follower = Follower::from_end(&Access::unrestricted(), case.path("log").to_str().unwrap());
    let position = case.stop();
    assert_eq!(position, Position::default());
    assert_eq!(case.start(&position), None);
    case.append("log", "1\n");
    assert_eq!(case.next(), ["1"]);
}

#[test]
fn a_rotated_file_is_read_on_though_the_log_is_not_begun_anew_and_older_ones_are_gone() {
    let mut case = begun("resume-missing");
    case.rename("log", "log.1");
    case.append("log", "2\n");
    assert_eq!(case.next(), ["2"]);
    let position = case.stop();
    assert_eq!(position.files.len(), 2, "a late writer may still write to the older one");
    case.append("log", "3\n");
    fs::remove_file(case.path("log.1")).unwrap();
    case.rename("log", "log.2");
    assert_eq!(case.start(&position), None);
    assert_eq!(case.next(), ["3"]);
}

#[test]
fn a_log_that_is_not_there_yet_is_awaited() {
    let mut case = begun("resume-absent");
    let position = case.stop();
    case.rename("log", "../436-absent");
    assert_eq!(case.start(&position), None);
    assert_eq!(case.after(1), Ok(()));
    assert_eq!(case.follower.position(), position);
    case.append("../436-absent", "2\n");
    case.rename("../436-absent", "log");
    assert_eq!(case.next(), ["2"]);
    assert_eq!(case.follower.take_loss(), None);
}

#[test]
fn a_log_that_cannot_be_read_at_the_start_is_awaited() {
    let mut case = begun("resume-folder");
    let position = case.stop();
    case.rename("log", "aside");
    fs::create_dir(case.path("log")).unwrap();
    assert_eq!(case.start(&position), None);
    assert_eq!(case.after(1), Err(AccessError::NotRegular("a directory")));
    fs::remove_dir(case.path("log")).unwrap();
    case.append("aside", "2\n");
    case.rename("aside", "log");
    assert_eq!(case.next(), ["2"]);
}

#[test]
fn the_rest_of_an_overlong_line_is_passed_over_after_a_restart() {
    let mut case = Case::new("resume-long");
    case.append("log", &"x".repeat(2 * MAX_LINE));
    assert_eq!(case.after(1), Ok(()));
    assert_eq!(case.seen.iter().map(String::len).collect::<Vec<_>>(), [MAX_LINE]);
    let position = case.stop();
    case.append("log", "xxx\nnext\n");
    assert_eq!(case.start(&position), None);
    case.seen.clear();
    assert_eq!(case.next(), ["next"]);
}

#[test]
fn what_follows_a_line_that_was_not_ended_is_a_line_after_a_restart_too() {
    let mut case = begun("resume-unended");
    case.append("log", "half");
    case.rename("log", "log.1");
    case.append("log", "new\n");
    assert_eq!(case.next(), ["new"]);
    assert_eq!(case.after(5), Ok(()));
    assert_eq!(std::mem::take(&mut case.seen), ["half"]);
    let position = case.stop();
    case.append("log.1", "other\n");
    assert_eq!(case.start(&position), None);
    assert_eq!(case.next(), ["other"]);
}

#[test]
fn many_unread_files_are_found_again_though_a_position_holds_few() {
    let mut case = begun("resume-full");
    let lines: Vec<_> = (10..30).map(|number| number.to_string()).collect();
    for line in &lines {
        case.append("log", &format!("{line}\n"));
        case.date("log", line.parse::<i64>().unwrap() - 200);
        case.rename("log", &format!("log-202611{line}"));
        case.append("log", "");
        case.follower.look(case.time, &mut |_| None).unwrap();
    }
    let position = case.follower.position();
    assert_eq!(position.files.len(), Position::MAX_FILES);
    assert_eq!(case.start(&position), None);
    assert_eq!(case.next(), lines);
}

#[test]
fn two_followers_of_one_folder_do_not_both_read_a_file() {
    let mut case = begun("resume-folder-of-two");
    let mut other = Follower::from_end(&Access::unrestricted(), case.path("log.1").to_str().unwrap());
    other.look(case.time, &mut |_| None).unwrap();
    let other_position = other.position();
    let position = case.stop();
    case.append("log", "2\n");
    case.rename("log", "log.1");
    case.write_dated("log", "3\n", 10);
    assert_eq!(case.start(&position), None);
    let (mut other, _) = Follower::resume(&Access::unrestricted(), case.path("log.1").to_str().unwrap(), &other_position, STOPPED);
    other.look(case.time, &mut |meta| case.follower.release(meta)).unwrap();
    assert_eq!(case.next(), ["3"]);
    case.follower = other;
    assert_eq!(case.next(), ["2"]);
}

#[test]
fn that_more_files_were_rotated_than_can_be_read_is_told() {
    let mut case = begun("resume-too-many");
    let position = case.stop();
    fs::remove_file(case.path("log")).unwrap();
    for number in 100..=100 + RotatedFiles::MAX_UNREAD {
        case.write_dated(&format!("log-20261122{number}"), &format!("{number}\n"), i64::try_from(number).unwrap());
    }
    case.write_dated("log", "last\n", 1000);
    let lost = case.start(&position).unwrap();
    assert!(lost.ends_with("log was rotated more often than can be read again: 1 files are given up"), "{lost}");
    let seen = case.next();
    assert_eq!((seen.len(), &*seen[0], &*seen[RotatedFiles::MAX_UNREAD]), (RotatedFiles::MAX_UNREAD + 1, "101", "last"));
}

#[test]
fn a_rotated_file_that_another_follower_reads_is_taken_over_and_read_once() {
    let mut case = begun("resume-rotated-elsewhere");
    let position = case.stop();
    case.rename("log", "log.1");
    case.append("log", "3\n");
    // Somebody else follows the file under its new name, and has read further.
    case.append("log.1", "2\n");
    let mut other = Follower::from_end(&Access::unrestricted(), case.path("log.1").to_str().unwrap());
    other.look(case.time, &mut |_| None).unwrap();
    case.append("log.1", "late\n");
    assert_eq!(case.start(&position), None);
    case.follower.look(case.time, &mut |wanted| other.release(wanted)).unwrap();
    assert_eq!(other.file_id(), None);
    assert_eq!(case.next(), ["late", "3"]);
}
