//! `ax436 output CONF NAME --try [N]` and `ax436 output CONF NAME --skip`.

use super::outputs::{Command, SkipRequest};
use super::settings::read_server_file;
use super::streams::Streams;
use crate::directives::output::Output;
use crate::directives::server::ServerFile;
use crate::now::Now;
use crate::outputs::{emit, Delivery, Period};
use crate::run::console;
use crate::run::failure::Failure;
use crate::sys::child::failure;
use crate::sys::clock::{Clock, LocalTime};
use crate::sys::poll::PollSet;
use crate::sys::reason;
use crate::sys::signals::Signals;
use crate::{date::Zone, wire::StreamEvent};
use std::collections::VecDeque;
use std::time::Duration;

/// How many events are tried unless a number is given.
const TRIED: usize = 10;

/// How long `--skip` waits for the server.
const SKIP_TIME: Duration = Duration::from_secs(10);

/// Carries out the command with the arguments behind `output`.
///
/// # Errors
/// The command line or the server file is wrong, there is no such output, or its command has not taken the events.
pub(super) fn run(arguments: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let usage = || Failure::Usage("expected ax436 output CONF NAME --try [N], or ax436 output CONF NAME --skip".into());
    let [conf, name, action, more @ ..] = &words[..] else { return Err(usage()) };
    let settings = read_server_file(conf)?;
    let Some(output) = settings.outputs.iter().find(|output| output.name == *name) else {
        settings.output_faults.iter().for_each(|fault| console::print_error(&fault.to_string()));
        return Err(Failure::Usage(format!("{conf}: there is no output {name} without a fault")));
    };
    match (*action, more) {
        ("--skip", []) => skip(&settings, name),
        ("--try", []) => try_output(&settings, output, TRIED),
        ("--try", [number]) => match number.parse() {
            Ok(number @ 1..) => try_output(&settings, output, number),
            _ => Err(Failure::Usage(format!("--try: \"{number}\" is not a number above 0"))),
        },
        _ => Err(usage()),
    }
}

/// Runs the command once, on the last events that the output chooses. The place of the output stays where it is.
fn try_output(settings: &ServerFile, output: &Output, most: usize) -> Result<(), Failure> {
    let clock = Clock::start();
    let events = last_events(clock.now(), settings, output, most);
    if events.is_empty() {
        return Err(Failure::System(format!("the stream {} has no event for the output {}", settings.event_stream, output.name)));
    }
    let events: Vec<&StreamEvent> = events.iter().collect();
    let noun = if events.len() == 1 { "event" } else { "events" };
    console::print(&format!("{} {noun} in the format of the output:", events.len()));
    emit(output.format, &events, Zone(LocalTime::offset)).lines().for_each(console::print);
    console::print(&format!("running: {}", output.command.join(" ")));
    let end = wait_for(&clock, output, &events)?;
    if let Some(end) = end {
        return Err(Failure::System(format!("not delivered: {end}")));
    }
    console::print("delivered: exit status 0");
    Ok(())
}

/// The last events of the stream that an output chooses.
fn last_events(now: Now, settings: &ServerFile, output: &Output, most: usize) -> VecDeque<StreamEvent> {
    let delivery: Delivery<()> = Delivery::new(now, output.clone(), "", None, Period::default());
    let mut reader = Streams::new(settings).reader();
    let mut events = VecDeque::new();
    while let Some(line) = reader.next() {
        if delivery.chooses(&line.event) {
            events.push_back(line.event);
        }
        if events.len() > most {
            events.pop_front();
        }
    }
    events
}

/// Runs the command to its end. Returns why it has not taken the events, or `None` if it has.
fn wait_for(clock: &Clock, output: &Output, events: &[&StreamEvent]) -> Result<Option<String>, Failure> {
    let signals = Signals::catch().map_err(|e| Failure::system("cannot catch signals", &e))?;
    let deadline = clock.now().mono + output.batch.timeout;
    let mut command =
        Command::start(output, events).map_err(|e| Failure::System(format!("cannot start {}: {}", output.command[0], reason(&e))))?;
    let (mut signals, mut poll) = (signals, PollSet::default());
    let end = loop {
        if let Some(status) = command.advance() {
            break failure(status);
        }
        let now = clock.now();
        if now.mono >= deadline {
            break Some(format!("did not end within {} s", output.batch.timeout.as_secs()));
        }
        poll.clear();
        poll.add(signals.fd());
        command.add_to(&mut poll);
        poll.wait(clock.until(now, Some(deadline))).map_err(|e| Failure::system("cannot wait", &e))?;
        if signals.take().terminate {
            break Some("ended by a signal".into());
        }
    };
    let said = command.said();
    if !said.is_empty() {
        console::print(&format!("standard error: {said}"));
    }
    Ok(end)
}

/// Asks the server to step over the batch that an output fails with.
fn skip(settings: &ServerFile, name: &str) -> Result<(), Failure> {
    let request = SkipRequest::new(&settings.event_stream);
    request.write(name).map_err(|e| Failure::system(&format!("cannot write {}", request.path()), &e))?;
    let clock = Clock::start();
    let end = clock.now().mono + SKIP_TIME;
    let mut poll = PollSet::default();
    while request.is_there() {
        let now = clock.now();
        if now.mono >= end {
            return Err(Failure::System("no server has taken the request yet; the next one that starts will".into()));
        }
        poll.clear();
        let next = now.mono + Duration::from_millis(100);
        poll.wait(clock.until(now, Some(next))).map_err(|e| Failure::system("cannot wait", &e))?;
    }
    console::print(&format!("the server has taken the request: its log says what it has skipped of {name}"));
    Ok(())
}
