//! The `key=value` arguments of a directive. Knows keys and values, not what they mean.

/// The arguments of one directive, taken out one by one.
pub(super) struct Arguments<'a> {
    name: &'a str,
    pairs: Vec<(&'static str, &'a str)>,
}

impl<'a> Arguments<'a> {
    /// Splits the argument at the keys that the directive `name` has. A value ends where the next key begins; that of `message=` or
    /// `extract=` runs to the end of the line.
    ///
    /// # Errors
    /// Text before the first key, or a key given twice.
    pub(super) fn parse(name: &'a str, argument: &'a str, keys: &[&'static str]) -> Result<Self, String> {
        let mut pairs: Vec<(&'static str, &str)> = Vec::new();
        let mut rest = argument;
        while !rest.is_empty() {
            let Some(key) = key_at(rest, keys) else {
                let word = rest.split_whitespace().next().unwrap_or(rest);
                return Err(format!("{name}: expected one of {}, got \"{word}\"", listed(keys)));
            };
            if pairs.iter().any(|(given, _)| *given == key) {
                return Err(format!("{name}: {key}= is given twice"));
            }
            let value = &rest[key.len() + 1..];
            let end = if is_last(key) { value.len() } else { next_key(value, keys) };
            pairs.push((key, value[..end].trim()));
            rest = value[end..].trim_start();
        }
        Ok(Self { name, pairs })
    }

    /// The value of a key that must be given.
    pub(super) fn required(&mut self, key: &str) -> Result<&'a str, String> {
        self.optional(key)?.ok_or_else(|| format!("{}: {key}= is missing", self.name))
    }

    /// The value of a key that may be given; never an empty one.
    pub(super) fn optional(&mut self, key: &str) -> Result<Option<&'a str>, String> {
        let Some(at) = self.pairs.iter().position(|(given, _)| *given == key) else { return Ok(None) };
        let (_, value) = self.pairs.remove(at);
        if value.is_empty() {
            return Err(format!("{}: {key}= is empty", self.name));
        }
        Ok(Some(value))
    }

    /// A required whole number of at least `least`.
    pub(super) fn number(&mut self, key: &str, least: u64) -> Result<u64, String> {
        let value = self.required(key)?;
        let number = value.parse().ok().filter(|_| value.bytes().all(|b| b.is_ascii_digit()));
        number
            .filter(|n| *n >= least)
            .ok_or_else(|| format!("{}: {key}= is a whole number of at least {least}, got \"{value}\"", self.name))
    }

    /// The required `tags=`.
    pub(super) fn tags(&mut self) -> Result<String, String> {
        let value = self.required("tags")?;
        if value.contains(char::is_whitespace) || value.contains("%%") || value.starts_with('%') || value.ends_with('%') {
            return Err(format!("{}: tags= has no spaces, no %% and no % at its ends, got \"{value}\"", self.name));
        }
        Ok(value.to_string())
    }

    /// The arguments in the order of `keys`, which is the one that version 1 agents read.
    pub(super) fn in_order(&self, keys: &[&'static str]) -> String {
        let given = |key: &&'static str| self.pairs.iter().find(|(given, _)| given == key);
        let ordered: Vec<_> = keys.iter().filter_map(given).map(|(key, value)| format!("{key}={value}")).collect();
        ordered.join(" ")
    }
}

fn is_last(key: &str) -> bool {
    matches!(key, "message" | "extract")
}

fn key_at(text: &str, keys: &[&'static str]) -> Option<&'static str> {
    keys.iter().copied().find(|key| text.strip_prefix(key).is_some_and(|rest| rest.starts_with('=')))
}

/// Where the white space before the next key begins.
fn next_key(value: &str, keys: &[&'static str]) -> usize {
    let spaces = value.char_indices().filter(|(_, c)| c.is_whitespace());
    let mut ends = spaces.filter(|(at, c)| key_at(&value[at + c.len_utf8()..], keys).is_some()).map(|(at, _)| at);
    ends.next().unwrap_or(value.len())
}

fn listed(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("{key}=")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[&str] = &["tags", "match", "upper_limit", "message"];

    #[test]
    fn values_run_to_the_next_key() {
        let mut a = Arguments::parse("alert_if", "tags=DISK match=1,/my disk upper_limit=2,90  message=tags=x is full", KEYS).unwrap();
        assert_eq!(a.in_order(KEYS), "tags=DISK match=1,/my disk upper_limit=2,90 message=tags=x is full");
        assert_eq!(a.required("match"), Ok("1,/my disk"));
        assert_eq!(a.required("message"), Ok("tags=x is full"));
        assert_eq!(a.tags().as_deref(), Ok("DISK"));
    }

    #[test]
    fn any_order_is_put_into_the_classic_one() {
        let a = Arguments::parse("alert_if", "upper_limit=2,90 match=1,/ tags=T message=m", KEYS).unwrap();
        assert_eq!(a.in_order(KEYS), "tags=T match=1,/ upper_limit=2,90 message=m");
    }

    #[test]
    fn errors_say_what_was_expected() {
        for (argument, part) in
            [("bogus=1", "expected one of tags= match= upper_limit= message=, got \"bogus=1\""), ("tags=A tags=B", "tags= is given twice")]
        {
            let reason = Arguments::parse("alert_if", argument, KEYS).err().unwrap();
            assert!(reason.contains(part), "{reason}");
        }
        let mut a = Arguments::parse("alert_if", "tags=A B match= message=m", KEYS).unwrap();
        assert!(a.tags().unwrap_err().contains("no spaces"));
        assert!(a.required("match").unwrap_err().contains("match= is empty"));
        assert!(a.required("upper_limit").unwrap_err().contains("upper_limit= is missing"));
        for bad in ["-1", "+1", "x", "1.5", "0", "99999999999999999999"] {
            let argument = format!("upper_limit={bad}");
            let mut a = Arguments::parse("alert_if", &argument, KEYS).unwrap();
            assert!(a.number("upper_limit", 1).unwrap_err().contains("at least 1"), "{bad}");
        }
    }
}
