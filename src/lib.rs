//! Project 436: monitoring for small and old machines. One server (`ax436`) holds all configuration; on every host an agent (`aa436`)
//! follows logs, counts processes and runs commands, and sends what it sees as events over UDP.
//!
//! # Layers, from the bottom
//!
//! * Values know no clock, no file and no socket: [`wire`] (messages, authentication, positions), [`directives`] (the configuration
//!   language), [`pattern`], [`schedule`], [`lines`], [`text`], [`hash`], [`random`], [`now`].
//! * State machines take datagrams, lines and the time, and return outputs and one deadline: [`agent`] and [`server`]. Neither knows the
//!   other, and neither does I/O.
//! * The outside world: [`sys`] (system calls, and the only `unsafe` code), [`fs`] (which files may be opened), [`tail`] (follows a log).
//! * [`run`] connects them: the command line, the start and the loop of each program.
//!
//! # How an event travels
//!
//! 1. The agent's loop reads a log with [`tail::Follower`] and passes complete lines to [`agent::Agent::handle_log`].
//! 2. A rule matches and queues an event. [`agent::Agent::poll_output`] returns the datagram, and the loop sends it.
//! 3. The server's loop passes the datagram to [`server::Server::handle_datagram`], which passes the event to the event stream.
//! 4. Once the event is written, [`server::Server::handle_committed`] acknowledges it.

pub mod agent;
pub mod directives;
pub mod fs;
pub mod hash;
pub mod lines;
pub mod now;
pub mod pattern;
pub mod random;
pub mod run;
pub mod schedule;
pub mod server;
pub mod sys;
pub mod tail;
pub mod text;
pub mod wire;
