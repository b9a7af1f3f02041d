//! What the `re` of Python makes of a pattern: a version 1 agent ends with an error of it.

/// The part of a pattern that is right here and that `re` refuses, if there is one.
pub(super) fn refused_by_re(pattern: &str) -> Option<&'static str> {
    let mut scanner = Scanner { rest: pattern, last: Last::Nothing, is_at_start: true };
    while !scanner.rest.is_empty() {
        match scanner.item() {
            Ok(Verbosity::Plain) => {}
            // Comments and white space have another meaning from here on.
            Ok(Verbosity::Verbose) => return None,
            Err(refused) => return Some(refused),
        }
    }
    None
}

/// Whether the pattern goes on in verbose mode.
enum Verbosity {
    Plain,
    Verbose,
}

/// What a repetition would apply to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Assertion,
    Atom,
    Repetition,
}

struct Scanner<'a> {
    rest: &'a str,
    last: Last,
    /// Whether only flags came before.
    is_at_start: bool,
}

impl Scanner<'_> {
    /// Goes on behind the next item.
    fn item(&mut self) -> Result<Verbosity, &'static str> {
        let is_at_start = std::mem::take(&mut self.is_at_start);
        let Some(c) = self.next() else { return Ok(Verbosity::Plain) };
        match c {
            '\\' => self.last = self.escape()?,
            '[' => {
                self.class()?;
                self.last = Last::Atom;
            }
            '(' => return self.group(is_at_start),
            '*' | '+' | '?' => self.repetition()?,
            '{' => {
                self.rest = self.rest.split_once('}').map_or("", |(_, rest)| rest);
                self.repetition()?;
            }
            '|' => self.last = Last::Nothing,
            '^' | '$' => self.last = Last::Assertion,
            _ => self.last = Last::Atom,
        }
        Ok(Verbosity::Plain)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn escape(&mut self) -> Result<Last, &'static str> {
        match self.next() {
            Some('z') => Err(r"a pattern with \z"),
            Some('x' | 'u' | 'U') if self.rest.starts_with('{') => Err(r"a pattern with \x{…}"),
            Some('A' | 'b' | 'B' | '<' | '>') => Ok(Last::Assertion),
            _ => Ok(Last::Atom),
        }
    }

    fn class(&mut self) -> Result<(), &'static str> {
        let _ = self.skip("^");
        let _ = self.skip("]");
        while let Some(c) = self.next() {
            match c {
                ']' => break,
                '[' if self.rest.starts_with(':') => self.rest = self.rest.split_once(":]").map_or("", |(_, rest)| rest),
                '\\' => drop(self.escape()?),
                _ => {}
            }
        }
        Ok(())
    }

    fn group(&mut self, is_at_start: bool) -> Result<Verbosity, &'static str> {
        self.last = Last::Nothing;
        if !self.skip("?") || self.skip(":") {
            return Ok(Verbosity::Plain);
        }
        if self.rest.starts_with('<') {
            return Err("a pattern with (?<name>");
        }
        if self.skip("P<") {
            let (name, rest) = self.rest.split_once('>').unwrap_or((self.rest, ""));
            self.rest = rest;
            let is_identifier = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            return if is_identifier { Ok(Verbosity::Plain) } else { Err("a pattern with a name of other characters than letters") };
        }
        let end = self.rest.find([':', ')']).unwrap_or(self.rest.len());
        let (flags, rest) = self.rest.split_at(end);
        let is_global = rest.starts_with(')');
        self.rest = rest.get(1..).unwrap_or("");
        let (on, off) = flags.split_once('-').unwrap_or((flags, ""));
        if flags.contains(['U', 'R']) || off.contains('u') {
            return Err("a pattern with a flag that it does not have");
        }
        if is_global && (!is_at_start || flags.contains('-')) {
            return Err("a pattern with flags behind its start, as in a(?i)b");
        }
        self.is_at_start = is_global;
        Ok(if on.contains('x') { Verbosity::Verbose } else { Verbosity::Plain })
    }

    fn repetition(&mut self) -> Result<(), &'static str> {
        match self.last {
            Last::Repetition => return Err("a pattern with a repeated repetition, as in a**"),
            Last::Assertion => return Err("a pattern with a repeated assertion, as in ^*"),
            Last::Nothing | Last::Atom => {}
        }
        let _ = self.skip("?");
        self.last = Last::Repetition;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    #[test]
    fn what_re_refuses_is_found_and_nothing_else() {
        // Tried with the `re` of Python 3.11.
        for (pattern, is_refused) in [
            (r"(?<n>a)", true),
            (r"a\z", true),
            (r"\x{41}", true),
            (r"[\x{41}]", true),
            (r"\u{e9}", true),
            ("a(?i)b", true),
            ("a|(?i)b", true),
            ("((?i)a)", true),
            ("(?-i)a", true),
            ("(?U)a+", true),
            ("(?R)a$", true),
            ("(?-u:a)", true),
            ("a**", true),
            ("a{2}{3}", true),
            ("a+?*", true),
            ("^*a", true),
            (r"\b+a", true),
            ("(?P<a.b>x)", true),
            ("(?P<n>a)", false),
            ("(?i)a", false),
            ("(?i)(?m)a", false),
            ("(?i:a)b(?-i:c)", false),
            ("(?x)a # (?i) **", false),
            (r"\x41\u00e9", false),
            (r"[?*+][*]*", false),
            ("[]*]+", false),
            ("[^]z]{2}?", false),
            ("[[:alpha:]]+", false),
            (r"\(?<n>a\)*", false),
            (r"\\z\*+", false),
            (r"[\\z]", false),
            ("a*?b+?c??d{2,}?", false),
            ("(a*)*", false),
            ("(^)*a", false),
            (r"from=\<.*\>", false),
        ] {
            assert!(Pattern::parse(pattern).is_ok(), "{pattern}");
            assert_eq!(refused_by_re(pattern).is_some(), is_refused, "{pattern}: {:?}", refused_by_re(pattern));
        }
    }
}
