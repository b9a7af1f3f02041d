//! A group of directives: its lines and the rule that they make.

use super::rule::Rule;
use super::syntax::{keys_of, CONDITION_KEYS, NEW_KEYS};
use crate::directives::arguments::Arguments;
use crate::directives::source::{directive, Fault, SourceLine};
use crate::hash::Fnv1a;
use crate::text::has_separator;

/// The lines of one group and the rule that they make.
#[derive(Debug)]
pub struct Group<'a> {
    /// The lines as they are in the file.
    pub lines: Vec<SourceLine<'a>>,
    /// The rule that they make.
    pub rule: Rule,
}

impl Group<'_> {
    /// A fault of the whole group; it names the first line.
    pub fn fault(&self, reason: impl Into<String>) -> Fault {
        let first = self.lines.first();
        Fault {
            path: first.map_or_else(String::new, |line| line.path.into()),
            line: first.map_or(0, |line| line.number),
            reason: reason.into(),
        }
    }

    /// A hash of the text, independent of file and line numbers. It tells whether a rule has changed.
    pub fn identity(&self) -> u64 {
        self.lines.iter().fold(Fnv1a::EMPTY, |hash, line| hash.with(line.text.as_bytes()).with(b"\n")).value()
    }

    /// The lines for version 1 agents, with arguments in the order that these expect, and without those that they do not
    /// know.
    ///
    /// # Errors
    /// The part that such an agent does not know, or that ends it.
    pub fn classic_lines(&self) -> Result<Vec<String>, &'static str> {
        let known = self.lines_of_known_alerts();
        let lines: Vec<String> = known.into_iter().filter_map(classic_line).collect();
        if lines.iter().any(|line| has_separator(line)) {
            return Err("a line with %% in it");
        }
        self.rule.extension().map_or(Ok(lines), Err)
    }

    /// The lines without the alerts of a command that version 1 agents do not know, and the `active:` of these.
    fn lines_of_known_alerts(&self) -> Vec<&SourceLine<'_>> {
        let Rule::Command(rule) = &self.rule else { return self.lines.iter().collect() };
        let (mut lines, mut alerts, mut is_active_last) = (Vec::new(), rule.alerts.iter(), false);
        for line in &self.lines {
            let name = directive(line).map_or("", |(name, _)| name);
            if name.starts_with("alert") && alerts.next().is_some_and(|alert| alert.extension().is_some()) {
                if is_active_last {
                    lines.pop();
                }
            } else {
                lines.push(line);
            }
            is_active_last = name == "active";
        }
        lines
    }

    /// The parts of these lines that version 1 agents ignore without a word, or that are taken out for them.
    pub fn ignored_by_classic(&self) -> Vec<String> {
        self.rule.ignored()
    }
}

/// The line for version 1 agents; `None` if it is not for them.
fn classic_line(line: &SourceLine<'_>) -> Option<String> {
    if let Ok((name, argument)) = directive(line) {
        let (keys, text) = (keys_of(name), line.text);
        if matches!(name, "cleared" | "join" | "starts" | "encoding" | "strip") {
            return None;
        }
        if !keys.is_empty() {
            let arguments = Arguments::parse(name, argument, keys);
            let known: Vec<&str> = keys.iter().copied().filter(|key| !CONDITION_KEYS.contains(key) && !NEW_KEYS.contains(key)).collect();
            let mut ordered = arguments.in_order(&known);
            // Where the agent needs a message, it gets the template as it stands.
            if let Some(template) = arguments.get("text").filter(|_| name != "alert_all") {
                ordered += &format!(" message={template}");
            }
            return Some(arguments.done().map_or(text.to_string(), |()| format!("{name}: {ordered}")));
        }
    }
    Some(line.text.to_string())
}
