//! Command lines: short and long options, with or without a value, and what else stands there. Knows no option itself.

/// An option that a program has.
pub(super) struct Known {
    /// One letter, or nothing.
    pub(super) short: &'static str,
    pub(super) long: &'static str,
    /// What the help calls its value; nothing for an option without one.
    pub(super) value: &'static str,
    /// Whether it may be given more than once.
    pub(super) repeats: bool,
    pub(super) help: &'static str,
}

/// The options that a program has, in the order of its help.
#[derive(Clone, Copy)]
pub(super) struct Options(pub(super) &'static [&'static [Known]]);

/// What a command line says.
pub(super) struct Matches {
    /// Each option that is given, and its value; in the order in which they stand there.
    given: Vec<(&'static Known, String)>,
    /// What is no option.
    pub(super) free: Vec<String>,
}

impl Known {
    fn is(&self, name: &str) -> bool {
        self.long == name || self.short == name
    }
}

impl Options {
    /// Where the help's second column begins, and where it ends.
    const INDENT: usize = 24;
    const WIDTH: usize = 78;

    /// Reads a command line. What follows `--` is no option, whatever it looks like.
    ///
    /// # Errors
    /// An option that is not known, is given twice, or has no value or one too many.
    pub(super) fn parse(self, arguments: &[String]) -> Result<Matches, String> {
        let mut matches = Matches { given: Vec::new(), free: Vec::new() };
        let mut rest = arguments;
        while let [word, behind @ ..] = rest {
            rest = behind;
            if word == "--" {
                matches.free.extend_from_slice(rest);
                break;
            }
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                let option = self.find(name, |option| option.long)?;
                if option.value.is_empty() && value.is_some() {
                    return Err(format!("Option '{name}' does not take an argument"));
                }
                matches.take(option, name, value, &mut rest)?;
                continue;
            }
            let Some(mut letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
                matches.free.push(word.clone());
                continue;
            };
            while let Some(letter) = letters.chars().next() {
                let (name, after) = letters.split_at(letter.len_utf8());
                let option = self.find(name, |option| option.short)?;
                // Behind the letter of an option with a value, the rest is the value.
                let has_value = !option.value.is_empty();
                matches.take(option, name, Some(after).filter(|value| has_value && !value.is_empty()), &mut rest)?;
                letters = if has_value { "" } else { after };
            }
        }
        Ok(matches)
    }

    fn find(self, name: &str, name_of: fn(&Known) -> &'static str) -> Result<&'static Known, String> {
        for option in self.0.iter().copied().flatten() {
            if !name.is_empty() && name_of(option) == name {
                return Ok(option);
            }
        }
        Err(format!("Unrecognized option: '{name}'"))
    }

    /// The help: what is said first, and a paragraph for each option.
    pub(super) fn usage(self, brief: &str) -> String {
        let mut text = [brief, "\n\nOptions:"].concat();
        for option in self.0.iter().copied().flatten() {
            let begin = text.len() + 1;
            let (dash, both) = match (option.short, option.long) {
                ("", _) => ("    --", ""),
                (_, "") => ("-", ""),
                _ => ("-", ", --"),
            };
            let space = if option.value.is_empty() { "" } else { " " };
            for piece in ["\n    ", dash, option.short, both, option.long, space, option.value] {
                text.push_str(piece);
            }
            let mut column = text.len() - begin;
            if column >= Self::INDENT {
                column = Self::WIDTH;
            }
            for word in option.help.split(' ') {
                if column + word.len() >= Self::WIDTH {
                    text.push('\n');
                    column = 0;
                }
                let padding = Self::INDENT.saturating_sub(column).max(1);
                text.push_str(&"                        "[..padding]);
                text.push_str(word);
                column += padding + word.len();
            }
        }
        text
    }
}

impl Matches {
    /// Notes an option. Its value is the one given here or, if it needs one, the next word.
    fn take(&mut self, option: &'static Known, name: &str, value: Option<&str>, rest: &mut &[String]) -> Result<(), String> {
        let value = match (value, *rest) {
            (Some(value), _) => value,
            (None, _) if option.value.is_empty() => "",
            (None, [next, behind @ ..]) => {
                *rest = behind;
                next
            }
            (None, []) => return Err(format!("Argument to option '{name}' missing")),
        };
        if !option.repeats && self.given.iter().any(|(given, _)| std::ptr::eq(*given, option)) {
            return Err(format!("Option '{name}' given more than once"));
        }
        self.given.push((option, value.into()));
        Ok(())
    }

    /// Whether the option of that name, be it the short or the long one, is given.
    pub(super) fn opt_present(&self, name: &str) -> bool {
        self.opt_str(name).is_some()
    }

    /// Its value.
    pub(super) fn opt_str(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(option, _)| option.is(name)).map(|(_, value)| &**value)
    }

    /// Its values, where it is given more than once.
    pub(super) fn opt_strs(&self, name: &str) -> Vec<&str> {
        let mut values = Vec::new();
        for (option, value) in &self.given {
            if option.is(name) {
                values.push(&**value);
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Options = Options(&[
        &[
            Known { short: "d", long: "daemon", value: "", repeats: false, help: "run in the background" },
            Known { short: "x", long: "", value: "", repeats: false, help: "only a letter" },
        ],
        &[
            Known {
                short: "l",
                long: "log",
                value: "FILE",
                repeats: false,
                help: "write the log to a FILE whose name is given here, and to no other one of all that there are",
            },
            Known { short: "", long: "log-size", value: "BYTES", repeats: false, help: "bytes of a log" },
            Known { short: "a", long: "allow", value: "PATTERN", repeats: true, help: "a pattern" },
        ],
    ]);

    fn parse(line: &str) -> Result<Matches, String> {
        OPTIONS.parse(&line.split(' ').map(str::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_value_stands_behind_its_option_in_every_usual_way() {
        for line in ["-l x", "-lx", "-dlx", "-dl x", "--log x", "--log=x", "1 -l x", "-l x -- 1"] {
            let matches = parse(line).unwrap();
            assert_eq!(matches.opt_str("l"), Some("x"), "{line}");
            assert_eq!(matches.opt_str("log"), Some("x"), "{line}");
            assert_eq!(matches.opt_present("daemon"), line.contains('d'), "{line}");
            assert_eq!(matches.free.concat(), if line.contains('1') { "1" } else { "" }, "{line}");
        }
        assert_eq!(parse("--log=a=b").unwrap().opt_str("l"), Some("a=b"));
        assert_eq!(parse("-l -d").unwrap().opt_str("l"), Some("-d"));
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
        assert_eq!(OPTIONS.usage("Words."), usage);
    }
}
