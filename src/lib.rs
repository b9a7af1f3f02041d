//! Project 436: monitoring for small and old machines.
pub mod agent;
pub mod directives;
pub mod lines;
pub mod now;
pub mod pattern;
pub mod random;
pub mod rolling;
pub mod schedule;
pub mod server;
pub mod sys;
pub mod tail;
pub mod text;
pub mod wire;
