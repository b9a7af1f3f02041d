//! All hosts by their names.

use super::host::{Due, Host, HostNotice, Seen};
use super::presence::ParentPresence;
use super::session::Credential;
use crate::directives::host::HostSettings;
use crate::directives::Fault;
use crate::text::number;
use crate::wire::auth::SessionMac;
use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::rc::Rc;
use std::time::Duration;

#[derive(Default)]
pub(super) struct Hosts {
    by_name: HashMap<Rc<str>, Box<Host>>,
    /// What earlier runs of the server have seen of hosts whose files were not read yet, and when.
    remembered: HashMap<Box<str>, (Seen, u64)>,
    /// What is to be reported of hosts.
    notices: Vec<(Rc<str>, HostNotice)>,
    /// Whether it is to be checked again which host can hang behind which.
    parents_changed: bool,
}

impl Hosts {
    /// Most hosts in one pass of [`Self::handle_tick`] for which something is due.
    const MAX_DUE: usize = 1000;
    /// The first field of a line of the snapshot.
    const HEARD: &'static str = "HEARD";

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

    /// The name of a host, if its session has a MAC.
    pub(super) fn signed_name(&self, name: &str) -> Option<&Rc<str>> {
        self.by_name.get_key_value(name).filter(|(_, host)| host.has_mac()).map(|(name, _)| name)
    }

    pub(super) fn insert(&mut self, name: Rc<str>, mut host: Host) {
        if let Some((seen, unix)) = self.remembered.remove(&*name) {
            host.restore(seen, unix);
        }
        self.by_name.insert(name, Box::new(host));
        self.parents_changed = true;
    }

    /// All hosts with their names, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Rc<str>, &Host)> {
        self.by_name.iter().map(|(name, host)| (name, &**host))
    }

    /// Sets what a host file says about its host.
    pub(super) fn set_settings(&mut self, name: &str, settings: Option<&HostSettings>) {
        if let (Some(host), Some(settings)) = (self.get_mut(name), settings) {
            host.set_settings(settings);
            self.parents_changed = true;
        }
    }

    /// A host has lost its file. Returns whether there is something to be sent to it.
    pub(super) fn handle_file_removed(&mut self, now: Duration, name: &str) -> bool {
        self.parents_changed = true;
        let host = self.get_mut(name);
        host.map(|host| host.handle_removed(now)).is_some()
    }

    /// Checks which host can hang behind which, if that may have changed. A host that cannot is reported once.
    fn check_parents(&mut self) {
        if !std::mem::take(&mut self.parents_changed) {
            return;
        }
        let parent_of = |name: &str| {
            let host = self.get(name).filter(|host| host.has_file())?;
            Some(host.parent().map(|parent| &*parent.host))
        };
        let with_parent = self.iter().filter(|(_, host)| host.parent().is_some() && host.has_file());
        let check = |(name, host): (&Rc<str>, &Host)| (name.clone(), host.parent().and_then(|parent| parent.fault(name, parent_of)));
        let checked: Vec<(Rc<str>, Option<Fault>)> = with_parent.map(check).collect();
        for (name, fault) in checked {
            let fault = self.get_mut(&name).and_then(|host| host.set_parent_fault(fault));
            self.notices.extend(fault.map(|fault| (name, HostNotice::ParentFault(fault))));
        }
    }

    /// What each host is like that others hang behind.
    fn parents(&self, now: Duration) -> HashMap<Rc<str>, ParentPresence> {
        let names = self.by_name.values().filter_map(|host| host.sound_parent());
        names
            .filter_map(|name| self.by_name.get_key_value(name))
            .map(|(name, host)| (name.clone(), host.presence().as_parent(now)))
            .collect()
    }

    /// How many hosts hang behind that one, near or far, and were reported so.
    pub(super) fn count_behind(&self, name: &str) -> usize {
        let mut children: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, host) in self.iter().filter(|(_, host)| host.presence().is_behind()) {
            host.sound_parent().into_iter().for_each(|parent| children.entry(parent).or_default().push(name));
        }
        let mut behind = vec![name];
        let mut at = 0;
        while let Some(name) = behind.get(at) {
            behind.extend(children.remove(name).unwrap_or_default());
            at += 1;
        }
        behind.len() - 1
    }

    /// Appends a line for each host that was ever heard, from which [`Self::restore`] reads it again.
    pub(super) fn emit_into(&self, text: &mut String) {
        for (name, host) in self.iter().filter(|(_, host)| host.has_file()) {
            let Some(unix) = host.presence().heard_unix() else { continue };
            let Seen { address, version, target, .. } = host.seen();
            let address = address.map(|address| address.to_string()).unwrap_or_default();
            text.push_str(&format!("{}%%{name}%%{unix}%%{address}%%{version}%%{target}\n", Self::HEARD));
        }
    }

    /// Adds what a snapshot says of hosts. Ignores lines of another form.
    pub(super) fn restore(&mut self, snapshot: &str) {
        for line in snapshot.lines().filter_map(|line| line.strip_prefix(Self::HEARD)?.strip_prefix("%%")) {
            let [name, unix, address, version, target] = line.splitn(5, "%%").collect::<Vec<_>>()[..] else { continue };
            let Some(unix) = number(unix, 10) else { continue };
            let seen = Seen { address: address.parse().ok(), version: version.into(), target: target.into(), ..Seen::default() };
            self.remembered.insert(name.into(), (seen, unix));
        }
    }

    /// All host files were read: forgets what was seen of hosts without one.
    pub(super) fn handle_started(&mut self) {
        self.remembered = HashMap::new();
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
        self.check_parents();
        let parents = self.parents(now);
        let (mut count, mut in_front) = (0, Vec::new());
        for (name, host) in &mut self.by_name {
            if count == Self::MAX_DUE {
                break;
            }
            let parent = host.sound_parent().and_then(|parent| parents.get(parent)).copied();
            let due = host.handle_tick(now, parent);
            if due.is_something() {
                count += 1;
                self.notices.extend(due.inactive.map(|(turn, place)| (name.clone(), HostNotice::Inactive(turn, place))));
                in_front.extend(due.count.then(|| name.clone()));
                carry_out(name, host, due);
            }
        }
        for name in in_front {
            let behind = self.count_behind(&name);
            self.notices.extend((behind > 0).then_some((name, HostNotice::Behind(behind))));
        }
        self.by_name.retain(|_, host| !host.is_finished());
        count == Self::MAX_DUE
    }

    /// Removes and returns what is to be reported of hosts.
    pub(super) fn take_notices(&mut self) -> Vec<(Rc<str>, HostNotice)> {
        std::mem::take(&mut self.notices)
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
            let more = hosts
                .handle_tick(Duration::from_secs(180), |name, _, due| assert!(due.inactive.is_some() && reported.insert(name.clone())));
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
