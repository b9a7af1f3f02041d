//! Two rotations between two looks, or while nobody looks, to the names that rotations give.

use super::*;

/// The name of a log, and those that it gets in two rotations.
const SCHEMES: [(&str, [&str; 2]); 11] = [
    ("app.log", ["app.log.2", "app.log.1"]),
    ("app.log", ["app-1.log", "app-2.log"]),
    ("app.log", ["app-20261125.log", "app-20261126.log"]),
    ("app.log", ["app.log.2026-11-25T00:00:00Z", "app.log.2026-11-25T00:00:01Z"]),
    ("app.log", ["app.log.2026-11-25-AM", "app.log.2026-11-25-PM"]),
    ("current", ["@4000000065a1b2c31234abcd.s", "@4000000065a1b2d41234abcd.s"]),
    // No known rotation gives these, but the two are alike.
    ("app.log", ["app.log.9f3c2b1a-11d0", "app.log.0a1b2c3d-4e5f"]),
    ("app.log", ["25-Nov-2026", "26-Nov-2026"]),
    ("app.log", ["archive/app.log.2", "archive/app.log.1"]),
    ("app.log", ["archive/app-20261125.log", "archive/app-20261126.log"]),
    ("app.log", ["archive/25-Nov-2026", "archive/26-Nov-2026"]),
];

/// What was read, and what was reported as lost, after a log was rotated twice and begun anew. The rotations are a second apart.
fn rotated_twice(log: &str, names: [&str; 2], others: &[&str], is_running: bool) -> (Vec<String>, String) {
    let mut case = Case::new(&format!("names-{}-{}-{is_running}", names.join("-").replace('/', "-"), others.len()));
    fs::create_dir(case.path("archive")).unwrap();
    case.rename("log", log);
    let path = case.path(log).to_str().unwrap().to_string();
    case.follower = Follower::from_end(&Access::unrestricted(), &path);
    case.append(log, "1\n");
    assert_eq!(case.next(), ["1"]);
    let position = case.follower.position();
    let start = fs::metadata(case.path(log)).unwrap().modified().unwrap();
    let date = |case: &Case, name: &str, second| {
        let time = start + Duration::from_secs(second);
        File::options().append(true).open(case.path(name)).unwrap().set_modified(time).unwrap();
    };
    case.append(log, "2\n");
    date(&case, log, 1);
    case.rename(log, names[0]);
    case.append(log, "3\n");
    date(&case, log, 2);
    case.rename(log, names[1]);
    case.append(log, "4\n");
    date(&case, log, 3);
    for other in others {
        case.append(other, "other\n");
        date(&case, other, 2);
    }
    let mut lost = None;
    if !is_running {
        let stopped = start.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        (case.follower, lost) = Follower::resume(&Access::unrestricted(), &path, &position, stopped);
    }
    let seen = case.next();
    (seen, lost.or(case.follower.take_loss()).unwrap_or_default())
}

#[test]
fn files_that_were_rotated_between_two_looks_are_read_in_order_whatever_rotates_them() {
    for (log, names) in SCHEMES {
        assert_eq!(rotated_twice(log, names, &[], true), (vec!["2".into(), "3".into(), "4".into()], String::new()), "{names:?}");
    }
}

#[test]
fn files_that_were_rotated_while_nobody_looked_are_read_in_order_whatever_rotates_them() {
    for (log, names) in SCHEMES {
        if !names[0].starts_with("archive") {
            assert_eq!(rotated_twice(log, names, &[], false), (vec!["2".into(), "3".into(), "4".into()], String::new()), "{names:?}");
        }
    }
}

#[test]
fn that_lines_may_be_in_files_with_unknown_names_is_told() {
    for names in [["app.log.a", "app.log.b"], ["elsewhere", "further"], ["app.log.2", "app.log.1.gz"]] {
        for is_running in [true, false] {
            let (seen, lost) = rotated_twice("app.log", names, &[], is_running);
            assert_eq!(seen, ["2", "4"], "{names:?}");
            assert!(
                lost.ends_with("app.log was rotated to names that are not known, or to compressed files: lines may be missing"),
                "{lost}"
            );
        }
    }
}

#[test]
fn other_files_are_no_rotated_ones_where_the_names_are_known() {
    let others = ["app-1.log", "app.log.offset", "app.logs.1", "web.log", "app-error.log"];
    for is_running in [true, false] {
        let (seen, lost) = rotated_twice("app.log", ["app.log.2", "app.log.1"], &others, is_running);
        assert_eq!((seen, &*lost), (vec!["2".into(), "3".into(), "4".into()], ""));
    }
}

#[test]
fn what_a_link_led_to_is_read_to_its_end_though_it_was_rotated_before_the_link_was_switched() {
    for (first, rotated, between, last) in [("a", "a.1", "a", "b"), ("a-20261125", "a-20261125", "a-20261126", "a-20261127")] {
        let mut case = Case::new(&format!("names-link-{first}"));
        let target = |case: &Case, name: &str| {
            let _ = fs::remove_file(case.path("link"));
            symlink(case.path("folder").join(name), case.path("link")).unwrap();
        };
        fs::create_dir(case.path("folder")).unwrap();
        case.append(&format!("folder/{first}"), "old\n");
        target(&case, first);
        case.follower = Follower::from_end(&Access::unrestricted(), case.path("link").to_str().unwrap());
        case.append(&format!("folder/{first}"), "1\n");
        if first != rotated {
            case.rename(&format!("folder/{first}"), &format!("folder/{rotated}"));
        }
        case.append(&format!("folder/{between}"), "2\n");
        case.append(&format!("folder/{last}"), "3\n");
        case.append("folder/other", "other\n");
        let later = std::time::SystemTime::now() + Duration::from_secs(10);
        File::options().append(true).open(case.path("folder").join(between)).unwrap().set_modified(later).unwrap();
        target(&case, last);
        assert_eq!((case.next(), case.follower.take_loss()), (vec!["1".into(), "2".into(), "3".into()], None), "{first}");
    }
}
