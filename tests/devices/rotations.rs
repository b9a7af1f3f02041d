//! What can happen to a log: rotations of all kinds, with numbered lines before and after, and a proof that each took place.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{Program, Site};
use crate::numbered::Log;
use std::fs;
use std::os::unix::fs::{symlink, MetadataExt};
use std::path::Path;
use std::process::Command;

/// One row of the fault matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    Rename,
    CopyAndTruncate,
    Regrow,
    Recreate,
    LateWriter,
    Halves,
    TwoRotations,
    Compressed,
    SwitchedLink,
    Wildcard,
}

/// A log and what happens to it.
pub(crate) struct Row {
    pub(crate) rotation: Rotation,
    pub(crate) log: Log,
    /// How often it was rotated.
    rounds: u32,
    /// The agent's lines that come at a time.
    lines: u32,
}

impl Rotation {
    pub(crate) const ALL: [Self; 10] = [
        Self::Rename,
        Self::CopyAndTruncate,
        Self::Regrow,
        Self::Recreate,
        Self::LateWriter,
        Self::Halves,
        Self::TwoRotations,
        Self::Compressed,
        Self::SwitchedLink,
        Self::Wildcard,
    ];

    /// The tags of the events; in small letters the name of the log.
    fn tags(self) -> &'static str {
        match self {
            Self::Rename => "RENAME",
            Self::CopyAndTruncate => "COPY_AND_TRUNCATE",
            Self::Regrow => "REGROW",
            Self::Recreate => "RECREATE",
            Self::LateWriter => "LATE_WRITER",
            Self::Halves => "HALVES",
            Self::TwoRotations => "TWO_ROTATIONS",
            Self::Compressed => "COMPRESSED",
            Self::SwitchedLink => "SWITCHED_LINK",
            Self::Wildcard => "WILDCARD",
        }
    }
}

impl Row {
    pub(crate) fn new(site: &Site, rotation: Rotation, lines: u32) -> Self {
        let row = Self { rotation, log: Log::new(site, rotation.tags()), rounds: 0, lines };
        match rotation {
            Rotation::SwitchedLink => {
                row.log.write_text("link.0.log", &row.old());
                symlink("link.0.log", row.log.path(&row.name())).unwrap();
            }
            Rotation::Wildcard => ["card-a.log", "card-b.log"].iter().for_each(|name| row.log.write_text(name, &row.old())),
            _ => row.log.write_text(&row.name(), &row.old()),
        }
        row
    }

    /// The content from before the agent: in some logs more than the bytes that identify a file, in others fewer.
    fn old(&self) -> String {
        format!("an old entry of {}\n", self.log.tags).repeat(if self.rotation as usize % 2 == 0 { 1 } else { 20 })
    }

    /// The rule that makes an event of every line.
    pub(crate) fn rule(&self) -> String {
        let name = if self.rotation == Rotation::Wildcard { "card-*.log".into() } else { self.name() };
        format!("file: {}\nmatch: ^line\nalert_all: tags={}\n", self.log.path(&name).display(), self.log.tags)
    }

    pub(crate) fn name(&self) -> String {
        format!("{}.log", self.log.tags.to_lowercase())
    }

    fn rotated(&self, number: u32) -> String {
        format!("{}.{number}", self.name())
    }

    /// Writes lines to the log as it is at the moment.
    pub(crate) fn write(&mut self) {
        let lines = self.lines;
        match self.rotation {
            Rotation::Wildcard => {
                self.log.write("card-a.log", lines);
                self.log.write("card-b.log", lines);
            }
            Rotation::Halves => {
                self.end_line();
                self.log.write(&self.name(), lines);
                self.begin_line();
            }
            _ => self.log.write(&self.name(), lines),
        }
    }

    /// Writes lines that the agent may not have read at the next rotation, if the lines can still be read after it.
    pub(crate) fn write_unread(&mut self, agent: Option<&Program>) {
        match self.rotation {
            // Nobody can read what was cut from a file before.
            Rotation::Regrow => {}
            // A deleted file exists as long as the agent has it open, and so does a file that was replaced by a compressed copy.
            Rotation::Recreate => {
                let path = self.log.path(&self.name());
                if agent.is_some_and(|agent| agent.open_files().contains(&path)) {
                    self.write();
                }
            }
            _ => self.write(),
        }
    }

    /// Rotates the log, and writes on.
    pub(crate) fn rotate(&mut self, agent: Option<&Program>) {
        self.rounds += 1;
        match self.rotation {
            Rotation::Rename => self.shift(),
            Rotation::CopyAndTruncate => self.copy_and_truncate(),
            Rotation::Regrow => self.regrow(),
            Rotation::Recreate => self.recreate(),
            Rotation::LateWriter => {
                self.shift();
                self.write();
                return self.write_late();
            }
            // Half of a line is there all the time. Its other half is written next.
            Rotation::Halves if self.log.path("half").exists() => {}
            Rotation::Halves => self.begin_line(),
            Rotation::TwoRotations => {
                // The agent must not see the log between the two.
                agent.into_iter().for_each(|agent| agent.signal("STOP"));
                self.write();
                self.shift();
                self.write();
                self.shift();
                self.write();
                agent.into_iter().for_each(|agent| agent.signal("CONT"));
            }
            Rotation::Compressed => self.compress(),
            Rotation::SwitchedLink => self.switch(),
            Rotation::Wildcard => self.rotate_wildcard(),
        }
        self.write();
    }

    /// Writes to the file that had the name before, if the agent still has to look at it.
    pub(crate) fn write_late_to(&mut self, agent: &Program) {
        if self.rotation == Rotation::LateWriter && agent.open_files().contains(&self.log.path(&self.rotated(1))) {
            self.write_late();
        }
    }

    fn write_late(&mut self) {
        let before = size(&self.log.path(&self.rotated(1)));
        self.log.write(&self.rotated(1), self.lines);
        assert!(size(&self.log.path(&self.rotated(1))) > before);
    }

    /// The start of a line that ends after the next rotation.
    fn begin_line(&mut self) {
        let line = self.log.lines(1);
        let (half, rest) = line.split_at(6);
        self.log.write_text(&self.name(), half);
        self.log.write_text("half", rest);
    }

    /// Writes the end of that line.
    pub(crate) fn end_line(&mut self) {
        let path = self.log.path("half");
        if self.rotation != Rotation::Halves || !path.exists() {
            return;
        }
        let text = fs::read_to_string(self.log.path(&self.name())).unwrap();
        assert!(!text.ends_with('\n'), "the line was not written in halves");
        self.log.write_text(&self.name(), &fs::read_to_string(&path).unwrap());
        fs::remove_file(path).unwrap();
    }

    /// Gives every rotated file the next number.
    fn make_room(&self) {
        for (number, ending) in (1..20).rev().flat_map(|number| [(number, ""), (number, ".gz")]) {
            let name = |number: u32| self.rotated(number) + ending;
            if self.log.path(&name(number)).exists() {
                self.rename(&name(number), &name(number + 1));
            }
        }
    }

    /// Gives every rotated file the next number, and a new file the name.
    fn shift(&mut self) {
        let path = self.log.path(&self.name());
        let before = inode(&path);
        self.make_room();
        self.rename(&self.name(), &self.rotated(1));
        self.log.write(&self.name(), 1);
        assert_eq!(inode(&self.log.path(&self.rotated(1))), before);
        assert_ne!(inode(&path), before);
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.log.path(from), self.log.path(to)).unwrap();
    }

    fn copy_and_truncate(&mut self) {
        let (path, copy) = (self.log.path(&self.name()), self.log.path(&self.rotated(1)));
        self.make_room();
        let (before, old) = (inode(&path), size(&path));
        fs::copy(&path, &copy).unwrap();
        // Nobody could read or even know of what would be written here.
        truncate(&path);
        assert_eq!((inode(&path), size(&path), size(&copy)), (before, 0, old));
    }

    fn regrow(&mut self) {
        let path = self.log.path(&self.name());
        let (before, old) = (inode(&path), size(&path));
        truncate(&path);
        assert_eq!(size(&path), 0);
        self.outgrow(old);
        assert_eq!(inode(&path), before);
    }

    fn recreate(&mut self) {
        let path = self.log.path(&self.name());
        let old = size(&path);
        fs::remove_file(&path).unwrap();
        assert!(!path.exists());
        self.outgrow(old);
    }

    /// Writes more in one go than the file had.
    fn outgrow(&mut self, old: u64) {
        let mut text = String::new();
        while text.len() as u64 <= old {
            text += &self.log.lines(1);
        }
        self.log.write_text(&self.name(), &text);
        assert!(size(&self.log.path(&self.name())) > old);
    }

    /// Compresses the file that was rotated the time before, as `delaycompress` does.
    fn compress(&mut self) {
        self.shift();
        let path = self.log.path(&self.rotated(2));
        if path.exists() {
            assert!(Command::new("gzip").arg(&path).status().unwrap().success());
            assert!(!path.exists() && self.log.path(&(self.rotated(2) + ".gz")).exists());
        }
    }

    fn switch(&mut self) {
        let link = self.log.path(&self.name());
        let before = inode(&link);
        let (old, new) = (format!("link.{}.log", self.rounds - 1), format!("link.{}.log", self.rounds));
        self.log.write(&new, self.lines);
        symlink(&new, self.log.path("link.new")).unwrap();
        self.log.write(&old, self.lines);
        fs::rename(self.log.path("link.new"), &link).unwrap();
        assert_ne!(inode(&link), before);
        assert_eq!(inode(&link), inode(&self.log.path(&new)));
    }

    /// One file is rotated to a name that the wildcard does not match, one to a name that it does, and a new one comes.
    fn rotate_wildcard(&mut self) {
        let before = (inode(&self.log.path("card-a.log")), inode(&self.log.path("card-b.log")));
        let round = self.rounds;
        let (away, other) = (format!("card-a.log.{round}"), format!("card-b{round}.log"));
        self.rename("card-a.log", &away);
        self.log.write("card-a.log", self.lines);
        self.rename("card-b.log", &other);
        self.log.write("card-b.log", self.lines);
        self.log.write(&other, self.lines);
        self.log.write(&format!("card-c{round}.log"), self.lines);
        assert_eq!((inode(&self.log.path(&away)), inode(&self.log.path(&other))), before);
        assert_ne!((inode(&self.log.path("card-a.log")), inode(&self.log.path("card-b.log"))), before);
    }
}

fn truncate(path: &Path) {
    fs::OpenOptions::new().write(true).truncate(true).open(path).unwrap();
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}
