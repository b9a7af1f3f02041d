//! Finding the address of a host by its name: `/etc/hosts`, then the servers of `/etc/resolv.conf`, asked by UDP for IPv4 addresses.
//! The C library's resolver knows far more ways and takes 20 KB for them.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

/// What the system's files say.
struct Resolver<'a> {
    hosts: &'a str,
    servers: Vec<SocketAddrV4>,
    /// What is put behind a name that has no dot, in turn.
    search: Vec<&'a str>,
}

/// An answer of a name server.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Address(Ipv4Addr),
    /// There is no such name, or it has no IPv4 address.
    Unknown,
}

/// The IPv4 address of a host. An address is taken as it stands; where a name has to be asked for, waits up to 5 s for the answer.
///
/// # Errors
/// The name is not known, or no name server answers.
pub(super) fn resolve(host: &str) -> Result<Ipv4Addr, &'static str> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let (hosts, settings) = ["/etc/hosts", "/etc/resolv.conf"].map(|path| super::table(path).unwrap_or_default()).into();
    Resolver::new(&hosts, &settings).resolve(host)
}

impl<'a> Resolver<'a> {
    const PORT: u16 = 53;
    const MAX_SERVERS: usize = 3;
    /// How long all servers together have to answer.
    const PATIENCE: Duration = Duration::from_secs(5);
    /// How often each is asked.
    const ROUNDS: u32 = 2;

    fn new(hosts: &'a str, settings: &'a str) -> Self {
        let (mut servers, mut search) = (Vec::new(), Vec::new());
        for line in settings.split('\n') {
            let mut words = words(line);
            match (words.next(), words.next()) {
                (Some("nameserver"), Some(server)) if servers.len() < Self::MAX_SERVERS => {
                    servers.extend(server.parse().ok().map(|server| SocketAddrV4::new(server, Self::PORT)));
                }
                (Some("search" | "domain"), Some(first)) => {
                    search.clear();
                    search.push(first);
                    words.for_each(|suffix| search.push(suffix));
                }
                _ => {}
            }
        }
        if servers.is_empty() {
            servers.push(SocketAddrV4::new(Ipv4Addr::LOCALHOST, Self::PORT));
        }
        Self { hosts, servers, search }
    }

    fn resolve(&self, host: &str) -> Result<Ipv4Addr, &'static str> {
        let name = host.strip_suffix('.').unwrap_or(host);
        if let Some(address) = self.in_hosts(name) {
            return Ok(address);
        }
        if !host.contains('.') {
            for suffix in &self.search {
                if let Answer::Address(address) = self.ask(&[name, ".", suffix].concat())? {
                    return Ok(address);
                }
            }
        }
        match self.ask(name)? {
            Answer::Address(address) => Ok(address),
            Answer::Unknown => Err("there is no host of that name"),
        }
    }

    fn in_hosts(&self, name: &str) -> Option<Ipv4Addr> {
        for line in self.hosts.split('\n') {
            let mut words = words(line);
            let address = words.next().and_then(|word| word.parse().ok());
            if address.is_some() && words.any(|word| word.eq_ignore_ascii_case(name)) {
                return address;
            }
        }
        // The name that stands for this machine, whether its table says so or not.
        name.eq_ignore_ascii_case("localhost").then_some(Ipv4Addr::LOCALHOST)
    }

    /// Asks one server after the other until one knows.
    fn ask(&self, name: &str) -> Result<Answer, &'static str> {
        let turns = Self::ROUNDS * u32::try_from(self.servers.len()).unwrap_or(u32::MAX);
        for _ in 0..Self::ROUNDS {
            for server in &self.servers {
                if let Some(answer) = ask(*server, name, Self::PATIENCE / turns) {
                    return Ok(answer);
                }
            }
        }
        Err("no name server answers")
    }
}

/// The words of a line, without its comment.
fn words(line: &str) -> std::str::SplitAsciiWhitespace<'_> {
    let end = line.bytes().position(|b| matches!(b, b'#' | b';')).unwrap_or(line.len());
    line[..end].split_ascii_whitespace()
}

/// Asks one server once. `None` where it does not answer, or cannot be asked that.
#[allow(clippy::disallowed_methods, reason = "where sockets are made")]
fn ask(server: SocketAddrV4, name: &str, patience: Duration) -> Option<Answer> {
    /// Datagrams that are no answer to this question, before it is given up.
    const MAX_STRAY: u32 = 8;
    let [a, b, ..] = super::daemon::random().to_ne_bytes();
    let question = question([a, b], name)?;
    let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // From no one else does it hear then.
    socket.connect(server).ok()?;
    socket.set_read_timeout(Some(patience)).ok()?;
    socket.send(&question).ok()?;
    let mut bytes = [0; 512];
    for _ in 0..MAX_STRAY {
        let size = socket.recv(&mut bytes).ok()?;
        let answer = read_answer(&question, &bytes[..size]);
        if answer.is_some() {
            return answer;
        }
    }
    None
}

/// A question for the IPv4 address of a name (RFC 1035, section 4), recursion desired. `None` for what cannot be a name.
fn question(id: [u8; 2], name: &str) -> Option<Vec<u8>> {
    let mut bytes = [&id, b"\x01\0\0\x01\0\0\0\0\0\0".as_slice()].concat();
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        bytes.push(length);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(b"\0\0\x01\0\x01");
    (bytes.len() <= 12 + 255 + 4).then_some(bytes)
}

/// What the bytes answer to the question; `None` where they do not, or where that server cannot tell.
fn read_answer(question: &[u8], bytes: &[u8]) -> Option<Answer> {
    let header = bytes.get(..12)?;
    let is_answer = header[..2] == question[..2] && header[2] & 0x80 != 0;
    let asked = bytes.get(12..question.len())?;
    if !is_answer || !asked.eq_ignore_ascii_case(&question[12..]) {
        return None;
    }
    match header[3] & 0x0f {
        0 => {}
        3 => return Some(Answer::Unknown),
        _ => return None,
    }
    let mut rest = &bytes[question.len()..];
    for _ in 0..u16::from_be_bytes([header[6], header[7]]) {
        // Aliases come before what they stand for: the first address is the host's.
        let Some((kind, data, after)) = record(rest) else { break };
        if let (b"\0\x01\0\x01", &[a, b, c, d]) = (kind, data) {
            return Some(Answer::Address(Ipv4Addr::new(a, b, c, d)));
        }
        rest = after;
    }
    Some(Answer::Unknown)
}

/// The first record: its type and class, its data, and what follows.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut at = 0;
    loop {
        // A name ends in an empty label or in a reference to another one, which has two bytes.
        match *bytes.get(at)? {
            0 => break at += 1,
            0xc0.. => break at += 2,
            length => at += 1 + usize::from(length),
        }
    }
    let fields = bytes.get(at..at + 10)?;
    let length = usize::from(u16::from_be_bytes([fields[8], fields[9]]));
    let (data, after) = bytes.get(at + 10..)?.split_at_checked(length)?;
    Some((&fields[..4], data, after))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a name server on loopback")]
mod tests {
    use super::*;

    const HOSTS: &str = "127.0.0.1\tlocalhost\n::1 nas\n192.168.1.7 Nas.lan nas # 10.0.0.1\n#10.0.0.2 commented\n";

    #[test]
    fn the_table_of_hosts_comes_first() {
        let resolver = Resolver::new(HOSTS, "");
        for (name, address) in [
            ("nas", Some([192, 168, 1, 7])),
            ("NAS.LAN", Some([192, 168, 1, 7])),
            ("localhost", Some([127, 0, 0, 1])),
            ("commented", None),
            ("10.0.0.1", None),
        ] {
            assert_eq!(resolver.in_hosts(name), address.map(Ipv4Addr::from), "{name}");
        }
        assert_eq!(Resolver::new("", "").in_hosts("localhost"), Some(Ipv4Addr::LOCALHOST));
        assert_eq!(resolve("10.1.2.3").unwrap(), Ipv4Addr::new(10, 1, 2, 3));
    }

    #[test]
    fn settings_name_the_servers_and_what_is_put_behind_names() {
        let settings = "# x\nnameserver 10.0.0.1 # first\nnameserver fe80::1\nnameserver\t10.0.0.2\nnameserver 10.0.0.3\n\
                        nameserver 10.0.0.4\ndomain old\nsearch lan example.org\noptions ndots:1\n";
        let resolver = Resolver::new("", settings);
        let servers: Vec<String> = resolver.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"]);
        assert_eq!(resolver.search, ["lan", "example.org"]);
        assert_eq!(Resolver::new("", "").servers, ["127.0.0.1:53".parse().unwrap()]);
    }

    /// `www.lan` as an alias of `x.lan`, which is 10.1.2.3.
    const ANSWER: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x03www\x03lan\0\0\x01\0\x01\
        \xc0\x0c\0\x05\0\x01\0\0\0\x0a\0\x04\x01x\xc0\x10\
        \x01x\x03lan\0\0\x01\0\x01\0\0\0\x0a\0\x04\x0a\x01\x02\x03";

    #[test]
    fn the_address_behind_an_alias_is_found() {
        let question = question([0x12, 0x34], "www.lan").unwrap();
        assert_eq!(question, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x03lan\0\0\x01\0\x01");
        assert_eq!(read_answer(&question, ANSWER), Some(Answer::Address(Ipv4Addr::new(10, 1, 2, 3))));
    }

    #[test]
    fn other_answers_are_not_taken() {
        let question = question([0x12, 0x34], "www.lan").unwrap();
        let changed = |at: usize, byte: u8| {
            let mut bytes = ANSWER.to_vec();
            bytes[at] = byte;
            read_answer(&question, &bytes)
        };
        assert_eq!(changed(0, 0), None, "another number");
        assert_eq!(changed(2, 0x01), None, "a question");
        assert_eq!(changed(13, b'x'), None, "another name");
        assert_eq!(changed(3, 0x83), Some(Answer::Unknown));
        assert_eq!(changed(3, 0x82), None, "the server failed");
        for end in 0..ANSWER.len() {
            assert!(!matches!(read_answer(&question, &ANSWER[..end]), Some(Answer::Address(_))), "cut at {end}");
        }
        for at in 0..ANSWER.len() {
            // Whatever is changed, reading it ends.
            for byte in [0, 0x3f, 0xc0, 0xff] {
                let _ = changed(at, byte);
            }
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_not_asked_for() {
        for name in ["", "a..b", &"x".repeat(64), &["x"; 200].join(".")] {
            assert_eq!(question([0, 0], name), None, "{name}");
        }
    }

    /// A name server that knows `nas.lan`, and at first does not answer.
    #[test]
    fn a_server_that_lost_the_question_is_asked_again() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut resolver = Resolver::new("", "search example lan\n");
        let std::net::SocketAddr::V4(address) = socket.local_addr().unwrap() else { unreachable!() };
        resolver.servers = vec![address];
        let server = std::thread::spawn(move || {
            let mut names = Vec::new();
            let mut bytes = [0; 512];
            loop {
                let (size, from) = socket.recv_from(&mut bytes).unwrap();
                let name = String::from_utf8_lossy(&bytes[13..size - 5]).into_owned();
                names.push(name.clone());
                let mut answer = bytes[..size].to_vec();
                answer[2] |= 0x80;
                if name == "nas\u{7}example" {
                    if names.len() > 1 {
                        answer[3] = 3;
                        socket.send_to(&answer, from).unwrap();
                    }
                    continue;
                }
                answer[7] = 1;
                answer.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x0a\0\x04\x0a\x01\x02\x03");
                socket.send_to(&answer, from).unwrap();
                return names;
            }
        });
        assert_eq!(resolver.resolve("nas").unwrap(), Ipv4Addr::new(10, 1, 2, 3));
        assert_eq!(server.join().unwrap(), ["nas\u{7}example", "nas\u{7}example", "nas\u{3}lan"]);
    }
}
