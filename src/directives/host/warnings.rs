//! What is right in a host file and probably not meant, and why something may be wrong. For the person who writes it: nothing here
//! changes what a file means.

use super::event_text::EventText;
use super::group::Group;
use super::pattern_doubts::{doubts, has_comment, is_everywhere};
use super::rule::{AlertSubject, CommandAlert, Rule};
use super::syntax::{keys_of, OPENERS};
use crate::directives::arguments::{term_in, Arguments};
use crate::directives::source::{directive, Fault, Source, SourceLine};
use crate::pattern::Pattern;

/// The doubts about the lines of a file, also of groups with faults, and about its valid groups.
pub fn warnings(lines: &[SourceLine<'_>], groups: &[Group<'_>]) -> Vec<Fault> {
    let mut found = Vec::new();
    for line in lines {
        if let Ok((name, argument)) = directive(line) {
            found.extend(of_directive(name, argument).into_iter().map(|doubt| line.fault(doubt)));
        }
    }
    for group in groups {
        found.extend(of_group(group));
    }
    let lists = groups.iter().filter(|group| matches!(group.rule, Rule::ProcessList(_)));
    found.extend(lists.skip(1).map(|group| group.fault("ps_command: is given twice; the last one counts")));
    found
}

/// Patterns of a file with white space at their end, which is no part of them.
pub fn ends_in_white_space(source: Source<'_>) -> Vec<Fault> {
    let ends_so = |line: &SourceLine<'_>| {
        let whole = source.text.lines().nth(line.number - 1).unwrap_or_default();
        let names = ["match:", "ignore:", "join:", "starts:", "process:", "run:"];
        whole.ends_with([' ', '\t']) && names.iter().any(|name| line.text.starts_with(name))
    };
    source.lines().filter(ends_so).map(|line| line.fault("the white space at the end is no part of it: [ ] is a space")).collect()
}

fn of_directive(name: &str, argument: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |what: &str, doubts: Vec<&'static str>| found.extend(doubts.into_iter().map(|doubt| format!("{what} {doubt}")));
    match name {
        "match" | "ignore" | "join" | "starts" => {
            add(&format!("{name}:"), doubts(argument));
            if is_everywhere(argument) {
                add(&format!("{name}:"), vec!["the pattern is found in every line"]);
            }
        }
        "process" => add("process:", doubts(argument)),
        "file" => match argument.strip_prefix('|') {
            Some(command) => add("file: |", of_command(command)),
            None => add("file:", of_path(argument)),
        },
        "ps_command" => add("ps_command:", of_command(argument)),
        "run" => {
            let arguments = Arguments::parse(name, argument, keys_of(name));
            add("command=", of_command(arguments.get("command").unwrap_or_default()));
            add("extract=", doubts(arguments.get("extract").unwrap_or_default()));
        }
        "alert_if" => {
            let arguments = Arguments::parse(name, argument, keys_of(name));
            let term = arguments.get("match").filter(|value| value.contains(',')).and_then(term_in);
            found.extend(term.map(|term| format!("alert_if: {term}= is part of the text of match=: write terms behind the limit")));
        }
        "active" if argument.contains("24:00") => add("active:", vec!["24:00 counts as 23:59"]),
        _ => {}
    }
    found
}

fn of_group(group: &Group<'_>) -> Vec<Fault> {
    let mut found = Vec::new();
    let early = group.lines.iter().take_while(|line| directive(line).is_ok_and(|(name, _)| !OPENERS.contains(&name)));
    let opener = if matches!(group.rule, Rule::Log(_)) { "file:" } else { "process: or run:" };
    found.extend(early.map(|line| line.fault(format!("stands in front of its {opener}, and counts for that group"))));
    match &group.rule {
        Rule::Log(rule) if rule.is_stripped => {
            let asking = rule.patterns.iter().chain(&rule.ignores).map(Pattern::as_str).filter(|pattern| asks_for_escape(pattern));
            found.extend(asking.map(|pattern| group.fault(format!("strip: removes the escape sequences that \"{pattern}\" looks for"))));
        }
        Rule::Command(rule) if rule.alerts.is_empty() => found.push(group.fault("run: has no alert: the command is run for nothing")),
        Rule::Command(rule) => {
            let is_silent = |alert: &&CommandAlert| {
                matches!(alert.subject, AlertSubject::Each(_)) && matches!(alert.kind.text(), Some(EventText::Literal(_)))
            };
            let silent = rule.alerts.iter().filter(is_silent);
            found.extend(silent.map(|alert| {
                let tags = &alert.tags;
                group.fault(format!("alert_if: tags={tags} applies to many lines, and message= does not say which: write text= with {{1}}"))
            }));
        }
        Rule::Process(rule) if rule.min > rule.max => {
            found.push(group.fault(format!("min={} is above max={}: it always alerts", rule.min, rule.max)));
        }
        _ => {}
    }
    found
}

/// Whether a pattern is about the character with which escape sequences begin.
fn asks_for_escape(pattern: &str) -> bool {
    ["\\x1b", "\\x{1b}", "\\u001b", "\u{1b}"].iter().any(|escape| pattern.to_lowercase().contains(escape))
}

/// What a shell would do with a path, and an agent does not.
fn of_path(path: &str) -> Vec<&'static str> {
    let compressed = [".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z", ".zip"];
    let has_list = path.split_once('{').and_then(|(_, rest)| rest.split_once('}')).is_some_and(|(list, _)| list.contains(','));
    let doubts = [
        (path.starts_with('~'), "~ is not expanded: write the whole path"),
        (has_variable(path), "variables are not expanded"),
        (path.contains("**"), "** means the same as *: the names of one folder"),
        (has_list, "{a,b} is not expanded: write a group for each"),
        (compressed.iter().any(|end| path.ends_with(end)), "compressed files are not decompressed"),
        (path.starts_with(['"', '\'']), "the quotes are part of the path"),
        (path.contains("\\ "), "the backslash is part of the path: a space needs none"),
        (["%Y", "%m", "%d"].iter().any(|date| path.contains(date)), "a date is not filled in: * finds the files of all days"),
        (path.ends_with('/'), "names a folder: add * for its files"),
        (has_comment(path), "the text from # on is part of the path: a comment stands on a line of its own"),
    ];
    doubts.into_iter().filter(|(is_doubtful, _)| *is_doubtful).map(|(_, doubt)| doubt).collect()
}

/// What a shell would do with a command, and an agent does not.
fn of_command(command: &str) -> Vec<&'static str> {
    let arguments = command.trim().split_once(' ').map_or("", |(_, arguments)| arguments);
    let doubts = [
        (command.contains(['"', '\'']), "the quotes are passed on: no shell reads the command, which is split at white space"),
        (command.contains("\\ "), "the backslash is passed on: no shell reads the command, which is split at white space"),
        (command.contains(['|', '<', '>', ';', '&', '`']), "no shell reads the command: pipes and redirections go into a script"),
        (has_variable(command) || command.contains("$("), "no shell reads the command: variables are not expanded"),
        (command.split_whitespace().any(|word| word.starts_with("~/")), "no shell reads the command: ~ is not expanded"),
        (arguments.contains(['*', '?']), "no shell reads the command: wildcards are not expanded"),
        (has_comment(command), "the text from # on is part of the command: a comment stands on a line of its own"),
    ];
    doubts.into_iter().filter(|(is_doubtful, _)| *is_doubtful).map(|(_, doubt)| doubt).collect()
}

fn has_variable(text: &str) -> bool {
    text.match_indices('$').any(|(at, _)| text[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '{' || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directives::host::HostFile;
    use crate::directives::source::Source;

    fn found(text: &str) -> Vec<String> {
        let lines: Vec<_> = Source { path: "h", text }.lines().collect();
        warnings(&lines, &HostFile::parse(lines.iter().copied()).groups).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_form_that_is_probably_not_meant_has_a_warning() {
        for (text, warning) in [
            ("file: ~/log\nmatch: a\nalert_all: tags=A", "h:1: file: ~ is not expanded"),
            ("file: $HOME/log\nmatch: a\nalert_all: tags=A", "h:1: file: variables"),
            ("file: /var/**/log\nmatch: a\nalert_all: tags=A", "h:1: file: ** means"),
            ("file: /var/{a,b}.log\nmatch: a\nalert_all: tags=A", "h:1: file: {a,b} is not expanded"),
            ("file: /var/log/a.gz\nmatch: a\nalert_all: tags=A", "h:1: file: compressed"),
            ("file: \"/var/log/a\"\nmatch: a\nalert_all: tags=A", "h:1: file: the quotes"),
            ("file: /var/log/a-%Y.log\nmatch: a\nalert_all: tags=A", "h:1: file: a date"),
            ("file: /var/log/\nmatch: a\nalert_all: tags=A", "h:1: file: names a folder"),
            ("file: /var/log/a # the log\nmatch: a\nalert_all: tags=A", "h:1: file: the text from #"),
            ("file: |tail -f ~/log\nmatch: a\nalert_all: tags=A", "h:1: file: | no shell reads the command: ~"),
            ("file: /a\nmatch: a # b\nalert_all: tags=A", "h:2: match: the text from #"),
            ("file: /a\nstrip: ansi\nmatch: \\x1B\\[31m\nalert_all: tags=A", "h:1: strip: removes the escape sequences that"),
            ("file: /a\nmatch: a\nignore: b|\nalert_all: tags=A", "h:3: ignore: the pattern is found in every line"),
            ("file: /a\nmatch: [^[]\nalert_all: tags=A", "h:2: match: a [ within a class"),
            ("match: a\nfile: /a\nalert_all: tags=A", "h:1: stands in front of its file:"),
            ("active: 1;0:00-24:00\nfile: /a\nmatch: a\nalert_all: tags=A", "h:1: active: 24:00"),
            ("process: \\<a\nalert_running: tags=A min=1 max=2 message=m", "h:1: process: \\<"),
            ("process: a\nalert_running: tags=A min=2 max=1 message=m", "h:1: min=2 is above max=1"),
            ("ps_command: ps\nps_command: ps ax", "h:2: ps_command: is given twice"),
            ("ps_command: ps | grep x", "h:1: ps_command: no shell"),
            ("run: command=df extract=(a)", "h:1: run: has no alert"),
            (
                "run: command=df extract=(a)\nalert_if: tags=A match=1 upper_limit=1,2 message=m",
                "h:1: alert_if: tags=A applies to many lines",
            ),
            (
                "run: command=df extract=(a)\nalert_if: tags=A match=1,/ for=3 upper_limit=1,2 message=m",
                "h:2: alert_if: for= is part of the text of match=",
            ),
            ("run: command=sh -c 'df' extract=(a)\nalert_metric: tags=A match=1,a metric=1", "h:1: command= the quotes"),
            ("run: command=ls /a/* extract=(a)\nalert_metric: tags=A match=1,a metric=1", "h:1: command= no shell reads the command: wild"),
            ("run: command=df $X extract=(a)\nalert_metric: tags=A match=1,a metric=1", "h:1: command= no shell reads the command: var"),
            (r"run: command=mysql -e show\ status extract=(a)", "h:1: command= the backslash"),
            ("run: command=df extract=(a){b\nalert_metric: tags=A match=1,a metric=1", "h:1: extract= a { that"),
        ] {
            let found = found(text);
            assert!(found.iter().any(|found| found.starts_with(warning)), "{text}: {found:?}");
        }
    }

    #[test]
    fn white_space_behind_a_pattern_has_a_warning() {
        let text =
            "\u{feff}# a \n\nfile: /a \nmatch: a \r\nmatch: b \nignore: c\t\nalert_all: tags=A \nmatch: d\r\nrun: command=x extract=a \n";
        let found: Vec<String> = ends_in_white_space(Source { path: "h", text }).iter().map(ToString::to_string).collect();
        assert_eq!(found.iter().map(|found| &found[..4]).collect::<Vec<_>>(), ["h:4:", "h:5:", "h:6:", "h:9:"], "{found:?}");
    }

    #[test]
    fn what_is_written_as_it_is_meant_has_none() {
        let text = "file: /var/log/*.log\nmatch: ^[^\\[]+#\\d{2} \\{\nignore: .*x\nactive: 1;08:00-23:59\nalert_all: tags=A\n\
                    file: |logread -f\nmatch: .\nalert_count: tags=A seconds=9\n\
                    file: /a\nencoding: utf-16\nstrip: ansi\nmatch: a\nalert_all: tags=A\nfile: /b\nmatch: \\x1b\nalert_all: tags=A\n\
                    ps_command: ps ax\nprocess: [s]shd\nalert_running: tags=A min=1 max=1 message=m\n\
                    run: command=df extract=(a)\nalert_if: tags=A match=1,/ upper_limit=1,2 for=3 message=a for=3\n\
                    run: command=df -kP / extract=(\\d+)% (/)$\nalert_metric: tags=A match=2,/ metric=1\n";
        assert_eq!(found(text), [""; 0]);
    }
}
