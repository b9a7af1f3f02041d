//! Rotations by another thread, which the follower sees at any moment, also half done.

use super::*;
use crate::random::Random;
use std::thread;
use std::time::UNIX_EPOCH;

/// Writes and rotates one log.
struct Writer {
    folder: PathBuf,
    random: Random,
    rotations: usize,
    lines: usize,
}

impl Writer {
    const ROTATIONS: usize = 100;

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn rotated(&self, number: usize) -> PathBuf {
        self.path(&format!("log.{number}"))
    }

    fn append(&mut self, lines: u64) {
        let mut log = File::options().append(true).create(true).open(self.path("log")).unwrap();
        for _ in 0..lines {
            self.lines += 1;
            writeln!(log, "{}", self.lines).unwrap();
        }
    }

    /// Copies and truncates the log, or renames it.
    fn rotate(&mut self, copies: bool) {
        for number in (1..=self.rotations).rev() {
            fs::rename(self.rotated(number), self.rotated(number + 1)).unwrap();
        }
        self.rotations += 1;
        if copies {
            fs::copy(self.path("log"), self.rotated(1)).unwrap();
            File::options().write(true).truncate(true).open(self.path("log")).unwrap();
        } else {
            fs::rename(self.path("log"), self.rotated(1)).unwrap();
        }
    }

    /// Returns how many lines it wrote.
    fn run(mut self, copies: bool) -> usize {
        while self.rotations < Self::ROTATIONS {
            let lines = self.random.bits() % 4;
            self.append(lines);
            // Short pauses make several rotations between two looks.
            let longest = if self.random.bits() % 3 == 0 { 20_000 } else { 2_000 };
            thread::sleep(Duration::from_micros(self.random.bits() % longest));
            if self.random.bits() % 2 == 0 {
                self.rotate(copies);
            }
        }
        // A file that was rotated twice between two looks is found once the log is there again.
        self.append(1);
        self.lines
    }
}

fn each_line_is_read_once(name: &str, copies: bool) {
    let mut case = Case::new(name);
    let seed = UNIX_EPOCH.elapsed().unwrap().as_secs();
    let writer = Writer { folder: case.folder.clone(), random: Random::new(seed), rotations: 0, lines: 0 };
    let mut looks = Random::new(seed + 1);
    let running = thread::spawn(move || writer.run(copies));
    let mut last = 0;
    while last < 3 {
        last += u32::from(running.is_finished());
        let _ = case.after(0);
        if looks.bits() % 2 == 0 {
            thread::sleep(Duration::from_micros(looks.bits() % 3_000));
        }
    }
    let lines = running.join().unwrap();
    let mut counts = vec![0; lines + 1];
    for line in &case.seen {
        counts[line.parse::<usize>().unwrap()] += 1;
    }
    let wrong: Vec<_> = counts.iter().enumerate().skip(1).filter(|(_, count)| **count != 1).collect();
    assert!(wrong.is_empty(), "seed {seed}: {lines} lines, of which these did not come once: {wrong:?}; {:?}", case.follower.take_loss());
}

#[test]
fn logs_that_are_renamed_while_it_looks_are_read_once() {
    each_line_is_read_once("concurrent-rename", false);
}

#[test]
fn logs_that_are_copied_and_cut_while_it_looks_are_read_once() {
    each_line_is_read_once("concurrent-copy", true);
}
