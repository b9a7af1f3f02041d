//! The real programs on several hosts, which are network namespaces, and on emulated processors. Most of it needs root.

#[path = "../support/harness.rs"]
mod harness;
mod namespaces;
#[path = "../support/numbered.rs"]
mod numbered;
mod rotations;
#[path = "../support/schema.rs"]
mod schema;

mod emulated;
mod faults;
mod kills;
mod lan;
mod server_lookup;
