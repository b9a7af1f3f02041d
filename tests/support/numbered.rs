//! Numbered lines: which were written to a site's logs, and how often each has arrived.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{pause, Site};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The lines of one log, named after the tags of its events.
pub(crate) struct Log {
    pub(crate) tags: &'static str,
    folder: PathBuf,
    /// The number of the next line.
    next: u32,
    /// Lines that nobody can read any more.
    gone: BTreeSet<u32>,
}

/// How often each line has arrived, by tags and number.
pub(crate) type Arrived = BTreeMap<String, BTreeMap<u32, u32>>;

impl Log {
    pub(crate) fn new(site: &Site, tags: &'static str) -> Self {
        let folder = site.path("logs");
        fs::create_dir_all(&folder).unwrap();
        Self { tags, folder, next: 1, gone: BTreeSet::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// How many lines were written.
    pub(crate) fn count(&self) -> u32 {
        self.next - 1
    }

    /// The next lines as a text.
    pub(crate) fn lines(&mut self, count: u32) -> String {
        let first = self.next;
        self.next += count;
        (first..self.next).map(|number| format!("line {number} of {}\n", self.tags)).collect()
    }

    /// Appends the next lines to a file.
    pub(crate) fn write(&mut self, name: &str, count: u32) {
        let lines = self.lines(count);
        append(&self.path(name), &lines);
    }

    /// Appends a text as it is.
    pub(crate) fn write_text(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    /// Appends the next lines to a file, but nobody will be able to read them.
    pub(crate) fn write_in_vain(&mut self, name: &str, count: u32) {
        self.gone.extend(self.next..self.next + count);
        self.write(name, count);
    }

    /// The lost and repeated lines of this log, as a text.
    fn faults(&self, arrived: &Arrived) -> Option<String> {
        let empty = BTreeMap::new();
        let arrived = arrived.get(self.tags).unwrap_or(&empty);
        let missing: Vec<u32> = (1..self.next).filter(|number| !self.gone.contains(number) && !arrived.contains_key(number)).collect();
        let doubled: Vec<u32> = arrived.iter().filter(|(_, times)| **times > 1).map(|(number, _)| *number).collect();
        let (lost, twice) = (missing.len(), doubled.len());
        let tags = self.tags;
        (lost + twice > 0).then(|| format!("{tags}: {lost} lost {}, {twice} doubled {}", ranges(&missing), ranges(&doubled)))
    }

    fn is_whole(&self, arrived: &Arrived) -> bool {
        let lines = arrived.get(self.tags);
        (1..self.next).all(|number| self.gone.contains(&number) || lines.is_some_and(|lines| lines.contains_key(&number)))
    }
}

/// The lost and repeated lines of each log; empty if every line has arrived once.
pub(crate) fn faults<'a>(logs: impl IntoIterator<Item = &'a Log>, arrived: &Arrived) -> Vec<String> {
    logs.into_iter().filter_map(|log| log.faults(arrived)).collect()
}

/// Waits until every line has arrived, and says whether all have within that time. [`faults`] names those that are missing.
pub(crate) fn wait_for_lines<'a>(site: &Site, logs: impl IntoIterator<Item = &'a Log> + Clone, timeout: Duration) -> bool {
    let start = Instant::now();
    loop {
        let arrived = arrived(site);
        if logs.clone().into_iter().all(|log| log.is_whole(&arrived)) {
            return true;
        }
        if start.elapsed() > timeout {
            return false;
        }
        pause(Duration::from_millis(100));
    }
}

/// The lines in the stream, in either form and with all rolled files.
pub(crate) fn arrived(site: &Site) -> Arrived {
    let mut arrived = Arrived::new();
    for line in stream(site) {
        let Some((tags, number)) = parse(&line) else { continue };
        *arrived.entry(tags.to_string()).or_default().entry(number).or_default() += 1;
    }
    arrived
}

/// The whole lines of the stream, with all rolled files, oldest first.
pub(crate) fn stream(site: &Site) -> Vec<String> {
    let mut files: Vec<(u32, PathBuf)> = rolled(site);
    files.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let text: Vec<u8> = files.iter().flat_map(|(_, path)| fs::read(path).unwrap_or_default()).collect();
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    String::from_utf8_lossy(&text[..whole]).lines().map(str::to_string).collect()
}

/// The files of the stream and how often each has rolled since.
pub(crate) fn rolled(site: &Site) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(&site.folder).unwrap().flatten();
    let number = |name: &str| match name.strip_prefix("events.log")? {
        "" => Some(0),
        rest => rest.strip_prefix('.')?.parse().ok(),
    };
    entries.filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path()))).collect()
}

/// The tags and the number of a line of a [`Log`], in either form of the stream.
fn parse(line: &str) -> Option<(&str, u32)> {
    let (tags, text) = if line.starts_with('{') {
        let field = |name: &str| line.split_once(&format!("\"{name}\":\""))?.1.split('"').next();
        (field("tags")?, field("text")?)
    } else {
        let parts: Vec<&str> = line.splitn(7, "%%").collect();
        (*parts.get(4)?, *parts.get(6)?)
    };
    let (number, of) = text.strip_prefix("line ")?.split_once(" of ")?;
    (of == tags).then_some((tags, number.parse().ok()?))
}

/// Numbers in a row as `3-7`.
fn ranges(numbers: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let texts: Vec<String> = ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    format!("[{}]", texts.join(" "))
}

fn append(path: &Path, text: &str) {
    use std::io::Write;
    fs::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}
