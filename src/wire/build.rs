//! Which program an agent is.

use super::reader::split_field;

/// The version of a program and the target that it was built for, as an ALIVE names them. Both are empty if an older agent sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Build<'a> {
    /// As in `Cargo.toml`.
    pub version: &'a str,
    /// The target triple, such as `armv7-unknown-linux-musleabihf`.
    pub target: &'a str,
}

impl<'a> Build<'a> {
    /// This program.
    pub const OWN: Build<'static> = Build { version: env!("CARGO_PKG_VERSION"), target: env!("PROJECT436_TARGET") };

    /// Reads the fields that may stand at the end of a message. What follows them is left for later versions.
    pub(super) fn parse(fields: &'a str) -> Self {
        let (version, rest) = split_field(fields).unwrap_or((fields, ""));
        Self { version, target: split_field(rest).map_or(rest, |(target, _)| target) }
    }

    /// The fields, without those at the end that are empty.
    pub(super) fn fields(self) -> impl Iterator<Item = &'a str> {
        let count = if !self.target.is_empty() { 2 } else { usize::from(!self.version.is_empty()) };
        [self.version, self.target].into_iter().take(count)
    }
}
