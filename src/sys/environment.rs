//! The environment of the commands that a program starts: its own, except for the language of numbers and messages.

use std::ffi::CString;

/// The variable that marks all that one command has started, up to its value.
pub(super) const MARK: &str = "AA436_COMMAND=";

/// Numbers and messages have the form that rules are written for, whatever language the system speaks.
const ALWAYS: [&str; 3] = ["LC_NUMERIC=", "LC_MESSAGES=", MARK];

const ALL: &str = "LC_ALL=";

/// What LC_ALL stands for besides those (locale(7)).
const OTHERS: [&str; 10] = [
    "LC_CTYPE=",
    "LC_COLLATE=",
    "LC_MONETARY=",
    "LC_TIME=",
    "LC_PAPER=",
    "LC_NAME=",
    "LC_ADDRESS=",
    "LC_TELEPHONE=",
    "LC_MEASUREMENT=",
    "LC_IDENTIFICATION=",
];

/// Which variables of this process a command has too, and what it has instead of the others. `mark` is a whole variable.
pub(super) fn of_command<'a>(own: &[&'a [u8]], mark: &str) -> (Vec<&'a [u8]>, Vec<CString>) {
    let all = own.iter().find_map(|variable| variable.strip_prefix(ALL.as_bytes())).filter(|all| !all.is_empty());
    let others: &[&str] = if all.is_some() { &OTHERS } else { &[] };
    let mut kept = own.to_vec();
    kept.retain(|variable| {
        !variable.starts_with(ALL.as_bytes()) && !starts_with_one(variable, &ALWAYS) && !starts_with_one(variable, others)
    });
    let mut instead = Vec::new();
    let mut add = |name: &str, value: &[u8]| instead.extend(CString::new([name.as_bytes(), value].concat()));
    add(mark, b"");
    add(ALWAYS[0], b"C");
    add(ALWAYS[1], b"C");
    others.iter().for_each(|name| add(name, all.unwrap_or_default()));
    (kept, instead)
}

fn starts_with_one(variable: &[u8], names: &[&str]) -> bool {
    names.iter().any(|name| variable.starts_with(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(own: &[&str]) -> Vec<String> {
        let own: Vec<&[u8]> = own.iter().map(|variable| variable.as_bytes()).collect();
        let (kept, instead) = of_command(&own, "AA436_COMMAND=7");
        let kept = kept.into_iter().map(|variable| String::from_utf8(variable.to_vec()).unwrap());
        let mut variables: Vec<_> = kept.chain(instead.into_iter().map(|variable| variable.into_string().unwrap())).collect();
        variables.sort();
        variables
    }

    #[test]
    fn a_command_keeps_its_environment_but_not_the_language_of_numbers_and_messages() {
        let own = ["LANG=de_DE.UTF-8", "PATH=/bin", "LC_NUMERIC=de_DE", "LC_TIME=fr_FR", "LC_ALL=", "AA436_COMMAND=1"];
        let expected = ["AA436_COMMAND=7", "LANG=de_DE.UTF-8", "LC_MESSAGES=C", "LC_NUMERIC=C", "LC_TIME=fr_FR", "PATH=/bin"];
        assert_eq!(of(&own), expected);
    }

    #[test]
    fn the_other_parts_of_lc_all_are_passed_on_one_by_one() {
        let variables = of(&["LC_ALL=de_DE.UTF-8", "LC_CTYPE=C", "LC_MESSAGES=fr_FR", "A=b=c"]);
        assert_eq!(variables.len(), 4 + OTHERS.len(), "{variables:?}");
        for variable in ["LC_CTYPE=de_DE.UTF-8", "LC_COLLATE=de_DE.UTF-8", "LC_MESSAGES=C", "LC_NUMERIC=C", "A=b=c"] {
            assert!(variables.iter().any(|one| one == variable), "{variable} in {variables:?}");
        }
        assert!(!variables.iter().any(|one| one.starts_with("LC_ALL")));
    }
}
