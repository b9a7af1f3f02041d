//! `ax436 -T HOSTFILE --run`: runs the commands of a host file here, once, and shows what its rules make of what they print.

use crate::agent::{CommandTrial, ProcessTrial, TaskEnd};
use crate::directives::host::{AlertSubject, CommandLine, CommandRule, Group, ProcessRule, Rule, Run};
use crate::lines::lines;
use crate::pattern::Work;
use crate::run::{builtins, console, process_table};
use crate::sys::child::{failure, ChildProcess};
use crate::sys::clock::Clock;
use crate::sys::poll::PollSet;
use crate::sys::reason;
use crate::text::truncate;
use crate::wire::Message;
use std::time::Duration;

/// What commands have printed here.
struct Trial<'a> {
    host: &'a str,
    clock: Clock,
    /// Each run that was made, so that rules share it as in the agent.
    runs: Vec<(Run, Printed)>,
}

/// The output of a command, and how it has ended.
#[derive(Clone)]
struct Printed {
    bytes: Vec<u8>,
    end: TaskEnd,
}

/// Most lines that are shown of one rule.
const MOST_SHOWN: usize = 20;
/// Most bytes of a line that are quoted.
const MOST_QUOTED: usize = 200;
/// Most bytes that are read of a command, as in the agent.
const MOST_BYTES: usize = 1 << 20;

/// Runs the commands of all groups, and prints what comes of them.
pub(super) fn run(host: &str, groups: &[Group<'_>]) {
    let mut trial = Trial { host, clock: Clock::start(), runs: Vec::new() };
    let list = groups.iter().rev().find_map(|group| match &group.rule {
        Rule::ProcessList(command) => Some(command),
        _ => None,
    });
    for group in groups {
        match &group.rule {
            Rule::Command(rule) => trial.command(rule),
            Rule::Process(rule) => trial.processes(rule, list),
            Rule::Log(_) | Rule::ProcessList(_) => {}
        }
    }
}

impl Trial<'_> {
    fn command(&mut self, rule: &CommandRule) {
        console::print(&format!("run: {}", rule.run.command.as_str()));
        let Printed { bytes, end } = self.printed(&rule.run);
        let mut trial = CommandTrial::new(self.clock.now(), self.host, rule);
        let (mut printed, mut found, mut first) = (0, 0, String::new());
        for (_, line) in lines(&bytes) {
            let line = String::from_utf8_lossy(line);
            trial.handle_line(&line);
            printed += 1;
            if first.is_empty() {
                first.push_str(truncate(line.trim(), MOST_QUOTED));
            }
            if let Some(shown) = shown(rule, &line) {
                found += 1;
                (found <= MOST_SHOWN).then(|| console::print(&shown));
            }
        }
        if found > MOST_SHOWN {
            console::print(&format!("  and {} lines more", found - MOST_SHOWN));
        }
        let status = end.status.map_or_else(String::new, |status| format!("exit status {status}; "));
        console::print(&format!("  {status}lines: {printed}"));
        if let Some(extract) = rule.extract.as_ref().filter(|_| found == 0 && printed > 0) {
            console::print(&format!("  extract={} is found in no line: \"{first}\"", extract.as_str()));
        }
        let (events, outcome) = trial.finish(end);
        if let Err(reason) = outcome {
            console::print(&format!("  Command failed: {reason}"));
        }
        print_events(&events);
    }

    fn processes(&mut self, rule: &ProcessRule, list: Option<&CommandLine>) {
        console::print(&format!("process: {}", rule.pattern.as_str()));
        let mut trial = ProcessTrial::new(self.clock.now(), self.host, rule);
        let outcome = match list {
            _ if !rule.filter.is_empty() => process_table::list_with_owners(&trial.users(), &mut |entry| trial.handle_table(entry)),
            None => process_table::list(&mut |bytes| {
                lines(bytes).for_each(|(_, line)| trial.handle_line(&String::from_utf8_lossy(line)));
            }),
            Some(command) => {
                let Printed { bytes, end } = self.printed(&Run::usual(command.clone()));
                lines(&bytes).for_each(|(_, line)| trial.handle_line(&String::from_utf8_lossy(line)));
                end.outcome
            }
        };
        if let Err(reason) = outcome {
            return console::print(&format!("  the process list: {reason}"));
        }
        let (count, events) = trial.finish();
        console::print(&format!("  processes: {count}"));
        print_events(&events);
    }

    /// The output of a command, which is run for the first rule that needs it.
    fn printed(&mut self, run: &Run) -> Printed {
        if let Some((_, printed)) = self.runs.iter().find(|(known, _)| known == run) {
            return printed.clone();
        }
        let printed = match run.command.builtin() {
            Some(builtin) => match builtins::run(builtin) {
                Ok(text) => Printed { bytes: text.into_bytes(), end: Ok(()).into() },
                Err(reason) => Printed { bytes: Vec::new(), end: Err(reason).into() },
            },
            None => self.print(run),
        };
        self.runs.push((run.clone(), printed.clone()));
        printed
    }

    fn print(&self, run: &Run) -> Printed {
        let mut bytes = Vec::new();
        let mut process = match ChildProcess::start(&mut run.command.words()) {
            Ok(process) => process,
            Err(e) => return Printed { bytes, end: Err(reason(&e)).into() },
        };
        let deadline = self.clock.now().mono + run.timeout;
        let mut buffer = vec![0; 65536];
        let (mut is_open, mut poll) = (true, PollSet::default());
        loop {
            let ended = process.status();
            match is_open.then(|| process.read(&mut buffer)) {
                Some(Ok(Some(count @ 1..))) => {
                    bytes.extend_from_slice(&buffer[..count]);
                    if bytes.len() < MOST_BYTES {
                        continue;
                    }
                    return Printed { bytes, end: TaskEnd { status: None, outcome: Ok(()) } };
                }
                Some(Ok(None)) => {}
                _ => is_open = false,
            }
            if let Some(status) = ended {
                let said = process.first_error();
                let explain = |failure: String| if said.is_empty() { failure } else { format!("{failure}: {said}") };
                let status_code = status.code().and_then(|code| u8::try_from(code).ok());
                return Printed { bytes, end: TaskEnd { status: status_code, outcome: failure(status).map(explain).map_or(Ok(()), Err) } };
            }
            let left = deadline.saturating_sub(self.clock.now().mono);
            if left.is_zero() {
                return Printed { bytes, end: Err(format!("did not end within {} s", run.timeout.as_secs())).into() };
            }
            poll.clear();
            if is_open {
                poll.add(process.fd());
            }
            // The pipe may stay open longer than the process lives, or be closed before its end.
            let _ = poll.wait(Some(left.min(Duration::from_millis(50))));
        }
    }
}

/// The groups of a line in which the pattern of a rule is found, and which of its limits cannot use them.
fn shown(rule: &CommandRule, line: &str) -> Option<String> {
    let captures = rule.extract.as_ref()?.captures(line, &mut Work::turn())?;
    let group = |number: usize| captures.get(number).map_or("", |group| group.as_str());
    let groups = rule.extract.as_ref().map_or(0, |extract| extract.groups());
    let mut shown: String = (1..=groups).map(|number| format!("  {number}=\"{}\"", group(number))).collect();
    for alert in &rule.alerts {
        let applies = match &alert.subject {
            AlertSubject::Text(number, text) => group(*number) == text,
            AlertSubject::Each(_) => true,
            AlertSubject::Status => false,
        };
        let (number, measure) = (alert.kind.group(), alert.kind.measure());
        if applies && alert.kind.text().is_some() && measure.read(group(number)).is_none() {
            shown += &format!("; group {number} is no {}", measure.noun());
        }
    }
    Some(shown)
}

/// Prints `tags%%file%%text` of events.
fn print_events(events: &[Vec<u8>]) {
    for event in events {
        if let Ok(Message::Alert(alert)) = Message::parse(event) {
            console::print(&format!("  {}%%{}%%{}", alert.tags, alert.file.unwrap_or("NULL"), alert.text));
        }
    }
    if events.is_empty() {
        console::print("  no event");
    }
}
