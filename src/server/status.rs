//! What the server knows of its hosts at one moment, for people and programs that ask.

use super::admission::{Admission, Refused};
use super::conditions::Conditions;
use super::configuration::Configurations;
use super::host::{Host, Version};
use super::hosts::Hosts;
use super::presence::HostState;
use super::strangers::{IgnoredCounts, Stranger};
use crate::now::Now;
use crate::wire::{Revision, VERSION};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// All that can be asked.
pub struct ServerStatus<'a> {
    /// The name that the server announces.
    pub name: &'a str,
    /// The hosts with a host file or a session, in the order of their names.
    pub hosts: Vec<HostStatus<'a>>,
    /// Others that ask for a configuration. Their names are as they came from the network.
    pub strangers: &'a BTreeMap<Box<str>, Stranger>,
    /// The open conditions.
    pub conditions: &'a Conditions,
    /// The datagrams that were not answered.
    pub refusals: Refusals,
}

/// What is known of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStatus<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it is heard.
    pub state: HostState,
    /// When it was last heard, in seconds since 1970. `None` if never.
    pub heard_unix: Option<u64>,
    /// Where it was last heard.
    pub address: Option<Ipv4Addr>,
    /// The version of its agent, or empty.
    pub version: &'a str,
    /// The target of its agent, or empty.
    pub target: &'a str,
    /// The protocol that it spoke last. `None` if it was not heard in this run of the server.
    pub protocol: Option<&'static str>,
    /// The revision that the server has for it.
    pub revision: Revision,
    /// Whether that is in force.
    pub in_force: InForce,
    /// What the server requires of it.
    pub key: HostKey,
    /// What it hangs behind.
    pub parent: Option<&'a str>,
    /// How many of its conditions are open.
    pub open: usize,
}

/// Whether an agent has the configuration of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InForce {
    /// It has.
    Yes,
    /// It has another one.
    Late,
    /// The server has none for it.
    NoFile,
    /// The agent does not say so, or was not heard.
    Unknown,
}

/// What the server requires of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKey {
    /// There are no keys: it believes everyone.
    NoKeys,
    /// Its key.
    Required,
    /// Nothing: the key file says so.
    Open,
    /// A key that the key file does not have: it is refused.
    Missing,
}

/// The datagrams that were not answered, since the start of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// Those that mean nothing to this server.
    pub ignored: IgnoredCounts,
    /// Those that the keys refuse.
    pub refused: Refused,
}

/// The status of all hosts.
pub(super) fn hosts<'a>(
    now: Now,
    hosts: &'a Hosts,
    configurations: &Configurations,
    admission: &Admission,
    conditions: &Conditions,
) -> Vec<HostStatus<'a>> {
    let key = |name: &str| match () {
        () if !admission.requires_keys() => HostKey::NoKeys,
        () if admission.is_open_for(name) => HostKey::Open,
        () if admission.has_key(name) => HostKey::Required,
        () => HostKey::Missing,
    };
    let status = |name: &'a str, host: &'a Host| {
        let (seen, state, revision) = (host.seen(), host.state(now), configurations.revision(name));
        HostStatus {
            name,
            state,
            heard_unix: host.presence().heard_unix(),
            address: seen.address,
            version: &seen.version,
            target: &seen.target,
            protocol: seen.protocol.map(|version| if version == Version::One { "1" } else { VERSION }),
            revision,
            in_force: match seen.revision {
                _ if !host.has_file() => InForce::NoFile,
                Some(in_force) if in_force == revision => InForce::Yes,
                Some(_) => InForce::Late,
                None => InForce::Unknown,
            },
            key: key(name),
            parent: host.sound_parent(),
            open: conditions.count(name),
        }
    };
    let mut hosts: Vec<HostStatus<'a>> = hosts.iter().map(|(name, host)| status(name, host)).collect();
    hosts.sort_by_key(|host| host.name);
    hosts
}
