//! Logs a fault of the event stream once when it begins and once when it is over.

use crate::now::Now;
use crate::run::log::Log;
use crate::sys::reason;
use std::io;

pub(super) struct Outage {
    /// The fault, as the log names it.
    fault: &'static str,
    /// What it means for events.
    consequence: &'static str,
    lasts: bool,
}

impl Outage {
    pub(super) fn new(fault: &'static str, consequence: &'static str) -> Self {
        Self { fault, consequence, lasts: false }
    }

    /// Logs the outcome of an attempt if it begins or ends the outage.
    pub(super) fn update(&mut self, now: Now, outcome: &io::Result<()>, log: &mut Log) {
        let Self { fault, consequence, lasts } = *self;
        match outcome {
            Err(e) if !lasts => log.write(now, &format!("{fault}: {}; {consequence}", reason(e))),
            Ok(()) if lasts => log.write(now, &format!("over: {fault}")),
            _ => {}
        }
        self.lasts = outcome.is_err();
    }
}
