//! The server: its start and its loop.

mod api;
mod backfill;
mod check;
mod commands;
mod config_dir;
mod control;
mod event_stream;
mod events;
mod generate_key;
mod http;
mod outage;
mod output_command;
mod outputs;
mod page;
mod places;
mod prometheus;
mod reload;
mod rollback;
mod settings;
mod silence_file;
mod snapshot;
mod status;
mod stream_files;
mod stream_reader;
mod streams;
mod tee;
mod terminal;
mod try_commands;
mod try_log;
mod unmatched;

use self::api::{Long, Texts, View};
use self::backfill::Backfill;
use self::config_dir::{ConfigDirs, Debounce};
use self::control::ControlSocket;
use self::event_stream::EventStream;
use self::http::Web;
use self::outage::Outage;
use self::outputs::Outputs;
use self::prometheus::{Tally, TurnTimes};
use self::reload::Reload;
use self::settings::PROGRAM;
use self::silence_file::SilenceFile;
use self::snapshot::Recovery;
use self::tee::Tee;
use crate::directives::keys::HostKeys;
use crate::directives::passwords::Passwords;
use crate::directives::server::ServerFile;
use crate::now::{earlier, Now};
use crate::outputs::Standing;
use crate::run::failure::Failure;
use crate::run::keys;
use crate::run::log::Log;
use crate::run::outgoing::Outgoing;
use crate::series::Series;
use crate::server::{is_held_back, Output, Server, ServerIdentity, Written};
use crate::sys::clock::Clock;
use crate::sys::datagrams::Receiver;
use crate::sys::poll::PollSet;
use crate::sys::signals::{Arrived, Signals};
use crate::sys::{daemon, reason, socket};
use crate::wire::{StreamEvent, Token};
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

/// Runs the server until a signal ends it, or carries out a command, `-t`, `-T` or `-g`.
///
/// # Errors
/// The command line or the configuration is wrong, or the server cannot start.
pub fn main(arguments: &[String]) -> Result<(), Failure> {
    if let Some((run, arguments)) = commands::find(arguments) {
        return run(arguments);
    }
    let Some(matches) = PROGRAM.parse(arguments)? else { return Ok(()) };
    if let Some(host_file) = matches.opt_str("T") {
        return check::try_rules(&host_file, &matches.free, matches.opt_present("run"));
    }
    if matches.opt_present("g") {
        return generate_key::generate_key(&matches.free);
    }
    let [path] = &matches.free[..] else {
        return Err(Failure::Usage("expected one argument, the server file; ax436 -h tells more".into()));
    };
    if matches.opt_present("t") {
        return check::check(path);
    }
    let server_file = settings::read_server_file(path)?;
    let keys = server_file.key_file.as_deref().map(keys::host_keys).transpose()?;
    let passwords = server_file.http.password_file.as_deref().map(keys::passwords).transpose()?;
    let mut common = PROGRAM.common(&matches)?;

    let clock = Clock::start();
    let (address, port) = (server_file.address, server_file.port + 1);
    let socket = socket::bind(address, port).map_err(|e| Failure::system(&format!("cannot listen on UDP port {port} of {address}"), &e))?;
    let signals = Signals::catch().map_err(|e| Failure::system("cannot catch signals", &e))?;
    settings::require_folders(path, &server_file)?;
    common.detach()?;
    let outcome = Loop::new(clock, socket, signals, (path, &server_file), (keys, passwords), &mut common.log).run();
    common.finish();
    outcome
}

struct Loop<'a> {
    clock: Clock,
    socket: UdpSocket,
    signals: Signals,
    server: Server,
    key_file: Option<String>,
    stream: EventStream,
    recovery: Recovery,
    reload: Reload,
    outputs: Outputs,
    config_dirs: ConfigDirs,
    silences: SilenceFile,
    control: ControlSocket<Long>,
    web: Web<Long>,
    texts: Texts,
    tally: Tally,
    series: Series,
    backfill: Backfill,
    /// When the series are tidied next.
    next_tidying: Duration,
    turns: TurnTimes,
    started: Now,
    next_scan: Duration,
    log: &'a mut Log,
    write_outage: Outage,
    sync_outage: Outage,
    receiver: Receiver,
    outgoing: Outgoing,
}

impl<'a> Loop<'a> {
    /// Least time between two scans of the folders of host and include files.
    const SCAN_INTERVAL: Duration = Duration::from_secs(1);
    /// Most time between two scans. A change must be seen twice and in force within 5 s.
    const MAX_SCAN_INTERVAL: Duration = Duration::from_secs(2);
    /// Scans may take one part in this many of the time.
    const SCAN_SHARE: u32 = 80;
    /// Time between two looks for numbers that are older than a day.
    const TIDYING: Duration = Duration::from_secs(Series::STEP);

    fn new(
        clock: Clock,
        socket: UdpSocket,
        signals: Signals,
        (path, settings): (&str, &ServerFile),
        (keys, passwords): (Option<HostKeys>, Option<Passwords>),
        log: &'a mut Log,
    ) -> Self {
        let now = clock.now();
        let name = settings.name.clone().unwrap_or_else(daemon::host_name);
        log.write(now, &format!("ax436 {} on port {}, as {name}", env!("CARGO_PKG_VERSION"), settings.port + 1));
        if keys.is_none() {
            log.write(now, "open: anyone who can send datagrams here can pretend to be a host or a server; keys prevent that (key_file:)");
        }
        let run = Token(u128::from(daemon::random()) << 64 | u128::from(daemon::random()));
        let broadcast = settings.broadcast.iter().map(|ip| SocketAddrV4::new(*ip, settings.port)).collect();
        let outputs = Outputs::new(now, settings, &name);
        let mut server = Server::new(now, ServerIdentity { name, run, broadcast });
        server.set_keys(keys);
        server.set_heartbeat(now, settings.heartbeat.map(Duration::from_secs));
        Self {
            server,
            key_file: settings.key_file.clone(),
            stream: EventStream::new(settings),
            recovery: Recovery::new(now, settings),
            reload: Reload::new(path, settings),
            outputs,
            config_dirs: ConfigDirs::new(&settings.hosts, settings.includes.as_deref()),
            silences: SilenceFile::new(settings),
            control: ControlSocket::open(now, settings, log),
            web: Web::open(now, &settings.http, passwords.as_ref(), log),
            texts: Texts::default(),
            tally: Tally::default(),
            series: Series::default(),
            backfill: Backfill::default(),
            next_tidying: now.mono + Self::TIDYING,
            turns: TurnTimes::default(),
            started: now,
            next_scan: now.mono,
            clock,
            socket,
            signals,
            log,
            write_outage: Outage::new("the event stream cannot be written", "nothing is acknowledged"),
            sync_outage: Outage::new("the event stream cannot be forced to disk", "a power cut may cost events"),
            receiver: Receiver::default(),
            outgoing: Outgoing::default(),
        }
    }

    fn run(mut self) -> Result<(), Failure> {
        self.start();
        let mut poll = PollSet::default();
        let mut now = self.clock.now();
        let mut turn_began = now.mono;
        loop {
            if self.config_dirs.has_changes() {
                self.config_dirs.apply_changes(now, &mut self.server);
                now = self.clock.now();
            } else if now.mono >= self.next_scan {
                self.scan(now, Debounce::UntilStable);
                now = self.clock.now();
            }
            self.handle_timeout(now);
            self.recovery.handle_timeout(now, &mut self.server, &mut self.stream, self.log);
            let silences = self.silences.current();
            let is_withheld =
                |event: &StreamEvent| is_held_back(event.kind, &event.tags) || silences.covers(&event.host, &event.tags, now.unix);
            let server = &self.server;
            let is_open = |event: &StreamEvent| event.key.as_deref().is_none_or(|key| server.has_condition(&event.host, key));
            let standing = Standing { is_withheld: &is_withheld, is_open: &is_open };
            self.outputs.advance(now, &standing, &mut self.stream, self.log);
            self.outputs.report(now, &mut self.server);

            self.wait(now, turn_began, &mut poll)?;

            now = self.clock.now();
            turn_began = now.mono;
            let signals = if poll.is_ready(1) { self.signals.take() } else { Arrived::default() };
            if signals.reload {
                self.reload(now);
            }
            if poll.is_ready(0) {
                self.receive(now);
            }
            self.answer(now, &poll);
            if signals.terminate {
                self.shut_down(now);
                return Ok(());
            }
        }
    }

    /// Ends a turn of the loop, and waits for the next one.
    fn wait(&mut self, now: Now, turn_began: Duration, poll: &mut PollSet) -> Result<(), Failure> {
        poll.clear();
        poll.add(self.socket.as_fd());
        poll.add(self.signals.fd());
        self.control.add_to(now, poll);
        self.web.add_to(now, poll);
        self.outputs.add_to(poll);
        let timeout = self.clock.until(now, self.next_deadline(now));
        if self.web.is_on() {
            self.turns.note(self.clock.now().mono.saturating_sub(turn_began));
        }
        poll.wait(timeout).map_err(|e| Failure::system("cannot wait", &e))
    }

    /// Restores what earlier runs have written and reads all configuration. Only then does the server answer: no agent must learn that it
    /// has no configuration while that is still being read.
    fn start(&mut self) {
        let now = self.clock.now();
        if let Err(e) = self.stream.cut_torn_batch() {
            self.log.write(now, &format!("cannot read the event stream: {}", reason(&e)));
        }
        if self.web.is_on() {
            let settings = self.reload.settings();
            self.backfill = Backfill::new(now, [Some(&settings.event_stream), settings.metric_stream.as_ref()].into_iter().flatten());
        }
        self.recovery.recover(now, &mut self.server, self.log);
        let Self { outputs, reload, stream, log, .. } = self;
        let status = self.server.status(now);
        let open = status.conditions.iter().filter_map(|(host, key, condition)| condition.event(host, key));
        outputs.start(now, reload.settings(), open, stream, log);
        self.scan(now, Debounce::None);
        while self.config_dirs.has_changes() {
            self.config_dirs.apply_changes(now, &mut self.server);
        }
        self.server.handle_started();
    }

    fn handle_timeout(&mut self, now: Now) {
        self.stream.begin(now);
        let tally = self.web.is_on().then_some(&mut self.tally);
        self.server.handle_timeout(now, &mut Tee { stream: &mut self.stream, tally });
        self.commit(now);
        self.web.handle_timeout(now, self.log);
        self.texts.forget(now);
        if !self.backfill.is_over() {
            self.backfill.handle_turn(&self.clock, now, &mut self.series);
        }
        if now.mono >= self.next_tidying {
            self.series.tidy(now.unix);
            self.next_tidying = now.mono + Self::TIDYING;
        }
        self.carry_out(now);
    }

    fn next_deadline(&self, now: Now) -> Option<Duration> {
        let next_scan = if self.config_dirs.has_changes() || !self.backfill.is_over() { now.mono } else { self.next_scan };
        let deadlines =
            [self.stream.next_deadline(), self.outputs.next_deadline(now), self.control.next_deadline(), self.web.next_deadline()];
        deadlines.into_iter().fold(Some(self.server.next_deadline().min(next_scan)), earlier)
    }

    /// Answers those who ask.
    fn answer(&mut self, now: Now, poll: &PollSet) {
        let mut view = View {
            server: &mut self.server,
            silences: &mut self.silences,
            outputs: &self.outputs,
            stream: &self.reload.settings().event_stream,
            started_unix: self.started.unix,
            tally: &mut self.tally,
            series: &self.series,
            turns: &self.turns,
            connections: self.web.connections(),
            texts: &mut self.texts,
            log: self.log,
        };
        self.control.handle(&self.clock, now, poll, &mut view);
        self.web.handle(&self.clock, now, poll, &mut view);
        self.web.log_notices(now, self.log);
    }

    fn reload(&mut self, now: Now) {
        self.log.reopen();
        self.stream.reopen();
        self.control.reopen(now, self.log);
        self.scan(now, Debounce::None);
        let outcome = self.key_file.as_deref().map(keys::host_keys);
        if let Some(keys) = outcome.and_then(|outcome| keys::log_reread(now, self.log, outcome)) {
            self.server.set_keys(Some(keys));
        }
        let outcome = self.reload.settings().http.password_file.as_deref().map(keys::passwords);
        if let Some(passwords) = outcome.and_then(|outcome| keys::log_reread_passwords(now, self.log, outcome)) {
            self.web.set_passwords(&passwords);
        }
        if let Some(settings) = self.reload.read(now, self.log) {
            self.outputs.adopt(now, settings, &mut self.stream, self.log);
        }
    }

    fn shut_down(&mut self, now: Now) {
        // The datagrams that have just been received may have caused events of the server's own.
        self.handle_timeout(now);
        // When hosts were last heard changes all the time, and alone makes no snapshot.
        self.server.handle_snapshot_lost();
        self.outputs.shut_down(now, &mut self.stream, self.log);
        self.recovery.save(now, &mut self.server, &mut self.stream, self.log);
        self.stream.reopen();
        self.log.write(now, "ended by a signal");
    }

    /// Finds changed configuration files. The next scan is due the later, the longer this one took.
    fn scan(&mut self, now: Now, debounce: Debounce) {
        self.config_dirs.scan(now, debounce, self.log);
        self.silences.scan(now, debounce, self.log);
        self.server.handle_silences(now, self.silences.current());
        let after = self.clock.now().mono;
        let pause = (after - now.mono) * Self::SCAN_SHARE;
        self.next_scan = after + pause.clamp(Self::SCAN_INTERVAL, Self::MAX_SCAN_INTERVAL);
    }

    fn receive(&mut self, now: Now) {
        self.stream.begin(now);
        self.receiver.receive(&self.socket);
        let tally = self.web.is_on().then_some(&mut self.tally);
        let mut sink = Tee { stream: &mut self.stream, tally };
        for (from, datagram) in self.receiver.datagrams() {
            self.server.handle_datagram(now, from, datagram, &mut sink);
        }
    }

    /// Writes the events of this turn. The server acknowledges them after that.
    fn commit(&mut self, now: Now) {
        if self.stream.has_batch() {
            let outcome = self.stream.commit(now);
            self.outputs.handle_written();
            match outcome {
                Ok(()) => self.tally.commit(now, &mut self.series),
                Err(_) => self.tally.drop_pending(),
            }
            self.server.handle_committed(now, if outcome.is_ok() { Written::All } else { Written::Nothing });
            self.write_outage.update(now, &outcome, self.log);
        }
        if let Some(outcome) = self.stream.sync_if_due(now) {
            self.sync_outage.update(now, &outcome, self.log);
        }
    }

    fn carry_out(&mut self, now: Now) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { to, datagram } => self.outgoing.push(now, to, datagram, &self.socket, self.log),
                Output::Log(text) => self.log.write(now, text),
            }
        }
        self.outgoing.flush(now, &self.socket, self.log);
    }
}
