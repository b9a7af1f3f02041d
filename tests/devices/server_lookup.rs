//! The look-up of the server's name while the name server does not answer. Needs root, for a mount namespace with a resolv.conf of its
//! own, and for the port of a name server.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{binary, receive, skip, wait_for, Program, Site, TIMEOUT};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

/// A name server that receives questions and never answers.
struct SilentNameServer {
    socket: UdpSocket,
}

impl SilentNameServer {
    /// `None` if the test has to be skipped. Each test takes an address of its own.
    fn start(test: &str, address: &str) -> Option<Self> {
        let is_possible = Command::new("unshare").args(["--mount", "test", "-f", "/etc/resolv.conf"]).output();
        match (is_possible.is_ok_and(|output| output.status.success()), UdpSocket::bind((address, 53))) {
            (true, Ok(socket)) => {
                socket.set_read_timeout(Some(TIMEOUT)).unwrap();
                Some(Self { socket })
            }
            _ => {
                skip(test, "no mount namespace, or no port 53");
                None
            }
        }
    }

    /// Starts an agent that asks this name server for the address of its server, with its clock at a multiple of the usual speed.
    fn agent(&self, site: &Site, speed: u32) -> Program {
        site.write("resolv.conf", &format!("nameserver {}\n", self.socket.local_addr().unwrap().ip()));
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", "mount --bind resolv.conf /etc/resolv.conf && exec \"$@\"", "-"]);
        command.arg(binary("aa436")).args(["-n", "h", "-l", "agent.log", "-s", "slow.example", &site.port.to_string()]);
        command.current_dir(&site.folder).env("PROJECT436_TEST_CLOCK", speed.to_string());
        Program::start(command, site.path("agent.log"))
    }

    fn wait_for_question(&self) {
        let size = receive(&self.socket, &mut [0; 512]).unwrap();
        assert!(size > 12, "{size}");
    }
}

/// The numbers of the processes that this one has started and not reaped.
fn children(agent: &Program) -> String {
    fs::read_to_string(format!("/proc/{0}/task/{0}/children", agent.id())).unwrap().trim().into()
}

/// Whether a process runs: neither has it ended, nor does it only wait to be reaped.
fn is_running(id: &str) -> bool {
    fs::read_to_string(Path::new("/proc").join(id).join("stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn the_agent_ends_at_once_while_the_name_server_is_silent() {
    let Some(name_server) = SilentNameServer::start("the_agent_ends_at_once_while_the_name_server_is_silent", "127.4.3.6") else { return };
    let site = Site::new("lookup-end");
    let agent = name_server.agent(&site, 1);
    name_server.wait_for_question();
    let child = children(&agent);
    assert!(is_running(&child), "{child}");
    assert_eq!(agent.terminate(), 0);
    let log = fs::read_to_string(site.path("agent.log")).unwrap();
    assert!(log.ends_with("ended by a signal\n") && !log.contains("cannot find"), "{log}");
    wait_for("the end of the look-up", || (!is_running(&child)).then_some(()));
}

#[test]
fn a_server_whose_name_moves_is_found_again() {
    let test = "a_server_whose_name_moves_is_found_again";
    let is_possible = Command::new("unshare").args(["--mount", "test", "-f", "/etc/hosts"]).output();
    if !is_possible.is_ok_and(|output| output.status.success()) {
        return skip(test, "no mount namespace");
    }
    let site = Site::new("lookup-moved");
    site.host("h", "");
    site.write("hosts.table", "127.4.3.8 moving.example\n");
    let serve = |address: &str| {
        site.write("ax436.conf", &site.server_file("127.4.3.255", &format!("address: {address}\n")));
        site.server()
    };
    let first = serve("127.4.3.8");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "mount --bind hosts.table /etc/hosts && exec \"$@\"", "-"]);
    command.arg(binary("aa436")).args(["-n", "h", "-l", "agent.log", "-s", "moving.example", &site.port.to_string()]);
    command.current_dir(&site.folder).env("PROJECT436_TEST_CLOCK", "10");
    let agent = Program::start(command, site.path("agent.log"));
    let said = |text: &str| wait_for(text, || agent.log_text().contains(text).then_some(()));
    said("session with the server begun");
    assert_eq!(first.terminate(), 0);
    said("the server moving.example does not answer: waiting for it, and looking its name up every 45 seconds");
    let _second = serve("127.4.3.9");
    // In place: the agent sees this file, not its name.
    site.write("hosts.table", "127.4.3.9 moving.example\n");
    said("the server moving.example has another address: 127.4.3.9");
    site.host("h", "file: /nowhere\nmatch: x\nalert_all: tags=A\n");
    said("in force: 1 rule");
    assert_eq!(agent.terminate(), 0);
}

#[test]
fn a_look_up_ends_at_its_deadline_and_is_repeated() {
    let Some(name_server) = SilentNameServer::start("a_look_up_ends_at_its_deadline_and_is_repeated", "127.4.3.7") else { return };
    let site = Site::new("lookup-deadline");
    let agent = name_server.agent(&site, 10);
    name_server.wait_for_question();
    let failures = || agent.log_text().matches("cannot find the server slow.example: no answer within 20 seconds\n").count();
    wait_for("the first failure", || (failures() == 1).then_some(()));
    wait_for("the end of the look-up", || children(&agent).is_empty().then_some(()));
    wait_for("the second failure", || (failures() == 2).then_some(()));
    assert_eq!(agent.terminate(), 0);
}
