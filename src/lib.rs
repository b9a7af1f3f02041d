//! Project 436: monitoring for small and old machines.
pub mod directives;
pub mod now;
pub mod pattern;
pub mod schedule;
pub mod text;
pub mod wire;
