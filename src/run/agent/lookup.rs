//! The server that `-s` names: its look-up, repeated while the server is unknown or silent. A child process asks the system's
//! resolver, so that a name server that does not answer never holds the loop.

use crate::now::Now;
use crate::sys::child::ChildProcess;
use crate::sys::{reason, resolve};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::BorrowedFd;
use std::time::Duration;

type Answer = Result<Ipv4Addr, String>;

/// A server that is given by name or address.
pub(super) struct ServerLookup {
    host: String,
    port: u16,
    /// The earliest time of the next look-up.
    next_try: Duration,
    /// The address that was found last.
    address: Option<Ipv4Addr>,
    /// Whether that address is not the one that was found before, until that is reported.
    has_moved: bool,
    /// Whether it was reported that the server does not answer.
    is_awaited: bool,
    running: Option<Running>,
    /// What the child process runs.
    resolve: fn(&str) -> Answer,
}

/// A look-up under way.
struct Running {
    child: ChildProcess,
    /// What the child has written so far: an address, or the reason why there is none.
    text: Vec<u8>,
    deadline: Duration,
}

impl ServerLookup {
    const TIMEOUT: Duration = Duration::from_secs(20);
    const RETRY_INTERVAL: Duration = Duration::from_secs(30);
    /// How often a silent server is looked up again: its address may have changed.
    const SILENT_INTERVAL: Duration = Duration::from_secs(45);

    /// The first look-up is due at once.
    pub(super) fn new(host: &str, port: u16) -> Self {
        let resolve = resolve::ipv4_address;
        Self {
            host: host.into(),
            port,
            next_try: Duration::ZERO,
            address: None,
            has_moved: false,
            is_awaited: false,
            running: None,
            resolve,
        }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// A line for the log if there is news of what the agent waits for. `is_silent` says whether the server has not answered for long.
    pub(super) fn notice(&mut self, is_silent: bool) -> Option<String> {
        let host = &self.host;
        if std::mem::take(&mut self.has_moved) {
            self.is_awaited = false;
            return self.address.map(|address| format!("the server {host} has another address: {address}"));
        }
        if is_silent == self.is_awaited {
            return None;
        }
        self.is_awaited = is_silent;
        Some(match is_silent {
            false => format!("the server {host} answers again"),
            true if host.parse::<Ipv4Addr>().is_ok() => format!("the server {host} does not answer: waiting for it"),
            true => {
                let seconds = Self::SILENT_INTERVAL.as_secs();
                format!("the server {host} does not answer: waiting for it, and looking its name up every {seconds} seconds")
            }
        })
    }

    /// Starts a look-up that is due, and returns the outcome of one that has ended. An address takes no look-up. The child process
    /// closes `socket`.
    pub(super) fn handle(&mut self, now: Now, is_silent: bool, socket: BorrowedFd<'_>) -> Option<Result<SocketAddrV4, String>> {
        let answer = match &mut self.running {
            Some(running) => running.answer(now)?,
            None if now.mono < self.next_try || self.address.is_some() && !is_silent => return None,
            None => match self.host.parse() {
                Ok(address) => Ok(address),
                Err(_) => match Running::start(now, &self.host, self.resolve, socket) {
                    Ok(running) => {
                        self.running = Some(running);
                        return None;
                    }
                    Err(e) => Err(reason(&e)),
                },
            },
        };
        // Dropping a look-up that missed its deadline kills the child.
        self.running = None;
        if let Ok(address) = answer {
            self.has_moved = self.address.replace(address).is_some_and(|before| before != address);
        }
        self.next_try = now.mono + if answer.is_ok() { Self::SILENT_INTERVAL } else { Self::RETRY_INTERVAL };
        Some(answer.map(|address| SocketAddrV4::new(address, self.port)))
    }

    /// The descriptor to poll while a look-up is under way.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.running.as_ref().map(|running| running.child.fd())
    }

    /// When the look-up under way must end, or the next one is due. A silent server's next look-up has no deadline: the agent's own
    /// timers wake the loop.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match &self.running {
            Some(running) => Some(running.deadline),
            None => self.address.is_none().then_some(self.next_try),
        }
    }
}

impl Running {
    fn start(now: Now, host: &str, resolve: fn(&str) -> Answer, socket: BorrowedFd<'_>) -> io::Result<Self> {
        let work = || resolve(host).map_or_else(|reason| reason, |address| address.to_string());
        let child = ChildProcess::fork(socket, ServerLookup::TIMEOUT, work)?;
        Ok(Self { child, text: Vec::new(), deadline: now.mono + ServerLookup::TIMEOUT })
    }

    /// The answer, once it is complete or late.
    fn answer(&mut self, now: Now) -> Option<Answer> {
        let mut buffer = [0; 256];
        loop {
            match self.child.read(&mut buffer) {
                Ok(Some(count @ 1..)) => self.text.extend_from_slice(&buffer[..count]),
                Ok(None) if now.mono < self.deadline => return None,
                Ok(None) => return Some(Err(format!("no answer within {} seconds", ServerLookup::TIMEOUT.as_secs()))),
                Ok(Some(0)) => break,
                Err(e) => return Some(Err(reason(&e))),
            }
        }
        let text = String::from_utf8_lossy(&self.text);
        match text.parse() {
            Ok(address) => Some(Ok(address)),
            Err(_) if text.is_empty() => Some(Err("the look-up was killed".into())),
            Err(_) => Some(Err(text.into_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::WeekMinute;
    use crate::sys::poll::PollSet;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Now {
        Now { mono: Duration::from_secs(seconds), unix: 0, local: WeekMinute::new(0, 0, 0), second: 0 }
    }

    fn socket() -> UdpSocket {
        crate::sys::socket::bind(Ipv4Addr::LOCALHOST, 0).unwrap()
    }

    /// Handles the look-up until it has an outcome.
    fn outcome(lookup: &mut ServerLookup, now: Now, socket: &UdpSocket) -> Result<SocketAddrV4, String> {
        for _ in 0..100 {
            if let Some(outcome) = lookup.handle(now, false, socket.as_fd()) {
                return outcome;
            }
            let mut poll = PollSet::default();
            poll.add(lookup.fd().unwrap());
            poll.wait(Some(10 * SECOND)).unwrap();
        }
        panic!("no outcome");
    }

    fn never(_: &str) -> Answer {
        loop {
            std::thread::park();
        }
    }

    #[test]
    fn an_address_is_its_own_answer_and_starts_no_process() {
        let mut lookup = ServerLookup::new("10.1.2.3", 437);
        lookup.resolve = |_| Err("asked".into());
        assert_eq!(lookup.next_deadline(), Some(Duration::ZERO));
        assert_eq!(lookup.handle(at(1), false, socket().as_fd()), Some(Ok("10.1.2.3:437".parse().unwrap())));
        assert!(lookup.fd().is_none());
        assert_eq!(lookup.next_deadline(), None);
    }

    #[test]
    fn a_name_that_the_resolver_knows_is_found() {
        // No address as others write it, and known without a hosts file.
        let mut lookup = ServerLookup::new("127.1", 437);
        let socket = socket();
        assert_eq!(lookup.handle(at(1), false, socket.as_fd()), None);
        assert_eq!(lookup.next_deadline(), Some(at(1).mono + ServerLookup::TIMEOUT));
        assert_eq!(outcome(&mut lookup, at(1), &socket), Ok("127.0.0.1:437".parse().unwrap()));
        assert!(lookup.fd().is_none());
    }

    #[test]
    fn a_failed_look_up_is_repeated_after_a_pause() {
        let mut lookup = ServerLookup::new("nas", 437);
        let socket = socket();
        lookup.resolve = |name| Err(format!("no {name}"));
        assert_eq!(outcome(&mut lookup, at(1), &socket), Err("no nas".into()));
        assert_eq!(lookup.next_deadline(), Some(at(31).mono));
        assert_eq!(lookup.handle(at(30), true, socket.as_fd()), None);
        assert!(lookup.fd().is_none());
        lookup.resolve = |_| Ok(Ipv4Addr::LOCALHOST);
        assert!(outcome(&mut lookup, at(31), &socket).is_ok());
    }

    #[test]
    fn only_a_silent_server_is_looked_up_again() {
        let mut lookup = ServerLookup::new("10.1.2.3", 437);
        let socket = socket();
        assert!(lookup.handle(at(1), false, socket.as_fd()).is_some());
        for (seconds, is_silent, is_found) in
            [(45, true, false), (46, true, true), (1000, false, false), (1000, true, true), (1001, true, false)]
        {
            assert_eq!(lookup.handle(at(seconds), is_silent, socket.as_fd()).is_some(), is_found, "{seconds} {is_silent}");
        }
    }

    #[test]
    fn what_the_agent_waits_for_is_said_once() {
        let mut lookup = ServerLookup::new("nas", 437);
        let socket = socket();
        lookup.resolve = |_| Ok(Ipv4Addr::LOCALHOST);
        assert!(outcome(&mut lookup, at(1), &socket).is_ok());
        let waits = "the server nas does not answer: waiting for it, and looking its name up every 45 seconds";
        let said = [false, true, true, false, true].map(|is_silent| lookup.notice(is_silent));
        assert_eq!(said, [None, Some(waits.into()), None, Some("the server nas answers again".into()), Some(waits.into())]);
        lookup.resolve = |_| Ok(Ipv4Addr::BROADCAST);
        lookup.next_try = Duration::ZERO;
        assert_eq!(lookup.handle(at(100), true, socket.as_fd()), None);
        assert!(outcome(&mut lookup, at(100), &socket).is_ok());
        assert_eq!(lookup.notice(false), Some("the server nas has another address: 255.255.255.255".into()));
        assert_eq!(lookup.notice(false), None);
        assert_eq!(ServerLookup::new("10.0.0.1", 437).notice(true), Some("the server 10.0.0.1 does not answer: waiting for it".into()));
    }

    #[test]
    fn a_look_up_that_misses_its_deadline_is_killed_and_reaped() {
        let mut lookup = ServerLookup::new("nas", 437);
        let socket = socket();
        lookup.resolve = never;
        assert_eq!(lookup.handle(at(1), false, socket.as_fd()), None);
        let pid = children_of_this_thread();
        assert!(!pid.is_empty());
        assert_eq!(lookup.handle(at(20), false, socket.as_fd()), None);
        assert_eq!(lookup.handle(at(21), false, socket.as_fd()), Some(Err("no answer within 20 seconds".into())));
        wait_until(|| {
            crate::sys::child::reap();
            children_of_this_thread().is_empty()
        });
    }

    /// Tries for ten seconds.
    fn wait_until(mut condition: impl FnMut() -> bool) {
        for _ in 0..1000 {
            if condition() {
                return;
            }
            PollSet::default().wait(Some(SECOND / 100)).unwrap();
        }
        panic!("still not");
    }

    /// Numbers of the processes that this thread has forked and not reaped.
    fn children_of_this_thread() -> String {
        String::from_utf8(crate::sys::read_file("/proc/thread-self/children").unwrap()).unwrap()
    }

    #[test]
    fn the_child_process_closes_the_socket() {
        let mut lookup = ServerLookup::new("nas", 437);
        let socket = socket();
        let port = socket.local_addr().unwrap().port();
        lookup.resolve = never;
        assert_eq!(lookup.handle(at(1), false, socket.as_fd()), None);
        drop(socket);
        // The child may need a moment to close its copy.
        wait_until(|| crate::sys::socket::bind(Ipv4Addr::LOCALHOST, port).is_ok());
    }

    #[test]
    fn a_killed_look_up_is_a_failure() {
        let mut lookup = ServerLookup::new("nas", 437);
        lookup.resolve = |_| std::process::abort();
        assert_eq!(outcome(&mut lookup, at(1), &socket()), Err("the look-up was killed".into()));
    }
}
