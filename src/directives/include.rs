//! Puts the lines of include files in the place of the `include:` directives of a host file.

use super::host::HostSettings;
use super::source::{directive, Fault, Source, SourceLine};
use crate::text::has_separator;

/// A host file in which includes are replaced by their lines.
#[derive(Clone, Debug, Default)]
pub struct Expanded<'a> {
    /// All lines of groups, in the order of the host file.
    pub lines: Vec<SourceLine<'a>>,
    /// What the other lines say about the host.
    pub settings: HostSettings,
    /// The names of its includes, also of those that do not exist.
    pub includes: Vec<&'a str>,
    /// Includes that do not exist, are nested or have a bad name, and faults of the settings.
    pub faults: Vec<Fault>,
}

/// Replaces each `include: NAME` of a host file by the lines of that file. An include file cannot include another.
pub fn expand<'a>(host: Source<'a>, include: impl Fn(&str) -> Option<Source<'a>>) -> Expanded<'a> {
    let mut expanded = Expanded::default();
    for line in host.lines() {
        let Ok(("include", name)) = directive(&line) else {
            expanded.lines.push(line);
            continue;
        };
        if !is_plain_file_name(name) {
            expanded.faults.push(line.fault(format!("include: \"{name}\" is not a plain file name")));
            continue;
        }
        expanded.includes.push(name);
        let Some(source) = include(name) else {
            expanded.faults.push(line.fault(format!("include: there is no file \"{name}\" in the folder of includes")));
            continue;
        };
        for inner in source.lines() {
            match directive(&inner) {
                Ok(("include", _)) => expanded.faults.push(inner.fault("include: an include file cannot include another")),
                _ => expanded.lines.push(inner),
            }
        }
    }
    let (settings, faults) = HostSettings::take(&mut expanded.lines);
    expanded.settings = settings;
    expanded.faults.extend(faults);
    expanded
}

/// Whether a name from the network or from a configuration may name a file in a folder. It must not lead out of the folder, be hidden
/// (`.name`) or be the backup copy of an editor (`name~`, `#name#`).
pub fn is_plain_file_name(name: &str) -> bool {
    let backup = name.ends_with('~') || name.starts_with('#');
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with('.')
        && !backup
        && !name.chars().any(|c| c == '/' || c == '\\' || c.is_control())
        && !has_separator(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(path: &'a str, number: usize, text: &'a str) -> SourceLine<'a> {
        SourceLine { path, number, text }
    }

    #[test]
    fn names_that_leave_the_folder_are_not_plain() {
        for name in ["", ".", "..", ".hidden", "../x", "a/b", "/etc/shadow", "a\0b", "a\nb", "a%%b", "nas1~", "#nas1#"] {
            assert!(!is_plain_file_name(name), "{name:?}");
        }
        for name in ["nas1", "router.example.org", "büro", "a%b"] {
            assert!(is_plain_file_name(name), "{name:?}");
        }
    }

    #[test]
    fn an_include_stands_in_the_place_of_its_directive() {
        let host = Source { path: "h", text: "file: /a\ninclude: common\nfile: /z" };
        let common = Source { path: "i/common", text: "# shared\nmatch: b\n" };
        let expanded = expand(host, |name| (name == "common").then_some(common));
        assert_eq!(expanded.lines, [line("h", 1, "file: /a"), line("i/common", 2, "match: b"), line("h", 3, "file: /z")]);
        assert_eq!(expanded.includes, ["common"]);
        assert!(expanded.faults.is_empty());
    }

    #[test]
    fn bad_includes_are_faults_where_they_stand() {
        let host = Source { path: "h", text: "include: gone\ninclude: ../x\ninclude: outer" };
        let outer = Source { path: "i/outer", text: "\ninclude: common" };
        let expanded = expand(host, |name| (name == "outer").then_some(outer));
        let faults: Vec<_> = expanded.faults.iter().map(|fault| (fault.path.as_str(), fault.line)).collect();
        assert_eq!(faults, [("h", 1), ("h", 2), ("i/outer", 2)]);
        assert_eq!(expanded.includes, ["gone", "outer"]);
    }
}
