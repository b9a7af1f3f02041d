//! Paths with wildcards (glob(7)): `*`, `?`, `[…]` and `[!…]` within one part of a path, and `\` before a character that stands for itself.
//! Written by hand because libc's `glob(3)` lists every folder that a pattern names, also outside of what [`Access`] allows.

use super::access::{Access, AccessError, Location};
use super::dir;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a pattern matches.
#[derive(Debug, PartialEq, Eq)]
pub struct Expansion {
    /// The paths that exist, sorted. Those that are not UTF-8 are left out.
    pub paths: Vec<String>,
    /// Whether the pattern may match files outside of the allowed folders too, which are not looked for.
    pub is_partial: bool,
}

/// Finds the paths that a pattern matches now, without looking at anything outside of the allowed folders.
///
/// # Errors
/// The pattern can match nothing that is allowed.
pub fn expand(access: &Access, pattern: &str) -> Result<Expansion, AccessError> {
    let mut search = Search { access, found: vec![String::new()], is_inside: false, is_outside: false };
    for part in pattern.split_inclusive('/') {
        for path in std::mem::take(&mut search.found) {
            if is_pattern(part.as_bytes()) {
                search.add_matches(&path, part);
            } else {
                search.add(path + part);
            }
        }
    }
    search.finish()
}

/// Whether a path can match another than itself.
pub fn is_pattern(path: &[u8]) -> bool {
    path.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'))
}

struct Search<'a> {
    access: &'a Access,
    /// What the parts of the pattern so far match.
    found: Vec<String>,
    /// Whether a path was looked for in an allowed folder, found or not.
    is_inside: bool,
    /// Whether a path may lead outside.
    is_outside: bool,
}

impl Search<'_> {
    /// Adds a path if it exists.
    fn add(&mut self, path: String) {
        let exists = match self.access.locate(path.as_ref()) {
            Ok(Location::Above(_)) => true,
            Ok(Location::Inside(real)) => fs::symlink_metadata(real).is_ok(),
            Err(AccessError::Refused) => {
                self.is_outside = true;
                return;
            }
            Err(AccessError::System(_)) => false,
        };
        if exists {
            self.found.push(path);
        } else {
            self.is_inside = true;
        }
    }

    /// Adds what is in a folder and matches a part of the pattern.
    fn add_matches(&mut self, folder: &str, part: &str) {
        let pattern = part.strip_suffix('/').unwrap_or(part);
        let slash = &part[pattern.len()..];
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: &[u8]| {
            let matching = std::str::from_utf8(name).ok().filter(|name| is_match(pattern.as_bytes(), name.as_bytes()));
            names.extend(matching.map(str::to_string));
        };
        match self.access.locate(folder.as_ref()) {
            Ok(Location::Above(above)) => {
                // Whatever else the folder may hold is outside.
                self.is_outside = true;
                self.access.names_towards(&above).into_iter().for_each(|name| add(name.as_bytes()));
            }
            Ok(Location::Inside(real)) => {
                // A folder that cannot be read holds nothing that matches.
                let _ = dir::list(real.as_os_str().as_bytes(), &mut |name, _| add(name));
                self.is_inside |= names.is_empty();
            }
            Err(AccessError::Refused) => self.is_outside = true,
            Err(AccessError::System(_)) => self.is_inside = true,
        }
        for name in names {
            self.add([folder, &name, slash].concat());
        }
    }

    fn finish(self) -> Result<Expansion, AccessError> {
        let Self { access, mut found, mut is_inside, mut is_outside } = self;
        found.retain(|path| {
            let is_allowed = matches!(access.locate(Path::new(path)), Ok(Location::Inside(_)));
            is_inside |= is_allowed;
            is_outside |= !is_allowed;
            is_allowed
        });
        if !is_inside && is_outside {
            return Err(AccessError::Refused);
        }
        found.sort_unstable();
        Ok(Expansion { paths: found, is_partial: is_outside })
    }
}

/// Whether a part of a pattern matches the whole name. Only a dot matches a leading dot.
fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    // The last star and where its match ends: when what follows does not match, the star takes one more byte.
    let mut star = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
        } else if let Some((next, taken)) = one(&pattern[p..], &name[n..]) {
            p += next;
            n += taken;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, n) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// Matches one character of a name. Returns how many bytes of the pattern and of the name it takes.
fn one(pattern: &[u8], name: &[u8]) -> Option<(usize, usize)> {
    let length = 1 + name[1..].iter().take_while(|b| **b & 0xc0 == 0x80).count();
    match *pattern.first()? {
        b'?' => Some((1, length)),
        b'[' => match set(pattern, name[0]) {
            Some((next, holds)) => holds.then_some((next, length)),
            // A bracket that is never closed stands for itself.
            None => (name[0] == b'[').then_some((1, 1)),
        },
        b'\\' if pattern.len() > 1 => (pattern[1] == name[0]).then_some((2, 1)),
        plain => (plain == name[0]).then_some((1, 1)),
    }
}

/// Reads a set such as `[a-z]`. Returns its length and whether it contains the byte; `None` if the set is never closed.
fn set(pattern: &[u8], byte: u8) -> Option<(usize, bool)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    let mut at = first;
    let mut holds = false;
    while pattern.get(at) != Some(&b']') || at == first {
        let low = *pattern.get(at)?;
        let range = pattern.get(at + 1) == Some(&b'-') && pattern.get(at + 2).is_some_and(|high| *high != b']');
        let high = if range { pattern[at + 2] } else { low };
        holds |= (low..=high).contains(&byte);
        at += if range { 3 } else { 1 };
    }
    Some((at + 1, holds != negated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_a_shell() {
        for (pattern, name, matches) in [
            ("*", "a.log", true),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
            ("*.log", "a.log", true),
            ("*.log", "a.log.1", false),
            ("*a*b*", "xaxxab", true),
            ("*a*b", "xaxba", false),
            ("?.log", "a.log", true),
            ("?.log", "ä.log", true),
            ("?.log", ".log", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[]x]", "]", true),
            ("[a-]", "-", true),
            ("[a", "[a", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            ("a**", "a", true),
            ("", "", true),
        ] {
            assert_eq!(is_match(pattern.as_bytes(), name.as_bytes()), matches, "{pattern} {name}");
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a folder to look into")]
    fn wildcards_match_in_every_part_of_a_path() {
        let folder = std::env::temp_dir().join(format!("436-glob-{}", std::process::id()));
        for name in ["a1", "a2", "b1"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
            std::fs::write(folder.join(name).join("x.log"), "").unwrap();
        }
        let root = folder.display().to_string();
        let found = |pattern: &str| expand(&Access::unrestricted(), &format!("{root}/{pattern}")).unwrap().paths;
        assert_eq!(found("a?/*.log"), [format!("{root}/a1/x.log"), format!("{root}/a2/x.log")]);
        assert_eq!(found("*1/x.log"), [format!("{root}/a1/x.log"), format!("{root}/b1/x.log")]);
        assert_eq!(found("*/y.log"), [""; 0]);
        assert_eq!(found("[ab]*"), ["a1", "a2", "b1"].map(|name| format!("{root}/{name}")));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "folders to look into")]
    fn wildcards_look_at_nothing_outside_of_the_allowed_folders() {
        let folder = std::env::temp_dir().join(format!("436-glob-access-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        for name in ["logs/a", "logs/b", "logs-not", "private"] {
            fs::create_dir_all(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("x.log"), "").unwrap();
        }
        for (target, link) in [("../private/x.log", "logs/link1"), ("../private/none", "logs/link2"), ("../private", "logs/folder")] {
            std::os::unix::fs::symlink(target, folder.join(link)).unwrap();
        }
        let root = folder.canonicalize().unwrap().display().to_string();
        let access = Access::below(&[&*format!("{root}/logs")]).unwrap();
        let paths =
            |paths: &[&str], is_partial| Ok(Expansion { paths: paths.iter().map(|path| format!("{root}/{path}")).collect(), is_partial });
        let refused = || Err(AccessError::Refused);
        for (pattern, expected) in [
            ("logs/[ab]/*.log", paths(&["logs/a/x.log", "logs/b/x.log"], false)),
            ("logs/?/none", paths(&[], false)),
            ("logs/none/*", paths(&[], false)),
            ("logs/c*", paths(&[], false)),
            // Outside, whether there is anything or not.
            ("private/*", refused()),
            ("none/*", refused()),
            ("priv*/x.log", refused()),
            ("nothing*/x.log", refused()),
            ("*/../private/*", refused()),
            ("logs/../private/*", refused()),
            ("logs/../none/*", refused()),
            // On both sides.
            ("*/a/x.log", paths(&["logs/a/x.log"], true)),
            ("log[s]*/*/x.log", paths(&["logs/a/x.log", "logs/b/x.log"], true)),
            ("*/none", paths(&[], true)),
            ("*", paths(&["logs"], true)),
            // Links that lead outside.
            ("logs/link1*", refused()),
            ("logs/link2*", refused()),
            ("logs/folder/*", refused()),
            ("logs/*/x.log", paths(&["logs/a/x.log", "logs/b/x.log"], true)),
        ] {
            assert_eq!(expand(&access, &format!("{root}/{pattern}")), expected, "{pattern}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
