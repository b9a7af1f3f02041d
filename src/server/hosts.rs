//! All hosts by their names.

use super::host::{Due, Host};
use super::session::Credential;
use crate::wire::auth::SessionMac;
use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::rc::Rc;
use std::time::Duration;

#[derive(Default)]
pub(super) struct Hosts {
    by_name: HashMap<Rc<str>, Box<Host>>,
}

impl Hosts {
    /// Most hosts in one pass of [`Self::handle_tick`] for which something is due.
    const MAX_DUE: usize = 1000;

    pub(super) fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Host> {
        self.by_name.get(name).map(|host| &**host)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Host> {
        self.by_name.get_mut(name).map(|host| &mut **host)
    }

    /// The shared copy of a host's name.
    pub(super) fn name(&self, name: &str) -> Option<&Rc<str>> {
        self.by_name.get_key_value(name).map(|(name, _)| name)
    }

    pub(super) fn insert(&mut self, name: Rc<str>, host: Host) {
        self.by_name.insert(name, Box::new(host));
    }

    /// Signs and verifies the datagrams of the host's session, if the host has a session and a key.
    pub(super) fn mac_mut(&mut self, name: &str) -> Option<&mut SessionMac> {
        self.get_mut(name)?.mac_mut()
    }

    /// Whether the host has a file and a session at that address.
    pub(super) fn is_in_session(&self, name: &str, address: SocketAddrV4) -> bool {
        self.get(name).is_some_and(|host| host.has_file() && host.has_session_at(address))
    }

    /// Ends each session that began with a credential that is not valid any more.
    pub(super) fn retain_sessions(&mut self, is_valid: impl Fn(&str, &Credential) -> bool) {
        for (name, host) in &mut self.by_name {
            if host.session().is_some_and(|session| !is_valid(name, session.credential())) {
                host.end_session();
            }
        }
    }

    /// Hands over every host for which something is due, then drops the hosts that are finished. Stops after [`Self::MAX_DUE`] hosts and
    /// returns whether others may be left. A host that was handed over is not due again at once, so that another pass reaches the others.
    pub(super) fn handle_tick(&mut self, now: Duration, mut carry_out: impl FnMut(&Rc<str>, &mut Host, Due)) -> bool {
        let mut count = 0;
        for (name, host) in &mut self.by_name {
            if count == Self::MAX_DUE {
                break;
            }
            let due = host.handle_tick(now);
            if due.is_something() {
                count += 1;
                carry_out(name, host, due);
            }
        }
        self.by_name.retain(|_, host| !host.is_finished());
        count == Self::MAX_DUE
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::session::Session;
    use crate::wire::auth::{Key, SessionName};
    use crate::wire::Token;

    fn hosts(count: u64) -> Hosts {
        let mut hosts = Hosts::default();
        (0..count).for_each(|number| hosts.insert(format!("h{number}").into(), Host::new(Duration::ZERO, 0)));
        hosts
    }

    fn join(hosts: &mut Hosts, host: &str, credential: Credential) {
        let name = SessionName { host, run: Token(1), nonce: Token(2), cookie: Token(3) };
        let session = Session::new(SocketAddrV4::new([10, 0, 0, 1].into(), 4360), credential, name);
        hosts.get_mut(host).unwrap().handle_join(Duration::ZERO, 1, session);
    }

    #[test]
    fn a_pass_hands_over_a_bounded_number_of_hosts_and_the_next_one_the_others() {
        let mut hosts = hosts(Hosts::MAX_DUE as u64 + 7);
        let mut reported = std::collections::HashSet::new();
        let mut pass = |hosts: &mut Hosts| {
            let before = reported.len();
            let more = hosts.handle_tick(Duration::from_secs(180), |name, _, due| assert!(due.inactive && reported.insert(name.clone())));
            (more, reported.len() - before)
        };
        assert_eq!(pass(&mut hosts), (true, Hosts::MAX_DUE));
        assert_eq!(pass(&mut hosts), (false, 7));
    }

    #[test]
    fn sessions_whose_credential_is_not_valid_end() {
        let mut hosts = hosts(2);
        join(&mut hosts, "h0", Credential::NotRequired);
        join(&mut hosts, "h1", Credential::Key(Key::new([7; 32])));
        hosts.retain_sessions(|name, credential| name == "h1" && credential.key().is_some());
        assert_eq!(["h0", "h1"].map(|name| hosts.get(name).unwrap().session().is_some()), [false, true]);
        assert!(hosts.mac_mut("h0").is_none() && hosts.mac_mut("h1").is_some());
    }

    #[test]
    fn a_host_that_is_finished_is_dropped() {
        let mut hosts = hosts(2);
        hosts.insert("gone".into(), Host::without_file(Duration::ZERO));
        hosts.handle_tick(Duration::ZERO, |_, _, _| {});
        assert!(hosts.len() == 2 && !hosts.contains("gone"));
    }
}
