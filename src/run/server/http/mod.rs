//! HTTP over Unix sockets and TCP: connections that cost the server one bounded step at a time. Nobody who connects can make it wait or
//! hold its memory. What is answered is decided elsewhere.

mod connection;
mod connections;
mod gate;
mod message;
mod site;
mod transport;
mod web;

pub(super) use connections::Connections;
pub(super) use message::{parse_response, Body, Request, Response, Status};
pub(super) use site::{Progress, Site, Visitor};
pub(super) use transport::Transport;
pub(super) use web::Web;
