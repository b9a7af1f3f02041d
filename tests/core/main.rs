//! The state machines and the pure parts: scripted datagrams, simulated networks with virtual time, fuzz targets. No process, no socket.

mod classic_agent;
mod classic_server;
mod conditions;
mod crashes;
mod fuzz;
mod late_datagrams;
mod many_hosts;
mod network;
mod same_rules;
mod simulation;
