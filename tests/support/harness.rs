//! A server and agents as real processes in a folder of their own, on loopback, with a clock that runs fast.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests live in the real world"
)]

use std::fs;
use std::io::Write;
use std::iter::StepBy;
use std::net::UdpSocket;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many times faster than the wall clock the programs' clock runs: 10 s of the protocol take 1 s here.
pub const SPEED: u32 = 10;

/// The longest real time that a condition may take. It limits the wait of a test that fails, and measures no speed.
pub const TIMEOUT: Duration = Duration::from_secs(40);

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// A folder with a server's configuration, removed at the end.
pub struct Site {
    pub folder: PathBuf,
    pub port: u16,
}

/// A program that was started, killed at the end if it still runs.
pub struct Program {
    child: Option<Child>,
    pub log: PathBuf,
}

/// One line of the event stream, in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub received: String,
    pub host: String,
    pub uid: String,
    pub unix: u64,
    pub tags: String,
    pub file: String,
    pub text: String,
}

/// EADDRINUSE and EADDRNOTAVAIL in glibc's words.
pub const IN_USE: &str = "Address already in use\n";
pub const NOT_AVAILABLE: &str = "Cannot assign requested address\n";

/// The same text with musl's words replaced by glibc's.
pub fn in_one_wording(text: &str) -> String {
    let text = text.replace(": Address in use\n", &format!(": {IN_USE}"));
    text.replace(": Address not available\n", &format!(": {NOT_AVAILABLE}"))
}

/// Where a program is: in the folder that PROJECT436_BIN_DIR names, or as it was built for the tests.
pub fn binary(program: &str) -> PathBuf {
    match (std::env::var_os("PROJECT436_BIN_DIR"), program) {
        // A relative folder is one of the package's folder.
        (Some(folder), _) => Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(program),
        (None, "aa436") => env!("CARGO_BIN_EXE_aa436").into(),
        (None, _) => env!("CARGO_BIN_EXE_ax436").into(),
    }
}

impl Site {
    /// A site with a complete server file and no host files.
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("436-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("hosts")).unwrap();
        fs::create_dir_all(folder.join("includes")).unwrap();
        let site = Self { folder, port: free_port() };
        site.write("ax436.conf", &site.server_file("127.255.255.255", ""));
        site
    }

    /// The text of a server file that broadcasts there, with further directives.
    pub fn server_file(&self, broadcast: &str, more: &str) -> String {
        let port = self.port;
        format!("event_stream: events.log\nport: {port}\nbroadcast: {broadcast}\nhosts: hosts\nincludes: includes\n{more}")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The path as a text, for use in a host file.
    pub fn file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    pub fn host(&self, name: &str, text: &str) {
        self.write(&format!("hosts/{name}"), text);
    }

    /// A command for one of the two programs in this folder, with its test clock.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(binary(program));
        command.current_dir(&self.folder).env("PROJECT436_TEST_CLOCK", SPEED.to_string()).env("TZ", "UTC");
        command
    }

    /// Starts the server with `ax436.conf`.
    pub fn server(&self) -> Program {
        self.server_with("ax436.conf")
    }

    pub fn server_with(&self, conf: &str) -> Program {
        let log = format!("{conf}.log");
        let mut command = self.command("ax436");
        command.args(["-l", &log, conf]);
        Program::start(command, self.path(&log))
    }

    /// Starts an agent that reports that name, with further arguments.
    pub fn agent(&self, name: &str, arguments: &[&str]) -> Program {
        let log = format!("{name}.agent.log");
        let mut command = self.command("aa436");
        command.args(["-n", name, "-l", &log]).args(arguments).arg(self.port.to_string());
        Program::start(command, self.path(&log))
    }

    /// The lines of the event stream, rolled files first.
    pub fn lines(&self) -> Vec<String> {
        lines_of(&self.path("events.log"))
    }

    pub fn events(&self) -> Vec<Event> {
        self.lines().iter().map(|line| Event::parse(line)).collect()
    }

    /// The texts of the events with these tags, in the order of the stream.
    pub fn texts(&self, tags: &str) -> Vec<String> {
        self.events().into_iter().filter(|event| event.tags == tags).map(|event| event.text).collect()
    }

    /// Waits until an event has that text somewhere in it.
    pub fn wait_for_text(&self, text: &str) -> Event {
        let find = || self.events().into_iter().find(|event| event.text.contains(text));
        wait_for(&format!("an event with \"{text}\" in {:?}", self.path("events.log")), find)
    }

    /// Waits until the events with these tags are exactly that many, or more.
    pub fn wait_for_count(&self, tags: &str, count: usize) -> Vec<String> {
        wait_for(&format!("{count} events {tags}"), || Some(self.texts(tags)).filter(|texts| texts.len() >= count))
    }

    /// Waits until the agent must have looked at all files again, so that everything has arrived that will. Needs a rule with the tags
    /// `CLOCK` for `tick` in the file `clock`.
    pub fn settle(&self) {
        const LONGEST_INTERVAL: u64 = 10;
        let tick = || {
            let seen = self.texts("CLOCK").len();
            self.append("clock", "tick\n");
            self.wait_for_count("CLOCK", seen + 1);
            self.events().iter().filter(|event| event.tags == "CLOCK").map(|event| event.unix).max()
        };
        let start = tick();
        wait_for("the next look", || (tick()? > start? + LONGEST_INTERVAL + 1).then_some(()));
    }

    /// Waits until a host's configuration has come into force so often.
    pub fn wait_for_configuration(&self, host: &str, times: usize) {
        wait_for(&format!("configuration {times} of {host}"), || {
            let events = self.events();
            let in_force = events
                .iter()
                .filter(|event| event.host == host && event.text.starts_with("Configuration ") && event.text.contains("in force"));
            (in_force.count() >= times).then_some(())
        });
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("left for inspection: {}", self.folder.display());
            for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten().filter(|entry| entry.path().is_file()) {
                let text = fs::read(entry.path()).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                let tail: Vec<_> = text.lines().rev().take(30).collect();
                eprintln!("--- {}", entry.path().display());
                tail.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

impl Program {
    pub fn start(mut command: Command, log: PathBuf) -> Self {
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        Self { child: Some(child), log }
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn signal(&self, signal: &str) {
        assert!(send_signal(signal, &self.id().to_string()));
    }

    /// Ends the program by SIGTERM. Returns its exit status.
    pub fn terminate(mut self) -> i32 {
        self.signal("TERM");
        let mut child = self.child.take().unwrap();
        wait_for("the end of the program", || child.try_wait().unwrap()).code().unwrap_or(-1)
    }

    /// Waits for the end of the program. Returns the signal that it ended by.
    pub fn ended_by(mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt;
        let mut child = self.child.take().unwrap();
        wait_for("the end of the program", || child.try_wait().unwrap()).signal()
    }

    /// Ends the program by SIGKILL.
    pub fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// The paths of the files that it has open.
    pub fn open_files(&self) -> Vec<PathBuf> {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap();
        descriptors.flatten().filter_map(|descriptor| fs::read_link(descriptor.path()).ok()).collect()
    }

    /// A number in the system's report about the process, such as `VmHWM` in KiB.
    pub fn status(&self, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// The signals that it catches, as a set of bits.
    pub fn caught_signals(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Whether it waits in a system call at this moment.
    pub fn is_asleep(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:\tS"))
    }

    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Event {
    /// Whether the server made it.
    pub fn is_of_server(&self) -> bool {
        self.uid.contains(";system") && !self.uid.contains('@')
    }

    pub fn parse(line: &str) -> Self {
        let parts: Vec<&str> = line.splitn(7, "%%").collect();
        let [received, host, uid, unix, tags, file, text] = parts[..] else { panic!("not an event: {line}") };
        let own = str::to_string;
        let unix = unix.parse().unwrap();
        Self { received: own(received), host: own(host), uid: own(uid), unix, tags: own(tags), file: own(file), text: own(text) }
    }
}

/// The lines of a rolling file, oldest first. A last line without its newline is still being written, and is left out.
pub fn lines_of(path: &Path) -> Vec<String> {
    let mut text = String::new();
    for number in (0..=9).rev() {
        let name = if number == 0 { path.display().to_string() } else { format!("{}.{number}", path.display()) };
        text += &String::from_utf8(fs::read(name).unwrap_or_default()).unwrap();
    }
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    whole.lines().filter(|line| line.starts_with('{')).for_each(crate::schema::check);
    whole.lines().map(str::to_string).collect()
}

/// Waits for a condition, and fails after [`TIMEOUT`].
pub fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_for_within(TIMEOUT, what, condition)
}

/// Waits for a condition, which it looks at every [`INTERVAL`], and fails after that time.
pub fn wait_for_within<T>(timeout: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < timeout, "in vain: {what}");
        pause(INTERVAL);
    }
}

/// Sends a signal and returns whether the process could get it. `kill` is the shell's own: a minimal Debian has no program of that name.
pub fn send_signal(signal: &str, process: &str) -> bool {
    Command::new("sh").args(["-c", r#"kill -"$1" "$2""#, "sh", signal, process]).status().unwrap().success()
}

/// Says that a test cannot run here, on standard error and in the file that `PROJECT436_SKIPS` names.
pub fn skip(test: &str, reason: &str) {
    let line = format!("SKIP {test}: {reason}\n");
    eprint!("{line}");
    if let Some(path) = std::env::var_os("PROJECT436_SKIPS") {
        fs::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(line.as_bytes()).unwrap();
    }
}

/// Waits for the next datagram. A signal to this process, as when it is stopped for a moment, does not end the wait.
pub fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match socket.recv(buffer) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Lets real time pass: between two looks at a condition, between two datagrams, or for what must not happen to have its time. A test
/// that waits for something uses [`wait_for`].
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// A port that no other test on this machine uses, and the one above it.
pub fn free_port() -> u16 {
    static PORTS: Mutex<Option<Ports>> = Mutex::new(None);
    let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let is_free = |port: u16| UdpSocket::bind(("0.0.0.0", port)).is_ok();
    loop {
        match ports.as_mut().and_then(|ports| ports.left.next()) {
            Some(port) if is_free(port) && is_free(port + 1) => return port,
            Some(_) => {}
            None => *ports = Some(Ports::reserve(ports.take())),
        }
    }
}

/// A block of ports that this process has for itself, since it holds the first of them. All are below those that systems give out.
struct Ports {
    left: StepBy<Range<u16>>,
    /// The first ports of this block and of those before it.
    held: Vec<UdpSocket>,
}

impl Ports {
    const FIRST: u16 = 10_000;
    const END: u16 = 32_000;
    const BLOCK: u16 = 200;

    /// Takes a block that no process has.
    fn reserve(former: Option<Self>) -> Self {
        let blocks = (Self::END - Self::FIRST) / Self::BLOCK;
        let first = std::process::id() % u32::from(blocks);
        let candidates = (0..blocks).map(|n| Self::FIRST + (n + u16::try_from(first).unwrap()) % blocks * Self::BLOCK);
        let hold = |port: u16| Some((port, UdpSocket::bind(("0.0.0.0", port)).ok()?));
        let (port, socket) = candidates.into_iter().find_map(hold).expect("a block of ports that is free");
        let mut held = former.map_or_else(Vec::new, |former| former.held);
        held.push(socket);
        Self { left: (port + 2..port + Self::BLOCK).step_by(2), held }
    }
}
