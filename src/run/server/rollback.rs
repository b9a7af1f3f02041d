//! The file `STREAM.rollback`: lets one write of two streams be undone if the server is killed within it.

use super::stream_files::StreamFiles;
use crate::fs::own;
use crate::wire::position::{FilePosition, Position};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

/// What is about to be written to the two streams, while it is. The file is empty at any other time.
pub(super) struct Rollback {
    path: String,
    file: Option<File>,
    /// Whether the file may have what was undone otherwise.
    is_stale: bool,
}

/// The end of a stream, and how many bytes it is about to get.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    end: FilePosition,
    length: u64,
    path: String,
}

#[allow(clippy::disallowed_methods, reason = "owns the file, and cuts the streams")]
impl Rollback {
    const FIRST_LINE: &'static str = "436 rollback 1\n";
    /// Without it the file was not written to its end, and so nothing behind it.
    const LAST_LINE: &'static str = "end\n";

    pub(super) fn new(stream: &str) -> Self {
        Self { path: format!("{stream}.rollback"), file: None, is_stale: false }
    }

    /// Notes where the streams end, and how many bytes each is about to get. Does nothing if one is no regular file.
    ///
    /// # Errors
    /// The file cannot be written: the streams must not be either.
    pub(super) fn set(&mut self, writes: [(&StreamFiles, u64); 2], is_synced: bool) -> io::Result<()> {
        let mut text = Self::FIRST_LINE.to_string();
        for (files, length) in writes {
            let Some(end) = files.end().and_then(|end| files.saved(end)) else { return Ok(()) };
            text += &Part { end, length, path: files.numbered(0) }.emit();
        }
        text += Self::LAST_LINE;
        self.is_stale = true;
        let file = self.opened()?;
        file.set_len(0)?;
        file.write_all_at(text.as_bytes(), 0)?;
        if is_synced {
            file.sync_data()?;
        }
        Ok(())
    }

    /// Takes note that both streams are written.
    pub(super) fn handle_written(&mut self) {
        // If it stays, it does no harm: both streams are as long as it says.
        let _ = self.clear();
        self.is_stale = false;
    }

    /// Empties the file unless that has been done.
    ///
    /// # Errors
    /// It cannot be written. A later start would cut off what is written from now on.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        if self.is_stale {
            self.opened()?.set_len(0)?;
            self.is_stale = false;
        }
        Ok(())
    }

    fn opened(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            self.file = Some(own::open(self.path.as_ref(), OpenOptions::new().read(true).write(true).create(true).truncate(false))?);
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Undoes a write that was not finished: cuts both streams back.
    ///
    /// # Errors
    /// A file cannot be read or cut.
    pub(super) fn apply(&mut self) -> io::Result<()> {
        let text = match crate::sys::read_file(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text?,
        };
        if text.is_empty() {
            return Ok(());
        }
        self.is_stale = true;
        let parts = Self::parse(&String::from_utf8_lossy(&text)).unwrap_or_default();
        let found: Option<Vec<_>> = parts.iter().map(|part| Some((part, part.size()?))).collect();
        // A stream that somebody has moved is left alone, and so is the other.
        let found = found.unwrap_or_default();
        if found.iter().any(|(part, size)| *size < part.end.offset + part.length) {
            for (part, _) in found.iter().filter(|(part, size)| *size > part.end.offset) {
                OpenOptions::new().write(true).open(&part.path)?.set_len(part.end.offset)?;
            }
        }
        self.clear()
    }

    fn parse(text: &str) -> Option<Vec<Part>> {
        let parts = text.strip_prefix(Self::FIRST_LINE)?.strip_suffix(Self::LAST_LINE)?;
        parts.lines().map(Part::parse).collect()
    }
}

impl Part {
    fn emit(&self) -> String {
        let Self { end, length, path } = self;
        format!("{}%%{length}%%{path}\n", Position::of_files(vec![*end]).emit())
    }

    fn parse(line: &str) -> Option<Self> {
        let (end, rest) = line.split_once("%%")?;
        let (length, path) = rest.split_once("%%")?;
        let [end] = Position::parse(end)?.files[..] else { return None };
        Some(Self { end, length: length.parse().ok()?, path: path.into() })
    }

    /// The size of its file now. `None` if the file is another one.
    fn size(&self) -> Option<u64> {
        let files = StreamFiles::new(&self.path);
        let is_it = files.find(&self.end).is_some_and(|place| place.inode() == self.end.inode && files.number_of(place.inode()) == Some(0));
        files.end().filter(|_| is_it).map(|end| end.offset())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the files under test")]
mod tests {
    use super::*;
    use crate::fs::test_folder::TestFolder;
    use std::fs;

    #[test]
    fn a_write_of_which_a_part_is_missing_is_undone_in_both_streams() {
        let folder = TestFolder::new();
        for (of_metrics, of_events, is_undone) in [
            ("", "", true),
            ("mm", "", true),
            ("mmmm\n", "", true),
            ("mmmm\n", "ee", true),
            ("mmmm\n", "eee\n", false),
            ("mmmm\n", "eee\nmore\n", false),
        ] {
            for name in ["metrics", "events"] {
                folder.write(name, &format!("{name}\n"));
            }
            let streams = ["metrics", "events"].map(|name| StreamFiles::new(&folder.file(name)));
            Rollback::new(&folder.file("events")).set([(&streams[0], 5), (&streams[1], 4)], false).unwrap();
            folder.append("metrics", of_metrics);
            folder.append("events", of_events);
            Rollback::new(&folder.file("events")).apply().unwrap();
            let (of_metrics, of_events) = if is_undone { ("", "") } else { (of_metrics, of_events) };
            assert_eq!(
                (folder.read("metrics").unwrap(), folder.read("events").unwrap()),
                (format!("metrics\n{of_metrics}"), format!("events\n{of_events}"))
            );
            assert_eq!(folder.read("events.rollback").unwrap(), "");
        }
    }

    #[test]
    fn a_finished_write_and_other_files_are_left_alone() {
        let folder = TestFolder::new();
        folder.append("metrics", "m\n");
        folder.append("events", "e\n");
        let streams = ["metrics", "events"].map(|name| StreamFiles::new(&folder.file(name)));
        let mut rollback = Rollback::new(&folder.file("events"));
        rollback.apply().unwrap();
        rollback.set([(&streams[0], 5), (&streams[1], 4)], true).unwrap();
        rollback.handle_written();
        assert_eq!(folder.read("events.rollback").unwrap(), "");
        rollback.set([(&streams[0], 5), (&streams[1], 4)], true).unwrap();
        // Cut within its last line, it was not yet in force.
        let text = folder.read("events.rollback").unwrap();
        folder.append("metrics", "mm");
        for length in 1..text.len() {
            folder.write("events.rollback", &text[..length]);
            Rollback::new(&folder.file("events")).apply().unwrap();
            assert_eq!(folder.read("metrics").unwrap(), "m\nmm", "{length}");
        }
        folder.write("events.rollback", &text);
        fs::rename(folder.file("events"), folder.file("events.old")).unwrap();
        folder.append("events", "another");
        Rollback::new(&folder.file("events")).apply().unwrap();
        assert_eq!((folder.read("metrics").unwrap(), folder.read("events").unwrap()), ("m\nmm".into(), "another".into()));
    }
}
