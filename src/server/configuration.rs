//! The configuration of every host: its file and the includes that it uses, checked whenever one of them changes. A configuration with
//! errors does not replace one without. Takes texts and never reads files.

use super::classic_kinds::ClassicKinds;
use crate::directives::host::{HostFile, HostSettings, Patterns, Rule};
use crate::directives::{emit_fitting, emit_marked, expand, text_of, Expanded, Fault, Source};
use crate::wire::{Kind, Revision, MAX_CONFIGURATION, MAX_DATAGRAM, MAX_PART_TEXT};
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

/// The bytes of a file, or why it could not be read.
pub type Content = Result<Vec<u8>, String>;

/// All host and include files. Thousands of hosts may use one include, so each text is stored once, and no rules are stored.
pub(super) struct Configurations {
    hosts: HashMap<Rc<str>, HostEntry>,
    includes: HashMap<Rc<str>, Include>,
    /// Hosts to be checked again, because an include that they use changed.
    recheck_queue: VecDeque<Rc<str>>,
    patterns: Patterns,
    /// The parts that were last asked for: an agent asks for the parts of one revision in several requests.
    parts_cache: Option<(Revision, Rc<[String]>)>,
}

struct TextFile {
    path: Box<str>,
    text: Box<str>,
    /// A fault of the file as a whole: it cannot be read, or is not text.
    fault: Option<Box<Fault>>,
}

struct Include {
    file: Rc<TextFile>,
    /// The faults of this version that were reported: a fault that a thousand hosts meet is reported once.
    reported: HashSet<String>,
}

/// The name of an include that a host uses, and the file if it exists.
type UsedInclude = (Rc<str>, Option<Rc<TextFile>>);

struct HostEntry {
    file: Rc<TextFile>,
    /// The configuration that agents get. Older than `file` if that has errors.
    served: HostConfiguration,
    is_queued: bool,
}

/// The texts that make up the configuration of one host.
struct HostConfiguration {
    host: Rc<TextFile>,
    includes: Box<[UsedInclude]>,
    revision: Revision,
    settings: HostSettings,
    has_faults: bool,
    /// What a Python agent makes events of, once one has sent an event.
    kinds: OnceCell<ClassicKinds>,
}

/// The result of checking a host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CheckedHost {
    /// The name of the host.
    pub(super) host: Rc<str>,
    /// Whether agents now get another configuration than before.
    pub(super) changed: bool,
    /// All faults of the current files, except those of an include that were reported before.
    pub(super) faults: Vec<Fault>,
}

/// A configuration in the form that version 1 agents read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClassicConfig {
    /// The lines, joined by `%%`.
    pub(super) lines: String,
    /// A fault for each group that such agents cannot have, or of which they ignore a part.
    pub(super) left_out: Vec<Fault>,
}

impl Default for Configurations {
    fn default() -> Self {
        Self {
            hosts: HashMap::new(),
            includes: HashMap::new(),
            recheck_queue: VecDeque::new(),
            patterns: Patterns::checked(),
            parts_cache: None,
        }
    }
}

impl Configurations {
    /// Bytes of texts that are checked in one step, which takes some milliseconds.
    const STEP_BYTES: usize = 64 * 1024;

    /// Sets the content of a host file.
    pub(super) fn set_host(&mut self, name: &str, path: &str, content: Content) -> CheckedHost {
        let (host, before) = match self.hosts.get_key_value(name) {
            Some((host, entry)) => (host.clone(), Some(&*entry.file)),
            None => (name.into(), None),
        };
        let file = Rc::new(TextFile::new(path, content, before));
        self.check(host, file)
    }

    /// Removes a host file. Returns whether it existed.
    pub(super) fn remove_host(&mut self, name: &str) -> bool {
        self.hosts.remove(name).is_some()
    }

    /// Sets the content of an include, or removes it. The hosts that use it are queued for [`Self::check_some`].
    pub(super) fn set_include(&mut self, name: &str, file: Option<(&str, Content)>) {
        match file {
            Some((path, content)) => {
                let (name, before) = match self.includes.get_key_value(name) {
                    Some((name, include)) => (name.clone(), Some(&*include.file)),
                    None => (name.into(), None),
                };
                let file = Rc::new(TextFile::new(path, content, before));
                self.includes.insert(name, Include { file, reported: HashSet::new() });
            }
            None => drop(self.includes.remove(name)),
        }
        for (host, entry) in &mut self.hosts {
            let used = entry.served.includes.iter().any(|(include, _)| **include == *name);
            // The served configuration may come from an older file, which uses other includes.
            let may_use = used || entry.served.has_faults || !Rc::ptr_eq(&entry.served.host, &entry.file);
            if may_use && !std::mem::replace(&mut entry.is_queued, true) {
                self.recheck_queue.push_back(host.clone());
            }
        }
    }

    /// Whether hosts are queued for [`Self::check_some`].
    pub(super) fn has_queued_hosts(&self) -> bool {
        !self.recheck_queue.is_empty()
    }

    /// Checks some of the queued hosts. Until its turn comes, a host keeps its configuration.
    pub(super) fn check_some(&mut self) -> Vec<CheckedHost> {
        let (mut checked, mut bytes) = (Vec::new(), 0);
        while bytes < Self::STEP_BYTES {
            let Some(host) = self.recheck_queue.pop_front() else {
                self.recheck_queue.shrink_to_fit();
                break;
            };
            // It may be gone, or checked since it was queued.
            let Some(entry) = self.hosts.get(&host).filter(|entry| entry.is_queued) else { continue };
            let file = entry.file.clone();
            checked.push(self.check(host.clone(), file));
            bytes += self.hosts.get(&host).map_or(0, |entry| 100 + entry.served.size());
        }
        checked
    }

    fn check(&mut self, host: Rc<str>, file: Rc<TextFile>) -> CheckedHost {
        let (configuration, mut faults) = HostConfiguration::new(&file, &self.includes, &mut self.patterns);
        for (name, _) in &configuration.includes {
            let Some(Include { file, reported }) = self.includes.get_mut(name) else { continue };
            faults.retain(|fault| *fault.path != *file.path || reported.insert(fault.to_string()));
        }
        let before = self.hosts.get(&host).map(|entry| &entry.served);
        let keeps_previous = configuration.has_faults && before.is_some_and(|before| !before.has_faults);
        let changed = !keeps_previous && before.is_none_or(|before| before.revision != configuration.revision);
        match self.hosts.get_mut(&host) {
            Some(entry) => {
                (entry.file, entry.is_queued) = (file, false);
                if !keeps_previous {
                    entry.served = configuration;
                }
            }
            None => drop(self.hosts.insert(host.clone(), HostEntry { file, served: configuration, is_queued: false })),
        }
        CheckedHost { host, changed, faults }
    }

    /// The revision that a host gets; [`Revision::NONE`] if it has no file.
    pub(super) fn revision(&self, host: &str) -> Revision {
        self.hosts.get(host).map_or(Revision::NONE, |entry| entry.served.revision)
    }

    /// What the file of a host says about the host itself. `None` if the host has no file.
    pub(super) fn settings(&self, host: &str) -> Option<&HostSettings> {
        self.hosts.get(host).map(|entry| &entry.served.settings)
    }

    /// The configuration that a host gets, split into parts that each fit a datagram.
    pub(super) fn parts(&mut self, host: &str) -> Rc<[String]> {
        let revision = self.revision(host);
        if let Some((_, parts)) = self.parts_cache.as_ref().filter(|(cached, _)| *cached == revision) {
            return parts.clone();
        }
        let parts: Rc<[String]> = self.split(host).into();
        self.parts_cache = Some((revision, parts.clone()));
        parts
    }

    fn split(&self, host: &str) -> Vec<String> {
        let Some(entry) = self.hosts.get(host) else { return vec![String::new()] };
        let mut rest = &*entry.served.text();
        let mut parts = Vec::new();
        while !rest.is_empty() || parts.is_empty() {
            let part = crate::text::truncate(rest, MAX_PART_TEXT);
            parts.push(part.to_string());
            rest = &rest[part.len()..];
        }
        parts
    }

    /// The kind of an event of a version 1 agent of a host. `None` if its rules do not say it, or it has no file.
    pub(super) fn classic_kind(&self, host: &str, tags: &str, text: &str) -> Option<Kind> {
        let served = &self.hosts.get(host)?.served;
        let kinds = || ClassicKinds::of(&HostFile::parse_with(served.expanded().lines, &mut Patterns::checked()));
        served.kinds.get_or_init(kinds).kind_of(tags, text)
    }

    /// The configuration that a version 1 agent of a host gets. `None` if the host has no file.
    pub(super) fn classic(&self, host: &str) -> Option<ClassicConfig> {
        Some(self.hosts.get(host)?.served.classic(host))
    }
}

impl TextFile {
    /// A file with this content. If it could not be read, it keeps the text from before.
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

impl HostConfiguration {
    /// The configuration of the current texts, and all their faults.
    fn new(host: &Rc<TextFile>, includes: &HashMap<Rc<str>, Include>, patterns: &mut Patterns) -> (Self, Vec<Fault>) {
        let expanded = expand(host.source(), |name| includes.get(name).map(|include| include.file.source()));
        let names: HashSet<&str> = expanded.includes.iter().copied().collect();
        let used = names.into_iter().map(|name| match includes.get_key_value(name) {
            Some((name, include)) => (name.clone(), Some(include.file.clone())),
            None => (name.into(), None),
        });
        let used: Box<[_]> = used.collect();
        let file = HostFile::parse_with(expanded.lines.iter().copied(), patterns);
        let (text, too_large) = emit_fitting(&file, MAX_CONFIGURATION);
        let mut faults = Vec::new();
        for file in [Some(host)].into_iter().chain(used.iter().map(|(_, file)| file.as_ref())).flatten() {
            faults.extend(file.fault.as_deref().cloned());
        }
        faults.extend(expanded.faults);
        faults.extend(file.faults);
        faults.extend(too_large.map(|reason| Fault { path: host.path.to_string(), line: 0, reason }));
        let (revision, settings, has_faults) = (Revision::of(&text), expanded.settings, !faults.is_empty());
        let configuration = Self { host: host.clone(), includes: used, revision, settings, has_faults, kinds: OnceCell::new() };
        (configuration, faults)
    }

    /// Bytes of all texts together.
    fn size(&self) -> usize {
        self.host.text.len() + self.includes.iter().filter_map(|(_, file)| file.as_ref()).map(|file| file.text.len()).sum::<usize>()
    }

    fn expanded(&self) -> Expanded<'_> {
        let include = |name: &str| self.includes.iter().find(|(known, _)| **known == *name)?.1.as_ref();
        expand(self.host.source(), |name| include(name).map(|file| file.source()))
    }

    /// The groups without faults, in the form of version 3.
    fn text(&self) -> String {
        let lines = self.expanded().lines;
        if !self.has_faults {
            return emit_marked(&lines);
        }
        emit_fitting(&HostFile::parse_with(lines, &mut Patterns::checked()), MAX_CONFIGURATION).0
    }

    fn classic(&self, host: &str) -> ClassicConfig {
        let file = HostFile::parse_with(self.expanded().lines, &mut Patterns::checked());
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
                    let ignored = group.ignored_by_classic().join(", ");
                    if !ignored.is_empty() {
                        config.left_out.push(group.fault(format!("ignored by the agent of {host}: {ignored}")));
                    }
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

    fn set_include(all: &mut Configurations, name: &str, file: Option<(&str, Content)>) -> Vec<CheckedHost> {
        all.set_include(name, file);
        let checked = std::iter::from_fn(|| Some(all.check_some()).filter(|checked| !checked.is_empty()));
        checked.flatten().collect()
    }

    #[test]
    fn a_changed_include_reaches_the_last_of_many_hosts_in_small_steps() {
        const HOSTS: usize = 10_000;
        let mut all = Configurations::default();
        let include = |tag: &str| Some(("inc/common", ok(&GOOD.replace("tags=A", &format!("tags={tag}")).repeat(10))));
        set_include(&mut all, "common", include("A"));
        (0..HOSTS).for_each(|i| drop(all.set_host(&format!("h{i}"), &format!("hosts/h{i}"), ok("include: common\n"))));
        all.set_include("common", include("B"));
        // A second change finds all hosts queued already. A host that is checked because its own file changed leaves the queue.
        all.set_include("common", include("C"));
        assert!(all.set_host("h7", "hosts/h7", ok("include: common\n")).changed);
        let (mut changed, mut steps) = (HashSet::from(["h7".into()]), 0);
        while all.has_queued_hosts() {
            let checked = all.check_some();
            assert!(checked.len() <= 200, "{}", checked.len());
            changed.extend(checked.into_iter().filter(|checked| checked.changed).map(|checked| checked.host));
            steps += 1;
        }
        assert!(steps >= 50, "{steps}");
        assert_eq!(changed.len(), HOSTS);
        assert!((0..HOSTS).all(|i| text_of(&mut all, &format!("h{i}")).contains("tags=C")));
    }

    #[test]
    fn a_queued_host_keeps_its_configuration() {
        let mut all = Configurations::default();
        set_include(&mut all, "common", Some(("inc/common", ok(GOOD))));
        all.set_host("h", "hosts/h", ok("include: common\n"));
        let before = (all.revision("h"), text_of(&mut all, "h"));
        all.set_include("common", Some(("inc/common", ok(&GOOD.replace("/a", "/new")))));
        assert_eq!((all.revision("h"), text_of(&mut all, "h")), before);
        assert_eq!(all.check_some().len(), 1);
        assert!(text_of(&mut all, "h").contains("/new"));
    }

    #[test]
    fn an_error_in_an_include_is_reported_once_for_each_version_of_it() {
        let mut all = Configurations::default();
        set_include(&mut all, "common", Some(("inc/common", ok(BAD))));
        let reported = |checked: &[CheckedHost]| checked.iter().map(|checked| checked.faults.len()).sum::<usize>();
        let first: Vec<_> = (0..5).map(|i| all.set_host(&format!("h{i}"), "hosts/h", ok("include: common\n"))).collect();
        assert_eq!(reported(&first), 1);
        assert_eq!(reported(&set_include(&mut all, "common", Some(("inc/common", ok(BAD))))), 1);
        assert_eq!(reported(&set_include(&mut all, "common", Some(("inc/common", ok(GOOD))))), 0);
        assert_eq!(reported(&set_include(&mut all, "common", None)), 5, "each host file names a file that is not there");
    }

    #[test]
    fn a_configuration_with_an_error_does_not_replace_one_without() {
        let mut all = Configurations::default();
        assert!(all.set_host("h", "hosts/h", ok(GOOD)).changed);
        let before = (all.revision("h"), text_of(&mut all, "h"));
        let checked = all.set_host("h", "hosts/h", ok(&format!("{GOOD}{BAD}")));
        assert!(!checked.changed);
        assert_eq!(checked.faults.iter().map(|f| (&*f.path, f.line)).collect::<Vec<_>>(), [("hosts/h", 5)]);
        assert_eq!((all.revision("h"), text_of(&mut all, "h")), before);
        let checked = all.set_host("h", "hosts/h", ok(&GOOD.replace("/a", "/c")));
        assert!(checked.changed && checked.faults.is_empty());
    }

    #[test]
    fn without_a_good_version_the_groups_without_errors_are_served() {
        let mut all = Configurations::default();
        let checked = all.set_host("h", "hosts/h", ok(&format!("{BAD}{GOOD}")));
        assert!(checked.changed);
        assert_eq!(checked.faults.len(), 1);
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
        let checked = set_include(&mut all, "common", Some(("inc/common", ok("file: /x\nmatch: x\nalert_all: tags=X"))));
        assert_eq!(checked.iter().map(|o| (&*o.host, o.changed)).collect::<Vec<_>>(), [("user", true)]);
        assert!(text_of(&mut all, "user").contains("#line 1 inc/common\nfile: /x"));
        let checked = set_include(&mut all, "common", None);
        assert_eq!(checked.iter().map(|o| (&*o.host, o.changed, o.faults.len())).collect::<Vec<_>>(), [("user", false, 1)]);
        assert!(text_of(&mut all, "user").contains("file: /x"), "the last good version stays");
    }

    #[test]
    fn an_include_that_appears_repairs_the_hosts_that_name_it() {
        let mut all = Configurations::default();
        all.set_host("h", "hosts/h", ok("include: late\n"));
        let checked = set_include(&mut all, "late", Some(("inc/late", ok(GOOD))));
        assert_eq!(checked.iter().map(|o| (o.changed, o.faults.len())).collect::<Vec<_>>(), [(true, 0)]);
        // The same if the served version is older and did not use the include.
        assert!(!all.set_host("h", "hosts/h", ok("include: late\ninclude: later")).changed);
        let checked = set_include(&mut all, "later", Some(("inc/later", ok("file: /z\nmatch: z\nalert_all: tags=Z"))));
        assert!(checked[0].changed && text_of(&mut all, "h").contains("/z"));
    }

    #[test]
    fn a_comment_at_the_end_does_not_change_the_revision() {
        let mut all = Configurations::default();
        all.set_host("h", "hosts/h", ok(GOOD));
        let checked = all.set_host("h", "hosts/h", ok(&format!("{GOOD}# a remark\n")));
        assert!(!checked.changed);
    }

    #[test]
    fn a_file_that_is_unreadable_too_large_or_not_text_is_a_fault() {
        let mut all = Configurations::default();
        all.set_host("h", "hosts/h", ok(GOOD));
        for (content, reason) in [
            (Err("Permission denied".to_string()), "hosts/h:0: cannot be read: Permission denied"),
            (Ok(b"file: /a\n# \xff\n".to_vec()), "hosts/h:2: is not UTF-8"),
            (Ok(vec![b'#'; crate::directives::MAX_FILE + 1]), "hosts/h:0: is larger than 1048576 bytes"),
        ] {
            let checked = all.set_host("h", "hosts/h", content);
            assert!(!checked.changed);
            assert_eq!(checked.faults[0].to_string(), reason);
        }
        assert!(text_of(&mut all, "h").contains("/a"));
    }

    #[test]
    fn version_1_agents_get_the_groups_that_they_can_read() {
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
    fn what_ends_or_inverts_version_1_agents_is_left_out_and_what_they_ignore_is_reported() {
        let mut all = Configurations::default();
        let log = |pattern: &str| format!("file: /a\nmatch: {pattern}\nalert_all: tags=A\n");
        let alert = |alert: &str| format!("run: command=df extract=(a) (b)\nalert_if: tags=A {alert} message=m\n");
        let threshold = |threshold: u32| format!("file: /a\nmatch: a\nalert_n: tags=A threshold={threshold} seconds=9 message=m\n");
        let [zero, one] = [0, 1].map(threshold);
        let bad = "process: (?<n>a)\nalert_running: tags=A min=1 max=2 message=m\nps_command: ps\n".to_string();
        let cases = [
            (log(r"a\z"), true, Some(r"left out for h, whose agent does not know it: a pattern with \z")),
            (
                log("a(?i)b"),
                true,
                Some("left out for h, whose agent does not know it: a pattern with flags behind its start, as in a(?i)b"),
            ),
            (bad, true, Some("left out for h, whose agent does not know it: a pattern with (?<name>")),
            (zero, true, Some("left out for h, whose agent does not know it: threshold=0")),
            (one, false, None),
            (log(r"\<a"), false, None),
            (alert("match=1,my disk upper_limit=2,9"), false, Some("ignored by the agent of h: white space in match=")),
            (alert("match=1,x lower_limit=2,-9"), false, Some("ignored by the agent of h: a negative limit")),
            (alert("match=1,x lower_limit=2,-9 for=2 repeat=0"), false, Some("ignored by the agent of h: a negative limit, for=, repeat=")),
            (alert("match=1,x lower_limit=2,9"), false, None),
        ];
        for (text, is_left_out, reason) in cases {
            all.set_host("h", "hosts/h", ok(&text));
            let config = all.classic("h").unwrap();
            let said: Vec<_> = config.left_out.iter().map(|fault| fault.reason.as_str()).collect();
            assert_eq!(said, Vec::from_iter(reason), "{text}");
            assert_eq!(config.lines.is_empty() || config.lines == "ps_command: ps", is_left_out, "{text}");
        }
    }

    #[test]
    fn of_a_configuration_that_is_too_large_all_that_fits_is_served() {
        let mut all = Configurations::default();
        let long = "x".repeat(5000);
        let include: String = (0..150).map(|i| format!("file: /{i}/{long}\nmatch: a\nalert_all: tags=A message=end{i}\n")).collect();
        set_include(&mut all, "one", Some(("one", ok(&include))));
        let checked = all.set_host("h", "hosts/h", ok("include: one\n"));
        assert_eq!(
            checked.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["hosts/h:0: with its includes larger than 491520 bytes: 53 of 150 groups are left out"]
        );
        let parts = all.parts("h");
        assert!(parts.len() <= crate::wire::MAX_PARTS as usize, "{}", parts.len());
        let text = parts.concat();
        assert_eq!(Revision::of(&text), all.revision("h"));
        let file = HostFile::parse(crate::directives::marked_lines(&text, "h"));
        assert!(file.faults.is_empty() && text.len() <= MAX_CONFIGURATION && text.len() > MAX_CONFIGURATION - 5100);
        assert_eq!(file.groups.len(), 97);
    }

    #[test]
    fn a_large_configuration_is_split_into_parts_that_make_the_whole() {
        let mut all = Configurations::default();
        let text: String = (0..500).map(|i| format!("file: /lög/{i}\nmatch: ä{i}\nalert_all: tags=T{i}\n")).collect();
        all.set_host("h", "hosts/h", ok(&text));
        let parts = all.parts("h");
        assert!(parts.len() > 10);
        assert!(parts.iter().all(|part| part.len() <= MAX_PART_TEXT));
        assert_eq!(Revision::of(&parts.concat()), all.revision("h"));
    }
}
