//! Paths with wildcards (glob(7)): `*`, `?`, `[…]` and `[!…]` within one part of a path, and `\` before a character that stands for itself.
//! Written by hand because libc's `glob(3)` lists every folder that a pattern names, also outside of what [`Access`] allows.

use super::access::{Access, AccessError, Location};
use super::dir::Names;
use crate::hash::Fnv1a;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A search for the regular files that a pattern matches. It goes on step by step, and takes bounded time and memory whatever the
/// folders hold: a pattern can lead over links that lead back, so that it matches more paths than anything can hold.
pub struct Search {
    access: Access,
    /// The parts of the pattern, each with its slash.
    parts: Vec<String>,
    /// Patterns of files that are left out: of their names, or of their whole paths if they have a slash.
    excludes: Vec<String>,
    /// The folders on the way to where the search is now, the outermost first.
    open: Vec<OpenFolder>,
    /// Names that were looked at.
    looked_at: usize,
    /// How many files [`Expansion::files`] may have.
    most: usize,
    found: Expansion,
    /// Whether a path was looked for in an allowed folder, found or not.
    is_inside: bool,
}

/// A folder that a part with a wildcard is searched for in.
struct OpenFolder {
    path: String,
    /// The index of the part.
    part: usize,
    names: Names,
    /// Whether one of the names matched, or might outside of the allowed folders.
    has_match: bool,
}

/// What a pattern matches.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// The files that were changed last, sorted by path. Those whose path is not UTF-8 are left out.
    pub files: Vec<FoundFile>,
    /// The other files.
    pub others: OtherFiles,
    /// Whether the pattern may match files outside of the allowed folders too, which are not looked for.
    pub is_partial: bool,
    /// Whether there was too much to look at, so that files may be missing here.
    pub is_given_up: bool,
    /// What something that matches is instead of a regular file, if the kernel makes it up.
    pub kernel_file: Option<AccessError>,
}

/// Files that match too: only what is needed to know how much each has grown.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OtherFiles {
    /// The hash of each path, and its size in bytes.
    sizes: Vec<(u64, u64)>,
}

/// A file that a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Its path, as the pattern leads to it.
    pub path: String,
    /// When it was changed last: seconds and nanoseconds since 1970.
    pub changed: (i64, i64),
    /// Its bytes.
    pub size: u64,
}

/// Whether a path can match another than itself.
pub fn is_pattern(path: &[u8]) -> bool {
    path.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\'))
}

impl Expansion {
    /// Adds a file to those that were changed last, the newest first, if it is one of the `most` of these.
    fn add(&mut self, file: FoundFile, most: usize) {
        let at = self.files.partition_point(|known| (known.changed, &known.path) > (file.changed, &file.path));
        self.files.insert(at, file);
        if self.files.len() > most {
            let other = self.files.pop();
            self.others.sizes.extend(other.map(|file| (Fnv1a::of(file.path.as_bytes()), file.size)));
        }
    }
}

impl OtherFiles {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// The size of a file, if it is one of these.
    pub fn size(&self, path: &str) -> Option<u64> {
        self.find(path).map(|at| self.sizes[at].1)
    }

    /// Notes another size of a file, if it is one of these.
    pub fn set_size(&mut self, path: &str, size: u64) {
        if let Some(at) = self.find(path) {
            self.sizes[at].1 = size;
        }
    }

    fn find(&self, path: &str) -> Option<usize> {
        let wanted = Fnv1a::of(path.as_bytes());
        self.sizes.iter().position(|(hash, _)| *hash == wanted)
    }
}

impl Search {
    /// Names that one step looks at.
    const STEP: usize = 256;
    /// Names that a whole search looks at. It gives up then.
    const MAX_NAMES: usize = 1 << 18;
    /// Files that a whole search finds. It gives up then.
    const MAX_FILES: usize = 1 << 14;
    /// Most parts with wildcards, each of which holds a folder open.
    const MAX_WILDCARDS: usize = 16;

    /// Begins a search that tells the paths of at most `most` files, and of none that one of `excludes` matches: its name, or its whole path
    /// where the pattern has a slash.
    pub fn new(access: &Access, pattern: &str, excludes: &[String], most: usize) -> Self {
        let parts = pattern.split_inclusive('/').map(str::to_string).collect();
        let found = Expansion::default();
        let (access, excludes) = (access.clone(), excludes.to_vec());
        let mut search = Self { access, parts, excludes, open: Vec::new(), looked_at: 0, most, found, is_inside: false };
        search.descend(String::new(), 0);
        search
    }

    /// Looks at some more names, all of them inside the allowed folders. Returns whether the search is complete.
    pub fn step(&mut self) -> bool {
        let until = self.looked_at + Self::STEP;
        while let Some(folder) = self.open.last_mut() {
            if self.looked_at >= until {
                return false;
            }
            self.looked_at += 1;
            let (part, Some(name)) = (folder.part, folder.names.next()) else {
                self.is_inside |= !folder.has_match;
                self.open.pop();
                continue;
            };
            let pattern = self.parts[part].strip_suffix('/').unwrap_or(&self.parts[part]);
            let Some(name) = std::str::from_utf8(&name).ok().filter(|name| is_match(pattern.as_bytes(), name.as_bytes())) else { continue };
            folder.has_match = true;
            let path = [&folder.path, name, &self.parts[part][pattern.len()..]].concat();
            self.descend(path, part + 1);
            if self.looked_at >= Self::MAX_NAMES || self.found.files.len() + self.found.others.sizes.len() >= Self::MAX_FILES {
                self.give_up();
            }
        }
        true
    }

    /// What was found.
    ///
    /// # Errors
    /// The pattern can match nothing that is allowed.
    pub fn finish(self) -> Result<Expansion, AccessError> {
        let Self { mut found, is_inside, .. } = self;
        if !is_inside && found.is_partial {
            return Err(AccessError::Refused);
        }
        for file in std::mem::take(&mut found.files) {
            let at = found.files.partition_point(|known| known.path < file.path);
            found.files.insert(at, file);
        }
        Ok(found)
    }

    fn give_up(&mut self) {
        self.open.clear();
        self.found.is_given_up = true;
    }

    /// Follows a path that the parts before `part` match, up to the next part with a wildcard.
    fn descend(&mut self, mut path: String, mut part: usize) {
        while let Some(next) = self.parts.get(part) {
            if is_pattern(next.as_bytes()) {
                return self.open_folder(path, part);
            }
            path += next;
            part += 1;
        }
        self.add(path);
    }

    fn open_folder(&mut self, path: String, part: usize) {
        if self.open.len() == Self::MAX_WILDCARDS {
            return self.give_up();
        }
        let mut has_match = false;
        let names = match self.access.locate(path.as_ref()) {
            Ok(Location::Above(above)) => {
                // Whatever else the folder may hold is outside.
                (self.found.is_partial, has_match) = (true, true);
                Names::of(&self.access.names_towards(&above))
            }
            Ok(Location::Inside(real)) => {
                // A folder that cannot be read holds nothing that matches.
                Names::open(&real).unwrap_or_else(|_| Names::of(&[]))
            }
            Err(AccessError::Refused) => {
                self.found.is_partial = true;
                return;
            }
            Err(_) => {
                self.is_inside = true;
                return;
            }
        };
        self.open.push(OpenFolder { path, part, names, has_match });
    }

    /// Adds a path if it leads to a regular file.
    fn add(&mut self, path: String) {
        if self.excludes.iter().any(|pattern| is_excluded(pattern, &path)) {
            self.is_inside = true;
            return;
        }
        match self.access.regular(Path::new(&path)) {
            Ok(meta) => {
                self.found.add(FoundFile { path, changed: (meta.mtime(), meta.mtime_nsec()), size: meta.len() }, self.most);
            }
            Err(AccessError::Refused) => {
                self.found.is_partial = true;
                return;
            }
            // Folders and devices beside the logs are no mistake.
            Err(e @ AccessError::NotRegular(_)) if self.access.metadata(path.as_ref()).is_ok_and(|meta| meta.is_file()) => {
                self.found.kernel_file = Some(e);
            }
            Err(_) => {}
        }
        self.is_inside = true;
    }
}

/// Whether a pattern of files that are left out matches that one.
fn is_excluded(pattern: &str, path: &str) -> bool {
    let is_match = |(pattern, name): (&str, &str)| is_match(pattern.as_bytes(), name.as_bytes());
    if !pattern.contains('/') {
        return is_match((pattern, path.rsplit('/').next().unwrap_or(path)));
    }
    pattern.matches('/').count() == path.matches('/').count() && pattern.split('/').zip(path.split('/')).all(is_match)
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
    use crate::fs::test_folder::TestFolder;
    use std::fs;
    use std::time::{Duration, SystemTime};

    #[test]
    fn files_are_left_out_by_their_names_or_their_whole_paths() {
        for (pattern, path, expected) in [
            ("*.gz", "/var/log/a.gz", true),
            ("*.gz", "/var/log/a.gz.log", false),
            ("*.[0-9]", "/var/log/a.1", true),
            ("/var/log/*.gz", "/var/log/a.gz", true),
            ("/var/log/*.gz", "/var/log/x/a.gz", false),
            ("/var/*/old.log", "/var/log/old.log", true),
            ("log/*", "/var/log/a", false),
            ("a", "/a/b", false),
        ] {
            assert_eq!(is_excluded(pattern, path), expected, "{pattern} {path}");
        }
    }

    /// The outcome of a whole search.
    fn search(access: &Access, pattern: &str, most: usize) -> Result<Expansion, AccessError> {
        let mut search = Search::new(access, pattern, &[], most);
        while !search.step() {}
        search.finish()
    }

    fn paths(found: &Expansion) -> Vec<String> {
        found.files.iter().map(|file| file.path.clone()).collect()
    }

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
        let folder = TestFolder::new();
        for name in ["a1", "a2", "b1"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
            std::fs::write(folder.join(name).join("x.log"), "").unwrap();
        }
        let root = folder.display().to_string();
        let found = |pattern: &str| paths(&search(&Access::unrestricted(), &format!("{root}/{pattern}"), 9).unwrap());
        assert_eq!(found("a?/*.log"), [format!("{root}/a1/x.log"), format!("{root}/a2/x.log")]);
        assert_eq!(found("*1/x.log"), [format!("{root}/a1/x.log"), format!("{root}/b1/x.log")]);
        assert_eq!(found("*/y.log"), [""; 0]);
        assert_eq!(found("[ab]*"), [""; 0], "folders are no logs");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "folders to look into")]
    fn wildcards_look_at_nothing_outside_of_the_allowed_folders() {
        let folder = TestFolder::new();
        for name in ["logs/a", "logs/b", "logs-not", "private"] {
            fs::create_dir_all(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("x.log"), "").unwrap();
        }
        for (target, link) in [("../private/x.log", "logs/link1"), ("../private/none", "logs/link2"), ("../private", "logs/folder")] {
            std::os::unix::fs::symlink(target, folder.join(link)).unwrap();
        }
        let root = folder.canonicalize().unwrap().display().to_string();
        let access = Access::below(&[&*format!("{root}/logs")]).unwrap();
        let found = |paths: &[&str], is_partial| Ok((paths.iter().map(|path| format!("{root}/{path}")).collect(), is_partial));
        let refused = || Err(AccessError::Refused);
        for (pattern, expected) in [
            ("logs/[ab]/*.log", found(&["logs/a/x.log", "logs/b/x.log"], false)),
            ("logs/?/none", found(&[], false)),
            ("logs/none/*", found(&[], false)),
            ("logs/c*", found(&[], false)),
            // Outside, whether there is anything or not.
            ("private/*", refused()),
            ("none/*", refused()),
            ("priv*/x.log", refused()),
            ("nothing*/x.log", refused()),
            ("*/../private/*", refused()),
            ("logs/../private/*", refused()),
            ("logs/../none/*", refused()),
            // On both sides.
            ("*/a/x.log", found(&["logs/a/x.log"], true)),
            ("log[s]*/*/x.log", found(&["logs/a/x.log", "logs/b/x.log"], true)),
            ("*/none", found(&[], true)),
            ("*", found(&[], true)),
            // Links that lead outside.
            ("logs/link1*", refused()),
            ("logs/link2*", refused()),
            ("logs/folder/*", refused()),
            ("logs/*/x.log", found(&["logs/a/x.log", "logs/b/x.log"], true)),
        ] {
            let outcome = search(&access, &format!("{root}/{pattern}"), 9).map(|found| (paths(&found), found.is_partial));
            assert_eq!(outcome, expected, "{pattern}");
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "files to find")]
    fn the_files_that_changed_last_are_named_and_the_sizes_of_the_others_known() {
        let folder = TestFolder::new();
        let path = |number: u64| format!("{}/{number}.log", folder.display());
        for number in 10..20 {
            fs::write(path(number), "x".repeat(usize::try_from(number).unwrap())).unwrap();
            // 14 is the newest, 15 the oldest.
            let changed = SystemTime::UNIX_EPOCH + Duration::from_secs((number + 5) % 10 + 1_000);
            fs::File::options().append(true).open(path(number)).unwrap().set_modified(changed).unwrap();
        }
        let found = search(&Access::unrestricted(), &format!("{}/*.log", folder.display()), 3).unwrap();
        assert_eq!(paths(&found), [path(12), path(13), path(14)]);
        assert_eq!((found.others.sizes.len(), found.others.size(&path(11)), found.others.size(&path(12))), (7, Some(11), None));
        assert!(!found.is_given_up);
    }

    #[test]
    fn a_pattern_over_links_that_lead_back_ends() {
        let folder = TestFolder::new();
        for link in 0..8 {
            std::os::unix::fs::symlink(".", folder.join(link.to_string())).unwrap();
        }
        let root = folder.canonicalize().unwrap().display().to_string();
        for (access, depth) in [(Access::unrestricted(), 12), (Access::below(&[&*root]).unwrap(), 40)] {
            let mut search = Search::new(&access, &format!("{root}{}/log", "/*".repeat(depth)), &[], 9);
            let mut steps = 1;
            while !search.step() {
                steps += 1;
                assert!(search.looked_at <= steps * Search::STEP);
            }
            assert!(search.finish().unwrap().is_given_up, "{depth}");
        }
    }
}
