//! A log that is replaced by a copy of itself, or written anew in place, while it is followed.

use super::*;

/// A case in which lines were read that one file and its copy have in common.
fn read_long(name: &str) -> (Case, String) {
    let mut case = Case::new(name);
    let lines: Vec<_> = (100..150).map(|number| format!("line {number}")).collect();
    case.append("log", &(lines.join("\n") + "\n"));
    assert_eq!(case.next(), lines);
    let content = fs::read_to_string(case.path("log")).unwrap();
    (case, content)
}

#[test]
fn a_longer_copy_that_takes_the_place_of_a_log_is_read_on() {
    for backup in [None, Some("log~"), Some("log.bak"), Some("log.1")] {
        let (mut case, content) = read_long("replaced-longer");
        case.append("log", "unread\n");
        case.append("new", &(content + "unread\nadded\n"));
        if let Some(backup) = backup {
            case.rename("log", backup);
        }
        case.rename("new", "log");
        assert_eq!(case.next(), ["unread", "added"], "{backup:?}");
        assert_eq!((case.next(), case.follower.take_loss()), (vec![], None));
        case.append("log", "more\n");
        assert_eq!(case.next(), ["more"]);
    }
}

#[test]
fn lines_that_the_copy_lacks_are_read_in_the_old_file() {
    let (mut case, content) = read_long("replaced-lacks");
    case.append("log", "late\n");
    case.append("new", &(content + "added\n"));
    case.rename("new", "log");
    assert_eq!(case.next(), ["late", "added"]);
}

#[test]
fn a_copy_that_is_written_slowly_is_read_on_when_it_is_complete() {
    for is_in_place in [false, true] {
        let (mut case, content) = read_long("replaced-slowly");
        let (one, other) = content.split_at(300);
        if !is_in_place {
            fs::remove_file(case.path("log")).unwrap();
        }
        fs::write(case.path("log"), "").unwrap();
        assert_eq!(case.after(0), Ok(()));
        case.append("log", one);
        assert_eq!(case.next(), [""; 0]);
        case.append("log", &format!("{other}added\n"));
        assert_eq!(case.after(0), Ok(()));
        assert_eq!(std::mem::take(&mut case.seen), ["added"], "in place: {is_in_place}");
    }
}

#[test]
fn a_file_that_only_begins_like_the_log_is_read_from_its_start() {
    for text in ["old\n", "old\nline 100\n", "old\nline 100\nother\n"] {
        let (mut case, _) = read_long("replaced-other");
        case.rename("log", "log.1");
        case.append("log", text);
        assert_eq!(case.next(), text.lines().collect::<Vec<_>>(), "a rotation leaves a name");
    }
}

#[test]
fn what_stays_shorter_than_the_log_was_is_read_from_its_start_soon() {
    let (mut case, content) = read_long("replaced-shorter");
    fs::remove_file(case.path("log")).unwrap();
    let shorter: Vec<_> = content.lines().take(5).collect();
    case.append("log", &(shorter.join("\n") + "\n"));
    assert_eq!(case.next(), [""; 0]);
    assert!(!case.follower.is_settled());
    assert_eq!(case.after(2), Ok(()));
    assert_eq!(case.seen, shorter);
}

#[test]
fn what_a_program_writes_anew_is_read_again_though_it_is_the_same() {
    for is_rotated in [false, true] {
        let (mut case, content) = read_long("replaced-same");
        if is_rotated {
            case.rename("log", "log.1");
        }
        fs::write(case.path("log"), "").unwrap();
        assert_eq!(case.after(0), Ok(()));
        case.append("log", &content);
        assert_eq!(case.after(1), Ok(()));
        assert_eq!(case.after(2), Ok(()));
        assert_eq!(case.seen, content.lines().collect::<Vec<_>>());
    }
}

#[test]
fn a_copy_without_any_change_is_not_read_again() {
    let (mut case, content) = read_long("replaced-unchanged");
    case.append("new", &content);
    case.rename("new", "log");
    assert_eq!(case.next(), [""; 0]);
    case.append("log", "added\n");
    assert_eq!(case.next(), ["added"]);
}
