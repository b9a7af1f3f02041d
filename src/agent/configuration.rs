//! How the agent comes to its configuration, and what it does with it.

pub(super) mod fetch;

use self::fetch::{Fetch, Progress};
use super::session::Protocol;
use super::{Agent, FailingSource, Output, Purpose, StrangerNotice};
use crate::directives::host::{HostFile, LogSource, Rule};
use crate::directives::{marked_lines, SourceLine};
use crate::now::Millis;
use crate::wire::{split_field, Message, Revision};
use std::net::SocketAddrV4;

impl Agent {
    pub(super) fn handle_classic_config(&mut self, from: SocketAddrV4, lines: &str) {
        self.selection.handle_classic_answer(self.now.mono);
        if self.selection.protocol() != Protocol::Classic || self.next_config_request == Millis::NEVER {
            // It was not asked for, or is a repeat.
            return;
        }
        self.next_config_request = Millis::NEVER;
        let (mut whole, mut said) = (String::new(), Vec::new());
        let (mut rest, mut number) = (Some(lines), 0);
        while let Some(lines) = rest {
            let (line, more) = split_field(lines).map_or((lines, None), |(line, more)| (line, Some(more)));
            (rest, number) = (more, number + 1);
            let text = line.trim();
            whole.push_str(text);
            whole.push('\n');
            if !text.is_empty() && !text.starts_with('#') {
                said.push(SourceLine { path: Self::CLASSIC_PATH, number, text });
            }
        }
        self.adopt(from, Revision::of(&whole), said);
    }

    pub(super) fn handle_reset(&mut self) {
        match self.selection.protocol() {
            Protocol::Classic => self.next_config_request = self.now.mono,
            // A session tells by itself which revision is in force; this is a hint to ask.
            _ => self.selection.hurry_alive(self.now.mono),
        }
    }

    pub(super) fn handle_part(&mut self, from: SocketAddrV4, revision: Revision, index: u32, count: u32, text: &str) {
        // A part that was not asked for is late: it must not bring an old configuration back.
        let Some(fetch) = self.fetch.as_mut().filter(|fetch| fetch.revision() == revision) else { return };
        match fetch.take(self.now.mono, index, count, text) {
            Progress::Incomplete => {}
            Progress::Corrupt => {
                self.log_of_strangers(StrangerNotice::Corrupt, format!("a part of configuration {revision} does not belong to it"));
            }
            Progress::Complete(text) => {
                self.fetch = None;
                self.adopt(from, revision, marked_lines(&text, Self::CLASSIC_PATH));
            }
        }
    }

    pub(super) fn handle_stale(&mut self, from: SocketAddrV4, revision: Revision) {
        if revision == Revision::NONE {
            return self.handle_no_file(from);
        }
        if self.in_force.is_some_and(|(in_force, _)| in_force == revision) {
            self.fetch = None;
            // From now on it is this server's, whose word ends it.
            self.in_force = Some((revision, from));
            return;
        }
        if self.fetch.as_ref().is_none_or(|fetch| fetch.revision() != revision) {
            self.fetch = Some(Fetch::new(revision, self.now.mono));
        }
    }

    /// The server has no file for this host: rules that came from it stop, those of another server go on.
    fn handle_no_file(&mut self, from: SocketAddrV4) {
        self.fetch = None;
        match self.in_force {
            Some((Revision::NONE, _)) => {}
            Some((_, server)) if server.ip() != from.ip() => {}
            _ => self.adopt(from, Revision::NONE, Vec::new()),
        }
    }

    fn adopt(&mut self, from: SocketAddrV4, revision: Revision, lines: Vec<SourceLine<'_>>) {
        let known = self.in_force.replace((revision, from)).is_some_and(|(in_force, _)| in_force == revision);
        self.selection.hurry_alive(self.now.mono);
        if known {
            return;
        }
        let file = HostFile::parse(lines);
        for (reported, fault) in file.faults.iter().enumerate() {
            if reported == Self::MAX_FAULTS_REPORTED {
                self.system_event(format!("Configuration error: and {} more", file.faults.len() - reported));
                break;
            }
            self.system_event(format!("Configuration error: {fault}"));
        }
        self.put_in_force(file);
        let rules = self.logs.len() + self.processes.len() + self.commands.len();
        let plural = if rules == 1 { "" } else { "s" };
        self.system_event(format!("Configuration {revision} in force: {rules} rule{plural}"));
    }

    fn put_in_force(&mut self, file: HostFile<'_>) {
        self.process_list = None;
        let (mut logs_before, mut processes_before) = (self.logs.take(), self.processes.take(&self.now));
        self.commands.forget_rules();
        for group in file.groups {
            if let Some((what, command)) = self.policy.refused(&group.rule) {
                self.system_event(format!("Refused by this host: {what}{}", command.as_str()));
                continue;
            }
            let identity = group.identity();
            match group.rule {
                Rule::Log(rule) => self.logs.add(&self.now, &mut logs_before, identity, rule),
                Rule::Process(rule) => self.processes.add(&mut processes_before, identity, rule),
                Rule::Command(rule) => self.commands.add(&self.now, rule),
                Rule::ProcessList(command) => self.process_list = Some(command),
            }
        }
        self.logs.handle_replaced();
        self.processes.handle_replaced();
        self.commands.handle_replaced();
        self.stop_tasks();
        let sources = self.logs.sources();
        self.forget_failures(&sources);
        self.following.replace(&sources);
        self.outputs.push(Output::Follow(sources));
    }

    /// Stops all that is not asked for any more; a process list, because it may be another.
    fn stop_tasks(&mut self) {
        let mut at = 0;
        while let Some((job, purpose)) = self.jobs.get(at) {
            if matches!(purpose, Purpose::Command(command) if self.commands.contains(command)) {
                at += 1;
            } else {
                self.outputs.push(Output::Stop(*job));
                self.jobs.swap_remove(at);
            }
        }
    }

    /// What is not asked for any more, does not fail.
    fn forget_failures(&mut self, sources: &[LogSource]) {
        let list = self.process_list_name();
        let mut at = 0;
        while let Some(subject) = self.failing.get(at) {
            let wanted = match subject {
                FailingSource::Log(path) => sources.iter().any(|source| matches!(source, LogSource::Glob(_)) || source.field() == *path),
                FailingSource::Command(name) => *name == list || self.commands.names().any(|command| command == name),
            };
            if wanted {
                at += 1;
            } else {
                self.failing.swap_remove(at);
            }
        }
    }

    pub(super) fn request_configuration(&mut self) {
        let (now, host) = (self.now.mono, &self.host);
        let request = match (self.selection.protocol(), &mut self.fetch) {
            (Protocol::Classic, _) => {
                if self.in_force.is_none() && self.next_config_request == Millis::NEVER {
                    self.next_config_request = now;
                }
                if self.next_config_request > now {
                    return;
                }
                self.next_config_request = now + Self::CONFIG_REQUEST_INTERVAL;
                self.last_classic = now;
                Message::ConfigRequest { host }
            }
            (Protocol::Session, Some(fetch)) => {
                let Some(parts) = fetch.request(now) else { return };
                Message::Need { host, revision: fetch.revision(), parts }
            }
            _ => return,
        };
        let datagram = request.emit();
        self.send(datagram);
    }
}
