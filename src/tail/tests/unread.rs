//! Lines that were not read when their file was truncated, copied or deleted: they are found elsewhere, or their loss is reported.

use super::*;

impl Case {
    fn look(&mut self) {
        self.time += Duration::from_secs(1);
        assert_eq!(self.follower.look(self.time, &mut |_| None), Ok(()));
    }

    fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
    }

    /// Overwrites a file in place.
    fn overwrite(&self, name: &str, text: &str) {
        let before = self.inode(name);
        fs::write(self.path(name), text).unwrap();
        assert_eq!(self.inode(name), before);
    }

    fn lost(&mut self) -> String {
        self.follower.take_loss().unwrap_or_default()
    }
}

#[test]
fn what_was_copied_and_cut_unread_is_read_in_the_copy() {
    for name in ["log.1", "log-20261122", "log.old"] {
        let mut case = Case::new("cut-unread");
        case.append("log", "1\n2\n");
        case.look();
        case.append("log", "3\n");
        case.copy("log", name);
        case.overwrite("log", "4\n");
        assert_eq!(case.next(), ["1", "2", "3", "4"], "{name}");
        assert_eq!(case.lost(), "");
    }
}

#[test]
fn what_was_copied_and_cut_before_anything_was_read_is_read_in_the_copy() {
    let mut case = Case::new("cut-begun");
    case.rename("log", "log.9");
    case.append("log", "1\n");
    case.look();
    assert_eq!(case.follower.position().files.last().unwrap().offset, 0);
    case.copy("log", "log.1");
    case.overwrite("log", "other\n");
    case.look();
    assert_eq!(case.next(), ["1", "other"]);
}

#[test]
fn what_was_cut_unread_without_a_copy_is_told() {
    let mut case = Case::new("cut-lost");
    case.append("log", "1\n2\n");
    case.look();
    case.overwrite("log", "3\n");
    assert_eq!(case.next(), ["3"]);
    let lost = case.lost();
    assert!(lost.ends_with("log: 4 unread bytes were cut from the file"), "{lost}");
    assert_eq!(case.lost(), "");
    case.overwrite("log", "");
    assert_eq!(case.next(), [""; 0]);
    assert_eq!(case.lost(), "", "all had been read");
}

#[test]
fn what_was_written_after_the_copy_was_made_is_told() {
    let mut case = Case::new("cut-late");
    case.append("log", "1\n");
    case.copy("log", "log.1");
    case.append("log", "22\n");
    case.look();
    case.overwrite("log", "3\n");
    assert_eq!(case.next(), ["1", "3"]);
    let lost = case.lost();
    assert!(lost.ends_with("log: 3 unread bytes were cut from the file"), "{lost}");
}

#[test]
fn files_that_were_rotated_between_two_looks_are_read_in_order() {
    for (first, second) in [("log.2", "log.1"), ("log-20261122", "log-20261123"), ("log.2.gz", "log.1")] {
        let mut case = Case::new("twice");
        case.append("log.7", "never\n");
        let earlier = std::time::SystemTime::now() - Duration::from_secs(10);
        File::options().append(true).open(case.path("log.7")).unwrap().set_modified(earlier).unwrap();
        case.append("log", "1\n");
        case.look();
        case.rename("log", first);
        case.append(second, "2\n");
        case.append("log", "3\n");
        let later = std::time::SystemTime::now() + Duration::from_secs(10);
        File::options().append(true).open(case.path(second)).unwrap().set_modified(later).unwrap();
        assert_eq!(case.next(), ["1", "2", "3"], "{first}");
        assert_eq!(case.next(), [""; 0]);
    }
}

#[test]
fn copies_that_were_made_between_two_looks_are_read_in_order() {
    let mut case = Case::new("copies");
    case.append("log", "1\n");
    case.look();
    case.copy("log", "log.2");
    case.overwrite("log", "2\n");
    case.copy("log", "log.1");
    let later = std::time::SystemTime::now() + Duration::from_secs(10);
    File::options().append(true).open(case.path("log.1")).unwrap().set_modified(later).unwrap();
    case.overwrite("log", "3\n");
    assert_eq!(case.next(), ["1", "2", "3"]);
}

#[test]
fn a_copy_that_is_seen_before_the_log_is_cut_is_not_read_beside_it() {
    for cut_at_once in [true, false] {
        let mut case = Case::new("copy-seen");
        case.overwrite("log", "");
        case.look();
        case.append("log", "1\n2\n");
        case.copy("log", "log.1");
        if cut_at_once {
            case.look();
        } else {
            assert_eq!(case.next(), ["1", "2"]);
        }
        case.overwrite("log", "3\n");
        assert_eq!(case.next(), if cut_at_once { &["1", "2", "3"][..] } else { &["3"] });
        assert_eq!((case.next(), case.lost()), (Vec::new(), String::new()));
    }
}

#[test]
fn an_empty_file_between_two_looks_is_no_copy_but_may_have_a_late_writer() {
    let mut case = Case::new("empty-between");
    case.overwrite("log", "");
    case.look();
    case.append("log", "1\n");
    fs::remove_file(case.path("log")).unwrap();
    case.append("log", "");
    case.rename("log", "log.1");
    case.append("log", "");
    assert_eq!(case.next(), ["1"]);
    case.append("log.1", "late\n");
    assert_eq!(case.next(), ["late"]);
}

#[test]
fn a_rotation_that_copies_every_file_to_the_next_gives_each_line_once() {
    let mut case = Case::new("copied-on");
    let mut expected = Vec::new();
    for number in 0..6 {
        case.append("log", &format!("line {number}\n"));
        expected.push(format!("line {number}"));
        if number % 2 == 0 {
            case.look();
        } else {
            let line = std::mem::take(&mut expected);
            assert_eq!(case.next(), line);
        }
        for older in (1..4).rev().filter(|older| case.path(&format!("log.{older}")).exists()) {
            case.copy(&format!("log.{older}"), &format!("log.{}", older + 1));
        }
        case.copy("log", "log.1");
        case.overwrite("log", "");
        case.look();
    }
    assert_eq!(case.lost(), "");
    assert_eq!(case.next(), [""; 0]);
}

#[test]
fn a_hole_that_nobody_can_read_in_a_lifetime_is_passed_over() {
    let mut case = Case::new("sparse");
    case.append("log", "one\n");
    assert_eq!(case.next(), ["one"]);
    case.rename("log", "log.1");
    let file = fs::File::create(case.path("log")).unwrap();
    // Some file systems take no such file.
    if file.set_len(1 << 42).is_err() {
        return;
    }
    case.append("log", "two\n");
    assert_eq!(case.next(), ["two"]);
}

#[test]
fn the_hole_that_a_cut_leaves_before_a_writer_is_passed_over() {
    for size in [100, 10 * MAX_LINE] {
        let mut case = Case::new("hole");
        let mut writer = File::create(case.path("log")).unwrap();
        writer.write_all(("x".repeat(99) + "\n").repeat(size / 100).as_bytes()).unwrap();
        assert_eq!(case.after(1), Ok(()));
        case.seen.clear();
        case.overwrite("log", "");
        assert_eq!(case.next(), [""; 0]);
        writer.write_all(b"1\n2\n").unwrap();
        assert_eq!(fs::read(case.path("log")).unwrap()[0], 0);
        assert_eq!(case.next(), ["1", "2"]);
        let (mut follower, lost) =
            Follower::resume(&Access::unrestricted(), case.path("log").to_str().unwrap(), &case.follower.position(), 0);
        std::mem::swap(&mut case.follower, &mut follower);
        writer.write_all(b"3\n").unwrap();
        assert_eq!((case.next(), lost), (vec!["3".to_string()], None));
        assert_eq!(case.follower.take_cut_lines(case.time), None);
    }
}

#[test]
fn a_deleted_file_is_read_on() {
    let mut case = Case::new("deleted");
    case.append("log", "1\n2\n");
    case.look();
    fs::remove_file(case.path("log")).unwrap();
    case.look();
    case.append("log", "3\n");
    case.look();
    assert_eq!(case.next(), ["1", "2", "3"]);
    assert_eq!(case.lost(), "");
}

#[test]
fn a_deleted_file_is_let_go_after_ten_minutes_and_what_is_lost_is_told() {
    let mut case = Case::new("deleted-long");
    case.append("log", "1\n2\n");
    case.look();
    fs::remove_file(case.path("log")).unwrap();
    case.append("log", "3\n");
    for _ in 0..599 {
        case.look();
    }
    assert_eq!((case.follower.rotated_files(), &*case.lost()), (1, ""));
    case.look();
    case.look();
    assert_eq!(case.follower.rotated_files(), 0);
    let lost = case.lost();
    assert!(lost.ends_with("log: 4 unread bytes are given up with a deleted file"), "{lost}");
    assert_eq!(case.next(), ["3"]);
}

#[test]
fn deleted_files_are_let_go_when_much_of_them_waits_but_those_with_a_name_are_not() {
    let mut case = Case::new("deleted-much");
    let size = 9 << 20;
    for name in ["log.1", "log.2"] {
        case.append("log", &("x".repeat(99) + "\n").repeat(size / 100));
        case.look();
        case.rename("log", name);
        case.append("log", "");
        case.look();
    }
    for _ in 0..20 {
        case.look();
    }
    assert_eq!((case.follower.rotated_files(), &*case.lost()), (2, ""));
    fs::remove_file(case.path("log.1")).unwrap();
    fs::remove_file(case.path("log.2")).unwrap();
    for _ in 0..9 {
        case.look();
    }
    assert_eq!((case.follower.rotated_files(), &*case.lost()), (2, ""), "there may be time to read them");
    for _ in 0..3 {
        case.look();
    }
    assert_eq!(case.follower.rotated_files(), 1);
    let lost = case.lost();
    assert!(lost.contains(&format!("log: {} unread bytes", size / 100 * 100)), "{lost}");
}

#[test]
fn lines_that_are_cut_for_length_are_told_now_and_then() {
    let mut case = Case::new("long");
    let long = "x".repeat(2 * MAX_LINE) + "\n";
    case.append("log", &long.repeat(3));
    assert_eq!(case.next().len(), 3);
    let told = case.follower.take_cut_lines(case.time).unwrap();
    assert!(told.ends_with("log: 3 lines were longer than 64 KiB and are cut"), "{told}");
    case.append("log", &long);
    assert_eq!(case.next().len(), 1);
    assert_eq!(case.follower.take_cut_lines(case.time), None);
    assert_eq!(case.after(600), Ok(()));
    assert!(case.follower.take_cut_lines(case.time).is_some());
    assert_eq!(case.follower.take_cut_lines(case.time + Duration::from_secs(1000)), None);
}

#[test]
fn a_file_between_two_looks_that_another_follower_has_is_read_by_one() {
    let mut case = Case::new("between-two");
    let mut other = Follower::from_start(&Access::unrestricted(), case.path("log.1").to_str().unwrap());
    case.append("log", "1\n");
    case.look();
    case.rename("log", "log.2");
    case.append("log.1", "2\n");
    case.append("log", "3\n");
    let later = std::time::SystemTime::now() + Duration::from_secs(10);
    File::options().append(true).open(case.path("log.1")).unwrap().set_modified(later).unwrap();
    other.look(case.time, &mut |meta| case.follower.release(meta)).unwrap();
    assert!(other.file_id().is_some());
    case.follower.look(case.time, &mut |meta| other.release(meta)).unwrap();
    other.look(case.time, &mut |meta| case.follower.release(meta)).unwrap();
    assert_eq!(case.next(), ["1", "3"]);
    case.follower = other;
    assert_eq!(case.next(), ["2"]);
}

#[test]
fn a_file_that_is_cut_while_another_takes_its_name_is_read_from_its_start() {
    for is_copied in [false, true] {
        let mut case = Case::new("cut-rotated");
        case.append("log", "1\n");
        assert_eq!(case.next(), ["1"]);
        case.rename("log", "log.1");
        case.append("log", "3\n");
        let (mut is_cut, path) = (false, case.path("log.1"));
        // Something happens in the middle of the look.
        let mut cut = |_: FileId| {
            if !std::mem::replace(&mut is_cut, true) {
                if is_copied {
                    fs::copy(&path, path.with_file_name("log.2")).unwrap();
                }
                fs::write(&path, "22\n").unwrap();
            }
            None
        };
        case.follower.look(case.time, &mut cut).unwrap();
        assert!(is_cut);
        let mut seen = case.next();
        seen.extend(case.next());
        seen.sort();
        assert_eq!((seen, case.lost()), (vec!["22".to_string(), "3".to_string()], String::new()));
    }
}
