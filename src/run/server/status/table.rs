//! The status as people read it: what needs them first.

use super::report::{HostReport, Report};
use crate::run::server::terminal::{Colour, Terminal};

/// A table of rows of cells, each with its colour. The last column takes what is left of the width.
struct Table<'t> {
    terminal: &'t Terminal,
    rows: Vec<Vec<(String, Colour)>>,
}

impl<'t> Table<'t> {
    /// Widest column, but for the last one.
    const MAX_WIDTH: usize = 32;

    fn new(terminal: &'t Terminal, head: &[&str]) -> Self {
        Self { terminal, rows: vec![head.iter().map(|cell| ((*cell).to_string(), Colour::Bold)).collect()] }
    }

    fn push<const N: usize>(&mut self, row: [(String, Colour); N]) {
        self.rows.push(row.into());
    }

    fn lines(&self) -> Vec<String> {
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].0.chars().count()).max().unwrap_or(0).min(Self::MAX_WIDTH);
        let widths: Vec<usize> = (0..columns - 1).map(width).collect();
        let line = |row: &Vec<(String, Colour)>| {
            let (mut line, mut start) = (String::new(), 0);
            for ((text, colour), width) in row.iter().zip(&widths) {
                line += &self.terminal.cell(text, *width, *colour);
                line += "  ";
                start += width + 2;
            }
            let (text, colour) = &row[columns - 1];
            line + &self.terminal.rest(text, start, *colour)
        };
        self.rows.iter().map(line).collect()
    }
}

/// The lines to be printed.
pub(super) fn lines(report: &Report, terminal: &Terminal) -> Vec<String> {
    let mut lines = summary(report, terminal);
    for part in [conditions(report, terminal), hosts(report, terminal), outputs(report, terminal), silences(report, terminal)] {
        if !part.is_empty() {
            lines.push(String::new());
            lines.extend(part);
        }
    }
    lines.extend(refused(report, terminal));
    lines
}

fn plain(text: impl Into<String>) -> (String, Colour) {
    (text.into(), Colour::Plain)
}

/// `3 d`, `5 min`: a time span in its largest unit.
fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn summary(report: &Report, terminal: &Terminal) -> Vec<String> {
    let server = &report.server;
    let up = span(server.now_unix.saturating_sub(server.started_unix));
    let first = format!("ax436 {} on {}, up {up}", server.version, server.name);
    let mut counts: Vec<String> = Vec::new();
    for state in ["alive", "silent", "stopped", "never seen", "unknown"] {
        let count = report.hosts.iter().filter(|host| host.state == state).count();
        if count > 0 {
            counts.push(format!("{count} {state}"));
        }
    }
    let count = report.hosts.len();
    let counts = if counts.is_empty() { "no hosts".into() } else { format!("{count} host{}: {}", plural(count), counts.join(", ")) };
    let open = report.conditions.len();
    let open = if open == 0 { "nothing is open".into() } else { format!("{open} condition{} open", plural(open)) };
    vec![terminal.rest(&first, 0, Colour::Bold), terminal.rest(&format!("{counts}; {open}"), 0, Colour::Plain)]
}

fn plural(count: usize) -> &'static str {
    if count == 1 {
        ""
    } else {
        "s"
    }
}

fn conditions(report: &Report, terminal: &Terminal) -> Vec<String> {
    if report.conditions.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(terminal, &["OPEN FOR", "HOST", "KIND", "TAGS", "MARK", "TEXT"]);
    for condition in &report.conditions {
        let (mark, colour) = match (condition.silenced, condition.held_back, condition.stale) {
            (true, ..) => ("silenced", Colour::Dim),
            (_, true, _) => ("behind", Colour::Dim),
            (.., true) => ("stale", Colour::Yellow),
            _ => ("", Colour::Red),
        };
        table.push([
            plain(span(report.server.now_unix.saturating_sub(condition.since_unix))),
            plain(&condition.host),
            plain(&condition.kind),
            plain(&condition.tags),
            (mark.into(), Colour::Dim),
            (condition.text.clone(), colour),
        ]);
    }
    let mut lines = table.lines();
    lines.extend(report.overfull.iter().map(|host| {
        let text = format!("{host} has more open conditions than are remembered");
        terminal.rest(&text, 0, Colour::Yellow)
    }));
    lines
}

/// Most rows of hosts without a host file. Anyone can send such names.
const MAX_UNKNOWN: usize = 20;

fn hosts(report: &Report, terminal: &Terminal) -> Vec<String> {
    if report.hosts.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(terminal, &["HOST", "STATE", "HEARD", "ADDRESS", "AGENT", "CONFIGURATION", "KEY", "TARGET"]);
    let mut sorted: Vec<&HostReport> = report.hosts.iter().collect();
    sorted.sort_by_key(|host| (rank(host), &host.name));
    let (mut unknown, mut left_out) = (0, 0);
    for host in sorted {
        if host.state == "unknown" {
            unknown += 1;
            if unknown > MAX_UNKNOWN {
                left_out += 1;
                continue;
            }
        }
        table.push(host_row(report, host));
    }
    let mut lines = table.lines();
    if left_out > 0 {
        lines.push(format!("and {left_out} more unknown hosts"));
    }
    lines
}

/// Where a host stands: those that need people come first.
fn rank(host: &HostReport) -> usize {
    let ranks = ["silent", "never seen", "late", "missing", "unknown", "stopped"];
    let is = |rank: &str| [&host.state, &host.configuration, &host.key].iter().any(|word| word.as_str() == rank);
    ranks.iter().position(|rank| is(rank)).unwrap_or(ranks.len())
}

fn host_row(report: &Report, host: &HostReport) -> [(String, Colour); 8] {
    let state = match host.state.as_str() {
        "alive" => Colour::Green,
        "silent" => Colour::Red,
        _ => Colour::Yellow,
    };
    let mut shown = host.state.clone();
    if let Some(parent) = host.parent.as_ref().filter(|_| host.state == "silent") {
        let is_behind =
            |parent: &String| report.conditions.iter().any(|open| open.host == host.name && open.held_back) && !parent.is_empty();
        if is_behind(parent) {
            shown += &format!(" behind {parent}");
        }
    }
    if host.silenced {
        shown += ", silenced";
    }
    let heard = host.heard_unix.map_or_else(|| "never".into(), |unix| format!("{} ago", span(report.server.now_unix.saturating_sub(unix))));
    let agent = match (&host.version, host.protocol.as_deref()) {
        (Some(version), _) => version.clone(),
        (None, Some("1")) => "protocol 1".into(),
        _ => "-".into(),
    };
    let warn = |text: &String, is_wrong: bool| (text.clone(), if is_wrong { Colour::Yellow } else { Colour::Plain });
    [
        plain(&host.name),
        (shown, state),
        plain(heard),
        plain(host.address.as_deref().unwrap_or("-")),
        plain(agent),
        match host.configuration.as_str() {
            "unknown" => plain("-"),
            configuration => warn(&configuration.to_string(), configuration == "late"),
        },
        warn(&host.key, host.key == "missing"),
        plain(host.target.as_deref().unwrap_or("-")),
    ]
}

fn outputs(report: &Report, terminal: &Terminal) -> Vec<String> {
    if report.outputs.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(terminal, &["OUTPUT", "BEHIND", "WAITING", "FAILURE"]);
    for output in &report.outputs {
        let behind = if output.bytes_behind == 0 { "-".into() } else { format!("{} bytes", output.bytes_behind) };
        let waiting = match output.events_waiting {
            0 => "-".into(),
            1 => format!("1 event, {}", span(output.seconds_waiting)),
            events => format!("{events} events, {}", span(output.seconds_waiting)),
        };
        let failure = output.failure.clone().unwrap_or_else(|| "-".into());
        let colour = if output.failure.is_some() { Colour::Red } else { Colour::Plain };
        table.push([plain(&output.name), plain(behind), plain(waiting), (failure, colour)]);
    }
    table.lines()
}

fn silences(report: &Report, terminal: &Terminal) -> Vec<String> {
    if report.silences.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(terminal, &["SILENCED", "TAGS", "FOR", "REASON"]);
    for silence in &report.silences {
        let left = span(silence.until_unix.saturating_sub(report.server.now_unix));
        table.push([plain(&silence.host), plain(silence.tags.as_deref().unwrap_or("all")), plain(left), plain(&silence.reason)]);
    }
    table.lines()
}

fn refused(report: &Report, terminal: &Terminal) -> Vec<String> {
    let refused = &report.refused;
    let reasons = [
        (refused.malformed, "malformed"),
        (refused.unexpected, "unexpected"),
        (refused.without_key, "from hosts without a key"),
        (refused.unsigned, "unsigned"),
        (refused.wrong_mac, "with a wrong MAC"),
        (refused.replayed, "replayed"),
    ];
    let counted: Vec<String> = reasons.iter().filter(|(count, _)| *count > 0).map(|(count, reason)| format!("{count} {reason}")).collect();
    if counted.is_empty() {
        return Vec::new();
    }
    let text = format!("Datagrams refused since the start: {}", counted.join(", "));
    vec![String::new(), terminal.rest(&text, 0, Colour::Yellow)]
}
