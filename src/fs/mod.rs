//! Files of others: which of them may be opened, what a directory holds, which paths a wildcard matches; and rolling files of our own.

pub mod access;
pub mod dir;
pub mod glob;
pub mod rolling;
