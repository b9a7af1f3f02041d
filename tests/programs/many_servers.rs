//! Several servers that feed one database and one message queue, whichever of them is alive.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::failover::two_sites;
use crate::harness::{skip, wait_for, wait_for_within, Program, Site};
use crate::recipes::{has_all, has_nats, recipe, Database, JetStream};
use std::time::Duration;

const NAME: &str = "two_servers_fill_one_database_and_one_stream_with_every_line_once";
const LINES: usize = 20_000;

/// A server file of the site with these outputs.
fn add_outputs(site: &Site, address: &str, outputs: &str) {
    site.write("ax436.conf", &site.server_file("127.255.255.255", &format!("address: {address}\nname: {address}\n{outputs}")));
}

fn lines_in_stream(site: &Site) -> usize {
    site.lines().iter().filter(|line| line.contains("%%LINE%%")).count()
}

#[test]
fn two_servers_fill_one_database_and_one_stream_with_every_line_once() {
    if !has_all(NAME, &["psql", "initdb", "postgres", "setpriv"]) || !has_nats(NAME) {
        return;
    }
    let (one, two) = two_sites("many-servers");
    let Some(database) = Database::new(&one) else { return skip(NAME, "only root can become the user postgres") };
    let stream = JetStream::new();
    let (_database, _stream) = (database.start(&one), stream.start(&one));
    let select = "select: tags=LINE\nformat: json\nbatch: events=1000 timeout=600\n";
    let outputs = format!(
        "output: database\n{select}run: {} {}\noutput: queue\n{select}run: {} {} events\n",
        recipe("postgresql"),
        database.url,
        recipe("nats"),
        stream.url
    );
    add_outputs(&one, "127.0.0.1", &outputs);
    add_outputs(&two, "127.0.0.2", &outputs);
    one.append("app.log", "");
    for site in [&one, &two] {
        site.host("nas1", &format!("file: {}\nmatch: line\nalert_all: tags=LINE\n", one.file("app.log")));
    }
    let (first, _agent) = (one.server(), one.agent("nas1", &[]));
    one.wait_for_configuration("nas1", 1);
    let _second: Program = two.server();
    let burst = |numbers: std::ops::Range<usize>| numbers.map(|number| format!("line {number:05}\n")).collect::<String>();
    one.append("app.log", burst(0..LINES / 2));
    wait_for("the middle of the burst", || (lines_in_stream(&one) > LINES / 10).then_some(()));
    // However fast the server is, it is killed before the burst is over.
    first.kill();
    one.append("app.log", burst(LINES / 2..LINES));
    wait_for_within(Duration::from_secs(120), "the other server to get the rest", || {
        two.lines().iter().any(|line| line.ends_with("line 19999")).then_some(())
    });
    assert!(lines_in_stream(&two) >= LINES / 2);
    // What the dead server had written and not passed on comes once it is back.
    let _first = one.server();
    let count = |what: &str| database.query(&format!("SELECT count({what}) FROM events")).trim().parse::<usize>().unwrap();
    wait_for_within(Duration::from_secs(120), "all lines", || (count("DISTINCT text") == LINES && stream.count() >= LINES).then_some(()));
    assert_eq!((count("*"), stream.count()), (LINES, LINES));
}
