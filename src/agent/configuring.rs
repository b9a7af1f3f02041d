//! How the agent comes to its configuration, and what it does with it.

use super::fetch::{Fetch, Progress};
use super::selection::Protocol;
use super::{Agent, Output, Purpose, Strange, Subject};
use crate::directives::host::{HostFile, LogSource, Rule};
use crate::directives::{marked_lines, SourceLine};
use crate::now::Now;
use crate::wire::{Message, Revision};
use std::net::SocketAddrV4;

impl Agent {
    pub(super) fn handle_classic_config(&mut self, now: Now, from: SocketAddrV4, lines: &str) {
        self.selection.handle_classic_answer(now.mono);
        if self.selection.protocol() != Protocol::Classic || self.next_config_request.take().is_none() {
            // It was not asked for, or is a repeat.
            return;
        }
        let lines: Vec<_> =
            (1..).zip(lines.split("%%")).map(|(number, text)| SourceLine { path: Self::CLASSIC_PATH, number, text: text.trim() }).collect();
        let text: String = lines.iter().flat_map(|line| [line.text, "\n"]).collect();
        let said = lines.into_iter().filter(|line| !line.text.is_empty() && !line.text.starts_with('#'));
        self.adopt(now, from, Revision::of(&text), HostFile::parse(said));
    }

    pub(super) fn handle_reset(&mut self, now: Now) {
        match self.selection.protocol() {
            Protocol::Classic => self.next_config_request = Some(now.mono),
            // A session tells by itself which revision is in force; this is a hint to ask.
            _ => self.selection.hurry_alive(now.mono),
        }
    }

    pub(super) fn handle_part(&mut self, now: Now, from: SocketAddrV4, revision: Revision, index: u32, count: u32, text: &str) {
        // A part that was not asked for is late: it must not bring an old configuration back.
        let Some(fetch) = self.fetch.as_mut().filter(|fetch| fetch.revision() == revision) else { return };
        match fetch.take(now.mono, index, count, text) {
            Progress::Incomplete => {}
            Progress::Corrupt => {
                self.log_of_strangers(now, Strange::Corrupt, format!("a part of configuration {revision} does not belong to it"));
            }
            Progress::Complete(text) => {
                self.fetch = None;
                self.adopt(now, from, revision, HostFile::parse(marked_lines(&text, Self::CLASSIC_PATH)));
            }
        }
    }

    pub(super) fn handle_stale(&mut self, now: Now, from: SocketAddrV4, revision: Revision) {
        if revision == Revision::NONE {
            return self.handle_no_file(now, from);
        }
        if self.in_force.is_some_and(|(in_force, _)| in_force == revision) {
            self.fetch = None;
            // From now on it is this server's, whose word ends it.
            self.in_force = Some((revision, from));
            return;
        }
        if self.fetch.as_ref().is_none_or(|fetch| fetch.revision() != revision) {
            self.fetch = Some(Fetch::new(revision, now.mono));
        }
    }

    /// The server has no file for this host: rules that came from it stop, those of another server go on.
    fn handle_no_file(&mut self, now: Now, from: SocketAddrV4) {
        self.fetch = None;
        match self.in_force {
            Some((Revision::NONE, _)) => {}
            Some((_, server)) if server.ip() != from.ip() => {}
            _ => self.adopt(now, from, Revision::NONE, HostFile::default()),
        }
    }

    fn adopt(&mut self, now: Now, from: SocketAddrV4, revision: Revision, file: HostFile<'_>) {
        let known = self.in_force.replace((revision, from)).is_some_and(|(in_force, _)| in_force == revision);
        self.selection.hurry_alive(now.mono);
        if known {
            return;
        }
        for fault in file.faults.iter().take(Self::MAX_FAULTS_REPORTED) {
            self.system_event(now, &format!("Configuration error: {fault}"));
        }
        if let Some(more) = file.faults.len().checked_sub(Self::MAX_FAULTS_REPORTED).filter(|more| *more > 0) {
            self.system_event(now, &format!("Configuration error: and {more} more"));
        }
        self.put_in_force(now, file);
        let rules = self.logs.len() + self.processes.len() + self.commands.len();
        let rules = if rules == 1 { "1 rule".to_string() } else { format!("{rules} rules") };
        self.system_event(now, &format!("Configuration {revision} in force: {rules}"));
    }

    fn put_in_force(&mut self, now: Now, file: HostFile<'_>) {
        let (mut logs, mut processes, mut commands) = (Vec::new(), Vec::new(), Vec::new());
        self.process_list = None;
        for group in file.groups {
            if let Some((what, command)) = self.policy.refused(&group.rule) {
                let text = format!("Refused by this host: {what}{}", command.as_str());
                self.system_event(now, &text);
                continue;
            }
            let identity = group.identity();
            match group.rule {
                Rule::Log(rule) => logs.push((identity, rule)),
                Rule::Process(rule) => processes.push((identity, rule)),
                Rule::Command(rule) => commands.push(rule),
                Rule::ProcessList(command) => self.process_list = Some(command),
            }
        }
        self.logs.replace(now, logs);
        self.processes.replace(now, processes);
        self.commands.replace(now, commands);
        let commands = &self.commands;
        let outputs = &mut self.outputs;
        self.jobs.retain(|(job, purpose)| {
            let wanted = matches!(purpose, Purpose::Command(command) if commands.contains(command));
            if !wanted {
                outputs.push_back(Output::Stop(*job));
            }
            wanted
        });
        let sources = self.logs.sources();
        let list = self.process_list_name();
        self.failing.retain(|subject| match subject {
            Subject::Log(path) => sources.iter().any(|source| matches!(source, LogSource::Glob(_)) || source.field() == *path),
            Subject::Command(name) => *name == list || self.commands.names().any(|command| command == name),
        });
        self.following.replace(&sources);
        self.outputs.push_back(Output::Follow(sources));
    }

    pub(super) fn request_configuration(&mut self, now: Now) {
        let Some(server) = self.selection.address() else { return };
        match self.selection.protocol() {
            Protocol::Unknown => {}
            Protocol::Classic => {
                if self.in_force.is_none() {
                    self.next_config_request.get_or_insert(now.mono);
                }
                if self.next_config_request.is_some_and(|due| due <= now.mono) {
                    self.next_config_request = Some(now.mono + Self::CONFIG_REQUEST_INTERVAL);
                    self.last_classic = now.mono;
                    let request = Message::ConfigRequest { host: &self.host }.emit();
                    self.send(server, request);
                }
            }
            Protocol::Session => {
                let Some(fetch) = &mut self.fetch else { return };
                if let Some(parts) = fetch.request(now.mono) {
                    let need = Message::Need { host: &self.host, revision: fetch.revision(), parts }.emit();
                    self.send(server, need);
                }
            }
        }
    }
}
