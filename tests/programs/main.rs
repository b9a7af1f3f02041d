//! The real programs on loopback, each test in a folder and on ports of its own.

#[path = "../support/harness.rs"]
mod harness;
#[path = "../support/numbered.rs"]
mod numbered;
mod raw;
mod relay;
#[path = "../support/schema.rs"]
mod schema;

mod agent_options;
mod attacks;
mod bounds;
mod browser;
mod bursts;
mod client;
mod commands;
mod configuration;
mod crash;
mod documents;
mod encoding;
mod examples;
mod failover;
mod first_event;
mod follow;
mod hostile;
mod http;
mod importing;
mod joined;
mod journal;
mod keys;
mod many_servers;
mod metric_stream;
mod outputs;
mod owner;
mod page;
mod patterns;
mod prometheus;
mod recipes;
mod recovery;
mod server_faults;
mod server_options;
mod status;
mod window;
