//! System calls, each module a thin, safe cover of a few. Only here is there `unsafe`, allowed file by file; nothing here decides anything.

pub mod child;
pub mod clock;
pub mod crash;
pub mod daemon;
pub mod datagrams;
#[cfg(target_os = "linux")]
pub mod disk;
mod error;
mod fd;
mod file;
pub mod harden;
#[cfg(target_os = "linux")]
mod image;
pub mod inotify;
pub mod poll;
pub mod resolve;
pub mod signals;
pub mod socket;
pub mod syslog;
pub mod user;
mod writable;

pub use error::reason;
pub use file::{read_file, read_to_end, table};
pub use writable::check_writable;
