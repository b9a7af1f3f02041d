//! The library of the fuzz targets: their bodies, and the simulated network that they share with the tests.

#[path = "../../tests/core/network/mod.rs"]
mod network;
mod targets;

pub use targets::run;
