//! The page of the server in a real browser.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::browser::{Browser, ENTER, LEFT, PROGRAMS, TAB};
use crate::harness::{skip, wait_for, Program, Site};
use crate::raw::{alert, Peer};
use crate::recipes::{free_tcp_port, has_all};
use project436::date::Date;
use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// A site whose server shows the page, and a browser.
struct Scene {
    browser: Browser,
    site: Site,
    http: u16,
}

impl Scene {
    /// `None`, and the test is skipped, if there is no browser.
    fn new(name: &str, test: &str) -> Option<Self> {
        if !has_all(test, &PROGRAMS) {
            return None;
        }
        let (site, http) = (Site::new(name), free_tcp_port());
        site.write("ax436.conf", &site.server_file("127.255.255.255", &format!("name: pi\nhttp: 127.0.0.1:{http}\n")));
        Some(Self { browser: Browser::start(&site), site, http })
    }

    fn open(&self, view: &str) {
        self.browser.open(&format!("http://127.0.0.1:{}/{view}", self.http));
        self.browser.wait_for_text("#link", "live");
    }

    /// Starts the server, and waits until it answers.
    fn serve(&self) -> Program {
        let server = self.site.server();
        wait_for("the page", || std::net::TcpStream::connect(("127.0.0.1", self.http)).ok());
        server
    }

    /// Sends an event as a Python agent does.
    fn send(&self, host: &str, uid: &str, tags: &str, text: &str) {
        Peer::of_server(self.site.port).ask(&alert(host, uid, tags, text), &format!("ACK%%{uid}"));
    }

    /// The texts of the events that the page shows, the newest first.
    fn shown(&self) -> Vec<String> {
        let texts = self.browser.read("[...document.querySelectorAll('.event bdi.text')].map((e) => e.textContent).join('\\n')");
        texts.lines().map(str::to_string).collect()
    }

    fn wait_for_shown(&self, texts: &[&str]) {
        wait_for(&format!("{texts:?}"), || (self.shown() == texts).then_some(()));
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A line of the event stream.
fn line(unix: u64, host: &str, word: &str, tags: &str, text: &str) -> String {
    let time = Date::at(i64::try_from(unix).unwrap()).ctime();
    format!("{time}%%{host}%%{word}%%{unix}%%{tags}%%NULL%%{text}\n")
}

/// Has a host ask for its configuration, as a Python agent does: the server hears it by that.
fn hear(site: &Site, host: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(format!("CONFREQ%%{host}").as_bytes(), ("127.0.0.1", site.port + 1)).unwrap();
}

#[test]
fn a_host_that_falls_silent_and_comes_back_is_shown_as_that() {
    let Some(scene) = Scene::new("page-silent", "a_host_that_falls_silent_and_comes_back_is_shown_as_that") else { return };
    scene.site.host("nas", "inactive: 120\nfile: /dev/null\nmatch: x\nalert_all: tags=T\n");
    let _server = scene.serve();
    scene.open("");
    scene.browser.wait_for_text(".tile", "nas never seen");
    let agent = scene.site.agent("nas", &[]);
    let alive = scene.browser.wait_for_text(".tile", "nas alive · heard ");
    assert!(alive.contains(env!("CARGO_PKG_VERSION")), "{alive}");
    assert_eq!(scene.browser.seen(".verdict"), "Nothing is open.");
    agent.kill();
    scene.browser.wait_for_text(".tile.bad", "nas 1 open silent · for ");
    scene.browser.wait_for_text(".verdict", "1 condition is open.");
    scene.browser.wait_for_text("section .rows", "Host is inactive nas SYSTEM open for ");
    assert_eq!(scene.browser.read("document.title"), "(1) Overview · pi");
    let _agent = scene.site.agent("nas", &[]);
    scene.browser.wait_for_text(".tile.good", "nas alive · heard ");
    scene.browser.wait_for_text(".verdict", "Nothing is open.");
    scene.browser.wait_for_text(".events", "closed nas SYSTEM Host is active again");
}

#[test]
fn an_alert_stands_on_top_while_it_is_open() {
    let Some(scene) = Scene::new("page-alert", "an_alert_stands_on_top_while_it_is_open") else { return };
    let (site, browser) = (&scene.site, &scene.browser);
    site.write("data", "disk 95\n");
    let rule = format!("run: command=cat {} extract=^(disk) (.+)\n", site.file("data"));
    site.host(
        "web",
        &format!("{rule}alert_if: tags=DISK match=1,disk upper_limit=2,90 repeat=0 message=The disk is full\ncleared: It has room\n"),
    );
    let _server = scene.serve();
    let _agent = site.agent("web", &[]);
    scene.open("#/host/web");
    browser.wait_for_text("section .rows", "The disk is full DISK open for ");
    browser.wait_for_text("h1", "web alive");
    // Nobody gave a password, so nobody may silence.
    assert_eq!(browser.read("document.querySelectorAll('main button').length"), "0");
    site.write("new", "disk 50\n");
    fs::rename(site.path("new"), site.path("data")).unwrap();
    browser.wait_until("document.querySelectorAll('section .rows > li').length === 0");
    browser.wait_for_text("main", "Nothing is open.");
    browser.wait_for_text("[aria-label='Events of this host']", "closed DISK It has room");
    browser.wait_for_text("[aria-label='Events of its configuration']", "in force: 1 rule");
    browser.wait_for_text(".facts", "Configuration in force");
}

#[test]
fn a_filter_leaves_what_it_names_and_follows_what_comes() {
    let Some(scene) = Scene::new("page-filter", "a_filter_leaves_what_it_names_and_follows_what_comes") else { return };
    for host in ["nas", "web"] {
        scene.site.host(host, "");
    }
    let _server = scene.serve();
    for (host, uid, tags, text) in [("nas", "1", "A,DISK", "first"), ("web", "2", "DISK", "second"), ("nas", "3", "LOGIN", "third")] {
        scene.send(host, uid, tags, text);
    }
    scene.open("#/events");
    scene.wait_for_shown(&["third", "second", "first"]);
    let browser = &scene.browser;
    // By the keyboard alone: the field has the focus, then its name, then the next field.
    browser.run("document.querySelector('[name=host]').focus()");
    browser.press("na*");
    scene.wait_for_shown(&["third", "first"]);
    browser.press(&format!("{TAB}DISK"));
    scene.wait_for_shown(&["first"]);
    assert_eq!(browser.read("location.hash"), "#/events?host=na*&tags=DISK");
    scene.send("web", "4", "DISK", "of another host");
    scene.send("nas", "5", "DISK", "fourth");
    scene.wait_for_shown(&["fourth", "first"]);
    browser.click("form a");
    scene.wait_for_shown(&["fourth", "of another host", "third", "second", "first"]);
    scene.open("#/events?text=FOURTH");
    scene.wait_for_shown(&["fourth"]);
    scene.open("#/events?text=nowhere");
    browser.wait_for_text("main", "No events match.");
}

#[test]
fn a_text_full_of_markup_stays_a_text() {
    const MARKUP: &str = "</bdi><script>window.hit=1</script><img src=x onerror=\"window.hit=1\"><b>bold</b> &amp; {{1}} end";
    let Some(scene) = Scene::new("page-markup", "a_text_full_of_markup_stays_a_text") else { return };
    scene.site.host("nas", "");
    let _server = scene.serve();
    scene.send("nas", "1", "<i>T</i>", MARKUP);
    for view in ["", "#/events", "#/host/nas", "#/events?text=%3Cscript%3E", "#/host/%3Cb%3E%3Cimg%20src=x%20onerror=window.hit=1%3E"] {
        scene.open(view);
        scene.browser.wait_until("document.querySelector('h1') !== null");
        if !view.contains("%3Cb") {
            wait_for(view, || scene.shown().contains(&MARKUP.to_string()).then_some(()));
        }
        assert_eq!(scene.browser.read("document.querySelectorAll('main :is(script, img, b, i)').length"), "0", "{view}");
        assert_eq!(scene.browser.read("window.hit"), "undefined", "{view}");
    }
}

#[test]
fn a_plot_has_the_values_that_came() {
    let Some(scene) = Scene::new("page-plot", "a_plot_has_the_values_that_came") else { return };
    scene.site.host("nas", "");
    let start = unix_now() / 300 * 300 - 7200;
    for (number, (after, value)) in [(0, 10), (100, 20), (200, 60), (900, 5)].into_iter().enumerate() {
        let text = value.to_string();
        scene.site.append("events.log", line(start + after, "nas", &format!("u.{number};metric;;;{value}"), "CPU", &text));
    }
    let _server = scene.serve();
    scene.open("#/host/nas");
    let browser = &scene.browser;
    browser.wait_for_text(".plot", "CPU now 5, 5 to 60 in 24 h");
    // Two points with a gap between them: 30 and 5 in a scale from 0 to 60.
    let path = browser.read("document.querySelector('.mean').getAttribute('d')");
    let points: Vec<&str> = path.split('M').skip(1).filter_map(|run| run.trim_end_matches("h.01").split(' ').nth(1)).collect();
    assert_eq!(points, ["50.00", "91.67"], "{path}");
    browser.run("document.querySelector('.plot input').focus()");
    browser.press(&LEFT.to_string());
    let time = Date::at(i64::try_from(start).unwrap());
    let text = format!("{:02}:{:02}: 30, 10 to 60", time.hour, time.minute);
    browser.wait_for_text(".plot .value", &text);
    assert_eq!(browser.read("document.querySelector('.plot input').getAttribute('aria-valuetext')"), text);
    scene.open("#/metrics");
    browser.wait_for_text("main", "No numbers came in the last hour.");
}

#[test]
fn a_page_says_that_its_server_died_and_goes_on_when_it_returns() {
    let Some(scene) = Scene::new("page-lost", "a_page_says_that_its_server_died_and_goes_on_when_it_returns") else { return };
    scene.site.host("nas", "");
    let server = scene.serve();
    scene.send("nas", "1", "T", "before");
    scene.open("");
    scene.wait_for_shown(&["before"]);
    server.kill();
    scene.browser.wait_for_text("#failure", "the server does not answer. What you see is as it was then. Try now");
    assert_eq!((scene.browser.seen("#link").as_str(), scene.shown().as_slice()), ("not live", &["before".to_string()][..]));
    let _server = scene.serve();
    scene.send("nas", "2", "T", "after");
    // The button that tries at once can be reached and pressed by the keyboard.
    scene.browser.run("document.querySelector('#failure button').focus()");
    scene.browser.press(&ENTER.to_string());
    scene.wait_for_shown(&["after", "before"]);
    scene.browser.wait_until("document.querySelector('#failure').hidden");
    assert_eq!(scene.browser.seen("#link"), "live");
}

#[test]
fn who_has_the_password_may_silence_and_end_it() {
    let Some(scene) = Scene::new("page-silence", "who_has_the_password_may_silence_and_end_it") else { return };
    let (site, browser) = (&scene.site, &scene.browser);
    site.host("nas", "inactive: 120\n");
    site.append("events.log", line(unix_now() - 60, "nas", "u.1;limit;opened;k1", "DISK", "The disk is full"));
    site.write("passwords", "ann:open sesame\n");
    fs::set_permissions(site.path("passwords"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    site.append("ax436.conf", "http_password_file: passwords\n");
    let _server = scene.serve();
    let http = scene.http;
    browser.open(&format!("http://ann:open%20sesame@127.0.0.1:{http}/"));
    browser.open(&format!("http://127.0.0.1:{http}/"));
    browser.wait_for_text(".verdict", "1 condition is open.");
    browser.click(".rows button");
    browser.wait_for_text("dialog", "Silence nas");
    browser.run("document.querySelector('dialog input:not([type=checkbox])').value = 'new disk <ordered>'");
    browser.click("dialog [type=submit]");
    browser.wait_for_text(".verdict", "Nothing is open.");
    browser.wait_for_text(".rows .mark", "silenced");
    let silences = fs::read_to_string(site.path("events.log.silences")).unwrap();
    assert!(silences.contains("nas/DISK ") && silences.contains("new disk <ordered>"), "{silences}");
    scene.open("#/server");
    browser.wait_for_text("[aria-label=Silences]", "new disk <ordered> nas DISK silenced for ");
    browser.click("[aria-label=Silences] button");
    browser.wait_for_text("#silences + p, main", "Nothing is silenced.");
}

/// Hosts of the pictures that are alive.
const HEARD: [&str; 7] = ["web", "mail", "db", "backup", "pi-garden", "pi-heating", "printer"];

/// The site of the pictures in the documents, with something of everything.
fn furnish(scene: &Scene) {
    let (site, now) = (&scene.site, unix_now());
    for host in HEARD {
        site.host(host, "");
    }
    site.host("camera", "inactive: never\n");
    site.host("laptop", "inactive: never\n");
    site.host("router", "inactive: 120\n");
    site.host("nas", "inactive: 120\nparent: router\n");
    for n in 0..288_u32 {
        let unix = now - u64::from(288 - n) * 300;
        let wave = (f64::from(n) / 25.0).sin();
        for (tags, value, noise) in
            [("CPU", 30.0 + 20.0 * wave, 9.0), ("DISK_USED", 71.0 + f64::from(n) / 40.0, 0.1), ("TEMPERATURE", 48.0 + 4.0 * wave, 1.0)]
        {
            for (sample, share) in [n * 7919 % 97, n * 104_729 % 89].into_iter().enumerate() {
                let value = format!("{:.1}", value + noise * f64::from(share) / 97.0);
                let word = format!("m{n}{tags}{sample};metric;;;{value}");
                site.append("events.log", line(unix + sample as u64 * 60, "web", &word, tags, &value));
            }
        }
    }
    for (ago, host, word, tags, text) in [
        (90_000, "web", "c.1;limit;opened;k1", "DISK", "The root file system is more than 90 % full"),
        (7_000, "mail", "c.2;line", "LOGIN", "Failed password for root from 203.0.113.9 port 4711 ssh2"),
        (4_000, "backup", "c.3;absence;opened;k3", "BACKUP", "No backup since yesterday"),
        (900, "backup", "c.4;absence;closed;k3", "BACKUP", "The backup ran"),
        (420, "db", "c.5;threshold;opened;k5", "LOGIN", "More than 20 failed logins in 10 minutes"),
        (300, "db", "c.6;threshold;repeated;k5", "LOGIN", "More than 20 failed logins in 10 minutes"),
        (200, "mail", "c.7;line", "SMTP", "<b>550</b> relay not permitted: <script>alert(1)</script>"),
    ] {
        site.append("events.log", line(now - ago, host, word, tags, text));
    }
    let until = Date::at(i64::try_from(now + 4 * 86_400).unwrap());
    let day = format!("{}-{:02}-{:02}", until.year, until.month, until.day);
    site.write("events.log.silences", &format!("web/DISK {day}T00:00Z new disks are ordered\n"));
}

const VIEWS: [(&str, &str, &str); 5] = [
    ("overview", "", ".tile"),
    ("host", "#/host/web", ".mean"),
    ("events", "#/events", ".event"),
    ("metrics", "#/metrics", ".mean"),
    ("server", "#/server", "h1"),
];

/// The text of axe-core, which finds what people with a disability cannot use.
fn axe(site: &Site) -> Option<String> {
    const FILE: &str = "node_modules/axe-core/axe.min.js";
    let mut install = Command::new("npm");
    install.args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix", &site.file(""), "axe-core@4"]);
    let _ = install.stdout(Stdio::null()).stderr(Stdio::null()).status();
    fs::read_to_string(site.path(FILE)).ok()
}

#[test]
fn every_view_fits_every_screen_and_everyone_can_use_it() {
    const TEST: &str = "every_view_fits_every_screen_and_everyone_can_use_it";
    let Some(scene) = Scene::new("page-views", TEST) else { return };
    furnish(&scene);
    let _server = scene.serve();
    ["router", "nas"].iter().for_each(|host| hear(&scene.site, host));
    let laptop = scene.site.agent("laptop", &[]);
    scene.site.wait_for_configuration("laptop", 1);
    laptop.terminate();
    let _agent = scene.site.agent("mail", &[]);
    wait_for("a host behind another one that is silent", || {
        HEARD.iter().filter(|host| **host != "mail").for_each(|host| hear(&scene.site, host));
        scene.site.texts("SYSTEM").iter().any(|text| text.contains("behind it")).then_some(())
    });
    let axe = axe(&scene.site);
    if axe.is_none() {
        skip(TEST, "npm cannot install axe-core: only the rest of the test ran");
    }
    let pictures = std::env::var_os("PROJECT436_PICTURES").map_or_else(|| scene.site.folder.clone(), PathBuf::from);
    let browser = &scene.browser;
    for (width, height, colours, name) in [(1280, 720, "light", "wide"), (390, 844, "dark", "narrow"), (320, 640, "light", "least")] {
        browser.resize(width, height, colours);
        for (view, address, part) in VIEWS {
            scene.open(address);
            browser.wait_until(&format!("document.querySelector('{part}') !== null"));
            let too_wide = browser.read("document.documentElement.scrollWidth - innerWidth");
            assert_eq!(too_wide, "0", "{view} at {width}");
            if [("overview", "wide"), ("host", "narrow")].contains(&(view, name)) {
                browser.screenshot(&pictures.join(format!("page-{view}-{name}.png")));
            }
            if let Some(axe) = &axe {
                browser.run(axe);
                let found = "axe.run().then((found) => found.violations.map((v) => v.id + ': ' + v.nodes[0].html).join('\\n'))";
                assert_eq!(browser.read_promise(found), "", "{view} at {width}, {colours}");
            }
        }
    }
}

#[test]
fn ten_thousand_hosts_are_searched_and_only_what_is_seen_is_drawn() {
    let Some(scene) = Scene::new("page-many", "ten_thousand_hosts_are_searched_and_only_what_is_seen_is_drawn") else { return };
    for number in 0..10_000 {
        scene.site.host(&format!("h{number:05}"), "");
    }
    let _server = scene.serve();
    scene.open("");
    let browser = &scene.browser;
    browser.wait_for_text(".chips", "10000 never seen");
    let drawn =
        |least: usize| browser.read("document.querySelectorAll('.tile').length").parse().is_ok_and(|n: usize| (least..200).contains(&n));
    assert!(drawn(10));
    browser.run("scrollTo(0, document.body.scrollHeight)");
    browser.wait_until("[...document.querySelectorAll('.tile')].some((tile) => tile.textContent.includes('h09999'))");
    assert!(drawn(10));
    browser.run("const field = document.querySelector('main input'); field.value = 'h0777'; field.dispatchEvent(new Event('input'))");
    browser.wait_until("document.querySelectorAll('.tile').length === 10");
    assert_eq!(browser.read("document.querySelector('.tile').getAttribute('aria-setsize')"), "10");
}
