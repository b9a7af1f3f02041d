//! The main job: a line that is appended to a log arrives as an event in the stream.

use crate::harness::Site;

#[test]
fn an_appended_line_arrives_in_the_stream() {
    let site = Site::new("first");
    site.append("app.log", "an old error\n");
    let log = site.file("app.log");
    site.host("nas1", &format!("file: {log}\nmatch: error\nalert_all: tags=APP\n"));
    let (server, agent) = (site.server(), site.agent("nas1", &[]));
    site.wait_for_configuration("nas1", 1);
    site.append("app.log", "all is well\nan error here\n");
    let event = site.wait_for_text("an error here");
    assert_eq!((&*event.host, &*event.tags, &*event.file), ("nas1", "APP", &*log));
    assert_eq!(site.texts("APP"), ["an error here"]);
    assert_eq!((agent.terminate(), server.terminate()), (0, 0));
}
