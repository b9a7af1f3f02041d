//! Several hosts on one machine: network namespaces on a bridge, with a router to a second network; made and removed by each test.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{skip, Program, Site};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

/// The broadcast address of the LAN.
pub(crate) const BROADCAST: &str = "10.43.6.255";

/// A LAN, 10.43.6.0/24, with a bridge in a namespace of its own as its switch, and a network behind a router, 10.43.7.0/24.
pub(crate) struct Network {
    prefix: String,
    hosts: Vec<&'static str>,
}

impl Network {
    const SWITCH: &'static str = "switch";
    const ROUTER: &'static str = "router";

    /// Makes hosts on the LAN, with the addresses 10.43.6.1, 10.43.6.2 and so on, and hosts behind the router, with 10.43.7.1 and so
    /// on. `None`, and the test is reported as skipped, if the system does not allow that.
    pub(crate) fn new(test: &str, lan: &[&'static str], routed: &[&'static str]) -> Option<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let prefix = format!("436-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut network = Self { prefix, hosts: Vec::new() };
        let Err(reason) = network.make(lan, routed) else { return Some(network) };
        skip(test, &format!("no network namespaces: {}", reason.replace(&network.prefix, "436")));
        None
    }

    /// A LAN that loses that percentage of the datagrams to each of its hosts.
    pub(crate) fn lossy(test: &str, lan: &[&'static str], percent: u32) -> Option<Self> {
        let network = Self::new(test, lan, &[])?;
        let Err(reason) = lan.iter().try_for_each(|host| network.lose(host, percent)) else { return Some(network) };
        skip(test, &format!("no rule that loses datagrams: {}", reason.replace(&network.prefix, "436")));
        None
    }

    fn make(&mut self, lan: &[&'static str], routed: &[&'static str]) -> Result<(), String> {
        self.add_host(Self::SWITCH)?;
        self.in_host(Self::SWITCH, "link add lan type bridge")?;
        self.in_host(Self::SWITCH, "link set lan up")?;
        self.add_host(Self::ROUTER)?;
        self.plug_in(Self::ROUTER, 254)?;
        for (host, number) in lan.iter().zip(1..) {
            self.add_host(host)?;
            self.plug_in(host, number)?;
            self.in_host(host, "route add default via 10.43.6.254")?;
        }
        for (host, number) in routed.iter().zip(1..) {
            self.add_host(host)?;
            let (near, far) = (self.namespace(Self::ROUTER), self.namespace(host));
            ip(&format!("link add eth0 netns {far} type veth peer name {host} netns {near}"))?;
            // One network for each, so that the router needs no second bridge; broadcasts end here either way.
            self.in_host(Self::ROUTER, &format!("addr add 10.43.7.254 peer 10.43.7.{number} dev {host}"))?;
            self.in_host(Self::ROUTER, &format!("link set {host} up"))?;
            self.in_host(host, &format!("addr add 10.43.7.{number}/24 brd + dev eth0"))?;
            self.in_host(host, "link set eth0 up")?;
            self.in_host(host, "route add default via 10.43.7.254")?;
        }
        run(&["netns", "exec", &self.namespace(Self::ROUTER), "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]).map(drop)
    }

    fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }

    fn add_host(&mut self, host: &'static str) -> Result<(), String> {
        ip(&format!("netns add {}", self.namespace(host)))?;
        self.hosts.push(host);
        self.in_host(host, "link set lo up")
    }

    /// Connects a host with the switch, and gives it an address.
    fn plug_in(&self, host: &str, number: u8) -> Result<(), String> {
        let (near, far) = (self.namespace(Self::SWITCH), self.namespace(host));
        ip(&format!("link add eth0 netns {far} type veth peer name {host} netns {near}"))?;
        self.in_host(Self::SWITCH, &format!("link set {host} master lan up"))?;
        self.in_host(host, &format!("addr add 10.43.6.{number}/24 brd + dev eth0"))?;
        self.in_host(host, "link set eth0 up")
    }

    fn in_host(&self, host: &str, arguments: &str) -> Result<(), String> {
        ip(&format!("-n {} {arguments}", self.namespace(host)))
    }

    /// Pulls the plug of a host on the LAN: both ends lose their carrier.
    pub(crate) fn cut(&self, host: &str) {
        self.in_host(Self::SWITCH, &format!("link set {host} down")).unwrap();
        assert!(!self.has_carrier(host));
    }

    /// Puts it in again.
    pub(crate) fn restore(&self, host: &str) {
        self.in_host(Self::SWITCH, &format!("link set {host} up")).unwrap();
        assert!(self.has_carrier(host));
    }

    fn has_carrier(&self, host: &str) -> bool {
        run(&["netns", "exec", &self.namespace(host), "cat", "/sys/class/net/eth0/carrier"]).unwrap().trim() == "1"
    }

    /// From now on that percentage of the datagrams to a host is lost, at random. Returns the reason if that is impossible.
    fn lose(&self, host: &str, percent: u32) -> Result<(), String> {
        let rules = format!(
            "table inet loss {{
                counter lost {{ }}
                chain come {{
                    type filter hook input priority 0
                    meta l4proto udp numgen random mod 100 < {percent} counter name lost drop
                }}
            }}"
        );
        run(&["netns", "exec", &self.namespace(host), "nft", &rules]).map(drop)
    }

    /// How many datagrams to a host were lost by [`Self::lose`].
    pub(crate) fn lost(&self, host: &str) -> u64 {
        let text = run(&["netns", "exec", &self.namespace(host), "nft", "list counter inet loss lost"]).unwrap();
        let packets = text.split_once("packets ").unwrap().1;
        packets.split(' ').next().unwrap().parse().unwrap()
    }

    /// Starts the server of that site on a host.
    pub(crate) fn server(&self, site: &Site, host: &str, conf: &str) -> Program {
        let log = format!("{conf}.log");
        let mut command = site.command("ax436");
        command.args(["-l", &log, conf]);
        Program::start(self.command(host, &command), site.path(&log))
    }

    /// Starts an agent on a host, which reports the host's name.
    pub(crate) fn agent(&self, site: &Site, host: &str, arguments: &[&str]) -> Program {
        let log = format!("{host}.agent.log");
        let mut command = site.command("aa436");
        command.args(["-n", host, "-l", &log]).args(arguments).arg(site.port.to_string());
        Program::start(self.command(host, &command), site.path(&log))
    }

    /// The command that runs another on a host, in the same process.
    fn command(&self, host: &str, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.namespace(host)]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        inside
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in &self.hosts {
            let _ = ip(&format!("netns del {}", self.namespace(host)));
        }
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    run(&arguments.split(' ').collect::<Vec<_>>()).map(drop)
}

/// Runs `ip`. Returns what it prints, or in one line why it failed.
fn run(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("ip").args(arguments).output().map_err(|e| format!("ip: {e}"))?;
    if !output.status.success() {
        let shown: Vec<_> = arguments.iter().copied().take_while(|argument| !argument.contains('\n')).collect();
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("ip {}: {}", shown.join(" "), errors.trim().replace('\n', ", ")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
