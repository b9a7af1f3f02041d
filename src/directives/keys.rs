//! Key files: the server's holds the keys of every host, an agent's those of its own host. Never prints a key.

use super::source::{Fault, Source, SourceLine};
use crate::wire::auth::Key;
use std::collections::{HashMap, HashSet};

/// How a host proves its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Not at all.
    Open,
    /// By one of these keys: two while one replaces the other. A host without any is refused.
    Keys(Vec<Key>),
}

/// The content of a server's key file.
#[derive(Clone, Debug, Default)]
pub struct HostKeys {
    hosts: HashMap<String, Trust>,
    masters: Vec<Key>,
}

/// Most keys of one host: the old one and its replacement.
const MAX_KEYS: usize = 2;

/// Stands for every host in a line with a master key.
const EVERY_HOST: &str = "*";

/// Stands in place of a key if a host needs none.
const OPEN: &str = "open";

const FORM: &str = "64 hexadecimal digits in lower case";

impl HostKeys {
    /// Reads a server's key file: lines `HOST KEY`, `HOST open` and `* MASTER`.
    ///
    /// # Errors
    /// All faults, in the order of the lines.
    pub fn parse(source: Source<'_>) -> Result<Self, Vec<Fault>> {
        let (mut keys, mut faults, mut used) = (Self::default(), Vec::new(), HashSet::new());
        for line in source.lines() {
            if let Err(reason) = keys.add(&line, &mut used) {
                faults.push(line.fault(reason));
            }
        }
        if faults.is_empty() {
            Ok(keys)
        } else {
            Err(faults)
        }
    }

    fn add(&mut self, line: &SourceLine<'_>, used: &mut HashSet<Key>) -> Result<(), String> {
        let mut words = line.text.split_whitespace();
        let (Some(host), Some(word), None) = (words.next(), words.next(), words.next()) else {
            return Err("expected \"HOST KEY\", \"HOST open\" or \"* MASTER\"".into());
        };
        if word == OPEN && host != EVERY_HOST {
            return match self.hosts.insert(host.into(), Trust::Open) {
                None => Ok(()),
                Some(_) => Err(format!("{host}: is open, and has another line")),
            };
        }
        let key = Key::parse(word).ok_or_else(|| format!("{host}: the key is not {FORM}"))?;
        if !used.insert(key) {
            return Err(format!("{host}: the key is also on another line"));
        }
        let keys = match host {
            EVERY_HOST => &mut self.masters,
            _ => match self.hosts.entry(host.into()).or_insert_with(|| Trust::Keys(Vec::new())) {
                Trust::Open => return Err(format!("{host}: is open, and has another line")),
                Trust::Keys(keys) => keys,
            },
        };
        if keys.len() == MAX_KEYS {
            return Err(format!("{host}: has more than {MAX_KEYS} keys"));
        }
        keys.push(key);
        Ok(())
    }

    /// How a host proves its identity: as its own lines say, or by keys that are derived from the master keys.
    pub fn trust(&self, host: &str) -> Trust {
        self.hosts.get(host).cloned().unwrap_or_else(|| Trust::Keys(self.derived(host)))
    }

    /// The keys that are derived from the master keys for a host.
    pub fn derived(&self, host: &str) -> Vec<Key> {
        self.masters.iter().map(|master| master.of_host(host)).collect()
    }

    /// Whether the host has a line of its own.
    pub fn names(&self, host: &str) -> bool {
        self.hosts.contains_key(host)
    }
}

/// Reads an agent's key file: one key a line, the preferred one first.
///
/// # Errors
/// All faults.
pub fn parse_own(source: Source<'_>) -> Result<Vec<Key>, Vec<Fault>> {
    let (mut keys, mut faults) = (Vec::new(), Vec::new());
    for line in source.lines() {
        match Key::parse(line.text) {
            _ if keys.len() == MAX_KEYS => faults.push(line.fault(format!("more than {MAX_KEYS} keys"))),
            Some(key) if !keys.contains(&key) => keys.push(key),
            Some(_) => faults.push(line.fault("the key is also on another line")),
            None => faults.push(line.fault(format!("expected a key, {FORM}, and nothing else"))),
        }
    }
    if keys.is_empty() && faults.is_empty() {
        faults.push(Fault { path: source.path.into(), line: 0, reason: "holds no key".into() });
    }
    if faults.is_empty() {
        Ok(keys)
    } else {
        Err(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(byte: u8) -> String {
        Key::new([byte; 32]).emit()
    }

    fn parse(text: &str) -> Result<HostKeys, Vec<String>> {
        HostKeys::parse(Source { path: "keys", text }).map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_host_has_the_keys_of_its_lines_or_else_of_the_masters() {
        let (a, b, c, master) = (digits(1), digits(2), digits(3), digits(9));
        let text = format!("# keys\nnas1 {a}\nnas2\t{b}\nnas1   {c}\n\nold open\n* {master}\n");
        let keys = parse(&text).unwrap();
        let key = |byte| Key::new([byte; 32]);
        assert_eq!(keys.trust("nas1"), Trust::Keys(vec![key(1), key(3)]));
        assert_eq!(keys.trust("nas2"), Trust::Keys(vec![key(2)]));
        assert_eq!(keys.trust("old"), Trust::Open);
        assert_eq!(keys.trust("other"), Trust::Keys(vec![key(9).of_host("other")]));
        assert!(keys.names("nas1") && keys.names("old") && !keys.names("other"));
    }

    #[test]
    fn a_host_without_a_line_is_refused_where_there_is_no_master() {
        assert_eq!(parse(&format!("nas1 {}", digits(1))).unwrap().trust("nas2"), Trust::Keys(vec![]));
        assert_eq!(parse("").unwrap().trust("nas2"), Trust::Keys(vec![]));
    }

    #[test]
    fn errors_name_the_line_and_never_the_key() {
        let (a, b, c) = (digits(1), digits(2), digits(3));
        let text = format!(
            "nas1\nnas1 {a} x\nnas1 {}\nnas2 {a}\nnas3 {a}\nnas2 {b}\nnas2 {c}\nold open\nold {}\nold open\n* open\n",
            &a[1..],
            digits(4)
        );
        let errors = parse(&text).unwrap_err();
        assert_eq!(
            errors,
            [
                "keys:1: expected \"HOST KEY\", \"HOST open\" or \"* MASTER\"",
                "keys:2: expected \"HOST KEY\", \"HOST open\" or \"* MASTER\"",
                "keys:3: nas1: the key is not 64 hexadecimal digits in lower case",
                "keys:5: nas3: the key is also on another line",
                "keys:7: nas2: has more than 2 keys",
                "keys:9: old: is open, and has another line",
                "keys:10: old: is open, and has another line",
                "keys:11: *: the key is not 64 hexadecimal digits in lower case",
            ]
        );
        assert!(!errors.iter().any(|error| error.contains(&a[..8]) || error.contains(&b[..8])));
    }

    #[test]
    fn an_agent_has_one_key_or_two() {
        let own = |text: &str| {
            let read = parse_own(Source { path: "key", text });
            read.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let (a, b, c) = (digits(1), digits(2), digits(3));
        assert_eq!(own(&format!("# mine\n{a}\n")).unwrap(), [Key::new([1; 32])]);
        assert_eq!(own(&format!("{a}\n{b}")).unwrap().len(), 2);
        assert_eq!(own("# nothing").unwrap_err(), ["key:0: holds no key"]);
        assert_eq!(own(&format!("{a}\n{b}\n{c}")).unwrap_err(), ["key:3: more than 2 keys"]);
        assert_eq!(own(&format!("{a}\n{a}")).unwrap_err(), ["key:2: the key is also on another line"]);
        let form = "expected a key, 64 hexadecimal digits in lower case, and nothing else";
        assert_eq!(own(&format!("nas1 {a}\n")).unwrap_err(), [format!("key:1: {form}")]);
    }
}
