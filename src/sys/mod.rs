//! System calls, each module a thin, safe cover of a few. Only here is there `unsafe`, allowed file by file; nothing here decides anything.

pub mod child;
pub mod clock;
pub mod crash;
pub mod daemon;
pub mod datagrams;
mod descendants;
#[cfg(target_os = "linux")]
pub mod disk;
mod environment;
mod error;
mod fd;
mod file;
pub mod harden;
#[cfg(target_os = "linux")]
mod image;
pub mod inotify;
pub mod poll;
pub mod resolve;
mod scratch;
pub mod signals;
pub mod socket;
pub mod syslog;
mod terminal;
pub mod user;
mod writable;

pub use error::reason;
#[cfg(target_os = "linux")]
pub use file::next_data;
pub use file::{open_to_read, read_file, read_start, read_to_end, table, Links};
pub use terminal::terminal_width;
pub use writable::check_writable;
