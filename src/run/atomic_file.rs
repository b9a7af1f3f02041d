//! A small text that is kept in a file from run to run: either whole, as it was kept last, or as the time before.

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

    /// What was kept last and is whole; and what is wrong with the files, if anything is.
    pub(super) fn read(&self) -> (Option<String>, Vec<String>) {
        let mut faults = Vec::new();
        for path in [self.path.clone(), self.beside(".old")] {
            match read_file(&path) {
                Ok(bytes) => match whole(&bytes) {
                    Some(text) => return (Some(text.to_string()), faults),
                    None => faults.push(format!("{path} is damaged")),
                },
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => faults.push(format!("cannot read {path}: {}", reason(&e))),
            }
        }
        (None, faults)
    }

    /// Keeps a text of whole lines. It is on disk then.
    pub(super) fn write(&self, text: &str) -> io::Result<()> {
        let new = self.beside(".new");
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.write_all(end_of(text).as_bytes())?;
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

/// The line that shows that a text is whole.
fn end_of(text: &str) -> String {
    format!("END%%{:016x}\n", Fnv1a::of(text.as_bytes()))
}

fn whole(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (text, end) = text.split_at(text.strip_suffix('\n')?.rfind('\n')? + 1);
    (end == end_of(text)).then_some(text)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the files under test")]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_is_not_read() {
        let text = "a line\nand another\n";
        let kept = format!("{text}{}", end_of(text)).into_bytes();
        assert_eq!(whole(&kept), Some(text));
        for end in 0..kept.len() {
            assert_eq!(whole(&kept[..end]), None, "{end}");
        }
        for at in 0..kept.len() {
            let mut changed = kept.clone();
            changed[at] ^= 1;
            assert_eq!(whole(&changed), None, "{at}");
        }
    }

    #[test]
    fn a_damaged_file_leaves_what_was_kept_before() {
        let folder = std::env::temp_dir().join(format!("kept-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let kept = AtomicFile::new(folder.join("state").to_str().unwrap().into());
        assert_eq!(kept.read(), (None, vec![]));
        kept.write("one\n").unwrap();
        kept.write("two\n").unwrap();
        assert_eq!(kept.read(), (Some("two\n".into()), vec![]));
        fs::write(kept.path(), "").unwrap();
        assert_eq!(kept.read(), (Some("one\n".into()), vec![format!("{} is damaged", kept.path())]));
        // Killed between the two renamings.
        fs::remove_file(kept.path()).unwrap();
        assert_eq!(kept.read(), (Some("one\n".into()), vec![]));
        fs::remove_dir_all(&folder).unwrap();
        assert!(kept.write("three\n").is_err());
    }
}
