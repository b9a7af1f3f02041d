//! A small text file that is replaced atomically. A checksum in its last line detects damage; the previous version is the fallback.

use crate::fs::own;
use crate::hash::Fnv1a;
use crate::sys::{read_file, reason};
use std::fs::{self, File};
use std::io::{self, Write};

pub(super) struct AtomicFile {
    path: String,
}

#[allow(clippy::disallowed_methods, reason = "owns the file")]
impl AtomicFile {
    pub(super) fn new(path: String) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn beside(&self, extension: &str) -> String {
        [&self.path, extension].concat()
    }

    /// Returns the latest undamaged text, and what is wrong with the files.
    pub(super) fn read(&self) -> (Option<String>, Vec<String>) {
        let mut faults = Vec::new();
        for path in [self.path.clone(), self.beside(".old")] {
            match read_file(&path) {
                Ok(bytes) => match verify(&bytes) {
                    Some(text) => return (Some(text.to_string()), faults),
                    None => faults.push(format!("{path} is damaged")),
                },
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => faults.push(format!("cannot read {path}: {}", reason(&e))),
            }
        }
        (None, faults)
    }

    /// Replaces the text, which must end in a newline. It is on disk when this returns.
    ///
    /// # Errors
    /// It could not be written. The previous text may have moved to the fallback.
    pub(super) fn write(&self, text: &str) -> io::Result<()> {
        let new = self.beside(".new");
        let mut file = own::create(new.as_ref())?;
        file.write_all(text.as_bytes())?;
        file.write_all(checksum_line(text).as_bytes())?;
        file.sync_all()?;
        drop(file);
        match fs::rename(&self.path, self.beside(".old")) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => fs::rename(&new, &self.path)?,
        }
        let folder = self.path.rfind('/').map_or(".", |slash| &self.path[..=slash]);
        File::open(folder)?.sync_all()
    }
}

/// The last line of the file, which proves that the text before it is complete.
fn checksum_line(text: &str) -> String {
    format!("END%%{:016x}\n", Fnv1a::of(text.as_bytes()))
}

/// Returns the text without its checksum line. `None` if it is damaged.
fn verify(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (text, end) = text.split_at(text.strip_suffix('\n')?.rfind('\n')? + 1);
    (end == checksum_line(text)).then_some(text)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the files under test")]
mod tests {
    use super::*;
    use crate::fs::test_folder::TestFolder;

    #[test]
    fn every_truncated_or_changed_text_is_detected() {
        let text = "a line\nand another\n";
        let stored = format!("{text}{}", checksum_line(text)).into_bytes();
        assert_eq!(verify(&stored), Some(text));
        for end in 0..stored.len() {
            assert_eq!(verify(&stored[..end]), None, "{end}");
        }
        for at in 0..stored.len() {
            let mut changed = stored.clone();
            changed[at] ^= 1;
            assert_eq!(verify(&changed), None, "{at}");
        }
    }

    #[test]
    fn a_damaged_file_falls_back_to_the_previous_text() {
        let folder = TestFolder::new();
        let file = AtomicFile::new(folder.join("state").to_str().unwrap().into());
        assert_eq!(file.read(), (None, vec![]));
        file.write("one\n").unwrap();
        file.write("two\n").unwrap();
        assert_eq!(file.read(), (Some("two\n".into()), vec![]));
        fs::write(file.path(), "").unwrap();
        assert_eq!(file.read(), (Some("one\n".into()), vec![format!("{} is damaged", file.path())]));
        // Killed between the two renames.
        fs::remove_file(file.path()).unwrap();
        assert_eq!(file.read(), (Some("one\n".into()), vec![]));
        drop(folder);
        assert!(file.write("three\n").is_err());
    }
}
