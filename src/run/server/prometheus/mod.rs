//! `/metrics`: what Prometheus scrapes. No text of an event is in it, and the number of its series is bounded.

mod exposition;
mod tally;
mod turns;

pub(super) use self::tally::Tally;
pub(super) use self::turns::TurnTimes;

use self::exposition::{Exposition, Type};
use super::http::Web;
use super::outputs::Outputs;
use crate::directives::Silences;
use crate::now::Now;
use crate::server::{HostState, HostStatus, InForce, ServerStatus};
use crate::text::sanitize;
use std::collections::BTreeMap;

/// The media type of the text format.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Most hosts, and most sets of conditions, that have series.
const MOST: usize = 20_000;

/// What the server does not know itself.
pub(super) struct Measured<'a> {
    pub(super) started_unix: u64,
    pub(super) silences: &'a Silences,
    pub(super) outputs: &'a Outputs,
    pub(super) turns: &'a TurnTimes,
    pub(super) connections: usize,
}

/// All metrics as text.
pub(super) fn exposition(now: Now, status: &ServerStatus<'_>, tally: &mut Tally, measured: &Measured<'_>) -> String {
    let mut text = Exposition::default();
    let hosts = &status.hosts[..status.hosts.len().min(MOST)];
    // In the order of their names.
    tally.retain(|name| name == status.name || hosts.binary_search_by_key(&name, |host| host.name).is_ok());
    server(status, measured, &mut text);
    agents(hosts, measured.silences, now, &mut text);
    events(now, tally, &mut text);
    let conditions = conditions(now, status, measured.silences, &mut text);
    outputs(now, measured.outputs, &mut text);
    refused(status, &mut text);
    text.family("ax436_series_limit", Type::Gauge, "Most series of a kind; further ones are left out.");
    for (of, most) in [("agents", MOST), ("events", Tally::MAX_SERIES), ("events_of_a_host", Tally::MAX_OF_A_HOST), ("conditions", MOST)] {
        text.sample("ax436_series_limit", &[("of", of)], most);
    }
    text.family("ax436_series", Type::Gauge, "How many series of a kind there are, with those that are left out.");
    for (of, count) in [("agents", status.hosts.len()), ("events", tally.series()), ("conditions", conditions)] {
        text.sample("ax436_series", &[("of", of)], count);
    }
    text.single("ax436_uncounted_events_total", Type::Counter, "Events for which ax436_events_total had no room.", tally.uncounted());
    text.finish()
}

fn server(status: &ServerStatus<'_>, measured: &Measured<'_>, text: &mut Exposition) {
    text.family("ax436_info", Type::Gauge, "The server, in its labels.");
    text.sample("ax436_info", &[("name", status.name), ("version", env!("CARGO_PKG_VERSION"))], 1);
    let name = "ax436_start_time_seconds";
    text.single(name, Type::Gauge, "When the server started, in seconds since 1970.", measured.started_unix);
    text.single("ax436_http_connections", Type::Gauge, "Connections of those who ask over TCP.", measured.connections);
    let most = Web::<()>::MAX_CONNECTIONS;
    text.single("ax436_http_connections_limit", Type::Gauge, "Most connections of those who ask over TCP.", most);
    text.single("ax436_strangers", Type::Gauge, "Hosts that ask for a configuration and have no host file.", status.strangers.len());
    measured.turns.emit_into(text);
}

fn agents(hosts: &[HostStatus<'_>], silences: &Silences, now: Now, text: &mut Exposition) {
    let mut family = |name, help, value: &dyn Fn(&HostStatus<'_>) -> Option<u64>| {
        text.family(name, Type::Gauge, help);
        for host in hosts {
            if let Some(value) = value(host) {
                text.sample(name, &[("host", host.name)], value);
            }
        }
    };
    family("ax436_agent_up", "Whether the agent is heard.", &|host| Some((host.state == HostState::Alive).into()));
    family("ax436_agent_stopped", "Whether the agent has said that it ends.", &|host| Some((host.state == HostState::Stopped).into()));
    let help = "When the agent was last heard, in seconds since 1970.";
    family("ax436_agent_last_seen_timestamp_seconds", help, &|host| host.heard_unix);
    let help = "Whether the agent has another configuration than the server has for it.";
    family("ax436_agent_configuration_late", help, &|host| Some((host.in_force == InForce::Late).into()));
    let help = "Whether a silence covers all events of the host.";
    family("ax436_agent_silenced", help, &|host| Some(silences.covers_host(host.name, now.unix).into()));
    text.family("ax436_agent_info", Type::Gauge, "The agent, in its labels.");
    for host in hosts {
        // What an agent says of itself may be anything.
        let (version, target) = (sanitize(host.version), sanitize(host.target));
        let labels = [("host", host.name), ("version", &version), ("target", &target), ("revision", &host.revision.to_string())];
        text.sample("ax436_agent_info", &labels, 1);
    }
}

fn events(now: Now, tally: &Tally, text: &mut Exposition) {
    let counted = tally.sorted();
    text.family("ax436_events_total", Type::Counter, "Events written to the event stream since the server started.");
    for (host, tags, counted) in &counted {
        text.sample("ax436_events_total", &[("host", host), ("tags", tags)], counted.events);
    }
    text.family("ax436_metric", Type::Gauge, "The last value of a metric, or of a count of lines.");
    for (host, tags, counted) in &counted {
        for (kind, value) in counted.values(now) {
            text.sample("ax436_metric", &[("host", host), ("tags", tags), ("kind", kind)], value);
        }
    }
}

/// Conditions that differ only in their keys are one series. Returns how many there are.
fn conditions(now: Now, status: &ServerStatus<'_>, silences: &Silences, text: &mut Exposition) -> usize {
    let mut sets: BTreeMap<(&str, &str, &str), (u64, u64)> = BTreeMap::new();
    for (host, _, condition) in status.conditions.iter() {
        let (open, silenced) = sets.entry((host, &condition.tags, condition.kind.as_str())).or_default();
        *open += 1;
        *silenced += u64::from(silences.covers(host, &condition.tags, now.unix));
    }
    let mut family = |name, help, value: &dyn Fn(&(u64, u64)) -> u64| {
        text.family(name, Type::Gauge, help);
        for ((host, tags, kind), counts) in sets.iter().take(MOST) {
            text.sample(name, &[("host", host), ("tags", tags), ("kind", kind)], value(counts));
        }
    };
    family("ax436_condition_open", "How many conditions are open.", &|(open, _)| *open);
    family("ax436_condition_silenced", "How many of the open conditions a silence covers.", &|(_, silenced)| *silenced);
    sets.len()
}

fn outputs(now: Now, outputs: &Outputs, text: &mut Exposition) {
    let outputs: Vec<_> = outputs.states().collect();
    let mut family = |name, help, value: &dyn Fn(&super::outputs::OutputState<'_>) -> u64| {
        text.family(name, Type::Gauge, help);
        for output in &outputs {
            text.sample(name, &[("output", output.name)], value(output));
        }
    };
    family("ax436_output_lag_events", "Events that wait for the command of the output.", &|output| output.waiting as u64);
    family("ax436_output_lag_bytes", "Bytes of the event stream that the output has not passed.", &|output| output.bytes_behind);
    let waits = |since| now.mono.saturating_sub(since).as_secs();
    family("ax436_output_lag_seconds", "How long the first of the waiting events waits.", &|output| output.waits_since.map_or(0, waits));
    family("ax436_output_failing", "Whether the last run of the command failed.", &|output| output.failure.is_some().into());
}

fn refused(status: &ServerStatus<'_>, text: &mut Exposition) {
    let (ignored, refused) = (&status.refusals.ignored, &status.refusals.refused);
    text.family("ax436_refused_datagrams_total", Type::Counter, "Datagrams that were not answered, by reason.");
    for (reason, count) in [
        ("malformed", ignored.malformed),
        ("unexpected", ignored.unexpected),
        ("without_key", refused.without_key),
        ("unsigned", refused.unsigned),
        ("wrong_mac", refused.bad_mac),
        ("replayed", refused.replayed),
    ] {
        text.sample("ax436_refused_datagrams_total", &[("reason", reason)], count);
    }
}
