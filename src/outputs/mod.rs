//! The outputs of the server as state machines: which events a command gets, when it runs, and what follows from its end. The stream is
//! the queue, and an output a place in it. Starts no process and reads no file: events, ends of commands and the time go in.

mod delivery;
mod format;
mod limit;
mod notice;
mod open_conditions;
mod selection;

pub use delivery::{Delivery, End, Standing};
pub use format::emit;
pub use limit::Period;
pub use notice::Notice;
