//! Decides with one step for each byte whether a pattern is found in a text: a deterministic automaton, made from the positions of the
//! pattern (Glushkov's construction). A pattern whose automaton would be large, or that asks for characters beyond ASCII, has none.

use super::syntax::{is_word, Assertion, Class, Node, Others, Syntax};
use memchr::memchr;

/// An automaton. It says exactly what `regex-lite` says.
#[derive(Debug)]
pub(super) struct Automaton {
    /// For each symbol a column, with the next state for each state.
    table: Box<[u8]>,
    /// For each byte, where its column begins.
    columns: Box<[u16; 256]>,
    /// Where the column of the end of the text begins.
    end: u16,
    start: u8,
}

/// A line that was found.
pub(super) struct FoundLine {
    pub(super) start: usize,
    /// How many bytes were searched.
    pub(super) searched: usize,
    /// Whether it is known to match.
    pub(super) is_certain: bool,
}

impl Automaton {
    /// The work that a byte of a text is, in states of a program.
    pub(super) const STEP: u32 = 1;
    /// Most bytes of the table. That bounds also how long it takes to make.
    const MAX_TABLE: usize = 8192;
    /// The state in which the pattern is found, and the one in which it cannot be found any more.
    const FOUND: u8 = 0;
    const LOST: u8 = 1;

    /// The automaton of a pattern. `None` if it has none.
    pub(super) fn new(syntax: &Syntax) -> Option<Self> {
        let positions = Positions::new(syntax)?;
        let (symbols, symbol_of) = positions.symbols();
        let mut states = States { sets: vec![MATCH, 0] };
        let start = states.number(positions.first | if positions.starts == 0 { 0 } else { AT_START })?;
        let mut rows = vec![Self::FOUND; symbols.len()];
        rows.resize(2 * symbols.len(), Self::LOST);
        let mut at = 2;
        while let Some(set) = states.sets.get(at).copied() {
            if (symbols.len() + 1) * states.sets.len() > Self::MAX_TABLE {
                return None;
            }
            for symbol in &symbols {
                rows.push(states.number(positions.step(set, symbol))?);
            }
            at += 1;
        }
        let height = states.sets.len();
        let mut table = Vec::with_capacity((symbols.len() + 1) * height);
        for symbol in 0..symbols.len() {
            table.extend(rows.iter().skip(symbol).step_by(symbols.len()));
        }
        // A byte within a character changes nothing.
        table.extend((0..=u8::MAX).take(height));
        let column = |symbol: usize| u16::try_from(symbol * height).ok();
        let mut columns = Box::new([0; 256]);
        for (begin, symbol) in columns.iter_mut().zip(symbol_of) {
            *begin = column(symbol)?;
        }
        Some(Self { table: table.into(), columns, end: column(symbols.len() - 1)?, start })
    }

    /// How many bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.table) + size_of_val(&*self.columns)
    }

    /// Whether the pattern is found anywhere in the text.
    pub(super) fn is_match(&self, text: &str) -> bool {
        let mut state = self.start;
        for byte in text.bytes() {
            state = self.next(state, byte);
            if state <= Self::LOST {
                return state == Self::FOUND;
            }
        }
        self.is_match_at_end(state)
    }

    /// The first of some lines that matches or that has bytes beyond ASCII, whichever comes first.
    pub(super) fn find_line(&self, lines: &[u8]) -> Option<FoundLine> {
        let (mut start, mut at, mut state) = (0, 0, self.start);
        let found = |start, at, is_certain| Some(FoundLine { start, searched: at, is_certain });
        while let Some(byte) = lines.get(at) {
            let before = state;
            state = self.next(state, *byte);
            at += 1;
            // Neither the end of a line nor beyond ASCII.
            if state > Self::LOST && *byte as i8 > 13 {
                continue;
            }
            if !byte.is_ascii() {
                return found(start, at, false);
            }
            let is_end = *byte == b'\n' || *byte == b'\r' && lines.get(at).is_none_or(|next| *next == b'\n');
            let is_match = if is_end { self.is_match_at_end(before) } else { state == Self::FOUND };
            if is_match {
                return found(start, at, true);
            }
            if is_end || state == Self::LOST {
                at += memchr(b'\n', &lines[at - 1..])?;
                (start, state) = (at, self.start);
            }
        }
        if start < at && self.is_match_at_end(state) {
            return found(start, at, true);
        }
        None
    }

    #[inline(always)]
    fn next(&self, state: u8, byte: u8) -> u8 {
        let column = &self.table[usize::from(self.columns[usize::from(byte)])..];
        column[usize::from(state)]
    }

    fn is_match_at_end(&self, state: u8) -> bool {
        self.table[usize::from(self.end) + usize::from(state)] == Self::FOUND
    }
}

/// Positions are the classes and assertions of a pattern, each a bit of a set. The highest bits of a set say more.
const MAX_POSITIONS: usize = 125;
/// The last character was that of a word.
const AFTER_WORD: u128 = 1 << 125;
/// Nothing came yet.
const AT_START: u128 = 1 << 126;
/// All of the pattern came.
const MATCH: u128 = 1 << 127;

/// The positions of a pattern, and which of them may come after which.
#[derive(Default)]
struct Positions {
    /// What is at each position: no character at that of an assertion.
    classes: Vec<Class>,
    /// For each, what may come next.
    follow: Vec<u128>,
    /// The assertions by their kind.
    starts: u128,
    ends: u128,
    edges: u128,
    no_edges: u128,
    /// What may come first.
    first: u128,
}

/// The positions of a part of the pattern that may come first and last.
struct Part {
    first: u128,
    last: u128,
    /// Whether the part is found in the empty text too.
    is_empty: bool,
}

/// What makes a difference for the pattern.
#[derive(PartialEq)]
struct Symbol {
    /// The positions at which it may be.
    at: u128,
    is_word: bool,
    /// It is the end of the text.
    is_end: bool,
}

impl Positions {
    fn new(syntax: &Syntax) -> Option<Self> {
        let mut positions = Self::default();
        let whole = positions.part(&syntax.root)?;
        positions.connect(whole.last, MATCH);
        positions.first = whole.first | if whole.is_empty { MATCH } else { 0 };
        Some(positions)
    }

    fn part(&mut self, node: &Node) -> Option<Part> {
        Some(match node {
            Node::Class(Class { others: Others::One(_) | Others::Some, .. }) => return None,
            Node::Class(class) => self.position(*class)?,
            Node::Assertion(assertion) => {
                let part = self.position(Class::EMPTY)?;
                *match assertion {
                    Assertion::Start => &mut self.starts,
                    Assertion::End => &mut self.ends,
                    Assertion::WordEdge => &mut self.edges,
                    Assertion::NoWordEdge => &mut self.no_edges,
                } |= part.first;
                part
            }
            Node::Repeated { node, least, most } => {
                let mut whole = Part::EMPTY;
                let copies = most.unwrap_or((*least).max(1));
                for copy in 1..=copies {
                    let mut next = self.part(node)?;
                    if next.first == 0 {
                        break;
                    }
                    next.is_empty |= copy > *least;
                    if copy == copies && most.is_none() {
                        self.connect(next.last, next.first);
                    }
                    whole = self.sequence(whole, next);
                }
                whole
            }
            Node::Sequence(nodes) => {
                let mut whole = Part::EMPTY;
                for node in nodes {
                    let next = self.part(node)?;
                    whole = self.sequence(whole, next);
                }
                whole
            }
            Node::Alternatives(nodes) => {
                let mut whole = Part { is_empty: false, ..Part::EMPTY };
                for node in nodes {
                    let Part { first, last, is_empty } = self.part(node)?;
                    whole.first |= first;
                    whole.last |= last;
                    whole.is_empty |= is_empty;
                }
                whole
            }
        })
    }

    fn position(&mut self, class: Class) -> Option<Part> {
        let at = self.classes.len();
        if at == MAX_POSITIONS {
            return None;
        }
        self.classes.push(class);
        self.follow.push(0);
        Some(Part { first: 1 << at, last: 1 << at, is_empty: false })
    }

    fn sequence(&mut self, a: Part, b: Part) -> Part {
        self.connect(a.last, b.first);
        Part {
            first: a.first | if a.is_empty { b.first } else { 0 },
            last: b.last | if b.is_empty { a.last } else { 0 },
            is_empty: a.is_empty && b.is_empty,
        }
    }

    /// What is in the second set may come after what is in the first.
    fn connect(&mut self, last: u128, first: u128) {
        bits(last).for_each(|at| self.follow[at] |= first);
    }

    /// What may come after what is in the set.
    fn after(&self, set: u128) -> u128 {
        bits(set).fold(0, |after, at| after | self.follow[at])
    }

    /// The symbols that make a difference, of which the last is the end, and for each byte the index of its symbol. A byte within a
    /// character has an index of its own, behind all.
    fn symbols(&self) -> (Vec<Symbol>, [usize; 256]) {
        // For each ASCII character, and for all others together, the positions at which it may be.
        let mut places = [0; 129];
        for (position, class) in (0..).zip(&self.classes) {
            bits(class.ascii).for_each(|byte| places[byte] |= 1 << position);
            places[128] |= u128::from(class.others == Others::All) << position;
        }
        let has_edges = self.edges | self.no_edges != 0;
        let (mut symbols, mut symbol_of) = (Vec::new(), [0; 256]);
        for (byte, at) in (0..=u8::MAX).zip(places) {
            let symbol = Symbol { at, is_word: has_edges && is_word(&byte), is_end: false };
            let known = symbols.iter().position(|known| *known == symbol);
            symbol_of[usize::from(byte)] = known.unwrap_or(symbols.len());
            if known.is_none() {
                symbols.push(symbol);
            }
        }
        let others = symbol_of[128];
        symbols.push(Symbol { at: 0, is_word: false, is_end: true });
        symbol_of[0x80..0xc0].fill(symbols.len());
        symbol_of[0xc0..].fill(others);
        (symbols, symbol_of)
    }

    /// What may come after a symbol where that set may come. At the end that is nothing or all.
    fn step(&self, set: u128, symbol: &Symbol) -> u128 {
        let mut holds = if symbol.is_word == (set & AFTER_WORD != 0) { self.no_edges } else { self.edges };
        holds |= if set & AT_START != 0 { self.starts } else { 0 };
        holds |= if symbol.is_end { self.ends } else { 0 };
        let (mut set, mut passed) = (set, 0);
        while set & holds != passed {
            passed = set & holds;
            set |= self.after(passed);
        }
        if symbol.is_end || set & MATCH != 0 {
            return set & MATCH;
        }
        let next = (self.first | self.after(set & symbol.at)) & !self.starts;
        match next {
            0 => 0,
            _ if symbol.is_word => next | AFTER_WORD,
            _ => next,
        }
    }
}

impl Part {
    const EMPTY: Self = Self { first: 0, last: 0, is_empty: true };
}

/// The states of an automaton by their numbers: for each, what may come next.
struct States {
    sets: Vec<u128>,
}

impl States {
    /// The number of a state. `None` if there are too many.
    fn number(&mut self, set: u128) -> Option<u8> {
        let set = if set & MATCH != 0 { MATCH } else { set };
        let known = self.sets.iter().position(|known| *known == set);
        u8::try_from(known.unwrap_or_else(|| {
            self.sets.push(set);
            self.sets.len() - 1
        }))
        .ok()
    }
}

/// The places of the bits of a set.
fn bits(mut set: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = (set != 0).then_some(set.trailing_zeros() as usize);
        set &= set.wrapping_sub(1);
        at
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn automaton(pattern: &str) -> Option<Automaton> {
        Syntax::parse(pattern).as_ref().and_then(Automaton::new)
    }

    #[test]
    fn what_is_large_or_asks_for_more_than_ascii_has_none_and_the_others_are_small() {
        for pattern in [".{200}x", "(a|b)*a(a|b){9}", "([a-z]+[0-9]){63}", "é", "[à-ü]", "[^é]", r"(?s).", r"\x41", r"\<a"] {
            assert!(automaton(pattern).is_none(), "{pattern}");
        }
        for (pattern, most) in [
            (r"\d+", 524),
            ("[0-9]{7}", 560),
            (r"^\S+ \S+", 540),
            (r"\b\d{1,3}(\.\d{1,3}){3}\b", 1024),
            (r"^\w{3} [ :0-9]{11} [._[:alnum:]-]+ sshd\[[0-9]+\]: Failed password for .* from [.:0-9a-f]+ port [0-9]+ ssh2$", 8192 + 512),
        ] {
            let memory = automaton(pattern).map(|automaton| automaton.memory());
            assert!(memory.is_some_and(|memory| memory <= most), "{pattern} {memory:?}");
        }
    }

    #[test]
    fn the_rest_of_a_line_is_passed_over_once_the_pattern_cannot_be_found() {
        for (pattern, text, is_lost) in [("^a[bc]", "b", true), ("^a[bc]", "ad", true), ("^a|b", "c", false), ("^(a|b)$", "ab", true)] {
            let automaton = automaton(pattern).unwrap();
            let state = text.bytes().fold(automaton.start, |state, byte| automaton.next(state, byte));
            assert_eq!(state == Automaton::LOST, is_lost, "{pattern} {text}");
        }
    }

    #[test]
    fn the_first_line_that_matches_or_has_more_than_ascii_is_found() {
        for (pattern, lines, expected) in [
            (r"\d$", "a 1 b\r\nc 2\r\n", Some((7, true))),
            (r"\d$", "a\r1\n", Some((0, true))),
            (r"\d$", "a 1\t\nb 2", Some((5, true))),
            (r"^\d", "a é\nb\n1\n", Some((7, true))),
            (r"\d", "a\né 1\n1\n", Some((2, false))),
            ("^$", "a\n\r\n", Some((2, true))),
            ("^$", "a\n", None),
            (r"\r", "a\r\n", None),
            ("b$", "b\r", Some((0, true))),
            ("", "", None),
        ] {
            let found = automaton(pattern).unwrap().find_line(lines.as_bytes()).map(|line| (line.start, line.is_certain));
            assert_eq!(found, expected, "{pattern:?} {lines:?}");
        }
    }
}
