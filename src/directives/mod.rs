//! The configuration language: texts go in, values and all their faults come out. Opens no file.

mod arguments;
pub mod decimal;
pub mod host;
pub mod http;
mod include;
pub mod keys;
mod marked;
pub mod output;
pub mod passwords;
pub mod quantity;
pub mod server;
mod silences;
mod source;

pub use include::{expand, is_plain_file_name, Expanded};
pub use marked::{emit_fitting, emit_marked, marked_lines};
pub use silences::{Silence, Silences};
pub use source::{text_of, Fault, Source, SourceLine, MAX_FILE};
