//! Follows one log by its path: through rotation by renaming, by copying and truncating, through deletion, late writers and restarts.
//! Files are recognised by their content, so that one that was overwritten is read from its start and one that was renamed is read on.
//! Knows bytes and lines, not what they mean.

mod files;
mod follower;
mod kinship;
mod log_file;
mod positions;
mod predecessor;
mod progress;
mod reading;
mod resume;
mod rotated;
mod rotation_key;
mod rotation_name;
mod siblings;
mod stat;

pub use follower::Follower;
pub use kinship::{is_named_after, Kinship};
pub use log_file::{confirms, line_end, LogFile, Release};
pub use reading::{Piece, TakeLines, BUFFER};
pub use stat::{file_id, FileId};

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make files")]
mod tests;
