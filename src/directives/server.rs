//! The server's own file (`ax436.conf`).

use super::http::Http;
use super::output::{Output, Outputs};
use super::source::{directive, Fault, Source, SourceLine};
use std::net::Ipv4Addr;

/// The content of the server file, with defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFile {
    /// The file to which events are written.
    pub event_stream: String,
    /// The port of the agents; the server listens on the next one.
    pub port: u16,
    /// Where heartbeats are sent.
    pub broadcast: Vec<Ipv4Addr>,
    /// The folder of host files.
    pub hosts: String,
    /// The folder of include files.
    pub includes: Option<String>,
    /// The local address to listen on; unspecified for all.
    pub address: Ipv4Addr,
    /// Size in bytes at which the event stream rolls.
    pub event_stream_size: u64,
    /// How many rolled files are kept.
    pub event_stream_keep: u32,
    /// The form of a line.
    pub event_format: EventFormat,
    /// Seconds between two `fdatasync(2)` while events arrive; 0 for one after each batch.
    pub event_sync: u64,
    /// The name to announce instead of the host name.
    pub name: Option<String>,
    /// The file with the keys of the hosts. Without it, hosts need no key.
    pub key_file: Option<String>,
    /// The socket on which the server is asked; beside the event stream unless it is given.
    pub control: Option<String>,
    /// The file of silences; beside the event stream unless it is given.
    pub silences: Option<String>,
    /// Seconds between two events that say that the server runs.
    pub heartbeat: Option<u64>,
    /// Where the server is asked over HTTP.
    pub http: Http,
    /// The outputs without a fault, in their order.
    pub outputs: Vec<Output>,
    /// The line of the command of each.
    pub output_lines: Vec<usize>,
    /// Bytes of rolled files that are held for outputs which have not read them, beyond those that are kept anyway.
    pub output_hold: u64,
    /// The faults of the other outputs. They hinder nothing else.
    pub output_faults: Vec<Fault>,
}

/// The form of a line of the event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFormat {
    /// Fields joined by `%%`.
    Classic,
    /// One JSON object.
    Json,
}

/// The directives of the file, each with its argument and its line, and the faults so far.
#[derive(Default)]
struct Given<'a> {
    values: Vec<(&'a str, &'a str, SourceLine<'a>)>,
    outputs: Outputs<'a>,
    faults: Vec<Fault>,
}

/// All directives of the server file.
pub const DIRECTIVES: [&str; 27] = [
    "event_stream",
    "port",
    "broadcast",
    "hosts",
    "includes",
    "address",
    "event_stream_size",
    "event_stream_keep",
    "event_format",
    "event_sync",
    "name",
    "key_file",
    "control",
    "silences",
    "heartbeat",
    "http",
    "http_password_file",
    "http_open",
    "http_name",
    "output_hold",
    "output",
    "select",
    "format",
    "batch",
    "limit",
    "active",
    "run",
];

impl ServerFile {
    const HOLD: u64 = 16 << 20;
    /// The directives that may be repeated.
    const REPEATED: [&'static str; 3] = ["broadcast", "http", "http_name"];

    /// Reads the server file.
    ///
    /// # Errors
    /// All faults, in the order of the lines; missing directives come last. Faults of outputs alone are no error.
    pub fn parse(source: Source<'_>) -> Result<Self, Vec<Fault>> {
        let mut given = Given::collect(source);
        let (outputs, output_faults) = std::mem::take(&mut given.outputs).finish();
        let (outputs, output_lines) = outputs.into_iter().unzip();
        let file = Self {
            event_stream: given.text("event_stream").unwrap_or_default(),
            port: given
                .value("port", "a number from 1 to 65534", |v| v.parse().ok().filter(|p| (1..=65534).contains(p)))
                .unwrap_or_default(),
            broadcast: given.addresses("broadcast"),
            hosts: given.text("hosts").unwrap_or_default(),
            includes: given.text("includes"),
            address: given.value("address", "an IPv4 address", |v| v.parse().ok()).unwrap_or(Ipv4Addr::UNSPECIFIED),
            event_stream_size: given
                .value("event_stream_size", "a number of bytes above 0", |v| v.parse().ok().filter(|n| *n > 0))
                .unwrap_or(1_000_000),
            event_stream_keep: given
                .value("event_stream_keep", "a number of files from 1 to 1000", |v| v.parse().ok().filter(|n| (1..=1000).contains(n)))
                .unwrap_or(4),
            event_format: given.value("event_format", "classic or json", EventFormat::parse).unwrap_or(EventFormat::Classic),
            event_sync: given.value("event_sync", "a number of seconds", |v| v.parse().ok().filter(|n| *n <= 86_400)).unwrap_or(1),
            name: given.value("name", "a name without spaces, control characters or %", announceable),
            key_file: given.text("key_file"),
            control: given.value("control", "a path of at most 107 bytes", socket_path),
            silences: given.text("silences"),
            heartbeat: given
                .value("heartbeat", "a number of seconds from 10 to 86400", |v| v.parse().ok().filter(|n| (10..=86_400).contains(n))),
            http: Http::of(&given.values, &mut given.faults),
            output_hold: given.value("output_hold", "a number of bytes", |v| v.parse().ok()).unwrap_or(Self::HOLD),
            outputs,
            output_lines,
            output_faults,
        };
        for name in ["event_stream", "port", "broadcast", "hosts"] {
            if !given.values.iter().any(|(given, ..)| *given == name) {
                given.faults.push(Fault { path: source.path.into(), line: 0, reason: format!("{name}: is missing") });
            }
        }
        if given.faults.is_empty() {
            Ok(file)
        } else {
            given.faults.extend(file.output_faults);
            given.faults.sort_by_key(|fault| if fault.line == 0 { usize::MAX } else { fault.line });
            Err(given.faults)
        }
    }
}

impl EventFormat {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "classic" => Some(Self::Classic),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl<'a> Given<'a> {
    fn collect(source: Source<'a>) -> Self {
        let mut given = Self::default();
        for line in source.lines() {
            match directive(&line) {
                Err(fault) => given.faults.push(fault),
                Ok((name, argument)) if given.outputs.take(name, argument, line) => {}
                Ok((name, _)) if !DIRECTIVES.contains(&name) => given.faults.push(line.fault(format!("{name}: unknown directive"))),
                Ok((name, _)) if !ServerFile::REPEATED.contains(&name) && given.values.iter().any(|(earlier, ..)| *earlier == name) => {
                    given.faults.push(line.fault(format!("{name}: is given twice")));
                }
                Ok((name, argument)) => given.values.push((name, argument, line)),
            }
        }
        given
    }

    fn text(&self, name: &str) -> Option<String> {
        self.values.iter().find(|(given, ..)| *given == name).map(|(_, argument, _)| (*argument).to_string())
    }

    fn value<V>(&mut self, name: &str, expected: &str, parse: impl Fn(&str) -> Option<V>) -> Option<V> {
        let (_, argument, line) = self.values.iter().find(|(given, ..)| *given == name)?;
        let value = parse(argument);
        if value.is_none() {
            self.faults.push(line.fault(format!("{name}: expected {expected}, got \"{argument}\"")));
        }
        value
    }

    fn addresses(&mut self, name: &str) -> Vec<Ipv4Addr> {
        let mut addresses = Vec::new();
        for (_, argument, line) in self.values.iter().filter(|(given, ..)| *given == name) {
            match argument.parse() {
                Ok(address) => addresses.push(address),
                Err(_) => self.faults.push(line.fault(format!("{name}: expected an IPv4 address, got \"{argument}\""))),
            }
        }
        addresses
    }
}

fn announceable(name: &str) -> Option<String> {
    let plain = !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '%');
    plain.then(|| name.to_string())
}

/// The kernel has room for no longer one.
fn socket_path(path: &str) -> Option<String> {
    (path.len() <= 107).then(|| path.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "event_stream: events.log\nport: 4360\nbroadcast: 192.168.1.255\nhosts: hosts_436\n";

    fn parse(text: &str) -> Result<ServerFile, Vec<String>> {
        ServerFile::parse(Source { path: "ax436.conf", text }).map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn defaults_stand_for_what_is_not_said() {
        let file = parse(LEAST).unwrap();
        assert_eq!(
            file,
            ServerFile {
                event_stream: "events.log".into(),
                port: 4360,
                broadcast: vec![Ipv4Addr::new(192, 168, 1, 255)],
                hosts: "hosts_436".into(),
                includes: None,
                address: Ipv4Addr::UNSPECIFIED,
                event_stream_size: 1_000_000,
                event_stream_keep: 4,
                event_format: EventFormat::Classic,
                event_sync: 1,
                name: None,
                key_file: None,
                control: None,
                silences: None,
                heartbeat: None,
                http: Http::default(),
                outputs: Vec::new(),
                output_lines: Vec::new(),
                output_hold: 16 << 20,
                output_faults: Vec::new(),
            }
        );
    }

    #[test]
    fn every_directive_is_read() {
        let more = "broadcast: 10.0.0.255\nincludes: inc\naddress: 10.0.0.1\nevent_stream_size: 5\nevent_stream_keep: 2\n\
                    event_format: json\nevent_sync: 0\nname: 10.0.0.1\nkey_file: keys\ncontrol: /run/ax436.sock\nsilences: git/silences\n\
                    heartbeat: 60\n";
        let file = parse(&format!("# comment\n{LEAST}{more}")).unwrap();
        assert_eq!(file.broadcast.len(), 2);
        assert_eq!(file.includes.as_deref(), Some("inc"));
        assert_eq!(file.address, Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!((file.event_stream_size, file.event_stream_keep, file.event_sync), (5, 2, 0));
        assert_eq!((file.event_format, file.name.as_deref()), (EventFormat::Json, Some("10.0.0.1")));
        assert_eq!(file.key_file.as_deref(), Some("keys"));
        assert_eq!((file.control.as_deref(), file.silences.as_deref()), (Some("/run/ax436.sock"), Some("git/silences")));
        assert_eq!(file.heartbeat, Some(60));
    }

    #[test]
    fn a_fault_of_an_output_hinders_nothing_else() {
        let file = parse(&format!("output: a\nrun: x\n{LEAST}output: b\noutput_hold: 7\noutput: c\nrun: y\n")).unwrap();
        assert_eq!(file.outputs.iter().map(|output| &*output.name).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(file.output_faults.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ax436.conf:7: output: run: is missing for b"]);
        assert_eq!(file.output_hold, 7);
        assert_eq!(parse(&format!("{LEAST}output: b\nport: x\n")).unwrap_err().len(), 2);
    }

    #[test]
    fn other_than_loopback_addresses_need_a_password_or_consent() {
        let http = |more: &str| parse(&format!("{LEAST}{more}")).map(|file| file.http);
        let local = http("http: 127.0.0.1:8436\nhttp: [::1]:8436\nhttp_name: mon.example.org\nhttp_name: mon\n").unwrap();
        assert_eq!(local.listen, ["127.0.0.1:8436".parse().unwrap(), "[::1]:8436".parse().unwrap()]);
        assert_eq!((local.names, local.is_open, local.password_file), (vec!["mon.example.org".into(), "mon".into()], false, None));
        assert!(http("http: 0.0.0.0:80\nhttp_open: yes\n").unwrap().is_open);
        assert_eq!(http("http_password_file: pw\nhttp: [::]:80\n").unwrap().password_file.as_deref(), Some("pw"));
        assert_eq!(
            http("http: 0.0.0.0:80\nhttp: 80\nhttp: ::1:80\nhttp: 127.0.0.1:0\nhttp: 0.0.0.0:80\nhttp_open: no\nhttp_name: a:80\n")
                .unwrap_err(),
            [
                "ax436.conf:5: http: 0.0.0.0:80 needs http_password_file: or http_open: yes, since it is not a loopback address",
                "ax436.conf:6: http: expected ADDRESS:PORT, such as 127.0.0.1:8436 or [::1]:8436, got \"80\"",
                "ax436.conf:7: http: expected ADDRESS:PORT, such as 127.0.0.1:8436 or [::1]:8436, got \"::1:80\"",
                "ax436.conf:8: http: expected ADDRESS:PORT, such as 127.0.0.1:8436 or [::1]:8436, got \"127.0.0.1:0\"",
                "ax436.conf:9: http: 0.0.0.0:80 is given twice",
                "ax436.conf:10: http_open: expected yes, got \"no\"",
                "ax436.conf:11: http_name: expected a host name without a port, got \"a:80\"",
            ]
        );
    }

    #[test]
    fn all_errors_come_at_once_and_in_order() {
        let text = "port: 65535\nbroadcast: lan\ncolour: red\nport: 1\nevent_format: xml\nname: a b\nkey_file: keys\nhosts\n";
        assert_eq!(
            parse(text).unwrap_err(),
            [
                "ax436.conf:1: port: expected a number from 1 to 65534, got \"65535\"",
                "ax436.conf:2: broadcast: expected an IPv4 address, got \"lan\"",
                "ax436.conf:3: colour: unknown directive",
                "ax436.conf:4: port: is given twice",
                "ax436.conf:5: event_format: expected classic or json, got \"xml\"",
                "ax436.conf:6: name: expected a name without spaces, control characters or %, got \"a b\"",
                "ax436.conf:8: expected \"name: argument\", got \"hosts\"",
                "ax436.conf:0: event_stream: is missing",
                "ax436.conf:0: hosts: is missing",
            ]
        );
    }
}
