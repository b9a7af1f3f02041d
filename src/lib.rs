//! Project 436: monitoring for small and old machines. One server (`ax436`) holds all configuration. On every host an agent (`aa436`)
//! follows logs, counts processes and runs commands, and sends what it finds as events over UDP.
//!
//! The layers, from the ground up. A layer imports only from those below it, which `tests/architecture.rs` enforces.
//!
//! # Values
//!
//! They know no clock, no file and no socket: [`wire`] (the messages, who may send them, and positions in logs), [`directives`] (the
//! configuration language), [`pattern`], [`schedule`], [`lines`], [`text`], [`hash`], [`random`], [`now`], [`date`],
//! [`line_time`], [`wildcard`], [`series`], [`encoding`], [`escapes`].
//!
//! # State machines
//!
//! Datagrams, lines and the time go in; orders and one deadline come out: [`agent`] and [`server`]. Neither knows the other. [`outputs`]
//! says which events a command of the server gets, and when.
//!
//! # The outside world
//!
//! [`sys`] (system calls, and the only `unsafe` code), [`fs`] (which files may be opened, wildcards, files of bounded size), [`tail`]
//! (following one log).
//!
//! # The programs
//!
//! [`run`] has the command line and the loop of each program, where all of the above meet.
//!
//! # How an event travels
//!
//! [`tail::Follower`] reads whole lines of a log, and the agent's loop hands them to [`agent::Agent::handle_log`]. A rule that matches
//! queues an event, and [`agent::Agent::poll_output`] gives the datagram to be sent. The server's loop hands it to
//! [`server::Server::handle_datagram`], writes the event into the stream, and calls [`server::Server::handle_committed`]. Only then is
//! the event acknowledged, and the agent forgets it. `docs/architecture.md` follows one event and one edit step by step.

pub mod agent;
pub mod date;
pub mod directives;
pub mod encoding;
pub mod escapes;
pub mod fs;
pub mod hash;
pub mod line_time;
pub mod lines;
pub mod now;
pub mod outputs;
pub mod pattern;
pub mod random;
pub mod run;
pub mod schedule;
pub mod series;
pub mod server;
pub mod sys;
pub mod tail;
pub mod text;
pub mod wildcard;
pub mod wire;
