//! The agent as a state machine: datagrams, lines, outputs of commands and the time go in; datagrams, orders to the outside world and one
//! deadline come out. It opens no file, starts no process and reads no clock.
//!
//! `selection` finds a server and a session with it, `fetch` brings a configuration, the three kinds of rules make events of
//! what they see, and `outbox` holds these until the server has them.
#![allow(clippy::vec_box, reason = "what is put into lists and taken out of them is moved as one word: the program has to be small")]

mod configuration;
mod delivery;
mod logs;
mod rules;
mod session;

pub use logs::{Start, Urgency};
pub use rules::dry_run::DryRun;
pub use rules::log::Block;
pub use rules::policy::Policy;

use crate::directives::host::{Builtin, CommandLine, LogSource};
use crate::lines::lines;
use crate::now::{Millis, Moment, Now};
use crate::random::Random;
use crate::wire::auth::Key;
use crate::wire::{Message, Revision, Token};
use configuration::fetch::Fetch;
use delivery::outbox::{Form, Outbox};
use logs::{Following, Link};
use rules::command::CommandRules;
use rules::log::LogRules;
use rules::process::ProcessRules;
use session::keys::Proof;
use session::{Protocol, Selection};
use std::net::SocketAddrV4;
use std::time::Duration;

/// The tags of events about the monitoring itself.
const SYSTEM: &str = "SYSTEM";

/// What tells one agent from another.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The host name to report: neither empty nor with `%%` or control characters in it.
    pub host: String,
    /// Random for each run of the agent.
    pub run: Token,
    /// The port on which servers listen, P+1.
    pub server_port: u16,
    /// Where jitter and nonces begin.
    pub seed: u64,
}

/// What the agent wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send that datagram.
    Send { to: SocketAddrV4, datagram: Vec<u8> },
    /// Follow these logs and no others; a log's place in the list is its number in the calls. What is new among them is to be told of
    /// by [`Agent::handle_found`].
    Follow(Vec<LogSource>),
    /// Read a file of a log from there on, and say so by [`Agent::handle_opened`].
    Open { log: usize, path: String, start: Start },
    /// Say by [`Agent::handle_end`] where every log ends now.
    Measure,
    /// Start a task and tell of it by [`Agent::handle_task_lines`] and [`Agent::handle_task_end`].
    Start { job: JobId, task: Task },
    /// End that task, if it still runs; nothing more need be told of it.
    Stop(JobId),
    /// Write that into the agent's own log.
    Log(String),
}

/// Names a task that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobId(u64);

/// What can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// A process of its own.
    Command(CommandLine),
    /// A built-in command.
    Builtin(Builtin),
    /// A list of all processes, one a line, from the system itself.
    ProcessTable,
}

/// What a started task is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    ProcessList,
    Command(CommandLine),
}

/// What can fail and work again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FailingSource {
    Log(String),
    Command(String),
}

/// What of that which strangers can bring about is logged.
#[derive(Clone, Copy)]
enum StrangerNotice {
    Session,
    Unproven,
    Corrupt,
}

/// The state machine.
pub struct Agent {
    /// When the call came that is being answered.
    now: Moment,
    host: String,
    selection: Selection,
    fetch: Option<Fetch>,
    /// When to ask a version 1 server for the configuration; [`Millis::NEVER`] if it is not to be asked.
    next_config_request: Millis,
    /// What is in force, and the address of the server that it came from.
    in_force: Option<(Revision, SocketAddrV4)>,
    /// What of a configuration is not done here.
    policy: Policy,
    process_list: Option<CommandLine>,
    logs: LogRules,
    following: Following,
    processes: ProcessRules,
    commands: CommandRules,
    outbox: Outbox,
    jobs: Vec<(JobId, Purpose)>,
    next_job: u64,
    /// What was reported as failing and has not been reported as working again.
    failing: Vec<FailingSource>,
    /// To which server events went last, and how.
    spoken_with: Option<(SocketAddrV4, Form)>,
    /// Whether the server of the session has a file of this host.
    has_file: bool,
    /// When something was last said to a version 1 server.
    last_classic: Millis,
    next_stranger_logs: [Millis; 3],
    outputs: Vec<Output>,
    /// Those that were there when outputs were last asked for, the oldest last.
    ready: Vec<Output>,
}

impl Agent {
    /// An agent that has not said anything to a version 1 server for so long says that it idles.
    const IDLE_AFTER: Millis = Millis::from_secs(67);
    /// With so many events waiting it need not.
    const IDLE_BELOW: usize = 3;
    const CONFIG_REQUEST_INTERVAL: Millis = Millis::from_secs(10);
    const STRANGER_LOG_INTERVAL: Millis = Millis::from_secs(60);
    /// Errors of one configuration that are reported one by one.
    const MAX_FAULTS_REPORTED: usize = 20;
    /// What the lines of a version 1 configuration are counted in: it does not say which file they come from.
    const CLASSIC_PATH: &str = "CONFIG";

    /// An agent that has just started and knows no server.
    pub fn new(now: Now, identity: Identity) -> Self {
        let Identity { host, run, server_port, seed } = identity;
        let random = Random::new(seed);
        let chain_run = u64::try_from(run.0 >> 64).unwrap_or(u64::MAX);
        let now = Moment::from(now);
        let mut agent = Self {
            now,
            selection: Selection::new(&host, run, Random::new(seed ^ 1), server_port),
            outbox: Outbox::new(&now, &host, chain_run, random),
            fetch: None,
            next_config_request: Millis::NEVER,
            in_force: None,
            policy: Policy::default(),
            process_list: None,
            logs: LogRules::default(),
            following: Following::default(),
            processes: ProcessRules::default(),
            commands: CommandRules::default(),
            jobs: Vec::new(),
            next_job: 0,
            failing: Vec::new(),
            spoken_with: None,
            has_file: false,
            last_classic: now.mono,
            next_stranger_logs: [now.mono; 3],
            outputs: Vec::new(),
            ready: Vec::new(),
            host,
        };
        agent.system_event(format!("Agent started, version {}", env!("CARGO_PKG_VERSION")));
        agent
    }

    /// Lets servers ask only for what that allows, from the next configuration on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Speaks only with servers that have one of these keys, and asks the one that it speaks with to prove that anew.
    pub fn set_keys(&mut self, now: Now, keys: Vec<Key>) {
        if !keys.is_empty() {
            self.selection.set_keys(now.mono.into(), keys);
        }
    }

    /// Selects no server that is heard: one is given by [`Self::fix_server`] as soon as its address is known.
    pub fn wait_for_fixed_server(&mut self) {
        self.selection.wait_for_fixed();
    }

    /// Speaks with the server at that address only.
    pub fn fix_server(&mut self, now: Now, address: SocketAddrV4) {
        self.now = now.into();
        if self.selection.fix(self.now.mono, address) {
            self.handle_selected();
        }
    }

    /// Whether the server that was given has been silent for so long that it may have another address by now.
    pub fn is_fixed_server_silent(&self, now: Now) -> bool {
        self.selection.is_fixed_and_silent(now.mono.into())
    }

    /// Takes a datagram.
    pub fn handle_datagram(&mut self, now: Now, from: SocketAddrV4, datagram: &[u8]) {
        self.now = now.into();
        let Some((content, proof)) = self.selection.admit(self.now.mono, *from.ip(), datagram) else { return };
        if proof == Proof::Begins {
            self.joined();
        }
        match Message::parse_of_server(content) {
            Ok(Message::Heartbeat { .. }) => self.handle_heartbeat(from, None),
            Ok(Message::Capability { run, .. }) => self.handle_heartbeat(from, Some(run)),
            Ok(message) if proof != Proof::Hint || matches!(message, Message::Lost { .. } | Message::Offer { .. }) => {
                self.handle_message(from, &message, proof, datagram);
            }
            _ => {}
        }
    }

    #[inline(never)]
    fn handle_message(&mut self, from: SocketAddrV4, message: &Message<'_>, proof: Proof, datagram: &[u8]) {
        let (now, ip) = (self.now.mono, *from.ip());
        let is_selected = self.selection.is_selected(ip);
        let is_proven = proof != Proof::Hint;
        let to_others = message.host().is_some_and(|host| host != self.host);
        let is_answer = matches!(message, Message::Here { .. } | Message::Lost { .. } | Message::Stale { .. });
        if is_answer && is_proven && !to_others {
            self.selection.handle_alive_answer(now, ip);
        }
        if is_selected && is_proven {
            self.selection.handle_answer(now);
        }
        match *message {
            Message::Lost { .. } if !is_selected => self.selection.handle_lost_by_other(now, ip),
            Message::Offer { nonce, cookie, .. } if !to_others => {
                if let Some(join) = self.selection.handle_offer(now, ip, nonce, cookie, datagram) {
                    session::send(&mut self.outputs, from, join);
                }
            }
            _ if to_others || !is_selected => {}
            Message::Config { lines } => self.handle_classic_config(from, lines),
            Message::Reset { .. } => self.handle_reset(),
            Message::Ack { uid } => {
                self.selection.handle_classic_answer(now);
                self.outbox.acknowledge(&self.now, uid);
            }
            Message::Done { chain, seq, sack, .. } => {
                let is_known = self.outbox.chains.handle_done(now, chain, seq);
                if is_known {
                    self.outbox.acknowledge_chain(&self.now, chain, seq.number, sack);
                }
            }
            Message::At { chain, checkpoint, .. } => {
                if let Some(number) = self.outbox.chains.handle_at(now, chain, checkpoint) {
                    self.outbox.acknowledge_chain(&self.now, chain, number, 0);
                }
                self.announce_unknown(chain);
            }
            Message::Part { revision, index, count, text, .. } => self.handle_part(from, revision, index, count, text),
            Message::Stale { revision, .. } => {
                if proof == Proof::Open {
                    self.joined();
                }
                self.has_file = revision != Revision::NONE;
                // Without a session it is late, or answers an ALIVE from before this server was selected.
                if self.selection.protocol() == Protocol::Session {
                    self.handle_stale(from, revision);
                }
            }
            Message::Lost { .. } => self.selection.handle_hint(now),
            _ => {}
        }
    }

    fn handle_heartbeat(&mut self, from: SocketAddrV4, run: Option<Token>) {
        if self.selection.handle_heartbeat(self.now.mono, *from.ip(), run) {
            self.handle_selected();
        }
    }

    fn handle_selected(&mut self) {
        self.start_over();
        self.fetch = None;
        // Which server that is with a key, is said when it has proven it: anyone can be heard.
        if let (Some(address), false) = (self.selection.address(), self.selection.is_keyed()) {
            self.log(format!("server {} selected", address.ip()));
        }
    }

    /// The server has said what it only says within a session.
    fn joined(&mut self) {
        if self.selection.handle_joined(self.now.mono) {
            self.start_over();
            let mut text = "session with the server begun".to_string();
            if let (Some(address), true) = (self.selection.address(), self.selection.is_keyed()) {
                text += &format!(": {} has the key", address.ip());
            }
            self.log_of_strangers(StrangerNotice::Session, text);
        }
    }

    fn start_over(&mut self) {
        self.outbox.start_over(self.now.mono);
        self.next_config_request = Millis::NEVER;
    }

    /// Logs what strangers can bring about: once a minute at most for each reason.
    fn log_of_strangers(&mut self, reason: StrangerNotice, text: String) {
        let next = &mut self.next_stranger_logs[reason as usize];
        if self.now.mono >= *next {
            *next = self.now.mono + Self::STRANGER_LOG_INTERVAL;
            self.log(text);
        }
    }

    /// Answers [`Output::Measure`]: a log ends at that position at the moment, counted as [`Block::position`] is.
    pub fn handle_end(&mut self, log: usize, path: &str, position: u64) {
        self.logs.handle_end(log, path, position);
    }

    /// Takes lines of a log. Returns how many bytes of the block are done with: fewer than all when events find no room.
    pub fn handle_log_lines(&mut self, now: Now, log: usize, block: Block<'_>) -> usize {
        let link = self.logs.source(log).and_then(|source| self.following.link_mut(source, block.path));
        self.logs.handle_lines(&now.into(), log, block, link.unwrap_or(&mut Link::default()), &mut self.outbox)
    }

    /// Whether enough lines of logs find room for it to make sense to read them.
    pub fn has_room(&self) -> bool {
        self.outbox.has_room_for_a_block()
    }

    /// How many events wait for their acknowledgement.
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Tells whether a log can be read, and why not; it may be told as often as one likes.
    pub fn handle_log_state(&mut self, now: Now, path: &str, state: Result<(), String>) {
        self.now = now.into();
        self.handle_state(FailingSource::Log(path.to_string()), state);
    }

    /// Takes lines that a task printed.
    pub fn handle_task_lines(&mut self, now: Now, job: JobId, bytes: &[u8]) {
        let Some((_, purpose)) = self.jobs.iter().find(|(known, _)| *known == job) else { return };
        let now = now.into();
        for (_, line) in lines(bytes) {
            let text = String::from_utf8_lossy(line);
            match purpose {
                Purpose::ProcessList => self.processes.handle_line(&text),
                Purpose::Command(command) => self.commands.handle_line(&now, command, &text, &mut self.outbox),
            }
        }
    }

    /// A task has ended, and well or why not.
    pub fn handle_task_end(&mut self, now: Now, job: JobId, outcome: Result<(), String>) {
        self.now = now.into();
        let Some(at) = self.jobs.iter().position(|(known, _)| *known == job) else { return };
        let (_, purpose) = self.jobs.swap_remove(at);
        let name = match purpose {
            Purpose::Command(command) => {
                self.commands.end_run(&command);
                command.as_str().to_string()
            }
            Purpose::ProcessList => {
                if outcome.is_ok() {
                    self.processes.end_sample(&self.now, &mut self.outbox);
                }
                self.process_list_name()
            }
        };
        self.handle_state(FailingSource::Command(name), outcome);
    }

    fn process_list_name(&self) -> String {
        self.process_list.as_ref().map_or("/proc", CommandLine::as_str).to_string()
    }

    /// Tells when something begins to fail, and when it works again.
    fn handle_state(&mut self, subject: FailingSource, state: Result<(), String>) {
        let known = self.failing.iter().position(|failing| *failing == subject);
        let (before, name, after) = match (&subject, &state, known) {
            (FailingSource::Log(path), Err(_), None) => ("Cannot read ", path, ": "),
            (FailingSource::Log(path), Ok(()), Some(_)) => ("Can read ", path, " again"),
            (FailingSource::Command(name), Err(_), None) => ("Command failed: ", name, ": "),
            (FailingSource::Command(name), Ok(()), Some(_)) => ("Command works again: ", name, ""),
            _ => return,
        };
        let text = [before, name, after, &state.err().unwrap_or_default()].concat();
        match known {
            Some(at) => drop(self.failing.swap_remove(at)),
            None => self.failing.push(subject),
        }
        self.system_event(text);
    }

    /// Does all that is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now.into();
        let revision = self.in_force.map_or(Revision::NONE, |(revision, _)| revision);
        if self.selection.handle_timeout(self.now.mono, revision, &mut self.outputs) {
            if !self.selection.is_keyed() {
                self.log("the server is silent: deselected".into());
            }
            self.handle_selected();
        }
        if let Some(server) = self.selection.take_unproven() {
            self.log_of_strangers(StrangerNotice::Unproven, format!("server {server} does not prove that it has the key of this host"));
        }
        if self.selection.protocol() == Protocol::Session {
            // Should the server turn out to speak version 1 after all, the time runs from then on.
            self.last_classic = self.now.mono;
        }
        self.request_configuration();
        self.open_logs();
        self.close_logs();
        if self.logs.handle_timeout(&self.now, &mut self.outbox) {
            self.outputs.push(Output::Measure);
        }
        self.processes.handle_timeout(&self.now, &mut self.outbox);
        self.start_tasks();
        self.say_idle();
        self.transmit_events();
    }

    fn is_sampling(&self) -> bool {
        self.jobs.iter().any(|(_, purpose)| matches!(purpose, Purpose::ProcessList))
    }

    fn start_tasks(&mut self) {
        if !self.is_sampling() && self.processes.begin_sample(&self.now) {
            let task = self.process_list.clone().map_or(Task::ProcessTable, Task::Command);
            self.start(Purpose::ProcessList, task);
        }
        while let Some(command) = self.commands.begin_run(&self.now) {
            let task = command.builtin().map_or_else(|| Task::Command(command.clone()), Task::Builtin);
            self.start(Purpose::Command(command), task);
        }
    }

    fn start(&mut self, purpose: Purpose, task: Task) {
        let job = JobId(self.next_job);
        self.next_job += 1;
        self.jobs.push((job, purpose));
        self.outputs.push(Output::Start { job, task });
    }

    fn say_idle(&mut self) {
        if self.idle_at() <= self.now.mono {
            self.last_classic = self.now.mono;
            self.system_event("Idle".into());
        }
    }

    fn idle_at(&self) -> Millis {
        if self.selection.is_heard_as_classic() && self.outbox.len() < Self::IDLE_BELOW {
            self.last_classic + Self::IDLE_AFTER
        } else {
            Millis::NEVER
        }
    }

    /// How events go to the selected server, if they may.
    fn form(&self) -> Option<Form> {
        match self.selection.protocol() {
            Protocol::Unknown => None,
            Protocol::Classic => Some(Form::Classic),
            // Without a file of this host the server keeps nothing in mind of it.
            Protocol::Session if self.has_file => Some(Form::Chain),
            Protocol::Session => Some(Form::Alert),
        }
    }

    fn transmit_events(&mut self) {
        self.outbox.handle_timeout(&self.now);
        let now = self.now.mono;
        let (Some(server), Some(form)) = (self.selection.address(), self.form()) else { return };
        // To the same server events are what they were before, though it was silent for a while. At its address there may be another
        // now, though, if it speaks version 1 suddenly.
        let spoken_with = self.spoken_with.replace((server, form));
        if spoken_with.is_some_and(|(before, was)| before != server || was != Form::Classic && form == Form::Classic) {
            self.outbox.change_server(now);
        }
        if form == Form::Chain {
            for datagram in self.outbox.chains.transmit(&self.now) {
                self.send(datagram);
            }
        }
        while let Some(datagram) = self.outbox.next_due(now, form) {
            if form == Form::Classic {
                self.last_classic = now;
            }
            self.send(datagram);
        }
    }

    fn system_event(&mut self, text: String) {
        self.outbox.push_system(&self.now, &text);
        self.log(text);
    }

    /// Sends something to the selected server.
    fn send(&mut self, datagram: Vec<u8>) {
        self.selection.send(datagram, &mut self.outputs);
    }

    fn log(&mut self, text: String) {
        self.outputs.push(Output::Log(text));
    }

    /// The next thing to be done; to be drained after every call of a `handle_` method.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.ready.is_empty() {
            std::mem::swap(&mut self.ready, &mut self.outputs);
            self.ready.reverse();
        }
        self.ready.pop()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn next_deadline(&self, now: Now) -> Option<Duration> {
        let mut next = self.selection.next_deadline();
        next = next.min(match (self.selection.protocol(), &self.fetch) {
            (Protocol::Classic, _) => self.next_config_request,
            (Protocol::Session, Some(fetch)) => fetch.next_deadline(),
            _ => Millis::NEVER,
        });
        if !self.is_sampling() {
            next = next.min(self.processes.next_deadline());
        }
        if let Some(form) = self.form() {
            next = next.min(self.outbox.next_deadline(form));
        }
        next.min(self.logs.next_deadline(&now.into())).min(self.commands.next_deadline()).min(self.idle_at()).into()
    }
}
