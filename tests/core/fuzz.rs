//! The fuzz targets on a stable compiler: each input of the committed corpus, and changed ones from fixed seeds. `FUZZ_ITERATIONS` says how
//! many of each target (default 2,000), `FUZZ_SECONDS` how long instead, `FUZZ_SEED` where the changes begin. What makes a target fail is
//! written to the folder of temporary files. `cargo fuzz run TARGET` does the same guided by coverage, with a nightly compiler.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stderr, reason = "tests live in the real world")]

#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

use project436::random::Random;
use std::fs;
use std::panic::{catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

const LONGEST: usize = 4096;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no corpus for {target}");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

struct Mutation {
    random: Random,
    /// Texts of the corpus that stand between separators.
    words: Vec<Vec<u8>>,
}

impl Mutation {
    fn new(corpus: &[Vec<u8>], seed: u64) -> Self {
        let separators = |b: &u8| b"%\n =:;,\0".contains(b);
        let words = corpus.iter().flat_map(|input| input.split(separators)).filter(|word| !word.is_empty()).map(<[u8]>::to_vec);
        Self { random: Random::new(seed), words: words.collect() }
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.bits() >> 33).unwrap() % end.max(1)
    }

    /// An input of the corpus with some changes.
    fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..1 << self.below(6) {
            self.change(&mut input, corpus);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = at + self.below((input.len() - at).min(64) + 1);
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = u8::try_from(self.below(256)).unwrap(),
            2 => drop(input.drain(at..end)),
            3 => {
                let copied = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, copied);
            }
            4 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                let until = from + self.below(other.len() - from + 1);
                input.splice(at..end, other[from..until].iter().copied());
            }
            5 => {
                let odd: [&[u8]; 12] =
                    [b"%%", b"\n", b"\0", b"\xff", b"\r\n", b"18446744073709551615", b"-1", b"%", b"\xe2\x80\xa8", b"(", b"*", b"NULL"];
                let odd = odd[self.below(odd.len())];
                input.splice(at..end, odd.iter().copied());
            }
            6 => {
                let word = self.below(self.words.len());
                input.splice(at..end, self.words[word].iter().copied());
            }
            7 => input.truncate(at),
            _ => input.insert(at, u8::try_from(self.below(128)).unwrap()),
        }
    }
}

/// `share` says which part of the iterations a target does, since one of its iterations takes that much longer.
fn fuzz(name: &str, share: u64) {
    let (_, target) = targets::ALL.iter().find(|(known, _)| *known == name).unwrap();
    let corpus = corpus(name);
    let time = number("FUZZ_SECONDS").map(Duration::from_secs);
    let iterations = number("FUZZ_ITERATIONS").unwrap_or(2000).div_ceil(share);
    let seed = number("FUZZ_SEED").unwrap_or(436);
    let mut mutation = Mutation::new(&corpus, seed);
    let (start, mut done) = (Instant::now(), 0);
    let mut inputs = corpus.clone().into_iter();
    while time.map_or(done < iterations, |time| start.elapsed() < time) || inputs.len() > 0 {
        let input = inputs.next().unwrap_or_else(|| mutation.next(&corpus));
        if let Err(panic) = catch_unwind(|| target(&input)) {
            let path = std::env::temp_dir().join(format!("436-fuzz-{name}-{seed}-{done}"));
            fs::write(&path, &input).unwrap();
            eprintln!("{name}: input {done} of seed {seed}, kept in {}: {:?}", path.display(), String::from_utf8_lossy(&input));
            resume_unwind(panic);
        }
        done += 1;
    }
    eprintln!("{name}: {done} inputs in {:?}", start.elapsed());
}

#[test]
fn every_target_has_a_test_here() {
    let names: Vec<_> = targets::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["wire", "directives", "lines", "pattern", "auth", "agent", "server", "world"]);
}

#[test]
fn a_parsed_message_is_emitted_as_it_was_read() {
    fuzz("wire", 1);
}

#[test]
fn every_file_parses_without_a_crash_and_good_lines_round_trip() {
    fuzz("directives", 1);
}

#[test]
fn lines_come_out_whole_however_the_bytes_are_split() {
    fuzz("lines", 1);
}

#[test]
fn a_pattern_finds_what_the_plain_expression_finds() {
    fuzz("pattern", 1);
}

#[test]
fn only_signed_datagrams_verify_and_only_once() {
    fuzz("auth", 1);
}

#[test]
fn an_agent_survives_any_input() {
    fuzz("agent", 1);
}

#[test]
fn a_server_survives_any_input_and_never_amplifies_what_a_stranger_sends() {
    fuzz("server", 1);
}

#[test]
fn an_attacker_on_the_path_between_peers_with_keys_loses_and_repeats_no_line() {
    fuzz("world", 20);
}
