//! Files of others: which of them may be looked at ([`access`]), what a folder holds, which paths a wildcard matches. And files of
//! our own ([`own`]), some of them rolling ([`rolling`]).

pub mod access;
pub mod dir;
pub mod glob;
pub mod own;
mod regular;
pub mod rolling;

pub use access::{Access, AccessError};
pub use regular::next_data;
