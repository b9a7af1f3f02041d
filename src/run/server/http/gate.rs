//! Who may ask over TCP: the name by which the server is asked, the origin of what changes something, and passwords. Knows no socket.

use super::message::{Request, Status};
use super::site::Visitor;
use crate::directives::passwords::Passwords;
use crate::now::Now;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Why someone is not let in.
type Refusal = (Status, &'static str);

pub(super) struct Gate {
    /// The names by which the server may be asked, beside numeric addresses and `localhost`.
    names: Vec<String>,
    /// Without passwords nobody needs one, and nobody may change anything.
    passwords: Option<Passwords>,
    attempts: Attempts,
    notices: Vec<String>,
}

impl Gate {
    pub(super) fn new(names: &[String], passwords: Option<&Passwords>) -> Self {
        Self { names: names.to_vec(), passwords: passwords.cloned(), attempts: Attempts::default(), notices: Vec::new() }
    }

    pub(super) fn set_passwords(&mut self, passwords: &Passwords) {
        self.passwords = Some(passwords.clone());
    }

    /// What the log should say.
    pub(super) fn take_notices(&mut self) -> impl Iterator<Item = String> + '_ {
        self.notices.drain(..)
    }

    /// Decides on a request. A page of another server that a browser shows must neither read anything here, by a name of its own that
    /// leads to this address (DNS rebinding), nor change anything.
    pub(super) fn admit(&mut self, now: Now, request: &Request<'_>, visitor: Visitor) -> Result<Visitor, Refusal> {
        if !request.host.is_some_and(|host| self.is_own(host)) {
            return Err((Status::Misdirected, "this server is not asked by that name; http_name: in its server file allows a name"));
        }
        if !["GET", "HEAD"].contains(&request.method) && !self.is_from_here(request) {
            return Err((Status::Forbidden, "the Origin of the request is not this server"));
        }
        let (Some(passwords), Visitor::At(peer)) = (&self.passwords, visitor) else { return Ok(Visitor::Guest) };
        let Some(given) = request.authorization else { return Err((Status::Unauthorized, "a password is needed")) };
        if self.attempts.are_used_up(now, peer) {
            return Err((Status::TooManyRequests, "too many wrong passwords: wait a minute"));
        }
        if given.split_once(' ').is_some_and(|(scheme, token)| scheme.eq_ignore_ascii_case("basic") && passwords.accept(token.trim())) {
            return Ok(Visitor::User);
        }
        if self.attempts.note_failure(now, peer) == Attempts::MOST {
            self.notices.push(format!("http: {} wrong passwords from {peer} within a minute: it has to wait", Attempts::MOST));
        }
        Err((Status::Unauthorized, "the password is wrong"))
    }

    /// Whether a name with or without a port, as in `Host`, stands for this server.
    fn is_own(&self, authority: &str) -> bool {
        let name = host_of(authority);
        let is_address = || name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name).parse::<IpAddr>().is_ok();
        name.eq_ignore_ascii_case("localhost") || self.is_named(name) || is_address()
    }

    fn is_named(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// Whether the page that sends a request came from this server. Behind a proxy the port may differ.
    fn is_from_here(&self, request: &Request<'_>) -> bool {
        let origin = request.origin.and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")));
        let is_same = |origin: &str| request.host.is_some_and(|host| host.eq_ignore_ascii_case(origin)) || self.is_named(host_of(origin));
        origin.is_some_and(is_same)
    }
}

/// The name or the address without the port.
fn host_of(authority: &str) -> &str {
    let end = authority.rfind(':').filter(|at| authority[at + 1..].bytes().all(|byte| byte.is_ascii_digit()) && !authority.ends_with(']'));
    let name = &authority[..end.unwrap_or(authority.len())];
    name.strip_suffix('.').unwrap_or(name)
}

/// Wrong passwords of late. Limits how many can be tried, by one address and by all.
#[derive(Default)]
struct Attempts {
    /// For each address, and `None` for all that found no room: how many, and until when they count.
    failed: HashMap<Option<IpAddr>, (u32, Duration)>,
}

impl Attempts {
    /// Most wrong passwords of one address in [`Self::PERIOD`].
    const MOST: u32 = 10;
    const PERIOD: Duration = Duration::from_secs(60);
    /// Most addresses that are told apart.
    const ADDRESSES: usize = 1024;

    /// Whoever has an address of version 6 has many that share their first half.
    fn network(peer: IpAddr) -> IpAddr {
        match peer {
            IpAddr::V4(_) => peer,
            IpAddr::V6(peer) => IpAddr::V6((u128::from(peer) >> 64 << 64).into()),
        }
    }

    fn key(&mut self, now: Now, peer: IpAddr) -> Option<IpAddr> {
        let key = Some(Self::network(peer));
        if self.failed.contains_key(&key) || self.failed.len() < Self::ADDRESSES {
            return key;
        }
        self.failed.retain(|_, (_, until)| now.mono < *until);
        key.filter(|_| self.failed.len() < Self::ADDRESSES)
    }

    fn are_used_up(&mut self, now: Now, peer: IpAddr) -> bool {
        let key = self.key(now, peer);
        self.failed.get(&key).is_some_and(|(count, until)| *count >= Self::MOST && now.mono < *until)
    }

    /// Returns how many there are now.
    fn note_failure(&mut self, now: Now, peer: IpAddr) -> u32 {
        let key = self.key(now, peer);
        let fresh = (0, now.mono + Self::PERIOD);
        let entry = self.failed.entry(key).or_insert(fresh);
        if entry.1 <= now.mono {
            *entry = fresh;
        }
        entry.0 += 1;
        entry.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::Source;
    use crate::schedule::WeekMinute;
    use std::net::Ipv4Addr;

    /// `admin:correct horse`.
    const RIGHT: &str = "Basic YWRtaW46Y29ycmVjdCBob3JzZQ==";
    const WRONG: &str = "Basic YWRtaW46Y29ycmVjdCBob3JzZX==";

    fn gate(has_passwords: bool) -> Gate {
        let passwords = Passwords::parse(Source { path: "passwords", text: "admin:correct horse\n" }, [7; 32]).unwrap();
        Gate::new(&["mon.example.org".into()], has_passwords.then_some(&passwords))
    }

    fn at(seconds: u64) -> Now {
        Now { mono: Duration::from_secs(seconds), unix: seconds, local: WeekMinute::new(0, 0, 0), second: 0 }
    }

    fn peer(number: u32) -> Visitor {
        Visitor::At(Ipv4Addr::from(0x0a00_0000 + number).into())
    }

    fn request<'a>(host: &'a str, authorization: Option<&'a str>) -> Request<'a> {
        Request { method: "GET", target: "/", host: Some(host), authorization, ..Request::default() }
    }

    #[test]
    fn only_names_that_lead_here_on_purpose_are_answered() {
        let mut gate = gate(false);
        for (host, is_own) in [
            ("localhost", true),
            ("LocalHost.:8436", true),
            ("127.0.0.1:8436", true),
            ("192.168.1.7", true),
            ("[::1]:8436", true),
            ("[fe80::1]", true),
            ("mon.example.org", true),
            ("Mon.Example.org:443", true),
            ("evil.example.org", false),
            ("mon.example.org.evil.org", false),
            ("localhost.evil.org", false),
            ("127.0.0.1.evil.org:8436", false),
            ("localhost:x", false),
            ("", false),
            (":80", false),
        ] {
            let outcome = gate.admit(at(1), &request(host, None), peer(1));
            assert_eq!(outcome.map_err(|(status, _)| status), if is_own { Ok(Visitor::Guest) } else { Err(Status::Misdirected) }, "{host}");
        }
        assert_eq!(gate.admit(at(1), &Request { host: None, ..request("", None) }, peer(1)).unwrap_err().0, Status::Misdirected);
    }

    #[test]
    fn what_changes_something_comes_from_a_page_of_this_server() {
        let mut gate = gate(true);
        for (host, origin, is_from_here) in [
            ("127.0.0.1:8436", Some("http://127.0.0.1:8436"), true),
            ("mon.example.org", Some("https://mon.example.org"), true),
            ("127.0.0.1:8436", Some("https://mon.example.org:8443"), true),
            ("127.0.0.1:8436", Some("http://127.0.0.1:80"), false),
            ("127.0.0.1:8436", Some("http://evil.example.org"), false),
            ("127.0.0.1:8436", Some("null"), false),
            ("127.0.0.1:8436", None, false),
        ] {
            let post = Request { method: "POST", origin, ..request(host, Some(RIGHT)) };
            let outcome = gate.admit(at(1), &post, peer(1)).map_err(|(status, _)| status);
            assert_eq!(outcome, if is_from_here { Ok(Visitor::User) } else { Err(Status::Forbidden) }, "{host} {origin:?}");
        }
    }

    #[test]
    fn where_there_are_passwords_everyone_needs_one() {
        let mut gate = gate(true);
        let mut outcome = |given| gate.admit(at(1), &request("localhost", given), peer(1)).map_err(|(status, _)| status);
        assert_eq!(outcome(Some(RIGHT)), Ok(Visitor::User));
        let lower = RIGHT.replace("Basic", "basic");
        assert_eq!(outcome(Some(&lower)), Ok(Visitor::User));
        for given in [None, Some(WRONG), Some("Basic "), Some("Basic"), Some(""), Some("Bearer YWRtaW46Y29ycmVjdCBob3JzZQ==")] {
            assert_eq!(outcome(given), Err(Status::Unauthorized), "{given:?}");
        }
    }

    #[test]
    fn wrong_passwords_of_one_address_are_limited_and_leave_the_others_alone() {
        let mut gate = gate(true);
        let mut outcome = |now, from, given| gate.admit(at(now), &request("localhost", Some(given)), from).map_err(|(status, _)| status);
        for _ in 0..Attempts::MOST {
            assert_eq!(outcome(1, peer(1), WRONG), Err(Status::Unauthorized));
        }
        assert_eq!(outcome(60, peer(1), RIGHT), Err(Status::TooManyRequests), "even the right one is not tried");
        assert_eq!(outcome(60, peer(2), RIGHT), Ok(Visitor::User));
        assert_eq!(outcome(62, peer(1), RIGHT), Ok(Visitor::User));
        assert_eq!(gate.take_notices().count(), 1);
    }

    #[test]
    fn wrong_passwords_of_all_addresses_are_limited_too() {
        let mut gate = gate(true);
        let statuses: Vec<Status> = (0..200_000_u32)
            .map(|number| {
                // Addresses of version 6, a thousand of each network.
                let peer = IpAddr::V6((u128::from(number / 1000) << 64 | 0x2001 << 112 | u128::from(number)).into());
                gate.admit(at(1), &request("localhost", Some(WRONG)), Visitor::At(peer)).unwrap_err().0
            })
            .collect();
        assert_eq!(statuses.iter().filter(|status| **status == Status::Unauthorized).count(), 200 * 10);
        let tried = (0..100_000)
            .filter(|number| gate.admit(at(1), &request("localhost", Some(WRONG)), peer(*number)).unwrap_err().0 == Status::Unauthorized);
        assert!(tried.count() < Attempts::ADDRESSES);
        assert!(gate.attempts.failed.len() <= Attempts::ADDRESSES + 1);
    }
}
