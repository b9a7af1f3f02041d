//! What tells the files of a log from each other where their content does not.

use super::*;

/// Where each line stood: the number of its file and its offset.
fn places(follower: &mut Follower, time: u64) -> Vec<(u32, u64)> {
    let (mut buffer, mut places) = (vec![0; BUFFER], Vec::new());
    let mut take = |Piece { bytes, place, .. }: Piece<'_>| {
        let mut offset = place.offset;
        for (end, _) in crate::lines::lines(bytes) {
            places.push((place.serial, offset));
            offset = place.offset + end as u64;
        }
        bytes.len()
    };
    let time = Duration::from_secs(time);
    let _ = follower.look(time, &mut |_| None);
    while follower.read(time, &mut buffer, &mut take) {}
    places
}

#[test]
fn a_line_has_one_place_however_the_log_was_rotated_and_the_same_when_it_is_read_again() {
    let mut case = Case::new("serials");
    fs::remove_file(case.path("log")).unwrap();
    case.append("log", "same\n");
    let path = case.path("log").to_str().unwrap().to_string();
    case.follower = Follower::from_start(&Access::unrestricted(), &path);
    case.follower.number_from(100);
    let truncate = |case: &Case| drop(fs::OpenOptions::new().write(true).truncate(true).open(case.path("log")).unwrap());
    let mut all = places(&mut case.follower, 1000);
    let left = case.follower.position();
    // Each step writes the same line where the last one stood.
    for step in 1..6 {
        match step {
            1 | 2 => truncate(&case),
            3 => {
                let _ = fs::remove_file(case.path("log.1"));
                case.rename("log", "log.1");
            }
            4 => {
                fs::copy(case.path("log"), case.path("log.2")).unwrap();
                truncate(&case);
            }
            _ => fs::remove_file(case.path("log")).unwrap(),
        }
        assert_eq!(places(&mut case.follower, 1000 + 20 * step), []);
        case.append("log", "same\nother\n");
        all.extend(places(&mut case.follower, 1010 + 20 * step));
    }
    assert_eq!(all.len(), 11);
    assert!((0..all.len()).all(|at| !all[..at].contains(&all[at])), "{all:?}");
    assert_eq!(all[0], (101, 0));

    // A file that was rotated while nobody read is the next one again.
    let left_again = case.follower.position();
    case.rename("log", "log.1");
    case.append("log", "same\n");
    let before = places(&mut case.follower, 2000);
    let (mut second, lost) = Follower::resume(&Access::unrestricted(), &path, &left_again, 0);
    assert_eq!((places(&mut second, 2000), lost), (before, None));

    // What is not found again makes no number come twice.
    let (mut third, _) = Follower::resume(&Access::unrestricted(), &path, &left, 0);
    assert!(places(&mut third, 2000).iter().all(|place| place.0 > left.files[0].serial));
}
