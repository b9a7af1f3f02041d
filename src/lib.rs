//! Project 436: monitoring for small and old machines. One server (`ax436`) holds all configuration; on every host an agent (`aa436`)
//! follows logs, counts processes and runs commands, and sends what it sees as events over UDP.
//!
//! The house, from the ground up:
//!
//! * Pure values, which know no clock, no file and no socket: [`wire`] (the messages), [`directives`] (the configuration language),
//!   [`schedule`], [`pattern`], [`lines`], [`position`] (how far a log was read), [`seal`] (who may speak), [`text`], [`hash`], [`random`],
//!   [`now`].
//! * State machines, into which datagrams, lines and the time go, and out of which come orders and one deadline: [`agent`] and [`server`].
//!   Neither knows the other.
//! * The outside world: [`sys`] (system calls; the only `unsafe`), [`tail`] (following a file), [`rolling`] (files of bounded size).
//! * [`run`]: the command line, the start and the loop of each binary, where all of the above meet.
//!
//! How an event travels: `run` polls a log with [`tail::Follower`], which hands whole lines to [`agent::Agent::handle_log_lines`]; a rule
//! that matches queues an event; [`agent::Agent::poll_output`] has it sent; the server's loop gives the datagram to
//! [`server::Server::handle_datagram`], which gives the event to the stream and, once that is written, says so to the agent.

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
