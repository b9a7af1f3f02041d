//! The agent: its start and its loop.

mod line_pipe;
mod lookup;
mod positions;
mod settings;
mod sources;
mod tasks;
mod watches;

use crate::agent::{Agent, AgentIdentity, Output};
use crate::now::{earlier, Now};
use crate::run::failure::Failure;
use crate::run::keys;
use crate::run::log::Log;
use crate::run::outgoing::Outgoing;
use crate::sys::clock::Clock;
use crate::sys::poll::PollSet;
use crate::sys::signals::Signals;
use crate::sys::{child, daemon, socket};
use crate::wire::auth::Key;
use crate::wire::{Token, MAX_DATAGRAM};
use lookup::ServerLookup;
use positions::PositionsFile;
use settings::{Settings, PROGRAM};
use sources::Sources;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;
use tasks::Tasks;

/// Runs the agent until a signal ends it.
///
/// # Errors
/// The command line is wrong, or the agent cannot start.
pub fn main(arguments: &[String]) -> Result<(), Failure> {
    let Some(matches) = PROGRAM.parse(arguments)? else { return Ok(()) };
    let settings = Settings::parse(&matches)?;
    let keys = settings.key_file.as_deref().map_or(Ok(Vec::new()), |path| keys::own_keys(path, settings.user.as_ref()))?;
    let mut common = PROGRAM.common(&matches)?;

    let clock = Clock::start();
    let mut signals = Signals::catch().map_err(|e| Failure::system("cannot catch signals", &e))?;
    let Some(socket) = bind(settings.port, &clock, &mut signals)? else { return Ok(()) };
    common.detach()?;
    let user = settings.user.clone();
    let mut agent = Loop::new(clock, socket, signals, settings, keys, &mut common.log);
    if let Some(user) = user {
        user.become_for_good().map_err(|e| Failure::system("cannot become the user that -u names", &e))?;
    }
    child::adopt_orphans();
    let outcome = agent.run();
    // Ends the commands that it started.
    drop(agent);
    common.finish();
    outcome
}

/// Takes the port as soon as it is free: after `kill -9` the system may take a while to end the agent before. `None` if a signal ended the
/// wait.
///
/// # Errors
/// The port is not free in time.
fn bind(port: u16, clock: &Clock, signals: &mut Signals) -> Result<Option<UdpSocket>, Failure> {
    const LONGEST_WAIT: Duration = Duration::from_secs(10);
    const TRY_AGAIN: Duration = Duration::from_millis(200);
    let until = clock.now().mono + LONGEST_WAIT;
    let mut poll = PollSet::default();
    loop {
        let now = clock.now();
        match socket::bind(Ipv4Addr::UNSPECIFIED, port) {
            Err(e) if e.kind() == ErrorKind::AddrInUse && now.mono < until => {}
            outcome => return outcome.map(Some).map_err(|e| Failure::system(&format!("cannot listen on UDP port {port}"), &e)),
        }
        poll.clear();
        poll.add(signals.fd());
        poll.wait(clock.until(now, Some(now.mono + TRY_AGAIN))).map_err(|e| Failure::system("cannot wait", &e))?;
        if signals.take().terminate {
            return Ok(None);
        }
    }
}

struct Loop<'a> {
    clock: Clock,
    socket: UdpSocket,
    signals: Signals,
    server: Option<ServerLookup>,
    key_file: Option<String>,
    agent: Agent,
    positions: Option<PositionsFile>,
    sources: Sources,
    tasks: Tasks,
    log: &'a mut Log,
    /// What is read goes in here: datagrams, parts of files, output of commands.
    buffer: Vec<u8>,
    /// Whether the buffer was used since it was new.
    buffer_used: bool,
    outgoing: Outgoing,
}

/// Room for the largest thing that is read. The system gives its memory only once it is used.
fn new_buffer() -> Vec<u8> {
    vec![0; MAX_DATAGRAM.max(crate::tail::BUFFER)]
}

impl<'a> Loop<'a> {
    /// Most datagrams that are taken before everything else has its turn.
    const BURST: usize = 64;
    /// How long an ending agent waits for an answer of the server, and how long in all.
    const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
    const END_TIMEOUT: Duration = Duration::from_secs(3);

    #[inline(never)]
    fn new(clock: Clock, socket: UdpSocket, signals: Signals, settings: Settings, keys: Vec<Key>, log: &'a mut Log) -> Self {
        let now = clock.now();
        log.write(now, &format!("aa436 {} on port {}, host {}", env!("CARGO_PKG_VERSION"), settings.port, settings.host));
        if keys.is_empty() {
            log.write(
                now,
                "open: anyone who can send datagrams here can pretend to be the server and have commands run; a key prevents that (-k)",
            );
        }
        let run = Token(u128::from(daemon::random()) << 64 | u128::from(daemon::random()));
        let identity = AgentIdentity { host: settings.host, run, server_port: settings.port + 1, seed: daemon::random() };
        let mut agent = Agent::new(now, identity);
        settings.positions.iter().for_each(|positions| positions.recall(now, &mut agent, log));
        agent.set_policy(settings.policy);
        if !settings.allows_journal {
            agent.refuse_journal();
        }
        agent.set_pattern_memory(settings.pattern_memory);
        agent.set_keys(now, keys);
        Self {
            agent,
            positions: settings.positions,
            clock,
            socket,
            signals,
            server: settings.server,
            key_file: settings.key_file,
            sources: Sources::new(settings.access),
            tasks: Tasks::default(),
            log,
            buffer: new_buffer(),
            buffer_used: false,
            outgoing: Outgoing::default(),
        }
    }

    fn run(&mut self) -> Result<(), Failure> {
        if self.server.is_some() {
            // Before the first heartbeat of another server is heard.
            self.agent.wait_for_fixed_server();
        }
        let mut poll = PollSet::default();
        loop {
            let now = self.clock.now();
            self.look_up_server(now);
            self.agent.handle_timeout(now);
            self.carry_out(now);
            self.tasks.handle(now, &mut self.agent, &mut self.buffer);
            self.sources.handle(now, &mut self.agent, &mut self.buffer);
            // What was just read may have made events that can go at once.
            self.keep_positions(now);
            self.agent.handle_timeout(now);
            self.carry_out(now);

            poll.clear();
            poll.add(self.socket.as_fd());
            poll.add(self.signals.fd());
            self.tasks.add_to(&mut poll);
            self.sources.add_to(now, &mut poll, &self.agent);
            self.server.iter().filter_map(ServerLookup::fd).for_each(|fd| poll.add(fd));
            poll.wait(self.clock.until(now, self.next_deadline(now))).map_err(|e| Failure::system("cannot wait", &e))?;
            self.give_back_buffer(poll.is_quiet());

            let now = self.clock.now();
            let signals = self.signals.take();
            child::reap();
            child::reap_adopted();
            if signals.terminate {
                return self.end(now);
            }
            if signals.reload {
                self.log.reopen();
                self.read_keys_again(now);
            }
            self.receive(now);
        }
    }

    /// Tells the server how far logs are read, and ends. Another signal hastens it.
    fn end(&mut self, begin: Now) -> Result<(), Failure> {
        self.agent.begin_end(begin);
        let (mut now, mut left, mut give_up) = (begin, usize::MAX, begin.mono);
        let mut poll = PollSet::default();
        loop {
            self.agent.handle_timeout(now);
            self.carry_out(now);
            if self.agent.waiting() < left {
                (left, give_up) = (self.agent.waiting(), begin.mono + Self::END_TIMEOUT.min(now.mono - begin.mono + Self::ANSWER_TIMEOUT));
            }
            if self.agent.is_told() || now.mono >= give_up {
                break;
            }
            poll.clear();
            poll.add(self.socket.as_fd());
            poll.add(self.signals.fd());
            let deadline = earlier(Some(give_up), self.agent.next_deadline(now));
            poll.wait(self.clock.until(now, deadline)).map_err(|e| Failure::system("cannot wait", &e))?;
            now = self.clock.now();
            if self.signals.take().terminate {
                break;
            }
            self.receive(now);
        }
        self.positions.iter_mut().for_each(PositionsFile::hurry);
        self.keep_positions(now);
        self.agent.say_goodbye();
        self.carry_out(now);
        if self.agent.waiting() > 0 {
            self.log.write(now, &format!("events that were not acknowledged: {}", self.agent.waiting()));
        }
        self.log.write(now, "ended by a signal");
        Ok(())
    }

    /// Gives the memory of the buffer back when there is nothing to do.
    fn give_back_buffer(&mut self, quiet: bool) {
        if quiet && self.buffer_used {
            self.buffer = Vec::new();
            self.buffer = new_buffer();
            self.outgoing.give_back();
        }
        self.buffer_used = !quiet;
    }

    fn next_deadline(&self, now: Now) -> Option<Duration> {
        let lookup = self.server.as_ref().and_then(ServerLookup::next_deadline);
        let outside = earlier(self.tasks.next_deadline(now), self.sources.next_deadline(now, &self.agent));
        let positions = self.positions.as_ref().and_then(|positions| positions.next_deadline(now, &self.agent));
        earlier(earlier(earlier(lookup, positions), self.agent.next_deadline(now)), outside)
    }

    fn keep_positions(&mut self, now: Now) {
        if let Some(positions) = &mut self.positions {
            positions.handle_timeout(now, &mut self.agent);
        }
    }

    fn look_up_server(&mut self, now: Now) {
        let Some(lookup) = &mut self.server else { return };
        let is_silent = self.agent.is_fixed_server_silent(now);
        match lookup.handle(now, is_silent, self.socket.as_fd()) {
            None => {}
            Some(Ok(address)) => self.agent.fix_server(now, address),
            Some(Err(reason)) => self.log.write(now, &format!("cannot find the server {}: {reason}", lookup.host())),
        }
        if let Some(line) = lookup.notice(self.agent.is_fixed_server_silent(now)) {
            self.log.write(now, &line);
        }
    }

    fn read_keys_again(&mut self, now: Now) {
        let read = self.key_file.as_deref().map(|path| keys::own_keys(path, None));
        if let Some(keys) = read.and_then(|read| keys::log_reread(now, self.log, read)) {
            self.agent.set_keys(now, keys);
        }
    }

    fn receive(&mut self, now: Now) {
        for _ in 0..Self::BURST {
            match socket::receive(&self.socket, &mut self.buffer) {
                Ok((size, from)) => self.agent.handle_datagram(now, from, &self.buffer[..size]),
                Err(_) => break,
            }
        }
    }

    /// Carries out all that the agent wants done. Outputs are drained first and carried out then, until there are no more.
    fn carry_out(&mut self, now: Now) {
        loop {
            let outputs: Vec<Output> = std::iter::from_fn(|| self.agent.poll_output()).collect();
            if outputs.is_empty() {
                break;
            }
            for output in outputs {
                match output {
                    Output::Send { to, datagram } => self.outgoing.push(now, to, &datagram, &self.socket, self.log),
                    Output::Follow(logs) => self.sources.replace(now, logs),
                    Output::Open { source, log, path, start } => self.sources.open(now, source, log, &path, &start),
                    Output::Measure => self.sources.measure(),
                    Output::Start { job, task } => self.tasks.start(job, task),
                    Output::Stop(job) => self.tasks.stop(job),
                    Output::Log(text) => self.log.write(now, &text),
                }
            }
            self.outgoing.flush(now, &self.socket, self.log);
            self.sources.report(now, &mut self.agent);
        }
    }
}
