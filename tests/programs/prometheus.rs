//! The metrics against the real Prometheus, and the server behind the real nginx.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::client::{get, listen, port};
use crate::harness::{free_port, wait_for, Program, Site};
use crate::outputs::{send, serve};
use crate::recipes::has_all;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn example(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)).unwrap()
}

/// What a command prints, and whether it succeeded.
fn run(site: &Site, words: &[&str]) -> (String, bool) {
    let output = Command::new(words[0]).args(&words[1..]).current_dir(&site.folder).output().unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr), output.status.success())
}

fn start(site: &Site, words: &[&str], log: &str) -> Program {
    let output = || fs::File::create(site.path(log)).unwrap();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(&site.folder).stdout(output()).stderr(Stdio::null());
    Program::start(command, site.path(log))
}

/// The names of metrics that a text asks for.
fn named(text: &str) -> BTreeSet<String> {
    let pieces = text.split("ax436_").skip(1);
    let name = |piece: &str| piece.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    pieces.map(|piece| format!("ax436_{}", name(piece))).collect()
}

/// A server that has something of everything: a host that is heard and one that is not, a metric, an open condition, an output.
fn with_everything(site: &Site) -> (Program, Program) {
    site.host("deaf", "");
    site.write("number", "cpu 42\n");
    let server = serve(site, &format!("{}output: out\nrun: false\n", listen(site)));
    site.host("h", "run: command=cat number extract=(\\w+) (\\d+)\nalert_metric: tags=CPU match=1,cpu metric=2\n");
    let agent = site.agent("h", &[]);
    send(site, "e", 0..3);
    site.wait_for_count("CPU", 1);
    site.wait_for_text("Host is inactive");
    (server, agent)
}

#[test]
fn the_metrics_have_names_and_values_as_the_documents_say() {
    let site = Site::new("prometheus-names");
    let _programs = with_everything(&site);
    let metrics = get(&site, "/metrics").body;
    for line in [
        "ax436_agent_up{host=\"deaf\"} 0",
        "ax436_agent_up{host=\"h\"} 1",
        "ax436_metric{host=\"h\",tags=\"CPU\",kind=\"metric\"} 42",
        "ax436_events_total{host=\"h\",tags=\"T\"} 3",
        "ax436_condition_open{host=\"deaf\",tags=\"SYSTEM\",kind=\"system\"} 1",
        "ax436_output_failing{output=\"out\"} 1",
        "ax436_refused_datagrams_total{reason=\"malformed\"} 0",
    ] {
        assert!(metrics.lines().any(|metric| metric == line), "no {line} in {metrics}");
    }
    assert!(!metrics.contains("Host is inactive"), "no text of an event");
    let families: BTreeSet<String> =
        metrics.lines().filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.into())).collect();
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/http.md")).unwrap();
    let documented =
        document.lines().filter_map(|line| line.strip_prefix("| `ax436_")?.split_once('`').map(|(name, _)| format!("ax436_{name}")));
    assert_eq!(families, documented.collect());
    // A host whose file goes takes its series with it.
    fs::remove_file(site.path("hosts/deaf")).unwrap();
    wait_for("the end of the series", || (!get(&site, "/metrics").body.contains("\"deaf\"")).then_some(()));
    if has_all("the_metrics_have_names_and_values_as_the_documents_say", &["promtool"]) {
        let mut promtool =
            Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn prometheus_scrapes_and_answers_what_the_rules_and_the_dashboard_ask() {
    if !has_all("prometheus_scrapes_and_answers_what_the_rules_and_the_dashboard_ask", &["prometheus", "promtool", "curl"]) {
        return;
    }
    let site = Site::new("prometheus-scrapes");
    let _programs = with_everything(&site);
    let address = format!("127.0.0.1:{}", free_port());
    let file = example("prometheus/ax436.yml").replace("127.0.0.1:8436", &format!("127.0.0.1:{}", port(&site)));
    site.write("prometheus.yml", &file.replace("scrape_interval: 15s", "scrape_interval: 1s\n  evaluation_interval: 1s"));
    site.write("ax436.rules.yml", &example("prometheus/ax436.rules.yml"));
    let (text, is_right) = run(&site, &["promtool", "check", "config", "prometheus.yml"]);
    assert!(is_right, "{text}");
    let data = site.file("data");
    let listen = format!("--web.listen-address={address}");
    let _prometheus =
        start(&site, &["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path", &data, &listen], "prometheus.log");
    let ask = |path: &str, query: &str| {
        let url = format!("http://{address}/api/v1/{path}");
        run(&site, &["curl", "-s", "-f", "-G", "--data-urlencode", query, &url]).0
    };
    wait_for("the metric in Prometheus", || ask("query", "query=ax436_metric{host=\"h\",tags=\"CPU\"}").contains("\"42\"]").then_some(()));
    assert!(ask("query", "query=up{job=\"ax436\"}").contains("\"1\"]"));
    wait_for("an alert", || ask("alerts", "x=").contains("Ax436AgentSilent").then_some(()));
    let rules = ask("rules", "x=");
    assert!(rules.matches("\"health\":\"ok\"").count() == 7 && !rules.contains("\"lastError\""), "{rules}");
    // Every metric that the rules and the dashboard name is there, and every query of the dashboard is answered.
    let dashboard = example("grafana/ax436.json");
    for name in named(&[example("prometheus/ax436.rules.yml"), dashboard.clone()].concat()) {
        let found = ask("query", &format!("query=count({name})"));
        assert!(found.contains("\"value\":["), "{name}: {found}");
    }
    let queries = dashboard.split("\"expr\": \"").skip(1).map(|rest| {
        let end = rest.char_indices().find(|(at, c)| *c == '"' && !rest[..*at].ends_with('\\')).unwrap().0;
        rest[..end].replace("\\\"", "\"").replace("$host", ".*").replace("$tags", ".*")
    });
    let queries: Vec<String> = queries.collect();
    assert!(queries.len() > 10, "{queries:?}");
    for query in queries.into_iter().filter(|query| !query.contains("rate(")) {
        let found = ask("query", &format!("query={query}"));
        assert!(found.contains("\"value\":["), "{query}: {found}");
    }
}

#[test]
fn nginx_gives_tls_and_passes_on_what_the_server_checks() {
    if !has_all("nginx_gives_tls_and_passes_on_what_the_server_checks", &["nginx", "openssl", "curl"]) {
        return;
    }
    let site = Site::new("prometheus-nginx");
    site.write("passwords", "admin:correct horse\n");
    fs::set_permissions(site.path("passwords"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let more = format!("{}http_name: monitor.example.org\nhttp_password_file: passwords\n", listen(&site));
    let _server = serve(&site, &more);
    send(&site, "e", 0..3);
    let (certificate, key, name) = (site.file("cert.pem"), site.file("cert.key"), "monitor.example.org");
    let subject = format!("/CN={name}");
    let alternative = format!("subjectAltName=DNS:{name}");
    let made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let more = ["-subj", &subject, "-addext", &alternative, "-out", &certificate, "-keyout", &key];
    let (text, is_made) = run(&site, &[&made[..], &more].concat());
    assert!(is_made, "{text}");
    let tls = free_port();
    let conf = example("nginx/ax436.conf")
        .replace("127.0.0.1:8436", &format!("127.0.0.1:{}", port(&site)))
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{tls} ssl"))
        .replace("listen [::]:443 ssl", &format!("listen [::1]:{tls} ssl"))
        .replace("/etc/ssl/monitor.example.org.pem", &certificate)
        .replace("/etc/ssl/monitor.example.org.key", &key);
    let folder = site.folder.display();
    site.write(
        "nginx.conf",
        &format!("daemon off;\nuser root;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx.err;\nevents {{}}\nhttp {{\naccess_log off;\nclient_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\nfastcgi_temp_path {folder}/f;\nuwsgi_temp_path {folder}/u;\nscgi_temp_path {folder}/s;\n{conf}\n}}\n"),
    );
    let nginx = start(&site, &["nginx", "-e", &site.file("nginx.err"), "-c", &site.file("nginx.conf")], "nginx.log");
    let resolve = format!("{name}:{tls}:127.0.0.1");
    let ask = |path: &str, more: &[&str]| {
        let url = format!("https://{name}:{tls}{path}");
        run(&site, &[&["curl", "-s", "-i", "--cacert", &certificate, "--resolve", &resolve][..], more, &[&url]].concat()).0
    };
    let user = ["-u", "admin:correct horse"];
    let status = wait_for("an answer over TLS", || Some(ask("/api/status", &user)).filter(|answer| answer.contains(" 200")));
    assert!(status.contains("strict-transport-security: ") && status.contains("content-security-policy: "), "{status}");
    assert!(ask("/api/status", &[]).contains(" 401"));
    assert!(ask("/api/events?tags=T", &user).contains("\"e-2\""));
    let order = ["-H", "Content-Type: application/json", "-d", "{\"host\":\"h\",\"seconds\":60}", "-H"];
    let here = format!("Origin: https://{name}:{tls}");
    assert!(ask("/api/silence", &[&user[..], &order, &[&here]].concat()).contains(" 200"));
    assert!(ask("/api/silence", &[&user[..], &order, &["Origin: https://evil.example.org"]].concat()).contains(" 403"));
    nginx.signal("QUIT");
}
