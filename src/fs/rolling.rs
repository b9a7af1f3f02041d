//! A file of bounded size that is appended to. At its limit it is renamed to `name.1`, that one to `name.2`, and the oldest is removed.

use super::own;
use memchr::memrchr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};

/// A rolling file, whether it exists yet or not. It is opened with the first write, and again after another program moved or deleted it.
pub struct RollingFile {
    path: String,
    limit: u64,
    keep: u32,
    open: Option<Open>,
    rolled: u64,
}

struct Open {
    file: File,
    /// Device and inode. No other file can have them while this one is open.
    identity: (u64, u64),
    size: u64,
}

#[allow(clippy::disallowed_methods, reason = "where files are written")]
impl RollingFile {
    /// Bytes of the end that are searched for a line that ends something.
    const SEARCHED: u64 = 1 << 20;

    /// The file rolls before it has more than `limit` bytes. `keep` rolled files are kept.
    pub fn new(path: &str, limit: u64, keep: u32) -> Self {
        Self { path: path.into(), limit, keep, open: None, rolled: 0 }
    }

    /// The path as given.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The descriptor of the file, while it is open.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.open.as_ref().map(|open| open.file.as_fd())
    }

    /// Appends all of the bytes or none of them.
    ///
    /// # Errors
    /// The file cannot be opened or written; the next call tries again.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.prepare(bytes.len() as u64)?;
        let open = self.opened()?;
        let before = open.size;
        match open.file.write_all(bytes) {
            Ok(()) => {
                open.size += bytes.len() as u64;
                Ok(())
            }
            Err(e) => {
                // Only a part of a line may have been written.
                let _ = open.file.set_len(before);
                self.open = None;
                Err(e)
            }
        }
    }

    /// Opens the file, and rolls it before that if so many bytes have no room.
    ///
    /// # Errors
    /// The file cannot be opened; the next call tries again.
    pub fn prepare(&mut self, bytes: u64) -> io::Result<()> {
        self.reopen_if_moved();
        let size = self.opened()?.size;
        if size > 0 && size + bytes > self.limit && self.roll() {
            self.rolled += 1;
            self.let_go();
            self.opened()?;
        }
        Ok(())
    }

    /// Keeps so many rolled files from now on.
    pub fn keep(&mut self, files: u32) {
        self.keep = files;
    }

    /// How often the file was rolled.
    pub fn rolled(&self) -> u64 {
        self.rolled
    }

    /// Cuts off what follows the last line that is whole and of which `is_end` holds; if the last MiB has none, what
    /// follows the last newline. Does nothing if the file does not exist or is no regular file.
    ///
    /// # Errors
    /// The file cannot be read or cut.
    pub fn cut_torn_end(&mut self, is_end: &dyn Fn(&[u8]) -> bool) -> io::Result<()> {
        let file = match OpenOptions::new().read(true).write(true).open(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Ok(());
        }
        let (size, mut most) = (meta.len(), 4096);
        let end = loop {
            let start = size.saturating_sub(most);
            let mut bytes = vec![0; usize::try_from(size - start).unwrap_or(0)];
            file.read_exact_at(&mut bytes, start)?;
            let whole = memrchr(b'\n', &bytes).map_or(0, |newline| newline + 1);
            match last_end(&bytes[..whole], start == 0, is_end) {
                Some(end) => break start + end as u64,
                None if start == 0 => break 0,
                None if most >= Self::SEARCHED && whole > 0 => break start + whole as u64,
                None => most *= 4,
            }
        };
        if end < size {
            file.set_len(end)?;
        }
        Ok(())
    }

    /// Removes the last `bytes` bytes, which were just appended.
    pub fn take_back(&mut self, bytes: u64) {
        if let Some(open) = &mut self.open {
            open.size = open.size.saturating_sub(bytes);
            let _ = open.file.set_len(open.size);
        }
    }

    /// Writes to disk what was appended.
    ///
    /// # Errors
    /// What `fdatasync(2)` reports.
    pub fn sync(&mut self) -> io::Result<()> {
        self.open.as_ref().map_or(Ok(()), |open| open.file.sync_data())
    }

    /// Closes the file. The next write opens it again.
    pub fn reopen(&mut self) {
        self.let_go();
    }

    /// Closes the file after its end is on disk, since [`Self::sync`] does not reach it any more.
    fn let_go(&mut self) {
        let _ = self.sync();
        self.open = None;
    }

    fn reopen_if_moved(&mut self) {
        let Some(open) = &mut self.open else { return };
        match fs::metadata(&self.path) {
            // Another program may have truncated the file.
            Ok(there) if (there.dev(), there.ino()) == open.identity => open.size = there.len(),
            _ => self.let_go(),
        }
    }

    fn opened(&mut self) -> io::Result<&mut Open> {
        if self.open.is_none() {
            self.open = Some(open(&self.path)?);
        }
        self.open.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Makes room under the name. Returns whether that succeeded: if not, the file grows, which is better than to lose lines.
    fn roll(&self) -> bool {
        let numbered = |number: u32| format!("{}.{number}", self.path);
        if self.keep == 0 {
            return fs::remove_file(&self.path).is_ok();
        }
        for number in (1..self.keep).rev() {
            let _ = fs::rename(numbered(number), numbered(number + 1));
        }
        fs::rename(&self.path, numbered(1)).is_ok()
    }
}

/// Where the last of these lines ends of which `is_end` holds. The first one may lack its start, unless `from_start`.
fn last_end(lines: &[u8], from_start: bool, is_end: &dyn Fn(&[u8]) -> bool) -> Option<usize> {
    let mut end = lines.len();
    while end > 0 {
        let newline = memrchr(b'\n', &lines[..end - 1]);
        let start = newline.map_or(0, |newline| newline + 1);
        if newline.is_none() && !from_start {
            return None;
        }
        if is_end(&lines[start..end - 1]) {
            return Some(end);
        }
        end = start;
    }
    None
}

#[allow(clippy::disallowed_methods, reason = "where files are written")]
fn open(path: &str) -> io::Result<Open> {
    let mut file = own::open(path.as_ref(), OpenOptions::new().append(true).read(true).create(true))?;
    let meta = file.metadata()?;
    let mut size = meta.len();
    // After a power cut the last line may have no newline. The next line must not be appended to it.
    if size > 0 && meta.is_file() {
        let mut last = [0];
        if file.read_at(&mut last, size - 1)? > 0 && last != *b"\n" {
            file.write_all(b"\n")?;
            size += 1;
        }
    }
    Ok(Open { file, identity: (meta.dev(), meta.ino()), size })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the files under test")]
mod tests {
    use super::*;
    use crate::fs::test_folder::TestFolder;

    fn rolling(folder: &TestFolder, name: &str, limit: u64, keep: u32) -> RollingFile {
        RollingFile::new(&folder.file(name), limit, keep)
    }

    #[test]
    fn full_files_move_on_and_the_oldest_goes() {
        let folder = TestFolder::new();
        let mut file = rolling(&folder, "log", 4, 2);
        for line in ["a\n", "b\n", "c\n", "d\n", "e\n", "f\n", "g\n"] {
            file.append(line.as_bytes()).unwrap();
        }
        assert_eq!(folder.read("log").as_deref(), Some("g\n"));
        assert_eq!(folder.read("log.1").as_deref(), Some("e\nf\n"));
        assert_eq!(folder.read("log.2").as_deref(), Some("c\nd\n"));
        assert_eq!(folder.read("log.3"), None);
    }

    #[test]
    fn a_line_above_the_limit_is_written_all_the_same() {
        let folder = TestFolder::new();
        let mut file = rolling(&folder, "log", 4, 2);
        file.append(b"long line\n").unwrap();
        file.append(b"x\n").unwrap();
        assert_eq!(folder.read("log.1").as_deref(), Some("long line\n"));
    }

    #[test]
    fn a_file_that_was_moved_or_deleted_is_made_anew() {
        let folder = TestFolder::new();
        let path = folder.join("log");
        let mut file = rolling(&folder, "log", 1000, 2);
        file.append(b"a\n").unwrap();
        fs::rename(&path, folder.join("elsewhere")).unwrap();
        file.append(b"b\n").unwrap();
        assert_eq!(folder.read("log").as_deref(), Some("b\n"));
        fs::remove_file(&path).unwrap();
        file.append(b"c\n").unwrap();
        assert_eq!(folder.read("log").as_deref(), Some("c\n"));
    }

    #[test]
    fn a_missing_folder_is_an_error_until_it_is_there() {
        let folder = TestFolder::new();
        let mut file = rolling(&folder, "sub/log", 1000, 2);
        assert!(file.append(b"a\n").is_err());
        fs::create_dir(folder.join("sub")).unwrap();
        file.append(b"b\n").unwrap();
        assert_eq!(folder.read("sub/log").as_deref(), Some("b\n"));
        fs::remove_dir_all(folder.join("sub")).unwrap();
        assert!(file.append(b"c\n").is_err());
    }

    #[test]
    fn a_torn_last_line_is_ended() {
        let folder = TestFolder::new();
        fs::write(folder.join("log"), "whole\ntor").unwrap();
        rolling(&folder, "log", 1000, 2).append(b"next\n").unwrap();
        assert_eq!(folder.read("log").as_deref(), Some("whole\ntor\nnext\n"));
    }

    #[test]
    fn what_follows_the_last_line_that_ends_something_is_cut_off() {
        let folder = TestFolder::new();
        let path = folder.join("log");
        let mut file = rolling(&folder, "log", 1 << 20, 1);
        let is_end = |line: &[u8]| !line.ends_with(b"...");
        file.cut_torn_end(&is_end).unwrap();
        assert!(!path.exists());
        let (long, many) = ("x".repeat(10_000), "and more ...\n".repeat(3000));
        for (before, after) in [
            ("a\nb\n", "a\nb\n"),
            ("a\nb", "a\n"),
            ("b", ""),
            ("", ""),
            (&*format!("a\n{long}"), "a\n"),
            (&*format!("{long}\n"), &*format!("{long}\n")),
            ("a\nb ...\nc ...\nd", "a\n"),
            ("a\nb ...\nc\nd ...\n", "a\nb ...\nc\n"),
            (&*format!("a\n{long}\n{many}torn"), &*format!("a\n{long}\n")),
            (&*format!("{long}\n{many}"), &*format!("{long}\n")),
            (&*format!("{many}torn"), ""),
        ] {
            fs::write(&path, before).unwrap();
            file.cut_torn_end(&is_end).unwrap();
            assert!(fs::read_to_string(&path).unwrap() == after, "{}", &before[..before.len().min(40)]);
        }
        let endless = "and more ...\n".repeat(100_000);
        fs::write(&path, format!("a\n{endless}torn")).unwrap();
        file.cut_torn_end(&is_end).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 2 + endless.len() as u64);
    }
}
