//! The configuration of every host: its file and the includes that it uses, checked as they change. What has an error does not replace
//! what was good. Texts come in; the files are read elsewhere.

use crate::directives::host::{HostFile, Patterns, Rule};
use crate::directives::{emit_marked, expand, text_of, Expanded, Fault, Source, SourceLine};
use crate::wire::{Revision, MAX_CONFIGURATION, MAX_DATAGRAM, MAX_PART_TEXT};
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

/// A file that was read, or the reason why it could not be.
pub type Content = Result<Vec<u8>, String>;

/// All host and include files. Thousands of hosts may use one include: texts are kept once, and rules not at all.
#[derive(Default)]
pub(super) struct Configurations {
    hosts: HashMap<Rc<str>, HostEntry>,
    includes: HashMap<Rc<str>, Include>,
    /// Hosts to be judged again since an include of theirs changed.
    waiting: VecDeque<Rc<str>>,
    patterns: Patterns,
    /// The parts that were asked for last: an agent asks for those of one revision several times.
    carried: Option<(Revision, Rc<[String]>)>,
}

struct TextFile {
    path: Box<str>,
    text: Box<str>,
    /// What is wrong with the file as a whole.
    fault: Option<Box<Fault>>,
}

struct Include {
    file: Rc<TextFile>,
    /// The faults in this version of it that were said: one that a thousand hosts meet is one.
    said: HashSet<String>,
}

/// The name of an include that a host uses, and the file, if there was one.
type UsedInclude = (Rc<str>, Option<Rc<TextFile>>);

struct HostEntry {
    file: Rc<TextFile>,
    serving: Snapshot,
    waiting: bool,
}

/// The texts of which one host's configuration is made.
struct Snapshot {
    host: Rc<TextFile>,
    includes: Box<[UsedInclude]>,
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
    /// All that is wrong with the files as they are now, save what was already said of an include.
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
    /// Bytes of texts that are judged in one go: some milliseconds' work.
    const JUDGED_AT_ONCE: usize = 64 * 1024;

    /// A host's file has that content now.
    pub(super) fn set_host(&mut self, name: &str, path: &str, content: Content) -> Outcome {
        let (host, before) = match self.hosts.get_key_value(name) {
            Some((host, entry)) => (host.clone(), Some(&*entry.file)),
            None => (name.into(), None),
        };
        let file = Rc::new(TextFile::new(path, content, before));
        self.classify(host, file)
    }

    /// A host's file is gone. Returns whether there was one.
    pub(super) fn remove_host(&mut self, name: &str) -> bool {
        self.hosts.remove(name).is_some()
    }

    /// An include has that content now, or is gone. The hosts that use it wait to be judged.
    pub(super) fn set_include(&mut self, name: &str, file: Option<(&str, Content)>) {
        match file {
            Some((path, content)) => {
                let (name, before) = match self.includes.get_key_value(name) {
                    Some((name, include)) => (name.clone(), Some(&*include.file)),
                    None => (name.into(), None),
                };
                let file = Rc::new(TextFile::new(path, content, before));
                self.includes.insert(name, Include { file, said: HashSet::new() });
            }
            None => drop(self.includes.remove(name)),
        }
        for (host, entry) in &mut self.hosts {
            let used = entry.serving.includes.iter().any(|(include, _)| **include == *name);
            // What is served may be an older version of the file, which uses other includes.
            let may_use = used || entry.serving.faulty || !Rc::ptr_eq(&entry.serving.host, &entry.file);
            if may_use && !std::mem::replace(&mut entry.waiting, true) {
                self.waiting.push_back(host.clone());
            }
        }
    }

    /// Whether hosts wait to be judged.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Judges some of the hosts that wait. Until its turn comes, a host is served what it was before.
    pub(super) fn classify_some(&mut self) -> Vec<Outcome> {
        let (mut outcomes, mut judged) = (Vec::new(), 0);
        while judged < Self::JUDGED_AT_ONCE {
            let Some(host) = self.waiting.pop_front() else {
                self.waiting.shrink_to_fit();
                break;
            };
            // One that was judged meanwhile, or is gone, waits no more.
            let Some(entry) = self.hosts.get(&host).filter(|entry| entry.waiting) else { continue };
            let file = entry.file.clone();
            outcomes.push(self.classify(host.clone(), file));
            judged += self.hosts.get(&host).map_or(0, |entry| 100 + entry.serving.size());
        }
        outcomes
    }

    fn classify(&mut self, host: Rc<str>, file: Rc<TextFile>) -> Outcome {
        let (snapshot, mut faults) = Snapshot::new(&file, &self.includes, &mut self.patterns);
        for (name, _) in &snapshot.includes {
            let Some(Include { file, said }) = self.includes.get_mut(name) else { continue };
            faults.retain(|fault| *fault.path != *file.path || said.insert(fault.to_string()));
        }
        let before = self.hosts.get(&host).map(|entry| &entry.serving);
        let keeps_good = snapshot.faulty && before.is_some_and(|before| !before.faulty);
        let changed = !keeps_good && before.is_none_or(|before| before.revision != snapshot.revision);
        match self.hosts.get_mut(&host) {
            Some(entry) => {
                (entry.file, entry.waiting) = (file, false);
                if !keeps_good {
                    entry.serving = snapshot;
                }
            }
            None => drop(self.hosts.insert(host.clone(), HostEntry { file, serving: snapshot, waiting: false })),
        }
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
        Self { path: path.into(), text, fault: fault.map(Box::new) }
    }

    fn source(&self) -> Source<'_> {
        Source { path: &self.path, text: &self.text }
    }
}

impl Snapshot {
    /// The present texts, and all that is wrong with them.
    fn new(host: &Rc<TextFile>, includes: &HashMap<Rc<str>, Include>, patterns: &mut Patterns) -> (Self, Vec<Fault>) {
        let expanded = expand(host.source(), |name| includes.get(name).map(|include| include.file.source()));
        let names: HashSet<&str> = expanded.includes.iter().copied().collect();
        let used = names.into_iter().map(|name| match includes.get_key_value(name) {
            Some((name, include)) => (name.clone(), Some(include.file.clone())),
            None => (name.into(), None),
        });
        let used: Box<[_]> = used.collect();
        let file = HostFile::parse_with(expanded.lines.iter().copied(), patterns);
        let (text, fits) = emit_fitting(&file);
        let mut faults = Vec::new();
        for file in [Some(host)].into_iter().chain(used.iter().map(|(_, file)| file.as_ref())).flatten() {
            faults.extend(file.fault.as_deref().cloned());
        }
        faults.extend(expanded.faults);
        faults.extend(file.faults);
        if !fits {
            let reason = format!("with its includes larger than {} bytes", MAX_CONFIGURATION);
            faults.push(Fault { path: host.path.to_string(), line: 0, reason });
        }
        let snapshot = Self { host: host.clone(), includes: used, revision: Revision::of(&text), faulty: !faults.is_empty() };
        (snapshot, faults)
    }

    /// Bytes of all texts.
    fn size(&self) -> usize {
        self.host.text.len() + self.includes.iter().filter_map(|(_, file)| file.as_ref()).map(|file| file.text.len()).sum::<usize>()
    }

    fn expanded(&self) -> Expanded<'_> {
        let include = |name: &str| self.includes.iter().find(|(known, _)| **known == *name)?.1.as_ref();
        expand(self.host.source(), |name| include(name).map(|file| file.source()))
    }

    /// The good groups, as version 2 carries them.
    fn text(&self) -> String {
        let lines = self.expanded().lines;
        if !self.faulty {
            return emit_marked(&lines);
        }
        emit_fitting(&HostFile::parse(lines)).0
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
    if text.len() <= MAX_CONFIGURATION {
        return (text, true);
    }
    // What comes with a line at most: a mark, with its number and path, or the empty lines that stand for one.
    let size = |line: &SourceLine<'_>| line.text.len() + line.path.len() + 40;
    let mut room = MAX_CONFIGURATION;
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

    fn set_include(all: &mut Configurations, name: &str, file: Option<(&str, Content)>) -> Vec<Outcome> {
        all.set_include(name, file);
        let outcomes = std::iter::from_fn(|| Some(all.classify_some()).filter(|outcomes| !outcomes.is_empty()));
        outcomes.flatten().collect()
    }

    #[test]
    fn a_changed_include_reaches_the_last_of_many_hosts_in_small_steps() {
        const HOSTS: usize = 10_000;
        let mut all = Configurations::default();
        let include = |tag: &str| Some(("inc/common", ok(&GOOD.replace("tags=A", &format!("tags={tag}")).repeat(10))));
        set_include(&mut all, "common", include("A"));
        (0..HOSTS).for_each(|i| drop(all.set_host(&format!("h{i}"), &format!("hosts/h{i}"), ok("include: common\n"))));
        all.set_include("common", include("B"));
        // A second change finds all hosts waiting already, and one that is judged for itself waits no more.
        all.set_include("common", include("C"));
        assert!(all.set_host("h7", "hosts/h7", ok("include: common\n")).changed);
        let (mut changed, mut steps) = (HashSet::from(["h7".into()]), 0);
        while all.is_waiting() {
            let outcomes = all.classify_some();
            assert!(outcomes.len() <= 200, "{}", outcomes.len());
            changed.extend(outcomes.into_iter().filter(|outcome| outcome.changed).map(|outcome| outcome.host));
            steps += 1;
        }
        assert!(steps >= 50, "{steps}");
        assert_eq!(changed.len(), HOSTS);
        assert!((0..HOSTS).all(|i| text_of(&mut all, &format!("h{i}")).contains("tags=C")));
    }

    #[test]
    fn while_a_host_waits_it_is_served_what_it_was_before() {
        let mut all = Configurations::default();
        set_include(&mut all, "common", Some(("inc/common", ok(GOOD))));
        all.set_host("h", "hosts/h", ok("include: common\n"));
        let before = (all.revision("h"), text_of(&mut all, "h"));
        all.set_include("common", Some(("inc/common", ok(&GOOD.replace("/a", "/new")))));
        assert_eq!((all.revision("h"), text_of(&mut all, "h")), before);
        assert_eq!(all.classify_some().len(), 1);
        assert!(text_of(&mut all, "h").contains("/new"));
    }

    #[test]
    fn an_error_in_an_include_is_said_once_for_each_version_of_it() {
        let mut all = Configurations::default();
        set_include(&mut all, "common", Some(("inc/common", ok(BAD))));
        let said = |outcomes: &[Outcome]| outcomes.iter().map(|outcome| outcome.faults.len()).sum::<usize>();
        let first: Vec<_> = (0..5).map(|i| all.set_host(&format!("h{i}"), "hosts/h", ok("include: common\n"))).collect();
        assert_eq!(said(&first), 1);
        assert_eq!(said(&set_include(&mut all, "common", Some(("inc/common", ok(BAD))))), 1);
        assert_eq!(said(&set_include(&mut all, "common", Some(("inc/common", ok(GOOD))))), 0);
        assert_eq!(said(&set_include(&mut all, "common", None)), 5, "each host file names a file that is not there");
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
        set_include(&mut all, "common", Some(("inc/common", ok(GOOD))));
        all.set_host("user", "hosts/user", ok("include: common\n"));
        all.set_host("other", "hosts/other", ok(GOOD));
        let outcomes = set_include(&mut all, "common", Some(("inc/common", ok("file: /x\nmatch: x\nalert_all: tags=X"))));
        assert_eq!(outcomes.iter().map(|o| (&*o.host, o.changed)).collect::<Vec<_>>(), [("user", true)]);
        assert!(text_of(&mut all, "user").contains("#line 1 inc/common\nfile: /x"));
        let outcomes = set_include(&mut all, "common", None);
        assert_eq!(outcomes.iter().map(|o| (&*o.host, o.changed, o.faults.len())).collect::<Vec<_>>(), [("user", false, 1)]);
        assert!(text_of(&mut all, "user").contains("file: /x"), "the last good version stays");
    }

    #[test]
    fn an_include_that_appears_mends_the_host_that_waits_for_it() {
        let mut all = Configurations::default();
        all.set_host("h", "hosts/h", ok("include: late\n"));
        let outcomes = set_include(&mut all, "late", Some(("inc/late", ok(GOOD))));
        assert_eq!(outcomes.iter().map(|o| (o.changed, o.faults.len())).collect::<Vec<_>>(), [(true, 0)]);
        // And so where the good version is an older one that did not use it.
        assert!(!all.set_host("h", "hosts/h", ok("include: late\ninclude: later")).changed);
        let outcomes = set_include(&mut all, "later", Some(("inc/later", ok("file: /z\nmatch: z\nalert_all: tags=Z"))));
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
        set_include(&mut all, "one", Some(("one", ok(&include))));
        let outcome = all.set_host("h", "hosts/h", ok("include: one\n"));
        assert_eq!(
            outcome.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["hosts/h:0: with its includes larger than 491520 bytes"]
        );
        let parts = all.parts("h");
        assert!(parts.len() <= crate::wire::MAX_PARTS as usize, "{}", parts.len());
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
