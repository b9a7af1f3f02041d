//! The rules, each a function from the files of `src/` to what breaks it. A violation is one line of text, so that it can be listed.

use crate::source::{File, Module, Path};
use std::collections::{BTreeMap, BTreeSet};

/// A room of `src/`: a module with those below it, except where those have a line of their own in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The modules that it may import, each with those below it. Its own are always allowed.
    pub(crate) imports: &'static [&'static [&'static str]],
}

/// Whether a room may touch the outside world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Values and state machines: no files, sockets, processes or clocks.
    Core,
    /// Whatever the standard library offers.
    Outside,
}

/// What the core must not name.
const FORBIDDEN_IN_CORE: [&str; 13] = [
    "libc",
    "std::fs",
    "std::process",
    "std::thread",
    "std::env",
    "std::os",
    "std::io::stdin",
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::ToSocketAddrs",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// The files of `src/`, and the modules that they are.
pub(crate) struct House {
    files: Vec<File>,
    modules: BTreeSet<Module>,
}

fn shown(module: &[String]) -> String {
    if module.is_empty() {
        "src".to_string()
    } else {
        module.join("::")
    }
}

fn is_within(module: &[String], name: &str) -> bool {
    let mut parts = module.iter();
    name.split("::").all(|part| parts.next().is_some_and(|own| own == part))
}

fn room_of<'a>(rooms: &'a [Room], module: &[String]) -> Option<&'a Room> {
    rooms.iter().filter(|room| is_within(module, room.name)).max_by_key(|room| room.name.len())
}

impl House {
    /// The files with their modules. Test code has no part in it.
    pub(crate) fn new(files: Vec<File>) -> Self {
        let modules: BTreeSet<Module> = files.iter().map(|file| file.module.clone()).collect();
        Self { files, modules }
    }

    fn is_test(&self, module: &[String]) -> bool {
        let declares = |file: &File, at: usize| file.module == module[..at] && file.test_modules.contains(&module[at]);
        (0..module.len()).any(|at| self.files.iter().any(|file| declares(file, at)))
    }

    fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| !self.is_test(&file.module))
    }

    /// Each import of one module by another. The crate itself has nothing to import.
    fn arrows(&self) -> BTreeSet<(&Module, Module)> {
        let mut arrows = BTreeSet::new();
        for file in self.files() {
            for path in file.paths(&self.modules) {
                match path {
                    Path::Own(module, _) if !module.is_empty() && module != file.module => arrows.insert((&file.module, module)),
                    _ => false,
                };
            }
        }
        arrows
    }

    /// Modules that no room holds, and rooms that hold no module.
    pub(crate) fn unknown_rooms(&self, rooms: &[Room]) -> BTreeSet<String> {
        let homeless = self.files().filter(|file| !file.module.is_empty() && room_of(rooms, &file.module).is_none());
        let empty = rooms.iter().filter(|room| !self.modules.iter().any(|module| is_within(module, room.name)));
        let homeless = homeless.map(|file| format!("{} is in no room of the table", shown(&file.module)));
        homeless.chain(empty.map(|room| format!("{} is in the table, and not in src/", room.name))).collect()
    }

    /// Imports across rooms that the table does not allow.
    pub(crate) fn forbidden_imports(&self, rooms: &[Room]) -> BTreeSet<String> {
        let mut violations = BTreeSet::new();
        for (from, to) in self.arrows() {
            let (Some(room), false) = (room_of(rooms, from), from.starts_with(&to)) else { continue };
            let is_own = room_of(rooms, &to).is_some_and(|other| other.name == room.name);
            if !is_own && !room.imports.iter().copied().flatten().any(|allowed| is_within(&to, allowed)) {
                violations.insert(format!("{} imports {}", shown(from), shown(&to)));
            }
        }
        violations
    }

    /// Imports from a module above the importing one: what both need belongs into a module of its own, beside the importing one.
    pub(crate) fn arrows_up(&self) -> BTreeSet<String> {
        let up = |(from, to): &(&Module, Module)| from.starts_with(to);
        self.arrows()
            .into_iter()
            .filter(up)
            .map(|(from, to)| format!("{} imports {}, which is above it", shown(from), shown(&to)))
            .collect()
    }

    /// Types that get an `impl` outside of their own file. Those of a module's own traits may have one; types above it never.
    pub(crate) fn foreign_impls(&self) -> BTreeSet<String> {
        let mut violations = BTreeSet::new();
        for file in self.files() {
            let own = file.types();
            for (name, is_of_trait) in file.implemented().into_iter().filter(|(name, _)| !own.contains(name.as_str())) {
                let is_above = |other: &&File| file.module.starts_with(&other.module) && other.types().contains(name.as_str());
                let above = self.files().find(is_above).map(|other| other.module.clone());
                let imported = || {
                    file.paths(&self.modules).into_iter().find_map(|path| match path {
                        Path::Own(module, item) if item == name => Some(module),
                        _ => None,
                    })
                };
                let imported = if is_of_trait { None } else { imported() };
                if let Some(owner) = above.or(imported) {
                    violations.insert(format!("{} implements {name} of {}", shown(&file.module), shown(&owner)));
                }
            }
        }
        violations
    }

    /// In each folder, the modules that import each other in a circle.
    pub(crate) fn circles(&self) -> BTreeSet<String> {
        let mut folders: BTreeMap<&[String], BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
        let arrows = self.arrows();
        for (from, to) in &arrows {
            let shared = from.iter().zip(to.iter()).take_while(|(a, b)| a == b).count();
            if let (Some(a), Some(b)) = (from.get(shared), to.get(shared)) {
                folders.entry(&from[..shared]).or_default().entry(a).or_default().insert(b);
            }
        }
        let mut violations = BTreeSet::new();
        for (folder, imports) in &folders {
            for group in circles(imports) {
                violations.insert(format!("{}: {} import each other in a circle", shown(folder), Vec::from_iter(group).join(", ")));
            }
        }
        violations
    }

    /// What of the outside world the core names.
    pub(crate) fn outside_in_core(&self, rooms: &[Room]) -> BTreeSet<String> {
        let is_core = |file: &&File| room_of(rooms, &file.module).is_none_or(|room| room.kind == Kind::Core);
        let mut violations = BTreeSet::new();
        for file in self.files().filter(is_core) {
            for path in file.paths(&self.modules) {
                match path {
                    Path::Foreign(path) if is_outside(&path) => {
                        violations.insert(format!("{} names {}", shown(&file.module), path.join("::")))
                    }
                    _ => false,
                };
            }
        }
        violations
    }

    /// `unsafe` code, or an attribute that allows it, outside of these rooms.
    pub(crate) fn unsafe_outside(&self, allowed: &[&str]) -> BTreeSet<String> {
        let is_unsafe = |file: &&File| file.tokens.iter().any(|token| ["unsafe", "unsafe_code"].contains(&token.text.as_str()));
        let is_allowed = |file: &&File| allowed.iter().any(|name| is_within(&file.module, name));
        self.files()
            .filter(is_unsafe)
            .filter(|file| !is_allowed(file))
            .map(|file| format!("{} has unsafe code", shown(&file.module)))
            .collect()
    }

    pub(crate) fn long_files(&self, most: usize) -> BTreeSet<String> {
        self.files
            .iter()
            .filter(|file| file.lines > most)
            .map(|file| format!("{} has more than {most} lines", shown(&file.module)))
            .collect()
    }

    pub(crate) fn long_functions(&self, most: usize) -> BTreeSet<String> {
        let long = |file: &File| {
            let functions = file.functions.iter().filter(|(_, lines)| *lines > most);
            Vec::from_iter(functions.map(|(name, _)| format!("{}: {name} has more than {most} lines", shown(&file.module))))
        };
        self.files.iter().flat_map(long).collect()
    }
}

/// Whether a path of the standard library leads, or with a glob can lead, to the outside world.
fn is_outside(path: &[String]) -> bool {
    let is_glob = path.last().is_some_and(|last| last == "*");
    let path = if is_glob { &path[..path.len() - 1] } else { path };
    FORBIDDEN_IN_CORE
        .iter()
        .any(|forbidden| is_within(path, forbidden) || is_glob && forbidden.starts_with(&format!("{}::", path.join("::"))))
}

/// The groups of nodes that reach each other.
fn circles<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<BTreeSet<&'a str>> {
    let reached = |from: &'a str| {
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(node) = open.pop() {
            open.extend(imports.get(node).into_iter().flatten().filter(|next| reached.insert(**next)));
        }
        reached
    };
    let reach: BTreeMap<_, _> = imports.keys().map(|node| (*node, reached(node))).collect();
    let group =
        |node: &'a str| reach[node].iter().copied().filter(|other| reach.get(other).is_some_and(|back| back.contains(node))).collect();
    imports.keys().map(|node| group(node)).filter(|group: &BTreeSet<_>| !group.is_empty()).collect()
}
