//! The agent as a state machine: datagrams, lines of logs, the output of commands and the time go in; datagrams, orders to the outside
//! world and one deadline come out. It opens no file, starts no process and reads no clock.
//!
//! [`Agent`] composes what does the work: `session` finds a server and speaks with it, `configuration` fetches what the server wants,
//! `logs` and `rules` make events of what they see, and `delivery` keeps these until the server has them.

mod configuration;
mod delivery;
mod failures;
mod logs;
mod notices;
mod output;
mod place;
mod place_search;
mod rules;
mod session;

pub use delivery::Urgency;
pub use logs::{Lines, LogEvent};
pub use output::{JobId, LogId, Output, Process, Start, TableEntry, Task, TaskEnd};
pub use place::{JournalBlock, JournalEntry, Place};
pub use rules::{CommandTrial, DryRun, DryRunOutcome, Policy, ProcessTrial};

use crate::directives::host::{HostFile, Patterns};
use crate::directives::{marked_lines, SourceLine};
use crate::now::{earlier, Now};
use crate::random::Random;
use crate::wire::auth::Key;
use crate::wire::position::Position;
use crate::wire::{Message, Revision, Token};
use configuration::{Configuration, FetchProgress, Verdict};
use delivery::{Delivery, Event, Form};
use failures::{FailingSource, Failures};
use logs::Logs;
use notices::{NoticeLimits, StrangerNotice};
use output::Outputs;
use rules::Rules;
use session::{Phase, Proof, Session};
use std::net::SocketAddrV4;
use std::time::Duration;

/// What tells one agent from another.
#[derive(Clone, Debug)]
pub struct AgentIdentity {
    /// The host name to report: not empty, without `%%` and control characters.
    pub host: String,
    /// Random for each run of the agent.
    pub run: Token,
    /// The port on which servers listen, P+1.
    pub server_port: u16,
    /// The seed of jitter and nonces.
    pub seed: u64,
}

/// The state machine.
pub struct Agent {
    host: String,
    session: Session,
    configuration: Configuration,
    logs: Logs,
    rules: Rules,
    delivery: Delivery,
    failures: Failures,
    notices: NoticeLimits,
    /// The bytes of memory that the patterns of a configuration may take.
    pattern_memory: usize,
    outputs: Outputs,
    /// A configuration that is in force once the server knows how far logs are read.
    coming: Option<ComingConfiguration>,
    /// The agent is about to end.
    is_ending: bool,
}

/// A configuration that is complete. Its rules must not see lines that were read before them: the server has to know of these. And
/// they have to know which conditions are open.
struct ComingConfiguration {
    revision: Revision,
    text: String,
    /// When it is in force even if the server does not know yet how far logs are read.
    deadline: Duration,
}

impl Agent {
    /// Errors of one configuration that are reported one by one.
    const MAX_FAULTS_REPORTED: usize = 20;
    /// How long a configuration waits for the server to confirm how far logs are read.
    const CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(2);

    /// An agent that has just started and knows no server.
    pub fn new(now: Now, identity: AgentIdentity) -> Self {
        let AgentIdentity { host, run, server_port, seed } = identity;
        let epoch = u64::try_from(run.0 >> 64).unwrap_or(u64::MAX);
        let mut agent = Self {
            session: Session::new(now, &host, run, Random::new(seed ^ 1), server_port),
            configuration: Configuration::default(),
            logs: Logs::default(),
            rules: Rules::default(),
            delivery: Delivery::new(now, &host, epoch, Random::new(seed)),
            failures: Failures::default(),
            notices: NoticeLimits::default(),
            pattern_memory: Patterns::MEMORY,
            outputs: Outputs::default(),
            coming: None,
            is_ending: false,
            host,
        };
        agent.system_event(now, format!("Agent started, version {}", env!("CARGO_PKG_VERSION")));
        agent
    }

    /// Sets which commands servers may have run here, from the next configuration on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.rules.set_policy(policy);
    }

    /// Lets servers follow files and not the journal, from the next configuration on.
    pub fn refuse_journal(&mut self) {
        self.rules.refuse_journal();
    }

    /// Sets how many bytes of memory the patterns of a configuration may take, from the next one on.
    pub fn set_pattern_memory(&mut self, bytes: usize) {
        self.pattern_memory = bytes;
    }

    /// Speaks only with servers that have one of these keys, and asks the selected one to prove that anew. A session that began with
    /// another key ends at once. No keys change nothing.
    pub fn set_keys(&mut self, now: Now, keys: Vec<Key>) {
        if !keys.is_empty() && self.session.set_keys(now, keys) {
            self.outputs.log("session ended: its key is not in the key file any more".into());
            self.handle_selected(now);
        }
    }

    /// Selects no server that is heard: one will be given by [`Self::fix_server`] when its address is known.
    pub fn wait_for_fixed_server(&mut self) {
        self.session.wait_for_fixed();
    }

    /// Speaks with the server at that address only.
    pub fn fix_server(&mut self, now: Now, address: SocketAddrV4) {
        if self.session.fix(now, address) {
            self.handle_selected(now);
        }
    }

    /// Whether the server that was given has been silent for so long that its name may have another address by now.
    pub fn is_fixed_server_silent(&self, now: Now) -> bool {
        self.session.is_fixed_silent(now)
    }

    /// Takes over the positions that an earlier run kept, as [`Self::positions`] gave them.
    pub fn remember(&mut self, now: Now, text: &str) {
        self.delivery.remember(now, text);
    }

    /// The positions up to which logs are processed, and those of an earlier run that were not needed yet, as a text; `None` if none
    /// has changed since the last call, or no change is as urgent as that.
    pub fn positions(&mut self, urgency: Urgency) -> Option<String> {
        self.delivery.positions(urgency)
    }

    /// The text of [`Self::positions`] was written to the file at that path, or why not.
    pub fn handle_positions_written(&mut self, now: Now, path: &str, outcome: Result<(), String>) {
        self.handle_state(now, FailingSource::PositionsFile(path.to_string()), outcome);
    }

    /// Whether [`Self::positions`] has something new.
    pub fn has_new_positions(&self) -> bool {
        self.delivery.has_new_positions()
    }

    /// Whether logs may be read: there is room for many events, the work of this turn is not done, and nothing waits until the server
    /// knows how far they are read.
    pub fn has_room(&self) -> bool {
        self.coming.is_none() && !self.is_ending && !self.rules.is_turn_over() && self.delivery.has_room_for_block()
    }

    /// Prepares the end of the agent: no log is read any more, and how far all of them are read is reported. From now on
    /// [`Self::handle_timeout`] does nothing but send that, and events that wait.
    pub fn begin_end(&mut self, now: Now) {
        self.is_ending = true;
        self.delivery.hurry_reports(now);
    }

    /// Tells the selected server that this agent ends. To be called last.
    pub fn say_goodbye(&mut self) {
        self.session.say_goodbye(&mut self.outputs);
    }

    /// Whether the selected server has all events and knows how far logs are read, or there is none that could.
    pub fn is_told(&self) -> bool {
        match self.form() {
            None => true,
            Some(Form::Chain) => self.delivery.waiting() == 0 && self.delivery.are_logs_told(),
            Some(Form::Alert | Form::Classic) => self.delivery.waiting() == 0,
        }
    }

    /// How many events wait for their acknowledgement.
    pub fn waiting(&self) -> usize {
        self.delivery.waiting()
    }

    /// Takes a datagram.
    pub fn handle_datagram(&mut self, now: Now, from: SocketAddrV4, datagram: &[u8]) {
        let Some((content, proof)) = self.session.admit(now, *from.ip(), datagram) else { return };
        if proof == Proof::NewSession {
            self.handle_joined(now);
        }
        match Message::parse_of_server(content) {
            Ok(Message::Heartbeat { .. }) => self.handle_heartbeat(now, from, None, datagram.len()),
            Ok(Message::Capability { run, .. }) => self.handle_heartbeat(now, from, Some(run), datagram.len()),
            // Without proof a message may only say what ends nothing.
            Ok(message) if proof != Proof::None || matches!(message, Message::Lost { .. } | Message::Offer { .. }) => {
                self.handle_message(now, from, &message, proof, datagram);
            }
            _ => {}
        }
    }

    /// A message that is not for everyone. `datagram` is all of it, with its MAC.
    fn handle_message(&mut self, now: Now, from: SocketAddrV4, message: &Message<'_>, proof: Proof, datagram: &[u8]) {
        let ip = *from.ip();
        let is_selected = self.session.is_selected(ip);
        let is_for_other_host = message.host().is_some_and(|host| host != self.host);
        if proof != Proof::None {
            let is_alive_answer = matches!(message, Message::Here { .. } | Message::Lost { .. } | Message::Stale { .. });
            if is_alive_answer && !is_for_other_host {
                self.session.handle_alive_answer(now, ip);
            }
            if is_selected {
                self.session.handle_answer(now);
            }
        }
        match *message {
            Message::Lost { .. } if !is_selected || !is_for_other_host => self.session.handle_lost(now, ip),
            Message::Offer { nonce, cookie, .. } if !is_for_other_host => {
                if let Some(join) = self.session.handle_offer(now, ip, nonce, cookie, datagram) {
                    self.outputs.send(from, join);
                }
            }
            _ if is_for_other_host || !is_selected => {}
            // Anyone may say so. With a key, or in a session, the agent knows better.
            Message::Locked { .. } if !self.session.is_keyed() && self.session.phase() != Phase::Session => {
                self.session.handle_locked(now);
                let text = format!("server {ip} requires a key of this host, and this agent has none (-k)");
                self.log_notice(now, StrangerNotice::Locked, text);
            }
            Message::Ack { uid } => {
                self.session.handle_classic_answer(now);
                self.delivery.handle_ack(now, uid);
            }
            Message::Done { ref chains, .. } => self.delivery.handle_done(now, chains),
            Message::Past { chain, offset, places, .. } => {
                self.logs.handle_past(chain, offset, Position::parse(places).unwrap_or_default(), &mut self.outputs);
            }
            Message::At { chain, checkpoint, .. } => {
                self.delivery.handle_at(now, chain, checkpoint);
                self.logs.announce_unknown(now, chain, &mut self.delivery, &mut self.outputs);
            }
            _ => self.handle_configuration_message(now, from, message, proof),
        }
    }

    /// A message of the selected server to this host about its configuration.
    fn handle_configuration_message(&mut self, now: Now, from: SocketAddrV4, message: &Message<'_>, proof: Proof) {
        match *message {
            Message::Config { lines } => {
                self.session.handle_classic_answer(now);
                if self.session.phase() != Phase::Classic {
                    return;
                }
                if let Some((revision, lines)) = self.configuration.handle_classic(lines) {
                    self.session.handle_classic_configuration(now);
                    if self.configuration.replace(revision, from) {
                        self.adopt(now, revision, lines);
                    }
                }
            }
            Message::Reset { .. } if self.session.phase() == Phase::Classic => self.configuration.handle_reset(now),
            // Within a session the server says itself which revision it has: this is a hint to ask.
            Message::Reset { .. } => self.session.hurry_keepalive(now),
            Message::Part { revision, index, count, text, .. } => match self.configuration.handle_part(now, revision, index, count, text) {
                FetchProgress::Incomplete => {}
                FetchProgress::Corrupt => {
                    let text = format!("a part of configuration {revision} does not belong to it");
                    self.log_notice(now, StrangerNotice::Corrupt, text);
                }
                FetchProgress::Complete(text) => self.adopt_when_told(now, from, revision, text),
            },
            Message::Stale { revision, .. } => {
                if proof == Proof::NotNeeded {
                    self.handle_joined(now);
                }
                self.configuration.set_has_file(revision != Revision::NONE);
                // Without a session the message is late, or answers a keepalive from before this server was selected.
                if self.session.phase() == Phase::Session && self.configuration.handle_stale(now, from, revision) == Verdict::End {
                    self.adopt_when_told(now, from, Revision::NONE, String::new());
                }
            }
            _ => {}
        }
    }

    fn handle_heartbeat(&mut self, now: Now, from: SocketAddrV4, run: Option<Token>, bytes: usize) {
        if self.session.handle_heartbeat(now, *from.ip(), run, bytes) {
            self.handle_selected(now);
        }
    }

    /// Another server is selected, or none.
    fn handle_selected(&mut self, now: Now) {
        self.delivery.restart(now);
        self.configuration.handle_selected();
        // With keys the server is logged when it has proven one: heartbeats can be forged.
        if let (Some(address), false) = (self.session.address(), self.session.is_keyed()) {
            self.outputs.log(format!("server {} selected", address.ip()));
        }
    }

    /// The server has said what it says only within a session.
    fn handle_joined(&mut self, now: Now) {
        if !self.session.handle_joined(now) {
            return;
        }
        self.delivery.restart(now);
        self.configuration.handle_joined();
        let key = match (self.session.address(), self.session.is_keyed()) {
            (Some(address), true) => format!(": {} has the key", address.ip()),
            _ => String::new(),
        };
        self.log_notice(now, StrangerNotice::Session, format!("session with the server begun{key}"));
    }

    /// Puts a configuration in force, unless it is, once the server knows how far logs are read.
    fn adopt_when_told(&mut self, now: Now, from: SocketAddrV4, revision: Revision, text: String) {
        if self.configuration.replace(revision, from) {
            self.coming = Some(ComingConfiguration { revision, text, deadline: now.mono + Self::CONFIRMATION_TIMEOUT });
            self.delivery.hurry_reports(now);
        }
        self.session.hurry_keepalive(now);
        self.adopt_coming(now);
    }

    /// Puts the configuration in force that waits, if it need not wait any more.
    fn adopt_coming(&mut self, now: Now) {
        if !self.delivery.knows_conditions(self.form()) {
            return;
        }
        let is_due = |coming: &mut ComingConfiguration| now.mono >= coming.deadline || self.delivery.are_logs_told();
        if let Some(ComingConfiguration { revision, text, .. }) = self.coming.take_if(is_due) {
            self.adopt(now, revision, marked_lines(&text, Configuration::CLASSIC_PATH));
        }
    }

    /// Puts a configuration in force.
    fn adopt(&mut self, now: Now, revision: Revision, lines: Vec<SourceLine<'_>>) {
        self.coming = None;
        self.session.hurry_keepalive(now);
        let file = HostFile::parse_with(lines, &mut Patterns::within(self.pattern_memory));
        for (reported, fault) in file.faults.iter().enumerate() {
            if reported == Self::MAX_FAULTS_REPORTED {
                self.system_event(now, format!("Configuration error: and {} more", file.faults.len() - reported));
                break;
            }
            self.system_event(now, format!("Configuration error: {fault}"));
        }
        for refused in self.rules.replace(now, file.groups, &mut self.logs, &mut self.outputs) {
            self.system_event(now, format!("Refused by this host: {refused}"));
        }
        self.close_conditions(now);
        let Self { failures, rules, logs, .. } = self;
        failures.retain(|source| match source {
            FailingSource::Log(path) => logs.follows(path),
            FailingSource::ProcessList(name) => rules.needs_process_list(name),
            FailingSource::Run(run) => rules.needs_run(run),
            FailingSource::PositionsFile(_) => true,
        });
        self.outputs.push(Output::Follow(self.logs.wanted()));
        let rules = self.rules.len();
        let plural = if rules == 1 { "" } else { "s" };
        self.system_event(now, format!("Configuration {revision} in force: {rules} rule{plural}"));
    }

    /// Ends the open conditions of rules and logs that are gone.
    fn close_conditions(&mut self, now: Now) {
        if self.delivery.has_conditions() {
            self.delivery.close_other_conditions(now, &self.rules.condition_keys(&self.logs));
        }
    }

    /// Takes what happens to a log. Returns how many bytes of [`LogEvent::Lines`] are processed: fewer than all when events find no
    /// room, or when so much was searched that [`Self::handle_timeout`] is to be called before; 0 for any other event. Events of a log that is not followed any more are ignored.
    pub fn handle_log(&mut self, now: Now, log: LogId, event: LogEvent<'_>) -> usize {
        let changes_files = event.changes_files();
        let consumed = self.handle_log_event(now, log, event);
        if changes_files {
            self.close_conditions(now);
        }
        consumed
    }

    /// Until when the next lines of a log wait for others that belong to them; `None` if they do not. Until then they are to be handed
    /// over again only with more lines.
    pub fn waits_until(&self, log: LogId) -> Option<Duration> {
        self.logs.file(log).and_then(|file| self.rules.waits_until(file))
    }

    fn handle_log_event(&mut self, now: Now, log: LogId, event: LogEvent<'_>) -> usize {
        let Self { logs, rules, delivery, outputs, .. } = self;
        match event {
            LogEvent::Lines(lines) => {
                let Some(file) = logs.file_mut(log) else { return lines.bytes.len() };
                return rules.handle_lines(now, file, lines, delivery);
            }
            LogEvent::Read(position) => {
                let counts = logs.file(log).map(|file| rules.open_counts(file)).unwrap_or_default();
                logs.handle_read(log, position, counts, delivery);
            }
            LogEvent::Found { path, is_late } => {
                let file = logs.handle_found(log, path, is_late);
                file.iter().for_each(|file| rules.add_file(log, *file));
                self.open_logs(now);
            }
            LogEvent::Renamed { from, path, position } => {
                if let Some(file) = logs.handle_found(log, path, true) {
                    rules.add_file(log, file);
                    logs.handle_renamed(now, file, from, &position, delivery, outputs);
                }
            }
            LogEvent::Searched => logs.handle_searched(log),
            LogEvent::Opened { position, lost, is_refused } => {
                if is_refused {
                    logs.withhold_announcement(log);
                }
                let counts = logs.handle_opened(now, log, position, lost, delivery, outputs);
                if let Some(file) = logs.file(log).filter(|_| !counts.is_empty()) {
                    rules.restore(now, file, &counts, delivery);
                }
            }
            LogEvent::Shortened(most) => {
                let can_ask = self.form() == Some(Form::Chain);
                self.logs.handle_shortened(now, log, most, can_ask, &mut self.outputs);
            }
            LogEvent::End(position) => {
                if let Some(file) = logs.file(log) {
                    rules.handle_end(file, position);
                }
            }
            LogEvent::Loss(text) => {
                if logs.file(log).is_some() {
                    self.system_event(now, text);
                }
            }
            LogEvent::State(state) => {
                if let Some(path) = logs.name(log) {
                    self.handle_state(now, FailingSource::Log(path), state);
                }
            }
            LogEvent::Gone => logs.handle_gone(log, delivery).iter().for_each(|wildcard| rules.remove_file(*wildcard, log)),
            LogEvent::SetAside => logs.handle_set_aside(log).iter().for_each(|wildcard| rules.remove_file(*wildcard, log)),
            LogEvent::Vanished { path } => logs.handle_vanished(log, &path).iter().for_each(|file| rules.remove_file(log, *file)),
        }
        0
    }

    /// Takes lines that a task printed. Returns how many bytes are processed: fewer than all, but at least one line, when so much was
    /// searched that [`Self::handle_timeout`] is to be called before.
    pub fn handle_task_lines(&mut self, now: Now, job: JobId, bytes: &[u8]) -> usize {
        self.rules.handle_task_lines(now, job, bytes, &mut self.delivery)
    }

    /// Takes what a task has found in the table of the system.
    pub fn handle_table(&mut self, job: JobId, entry: &TableEntry<'_>) {
        self.rules.handle_table(job, entry);
    }

    /// A task has ended.
    pub fn handle_task_end(&mut self, now: Now, job: JobId, end: TaskEnd) {
        if let Some((source, outcome)) = self.rules.handle_task_end(now, job, end, &mut self.delivery, &mut self.outputs) {
            self.handle_state(now, source, outcome);
        }
    }

    fn handle_state(&mut self, now: Now, source: FailingSource, state: Result<(), String>) {
        if let Some(text) = self.failures.handle_state(source, state) {
            self.system_event(now, text);
        }
    }

    /// Does all that is due. Calling it more often changes nothing.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.is_ending {
            return self.transmit(now);
        }
        self.adopt_coming(now);
        if self.session.handle_timeout(now, self.configuration.revision(), &mut self.outputs) {
            if !self.session.is_keyed() {
                self.outputs.log("the server is silent: deselected".into());
            }
            self.handle_selected(now);
        }
        if let Some(server) = self.session.take_unproven() {
            let text = format!("server {server} does not prove that it has the key of this host");
            self.log_notice(now, StrangerNotice::Unproven, text);
        }
        self.request_configuration(now);
        self.open_logs(now);
        self.logs.close(now, &mut self.delivery);
        self.rules.handle_timeout(now, &self.logs, &mut self.delivery, &mut self.outputs);
        if self.session.idle_due(self.delivery.waiting()).is_some_and(|due| due <= now.mono) {
            self.session.handle_classic_sent(now);
            self.system_event(now, "Idle".into());
        }
        self.transmit(now);
    }

    fn request_configuration(&mut self, now: Now) {
        let phase = self.session.phase();
        if let Some(request) = self.configuration.request(now, phase, &self.host) {
            if phase == Phase::Classic {
                self.session.handle_classic_sent(now);
            }
            self.session.send(request, &mut self.outputs);
        }
    }

    /// Orders each log to be opened once it is known how far it was read.
    fn open_logs(&mut self, now: Now) {
        let phase = self.session.certain_phase();
        // A server without a file of this host keeps no checkpoints of it either.
        let is_remembered = phase == Phase::Session && self.configuration.has_file();
        self.logs.open(now, phase, is_remembered, &mut self.delivery, &mut self.outputs);
    }

    /// In which form events go to the selected server, if they may.
    fn form(&self) -> Option<Form> {
        match self.session.phase() {
            Phase::Probing => None,
            Phase::Classic => Some(Form::Classic),
            // Without a file of this host the server keeps no checkpoints of it.
            Phase::Session if self.configuration.has_file() => Some(Form::Chain),
            Phase::Session => Some(Form::Alert),
        }
    }

    fn transmit(&mut self, now: Now) {
        self.delivery.handle_timeout(now);
        let (Some(server), Some(form)) = (self.session.address(), self.form()) else { return };
        let mut datagrams = self.delivery.transmit(now, server, form);
        if form == Form::Chain {
            datagrams.extend(self.logs.place_requests(now, &self.host, &mut self.outputs));
        }
        for datagram in datagrams {
            if form == Form::Classic {
                self.session.handle_classic_sent(now);
            }
            self.session.send(datagram, &mut self.outputs);
        }
    }

    /// An event about the monitoring itself, which the agent's own log has too.
    fn system_event(&mut self, now: Now, text: String) {
        self.delivery.push(now, Event::system(&text));
        self.outputs.log(text);
    }

    /// Logs what strangers can cause, unless that was done a short time ago.
    fn log_notice(&mut self, now: Now, notice: StrangerNotice, text: String) {
        if self.notices.admit(now, notice) {
            self.outputs.log(text);
        }
    }

    /// The next thing to be done. To be drained after every call of a `handle_` method, and carried out only then.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn next_deadline(&self, now: Now) -> Option<Duration> {
        let events = self.form().and_then(|form| self.delivery.next_deadline(form));
        let events = earlier(events, self.logs.next_deadline().filter(|_| self.form() == Some(Form::Chain)));
        if self.is_ending {
            return events;
        }
        let coming = self.coming.as_ref().filter(|_| self.delivery.knows_conditions(self.form()));
        let events = earlier(events, coming.map(|coming| coming.deadline));
        let idle = self.session.idle_due(self.delivery.waiting());
        let session = earlier(self.session.next_deadline(), self.configuration.next_deadline(self.session.phase()));
        earlier(earlier(session, idle), earlier(events, self.rules.next_deadline(now)))
    }
}

#[cfg(test)]
mod tests;
