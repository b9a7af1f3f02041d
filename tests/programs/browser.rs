//! A real browser without a screen: Chromium, driven over the HTTP of its WebDriver.
#![allow(clippy::disallowed_methods, reason = "tests live in the real world")]

use crate::harness::{wait_for, Program, Site};
use nanoserde::{DeJson, SerJson};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a browser needs.
pub(crate) const PROGRAMS: [&str; 3] = ["chromium", "chromedriver", "base64"];

pub(crate) struct Browser {
    port: u16,
    session: String,
    /// Ended behind the session, which ends the browser.
    _driver: Program,
}

/// An answer whose value is a text.
#[derive(DeJson)]
struct Answer {
    value: String,
}

#[derive(DeJson)]
struct NewSession {
    value: Session,
}

#[derive(DeJson)]
struct Session {
    #[nserde(rename = "sessionId")]
    id: String,
}

/// The keys that tests press, as WebDriver names them.
pub(crate) const LEFT: char = '\u{e012}';
pub(crate) const TAB: char = '\u{e004}';
pub(crate) const ENTER: char = '\u{e007}';

/// Starts chromedriver. Returns it with its port, or nothing if it has found none.
fn start_driver(site: &Site) -> Option<(Program, u16)> {
    let output = fs::File::create(site.path("chromedriver.out")).unwrap();
    let mut command = Command::new("chromedriver");
    command.arg("--port=0").current_dir(&site.folder).env("TZ", "UTC").stdout(output).stderr(Stdio::null());
    let driver = Program::start(command, site.path("chromedriver.out"));
    let port = wait_for("the port of chromedriver", || {
        let text = driver.log_text();
        let port = text.split("successfully on port ").nth(1).and_then(|text| text.split('.').next()?.parse().ok());
        (port.is_some() || text.contains("port not available")).then_some(port)
    })?;
    Some((driver, port))
}

impl Browser {
    /// Starts a browser with a profile in the folder of the site.
    pub(crate) fn start(site: &Site) -> Self {
        // It takes a port that is free for IPv6 and ends if that is not free for IPv4.
        let (driver, port) = (0..10).find_map(|_| start_driver(site)).expect("chromedriver finds no port");
        let profile = format!("--user-data-dir={}", site.file("profile"));
        let arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage", &profile];
        let options = format!("{{\"args\":{},\"binary\":\"/usr/bin/chromium\"}}", arguments.map(str::to_string).serialize_json());
        let capabilities = format!("{{\"capabilities\":{{\"alwaysMatch\":{{\"goog:chromeOptions\":{options}}}}}}}");
        let answer = request(port, "POST", "/session", &capabilities);
        let session: NewSession = DeJson::deserialize_json(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
        let browser = Self { port, session: format!("/session/{}", session.value.id), _driver: driver };
        browser.resize(1280, 800, "light");
        browser
    }

    fn post(&self, path: &str, body: &str) -> String {
        request(self.port, "POST", &[&self.session, path].concat(), body)
    }

    fn text_of(&self, method: &str, path: &str, body: &str) -> String {
        let answer = request(self.port, method, &[&self.session, path].concat(), body);
        let text: Answer = DeJson::deserialize_json(&answer).unwrap_or_else(|e| panic!("{e}: {body}: {answer}"));
        text.value
    }

    /// Opens an address as a new page.
    pub(crate) fn open(&self, address: &str) {
        self.post("/url", "{\"url\":\"about:blank\"}");
        self.post("/url", &format!("{{\"url\":{}}}", address.to_string().serialize_json()));
    }

    /// What an expression of the page is, as a text.
    pub(crate) fn read(&self, expression: &str) -> String {
        let script = format!("return String({expression})").serialize_json();
        self.text_of("POST", "/execute/sync", &format!("{{\"script\":{script},\"args\":[]}}"))
    }

    /// Runs a script in the page.
    pub(crate) fn run(&self, script: &str) {
        self.post("/execute/sync", &format!("{{\"script\":{},\"args\":[]}}", script.to_string().serialize_json()));
    }

    /// What a promise of the page becomes, as a text.
    pub(crate) fn read_promise(&self, expression: &str) -> String {
        let script = format!("const done = arguments[0]; {expression}.then(String, String).then(done)").serialize_json();
        self.text_of("POST", "/execute/async", &format!("{{\"script\":{script},\"args\":[]}}"))
    }

    /// The text that a person sees in the first element of a selector, or nothing.
    pub(crate) fn seen(&self, selector: &str) -> String {
        let text = "element?.getClientRects().length ? element.innerText.replace(/\\s+/g, ' ').trim() : ''";
        self.read(&format!("((element) => {text})(document.querySelector({selector:?}))"))
    }

    /// Waits until an expression of the page is true.
    pub(crate) fn wait_until(&self, expression: &str) {
        wait_for(&format!("{expression} in \"{}\"", self.seen("body")), || (self.read(expression) == "true").then_some(()));
    }

    /// Waits until the first element of a selector shows a text that has this in it.
    pub(crate) fn wait_for_text(&self, selector: &str, part: &str) -> String {
        let shown = || Some(self.seen(selector)).filter(|text| text.contains(part));
        wait_for(&format!("\"{part}\" in {selector}"), shown)
    }

    /// Clicks on the first element of a selector.
    pub(crate) fn click(&self, selector: &str) {
        self.read(&format!("document.querySelector({selector:?}).click()"));
    }

    /// Presses keys, one after the other, where the focus is.
    pub(crate) fn press(&self, keys: &str) {
        let strokes: Vec<String> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|way| format!("{{\"type\":\"{way}\",\"value\":{}}}", key.to_string().serialize_json()))
            })
            .collect();
        self.post("/actions", &format!("{{\"actions\":[{{\"type\":\"key\",\"id\":\"keys\",\"actions\":[{}]}}]}}", strokes.join(",")));
    }

    /// Gives the page that width and height, and those colours: `light` or `dark`.
    pub(crate) fn resize(&self, width: u32, height: u32, colours: &str) {
        let command = |name: &str, parameters: String| {
            self.post("/goog/cdp/execute", &format!("{{\"cmd\":\"Emulation.{name}\",\"params\":{parameters}}}"));
        };
        let size = format!("{{\"width\":{width},\"height\":{height},\"deviceScaleFactor\":1,\"mobile\":{}}}", width < 600);
        command("setDeviceMetricsOverride", size);
        command("setEmulatedMedia", format!("{{\"features\":[{{\"name\":\"prefers-color-scheme\",\"value\":\"{colours}\"}}]}}"));
    }

    /// Writes what is seen into a PNG file.
    pub(crate) fn screenshot(&self, path: &Path) {
        let picture = self.text_of("GET", "/screenshot", "");
        let mut decode = Command::new("base64");
        let mut decode = decode.arg("-d").stdin(Stdio::piped()).stdout(fs::File::create(path).unwrap()).spawn().unwrap();
        decode.stdin.take().unwrap().write_all(picture.as_bytes()).unwrap();
        assert!(decode.wait().unwrap().success());
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        request(self.port, "DELETE", &self.session, "");
    }
}

/// One request to the driver. Returns the body of the answer.
fn request(port: u16, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n");
    stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 65_536];
    // The driver may leave the connection open behind the answer.
    while !is_whole(&answer) {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_string()).unwrap_or_default()
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= end + 4 + length)
}
