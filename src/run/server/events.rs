//! `ax436 events`: prints the event stream for people, and follows it.

use super::settings;
use super::streams::Streams;
use super::terminal::{Colour, Printed, Terminal};
use crate::date::parse_rfc3339;
use crate::directives::Silence;
use crate::run::failure::Failure;
use crate::run::options::Program;
use crate::sys::clock::{Clock, LocalTime};
use crate::sys::poll::PollSet;
use crate::wildcard;
use crate::wire::{Kind, State, StreamEvent};
use getopts::{Matches, Options};
use std::time::Duration;

const PROGRAM: Program = Program {
    name: "ax436 events",
    brief: "ax436 events: prints the event stream for people, the oldest event first.\n\n\
            Usage: ax436 events [options] CONF",
    add_options,
};

fn add_options(options: &mut Options) {
    options
        .optflag("f", "follow", "go on with what comes, over rolled files")
        .optopt("", "host", "only of this host; * and ? may stand in it", "HOST")
        .optopt("", "tags", "only with these tags, or this part of them; * and ? may stand in it", "TAGS")
        .optopt("", "state", "only opened, repeated or closed", "STATE")
        .optopt("", "since", "only from then on: a duration such as 90m, or a time such as 2026-12-01T08:00+01:00", "WHEN");
}

/// Which events are printed.
struct Filter {
    host: Option<String>,
    tags: Option<String>,
    state: Option<State>,
    /// In seconds since 1970.
    since: u64,
}

/// How often the stream is looked at while it is followed.
const INTERVAL: Duration = Duration::from_millis(250);

/// Prints the events of a server file's stream.
///
/// # Errors
/// The arguments are wrong, or there is no stream that can be read.
pub(super) fn main(arguments: &[String]) -> Result<(), Failure> {
    let Some(matches) = PROGRAM.parse_command(arguments)? else { return Ok(()) };
    let [conf] = &matches.free[..] else {
        return Err(Failure::Usage("events takes one argument, the server file".into()));
    };
    let filter = Filter::parse(&matches)?;
    let follows = matches.opt_present("follow");
    let settings = settings::read_server_file(conf)?;
    let streams = Streams::new(&settings);
    if !follows && !streams.all().any(|(_, files)| files.oldest().is_some()) {
        return Err(Failure::Usage(format!("there is no event stream {} that can be read", settings.event_stream)));
    }
    let (mut reader, terminal) = (streams.reader(), Terminal::of_output());
    loop {
        while let Some(line) = reader.next() {
            let is_wanted = filter.chooses(&line.event);
            if is_wanted && terminal.print(&shown(&line.event, &terminal)) == Printed::NotRead {
                return Ok(());
            }
        }
        if !follows {
            return Ok(());
        }
        PollSet::default().wait(Some(INTERVAL)).map_err(|e| Failure::system("cannot wait", &e))?;
    }
}

impl Filter {
    fn parse(matches: &Matches) -> Result<Self, Failure> {
        let usage = |option: &str, expected: &str, got: &str| Failure::Usage(format!("--{option}: expected {expected}, got \"{got}\""));
        let state =
            matches.opt_str("state").map(|text| State::parse(&text).ok_or_else(|| usage("state", "opened, repeated or closed", &text)));
        let since = matches.opt_str("since").map(|text| {
            let ago = Silence::parse_duration(&text).map(|seconds| Clock::start().now().unix.saturating_sub(seconds));
            ago.or_else(|| parse_rfc3339(&text)).ok_or_else(|| usage("since", "a duration such as 90m, or a time with its offset", &text))
        });
        Ok(Self {
            host: matches.opt_str("host"),
            tags: matches.opt_str("tags"),
            state: state.transpose()?,
            since: since.transpose()?.unwrap_or(0),
        })
    }

    fn chooses(&self, event: &StreamEvent) -> bool {
        let Self { host, tags, state, since } = self;
        event.unix >= *since
            && host.as_ref().is_none_or(|host| wildcard::matches(host, &event.host))
            && tags.as_ref().is_none_or(|tags| wildcard::matches_tags(tags, &event.tags))
            && state.is_none_or(|state| event.state == Some(state))
    }
}

/// One line: time, host, tags, state, text and file.
fn shown(event: &StreamEvent, terminal: &Terminal) -> String {
    let whole = |text: &str, least: usize, colour| terminal.cell(text, least.max(text.chars().count()), colour);
    let (state, colour) = match event.state {
        Some(State::Opened) => ("opened", Colour::Red),
        Some(State::Repeated) => ("repeated", Colour::Yellow),
        Some(State::Closed) => ("closed", Colour::Green),
        None => ("", Colour::Plain),
    };
    let time = whole(&LocalTime::at(event.unix).to_string(), 0, Colour::Dim);
    let (host, tags) = (whole(&event.host, 10, Colour::Bold), whole(&event.tags, 10, Colour::Plain));
    let state = whole(state, if event.kind == Some(Kind::Line) { 0 } else { 8 }, colour);
    let text = whole(&event.text, 0, colour);
    let file = event.file.as_ref().map(|file| whole(&format!(" ({file})"), 0, Colour::Dim)).unwrap_or_default();
    format!("{time}  {host}  {tags}  {state}  {text}{file}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(arguments: &[&str]) -> Result<Filter, Failure> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        Filter::parse(&PROGRAM.parse_command(&arguments)?.unwrap())
    }

    #[test]
    fn an_event_is_chosen_if_every_option_agrees() {
        let line = "Sun Nov 22 11:35:36 2026%%nas1%%q7.1;limit;opened;k1%%1795347336%%A,DISK%%NULL%%full";
        let event = StreamEvent::parse(line).unwrap();
        for (arguments, is_chosen) in [
            (&[][..], true),
            (&["--host", "nas*", "--tags", "DISK", "--state", "opened", "--since", "2026-11-22T11:35Z"], true),
            (&["--host", "nas"], false),
            (&["--tags", "A"], true),
            (&["--tags", "DIS"], false),
            (&["--state", "closed"], false),
            (&["--since", "2026-11-22T11:35:37Z"], false),
        ] {
            assert_eq!(filter(arguments).unwrap().chooses(&event), is_chosen, "{arguments:?}");
        }
        assert!(filter(&["--state", "open"]).is_err() && filter(&["--since", "yesterday"]).is_err());
    }

    #[test]
    fn a_line_for_people_has_no_harmful_characters() {
        let event = StreamEvent {
            host: "nas1".into(),
            tags: "T".into(),
            text: "a\x1b[1mb".into(),
            file: Some("/log".into()),
            ..StreamEvent::default()
        };
        let line = shown(&event, &Terminal::for_test(None, false));
        assert!(line.ends_with("  nas1        T                     a\u{fffd}[1mb (/log)"), "{line}");
    }
}
