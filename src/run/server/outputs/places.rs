//! The file beside the stream that keeps how far each output has come.

use crate::outputs::Period;
use crate::run::atomic_file::AtomicFile;
use crate::run::server::streams::SavedStreamsPlace;
use std::io;

/// How far an output had come when the file was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SavedPlace {
    pub(super) output: String,
    pub(super) place: SavedStreamsPlace,
    pub(super) period: Period,
}

/// The file `STREAM.outputs`.
pub(super) struct PlacesFile(AtomicFile);

const FIRST_LINE: &str = "436 outputs 1\n";

impl PlacesFile {
    pub(super) fn new(stream: &str) -> Self {
        Self(AtomicFile::new(format!("{stream}.outputs")))
    }

    pub(super) fn path(&self) -> &str {
        self.0.path()
    }

    /// What the file says, and what is wrong with it.
    pub(super) fn read(&self) -> (Vec<SavedPlace>, Vec<String>) {
        let (text, faults) = self.0.read();
        let text = text.unwrap_or_default();
        let lines = text.strip_prefix(FIRST_LINE).unwrap_or_default().lines();
        (lines.filter_map(SavedPlace::parse).collect(), faults)
    }

    /// Replaces the file. What it says is on disk when this returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, places: &[SavedPlace]) -> io::Result<()> {
        let lines: String = places.iter().map(SavedPlace::emit).collect();
        self.0.write(&format!("{FIRST_LINE}{lines}"))
    }
}

impl SavedPlace {
    fn emit(&self) -> String {
        let Self { output, place, period } = self;
        format!("{output}%%{}%%{}\n", place.emit(), period.emit())
    }

    fn parse(line: &str) -> Option<Self> {
        let (output, rest) = line.split_once("%%")?;
        let (place, period) = rest.split_once("%%")?;
        Some(Self { output: output.into(), place: SavedStreamsPlace::parse(place)?, period: Period::parse(period) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emit_and_parse_are_inverses() {
        for line in ["mail%%2s.7.9%%1000 2 3", "new%%-%%-", "both%%2s.7.9 2s.8.1%%-", "both%%2s.7.9 -%%-"] {
            assert_eq!(SavedPlace::parse(line).unwrap().emit().trim_end(), line);
        }
        for line in ["", "mail", "mail%%", "mail%%x%%-", "mail%%- - -%%-", "mail%%2s.7.9+2s.8.1%%-"] {
            assert_eq!(SavedPlace::parse(line), None, "{line}");
        }
    }
}
