//! The status as JSON: what the server answers, and what `ax436 status` reads.

use crate::date::Zone;
use crate::directives::Silences;
use crate::now::Now;
use crate::run::server::outputs::{OutputState, Outputs};
use crate::server::{is_held_back, HostKey, HostState, HostStatus, IgnoredCounts, InForce, Refused, ServerStatus};
use crate::sys::clock::LocalTime;
use crate::text::sanitize;
use crate::wire::Kind;
use nanoserde::{DeJson, DeJsonErr, SerJson};

pub(in crate::run::server) use json::{ConditionReport, HostReport, OutputReport, Report, SilenceReport};
use json::{RefusedReport, ServerReport};

mod json {
    #![allow(clippy::question_mark, unreachable_pub, reason = "generated code, and what it requires")]

    use nanoserde::{DeJson, SerJson};

    /// All of it. Times are in RFC 3339, and in seconds since 1970 where a name ends in `_unix`.
    #[derive(Clone, Debug, DeJson, SerJson)]
    pub struct Report {
        pub server: ServerReport,
        pub hosts: Vec<HostReport>,
        pub conditions: Vec<ConditionReport>,
        /// Hosts that have more open conditions than the server remembers.
        pub overfull: Vec<String>,
        pub outputs: Vec<OutputReport>,
        pub silences: Vec<SilenceReport>,
        pub refused: RefusedReport,
    }

    #[derive(Clone, Debug, DeJson, SerJson)]
    pub struct ServerReport {
        pub name: String,
        pub version: String,
        pub started: String,
        pub started_unix: u64,
        pub now: String,
        pub now_unix: u64,
    }

    #[derive(Clone, Debug, DeJson, SerJson)]
    pub struct HostReport {
        pub name: String,
        /// `silent`, `unknown`, `never seen`, `stopped` or `alive`.
        pub state: String,
        /// Omitted if it was never heard.
        pub heard: Option<String>,
        pub heard_unix: Option<u64>,
        pub address: Option<String>,
        /// `1` for a Python agent; omitted if it was not heard in this run of the server.
        pub protocol: Option<String>,
        /// Of the agent; omitted if it does not say so.
        pub version: Option<String>,
        pub target: Option<String>,
        /// That of the server; `none` without a host file.
        pub revision: String,
        /// `in force`, `late`, `none` or `unknown`.
        pub configuration: String,
        /// `off`, `required`, `open` or `missing`.
        pub key: String,
        pub parent: Option<String>,
        /// How many of its conditions are open.
        pub open: u64,
        pub silenced: bool,
    }

    #[derive(Clone, Debug, DeJson, SerJson)]
    pub struct ConditionReport {
        pub host: String,
        pub key: String,
        pub kind: String,
        pub tags: String,
        pub text: String,
        pub since: String,
        pub since_unix: u64,
        /// When its last event happened.
        pub last_unix: u64,
        pub silenced: bool,
        /// The silence of another host explains it.
        pub held_back: bool,
        /// Its host is silent or stopped: nobody knows whether it lasts.
        pub stale: bool,
    }

    #[derive(Clone, Debug, Default, DeJson, SerJson)]
    pub struct OutputReport {
        pub name: String,
        /// What the stream has behind its place.
        pub bytes_behind: u64,
        /// How many events wait for its command, and how long the first of them does.
        pub events_waiting: u64,
        pub seconds_waiting: u64,
        pub running: bool,
        /// Why its command failed last, while that lasts.
        pub failure: Option<String>,
    }

    #[derive(Clone, Debug, DeJson, SerJson)]
    pub struct SilenceReport {
        pub host: String,
        pub tags: Option<String>,
        pub until: String,
        pub until_unix: u64,
        pub reason: String,
    }

    /// Datagrams that were not answered since the start, by reason.
    #[derive(Clone, Debug, DeJson, SerJson)]
    pub struct RefusedReport {
        pub malformed: u64,
        pub unexpected: u64,
        pub without_key: u64,
        pub unsigned: u64,
        pub wrong_mac: u64,
        pub replayed: u64,
    }
}

/// What the server does not know itself.
pub(in crate::run::server) struct Surroundings<'a> {
    pub(in crate::run::server) started_unix: u64,
    pub(in crate::run::server) silences: &'a Silences,
    pub(in crate::run::server) outputs: &'a Outputs,
}

impl Report {
    /// Where the server answers with it.
    pub(in crate::run::server) const PATH: &'static str = "/status";

    pub(in crate::run::server) fn new(now: Now, status: &ServerStatus<'_>, surroundings: Surroundings<'_>) -> Self {
        let Surroundings { started_unix, silences, outputs } = surroundings;
        let mut hosts: Vec<HostReport> = status.hosts.iter().map(|host| host_report(now, host, silences)).collect();
        let strangers = status.strangers.iter().filter(|(name, _)| !status.hosts.iter().any(|host| *host.name == ***name));
        hosts.extend(strangers.map(|(name, stranger)| HostReport {
            name: sanitize(name).into_owned(),
            heard: Some(time(stranger.unix)),
            heard_unix: Some(stranger.unix),
            address: Some(stranger.address.to_string()),
            ..HostReport::unknown()
        }));
        let is_away = |host: &str| {
            status.hosts.iter().any(|known| known.name == host && matches!(known.state, HostState::Silent | HostState::Stopped))
        };
        let mut conditions: Vec<ConditionReport> = status
            .conditions
            .iter()
            .map(|(host, key, condition)| ConditionReport {
                host: host.to_string(),
                key: key.into(),
                kind: condition.kind.as_str().into(),
                tags: condition.tags.to_string(),
                text: condition.text.to_string(),
                since: time(condition.since),
                since_unix: condition.since,
                last_unix: condition.last,
                silenced: silences.covers(host, &condition.tags, now.unix),
                held_back: is_held_back(Some(condition.kind), &condition.tags),
                // The server itself knows of the others.
                stale: condition.kind != Kind::System && is_away(host),
            })
            .collect();
        conditions.sort_by(|a, b| (a.since_unix, &a.host, &a.key).cmp(&(b.since_unix, &b.host, &b.key)));
        let IgnoredCounts { malformed, unexpected } = status.refusals.ignored;
        let Refused { without_key, unsigned, bad_mac: wrong_mac, replayed } = status.refusals.refused;
        Self {
            server: ServerReport {
                name: status.name.into(),
                version: env!("CARGO_PKG_VERSION").into(),
                started: time(started_unix),
                started_unix,
                now: time(now.unix),
                now_unix: now.unix,
            },
            hosts,
            conditions,
            overfull: status.conditions.overfull().map(ToString::to_string).collect(),
            outputs: outputs.states().map(|output| output_report(now, &output)).collect(),
            silences: silences.list.iter().filter(|silence| silence.until > now.unix).map(silence_report).collect(),
            refused: RefusedReport { malformed, unexpected, without_key, unsigned, wrong_mac, replayed },
        }
    }

    /// The JSON text, with a newline at its end.
    pub(in crate::run::server) fn emit(&self) -> String {
        self.serialize_json() + "\n"
    }

    /// The inverse of [`Self::emit`].
    ///
    /// # Errors
    /// The text is something else.
    pub(super) fn parse(text: &str) -> Result<Self, DeJsonErr> {
        DeJson::deserialize_json(text)
    }

    /// Whether a condition is open that outputs get.
    pub(super) fn has_open(&self) -> bool {
        self.conditions.iter().any(|condition| !condition.silenced && !condition.held_back)
    }
}

impl HostReport {
    fn unknown() -> Self {
        Self {
            name: String::new(),
            state: state(HostState::Unknown).into(),
            heard: None,
            heard_unix: None,
            address: None,
            protocol: None,
            version: None,
            target: None,
            revision: "none".into(),
            configuration: in_force(InForce::NoFile).into(),
            key: key(HostKey::NoKeys).into(),
            parent: None,
            open: 0,
            silenced: false,
        }
    }
}

fn host_report(now: Now, host: &HostStatus<'_>, silences: &Silences) -> HostReport {
    let given = |text: &str| Some(text).filter(|text| !text.is_empty()).map(str::to_string);
    HostReport {
        name: host.name.into(),
        state: state(host.state).into(),
        heard: host.heard_unix.map(time),
        heard_unix: host.heard_unix,
        address: host.address.map(|address| address.to_string()),
        protocol: host.protocol.map(str::to_string),
        version: given(host.version),
        target: given(host.target),
        revision: host.revision.to_string(),
        configuration: in_force(host.in_force).into(),
        key: key(host.key).into(),
        parent: host.parent.map(str::to_string),
        open: host.open as u64,
        silenced: silences.covers_host(host.name, now.unix),
    }
}

fn output_report(now: Now, output: &OutputState<'_>) -> OutputReport {
    OutputReport {
        name: output.name.into(),
        bytes_behind: output.bytes_behind,
        events_waiting: output.waiting as u64,
        seconds_waiting: output.waits_since.map_or(0, |since| now.mono.saturating_sub(since).as_secs()),
        running: output.is_running,
        failure: output.failure.map(str::to_string),
    }
}

fn silence_report(silence: &crate::directives::Silence) -> SilenceReport {
    let (host, tags, reason) = (silence.host.clone(), silence.tags.clone(), silence.reason.clone());
    SilenceReport { host, tags, until: time(silence.until), until_unix: silence.until, reason }
}

fn time(unix: u64) -> String {
    Zone(LocalTime::offset).rfc3339(unix)
}

fn state(state: HostState) -> &'static str {
    match state {
        HostState::Silent => "silent",
        HostState::Unknown => "unknown",
        HostState::NeverSeen => "never seen",
        HostState::Stopped => "stopped",
        HostState::Alive => "alive",
    }
}

fn in_force(in_force: InForce) -> &'static str {
    match in_force {
        InForce::Yes => "in force",
        InForce::Late => "late",
        InForce::NoFile => "none",
        InForce::Unknown => "unknown",
    }
}

fn key(key: HostKey) -> &'static str {
    match key {
        HostKey::NoKeys => "off",
        HostKey::Required => "required",
        HostKey::Open => "open",
        HostKey::Missing => "missing",
    }
}
