//! The configuration of every host: its file and the includes that it uses, checked as they change. What has an error does not replace
//! what was good. Texts come in; the files are read elsewhere.

use crate::directives::host::{HostFile, Rule};
use crate::directives::{emit_marked, expand, text_of, Expanded, Fault, Source, SourceLine};
use crate::wire::{Revision, MAX_DATAGRAM, MAX_PARTS, MAX_PART_TEXT};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// A file that was read, or the reason why it could not be.
pub type Content = Result<Vec<u8>, String>;

/// All host and include files.
#[derive(Default)]
pub(super) struct Configurations {
    hosts: HashMap<Rc<str>, HostEntry>,
    includes: HashMap<String, TextFile>,
    /// The parts that were asked for last: an agent asks for those of one revision several times, and to make them all rules are parsed.
    carried: Option<(Revision, Rc<[String]>)>,
}

#[derive(Clone)]
struct TextFile {
    path: Rc<str>,
    text: Rc<str>,
    /// What is wrong with the file as a whole.
    fault: Option<Fault>,
}

struct HostEntry {
    file: TextFile,
    serving: Snapshot,
}

/// The texts of which one host's configuration is made. They are shared, so that thousands of hosts may use one include.
#[derive(Clone)]
struct Snapshot {
    host: TextFile,
    includes: Vec<(Rc<str>, Option<TextFile>)>,
    revision: Revision,
    faulty: bool,
}

/// What came of looking at a host's files again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The host.
    pub(super) host: Rc<str>,
    /// Whether agents are to be served something else than before.
    pub(super) changed: bool,
    /// All that is wrong with the files as they are now.
    pub(super) faults: Vec<Fault>,
}

/// A configuration as version 1 agents read it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClassicConfig {
    /// Joined by `%%`.
    pub(super) lines: String,
    /// Where a group begins that such agents cannot have, and why.
    pub(super) left_out: Vec<Fault>,
}

impl Configurations {
    /// Most bytes of one host's configuration: parts may be a little shorter than they can be, where characters end.
    const MAX_TEXT: usize = MAX_PART_TEXT * MAX_PARTS as usize / 2;

    /// A host's file has that content now.
    pub(super) fn set_host(&mut self, name: &str, path: &str, content: Content) -> Outcome {
        let file = TextFile::new(path, content, self.hosts.get(name).map(|entry| &entry.file));
        self.judge(name.into(), file)
    }

    /// A host's file is gone. Returns whether there was one.
    pub(super) fn remove_host(&mut self, name: &str) -> bool {
        self.hosts.remove(name).is_some()
    }

    /// An include has that content now, or is gone. Returns what that means for each host that uses it.
    pub(super) fn set_include(&mut self, name: &str, file: Option<(&str, Content)>) -> Vec<Outcome> {
        match file {
            Some((path, content)) => {
                let file = TextFile::new(path, content, self.includes.get(name));
                self.includes.insert(name.to_string(), file);
            }
            None => drop(self.includes.remove(name)),
        }
        let uses = |entry: &HostEntry| {
            let now = entry.serving.includes.iter().any(|(include, _)| **include == *name);
            // What is served may be an older version of the file, which uses other includes.
            now || entry.serving.faulty || !Rc::ptr_eq(&entry.serving.host.text, &entry.file.text)
        };
        let affected: Vec<Rc<str>> = self.hosts.iter().filter(|(_, entry)| uses(entry)).map(|(name, _)| name.clone()).collect();
        affected
            .into_iter()
            .filter_map(|host| self.hosts.get(&host).map(|entry| entry.file.clone()).map(|file| self.judge(host, file)))
            .collect()
    }

    fn judge(&mut self, host: Rc<str>, file: TextFile) -> Outcome {
        let (snapshot, faults) = Snapshot::new(&file, &self.includes);
        let before = self.hosts.get(&host).map(|entry| &entry.serving);
        let keeps_good = snapshot.faulty && before.is_some_and(|before| !before.faulty);
        let changed = !keeps_good && before.is_none_or(|before| before.revision != snapshot.revision);
        let serving = match self.hosts.remove(&host) {
            Some(entry) if keeps_good => entry.serving,
            _ => snapshot,
        };
        self.hosts.insert(host.clone(), HostEntry { file, serving });
        Outcome { host, changed, faults }
    }

    /// The revision in force for a host; none for one without a file.
    pub(super) fn revision(&self, host: &str) -> Revision {
        self.hosts.get(host).map_or(Revision::NONE, |entry| entry.serving.revision)
    }

    /// The text in force for a host, in parts that each fit a datagram.
    pub(super) fn parts(&mut self, host: &str) -> Rc<[String]> {
        let revision = self.revision(host);
        if let Some((_, parts)) = self.carried.as_ref().filter(|(carried, _)| *carried == revision) {
            return parts.clone();
        }
        let parts: Rc<[String]> = self.new_parts(host).into();
        self.carried = Some((revision, parts.clone()));
        parts
    }

    fn new_parts(&self, host: &str) -> Vec<String> {
        let Some(entry) = self.hosts.get(host) else { return vec![String::new()] };
        let mut rest = &*entry.serving.text();
        let mut parts = Vec::new();
        while !rest.is_empty() || parts.is_empty() {
            let part = crate::text::truncate(rest, MAX_PART_TEXT);
            parts.push(part.to_string());
            rest = &rest[part.len()..];
        }
        parts
    }

    /// The configuration in force for a host as version 1 agents read it; `None` for one without a file.
    pub(super) fn classic(&self, host: &str) -> Option<ClassicConfig> {
        Some(self.hosts.get(host)?.serving.classic(host))
    }
}

impl TextFile {
    /// The file as it is now. One that cannot be read keeps the text that it had.
    fn new(path: &str, content: Content, before: Option<&Self>) -> Self {
        let (text, fault) = match content {
            Err(reason) => {
                let reason = format!("cannot be read: {reason}");
                let fault = Fault { path: path.into(), line: 0, reason };
                (before.map_or_else(|| "".into(), |before| before.text.clone()), Some(fault))
            }
            Ok(bytes) => {
                let (text, fault) = text_of(path, bytes);
                (text.into(), fault)
            }
        };
        Self { path: path.into(), text, fault }
    }

    fn source(&self) -> Source<'_> {
        Source { path: &self.path, text: &self.text }
    }
}

impl Snapshot {
    /// The present texts, and all that is wrong with them.
    fn new(host: &TextFile, includes: &HashMap<String, TextFile>) -> (Self, Vec<Fault>) {
        let expanded = expand(host.source(), |name| includes.get(name).map(TextFile::source));
        let used: HashSet<&str> = expanded.includes.iter().copied().collect();
        let used = used.into_iter().map(|name| (Rc::from(name), includes.get(name).cloned())).collect();
        let file = HostFile::parse(expanded.lines.iter().copied());
        let (text, fits) = emit_fitting(&file);
        let mut snapshot = Self { host: host.clone(), includes: used, revision: Revision::of(&text), faulty: false };
        let files = [Some(host)].into_iter().chain(snapshot.includes.iter().map(|(_, file)| file.as_ref())).flatten();
        let mut faults: Vec<Fault> = files.filter_map(|file| file.fault.clone()).collect();
        faults.extend(expanded.faults);
        faults.extend(file.faults);
        if !fits {
            let reason = format!("with its includes larger than {} bytes", Configurations::MAX_TEXT);
            faults.push(Fault { path: host.path.to_string(), line: 0, reason });
        }
        snapshot.faulty = !faults.is_empty();
        (snapshot, faults)
    }

    fn expanded(&self) -> Expanded<'_> {
        let include = |name: &str| self.includes.iter().find(|(known, _)| **known == *name)?.1.as_ref();
        expand(self.host.source(), |name| include(name).map(TextFile::source))
    }

    /// The good groups, as version 2 carries them.
    fn text(&self) -> String {
        emit_fitting(&HostFile::parse(self.expanded().lines)).0
    }

    fn classic(&self, host: &str) -> ClassicConfig {
        let file = HostFile::parse(self.expanded().lines);
        let has_list = file.groups.iter().any(|group| matches!(group.rule, Rule::ProcessList(_)));
        let mut config = ClassicConfig { lines: String::new(), left_out: Vec::new() };
        let room = MAX_DATAGRAM - "CONFIG%%START%%".len();
        for group in &file.groups {
            let lines = match group.classic_lines() {
                Ok(_) if matches!(group.rule, Rule::Process(_)) && !has_list => Err("process: without ps_command:"),
                lines => lines,
            };
            let joined = lines.map(|lines| lines.join("%%"));
            match joined {
                Ok(lines) if config.lines.len() + 2 + lines.len() <= room => {
                    if !config.lines.is_empty() {
                        config.lines += "%%";
                    }
                    config.lines += &lines;
                }
                Ok(_) => config.left_out.push(group.fault(format!("left out for {host}: the configuration does not fit one datagram"))),
                Err(reason) => {
                    let reason = format!("left out for {host}, whose agent does not know it: {reason}");
                    config.left_out.push(group.fault(reason));
                }
            }
        }
        config
    }
}

/// The text of the good groups, up to the first that makes it too large; and whether it is all of them.
fn emit_fitting(file: &HostFile<'_>) -> (String, bool) {
    let text = emit_marked(&file.good_lines());
    if text.len() <= Configurations::MAX_TEXT {
        return (text, true);
    }
    // What comes with a line at most: a mark, with its number and path, or the empty lines that stand for one.
    let size = |line: &SourceLine<'_>| line.text.len() + line.path.len() + 40;
    let mut room = Configurations::MAX_TEXT;
    let fitting = file.groups.iter().take_while(|group| {
        let left = room.checked_sub(group.lines.iter().map(size).sum());
        room = left.unwrap_or(0);
        left.is_some()
    });
    let lines: Vec<SourceLine<'_>> = fitting.flat_map(|group| group.lines.iter().copied()).collect();
    (emit_marked(&lines), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "file: /a\nmatch: a\nalert_all: tags=A\n";
    const BAD: &str = "file: /b\nmatch: (\nalert_all: tags=B\n";

    fn text_of(configurations: &mut Configurations, host: &str) -> String {
        configurations.parts(host).concat()
    }

    fn ok(text: &str) -> Content {
        Ok(text.as_bytes().to_vec())
    }

    #[test]
    fn an_error_does_not_replace_what_was_good() {
        let mut all = Configurations::default();
        assert!(all.set_host("h", "hosts/h", ok(GOOD)).changed);
        let before = (all.revision("h"), text_of(&mut all, "h"));
        let outcome = all.set_host("h", "hosts/h", ok(&format!("{GOOD}{BAD}")));
        assert!(!outcome.changed);
        assert_eq!(outcome.faults.iter().map(|f| (&*f.path, f.line)).collect::<Vec<_>>(), [("hosts/h", 5)]);
        assert_eq!((all.revision("h"), text_of(&mut all, "h")), before);
        let outcome = all.set_host("h", "hosts/h", ok(&GOOD.replace("/a", "/c")));
        assert!(outcome.changed && outcome.faults.is_empty());
    }

    #[test]
    fn without_a_good_version_the_good_groups_are_served() {
        let mut all = Configurations::default();
        let outcome = all.set_host("h", "hosts/h", ok(&format!("{BAD}{GOOD}")));
        assert!(outcome.changed);
        assert_eq!(outcome.faults.len(), 1);
        let text = text_of(&mut all, "h");
        assert!(text.contains("/a") && !text.contains("/b"), "{text}");
        assert_eq!(Revision::of(&text), all.revision("h"));
    }

    #[test]
    fn a_changed_include_changes_its_hosts_and_no_others() {
        let mut all = Configurations::default();
        all.set_include("common", Some(("inc/common", ok(GOOD))));
        all.set_host("user", "hosts/user", ok("include: common\n"));
        all.set_host("other", "hosts/other", ok(GOOD));
        let outcomes = all.set_include("common", Some(("inc/common", ok("file: /x\nmatch: x\nalert_all: tags=X"))));
        assert_eq!(outcomes.iter().map(|o| (&*o.host, o.changed)).collect::<Vec<_>>(), [("user", true)]);
        assert!(text_of(&mut all, "user").contains("#line 1 inc/common\nfile: /x"));
        let outcomes = all.set_include("common", None);
        assert_eq!(outcomes.iter().map(|o| (&*o.host, o.changed, o.faults.len())).collect::<Vec<_>>(), [("user", false, 1)]);
        assert!(text_of(&mut all, "user").contains("file: /x"), "the last good version stays");
    }

    #[test]
    fn an_include_that_appears_mends_the_host_that_waits_for_it() {
        let mut all = Configurations::default();
        all.set_host("h", "hosts/h", ok("include: late\n"));
        let outcomes = all.set_include("late", Some(("inc/late", ok(GOOD))));
        assert_eq!(outcomes.iter().map(|o| (o.changed, o.faults.len())).collect::<Vec<_>>(), [(true, 0)]);
        // And so where the good version is an older one that did not use it.
        assert!(!all.set_host("h", "hosts/h", ok("include: late\ninclude: later")).changed);
        let outcomes = all.set_include("later", Some(("inc/later", ok("file: /z\nmatch: z\nalert_all: tags=Z"))));
        assert!(outcomes[0].changed && text_of(&mut all, "h").contains("/z"));
    }

    #[test]
    fn comments_do_not_change_the_revision_of_what_they_follow() {
        let mut all = Configurations::default();
        all.set_host("h", "hosts/h", ok(GOOD));
        let outcome = all.set_host("h", "hosts/h", ok(&format!("{GOOD}# a remark\n")));
        assert!(!outcome.changed);
    }

    #[test]
    fn files_that_are_no_text_are_faults_of_theirs() {
        let mut all = Configurations::default();
        all.set_host("h", "hosts/h", ok(GOOD));
        for (content, reason) in [
            (Err("Permission denied".to_string()), "hosts/h:0: cannot be read: Permission denied"),
            (Ok(b"file: /a\n# \xff\n".to_vec()), "hosts/h:2: is not UTF-8"),
            (Ok(vec![b'#'; crate::directives::MAX_FILE + 1]), "hosts/h:0: is larger than 1048576 bytes"),
        ] {
            let outcome = all.set_host("h", "hosts/h", content);
            assert!(!outcome.changed);
            assert_eq!(outcome.faults[0].to_string(), reason);
        }
        assert!(text_of(&mut all, "h").contains("/a"));
    }

    #[test]
    fn version_1_agents_get_what_they_can_read() {
        let mut all = Configurations::default();
        let text = "# comment\n\n  file: /a\nmatch: a\nalert_all: tags=A\nfile: /b\nmatch: b\nignore: c\nalert_all: tags=B\n\
                    file: /c\nmatch: 5%%\nalert_all: tags=C\nprocess: x\nalert_running: tags=P min=1 max=2 message=m\n";
        all.set_host("h", "hosts/h", ok(text));
        let config = all.classic("h").unwrap();
        assert_eq!(config.lines, "file: /a%%match: a%%alert_all: tags=A");
        let left_out: Vec<_> = config.left_out.iter().map(|fault| fault.line).collect();
        assert_eq!(left_out, [6, 10, 13]);
        all.set_host("h", "hosts/h", ok(&format!("{text}ps_command: ps\n")));
        let config = all.classic("h").unwrap();
        assert!(config.lines.ends_with("process: x%%alert_running: tags=P min=1 max=2 message=m%%ps_command: ps"), "{}", config.lines);
    }

    #[test]
    fn of_a_configuration_that_no_parts_can_carry_the_first_groups_are_served() {
        let mut all = Configurations::default();
        let long = "x".repeat(5000);
        let include: String = (0..150).map(|i| format!("file: /{i}/{long}\nmatch: a\nalert_all: tags=A message=end{i}\n")).collect();
        all.set_include("one", Some(("one", ok(&include))));
        let outcome = all.set_host("h", "hosts/h", ok("include: one\n"));
        assert_eq!(
            outcome.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["hosts/h:0: with its includes larger than 491520 bytes"]
        );
        let parts = all.parts("h");
        assert!(parts.len() <= MAX_PARTS as usize, "{}", parts.len());
        let text = parts.concat();
        assert_eq!(Revision::of(&text), all.revision("h"));
        let file = HostFile::parse(crate::directives::marked_lines(&text, "h"));
        assert!(file.faults.is_empty() && (90..100).contains(&file.groups.len()), "{}", file.groups.len());
    }

    #[test]
    fn a_large_configuration_goes_in_parts_that_make_the_whole() {
        let mut all = Configurations::default();
        let text: String = (0..500).map(|i| format!("file: /lög/{i}\nmatch: ä{i}\nalert_all: tags=T{i}\n")).collect();
        all.set_host("h", "hosts/h", ok(&text));
        let parts = all.parts("h");
        assert!(parts.len() > 10);
        assert!(parts.iter().all(|part| part.len() <= MAX_PART_TEXT));
        assert_eq!(Revision::of(&parts.concat()), all.revision("h"));
    }
}
