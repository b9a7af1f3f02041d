//! One output: collects a batch, says when its command is to run, and moves its place once the command has taken the events.

use super::limit::{summary, Period};
use super::notice::{is_about, named, Notice};
use super::open_conditions::OpenConditions;
use super::selection;
use crate::directives::output::{Format, Output};
use crate::now::{earlier, Now};
use crate::wire::{State, StreamEvent};
use std::collections::VecDeque;
use std::time::Duration;

/// What the server knows of events besides the stream.
#[derive(Clone, Copy)]
pub struct Standing<'a> {
    /// Whether an event goes to no output now.
    pub is_withheld: &'a dyn Fn(&StreamEvent) -> bool,
    /// Whether the condition of an event is open.
    pub is_open: &'a dyn Fn(&StreamEvent) -> bool,
}

/// An output and how far it has come. `P` is a place in the stream.
#[derive(Debug)]
pub struct Delivery<P> {
    output: Output,
    /// The name of this server.
    server: String,
    /// The events that were chosen and not delivered, in order.
    batch: VecDeque<Item<P>>,
    /// The size of their texts.
    bytes: usize,
    /// Since when the oldest of them waits.
    waits_since: Option<Duration>,
    /// How many of them the command gets. Once it is set, the batch gets no more events: what is repeated must stay the same.
    portion: Option<usize>,
    /// Behind the last event that was read, chosen or not.
    behind: Option<P>,
    /// All events before it are delivered, or were not chosen.
    passed: Option<P>,
    period: Period,
    /// The period as it was at the place `passed`.
    period_at_passed: Period,
    phase: Phase,
    pause: Duration,
    /// Why the last run failed.
    failure: Option<String>,
    /// Since when events could be delivered and none was.
    stalled_since: Option<Duration>,
    is_stuck: bool,
    open: OpenConditions,
    /// When the open conditions were delivered last.
    refreshed: Duration,
    notices: VecDeque<Notice>,
}

#[derive(Debug)]
struct Item<P> {
    event: StreamEvent,
    /// Behind the event.
    place: Option<P>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The command runs when the batch is due.
    Collecting,
    /// The command has to end before that time.
    Running { until: Duration },
    /// After a failure.
    Pausing { until: Duration },
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With exit status 0.
    Delivered,
    /// With another exit status.
    Status(i32),
    /// Otherwise: it could not be started, was killed, or took too long.
    Failed(String),
}

impl<P: Copy> Delivery<P> {
    /// Most bytes of the texts of a batch, unless its only event has more.
    const MOST_BYTES: usize = 256 * 1024;
    /// What an event takes besides its text.
    const FRAME: usize = 200;
    /// The pause after a first failure. It doubles with each further one.
    const FIRST_PAUSE: Duration = Duration::from_secs(1);
    const LONGEST_PAUSE: Duration = Duration::from_secs(60);
    /// An output that delivers nothing for so long is reported.
    const STUCK: Duration = Duration::from_secs(600);
    /// Open conditions are delivered again after so long: Alertmanager forgets them after 5 minutes.
    const REFRESH: Duration = Duration::from_secs(60);

    /// An output that goes on at a place, in a period that has begun earlier.
    pub fn new(now: Now, output: Output, server: &str, passed: Option<P>, period: Period) -> Self {
        Self {
            output,
            server: server.into(),
            batch: VecDeque::new(),
            bytes: 0,
            waits_since: None,
            portion: None,
            behind: passed,
            passed,
            period_at_passed: period.clone(),
            period,
            phase: Phase::Collecting,
            pause: Self::FIRST_PAUSE,
            failure: None,
            stalled_since: None,
            is_stuck: false,
            open: OpenConditions::default(),
            refreshed: now.mono,
            notices: VecDeque::new(),
        }
    }

    /// What the server file says of it.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// The place before which nothing has to be delivered any more; `None` for the start of a stream.
    pub fn passed(&self) -> Option<P> {
        self.passed
    }

    /// The period as it was at that place.
    pub fn passed_period(&self) -> &Period {
        &self.period_at_passed
    }

    /// Whether its command runs.
    pub fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }

    /// Why the last run failed, if no later one was successful.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// How many events wait in memory.
    pub fn waiting(&self) -> usize {
        self.batch.len()
    }

    /// Since when the oldest of them waits.
    pub fn waits_since(&self) -> Option<Duration> {
        self.waits_since
    }

    /// Whether it takes more events now.
    pub fn wants_events(&self) -> bool {
        self.portion.is_none() && self.phase == Phase::Collecting && !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.batch.len() >= self.output.batch.events || self.bytes >= Self::MOST_BYTES
    }

    /// Whether the output gets the event.
    pub fn chooses(&self, event: &StreamEvent) -> bool {
        selection::chooses(&self.output, event) && !is_about(event, &self.server, &self.output.name)
    }

    /// Takes the next event of the stream, and the place behind it.
    pub fn handle_event(&mut self, now: Now, event: StreamEvent, behind: P) {
        self.behind = Some(behind);
        if self.chooses(&event) {
            self.end_period(now);
            if self.output.limit.is_none_or(|limit| self.period.admit(limit, now.unix, &event)) {
                self.push(now, event);
            }
        }
        self.pass_if_empty();
    }

    /// Takes an event that no output gets now, and the place behind it. If it ends a condition of which this output knows, it gets it.
    pub fn handle_withheld(&mut self, now: Now, event: StreamEvent, behind: P) {
        let is_begin =
            |item: &Item<P>| item.event.host == event.host && item.event.key == event.key && item.event.state != Some(State::Closed);
        let is_known = event.key.is_some() && (self.open.has(&event) || self.batch.iter().any(is_begin));
        if is_known && event.state == Some(State::Closed) {
            return self.handle_event(now, event, behind);
        }
        self.open.handle_withheld(&event);
        self.behind = Some(behind);
        self.pass_if_empty();
    }

    /// Takes note that files were removed, with so many events that it has not read. `moved` returns the place that now stands for one.
    pub fn handle_removed(&mut self, moved: &dyn Fn(Option<P>) -> P, lost: u64, hold: u64) {
        let places = self.batch.iter_mut().map(|item| &mut item.place).chain([&mut self.behind, &mut self.passed]);
        places.for_each(|place| *place = Some(moved(*place)));
        self.pass_if_empty();
        if lost > 0 {
            self.notices.push_back(Notice::Lost { events: lost, hold });
        }
    }

    /// Takes note of an event that was delivered in an earlier run.
    pub fn recall(&mut self, event: &StreamEvent) {
        if self.chooses(event) {
            self.open.update(event);
        }
    }

    /// Takes note of a condition that is open, by its last event: it may have been delivered in an earlier run.
    pub fn recall_open(&mut self, event: &StreamEvent) {
        if self.chooses(event) {
            self.open.add(event);
        }
    }

    /// The conditions that are open as far as it knows.
    pub fn open_conditions(&self) -> impl Iterator<Item = &StreamEvent> {
        self.open.events()
    }

    /// Whether it delivers open conditions again.
    fn repeats_open(&self) -> bool {
        self.output.format == Format::Alertmanager && !self.open.is_empty()
    }

    fn push(&mut self, now: Now, event: StreamEvent) {
        self.bytes += Self::FRAME + event.text.len();
        self.waits_since.get_or_insert(now.mono);
        self.batch.push_back(Item { event, place: self.behind });
    }

    fn pass_if_empty(&mut self) {
        if self.batch.is_empty() {
            self.passed = self.behind;
            self.period_at_passed = self.period.clone();
            (self.portion, self.bytes, self.waits_since) = (None, 0, None);
        }
    }

    /// Ends the period of the limit if it is over; its summary joins the batch.
    fn end_period(&mut self, now: Now) {
        let Some(limit) = self.output.limit else { return };
        if let Some((start, text)) = self.period.end_if_over(limit, now.unix) {
            self.push(now, summary(&self.server, &self.output.name, now.unix, start, &text));
        }
    }

    fn is_active(&self, now: Now) -> bool {
        self.output.active.as_ref().is_none_or(|active| active.is_active(now.local))
    }

    /// When the command is to run, apart from the times at which it is active.
    fn run_due(&self) -> Option<Duration> {
        let refresh = self.repeats_open().then(|| self.refreshed + Self::REFRESH);
        match self.phase {
            Phase::Running { .. } => None,
            Phase::Pausing { until } => Some(until),
            Phase::Collecting if self.portion.is_some() || self.is_full() => Some(Duration::ZERO),
            Phase::Collecting => earlier(self.waits_since.map(|since| since + self.output.batch.wait), refresh),
        }
    }

    /// Does what is due: ends a period, notices that nothing is delivered. Returns whether the command is to run now.
    pub fn handle_timeout(&mut self, now: Now) -> bool {
        if self.wants_events() {
            self.end_period(now);
        }
        let is_active = self.is_active(now);
        let is_due = self.run_due().is_some_and(|due| due <= now.mono);
        if !is_active {
            self.stalled_since = None;
        } else if is_due || self.phase != Phase::Collecting {
            let since = *self.stalled_since.get_or_insert(now.mono);
            let time = now.mono.saturating_sub(since);
            if time >= Self::STUCK && !self.is_stuck {
                self.is_stuck = true;
                let reason = self.failure.clone().unwrap_or_else(|| "its command has not ended".into());
                self.notices.push_back(Notice::Stuck { time, reason });
            }
        }
        is_due && is_active
    }

    /// When [`Self::handle_timeout`] has to do something.
    pub fn next_deadline(&self, now: Now) -> Option<Duration> {
        let after = |seconds: u64| now.mono + Duration::from_secs(seconds);
        let summary = self.output.limit.filter(|_| self.wants_events()).and_then(|limit| self.period.seconds_to_summary(limit, now.unix));
        let edge = self.output.active.as_ref().and_then(|active| active.minutes_to_edge(now.local));
        let edge = edge.map(|minutes| after((u64::from(minutes) * 60).saturating_sub(now.second.into()).max(1)));
        let stuck = self.stalled_since.filter(|_| !self.is_stuck).map(|since| since + Self::STUCK);
        let run = if self.is_active(now) { self.run_due() } else { None };
        let phase = match self.phase {
            Phase::Running { until } => Some(until),
            _ => None,
        };
        [summary.map(after), edge, stuck, phase].into_iter().fold(run, earlier)
    }

    /// Begins a run of the command. Returns the events that it gets, in order. What has ended without an event, or is withheld now, is not
    /// delivered again; if there is nothing else, there is no run.
    pub fn begin_run(&mut self, now: Now, standing: &Standing<'_>) -> Vec<&StreamEvent> {
        if self.batch.is_empty() {
            self.open.retain(standing.is_open);
            let events: Vec<&StreamEvent> = self.open.events().filter(|event| !(standing.is_withheld)(event)).collect();
            (self.phase, self.refreshed) = match events.is_empty() {
                true => (Phase::Collecting, now.mono),
                false => (Phase::Running { until: now.mono + self.output.batch.timeout }, self.refreshed),
            };
            return events;
        }
        self.phase = Phase::Running { until: now.mono + self.output.batch.timeout };
        let portion = *self.portion.get_or_insert(self.batch.len());
        self.batch.iter().take(portion).map(|item| &item.event).collect()
    }

    /// Whether the command has run for too long.
    pub fn is_overdue(&self, now: Now) -> bool {
        matches!(self.phase, Phase::Running { until } if until <= now.mono)
    }

    /// Handles the end of the command.
    pub fn handle_end(&mut self, now: Now, end: End) {
        let portion = self.portion.unwrap_or(0);
        match end {
            End::Delivered => {
                self.batch.iter().take(portion).for_each(|item| self.open.update(&item.event));
                self.refreshed = now.mono;
                self.advance(portion);
                self.progress();
            }
            End::Status(status) if Some(status) == self.output.batch.drop && portion == 1 => {
                self.give_up(status);
                self.progress();
            }
            End::Status(status) if Some(status) == self.output.batch.drop && portion > 1 => {
                self.portion = Some(portion / 2);
                self.phase = Phase::Collecting;
            }
            End::Status(status) => self.fail(now, format!("exit status {status}")),
            End::Failed(reason) => self.fail(now, reason),
        }
    }

    fn give_up(&mut self, status: i32) {
        if let Some(item) = self.batch.front() {
            self.notices.push_back(Notice::GivenUp { event: named(&item.event), reason: format!("exit status {status}") });
        }
        self.advance(1);
        // The others may be all right together.
        self.portion = self.portion.map(|_| self.batch.len());
    }

    /// Drops the first events of the batch, and moves the place behind them.
    fn advance(&mut self, events: usize) {
        let events = events.min(self.batch.len());
        if let Some(item) = self.batch.drain(..events).last() {
            self.passed = item.place;
        }
        self.portion = self.portion.map(|portion| portion.min(self.batch.len()));
        self.pass_if_empty();
    }

    fn progress(&mut self) {
        (self.phase, self.pause, self.failure, self.stalled_since) = (Phase::Collecting, Self::FIRST_PAUSE, None, None);
        if std::mem::take(&mut self.is_stuck) {
            self.notices.push_back(Notice::WorksAgain);
        }
    }

    fn fail(&mut self, now: Now, reason: String) {
        self.failure = Some(reason);
        self.phase = Phase::Pausing { until: now.mono + self.pause };
        self.pause = (2 * self.pause).min(Self::LONGEST_PAUSE);
    }

    /// The pause before the next run; `None` if no run has just failed.
    pub fn pause(&self, now: Now) -> Option<Duration> {
        match self.phase {
            Phase::Pausing { until } => Some(until.saturating_sub(now.mono)),
            _ => None,
        }
    }

    /// Gives up the events that the command got last, if it has failed with them and does not run. Returns whether that was so.
    pub fn skip(&mut self) -> bool {
        let Some(portion) = self.portion.filter(|_| self.failure.is_some() && !self.is_running()) else { return false };
        let (Some(first), Some(last)) = (self.batch.front(), self.batch.get(portion.saturating_sub(1))) else { return false };
        self.notices.push_back(Notice::Skipped { events: portion, first: named(&first.event), last: named(&last.event) });
        self.advance(portion);
        self.progress();
        true
    }

    /// Adds something to be reported.
    pub fn notice(&mut self, notice: Notice) {
        self.notices.push_back(notice);
    }

    /// What is to be reported next.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }
}

#[cfg(test)]
mod tests;
