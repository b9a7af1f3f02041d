//! The server: its start and its loop.

pub(super) mod check;
mod config_dir;
mod event_stream;
mod settings;
mod snapshot;

use self::config_dir::{Change, Debounce, Folder};
use self::event_stream::EventStream;
use self::settings::PROGRAM;
use self::snapshot::State;
use crate::directives::keys::HostKeys;
use crate::directives::server::ServerFile;
use crate::now::{earlier, Now};
use crate::run::log::Log;
use crate::run::{keys, Failure};
use crate::server::{Output, Server, ServerIdentity, Written};
use crate::sys::clock::Clock;
use crate::sys::datagrams::{Receiver, Sender};
use crate::sys::poll::PollSet;
use crate::sys::signals::{Arrived, Signals};
use crate::sys::{daemon, reason, socket};
use crate::wire::Token;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

/// Runs the server until a signal ends it, or does what else the command line asks for.
///
/// # Errors
/// The command line or the configuration is wrong, or the server cannot start.
pub fn main(arguments: &[String]) -> Result<(), Failure> {
    let Some(matches) = PROGRAM.parse(arguments)? else { return Ok(()) };
    if let Some(host_file) = matches.opt_str("T") {
        return check::try_rules(&host_file, &matches.free);
    }
    if matches.opt_present("g") {
        return keys::generate(&matches.free);
    }
    let [path] = &matches.free[..] else {
        return Err(Failure::Usage("expected one argument, the server file; ax436 -h tells more".into()));
    };
    if matches.opt_present("t") {
        return check::check(path);
    }
    let settings = check::read_server_file(path)?;
    let keys = settings.key_file.as_deref().map(keys::host_keys).transpose()?;
    let mut common = PROGRAM.common(&matches)?;

    let clock = Clock::start();
    let socket = socket::bind(settings.address, settings.port + 1)
        .map_err(|e| Failure::system(format!("cannot listen on UDP port {} of {}", settings.port + 1, settings.address), &e))?;
    let signals = Signals::catch().map_err(|e| Failure::system("cannot catch signals", &e))?;
    check::require_folders(path, &settings)?;
    common.detach()?;
    let outcome = Loop::new(clock, socket, signals, &settings, keys, &mut common.log).run();
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
    state: State,
    hosts: Watched,
    includes: Option<Watched>,
    next_scan: Duration,
    log: &'a mut Log,
    write_fault: StreamFault,
    sync_fault: StreamFault,
    receiver: Receiver,
    outgoing: Outgoing,
}

/// A folder, and why it cannot be read, while it cannot.
struct Watched {
    folder: Folder,
    failure: Option<String>,
}

impl Watched {
    fn new(path: &str) -> Self {
        Self { folder: Folder::new(path), failure: None }
    }

    fn scan(&mut self, now: Now, debounce: Debounce, log: &mut Log) {
        let failure = self.folder.scan(now, debounce).err().map(|e| reason(&e));
        if let Some(failure) = failure.as_ref().filter(|failure| self.failure.as_ref() != Some(failure)) {
            log.write(now, &format!("cannot read folder {}: {failure}; what was read before stays", self.folder.path().display()));
        }
        self.failure = failure;
    }
}

/// Something about the stream that fails and works again: either is logged once, and only an attempt tells.
struct StreamFault {
    what: &'static str,
    consequence: &'static str,
    lasts: bool,
}

impl StreamFault {
    fn new(what: &'static str, consequence: &'static str) -> Self {
        Self { what, consequence, lasts: false }
    }

    fn report(&mut self, now: Now, outcome: &std::io::Result<()>, log: &mut Log) {
        let Self { what, consequence, lasts } = *self;
        match outcome {
            Err(e) if !lasts => log.write(now, &format!("{what}: {}; {consequence}", reason(e))),
            Ok(()) if lasts => log.write(now, &format!("over: {what}")),
            _ => {}
        }
        self.lasts = outcome.is_err();
    }
}

/// The datagrams that go out together.
#[derive(Default)]
struct Outgoing {
    sender: Sender,
    /// The last reason why a datagram could not be sent, until one could.
    failure: Option<String>,
}

impl Outgoing {
    fn flush(&mut self, now: Now, socket: &UdpSocket, log: &mut Log) {
        self.sender.flush(socket, |outcome| {
            let failure = outcome.err().map(|(to, e)| (to, reason(&e)));
            if let Some((to, failure)) = failure.as_ref().filter(|(_, failure)| self.failure.as_ref() != Some(failure)) {
                log.write(now, &format!("cannot send to {to}: {failure}"));
            }
            self.failure = failure.map(|(_, failure)| failure);
        });
    }
}

impl<'a> Loop<'a> {
    /// How often the folders of host and include files are looked at.
    const SCAN_INTERVAL: Duration = Duration::from_secs(1);
    /// A scan may take one part in so many of the time.
    const SCAN_SHARE: u32 = 80;
    /// But a change has to be seen twice and in force within 5 s.
    const LONGEST_SCAN_INTERVAL: Duration = Duration::from_secs(2);
    /// Most changed files that are read in one turn.
    const CHANGES_AT_ONCE: usize = 64;

    fn new(clock: Clock, socket: UdpSocket, signals: Signals, settings: &ServerFile, keys: Option<HostKeys>, log: &'a mut Log) -> Self {
        let now = clock.now();
        let name = settings.name.clone().unwrap_or_else(daemon::host_name);
        log.write(now, &format!("ax436 {} on port {}, as {name}", env!("CARGO_PKG_VERSION"), settings.port + 1));
        if keys.is_none() {
            log.write(
                now,
                "open: whoever can send datagrams here can pretend to be a host, or to agents a server; keys close that (key_file:)",
            );
        }
        let run = Token(u128::from(daemon::random()) << 64 | u128::from(daemon::random()));
        let broadcast = settings.broadcast.iter().map(|ip| SocketAddrV4::new(*ip, settings.port)).collect();
        let mut server = Server::new(now, ServerIdentity { name, run, broadcast });
        server.set_keys(keys);
        Self {
            server,
            key_file: settings.key_file.clone(),
            stream: EventStream::new(settings),
            state: State::new(now, settings),
            hosts: Watched::new(&settings.hosts),
            includes: settings.includes.as_deref().map(Watched::new),
            next_scan: now.mono,
            clock,
            socket,
            signals,
            log,
            write_fault: StreamFault::new("the event stream cannot be written", "nothing is acknowledged"),
            sync_fault: StreamFault::new("the event stream cannot be forced to disk", "a power cut may cost events"),
            receiver: Receiver::default(),
            outgoing: Outgoing::default(),
        }
    }

    fn run(mut self) -> Result<(), Failure> {
        let mut poll = PollSet::default();
        let mut now = self.clock.now();
        if let Err(e) = self.stream.cut_torn_line() {
            self.log.write(now, &format!("cannot read the event stream: {}", reason(&e)));
        }
        self.state.recover(now, &mut self.server, self.log);
        self.scan(now, Debounce::None);
        // Nobody is to be told that he has no configuration while it is being read.
        while self.has_changes() {
            self.take_changes(now);
        }
        self.server.handle_started();
        loop {
            if self.has_changes() {
                self.take_changes(now);
                now = self.clock.now();
            } else if now.mono >= self.next_scan {
                self.scan(now, Debounce::UntilStill);
                now = self.clock.now();
            }
            self.stream.begin(now);
            self.server.handle_timeout(now, &mut self.stream);
            self.commit(now);
            self.carry_out(now);
            self.state.handle_timeout(now, &mut self.server, &mut self.stream, self.log);

            poll.clear();
            poll.add(self.socket.as_fd());
            poll.add(self.signals.fd());
            let next_look = if self.has_changes() { now.mono } else { self.next_scan };
            let deadline = earlier(Some(self.server.next_deadline().min(next_look)), self.stream.next_deadline());
            poll.wait(self.clock.until(now, deadline)).map_err(|e| Failure::system("cannot wait", &e))?;

            now = self.clock.now();
            let signals = if poll.is_ready(1) { self.signals.take() } else { Arrived::default() };
            if signals.reload {
                self.log.reopen();
                self.stream.reopen();
                self.scan(now, Debounce::None);
                self.read_keys_again(now);
            }
            if poll.is_ready(0) {
                self.receive(now);
            }
            if signals.terminate {
                // What was just received may have made events of the server's own.
                self.server.handle_timeout(now, &mut self.stream);
                self.commit(now);
                self.carry_out(now);
                self.state.save(now, &mut self.server, &mut self.stream, self.log);
                self.stream.reopen();
                self.log.write(now, "ended by a signal");
                return Ok(());
            }
        }
    }

    fn read_keys_again(&mut self, now: Now) {
        let read = self.key_file.as_deref().map(keys::host_keys);
        if let Some(keys) = read.and_then(|read| keys::again(now, self.log, read)) {
            self.server.set_keys(Some(keys));
        }
    }

    /// Looks for changed files. How often, follows from what it costs.
    fn scan(&mut self, now: Now, debounce: Debounce) {
        self.includes.iter_mut().for_each(|includes| includes.scan(now, debounce, self.log));
        self.hosts.scan(now, debounce, self.log);
        let after = self.clock.now().mono;
        let pause = (after - now.mono) * Self::SCAN_SHARE;
        self.next_scan = after + pause.clamp(Self::SCAN_INTERVAL, Self::LONGEST_SCAN_INTERVAL);
    }

    fn has_changes(&self) -> bool {
        self.hosts.folder.has_changes() || self.includes.as_ref().is_some_and(|includes| includes.folder.has_changes())
    }

    /// Hands on some of the changed files; includes first, since hosts use them.
    fn take_changes(&mut self, now: Now) {
        for _ in 0..Self::CHANGES_AT_ONCE {
            match self.includes.as_mut().and_then(|includes| includes.folder.next_change(now)) {
                Some(Change::Content { name, path, content }) => self.server.set_include(&name, &path, content),
                Some(Change::Vanished { name }) => self.server.remove_include(&name),
                None => match self.hosts.folder.next_change(now) {
                    Some(Change::Content { name, path, content }) => self.server.set_host_file(now, &name, &path, content),
                    Some(Change::Vanished { name }) => self.server.remove_host_file(now, &name),
                    None => return,
                },
            }
        }
    }

    fn receive(&mut self, now: Now) {
        self.stream.begin(now);
        self.receiver.receive(&self.socket);
        for (from, datagram) in self.receiver.datagrams() {
            self.server.handle_datagram(now, from, datagram, &mut self.stream);
        }
    }

    /// Writes the events of this turn, and only then has them acknowledged.
    fn commit(&mut self, now: Now) {
        if self.stream.has_batch() {
            let outcome = self.stream.commit(now);
            self.server.handle_committed(now, if outcome.is_ok() { Written::All } else { Written::Nothing });
            self.write_fault.report(now, &outcome, self.log);
        }
        if let Some(outcome) = self.stream.sync_if_due(now) {
            self.sync_fault.report(now, &outcome, self.log);
        }
    }

    fn carry_out(&mut self, now: Now) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { to, datagram } => {
                    if self.outgoing.sender.is_full() {
                        self.outgoing.flush(now, &self.socket, self.log);
                    }
                    self.outgoing.sender.push(to, datagram);
                }
                Output::Log(text) => self.log.write(now, text),
            }
        }
        self.outgoing.flush(now, &self.socket, self.log);
    }
}
