//! Which files in a folder a log may have had, and in which order.

use super::*;
use crate::tail::siblings::{Age, RotatedFiles, Stamp};

/// A folder with these files, each changed a second after the one before, and the names of those that were rotated after one of them.
fn newer(name: &str, files: &[&str], than: &str, since: Option<i64>) -> Vec<String> {
    let case = Case::new(name);
    for (file, second) in files.iter().zip(1..) {
        case.append(file, file);
        let time = std::time::UNIX_EPOCH + Duration::from_secs(second);
        File::options().append(true).open(case.path(file)).unwrap().set_modified(time).unwrap();
    }
    let file_id = file_id(&fs::metadata(case.path(than)).unwrap());
    let around = RotatedFiles::of(case.path("log").to_str().unwrap(), &|_| false);
    let newer = around.newer(Some(around.age(file_id).unwrap()), since.map(|second| second * 1_000_000_000), &[file_id]);
    let names = newer.into_iter().map(|one| one.open(0).unwrap().file_id);
    let named = |wanted| files.iter().find(|file| super::file_id(&fs::metadata(case.path(file)).unwrap()) == wanted).unwrap();
    names.map(|file_id| named(file_id).to_string()).collect()
}

#[test]
fn what_a_rotation_adds_to_a_name_is_understood() {
    let date = |text: &str| Some(Stamp::Date(text.as_bytes().to_vec()));
    for (suffix, stamp) in [
        ("1", Some(Stamp::Number(-1))),
        ("12345", Some(Stamp::Number(-12345))),
        ("20261122", date("20261122")),
        ("2026-11-22", date("2026-11-22")),
        ("20261122T1135", date("20261122T1135")),
        ("1.2", date("1.2")),
        ("old", None),
        ("1~", None),
        ("-", None),
        ("", None),
    ] {
        assert_eq!(Stamp::parse(suffix.as_bytes()), stamp, "{suffix}");
    }
}

#[test]
fn files_are_rotated_in_the_order_of_their_times_and_names() {
    for (at, (files, than, expected)) in [
        (&["log.3", "log.2", "log.1"][..], "log.2", &["log.1"][..]),
        (&["log.1", "log.2", "log.3"], "log.2", &["log.3"]),
        (&["log-20261121", "log-20261122", "log-20261123"], "log-20261121", &["log-20261122", "log-20261123"]),
        (&["log.old", "log.1"], "log.old", &["log.1"]),
        (&["log.2", "log.1", "log.0.gz", "logs.1", "other.1", "log.tmp"], "log.2", &["log.1"]),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(newer(&format!("search-{at}"), files, than, None), expected, "{files:?}");
    }
}

#[test]
fn where_times_and_names_disagree_what_was_written_since_is_newer() {
    // A late writer has touched log.2 when log.1 was there already.
    for (since, expected) in [(None, &[][..]), (Some(3), &[]), (Some(1), &["log.1"])] {
        assert_eq!(newer("search-late", &["log.1", "log.2"], "log.2", since), expected, "{since:?}");
    }
    for (since, expected) in [(None, &[][..]), (Some(3), &[]), (Some(2), &["log.2"])] {
        assert_eq!(newer("search-touched", &["log.1", "log.2"], "log.1", since), expected, "{since:?}");
    }
}

#[test]
fn of_two_files_of_one_time_the_name_tells() {
    let age = |number: i32| Age { modified: 1, stamp: Some(Stamp::Number(-number)) };
    assert!(age(1).is_newer(&age(2), None));
    assert!(!age(2).is_newer(&age(1), None));
}
