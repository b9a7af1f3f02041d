//! Searches a block of lines for those that a pattern may match.

use super::automaton::Automaton;
use super::finder::Finder;
use super::work::Work;
use memchr::memrchr;

/// The lines of a block that a pattern may match, in the order of the block.
pub struct Candidates<'a> {
    block: &'a [u8],
    filter: Filter<'a>,
}

/// A line that a pattern may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// An offset within the line.
    pub at: usize,
    /// Whether it does match.
    pub is_certain: bool,
}

/// What tells the lines that may match from others.
pub(super) enum Filter<'a> {
    /// They contain one of these literals. Each is found next there.
    Literals(Vec<(&'a Finder, Option<usize>)>),
    /// It finds them. It found that one last, once it has searched.
    Automaton(&'a Automaton, Option<Option<Candidate>>),
    /// Nothing does.
    None,
}

impl<'a> Candidates<'a> {
    pub(super) fn new(block: &'a [u8], filter: Filter<'a>) -> Self {
        Self { block, filter }
    }

    /// Whether a search for the next line is work.
    pub fn is_work(&self) -> bool {
        matches!(self.filter, Filter::Automaton(..))
    }

    /// The first line that may match, of those that begin at `from`, where a line begins, or behind it. `None` if no such line is left.
    /// If that is work, at most `most` bytes are searched: the line that would exceed them may match. Charges the work.
    pub fn next_from(&mut self, from: usize, most: usize, work: &mut Work) -> Option<Candidate> {
        match &mut self.filter {
            Filter::Literals(literals) => {
                let mut first = None;
                for (literal, next) in literals {
                    if next.is_some_and(|at| at < from) {
                        *next = self.block.get(from..).and_then(|rest| literal.find(rest)).map(|at| from + at);
                    }
                    first = next.map(|at| first.map_or(at, |first| at.min(first))).or(first);
                }
                first.map(Candidate::possible)
            }
            Filter::Automaton(automaton, found) => {
                if found.is_none_or(|found| found.is_some_and(|line| line.at < from)) {
                    *found = Some(search(automaton, self.block, from, most, work));
                }
                found.flatten()
            }
            Filter::None => (from < self.block.len()).then_some(Candidate::possible(from)),
        }
    }
}

impl Candidate {
    /// A line that may match, with that offset in it.
    pub fn possible(at: usize) -> Self {
        Self { at, is_certain: false }
    }
}

/// Searches as many whole lines as `most` allows.
fn search(automaton: &Automaton, block: &[u8], from: usize, most: usize, work: &mut Work) -> Option<Candidate> {
    let rest = block.get(from..).filter(|rest| !rest.is_empty())?;
    let lines = if rest.len() > most { &rest[..memrchr(b'\n', &rest[..most]).map_or(0, |newline| newline + 1)] } else { rest };
    let found = automaton.find_line(lines);
    work.charge(Automaton::STEP, found.as_ref().map_or(lines.len(), |line| line.searched));
    match found {
        Some(line) => Some(Candidate { at: from + line.start, is_certain: line.is_certain }),
        None => (lines.len() < rest.len()).then_some(Candidate::possible(from + lines.len())),
    }
}
