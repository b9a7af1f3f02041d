//! Reads Rust source as far as the rules need it: tokens without comments and test code, and the paths that a file names.

use std::collections::{BTreeMap, BTreeSet};

/// A module as its path from the crate: `["run", "agent"]` is `crate::run::agent`, and the empty one is the crate itself.
pub(crate) type Module = Vec<String>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A file of `src/`: its module, and its tokens outside of test code.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) module: Module,
    pub(crate) lines: usize,
    pub(crate) tokens: Vec<Token>,
    /// The child modules that are declared as test code: `#[cfg(test)] mod tests;`.
    pub(crate) test_modules: BTreeSet<String>,
    /// Each function's name and how many lines it has, in test code too.
    pub(crate) functions: Vec<(String, usize)>,
}

/// A path that a file names, resolved as far as modules go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Path {
    /// A module of the crate, and the item in it; an empty item where the module itself is named, `*` for all of them.
    Own(Module, String),
    /// A path of another crate.
    Foreign(Vec<String>),
}

impl File {
    pub(crate) fn parse(module: Module, text: &str) -> Self {
        let all = tokens(text);
        let functions = functions(&all);
        let (mut tokens, test_modules) = without_tests(all);
        flatten_inline_modules(&mut tokens);
        Self { module, lines: text.lines().count(), tokens, test_modules, functions }
    }

    /// The names of the types that the file defines.
    pub(crate) fn types(&self) -> BTreeSet<&str> {
        let defining = |pair: &&[Token]| ["struct", "enum", "union", "trait", "type"].contains(&pair[0].text.as_str());
        self.tokens.windows(2).filter(defining).map(|pair| pair[1].text.as_str()).collect()
    }

    /// The names of the types that have an `impl` in the file, and whether it is one of a trait.
    pub(crate) fn implemented(&self) -> Vec<(String, bool)> {
        let begins = |at: &usize| {
            let before = at.checked_sub(1).map(|before| self.tokens[before].text.as_str());
            self.tokens[*at].text == "impl" && before.is_none_or(|before| ["}", ";", "]", "unsafe"].contains(&before))
        };
        (0..self.tokens.len()).filter(begins).filter_map(|at| implemented_type(&self.tokens[at + 1..])).collect()
    }

    /// All paths that the file names, in `use` lines and elsewhere.
    pub(crate) fn paths(&self, modules: &BTreeSet<Module>) -> Vec<Path> {
        let mut names = Names { here: &self.module, modules, bound: BTreeMap::new() };
        let (uses, rest) = split_uses(&self.tokens);
        let mut paths = Vec::new();
        for (path, name) in uses {
            let Some(path) = names.resolve(&path) else { continue };
            names.bind(name, &path);
            paths.push(path);
        }
        paths.extend(inline_paths(&rest).iter().filter_map(|path| names.resolve(path)));
        paths
    }
}

/// The names that a file knows.
struct Names<'a> {
    here: &'a Module,
    modules: &'a BTreeSet<Module>,
    /// What `use` lines brought in, by its name in this file.
    bound: BTreeMap<String, Vec<String>>,
}

const OTHER_CRATES: [&str; 9] = ["std", "core", "alloc", "libc", "regex_lite", "memchr", "nanoserde", "getopts", "hmac_sha256"];

impl Names<'_> {
    fn bind(&mut self, name: String, path: &Path) {
        let path = match path {
            Path::Own(module, item) => {
                let module = std::iter::once("crate".to_string()).chain(module.iter().cloned());
                module.chain(Some(item.clone()).filter(|item| !item.is_empty())).collect()
            }
            Path::Foreign(path) => path.clone(),
        };
        self.bound.insert(name, path);
    }

    /// What a path is, from this file. `None` for a local name.
    fn resolve(&self, path: &[String]) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        let mut module = match first.as_str() {
            "crate" | "project436" => Module::new(),
            "self" => self.here.clone(),
            "super" => self.here[..self.here.len().checked_sub(1)?].to_vec(),
            _ if self.modules.contains(&child(self.here, first)) => child(self.here, first),
            _ => match self.bound.get(first) {
                // A type that was brought in: the `use` line has told where from.
                Some(bound) if bound[0] == "crate" && !self.modules.contains(&bound[1..]) => return None,
                Some(bound) if bound[0] != *first => return self.resolve(&[bound, rest].concat()),
                _ if OTHER_CRATES.contains(&first.as_str()) => return Some(Path::Foreign(path.to_vec())),
                _ => return None,
            },
        };
        for (at, name) in rest.iter().enumerate() {
            if name == "super" {
                module.pop()?;
            } else if self.modules.contains(&child(&module, name)) {
                module.push(name.clone());
            } else if name != "self" {
                return Some(Path::Own(module, rest[at].clone()));
            }
        }
        Some(Path::Own(module, String::new()))
    }
}

fn child(module: &Module, name: &str) -> Module {
    let mut child = module.clone();
    child.push(name.to_string());
    child
}

/// Cuts source into words, numbers and single signs; `::`, `->` and `=>` are one token each. Comments, texts and lifetimes are left out.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let rest = &text[at..];
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let (length, is_token) = if let Some(length) = literal_or_comment(rest) {
            (length, false)
        } else if rest.starts_with(is_word) {
            (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), true)
        } else if ["::", "->", "=>"].iter().any(|sign| rest.starts_with(sign)) {
            (2, true)
        } else {
            let c = rest.chars().next().unwrap();
            (c.len_utf8(), !c.is_whitespace())
        };
        if is_token {
            tokens.push(Token { text: rest[..length].to_string(), line });
        }
        line += rest[..length].matches('\n').count();
        at += length;
    }
    tokens
}

/// The length of the comment, text, character or lifetime that source begins with.
fn literal_or_comment(text: &str) -> Option<usize> {
    let end_of = |from: usize, end: &str| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(end_of(2, "*/"));
    }
    let unprefixed = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - unprefixed.len();
    if prefix > 1 {
        return None;
    }
    if let Some(raw) = unprefixed.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let is_raw = raw[hashes..].starts_with('"');
        return is_raw.then(|| end_of(prefix + 1 + hashes + 1, &format!("\"{}", "#".repeat(hashes))));
    }
    let quote = unprefixed.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    let inside = &unprefixed[1..];
    if quote == '\'' && !inside.starts_with('\\') && inside.chars().nth(1).is_none_or(|c| c != '\'') {
        // A lifetime or a label.
        return Some(1 + inside.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inside.len()));
    }
    let mut escaped = false;
    let end = inside.char_indices().find(|&(_, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    Some(prefix + 1 + end.map_or(inside.len(), |(at, _)| at + 1))
}

/// Where the item ends that begins at a token: behind its closing brace, or behind a semicolon before any brace.
fn end_of_item(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Leaves out what is compiled for tests only. Also returns the modules among that.
fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, BTreeSet<String>) {
    const ATTRIBUTES: [&[&str]; 3] = [&["[", "test", "]"], &["[", "cfg", "(", "test", ")"], &["[", "cfg", "(", "all", "(", "test", ","]];
    let mut kept = Vec::new();
    let mut modules = BTreeSet::new();
    let mut at = 0;
    while at < tokens.len() {
        let follows = |attribute: &&[&str]| attribute.iter().zip(&tokens[at + 1..]).filter(|(text, token)| token.text == **text).count();
        if tokens[at].text != "#" || !ATTRIBUTES.iter().any(|attribute| follows(attribute) == attribute.len()) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let begin = at + 1;
        at = end_of_item(&tokens, begin);
        if let Some(module) = tokens[begin..at].windows(3).find(|three| three[0].text == "mod" && three[2].text == ";") {
            modules.insert(module[1].text.clone());
        }
    }
    (kept, modules)
}

fn functions(tokens: &[Token]) -> Vec<(String, usize)> {
    let has_name = |at: &usize| tokens[*at].text == "fn" && tokens.get(at + 1).is_some_and(|name| name.text != "(");
    let measure = |at: usize| {
        let end = tokens[end_of_item(tokens, at) - 1].line;
        (tokens[at + 1].text.clone(), end - tokens[at].line + 1)
    };
    (0..tokens.len()).filter(has_name).map(measure).collect()
}

/// The name of the type behind `impl`, and whether a trait is implemented for it.
fn implemented_type(tokens: &[Token]) -> Option<(String, bool)> {
    let mut depth = 0usize;
    let mut outside = Vec::new();
    for token in tokens.iter().take_while(|token| token.text != "{" && token.text != "where") {
        match token.text.as_str() {
            "<" => depth += 1,
            ">" => depth -= 1,
            text if depth == 0 => outside.push(text),
            _ => {}
        }
    }
    let is_of_trait = outside.contains(&"for");
    outside.last().map(|name| (name.to_string(), is_of_trait))
}

/// What `super` means in a module without a file of its own is the file.
fn flatten_inline_modules(tokens: &mut [Token]) {
    let mut depth = 0usize;
    let mut inline = Vec::new();
    for at in 0..tokens.len() {
        match tokens[at].text.as_str() {
            "{" => {
                depth += 1;
                if at > 1 && tokens[at - 2].text == "mod" {
                    inline.push(depth);
                }
            }
            "}" => {
                inline.retain(|begin| *begin < depth);
                depth = depth.saturating_sub(1);
            }
            "super" => {
                let earlier =
                    tokens[..at].iter().rev().take_while(|token| ["::", "self", "super"].contains(&token.text.as_str())).count() / 2;
                if earlier < inline.len() {
                    tokens[at].text = "self".to_string();
                }
            }
            _ => {}
        }
    }
}

/// The paths of the `use` lines with the name that each gets, and all other tokens.
fn split_uses(tokens: &[Token]) -> (Vec<(Vec<String>, String)>, Vec<Token>) {
    let (mut uses, mut rest) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].text == "use" {
            let end = tokens[at..].iter().position(|token| token.text == ";").map_or(tokens.len(), |end| at + end);
            use_tree(&tokens[at + 1..end], &[], &mut uses);
            at = end;
        } else {
            rest.push(tokens[at].clone());
        }
        at += 1;
    }
    (uses, rest)
}

fn use_tree(tokens: &[Token], before: &[String], uses: &mut Vec<(Vec<String>, String)>) {
    let mut path = before.to_vec();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "::" => {}
            "{" => {
                branches(&tokens[at + 1..tokens.len() - 1]).into_iter().for_each(|branch| use_tree(branch, &path, uses));
                return;
            }
            "as" => {
                uses.push((without_last_self(path), tokens[at + 1].text.clone()));
                return;
            }
            text => path.push(text.to_string()),
        }
        at += 1;
    }
    let path = without_last_self(path);
    if let Some(name) = path.last().cloned() {
        uses.push((path, name));
    }
}

/// `a::{self}` names `a`.
fn without_last_self(mut path: Vec<String>) -> Vec<String> {
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    path
}

/// The parts of a `use` group that commas separate.
fn branches(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0usize;
    let separates = |token: &Token| {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        token.text == "," && depth == 0
    };
    tokens.split(separates).filter(|branch| !branch.is_empty()).collect()
}

/// The paths of two or more parts outside of `use` lines.
fn inline_paths(tokens: &[Token]) -> Vec<Vec<String>> {
    let mut paths: Vec<Vec<String>> = Vec::new();
    let is_word = |text: &str| text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let mut at = 0;
    while at < tokens.len() {
        let mut path = vec![tokens[at].text.clone()];
        let before = tokens[..at].iter().rev().map(|token| token.text.as_str());
        let [last, second] = [0, 1].map(|back| before.clone().nth(back).unwrap_or_default());
        // `pub(in crate::agent)` says who may see, and imports nothing.
        let is_visibility = last == "in" && second == "(";
        // The rest of `Vec::<u8>::new`. A path may begin with `::` too.
        let follows_path = last == "::" && (second == ">" || is_word(second));
        while is_word(&path[0]) && tokens.get(at + 1).is_some_and(|token| token.text == "::") {
            let Some(next) = tokens.get(at + 2).filter(|next| is_word(&next.text)) else { break };
            path.push(next.text.clone());
            at += 2;
        }
        if path.len() > 1 && !is_visibility && !follows_path {
            paths.push(path);
        }
        at += 1;
    }
    paths
}
