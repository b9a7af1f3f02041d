//! Files of others: which of them may be looked at ([`access`]), what a folder holds, which paths a wildcard matches. And rolling files
//! of our own ([`rolling`]).

pub mod access;
pub mod dir;
pub mod glob;
mod regular;
pub mod rolling;

pub use access::{Access, AccessError};
