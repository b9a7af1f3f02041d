//! The rules of the configuration in force, the tasks that they need, and what they make of lines, processes and the output of commands.
//! Runs no task and reads no file.

mod by_value;
mod command;
mod condition;
mod counter;
mod dry_run;
mod extraction;
mod file_count;
mod frequent;
mod joined;
mod limits;
mod line_limit;
mod log;
mod log_text;
mod matched_line;
mod origin;
mod policy;
mod process;
mod repeated;
mod search;
mod trial;

#[cfg(test)]
mod bench;

pub use dry_run::{DryRun, DryRunOutcome};
pub use policy::Policy;
pub use trial::{CommandTrial, ProcessTrial};

use super::delivery::{Delivery, Event};
use super::failures::FailingSource;
use super::logs::{FollowedFile, Lines, Logs};
use super::output::{JobId, LogId, Output, Outputs, TableEntry, Task, TaskEnd};
use crate::directives::host::{CommandLine, Group, LogRule, LogSource, Rule, Run};
use crate::lines::lines;
use crate::now::{earlier, Now};
use crate::wire::position::{BlockCount, ConditionKey};
use command::CommandRules;
use log::LogRules;
use process::{ProcessRules, ProcessSource};
use std::rc::Rc;
use std::time::Duration;

#[derive(Default)]
pub(super) struct Rules {
    policy: Policy,
    /// Whether the owner of the host lets only files be followed.
    is_journal_refused: bool,
    /// The command that prints the process list; `None` for the system's own list.
    process_list: Option<CommandLine>,
    logs: LogRules,
    processes: ProcessRules,
    commands: CommandRules,
    jobs: Vec<(JobId, Purpose)>,
    next_job: u64,
}

/// What a task that was started is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    Sample(ProcessSource),
    Run(Run),
}

/// The name of the process list that needs no command.
const SYSTEM_TABLE: &str = "/proc";

impl Rules {
    /// Sets what servers may ask for, from the next configuration on.
    pub(super) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Refuses the journal, from the next configuration on.
    pub(super) fn refuse_journal(&mut self) {
        self.is_journal_refused = true;
    }

    /// Replaces all rules by those of these groups, and `logs` by the logs that they name. Rules that were there before keep what they
    /// counted. Stops tasks that no rule needs any more. Returns what this host refuses, one text each.
    pub(super) fn replace(&mut self, now: Now, groups: Vec<Group<'_>>, logs: &mut Logs, outputs: &mut Outputs) -> Vec<String> {
        self.process_list = None;
        let (mut refused, mut log_rules, mut processes, mut commands) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for group in groups {
            let is_journal = matches!(&group.rule, Rule::Log(LogRule { log: LogSource::Journal, .. }));
            if is_journal && self.is_journal_refused {
                refused.push("journal: without -f journal".into());
                continue;
            }
            if let Some(what) = self.policy.refused(&group.rule) {
                refused.push(what);
                continue;
            }
            let identity = group.identity();
            match group.rule {
                Rule::Log(rule) => log_rules.push((identity, Rc::new(rule))),
                Rule::Process(rule) => processes.push((identity, rule)),
                Rule::Command(rule) => commands.push(rule),
                Rule::ProcessList(command) => self.process_list = Some(command),
            }
        }
        let sources: Vec<_> = log_rules.iter().map(|(_, rule)| (rule.log.clone(), rule.encoding)).collect();
        logs.replace(&sources);
        self.logs.replace(now, &log_rules, logs);
        self.processes.replace(now, processes, self.process_list.is_some());
        self.commands.replace(now, commands);
        self.stop_tasks(outputs);
        refused
    }

    /// The keys of all conditions that the rules can open, and of all families of these.
    pub(super) fn condition_keys(&self, logs: &Logs) -> Vec<ConditionKey> {
        let mut keys = self.logs.condition_keys(logs);
        keys.extend(self.processes.condition_keys().chain(self.commands.condition_keys()));
        keys
    }

    /// Stops tasks that no rule needs any more, and a process list: it may be another one now.
    fn stop_tasks(&mut self, outputs: &mut Outputs) {
        let commands = &self.commands;
        self.jobs.retain(|(job, purpose)| {
            let is_needed = matches!(purpose, Purpose::Run(run) if commands.contains(run));
            if !is_needed {
                outputs.push(Output::Stop(*job));
            }
            is_needed
        });
    }

    /// How many rules there are.
    pub(super) fn len(&self) -> usize {
        self.logs.len() + self.processes.len() + self.commands.len()
    }

    /// Whether a rule needs that.
    pub(super) fn needs_run(&self, run: &Run) -> bool {
        self.commands.contains(run)
    }

    /// Whether that is a process list that a rule may need.
    pub(super) fn needs_process_list(&self, name: &str) -> bool {
        self.process_list_name() == name || name == SYSTEM_TABLE && self.processes.next_sample(ProcessSource::Table).is_some()
    }

    /// The command of the process list.
    fn process_list_name(&self) -> &str {
        self.process_list.as_ref().map_or(SYSTEM_TABLE, CommandLine::as_str)
    }

    /// A wildcard found a file.
    pub(super) fn add_file(&mut self, wildcard: LogId, file: LogId) {
        self.logs.add_file(wildcard, file);
    }

    /// A file that a wildcard found is gone.
    pub(super) fn remove_file(&mut self, wildcard: LogId, file: LogId) {
        self.logs.remove_file(wildcard, file);
    }

    /// A file ends at that position now, counted as [`Lines::position`] is.
    pub(super) fn handle_end(&mut self, file: &FollowedFile, position: u64) {
        self.logs.handle_end(file, position);
    }

    /// Takes lines of a file. Returns how many bytes are processed: fewer than all when events find no room, or the work of the turn is
    /// done. The next turn begins with [`Self::handle_timeout`].
    pub(super) fn handle_lines(&mut self, now: Now, file: &mut FollowedFile, lines: Lines<'_>, delivery: &mut Delivery) -> usize {
        self.logs.handle_lines(now, file, lines, delivery)
    }

    /// Until when the first lines of a file that were handed over last wait for others that belong to them; `None` if they do not.
    pub(super) fn waits_until(&self, file: &FollowedFile) -> Option<Duration> {
        self.logs.waits_until(file)
    }

    /// What the rules have counted of a file in blocks that are not over, for a position of that file.
    pub(super) fn open_counts(&self, file: &FollowedFile) -> Vec<BlockCount> {
        self.logs.open_counts(file)
    }

    /// A file is read on from a position of an earlier run, in which the rules had counted that.
    pub(super) fn restore(&mut self, now: Now, file: &FollowedFile, counts: &[BlockCount], delivery: &mut Delivery) {
        self.logs.restore(now, file, counts, delivery);
    }

    /// Takes lines that a task printed. Returns how many bytes are processed: fewer than all, but at least one line, when the work of the
    /// turn is done.
    pub(super) fn handle_task_lines(&mut self, now: Now, job: JobId, bytes: &[u8], delivery: &mut Delivery) -> usize {
        let Some((_, purpose)) = self.jobs.iter().find(|(known, _)| *known == job) else { return bytes.len() };
        for (end, line) in lines(bytes) {
            let text = String::from_utf8_lossy(line);
            match purpose {
                Purpose::Sample(ProcessSource::Lines) => self.processes.handle_line(&text),
                Purpose::Sample(ProcessSource::Table) => {}
                Purpose::Run(run) => self.commands.handle_line(now, run, &text, delivery),
            }
            if self.commands.is_turn_over() || self.processes.is_turn_over() {
                return end;
            }
        }
        bytes.len()
    }

    /// Takes what a task has found in the table of the system.
    pub(super) fn handle_table(&mut self, job: JobId, entry: &TableEntry<'_>) {
        if self.jobs.iter().any(|(known, purpose)| *known == job && *purpose == Purpose::Sample(ProcessSource::Table)) {
            self.processes.handle_table(entry);
        }
    }

    /// A task has ended. Returns whether it has worked, and what it was; `None` if the task is not known any more.
    pub(super) fn handle_task_end(
        &mut self,
        now: Now,
        job: JobId,
        end: TaskEnd,
        delivery: &mut Delivery,
        outputs: &mut Outputs,
    ) -> Option<(FailingSource, Result<(), String>)> {
        let at = self.jobs.iter().position(|(known, _)| *known == job)?;
        let (_, purpose) = self.jobs.swap_remove(at);
        match purpose {
            Purpose::Run(run) => {
                let (reports, outcome) = self.commands.end_run(now, &run, end, delivery);
                for text in reports {
                    delivery.push(now, Event::system(&text));
                    outputs.log(text);
                }
                Some((FailingSource::Run(run), outcome))
            }
            Purpose::Sample(source) => {
                if end.outcome.is_ok() {
                    self.processes.end_sample(now, source, delivery);
                }
                let name = match source {
                    ProcessSource::Lines => self.process_list_name(),
                    ProcessSource::Table => SYSTEM_TABLE,
                };
                Some((FailingSource::ProcessList(name.to_string()), end.outcome))
            }
        }
    }

    /// Whether so much was searched that everything else is to have its turn.
    pub(super) fn is_turn_over(&self) -> bool {
        self.logs.is_turn_over()
    }

    /// Does what is due: ends blocks of time, reports, and starts tasks.
    pub(super) fn handle_timeout(&mut self, now: Now, logs: &Logs, delivery: &mut Delivery, outputs: &mut Outputs) {
        self.logs.begin_turn();
        self.processes.begin_turn();
        self.commands.begin_turn();
        if self.logs.handle_timeout(now, logs, delivery) {
            outputs.push(Output::Measure);
        }
        self.processes.handle_timeout(now, delivery);
        for source in ProcessSource::ALL {
            if !self.is_sampling(source) && self.processes.begin_sample(now, source) {
                let task = match (source, &self.process_list) {
                    (ProcessSource::Table, _) => Task::Processes { users: self.processes.users() },
                    (ProcessSource::Lines, None) => Task::ProcessTable,
                    (ProcessSource::Lines, Some(command)) => Task::Command(command.clone(), Run::TIMEOUT),
                };
                self.start(Purpose::Sample(source), task, outputs);
            }
        }
        while let Some(run) = self.commands.begin_run(now) {
            let task = run.command.builtin().map_or_else(|| Task::Command(run.command.clone(), run.timeout), Task::Builtin);
            self.start(Purpose::Run(run), task, outputs);
        }
    }

    fn is_sampling(&self, source: ProcessSource) -> bool {
        self.jobs.iter().any(|(_, purpose)| *purpose == Purpose::Sample(source))
    }

    fn start(&mut self, purpose: Purpose, task: Task, outputs: &mut Outputs) {
        let job = JobId(self.next_job);
        self.next_job += 1;
        self.jobs.push((job, purpose));
        outputs.push(Output::Start { job, task });
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn next_deadline(&self, now: Now) -> Option<Duration> {
        let sources = ProcessSource::ALL.into_iter().filter(|source| !self.is_sampling(*source));
        let sample = sources.filter_map(|source| self.processes.next_sample(source)).min();
        let processes = earlier(sample, self.processes.next_deadline());
        earlier(earlier(processes, self.commands.next_deadline()), self.logs.next_deadline(now))
    }
}

#[cfg(test)]
mod tests {
    use super::bench::{at, delivery, events, groups};
    use super::*;

    const PROCESS: &str = "process: x\nalert_running: tags=P min=1 max=9 message=M\n";
    const COMMAND: &str = "run: command=df extract=(x)\nalert_metric: tags=M match=1,x metric=1\n";

    struct Bench {
        rules: Rules,
        logs: Logs,
        delivery: Delivery,
        outputs: Outputs,
    }

    impl Bench {
        fn new(text: &str) -> Self {
            let mut bench = Self { rules: Rules::default(), logs: Logs::default(), delivery: delivery(), outputs: Outputs::default() };
            bench.replace(0, text);
            bench
        }

        fn replace(&mut self, seconds: u64, text: &str) -> Vec<String> {
            self.rules.replace(at(seconds), groups(text), &mut self.logs, &mut self.outputs)
        }

        fn end(&mut self, seconds: u64, job: JobId, outcome: Result<(), String>) -> Option<(FailingSource, Result<(), String>)> {
            self.rules.handle_task_end(at(seconds), job, outcome.into(), &mut self.delivery, &mut self.outputs)
        }

        /// The outputs at that time.
        fn outputs(&mut self, seconds: u64) -> Vec<Output> {
            self.rules.handle_timeout(at(seconds), &self.logs, &mut self.delivery, &mut self.outputs);
            std::iter::from_fn(|| self.outputs.pop()).collect()
        }
    }

    fn started(outputs: &[Output]) -> Vec<JobId> {
        let jobs = outputs.iter().filter_map(|output| match output {
            Output::Start { job, .. } => Some(*job),
            _ => None,
        });
        jobs.collect()
    }

    #[test]
    fn lines_of_a_task_go_to_the_rules_that_asked_for_it_until_it_ends() {
        let mut bench = Bench::new(&format!("{PROCESS}{COMMAND}"));
        assert_eq!(bench.rules.len(), 2);
        let command = started(&bench.outputs(0))[0];
        bench.rules.handle_task_lines(at(1), command, b"x\ny\n", &mut bench.delivery);
        assert_eq!(events(&mut bench.delivery), ["M x"]);
        let ended = bench.end(1, command, Ok(()));
        assert!(matches!(ended, Some((FailingSource::Run(run), Ok(()))) if run.command.as_str() == "df"));
        bench.rules.handle_task_lines(at(1), command, b"x\n", &mut bench.delivery);
        assert_eq!(events(&mut bench.delivery), [""; 0]);
        assert_eq!(bench.end(1, command, Ok(())), None);
    }

    #[test]
    fn a_long_search_takes_several_turns_and_misses_no_line() {
        let rules = "run: command=df extract=(x.*y.*z)+(a{1,200})\nalert_metric: tags=M match=2,a metric=2\n\
                     ps_command: ps\nprocess: .{200}p$\nalert_running: tags=P min=0 max=0 for=1 message=M\n";
        let mut bench = Bench::new(rules);
        let jobs = started(&bench.outputs(20));
        let mut made = Vec::new();
        for (job, line) in [(jobs[1], format!("{}xyza\n", "x y".repeat(800))), (jobs[0], format!("{}p\n", "word ".repeat(500)))] {
            let (text, mut done, mut turns) = (line.repeat(40), 0, 0);
            while done < text.len() {
                bench.outputs(20);
                let processed = bench.rules.handle_task_lines(at(20), job, &text.as_bytes()[done..], &mut bench.delivery);
                assert!(processed > 0 && (done + processed) % line.len() == 0);
                (done, turns) = (done + processed, turns + 1);
                made.extend(events(&mut bench.delivery));
            }
            assert!((2..40).contains(&turns), "{turns} turns");
        }
        assert_eq!(made, vec!["M a"; 40]);
        bench.end(20, jobs[0], Ok(()));
        assert_eq!(events(&mut bench.delivery), ["P M [40]"]);
    }

    #[test]
    fn a_sample_that_failed_counts_nothing() {
        let mut bench = Bench::new(PROCESS);
        for seconds in [20, 40, 60] {
            let sample = started(&bench.outputs(seconds))[0];
            let failed = Err("x".to_string());
            assert_eq!(bench.end(seconds, sample, failed.clone()), Some((FailingSource::ProcessList("/proc".into()), failed)));
        }
        assert_eq!(events(&mut bench.delivery), [""; 0]);
    }

    #[test]
    fn a_new_configuration_stops_tasks_that_it_does_not_need_and_every_process_list() {
        let mut bench = Bench::new(&format!("{PROCESS}{COMMAND}{}", COMMAND.replace("df", "free")));
        let jobs = started(&bench.outputs(20));
        assert_eq!(jobs.len(), 3);
        bench.replace(21, &format!("{PROCESS}{COMMAND}"));
        let stopped: Vec<Output> = bench.outputs(21);
        assert_eq!(stopped, [Output::Stop(jobs[0]), Output::Stop(jobs[2])]);
        assert_eq!(bench.rules.len(), 2);
    }

    #[test]
    fn what_the_policy_refuses_is_returned_and_not_in_force() {
        let mut bench = Bench::new("");
        bench.rules.set_policy(Policy::None);
        assert_eq!(bench.replace(1, &format!("ps_command: ps ax\n{PROCESS}{COMMAND}")), ["ps_command: ps ax", "run: command=df"]);
        assert_eq!(bench.rules.len(), 1);
        assert_eq!(bench.rules.process_list_name(), "/proc");
    }
}
