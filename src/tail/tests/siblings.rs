//! Which files in a folder a log may have had, and in which order.

use super::super::siblings::{Places, Siblings};
use super::*;

/// Makes files, each changed a second after the one before. Returns which of them were rotated after `than`.
fn newer(name: &str, files: &[&str], than: &str, since: Option<i64>) -> Vec<String> {
    let case = Case::new(name);
    for (file, second) in files.iter().zip(1..) {
        case.append(file, file);
        let time = std::time::UNIX_EPOCH + Duration::from_secs(second);
        File::options().append(true).open(case.path(file)).unwrap().set_modified(time).unwrap();
    }
    let id_of = |name: &str| file_id(&fs::metadata(case.path(name)).unwrap());
    let access = Access::unrestricted();
    let places = Places { log: case.path("log").to_str().unwrap().to_string(), ..Places::default() };
    let siblings = Siblings::list(&access, &places, &|_| false);
    let key = siblings.key_of(id_of(than)).unwrap();
    let newer = siblings.newer(Some(key), since.map(|second| second * 1_000_000_000), &[id_of(than)]);
    newer.into_iter().map(|one| files.iter().find(|file| id_of(file) == one.file_id).unwrap().to_string()).collect()
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
