//! The outputs of the server: each a place in the event stream and the metric stream, and a command that gets what follows.

mod channel;
mod command;
mod hold;
mod places;
mod skip;

pub(super) use self::command::Command;
pub(super) use self::skip::SkipRequest;

use self::channel::{Channel, Next};
use self::hold::Hold;
use self::places::{PlacesFile, SavedPlace};
use super::event_stream::EventStream;
use super::stream_reader::StreamReader;
use super::streams::{Streams, StreamsPlace, Which};
use crate::directives::output::{Format, Output};
use crate::directives::server::ServerFile;
use crate::now::{earlier, Now};
use crate::outputs::{Delivery, Notice, Period, Standing};
use crate::run::failure::LastFailure;
use crate::run::log::Log;
use crate::server::Server;
use crate::sys::poll::PollSet;
use crate::sys::{child, reason};
use crate::wire::StreamEvent;
use std::fs;
use std::rc::Rc;
use std::time::Duration;

pub(super) struct Outputs {
    /// Path of the event stream.
    stream: String,
    streams: Streams,
    /// The name of this server.
    server: Rc<str>,
    /// In the order of the server file.
    channels: Vec<Channel>,
    file: PlacesFile,
    /// The places that the file has, by the name of their output. Those of outputs that the server file has with a fault stay as they are.
    saved: Vec<(SavedPlace, Option<StreamsPlace>)>,
    /// When the places may be saved next, and when at the latest.
    next_save: Duration,
    latest_save: Duration,
    /// Whether events were delivered since the last save.
    delivered: bool,
    holds: Vec<Hold>,
    skip: SkipRequest,
    /// When a request to skip is looked for next.
    next_look: Duration,
    /// How often the streams were rolled when the held files were looked at.
    rolled: u64,
    failure: LastFailure,
}

/// What the status shows of an output.
pub(super) struct OutputState<'a> {
    pub(super) name: &'a str,
    /// Bytes of the stream that it has not passed.
    pub(super) bytes_behind: u64,
    /// Why its last run failed, if no later one was successful.
    pub(super) failure: Option<&'a str>,
    /// How many events wait for its command, and since when the first of them does.
    pub(super) waiting: usize,
    pub(super) waits_since: Option<Duration>,
    /// Whether its command runs.
    pub(super) is_running: bool,
}

impl Outputs {
    /// Time between two looks for a request to skip.
    const LOOK_INTERVAL: Duration = Duration::from_secs(1);
    /// Least time between two saves: an SD card bears only so many.
    const SAVE_INTERVAL: Duration = Duration::from_secs(1);
    /// Most time between two saves while the places move without anything being delivered.
    const IDLE_SAVE_INTERVAL: Duration = Duration::from_secs(60);

    pub(super) fn new(now: Now, settings: &ServerFile, server: &str) -> Self {
        let stream = &settings.event_stream;
        let streams = Streams::new(settings);
        let keep = |which| if which == Which::Events { settings.event_stream_keep } else { settings.metric_stream_keep };
        Self {
            stream: stream.clone(),
            holds: streams.all().map(|(which, files)| Hold::new((which, files), keep(which), settings.output_hold)).collect(),
            streams,
            skip: SkipRequest::new(stream),
            next_look: now.mono,
            server: server.into(),
            channels: Vec::new(),
            file: PlacesFile::new(stream),
            saved: Vec::new(),
            next_save: now.mono,
            latest_save: now.mono + Self::IDLE_SAVE_INTERVAL,
            delivered: false,
            rolled: 0,
            failure: LastFailure::default(),
        }
    }

    /// Goes on where an earlier run came to. The stream must have been cut back to its last complete batch.
    /// `open` has an event of each condition that is open now.
    pub(super) fn start(
        &mut self,
        now: Now,
        settings: &ServerFile,
        open: impl Iterator<Item = StreamEvent>,
        stream: &mut EventStream,
        log: &mut Log,
    ) {
        settings.output_faults.iter().for_each(|fault| log.write(now, &fault.to_string()));
        let (saved, faults) = self.file.read();
        faults.iter().for_each(|fault| log.write(now, fault));
        // What a metric stream has that was not there then stems from an earlier configuration.
        let end = self.streams.saved(self.streams.end());
        let completed = |saved: SavedPlace| SavedPlace { place: saved.place.or_metrics(&end), ..saved };
        self.saved = saved.into_iter().map(completed).map(|saved| (saved.clone(), self.streams.find(&saved.place))).collect();
        let known: Vec<String> = self.saved.iter().map(|(saved, _)| saved.output.clone()).collect();
        self.adopt(now, settings, stream, log);
        let mut channels: Vec<&mut Channel> =
            self.channels.iter_mut().filter(|channel| known.iter().any(|name| name == channel.name())).collect();
        if !channels.is_empty() {
            open.for_each(|event| channels.iter_mut().for_each(|channel| channel.delivery.recall_open(&event)));
        }
    }

    /// Puts the outputs of a server file in force. One whose command runs changes once that has ended.
    pub(super) fn adopt(&mut self, now: Now, settings: &ServerFile, stream: &mut EventStream, log: &mut Log) {
        self.holds.iter_mut().for_each(|hold| hold.set_limit(settings.output_hold));
        if fs::metadata(&self.stream).is_ok_and(|meta| !meta.is_file()) {
            if !settings.outputs.is_empty() {
                log.write(now, "the event stream is not a regular file: there are no outputs");
            }
            return;
        }
        // What an output with a fault is called is not known for sure: the places of all are kept until there is none.
        let had_places = !self.saved.is_empty();
        if settings.output_faults.is_empty() {
            self.saved.retain(|(saved, _)| settings.outputs.iter().any(|output| output.name == saved.output));
        }
        for channel in &mut self.channels {
            let found = settings.outputs.iter().find(|output| output.name == channel.name());
            channel.next = match found {
                None => Some(Next::Removed),
                Some(output) if output == channel.delivery.output() => None,
                Some(output) => Some(Next::Changed(output.clone())),
            };
        }
        for output in &settings.outputs {
            if !self.channels.iter().any(|channel| channel.name() == output.name) {
                let channel = self.begin(now, output.clone());
                self.channels.push(channel);
            }
        }
        self.save(now, stream, log);
        if had_places {
            self.update_hold(stream);
        }
    }

    /// A channel of an output that was not there. It begins where an earlier run came to, or at the end of the stream.
    fn begin(&self, now: Now, output: Output) -> Channel {
        let Some((saved, place)) = self.saved.iter().find(|(saved, _)| saved.output == output.name) else {
            return self.channel(now, output, self.streams.end(), Period::default());
        };
        let mut channel = self.channel(now, output, place.unwrap_or_default(), saved.period.clone());
        if place.is_none() {
            channel.delivery.notice(Notice::PlaceGone);
        }
        channel
    }

    /// A channel that goes on at a place.
    fn channel(&self, now: Now, output: Output, place: StreamsPlace, period: Period) -> Channel {
        let reader = self.streams.reader_behind(place);
        let needs_history = output.format == Format::Alertmanager;
        let mut delivery = Delivery::new(now, output, &self.server, Some(place), period);
        // Metrics and counts are no conditions.
        if let Some(end) = place.events.filter(|_| needs_history) {
            let mut earlier = StreamReader::from_start(&self.stream);
            while let Some(line) = earlier.next() {
                delivery.recall(&line.event);
                if line.place == end {
                    break;
                }
            }
        }
        Channel::new(delivery, reader)
    }

    /// The stream has got more lines.
    pub(super) fn handle_written(&mut self) {
        self.channels.iter_mut().for_each(Channel::handle_written);
    }

    /// Does what can be done without waiting. No output gets the events that are withheld.
    pub(super) fn advance(&mut self, now: Now, standing: &Standing<'_>, stream: &mut EventStream, log: &mut Log) {
        if self.channels.is_empty() {
            return;
        }
        child::reap();
        if now.mono >= self.next_look {
            self.next_look = now.mono + Self::LOOK_INTERVAL;
            self.take_skip(now, log);
        }
        for channel in &mut self.channels {
            channel.advance(now, standing, log);
            self.delivered |= channel.take_delivered();
        }
        let is_less = self.replace(now);
        self.save_if_due(now, stream, log);
        let rolled = stream.rolled(Which::Events) + stream.rolled(Which::Metrics);
        if rolled != self.rolled || is_less {
            self.rolled = rolled;
            self.update_hold(stream);
        }
    }

    /// Has the server report what the outputs have to say.
    pub(super) fn report(&mut self, now: Now, server: &mut Server) {
        for channel in &mut self.channels {
            while let Some(notice) = channel.delivery.poll_notice() {
                server.report(now, &self.server, notice.text(channel.name()));
            }
        }
    }

    /// The state of each output.
    pub(super) fn states(&self) -> impl Iterator<Item = OutputState<'_>> {
        self.channels.iter().map(|channel| {
            let delivery = &channel.delivery;
            let place = delivery.passed();
            let bytes_behind = place.map_or(0, |place| self.streams.bytes_behind(place));
            OutputState {
                name: channel.name(),
                bytes_behind,
                failure: delivery.failure(),
                waiting: delivery.waiting(),
                waits_since: delivery.waits_since(),
                is_running: delivery.is_running(),
            }
        })
    }

    /// Steps over the batch that an output fails with, if that was asked for.
    fn take_skip(&mut self, now: Now, log: &mut Log) {
        let Some(name) = self.skip.take() else { return };
        let found = self.channels.iter_mut().find(|channel| channel.name() == name);
        let outcome = match found.map(|channel| channel.skip(now)) {
            Some(true) => return,
            Some(false) => "there is nothing to skip: it has not failed with a batch",
            None => "there is nothing to skip: there is no such output",
        };
        log.write(now, &format!("output {name}: {outcome}"));
    }

    /// Changes and removes outputs whose commands do not run. Returns whether one was removed.
    fn replace(&mut self, now: Now) -> bool {
        let before = self.channels.len();
        for at in (0..self.channels.len()).rev() {
            if self.channels[at].delivery.is_running() {
                continue;
            }
            match self.channels[at].next.take() {
                None => {}
                Some(Next::Removed) => {
                    let gone = self.channels.remove(at);
                    self.saved.retain(|(saved, _)| saved.output != gone.name());
                }
                Some(Next::Changed(output)) => {
                    let former = &self.channels[at].delivery;
                    let limit_stays = former.output().limit == output.limit;
                    let period = if limit_stays { former.passed_period().clone() } else { Period::default() };
                    let mut channel = self.channel(now, output, former.passed().unwrap_or_default(), period);
                    former.open_conditions().for_each(|event| channel.delivery.recall_open(event));
                    self.channels[at] = channel;
                }
            }
        }
        self.channels.len() < before
    }

    pub(super) fn add_to(&self, poll: &mut PollSet) {
        self.channels.iter().for_each(|channel| channel.add_to(poll));
    }

    pub(super) fn next_deadline(&self, now: Now) -> Option<Duration> {
        let save = self.delivered.then_some(self.next_save);
        self.channels.iter().map(|channel| channel.next_deadline(now)).fold(save, earlier)
    }

    fn save_if_due(&mut self, now: Now, stream: &mut EventStream, log: &mut Log) {
        let has_moved = || {
            let is_saved = |channel: &Channel| {
                let saved = self.saved.iter().find(|(saved, _)| saved.output == channel.name());
                saved.is_some_and(|(_, place)| place.map(StreamsPlace::inodes) == channel.delivery.passed().map(StreamsPlace::inodes))
            };
            !self.channels.iter().all(is_saved)
        };
        if now.mono >= self.latest_save || now.mono >= self.next_save && (self.delivered || has_moved()) {
            self.save(now, stream, log);
        }
    }

    /// Saves the places. The stream is forced to disk first: a place must not be ahead of it.
    fn save(&mut self, now: Now, stream: &mut EventStream, log: &mut Log) {
        (self.next_save, self.latest_save) = (now.mono + Self::SAVE_INTERVAL, now.mono + Self::IDLE_SAVE_INTERVAL);
        self.delivered = false;
        let mut places: Vec<_> =
            self.saved.iter().filter(|(saved, _)| !self.channels.iter().any(|channel| channel.name() == saved.output)).cloned().collect();
        for channel in &self.channels {
            let (place, period) = (channel.delivery.passed(), channel.delivery.passed_period().clone());
            let saved = self.streams.saved(place.unwrap_or_default());
            places.push((SavedPlace { output: channel.name().into(), place: saved, period }, place));
        }
        if places == self.saved {
            return;
        }
        let lines: Vec<_> = places.iter().map(|(saved, _)| saved.clone()).collect();
        let failure = stream.sync().and_then(|()| self.file.write(&lines)).err().map(|e| reason(&e));
        if failure.is_none() {
            self.saved = places;
            self.update_hold(stream);
        }
        if let Some(failure) = self.failure.update(failure) {
            log.write(
                now,
                &format!("cannot write {}: {failure}; after a restart, outputs repeat what they have delivered", self.file.path()),
            );
        }
    }

    /// Removes the files of the streams that no output needs any more, and holds the others.
    fn update_hold(&mut self, stream: &mut EventStream) {
        let Self { holds, saved, channels, .. } = self;
        for hold in holds {
            // The places that were saved, since a restart goes on there, and those that are not saved yet.
            let number = |place: Option<StreamsPlace>| match place.and_then(|place| place.of(hold.which)) {
                Some(place) => hold.files.number_of(place.inode()).unwrap_or(0),
                None => hold.files.numbers().last().copied().unwrap_or(0),
            };
            let places = saved.iter().map(|(_, place)| *place).chain(channels.iter().map(|channel| channel.delivery.passed()));
            let needed = places.map(number).max().unwrap_or(0);
            hold.update(needed, channels);
            stream.keep(hold.which, hold.kept);
        }
    }

    /// Ends all commands, and saves the places.
    pub(super) fn shut_down(&mut self, now: Now, stream: &mut EventStream, log: &mut Log) {
        if self.channels.is_empty() {
            return;
        }
        for channel in &mut self.channels {
            channel.stop_command(now);
        }
        self.save(now, stream, log);
    }
}
