//! A regular expression of a host file in the syntax of `regex-lite`, compiled within a size limit. The search for literals and the
//! automaton are written by hand. A log that seldom matches is searched at 0.7 to 2 GB/s where literals exclude lines, and at 0.4 GB/s
//! by the automaton, instead of 3 to 30 MB/s by the library (x86_64, patterns of logs).

mod automaton;
mod candidates;
mod finder;
mod group;
mod literals;
mod program;
mod syntax;
mod work;

pub use candidates::{Candidate, Candidates};
pub use group::GroupName;
pub use regex_lite::Captures;
pub use work::Work;

use automaton::Automaton;
use candidates::Filter;
use finder::Finder;
use literals::Required;
use program::{Program, ProgramError};
use std::rc::Rc;
use syntax::Syntax;

/// A compiled pattern. A clone shares the program. A search takes time linear in the length of the text.
#[derive(Clone, Debug)]
pub struct Pattern(Rc<Compiled>);

#[derive(Debug)]
struct Compiled {
    text: Box<str>,
    search: Search,
    /// Every text that matches contains one literal of each set. Empty if no such literals are known.
    literals: Vec<Vec<Finder>>,
    /// How many capture groups there are, without the whole match.
    groups: usize,
    /// The names that some of them have.
    names: Box<[Box<str>]>,
}

/// What decides whether a text matches.
#[derive(Debug)]
enum Search {
    /// Every text with a literal of the first set matches.
    FirstSet,
    /// A pattern without operators is searched for literally.
    Literal(Finder),
    Automaton(Automaton),
    Program(Program),
    /// It was compiled only to know whether it is right.
    None,
}

/// What a pattern is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// To know whether it is found in a text.
    Find,
    /// To know also its capture groups.
    Capture,
}

/// Why a text makes no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// What is wrong with the text.
    Invalid(String),
    /// Its program is larger than [`Pattern::SIZE_LIMIT`].
    TooLarge,
    /// It takes more memory than there is room for.
    NoRoom,
}

impl Pattern {
    /// Most bytes that a compiled program may take.
    pub const SIZE_LIMIT: usize = 64 * 1024;

    /// Compiles a pattern.
    ///
    /// # Errors
    /// The reason. It names the pattern and, if known, the position of the wrong character.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_within(text, Purpose::Find, usize::MAX).map_err(|error| error.describe(text))
    }

    /// Compiles a pattern that takes at most `room` bytes of memory, also while it is searched for.
    ///
    /// # Errors
    /// The text is wrong, or there is no room.
    pub fn parse_within(text: &str, purpose: Purpose, room: usize) -> Result<Self, PatternError> {
        let mut compiled = Compiled::checked(text)?;
        compiled.compile(purpose, room)?;
        let pattern = Self(Rc::new(compiled));
        if pattern.memory() > room {
            return Err(PatternError::NoRoom);
        }
        Ok(pattern)
    }

    /// Checks a pattern. It gets nothing that a search needs, and is found nowhere.
    ///
    /// # Errors
    /// As those of [`Self::parse`].
    pub fn check(text: &str) -> Result<Self, String> {
        Compiled::checked(text).map(|compiled| Self(Rc::new(compiled))).map_err(|error| error.describe(text))
    }

    /// At most this many bytes of memory the pattern takes, also while it is searched for.
    pub fn memory(&self) -> usize {
        let search = match &self.0.search {
            Search::Literal(finder) => finder.memory(),
            Search::Automaton(automaton) => automaton.memory(),
            Search::Program(program) => program.memory() + self.0.text.len(),
            Search::FirstSet | Search::None => 0,
        };
        let literals: usize = self.0.literals.iter().flatten().map(Finder::memory).sum();
        let names: usize = self.0.names.iter().map(|name| size_of::<Box<str>>() + name.len()).sum();
        size_of::<Compiled>() + self.0.text.len() + search + literals + names
    }

    /// Searches a block of lines for those that may match.
    pub fn candidates<'a>(&'a self, block: &'a [u8]) -> Candidates<'a> {
        let filter = match (self.0.literals.first(), &self.0.search) {
            (Some(literals), _) => Filter::Literals(literals.iter().map(|literal| (literal, literal.find(block))).collect()),
            (None, Search::Automaton(automaton)) => Filter::Automaton(automaton, None),
            _ => Filter::None,
        };
        Candidates::new(block, filter)
    }

    /// The text of the pattern.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether the pattern is found anywhere in the text.
    pub fn is_match(&self, text: &str) -> bool {
        self.search(text, &mut Work::turn())
    }

    /// Whether the pattern is found anywhere in the text. Charges the work.
    pub fn search(&self, text: &str, work: &mut Work) -> bool {
        let contains = |set: &Vec<Finder>| set.iter().any(|literal| literal.find(text.as_bytes()).is_some());
        // The first set made the line a candidate. It is not searched again, unless it decides alone.
        let contains_others = || self.0.literals.iter().skip(1).all(contains);
        match &self.0.search {
            Search::None => false,
            Search::Literal(literal) => literal.find(text.as_bytes()).is_some(),
            Search::FirstSet => self.0.literals.first().is_some_and(contains),
            Search::Automaton(automaton) => {
                contains_others() && {
                    work.charge(Automaton::STEP, text.len());
                    automaton.is_match(text)
                }
            }
            Search::Program(program) => {
                contains_others() && {
                    work.charge(program.states(), text.len());
                    program.is_match(text)
                }
            }
        }
    }

    /// How many capture groups the pattern has, without the whole match.
    pub fn groups(&self) -> usize {
        self.0.groups
    }

    /// Whether the pattern has that capture group.
    pub fn has_group(&self, group: &GroupName) -> bool {
        match group {
            GroupName::Number(number) => (1..=self.0.groups).contains(number),
            GroupName::Name(name) => self.0.names.contains(name),
        }
    }

    /// The groups of the first match. `None` also for a pattern without operators, which has no groups, and for one that is not for
    /// that purpose. Charges the work.
    pub fn captures<'t>(&self, text: &'t str, work: &mut Work) -> Option<Captures<'t>> {
        let Search::Program(program) = &self.0.search else { return None };
        work.charge(program.states(), text.len());
        program.captures(text)
    }
}

impl Compiled {
    fn checked(text: &str) -> Result<Self, PatternError> {
        let (groups, names) = if has_operators(text) { Program::check(text, Pattern::SIZE_LIMIT)? } else { (0, Vec::new()) };
        Ok(Self { text: text.into(), search: Search::None, literals: Vec::new(), groups, names: names.into() })
    }

    /// Makes what a search needs.
    fn compile(&mut self, purpose: Purpose, room: usize) -> Result<(), PatternError> {
        let syntax = Syntax::parse(&self.text);
        let required = syntax.as_ref().and_then(literals::required);
        let is_sufficient = required.as_ref().is_some_and(|required| required.is_sufficient);
        if let Some(Required { sets, is_caseless, .. }) = required {
            let finders = |set: &literals::Set| set.iter().map(|literal| Finder::new(literal, is_caseless)).collect();
            self.literals = sets.iter().map(finders).collect();
        }
        let is_literal = !has_operators(&self.text);
        self.search = if is_sufficient && (is_literal || purpose == Purpose::Find) {
            Search::FirstSet
        } else if is_literal {
            Search::Literal(Finder::new(&self.text, false))
        } else if let Some(automaton) = syntax.as_ref().filter(|_| purpose == Purpose::Find).and_then(Automaton::new) {
            Search::Automaton(automaton)
        } else {
            let limit = Pattern::SIZE_LIMIT.min(room);
            let program = Program::compile(&self.text, limit).map_err(|_| PatternError::NoRoom)?;
            Search::Program(program)
        };
        Ok(())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

fn has_operators(text: &str) -> bool {
    text.bytes().any(|byte| br"\.+*?()|[]{}^$".contains(&byte))
}

impl From<ProgramError> for PatternError {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::Invalid(reason) => Self::Invalid(reason),
            ProgramError::TooLarge => Self::TooLarge,
        }
    }
}

impl PatternError {
    /// Most prefixes that are read to find the position of a fault.
    const MAX_PROBES: usize = 512;

    /// The reason, with the pattern.
    pub fn reason(&self, text: &str) -> String {
        match self {
            Self::Invalid(reason) => format!("pattern \"{text}\": {reason}"),
            Self::TooLarge => format!("pattern \"{text}\": its size when compiled exceeds {} bytes", Pattern::SIZE_LIMIT),
            Self::NoRoom => format!("pattern \"{text}\": there is no room for it"),
        }
    }

    /// Adds the position of the fault, which `regex-lite` does not tell: there ends the shortest prefix of the pattern that fails for
    /// the same reason.
    pub fn describe(&self, text: &str) -> String {
        let reason = self.reason(text);
        let Self::Invalid(fault) = self else { return reason };
        let fails_alike = |end: &usize| Program::fault(&text[..*end]).is_some_and(|other| other == *fault);
        let ends = text.char_indices().skip(1).map(|(at, _)| at).chain([text.len()]);
        match ends.take(Self::MAX_PROBES).position(|end| fails_alike(&end)) {
            Some(at) => format!("{reason} at character {}", at + 1),
            None => reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_lite::Regex;

    #[test]
    fn a_literal_and_a_program_find_the_same() {
        for text in ["", "error", "an error here", "Error"] {
            assert_eq!(Pattern::parse("error").unwrap().is_match(text), Pattern::parse("(error)").unwrap().is_match(text));
        }
    }

    /// The lines of a block that a pattern matches, found by its candidates.
    fn found(pattern: &Pattern, block: &[u8], most: usize) -> Vec<usize> {
        let mut candidates = pattern.candidates(block);
        let (mut from, mut found) = (0, Vec::new());
        while let Some(Candidate { at, is_certain }) = candidates.next_from(from, most, &mut Work::turn()) {
            let start = block[..at].iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1);
            let end = block[at..].iter().position(|b| *b == b'\n').map_or(block.len(), |newline| at + newline);
            let line = &block[start..end];
            let is_match = pattern.is_match(&String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)));
            assert!(is_match || !is_certain, "{pattern:?} in {line:?}");
            if is_match {
                found.push(start);
            }
            from = end + 1;
        }
        found
    }

    /// The same by `regex-lite` alone, line by line.
    fn found_plainly(pattern: &str, block: &[u8]) -> Vec<usize> {
        let (regex, mut start) = (Regex::new(pattern).unwrap(), 0);
        let mut found = Vec::new();
        for line in block.split(|b| *b == b'\n') {
            let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
            if start < block.len() && regex.is_match(&text) {
                found.push(start);
            }
            start += line.len() + 1;
        }
        found
    }

    /// Patterns and blocks of a seed.
    struct Choice(crate::random::Random);

    impl Choice {
        const ATOMS: [&str; 36] = [
            "er",
            "ror",
            "warn",
            "a",
            "b",
            "é",
            "x",
            " ",
            ".",
            r"\.",
            r"\d",
            r"\D",
            r"\w",
            r"\W",
            r"\s",
            r"\S",
            "[ab]",
            "[^ab]",
            "[0-9a-f]",
            "[^0-9 ]",
            "[]a-]",
            "[^]-]",
            "[--b]",
            "[+-]",
            "[é1]",
            "[^é]",
            "[à-ü1]",
            "[[:alpha:]_]",
            "[[:punct:][:space:]]",
            r"[^\d\s]",
            r"[\]\-A]",
            r"\t",
            "^",
            "$",
            r"\b",
            r"\B",
        ];
        const REPETITIONS: [&str; 12] = ["*", "+", "?", "{2}", "{0,2}", "{1,}", "{2,3}", "{0}", "*?", "+?", "??", "{1,2}?"];
        const WORDS: [&[u8]; 20] = [
            b"er",
            b"ror",
            b"12",
            b"warn",
            b"fail",
            b" ",
            b"a",
            b"b",
            b"bc",
            b".-]",
            "é".as_bytes(),
            b"\xff",
            b"\xc3",
            b"\r",
            b"\t",
            b"\n",
            b"ER",
            b"Ror",
            b"WaRn",
            "É\u{212a}\u{fffd}".as_bytes(),
        ];

        fn below(&mut self, count: usize) -> usize {
            usize::try_from(self.0.bits() >> 33).unwrap() % count
        }

        fn of<T: Copy>(&mut self, of: &[T]) -> T {
            of[self.below(of.len())]
        }

        fn sequence(&mut self, depth: usize) -> String {
            (0..self.below(5))
                .map(|_| {
                    let group = self.of(&["(", "(?:", "(?P<n>"]);
                    let mut part = match self.below(4) {
                        0 if depth > 0 => format!("{group}{})", self.alternatives(depth - 1)),
                        _ => self.of(&Self::ATOMS).to_string(),
                    };
                    for _ in 0..[0, 0, 0, 0, 1, 1, 1, 2][self.below(8)] {
                        part += self.of(&Self::REPETITIONS);
                    }
                    part
                })
                .collect()
        }

        fn alternatives(&mut self, depth: usize) -> String {
            let alternatives: Vec<String> = (0..[1, 1, 1, 2, 3][self.below(5)]).map(|_| self.sequence(depth)).collect();
            alternatives.join("|")
        }

        fn pattern(&mut self) -> String {
            self.of(&["", "", "(?i)"]).to_string() + &self.alternatives(3)
        }

        fn block(&mut self) -> Vec<u8> {
            (0..self.below(60)).flat_map(|_| self.of(&Self::WORDS)).copied().collect()
        }
    }

    #[test]
    fn every_pattern_finds_the_lines_that_the_plain_expression_finds() {
        let mut choice = Choice(crate::random::Random::new(436));
        let (mut with_literals, mut decided, mut undecided) = (0, 0, [0; 2]);
        for _ in 0..12_000 {
            let text = choice.pattern();
            let Ok(pattern) = Pattern::parse(&text) else { continue };
            with_literals += usize::from(!pattern.0.literals.is_empty());
            for _ in 0..3 {
                let block = choice.block();
                let plainly = found_plainly(&text, &block);
                let most = choice.of(&[0, 10, 20, usize::MAX]);
                assert_eq!(found(&pattern, &block, most), plainly, "{text:?} in {block:?}");
                match &pattern.0.search {
                    Search::Automaton(_) if !plainly.is_empty() => decided += 1,
                    Search::Automaton(_) => undecided[0] += 1,
                    _ => undecided[1] += 1,
                }
            }
        }
        assert!(
            with_literals > 500 && decided > 500 && undecided[0] > 500 && undecided[1] > 500,
            "{with_literals} {decided} {undecided:?}"
        );
    }

    #[test]
    fn case_is_that_of_ascii_letters_as_the_literals_take_it_to_be() {
        for (pattern, text) in [("(?i)ok", "o\u{212a}"), ("(?i)is", "i\u{17f}"), ("(?i)é", "É")] {
            assert!(!Regex::new(pattern).unwrap().is_match(text), "{pattern}");
        }
    }

    #[test]
    fn groups_are_counted_without_the_whole_match() {
        for (text, groups) in [("plain", 0), (r"(\d+) (\w+)", 2)] {
            assert_eq!(Pattern::parse_within(text, Purpose::Capture, usize::MAX).unwrap().groups(), groups);
        }
    }

    #[test]
    fn errors_name_the_pattern_and_the_position() {
        for (text, position) in [("a(b", 2), ("foo[z-a]bar", 7), ("x(?=y)", 4), ("a**b)", 5), (r"a\q", 3)] {
            let reason = Pattern::parse(text).unwrap_err();
            assert!(reason.contains(&format!("\"{text}\"")), "{reason}");
            assert!(reason.ends_with(&format!(" at character {position}")), "{reason}");
        }
    }

    #[test]
    fn a_program_above_the_limit_is_refused() {
        let reason = Pattern::parse(r"(\w{1,200}){200}").unwrap_err();
        assert_eq!(reason, r#"pattern "(\w{1,200}){200}": its size when compiled exceeds 65536 bytes"#);
    }

    #[test]
    fn a_pattern_has_room_in_the_memory_that_it_says_it_takes_and_in_no_less() {
        for text in ["error", r"\[[0-9]+\]: (error|timeout)", "one|two|three", ".{300}", &"(a)".repeat(100)] {
            for purpose in [Purpose::Find, Purpose::Capture] {
                let within = |room: usize| Pattern::parse_within(text, purpose, room);
                let memory = within(usize::MAX).unwrap().memory();
                assert_eq!(within(memory).as_ref(), Ok(&Pattern::parse(text).unwrap()), "{text}");
                assert_eq!(within(memory - 1), Err(PatternError::NoRoom), "{text}");
            }
        }
        assert!(matches!(Pattern::parse_within("a(", Purpose::Find, 1 << 20), Err(PatternError::Invalid(_))));
    }

    #[test]
    fn a_search_by_a_program_is_work_and_one_that_a_literal_or_an_automaton_decides_is_little() {
        let line = "a line ".repeat(10_000);
        for (text, is_work) in
            [("error", false), ("error.*full", false), ("(full|slow)", false), ("[0-9]+$", false), (".{200}x", true), ("[a-z]{300}", true)]
        {
            let (pattern, mut work) = (Pattern::parse(text).unwrap(), Work::turn());
            let mut candidates = pattern.candidates(line.as_bytes());
            if candidates.next_from(0, usize::MAX, &mut work).is_some() {
                pattern.search(&line, &mut work);
            }
            assert_eq!(work.is_done(), is_work, "{text}");
        }
    }
}
