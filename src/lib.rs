//! Project 436: monitoring for small and old machines.
pub mod agent;
pub mod directives;
pub mod lines;
pub mod now;
pub mod pattern;
pub mod random;
pub mod schedule;
pub mod server;
pub mod text;
pub mod wire;
