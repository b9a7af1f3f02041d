//! The environment of the commands that a program starts: its own, except for the language of numbers and messages.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

/// The variable that marks all that one command has started.
pub(super) const MARK: &str = "AA436_COMMAND";

/// Numbers and messages have the form that rules are written for, whatever language the system speaks.
const ALWAYS: [&str; 2] = ["LC_NUMERIC", "LC_MESSAGES"];

/// What LC_ALL stands for besides those (locale(7)).
const OTHERS: [&str; 10] = [
    "LC_CTYPE",
    "LC_COLLATE",
    "LC_MONETARY",
    "LC_TIME",
    "LC_PAPER",
    "LC_NAME",
    "LC_ADDRESS",
    "LC_TELEPHONE",
    "LC_MEASUREMENT",
    "LC_IDENTIFICATION",
];

/// The environment of a command, made of that of this process. `mark` is a whole variable.
pub(super) fn of_command(own: impl Iterator<Item = (OsString, OsString)>, mark: &str) -> Vec<CString> {
    let own: Vec<_> = own.collect();
    let all = own.iter().find(|(name, value)| name == "LC_ALL" && !value.is_empty()).map(|(_, value)| value.as_os_str());
    let others: &[&str] = if all.is_some() { &OTHERS } else { &[] };
    let is_replaced = |name: &OsStr| name == "LC_ALL" || name == MARK || ALWAYS.iter().chain(others).any(|replaced| name == *replaced);
    let mut variables = vec![mark.into()];
    let mut add = |name: &OsStr, value: &OsStr| variables.push([name, OsStr::new("="), value].into_iter().collect::<OsString>());
    own.iter().filter(|(name, _)| !is_replaced(name)).for_each(|(name, value)| add(name, value));
    ALWAYS.iter().for_each(|name| add(name.as_ref(), "C".as_ref()));
    others.iter().for_each(|name| add(name.as_ref(), all.unwrap_or_default()));
    variables.into_iter().filter_map(|variable| CString::new(variable.into_vec()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(own: &[(&str, &str)]) -> Vec<String> {
        let own = own.iter().map(|(name, value)| (name.into(), value.into()));
        let mut variables: Vec<_> =
            of_command(own, "AA436_COMMAND=7").into_iter().map(|variable| variable.into_string().unwrap()).collect();
        variables.sort();
        variables
    }

    #[test]
    fn a_command_keeps_its_environment_but_not_the_language_of_numbers_and_messages() {
        let own = [("LANG", "de_DE.UTF-8"), ("PATH", "/bin"), ("LC_NUMERIC", "de_DE"), ("LC_TIME", "fr_FR"), ("LC_ALL", ""), (MARK, "1")];
        let expected = ["AA436_COMMAND=7", "LANG=de_DE.UTF-8", "LC_MESSAGES=C", "LC_NUMERIC=C", "LC_TIME=fr_FR", "PATH=/bin"];
        assert_eq!(of(&own), expected);
    }

    #[test]
    fn the_other_parts_of_lc_all_are_passed_on_one_by_one() {
        let variables = of(&[("LC_ALL", "de_DE.UTF-8"), ("LC_CTYPE", "C"), ("LC_MESSAGES", "fr_FR"), ("A", "b=c")]);
        assert_eq!(variables.len(), 4 + OTHERS.len(), "{variables:?}");
        for variable in ["LC_CTYPE=de_DE.UTF-8", "LC_COLLATE=de_DE.UTF-8", "LC_MESSAGES=C", "LC_NUMERIC=C", "A=b=c"] {
            assert!(variables.iter().any(|one| one == variable), "{variable} in {variables:?}");
        }
        assert!(!variables.iter().any(|one| one.starts_with("LC_ALL")));
    }
}
