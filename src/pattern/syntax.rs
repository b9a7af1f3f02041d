//! Reads a pattern that `regex-lite` accepts as a tree. Syntax that it does not know makes no tree.

use crate::text::number;

/// A pattern as a tree.
pub(super) struct Syntax {
    pub(super) root: Node,
    /// Whether an ASCII letter stands for both cases. The classes have both.
    pub(super) is_caseless: bool,
}

/// A part of a pattern. Groups are not told apart from what they contain.
pub(super) enum Node {
    Class(Class),
    Assertion(Assertion),
    Repeated { node: Box<Node>, least: u32, most: Option<u32> },
    Sequence(Vec<Node>),
    Alternatives(Vec<Node>),
}

/// What holds between two characters.
#[derive(Clone, Copy)]
pub(super) enum Assertion {
    Start,
    End,
    WordEdge,
    NoWordEdge,
}

/// One character of a set.
#[derive(Clone, Copy)]
pub(super) struct Class {
    /// A bit for each ASCII character.
    pub(super) ascii: u128,
    pub(super) others: Others,
}

/// Which characters beyond ASCII are in a class.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    None,
    One(char),
    /// Several. Which ones is not known.
    Some,
    All,
}

impl Syntax {
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        let sensitive = pattern.strip_prefix("(?i)");
        let is_caseless = sensitive.is_some();
        let mut reader = Reader { rest: sensitive.unwrap_or(pattern), depth: 0, is_caseless };
        let root = reader.alternatives()?;
        reader.rest.is_empty().then_some(Self { root, is_caseless })
    }
}

impl Class {
    pub(super) const EMPTY: Self = Self { ascii: 0, others: Others::None };
    const UPPER: u128 = 0x07ff_fffe << 64;
    const LOWER: u128 = Self::UPPER << 32;

    fn one(c: char) -> Self {
        if c.is_ascii() {
            Self { ascii: 1 << u32::from(c), others: Others::None }
        } else {
            Self { ascii: 0, others: Others::One(c) }
        }
    }

    /// The class that POSIX calls so.
    fn named(name: &str) -> Option<Self> {
        let contains: fn(&u8) -> bool = match name {
            "alnum" => u8::is_ascii_alphanumeric,
            "alpha" => u8::is_ascii_alphabetic,
            "blank" => |b| matches!(b, b'\t' | b' '),
            "cntrl" => u8::is_ascii_control,
            "digit" => u8::is_ascii_digit,
            "graph" => u8::is_ascii_graphic,
            "lower" => u8::is_ascii_lowercase,
            "print" => |b| matches!(b, b' '..=b'~'),
            "punct" => u8::is_ascii_punctuation,
            "space" => |b| matches!(b, b'\t'..=b'\r' | b' '),
            "upper" => u8::is_ascii_uppercase,
            "word" => is_word,
            "xdigit" => u8::is_ascii_hexdigit,
            _ => return None,
        };
        let ascii = (0..128u8).filter(contains).fold(0, |set, byte| set | 1 << byte);
        Some(Self { ascii, others: Others::None })
    }

    /// The characters from the one to the other.
    fn range(first: Self, last: Self) -> Self {
        if first.ascii == 0 || last.ascii == 0 {
            return Self { ascii: 0, others: Others::Some };
        }
        Self { ascii: last.ascii | (last.ascii - first.ascii), others: Others::None }
    }

    fn with(self, other: Self) -> Self {
        let others = match (self.others, other.others) {
            (Others::None, others) | (others, Others::None) => others,
            (Others::All, _) | (_, Others::All) => Others::All,
            _ => Others::Some,
        };
        Self { ascii: self.ascii | other.ascii, others }
    }

    fn without_case(self) -> Self {
        let Self { ascii, others } = self;
        Self { ascii: ascii | (ascii & Self::UPPER) << 32 | (ascii & Self::LOWER) >> 32, others }
    }

    fn negated(self) -> Self {
        let others = match self.others {
            Others::None => Others::All,
            Others::All => Others::None,
            Others::One(_) | Others::Some => Others::Some,
        };
        Self { ascii: !self.ascii, others }
    }

    /// The characters, if they are known and at most `most`. Where case is of no matter, a letter stands for both cases.
    pub(super) fn chars(self, most: u32, is_caseless: bool) -> Option<Vec<String>> {
        let mut ascii = if is_caseless { self.ascii & !Self::UPPER } else { self.ascii };
        let mut chars = match self.others {
            Others::None => Vec::new(),
            Others::One(c) => vec![c.to_string()],
            Others::Some | Others::All => return None,
        };
        if ascii.count_ones() > most {
            return None;
        }
        while let Some(byte) = u8::try_from(ascii.trailing_zeros()).ok().filter(u8::is_ascii) {
            chars.push(char::from(byte).to_string());
            ascii &= ascii - 1;
        }
        Some(chars)
    }
}

/// Whether a byte is that of a word, of which `\b` is the edge.
pub(super) fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_'
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
    is_caseless: bool,
}

impl Reader<'_> {
    /// Deeper nesting is not read.
    const MAX_DEPTH: usize = 32;

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn skip(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// What stands before that character. The character is skipped too.
    fn up_to(&mut self, c: char) -> Option<&str> {
        let (before, rest) = self.rest.split_once(c)?;
        self.rest = rest;
        Some(before)
    }

    /// Reads up to the end of the group or pattern.
    fn alternatives(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > Self::MAX_DEPTH {
            return None;
        }
        let first = self.sequence()?;
        let mut nodes = vec![first];
        while self.skip("|") {
            nodes.push(self.sequence()?);
        }
        self.depth -= 1;
        Some(if nodes.len() > 1 { Node::Alternatives(nodes) } else { nodes.pop()? })
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut nodes = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let atom = self.atom()?;
            nodes.push(self.repeated(atom)?);
        }
        Some(Node::Sequence(nodes))
    }

    fn atom(&mut self) -> Option<Node> {
        let class = match self.next()? {
            '(' => return self.group(),
            '^' => return Some(Node::Assertion(Assertion::Start)),
            '$' => return Some(Node::Assertion(Assertion::End)),
            '\\' if !self.rest.starts_with("b{") && self.skip("b") => return Some(Node::Assertion(Assertion::WordEdge)),
            '\\' if self.skip("B") => return Some(Node::Assertion(Assertion::NoWordEdge)),
            '\\' => self.escape()?,
            '[' => return self.class().map(Node::Class),
            '.' => Class::one('\n').negated(),
            '*' | '+' | '?' | '{' => return None,
            c => Class::one(c),
        };
        Some(Node::Class(if self.is_caseless { class.without_case() } else { class }))
    }

    fn group(&mut self) -> Option<Node> {
        if self.skip("?P<") || self.skip("?<") {
            self.up_to('>')?;
        } else if !self.skip("?:") && self.rest.starts_with('?') {
            // Flags change what follows.
            return None;
        }
        let inner = self.alternatives()?;
        self.skip(")").then_some(inner)
    }

    /// A character or class that is written with a backslash.
    fn escape(&mut self) -> Option<Class> {
        let c = self.next()?;
        Some(match c {
            'd' => Class::named("digit")?,
            's' => Class::named("space")?,
            'w' => Class::named("word")?,
            'D' => Class::named("digit")?.negated(),
            'S' => Class::named("space")?.negated(),
            'W' => Class::named("word")?.negated(),
            'n' => Class::one('\n'),
            'r' => Class::one('\r'),
            't' => Class::one('\t'),
            '<' | '>' => return None,
            c if c.is_ascii_alphanumeric() => return None,
            c => Class::one(c),
        })
    }

    fn class(&mut self) -> Option<Class> {
        let is_negated = self.skip("^");
        let mut class = Class::EMPTY;
        // These begin no range.
        while self.skip("-") {
            class = Class::one('-');
        }
        if class.ascii == 0 && self.skip("]") {
            class = Class::one(']');
        }
        while !self.skip("]") {
            let item = self.class_item()?;
            let behind = self.rest.strip_prefix('-').filter(|behind| !behind.starts_with(']'));
            class = class.with(match behind {
                Some(behind) => {
                    self.rest = behind;
                    Class::range(item, self.class_item()?)
                }
                None => item,
            });
        }
        class = if self.is_caseless { class.without_case() } else { class };
        Some(if is_negated { class.negated() } else { class })
    }

    fn class_item(&mut self) -> Option<Class> {
        match self.next()? {
            '[' if self.skip(":") => {
                let class = Class::named(self.up_to(':')?)?;
                self.skip("]").then_some(class)
            }
            '[' => None,
            '\\' => self.escape(),
            c => Some(Class::one(c)),
        }
    }

    /// Applies the repetitions that follow.
    fn repeated(&mut self, atom: Node) -> Option<Node> {
        let mut node = atom;
        loop {
            let (least, most) = if self.skip("*") {
                (0, None)
            } else if self.skip("?") {
                (0, Some(1))
            } else if self.skip("+") {
                (1, None)
            } else if self.skip("{") {
                let times = self.up_to('}')?;
                let (least, most) = times.split_once(',').unwrap_or((times, times));
                let count = |text: &str| u32::try_from(number(text, 10)?).ok();
                (count(least)?, if most.is_empty() { None } else { Some(count(most)?) })
            } else {
                return Some(node);
            };
            // Whether it is greedy makes no difference to whether there is a match.
            self.skip("?");
            node = Node::Repeated { node: Box::new(node), least, most };
        }
    }
}
