//! Paths with wildcards, as `glob(7)` has them: `*`, `?`, `[…]`, `[!…]` within one part of a path, and `\` before a plain character.

use super::dir;

/// The paths that a pattern matches now, sorted; those that are not UTF-8 are left out.
pub fn matches(pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for part in pattern.split_inclusive('/') {
        for path in std::mem::take(&mut found) {
            if is_pattern(part.as_bytes()) {
                add_names(&path, part, &mut found);
            } else {
                add(path + part, &mut found);
            }
        }
    }
    found.sort_unstable();
    found
}

fn add(path: String, found: &mut Vec<String>) {
    if std::fs::symlink_metadata(&path).is_ok() {
        found.push(path);
    }
}

/// Whether a path can match another than itself.
pub fn is_pattern(path: &[u8]) -> bool {
    path.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'))
}

/// Adds what is in a folder and matches.
fn add_names(path: &str, part: &str, found: &mut Vec<String>) {
    let pattern = part.strip_suffix('/').unwrap_or(part);
    let slash = &part[pattern.len()..];
    // A folder that cannot be read holds nothing that matches.
    let _ = dir::list(path.as_bytes(), &mut |name, _| {
        if let Some(name) = std::str::from_utf8(name).ok().filter(|name| is_match(pattern.as_bytes(), name.as_bytes())) {
            add([path, name, slash].concat(), found);
        }
    });
}

/// Whether a part of a path matches the whole name. A leading dot is matched by a dot only.
fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the last star does not match: the star takes one character more.
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

/// Matches one character of a name: how many bytes of the pattern and of the name that takes.
fn one(pattern: &[u8], name: &[u8]) -> Option<(usize, usize)> {
    let length = 1 + name[1..].iter().take_while(|b| **b & 0xc0 == 0x80).count();
    match *pattern.first()? {
        b'?' => Some((1, length)),
        b'[' => match set(pattern, name[0]) {
            Some((next, holds)) => holds.then_some((next, length)),
            // Without its end it stands for itself.
            None => (name[0] == b'[').then_some((1, 1)),
        },
        b'\\' if pattern.len() > 1 => (pattern[1] == name[0]).then_some((2, 1)),
        plain => (plain == name[0]).then_some((1, 1)),
    }
}

/// Reads `[a-z]`: its length, and whether the byte is in it. `None` where it has no end.
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
        let found = |pattern: &str| matches(&format!("{root}/{pattern}"));
        assert_eq!(found("a?/*.log"), [format!("{root}/a1/x.log"), format!("{root}/a2/x.log")]);
        assert_eq!(found("*1/x.log"), [format!("{root}/a1/x.log"), format!("{root}/b1/x.log")]);
        assert_eq!(found("*/y.log"), [""; 0]);
        assert_eq!(found("[ab]*"), ["a1", "a2", "b1"].map(|name| format!("{root}/{name}")));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
