//! Whether a rule can use what its command prints: a pattern that is found in no line, or a group that is no number, would leave the
//! rule blind without anybody noticing. Makes no events.

use crate::directives::host::{AlertSubject, CommandRule};
use crate::text::truncate;

/// What became of the lines of a command, for one rule.
#[derive(Default)]
pub(super) struct Extraction {
    run: Run,
    /// Runs in a row that were of no use.
    useless_runs: u32,
    is_reported: bool,
}

/// The lines of one run.
#[derive(Default)]
struct Run {
    has_lines: bool,
    is_found: bool,
    /// The first lines, once a report may be due.
    printed: String,
    /// Which of the first alerts got a number, a bit each.
    numbers: u64,
    /// An alert that got none, by its index; and the text that is no number, with its group.
    not_a_number: Option<(usize, usize, String)>,
    /// A group of which only so many values count.
    crowded: Option<(usize, usize)>,
}

impl Extraction {
    /// After so many useless runs in a row there is a report.
    const RUNS: u32 = 3;
    /// Most bytes of what was printed in a report.
    const PRINTED: usize = 200;

    pub(super) fn begin_run(&mut self) {
        self.run = Run::default();
    }

    /// A line of the present run.
    pub(super) fn handle_line(&mut self, line: &str, is_found: bool) {
        let is_due = !self.is_reported && self.useless_runs + 1 == Self::RUNS;
        let run = &mut self.run;
        run.has_lines = true;
        run.is_found |= is_found;
        if is_due && !run.is_found && run.printed.len() < Self::PRINTED && !line.trim().is_empty() {
            if !run.printed.is_empty() {
                run.printed += " | ";
            }
            run.printed += truncate(line.trim(), Self::PRINTED - run.printed.len().min(Self::PRINTED));
        }
    }

    /// The run has printed more than so many values of that group.
    pub(super) fn handle_crowd(&mut self, group: usize, most: usize) {
        self.run.crowded = Some((group, most));
    }

    /// Whether the pattern was found in a line of the present run.
    pub(super) fn is_found(&self) -> bool {
        self.run.is_found
    }

    /// The alert of that index applies to a line whose group is to be a number.
    pub(super) fn handle_number(&mut self, alert: usize, group: usize, text: &str, is_number: bool) {
        let bit = u32::try_from(alert).ok().and_then(|alert| 1u64.checked_shl(alert)).unwrap_or(0);
        let run = &mut self.run;
        if is_number {
            run.numbers |= bit;
            run.not_a_number.take_if(|(wrong, ..)| *wrong == alert);
        } else if run.numbers & bit == 0 && run.not_a_number.is_none() {
            run.not_a_number = Some((alert, group, truncate(text, Self::PRINTED).to_string()));
        }
    }

    /// A run has ended, successfully or not. Returns the text of a report if one is due.
    pub(super) fn end_run(&mut self, rule: &CommandRule, is_success: bool) -> Option<String> {
        let run = std::mem::take(&mut self.run);
        let is_needed = rule.alerts.iter().any(|alert| alert.subject != AlertSubject::Status);
        let pattern = rule.extract.as_ref().filter(|_| is_needed && (is_success || run.has_lines))?;
        let (command, pattern) = (rule.run.command.as_str(), pattern.as_str());
        if run.is_found && run.not_a_number.is_none() && run.crowded.is_none() {
            self.useless_runs = 0;
            let was_reported = std::mem::take(&mut self.is_reported);
            return was_reported.then(|| format!("Command output usable again: {command}: extract={pattern}"));
        }
        self.useless_runs = (self.useless_runs + 1).min(Self::RUNS);
        if self.useless_runs < Self::RUNS || std::mem::replace(&mut self.is_reported, true) {
            return None;
        }
        let reason = match run.not_a_number {
            None if run.crowded.is_some() => {
                let (group, most) = run.crowded.unwrap_or_default();
                format!("group {group} of extract={pattern} has more than {most} values: the others are left out")
            }
            Some((alert, group, text)) => {
                let noun = rule.alerts.get(alert).map_or("number", |alert| alert.kind.measure().noun());
                format!("group {group} of extract={pattern} is no {noun}: \"{text}\"")
            }
            None if run.printed.is_empty() => format!("extract={pattern} finds nothing, since nothing is printed"),
            None => format!("extract={pattern} is found in no line: \"{}\"", run.printed),
        };
        Some(format!("Command output not usable: {command}: {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::rules::bench::host_file;
    use crate::directives::host::Rule;
    use crate::pattern::Work;

    fn rule() -> CommandRule {
        let text = "run: command=df extract=^(\\S+) (\\S+)$\nalert_if: tags=D match=1,/ upper_limit=2,90 message=Full\n";
        let Some((_, Rule::Command(rule))) = host_file(text).pop() else { panic!() };
        rule
    }

    /// A run that prints these lines.
    fn run(extraction: &mut Extraction, lines: &[&str], is_success: bool) -> Option<String> {
        let rule = rule();
        extraction.begin_run();
        for line in lines {
            let captures = rule.extract.as_ref().unwrap().captures(line, &mut Work::turn());
            extraction.handle_line(line, captures.is_some());
            if let Some(captures) = captures.filter(|captures| &captures[1] == "/") {
                extraction.handle_number(0, 2, &captures[2], captures[2].parse::<f64>().is_ok());
            }
        }
        extraction.end_run(&rule, is_success)
    }

    #[test]
    fn a_pattern_that_is_found_in_no_line_is_reported_after_three_runs_and_once() {
        let mut extraction = Extraction::default();
        let wrapped = ["Filesystem Mounted on", "/dev/mapper/vg", "  95% of /  "];
        assert_eq!((run(&mut extraction, &wrapped, true), run(&mut extraction, &wrapped, true)), (None, None));
        let expected = "Command output not usable: df: extract=^(\\S+) (\\S+)$ is found in no line: \"/dev/mapper/vg | 95% of /\"";
        assert_eq!(run(&mut extraction, &wrapped[1..], true).as_deref(), Some(expected));
        assert_eq!(run(&mut extraction, &wrapped[1..], true), None);
        assert_eq!(run(&mut extraction, &["/ 5"], true).as_deref(), Some("Command output usable again: df: extract=^(\\S+) (\\S+)$"));
        assert_eq!(run(&mut extraction, &["/ 5"], true), None);
    }

    #[test]
    fn a_group_that_is_no_number_is_reported_unless_the_alert_got_a_number_too() {
        for text in ["95%", "1.2G", "9,75", "-"] {
            let mut extraction = Extraction::default();
            let line = format!("/ {text}");
            let reports: Vec<_> = (0..4).filter_map(|_| run(&mut extraction, &[&line, "/home 7"], true)).collect();
            let expected = format!("Command output not usable: df: group 2 of extract=^(\\S+) (\\S+)$ is no number: \"{text}\"");
            assert_eq!(reports, [expected]);
        }
        for lines in [["/ -", "/ 5"], ["/ 5", "/ -"]] {
            let mut extraction = Extraction::default();
            assert!((0..4).all(|_| run(&mut extraction, &lines, true).is_none()), "{lines:?}");
        }
    }

    #[test]
    fn a_number_of_another_measure_is_reported() {
        for (limit, text, report) in [("2,90%", "95", "is no number with %: \"95\""), ("2,1G", "9%", "is no size such as 1.5G: \"9%\"")] {
            let text_of_rule = format!("run: command=df extract=(a) (.*)\nalert_if: tags=D match=1,a upper_limit={limit} message=Full\n");
            let Some((_, Rule::Command(rule))) = host_file(&text_of_rule).pop() else { panic!() };
            let mut extraction = Extraction::default();
            let reports: Vec<_> = (0..4)
                .filter_map(|_| {
                    extraction.begin_run();
                    extraction.handle_line("a", true);
                    extraction.handle_number(0, 2, text, false);
                    extraction.end_run(&rule, true)
                })
                .collect();
            assert_eq!(reports, [format!("Command output not usable: df: group 2 of extract=(a) (.*) {report}")]);
        }
    }

    #[test]
    fn useful_runs_between_and_runs_that_fail_without_output_are_no_reason() {
        let mut extraction = Extraction::default();
        let runs = [(&["x"][..], true), (&["x"], true), (&["/ 5"], true), (&["x"], true), (&[], false), (&["x"], true), (&[], false)];
        assert!(runs.iter().all(|(lines, is_success)| run(&mut extraction, lines, *is_success).is_none()));
        let silent = "Command output not usable: df: extract=^(\\S+) (\\S+)$ finds nothing, since nothing is printed";
        assert_eq!(run(&mut extraction, &[], true).as_deref(), Some(silent));
    }
}
