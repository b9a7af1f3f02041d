//! Command lines: short and long options, with or without a value, and what else stands there. Knows no option itself.

/// The options that a program has.
#[derive(Default)]
pub(super) struct Options(Vec<Known>);

struct Known {
    /// One letter, or nothing.
    short: &'static str,
    long: &'static str,
    help: String,
    /// What the help calls its value; nothing for an option without one.
    value: &'static str,
    repeats: Repeats,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeats {
    No,
    Yes,
}

/// What a command line says.
pub(super) struct Matches {
    /// The two names of each option that is given, and its value; in the order in which they stand there.
    given: Vec<([&'static str; 2], String)>,
    /// What is no option.
    pub(super) free: Vec<String>,
}

impl Options {
    /// Where the help's second column begins, and where it ends.
    const INDENT: usize = 24;
    const WIDTH: usize = 78;

    pub(super) fn new() -> Self {
        Self::default()
    }

    /// An option without a value.
    pub(super) fn optflag(&mut self, short: &'static str, long: &'static str, help: &str) -> &mut Self {
        self.add(short, long, help, "", Repeats::No)
    }

    /// An option with a value.
    pub(super) fn optopt(&mut self, short: &'static str, long: &'static str, help: &str, value: &'static str) -> &mut Self {
        self.add(short, long, help, value, Repeats::No)
    }

    /// An option with a value that may be given more than once.
    #[allow(dead_code, reason = "no option repeats yet")]
    pub(super) fn optmulti(&mut self, short: &'static str, long: &'static str, help: &str, value: &'static str) -> &mut Self {
        self.add(short, long, help, value, Repeats::Yes)
    }

    fn add(&mut self, short: &'static str, long: &'static str, help: &str, value: &'static str, repeats: Repeats) -> &mut Self {
        self.0.push(Known { short, long, help: help.into(), value, repeats });
        self
    }

    /// Reads a command line. What follows `--` is no option, whatever it looks like.
    ///
    /// # Errors
    /// An option that is not known, is given twice, or has no value or one too many.
    pub(super) fn parse(&self, arguments: &[String]) -> Result<Matches, String> {
        let mut matches = Matches { given: Vec::new(), free: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(word) = arguments.next() {
            if word == "--" {
                matches.free.extend(arguments.cloned());
                break;
            }
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                let option = self.find(name, |option| option.long)?;
                if option.value.is_empty() && value.is_some() {
                    return Err(format!("Option '{name}' does not take an argument"));
                }
                matches.take(option, name, value, &mut arguments)?;
            } else if word.len() > 1 && word.starts_with('-') {
                self.take_letters(&word[1..], &mut arguments, &mut matches)?;
            } else {
                matches.free.push(word.clone());
            }
        }
        Ok(matches)
    }

    /// Reads letters behind one `-`: behind that of an option with a value, the rest is the value.
    fn take_letters<'a>(
        &self,
        letters: &str,
        arguments: &mut impl Iterator<Item = &'a String>,
        matches: &mut Matches,
    ) -> Result<(), String> {
        let mut rest = letters;
        while let Some(letter) = rest.chars().next() {
            let (name, after) = rest.split_at(letter.len_utf8());
            let option = self.find(name, |option| option.short)?;
            if !option.value.is_empty() {
                return matches.take(option, name, Some(after).filter(|value| !value.is_empty()), arguments);
            }
            matches.take(option, name, None, arguments)?;
            rest = after;
        }
        Ok(())
    }

    fn find(&self, name: &str, name_of: impl Fn(&Known) -> &'static str) -> Result<&Known, String> {
        let mut named = self.0.iter().filter(|option| !name.is_empty() && name_of(option) == name);
        named.next().ok_or_else(|| format!("Unrecognized option: '{name}'"))
    }

    /// The help: what is said first, and a paragraph for each option.
    pub(super) fn usage(&self, brief: &str) -> String {
        let mut text = format!("{brief}\n\nOptions:");
        for option in &self.0 {
            let mut names = String::from("    ");
            match (option.short, option.long) {
                ("", long) => names.extend(["    --", long]),
                (short, "") => names.extend(["-", short]),
                (short, long) => names.extend(["-", short, ", --", long]),
            }
            if !option.value.is_empty() {
                names.extend([" ", option.value]);
            }
            let mut column = names.len();
            text.extend(["\n", &names]);
            if column >= Self::INDENT {
                column = Self::WIDTH;
            }
            for word in option.help.split(' ') {
                if column + word.len() >= Self::WIDTH {
                    text.push('\n');
                    column = 0;
                }
                let padding = Self::INDENT.saturating_sub(column).max(1);
                text.extend(std::iter::repeat_n(' ', padding));
                text.push_str(word);
                column += padding + word.len();
            }
        }
        text
    }
}

impl Matches {
    fn take<'a>(
        &mut self,
        option: &Known,
        name: &str,
        value: Option<&str>,
        arguments: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), String> {
        let value = match value {
            Some(value) => value.to_string(),
            None if option.value.is_empty() => String::new(),
            None => arguments.next().ok_or_else(|| format!("Argument to option '{name}' missing"))?.clone(),
        };
        if option.repeats == Repeats::No && self.opt_present(option.long) {
            return Err(format!("Option '{name}' given more than once"));
        }
        self.given.push(([option.short, option.long], value));
        Ok(())
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a String> {
        self.given.iter().filter(move |(names, _)| names.contains(&name)).map(|(_, value)| value)
    }

    /// Whether the option of that name, be it the short or the long one, is given.
    pub(super) fn opt_present(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Its value.
    pub(super) fn opt_str(&self, name: &str) -> Option<String> {
        self.values(name).next().cloned()
    }

    /// Its values, where it is given more than once.
    #[allow(dead_code, reason = "no option repeats yet")]
    pub(super) fn opt_strs(&self, name: &str) -> Vec<String> {
        self.values(name).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        let mut options = Options::new();
        options.optflag("d", "daemon", "run in the background").optflag("x", "", "only a letter");
        options.optopt("l", "log", "write the log to a FILE whose name is given here, and to no other one of all that there are", "FILE");
        options.optopt("", "log-size", "bytes of a log", "BYTES").optmulti("a", "allow", "a pattern", "PATTERN");
        options
    }

    fn parse(line: &str) -> Result<Matches, String> {
        options().parse(&line.split(' ').map(str::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_value_stands_behind_its_option_in_every_usual_way() {
        for line in ["-l x", "-lx", "-dlx", "-dl x", "--log x", "--log=x", "1 -l x", "-l x -- 1"] {
            let matches = parse(line).unwrap();
            assert_eq!(matches.opt_str("l").as_deref(), Some("x"), "{line}");
            assert_eq!(matches.opt_str("log").as_deref(), Some("x"), "{line}");
            assert_eq!(matches.opt_present("daemon"), line.contains('d'), "{line}");
            assert_eq!(matches.free.concat(), if line.contains('1') { "1" } else { "" }, "{line}");
        }
        assert_eq!(parse("--log=a=b").unwrap().opt_str("l").as_deref(), Some("a=b"));
        assert_eq!(parse("-l -d").unwrap().opt_str("l").as_deref(), Some("-d"));
    }

    #[test]
    fn what_is_no_option_stays_as_it_stands() {
        assert_eq!(parse("a - -d b -- -l --").unwrap().free, ["a", "-", "b", "-l", "--"]);
    }

    #[test]
    fn an_option_may_repeat_where_it_says_so() {
        assert_eq!(parse("-a x --allow=y -ax").unwrap().opt_strs("a"), ["x", "y", "x"]);
        assert!(parse("-d -d").is_err());
        assert!(parse("-l x --log y").is_err());
    }

    #[test]
    fn errors_name_the_option() {
        for (line, error) in [
            ("-y", "Unrecognized option: 'y'"),
            ("-dé", "Unrecognized option: 'é'"),
            ("--lo", "Unrecognized option: 'lo'"),
            ("--", ""),
            ("--=x", "Unrecognized option: ''"),
            ("-l", "Argument to option 'l' missing"),
            ("--log-size", "Argument to option 'log-size' missing"),
            ("--daemon=1", "Option 'daemon' does not take an argument"),
        ] {
            assert_eq!(parse(line).err().unwrap_or_default(), error, "{line}");
        }
    }

    #[test]
    fn the_help_has_two_columns() {
        let usage = "Words.\n\nOptions:\n\
            \x20   -d, --daemon        run in the background\n\
            \x20   -x                  only a letter\n\
            \x20   -l, --log FILE      write the log to a FILE whose name is given here, and\n\
            \x20                       to no other one of all that there are\n\
            \x20       --log-size BYTES\n\
            \x20                       bytes of a log\n\
            \x20   -a, --allow PATTERN a pattern";
        assert_eq!(options().usage("Words."), usage);
    }
}
