//! Files of others: which of them may be looked at ([`access`]), what a folder holds, which paths a wildcard matches. And files of
//! our own ([`own`]), some of them rolling ([`rolling`]).

pub mod access;
pub mod dir;
pub mod glob;
pub mod own;
mod regular;
pub mod rolling;
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a folder for tests")]
pub(crate) mod test_folder;

pub use access::{Access, AccessError};
pub use regular::next_data;
