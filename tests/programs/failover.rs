//! Two servers in one network: which one an agent takes, and what happens when that one dies.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{wait_for, Program, Site};
use crate::raw::Peer;

/// Two sites with servers that share a port, each with an address of its own: `127.0.0.1` and `127.0.0.2`.
pub(crate) fn two_sites(name: &str) -> (Site, Site) {
    let (one, mut two) = (Site::new(&format!("{name}-1")), Site::new(&format!("{name}-2")));
    two.port = one.port;
    for (site, address) in [(&one, "127.0.0.1"), (&two, "127.0.0.2")] {
        site.write("ax436.conf", &site.server_file("127.255.255.255", &format!("address: {address}\nname: {address}\n")));
    }
    (one, two)
}

fn rule(site: &Site, tags: &str) -> String {
    format!("file: {}\nmatch: line\nalert_all: tags={tags}\n", site.file("app.log"))
}

fn wait_for_log(program: &Program, text: &str) {
    wait_for(&format!("\"{text}\" in {:?}", program.log), || program.log_text().contains(text).then_some(()));
}

/// Waits until a server takes datagrams, and thus has announced itself.
fn wait_for_server(site: &Site, address: &str) {
    Peer::new("127.0.0.1", (address, site.port + 1)).drain();
}

fn numbered(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("line {n:03}")).collect()
}

fn append_lines(site: &Site, from: usize, to: usize) {
    site.append("app.log", numbered(from, to).join("\n") + "\n");
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

#[test]
fn the_agent_stays_with_the_first_server_and_takes_the_other_when_it_dies() {
    let (one, two) = two_sites("failover");
    one.append("app.log", "");
    one.host("nas1", &rule(&one, "ONE"));
    two.host("nas1", &rule(&one, "TWO"));
    let (first, agent) = (one.server(), one.agent("nas1", &[]));
    one.wait_for_configuration("nas1", 1);
    let second = two.server();
    wait_for_server(&two, "127.0.0.2");
    append_lines(&one, 0, 10);
    assert_eq!(one.wait_for_count("ONE", 10), numbered(0, 10));

    // Events in the stream are acknowledged, so the agent does not send them to the second server.
    wait_for_server(&one, "127.0.0.1");
    first.kill();
    // These wait, since nobody acknowledges them.
    append_lines(&one, 10, 200);
    wait_for_log(&agent, "server 127.0.0.2 selected");
    two.wait_for_configuration("nas1", 1);
    append_lines(&one, 200, 210);
    // Lines read under the first server's rules keep their tags; lines that waited in the file get those of the second server.
    let all = || sorted(two.events().into_iter().filter(|e| ["ONE", "TWO"].contains(&&*e.tags)).map(|e| e.text).collect());
    wait_for("all lines at the second server", || (all().len() >= 200).then_some(()));
    assert_eq!(all(), numbered(10, 210));
    assert!(two.texts("TWO").contains(&"line 209".to_string()), "the second server's rules are in force");
    assert_eq!(one.texts("ONE").len(), 10);

    // The first server is back and is heard, but the agent keeps the second.
    let first = one.server();
    wait_for_server(&one, "127.0.0.1");
    append_lines(&one, 210, 220);
    wait_for("more lines at the second server", || (all().len() >= 210).then_some(()));
    assert_eq!(one.texts("ONE").len(), 10);
    assert_eq!((agent.terminate(), first.terminate(), second.terminate()), (0, 0, 0));
}

#[test]
fn a_host_without_a_file_on_the_other_server_keeps_its_rules() {
    let (one, two) = two_sites("no-file");
    one.append("app.log", "");
    one.host("nas1", &rule(&one, "ONE"));
    let (first, agent) = (one.server(), one.agent("nas1", &[]));
    one.wait_for_configuration("nas1", 1);
    let second = two.server();
    wait_for_server(&two, "127.0.0.2");
    first.kill();
    wait_for_log(&agent, "server 127.0.0.2 selected");
    wait_for_log(&second, "nas1 at 127.0.0.1 asks for a configuration, but there is no host file of that name");
    append_lines(&one, 0, 10);
    assert_eq!(two.wait_for_count("ONE", 10), numbered(0, 10));
    assert!(!agent.log_text().contains("0 rules"), "{}", agent.log_text());
}

#[test]
fn the_server_that_is_not_selected_knows_that_the_host_lives() {
    let (one, two) = two_sites("alive");
    one.host("nas1", "file: /nonexistent/a\nmatch: x\nalert_all: tags=A\n");
    two.host("nas1", "file: /nonexistent/a\nmatch: x\nalert_all: tags=A\n");
    two.host("ghost", "file: /nonexistent/a\nmatch: x\nalert_all: tags=A\n");
    let (_first, agent) = (one.server(), one.agent("nas1", &[]));
    one.wait_for_configuration("nas1", 1);
    let _second = two.server();
    let silent = two.wait_for_text("Host is inactive");
    assert_eq!(silent.host, "ghost");
    // Both hosts are checked together, so nas1 would have been reported with the ghost.
    let of_nas1: Vec<_> = two.events().into_iter().filter(|event| event.host == "nas1").collect();
    assert_eq!(of_nas1, []);
    assert_eq!(agent.log_text().matches(" selected").count(), 1, "the agent stayed with the first server");
}

/// How far the log is acknowledged, by the agent's file of positions: the offset in the file that it reads.
fn acknowledged(site: &Site) -> Option<u64> {
    let text = std::fs::read_to_string(site.path("positions")).ok()?;
    let (_, position) =
        text.lines().find(|line| line.ends_with(|c: char| c.is_alphanumeric()) && line.starts_with("AT%%"))?.rsplit_once("%%")?;
    let file = position.rsplit('+').next()?;
    u64::from_str_radix(file.split('.').next()?, 36).ok()
}

#[test]
fn two_servers_in_turn_get_every_line_once_with_a_file_of_positions() {
    let (one, two) = two_sites("positions");
    one.append("app.log", "");
    one.host("nas1", &rule(&one, "LINE"));
    two.host("nas1", &rule(&one, "LINE"));
    let agent = || one.agent("nas1", &["-S", "positions"]);
    let all = || [one.texts("LINE"), two.texts("LINE")].concat();
    let (mut running, mut lines) = (agent(), 0);
    for round in 0..4 {
        let (site, other) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let before = (site.texts("LINE").len(), other.texts("LINE").len());
        let server = site.server();
        site.wait_for_configuration("nas1", 1 + round / 2);
        if round == 0 {
            // Lines before that make no event.
            site.wait_for_text("Following ");
        }
        // Some lines while it runs, and some while no server does, in a file that has another name then.
        append_lines(&one, lines, lines + 10);
        wait_for("the lines of this round", || (all().len() >= lines + 10).then_some(()));
        assert_eq!(site.texts("LINE").len(), before.0 + if round == 0 { 10 } else { 20 });
        // Lines that are written and not yet acknowledged would go to the other server too.
        let end = std::fs::metadata(one.path("app.log")).unwrap().len();
        wait_for("the acknowledgements", || (acknowledged(&one)? == end).then_some(()));
        assert_eq!(running.terminate(), 0);
        assert_eq!(server.terminate(), 0);
        assert_eq!(other.texts("LINE").len(), before.1, "the other server was away");
        append_lines(&one, lines + 10, lines + 20);
        std::fs::rename(one.path("app.log"), one.path(&format!("app.log.{}", 9 - round))).unwrap();
        lines += 20;
        running = agent();
    }
    let _server = one.server();
    wait_for("the last lines", || (all().len() >= lines).then_some(()));
    append_lines(&one, lines, lines + 10);
    wait_for("lines behind them", || (all().len() >= lines + 10).then_some(()));
    assert_eq!(sorted(all()), sorted(numbered(0, lines + 10)));
}
