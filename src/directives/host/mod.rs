//! A host file: groups of directives. Each group makes one rule.

mod alert;
mod command_line;
mod condition;
mod event_text;
mod group;
mod joining;
mod line_limit;
mod log_alert;
mod log_reading;
mod log_source;
mod parser;
mod pattern_doubts;
mod patterns;
mod process_filter;
mod python;
mod rule;
mod run;
mod settings;
mod syntax;
mod units;
mod warnings;

pub use command_line::{Builtin, CommandLine};
pub use condition::ConditionRule;
pub use event_text::EventText;
pub use group::Group;
pub use joining::Joining;
pub use line_limit::{LineLimit, LineSubject};
pub use log_source::LogSource;
pub use patterns::Patterns;
pub use process_filter::ProcessFilter;
pub use rule::{AlertSubject, CommandAlert, CommandAlertKind, CommandRule, EventLimit, LogAlert, LogRule, ProcessRule, Rule};
pub use run::{GoodStatuses, Run};
pub use settings::{HostSettings, Inactive, Parent, SETTINGS};
pub use syntax::{keys_of, DIRECTIVES};
pub use warnings::{ends_in_white_space, warnings};

use super::source::{Fault, SourceLine};

/// The content of a host file: its valid groups, and all faults of the others.
#[derive(Debug, Default)]
pub struct HostFile<'a> {
    /// The groups without faults, in the order of the file.
    pub groups: Vec<Group<'a>>,
    /// In the order of the lines.
    pub faults: Vec<Fault>,
}

impl<'a> HostFile<'a> {
    /// Reads the lines of a host file, with its includes in their places.
    pub fn parse(lines: impl IntoIterator<Item = SourceLine<'a>>) -> Self {
        Self::parse_with(lines, &mut Patterns::within(usize::MAX))
    }

    /// Reads a host file with patterns that are limited, or that many host files have in common.
    pub fn parse_with(lines: impl IntoIterator<Item = SourceLine<'a>>, patterns: &mut Patterns) -> Self {
        let (groups, faults) = parser::parse(lines, patterns);
        Self { groups, faults }
    }

    /// The lines of the valid groups. In a file without faults these are all lines.
    pub fn good_lines(&self) -> Vec<SourceLine<'a>> {
        self.groups.iter().flat_map(|group| group.lines.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::quantity::Quantity;
    use crate::directives::source::Source;
    use std::time::Duration;

    fn parse(text: &str) -> HostFile<'_> {
        HostFile::parse(Source { path: "nas1", text }.lines())
    }

    const EVERYTHING: &str = "\
# A comment
file: /var/log/messages
match: error
match: fail(ed|ure)
ignore: harmless
active: 12345;08:00-18:00
alert_all: tags=LOG

file: /var/log/auth.log
match: authentication failure
alert_n: tags=AUTH threshold=3 seconds=60 message=Too many failures

file: /var/log/*.log
match: .
alert_count: tags=COUNT seconds=300

file: |logread -f
match: kernel
alert_inactive: tags=QUIET seconds=3600 message=Nothing for an hour

ps_command: ps ax
process: [s]shd
alert_running: tags=SSH min=1 max=5 message=sshd processes

run: command=df -k extract=^\\S+ +\\d+ +\\d+ +\\d+ +(\\d+)% (.+)$
active: 0123456;00:00-23:59
alert_if: tags=DISK match=2,/ upper_limit=1,90 message=Disk full
alert_metric: tags=DISKM match=2,/ metric=1

run: command=@load extract=^(load) (\\S+)
alert_if: tags=LOAD match=1,load lower_limit=2,0.5 message=Idle
";

    #[test]
    fn every_directive_makes_its_rule() {
        let file = parse(EVERYTHING);
        assert_eq!(file.faults, []);
        let rules: Vec<_> = file.groups.iter().map(|group| &group.rule).collect();
        let [Rule::Log(all), Rule::Log(threshold), Rule::Log(count), Rule::Log(inactive), Rule::ProcessList(list), Rule::Process(process), Rule::Command(df), Rule::Command(load)] =
            rules[..]
        else {
            panic!("{rules:?}")
        };
        assert_eq!((all.patterns.len(), all.ignores.len(), &*all.tags), (2, 1, "LOG"));
        assert_eq!(all.alert, LogAlert::All { message: None, limit: None });
        assert!(all.active.is_some());
        assert_eq!(threshold.log, LogSource::Path("/var/log/auth.log".into()));
        assert_eq!(threshold.active, None);
        let message = EventText::Literal("Too many failures".into());
        assert_eq!(threshold.alert, LogAlert::Threshold { threshold: 3, block: Duration::from_secs(60), by: None, message });
        assert_eq!(count.log, LogSource::Glob { pattern: "/var/log/*.log".into(), excludes: vec![] });
        assert_eq!(count.alert, LogAlert::Count { block: Duration::from_secs(300), by: None });
        assert_eq!(inactive.log, LogSource::Command(CommandLine::parse("logread -f").unwrap()));
        assert_eq!(list.words().collect::<Vec<_>>(), ["ps", "ax"]);
        assert_eq!((process.min, process.max, &*process.message), (1, 5, "sshd processes"));
        assert_eq!(df.run.command.as_str(), "df -k");
        assert_eq!(df.extract.as_ref().unwrap().groups(), 2);
        let [full, metric] = &df.alerts[..] else { panic!() };
        assert_eq!(full.subject, AlertSubject::Text(2, "/".into()));
        let message = EventText::Literal("Disk full".into());
        assert_eq!(full.kind, CommandAlertKind::Above { group: 1, limit: Quantity::parse("90").unwrap(), message });
        assert!(full.active.is_some() && metric.active.is_none());
        assert_eq!(metric.kind, CommandAlertKind::Metric { group: 1 });
        assert_eq!(load.run.command.builtin(), Some(Builtin::Load));
        assert_eq!(
            load.alerts[0].kind,
            CommandAlertKind::Below { group: 2, limit: Quantity::parse("0.5").unwrap(), message: EventText::Literal("Idle".into()) }
        );
    }

    #[test]
    fn the_good_lines_make_the_same_file_again() {
        let file = parse(EVERYTHING);
        assert_eq!(file.good_lines(), Source { path: "nas1", text: EVERYTHING }.lines().collect::<Vec<_>>());
        let again = HostFile::parse(file.good_lines());
        assert_eq!(again.groups.len(), file.groups.len());
        for (a, b) in again.groups.iter().zip(&file.groups) {
            assert_eq!((&a.rule, a.identity()), (&b.rule, b.identity()));
        }
    }

    #[test]
    fn patterns_that_are_known_make_the_same_rules_and_faults() {
        let bad = "file: /a\nmatch: a(\nalert_all: tags=T\n";
        let mut patterns = Patterns::checked();
        for text in
            [EVERYTHING.to_string(), format!("{bad}{bad}{EVERYTHING}"), (0..100).map(|i| bad.replace("a(", &format!("{i}("))).collect()]
        {
            for _ in 0..2 {
                let known = HostFile::parse_with(Source { path: "nas1", text: &text }.lines(), &mut patterns);
                let rules = |file: &HostFile<'_>| file.groups.iter().map(|group| group.rule.clone()).collect::<Vec<_>>();
                assert_eq!((rules(&known), &known.faults), (rules(&parse(&text)), &parse(&text).faults));
            }
        }
    }

    #[test]
    fn what_version_1_agents_do_not_know_is_named() {
        let file = parse(EVERYTHING);
        let reasons: Vec<_> = file.groups.iter().map(|group| group.classic_lines().err()).collect();
        assert_eq!(
            reasons,
            [Some("ignore:"), None, Some("file: with a wildcard"), Some("file: |COMMAND"), None, None, None, Some("a built-in command")]
        );
        for (alert, reason) in [
            ("alert_value: tags=T value=1", "alert_value:"),
            ("alert_if: tags=T upper_limit=1,9 message=m", "alert_if: behind file:"),
            ("encoding: utf-16\nalert_all: tags=T", "encoding:"),
        ] {
            let text = format!("file: /a\nmatch: (a)\n{alert}");
            assert_eq!(parse(&text).groups[0].classic_lines(), Err(reason));
        }
        let file = parse("file: /a\nmatch: 100%%\nalert_all: tags=T");
        assert_eq!(file.groups[0].classic_lines(), Err("a line with %% in it"));
    }

    #[test]
    fn what_version_1_agents_cannot_do_with_an_alert_is_taken_out_and_named() {
        let disk = "alert_if: tags=D match=2,/ upper_limit=1,90";
        for (opener, alert, taken_out) in [
            ("file: /a\nmatch: a", "alert_n: tags=T threshold=2 seconds=5", "for= repeat= cleared:"),
            ("file: /a\nmatch: (a)", "alert_n: tags=T threshold=2 seconds=5", "by="),
            ("file: /a\nmatch: a", "alert_inactive: tags=T seconds=5", "repeat="),
            ("process: a", "alert_running: tags=T min=1 max=2", "for= cleared:"),
            ("run: command=df extract=(.*) (.*)", disk, "for= until= repeat= cleared:"),
        ] {
            let arguments: String = [(" by=1", "by="), (" for=3", "for="), (" until=80", "until="), (" repeat=60", "repeat=")]
                .iter()
                .filter(|(_, name)| taken_out.contains(name))
                .map(|(argument, _)| *argument)
                .collect();
            let cleared = if taken_out.contains("cleared:") { "\ncleared: over" } else { "" };
            let file_text = format!("{opener}\n{alert}{arguments} message=for= a while{cleared}");
            let file = parse(&file_text);
            assert_eq!(file.faults, [], "{file_text}");
            let classic = file.groups[0].classic_lines().unwrap();
            assert_eq!(classic.join("\n"), format!("{opener}\n{alert} message=for= a while"));
            assert_eq!(file.groups[0].ignored_by_classic(), taken_out.split(' ').collect::<Vec<_>>());
        }
    }

    #[test]
    fn how_a_command_is_run_is_taken_out_for_version_1_agents_and_named() {
        let file = parse(
            "run: ok=0,1 timeout=5 every=10 command=df every=1 extract=(a)\nalert_metric: tags=T match=1,a metric=1\n\
             process: a\nalert_running: tags=T min=1 max=2 every=5 message=m",
        );
        assert_eq!(file.groups[0].classic_lines().unwrap()[0], "run: command=df every=1 extract=(a)");
        assert_eq!(file.groups[0].ignored_by_classic(), ["every=", "timeout=", "ok="]);
        assert_eq!(file.groups[1].classic_lines().unwrap()[1], "alert_running: tags=T min=1 max=2 message=m");
        assert_eq!(file.groups[1].ignored_by_classic(), ["every="]);
    }

    #[test]
    fn version_1_agents_do_not_get_a_rule_that_would_count_other_processes() {
        for (key, value) in [("user=", "root"), ("parent=", "sshd: a b"), ("container=", "no")] {
            let text = format!("process: a\nalert_running: tags=T min=1 max=2 {key}{value} message=m");
            let file = parse(&text);
            assert_eq!(file.faults, []);
            assert_eq!(file.groups[0].classic_lines(), Err(key));
        }
        for (term, reason) in [
            ("user=a b", "user= is the name or the number of one user"),
            ("parent=(", "parent= pattern \"(\": "),
            ("container=maybe", "container= is yes or no, got \"maybe\""),
            ("user=", "user= is empty"),
        ] {
            let text = format!("process: a\nalert_running: tags=T min=1 max=2 {term} message=m");
            let faults = parse(&text).faults;
            assert!(faults.len() == 1 && faults[0].to_string().starts_with(&format!("nas1:2: alert_running: {reason}")), "{faults:?}");
        }
    }

    #[test]
    fn alerts_of_a_command_that_version_1_agents_do_not_know_are_left_out_alone() {
        let limit = |tags: &str, matched: &str, limit: &str| format!("alert_if: tags={tags} match={matched} upper_limit={limit} message=m");
        let (known, each, status) = (limit("A", "1,/", "2,90"), limit("B", "1", "2,90"), limit("C", "status", "status,1"));
        let active = "active: 0;00:00-24:00";
        let text = format!("run: command=df extract=(.*) (.*)\n{active}\n{each}\ncleared: c\n{active}\n{known}\n{status}");
        let file = parse(&text);
        assert_eq!(file.faults, []);
        let lines = file.groups[0].classic_lines().unwrap();
        assert_eq!(lines, ["run: command=df extract=(.*) (.*)", active, &known]);
        let ignored = ["the alert tags=B, for match= without a text", "the alert tags=C, for match=status", "cleared:"];
        assert_eq!(file.groups[0].ignored_by_classic(), ignored);
        let text = format!("run: command=df\n{status}");
        assert_eq!(parse(&text).groups[0].classic_lines(), Err("match=status"));
    }

    #[test]
    fn version_1_agents_get_a_template_as_a_message_where_they_need_one() {
        for (opener, alert, classic) in [
            ("file: /a\nmatch: (a)", "alert_all: tags=T limit=5/60 text={1}", "alert_all: tags=T"),
            (
                "file: /a\nmatch: (a)",
                "alert_n: tags=T threshold=1 seconds=2 text=x {1}",
                "alert_n: tags=T threshold=1 seconds=2 message=x {1}",
            ),
            (
                "run: command=df extract=(a)",
                "alert_if: text={1}! upper_limit=1,2",
                "alert_if: tags=T match=1,a upper_limit=1,2 message={1}! upper_limit=1,2",
            ),
        ] {
            let alert = alert.replace("alert_if: ", "alert_if: tags=T match=1,a upper_limit=1,2 ");
            let file_text = format!("{opener}\n{alert}");
            let file = parse(&file_text);
            assert_eq!(file.faults, [], "{file_text}");
            assert_eq!(file.groups[0].classic_lines().unwrap().last().unwrap(), classic);
            let taken_out = if alert.contains(" limit=") { &["text=", "limit="][..] } else { &["text="] };
            assert_eq!(file.groups[0].ignored_by_classic(), taken_out);
        }
    }

    #[test]
    fn version_1_agents_get_no_directive_that_they_do_not_know() {
        for directive in ["join: b", "starts: b", "strip: ansi"] {
            let text = format!("file: /a\nmatch: a\n{directive}\nalert_all: tags=T");
            let file = parse(&text);
            assert_eq!(file.groups[0].classic_lines().unwrap(), ["file: /a", "match: a", "alert_all: tags=T"]);
            assert_eq!(file.groups[0].ignored_by_classic(), [directive.split_once(' ').unwrap().0]);
        }
    }

    #[test]
    fn arguments_reach_version_1_agents_in_their_order() {
        let file = parse("file: /a\n  match: b\nalert_n: threshold=2   seconds=5 tags=T message=two  words");
        assert_eq!(
            file.groups[0].classic_lines().unwrap(),
            ["file: /a", "match: b", "alert_n: tags=T threshold=2 seconds=5 message=two  words"]
        );
    }
}
