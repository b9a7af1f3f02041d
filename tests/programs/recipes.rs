//! The recipes of `examples/outputs` against the real programs that they speak with. Each receiver is away at first.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{free_port, skip, wait_for, Program, Site};
use crate::outputs::{numbered, send, serve};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Stdio};

/// A TCP port that is free. It is none of those that systems give out to clients.
pub(crate) fn free_tcp_port() -> u16 {
    std::iter::repeat_with(free_port).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// The path of a recipe.
pub(crate) fn recipe(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/outputs").join(name).display().to_string()
}

fn is_there(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]).stdout(Stdio::null()).status();
    found.unwrap().success()
}

/// Whether all of these programs are there. If not, the test is skipped.
pub(crate) fn has_all(test: &str, programs: &[&str]) -> bool {
    let has_all = programs.iter().all(|program| is_there(program));
    if !has_all {
        skip(test, &format!("it needs {}", programs.join(", ")));
    }
    has_all
}

/// Starts a receiver in the folder of the site, with its standard output in the file `received`.
fn receiver(site: &Site, words: &[&str]) -> Program {
    let file = fs::OpenOptions::new().append(true).create(true).open(site.path("received")).unwrap();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(&site.folder).stdout(file).stderr(Stdio::null());
    Program::start(command, site.path("received"))
}

/// What a command prints.
fn printed(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).stderr(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn read(site: &Site, file: &str) -> String {
    fs::read_to_string(site.path(file)).unwrap_or_default()
}

/// The numbers of the events `e-N` in a text, in their order, each once.
fn events(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for piece in text.split("e-").skip(1) {
        let digits: String = piece.chars().take_while(char::is_ascii_digit).collect();
        let event = format!("e-{digits}");
        if !digits.is_empty() && !found.contains(&event) {
            found.push(event);
        }
    }
    found
}

/// Lets an output fail while its receiver is away, starts that, and waits until it has all events in order.
fn check(site: &Site, output: &str, start: impl FnOnce() -> Option<Program>, received: impl Fn() -> String) {
    let more = format!("output: out\nselect: tags=T\nbatch: events=7 timeout=300 drop=65\n{output}\n");
    let server = serve(site, &more);
    send(site, "e", 0..10);
    wait_for("a failure", || server.log_text().contains("output out: ").then_some(()));
    let _receiver = start();
    send(site, "e", 10..30);
    wait_for("all events", || (events(&received()).len() == 30).then_some(()));
    assert_eq!(events(&received()), numbered("e", 0..30));
}

/// A cluster of PostgreSQL in the folder of a site.
pub(crate) struct Database {
    data: String,
    port: String,
    pub(crate) url: String,
}

impl Database {
    const AS_POSTGRES: [&str; 5] = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"];

    /// `None` if this process cannot become the user postgres, which it runs as.
    pub(crate) fn new(site: &Site) -> Option<Self> {
        let (data, port) = (site.file("data"), free_tcp_port().to_string());
        fs::create_dir_all(&data).unwrap();
        let number = |option: &str| printed(&["id", option, "postgres"]).trim().parse().ok();
        chown(&data, number("-u"), number("-g")).ok()?;
        printed(&[&Self::AS_POSTGRES[..], &["initdb", "-A", "trust", "-E", "UTF8", "-D", &data]].concat());
        let url = format!("postgresql://postgres@127.0.0.1:{port}/postgres");
        Some(Self { data, port, url })
    }

    /// Starts it, and makes the table.
    pub(crate) fn start(&self, site: &Site) -> Program {
        let words = ["postgres", "-D", &self.data, "-k", "", "-h", "127.0.0.1", "-p", &self.port, "-F"];
        let start = || receiver(site, &[&Self::AS_POSTGRES[..], &words].concat());
        let mut server = start();
        wait_for("the database", || {
            // It does not start while processes of the one before, which was killed, are there.
            if !server.is_running() {
                server = start();
            }
            (self.query("SELECT 1").trim() == "1").then_some(())
        });
        printed(&["psql", "-X", "-q", "-d", &self.url, "-f", &recipe("postgresql.sql")]);
        server
    }

    /// What a query returns, a line each.
    pub(crate) fn query(&self, text: &str) -> String {
        printed(&["psql", "-X", "-q", "-t", "-A", "-d", &self.url, "-c", text])
    }
}

/// A NATS server with a stream `events` for the subject `events`, in the folder of a site.
pub(crate) struct JetStream {
    pub(crate) url: String,
    port: String,
}

impl JetStream {
    pub(crate) fn new() -> Self {
        let port = free_tcp_port().to_string();
        Self { url: format!("nats://127.0.0.1:{port}"), port }
    }

    /// Starts it, and makes the stream.
    pub(crate) fn start(&self, site: &Site) -> Program {
        let server = receiver(site, &["nats-server", "-js", "-a", "127.0.0.1", "-p", &self.port, "-sd", &site.file("jetstream")]);
        let make = "await s.add_stream(name='events', subjects=['events'], duplicate_window=3600); print('made')";
        wait_for("the stream", || (self.ask(make).trim() == "made").then_some(()));
        server
    }

    /// What a piece of Python prints, for which `s` is JetStream.
    pub(crate) fn ask(&self, code: &str) -> String {
        let script = format!(
            "import asyncio, nats\nasync def main():\n c = await nats.connect('{}', allow_reconnect=False)\n s = c.jetstream()\n {code}\n await c.close()\nasyncio.run(main())",
            self.url
        );
        printed(&["python3", "-c", &script])
    }

    /// How many messages the stream has.
    pub(crate) fn count(&self) -> usize {
        self.ask("print((await s.stream_info('events')).state.messages)").trim().parse().unwrap_or(0)
    }
}

/// Whether Python has the client of NATS. If not, the test is skipped.
pub(crate) fn has_nats(test: &str) -> bool {
    let import = || Command::new("python3").args(["-c", "import nats"]).stderr(Stdio::null()).status().unwrap().success();
    let has_client = is_there("nats-server") && is_there("python3") && import();
    if !has_client {
        skip(test, "it needs nats-server, python3 with nats-py");
    }
    has_client
}

/// An HTTP server that appends what is posted to `received`; it refuses what contains `refused` with status 400.
const HTTP_SERVER: &str = r#"
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        bad = b"refused" in body
        if not bad:
            with open("received", "ab") as file:
                file.write(body + b"\n")
        self.send_response(400 if bad else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

#[test]
fn mail_arrives_by_msmtp() {
    if !has_all("mail_arrives_by_msmtp", &["msmtp", "base64", "/usr/bin/python3"]) {
        return;
    }
    let aiosmtpd = Command::new("/usr/bin/python3").args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status().unwrap();
    if !aiosmtpd.success() {
        return skip("mail_arrives_by_msmtp", "it needs msmtp, base64, /usr/bin/python3");
    }
    let (site, port) = (Site::new("recipes-mail"), free_tcp_port());
    let options = format!("--host=127.0.0.1 --port={port} --from=436@example.org");
    let output = format!("format: text\nrun: {} {options} ops@example.org", recipe("mail"));
    let listen = format!("127.0.0.1:{port}");
    let start =
        || receiver(&site, &["/usr/bin/python3", "-m", "aiosmtpd", "-n", "-l", &listen, "-c", "aiosmtpd.handlers.Debugging", "stdout"]);
    // The bodies are in base64.
    let bodies = || {
        let text = read(&site, "received");
        let decode = |mail: &str| {
            let body: String = mail.split("\n\n").nth(1).unwrap_or_default().lines().collect();
            printed(&["sh", "-c", "printf %s \"$1\" | base64 -d", "sh", &body])
        };
        text.split("MESSAGE FOLLOWS")
            .skip(1)
            .filter(|mail| mail.contains("END MESSAGE"))
            .map(|mail| decode(mail.split("------------ END").next().unwrap()))
            .collect()
    };
    check(&site, &output, || Some(start()), bodies);
    let text = read(&site, "received");
    assert!(text.contains("Subject: out: 1 events") && text.contains("Message-ID: <e_0.e_0@"), "{text}");
}

#[test]
fn a_webhook_gets_json_and_what_it_refuses_is_given_up() {
    if !has_all("a_webhook_gets_json_and_what_it_refuses_is_given_up", &["curl", "python3"]) {
        return;
    }
    let (site, port) = (Site::new("recipes-webhook"), free_tcp_port().to_string());
    let output = format!("format: json\nrun: {} http://127.0.0.1:{port}/hook", recipe("webhook"));
    check(&site, &output, || Some(receiver(&site, &["python3", "-c", HTTP_SERVER, &port])), || read(&site, "received"));
    let _server = serve(&site, &format!("output: out\nselect: tags=T\nbatch: events=7 seconds=3 timeout=300 drop=65\n{output}\n"));
    let _receiver = receiver(&site, &["python3", "-c", HTTP_SERVER, &port]);
    send(&site, "refused", 0..1);
    send(&site, "later", 0..1);
    wait_for("the event behind it", || read(&site, "received").contains("later-0").then_some(()));
    site.wait_for_text("Output out: gave up event refused_0 of h: exit status 65");
}

#[test]
fn a_push_service_gets_text_by_curl_and_by_apprise() {
    if !has_all("a_push_service_gets_text_by_curl_and_by_apprise", &["curl", "apprise", "python3"]) {
        return;
    }
    for (name, command) in
        [("curl", "curl -fsS --max-time 25 --data-binary @- http://127.0.0.1:PORT/topic"), ("apprise", "apprise json://127.0.0.1:PORT/")]
    {
        let (site, port) = (Site::new(&format!("recipes-{name}")), free_tcp_port().to_string());
        let output = format!("format: text\nrun: {}", command.replace("PORT", &port));
        check(&site, &output, || Some(receiver(&site, &["python3", "-c", HTTP_SERVER, &port])), || read(&site, "received"));
    }
}

#[test]
fn postgresql_has_every_event_once() {
    if !has_all("postgresql_has_every_event_once", &["psql", "initdb", "postgres", "setpriv"]) {
        return;
    }
    let site = Site::new("recipes-postgresql");
    let Some(database) = Database::new(&site) else {
        return skip("postgresql_has_every_event_once", "only root can become the user postgres");
    };
    let query = |text: &str| database.query(text);
    let start = || Some(database.start(&site));
    let url = &database.url;
    let output = format!("format: json\nrun: {} {url}", recipe("postgresql"));
    check(&site, &output, start, || query("SELECT text FROM events ORDER BY split_part(text, '-', 2)::int"));
    let server = start();
    let odd = "a \"quoted\" \\n \\\\ 'text', ü;e";
    let _server = serve(&site, &format!("output: out\n{output}\n"));
    send(&site, odd, 0..1);
    // A new output begins at the end, and the tried events are there already.
    wait_for("the odd text", || query("SELECT text FROM events").contains(&format!("{odd}-0\n")).then_some(()));
    for _ in 0..2 {
        let tried = site.command("ax436").args(["output", "ax436.conf", "out", "--try", "20"]).output().unwrap();
        assert!(tried.status.success(), "{}", String::from_utf8_lossy(&tried.stdout));
    }
    assert_eq!(query("SELECT count(*) FROM events WHERE tags = 'T'").trim(), "31");
    drop(server);
}

#[test]
fn rsyslog_gets_messages_over_tcp() {
    if !has_all("rsyslog_gets_messages_over_tcp", &["nc", "rsyslogd"]) {
        return;
    }
    let (site, port) = (Site::new("recipes-syslog"), free_tcp_port());
    let file = site.file("received");
    site.write(
        "rsyslog.conf",
        &format!(
            "module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
         template(name=\"line\" type=\"string\" string=\"%hostname% %app-name% %structured-data% %msg%\\n\")\n\
         action(type=\"omfile\" file=\"{file}\" template=\"line\")\n"
        ),
    );
    let (conf, work) = (site.file("rsyslog.conf"), site.file(""));
    let start = || receiver(&site, &["rsyslogd", "-n", "-i", "NONE", "-f", &conf]);
    check(&site, &format!("format: syslog\nrun: nc -N -w 20 127.0.0.1 {port}"), || Some(start()), || read(&site, "received"));
    let text = read(&site, "received");
    assert!(text.starts_with("h ax436 [event@32473 uid=\"e_0\" tags=\"T\"] e-0\n"), "{work}: {text}");
}

#[test]
fn mosquitto_gets_events_and_home_assistant_a_sensor() {
    if !has_all("mosquitto_gets_events_and_home_assistant_a_sensor", &["mosquitto", "mosquitto_pub", "mosquitto_sub"]) {
        return;
    }
    let (site, port) = (Site::new("recipes-mqtt"), free_tcp_port().to_string());
    site.write("mosquitto.conf", &format!("listener {port} 127.0.0.1\nallow_anonymous true\n"));
    let output = format!("format: json\nrun: {} 436/events -h 127.0.0.1 -p {port}", recipe("mqtt"));
    let more = format!("output: out\nselect: tags=T\nbatch: events=7 timeout=300\n{output}\n");
    let server = serve(&site, &more);
    send(&site, "e", 0..10);
    wait_for("a failure", || server.log_text().contains("output out: ").then_some(()));
    // Messages for a subscriber that is away are lost: the first events may come before it.
    let _broker = receiver(&site, &["mosquitto", "-c", "mosquitto.conf"]);
    let subscribe = ["mosquitto_sub", "-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", "#", "-v"];
    let publish = ["mosquitto_pub", "-h", "127.0.0.1", "-p", &port, "-t", "x", "-m", "there"];
    let mut subscriber = receiver(&site, &subscribe);
    wait_for("the subscriber", || {
        if !subscriber.is_running() {
            subscriber = receiver(&site, &subscribe);
        }
        printed(&publish);
        read(&site, "received").contains("x there").then_some(())
    });
    send(&site, "e", 10..30);
    wait_for("the last event", || read(&site, "received").contains("e-29").then_some(()));
    let text = read(&site, "received");
    assert!(text.contains("homeassistant/sensor/436_events/config {\"name\":\"Last event\",\"unique_id\":\"436_events\""), "{text}");
    assert!(events(&text).ends_with(&numbered("e", 10..30)), "{text}");
    assert!(text.contains("436/events {\"received\":\""), "{text}");
}

#[test]
fn alertmanager_has_what_is_open_until_it_closes() {
    if !has_all("alertmanager_has_what_is_open_until_it_closes", &["curl", "prometheus-alertmanager"]) {
        return;
    }
    let (site, port) = (Site::new("recipes-alertmanager"), free_tcp_port());
    site.write("alertmanager.yml", "route:\n  receiver: none\nreceivers:\n  - name: none\n");
    let (listen, url) = (format!("--web.listen-address=127.0.0.1:{port}"), format!("http://127.0.0.1:{port}/api/v2/alerts"));
    let run = format!("format: alertmanager\nrun: curl -fsS --max-time 20 -H Content-Type:application/json --data-binary @- {url}");
    let server = serve(&site, &format!("output: out\nselect: states=opened,closed\nbatch: timeout=300\n{run}\n"));
    // Alertmanager compares the times of the alerts with its own clock.
    site.write("level", "x 95\n");
    site.host(
        "nas",
        "run: every=1 command=cat level extract=(x) (\\d+)\nalert_if: tags=DISK match=1,x upper_limit=2,90 repeat=0 message=opened\n",
    );
    let mut agent = site.command("aa436");
    agent.env("PROJECT436_TEST_CLOCK", "1").args(["-n", "nas", "-l", "agent.log", &site.port.to_string()]);
    let _agent = Program::start(agent, site.path("agent.log"));
    let opened = site.wait_for_text("opened");
    wait_for("a failure", || server.log_text().contains("output out: exit status 7").then_some(()));
    let start = || {
        receiver(
            &site,
            &["prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address=", &listen],
        )
    };
    let alerts = || printed(&["curl", "-fsS", &url]);
    let manager = start();
    wait_for("the alert", || alerts().contains("\"summary\":\"opened\"").then_some(()));
    let key = opened.uid.split([';', '@']).nth(3).unwrap();
    let labels = format!("\"labels\":{{\"alertname\":\"DISK\",\"host\":\"nas\",\"key\":\"{key}\",\"kind\":\"limit\"}}");
    assert!(alerts().contains(&labels), "{labels}: {}", alerts());
    // One that has lost everything hears again of what is open.
    drop(manager);
    fs::remove_dir_all(site.path("data")).unwrap();
    let _manager = start();
    wait_for("the alert again", || alerts().contains("\"summary\":\"opened\"").then_some(()));
    let host = fs::read_to_string(site.path("hosts/nas")).unwrap();
    site.host("nas", &format!("{host}cleared: closed\n"));
    site.wait_for_configuration("nas", 2);
    site.write("level", "x 5\n");
    wait_for("no alert", || (alerts().trim() == "[]").then_some(()));
}

#[test]
fn kafka_takes_what_kcat_produces() {
    if !has_all("kafka_takes_what_kcat_produces", &["kcat"]) {
        return;
    }
    let site = Site::new("recipes-kafka");
    // The broker of the test lives within kcat: it takes messages, and forgets them.
    let output = format!("format: json\nrun: {} 127.0.0.1:1 events -T", recipe("kafka"));
    let server = serve(&site, &format!("output: out\nselect: tags=T\nbatch: timeout=300\n{output} -X message.timeout.ms=2000\n"));
    send(&site, "e", 0..3);
    wait_for("a failure", || server.log_text().contains("output out: exit status 1").then_some(()));
    let more = format!("output: out\nselect: tags=T\nbatch: timeout=300\n{output} -X test.mock.num.brokers=1\n");
    site.write("ax436.conf", &site.server_file("127.255.255.255", &more));
    server.signal("HUP");
    wait_for("delivery", || server.log_text().contains("was read again").then_some(()));
    let place = |text: &str| text.lines().find(|line| line.starts_with("out%%")).map(str::to_string);
    let before = place(&read(&site, "events.log.outputs"));
    wait_for("the place to move", || place(&read(&site, "events.log.outputs")).filter(|now| Some(now) != before.as_ref()));
}

#[test]
fn jetstream_has_every_event_once() {
    if !has_nats("jetstream_has_every_event_once") {
        return;
    }
    let (site, stream) = (Site::new("recipes-nats"), JetStream::new());
    let output = format!("format: json\nrun: {} {} events", recipe("nats"), stream.url);
    let read = "\n for n in range((await s.stream_info('events')).state.messages): print((await s.get_msg('events', n + 1)).data.decode())";
    check(&site, &output, || Some(stream.start(&site)), || stream.ask(&format!("pass{read}")));
    let _server = stream.start(&site);
    let tried = site.command("ax436").args(["output", "ax436.conf", "out", "--try", "20"]).output().unwrap();
    assert!(tried.status.success(), "{}", String::from_utf8_lossy(&tried.stdout));
    assert_eq!(stream.count(), 30);
}
